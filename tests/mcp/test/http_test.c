/* SPDX-License-Identifier: Apache-2.0 */
/* http_test.c - the fixture's eras over HTTP. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/mcp/test/client.h"

static void sessions_are_apart(void)
{
	struct client *client = client_open(NULL);
	char first[80];

	MUST(client != NULL && client_initialize(client, "2025-06-18", ""));
	CHECK(client_post(client, CALL("1", "counter", "\"owner\":\"a\"")) == 200);
	CHECK(client_post(client, CALL("2", "counter", "\"owner\":\"a\"")) == 200);
	CHECK(client_has(client, "\\\"count\\\":2"));
	memcpy(first, client->session, sizeof first);
	MUST(client_initialize(client, "2025-06-18", ""));
	CHECK(client_post(client, CALL("1", "counter", "\"owner\":\"b\"")) == 200);
	CHECK(client_has(client, "\\\"count\\\":1"));
	CHECK(client_number(client, MCP_N_leaks) == 0);
	memcpy(client->session, first, sizeof first); /* what a pool must not do */
	CHECK(client_post(client, CALL("3", "counter", "\"owner\":\"b\"")) == 200);
	CHECK(client_has(client, "\\\"leaked\\\":true"));
	CHECK(client_number(client, MCP_N_leaks) == 1);
	CHECK(client_number(client, MCP_N_sessions_open) == 2);
	CHECK(client_number(client, MCP_N_sessions_initialized) == 2);
	client_close(client);
}

static void a_session_ends(void)
{
	struct client *client = client_open(NULL);
	char headers[256];

	MUST(client != NULL);
	CHECK(client_post(client, REQUEST("1", "tools/list")) == 400); /* of no session */
	MUST(client_initialize(client, "2025-11-25", ""));
	CHECK(client_post(client, REQUEST("1", "ping")) == 200);
	client->version = "2024-01-01";
	CHECK(client_post(client, REQUEST("1", "ping")) == 400);
	client->version = "2025-11-25";
	CHECK(client_ask(client, "DELETE /mcp", client->session, NULL) == 200);
	CHECK(client_post(client, REQUEST("2", "ping")) == 404);
	MUST(client_initialize(client, "2025-11-25", ""));
	CHECK(client_ask(client, "POST /forget", "", "{}") == 202);
	CHECK(client_post(client, REQUEST("3", "ping")) == 404);
	snprintf(headers, sizeof headers, "%sOrigin: http://evil.example\r\n", client->session);
	CHECK(client_ask(client, "POST /mcp", headers, REQUEST("4", "ping")) == 403);
	CHECK(client_number(client, MCP_N_sessions_open) == 0);
	CHECK(client_number(client, MCP_N_sessions_deleted) == 1);
	CHECK(client_number(client, MCP_N_sessions_lost) == 1);
	client_close(client);
}

static void a_batch_is_answered_as_one(void)
{
	static const char batch[] = "[" REQUEST("1", "ping") "," REQUEST("2", "ping") ","
				    "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}]";
	struct client *client = client_open(NULL);

	MUST(client != NULL && client_initialize(client, "2025-03-26", ""));
	CHECK(client_post(client, batch) == 200);
	CHECK(client_has(client, "[{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}},{"));
	CHECK(client_post(client, "[{\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}]") == 202);
	CHECK(client_post(client, "[" REQUEST("1", "ping") "," CALL("2", "progress", "\"steps\":2") "]") ==
	      200);
	CHECK(client_post(client, "[]") == 400);
	MUST(client_initialize(client, "2025-06-18", "")); /* which has none */
	CHECK(client_post(client, batch) == 400);
	client_close(client);
}

static void a_get_stream_is_pushed_to_and_resumed(void)
{
	struct client *client = client_open(NULL);
	char resume[256], *id;
	int fd;

	MUST(client != NULL && client_initialize(client, "2025-11-25", ""));
	fd = client_connect(client);
	client_send(fd, "GET /mcp", client->session, NULL);
	CHECK(client_read(client, fd, "data: \n\n")); /* priming */
	id = strstr(client->text, "id: ");
	MUST(id != NULL);
	snprintf(resume, sizeof resume, "%sLast-Event-ID: %.*s\r\n", client->session,
		 (int)strcspn(id + 4, "\n"), id + 4);
	CHECK(client_ask(client, "GET /mcp", client->session, NULL) == 409); /* one per session */
	CHECK(client_post(client, CALL("1", "test_trigger_tool_change", "")) == 200);
	CHECK(client_read(client, fd, "notifications/tools/list_changed"));
	close(fd);
	CHECK(WITHIN_MS(5000, client_number(client, MCP_N_get_streams_now) == 0));
	CHECK(client_post(client, CALL("2", "test_trigger_prompt_change", "")) == 200);
	fd = client_connect(client);
	client_send(fd, "GET /mcp", resume, NULL);
	CHECK(client_read(client, fd, "notifications/prompts/list_changed"));
	CHECK(client_has(client, "notifications/tools/list_changed"));
	CHECK(client_number(client, MCP_N_replayed) == 2);
	close(fd);
	client_close(client);
}

