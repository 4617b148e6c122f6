/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fair_test.c - permit_queue.c: which key gets the next permit when a limit is full.
 *
 * A caller is a tenant's key that always wants so many leases and keeps each for a while. Shares
 * are what callers hold once all have had time to release.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/permits.h"

enum { WANTS = 16, FULL = 8 };

struct caller;

struct want {
	struct caller *caller;
	struct kolk_acquire acquire;
	struct kolk_lease lease;
	uint64_t since_ns;
	bool waiting, has;
};

struct caller {
	struct fixture *fix;
	struct kolk_key *key;
	uint32_t wants;      /* leases at a time */
	uint64_t hold_ns;    /* how long it keeps one */
	struct want want[WANTS];
	uint32_t served, failed;
	uint64_t longest_ns; /* that one of its callers waited */
};

/* ---- callers */

static void begin_to_hold(struct want *want, enum kolk_err err, const struct kolk_lease *lease)
{
	struct caller *caller = want->caller;
	uint64_t now_ns = kolk__sim_now(caller->fix->sim);

	want->waiting = false;
	want->has = err == KOLK_OK;
	caller->served += err == KOLK_OK;
	caller->failed += err != KOLK_OK;
	if (now_ns - want->since_ns > caller->longest_ns)
		caller->longest_ns = now_ns - want->since_ns;
	want->since_ns = now_ns;
	if (err == KOLK_OK)
		want->lease = *lease;
}

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	begin_to_hold(user, err, lease);
}

static void ask(struct want *want)
{
	struct caller *caller = want->caller;
	enum kolk_err err;

	want->since_ns = kolk__sim_now(caller->fix->sim);
	err = kolk_acquire_async(kolk_engine_loop(caller->fix->engine, 0), caller->key,
				 want->since_ns + 60 * KOLK_S_NS, &want->acquire, on_lease, want);
	want->waiting = err == KOLK_PENDING;
	if (err != KOLK_PENDING)
		begin_to_hold(want, err, &want->acquire.lease);
}

static void give_back(struct want *want)
{
	want->has = false;
	assert_int_equal(kolk_release(&want->lease), KOLK_OK);
}

static uint32_t held(const struct caller *caller)
{
	uint32_t count = 0;

	for (int i = 0; i < WANTS; i++)
		count += caller->want[i].has;
	return count;
}

/* What is due is released, then all want again. */
static void act(struct caller *caller)
{
	uint64_t now_ns = kolk__sim_now(caller->fix->sim);

	for (uint32_t i = 0; i < WANTS; i++)
		if (caller->want[i].has && now_ns - caller->want[i].since_ns >= caller->hold_ns)
			give_back(&caller->want[i]);
	for (uint32_t i = 0; i < caller->wants; i++)
		if (!caller->want[i].has && !caller->want[i].waiting)
			ask(&caller->want[i]);
}

static void run(struct fixture *fix, struct caller *callers, size_t count, uint64_t ns)
{
	uint64_t end_ns = kolk__sim_now(fix->sim) + ns;

	while (kolk__sim_now(fix->sim) < end_ns) {
		for (size_t i = 0; i < count; i++)
			act(&callers[i]);
		fixture_run(fix, KOLK_MS_NS);
	}
}

static void caller_open_in(struct caller *caller, struct fixture *fix, struct kolk_pool *pool,
			   const char *tenant, uint32_t wants)
{
	struct kolk_key_options o = KOLK_INIT(kolk_key_options);

	*caller = (struct caller){ .fix = fix, .wants = wants, .hold_ns = 5 * KOLK_MS_NS };
	for (int i = 0; i < WANTS; i++)
		caller->want[i].caller = caller;
	o.tenant = tenant;
	assert_int_equal(kolk_key_open(pool, &o, &caller->key), KOLK_OK);
}

static void caller_open(struct caller *caller, struct fixture *fix, const char *tenant,
			uint32_t wants)
{
	caller_open_in(caller, fix, fix->pool, tenant, wants);
}

