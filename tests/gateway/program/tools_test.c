/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tools_test.c - pooled tools, called: against PostgreSQL, Redis, an HTTP server of the test, programs.
 * What an argument says is data wherever it goes: the table of attempts below comes back byte by byte.
 */
#include <dirent.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/gateway/program/program.h"
#include "tests/kit/peers.h"

static char text[PROGRAM_TEXT];

/* ---- a gateway with tools, and clients of it */

struct place {
	struct program program;
	char session[256];
};

/* What is under way at the server: its requests, counted; the last head. */
struct origin {
	struct kit_mock *mock;
	kolk__atomic_u32 requests;
};

/* Answers with its request, as JSON: the target has no quotes. With the number of its connection where
 * it asks for that. */
static void play(struct kit_mock_conn *conn, void *user)
{
	struct origin *origin = user;
	char head[8192], body[8192], answer[20000], line[4096];

	while (kit_mock_read_until(conn, "\r\n\r\n", head, sizeof head, 20000)) {
		const char *length = strstr(head, "content-length: ");
		size_t size = length != NULL ? strtoul(length + 16, NULL, 10) : 0;

		kolk__add_acq_rel(&origin->requests, 1);
		if (size >= sizeof body || !kit_mock_read(conn, body, size, 10000))
			return;
		body[size] = '\0';
		snprintf(line, sizeof line, "%.*s", (int)strcspn(head, "\r"), head);
		if (strstr(line, "/missing") != NULL) {
			kit_mock_say(conn, "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone");
			continue;
		}
		if (strstr(line, "/number") != NULL) {
			snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
				 "%05u", kit_mock_number(conn));
			kit_mock_say(conn, answer);
			continue;
		}
		if (strstr(line, "/silent") != NULL) {
			kit_mock_drain(conn, 20000);
			return;
		}
		snprintf(answer, sizeof answer, "{\"line\":\"%s\",\"header\":%s,\"body\":%s}", line,
			 strstr(head, "x-own: yes") != NULL ? "true" : "false",
			 size > 0 ? body : "null");
		snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
			 strlen(answer));
		if (!kit_mock_say(conn, head) || !kit_mock_say(conn, answer))
			return;
	}
}

static int begin_request(const struct place *place, const char *fields, const char *body)
{
	int fd = program_connect(&place->program);
	char head[1024];

	snprintf(head, sizeof head,
		 "POST /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
		 "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
		 "%sContent-Length: %zu\r\n\r\n", fields, strlen(body));
	if (fd >= 0 && (!client_send(fd, head) || !client_send(fd, body)))
		FAILED("a request is sent");
	return fd;
}

/* The JSON of an answer, to be freed; NULL and a failed check if there is none. */
static json_t *ask(const struct place *place, const char *fields, const char *body)
{
	int fd = begin_request(place, fields, body);
	const char *json;
	json_t *value = NULL;

	client_read(fd, NULL, text);
	close(fd);
	json = strstr(text, "\r\n\r\n");
	if (json != NULL)
		value = json_loads(json + 4, JSON_ALLOW_NUL, NULL);
	if (value == NULL)
		tap_note("%s: %s", body, text);
	tap_check(value != NULL, "the answer is JSON", __FILE__, __LINE__);
	return value;
}

#define INITIALIZE                                                                                 \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":" \
	"\"2025-11-25\",\"capabilities\":{},\"clientInfo\":{\"name\":\"t\",\"version\":\"1\"}}}"
#define META                                                                                  \
	"\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","              \
	"\"io.modelcontextprotocol/clientCapabilities\":{},\"io.modelcontextprotocol/clientInfo\":" \
	"{\"name\":\"t\",\"version\":\"1\"}}"

/* Pools, names of tools, tools: lines of the file. */
static bool begin(struct place *place, const char *pools, const char *names, const char *tools)
{
	char routes[16384], *at;

	snprintf(routes, sizeof routes,
		 "    - {match: {path: /mcp}, tenant: none, tools: [%s]}\ntools:\n%s", names, tools);
	if (!program_start_with(&place->program, &(struct program_file){
			.pools = pools, .routes = routes, .gateway = "  drain_timeout: 2s\n" }))
		return false;
	json_decref(ask(place, "", INITIALIZE));
	at = strstr(text, "mcp-session-id: ");
	if (at == NULL || sscanf(at, "%200[^\r]", place->session) != 1)
		return FAILED("there is a session");
	strcat(place->session, "\r\n");
	return true;
}

static void end(struct place *place)
{
	CHECK(program_stop(&place->program, 15000));
}

/* A call in the session; arguments are taken over. */
static json_t *call(const struct place *place, const char *tool, json_t *arguments)
{
	json_t *message = json_pack("{s:s, s:i, s:s, s:{s:s, s:o}}", "jsonrpc", "2.0", "id", 7, "method",
				    "tools/call", "params", "name", tool, "arguments", arguments);
	char *body = json_dumps(message, JSON_COMPACT);
	json_t *answer = ask(place, place->session, body);

	free(body);
	json_decref(message);
	return answer;
}

static json_t *structured(json_t *answer)
{
	return json_object_get(json_object_get(answer, "result"), "structuredContent");
}

/* Whether a call with these arguments, as JSON, comes to this: structuredContent, or a text. */
static bool comes_to(const struct place *place, const char *tool, const char *arguments,
		     const char *wanted, bool failed)
{
	json_t *answer = call(place, tool, json_loads(arguments, 0, NULL));
	json_t *result = json_object_get(answer, "result"), *expected = json_loads(wanted, 0, NULL);
	json_t *said = json_object_get(json_array_get(json_object_get(result, "content"), 0), "text");
	bool good = json_is_true(json_object_get(result, "isError")) == failed;

	if (expected != NULL) { /* the text says the same */
		json_t *same = json_loads(json_string_value(said) != NULL ? json_string_value(said) : "",
					  0, NULL);

		good &= json_equal(structured(answer), expected) && json_equal(same, expected);
		json_decref(same);
	} else {
		good &= structured(answer) == NULL && json_string_value(said) != NULL &&
			strstr(json_string_value(said), wanted) != NULL;
	}
	if (!good)
		tap_note("%s %s: %s", tool, arguments, strstr(text, "\r\n\r\n"));
	json_decref(expected);
	json_decref(answer);
	return good;
}

/* ---- programs, and what every kind has */

