/* SPDX-License-Identifier: Apache-2.0 */
/* circuit_test.c - health.c, dial.c: dials that fail open the circuit; refused credentials are left
 * alone; back-off. */
#include "tests/unit/learn.h"

#include "core/dial.h"
#include "core/health.h"

/* ---- the circuit */

static void failures_in_a_row_open_the_circuit(void **state)
{
	struct fixture *fix = *state;
	struct maker maker = { .fails = 14 };
	struct kolk_pool_options o = options_of(&maker);
	struct kolk_key *served, *other;
	struct kolk_pool *pool;
	uint64_t now_ns;

	o.circuit_failures = 3;
	o.retry_interval_ns = o.retry_max_ns = KOLK_S_NS;
	pool = pool_of(fix, &o);
	served = key_of(pool, "served");
	other = key_of(pool, "other");
	assert_int_equal(acquire_result(fix, served), KOLK_OK);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(info_of(pool).circuit, KOLK_CIRCUIT_CLOSED);
		assert_false(kolk_pool_refuses(pool));
		assert_int_equal(acquire_result(fix, other), KOLK_E_RESOURCE);
		if (i < 2)
			fixture_run(fix, 1100 * KOLK_MS_NS);
	}
	assert_int_equal(info_of(pool).circuit, KOLK_CIRCUIT_OPEN);
	assert_true(kolk_pool_refuses(pool));
	now_ns = kolk__sim_now(fix->sim);
	assert_int_equal(acquire_result(fix, other), KOLK_E_CIRCUIT);
	assert_true(kolk__sim_now(fix->sim) - now_ns < KOLK_MS_NS);
	assert_int_equal(acquire_result(fix, served), KOLK_OK); /* a hit is a hit */
	assert_int_equal(maker.made, 4);
	fixture_run(fix, 1100 * KOLK_MS_NS); /* full jitter: at most the interval */
	assert_false(kolk_pool_refuses(pool)); /* the next one is the trial */
	assert_int_equal(acquire_result(fix, other), KOLK_OK);
	assert_int_equal(info_of(pool).circuit, KOLK_CIRCUIT_CLOSED);
	assert_int_equal(maker.made, 5);
	kolk_key_close(served);
	kolk_key_close(other);
}

static void half_of_them_open_it_too(void **state)
{
	struct fixture *fix = *state;
	struct maker maker = { .fails = 0x55555 }; /* every other one of twenty */
	struct kolk_pool_options o = options_of(&maker);
	struct kolk_pool *pool;

	o.circuit_failures = 4;
	o.uses_max = 1;
	pool = pool_of(fix, &o);
	for (uint32_t i = 0; i < KOLK__DIALS_SEEN; i++) {
		assert_int_equal(info_of(pool).circuit, KOLK_CIRCUIT_CLOSED);
		assert_int_equal(acquire_result(fix, kolk_pool_key(pool)),
				 i % 2 == 0 ? KOLK_E_RESOURCE : KOLK_OK);
		fixture_run(fix, 5 * KOLK_MS_NS);
	}
	maker.fails = 1u << KOLK__DIALS_SEEN;
	assert_int_equal(acquire_result(fix, kolk_pool_key(pool)), KOLK_E_RESOURCE);
	assert_int_equal(info_of(pool).circuit, KOLK_CIRCUIT_OPEN);
}

static void what_is_not_its_fault_is_not_counted(void **state)
{
	struct fixture *fix = *state;
	static const enum kolk_err own[] = { KOLK_E_AUTH, KOLK_E_MEMORY, KOLK_E_FILES,
					     KOLK_E_LIMIT, KOLK_E_DEADLINE, KOLK_E_QUEUE_FULL };
	struct maker maker = { 0 };
	struct kolk_pool_options o = options_of(&maker);
	struct kolk_pool *pool;

	o.circuit_failures = 1;
	o.auth_retry_ns = KOLK_MS_NS;
	pool = pool_of(fix, &o);
	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
		maker.err = own[i];
		assert_int_equal(acquire_result(fix, kolk_pool_key(pool)), own[i]);
		assert_int_equal(info_of(pool).circuit, KOLK_CIRCUIT_CLOSED);
		fixture_run(fix, 50 * KOLK_MS_NS);
	}
}

