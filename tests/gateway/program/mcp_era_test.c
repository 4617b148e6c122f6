/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcp_era_test.c - MCP clients and servers of different eras: one of the two has sessions, the other
 * has none.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/gateway/program/mcp_place.h"

/* The server is of one era; route: more keys of it, ", mcp: {...}". */
static bool begin(struct place *place, const char *versions, const char *mcp, const char *route)
{
	return place_open(place, &(struct place_options){ .server.versions = versions, .mcp = mcp,
							  .route = route, .users = true, .admin = true });
}

/* Calls that wait for their clients, as the status says; -1 = it does not. */
static int suspended_now(const struct place *place)
{
	static const char name[] = "\"callsSuspended\":";
	char shown[PROGRAM_TEXT];
	const char *at = place_get(place, "/api/pool-status", shown) ? strstr(shown, name) : NULL;

	return at != NULL ? atoi(at + sizeof name - 1) : -1;
}

/* ---- clients with sessions, a server without */

#define ALL "\"elicitation\":{},\"sampling\":{},\"roots\":{}"
#define NAMED "\"result\":{\"action\":\"accept\",\"content\":{\"name\":\"Ann\"}}}"

/* Its fields for requests. */
static bool open_session(const struct place *place, char fields[512])
{
	(void)post(place, "", INITIALIZE("2025-06-18", ALL));
	if (!take_session(fields))
		return false;
	strcat(fields, "Mcp-Protocol-Version: 2025-06-18\r\n");
	return true;
}

static void test_session(const char *mcp, uint64_t requests)
{
	struct place place;
	char fields[512];

	MUST(begin(&place, "2026-07-28", mcp, ""));
	for (int i = 0; i < 3; i++) {
		MUST(open_session(&place, fields));
		CHECK(has("\"result\":{\"protocolVersion\":\"2025-06-18\",\"capabilities\":{"));
		CHECK(has("\"serverInfo\":{") && has("kolk-mcp-fixture") && has("\"instructions\":"));
	}
	if (number(&place, MCP_N_requests) != requests)
		tap_note("%llu requests", (unsigned long long)number(&place, MCP_N_requests));
	CHECK(number(&place, MCP_N_requests) == requests);
	CHECK(post(&place, fields, INITIALIZED) == 202);
	CHECK(post(&place, fields, CALL("\"x\"", "echo", "\"nonce\":\"n1\"")) == 200);
	CHECK(has("content-type: application/json") && has("\"id\":\"x\"") && has("n1"));
	CHECK(post(&place, fields,
		  "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{\"name\":\"progress\","
		  "\"arguments\":{\"steps\":3,\"ms\":1},\"_meta\":{\"progressToken\":\"mine\"}}}") == 200);
	CHECK(has("text/event-stream") && has("\"progressToken\":\"mine\"") && has("\"id\":7,"));
	CHECK(post(&place, fields, "{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"ping\"}") ==
	      200 && has("\"id\":8,\"result\":{}"));
	CHECK(post(&place, fields, "{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"no/such\"}") ==
	      200 && has("-32601"));
	CHECK(post(&place, fields, CALL("10", "test_logging_tool", "")) == 200 &&
	      !has("notifications/message"));
	CHECK(post(&place, fields, "{\"jsonrpc\":\"2.0\",\"id\":11,\"method\":"
		  "\"logging/setLevel\",\"params\":{\"level\":\"loud\"}}") == 200 && has("-32602"));
	CHECK(post(&place, fields, "{\"jsonrpc\":\"2.0\",\"id\":11,\"method\":"
		  "\"logging/setLevel\",\"params\":{\"level\":\"debug\"}}") == 200);
	CHECK(post(&place, fields, CALL("12", "test_logging_tool", "")) == 200 &&
	      has("notifications/message"));
	CHECK(ask(&place, "DELETE /mcp", fields, "") == 200);
	CHECK(post(&place, fields, CALL("13", "echo", "")) == 404);
	CHECK(number(&place, MCP_N_header_mismatches) == 0);
	place_close(&place);
}

