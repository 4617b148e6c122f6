/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcp_tools_test.c - tools that a client may not have: whatever it writes, no server sees a request for
 * one, and no list has it. What reaches a server is what the server says, not the gateway.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/gateway/program/mcp_place.h"

/* ---- a gateway in front of a server of some kind */

struct kind {
	const char *versions, *mcp;  /* of the server; options of the pool */
	bool child;                  /* it is a child of the gateway's */
	bool sse;                    /* it answers with events */
	uint32_t page;
};

static char seen[64]; /* a file of what a child was told */

/* progress is allowed, test_simple_text denied, echo not allowed. */
#define RULES "tools_allow: [\"test_*\", progress], tools_deny: [test_simple_text, \"*_image*\"]"
#define TENANTS \
	"tools_tenants: [{name: bob, deny: [\"prog*\"]}, {name: eve, allow: []}, {name: max, allow: [\"*\"]}]"

static const char routes[] =
	"    - {match: {path: /mcp}, pool: tools, mcp: {" RULES ", " TENANTS "}}\n"
	"    - {match: {path: /deny}, pool: tools, mcp: {tools_deny: [echo]}}\n"
	"    - {match: {path: /open}, pool: tools}\n";

static struct place_options options_of(const struct kind *kind)
{
	static char child[256];

	snprintf(child, sizeof child, "child: {command: [/bin/sh, -c, \"tee -a %s | exec "
		 MCP_FIXTURE_PROGRAM " --stdio --versions=%s\"]}", seen, kind->versions);
	return (struct place_options){
		.server = { .versions = kind->versions, .sse = kind->sse, .page = kind->page },
		.upstream = kind->child ? child : NULL, .mcp = kind->mcp, .routes = routes,
		.users = true, .admin = true };
}

static bool begin(struct place *place, const struct kind *kind)
{
	struct place_options o;

	snprintf(seen, sizeof seen, "/tmp/kolk-mcp-tools-%d.seen", (int)getpid());
	unlink(seen);
	o = options_of(kind);
	return place_open(place, &o);
}

/* How often a text is in a file. */
static uint64_t count_in(const char *path, const char *what)
{
	static char all[1 << 20];
	uint64_t count = 0;
	FILE *file = fopen(path, "r");

	if (file == NULL)
		return 0;
	all[fread(all, 1, sizeof all - 1, file)] = '\0';
	fclose(file);
	for (const char *at = all; (at = strstr(at, what)) != NULL; at++)
		count++;
	return count;
}

/* What the server has been told; of a child, of tools: its session begins when it likes. */
static uint64_t told(const struct place *place)
{
	return place->a == NULL ? count_in(seen, "\"method\":\"tools/") :
	       number(place, MCP_N_requests) + number(place, MCP_N_notifications);
}

/* Calls of tools that it had. What a child was told may be written a moment later. */
static uint64_t ran(const struct place *place)
{
	return place->a == NULL ? count_in(seen, "\"tools/call\"") : number(place, MCP_N_tool_calls);
}

/* runs: calls of tools that the server had in all. */
static void end(struct place *place, uint64_t runs)
{
	CHECK(program_stop(&place->program, 20000));
	CHECK(ran(place) == runs);
	place_server_close(place, place->a);
	unlink(seen);
}

/* ---- clients */

#define ANONYMOUS(capabilities) "\"_meta\":{" META_MEMBERS(capabilities) "}"

/* A client on a route: with a session, or, "" in it, one whose requests are stateless. */
struct client {
	const char *line; /* "POST /mcp" */
	char session[512];
};

static bool open_client(const struct place *place, struct client *client, const char *line,
			const char *version)
{
	char body[512];

	client->line = line;
	client->session[0] = '\0';
	if (version == NULL)
		return true;
	snprintf(body, sizeof body, INITIALIZE("%s", ""), version);
	(void)ask(place, line, "", body);
	return take_session(client->session);
}

