/* SPDX-License-Identifier: Apache-2.0 */
/* dial_test.c - dial.c, acquire.c, warm.c: dial or wait, and for how long; surplus, warming,
 * clearing. */
#include "tests/unit/learn.h"

#include "core/conn_table.h"
#include "core/dial.h"
#include "core/effects.h"
#include "core/engine.h"
#include "core/release.h"

/* ---- dial or wait, and for how long */

/* As if leases and dials had been measured. */
static void measured(struct kolk_key *key, uint64_t lease_ns, uint64_t dial_ns)
{
	kolk__store_relaxed(&key->lease_ewma_us, (uint32_t)(lease_ns / KOLK_US_NS));
	key->dial_ewma_us = (uint32_t)(dial_ns / KOLK_US_NS);
}

static void a_lease_that_is_back_soon_is_waited_for(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_limits l = KOLK_INIT(kolk_pool_limits);
	struct kolk_lease lease;
	struct caller callers[2];
	uint64_t dialled;

	l.idle_min = KOLK_NONE;
	assert_int_equal(kolk_pool_limits_set(fix->pool, &l), KOLK_OK);
	assert_int_equal(take(fix, fix->key, &lease), KOLK_OK);
	fixture_run(fix, 10 * KOLK_MS_NS);
	dialled = stats_of(fix->pool).dialled;
	measured(fix->key, 2 * KOLK_MS_NS, 50 * KOLK_MS_NS);
	assert_int_equal(begin(fix, &callers[0], fix->key, KOLK_S_NS), KOLK_PENDING);
	fixture_run(fix, 2 * KOLK_MS_NS);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	fixture_run(fix, 2 * KOLK_MS_NS);
	assert_int_equal(callers[0].err, KOLK_OK);
	assert_int_equal(stats_of(fix->pool).dialled, dialled);
	/* It is not back within the time of a dial: then one is made. */
	assert_int_equal(begin(fix, &callers[1], fix->key, KOLK_S_NS), KOLK_PENDING);
	fixture_run(fix, 49 * KOLK_MS_NS);
	assert_int_equal(stats_of(fix->pool).dialled, dialled);
	fixture_run(fix, 10 * KOLK_MS_NS);
	assert_int_equal(stats_of(fix->pool).dialled, dialled + 1);
	assert_int_equal(callers[1].err, KOLK_OK);
	assert_int_equal(kolk_release(&callers[0].lease), KOLK_OK);
	assert_int_equal(kolk_release(&callers[1].lease), KOLK_OK);
}

static void eager_pools_dial_at_once(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_lease lease;
	struct caller caller;
	struct kolk_pool *pool;

	o.name = "eager";
	o.address = "192.0.2.5:7";
	o.idle_min = KOLK_NONE;
	o.eager_dials = 1;
	pool = pool_of(fix, &o);
	assert_int_equal(take(fix, kolk_pool_key(pool), &lease), KOLK_OK);
	measured(kolk_pool_key(pool), KOLK_MS_NS, 50 * KOLK_MS_NS);
	assert_int_equal(begin(fix, &caller, kolk_pool_key(pool), KOLK_S_NS), KOLK_PENDING);
	assert_int_equal(stats_of(pool).dialled, 2);
	fixture_run(fix, 20 * KOLK_MS_NS);
	assert_int_equal(caller.err, KOLK_OK);
	assert_int_equal(kolk_release(&caller.lease), KOLK_OK);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
}

