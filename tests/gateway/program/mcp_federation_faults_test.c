/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcp_federation_faults_test.c - several MCP servers behind one route, of which one is slow, silent or
 * lies, or whose client goes or cancels while servers are asked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/gateway/program/mcp_mock.h"
#include "tests/gateway/program/mcp_place.h"
#include "tests/kit/cert.h"

/* ---- a gateway in front of two servers: `b` may be one of the test's own */

/* of_a, of_b: options of the pools; of_route: more of the route. */
static bool launch(struct place *place, const char *of_a, const char *of_b, const char *of_route)
{
	char pools[1024], routes[512];

	if (place->a == NULL || (place->b == NULL && place->mock == NULL))
		return FAILED("there are servers");
	snprintf(pools, sizeof pools,
		 "  - {name: a, protocol: mcp, address: \"%s\", limits: {idle_min: 0}%s}\n"
		 "  - {name: b, protocol: mcp, address: \"%s\", limits: {idle_min: 0}%s}\n",
		 mcp_fixture_address(place->a), of_a,
		 place->b != NULL ? mcp_fixture_address(place->b) : kit_mock_address(place->mock), of_b);
	snprintf(routes, sizeof routes,
		 "    - {match: {path: /mcp}, federation: [{pool: a}, {pool: b, timeout: 2s}]%s}\n", of_route);
	return place_start(place, &(struct place_options){
		.engine = "loops: 1", .pools = pools, .routes = routes, .admin = true });
}

static void open_both(struct place *place, struct mcp_options *a, struct mcp_options *b)
{
	*place = (struct place){ .a = mcp_fixture_open(a), .b = mcp_fixture_open(b) };
}

static void open_mock(struct place *place, struct mcp_options *a, struct mcp_mock *b)
{
	*place = (struct place){ .a = mcp_fixture_open(a), .mock = kit_mock_open(
		&(struct kit_mock_options){ .play = mcp_mock_play, .user = b }) };
}

static bool begin(struct place *place, struct mcp_options *a, struct mcp_options *b)
{
	open_both(place, a, b);
	return launch(place, "", "", "");
}

static bool begin_mock(struct place *place, struct mcp_options *a, struct mcp_mock *b, const char *era)
{
	char of_b[64];

	snprintf(of_b, sizeof of_b, ", mcp: {era: %s}", era);
	open_mock(place, a, b);
	return launch(place, "", of_b, "");
}

/* ---- clients */

#define CAN "\"elicitation\":{}"

/* Its fields for requests; more: those that come with each. */
static bool open_session(const struct place *place, const char *more, char fields[1024])
{
	char session[512];

	(void)post(place, more, INITIALIZE("2025-11-25", "\"sampling\":{},\"roots\":{}"));
	if (!take_session(session))
		return false;
	snprintf(fields, 1024, "%s%s", more, session);
	return true;
}

/* params: members, each with a comma behind; more: fields. */
static int begin_modern(const struct place *place, const char *method, const char *params,
			const char *more)
{
	char fields[1024], body[2048];

	snprintf(fields, sizeof fields, MODERN_FIELDS("%s") "%s", method, more);
	snprintf(body, sizeof body, REQUEST("5", "%s", "%s" META("", CAN)), method, params);
	return begin_request(place, "POST /mcp", fields, body);
}

/* ---- a server that does not say what it should */

#define DISCOVERED                                                                           \
	"{\"resultType\":\"complete\",\"supportedVersions\":[\"2026-07-28\"],\"capabilities\":{" \
	"\"tools\":{}},\"ttlMs\":0,\"cacheScope\":\"private\"}"

/* It takes a subscription, and is silent. */
static bool serve_silent(struct mcp_mock_request *request, void *of)
{
	(void)of;
	if (!mcp_mock_is(request, "subscriptions/listen"))
		return mcp_mock_result(request, DISCOVERED);
	(void)kit_mock_drain(request->conn, 60000);
	return false;
}

