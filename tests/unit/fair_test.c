/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fair_test.c - hungry.c: who gets the next permit when a limit is full.
 *
 * A guest is a tenant's key that always wants so many leases and keeps each for a while. Shares
 * are what guests hold once everybody has had time to give back.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

enum { WANTS = 16, FULL = 8 };

struct guest;

struct want {
	struct guest *guest;
	struct kolk_acquire acquire;
	struct kolk_lease lease;
	uint64_t since_ns;
	bool waiting, has;
};

struct guest {
	struct bed *bed;
	struct kolk_key *key;
	uint32_t wants;      /* leases at a time */
	uint64_t hold_ns;    /* how long it keeps one */
	struct want want[WANTS];
	uint32_t served, failed;
	uint64_t longest_ns; /* that one of its callers waited */
};

/* ---- guests */

static void begin_to_hold(struct want *want, enum kolk_err err, const struct kolk_lease *lease)
{
	struct guest *guest = want->guest;
	uint64_t now_ns = kolk__sim_now(guest->bed->sim);

	want->waiting = false;
	want->has = err == KOLK_OK;
	guest->served += err == KOLK_OK;
	guest->failed += err != KOLK_OK;
	if (now_ns - want->since_ns > guest->longest_ns)
		guest->longest_ns = now_ns - want->since_ns;
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
	struct guest *guest = want->guest;
	enum kolk_err err;

	want->since_ns = kolk__sim_now(guest->bed->sim);
	err = kolk_acquire_async(kolk_engine_loop(guest->bed->engine, 0), guest->key,
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

static uint32_t held(const struct guest *guest)
{
	uint32_t count = 0;

	for (int i = 0; i < WANTS; i++)
		count += guest->want[i].has;
	return count;
}

/* What is due is given back, then everybody wants again. */
static void act(struct guest *guest)
{
	uint64_t now_ns = kolk__sim_now(guest->bed->sim);

	for (uint32_t i = 0; i < WANTS; i++)
		if (guest->want[i].has && now_ns - guest->want[i].since_ns >= guest->hold_ns)
			give_back(&guest->want[i]);
	for (uint32_t i = 0; i < guest->wants; i++)
		if (!guest->want[i].has && !guest->want[i].waiting)
			ask(&guest->want[i]);
}

static void run(struct bed *bed, struct guest *guests, size_t count, uint64_t ns)
{
	uint64_t end_ns = kolk__sim_now(bed->sim) + ns;

	while (kolk__sim_now(bed->sim) < end_ns) {
		for (size_t i = 0; i < count; i++)
			act(&guests[i]);
		bed_run(bed, KOLK_MS_NS);
	}
}

static void guest_in(struct guest *guest, struct bed *bed, struct kolk_pool *pool,
		     const char *tenant, uint32_t wants)
{
	struct kolk_key_options o = KOLK_INIT(kolk_key_options);

	*guest = (struct guest){ .bed = bed, .wants = wants, .hold_ns = 5 * KOLK_MS_NS };
	for (int i = 0; i < WANTS; i++)
		guest->want[i].guest = guest;
	o.tenant = tenant;
	assert_int_equal(kolk_key_open(pool, &o, &guest->key), KOLK_OK);
}

static void guest_open(struct guest *guest, struct bed *bed, const char *tenant, uint32_t wants)
{
	guest_in(guest, bed, bed->pool, tenant, wants);
}

static void guest_close(struct guest *guest)
{
	for (int i = 0; i < WANTS; i++) {
		if (guest->want[i].waiting)
			assert_int_equal(kolk_acquire_cancel(&guest->want[i].acquire), KOLK_OK);
		if (guest->want[i].has)
			give_back(&guest->want[i]);
	}
	kolk_key_close(guest->key);
}

/* ---- the house: 8 connections, nothing that is kept ready */

static int house_open(void **state)
{
	struct kolk_pool_limits l = KOLK_INIT(kolk_pool_limits);
	struct bed *bed;

	if (bed_open(state) != 0)
		return -1;
	bed = *state;
	l.connections_max = 16;
	l.idle_min = KOLK_NONE;
	return kolk_pool_limits_set(bed->pool, &l) == KOLK_OK ? 0 : -1;
}

static struct kolk_pool *another_pool(struct bed *bed, const char *name, uint32_t limit)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_pool *pool;

	o.name = name;
	o.address = "192.0.2.2:7";
	o.connections_max = 16;
	o.pool_connections_max = limit;
	o.idle_min = KOLK_NONE;
	assert_int_equal(kolk_pool_add(bed->engine, &o, &pool), KOLK_OK);
	return pool;
}

static uint32_t recalls_of(struct bed *bed, const char *name)
{
	struct kolk_tenant_info info[8];
	uint64_t cursor = 0;
	size_t count = kolk_engine_tenants(bed->engine, &cursor, info, 8);

	for (size_t i = 0; i < count; i++)
		if (strcmp(info[i].name, name) == 0)
			return info[i].recalls;
	fail_msg("there is no tenant %s", name);
	return 0;
}

/* ---- shares */

static void each_release_moves_one_to_the_smaller_share(void **state)
{
	struct bed *bed = *state;
	struct guest a, b;

	guest_open(&a, bed, "a", WANTS);
	guest_open(&b, bed, "b", FULL);
	a.hold_ns = b.hold_ns = KOLK_S_NS;
	run(bed, &a, 1, 50 * KOLK_MS_NS);
	assert_int_equal(held(&a), FULL);
	for (uint32_t i = 0; i < b.wants; i++)
		ask(&b.want[i]);
	for (uint32_t given = 0, i = 0; i < WANTS; i++) {
		if (!a.want[i].has)
			continue;
		give_back(&a.want[i]);
		bed_run(bed, 20 * KOLK_MS_NS);
		given++;
		if (given <= FULL / 2)
			assert_int_equal(held(&b), given);
		if (given == FULL / 2)
			break;
	}
	assert_int_equal(recalls_of(bed, "a"), FULL / 2);
	assert_int_equal(held(&a), FULL / 2);
	run(bed, &a, 1, 200 * KOLK_MS_NS); /* and not more than that */
	assert_int_equal(held(&b), FULL / 2);
	guest_close(&a);
	guest_close(&b);
}

static void shares_follow_weights(void **state)
{
	struct bed *bed = *state;
	struct kolk_tenant_limits l = KOLK_INIT(kolk_tenant_limits);
	struct guest guests[2];

	l.weight = 3;
	assert_int_equal(kolk_tenant_limits_set(bed->engine, "b", &l), KOLK_OK);
	guest_open(&guests[0], bed, "a", WANTS);
	run(bed, guests, 1, 50 * KOLK_MS_NS);
	guest_open(&guests[1], bed, "b", WANTS);
	run(bed, guests, 2, 300 * KOLK_MS_NS);
	assert_int_equal(held(&guests[0]), 2);
	assert_int_equal(held(&guests[1]), 6);
	guest_close(&guests[0]);
	guest_close(&guests[1]);
}

static void who_wants_little_gets_it_all(void **state)
{
	struct bed *bed = *state;
	struct guest guests[3];

	guest_open(&guests[0], bed, "a", WANTS);
	guest_open(&guests[1], bed, "b", WANTS);
	run(bed, guests, 2, 100 * KOLK_MS_NS);
	guest_open(&guests[2], bed, "c", 1);
	run(bed, guests, 3, 300 * KOLK_MS_NS);
	assert_true(guests[2].served >= 20);
	assert_true(held(&guests[0]) >= 3 && held(&guests[1]) >= 3);
	for (int i = 0; i < 3; i++)
		guest_close(&guests[i]);
}

/* A greedy tenant that also stands in the rows of its pool or of its own limit gets no permit
 * of the engine before who has less. */
static void rows_of_pools_do_not_pass_the_line(void **state)
{
	struct bed *bed = *state;
	struct kolk_tenant_limits l = KOLK_INIT(kolk_tenant_limits);
	struct guest guests[3];

	l.connections_max = FULL;
	assert_int_equal(kolk_tenant_limits_set(bed->engine, "a", &l), KOLK_OK);
	guest_in(&guests[0], bed, another_pool(bed, "narrow", FULL), "a", WANTS);
	guest_in(&guests[1], bed, kolk_key_pool(guests[0].key), "c", 1);
	run(bed, guests, 2, 50 * KOLK_MS_NS);
	guest_open(&guests[2], bed, "b", WANTS);
	run(bed, guests, 3, 300 * KOLK_MS_NS);
	assert_true(guests[1].served >= 10);
	assert_true(held(&guests[0]) <= 4 && held(&guests[2]) >= 3);
	for (int i = 0; i < 3; i++)
		guest_close(&guests[i]);
}

static void a_pools_limit_is_shared_likewise(void **state)
{
	struct bed *bed = *state;
	struct kolk_pool *pool = another_pool(bed, "narrow", 4);
	struct guest guests[2];

	guest_in(&guests[0], bed, pool, "a", WANTS);
	run(bed, guests, 1, 50 * KOLK_MS_NS);
	assert_int_equal(held(&guests[0]), 4);
	guest_in(&guests[1], bed, pool, "b", WANTS);
	run(bed, guests, 2, 200 * KOLK_MS_NS);
	assert_int_equal(held(&guests[0]), 2);
	assert_int_equal(held(&guests[1]), 2);
	guest_close(&guests[0]);
	guest_close(&guests[1]);
}

/* ---- lending */

/* All 8 are idle: of the greedy tenant 6, of the modest one 2 that lie there for longer. */
static void lay_down(struct bed *bed, struct guest *greedy, struct guest *modest)
{
	guest_open(greedy, bed, "greedy", 6);
	guest_open(modest, bed, "modest", 2);
	for (uint32_t i = 0; i < 2; i++)
		ask(&modest->want[i]);
	bed_run(bed, 20 * KOLK_MS_NS);
	for (uint32_t i = 0; i < 6; i++)
		ask(&greedy->want[i]);
	bed_run(bed, 20 * KOLK_MS_NS);
	assert_true(held(modest) == 2 && held(greedy) == 6);
	for (uint32_t i = 0; i < 2; i++)
		give_back(&modest->want[i]);
	bed_run(bed, 10 * KOLK_MS_NS);
}

static uint32_t idle_of(const struct guest *guest)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	assert_int_equal(kolk_key_stats(guest->key, &stats), KOLK_OK);
	return stats.idle;
}

