/* SPDX-License-Identifier: Apache-2.0 */
/* section_test.c - a program's own keys in the configuration file: values, places, mistakes, reload,
 * no memory. */
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kolk/ops/section.h>

#include "tests/ops/config_text.h"
#include "tests/ops/reload.h"

/* ---- a program: proxy: {name, token, wait, limits: {...}, cors: {...}, routes: [...]} */

struct cors {
	uint32_t credentials;
	const char *const *origins;
	const struct kolk_config_place *place;
};
struct route {
	const char *path, *pool;
	struct cors cors;
	const struct kolk_config_place *place;
};
struct limits {
	uint32_t size, low, high, word;
	uint64_t bytes;
};
struct proxy {
	const char *name, *token;
	uint64_t wait_ns;
	struct limits limits;
	struct kolk_config_list routes; /* struct route */
	const struct kolk_config_place *place;
};
struct file {
	uint32_t unused;
	struct proxy proxy;
	struct kolk_config_list tools; /* struct cors */
	struct kolk_config_list named; /* struct route */
};

enum {
	LIFE = KOLK_OPTION_LIFE, NONE = KOLK_OPTION_NONE, REQUIRED = KOLK_OPTION_REQUIRED,
	SECRET = KOLK_OPTION_SECRET
};
typedef const char *text;
typedef const char *const *texts;

/* clang-format off */
#define KOLK_OPTION_STRUCT struct cors
static const struct kolk_option cors_rows[] = {
	KOLK_OPTION_ROW(uint32_t, credentials, SWITCH, 0, 0, 0, 1, "credentials", NULL, NULL, NULL, "")
	KOLK_OPTION_ROW(texts, origins, LIST, 0, 0, 1, 64, "origins", NULL, NULL, NULL, "")
};
static const struct kolk_option_table cors_table = KOLK_OPTION_TABLE("cors", cors_rows);
#undef KOLK_OPTION_STRUCT
#define KOLK_OPTION_STRUCT struct route
static const struct kolk_option route_rows[] = {
	KOLK_OPTION_ROW(text, path, TEXT, REQUIRED, 0, 1, 64, "path", NULL, NULL, NULL, "")
	KOLK_OPTION_ROW(text, pool, TEXT, 0, 0, 1, 64, "pool", NULL, NULL, NULL, "")
};
static const struct kolk_option_table route_table = KOLK_OPTION_TABLE("route", route_rows);
#undef KOLK_OPTION_STRUCT
#define KOLK_OPTION_STRUCT struct limits
static const struct kolk_option_word words[] = { { "few", 1 }, { "many", 2 }, { NULL, 0 } };
static const struct kolk_option limit_rows[] = {
	KOLK_OPTION_ROW(uint32_t, size, SIZE, 0, 0, 0, 0, NULL, NULL, NULL, NULL, "")
	KOLK_OPTION_ROW(uint32_t, low, COUNT, NONE, 2, 1, 100, "limits.low", NULL, NULL, NULL, "")
	KOLK_OPTION_ROW(uint32_t, high, COUNT, 0, 10, 1, 100, "limits.high", NULL, NULL, NULL, "")
	KOLK_OPTION_ROW(uint32_t, word, WORD, LIFE, 0, 0, 0, "limits.word", words, NULL, NULL, "")
	KOLK_OPTION_ROW(uint64_t, bytes, BYTES, 0, 4096, 1, 1 << 20, "limits.bytes", NULL, NULL, NULL, "")
};
static const struct kolk_option_bound limit_bounds[] = { { "low", 0, "high" }, { NULL, 0, NULL } };
static const struct kolk_option_table limit_table =
	KOLK_OPTION_TABLE_BOUND("limits", limit_rows, limit_bounds);
#undef KOLK_OPTION_STRUCT
#define KOLK_OPTION_STRUCT struct proxy
static const struct kolk_option proxy_rows[] = {
	KOLK_OPTION_ROW(text, name, TEXT, LIFE, 0, 1, 64, "name", NULL, NULL, NULL, "")
	KOLK_OPTION_ROW(text, token, TEXT, SECRET, 0, 1, 64, "token", NULL, NULL, NULL, "")
	KOLK_OPTION_ROW(uint64_t, wait_ns, DURATION, 0, KOLK_S_NS, 1, 60 * KOLK_S_NS, "wait", NULL,
			NULL, NULL, "")
};
static const struct kolk_option_table proxy_table = KOLK_OPTION_TABLE("proxy", proxy_rows);
#undef KOLK_OPTION_STRUCT

