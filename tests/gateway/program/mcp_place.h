/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_place.h - a kolk-gateway in front of MCP servers, and clients of its routes. */
#ifndef KOLK_TESTS_GATEWAY_MCP_PLACE_H
#define KOLK_TESTS_GATEWAY_MCP_PLACE_H

#include "tests/gateway/program/mcp_messages.h"
#include "tests/gateway/program/program.h"
#include "tests/mcp/fixture.h"

struct place {
	struct program program;
	struct mcp_fixture *a, *b; /* the server, and a second one; NULL = there is none */
	struct kit_mock *mock;     /* a server of the test's own, which ends with them; NULL = none */
	bool leaves_sessions;      /* as in place_options */
};

/* NULL and 0 are as it is said. */
struct place_options {
	struct mcp_options server; /* without its listen */
	const char *upstream;      /* instead of a server: "child: {...}"; NULL = the server */
	const char *pool;          /* keys of the pool `tools`; NULL = "limits: {idle_min: 0}" */
	const char *mcp;           /* keys of its mcp; NULL = it has none */
	const char *pools;         /* lines instead of this pool; NULL = this one */
	const char *route;         /* more keys of the routes /mcp and /other; NULL = none */
	const char *routes;        /* lines instead of these two; NULL = these */
	const char *gateway;       /* lines: more keys of gateway; NULL = none */
	const char *engine;        /* keys of it; NULL = "loops: 3" */
	bool users;                /* tenants are named by X-User; the first one is ann */
	bool admin;                /* there is an admin server, for place_get */
	bool counted;              /* what the program allocates is counted */
	/* At the end sessions stay at its servers, whose token these do not take any more. */
	bool leaves_sessions;
};

/* A server, and a program in front of it. False, and a failed check, when one does not come up. */
bool place_open(struct place *place, const struct place_options *options);
/* The program alone, in front of servers that are open. */
bool place_start(struct place *place, const struct place_options *options);
/* Another file, for program_reload. */
bool place_configure(struct place *place, const struct place_options *options);
/* The program ends well, and nothing is left at the servers. */
void place_close(struct place *place);
/* One server ends before the program does, with the same checks. */
void place_server_close(const struct place *place, struct mcp_fixture *server);
/* What the server `a` counted, and `b`. */
uint64_t number(const struct place *place, enum mcp_number of);
uint64_t number_b(const struct place *place, enum mcp_number of);
/* The path of the admin server's socket. */
const char *place_admin(void);
/* What the admin server says at this path: true, or a failed check. */
bool place_get(const struct place *place, const char *path, char to[PROGRAM_TEXT]);

/* ---- clients: each request has a connection of its own, which may be another loop's */

extern __thread char text[PROGRAM_TEXT]; /* the last answer of this thread */
extern __thread const char *user;        /* of its requests: X-User; NULL = without */

/* line: "POST /mcp"; fields: as lines. Its connection. */
int begin_request(const struct place *place, const char *line, const char *fields,
		  const char *body);
/* The whole answer is in the text, and its connection closed: its status, 0 = it has none. */
int read_answer(int fd);
int ask(const struct place *place, const char *line, const char *fields, const char *body);
int post(const struct place *place, const char *fields, const char *body); /* to /mcp */

/* Of the text: the status; whether it has this, and how often; what follows `behind`, up to one of
 * the characters of `until`, copied if it is shorter than size. */
int status(void);
bool has(const char *what);
uint32_t count(const char *what);
bool cut(const char *behind, const char *until, char *to, size_t size);
/* As has; what the text is instead is noted. */
bool says(const char *what);
/* The session that begins with the text: the line of its field. Without one a failed check. */
bool take_session(char field[512]);

/* MODERN_FIELDS; name: of what is asked for, NULL = none. */
void modern_fields(char fields[512], const char *method, const char *name);

#endif
