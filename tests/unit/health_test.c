/* SPDX-License-Identifier: Apache-2.0 */
/* health_test.c - health.c: suspicion after a reset, how long the peer keeps idle connections. */
#include "tests/unit/learn.h"

#include "core/health.h"

/* ---- suspicion */

/* All four connections of the fixture's pool of PINGs: one leased, three idle. */
static struct kolk_pool *pinging(struct fixture *fix, struct kolk_lease leases[4])
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_pool *pool;

	o.name = "pinging";
	o.address = "192.0.2.3:7";
	o.driver = kolk_driver_redis_ping();
	o.connections_max = 4;
	o.idle_min = KOLK_NONE;
	pool = pool_of(fix, &o);
	for (int i = 0; i < 4; i++)
		assert_int_equal(take(fix, kolk_pool_key(pool), &leases[i]), KOLK_OK);
	return pool;
}

static void reset_by_peer(struct fixture *fix, struct kolk_lease *lease)
{
	kolk__sim_chance(fix->sim, KOLK__SIM_RESET, 65536);
	assert_int_equal(kolk_send_all(lease, "x", 1, kolk__sim_now(fix->sim) + KOLK_S_NS), KOLK_OK);
	kolk__sim_chance(fix->sim, KOLK__SIM_RESET, 0);
	fixture_run(fix, 20 * KOLK_MS_NS);
	assert_int_equal(kolk_release(lease), KOLK_OK);
	fixture_run(fix, 10 * KOLK_MS_NS);
}

static void a_reset_makes_the_siblings_suspect(void **state)
{
	struct fixture *fix = *state;
	struct kolk_lease leases[4];
	struct kolk_pool *pool = pinging(fix, leases);

	assert_int_equal(kolk_release(&leases[2]), KOLK_OK);
	assert_int_equal(kolk_release(&leases[3]), KOLK_OK);
	reset_by_peer(fix, &leases[0]);
	assert_int_equal(stats_of(pool).pings_ok, 2);
	reset_by_peer(fix, &leases[1]); /* so soon: they were asked */
	assert_int_equal(stats_of(pool).pings_ok, 2);
	fixture_run(fix, 100 * KOLK_MS_NS);
	assert_int_equal(take(fix, kolk_pool_key(pool), &leases[0]), KOLK_OK);
	reset_by_peer(fix, &leases[0]);
	assert_int_equal(stats_of(pool).pings_ok, 3);
}

/* Callers that come meanwhile wait for the pings: the peer under suspicion gets no dials. */
static void callers_wait_for_pings(void **state)
{
	struct fixture *fix = *state;
	struct kolk_lease leases[4];
	struct kolk_pool *pool = pinging(fix, leases);
	struct caller callers[2] = { 0 };

	for (int i = 0; i < 2; i++)
		assert_int_equal(kolk_discard(&leases[i]), KOLK_OK);
	for (int i = 2; i < 4; i++)
		assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
	fixture_run(fix, 10 * KOLK_MS_NS);
	assert_int_equal(stats_of(pool).open, 2);
	kolk__health_suspect(pool, kolk__sim_now(fix->sim));
	assert_int_equal(stats_of(pool).pinging, 2);
	for (int i = 0; i < 2; i++)
		assert_int_equal(begin(fix, &callers[i], kolk_pool_key(pool), KOLK_S_NS),
				 KOLK_PENDING);
	assert_int_equal(stats_of(pool).dialled, 4);
	fixture_run(fix, 100 * KOLK_MS_NS);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(callers[i].err, KOLK_OK);
		assert_int_equal(kolk_release(&callers[i].lease), KOLK_OK);
	}
	assert_int_equal(stats_of(pool).dialled, 4);
}

static void without_pings_nothing_is_suspected(void **state)
{
	struct fixture *fix = *state;
	struct kolk_lease leases[4];

	for (int i = 0; i < 4; i++)
		assert_int_equal(take(fix, fix->key, &leases[i]), KOLK_OK);
	for (int i = 1; i < 4; i++)
		assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
	reset_by_peer(fix, &leases[0]);
	assert_int_equal(stats_of(fix->pool).pings_ok + stats_of(fix->pool).pings_failed, 0);
	assert_int_equal(stats_of(fix->pool).idle, 3);
}

static void three_closed_at_one_age_teach_it(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool *pool = kept_at_one(fix);
	uint64_t learned_ns;

	kolk__sim_idle_limit(fix->sim, 2 * KOLK_S_NS);
	assert_int_equal(kolk_key_warm(kolk_pool_key(pool), KOLK_FOREVER), KOLK_OK);
	fixture_run(fix, 5 * KOLK_S_NS);
	assert_int_equal(info_of(pool).peer_idle_ns, 0);
	assert_int_equal(stats_of(pool).destroyed[KOLK_REASON_PEER_CLOSED], 2);
	fixture_run(fix, 2 * KOLK_S_NS);
	assert_int_equal(stats_of(pool).destroyed[KOLK_REASON_PEER_CLOSED], 3);
	learned_ns = info_of(pool).peer_idle_ns;
	assert_true(learned_ns >= 1700 * KOLK_MS_NS && learned_ns <= 1800 * KOLK_MS_NS);
	/* From now on each goes, and is replaced, before the peer closes it. */
	fixture_run(fix, 120 * KOLK_S_NS);
	assert_int_equal(stats_of(pool).destroyed[KOLK_REASON_PEER_CLOSED], 3);
	assert_true(stats_of(pool).destroyed[KOLK_REASON_PEER_IDLE] >= 50);
	assert_int_equal(stats_of(pool).open, 1);
}