static const char program_tools[] =
	"- name: say\n  title: Say it\n  parameters: [{name: what, required: true}, {name: more}]\n"
	"  command: [/usr/bin/printf, '<%s>', '{{what}}', 'm={{more}}']\n"
	"- {name: json, command: [/usr/bin/printf, '{\"a\": [1]}']}\n"
	"- {name: deep, command: [/bin/sh, -c, 'printf %0100d 0 | tr 0 [; printf %0100d 0 | tr 0 ]']}\n"
	"- {name: env, command: [/usr/bin/env], environment: [A=b c], inherit: [KOLK_TEST_INHERITED]}\n"
	"- {name: where, command: [/bin/pwd], directory: /usr}\n"
	"- {name: fails, command: [/bin/sh, -c, 'echo out; echo err >&2; exit 3']}\n"
	"- {name: killed, command: [/bin/sh, -c, 'kill -9 $$$$']}\n"
	"- {name: absent, command: [/nonexistent/program]}\n"
	"- {name: much, command: [/usr/bin/head, -c, '5000', /dev/zero], bytes_max: 1KiB}\n"
	"- {name: endless, command: [/usr/bin/yes], bytes_max: 1KiB}\n"
	"- {name: slow, command: [/bin/sleep, '1000'], timeout: 100ms}\n"
	"- {name: noisy, command: [/bin/sh, -c, 'for i in 1 2 3 4 5 6 7 8; do yes >&2 & done; wait'],\n"
	"   timeout: 100ms}\n"
	"- {name: long, command: [/bin/sleep, '1000'], timeout: 600s, calls_max: 1}\n"
	"- {name: largest, bytes_max: 4MiB, command: [/bin/sh, -c,\n"
	"   'printf \"[\\042\"; head -c 4000000 /dev/zero | tr \"\\000\" \"\\177\"; printf \"\\042]\"']}\n"
	"- {name: leaves, command: [/bin/sh, -c, 'sleep 1000 & echo left']}\n"
	"- name: success\n  parameters: [{name: n, type: integer, required: true}]\n"
	"  command: [/bin/sh, -c, 'exit \"$$1\"', sh, '{{n}}']\n  result: success\n";
#define PROGRAM_NAMES                                                                            \
	"say, json, deep, env, where, fails, killed, absent, much, endless, slow, noisy, long, " \
	"largest, leaves, success"

static void test_list(void)
{
	struct place place;
	json_t *answer, *tools, *modern;

	MUST(begin(&place, "  []\n", "say, json", program_tools));
	answer = ask(&place, place.session, "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\"}");
	tools = json_object_get(json_object_get(answer, "result"), "tools");
	CHECK(json_array_size(tools) == 2); /* those of the route alone */
	CHECK(strcmp(json_string_value(json_object_get(json_array_get(tools, 0), "title")), "Say it") == 0);
	CHECK(json_object_get(json_object_get(json_array_get(tools, 0), "inputSchema"), "required") !=
	      NULL);
	modern = ask(&place, "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/list\r\n",
		     "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"tools/list\",\"params\":{" META "}}");
	CHECK(json_equal(json_object_get(json_object_get(modern, "result"), "tools"), tools));
	json_decref(answer);
	json_decref(modern);
	modern = ask(&place, "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n"
			     "Mcp-Name: say\r\n",
		     "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"tools/call\",\"params\":{\"name\":\"say\","
		     "\"arguments\":{\"what\":\"x\"}," META "}}");
	CHECK(json_is_string(json_object_get(structured(modern), "output")));
	json_decref(modern);
	answer = call(&place, "env", json_object());
	CHECK(json_integer_value(json_object_get(json_object_get(answer, "error"), "code")) == -32602);
	json_decref(answer);
	answer = ask(&place, place.session, "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"prompts/list\"}");
	CHECK(json_integer_value(json_object_get(json_object_get(answer, "error"), "code")) == -32601);
	json_decref(answer);
	end(&place);
}

static void check_programs(const struct place *place)
{
	char deep[200], wanted[300];

	CHECK(comes_to(place, "say", "{\"what\":\"a b\",\"more\":\"\"}",
		       "{\"exit_status\":0,\"output\":\"<a b><m=>\"}", false));
	CHECK(comes_to(place, "say", "{\"what\":\"a b\"}", "{\"exit_status\":0,\"output\":\"<a b>\"}",
		       false));
	CHECK(comes_to(place, "say", "{}", "argument 'what' is missing", true));
	CHECK(comes_to(place, "say", "{\"what\":3}", "argument 'what' is no string", true));
	CHECK(comes_to(place, "say", "{\"what\":\"-n\"}", "begins with '-'", true));
	CHECK(comes_to(place, "json", "{}", "{\"exit_status\":0,\"output\":{\"a\":[1]}}", false));
	memset(deep, '[', 100); /* more than may stand in a message as it is */
	memset(deep + 100, ']', 100);
	snprintf(wanted, sizeof wanted, "{\"exit_status\":0,\"output\":\"%.200s\"}", deep);
	CHECK(comes_to(place, "deep", "{}", wanted, false));
	CHECK(comes_to(place, "env", "{}",
		       "{\"exit_status\":0,\"output\":\"A=b c\\nKOLK_TEST_INHERITED=i\\n\"}", false));
	CHECK(comes_to(place, "where", "{}", "{\"exit_status\":0,\"output\":\"/usr\\n\"}", false));
	CHECK(comes_to(place, "fails", "{}",
		       "{\"exit_status\":3,\"output\":\"out\\n\",\"error_output\":\"err\\n\"}", true));
	CHECK(comes_to(place, "killed", "{}",
		       "{\"exit_status\":null,\"output\":\"\",\"error_output\":\"\"}", true));
	CHECK(comes_to(place, "absent", "{}", "the program cannot be run: No such file", true));
	CHECK(comes_to(place, "much", "{}", "longer than the tool's bytes_max", true));
	CHECK(comes_to(place, "endless", "{}", "longer than the tool's bytes_max", true));
	CHECK(comes_to(place, "slow", "{}", "the tool's timeout has passed", true));
	CHECK(comes_to(place, "noisy", "{}", "the tool's timeout has passed", true));
	CHECK(comes_to(place, "leaves", "{}", "{\"exit_status\":0,\"output\":\"left\\n\"}", false));
	CHECK(comes_to(place, "success", "{\"n\":0}",
		       "{\"success\":true,\"data\":{\"exit_status\":0,\"output\":\"\"}}", false));
	CHECK(comes_to(place, "success", "{\"n\":4}",
		       "{\"success\":false,\"error\":\"the program ended with status 4\",\"data\":"
		       "{\"exit_status\":4,\"output\":\"\",\"error_output\":\"\"}}", true));
	CHECK(comes_to(place, "success", "{\"n\":\"x\"}",
		       "{\"success\":false,\"error\":\"argument 'n' is no integer of 64 bits\"}", true));
}