static void caller_close(struct caller *caller)
{
	for (int i = 0; i < WANTS; i++) {
		if (caller->want[i].waiting)
			assert_int_equal(kolk_acquire_cancel(&caller->want[i].acquire), KOLK_OK);
		if (caller->want[i].has)
			give_back(&caller->want[i]);
	}
	kolk_key_close(caller->key);
}

/* ---- an engine of 8 connections, nothing that is kept warm */

static int engine_setup(void **state)
{
	struct kolk_pool_limits l = KOLK_INIT(kolk_pool_limits);
	struct fixture *fix;

	if (fixture_open(state) != 0)
		return -1;
	fix = *state;
	l.connections_max = 16;
	l.idle_min = KOLK_NONE;
	return kolk_pool_limits_set(fix->pool, &l) == KOLK_OK ? 0 : -1;
}

static struct kolk_pool *another_pool(struct fixture *fix, const char *name, uint32_t limit)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_pool *pool;

	o.name = name;
	o.address = "192.0.2.2:7";
	o.connections_max = 16;
	o.pool_connections_max = limit;
	o.idle_min = KOLK_NONE;
	assert_int_equal(kolk_pool_add(fix->engine, &o, &pool), KOLK_OK);
	return pool;
}

static uint32_t recalls_of(struct fixture *fix, const char *name)
{
	struct kolk_tenant_info info[8];
	uint64_t cursor = 0;
	size_t count = kolk_engine_tenants(fix->engine, &cursor, info, 8);

	for (size_t i = 0; i < count; i++)
		if (strcmp(info[i].name, name) == 0)
			return info[i].recalls;
	fail_msg("there is no tenant %s", name);
	return 0;
}

/* ---- shares */

static void each_release_moves_one_to_the_smaller_share(void **state)
{
	struct fixture *fix = *state;
	struct caller a, b;

	caller_open(&a, fix, "a", WANTS);
	caller_open(&b, fix, "b", FULL);
	a.hold_ns = b.hold_ns = KOLK_S_NS;
	run(fix, &a, 1, 50 * KOLK_MS_NS);
	assert_int_equal(held(&a), FULL);
	for (uint32_t i = 0; i < b.wants; i++)
		ask(&b.want[i]);
	for (uint32_t given = 0, i = 0; i < WANTS; i++) {
		if (!a.want[i].has)
			continue;
		give_back(&a.want[i]);
		fixture_run(fix, 20 * KOLK_MS_NS);
		given++;
		if (given <= FULL / 2)
			assert_int_equal(held(&b), given);
		if (given == FULL / 2)
			break;
	}
	assert_int_equal(recalls_of(fix, "a"), FULL / 2);
	assert_int_equal(held(&a), FULL / 2);
	run(fix, &a, 1, 200 * KOLK_MS_NS); /* and not more than that */
	assert_int_equal(held(&b), FULL / 2);
	caller_close(&a);
	caller_close(&b);
}

static void shares_follow_weights(void **state)
{
	struct fixture *fix = *state;
	struct kolk_tenant_limits l = KOLK_INIT(kolk_tenant_limits);
	struct caller callers[2];

	l.weight = 3;
	assert_int_equal(kolk_tenant_limits_set(fix->engine, "b", &l), KOLK_OK);
	caller_open(&callers[0], fix, "a", WANTS);
	run(fix, callers, 1, 50 * KOLK_MS_NS);
	caller_open(&callers[1], fix, "b", WANTS);
	run(fix, callers, 2, 300 * KOLK_MS_NS);
	assert_int_equal(held(&callers[0]), 2);
	assert_int_equal(held(&callers[1]), 6);
	caller_close(&callers[0]);
	caller_close(&callers[1]);
}

static void a_small_demand_is_met(void **state)
{
	struct fixture *fix = *state;
	struct caller callers[3];

	caller_open(&callers[0], fix, "a", WANTS);
	caller_open(&callers[1], fix, "b", WANTS);
	run(fix, callers, 2, 100 * KOLK_MS_NS);
	caller_open(&callers[2], fix, "c", 1);
	run(fix, callers, 3, 300 * KOLK_MS_NS);
	assert_true(callers[2].served >= 20);
	assert_true(held(&callers[0]) >= 3 && held(&callers[1]) >= 3);
	for (int i = 0; i < 3; i++)
		caller_close(&callers[i]);
}

