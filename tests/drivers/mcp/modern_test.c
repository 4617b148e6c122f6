/* SPDX-License-Identifier: Apache-2.0 */
/* The era without sessions, and how an era is found. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/drivers/mcp/place.h"
#include "tests/kit/cmocka/run.h"

static void start(struct place *place, struct tracked *call)
{
	place_on_loop(place->loop, tracked_start, call);
	assert_int_equal(call->started, KOLK_PENDING);
}

#define SAYS(name, value) "\"io.modelcontextprotocol/" name "\":" value
#define VERSION SAYS("protocolVersion", "\"2026-07-28\"")
#define CAPABILITIES SAYS("clientCapabilities", "{\"a\":[\",\"]}")
#define CLIENT SAYS("clientInfo", "{\"name\":\"n\"}")

/* What a modern caller says of itself is none of a session's, though its server knows both eras: one
 * that reads it answers that the header says otherwise. */
static void a_session_hears_nothing_modern(void **state)
{
	static const char *const params[] = {
		"{\"_meta\":{" VERSION "}}",
		"{\"_meta\":{" VERSION "," CAPABILITIES "," CLIENT "}}",
		"{\"_meta\":{ " CLIENT " , \"own\":1 , " VERSION " , " CAPABILITIES " } }",
		"{\"_meta\":{\"own\":[1],\"progressToken\":\"long token\"," CAPABILITIES "," VERSION "}}",
		"{\"_meta\":{\"a\":1,\"io.modelcontextprotocol\\/protocolVersion\" : \"2026-07-28\"},"
		"\"b\":2}",
		"{\"_meta\":{\"" "io.modelcontextprotocol/protocolVersions\":1}}",
	};
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	for (int both = 0; both < 2; both++) {
		struct place_options options = { .mcp.era = both ? KOLK_MCP_LEGACY : KOLK_MCP_ERA_AUTO,
						 .server.versions = both ? NULL : "2025-11-25",
						 .era_auto = !both };

		place_open(&place, &options);
		client = place_client(&place, "alice", NULL);
		for (size_t i = 0; i < sizeof params / sizeof *params; i++) {
			result = place_call(client, "tools/list", params[i]);
			if (result.err != KOLK_OK)
				fail_msg("%s: %u", params[i], result.status);
			kolk_mcp_result_free(&result);
		}
		assert_int_equal(place_number(&place, MCP_N_sessions_created), 1);
		assert_int_equal(place_number(&place, MCP_N_header_mismatches), 0);
		place_client_close(&place, client);
		place_close(&place);
	}
}

/* Each is one request, which says all that a session knew, in header and body alike. */
static void a_request_stands_for_itself(void **state)
{
	struct place_options options = { .mcp.era = KOLK_MCP_MODERN, .mcp.client_name = "n",
					 .mcp.capabilities = "{\"roots\":{}}" };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;
	const char *text;

	(void)state;
	place_open(&place, &options);
	client = place_client(&place, "alice", NULL);
	text = place_tool(client, "whoami", "{}");
	assert_non_null(strstr(text, "2026-07-28"));
	assert_non_null(strstr(text, "\\\"name\\\":\\\"n\\\""));
	assert_non_null(strstr(text, "roots"));
	result = place_call(client, "tools/list", NULL);
	assert_int_equal(result.err, KOLK_OK);
	kolk_mcp_result_free(&result);
	result = place_call(client, "tools/list", "{}");
	assert_int_equal(result.err, KOLK_OK);
	kolk_mcp_result_free(&result);
	result = place_call(client, "tools/list", "{ \"_meta\" : { } }");
	assert_int_equal(result.err, KOLK_OK);
	kolk_mcp_result_free(&result);
	result = place_call(client, "tools/list", "{\"_meta\":{\"progressToken\":\"t\"}}");
	assert_int_equal(result.err, KOLK_OK);
	kolk_mcp_result_free(&result);
	result = place_call(client, "resources/read", "{\"uri\":\"test://static-text\"}");
	assert_int_equal(result.err, KOLK_OK);
	kolk_mcp_result_free(&result);
	assert_int_equal(place_number(&place, MCP_N_requests), 6);
	assert_int_equal(place_number(&place, MCP_N_header_mismatches), 0);
	assert_int_equal(place_number(&place, MCP_N_sessions_created), 0);
	place_client_close(&place, client);
	place_close(&place);
}

