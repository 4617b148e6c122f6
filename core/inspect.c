/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect.c - what status pages and tests see of an engine while it works.
 *
 * A pool's handle may be closed by another thread meanwhile. Its memory is type-stable, and a pool
 * is freed only after it left the registry, so a thread that holds the registry and finds the pool
 * in it may read it. A connection is read under the lock of the key in whose table it is: as long
 * as it is there, key and pool do not go.
 */
#include <string.h>

#include "core/acquire.h"
#include "core/conn_table.h"
#include "core/options.h"
#include "core/pool.h"
#include "core/wait.h"
#include "core/permits.h"

/* ---- the engine */

static uint32_t pools_draining(struct kolk_engine *engine, uint32_t *count)
{
	uint32_t draining = 0;

	KOLK__NO_LOCK();
	*count = 0;
	kolk__take_lock(engine, &engine->registry);
	for (struct kolk_pool *pool = engine->pools; pool != NULL; pool = pool->next) {
		draining += kolk__load_acquire(&pool->state) != KOLK__OPEN;
		++*count;
	}
	kolk__give_lock(engine, &engine->registry);
	return draining;
}

enum kolk_err kolk_engine_inspect(struct kolk_engine *engine, struct kolk_engine_info *info)
{
	struct kolk_engine_info filled;
	uint32_t pools, draining;

	if (kolk__sized_size(info) == 0)
		return KOLK_E_OPTIONS;
	if (kolk__is_child(engine))
		return KOLK_E_FORKED;
	draining = pools_draining(engine, &pools);
	filled = (struct kolk_engine_info){
		.size = (uint32_t)sizeof filled,
		.loops = engine->shard_count,
		.draining = pools != 0 && draining == pools,
		.connections_max =
			kolk__load_relaxed(&engine->totals[KOLK__CONNECTIONS].limit),
		.connections_reserved =
			engine->conn_count - kolk__load_relaxed(&engine->totals[KOLK__DRAWING].limit),
		.waiters_max = engine->waiters_max,
		.keys_max = engine->keys_max,
		.dials_max = engine->dials_max,
		.tenant_connections_max = kolk__load_relaxed(&engine->tenant_connections_max),
		.tenant_keys_max = kolk__load_relaxed(&engine->tenant_keys_max),
		.maintenance_interval_ns = engine->maintenance_interval_ns,
		.age_ns = kolk__now(engine) - engine->created_ns,
	};
	(void)kolk__sized_write(info, &filled);
	return KOLK_OK;
}

/* ---- pools */

bool kolk__registry_lock_for(struct kolk_pool *pool)
{
	struct kolk_engine *engine = pool->engine;

	KOLK__NO_LOCK();
	if (kolk__is_child(engine))
		return false;
	kolk__take_lock(engine, &engine->registry);
	for (const struct kolk_pool *p = engine->pools; p != NULL; p = p->next)
		if (p == pool)
			return true;
	kolk__give_lock(engine, &engine->registry);
	return false;
}

void kolk__registry_unlock_for(struct kolk_pool *pool)
{
	kolk__give_lock(pool->engine, &pool->engine->registry);
}

/* The registry has the newest first; a number should not change when a pool is added. */
struct kolk_pool *kolk_engine_pool(struct kolk_engine *engine, uint32_t index)
{
	struct kolk_pool *pool;
	uint32_t count = 0;

	if (kolk__is_child(engine))
		return NULL;
	kolk__take_lock(engine, &engine->registry);
	for (pool = engine->pools; pool != NULL; pool = pool->next)
		count++;
	for (pool = engine->pools; pool != NULL && index + 1 != count; pool = pool->next)
		count--;
	kolk__give_lock(engine, &engine->registry);
	return pool;
}

