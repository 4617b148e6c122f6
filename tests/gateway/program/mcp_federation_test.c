/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcp_federation_test.c - several MCP servers behind one route: `a` has sessions, `b` has none, for
 * clients of both kinds.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/gateway/program/mcp_place.h"

/* ---- a gateway in front of two servers */

static const char route[] = "    - {match: {path: /mcp}, federation: [{pool: a}, {pool: second, prefix: b}]}\n"
			    "    - {match: {path: /other}, federation: [{pool: a}]}\n";

/* What the program is with these routes. */
static struct place_options options_with(const struct place *place, const char *routes)
{
	static char pools[1024];

	snprintf(pools, sizeof pools,
		 "  - {name: a, protocol: mcp, address: \"%s\", limits: {idle_min: 0}}\n"
		 "  - {name: second, protocol: mcp, address: \"%s\", limits: {idle_min: 0}}\n",
		 mcp_fixture_address(place->a), mcp_fixture_address(place->b));
	return (struct place_options){ .pools = pools, .routes = routes, .users = true, .admin = true };
}

static bool begin(struct place *place, const struct mcp_options *a, const struct mcp_options *b)
{
	struct place_options o;

	*place = (struct place){ .a = mcp_fixture_open(a), .b = mcp_fixture_open(b) };
	if (place->a == NULL || place->b == NULL)
		return FAILED("there are servers");
	o = options_with(place, route);
	return place_start(place, &o);
}

static bool begin_both(struct place *place)
{
	return begin(place, &(struct mcp_options){ .listen = "127.0.0.1:0", .versions = "2025-06-18" },
		     &(struct mcp_options){ .listen = "127.0.0.1:0", .versions = "2026-07-28" });
}

static bool reload(struct place *place, const char *routes)
{
	const struct place_options o = options_with(place, routes);

	return place_configure(place, &o) && program_reload(&place->program);
}

/* ---- clients */

#define ASKED "\"sampling\":{},\"elicitation\":{}"

/* Its fields for requests. */
static bool open_session(const struct place *place, char fields[512])
{
	(void)post(place, "", INITIALIZE("2025-06-18", ASKED));
	if (!take_session(fields))
		return false;
	strcat(fields, "Mcp-Protocol-Version: 2025-06-18\r\n");
	return true;
}

/* params: members, each with a comma behind. */
static int begin_modern(const struct place *place, const char *method, const char *name,
			const char *params)
{
	char fields[512], body[4096];

	modern_fields(fields, method, name);
	snprintf(body, sizeof body, REQUEST("5", "%s", "%s" META("", ASKED)), method, params);
	return begin_request(place, "POST /mcp", fields, body);
}

static int modern(const struct place *place, const char *method, const char *name, const char *params)
{
	return read_answer(begin_modern(place, method, name, params));
}

/* ---- what both kinds of clients see */

/* The list that is in the text has these of both servers, and none by its own name. */
static void check_names(const char *key, const char *mark, const char *name)
{
	char a[128], b[128], own[128];

	snprintf(a, sizeof a, "\"%s\":\"a%s%s\"", key, mark, name);
	snprintf(b, sizeof b, "\"%s\":\"b%s%s\"", key, mark, name);
	snprintf(own, sizeof own, "\"%s\":\"%s\"", key, name);
	if (!has(a) || !has(b) || has(own))
		tap_note("%s: %.500s", a, text);
	CHECK(status() == 200 && has(a) && has(b) && !has(own));
	CHECK(!has("nextCursor"));
}