static void an_answer_comes_on_the_stream_that_resumes(void)
{
	struct client *client = client_open(NULL);
	char resume[256], *id;
	int fd;

	MUST(client != NULL && client_initialize(client, "2025-11-25", ""));
	CHECK(client_post(client, CALL("1", "test_reconnection", "")) == 200); /* and closed */
	id = strstr(client->text, "\nid: ");
	MUST(id != NULL && strstr(client->text, "result") == NULL);
	snprintf(resume, sizeof resume, "%sLast-Event-ID: %.*s\r\n", client->session,
		 (int)strcspn(id + 5, "\n"), id + 5);
	fd = client_connect(client);
	client_send(fd, "GET /mcp", resume, NULL);
	CHECK(client_read(client, fd, "\"id\":1,\"result\""));
	close(fd);
	client_close(client);
}

static void the_server_asks_on_the_calls_stream(void)
{
	struct client *client = client_open(NULL);
	int fd;

	MUST(client != NULL && client_initialize(client, "2025-06-18", "\"sampling\":{}"));
	fd = client_connect(client);
	client_send(fd, "POST /mcp", client->session, CALL("1", "test_sampling", "\"prompt\":\"p\""));
	CHECK(client_read(client, fd, "sampling/createMessage"));
	CHECK(client_post(client, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"role\":\"assistant\","
				  "\"content\":{\"type\":\"text\",\"text\":\"said\"}}}") == 202);
	CHECK(client_read(client, fd, "LLM response: said"));
	CHECK(client_number(client, MCP_N_replies) == 1);
	CHECK(client_post(client, "{\"jsonrpc\":\"2.0\",\"id\":99,\"result\":{}}") == 202);
	CHECK(client_number(client, MCP_N_replies_unknown) == 1);
	close(fd);
	client_close(client);
}

#define SUBSCRIBE(id, method)                                                              \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"resources/" method "\",\"params\":{\"uri\":" \
	"\"test://watched-resource\"}}"
static void a_session_remembers(void)
{
	struct client *client = client_open(NULL);
	int fd;

	MUST(client != NULL && client_initialize(client, "2025-06-18", ""));
	fd = client_connect(client);
	client_send(fd, "GET /mcp", client->session, NULL);
	CHECK(WITHIN_MS(5000, client_number(client, MCP_N_get_streams_now) == 1));
	CHECK(client_post(client, SUBSCRIBE("1", "subscribe")) == 200);
	CHECK(client_post(client, CALL("2", "touch", "")) == 200);
	CHECK(client_read(client, fd, "notifications/resources/updated"));
	CHECK(client_post(client, SUBSCRIBE("3", "unsubscribe")) == 200);
	CHECK(client_post(client, CALL("4", "touch", "")) == 200);
	CHECK(client_number(client, MCP_N_pushed) == 1);
	CHECK(client_post(client, CALL("5", "test_logging_tool", "")) == 200);
	CHECK(client_has(client, "notifications/message"));
	CHECK(client_post(client, "{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":\"logging/setLevel\","
				  "\"params\":{\"level\":\"error\"}}") == 200);
	CHECK(client_post(client, CALL("7", "test_logging_tool", "")) == 200);
	CHECK(strstr(client->text, "notifications/message") == NULL);
	CHECK(client_post(client, CALL("8", "whoami", "")) == 200);
	CHECK(client_has(client, "\\\"version\\\":\\\"2025-06-18\\\""));
	CHECK(client_has(client, "\\\"mcp-protocol-version\\\":\\\"2025-06-18\\\""));
	close(fd);
	client_close(client);
}