static void test_programs(void)
{
	struct place place;

	setenv("KOLK_TEST_INHERITED", "i", 1);
	MUST(begin(&place, "  []\n", PROGRAM_NAMES, program_tools));
	check_programs(&place);
	end(&place);
	unsetenv("KOLK_TEST_INHERITED");
}

/* Processes of that name whose parent is the gateway. */
static uint32_t children_of(const struct place *place, const char *name)
{
	DIR *all = opendir("/proc");
	uint32_t count = 0;

	for (struct dirent *entry; all != NULL && (entry = readdir(all)) != NULL;) {
		char path[300], comm[32];
		int parent = 0;
		FILE *file;

		snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
		file = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? fopen(path, "r") : NULL;
		if (file == NULL)
			continue;
		if (fscanf(file, "%*d (%31[^)]) %*c %d", comm, &parent) == 2)
			count += parent == place->program.pid && strcmp(comm, name) == 0;
		fclose(file);
	}
	if (all != NULL)
		closedir(all);
	return count;
}

#define LONG(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"tools/call\",\"params\":{\"name\":\"long\"}}"

/* The bytes of an answer. */
static size_t size_of_answer(int fd)
{
	struct timeval most = { .tv_sec = 30 };
	size_t size = 0;
	ssize_t got;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
	while ((got = read(fd, text, sizeof text)) > 0)
		size += (size_t)got;
	return got == 0 ? size : 0;
}

/* The longest result that there can be: each byte of it is an escape of six in the text. Another call is
 * under way in the session meanwhile. */
static void test_largest(void)
{
	struct place place;
	int other, fd;

	MUST(begin(&place, "  []\n", PROGRAM_NAMES, program_tools));
	other = begin_request(&place, place.session, LONG("31"));
	CHECK(WITHIN_MS(10000, children_of(&place, "sleep") == 1));
	fd = begin_request(&place, place.session,
			   "{\"jsonrpc\":\"2.0\",\"id\":32,\"method\":\"tools/call\",\"params\":{"
			   "\"name\":\"largest\"}}");
	CHECK(size_of_answer(fd) > 7 * 4000000);
	close(fd);
	close(other);
	end(&place);
}

/* A client that cancels, one that goes, and the end of the program: no child is left. */
static void test_cancel(void)
{
	struct place place;
	char unused[PROGRAM_TEXT];
	int first, second;

	MUST(begin(&place, "  []\n", PROGRAM_NAMES, program_tools));
	first = begin_request(&place, place.session, LONG("21"));
	CHECK(WITHIN_MS(10000, children_of(&place, "sleep") == 1));
	second = begin_request(&place, "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n"
				       "Mcp-Name: long\r\n",
			       "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"tools/call\",\"params\":{"
			       "\"name\":\"long\"," META "}}");
	/* It waits for the first one, and others do not. */
	CHECK(comes_to(&place, "json", "{}", "{\"exit_status\":0,\"output\":{\"a\":[1]}}", false));
	CHECK(children_of(&place, "sleep") == 1);
	close(begin_request(&place, place.session,
			    "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{"
			    "\"requestId\":21}}"));
	client_read(first, NULL, unused);
	close(first);
	CHECK(WITHIN_MS(10000, children_of(&place, "sleep") == 1)); /* the second one's */
	close(second);
	CHECK(WITHIN_MS(10000, children_of(&place, "sleep") == 0));
	first = begin_request(&place, place.session, LONG("22"));
	CHECK(WITHIN_MS(10000, children_of(&place, "sleep") == 1));
	end(&place);
	close(first);
}

/* ---- HTTP */

static const char http_tools[] =
	"- name: get\n  pool: web\n  parameters: [{name: id, required: true}, {name: q}, "
	"{name: n, type: integer, default: 3}]\n"
	"  http: {path: '/users/{{id}}/x', query: ['q={{q}}', 'n={{n}}'], headers: ['X-Own: yes']}\n"
	"- name: post\n  pool: web\n  parameters: [{name: a}, {name: b, type: boolean}]\n"
	"  http: {path: /post, method: POST, body: '{\"a\": {{a}}, \"b\": [{{b}}], \"c\": \"<{{a}}>\"}'}\n"
	"- {name: remove, pool: web, parameters: [{name: id, required: true}],\n"
	"   http: {path: '/users/{{id}}', method: DELETE}}\n"
	"- {name: inside, pool: web, parameters: [{name: id, required: true}],\n"
	"   http: {path: '/users/{{id}}/'}}\n"
	"- {name: missing, pool: web, http: {path: /missing}}\n"
	"- {name: silent, pool: web, http: {path: /silent}, timeout: 100ms}\n"
	"- {name: large, pool: web, http: {path: '/x'}, bytes_max: 1KiB,\n"
	"   parameters: [{name: q, required: true}]}\n"
	"- {name: dead, pool: dead, http: {path: /}}\n";

static bool open_origin(struct origin *origin, char pools[300])
{
	origin->mock = kit_mock_open(&(struct kit_mock_options){ .play = play, .user = origin });
	if (origin->mock == NULL)
		return FAILED("there is a server");
	snprintf(pools, 300, "  - {name: web, protocol: http, address: \"%s\"}\n"
			     "  - {name: dead, protocol: http, address: \"127.0.0.1:1\"}\n",
		 kit_mock_address(origin->mock));
	return true;
}

