/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_mock.c - an MCP server over HTTP/1.1 that says what a test tells it. */
#define _GNU_SOURCE /* strcasestr */
#include "tests/gateway/program/mcp_mock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_request(struct mcp_mock_request *request)
{
	const char *length;
	size_t size = 0;

	if (!kit_mock_read_until(request->conn, "\r\n\r\n", request->head, sizeof request->head, 60000))
		return false;
	length = strcasestr(request->head, "\r\ncontent-length:");
	if (length != NULL)
		size = strtoul(length + 17, NULL, 10);
	if (size >= sizeof request->body ||
	    (size > 0 && !kit_mock_read(request->conn, request->body, size, 10000)))
		return false;
	request->body[size] = '\0';
	return true;
}

void mcp_mock_play(struct kit_mock_conn *conn, void *user)
{
	const struct mcp_mock *mock = user;
	struct mcp_mock_request *request = calloc(1, sizeof *request);

	if (request == NULL)
		return;
	request->conn = conn;
	while (read_request(request) && mock->serve(request, mock->user))
		;
	free(request);
}

bool mcp_mock_is(const struct mcp_mock_request *request, const char *method)
{
	char member[128];

	snprintf(member, sizeof member, "\"method\":\"%s\"", method);
	return strstr(request->body, member) != NULL;
}

/* Its id, as it is written. */
static int id_of(const struct mcp_mock_request *request, const char **id)
{
	const char *at = strstr(request->body, "\"id\":");

	*id = at != NULL ? at + 5 : "null";
	return (int)strcspn(*id, ",}");
}

bool mcp_mock_result(const struct mcp_mock_request *request, const char *result)
{
	const char *id;
	const int size = id_of(request, &id);
	char json[4096], head[256];

	snprintf(json, sizeof json, "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"result\":%s}", size, id, result);
	snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
				    "Mcp-Session-Id: mock\r\nContent-Length: %zu\r\n\r\n", strlen(json));
	return kit_mock_say(request->conn, head) && kit_mock_say(request->conn, json);
}

bool mcp_mock_status(const struct mcp_mock_request *request, const char *status, const char *fields)
{
	char head[512];

	snprintf(head, sizeof head, "HTTP/1.1 %s\r\n%sContent-Length: 0\r\n\r\n", status, fields);
	return kit_mock_say(request->conn, head);
}

bool mcp_mock_session(const struct mcp_mock_request *request)
{
	if (strncmp(request->head, "GET ", 4) == 0)
		return mcp_mock_status(request, "405 Method Not Allowed", "");
	if (strncmp(request->head, "DELETE ", 7) == 0)
		return mcp_mock_status(request, "200 OK", "");
	if (mcp_mock_is(request, "initialize"))
		return mcp_mock_result(request, "{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{"
						"\"tools\":{}},\"serverInfo\":{\"name\":\"m\",\"version\":\"1\"}}");
	return mcp_mock_status(request, "202 Accepted", "");
}

bool mcp_mock_stream(const struct mcp_mock_request *request)
{
	return kit_mock_say(request->conn, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
					   "Transfer-Encoding: chunked\r\n\r\n");
}

bool mcp_mock_event(const struct mcp_mock_request *request, const char *id, const char *json)
{
	char event[4096], size[16];

	snprintf(event, sizeof event, "%s%s%sdata: %s\n\n", id != NULL ? "id: " : "",
		 id != NULL ? id : "", id != NULL ? "\n" : "", json);
	snprintf(size, sizeof size, "%zx\r\n", strlen(event));
	return kit_mock_say(request->conn, size) && kit_mock_say(request->conn, event) &&
	       kit_mock_say(request->conn, "\r\n");
}

bool mcp_mock_stream_end(const struct mcp_mock_request *request)
{
	return kit_mock_say(request->conn, "0\r\n\r\n");
}

bool mcp_mock_stream_result(const struct mcp_mock_request *request, const char *result)
{
	const char *id;
	const int size = id_of(request, &id);
	char json[2048];

	snprintf(json, sizeof json, "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"result\":%s}", size, id, result);
	return mcp_mock_event(request, NULL, json) && mcp_mock_stream_end(request);
}