/* Sessions: only the notification cancels. 2026-07-28: the end of the connection. */
static void cancelling_is_seen(void)
{
	struct client *client = client_open(NULL);
	uint64_t at_ns;
	char *seen;
	int fd;

	MUST(client != NULL && client_initialize(client, "2025-06-18", ""));
	fd = client_connect(client);
	client_send(fd, "POST /mcp", client->session, CALL("5", "slow", "\"ms\":60000,\"nonce\":\"n5\""));
	CHECK(WITHIN_MS(5000, client_number(client, MCP_N_calls_now) == 1));
	close(fd);
	CHECK(client_post(client, REQUEST("6", "ping")) == 200);
	CHECK(client_number(client, MCP_N_calls_now) == 1);
	CHECK(client_post(client, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\","
				  "\"params\":{\"requestId\":5}}") == 202);
	CHECK(WITHIN_MS(5000, client_number(client, MCP_N_calls_now) == 0));
	CHECK(client_number(client, MCP_N_cancels_notified) == 1);
	fd = client_modern_send(client, "tools/call", "slow",
				"\"name\":\"slow\",\"arguments\":{\"ms\":60000,\"nonce\":\"m7\"}");
	CHECK(WITHIN_MS(5000, client_number(client, MCP_N_calls_now) == 1));
	close(fd);
	CHECK(WITHIN_MS(5000, client_number(client, MCP_N_cancels_disconnect) == 1));
	CHECK(client_number(client, MCP_N_calls_now) == 0);
	CHECK(client_ask(client, "GET /numbers", "", NULL) == 200);
	CHECK(client_has(client, "\"n5\"") && client_has(client, "\"notification\""));
	seen = strstr(client->text, "\"m7\"");
	MUST(seen != NULL && (seen = strstr(seen, "\"seen_ns\": ")) != NULL);
	at_ns = strtoull(seen + 11, NULL, 10); /* of this machine's clock */
	CHECK(at_ns / 1000000 <= tap_now_ms() && at_ns / 1000000 + 10000 > tap_now_ms());
	client_close(client);
}

static void modern_requests_are_checked(void)
{
	static const char call[] = "\"name\":\"echo\",\"arguments\":{\"nonce\":\"x\"}";
	struct client *client = client_open("ttl=5000");

	MUST(client != NULL);
	CHECK(client_modern(client, "tools/call", "echo", call) == 200);
	CHECK(client_has(client, "\"resultType\":\"complete\"") && client_has(client, "\"text\":\"x\""));
	CHECK(strstr(client->text, "Mcp-Session-Id") == NULL);
	CHECK(client_modern(client, "tools/call", "slow", call) == 400 && client_has(client, "-32020"));
	CHECK(client_modern(client, "tools/call", "=?base64?ZWNobw==?=", call) == 200);
	CHECK(client_modern(client, "tools/call", "=?base64?ZWNobw?=", call) == 400);
	CHECK(client_modern(client, "initialize", NULL, "") == 404 && client_has(client, "-32601"));
	CHECK(client_modern(client, "tools/list", NULL, "") == 200);
	CHECK(client_has(client, "\"ttlMs\":5000,\"cacheScope\":\"public\""));
	CHECK(client_ask(client, "GET /mcp", "MCP-Protocol-Version: 2026-07-28\r\n", NULL) == 405);
	CHECK(client_number(client, MCP_N_header_mismatches) == 2);
	client_close(client);
}

static void modern_calls_need_input(void)
{
	static const char name[] = "test_input_required_result_request_state";
	struct client *client = client_open(NULL);
	char params[1024], *state;

	MUST(client != NULL);
	snprintf(params, sizeof params, "\"name\":\"%s\"", name);
	CHECK(client_modern(client, "tools/call", name, params) == 200);
	CHECK(client_has(client, "\"resultType\":\"input_required\""));
	state = strstr(client->text, "\"requestState\":\"");
	MUST(state != NULL);
	snprintf(params, sizeof params,
		 "\"name\":\"%s\",\"inputResponses\":{\"confirm\":{\"action\":\"accept\",\"content\":"
		 "{\"ok\":true}}},%.*s\"", name, (int)strcspn(state + 16, "\"") + 16, state);
	CHECK(client_modern(client, "tools/call", name, params) == 200);
	CHECK(client_has(client, "state-ok"));
	params[strlen(params) - 2] ^= 1;
	CHECK(client_modern(client, "tools/call", name, params) == 200);
	CHECK(client_has(client, "-32602"));
	CHECK(client_modern(client, "tools/call", "test_missing_capability",
			    "\"name\":\"test_missing_capability\"") == 400);
	CHECK(client_has(client, "-32021"));
	client_close(client);
}