static void a_hopeless_wait_is_refused(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_lease lease;
	struct caller caller;
	struct kolk_pool *pool;
	struct kolk_key *key;

	o.name = "narrow";
	o.address = "192.0.2.6:7";
	o.connections_max = 1;
	pool = pool_of(fix, &o);
	key = kolk_pool_key(pool);
	assert_int_equal(take(fix, key, &lease), KOLK_OK);
	measured(key, 0, 0); /* nothing is known: no caller is refused */
	assert_int_equal(kolk_key_wait_ns(key), 0);
	assert_int_equal(begin(fix, &caller, key, KOLK_MS_NS), KOLK_PENDING);
	fixture_run(fix, 5 * KOLK_MS_NS);
	assert_int_equal(caller.err, KOLK_E_TIMEOUT);
	measured(key, 100 * KOLK_MS_NS, 5 * KOLK_MS_NS);
	assert_int_equal(kolk_key_wait_ns(key), 100 * KOLK_MS_NS);
	assert_int_equal(begin(fix, &caller, key, 20 * KOLK_MS_NS), KOLK_E_DEADLINE);
	assert_int_equal(stats_of(pool).rejected, 1);
	assert_int_equal(begin(fix, &caller, key, 80 * KOLK_MS_NS), KOLK_PENDING);
	assert_int_equal(kolk_key_wait_ns(key), 200 * KOLK_MS_NS);
	assert_int_equal(kolk_acquire_cancel(&caller.acquire), KOLK_OK);
	o.hopeless_waits = 1;
	assert_int_equal(kolk_pool_update(pool, &o), KOLK_OK);
	assert_int_equal(begin(fix, &caller, key, 20 * KOLK_MS_NS), KOLK_PENDING);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	fixture_run(fix, KOLK_MS_NS);
	assert_int_equal(kolk_release(&caller.lease), KOLK_OK);
	assert_int_equal(kolk_key_wait_ns(key), 0);
}

/* Behind a caller that waits for a dial others may wait; behind one that waits for a lease they would
 * have no turn of their own. */
static void what_a_caller_waits_for(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_pool_limits total = KOLK_INIT(kolk_pool_limits);
	struct caller first, second;
	struct kolk_pool *pool;
	struct kolk_key *key, *other;

	o.name = "narrow";
	o.address = "192.0.2.6:7";
	o.connections_max = 1;
	pool = pool_of(fix, &o);
	key = kolk_pool_key(pool);
	assert_int_equal(begin(fix, &first, key, KOLK_S_NS), KOLK_PENDING);
	assert_false(kolk_acquire_waits_for_lease(&first.acquire)); /* it dials */
	assert_int_equal(begin(fix, &second, key, KOLK_S_NS), KOLK_PENDING);
	for (int i = 0; i < 1000 && stats_of(pool).waiting == 2; i++) {
		assert_false(kolk_acquire_waits_for_lease(&first.acquire));
		fixture_run(fix, 10 * KOLK_US_NS);
	}
	/* Its connection is there, its callback may be still to come. */
	assert_false(kolk_acquire_waits_for_lease(&first.acquire));
	assert_true(kolk_acquire_waits_for_lease(&second.acquire));
	fixture_run(fix, KOLK_MS_NS);
	assert_int_equal(first.err, KOLK_OK);
	assert_false(kolk_acquire_waits_for_lease(&first.acquire)); /* it does not wait */
	assert_int_equal(kolk_release(&first.lease), KOLK_OK);
	assert_false(kolk_acquire_waits_for_lease(&second.acquire));
	fixture_run(fix, KOLK_MS_NS);
	assert_int_equal(second.err, KOLK_OK);

	/* A limit above the key's own. */
	total.connections_max = 5;
	total.pool_connections_max = 1;
	assert_int_equal(kolk_pool_limits_set(pool, &total), KOLK_OK);
	other = key_of(pool, "a");
	assert_int_equal(begin(fix, &first, other, KOLK_S_NS), KOLK_PENDING);
	assert_true(kolk_acquire_waits_for_lease(&first.acquire));
	assert_int_equal(kolk_acquire_cancel(&first.acquire), KOLK_OK);
	assert_false(kolk_acquire_waits_for_lease(&first.acquire));
	assert_int_equal(kolk_release(&second.lease), KOLK_OK);
	kolk_key_close(other);
}