static void test_http(void)
{
	struct origin origin = { .mock = NULL };
	struct place place;
	char pools[300];

	MUST(open_origin(&origin, pools));
	MUST(begin(&place, pools, "get, post, remove, inside, missing, silent, dead", http_tools));
	CHECK(comes_to(&place, "get", "{\"id\":\"a/ \"}", "an argument of the path is", true));
	CHECK(comes_to(&place, "get", "{\"id\":\"..\"}", "an argument of the path is", true));
	CHECK(comes_to(&place, "get", "{\"id\":\"\"}", "an argument of the path is", true));
	/* Without its last segment a path is that of the whole collection. */
	CHECK(comes_to(&place, "remove", "{\"id\":\"\"}", "an argument of the path is", true));
	CHECK(comes_to(&place, "remove", "{\"id\":\";a\"}", "an argument of the path is", true));
	CHECK(comes_to(&place, "remove", "{\"id\":\"7\"}",
		       "{\"status\":200,\"body\":{\"line\":\"DELETE /users/7 HTTP/1.1\",\"header\":false,"
		       "\"body\":null}}", false));
	CHECK(comes_to(&place, "inside", "{\"id\":\"7\"}",
		       "{\"status\":200,\"body\":{\"line\":\"GET /users/7/ HTTP/1.1\",\"header\":false,"
		       "\"body\":null}}", false));
	CHECK(comes_to(&place, "get", "{\"id\":\"a b\",\"q\":\"x&y=\\r\\n\"}",
		       "{\"status\":200,\"body\":{\"line\":\"GET /users/a%20b/x?q=x%26y%3D%0D%0A&n=3 "
		       "HTTP/1.1\",\"header\":true,\"body\":null}}", false));
	CHECK(comes_to(&place, "post", "{\"a\":\"x\\\"y\",\"b\":true}",
		       "{\"status\":200,\"body\":{\"line\":\"POST /post HTTP/1.1\",\"header\":false,"
		       "\"body\":{\"a\":\"x\\\"y\",\"b\":[true],\"c\":\"<x\\\"y>\"}}}", false));
	CHECK(comes_to(&place, "post", "{}",
		       "{\"status\":200,\"body\":{\"line\":\"POST /post HTTP/1.1\",\"header\":false,"
		       "\"body\":{\"a\":null,\"b\":[null],\"c\":\"<>\"}}}", false));
	CHECK(comes_to(&place, "missing", "{}", "{\"status\":404,\"body\":\"none\"}", true));
	CHECK(comes_to(&place, "silent", "{}", "the tool's timeout has passed", true));
	CHECK(comes_to(&place, "dead", "{}", "nobody listens at the address", true));
	CHECK(kolk__load_acquire(&origin.requests) == 7);
	end(&place);
	kit_mock_close(origin.mock);
}

/* The number of the connection that a call of this tenant went over. */
static int number_of(const struct place *place, const char *tenant)
{
	char fields[200];
	json_t *answer;
	int number;

	snprintf(fields, sizeof fields, "X-Tenant: %s\r\nMCP-Protocol-Version: 2026-07-28\r\n"
					"Mcp-Method: tools/call\r\nMcp-Name: number\r\n", tenant);
	answer = ask(place, fields, "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"tools/call\",\"params\":{"
				    "\"name\":\"number\"," META "}}");
	number = atoi(json_string_value(json_object_get(structured(answer), "body")) != NULL ?
		      json_string_value(json_object_get(structured(answer), "body")) : "-1");
	json_decref(answer);
	return number;
}

/* A tenant's calls use its own connections: no other's go over them. */
static void test_tenants(void)
{
	struct origin origin = { .mock = NULL };
	struct place place = { .session = "" };
	char pools[300];
	int owner[64];

	MUST(open_origin(&origin, pools));
	MUST(program_start_with(&place.program, &(struct program_file){ .pools = pools,
		.gateway = "  tenants: {from: header, header: x-tenant}\n"
			   "  trusted_proxies: [127.0.0.1]\n",
		.routes = "    - {match: {path: /mcp}, tools: [number]}\n"
			  "tools: [{name: number, pool: web, http: {path: /number}}]\n" }));
	memset(owner, 0, sizeof owner);
	for (int i = 0; i < 24; i++) {
		int tenant = 1 + i % 3, number;
		char name[8];

		snprintf(name, sizeof name, "t%d", tenant);
		number = number_of(&place, name);
		MUST(number >= 0 && number < 64);
		CHECK(owner[number] == 0 || owner[number] == tenant);
		owner[number] = tenant;
	}
	end(&place);
	kit_mock_close(origin.mock);
}

/* ---- attempts */

struct attempt {
	const char *bytes;
	size_t size;
};
#define A(text) { text, sizeof(text) - 1 }
static const struct attempt attempts[] = {
	/* SQL */
	A("'"), A("''"), A("\""), A("\\'"), A("' or '1'='1"), A("' or 1=1 --"), A("'; drop table canary; --"),
	A("1; drop table canary"), A("1); delete from canary; --"), A("' union select secret from canary --"),
	A("$$"), A("$1"), A("$$; drop table canary; $$"), A("/*"), A("*/"), A("/* */ drop table canary"),
	A("--"), A("-- x"), A("#"), A("E'\\''"), A("\\"), A("\\\\"), A("\\x27"), A("%27"), A("{{text}}"),
	A("{{x}}"), A("}}{{"), A(":text"), A("@@version"), A("';select pg_sleep(60);--"),
	A("\xef\xbc\x87 or 1=1"), A("\xca\xbc or 1=1"), A("'||(select secret from canary)||'"),
	A("copy canary to program 'true'"), A("null"), A("NULL"), A("default"), A("NaN"), A("true"), A("0"),
	/* RESP */
	A("\r\n"), A("\n"), A("\r"), A("\r\nFLUSHALL\r\n"), A("*1\r\n$8\r\nFLUSHALL\r\n"),
	A("x\r\n*1\r\n$8\r\nFLUSHALL\r\n"), A("$-1\r\n"), A("*-1\r\n"), A("+OK\r\n"), A("-ERR\r\n"),
	A(":1\r\n"), A("$3\r\nabc\r\n"), A("\n\nFLUSHALL\n\n"), A("EVAL \"redis.call('flushall')\" 0"),
	A("*"), A("?"), A("[a-z]*"), A("canary\r\nDEL canary"), A("key with blanks"), A("\t"),
	/* HTTP */
	A("\r\nX-Injected: yes"), A("x HTTP/1.1\r\nHost: evil\r\n\r\n"), A("\r\n\r\nGET /missing HTTP/1.1\r\n\r\n"),
	A("%0d%0aX-Injected:%20yes"), A("%00"), A("%2e%2e%2f"), A("../"), A("../../../etc/passwd"),
	A("..\\..\\"), A("..;/"), A("/"), A("//evil.test/"), A("http://evil.test/"), A("?a=b"), A("&a=b"),
	A("#fragment"), A("a=b&c=d"), A(";a=b"), A("%"), A("%zz"), A("%u0027"), A("+"), A(" "), A("  x  "),
	A("a b"), A("\xc3\xa9"), A("\xe2\x80\xae"), A("\xf0\x9f\x98\x80"),
	/* JSON */
	A("\",\"admin\":true,\"x\":\""), A("\"}"), A("{\"a\":1}"), A("[1,2]"), A("\\u0022"), A("\\\""),
	A("</script>"), A("\x01\x02\x1f"), A("\x7f"), A("__proto__"), A("constructor"),
	/* shells and programs */
	A("; id"), A("| id"), A("|| id"), A("& id"), A("&& id"), A("`id`"), A("$(id)"), A("${IFS}"),
	A("$PATH"), A("> /tmp/kolk-injected"), A("< /etc/passwd"), A("\n/bin/id\n"), A("* "), A("~"),
	A("~root"), A("!!"), A("%s%s%n"), A("%d"), A("-"), A("--help"), A("-x"), A("--version"), A("-rf /"),
	A("-e"), A("--=x"), A("'$(id)'"), A("\"$(id)\""), A("{a,b}"), A("@/etc/passwd"),
	A("file:///etc/passwd"), A("\\n"), A("\\0"), A("x\0y"), A("\0"), A("'\0; drop table canary"),
	A("\0FLUSHALL")
};
enum { ATTEMPTS = sizeof attempts / sizeof attempts[0] };

