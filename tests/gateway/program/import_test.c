/* SPDX-License-Identifier: Apache-2.0 */
/* import_test.c - tools files of other pools, translated by kolk-ctl import, and their tools called. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/gateway/program/mcp_messages.h"
#include "tests/gateway/program/program.h"
#include "tests/kit/cert.h"
#include "tests/kit/peers.h"

static char text[PROGRAM_TEXT];

/* What it makes of a file; the caller frees it. NULL and a failed check: it could not. */
static char *import(const char *yaml)
{
	char path[] = "/tmp/kolk-import-XXXXXX", command[512], *out = calloc(1, PROGRAM_TEXT);
	int fd = mkstemp(path);
	FILE *said;

	if (fd < 0 || !kit_file_write(path, yaml)) {
		free(out);
		return NULL;
	}
	close(fd);
	snprintf(command, sizeof command, CTL_PROGRAM " import %s 2>/tmp/kolk-import-%d.report", path,
		 (int)getpid());
	said = popen(command, "r");
	out[said != NULL ? fread(out, 1, PROGRAM_TEXT - 1, said) : 0] = '\0';
	if (said == NULL || pclose(said) != 0) {
		FAILED("the file is translated, whole");
		free(out);
		out = NULL;
	}
	unlink(path);
	snprintf(command, sizeof command, "/tmp/kolk-import-%d.report", (int)getpid());
	unlink(command);
	return out;
}

/* The gateway runs what was made, at a port of its own; the text is cut. */
static bool start(struct program *program, char *made)
{
	char *pools = strstr(made, "pools:\n"), *tools = strstr(made, "\ntools:\n");
	char *gateway = strstr(made, "\ngateway:\n"), *names, lines[8192], routes[32768];

	if (pools == NULL || tools == NULL || gateway == NULL ||
	    (names = strstr(gateway, "tools: [")) == NULL) {
		tap_note("%s", made);
		return FAILED("there are pools, tools and a gateway");
	}
	*tools = *gateway = '\0';
	snprintf(lines, sizeof lines, "%s\n", pools + strlen("pools:\n"));
	names[strcspn(names, "\n")] = '\0';
	snprintf(routes, sizeof routes, "    - {match: {path: /mcp}, tenant: none, %s}\n%s\n", names,
		 tools + 1);
	return program_start(program, lines, routes);
}

/* Whether a call of the era without sessions answers with this. */
static bool says(const struct program *program, const char *tool, const char *arguments,
		 const char *wanted)
{
	char body[2048], request[4096];

	snprintf(body, sizeof body,
		 REQUEST("1", "tools/call", "\"name\":\"%s\",\"arguments\":%s," META("", "")), tool,
		 arguments);
	snprintf(request, sizeof request,
		 "POST /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: "
		 "application/json\r\nAccept: application/json, text/event-stream\r\n"
		 MODERN_CALL_FIELDS("%s")
		 "Content-Length: %zu\r\n\r\n%s", tool, strlen(body), body);
	if (program_ask(program, request, text) == 0 && strstr(text, wanted) != NULL)
		return true;
	tap_note("%s %s: %.600s", tool, arguments, text);
	return false;
}

/* ---- PostgreSQL, and programs */

static void test_postgres(void)
{
	struct kit_postgres_options options = {
		.sql = "create table orders (id int, customer text, note text); "
		       "insert into orders values (1, 'ann', 'first'), (2, 'bob', 'other')" };
	struct kit_peer *postgres = kit_postgres_start(&options);
	char yaml[4096], *made;
	struct program program;

	if (postgres == NULL)
		return;
	snprintf(yaml, sizeof yaml,
		 "pools:\n  shop:\n    type: postgres\n"
		 "    url: postgresql://" KIT_POSTGRES_USER ":${SHOP}@%s/postgres?sslmode=disable\n"
		 "    min_size: 1\n    max_size: 4\n    max_idle_time: 60\n    acquire_timeout: 5\n"
		 "    validation_query: SELECT 1\n"
		 "tools:\n"
		 "  orders_of:\n    description: Orders of a customer\n    pool: shop\n    parameters:\n"
		 "      - {name: customer, type: string, required: true}\n"
		 "    sql: SELECT id, note FROM orders WHERE customer = '{{customer}}'\n"
		 "  ask:\n    pool: shop\n    parameters: [{name: query, type: string, required: true}]\n"
		 "    script: {command: execute_query, args: [\"{{query}}\"]}\n"
		 "  say:\n    parameters: [{name: what, type: string, required: true}]\n"
		 "    script: {command: /usr/bin/printf, args: [\"%%s\", \"{{what}}\"]}\n",
		 postgres->address);
	setenv("SHOP", KIT_POSTGRES_SECRET, 1);
	made = import(yaml);
	MUST(made != NULL);
	CHECK(strstr(made, KIT_POSTGRES_SECRET) == NULL);
	MUST(start(&program, made));
	free(made);
	CHECK(says(&program, "orders_of", "{\"customer\":\"ann\"}",
		   "\"structuredContent\":{\"success\":true,\"data\":{\"rows\":[{\"id\":1,\"note\":\"first\"}]"));
	CHECK(says(&program, "orders_of", "{\"customer\":\"' or ''='\"}", "\"rows\":[]"));
	CHECK(says(&program, "ask", "{\"query\":\"select count(*) as n from orders\"}", "{\"n\":2}"));
	CHECK(says(&program, "ask", "{\"query\":\"delete from orders\"}", "\"success\":false"));
	CHECK(says(&program, "say", "{\"what\":\"it's; $(id)\"}", "\"output\":\"it's; $(id)\""));
	CHECK(program_stop(&program, 15000));
	kit_peer_close(postgres);
}

