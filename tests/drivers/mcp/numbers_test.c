/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of an upstream: sessions that were ready in time, and how soon answers begin. */
#include <stdio.h>

#include "tests/drivers/mcp/place.h"
#include "tests/kit/cmocka/run.h"

static void sessions_that_were_ready_are_counted(void **state)
{
	struct place_options options = { .mcp.sharing = KOLK_MCP_VIRGIN, .mcp.idle_min = 2,
					 .mcp.isolation = KOLK_MCP_ISOLATION_TENANT };
	struct kolk_mcp_client *client;
	struct place place;

	(void)state;
	for (int warm = 0; warm < 2; warm++) {
		options.server.init_delay = 20; /* a session is not made within a tick of a clock */
		options.mcp.idle_min = warm ? 2 : 0;
		place_open(&place, &options);
		client = place_client(&place, "alice", NULL);
		if (warm)
			assert_int_equal(kolk_mcp_client_warm(client, kolk_in_ms(10000)), KOLK_OK);
		for (int i = 0; i < 3; i++) /* a client has one session */
			place_tool(client, "echo", "{\"nonce\":\"on\"}");
		assert_int_equal(place_stats(&place).virgin_hits, warm);
		place_client_close(&place, client);
		place_close(&place);
	}
}

/* Those that took less than each of the bounds, and all. */
static uint64_t first_bytes(const struct place *place, const uint64_t bounds_ns[2], uint64_t below[2])
{
	uint64_t total, sum_ns;

	kolk_mcp_first_bytes(place->mcp, bounds_ns, 2, below, &total, &sum_ns);
	assert_true(total == 0 ? sum_ns == 0 : sum_ns > 0);
	return total;
}

/* A tool that says nothing for 200 ms, and one that answers at once; the making of a session, which takes
 * longer, is none of it. */
static void the_first_byte_of_answers_is_timed(void **state)
{
	static const uint64_t bounds_ns[2] = { 180 * KOLK_MS_NS, 100 * KOLK_S_NS };
	static const char slow[] = "{\"name\":\"slow\",\"arguments\":{\"ms\":200}}";
	struct kolk_mcp_options children = { .isolation = KOLK_MCP_ISOLATION_TENANT };
	struct place_options options = { .server.init_delay = 400 };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	uint64_t below[2];
	struct place place;

	(void)state;
	for (int child = 0; child < 2; child++) {
		if (child)
			place_open_children(&place, &children, NULL);
		else
			place_open(&place, &options);
		client = place_client(&place, "alice", NULL);
		assert_int_equal(first_bytes(&place, bounds_ns, below), 0);
		result = place_call(client, "tools/call", slow);
		assert_int_equal(result.err, KOLK_OK);
		kolk_mcp_result_free(&result);
		assert_int_equal(first_bytes(&place, bounds_ns, below), 1);
		assert_int_equal(below[0], 0);
		assert_int_equal(below[1], 1);
		for (int i = 0; i < 20; i++)
			place_tool(client, "echo", "{\"nonce\":\"on\"}");
		assert_int_equal(first_bytes(&place, bounds_ns, below), 21);
		assert_true(below[0] > 0); /* one of twenty, on whatever machine */
		assert_int_equal(below[1], 21);
		place_client_close(&place, client);
		if (child)
			place_close_children(&place);
		else
			place_close(&place);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(sessions_that_were_ready_are_counted),
	cmocka_unit_test(the_first_byte_of_answers_is_timed),
};
CMOCKA_TESTS(mcp_numbers, tests);
