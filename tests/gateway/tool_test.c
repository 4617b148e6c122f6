/* SPDX-License-Identifier: Apache-2.0 */
/* tool_test.c - pooled tools: the file, what is made of it, and arguments. No pool is asked. */
#define _GNU_SOURCE
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/gateway/config/config.h"
#include "tools/gateway/tool/template.h"

/* A file with these tools, as lines, and a route that does this; what is wrong with it. */
static struct gw_config *load_route(const char *route, const char *tools, char message[1200])
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct gw_config *config = NULL;
	char path[] = "/tmp/kolk-gateway-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_true(dprintf(fd, "pools:\n- {name: web, address: 'h:1', protocol: http}\n"
				"- {name: cache, address: 'h:1', protocol: redis}\n"
				"- {name: db, address: 'h:1', protocol: postgres, postgres: {user: u}}\n"
				"- {name: kept, address: 'h:1', protocol: postgres, postgres: {user: u, "
				"reset: never}}\n"
				"gateway:\n  listen: [{address: '127.0.0.1:0'}]\n  routes:\n"
				"  - {match: {path: /t}, tenant: none, %s}\ntools:\n%s\n",
			    route, tools) > 0);
	close(fd);
	message[0] = '\0';
	if (gw_config_load(path, &config, &error) != KOLK_OK)
		kolk_config_error_text(&error, message, 1200);
	unlink(path);
	return config;
}

static struct gw_config *load(const char *tools, char message[1200])
{
	return load_route("tools: [t]", tools, message);
}

static struct gw_config *load_good(const char *tools)
{
	char message[1200];
	struct gw_config *config = load(tools, message);

	if (config == NULL)
		fail_msg("%s: %s", tools, message);
	return config;
}

#define X "parameters: [{name: x, required: true}]"
#define L(more) "parameters: [{name: x, items_max: 400" more "}]"

