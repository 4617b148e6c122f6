/* SPDX-License-Identifier: Apache-2.0 */
/* WebSockets (ws_server.h) that end, and calls that go. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* A call that wants no messages holds back those of the others, until it is cancelled. */
static void a_cancelled_pause_frees_the_others(void **state)
{
	struct kolk_mcp_options options = { .isolation = KOLK_MCP_ISOLATION_TENANT };
	struct ws_server server = { .answer = NULL };
	struct kolk_mcp_client *client;
	struct place place;

	(void)state;
	if (!ws_place_open(&place, &server, &options))
		return;
	client = place_client(&place, "alice", NULL);
	place_cancelled_pause(&place, client, false);
	place_client_close(&place, client);
	ws_place_close(&place, &server);
}

static pid_t pid_of(struct kolk_mcp_client *client)
{
	const char *said = strstr(place_tool(client, "whoami", "{}"), "pid\\\":");

	assert_non_null(said);
	return (pid_t)strtol(said + 6, NULL, 10);
}

/* A session that its client had, and that ended, is not replaced by one that another has left. */
static void a_lost_session_is_not_replaced(void **state)
{
	struct kolk_mcp_client *client, *other;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	for (int idle = 0; idle < 2; idle++) {
		struct kolk_mcp_options options = { .isolation = KOLK_MCP_ISOLATION_TENANT };
		struct ws_server server = { .fault = "", .fault_size = 0 };

		if (!ws_place_open(&place, &server, &options))
			return;
		client = place_client(&place, "alice", NULL);
		other = place_client(&place, "alice", NULL);
		place_tool(client, "echo", "{\"nonce\":\"on\"}");
		if (idle) {
			kill(pid_of(client), SIGKILL);
			usleep(50000);
		} else {
			result = place_call(client, "tools/call",
					    "{\"name\":\"echo\",\"arguments\":"
					    "{\"nonce\":\"trigger\"}}");
			assert_int_equal(result.err, KOLK_E_CLOSED);
			assert_int_equal(result.lost, 1);
			kolk_mcp_result_free(&result);
		}
		usleep(20000);
		place_tool(other, "echo", "{\"nonce\":\"on\"}");
		place_client_close(&place, other);
		usleep(20000);
		for (int i = 0; i < 2; i++) {
			result = place_call(client, "tools/list", NULL);
			assert_int_equal(result.err, KOLK_E_CLOSED);
			assert_int_equal(result.lost, 1);
			kolk_mcp_result_free(&result);
		}
		assert_int_equal(place_sessions(&place).created, 2);
		place_client_close(&place, client);
		ws_place_close(&place, &server);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_server_may_close_during_a_request),
	cmocka_unit_test(a_cancelled_pause_frees_the_others),
	cmocka_unit_test(a_lost_session_is_not_replaced),
};
CMOCKA_TESTS(mcp_ws_end, tests);