/* It lay idle, and was pinged when a caller came: that one waited, but not for its dial. */
static void what_was_ready_before_its_caller_is_reused(void **state)
{
	struct fixture *fix = *state;
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_pool *pool;
	struct kolk_key *key;
	struct caller caller;
	uint32_t at = 0, steps = 64;
	struct kolk__conn *conn;

	o.name = "kept";
	o.address = "192.0.2.3:7";
	o.driver = kolk_driver_redis_ping();
	o.connections_max = o.idle_min = 1;
	pool = pool_of(fix, &o);
	key = kolk_pool_key(pool);
	assert_int_equal(kolk_key_warm(key, 0), KOLK_OK);
	fixture_run(fix, KOLK_S_NS);
	kolk__take_lock(fix->engine, &key->lock);
	conn = kolk__conn_next(key, &at, &steps);
	kolk__give_lock(fix->engine, &key->lock);
	assert_non_null(conn);
	assert_true(kolk__take_to_ping(conn));
	assert_int_equal(begin(fix, &caller, key, KOLK_S_NS), KOLK_PENDING);
	kolk__ping(conn);
	fixture_run(fix, 100 * KOLK_MS_NS);
	assert_int_equal(caller.err, KOLK_OK);
	assert_ptr_equal(caller.lease.connection, conn);
	assert_int_equal(kolk_lease_info(&caller.lease, &info), KOLK_OK);
	assert_true(info.uses == 1 && info.reused == 1);
	assert_int_equal(kolk_discard(&caller.lease), KOLK_OK);
	/* The next one is dialled for a caller. */
	assert_int_equal(begin(fix, &caller, key, KOLK_S_NS), KOLK_PENDING);
	fixture_run(fix, 100 * KOLK_MS_NS);
	assert_int_equal(caller.err, KOLK_OK);
	assert_int_equal(kolk_lease_info(&caller.lease, &info), KOLK_OK);
	assert_true(info.uses == 1 && info.reused == 0);
	assert_int_equal(kolk_release(&caller.lease), KOLK_OK);
}

/* Callers whose deadlines are shorter than a dial are refused, but not for ever. */
static void a_refused_caller_dials_for_the_next(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_limits l = KOLK_INIT(kolk_pool_limits);
	struct caller caller;

	l.idle_min = KOLK_NONE;
	assert_int_equal(kolk_pool_limits_set(fix->pool, &l), KOLK_OK);
	measured(fix->key, 0, 100 * KOLK_MS_NS);
	assert_int_equal(begin(fix, &caller, fix->key, 10 * KOLK_MS_NS), KOLK_E_DEADLINE);
	fixture_run(fix, 20 * KOLK_MS_NS);
	assert_int_equal(begin(fix, &caller, fix->key, 10 * KOLK_MS_NS), KOLK_OK);
	assert_int_equal(kolk_release(&caller.lease), KOLK_OK);
}

/* ---- surplus, warm, clear */

static void the_surplus_of_a_burst_leaves_one_by_one(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_limits l = KOLK_INIT(kolk_pool_limits);
	struct kolk_lease leases[8];
	uint32_t before, most = 0;

	l.connections_max = 8;
	l.idle_min = 2;
	l.idle_timeout_ns = 10 * KOLK_S_NS;
	assert_int_equal(kolk_pool_limits_set(fix->pool, &l), KOLK_OK);
	for (int i = 0; i < 8; i++)
		assert_int_equal(take(fix, fix->key, &leases[i]), KOLK_OK);
	for (int i = 0; i < 8; i++)
		assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
	fixture_run(fix, 9900 * KOLK_MS_NS);
	assert_int_equal(stats_of(fix->pool).open, 8);
	for (int i = 0; i < 27; i++) {
		before = stats_of(fix->pool).open;
		fixture_run(fix, 100 * KOLK_MS_NS);
		before -= stats_of(fix->pool).open;
		most = before > most ? before : most;
		if (i == 10) /* half-way: not all at once */
			assert_true(stats_of(fix->pool).open > 2 && stats_of(fix->pool).open < 7);
	}
	assert_int_equal(most, 1);
	assert_int_equal(stats_of(fix->pool).open, 2);
	assert_int_equal(stats_of(fix->pool).destroyed[KOLK_REASON_IDLE_TIMEOUT], 6);
}

