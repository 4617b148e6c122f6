/* SPDX-License-Identifier: Apache-2.0 */
/* idle_max_test.c - idle_max and pool_idle_max: what is released beyond them closes. */
#include "tests/unit/unit.h"

#include "core/engine.h"

enum { LEASES = 8, KEYS = 3 };

static struct kolk_lease leases[LEASES];

static struct kolk_pool_options options_with(uint32_t idle_max, uint32_t pool_idle_max)
{
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);

	p.name = "few";
	p.resource = &unit_things;
	p.connections_max = LEASES;
	p.idle_min = KOLK_NONE;
	p.idle_max = idle_max;
	p.pool_idle_max = pool_idle_max;
	return p;
}

static void lease_all(struct kolk_key *const keys[], int count)
{
	for (int i = 0; i < LEASES; i++)
		assert_int_equal(kolk_acquire(keys[i % count], KOLK_FOREVER, &leases[i]), KOLK_OK);
}

static void release_all(struct fixture *fix)
{
	for (int i = 0; i < LEASES; i++)
		assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
	fixture_run(fix, KOLK_MS_NS);
}

static void expect(struct fixture *fix, struct kolk_pool *pool, uint64_t idle, uint64_t closed)
{
	struct kolk_stats stats = stats_of(pool);
	const char *law = NULL;

	assert_int_equal(stats.idle, idle);
	assert_int_equal(stats.open, idle);
	assert_int_equal(stats.destroyed[KOLK_REASON_IDLE_MAX], closed);
	assert_int_equal(kolk_check(fix->engine, &law), KOLK_OK);
	assert_null(law);
}

static void surplus_closes_at_release(void **state)
{
	struct fixture *fix = *state;
	const struct kolk_pool_options o = options_with(3, 0);
	struct kolk_pool *pool = pool_of(fix, &o);
	struct kolk_key *key = kolk_pool_key(pool);

	lease_all(&key, 1);
	release_all(fix);
	expect(fix, pool, 3, 5);
	lease_all(&key, 1); /* the three are used again */
	assert_int_equal(stats_of(pool).dialled, LEASES + 5);
	release_all(fix);
	expect(fix, pool, 3, 10);
}

static void of_all_keys(void **state)
{
	struct fixture *fix = *state;
	const struct kolk_pool_options o = options_with(0, 4);
	struct kolk_pool *pool = pool_of(fix, &o);
	struct kolk_key *const keys[KEYS] = { key_of(pool, "a"), key_of(pool, "b"),
					      key_of(pool, "c") };

	lease_all(keys, KEYS);
	release_all(fix);
	expect(fix, pool, 4, 4);
	assert_int_equal(kolk_pool_clear(pool), 4); /* what closes otherwise counts no more */
	lease_all(keys, KEYS);
	release_all(fix);
	expect(fix, pool, 4, 8);
	for (int i = 0; i < KEYS; i++)
		kolk_key_close(keys[i]);
}

static void idle_min_of_each_key_stays(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = options_with(0, 2);
	struct kolk_key *keys[KEYS];
	struct kolk_pool *pool;

	o.idle_min = 1;
	pool = pool_of(fix, &o);
	for (int i = 0; i < KEYS; i++)
		keys[i] = key_of(pool, (const char *[]){ "a", "b", "c" }[i]);
	lease_all(keys, KEYS);
	release_all(fix);
	fixture_run(fix, KOLK_S_NS);
	assert_in_range(stats_of(pool).idle, 3, 4);
	assert_int_equal(stats_of(pool).dialled, LEASES); /* none is dialled for idle_min */
	for (int i = 0; i < KEYS; i++)
		kolk_key_close(keys[i]);
}

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	assert_int_equal(err, KOLK_OK);
	*(struct kolk_lease *)user = *lease;
}

/* As many callers wait as are released: each gets one, and none is dialled. */
static void callers_that_wait_are_served(void **state)
{
	static struct kolk_acquire waits[LEASES];
	struct fixture *fix = *state;
	const struct kolk_pool_options o = options_with(1, 0);
	struct kolk_pool *pool = pool_of(fix, &o);
	struct kolk_key *key = kolk_pool_key(pool);
	struct kolk_lease next[LEASES];

	lease_all(&key, 1);
	for (int i = 0; i < LEASES; i++)
		assert_int_equal(kolk_acquire_async(kolk_engine_loop(fix->engine, 0), key,
						    KOLK_FOREVER, &waits[i], on_lease, &next[i]),
				 KOLK_PENDING);
	release_all(fix);
	assert_int_equal(stats_of(pool).destroyed[KOLK_REASON_IDLE_MAX], 0);
	assert_int_equal(stats_of(pool).dialled, LEASES);
	for (int i = 0; i < LEASES; i++)
		leases[i] = next[i];
	release_all(fix);
	expect(fix, pool, 1, LEASES - 1);
}

/* ---- another thread meanwhile */

struct beside {
	struct fixture *fix;
	struct kolk_pool *pool;
};

