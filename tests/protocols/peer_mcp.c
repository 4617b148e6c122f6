/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer_mcp.c - a small server of MCP with sessions, over HTTP/1.1: it loses sessions, answers late, to
 * other ids, or in a stream that breaks off before the answer and may be resumed; and it asks.
 */
#include "tests/protocols/protocols.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PEERS = 256, HELD = 4096, SESSIONS = 1 << 14, STREAMS = 256, LATE = 8 };

struct peer {
	uint64_t number;
	char held[HELD];
	size_t size;
	bool over;
};

struct answer {
	uint64_t peer; /* late: that waits for it; 0 = none */
	char text[1024];
};

static struct {
	struct peer peers[PEERS];
	bool open[SESSIONS];
	uint32_t sessions, streams;
	struct answer late[LATE];
	char resumed[STREAMS][256]; /* the answer that follows event n */
} all;

void peer_mcp_forget(void)
{
	memset(&all, 0, sizeof all);
}

static bool lies(struct world *world, uint64_t one_in)
{
	return !world->calm && below(world, one_in) == 0;
}

static void say(struct world *world, struct peer *peer, const char *text)
{
	peer->over = !peer_say(world, peer->number, text, strlen(text));
}

/* Those that waited are answered, when the next request comes. */
static void say_late(struct world *world)
{
	for (int i = 0; i < LATE; i++) {
		uint64_t number = all.late[i].peer;
		struct peer *peer = &all.peers[number % PEERS];

		if (number == 0 || (!world->calm && below(world, 2)))
			continue;
		all.late[i].peer = 0;
		if (peer->number == number && !peer->over)
			say(world, peer, all.late[i].text);
	}
}

static void say_sometime(struct world *world, struct peer *peer, const char *text)
{
	struct answer *late = &all.late[below(world, LATE)];

	if (!lies(world, 8) || late->peer != 0) {
		say(world, peer, text);
		return;
	}
	late->peer = peer->number;
	snprintf(late->text, sizeof late->text, "%s", text);
}

static void say_status(struct world *world, struct peer *peer, const char *status)
{
	char text[128];

	snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n", status);
	say(world, peer, text);
}

static void say_json(struct world *world, struct peer *peer, const char *fields, const char *json)
{
	char text[1024];

	snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%s"
				    "Content-Length: %zu\r\n\r\n%s", fields, strlen(json), json);
	say_sometime(world, peer, text);
}

static void say_events(struct world *world, struct peer *peer, const char *fields,
		       const char *events)
{
	char text[1024];

	snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n%s"
				    "Transfer-Encoding: chunked\r\n\r\n%zx\r\n%s\r\n0\r\n\r\n",
		 fields, strlen(events), events);
	say_sometime(world, peer, text);
}

static void say_answer(struct world *world, struct peer *peer, const char *fields,
		       const char *json)
{
	char events[512];

	if (below(world, 2)) {
		say_json(world, peer, fields, json);
		return;
	}
	snprintf(events, sizeof events, "%s%sdata: %s\n\n",
		 below(world, 4) == 0 ? "data: {\"jsonrpc\":\"2.0\",\"id\":\"q\",\"method\":\"ping\"}\n\n" :
					"",
		 lies(world, 8) ? "data: {\"jsonrpc\":\"2.0\",\"id\":77777,\"result\":{}}\n\n" : "", json);
	say_events(world, peer, fields, events);
}

static void initialize(struct world *world, struct peer *peer, long id)
{
	char fields[64], json[256];
	uint32_t session = ++all.sessions % SESSIONS;

	all.open[session] = true;
	snprintf(fields, sizeof fields, "Mcp-Session-Id: %u\r\n", session);
	snprintf(json, sizeof json, "{\"jsonrpc\":\"2.0\",\"id\":%ld,\"result\":{\"protocolVersion\":"
				    "\"2025-11-25\",\"capabilities\":{}}}", lies(world, 16) ? id + 1 : id);
	say_answer(world, peer, fields, json);
}

static void tool(struct world *world, struct peer *peer, const char *request, long id)
{
	const char *name = strstr(request, "\"name\":\"");
	char nonce[24] = "", json[256], events[128];

	(void)sscanf(name != NULL ? name + 8 : "", "%20[0-9]", nonce);
	peer_executed(world, nonce);
	snprintf(json, sizeof json, "{\"jsonrpc\":\"2.0\",\"id\":%ld,\"result\":{\"says\":\"%s\"}}",
		 lies(world, 16) ? id + 1 : id, nonce);
	if (below(world, 4) != 0) {
		say_answer(world, peer, "", json);
		return;
	}
	strcpy(all.resumed[++all.streams % STREAMS], json);
	snprintf(events, sizeof events, "id: %u\ndata:\nretry: %u\n\n", all.streams,
		 (unsigned)below(world, 50));
	say_events(world, peer, "", events);
}

static void resume(struct world *world, struct peer *peer, const char *request)
{
	const char *last = strstr(request, "last-event-id: ");
	char events[300];

	if (last == NULL) {
		say_status(world, peer, "405 Method Not Allowed");
		return;
	}
	snprintf(events, sizeof events, "data: %s\n\n",
		 all.resumed[strtoul(last + 15, NULL, 10) % STREAMS]);
	say_events(world, peer, "", events);
}

static void answer(struct world *world, struct peer *peer, const char *request)
{
	const char *named = strstr(request, "mcp-session-id: "), *id = strstr(request, "\"id\":");
	bool *open = &all.open[named != NULL ? strtoul(named + 16, NULL, 10) % SESSIONS : 0];
	long number = id != NULL ? strtol(id + 5, NULL, 10) : 0;

	if (named == NULL) {
		initialize(world, peer, number);
		return;
	}
	if (lies(world, 24))
		*open = false;
	if (!*open)
		say_status(world, peer, "404 Not Found");
	else if (strncmp(request, "GET ", 4) == 0)
		resume(world, peer, request);
	else if (strstr(request, "\"tools/call\"") != NULL)
		tool(world, peer, request, number);
	else
		say_status(world, peer, "202 Accepted");
	if (strncmp(request, "DELETE ", 7) == 0)
		*open = false;
}

static size_t whole(const char *text, size_t size)
{
	const char *end = strstr(text, "\r\n\r\n"), *field = strstr(text, "content-length: ");
	size_t length;

	if (end == NULL)
		return 0;
	length = (size_t)(end - text) + 4;
	if (field != NULL && field < end)
		length += strtoull(field + 16, NULL, 10);
	return size >= length ? length : 0;
}

void peer_mcp_play(struct world *world, uint64_t number, const uint8_t *bytes, size_t size)
{
	struct peer *peer = &all.peers[number % PEERS];
	char request[HELD];
	size_t taken;

	if (peer->number != number)
		*peer = (struct peer){ .number = number };
	if (peer->over)
		return;
	if (size > HELD - 1 - peer->size) {
		world_break(world, "a message is longer than any that is made here");
		return;
	}
	memcpy(peer->held + peer->size, bytes, size);
	peer->size += size;
	peer->held[peer->size] = 0;
	while (!peer->over && (taken = whole(peer->held, peer->size)) > 0) {
		memcpy(request, peer->held, taken);
		request[taken] = 0;
		peer->size -= taken;
		memmove(peer->held, peer->held + taken, peer->size + 1);
		say_late(world);
		answer(world, peer, request);
	}
}