/* A greedy tenant that is also in the queues of its pool or of its own limit gets no permit of the
 * engine before a tenant that has less. */
static void pool_queues_do_not_overtake_the_engine_queue(void **state)
{
	struct fixture *fix = *state;
	struct kolk_tenant_limits l = KOLK_INIT(kolk_tenant_limits);
	struct caller callers[3];

	l.connections_max = FULL;
	assert_int_equal(kolk_tenant_limits_set(fix->engine, "a", &l), KOLK_OK);
	caller_open_in(&callers[0], fix, another_pool(fix, "narrow", FULL), "a", WANTS);
	caller_open_in(&callers[1], fix, kolk_key_pool(callers[0].key), "c", 1);
	run(fix, callers, 2, 50 * KOLK_MS_NS);
	caller_open(&callers[2], fix, "b", WANTS);
	run(fix, callers, 3, 300 * KOLK_MS_NS);
	assert_true(callers[1].served >= 10);
	assert_true(held(&callers[0]) <= 4 && held(&callers[2]) >= 3);
	for (int i = 0; i < 3; i++)
		caller_close(&callers[i]);
}

static void a_pools_limit_is_shared_likewise(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool *pool = another_pool(fix, "narrow", 4);
	struct caller callers[2];

	caller_open_in(&callers[0], fix, pool, "a", WANTS);
	run(fix, callers, 1, 50 * KOLK_MS_NS);
	assert_int_equal(held(&callers[0]), 4);
	caller_open_in(&callers[1], fix, pool, "b", WANTS);
	run(fix, callers, 2, 200 * KOLK_MS_NS);
	assert_int_equal(held(&callers[0]), 2);
	assert_int_equal(held(&callers[1]), 2);
	caller_close(&callers[0]);
	caller_close(&callers[1]);
}

/* ---- lending */

/* All 8 are idle: of the greedy tenant 6, of the modest one 2 that lie there for longer. */
static void lay_down(struct fixture *fix, struct caller *greedy, struct caller *modest)
{
	caller_open(greedy, fix, "greedy", 6);
	caller_open(modest, fix, "modest", 2);
	for (uint32_t i = 0; i < 2; i++)
		ask(&modest->want[i]);
	fixture_run(fix, 20 * KOLK_MS_NS);
	for (uint32_t i = 0; i < 6; i++)
		ask(&greedy->want[i]);
	fixture_run(fix, 20 * KOLK_MS_NS);
	assert_true(held(modest) == 2 && held(greedy) == 6);
	for (uint32_t i = 0; i < 2; i++)
		give_back(&modest->want[i]);
	fixture_run(fix, 10 * KOLK_MS_NS);
}

static uint32_t idle_of(const struct caller *caller)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	assert_int_equal(kolk_key_stats(caller->key, &stats), KOLK_OK);
	return stats.idle;
}

static void idle_capacity_is_lent_after_a_while(void **state)
{
	struct fixture *fix = *state;
	struct caller greedy, modest;

	lay_down(fix, &greedy, &modest);
	ask(&greedy.want[6]);
	fixture_run(fix, 900 * KOLK_MS_NS);
	assert_int_equal(idle_of(&modest), 2); /* protected */
	assert_true(greedy.want[6].waiting);
	fixture_run(fix, 200 * KOLK_MS_NS);
	assert_int_equal(idle_of(&modest), 1); /* lent */
	assert_true(greedy.want[6].has);
	fixture_run(fix, KOLK_S_NS);
	assert_int_equal(idle_of(&modest), 1); /* no more than was asked for */
	/* And taken back, one for the first release. */
	ask(&modest.want[0]);
	ask(&modest.want[1]);
	fixture_run(fix, 10 * KOLK_MS_NS);
	assert_true(modest.want[0].has && modest.want[1].waiting);
	give_back(&greedy.want[0]);
	fixture_run(fix, 20 * KOLK_MS_NS);
	assert_true(modest.want[1].has);
	caller_close(&greedy);
	caller_close(&modest);
}

