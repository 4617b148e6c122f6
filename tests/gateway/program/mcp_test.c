/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_test.c - routes to an MCP server: sessions of clients, and what may not mix. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/gateway/program/mcp_place.h"

static bool begin(struct place *place, const char *mcp)
{
	return place_open(place, &(struct place_options){ .mcp = mcp });
}

static bool open_session(const struct place *place, char session[512])
{
	(void)post(place, "", INITIALIZE("2025-11-25", "\"sampling\":{},\"elicitation\":{}"));
	return take_session(session);
}

/* ---- what it does */

static void test_session(void)
{
	struct place place;
	char session[512];

	MUST(begin(&place, "isolation: session, sharing: bound"));
	MUST(open_session(&place, session));
	CHECK(post(&place, session, INITIALIZED) == 202);
	CHECK(post(&place, session, CALL("\"x\\u0031\"", "echo", "\"nonce\":\"n1\"")) == 200);
	CHECK(has("content-type: application/json") && has("\"id\":\"x\\u0031\"") && has("n1"));
	CHECK(post(&place, session, "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{"
			      "\"name\":\"progress\",\"arguments\":{\"steps\":3,\"ms\":1},"
			      "\"_meta\":{\"progressToken\":\"mine\"}}}") == 200);
	CHECK(has("content-type: text/event-stream") && has("\"progressToken\":\"mine\"") &&
	      has("\"id\":7,"));
	CHECK(post(&place, session, "{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"no/such\"}") == 200 ||
	      has("-32601"));
	CHECK(ask(&place, "DELETE /mcp", session, "") == 200);
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_sessions_deleted) == 1));
	CHECK(post(&place, session, CALL("9", "echo", "")) == 404 && has("\"id\":9"));
	CHECK(number(&place, MCP_N_sessions_created) == 1);
	place_close(&place);
}

static void test_refusals(void)
{
	static const struct {
		int status;
		const char *line, *fields, *body, *says;
	} cases[] = {
		{ 400, "POST /mcp", "", CALL("1", "echo", ""), "a session begins with initialize" },
		{ 404, "POST /mcp", "Mcp-Session-Id: 4711\r\n", CALL("1", "echo", ""), "there is no such session" },
		{ 400, "GET /mcp", "", "", "a session begins with initialize" },
		{ 404, "GET /mcp", "Mcp-Session-Id: abc\r\n", "", "" },
		{ 400, "DELETE /mcp", "", "", "" },
		{ 405, "PUT /mcp", "", "", "" },
		{ 400, "POST /mcp", "", "{\"jsonrpc\":\"2.0\"", "" },
		{ 400, "POST /mcp", "", "{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"ping\"}", "" },
		{ 400, "POST /mcp", "", "[]", "" },
		{ 400, "POST /mcp", "", "", "" },
		{ 403, "POST /mcp", "Mcp-Session-Id: 4711\r\nOrigin: http://evil.example\r\n",
		  INITIALIZE("2025-11-25", ""), "" },
	};
	struct place place;
	char session[512];

	MUST(begin(&place, "path: /mcp"));
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (ask(&place, cases[i].line, cases[i].fields, cases[i].body) != cases[i].status ||
		    !has(cases[i].says)) {
			tap_note("case %zu: %.60s", i, text);
			FAILED("it is refused with the status and the words of its row");
		}
	CHECK(program_curl(&place.program, "/mcp -o /dev/null -w '%{http_code}' -H 'Host: evil.example' "
					   "-H 'Content-Type: application/json' -d '{}'", text) == 0);
	CHECK(strcmp(text, "403") == 0);
	CHECK(program_curl(&place.program, "/mcp -d '{}'", text) == 0); /* as a form */
	CHECK(has("Content-Type has to be application/json"));
	CHECK(program_curl(&place.program, "/mcp -H 'Content-Type: application/json' "
					   "-H 'Accept: application/json' -d '{}'", text) == 0);
	CHECK(has("Accept has to have application/json and text/event-stream"));
	CHECK(number(&place, MCP_N_requests) == 0); /* nothing of it reached the server */
	MUST(open_session(&place, session));
	CHECK(ask(&place, "POST /other", session, CALL("1", "echo", "")) == 404);
	session[36] = session[36] == 'a' ? 'b' : 'a';
	CHECK(post(&place, session, CALL("1", "echo", "")) == 404);
	CHECK(number(&place, MCP_N_tool_calls) == 0);
	place_close(&place);
}