static const struct kolk_section_part cors_parts[] = {
	{ .kind = KOLK_SECTION_KEYS, .table = &cors_table },
};
static const struct kolk_section cors = KOLK_SECTION("cors", struct cors, place, cors_parts);
static const struct kolk_section_part route_parts[] = {
	{ .kind = KOLK_SECTION_KEYS, .table = &route_table },
	{ .kind = KOLK_SECTION_MAP, .key = "cors", .section = &cors,
	  .offset = offsetof(struct route, cors) },
};
static const struct kolk_section route = KOLK_SECTION("routes", struct route, place, route_parts);
static const struct kolk_section named = KOLK_SECTION_KEYED("named", struct route, place, route_parts);
static const struct kolk_section_part limit_parts[] = {
	{ .kind = KOLK_SECTION_KEYS, .table = &limit_table, .key = "limits." },
};
static const struct kolk_section limit = { .name = "limits", .struct_size = sizeof(struct limits),
					   .parts = limit_parts, .part_count = 1 };
static const struct kolk_section_part proxy_parts[] = {
	{ .kind = KOLK_SECTION_KEYS, .table = &proxy_table },
	{ .kind = KOLK_SECTION_MAP, .key = "limits", .section = &limit,
	  .offset = offsetof(struct proxy, limits) },
	{ .kind = KOLK_SECTION_LIST, .key = "routes", .section = &route, .required = 1,
	  .entries_max = 3, .offset = offsetof(struct proxy, routes) },
};
static const struct kolk_section proxy = KOLK_SECTION("proxy", struct proxy, place, proxy_parts);
static const struct kolk_section_part file_parts[] = {
	{ .kind = KOLK_SECTION_MAP, .key = "proxy", .section = &proxy, .required = 1,
	  .offset = offsetof(struct file, proxy) },
	{ .kind = KOLK_SECTION_LIST, .key = "tools", .section = &cors,
	  .offset = offsetof(struct file, tools) },
	{ .kind = KOLK_SECTION_LIST, .key = "named", .section = &named,
	  .entries_max = 3, .offset = offsetof(struct file, named) },
};
static const struct kolk_section file = { .name = "test", .struct_size = sizeof(struct file),
					  .parts = file_parts, .part_count = 3 };
/* clang-format on */

/* What hooks saw, and what they are to answer. */
static struct {
	uint32_t checks, prepares, dones;
	enum kolk_err refuse, done_err;
	const char *before, *after; /* proxy.token of both */
} seen;

static const struct proxy *proxy_of(const struct kolk_config *config)
{
	return &((const struct file *)kolk_config_own(config))->proxy;
}

/* A route's pool exists. */
static void check(void *user, struct kolk_config *config, void *own,
		  struct kolk_config_error *error)
{
	const struct file *f = own;
	const struct route *r = f->proxy.routes.items;

	assert_ptr_equal(user, &seen);
	seen.checks++;
	for (uint32_t i = 0; i < f->proxy.routes.count; i++, r++) {
		bool found = r->pool == NULL;

		for (uint32_t j = 0; !found && kolk_config_pool(config, j) != NULL; j++)
			found = strcmp(kolk_config_pool(config, j)->name, r->pool) == 0;
		if (!found)
			assert_false(kolk_config_wrong(config, error,
						       kolk_config_place(r->place, "pool"),
						       "add it to 'pools'", "no pool is called '%s'",
						       r->pool));
	}
}

static enum kolk_err prepare(void *user, const struct kolk_config *before,
			     const struct kolk_config *after, struct kolk_config_error *error)
{
	assert_ptr_equal(user, &seen);
	seen.prepares++;
	seen.before = proxy_of(before)->token;
	seen.after = proxy_of(after)->token;
	if (seen.refuse == KOLK_E_IN_USE)
		kolk_config_wrong(after, error, proxy_of(after)->place, "", "it is taken");
	return seen.refuse;
}

