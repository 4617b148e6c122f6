/* SPDX-License-Identifier: Apache-2.0 */
/* route_test.c - which route a request takes, and which paths it does not take at all. */
#include "tests/kit/cmocka/run.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "tools/gateway/route.h"

/* The routes of a file, in the order of trial. */
static struct gw_view *view_of(const char *routes)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct gw_config *config = NULL;
	struct gw_view *view = NULL;
	char path[] = "/tmp/kolk-gateway-XXXXXX", message[600];
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_true(dprintf(fd,
			    "pools: [{name: api, address: 'h:1', protocol: http}]\n"
			    "gateway:\n  listen: [{address: '0.0.0.0:0'}]\n  routes:\n%s",
			    routes) > 0);
	close(fd);
	if (gw_config_load(path, &config, &error) != KOLK_OK) {
		kolk_config_error_text(&error, message, sizeof message);
		fail_msg("%s", message);
	}
	unlink(path);
	assert_int_equal(gw_view_make(config, &view), KOLK_OK);
	return view;
}

/* "%d" of the route, "-" of none, "400" of a path that is refused. */
static const char *way_of(const struct gw_view *view, const char *authority, const char *target)
{
	static char text[16];
	const struct kolk_http_request_head head = {
		.size = sizeof head, .method = "GET", .authority = authority, .target = target
	};
	const struct gw_target *found = gw_view_find(view, &head);

	if (found == NULL)
		return "-";
	if (gw_target_refuses(found, target))
		return "400";
	snprintf(text, sizeof text, "%u", found->route->index);
	return text;
}

struct way {
	const char *target, *way;
};

static void check_ways(const struct gw_view *view, const struct way *ways, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *way = way_of(view, "a.test", ways[i].target);

		if (strcmp(way, ways[i].way) != 0)
			fail_msg("%s goes to %s, not to %s", ways[i].target, way, ways[i].way);
	}
}

#define CHECK_WAYS(view, ways) check_ways(view, ways, sizeof(ways) / sizeof *(ways))

static void whole_segments_and_the_longest_path(void **state)
{
	static const struct way ways[] = {
		{ "/", "2" }, { "/a", "0" }, { "/a/", "0" }, { "/a?x=/b", "0" }, { "/ab", "2" },
		{ "/a/b", "1" }, { "/a/b/c", "1" }, { "/a/bc", "0" }, { "/x/a/b", "2" },
		{ "/a/..x", "0" }, { "/a/...", "0" }, { "/a/.x.", "0" }, { "/a/b.", "0" },
		{ "/a?..%2f//\\%zz/../", "0" }, { "/a/%20%3f%C3%A9%25", "0" }, { "*", "2" },
	};
	struct gw_view *view = view_of("  - {match: {path: /a}, pool: api}\n"
				       "  - {match: {path: /a/b/}, pool: api}\n"
				       "  - {pool: api}\n");

	(void)state;
	CHECK_WAYS(view, ways);
	gw_view_free(view);
}

/* Each of these is another path to some server. */
static void ambiguous_paths_are_refused(void **state)
{
	static const struct way ways[] = {
		{ "/x/../admin", "400" }, { "/x/./y", "400" }, { "/x/..", "400" }, { "/.?q", "400" },
		{ "/x/%2e%2E/admin", "400" }, { "/x/.%2e", "400" },
		{ "/x/..%2fadmin", "400" }, { "/x/..%5cadmin", "400" }, { "/x/..;/admin", "400" },
		{ "/x/..;a=b/admin", "400" }, { "/x/..\\admin", "400" }, { "/x\\..\\admin", "400" },
		{ "/x%2f..%2fadmin", "400" }, { "/x/..%3b/admin", "400" }, { "/x/..%00", "400" },
		{ "//admin", "400" }, { "/x//y", "400" }, { "/x//", "400" }, { "/;/admin", "400" },
		{ "/;a=b/admin", "400" }, { "/\\admin", "400" }, { "/x\\y", "400" },
		{ "/x%2fy", "400" }, { "/x%2Fy", "400" }, { "/x%5cy", "400" }, { "/x%00", "400" },
		{ "/%61dmin/x", "400" }, { "/x%7Ey", "400" }, { "/x%2dy", "400" }, { "/%5f", "400" },
		{ "/x%", "400" }, { "/x%4", "400" }, { "/x%zz", "400" }, { "/%u002e", "400" },
		{ "/x;a=b", "0" }, { "/x/;a=b", "0" }, { "/x;a=../y", "0" }, { "/x%40y", "0" },
	};
	struct gw_view *view = view_of("  - {pool: api}\n");

	(void)state;
	CHECK_WAYS(view, ways);
	gw_view_free(view);
}