/* Dials that never answer, begun one after the other: those that end while the trial is under way
 * say nothing about it, and allow no other. */
static void one_trial_at_a_time(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_key *keys[8];
	struct caller callers[8];
	struct kolk_pool *pool;
	char name[2] = "a";

	o.name = "hole";
	o.address = "192.0.2.9:7";
	o.idle_min = KOLK_NONE;
	o.circuit_failures = 1;
	o.connect_timeout_ns = 200 * KOLK_MS_NS;
	o.retry_interval_ns = o.retry_max_ns = 2 * KOLK_MS_NS;
	pool = pool_of(fix, &o);
	kolk__sim_chance(fix->sim, KOLK__SIM_BLACK_HOLE, 65536);
	for (int i = 0; i < 8; i++, name[0]++)
		keys[i] = key_of(pool, name);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(begin(fix, &callers[i], keys[i], 5 * KOLK_S_NS), KOLK_PENDING);
		fixture_run(fix, 40 * KOLK_MS_NS);
	}
	fixture_run(fix, 50 * KOLK_MS_NS); /* 210 ms: the first has failed, three have not */
	assert_int_equal(callers[0].err, KOLK_E_DIAL_TIMEOUT);
	assert_int_equal(stats_of(pool).dialled, 4);
	for (int i = 4; i < 8; i++) {
		(void)begin(fix, &callers[i], keys[i], 5 * KOLK_S_NS);
		fixture_run(fix, 40 * KOLK_MS_NS);
	}
	assert_int_equal(stats_of(pool).dialled, 5);
	assert_int_equal(info_of(pool).circuit, KOLK_CIRCUIT_HALF_OPEN);
	assert_true(kolk_pool_refuses(pool));
	for (int i = 0; i < 8; i++) {
		(void)kolk_acquire_cancel(&callers[i].acquire);
		kolk_key_close(keys[i]);
	}
}

/* It closes, and waiters dial at once: not after a back-off of their own. */
static void a_success_lets_the_others_dial(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_key *first, *second;
	struct caller a, b, c;
	struct kolk_lease lease;
	struct kolk_pool *pool;

	o.name = "back";
	o.address = "192.0.2.9:7";
	o.idle_min = KOLK_NONE;
	o.circuit_failures = 1;
	o.retry_interval_ns = o.retry_max_ns = 5 * KOLK_S_NS;
	pool = pool_of(fix, &o);
	first = key_of(pool, "first");
	second = key_of(pool, "second");
	assert_int_equal(take(fix, second, &lease), KOLK_OK); /* so it waits instead of being
							       * refused */
	kolk__sim_outage(fix->sim, kolk__sim_now(fix->sim) + 8 * KOLK_MS_NS);
	assert_int_equal(begin(fix, &a, first, KOLK_S_NS), KOLK_PENDING);
	fixture_run(fix, 20 * KOLK_MS_NS);
	assert_int_equal(a.err, KOLK_E_CONN_REFUSED);
	assert_int_equal(begin(fix, &b, second, 60 * KOLK_S_NS), KOLK_PENDING);
	fixture_run(fix, 6 * KOLK_S_NS); /* its own alarm probes after the back-off */
	assert_int_equal(b.err, KOLK_OK);
	assert_int_equal(info_of(pool).circuit, KOLK_CIRCUIT_CLOSED);
	/* Again, and now another key's probe is what closes it. */
	kolk__sim_outage(fix->sim, kolk__sim_now(fix->sim) + 8 * KOLK_MS_NS);
	assert_int_equal(begin(fix, &a, second, 60 * KOLK_S_NS), KOLK_PENDING);
	fixture_run(fix, 20 * KOLK_MS_NS);
	assert_int_equal(a.err, KOLK_E_CONN_REFUSED);
	assert_int_equal(begin(fix, &a, second, 60 * KOLK_S_NS), KOLK_PENDING);
	second->failures = 0; /* as if a key's own failures were none of this */
	for (int i = 0; i < 600 && begin(fix, &c, first, 60 * KOLK_S_NS) == KOLK_E_CIRCUIT; i++)
		fixture_run(fix, 10 * KOLK_MS_NS);
	fixture_run(fix, 30 * KOLK_MS_NS);
	assert_int_equal(c.err, KOLK_OK);
	assert_int_equal(a.err, KOLK_OK);
	assert_int_equal(kolk_release(&a.lease), KOLK_OK);
	assert_int_equal(kolk_release(&b.lease), KOLK_OK);
	assert_int_equal(kolk_release(&c.lease), KOLK_OK);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	kolk_key_close(first);
	kolk_key_close(second);
}

