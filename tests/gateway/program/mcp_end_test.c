/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_end_test.c - SIGTERM, and a server of MCP that is slow to end. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/gateway/program/mcp_mock.h"
#include "tests/gateway/program/mcp_place.h"

/* It ends by SIGTERM alone, which it gets a second after the end of its input: within drain_timeout. */
static void test_slow_child(void)
{
	struct program program;
	char request[512];

	MUST(program_start(&program,
			   "  - {name: tools, protocol: mcp, child: {command: [" MCP_FIXTURE_PROGRAM
			   ", --stdio, --ignore-end]}}\n", "    - {match: {path: /mcp}, pool: tools}\n"));
	snprintf(request, sizeof request,
		 "POST /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
		 "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
		 "Content-Length: %zu\r\n\r\n%s", strlen(INITIALIZE("2025-11-25", "")),
		 INITIALIZE("2025-11-25", ""));
	CHECK(program_ask(&program, request, text) == 0 && strstr(text, "mcp-session-id: ") != NULL);
	CHECK(program_stop(&program, 30000));
}

/* A call in a session, and one whose client went: what the end breaks off is said. */
static void test_broken_off(void)
{
	struct place place;
	char session[512], other[512];
	int fd, gone;

	MUST(place_open(&place, &(struct place_options){ .server = { .versions = "2025-11-25" },
							 .gateway = "  drain_timeout: 1s\n",
							 .engine = "loops: 1" }));
	(void)post(&place, "", INITIALIZE("2025-11-25", ""));
	MUST(take_session(session));
	(void)post(&place, "", INITIALIZE("2025-11-25", ""));
	MUST(take_session(other));
	mcp_fixture_hold(place.a, true);
	fd = begin_request(&place, "POST /mcp", session, CALL("2", "echo", ""));
	gone = begin_request(&place, "POST /mcp", other, CALL("2", "echo", ""));
	CHECK(WITHIN_MS(10000, number(&place, MCP_N_calls_now) == 2));
	close(gone);
	kill(place.program.pid, SIGTERM);
	CHECK(program_says(&place.program, "kolk-gateway: broken off after ") &&
	      program_says(&place.program, " s: requests 1, streams 0, sessions 2\n"));
	mcp_fixture_hold(place.a, false);
	close(fd);
	place_close(&place);
}

/* ---- several */

enum { UPSTREAMS = 8 };

/* A server of them all, which answers no DELETE before the others have come. */
struct slow {
	kolk__atomic_u32 deletes, most; /* under way; and the most at a time */
};

static bool serve_delete(struct slow *slow, const struct mcp_mock_request *request)
{
	uint32_t now = kolk__add_acq_rel(&slow->deletes, 1) + 1;

	if (now > kolk__load_acquire(&slow->most)) /* two that write at once are two, at least */
		kolk__store_release(&slow->most, now);
	for (int i = 0; i < 2000 && kolk__load_acquire(&slow->most) < UPSTREAMS; i++)
		if (kit_mock_drain(request->conn, 5)) {
			kolk__sub_acq_rel(&slow->deletes, 1);
			return false; /* it was given up */
		}
	return mcp_mock_status(request, "200 OK", "");
}

static bool serve(struct mcp_mock_request *request, void *user_of_mock)
{
	if (strncmp(request->head, "DELETE ", 7) == 0)
		return serve_delete(user_of_mock, request);
	if (mcp_mock_is(request, "tools/call"))
		return mcp_mock_result(request, "{\"content\":[]}");
	return mcp_mock_session(request);
}

/* A pool and a route each. */
static void print_upstreams(const struct kit_mock *mock, char pools[4096], char routes[4096])
{
	size_t pools_size = 0, routes_size = 0;

	for (int i = 0; i < UPSTREAMS; i++) {
		pools_size += (size_t)snprintf(
			pools + pools_size, 4096 - pools_size,
			"  - {name: t%d, protocol: mcp, address: \"%s\", mcp: {era: legacy, "
			"isolation: tenant, sharing: exclusive}, limits: {idle_min: 0}}\n",
			i, kit_mock_address(mock));
		routes_size += (size_t)snprintf(routes + routes_size, 4096 - routes_size,
						"    - {match: {path: /%d}, pool: t%d}\n", i, i);
	}
}

/* A session that is idle ends with its upstream, which takes the time that its server takes; of
 * several at a time. */
static void test_slow_servers(void)
{
	struct slow slow = { .most = KOLK__ATOMIC_INIT(0) };
	struct mcp_mock played = { .serve = serve, .user = &slow };
	struct kit_mock *mock = kit_mock_open(&(struct kit_mock_options){ .play = mcp_mock_play,
									  .user = &played });
	char pools[4096], routes[4096], line[32];
	struct place place;

	print_upstreams(mock, pools, routes);
	MUST(place_open(&place, &(struct place_options){ .upstream = "", .pools = pools,
							 .routes = routes }));
	place.mock = mock;
	for (int i = 0; i < UPSTREAMS; i++) {
		snprintf(line, sizeof line, "POST /%d", i);
		CHECK(ask(&place, line, MODERN_CALL_FIELDS("x"),
			  REQUEST("1", "tools/call", "\"name\":\"x\",\"arguments\":{}," META("", ""))) == 200);
	}
	place_close(&place);
	tap_note("%u of %u sessions ended at a time", kolk__load_acquire(&slow.most), UPSTREAMS);
	CHECK(kolk__load_acquire(&slow.most) > UPSTREAMS / 2); /* one after another: 2 */
}

static const struct tap_test tests[] = {
	{ "SIGTERM: a child that is slow to end has the time that is left", test_slow_child },
	{ "SIGTERM: sessions that are broken off are said", test_broken_off },
	{ "SIGTERM: sessions of several servers that are slow end at a time", test_slow_servers },
};
TAP_TESTS(mcp_end, tests);