static void test_session(void)
{
	struct place place;
	char fields[512];

	MUST(begin_both(&place));
	MUST(open_session(&place, fields));
	CHECK(has("\"protocolVersion\":\"2025-06-18\"") && has("\"name\":\"kolk-gateway\""));
	CHECK(has("\"tools\":{\"listChanged\":true}") && has("\"prompts\":{") && has("\"resources\":{"));
	CHECK(has("\"instructions\":\"a: ") && has("\\n\\nb: "));
	CHECK(post(&place, fields, INITIALIZED) == 202);
	(void)post(&place, fields, REQUEST("2", "tools/list", ""));
	check_names("name", "_", "echo");
	(void)post(&place, fields, REQUEST("3", "prompts/list", ""));
	check_names("name", "_", "test_simple_prompt");
	(void)post(&place, fields, REQUEST("4", "resources/list", ""));
	check_names("uri", "+", "test://static-text");
	(void)post(&place, fields, REQUEST("5", "resources/templates/list", ""));
	check_names("uriTemplate", "+", "test://template/{id}/data");

	CHECK(post(&place, fields, CALL("\"x\"", "a_echo", "\"nonce\":\"n1\"")) == 200);
	CHECK(has("\"id\":\"x\"") && has("n1") && number(&place, MCP_N_tool_calls) == 1);
	CHECK(post(&place, fields, CALL("7", "b_echo", "\"nonce\":\"n2\"")) == 200 && has("n2"));
	CHECK(post(&place, fields, CALL("8", "\\u0062_\\u0065cho", "\"nonce\":\"n3\"")) == 200 && has("n3"));
	CHECK(number(&place, MCP_N_tool_calls) == 1 && number_b(&place, MCP_N_tool_calls) == 2);
	CHECK(post(&place, fields, REQUEST("9", "prompts/get", "\"name\":\"b_test_simple_prompt\"")) == 200 &&
	      has("simple prompt for testing"));
	CHECK(post(&place, fields, REQUEST("9", "resources/read", "\"uri\":\"a+test://static-text\"")) == 200 &&
	      has("static text resource"));
	CHECK(post(&place, fields,
		   REQUEST("9", "resources/read", "\"uri\":\"b+test://template/7/data\"")) == 200 &&
	      has("Data for ID: 7"));
	CHECK(post(&place, fields, REQUEST("9", "completion/complete", "\"ref\":{\"type\":\"ref/prompt\","
		   "\"name\":\"a_test_prompt_with_arguments\"},\"argument\":{\"name\":\"arg1\",\"value\":\"t\"}")) ==
	      200 && has("\"result\":"));
	CHECK(post(&place, fields, REQUEST("10", "ping", "")) == 200 && has("\"id\":10,\"result\":{}"));
	CHECK(post(&place, fields, REQUEST("11", "logging/setLevel", "\"level\":\"debug\"")) == 200 &&
	      has("\"result\":{}"));
	CHECK(post(&place, fields, REQUEST("12", "no/such", "")) == 200 && has("-32601"));
	CHECK(post(&place, fields, REQUEST("13", "tools/list", "\"cursor\":\"4\"")) == 200 && has("-32602"));
	CHECK(ask(&place, "DELETE /mcp", fields, "") == 200);
	CHECK(WITHIN_MS(10000, number(&place, MCP_N_sessions_deleted) == 1));
	CHECK(post(&place, fields, CALL("14", "a_echo", "")) == 404);
	place_close(&place);
}

static void test_modern(void)
{
	struct place place;

	MUST(begin_both(&place));
	CHECK(modern(&place, "server/discover", NULL, "") == 200);
	CHECK(has("\"supportedVersions\":[\"2026-07-28\"]") && has("\"name\":\"kolk-gateway\""));
	CHECK(has("\"tools\":{\"listChanged\":true}") && has("\"prompts\":{") && has("\"resources\":{"));
	(void)modern(&place, "tools/list", NULL, "");
	check_names("name", "_", "echo");
	CHECK(has("\"resultType\":\"complete\",\"ttlMs\":0,\"cacheScope\":\"private\",\"tools\":["));
	(void)modern(&place, "prompts/list", NULL, "");
	check_names("name", "_", "test_simple_prompt");
	(void)modern(&place, "resources/list", NULL, "");
	check_names("uri", "+", "test://static-text");

	CHECK(modern(&place, "tools/call", "a_echo", "\"name\":\"a_echo\",\"arguments\":{\"nonce\":\"n1\"},") ==
	      200 && has("n1") && has("\"resultType\":\"complete\""));
	CHECK(modern(&place, "tools/call", "b_echo", "\"name\":\"b_echo\",\"arguments\":{\"nonce\":\"n2\"},") ==
	      200 && has("n2") && has("\"resultType\":\"complete\""));
	CHECK(number(&place, MCP_N_tool_calls) == 1 && number_b(&place, MCP_N_tool_calls) == 1);
	CHECK(modern(&place, "tools/call", "a_echo", "\"name\":\"b_echo\",\"arguments\":{},") == 400 &&
	      has("-32020"));
	CHECK(modern(&place, "resources/read", "b+test://static-text", "\"uri\":\"b+test://static-text\",") ==
	      200 && has("static text resource"));
	CHECK(modern(&place, "no/such", NULL, "") == 404 && has("-32601"));
	place_close(&place);
}