static void done(void *user, const struct kolk_config *before, const struct kolk_config *after,
		 enum kolk_err err)
{
	assert_ptr_equal(user, &seen);
	assert_ptr_equal(proxy_of(before)->token, seen.before);
	assert_ptr_equal(proxy_of(after)->token, seen.after);
	seen.dones++;
	seen.done_err = err;
}

static struct kolk_config_program program(void)
{
	struct kolk_config_program p = KOLK_INIT(kolk_config_program);

	memset(&seen, 0, sizeof seen);
	p.file = &file;
	p.environment = config_world;
	p.check = check;
	p.prepare = prepare;
	p.done = done;
	p.user = &seen;
	return p;
}

static enum kolk_err read_text(const char *string, struct kolk_config **config,
			       struct kolk_config_error *error)
{
	const struct kolk_config_program p = program();

	*error = (struct kolk_config_error)KOLK_INIT(kolk_config_error);
	return kolk_config_parse_for(&p, "test", string, strlen(string), config, error);
}

/* ---- values */

static void values_arrive(void **state)
{
	static const char whole[] =
		"pools:\n- {name: a, address: 'h:1'}\n"
		"proxy:\n"
		"  token: ${TEST_WORD}\n"
		"  wait: 250ms\n"
		"  limits: {low: none, high: 7, word: many, bytes: 4KiB}\n"
		"  routes:\n"
		"  - path: /a\n"
		"    pool: a\n"
		"    cors: {origins: [x, y], credentials: true}\n"
		"  - {path: /b}\n"
		"tools: [{origins: [z]}]\n";
	struct kolk_config_error error;
	struct kolk_config *config;
	const struct file *f;
	const struct route *r;

	(void)state;
	assert_int_equal(read_text(whole, &config, &error), KOLK_OK);
	assert_int_equal(seen.checks, 1);
	f = kolk_config_own(config);
	r = f->proxy.routes.items;
	assert_string_equal(f->proxy.token, "hunter2");
	assert_null(f->proxy.name);
	assert_int_equal(f->proxy.wait_ns, 250 * KOLK_MS_NS);
	assert_int_equal(f->proxy.limits.size, sizeof f->proxy.limits);
	assert_int_equal(f->proxy.limits.low, KOLK_NONE);
	assert_int_equal(f->proxy.limits.high, 7);
	assert_int_equal(f->proxy.limits.word, 2);
	assert_int_equal(f->proxy.limits.bytes, 4096);
	assert_int_equal(f->proxy.routes.count, 2);
	assert_string_equal(r[0].path, "/a");
	assert_string_equal(r[0].cors.origins[1], "y");
	assert_null(r[0].cors.origins[2]);
	assert_int_equal(r[0].cors.credentials, 1);
	assert_non_null(r[0].cors.place);
	assert_null(r[1].cors.place); /* not in the file */
	assert_int_equal(f->tools.count, 1);
	assert_string_equal(((const struct cors *)f->tools.items)->origins[0], "z");
	kolk_config_free(config);
}

static void a_list_may_be_a_map_of_names(void **state)
{
	static const char whole[] = "pools: []\nproxy: {routes: []}\n"
				    "named:\n  /a: {pool: x, cors: {origins: [y]}}\n  /b:\n  7: {}\n";
	struct kolk_config_error error;
	struct kolk_config *config;
	const struct file *f;
	const struct route *r;

	(void)state;
	assert_int_equal(read_text(whole, &config, &error), KOLK_OK);
	f = kolk_config_own(config);
	r = f->named.items;
	assert_int_equal(f->named.count, 3);
	assert_string_equal(r[0].path, "/a");
	assert_string_equal(r[0].pool, "x");
	assert_string_equal(r[0].cors.origins[0], "y");
	assert_string_equal(r[1].path, "/b");
	assert_null(r[1].pool);
	assert_string_equal(r[2].path, "7");
	assert_false(kolk_config_wrong(config, &error, kolk_config_place(r[0].place, "path"), "",
				       "here"));
	assert_int_equal(error.line, 4);
	assert_int_equal(error.column, 3);
	kolk_config_free(config);
}

