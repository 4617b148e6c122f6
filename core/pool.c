/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.c - named pools: added, found, warmed, cleared, changed, freed.
 */
#include "core/pool.h"

#include <string.h>

#include "core/options.h"
#include "core/release.h"
#include "core/wait.h"

/* ---- options */

static void defaults(struct kolk_pool_options *o, bool can_ping)
{
	uint32_t idle_min;

	o->connections_max = kolk__count_or(o->connections_max, 10);
	o->pool_connections_max = kolk__count_or(o->pool_connections_max, KOLK_UNLIMITED);
	idle_min = o->connections_max < 2 ? o->connections_max : 2;
	o->idle_min = kolk__count_or(o->idle_min, idle_min);
	o->waiters_max = kolk__count_or(o->waiters_max, 50);
	o->dials_max = kolk__count_or(o->dials_max, 4);
	o->uses_max = kolk__count_or(o->uses_max, KOLK_UNLIMITED);
	o->acquire_timeout_ns = kolk__ns_or(o->acquire_timeout_ns, 5 * KOLK_S_NS);
	o->overtake_max_ns = kolk__ns_or(o->overtake_max_ns, 1 * KOLK_MS_NS);
	o->idle_timeout_ns = kolk__ns_or(o->idle_timeout_ns, 30 * KOLK_S_NS);
	o->lifetime_ns = kolk__ns_or(o->lifetime_ns, 30 * 60 * KOLK_S_NS);
	o->resolve_timeout_ns = kolk__ns_or(o->resolve_timeout_ns, 5 * KOLK_S_NS);
	o->connect_timeout_ns = kolk__ns_or(o->connect_timeout_ns, 5 * KOLK_S_NS);
	o->tls_timeout_ns = kolk__ns_or(o->tls_timeout_ns, 5 * KOLK_S_NS);
	o->ready_timeout_ns = kolk__ns_or(o->ready_timeout_ns, 5 * KOLK_S_NS);
	o->ping_interval_ns = kolk__ns_or(o->ping_interval_ns,
					  can_ping ? 15 * KOLK_S_NS : KOLK_FOREVER);
	o->ping_timeout_ns = kolk__ns_or(o->ping_timeout_ns, KOLK_S_NS);
	o->retry_interval_ns = kolk__ns_or(o->retry_interval_ns, 200 * KOLK_MS_NS);
	o->retry_max_ns = kolk__ns_or(o->retry_max_ns, o->retry_interval_ns > 2 * KOLK_S_NS ?
							o->retry_interval_ns : 2 * KOLK_S_NS);
	o->circuit_failures = kolk__count_or(o->circuit_failures, 5);
	o->circuit_percent = kolk__count_or(o->circuit_percent, 50);
	o->auth_retry_ns = kolk__ns_or(o->auth_retry_ns, 60 * KOLK_S_NS);
	o->lease_overdue_ns = kolk__ns_or(o->lease_overdue_ns, 60 * KOLK_S_NS);
	o->keepalive_ns = kolk__ns_or(o->keepalive_ns, 60 * KOLK_S_NS);
	o->unacked_ns = kolk__ns_or(o->unacked_ns, 20 * KOLK_S_NS);
}

struct field {
	const char *name;
	bool bad;
};

/* What would never work, or contradicts something else. Durations that are really zero make
 * no sense but for overtaking. */
