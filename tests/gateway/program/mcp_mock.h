/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_mock.h - an MCP server over HTTP/1.1 that says what a test tells it, however wrong. */
#ifndef KOLK_TESTS_GATEWAY_MCP_MOCK_H
#define KOLK_TESTS_GATEWAY_MCP_MOCK_H

#include "tests/kit/mock.h"

enum { MCP_MOCK_TEXT = 16384 };

/* A request, of which the thread of its connection sees the whole. */
struct mcp_mock_request {
	struct kit_mock_conn *conn;
	char head[MCP_MOCK_TEXT], body[MCP_MOCK_TEXT];
};

/* user of kit_mock_open's mcp_mock_play. False = the connection ends. */
struct mcp_mock {
	bool (*serve)(struct mcp_mock_request *request, void *user);
	void *user;
};
void mcp_mock_play(struct kit_mock_conn *conn, void *user);

/* Whether a request is a message of this method; has this in its body. */
bool mcp_mock_is(const struct mcp_mock_request *request, const char *method);
/* An answer: JSON; a status, and fields of it as lines, or ""; what begins and ends a session, and is
 * the same of all such servers. True: the connection goes on. */
bool mcp_mock_result(const struct mcp_mock_request *request, const char *result);
bool mcp_mock_status(const struct mcp_mock_request *request, const char *status, const char *fields);
bool mcp_mock_session(const struct mcp_mock_request *request);
/* A stream of events: its head, an event (id NULL = without), the result, which is the last one; the
 * end without one. */
bool mcp_mock_stream(const struct mcp_mock_request *request);
bool mcp_mock_event(const struct mcp_mock_request *request, const char *id, const char *json);
bool mcp_mock_stream_result(const struct mcp_mock_request *request, const char *result);
bool mcp_mock_stream_end(const struct mcp_mock_request *request);

#endif
