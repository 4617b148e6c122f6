/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probation_test.c - probation.c: connections that the peer closes early. There are no callers, and
 * what keeps a pool warm must not dial without end, nor call that healthy.
 */
#include "tests/unit/unit.h"

#include <string.h>

#include "core/conn_table.h"
#include "core/dial.h"
#include "core/engine.h"
#include "core/release.h"

/* In ten seconds of back-offs between 100 ms and 2 s: far from thousands. */
enum { FEW = 60, KEPT = 2 };

static struct kolk_pool_options options_of(void)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	o.name = "probation";
	o.address = "192.0.2.7:7";
	o.connections_max = 4;
	o.idle_min = KEPT;
	return o;
}

static struct kolk_pool *warm_pool(struct fixture *fix, const struct kolk_pool_options *o)
{
	struct kolk_pool *pool = pool_of(fix, o);

	assert_int_equal(kolk_key_warm(kolk_pool_key(pool), 0), KOLK_OK);
	return pool;
}

/* Few dials, each of which counts as failed but those that were there, and those that died along
 * with the first, and the circuit knows. */
static void must_hold_back(struct kolk_pool *pool)
{
	struct kolk_stats stats = stats_of(pool);

	assert_in_range(stats.dialled, 5, FEW);
	assert_true(stats.dial_failed + 2 * KEPT >= stats.dialled);
	assert_int_not_equal(info_of(pool).circuit, KOLK_CIRCUIT_CLOSED);
	assert_true(info_of(pool).dial_failures > 0);
}

/* It stays now: full again, and nothing is left of it. */
static void must_recover(struct fixture *fix, struct kolk_pool *pool)
{
	uint64_t dialled = stats_of(pool).dialled;

	fixture_run(fix, 10 * KOLK_S_NS);
	assert_int_equal(stats_of(pool).idle, KEPT);
	assert_true(stats_of(pool).dialled - dialled <= KEPT + 1);
	assert_int_equal(info_of(pool).circuit, KOLK_CIRCUIT_CLOSED);
	assert_int_equal(info_of(pool).dial_failures, 0);
}

static void a_peer_that_hangs_up_is_left_alone(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = options_of();
	struct kolk_pool *pool;

	kolk__sim_chance(fix->sim, KOLK__SIM_HANG_UP, 65536);
	pool = warm_pool(fix, &o);
	fixture_run(fix, 10 * KOLK_S_NS);
	must_hold_back(pool);
	kolk__sim_chance(fix->sim, KOLK__SIM_HANG_UP, 0);
	must_recover(fix, pool);
}

/* The first exchange goes well: the dial is over, and then the peer closes. */
static void one_that_greets_first_is_too(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = options_of();
	struct kolk_pool *pool;

	o.driver = kolk_driver_redis_ping();
	kolk__sim_chance(fix->sim, KOLK__SIM_EOF, 65536);
	pool = warm_pool(fix, &o);
	fixture_run(fix, 10 * KOLK_S_NS);
	must_hold_back(pool);
	kolk__sim_chance(fix->sim, KOLK__SIM_EOF, 0);
	must_recover(fix, pool);
}

/* Warm and well for a while; then its peer closes what is there and what follows. */
static void a_refill_holds_back_too(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = options_of();
	struct kolk_pool *pool = warm_pool(fix, &o);

	fixture_run(fix, 3 * KOLK_S_NS);
	assert_int_equal(stats_of(pool).idle, KEPT);
	kolk__sim_chance(fix->sim, KOLK__SIM_HANG_UP, 65536);
	assert_int_equal(kolk_pool_clear(pool), KEPT);
	fixture_run(fix, 10 * KOLK_S_NS);
	must_hold_back(pool);
	kolk__sim_chance(fix->sim, KOLK__SIM_HANG_UP, 0);
	must_recover(fix, pool);
}

/* A server that restarts ends all at once and is back at once: one event, and the circuit stays as it
 * is. */
static void a_restart_is_one_failure(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = options_of();
	struct kolk_pool *pool;

	o.idle_min = o.connections_max = 8;
	kolk__sim_idle_limit(fix->sim, 100 * KOLK_MS_NS);
	pool = warm_pool(fix, &o);
	fixture_run(fix, 50 * KOLK_MS_NS);
	assert_int_equal(stats_of(pool).idle, 8);
	while (stats_of(pool).stale_discarded == 0)
		fixture_run(fix, KOLK_MS_NS);
	kolk__sim_idle_limit(fix->sim, 0);
	fixture_run(fix, 50 * KOLK_MS_NS);
	assert_int_equal(stats_of(pool).dial_failed, 1);
	assert_int_equal(info_of(pool).circuit, KOLK_CIRCUIT_CLOSED);
	fixture_run(fix, 10 * KOLK_S_NS);
	assert_int_equal(stats_of(pool).idle, 8);
	assert_int_equal(stats_of(pool).dial_failed, 1);
}

