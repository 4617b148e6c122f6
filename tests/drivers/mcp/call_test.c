/* SPDX-License-Identifier: Apache-2.0 */
/* Calls: progress, requests of the server, cancellation, streams; many at once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/drivers/mcp/place.h"
#include "tests/kit/cmocka/run.h"

static void start(struct place *place, struct tracked *call)
{
	place_on_loop(place->loop, tracked_start, call);
	assert_int_equal(call->started, KOLK_PENDING);
}

static const uint32_t sharings[] = { KOLK_MCP_BOUND, KOLK_MCP_VIRGIN, KOLK_MCP_EXCLUSIVE,
				     KOLK_MCP_MULTIPLEXED };

/* ---- messages before the answer */

/* The token is the caller's, byte for byte, whatever the server was given. */
static void progress_comes_with_the_callers_token(void **state)
{
	static const char *const tokens[] = { "7", "\"a \\\"b\\\"\"", "123456789012345" };
	struct kolk_mcp_client *client;
	struct place place;
	char params[256], token[128];

	(void)state;
	for (int s = 0; s < 4; s++) {
		struct place_options options = { .mcp.sharing = sharings[s],
						 .mcp.isolation = KOLK_MCP_ISOLATION_TENANT };

		place_open(&place, &options);
		client = place_client(&place, "alice", NULL);
		for (int i = 0; i < 3; i++) {
			struct tracked call = { .client = client, .method = "tools/call",
					       .params = params };

			snprintf(params, sizeof params,
				 "{\"_meta\":{\"progressToken\":%s},\"name\":\"progress\","
				 "\"arguments\":{\"steps\":3,\"ms\":1}}", tokens[i]);
			snprintf(token, sizeof token, "\"progressToken\":%s", tokens[i]);
			start(&place, &call);
			tracked_wait(&call);
			assert_int_equal(call.result.err, KOLK_OK);
			assert_int_equal(kolk__load_acquire(&call.notifications), 3);
			assert_string_equal(call.method_seen, "notifications/progress");
			assert_non_null(strstr(call.notification, token));
		}
		place_client_close(&place, client);
		place_close(&place);
	}
}

static void the_server_may_ask(void **state)
{
	struct place_options options = { .mcp.capabilities = "{\"sampling\":{}}" };
	struct kolk_mcp_client *client;
	struct place place;
	struct tracked call = { .method = "tools/call",
			       .params = "{\"name\":\"test_sampling\",\"arguments\":"
					 "{\"prompt\":\"say it\"}}",
			       .reply = "{\"role\":\"assistant\",\"content\":{\"type\":\"text\","
					"\"text\":\"it is said\"},\"model\":\"m\"}" };

	(void)state;
	place_open(&place, &options);
	call.client = client = place_client(&place, "alice", NULL);
	start(&place, &call);
	tracked_wait(&call);
	assert_int_equal(call.result.err, KOLK_OK);
	assert_int_equal(kolk__load_acquire(&call.requests), 1);
	assert_string_equal(call.method_seen, "sampling/createMessage");
	assert_non_null(strstr(call.request, "say it"));
	assert_non_null(strstr(call.text, "it is said"));
	assert_int_equal(place_number(&place, MCP_N_replies), 1);
	assert_int_equal(place_number(&place, MCP_N_replies_unknown), 0);
	place_client_close(&place, client);
	place_close(&place);
}

/* A blocking call has no ear for requests: the server is told so, and goes on. */
static void a_request_that_nothing_hears_is_refused(void **state)
{
	struct place_options options = { .mcp.capabilities = "{\"sampling\":{}}" };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	place_open(&place, &options);
	client = place_client(&place, "alice", NULL);
	result = place_call(client, "tools/call", "{\"name\":\"test_sampling\",\"arguments\":"
						  "{\"prompt\":\"say it\"}}");
	assert_int_not_equal(result.err, KOLK_E_TIMEOUT);
	assert_int_equal(place_number(&place, MCP_N_replies), 1);
	kolk_mcp_result_free(&result);
	place_client_close(&place, client);
	place_close(&place);
}

