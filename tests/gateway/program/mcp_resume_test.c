/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_resume_test.c - a client's stream of a session breaks off, and goes on behind its last event
 * (Streamable HTTP, "Resumability and Redelivery"). */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/gateway/program/mcp_mock.h"
#include "tests/gateway/program/mcp_place.h"

/* Until an update of the resource has come: the id of its event. */
static bool hear_update(int fd, char id[64])
{
	const char *at;

	if (!client_read(fd, "notifications/resources/updated", text))
		return FAILED("an update comes");
	for (at = text; strstr(at + 1, "\nid: ") != NULL;)
		at = strstr(at + 1, "\nid: ");
	return CHECK(sscanf(at, "\nid: %63[^\n]", id) == 1);
}

static void test_resumed(void)
{
	static const char touch[] = CALL("3", "touch", "");
	const struct place_options o = { .server.versions = "2025-11-25", .mcp = "sharing: bound" };
	char session[512], first[64], second[64], fields[1024];
	struct place place;
	int fd;

	MUST(place_open(&place, &o));
	MUST(post(&place, "", INITIALIZE("2025-11-25", "")) == 200);
	MUST(take_session(session));
	MUST(post(&place, session, REQUEST("2", "resources/subscribe",
					   "\"uri\":\"test://watched-resource\"")) == 200);
	fd = begin_request(&place, "GET /mcp", session, "");
	MUST(client_read(fd, "\r\n\r\n", text));
	MUST(post(&place, session, touch) == 200);
	MUST(hear_update(fd, first));
	close(fd);
	CHECK(WITHIN_MS(10000, number(&place, MCP_N_get_streams_now) == 0));
	MUST(post(&place, session, touch) == 200); /* nobody hears it */
	snprintf(fields, sizeof fields, "%sLast-Event-ID: %s\r\n", session, first);
	fd = begin_request(&place, "GET /mcp", fields, "");
	MUST(hear_update(fd, second));
	CHECK(strcmp(first, second) != 0);
	CHECK(number(&place, MCP_N_resumes) == 1);
	CHECK(number(&place, MCP_N_replayed) == 1);
	close(fd);
	CHECK(WITHIN_MS(10000, number(&place, MCP_N_get_streams_now) == 0));
	snprintf(fields, sizeof fields, "%sLast-Event-ID: no-such-event\r\n", session);
	fd = begin_request(&place, "GET /mcp", fields, "");
	CHECK(read_answer(fd) == 400);
	place_close(&place);
}

/* ---- what a server says of its stream */

static bool serve_stream(struct mcp_mock_request *request, void *unused)
{
	static const char events[] = "id: e1\nretry: 250\ndata: \n\n" /* what it begins with */
				     "id: e2\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/a\"}\n\n"
				     "retry: 300\n\n";

	(void)unused;
	if (strncmp(request->head, "GET ", 4) != 0)
		return mcp_mock_session(request);
	(void)!(kit_mock_say(request->conn, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
					    "Connection: close\r\n\r\n") &&
		kit_mock_say(request->conn, events));
	return false;
}

static void test_marks(void)
{
	struct mcp_mock server = { .serve = serve_stream };
	struct kit_mock_options mock = { .play = mcp_mock_play, .user = &server };
	struct place place = { .mock = kit_mock_open(&mock) };
	char upstream[128], session[512];
	struct place_options o = { .upstream = upstream, .mcp = "era: legacy" };
	const char *first, *second, *third;

	MUST(place.mock != NULL);
	snprintf(upstream, sizeof upstream, "address: \"%s\"", kit_mock_address(place.mock));
	MUST(place_start(&place, &o));
	MUST(post(&place, "", INITIALIZE("2025-11-25", "")) == 200);
	MUST(take_session(session));
	CHECK(ask(&place, "GET /mcp", session, "") == 200);
	first = strstr(text, "retry: 250\nid: e1\ndata: \n\n");
	second = strstr(text, "id: e2\nevent: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":");
	third = strstr(text, "retry: 300\n\n");
	CHECK(first != NULL && second > first && third > second);
	place_close(&place);
}

/* ---- a client that does not read */

enum { FLOOD_BYTES = 64 << 20, STALLED = 5 };

/* Marks without end: an id each, no message. */
static bool serve_flood(struct mcp_mock_request *request, void *unused)
{
	static const char mark[] = "id: 0123456789abcdef\n\n";
	char marks[sizeof mark * 500] = "";
	bool goes_on = true;

	(void)unused;
	if (strncmp(request->head, "GET ", 4) != 0)
		return mcp_mock_session(request);
	for (int i = 0; i < 500; i++)
		memcpy(marks + (size_t)i * (sizeof mark - 1), mark, sizeof mark);
	goes_on = kit_mock_say(request->conn, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
					      "Connection: close\r\n\r\n");
	for (size_t sent = 0; goes_on && sent < FLOOD_BYTES; sent += strlen(marks))
		goes_on = kit_mock_say(request->conn, marks);
	return false;
}

static uint64_t bytes_of(const struct place *place)
{
	return kit_mock_counts(place->mock).bytes_out;
}

/* Sent so far, when it has been so much for a second; a minute at most. */
static uint64_t stalled_at(const struct place *place)
{
	uint64_t bytes = bytes_of(place), before;

	for (int i = 0, still = 0; i < 300 && still < STALLED; i++) {
		before = bytes;
		usleep(200000);
		bytes = bytes_of(place);
		still = bytes == before && bytes > FLOOD_BYTES / 1000 ? still + 1 : 0;
	}
	return bytes;
}

static void test_marks_are_bounded(void)
{
	struct mcp_mock server = { .serve = serve_flood };
	struct kit_mock_options mock = { .play = mcp_mock_play, .user = &server };
	struct place place = { .mock = kit_mock_open(&mock) };
	char upstream[128], session[512], some[65536];
	struct place_options o = { .upstream = upstream, .mcp = "era: legacy" };
	uint64_t bytes;
	int fd;

	MUST(place.mock != NULL);
	snprintf(upstream, sizeof upstream, "address: \"%s\"", kit_mock_address(place.mock));
	MUST(place_start(&place, &o));
	MUST(post(&place, "", INITIALIZE("2025-11-25", "")) == 200);
	MUST(take_session(session));
	fd = begin_request(&place, "GET /mcp", session, "");
	MUST(client_read(fd, "\r\n\r\n", text));
	bytes = stalled_at(&place);
	CHECK(bytes < FLOOD_BYTES);
	CHECK(WITHIN_MS(10000, read(fd, some, sizeof some) > 0 && bytes_of(&place) > bytes));
	close(fd);
	place_close(&place);
}

static const struct tap_test tests[] = {
	{ "a stream that goes on behind its last event", test_resumed },
	{ "what a stream says of itself is passed on", test_marks },
	{ "a client that does not read holds up a stream of marks", test_marks_are_bounded },
};
TAP_TESTS(mcp_resume, tests);
