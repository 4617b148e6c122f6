/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_resume_test.c - a client's stream of a session breaks off, and goes on behind its last event
 * (Streamable HTTP, "Resumability and Redelivery"). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/gateway/program/program.h"
#include "tests/mcp/fixture.h"

static char text[PROGRAM_TEXT];

static int begin_request(const struct program *program, const char *line, const char *fields,
			 const char *body)
{
	int fd = program_connect(program);
	char request[4096];

	snprintf(request, sizeof request,
		 "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
		 "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
		 "%sContent-Length: %zu\r\n\r\n%s", line, fields, strlen(body), body);
	if (fd >= 0 && !client_send(fd, request))
		FAILED("a request is sent");
	return fd;
}

static bool call(const struct program *program, const char *session, const char *message)
{
	char body[1024];
	int fd;

	snprintf(body, sizeof body, "{\"jsonrpc\":\"2.0\",%s}", message);
	fd = begin_request(program, "POST /mcp", session, body);
	client_read(fd, NULL, text);
	close(fd);
	return strncmp(text, "HTTP/1.1 200 ", 13) == 0;
}

/* Until an update of the resource has come: the id of its event. */
static bool hear_update(int fd, char id[64])
{
	const char *at;

	if (!client_read(fd, "notifications/resources/updated", text))
		return FAILED("an update comes");
	for (at = text; strstr(at + 1, "\nid: ") != NULL;)
		at = strstr(at + 1, "\nid: ");
	return CHECK(sscanf(at, "\nid: %63[^\n]", id) == 1);
}

static void test_resumed(void)
{
	static const char touch[] = "\"id\":3,\"method\":\"tools/call\",\"params\":{\"name\":\"touch\","
				    "\"arguments\":{}}";
	struct mcp_options o = { .listen = "127.0.0.1:0", .versions = "2025-11-25" };
	struct mcp_fixture *server = mcp_fixture_open(&o);
	char pools[256], session[512], id[256], first[64], second[64], fields[1024];
	struct program program;
	int fd;

	MUST(server != NULL);
	snprintf(pools, sizeof pools,
		 "  - {name: tools, protocol: mcp, address: \"%s\", limits: {idle_min: 0}, mcp: {sharing: "
		 "bound}}\n", mcp_fixture_address(server));
	MUST(program_start(&program, pools, "    - {match: {path: /mcp}, pool: tools}\n"));
	MUST(call(&program, "",
		  "\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-25\","
		  "\"capabilities\":{},\"clientInfo\":{\"name\":\"t\",\"version\":\"1\"}}"));
	MUST(strstr(text, "mcp-session-id: ") != NULL &&
	     sscanf(strstr(text, "mcp-session-id: "), "mcp-session-id: %250s", id) == 1);
	snprintf(session, sizeof session, "Mcp-Session-Id: %s\r\n", id);
	MUST(call(&program, session, "\"id\":2,\"method\":\"resources/subscribe\",\"params\":{\"uri\":"
				     "\"test://watched-resource\"}"));
	fd = begin_request(&program, "GET /mcp", session, "");
	MUST(client_read(fd, "\r\n\r\n", text));
	MUST(call(&program, session, touch));
	MUST(hear_update(fd, first));
	close(fd);
	CHECK(WITHIN_MS(10000, mcp_fixture_number(server, MCP_N_get_streams_now) == 0));
	MUST(call(&program, session, touch)); /* nobody hears it */
	snprintf(fields, sizeof fields, "%sLast-Event-ID: %s\r\n", session, first);
	fd = begin_request(&program, "GET /mcp", fields, "");
	MUST(hear_update(fd, second));
	CHECK(strcmp(first, second) != 0);
	CHECK(mcp_fixture_number(server, MCP_N_resumes) == 1);
	CHECK(mcp_fixture_number(server, MCP_N_replayed) == 1);
	close(fd);
	CHECK(WITHIN_MS(10000, mcp_fixture_number(server, MCP_N_get_streams_now) == 0));
	snprintf(fields, sizeof fields, "%sLast-Event-ID: no-such-event\r\n", session);
	fd = begin_request(&program, "GET /mcp", fields, "");
	CHECK(client_read(fd, NULL, text) && strncmp(text, "HTTP/1.1 400 ", 13) == 0);
	close(fd);
	CHECK(program_stop(&program, 15000));
	CHECK(mcp_fixture_number(server, MCP_N_sessions_open) == 0);
	mcp_fixture_close(server);
}

static const struct tap_test tests[] = {
	{ "a stream that goes on behind its last event", test_resumed },
};
TAP_TESTS(mcp_resume, tests);
