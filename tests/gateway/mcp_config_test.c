/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_config_test.c - authorisation of MCP routes: what is made of it, what is wrong; principals. */
#define _GNU_SOURCE
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/gateway/sign.h"
#include "tools/gateway/principal.h"

/* ---- the file: `mcp` of a route, to a pool whose `mcp` is the other */

static struct gw_config *load(const char *pool, const char *route, char message[600])
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct gw_config *config = NULL;
	char path[] = "/tmp/kolk-gateway-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_true(dprintf(fd, "pools:\n- {name: m, address: 'h:1', protocol: mcp, mcp: {%s}}\n"
				"gateway:\n  listen: [{address: '0.0.0.0:0'}]\n  routes:\n"
				"  - {match: {path: /m}, pool: m, mcp: {%s}}\n", pool, route) > 0);
	close(fd);
	message[0] = 0;
	if (gw_config_load(path, &config, &error) != KOLK_OK)
		snprintf(message, 600, "%u: %s: %s", error.column, error.message, error.suggestion);
	unlink(path);
	return config;
}

#define SERVERS "authorization_servers: ['https://id.test/a', 'https://id.test']"

static void texts_are_made_of_it(void **state)
{
	static const char *const paths[][2] = {
		{ "https://gw.test/mcp/a", "/.well-known/oauth-protected-resource/mcp/a" },
		{ "https://gw.test", "/.well-known/oauth-protected-resource" },
		{ "http://gw.test:81/", "/.well-known/oauth-protected-resource" },
	};
	char route[256], message[600];
	struct gw_config *c;

	(void)state;
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		snprintf(route, sizeof route, "resource: '%s', " SERVERS, paths[i][0]);
		c = load("path: /mcp", route, message);
		assert_string_equal(message, "");
		assert_string_equal(c->routes[0].access.metadata_path, paths[i][1]);
		gw_config_free(c);
	}
	c = load("path: /mcp", "resource: 'https://gw.test:8443/mcp', scopes: [a, 'b:c'], " SERVERS,
		 message);
	assert_string_equal(message, "");
	assert_string_equal(c->routes[0].access.metadata_url,
			    "https://gw.test:8443/.well-known/oauth-protected-resource/mcp");
	assert_string_equal(c->routes[0].access.challenge,
			    "Bearer resource_metadata=\"https://gw.test:8443/.well-known/"
			    "oauth-protected-resource/mcp\", scope=\"a b:c\"");
	assert_string_equal(c->routes[0].access.metadata,
			    "{\"resource\":\"https://gw.test:8443/mcp\",\"authorization_servers\":"
			    "[\"https://id.test/a\",\"https://id.test\"],\"bearer_methods_supported\":"
			    "[\"header\"],\"scopes_supported\":[\"a\",\"b:c\"]}");
	gw_config_free(c);
	c = load("path: /mcp", "client_token: pass", message);
	assert_int_equal(c->routes[0].access.client_token, GW_CLIENT_TOKEN_PASS);
	assert_null(c->routes[0].access.metadata_path);
	gw_config_free(c);
}

static void mistakes_are_told(void **state)
{
	static const char *const bad[][3] = {
		{ "", "resource: gw.test, " SERVERS, "write it as https://mcp.example.com/mcp" },
		{ "", "resource: 'https:///x', " SERVERS, "write the host's name behind ://" },
		{ "", "resource: 'https://', " SERVERS, "write the host's name behind ://" },
		{ "", "resource: 'https://a.test/?x', " SERVERS, "scheme, host, port and path alone" },
		{ "", "resource: 'https://a.test/'", "'authorization_servers' is missing here" },
		{ "", SERVERS, "there is no 'resource' to describe" },
		{ "", "scopes: [a]", "there is no 'resource' to describe" },
		{ "", "resource: 'https://a.test/', authorization_servers: [id]",
		  "this is no URL of an issuer" },
		{ "", "resource: 'https://a.test/', scopes: ['a b'], " SERVERS, "this is no scope" },
		{ "token_file: /t", "client_token: pass", "the pool 'm' has a 'token_file'" },
		{ "transport: websocket", "client_token: pass", "a WebSocket is shown a token only" },
		{ "sharing: exclusive", "client_token: pass", "clients of the pool 'm' share sessions" },
		{ "isolation: tenant", "client_token: pass", "clients of the pool 'm' share sessions" },
	};
	char message[600];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_null(load(bad[i][0][0] != 0 ? bad[i][0] : "path: /mcp", bad[i][1], message));
		if (strstr(message, bad[i][2]) == NULL)
			fail_msg("%s: %s", bad[i][1], message);
	}
}

/* ---- principals */

static struct gw_principal who(const char *claims)
{
	struct gw_principal principal = { .readable = false };
	char payload[512], token[600];

	base64url(claims, strlen(claims), payload);
	snprintf(token, sizeof token, "e30.%s.c2ln", payload);
	assert_true(gw_principal_of(token, &principal));
	return principal;
}

static bool same(const char *one, const char *other)
{
	struct gw_principal a = who(one), b = who(other);

	return memcmp(a.digest, b.digest, sizeof a.digest) == 0;
}

static void a_refreshed_token_is_of_the_same(void **state)
{
	static const char base[] = "{\"iss\":\"i\",\"sub\":\"s\",\"aud\":\"a\",\"exp\":1}";
	struct gw_principal p;

	(void)state;
	assert_true(who(base).readable);
	assert_true(same(base, "{\"exp\":2,\"jti\":\"x\",\"sub\":\"s\",\"iss\":\"i\",\"aud\":[\"a\"],"
			       "\"scope\":\"more\"}"));
	assert_false(same(base, "{\"iss\":\"i\",\"sub\":\"t\",\"aud\":\"a\"}"));
	assert_false(same(base, "{\"iss\":\"j\",\"sub\":\"s\",\"aud\":\"a\"}"));
	assert_false(same(base, "{\"iss\":\"i\",\"sub\":\"s\",\"aud\":\"b\"}"));
	assert_false(same(base, "{\"iss\":\"i\",\"sub\":\"s\"}"));
	assert_false(same("{\"iss\":\"ab\",\"sub\":\"c\"}", "{\"iss\":\"a\",\"sub\":\"bc\"}"));
	assert_false(who("{\"iss\":\"i\",\"aud\":\"a\"}").readable);
	assert_false(who("[\"iss\"]").readable);
	assert_false(who("{\"iss\":\"i\",\"sub\":\"s\",\"sub\":\"t\"}").readable);
	for (const char *const *t = (const char *const[]){ "x", ".", "..", "a.b", "e30.e30.", NULL };
	     *t != NULL; t++) {
		assert_true(gw_principal_of(*t, &p));
		assert_false(p.readable);
	}
}

static void an_audience_is_one_of_them(void **state)
{
	char payload[256], token[300];
	static const char claims[] = "{\"aud\":[\"https://a.test\",\"b\"]}";

	(void)state;
	base64url(claims, sizeof claims - 1, payload);
	snprintf(token, sizeof token, "e30.%s.x", payload);
	assert_true(gw_principal_is_for(token, "https://a.test"));
	assert_true(gw_principal_is_for(token, "b"));
	assert_false(gw_principal_is_for(token, "https://a.test/"));
	assert_false(gw_principal_is_for("opaque", "b"));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(texts_are_made_of_it),
	cmocka_unit_test(mistakes_are_told),
	cmocka_unit_test(a_refreshed_token_is_of_the_same),
	cmocka_unit_test(an_audience_is_one_of_them),
};

CMOCKA_TESTS(gateway_mcp_config, tests);