static void an_error_is_passed_on(void **state)
{
	struct place_options options = { .mcp.sharing = KOLK_MCP_BOUND };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	place_open(&place, &options);
	client = place_client(&place, "alice", NULL);
	result = place_call(client, "no/such", NULL);
	assert_int_equal(result.err, KOLK_E_SERVER);
	assert_int_equal(result.error_code, -32601);
	assert_non_null(strstr(result.error, "-32601"));
	kolk_mcp_result_free(&result);
	place_client_close(&place, client);
	place_close(&place);
}

/* ---- cancel */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * KOLK_S_NS + (uint64_t)now.tv_nsec;
}

/* The server is told by a notification with the id that it knows; the session is kept. */
static void a_cancel_is_told_and_the_session_kept(void **state)
{
	static const char forever[] = "{\"name\":\"slow\",\"arguments\":{\"ms\":60000}}";
	struct place place;
	uint64_t begin, most = 0;

	(void)state;
	for (int s = 0; s < 4; s++) {
		struct place_options options = { .mcp.sharing = sharings[s],
						 .mcp.isolation = KOLK_MCP_ISOLATION_TENANT,
						 .server.late = (uint32_t)s % 2 };
		struct kolk_mcp_client *client;

		place_open(&place, &options);
		client = place_client(&place, "alice", NULL);
		for (uint64_t i = 1; i <= 5; i++) {
			struct tracked call = { .client = client, .method = "tools/call",
					       .params = forever };

			start(&place, &call);
			place_wait_for(&place, MCP_N_calls_now, 1);
			begin = now_ns();
			place_on_loop(place.loop, tracked_cancel, &call);
			while (place_number(&place, MCP_N_cancels_notified) < i &&
			       now_ns() < begin + 5 * KOLK_S_NS)
				usleep(100);
			assert_int_equal(place_number(&place, MCP_N_cancels_notified), i);
			most = now_ns() - begin > most ? now_ns() - begin : most;
			tracked_wait(&call);
			assert_int_equal(call.result.err, KOLK_E_CANCELLED);
			assert_non_null(strstr(place_tool(client, "echo", "{\"nonce\":\"on\"}"),
					       "\"on\""));
			place_wait_for(&place, MCP_N_calls_now, 0);
		}
		/* Each is told once more at most, as no answer had begun. */
		assert_true(place_number(&place, MCP_N_cancels_unknown) <= 5);
		/* EXCLUSIVE: it is the call's until the server has been told */
		assert_true(place_number(&place, MCP_N_sessions_created) <=
			    (sharings[s] == KOLK_MCP_EXCLUSIVE ? 2 : 1));
		assert_int_equal(place_stats(&place).cancelled, 5);
		place_client_close(&place, client);
		place_close(&place);
	}
	print_message("a cancel is upstream after %.1f ms at most\n", (double)most / 1e6);
}

/* A call that waits for a connection has not been heard of by the server, and never is. */
static void what_was_not_sent_is_taken_back(void **state)
{
	struct place_options options = { .mcp.sharing = KOLK_MCP_MULTIPLEXED,
					 .mcp.isolation = KOLK_MCP_ISOLATION_TENANT,
					 .connections_max = 1 };
	struct tracked slow = { .method = "tools/call",
				.params = "{\"name\":\"slow\",\"arguments\":{\"ms\":400}}" };
	struct tracked waits = { .method = "tools/call",
				 .params = "{\"name\":\"slow\",\"arguments\":{\"ms\":400}}" };
	struct kolk_mcp_client *client;
	struct place place;
	bool waited;

	(void)state;
	place_open(&place, &options);
	slow.client = waits.client = client = place_client(&place, "alice", NULL);
	place_tool(client, "echo", "{\"nonce\":\"on\"}");
	start(&place, &slow);
	place_wait_for(&place, MCP_N_tool_calls, 2);
	start(&place, &waits);
	place_on_loop(place.loop, tracked_cancel, &waits);
	waited = kolk__load_acquire(&slow.ends) == 0; /* or this machine stood still for so long */
	tracked_wait(&waits);
	assert_int_equal(waits.result.err, KOLK_E_CANCELLED);
	tracked_wait(&slow);
	assert_int_equal(slow.result.err, KOLK_OK);
	place_tool(client, "echo", "{\"nonce\":\"on\"}");
	if (waited) {
		assert_int_equal(place_number(&place, MCP_N_tool_calls), 3);
		assert_int_equal(place_number(&place, MCP_N_cancels_notified), 0);
		assert_int_equal(place_number(&place, MCP_N_cancels_unknown), 0);
	}
	place_client_close(&place, client);
	place_close(&place);
}