static void test_sessions(void)
{
	test_session("era: modern", 3);
	test_session("era: auto", 4); /* and once what it is; initialize is refused */
}

/* The id of a request of the server in the text. */
static bool find_id(const char *method, char id[64])
{
	const char *at = strstr(text, method), *found = NULL;

	for (const char *next = text; at != NULL && next != NULL && next < at;
	     next = strstr(next + 1, "\"id\":"))
		found = next;
	return found != NULL && sscanf(found, "\"id\":%60[0-9]", id) == 1;
}

/* The next request of the server to the client: its id. What has come is in the text. */
static bool read_question(int fd, const char *method, char id[64])
{
	if (client_read(fd, method, text) && find_id(method, id))
		return true;
	tap_note("%.900s", text);
	return FAILED("the server asks");
}

static int reply(const struct place *place, const char *fields, const char *id, const char *rest)
{
	char body[512], kept[PROGRAM_TEXT];
	int got;

	memcpy(kept, text, sizeof kept);
	snprintf(body, sizeof body, "{\"jsonrpc\":\"2.0\",\"id\":%s,%s", id, rest);
	got = post(place, fields, body);
	memcpy(text, kept, sizeof kept);
	return got;
}

static void test_questions(void)
{
	char fields[512], other[512], id[64], second[64], third[64];
	struct place place;
	int fd;

	MUST(begin(&place, "2026-07-28", "era: modern", ""));
	MUST(open_session(&place, fields) && open_session(&place, other));
	fd = begin_request(&place, "POST /mcp", fields,
			   CALL("5", "test_input_required_result_elicitation", ""));
	MUST(read_question(fd, "elicitation/create", id));
	CHECK(has("text/event-stream"));
	CHECK(suspended_now(&place) == 1);
	/* Nobody else's answer is one: of another session, of another tenant, to another id. */
	CHECK(reply(&place, other, id, NAMED) == 202);
	user = "bob";
	CHECK(reply(&place, fields, id, NAMED) == 404);
	user = "ann";
	CHECK(reply(&place, fields, "4711", NAMED) == 202);
	CHECK(number(&place, MCP_N_tool_calls) == 1);
	CHECK(reply(&place, fields, id, NAMED) == 202);
	CHECK(client_read(fd, NULL, text) && has("\"id\":5,\"result\"") && has("Hello, Ann!"));
	close(fd);
	CHECK(reply(&place, fields, id, NAMED) == 202); /* too late */
	CHECK(suspended_now(&place) == 0);
	CHECK(number(&place, MCP_N_tool_calls) == 2);

	/* Three at once, and a state. */
	fd = begin_request(&place, "POST /mcp", fields,
			   CALL("6", "test_input_required_result_multiple_inputs", ""));
	MUST(read_question(fd, "roots/list", third));
	MUST(find_id("elicitation/create", id) && find_id("sampling/createMessage", second));
	CHECK(reply(&place, fields, second, "\"result\":{\"role\":\"assistant\",\"content\":{\"type\":"
		    "\"text\",\"text\":\"Good day\"},\"model\":\"m\"}}") == 202);
	CHECK(reply(&place, fields, third, "\"result\":{\"roots\":[{\"uri\":\"file:///a\"}]}}") == 202);
	CHECK(reply(&place, fields, id, NAMED) == 202);
	CHECK(client_read(fd, NULL, text) && has("Good day Ann, 1 roots"));
	close(fd);

	/* Two rounds. */
	fd = begin_request(&place, "POST /mcp", fields,
			   CALL("7", "test_input_required_result_multi_round", ""));
	MUST(read_question(fd, "Step 1", id));
	CHECK(reply(&place, fields, id, NAMED) == 202);
	MUST(read_question(fd, "Step 2", second));
	CHECK(strcmp(id, second) != 0);
	CHECK(reply(&place, fields, second,
		    "\"result\":{\"action\":\"accept\",\"content\":{\"color\":\"red\"}}}") == 202);
	CHECK(client_read(fd, NULL, text) && has("Ann likes red"));
	close(fd);
	place_close(&place);
}