/* What was told to go at its time, and is used before that, is told anew. */
static void surplus_that_was_used_leaves_one_by_one(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_limits l = KOLK_INIT(kolk_pool_limits);
	struct kolk_lease leases[8];
	uint32_t before, most = 0;

	l.connections_max = 8;
	l.idle_min = KOLK_NONE;
	l.idle_timeout_ns = 10 * KOLK_S_NS;
	assert_int_equal(kolk_pool_limits_set(fix->pool, &l), KOLK_OK);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 8; i++)
			assert_int_equal(take(fix, fix->key, &leases[i]), KOLK_OK);
		for (int i = 0; i < 8; i++)
			assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
		fixture_run(fix, (round == 0 ? 10100 : 9900) * KOLK_MS_NS);
	}
	for (int i = 0; i < 40; i++) {
		before = stats_of(fix->pool).open;
		fixture_run(fix, 100 * KOLK_MS_NS);
		before -= stats_of(fix->pool).open;
		most = before > most ? before : most;
	}
	assert_int_equal(most, 1);
	assert_int_equal(stats_of(fix->pool).open, 0);
}

static uint32_t idle_of(struct kolk_key *key)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	assert_int_equal(kolk_key_stats(key, &stats), KOLK_OK);
	return stats.idle;
}

static void a_tenant_is_warmed_in_every_pool(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool *second = kept_at_one(fix);
	struct kolk_key *here = key_of(fix->pool, "a"), *there = key_of(second, "a"),
			*other = key_of(fix->pool, "b");
	uint64_t deadline_ns = kolk__sim_now(fix->sim) + KOLK_S_NS;

	assert_int_equal(kolk_tenant_warm(fix->engine, "nobody", deadline_ns), KOLK_E_NOT_FOUND);
	assert_int_equal(kolk_tenant_warm(fix->engine, "a", deadline_ns), KOLK_OK);
	assert_true(idle_of(here) == 2 && idle_of(there) == 1 && idle_of(other) == 0);
	kolk__sim_chance(fix->sim, KOLK__SIM_REFUSED, 65536);
	assert_int_equal(kolk_tenant_warm(fix->engine, "b", deadline_ns), KOLK_E_CONN_REFUSED);
	kolk_key_close(here);
	kolk_key_close(there);
	kolk_key_close(other);
}

static size_t cleared(struct fixture *fix, const char *pool, const char *tenant, uint64_t idle_ns)
{
	struct kolk_filter filter = KOLK_INIT(kolk_filter);
	size_t count;

	filter.pool = pool;
	filter.tenant = tenant;
	filter.idle_ns = idle_ns;
	count = kolk_engine_clear(fix->engine, &filter);
	fixture_run(fix, 20 * KOLK_MS_NS);
	return count;
}

/* A dial of a pool that nobody warms costs no system call for that. */
static void a_change_wakes_those_that_wait_for_warm(void **state)
{
	struct fixture *fix = *state;
	KOLK__EFFECTS(effects);

	kolk__key_lock(fix->key, &effects, kolk__now(fix->engine));
	kolk__key_changed(fix->key, &effects);
	assert_int_equal(effects.wake_count, 0);
	fix->key->awaited = true; /* as kolk_key_warm has it before it sleeps */
	kolk__key_changed(fix->key, &effects);
	assert_int_equal(effects.wake_count, 1);
	kolk__key_changed(fix->key, &effects);
	assert_int_equal(effects.wake_count, 1);
	kolk__key_unlock(&effects);
}