/* Names that are nobody's reach no server. */
static void test_unknown(void)
{
	static const char *const names[] = { "echo", "a", "a_", "_echo", "c_echo", "A_echo", "aa_echo",
					     "a+echo", "a-_echo", "b", "", "second_echo",
					     " a_echo", "a _echo" };
	static const char *const uris[] = { "test://static-text", "c+test://static-text", "a+", "+test://x",
					    "A+test://static-text", "a_test://static-text", "" };
	char fields[512], body[512];
	struct place place;

	MUST(begin_both(&place));
	MUST(open_session(&place, fields));
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		snprintf(body, sizeof body, CALL("1", "%s", ""), names[i]);
		CHECK(post(&place, fields, body) == 200 && has("-32602") && has("\"id\":1,"));
		if (!has("-32602"))
			tap_note("%s: %.500s", names[i], text);
		snprintf(body, sizeof body, REQUEST("1", "prompts/get", "\"name\":\"%s\""), names[i]);
		CHECK(post(&place, fields, body) == 200 && has("-32602"));
	}
	for (size_t i = 0; i < sizeof uris / sizeof uris[0]; i++) {
		snprintf(body, sizeof body, REQUEST("1", "resources/read", "\"uri\":\"%s\""), uris[i]);
		CHECK(post(&place, fields, body) == 200 && has("-32002"));
	}
	CHECK(post(&place, fields, REQUEST("1", "tools/call", "\"arguments\":{}")) == 200 && has("-32602"));
	CHECK(post(&place, fields, REQUEST("1", "tools/call", "\"name\":{\"a\":1}")) != 202 && has("error"));
	CHECK(modern(&place, "tools/call", "echo", "\"name\":\"echo\",\"arguments\":{},") == 200 &&
	      has("-32602"));
	CHECK(modern(&place, "resources/read", "test://static-text", "\"uri\":\"test://static-text\",") ==
	      200 && has("-32602"));
	CHECK(number(&place, MCP_N_tool_calls) == 0 && number_b(&place, MCP_N_tool_calls) == 0);
	place_close(&place);
}

/* All pages of both are on one, and each once. */
static void test_pages(void)
{
	struct mcp_options a = { .listen = "127.0.0.1:0", .versions = "2025-06-18" };
	struct mcp_options b = { .listen = "127.0.0.1:0", .versions = "2026-07-28" };
	uint32_t tools = 0, uris = 0;
	struct place place;
	char fields[512];

	for (uint32_t page = 0; page <= 3; page += 3) {
		a.page = page;
		b.page = page;
		MUST(begin(&place, &a, &b));
		MUST(open_session(&place, fields));
		(void)post(&place, fields, REQUEST("2", "tools/list", ""));
		check_names("name", "_", "echo");
		CHECK(count("\"name\":\"a_") == count("\"name\":\"b_") && count("\"name\":\"a_") > 20);
		CHECK(page == 0 || count("\"name\":\"a_") == tools);
		tools = count("\"name\":\"a_");
		(void)modern(&place, "resources/list", NULL, "");
		CHECK(count("\"uri\":\"a+") > 3 && count("\"uri\":\"a+") == count("\"uri\":\"b+"));
		CHECK(page == 0 || count("\"uri\":\"a+") == uris);
		uris = count("\"uri\":\"a+");
		place_close(&place);
	}
}

/* What servers say may be kept is not asked for twice: what is public, for all; else for its client. */
static void test_kept(void)
{
	struct mcp_options a = { .listen = "127.0.0.1:0", .versions = "2026-07-28", .ttl = 3600000 };
	struct mcp_options b = { .listen = "127.0.0.1:0", .versions = "2026-07-28", .ttl = 1800000,
				 .private = 1 };
	uint64_t asked_a = 0, asked_b = 0;
	struct place place;
	int fd;

	MUST(begin(&place, &a, &b));
	for (int i = 0; i < 3; i++) {
		(void)modern(&place, "tools/list", NULL, "");
		check_names("name", "_", "echo");
		CHECK(has("\"cacheScope\":\"private\"") && !has("\"ttlMs\":0") && !has("\"ttlMs\":36"));
		if (i == 0) {
			asked_a = number(&place, MCP_N_requests);
			asked_b = number_b(&place, MCP_N_requests);
		}
	}
	CHECK(number(&place, MCP_N_requests) == asked_a && number_b(&place, MCP_N_requests) == asked_b);
	user = "bob";
	(void)modern(&place, "tools/list", NULL, "");
	check_names("name", "_", "echo");
	CHECK(number(&place, MCP_N_requests) == asked_a && number_b(&place, MCP_N_requests) == asked_b + 1);
	user = "ann";
	/* One that says its list changed is asked again. */
	fd = begin_modern(&place, "subscriptions/listen", NULL,
			  "\"notifications\":{\"toolsListChanged\":true},");
	CHECK(client_read(fd, "}\n\n", text) && has("notifications/subscriptions/acknowledged"));
	CHECK(modern(&place, "tools/call", "a_test_trigger_tool_change",
		     "\"name\":\"a_test_trigger_tool_change\",\"arguments\":{},") == 200);
	CHECK(client_read(fd, "}\n\n", text) && has("notifications/tools/list_changed"));
	asked_a = number(&place, MCP_N_requests);
	asked_b = number_b(&place, MCP_N_requests);
	(void)modern(&place, "tools/list", NULL, "");
	check_names("name", "_", "echo");
	CHECK(number(&place, MCP_N_requests) == asked_a + 1 && number_b(&place, MCP_N_requests) == asked_b);
	close(fd);
	place_close(&place);
}

