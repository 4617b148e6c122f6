/* SPDX-License-Identifier: Apache-2.0 */
/* Servers behind a WebSocket (ws_server.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/drivers/mcp/place.h"
#include "tests/drivers/mcp/ws_server.h"
#include "tests/kit/cmocka/run.h"

static void wait_for(kolk__atomic_u32 *number, uint32_t value)
{
	for (int i = 0; i < 5000 && kolk__load_acquire(number) < value; i++)
		usleep(1000);
	assert_true(kolk__load_acquire(number) >= value);
}

static const uint32_t sharings[] = { KOLK_MCP_BOUND, KOLK_MCP_VIRGIN, KOLK_MCP_EXCLUSIVE,
				     KOLK_MCP_MULTIPLEXED };

/* It is opened once, and told its end. */
static void a_connection_is_a_session(void **state)
{
	struct kolk_mcp_client *client;
	struct place place;
	char count[32];

	(void)state;
	for (int s = 0; s < 4; s++) {
		struct kolk_mcp_options options = { .sharing = sharings[s],
						    .isolation = KOLK_MCP_ISOLATION_TENANT };
		struct ws_server server = { .answer = NULL };

		if (!ws_place_open(&place, &server, &options))
			return;
		client = place_client(&place, "alice", NULL);
		for (int i = 1; i <= 5; i++) {
			snprintf(count, sizeof count, "count\\\":%d", i);
			assert_non_null(strstr(place_tool(client, "counter", "{\"owner\":\"a\"}"),
					       count));
		}
		assert_int_equal(place_sessions(&place).created, 1);
		place_client_close(&place, client);
		ws_place_close(&place, &server);
		assert_int_equal(kolk__load_acquire(&server.opened), 1);
		assert_int_equal(kolk__load_acquire(&server.closes), 1);
		assert_int_equal(kolk__load_acquire(&server.code), 1000);
	}
}

/* With pings between the fragments of a message. */
static void many_calls_share_a_connection(void **state)
{
	struct kolk_mcp_options options = { .sharing = KOLK_MCP_MULTIPLEXED,
					    .isolation = KOLK_MCP_ISOLATION_TENANT };
	struct ws_server server = { .fragments = true };
	struct kolk_mcp_client *client;
	struct place place;

	(void)state;
	if (!ws_place_open(&place, &server, &options))
		return;
	client = place_client(&place, "alice", NULL);
	place_calls_at_once(&place, client, 20);
	wait_for(&server.pongs, 1);
	place_tool(client, "big", "{\"bytes\":70000}");
	assert_int_equal(place_sessions(&place).created, 1);
	place_client_close(&place, client);
	ws_place_close(&place, &server);
}

static void a_server_may_ask(void **state)
{
	struct kolk_mcp_options options = { .capabilities = "{\"sampling\":{}}" };
	struct ws_server server = { .answer = NULL };
	struct tracked call = { .method = "tools/call",
				.params = "{\"name\":\"test_sampling\",\"arguments\":"
					  "{\"prompt\":\"say it\"}}",
				.reply = "{\"role\":\"assistant\",\"content\":{\"type\":\"text\","
					 "\"text\":\"it is said\"},\"model\":\"m\"}" };
	struct kolk_mcp_client *client;
	struct place place;

	(void)state;
	if (!ws_place_open(&place, &server, &options))
		return;
	call.client = client = place_client(&place, "alice", NULL);
	place_on_loop(place.loop, tracked_start, &call);
	tracked_wait(&call);
	assert_int_equal(call.result.err, KOLK_OK);
	assert_int_equal(kolk__load_acquire(&call.requests), 1);
	assert_non_null(strstr(call.text, "it is said"));
	place_client_close(&place, client);
	ws_place_close(&place, &server);
}

/* One call; what the server counts then, while no call is made, comes to so much. */
static void counts_after_a_call(struct kolk_mcp_options *options, struct ws_server *server,
				kolk__atomic_u32 *number, uint32_t value)
{
	struct kolk_mcp_client *client;
	struct place place;

	if (!ws_place_open(&place, server, options))
		return;
	client = place_client(&place, "alice", NULL);
	place_tool(client, "echo", "{\"nonce\":\"on\"}");
	wait_for(number, value);
	place_client_close(&place, client);
	ws_place_close(&place, server);
}

/* A session that its client keeps answers pings: the second one followed the last answer. */
static void pings_are_answered_between_calls(void **state)
{
	struct kolk_mcp_options options = { .sharing = KOLK_MCP_VIRGIN };
	struct ws_server server = { .pings = true };

	(void)state;
	counts_after_a_call(&options, &server, &server.pongs, 2);
	assert_in_range(kolk__load_acquire(&server.pings_sent), 0, 2); /* 0: built without WebSocket */
}

/* So are those of MCP; and of a session that no client holds, when it is pinged. */
static void a_server_may_ping_between_calls(void **state)
{
	static const uint32_t held[] = { KOLK_MCP_VIRGIN, KOLK_MCP_EXCLUSIVE };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct kolk_mcp_options options = { .sharing = held[i],
						    .isolation = KOLK_MCP_ISOLATION_TENANT,
						    .ping_interval_ns = 50 * KOLK_MS_NS };
		struct ws_server server = { .asks = true };

		counts_after_a_call(&options, &server, &server.answered, 1);
	}
}