/* The others' is there without it. */
static void test_silent(void)
{
	struct mcp_options a = { .listen = "127.0.0.1:0", .versions = "2026-07-28" };
	struct mcp_mock b = { .serve = serve_silent };
	struct place place;
	int fd;

	MUST(begin_mock(&place, &a, &b, "modern"));
	fd = begin_modern(&place, "subscriptions/listen", "\"notifications\":{\"toolsListChanged\":true},",
			  "");
	CHECK(client_read(fd, "}\n\n", text) && says("notifications/subscriptions/acknowledged") &&
	      says("\"toolsListChanged\":true"));
	CHECK(read_answer(begin_modern(&place, "tools/call",
				       "\"name\":\"a_test_trigger_tool_change\",\"arguments\":{},",
				       "Mcp-Name: a_test_trigger_tool_change\r\n")) == 200);
	CHECK(client_read(fd, "}\n\n", text) && says("notifications/tools/list_changed"));
	close(fd);
	place_close(&place);
}

/* Its list has no end, and each page takes a while. */
static bool serve_pages(struct mcp_mock_request *request, void *of)
{
	kolk__atomic_u32 *pages = of;

	if (!mcp_mock_is(request, "tools/list"))
		return mcp_mock_result(request, DISCOVERED);
	kolk__add_acq_rel(pages, 1);
	return kit_mock_wait(request->conn, 100000) &&
	       mcp_mock_result(request, "{\"tools\":[{\"name\":\"x\",\"inputSchema\":{}}],\"nextCursor\":"
					"\"again\",\"ttlMs\":0,\"cacheScope\":\"private\"}");
}

/* 2 s are for the list, of which no more than 20 pages come then. */
static void test_pages(void)
{
	struct mcp_options a = { .listen = "127.0.0.1:0", .versions = "2026-07-28" };
	kolk__atomic_u32 pages = { 0 };
	struct mcp_mock b = { .serve = serve_pages, .user = &pages };
	struct place place;

	MUST(begin_mock(&place, &a, &b, "modern"));
	CHECK(read_answer(begin_modern(&place, "tools/list", "", "")) == 200 && says("\"a_echo\"") &&
	      count("\"b_x\"") == 0);
	CHECK(kolk__load_acquire(&pages) > 0 && kolk__load_acquire(&pages) < 50);
	place_close(&place);
}

static bool serve_names(struct mcp_mock_request *request, void *of)
{
	(void)of;
	if (!mcp_mock_is(request, "tools/list"))
		return mcp_mock_result(request, DISCOVERED);
	return mcp_mock_result(request, "{\"tools\":[{\"name\":\"x\",\"inputSchema\":{},\"name\":\"a_echo\"},"
					"{\"name\":\"y\",\"inputSchema\":{}},{\"name\":\"z\",\"n\\u0061me\":"
					"\"a_echo\"}],\"ttlMs\":-5,\"cacheScope\":\"public\"}");
}

/* Names that two readers read in two ways; a time that is none. */
static void test_names(void)
{
	struct mcp_options a = { .listen = "127.0.0.1:0", .versions = "2026-07-28", .ttl = 3600000 };
	struct mcp_mock b = { .serve = serve_names };
	struct place place;

	MUST(begin_mock(&place, &a, &b, "modern"));
	CHECK(read_answer(begin_modern(&place, "tools/list", "", "")) == 200);
	CHECK(says("\"b_y\"") && count("\"b_x\"") == 0 && count("\"b_z\"") == 0);
	CHECK(count("\"a_echo\"") == 1 && says("\"ttlMs\":0,"));
	place_close(&place);
}

/* ---- a server that asks its client */

struct asking {
	kolk__atomic_u32 refused; /* answers that are errors */
	kolk__atomic_u32 answered; /* others */
};

/* Its questions were answered, by other requests than the one that it asks in. */
static bool take_reply(struct mcp_mock_request *request, struct asking *asking)
{
	kolk__add_acq_rel(strstr(request->body, "-32601") != NULL ? &asking->refused : &asking->answered, 1);
	return mcp_mock_status(request, "202 Accepted", "");
}

