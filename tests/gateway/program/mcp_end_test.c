/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_end_test.c - SIGTERM, and a server of MCP that is slow to end. */
#include <stdio.h>
#include <string.h>

#include "tests/gateway/program/program.h"

static char text[PROGRAM_TEXT];

#define INITIALIZE                                                                            \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":" \
	"\"2025-11-25\",\"capabilities\":{},\"clientInfo\":{\"name\":\"t\",\"version\":\"1\"}}}"

/* It ends by SIGTERM alone, which it gets a second after the end of its input: within drain_timeout. */
static void test_slow_child(void)
{
	struct program program;
	char request[512];

	MUST(program_start(&program,
			   "  - {name: tools, protocol: mcp, child: {command: [" MCP_FIXTURE_PROGRAM
			   ", --stdio, --ignore-end]}}\n", "    - {match: {path: /mcp}, pool: tools}\n"));
	snprintf(request, sizeof request,
		 "POST /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
		 "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
		 "Content-Length: %zu\r\n\r\n" INITIALIZE, strlen(INITIALIZE));
	CHECK(program_ask(&program, request, text) == 0 && strstr(text, "mcp-session-id: ") != NULL);
	CHECK(program_stop(&program, 30000));
}

static const struct tap_test tests[] = {
	{ "SIGTERM: a child that is slow to end has the time that is left", test_slow_child },
};
TAP_TESTS(mcp_end, tests);
