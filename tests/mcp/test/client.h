/* SPDX-License-Identifier: Apache-2.0 */
/* client.h - a fixture that runs in this process, and bare clients of it. */
#ifndef KOLK_MCP_TEST_CLIENT_H
#define KOLK_MCP_TEST_CLIENT_H

#include "tests/kit/tap.h"
#include "tests/mcp/fixture.h"

enum { CLIENT_TEXT = 1 << 20 };

struct client {
	struct mcp_fixture *fixture;
	char session[80];        /* "Mcp-Session-Id: ...\r\n"; "" = none */
	const char *version;     /* of its session */
	char text[CLIENT_TEXT];  /* what came last */
};

/* Switches as the program has them, "wrong-id=1 sse=1"; NULL = none. NULL, and a failed check, when
 * it does not open. */
struct client *client_open(const char *switches);
void client_close(struct client *client);

/* A connection; a request on it (headers: whole lines; body NULL = none); read until this text is
 * there (NULL = the end). */
int client_connect(struct client *client);
bool client_send(int fd, const char *start, const char *headers, const char *body);
bool client_read(struct client *client, int fd, const char *until);
/* One request on a connection that ends with it: its status, 0 = it broke off. */
int client_ask(struct client *client, const char *start, const char *headers, const char *body);
/* POST /mcp in its session, if it has one; a request of 2026-07-28: with its fields and _meta. */
int client_post(struct client *client, const char *body);
int client_modern(struct client *client, const char *method, const char *name, const char *params);
int client_modern_send(struct client *client, const char *method, const char *name,
		       const char *params);
/* initialize with these capabilities, and initialized. */
bool client_initialize(struct client *client, const char *version, const char *capabilities);
bool client_has(const struct client *client, const char *text);
uint64_t client_number(const struct client *client, enum mcp_number number);

/* A call of a tool, as JSON. */
#define CALL(id, tool, arguments)                                                          \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"tools/call\",\"params\":{\"name\":\"" tool \
	"\",\"arguments\":{" arguments "}}}"
#define REQUEST(id, method)                                                                \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"" method "\",\"params\":{}}"

#endif
