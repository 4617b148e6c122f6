/* SPDX-License-Identifier: Apache-2.0 */
/* reload_undo_test.c - a reload that is refused, or fails at a step, changes nothing. */
#include "tests/kit/cmocka/run.h"

#include <string.h>

#include "tests/ops/reload.h"

static void what_is_refused_changes_nothing(void **state)
{
	static const char good[] = "engine: {connections_max: 10, connections_reserved: 20}\n"
				   "admin: {listen: unix:/run/b.sock, token: 0123456789abcdef, "
				   "hosts: [h]}\n"
				   "pools:\n- {name: a, address: '%A', limits: {idle_min: 1}}\n";
	struct fixture fixture;

	(void)state;
	open_by(&fixture, good);
	must_reload(&fixture, good); /* the same again is fine */
	/* A file that is not understood never gets as far as apply; this one is understood. */
	assert_int_equal(reload(&fixture, "engine: {connections_max: 15, connections_reserved: 20}\n"
					"admin: {listen: unix:/run/b.sock, hosts: [h], token: 0123456789abcdef}\n"
					"tenants: [{name: gold, connections_max: 1}]\n"
					"pools:\n- {name: a, address: '%B', limits: {idle_min: 3}}\n"
					"- {name: b, address: '%B'}\n"
					"- {name: c, address: 'c:1', tls: {ca_file: /nowhere}}\n"),
			 KOLK_E_TLS);
	assert_int_equal(fixture.error.line, 7);
	assert_int_equal(fixture.error.column, 44);
	assert_null(kolk_pool_find(fixture.engine, "b"));
	assert_int_equal(info_of(&fixture, "a").idle_min, 1);
	expect_refused(&fixture, "engine: {connections_max: 10, connections_reserved: 20, loops: 256}\n"
			       "admin: {listen: unix:/run/b.sock, token: 0123456789abcdef, hosts: [h]}\n"
			       "pools: []\n", KOLK_E_OPTIONS,
		       "test:1:64: 'loops' is above what the engine reserved: restart with a higher "
		       "'loops_reserved'");
	expect_refused(&fixture, "engine: {connections_max: 10, connections_reserved: 20}\n"
			       "admin: {listen: unix:/run/b.sock, token: 0123456789abcdef, hosts: [h]}\n"
			       "pools:\n"
			       "- {name: a, isolation: shared, address: '%A'}\n", KOLK_E_OPTIONS,
		       "test:4:24: the isolation of 'a' cannot change while it works: give the pool "
		       "another name");
	expect_refused(&fixture, "engine: {connections_max: 10, connections_reserved: 20}\n"
			       "admin: {listen: unix:/run/b.sock, token: another-token-0123}\n"
			       "pools: []\n", KOLK_E_OPTIONS,
		       "test:2:42: 'token' cannot change while the admin works: restart, or leave it "
		       "as it was");
	assert_int_equal(request(kolk_pool_key(kolk_pool_find(fixture.engine, "a"))), KOLK_OK);
	assert_true(kit_origin_counts(fixture.b).accepted == 0);
	fixture_close(&fixture);
}

/* Without connections_reserved an engine has memory for what it began with. */
static void the_total_stays_within_the_reserve(void **state)
{
	struct fixture fixture;

	(void)state;
	open_by(&fixture, "engine: {connections_max: 10}\npools: [{name: a, address: '%A'}]\n");
	must_reload(&fixture, "engine: {connections_max: 3}\npools: [{name: a, address: '%A'}]\n");
	must_reload(&fixture, "engine: {connections_max: 10}\npools: [{name: a, address: '%A'}]\n");
	expect_refused(&fixture, "engine: {connections_max: 11}\npools: []\n", KOLK_E_OPTIONS,
		       "test:1:27: 'connections_max' is above what the engine reserved: restart "
		       "with a higher 'connections_reserved'");
	assert_int_equal(request(kolk_pool_key(kolk_pool_find(fixture.engine, "a"))), KOLK_OK);
	fixture_close(&fixture);
}

static uint32_t active_loops(const struct fixture *fixture)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < kolk_engine_loop_count(fixture->engine); i++)
		count += kolk_loop_is_active(kolk_engine_loop(fixture->engine, i));
	return count;
}

