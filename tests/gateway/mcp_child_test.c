/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_child_test.c - mcp_child.h: what a child says of its era, by an answer, an error, or nothing. */
#include "tests/kit/cmocka/run.h"

#include "tools/gateway/mcp/child.h"

enum { AUTO = KOLK_MCP_ERA_AUTO, LEGACY = KOLK_MCP_LEGACY, MODERN = KOLK_MCP_MODERN };

static void the_end_of_the_question_says_the_era(void **state)
{
	static const struct { enum kolk_err err; int32_t code; int said[3]; } rows[] = {
		/* was                             AUTO    LEGACY  MODERN */
		{ KOLK_OK, 0,                    { MODERN, MODERN, MODERN } },
		{ KOLK_E_SERVER, -32022,         { MODERN, MODERN, MODERN } },
		{ KOLK_E_SERVER, -32601,         { LEGACY, LEGACY, LEGACY } },
		{ KOLK_E_CLOSED, 0,              { LEGACY, LEGACY, LEGACY } },
		{ KOLK_E_RESET, 0,               { LEGACY, LEGACY, LEGACY } },
		{ KOLK_E_TIMEOUT, 0,             { LEGACY, LEGACY, MODERN } },
		{ KOLK_E_MEMORY, 0,              { AUTO, AUTO, AUTO } },
		{ KOLK_E_QUEUE_FULL, 0,          { AUTO, AUTO, AUTO } },
	};
	static const enum kolk_mcp_era was[] = { KOLK_MCP_ERA_AUTO, KOLK_MCP_LEGACY,
						 KOLK_MCP_MODERN };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);

		result.err = rows[i].err;
		result.error_code = rows[i].code;
		for (int k = 0; k < 3; k++)
			if ((int)gw_mcp_child_said(was[k], &result) != rows[i].said[k])
				fail_msg("%s, code %d, was %d", kolk_err_text(rows[i].err),
					 (int)rows[i].code, (int)was[k]);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(the_end_of_the_question_says_the_era),
};

CMOCKA_TESTS(mcp_child, tests);