static void idle_capacity_is_lent_after_a_while(void **state)
{
	struct bed *bed = *state;
	struct guest greedy, modest;

	lay_down(bed, &greedy, &modest);
	ask(&greedy.want[6]);
	bed_run(bed, 900 * KOLK_MS_NS);
	assert_int_equal(idle_of(&modest), 2); /* protected */
	assert_true(greedy.want[6].waiting);
	bed_run(bed, 200 * KOLK_MS_NS);
	assert_int_equal(idle_of(&modest), 1); /* lent */
	assert_true(greedy.want[6].has);
	bed_run(bed, KOLK_S_NS);
	assert_int_equal(idle_of(&modest), 1); /* no more than was asked for */
	/* And taken back, one for the first release. */
	ask(&modest.want[0]);
	ask(&modest.want[1]);
	bed_run(bed, 10 * KOLK_MS_NS);
	assert_true(modest.want[0].has && modest.want[1].waiting);
	give_back(&greedy.want[0]);
	bed_run(bed, 20 * KOLK_MS_NS);
	assert_true(modest.want[1].has);
	guest_close(&greedy);
	guest_close(&modest);
}

static void what_is_above_the_share_is_taken_at_once(void **state)
{
	struct bed *bed = *state;
	struct guest greedy, modest;

	lay_down(bed, &greedy, &modest);
	for (uint32_t i = 0; i < 6; i++)
		give_back(&greedy.want[i]);
	for (uint32_t i = 0; i < 4; i++)
		ask(&modest.want[i]);
	bed_run(bed, 20 * KOLK_MS_NS);
	assert_int_equal(held(&modest), 4);
	assert_int_equal(idle_of(&greedy), 4);
	guest_close(&greedy);
	guest_close(&modest);
}

