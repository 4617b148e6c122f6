/* SPDX-License-Identifier: Apache-2.0 */
/* config_open_test.c - an engine opened by a configuration, and a try that opens nothing. */
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/ops/config_text.h"
#include "tests/ops/reload.h"

static void opens_what_it_says(void **state)
{
	struct fixture fixture;
	struct kolk_lease lease[2];
	struct kolk_key *gold, *other;

	(void)state;
	open_by(&fixture, "engine: {connections_max: 20, tenant_connections_max: 1}\n"
			"tenants: [{name: gold, connections_max: 2}]\n"
			"pools:\n"
			"- name: a\n  address: '%A'\n  limits: {idle_min: 2, connections_max: 3}\n"
			"  warm: [{tenant: gold}]\n"
			"- {name: b, address: '%B', protocol: redis}\n");
	EVENTUALLY(stats_of(&fixture, "a").idle == 2);
	assert_int_equal(info_of(&fixture, "a").connections_max, 3);
	assert_int_equal(request(kolk_pool_key(kolk_pool_find(fixture.engine, "b"))), KOLK_OK);
	gold = key_of(&fixture, "a", "gold");
	other = key_of(&fixture, "a", "other");
	assert_int_equal(kolk_acquire(gold, kolk_in_ms(1000), &lease[0]), KOLK_OK);
	assert_int_equal(kolk_acquire(gold, kolk_in_ms(1000), &lease[1]), KOLK_OK);
	(void)kolk_release(&lease[1]);
	(void)kolk_release(&lease[0]);
	assert_int_equal(kolk_acquire(other, kolk_in_ms(1000), &lease[0]), KOLK_OK);
	assert_int_not_equal(kolk_acquire(other, kolk_in_ms(30), &lease[1]), KOLK_OK);
	(void)kolk_release(&lease[0]);
	kolk_key_close(gold);
	kolk_key_close(other);
	fixture_close(&fixture);
}

static void open_leaves_nothing_behind(void **state)
{
	static const char text[] = "pools:\n- {name: a, address: 'a:1'}\n"
				   "- name: b\n  address: b:1\n  tls:\n    ca_file: /nowhere/ca.pem\n";
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_engine *engine = (void *)1;
	struct kolk_config *config;

	(void)state;
	assert_int_equal(kolk_config_parse("test", text, strlen(text), config_nothing, &config,
					   NULL), KOLK_OK);
	assert_int_equal(kolk_config_open(config, NULL, &engine, &error), KOLK_E_TLS);
	assert_null(engine);
	assert_int_equal(error.line, 6);
	assert_int_equal(error.column, 14);
	assert_non_null(strstr(error.message, "'ca_file'"));
	kolk_config_free(config);
}

static void say(void *user, enum kolk_log_level level, const char *subject, const char *text)
{
	(void)level;
	if (strcmp(subject, "engine") == 0)
		snprintf(user, 200, "%s", text);
}

/* What an engine would say to a text that is right in itself. */
static void expect_try(const char *text, enum kolk_err err, const char *message)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *config;
	char said[600] = "";

	assert_int_equal(kolk_config_parse("test", text, strlen(text), config_nothing, &config,
					   NULL), KOLK_OK);
	assert_int_equal(kolk_config_try(config, &error), err);
	if (err != KOLK_OK)
		kolk_config_error_text(&error, said, sizeof said);
	assert_string_equal(said, message);
	kolk_config_free(config);
}

