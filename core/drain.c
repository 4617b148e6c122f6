/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drain.c - drain and resume pools: callers are refused, waiters end, idle connections close,
 * leases end or are revoked at the deadline; then the closed event is sent, once. A pool that is
 * not freed can be resumed.
 */
#include "core/drain.h"

#include "core/base/container.h"
#include "core/conn_table.h"
#include "core/draws.h"
#include "core/effects.h"
#include "core/event.h"
#include "core/pool.h"
#include "core/release.h"

/* ---- the steps */

static void sweep_dials(struct kolk_engine *engine)
{
	for (uint32_t i = 0; i < engine->shard_count; i++) {
		kolk__exchange_sc(&engine->shards[i].sweep, 1);
		kolk__io_loop_wake(engine->shards[i].io_loop);
	}
}

bool kolk__revoke(struct kolk__conn *conn)
{
	uint64_t word = kolk__conn_word(conn);

	KOLK__HELD(&kolk__own(&conn->key)->lock);
	/* A socket can be shut down under its holder, memory cannot be freed: wait for a
	 * resource. */
	if (kolk__pool_of(conn)->resource)
		return false;
	/* A ping or a reset that waits for its peer then ends at once. */
	if ((kolk__state_of(word) == KOLK__PINGING || kolk__state_of(word) == KOLK__RESETTING) &&
	    conn->link != NULL)
		kolk__link_revoke(conn->link);
	if (!kolk__is_leased(kolk__state_of(word)))
		return false;
	kolk__store_sc(&conn->revoked, KOLK__REVOKED); /* SC3 */
	if (kolk__conn_try_set(conn, kolk__word_with(word, KOLK__LEASED), KOLK__CLOSING))
		kolk__retire(conn, KOLK_REASON_REVOKED);
	else if (kolk__conn_state(conn) == KOLK__BUSY && conn->link != NULL)
		kolk__link_revoke(conn->link); /* close_task needs our lock: it stays */
	return true;
}

static void key_revoke(struct kolk__walk *walk, struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;
	struct kolk__conn *conn;

	KOLK__HELD(&kolk__own(&key->pool)->lock);
	kolk__take_lock(engine, &key->lock);
	while ((conn = kolk__walk_conn(walk, key)) != NULL)
		(void)kolk__revoke(conn);
	kolk__give_lock(engine, &key->lock);
}

static void revoke_slice(struct kolk__walk *walk)
{
	struct kolk_key *key;

	while ((key = kolk__walk_key(walk)) != NULL)
		key_revoke(walk, key);
}

void kolk__drain_fire(struct kolk__alarm *alarm, uint64_t now_ns)
{
	struct kolk_pool *pool = kolk__container_of(alarm, struct kolk_pool, drain_alarm);
	struct kolk_engine *engine = pool->engine;
	struct kolk__walk walk;

	KOLK__NO_LOCK();
	kolk__drain_waited(pool, true);
	kolk__walk_begin(&walk, pool);
	while (kolk__walk_lock(&walk)) {
		/* Otherwise it has been closed or resumed since the alarm was due, and this memory
		 * may be another pool's. */
		if (kolk__load_acquire(&pool->state) != KOLK__DRAINING)
			kolk__walk_end(&walk);
		else
			revoke_slice(&walk);
		/* A lease that changed its state meanwhile may have been missed: try again. */
		if (walk.next == NULL && kolk__load_acquire(&pool->state) == KOLK__DRAINING &&
		    kolk__load_relaxed(&pool->open) != 0)
			kolk__alarm_arm(engine, alarm, now_ns + 10 * KOLK_MS_NS);
		kolk__walk_unlock(&walk);
	}
}

/* ---- the beginning */

/* Keys that only waiters kept are freed. */
static void refuse_key(void *context, struct kolk__walk *walk, struct kolk_key *key,
		       struct kolk__effects *effects)
{
	const struct kolk_pool *pool = context;