static void an_own_limit_takes_ones_own_oldest(void **state)
{
	struct bed *bed = *state;
	struct kolk_tenant_limits l = KOLK_INIT(kolk_tenant_limits);
	struct guest first, second, third, other;

	l.connections_max = 2;
	assert_int_equal(kolk_tenant_limits_set(bed->engine, "t", &l), KOLK_OK);
	guest_open(&other, bed, "other", 1);
	ask(&other.want[0]);
	bed_run(bed, 20 * KOLK_MS_NS);
	give_back(&other.want[0]); /* idle for longer, but not t's */
	guest_open(&first, bed, "t", 1);
	guest_in(&second, bed, another_pool(bed, "second", 0), "t", 1);
	guest_in(&third, bed, another_pool(bed, "third", 0), "t", 1);
	ask(&first.want[0]);
	bed_run(bed, 20 * KOLK_MS_NS);
	give_back(&first.want[0]);
	ask(&second.want[0]);
	bed_run(bed, 20 * KOLK_MS_NS);
	give_back(&second.want[0]);
	ask(&third.want[0]);
	bed_run(bed, 20 * KOLK_MS_NS);
	assert_true(third.want[0].has);
	assert_true(idle_of(&first) == 0 && idle_of(&second) == 1 && idle_of(&other) == 1);
	guest_close(&first);
	guest_close(&second);
	guest_close(&third);
	guest_close(&other);
}