static void what_is_above_the_share_is_taken_at_once(void **state)
{
	struct fixture *fix = *state;
	struct caller greedy, modest;

	lay_down(fix, &greedy, &modest);
	for (uint32_t i = 0; i < 6; i++)
		give_back(&greedy.want[i]);
	for (uint32_t i = 0; i < 4; i++)
		ask(&modest.want[i]);
	fixture_run(fix, 20 * KOLK_MS_NS);
	assert_int_equal(held(&modest), 4);
	assert_int_equal(idle_of(&greedy), 4);
	caller_close(&greedy);
	caller_close(&modest);
}

static void a_tenant_limit_evicts_the_tenants_oldest(void **state)
{
	struct fixture *fix = *state;
	struct kolk_tenant_limits l = KOLK_INIT(kolk_tenant_limits);
	struct caller first, second, third, other;

	l.connections_max = 2;
	assert_int_equal(kolk_tenant_limits_set(fix->engine, "t", &l), KOLK_OK);
	caller_open(&other, fix, "other", 1);
	ask(&other.want[0]);
	fixture_run(fix, 20 * KOLK_MS_NS);
	give_back(&other.want[0]); /* idle for longer, but not t's */
	caller_open(&first, fix, "t", 1);
	caller_open_in(&second, fix, another_pool(fix, "second", 0), "t", 1);
	caller_open_in(&third, fix, another_pool(fix, "third", 0), "t", 1);
	ask(&first.want[0]);
	fixture_run(fix, 20 * KOLK_MS_NS);
	give_back(&first.want[0]);
	ask(&second.want[0]);
	fixture_run(fix, 20 * KOLK_MS_NS);
	give_back(&second.want[0]);
	ask(&third.want[0]);
	fixture_run(fix, 20 * KOLK_MS_NS);
	assert_true(third.want[0].has);
	assert_true(idle_of(&first) == 0 && idle_of(&second) == 1 && idle_of(&other) == 1);
	caller_close(&first);
	caller_close(&second);
	caller_close(&third);
	caller_close(&other);
}

static void a_lowered_limit_takes_what_it_must(void **state)
{
	struct fixture *fix = *state;
	struct kolk_tenant_limits t = KOLK_INIT(kolk_tenant_limits);
	struct kolk_pool_limits l = KOLK_INIT(kolk_pool_limits);
	struct caller a;

	caller_open(&a, fix, "a", FULL);
	run(fix, &a, 1, 20 * KOLK_MS_NS);
	for (int i = 0; i < FULL; i++)
		give_back(&a.want[i]);
	fixture_run(fix, 10 * KOLK_MS_NS);
	assert_int_equal(idle_of(&a), FULL);
	assert_int_equal(kolk_engine_connections_max_set(fix->engine, 7), KOLK_OK);
	fixture_run(fix, 10 * KOLK_MS_NS);
	assert_int_equal(idle_of(&a), 7);
	l.pool_connections_max = 6;
	assert_int_equal(kolk_pool_limits_set(fix->pool, &l), KOLK_OK);
	fixture_run(fix, 10 * KOLK_MS_NS);
	assert_int_equal(idle_of(&a), 6);
	t.connections_max = 5;
	assert_int_equal(kolk_tenant_limits_set(fix->engine, "a", &t), KOLK_OK);
	fixture_run(fix, 10 * KOLK_MS_NS);
	assert_int_equal(idle_of(&a), 5);
	l.pool_connections_max = 0;
	l.connections_max = 4;
	assert_int_equal(kolk_pool_limits_set(fix->pool, &l), KOLK_OK);
	fixture_run(fix, 10 * KOLK_MS_NS);
	assert_int_equal(idle_of(&a), 4);
	caller_close(&a);
}

/* ---- reclaims */

/* A reclaim is pending, and its requester leaves. No tenant loses a connection by it any more, and
 * it does not delay the next requester. */