static void eager_pools_hold_back_too(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = options_of();
	struct kolk_pool *pool;

	o.eager_dials = true;
	kolk__sim_chance(fix->sim, KOLK__SIM_HANG_UP, 65536);
	pool = warm_pool(fix, &o);
	fixture_run(fix, 10 * KOLK_S_NS);
	must_hold_back(pool);
}

/* ---- a resource that is made, and then does not work */

static enum kolk_err sick_create(void *user, void **resource)
{
	*resource = user;
	return KOLK_OK;
}

static enum kolk_err sick_validate(void *user, void *resource)
{
	const bool *sick = user;

	(void)resource;
	return *sick ? KOLK_E_RESOURCE : KOLK_OK;
}

static const struct kolk_resource_driver sick_driver = {
	.size = sizeof sick_driver, .name = "sick", .create = sick_create,
	.validate = sick_validate,
};

static void one_whose_ping_fails_is_left_alone(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = options_of();
	struct kolk_pool *pool;
	bool sick = true;

	o.address = NULL;
	o.resource = &sick_driver;
	o.driver_user = &sick;
	o.ping_interval_ns = 10 * KOLK_MS_NS;
	pool = warm_pool(fix, &o);
	fixture_run(fix, 10 * KOLK_S_NS);
	must_hold_back(pool);
	sick = false;
	must_recover(fix, pool);
}

/* ---- what proves a connection, and what does not */

static void put_on_probation(struct fixture *fix, struct kolk_pool *pool)
{
	kolk__sim_chance(fix->sim, KOLK__SIM_HANG_UP, 65536);
	assert_int_equal(kolk_key_warm(kolk_pool_key(pool), 0), KOLK_OK);
	fixture_run(fix, 15 * KOLK_MS_NS);
	assert_true(info_of(pool).dial_failures > 0);
	kolk__sim_chance(fix->sim, KOLK__SIM_HANG_UP, 0);
}

static void run_until_idle(struct fixture *fix, struct kolk_pool *pool)
{
	for (int i = 0; i < 100 && stats_of(pool).idle == 0; i++)
		fixture_run(fix, 10 * KOLK_MS_NS);
	assert_int_equal(stats_of(pool).idle, 1); /* one at a time */
}

static void a_lease_that_ends_well_proves_it(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = options_of();
	struct kolk_lease lease;
	struct kolk_pool *pool;
	char back[4];
	size_t got;

	o.circuit_failures = 100;
	assert_int_equal(kolk_pool_add(fix->engine, &o, &pool), KOLK_OK);
	put_on_probation(fix, pool);
	run_until_idle(fix, pool);
	assert_int_equal(kolk_try_acquire(kolk_pool_key(pool), &lease), KOLK_OK);
	assert_int_equal(kolk_send_all(&lease, "echo", 4, KOLK_FOREVER), KOLK_OK);
	assert_int_equal(kolk_recv(&lease, back, 4, KOLK_FOREVER, &got), KOLK_OK);
	assert_true(info_of(pool).dial_failures > 0);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	assert_int_equal(info_of(pool).dial_failures, 0);
	fixture_run(fix, 30 * KOLK_MS_NS);
	assert_int_equal(stats_of(pool).idle, KEPT); /* the other, at once */
}

/* A lease that is kept for long: its driver says that the peer has answered. */
static void an_answer_within_a_lease_proves_it(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = options_of();
	struct kolk_lease lease;
	struct kolk_pool *pool;
	uint64_t failed;

	o.circuit_failures = 100;
	assert_int_equal(kolk_pool_add(fix->engine, &o, &pool), KOLK_OK);
	put_on_probation(fix, pool);
	run_until_idle(fix, pool);
	failed = stats_of(pool).dial_failed;
	assert_int_equal(kolk_try_acquire(kolk_pool_key(pool), &lease), KOLK_OK);
	assert_true(info_of(pool).dial_failures > 0);
	assert_int_equal(kolk_lease_served(&lease), KOLK_OK);
	assert_int_equal(info_of(pool).dial_failures, 0);
	assert_int_equal(kolk_lease_served(&lease), KOLK_OK); /* again: nothing more */
	fixture_run(fix, 30 * KOLK_MS_NS);
	assert_int_equal(stats_of(pool).idle, KEPT - 1); /* the other, at once */
	assert_int_equal(kolk_discard_for(&lease, KOLK_REASON_PEER_RESET), KOLK_OK);
	assert_int_equal(kolk_lease_served(&lease), KOLK_E_LEASE_STALE);
	fixture_run(fix, 30 * KOLK_MS_NS);
	assert_int_equal(stats_of(pool).dial_failed, failed);
}

