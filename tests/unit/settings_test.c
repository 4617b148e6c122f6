/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings_test.c - settings.c: a pool's options change while it works. What bounds it takes effect
 * in place; what decides its peer makes its connections stale, and nothing else.
 */
#include "tests/unit/unit.h"

#include <string.h>

#include "core/drain.h"
#include "core/engine.h"
#include "core/pool.h"

static struct kolk_pool_options as_it_is(void)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	o.name = "test"; /* as fixture_open says */
	o.address = "192.0.2.1:7";
	o.connections_max = 4;
	return o;
}

static void update(struct fixture *fix, const struct kolk_pool_options *o)
{
	assert_int_equal(kolk_pool_update(fix->pool, o), KOLK_OK);
}

static struct kolk_lease take(struct fixture *fix)
{
	struct kolk_lease lease;

	assert_int_equal(kolk_acquire(fix->key, kolk__sim_now(fix->sim) + KOLK_S_NS, &lease),
			 KOLK_OK);
	return lease;
}

static uint64_t number_of(struct kolk_lease lease)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);

	assert_int_equal(kolk_lease_info(&lease, &info), KOLK_OK);
	return info.connection;
}

static uint64_t use(struct fixture *fix)
{
	struct kolk_lease lease = take(fix);
	uint64_t number = number_of(lease);

	assert_int_equal(kolk_release(&lease), KOLK_OK);
	return number;
}

static uint64_t destroyed(struct fixture *fix)
{
	struct kolk_stats stats = stats_of(fix->pool);
	uint64_t sum = 0;

	for (int i = 0; i < KOLK_REASONS; i++)
		sum += stats.destroyed[i];
	return sum;
}

struct result {
	struct kolk_acquire acquire;
	struct kolk_lease lease;
	enum kolk_err err;
	uint32_t times;
};

static void on_result(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct result *result = user;

	result->err = err;
	result->times++;
	if (lease != NULL)
		result->lease = *lease;
}

static void queue_up(struct fixture *fix, struct result *result)
{
	assert_int_equal(kolk_acquire_async(kolk_engine_loop(fix->engine, 0), fix->key,
					    kolk__sim_now(fix->sim) + KOLK_S_NS,
					    &result->acquire, on_result, result), KOLK_PENDING);
}

/* So that a dial begins. */
static void nudge(struct kolk_key *key)
{
	struct kolk_lease lease;

	if (kolk_try_acquire(key, &lease) == KOLK_OK)
		assert_int_equal(kolk_release(&lease), KOLK_OK);
}

/* ---- what bounds it */

static void the_same_again_changes_nothing(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = as_it_is();
	struct kolk_lease lease = take(fix);
	uint64_t number = number_of(lease), gone;

	assert_int_equal(kolk_release(&lease), KOLK_OK);
	fixture_run(fix, KOLK_S_NS);
	gone = destroyed(fix);
	for (int i = 0; i < 10; i++) {
		update(fix, &o);
		o.address = i % 2 ? "tcp://192.0.2.1:7" : "192.0.2.1:07"; /* another spelling */
		assert_int_equal(use(fix), number);
	}
	fixture_run(fix, KOLK_S_NS);
	assert_int_equal(destroyed(fix), gone);
}

static void bounds_change_in_place(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = as_it_is();
	struct kolk_lease leases[4];
	struct result waiter = { 0 };
	uint64_t numbers[4], gone = destroyed(fix);

	o.connections_max = 2;
	o.idle_timeout_ns = 7 * KOLK_S_NS;
	o.lifetime_ns = 70 * KOLK_S_NS;
	o.waiters_max = 3;
	update(fix, &o);
	assert_true(info_of(fix->pool).connections_max == 2 && info_of(fix->pool).waiters_max == 3 &&
		    info_of(fix->pool).idle_timeout_ns == 7 * KOLK_S_NS &&
		    info_of(fix->pool).lifetime_ns == 70 * KOLK_S_NS);
	for (int i = 0; i < 2; i++)
		numbers[i] = number_of(leases[i] = take(fix));
	queue_up(fix, &waiter);
	fixture_run(fix, 50 * KOLK_MS_NS);
	assert_int_equal(waiter.times, 0);
	o.connections_max = 3;
	update(fix, &o);
	fixture_run(fix, 50 * KOLK_MS_NS);
	assert_true(waiter.times == 1 && waiter.err == KOLK_OK); /* served by the raised limit */
	leases[2] = waiter.lease;
	o.connections_max = 1;
	update(fix, &o);
	for (int i = 0; i < 2; i++)
		assert_int_equal(number_of(leases[i]), numbers[i]);
	assert_int_equal(destroyed(fix), gone); /* nothing that is leased is closed */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
		fixture_run(fix, 20 * KOLK_MS_NS);
	}
	assert_int_equal(stats_of(fix->pool).destroyed[KOLK_REASON_SHRUNK], 2);
	assert_int_equal(stats_of(fix->pool).destroyed[KOLK_REASON_ROTATED], 0);
}

