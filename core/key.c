/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key.c - keys: created, looked up, in LRU order while unreferenced, and recycled.
 */
#include <string.h>

#include "core/base/container.h"
#include "core/conn_table.h"
#include "core/event.h"
#include "core/identity.h"
#include "core/key_life.h"
#include "core/permits.h"
#include "core/pool.h"

/* ---- make and recycle */

/* Of the process, not the engine: thread caches (thread_cache.h) outlive engines. */
static kolk__atomic_u64 last_id; /* relaxed: unique is enough */

static struct kolk_key *key_alloc(struct kolk_engine *engine)
{
	struct kolk_key *key;

	kolk__take_lock(engine, &engine->accounting);
	key = engine->free_keys;
	if (key != NULL)
		engine->free_keys = key->list_next;
	kolk__give_lock(engine, &engine->accounting);
	if (key != NULL)
		return key;
	key = kolk__allocate(engine, sizeof *key);
	if (key == NULL)
		return NULL;
	kolk__lock_init(&key->lock, KOLK__RANK_KEY);
	key->engine = engine;
	key->alarm.fire = engine->calls.retry;
	return key;
}

/* Late readers may still read the key that this memory was before: fields that they read without
 * its lock are stored atomically, the rest is written under the lock (key.h, Reclaims). */
static void key_init(struct kolk_key *key, struct kolk_pool *pool, struct kolk__tenant *tenant)
{
	struct kolk_engine *engine = pool->engine;

	KOLK__HELD(&key->lock);
	kolk__store_relaxed(&key->pool, pool);
	/* The pool first: a thread that sees the id then sees the pool (walk.c, walk_begin_key). */
	kolk__store_release(&key->id, kolk__add_relaxed(&last_id, 1) + 1);
	kolk__store_sc(&key->gate, KOLK__GATE_OPEN);
	kolk__store_relaxed(&key->account, kolk__tenant_account(tenant, pool->account_class));
	key->notify_acquired = kolk__event_wanted(engine, KOLK_EVENT_ACQUIRED);
	/* If every lease is an event, or idle connections are counted, it has no clock, so acquires
	 * take the slow path (acquire.c, hit). */
	key->clock = key->notify_acquired || kolk__counts_idle(pool) ? &engine->no_clock :
								       &engine->page->clock_ns;
	key->notify_released = kolk__event_wanted(engine, KOLK_EVENT_RELEASED);
	key->signalled = false;
	kolk__store_release(&key->refuse_err, KOLK_OK);
	key->keep_warm = false;
	key->failures = 0;
	key->replacement = 0;
	kolk__store_relaxed(&key->probation, false);
	key->retry_at_ns = key->surplus_at_ns = 0;
	key->dial_ewma_us = 0;
	kolk__store_relaxed(&key->lease_ewma_us, 0);
	kolk__store_relaxed(&key->reuse_ewma, UINT8_MAX);
	kolk__store_relaxed(&key->refs, 1);
	kolk__store_relaxed(&key->handles, 0);
}

/* The look-up made the identity on its stack: copy it into the key's own memory. */
static void key_identify(struct kolk_key *key, const struct kolk__identity *id, uint8_t *bytes)
{
	KOLK__HELD(&key->lock);
	memcpy(bytes, id->bytes, id->size);
	key->identity = bytes;
	key->identity_size = (uint16_t)id->size;
	key->scope_size = (uint16_t)id->scope_size;
	key->node.hash = id->hash;
}

