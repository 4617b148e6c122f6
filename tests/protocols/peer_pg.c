/* SPDX-License-Identifier: Apache-2.0 */
/* peer_pg.c - a server of PostgreSQL's protocol that gives back what it is given, unless the session
 * is not as a new one: then it says so. */
#include "tests/protocols/protocols.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PEERS = 256, HELD = 4096, PREPARED = 64, SSL_REQUEST = 80877103, CANCEL_REQUEST = 80877102 };

struct pg_peer {
	uint64_t number;
	uint8_t held[HELD], out[HELD];
	size_t size, out_size;
	bool greeted, over, set;
	bool skips;        /* after an error, up to the next Sync */
	char status;       /* 'I', 'T', 'E' */
	char sql[64], value[24];
	uint32_t type;     /* of $1, as Parse said */
	struct { char name[16], sql[64]; uint32_t type; } prepared[PREPARED];
};

static struct pg_peer peers[PEERS];

void peer_pg_forget(void)
{
	memset(peers, 0, sizeof peers);
}

static uint32_t u32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof value);
	return ntohl(value);
}

static uint16_t u16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static void put(struct pg_peer *peer, char type, const void *body, size_t size)
{
	uint32_t length = htonl((uint32_t)size + 4);

	if (peer->out_size + size + 5 > HELD)
		return;
	peer->out[peer->out_size++] = (uint8_t)type;
	memcpy(peer->out + peer->out_size, &length, 4);
	memcpy(peer->out + peer->out_size + 4, body, size);
	peer->out_size += size + 4;
}

static void put_text(struct pg_peer *peer, char type, const char *text)
{
	put(peer, type, text, strlen(text) + 1);
}

static void put_error(struct pg_peer *peer, bool missing)
{
	static const char fields[] = "SERROR\0VERROR\0C22012\0Msimulated\0",
			  not_there[] = "SERROR\0VERROR\0C26000\0Mnot there\0";

	put(peer, 'E', missing ? not_there : fields, missing ? sizeof not_there : sizeof fields);
	peer->skips = true;
	if (peer->status == 'T')
		peer->status = 'E';
}

static void put_row(struct pg_peer *peer, const char *value)
{
	uint8_t row[64] = { 0, 1, 0, 0, 0, (uint8_t)strlen(value) };

	memcpy(row + 6, value, strlen(value));
	put(peer, 'D', row, 6 + strlen(value));
}

/* What a command does to the session; its tag. */
static const char *command(struct pg_peer *peer, const char *sql)
{
	if (strncasecmp(sql, "begin", 5) == 0) {
		peer->status = 'T';
		return "BEGIN";
	}
	if (strncasecmp(sql, "rollback", 8) == 0) {
		peer->status = 'I';
		return "ROLLBACK";
	}
	if (strncasecmp(sql, "discard all", 11) == 0) {
		peer->set = false;
		memset(peer->prepared, 0, sizeof peer->prepared);
		return "DISCARD ALL";
	}
	if (strncasecmp(sql, "set leak", 8) == 0) {
		peer->set = true;
		return "SET";
	}
	return "OK";
}

static void execute(struct world *world, struct pg_peer *peer)
{
	if (strncasecmp(peer->sql, "select", 6) != 0) {
		put_text(peer, 'C', command(peer, peer->sql));
		return;
	}
	peer_executed(world, peer->value);
	if (!world->calm && below(world, 16) == 0) {
		put_error(peer, false);
		return;
	}
	put_row(peer, peer->set || peer->status != 'I' ? "leak" : peer->value);
	put_text(peer, 'C', "SELECT 1");
}

/* "select $1" is of its parameter's type, which is text where nobody says another. */
static void describe(struct pg_peer *peer)
{
	uint8_t column[] = { 0, 1, 'v', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff,
			     0xff, 0xff, 0xff, 0xff, 0, 0 };

	column[13] = peer->type != 0 ? (uint8_t)peer->type : 25;
	if (strncasecmp(peer->sql, "select", 6) == 0)
		put(peer, 'T', column, sizeof column);
	else
		put(peer, 'n', "", 0);
}

/* The place of a statement by name; one that is free for name "". */
static int place_of(const struct pg_peer *peer, const char *name)
{
	for (int i = 0; i < PREPARED; i++)
		if (strcmp(peer->prepared[i].name, name) == 0)
			return i;
	return -1;
}

