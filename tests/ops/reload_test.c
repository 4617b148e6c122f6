/* SPDX-License-Identifier: Apache-2.0 */
/* reload_test.c - from one configuration to the next: what changes, comes, goes and stays. */
#define _GNU_SOURCE
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/ops/reload.h"

static void limits_change_in_place(void **state)
{
	struct fixture fixture;
	struct kolk_key *key;
	struct kolk_lease one, two;

	(void)state;
	open_by(&fixture, "pools:\n- {name: a, address: '%A', limits: {connections_max: 1}}\n");
	key = key_of(&fixture, "a", "alice");
	assert_int_equal(kolk_acquire(key, kolk_in_ms(5000), &one), KOLK_OK);
	assert_int_not_equal(kolk_acquire(key, kolk_in_ms(20), &two), KOLK_OK);
	must_reload(&fixture, "pools:\n- {name: a, address: '%A', limits: {connections_max: 2}, "
			    "timeouts: {idle: 9s}}\n");
	assert_int_equal(kolk_acquire(key, kolk_in_ms(5000), &two), KOLK_OK);
	assert_int_equal(exchange(&one), KOLK_OK);
	(void)kolk_release(&two);
	(void)kolk_release(&one);
	assert_int_equal(request(key), KOLK_OK);
	assert_int_equal(kit_origin_counts(fixture.a).accepted, 2); /* nothing was closed */
	assert_true(info_of(&fixture, "a").idle_timeout_ns == 9 * KOLK_S_NS);
	/* What the file does not say any more is the default again. */
	must_reload(&fixture, "pools:\n- {name: a, address: '%A'}\n");
	assert_true(info_of(&fixture, "a").idle_timeout_ns == 30 * KOLK_S_NS);
	assert_int_equal(info_of(&fixture, "a").connections_max, 10);
	kolk_key_close(key);
	fixture_close(&fixture);
}

static void another_address_keeps_handles(void **state)
{
	struct fixture fixture;
	struct kolk_key *key;
	struct kolk_lease lease;

	(void)state;
	open_by(&fixture, "pools:\n- {name: a, address: '%A', limits: {idle_min: none}}\n");
	key = key_of(&fixture, "a", "alice");
	assert_int_equal(request(key), KOLK_OK);
	assert_int_equal(kolk_acquire(key, kolk_in_ms(5000), &lease), KOLK_OK);
	must_reload(&fixture, "pools:\n- {name: a, address: '%B', limits: {idle_min: none}}\n");
	assert_int_equal(exchange(&lease), KOLK_OK); /* a lease is not touched */
	assert_int_equal(kit_origin_counts(fixture.b).answered, 0);
	assert_int_equal(request(key), KOLK_OK);
	assert_int_equal(kit_origin_counts(fixture.b).answered, 1);
	(void)kolk_release(&lease);
	EVENTUALLY(kit_origin_counts(fixture.a).open == 0);
	assert_int_equal(request(key), KOLK_OK);
	assert_int_equal(kit_origin_counts(fixture.b).answered, 2);
	kolk_key_close(key);
	fixture_close(&fixture);
}

/* A pool goes from an address to a child, to another one, and back. */
static void a_child_for_an_address(void **state)
{
	static const char cat[] = "pools:\n- {name: a, child: {command: [/bin/cat]},"
				  " limits: {idle_min: none}}\n";
	static const char other[] = "pools:\n- {name: a, child: {command: [/bin/cat],"
				    " environment: [A=b]}, limits: {idle_min: none}}\n";
	static const char socket[] = "pools:\n- {name: a, address: '%A',"
				     " limits: {idle_min: none}}\n";
	struct fixture fixture;
	struct kolk_key *key;

	(void)state;
	open_by(&fixture, socket);
	key = key_of(&fixture, "a", "alice");
	assert_int_equal(request(key), KOLK_OK);
	must_reload(&fixture, cat);
	assert_int_equal(request(key), KOLK_OK);
	EVENTUALLY(kit_origin_counts(fixture.a).open == 0);
	assert_int_equal(stats_of(&fixture, "a").created, 2);
	must_reload(&fixture, cat);
	assert_int_equal(request(key), KOLK_OK);
	assert_int_equal(stats_of(&fixture, "a").created, 2);
	must_reload(&fixture, other);
	assert_int_equal(request(key), KOLK_OK);
	assert_int_equal(stats_of(&fixture, "a").created, 3);
	must_reload(&fixture, socket);
	assert_int_equal(request(key), KOLK_OK);
	assert_int_equal(kit_origin_counts(fixture.a).answered, 2);
	kolk_key_close(key);
	fixture_close(&fixture);
}