static struct kolk_last_failure last_failure(const struct kolk_failure *failure)
{
	return (struct kolk_last_failure){
		.err = failure->err,
		.err_class = failure->err_class,
		.phase = failure->phase,
		.os_error = failure->os_error,
		.tls_error = failure->tls_error,
		.elapsed_ns = failure->elapsed_ns,
		.field = failure->field,
		.exit_status = failure->exit_status,
		.exit_signal = failure->exit_signal,
	};
}

/* The last failed dial of any key that is still there. Under key.lock. */
static void add_failure(const struct kolk_key *key, struct kolk_pool_info *info)
{
	KOLK__HELD(&key->lock);
	info->dial_failures += key->failures;
	if (key->failed != NULL && key->failed->at_ns >= info->failure_at_ns) {
		info->failure = last_failure(&key->failed->failure);
		info->failure_detail = key->failed->failure.detail;
		info->failure_at_ns = key->failed->at_ns;
	}
}

static void add_failures(struct kolk__walk *walk, struct kolk_pool_info *info)
{
	struct kolk_engine *engine = walk->pool->engine;
	struct kolk_key *key;

	while (kolk__walk_lock(walk)) {
		while ((key = kolk__walk_key(walk)) != NULL) {
			kolk__take_lock(engine, &key->lock);
			add_failure(key, info);
			kolk__give_lock(engine, &key->lock);
		}
		kolk__walk_unlock(walk);
	}
}

static void copy_text(char *to, size_t capacity, const char *from)
{
	size_t size = strnlen(from, capacity - 1);

	memcpy(to, from, size);
	to[size] = 0;
}

enum kolk_err kolk_pool_inspect(struct kolk_pool *pool, struct kolk_pool_info *info)
{
	struct kolk_pool_info filled;
	struct kolk__walk walk;

	if (kolk__sized_size(info) == 0)
		return KOLK_E_OPTIONS;
	if (!kolk__registry_lock_for(pool))
		return KOLK_E_NOT_FOUND;
	kolk__take_lock(pool->engine, &pool->lock);
	filled = (struct kolk_pool_info){
		.size = (uint32_t)sizeof filled,
		.draining = kolk__load_acquire(&pool->state) != KOLK__OPEN,
		.suspended = pool->suspended,
		.isolation = pool->isolation,
		.circuit = kolk__load_relaxed(&pool->health.state),
		.peer_idle_ns = kolk__health_learned_idle_ns(pool),
		.resource = pool->resource,
		.tls = kolk__upstream_is_tls(pool->upstream),
		.connections_max = kolk__setting(pool, connections_max),
		.pool_connections_max = kolk__setting(pool, pool_connections_max),
		.idle_min = kolk__setting(pool, idle_min),
		.idle_max = kolk__setting(pool, idle_max),
		.pool_idle_max = kolk__setting(pool, pool_idle_max),
		.waiters_max = kolk__setting(pool, waiters_max),
		.idle_timeout_ns = kolk__setting(pool, idle_timeout_ns),
		.lifetime_ns = kolk__setting(pool, lifetime_ns),
		.id = kolk__load_relaxed(&pool->key->id),
	};
	copy_text(filled.name, sizeof filled.name, pool->name);
	if (pool->draws_from[0] != NULL)
		copy_text(filled.draws_from, sizeof filled.draws_from, pool->draws_from[0]->name);
	copy_text(filled.address, sizeof filled.address, kolk__upstream_address(pool->upstream));
	kolk__walk_begin_locked(&walk, pool);
	kolk__give_lock(pool->engine, &pool->lock);
	kolk__registry_unlock_for(pool);
	add_failures(&walk, &filled);
	(void)kolk__sized_write(info, &filled);
	return KOLK_OK;
}