/* Now and then it fails, and nothing is prepared then. */
static void parse(struct world *world, struct pg_peer *peer, const char *name, const char *sql)
{
	const uint8_t *types = (const uint8_t *)sql + strlen(sql) + 1;
	int place = place_of(peer, "");

	if (!world->calm && below(world, 16) == 0) {
		put_error(peer, false);
		return;
	}
	snprintf(peer->sql, sizeof peer->sql, "%.63s", sql);
	peer->type = u16(types) > 0 ? u32(types + 2) : 0;
	if (name[0] != 0 && (place < 0 || place_of(peer, name) >= 0)) {
		world_break(world, "a name is used twice, or too many are kept");
		return;
	}
	if (name[0] != 0) {
		snprintf(peer->prepared[place].name, sizeof peer->prepared->name, "%.15s", name);
		snprintf(peer->prepared[place].sql, sizeof peer->prepared->sql, "%.63s", sql);
		peer->prepared[place].type = peer->type;
	}
	put(peer, '1', "", 0);
}

/* False: there is no statement of that name. */
static bool bind_statement(struct pg_peer *peer, const char *name)
{
	int place = name[0] != 0 ? place_of(peer, name) : 0;

	if (place >= 0 && name[0] != 0) {
		memcpy(peer->sql, peer->prepared[place].sql, sizeof peer->sql);
		peer->type = peer->prepared[place].type;
	}
	return place >= 0;
}

static void forget_statement(struct pg_peer *peer, const char *name)
{
	int place = place_of(peer, name);

	if (place >= 0)
		peer->prepared[place].name[0] = 0;
	put(peer, '3', "", 0);
}

/* portal, statement, formats, values: the first value is kept. */
static void bind_value(struct pg_peer *peer, const uint8_t *body)
{
	const uint8_t *at = body + strlen((const char *)body) + 1;
	uint32_t size;

	at += strlen((const char *)at) + 1;
	at += 2 + 2 * u16(at);
	peer->value[0] = 0;
	if (u16(at) == 0)
		return;
	size = u32(at + 2);
	if (size < sizeof peer->value)
		snprintf(peer->value, sizeof peer->value, "%.*s", (int)size, at + 6);
}

static void message(struct world *world, struct pg_peer *peer, char type, const uint8_t *body)
{
	const char *sql = (const char *)body + strlen((const char *)body) + 1;

	if (type == 'S') {
		peer->skips = false;
	} else if (peer->skips) {
		return;
	}
	switch (type) {
	case 'Q':
		if (body[0] == 0)
			put(peer, 'I', "", 0);
		else
			put_text(peer, 'C', command(peer, (const char *)body));
		put(peer, 'Z', &peer->status, 1);
		break;
	case 'P':
		parse(world, peer, (const char *)body, sql);
		break;
	case 'B':
		if (bind_statement(peer, sql)) {
			bind_value(peer, body);
			put(peer, '2', "", 0);
		} else {
			put_error(peer, true);
		}
		break;
	case 'D':
		describe(peer);
		break;
	case 'E':
		execute(world, peer);
		break;
	case 'S':
		put(peer, 'Z', &peer->status, 1);
		break;
	case 'C':
		forget_statement(peer, (const char *)body + 1);
		break;
	case 'X':
		peer->over = true;
		break;
	default:
		break;
	}
}

static void greet(struct pg_peer *peer)
{
	static const uint8_t trusted[4] = { 0 }, data[8] = { 0, 0, 0, 7, 1, 2, 3, 4 };

	peer->greeted = true;
	peer->status = 'I';
	put(peer, 'R', trusted, 4);
	put(peer, 'S', "server_version\00015", 18);
	put(peer, 'K', data, 8);
	put(peer, 'Z', &peer->status, 1);
}

/* One message out of what came; its length, 0 = not yet. */
static size_t one(struct world *world, struct pg_peer *peer)
{
	size_t head = peer->greeted ? 1 : 0, size;
	uint8_t body[HELD] = { 0 }; /* a message may have no text */

	if (peer->size < head + 8 - head * 4)
		return 0;
	size = head + u32(peer->held + head);
	if (peer->size < size)
		return 0;
	memcpy(body, peer->held, size);
	if (peer->greeted)
		message(world, peer, (char)body[0], body + 5);
	else if (u32(peer->held + 4) == CANCEL_REQUEST)
		peer->over = true;
	else
		greet(peer);
	return size;
}

void peer_pg_play(struct world *world, uint64_t number, const uint8_t *bytes, size_t size)
{
	struct pg_peer *peer = &peers[number % PEERS];
	size_t taken;

	if (peer->number != number)
		*peer = (struct pg_peer){ .number = number };
	if (size > HELD - peer->size) {
		world_break(world, "a request is longer than any that is made here");
		return;
	}
	memcpy(peer->held + peer->size, bytes, size);
	peer->size += size;
	while (!peer->over && (taken = one(world, peer)) > 0) {
		peer->size -= taken;
		memmove(peer->held, peer->held + taken, peer->size);
	}
	if (peer->over)
		kolk__sim_peer_ends(world->sim, number, false);
	else if (peer->out_size > 0)
		peer->over = !peer_say(world, number, (const char *)peer->out, peer->out_size);
	peer->out_size = 0;
}