/* One request. params: members of it; id: with a comma, or "" = it is a notification; name: of the header. */
static int say(const struct place *place, const struct client *client, const char *id,
	       const char *method, const char *params, const char *name)
{
	const bool modern = client->session[0] == '\0';
	char body[16384], fields[512];

	snprintf(body, sizeof body, "{\"jsonrpc\":\"2.0\",%s\"method\":\"%s\",\"params\":{%s%s%s}}", id,
		 method, params, modern && params[0] != '\0' ? "," : "", modern ? ANONYMOUS("") : "");
	if (modern)
		modern_fields(fields, strcmp(method, "tools\\/call") == 0 ? "tools/call" : method, name);
	else
		snprintf(fields, sizeof fields, "%s", client->session);
	return ask(place, client->line, fields, body);
}

static int call_tool(const struct place *place, const struct client *client, const char *name)
{
	char params[256];

	snprintf(params, sizeof params, "\"name\":\"%s\",\"arguments\":{\"steps\":0}", name);
	return say(place, client, "\"id\":5,", "tools/call", params, name);
}

/* Refused as an unknown tool, or as a message that may be read in two ways. */
static bool is_refused(void)
{
	return (status() == 200 && has("\"error\":{\"code\":-32602,\"message\":\"Unknown tool\"}") &&
		has("\"id\":5")) ||
	       (status() == 400 && has("\"error\""));
}

/* ---- what is tried: members of params */

static const char *const attempts[] = {
	"\"name\":\"echo\"",
	"\"name\":\"test_simple_text\"",
	"\"name\":\"test_image_content\"",
	/* escapes */
	"\"name\":\"\\u0065cho\"",
	"\"name\":\"\\u0065\\u0063\\u0068\\u006F\"",
	"\"name\":\"\\u0065\\u0063\\u0068\\u006f\"",
	"\"name\":\"te\\u0073t_simple_text\"",
	"\"name\":\"test_simple\\u005ftext\"",
	"\"n\\u0061me\":\"echo\"",
	"\"\\u006e\\u0061\\u006d\\u0065\":\"\\u0065cho\"",
	/* two names */
	"\"name\":\"echo\",\"name\":\"progress\"",
	"\"name\":\"progress\",\"name\":\"echo\"",
	"\"name\":\"progress\",\"n\\u0061me\":\"echo\"",
	"\"name\":\"progress\",\"Name\":\"echo\"",
	"\"Name\":\"echo\",\"name\":\"progress\"",
	"\"NAME\":\"echo\"",
	"\"name\":\"echo\",\"uri\":\"progress\"",
	"\"uri\":\"progress\"",
	/* blanks, ends, prefixes, paths */
	"\"name\":\"echo \"", "\"name\":\" echo\"", "\"name\":\"echo\\t\"", "\"name\":\"echo\\n\"",
	"\"name\":\"echo\\u0000\"", "\"name\":\"progress\\u0000echo\"", "\"name\":\"echo\\u0000progress\"",
	"\"name\":\"progress \"", "\"name\":\"progres\"", "\"name\":\"progresss\"",
	"\"name\":\"xtest_tool_with_logging\"", "\"name\":\"test\"", "\"name\":\"*\"", "\"name\":\"e*\"",
	"\"name\":\"tools/echo\"", "\"name\":\"./echo\"", "\"name\":\"progress/../echo\"",
	"\"name\":\"progress,echo\"", "\"name\":\"tools_echo\"", "\"name\":\"echo%20\"", "\"name\":\"%65cho\"",
	/* case, forms of Unicode */
	"\"name\":\"Echo\"", "\"name\":\"ECHO\"", "\"name\":\"Progress\"", "\"name\":\"TEST_simple_text\"",
	"\"name\":\"\\uff45cho\"", "\"name\":\"e\\u0301cho\"", "\"name\":\"\\u00e9cho\"",
	"\"name\":\"e\\u200bcho\"", "\"name\":\"\\ufeffecho\"", "\"name\":\"\\ud835\\udc52cho\"",
	"\"name\":\"\\ud800echo\"", "\"name\":\"\357\275\205cho\"", "\"name\":\"echo\\u00a0\"",
	/* no text */
	"\"name\":\"\"", "\"name\":[\"echo\"]", "\"name\":{\"name\":\"progress\"}", "\"name\":null",
	"\"name\":7", "\"name\":true", "\"arguments\":{\"name\":\"progress\"}",
	"\"_name\":\"progress\"",
};
enum { ATTEMPTS = sizeof attempts / sizeof attempts[0] };

