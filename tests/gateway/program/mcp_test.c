/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_test.c - routes to an MCP server: sessions of clients, and what may not mix. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/gateway/program/program.h"
#include "tests/mcp/fixture.h"

static char text[PROGRAM_TEXT];

/* ---- a gateway in front of the fixture */

struct place {
	struct program program;
	struct mcp_fixture *server;
};

static bool begin(struct place *place, const char *mcp, const char *gateway, struct mcp_options *o)
{
	char pools[512];

	o->listen = "127.0.0.1:0";
	place->server = mcp_fixture_open(o);
	if (place->server == NULL)
		return FAILED("there is a server");
	snprintf(pools, sizeof pools,
		 "  - {name: tools, protocol: mcp, address: \"%s\", limits: {idle_min: 0}, mcp: {%s}}\n",
		 mcp_fixture_address(place->server), mcp);
	return program_start_with(&place->program, &(struct program_file){
		.engine = "loops: 3", .pools = pools, .gateway = gateway,
		.routes = "    - {match: {path: /mcp}, pool: tools}\n"
			  "    - {match: {path: /other}, pool: tools}\n" });
}

static uint64_t number(const struct place *place, enum mcp_number of)
{
	return mcp_fixture_number(place->server, of);
}

/* Nothing is left at the server when the gateway has ended. */
static void end(struct place *place)
{
	CHECK(program_stop(&place->program, 15000));
	CHECK(number(place, MCP_N_sessions_open) == 0);
	CHECK(number(place, MCP_N_leaks) == 0 && number(place, MCP_N_duplicate_ids) == 0);
	mcp_fixture_close(place->server);
}

/* ---- clients */

/* A request; session: its id, or more fields behind it. Sent on a connection of its own, which may be
 * another loop's. */
static int begin_request(const struct place *place, const char *line, const char *session,
			 const char *body)
{
	char request[4096];
	int fd = program_connect(&place->program);

	snprintf(request, sizeof request,
		 "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
		 "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
		 "%s%s%sContent-Length: %zu\r\n\r\n%s", line,
		 session[0] != '\0' ? "Mcp-Session-Id: " : "", session, session[0] != '\0' ? "\r\n" : "",
		 strlen(body), body);
	if (fd >= 0 && !client_send(fd, request))
		FAILED("a request is sent");
	return fd;
}

static int status(const char *answer)
{
	return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? atoi(answer + 9) : 0;
}

/* Its status; the answer is in to. */
static int ask_into(const struct place *place, const char *line, const char *session,
		    const char *body, char to[PROGRAM_TEXT])
{
	int fd = begin_request(place, line, session, body);

	client_read(fd, NULL, to);
	close(fd);
	return status(to);
}

static int ask(const struct place *place, const char *session, const char *body)
{
	return ask_into(place, "POST /mcp", session, body, text);
}

static bool has(const char *what)
{
	return strstr(text, what) != NULL;
}

#define INITIALIZE                                                                                 \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":" \
	"\"2025-11-25\",\"capabilities\":{\"sampling\":{},\"elicitation\":{}},\"clientInfo\":"      \
	"{\"name\":\"t\",\"version\":\"1\"}}}"
#define CALL(id, tool, arguments)                                                               \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"tools/call\",\"params\":{\"name\":\"" tool \
	"\",\"arguments\":{" arguments "}}}"

/* A session: its id. */
static bool open_session(const struct place *place, char id[256])
{
	char answer[PROGRAM_TEXT], *at;

	id[0] = '\0';
	if (ask_into(place, "POST /mcp", "", INITIALIZE, answer) != 200)
		return FAILED("a session is made");
	at = strstr(answer, "mcp-session-id: ");
	return at != NULL && sscanf(at, "mcp-session-id: %250s", id) == 1;
}

/* ---- what it does */