/* How a call ends whose client does not answer in time; and in other ways. */
static void test_unanswered(void)
{
	char fields[512], id[64];
	struct place place;
	int fd;

	MUST(begin(&place, "2026-07-28", "era: modern", ", mcp: {suspend_timeout: 1s}"));
	MUST(open_session(&place, fields));
	fd = begin_request(&place, "POST /mcp", fields, CALL("1", "test_sampling", "\"prompt\":\"p\""));
	MUST(read_question(fd, "sampling/createMessage", id));
	CHECK(client_read(fd, NULL, text) && has("\"id\":1,\"error\"") && has("in time"));
	close(fd);
	place_close(&place);
	MUST(begin(&place, "2026-07-28", "era: modern", ""));
	MUST(open_session(&place, fields));
	fd = begin_request(&place, "POST /mcp", fields, CALL("2", "test_sampling", "\"prompt\":\"p\""));
	MUST(read_question(fd, "sampling/createMessage", id));
	CHECK(reply(&place, fields, id, "\"error\":{\"code\":-1,\"message\":\"no model\"}}") == 202);
	CHECK(client_read(fd, NULL, text) && has("\"id\":2,\"error\":{\"code\":-1"));
	close(fd);
	fd = begin_request(&place, "POST /mcp", fields, CALL("4", "test_sampling", "\"prompt\":\"p\""));
	MUST(read_question(fd, "sampling/createMessage", id));
	CHECK(post(&place, fields, CANCEL("4")) == 202);
	CHECK(client_read(fd, NULL, text) && !has("\"id\":4"));
	close(fd);
	fd = begin_request(&place, "POST /mcp", fields, CALL("5", "test_sampling", "\"prompt\":\"p\""));
	MUST(read_question(fd, "sampling/createMessage", id));
	CHECK(ask(&place, "DELETE /mcp", fields, "") == 200);
	CHECK(client_read(fd, NULL, text) && !has("\"id\":5"));
	close(fd);
	place_close(&place);
}

#define WATCH(verb)                                                                 \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resources/" verb "\",\"params\":" \
	"{\"uri\":\"test://watched-resource\"}}"

static void test_listen(void)
{
	struct place place;
	char fields[512];
	int fd;

	MUST(begin(&place, "2026-07-28", "era: modern", ""));
	MUST(open_session(&place, fields));
	fd = begin_request(&place, "GET /mcp", fields, "");
	CHECK(client_read(fd, "\r\n\r\n", text) && status() == 200 && has("text/event-stream"));
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_listen_streams_now) == 1));
	CHECK(ask(&place, "GET /mcp", fields, "") == 409);
	CHECK(post(&place, fields, CALL("2", "test_trigger_tool_change", "")) == 200);
	CHECK(client_read(fd, "}\n\n", text) && has("notifications/tools/list_changed"));
	CHECK(!has("acknowledged"));
	/* Not subscribed to, subscribed to, and not any more. */
	CHECK(post(&place, fields, CALL("3", "touch", "")) == 200);
	CHECK(post(&place, fields, WATCH("subscribe")) == 200);
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_cancels_disconnect) == 1 &&
			      number(&place, MCP_N_listen_streams_now) == 1));
	CHECK(number(&place, MCP_N_pushed) == 1);
	CHECK(post(&place, fields, CALL("4", "touch", "")) == 200);
	CHECK(client_read(fd, "}\n\n", text) && has("notifications/resources/updated"));
	CHECK(post(&place, fields, WATCH("unsubscribe")) == 200);
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_cancels_disconnect) == 2 &&
			      number(&place, MCP_N_listen_streams_now) == 1));
	CHECK(post(&place, fields, CALL("5", "touch", "")) == 200);
	CHECK(number(&place, MCP_N_pushed) == 2);
	kill(place.program.pid, SIGTERM);
	CHECK(client_read(fd, "0\r\n\r\n", text)); /* its end is the end of a whole answer */
	close(fd);
	place_close(&place);
}

/* ---- clients without sessions, a server with */

