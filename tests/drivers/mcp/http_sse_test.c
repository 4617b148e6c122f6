/* SPDX-License-Identifier: Apache-2.0 */
/* Servers of 2024-11-05: HTTP+SSE. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/drivers/mcp/place.h"
#include "tests/kit/cmocka/run.h"
#include "transport/drivers/mcp/inside.h"

static const uint32_t sharings[] = { KOLK_MCP_BOUND, KOLK_MCP_VIRGIN, KOLK_MCP_EXCLUSIVE,
				     KOLK_MCP_MULTIPLEXED };

#define HTTP_SSE .mcp.transport = KOLK_MCP_HTTP_SSE, .mcp.path = "/sse"

static void start_tracked(void *user)
{
	tracked_start(user);
}

static void cancel_tracked(void *user)
{
	tracked_cancel(user);
}

static void a_stream_is_a_session(void **state)
{
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	for (int s = 0; s < 4; s++) {
		struct place_options options = { HTTP_SSE, .mcp.sharing = sharings[s],
						 .mcp.isolation = KOLK_MCP_ISOLATION_TENANT };

		place_open(&place, &options);
		client = place_client(&place, "alice", NULL);
		for (int i = 0; i < 5; i++)
			assert_non_null(strstr(place_tool(client, "echo", "{\"nonce\":\"n\"}"),
					       "\"n\""));
		result = place_call(client, "initialize", NULL);
		assert_non_null(strstr(result.result, "\"protocolVersion\":\"2024-11-05\""));
		kolk_mcp_result_free(&result);
		assert_int_equal(place_number(&place, MCP_N_sessions_created), 1);
		assert_int_equal(place_number(&place, MCP_N_requests), 6);
		assert_int_equal(place_number(&place, MCP_N_notifications), 1);
		assert_int_equal(kolk_mcp_era(place.mcp), KOLK_MCP_LEGACY);
		place_client_close(&place, client);
		place_close(&place);
	}
}

/* ---- the endpoint */

/* What it says in front of "ID": the session is made if that is "/message?sessionId=ID" here. */
static void an_endpoint_is_of_the_same_origin(void **state)
{
	static const struct {
		const char *endpoint;
		bool good;
	} cases[] = {
		{ "/message?sessionId=", true },
		{ "message?sessionId=", true },
		{ "http://%s/message?sessionId=", true },
		{ "HTTP://%s/message?sessionId=", true },
		{ "//%s/message?sessionId=", true },
		{ "https://%s/message?sessionId=", false },
		{ "http://127.0.0.2:1/message?sessionId=", false },
		{ "http://user@%s/message?sessionId=", false },
		{ "http://%s@127.0.0.2/message?sessionId=", false },
		{ "http://%s.example/message?sessionId=", false },
		{ "//127.0.0.2:1/message?sessionId=", false },
		{ "http:///message?sessionId=", false },
		{ "http:/message?sessionId=", false },
		{ "file:///message?sessionId=", false },
		{ "/message ?sessionId=", false },
		{ "/message#?sessionId=", false },
		{ "\\\\127.0.0.2\\message?sessionId=", false },
	};
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct place_options options = { HTTP_SSE, .server.endpoint = cases[i].endpoint };

		place_open(&place, &options);
		client = place_client(&place, "alice", NULL);
		result = place_call(client, "ping", NULL);
		if (result.err != (cases[i].good ? KOLK_OK : KOLK_E_PROTOCOL))
			fail_msg("%s: %s", cases[i].endpoint, kolk_err_text(result.err));
		if (!cases[i].good)
			assert_int_equal(place_number(&place, MCP_N_requests), 0);
		kolk_mcp_result_free(&result);
		place_client_close(&place, client);
		place_close(&place);
	}
}

static void without_its_endpoint_there_is_no_session(void **state)
{
	static const struct {
		struct mcp_options server;
		enum kolk_err err;
		const char *path;
	} cases[] = {
		{ { .endpoint = "" }, KOLK_E_TIMEOUT, "/sse" },
		{ { .endpoint = "/other?" }, KOLK_E_SERVER, "/sse" },
		{ { .init_status = 503 }, KOLK_E_SERVER, "/sse" },
		{ { .init_status = 401 }, KOLK_E_AUTH, "/sse" },
		{ { .init_version = 1 }, KOLK_E_UNSUPPORTED, "/sse" },
		{ { .early = 1 }, KOLK_OK, "/sse" },
		{ { .cut = 1 }, KOLK_E_CLOSED, "/sse" },
		{ { .versions = "2025-11-25" }, KOLK_E_SERVER, "/sse" },
		{ { .versions = NULL }, KOLK_E_PROTOCOL, "/numbers" }, /* 200, but no stream */
	};
	struct kolk_mcp_result result;
	struct kolk_mcp_client *client;
	struct place place;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct place_options options = { HTTP_SSE, .server = cases[i].server,
						 .mcp.initialize_timeout_ns = 300 * KOLK_MS_NS,
						 .mcp.acquire_timeout_ns = KOLK_S_NS };

		options.mcp.path = cases[i].path;
		place_open(&place, &options);
		client = place_client(&place, "alice", NULL);
		result = place_call(client, "tools/list", NULL);
		if (result.err != cases[i].err &&
		    !(cases[i].err == KOLK_E_TIMEOUT && result.err == KOLK_E_DIAL_TIMEOUT) &&
		    !(cases[i].err == KOLK_E_CLOSED && result.err == KOLK_E_RESET))
			fail_msg("case %zu: %s", i, kolk_err_text(result.err));
		kolk_mcp_result_free(&result);
		place_client_close(&place, client);
		place_close(&place);
	}
}