static void mistakes_are_told(void **state)
{
	static const char *const bad[][2] = {
		{ "- {name: t}", "the tool does nothing" },
		{ "- {name: 't t', command: [/bin/true]}", "'t t' is no name of a tool" },
		{ "- {name: t, command: [/bin/true]}\n- {name: t, command: [/bin/true]}",
		  "there are two tools 't'" },
		{ "- {name: u, command: [/bin/true]}", "there is no tool 't'" },
		{ "- {name: t, command: [true]}", "a program is named by its absolute path" },
		{ "- {name: t, command: []}", "the command is missing here" },
		{ "- {name: t, pool: web, command: [/bin/true]}", "a program has no pool" },
		{ "- {name: t, " X ", command: ['{{x}}']}", "no argument may say what the command is" },
		{ "- {name: t, command: [/bin/echo, '{{y}}']}", "the name of no parameter" },
		{ "- {name: t, " X ", command: [/bin/echo, '{{x']}", "a '{{' has no '}}'" },
		{ "- {name: t, command: [/bin/true], environment: [A]}", "this is no variable" },
		{ "- {name: t, command: [/bin/true], rows_max: 3}", "'rows_max' is not of this kind" },
		{ "- {name: t, command: [/bin/true], directory: tmp}", "'directory' is not an absolute path" },
		{ "- {name: t, redis: [GET, k]}", "'pool' is missing here" },
		{ "- {name: t, pool: web, redis: [GET, k]}", "is not of protocol redis" },
		{ "- {name: t, pool: none, redis: [GET, k]}", "there is no pool 'none'" },
		{ "- {name: t, pool: cache, redis: [GET, k], command: [/bin/true]}",
		  "a tool has 'redis' or 'command'" },
		{ "- {name: t, pool: cache, " X ", redis: ['{{x}}']}", "what the command is" },
		{ "- {name: t, pool: cache, cases: [{value: a, redis: [GET, k]}]}",
		  "'case_of' is missing here" },
		{ "- {name: t, pool: cache, case_of: o, cases: [{value: a, redis: [GET, k]}]}",
		  "there is no parameter 'o'" },
		{ "- {name: t, pool: cache, case_of: o, parameters: [{name: o}],\n"
		  "   cases: [{value: a, redis: [GET, k]}]}", "the parameter 'o' may be missing" },
		{ "- {name: t, pool: cache, case_of: o, parameters: [{name: o, type: enum, values: [b],\n"
		  "   required: true}], cases: [{value: a, redis: [GET, k]}]}", "'o' has never the value 'a'" },
		{ "- {name: t, pool: cache, case_of: x, " X ",\n"
		  "   cases: [{value: a, redis: [GET, k]}, {value: a, redis: [DEL, k]}]}",
		  "there are two cases of 'a'" },
		{ "- {name: t, pool: web, http: {path: x}}", "'path' is no path" },
		{ "- {name: t, pool: web, http: {path: '/a?b=c'}}", "'path' is no path" },
		{ "- {name: t, pool: web, http: {path: '/a/../b'}}", "'path' is no path" },
		{ "- {name: t, pool: web, parameters: [{name: x}], http: {path: '/{{x}}'}}",
		  "a parameter of 'path' is required" },
		{ "- {name: t, pool: web, " X ", http: {path: /, query: ['{{x}}']}}",
		  "an entry of 'query' is" },
		{ "- {name: t, pool: web, " X ", http: {path: /, query: ['a={{x}}&b=1']}}",
		  "other bytes are written as %20" },
		{ "- {name: t, pool: web, http: {path: /, method: TRACE}}", "'method' is GET" },
		{ "- {name: t, pool: web, http: {path: /, body: '{}'}}", "a request to read has no body" },
		{ "- {name: t, pool: web, " X ", http: {path: /, method: POST, body: '{x: {{x}}}'}}",
		  "'body' is no JSON" },
		{ "- {name: t, pool: web, http: {path: /, headers: ['Host: a']}}",
		  "this is no field of a tool's request" },
		{ "- {name: t, pool: web, http: {path: /, headers: ['a']}}", "this is no field" },
		{ "- {name: t, pool: db, " X ", sql: \"select '{{x}}'\"}", "in quotes or in a comment" },
		{ "- {name: t, pool: db, " X ", sql: 'select 1 -- {{x}}'}", "in quotes or in a comment" },
		{ "- {name: t, pool: db, " X ", sql: 'select 1 /* /* */ {{x}} */'}",
		  "in quotes or in a comment" },
		{ "- {name: t, pool: db, " X ", sql: 'select $$a$$ {{x}} $$a$$'}", "in quotes" },
		{ "- {name: t, pool: db, " X ", sql: 'select \"{{x}}\"'}", "in quotes" },
		{ "- {name: t, pool: db, sql_from: q}", "there is no parameter 'q'" },
		{ "- {name: t, pool: db, " X ", sql_from: x, read_only: false}",
		  "a statement of the client's is read-only" },
		{ "- {name: t, pool: db, parameters: [{name: x, required: true}, {name: y}], sql_from: x}",
		  "has no other parameters" },
		{ "- {name: t, pool: kept, " X ", sql_from: x}", "the pool 'kept' has reset: never" },
		{ "- {name: t, command: [/bin/true], parameters: [{name: 1x}]}",
		  "'1x' is no name of a parameter" },
		{ "- {name: t, command: [/bin/true], parameters: [{name: x}, {name: x}]}",
		  "there are two parameters 'x'" },
		{ "- {name: t, command: [/bin/true], parameters: [{name: x, type: enum}]}",
		  "an enum has 'values'" },
		{ "- {name: t, command: [/bin/true], parameters: [{name: x, type: integer, default: a}]}",
		  "'default' is no value that it may have" },
		{ "- {name: t, command: [/bin/true], parameters: [{name: x, required: true, default: a}]}",
		  "has no 'default'" },
		{ "- {name: t, command: [/bin/true], parameters: [{name: x, minimum: 1}]}",
		  "are of integer and number" },
		{ "- {name: t, command: [/bin/true], parameters: [{name: x, type: number, minimum: 2,\n"
		  "   maximum: 1}]}", "'minimum' is more than 'maximum'" },
		{ "- {name: t, command: [/bin/true], parameters: [{name: x, items_max: 2, default: a}]}",
		  "a list has no 'default'" },
		{ "- {name: t, command: [/bin/true], parameters: [{name: x, items_max: 1001}]}",
		  "'items_max' must be 1 to 1000" },
		{ "- {name: t, pool: web, " L(", required: true") ", http: {path: '/{{x}}'}}",
		  "a list has no place in 'path'" },
		{ "- {name: t, pool: web, " L("") ", http: {path: /, method: POST, body: '{\"a\": \"{{x}}\"}'}}",
		  "a list has no place inside a string of 'body'" },
		{ "- {name: t, pool: db, " L(", required: true") ", sql_from: x}", "the parameter 'x' is a list" },
		{ "- {name: t, parameters: [{name: x, items_max: 2}, {name: y, items_max: 2}],\n"
		  "   command: [/bin/true, '{{x}}{{y}}']}", "there are two lists in it" },
		{ "- {name: t, " L("") ", command: [/bin/true, '{{x}}', '{{x}}', '{{x}}']}",
		  "with its lists it may be more than 1024" },
		{ "- {name: t, command: [/bin/true], parameters: [{name: x, kind: number}]}",
		  "unknown key 'kind'" },
	};
	char message[1200];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct gw_config *config = load(bad[i][0], message);

		if (config != NULL || strstr(message, bad[i][1]) == NULL)
			fail_msg("%s: %s", bad[i][0], message);
	}
}