/* What comes together with 101 is there before its session is; the next, while that is made. */
static void a_server_may_ping_before_its_session(void **state)
{
	struct kolk_mcp_options options = { .isolation = KOLK_MCP_ISOLATION_TENANT };
	struct ws_server server = { .asks_first = true };

	(void)state;
	counts_after_a_call(&options, &server, &server.answered, 3);
}

/* And one that no client holds is pinged, which reads the server's pings, too. */
static void an_idle_session_is_pinged(void **state)
{
	struct kolk_mcp_options options = { .sharing = KOLK_MCP_EXCLUSIVE,
					    .isolation = KOLK_MCP_ISOLATION_TENANT,
					    .ping_interval_ns = 50 * KOLK_MS_NS };
	struct ws_server server = { .pings = true };
	struct kolk_mcp_client *client;
	struct place place;

	(void)state;
	if (!ws_place_open(&place, &server, &options))
		return;
	client = place_client(&place, "alice", NULL);
	for (uint32_t i = 1; i <= 3; i++) {
		place_tool(client, "echo", "{\"nonce\":\"on\"}");
		wait_for(&server.pinged, 2 * i);
		wait_for(&server.pongs, i + 1);
	}
	assert_int_equal(place_sessions(&place).created, 1);
	place_client_close(&place, client);
	ws_place_close(&place, &server);
}

#define BYTES(text) (text), sizeof(text) - 1

/* What a server sends in the middle of a call, what the call is told, and what the server is. */
static const struct {
	const char *name, *bytes;
	size_t size;
	enum kolk_err err;
	uint32_t code; /* 0 = no close frame */
} faults[] = {
	{ "a masked frame", BYTES("\x81\x82\1\2\3\4zz"), KOLK_E_PROTOCOL, 1002 },
	{ "a reserved bit", BYTES("\xc1\x02{}"), KOLK_E_PROTOCOL, 1002 },
	{ "a reserved opcode", BYTES("\x83\x02{}"), KOLK_E_PROTOCOL, 1002 },
	{ "a binary message", BYTES("\x82\x02{}"), KOLK_E_PROTOCOL, 1003 },
	{ "a continuation of nothing", BYTES("\x80\x02{}"), KOLK_E_PROTOCOL, 1002 },
	{ "a message inside a message", BYTES("\x01\x01{\x81\x02{}"), KOLK_E_PROTOCOL, 1002 },
	{ "no UTF-8", BYTES("\x81\x06{\"\xc0\xaf\"}"), KOLK_E_PROTOCOL, 1007 },
	{ "half a character", BYTES("\x81\x02\"\xc3"), KOLK_E_PROTOCOL, 1007 },
	{ "no JSON", BYTES("\x81\x05hello"), KOLK_E_PROTOCOL, 1007 },
	{ "a long ping", BYTES("\x89\x7e\x00\x80zzzzzzzz"), KOLK_E_PROTOCOL, 1002 },
	{ "a ping in fragments", BYTES("\x09\x01z"), KOLK_E_PROTOCOL, 1002 },
	{ "a length that is too long written", BYTES("\x81\x7e\x00\x02{}"), KOLK_E_PROTOCOL, 1002 },
	{ "a frame of 2 GiB", BYTES("\x81\x7f\0\0\0\0\x80\0\0\0{"), KOLK_E_LIMIT, 1009 },
	{ "its end", BYTES("\x88\x02\x03\xe9"), KOLK_E_CLOSED, 1001 },
	{ "its end without a code", BYTES("\x88\x00"), KOLK_E_CLOSED, 1005 },
	{ "half a code", BYTES("\x88\x01\x03"), KOLK_E_PROTOCOL, 1002 },
	{ "a code that is never sent", BYTES("\x88\x02\x03\xed"), KOLK_E_PROTOCOL, 1002 },
	{ "the end of the connection", BYTES(""), KOLK_E_CLOSED, 0 },
	{ "a reason that is no UTF-8", BYTES("\x88\x03\x03\xe8\xff"), KOLK_E_PROTOCOL, 1007 },
};

/* The call ends, and with it the session; the next one gets another. */
static void what_breaks_the_rules_ends_the_session(void **state)
{
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
		struct kolk_mcp_options options = { .sharing = KOLK_MCP_EXCLUSIVE,
						    .isolation = KOLK_MCP_ISOLATION_TENANT };
		struct ws_server server = { .fault = faults[i].bytes,
					    .fault_size = faults[i].size };

		if (!ws_place_open(&place, &server, &options))
			return;
		client = place_client(&place, "alice", NULL);
		result = place_call(client, "tools/call", "{\"name\":\"echo\",\"arguments\":"
							  "{\"nonce\":\"trigger\"}}");
		if (result.err != faults[i].err)
			fail_msg("%s: %s", faults[i].name, kolk_err_text(result.err));
		kolk_mcp_result_free(&result);
		if (faults[i].code != 0)
			wait_for(&server.closes, 1);
		if (kolk__load_acquire(&server.code) != faults[i].code)
			fail_msg("%s: code %u", faults[i].name, kolk__load_acquire(&server.code));
		place_tool(client, "echo", "{\"nonce\":\"on\"}");
		assert_int_equal(place_sessions(&place).created, 2);
		place_client_close(&place, client);
		ws_place_close(&place, &server);
	}
}