/* ---- a server that does not answer hides what it has, and nothing else */

static void test_down(void)
{
	struct mcp_options back = { .versions = "2026-07-28" };
	char fields[512], address[64];
	struct place place;

	MUST(begin_both(&place));
	snprintf(address, sizeof address, "%s", mcp_fixture_address(place.b));
	back.listen = address;
	place_server_close(&place, place.b);
	MUST(open_session(&place, fields));
	(void)post(&place, fields, REQUEST("2", "tools/list", ""));
	CHECK(status() == 200 && has("\"name\":\"a_echo\"") && !has("\"name\":\"b_"));
	CHECK(post(&place, fields, CALL("3", "a_echo", "\"nonce\":\"n1\"")) == 200 && has("n1"));
	CHECK(post(&place, fields, CALL("4", "b_echo", "")) == 502 && has("\"id\":4,\"error\""));
	CHECK(modern(&place, "tools/list", NULL, "") == 200 && has("\"name\":\"a_echo\"") &&
	      !has("\"name\":\"b_"));
	CHECK(modern(&place, "server/discover", NULL, "") == 200 && has("\"tools\":{"));
	CHECK(program_says(&place.program, "federation /mcp: what second has is left out: "));
	MUST(place_get(&place, "/api/pool-status", text) && says("\"federations\":[{\"route\":\""));
	CHECK(has("{\"pool\":\"a\",\"prefix\":\"a\",\"state\":\"up\",") &&
	      has("{\"pool\":\"second\",\"prefix\":\"b\",\"state\":\"down\","));
	/* The same clients have it again when it is back. */
	place.b = mcp_fixture_open(&back);
	MUST(place.b != NULL);
	CHECK(WITHIN_MS(20000, post(&place, fields, REQUEST("5", "tools/list", "")) == 200 &&
			       has("\"name\":\"b_echo\"")));
	CHECK(post(&place, fields, CALL("6", "b_echo", "\"nonce\":\"n2\"")) == 200 && has("n2"));
	CHECK(program_says(&place.program, "federation /mcp: second answers again"));
	place_close(&place);
}

/* A session that a server lost is made again; the client's goes on. */
static void test_lost(void)
{
	struct mcp_options a = { .listen = "127.0.0.1:0", .versions = "2025-06-18", .lose = 3 };
	struct mcp_options b = { .listen = "127.0.0.1:0", .versions = "2025-11-25" };
	struct place place;
	char fields[512];

	MUST(begin(&place, &a, &b));
	MUST(open_session(&place, fields));
	for (int i = 0; i < 8; i++)
		CHECK(post(&place, fields, CALL("1", "a_echo", "\"nonce\":\"again\"")) == 200 && has("again"));
	CHECK(number(&place, MCP_N_sessions_lost) >= 2 && number(&place, MCP_N_tool_calls) == 8);
	CHECK(post(&place, fields, CALL("2", "b_counter", "\"owner\":\"x\"")) == 200 && has("\\\"count\\\":1"));
	CHECK(post(&place, fields, CALL("3", "a_echo", "\"nonce\":\"anew\"")) == 200 && has("anew"));
	CHECK(post(&place, fields, CALL("4", "b_counter", "\"owner\":\"x\"")) == 200 && has("\\\"count\\\":2"));
	CHECK(number(&place, MCP_N_sessions_created) >= 2 && number_b(&place, MCP_N_sessions_created) == 1);
	place_close(&place);
}