static void a_try_says_what_open_would(void **state)
{
	(void)state;
	expect_try("pools: [{name: a, address: 'nobody.invalid:1', warm: [{tenant: x}]}]", KOLK_OK, "");
	expect_try("pools:\n- name: a\n  address: a:1\n  tls: {ca_file: /nowhere/ca.pem}\n",
		   KOLK_E_TLS, "test:4:18: 'ca_file' names '/nowhere/ca.pem': No such file or "
			       "directory: write the path of a PEM file that this user may read");
	expect_try("pools:\n- name: a\n  address: a:1\n  tls: {ca_directory: /nowhere}\n",
		   KOLK_E_TLS, "test:4:23: 'ca_directory' names '/nowhere': No such file or "
			       "directory: write the path of a directory of PEM files");
	expect_try("pools:\n- {name: a, child: {command: [/nowhere/a]}}\n"
		   "- {name: b, child: {command: [/bin/true]}}\n",
		   KOLK_E_SPAWN, "test:2:30: 'command' names '/nowhere/a': No such file or directory: "
				 "write the path of a program that this user may run");
	expect_try("pools: [{name: a, child: {command: [/usr]}}]",
		   KOLK_E_SPAWN, "test:1:36: 'command' names '/usr': Is a directory: "
				 "write the path of a program that this user may run");
	expect_try("pools:\n- {name: a, child: {command: [/bin/true], directory: /nowhere}}\n"
		   "- {name: b, child: {command: [/bin/true], directory: /bin/true}}\n",
		   KOLK_E_SPAWN, "test:2:54: 'directory' names '/nowhere': No such file or directory: "
				 "write the path of a directory that this user may enter\n"
				 "test:3:54: 'directory' names '/bin/true': Not a directory: "
				 "write the path of a directory that this user may enter");
	expect_try("pools:\n- name: a\n  address: a:1\n  tls: {ca_file: /usr}\n",
		   KOLK_E_TLS, "test:4:18: 'ca_file' names '/usr': Is a directory: "
			       "write the path of a PEM file that this user may read");
	expect_try("engine: {keys_max: 1}\npools:\n- {name: a, address: a:1}\n"
		   "- {name: b, address: b:1}\n",
		   KOLK_E_LIMIT, "test:4:3: the pool is refused: a limit of engine or tenant is reached");
	expect_try("engine: {tenant_keys_max: 1}\npools:\n- name: a\n  address: a:1\n"
		   "  warm: [{tenant: x}, {tenant: x, session: y}]\n",
		   KOLK_E_LIMIT,
		   "test:5:23: this key cannot be opened: a limit of engine or tenant is reached");
}

/* A check dials nothing. */
static void a_try_dials_nothing(void **state)
{
	struct fixture fixture;

	(void)state;
	open_by(&fixture, "pools: []");
	for (int i = 0; i < 3; i++) {
		struct kolk_config *config = parse(
			&fixture, "pools: [{name: a, address: '%A', limits: {idle_min: 2},"
				" warm: [{tenant: x}]}]");

		assert_int_equal(kolk_config_try(config, NULL), KOLK_OK);
		kolk_config_free(config);
	}
	usleep(50000);
	assert_int_equal(kit_origin_counts(fixture.a).accepted, 0);
	fixture_close(&fixture);
}

/* The program's hooks and what the file leaves open; what both say, the file decides. */
static void the_program_gives_the_base(void **state)
{
	static const char text[] = "engine: {log_level: info, loops: 1}\npools: []\n";
	struct kolk_engine_options base = KOLK_INIT(kolk_engine_options);
	struct kolk_config *config;
	struct kolk_engine *engine;
	char message[200] = "";

	(void)state;
	base.on_log = say;
	base.log_user = message;
	base.connections_max = 7;
	base.loops = 2;
	assert_int_equal(kolk_config_parse("test", text, strlen(text), config_nothing, &config,
					   NULL), KOLK_OK);
	assert_int_equal(kolk_config_open(config, &base, &engine, NULL), KOLK_OK);
	kolk_config_free(config); /* the engine does not need it */
	assert_non_null(strstr(message, "1 loops"));
	assert_non_null(strstr(message, "7 connections at most"));
	assert_int_equal(kolk_engine_loop_count(engine), 1);
	assert_int_equal(kolk_engine_destroy(engine), KOLK_OK);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(opens_what_it_says),
	cmocka_unit_test(open_leaves_nothing_behind),
	cmocka_unit_test(a_try_says_what_open_would),
	cmocka_unit_test(a_try_dials_nothing),
	cmocka_unit_test(the_program_gives_the_base),
};

CMOCKA_TESTS(config_open, tests);
