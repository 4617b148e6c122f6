/* SPDX-License-Identifier: Apache-2.0 */
/* wait_test.c - wait.c: first come, first served; an end, and only one. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "core/engine.h"

enum { CALLERS = 6 };

struct caller {
	struct kolk_acquire acquire;
	struct kolk_lease lease;
	enum kolk_err err;
	int calls, order;
	int *turn;
};

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct caller *caller = user;

	caller->calls++;
	caller->err = err;
	caller->order = ++*caller->turn;
	if (err == KOLK_OK)
		caller->lease = *lease;
}

static enum kolk_err begin(struct fixture *fix, struct caller *caller, uint64_t wait_ns, int *turn)
{
	*caller = (struct caller){ .turn = turn };
	return kolk_acquire_async(kolk_engine_loop(fix->engine, 0), fix->key,
				  kolk__sim_now(fix->sim) + wait_ns, &caller->acquire, on_lease,
				  caller);
}

static enum kolk_err begin_counted(struct fixture *fix, struct caller *caller, uint64_t wait_ns,
				   int *turn)
{
	*caller = (struct caller){ .turn = turn };
	return kolk_waiter_acquire_async(kolk_engine_loop(fix->engine, 0), fix->key,
					 kolk__sim_now(fix->sim) + wait_ns, &caller->acquire,
					 on_lease, caller);
}

/* All four connections out. */
static void fill(struct fixture *fix, struct kolk_lease leases[4])
{
	for (int i = 0; i < 4; i++)
		assert_int_equal(kolk_acquire(fix->key, kolk__sim_now(fix->sim) + KOLK_S_NS,
					      &leases[i]), KOLK_OK);
}

/* Each look at the idle list that is not under the lock misses the coarse clock, which is not kept
 * here. */
static uint64_t looks(struct fixture *fix, uint64_t wait_ns)
{
	uint64_t before = kolk__own(&fix->engine->page->misses);
	struct kolk_lease lease;

	assert_int_equal(kolk_acquire(fix->key, kolk__sim_now(fix->sim) + wait_ns, &lease),
			 KOLK_E_TIMEOUT);
	return kolk__own(&fix->engine->page->misses) - before;
}

/* Another engine, whose key has so many connections. */
static void open_many(struct fixture *fix, uint32_t connections)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);

	e.loops = 1;
	e.loop_owner = KOLK_LOOPS_EMBEDDER;
	e.connections_max = connections;
	e.sys = kolk__sim_sys(fix->sim);
	p.name = "many";
	p.address = "192.0.2.1:7";
	p.connections_max = p.pool_connections_max = connections;
	assert_int_equal(kolk_engine_create(&e, &fix->engine), KOLK_OK);
	assert_int_equal(kolk_pool_add(fix->engine, &p, &fix->pool), KOLK_OK);
	fix->key = kolk_pool_key(fix->pool);
}

static void as_many_looks(void **state)
{
	enum { MANY = 192 };
	static struct kolk_lease leases[MANY];
	struct fixture *fix = *state, many = *fix;

	fill(fix, leases);
	assert_in_range(looks(fix, 0), 1, 1); /* it is too late to wait */
	assert_in_range(looks(fix, KOLK_MS_NS), 32, 80);
	for (int i = 0; i < 4; i++)
		assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
	open_many(fix, MANY);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(kolk_acquire(fix->key, KOLK_FOREVER, &leases[i]), KOLK_OK);
	assert_in_range(looks(fix, KOLK_MS_NS), 32, 80);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
	assert_int_equal(kolk_engine_destroy(fix->engine), KOLK_OK);
	*fix = many;
}

/* ---- stopped in its sleep: what comes meanwhile wins over the deadline that passes */

static struct {
	struct kolk__sim *sim;
	bool armed;
	struct kolk_lease lease; /* given back in the next sleep; 0 = none */
} stop;

static bool stopped_wait(void *context, uint32_t *word, uint32_t expected, uint64_t deadline_ns)
{
	const struct kolk_sys *sys = kolk__sim_sys(stop.sim);

	if (!stop.armed)
		return sys->wait(context, word, expected, deadline_ns);
	stop.armed = false;
	assert_int_equal(kolk_release(&stop.lease), KOLK_OK);
	kolk__sim_pass(stop.sim, KOLK_S_NS);
	return false;
}