static bool is_reply(const struct mcp_mock_request *request)
{
	return strncmp(request->head, "POST ", 5) == 0 && strstr(request->body, "\"method\"") == NULL;
}

/* Before its list, and before the result of a call, whose questions it asks too often. */
static bool serve_questions(struct mcp_mock_request *request, void *of)
{
	struct asking *asking = of;
	char question[256];

	if (is_reply(request))
		return take_reply(request, asking);
	if (mcp_mock_is(request, "tools/list")) {
		if (!mcp_mock_stream(request) ||
		    !mcp_mock_event(request, NULL, "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"roots/list\"}"))
			return false;
		(void)WITHIN_MS(10000, kolk__load_acquire(&asking->refused) == 1);
		return mcp_mock_stream_result(request, "{\"tools\":[{\"name\":\"x\",\"inputSchema\":{}}]}");
	}
	if (!mcp_mock_is(request, "tools/call"))
		return mcp_mock_session(request);
	if (!mcp_mock_stream(request))
		return false;
	for (int i = 0; i < 70; i++) {
		snprintf(question, sizeof question,
			 "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"sampling/createMessage\"}", i);
		if (!mcp_mock_event(request, NULL, question))
			return false;
	}
	(void)WITHIN_MS(10000, kolk__load_acquire(&asking->refused) == 7);
	return mcp_mock_stream_result(request, "{\"content\":[]}");
}

static void test_questions(void)
{
	struct mcp_options a = { .listen = "127.0.0.1:0", .versions = "2025-11-25" };
	struct asking asking = { .refused = { 0 } };
	struct mcp_mock b = { .serve = serve_questions, .user = &asking };
	struct place place;
	char fields[1024];

	MUST(begin_mock(&place, &a, &b, "legacy"));
	MUST(open_session(&place, "", fields));
	CHECK(post(&place, fields, REQUEST("2", "tools/list", "")) == 200 && says("\"a_echo\"") &&
	      says("\"b_x\""));
	CHECK(kolk__load_acquire(&asking.refused) == 1);
	CHECK(post(&place, fields, CALL("3", "b_x", "")) == 200 && count("sampling/createMessage") == 64 &&
	      says("\"id\":3,\"result\""));
	CHECK(kolk__load_acquire(&asking.refused) == 7 && kolk__load_acquire(&asking.answered) == 0);
	place_close(&place);
}

/* It asks, takes that back, and takes back what it never asked. */
static bool serve_taken_back(struct mcp_mock_request *request, void *of)
{
	static const char *const events[] = {
		"{\"jsonrpc\":\"2.0\",\"id\":70,\"method\":\"sampling/createMessage\"}",
		"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1}}",
		"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":70}}",
	};

	(void)of;
	if (!mcp_mock_is(request, "tools/call"))
		return mcp_mock_session(request);
	if (!mcp_mock_stream(request))
		return false;
	for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
		if (!mcp_mock_event(request, NULL, events[i]))
			return false;
	return mcp_mock_stream_result(request, "{\"content\":[]}");
}

static void test_taken_back(void)
{
	struct mcp_options a = { .listen = "127.0.0.1:0", .versions = "2025-11-25" };
	struct mcp_mock b = { .serve = serve_taken_back };
	char fields[1024], wanted[64], id[32];
	const char *asked;
	struct place place;

	MUST(begin_mock(&place, &a, &b, "legacy"));
	MUST(open_session(&place, "", fields));
	CHECK(post(&place, fields, CALL("2", "b_x", "")) == 200 && says("\"id\":2,\"result\""));
	asked = strstr(text, "data: {\"jsonrpc\":\"2.0\",\"id\":");
	MUST(asked != NULL && sscanf(strstr(asked, "\"id\":"), "\"id\":%30[^,]", id) == 1);
	snprintf(wanted, sizeof wanted, "{\"requestId\":%s}", id);
	CHECK(count("notifications/cancelled") == 1 && says(wanted));
	place_close(&place);
}

