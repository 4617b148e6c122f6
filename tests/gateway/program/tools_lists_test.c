/* SPDX-License-Identifier: Apache-2.0 */
/* tools_lists_test.c - pooled tools with parameters that are lists. */
#include <stdio.h>
#include <string.h>

#include "tests/gateway/program/tools_place.h"

static json_t *value_of(json_t *result)
{
	return json_object_get(result, "value");
}

#define LIST_OF(name, more) "parameters: [{name: " name ", items_max: 400" more "}]"

/* All attempts but those with a NUL. */
static json_t *list_of_attempts(void)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < attempt_count; i++) {
		char bytes[200];
		size_t size;
		json_t *value = attempt_of(i, bytes, &size);

		if (memchr(bytes, '\0', size) == NULL)
			json_array_append(list, value);
		json_decref(value);
	}
	return list;
}

/* All of them come back from a tool whose result has the list. */
static void list_comes_back(const struct tools_place *place, const char *tool, json_t *(*find)(json_t *result))
{
	json_t *list = list_of_attempts(), *empty = json_array();
	json_t *answer = call(place, tool, json_pack("{s:O}", "x", list));

	CHECK(json_array_size(list) > 350 && json_equal(find(structured(answer)), list));
	json_decref(answer);
	answer = call(place, tool, json_pack("{s:O}", "x", empty));
	CHECK(json_equal(find(structured(answer)), empty));
	json_decref(answer);
	json_decref(list);
	json_decref(empty);
}

static const char list_tools[] =
	"- {name: words, " LIST_OF("x", "") ", command: [/usr/bin/printf, '<%s>', '{{x}}', 'x={{x}}', 'end']}\n"
	"- {name: behind, " LIST_OF("x", "") ", command: [/bin/echo, '--', '{{x}}']}\n"
	"- {name: query, pool: web, parameters: [{name: x, items_max: 3, type: integer}, {name: n}],\n"
	"   http: {path: /q, query: ['x={{x}}', 'n={{n}}']}}\n"
	"- {name: body, pool: web, " LIST_OF("x", "") ", http: {method: POST, path: /b, body: '{\"x\": {{x}}}'}}\n";

static void test_lists(void)
{
	struct tools_origin origin = { .mock = NULL };
	struct tools_place place;
	char pools[300];

	MUST(tools_origin_open(&origin, pools));
	MUST(tools_open(&place, pools, "words, behind, query, body", list_tools));
	CHECK(comes_to(&place, "words", "{\"x\":[\"a b\",\"$(id)\"]}", "{\"exit_status\":0,\"output\":"
		       "\"<a b><$(id)><x=a b><x=$(id)><end>\"}", false));
	CHECK(comes_to(&place, "words", "{\"x\":[]}", "{\"exit_status\":0,\"output\":\"<end>\"}", false));
	CHECK(comes_to(&place, "words", "{}", "{\"exit_status\":0,\"output\":\"<end>\"}", false));
	CHECK(comes_to(&place, "words", "{\"x\":[\"a\",\"--help\"]}", "argument 'x' begins with '-'", true));
	CHECK(comes_to(&place, "words", "{\"x\":[\"a\",\"b\\u0000\"]}", "or has a NUL", true));
	CHECK(comes_to(&place, "behind", "{\"x\":[\"-n\",\"a\"]}",
		       "{\"exit_status\":0,\"output\":\"-- -n a\\n\"}", false));
	CHECK(comes_to(&place, "query", "{\"x\":[1,-2,3],\"n\":\"&\"}", "{\"status\":200,\"body\":{\"line\":"
		       "\"GET /q?x=1&x=-2&x=3&n=%26 HTTP/1.1\",\"header\":false,\"body\":null}}", false));
	CHECK(comes_to(&place, "query", "{\"x\":[],\"n\":\"b\"}", "{\"status\":200,\"body\":{\"line\":"
		       "\"GET /q?n=b HTTP/1.1\",\"header\":false,\"body\":null}}", false));
	CHECK(comes_to(&place, "query", "{\"x\":[1,2,3,4]}", "argument 'x' has too many items", true));
	CHECK(comes_to(&place, "query", "{\"x\":[1,\"2\"]}", "an item of argument 'x' is no integer", true));
	CHECK(comes_to(&place, "query", "{\"x\":1}", "argument 'x' is no list", true));
	CHECK(comes_to(&place, "body", "{\"x\":[\"a\\\"],\\\"\",\"]\"]}", "{\"status\":200,\"body\":{\"line\":"
		       "\"POST /b HTTP/1.1\",\"header\":false,\"body\":{\"x\":[\"a\\\"],\\\"\",\"]\"]}}}", false));
	place_close(&place.place);
	kit_mock_close(origin.mock);
}