static void open_stopped(struct fixture *fix, struct kolk_sys *sys)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);

	*sys = *kolk__sim_sys(fix->sim);
	sys->wait = stopped_wait;
	stop.sim = fix->sim;
	e.loops = 1;
	e.loop_owner = KOLK_LOOPS_EMBEDDER;
	e.sys = sys;
	p.name = "stopped";
	p.address = "192.0.2.1:7";
	p.connections_max = 1;
	assert_int_equal(kolk_engine_create(&e, &fix->engine), KOLK_OK);
	assert_int_equal(kolk_pool_add(fix->engine, &p, &fix->pool), KOLK_OK);
	fix->key = kolk_pool_key(fix->pool);
}

static void what_lies_there_wins(void **state)
{
	struct fixture *fix = *state, before = *fix;
	struct kolk_lease lease;
	struct kolk_sys sys;

	open_stopped(fix, &sys);
	assert_int_equal(kolk_acquire(fix->key, KOLK_FOREVER, &stop.lease), KOLK_OK);
	stop.armed = true;
	assert_int_equal(kolk_acquire(fix->key, kolk__sim_now(fix->sim) + 500 * KOLK_MS_NS,
				      &lease), KOLK_OK);
	assert_false(stop.armed);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	assert_int_equal(kolk_engine_destroy(fix->engine), KOLK_OK);
	*fix = before;
}

static void in_order(void **state)
{
	struct fixture *fix = *state;
	struct caller callers[CALLERS];
	struct kolk_lease leases[4];
	int turn = 0;

	fill(fix, leases);
	for (int i = 0; i < CALLERS; i++)
		assert_int_equal(begin(fix, &callers[i], 10 * KOLK_S_NS, &turn), KOLK_PENDING);
	for (int i = 0; i < 4; i++)
		assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
	fixture_run(fix, KOLK_MS_NS);
	for (int i = 0; i < 4; i++)
		assert_true(callers[i].calls == 1 && callers[i].order == i + 1);
	assert_int_equal(callers[4].calls, 0);
	for (int i = 0; i < CALLERS; i++) {
		fixture_run(fix, KOLK_MS_NS);
		assert_true(callers[i].calls == 1 && callers[i].err == KOLK_OK);
		assert_int_equal(kolk_release(&callers[i].lease), KOLK_OK);
	}
}