static void a_route_is_checked(void **state)
{
	static const char *const cases[][2] = {
		{ "tools: [t, u]", "" },
		{ "tools: [u], mcp: {hosts: [a.test], resource: 'https://a.test/t', "
		  "authorization_servers: ['https://id.test']}", "" },
		{ "tools: [u], limits: {requests_per_second: 3}, cors: {origins: ['*']}", "" },
		{ "tools: []", "the route has no tools" },
		{ "tools: [v]", "there is no tool 'v': add it to 'tools' of the file" },
		{ "tools: [t, u, t]", "the tool 't' is there twice" },
		{ "tools: [t], pool: web", "a route has one of 'pool', 'balancer', 'federation', 'tools'" },
		{ "tools: [t], mcp: {client_token: pass}", "pooled tools are shown no token" },
		{ "tools: [t], timeouts: {request: 3s}", "'timeouts' is of a route to a pool" },
		{ "tools: [t], strip_prefix: true", "'strip_prefix' is of a route to a pool" },
	};
	char message[1200];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct gw_config *config = load_route(cases[i][0], "- {name: t, command: [/bin/true]}\n"
						      "- {name: u, command: [/bin/true]}", message);

		if ((config != NULL) != (cases[i][1][0] == '\0') ||
		    strstr(message, cases[i][1]) == NULL)
			fail_msg("%s: %s", cases[i][0], message);
		gw_config_free(config);
	}
}

static void a_tool_is_described(void **state)
{
	struct gw_config *c = load_good(
		"- name: t\n  title: A \"tool\"\n  description: Says\n  pool: db\n  parameters:\n"
		"  - {name: id, type: integer, required: true, minimum: 1, description: Whose}\n"
		"  - {name: how, type: enum, values: [up, down], default: up}\n"
		"  - {name: some, type: number, maximum: 1.5}\n"
		"  - {name: all, type: boolean, default: true}\n"
		"  - {name: s, length_min: 2, length_max: 9}\n"
		"  - {name: l, items_max: 3, description: Some, type: enum, values: [up, down]}\n"
		"  - {name: m, items_max: 1000, type: integer, minimum: 0}\n"
		"  sql: select {{id}}\n");

	(void)state;
	assert_string_equal(c->tools[0].listed,
		"{\"name\":\"t\",\"title\":\"A \\\"tool\\\"\",\"description\":\"Says\",\"inputSchema\":"
		"{\"type\":\"object\",\"properties\":{"
		"\"id\":{\"type\":\"integer\",\"description\":\"Whose\",\"minimum\":1},"
		"\"how\":{\"type\":\"string\",\"enum\":[\"up\",\"down\"],\"default\":\"up\"},"
		"\"some\":{\"type\":\"number\",\"maximum\":1.5},"
		"\"all\":{\"type\":\"boolean\",\"default\":true},"
		"\"s\":{\"type\":\"string\",\"maxLength\":9,\"minLength\":2},"
		"\"l\":{\"type\":\"array\",\"description\":\"Some\",\"maxItems\":3,\"items\":{\"type\":"
		"\"string\",\"enum\":[\"up\",\"down\"]}},"
		"\"m\":{\"type\":\"array\",\"maxItems\":1000,\"items\":{\"type\":\"integer\","
		"\"minimum\":0}}},"
		"\"required\":[\"id\"],\"additionalProperties\":false},"
		"\"annotations\":{\"readOnlyHint\":true}}");
	assert_true(gw_is_json(c->tools[0].listed, strlen(c->tools[0].listed), true));
	gw_config_free(c);
}

