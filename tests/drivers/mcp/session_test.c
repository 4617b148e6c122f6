/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions of Streamable HTTP, pooled: made, used again, lost, ended. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/drivers/mcp/place.h"
#include "tests/kit/cmocka/run.h"

/* A call on a session that is there is one request of HTTP. */
static void a_hit_costs_no_other_round_trip(void **state)
{
	struct place_options options = { .mcp.sharing = KOLK_MCP_EXCLUSIVE,
					 .mcp.isolation = KOLK_MCP_ISOLATION_TENANT };
	struct kolk_mcp_client *client;
	struct place place;
	struct kolk_stats stats;

	(void)state;
	place_open(&place, &options);
	client = place_client(&place, "alice", NULL);
	for (int i = 0; i < 10; i++)
		assert_non_null(strstr(place_tool(client, "echo", "{\"nonce\":\"n\"}"), "\"n\""));
	/* initialize and ten calls; notifications/initialized */
	assert_int_equal(place_number(&place, MCP_N_requests), 11);
	assert_int_equal(place_number(&place, MCP_N_notifications), 1);
	assert_int_equal(place_number(&place, MCP_N_sessions_created), 1);
	assert_int_equal(place_number(&place, MCP_N_version_missing), 0);
	stats = place_sessions(&place);
	assert_int_equal(stats.created, 1);
	assert_int_equal(stats.reused, 9);
	assert_int_equal(stats.acquired, 10);
	assert_int_equal(stats.dial.count, 1);
	assert_true(stats.dial.sum > 0);
	place_client_close(&place, client);
	place_close(&place);
}

static void the_session_ends_with_delete(void **state)
{
	struct place_options options = { .mcp.sharing = KOLK_MCP_BOUND };
	struct kolk_mcp_client *client;
	struct place place;

	(void)state;
	place_open(&place, &options);
	client = place_client(&place, "alice", NULL);
	place_tool(client, "counter", "{\"owner\":\"a\"}");
	assert_int_equal(place_number(&place, MCP_N_sessions_open), 1);
	place_client_close(&place, client);
	place_wait_for(&place, MCP_N_sessions_deleted, 1);
	assert_int_equal(place_number(&place, MCP_N_sessions_lost), 0);
	place_close(&place);
}

/* initialize is answered from the session, and so is what follows it. */
static void initialize_is_the_sessions_own(void **state)
{
	struct place_options options = { .mcp.sharing = KOLK_MCP_BOUND };
	struct kolk_mcp_request request = KOLK_INIT(kolk_mcp_request);
	struct kolk_mcp_result result;
	struct kolk_mcp_client *client;
	struct place place;

	(void)state;
	place_open(&place, &options);
	client = place_client(&place, NULL, NULL);
	result = place_call(client, "initialize", NULL);
	assert_int_equal(result.err, KOLK_OK);
	assert_non_null(strstr(result.result, "\"protocolVersion\":\"2025-11-25\""));
	assert_non_null(strstr(result.result, "serverInfo"));
	kolk_mcp_result_free(&result);
	result = (struct kolk_mcp_result)KOLK_INIT(kolk_mcp_result);
	request.method = "notifications/initialized";
	request.notification = 1;
	assert_int_equal(kolk_mcp_call(client, &request, &result), KOLK_OK);
	kolk_mcp_result_free(&result);
	assert_int_equal(place_number(&place, MCP_N_requests), 1);
	assert_int_equal(place_number(&place, MCP_N_notifications), 1);
	place_client_close(&place, client);
	place_close(&place);
}

/* Why there is no session: what the server answered. */
static void a_refused_initialize_says_the_status(void **state)
{
	static const struct {
		uint32_t status;
		const char *detail;
	} refusals[] = { { 404, "initialize: 404" }, { 500, "initialize: 500" },
			 { 418, "initialize" } };

	(void)state;
	for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
		struct place_options options = { .server.init_status = refusals[i].status };
		struct kolk_pool_info info = KOLK_INIT(kolk_pool_info);
		struct kolk_mcp_result result;
		struct kolk_mcp_client *client;
		struct place place;

		place_open(&place, &options);
		client = place_client(&place, "alice", NULL);
		result = place_call(client, "initialize", NULL);
		assert_int_equal(result.err, KOLK_E_SERVER);
		assert_int_equal(kolk_pool_inspect(kolk_mcp_pool(place.mcp), &info), KOLK_OK);
		assert_int_equal(info.failure.err, KOLK_E_SERVER);
		assert_string_equal(info.failure_detail, refusals[i].detail);
		kolk_mcp_result_free(&result);
		place_client_close(&place, client);
		place_close(&place);
	}
}

