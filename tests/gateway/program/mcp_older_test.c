/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcp_older_test.c - what older versions of MCP have: clients that send arrays of messages
 * (2025-03-26), servers that speak HTTP+SSE (2024-11-05).
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/gateway/program/mcp_place.h"

static bool begin(struct place *place, const char *mcp, struct mcp_options server)
{
	return place_open(place, &(struct place_options){
		.server = server, .mcp = mcp, .admin = true,
		.pool = "limits: {idle_min: 0}, health: {mend_timeout: none}" });
}

#define PROGRESS(id)                                                                            \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"tools/call\",\"params\":{\"name\":"       \
	"\"progress\",\"arguments\":{\"steps\":2,\"ms\":1},\"_meta\":{\"progressToken\":\"t" id "\"}}}"
#define BATCHING INITIALIZE("2025-03-26", "\"sampling\":{}")
#define NEWER INITIALIZE("2025-06-18", "\"sampling\":{}")

static bool open_session(const struct place *place, const char *initialize, char session[512])
{
	(void)post(place, "", initialize);
	return take_session(session);
}

/* ---- arrays */

static void test_array(void)
{
	struct place place;
	char session[512];

	MUST(begin(&place, "sharing: bound", (struct mcp_options){ .listen = NULL }));
	MUST(open_session(&place, BATCHING, session));
	for (int i = 0; i < 6; i++) { /* over each loop */
		CHECK(post(&place, session, " [" CALL("1", "echo", "\"nonce\":\"n1\"") ", " INITIALIZED ","
				      CALL("\"x\\u0031\"", "echo", "\"nonce\":\"n2\"") "]\n") == 200);
		CHECK(has("content-type: application/json") && has("\r\n\r\n[{\"jsonrpc\":\"2.0\",\"id\":1,"));
		CHECK(has("},{\"jsonrpc\":\"2.0\",\"id\":\"x\\u0031\"") && has("n1") && has("n2"));
		CHECK(text[strlen(text) - 1] == ']');
	}
	CHECK(post(&place, session, "[" INITIALIZED "," INITIALIZED "]") == 202);
	CHECK(post(&place, session, "[" PROGRESS("1") "," CALL("2", "echo", "") "," PROGRESS("3") "]") == 200);
	CHECK(has("content-type: text/event-stream"));
	CHECK(has("\"progressToken\":\"t1\"") && has("\"progressToken\":\"t3\""));
	CHECK(has("\"id\":1,\"result\"") && has("\"id\":2,\"result\"") && has("\"id\":3,\"result\""));
	CHECK(post(&place, session, "[{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"no/such\"}]") == 200);
	CHECK(has("\r\n\r\n[{") && has("-32601") && has("\"id\":4"));
	CHECK(number(&place, MCP_N_batches) == 0 && number(&place, MCP_N_tool_calls) == 15);
	place_close(&place);
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
		{ "", "[" CALL("1", "echo", "") "," BATCHING "]", "-32600", false, 400 },
		{ "", "[" CALL("1", "echo", "") ",7]", "-32600", false, 400 },
		{ "", "[" CALL("1", "echo", "") ",{\"jsonrpc\":\"1.0\",\"method\":\"m\"}]", "-32600",
		  false, 400 },
		{ "", "[" CALL("1", "echo", "") ",", "-32700", false, 400 },
		{ "", "[" CALL("1", "echo", "") "] x", "-32700", false, 400 },
		{ "", "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{\"_meta\":{"
		  "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"}}}]", "-32600", false, 400 },
		{ "Mcp-Protocol-Version: 2025-06-18\r\n", "[" CALL("1", "echo", "") "]", "-32600", false,
		  400 },
		{ "Mcp-Protocol-Version: 2026-07-28\r\n", "[" CALL("1", "echo", "") "]", "-32600", false,
		  400 },
		{ "", "[" CALL("1", "echo", "") "]", "-32600", true, 400 },
		{ "Mcp-Session-Id: 4711\r\n", "[" CALL("1", "echo", "") "]", "-32001", true, 404 },
	};
	struct place place;
	char session[512], shown[1024], array[8192];

	MUST(begin(&place, "sharing: bound", (struct mcp_options){ .listen = NULL }));
	MUST(open_session(&place, BATCHING, session));
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		snprintf(shown, sizeof shown, "%s%s", cases[i].alone ? "" : session, cases[i].fields);
		if (post(&place, shown, cases[i].body) == cases[i].status && has(cases[i].code))
			continue;
		tap_note("case %zu: %s", i, text);
		FAILED("it is refused with the status and the code of its row");
	}
	write_pings(array, 101);
	CHECK(post(&place, session, array) == 400 && has("-32600") && has("too many"));
	CHECK(number(&place, MCP_N_tool_calls) == 0 && number(&place, MCP_N_requests) == 1);
	write_pings(array, 100);
	CHECK(post(&place, session, array) == 200 && has("\"id\":0,") && has("\"id\":99,"));
	CHECK(number(&place, MCP_N_requests) == 101);
	MUST(open_session(&place, NEWER, session));
	CHECK(post(&place, session, "[" CALL("1", "echo", "") "]") == 400 && has("-32600"));
	CHECK(number(&place, MCP_N_tool_calls) == 0);
	place_close(&place);
}

