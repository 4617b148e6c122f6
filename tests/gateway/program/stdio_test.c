/* SPDX-License-Identifier: Apache-2.0 */
/* stdio_test.c - kolk-gateway --stdio: a client at its standard input and output. */
#define _GNU_SOURCE /* pipe2 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/gateway/program/mcp_place.h"
#include "tests/kit/control.h"

enum { TEXT_MAX = 1 << 18 };

/* ---- a gateway at pipes, and a server behind it */

struct client {
	pid_t pid;
	int in, out;
	struct place place;          /* its server; none = a child of the gateway's */
	char path[64];               /* of the configuration */
	char text[TEXT_MAX];         /* the output that was not taken */
	size_t size;
	char line[TEXT_MAX];         /* the last one that was taken */
};
static struct client client;

/* Nobody asks a client here for its token, and nothing listens. routes: lines, and what follows. */
static bool write_lines(const char *pools, const char *routes)
{
	FILE *file;

	snprintf(client.path, sizeof client.path, "/tmp/kolk-stdio-%d.yaml", (int)getpid());
	file = fopen(client.path, "w");
	if (file == NULL)
		return FAILED("a file can be written");
	fprintf(file,
		"pools:%s\ngateway:\n  access_log: {path: \"-\"}\n"
		"  tenants: {from: header, header: x-user}\n  trusted_proxies: [\"127.0.0.1\"]\n  routes:\n%s",
		pools, routes);
	return tap_check(fclose(file) == 0, "it is written", __FILE__, __LINE__);
}

static bool write_config(const char *pool, const char *route)
{
	char pools[640], routes[512];

	snprintf(pools, sizeof pools, "\n  - {name: tools, protocol: mcp, limits: {idle_min: 0}, %s}", pool);
	snprintf(routes, sizeof routes,
		 "    - {match: {path: /other}, answer: {status: 200}}\n"
		 "    - {match: {path: /all}, federation: [{pool: tools}, {pool: tools, prefix: b}]}\n"
		 "    - {match: {path: /mcp}, pool: tools%s}\n", route);
	return write_lines(pools, routes);
}