/* A route is not passed by with another spelling of its path, even where a wider one takes them. */
static void other_spellings_take_the_same_route(void **state)
{
	static const struct way ways[] = {
		{ "/admin;a=b", "0" }, { "/admin;a/x", "0" }, { "/s;a=b/x@y", "1" },
		{ "/s/x%40y", "1" }, { "/s/x@y;z", "1" }, { "/s/%c3%a9", "2" },
		{ "/%61dmin", "400" }, { "/admin%2fx", "400" }, { "/admin\\x", "400" },
		{ "/admin%5cx", "400" }, { "/admin%00.png", "400" }, { "/s//x@y", "400" },
		{ "/s%2fx@y", "400" }, { "/s/;a/x@y", "400" }, { "/admin//", "400" },
		{ "/p/a%2fb", "3" }, { "/p//a", "3" }, { "/%70/a", "3" }, { "/p/x%zz", "3" },
		{ "//p", "400" }, { "/\\p", "400" }, { "/%2fp", "400" }, { "/%5cp", "400" },
		{ "/p/..%2fadmin", "400" }, { "/p/../admin", "400" }, { "/p/%2e", "400" },
	};
	struct gw_view *view = view_of("  - {match: {path: /admin}, answer: {status: 403}}\n"
				       "  - {match: {path: /s/x@y}, answer: {status: 403}}\n"
				       "  - {match: {path: /s/%C3%A9}, answer: {status: 403}}\n"
				       "  - {pool: api, ambiguous_path: pass}\n");

	(void)state;
	CHECK_WAYS(view, ways);
	gw_view_free(view);
}

static void what_is_left_of_a_prefix(void **state)
{
	static const struct way ways[] = {
		{ "/api", "" }, { "/api/", "/" }, { "/api/x", "/x" }, { "/api?x", "?x" },
		{ "/%61pi/x", "/x" }, { "/api/a%2fb", "/a%2fb" },
	};
	static const struct way refused[] = {
		{ "/api//evil.test/x", "400" }, { "/api/\\evil.test", "400" },
		{ "/api/%2fevil.test", "400" }, { "/api%2fevil.test", "400" }, { "/api;a/b", "400" },
	};
	struct gw_view *view = view_of("  - {match: {path: /api}, pool: api, strip_prefix: true, "
				       "ambiguous_path: pass}\n");

	(void)state;
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		assert_string_equal(way_of(view, "a.test", ways[i].target), "0");
		assert_string_equal(gw_target_rest(&view->targets[0], ways[i].target), ways[i].way);
	}
	CHECK_WAYS(view, refused);
	gw_view_free(view);
}

/* A name with the root's dot is the same name (RFC 1034, section 3.1). */
static void hosts_are_names(void **state)
{
	static const struct {
		const char *authority, *way;
	} ways[] = {
		{ "secret.test", "0" }, { "SECRET.test:443", "0" }, { "secret.test.", "0" },
		{ "secret.test.:443", "0" }, { "x.wild.test.", "1" }, { "x.wild.test.:80", "1" },
		{ "wild.test.", "2" }, { "secret.test..", "2" }, { "xsecret.test", "2" },
		{ ".", "2" }, { "", "2" }, { "[::1]:80", "2" },
	};
	struct gw_view *view = view_of("  - {match: {host: secret.test}, answer: {status: 403}}\n"
				       "  - {match: {host: '*.wild.test'}, answer: {status: 403}}\n"
				       "  - {pool: api}\n");

	(void)state;
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		const char *way = way_of(view, ways[i].authority, "/");

		if (strcmp(way, ways[i].way) != 0)
			fail_msg("%s goes to %s, not to %s", ways[i].authority, way, ways[i].way);
	}
	gw_view_free(view);
}