static void test_session(void)
{
	struct mcp_options o = { .listen = NULL };
	struct place place;
	char id[256];

	MUST(begin(&place, "isolation: session, sharing: bound", NULL, &o));
	MUST(open_session(&place, id));
	CHECK(ask(&place, id, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}") == 202);
	CHECK(ask(&place, id, CALL("\"x\\u0031\"", "echo", "\"nonce\":\"n1\"")) == 200);
	CHECK(has("content-type: application/json") && has("\"id\":\"x\\u0031\"") && has("n1"));
	CHECK(ask(&place, id, "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{"
			      "\"name\":\"progress\",\"arguments\":{\"steps\":3,\"ms\":1},"
			      "\"_meta\":{\"progressToken\":\"mine\"}}}") == 200);
	CHECK(has("content-type: text/event-stream") && has("\"progressToken\":\"mine\"") &&
	      has("\"id\":7,"));
	CHECK(ask(&place, id, "{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"no/such\"}") == 200 ||
	      has("-32601"));
	CHECK(ask_into(&place, "DELETE /mcp", id, "", text) == 200);
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_sessions_deleted) == 1));
	CHECK(ask(&place, id, CALL("9", "echo", "")) == 404 && has("\"id\":9"));
	CHECK(number(&place, MCP_N_sessions_created) == 1);
	end(&place);
}