static void revoke_all(void *user)
{
	struct beside *beside = user;

	assert_int_equal(kolk_pool_suspend(beside->pool, kolk__sim_now(beside->fix->sim)), KOLK_OK);
	fixture_run(beside->fix, KOLK_MS_NS);
}

/* Both clear the mark; one of them lowers the counts. */
static void a_lease_that_is_revoked_as_it_begins(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = options_with(2, 0);
	struct beside beside = { .fix = fix };
	bool came = true;

	o.resource = NULL;
	o.address = "192.0.2.2:7";
	beside.pool = pool_of(fix, &o);
	for (int place = 0; came; place++) {
		const struct intruder other = { place, revoke_all, &beside, false };
		struct kolk_key *key = kolk_pool_key(beside.pool);
		struct kolk_lease lease;
		const char *law = NULL;

		assert_int_equal(kolk_acquire(key, KOLK_FOREVER, &lease), KOLK_OK);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
		(void)intruder_waits(&other);
		if (kolk_try_acquire(key, &lease) == KOLK_OK)
			(void)kolk_release(&lease); /* stale, when it was revoked */
		came = intruder_came();
		fixture_run(fix, KOLK_MS_NS);
		assert_int_equal(kolk_check(fix->engine, &law), KOLK_OK);
		assert_int_equal(kolk_pool_resume(beside.pool), KOLK_OK);
	}
}

static void release_second(void *user)
{
	(void)user;
	assert_int_equal(kolk_release(&leases[1]), KOLK_OK);
}

/* Two are idle at one moment, where one may be: but two callers wait for them. */
static void released_at_one_moment(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = options_with(1, 0);
	struct kolk_pool *pool;
	struct kolk_key *key;
	uint64_t closed = 0;
	bool came = true;

	o.connections_max = 2;
	pool = pool_of(fix, &o);
	key = kolk_pool_key(pool);
	for (int place = 0; came; place++, closed++) {
		const struct intruder other = { place, release_second, NULL, false };
		struct kolk_lease next[2] = { { 0 } };
		struct kolk_acquire waits[2];

		for (int i = 0; i < 2; i++)
			assert_int_equal(kolk_acquire(key, KOLK_FOREVER, &leases[i]), KOLK_OK);
		for (int i = 0; i < 2; i++)
			assert_int_equal(kolk_acquire_async(kolk_engine_loop(fix->engine, 0), key,
							    KOLK_FOREVER, &waits[i], on_lease, &next[i]),
					 KOLK_PENDING);
		(void)intruder_waits(&other);
		assert_int_equal(kolk_release(&leases[0]), KOLK_OK);
		came = intruder_came();
		if (!came)
			release_second(NULL);
		fixture_run(fix, KOLK_MS_NS);
		assert_int_equal(stats_of(pool).destroyed[KOLK_REASON_IDLE_MAX], closed);
		for (int i = 0; i < 2; i++)
			assert_int_equal(kolk_release(&next[i]), KOLK_OK);
		fixture_run(fix, KOLK_MS_NS);
		expect(fix, pool, 1, closed + 1);
	}
}

static enum kolk_err add(struct fixture *fix, struct kolk_pool_options o, const char **field)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_pool *pool;
	enum kolk_err err;

	o.failure = &failure;
	err = kolk_pool_add(fix->engine, &o, &pool);
	*field = failure.field;
	return err;
}

static void what_contradicts_is_refused(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_limits limits = KOLK_INIT(kolk_pool_limits);
	struct kolk_pool_options o = options_with(3, 0);
	struct kolk_pool *pool;
	const char *field;

	o.idle_min = 4;
	assert_int_equal(add(fix, o, &field), KOLK_E_OPTIONS);
	assert_string_equal(field, "idle_min");
	o = options_with(0, 3);
	o.idle_min = 4;
	assert_int_equal(add(fix, o, &field), KOLK_E_OPTIONS);
	assert_string_equal(field, "idle_min");
	o = options_with(1, 0);
	o.idle_min = 0; /* the default gives way */
	pool = pool_of(fix, &o);
	assert_int_equal(info_of(pool).idle_min, 1);
	assert_int_equal(info_of(pool).idle_max, 1);
	assert_true(info_of(pool).pool_idle_max == KOLK_UNLIMITED);
	limits.idle_min = 2;
	assert_int_equal(kolk_pool_limits_set(pool, &limits), KOLK_E_OPTIONS);
	o.idle_max = 2;
	assert_int_equal(kolk_pool_update(pool, &o), KOLK_E_OPTIONS); /* constant */
	o.idle_max = 1;
	o.pool_idle_max = 5;
	assert_int_equal(kolk_pool_update(pool, &o), KOLK_E_OPTIONS);
	o.pool_idle_max = 0;
	assert_int_equal(kolk_pool_update(pool, &o), KOLK_OK);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(surplus_closes_at_release, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(of_all_keys, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(idle_min_of_each_key_stays, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(callers_that_wait_are_served, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(a_lease_that_is_revoked_as_it_begins, fixture_open,
					fixture_close),
	cmocka_unit_test_setup_teardown(released_at_one_moment, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(what_contradicts_is_refused, fixture_open, fixture_close),
};

CMOCKA_TESTS(idle_max, tests);
