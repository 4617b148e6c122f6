/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcp_older_test.c - what older versions of MCP have: clients that send arrays of messages
 * (2025-03-26), servers that speak HTTP+SSE (2024-11-05).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/gateway/program/program.h"
#include "tests/mcp/fixture.h"

static char text[PROGRAM_TEXT];

struct place {
	struct program program;
	struct mcp_fixture *server;
};

static bool begin(struct place *place, const char *mcp, struct mcp_options o)
{
	char pools[512];

	o.listen = "127.0.0.1:0";
	place->server = mcp_fixture_open(&o);
	if (place->server == NULL)
		return FAILED("there is a server");
	snprintf(pools, sizeof pools,
		 "  - {name: tools, protocol: mcp, address: \"%s\", limits: {idle_min: 0}, health: "
		 "{mend_timeout: none}, mcp: {%s}}\n"
		 "admin: {listen: \"unix:/tmp/kolk-mcp-older-%d.sock\"}\n",
		 mcp_fixture_address(place->server), mcp, (int)getpid());
	return program_start_with(&place->program, &(struct program_file){
		.engine = "loops: 3", .pools = pools,
		.routes = "    - {match: {path: /mcp}, pool: tools}\n" });
}

static uint64_t number(const struct place *place, enum mcp_number of)
{
	return mcp_fixture_number(place->server, of);
}

static void end(struct place *place)
{
	CHECK(program_stop(&place->program, 15000));
	CHECK(WITHIN_MS(5000, number(place, MCP_N_sessions_open) == 0));
	CHECK(number(place, MCP_N_calls_now) == 0);
	CHECK(number(place, MCP_N_leaks) == 0 && number(place, MCP_N_duplicate_ids) == 0);
	mcp_fixture_close(place->server);
}

/* A request on a connection of its own, which may be another loop's. session: its id, or more fields
 * behind it. */
static int begin_request(const struct place *place, const char *line, const char *session,
			 const char *body)
{
	size_t room = strlen(body) + 1024;
	char *request = malloc(room);
	int fd = program_connect(&place->program);

	snprintf(request, room,
		 "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
		 "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
		 "%s%s%sContent-Length: %zu\r\n\r\n%s", line,
		 session[0] != '\0' ? "Mcp-Session-Id: " : "", session, session[0] != '\0' ? "\r\n" : "",
		 strlen(body), body);
	if (fd >= 0 && !client_send(fd, request))
		FAILED("a request is sent");
	free(request);
	return fd;
}

static int status(void)
{
	return strncmp(text, "HTTP/1.1 ", 9) == 0 ? atoi(text + 9) : 0;
}

static int ask(const struct place *place, const char *session, const char *body)
{
	int fd = begin_request(place, "POST /mcp", session, body);

	client_read(fd, NULL, text);
	close(fd);
	return status();
}

static bool has(const char *what)
{
	return strstr(text, what) != NULL;
}

#define INITIALIZE(version)                                                                        \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":" \
	"\"" version "\",\"capabilities\":{\"sampling\":{}},\"clientInfo\":{\"name\":\"t\","       \
	"\"version\":\"1\"}}}"
#define CALL(id, tool, arguments)                                                               \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"tools/call\",\"params\":{\"name\":\"" tool \
	"\",\"arguments\":{" arguments "}}}"
#define PROGRESS(id)                                                                            \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"tools/call\",\"params\":{\"name\":"       \
	"\"progress\",\"arguments\":{\"steps\":2,\"ms\":1},\"_meta\":{\"progressToken\":\"t" id "\"}}}"
#define INITIALIZED "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}"
#define CANCEL(id)                                                                        \
	"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":" \
	id "}}"

static bool open_session(const struct place *place, const char *initialize, char id[256])
{
	char *at;

	id[0] = '\0';
	if (ask(place, "", initialize) != 200)
		return FAILED("a session is made");
	at = strstr(text, "mcp-session-id: ");
	return at != NULL && sscanf(at, "mcp-session-id: %250s", id) == 1;
}

/* ---- arrays */