/* An id is its tenant's. */
static void test_tenants(void)
{
	struct place place;
	char session[512];

	MUST(place_open(&place, &(struct place_options){ .mcp = "path: /mcp", .users = true }));
	MUST(open_session(&place, session));
	user = "bob";
	CHECK(post(&place, session, CALL("1", "echo", "")) == 404);
	user = "ann";
	CHECK(post(&place, session, CALL("1", "echo", "\"nonce\":\"hers\"")) == 200 && has("hers"));
	user = NULL;
	CHECK(post(&place, session, CALL("1", "echo", "")) == 403);
	place_close(&place);
}

/* ---- many at once: no two clients meet, over any connection */

enum { CLIENTS = 16, ROUNDS = 25 };

struct client {
	const struct place *place;
	uint32_t number;
	bool failed;
};

static void *be_client(void *of)
{
	struct client *client = of;
	char session[512], call[512], wanted[64];

	client->failed = !open_session(client->place, session);
	for (int i = 1; i <= ROUNDS && !client->failed; i++) {
		snprintf(call, sizeof call, CALL("1", "counter", "\"owner\":\"c%u\""), client->number);
		snprintf(wanted, sizeof wanted, "{\\\"count\\\":%d,\\\"leaked\\\":false", i);
		client->failed = post(client->place, session, call) != 200 || !says(wanted);
	}
	return NULL;
}

static void test_isolation(void)
{
	static struct client clients[CLIENTS];
	pthread_t threads[CLIENTS];
	struct place place;

	MUST(begin(&place, "sharing: bound"));
	for (uint32_t i = 0; i < CLIENTS; i++) {
		clients[i] = (struct client){ .place = &place, .number = i };
		pthread_create(&threads[i], NULL, be_client, &clients[i]);
	}
	for (uint32_t i = 0; i < CLIENTS; i++) {
		pthread_join(threads[i], NULL);
		CHECK(!clients[i].failed);
	}
	CHECK(number(&place, MCP_N_sessions_created) == CLIENTS);
	place_close(&place);
}

/* ---- streams, questions, cancellation */

static void test_listen(void)
{
	struct place place;
	char session[512];
	int fd;

	MUST(begin(&place, "sharing: bound"));
	MUST(open_session(&place, session));
	fd = begin_request(&place, "GET /mcp", session, "");
	CHECK(client_read(fd, "\r\n\r\n", text) && status() == 200 && has("text/event-stream"));
	CHECK(ask(&place, "GET /mcp", session, "") == 409);
	CHECK(post(&place, session, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/subscribe\","
			      "\"params\":{\"uri\":\"test://watched-resource\"}}") == 200);
	CHECK(post(&place, session, CALL("2", "touch", "")) == 200);
	CHECK(client_read(fd, "notifications/resources/updated", text));
	kill(place.program.pid, SIGTERM);
	CHECK(client_read(fd, "0\r\n\r\n", text)); /* its end is the end of a whole answer */
	close(fd);
	place_close(&place);
}

static void test_question(void)
{
	struct place place;
	char session[512], server_id[64], reply[512], *at;
	int fd;

	MUST(begin(&place, "sharing: bound"));
	MUST(open_session(&place, session));
	fd = begin_request(&place, "POST /mcp", session, CALL("5", "test_sampling", "\"prompt\":\"p\""));
	MUST(client_read(fd, "sampling/createMessage", text));
	at = strstr(text, "\"id\":");
	MUST(at != NULL && sscanf(at, "\"id\":%60[^,]", server_id) == 1);
	snprintf(reply, sizeof reply,
		 "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"role\":\"assistant\",\"content\":"
		 "{\"type\":\"text\",\"text\":\"the answer\"},\"model\":\"m\"}}", server_id);
	CHECK(post(&place, session, reply) == 202);
	CHECK(client_read(fd, NULL, text) && has("\"id\":5,\"result\"") && has("the answer"));
	close(fd);
	place_close(&place);
}