#define REQUIRED(name) "test_input_required_result_" name
#define ANSWER(key, name, value) \
	"\"" key "\":{\"action\":\"accept\",\"content\":{\"" name "\":\"" value "\"}}"

static const char *meta = ""; /* more of _meta, with a comma behind */

/* more: members of params, each with a comma behind. Its status. */
static int call_tool(const struct place *place, const char *line, const char *tool, const char *more)
{
	char fields[256], body[4096];

	snprintf(fields, sizeof fields, MODERN_CALL_FIELDS("%s"), tool);
	snprintf(body, sizeof body, "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"tools/call\",\"params\":"
				    "{\"name\":\"%s\",\"arguments\":{},%s" META("%s", ALL) "}}", tool, more, meta);
	return ask(place, line, fields, body);
}

/* The next request of a suspended call, with these members of inputResponses. */
static int go_on(const struct place *place, const char *tool, const char *state,
		 const char *responses)
{
	char more[2048];

	snprintf(more, sizeof more, "\"inputResponses\":{%s},\"requestState\":\"%s\",", responses, state);
	return call_tool(place, "POST /mcp", tool, more);
}

/* A call that its server suspends: its state. */
static bool suspended(char state[256])
{
	if (status() == 200 && has("\"resultType\":\"input_required\"") && !has("complete") &&
	    cut("\"requestState\":\"", "\"", state, 256))
		return true;
	tap_note("%.900s", text);
	return FAILED("it is suspended");
}

static bool suspend(const struct place *place, const char *tool, char state[256])
{
	(void)call_tool(place, "POST /mcp", tool, "");
	return suspended(state);
}

static void ask_legacy_server(const char *mcp)
{
	struct place place;
	char state[256], second[256];

	MUST(begin(&place, "2025-11-25", mcp, ""));
	MUST(suspend(&place, "test_elicitation", state));
	CHECK(has("\"id\":5,\"result\"") && has("\"1\":{\"method\":\"elicitation/create\",\"params\":{"));
	CHECK(number(&place, MCP_N_calls_now) == 1);
	CHECK(go_on(&place, "test_elicitation", state, ANSWER("1", "response", "yes")) == 200);
	CHECK(has("\"id\":5,\"result\":{\"resultType\":\"complete\",") && has("action=accept") &&
	      has("yes"));
	/* Three at once; what is left out is asked for again. */
	MUST(suspend(&place, REQUIRED("multiple_inputs"), state));
	CHECK(has("elicitation/create") && has("sampling/createMessage") && has("roots/list"));
	CHECK(go_on(&place, REQUIRED("multiple_inputs"), state,
		    ANSWER("1", "name", "Ann") ",\"3\":{\"roots\":[]}") == 200);
	MUST(suspended(second));
	CHECK(strcmp(state, second) != 0 && !has("elicitation/create") && has("\"2\":{\"method\""));
	CHECK(go_on(&place, REQUIRED("multiple_inputs"), second,
		    "\"2\":{\"role\":\"assistant\",\"content\":{\"type\":\"text\",\"text\":\"Hi\"},"
		    "\"model\":\"m\"}") == 200 && has("Hi Ann, 0 roots"));
	/* Twice. */
	MUST(suspend(&place, REQUIRED("multi_round"), state));
	CHECK(go_on(&place, REQUIRED("multi_round"), state, ANSWER("1", "name", "Ann")) == 200);
	MUST(suspended(second) && has("Step 2"));
	CHECK(go_on(&place, REQUIRED("multi_round"), second, ANSWER("2", "color", "red")) == 200 &&
	      has("Ann likes red"));
	CHECK(number(&place, MCP_N_replies_unknown) == 0 && number(&place, MCP_N_calls_now) == 0);
	MUST(suspend(&place, "test_elicitation", state)); /* until the program ends */
	place_close(&place);
}

static void test_suspended(void)
{
	ask_legacy_server("isolation: session");
	ask_legacy_server("isolation: tenant, sharing: exclusive");
}

static bool is_refused(const struct place *place)
{
	return status() == 400 && has("-32602") && has("\"id\":5") &&
	       number(place, MCP_N_replies) == 0 && number(place, MCP_N_calls_now) == 1;
}

