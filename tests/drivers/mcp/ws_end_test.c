/* SPDX-License-Identifier: Apache-2.0 */
/* WebSockets (ws_server.h) that end. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/drivers/mcp/place.h"
#include "tests/drivers/mcp/ws_server.h"
#include "tests/kit/cmocka/run.h"

/* It closes while a request is on its way; what is being sent lives until that has ended. */
static void a_server_may_close_during_a_request(void **state)
{
	enum { SIZE = 8 << 20 };
	struct kolk_mcp_options options = { .isolation = KOLK_MCP_ISOLATION_TENANT };
	struct ws_server server = { .hasty = true, .backend = KOLK_BACKEND_EPOLL };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;
	char *params;

	(void)state;
	if (!ws_place_open(&place, &server, &options))
		return;
	params = malloc(SIZE + 100);
	sprintf(params, "{\"name\":\"echo\",\"arguments\":{\"nonce\":\"%0*d\"}}", SIZE, 1);
	client = place_client(&place, "alice", NULL);
	result = place_call(client, "tools/call", params);
	assert_int_equal(result.err, KOLK_E_CLOSED);
	kolk_mcp_result_free(&result);
	place_client_close(&place, client);
	ws_place_close(&place, &server);
	free(params);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_server_may_close_during_a_request),
};
CMOCKA_TESTS(mcp_ws_end, tests);