/* Beside them each one behind a letter, and in front of one. */
enum { FORMS = 3 };

static json_t *attempt_of(uint32_t i, char bytes[200], size_t *size)
{
	const struct attempt *a = &attempts[i / FORMS];

	*size = 0;
	if (i % FORMS == 1)
		bytes[(*size)++] = 'x';
	memcpy(bytes + *size, a->bytes, a->size);
	*size += a->size;
	if (i % FORMS == 2)
		bytes[(*size)++] = 'x';
	return json_stringn_nocheck(bytes, *size);
}

static bool is_same(json_t *value, const char *bytes, size_t size)
{
	return json_is_string(value) && json_string_length(value) == size &&
	       memcmp(json_string_value(value), bytes, size) == 0;
}

static void note_attempt(const char *tool, json_t *value)
{
	char *said = json_dumps(value, JSON_ENCODE_ANY);

	tap_note("%s %s: %s", tool, said, strstr(text, "\r\n\r\n"));
	free(said);
}

/* All come back as they were from a tool whose result has a text at that place; those with a NUL only
 * where the protocol has a place for one. */
static void attempts_come_back(const struct place *place, const char *tool,
			       json_t *(*text_of)(json_t *structured), bool nul)
{
	uint32_t wrong = 0;

	for (uint32_t i = 0; i < ATTEMPTS * FORMS && wrong < 5; i++) {
		char bytes[200];
		size_t size;
		json_t *value = attempt_of(i, bytes, &size);
		json_t *answer = call(place, tool, json_pack("{s:O}", "text", value));
		bool refused = !nul && memchr(bytes, '\0', size) != NULL;
		json_t *result = json_object_get(answer, "result");

		if (refused ? !json_is_true(json_object_get(result, "isError")) :
			      !is_same(text_of(structured(answer)), bytes, size)) {
			wrong++;
			note_attempt(tool, value);
		}
		json_decref(answer);
		json_decref(value);
	}
	CHECK(wrong == 0);
}

static json_t *output_of(json_t *result)
{
	return json_object_get(result, "output");
}

static void test_program_attempts(void)
{
	struct place place;

	unlink("/tmp/kolk-injected");
	MUST(begin(&place, "  []\n", "echo, plain",
		   "- {name: echo, parameters: [{name: text, required: true}],\n"
		   "   command: [/usr/bin/printf, '--', '.%s', '{{text}}']}\n"
		   "- {name: plain, parameters: [{name: text, required: true}],\n"
		   "   command: [/usr/bin/printf, '%s', '{{text}}', 'a{{text}}']}\n"));
	for (uint32_t i = 0; i < ATTEMPTS * FORMS; i++) {
		char bytes[200], wanted[220];
		size_t size;
		json_t *value = attempt_of(i, bytes, &size);
		json_t *answer = call(&place, "echo", json_pack("{s:O}", "text", value));
		json_t *plain = call(&place, "plain", json_pack("{s:O}", "text", value));
		bool nul = memchr(bytes, '\0', size) != NULL;
		int length = snprintf(wanted, sizeof wanted, "%.*sa%.*s", (int)size, bytes, (int)size,
				      bytes);

		if (!nul && !is_same(output_of(structured(plain)), wanted, (size_t)length) &&
		    bytes[0] != '-')
			note_attempt("plain", value), FAILED("it comes back");
		if ((nul || bytes[0] == '-') &&
		    (structured(plain) != NULL ||
		     !json_is_true(json_object_get(json_object_get(plain, "result"), "isError"))))
			note_attempt("plain", value), FAILED("it is refused");
		snprintf(wanted, sizeof wanted, ".%.*s", (int)size, bytes);
		if (!nul && !is_same(output_of(structured(answer)), wanted, size + 1))
			note_attempt("echo", value), FAILED("it comes back");
		json_decref(plain);
		json_decref(answer);
		json_decref(value);
	}
	CHECK(access("/tmp/kolk-injected", F_OK) != 0);
	end(&place);
}

static void encode(const char *bytes, size_t size, char to[700])
{
	for (size_t i = 0; i < size; i++) {
		bool plain = strchr("-._~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
				    bytes[i]) != NULL && bytes[i] != '\0';

		to += sprintf(to, plain ? "%c" : "%%%02X", (unsigned char)bytes[i]);
	}
	*to = '\0';
}

/* In a query, in JSON and in a path; no request beside those that were asked for. */
static void test_http_attempts(void)
{
	struct origin origin = { .mock = NULL };
	struct place place;
	char pools[300];
	uint32_t asked = 0;

	MUST(open_origin(&origin, pools));
	MUST(begin(&place, pools, "query, body, path",
		   "- {name: query, pool: web, parameters: [{name: text, required: true}],\n"
		   "   http: {path: /q, query: ['t={{text}}', 'z=1']}}\n"
		   "- {name: body, pool: web, parameters: [{name: text, required: true}],\n"
		   "   http: {path: /b, method: POST, body: '{\"t\": {{text}}, \"u\": \"{{text}}\"}'}}\n"
		   "- {name: path, pool: web, parameters: [{name: text, required: true}],\n"
		   "   http: {path: '/p/{{text}}/z'}}\n"));
	for (uint32_t i = 0; i < ATTEMPTS * FORMS; i++) {
		char bytes[200], encoded[700], line[900];
		size_t size;
		json_t *value = attempt_of(i, bytes, &size), *one, *two, *three, *got;

		encode(bytes, size, encoded);
		snprintf(line, sizeof line, "GET /q?t=%s&z=1 HTTP/1.1", encoded);
		one = call(&place, "query", json_pack("{s:O}", "text", value));
		got = json_object_get(json_object_get(structured(one), "body"), "line");
		if (!is_same(got, line, strlen(line)))
			note_attempt("query", value), FAILED("it comes back");
		asked++;
		/* The server of the test writes C strings: JSON has no NUL as it is. */
		two = call(&place, "body", json_pack("{s:O}", "text", value));
		got = json_object_get(json_object_get(structured(two), "body"), "body");
		if (json_object_size(got) != 2 || !is_same(json_object_get(got, "t"), bytes, size) ||
		    !is_same(json_object_get(got, "u"), bytes, size))
			note_attempt("body", value), FAILED("it comes back");
		asked++;
		three = call(&place, "path", json_pack("{s:O}", "text", value));
		snprintf(line, sizeof line, "GET /p/%s/z HTTP/1.1", encoded);
		got = json_object_get(json_object_get(structured(three), "body"), "line");
		asked += got != NULL;
		if (got != NULL ? !is_same(got, line, strlen(line)) :
				  strpbrk(bytes, "/\\.;") == NULL && memchr(bytes, 0, size) == NULL)
			note_attempt("path", value), FAILED("it comes back, or is refused");
		if (got != NULL && (memchr(bytes, '/', size) != NULL || memchr(bytes, '\\', size) != NULL))
			note_attempt("path", value), FAILED("it is refused");
		json_decref(one);
		json_decref(two);
		json_decref(three);
		json_decref(value);
	}
	CHECK(kolk__load_acquire(&origin.requests) == asked);
	end(&place);
	kit_mock_close(origin.mock);
}