static void nothing_is_reclaimed_for_a_requester_that_left(void **state)
{
	struct fixture *fix = *state;
	struct caller a, b;

	caller_open(&a, fix, "a", FULL);
	caller_open(&b, fix, "b", 1);
	run(fix, &a, 1, 20 * KOLK_MS_NS);
	ask(&b.want[0]);
	assert_int_equal(kolk_acquire_cancel(&b.want[0].acquire), KOLK_OK);
	b.want[0].waiting = false;
	fixture_run(fix, 10 * KOLK_MS_NS);
	for (int i = 0; i < FULL; i++)
		give_back(&a.want[i]);
	fixture_run(fix, 10 * KOLK_MS_NS);
	assert_int_equal(recalls_of(fix, "a"), 0);
	assert_int_equal(idle_of(&a), FULL);
	caller_close(&a);
	caller_close(&b);
}

static void a_victim_that_left_gives_nothing(void **state)
{
	struct fixture *fix = *state;
	struct caller a, b, c;

	caller_open(&a, fix, "a", FULL);
	caller_open(&b, fix, "b", 1);
	caller_open(&c, fix, "c", FULL);
	run(fix, &a, 1, 20 * KOLK_MS_NS);
	ask(&b.want[0]);
	fixture_run(fix, KOLK_MS_NS);
	for (int i = 0; i < FULL; i++) { /* closed, but not reclaimed */
		a.want[i].has = false;
		assert_int_equal(kolk_discard(&a.want[i].lease), KOLK_OK);
	}
	fixture_run(fix, 20 * KOLK_MS_NS);
	assert_true(b.want[0].has);
	for (int i = 0; i < FULL - 1; i++)
		ask(&c.want[i]);
	fixture_run(fix, 50 * KOLK_MS_NS);
	assert_int_equal(held(&c), FULL - 1);
	give_back(&c.want[0]);
	fixture_run(fix, 2 * KOLK_S_NS);
	ask(&b.want[1]); /* what is idle is there for it */
	fixture_run(fix, 20 * KOLK_MS_NS);
	assert_true(b.want[1].has);
	caller_close(&a);
	caller_close(&b);
	caller_close(&c);
}

/* A victim that is slow does not keep the requester from permits that are freed elsewhere. */
static void a_slow_victim_is_not_waited_for(void **state)
{
	struct fixture *fix = *state;
	struct caller a, b, c;

	caller_open(&a, fix, "a", 5);
	caller_open(&b, fix, "b", 1);
	caller_open(&c, fix, "c", 3);
	for (int i = 0; i < 5; i++)
		ask(&a.want[i]);
	for (int i = 0; i < 3; i++)
		ask(&c.want[i]);
	fixture_run(fix, 30 * KOLK_MS_NS);
	assert_true(held(&a) == 5 && held(&c) == 3);
	ask(&b.want[0]);
	fixture_run(fix, 10 * KOLK_MS_NS);
	give_back(&c.want[0]);
	fixture_run(fix, 100 * KOLK_MS_NS);
	assert_true(b.want[0].has);
	caller_close(&a);
	caller_close(&b);
	caller_close(&c);
}

/* What is reclaimed between keys of a tenant is not counted for the engine. */
static void reclaims_within_a_tenant_stay_there(void **state)
{
	struct fixture *fix = *state;
	struct kolk_tenant_limits l = KOLK_INIT(kolk_tenant_limits);
	struct caller a, more, b, c;

	l.connections_max = 3;
	assert_int_equal(kolk_tenant_limits_set(fix->engine, "a", &l), KOLK_OK);
	caller_open(&a, fix, "a", 3);
	caller_open_in(&more, fix, another_pool(fix, "second", 0), "a", 1);
	caller_open(&c, fix, "c", 5);
	caller_open(&b, fix, "b", 1);
	for (int i = 0; i < 3; i++)
		ask(&a.want[i]);
	for (int i = 0; i < 5; i++)
		ask(&c.want[i]);
	fixture_run(fix, 30 * KOLK_MS_NS);
	assert_true(held(&a) == 3 && held(&c) == 5);
	ask(&more.want[0]); /* one of a's keys gives to the other; a keeps all */
	fixture_run(fix, 10 * KOLK_MS_NS);
	give_back(&c.want[0]);
	ask(&b.want[0]);
	fixture_run(fix, 20 * KOLK_MS_NS);
	assert_true(b.want[0].has && more.want[0].waiting);
	give_back(&a.want[0]);
	fixture_run(fix, 20 * KOLK_MS_NS);
	assert_true(more.want[0].has);
	caller_close(&a);
	caller_close(&more);
	caller_close(&b);
	caller_close(&c);
}