/* ---- the peer */

/* Each of the ways in which another peer can be meant. */
static struct kolk_pool_options another(int way)
{
	static const struct kolk_driver driver = { .size = sizeof driver };
	static char user;
	struct kolk_pool_options o = as_it_is();

	if (way == 0)
		o.address = "192.0.2.2:7";
	else if (way == 1)
		o.address = "192.0.2.1:8";
	else if (way == 2)
		o.bind_address = "192.0.2.99";
	else if (way == 3)
		o.bind_port_min = 40000, o.bind_port_max = 40100;
	else if (way == 4)
		o.driver_user = &user;
	else
		o.driver = &driver;
	return o;
}

enum { WAYS = 6 };

static void another_peer(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options back = as_it_is();

	for (int way = 0; way < WAYS; way++) {
		const struct kolk_pool_options o = another(way);
		uint64_t before = use(fix), last;

		fixture_run(fix, 50 * KOLK_MS_NS);
		last = fix->engine->next_number;
		update(fix, &o);
		assert_true(use(fix) > last);
		fixture_run(fix, 50 * KOLK_MS_NS);
		last = fix->engine->next_number;
		update(fix, &back); /* what was stale stays stale */
		assert_true(use(fix) > last && last > before);
	}
	assert_ptr_equal(kolk_pool_find(fix->engine, "test"), fix->pool);
	assert_ptr_equal(kolk_pool_key(fix->pool), fix->key);
}

