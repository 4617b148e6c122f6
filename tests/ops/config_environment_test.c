/* SPDX-License-Identifier: Apache-2.0 */
/* config_environment_test.c - the environment over a configuration, and secrets in files. */
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/ops/config_text.h"

static const char two_pools[] = "engine:\n  connections_max: 10\n  dials_max: 3\npools:\n"
				"- {name: a, address: 'a:1'}\n"
				"- {name: b, address: 'b:1', timeouts: {idle: 7s}}\n";

static void expect_error(const char *text, const char *const *environment, const char *expected)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *config = (void *)1;
	char told[600];

	assert_int_equal(kolk_config_parse("test", text, strlen(text), environment, &config,
					   &error), KOLK_E_OPTIONS);
	assert_null(config);
	assert_int_equal(error.err, KOLK_E_OPTIONS);
	kolk_config_error_text(&error, told, sizeof told);
	assert_string_equal(told, expected);
}

static void environment_over_file(void **state)
{
	struct kolk_config *config;
	const struct kolk_engine_options *e;

	(void)state;
	config = must_parse(two_pools, ENVIRONMENT("MAX_TOTAL_CONNECTIONS=500",
						   "MAX_CONNECTIONS_PER_USER=25",
						   "CONNECTION_TIMEOUT=1800000",
						   "CLEANUP_INTERVAL=300000"));
	e = kolk_config_engine(config);
	assert_int_equal(e->connections_max, 500);
	assert_int_equal(e->tenant_connections_max, 25);
	assert_int_equal(e->dials_max, 3);
	assert_true(e->maintenance_interval_ns == 300 * KOLK_S_NS);
	/* A default for pools, not an order. */
	assert_true(kolk_config_pool(config, 0)->idle_timeout_ns == 1800 * KOLK_S_NS);
	assert_true(kolk_config_pool(config, 1)->idle_timeout_ns == 7 * KOLK_S_NS);
	kolk_config_free(config);

	config = must_parse(two_pools, ENVIRONMENT("KOLK_ENGINE_CONNECTIONS_MAX=600",
						   "MAX_TOTAL_CONNECTIONS=500",
						   "KOLK_ENGINE_LEND_AFTER=off",
						   "KOLK_ENGINE_DRAIN_GRACE=5s",
						   "KOLK_ADMIN_LISTEN=unix:/run/a.sock",
						   "KOLK_ADMIN_TOKEN=$0123456789abcde",
						   "KOLK_ENGINE_DIALS_MAX=", "KOLK_OTHER=1"));
	e = kolk_config_engine(config);
	assert_int_equal(e->connections_max, 600);
	assert_int_equal(e->dials_max, 3); /* empty is not set */
	assert_true(e->lend_after_ns == KOLK_FOREVER);
	assert_true(kolk_config_drain_grace_ns(config) == 5 * KOLK_S_NS);
	assert_string_equal(kolk_config_admin(config)->listen, "unix:/run/a.sock");
	assert_memory_equal(kolk_config_admin(config)->token, "$0123456789abcde", 16);
	kolk_config_free(config);
}

/* They are defaults for pools of sessions, too: the file is stronger. */
static void environment_means_sessions_of_mcp_pools(void **state)
{
	static const char pools[] =
		"pools:\n"
		"- {name: a, address: 'a:1', protocol: mcp}\n"
		"- {name: b, address: 'b:1', protocol: mcp, mcp: {idle_timeout: 7s, "
		"pool_sessions_max: 3}}\n";
	struct kolk_config *config;

	(void)state;
	config = must_parse(pools, ENVIRONMENT("MAX_TOTAL_CONNECTIONS=50",
					       "MAX_CONNECTIONS_PER_USER=5",
					       "CONNECTION_TIMEOUT=600000"));
	assert_int_equal(kolk_config_mcp(config, 0)->pool_sessions_max, 50);
	assert_true(kolk_config_mcp(config, 0)->idle_timeout_ns == 600 * KOLK_S_NS);
	assert_true(kolk_config_pool(config, 0)->idle_timeout_ns == 0);
	assert_int_equal(kolk_config_mcp(config, 1)->pool_sessions_max, 3);
	assert_true(kolk_config_mcp(config, 1)->idle_timeout_ns == 7 * KOLK_S_NS);
	assert_int_equal(kolk_config_engine(config)->tenant_connections_max, 5);
	kolk_config_free(config);
	config = must_parse(pools, ENVIRONMENT("CLEANUP_INTERVAL=1000"));
	assert_int_equal(kolk_config_mcp(config, 0)->pool_sessions_max, 0);
	assert_true(kolk_config_mcp(config, 0)->idle_timeout_ns == 0);
	kolk_config_free(config);
}

