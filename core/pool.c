/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.c - named pools: added, found, told of changed limits, freed.
 */
#include "core/pool.h"
#include "core/drain.h"
#include "core/draws.h"

#include <string.h>

#include "core/effects.h"
#include "core/options.h"
#include "core/refuse.h"
#include "core/settings.h"

/* ---- add */

static struct kolk_pool *find_locked(struct kolk_engine *engine, const char *name)
{
	struct kolk_pool *pool = engine->pools;

	KOLK__HELD(&engine->registry);
	while (pool != NULL && strcmp(pool->name, name) != 0)
		pool = pool->next;
	return pool;
}

static struct kolk_pool *pool_alloc(struct kolk_engine *engine)
{
	struct kolk_pool *pool;

	kolk__take_lock(engine, &engine->registry);
	pool = engine->free_pools;
	if (pool != NULL)
		engine->free_pools = pool->next;
	kolk__give_lock(engine, &engine->registry);
	if (pool != NULL)
		return pool;
	pool = kolk__allocate(engine, sizeof *pool);
	if (pool == NULL)
		return NULL;
	kolk__lock_init(&pool->lock, KOLK__RANK_POOL);
	kolk__lock_init(&pool->upstream_lock, KOLK__RANK_LEAF);
	kolk__lock_init(&pool->health.lock, KOLK__RANK_LEAF);
	pool->engine = engine;
	kolk__counters_init(&pool->retired, &pool->retired_many);
	pool->drain_alarm.fire = kolk__drain_fire;
	pool->refused_alarm.fire = kolk__refusals_fire;
	kolk__permit_queue_init(&pool->limit.queue, KOLK__QUEUE_POOL);
	return pool;
}

static void pool_recycle(struct kolk_pool *pool)
{
	struct kolk_engine *engine = pool->engine;

	kolk__take_lock(engine, &engine->registry);
	pool->next = engine->free_pools;
	engine->free_pools = pool;
	kolk__give_lock(engine, &engine->registry);
}

static enum kolk_err publish(struct kolk_pool *pool, const struct kolk_pool_options *o)
{
	struct kolk_engine *engine = pool->engine;
	enum kolk_err err = KOLK_E_NAME_TAKEN;

	kolk__take_lock(engine, &engine->registry);
	if (find_locked(engine, pool->name) == NULL)
		err = kolk__draws_link(pool, o);
	if (err == KOLK_OK) {
		pool->next = engine->pools;
		engine->pools = pool;
		kolk__add_acq_rel(&engine->pools_open, 1);
	}
	kolk__give_lock(engine, &engine->registry);
	return err;
}

/* Its own key, the one without tenant. */
static enum kolk_err own_key(struct kolk_pool *pool)
{
	struct kolk_key_options options = KOLK_INIT(kolk_key_options);
	enum kolk_err err;

	pool->creating = true;
	err = kolk_key_open(pool, &options, &pool->key);
	pool->creating = false;
	return err;
}

static void pool_clear_parts(struct kolk_pool *pool);

/* A pool of these settings, with its own key and its name in the registry. */
static enum kolk_err build(struct kolk_pool *pool, struct kolk__settings *settings)
{
	struct kolk_engine *engine = pool->engine;
	enum kolk_err err;

	pool->suspended = false;
	pool->isolation = settings->o.isolation;
	pool->resource = settings->o.resource != NULL;
	pool->account_class = settings->o.draws_from != NULL ? KOLK__DRAWING : KOLK__CONNECTIONS;
	(void)kolk__settings_apply(pool, settings);
	kolk__health_reset(pool); /* of the previous peer */
	kolk__take_lock(engine, &pool->lock); /* maintenance may still log, or look whether it drains,
					       * for the previous pool */
	pool->drain_waits = false;
	strcpy(pool->name, settings->o.name); /* it was checked: it fits */
	kolk__give_lock(engine, &pool->lock);
	kolk__store_release(&pool->state, KOLK__OPEN);
	/* A release that is clocked must not allocate. */
	if (!kolk__hist_reserve(engine->sys, &pool->hists.of[KOLK__LEASE_TIME]))
		return KOLK_E_MEMORY;
	err = own_key(pool);
	return err == KOLK_OK ? publish(pool, &settings->o) : err;
}