static void parameters_may_be_a_map(void **state)
{
	struct gw_config *list = load_good("- name: t\n  pool: db\n  parameters:\n"
					   "  - {name: id, type: integer, required: true}\n"
					   "  - {name: s}\n  sql: select {{id}}, {{s}}\n");
	struct gw_config *map = load_good("- name: t\n  pool: db\n  parameters:\n"
					  "    id: {type: integer, required: true}\n"
					  "    s:\n  sql: select {{id}}, {{s}}\n");

	(void)state;
	assert_string_equal(map->tools[0].listed, list->tools[0].listed);
	gw_config_free(list);
	gw_config_free(map);
}

static void places_become_parameters(void **state)
{
	static const char *const cases[][2] = {
		{ "select {{ a }}, {{b}}::int, {{a}}5", "select  $1 ,  $2 ::int,  $1 5" },
		{ "select 'it''s', {{b}} -- '\n, {{a}}", "select 'it''s',  $1  -- '\n,  $2 " },
		{ "select E'\\'', {{a}}", "select E'\\'',  $1 " },
		{ "select type'\\', {{a}}", "select type'\\',  $1 " },
		{ "select $x$ ' $x$, \"a'b\", {{a}}", "select $x$ ' $x$, \"a'b\",  $1 " },
		{ "select /* ' /* \" */ */ {{a}}", "select /* ' /* \" */ */  $1 " },
		{ "select a[1], '{1}'", "select a[1], '{1}'" },
	};
	char tools[400], text[200];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct gw_config *c;
		size_t used = 0;

		for (const char *at = cases[i][0]; *at != '\0'; at++) { /* as YAML has it in quotes */
			if (*at == '"' || *at == '\\')
				text[used++] = '\\';
			if (*at == '\n')
				used += (size_t)sprintf(text + used, "\\n");
			else if (*at == '$') /* of itself */
				used += (size_t)sprintf(text + used, "$$");
			else
				text[used++] = *at;
		}
		text[used] = '\0';
		snprintf(tools, sizeof tools,
			 "- {name: t, pool: db, parameters: [{name: a}, {name: b}], sql: \"%s\"}", text);
		c = load_good(tools);
		assert_string_equal(c->tools[0].statement, cases[i][1]);
		gw_config_free(c);
	}
}

static void the_example_is_right(void **state)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct gw_config *config;
	char message[1200];

	(void)state;
	if (gw_config_load(GATEWAY_FILES "/pooled-tools.yaml", &config, &error) != KOLK_OK) {
		kolk_config_error_text(&error, message, sizeof message);
		fail_msg("%s", message);
	}
	assert_int_equal(config->tool_count, 7);
	assert_int_equal(config->routes[0].tool_count, 7);
	for (uint32_t i = 0; i < config->tool_count; i++)
		assert_ptr_equal(config->routes[0].tool_list[i], &config->tools[i]);
	gw_config_free(config);
}

/* ---- arguments */

static const char tool_of_all[] =
	"- name: t\n  command: [/bin/true]\n  parameters:\n"
	"  - {name: s, required: true, length_min: 1, length_max: 4}\n"
	"  - {name: i, type: integer, minimum: -5, maximum: 10}\n"
	"  - {name: n, type: number, default: 2.5}\n"
	"  - {name: b, type: boolean}\n"
	"  - {name: e, type: enum, values: [up, down]}\n";

