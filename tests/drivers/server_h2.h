/* SPDX-License-Identifier: Apache-2.0 */
/* server_h2.h - connections of the HTTP server over HTTP/2 for cmocka: an honest client over
 * nghttp2, and frames that are written by hand. */
#ifndef KOLK_TESTS_SERVER_H2_H
#define KOLK_TESTS_SERVER_H2_H

#include <nghttp2/nghttp2.h>

#include "tests/drivers/server_conn.h"

enum { STREAMS = 256 };

/* One answer, as the client saw it. */
struct seen {
	uint32_t status, informational, heads, error, closed;
	size_t size;
	char body[4096];   /* its beginning */
	char trailer[64];
};

struct fixture {
	struct server_wire wire;
	nghttp2_session *client;
	size_t taken;      /* of what the server sent */
	struct seen seen[STREAMS];
	const char *body;  /* of the next request */
	size_t body_size, body_at;
	bool body_open;    /* more of it comes later */
	bool goaway;
	uint32_t goaway_code;
};

struct pair {
	const char *name, *value;
};

/* Set-up and teardown: *state is a fixture whose requests are answered with "hello". */
int open_fixture(void **state);
int close_fixture(void **state);
/* Another connection, with another client. */
void again(struct fixture *fixture);
/* A request of the client: its stream. */
int32_t request(struct fixture *fixture, const struct pair *fields, size_t count);
int32_t ask(struct fixture *fixture, const char *method, const char *path);
/* What each has for the other, until both are silent. */
void talk(struct fixture *fixture);

/* ---- frames written by hand */

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
/* :method GET, :scheme http, :path /, :authority a: a whole head of a request. */
#define GET_BLOCK { 0x82, 0x86, 0x84, 0x41, 0x01, 'a' }
enum { GET_BLOCK_SIZE = 6, GET_SIZE = 9 + GET_BLOCK_SIZE };
enum { GET_FLAGS = NGHTTP2_FLAG_END_STREAM, GET_WHOLE = GET_FLAGS | NGHTTP2_FLAG_END_HEADERS };

/* A frame's head; a head of a request, whole. */
void put_frame(uint8_t *at, size_t length, uint8_t type, uint8_t flags, uint32_t stream);
void put_get(uint8_t *at, uint8_t flags, uint32_t stream);
/* A client whose frames are written by hand; setting 0 = none. */
void raw_begin(struct fixture *fixture, uint8_t setting, uint32_t value);
void raw_get(struct fixture *fixture, uint32_t stream);

#endif