static void a_deadline_cancels(void **state)
{
	struct place_options options = { .mcp.sharing = KOLK_MCP_BOUND };
	struct tracked call = { .method = "tools/call",
			       .params = "{\"name\":\"slow\",\"arguments\":{\"ms\":60000}}" };
	struct kolk_mcp_client *client;
	struct place place;

	(void)state;
	place_open(&place, &options);
	call.client = client = place_client(&place, "alice", NULL);
	place_tool(client, "echo", "{\"nonce\":\"on\"}");
	call.deadline_ns = kolk_in_ms(30);
	start(&place, &call);
	tracked_wait(&call);
	assert_int_equal(call.result.err, KOLK_E_TIMEOUT);
	place_wait_for(&place, MCP_N_cancels_notified, 1);
	place_tool(client, "echo", "{\"nonce\":\"on\"}");
	place_client_close(&place, client);
	place_close(&place);
}

struct closing {
	struct kolk_mcp_client *client;
	struct tracked *call;
};

static void start_and_close(void *user)
{
	struct closing *closing = user;

	tracked_start(closing->call);
	kolk_mcp_client_close(closing->client);
}

/* At any moment: before there is a session, while it is made, while the call is out. */
static void a_client_may_be_closed_at_any_moment(void **state)
{
	struct place place;

	(void)state;
	for (int s = 0; s < 4; s++) {
		struct place_options options = { .mcp.sharing = sharings[s],
						 .mcp.isolation = KOLK_MCP_ISOLATION_TENANT,
						 .server.init_delay = 5 };

		place_open(&place, &options);
		for (int i = 0; i < 4; i++) {
			struct tracked call = { .method = "tools/call",
					       .params = "{\"name\":\"slow\",\"arguments\":"
							 "{\"ms\":60000}}" };
			struct closing closing = { .call = &call };

			call.client = closing.client = place_client(&place, "alice", NULL);
			if (i == 0) {
				place_on_loop(place.loop, start_and_close, &closing);
			} else {
				start(&place, &call);
				usleep((unsigned)i * 3000);
				place_client_close(&place, closing.client);
			}
			tracked_wait(&call);
			if (call.result.err != KOLK_E_CANCELLED)
				fail_msg("%s: %s", kolk_err_text(call.result.err), call.text);
		}
		place_close(&place);
	}
}

/* ---- the stream of a session */

static void a_session_is_listened_to(void **state)
{
	struct place_options options = { .mcp.sharing = KOLK_MCP_BOUND };
	struct tracked call = { .listen = true };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	place_open(&place, &options);
	call.client = client = place_client(&place, "alice", NULL);
	start(&place, &call);
	place_wait_for(&place, MCP_N_get_streams_now, 1);
	result = place_call(client, "resources/subscribe",
			    "{\"uri\":\"test://watched-resource\"}");
	assert_int_equal(result.err, KOLK_OK);
	kolk_mcp_result_free(&result);
	place_tool(client, "touch", "{}");
	for (int i = 0; i < 2000 && kolk__load_acquire(&call.notifications) == 0; i++)
		usleep(1000);
	assert_int_equal(kolk__load_acquire(&call.notifications), 1);
	assert_string_equal(call.method_seen, "notifications/resources/updated");
	place_on_loop(place.loop, tracked_cancel, &call);
	tracked_wait(&call);
	assert_int_equal(call.result.err, KOLK_E_CANCELLED);
	place_wait_for(&place, MCP_N_get_streams_now, 0);
	assert_int_equal(place_number(&place, MCP_N_cancels_notified), 0);
	place_client_close(&place, client);
	place_close(&place);
}