	(void)walk;
	KOLK__HELD(&pool->lock);
	/* The pool may have been resumed since: then this walk does nothing. A key that refuses
	 * already was replaced, and must still refuse after a resume. */
	if (kolk__load_acquire(&pool->state) == KOLK__DRAINING &&
	    kolk__own(&key->refuse_err) == KOLK_OK)
		kolk__key_refuse(key, KOLK_E_DRAINING, effects);
}

enum drains { DRAINS_NOT, DRAINS_ALREADY, DRAINS_NOW, DRAINS_LATER };

/* How a pool is to drain. */
struct drain {
	uint64_t deadline_ns;
	uint64_t drawn_ns; /* how long pools that draw from it are waited for; 0 = not at all */
	bool suspend;
	struct kolk__walk walk;
};

/* Pools that draw from it come first. */
static bool drain_later(struct kolk_pool *pool, const struct drain *drain)
{
	KOLK__HELD(&pool->lock);
	if (drain->drawn_ns == 0 || kolk__load_acquire(&pool->state) != KOLK__OPEN ||
	    !kolk__is_drawn_from(pool))
		return false;
	pool->drain_suspends = drain->suspend && (!pool->drain_waits || pool->drain_suspends);
	if (!pool->drain_waits || drain->deadline_ns < pool->drain_deadline_ns)
		pool->drain_deadline_ns = drain->deadline_ns;
	pool->drain_waits = true;
	if (drain->drawn_ns != KOLK_FOREVER)
		kolk__alarm_arm(pool->engine, &pool->drain_alarm, drain->drawn_ns);
	return true;
}

/* What drains is referenced until that was notified: drain_end. So it is not closed while keys are
 * left that do not refuse. Under pool.lock; the registry may be held. */
static enum drains drain_begin_locked(struct kolk_pool *pool, struct drain *drain)
{
	struct kolk_engine *engine = pool->engine;
	uint64_t deadline_ns = drain->deadline_ns;
	bool first, drains;

	KOLK__HELD(&pool->lock);
	if (drain_later(pool, drain))
		return DRAINS_LATER;
	first = kolk__load_acquire(&pool->state) == KOLK__OPEN;
	pool->suspended = drain->suspend && (first || pool->suspended);
	if (first) {
		pool->drain_waits = false;
		kolk__store_release(&pool->state, KOLK__DRAINING);
		kolk__walk_begin_locked(&drain->walk, pool);
	}
	drains = kolk__load_acquire(&pool->state) == KOLK__DRAINING;
	if (drains && deadline_ns != KOLK_FOREVER)
		kolk__alarm_arm(engine, &pool->drain_alarm, deadline_ns);
	kolk__take_lock(engine, &engine->accounting);
	pool->refs += drains;
	kolk__give_lock(engine, &engine->accounting);
	return first ? DRAINS_NOW : drains ? DRAINS_ALREADY : DRAINS_NOT;
}

static enum drains drain_begin(struct kolk_pool *pool, struct drain *drain)
{
	struct kolk_engine *engine = pool->engine;
	enum drains drains;

	kolk__take_lock(engine, &pool->lock);
	drains = drain_begin_locked(pool, drain);
	kolk__give_lock(engine, &pool->lock);
	return drains;
}

/* All its keys refuse, then that is told. pool is NULL only if nothing drains. */
static void drain_end(struct kolk_pool *pool, enum drains drains, struct kolk__walk *walk)
{
	KOLK__NO_LOCK();
	kolk__walk_run(walk, refuse_key, pool);
	if (drains == DRAINS_NOT || drains == DRAINS_LATER)
		return;
	if (drains == DRAINS_NOW) {
		kolk__log(pool->engine, KOLK_LOG_INFO, "drain", "pool %s drains", pool->name);
		kolk__notify_pool(pool, KOLK_EVENT_DRAINING);
		sweep_dials(pool->engine);
	}
	kolk__pool_unref(pool);
}