static void test_cancel(void)
{
	struct place place;
	char session[512];
	int fd;

	MUST(begin(&place, "sharing: bound"));
	MUST(open_session(&place, session));
	fd = begin_request(&place, "POST /mcp", session, CALL("\"s\"", "slow", "\"ms\":60000"));
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_calls_now) == 1));
	CHECK(post(&place, session, CANCEL("\"s\"")) == 202);
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_cancels_notified) == 1));
	CHECK(client_read(fd, NULL, text) && status() == 200); /* without an answer in it */
	close(fd);
	/* A client that goes did not cancel. */
	fd = begin_request(&place, "POST /mcp", session, CALL("6", "slow", "\"ms\":300"));
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_tool_calls) == 2));
	close(fd);
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_calls_now) == 0));
	CHECK(number(&place, MCP_N_cancels_notified) == 1 &&
	      number(&place, MCP_N_cancels_disconnect) == 0);
	CHECK(post(&place, session, CALL("7", "echo", "\"nonce\":\"still\"")) == 200 && has("still"));
	place_close(&place);
}

/* ---- what a session that is lost, and a server that is not there, look like */

static void test_lost(void)
{
	const struct place_options o = { .server.lose = 3, .mcp = "sharing: bound" };
	struct place place;
	char session[512];

	MUST(place_open(&place, &o));
	MUST(open_session(&place, session));
	for (int i = 0; i < 5 && post(&place, session, CALL("1", "echo", "")) == 200; i++)
		;
	CHECK(status() == 404);
	CHECK(post(&place, session, CALL("1", "echo", "")) == 404);
	MUST(open_session(&place, session));
	CHECK(post(&place, session, CALL("1", "echo", "\"nonce\":\"anew\"")) == 200 && has("anew"));
	place_close(&place);
}

/* What the admin server says of sessions, as of connections. */
static void test_status(void)
{
	const struct place_options o = { .engine = "loops: 2", .admin = true };
	struct place place;
	char session[512];

	MUST(place_open(&place, &o));
	MUST(open_session(&place, session));
	CHECK(post(&place, session, CALL("1", "echo", "")) == 200);
	MUST(place_get(&place, "/api/pool-status", text));
	CHECK(has("\"mcp\":[{\"name\":\"tools\",\"era\":") && has("\"isolationViolations\":0}"));
	CHECK(has("\"clients\":1,") && has("\"key\":\":tools.mcp\""));
	/* The session, and not the connections that it is made of. */
	MUST(place_get(&place, "/api/mcp/pool-status", text));
	CHECK(has("{\"success\":true,\"data\":{\"totalConnections\":1,") &&
	      has("[{\"key\":\":tools:") && has("\"name\":\"tools\",\"userId\":\"\",\"lastUsed\":\"20") &&
	      has("\"authHash\":\""));
	place_close(&place);
}

/* A reload keeps sessions; it does not change what they are. */
static void test_reload(void)
{
	struct place_options o = { .mcp = "sharing: bound" };
	struct place place;
	char session[512];

	MUST(place_open(&place, &o));
	MUST(open_session(&place, session));
	CHECK(place_configure(&place, &o));
	CHECK(program_reload(&place.program));
	CHECK(post(&place, session, CALL("1", "echo", "\"nonce\":\"kept\"")) == 200 && has("kept"));
	o.mcp = "sharing: virgin";
	CHECK(place_configure(&place, &o));
	CHECK(!program_reload(&place.program));
	CHECK(strstr(place.program.said, "cannot change without a restart") != NULL);
	CHECK(post(&place, session, CALL("2", "echo", "\"nonce\":\"still\"")) == 200 && has("still"));
	place_close(&place);
}

/* Of what has ended nothing is left. */
static void ask_often(const struct place *place, int count)
{
	char session[512];

	for (int i = 0; i < count; i++) {
		MUST(open_session(place, session));
		CHECK(post(place, session, CALL("1", "progress", "\"steps\":1,\"ms\":1")) == 200);
		CHECK(ask(place, "DELETE /mcp", session, "") == 200);
	}
}

static void test_memory(void)
{
	const struct place_options o = { .engine = "loops: 1", .counted = true };
	struct place place;
	uint64_t before;

	MUST(place_open(&place, &o));
	ask_often(&place, 270); /* the library keeps identities for a while */
	before = program_blocks(&place.program);
	ask_often(&place, 150);
	if (program_blocks(&place.program) > before + 50)
		tap_note("%llu blocks, then %llu", (unsigned long long)before,
			 (unsigned long long)program_blocks(&place.program));
	CHECK(program_blocks(&place.program) <= before + 50);
	place_close(&place);
}