/* Maintenance that does not run for a while delays nothing that a release can reclaim. */
static void shares_move_without_maintenance(void **state)
{
	struct fixture *fix = *state;
	struct caller a, b;

	caller_open(&a, fix, "a", FULL);
	caller_open(&b, fix, "b", 2);
	run(fix, &a, 1, 20 * KOLK_MS_NS);
	ask(&b.want[0]);
	ask(&b.want[1]);
	for (int i = 0; i < 1000; i++) { /* 100 ms */
		if (i % 100 == 50 && held(&a) > 5)
			give_back(&a.want[i / 100]);
		(void)kolk_loop_step(kolk_engine_loop(fix->engine, 0), 0);
		kolk__sim_pass(fix->sim, 100 * KOLK_US_NS);
	}
	assert_int_equal(held(&b), 2);
	caller_close(&a);
	caller_close(&b);
}

/* ---- the order of callers */

static void refills_leave_permits_to_waiters(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_limits l = KOLK_INIT(kolk_pool_limits);
	struct caller a, b;

	l.idle_min = FULL;
	assert_int_equal(kolk_pool_limits_set(fix->pool, &l), KOLK_OK);
	caller_open(&a, fix, "a", 1); /* is kept at eight */
	caller_open_in(&b, fix, another_pool(fix, "second", 0), "b", 2);
	ask(&a.want[0]);
	fixture_run(fix, 50 * KOLK_MS_NS);
	assert_int_equal(idle_of(&a), FULL - 1);
	ask(&b.want[0]);
	ask(&b.want[1]);
	fixture_run(fix, 20 * KOLK_MS_NS);
	assert_int_equal(held(&b), 2);
	fixture_run(fix, KOLK_S_NS);
	assert_int_equal(held(&b), 2);
	caller_close(&a);
	caller_close(&b);
}

static void newcomers_queue_behind_waiters(void **state)
{
	struct fixture *fix = *state;
	struct caller a, first, second;

	caller_open(&a, fix, "a", FULL);
	caller_open(&first, fix, "b", 1);
	caller_open(&second, fix, "c", 1);
	run(fix, &a, 1, 20 * KOLK_MS_NS);
	ask(&first.want[0]);
	give_back(&a.want[0]);
	ask(&second.want[0]); /* while a connection is evicted for the first */
	fixture_run(fix, 20 * KOLK_MS_NS);
	assert_true(first.want[0].has);
	give_back(&a.want[1]);
	fixture_run(fix, 20 * KOLK_MS_NS);
	assert_true(second.want[0].has);
	caller_close(&a);
	caller_close(&first);
	caller_close(&second);
}

/* More callers than connections alternate, each for about lend_after (1 s). */
static void no_caller_starves_after_faults(void **state)
{
	struct fixture *fix = *state;
	static const char *const names[] = { "a", "b", "c", "d", "e" };
	struct caller callers[5];
	uint32_t served[5];

	assert_int_equal(kolk_engine_connections_max_set(fix->engine, 3), KOLK_OK);
	for (int i = 0; i < 5; i++)
		caller_open(&callers[i], fix, names[i], i == 0 ? WANTS : 2);
	kolk__sim_chance(fix->sim, KOLK__SIM_REFUSED, 20000);
	kolk__sim_chance(fix->sim, KOLK__SIM_RESET, 5000);
	run(fix, callers, 5, 2 * KOLK_S_NS);
	kolk__sim_chance(fix->sim, KOLK__SIM_REFUSED, 0);
	kolk__sim_chance(fix->sim, KOLK__SIM_RESET, 0);
	run(fix, callers, 5, 5 * KOLK_S_NS); /* back-offs end */
	for (int i = 0; i < 5; i++) {
		served[i] = callers[i].served;
		callers[i].longest_ns = 0;
	}
	run(fix, callers, 5, 20 * KOLK_S_NS);
	for (int i = 0; i < 5; i++) {
		assert_true(callers[i].served >= served[i] + 20 * 60);
		assert_true(i == 0 || callers[i].longest_ns < 4 * KOLK_S_NS);
	}
	for (int i = 0; i < 5; i++)
		caller_close(&callers[i]);
}