/* Those that draw from this pool. */
static void drain_dependants(struct kolk_pool *pool, const struct drain *how)
{
	struct kolk_engine *engine = pool->engine;
	struct kolk__pools_walk pools;
	struct kolk_pool *other;

	kolk__pools_begin(&pools, engine);
	while ((other = kolk__pools_next(&pools)) != NULL) {
		struct drain drain = { .deadline_ns = how->deadline_ns, .suspend = how->suspend,
				       .walk = { .over = true } };
		enum drains drains = DRAINS_NOT;

		if (kolk__draws_has(other, pool))
			drains = drain_begin(other, &drain);
		kolk__give_lock(engine, &engine->registry);
		drain_end(other, drains, &drain.walk);
	}
}

static enum kolk_err drain(struct kolk_pool *pool, uint64_t deadline_ns, bool suspend)
{
	struct drain drain = { .deadline_ns = deadline_ns, .drawn_ns = deadline_ns,
			       .suspend = suspend, .walk = { .over = true } };
	enum drains drains;

	if (kolk__is_child(pool->engine))
		return KOLK_E_FORKED;
	drains = drain_begin(pool, &drain);
	drain_end(pool, drains, &drain.walk);
	if (drains == DRAINS_LATER)
		drain_dependants(pool, &drain);
	return KOLK_OK;
}

void kolk__drain_waited(struct kolk_pool *pool, bool now)
{
	struct kolk_engine *engine = pool->engine;
	struct drain drain = { .walk = { .over = true } };
	enum drains drains = DRAINS_NOT;

	KOLK__NO_LOCK();
	kolk__take_lock(engine, &pool->lock);
	if (pool->drain_waits && (now || !kolk__is_drawn_from(pool))) {
		drain.deadline_ns = pool->drain_deadline_ns;
		drain.suspend = pool->drain_suspends;
		drains = drain_begin_locked(pool, &drain);
	}
	kolk__give_lock(engine, &pool->lock);
	drain_end(pool, drains, &drain.walk);
}

enum kolk_err kolk_pool_drain(struct kolk_pool *pool, uint64_t deadline_ns)
{
	return drain(pool, deadline_ns, false);
}

enum kolk_err kolk_pool_suspend(struct kolk_pool *pool, uint64_t deadline_ns)
{
	return drain(pool, deadline_ns, true);
}

/* A pool that drains is referenced before the registry is given back, because another thread may
 * close it. */
void kolk__drain_all(struct kolk_engine *engine, uint64_t deadline_ns, uint64_t drawn_deadline_ns)
{
	struct kolk__pools_walk pools;
	struct kolk_pool *pool;

	kolk__pools_begin(&pools, engine);
	while ((pool = kolk__pools_next(&pools)) != NULL) {
		struct drain drain = { .deadline_ns = deadline_ns, .drawn_ns = drawn_deadline_ns,
				       .walk = { .over = true } };
		enum drains drains = drain_begin(pool, &drain);

		kolk__give_lock(engine, &engine->registry);
		drain_end(pool, drains, &drain.walk);
	}
}

enum kolk_err kolk_engine_drain(struct kolk_engine *engine, uint64_t deadline_ns)
{
	if (kolk__is_child(engine))
		return KOLK_E_FORKED;
	kolk__drain_all(engine, deadline_ns, deadline_ns);
	return KOLK_OK;
}

/* ---- and back */

static void accept_key(void *context, struct kolk__walk *walk, struct kolk_key *key,
		       struct kolk__effects *effects)
{
	const struct kolk_pool *pool = context;

	(void)walk;
	KOLK__HELD(&pool->lock);
	/* It may drain again by now: then this walk is void. */
	if (kolk__load_acquire(&pool->state) != KOLK__OPEN)
		return;
	if (kolk__own(&key->refuse_err) == KOLK_E_DRAINING)
		kolk__store_release(&key->refuse_err, KOLK_OK);
	effects->todo |= KOLK__DISPATCH | KOLK__DIAL;
}