/* What a file leaves out is the default, and sizes are set all the same. */
static void nothing_is_the_default(void **state)
{
	struct kolk_config_error error;
	struct kolk_config *config;

	(void)state;
	assert_int_equal(read_text("pools: []\nproxy: {routes: []}\n", &config, &error), KOLK_OK);
	assert_int_equal(proxy_of(config)->limits.size, sizeof(struct limits));
	assert_int_equal(proxy_of(config)->limits.low, 0);
	assert_int_equal(proxy_of(config)->routes.count, 0);
	assert_non_null(proxy_of(config)->place);
	kolk_config_free(config);
	config = must_parse("pools: []\n", config_nothing);
	assert_null(kolk_config_own(config));
	kolk_config_free(config);
}

/* ---- mistakes */

static void mistakes_have_a_place(void **state)
{
	static const struct {
		const char *text, *message;
	} bad[] = {
		{ "pools: []\n", "test:1:1: 'proxy' is missing here" },
		{ "pools: []\nproxy: {}\n", "test:2:8: 'routes' is missing here" },
		{ "pools: []\nproxi: {routes: []}\n", "test:2:1: unknown key 'proxi' in the file: did "
						      "you mean 'proxy'?\ntest:1:1: 'proxy' is missing here" },
		{ "pools: []\nproxy:\n  rutes: []\n  routes: []\n",
		  "test:3:3: unknown key 'rutes' in 'proxy': did you mean 'routes'?" },
		{ "pools: []\nproxy:\n  routes:\n  - {path: /a, orgins: [x]}\n",
		  "test:4:16: unknown key 'orgins' in 'routes'" },
		{ "pools: []\nproxy:\n  routes:\n  - {path: /a, origins: [x]}\n",
		  "test:4:16: unknown key 'origins' in 'routes': did you mean 'origins' in 'cors'?" },
		{ "pools: []\nproxy:\n  high: 3\n  routes: []\n",
		  "test:3:3: unknown key 'high' in 'proxy': did you mean 'high' in 'limits'?" },
		{ "pools: []\nproxy:\n  routes:\n  - {pool: a}\n", "test:4:5: 'path' is missing here" },
		{ "pools: []\nproxy: {wait: 30, routes: []}\n",
		  "test:2:15: 'wait' is a duration, and '30' has no unit: write 30s, 250ms, 5m or 1h" },
		{ "pools: []\nproxy: {limits: {word: all}, routes: []}\n",
		  "test:2:24: 'word' cannot be 'all': few or many" },
		{ "pools: []\nproxy: {limits: {low: 11}, routes: []}\n",
		  "test:2:23: 'low' (11) is more than 'high' (10, the default)" },
		{ "pools: []\nproxy: {limits: 3, routes: []}\n",
		  "test:2:17: 'limits' has keys of its own: a value cannot be here: write limits: {low: "
		  "...}, or leave it out" },
		{ "pools: []\nproxy: {routes: {path: /a}}\n",
		  "test:2:17: 'routes' is a list, not a map: begin each entry with a dash: '- '" },
		{ "pools: []\nproxy: {routes: []}\nnamed: {/a: 3}\n",
		  "test:3:13: '/a' is a map, not a value: write {} for one that has nothing else" },
		{ "pools: []\nproxy: {routes: []}\nnamed: {/a: {path: /b}}\n",
		  "test:3:20: 'path' is '/a' already: leave it out" },
		{ "pools: []\nproxy: {routes: []}\nnamed: {/a: {}, /b: {}, /c: {}, /d: {}}\n",
		  "test:3:8: more than 3 entries in 'named'" },
		{ "pools: []\nproxy: {routes: []}\nnamed:\n  /a: {pol: x}\n",
		  "test:4:8: unknown key 'pol' in 'named': did you mean 'pool'?" },
		{ "pools: []\nproxy:\n  routes: [{path: a}, {path: b}, {path: c}, {path: d}]\n",
		  "test:3:11: more than 3 entries in 'routes'" },
		{ "pools: []\nproxy:\n  routes:\n  - {path: /a, pool: b}\n  - {path: /a, pool: c}\n",
		  "test:4:22: no pool is called 'b': add it to 'pools'\n"
		  "test:5:22: no pool is called 'c': add it to 'pools'" },
		/* The library's contradictions and the program's are reported together. */
		{ "pools: [{name: a}]\nproxy:\n  routes:\n  - {path: /a, pool: b}\n",
		  "test:1:9: 'address' is missing here\n"
		  "test:4:22: no pool is called 'b': add it to 'pools'" },
	};
	struct kolk_config_error error;
	struct kolk_config *config;
	char message[3000];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(read_text(bad[i].text, &config, &error), KOLK_E_OPTIONS);
		assert_null(config);
		kolk_config_error_text(&error, message, sizeof message);
		assert_string_equal(message, bad[i].message);
	}
}

