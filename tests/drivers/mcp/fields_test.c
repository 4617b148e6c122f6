/* SPDX-License-Identifier: Apache-2.0 */
/* What requests say besides: tokens that are asked for each time, and fields of the caller. */
#include <stdio.h>
#include <string.h>

#include "tests/drivers/mcp/place.h"
#include "tests/kit/cmocka/run.h"

struct tokens {
	kolk__atomic_u32 asked;
	char text[32], tenant[32];
};

static enum kolk_err credentials(void *user, struct kolk_key *key,
				 struct kolk_credentials *shown)
{
	struct tokens *tokens = user;

	snprintf(tokens->text, sizeof tokens->text, "token-%u",
		 kolk__add_acq_rel(&tokens->asked, 1) + 1);
	snprintf(tokens->tenant, sizeof tokens->tenant, "%s", kolk_key_tenant(key));
	shown->secret = tokens->text;
	shown->secret_size = strlen(tokens->text);
	return KOLK_OK;
}

/* A token that is refreshed changes the header, not the session. */
static void a_token_is_asked_for_each_time(void **state)
{
	struct tokens tokens = { .text = "" };
	struct place_options options = { .mcp.credentials = credentials,
					 .mcp.credentials_user = &tokens };
	struct kolk_mcp_client *client;
	struct place place;

	(void)state;
	place_open(&place, &options);
	client = place_client(&place, "alice", NULL);
	/* initialize, notifications/initialized, then each call */
	assert_non_null(strstr(place_tool(client, "whoami", "{}"), "Bearer token-3"));
	assert_non_null(strstr(place_tool(client, "whoami", "{}"), "Bearer token-4"));
	assert_string_equal(tokens.tenant, "alice");
	assert_int_equal(place_number(&place, MCP_N_sessions_created), 1);
	place_client_close(&place, client);
	place_close(&place);
	assert_int_equal(kolk__load_acquire(&tokens.asked), 5); /* and DELETE */
}

static enum kolk_err call_with(struct kolk_mcp_client *client, const char *name, char *text)
{
	const struct kolk_http_field field = { name, "seen" };
	struct kolk_mcp_request request = KOLK_INIT(kolk_mcp_request);
	struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);
	enum kolk_err err;

	request.method = "tools/call";
	request.params = "{\"name\":\"whoami\",\"arguments\":{}}";
	request.params_size = strlen(request.params);
	request.fields = &field;
	request.field_count = 1;
	err = kolk_mcp_call(client, &request, &result);
	snprintf(text, 4096, "%s", err == KOLK_OK ? (const char *)result.result : "");
	kolk_mcp_result_free(&result);
	return err;
}

static void fields_are_passed_but_for_the_librarys(void **state)
{
	static const char *const own[] = { "Accept", "content-type", "Mcp-Session-Id",
					   "MCP-Protocol-Version", "mcp-method", "mcp-name",
					   "Last-Event-ID" };
	struct place_options options = { .mcp.sharing = KOLK_MCP_BOUND };
	struct kolk_mcp_client *client;
	struct place place;
	char text[4096];

	(void)state;
	place_open(&place, &options);
	client = place_client(&place, "alice", NULL);
	assert_int_equal(call_with(client, "traceparent", text), KOLK_OK);
	assert_non_null(strstr(text, "\\\"traceparent\\\":\\\"seen"));
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		assert_int_equal(call_with(client, own[i], text), KOLK_E_OPTIONS);
	place_client_close(&place, client);
	place_close(&place);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_token_is_asked_for_each_time),
	cmocka_unit_test(fields_are_passed_but_for_the_librarys),
};
CMOCKA_TESTS(mcp_fields, tests);