enum kolk_err kolk_pool_resume(struct kolk_pool *pool)
{
	struct kolk_engine *engine = pool->engine;
	struct kolk__walk walk = { .over = true };
	uint32_t state;

	if (kolk__is_child(engine))
		return KOLK_E_FORKED;
	kolk__take_lock(engine, &engine->registry); /* of what it draws from */
	kolk__take_lock(engine, &pool->lock);
	state = kolk__load_acquire(&pool->state);
	if (state == KOLK__OPEN && pool->drain_waits) {
		pool->drain_waits = false;
		kolk__alarm_disarm(engine, &pool->drain_alarm);
	}
	if (state == KOLK__DRAINING || state == KOLK__CLOSED) {
		if (state == KOLK__CLOSED) {
			kolk__add_acq_rel(&engine->pools_open, 1);
			kolk__draws_resumed(pool);
		}
		pool->suspended = false;
		kolk__alarm_disarm(engine, &pool->drain_alarm);
		kolk__store_release(&pool->state, KOLK__OPEN);
		kolk__walk_begin_locked(&walk, pool);
	}
	kolk__give_lock(engine, &pool->lock);
	kolk__give_lock(engine, &engine->registry);
	kolk__walk_run(&walk, accept_key, pool);
	if (state == KOLK__NOTIFYING)
		return KOLK_E_IN_USE;
	if (state != KOLK__OPEN)
		kolk__log(engine, KOLK_LOG_INFO, "drain", "pool %s is resumed", pool->name);
	return KOLK_OK;
}

/* ---- waiting for it */

bool kolk_pool_is_closed(struct kolk_pool *pool)
{
	return kolk__load_acquire(&pool->state) == KOLK__CLOSED;
}

bool kolk_engine_is_closed(struct kolk_engine *engine)
{
	return kolk__load_acquire(&engine->pools_open) == 0;
}

/* Wait until this pool (or, NULL, every pool) is closed. */
static enum kolk_err wait_closed(struct kolk_engine *engine, struct kolk_pool *pool,
				 uint64_t deadline_ns)
{
	const struct kolk_sys *sys = engine->sys;

	KOLK__NO_LOCK();
	if (kolk__is_child(engine))
		return KOLK_E_FORKED;
	if (kolk__on_loop(engine))
		return KOLK_E_THREAD;
	for (bool late = false;;) {
		uint32_t open = kolk__load_acquire(&engine->pools_open);

		if (pool != NULL ? kolk_pool_is_closed(pool) : open == 0)
			return KOLK_OK;
		if (late)
			return KOLK_E_TIMEOUT;
		late = !sys->wait(sys->context, kolk__futex(&engine->pools_open), open, deadline_ns);
	}
}

enum kolk_err kolk_engine_wait_closed(struct kolk_engine *engine, uint64_t deadline_ns)
{
	return wait_closed(engine, NULL, deadline_ns);
}

enum kolk_err kolk_pool_close(struct kolk_pool *pool, uint64_t deadline_ns)
{
	struct kolk_engine *engine = pool->engine;
	enum kolk_err err;

	if (kolk__on_loop(engine))
		return KOLK_E_THREAD;
	err = kolk_pool_drain(pool, deadline_ns);
	/* The revoked ones still have to be closed: give them a moment beyond the deadline. */
	if (err == KOLK_OK)
		err = wait_closed(engine, pool, deadline_ns == KOLK_FOREVER ? KOLK_FOREVER :
				  kolk__now(engine) > deadline_ns ?
				  kolk__now(engine) + KOLK_S_NS : deadline_ns + KOLK_S_NS);
	if (err == KOLK_OK)
		kolk__pool_free(pool);
	return err;
}