/* Each message is as if it had come alone. */
static void test_parts(void)
{
	struct place place;
	char session[512], server_id[64], reply[512], *at;
	uint64_t calls;
	int fd;

	MUST(begin(&place, "sharing: bound", (struct mcp_options){ .listen = NULL }));
	MUST(open_session(&place, BATCHING, session));
	fd = begin_request(&place, "POST /mcp", session,
			   "[" CALL("5", "slow", "\"ms\":60000") "," CALL("6", "echo", "") "]");
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_calls_now) == 1));
	CHECK(post(&place, session, "[" CANCEL("5") "]") == 202);
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_cancels_notified) == 1));
	CHECK(client_read(fd, NULL, text) && status() == 200 && has("\r\n\r\n[{") && has("\"id\":6,"));
	CHECK(!has("\"id\":5,"));
	close(fd);
	/* The server may hear of the second before it has the first, and do it in vain. */
	CHECK(post(&place, session, "[" CALL("7", "slow", "\"ms\":300") "," CANCEL("7") "]") == 200);
	CHECK(has("text/event-stream") && !has("data:"));
	fd = begin_request(&place, "POST /mcp", session,
			   "[" CALL("8", "test_sampling", "\"prompt\":\"p\"") "," CALL("9", "echo", "") "]");
	MUST(client_read(fd, "sampling/createMessage", text));
	at = strstr(text, "\"method\":\"sampling");
	while (at > text && strncmp(at, "\"id\":", 5) != 0)
		at--;
	MUST(sscanf(at, "\"id\":%60[^,]", server_id) == 1);
	snprintf(reply, sizeof reply,
		 "[{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"role\":\"assistant\",\"content\":"
		 "{\"type\":\"text\",\"text\":\"the answer\"},\"model\":\"m\"}}]", server_id);
	CHECK(post(&place, session, reply) == 202);
	CHECK(client_read(fd, NULL, text) && has("\"id\":8,\"result\"") && has("the answer"));
	close(fd);
	/* A client that goes did not cancel. */
	calls = number(&place, MCP_N_tool_calls);
	fd = begin_request(&place, "POST /mcp", session, "[" CALL("1", "slow", "\"ms\":200") "]");
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_tool_calls) > calls));
	close(fd);
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_calls_now) == 0));
	CHECK(post(&place, session, "[" CALL("2", "echo", "\"nonce\":\"still\"") "]") == 200 && has("still"));
	place_close(&place);
}

static void test_lost(void)
{
	struct place place;
	char session[512];

	MUST(begin(&place, "sharing: bound", (struct mcp_options){ .lose = 3 }));
	MUST(open_session(&place, BATCHING, session));
	for (int i = 0; i < 5 && post(&place, session, "[" CALL("1", "echo", "") "," INITIALIZED "]") == 200;
	     i++)
		;
	CHECK(status() == 404 && has("\"id\":1"));
	CHECK(post(&place, session, "[" CALL("1", "echo", "") "]") == 404 && has("-32001"));
	place_close(&place);
}

/* An array of calls whose answers have so many bytes each. */
static void write_echoes(char *at, int calls, size_t size)
{
	for (int i = 0; i < calls; i++) {
		at += sprintf(at, "%s{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"tools/call\","
				  "\"params\":{\"name\":\"echo\",\"arguments\":{\"nonce\":\"",
			      i == 0 ? "[" : ",", i);
		at = (char *)memset(at, 'x', size) + size;
		at = stpcpy(at, "\"}}}");
	}
	strcpy(at, "]");
}