/* Earlier leases go on, and are closed at their release; waiters go on waiting and get new ones. */
static void leases_and_waiters(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = another(0);
	struct kolk_lease old[4];
	struct result waiters[3] = { { .times = 0 } };
	uint64_t numbers[4], last;

	for (int i = 0; i < 4; i++)
		numbers[i] = number_of(old[i] = take(fix));
	for (int i = 0; i < 3; i++)
		queue_up(fix, &waiters[i]);
	last = fix->engine->next_number;
	update(fix, &o);
	fixture_run(fix, 50 * KOLK_MS_NS);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(number_of(old[i]), numbers[i]);
		assert_int_equal(kolk_send_all(&old[i], "PING\r\n", 6, KOLK_FOREVER), KOLK_OK);
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(waiters[i].times, 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(kolk_release(&old[i]), KOLK_OK);
	fixture_run(fix, 200 * KOLK_MS_NS);
	for (int i = 0; i < 3; i++) {
		assert_true(waiters[i].times == 1 && waiters[i].err == KOLK_OK);
		assert_true(number_of(waiters[i].lease) > last);
		assert_int_equal(kolk_release(&waiters[i].lease), KOLK_OK);
	}
	assert_string_equal(info_of(fix->pool).address, "192.0.2.2:7");
}

static void a_dial_in_flight_goes_to_the_old_one(void **state)
{
	struct fixture *fix = *state;

	for (uint64_t us = 0; us < 3000; us += 100) {
		const struct kolk_pool_options o = another(us / 100 % 2 == 0 ? 0 : 1);
		uint64_t last;

		(void)kolk_pool_rotate(fix->pool);
		nudge(fix->key);
		fixture_run(fix, us * KOLK_US_NS);
		last = fix->engine->next_number;
		update(fix, &o);
		assert_true(use(fix) > last);
		fixture_run(fix, 50 * KOLK_MS_NS);
	}
}

/* Nothing of what was learned about the first is held against the second. */
static void the_circuit_is_the_peers(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = another(0);
	struct kolk_lease lease;

	kolk__sim_outage(fix->sim, KOLK_FOREVER);
	for (int i = 0; i < 100 && info_of(fix->pool).circuit == KOLK_CIRCUIT_CLOSED; i++) {
		nudge(fix->key);
		fixture_run(fix, 500 * KOLK_MS_NS);
	}
	assert_int_not_equal(info_of(fix->pool).circuit, KOLK_CIRCUIT_CLOSED);
	kolk__store_relaxed(&fix->pool->health.idle_ns, KOLK_S_NS); /* learned */
	kolk__store_relaxed(&fix->pool->health.learned_at_ns, kolk__sim_now(fix->sim));
	kolk__sim_outage(fix->sim, 0);
	update(fix, &o);
	assert_int_equal(info_of(fix->pool).circuit, KOLK_CIRCUIT_CLOSED);
	assert_int_equal(info_of(fix->pool).peer_idle_ns, 0);
	assert_int_equal(kolk_acquire(fix->key, kolk__sim_now(fix->sim) + 50 * KOLK_MS_NS, &lease),
			 KOLK_OK);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
}

/* The next pool in the same memory knows nothing of the last. */
static void a_recycled_pool_is_new(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = another(0);
	struct kolk_pool *first = fix->pool, *pool = NULL;
	struct kolk_lease lease;

	o.name = "first";
	o.isolation = KOLK_ISOLATION_SHARED;
	assert_int_equal(kolk_pool_add(fix->engine, &o, &pool), KOLK_OK);
	kolk__sim_outage(fix->sim, KOLK_FOREVER);
	fix->pool = pool;
	for (int i = 0; i < 100 && info_of(fix->pool).circuit == KOLK_CIRCUIT_CLOSED; i++) {
		nudge(kolk_pool_key(pool));
		fixture_run(fix, 500 * KOLK_MS_NS);
	}
	assert_int_not_equal(info_of(fix->pool).circuit, KOLK_CIRCUIT_CLOSED);
	kolk__store_relaxed(&pool->health.idle_ns, KOLK_S_NS);
	kolk__store_relaxed(&pool->health.learned_at_ns, kolk__sim_now(fix->sim));
	kolk__sim_outage(fix->sim, 0);
	assert_int_equal(kolk_pool_close(pool, kolk__sim_now(fix->sim)), KOLK_OK);
	o.name = "second";
	o.isolation = KOLK_ISOLATION_TENANT;
	assert_int_equal(kolk_pool_add(fix->engine, &o, &fix->pool), KOLK_OK);
	assert_ptr_equal(fix->pool, pool);
	assert_int_equal(info_of(fix->pool).circuit, KOLK_CIRCUIT_CLOSED);
	assert_int_equal(info_of(fix->pool).peer_idle_ns, 0);
	assert_int_equal(info_of(fix->pool).dial_failures, 0);
	assert_int_equal(info_of(fix->pool).failure.err, KOLK_OK);
	assert_int_equal(stats_of(fix->pool).dial_failed, 0);
	assert_int_equal(kolk_acquire(kolk_pool_key(fix->pool), kolk__sim_now(fix->sim) + KOLK_S_NS,
				      &lease), KOLK_OK);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	fix->pool = first;
}

/* The drain's alarm is due when the pool is closed, and its memory is another pool's by then:
 * leases of that one are not revoked. */
static void a_late_alarm_of_the_pool_before(void **state)
{
	struct fixture *fix = *state;
	struct kolk_lease lease = take(fix);
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);

	kolk__drain_fire(&fix->pool->drain_alarm, kolk__sim_now(fix->sim));
	fixture_run(fix, 50 * KOLK_MS_NS);
	assert_int_equal(kolk_lease_info(&lease, &info), KOLK_OK);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
}

/* ---- what is refused changes nothing */

static enum kolk_err create(void *user, void **resource)
{
	(void)user;
	*resource = NULL;
	return KOLK_E_MEMORY;
}