static void pools_come_and_go(void **state)
{
	static const char one[] = "engine: {drain_grace: 5s}\npools:\n- {name: a, address: '%A'}\n";
	static const char two[] = "engine: {drain_grace: 5s}\npools:\n- {name: a, address: '%A'}\n"
				  "- {name: b, address: '%B'}\n";
	struct fixture fixture;
	struct kolk_pool *b;
	struct kolk_key *key;
	struct kolk_lease lease;

	(void)state;
	open_by(&fixture, one);
	must_reload(&fixture, two);
	b = kolk_pool_find(fixture.engine, "b");
	key = key_of(&fixture, "b", "alice");
	assert_int_equal(kolk_acquire(key, kolk_in_ms(5000), &lease), KOLK_OK);
	must_reload(&fixture, one);
	assert_int_equal(request(key), KOLK_E_DRAINING);
	assert_int_equal(exchange(&lease), KOLK_OK); /* within the grace */
	expect_refused(&fixture, two, KOLK_E_NAME_TAKEN,
		       "test:4:3: the pool 'b' was drained and is not gone yet: reload again when "
		       "its leases have ended");
	assert_int_equal(kolk_config_reap(fixture.engine), 0);
	(void)kolk_release(&lease);
	EVENTUALLY(kolk_pool_is_closed(b));
	kolk_key_close(key);
	assert_int_equal(kolk_config_reap(fixture.engine), 1);
	assert_null(kolk_pool_find(fixture.engine, "b"));
	assert_int_equal(request(kolk_pool_key(kolk_pool_find(fixture.engine, "a"))), KOLK_OK);
	must_reload(&fixture, two);
	assert_int_equal(request(kolk_pool_key(kolk_pool_find(fixture.engine, "b"))), KOLK_OK);
	fixture_close(&fixture);
}

/* Pools that the program drained or added: a file does not take them over. */
static void pools_that_the_file_did_not_leave(void **state)
{
	static const char text[] = "pools:\n- {name: a, address: '%A'}\n";
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct fixture fixture;
	struct kolk_pool *pool;

	(void)state;
	open_by(&fixture, text);
	o.name = "own";
	o.address = "192.0.2.1:1";
	assert_int_equal(kolk_pool_add(fixture.engine, &o, &pool), KOLK_OK);
	expect_refused(&fixture, "pools:\n- {name: own, address: '%A'}\n", KOLK_E_NAME_TAKEN,
		       "test:2:3: the program has a pool 'own' of its own: take another name");
	pool = kolk_pool_find(fixture.engine, "a");
	assert_int_equal(kolk_pool_drain(pool, 0), KOLK_OK);
	EVENTUALLY(kolk_pool_is_closed(pool));
	expect_refused(&fixture, text, KOLK_E_NAME_TAKEN,
		       "test:2:3: the pool 'a' was drained and is not gone yet: reload again when "
		       "its leases have ended");
	assert_int_equal(kolk_config_reap(fixture.engine), 1);
	must_reload(&fixture, text);
	assert_int_equal(request(kolk_pool_key(kolk_pool_find(fixture.engine, "a"))), KOLK_OK);
	assert_non_null(kolk_pool_find(fixture.engine, "own"));
	fixture_close(&fixture);
}

/* Drained by an operator: reloads change its settings, but do not open it; nor is it freed. */
static void what_is_suspended_stays_so(void **state)
{
	static const char text[] = "pools:\n- {name: a, address: '%A'}\n";
	static const char more[] = "pools:\n- {name: a, address: '%A', warm: [{tenant: t}], "
				   "limits: {connections_max: 3, idle_min: 1}}\n";
	static const char without[] = "pools: []\n";
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	struct kolk_pool *pool;
	struct fixture fixture;

	(void)state;
	open_by(&fixture, text);
	pool = kolk_pool_find(fixture.engine, "a");
	assert_int_equal(request(kolk_pool_key(pool)), KOLK_OK);
	assert_int_equal(kolk_pool_suspend(pool, 0), KOLK_OK);
	EVENTUALLY(kolk_pool_is_closed(pool));
	assert_int_equal(kolk_config_reap(fixture.engine), 0);
	must_reload(&fixture, more);
	assert_int_equal(request(kolk_pool_key(pool)), KOLK_E_DRAINING);
	assert_int_equal(kolk_pool_resume(pool), KOLK_OK);
	assert_int_equal(request(kolk_pool_key(pool)), KOLK_OK);
	EVENTUALLY(kolk_pool_stats(pool, &stats) == KOLK_OK && stats.idle >= 2); /* t is warm */
	/* One that is taken out while it is suspended goes. */
	assert_int_equal(kolk_pool_suspend(pool, 0), KOLK_OK);
	must_reload(&fixture, without);
	EVENTUALLY(kolk_pool_is_closed(pool));
	assert_int_equal(kolk_config_reap(fixture.engine), 1);
	fixture_close(&fixture);
}