static void test_refusals(void)
{
	static const struct {
		int status;
		const char *line, *session, *body, *says;
	} cases[] = {
		{ 400, "POST /mcp", "", CALL("1", "echo", ""), "a session begins with initialize" },
		{ 404, "POST /mcp", "4711", CALL("1", "echo", ""), "there is no such session" },
		{ 400, "GET /mcp", "", "", "a session begins with initialize" },
		{ 404, "GET /mcp", "abc", "", "" },
		{ 400, "DELETE /mcp", "", "", "" },
		{ 405, "PUT /mcp", "", "", "" },
		{ 400, "POST /mcp", "", "{\"jsonrpc\":\"2.0\"", "" },
		{ 400, "POST /mcp", "", "{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"ping\"}", "" },
		{ 400, "POST /mcp", "", "[]", "" },
		{ 400, "POST /mcp", "", "", "" },
		{ 403, "POST /mcp", "4711\r\nOrigin: http://evil.example", INITIALIZE, "" },
	};
	struct mcp_options o = { .listen = NULL };
	struct place place;
	char id[256];

	MUST(begin(&place, "path: /mcp", NULL, &o));
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (ask_into(&place, cases[i].line, cases[i].session, cases[i].body, text) !=
		    cases[i].status || !has(cases[i].says)) {
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
	MUST(open_session(&place, id));
	CHECK(ask_into(&place, "POST /other", id, CALL("1", "echo", ""), text) == 404);
	id[20] = id[20] == 'a' ? 'b' : 'a';
	CHECK(ask(&place, id, CALL("1", "echo", "")) == 404);
	CHECK(number(&place, MCP_N_tool_calls) == 0);
	end(&place);
}

/* An id is its tenant's. */
static void test_tenants(void)
{
	struct mcp_options o = { .listen = NULL };
	struct place place;
	char id[256], shown[512];

	MUST(begin(&place, "path: /mcp",
		   "  tenants: {from: header, header: x-user}\n  trusted_proxies: [\"127.0.0.0/8\"]\n",
		   &o));
	CHECK(ask(&place, "0\r\nX-User: ann", INITIALIZE) == 200);
	MUST(strstr(text, "mcp-session-id: ") != NULL &&
	     sscanf(strstr(text, "mcp-session-id: "), "mcp-session-id: %250s", id) == 1);
	snprintf(shown, sizeof shown, "%s\r\nX-User: bob", id);
	CHECK(ask(&place, shown, CALL("1", "echo", "")) == 404);
	snprintf(shown, sizeof shown, "%s\r\nX-User: ann", id);
	CHECK(ask(&place, shown, CALL("1", "echo", "\"nonce\":\"hers\"")) == 200 && has("hers"));
	CHECK(ask(&place, id, CALL("1", "echo", "")) == 403);
	end(&place);
}

/* ---- many at once: no two clients meet, over any connection */

enum { CLIENTS = 16, ROUNDS = 25 };

struct client {
	const struct place *place;
	uint32_t number;
	bool failed;
	char text[PROGRAM_TEXT];
};

static void *be_client(void *user)
{
	struct client *client = user;
	char id[256], call[512], wanted[64];

	client->failed = !open_session(client->place, id);
	for (int i = 1; i <= ROUNDS && !client->failed; i++) {
		snprintf(call, sizeof call, CALL("1", "counter", "\"owner\":\"c%u\""), client->number);
		snprintf(wanted, sizeof wanted, "{\\\"count\\\":%d,\\\"leaked\\\":false", i);
		client->failed = ask_into(client->place, "POST /mcp", id, call, client->text) != 200 ||
				 strstr(client->text, wanted) == NULL;
	}
	return NULL;
}

static void test_isolation(void)
{
	static struct client clients[CLIENTS];
	struct mcp_options o = { .listen = NULL };
	pthread_t threads[CLIENTS];
	struct place place;

	MUST(begin(&place, "sharing: bound", NULL, &o));
	for (uint32_t i = 0; i < CLIENTS; i++) {
		clients[i] = (struct client){ .place = &place, .number = i };
		pthread_create(&threads[i], NULL, be_client, &clients[i]);
	}
	for (uint32_t i = 0; i < CLIENTS; i++) {
		pthread_join(threads[i], NULL);
		if (clients[i].failed)
			tap_note("client %u: %s", i, clients[i].text);
		CHECK(!clients[i].failed);
	}
	CHECK(number(&place, MCP_N_sessions_created) == CLIENTS);
	end(&place);
}

/* ---- streams, questions, cancellation */

static void test_listen(void)
{
	struct mcp_options o = { .listen = NULL };
	struct place place;
	char id[256];
	int fd;

	MUST(begin(&place, "sharing: bound", NULL, &o));
	MUST(open_session(&place, id));
	fd = begin_request(&place, "GET /mcp", id, "");
	CHECK(client_read(fd, "\r\n\r\n", text) && status(text) == 200 && has("text/event-stream"));
	CHECK(ask_into(&place, "GET /mcp", id, "", text) == 409);
	CHECK(ask(&place, id, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/subscribe\","
			      "\"params\":{\"uri\":\"test://watched-resource\"}}") == 200);
	CHECK(ask(&place, id, CALL("2", "touch", "")) == 200);
	CHECK(client_read(fd, "notifications/resources/updated", text));
	kill(place.program.pid, SIGTERM);
	CHECK(client_read(fd, "0\r\n\r\n", text)); /* its end is the end of a whole answer */
	close(fd);
	end(&place);
}

static void test_question(void)
{
	struct mcp_options o = { .listen = NULL };
	struct place place;
	char id[256], server_id[64], reply[512], *at;
	int fd;

	MUST(begin(&place, "sharing: bound", NULL, &o));
	MUST(open_session(&place, id));
	fd = begin_request(&place, "POST /mcp", id, CALL("5", "test_sampling", "\"prompt\":\"p\""));
	MUST(client_read(fd, "sampling/createMessage", text));
	at = strstr(text, "\"id\":");
	MUST(at != NULL && sscanf(at, "\"id\":%60[^,]", server_id) == 1);
	snprintf(reply, sizeof reply,
		 "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"role\":\"assistant\",\"content\":"
		 "{\"type\":\"text\",\"text\":\"the answer\"},\"model\":\"m\"}}", server_id);
	CHECK(ask(&place, id, reply) == 202);
	CHECK(client_read(fd, NULL, text) && has("\"id\":5,\"result\"") && has("the answer"));
	close(fd);
	end(&place);
}

static void test_cancel(void)
{
	struct mcp_options o = { .listen = NULL };
	struct place place;
	char id[256];
	int fd;

	MUST(begin(&place, "sharing: bound", NULL, &o));
	MUST(open_session(&place, id));
	fd = begin_request(&place, "POST /mcp", id, CALL("\"s\"", "slow", "\"ms\":60000"));
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_calls_now) == 1));
	CHECK(ask(&place, id, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":"
			      "{\"requestId\":\"s\"}}") == 202);
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_cancels_notified) == 1));
	CHECK(client_read(fd, NULL, text) && status(text) == 200); /* without an answer in it */
	close(fd);
	/* A client that goes did not cancel. */
	fd = begin_request(&place, "POST /mcp", id, CALL("6", "slow", "\"ms\":300"));
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_calls_now) == 1));
	close(fd);
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_calls_now) == 0));
	CHECK(number(&place, MCP_N_cancels_notified) == 1 &&
	      number(&place, MCP_N_cancels_disconnect) == 0);
	CHECK(ask(&place, id, CALL("7", "echo", "\"nonce\":\"still\"")) == 200 && has("still"));
	end(&place);
}