/* A server that answers POST with 405 is asked by GET, and then at once. */
static void what_a_server_speaks_is_found(void **state)
{
	static const char *const paths[] = { "/sse", "/mcp" };
	struct kolk_mcp_client *clients[2];
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	for (int p = 0; p < 2; p++) {
		struct place_options options = { .mcp.transport = KOLK_MCP_HTTP_AUTO };

		options.mcp.path = paths[p];
		place_open(&place, &options);
		for (int i = 0; i < 2; i++) {
			clients[i] = place_client(&place, "alice", NULL);
			place_tool(clients[i], "echo", "{}");
			result = place_call(clients[i], "initialize", NULL);
			assert_non_null(strstr(result.result, p == 0 ? "2024-11-05" : "2025-11-25"));
			kolk_mcp_result_free(&result);
			assert_int_equal(kolk__load_relaxed(&place.mcp->http_sse_until_ns) != 0,
					 p == 0);
		}
		assert_int_equal(place_number(&place, MCP_N_sessions_created), 2);
		for (int i = 0; i < 2; i++)
			place_client_close(&place, clients[i]);
		place_close(&place);
	}
}

/* ---- what a session does */

static void messages_come_on_the_stream(void **state)
{
	struct place_options options = { HTTP_SSE, .mcp.capabilities = "{\"sampling\":{}}" };
	struct tracked tracked = {
		.method = "tools/call",
		.params = "{\"_meta\":{\"progressToken\":\"mine\"},\"name\":\"progress\",\"arguments\":"
			  "{\"steps\":3,\"ms\":1}}",
	};
	struct tracked asked = {
		.method = "tools/call",
		.params = "{\"name\":\"test_sampling\",\"arguments\":{\"prompt\":\"p\"}}",
		.reply = "{\"role\":\"assistant\",\"content\":{\"type\":\"text\",\"text\":\"the answer\"},"
			 "\"model\":\"m\"}",
	};
	struct tracked listening = { .listen = true };
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	place_open(&place, &options);
	tracked.client = asked.client = listening.client = place_client(&place, "alice", NULL);
	place_on_loop(place.loop, start_tracked, &tracked);
	tracked_wait(&tracked);
	assert_int_equal(tracked.result.err, KOLK_OK);
	assert_int_equal(kolk__load_acquire(&tracked.notifications), 3);
	assert_non_null(strstr(tracked.notification, "\"mine\""));
	place_on_loop(place.loop, start_tracked, &asked);
	tracked_wait(&asked);
	assert_int_equal(kolk__load_acquire(&asked.requests), 1);
	assert_non_null(strstr(asked.text, "the answer"));
	place_on_loop(place.loop, start_tracked, &listening);
	for (int i = 0; i < 5000 && kolk__load_acquire(&listening.heads) == 0; i++)
		usleep(1000);
	assert_int_equal(kolk__load_acquire(&listening.heads), 1);
	result = place_call(listening.client, "resources/subscribe",
			    "{\"uri\":\"test://watched-resource\"}");
	kolk_mcp_result_free(&result);
	place_tool(listening.client, "touch", "{}");
	for (int i = 0; i < 5000 && kolk__load_acquire(&listening.notifications) == 0; i++)
		usleep(1000);
	assert_string_equal(listening.method_seen, "notifications/resources/updated");
	place_on_loop(place.loop, cancel_tracked, &listening);
	tracked_wait(&listening);
	assert_int_equal(listening.result.err, KOLK_E_CANCELLED);
	place_client_close(&place, tracked.client);
	place_close(&place);
}

static void a_cancel_keeps_the_session(void **state)
{
	struct place_options options = { HTTP_SSE };
	struct tracked tracked = { .method = "tools/call",
				   .params = "{\"name\":\"slow\",\"arguments\":{\"ms\":60000}}" };
	struct place place;

	(void)state;
	place_open(&place, &options);
	tracked.client = place_client(&place, "alice", NULL);
	place_on_loop(place.loop, start_tracked, &tracked);
	place_wait_for(&place, MCP_N_calls_now, 1);
	place_on_loop(place.loop, cancel_tracked, &tracked);
	tracked_wait(&tracked);
	assert_int_equal(tracked.result.err, KOLK_E_CANCELLED);
	place_wait_for(&place, MCP_N_cancels_notified, 1);
	place_tool(tracked.client, "echo", "{}");
	assert_int_equal(place_number(&place, MCP_N_sessions_created), 1);
	place_client_close(&place, tracked.client);
	place_close(&place);
}