/* ---- calls */

static void test_progress(void)
{
	static const char *const tools[] = { "a_progress", "b_progress" };
	char fields[512], body[512];
	struct place place;

	MUST(begin_both(&place));
	MUST(open_session(&place, fields));
	for (size_t i = 0; i < 2; i++) {
		snprintf(body, sizeof body, REQUEST("7", "tools/call", "\"name\":\"%s\",\"arguments\":{"
			 "\"steps\":3,\"ms\":1},\"_meta\":{\"progressToken\":\"mine\"}"), tools[i]);
		CHECK(post(&place, fields, body) == 200 && has("\"id\":7,\"result\""));
		CHECK(has("text/event-stream") && count("\"progressToken\":\"mine\"") >= 3);
	}
	place_close(&place);
}

static void test_cancel(void)
{
	char fields[512], body[512];
	struct place place;
	int fd;

	MUST(begin_both(&place));
	MUST(open_session(&place, fields));
	for (int i = 0; i < 2; i++) {
		struct mcp_fixture *server = i == 0 ? place.a : place.b;

		snprintf(body, sizeof body, CALL("\"s\"", "%s_slow", "\"ms\":60000"), i == 0 ? "a" : "b");
		fd = begin_request(&place, "POST /mcp", fields, body);
		CHECK(WITHIN_MS(10000, mcp_fixture_number(server, MCP_N_calls_now) == 1));
		CHECK(post(&place, fields, CANCEL("\"s\"")) == 202);
		CHECK(WITHIN_MS(10000, mcp_fixture_number(server, MCP_N_calls_now) == 0));
		CHECK(client_read(fd, NULL, text) && status() == 200 && !has("\"id\":\"s\""));
		close(fd);
	}
	CHECK(number(&place, MCP_N_cancels_notified) == 1 && number_b(&place, MCP_N_cancels_disconnect) == 1);
	fd = begin_modern(&place, "tools/call", "a_slow", "\"name\":\"a_slow\",\"arguments\":{\"ms\":60000},");
	CHECK(WITHIN_MS(10000, number(&place, MCP_N_calls_now) == 1));
	close(fd); /* that cancels it */
	CHECK(WITHIN_MS(10000, number(&place, MCP_N_cancels_notified) == 2));
	fd = begin_modern(&place, "tools/call", "b_slow", "\"name\":\"b_slow\",\"arguments\":{\"ms\":60000},");
	CHECK(WITHIN_MS(10000, number_b(&place, MCP_N_calls_now) == 1));
	close(fd);
	CHECK(WITHIN_MS(10000, number_b(&place, MCP_N_cancels_disconnect) == 2));
	place_close(&place);
}

/* Both servers ask at once; each gets the answer to its own question. */
static void test_questions(void)
{
	char fields[512], ids[2][64], reply[512];
	struct place place;
	int fds[2];

	MUST(begin_both(&place));
	MUST(open_session(&place, fields));
	for (int i = 0; i < 2; i++) {
		snprintf(reply, sizeof reply, CALL("%d", "%s_test_sampling", "\"prompt\":\"p\""), 5 + i,
			 i == 0 ? "a" : "b");
		fds[i] = begin_request(&place, "POST /mcp", fields, reply);
		MUST(client_read(fds[i], "sampling/createMessage", text));
		MUST(strstr(text, "\"id\":") != NULL &&
		     sscanf(strstr(text, "\"id\":"), "\"id\":%60[^,]", ids[i]) == 1);
	}
	CHECK(strcmp(ids[0], ids[1]) != 0);
	for (int i = 1; i >= 0; i--) {
		snprintf(reply, sizeof reply, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"role\":\"assistant\","
			 "\"content\":{\"type\":\"text\",\"text\":\"answer %d\"},\"model\":\"m\"}}", ids[i], i);
		CHECK(post(&place, fields, reply) == 202);
	}
	for (int i = 0; i < 2; i++) {
		snprintf(reply, sizeof reply, "answer %d", i);
		CHECK(client_read(fds[i], NULL, text) && has(reply) && has(i == 0 ? "\"id\":5,\"result\"" :
										    "\"id\":6,\"result\""));
		close(fds[i]);
	}
	place_close(&place);
}