static void a_new_pool_knows_nothing_of_the_old(void **state)
{
	struct fixture *fix = *state;
	struct maker maker = { .err = KOLK_E_RESOURCE };
	struct kolk_pool_options o = options_of(&maker);
	struct kolk_pool *pool;

	o.circuit_failures = 1;
	o.retry_interval_ns = o.retry_max_ns = 60 * KOLK_S_NS;
	pool = pool_of(fix, &o);
	assert_int_equal(acquire_result(fix, kolk_pool_key(pool)), KOLK_E_RESOURCE);
	kolk__health_idle_announced(pool, KOLK_S_NS, kolk__sim_now(fix->sim));
	assert_int_equal(info_of(pool).circuit, KOLK_CIRCUIT_OPEN);
	assert_int_equal(kolk_pool_close(pool, KOLK_FOREVER), KOLK_OK);
	maker.err = KOLK_OK;
	pool = pool_of(fix, &o);
	assert_false(kolk_pool_refuses(pool));
	assert_int_equal(kolk_pool_drain(pool, kolk__sim_now(fix->sim)), KOLK_OK);
	assert_true(kolk_pool_refuses(pool));
	assert_int_equal(kolk_pool_close(pool, KOLK_FOREVER), KOLK_OK);
	pool = pool_of(fix, &o);
	assert_int_equal(info_of(pool).circuit, KOLK_CIRCUIT_CLOSED);
	assert_int_equal(info_of(pool).peer_idle_ns, 0);
	assert_int_equal(acquire_result(fix, kolk_pool_key(pool)), KOLK_OK);
}

/* ---- refused credentials */

static void a_refused_account_is_left_alone(void **state)
{
	struct fixture *fix = *state;
	struct maker maker = { .err = KOLK_E_AUTH };
	struct kolk_pool_options o = options_of(&maker);
	struct kolk_key *key, *other;
	struct caller callers[3];
	struct kolk_pool *pool;

	o.connections_max = 1;
	o.auth_retry_ns = KOLK_S_NS;
	pool = pool_of(fix, &o);
	key = key_of(pool, "refused");
	other = key_of(pool, "welcome");
	for (int i = 0; i < 3; i++)
		assert_int_equal(begin(fix, &callers[i], key, 60 * KOLK_S_NS), KOLK_PENDING);
	fixture_run(fix, 10 * KOLK_MS_NS);
	for (int i = 0; i < 3; i++)
		assert_int_equal(callers[i].err, KOLK_E_AUTH); /* by one dial, all of them */
	assert_int_equal(maker.made, 1);
	for (int i = 0; i < 9; i++) {
		assert_int_equal(acquire_result(fix, key), KOLK_E_AUTH);
		fixture_run(fix, 100 * KOLK_MS_NS);
	}
	assert_int_equal(maker.made, 1);
	fixture_run(fix, 200 * KOLK_MS_NS);
	assert_int_equal(acquire_result(fix, key), KOLK_E_AUTH); /* dials */
	assert_int_equal(maker.made, 2);
	fixture_run(fix, 1900 * KOLK_MS_NS); /* and now twice as long */
	assert_int_equal(acquire_result(fix, key), KOLK_E_AUTH);
	assert_int_equal(maker.made, 2);
	maker.err = KOLK_OK;
	assert_int_equal(acquire_result(fix, other), KOLK_OK);
	assert_int_equal(acquire_result(fix, key), KOLK_E_AUTH);
	(void)kolk_key_rotate(key); /* another credential */
	assert_int_equal(acquire_result(fix, key), KOLK_OK);
	kolk_key_close(key);
	kolk_key_close(other);
}