/* Nothing of it is told the server, whatever the header says. */
static void try_one(const struct place *place, const struct client *client, const char *id,
		    const char *method, const char *params)
{
	static const char *const names[] = { "echo", "progress", NULL, "test_simple_text" };
	uint64_t before = told(place);
	bool refused = true;

	for (size_t i = 0; i < (client->session[0] == '\0' ? 4 : 1); i++) {
		say(place, client, id, method, params, names[i]);
		refused &= id[0] == '\0' ? status() == 400 || status() == 202 : is_refused();
	}
	if (refused && told(place) == before)
		return;
	tap_note("%s %s: %.600s", method, params, text);
	FAILED("it is refused, and no server was told of it");
}

/* Each step-th of the attempts. */
static void try_all(const struct place *place, const char *line, const char *version, size_t step)
{
	struct client client;
	uint64_t calls;

	MUST(open_client(place, &client, line, version));
	calls = ran(place);
	for (size_t i = 0; i < ATTEMPTS; i += step)
		try_one(place, &client, "\"id\":5,", "tools/call", attempts[i]);
	try_one(place, &client, "\"id\":5,", "tools\\/call", "\"name\":\"echo\"");
	try_one(place, &client, "\"id\":5,", "tools/invoke", "\"name\":\"echo\"");
	try_one(place, &client, "\"id\":5,", "tools/", "\"name\":\"echo\"");
	try_one(place, &client, "", "tools/call", "\"name\":\"echo\"");
	try_one(place, &client, "", "tools/call", "\"name\":\"\\u0065cho\"");
	try_one(place, &client, "\"id\":5,", "tools/call ", "\"name\":\"echo\"");
	/* What is another method for the server, too, may reach it. */
	say(place, &client, "\"id\":5,", "Tools/Call", "\"name\":\"echo\"", NULL);
	CHECK(has("-32601"));
	CHECK(ran(place) == calls);
	CHECK(call_tool(place, &client, "progress") == 200 && has("\"result\":{") && !has("\"error\""));
	CHECK(WITHIN_MS(10000, ran(place) == calls + 1));
}

static const struct kind kinds[] = {
	{ .versions = "2025-11-25", .mcp = "path: /mcp" },
	{ .versions = "2026-07-28", .mcp = "era: modern" },
	{ .versions = "2025-06-18", .mcp = "isolation: tenant, sharing: multiplexed" },
	{ .versions = "2024-11-05", .mcp = "transport: sse, path: /sse" },
	{ .versions = "2025-11-25", .mcp = "sharing: bound", .child = true },
	{ .versions = "2026-07-28", .mcp = "era: modern", .child = true },
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static void test_calls(void)
{
	struct place place;

	for (size_t i = 0; i < KINDS && !tap_is_failing(); i++) {
		tap_note("%s, %s%s", kinds[i].versions, kinds[i].mcp, kinds[i].child ? ", a child" : "");
		MUST(begin(&place, &kinds[i]));
		try_all(&place, "POST /mcp", "2025-06-18", i < 2 ? 1 : 6);
		try_all(&place, "POST /mcp", NULL, i < 2 ? 1 : 6);
		end(&place, 2);
	}
}

/* Where no list says what is allowed, names that are none of the server's reach it, and run nothing. */
static void test_deny_alone(void)
{
	static const char *const near[] = { "Echo", "echo ", "echo\\u200b", "./echo", "echoo", "ech",
					    "\\uff45cho" };
	struct client client;
	struct place place;
	char params[128];

	MUST(begin(&place, &kinds[0]));
	MUST(open_client(&place, &client, "POST /deny", "2025-06-18"));
	for (size_t i = 0; i < 10; i++)
		try_one(&place, &client, "\"id\":5,", "tools/call", attempts[i == 1 || i == 2 ? 0 :
									     i == 6 || i == 7 ? 3 : i]);
	for (size_t i = 0; i < sizeof near / sizeof near[0]; i++) {
		snprintf(params, sizeof params, "\"name\":\"%s\"", near[i]);
		CHECK(say(&place, &client, "\"id\":5,", "tools/call", params, NULL) == 200);
		CHECK(has("-32602"));
	}
	CHECK(number(&place, MCP_N_tool_calls) == 0);
	CHECK(call_tool(&place, &client, "progress") == 200 && !has("\"error\""));
	end(&place, 1);
}

/* ---- headers that say another name */

static void test_header(void)
{
	static const struct {
		const char *name, *header;
	} rows[] = {
		{ "echo", "progress" }, { "progress", "echo" }, { "echo", "=?base64?cHJvZ3Jlc3M=?=" },
		{ "progress", "=?base64?ZWNobw==?=" }, { "echo", "Progress" }, { "echo", "progress, echo" },
		{ "progress", NULL }, { "echo", NULL }, { "echo", "progress\r\nMcp-Name: echo" },
	};
	struct client client;
	struct place place;
	char params[128];

	MUST(begin(&place, &kinds[1]));
	MUST(open_client(&place, &client, "POST /mcp", NULL));
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint64_t calls = ran(&place);

		snprintf(params, sizeof params, "\"name\":\"%s\"", rows[i].name);
		say(&place, &client, "\"id\":5,", "tools/call", params, rows[i].header);
		if (status() == 400 && ran(&place) == calls)
			continue;
		tap_note("%s, %s: %.300s", rows[i].name, rows[i].header, text);
		FAILED("it is refused");
	}
	CHECK(say(&place, &client, "\"id\":5,", "tools/call", "\"name\":\"progress\",\"arguments\":{"
		  "\"steps\":0}", "=?base64?cHJvZ3Jlc3M=?=") == 200 && has("\"result\""));
	CHECK(say(&place, &client, "\"id\":5,", "tools/call", "\"name\":\"echo\"",
		  "=?base64?ZWNobw==?=") == 200 && is_refused());
	CHECK(say(&place, &client, "\"id\":5,", "tools/call", "\"name\":\"echo\"",
		  "echo\r\nMcp-Name: progress") == 200 && is_refused());
	CHECK(ran(&place) == 1);
	end(&place, 1);
}

