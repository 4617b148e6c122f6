/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_idle_test.c - what a stream of events on which nothing happens costs the gateway: memory of both
 * its sides, counted from the outside. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/gateway/program/program.h"
#include "tests/mcp/fixture.h"

/* The first ones take what loops keep for the next requests; the others are counted. */
enum { FIRST = 20, COUNTED = 80, SESSION_BYTES_MAX = 13000, SUBSCRIPTION_BYTES_MAX = 12000 };

static char text[PROGRAM_TEXT];

struct place {
	struct program program;
	struct mcp_fixture *server;
	int streams[FIRST + COUNTED];
};

static bool begin(struct place *place, const char *versions)
{
	struct mcp_options o = { .listen = "127.0.0.1:0", .versions = versions };
	char pools[512];

	place->server = mcp_fixture_open(&o);
	if (place->server == NULL)
		return FAILED("there is a server");
	snprintf(pools, sizeof pools,
		 "  - {name: tools, protocol: mcp, address: \"%s\", limits: {connections_max: 1000, "
		 "idle_min: 0}, mcp: {sessions_max: 1000}}\n", mcp_fixture_address(place->server));
	return program_start_with(&place->program, &(struct program_file){
		.engine = "loops: 1, connections_max: 2000, tenant_connections_max: unlimited",
		.pools = pools, .counted = true, .routes = "    - {match: {path: /mcp}, pool: tools}\n" });
}

static void end(struct place *place)
{
	CHECK(program_stop(&place->program, 15000));
	for (int i = 0; i < FIRST + COUNTED; i++)
		close(place->streams[i]);
	mcp_fixture_close(place->server);
}

/* A request on a connection of its own; its answer is there up to this. */
static int ask(const struct place *place, const char *line, const char *fields, const char *body,
	       const char *until)
{
	int fd = program_connect(&place->program);
	char request[4096];

	snprintf(request, sizeof request,
		 "%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
		 "Accept: application/json, text/event-stream\r\n%sContent-Length: %zu\r\n\r\n%s", line,
		 fields, strlen(body), body);
	if (fd < 0 || !client_send(fd, request) || !client_read(fd, until, text))
		FAILED("a request is answered");
	return fd;
}

/* A session, and its stream. */
static int open_session(const struct place *place)
{
	static const char initialize[] =
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":"
		"\"2025-11-25\",\"capabilities\":{},\"clientInfo\":{\"name\":\"t\",\"version\":\"1\"}}}";
	char id[256] = "", fields[512];
	const char *at;

	close(ask(place, "POST /mcp", "", initialize, "\"serverInfo\""));
	at = strstr(text, "mcp-session-id: ");
	if (at == NULL || sscanf(at, "mcp-session-id: %250s", id) != 1)
		FAILED("a session is made");
	snprintf(fields, sizeof fields, "Mcp-Session-Id: %s\r\n", id);
	return ask(place, "GET /mcp", fields, "", "\r\n\r\n");
}

static int open_subscription(const struct place *place)
{
	return ask(place, "POST /mcp",
		   "Mcp-Protocol-Version: 2026-07-28\r\nMcp-Method: subscriptions/listen\r\n",
		   "{\"jsonrpc\":\"2.0\",\"id\":\"s\",\"method\":\"subscriptions/listen\",\"params\":{"
		   "\"notifications\":{\"toolsListChanged\":true},\"_meta\":{"
		   "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
		   "\"io.modelcontextprotocol/clientCapabilities\":{},"
		   "\"io.modelcontextprotocol/clientInfo\":{\"name\":\"t\",\"version\":\"1\"}}}}",
		   "acknowledged");
}

/* Bytes of the gateway for each stream. */
static uint64_t measure(struct place *place, int (*open_one)(const struct place *place),
			enum mcp_number streams)
{
	uint64_t before, after;

	for (int i = 0; i < FIRST; i++)
		place->streams[i] = open_one(place);
	CHECK(WITHIN_MS(5000, mcp_fixture_number(place->server, streams) == FIRST));
	before = program_bytes(&place->program);
	for (int i = FIRST; i < FIRST + COUNTED; i++)
		place->streams[i] = open_one(place);
	CHECK(WITHIN_MS(5000, mcp_fixture_number(place->server, streams) == FIRST + COUNTED));
	usleep(100000); /* what was opened beside it has ended */
	after = program_bytes(&place->program);
	return after > before ? (after - before) / COUNTED : 0;
}

static void test_sessions(void)
{
	static struct place place;
	uint64_t bytes;

	MUST(begin(&place, "2025-11-25"));
	bytes = measure(&place, open_session, MCP_N_get_streams_now);
	tap_note("a session with a stream: %llu bytes", (unsigned long long)bytes);
	CHECK(bytes <= SESSION_BYTES_MAX);
	end(&place);
}

static void test_subscriptions(void)
{
	static struct place place;
	uint64_t bytes;

	MUST(begin(&place, NULL));
	bytes = measure(&place, open_subscription, MCP_N_listen_streams_now);
	tap_note("a subscription: %llu bytes", (unsigned long long)bytes);
	CHECK(bytes <= SUBSCRIPTION_BYTES_MAX);
	end(&place);
}

static const struct tap_test tests[] = {
	{ "the stream of a session", test_sessions },
	{ "a subscription", test_subscriptions },
};

TAP_TESTS(mcp_idle, tests);