static void only_refusals_double_the_wait(void **state)
{
	struct fixture *fix = *state;
	struct maker maker = { .err = KOLK_E_RESOURCE };
	struct kolk_pool_options o = options_of(&maker);
	struct kolk_pool *pool;

	o.circuit_failures = KOLK_NONE;
	o.auth_retry_ns = KOLK_S_NS;
	pool = pool_of(fix, &o);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(acquire_result(fix, kolk_pool_key(pool)), KOLK_E_RESOURCE);
		fixture_run(fix, 20 * KOLK_MS_NS);
	}
	maker.err = KOLK_E_AUTH;
	assert_int_equal(acquire_result(fix, kolk_pool_key(pool)), KOLK_E_AUTH);
	maker.err = KOLK_OK;
	fixture_run(fix, 1100 * KOLK_MS_NS);
	assert_int_equal(acquire_result(fix, kolk_pool_key(pool)), KOLK_OK);
}

static void a_refusal_can_be_for_ever(void **state)
{
	struct fixture *fix = *state;
	struct maker maker = { .err = KOLK_E_AUTH };
	struct kolk_pool_options o = options_of(&maker);
	struct kolk_pool *pool;

	o.auth_retry_ns = KOLK_FOREVER;
	pool = pool_of(fix, &o);
	assert_int_equal(acquire_result(fix, kolk_pool_key(pool)), KOLK_E_AUTH);
	fixture_run(fix, KOLK_S_NS);
	assert_int_equal(acquire_result(fix, kolk_pool_key(pool)), KOLK_E_AUTH);
	assert_int_equal(maker.made, 1);
}

/* CANCELLED is the pool's word. A driver that says it fails like any other: no dial after the other. */
static void a_driver_does_not_give_a_dial_up(void **state)
{
	struct fixture *fix = *state;
	struct maker maker = { .err = KOLK_E_CANCELLED };
	struct kolk_pool_options o = options_of(&maker);
	struct kolk_pool *pool;

	o.retry_interval_ns = o.retry_max_ns = KOLK_S_NS;
	pool = pool_of(fix, &o);
	assert_int_equal(acquire_result(fix, kolk_pool_key(pool)), KOLK_E_IO);
	fixture_run(fix, KOLK_MS_NS);
	assert_int_equal(maker.made, 1);
	assert_int_equal(stats_of(pool).dial_failed, 1);
}

/* Neither is it a failed dial, nor is the refusal before it forgotten. */
static void a_dial_that_was_given_up_tells_nothing(void **state)
{
	struct fixture *fix = *state;
	struct maker maker = { .err = KOLK_E_AUTH };
	struct kolk_pool_options o = options_of(&maker);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_pool *pool;
	struct caller caller;

	o.auth_retry_ns = KOLK_S_NS;
	pool = pool_of(fix, &o);
	assert_int_equal(acquire_result(fix, kolk_pool_key(pool)), KOLK_E_AUTH);
	fixture_run(fix, 1100 * KOLK_MS_NS);
	assert_int_equal(begin(fix, &caller, kolk_pool_key(pool), 60 * KOLK_S_NS), KOLK_PENDING);
	assert_int_equal(stats_of(pool).dialled, 2);
	assert_int_equal(kolk_pool_suspend(pool, KOLK_FOREVER), KOLK_OK);
	fixture_run(fix, 10 * KOLK_MS_NS);
	assert_int_equal(caller.err, KOLK_E_DRAINING);
	assert_int_equal(kolk_pool_resume(pool), KOLK_OK);
	assert_int_equal(stats_of(pool).dial_failed, 1);
	assert_int_equal(stats_of(pool).destroyed[KOLK_REASON_DIAL_FAILED], 1);
	assert_int_equal(stats_of(pool).destroyed[KOLK_REASON_DRAINED], 1);
	assert_true(kolk_key_failure(kolk_pool_key(pool), &failure));
	assert_int_equal(failure.err, KOLK_E_AUTH);
	assert_int_equal(acquire_result(fix, kolk_pool_key(pool)), KOLK_E_AUTH);
	fixture_run(fix, 1100 * KOLK_MS_NS); /* it is the second: twice as long */
	maker.err = KOLK_OK;
	assert_int_equal(acquire_result(fix, kolk_pool_key(pool)), KOLK_E_AUTH);
}