static enum kolk_err values_check(const struct kolk_pool_options *o)
{
	const struct field fields[] = {
		{ "isolation", o->isolation > KOLK_ISOLATION_SESSION },
		{ "connections_max", o->connections_max == 0 ||
					     o->connections_max > KOLK_CONNECTIONS_MAX },
		{ "pool_connections_max", o->pool_connections_max == 0 },
		{ "idle_min", o->idle_min > o->connections_max ||
				      o->idle_min > o->pool_connections_max },
		{ "dials_max", o->dials_max == 0 },
		{ "uses_max", o->uses_max == 0 },
		{ "acquire_timeout_ns", o->acquire_timeout_ns == 0 },
		{ "idle_timeout_ns", o->idle_timeout_ns == 0 },
		{ "lifetime_ns", o->lifetime_ns == 0 },
		{ "resolve_timeout_ns", o->resolve_timeout_ns == 0 },
		{ "connect_timeout_ns", o->connect_timeout_ns == 0 },
		{ "tls_timeout_ns", o->tls_timeout_ns == 0 },
		{ "ready_timeout_ns", o->ready_timeout_ns == 0 },
		{ "ping_interval_ns", o->ping_interval_ns == 0 },
		{ "ping_timeout_ns", o->ping_timeout_ns == 0 },
		{ "retry_interval_ns", o->retry_interval_ns == 0 ||
					       o->retry_interval_ns == KOLK_FOREVER },
		{ "retry_max_ns", o->retry_max_ns < o->retry_interval_ns ||
					  o->retry_max_ns == KOLK_FOREVER },
		{ "circuit_percent", o->circuit_percent > 100 },
		{ "eager_dials", o->eager_dials > 1 },
		{ "hopeless_waits", o->hopeless_waits > 1 },
		{ "auth_retry_ns", o->auth_retry_ns == 0 },
		{ "lease_overdue_ns", o->lease_overdue_ns == 0 },
		{ "keepalive_ns", o->keepalive_ns == 0 },
		{ "unacked_ns", o->unacked_ns == 0 },
		{ "bind_port_min", o->bind_port_min > o->bind_port_max ||
					   (o->bind_port_min == 0) != (o->bind_port_max == 0) },
		{ "bind_port_max", o->bind_port_max > 65535 },
	};

	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
		if (fields[i].bad)
			return kolk__refuse(o->failure, fields[i].name);
	return KOLK_OK;
}

static enum kolk_err names_check(const struct kolk_pool_options *o)
{
	size_t size = o->name != NULL ? strnlen(o->name, sizeof((struct kolk_pool *)0)->name) : 0;

	if (size == 0 || size == sizeof((struct kolk_pool *)0)->name)
		return kolk__refuse(o->failure, "name");
	if ((o->address == NULL) == (o->resource == NULL))
		return kolk__refuse(o->failure, "address");
	if (o->resource != NULL && (o->resource->size != sizeof *o->resource ||
				    o->resource->create == NULL))
		return kolk__refuse(o->failure, "resource");
	if (o->resource != NULL && o->tls != NULL)
		return kolk__refuse(o->failure, "tls");
	if (o->resource != NULL && o->driver != NULL)
		return kolk__refuse(o->failure, "driver");
	if (o->driver != NULL && o->driver->size != sizeof *o->driver)
		return kolk__refuse(o->failure, "driver");
	return KOLK_OK;
}

static void pool_fill(struct kolk_pool *pool, const struct kolk_pool_options *o)
{
	pool->isolation = o->isolation;
	pool->connections_max = o->connections_max;
	pool->pool_connections_max = o->pool_connections_max;
	pool->idle_min = o->idle_min;
	pool->waiters_max = o->waiters_max;
	pool->dials_max = o->dials_max;
	pool->uses_max = o->uses_max;
	pool->idle_timeout_ns = o->idle_timeout_ns;
	pool->lifetime_ns = o->lifetime_ns;
	pool->overtake_max_ns = o->overtake_max_ns;
	pool->acquire_timeout_ns = o->acquire_timeout_ns;
	pool->ping_interval_ns = o->ping_interval_ns;
	pool->retry_interval_ns = o->retry_interval_ns;
	pool->retry_max_ns = o->retry_max_ns;
	pool->lease_overdue_ns = o->lease_overdue_ns;
	pool->times = (struct kolk__link_times){ .resolve_ns = o->resolve_timeout_ns,
						 .connect_ns = o->connect_timeout_ns,
						 .tls_ns = o->tls_timeout_ns,
						 .ready_ns = o->ready_timeout_ns,
						 .ping_ns = o->ping_timeout_ns };
	pool->resource = o->resource != NULL;
	pool->must_reset = o->resource != NULL && o->resource->reset != NULL;
	pool->drain_alarm.fire = kolk__drain_fire;
	strcpy(pool->name, o->name); /* names_check: it fits */
}

/* ---- add */

static struct kolk_pool *find_locked(struct kolk_engine *engine, const char *name)
{
	struct kolk_pool *pool = engine->pools;

	while (pool != NULL && strcmp(pool->name, name) != 0)
		pool = pool->next;
	return pool;
}

static struct kolk_pool *pool_memory(struct kolk_engine *engine)
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
	if (pool != NULL)
		kolk__row_init(&pool->row, KOLK__ROW_POOL);
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

static enum kolk_err publish(struct kolk_pool *pool)
{
	struct kolk_engine *engine = pool->engine;
	bool taken;