/* What a server asks of a client that has no session: the call goes on at the same server. */
static void test_input_required(void)
{
	char state[512], params[1024], *at;
	struct place place;

	MUST(begin_both(&place));
	for (int i = 0; i < 2; i++) {
		const char *tool = i == 0 ? "a_test_sampling" : "b_test_sampling";

		snprintf(params, sizeof params, "\"name\":\"%s\",\"arguments\":{\"prompt\":\"p\"},", tool);
		CHECK(modern(&place, "tools/call", tool, params) == 200 && has("input_required"));
		at = strstr(text, "\"requestState\":\""); /* b needs none */
		state[0] = '\0';
		if (at != NULL)
			(void)!sscanf(at, "\"requestState\":\"%400[^\"]", state);
		CHECK((at != NULL) == (i == 0));
		at = strstr(text, "\"inputRequests\":{\"");
		MUST(at != NULL);
		snprintf(params, sizeof params,
			 "\"name\":\"%s\",\"arguments\":{\"prompt\":\"p\"},%s%s%s"
			 "\"inputResponses\":{\"%.*s\":{\"role\":\"assistant\",\"content\":{\"type\":\"text\","
			 "\"text\":\"the answer\"},\"model\":\"m\"}},", tool,
			 state[0] != '\0' ? "\"requestState\":\"" : "", state,
			 state[0] != '\0' ? "\"," : "",
			 (int)strcspn(at + 18, "\""), at + 18);
		CHECK(modern(&place, "tools/call", tool, params) == 200 && has("the answer"));
	}
	place_close(&place);
}

/* Messages of an array go each their own way. */
static void test_array(void)
{
	struct place place;
	char fields[512];

	MUST(begin_both(&place));
	CHECK(post(&place, "", INITIALIZE("2025-03-26", "")) == 200);
	MUST(take_session(fields));
	CHECK(post(&place, fields, "[" CALL("1", "a_echo", "\"nonce\":\"n1\"") ","
		   CALL("2", "b_echo", "\"nonce\":\"n2\"") "," REQUEST("3", "tools/list", "") ","
		   CALL("4", "echo", "") "," REQUEST("5", "ping", "") "]") == 200);
	CHECK(has("\"id\":1,\"result\"") && has("n1") && has("\"id\":2,\"result\"") && has("n2"));
	CHECK(has("\"id\":3,\"result\"") && has("\"name\":\"b_echo\"") && has("\"id\":4,\"error\"") &&
	      has("\"id\":5,\"result\""));
	place_close(&place);
}

/* ---- many at once, whose sessions end while servers are asked */

enum { CLIENTS = 8, ROUNDS = 12 };

struct client {
	const struct place *place;
	uint32_t number;
	char name[16];
	bool failed;
};

/* What does not hold is noted, with what came. */
static void expect(struct client *client, bool holds, const char *what)
{
	if (!holds)
		tap_note("client %u: %s: %.400s", client->number, what, text);
	client->failed |= !holds;
}

/* Sessions that end during a list, clients that go, and between them calls that must not mix. */
static void use_in_round(struct client *client, uint32_t round, const char *fields)
{
	const bool ends = (client->number + round) % 3 == 0;
	char body[512], wanted[64];
	int fd;

	snprintf(wanted, sizeof wanted, "n%u.%u", client->number, round);
	snprintf(body, sizeof body, CALL("1", "%s_echo", "\"nonce\":\"%s\""), round % 2 == 0 ? "a" : "b",
		 wanted);
	expect(client, post(client->place, fields, body) == 200 && has(wanted), "a call");
	fd = begin_request(client->place, "POST /mcp", fields, REQUEST("2", "tools/list", ""));
	if (ends)
		expect(client, ask(client->place, "DELETE /mcp", fields, "") == 200, "the end");
	else if (round % 4 != 1)
		expect(client, client_read(fd, NULL, text) && has("\"name\":\"a_echo\"") &&
				       has("\"name\":\"b_echo\""), "a list");
	close(fd);
	fd = begin_modern(client->place, "tools/list", NULL, "");
	if (round % 2 == 0)
		expect(client, client_read(fd, NULL, text) && has("\"name\":\"a_echo\""),
		       "a list without a session");
	close(fd);
	if (!ends)
		expect(client, ask(client->place, "DELETE /mcp", fields, "") == 200, "the end");
}

static void *be_client(void *argument)
{
	struct client *client = argument;
	char fields[512];

	/* Sessions of one tenant would make room for each other at its limit. */
	snprintf(client->name, sizeof client->name, "user%u", client->number);
	user = client->name;
	for (uint32_t i = 0; i < ROUNDS && !client->failed; i++) {
		client->failed = !open_session(client->place, fields);
		if (!client->failed)
			use_in_round(client, i, fields);
	}
	return NULL;
}