/* ---- a client that goes, or cancels, while a session is being made again */

/* `a` has forgotten its sessions. */
static bool begin_lost(struct place *place, char fields[1024])
{
	struct mcp_options a = { .listen = "127.0.0.1:0", .versions = "2025-11-25" };
	struct mcp_options b = { .listen = "127.0.0.1:0", .versions = "2025-11-25" };
	char command[256];

	if (!begin(place, &a, &b) || !open_session(place, "", fields))
		return false;
	snprintf(command, sizeof command, "curl -s -m 20 -X POST http://%s/forget >/dev/null",
		 mcp_fixture_address(place->a));
	return system(command) == 0;
}

static void test_cancelled(void)
{
	struct place place;
	char fields[1024];
	uint64_t requests;
	int fd;

	MUST(begin_lost(&place, fields));
	requests = number(&place, MCP_N_requests);
	mcp_fixture_hold(place.a, true);
	fd = begin_request(&place, "POST /mcp", fields, CALL("\"s\"", "a_echo", ""));
	CHECK(WITHIN_MS(10000, number(&place, MCP_N_requests) > requests)); /* initialize */
	CHECK(post(&place, fields, CANCEL("\"s\"")) == 202);
	mcp_fixture_hold(place.a, false);
	CHECK(read_answer(fd) == 200 && count("\"id\":\"s\"") == 0);
	CHECK(post(&place, fields, CALL("3", "a_echo", "")) == 200 && says("\"id\":3,\"result\""));
	CHECK(number(&place, MCP_N_tool_calls) == 1);
	place_close(&place);
}

static void test_gone(void)
{
	struct place place;
	char fields[1024];
	uint64_t requests;
	int fd;

	MUST(begin_lost(&place, fields));
	fd = begin_request(&place, "GET /mcp", fields, ""); /* meets the loss */
	CHECK(client_read(fd, "\r\n\r\n", text));
	CHECK(WITHIN_MS(10000, number(&place, MCP_N_session_unknown) >= 1 &&
			       number_b(&place, MCP_N_get_streams_now) == 1));
	close(fd);
	CHECK(WITHIN_MS(10000, number_b(&place, MCP_N_get_streams_now) == 0));
	requests = number(&place, MCP_N_requests);
	mcp_fixture_hold(place.a, true);
	fd = begin_request(&place, "GET /mcp", fields, "");
	CHECK(WITHIN_MS(10000, number(&place, MCP_N_requests) > requests)); /* initialize */
	close(fd);
	CHECK(program_admin_says(&place.program, place_admin(), "/metrics",
				 "\nkolk_gateway_in_flight{route=\"/mcp\"} 0\n", text));
	mcp_fixture_hold(place.a, false);
	/* The answer to it comes after the session was made. */
	CHECK(post(&place, fields, REQUEST("2", "tools/list", "")) == 200 && says("\"a_echo\""));
	CHECK(number_b(&place, MCP_N_get_streams_now) == 0);
	fd = begin_request(&place, "GET /mcp", fields, "");
	CHECK(client_read(fd, "\r\n\r\n", text) && says(" 200 "));
	CHECK(WITHIN_MS(10000, number(&place, MCP_N_get_streams_now) == 1 &&
			       number_b(&place, MCP_N_get_streams_now) == 1));
	CHECK(post(&place, fields, CALL("3", "b_test_trigger_tool_change", "")) == 200);
	CHECK(client_read(fd, "}\n\n", text) && says("notifications/tools/list_changed"));
	close(fd);
	place_close(&place);
}

