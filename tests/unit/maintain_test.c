/* SPDX-License-Identifier: Apache-2.0 */
/* maintain_test.c - maintain.c: what is surplus while others are pinged; alarms of leases. */
#include "tests/unit/learn.h"

#include "core/engine.h"
#include "core/key.h"
#include "core/release.h"

#define IDLE_NS (10 * KOLK_S_NS)

/* Of two that are idle for too long one stays; the other one goes also while that is pinged. */
static void what_is_pinged_counts(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_lease leases[2];
	struct kolk__conn *conns[2];
	struct kolk_pool *pool;
	struct kolk_key *key;

	o.name = "kept";
	o.address = "192.0.2.3:7";
	o.driver = kolk_driver_redis_ping();
	o.idle_min = 1;
	o.idle_timeout_ns = IDLE_NS;
	o.ping_interval_ns = KOLK_FOREVER;
	pool = pool_of(fix, &o);
	key = key_of(pool, "t");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(take(fix, key, &leases[i]), KOLK_OK);
		conns[i] = leases[i].connection;
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
	assert_true(kolk__take_to_ping(conns[0]));
	kolk__sim_pass(fix->sim, IDLE_NS + KOLK_S_NS);
	(void)kolk_engine_maintain(fix->engine);
	assert_int_equal(kolk__conn_state(conns[1]), KOLK__CLOSING);
	kolk__ping(conns[0]);
	fixture_run(fix, 100 * KOLK_MS_NS);
	assert_int_equal(stats_of(pool).destroyed[KOLK_REASON_IDLE_TIMEOUT], 1);
	assert_int_equal(stats_of(pool).idle, 1);
	kolk_key_close(key);
}

/* Alarms of its connections are those of the idle time-out alone. */
static struct kolk_pool *pool_that_idles_out(struct fixture *fix)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	o.name = "idling";
	o.address = "192.0.2.3:7";
	o.idle_min = KOLK_NONE;
	o.idle_timeout_ns = IDLE_NS;
	o.lease_overdue_ns = o.ping_interval_ns = o.lifetime_ns = KOLK_FOREVER;
	return pool_of(fix, &o);
}

/* The alarm of one that closed stays, fires for the next one there, and is armed for that one's
 * time. */
static void an_alarm_outlives_its_connection(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool *pool = pool_that_idles_out(fix);
	struct kolk_key *key = key_of(pool, "t");
	struct kolk_lease lease;
	struct kolk__conn *conn;
	uint64_t due_ns;

	assert_int_equal(take(fix, key, &lease), KOLK_OK);
	conn = lease.connection;
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	fixture_run(fix, IDLE_NS / 2);
	assert_true(kolk__evict(conn, KOLK_REASON_LIFETIME));
	fixture_run(fix, 100 * KOLK_MS_NS);
	assert_int_equal(kolk__conn_state(conn), KOLK__FREE);
	assert_true(kolk__timer_is_armed(&conn->alarm));
	due_ns = conn->alarm.due_ns;
	assert_int_equal(take(fix, key, &lease), KOLK_OK);
	assert_ptr_equal(lease.connection, conn);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	fixture_run(fix, IDLE_NS * 3 / 4);
	assert_int_equal(kolk__conn_state(conn), KOLK__IDLE);
	assert_true(conn->alarm.due_ns > due_ns && due_ns < kolk__sim_now(fix->sim));
	fixture_run(fix, IDLE_NS / 2);
	assert_int_equal(kolk__conn_state(conn), KOLK__FREE);
	assert_int_equal(stats_of(pool).destroyed[KOLK_REASON_IDLE_TIMEOUT], 1);
	kolk_key_close(key);
}

struct stale_alarm {
	struct kolk_engine *engine;
	struct kolk__conn *conn;
};

/* The alarm of the connection before is due, and maintenance looks. */
static void fire_stale_alarm(void *user)
{
	const struct stale_alarm *stale = user;

	kolk__conn_alarm_arm(stale->engine, stale->conn, kolk__now(stale->engine));
	(void)kolk_engine_maintain(stale->engine);
}