void kolk_pool_buckets(struct kolk_pool *pool, enum kolk_metric metric,
		       const uint64_t *bounds_ns, size_t bounds, uint64_t *cumulative,
		       uint64_t *total, uint64_t *sum_ns)
{
	const struct kolk__hist *hist =
		&pool->hists.of[metric == KOLK_METRIC_WAIT  ? KOLK__WAIT_TIME :
				metric == KOLK_METRIC_LEASE ? KOLK__LEASE_TIME : KOLK__DIAL_TIME];

	*total = *sum_ns = 0;
	memset(cumulative, 0, bounds * sizeof cumulative[0]);
	if (!kolk__registry_lock_for(pool))
		return;
	*total = kolk__hist_cumulate(hist, bounds_ns, bounds, cumulative);
	*sum_ns = kolk__load_relaxed(&hist->all.sum);
	kolk__registry_unlock_for(pool);
}

/* ---- keys */

/* The digest's first bytes, as they are shown. */
static uint32_t auth_hash(const struct kolk_key *key)
{
	const uint8_t *at = key->identity + key->scope_size;

	if (at[0] == 0)
		return 0; /* no credential */
	return (uint32_t)at[1] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 8 | at[4];
}

/* What identity.c wrote: length, tenant, 0, length, session, 0, credential or none, digest. */
static void copy_identity(const struct kolk_key *key, struct kolk_key_info *info)
{
	const uint8_t *tenant = key->identity;
	const uint8_t *session = tenant + 1 + tenant[0] + 1;

	memcpy(info->tenant, tenant + 1, (size_t)tenant[0] + 1);
	memcpy(info->session, session + 1, (size_t)session[0] + 1);
	info->has_credential = key->identity[key->scope_size] != 0;
	info->auth_hash = auth_hash(key);
}

/* What the public interface calls pinging: the library has it for a moment. */
static const enum kolk_state public_states[KOLK__STATES] = {
	[KOLK__DIALING] = KOLK_STATE_DIALING,   [KOLK__IDLE] = KOLK_STATE_IDLE,
	[KOLK__LEASED] = KOLK_STATE_LEASED,     [KOLK__BUSY] = KOLK_STATE_LEASED,
	[KOLK__PINGING] = KOLK_STATE_PINGING,   [KOLK__TAKEN] = KOLK_STATE_PINGING,
	[KOLK__RESETTING] = KOLK_STATE_PINGING, [KOLK__CLOSING] = KOLK_STATE_CLOSING,
};

static void count_state(struct kolk_key_info *info, enum kolk_state state)
{
	info->idle += state == KOLK_STATE_IDLE;
	info->leased += state == KOLK_STATE_LEASED;
	info->dialing += state == KOLK_STATE_DIALING;
	info->pinging += state == KOLK_STATE_PINGING;
	info->closing += state == KOLK_STATE_CLOSING;
}

/* What is not of its connections. */
static void key_fill(const struct kolk_key *key, uint64_t now_ns, struct kolk_key_info *info)
{
	const struct kolk__counters *counters;

	KOLK__HELD(&key->lock);
	info->waiting = kolk__waiting(key);
	info->wait_ns = kolk__wait_ns(key);
	info->failures = key->failures;
	info->rotated = kolk__own(&key->refuse_err) == KOLK_E_ROTATED;
	if (key->failed != NULL)
		info->last_err = key->failed->failure.err;
	if (key->first != NULL && key->first->enqueued_ns < now_ns)
		info->oldest_wait_ns = now_ns - key->first->enqueued_ns;
	counters = kolk__load_acquire(&key->counters); /* COUNTS.A1 <- COUNTS.R1 */
	if (counters != NULL)
		info->acquired = kolk__load_relaxed(&counters->uses);
}

/* A part of its connections; the rest with the first (stats.c, add_key). walk.inside = not yet all.
 * Under pool.lock. */
static void key_inspect(struct kolk__walk *walk, struct kolk_key *key, uint64_t now_ns,
			struct kolk_key_info *info)
{
	kolk__atomic_u64 *uses_gone = &walk->conns_gone->uses;
	const struct kolk__conn *conn;

