/* SPDX-License-Identifier: Apache-2.0 */
/* challenge_test.c - WWW-Authenticate of a server, as a client of a route with metadata is told it. */
#include "tests/kit/cmocka/run.h"

#include <stdlib.h>
#include <string.h>

#include "tools/gateway/mcp/challenge.h"

#define URL "https://gw.test/.well-known/oauth-protected-resource/mcp"
#define HERE "resource_metadata=\"" URL "\""
#define THERE "resource_metadata=\"https://up.test/x\""

static void the_route_s_metadata_is_named(void **state)
{
	static const char *const rows[][2] = {
		{ "Bearer", "Bearer " HERE },
		{ "bearer ", "bearer " HERE },
		{ "Bearer " THERE, "Bearer " HERE },
		{ "Bearer scope=\"a b\", " THERE, "Bearer scope=\"a b\", " HERE },
		{ "Bearer " THERE ", error=\"insufficient_scope\", scope=\"a\"",
		  "Bearer " HERE ", error=\"insufficient_scope\", scope=\"a\"" },
		{ "Bearer realm=\"a, Basic b=c\"", "Bearer realm=\"a, Basic b=c\", " HERE },
		{ "Bearer realm=\"a \\\", b\" , scope=c", "Bearer realm=\"a \\\", b\", scope=c, " HERE },
		{ "Bearer Resource_Metadata = https://up.test/x,scope=a", "Bearer " HERE ", scope=a" },
		{ "Bearer " THERE ", " THERE, "Bearer " HERE },
		{ "Basic realm=\"x\", Bearer scope=a", "Basic realm=\"x\", Bearer scope=a, " HERE },
		{ "Bearer, Basic realm=\"x\"", "Bearer " HERE ", Basic realm=\"x\"" },
		{ "Bearer scope=a, Bearer scope=b", "Bearer scope=a, " HERE ", Bearer scope=b, " HERE },
		{ "Negotiate YQ==, Bearer", "Negotiate YQ==, Bearer " HERE },
		{ "Negotiate a.b-c/d+e~_", "Negotiate a.b-c/d+e~_" },
		{ "Bearer YQ=", "Bearer YQ=" },
		{ "DPoP algs=\"ES256\", " THERE, "DPoP algs=\"ES256\", " HERE },
		{ "Basic realm=x", "Basic realm=x" },
		{ ", ,Bearer ,, scope=a,", "Bearer scope=a, " HERE },
		{ "Bearer\tscope=\"\xc3\xa9\"", "Bearer scope=\"\xc3\xa9\", " HERE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *once = gw_mcp_challenge_name(rows[i][0], URL), *twice;

		assert_non_null(once);
		assert_string_equal(once, rows[i][1]);
		twice = gw_mcp_challenge_name(once, URL);
		assert_non_null(twice);
		assert_string_equal(twice, once);
		free(once);
		free(twice);
	}
}

static void what_cannot_be_read_is_refused(void **state)
{
	static const char *const rows[] = {
		"", ",", "=x", "realm=x", "\"Bearer\"", "Bearer realm=\"open", "Bearer realm=\"open\\",
		"Bearer realm=\"a\"scope=b", "Bearer a=b c=d",
		"Bearer realm=a\"b\"", "Bearer (a)",
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *text = gw_mcp_challenge_name(rows[i], URL);

		if (text != NULL)
			fail_msg("%s: %s", rows[i], text);
	}
}

static void a_client_is_told_what_its_route_says(void **state)
{
	const struct gw_mcp_access none = { .resource = NULL };
	const struct gw_mcp_access own = { .metadata_url = URL, .challenge = "Bearer " HERE ", scope=\"a\"" };
	char *memory = NULL;

	(void)state;
	assert_string_equal(gw_mcp_challenge(&none, "Bearer " THERE, 401, &memory), "Bearer " THERE);
	assert_null(gw_mcp_challenge(&none, NULL, 401, &memory));
	assert_null(gw_mcp_challenge(&own, NULL, 200, &memory));
	assert_null(gw_mcp_challenge(&own, NULL, 403, &memory));
	assert_string_equal(gw_mcp_challenge(&own, NULL, 401, &memory), own.challenge);
	assert_null(memory);
	assert_string_equal(gw_mcp_challenge(&own, "Bearer x", 401, &memory), "Bearer x");
	assert_string_equal(gw_mcp_challenge(&own, "Bearer " THERE, 403, &memory), "Bearer " HERE);
	assert_string_equal(gw_mcp_challenge(&own, "Bearer \"", 401, &memory), "Bearer \"");
	free(memory);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(the_route_s_metadata_is_named),
	cmocka_unit_test(what_cannot_be_read_is_refused),
	cmocka_unit_test(a_client_is_told_what_its_route_says),
};

CMOCKA_TESTS(challenge, tests);
