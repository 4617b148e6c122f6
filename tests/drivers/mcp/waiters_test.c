/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that wait for a session that one acquire of their group brings: as many as may. */
#include <string.h>

#include "tests/drivers/mcp/place.h"
#include "tests/kit/cmocka/run.h"
#include "tests/kit/tap.h"

enum { WAITERS = 3 };

struct waiters {
	struct place place;
	struct tracked busy;            /* has the only session */
	struct tracked calls[WAITERS];
	struct tracked more[2];
};

static void start(struct waiters *waiters, struct tracked *tracked, bool slow)
{
	tracked->client = waiters->busy.client;
	tracked->method = "tools/call";
	tracked->params = slow ? "{\"name\":\"slow\",\"arguments\":{\"ms\":60000}}" :
				 "{\"name\":\"echo\",\"arguments\":{\"nonce\":\"n\"}}";
	place_on_loop(waiters->place.loop, tracked_start, tracked);
	assert_int_equal(tracked->started, KOLK_PENDING);
}

static void expect_refused(struct waiters *waiters, struct tracked *tracked)
{
	memset(tracked, 0, sizeof *tracked);
	start(waiters, tracked, false);
	tracked_wait(tracked);
	assert_int_equal(tracked->result.err, KOLK_E_QUEUE_FULL);
	kolk_mcp_result_free(&tracked->result);
	assert_int_equal(place_sessions(&waiters->place).waiting, WAITERS);
}

static void cancel(struct waiters *waiters, struct tracked *tracked)
{
	place_on_loop(waiters->place.loop, tracked_cancel, tracked);
	tracked_wait(tracked);
	assert_int_equal(tracked->result.err, KOLK_E_CANCELLED);
	kolk_mcp_result_free(&tracked->result);
}

static void calls_beyond_waiters_max_are_refused(void **state)
{
	static struct waiters waiters;
	struct place_options options = { .mcp.sharing = KOLK_MCP_MULTIPLEXED,
					 .mcp.isolation = KOLK_MCP_ISOLATION_TENANT,
					 .mcp.sessions_max = 1,
					 .mcp.requests_max = 1,
					 .mcp.waiters_max = WAITERS,
					 .mcp.acquire_timeout_ns = 120 * KOLK_S_NS };

	(void)state;
	place_open(&waiters.place, &options);
	waiters.busy.client = place_client(&waiters.place, "alice", NULL);
	start(&waiters, &waiters.busy, true);
	place_wait_for(&waiters.place, MCP_N_sessions_created, 1);
	assert_true(WITHIN_MS(10000, place_sessions(&waiters.place).waiting == 0));
	for (int i = 0; i < WAITERS; i++)
		start(&waiters, &waiters.calls[i], false);
	assert_int_equal(place_sessions(&waiters.place).waiting, WAITERS);
	expect_refused(&waiters, &waiters.more[0]);

	/* The one that its group acquired for goes: the acquire is another's now. */
	cancel(&waiters, &waiters.calls[0]);
	assert_int_equal(place_sessions(&waiters.place).waiting, WAITERS - 1);
	memset(&waiters.calls[0], 0, sizeof waiters.calls[0]);
	start(&waiters, &waiters.calls[0], false);
	expect_refused(&waiters, &waiters.more[1]);
	cancel(&waiters, &waiters.busy);
	for (int i = 0; i < WAITERS; i++) {
		tracked_wait(&waiters.calls[i]);
		assert_int_equal(waiters.calls[i].result.err, KOLK_OK);
		kolk_mcp_result_free(&waiters.calls[i].result);
	}
	assert_int_equal(place_sessions(&waiters.place).waiting, 0);
	place_client_close(&waiters.place, waiters.busy.client);
	place_close(&waiters.place);
}

/* All at once, so that all wait for one probe: the first is cancelled, and makes room for one. */
static void start_all(void *user)
{
	struct waiters *waiters = user;

	for (int i = 0; i < WAITERS; i++)
		tracked_start(&waiters->calls[i]);
	tracked_start(&waiters->more[0]);
	tracked_cancel(&waiters->calls[0]);
	tracked_start(&waiters->more[1]);
}

static void prepare(struct waiters *waiters, struct tracked *tracked)
{
	memset(tracked, 0, sizeof *tracked);
	tracked->client = waiters->busy.client;
	tracked->method = "tools/call";
	tracked->params = "{\"name\":\"echo\",\"arguments\":{\"nonce\":\"n\"}}";
}

static void expect(struct tracked *tracked, enum kolk_err err)
{
	tracked_wait(tracked);
	assert_int_equal(tracked->result.err, err);
	kolk_mcp_result_free(&tracked->result);
}

static void calls_that_wait_for_the_era_are_waiters(void **state)
{
	static const char *const versions[] = { NULL, "2025-06-18,2025-11-25" };
	static struct waiters waiters;

	(void)state;
	for (int k = 0; k < 2; k++) {
		struct place_options options = { .era_auto = true, .mcp.waiters_max = WAITERS };

		options.server.versions = versions[k];
		place_open(&waiters.place, &options);
		waiters.busy.client = place_client(&waiters.place, "alice", NULL);
		for (int i = 0; i < WAITERS; i++)
			prepare(&waiters, &waiters.calls[i]);
		prepare(&waiters, &waiters.more[0]);
		prepare(&waiters, &waiters.more[1]);
		place_on_loop(waiters.place.loop, start_all, &waiters);
		expect(&waiters.calls[0], KOLK_E_CANCELLED);
		for (int i = 1; i < WAITERS; i++)
			expect(&waiters.calls[i], KOLK_OK);
		expect(&waiters.more[0], KOLK_E_QUEUE_FULL);
		expect(&waiters.more[1], KOLK_OK);
		assert_int_equal(place_sessions(&waiters.place).waiting, 0);
		place_client_close(&waiters.place, waiters.busy.client);
		place_close(&waiters.place);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(calls_beyond_waiters_max_are_refused),
	cmocka_unit_test(calls_that_wait_for_the_era_are_waiters),
};
CMOCKA_TESTS(mcp_waiters, tests);