static void arguments_are_checked(void **state)
{
	static const char *const cases[][2] = {
		{ "{\"s\":\"a\"}", "" },
		{ "{\"s\":\"\\u00e9\\u20ac\\ud83d\\ude00x\",\"i\":-5,\"n\":1e3,\"b\":false,\"e\":\"up\"}", "" },
		{ "{\"\\u0073\":\"a\",\"i\":null}", "" },
		{ "{}", "argument 's' is missing" },
		{ "null", "argument 's' is missing" },
		{ "", "argument 's' is missing" },
		{ "[]", "'arguments' is no object" },
		{ "{\"s\":null}", "argument 's' is missing" },
		{ "{\"s\":1}", "argument 's' is no string" },
		{ "{\"s\":{\"a\":1}}", "argument 's' is no string" },
		{ "{\"s\":\"\"}", "argument 's' is too short" },
		{ "{\"s\":\"abcde\"}", "argument 's' is too long" },
		{ "{\"s\":\"a\",\"s\":\"b\"}", "argument 's' is given twice" },
		{ "{\"s\":\"a\",\"z\":1}", "there is no parameter 'z'" },
		{ "{\"s\":\"a\",\"\\u007a'\\\"\":1}", "there is no parameter 'z'\"'" },
		{ "{\"s\":\"a\",\"0123456789012345678901234567890123456789012345678901234567890123x\":1}",
		  "there is no parameter '0123456789012345678901234567890123456789012345678901234567890123'" },
		{ "{\"s\":\"a\",\"i\":\"1\"}", "argument 'i' is no integer of 64 bits" },
		{ "{\"s\":\"a\",\"n\":\"1\"}", "argument 'n' is no number" },
		{ "{\"s\":\"a\",\"b\":\"true\"}", "argument 'b' is neither true nor false" },
		{ "{\"s\":\"a\",\"i\":1.5}", "argument 'i' is no integer of 64 bits" },
		{ "{\"s\":\"a\",\"i\":99999999999999999999}", "argument 'i' is no integer of 64 bits" },
		{ "{\"s\":\"a\",\"i\":-6}", "argument 'i' is less than its minimum" },
		{ "{\"s\":\"a\",\"i\":11}", "argument 'i' is more than its maximum" },
		{ "{\"s\":\"a\",\"n\":true}", "argument 'n' is no number" },
		{ "{\"s\":\"a\",\"n\":1e999}", "argument 'n' is no number" },
		{ "{\"s\":\"a\",\"b\":0}", "argument 'b' is neither true nor false" },
		{ "{\"s\":\"a\",\"e\":\"left\"}", "argument 'e' is none of the values that it may have" },
	};
	struct gw_config *c = load_good(tool_of_all);
	struct gw_arguments arguments;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct kolk_mcp_part part = { cases[i][0], strlen(cases[i][0]) };
		bool good = gw_arguments_read(&c->tools[0], part, &arguments);

		if (good != (cases[i][1][0] == '\0') || (!good && strcmp(arguments.flaw, cases[i][1]) != 0))
			fail_msg("%s: %s", cases[i][0], good ? "taken" : arguments.flaw);
		gw_arguments_free(&arguments);
	}
	assert_true(gw_arguments_read(&c->tools[0], (struct kolk_mcp_part){ cases[1][0],
				      strlen(cases[1][0]) }, &arguments));
	assert_int_equal(arguments.at[0].size, 10);
	assert_memory_equal(arguments.at[0].text, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80x", 10);
	assert_memory_equal(arguments.at[1].text, "-5", arguments.at[1].size);
	gw_arguments_free(&arguments);
	assert_true(gw_arguments_read(&c->tools[0], (struct kolk_mcp_part){ cases[0][0],
				      strlen(cases[0][0]) }, &arguments));
	assert_memory_equal(arguments.at[2].text, "2.5", 3);
	assert_int_equal(arguments.at[3].json.size, 0);
	gw_arguments_free(&arguments);
	gw_config_free(c);
}