static void test_idle(void)
{
	struct place place;
	char session[512];

	MUST(begin(&place, "idle_timeout: 200ms"));
	MUST(open_session(&place, session));
	CHECK(WITHIN_MS(10000, number(&place, MCP_N_sessions_open) == 0));
	CHECK(post(&place, session, CALL("1", "echo", "")) == 404);
	place_close(&place);
}

/* ---- credentials: the client's stay here, the pool's are read again when they change */

static void test_token(void)
{
	static const char who[] = CALL("1", "whoami", "");
	char path[] = "/tmp/kolk-token-XXXXXX", mcp[128], session[512], shown[1024];
	struct place place;
	int fd = mkstemp(path);

	MUST(fd >= 0 && write(fd, "first\n", 6) == 6);
	snprintf(mcp, sizeof mcp, "token_file: %s", path);
	MUST(begin(&place, mcp));
	MUST(open_session(&place, session));
	snprintf(shown, sizeof shown,
		 "%sAuthorization: Bearer client\r\nCookie: a=client\r\nProxy-Authorization: client\r\n"
		 "Traceparent: 00-1-2-3\r\n", session);
	CHECK(post(&place, shown, who) == 200 && has("Bearer first") && has("00-1-2-3"));
	CHECK(!has("Bearer client") && !has("a=client") && !has("roxy-"));
	CHECK(pwrite(fd, "other\n", 6, 0) == 6);
	CHECK(post(&place, shown, who) == 200 && has("Bearer other") && !has("first"));
	close(fd);
	place_close(&place);
	unlink(path); /* sessions were ended with it */
}

/* A file that is not there, or has no token: standard error says so, once; then the token is read. */
static void test_no_token(void)
{
	static const char initialize[] = INITIALIZE("2025-11-25", "");
	char path[] = "/tmp/kolk-token-XXXXXX", mcp[128], session[512], said[128];
	struct place place;
	int fd = mkstemp(path);

	MUST(fd >= 0 && unlink(path) == 0);
	close(fd);
	snprintf(mcp, sizeof mcp, "token_file: %s", path);
	MUST(begin(&place, mcp));
	CHECK(post(&place, "", initialize) != 200);
	snprintf(said, sizeof said, "mcp.token_file %s: No such file or directory: ", path);
	CHECK(program_says(&place.program, said));
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	MUST(fd >= 0 && write(fd, "\n", 1) == 1);
	CHECK(post(&place, "", initialize) != 200);
	snprintf(said, sizeof said, "mcp.token_file %s: its first line is empty: ", path);
	CHECK(program_says(&place.program, said));
	CHECK(pwrite(fd, "first\n", 6, 0) == 6);
	CHECK(WITHIN_MS(10000, post(&place, "", initialize) == 200));
	CHECK(take_session(session));
	close(fd);
	place_close(&place);
	unlink(path);
}

/* ---- stateless requests */

#define MODERN(id, method) REQUEST(id, method, META("", ""))
#define MODERN_CALL(id, tool, arguments)                                                      \
	REQUEST(id, "tools/call", "\"name\":\"" tool "\",\"arguments\":{" arguments "}," META("", ""))

/* With the field of a session, which means nothing then. */
static int begin_modern(const struct place *place, const char *method, const char *name,
			const char *body)
{
	char fields[512];

	modern_fields(fields, method, name);
	strcat(fields, "Mcp-Session-Id: 0\r\n");
	return begin_request(place, "POST /mcp", fields, body);
}

static int ask_modern(const struct place *place, const char *method, const char *name,
		      const char *body)
{
	return read_answer(begin_modern(place, method, name, body));
}