/* Two servers number their events alike. */
static void test_events(void)
{
	struct mcp_options o = { .listen = "127.0.0.1:0", .versions = "2025-11-25" };
	struct place place;
	char fields[1024];
	int fd;

	MUST(begin(&place, &o, &o));
	MUST(open_session(&place, "", fields));
	fd = begin_request(&place, "GET /mcp", fields, "");
	CHECK(client_read(fd, "\r\n\r\n", text) && says(" 200 "));
	CHECK(WITHIN_MS(10000, number(&place, MCP_N_get_streams_now) == 1 &&
			       number_b(&place, MCP_N_get_streams_now) == 1));
	for (int i = 0; i < 2; i++) {
		CHECK(post(&place, fields, i == 0 ? CALL("2", "a_test_trigger_tool_change", "") :
						    CALL("3", "b_test_trigger_tool_change", "")) == 200);
		CHECK(client_read(fd, "list_changed", text) && count("\nid: ") == 0);
	}
	close(fd);
	place_close(&place);
}

/* ---- tokens */

static const char *tokens_path(void)
{
	static char path[96];

	snprintf(path, sizeof path, "/tmp/kolk-federation-tokens-%d", (int)getpid());
	return path;
}

#define PASS ", mcp: {client_token: pass}"

/* A token that all refuse is refused, whatever is asked; one that one server takes is not. */
static void test_refused(void)
{
	struct mcp_options a = { .listen = "127.0.0.1:0", .versions = "2025-11-25", .tokens = tokens_path() };
	struct mcp_options b = { .listen = "127.0.0.1:0", .versions = "2026-07-28", .tokens = a.tokens };
	static const char bearer[] = "Authorization: Bearer one\r\n";
	static const char *const methods[] = { "server/discover", "tools/list", "subscriptions/listen" };
	static const char *const bodies[] = { REQUEST("2", "tools/list", ""), CALL("3", "a_echo", ""),
					      REQUEST("4", "prompts/list", "") };
	struct place place;
	char fields[1024];

	open_both(&place, &a, &b);
	MUST(kit_file_write(a.tokens, "one ann\n"));
	MUST(launch(&place, "", "", PASS) && open_session(&place, bearer, fields));
	CHECK(post(&place, fields, bodies[0]) == 200 && count("www-authenticate") == 0);
	MUST(kit_file_write(a.tokens, "two ann\n"));
	for (size_t i = 0; i < 3; i++) {
		CHECK(read_answer(begin_modern(&place, methods[i], "\"notifications\":{},", bearer)) == 401 &&
		      says("www-authenticate: Bearer realm=\"fixture\""));
		CHECK(post(&place, fields, bodies[i]) == 401 &&
		      says("www-authenticate: Bearer realm=\"fixture\""));
	}
	CHECK(read_answer(begin_request(&place, "GET /mcp", fields, "")) == 401 && says("www-authenticate: "));
	MUST(kit_file_write(a.tokens, "one ann\n"));
	CHECK(read_answer(begin_request(&place, "DELETE /mcp", fields, "")) == 200);
	CHECK(WITHIN_MS(10000, number(&place, MCP_N_sessions_open) == 0));
	place_close(&place);
	unlink(a.tokens);
}

/* The tokens of a pool are another principal's: what was made with one before ends at once. */
static void test_rotated(void)
{
	struct mcp_options a = { .listen = "127.0.0.1:0", .versions = "2025-11-25", .tokens = tokens_path() };
	struct mcp_options b = { .listen = "127.0.0.1:0", .versions = "2025-11-25" };
	struct place place;
	/* {"iss":"i","sub":"ann"}, and "bob" */
	static const char *const shown[] = { "e30.eyJpc3MiOiJpIiwic3ViIjoiYW5uIn0.c2ln",
					     "e30.eyJpc3MiOiJpIiwic3ViIjoiYm9iIn0.c2ln" };
	char fields[1024], path[128], next[160], pool[256], lines[512];

	open_both(&place, &a, &b);
	snprintf(lines, sizeof lines, "%s ann\n%s bob\n", shown[0], shown[1]);
	snprintf(path, sizeof path, "%s.shown", a.tokens);
	snprintf(next, sizeof next, "%s.next", path);
	snprintf(pool, sizeof pool, ", mcp: {token_file: %s}", path);
	MUST(kit_file_write(a.tokens, lines) && kit_file_write(path, shown[0]));
	MUST(launch(&place, pool, "", "") && open_session(&place, "", fields));
	CHECK(post(&place, fields, CALL("2", "a_echo", "")) == 200);
	MUST(kit_file_write(next, shown[1]) && rename(next, path) == 0);
	CHECK(post(&place, fields, CALL("3", "a_echo", "")) == 200 && says("\"id\":3,\"result\""));
	CHECK(WITHIN_MS(10000, number(&place, MCP_N_sessions_open) == 1));
	CHECK(number(&place, MCP_N_sessions_created) == 2);
	place_close(&place);
	unlink(a.tokens);
	unlink(path);
}