static void a_lowered_limit_takes_what_it_must(void **state)
{
	struct bed *bed = *state;
	struct kolk_tenant_limits t = KOLK_INIT(kolk_tenant_limits);
	struct kolk_pool_limits l = KOLK_INIT(kolk_pool_limits);
	struct guest a;

	guest_open(&a, bed, "a", FULL);
	run(bed, &a, 1, 20 * KOLK_MS_NS);
	for (int i = 0; i < FULL; i++)
		give_back(&a.want[i]);
	bed_run(bed, 10 * KOLK_MS_NS);
	assert_int_equal(idle_of(&a), FULL);
	assert_int_equal(kolk_engine_connections_max_set(bed->engine, 7), KOLK_OK);
	bed_run(bed, 10 * KOLK_MS_NS);
	assert_int_equal(idle_of(&a), 7);
	l.pool_connections_max = 6;
	assert_int_equal(kolk_pool_limits_set(bed->pool, &l), KOLK_OK);
	bed_run(bed, 10 * KOLK_MS_NS);
	assert_int_equal(idle_of(&a), 6);
	t.connections_max = 5;
	assert_int_equal(kolk_tenant_limits_set(bed->engine, "a", &t), KOLK_OK);
	bed_run(bed, 10 * KOLK_MS_NS);
	assert_int_equal(idle_of(&a), 5);
	l.pool_connections_max = 0;
	l.connections_max = 4;
	assert_int_equal(kolk_pool_limits_set(bed->pool, &l), KOLK_OK);
	bed_run(bed, 10 * KOLK_MS_NS);
	assert_int_equal(idle_of(&a), 4);
	guest_close(&a);
}

/* ---- debts */

/* A debt is made, and the creditor leaves. Nobody loses anything by it any more, and it is not in
 * the way of the next one. */
static void who_left_is_owed_nothing(void **state)
{
	struct bed *bed = *state;
	struct guest a, b;

	guest_open(&a, bed, "a", FULL);
	guest_open(&b, bed, "b", 1);
	run(bed, &a, 1, 20 * KOLK_MS_NS);
	ask(&b.want[0]);
	assert_int_equal(kolk_acquire_cancel(&b.want[0].acquire), KOLK_OK);
	b.want[0].waiting = false;
	bed_run(bed, 10 * KOLK_MS_NS);
	for (int i = 0; i < FULL; i++)
		give_back(&a.want[i]);
	bed_run(bed, 10 * KOLK_MS_NS);
	assert_int_equal(recalls_of(bed, "a"), 0);
	assert_int_equal(idle_of(&a), FULL);
	guest_close(&a);
	guest_close(&b);
}

static void a_debtor_that_left_owes_nothing(void **state)
{
	struct bed *bed = *state;
	struct guest a, b, c;

	guest_open(&a, bed, "a", FULL);
	guest_open(&b, bed, "b", 1);
	guest_open(&c, bed, "c", FULL);
	run(bed, &a, 1, 20 * KOLK_MS_NS);
	ask(&b.want[0]);
	bed_run(bed, KOLK_MS_NS);
	for (int i = 0; i < FULL; i++) { /* closed, but not for the debt */
		a.want[i].has = false;
		assert_int_equal(kolk_discard(&a.want[i].lease), KOLK_OK);
	}
	bed_run(bed, 20 * KOLK_MS_NS);
	assert_true(b.want[0].has);
	for (int i = 0; i < FULL - 1; i++)
		ask(&c.want[i]);
	bed_run(bed, 50 * KOLK_MS_NS);
	assert_int_equal(held(&c), FULL - 1);
	give_back(&c.want[0]);
	bed_run(bed, 2 * KOLK_S_NS);
	ask(&b.want[1]); /* what is idle is there for it */
	bed_run(bed, 20 * KOLK_MS_NS);
	assert_true(b.want[1].has);
	guest_close(&a);
	guest_close(&b);
	guest_close(&c);
}