/* A state is its tenant's, on its route, for its request, once. */
static void test_states(void)
{
	static const char yes[] = ANSWER("1", "response", "yes");
	char state[256], other[256], more[2048], id[128];
	struct place place;

	MUST(begin(&place, "2025-11-25", "isolation: tenant, sharing: exclusive", ""));
	MUST(post(&place, "", INITIALIZE("2025-06-18", ALL)) == 200 &&
	     cut("mcp-session-id: ", "\r", id, sizeof id));
	MUST(suspend(&place, "test_elicitation", state));
	user = "bob";
	go_on(&place, "test_elicitation", state, yes);
	CHECK(is_refused(&place));
	user = "ann";
	snprintf(more, sizeof more, "\"inputResponses\":{%s},\"requestState\":\"%s\",", yes, state);
	CHECK(call_tool(&place, "POST /other", "test_elicitation", more) == 400);
	CHECK(is_refused(&place));
	go_on(&place, "test_sampling", state, yes);
	CHECK(is_refused(&place));
	snprintf(more, sizeof more, /* of the same name */
		 "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"prompts/get\",\"params\":{\"name\":"
		 "\"test_elicitation\",\"inputResponses\":{%s},\"requestState\":\"%s\"," META("", ALL) "}}",
		 yes, state);
	CHECK(post(&place, MODERN_FIELDS("prompts/get") "Mcp-Name: test_elicitation\r\n", more) == 400);
	CHECK(is_refused(&place));
	memcpy(other, state, sizeof other);
	other[40] = other[40] == 'a' ? 'b' : 'a';
	go_on(&place, "test_elicitation", other, yes);
	CHECK(is_refused(&place));
	other[40] = '\0';
	go_on(&place, "test_elicitation", other, yes);
	CHECK(is_refused(&place));
	snprintf(other, sizeof other, "kolk1.%s", id); /* an id of a session is none */
	go_on(&place, "test_elicitation", other, yes);
	CHECK(is_refused(&place));
	/* A state is no id of a session. */
	snprintf(more, sizeof more, "Mcp-Session-Id: %s\r\n", state + 6);
	CHECK(post(&place, more, CALL("1", "echo", "")) == 404);
	CHECK(suspended_now(&place) == 1);
	/* And it is still good, once. */
	CHECK(go_on(&place, "test_elicitation", state, yes) == 200 && has("action=accept"));
	CHECK(number(&place, MCP_N_replies) == 1 && number(&place, MCP_N_tool_calls) == 1);
	CHECK(suspended_now(&place) == 0);
	CHECK(go_on(&place, "test_elicitation", state, yes) == 400 && has("-32602"));
	CHECK(number(&place, MCP_N_replies) == 1 && number(&place, MCP_N_tool_calls) == 1);
	place_close(&place);
}

/* ---- many at once: some never come back, some go while they wait; no two meet */

enum { ASKERS = 12, ROUNDS = 15 };

struct asker {
	const struct place *place;
	char name[16];
	uint32_t number;
	bool failed;
};

static int begin_elicitation(const struct place *place, const char *more)
{
	char body[2048];

	snprintf(body, sizeof body, "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"tools/call\",\"params\":"
				    "{\"name\":\"test_elicitation\",\"arguments\":{},%s" META("", ALL) "}}",
		 more);
	return begin_request(place, "POST /mcp", MODERN_CALL_FIELDS("test_elicitation"), body);
}

enum { SUSPENDED_MS = 300 };

static bool ask_round(struct asker *asker, uint32_t round)
{
	uint64_t began_ms = tap_now_ms();
	char more[1024], said[32], state[256];
	int fd = begin_elicitation(asker->place, "");

	(void)read_answer(fd);
	if (!cut("\"requestState\":\"", "\"", state, sizeof state))
		return false;
	if (round % 3 == 0)
		return true; /* never more */
	snprintf(said, sizeof said, "%s-%u", asker->name, round);
	snprintf(more, sizeof more, "\"inputResponses\":{\"1\":{\"action\":\"accept\",\"content\":"
				    "{\"response\":\"%s\"}}},\"requestState\":\"%s\",", said, state);
	fd = begin_elicitation(asker->place, more);
	if (round % 3 == 1)
		client_read(fd, NULL, text);
	close(fd);
	if (round % 3 == 2 || strstr(text, said) != NULL)
		return true;
	/* Other load may have stopped it for longer than the call was suspended. */
	return tap_now_ms() - began_ms >= SUSPENDED_MS && has("has expired");
}