static void age_proves_it(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = options_of();
	struct kolk_pool *pool;

	o.circuit_failures = 100;
	assert_int_equal(kolk_pool_add(fix->engine, &o, &pool), KOLK_OK);
	put_on_probation(fix, pool);
	run_until_idle(fix, pool);
	fixture_run(fix, 900 * KOLK_MS_NS);
	assert_int_equal(stats_of(pool).idle, 1);
	assert_true(info_of(pool).dial_failures > 0);
	fixture_run(fix, 200 * KOLK_MS_NS);
	assert_int_equal(info_of(pool).dial_failures, 0);
	assert_int_equal(stats_of(pool).idle, KEPT);
}

/* That it was cleared says nothing of the peer: the next has to prove itself. */
static void what_we_end_ourselves_proves_nothing(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = options_of();
	struct kolk_pool *pool;
	uint64_t failed;

	o.circuit_failures = 100;
	assert_int_equal(kolk_pool_add(fix->engine, &o, &pool), KOLK_OK);
	put_on_probation(fix, pool);
	run_until_idle(fix, pool);
	failed = stats_of(pool).dial_failed;
	assert_int_equal(kolk_pool_clear(pool), 1);
	fixture_run(fix, 10 * KOLK_MS_NS);
	run_until_idle(fix, pool);
	assert_int_equal(stats_of(pool).dial_failed, failed);
	assert_true(info_of(pool).dial_failures > 0);
}

/* A driver found that the peer breaks the protocol, or floods: the dial was of no use. */
static void a_peer_that_breaks_the_protocol_fails_it(void **state)
{
	static const enum kolk_reason reasons[] = { KOLK_REASON_PROTOCOL, KOLK_REASON_FLOOD };
	struct fixture *fix = *state;
	struct kolk_pool_options o = options_of();
	struct kolk_lease lease;
	struct kolk_pool *pool;
	uint64_t failed;

	o.circuit_failures = 100;
	pool = pool_of(fix, &o);
	put_on_probation(fix, pool);
	for (int i = 0; i < 2; i++) {
		run_until_idle(fix, pool);
		failed = stats_of(pool).dial_failed;
		assert_int_equal(kolk_try_acquire(kolk_pool_key(pool), &lease), KOLK_OK);
		assert_int_equal(kolk_discard_for(&lease, reasons[i]), KOLK_OK);
		fixture_run(fix, 10 * KOLK_MS_NS);
		assert_int_equal(stats_of(pool).dial_failed, failed + 1);
	}
}

/* It was of use: its end is no failed dial, and the next comes at once. */
static void a_used_connection_is_no_early_close(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = options_of();
	struct kolk_lease lease;
	struct kolk_pool *pool;

	o.idle_min = 1;
	pool = warm_pool(fix, &o);
	fixture_run(fix, 20 * KOLK_MS_NS);
	assert_int_equal(kolk_try_acquire(kolk_pool_key(pool), &lease), KOLK_OK);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	kolk__sim_idle_limit(fix->sim, 10 * KOLK_MS_NS);
	fixture_run(fix, KOLK_MS_NS / 2);
	kolk__sim_idle_limit(fix->sim, 0);
	fixture_run(fix, 20 * KOLK_MS_NS);
	assert_int_equal(stats_of(pool).destroyed[KOLK_REASON_PEER_CLOSED], 1);
	assert_int_equal(stats_of(pool).dial_failed, 0);
	assert_int_equal(stats_of(pool).idle, 1);
}

/* ---- waiters */

struct caller {
	struct kolk_acquire acquire;
	enum kolk_err err;
};

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct caller *caller = user;

	(void)lease;
	caller->err = err;
}