#define POSTGRES "protocol: postgres, postgres: {user: u}"

/* PostgreSQL's pools have a cancel pool: it is added and closed with the protocol. */
static void a_pool_becomes_postgres(void **state)
{
	static const char raw[] = "pools:\n- {name: a, address: '%A'}\n";
	static const char postgres[] = "pools:\n- {name: a, address: '%A', " POSTGRES "}\n";
	struct fixture fixture;
	struct kolk_pool *cancel_pool;

	(void)state;
	open_by(&fixture, raw);
	assert_null(kolk_pool_find(fixture.engine, "a.cancel"));
	must_reload(&fixture, postgres);
	cancel_pool = kolk_pool_find(fixture.engine, "a.cancel");
	assert_non_null(cancel_pool);
	must_reload(&fixture, postgres);
	assert_ptr_equal(kolk_pool_find(fixture.engine, "a.cancel"), cancel_pool);
	must_reload(&fixture, raw);
	EVENTUALLY(kolk_pool_is_closed(cancel_pool));
	expect_refused(&fixture, postgres, KOLK_E_NAME_TAKEN,
		       "test:2:3: the pool 'a.cancel' was drained and is not gone yet: reload again "
		       "when its leases have ended");
	assert_int_equal(request(kolk_pool_key(kolk_pool_find(fixture.engine, "a"))), KOLK_OK);
	assert_int_equal(kolk_config_reap(fixture.engine), 1);
	must_reload(&fixture, postgres);
	assert_non_null(kolk_pool_find(fixture.engine, "a.cancel"));
	must_reload(&fixture, "pools: []\n");
	EVENTUALLY(((void)kolk_config_reap(fixture.engine),
		    kolk_pool_find(fixture.engine, "a.cancel") == NULL));
	fixture_close(&fixture);
}

static void what_became_postgres_is_undone(void **state)
{
	static const char raw[] = "engine: {keys_max: 4}\npools:\n- {name: a, address: '%A'}\n";
	struct fixture fixture;

	(void)state;
	open_by(&fixture, raw);
	assert_int_equal(reload(&fixture, "engine: {keys_max: 4}\npools:\n- {name: a, address: '%A', "
				POSTGRES ", warm: [{tenant: t1}, {tenant: t2}, {tenant: t3},"
				" {tenant: t4}]}\n"), KOLK_E_LIMIT);
	assert_null(kolk_pool_find(fixture.engine, "a.cancel"));
	assert_int_equal(request(kolk_pool_key(kolk_pool_find(fixture.engine, "a"))), KOLK_OK);
	fixture_close(&fixture);
}

/* A name that ends so is as good as others where there is no PostgreSQL. */
static void a_pool_with_the_name_of_a_cancel_pool(void **state)
{
	struct fixture fixture;

	(void)state;
	open_by(&fixture, "pools:\n- {name: a, address: '%A'}\n- {name: a.cancel, address: '%B'}\n");
	must_reload(&fixture, "pools:\n- {name: a.cancel, address: '%B'}\n");
	assert_int_equal(request(kolk_pool_key(kolk_pool_find(fixture.engine, "a.cancel"))), KOLK_OK);
	assert_int_equal(request(kolk_pool_key(kolk_pool_find(fixture.engine, "a.cancel"))), KOLK_OK);
	fixture_close(&fixture);
}