/* ---- what a session that is lost, and a server that is not there, look like */

static void test_lost(void)
{
	struct mcp_options o = { .lose = 3 };
	struct place place;
	char id[256];

	MUST(begin(&place, "sharing: bound", NULL, &o));
	MUST(open_session(&place, id));
	for (int i = 0; i < 5 && ask(&place, id, CALL("1", "echo", "")) == 200; i++)
		;
	CHECK(status(text) == 404);
	CHECK(ask(&place, id, CALL("1", "echo", "")) == 404);
	MUST(open_session(&place, id));
	CHECK(ask(&place, id, CALL("1", "echo", "\"nonce\":\"anew\"")) == 200 && has("anew"));
	end(&place);
}

/* What the admin server says of sessions, as of connections. */
static void test_status(void)
{
	struct mcp_options o = { .listen = "127.0.0.1:0" };
	struct place place = { .server = mcp_fixture_open(&o) };
	char pools[512], command[256], id[256];
	FILE *out;

	MUST(place.server != NULL);
	snprintf(pools, sizeof pools,
		 "  - {name: tools, protocol: mcp, address: \"%s\", limits: {idle_min: 0}}\n"
		 "admin: {listen: \"unix:/tmp/kolk-mcp-%d.sock\"}\n",
		 mcp_fixture_address(place.server), (int)getpid());
	MUST(program_start(&place.program, pools, "    - {match: {path: /mcp}, pool: tools}\n"));
	MUST(open_session(&place, id));
	CHECK(ask(&place, id, CALL("1", "echo", "")) == 200);
	snprintf(command, sizeof command, "curl -s -m 20 --unix-socket /tmp/kolk-mcp-%d.sock "
					  "http://kolk/api/pool-status", (int)getpid());
	out = popen(command, "r");
	MUST(out != NULL);
	text[fread(text, 1, sizeof text - 1, out)] = '\0';
	CHECK(pclose(out) == 0);
	CHECK(has("\"mcp\":[{\"name\":\"tools\",\"era\":") && has("\"isolationViolations\":0}"));
	CHECK(has("\"clients\":1,") && has("\"key\":\":tools.mcp\""));
	/* The session, and not the connections that it is made of. */
	snprintf(command, sizeof command, "curl -s -m 20 --unix-socket /tmp/kolk-mcp-%d.sock "
					  "http://kolk/api/mcp/pool-status", (int)getpid());
	out = popen(command, "r");
	MUST(out != NULL);
	text[fread(text, 1, sizeof text - 1, out)] = '\0';
	CHECK(pclose(out) == 0);
	CHECK(has("{\"success\":true,\"data\":{\"totalConnections\":1,") &&
	      has("[{\"key\":\":tools:") && has("\"name\":\"tools\",\"userId\":\"\",\"lastUsed\":\"20") &&
	      has("\"authHash\":\""));
	end(&place);
}