static void profiles_and_versions_are_told(void **state)
{
	static const char *const versions[] = { "2025-03-26", "2025-06-18", "2025-11-25" };
	struct place_options options = { .mcp.client_name = "na\"me", .mcp.client_version = "7",
					 .mcp.capabilities = "{\"roots\":{}}" };
	struct kolk_mcp_client_options who = KOLK_INIT(kolk_mcp_client_options);
	struct kolk_mcp_client *client;
	struct place place;
	const char *text;
	char version[64];

	(void)state;
	place_open(&place, &options);
	for (int i = 0; i < 3; i++) {
		who.protocol_version = versions[i];
		assert_int_equal(kolk_mcp_client_open(place.mcp, place.loop, &who, &client),
				 KOLK_OK);
		text = place_tool(client, "whoami", "{}");
		snprintf(version, sizeof version, "\\\"version\\\":\\\"%s", versions[i]);
		assert_non_null(strstr(text, version));
		assert_non_null(strstr(text, "na\\\\\\\"me"));
		assert_non_null(strstr(text, "roots"));
		place_client_close(&place, client);
	}
	assert_int_equal(place_number(&place, MCP_N_sessions_created), 3);
	place_close(&place);
}

/* ---- isolation */

static void each_bound_client_has_its_own(void **state)
{
	struct place_options options = { .mcp.sharing = KOLK_MCP_BOUND };
	struct kolk_mcp_client *clients[8];
	struct place place;
	char owner[32];

	(void)state;
	place_open(&place, &options);
	for (int i = 0; i < 8; i++)
		clients[i] = place_client(&place, "alice", "tab");
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < 8; i++) {
			snprintf(owner, sizeof owner, "{\"owner\":\"c%d\"}", i);
			assert_non_null(strstr(place_tool(clients[i], "counter", owner),
					       "leaked\\\":false"));
		}
	assert_int_equal(place_number(&place, MCP_N_leaks), 0);
	assert_int_equal(place_number(&place, MCP_N_sessions_created), 8);
	for (int i = 0; i < 8; i++)
		place_client_close(&place, clients[i]);
	place_close(&place);
}

/* A session of a tenant serves its next client, and never another tenant's. */
static void tenants_do_not_meet(void **state)
{
	static const uint32_t sharings[] = { KOLK_MCP_BOUND, KOLK_MCP_EXCLUSIVE,
					     KOLK_MCP_MULTIPLEXED };
	static const char *const tenants[] = { "alice", "bob" };
	struct kolk_mcp_client *client;
	struct place place;
	char owner[32];

	(void)state;
	for (int s = 0; s < 3; s++) {
		struct place_options options = { .mcp.sharing = sharings[s],
						 .mcp.isolation = KOLK_MCP_ISOLATION_TENANT };

		place_open(&place, &options);
		for (int i = 0; i < 6; i++) {
			client = place_client(&place, tenants[i % 2], NULL);
			snprintf(owner, sizeof owner, "{\"owner\":\"%s\"}", tenants[i % 2]);
			place_tool(client, "counter", owner);
			place_client_close(&place, client);
		}
		assert_int_equal(place_number(&place, MCP_N_sessions_created), 2);
		assert_int_equal(place_number(&place, MCP_N_leaks), 0);
		place_close(&place);
	}
}

static void a_virgin_is_used_by_one_client(void **state)
{
	struct place_options options = { .mcp.sharing = KOLK_MCP_VIRGIN,
					 .mcp.isolation = KOLK_MCP_ISOLATION_TENANT,
					 .mcp.idle_min = 2 };
	struct kolk_mcp_client *keeper, *client;
	struct kolk_mcp_result result;
	struct place place;
	char owner[32];

	(void)state;
	place_open(&place, &options);
	keeper = place_client(&place, "alice", NULL); /* who is kept warm for */
	assert_int_equal(kolk_mcp_client_warm(keeper, kolk_in_ms(5000)), KOLK_OK);
	for (int i = 0; i < 5; i++) {
		client = place_client(&place, "alice", NULL);
		result = place_call(client, "initialize", NULL);
		assert_int_equal(result.err, KOLK_OK);
		kolk_mcp_result_free(&result);
		for (int k = 0; k < 2; k++) {
			snprintf(owner, sizeof owner, "{\"owner\":\"c%d\"}", i);
			place_tool(client, "counter", owner);
		}
		place_client_close(&place, client);
	}
	place_wait_for(&place, MCP_N_sessions_deleted, 5);
	assert_int_equal(place_number(&place, MCP_N_leaks), 0);
	place_client_close(&place, keeper);
	place_close(&place);
}

