/* SPDX-License-Identifier: Apache-2.0 */
/* tool_rules_test.c - rules of tools: what a name matches, whose rules hold, how a list is told, and what
 * is wrong with them in the file. */
#define _GNU_SOURCE
#include "tests/kit/cmocka/run.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/gateway/config/config.h"
#include "tools/gateway/mcp/tool_list.h"

/* ---- rules by hand */

enum { LIST_MAX = 4 };
typedef const char *const list[LIST_MAX];

static struct gw_tool_rules *rules_of(const char *const *allow, const char *const *deny)
{
	const struct gw_tool_options options = { .lists = { .allow = allow, .deny = deny,
							    .allows = allow != NULL } };
	struct gw_tool_rules *rules = gw_tool_rules_make(&options);

	assert_non_null(rules);
	return rules;
}

static bool may(const struct gw_tool_rules *rules, const char *tenant, const char *name)
{
	return gw_tool_rules_allow(rules, tenant, name, strlen(name));
}

static void a_pattern_is_compared_as_bytes(void **state)
{
	static const struct {
		const char *pattern, *name;
		bool matches;
	} rows[] = {
		{ "echo", "echo", true }, { "echo", "ech", false }, { "echo", "echoo", false },
		{ "echo", "Echo", false }, { "echo", "echo ", false }, { "echo", " echo", false },
		{ "echo", "", false }, { "*", "", true }, { "*", "echo", true }, { "**", "e", true },
		{ "e*", "e", true }, { "e*", "echo", true }, { "e*", "fe", false },
		{ "*o", "echo", true }, { "*o", "oo", true }, { "*o", "echos", false },
		{ "e*o", "eo", true }, { "e*o", "e", false }, { "*a*b*", "xxaxxbxx", true },
		{ "*a*b*", "ba", false }, { "*ab", "aab", true }, { "*aab*", "aaab", true },
		{ "a*b*c", "abbbc", true }, { "a*b*c", "abbbcd", false }, { "a*b", "a*b", true },
		{ "a*b", "a**b", true }, { "read_*", "read_", true }, { "read_*", "read", false },
		{ "caf\xc3\xa9", "caf\xc3\xa9", true }, { "caf\xc3\xa9", "cafe\xcc\x81", false },
		{ "caf*", "caf\xc3\xa9", true }, { "e.ho", "echo", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct gw_tool_rules *allows = rules_of((list){ rows[i].pattern }, NULL);
		struct gw_tool_rules *denies = rules_of(NULL, (list){ rows[i].pattern });

		if (may(allows, "", rows[i].name) != rows[i].matches ||
		    may(denies, "", rows[i].name) == rows[i].matches)
			fail_msg("%s, %s", rows[i].pattern, rows[i].name);
		gw_tool_rules_unref(allows);
		gw_tool_rules_unref(denies);
	}
}

static void a_zero_in_a_name_ends_nothing(void **state)
{
	struct gw_tool_rules *rules = rules_of((list){ "echo", "a*" }, NULL);

	(void)state;
	assert_false(gw_tool_rules_allow(rules, "", "echo\0x", 6));
	assert_false(gw_tool_rules_allow(rules, "", "echo\0", 5));
	assert_true(gw_tool_rules_allow(rules, "", "a\0b", 3));
	gw_tool_rules_unref(rules);
}

static void a_long_name_is_that_of_no_tool(void **state)
{
	struct gw_tool_rules *rules = rules_of((list){ "*" }, NULL);
	char name[GW_TOOL_NAME_MAX + 1];

	(void)state;
	memset(name, 'a', sizeof name);
	assert_true(gw_tool_rules_allow(rules, "", name, sizeof name - 1));
	assert_false(gw_tool_rules_allow(rules, "", name, sizeof name));
	gw_tool_rules_unref(rules);
}

static void deny_wins_and_an_empty_list_allows_none(void **state)
{
	struct gw_tool_rules *both = rules_of((list){ "read_*", "list" }, (list){ "*_secret", "list" });
	struct gw_tool_rules *none = rules_of((list){ NULL }, NULL);

	(void)state;
	assert_true(may(both, "", "read_a") && !may(both, "", "read_secret") && !may(both, "", "list"));
	assert_false(may(both, "", "write_a"));
	assert_false(may(none, "", "a") || may(none, "", ""));
	assert_true(may(NULL, "", "a"));
	gw_tool_rules_unref(both);
	gw_tool_rules_unref(none);
}

static void a_tenant_has_never_more_than_the_route(void **state)
{
	static list all = { "*" }, reads = { "read_*" }, secrets = { "*_secret" };
	struct gw_tool_tenant tenants[] = {
		{ .name = "wide", .lists = { .allow = all, .allows = true } },
		{ .name = "ann", .lists = { .deny = reads } },
		{ .name = "none", .lists = { .allows = true } },
	};
	const struct gw_tool_options options = {
		.lists = { .allow = reads, .deny = secrets, .allows = true }, .tenants = { tenants, 3 },
	};
	struct gw_tool_rules *rules = gw_tool_rules_make(&options);

	(void)state;
	memset(tenants, 0, sizeof tenants); /* it was copied */
	assert_true(gw_tool_rules_vary(rules) && !gw_tool_rules_vary(NULL));
	assert_true(may(rules, "", "read_a") && may(rules, "bob", "read_a") && may(rules, "wide", "read_a"));
	assert_false(may(rules, "wide", "write_a") || may(rules, "wide", "read_secret"));
	assert_false(may(rules, "ann", "read_a") || may(rules, "none", "read_a"));
	assert_true(may(rules, "an", "read_a") && may(rules, "ann ", "read_a"));
	gw_tool_rules_unref(rules);
}

/* A rule that is not there denies nothing that one has decided before: as both are decided by hand. */
static bool expected(uint32_t route_allow, uint32_t route_deny, uint32_t allow, uint32_t deny, int tool)
{
	const uint32_t bit = 1u << tool;

	return !(route_deny & bit) && (route_allow == 0 || route_allow & bit) && !(deny & bit) &&
	       (allow == 0 || allow & bit);
}

/* Every set of three tools as each of the four lists: 8^4 rules. */
static void every_set_of_lists(void **state)
{
	static const char *const names[] = { "one", "two", "three" };
	const char *lists[4][LIST_MAX];

	(void)state;
	for (uint32_t sets = 0; sets < 8 * 8 * 8 * 8; sets++) {
		struct gw_tool_tenant tenant = { .name = "t" };
		struct gw_tool_options options = { .tenants = { &tenant, 1 } };
		struct gw_tool_rules *rules;

		for (int i = 0; i < 4; i++) {
			int count = 0;

			for (int tool = 0; tool < 3; tool++)
				if (sets >> (3 * i) & 1u << tool)
					lists[i][count++] = names[tool];
			lists[i][count] = NULL;
		}
		options.lists = (struct gw_tool_lists){ lists[0], lists[1], lists[0][0] != NULL };
		tenant.lists = (struct gw_tool_lists){ lists[2], lists[3], lists[2][0] != NULL };
		rules = gw_tool_rules_make(&options);
		assert_non_null(rules);
		for (int tool = 0; tool < 3; tool++) {
			assert_int_equal(may(rules, "t", names[tool]),
					 expected(sets & 7, sets >> 3 & 7, sets >> 6 & 7, sets >> 9, tool));
			assert_int_equal(may(rules, "u", names[tool]),
					 expected(sets & 7, sets >> 3 & 7, 0, 0, tool));
		}
		gw_tool_rules_unref(rules);
	}
}

static void *hold(void *user)
{
	for (int i = 0; i < 10000; i++) {
		struct gw_tool_rules *rules = gw_tool_rules_ref(user);

		if (!may(rules, "", "echo"))
			abort();
		gw_tool_rules_unref(rules);
	}
	gw_tool_rules_unref(user);
	return NULL;
}

static void the_last_holder_frees_them(void **state)
{
	struct gw_tool_rules *rules = rules_of((list){ "e*" }, NULL);
	pthread_t threads[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hold, gw_tool_rules_ref(rules)), 0);
	gw_tool_rules_unref(rules);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_null(gw_tool_rules_ref(NULL));
	gw_tool_rules_unref(NULL);
}