static void test_many(void)
{
	struct mcp_options a = { .listen = "127.0.0.1:0", .versions = "2025-06-18", .delay = 2 };
	struct mcp_options b = { .listen = "127.0.0.1:0", .versions = "2026-07-28", .delay = 5, .page = 4 };
	struct client clients[CLIENTS];
	pthread_t threads[CLIENTS];
	struct place place;

	MUST(begin(&place, &a, &b));
	for (uint32_t i = 0; i < CLIENTS; i++) {
		clients[i] = (struct client){ .place = &place, .number = i };
		pthread_create(&threads[i], NULL, be_client, &clients[i]);
	}
	for (uint32_t i = 0; i < CLIENTS; i++) {
		pthread_join(threads[i], NULL);
		CHECK(!clients[i].failed);
	}
	place_close(&place);
}

/* ---- streams that listen */

static void test_listen(void)
{
	struct place place;
	char fields[512];
	int fd;

	MUST(begin_both(&place));
	MUST(open_session(&place, fields));
	fd = begin_request(&place, "GET /mcp", fields, "");
	CHECK(client_read(fd, "\r\n\r\n", text) && status() == 200 && has("text/event-stream"));
	CHECK(WITHIN_MS(10000, number(&place, MCP_N_get_streams_now) == 1 &&
			       number_b(&place, MCP_N_listen_streams_now) == 1));
	CHECK(ask(&place, "GET /mcp", fields, "") == 409);
	CHECK(post(&place, fields, CALL("2", "b_test_trigger_tool_change", "")) == 200);
	CHECK(client_read(fd, "}\n\n", text) && has("notifications/tools/list_changed"));
	CHECK(post(&place, fields, REQUEST("3", "resources/subscribe",
					   "\"uri\":\"a+test://watched-resource\"")) == 200);
	CHECK(post(&place, fields, CALL("4", "a_touch", "")) == 200);
	CHECK(client_read(fd, "}\n\n", text) && has("notifications/resources/updated") &&
	      has("\"uri\":\"a+test://watched-resource\""));
	kill(place.program.pid, SIGTERM);
	CHECK(client_read(fd, "0\r\n\r\n", text)); /* its end is the end of a whole answer */
	close(fd);
	place_close(&place);
}

static void test_subscription(void)
{
	struct place place;
	int fd;

	MUST(begin_both(&place));
	CHECK(modern(&place, "server/discover", NULL, "") == 200); /* what they are is known */
	fd = begin_modern(&place, "subscriptions/listen", NULL,
			  "\"notifications\":{\"toolsListChanged\":true,\"resourceSubscriptions\":["
			  "\"a+test://watched-resource\",\"b+test://watched-resource\",\"c+test://x\"]},");
	CHECK(client_read(fd, "}\n\n", text) && has("notifications/subscriptions/acknowledged"));
	CHECK(has("/subscriptionId\":5") && has("\"toolsListChanged\":true"));
	CHECK(has("\"a+test://watched-resource\",\"b+test://watched-resource\"]") && !has("c+test"));
	CHECK(modern(&place, "tools/call", "b_touch", "\"name\":\"b_touch\",\"arguments\":{},") == 200);
	CHECK(client_read(fd, "}\n\n", text) && has("notifications/resources/updated") &&
	      has("\"uri\":\"b+test://watched-resource\"") && has("/subscriptionId\":5"));
	kill(place.program.pid, SIGTERM);
	CHECK(client_read(fd, "0\r\n\r\n", text) && has("\"id\":5,\"result\":"));
	close(fd);
	place_close(&place);
}

/* ---- whose it is */

static void test_tenants(void)
{
	char ann[512], bob[512];
	struct place place;

	MUST(begin_both(&place));
	MUST(open_session(&place, ann));
	user = "bob";
	MUST(open_session(&place, bob));
	CHECK(post(&place, ann, CALL("1", "a_echo", "")) == 404);
	CHECK(post(&place, bob, CALL("1", "a_counter", "\"owner\":\"bob\"")) == 200 && has("\\\"count\\\":1"));
	user = "ann";
	CHECK(post(&place, ann, CALL("1", "a_counter", "\"owner\":\"ann\"")) == 200 && has("\\\"count\\\":1"));
	CHECK(ask(&place, "POST /other", ann, CALL("1", "a_echo", "")) == 404);
	CHECK(number(&place, MCP_N_sessions_created) == 2);
	place_close(&place);
}