static void lists_are_checked(void **state)
{
	static const char *const cases[][2] = {
		{ "{\"l\":[\"a\", \"\\u00e9\"]}", "" },
		{ "{\"l\":[]}", "" },
		{ "{}", "" },
		{ "{\"l\":null}", "" },
		{ "{\"l\":\"a\"}", "argument 'l' is no list" },
		{ "{\"l\":{}}", "argument 'l' is no list" },
		{ "{\"l\":[1]}", "an item of argument 'l' is no string" },
		{ "{\"l\":[\"a\",null]}", "an item of argument 'l' is no string" },
		{ "{\"l\":[[\"a\"]]}", "an item of argument 'l' is no string" },
		{ "{\"l\":[\"a\",{}]}", "an item of argument 'l' is no string" },
		{ "{\"l\":[\"a\",\"abcd\"]}", "an item of argument 'l' is too long" },
		{ "{\"l\":[\"a\",\"b\",\"c\",\"d\"]}", "argument 'l' has too many items" },
		{ "{\"l\":[\"a\"],\"l\":[\"b\"]}", "argument 'l' is given twice" },
	};
	struct gw_config *c = load_good("- {name: t, parameters: [{name: l, items_max: 3, length_max: 3}], "
					"command: [/bin/true, '{{l}}']}");
	struct gw_arguments arguments;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct kolk_mcp_part part = { cases[i][0], strlen(cases[i][0]) };
		bool good = gw_arguments_read(&c->tools[0], part, &arguments);

		if (good != (cases[i][1][0] == '\0') || (!good && strcmp(arguments.flaw, cases[i][1]) != 0))
			fail_msg("%s: %s", cases[i][0], good ? "taken" : arguments.flaw);
		if (i == 0) {
			assert_int_equal(arguments.at[0].count, 2);
			assert_int_equal(arguments.at[0].items[1].size, 2);
			assert_memory_equal(arguments.at[0].items[1].text, "\xc3\xa9", 2);
		}
		gw_arguments_free(&arguments);
	}
	gw_config_free(c);
}

/* Above 2^53 neighbours are one double. */
static void bounds_of_integers_are_exact(void **state)
{
	static const struct {
		const char *value, *flaw;
	} cases[] = {
		{ "9007199254740993", "" },
		{ "9007199254740992", "argument 'i' is less than its minimum" },
		{ "9223372036854775806", "" },
		{ "9223372036854775807", "argument 'i' is more than its maximum" },
		{ "9223372036854775808", "argument 'i' is no integer of 64 bits" },
	};
	struct gw_config *c = load_good("- name: t\n  command: [/bin/true]\n  parameters:\n"
					"  - {name: i, type: integer, minimum: 9007199254740993,\n"
					"     maximum: 9223372036854775806}\n");
	struct gw_arguments arguments;
	char object[64], message[1200];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int size = snprintf(object, sizeof object, "{\"i\":%s}", cases[i].value);
		bool good = gw_arguments_read(&c->tools[0], (struct kolk_mcp_part){ object, (size_t)size },
					      &arguments);

		if (good != (cases[i].flaw[0] == '\0') || (!good && strcmp(arguments.flaw, cases[i].flaw) != 0))
			fail_msg("%s: %s", cases[i].value, good ? "taken" : arguments.flaw);
		free(arguments.memory);
	}
	gw_config_free(c);
	assert_null(load("- {name: t, command: [/bin/true], parameters: [{name: x, type: integer,\n"
			 "   minimum: 9007199254740993, maximum: 9007199254740992}]}", message));
	assert_non_null(strstr(message, "'minimum' is more than 'maximum'"));
}

/* ---- texts */

static void put_to(char to[200], const struct gw_template *made, const struct gw_argument *arguments,
		   void (*put)(const struct gw_template *, const struct gw_argument *, struct gw_text *))
{
	struct gw_text text = { .failed = false };

	put(made, arguments, &text);
	assert_false(text.failed);
	snprintf(to, 200, "%.*s", (int)gw_text_size(&text), gw_text_data(&text));
	gw_text_free(&text);
}

static void values_are_encoded(void **state)
{
	struct gw_config *c = load_good(
		"- {name: t, pool: web, " X ", http: {path: '/a/{{x}}', method: POST, query: ['q={{x}}'],\n"
		"   body: '{\"a\": {{x}}, \"b\": \"<{{x}}>\"}'}}");
	struct gw_arguments arguments;
	static const char json[] = "{\"x\":\"\\\"/ \\u00e9&=%~\\n\"}";
	char to[200];

	(void)state;
	assert_true(gw_arguments_read(&c->tools[0], (struct kolk_mcp_part){ json, sizeof json - 1 },
				      &arguments));
	put_to(to, c->tools[0].path, arguments.at, gw_template_put_url);
	assert_string_equal(to, "/a/%22%2F%20%C3%A9%26%3D%25~%0A");
	put_to(to, &c->tools[0].words.at[0], arguments.at, gw_template_put_url);
	assert_string_equal(to, "q=%22%2F%20%C3%A9%26%3D%25~%0A");
	put_to(to, c->tools[0].body, arguments.at, gw_template_put_json);
	assert_string_equal(to, "{\"a\": \"\\\"/ \\u00e9&=%~\\n\", \"b\": \"<\\\"/ \xc3\xa9&=%~\\n>\"}");
	gw_arguments_free(&arguments);
	gw_config_free(c);
}

