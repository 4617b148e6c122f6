/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_idle_test.c - what a stream of events on which nothing happens costs the gateway: memory of both
 * its sides, counted from the outside. */
#include <unistd.h>

#include "tests/gateway/program/mcp_place.h"

/* The first ones take what loops keep for the next requests; the others are counted: so many that what
 * a loaded machine makes loops keep more does not matter. Measured on one: 6 005 and 4 965 bytes. */
enum { FIRST = 20, COUNTED = 280, SESSION_BYTES_MAX = 6400, SUBSCRIPTION_BYTES_MAX = 5400 };

struct streams {
	struct place place;
	int fds[FIRST + COUNTED];
};

static bool begin(struct streams *streams, const char *versions)
{
	return place_open(&streams->place, &(struct place_options){
		.server.versions = versions, .counted = true, .mcp = "sessions_max: 1000",
		.pool = "limits: {connections_max: 1000, idle_min: 0}",
		.engine = "loops: 1, connections_max: 2000, tenant_connections_max: unlimited" });
}

static void end(struct streams *streams)
{
	place_close(&streams->place);
	for (int i = 0; i < FIRST + COUNTED; i++)
		close(streams->fds[i]);
}

/* A request whose answer is there up to this. */
static int ask_until(const struct place *place, const char *line, const char *fields,
		     const char *body, const char *until)
{
	int fd = begin_request(place, line, fields, body);

	if (!client_read(fd, until, text))
		FAILED("a request is answered");
	return fd;
}

/* A session, and its stream. */
static int open_session(const struct place *place)
{
	char session[512];

	(void)post(place, "", INITIALIZE("2025-11-25", ""));
	(void)take_session(session);
	return ask_until(place, "GET /mcp", session, "", "\r\n\r\n");
}

static int open_subscription(const struct place *place)
{
	return ask_until(place, "POST /mcp", MODERN_FIELDS("subscriptions/listen"),
			 REQUEST("\"s\"", "subscriptions/listen",
				 "\"notifications\":{\"toolsListChanged\":true}," META("", "")),
			 "acknowledged");
}

/* Bytes of the gateway for each stream. */
static uint64_t measure(struct streams *streams, int (*open_one)(const struct place *place),
			enum mcp_number open)
{
	const struct place *place = &streams->place;
	uint64_t before, after;

	for (int i = 0; i < FIRST; i++)
		streams->fds[i] = open_one(place);
	CHECK(WITHIN_MS(5000, number(place, open) == FIRST));
	before = program_bytes(&place->program);
	for (int i = FIRST; i < FIRST + COUNTED; i++)
		streams->fds[i] = open_one(place);
	CHECK(WITHIN_MS(5000, number(place, open) == FIRST + COUNTED));
	usleep(100000); /* what was opened beside it has ended */
	after = program_bytes(&place->program);
	return after > before ? (after - before) / COUNTED : 0;
}

static void test_sessions(void)
{
	static struct streams streams;
	uint64_t bytes;

	MUST(begin(&streams, "2025-11-25"));
	bytes = measure(&streams, open_session, MCP_N_get_streams_now);
	tap_note("a session with a stream: %llu bytes", (unsigned long long)bytes);
	CHECK(bytes <= SESSION_BYTES_MAX);
	end(&streams);
}

static void test_subscriptions(void)
{
	static struct streams streams;
	uint64_t bytes;

	MUST(begin(&streams, NULL));
	bytes = measure(&streams, open_subscription, MCP_N_listen_streams_now);
	tap_note("a subscription: %llu bytes", (unsigned long long)bytes);
	CHECK(bytes <= SUBSCRIPTION_BYTES_MAX);
	end(&streams);
}

static const struct tap_test tests[] = {
	{ "the stream of a session", test_sessions },
	{ "a subscription", test_subscriptions },
};

TAP_TESTS(mcp_idle, tests);