/* ---- lists */

static void shows(const struct gw_tool_rules *rules, const char *said, const char *wanted)
{
	struct kolk_mcp_part result = { said, strlen(said) };
	struct gw_pipe out = { .data = NULL };

	assert_true(gw_tool_list_show(rules, "", &result, &out));
	if (result.size != strlen(wanted) || memcmp(result.data, wanted, result.size) != 0)
		fail_msg("%s\nis told as\n%.*s", said, (int)result.size, result.data);
	gw_pipe_free(&out);
}

static void a_list_is_told_byte_for_byte(void **state)
{
	static const char *const rows[][2] = {
		{ "{\"tools\":[{\"name\":\"a\"},{\"name\":\"x\"},{\"name\":\"b\"}]}",
		  "{\"tools\":[{\"name\":\"a\"},{\"name\":\"b\"}]}" },
		{ "{\"tools\":[{\"name\":\"x\"},{\"name\":\"a\"}],\"nextCursor\":\"x\"}",
		  "{\"tools\":[{\"name\":\"a\"}],\"nextCursor\":\"x\"}" },
		{ "{\"tools\":[{\"name\":\"a\"},{\"name\":\"x\"}]}", "{\"tools\":[{\"name\":\"a\"}]}" },
		{ "{\"nextCursor\":\"3\",\"tools\":[{\"name\":\"x\"},{\"name\":\"x\"}]}",
		  "{\"nextCursor\":\"3\",\"tools\":[]}" },
		{ "{\n  \"tools\" : [\n    { \"name\" : \"a\", \"n\": 1.50e3 } ,\n    {\"name\":\"x\"} ,\n\t{\"name\":"
		  "\"b\"}\n  ]\n}",
		  "{\n  \"tools\" : [\n    { \"name\" : \"a\", \"n\": 1.50e3 } ,\n\t{\"name\":\"b\"}\n  ]\n}" },
		{ "{\"tools\":[ {\"name\":\"x\"} , {\"name\":\"a\"} ]}", "{\"tools\":[ {\"name\":\"a\"} ]}" },
		{ "{\"tools\":[ {\"name\":\"x\"} ]}", "{\"tools\":[  ]}" },
		{ "{\"tools\":[]}", "{\"tools\":[]}" }, { "{\"tools\":[ ]}", "{\"tools\":[ ]}" },
		{ "{}", "{}" }, { "{\"tools\":{\"name\":\"a\"}}", "{\"tools\":{\"name\":\"a\"}}" },
		/* names in escapes, twice, of another kind, none; braces and names elsewhere */
		{ "{\"to\\u006fls\":[{\"\\u006eame\":\"\\u0078\"},{\"name\":\"\\u0061\"}]}",
		  "{\"to\\u006fls\":[{\"name\":\"\\u0061\"}]}" },
		{ "{\"tools\":[{\"name\":\"a\",\"name\":\"x\"},{\"name\":\"x\",\"name\":\"a\"}]}",
		  "{\"tools\":[]}" },
		{ "{\"tools\":[{\"name\":[\"a\"]},{\"name\":null},{\"title\":\"a\"},{},[],7,\"a\",null,"
		  "{\"name\":\"b\"}]}", "{\"tools\":[{\"name\":\"b\"}]}" },
		{ "{\"tools\":[{\"title\":\"]},{\\\"name\\\":\\\"x\\\"\",\"name\":\"a\",\"inputSchema\":{\"name\":"
		  "\"x\",\"tools\":[{\"name\":\"x\"}]}}]}",
		  "{\"tools\":[{\"title\":\"]},{\\\"name\\\":\\\"x\\\"\",\"name\":\"a\",\"inputSchema\":{\"name\":"
		  "\"x\",\"tools\":[{\"name\":\"x\"}]}}]}" },
		{ "{\"tools\":[{\"name\":\"a\"}],\"tools\":[{\"name\":\"x\"}]}",
		  "{\"tools\":[{\"name\":\"a\"}],\"tools\":[]}" },
		/* for all, as before: no tenant has lists of its own */
		{ "{\"tools\":[],\"cacheScope\":\"public\"}", "{\"tools\":[],\"cacheScope\":\"public\"}" },
	};
	struct gw_tool_rules *rules = rules_of((list){ "a", "b" }, NULL);

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		shows(rules, rows[i][0], rows[i][1]);
		shows(NULL, rows[i][0], rows[i][0]);
	}
	gw_tool_rules_unref(rules);
}