static void what_is_too_long_is_one_calls(void **state)
{
	struct kolk_mcp_options options = { .isolation = KOLK_MCP_ISOLATION_TENANT,
					    .message_bytes_max = 65536 };
	struct ws_server server = { .fragments = true };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	if (!ws_place_open(&place, &server, &options))
		return;
	client = place_client(&place, "alice", NULL);
	result = place_call(client, "tools/call",
			    "{\"name\":\"big\",\"arguments\":{\"bytes\":200000}}");
	assert_int_equal(result.err, KOLK_E_LIMIT);
	kolk_mcp_result_free(&result);
	place_tool(client, "echo", "{\"nonce\":\"on\"}");
	assert_int_equal(place_sessions(&place).created, 1);
	place_client_close(&place, client);
	ws_place_close(&place, &server);
}

static void a_wrong_answer_makes_no_session(void **state)
{
	static const struct {
		const char *answer, *fields;
		enum kolk_err err;
	} wrong[] = {
		{ "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", NULL, KOLK_E_AUTH },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", NULL, KOLK_E_SERVER },
		{ "HTTP/1.1 101 No\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
		  "Sec-WebSocket-Protocol: mcp\r\nSec-WebSocket-Accept: "
		  "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", NULL, KOLK_E_PROTOCOL },
		{ NULL, "", KOLK_E_PROTOCOL },
		{ NULL, "Sec-WebSocket-Protocol: graphql-ws\r\n", KOLK_E_PROTOCOL },
		{ NULL, "Sec-WebSocket-Protocol: mcp\r\nSec-WebSocket-Extensions: x\r\n",
		  KOLK_E_PROTOCOL },
	};
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct kolk_mcp_options options = { .acquire_timeout_ns = 2 * KOLK_S_NS };
		struct ws_server server = { .answer = wrong[i].answer, .fields = wrong[i].fields };

		if (!ws_place_open(&place, &server, &options))
			return;
		client = place_client(&place, "alice", NULL);
		result = place_call(client, "tools/list", NULL);
		if (result.err != wrong[i].err)
			fail_msg("%d: %s", (int)i, kolk_err_text(result.err));
		kolk_mcp_result_free(&result);
		place_client_close(&place, client);
		ws_place_close(&place, &server);
	}
}

/* "old" once, then the token that it is given. */
static enum kolk_err next_token(void *user, struct kolk_key *key,
				struct kolk_credentials *credentials)
{
	static _Thread_local char token[8];
	const char **next = user;

	(void)key;
	strcpy(token, *next);
	*next = "new";
	credentials->secret = token;
	credentials->secret_size = strlen(token);
	return KOLK_OK;
}

/* One more time with another token, if there is one; or the refusal is shown. */
static void a_token_that_was_refused_is_renewed(void **state)
{
	static const char *const wanted[] = { " new\r\n", " other\r\n" };

	(void)state;
	for (int i = 0; i < 2; i++) {
		const char *next = "old";
		struct kolk_mcp_options options = { .credentials = next_token,
						    .credentials_user = &next };
		struct ws_server server = { .token = wanted[i] };
		struct kolk_mcp_client *client;
		struct kolk_mcp_result result;
		struct place place;

		if (!ws_place_open(&place, &server, &options))
			return;
		client = place_client(&place, "alice", NULL);
		result = place_call(client, "tools/list", NULL);
		assert_int_equal(result.err, i == 0 ? KOLK_OK : KOLK_E_AUTH);
		assert_int_equal(place_sessions(&place).created, i == 0 ? 1 : 0);
		if (i == 1)
			assert_string_equal(result.challenge, "Bearer realm=\"ws\"");
		kolk_mcp_result_free(&result);
		place_client_close(&place, client);
		ws_place_close(&place, &server);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_connection_is_a_session),
	cmocka_unit_test(many_calls_share_a_connection),
	cmocka_unit_test(a_server_may_ask),
	cmocka_unit_test(pings_are_answered_between_calls),
	cmocka_unit_test(a_server_may_ping_between_calls),
	cmocka_unit_test(a_server_may_ping_before_its_session),
	cmocka_unit_test(an_idle_session_is_pinged),
	cmocka_unit_test(what_breaks_the_rules_ends_the_session),
	cmocka_unit_test(what_is_too_long_is_one_calls),
	cmocka_unit_test(a_token_that_was_refused_is_renewed),
	cmocka_unit_test(a_wrong_answer_makes_no_session),
};
CMOCKA_TESTS(mcp_ws, tests);
