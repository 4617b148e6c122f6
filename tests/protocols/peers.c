/* SPDX-License-Identifier: Apache-2.0 */
/* peers.c - what answers: small servers of HTTP/1.1 and Redis that keep to the protocol, and leave it
 * in the middle of a word now and then. */
#include "tests/protocols/protocols.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PEERS = 256, HELD = 4096 };

struct peer {
	uint64_t number;
	char held[HELD];
	size_t size;
	bool over;          /* it said that this was its last answer */
	bool looked;        /* at the head of a request whose body is to come */
	bool multi, resp3;
	int database;
	char channel[24];   /* it subscribed to; "" = none */
	char queued[24];    /* what an ECHO in a transaction will say */
};

static struct peer peers[PEERS];

void peers_forget(void)
{
	memset(peers, 0, sizeof peers);
	peer_h2_forget();
	peer_pg_forget();
	peer_mcp_forget();
}

void peer_executed(struct world *world, const char *nonce)
{
	uint64_t number = strtoull(nonce, NULL, 10);
	world_trace(world, "   executes %s", nonce);

	if (number > 0 && world->executed[number % NONCES] < UINT8_MAX)
		world->executed[number % NONCES]++;
}

bool peer_say(struct world *world, uint64_t peer, const char *text, size_t size)
{
	if (!world->calm && below(world, 64) == 0) {
		kolk__sim_peer_says(world->sim, peer, text, below(world, size));
		kolk__sim_peer_ends(world->sim, peer, below(world, 2) == 0);
		return false;
	}
	if (size > 1 && below(world, 4) == 0) {
		size_t first = 1 + below(world, size - 1);

		kolk__sim_peer_says(world->sim, peer, text, first);
		text += first;
		size -= first;
	}
	kolk__sim_peer_says(world->sim, peer, text, size);
	return true;
}

static void say(struct world *world, struct peer *peer, const char *text, size_t size)
{
	peer->over = !peer_say(world, peer->number, text, size);
}

/* ---- HTTP/1.1: the answer's body is the target, without its slash */

/* The length of a whole request, 0 = not yet. */
static size_t http_whole(const char *text, size_t size)
{
	const char *end = memmem(text, size, "\r\n\r\n", 4), *field, *last;
	size_t head;

	if (end == NULL)
		return 0;
	head = (size_t)(end - text) + 4;
	field = memmem(text, head, "content-length: ", 16);
	if (field == NULL)
		field = memmem(text, head, "Content-Length: ", 16);
	if (field != NULL) {
		head += strtoull(field + 16, NULL, 10);
		return size >= head ? head : 0;
	}
	if (memmem(text, head, "chunked", 7) == NULL)
		return head;
	last = memmem(text + head, size - head, "0\r\n", 3); /* a body has no 0 here */
	if (last == NULL)
		return 0;
	last = memmem(last, size - (size_t)(last - text), "\r\n\r\n", 4);
	return last != NULL ? (size_t)(last - text) + 4 : 0;
}