static void test_lists_redis(void)
{
	struct tools_place place;

	if (!tools_open_redis(&place, "echo, get, put",
		   "- {name: echo, pool: cache, " LIST_OF("x", "") ", redis: [EVAL, 'return ARGV', '0', '{{x}}']}\n"
		   "- {name: get, pool: cache, " LIST_OF("x", "") ", redis: [MGET, none, 'k:{{x}}']}\n"
		   "- {name: put, pool: cache, redis: [SET, 'k:b', alive]}\n"))
		return;
	list_comes_back(&place, "echo", value_of);
	CHECK(comes_to(&place, "put", "{}", "{\"value\":\"OK\"}", false));
	CHECK(comes_to(&place, "get", "{\"x\":[\"a\",\"b\"]}", "{\"value\":[null,null,\"alive\"]}", false));
	tools_close(&place);
}

static void test_lists_sql(void)
{
	struct tools_place place;

	if (!tools_open_sql(&place, "create table canary (secret text); insert into canary values ('alive');",
			    "echo, count, flags, canary",
		   "- {name: echo, pool: db, " LIST_OF("x", "") ", sql: 'select to_json({{x}}::text[]) as t'}\n"
		   "- {name: count, pool: db, parameters: [{name: x, type: integer, items_max: 9}, {name: y, "
		   "items_max: 2}],\n"
		   "   sql: 'select count(*) as n, {{y}}::text[] as y from generate_series(1, 9) i where "
		   "i = any({{x}})'}\n"
		   "- {name: flags, pool: db, " LIST_OF("x", ", type: boolean") ", sql: 'select to_json({{x}}::bool[]) "
		   "as t'}\n"
		   "- {name: canary, pool: db, sql: 'select secret from canary'}\n"))
		return;
	list_comes_back(&place, "echo", text_of_row);
	CHECK(comes_to(&place, "count", "{\"x\":[7,11,1,7],\"y\":[\"NULL\"]}",
		       "{\"rows\":[{\"n\":2,\"y\":\"{\\\"NULL\\\"}\"}],\"row_count\":1,"
		       "\"truncated\":false}", false));
	CHECK(comes_to(&place, "count", "{\"x\":[]}",
		       "{\"rows\":[{\"n\":0,\"y\":null}],\"row_count\":1,\"truncated\":false}", false));
	CHECK(comes_to(&place, "count", "{}",
		       "{\"rows\":[{\"n\":0,\"y\":null}],\"row_count\":1,\"truncated\":false}", false));
	CHECK(comes_to(&place, "flags", "{\"x\":[true,false]}",
		       "{\"rows\":[{\"t\":[true,false]}],\"row_count\":1,\"truncated\":false}", false));
	CHECK(comes_to(&place, "canary", "{}",
		       "{\"rows\":[{\"secret\":\"alive\"}],\"row_count\":1,\"truncated\":false}", false));
	tools_close(&place);
}

static const struct tap_test tests[] = {
	{ "lists: programs and requests", test_lists },
	{ "lists: commands of Redis", test_lists_redis },
	{ "lists: statements of PostgreSQL", test_lists_sql },
};

TAP_TESTS(tools_lists, tests);