/* ---- Redis */

static json_t *value_of(json_t *result)
{
	return json_object_get(result, "value");
}

static const char redis_tools[] =
	"- {name: echo, pool: cache, parameters: [{name: text, required: true}], redis: [ECHO, '{{text}}']}\n"
	"- {name: key, pool: cache, parameters: [{name: text, required: true}],\n"
	"   redis: [SET, 'user:{{text}}', '{{text}}', GET]}\n"
	"- {name: script, pool: cache, redis: [EVAL, \"return {1, 'a', false, {2}}\", '0']}\n"
	"- {name: wrong, pool: cache, redis: [INCR, canary]}\n"
	"- {name: size, pool: cache, redis: [DBSIZE]}\n"
	"- {name: ones, pool: cache, parameters: [{name: n, type: integer, required: true}], bytes_max: 8KiB,\n"
	"   redis: [EVAL, 'local t = {} for i = 1, ARGV[1] do t[i] = 1 end return t', '0', '{{n}}']}\n"
	"- {name: text, pool: cache, parameters: [{name: n, type: integer, required: true}], bytes_max: 8KiB,\n"
	"   redis: [EVAL, \"return string.rep('x', ARGV[1])\", '0', '{{n}}']}\n"
	"- {name: put, pool: cache, redis: [SET, canary, alive]}\n"
	"- {name: canary, pool: cache, redis: [GET, canary], result: success}\n"
	"- {name: block, pool: cache, redis: [BLPOP, none, '0'], timeout: 100ms}\n"
	"- name: cases\n  pool: cache\n  case_of: do\n  parameters:\n"
	"  - {name: do, type: enum, values: [get, set], required: true}\n"
	"  - {name: k, required: true}\n  - {name: v}\n"
	"  cases:\n  - {value: get, redis: [GET, 'c:{{k}}']}\n"
	"  - {value: set, redis: [SET, 'c:{{k}}', '{{v}}']}\n";

/* As much as bytes_max, and more. */
static void check_long_replies(const struct place *place)
{
	char wanted[9000] = "{\"value\":[1";
	size_t size = strlen(wanted);

	for (int i = 1; i < 4000; i++)
		size += (size_t)sprintf(wanted + size, ",1");
	strcpy(wanted + size, "]}");
	CHECK(comes_to(place, "ones", "{\"n\":4000}", wanted, false));
	CHECK(comes_to(place, "ones", "{\"n\":4100}", "longer than the tool's bytes_max", true));
	CHECK(comes_to(place, "ones", "{\"n\":1000000}", "longer than the tool's bytes_max", true));
	strcpy(wanted, "{\"value\":\"");
	memset(wanted + 10, 'x', 8000);
	strcpy(wanted + 8010, "\"}");
	CHECK(comes_to(place, "text", "{\"n\":8000}", wanted, false));
	CHECK(comes_to(place, "text", "{\"n\":8190}", "longer than the tool's bytes_max", true));
	CHECK(comes_to(place, "text", "{\"n\":9000000}", "longer than the tool's bytes_max", true));
}

static void check_redis(const struct place *place)
{
	check_long_replies(place);
	CHECK(comes_to(place, "script", "{}", "{\"value\":[1,\"a\",null,[2]]}", false));
	CHECK(comes_to(place, "wrong", "{}", "redis: ERR value is not an integer", true));
	CHECK(comes_to(place, "block", "{}", "the tool's timeout has passed", true));
	CHECK(comes_to(place, "cases", "{\"do\":\"get\",\"k\":\"a\"}", "{\"value\":null}", false));
	CHECK(comes_to(place, "cases", "{\"do\":\"set\",\"k\":\"a\",\"v\":\"b\"}", "{\"value\":\"OK\"}",
		       false));
	CHECK(comes_to(place, "cases", "{\"do\":\"get\",\"k\":\"a\"}", "{\"value\":\"b\"}", false));
	CHECK(comes_to(place, "cases", "{\"do\":\"set\",\"k\":\"a\"}", "redis: ERR wrong number", true));
	CHECK(comes_to(place, "cases", "{\"do\":\"del\",\"k\":\"a\"}", "none of the values", true));
	CHECK(comes_to(place, "canary", "{}", "{\"success\":true,\"data\":{\"value\":\"alive\"}}", false));
}

/* The key has 'user:' in front, the value is the attempt: each is a key of its own. */
static void keys_come_back(const struct place *place)
{
	for (uint32_t i = 0; i < ATTEMPTS * FORMS; i++) {
		char bytes[200];
		size_t size;
		json_t *value = attempt_of(i, bytes, &size);

		for (int again = 0; again < 2; again++) {
			json_t *answer = call(place, "key", json_pack("{s:O}", "text", value));

			if (again && !is_same(value_of(structured(answer)), bytes, size))
				note_attempt("key", value), FAILED("it comes back");
			json_decref(answer);
		}
		json_decref(value);
	}
}

static uint32_t distinct_attempts(void)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < ATTEMPTS * FORMS; i++) {
		char bytes[200], other[200];
		size_t size, other_size;
		bool seen = false;

		json_decref(attempt_of(i, bytes, &size));
		for (uint32_t j = 0; j < i && !seen; j++) {
			json_decref(attempt_of(j, other, &other_size));
			seen = size == other_size && memcmp(bytes, other, size) == 0;
		}
		count += !seen;
	}
	return count;
}

