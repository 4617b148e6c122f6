/* SPDX-License-Identifier: Apache-2.0 */
/* Cancellations, and answers to the server, that have to wait for a connection. */
#include <string.h>

#include "tests/drivers/mcp/place.h"
#include "tests/kit/cmocka/run.h"

static void a_reply_waits_for_a_connection(void **state)
{
	struct place_options options = { .mcp.sharing = KOLK_MCP_BOUND,
					 .mcp.isolation = KOLK_MCP_ISOLATION_TENANT,
					 .mcp.capabilities = "{\"sampling\":{}}",
					 .connections_max = 2 };
	/* For longer than a message may take that no caller waits for. */
	struct tracked slow = { .method = "tools/call",
				.params = "{\"name\":\"slow\",\"arguments\":{\"ms\":2500}}" };
	struct tracked asked = { .method = "tools/call",
				 .params = "{\"name\":\"test_sampling\",\"arguments\":"
					   "{\"prompt\":\"say it\"}}",
				 .reply = "{\"role\":\"assistant\",\"content\":{\"type\":\"text\","
					  "\"text\":\"it is said\"},\"model\":\"m\"}" };
	struct place place;

	(void)state;
	place_open(&place, &options);
	slow.client = place_client(&place, "alice", NULL);
	asked.client = place_client(&place, "alice", NULL);
	place_tool(slow.client, "echo", "{\"nonce\":\"on\"}");
	place_tool(asked.client, "echo", "{\"nonce\":\"on\"}");
	place_on_loop(place.loop, tracked_start, &slow);
	place_wait_for(&place, MCP_N_tool_calls, 3);
	place_on_loop(place.loop, tracked_start, &asked);
	tracked_wait(&asked);
	assert_int_equal(asked.result.err, KOLK_OK);
	assert_non_null(strstr(asked.text, "it is said"));
	assert_int_equal(place_number(&place, MCP_N_replies), 1);
	tracked_wait(&slow);
	assert_int_equal(slow.result.err, KOLK_OK);
	place_client_close(&place, slow.client);
	place_client_close(&place, asked.client);
	place_close(&place);
}

/* The calls have all connections: theirs are what the server is told on. */
static void cancels_wait_for_the_connections_of_their_calls(void **state)
{
	struct place_options options = { .mcp.sharing = KOLK_MCP_BOUND,
					 .mcp.isolation = KOLK_MCP_ISOLATION_TENANT,
					 .connections_max = 2 };
	struct tracked calls[2];
	struct place place;

	(void)state;
	place_open(&place, &options);
	for (int i = 0; i < 2; i++) {
		calls[i] = (struct tracked){ .method = "tools/call",
					     .params = "{\"name\":\"slow\",\"arguments\":"
						       "{\"ms\":60000}}",
					     .client = place_client(&place, "alice", NULL) };
		place_tool(calls[i].client, "echo", "{\"nonce\":\"on\"}");
	}
	for (int i = 0; i < 2; i++)
		place_on_loop(place.loop, tracked_start, &calls[i]);
	place_wait_for(&place, MCP_N_calls_now, 2);
	for (int i = 0; i < 2; i++)
		place_on_loop(place.loop, tracked_cancel, &calls[i]);
	place_wait_for(&place, MCP_N_cancels_notified, 2);
	place_wait_for(&place, MCP_N_calls_now, 0);
	for (int i = 0; i < 2; i++) {
		tracked_wait(&calls[i]);
		assert_int_equal(calls[i].result.err, KOLK_E_CANCELLED);
		place_client_close(&place, calls[i].client);
	}
	place_close(&place);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_reply_waits_for_a_connection),
	cmocka_unit_test(cancels_wait_for_the_connections_of_their_calls),
};
CMOCKA_TESTS(mcp_note, tests);