static void http_answer(struct world *world, struct peer *peer, const char *request)
{
	char nonce[24] = "", text[512];
	bool last = below(world, 16) == 0, is_head = memcmp(request, "HEAD ", 5) == 0;
	bool trailer = below(world, 4) == 0;
	const char *closing = !last ? "" : below(world, 3) ? "Connection: close\r\n" :
							      "Keep-Alive: timeout=5, max=1\r\n";
	bool open_ended = last && !is_head && below(world, 3) == 0;
	int size = 0;

	(void)sscanf(strchr(request, '/') + 1, "%20[0-9]", nonce);
	peer_executed(world, nonce);
	if (below(world, 16) == 0)
		size = snprintf(text, sizeof text, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
	if (open_ended) /* cut short it looks whole, without TLS: so it is not */
		size += snprintf(text + size, sizeof text - (size_t)size,
				 "HTTP/1.1 200 OK\r\n%sX-Nonce: %s\r\n\r\n%s", closing, nonce, nonce);
	else if (is_head || below(world, 2) == 0)
		size += snprintf(text + size, sizeof text - (size_t)size,
				 "HTTP/1.1 200 OK\r\n%sContent-Length: %zu\r\nX-Nonce: %s\r\n\r\n%s",
				 closing, strlen(nonce), nonce, is_head ? "" : nonce);
	else
		size += snprintf(text + size, sizeof text - (size_t)size,
				 "HTTP/1.1 200 OK\r\n%sTransfer-Encoding: chunked\r\n%sX-Nonce: %s\r\n\r\n"
				 "1\r\n%c\r\n%zx\r\n%s\r\n0\r\n%s%s%s\r\n", closing,
				 trailer ? "Trailer: x-trailer\r\n" : "", nonce, nonce[0],
				 strlen(nonce) - 1, nonce + 1, trailer ? "X-Trailer: " : "",
				 trailer ? nonce : "", trailer ? "\r\n" : "");
	if (open_ended)
		kolk__sim_peer_says(world->sim, peer->number, text, (size_t)size);
	else
		say(world, peer, text, (size_t)size);
	if (last && !peer->over)
		kolk__sim_peer_ends(world->sim, peer->number, false);
	peer->over = peer->over || last;
}

/* A head is there, and its body is not: leave to go on, or an answer too early. */
static void http_look(struct world *world, struct peer *peer)
{
	if (peer->looked || memmem(peer->held, peer->size, "\r\n\r\n", 4) == NULL)
		return;
	peer->looked = true;
	if (!world->calm && below(world, 8) == 0) {
		http_answer(world, peer, peer->held);
		if (!peer->over && below(world, 2) == 0)
			kolk__sim_peer_ends(world->sim, peer->number, below(world, 2));
		peer->over = true; /* what comes now is not heard */
	} else if (strstr(peer->held, "100-continue") != NULL && below(world, 2) == 0) {
		say(world, peer, "HTTP/1.1 100 Continue\r\n\r\n", 25);
	}
}

/* ---- Redis */

/* One command out of what came: its words; the length, 0 = not yet. */
static size_t redis_whole(char *text, size_t size, char words[4][24], int *count)
{
	const char *at = text, *end = text + size, *line;

	*count = 0;
	if (size == 0 || *at != '*' || (line = memchr(at, '\n', size)) == NULL)
		return 0;
	for (long n = strtol(at + 1, NULL, 10), i = 0; i < n; i++) {
		size_t length;

		at = line + 1;
		line = memchr(at, '\n', (size_t)(end - at));
		if (line == NULL)
			return 0;
		length = strtoull(at + 1, NULL, 10);
		if ((size_t)(end - line - 1) < length + 2)
			return 0;
		if (*count < 4)
			snprintf(words[(*count)++], 24, "%.*s", (int)length, line + 1);
		line += length + 2;
	}
	return (size_t)(line + 1 - text);
}

static bool is_for_subscribers(const char *name)
{
	return strcmp(name, "PING") == 0 || strcmp(name, "RESET") == 0 ||
	       strcmp(name, "SUBSCRIBE") == 0 || strcmp(name, "UNSUBSCRIBE") == 0;
}

static int redis_bulk(char *at, size_t size, const char *text)
{
	return snprintf(at, size, "$%zu\r\n%.23s\r\n", strlen(text), text);
}

/* SUBSCRIBE and UNSUBSCRIBE, of one channel at a time. */
static void redis_subscribe(struct peer *peer, const char *name, const char *channel, char *at,
			    size_t size)
{
	bool begins = strcmp(name, "SUBSCRIBE") == 0;

	snprintf(peer->channel, sizeof peer->channel, "%s", begins ? channel : "");
	snprintf(at, size, "%c3\r\n$%d\r\n%s\r\n$%zu\r\n%.23s\r\n:%d\r\n",
		 peer->resp3 ? '>' : '*', begins ? 9 : 11, begins ? "subscribe" : "unsubscribe",
		 strlen(channel), channel, begins);
}

/* EXEC, and what ends a transaction otherwise. */
static void redis_end(struct peer *peer, bool executes, char *at, size_t size)
{
	if (!peer->multi)
		snprintf(at, size, "-ERR %s without MULTI\r\n", executes ? "EXEC" : "DISCARD");
	else if (executes && peer->queued[0] != '\0')
		redis_bulk(at + snprintf(at, size, "*1\r\n"), size - 4, peer->queued);
	else if (executes)
		snprintf(at, size, "*0\r\n");
	peer->multi = false;
	peer->queued[0] = '\0';
}

/* What is neither queued nor about the connection. */
static void redis_plain(struct world *world, struct peer *peer, const char *name, const char *word,
			char *at, size_t size)
{
	bool is_subscriber = peer->channel[0] != '\0' && !peer->resp3;

	if (strcmp(name, "PING") == 0 && is_subscriber)
		redis_bulk(at + snprintf(at, size, "*2\r\n$4\r\npong\r\n"), size - 14, word);
	else if (strcmp(name, "PING") == 0 && word[0] == '\0')
		snprintf(at, size, "+PONG\r\n");
	else if (strcmp(name, "PING") == 0)
		redis_bulk(at, size, word);
	else if (strcmp(name, "SELECT") == 0)
		peer->database = atoi(word);
	else if (strcmp(name, "ECHO") == 0 && peer->database != 0)
		snprintf(at, size, "-ERR another database\r\n");
	else if (strcmp(name, "ECHO") == 0)
		redis_bulk(at, size, word);
	else if (strcmp(name, "LRANGE") == 0) /* looks like a message, and is nested */
		redis_bulk(at + snprintf(at, size, "*3\r\n$7\r\nmessage\r\n*1\r\n*0\r\n"), size - 25,
			   word);
	else if (strcmp(name, "GET") == 0)
		snprintf(at, size, "-WRONGTYPE %.23s\r\n", word);
	if (strcmp(name, "ECHO") == 0)
		peer_executed(world, word);
}

/* What comes unasked, at any time. */
static int redis_unasked(struct world *world, const struct peer *peer, char *at, size_t size)
{
	if (peer->channel[0] != '\0' && below(world, 3) == 0)
		return snprintf(at, size, "%c3\r\n$7\r\nmessage\r\n$%zu\r\n%s\r\n$1\r\nm\r\n",
				peer->resp3 ? '>' : '*', strlen(peer->channel), peer->channel);
	if (peer->resp3 && below(world, 16) == 0)
		return snprintf(at, size, ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n");
	return 0;
}

static void redis_answer(struct world *world, struct peer *peer, char words[4][24], int count)
{
	const char *name = words[0], *word = count > 1 ? words[1] : "";
	char text[512] = "", *at = text + redis_unasked(world, peer, text, 128);
	size_t size = 128;

	strcpy(at, "+OK\r\n");
	if (strcmp(name, "HELLO") == 0) {
		peer->resp3 = true;
		strcpy(at, "%2\r\n+server\r\n+redis\r\n$5\r\nproto\r\n:3\r\n");
	} else if (strcmp(name, "RESET") == 0) {
		*peer = (struct peer){ .number = peer->number, .size = peer->size };
		strcpy(at, "+RESET\r\n");
	} else if (peer->channel[0] != '\0' && !peer->resp3 && !is_for_subscribers(name)) {
		strcpy(at, "-ERR Can't execute in this context\r\n");
	} else if (strcmp(name, "SUBSCRIBE") == 0 || strcmp(name, "UNSUBSCRIBE") == 0) {
		redis_subscribe(peer, name, word, at, size);
	} else if (strcmp(name, "EXEC") == 0 || strcmp(name, "DISCARD") == 0) {
		redis_end(peer, name[0] == 'E', at, size);
	} else if (peer->multi) {
		strcpy(at, "+QUEUED\r\n");
		if (strcmp(name, "ECHO") == 0)
			snprintf(peer->queued, sizeof peer->queued, "%s", word);
	} else if (strcmp(name, "MULTI") == 0) {
		peer->multi = true;
	} else {
		redis_plain(world, peer, name, word, at, size);
	}
	at += strlen(at);
	at += redis_unasked(world, peer, at, 128);
	say(world, peer, text, (size_t)(at - text));
}

/* ---- both */

static size_t one_request(struct world *world, struct peer *peer, uint16_t port)
{
	char words[4][24];
	size_t size;
	int count;

	if (port == PORT_REDIS) {
		size = redis_whole(peer->held, peer->size, words, &count);
		if (size > 0)
			redis_answer(world, peer, words, count);
		return size;
	}
	size = http_whole(peer->held, peer->size);
	if (size > 0)
		http_answer(world, peer, peer->held);
	else
		http_look(world, peer);
	peer->looked = peer->looked && size == 0;
	return size;
}

void peers_play(void *user, uint64_t number, uint16_t port, const uint8_t *bytes, size_t size)
{
	struct world *world = user;
	struct peer *peer = &peers[number % PEERS];
	size_t taken;

	if (port == PORT_HTTP2 || port == PORT_PG || port == PORT_MCP) {
		(port == PORT_PG ? peer_pg_play : port == PORT_MCP ? peer_mcp_play : peer_h2_play)(
			world, number, bytes, size);
		return;
	}
	if (peer->number != number)
		*peer = (struct peer){ .number = number };
	if (peer->over)
		return;
	if (size > HELD - 1 - peer->size) {
		world_break(world, "a request is longer than any that is made here");
		return;
	}
	memcpy(peer->held + peer->size, bytes, size);
	peer->size += size;
	peer->held[peer->size] = 0;
	while (!peer->over && (taken = one_request(world, peer, port)) > 0) {
		peer->size -= taken;
		memmove(peer->held, peer->held + taken, peer->size + 1);
	}
}
