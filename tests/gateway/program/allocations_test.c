/* SPDX-License-Identifier: Apache-2.0 */
/* allocations_test.c - how often the gateway allocates for an ordinary request, on a connection that
 * is kept, when those before it have been served: what is kept for the next one is not counted. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/gateway/program/program.h"
#include "tests/mcp/fixture.h"

/* Measured: 1, 1 and 9. */
enum { FIRST = 100, COUNTED = 200, PASSED_MAX = 1, SESSION_CALL_MAX = 1, MODERN_CALL_MAX = 9 };

static char text[PROGRAM_TEXT];

/* A request, and what its answer has, for each time. */
typedef void write_fn(int number, char request[2048], char answer[64]);

static bool ask(int fd, write_fn *write_one, int number)
{
	char request[2048], answer[64];

	write_one(number, request, answer);
	return client_send(fd, request) && client_read(fd, answer, text);
}

/* Allocations for each request, in hundredths. */
static uint64_t measure(const struct program *program, write_fn *write_one)
{
	int fd = program_connect(program);
	uint64_t before = 0;
	bool ok = fd >= 0;

	for (int i = 0; ok && i < FIRST + COUNTED; i++) {
		if (i == FIRST)
			before = program_allocations(program);
		ok = ask(fd, write_one, i);
	}
	if (!CHECK(ok))
		tap_note("%s", text);
	before = program_allocations(program) - before;
	close(fd);
	return before * 100 / COUNTED;
}

static void note(const char *what, uint64_t hundredths)
{
	tap_note("%s: %llu.%02llu allocations", what, (unsigned long long)hundredths / 100,
		 (unsigned long long)hundredths % 100);
}

/* ---- passed on */

static void play(struct kit_mock_conn *conn, void *user)
{
	char request[4096];

	(void)user;
	while (kit_mock_read_until(conn, "\r\n\r\n", request, sizeof request, 60000))
		kit_mock_say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood");
}

static void write_get(int number, char request[2048], char answer[64])
{
	snprintf(request, 2048, "GET /%d HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n", number);
	strcpy(answer, "good");
}

static void test_passed(void)
{
	struct kit_mock *mock = kit_mock_open(&(struct kit_mock_options){ .play = play });
	struct program program;
	char pools[256];
	uint64_t count;

	MUST(mock != NULL);
	snprintf(pools, sizeof pools, "  - {name: up, address: \"%s\", protocol: http}\n",
		 kit_mock_address(mock));
	MUST(program_start_with(&program, &(struct program_file){
		.engine = "loops: 1", .pools = pools, .counted = true,
		.routes = "    - {match: {path: /}, pool: up}\n" }));
	count = measure(&program, write_get);
	note("a request that is passed on", count);
	CHECK(count <= 100 * PASSED_MAX + 10);
	CHECK(program_stop(&program, 15000));
	kit_mock_close(mock);
}

/* ---- to an MCP server */

static char session[512];

static void write_post(const char *fields, const char *body, char request[2048])
{
	snprintf(request, 2048,
		 "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
		 "Accept: application/json, text/event-stream\r\n%sContent-Length: %zu\r\n\r\n%s",
		 fields, strlen(body), body);
}

static void write_call(int number, char request[2048], char answer[64])
{
	char body[256];

	snprintf(answer, 64, "nonce %d.", number);
	snprintf(body, sizeof body,
		 "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"tools/call\",\"params\":{\"name\":\"echo\","
		 "\"arguments\":{\"nonce\":\"%s\"}}}", number, answer);
	write_post(session, body, request);
}

static void write_modern(int number, char request[2048], char answer[64])
{
	char body[512];

	snprintf(answer, 64, "nonce %d.", number);
	snprintf(body, sizeof body,
		 "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"tools/call\",\"params\":{\"name\":\"echo\","
		 "\"arguments\":{\"nonce\":\"%s\"},\"_meta\":{"
		 "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
		 "\"io.modelcontextprotocol/clientCapabilities\":{}}}}", number, answer);
	write_post("Mcp-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n"
		   "Mcp-Name: echo\r\n", body, request);
}

static bool open_session(const struct program *program)
{
	static const char initialize[] =
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":"
		"\"2025-11-25\",\"capabilities\":{},\"clientInfo\":{\"name\":\"t\",\"version\":\"1\"}}}";
	char request[2048], id[256] = "";
	int fd = program_connect(program);
	const char *at;
	bool ok;

	write_post("", initialize, request);
	ok = fd >= 0 && client_send(fd, request) && client_read(fd, "\"serverInfo\"", text);
	close(fd);
	at = ok ? strstr(text, "mcp-session-id: ") : NULL;
	if (at == NULL || sscanf(at, "mcp-session-id: %250s", id) != 1)
		return FAILED("a session is made");
	snprintf(session, sizeof session, "Mcp-Session-Id: %s\r\n", id);
	return true;
}

static void calls(const char *versions, write_fn *write_one, uint64_t most)
{
	struct mcp_options o = { .listen = "127.0.0.1:0", .versions = versions };
	struct mcp_fixture *server = mcp_fixture_open(&o);
	struct program program;
	char pools[256];
	uint64_t count;

	MUST(server != NULL);
	snprintf(pools, sizeof pools, "  - {name: tools, protocol: mcp, address: \"%s\"}\n",
		 mcp_fixture_address(server));
	MUST(program_start_with(&program, &(struct program_file){
		.engine = "loops: 1", .pools = pools, .counted = true,
		.routes = "    - {match: {path: /mcp}, pool: tools}\n" }));
	MUST(write_one == write_modern || open_session(&program));
	count = measure(&program, write_one);
	note("a tools/call", count);
	CHECK(count <= 100 * most + 10);
	CHECK(program_stop(&program, 15000));
	mcp_fixture_close(server);
}

static void test_session(void)
{
	calls("2025-11-25", write_call, SESSION_CALL_MAX);
}

static void test_modern(void)
{
	calls("2026-07-28", write_modern, MODERN_CALL_MAX);
}

static const struct tap_test tests[] = {
	{ "a request that is passed on", test_passed },
	{ "a call in a session", test_session },
	{ "a stateless call", test_modern },
};

TAP_TESTS(allocations, tests);