/* A name that is no plain text is encoded in the header: the server compares it with the body. */
static void names_are_mirrored(void **state)
{
	static const char *const names[] = { "echo", "gr\\u00fc\\u00df", "\xc3\xa4", " a", "=?base64?x?=",
					     "a b" };
	struct place_options options = { .mcp.era = KOLK_MCP_MODERN };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;
	char params[128];

	(void)state;
	place_open(&place, &options);
	client = place_client(&place, "alice", NULL);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(params, sizeof params, "{\"name\":\"%s\",\"arguments\":{}}", names[i]);
		result = place_call(client, "tools/call", params);
		assert_int_not_equal(result.error_code, -32020);
		kolk_mcp_result_free(&result);
	}
	assert_int_equal(place_number(&place, MCP_N_header_mismatches), 0);
	place_client_close(&place, client);
	place_close(&place);
}

static void the_callers_meta_is_kept(void **state)
{
	struct place_options options = { .mcp.era = KOLK_MCP_MODERN };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	place_open(&place, &options);
	client = place_client(&place, "alice", NULL);
	result = place_call(client, "tools/call",
			    "{\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
			    "\"io.modelcontextprotocol/clientCapabilities\":{\"mine\":{}},"
			    "\"io.modelcontextprotocol/clientInfo\":{\"name\":\"caller\","
			    "\"version\":\"1\"}},\"name\":\"whoami\",\"arguments\":{}}");
	assert_int_equal(result.err, KOLK_OK);
	assert_non_null(strstr(result.result, "mine"));
	assert_non_null(strstr(result.result, "caller"));
	kolk_mcp_result_free(&result);
	place_client_close(&place, client);
	place_close(&place);
}

/* Where an object belongs, null is none. */
static void null_is_no_meta(void **state)
{
	static const char *const params[] = { "null", "{\"_meta\":null}", "{\"_meta\" : null , \"a\":1}",
					      "{\"a\":1,\"_meta\":null}" };
	struct place_options options = { .mcp.era = KOLK_MCP_MODERN };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	place_open(&place, &options);
	client = place_client(&place, "alice", NULL);
	for (size_t i = 0; i < sizeof params / sizeof *params; i++) {
		result = place_call(client, "tools/list", params[i]);
		if (result.err != KOLK_OK)
			fail_msg("%s: %s, %u", params[i], kolk_err_text(result.err), result.status);
		kolk_mcp_result_free(&result);
	}
	place_client_close(&place, client);
	place_close(&place);
}

static void progress_and_errors_are_told(void **state)
{
	struct place_options options = { .mcp.era = KOLK_MCP_MODERN };
	struct tracked call = { .method = "tools/call",
				.params = "{\"_meta\":{\"progressToken\":\"mine\"},\"name\":\"progress\","
					  "\"arguments\":{\"steps\":3,\"ms\":1}}" };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	place_open(&place, &options);
	call.client = client = place_client(&place, "alice", NULL);
	start(&place, &call);
	tracked_wait(&call);
	assert_int_equal(call.result.err, KOLK_OK);
	assert_int_equal(kolk__load_acquire(&call.notifications), 3);
	assert_non_null(strstr(call.notification, "\"progressToken\":\"mine\""));
	result = place_call(client, "no/such", NULL);
	assert_int_equal(result.err, KOLK_E_SERVER);
	assert_int_equal(result.error_code, -32601);
	assert_int_equal(result.status, 404);
	kolk_mcp_result_free(&result);
	result = place_call(client, "initialize", NULL);
	assert_int_equal(result.err, KOLK_E_UNSUPPORTED);
	kolk_mcp_result_free(&result);
	place_client_close(&place, client);
	place_close(&place);
}

/* The stream is closed: the server need not be told otherwise. A connection that were kept for the next
 * call would be read for longer than is waited here. */
static void a_cancel_closes_the_stream(void **state)
{
	struct place_options options = { .mcp.era = KOLK_MCP_MODERN,
					 .mend_timeout_ns = 60 * KOLK_S_NS };
	struct kolk_mcp_client *client;
	struct place place;

	(void)state;
	place_open(&place, &options);
	client = place_client(&place, "alice", NULL);
	for (uint64_t i = 1; i <= 5; i++) {
		struct tracked call = { .client = client, .method = "tools/call",
					.params = "{\"name\":\"slow\",\"arguments\":{\"ms\":60000}}" };

		start(&place, &call);
		place_wait_for(&place, MCP_N_calls_now, 1);
		place_on_loop(place.loop, tracked_cancel, &call);
		tracked_wait(&call);
		assert_int_equal(call.result.err, KOLK_E_CANCELLED);
		place_wait_for(&place, MCP_N_cancels_disconnect, i);
		place_wait_for(&place, MCP_N_calls_now, 0);
	}
	assert_int_equal(place_number(&place, MCP_N_cancels_notified), 0);
	place_client_close(&place, client);
	place_close(&place);
}

