/* SPDX-License-Identifier: Apache-2.0 */
/* federation_config_test.c - several MCP servers behind a route: what arrives, what is wrong. */
#define _GNU_SOURCE
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/gateway/config/config.h"

static struct gw_config *load(const char *route, char message[600])
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct gw_config *config = NULL;
	char path[] = "/tmp/kolk-gateway-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_true(dprintf(fd, "pools:\n- {name: one, address: 'h:1', protocol: mcp}\n"
				"- {name: Two, address: 'h:1', protocol: mcp, mcp: {sharing: exclusive}}\n"
				"- {name: api, address: 'h:1', protocol: http}\n"
				"gateway:\n  listen: [{address: '0.0.0.0:0'}]\n  routes:\n"
				"  - {match: {path: /m}, %s}\n", route) > 0);
	close(fd);
	message[0] = 0;
	if (gw_config_load(path, &config, &error) != KOLK_OK)
		snprintf(message, 600, "%u:%u: %s: %s", error.line, error.column, error.message,
			 error.suggestion);
	unlink(path);
	return config;
}

static void servers_arrive(void **state)
{
	char message[600];
	struct gw_config *c = load("federation: [{pool: one}, {pool: Two, prefix: a-2, timeout: 3s}, "
				   "{pool: one, prefix: again}], mcp: {hosts: [h]}", message);
	const struct gw_federation_options *all;

	(void)state;
	assert_string_equal(message, "");
	assert_int_equal(c->routes[0].action, GW_ACTION_POOL);
	assert_int_equal(c->routes[0].tenant, GW_TENANT_REQUIRED);
	assert_null(c->routes[0].pool);
	assert_int_equal(c->routes[0].federation.count, 3);
	all = c->routes[0].federation.items;
	assert_string_equal(all[0].pool, "one");
	assert_string_equal(all[0].prefix, "one");
	assert_true(all[0].timeout_ns == GW_FEDERATION_TIMEOUT_NS);
	assert_string_equal(all[1].prefix, "a-2");
	assert_true(all[1].timeout_ns == 3 * KOLK_S_NS);
	assert_string_equal(all[2].prefix, "again");
	gw_config_free(c);
}

static void mistakes_are_told(void **state)
{
	static const char *const bad[][2] = {
		{ "federation: []", "8:37: a federation without servers: write federation: [{pool: NAME}" },
		{ "federation: [{prefix: a}]", "8:38: 'pool' is missing here" },
		{ "federation: [{pool: none}]", "there is no pool 'none': add it to 'pools'" },
		{ "federation: [{pool: api}]", "the pool 'api' is no MCP server's" },
		{ "federation: [{pool: Two}]", "'Two' is no prefix of names: write prefix: a letter" },
		{ "federation: [{pool: one, prefix: a_b}]", "8:58: 'a_b' is no prefix of names" },
		{ "federation: [{pool: one, prefix: a+b}]", "'a+b' is no prefix of names" },
		{ "federation: [{pool: one, prefix: 1a}]", "'1a' is no prefix of names" },
		{ "federation: [{pool: one, prefix: -a}]", "'-a' is no prefix of names" },
		{ "federation: [{pool: one}, {pool: Two, prefix: one}]",
		  "'one' is the prefix of another server: give each a prefix of its own" },
		{ "federation: [{pool: one}], pool: one", "a route has one of 'pool', 'balancer', 'federation'" },
		{ "federation: [{pool: Two, prefix: b}], mcp: {client_token: pass}",
		  "clients of the pool 'Two' share sessions" },
		{ "federation: [{pool: one, prefx: b}]", "unknown key 'prefx' in 'federation'" },
	};
	char message[600];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_null(load(bad[i][0], message));
		if (strstr(message, bad[i][1]) == NULL)
			fail_msg("%s: %s", bad[i][0], message);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(servers_arrive),
	cmocka_unit_test(mistakes_are_told),
};

CMOCKA_TESTS(gateway_federation_config, tests);
