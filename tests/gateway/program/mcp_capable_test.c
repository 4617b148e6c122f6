/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcp_capable_test.c - a server with sessions whose lists hang on what its client can be asked, and
 * clients that have none: the session of a list is made with what its client said.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "tests/gateway/program/mcp_mock.h"
#include "tests/gateway/program/program.h"

static char text[PROGRAM_TEXT];

/* What the client of the last session can be asked. */
struct server {
	kolk__atomic_u32 samples;
};

static bool serve(struct mcp_mock_request *request, void *user)
{
	struct server *server = user;

	if (mcp_mock_is(request, "initialize"))
		kolk__store_release(&server->samples, strstr(request->body, "\"sampling\"") != NULL);
	if (!mcp_mock_is(request, "tools/list"))
		return mcp_mock_session(request);
	return mcp_mock_result(request, kolk__load_acquire(&server->samples) ?
		"{\"tools\":[{\"name\":\"ask\",\"inputSchema\":{\"type\":\"object\"}}]}" : "{\"tools\":[]}");
}

static bool begin(struct program *program, struct kit_mock *mock, const char *mcp)
{
	char pools[512];

	snprintf(pools, sizeof pools, "  - {name: tools, protocol: mcp, address: \"%s\", "
				      "limits: {idle_min: 0}, mcp: {era: legacy%s}}\n",
		 kit_mock_address(mock), mcp);
	return program_start_with(program, &(struct program_file){
		.engine = "loops: 1", .pools = pools,
		.routes = "    - {match: {path: /mcp}, pool: tools, tenant: none}\n" });
}

/* The list of a client with these capabilities. */
static bool list(const struct program *program, const char *capabilities)
{
	char body[512], request[1024];
	int fd = program_connect(program);

	snprintf(body, sizeof body, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{"
		 "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
		 "\"io.modelcontextprotocol/clientInfo\":{\"name\":\"t\",\"version\":\"1\"},"
		 "\"io.modelcontextprotocol/clientCapabilities\":%s}}}", capabilities);
	snprintf(request, sizeof request,
		 "POST /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
		 "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
		 "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/list\r\n"
		 "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
	if (fd < 0 || !client_send(fd, request))
		return FAILED("a request is sent");
	client_read(fd, NULL, text);
	close(fd);
	return strncmp(text, "HTTP/1.1 200", 12) == 0;
}

static void lists(const char *mcp, bool told)
{
	struct server server = { .samples = KOLK__ATOMIC_INIT(0) };
	struct mcp_mock played = { .serve = serve, .user = &server };
	struct kit_mock *mock = kit_mock_open(&(struct kit_mock_options){ .play = mcp_mock_play,
									  .user = &played });
	struct program program;

	MUST(mock != NULL && begin(&program, mock, mcp));
	for (int i = 0; i < 2; i++) {
		CHECK(list(&program, "{\"sampling\":{}}"));
		CHECK((strstr(text, "\"name\":\"ask\"") != NULL) == told);
		CHECK(list(&program, "{}") && strstr(text, "\"tools\":[]") != NULL);
	}
	CHECK(program_stop(&program, 15000));
	kit_mock_close(mock);
}

static void test_alone(void)
{
	lists("", true);
}

/* Sessions of several clients are of none that can be asked. */
static void test_multiplexed(void)
{
	lists(", isolation: shared, sharing: multiplexed", false);
}

static const struct tap_test tests[] = {
	{ "a list is that of a client which can be asked", test_alone },
	{ "a list of shared sessions is not", test_multiplexed },
};

TAP_TESTS(mcp_capable, tests);