struct kolk_key *kolk__key_make(struct kolk_pool *pool, const struct kolk__identity *id,
				 bool *full)
{
	struct kolk_engine *engine = pool->engine;
	struct kolk__tenant *tenant = NULL;
	struct kolk_key *key = NULL;
	uint8_t *bytes = engine->sys->allocate(engine->sys->context, 8, id->size);

	KOLK__HELD(&pool->lock);
	*full = kolk__add_acq_rel(&engine->key_count, 1) >= engine->keys_max;
	if (!*full && bytes != NULL)
		tenant = kolk__tenant_key_add(pool, (const char *)id->bytes + 1, full);
	if (tenant != NULL)
		key = key_alloc(engine);
	if (key != NULL) {
		kolk__take_lock(engine, &key->lock);
		key_init(key, pool, tenant);
		key_identify(key, id, bytes);
		kolk__give_lock(engine, &key->lock);
		return key;
	}
	kolk__deallocate(engine, bytes, id->size);
	if (tenant != NULL)
		kolk__tenant_key_remove(engine, tenant);
	kolk__sub_acq_rel(&engine->key_count, 1);
	return NULL;
}

static void free_parts(struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;
	struct kolk__hists *hists = kolk__own(&key->hists);
	struct kolk__counters *counters;

	kolk__alarm_disarm(engine, &key->alarm);
	kolk__tls_sessions_close(engine->transport, &key->tls_sessions);
	kolk__deallocate(engine, key->failed, sizeof *key->failed);
	key->failed = NULL;
	if (hists != NULL) {
		kolk__hists_free(engine, hists);
		kolk__deallocate(engine, hists, sizeof *hists);
		kolk__store_relaxed(&key->hists, NULL);
	}
	counters = kolk__own(&key->counters);
	if (counters != NULL) {
		kolk__counters_add(&kolk__own(&key->pool)->retired, counters);
		kolk__counters_free(engine, counters);
		kolk__store_release(&key->counters, NULL);
	}
}

/* ---- unreferenced keys that have connections, least recently used first; under accounting */

static struct kolk__lru *lru_of(const struct kolk_key *key, int which)
{
	return which == 0 ? &key->engine->lru : &kolk__tenant_of(key)->lru;
}

void kolk__key_lru_add(struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;

	KOLK__HELD(&engine->accounting);
	/* A thread that raises refs from 0 takes this lock afterwards and removes the key. So if
	 * refs is 0 here, the key will be removed in time; if it is not, the key must not be
	 * added. */
	if (key->in_lru || kolk__load_relaxed(&key->refs) != 0)
		return;
	key->in_lru = true;
	for (int i = 0; i < 2; i++) {
		struct kolk__lru *lru = lru_of(key, i);

		key->lru_next[i] = NULL;
		key->lru_previous[i] = lru->last;
		*(lru->last != NULL ? &lru->last->lru_next[i] : &lru->first) = key;
		lru->last = key;
	}
}

void kolk__key_lru_remove(struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;

	KOLK__HELD(&engine->accounting);
	if (!key->in_lru)
		return;
	key->in_lru = false;
	for (int i = 0; i < 2; i++) {
		struct kolk_key *next = key->lru_next[i], *previous = key->lru_previous[i];
		struct kolk__lru *lru = lru_of(key, i);

		*(previous != NULL ? &previous->lru_next[i] : &lru->first) = next;
		*(next != NULL ? &next->lru_previous[i] : &lru->last) = previous;
	}
}

struct kolk_key *kolk__key_lru_pop(struct kolk_engine *engine,
				   const struct kolk__tenant *tenant)
{
	struct kolk_key *key;

	kolk__take_lock(engine, &engine->accounting);
	key = tenant == NULL ? engine->lru.first : tenant->lru.first;
	if (key != NULL)
		kolk__key_lru_remove(key);
	kolk__give_lock(engine, &engine->accounting);
	return key;
}