static void any_bytes_are_a_string(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		const char *json;
	} cases[] = {
		{ "a\"\\\b\f\n\r\t", 8, "\"a\\\"\\\\\\b\\f\\n\\r\\t\"" },
		{ "\0\x01\x0b\x1f\x7f", 5, "\"\\u0000\\u0001\\u000b\\u001f\\u007f\"" },
		{ "\xff|\xc3|\xc3\xa9", 6, "\"\xef\xbf\xbd|\xef\xbf\xbd|\xc3\xa9\"" },
		{ "\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xc0\xaf\xf4\x90\x80\x80", 6,
		  "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xf0\x9f\x98\x80", 4, "\"\xf0\x9f\x98\x80\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct gw_text text = { .failed = false };

		gw_text_string(&text, cases[i].bytes, cases[i].size);
		assert_int_equal(gw_text_size(&text), strlen(cases[i].json));
		assert_memory_equal(gw_text_data(&text), cases[i].json, gw_text_size(&text));
		assert_true(gw_is_json(gw_text_data(&text), gw_text_size(&text), false));
		gw_text_free(&text);
	}
}

static void numbers_are_told(void **state)
{
	static const char *const good[] = { "0", "-0", "12", "1.5", "-1.25e10", "1E-3", "0.1" };
	static const char *const bad[] = { "", "-", "01", "1.", ".5", "1e", "1e+", "+1", "NaN", "Infinity",
					   "0x1", "1 ", "1,2" };

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_true(gw_is_json_number(good[i], strlen(good[i])));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(gw_is_json_number(bad[i], strlen(bad[i])));
}

static void json_is_told(void **state)
{
	static const struct {
		const char *text;
		bool any, whole;
	} cases[] = {
		{ "{\"a\":[1,null]}", true, true }, { " [] ", true, true }, { "1", true, false },
		{ "\"{[\"", true, false }, { "{\"a\":1,\"a\":2}", false, false },
		{ "{\"a\":1,\"\\u0061\":2}", false, false }, { "{} {}", false, false },
		{ "{", false, false }, { "[1,]", false, false }, { "\"\\ud800\"", false, false },
		{ "\"\xff\"", false, false }, { "NaN", false, false }, { "", false, false },
	};
	char deep[2 * GW_JSON_DEPTH + 2];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (gw_is_json(cases[i].text, strlen(cases[i].text), false) != cases[i].any ||
		    gw_is_json(cases[i].text, strlen(cases[i].text), true) != cases[i].whole)
			fail_msg("%s", cases[i].text);
	memset(deep, '[', GW_JSON_DEPTH + 1);
	memset(deep + GW_JSON_DEPTH + 1, ']', GW_JSON_DEPTH + 1);
	assert_true(gw_is_json(deep + 1, 2 * GW_JSON_DEPTH, true));
	assert_false(gw_is_json(deep, sizeof deep, true));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(mistakes_are_told),
	cmocka_unit_test(a_route_is_checked),
	cmocka_unit_test(a_tool_is_described),
	cmocka_unit_test(parameters_may_be_a_map),
	cmocka_unit_test(places_become_parameters),
	cmocka_unit_test(the_example_is_right),
	cmocka_unit_test(arguments_are_checked),
	cmocka_unit_test(bounds_of_integers_are_exact),
	cmocka_unit_test(lists_are_checked),
	cmocka_unit_test(values_are_encoded),
	cmocka_unit_test(any_bytes_are_a_string),
	cmocka_unit_test(numbers_are_told),
	cmocka_unit_test(json_is_told),
};

CMOCKA_TESTS(tools, tests);