static void test_modern(void)
{
	struct place place;
	int fd;

	MUST(begin(&place, "path: /mcp"));
	CHECK(ask_modern(&place, "tools/call", "echo", MODERN_CALL("3", "echo", "\"nonce\":\"m\"")) ==
	      200);
	CHECK(has("\"id\":3") && has("\"resultType\":\"complete\"") && !has("mcp-session-id"));
	CHECK(ask_modern(&place, "tools/call", "=?base64?ZWNobw==?=",
			 MODERN_CALL("4", "echo", "\"nonce\":\"m\"")) == 200);
	CHECK(ask_modern(&place, "tools/call", "other", MODERN_CALL("5", "echo", "")) == 400);
	CHECK(has("-32020") && has("\"id\":5"));
	CHECK(ask_modern(&place, "initialize", NULL, MODERN("6", "initialize")) == 404);
	CHECK(number(&place, MCP_N_header_mismatches) == 0); /* they did not reach the server */
	fd = begin_modern(&place, "tools/call", "slow", MODERN_CALL("7", "slow", "\"ms\":60000"));
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_calls_now) == 1));
	close(fd); /* that cancels it */
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_cancels_disconnect) == 1));
	fd = begin_modern(&place, "subscriptions/listen", NULL,
			  "{\"jsonrpc\":\"2.0\",\"id\":\"sub\",\"method\":\"subscriptions/listen\","
			  "\"params\":{\"notifications\":{\"toolsListChanged\":true}," META("", "") "}}");
	CHECK(client_read(fd, "}\n\n", text) && has("notifications/subscriptions/acknowledged"));
	CHECK(has("/subscriptionId\":\"sub\""));
	kill(place.program.pid, SIGTERM);
	CHECK(client_read(fd, "0\r\n\r\n", text) && has("\"id\":\"sub\",\"result\":"));
	close(fd);
	CHECK(number(&place, MCP_N_sessions_created) == 0);
	place_close(&place);
}

/* A server with sessions behind it. */
static void ask_legacy_server(const char *mcp, uint64_t sessions)
{
	struct place place;

	MUST(place_open(&place, &(struct place_options){ .server.versions = "2025-11-25", .mcp = mcp }));
	CHECK(ask_modern(&place, "server/discover", NULL, MODERN("1", "server/discover")) == 200);
	CHECK(has("\"supportedVersions\":[\"2026-07-28\"]") && has("kolk-mcp-fixture"));
	CHECK(ask_modern(&place, "tools/list", NULL, MODERN("2", "tools/list")) == 200);
	CHECK(has("{\"resultType\":\"complete\",\"ttlMs\":0,\"cacheScope\":\"private\","));
	for (int i = 0; i < 6; i++) {
		CHECK(ask_modern(&place, "tools/call", "echo",
				 MODERN_CALL("3", "echo", "\"nonce\":\"n\"")) == 200);
		CHECK(has("\"id\":3,\"result\":{\"resultType\":\"complete\",\"content\":"));
	}
	CHECK(ask_modern(&place, "no/such", NULL, MODERN("4", "no/such")) == 404 && has("-32601"));
	CHECK(ask_modern(&place, "logging/setLevel", NULL, MODERN("5", "logging/setLevel")) == 404);
	if (number(&place, MCP_N_sessions_created) > sessions)
		tap_note("%llu sessions", (unsigned long long)number(&place, MCP_N_sessions_created));
	CHECK(number(&place, MCP_N_sessions_created) <= sessions);
	place_close(&place);
}

static void test_modern_to_legacy(void)
{
	ask_legacy_server("isolation: tenant, sharing: exclusive", 3); /* one for each loop */
	ask_legacy_server("isolation: tenant, sharing: multiplexed", 3);
	ask_legacy_server("isolation: session", 10); /* one for each request, and discover's two */
}

static void test_stdio(void)
{
	const struct place_options o = { .upstream = "child: {command: [" MCP_FIXTURE_PROGRAM
						     ", --stdio]}" };
	struct place place;
	char session[512];

	MUST(place_open(&place, &o));
	MUST(open_session(&place, session));
	CHECK(post(&place, session, CALL("3", "echo", "\"nonce\":\"piped\"")) == 200 && has("piped"));
	CHECK(ask(&place, "DELETE /mcp", session, "") == 200);
	place_close(&place);
}

static const struct tap_test tests[] = {
	{ "a session of a client is one with the server", test_session },
	{ "what is not a client's own is refused", test_refusals },
	{ "an id is one tenant's", test_tenants },
	{ "clients do not meet", test_isolation },
	{ "a stream that listens, until the program ends", test_listen },
	{ "the server asks, the client answers", test_question },
	{ "cancelled, and gone", test_cancel },
	{ "a session that the server lost is 404", test_lost },
	{ "the status shows sessions", test_status },
	{ "a reload keeps sessions", test_reload },
	{ "a session that is idle ends", test_idle },
	{ "nothing is left of what ended", test_memory },
	{ "credentials are the pool's", test_token },
	{ "a token file without a token", test_no_token },
	{ "stateless requests", test_modern },
	{ "such requests to a server with sessions", test_modern_to_legacy },
	{ "a server that is a child process", test_stdio },
};

TAP_TESTS(mcp, tests);