/* ---- what it loses */

/* The second answer, after that to initialize, is cut; or it is no message. */
static void a_stream_that_ends_has_lost_its_session(void **state)
{
	static const struct mcp_options servers[] = { { .cut = 2 }, { .bad_json = 2 } };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	for (int s = 0; s < 8; s++) {
		struct place_options options = { HTTP_SSE, .mcp.sharing = sharings[s % 4],
						 .mcp.isolation = KOLK_MCP_ISOLATION_TENANT,
						 .server = servers[s / 4] };
		bool single = options.mcp.sharing == KOLK_MCP_BOUND ||
			      options.mcp.sharing == KOLK_MCP_VIRGIN;

		place_open(&place, &options);
		client = place_client(&place, "alice", NULL);
		result = place_call(client, "tools/list", NULL);
		assert_true(result.err == KOLK_E_CLOSED || result.err == KOLK_E_RESET ||
			    (s >= 4 && result.err == KOLK_E_PROTOCOL));
		assert_int_equal(result.lost, single);
		kolk_mcp_result_free(&result);
		assert_int_equal(place_stats(&place).lost, 1);
		result = place_call(client, "ping", NULL); /* its session's initialize is the third */
		if (single)
			assert_int_equal(result.err, KOLK_E_CLOSED);
		assert_int_equal(result.lost, single);
		kolk_mcp_result_free(&result);
		place_client_close(&place, client);
		place_close(&place);
	}
}

static void what_the_server_forgot_is_made_again(void **state)
{
	struct place_options options = { HTTP_SSE, .mcp.sharing = KOLK_MCP_EXCLUSIVE,
					 .mcp.isolation = KOLK_MCP_ISOLATION_TENANT, .server.lose = 4 };
	struct kolk_mcp_client *client;
	struct place place;

	(void)state;
	place_open(&place, &options);
	client = place_client(&place, "alice", NULL);
	for (int i = 0; i < 6; i++)
		place_tool(client, "echo", "{}");
	assert_int_equal(place_number(&place, MCP_N_sessions_created), 3);
	assert_int_equal(place_stats(&place).remade, 2);
	assert_int_equal(place_stats(&place).lost, 2);
	place_client_close(&place, client);
	place_close(&place);
}

/* ---- sessions of one loop are read on another */

enum { CALLERS = 8, CALLS = 30 };

struct caller {
	struct kolk_mcp_client *client;
	uint32_t failed;
};

static void *be_caller(void *user)
{
	struct kolk_mcp_request request = KOLK_INIT(kolk_mcp_request);
	struct caller *caller = user;

	request.method = "tools/call";
	request.params = "{\"name\":\"progress\",\"arguments\":{\"steps\":2,\"ms\":0}}";
	request.params_size = strlen(request.params);
	for (int i = 0; i < CALLS; i++) {
		struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);

		caller->failed += kolk_mcp_call(caller->client, &request, &result) != KOLK_OK;
		kolk_mcp_result_free(&result);
	}
	return NULL;
}

static void any_loop_reads(void **state)
{
	struct caller callers[CALLERS];
	pthread_t threads[CALLERS];
	struct place place;

	(void)state;
	for (int s = 2; s < 4; s++) {
		struct place_options options = { HTTP_SSE, .mcp.sharing = sharings[s],
						 .mcp.isolation = KOLK_MCP_ISOLATION_TENANT,
						 .mcp.sessions_max = 3 };
		struct kolk_loop *first;

		place_open(&place, &options);
		first = place.loop;
		for (int i = 0; i < CALLERS; i++) {
			place.loop = kolk_engine_loop(place.engine, (uint32_t)i % 2);
			callers[i] = (struct caller){ .client = place_client(&place, "alice", NULL) };
			pthread_create(&threads[i], NULL, be_caller, &callers[i]);
		}
		for (int i = 0; i < CALLERS; i++) {
			pthread_join(threads[i], NULL);
			assert_int_equal(callers[i].failed, 0);
		}
		assert_true(place_number(&place, MCP_N_sessions_created) <= 3);
		assert_int_equal(place_number(&place, MCP_N_duplicate_ids), 0);
		for (int i = 0; i < CALLERS; i++) {
			place.loop = i % 2 == 0 ? first : kolk_engine_loop(place.engine, 1);
			place_client_close(&place, callers[i].client);
		}
		place_close(&place);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_stream_is_a_session),
	cmocka_unit_test(an_endpoint_is_of_the_same_origin),
	cmocka_unit_test(without_its_endpoint_there_is_no_session),
	cmocka_unit_test(what_a_server_speaks_is_found),
	cmocka_unit_test(messages_come_on_the_stream),
	cmocka_unit_test(a_cancel_keeps_the_session),
	cmocka_unit_test(a_stream_that_ends_has_lost_its_session),
	cmocka_unit_test(what_the_server_forgot_is_made_again),
	cmocka_unit_test(any_loop_reads),
};
CMOCKA_TESTS(mcp_http_sse, tests);