/* ---- arrays */

#define CALL_OF(id, name)                                                                     \
	"{\"jsonrpc\":\"2.0\"," id "\"method\":\"tools/call\",\"params\":{\"name\":\"" name "\"," \
	"\"arguments\":{\"steps\":0}}}"

static void test_arrays(void)
{
	struct client client;
	struct place place;

	MUST(begin(&place, &(struct kind){ .versions = "2025-03-26", .mcp = "sharing: bound" }));
	MUST(open_client(&place, &client, "POST /mcp", "2025-03-26"));
	CHECK(post(&place, client.session,
		  "[" CALL_OF("\"id\":1,", "progress") "," CALL_OF("\"id\":2,", "echo") ","
		  CALL_OF("", "echo") "," CALL_OF("\"id\":3,", "\\u0065cho") "," CALL_OF("\"id\":4,", "progress") "]") == 200);
	CHECK(has("[{\"jsonrpc\":\"2.0\",\"id\":1,\"result\""));
	CHECK(has("{\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{\"code\":-32602,\"message\":\"Unknown tool\"}}"));
	CHECK(has("{\"jsonrpc\":\"2.0\",\"id\":3,\"error\":{\"code\":-32602,\"message\":\"Unknown tool\"}}"));
	CHECK(has("{\"jsonrpc\":\"2.0\",\"id\":4,\"result\""));
	CHECK(ran(&place) == 2);
	CHECK(program_logged(&place.program, "\"tool_denied\":\"echo\",\"tools_denied\":3"));
	CHECK(post(&place, client.session, "[" CALL_OF("", "echo") "," CALL_OF("", "test_simple_text") "]") ==
	      400);
	CHECK(post(&place, client.session, "[" CALL_OF("\"id\":1,", "echo") "]") == 200 && has("-32602"));
	CHECK(post(&place, client.session,
		  "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}," CALL_OF("\"id\":2,", "echo") "]") == 200);
	CHECK(has("\"name\":\"progress\"") && !has("\"name\":\"echo\"") && has("-32602"));
	CHECK(ran(&place) == 2);
	end(&place, 2);
}

/* ---- lists */