/* One that pays late does not keep the creditor from what comes free elsewhere. */
static void a_slow_debtor_is_not_waited_for(void **state)
{
	struct bed *bed = *state;
	struct guest a, b, c;

	guest_open(&a, bed, "a", 5);
	guest_open(&b, bed, "b", 1);
	guest_open(&c, bed, "c", 3);
	for (int i = 0; i < 5; i++)
		ask(&a.want[i]);
	for (int i = 0; i < 3; i++)
		ask(&c.want[i]);
	bed_run(bed, 30 * KOLK_MS_NS);
	assert_true(held(&a) == 5 && held(&c) == 3);
	ask(&b.want[0]);
	bed_run(bed, 10 * KOLK_MS_NS);
	give_back(&c.want[0]);
	bed_run(bed, 100 * KOLK_MS_NS);
	assert_true(b.want[0].has);
	guest_close(&a);
	guest_close(&b);
	guest_close(&c);
}

/* What a tenant owes itself is none of the engine's business. */
static void debts_within_a_tenant_are_its_own(void **state)
{
	struct bed *bed = *state;
	struct kolk_tenant_limits l = KOLK_INIT(kolk_tenant_limits);
	struct guest a, more, b, c;

	l.connections_max = 3;
	assert_int_equal(kolk_tenant_limits_set(bed->engine, "a", &l), KOLK_OK);
	guest_open(&a, bed, "a", 3);
	guest_in(&more, bed, another_pool(bed, "second", 0), "a", 1);
	guest_open(&c, bed, "c", 5);
	guest_open(&b, bed, "b", 1);
	for (int i = 0; i < 3; i++)
		ask(&a.want[i]);
	for (int i = 0; i < 5; i++)
		ask(&c.want[i]);
	bed_run(bed, 30 * KOLK_MS_NS);
	assert_true(held(&a) == 3 && held(&c) == 5);
	ask(&more.want[0]); /* a owes one to itself, and keeps all */
	bed_run(bed, 10 * KOLK_MS_NS);
	give_back(&c.want[0]);
	ask(&b.want[0]);
	bed_run(bed, 20 * KOLK_MS_NS);
	assert_true(b.want[0].has && more.want[0].waiting);
	give_back(&a.want[0]);
	bed_run(bed, 20 * KOLK_MS_NS);
	assert_true(more.want[0].has);
	guest_close(&a);
	guest_close(&more);
	guest_close(&b);
	guest_close(&c);
}

/* Maintenance that does not run for a while delays nothing that a release can settle. */
static void shares_move_without_maintenance(void **state)
{
	struct bed *bed = *state;
	struct guest a, b;

	guest_open(&a, bed, "a", FULL);
	guest_open(&b, bed, "b", 2);
	run(bed, &a, 1, 20 * KOLK_MS_NS);
	ask(&b.want[0]);
	ask(&b.want[1]);
	for (int i = 0; i < 1000; i++) { /* 100 ms */
		if (i % 100 == 50 && held(&a) > 5)
			give_back(&a.want[i / 100]);
		(void)kolk_loop_step(kolk_engine_loop(bed->engine, 0), 0);
		kolk__sim_pass(bed->sim, 100 * KOLK_US_NS);
	}
	assert_int_equal(held(&b), 2);
	guest_close(&a);
	guest_close(&b);
}

/* ---- who comes when */

static void refills_leave_permits_to_who_waits(void **state)
{
	struct bed *bed = *state;
	struct kolk_pool_limits l = KOLK_INIT(kolk_pool_limits);
	struct guest a, b;

	l.idle_min = FULL;
	assert_int_equal(kolk_pool_limits_set(bed->pool, &l), KOLK_OK);
	guest_open(&a, bed, "a", 1); /* is kept at eight */
	guest_in(&b, bed, another_pool(bed, "second", 0), "b", 2);
	ask(&a.want[0]);
	bed_run(bed, 50 * KOLK_MS_NS);
	assert_int_equal(idle_of(&a), FULL - 1);
	ask(&b.want[0]);
	ask(&b.want[1]);
	bed_run(bed, 20 * KOLK_MS_NS);
	assert_int_equal(held(&b), 2);
	bed_run(bed, KOLK_S_NS);
	assert_int_equal(held(&b), 2);
	guest_close(&a);
	guest_close(&b);
}