struct refused {
	struct kolk_mcp_client *client;
	char id[1026];
	enum kolk_err err;
};

static void never_ends(void *user, struct kolk_mcp_call *call, const struct kolk_mcp_result *result)
{
	(void)user;
	(void)call;
	(void)result;
	fail_msg("what was refused has no end");
}

static void listen_after(void *user)
{
	static const struct kolk_mcp_handler handler = { .size = sizeof handler, .end = never_ends };
	struct refused *refused = user;

	refused->err = kolk_mcp_listen_after(refused->client, refused->id, &handler, NULL, NULL);
}

static void an_event_has_a_proper_id(void **state)
{
	static const char *const bad[] = { "", "a\r\nX-Tenant: bob", "a\tb", "\x7f" };
	struct place_options options = { .mcp.sharing = KOLK_MCP_BOUND };
	struct refused refused;
	struct place place;

	(void)state;
	place_open(&place, &options);
	refused.client = place_client(&place, "alice", NULL);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(refused.id, sizeof refused.id, "%s", bad[i]);
		place_on_loop(place.loop, listen_after, &refused);
		assert_int_equal(refused.err, KOLK_E_OPTIONS);
	}
	memset(refused.id, 'x', sizeof refused.id - 1);
	refused.id[sizeof refused.id - 1] = '\0';
	place_on_loop(place.loop, listen_after, &refused);
	assert_int_equal(refused.err, KOLK_E_OPTIONS);
	assert_int_equal(place_number(&place, MCP_N_requests), 0);
	place_client_close(&place, refused.client);
	place_close(&place);
}

/* ---- a stream that breaks off */

/* The server closes it, and is asked for what follows; cancelled or not meanwhile. */
static void a_stream_is_resumed(void **state)
{
	struct place_options options = { .mcp.sharing = KOLK_MCP_BOUND };
	struct tracked call = { .method = "tools/call",
				.params = "{\"name\":\"test_reconnection\",\"arguments\":{}}" };
	struct tracked cancelled = call;
	struct kolk_mcp_client *client;
	struct place place;

	(void)state;
	place_open(&place, &options);
	cancelled.client = call.client = client = place_client(&place, "alice", NULL);
	start(&place, &call);
	tracked_wait(&call);
	assert_int_equal(call.result.err, KOLK_OK);
	assert_int_equal(place_number(&place, MCP_N_resumes), 1);
	start(&place, &cancelled);
	usleep(100000);
	place_on_loop(place.loop, tracked_cancel, &cancelled);
	tracked_wait(&cancelled);
	assert_int_equal(cancelled.result.err, KOLK_E_CANCELLED);
	place_tool(client, "echo", "{\"nonce\":\"on\"}");
	place_client_close(&place, client);
	place_close(&place);
}

/* ---- many at once */

enum { CALLS = 200 };

struct burst {
	struct tracked calls[CALLS];
	char params[CALLS][96], nonce[CALLS][16];
};

static void start_burst(void *user)
{
	struct burst *burst = user;

	for (int i = 0; i < CALLS; i++)
		tracked_start(&burst->calls[i]);
}

/* Each gets its own answer; no two ids or tokens are equal at a time. They take a while: those of a
 * session are at its server together. */