/* Without the program its sections are unknown keys. */
static void undeclared_keys_are_errors(void **state)
{
	static const char with[] = "pools: []\nproxy: {routes: []}\n";
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *config;

	(void)state;
	assert_int_equal(kolk_config_parse("test", with, strlen(with), config_nothing, &config, &error),
			 KOLK_E_OPTIONS);
	assert_string_equal(error.message, "unknown key 'proxy' in the file");
}

static void places_are_found(void **state)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *config;
	const struct kolk_config_place *list;
	const struct route *r;

	(void)state;
	assert_int_equal(read_text("pools: []\nproxy:\n  routes:\n  - path: /a\n"
				   "    cors:\n      origins: [x,\n        y]\n", &config, &error),
			 KOLK_OK);
	r = proxy_of(config)->routes.items;
	list = kolk_config_place(r->cors.place, "origins");
	kolk_config_wrong(config, &error, kolk_config_place_entry(list, 1), "try 1", "bad %d", 7);
	assert_int_equal(error.line, 7);
	assert_int_equal(error.column, 9);
	assert_int_equal(error.err, KOLK_E_OPTIONS);
	assert_string_equal(error.message, "bad 7");
	assert_string_equal(error.suggestion, "try 1");
	assert_ptr_equal(kolk_config_place_entry(list, 2), list);
	assert_ptr_equal(kolk_config_place_entry(r->place, 0), r->place);
	assert_ptr_equal(kolk_config_place(r->place, "pool"), r->place);
	kolk_config_wrong(config, &error, NULL, "", "all of it");
	assert_string_equal(error.more, "test: all of it");
	assert_int_equal(error.mistakes, 2);
	kolk_config_free(config);
}

/* ---- no memory */

static void every_allocation_of_a_program_fails_once(void **state)
{
	static const char string[] = "pools: []\nproxy: {limits: {low: 3}, routes: [{path: /a, cors: "
				     "{origins: [x]}}]}\n";
	struct kolk_config_error error;
	struct kolk_config *config = NULL;
	enum kolk_err err = KOLK_E_MEMORY;
	uint32_t count;

	(void)state;
	for (count = 0; err == KOLK_E_MEMORY && count < 1000; count++) {
		config_allocations_left = count;
		err = read_text(string, &config, &error);
		assert_true(err == KOLK_OK || (config == NULL && error.err == KOLK_E_MEMORY));
	}
	config_allocations_left = UINT32_MAX;
	assert_int_equal(err, KOLK_OK);
	assert_true(count > 40);
	kolk_config_free(config);
}

/* ---- a description that is wrong */

static void expect_misdescribed(const struct kolk_section *own, const char *message)
{
	static const char nothing[] = "pools: []\n";
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config_program p = KOLK_INIT(kolk_config_program);
	struct kolk_config *config;

	p.file = own;
	assert_int_equal(kolk_config_parse_for(&p, "test", nothing, strlen(nothing), &config, &error),
			 KOLK_E_OPTIONS);
	if (own != NULL)
		assert_string_equal(error.message, message);
}

static void wrong_descriptions_are_refused(void **state)
{
	static struct kolk_section_part part = { .kind = KOLK_SECTION_MAP, .key = "pools",
						 .section = &proxy };
	static struct kolk_section own = { .name = "own", .struct_size = sizeof(struct proxy),
					   .parts = &part, .part_count = 1 };

	(void)state;
	expect_misdescribed(NULL, "");
	expect_misdescribed(&own, "the program's section 'own' declares a key twice: 'pools'");
	part.key = NULL;
	expect_misdescribed(&own, "the program's section 'own' has a part that is none");
	part = (struct kolk_section_part){ .kind = KOLK_SECTION_MAP, .key = "own", .section = &own };
	expect_misdescribed(&own, "the program's section 'own' is too deep");
}