static void the_floor_is_not_refilled_for_a_peer_that_keeps_nothing(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool *pool = kept_at_one(fix);
	uint64_t dialled;

	kolk__health_idle_announced(pool, 100 * KOLK_MS_NS, kolk__sim_now(fix->sim));
	assert_int_equal(kolk_key_warm(kolk_pool_key(pool), KOLK_FOREVER), KOLK_OK);
	fixture_run(fix, KOLK_S_NS);
	assert_int_equal(stats_of(pool).destroyed[KOLK_REASON_PEER_IDLE], 1);
	dialled = stats_of(pool).dialled;
	fixture_run(fix, 60 * KOLK_S_NS);
	assert_int_equal(stats_of(pool).dialled, dialled);
	assert_int_equal(stats_of(pool).open, 0);
	assert_int_equal(acquire_result(fix, kolk_pool_key(pool)), KOLK_OK); /* callers are served,
									      * and healthy */
	assert_int_equal(stats_of(pool).dial_failed, 0);
}

static void what_was_learned_is_forgotten(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool *pool = kept_at_one(fix);
	struct kolk_lease lease;

	assert_int_equal(take(fix, kolk_pool_key(pool), &lease), KOLK_OK);
	assert_int_equal(kolk_lease_peer_idle(&lease, 8 * KOLK_S_NS), KOLK_OK);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	assert_int_equal(info_of(pool).peer_idle_ns, 7 * KOLK_S_NS);
	fixture_run(fix, 590 * KOLK_S_NS);
	assert_int_equal(info_of(pool).peer_idle_ns, 7 * KOLK_S_NS);
	fixture_run(fix, 12 * KOLK_S_NS);
	assert_int_equal(info_of(pool).peer_idle_ns, 0);
}

/* Its connections are checked in time, also those that were idle before. */
static void what_was_announced_holds_for_all_connections(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool *pool = kept_at_one(fix);
	struct kolk_lease leases[4];

	for (int i = 0; i < 4; i++)
		assert_int_equal(take(fix, kolk_pool_key(pool), &leases[i]), KOLK_OK);
	for (int i = 1; i < 4; i++)
		assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
	assert_int_equal(kolk_lease_peer_idle(&leases[0], 8 * KOLK_S_NS), KOLK_OK);
	assert_int_equal(kolk_release(&leases[0]), KOLK_OK);
	fixture_run(fix, 6900 * KOLK_MS_NS);
	assert_int_equal(stats_of(pool).destroyed[KOLK_REASON_PEER_IDLE], 0);
	fixture_run(fix, 200 * KOLK_MS_NS);
	assert_int_equal(stats_of(pool).destroyed[KOLK_REASON_PEER_IDLE], 4);
}

static void a_restart_teaches_nothing(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool *pool = kept_at_one(fix);
	struct kolk_lease leases[5];

	for (int i = 0; i < 5; i++)
		assert_int_equal(take(fix, kolk_pool_key(pool), &leases[i]), KOLK_OK);
	for (int i = 0; i < 5; i++)
		assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
	fixture_run(fix, KOLK_S_NS);
	kolk__sim_idle_limit(fix->sim, 1); /* everything, at one moment */
	fixture_run(fix, KOLK_MS_NS);
	kolk__sim_idle_limit(fix->sim, 0);
	fixture_run(fix, 10 * KOLK_MS_NS);
	assert_true(stats_of(pool).destroyed[KOLK_REASON_PEER_CLOSED] >= 5);
	assert_int_equal(info_of(pool).peer_idle_ns, 0);
	/* Loops report one moment in any order. */
	for (uint64_t i = 0; i < 3; i++)
		kolk__health_idle_closed(pool, KOLK_S_NS, kolk__sim_now(fix->sim) - i * KOLK_MS_NS);
	assert_int_equal(info_of(pool).peer_idle_ns, 0);
}

static const struct CMUnitTest tests[] = {
	T(a_reset_makes_the_siblings_suspect),
	T(callers_wait_for_pings),
	T(without_pings_nothing_is_suspected),
	T(three_closed_at_one_age_teach_it),
	T(the_floor_is_not_refilled_for_a_peer_that_keeps_nothing),
	T(what_was_learned_is_forgotten),
	T(what_was_announced_holds_for_all_connections),
	T(a_restart_teaches_nothing),
};

CMOCKA_TESTS(health, tests);