static void what_is_one_tenants_is_not_public(void **state)
{
	static list none = { "no" };
	struct gw_tool_tenant tenant = { .name = "t", .lists = { .deny = none } };
	const struct gw_tool_options options = { .tenants = { &tenant, 1 } };
	struct gw_tool_rules *rules = gw_tool_rules_make(&options);

	(void)state;
	shows(rules, "{\"ttlMs\":5,\"cacheScope\": \"public\",\"tools\":[{\"name\":\"a\"}]}",
	      "{\"ttlMs\":5,\"cacheScope\": \"private\",\"tools\":[{\"name\":\"a\"}]}");
	shows(rules, "{\"tools\":[],\"cacheScope\":\"private\"}", "{\"tools\":[],\"cacheScope\":\"private\"}");
	gw_tool_rules_unref(rules);
}

/* Random lists with random blanks: what a parser sees of it is what was allowed, in its order. */
static void random_lists(void **state)
{
	static const char *const blanks[] = { "", " ", "\n", "\t ", "\r\n" };
	struct gw_tool_rules *rules = rules_of(NULL, (list){ "x*" });
	unsigned seed = 4711;

	(void)state;
#define BLANK blanks[rand_r(&seed) % 5]
	for (int round = 0; round < 5000; round++) {
		struct gw_pipe out = { .data = NULL };
		struct kolk_mcp_part result;
		json_t *wanted = json_array(), *told;
		char text[2048];
		size_t size = (size_t)sprintf(text, "{%s\"tools\"%s:[%s", BLANK, BLANK, BLANK);
		int count = rand_r(&seed) % 6;

		for (int i = 0; i < count; i++) {
			const bool denied = rand_r(&seed) % 2 != 0;

			size += (size_t)sprintf(text + size, "%s%s{\"n\":%d,%s\"name\":\"%s%d\"}%s",
						i > 0 ? "," : "", BLANK, i, BLANK, denied ? "x" : "a", i, BLANK);
			if (!denied)
				json_array_append_new(wanted, json_pack("{s:i, s:o}", "n", i, "name",
									json_sprintf("a%d", i)));
		}
		size += (size_t)sprintf(text + size, "]%s,\"nextCursor\":\"%d\"}", BLANK, round);
		result = (struct kolk_mcp_part){ text, size };
		assert_true(gw_tool_list_show(rules, "", &result, &out));
		told = json_loadb(result.data, result.size, JSON_REJECT_DUPLICATES, NULL);
		if (told == NULL || !json_equal(json_object_get(told, "tools"), wanted) ||
		    atoi(json_string_value(json_object_get(told, "nextCursor"))) != round)
			fail_msg("%s\nis told as\n%.*s", text, (int)result.size, result.data);
		json_decref(told);
		json_decref(wanted);
		gw_pipe_free(&out);
	}
#undef BLANK
	gw_tool_rules_unref(rules);
}