/* A reload keeps sessions; it does not change what they are. */
static void test_reload(void)
{
	static const char routes[] = "    - {match: {path: /mcp}, pool: tools}\n";
	struct mcp_options o = { .listen = NULL };
	char pools[256], id[256];
	struct place place;

	MUST(begin(&place, "sharing: bound", NULL, &o));
	MUST(open_session(&place, id));
	snprintf(pools, sizeof pools,
		 "  - {name: tools, protocol: mcp, address: \"%s\", limits: {idle_min: 0}, mcp: {sharing: "
		 "bound}}\n", mcp_fixture_address(place.server));
	CHECK(program_configure_with(&place.program, &(struct program_file){
		.engine = "loops: 3", .pools = pools, .routes = routes }));
	CHECK(program_reload(&place.program));
	CHECK(ask(&place, id, CALL("1", "echo", "\"nonce\":\"kept\"")) == 200 && has("kept"));
	strcpy(strstr(pools, "bound"), "virgin}}\n");
	CHECK(program_configure_with(&place.program, &(struct program_file){
		.engine = "loops: 3", .pools = pools, .routes = routes }));
	CHECK(!program_reload(&place.program));
	CHECK(strstr(place.program.said, "cannot change without a restart") != NULL);
	CHECK(ask(&place, id, CALL("2", "echo", "\"nonce\":\"still\"")) == 200 && has("still"));
	end(&place);
}

/* Of what has ended nothing is left. */
static void ask_often(const struct place *place, int count)
{
	char id[256];

	for (int i = 0; i < count; i++) {
		MUST(open_session(place, id));
		CHECK(ask(place, id, CALL("1", "progress", "\"steps\":1,\"ms\":1")) == 200);
		CHECK(ask_into(place, "DELETE /mcp", id, "", text) == 200);
	}
}

static void test_memory(void)
{
	struct mcp_options o = { .listen = NULL };
	struct place place = { .server = NULL };
	char pools[256];
	uint64_t before;

	o.listen = "127.0.0.1:0";
	place.server = mcp_fixture_open(&o);
	MUST(place.server != NULL);
	snprintf(pools, sizeof pools,
		 "  - {name: tools, protocol: mcp, address: \"%s\", limits: {idle_min: 0}}\n",
		 mcp_fixture_address(place.server));
	MUST(program_start_with(&place.program, &(struct program_file){
		.engine = "loops: 1", .pools = pools, .counted = true,
		.routes = "    - {match: {path: /mcp}, pool: tools}\n" }));
	ask_often(&place, 270); /* the library keeps identities for a while */
	before = program_blocks(&place.program);
	ask_often(&place, 150);
	if (program_blocks(&place.program) > before + 50)
		tap_note("%llu blocks, then %llu", (unsigned long long)before,
			 (unsigned long long)program_blocks(&place.program));
	CHECK(program_blocks(&place.program) <= before + 50);
	end(&place);
}

static void test_idle(void)
{
	struct mcp_options o = { .listen = NULL };
	struct place place;
	char id[256];

	MUST(begin(&place, "idle_timeout: 200ms", NULL, &o));
	MUST(open_session(&place, id));
	CHECK(WITHIN_MS(10000, number(&place, MCP_N_sessions_open) == 0));
	CHECK(ask(&place, id, CALL("1", "echo", "")) == 404);
	end(&place);
}

/* ---- credentials: the client's stay here, the pool's are read again when they change */

static void test_token(void)
{
	static const char who[] = CALL("1", "whoami", "");
	struct mcp_options o = { .listen = NULL };
	char path[] = "/tmp/kolk-token-XXXXXX", mcp[128], id[256], shown[512];
	struct place place;
	int fd = mkstemp(path);

	MUST(fd >= 0 && write(fd, "first\n", 6) == 6);
	snprintf(mcp, sizeof mcp, "token_file: %s", path);
	MUST(begin(&place, mcp, NULL, &o));
	MUST(open_session(&place, id));
	snprintf(shown, sizeof shown,
		 "%s\r\nAuthorization: Bearer client\r\nCookie: a=client\r\nProxy-Authorization: client\r\n"
		 "Traceparent: 00-1-2-3", id);
	CHECK(ask(&place, shown, who) == 200 && has("Bearer first") && has("00-1-2-3"));
	CHECK(!has("Bearer client") && !has("a=client") && !has("roxy-"));
	CHECK(pwrite(fd, "other\n", 6, 0) == 6);
	CHECK(ask(&place, shown, who) == 200 && has("Bearer other") && !has("first"));
	close(fd);
	end(&place);
	unlink(path); /* sessions were ended with it */
}

