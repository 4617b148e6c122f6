/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sweep.c - what is done to many keys at once: refuse, clear, rotate.
 *
 * Rotation (EPOCH). Engine, tenant, pool and key each count their rotations (only ever up). A
 * dial is stamped with the sum of the four when it begins; a connection whose stamp is not the
 * current sum is stale. The hot path does not add them up: a rotation first raises the epoch, then
 * walks the keys that it applies to (in slices, walk.h), and under each key's lock closes idle
 * connections and marks held ones (retire_reason, which a take and a release load, SC2). A dial in
 * flight compares its stamp when it becomes ready (dialled.c): if that is before its key's turn, it
 * sees the new epoch or is walked; once the turn has begun, the lock shows it the new epoch. A dial
 * that begins during the turn (the walk releases the lock in between) is fresh, whether its
 * position is still to come or not: connections with the current stamp are skipped. A key that is
 * opened while the walk is under way is not walked: pool.lock shows it the new epoch, and all its
 * dials are stamped with it. So when a rotation has returned, no acquire gets a connection that was
 * dialled before it began.
 */
#include <string.h>

#include "core/conn_table.h"
#include "core/dial.h"
#include "core/effects.h"
#include "core/options.h"
#include "core/pool.h"
#include "core/release.h"

/* ---- many keys */

struct sweep {
	const struct kolk__tenant *tenant; /* NULL = any */
	uint64_t idle_before_ns;
	/* A part of a key's turn, under key.lock: how many connections. */
	size_t (*key)(const struct sweep *sweep, struct kolk__walk *walk, struct kolk_key *key,
		      struct kolk__effects *effects);
};

static size_t clear_key(const struct sweep *sweep, struct kolk__walk *walk, struct kolk_key *key,
			struct kolk__effects *effects)
{
	struct kolk__conn *conn;
	size_t count = 0;

	(void)effects;
	KOLK__HELD(&key->lock);
	while ((conn = kolk__walk_conn(walk, key)) != NULL) {
		if (kolk__load_relaxed(&conn->idle_since_ns) > sweep->idle_before_ns ||
		    !kolk__conn_take(conn, KOLK__CLOSING))
			continue;
		kolk__retire(conn, KOLK_REASON_CLEARED);
		count++;
	}
	return count;
}

static size_t mark_stale_key(const struct sweep *sweep, struct kolk__walk *walk,
			     struct kolk_key *key, struct kolk__effects *effects)
{
	(void)sweep;
	return kolk__key_mark_stale(walk, key, effects);
}

static size_t sweep_slice(const struct sweep *sweep, struct kolk__walk *walk,
			  struct kolk__effects *effects)
{
	struct kolk_key *key;
	size_t count = 0;

	while ((key = kolk__walk_key(walk)) != NULL) {
		if (sweep->tenant != NULL && kolk__tenant_of(key) != sweep->tenant)
			continue;
		kolk__effects_key(effects, key);
		count += sweep->key(sweep, walk, key, effects);
		kolk__effects_settle(effects);
	}
	return count;
}

static size_t sweep_walk(const struct sweep *sweep, struct kolk__walk *walk)
{
	KOLK__EFFECTS(effects);
	size_t count = 0;

	while (kolk__walk_lock(walk)) {
		kolk__effects_begin(&effects, walk->pool->engine);
		count += sweep_slice(sweep, walk, &effects);
		kolk__walk_unlock(walk);
		kolk__effects_run(&effects);
	}
	return count;
}

static size_t sweep_pool(const struct sweep *sweep, struct kolk_pool *pool)
{
	struct kolk__walk walk;

	kolk__walk_begin(&walk, pool);
	return sweep_walk(sweep, &walk);
}

/* Every pool, or the one of this name. */
static size_t sweep_engine(const struct sweep *sweep, struct kolk_engine *engine, const char *name)
{
	struct kolk__walk walk = { .over = true };
	struct kolk__pools_walk pools;
	struct kolk_pool *pool;
	size_t count = 0;

	kolk__pools_begin(&pools, engine);
	while ((pool = kolk__pools_next(&pools)) != NULL) {
		if (name == NULL || strcmp(name, pool->name) == 0)
			kolk__walk_begin(&walk, pool);
		kolk__give_lock(engine, &engine->registry);
		count += sweep_walk(sweep, &walk);
	}
	return count;
}

/* ---- clear */

size_t kolk_pool_clear(struct kolk_pool *pool)
{
	const struct sweep sweep = { .idle_before_ns = UINT64_MAX, .key = clear_key };

	return kolk__is_child(pool->engine) ? 0 : sweep_pool(&sweep, pool);
}

size_t kolk_engine_clear(struct kolk_engine *engine, const struct kolk_filter *filter)
{
	struct sweep sweep = { .idle_before_ns = UINT64_MAX, .key = clear_key };
	struct kolk_filter f = KOLK_INIT(kolk_filter);
	struct kolk__tenant *tenant = NULL;
	uint64_t now_ns;
	size_t count;

	if (kolk__is_child(engine) || (filter != NULL && !kolk__sized_read(&f, filter)))
		return 0;
	now_ns = kolk__now(engine);
	if (f.idle_ns != 0)
		sweep.idle_before_ns = f.idle_ns < now_ns ? now_ns - f.idle_ns : 0;
	if (f.tenant != NULL) {
		tenant = kolk__tenant_find(engine, f.tenant);
		if (tenant == NULL)
			return 0;
		sweep.tenant = tenant;
	}
	count = sweep_engine(&sweep, engine, f.pool);
	if (tenant != NULL)
		kolk__tenant_unref(engine, tenant);
	return count;
}

/* ---- rotate */

size_t kolk_engine_rotate(struct kolk_engine *engine)
{
	const struct sweep sweep = { .key = mark_stale_key };

	if (kolk__is_child(engine))
		return 0;
	kolk__add_sc(&engine->epoch, 1);
	return sweep_engine(&sweep, engine, NULL);
}

size_t kolk_pool_rotate(struct kolk_pool *pool)
{
	const struct sweep sweep = { .key = mark_stale_key };

	if (kolk__is_child(pool->engine))
		return 0;
	kolk__add_sc(&pool->epoch, 1);
	return sweep_pool(&sweep, pool);
}

size_t kolk_tenant_rotate(struct kolk_engine *engine, const char *name)
{
	struct sweep sweep = { .key = mark_stale_key };
	struct kolk__tenant *tenant;
	size_t count;

	if (kolk__is_child(engine) || name == NULL)
		return 0;
	tenant = kolk__tenant_find(engine, name);
	if (tenant == NULL)
		return 0;
	sweep.tenant = tenant;
	kolk__add_sc(&tenant->epoch, 1);
	count = sweep_engine(&sweep, engine, NULL);
	kolk__tenant_unref(engine, tenant);
	return count;
}

size_t kolk_key_rotate(struct kolk_key *key)
{
	const struct sweep sweep = { .key = mark_stale_key };
	struct kolk__walk walk;

	if (kolk__is_child(key->engine))
		return 0;
	kolk__add_sc(&key->epoch, 1);
	kolk__walk_begin_key(&walk, key, kolk__own(&key->id));
	return sweep_walk(&sweep, &walk);
}