/* One that only asked what its server is leaves it to the next client; not where each has a key of
 * its own, by which no other would find it. */
static void a_virgin_that_was_told_nothing_is_one(void **state)
{
	static const uint32_t isolations[] = { KOLK_MCP_ISOLATION_TENANT,
					       KOLK_MCP_ISOLATION_SESSION };
	static const char *const owners[] = { "{\"owner\":\"a\"}", "{\"owner\":\"b\"}" };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	for (int own = 0; own < 2; own++) {
		struct place_options options = { .mcp.sharing = KOLK_MCP_VIRGIN,
						 .mcp.isolation = isolations[own] };

		place_open(&place, &options);
		client = place_client(&place, "alice", own ? "first" : NULL);
		result = place_call(client, "initialize", NULL);
		assert_int_equal(result.err, KOLK_OK);
		kolk_mcp_result_free(&result);
		place_client_close(&place, client);
		if (own)
			place_wait_for(&place, MCP_N_sessions_deleted, 1);
		for (int i = 1; i <= 2; i++) {
			client = place_client(&place, "alice", own ? "next" : NULL);
			place_tool(client, "counter", owners[i - 1]);
			place_client_close(&place, client);
			place_wait_for(&place, MCP_N_sessions_deleted, (uint64_t)(own + i));
			assert_int_equal(place_number(&place, MCP_N_sessions_created), own + i);
		}
		assert_int_equal(place_stats(&place).virgin_hits, own ? 0 : 1);
		place_close(&place);
	}
}

/* ---- loss */

static void a_lost_session_is_made_again(void **state)
{
	struct kolk_mcp_client *client;
	struct place place;

	(void)state;
	for (int how = 0; how < 3; how++) {
		struct place_options options = { .mcp.sharing = KOLK_MCP_EXCLUSIVE,
						 .mcp.isolation = KOLK_MCP_ISOLATION_TENANT };

		options.server.lose = how == 0 ? 3 : 0;
		options.server.lose_400 = how == 1 ? 3 : 0;
		options.server.lose_410 = how == 2 ? 3 : 0;
		place_open(&place, &options);
		client = place_client(&place, "alice", NULL);
		for (int i = 0; i < 20; i++)
			place_tool(client, "echo", "{\"nonce\":\"n\"}");
		assert_true(place_stats(&place).lost >= 4);
		assert_int_equal(place_stats(&place).lost, place_stats(&place).remade);
		assert_int_equal(place_number(&place, MCP_N_tool_calls), 20);
		place_client_close(&place, client);
		place_close(&place);
	}
}

static void what_a_bound_client_lost_is_told(void **state)
{
	struct place_options options = { .mcp.sharing = KOLK_MCP_BOUND, .server.lose = 3 };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;
	bool lost = false;

	(void)state;
	place_open(&place, &options);
	client = place_client(&place, "alice", NULL);
	for (int i = 0; i < 10; i++) {
		result = place_call(client, "tools/call",
				    "{\"name\":\"echo\",\"arguments\":{\"nonce\":\"n\"}}");
		assert_true(result.err == KOLK_OK ? !lost : result.err == KOLK_E_CLOSED);
		assert_int_equal(result.lost, result.err == KOLK_E_CLOSED);
		lost |= result.lost;
		kolk_mcp_result_free(&result);
	}
	assert_true(lost);
	assert_int_equal(place_number(&place, MCP_N_sessions_created), 1);
	place_client_close(&place, client);
	place_close(&place);
}

/* The pool ends an idle session: its client is lost, too, and never gets a new one silently. */
static void an_evicted_client_is_lost(void **state)
{
	struct place_options options = { .mcp.sharing = KOLK_MCP_BOUND };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	place_open(&place, &options);
	client = place_client(&place, "alice", NULL);
	place_tool(client, "counter", "{\"owner\":\"a\"}");
	assert_int_equal(kolk_pool_clear(kolk_mcp_pool(place.mcp)), 1);
	place_wait_for(&place, MCP_N_sessions_deleted, 1);
	result = place_call(client, "tools/list", NULL);
	assert_int_equal(result.err, KOLK_E_CLOSED);
	assert_int_equal(result.lost, 1);
	kolk_mcp_result_free(&result);
	assert_int_equal(place_number(&place, MCP_N_sessions_created), 1);
	place_client_close(&place, client);
	place_close(&place);
}