static void newcomers_stand_behind_the_line(void **state)
{
	struct bed *bed = *state;
	struct guest a, first, second;

	guest_open(&a, bed, "a", FULL);
	guest_open(&first, bed, "b", 1);
	guest_open(&second, bed, "c", 1);
	run(bed, &a, 1, 20 * KOLK_MS_NS);
	ask(&first.want[0]);
	give_back(&a.want[0]);
	ask(&second.want[0]); /* while room is being made for the first */
	bed_run(bed, 20 * KOLK_MS_NS);
	assert_true(first.want[0].has);
	give_back(&a.want[1]);
	bed_run(bed, 20 * KOLK_MS_NS);
	assert_true(second.want[0].has);
	guest_close(&a);
	guest_close(&first);
	guest_close(&second);
}

/* More guests than connections take turns, each for about lend_after (1 s). */
static void nobody_starves_after_faults(void **state)
{
	struct bed *bed = *state;
	static const char *const names[] = { "a", "b", "c", "d", "e" };
	struct guest guests[5];
	uint32_t served[5];

	assert_int_equal(kolk_engine_connections_max_set(bed->engine, 3), KOLK_OK);
	for (int i = 0; i < 5; i++)
		guest_open(&guests[i], bed, names[i], i == 0 ? WANTS : 2);
	kolk__sim_chance(bed->sim, KOLK__SIM_REFUSED, 20000);
	kolk__sim_chance(bed->sim, KOLK__SIM_RESET, 5000);
	run(bed, guests, 5, 2 * KOLK_S_NS);
	kolk__sim_chance(bed->sim, KOLK__SIM_REFUSED, 0);
	kolk__sim_chance(bed->sim, KOLK__SIM_RESET, 0);
	run(bed, guests, 5, 5 * KOLK_S_NS); /* back-offs end */
	for (int i = 0; i < 5; i++) {
		served[i] = guests[i].served;
		guests[i].longest_ns = 0;
	}
	run(bed, guests, 5, 20 * KOLK_S_NS);
	for (int i = 0; i < 5; i++) {
		assert_true(guests[i].served >= served[i] + 20 * 60);
		assert_true(i == 0 || guests[i].longest_ns < 4 * KOLK_S_NS);
	}
	for (int i = 0; i < 5; i++)
		guest_close(&guests[i]);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(each_release_moves_one_to_the_smaller_share,
					house_open, bed_close),
	cmocka_unit_test_setup_teardown(shares_follow_weights, house_open, bed_close),
	cmocka_unit_test_setup_teardown(who_wants_little_gets_it_all, house_open, bed_close),
	cmocka_unit_test_setup_teardown(rows_of_pools_do_not_pass_the_line, house_open,
					bed_close),
	cmocka_unit_test_setup_teardown(a_pools_limit_is_shared_likewise, house_open,
					bed_close),
	cmocka_unit_test_setup_teardown(idle_capacity_is_lent_after_a_while, house_open,
					bed_close),
	cmocka_unit_test_setup_teardown(what_is_above_the_share_is_taken_at_once, house_open,
					bed_close),
	cmocka_unit_test_setup_teardown(an_own_limit_takes_ones_own_oldest, house_open,
					bed_close),
	cmocka_unit_test_setup_teardown(a_lowered_limit_takes_what_it_must, house_open,
					bed_close),
	cmocka_unit_test_setup_teardown(who_left_is_owed_nothing, house_open, bed_close),
	cmocka_unit_test_setup_teardown(a_debtor_that_left_owes_nothing, house_open, bed_close),
	cmocka_unit_test_setup_teardown(a_slow_debtor_is_not_waited_for, house_open, bed_close),
	cmocka_unit_test_setup_teardown(debts_within_a_tenant_are_its_own, house_open,
					bed_close),
	cmocka_unit_test_setup_teardown(shares_move_without_maintenance, house_open, bed_close),
	cmocka_unit_test_setup_teardown(refills_leave_permits_to_who_waits, house_open,
					bed_close),
	cmocka_unit_test_setup_teardown(newcomers_stand_behind_the_line, house_open, bed_close),
	cmocka_unit_test_setup_teardown(nobody_starves_after_faults, house_open, bed_close),
};

CMOCKA_TESTS(fair, tests);