/* ---- the file: `mcp.tools_*` of a route */

static struct gw_config *load(const char *tenants, const char *tools, char message[600])
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct gw_config *config = NULL;
	char path[] = "/tmp/kolk-gateway-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_true(dprintf(fd, "pools:\n- {name: m, address: 'h:1', protocol: mcp}\n"
				"gateway:\n  listen: [{address: '0.0.0.0:0'}]\n"
				"  trusted_proxies: ['127.0.0.1']\n  tenants: {%s}\n  routes:\n"
				"  - {match: {path: /m}, pool: m, mcp: %s}\n", tenants, tools) > 0);
	close(fd);
	message[0] = 0;
	if (gw_config_load(path, &config, &error) != KOLK_OK)
		snprintf(message, 600, "%u:%u: %s: %s", error.line, error.column, error.message,
			 error.suggestion);
	unlink(path);
	return config;
}

#define BY_HEADER "from: header, header: x-user"

static void the_file_is_read(void **state)
{
	static const struct {
		const char *tools, *tenant, *name;
		bool allowed;
	} rows[] = {
		{ "{tools_allow: [a, 'b*']}", "t", "a", true }, { "{tools_allow: [a, 'b*']}", "t", "bc", true },
		{ "{tools_allow: [a, 'b*']}", "t", "c", false }, { "{tools_allow: []}", "t", "a", false },
		{ "{tools_deny: [a]}", "t", "a", false }, { "{tools_deny: [a]}", "t", "b", true },
		{ "{tools_allow: [a], tools_deny: [a]}", "t", "a", false },
		{ "{tools_tenants: [{name: t, deny: [a]}]}", "t", "a", false },
		{ "{tools_tenants: [{name: t, deny: [a]}]}", "u", "a", true },
		{ "{tools_tenants: [{name: t, allow: []}]}", "t", "a", false },
		{ "{tools_allow: [b], tools_tenants: [{name: t, allow: [a, b]}]}", "t", "a", false },
		{ "{tools_allow: [b], tools_tenants: [{name: t, allow: [a, b]}]}", "t", "b", true },
	};
	char message[600];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct gw_config *c = load(BY_HEADER, rows[i].tools, message);

		assert_string_equal(message, "");
		if (may(c->routes[0].access.tool_rules, rows[i].tenant, rows[i].name) != rows[i].allowed)
			fail_msg("%s: %s, %s", rows[i].tools, rows[i].tenant, rows[i].name);
		gw_config_free(c);
	}
}

