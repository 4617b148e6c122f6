/* SPDX-License-Identifier: Apache-2.0 */
/* key_test.c - key.c: the same identity is the same key, any difference is another. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

static struct kolk_key *open_key(struct fixture *fix, const char *tenant, const char *credential,
				 const char *session)
{
	return key_with(fix->pool, (struct kolk_key_options){ .tenant = tenant, .session = session,
							      .credential = credential });
}

static void identities(void **state)
{
	struct fixture *fix = *state;
	/* Shifted borders, empty and missing parts: none may be taken for another. */
	static const char *const parts[][3] = {
		{ "a", "b", "c" }, { "ab", NULL, "c" }, { "a", "bc", NULL }, { "a", NULL, "bc" },
		{ NULL, "a", "bc" }, { "abc", NULL, NULL }, { NULL, "abc", NULL },
		{ NULL, NULL, "abc" }, { "a", "b", NULL }, { "A", "b", "c" },
	};
	enum { COUNT = sizeof parts / sizeof parts[0] };
	struct kolk_key *keys[COUNT];

	for (int i = 0; i < COUNT; i++) {
		keys[i] = open_key(fix, parts[i][0], parts[i][1], parts[i][2]);
		assert_ptr_not_equal(keys[i], fix->key);
		assert_string_equal(kolk_key_tenant(keys[i]),
				    parts[i][0] != NULL ? parts[i][0] : "");
		for (int j = 0; j < i; j++)
			assert_ptr_not_equal(keys[i], keys[j]);
	}
	for (int i = 0; i < COUNT; i++) {
		struct kolk_key *same = open_key(fix, parts[i][0], parts[i][1], parts[i][2]);

		assert_ptr_equal(same, keys[i]);
		kolk_key_close(same);
		kolk_key_close(keys[i]);
	}
	assert_ptr_equal(open_key(fix, NULL, NULL, NULL), fix->key);
	kolk_key_close(fix->key);
}

static uint32_t key_count(struct fixture *fix)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	assert_int_equal(kolk_engine_stats(fix->engine, &stats), KOLK_OK);
	return stats.keys;
}

/* The reference, a connection and a waiter each keep it; the last takes it away. */
static void a_key_goes_with_its_last_use(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key *key = open_key(fix, "t", NULL, NULL);
	struct kolk_lease lease;
	uint32_t before = key_count(fix);

	assert_int_equal(kolk_acquire(key, kolk__sim_now(fix->sim) + KOLK_S_NS, &lease), KOLK_OK);
	kolk_key_close(key);
	assert_int_equal(key_count(fix), before); /* its connection is leased */
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	fixture_run(fix, 100 * KOLK_S_NS); /* idle, evicted although idle_min is 2: it is
					    * unreferenced */
	assert_int_equal(key_count(fix), before - 1);
}

static void thousands(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key *keys[3000];
	char tenant[16];

	for (int i = 0; i < 3000; i++) {
		snprintf(tenant, sizeof tenant, "t%d", i);
		keys[i] = open_key(fix, tenant, NULL, NULL);
	}
	assert_int_equal(key_count(fix), 3001);
	for (int i = 0; i < 3000; i++) {
		snprintf(tenant, sizeof tenant, "t%d", i);
		assert_ptr_equal(open_key(fix, tenant, NULL, NULL), keys[i]);
		kolk_key_close(keys[i]);
		kolk_key_close(keys[i]);
	}
	assert_int_equal(key_count(fix), 1);
}

static struct kolk_lease lease_as(struct fixture *fix, const char *tenant)
{
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	struct kolk_lease lease;

	who.tenant = tenant;
	assert_int_equal(kolk_acquire_as(fix->pool, &who, kolk__sim_now(fix->sim) + KOLK_S_NS,
					 &lease), KOLK_OK);
	return lease;
}

static uint64_t connection_of(const struct kolk_lease *lease, const char *tenant)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);

	assert_int_equal(kolk_lease_info(lease, &info), KOLK_OK);
	assert_string_equal(kolk_key_tenant(info.key), tenant);
	return info.connection;
}