/* ---- reload */

static struct kolk_config *must_read(const char *string)
{
	struct kolk_config_error error;
	struct kolk_config *config;
	char message[600];

	if (read_text(string, &config, &error) != KOLK_OK) {
		kolk_config_error_text(&error, message, sizeof message);
		fail_msg("%s", message);
	}
	return config;
}

static void hooks_see_a_reload(void **state)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *one = must_read("engine: {backend: epoll, loops: 1}\npools: []\n"
					    "proxy: {token: a, routes: []}\n");
	struct kolk_config *two = must_read("engine: {backend: epoll, loops: 1}\npools: []\n"
					    "proxy: {token: b, routes: []}\n");
	struct kolk_engine *engine;

	(void)state;
	assert_int_equal(kolk_config_open(one, NULL, &engine, &error), KOLK_OK);
	assert_int_equal(kolk_config_apply(engine, one, two, &error), KOLK_OK);
	assert_int_equal(seen.prepares, 1);
	assert_int_equal(seen.dones, 1);
	assert_int_equal(seen.done_err, KOLK_OK);
	assert_string_equal(seen.before, "a");
	assert_string_equal(seen.after, "b");
	seen.refuse = KOLK_E_FILES;
	assert_int_equal(kolk_config_apply(engine, two, one, &error), KOLK_E_FILES);
	assert_int_equal(seen.dones, 1);
	assert_string_equal(error.message, "the program refuses it: out of file descriptors");
	error = (struct kolk_config_error)KOLK_INIT(kolk_config_error);
	seen.refuse = KOLK_E_IN_USE;
	assert_int_equal(kolk_config_apply(engine, two, one, &error), KOLK_E_IN_USE);
	assert_string_equal(error.message, "it is taken");
	assert_int_equal(error.line, 3);
	kolk_config_free(one);
	kolk_config_free(two);
	assert_int_equal(kolk_engine_destroy(engine), KOLK_OK);
}

/* What the engine refuses after prepare is reported to done. */
static void done_follows_a_failed_change(void **state)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *one = must_read("engine: {backend: epoll, loops: 1, connections_max: 4}\n"
					    "pools: []\nproxy: {routes: []}\n");
	struct kolk_config *two = must_read("engine: {backend: epoll, loops: 1, connections_max: 5}\n"
					    "pools: []\nproxy: {routes: []}\n");
	struct kolk_engine *engine;

	(void)state;
	assert_int_equal(kolk_config_open(one, NULL, &engine, &error), KOLK_OK);
	assert_int_not_equal(kolk_config_apply(engine, one, two, &error), KOLK_OK);
	assert_int_equal(seen.prepares, 1);
	assert_int_equal(seen.dones, 1);
	assert_int_not_equal(seen.done_err, KOLK_OK);
	kolk_config_free(one);
	kolk_config_free(two);
	assert_int_equal(kolk_engine_destroy(engine), KOLK_OK);
}

static void what_is_for_life_stays(void **state)
{
	static const char *const next[] = { "proxy: {name: b, routes: []}\n",
					    "proxy: {name: a, limits: {word: many}, routes: []}\n",
					    "proxy: {routes: []}\n" };
	static const char head[] = "engine: {backend: epoll, loops: 1}\npools: []\n";
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *one, *two;
	struct kolk_engine *engine;
	char string[300];

	(void)state;
	snprintf(string, sizeof string, "%sproxy: {name: a, routes: []}\n", head);
	one = must_read(string);
	assert_int_equal(kolk_config_open(one, NULL, &engine, &error), KOLK_OK);
	for (int i = 0; i < 3; i++) {
		error = (struct kolk_config_error)KOLK_INIT(kolk_config_error);
		snprintf(string, sizeof string, "%s%s", head, next[i]);
		two = must_read(string);
		assert_int_equal(kolk_config_apply(engine, one, two, &error), KOLK_E_OPTIONS);
		assert_int_equal(seen.prepares, 0);
		assert_string_equal(error.message, i == 1 ?
				    "'word' cannot change while the program works" :
				    "'name' cannot change while the program works");
		assert_int_equal(error.line, 3);
		kolk_config_free(two);
	}
	kolk_config_free(one);
	assert_int_equal(kolk_engine_destroy(engine), KOLK_OK);
}