/* Answers that are long together are not held until the last one has come. */
static void test_long(void)
{
	enum { COUNT = 8, SIZE = 150000 };
	static char array[COUNT * (SIZE + 200)];
	struct place place;
	size_t had = 0;
	char session[512];
	ssize_t size = 1;
	int fd;

	MUST(begin(&place, "sharing: bound", (struct mcp_options){ .listen = NULL }));
	MUST(open_session(&place, BATCHING, session));
	write_echoes(array, COUNT, SIZE);
	fd = begin_request(&place, "POST /mcp", session, array);
	CHECK(client_read(fd, "\r\n\r\n", text) && has("content-type: text/event-stream"));
	for (; size > 0; had += (size_t)size)
		size = recv(fd, text, sizeof text, 0);
	CHECK(had > (size_t)COUNT * SIZE - sizeof text);
	close(fd);
	CHECK(post(&place, session, "[" CALL("3", "echo", "\"nonce\":\"on\"") "]") == 200 && has("\r\n\r\n[{"));
	place_close(&place);
}

/* Answers to an array have one limit: what is beyond it is an error, and the session goes on. */
static void test_too_long(void)
{
	enum { COUNT = 5, SIZE = 10000 };
	char session[512], array[COUNT * (SIZE + 200)];
	struct place place;

	MUST(begin(&place, "sharing: bound, message_bytes_max: 32KiB",
		   (struct mcp_options){ .listen = NULL }));
	MUST(open_session(&place, BATCHING, session));
	write_echoes(array, COUNT, SIZE);
	CHECK(post(&place, session, array) == 200 && has("\r\n\r\n[{"));
	CHECK(count("\"result\":") == 3 && count("too long together") == COUNT - 3);
	CHECK(count("\"id\":") == COUNT && count("-32603") == COUNT - 3);
	CHECK(post(&place, session, "[" CALL("3", "echo", "\"nonce\":\"on\"") "]") == 200 && has("on"));
	place_close(&place);
}

/* ---- servers of 2024-11-05 */

/* shown: what the status says of it. */
static void ask_http_sse(const char *mcp, const char *shown)
{
	struct place place;
	char session[512];
	int fd;

	MUST(begin(&place, mcp, (struct mcp_options){ .listen = NULL }));
	MUST(open_session(&place, BATCHING, session));
	CHECK(has("\"protocolVersion\":\"2024-11-05\""));
	for (int i = 0; i < 4; i++)
		CHECK(post(&place, session, CALL("2", "echo", "\"nonce\":\"n\"")) == 200 && has("\"id\":2,"));
	CHECK(post(&place, session, PROGRESS("3")) == 200 && has("text/event-stream"));
	CHECK(has("\"progressToken\":\"t3\"") && has("\"id\":3,\"result\""));
	CHECK(post(&place, session, "[" CALL("4", "echo", "") "]") == 400 && has("-32600"));
	fd = begin_request(&place, "GET /mcp", session, "");
	CHECK(client_read(fd, "\r\n\r\n", text) && status() == 200 && has("text/event-stream"));
	CHECK(post(&place, session, "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"resources/subscribe\","
			      "\"params\":{\"uri\":\"test://watched-resource\"}}") == 200);
	CHECK(post(&place, session, CALL("6", "touch", "")) == 200);
	CHECK(client_read(fd, "notifications/resources/updated", text));
	close(fd);
	fd = begin_request(&place, "POST /mcp", session, CALL("7", "slow", "\"ms\":60000"));
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_calls_now) == 1));
	CHECK(post(&place, session, CANCEL("7")) == 202);
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_cancels_notified) == 1));
	close(fd);
	CHECK(number(&place, MCP_N_sessions_created) == 1);
	MUST(place_get(&place, "/api/pool-status", text));
	CHECK(has(shown) && has("\"clients\":1,"));
	place_close(&place);
}

static void test_http_sse(void)
{
	ask_http_sse("transport: sse, path: /sse, sharing: bound", "\"transport\":\"sse\"");
	ask_http_sse("transport: auto, path: /sse, sharing: bound", "\"transport\":\"auto\"");
}

static void test_http_sse_lost(void)
{
	struct place place;
	char session[512];

	MUST(begin(&place, "transport: sse, path: /sse", (struct mcp_options){ .cut = 3 }));
	MUST(open_session(&place, BATCHING, session));
	CHECK(post(&place, session, CALL("1", "echo", "")) == 200);
	CHECK(post(&place, session, CALL("2", "echo", "")) == 404 && has("\"id\":2"));
	CHECK(post(&place, session, CALL("3", "echo", "")) == 404);
	place_close(&place);
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