static void mistakes_are_told(void **state)
{
	static const char *const bad[][3] = {
		{ BY_HEADER, "{tools_deny: [a, 'b[12]']}",
		  ": this is no pattern of names of tools: '*' alone stands for other bytes" },
		{ BY_HEADER, "{tools_allow: ['^a']}", "this is no pattern of names of tools" },
		{ BY_HEADER, "{tools_allow: ['a ']}", "write it without blanks around it" },
		{ BY_HEADER, "{tools_allow: [\"a\\tb\"]}", "write it without control bytes" },
		{ BY_HEADER, "{tools_allow: a}", "'tools_allow' is a list, not a value" },
		{ BY_HEADER, "{tools_allows: [a]}", "unknown key 'tools_allows'" },
		{ BY_HEADER, "{tools_tenants: [{name: t}]}", ": this tenant has no list" },
		{ BY_HEADER, "{tools_tenants: [{allow: [a]}]}", "'name' is missing here" },
		{ BY_HEADER, "{tools_tenants: [{name: t, deny: ['(']}]}",
		  "this is no pattern of names of tools" },
		{ BY_HEADER, "{tools_tenants: [{name: t, deny: [a]}, {name: t, deny: [b]}]}",
		  ": the tenant 't' has lists already" },
		{ "from: none", "{tools_tenants: [{name: t, deny: [a]}]}",
		  ": clients of this route are not told apart: set 'from' in 'tenants'" },
	};
	char message[600];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_null(load(bad[i][0], bad[i][1], message));
		if (strstr(message, bad[i][2]) == NULL)
			fail_msg("%s: %s", bad[i][1], message);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_pattern_is_compared_as_bytes),
	cmocka_unit_test(a_zero_in_a_name_ends_nothing),
	cmocka_unit_test(a_long_name_is_that_of_no_tool),
	cmocka_unit_test(deny_wins_and_an_empty_list_allows_none),
	cmocka_unit_test(a_tenant_has_never_more_than_the_route),
	cmocka_unit_test(every_set_of_lists),
	cmocka_unit_test(the_last_holder_frees_them),
	cmocka_unit_test(a_list_is_told_byte_for_byte),
	cmocka_unit_test(what_is_one_tenants_is_not_public),
	cmocka_unit_test(random_lists),
	cmocka_unit_test(the_file_is_read),
	cmocka_unit_test(mistakes_are_told),
};

CMOCKA_TESTS(tool_rules, tests);