/* ---- requests that stand for themselves */

#define META                                                                               \
	"\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","              \
	"\"io.modelcontextprotocol/clientCapabilities\":{},\"io.modelcontextprotocol/clientInfo\":" \
	"{\"name\":\"t\",\"version\":\"1\"}}"
#define MODERN_CALL(id, tool, arguments)                                                        \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"tools/call\",\"params\":{\"name\":\"" tool \
	"\",\"arguments\":{" arguments "}," META "}}"
#define MODERN(id, method) \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"" method "\",\"params\":{" META "}}"

static int begin_modern(const struct place *place, const char *method, const char *name,
			const char *body)
{
	char fields[256];

	snprintf(fields, sizeof fields,
		 "0\r\nMcp-Protocol-Version: 2026-07-28\r\nMcp-Method: %s%s%s", method,
		 name != NULL ? "\r\nMcp-Name: " : "", name != NULL ? name : "");
	return begin_request(place, "POST /mcp", fields, body);
}

static int ask_modern(const struct place *place, const char *method, const char *name,
		      const char *body)
{
	int fd = begin_modern(place, method, name, body);

	client_read(fd, NULL, text);
	close(fd);
	return status(text);
}

static void test_modern(void)
{
	struct mcp_options o = { .listen = NULL };
	struct place place;
	int fd;

	MUST(begin(&place, "path: /mcp", NULL, &o));
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
			  "\"params\":{\"notifications\":{\"toolsListChanged\":true}," META "}}");
	CHECK(client_read(fd, "}\n\n", text) && has("notifications/subscriptions/acknowledged"));
	CHECK(has("/subscriptionId\":\"sub\""));
	kill(place.program.pid, SIGTERM);
	CHECK(client_read(fd, "0\r\n\r\n", text) && has("\"id\":\"sub\",\"result\":"));
	close(fd);
	CHECK(number(&place, MCP_N_sessions_created) == 0);
	end(&place);
}

/* A server with sessions behind it. */
static void ask_legacy_server(const char *mcp, uint64_t sessions)
{
	struct mcp_options o = { .versions = "2025-11-25" };
	struct place place;

	MUST(begin(&place, mcp, NULL, &o));
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
	end(&place);
}

static void test_modern_to_legacy(void)
{
	ask_legacy_server("isolation: tenant, sharing: exclusive", 3); /* one for each loop */
	ask_legacy_server("isolation: tenant, sharing: multiplexed", 3);
	ask_legacy_server("isolation: session", 10); /* one for each request, and discover's two */
}

static void test_stdio(void)
{
	struct mcp_options o = { .listen = NULL };
	struct place place = { .server = mcp_fixture_open(&o) };
	char id[256];

	MUST(program_start(&place.program,
			   "  - {name: tools, protocol: mcp, child: {command: [" MCP_FIXTURE_PROGRAM
			   ", --stdio]}}\n", "    - {match: {path: /mcp}, pool: tools}\n"));
	MUST(open_session(&place, id));
	CHECK(ask(&place, id, CALL("3", "echo", "\"nonce\":\"piped\"")) == 200 && has("piped"));
	CHECK(ask_into(&place, "DELETE /mcp", id, "", text) == 200);
	end(&place);
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
	{ "requests that stand for themselves", test_modern },
	{ "such requests to a server with sessions", test_modern_to_legacy },
	{ "a server that is a child process", test_stdio },
};

TAP_TESTS(mcp, tests);