/* ---- servers as they are */

static void initialize_may_be_answered_in_other_ways(void **state)
{
	struct kolk_mcp_client *client;
	struct place place;

	(void)state;
	for (int how = 0; how < 4; how++) {
		struct place_options options = { .mcp.sharing = KOLK_MCP_EXCLUSIVE,
						 .mcp.isolation = KOLK_MCP_ISOLATION_TENANT };

		options.server.init_sse = how == 0;
		options.server.sse = how == 1;
		options.server.stateless = how == 2;
		options.server.accepted_body = how == 3;
		place_open(&place, &options);
		client = place_client(&place, "alice", NULL);
		for (int i = 0; i < 3; i++)
			place_tool(client, "echo", "{\"nonce\":\"n\"}");
		place_client_close(&place, client);
		place_close(&place);
	}
}

static void a_refusal_is_told(void **state)
{
	struct place_options options = { .mcp.sharing = KOLK_MCP_EXCLUSIVE,
					 .mcp.isolation = KOLK_MCP_ISOLATION_TENANT,
					 .server.init_status = 401 };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	place_open(&place, &options);
	client = place_client(&place, "alice", NULL);
	result = place_call(client, "tools/list", NULL);
	assert_int_equal(result.err, KOLK_E_AUTH);
	kolk_mcp_result_free(&result);
	place_client_close(&place, client);
	place_close(&place);
}

static void a_version_that_is_not_known_is_none(void **state)
{
	struct place_options options = { .server.init_version = 1 };
	struct kolk_mcp_client *client;
	struct kolk_mcp_result result;
	struct place place;

	(void)state;
	place_open(&place, &options);
	client = place_client(&place, "alice", NULL);
	result = place_call(client, "tools/list", NULL);
	assert_int_equal(result.err, KOLK_E_UNSUPPORTED);
	kolk_mcp_result_free(&result);
	place_client_close(&place, client);
	place_wait_for(&place, MCP_N_sessions_deleted, 1); /* the session that it made */
	place_close(&place);
}

/* ---- limits */

/* A session that cannot be made, because others of its tenant have its connections, is no fault of the
 * server: sessions of other tenants are made. */
static void a_tenants_limit_is_not_the_servers_fault(void **state)
{
	struct place_options options = { .mcp.initialize_timeout_ns = 2 * KOLK_S_NS,
					 .connections_max = 1 };
	struct tracked slow = { .method = "tools/call",
				.params = "{\"name\":\"slow\",\"arguments\":{\"ms\":6000}}" };
	struct tracked calls[6];
	struct kolk_mcp_client *bob;
	struct place place;

	(void)state;
	place_open(&place, &options);
	slow.client = place_client(&place, "alice", NULL);
	place_on_loop(place.loop, tracked_start, &slow);
	place_wait_for(&place, MCP_N_tool_calls, 1);
	for (int i = 0; i < 6; i++) {
		calls[i] = (struct tracked){ .method = "tools/list",
					     .client = place_client(&place, "alice", NULL) };
		place_on_loop(place.loop, tracked_start, &calls[i]);
	}
	for (int i = 0; i < 6; i++)
		tracked_wait(&calls[i]);
	bob = place_client(&place, "bob", NULL);
	place_tool(bob, "echo", "{\"nonce\":\"n\"}");
	tracked_wait(&slow);
	assert_int_equal(slow.result.err, KOLK_OK);
	for (int i = 0; i < 6; i++) {
		/* One whose loop was stopped for long is late. */
		assert_true(calls[i].result.err == KOLK_E_QUEUE_FULL ||
			    calls[i].result.err == KOLK_E_DIAL_TIMEOUT);
		place_client_close(&place, calls[i].client);
	}
	place_client_close(&place, bob);
	place_client_close(&place, slow.client);
	place_close(&place);
}

/* Calls that wait for one session that is being made: what is a deadline of one ends no other's wait,
 * nor the making. */