static void test_array(void)
{
	struct place place;
	char id[256];

	MUST(begin(&place, "sharing: bound", (struct mcp_options){ .listen = NULL }));
	MUST(open_session(&place, INITIALIZE("2025-03-26"), id));
	for (int i = 0; i < 6; i++) { /* over each loop */
		CHECK(ask(&place, id, " [" CALL("1", "echo", "\"nonce\":\"n1\"") ", " INITIALIZED ","
				      CALL("\"x\\u0031\"", "echo", "\"nonce\":\"n2\"") "]\n") == 200);
		CHECK(has("content-type: application/json") && has("\r\n\r\n[{\"jsonrpc\":\"2.0\",\"id\":1,"));
		CHECK(has("},{\"jsonrpc\":\"2.0\",\"id\":\"x\\u0031\"") && has("n1") && has("n2"));
		CHECK(text[strlen(text) - 1] == ']');
	}
	CHECK(ask(&place, id, "[" INITIALIZED "," INITIALIZED "]") == 202);
	CHECK(ask(&place, id, "[" PROGRESS("1") "," CALL("2", "echo", "") "," PROGRESS("3") "]") == 200);
	CHECK(has("content-type: text/event-stream"));
	CHECK(has("\"progressToken\":\"t1\"") && has("\"progressToken\":\"t3\""));
	CHECK(has("\"id\":1,\"result\"") && has("\"id\":2,\"result\"") && has("\"id\":3,\"result\""));
	CHECK(ask(&place, id, "[{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"no/such\"}]") == 200);
	CHECK(has("\r\n\r\n[{") && has("-32601") && has("\"id\":4"));
	CHECK(number(&place, MCP_N_batches) == 0 && number(&place, MCP_N_tool_calls) == 15);
	end(&place);
}

static void write_pings(char *at, int count)
{
	for (int i = 0; i < count; i++)
		at += sprintf(at, "%s{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"ping\"}",
			      i == 0 ? "[" : ",", i);
	strcpy(at, "]");
}

static void test_refused(void)
{
	static const struct {
		const char *fields, *body, *code;
		bool alone; /* without a session */
		int status;
	} cases[] = {
		{ "", "[]", "-32600", false, 400 },
		{ "", "[" CALL("1", "echo", "") ",[" CALL("2", "echo", "") "]]", "-32600", false, 400 },
		{ "", "[" CALL("1", "echo", "") "," CALL("1", "echo", "") "]", "-32600", false, 400 },
		{ "", "[" CALL("\"a\"", "echo", "") "," CALL("\"\\u0061\"", "echo", "") "]", "-32600",
		  false, 400 },
		{ "", "[" CALL("1", "echo", "") "," INITIALIZE("2025-03-26") "]", "-32600", false, 400 },
		{ "", "[" CALL("1", "echo", "") ",7]", "-32600", false, 400 },
		{ "", "[" CALL("1", "echo", "") ",{\"jsonrpc\":\"1.0\",\"method\":\"m\"}]", "-32600",
		  false, 400 },
		{ "", "[" CALL("1", "echo", "") ",", "-32700", false, 400 },
		{ "", "[" CALL("1", "echo", "") "] x", "-32700", false, 400 },
		{ "", "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{\"_meta\":{"
		  "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"}}}]", "-32600", false, 400 },
		{ "\r\nMcp-Protocol-Version: 2025-06-18", "[" CALL("1", "echo", "") "]", "-32600", false,
		  400 },
		{ "\r\nMcp-Protocol-Version: 2026-07-28", "[" CALL("1", "echo", "") "]", "-32600", false,
		  400 },
		{ "", "[" CALL("1", "echo", "") "]", "-32600", true, 400 },
		{ "4711", "[" CALL("1", "echo", "") "]", "-32001", true, 404 },
	};
	struct place place;
	char id[256], shown[512], array[8192];

	MUST(begin(&place, "sharing: bound", (struct mcp_options){ .listen = NULL }));
	MUST(open_session(&place, INITIALIZE("2025-03-26"), id));
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		snprintf(shown, sizeof shown, "%s%s", cases[i].alone ? "" : id, cases[i].fields);
		if (ask(&place, shown, cases[i].body) == cases[i].status && has(cases[i].code))
			continue;
		tap_note("case %zu: %s", i, text);
		FAILED("it is refused with the status and the code of its row");
	}
	write_pings(array, 101);
	CHECK(ask(&place, id, array) == 400 && has("-32600") && has("too many"));
	CHECK(number(&place, MCP_N_tool_calls) == 0 && number(&place, MCP_N_requests) == 1);
	write_pings(array, 100);
	CHECK(ask(&place, id, array) == 200 && has("\"id\":0,") && has("\"id\":99,"));
	CHECK(number(&place, MCP_N_requests) == 101);
	MUST(open_session(&place, INITIALIZE("2025-06-18"), id));
	CHECK(ask(&place, id, "[" CALL("1", "echo", "") "]") == 400 && has("-32600"));
	CHECK(number(&place, MCP_N_tool_calls) == 0);
	end(&place);
}