/* ---- Redis */

static void test_redis(void)
{
	struct kit_redis_options options = { .password = "secret" };
	struct kit_peer *redis = kit_redis_start(&options);
	char yaml[4096], *made;
	struct program program;

	if (redis == NULL)
		return;
	snprintf(yaml, sizeof yaml,
		 "pools:\n  cache:\n    url: redis://:${CACHE}@%s/2\n    max_size: 5\n"
		 "tools:\n"
		 "  cache:\n    pool: cache\n    parameters:\n"
		 "      - {name: operation, type: string, required: true, enum: [get, set]}\n"
		 "      - {name: key, type: string, required: true}\n"
		 "      - {name: value, type: string}\n"
		 "    case_of: operation\n"
		 "    cases:\n"
		 "      get: [GET, \"k:{{key}}\"]\n"
		 "      set: [SET, \"k:{{key}}\", \"{{value}}\"]\n", redis->address);
	setenv("CACHE", "secret", 1);
	made = import(yaml);
	MUST(made != NULL);
	MUST(start(&program, made));
	free(made);
	CHECK(says(&program, "cache", "{\"operation\":\"set\",\"key\":\"a\",\"value\":\"\\r\\nDEL k\"}",
		   "\"value\":\"OK\""));
	CHECK(says(&program, "cache", "{\"operation\":\"get\",\"key\":\"a\"}",
		   "\"value\":\"\\r\\nDEL k\""));
	CHECK(says(&program, "cache", "{\"operation\":\"flush\",\"key\":\"a\"}", "\"success\":false"));
	CHECK(program_stop(&program, 15000));
	kit_peer_close(redis);
}

/* ---- HTTP */

static void play(struct kit_mock_conn *conn, void *user)
{
	char head[4096], line[1024], answer[2048];

	(void)user;
	while (kit_mock_read_until(conn, "\r\n\r\n", head, sizeof head, 20000)) {
		snprintf(line, sizeof line, "{\"line\":\"%.*s\"}", (int)strcspn(head, "\r"), head);
		snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
			 strlen(line), line);
		kit_mock_say(conn, answer);
	}
}

static void test_http(void)
{
	struct kit_mock *mock = kit_mock_open(&(struct kit_mock_options){ .play = play });
	char yaml[2048], *made;
	struct program program;

	MUST(mock != NULL);
	snprintf(yaml, sizeof yaml,
		 "pools:\n  weather: {type: http, url: \"http://%s/v1\", max_size: 10, max_idle_time: 30}\n"
		 "tools:\n  forecast:\n    description: Weather\n    pool: weather\n    parameters:\n"
		 "      - {name: city, type: string, required: true}\n"
		 "      - {name: days, type: integer, default: 3}\n"
		 "    http: {method: get, path: \"/forecast/{{city}}\", query: {days: \"{{days}}\"}}\n",
		 kit_mock_address(mock));
	made = import(yaml);
	MUST(made != NULL);
	MUST(start(&program, made));
	free(made);
	CHECK(says(&program, "forecast", "{\"city\":\"a b?\"}",
		   "GET /v1/forecast/a%20b%3F?days=3 HTTP/1.1"));
	CHECK(says(&program, "forecast", "{\"city\":\"a/../b\"}", "\"success\":false"));
	CHECK(says(&program, "forecast", "{\"city\":\"x\",\"days\":5}", "/v1/forecast/x?days=5"));
	CHECK(program_stop(&program, 15000));
	kit_mock_close(mock);
}

static const struct tap_test tests[] = {
	{ "imported tools: PostgreSQL, programs", test_postgres },
	{ "imported tools: Redis", test_redis },
	{ "imported tools: HTTP", test_http },
};
TAP_TESTS(import, tests);