/* By identity: the same connection again, never another one's; the key needs no handle. */
static void by_name(void **state)
{
	struct fixture *fix = *state;
	struct kolk_lease lease = lease_as(fix, "a"), other = lease_as(fix, "b");
	uint64_t a = connection_of(&lease, "a"), b = connection_of(&other, "b");

	assert_true(a != b);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	assert_int_equal(kolk_release(&other), KOLK_OK);
	for (int i = 0; i < 100; i++) {
		lease = lease_as(fix, i % 2 ? "a" : "b");
		assert_int_equal(connection_of(&lease, i % 2 ? "a" : "b"), i % 2 ? a : b);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
	}
	assert_int_equal(key_count(fix), 3);
	assert_int_equal(kolk_engine_clear(fix->engine, NULL), 2); /* idle_min is not kept */
	fixture_run(fix, 100 * KOLK_S_NS);
	assert_int_equal(key_count(fix), 1);
}

static void by_name_refused(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	struct kolk_lease lease = { 0 };

	who.credential_size = 3;
	assert_int_equal(kolk_acquire_as(fix->pool, &who, 0, &lease), KOLK_E_OPTIONS);
	who.credential_size = 0;
	assert_int_equal(kolk_pool_drain(fix->pool, KOLK_FOREVER), KOLK_OK);
	assert_int_equal(kolk_acquire_as(fix->pool, &who, 0, &lease), KOLK_E_DRAINING);
	assert_int_equal(kolk_release(&lease), KOLK_E_LEASE_STALE);
}

/* A key that is held: the same as by handle, its pool stays, and no idle_min is kept for it. */
static void held(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key_options who = KOLK_INIT(kolk_key_options), other = who;
	struct kolk_key *key, *same;

	who.tenant = "a";
	other.tenant = "b";
	assert_int_equal(kolk_key_hold(fix->pool, &who, &key), KOLK_OK);
	assert_int_equal(kolk_key_open(fix->pool, &who, &same), KOLK_OK);
	assert_ptr_equal(key, same);
	kolk_key_close(same);
	assert_true(kolk_key_is(key, fix->pool, &who));
	assert_false(kolk_key_is(key, fix->pool, &other));
	who.replaces = 1;
	assert_false(kolk_key_is(key, fix->pool, &who)); /* it would change something */
	who.replaces = 0;
	who.credential = "c";
	who.credential_size = 1;
	assert_false(kolk_key_is(key, fix->pool, &who));
	assert_int_equal(kolk_key_open(fix->pool, &who, &same), KOLK_OK);
	assert_true(kolk_key_is(same, fix->pool, &who));
	who.credential = "d";
	assert_false(kolk_key_is(same, fix->pool, &who));
	who.credential = NULL;
	who.credential_size = 0;
	assert_false(kolk_key_is(same, fix->pool, &who));
	assert_true(kolk_key_is(key, fix->pool, &who));
	kolk_key_close(same);
	assert_int_equal(kolk_check(fix->engine, NULL), KOLK_OK);
	assert_int_equal(kolk_pool_drain(fix->pool, KOLK_FOREVER), KOLK_OK);
	assert_false(kolk_key_is(key, fix->pool, &who));
	assert_int_equal(kolk_key_hold(fix->pool, &who, &same), KOLK_E_DRAINING);
	fixture_run(fix, 10 * KOLK_S_NS);
	assert_false(kolk_pool_is_closed(fix->pool));
	kolk_key_let_go(key);
	assert_true(kolk_pool_is_closed(fix->pool));
}

/* What is suspended may be closed already: it is not held, but its keys can be opened. */
static void held_no_more(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	struct kolk_key *key;

	who.tenant = "a";
	assert_int_equal(kolk_pool_suspend(fix->pool, KOLK_FOREVER), KOLK_OK);
	assert_int_equal(kolk_key_hold(fix->pool, &who, &key), KOLK_E_DRAINING);
	assert_int_equal(kolk_key_open(fix->pool, &who, &key), KOLK_OK);
	assert_int_equal(kolk_pool_resume(fix->pool), KOLK_OK);
	assert_true(kolk_key_is(key, fix->pool, &who));
	kolk_key_close(key);
	assert_int_equal(kolk_key_hold(fix->pool, &who, &key), KOLK_OK);
	kolk_key_let_go(key);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(identities, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(a_key_goes_with_its_last_use, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(thousands, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(by_name, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(by_name_refused, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(held, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(held_no_more, fixture_open, fixture_close),
};

CMOCKA_TESTS(key, tests);
