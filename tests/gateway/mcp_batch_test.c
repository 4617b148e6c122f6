/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_batch_test.c - the bytes that all answers to an array of messages may have. */
#include "tests/kit/cmocka/run.h"

#include "tools/gateway/mcp/batch.h"

/* Messages of one array go to servers with limits of their own. */
static void bytes_are_of_the_array(void **state)
{
	struct gw_mcp_pool all = { .options.message_bytes_max = 1000 };
	struct gw_mcp_pool small = { .options.message_bytes_max = 100 };
	struct gw_mcp_call whole = { .kind = GW_MCP_BATCH, .pool = &all };
	struct gw_mcp_batch batch = { .whole = &whole };
	struct gw_mcp_call one = { .kind = GW_MCP_REQUEST, .pool = &all, .batch = &batch };
	struct gw_mcp_call other = { .kind = GW_MCP_REQUEST, .pool = &small, .batch = &batch };

	(void)state;
	assert_true(gw_mcp_batch_takes(&one, 600));
	assert_true(gw_mcp_batch_takes(&other, 100));
	assert_false(gw_mcp_batch_takes(&other, 301));
	assert_false(gw_mcp_batch_takes(&other, SIZE_MAX));
	assert_true(gw_mcp_batch_takes(&other, 300));
	assert_false(gw_mcp_batch_takes(&one, 1));
	assert_int_equal(batch.answer_bytes, 1000);
	whole.batch = &batch; /* the whole is none of its own messages */
	assert_true(gw_mcp_batch_takes(&whole, 2000));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(bytes_are_of_the_array),
};

CMOCKA_TESTS(gateway_mcp_batch, tests);