/* Of what fails afterwards, too. */
static void loops_stay_within_the_reserve(void **state)
{
	struct fixture fixture;

	(void)state;
	open_by(&fixture, "engine: {keys_max: 2, loops: 2, loops_reserved: 3}\npools: []\n");
	assert_int_equal(kolk_engine_loop_count(fixture.engine), 3);
	assert_int_equal(active_loops(&fixture), 2);
	must_reload(&fixture, "engine: {keys_max: 2, loops: 3, loops_reserved: 3}\npools: []\n");
	assert_int_equal(active_loops(&fixture), 3);
	must_reload(&fixture, "engine: {keys_max: 2, loops: 1, loops_reserved: 3}\npools: []\n");
	assert_int_equal(active_loops(&fixture), 1);
	expect_refused(&fixture, "engine: {keys_max: 2, loops: 1, loops_reserved: 4}\npools: []\n",
		       KOLK_E_OPTIONS, "test:1:49: 'loops_reserved' cannot change while the engine "
		       "works: restart, or leave it as it was");
	assert_int_equal(reload(&fixture,
				"engine: {keys_max: 2, loops: 3, loops_reserved: 3}\n"
				"pools:\n- {name: a, address: '%A', warm: [{tenant: t1}, {tenant: t2}]}\n"),
			 KOLK_E_LIMIT);
	assert_int_equal(active_loops(&fixture), 1);
	must_reload(&fixture, "engine: {keys_max: 2, loops: auto, loops_reserved: 3}\npools: []\n");
	assert_in_range(active_loops(&fixture), 1, 3);
	fixture_close(&fixture);
}

/* What the program said by itself stays as long as no file says anything of it. */
static void a_total_of_the_program_stays(void **state)
{
	struct kolk_engine_options base = KOLK_INIT(kolk_engine_options);
	struct kolk_engine_info info = KOLK_INIT(kolk_engine_info);
	struct fixture fixture = { .error = KOLK_INIT(kolk_config_error) };

	(void)state;
	base.connections_max = 500;
	fixture.config = parse(&fixture, "pools: []\n");
	assert_int_equal(kolk_config_open(fixture.config, &base, &fixture.engine, &fixture.error),
			 KOLK_OK);
	must_reload(&fixture, "engine: {tenant_connections_max: 5}\npools: []\n");
	assert_int_equal(kolk_engine_inspect(fixture.engine, &info), KOLK_OK);
	assert_int_equal(info.connections_max, 500);
	must_reload(&fixture, "engine: {connections_max: 20}\npools: []\n");
	assert_int_equal(kolk_engine_inspect(fixture.engine, &info), KOLK_OK);
	assert_int_equal(info.connections_max, 20);
	fixture_close(&fixture);
}

/* keys_max is full at the last of the keys to warm: everything before it is undone. */
static void a_step_that_fails_is_undone(void **state)
{
	static const char good[] =
		"engine: {keys_max: 6, connections_max: 10, connections_reserved: 20}\n"
		"tenants: [{name: gold, connections_max: 7}]\n"
		"pools:\n- {name: a, address: '%A', limits: {idle_min: 1}}\n";
	struct fixture fixture;
	struct kolk_key *key;
	struct kolk_tenant_info tenant[4];
	uint64_t cursor = 0;

	(void)state;
	open_by(&fixture, good);
	key = key_of(&fixture, "a", "gold");
	assert_int_equal(request(key), KOLK_OK);
	assert_int_equal(reload(&fixture,
				"engine: {keys_max: 6, connections_max: 20, connections_reserved: 20}\n"
				"tenants: [{name: gold, connections_max: 3}]\n"
				"pools:\n- {name: a, address: '%B', limits: {idle_min: 3}}\n"
				"- name: b\n  address: '%B'\n  warm:\n  - {tenant: t1}\n"
				"  - {tenant: t2}\n  - {tenant: t3}\n  - {tenant: t4}\n"
				"  - {tenant: t5}\n"), KOLK_E_LIMIT);
	assert_string_equal(fixture.message, "test:11:5: this key cannot be opened: a limit of engine "
					"or tenant is reached");
	assert_null(kolk_pool_find(fixture.engine, "b"));
	assert_int_equal(info_of(&fixture, "a").idle_min, 1);
	assert_int_equal(request(key), KOLK_OK);
	assert_int_equal(kolk_engine_tenants(fixture.engine, &cursor, tenant, 4), 1);
	assert_int_equal(tenant[0].connections_max, 7);
	kolk_key_close(key);
	fixture_close(&fixture);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(what_is_refused_changes_nothing),
	cmocka_unit_test(the_total_stays_within_the_reserve),
	cmocka_unit_test(loops_stay_within_the_reserve),
	cmocka_unit_test(a_total_of_the_program_stays),
	cmocka_unit_test(a_step_that_fails_is_undone),
};

CMOCKA_TESTS(reload_undo, tests);