	kolk__take_lock(engine, &engine->registry);
	taken = find_locked(engine, pool->name) != NULL;
	if (!taken) {
		pool->next = engine->pools;
		engine->pools = pool;
		kolk__add_acq_rel(&engine->pools_open, 1);
	}
	kolk__give_lock(engine, &engine->registry);
	return taken ? KOLK_E_NAME_TAKEN : KOLK_OK;
}

/* Its own key, the one without tenant. */
static enum kolk_err own_key(struct kolk_pool *pool)
{
	struct kolk_key_options options = KOLK_INIT(kolk_key_options);
	enum kolk_err err;

	pool->making = true;
	err = kolk_key_open(pool, &options, &pool->key);
	pool->making = false;
	return err;
}

static void pool_unmake(struct kolk_pool *pool);

enum kolk_err kolk_pool_add(struct kolk_engine *engine, const struct kolk_pool_options *options,
			    struct kolk_pool **out)
{
	struct kolk_pool_options o;
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_pool *pool;
	enum kolk_err err;

	*out = NULL;
	if (!kolk__options_read(&o, (uint32_t)sizeof o, options))
		return kolk__refuse(NULL, "size");
	if (kolk__is_child(engine))
		return KOLK_E_FORKED;
	err = names_check(&o);
	if (err != KOLK_OK)
		return err;
	pool = pool_memory(engine);
	if (pool == NULL)
		return KOLK_E_MEMORY;
	pool->engine = engine;
	err = kolk__origin_open(engine->transport, &o, &failure, &pool->origin);
	if (err != KOLK_OK && o.failure != NULL)
		*o.failure = failure;
	if (err == KOLK_OK) {
		defaults(&o, kolk__origin_can_ping(pool->origin));
		err = values_check(&o);
		kolk__origin_tune(pool->origin, &o);
		pool_fill(pool, &o);
		kolk__store_release(&pool->state, KOLK__OPEN);
	}
	/* A release that is clocked must not allocate. */
	if (err == KOLK_OK && !kolk__hist_reserve(engine->sys, &pool->hists.lease))
		err = KOLK_E_MEMORY;
	if (err == KOLK_OK)
		err = own_key(pool);
	if (err == KOLK_OK)
		err = publish(pool);
	if (err != KOLK_OK) {
		pool_unmake(pool);
		pool_recycle(pool);
		return err;
	}
	*out = pool;
	return KOLK_OK;
}

/* ---- free */

void kolk__hists_free(struct kolk_engine *engine, struct kolk__hists *hists)
{
	kolk__hist_free(engine->sys, &hists->wait);
	kolk__hist_free(engine->sys, &hists->lease);
	kolk__hist_free(engine->sys, &hists->dial);
}

/* Free what hangs on a pool that nothing uses; what it counted goes to the engine. */
static void pool_unmake(struct kolk_pool *pool)
{
	struct kolk_engine *engine = pool->engine;
	struct kolk_key *key = pool->keys;

	kolk__alarm_disarm(engine, &pool->drain_alarm);
	while (key != NULL) {
		struct kolk_key *next = key->list_next;

		kolk__key_unmake(key);
		key = next;
	}
	pool->keys = NULL;
	pool->key = NULL;
	pool->key_count = 0;
	kolk__deallocate(engine, pool->buckets, pool->bucket_count * sizeof pool->buckets[0]);
	pool->buckets = NULL;
	pool->bucket_count = 0;
	if (pool->origin != NULL)
		kolk__origin_unref(pool->origin);
	pool->origin = NULL;
	kolk__counters_add(&engine->retired, &pool->retired);
	memset(&pool->retired, 0, sizeof pool->retired);
	kolk__hist_merge(&engine->hists.wait, engine->sys, &pool->hists.wait);
	kolk__hist_merge(&engine->hists.lease, engine->sys, &pool->hists.lease);
	kolk__hist_merge(&engine->hists.dial, engine->sys, &pool->hists.dial);
	kolk__hists_free(engine, &pool->hists);
}