enum kolk_err kolk_pool_add(struct kolk_engine *engine, const struct kolk_pool_options *options,
			    struct kolk_pool **out)
{
	struct kolk__settings settings;
	struct kolk_failure *failure;
	struct kolk_pool *pool;
	enum kolk_err err;

	*out = NULL;
	err = kolk__settings_read(engine, options, &settings);
	if (err != KOLK_OK)
		return err;
	failure = settings.o.failure;
	pool = pool_alloc(engine);
	if (pool == NULL) {
		kolk__settings_drop(engine, &settings);
		return kolk__refuse_as(failure, KOLK_E_MEMORY, NULL);
	}
	err = build(pool, &settings);
	kolk__settings_drop(engine, &settings);
	if (err != KOLK_OK) {
		pool_clear_parts(pool);
		pool_recycle(pool);
		/* E_OPTIONS has named its field already. */
		return err == KOLK_E_OPTIONS ? err : kolk__refuse_as(failure, err, NULL);
	}
	*out = pool;
	return KOLK_OK;
}

/* ---- free */

/* Free the parts of a pool that is not in use; its counts go to the engine. */
static void pool_clear_parts(struct kolk_pool *pool)
{
	struct kolk_engine *engine = pool->engine;
	struct kolk_key *key;

	kolk__alarm_disarm(engine, &pool->drain_alarm);
	/* The loop that closed the last connection may still check whether its key can go. */
	kolk__take_lock(engine, &pool->lock);
	key = pool->keys;
	while (key != NULL) {
		struct kolk_key *next = key->list_next;

		kolk__key_recycle(key);
		key = next;
	}
	pool->keys = NULL;
	pool->key = NULL;
	memset(pool->places, 0, sizeof pool->places);
	kolk__hash_free(&pool->key_table, engine->sys);
	kolk__give_lock(engine, &pool->lock);
	if (pool->upstream != NULL)
		kolk__upstream_unref(pool->upstream);
	pool->upstream = NULL;
	kolk__deallocate(engine, pool->identity, pool->identity_size);
	pool->identity = NULL;
	kolk__counters_add(&engine->retired, &pool->retired);
	kolk__counters_init(&pool->retired, &pool->retired_many);
	kolk__hists_add(engine, &engine->hists, &pool->hists);
	kolk__hists_free(engine, &pool->hists);
}

void kolk__pool_free(struct kolk_pool *pool)
{
	struct kolk_engine *engine = pool->engine;
	struct kolk_pool **link = &engine->pools;

	KOLK__NO_LOCK();
	kolk__take_lock(engine, &engine->registry);
	while (*link != pool)
		link = &(*link)->next;
	*link = pool->next;
	kolk__pools_pass(engine, pool);
	kolk__draws_forget(pool);
	kolk__give_lock(engine, &engine->registry);
	pool_clear_parts(pool);
	pool_recycle(pool);
}

/* ---- find */

struct kolk_pool *kolk_pool_find(struct kolk_engine *engine, const char *name)
{
	struct kolk_pool *pool;

	if (kolk__is_child(engine))
		return NULL;
	kolk__take_lock(engine, &engine->registry);
	pool = find_locked(engine, name);
	kolk__give_lock(engine, &engine->registry);
	return pool;
}

const char *kolk_pool_name(const struct kolk_pool *pool)
{
	return pool->name;
}

struct kolk_engine *kolk_pool_engine(const struct kolk_pool *pool)
{
	return pool->engine;
}

uint64_t kolk_pool_socket_timeout_ns(const struct kolk_pool *pool)
{
	return kolk__setting(pool, socket_timeout_ns);
}

uint64_t kolk_pool_request_timeout_ns(const struct kolk_pool *pool)
{
	return kolk__setting(pool, request_timeout_ns);
}

bool kolk_pool_refuses(const struct kolk_pool *pool)
{
	return kolk__load_acquire(&pool->state) != KOLK__OPEN ||
	       (kolk__load_relaxed(&pool->health.state) != KOLK_CIRCUIT_CLOSED &&
		kolk__health_refuses(pool, kolk__now(pool->engine)));
}

struct kolk_key *kolk_pool_key(struct kolk_pool *pool)
{
	return pool->key;
}