static void the_deadline_of_one_that_waits_is_its_own(void **state)
{
	struct place_options options = { .mcp.sharing = KOLK_MCP_MULTIPLEXED,
					 .mcp.isolation = KOLK_MCP_ISOLATION_TENANT,
					 .mcp.acquire_timeout_ns = 60 * KOLK_S_NS,
					 .mcp.initialize_timeout_ns = 60 * KOLK_S_NS };
	struct tracked hurried = { .method = "tools/list" }, patient[2];
	struct place place;

	(void)state;
	place_open(&place, &options);
	mcp_fixture_hold(place.server, true);
	hurried.client = place_client(&place, "alice", NULL);
	hurried.deadline_ns = kolk_in_ms(100);
	place_on_loop(place.loop, tracked_start, &hurried);
	for (int i = 0; i < 2; i++) {
		patient[i] = (struct tracked){ .method = "tools/list",
					       .client = place_client(&place, "alice", NULL) };
		place_on_loop(place.loop, tracked_start, &patient[i]);
	}
	tracked_wait(&hurried);
	assert_int_equal(hurried.result.err, KOLK_E_TIMEOUT);
	mcp_fixture_hold(place.server, false);
	for (int i = 0; i < 2; i++) {
		tracked_wait(&patient[i]);
		assert_int_equal(patient[i].result.err, KOLK_OK);
		place_client_close(&place, patient[i].client);
	}
	assert_int_equal(place_number(&place, MCP_N_sessions_created), 1);
	place_client_close(&place, hurried.client);
	place_close(&place);
}

/* Each waits for acquire_timeout of its own, from when it came; the making goes on. */
static void each_that_waits_has_its_own_time(void **state)
{
	struct place_options options = { .mcp.sharing = KOLK_MCP_MULTIPLEXED,
					 .mcp.isolation = KOLK_MCP_ISOLATION_TENANT,
					 .mcp.acquire_timeout_ns = 1500 * KOLK_MS_NS,
					 .mcp.initialize_timeout_ns = 60 * KOLK_S_NS };
	struct tracked first = { .method = "tools/list" }, second = { .method = "tools/list" };
	uint64_t began_ns;
	struct place place;

	(void)state;
	place_open(&place, &options);
	mcp_fixture_hold(place.server, true);
	first.client = place_client(&place, "alice", NULL);
	second.client = place_client(&place, "alice", NULL);
	place_on_loop(place.loop, tracked_start, &first);
	usleep(1000000);
	began_ns = kolk_in_ns(0);
	place_on_loop(place.loop, tracked_start, &second);
	tracked_wait(&first);
	assert_int_equal(first.result.err, KOLK_E_TIMEOUT);
	tracked_wait(&second);
	assert_int_equal(second.result.err, KOLK_E_TIMEOUT);
	assert_true(kolk_in_ns(0) - began_ns >= options.mcp.acquire_timeout_ns);
	mcp_fixture_hold(place.server, false);
	place_tool(first.client, "echo", "{\"nonce\":\"n\"}");
	assert_int_equal(place_number(&place, MCP_N_sessions_created), 1);
	place_client_close(&place, first.client);
	place_client_close(&place, second.client);
	place_close(&place);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(the_deadline_of_one_that_waits_is_its_own),
	cmocka_unit_test(each_that_waits_has_its_own_time),
	cmocka_unit_test(a_tenants_limit_is_not_the_servers_fault),
	cmocka_unit_test(a_hit_costs_no_other_round_trip),
	cmocka_unit_test(the_session_ends_with_delete),
	cmocka_unit_test(initialize_is_the_sessions_own),
	cmocka_unit_test(a_refused_initialize_says_the_status),
	cmocka_unit_test(profiles_and_versions_are_told),
	cmocka_unit_test(each_bound_client_has_its_own),
	cmocka_unit_test(tenants_do_not_meet),
	cmocka_unit_test(a_virgin_is_used_by_one_client),
	cmocka_unit_test(a_virgin_that_was_told_nothing_is_one),
	cmocka_unit_test(a_lost_session_is_made_again),
	cmocka_unit_test(what_a_bound_client_lost_is_told),
	cmocka_unit_test(an_evicted_client_is_lost),
	cmocka_unit_test(initialize_may_be_answered_in_other_ways),
	cmocka_unit_test(a_refusal_is_told),
	cmocka_unit_test(a_version_that_is_not_known_is_none),
};
CMOCKA_TESTS(mcp_session, tests);