/* The names of all pages, in order: " a b c". pages: how many there were. */
static bool gather(const struct place *place, const struct client *client, char names[4096], int *pages)
{
	char params[300] = "", cursor[200];
	char *to = names;

	for (*pages = 1; *pages < 100; (*pages)++) {
		if (say(place, client, "\"id\":5,", "tools/list", params, NULL) != 200)
			return FAILED("the tools are listed");
		for (const char *at = text; (at = strstr(at, "\"name\":\"")) != NULL; at++)
			if (strncmp(at + 8, "kolk-", 5) != 0) /* serverInfo */
				to += sprintf(to, " %.*s", (int)strcspn(at + 8, "\""), at + 8);
		if (!cut("\"nextCursor\":\"", "\"\r\n", cursor, sizeof cursor))
			return true;
		snprintf(params, sizeof params, "\"cursor\":\"%s\"", cursor);
	}
	return FAILED("the last page comes");
}

/* Those of all that are allowed by RULES, in their order. */
static void allowed_of(const char *all, char *names)
{
	char copy[4096], *rest = NULL;

	strcpy(copy, all);
	names[0] = '\0';
	for (char *name = strtok_r(copy, " ", &rest); name != NULL; name = strtok_r(NULL, " ", &rest))
		if ((strncmp(name, "test_", 5) == 0 && strcmp(name, "test_simple_text") != 0 &&
		     strstr(name, "_image") == NULL) || strcmp(name, "progress") == 0)
			sprintf(names + strlen(names), " %s", name);
}

static void list_all(const struct place *place, const char *version)
{
	char all[4096], wanted[4096], names[4096];
	struct client open, client;
	int pages, all_pages;

	MUST(open_client(place, &open, "POST /open", version));
	MUST(open_client(place, &client, "POST /mcp", version));
	MUST(gather(place, &open, all, &all_pages));
	CHECK(strstr(all, " echo") != NULL && strstr(all, " test_simple_text") != NULL);
	allowed_of(all, wanted);
	MUST(gather(place, &client, names, &pages));
	if (strcmp(names, wanted) != 0)
		tap_note("listed:%s\nwanted:%s", names, wanted);
	CHECK(strcmp(names, wanted) == 0 && pages == all_pages);
}

static void test_lists(void)
{
	struct place place;

	for (size_t i = 0; i < 2 * KINDS && !tap_is_failing(); i++) {
		struct kind kind = kinds[i / 2];

		kind.sse = i % 2 != 0 && !kind.child;
		kind.page = i % 2 == 0 ? 0 : 9;
		tap_note("%s, %s%s", kind.versions, kind.mcp, kind.child ? ", a child" : "");
		MUST(begin(&place, &kind));
		list_all(&place, "2025-06-18");
		list_all(&place, NULL);
		end(&place, 0);
	}
}

/* ---- tenants */

static bool may(const struct place *place, const char *who, const char *tool)
{
	struct client client;
	uint64_t calls = ran(place);
	char listed[64];
	bool may;

	user = who;
	may = open_client(place, &client, "POST /mcp", NULL) && call_tool(place, &client, tool) == 200 &&
	      !has("\"error\"");
	CHECK(may == (ran(place) == calls + 1) && (may || is_refused()));
	say(place, &client, "\"id\":5,", "tools/list", "", NULL);
	snprintf(listed, sizeof listed, "\"name\":\"%s\"", tool);
	CHECK(may == has(listed));
	CHECK(has("\"cacheScope\":\"private\""));
	user = "ann";
	return may;
}

static void test_tenants(void)
{
	struct place place;

	MUST(begin(&place, &kinds[1]));
	CHECK(may(&place, "ann", "progress") && may(&place, "ann", "test_error_handling"));
	CHECK(!may(&place, "bob", "progress") && may(&place, "bob", "test_error_handling"));
	CHECK(!may(&place, "eve", "progress") && !may(&place, "eve", "test_error_handling"));
	CHECK(may(&place, "max", "progress") && !may(&place, "max", "echo"));
	CHECK(!may(&place, "max", "test_simple_text") && may(&place, "bo", "progress"));
	CHECK(program_logged(&place.program, "\"tenant\":\"bob\"") &&
	      program_logged(&place.program, "\"tool_denied\":\"progress\",\"tools_denied\":1"));
	end(&place, 5);
}

/* ---- numbers */

static bool shows(const struct place *place, const char *path, const char *wanted)
{
	return program_admin_says(&place->program, place_admin(), path, wanted, text);
}