static void modern_listeners_hear_what_they_asked_for(void)
{
	struct client *client = client_open("comment=5");
	int fd;

	MUST(client != NULL);
	fd = client_modern_send(client, "subscriptions/listen", NULL,
				"\"notifications\":{\"toolsListChanged\":true,"
				"\"resourceSubscriptions\":[\"test://watched-resource\"]}");
	CHECK(client_read(client, fd, "notifications/subscriptions/acknowledged"));
	CHECK(client_read(client, fd, ": \n\n"));
	client_modern(client, "tools/call", "test_trigger_prompt_change",
		      "\"name\":\"test_trigger_prompt_change\"");
	client_modern(client, "tools/call", "touch", "\"name\":\"touch\"");
	CHECK(client_read(client, fd, "notifications/resources/updated"));
	CHECK(strstr(client->text, "prompts/list_changed") == NULL);
	CHECK(client_has(client, "io.modelcontextprotocol/subscriptionId\":7"));
	CHECK(client_ask(client, "POST /end-streams", "", "{}") == 202);
	CHECK(client_read(client, fd, "\"id\":7,\"result\""));
	CHECK(WITHIN_MS(5000, client_number(client, MCP_N_listen_streams_now) == 0));
	close(fd);
	client_close(client);
}

static void the_oldest_era_has_a_stream_and_posts(void)
{
	struct client *client = client_open(NULL);
	char post[128], *path;
	int fd;

	MUST(client != NULL);
	fd = client_connect(client);
	client_send(fd, "GET /sse", "", NULL);
	CHECK(client_read(client, fd, "\n\n\r\n") || client_has(client, "event: endpoint"));
	path = strstr(client->text, "/message?sessionId=");
	MUST(path != NULL);
	snprintf(post, sizeof post, "POST %.*s", (int)strcspn(path, "\n"), path);
	CHECK(client_ask(client, post, "", CALL("3", "echo", "\"nonce\":\"by sse\"")) == 202);
	CHECK(client_read(client, fd, "by sse") && client_has(client, "event: message\ndata: {"));
	close(fd);
	CHECK(WITHIN_MS(5000, client_number(client, MCP_N_sessions_open) == 0));
	CHECK(client_ask(client, post, "", REQUEST("4", "ping")) == 404);
	CHECK(client_ask(client, "POST /sse", "", REQUEST("1", "ping")) == 405);
	client_close(client);
}

static void only_some_versions(void)
{
	struct client *client = client_open("versions=2025-06-18");

	MUST(client != NULL);
	CHECK(client_modern(client, "server/discover", NULL, "") == 400);
	CHECK(client_has(client, "Mcp-Session-Id is required")); /* no error of the newer era */
	CHECK(client_initialize(client, "2025-06-18", ""));
	CHECK(client_ask(client, "GET /sse", "", NULL) == 404);
	client_close(client);
	client = client_open("versions=2026-07-28");
	MUST(client != NULL);
	CHECK(client_post(client, REQUEST("1", "initialize")) == 400 && client_has(client, "-32022"));
	CHECK(client_modern(client, "server/discover", NULL, "") == 200);
	client_close(client);
}

static void http2_is_spoken(void)
{
	struct client *client = client_open(NULL);
	char command[1024];
	FILE *curl;

	MUST(client != NULL);
	snprintf(command, sizeof command,
		 "curl -s --http2-prior-knowledge -H 'content-type: application/json' "
		 "-H 'accept: application/json, text/event-stream' "
		 "-H 'mcp-protocol-version: 2026-07-28' -H 'mcp-method: server/discover' "
		 "-d '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server/discover\",\"params\":{\"_meta\":{"
		 "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
		 "\"io.modelcontextprotocol/clientCapabilities\":{}}}}' "
		 "-w ' HTTP/%%{http_version}' http://%s/mcp", mcp_fixture_address(client->fixture));
	curl = popen(command, "r");
	client->text[fread(client->text, 1, CLIENT_TEXT - 1, curl)] = '\0';
	pclose(curl);
	CHECK(client_has(client, "supportedVersions") && client_has(client, " HTTP/2"));
	client_close(client);
}

static const struct tap_test tests[] = {
	{ "sessions are apart", sessions_are_apart },
	{ "a session ends", a_session_ends },
	{ "a batch is answered as one", a_batch_is_answered_as_one },
	{ "a GET stream is pushed to and resumed", a_get_stream_is_pushed_to_and_resumed },
	{ "an answer comes on the stream that resumes", an_answer_comes_on_the_stream_that_resumes },
	{ "a session remembers", a_session_remembers },
	{ "the server asks on the call's stream", the_server_asks_on_the_calls_stream },
	{ "cancelling is seen", cancelling_is_seen },
	{ "2026-07-28: requests are checked", modern_requests_are_checked },
	{ "2026-07-28: calls need input", modern_calls_need_input },
	{ "2026-07-28: listeners hear what they asked for", modern_listeners_hear_what_they_asked_for },
	{ "2024-11-05: a stream, and posts", the_oldest_era_has_a_stream_and_posts },
	{ "only some versions", only_some_versions },
	{ "HTTP/2 is spoken", http2_is_spoken },
};
TAP_TESTS(http, tests);