/* Each of these is tried in another order than the file has. */
static void the_longest_path_of_the_nearest_host(void **state)
{
	static const struct {
		const char *authority, *target, *way;
	} ways[] = {
		{ "a.test", "/", "1" }, { "A.test:80", "/x", "2" }, { "a.test", "/x/y/z?q", "3" },
		{ "a.test", "/xy", "1" }, { "a.test.", "/x/;p/y", "400" }, { "b.test", "/x", "4" },
		{ "b.test", "/y", "0" }, { "c.w.test", "/", "6" }, { "c.w.test", "/x/q", "7" },
		{ "c.v.w.test", "/x", "8" }, { "c.v.w.test", "/q", "6" }, { "v.w.test", "/x", "7" },
		{ "w.test", "/x", "5" }, { ".w.test", "/x", "5" }, { "d.test", "/x/y/", "5" },
		{ "d.test", "/z%3Ay/q", "10" }, { "d.test", "/z:y", "10" }, { "d.test", "/z:y/w", "9" },
		{ "d.test", "*", "0" }, { "b.test", "/x/q", "4" }, { "[::1]:80", "/q", "11" },
		{ "[::1]", "/x", "11" }, { "b.test", "", "0" },
	};
	struct gw_view *view = view_of("  - {pool: api}\n"
				       "  - {match: {host: a.test}, pool: api}\n"
				       "  - {match: {host: a.test, path: /x}, pool: api}\n"
				       "  - {match: {host: A.test, path: /x/y}, pool: api}\n"
				       "  - {match: {host: b.test, path: /x}, pool: api}\n"
				       "  - {match: {path: /x/}, pool: api}\n"
				       "  - {match: {host: '*.w.test'}, pool: api}\n"
				       "  - {match: {host: '*.w.test', path: /x}, pool: api}\n"
				       "  - {match: {host: '*.v.w.test', path: /x}, pool: api}\n"
				       "  - {match: {path: '/z:y/w'}, pool: api}\n"
				       "  - {match: {path: /z%3Ay}, pool: api}\n"
				       "  - {match: {host: '[::1]'}, pool: api}\n");

	(void)state;
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		const char *way = way_of(view, ways[i].authority, ways[i].target);

		if (strcmp(way, ways[i].way) != 0)
			fail_msg("%s%s goes to %s, not to %s", ways[i].authority, ways[i].target, way,
				 ways[i].way);
	}
	gw_view_free(view);
}

/* Of what matches, the first whose other conditions hold; else a shorter path, a wider host. */
static void other_conditions(void **state)
{
	static const struct kolk_http_field version = { "x-version", "2" };
	static const struct {
		const char *authority, *target, *method;
		uint32_t fields;
		int way;
	} ways[] = {
		{ "a.test", "/x", "GET", 0, 2 }, { "a.test", "/x", "GET", 1, 0 },
		{ "a.test", "/x", "PUT", 1, 1 }, { "a.test", "/x", "PUT", 0, 3 },
		{ "a.test", "/", "PUT", 0, 3 }, { "a.test", "/", "POST", 0, 4 },
		{ "b.test", "/x", "POST", 0, 4 }, { "b.test", "/x", "DELETE", 0, -1 },
	};
	struct gw_view *view =
		view_of("  - {match: {host: a.test, path: /x, methods: [GET], header: 'x-version: 2'}, pool: api}\n"
			"  - {match: {host: a.test, path: /x, header: x-version}, pool: api}\n"
			"  - {match: {host: a.test, path: /x, methods: [GET]}, pool: api}\n"
			"  - {match: {host: '*.test', methods: [PUT]}, pool: api}\n"
			"  - {match: {methods: [POST]}, pool: api}\n");

	(void)state;
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		const struct kolk_http_request_head head = {
			.size = sizeof head, .method = ways[i].method, .authority = ways[i].authority,
			.target = ways[i].target, .fields = &version, .field_count = ways[i].fields
		};
		const struct gw_target *found = gw_view_find(view, &head);

		assert_int_equal(found != NULL ? (int)found->route->index : -1, ways[i].way);
	}
	gw_view_free(view);
}

/* ---- many routes */

enum { MANY = 900 };

/* So many routes, a third by host, a third by wildcard, a third by path; and for any at the end. */
static struct gw_view *many(void)
{
	static char routes[MANY * 64];
	size_t size = 0;

	for (int i = 0; i < MANY; i++)
		size += (size_t)snprintf(routes + size, sizeof routes - size,
					 i % 3 == 0 ? "  - {match: {host: h%d.test}, pool: api}\n" :
					 i % 3 == 1 ? "  - {match: {host: '*.w%d.test'}, pool: api}\n" :
						      "  - {match: {path: /p/%d}, pool: api}\n", i);
	snprintf(routes + size, sizeof routes - size, "  - {pool: api}\n");
	return view_of(routes);
}

static const char *way_to(const struct gw_view *view, int i)
{
	char authority[32] = "x.test", path[32] = "/q";

	if (i % 3 == 0)
		snprintf(authority, sizeof authority, "h%d.test", i);
	else if (i % 3 == 1)
		snprintf(authority, sizeof authority, "a.b.w%d.test", i);
	else
		snprintf(path, sizeof path, "/p/%d/q", i);
	return way_of(view, authority, i == MANY ? "/none" : path);
}

static void many_routes_are_told_apart(void **state)
{
	struct gw_view *view = many();

	(void)state;
	for (int i = 0; i <= MANY; i++)
		assert_int_equal(atoi(way_to(view, i)), i);
	gw_view_free(view);
}