static bool launch(const char *route)
{
	int to[2], from[2];

	if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0)
		return FAILED("there are pipes");
	client.size = 0;
	client.text[0] = '\0';
	client.pid = fork();
	if (client.pid == 0) {
		dup2(to[0], STDIN_FILENO);
		dup2(from[1], STDOUT_FILENO);
		execl(GATEWAY_PROGRAM, "kolk-gateway", "--stdio", route, client.path, (char *)NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	client.in = to[1];
	client.out = from[0];
	return tap_check(client.pid > 0, "it is started", __FILE__, __LINE__);
}

/* versions, and more, of the server; mcp: options of the pool; path: of the client's route. */
static bool begin_at(const char *path, const struct mcp_options *o, const char *mcp, const char *route)
{
	char pool[512];

	client.place.a = mcp_fixture_open(o);
	if (client.place.a == NULL)
		return FAILED("there is a server");
	snprintf(pool, sizeof pool, "address: \"%s\", mcp: {%s}", mcp_fixture_address(client.place.a), mcp);
	return write_config(pool, route) && launch(path);
}

static bool begin(const struct mcp_options *o, const char *mcp, const char *route)
{
	return begin_at("/mcp", o, mcp, route);
}

static bool begin_child(const char *versions, const char *mcp)
{
	char pool[512];

	client.place.a = NULL;
	snprintf(pool, sizeof pool, "child: {command: [" MCP_FIXTURE_PROGRAM ", --stdio, %s]}, mcp: {%s}",
		 versions, mcp);
	return write_config(pool, "") && launch("/mcp");
}

static uint64_t seen(enum mcp_number of)
{
	return mcp_fixture_number(client.place.a, of);
}

static bool say(const char *line)
{
	size_t size = strlen(line);

	return write(client.in, line, size) == (ssize_t)size && write(client.in, "\n", 1) == 1;
}

/* More of the output: false = its end, or nothing for a minute. */
static bool more(void)
{
	struct pollfd look = { .fd = client.out, .events = POLLIN };
	ssize_t size = -1;

	if (client.size < TEXT_MAX - 1 && poll(&look, 1, 60000) > 0)
		size = read(client.out, client.text + client.size, TEXT_MAX - 1 - client.size);
	if (size <= 0)
		return false;
	client.size += (size_t)size;
	client.text[client.size] = '\0';
	return true;
}

/* The next line that has this; others before it stay. */
static bool hears(const char *what)
{
	char *at = client.text, *end;

	for (;;) {
		while ((end = strchr(at, '\n')) == NULL)
			if (!more()) {
				tap_note("no line has %s: %.600s", what, client.text);
				return false;
			}
		*end = '\0';
		if (strstr(at, what) != NULL)
			break;
		*end = '\n';
		at = end + 1;
	}
	memcpy(client.line, at, (size_t)(end - at) + 1);
	client.size -= (size_t)(end + 1 - at);
	memmove(at, end + 1, client.size - (size_t)(at - client.text) + 1);
	return true;
}

static bool line_has(const char *what)
{
	return strstr(client.line, what) != NULL;
}

/* The input ends; or it is asked to. Whether it ended well in time, and said nothing else. */
static bool ends(int signal_number)
{
	int status = -1;
	bool ended, quiet;

	if (signal_number != 0)
		kill(client.pid, signal_number);
	else
		close(client.in);
	while (more())
		;
	quiet = client.size == 0;
	if (!quiet)
		tap_note("it said besides: %.600s", client.text);
	ended = WITHIN_MS(15000, waitpid(client.pid, &status, WNOHANG) == client.pid);
	if (!ended) {
		kill(client.pid, SIGKILL);
		waitpid(client.pid, NULL, 0);
	}
	if (signal_number != 0)
		close(client.in);
	close(client.out);
	unlink(client.path);
	return ended && quiet && status == 0;
}

/* Nothing is left at the server. Returns how many sessions the client ended. */
static uint64_t end(int signal_number)
{
	uint64_t deleted;

	CHECK(ends(signal_number));
	CHECK(WITHIN_MS(10000, seen(MCP_N_sessions_open) == 0));
	deleted = seen(MCP_N_sessions_deleted);
	place_server_close(&client.place, client.place.a);
	return deleted;
}

/* ---- what a client says */

#define BEGIN INITIALIZE_WITH("0", "2025-11-25", "\"sampling\":{},\"elicitation\":{}")
#define CALL_WITH(id, tool, arguments, more) \
	REQUEST(id, "tools/call", "\"name\":\"" tool "\",\"arguments\":{" arguments "}" more)
#define ALONE(more) "," META(more, "\"elicitation\":{}")
#define MODERN(id, tool, arguments) CALL_WITH(id, tool, arguments, ALONE(""))

static bool initialize(void)
{
	return say(BEGIN) && hears("\"id\":0,\"result\":{\"protocolVersion\"") && say(INITIALIZED);
}

/* Calls, progress, what the server asks, cancels: as a client with a session does. */
static void use_session(void)
{
	char answer[256], id[64];

	CHECK(say(CALL("\"x\\u0031\"", "echo", "\"nonce\":\"n1\"")) &&
	      hears("\"id\":\"x\\u0031\",\"result\"") && line_has("n1"));
	CHECK(say(CALL_WITH("7", "progress", "\"steps\":3,\"ms\":1", ",\"_meta\":{\"progressToken\":\"p\"}")));
	for (int i = 0; i < 3; i++)
		CHECK(hears("notifications/progress") && line_has("\"progressToken\":\"p\""));
	CHECK(hears("\"id\":7,\"result\""));
	CHECK(say(CALL("8", "test_elicitation", "\"message\":\"hi\"")) && hears("elicitation/create"));
	MUST(strstr(client.line, "\"id\":") != NULL &&
	     sscanf(strstr(client.line, "\"id\":"), "\"id\":%60[^,}]", id) == 1);
	snprintf(answer, sizeof answer, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"action\":\"accept\","
					"\"content\":{\"response\":\"yes\"}}}", id);
	CHECK(say(answer) && hears("\"id\":8,\"result\"") && line_has("action=accept"));
	CHECK(say(CALL("9", "slow", "\"ms\":8000,\"nonce\":\"s\"")));
	CHECK(client.place.a == NULL || WITHIN_MS(5000, seen(MCP_N_calls_now) == 1));
	CHECK(say(CANCEL("9")) &&
	      say("{\"jsonrpc\":\"2.0\",\"id\":10,\"method\":\"ping\"}") && hears("\"id\":10,\"result\""));
	CHECK(say(CALL("11", "no_such_tool", "")) && hears("\"id\":11,"));
}

static void test_session(void)
{
	struct mcp_options o = { .listen = "127.0.0.1:0", .versions = "2025-11-25" };

	MUST(begin(&o, "path: /mcp", ""));
	MUST(initialize());
	use_session();
	CHECK(WITHIN_MS(5000, seen(MCP_N_cancels_notified) == 1 && seen(MCP_N_calls_now) == 0));
	/* What belongs to no call comes on its stream. */
	CHECK(WITHIN_MS(5000, seen(MCP_N_get_streams_now) == 1));
	CHECK(say(CALL("12", "test_trigger_tool_change", "")) && hears("tools/list_changed") &&
	      hears("\"id\":12,"));
	CHECK(say(BEGIN) && hears("\"id\":0,\"error\"") && line_has("-32600"));
	CHECK(seen(MCP_N_sessions_created) == 1);
	end(0);
}

static void test_child(void)
{
	MUST(begin_child("--versions=2025-11-25", "isolation: session"));
	MUST(initialize());
	use_session();
	CHECK(ends(0));
}

/* A child without sessions, and one with, for clients of both eras; whether it has is found out. */
static void use_child(const char *versions, const char *mcp)
{
	MUST(begin_child(versions, mcp));
	CHECK(say(MODERN("1", "echo", "\"nonce\":\"n1\"")) && hears("\"id\":1,\"result\"") && line_has("n1"));
	CHECK(say(MODERN("2", "slow", "\"ms\":8000")) && say(CANCEL("2")));
	MUST(initialize());
	CHECK(say(CALL("3", "echo", "\"nonce\":\"n3\"")) && hears("\"id\":3,\"result\"") && line_has("n3"));
	CHECK(say(MODERN("4", "echo", "\"nonce\":\"n4\"")) && hears("\"id\":4,\"result\"") && line_has("n4"));
	CHECK(say(CALL("5", "test_trigger_tool_change", "")) && hears("tools/list_changed") &&
	      hears("\"id\":5,"));
	CHECK(ends(0));
}

static void test_children(void)
{
	use_child("--versions=2026-07-28", "era: modern");
	use_child("--versions=2026-07-28", "era: auto");
	use_child("--versions=2025-11-25", "era: auto");
}

/* Two servers, each a child, for clients of both eras. */
static void test_federation(void)
{
	client.place.a = NULL;
	MUST(write_config("child: {command: [" MCP_FIXTURE_PROGRAM ", --stdio, --versions=2025-11-25]}, "
			  "mcp: {isolation: session}", "") && launch("/all"));
	CHECK(say(MODERN("1", "b_echo", "\"nonce\":\"n1\"")) && hears("\"id\":1,\"result\"") && line_has("n1"));
	MUST(initialize());
	CHECK(say("{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\"}") &&
	      hears("\"id\":2,\"result\"") && line_has("\"name\":\"tools_echo\"") && line_has("\"name\":\"b_echo\""));
	CHECK(say(CALL("3", "tools_echo", "\"nonce\":\"n3\"")) && hears("\"id\":3,\"result\"") && line_has("n3"));
	CHECK(say(CALL("4", "b_slow", "\"ms\":8000")) && say(CANCEL("4")));
	CHECK(say(CALL("5", "b_test_trigger_tool_change", "")) && hears("tools/list_changed") &&
	      hears("\"id\":5,"));
	CHECK(say(CALL("6", "echo", "")) && hears("\"id\":6,\"error\"") && line_has("-32602"));
	CHECK(say("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"subscriptions/listen\",\"params\":{"
		  "\"notifications\":{\"toolsListChanged\":true}" ALONE("") "}}") &&
	      hears("notifications/subscriptions/acknowledged"));
	CHECK(say(CANCEL("7")) && hears("\"id\":7,\"result\""));
	CHECK(ends(0));
}

static void test_modern(void)
{
	struct mcp_options o = { .listen = "127.0.0.1:0", .versions = "2026-07-28" };

	MUST(begin(&o, "era: modern", ""));
	CHECK(say("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server/discover\",\"params\":{\"a\":1"
		  ALONE("") "}}") && hears("\"id\":1,\"result\"") && line_has("supportedVersions"));
	CHECK(say(MODERN("2", "echo", "\"nonce\":\"n2\"")) && hears("\"id\":2,\"result\"") && line_has("n2"));
	CHECK(say(CALL_WITH("3", "progress", "\"steps\":2,\"ms\":1", ALONE("\"progressToken\":5,"))) &&
	      hears("\"progressToken\":5") && hears("\"progressToken\":5") && hears("\"id\":3,"));
	CHECK(say(MODERN("4", "test_input_required_result_elicitation", "")) && hears("\"id\":4,") &&
	      line_has("input_required"));
	CHECK(say(MODERN("5", "slow", "\"ms\":8000")) && WITHIN_MS(5000, seen(MCP_N_calls_now) == 1));
	CHECK(say(CANCEL("5")) && WITHIN_MS(5000, seen(MCP_N_cancels_disconnect) == 1));
	CHECK(say("{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":\"ping\",\"params\":{\"a\":1" ALONE("") "}}") &&
	      hears("\"id\":6,\"error\"") && line_has("-32601"));
	CHECK(say("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"server/discover\"}") &&
	      hears("\"id\":7,\"error\"") && line_has("-32602"));
	end(0);
}

#define LIST(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"tools/list\",\"params\":{" \
		 "\"cursor\":\"0\"" ALONE("") "}}"

/* There is one client: what is private is its own. */
static void test_kept(void)
{
	struct mcp_options o = { .listen = "127.0.0.1:0", .versions = "2026-07-28", .ttl = 3600000,
				 .private = 1 };

	MUST(begin(&o, "era: modern", ""));
	CHECK(say(LIST("1")) && hears("\"id\":1,\"result\"") && line_has("\"ttlMs\":3600000"));
	CHECK(seen(MCP_N_requests) == 1);
	CHECK(say(LIST("\"b\"")) && hears("\"id\":\"b\",\"result\"") && line_has("\"ttlMs\":35"));
	CHECK(line_has("\"cacheScope\":\"private\"") && seen(MCP_N_requests) == 1);
	end(0);
}

/* So it is where a list is made of those of several servers. */
static void test_kept_of_several(void)
{
	static const char list[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{"
				   "\"a\":1," META("", "") "}}";
	struct mcp_options o = { .listen = "127.0.0.1:0", .versions = "2026-07-28", .ttl = 3600000,
				 .private = 1 };
	uint64_t asked;

	MUST(begin_at("/all", &o, "era: modern", ""));
	CHECK(say(list) && hears("\"id\":1,\"result\"") && line_has("\"ttlMs\":3600000") &&
	      line_has("\"name\":\"b_echo\""));
	asked = seen(MCP_N_requests);
	CHECK(say(list) && hears("\"id\":1,\"result\"") && line_has("\"ttlMs\":35") &&
	      line_has("\"cacheScope\":\"private\"") && line_has("\"name\":\"b_echo\""));
	CHECK(seen(MCP_N_requests) == asked);
	end(0);
}

/* The other two cells: one side has sessions, the other has none. */
static void test_eras(void)
{
	struct mcp_options legacy = { .listen = "127.0.0.1:0", .versions = "2025-11-25" };
	struct mcp_options modern = { .listen = "127.0.0.1:0", .versions = "2026-07-28" };

	MUST(begin(&legacy, "path: /mcp", ""));
	CHECK(say(MODERN("1", "echo", "\"nonce\":\"n1\"")) && hears("\"id\":1,\"result\"") &&
	      line_has("\"resultType\":\"complete\""));
	end(0);
	MUST(begin(&modern, "path: /mcp", ""));
	MUST(initialize());
	CHECK(say(CALL("2", "echo", "\"nonce\":\"n2\"")) && hears("\"id\":2,\"result\"") && line_has("n2"));
	end(0);
}

static void test_bad_lines(void)
{
	struct mcp_options o = { .listen = "127.0.0.1:0", .versions = "2025-11-25" };
	char *large = malloc(5001);

	MUST(begin(&o, "path: /mcp", ", limits: {body: 4KiB}"));
	CHECK(say("{\"jsonrpc\":\"2.0\"") && hears("-32700") && line_has("\"id\":null"));
	CHECK(say("hello") && hears("-32700"));
	CHECK(say("") && say("  \r"));
	CHECK(say("[]") && hears("-32600"));
	CHECK(say(CALL("1", "echo", "")) && hears("\"id\":1,\"error\"") && line_has("initialize comes first"));
	CHECK(say("{\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{}}") && say(CANCEL("77")));
	memset(large, ' ', 5000);
	large[5000] = '\0';
	CHECK(say(large) && hears("-32600") && line_has("larger"));
	memset(large, 'a', 5000);
	CHECK(say(large) && hears("-32600") && line_has("larger"));
	free(large);
	MUST(initialize());
	CHECK(say(CALL("2", "echo", "\"nonce\":\"n\"")) && hears("\"id\":2,\"result\""));
	CHECK(seen(MCP_N_tool_calls) == 1);
	end(SIGTERM);
}

/* All is said before anything is heard, and the last line has no end. */
static void test_end_while_calls_run(void)
{
	static const char last[] = CALL("2", "slow", "\"ms\":300,\"nonce\":\"late\"");
	struct mcp_options o = { .listen = "127.0.0.1:0", .versions = "2025-11-25", .init_delay = 50 };

	MUST(begin(&o, "path: /mcp", ""));
	CHECK(say(BEGIN) && say(INITIALIZED) && say(CALL("1", "echo", "\"nonce\":\"n\"")));
	CHECK(write(client.in, last, sizeof last - 1) == (ssize_t)sizeof last - 1);
	close(client.in);
	CHECK(hears("\"id\":0,") && hears("\"id\":1,") && hears("\"id\":2,\"result\"") && line_has("late"));
	client.in = dup(client.out);
	CHECK(end(0) == 1);
}

/* What nobody can answer any more is cancelled, and does not keep it. */
static void test_end_while_asked(void)
{
	struct mcp_options o = { .listen = "127.0.0.1:0", .versions = "2025-11-25" };
	struct kit_control control;

	MUST(begin(&o, "path: /mcp", ""));
	MUST(initialize());
	CHECK(say(CALL("1", "test_sampling", "\"prompt\":\"p\"")) && hears("sampling/createMessage"));
	kit_control_begin(&control);
	end(0);
	CHECK(kit_control_end(&control) < 5000);
}

/* The server forgets the session: the client hears nothing of it. */
static void test_lost(void)
{
	struct mcp_options o = { .listen = "127.0.0.1:0", .versions = "2025-11-25", .lose = 3 };
	char line[256];

	MUST(begin(&o, "path: /mcp", ""));
	MUST(initialize());
	for (int i = 1; i <= 60; i++) { /* calls whose memory was used before are repeated, too */
		snprintf(line, sizeof line, CALL("%d", "echo", "\"nonce\":\"n%d\""), i, i);
		CHECK(say(line));
		snprintf(line, sizeof line, "\"id\":%d,\"result\"", i);
		CHECK(hears(line));
	}
	CHECK(seen(MCP_N_sessions_created) > 1 && seen(MCP_N_sessions_lost) > 0);
	CHECK(seen(MCP_N_tool_calls) == 60);
	CHECK(ends(0));
	mcp_fixture_close(client.place.a);
}

/* A client that does not read is not read: the memory for it is bounded. */
static void test_unread(void)
{
	struct mcp_options o = { .listen = "127.0.0.1:0", .versions = "2025-11-25" };
	const char *call = CALL("1", "big", "\"bytes\":8000") "\n";
	size_t said = 0, heard = 0, size = strlen(call), cut = 0;
	struct program gateway;
	ssize_t wrote;
	char *at;

	MUST(begin(&o, "path: /mcp", ""));
	MUST(initialize());
	gateway.pid = client.pid;
	fcntl(client.in, F_SETFL, O_NONBLOCK);
	for (uint64_t idle_ms = 0; idle_ms < 600 && said < 20000; usleep(50000), idle_ms += 50)
		while ((wrote = write(client.in, call + cut, size - cut)) > 0) {
			cut = (cut + (size_t)wrote) % size;
			said += cut == 0;
			idle_ms = 0;
		}
	CHECK(said < 20000);
	CHECK(program_resident(&gateway) < 128 * 1024);
	fcntl(client.in, F_SETFL, 0);
	if (cut != 0)
		CHECK(write(client.in, call + cut, size - cut) == (ssize_t)(size - cut) && ++said > 0);
	close(client.in);
	do {
		for (at = client.text; (at = strchr(at, '\n')) != NULL; at++)
			heard++;
		client.size = 0;
		client.text[0] = '\0';
	} while (more());
	if (heard != said)
		tap_note("%zu calls, %zu answers", said, heard);
	CHECK(heard == said);
	client.in = dup(client.out);
	end(0);
}

static void test_refused(void)
{
	int status = -1;

	client.place.a = NULL;
	MUST(write_config("address: \"127.0.0.1:1\"", ""));
	MUST(launch("/other"));
	CHECK(waitpid(client.pid, &status, 0) == client.pid && WIFEXITED(status) && WEXITSTATUS(status) == 1);
	close(client.in);
	close(client.out);
	MUST(launch("/mcp"));
	CHECK(say(BEGIN) && hears("\"id\":0,\"error\"") && line_has("-32603"));
	CHECK(ends(SIGHUP));
}

/* A server of the gateway's own. */
static void test_tools(void)
{
	client.place.a = NULL;
	MUST(write_lines(" []", "    - {match: {path: /mcp}, tools: [echo]}\n"
				"tools:\n- {name: echo, parameters: [{name: text, required: true}],\n"
				"   command: [/usr/bin/printf, '--', '<%s>', '{{text}}']}\n"));
	MUST(launch("/mcp"));
	CHECK(say(INITIALIZE("2025-06-18", "")));
	CHECK(hears("\"protocolVersion\":\"2025-06-18\""));
	CHECK(say(INITIALIZED));
	CHECK(say("{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\"}") && hears("\"name\":\"echo\""));
	CHECK(say("{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"tools/call\",\"params\":{\"name\":\"echo\","
		  "\"arguments\":{\"text\":\"a b\"}}}") && hears("\"output\":\"<a b>\""));
	CHECK(ends(SIGHUP));
}

static const struct tap_test tests[] = {
	{ "a client with a session", test_session },
	{ "the server is a child process", test_child },
	{ "a child process of either era, clients of both", test_children },
	{ "several servers at once", test_federation },
	{ "a client without sessions", test_modern },
	{ "what the server says may be kept", test_kept },
	{ "what several servers say may be kept", test_kept_of_several },
	{ "client and server of different eras", test_eras },
	{ "lines that are no messages, or too long", test_bad_lines },
	{ "the input ends while calls run", test_end_while_calls_run },
	{ "the input ends while the client is asked", test_end_while_asked },
	{ "a session that the server lost is made again", test_lost },
	{ "a client that does not read", test_unread },
	{ "a route that leads to no MCP server, a server that is not there", test_refused },
	{ "a route with tools", test_tools },
};

TAP_TESTS(stdio, tests);