static void the_queue_is_bounded(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_limits l = KOLK_INIT(kolk_pool_limits);
	struct caller callers[3];
	struct kolk_lease leases[4];
	int turn = 0;

	l.waiters_max = 2;
	assert_int_equal(kolk_pool_limits_set(fix->pool, &l), KOLK_OK);
	fill(fix, leases);
	assert_int_equal(begin(fix, &callers[0], KOLK_S_NS, &turn), KOLK_PENDING);
	assert_int_equal(begin(fix, &callers[1], KOLK_S_NS, &turn), KOLK_PENDING);
	assert_int_equal(begin(fix, &callers[2], KOLK_S_NS, &turn), KOLK_E_QUEUE_FULL);
	fixture_run(fix, 1100 * KOLK_MS_NS);
	assert_true(callers[0].calls == 1 && callers[1].calls == 1 && callers[2].calls == 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
}

/* Callers for which another one acquires stand in no queue, and count as those that do. */
static void callers_outside_the_queue_are_counted(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_limits l = KOLK_INIT(kolk_pool_limits);
	struct caller callers[3];
	struct kolk_lease leases[4];
	const char *law = NULL;
	int turn = 0;

	l.waiters_max = 3;
	assert_int_equal(kolk_pool_limits_set(fix->pool, &l), KOLK_OK);
	fill(fix, leases);
	assert_int_equal(kolk_waiter_add(fix->key), KOLK_OK);
	assert_int_equal(kolk_waiter_add(fix->key), KOLK_OK);
	assert_int_equal(begin(fix, &callers[0], KOLK_S_NS, &turn), KOLK_PENDING);
	assert_int_equal(begin(fix, &callers[1], KOLK_S_NS, &turn), KOLK_E_QUEUE_FULL);
	assert_int_equal(kolk_waiter_add(fix->key), KOLK_E_QUEUE_FULL);
	assert_int_equal(stats_of(fix->pool).waiting, 3);
	assert_int_equal(stats_of(fix->pool).refused[KOLK_REFUSAL_QUEUE_FULL], 2);
	assert_int_equal(kolk_check(fix->engine, &law), KOLK_OK);

	/* One of them enters the queue, in its own place; the other goes. */
	assert_int_equal(begin_counted(fix, &callers[1], KOLK_S_NS, &turn), KOLK_PENDING);
	assert_int_equal(begin(fix, &callers[2], KOLK_S_NS, &turn), KOLK_E_QUEUE_FULL);
	kolk_waiter_remove(fix->key);
	assert_int_equal(stats_of(fix->pool).waiting, 2);
	assert_int_equal(begin(fix, &callers[2], KOLK_S_NS, &turn), KOLK_PENDING);
	for (int i = 0; i < 3; i++)
		assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
	fixture_run(fix, KOLK_MS_NS);
	for (int i = 0; i < 3; i++) {
		assert_true(callers[i].calls == 1 && callers[i].order == i + 1);
		assert_int_equal(kolk_release(&callers[i].lease), KOLK_OK);
	}

	/* What is served at once, or refused for another reason, is counted no more. */
	assert_int_equal(kolk_waiter_add(fix->key), KOLK_OK);
	assert_int_equal(begin_counted(fix, &callers[0], KOLK_S_NS, &turn), KOLK_OK);
	assert_int_equal(kolk_release(&callers[0].acquire.lease), KOLK_OK);
	assert_int_equal(kolk_release(&leases[3]), KOLK_OK);
	assert_int_equal(kolk_waiter_add(fix->key), KOLK_OK);
	kolk_pool_drain(fix->pool, KOLK_FOREVER);
	assert_int_equal(begin_counted(fix, &callers[0], KOLK_S_NS, &turn), KOLK_E_DRAINING);
	assert_int_equal(kolk_waiter_add(fix->key), KOLK_E_DRAINING);
	assert_int_equal(stats_of(fix->pool).waiting, 0);
	assert_int_equal(kolk_check(fix->engine, &law), KOLK_OK);
}

/* Nothing is dialled for those outside. */
static void callers_outside_the_queue_dial_nothing(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_limits l = KOLK_INIT(kolk_pool_limits);
	struct caller caller;
	int turn = 0;

	l.idle_min = KOLK_NONE;
	assert_int_equal(kolk_pool_limits_set(fix->pool, &l), KOLK_OK);
	for (int i = 0; i < 3; i++)
		assert_int_equal(kolk_waiter_add(fix->key), KOLK_OK);
	assert_int_equal(begin(fix, &caller, KOLK_S_NS, &turn), KOLK_PENDING);
	fixture_run(fix, 100 * KOLK_MS_NS);
	assert_true(caller.calls == 1 && caller.err == KOLK_OK);
	assert_int_equal(stats_of(fix->pool).open, 1);
	assert_int_equal(kolk_release(&caller.lease), KOLK_OK);
	for (int i = 0; i < 3; i++)
		kolk_waiter_remove(fix->key);
}

static void a_waiter_times_out(void **state)
{
	struct fixture *fix = *state;
	struct kolk_lease leases[4];
	struct caller caller;
	int turn = 0;

	fill(fix, leases);
	assert_int_equal(begin(fix, &caller, KOLK_S_NS, &turn), KOLK_PENDING);
	fixture_run(fix, 990 * KOLK_MS_NS);
	assert_int_equal(caller.calls, 0);
	fixture_run(fix, 20 * KOLK_MS_NS);
	assert_true(caller.calls == 1 && caller.err == KOLK_E_TIMEOUT);
	for (int i = 0; i < 4; i++)
		assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
}

static void a_cancel_is_the_end(void **state)
{
	struct fixture *fix = *state;
	struct caller callers[3];
	struct kolk_lease leases[4];
	int turn = 0;

	fill(fix, leases);
	for (int i = 0; i < 3; i++)
		assert_int_equal(begin(fix, &callers[i], KOLK_S_NS, &turn), KOLK_PENDING);
	assert_int_equal(kolk_acquire_cancel(&callers[1].acquire), KOLK_OK);
	assert_int_equal(kolk_acquire_cancel(&callers[1].acquire), KOLK_E_NOT_FOUND);
	assert_int_equal(kolk_release(&leases[0]), KOLK_OK); /* on its way to the first */
	assert_int_equal(kolk_acquire_cancel(&callers[0].acquire), KOLK_OK);
	fixture_run(fix, KOLK_MS_NS);
	assert_true(callers[0].calls == 0 && callers[1].calls == 0);
	assert_true(callers[2].calls == 1 && callers[2].err == KOLK_OK);
	assert_int_equal(kolk_release(&callers[2].lease), KOLK_OK);
	for (int i = 1; i < 4; i++)
		assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
}

static void one_failed_dial_ends_one_waiter(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_limits l = KOLK_INIT(kolk_pool_limits);
	struct caller callers[3];
	int turn = 0, failed = 0;

	l.connections_max = 1;
	l.idle_min = KOLK_NONE;
	assert_int_equal(kolk_pool_limits_set(fix->pool, &l), KOLK_OK);
	kolk__sim_outage(fix->sim, kolk__sim_now(fix->sim) + 6 * KOLK_MS_NS);
	for (int i = 0; i < 3; i++)
		assert_int_equal(begin(fix, &callers[i], 10 * KOLK_S_NS, &turn), KOLK_PENDING);
	fixture_run(fix, 10 * KOLK_MS_NS);
	for (int i = 0; i < 3; i++)
		failed += callers[i].calls;
	assert_int_equal(failed, 1);
	assert_int_equal(callers[0].err, KOLK_E_CONN_REFUSED);
	fixture_run(fix, KOLK_S_NS); /* after the back-off it works again */
	assert_true(callers[1].calls == 1 && callers[1].err == KOLK_OK);
	assert_int_equal(kolk_release(&callers[1].lease), KOLK_OK);
	fixture_run(fix, 10 * KOLK_MS_NS);
	assert_true(callers[2].calls == 1 && callers[2].err == KOLK_OK);
	assert_int_equal(kolk_release(&callers[2].lease), KOLK_OK);
}

static void a_deadline_in_the_past(void **state)
{
	struct fixture *fix = *state;
	struct kolk_lease lease;
	struct caller caller;
	int turn = 0;

	assert_int_equal(kolk_acquire(fix->key, 1, &lease), KOLK_E_TIMEOUT);
	caller = (struct caller){ .turn = &turn };
	assert_int_equal(kolk_acquire_async(kolk_engine_loop(fix->engine, 0), fix->key, 1,
					    &caller.acquire, on_lease, &caller), KOLK_E_TIMEOUT);
	fixture_run(fix, KOLK_MS_NS);
	assert_int_equal(caller.calls, 0);
}

/* With a clock that is kept, as in the real world: the shortest path of a release loads the gate,
 * too (SC1). */
static void a_plain_release_serves_a_waiter(void **state)
{
	struct fixture *fix = *state;
	struct kolk_lease leases[4];
	struct caller caller;
	int turn = 0;

	fill(fix, leases);
	assert_int_equal(begin(fix, &caller, 10 * KOLK_S_NS, &turn), KOLK_PENDING);
	kolk__store_relaxed(&fix->engine->page->clock_ns, kolk__sim_now(fix->sim));
	assert_int_equal(kolk_release(&leases[0]), KOLK_OK);
	kolk__store_relaxed(&fix->engine->page->clock_ns, 0);
	fixture_run(fix, KOLK_MS_NS);
	assert_int_equal(caller.calls, 1);
	assert_int_equal(caller.err, KOLK_OK);
	assert_int_equal(kolk_release(&caller.lease), KOLK_OK);
	for (int i = 1; i < 4; i++)
		assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(in_order, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(as_many_looks, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(what_lies_there_wins, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(a_plain_release_serves_a_waiter, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(the_queue_is_bounded, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(callers_outside_the_queue_are_counted, fixture_open,
					fixture_close),
	cmocka_unit_test_setup_teardown(callers_outside_the_queue_dial_nothing, fixture_open,
					fixture_close),
	cmocka_unit_test_setup_teardown(a_waiter_times_out, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(a_cancel_is_the_end, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(one_failed_dial_ends_one_waiter, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(a_deadline_in_the_past, fixture_open, fixture_close),
};

CMOCKA_TESTS(wait, tests);
