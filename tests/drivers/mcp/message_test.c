/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that a proxy has read are sent as requests of its own (kolk_mcp_request.message). */
#include <stdio.h>
#include <string.h>

#include "tests/drivers/mcp/place.h"
#include "tests/kit/cmocka/run.h"

/* Whatever stands around its params and in them: the server gets the library's id and token, the caller
 * hears of its own. */
static void progress_of_a_message_that_was_read(void **state)
{
	static const char *const messages[] = {
		"{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"tools/call\",\"params\":{\"_meta\":"
		"{\"progressToken\":%s},\"name\":\"progress\",\"arguments\":{\"steps\":3,\"ms\":1}}}",
		" { \"params\" : { \"name\":\"progress\", \"arguments\":{\"steps\":3,\"ms\":1},\n"
		"\"_meta\" : { \"a\" : 1, \"progressToken\" :  %s  } } , \"id\":1,"
		"\"method\":\"tools\\/call\",\"jsonrpc\":\"2.0\"} ",
	};
	static const char *const tokens[] = { "7", "\"a \\\"b\\\"\"", "123456789012345" };
	struct place_options options = { .mcp.sharing = KOLK_MCP_BOUND };
	struct kolk_mcp_client *client;
	char text[512], token[128];
	struct place place;

	(void)state;
	place_open(&place, &options);
	client = place_client(&place, "alice", NULL);
	for (size_t i = 0; i < 6; i++) {
		struct tracked call = { .client = client, .message = text };

		snprintf(text, sizeof text, messages[i / 3], tokens[i % 3]);
		snprintf(token, sizeof token, "\"progressToken\":%s", tokens[i % 3]);
		place_on_loop(place.loop, tracked_start, &call);
		assert_int_equal(call.started, KOLK_PENDING);
		tracked_wait(&call);
		assert_int_equal(call.result.err, KOLK_OK);
		assert_int_equal(kolk__load_acquire(&call.notifications), 3);
		assert_non_null(strstr(call.notification, token));
	}
	place_client_close(&place, client);
	place_close(&place);
}

/* What only requests of 2026-07-28 say is not said in a session. */
static void a_message_of_the_other_era(void **state)
{
	struct tracked call = {
		.message = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"_meta\":{"
			   "\"io.modelcontextprotocol/clientInfo\":{\"name\":\"a\",\"version\":\"1\"} , "
			   "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\", \"of\":\"ours\","
			   "\"io.modelcontextprotocol/clientCapabilities\":{}},"
			   "\"name\":\"echo\",\"arguments\":{\"nonce\":\"one\"}}}",
	};
	struct place_options options = { .mcp.sharing = KOLK_MCP_BOUND };
	struct place place;

	(void)state;
	place_open(&place, &options);
	call.client = place_client(&place, "alice", NULL);
	place_on_loop(place.loop, tracked_start, &call);
	assert_int_equal(call.started, KOLK_PENDING);
	tracked_wait(&call);
	assert_int_equal(call.result.err, KOLK_OK);
	assert_non_null(strstr(call.text, "one"));
	place_client_close(&place, call.client);
	place_close(&place);
}

static void end_never(void *user, struct kolk_mcp_call *call, const struct kolk_mcp_result *result)
{
	(void)user;
	(void)call;
	(void)result;
	fail_msg("a request that was refused ends");
}

static void start_both(void *user)
{
	static const char text[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{}}";
	static const struct kolk_mcp_handler handler = { .size = sizeof handler, .end = end_never };
	struct kolk_mcp_envelope read = KOLK_INIT(kolk_mcp_envelope);
	struct kolk_mcp_request request = KOLK_INIT(kolk_mcp_request);
	struct tracked *tracked = user;

	assert_int_equal(kolk_mcp_read(text, strlen(text), &read), KOLK_OK);
	request.method = read.method;
	request.message = &read;
	request.params = "{}";
	request.params_size = 2;
	assert_int_equal(kolk_mcp_start(tracked->client, &request, &handler, NULL, NULL),
			 KOLK_E_OPTIONS);
	request.params = NULL;
	request.params_size = 0;
	read.size = 0;
	assert_int_equal(kolk_mcp_start(tracked->client, &request, &handler, NULL, NULL),
			 KOLK_E_OPTIONS);
}

static void a_request_has_params_or_a_message(void **state)
{
	struct place_options options = { .mcp.sharing = KOLK_MCP_BOUND };
	struct tracked call = { .listen = false };
	struct place place;

	(void)state;
	place_open(&place, &options);
	call.client = place_client(&place, "alice", NULL);
	place_on_loop(place.loop, start_both, &call);
	place_client_close(&place, call.client);
	place_close(&place);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(progress_of_a_message_that_was_read),
	cmocka_unit_test(a_message_of_the_other_era),
	cmocka_unit_test(a_request_has_params_or_a_message),
};
CMOCKA_TESTS(mcp_message, tests);