static void a_back_off_has_no_end_of_the_scale(void **state)
{
	struct fixture *fix = *state;
	struct maker maker = { 0 };
	struct kolk_pool_options o = options_of(&maker);
	struct kolk_pool *pool;

	o.retry_interval_ns = KOLK_S_NS;
	o.retry_max_ns = 365 * 24 * 3600 * KOLK_S_NS; /* the longest that is allowed */
	pool = pool_of(fix, &o);
	for (uint32_t i = 0; i < 200; i++)
		assert_true(kolk__back_off_ns(pool, i) >= 1);
	assert_true(kolk__back_off_ns(pool, UINT32_MAX) >= 1);
}

/* No dial begins before their deadline: they are told at once, and why. */
static void a_back_off_is_not_waited_out_in_vain(void **state)
{
	static const struct {
		enum kolk_err dial, caller;
	} cases[] = {
		{ KOLK_E_CONN_REFUSED, KOLK_E_CONN_REFUSED },
		{ KOLK_E_TLS_VERIFY,   KOLK_E_TLS_VERIFY },
		{ KOLK_E_RESET,        KOLK_E_DEADLINE }, /* "try again at once" would be wrong */
	};
	struct fixture *fix = *state;
	struct caller caller;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct maker maker = { .err = cases[i].dial };
		struct kolk_pool_options o = options_of(&maker);
		struct kolk_pool *pool;
		struct kolk_key *key;
		uint64_t left_ns;

		o.circuit_failures = KOLK_NONE;
		o.retry_interval_ns = o.retry_max_ns = 2 * KOLK_S_NS;
		pool = pool_of(fix, &o);
		key = kolk_pool_key(pool);
		assert_int_equal(acquire_result(fix, key), cases[i].dial);
		left_ns = key->retry_at_ns - kolk__sim_now(fix->sim);
		assert_int_equal(begin(fix, &caller, key, left_ns / 2), cases[i].caller);
		assert_int_equal(stats_of(pool).rejected, 2);
		/* One that may wait for the next dial does. */
		assert_int_equal(begin(fix, &caller, key, left_ns + KOLK_S_NS), KOLK_PENDING);
		maker.err = KOLK_OK;
		fixture_run(fix, left_ns + KOLK_S_NS);
		assert_int_equal(caller.err, KOLK_OK);
		assert_int_equal(kolk_release(&caller.lease), KOLK_OK);
		assert_int_equal(kolk_pool_close(pool, KOLK_FOREVER), KOLK_OK);
	}
}

static void a_back_off_is_waited_out_when_told_to(void **state)
{
	struct fixture *fix = *state;
	struct maker maker = { .err = KOLK_E_CONN_REFUSED };
	struct kolk_pool_options o = options_of(&maker);
	struct kolk_key *key;
	struct caller caller;
	uint64_t left_ns;

	o.circuit_failures = KOLK_NONE;
	o.retry_interval_ns = o.retry_max_ns = 2 * KOLK_S_NS;
	o.hopeless_waits = 1;
	key = kolk_pool_key(pool_of(fix, &o));
	assert_int_equal(acquire_result(fix, key), KOLK_E_CONN_REFUSED);
	left_ns = key->retry_at_ns - kolk__sim_now(fix->sim);
	assert_int_equal(begin(fix, &caller, key, left_ns / 2), KOLK_PENDING);
	fixture_run(fix, left_ns / 2 + KOLK_MS_NS);
	assert_int_equal(caller.err, KOLK_E_TIMEOUT);
}

static const struct CMUnitTest tests[] = {
	T(failures_in_a_row_open_the_circuit),
	T(half_of_them_open_it_too),
	T(what_is_not_its_fault_is_not_counted),
	T(one_trial_at_a_time),
	T(a_success_lets_the_others_dial),
	T(a_new_pool_knows_nothing_of_the_old),
	T(a_refused_account_is_left_alone),
	T(only_refusals_double_the_wait),
	T(a_refusal_can_be_for_ever),
	T(a_driver_does_not_give_a_dial_up),
	T(a_dial_that_was_given_up_tells_nothing),
	T(a_back_off_has_no_end_of_the_scale),
	T(a_back_off_is_not_waited_out_in_vain),
	T(a_back_off_is_waited_out_when_told_to),
};

CMOCKA_TESTS(circuit, tests);