/* ---- a permit queue */

enum { QUEUED = 1000 };

/* All leave the first queue, one third for good; every other one is in the second before. */
static void move_between(struct kolk_engine *engine, struct kolk__permit_queue *queues,
			 struct kolk_key *keys)
{
	struct kolk_key *key;

	for (int i = 0; i < QUEUED; i++)
		kolk__permit_queue_push(engine, &queues[i & 1], &keys[i]);
	for (int i = 0; i < QUEUED; i += 3)
		kolk__permit_queue_remove(engine, &keys[i]);
	while ((key = kolk__permit_queue_pop(engine, &queues[0])) != NULL) {
		key->keep_sequence = true;
		kolk__permit_queue_push(engine, &queues[1], key);
	}
}

static void a_key_keeps_its_sequence_in_another_queue(void **state)
{
	struct fixture *fix = *state;
	struct kolk_engine *engine = fix->engine;
	struct kolk_key *keys = aligned_alloc(KOLK_CACHE_LINE, QUEUED * sizeof keys[0]);
	struct kolk__permit_queue queues[2];

	memset(keys, 0, QUEUED * sizeof keys[0]);
	kolk__take_lock(engine, &engine->accounting);
	for (int i = 0; i < 2; i++)
		kolk__permit_queue_init(&queues[i], KOLK__QUEUE_POOL);
	move_between(engine, queues, keys);
	for (int i = 0; i < QUEUED; i++)
		if (i % 3 != 0)
			assert_ptr_equal(kolk__permit_queue_pop(engine, &queues[1]), &keys[i]);
	assert_null(kolk__permit_queue_pop(engine, &queues[1]));
	assert_int_equal(kolk__own(&engine->queued_keys), 0);
	assert_null(engine->limit_queues.root);
	kolk__give_lock(engine, &engine->accounting);
	free(keys);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(a_key_keeps_its_sequence_in_another_queue, engine_setup,
					fixture_close),
	cmocka_unit_test_setup_teardown(each_release_moves_one_to_the_smaller_share,
					engine_setup, fixture_close),
	cmocka_unit_test_setup_teardown(shares_follow_weights, engine_setup, fixture_close),
	cmocka_unit_test_setup_teardown(a_small_demand_is_met, engine_setup, fixture_close),
	cmocka_unit_test_setup_teardown(pool_queues_do_not_overtake_the_engine_queue, engine_setup,
					fixture_close),
	cmocka_unit_test_setup_teardown(a_pools_limit_is_shared_likewise, engine_setup,
					fixture_close),
	cmocka_unit_test_setup_teardown(idle_capacity_is_lent_after_a_while, engine_setup,
					fixture_close),
	cmocka_unit_test_setup_teardown(what_is_above_the_share_is_taken_at_once, engine_setup,
					fixture_close),
	cmocka_unit_test_setup_teardown(a_tenant_limit_evicts_the_tenants_oldest, engine_setup,
					fixture_close),
	cmocka_unit_test_setup_teardown(a_lowered_limit_takes_what_it_must, engine_setup,
					fixture_close),
	cmocka_unit_test_setup_teardown(nothing_is_reclaimed_for_a_requester_that_left,
					engine_setup, fixture_close),
	cmocka_unit_test_setup_teardown(a_victim_that_left_gives_nothing, engine_setup, fixture_close),
	cmocka_unit_test_setup_teardown(a_slow_victim_is_not_waited_for, engine_setup, fixture_close),
	cmocka_unit_test_setup_teardown(reclaims_within_a_tenant_stay_there, engine_setup,
					fixture_close),
	cmocka_unit_test_setup_teardown(shares_move_without_maintenance, engine_setup, fixture_close),
	cmocka_unit_test_setup_teardown(refills_leave_permits_to_waiters, engine_setup,
					fixture_close),
	cmocka_unit_test_setup_teardown(newcomers_queue_behind_waiters, engine_setup, fixture_close),
	cmocka_unit_test_setup_teardown(no_caller_starves_after_faults, engine_setup, fixture_close),
};

CMOCKA_TESTS(fair, tests);
