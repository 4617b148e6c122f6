/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_age_test.c - a client's stream that only listens ends at its greatest age, whole, and is asked for
 * again: of a session, of a stateless request, of several servers. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/gateway/program/program.h"
#include "tests/mcp/fixture.h"

static char text[PROGRAM_TEXT];

struct place {
	struct program program;
	struct mcp_fixture *servers[2];
};

static bool begin(struct place *place, const char *versions, const char *target)
{
	struct mcp_options o = { .listen = "127.0.0.1:0", .versions = versions };
	char pools[512], routes[256];

	for (int i = 0; i < 2; i++) {
		place->servers[i] = mcp_fixture_open(&o);
		if (place->servers[i] == NULL)
			return FAILED("there is a server");
	}
	snprintf(pools, sizeof pools,
		 "  - {name: one, protocol: mcp, address: \"%s\", limits: {idle_min: 0}}\n"
		 "  - {name: two, protocol: mcp, address: \"%s\", limits: {idle_min: 0}}\n",
		 mcp_fixture_address(place->servers[0]), mcp_fixture_address(place->servers[1]));
	snprintf(routes, sizeof routes,
		 "    - {match: {path: /mcp}, %s, mcp: {stream_age_max: 1s}}\n", target);
	return program_start(&place->program, pools, routes);
}

static void end(struct place *place)
{
	CHECK(program_stop(&place->program, 15000));
	for (int i = 0; i < 2; i++) {
		CHECK(mcp_fixture_number(place->servers[i], MCP_N_sessions_open) == 0);
		mcp_fixture_close(place->servers[i]);
	}
}

static int ask(const struct place *place, const char *line, const char *fields, const char *body)
{
	int fd = program_connect(&place->program);
	char request[4096];

	snprintf(request, sizeof request,
		 "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
		 "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
		 "%sContent-Length: %zu\r\n\r\n%s", line, fields, strlen(body), body);
	if (fd >= 0 && !client_send(fd, request))
		FAILED("a request is sent");
	return fd;
}

/* A stream comes to its end, that of a body which is whole. */
static bool ends_whole(int fd)
{
	bool ok = client_read(fd, NULL, text) && strncmp(text, "HTTP/1.1 200 ", 13) == 0 &&
		  strstr(text, "text/event-stream") != NULL &&
		  strcmp(text + strlen(text) - 5, "0\r\n\r\n") == 0;

	close(fd);
	return ok;
}

static void test_session(const char *target)
{
	struct place place;
	char session[512], id[256];
	int fd;

	MUST(begin(&place, "2025-11-25", target));
	fd = ask(&place, "POST /mcp", "",
		 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":"
		 "\"2025-11-25\",\"capabilities\":{},\"clientInfo\":{\"name\":\"t\",\"version\":\"1\"}}}");
	MUST(client_read(fd, NULL, text) && strstr(text, "mcp-session-id: ") != NULL &&
	     sscanf(strstr(text, "mcp-session-id: "), "mcp-session-id: %250s", id) == 1);
	close(fd);
	snprintf(session, sizeof session, "Mcp-Session-Id: %s\r\n", id);
	for (int i = 0; i < 2; i++) {
		CHECK(ends_whole(ask(&place, "GET /mcp", session, "")));
		CHECK(WITHIN_MS(10000, mcp_fixture_number(place.servers[0], MCP_N_get_streams_now) == 0));
	}
	fd = ask(&place, "POST /mcp", session, "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\"}");
	CHECK(client_read(fd, NULL, text) && strncmp(text, "HTTP/1.1 200 ", 13) == 0);
	close(fd);
	end(&place);
}

static void test_stream(void)
{
	test_session("pool: one");
}

static void test_federation(void)
{
	test_session("federation: [{pool: one}, {pool: two}]");
}

static void test_subscription(void)
{
	static const char fields[] = "Mcp-Protocol-Version: 2026-07-28\r\n"
				     "Mcp-Method: subscriptions/listen\r\n";
	static const char body[] =
		"{\"jsonrpc\":\"2.0\",\"id\":\"sub\",\"method\":\"subscriptions/listen\",\"params\":{"
		"\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
		"\"io.modelcontextprotocol/clientCapabilities\":{}},\"notifications\":{"
		"\"toolsListChanged\":true}}}";
	static const char *const versions[] = { "2026-07-28", "2025-11-25" };
	struct place place;

	for (int i = 0; i < 2; i++) {
		MUST(begin(&place, versions[i], "pool: one"));
		CHECK(ends_whole(ask(&place, "POST /mcp", fields, body)));
		CHECK(strstr(text, "acknowledged") != NULL);
		CHECK(strstr(text, "\"id\":\"sub\",\"result\":{\"resultType\":\"complete\"") != NULL);
		end(&place);
	}
}

static const struct tap_test tests[] = {
	{ "a stream of a session ends at its greatest age", test_stream },
	{ "one of several servers likewise", test_federation },
	{ "a subscription ends with its result then", test_subscription },
};
TAP_TESTS(mcp_age, tests);
