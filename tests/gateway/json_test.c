/* SPDX-License-Identifier: Apache-2.0 */
/* json_test.c - the members of objects: as a parser sees them, and byte for byte. */
#include "tests/kit/cmocka/run.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/json.h"

static struct kolk_mcp_part part(const char *text)
{
	return (struct kolk_mcp_part){ text, strlen(text) };
}

static bool is(struct kolk_mcp_part got, const char *text)
{
	return got.size == strlen(text) && memcmp(got.data, text, got.size) == 0;
}

static void members_are_as_they_are_written(void **state)
{
	struct kolk_mcp_part rest = part(" { \"a\" : 1.50e3 ,\n\"b\\\"}\":{\"a\":[{},\"]}\"]} , \"\":[ ],"
					 "\"c\":null,\"d\":\"x\\\\\" } ");
	static const char *const wanted[][2] = { { "\"a\"", "1.50e3" },
						 { "\"b\\\"}\"", "{\"a\":[{},\"]}\"]}" },
						 { "\"\"", "[ ]" },
						 { "\"c\"", "null" },
						 { "\"d\"", "\"x\\\\\"" } };
	struct gw_json_member member;

	(void)state;
	rest.data++; /* parts begin at their brace */
	rest.size--;
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
		assert_true(gw_json_next(&rest, &member));
		assert_true(is(member.name, wanted[i][0]) && is(member.value, wanted[i][1]));
	}
	assert_false(gw_json_next(&rest, &member));
}

static void a_member_is_found_by_its_name(void **state)
{
	struct kolk_mcp_part object = part("{\"x\":{\"name\":1},\"n\\u0061me\":2,\"name\":3}");

	(void)state;
	assert_true(is(gw_json_member_of(object, "name"), "2"));
	assert_int_equal(gw_json_member_of(object, "nam").size, 0);
	assert_int_equal(gw_json_member_of(object, "names").size, 0);
	assert_int_equal(gw_json_member_of(part("{}"), "name").size, 0);
	assert_int_equal(gw_json_member_of(part("\"name\""), "name").size, 0);
	assert_int_equal(gw_json_member_of(part("[\"name\",1]"), "name").size, 0);
	assert_int_equal(gw_json_member_of(part("7"), "name").size, 0);
	assert_int_equal(gw_json_member_of((struct kolk_mcp_part){ NULL, 0 }, "name").size, 0);
	assert_true(gw_json_says(part("\"a\\nb\""), "a\nb"));
	assert_false(gw_json_says(part("ab"), "ab"));
}

static void entries_are_as_they_are_written(void **state)
{
	struct kolk_mcp_part rest = part("[ [1,[2]] ,\"],\", {\"a\":[]},-0]"), entry;
	static const char *const wanted[] = { "[1,[2]]", "\"],\"", "{\"a\":[]}", "-0" };

	(void)state;
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
		assert_true(gw_json_entry_next(&rest, &entry));
		assert_true(is(entry, wanted[i]));
	}
	assert_false(gw_json_entry_next(&rest, &entry));
	rest = part("[]");
	assert_false(gw_json_entry_next(&rest, &entry));
}

/* ---- against a parser */

static uint32_t seed = 1;

static uint32_t random_below(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

static json_t *random_value(uint32_t depth)
{
	static const char *const texts[] = { "", "\"", "\\", "}]", "a,b:c", "{\"", "\xc3\xa4\n" };
	json_t *made;

	switch (random_below(depth > 0 ? 6 : 4)) {
	case 0:
		return json_string(texts[random_below(7)]);
	case 1:
		return json_integer(-(json_int_t)random_below(1000));
	case 2:
		return json_real(0.5);
	case 3:
		return random_below(2) ? json_true() : json_null();
	case 4:
		made = json_array();
		for (uint32_t i = random_below(4); i > 0; i--)
			json_array_append_new(made, random_value(depth - 1));
		return made;
	default:
		made = json_object();
		for (uint32_t i = random_below(4); i > 0; i--)
			json_object_set_new(made, texts[random_below(7)], random_value(depth - 1));
		return made;
	}
}

static void a_parser_finds_the_same(void **state)
{
	static const size_t styles[] = { JSON_COMPACT, JSON_INDENT(2), JSON_ENSURE_ASCII, 0 };

	(void)state;
	for (int i = 0; i < 4000; i++) {
		json_t *object = json_object(), *value, *found;
		struct kolk_mcp_part rest;
		struct gw_json_member member;
		char *text;
		void *at;

		for (uint32_t k = random_below(5); k > 0; k--)
			json_object_set_new(object, (const char *[]){ "a", "\\", "\"x", "" }[k % 4],
					    random_value(4));
		text = json_dumps(object, styles[i % 4]);
		rest = part(text);
		at = json_object_iter(object);
		while (gw_json_next(&rest, &member)) {
			assert_non_null(at);
			value = json_object_iter_value(at);
			found = json_loadb(member.value.data, member.value.size, JSON_DECODE_ANY, NULL);
			assert_true(json_equal(value, found));
			assert_true(gw_json_says(member.name, json_object_iter_key(at)));
			json_decref(found);
			at = json_object_iter_next(object, at);
		}
		assert_null(at);
		free(text);
		json_decref(object);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(members_are_as_they_are_written),
	cmocka_unit_test(a_member_is_found_by_its_name),
	cmocka_unit_test(entries_are_as_they_are_written),
	cmocka_unit_test(a_parser_finds_the_same),
};
CMOCKA_TESTS(json, tests);
