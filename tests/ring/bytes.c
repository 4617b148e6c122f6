/* SPDX-License-Identifier: Apache-2.0 */
/* bytes.c - the bytes of a random program: a sequence for each direction of each connection, so
 * that a lost, doubled or foreign byte shows. */
#include "tests/ring/program.h"

#include <string.h>

/* The bytes from that place on: as many as LARGE, out of a sequence that repeats itself. */
static const uint8_t *bytes_at(const struct conn *conn, uint64_t at, bool from_peer)
{
	static uint8_t sequence[PERIOD + LARGE];

	for (uint64_t i = 0, state = 1; sequence[0] == 0 && i < sizeof sequence; i++) {
		size_t from_end = sizeof sequence - 1 - i; /* the first is made last */

		state = state * 6364136223846793005u + 1442695040888963407u;
		sequence[from_end] = from_end + PERIOD < sizeof sequence ?
					     sequence[from_end + PERIOD] :
					     (uint8_t)(1 + (state >> 40) % 255);
	}
	return sequence + (conn->number * 7919 + from_peer * 104729u + at) % PERIOD;
}

void fill(const struct conn *conn, uint8_t *bytes, size_t size, uint64_t at,
	  bool from_peer)
{
	memcpy(bytes, bytes_at(conn, at, from_peer), size);
}

static bool fits(const struct conn *conn, const uint8_t *bytes, size_t size, uint64_t at,
		 bool from_peer)
{
	return memcmp(bytes, bytes_at(conn, at, from_peer), size) == 0;
}

void got(struct job *job, const void *bytes)
{
	struct conn *conn = job->conn;
	size_t size = (size_t)job->op.result;

	must(job, conn->received + size <= conn->said, "more came than the peer said");
	must(job, fits(conn, bytes, size, conn->received, true),
	     "bytes are lost, doubled or changed");
	conn->received += size;
}

void program_received(struct program *p, struct conn *conn, const uint8_t *bytes, size_t size)
{
	/* The bytes of an operation in flight may arrive before its completion is reported. */
	if (!fits(conn, bytes, size, conn->received_bytes, false))
		program_finding(p, "SEND: the peer got other bytes than were sent");
	conn->received_bytes += size;
}
