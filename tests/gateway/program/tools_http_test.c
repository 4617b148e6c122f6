/* SPDX-License-Identifier: Apache-2.0 */
/* tools_http_test.c - pooled tools that are requests to an HTTP server. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gateway/program/tools_place.h"

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

static void test_http(void)
{
	struct tools_origin origin = { .mock = NULL };
	struct tools_place place;
	char pools[300];

	MUST(tools_origin_open(&origin, pools));
	MUST(tools_open(&place, pools, "get, post, remove, inside, missing, silent, dead", http_tools));
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
	CHECK(comes_to(&place, "dead", "{}", "connection refused: nothing listens at the address", true));
	CHECK(kolk__load_acquire(&origin.requests) == 7);
	place_close(&place.place);
	kit_mock_close(origin.mock);
}

/* The number of the connection that a call of this tenant went over. */
static int number_of(const struct tools_place *place, const char *tenant)
{
	char fields[200];
	json_t *answer;
	int number;

	snprintf(fields, sizeof fields, "X-Tenant: %s\r\nMCP-Protocol-Version: 2026-07-28\r\n"
					"Mcp-Method: tools/call\r\nMcp-Name: number\r\n", tenant);
	answer = ask_json(place, fields, "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"tools/call\",\"params\":{"
				    "\"name\":\"number\"," META("", "") "}}");
	number = atoi(json_string_value(json_object_get(structured(answer), "body")) != NULL ?
		      json_string_value(json_object_get(structured(answer), "body")) : "-1");
	json_decref(answer);
	return number;
}

/* A tenant's calls use its own connections: no other's go over them. */
static void test_tenants(void)
{
	struct tools_origin origin = { .mock = NULL };
	struct tools_place place = { .session = "" };
	char pools[300];
	int owner[64];

	MUST(tools_origin_open(&origin, pools));
	MUST(place_start(&place.place, &(struct place_options){ .engine = "loops: 2", .pools = pools,
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
	place_close(&place.place);
	kit_mock_close(origin.mock);
}

static const struct tap_test tests[] = {
	{ "requests", test_http },
	{ "a tenant's calls use its own connections", test_tenants },
};

TAP_TESTS(tools_http, tests);