static void wrong_updates(void **state)
{
	struct fixture *fix = *state;
	static const struct kolk_resource_driver driver = { .size = sizeof driver,
							    .create = create };
	static const char *const fields[] = { "name",	  "isolation",	     "resource",
					      "address", "connections_max", "ca_file",
					      "tls",	  "name" };
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_pool_options o[8];
	uint64_t number = use(fix);

	tls.ca_file = "/nowhere/ca.pem";
	for (int i = 0; i < 8; i++) {
		o[i] = as_it_is();
		o[i].failure = &failure;
		o[i].idle_timeout_ns = 9 * KOLK_S_NS; /* never to be seen */
	}
	o[0].name = "another";
	o[1].isolation = KOLK_ISOLATION_SHARED;
	o[2].resource = &driver;
	o[2].address = NULL;
	o[3].address = "no port";
	o[4].connections_max = KOLK_CONNECTIONS_MAX + 1;
	o[5].tls = &tls;
	o[6].address = "tcp://192.0.2.2:7";
	o[6].tls = &tls;
	o[7].name = NULL;
	for (int i = 0; i < 8; i++) {
		failure = (struct kolk_failure){ .size = sizeof failure };
		assert_int_equal(kolk_pool_update(fix->pool, &o[i]),
				 i == 5 ? KOLK_E_TLS : KOLK_E_OPTIONS);
		assert_string_equal(failure.field, fields[i]);
		assert_int_equal(info_of(fix->pool).idle_timeout_ns, 30 * KOLK_S_NS);
		assert_string_equal(info_of(fix->pool).address, "192.0.2.1:7");
		assert_int_equal(use(fix), number);
	}
	o[0] = as_it_is();
	o[0].size--;
	assert_int_equal(kolk_pool_update(fix->pool, &o[0]), KOLK_E_OPTIONS);
	o[0].size++;
	assert_int_equal(kolk_pool_drain(fix->pool, KOLK_FOREVER), KOLK_OK);
	assert_int_equal(kolk_pool_update(fix->pool, &o[0]), KOLK_E_DRAINING);
}

static void a_check_adds_nothing(void **state)
{
	struct fixture *fix = *state;
	struct kolk_stats before = KOLK_INIT(kolk_stats), after = KOLK_INIT(kolk_stats);
	struct kolk_pool_options good = as_it_is(), wrong = as_it_is();
	struct kolk_pool *pool;

	good.name = "checked";
	wrong.idle_min = 5;
	assert_int_equal(kolk_engine_stats(fix->engine, &before), KOLK_OK);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(kolk_pool_check(fix->engine, &good), KOLK_OK);
		assert_int_equal(kolk_pool_check(fix->engine, &wrong), KOLK_E_OPTIONS);
		assert_null(kolk_pool_find(fix->engine, "checked"));
		assert_null(kolk_engine_pool(fix->engine, 1));
	}
	assert_int_equal(kolk_engine_stats(fix->engine, &after), KOLK_OK);
	assert_true(after.keys == before.keys && after.dialled == before.dialled);
	assert_int_equal(kolk_pool_add(fix->engine, &good, &pool), KOLK_OK);
	assert_int_equal(kolk_pool_add(fix->engine, &good, &pool), KOLK_E_NAME_TAKEN);
	assert_null(pool);
	assert_int_equal(kolk_engine_stats(fix->engine, &after), KOLK_OK);
	assert_int_equal(after.keys, before.keys + 1);
}

#define IN_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)

static const struct CMUnitTest tests[] = {
	IN_FIXTURE(the_same_again_changes_nothing),
	IN_FIXTURE(bounds_change_in_place),
	IN_FIXTURE(another_peer),
	IN_FIXTURE(leases_and_waiters),
	IN_FIXTURE(a_dial_in_flight_goes_to_the_old_one),
	IN_FIXTURE(the_circuit_is_the_peers),
	IN_FIXTURE(a_recycled_pool_is_new),
	IN_FIXTURE(a_late_alarm_of_the_pool_before),
	IN_FIXTURE(wrong_updates),
	IN_FIXTURE(a_check_adds_nothing),
};

CMOCKA_TESTS(settings, tests);