void kolk__key_recycle(struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;
	uint8_t *identity;

	KOLK__HELD(&kolk__own(&key->pool)->lock);
	kolk__walks_pass(kolk__own(&key->pool), key);
	/* A thread that may still dial for it (permits_freed) finds that it refuses, and one that
	 * would take an idle connection (a reclaim, an eviction, a late release) finds none. */
	kolk__take_lock(engine, &key->lock);
	kolk__store_release(&key->refuse_err, KOLK_E_DRAINING);
	kolk__store_relaxed(&key->id, 0);
	kolk__conn_table_free(key);
	identity = key->identity;
	key->identity = NULL;
	kolk__give_lock(engine, &key->lock);
	kolk__deallocate(engine, identity, key->identity_size);
	free_parts(key);
	kolk__take_lock(engine, &engine->accounting);
	kolk__permit_queue_remove(engine, key); /* a pool that is closed does not ask its keys */
	kolk__key_lru_remove(key);
	kolk__give_lock(engine, &engine->accounting);
	kolk__tenant_key_remove(engine, kolk__tenant_of(key));
	kolk__sub_acq_rel(&engine->key_count, 1);
	kolk__take_lock(engine, &engine->accounting);
	key->list_next = engine->free_keys;
	engine->free_keys = key;
	kolk__give_lock(engine, &engine->accounting);
}

/* ---- the pool's table of keys: under pool.lock */

static struct kolk_key *key_of(struct kolk__hash_node *node)
{
	return kolk__container_of(node, struct kolk_key, node);
}

static bool is_identified(const struct kolk__hash_node *node, const void *what)
{
	const struct kolk_key *key = kolk__container_of(node, const struct kolk_key, node);
	const struct kolk__identity *id = what;

	return key->identity_size == id->size && memcmp(key->identity, id->bytes, id->size) == 0;
}

/* Reads three cache lines, each found through the one before: the bucket, the key's first, its
 * identity. */
struct kolk_key *kolk__key_find(struct kolk_pool *pool, const struct kolk__identity *id)
{
	struct kolk__hash_node *node;

	KOLK__HELD(&pool->lock);
	node = kolk__hash_find(&pool->key_table, id->hash, is_identified, id);
	return node != NULL ? key_of(node) : NULL;
}

bool kolk__key_insert(struct kolk_pool *pool, struct kolk_key *key)
{
	KOLK__HELD(&pool->lock);
	if (!kolk__hash_add(&pool->key_table, pool->engine->sys, &key->node))
		return false;
	key->list_next = pool->keys;
	key->list_prev = &pool->keys;
	if (pool->keys != NULL)
		pool->keys->list_prev = &key->list_next;
	pool->keys = key;
	return true;
}

static void unlink_key(struct kolk_pool *pool, struct kolk_key *key)
{
	KOLK__HELD(&pool->lock);
	kolk__hash_remove(&pool->key_table, &key->node);
	*key->list_prev = key->list_next;
	if (key->list_next != NULL)
		key->list_next->list_prev = key->list_prev;
}

void kolk__key_free_if_unused_locked(struct kolk_pool *pool, struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;
	bool gone = false;

	KOLK__HELD(&pool->lock);
	kolk__take_lock(engine, &key->lock);
	if (kolk__own(&key->pool) == pool && key->identity != NULL &&
	    kolk__load_relaxed(&key->refs) == 0 &&
	    kolk__own(&key->open) == 0 && kolk__waiting(key) == 0 &&
	    kolk__load_relaxed(&key->permit_queue) == NULL) {
		unlink_key(pool, key);
		gone = true;
	}
	kolk__give_lock(engine, &key->lock);
	if (gone)
		kolk__key_recycle(key);
}

void kolk__key_free_if_unused(struct kolk_key *key)
{
	struct kolk_pool *pool = kolk__load_relaxed(&key->pool); /* checked again under locks */
	struct kolk_engine *engine = key->engine;

	KOLK__NO_LOCK();
	if (kolk__load_relaxed(&key->refs) != 0) /* relaxed: checked again under lock */
		return;
	kolk__take_lock(engine, &pool->lock);
	kolk__key_free_if_unused_locked(pool, key);
	kolk__give_lock(engine, &pool->lock);
}

/* ---- references for an event */

/* A transient reference, and one to the pool. */
void kolk__key_ref(struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;

	KOLK__HELD(&key->lock);
	kolk__take_lock(engine, &engine->accounting);
	kolk__own(&key->pool)->refs++;
	if (kolk__add_acq_rel(&key->refs, 1) == 0)
		kolk__key_lru_remove(key);
	kolk__give_lock(engine, &engine->accounting);
}