static void test_redis(void)
{
	struct kit_redis_options options = { .password = "secret" };
	struct kit_peer *redis = kit_redis_start(&options);
	struct place place;
	char pools[300], wanted[64];

	if (redis == NULL)
		return;
	snprintf(pools, sizeof pools,
		 "  - {name: cache, protocol: redis, address: \"%s\", redis: {password: secret}}\n",
		 redis->address);
	MUST(begin(&place, pools, "echo, key, script, wrong, size, ones, text, put, canary, block, cases",
		   redis_tools));
	CHECK(comes_to(&place, "put", "{}", "{\"value\":\"OK\"}", false));
	check_redis(&place);
	attempts_come_back(&place, "echo", value_of, true);
	keys_come_back(&place);
	snprintf(wanted, sizeof wanted, "{\"value\":%u}", distinct_attempts() + 2);
	CHECK(comes_to(&place, "size", "{}", wanted, false)); /* with canary and c:a */
	CHECK(comes_to(&place, "canary", "{}", "{\"success\":true,\"data\":{\"value\":\"alive\"}}", false));
	end(&place);
	kit_peer_close(redis);
}

/* ---- PostgreSQL */

static json_t *text_of_row(json_t *result)
{
	return json_object_get(json_array_get(json_object_get(result, "rows"), 0), "t");
}

static const char sql_tools[] =
	"- {name: echo, pool: db, parameters: [{name: text, required: true}],\n"
	"   sql: 'select {{text}}::text as t'}\n"
	"- {name: like, pool: db, parameters: [{name: text, required: true}],\n"
	"   sql: \"select 'it''s {' || {{text}} || '}' as t from canary where {{text}} is not null\"}\n"
	"- name: of\n  pool: db\n  parameters: [{name: id, type: integer, required: true},\n"
	"    {name: note}, {name: big, type: boolean, default: false}]\n"
	"  sql: 'select id, price, note, made, good, data, n, f, bytes from shop where id = {{id}} and\n"
	"    ({{note}}::text is null or note = {{note}}) and big = {{big}} order by id'\n"
	"- {name: twice, pool: db, sql: 'select 1 as a, 2 as a, null as b', result: success}\n"
	"- {name: many, pool: db, sql: 'select i from generate_series(1, 1000) i', rows_max: 3}\n"
	"- {name: large, pool: db, sql: \"select repeat('x', 5000) as t\", bytes_max: 1KiB}\n"
	"- {name: slow, pool: db, sql: 'select pg_sleep(1000)', timeout: 200ms}\n"
	"- {name: sneaky, pool: db, sql: 'delete from canary'}\n"
	"- {name: add, pool: db, read_only: false, parameters: [{name: t, required: true}],\n"
	"   sql: 'insert into notes (t) values ({{t}})'}\n"
	"- {name: returning, pool: db, read_only: false, parameters: [{name: t, required: true}],\n"
	"   sql: 'insert into notes (t) values ({{t}}) returning t'}\n"
	"- {name: query, pool: db, parameters: [{name: q, required: true}], sql_from: q, rows_max: 2}\n"
	"- {name: settings, pool: db, sql: \"select current_setting('work_mem') as w,\n"
	"   current_setting('transaction_read_only') as r\"}\n"
	"- {name: canary, pool: db, sql: 'select secret from canary'}\n";
#define SQL_NAMES                                                                                \
	"echo, like, of, twice, many, large, slow, sneaky, add, returning, query, settings, canary"

static const char sql_schema[] =
	"create table canary (secret text); insert into canary values ('alive');"
	"create table notes (t text);"
	"create table shop (id int, price numeric(8,2), note text, made date, good bool, data jsonb,"
	" n bigint, f float8, bytes bytea, big bool default false);"
	"insert into shop values (1, 12.50, 'a \"b\"', '2026-01-02', true, '{\"k\": [1, null]}',"
	" 9007199254740993, 'NaN', '\\x00ff');";

static void check_sql(const struct place *place)
{
	CHECK(comes_to(place, "of", "{\"id\":1}",
		       "{\"rows\":[{\"id\":1,\"price\":12.50,\"note\":\"a \\\"b\\\"\",\"made\":\"2026-01-02\","
		       "\"good\":true,\"data\":{\"k\":[1,null]},\"n\":9007199254740993,\"f\":\"NaN\","
		       "\"bytes\":\"\\\\x00ff\"}],\"row_count\":1,\"truncated\":false}", false));
	CHECK(comes_to(place, "of", "{\"id\":1,\"note\":\"b\"}",
		       "{\"rows\":[],\"row_count\":0,\"truncated\":false}", false));
	CHECK(comes_to(place, "of", "{\"id\":99999999999}", "SQLSTATE 22003", true));
	CHECK(comes_to(place, "twice", "{}",
		       "{\"success\":true,\"data\":{\"rows\":[{\"a\":1,\"a_2\":2,\"b\":null}],"
		       "\"row_count\":1,\"truncated\":false}}", false));
	CHECK(comes_to(place, "query", "{\"q\":\"select 1 as a, 2 as a_2, 3 as a\"}",
		       "columns have one name: name them with AS", true));
	CHECK(comes_to(place, "many", "{}",
		       "{\"rows\":[{\"i\":1},{\"i\":2},{\"i\":3}],\"row_count\":3,\"truncated\":true}",
		       false));
	CHECK(comes_to(place, "large", "{}", "longer than the tool's bytes_max", true));
	CHECK(comes_to(place, "slow", "{}", "the tool's timeout has passed", true));
	CHECK(comes_to(place, "sneaky", "{}", "read-only transaction (SQLSTATE 25006)", true));
	CHECK(comes_to(place, "add", "{\"t\":\"x\"}", "{\"affected\":1}", false));
	CHECK(comes_to(place, "returning", "{\"t\":\"y\"}",
		       "{\"rows\":[{\"t\":\"y\"}],\"row_count\":1,\"truncated\":false}", false));
}