/* A try that finds nothing dials for the next caller; without one it makes no storm either. */
static void tries_without_a_lease_hold_back(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = options_of();
	struct kolk_lease lease;
	struct kolk_pool *pool;

	o.idle_min = KOLK_NONE;
	assert_int_equal(kolk_pool_add(fix->engine, &o, &pool), KOLK_OK);
	kolk__sim_chance(fix->sim, KOLK__SIM_HANG_UP, 65536);
	for (int i = 0; i < 1000; i++) {
		if (kolk_try_acquire(kolk_pool_key(pool), &lease) == KOLK_OK)
			(void)kolk_discard(&lease);
		fixture_run(fix, 10 * KOLK_MS_NS);
	}
	assert_in_range(stats_of(pool).dialled, 5, 2 * FEW);
}

/* The dial of one waiter goes on for others: each early close costs one at most. */
static void a_death_costs_one_waiter_at_most(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = options_of();
	struct caller callers[8];
	struct kolk_pool *pool;
	uint32_t failed = 0;

	assert_int_equal(kolk_pool_add(fix->engine, &o, &pool), KOLK_OK);
	put_on_probation(fix, pool);
	for (int i = 0; i < 8; i++) {
		callers[i].err = kolk_acquire_async(kolk_engine_loop(fix->engine, 0),
						    kolk_pool_key(pool), KOLK_FOREVER,
						    &callers[i].acquire, on_lease, &callers[i]);
		assert_int_equal(callers[i].err, KOLK_PENDING);
	}
	fixture_run(fix, 5 * KOLK_S_NS);
	for (int i = 0; i < 8; i++) {
		failed += callers[i].err != KOLK_OK && callers[i].err != KOLK_PENDING;
		(void)kolk_acquire_cancel(&callers[i].acquire);
	}
	assert_true(failed <= stats_of(pool).dial_failed);
	assert_int_equal(kolk_pool_drain(pool, kolk__sim_now(fix->sim)), KOLK_OK);
	fixture_run(fix, 50 * KOLK_MS_NS);
}

struct ending {
	struct kolk_call call;
	struct kolk_pool *pool;
	struct caller caller;
};

/* The pool's only connection ends, and a caller comes before it is closed. In the loop's turn. */
static void end_and_acquire(struct kolk_call *call, void *user)
{
	struct ending *ending = user;
	struct kolk_key *key = kolk_pool_key(ending->pool);
	struct caller *caller = &ending->caller;

	(void)call;
	kolk__on_peer_closed(kolk__conn_of_entry(kolk__own(kolk__conn_entry(kolk__own(&key->table), 0))),
			     KOLK_REASON_PEER_CLOSED);
	caller->err = kolk_acquire_async(kolk_loop_current(), key, KOLK_FOREVER, &caller->acquire,
					 on_lease, caller);
	assert_int_equal(caller->err, KOLK_PENDING); /* it is closing, and the limit is reached */
}

/* An end is an event, not a failed dial: the peer may be well. */
static void the_first_death_costs_no_waiter(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = options_of();
	struct ending ending = { 0 };

	o.connections_max = o.idle_min = 1;
	ending.pool = warm_pool(fix, &o);
	fixture_run(fix, 50 * KOLK_MS_NS);
	assert_int_equal(stats_of(ending.pool).idle, 1);
	assert_int_equal(kolk_loop_call(kolk_engine_loop(fix->engine, 0), &ending.call,
					end_and_acquire, &ending), KOLK_OK);
	fixture_run(fix, 5 * KOLK_S_NS);
	assert_int_equal(stats_of(ending.pool).dial_failed, 1);
	assert_int_equal(ending.caller.err, KOLK_OK);
	assert_int_equal(kolk_discard(&ending.caller.acquire.lease), KOLK_OK);
}

#define T(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)

static const struct CMUnitTest tests[] = {
	T(a_peer_that_hangs_up_is_left_alone),
	T(one_that_greets_first_is_too),
	T(a_refill_holds_back_too),
	T(a_restart_is_one_failure),
	T(eager_pools_hold_back_too),
	T(one_whose_ping_fails_is_left_alone),
	T(a_lease_that_ends_well_proves_it),
	T(an_answer_within_a_lease_proves_it),
	T(age_proves_it),
	T(what_we_end_ourselves_proves_nothing),
	T(a_peer_that_breaks_the_protocol_fails_it),
	T(a_used_connection_is_no_early_close),
	T(the_first_death_costs_no_waiter),
	T(tries_without_a_lease_hold_back),
	T(a_death_costs_one_waiter_at_most),
};

CMOCKA_TESTS(probation, tests);