/* A call that asks its client, and whose stream breaks off; the token is refused when it goes on. */
static bool serve_expired(struct mcp_mock_request *request, void *of)
{
	static const char asked[] = "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"elicitation/create\","
				    "\"params\":{\"message\":\"m\"}}";
	kolk__atomic_u32 *refused = of;

	if (mcp_mock_is(request, "server/discover"))
		return mcp_mock_status(request, "404 Not Found", "");
	if (strstr(request->head, "ast-event-id: ") != NULL || strstr(request->head, "ast-Event-ID: ") != NULL) {
		const bool ok = mcp_mock_status(request, "401 Unauthorized",
						"WWW-Authenticate: Bearer realm=\"suspended\"\r\n");

		kolk__add_acq_rel(refused, 1);
		return ok;
	}
	if (!mcp_mock_is(request, "tools/call"))
		return mcp_mock_session(request);
	return mcp_mock_stream(request) && mcp_mock_event(request, "e1", asked) &&
	       mcp_mock_stream_end(request);
}

static void test_expired(void)
{
	struct mcp_options a = { .listen = "127.0.0.1:0", .versions = "2025-11-25" };
	static const char fields[] = "Authorization: Bearer one\r\nMcp-Name: b_x\r\n";
	kolk__atomic_u32 refused = { 0 };
	struct mcp_mock b = { .serve = serve_expired, .user = &refused };
	struct place place;
	char params[1024], state[256], *at;

	open_mock(&place, &a, &b);
	MUST(launch(&place, "", ", mcp: {era: legacy}", PASS));
	CHECK(read_answer(begin_modern(&place, "tools/call", "\"name\":\"b_x\",\"arguments\":{},", fields)) ==
	      200 && says("input_required"));
	at = strstr(text, "\"requestState\":\"");
	MUST(at != NULL && sscanf(at, "\"requestState\":\"%250[^\"]", state) == 1);
	CHECK(WITHIN_MS(10000, kolk__load_acquire(&refused) >= 1));
	snprintf(params, sizeof params, "\"name\":\"b_x\",\"arguments\":{},\"requestState\":\"%s\","
					"\"inputResponses\":{\"1\":{\"action\":\"decline\"}},", state);
	CHECK(read_answer(begin_modern(&place, "tools/call", params, fields)) == 401 &&
	      says("www-authenticate: Bearer realm=\"suspended\""));
	place_close(&place);
}

static const struct tap_test tests[] = {
	{ "a server that is silent holds up no subscription", test_silent },
	{ "a list without an end has one timeout", test_pages },
	{ "two names, and a time that is none", test_names },
	{ "a server asks without an end", test_questions },
	{ "a server takes back what it asked", test_taken_back },
	{ "a call is cancelled before its session is made", test_cancelled },
	{ "a stream whose client goes before it is opened", test_gone },
	{ "events of two servers", test_events },
	{ "a token that all servers refuse", test_refused },
	{ "a session of another token ends", test_rotated },
	{ "a suspended call whose token expires", test_expired },
};

TAP_TESTS(mcp_federation_faults, tests);