static void environment_errors(void **state)
{
	static const char reserved[] = "engine:\n  connections_reserved: 400\npools: []\n";
	static const char none[] = "pools: []\n";

	(void)state;
	expect_error(none, ENVIRONMENT("MAX_TOTAL_CONNECTIONS=many"),
		     "MAX_TOTAL_CONNECTIONS: 'many' is not a whole number");
	expect_error(none, ENVIRONMENT("CONNECTION_TIMEOUT=30s"),
		     "CONNECTION_TIMEOUT: '30s' is not a whole number of milliseconds");
	expect_error(none, ENVIRONMENT("CLEANUP_INTERVAL=0"),
		     "CLEANUP_INTERVAL: 'maintenance_interval' must be 1ms to 365d, not '0ms'");
	expect_error(none, ENVIRONMENT("MAX_CONNECTIONS_PER_USER=0"),
		     "MAX_CONNECTIONS_PER_USER: 'tenant_connections_max' must be 1 to 1000000000, "
		     "not '0'");
	expect_error(none, ENVIRONMENT("KOLK_ENGINE_DAILS_MAX=3"),
		     "KOLK_ENGINE_DAILS_MAX: no key of 'engine' has this name: did you mean "
		     "'dials_max'?");
	expect_error(none, ENVIRONMENT("KOLK_ENGINE_LEND_AFTER=5"),
		     "KOLK_ENGINE_LEND_AFTER: 'lend_after' is a duration, and '5' has no unit: "
		     "write 30s, 250ms, 5m or 1h");
	expect_error(none, ENVIRONMENT("KOLK_ADMIN_TOKEN=hunter2", "KOLK_ADMIN_LISTEN=unix:/a"),
		     "KOLK_ADMIN_TOKEN: 'token' must be 16 to 65536 bytes long");
	expect_error(none, ENVIRONMENT("KOLK_ADMIN_LISTEN=127.0.0.1:80"),
		     "KOLK_ADMIN_LISTEN: 'listen' on TCP needs a 'token': set admin.token, or "
		     "listen on unix:/path");
	expect_error(none, ENVIRONMENT("KOLK_ADMIN_CLIENTS_MAX=3"),
		     "KOLK_ADMIN_CLIENTS_MAX: 'listen' is missing in 'admin': as "
		     "unix:/run/kolk/admin.sock");
	/* A conflict with a variable is reported where the file sets the other key. */
	expect_error(reserved, ENVIRONMENT("MAX_TOTAL_CONNECTIONS=401"),
		     "test:2:25: 'connections_max' (401) is more than 'connections_reserved' (400)");
	/* A value that a variable replaces must be right all the same. */
	expect_error("engine: {dials_max: x}\npools: []\n", ENVIRONMENT("KOLK_ENGINE_DIALS_MAX=3"),
		     "test:1:21: 'dials_max' is a count, and 'x' is not: write a whole number "
		     "without a unit");
}

static void secret_write(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
}

static void secrets_from_files(void **state)
{
	char directory[] = "/tmp/kolk-ops-XXXXXX", path[64], text[300], expected[300];
	static const char *const contents[] = { "0123456789abcdef", "0123456789abcdef\n",
						"0123456789abcdef\r\n" };
	const char *variable[] = { NULL, NULL };

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/token", directory);
	snprintf(text, sizeof text, "KOLK_ADMIN_TOKEN=file:%s", path);
	variable[0] = text;
	for (size_t i = 0; i < 3; i++) {
		struct kolk_config *config;

		secret_write(path, contents[i], 0600);
		config = must_parse("admin: {listen: unix:/run/a.sock}\npools: []\n", variable);
		assert_int_equal(kolk_config_admin(config)->token_size, 16);
		assert_memory_equal(kolk_config_admin(config)->token, contents[0], 16);
		kolk_config_free(config);
	}
	secret_write(path, contents[0], 0644);
	snprintf(expected, sizeof expected,
		 "KOLK_ADMIN_TOKEN: the secret in '%s' is not read: everybody on this machine may "
		 "read or write it", path);
	expect_error("admin: {listen: unix:/run/a.sock}\npools: []\n", variable, expected);
	secret_write(path, "hunter2", 0640);
	expect_error("admin: {listen: unix:/run/a.sock}\npools: []\n", variable,
		     "KOLK_ADMIN_TOKEN: 'token' must be 16 to 65536 bytes long");
	unlink(path);
	rmdir(directory);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(environment_over_file),
	cmocka_unit_test(environment_means_sessions_of_mcp_pools),
	cmocka_unit_test(environment_errors),
	cmocka_unit_test(secrets_from_files),
};

CMOCKA_TESTS(config_environment, tests);