static void changes_are_listened_to(void **state)
{
	struct place_options options = { .mcp.era = KOLK_MCP_MODERN };
	struct tracked call = { .method = "subscriptions/listen", .deadline_ns = KOLK_FOREVER,
				.params = "{\"notifications\":{\"toolsListChanged\":true,"
					  "\"resourceSubscriptions\":[\"test://watched-resource\"]}}" };
	struct kolk_mcp_client *client;
	struct place place;

	(void)state;
	place_open(&place, &options);
	call.client = client = place_client(&place, "alice", NULL);
	start(&place, &call);
	place_wait_for(&place, MCP_N_listen_streams_now, 1);
	place_tool(client, "touch", "{}");
	for (int i = 0; i < 5000 && kolk__load_acquire(&call.notifications) < 2; i++)
		usleep(1000);
	assert_int_equal(kolk__load_acquire(&call.notifications), 2); /* acknowledged, updated */
	assert_string_equal(call.method_seen, "notifications/resources/updated");
	place_on_loop(place.loop, tracked_cancel, &call);
	tracked_wait(&call);
	place_wait_for(&place, MCP_N_listen_streams_now, 0);
	place_client_close(&place, client);
	place_close(&place);
}

/* ---- which era */

enum { CALLS = 20 };

struct burst {
	struct tracked calls[CALLS];
};

static void start_burst(void *user)
{
	struct burst *burst = user;

	for (int i = 0; i < CALLS; i++)
		tracked_start(&burst->calls[i]);
}

/* One request finds it out, however many wait; then it is known. */
static void the_server_is_asked_once(void **state)
{
	static const char *const versions[] = { NULL, "2025-06-18,2025-11-25" };
	static const enum kolk_mcp_era eras[] = { KOLK_MCP_MODERN, KOLK_MCP_LEGACY };
	struct kolk_mcp_client *client;
	struct place place;

	(void)state;
	for (int k = 0; k < 2; k++) {
		struct place_options options = { .era_auto = true };
		struct burst burst = { 0 };

		options.server.versions = versions[k];
		place_open(&place, &options);
		assert_int_equal(kolk_mcp_era(place.mcp), KOLK_MCP_ERA_AUTO);
		client = place_client(&place, "alice", NULL);
		for (int i = 0; i < CALLS; i++) {
			burst.calls[i].client = client;
			burst.calls[i].method = "tools/call";
			burst.calls[i].params = "{\"name\":\"echo\",\"arguments\":{\"nonce\":\"n\"}}";
		}
		place_on_loop(place.loop, start_burst, &burst);
		for (int i = 0; i < CALLS; i++) {
			tracked_wait(&burst.calls[i]);
			assert_int_equal(burst.calls[i].result.err, KOLK_OK);
		}
		assert_int_equal(kolk_mcp_era(place.mcp), eras[k]);
		assert_int_equal(place_number(&place, MCP_N_tool_calls), CALLS);
		assert_int_equal(place_number(&place, MCP_N_sessions_created), (uint64_t)k);
		if (k == 0)
			assert_int_equal(place_number(&place, MCP_N_requests), CALLS + 1);
		place_client_close(&place, client);
		place_close(&place);
	}
}

/* What says nothing of the era is told, and the next call asks again. */
static void a_refusal_is_no_era(void **state)
{
	static const uint32_t statuses[] = { 401, 403, 500, 503 };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct place_options options = { .era_auto = true,
						 .server.init_status = statuses[i] };

		place_open(&place, &options);
		client = place_client(&place, "alice", NULL);
		for (int k = 0; k < 2; k++) {
			result = place_call(client, "tools/list", NULL);
			assert_int_equal(result.err, statuses[i] < 500 ? KOLK_E_AUTH :
									 KOLK_E_SERVER);
			assert_int_equal(result.status, statuses[i]);
			kolk_mcp_result_free(&result);
		}
		assert_int_equal(kolk_mcp_era(place.mcp), KOLK_MCP_ERA_AUTO);
		place_client_close(&place, client);
		place_close(&place);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_session_hears_nothing_modern),
	cmocka_unit_test(a_request_stands_for_itself),
	cmocka_unit_test(names_are_mirrored),
	cmocka_unit_test(the_callers_meta_is_kept),
	cmocka_unit_test(null_is_no_meta),
	cmocka_unit_test(progress_and_errors_are_told),
	cmocka_unit_test(a_cancel_closes_the_stream),
	cmocka_unit_test(changes_are_listened_to),
	cmocka_unit_test(the_server_is_asked_once),
	cmocka_unit_test(a_refusal_is_no_era),
};
CMOCKA_TESTS(mcp_modern, tests);