/* Statements of the client's: what they may not do. */
static void check_queries(const struct place *place)
{
	static const char *const refused[] = {
		"select 1; select 2", "select 1; drop table canary", "commit; drop table canary",
		"delete from canary", "insert into canary values (1)", "drop table canary",
		"with d as (delete from canary returning *) select * from d", "commit", "rollback",
		"begin", "set transaction read write", "copy canary to stdout", "copy canary from stdin",
		"do $$ begin delete from canary; end $$", "call nothing()", "truncate canary",
		"create temporary table x (i int)", "select * into x from canary",
		"select set_config('transaction_read_only', 'off', false)",
		"select set_config('transaction_read_only', 'off', true)",
		"select nextval('s')", "select * from canary for update", "listen x",
		"prepare x as select 1", "explain select 1", "", ";", "--", "/*", "select 1 /*",
		"declare", "select 1) --", "nonsense"
	};

	CHECK(comes_to(place, "query", "{\"q\":\"select i from generate_series(1, 2) i\"}",
		       "{\"rows\":[{\"i\":1},{\"i\":2}],\"row_count\":2,\"truncated\":false}", false));
	CHECK(comes_to(place, "query", "{\"q\":\"select generate_series(1, 1000000000) as i;\"}",
		       "{\"rows\":[{\"i\":1},{\"i\":2}],\"row_count\":2,\"truncated\":true}", false));
	CHECK(comes_to(place, "query", "{\"q\":\"values (1, 'a') -- all\"}",
		       "{\"rows\":[{\"column1\":1,\"column2\":\"a\"}],\"row_count\":1,\"truncated\":false}",
		       false));
	CHECK(comes_to(place, "query", "{\"q\":\"select $1\"}", "SQLSTATE", true));
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		json_t *answer = call(place, "query", json_pack("{s:s}", "q", refused[i]));

		if (!json_is_true(json_object_get(json_object_get(answer, "result"), "isError"))) {
			tap_note("%s: %s", refused[i], strstr(text, "\r\n\r\n"));
			FAILED("it is refused");
		}
		json_decref(answer);
	}
	/* What a statement has set is not there for the next one. */
	json_decref(call(place, "query", json_pack("{s:s}", "q",
						   "select set_config('work_mem', '77MB', false)")));
	json_decref(call(place, "query", json_pack("{s:s}", "q",
		"select set_config('default_transaction_read_only', 'off', false)")));
	for (int i = 0; i < 5; i++)
		CHECK(comes_to(place, "settings", "{}",
			       "{\"rows\":[{\"w\":\"4MB\",\"r\":\"on\"}],\"row_count\":1,"
			       "\"truncated\":false}", false));
}

static json_t *inside_braces(json_t *result)
{
	static json_t *kept;
	json_t *whole = text_of_row(result);
	size_t size = json_string_length(whole);
	const char *bytes = json_string_value(whole);

	json_decref(kept);
	kept = size >= 8 && memcmp(bytes, "it's {", 6) == 0 && bytes[size - 1] == '}' ?
		       json_stringn_nocheck(bytes + 6, size - 7) : json_null();
	return kept;
}

static void test_sql(void)
{
	struct kit_postgres_options options = { .sql = sql_schema };
	struct kit_peer *postgres = kit_postgres_start(&options);
	struct place place;
	char pools[400];

	if (postgres == NULL)
		return;
	snprintf(pools, sizeof pools,
		 "  - {name: db, protocol: postgres, address: \"%s\", postgres: {user: "
		 KIT_POSTGRES_USER ", password: " KIT_POSTGRES_SECRET ", database: postgres}}\n",
		 postgres->address);
	MUST(begin(&place, pools, SQL_NAMES, sql_tools));
	check_sql(&place);
	check_queries(&place);
	attempts_come_back(&place, "echo", text_of_row, false);
	attempts_come_back(&place, "like", inside_braces, false);
	CHECK(comes_to(&place, "canary", "{}",
		       "{\"rows\":[{\"secret\":\"alive\"}],\"row_count\":1,\"truncated\":false}", false));
	end(&place);
	kit_peer_close(postgres);
}

/* ---- the whole */

/* Tools stay as they are while the program runs; the rest of the file does not have to. */
static void test_reload(void)
{
	struct place place;
	const char *same = "    - {match: {path: /mcp}, tenant: none, tools: [a]}\n"
			   "    - {match: {path: /other}, answer: {status: 204}}\n"
			   "tools:\n- {name: a, command: [/usr/bin/printf, '%s', one]}\n";
	const char *other = "    - {match: {path: /mcp}, tenant: none, tools: [a]}\n"
			    "tools:\n- {name: a, command: [/usr/bin/printf, '%s', two]}\n";

	MUST(begin(&place, "  []\n", "a", "- {name: a, command: [/usr/bin/printf, '%s', one]}\n"));
	for (int i = 0; i < 3; i++) {
		MUST(program_configure(&place.program, "  []\n", same));
		CHECK(program_reload(&place.program));
		CHECK(comes_to(&place, "a", "{}", "{\"exit_status\":0,\"output\":\"one\"}", false));
	}
	MUST(program_configure(&place.program, "  []\n", other));
	CHECK(!program_reload(&place.program));
	CHECK(program_says(&place.program, "tools, and the tools of routes, cannot change"));
	CHECK(comes_to(&place, "a", "{}", "{\"exit_status\":0,\"output\":\"one\"}", false));
	end(&place);
}

static void test_status(void)
{
	struct place place;
	char socket[64], pools[128], arguments[160];

	snprintf(socket, sizeof socket, "/tmp/kolk-gateway-tools-%d.sock", (int)getpid());
	snprintf(pools, sizeof pools, "  []\nadmin: {listen: \"unix:%s\"}\n", socket);
	MUST(begin(&place, pools, "say, fails", program_tools));
	json_decref(call(&place, "say", json_pack("{s:s}", "what", "canary")));
	json_decref(call(&place, "fails", json_object()));
	snprintf(arguments, sizeof arguments, "/api/pool-status --unix-socket %s", socket);
	MUST(program_curl(&place.program, arguments, text) == 0);
	CHECK(strstr(text, "{\"name\":\"say\",\"calls\":1,\"failed\":0,\"inFlight\":0}") != NULL);
	CHECK(strstr(text, "{\"name\":\"fails\",\"calls\":1,\"failed\":1,\"inFlight\":0}") != NULL);
	CHECK(strstr(text, "\"transport\":\"local\"") != NULL && strstr(text, "canary") == NULL);
	end(&place);
}

static const struct tap_test tests[] = {
	{ "tools of a route are listed, in both eras", test_list },
	{ "programs", test_programs },
	{ "the longest result", test_largest },
	{ "a call that is cancelled leaves nothing", test_cancel },
	{ "requests", test_http },
	{ "a tenant's calls use its own connections", test_tenants },
	{ "what an argument says is data: programs", test_program_attempts },
	{ "what an argument says is data: requests", test_http_attempts },
	{ "commands of Redis", test_redis },
	{ "statements of PostgreSQL", test_sql },
	{ "a reload keeps tools", test_reload },
	{ "the status counts calls", test_status },
};

TAP_TESTS(tools, tests);