static void tenants_change(void **state)
{
	static const char *const texts[] = {
		("engine: {tenant_connections_max: 5}\n"
		 "tenants: [{name: gold, connections_max: 7, weight: 3}]\n"),
		"engine: {tenant_connections_max: 5}\ntenants: [{name: gold, keys_max: 9}]\n",
		"engine: {tenant_connections_max: 6}\n", ""
	};
	static const uint32_t limits[] = { 7, 5, 6, 10 }, weights[] = { 3, 1, 1, 1 };
	struct fixture fixture;
	struct kolk_key *key = NULL;

	(void)state;
	for (int i = 0; i < 4; i++) {
		char text[300];
		struct kolk_tenant_info tenant[4];
		uint64_t cursor = 0;

		snprintf(text, sizeof text, "%spools: [{name: a, address: '%%A'}]\n", texts[i]);
		if (i == 0) {
			open_by(&fixture, text);
			key = key_of(&fixture, "a", "gold");
		} else {
			must_reload(&fixture, text);
		}
		assert_int_equal(kolk_engine_tenants(fixture.engine, &cursor, tenant, 4), 1);
		assert_string_equal(tenant[0].name, "gold");
		assert_int_equal(tenant[0].connections_max, limits[i]);
		assert_int_equal(tenant[0].weight, weights[i]);
	}
	kolk_key_close(key);
	fixture_close(&fixture);
}

static void warmed_keys_change(void **state)
{
	struct fixture fixture;
	struct kolk_pool *pool;
	struct kolk_key_info keys[8];
	uint64_t cursor = 0;
	size_t count, held = 0;

	(void)state;
	open_by(&fixture, "pools:\n- {name: a, address: '%A', warm: [{tenant: x}, {tenant: y}]}\n");
	EVENTUALLY(stats_of(&fixture, "a").idle == 4);
	must_reload(&fixture, "pools:\n- {name: a, address: '%A', warm: [{tenant: z}, {tenant: y}]}\n");
	EVENTUALLY(stats_of(&fixture, "a").idle == 6); /* x ages out, nothing is cut */
	pool = kolk_pool_find(fixture.engine, "a");
	count = kolk_pool_keys(pool, &cursor, keys, 8);
	for (size_t i = 0; i < count; i++)
		if (keys[i].tenant[0] != 0) {
			assert_int_equal(keys[i].handles, keys[i].tenant[0] != 'x');
			held += keys[i].handles;
		}
	assert_int_equal(held, 2);
	fixture_close(&fixture);
}

static void file_write(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* As the admin server and a signal do it. */
static void a_file_is_read_again(void **state)
{
	char path[] = "/tmp/kolk-ops-XXXXXX", message[600], expected[600];
	struct kolk_config_source source = { .path = path };
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	file_write(path, "pools: [{name: a, address: '192.0.2.1:1'}]\n");
	assert_int_equal(kolk_config_load(path, NULL, &source.config, NULL), KOLK_OK);
	assert_int_equal(kolk_config_open(source.config, NULL, &source.engine, NULL), KOLK_OK);
	file_write(path, "pools: [{name: b, address: '192.0.2.1:1'}]\n");
	assert_int_equal(kolk_config_reload(&source, message, sizeof message), KOLK_OK);
	snprintf(expected, sizeof expected,
		 "%s is in force: 1 pool, 0 tenants with own limits", path);
	assert_string_equal(message, expected);
	assert_non_null(kolk_pool_find(source.engine, "b"));
	file_write(path, "pools: [{name: c, adress: '192.0.2.1:1'}]\n");
	assert_int_equal(kolk_config_reload(&source, message, sizeof message), KOLK_E_OPTIONS);
	snprintf(expected, sizeof expected,
		 "%s:1:19: unknown key 'adress' in 'pools': did you mean 'address'?", path);
	assert_string_equal(message, expected);
	assert_null(kolk_pool_find(source.engine, "c"));
	unlink(path);
	assert_int_equal(kolk_config_reload(&source, message, 20), KOLK_E_NOT_FOUND);
	assert_int_equal(strlen(message), 19);
	assert_string_equal(kolk_config_pool(source.config, 0)->name, "b");
	assert_int_equal(kolk_engine_destroy(source.engine), KOLK_OK);
	kolk_config_free(source.config);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(limits_change_in_place),
	cmocka_unit_test(another_address_keeps_handles),
	cmocka_unit_test(a_child_for_an_address),
	cmocka_unit_test(pools_come_and_go),
	cmocka_unit_test(pools_that_the_file_did_not_leave),
	cmocka_unit_test(what_is_suspended_stays_so),
	cmocka_unit_test(a_pool_becomes_postgres),
	cmocka_unit_test(what_became_postgres_is_undone),
	cmocka_unit_test(a_pool_with_the_name_of_a_cancel_pool),
	cmocka_unit_test(tenants_change),
	cmocka_unit_test(warmed_keys_change),
	cmocka_unit_test(a_file_is_read_again),
};

CMOCKA_TESTS(reload, tests);
