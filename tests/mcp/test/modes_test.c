/* SPDX-License-Identifier: Apache-2.0 */
/* modes_test.c - the fixture slow, faulty and lying: each switch does what it says. */
#include <string.h>
#include <unistd.h>

#include "tests/mcp/test/client.h"

static const char echo[] = CALL("1", "echo", "\"nonce\":\"x\"");

static struct client *opened(const char *switches)
{
	struct client *client = client_open(switches);

	if (client != NULL && client_initialize(client, "2025-06-18", ""))
		return client;
	FAILED(switches);
	return NULL;
}

/* The second of two calls is the one. */
static void faults(void)
{
	static const struct row {
		const char *switches;
		int status; /* 0 = it broke off */
		const char *text;
	} rows[] = {
		{ "lose=2", 404, "Session not found" },
		{ "lose-400=2", 400, "session" },
		{ "lose-410=2", 410, "" },
		{ "reset=2", 0, "" },
		{ "fail=2", 503, "" },
		{ "fail=2 fail-status=429", 429, "" },
		{ "wrong-id=3", 200, "\"id\":\"wrong\"" },
		{ "wrong-jsonrpc=3", 200, "\"jsonrpc\":\"1.0\"" },
		{ "bad-json=3", 200, "\"x\"}]}," },
		{ "huge=3 huge-bytes=100000", 200, "{                    " },
		{ "unknown-id=3", 200, "\"id\":\"unknown\"" },
		{ "twice=3", 200, "text/event-stream" },
		{ "sse=1", 200, "text/event-stream" },
		{ "delay=20", 200, "\"x\"" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct client *client = opened(rows[i].switches);

		MUST(client != NULL);
		CHECK(client_post(client, echo) == 200 && client_has(client, "\"x\""));
		CHECK(client_post(client, echo) == rows[i].status);
		if (!CHECK(client_has(client, rows[i].text)))
			tap_note("%s", rows[i].switches);
		client_close(client);
	}
}

static void answers_are_cut(void)
{
	struct client *client = opened("cut=2");

	MUST(client != NULL);
	CHECK(client_post(client, echo) == 0);
	CHECK(client_has(client, "200 OK") && strstr(client->text, "\"x\"") == NULL);
	client_close(client);
	client = opened("cut=2 sse=1");
	MUST(client != NULL);
	CHECK(client_post(client, echo) == 0 && client_has(client, "data: {"));
	client_close(client);
}

static void sessions_expire(void)
{
	struct client *client = opened("session-ttl=1000");

	MUST(client != NULL); /* not within it */
	usleep(1500000);
	CHECK(client_post(client, echo) == 404);
	CHECK(client_number(client, MCP_N_sessions_lost) == 1);
	client_close(client);
}

static const char initialize[] =
	"{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":"
	"\"2025-06-18\",\"capabilities\":{},\"clientInfo\":{\"name\":\"t\",\"version\":\"1\"}}}";

static void initialize_lies(void)
{
	static const struct row {
		const char *switches;
		int status;
		const char *text, *not;
	} rows[] = {
		{ "init-version=1", 200, "1999-01-01", "2025-06-18" },
		{ "init-sse=1", 200, "text/event-stream", "application/json" },
		{ "no-session-id=1", 200, "2025-06-18", "Mcp-Session-Id" },
		{ "stateless=1", 200, "2025-06-18", "Mcp-Session-Id" },
		{ "init-status=401", 401, "", "2025-06-18" },
		{ "early=1", 200, "list_changed", "application/json" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct client *client = client_open(rows[i].switches);

		MUST(client != NULL);
		CHECK(client_post(client, initialize) == rows[i].status);
		if (!CHECK(client_has(client, rows[i].text)) ||
		    !CHECK(strstr(client->text, rows[i].not) == NULL))
			tap_note("%s", rows[i].switches);
		client_close(client);
	}
}

static void without_a_session(void)
{
	struct client *client = client_open("stateless=1");

	MUST(client != NULL);
	CHECK(client_post(client, echo) == 200);
	CHECK(client_ask(client, "GET /mcp", "", NULL) == 405);
	client_close(client);
	client = client_open("no-session-id=1");
	MUST(client != NULL);
	CHECK(client_post(client, initialize) == 200 && client_post(client, echo) == 400);
	client_close(client);
}

static void odd_answers_to_others(void)
{
	struct client *client = opened("accepted-body=1 conflict=1 page=3");

	MUST(client != NULL);
	CHECK(client_post(client, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}") == 202);
	CHECK(client_has(client, "accepted"));
	CHECK(client_ask(client, "GET /mcp", client->session, NULL) == 409);
	CHECK(client_post(client, REQUEST("1", "tools/list")) == 200);
	CHECK(client_has(client, "\"nextCursor\":\"3\""));
	client_close(client);
}

static void what_was_cancelled_is_answered_late(void)
{
	struct client *client = opened("late=1");
	int fd;

	MUST(client != NULL);
	fd = client_connect(client);
	client_send(fd, "POST /mcp", client->session, CALL("5", "slow", "\"ms\":60000,\"nonce\":\"late\""));
	CHECK(WITHIN_MS(5000, client_number(client, MCP_N_calls_now) == 1));
	CHECK(client_post(client, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\","
				  "\"params\":{\"requestId\":5}}") == 202);
	CHECK(client_read(client, fd, "\"late\""));
	CHECK(client_number(client, MCP_N_cancels_notified) == 1);
	close(fd);
	client_close(client);
}

static void collisions_are_counted(void)
{
	static const char slow[] = "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"tools/call\",\"params\":{"
				   "\"name\":\"slow\",\"arguments\":{\"ms\":300},"
				   "\"_meta\":{\"progressToken\":\"t\"}}}";
	struct client *client = opened(NULL);
	int first, second;

	MUST(client != NULL);
	first = client_connect(client);
	second = client_connect(client);
	client_send(first, "POST /mcp", client->session, slow);
	client_send(second, "POST /mcp", client->session, slow);
	CHECK(WITHIN_MS(5000, client_number(client, MCP_N_duplicate_tokens) == 1));
	CHECK(client_number(client, MCP_N_duplicate_ids) == 1);
	close(first);
	close(second);
	client_close(client);
}

static const struct tap_test tests[] = {
	{ "faults and lies", faults },
	{ "answers are cut", answers_are_cut },
	{ "sessions expire", sessions_expire },
	{ "initialize lies", initialize_lies },
	{ "without a session", without_a_session },
	{ "odd answers to what is no request", odd_answers_to_others },
	{ "what was cancelled is answered late", what_was_cancelled_is_answered_late },
	{ "collisions are counted", collisions_are_counted },
};
TAP_TESTS(modes, tests);