void kolk__pool_free(struct kolk_pool *pool)
{
	struct kolk_engine *engine = pool->engine;
	struct kolk_pool **link = &engine->pools;

	kolk__take_lock(engine, &engine->registry);
	while (*link != pool)
		link = &(*link)->next;
	*link = pool->next;
	kolk__give_lock(engine, &engine->registry);
	pool_unmake(pool);
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

struct kolk_key *kolk_pool_key(struct kolk_pool *pool)
{
	return pool->key;
}

/* ---- looking after all keys */

void kolk__pool_look(struct kolk_pool *pool)
{
	struct kolk_engine *engine = pool->engine;
	uint64_t now_ns = kolk__now(engine);

	kolk__take_lock(engine, &pool->lock);
	for (struct kolk_key *key = pool->keys; key != NULL; key = key->list_next) {
		kolk__take_lock(engine, &key->lock);
		kolk__serve(key, NULL, now_ns);
		(void)kolk__dial_more(key, now_ns, 0); /* hungry ones: maintenance looks */
		kolk__give_lock(engine, &key->lock);
	}
	kolk__give_lock(engine, &pool->lock);
}

void kolk__pools_look(struct kolk_engine *engine)
{
	kolk__take_lock(engine, &engine->registry);
	for (struct kolk_pool *pool = engine->pools; pool != NULL; pool = pool->next)
		kolk__pool_look(pool);
	kolk__give_lock(engine, &engine->registry);
	kolk__maintain_kick(engine);
}

void kolk__limits_moved(struct kolk_engine *engine)
{
	kolk__pools_look(engine);
	kolk__hungry_feed(engine);
}

static void limits_apply(struct kolk_pool *pool, const struct kolk_pool_options *o)
{
	kolk__store_relaxed(&pool->connections_max, o->connections_max);
	kolk__store_relaxed(&pool->pool_connections_max, o->pool_connections_max);
	kolk__store_relaxed(&pool->idle_min, o->idle_min);
	kolk__store_relaxed(&pool->waiters_max, o->waiters_max);
	kolk__store_relaxed(&pool->idle_timeout_ns, o->idle_timeout_ns);
	kolk__store_relaxed(&pool->lifetime_ns, o->lifetime_ns);
	kolk__store_relaxed(&pool->overtake_max_ns, o->overtake_max_ns);
}

/* What is given over what is there, checked as a whole. Under pool.lock. */
static enum kolk_err limits_merge(struct kolk_pool *pool, const struct kolk_pool_limits *l)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	o.connections_max = kolk__count_or(l->connections_max, pool->connections_max);
	o.pool_connections_max =
		kolk__count_or(l->pool_connections_max, pool->pool_connections_max);
	o.idle_min = l->idle_min != 0	 ? l->idle_min :
		     pool->idle_min != 0 ? pool->idle_min : KOLK_NONE;
	if (l->idle_min == 0 && o.idle_min != KOLK_NONE && o.idle_min > o.connections_max)
		o.idle_min = o.connections_max; /* the floor follows a lowered limit */
	o.waiters_max = l->waiters_max != 0    ? l->waiters_max :
			pool->waiters_max != 0 ? pool->waiters_max : KOLK_NONE;
	o.idle_timeout_ns = kolk__ns_or(l->idle_timeout_ns, pool->idle_timeout_ns);
	o.lifetime_ns = kolk__ns_or(l->lifetime_ns, pool->lifetime_ns);
	o.overtake_max_ns = l->overtake_max_ns != 0    ? l->overtake_max_ns :
			    pool->overtake_max_ns != 0 ? pool->overtake_max_ns : KOLK_AT_ONCE;
	if (o.connections_max == 0 || o.pool_connections_max == 0 || o.idle_timeout_ns == 0 ||
	    o.lifetime_ns == 0)
		return KOLK_E_OPTIONS;
	defaults(&o, true);
	if (values_check(&o) != KOLK_OK)
		return KOLK_E_OPTIONS;
	limits_apply(pool, &o);
	return KOLK_OK;
}

enum kolk_err kolk_pool_limits_set(struct kolk_pool *pool, const struct kolk_pool_limits *limits)
{
	struct kolk_engine *engine = pool->engine;
	struct kolk_pool_limits l;
	enum kolk_err err;

	if (!kolk__options_read(&l, (uint32_t)sizeof l, limits) || l.reserved != 0)
		return KOLK_E_OPTIONS;
	if (kolk__is_child(engine))
		return KOLK_E_FORKED;
	kolk__take_lock(engine, &pool->lock);
	err = limits_merge(pool, &l);
	kolk__give_lock(engine, &pool->lock);
	if (err != KOLK_OK)
		return err;
	kolk__pool_look(pool);
	kolk__hungry_feed(engine);
	return KOLK_OK;
}