/* What the others match is where a look ends the program. */
static void a_request_looks_at_no_route_of_another_host_or_path(void **state)
{
	static const int wanted[] = { 0, 1, 2, MANY / 2, MANY - 2, MANY };
	struct gw_view *view = many();
	struct gw_route before[MANY + 1], *routes = view->config->routes;
	char *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(nowhere != MAP_FAILED);
	memcpy(before, routes, sizeof before);
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
		for (int j = 0; j < MANY; j++)
			if (j != wanted[i])
				routes[j].host = routes[j].path = nowhere;
		assert_int_equal(atoi(way_to(view, wanted[i])), wanted[i]);
		memcpy(routes, before, sizeof before);
	}
	munmap(nowhere, 4096);
	gw_view_free(view);
}

/* ---- reloads while requests hold the tables */

enum { LOOPS = 3, RELOADS = 300, HELD = 8 };

/* What a loop of the gateway is to a view: new exchanges begin with its own, old ones keep theirs. */
struct user {
	pthread_t thread;
	uint32_t index;
	struct gw_view *view;
	KOLK__ATOMIC(struct gw_view *) next; /* of a reload; NULL = none, or it was adopted */
	kolk__atomic_bool stop;
	uint64_t found;
};

static void adopt(struct user *user)
{
	struct gw_view *before = user->view, *after = kolk__load_acquire(&user->next);

	if (after == NULL)
		return;
	user->view = after;
	kolk__store_release(&user->next, NULL);
	gw_view_leave(before, user->index);
}

static void *use(void *argument)
{
	const struct kolk_http_request_head head = { .size = sizeof head, .method = "GET",
						     .authority = "a.test", .target = "/a/b" };
	struct gw_view *held[HELD] = { NULL };
	struct user *user = argument;

	for (uint32_t i = 0; !kolk__load_acquire(&user->stop); i++) {
		uint32_t at = i * 5 % HELD;

		if (held[at] != NULL)
			gw_view_leave(held[at], user->index);
		held[at] = gw_view_use(user->view, user->index);
		user->found += gw_view_find(held[at], &head) != NULL;
		user->found += gw_view_find(held[(at + 3) % HELD] != NULL ? held[(at + 3) % HELD] :
									     held[at], &head) != NULL;
		if (i % 3 == 0) /* some are held over many reloads */
			adopt(user);
	}
	adopt(user);
	for (uint32_t i = 0; i < HELD; i++)
		if (held[i] != NULL)
			gw_view_leave(held[i], user->index);
	gw_view_leave(user->view, user->index);
	return NULL;
}

static struct gw_view *bound_view(struct kolk_engine *engine)
{
	struct gw_view *view = view_of("  - {match: {path: /a}, pool: api}\n  - {pool: api}\n");

	gw_view_bind(view, engine);
	return view;
}

/* The last user of the last loop frees it, once; nobody reads it then. */
static void reloads_under_use(void **state)
{
	struct kolk_engine_options options = KOLK_INIT(kolk_engine_options);
	struct user users[LOOPS];
	struct kolk_engine *engine;
	struct gw_view *view;

	(void)state;
	options.loops = LOOPS;
	assert_int_equal(kolk_engine_create(&options, &engine), KOLK_OK);
	view = bound_view(engine);
	for (uint32_t i = 0; i < LOOPS; i++) {
		users[i] = (struct user){ .index = i, .view = view };
		assert_int_equal(pthread_create(&users[i].thread, NULL, use, &users[i]), 0);
	}
	for (uint32_t n = 0; n < RELOADS; n++) {
		view = bound_view(engine);
		for (uint32_t i = 0; i < LOOPS; i++)
			kolk__store_release(&users[i].next, view);
		for (uint32_t i = 0; i < LOOPS; i++)
			while (kolk__load_acquire(&users[i].next) != NULL)
				sched_yield();
	}
	for (uint32_t i = 0; i < LOOPS; i++) {
		kolk__store_release(&users[i].stop, true);
		pthread_join(users[i].thread, NULL);
		assert_true(users[i].found > 0);
	}
	assert_int_equal(kolk_engine_destroy(engine), KOLK_OK);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(hosts_are_names),
	cmocka_unit_test(whole_segments_and_the_longest_path),
	cmocka_unit_test(ambiguous_paths_are_refused),
	cmocka_unit_test(other_spellings_take_the_same_route),
	cmocka_unit_test(what_is_left_of_a_prefix),
	cmocka_unit_test(the_longest_path_of_the_nearest_host),
	cmocka_unit_test(other_conditions),
	cmocka_unit_test(many_routes_are_told_apart),
	cmocka_unit_test(a_request_looks_at_no_route_of_another_host_or_path),
	cmocka_unit_test(reloads_under_use),
};
CMOCKA_TESTS(route, tests);