static void put_file(const char *path, const char *string)
{
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	fputs(string, out);
	fclose(out);
}

/* kolk_config_reload knows the program by the configuration in force. */
static void a_reload_keeps_the_program(void **state)
{
	static const char first[] = "engine: {backend: epoll, loops: 1}\npools: []\n"
				    "proxy: {token: a, routes: []}\n";
	static const char second[] = "engine: {backend: epoll, loops: 1}\npools: []\n"
				     "proxy: {token: '${TEST_WORD}', routes: []}\n";
	const struct kolk_config_program p = program();
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	char path[] = "/tmp/kolk-section-XXXXXX", answer[300];
	struct kolk_config_source source = { .path = path };
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	put_file(path, first);
	assert_int_equal(kolk_config_load_for(&p, path, &source.config, &error), KOLK_OK);
	assert_int_equal(kolk_config_open(source.config, NULL, &source.engine, &error), KOLK_OK);
	put_file(path, second);
	assert_int_equal(kolk_config_reload(&source, answer, sizeof answer), KOLK_OK);
	assert_string_equal(proxy_of(source.config)->token, "hunter2");
	assert_int_equal(seen.prepares, 1);
	assert_int_equal(seen.checks, 2);
	put_file(path, "pools: []\nproxy: {}\n");
	assert_int_equal(kolk_config_reload(&source, answer, sizeof answer), KOLK_E_OPTIONS);
	assert_non_null(strstr(answer, ":2:8: 'routes' is missing here"));
	assert_int_equal(seen.prepares, 1);
	kolk_config_free(source.config);
	assert_int_equal(kolk_engine_destroy(source.engine), KOLK_OK);
	unlink(path);
}

static void expect_place(const struct kolk_config *config, const struct kolk_config_place *place,
			 uint32_t line, uint32_t column)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);

	kolk_config_wrong(config, &error, place, "", "here");
	assert_int_equal(error.line, line);
	assert_int_equal(error.column, column);
}

/* Of keys that are the library's; of one that is not there its section. */
static void the_librarys_keys_have_a_place(void **state)
{
	static const char *const variables[] = { "KOLK_ADMIN_LISTEN=unix:/b", NULL };
	static const char yaml[] = "admin: {listen: 'unix:/a'}\npools:\n- {name: a, address: 'a:1'}\n"
				   "- name: b\n  child:\n    command: [/x]\n";
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *config;

	(void)state;
	assert_int_equal(kolk_config_parse("test", yaml, strlen(yaml), config_nothing, &config, &error),
			 KOLK_OK);
	expect_place(config, kolk_config_place_of(config, "admin", 0, "listen"), 1, 17);
	expect_place(config, kolk_config_place_of(config, "pools", 0, "address"), 3, 22);
	expect_place(config, kolk_config_place_of(config, "pools", 0, "bind_address"), 3, 3);
	expect_place(config, kolk_config_place_of(config, "pools", 1, "command"), 6, 14);
	kolk_config_free(config);
	assert_int_equal(kolk_config_parse("test", yaml, strlen(yaml), variables, &config, &error),
			 KOLK_OK);
	kolk_config_wrong(config, &error, kolk_config_place_of(config, "admin", 0, "listen"), "", "here");
	assert_string_equal(error.file, "KOLK_ADMIN_LISTEN");
	kolk_config_free(config);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(values_arrive),
	cmocka_unit_test(a_list_may_be_a_map_of_names),
	cmocka_unit_test(nothing_is_the_default),
	cmocka_unit_test(mistakes_have_a_place),
	cmocka_unit_test(undeclared_keys_are_errors),
	cmocka_unit_test(places_are_found),
	cmocka_unit_test(the_librarys_keys_have_a_place),
	cmocka_unit_test(every_allocation_of_a_program_fails_once),
	cmocka_unit_test(wrong_descriptions_are_refused),
	cmocka_unit_test(hooks_see_a_reload),
	cmocka_unit_test(done_follows_a_failed_change),
	cmocka_unit_test(what_is_for_life_stays),
	cmocka_unit_test(a_reload_keeps_the_program),
};
CMOCKA_TESTS(section, tests);