/* It fires at the n-th place of making the next connection there, for every n: that one has an alarm. */
static void an_alarm_fires_while_the_next_is_made(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key *key = key_of(pool_that_idles_out(fix), "t");
	struct stale_alarm stale = { .engine = fix->engine };
	bool came = true;

	for (int place = -1; came; place++) {
		const struct intruder intruder = { .place = place, .act = fire_stale_alarm,
						   .user = &stale };
		struct kolk_lease lease;

		if (place >= 0)
			(void)intruder_waits(&intruder); /* where assertions are checked */
		assert_int_equal(take(fix, key, &lease), KOLK_OK);
		came = place < 0 || intruder_came();
		stale.conn = lease.connection;
		assert_int_equal(kolk_release(&lease), KOLK_OK);
		assert_true(kolk__timer_is_armed(&stale.conn->alarm));
		assert_true(kolk__evict(stale.conn, KOLK_REASON_LIFETIME));
		fixture_run(fix, 100 * KOLK_MS_NS);
		assert_int_equal(kolk__conn_state(stale.conn), KOLK__FREE);
		assert_in_range(place + 1, 0, 10000);
	}
	kolk_key_close(key);
}

/* ---- leases that last */

#define OVERDUE_NS (20 * KOLK_S_NS)
#define LEASED_NS (3600 * KOLK_S_NS)
/* Twice in the first idle time-out, once overdue, and then each time after twice as long: 20 s
 * doubled 8 times is more than an hour. */
enum { LEASES = 4, ALARMS_PER_LEASE = 12 };

struct leased {
	struct fixture *fix;
	struct kolk_pool *pool;
	struct kolk_key *key;
	struct kolk_lease leases[LEASES];
	struct kolk__conn *conns[LEASES];
};

static void lease_all(struct leased *leased, struct fixture *fix, uint64_t overdue_ns)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	o.name = "leased";
	o.address = "192.0.2.3:7";
	o.connections_max = LEASES;
	o.idle_min = KOLK_NONE;
	o.idle_timeout_ns = IDLE_NS;
	o.lease_overdue_ns = overdue_ns;
	o.ping_interval_ns = o.lifetime_ns = KOLK_FOREVER;
	*leased = (struct leased){ .fix = fix, .pool = pool_of(fix, &o) };
	leased->key = key_of(leased->pool, "t");
	for (int i = 0; i < LEASES; i++) {
		assert_int_equal(take(fix, leased->key, &leased->leases[i]), KOLK_OK);
		leased->conns[i] = leased->leases[i].connection;
	}
}

/* Alarms of the connections that fire in this time. */
static int alarms_in(const struct leased *leased, uint64_t ns)
{
	int fired = 0;

	for (uint64_t s = 0; s < ns / KOLK_S_NS; s++) {
		kolk__sim_pass(leased->fix->sim, KOLK_S_NS);
		for (int i = 0; i < LEASES; i++)
			fired += leased->conns[i]->alarm.due_ns <= kolk__sim_now(leased->fix->sim);
		(void)kolk_engine_maintain(leased->fix->engine);
	}
	return fired;
}

/* What is idle now, and nothing else, goes in its time. */
static void expect_expiry(const struct leased *leased, uint64_t count)
{
	const uint64_t before = stats_of(leased->pool).destroyed[KOLK_REASON_IDLE_TIMEOUT];

	assert_int_equal(stats_of(leased->pool).idle, count);
	for (int s = 0; s < 2 * (int)(IDLE_NS / KOLK_S_NS); s++) {
		kolk__sim_pass(leased->fix->sim, KOLK_S_NS);
		(void)kolk_engine_maintain(leased->fix->engine);
		(void)kolk_loop_step(kolk_engine_loop(leased->fix->engine, 0), 0);
	}
	assert_int_equal(stats_of(leased->pool).destroyed[KOLK_REASON_IDLE_TIMEOUT],
			 before + count);
}

/* Leases whose end takes the long way, two of them pinned, cost maintenance next to nothing. */
static void a_lease_that_lasts_rarely_fires(void **state)
{
	struct fixture *fix = *state;
	struct leased leased;

	lease_all(&leased, fix, OVERDUE_NS);
	for (int i = 0; i < LEASES; i++)
		assert_int_equal(i % 2 ? kolk_lease_tag(&leased.leases[i], 1) :
					 kolk_lease_pin(&leased.leases[i]), KOLK_OK);
	assert_in_range(alarms_in(&leased, LEASED_NS), LEASES, LEASES * ALARMS_PER_LEASE);
	assert_int_equal(stats_of(leased.pool).overdue, LEASES / 2);
	for (int i = 0; i < LEASES; i++)
		assert_int_equal(kolk_release(&leased.leases[i]), KOLK_OK);
	expect_expiry(&leased, LEASES);
	kolk_key_close(leased.key);
}

