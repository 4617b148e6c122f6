/* SPDX-License-Identifier: Apache-2.0 */
/* tools_redis_test.c - pooled tools that are commands of Redis. */
#include <stdio.h>
#include <string.h>

#include "tests/gateway/program/tools_place.h"

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
static void check_long_replies(const struct tools_place *place)
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

static void check_redis(const struct tools_place *place)
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
static void keys_come_back(const struct tools_place *place)
{
	for (uint32_t i = 0; i < attempt_count; i++) {
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

	for (uint32_t i = 0; i < attempt_count; i++) {
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
	struct tools_place place;
	char wanted[64];

	if (!tools_open_redis(&place, "echo, key, script, wrong, size, ones, text, put, canary, block, cases",
			      redis_tools))
		return;
	CHECK(comes_to(&place, "put", "{}", "{\"value\":\"OK\"}", false));
	check_redis(&place);
	attempts_come_back(&place, "echo", value_of, true);
	keys_come_back(&place);
	snprintf(wanted, sizeof wanted, "{\"value\":%u}", distinct_attempts() + 2);
	CHECK(comes_to(&place, "size", "{}", wanted, false)); /* with canary and c:a */
	CHECK(comes_to(&place, "canary", "{}", "{\"success\":true,\"data\":{\"value\":\"alive\"}}", false));
	tools_close(&place);
}

static const struct tap_test tests[] = {
	{ "commands of Redis", test_redis },
};

TAP_TESTS(tools_redis, tests);