static void *be_asker(void *of)
{
	struct asker *asker = of;

	user = asker->name;
	for (uint32_t i = 0; i < ROUNDS && !asker->failed; i++)
		asker->failed = !ask_round(asker, asker->number + i);
	if (asker->failed)
		tap_note("%s: %.600s", asker->name, text);
	return NULL;
}

static void test_many(void)
{
	static struct asker askers[ASKERS];
	pthread_t threads[ASKERS];
	struct place place;

	MUST(begin(&place, "2025-11-25", "isolation: tenant, sharing: exclusive",
		   ", mcp: {suspend_timeout: 300ms, suspended_max: 8}"));
	for (uint32_t i = 0; i < ASKERS; i++) {
		askers[i] = (struct asker){ .place = &place, .number = i };
		snprintf(askers[i].name, sizeof askers[i].name, "asker%u", i);
		pthread_create(&threads[i], NULL, be_asker, &askers[i]);
	}
	for (uint32_t i = 0; i < ASKERS; i++) {
		pthread_join(threads[i], NULL);
		CHECK(!askers[i].failed);
	}
	CHECK(WITHIN_MS(10000, number(&place, MCP_N_calls_now) == 0 && suspended_now(&place) == 0));
	place_close(&place);
}

/* More than a tenant may have are refused; others are not concerned. */
static void test_crowded(void)
{
	char first[256], second[256], other[256];
	struct place place;

	MUST(begin(&place, "2025-11-25", "isolation: tenant, sharing: exclusive",
		   ", mcp: {suspended_max: 2}"));
	MUST(suspend(&place, "test_elicitation", first) && suspend(&place, "test_elicitation", second));
	for (int i = 0; i < 4; i++)
		CHECK(call_tool(&place, "POST /mcp", "test_elicitation", "") == 503 && has("too many"));
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_cancels_notified) == 4));
	user = "bob";
	CHECK(suspend(&place, "test_elicitation", other));
	user = "ann";
	CHECK(go_on(&place, "test_elicitation", first, ANSWER("1", "response", "yes")) == 200);
	CHECK(suspend(&place, "test_elicitation", first));
	place_close(&place);
}

/* It goes in the very turn in which its server asks: the program sees both at once. */
static void go_when_asked(const struct place *place, uint64_t round)
{
	const struct linger at_once = { .l_onoff = 1 };
	int fd, how = 0;

	/* The server has a session, and asks when the program is stopped. */
	CHECK(call_tool(place, "POST /mcp", "echo", "") != 0);
	mcp_fixture_hold(place->a, true);
	fd = begin_elicitation(place, "");
	CHECK(WITHIN_MS(10000, number(place, MCP_N_calls_now) == 1));
	kill(place->program.pid, SIGSTOP);
	CHECK(WITHIN_MS(10000, waitpid(place->program.pid, &how, WUNTRACED | WNOHANG) != 0) &&
	      WIFSTOPPED(how));
	CHECK(number(place, MCP_N_asks) == round);
	mcp_fixture_hold(place->a, false);
	CHECK(WITHIN_MS(10000, number(place, MCP_N_asks) == round + 1));
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	close(fd);
	kill(place->program.pid, SIGCONT);
	CHECK(WITHIN_MS(10000, number(place, MCP_N_cancels_notified) == round + 1 &&
			       number(place, MCP_N_calls_now) == 0));
	CHECK(suspended_now(place) == 0);
}