static void many_calls_do_not_mix(void **state)
{
	struct burst *burst = calloc(1, sizeof *burst);
	struct kolk_mcp_client *clients[4];
	struct place place;

	(void)state;
	for (int s = 0; s < 4; s++) {
		struct place_options options = { .mcp.sharing = sharings[s],
						 .mcp.isolation = KOLK_MCP_ISOLATION_TENANT,
						 .mcp.requests_max = 16 };

		memset(burst, 0, sizeof *burst);
		place_open(&place, &options);
		for (int i = 0; i < 4; i++)
			clients[i] = place_client(&place, "alice", NULL);
		for (int i = 0; i < CALLS; i++) {
			snprintf(burst->nonce[i], 16, "n-%d-", i);
			snprintf(burst->params[i], 96,
				 "{\"_meta\":{\"progressToken\":1},\"name\":\"slow\","
				 "\"arguments\":{\"ms\":20,\"nonce\":\"n-%d-\"}}", i);
			burst->calls[i].client = clients[i % 4];
			burst->calls[i].method = "tools/call";
			burst->calls[i].params = burst->params[i];
		}
		place_on_loop(place.loop, start_burst, burst);
		for (int i = 0; i < CALLS; i++) {
			tracked_wait(&burst->calls[i]);
			assert_int_equal(burst->calls[i].result.err, KOLK_OK);
			assert_non_null(strstr(burst->calls[i].text, burst->nonce[i]));
		}
		assert_int_equal(place_number(&place, MCP_N_duplicate_ids), 0);
		assert_int_equal(place_number(&place, MCP_N_duplicate_tokens), 0);
		assert_true(place_number(&place, MCP_N_sessions_created) <= 10);
		for (int i = 0; i < 4; i++)
			place_client_close(&place, clients[i]);
		place_close(&place);
	}
	free(burst);
}

static void what_is_large_passes(void **state)
{
	struct place_options options = { .mcp.sharing = KOLK_MCP_BOUND,
					 .mcp.message_bytes_max = 4 << 20 };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	for (int sse = 0; sse < 2; sse++) {
		options.server.sse = (uint32_t)sse;
		place_open(&place, &options);
		client = place_client(&place, "alice", NULL);
		result = place_call(client, "tools/call",
				    "{\"name\":\"big\",\"arguments\":{\"bytes\":3000000}}");
		assert_int_equal(result.err, KOLK_OK);
		assert_true(result.result_size > 3000000);
		kolk_mcp_result_free(&result);
		result = place_call(client, "tools/call",
				    "{\"name\":\"big\",\"arguments\":{\"bytes\":5000000}}");
		assert_int_equal(result.err, KOLK_E_LIMIT);
		kolk_mcp_result_free(&result);
		place_tool(client, "echo", "{\"nonce\":\"on\"}");
		place_client_close(&place, client);
		place_close(&place);
	}
}

/* ---- requests that break a rule */

static void what_is_no_request_is_refused(void **state)
{
	static const char *const params[] = { "[]", "{", "{}x", "{},\"id\":5", "1", "\"a\"",
					      "{}}", "{\"_meta\":1}" };
	struct place_options options = { .mcp.sharing = KOLK_MCP_BOUND };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	place_open(&place, &options);
	client = place_client(&place, "alice", NULL);
	for (size_t i = 0; i < sizeof params / sizeof *params; i++) {
		result = place_call(client, "tools/list", params[i]);
		if (result.err != KOLK_E_OPTIONS)
			fail_msg("%s: %s", params[i], kolk_err_text(result.err));
	}
	result = place_call(client, "a\",\"id\":\"b", NULL);
	assert_int_equal(result.err, KOLK_E_OPTIONS);
	result = place_call(client, "", NULL);
	assert_int_equal(result.err, KOLK_E_OPTIONS);
	assert_int_equal(place_number(&place, MCP_N_requests), 0);
	place_client_close(&place, client);
	place_close(&place);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(progress_comes_with_the_callers_token),
	cmocka_unit_test(the_server_may_ask),
	cmocka_unit_test(a_request_that_nothing_hears_is_refused),
	cmocka_unit_test(an_error_is_passed_on),
	cmocka_unit_test(a_cancel_is_told_and_the_session_kept),
	cmocka_unit_test(what_was_not_sent_is_taken_back),
	cmocka_unit_test(a_deadline_cancels),
	cmocka_unit_test(a_client_may_be_closed_at_any_moment),
	cmocka_unit_test(a_session_is_listened_to),
	cmocka_unit_test(an_event_has_a_proper_id),
	cmocka_unit_test(a_stream_is_resumed),
	cmocka_unit_test(many_calls_do_not_mix),
	cmocka_unit_test(what_is_large_passes),
	cmocka_unit_test(what_is_no_request_is_refused),
};
CMOCKA_TESTS(mcp_call, tests);