	KOLK__HELD(&kolk__own(&key->pool)->lock);
	kolk__take_lock(key->engine, &key->lock);
	if (walk->first) {
		*info = (struct kolk_key_info){ .id = kolk__own(&key->id),
						.handles = kolk__load_relaxed(&key->handles) };
		copy_identity(key, info);
		key_fill(key, now_ns, info);
		kolk__store_relaxed(uses_gone, 0);
	}
	while ((conn = kolk__walk_conn(walk, key)) != NULL) {
		uint64_t word = kolk__conn_word(conn);

		count_state(info, public_states[kolk__state_of(word)]);
		info->acquired += kolk__conn_uses(conn, word);
	}
	info->open = info->idle + info->leased + info->dialing + info->pinging + info->closing;
	if (!walk->inside)
		info->acquired += kolk__own(uses_gone);
	kolk__give_lock(key->engine, &key->lock);
}

/* Places are remembered, so that a list of very many keys is not walked from its head for each
 * piece: of the KOLK__PLACES lists that were read last. */
static void place_remember(struct kolk_pool *pool, uint64_t after, struct kolk_key *next)
{
	KOLK__HELD(&pool->lock);
	pool->place_last = (pool->place_last + 1) % KOLK__PLACES;
	pool->places[pool->place_last] = (struct kolk__place){ after, next };
}

/* The walk begins where this list was left, if that is known. */
static void place_recall(struct kolk_pool *pool, uint64_t after, struct kolk__walk *walk)
{
	KOLK__HELD(&pool->lock);
	for (int i = 0; i < KOLK__PLACES; i++)
		if (pool->places[i].after == after) {
			walk->next = pool->places[i].next;
			pool->places[i].after = 0;
			return;
		}
}

/* One slice. The walk ends when the array is full. */
static size_t keys_slice(struct kolk__walk *walk, uint64_t *cursor, struct kolk_key_info *keys,
			 size_t capacity)
{
	uint64_t now_ns = kolk__now(walk->pool->engine);
	struct kolk_key *key;
	size_t count = 0;

	while (count < capacity && (key = kolk__walk_key(walk)) != NULL) {
		if (*cursor != 0 && kolk__own(&key->id) >= *cursor)
			continue; /* no place was remembered: up to it */
		key_inspect(walk, key, now_ns, &keys[count]);
		if (walk->inside)
			break;
		count++;
		*cursor = kolk__own(&key->id);
	}
	if (count == capacity) {
		place_remember(walk->pool, *cursor, walk->next);
		kolk__walk_end(walk);
	}
	return count;
}

/* Keys are numbered as they are made and listed newest first, so the number of the last one that
 * was listed says where to go on, whatever was added or removed meanwhile. */
size_t kolk_pool_keys(struct kolk_pool *pool, uint64_t *cursor, struct kolk_key_info *keys,
		      size_t capacity)
{
	struct kolk__counters gone = { .uses = 0 };
	struct kolk__walk walk;
	size_t count = 0;

	if (capacity == 0 || !kolk__registry_lock_for(pool))
		return 0;
	kolk__take_lock(pool->engine, &pool->lock);
	kolk__walk_begin_locked(&walk, pool);
	walk.conns_gone = &gone;
	if (*cursor != 0)
		place_recall(pool, *cursor, &walk);
	kolk__give_lock(pool->engine, &pool->lock);
	kolk__registry_unlock_for(pool);
	while (kolk__walk_lock(&walk)) {
		count += keys_slice(&walk, cursor, keys + count, capacity - count);
		kolk__walk_unlock(&walk);
	}
	return count;
}

/* ---- connections */

static uint64_t since(uint64_t now_ns, uint64_t then_ns)
{
	return now_ns > then_ns ? now_ns - then_ns : 0;
}

static void lease_inspect(const struct kolk__conn *conn, uint64_t now_ns,
			  struct kolk_connection_info *info)
{
	info->leased_ns = since(now_ns, kolk__load_relaxed(&conn->leased_at_ns));
	info->tag = kolk__load_relaxed(&conn->tag);
	info->pinned = (kolk__load_relaxed(&conn->release_flags) & KOLK__PINNED) != 0;
	info->overdue = !info->pinned &&
			info->leased_ns >= kolk__setting(kolk__pool_of(conn), lease_overdue_ns);
}

