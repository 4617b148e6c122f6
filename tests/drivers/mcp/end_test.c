/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions are ended at their server also where the connections of their tenant are busy, and not
 * for longer than there is time. */
#include <string.h>
#include <unistd.h>

#include "tests/drivers/mcp/place.h"
#include "tests/drivers/mcp/scripted.h"
#include "tests/kit/cmocka/run.h"
#include "transport/drivers/mcp/mcp.h"

/* ---- a client has gone, and no connection is free to tell of it */

enum { CONNECTIONS = 2 };

struct busy {
	struct place place;
	struct kolk_lease leases[CONNECTIONS]; /* all that the tenant may have */
};

static void set_ends(void *user)
{
	const struct place *place = user;

	place->mcp->loops[kolk_loop_index(kolk_loop_current())].ends = 1000000;
}

static void busy_open(struct busy *busy, bool crowded)
{
	struct place_options options = { .mcp.sharing = KOLK_MCP_BOUND,
					 .connections_max = CONNECTIONS };
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	struct kolk_mcp_client *client;

	place_open(&busy->place, &options);
	client = place_client(&busy->place, "alice", NULL);
	place_tool(client, "echo", "{\"nonce\":\"n\"}");
	who.tenant = "alice";
	for (int i = 0; i < CONNECTIONS; i++)
		assert_int_equal(kolk_acquire_as(busy->place.connections, &who, kolk_in_ms(10000),
						 &busy->leases[i]), KOLK_OK);
	for (uint32_t i = 0; crowded && i < kolk_engine_loop_count(busy->place.engine); i++)
		place_on_loop(kolk_engine_loop(busy->place.engine, i), set_ends, &busy->place);
	place_client_close(&busy->place, client);
}

static void busy_end(struct busy *busy)
{
	for (int i = 0; i < CONNECTIONS; i++)
		assert_int_equal(kolk_release(&busy->leases[i]), KOLK_OK);
}

static void the_end_waits_for_a_connection(void **state)
{
	struct busy busy;

	(void)state;
	busy_open(&busy, false);
	usleep(1500000); /* more than the server has for its answer */
	assert_int_equal(place_number(&busy.place, MCP_N_sessions_open), 1);
	assert_int_equal(place_stats(&busy.place).close_failed, 0);
	busy_end(&busy);
	place_wait_for(&busy.place, MCP_N_sessions_deleted, 1);
	assert_int_equal(place_stats(&busy.place).close_failed, 0);
	place_close(&busy.place);
}

static void the_end_of_an_upstream_bounds_them(void **state)
{
	struct busy busy;

	(void)state;
	busy_open(&busy, false);
	assert_int_equal(kolk_mcp_close(busy.place.mcp, kolk_in_ms(1500)), KOLK_OK);
	assert_int_equal(place_number(&busy.place, MCP_N_sessions_open), 1);
	busy_end(&busy);
	place_end(&busy.place);
}

static bool has_failed(const struct place *place)
{
	for (int i = 0; i < 10000 && place_stats(place).close_failed == 0; i++)
		usleep(1000);
	return place_stats(place).close_failed == 1;
}

/* More of a loop wait no longer than the server would have for its answer. */
static void no_more_than_so_many_wait(void **state)
{
	struct busy busy;

	(void)state;
	busy_open(&busy, true);
	assert_true(has_failed(&busy.place));
	assert_int_equal(place_number(&busy.place, MCP_N_sessions_open), 1);
	assert_int_equal(kolk_mcp_close(busy.place.mcp, kolk_in_ms(10000)), KOLK_OK);
	busy_end(&busy);
	place_end(&busy.place);
}

/* ---- servers that do not answer */

struct silent {
	bool closes;              /* the connection, the first time; else it says nothing */
	kolk__atomic_u32 deletes;
};

static int on_request(struct scripted *server, int fd, const struct scripted_request *request)
{
	struct silent *silent = server->user;

	if (strncmp(request->head, "DELETE ", 7) == 0 &&
	    kolk__add_acq_rel(&silent->deletes, 1) == 0)
		return !silent->closes;
	(void)scripted_begins(fd, request);
	return !silent->closes;
}

/* A session of a client that goes; how many were not ended. */
static uint64_t leave(struct silent *silent)
{
	struct scripted server = { .answer = on_request, .user = silent };
	struct place place = { .server = NULL };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	uint64_t failed;

	scripted_open(&server);
	place_open_at(&place, server.address);
	client = place_client(&place, "alice", NULL);
	result = place_call(client, "initialize", NULL);
	assert_int_equal(result.err, KOLK_OK);
	kolk_mcp_result_free(&result);
	place_client_close(&place, client);
	for (int i = 0; i < 10000 && place_sessions(&place).open != 0; i++)
		usleep(1000);
	assert_int_equal(place_sessions(&place).open, 0);
	failed = place_stats(&place).close_failed;
	assert_int_equal(kolk_mcp_close(place.mcp, kolk_in_ms(10000)), KOLK_OK);
	assert_int_equal(kolk_engine_destroy(place.engine), KOLK_OK);
	scripted_close(&server);
	return failed;
}

/* Over a connection of its own, so that its end is no sign that it had been closed before. */
static void it_is_told_again_where_the_connection_ends(void **state)
{
	struct silent silent = { .closes = true };

	(void)state;
	assert_int_equal(leave(&silent), 0);
	assert_int_equal(kolk__load_acquire(&silent.deletes), 2);
}

static void a_server_that_says_nothing_is_not_waited_for(void **state)
{
	struct silent silent = { .closes = false };

	(void)state;
	assert_int_equal(leave(&silent), 1);
	assert_int_equal(kolk__load_acquire(&silent.deletes), 1);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(the_end_waits_for_a_connection),
	cmocka_unit_test(the_end_of_an_upstream_bounds_them),
	cmocka_unit_test(no_more_than_so_many_wait),
	cmocka_unit_test(it_is_told_again_where_the_connection_ends),
	cmocka_unit_test(a_server_that_says_nothing_is_not_waited_for),
};
CMOCKA_TESTS(mcp_end, tests);