static void test_gone_when_asked(void)
{
	const struct place_options o = { .server = { .versions = "2025-11-25" },
					 .mcp = "isolation: tenant, sharing: exclusive",
					 .users = true, .admin = true };
	struct place place;

	MUST(place_open(&place, &o));
	for (uint64_t round = 0; round < 2; round++)
		go_when_asked(&place, round);
	place_close(&place);
}

static void test_expired(void)
{
	static const struct place_options o = {
		.server.versions = "2025-11-25", .mcp = "isolation: tenant, sharing: exclusive",
		.users = true, .routes =
		"    - {match: {path: /mcp}, pool: tools, mcp: {suspend_timeout: 300ms}}\n"
		"    - {match: {path: /brief}, pool: tools, timeouts: {request: 400ms}}\n"
	};
	struct place place;
	char state[256];

	MUST(place_open(&place, &o));
	MUST(suspend(&place, "test_elicitation", state));
	CHECK(WITHIN_MS(10000, number(&place, MCP_N_cancels_notified) == 1));
	CHECK(number(&place, MCP_N_calls_now) == 0);
	CHECK(go_on(&place, "test_elicitation", state, ANSWER("1", "response", "yes")) == 400);
	CHECK(has("-32602") && number(&place, MCP_N_replies) == 0);
	/* A request has its own time, and its server is told of its end; again where other load did not
	 * let it come so far, or let its answer come first. */
	for (int i = 0, got = 0; i < 10 && number(&place, MCP_N_cancels_notified) < 2; i++) {
		got = call_tool(&place, "POST /brief", "slow", "");
		CHECK(got == 504 || got == 200);
		(void)WITHIN_MS(500, number(&place, MCP_N_cancels_notified) == 2);
	}
	CHECK(number(&place, MCP_N_cancels_notified) == 2);
	place_close(&place);
}

/* Log messages come where a request asks for them, and has its session alone. */
static void ask_for_logs(const char *mcp, bool logged)
{
	struct place place;

	MUST(begin(&place, "2025-11-25", mcp, ""));
	meta = "\"io.modelcontextprotocol/logLevel\":\"debug\",";
	CHECK(call_tool(&place, "POST /mcp", "test_logging_tool", "") == 200 &&
	      has("notifications/message") == logged);
	CHECK(call_tool(&place, "POST /mcp", "test_logging_tool", "") == 200 &&
	      has("notifications/message") == logged && has("\"id\":5,\"result\""));
	meta = "\"io.modelcontextprotocol/logLevel\":\"alert\",";
	CHECK(call_tool(&place, "POST /mcp", "test_logging_tool", "") == 200 &&
	      !has("notifications/message"));
	meta = "";
	CHECK(call_tool(&place, "POST /mcp", "test_logging_tool", "") == 200 &&
	      !has("notifications/message"));
	place_close(&place);
}

static void test_logs(void)
{
	ask_for_logs("isolation: session", true);
	ask_for_logs("isolation: tenant, sharing: exclusive", false);
}

#define SUBSCRIBE(id, what)                                                                       \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"subscriptions/listen\",\"params\":{" \
	"\"notifications\":{" what "}," META("", "") "}}"

static int begin_listen(const struct place *place, const char *body)
{
	return begin_request(place, "POST /mcp", MODERN_FIELDS("subscriptions/listen"), body);
}