static void what_is_cleared_is_what_was_meant(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool *second = kept_at_one(fix);
	struct kolk_key *here = key_of(fix->pool, "a"), *there = key_of(second, "a");
	struct kolk_pool_limits l = KOLK_INIT(kolk_pool_limits);

	l.idle_min = KOLK_NONE;
	assert_int_equal(kolk_pool_limits_set(fix->pool, &l), KOLK_OK);
	assert_int_equal(kolk_pool_limits_set(second, &l), KOLK_OK);
	for (int round = 0; round < 5; round++) {
		assert_int_equal(acquire_result(fix, fix->key), KOLK_OK);
		assert_int_equal(acquire_result(fix, there), KOLK_OK);
		fixture_run(fix, 100 * KOLK_MS_NS);
		assert_int_equal(acquire_result(fix, here), KOLK_OK);
		assert_int_equal(stats_of(fix->pool).idle + stats_of(second).idle, 3);
		switch (round) {
		case 0:
			assert_int_equal(cleared(fix, "nowhere", NULL, 0), 0);
			assert_int_equal(cleared(fix, NULL, "nobody", 0), 0);
			assert_int_equal(cleared(fix, NULL, NULL, KOLK_S_NS), 0);
			assert_int_equal(cleared(fix, "test", NULL, 0), 2);
			assert_int_equal(idle_of(there), 1);
			break;
		case 1:
			assert_int_equal(cleared(fix, NULL, "a", 0), 2);
			assert_int_equal(idle_of(fix->key), 1);
			break;
		case 2:
			assert_int_equal(cleared(fix, NULL, "", 0), 1);
			assert_int_equal(idle_of(fix->key), 0);
			break;
		case 3:
			assert_int_equal(cleared(fix, NULL, NULL, 90 * KOLK_MS_NS), 2);
			assert_int_equal(idle_of(here), 1);
			break;
		default:
			assert_int_equal(cleared(fix, "test", "a", 0), 1);
			assert_int_equal(cleared(fix, NULL, NULL, 0), 2);
		}
	}
	kolk_key_close(here);
	kolk_key_close(there);
}

/* ---- many at once */

enum { BURST = 200, AT_ONCE = 64 };

/* Another engine, which allows them all, and a pool that allows one. */
static void open_burst(struct fixture *fix)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);

	e.loops = 1;
	e.loop_owner = KOLK_LOOPS_EMBEDDER;
	e.connections_max = e.tenant_connections_max = e.dials_max = BURST;
	e.sys = kolk__sim_sys(fix->sim);
	p.name = "burst";
	p.address = "192.0.2.1:7";
	p.connections_max = 1;
	p.pool_connections_max = p.dials_max = p.waiters_max = BURST;
	p.hopeless_waits = 1;
	assert_int_equal(kolk_engine_create(&e, &fix->engine), KOLK_OK);
	fix->pool = pool_of(fix, &p);
	fix->key = kolk_pool_key(fix->pool);
}

/* They may all be dialled for when the limit is raised. */
static void dials_begin_a_slice_at_a_time(void **state)
{
	static struct caller callers[BURST];
	struct fixture *fix = *state, before = *fix;
	struct kolk_pool_limits l = KOLK_INIT(kolk_pool_limits);
	struct watch watch;

	open_burst(fix);
	for (int i = 0; i < BURST; i++)
		assert_int_equal(begin(fix, &callers[i], fix->key, KOLK_S_NS), KOLK_PENDING);
	watch_begin(fix, &watch, &fix->key->dialing);
	l.connections_max = BURST;
	assert_int_equal(kolk_pool_limits_set(fix->pool, &l), KOLK_OK);
	fixture_run(fix, 20 * KOLK_MS_NS);
	fix->engine->on_lock = NULL;
	assert_in_range(watch.most, 1, AT_ONCE);
	for (int i = 0; i < BURST; i++) {
		assert_int_equal(callers[i].err, KOLK_OK);
		assert_int_equal(kolk_release(&callers[i].lease), KOLK_OK);
	}
	assert_int_equal(stats_of(fix->pool).dialled, BURST);
	assert_int_equal(kolk_check(fix->engine, NULL), KOLK_OK);
	assert_int_equal(kolk_engine_destroy(fix->engine), KOLK_OK);
	*fix = before;
}

static const struct CMUnitTest tests[] = {
	T(a_lease_that_is_back_soon_is_waited_for),
	T(eager_pools_dial_at_once),
	T(a_hopeless_wait_is_refused),
	T(what_a_caller_waits_for),
	T(what_was_ready_before_its_caller_is_reused),
	T(a_refused_caller_dials_for_the_next),
	T(the_surplus_of_a_burst_leaves_one_by_one),
	T(surplus_that_was_used_leaves_one_by_one),
	T(a_tenant_is_warmed_in_every_pool),
	T(a_change_wakes_those_that_wait_for_warm),
	T(what_is_cleared_is_what_was_meant),
	T(dials_begin_a_slice_at_a_time),
};

CMOCKA_TESTS(dial, tests);