static void test_reload(void)
{
	static const char other[] = "    - {match: {path: /mcp}, federation: [{pool: second, prefix: c}]}\n";
	char fields[512];
	struct place place;

	MUST(begin_both(&place));
	MUST(open_session(&place, fields));
	CHECK(reload(&place, route));
	CHECK(post(&place, fields, CALL("1", "a_echo", "\"nonce\":\"kept\"")) == 200 && has("kept"));
	CHECK(reload(&place, other));
	CHECK(post(&place, fields, CALL("2", "a_echo", "")) == 404);
	MUST(open_session(&place, fields));
	CHECK(post(&place, fields, CALL("3", "c_echo", "\"nonce\":\"anew\"")) == 200 && has("anew"));
	place_close(&place);
}

/* Rules are for the names that clients know, kept lists among them. */
static void test_denied(void)
{
	static const char denying[] =
		"    - match: {path: /mcp}\n"
		"      federation: [{pool: a}, {pool: second, prefix: b}]\n"
		"      mcp: {tools_allow: [\"a_e*\", \"b_*\"], tools_deny: [\"b_counter\"],\n"
		"            tools_tenants: [{name: bob, deny: [\"b_echo\"]}]}\n";
	static const char *const denied[] = { "a_counter", "b_counter", "b\\u005fcounter", "counter",
					      "echo", "e_echo" };
	char fields[512], body[256];
	struct place place;

	MUST(begin_both(&place));
	MUST(reload(&place, denying));
	MUST(open_session(&place, fields));
	for (int i = 0; i < 2; i++) {
		CHECK(post(&place, fields, REQUEST("2", "tools/list", "")) == 200);
		CHECK(has("\"a_echo\"") && has("\"b_echo\"") && !has("_counter\"") && !has("\"a_slow\""));
		CHECK(modern(&place, "tools/list", NULL, "") == 200);
		CHECK(has("\"a_echo\"") && has("\"b_echo\"") && !has("_counter\"") && !has("\"a_slow\""));
	}
	for (size_t i = 0; i < sizeof denied / sizeof denied[0]; i++) {
		snprintf(body, sizeof body, CALL("3", "%s", "\"owner\":\"x\""), denied[i]);
		CHECK(post(&place, fields, body) == 200 && has("-32602") && has("Unknown tool"));
	}
	CHECK(modern(&place, "tools/call", "b_counter", "\"name\":\"b_counter\",\"arguments\":{},") ==
		      200 && has("-32602"));
	CHECK(number(&place, MCP_N_tool_calls) == 0 && number_b(&place, MCP_N_tool_calls) == 0);
	CHECK(post(&place, fields, CALL("4", "a_echo", "\"nonce\":\"n1\"")) == 200 && has("n1"));
	CHECK(post(&place, fields, CALL("5", "b_echo", "\"nonce\":\"n2\"")) == 200 && has("n2"));
	user = "bob";
	MUST(open_session(&place, fields));
	CHECK(post(&place, fields, REQUEST("6", "tools/list", "")) == 200 && has("\"a_echo\"") &&
	      !has("\"b_echo\""));
	CHECK(post(&place, fields, CALL("7", "b_echo", "\"nonce\":\"n3\"")) == 200 && has("-32602"));
	CHECK(number_b(&place, MCP_N_tool_calls) == 1);
	user = "ann";
	place_close(&place);
}

static const struct tap_test tests[] = {
	{ "a client's session is one with each server", test_session },
	{ "stateless requests", test_modern },
	{ "names that are nobody's reach no server", test_unknown },
	{ "all pages of both are on one", test_pages },
	{ "what may be kept is not asked for twice", test_kept },
	{ "a server that is down hides what it has", test_down },
	{ "a session that one server lost", test_lost },
	{ "progress of calls", test_progress },
	{ "cancelled, and gone", test_cancel },
	{ "both servers ask at once", test_questions },
	{ "servers ask clients without sessions", test_input_required },
	{ "an array of messages", test_array },
	{ "many at once", test_many },
	{ "a stream that listens to all", test_listen },
	{ "a subscription to all", test_subscription },
	{ "sessions are one tenant's", test_tenants },
	{ "a reload changes federations", test_reload },
	{ "tools that clients may not have", test_denied },
};

TAP_TESTS(mcp_federation, tests);