/* Subscriptions to a server with sessions; the first one before that is known. */
static void test_subscribed(void)
{
	static const char uri[] = "\"test://watched-resource\"";
	struct place place;
	int first, second;

	MUST(begin(&place, "2025-11-25", "isolation: session", ""));
	first = begin_listen(&place, SUBSCRIBE("\"sub\"", "\"toolsListChanged\":true,\"resource"
					       "Subscriptions\":[\"test://watched-resource\"]"));
	CHECK(client_read(first, "}\n\n", text) && has("notifications/subscriptions/acknowledged"));
	CHECK(has("/subscriptionId\":\"sub\"") && has("\"toolsListChanged\":true") && has(uri) &&
	      !has("promptsListChanged"));
	second = begin_listen(&place, SUBSCRIBE("7", "\"promptsListChanged\":true"));
	CHECK(client_read(second, "}\n\n", text) && has("/subscriptionId\":7") && !has(uri));
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_get_streams_now) == 2));
	CHECK(call_tool(&place, "POST /mcp", "test_trigger_prompt_change", "") == 200);
	CHECK(client_read(second, "}\n\n", text) && has("notifications/prompts/list_changed") &&
	      has("/subscriptionId\":7"));
	CHECK(call_tool(&place, "POST /mcp", "touch", "") == 200);
	CHECK(client_read(first, "}\n\n", text) && has("notifications/resources/updated") && has(uri) &&
	      has("/subscriptionId\":\"sub\"") && !has("prompts"));
	close(second); /* that ends it, and its session */
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_get_streams_now) == 1));
	CHECK(WITHIN_MS(5000, number(&place, MCP_N_sessions_open) == 1));
	kill(place.program.pid, SIGTERM);
	CHECK(client_read(first, "0\r\n\r\n", text) && has("\"id\":\"sub\",\"result\":"));
	close(first);
	place_close(&place);
}

static void test_not_subscribed(void)
{
	struct place place;
	int fd;

	MUST(begin(&place, "2025-11-25", "isolation: tenant, sharing: multiplexed", ""));
	for (int i = 0; i < 2; i++) {
		fd = begin_listen(&place, SUBSCRIBE("1", "\"toolsListChanged\":true"));
		CHECK(client_read(fd, NULL, text) && status() == 404 && has("-32601"));
		close(fd);
	}
	place_close(&place);
}

/* All of it with a server that is a child process. */
static void test_child(void)
{
	const struct place_options o = { .upstream = "child: {command: [" MCP_FIXTURE_PROGRAM
						     ", --stdio, --versions=2025-11-25]}",
					 .engine = "loops: 2" };
	struct place place;
	char state[256];
	int fd;

	MUST(place_open(&place, &o));
	if (suspend(&place, "test_elicitation", state))
		CHECK(go_on(&place, "test_elicitation", state, ANSWER("1", "response", "yes")) == 200 &&
		      has("action=accept"));
	meta = "\"io.modelcontextprotocol/logLevel\":\"debug\",";
	CHECK(call_tool(&place, "POST /mcp", "test_logging_tool", "") == 200 &&
	      has("notifications/message"));
	meta = "";
	fd = begin_listen(&place, SUBSCRIBE("1", "\"resourceSubscriptions\":[\"test://a\"]"));
	CHECK(client_read(fd, "}\n\n", text) && has("\"resourceSubscriptions\":[\"test://a\"]"));
	close(fd);
	place_close(&place);
}

/* A server that speaks both is used with sessions if the file says so. */
static void test_pinned(void)
{
	struct place place;

	MUST(begin(&place, NULL, "era: legacy, isolation: tenant, sharing: exclusive", ""));
	CHECK(call_tool(&place, "POST /mcp", "test_simple_text", "") == 200 &&
	      has("\"resultType\":\"complete\""));
	CHECK(number(&place, MCP_N_sessions_created) == 1);
	CHECK(number(&place, MCP_N_header_mismatches) == 0);
	place_close(&place);
}

static const struct tap_test tests[] = {
	{ "a server of both eras that is used with sessions", test_pinned },
	{ "sessions of clients, a server that has none", test_sessions },
	{ "what such a server needs is asked of the client", test_questions },
	{ "a client that does not answer such a server", test_unanswered },
	{ "a stream that listens to such a server", test_listen },
	{ "a server with sessions asks a client that has none", test_suspended },
	{ "a suspended call is one tenant's, on its route, once", test_states },
	{ "a suspended call ends", test_expired },
	{ "a client that goes when its server asks", test_gone_when_asked },
	{ "too many suspended calls of a tenant", test_crowded },
	{ "clients of suspended calls do not meet", test_many },
	{ "log messages of a server with sessions", test_logs },
	{ "subscriptions to a server with sessions", test_subscribed },
	{ "a child process with sessions, clients that have none", test_child },
	{ "no subscription where sessions are shared", test_not_subscribed },
};

TAP_TESTS(mcp_eras, tests);