static void test_numbers(void)
{
	struct client client;
	struct place place;

	MUST(begin(&place, &kinds[0]));
	MUST(open_client(&place, &client, "POST /mcp", "2025-06-18"));
	CHECK(shows(&place, "/api/pool-status", "\"toolsDenied\":0,"));
	for (int i = 0; i < 7; i++)
		CHECK(call_tool(&place, &client, i % 2 == 0 ? "echo" : "no\\u0020such\\u0022tool") == 200);
	CHECK(call_tool(&place, &client, "progress") == 200);
	CHECK(shows(&place, "/api/pool-status", "\"toolsDenied\":7,"));
	CHECK(shows(&place, "/metrics", "\nkolk_gateway_tools_denied_total{pool=\"tools\"} 7\n"));
	CHECK(program_logged(&place.program, "\"tool_denied\":\"no such\\u0022tool\",\"tools_denied\":1"));
	end(&place, 1);
}

/* ---- a reload */

static bool configure(struct place *place, const struct kind *kind, const char *route)
{
	struct place_options o = options_of(kind);

	o.routes = NULL;
	o.route = route;
	return place_configure(place, &o) && program_reload(&place->program);
}

static void test_reload(void)
{
	struct client client;
	struct place place;

	MUST(begin(&place, &kinds[0]));
	MUST(open_client(&place, &client, "POST /mcp", "2025-06-18"));
	CHECK(call_tool(&place, &client, "echo") == 200 && is_refused());
	CHECK(configure(&place, &kinds[0], ", mcp: {tools_allow: [echo]}"));
	CHECK(call_tool(&place, &client, "echo") == 200 && has("\"result\""));
	CHECK(call_tool(&place, &client, "progress") == 200 && is_refused());
	CHECK(configure(&place, &kinds[0], ""));
	CHECK(call_tool(&place, &client, "progress") == 200 && has("\"result\""));
	CHECK(ran(&place) == 2);
	end(&place, 2);
}

#define ELICITED(more)                                                 \
	REQUEST("5", "tools/call", "\"name\":\"test_elicitation\"," more \
		ANONYMOUS("\"elicitation\":{}"))

/* A call that waits for its client, which may have its tool no more: it does not go on. */
static void test_suspended(void)
{
	static const char fields[] = MODERN_CALL_FIELDS("test_elicitation");
	char state[300], body[2048];
	struct place place;

	MUST(begin(&place, &kinds[0]));
	CHECK(post(&place, fields, ELICITED("")) == 200);
	MUST(cut("\"requestState\":\"", "\"\r\n", state, sizeof state));
	snprintf(body, sizeof body, ELICITED("\"inputResponses\":{\"1\":{\"action\":\"accept\",\"content\":{"
					     "\"response\":\"yes\"}}},\"requestState\":\"%s\","), state);
	CHECK(configure(&place, &kinds[0], ", mcp: {tools_deny: [test_elicitation]}"));
	CHECK(post(&place, fields, body) == 200 && is_refused());
	CHECK(number(&place, MCP_N_replies) == 0);
	CHECK(configure(&place, &kinds[0], ""));
	CHECK(post(&place, fields, body) == 200 && has("action=accept"));
	CHECK(number(&place, MCP_N_replies) == 1);
	end(&place, 1);
}

/* A call outlives its client, and the configuration that it began with: its rules are there still. */
static void test_outlived(void)
{
	const struct kind kind = { .versions = "2025-11-25", .mcp = "path: /mcp" };
	static const char list[] = "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"tools/list\"}";
	struct client client;
	struct place place;

	MUST(begin(&place, &kind));
	MUST(open_client(&place, &client, "POST /mcp", "2025-06-18"));
	for (int i = 0; i < 3; i++) {
		int fd;

		mcp_fixture_hold(place.a, true);
		fd = begin_request(&place, "POST /mcp", client.session, list);
		CHECK(WITHIN_MS(10000, number(&place, MCP_N_calls_now) == 1));
		close(fd);
		CHECK(configure(&place, &kind, i % 2 == 0 ? ", mcp: {tools_deny: [echo]}" :
							    ", mcp: {tools_deny: [progress]}"));
		mcp_fixture_hold(place.a, false);
		CHECK(WITHIN_MS(10000, number(&place, MCP_N_calls_now) == 0));
	}
	CHECK(post(&place, client.session, list) == 200 && has("progress") && !has("\"echo\""));
	end(&place, 0);
}