/* Each message is as if it had come alone. */
static void test_parts(void)
{
	struct place place;
	char id[256], server_id[64], reply[512], *at;
	int fd;

	MUST(begin(&place, "sharing: bound", (struct mcp_options){ .listen = NULL }));
	MUST(open_session(&place, INITIALIZE("2025-03-26"), id));
	fd = begin_request(&place, "POST /mcp", id,
			   "[" CALL("5", "slow", "\"ms\":60000") "," CALL("6", "echo", "") "]");
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_calls_now) == 1));
	CHECK(ask(&place, id, "[" CANCEL("5") "]") == 202);
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_cancels_notified) == 1));
	CHECK(client_read(fd, NULL, text) && status() == 200 && has("\r\n\r\n[{") && has("\"id\":6,"));
	CHECK(!has("\"id\":5,"));
	close(fd);
	/* The server may hear of the second before it has the first, and do it in vain. */
	CHECK(ask(&place, id, "[" CALL("7", "slow", "\"ms\":300") "," CANCEL("7") "]") == 200);
	CHECK(has("text/event-stream") && !has("data:"));
	fd = begin_request(&place, "POST /mcp", id,
			   "[" CALL("8", "test_sampling", "\"prompt\":\"p\"") "," CALL("9", "echo", "") "]");
	MUST(client_read(fd, "sampling/createMessage", text));
	at = strstr(text, "\"method\":\"sampling");
	while (at > text && strncmp(at, "\"id\":", 5) != 0)
		at--;
	MUST(sscanf(at, "\"id\":%60[^,]", server_id) == 1);
	snprintf(reply, sizeof reply,
		 "[{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"role\":\"assistant\",\"content\":"
		 "{\"type\":\"text\",\"text\":\"the answer\"},\"model\":\"m\"}}]", server_id);
	CHECK(ask(&place, id, reply) == 202);
	CHECK(client_read(fd, NULL, text) && has("\"id\":8,\"result\"") && has("the answer"));
	close(fd);
	/* A client that goes did not cancel. */
	fd = begin_request(&place, "POST /mcp", id, "[" CALL("1", "slow", "\"ms\":200") "]");
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_calls_now) == 1));
	close(fd);
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_calls_now) == 0));
	CHECK(ask(&place, id, "[" CALL("2", "echo", "\"nonce\":\"still\"") "]") == 200 && has("still"));
	end(&place);
}

static void test_lost(void)
{
	struct place place;
	char id[256];

	MUST(begin(&place, "sharing: bound", (struct mcp_options){ .lose = 3 }));
	MUST(open_session(&place, INITIALIZE("2025-03-26"), id));
	for (int i = 0; i < 5 && ask(&place, id, "[" CALL("1", "echo", "") "," INITIALIZED "]") == 200;
	     i++)
		;
	CHECK(status() == 404 && has("\"id\":1"));
	CHECK(ask(&place, id, "[" CALL("1", "echo", "") "]") == 404 && has("-32001"));
	end(&place);
}

/* Answers that are long together are not held until the last one has come. */
static void test_long(void)
{
	enum { COUNT = 8, SIZE = 150000 };
	static char array[COUNT * (SIZE + 200)];
	struct place place;
	size_t had = 0;
	char id[256], *at = array;
	ssize_t size = 1;
	int fd;

	MUST(begin(&place, "sharing: bound", (struct mcp_options){ .listen = NULL }));
	MUST(open_session(&place, INITIALIZE("2025-03-26"), id));
	for (int i = 0; i < COUNT; i++) {
		at += sprintf(at, "%s{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"tools/call\","
				  "\"params\":{\"name\":\"echo\",\"arguments\":{\"nonce\":\"",
			      i == 0 ? "[" : ",", i);
		at = (char *)memset(at, 'x', SIZE) + SIZE;
		at = stpcpy(at, "\"}}}");
	}
	strcpy(at, "]");
	fd = begin_request(&place, "POST /mcp", id, array);
	CHECK(client_read(fd, "\r\n\r\n", text) && has("content-type: text/event-stream"));
	for (; size > 0; had += (size_t)size)
		size = recv(fd, text, sizeof text, 0);
	CHECK(had > (size_t)COUNT * SIZE - sizeof text);
	close(fd);
	CHECK(ask(&place, id, "[" CALL("3", "echo", "\"nonce\":\"on\"") "]") == 200 && has("\r\n\r\n[{"));
	end(&place);
}

static int count(const char *what)
{
	int found = 0;

	for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
		found++;
	return found;
}

