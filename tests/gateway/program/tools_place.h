/* SPDX-License-Identifier: Apache-2.0 */
/* tools_place.h - a kolk-gateway with pooled tools, and calls of them. */
#ifndef KOLK_TESTS_GATEWAY_TOOLS_PLACE_H
#define KOLK_TESTS_GATEWAY_TOOLS_PLACE_H

#include <jansson.h>

#include "tests/gateway/program/mcp_place.h"

struct tools_place {
	struct place place;
	char session[512]; /* its field */
	struct kit_peer *peer; /* of its pools, which ends with it; NULL = none */
};

/* Pools, names of tools, tools: lines of the file; and a session. */
bool tools_open(struct tools_place *place, const char *pools, const char *names, const char *tools);
/* With a PostgreSQL of its own, which has run this; its pool is `db`. False without a failed check: it
 * is not installed, and the test is skipped. */
bool tools_open_sql(struct tools_place *place, const char *sql, const char *names, const char *tools);
/* Likewise with a Redis, whose pool is `cache`. */
bool tools_open_redis(struct tools_place *place, const char *names, const char *tools);
/* place_close, and the end of the peer. */
void tools_close(struct tools_place *place);
/* The JSON of an answer, to be freed; NULL and a failed check if there is none. */
json_t *ask_json(const struct tools_place *place, const char *fields, const char *body);
/* A call in the session; arguments are taken over. */
json_t *call(const struct tools_place *place, const char *tool, json_t *arguments);
/* Of the answer to a call. */
json_t *structured(json_t *answer);
bool is_error(json_t *answer);
/* The column t of the first row of a statement's result. */
json_t *text_of_row(json_t *result);
/* Whether a call with these arguments, as JSON, comes to this: structuredContent, or a text. */
bool comes_to(const struct tools_place *place, const char *tool, const char *arguments,
	      const char *wanted, bool failed);

/* An HTTP server that answers with its request, as JSON; and how many it had. */
struct tools_origin {
	struct kit_mock *mock;
	kolk__atomic_u32 requests;
};
/* pools: `web` to it, `dead` to a port at which no server listens. */
bool tools_origin_open(struct tools_origin *origin, char pools[300]);

/* What an argument may say: texts that are another thing to some parser, and each of them behind a
 * letter and in front of one. */
extern const uint32_t attempt_count;
json_t *attempt_of(uint32_t i, char bytes[200], size_t *size);
bool is_same(json_t *value, const char *bytes, size_t size);
void note_attempt(const char *tool, json_t *value);
/* All come back as they were from a tool whose result has a text at that place; those with a NUL
 * only where the protocol has a place for one. */
void attempts_come_back(const struct tools_place *place, const char *tool,
			json_t *(*text_of)(json_t *structured), bool nul);

#endif