/* ---- a client at standard input and output */

static bool run_lines(const char *pool, const char *lines, char *said, size_t size)
{
	char directory[] = "/tmp/kolk-tools-XXXXXX", command[512], path[64];
	bool ok = mkdtemp(directory) != NULL;
	FILE *file;

	snprintf(path, sizeof path, "%s/gw.yaml", directory);
	file = fopen(path, "w");
	fprintf(file, "pools:\n  - {name: tools, protocol: mcp, limits: {idle_min: 0}, %s}\n"
		      "gateway:\n  routes:\n    - {match: {path: /mcp}, pool: tools, mcp: {" RULES "}}\n", pool);
	ok = ok && fclose(file) == 0;
	snprintf(path, sizeof path, "%s/in", directory);
	file = fopen(path, "w");
	fputs(lines, file);
	ok = ok && fclose(file) == 0;
	snprintf(command, sizeof command,
		 "cd %s && " GATEWAY_PROGRAM " --stdio /mcp gw.yaml <in >out 2>err; cat out err; rm -r %s",
		 directory, directory);
	file = popen(command, "r");
	said[fread(said, 1, size - 1, file)] = '\0';
	return pclose(file) == 0 && ok;
}

#define LINE(id, method, params) \
	"{\"jsonrpc\":\"2.0\"," id "\"method\":\"" method "\",\"params\":{" params "}}\n"
static void test_stdio(void)
{
	static const char session[] =
		LINE("\"id\":1,", "initialize", "\"protocolVersion\":\"2025-11-25\",\"capabilities\":{},"
		     "\"clientInfo\":{" CLIENT_INFO "}")
		LINE("\"id\":2,", "tools/list", "")
		LINE("\"id\":3,", "tools/call", "\"name\":\"\\u0065cho\"")
		LINE("", "tools/call", "\"name\":\"echo\"")
		LINE("\"id\":4,", "tools/call", "\"name\":\"progress\",\"arguments\":{\"steps\":0}");
	static const char alone[] =
		LINE("\"id\":2,", "tools/list", ANONYMOUS(""))
		LINE("\"id\":3,", "tools/call", "\"name\":\"echo\"," ANONYMOUS(""))
		LINE("", "tools/call", "\"name\":\"echo\"," ANONYMOUS(""))
		LINE("\"id\":4,", "tools/call", "\"name\":\"progress\",\"arguments\":{\"steps\":0}," ANONYMOUS(""));

	for (int i = 0; i < 4; i++) {
		struct mcp_options o = { .listen = "127.0.0.1:0",
					 .versions = i < 2 ? "2025-11-25" : "2026-07-28" };
		struct mcp_fixture *server = mcp_fixture_open(&o);
		char pool[256];

		MUST(server != NULL);
		snprintf(pool, sizeof pool, "address: \"%s\", mcp: {era: %s}", mcp_fixture_address(server),
			 i < 2 ? "legacy" : "modern");
		CHECK(run_lines(pool, i % 2 == 0 ? session : alone, text, sizeof text));
		CHECK(has("\"name\":\"progress\"") && !has("\"name\":\"echo\""));
		CHECK(has("\"id\":3,\"error\":{\"code\":-32602,\"message\":\"Unknown tool\"}"));
		CHECK(has("\"id\":4,\"result\""));
		CHECK(has("pool tools: the tool 'echo' is denied"));
		CHECK(mcp_fixture_number(server, MCP_N_tool_calls) == 1);
		if (tap_is_failing())
			tap_note("%d: %.3000s", i, text);
		mcp_fixture_close(server);
	}
}

static const struct tap_test tests[] = {
	{ "no call of a denied tool reaches a server", test_calls },
	{ "names that are near to a denied one run nothing", test_deny_alone },
	{ "a header that names another tool", test_header },
	{ "denied tools in arrays", test_arrays },
	{ "lists are told without denied tools, page by page", test_lists },
	{ "tools that one tenant may not have", test_tenants },
	{ "denied tools are counted", test_numbers },
	{ "other rules after a reload", test_reload },
	{ "a suspended call of a tool that was denied since", test_suspended },
	{ "rules outlive their configuration", test_outlived },
	{ "denied tools by lines", test_stdio },
};

TAP_TESTS(mcp_tools, tests);