/* The same where no lease is ever overdue; the next lease of such a connection may be short. */
static void a_lease_that_is_never_overdue_rarely_fires(void **state)
{
	struct fixture *fix = *state;
	struct kolk_lease again;
	struct leased leased;

	lease_all(&leased, fix, KOLK_FOREVER);
	for (int i = 0; i < LEASES; i++)
		assert_int_equal(kolk_lease_tag(&leased.leases[i], 1), KOLK_OK);
	assert_in_range(alarms_in(&leased, LEASED_NS), LEASES, LEASES * ALARMS_PER_LEASE);
	assert_int_equal(stats_of(leased.pool).overdue, 0);
	for (int i = 0; i < LEASES; i++)
		assert_int_equal(kolk_release(&leased.leases[i]), KOLK_OK);
	assert_int_equal(take(fix, leased.key, &again), KOLK_OK); /* and it takes the fast path */
	assert_int_equal(kolk_release(&again), KOLK_OK);
	expect_expiry(&leased, LEASES);
	kolk_key_close(leased.key);
}

/* A lease whose end is the fast path arms nothing: its alarm fires once per idle time-out, not each
 * second. */
static void a_lease_without_io_fires_by_the_idle_time(void **state)
{
	struct fixture *fix = *state;
	struct leased leased;

	lease_all(&leased, fix, OVERDUE_NS);
	assert_in_range(alarms_in(&leased, LEASED_NS), LEASES,
			LEASES * (LEASED_NS / IDLE_NS + 1));
	assert_int_equal(stats_of(leased.pool).overdue, LEASES);
	for (int i = 0; i < LEASES; i++)
		assert_int_equal(kolk_release(&leased.leases[i]), KOLK_OK);
	expect_expiry(&leased, LEASES);
	kolk_key_close(leased.key);
}

static void end_lease(void *user)
{
	struct leased *leased = user;

	assert_int_equal(kolk_release(&leased->leases[0]), KOLK_OK);
}

/* SC4: the lease ends at the n-th place of the alarm that is about to be put off, for every n. */
static void a_lease_ends_while_its_alarm_is_put_off(void **state)
{
	struct fixture *fix = *state;
	struct leased leased;
	const struct intruder intruder = { .act = end_lease, .user = &leased };
	bool came = true;

	lease_all(&leased, fix, OVERDUE_NS);
	for (int i = 0; i < LEASES; i++)
		assert_int_equal(kolk_discard(&leased.leases[i]), KOLK_OK);
	for (int place = 0; came; place++) {
		struct intruder next = intruder;

		next.place = place;
		assert_int_equal(take(fix, leased.key, &leased.leases[0]), KOLK_OK);
		assert_int_equal(kolk_lease_tag(&leased.leases[0], 1), KOLK_OK);
		leased.conns[0] = leased.leases[0].connection;
		(void)alarms_in(&leased, 2 * OVERDUE_NS);
		kolk__sim_pass(fix->sim, 10 * OVERDUE_NS); /* it is due */
		(void)intruder_waits(&next); /* where assertions are checked */
		(void)kolk_engine_maintain(fix->engine);
		came = intruder_came();
		if (!came)
			end_lease(&leased);
		expect_expiry(&leased, 1);
		assert_in_range(place, 0, 1000);
	}
	kolk_key_close(leased.key);
}

static const struct CMUnitTest tests[] = {
	T(what_is_pinged_counts),
	T(an_alarm_outlives_its_connection),
	T(an_alarm_fires_while_the_next_is_made),
	T(a_lease_that_lasts_rarely_fires),
	T(a_lease_that_is_never_overdue_rarely_fires),
	T(a_lease_without_io_fires_by_the_idle_time),
	T(a_lease_ends_while_its_alarm_is_put_off),
};

CMOCKA_TESTS(maintain, tests);