/* False when it is not this key's any more. */
static bool conn_inspect(struct kolk_key *key, const struct kolk__conn *conn, uint64_t now_ns,
			 struct kolk_connection_info *info)
{
	struct kolk_engine *engine = key->engine;
	const char *tenant;
	enum kolk__state state;
	uint64_t word;
	bool here;

	kolk__take_lock(engine, &key->lock);
	here = kolk__conn_table_has(key, conn);
	if (here) {
		word = kolk__conn_word(conn);
		state = kolk__state_of(word);
		tenant = (const char *)key->identity + 1;
		*info = (struct kolk_connection_info){
			.number = conn->number,
			.key = kolk__own(&key->id),
			.state = public_states[state],
			.loop = kolk__load_relaxed(&conn->home),
			.uses = kolk__conn_uses(conn, word),
			.age_ns = since(now_ns, kolk__load_relaxed(&conn->ready_at_ns)),
			.has_credential = key->identity[key->scope_size] != 0,
			.auth_hash = auth_hash(key),
		};
		if (state == KOLK__IDLE)
			info->idle_ns = since(now_ns, kolk__load_relaxed(&conn->idle_since_ns));
		else if (info->state == KOLK_STATE_LEASED)
			lease_inspect(conn, now_ns, info);
		copy_text(info->pool, sizeof info->pool, kolk__own(&key->pool)->name);
		copy_text(info->tenant, sizeof info->tenant, tenant);
	}
	kolk__give_lock(engine, &key->lock);
	return here;
}

/* The cursor is the index of the next connection. */
size_t kolk_engine_connections(struct kolk_engine *engine, uint64_t *cursor,
			       struct kolk_connection_info *connections, size_t capacity)
{
	uint64_t now_ns;
	size_t count = 0;

	if (kolk__is_child(engine))
		return 0;
	now_ns = kolk__now(engine);
	for (; *cursor < engine->conn_count && count < capacity; ++*cursor) {
		const struct kolk__conn *conn = &engine->conns[*cursor];
		struct kolk_key *key = kolk__load_relaxed(&conn->key);

		if (kolk__conn_state(conn) == KOLK__FREE || key == NULL)
			continue;
		count += conn_inspect(key, conn, now_ns, &connections[count]);
	}
	return count;
}

/* ---- loops */

enum kolk_err kolk_loop_inspect(struct kolk_loop *loop, struct kolk_loop_info *info)
{
	const struct kolk_engine *engine = loop->engine;
	struct kolk_loop_info filled = KOLK_INIT(kolk_loop_info);

	if (kolk__sized_size(info) == 0)
		return KOLK_E_OPTIONS;
	if (kolk__is_child(engine))
		return KOLK_E_FORKED;
	for (uint32_t i = 0; i < engine->conn_count; i++) {
		const struct kolk__conn *conn = &engine->conns[i];
		enum kolk__state state = kolk__conn_state(conn);

		if (state == KOLK__FREE || kolk__load_relaxed(&conn->home) != loop->index)
			continue;
		filled.connections++;
		filled.leased += kolk__is_leased(state);
	}
	filled.active = kolk_loop_is_active(loop);
	filled.unread_bytes = kolk__io_loop_unread(loop->io_loop);
	(void)kolk__sized_write(info, &filled);
	return KOLK_OK;
}

/* ---- words */

const char *kolk_state_name(enum kolk_state state)
{
	static const char *const names[] = { "dialing", "idle", "leased", "pinging", "closing" };

	return (unsigned)state < KOLK_STATES ? names[state] : "unknown";
}

const char *kolk_circuit_name(enum kolk_circuit circuit)
{
	static const char *const names[] = { "closed", "half-open", "open" };

	return (unsigned)circuit <= KOLK_CIRCUIT_OPEN ? names[circuit] : "unknown";
}
