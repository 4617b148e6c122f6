/* SPDX-License-Identifier: Apache-2.0 */
/* health_test.c - health.c, dial.c, acquire.c: what the pool decides from what it has seen. */
#include "tests/unit/unit.h"

#include <string.h>

#include "core/dial.h"

/* ---- a resource whose making goes as planned */

struct maker {
	struct kolk__sim *sim;
	enum kolk_err err;      /* what the next say */
	uint32_t fails;         /* bits, from 0 on: those fail, err or not */
	uint32_t made;          /* times that one was asked for */
};

static enum kolk_err maker_create(void *user, void **resource)
{
	struct maker *maker = user;
	bool fails = maker->made < 32 && (maker->fails >> maker->made & 1);

	maker->made++;
	*resource = maker;
	return fails ? KOLK_E_RESOURCE : maker->err;
}

static const struct kolk_resource_driver maker_driver = {
	.size = sizeof maker_driver, .name = "maker", .create = maker_create,
};

/* ---- what all share */

static struct kolk_pool_options options_of(struct maker *maker)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	o.name = "learn";
	o.resource = &maker_driver;
	o.driver_user = maker;
	o.connections_max = 4;
	o.idle_min = KOLK_NONE;
	o.retry_interval_ns = KOLK_MS_NS;
	o.retry_max_ns = KOLK_MS_NS;
	return o;
}

static enum kolk_err take(struct fixture *fix, struct kolk_key *key, struct kolk_lease *lease)
{
	return kolk_acquire(key, kolk__sim_now(fix->sim) + 10 * KOLK_S_NS, lease);
}

/* The result for a caller that comes now. */
static enum kolk_err acquire_result(struct fixture *fix, struct kolk_key *key)
{
	struct kolk_lease lease;
	enum kolk_err err = take(fix, key, &lease);

	if (err == KOLK_OK)
		assert_int_equal(kolk_release(&lease), KOLK_OK);
	return err;
}

struct caller {
	struct kolk_acquire acquire;
	struct kolk_lease lease;
	enum kolk_err err;
	uint64_t at_ns;
	struct fixture *fix;
};

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct caller *caller = user;

	caller->err = err;
	caller->at_ns = kolk__sim_now(caller->fix->sim);
	if (err == KOLK_OK)
		caller->lease = *lease;
}

static enum kolk_err begin(struct fixture *fix, struct caller *caller, struct kolk_key *key,
			   uint64_t wait_ns)
{
	*caller = (struct caller){ .fix = fix };
	caller->err = kolk_acquire_async(kolk_engine_loop(fix->engine, 0), key,
					 kolk__sim_now(fix->sim) + wait_ns, &caller->acquire,
					 on_lease, caller);
	if (caller->err == KOLK_OK)
		caller->lease = caller->acquire.lease;
	return caller->err;
}

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
		assert_int_equal(acquire_result(fix, other), KOLK_E_RESOURCE);
		if (i < 2)
			fixture_run(fix, 1100 * KOLK_MS_NS);
	}
	assert_int_equal(info_of(pool).circuit, KOLK_CIRCUIT_OPEN);
	now_ns = kolk__sim_now(fix->sim);
	assert_int_equal(acquire_result(fix, other), KOLK_E_CIRCUIT);
	assert_true(kolk__sim_now(fix->sim) - now_ns < KOLK_MS_NS);
	assert_int_equal(acquire_result(fix, served), KOLK_OK); /* a hit is a hit */
	assert_int_equal(maker.made, 4);
	fixture_run(fix, 1100 * KOLK_MS_NS); /* full jitter: at most the interval */
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
	static const enum kolk_err own[] = { KOLK_E_AUTH, KOLK_E_MEMORY, KOLK_E_FILES };
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

/* ---- how long the peer keeps idle connections */

static struct kolk_pool *kept_at_one(struct fixture *fix)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	o.name = "kept";
	o.address = "192.0.2.4:7";
	o.connections_max = 8;
	o.idle_min = 1;
	o.idle_timeout_ns = 3600 * KOLK_S_NS;
	o.lifetime_ns = KOLK_FOREVER;
	return pool_of(fix, &o);
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
		if (i == 20) /* half-way: not all at once */
			assert_true(stats_of(fix->pool).open > 2 && stats_of(fix->pool).open < 7);
	}
	assert_int_equal(most, 1);
	assert_int_equal(stats_of(fix->pool).open, 2);
	assert_int_equal(stats_of(fix->pool).destroyed[KOLK_REASON_IDLE_TIMEOUT], 6);
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

#define T(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)

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
	T(a_back_off_has_no_end_of_the_scale),
	T(a_reset_makes_the_siblings_suspect),
	T(without_pings_nothing_is_suspected),
	T(three_closed_at_one_age_teach_it),
	T(the_floor_is_not_refilled_for_a_peer_that_keeps_nothing),
	T(what_was_learned_is_forgotten),
	T(what_was_announced_holds_for_all_connections),
	T(a_restart_teaches_nothing),
	T(a_lease_that_is_back_soon_is_waited_for),
	T(eager_pools_dial_at_once),
	T(a_hopeless_wait_is_refused),
	T(a_refused_caller_dials_for_the_next),
	T(the_surplus_of_a_burst_leaves_one_by_one),
	T(a_tenant_is_warmed_in_every_pool),
	T(what_is_cleared_is_what_was_meant),
};

CMOCKA_TESTS(learn, tests);