/* Answers to an array have one limit: what is beyond it is an error, and the session goes on. */
static void test_too_long(void)
{
	enum { COUNT = 5, SIZE = 10000 };
	char id[256], array[COUNT * (SIZE + 200)], *at = array;
	struct place place;

	MUST(begin(&place, "sharing: bound, message_bytes_max: 32KiB",
		   (struct mcp_options){ .listen = NULL }));
	MUST(open_session(&place, INITIALIZE("2025-03-26"), id));
	for (int i = 0; i < COUNT; i++) {
		at += sprintf(at, "%s{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"tools/call\","
				  "\"params\":{\"name\":\"echo\",\"arguments\":{\"nonce\":\"",
			      i == 0 ? "[" : ",", i);
		at = (char *)memset(at, 'x', SIZE) + SIZE;
		at = stpcpy(at, "\"}}}");
	}
	strcpy(at, "]");
	CHECK(ask(&place, id, array) == 200 && has("\r\n\r\n[{"));
	CHECK(count("\"result\":") == 3 && count("too long together") == COUNT - 3);
	CHECK(count("\"id\":") == COUNT && count("-32603") == COUNT - 3);
	CHECK(ask(&place, id, "[" CALL("3", "echo", "\"nonce\":\"on\"") "]") == 200 && has("on"));
	end(&place);
}

/* ---- servers of 2024-11-05 */

static void read_status(void)
{
	char command[256];
	FILE *out;

	snprintf(command, sizeof command, "curl -s -m 20 --unix-socket /tmp/kolk-mcp-older-%d.sock "
					  "http://kolk/api/pool-status", (int)getpid());
	out = popen(command, "r");
	MUST(out != NULL);
	text[fread(text, 1, sizeof text - 1, out)] = '\0';
	CHECK(pclose(out) == 0);
}

/* shown: what the status says of it. */
static void ask_http_sse(const char *mcp, const char *shown)
{
	struct place place;
	char id[256];
	int fd;

	MUST(begin(&place, mcp, (struct mcp_options){ .listen = NULL }));
	MUST(open_session(&place, INITIALIZE("2025-03-26"), id));
	CHECK(has("\"protocolVersion\":\"2024-11-05\""));
	for (int i = 0; i < 4; i++)
		CHECK(ask(&place, id, CALL("2", "echo", "\"nonce\":\"n\"")) == 200 && has("\"id\":2,"));
	CHECK(ask(&place, id, PROGRESS("3")) == 200 && has("text/event-stream"));
	CHECK(has("\"progressToken\":\"t3\"") && has("\"id\":3,\"result\""));
	CHECK(ask(&place, id, "[" CALL("4", "echo", "") "]") == 400 && has("-32600"));
	fd = begin_request(&place, "GET /mcp", id, "");
	CHECK(client_read(fd, "\r\n\r\n", text) && status() == 200 && has("text/event-stream"));
	CHECK(ask(&place, id, "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"resources/subscribe\","
			      "\"params\":{\"uri\":\"test://watched-resource\"}}") == 200);
	CHECK(ask(&place, id, CALL("6", "touch", "")) == 200);
	CHECK(client_read(fd, "notifications/resources/updated", text));
	close(fd);
	fd = begin_request(&place, "POST /mcp", id, CALL("7", "slow", "\"ms\":60000"));
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_calls_now) == 1));
	CHECK(ask(&place, id, CANCEL("7")) == 202);
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_cancels_notified) == 1));
	close(fd);
	CHECK(number(&place, MCP_N_sessions_created) == 1);
	read_status();
	CHECK(has(shown) && has("\"clients\":1,"));
	end(&place);
}

static void test_http_sse(void)
{
	ask_http_sse("transport: sse, path: /sse, sharing: bound", "\"transport\":\"sse\"");
	ask_http_sse("transport: auto, path: /sse, sharing: bound", "\"transport\":\"auto\"");
}

static void test_http_sse_lost(void)
{
	struct place place;
	char id[256];

	MUST(begin(&place, "transport: sse, path: /sse", (struct mcp_options){ .cut = 3 }));
	MUST(open_session(&place, INITIALIZE("2025-03-26"), id));
	CHECK(ask(&place, id, CALL("1", "echo", "")) == 200);
	CHECK(ask(&place, id, CALL("2", "echo", "")) == 404 && has("\"id\":2"));
	CHECK(ask(&place, id, CALL("3", "echo", "")) == 404);
	end(&place);
}

static const struct tap_test tests[] = {
	{ "an array of messages is answered by one", test_array },
	{ "what is no array of a client's is refused", test_refused },
	{ "each message of an array is as if it came alone", test_parts },
	{ "an array in a session that the server lost is 404", test_lost },
	{ "long answers to an array are events", test_long },
	{ "answers to an array are bounded together", test_too_long },
	{ "a server of HTTP+SSE", test_http_sse },
	{ "a stream that is cut has lost its session", test_http_sse_lost },
};

TAP_TESTS(mcp_older, tests);
