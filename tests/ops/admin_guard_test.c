/* SPDX-License-Identifier: Apache-2.0 */
/* admin_guard_test.c - guard.c, routes.c: who may ask the admin server, and what it does not
 * understand. */
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <string.h>

#include "tests/ops/admin_bench.h"
#include "tools/ops/guard.h"

static const char *const actions[] = { "/api/cleanup-connections", "/api/warmup", "/api/evict",
				       "/api/drain", "/api/resume" };

static void bad_bodies(void **state)
{
	static const char *const bodies[] = {
		"{", "[]", "1", "null", "\"x\"", "{} {}", "{\"unknown\":1}", "{\"pool\":1}",
		"{\"pool\":null}", "{\"pool\":\"a\",\"pool\":\"b\"}", "{\"pool\":\"\xff\"}",
		"{\"pool\":\"\\u0000\"}", "{'pool':'a'}", "\xef\xbb\xbf{}", "{\"pool\":\"\\ud800\"}",
	};
	static const char *const drains[] = { "{\"graceMs\":-1}", "{\"graceMs\":1.5}",
					      "{\"graceMs\":\"1\"}", "{\"graceMs\":1e3}",
					      "{\"graceMs\":9223372036854775807}",
					      "{\"graceMs\":99999999999999999999}" };
	struct admin_bench *bench = *state;
	char deep[5000], name[700];

	for (size_t a = 0; a < sizeof actions / sizeof actions[0]; a++)
		for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
			assert_int_equal(admin_post(bench, actions[a], bodies[i]), 400);
	for (size_t i = 0; i < sizeof drains / sizeof drains[0]; i++)
		assert_int_equal(admin_post(bench, "/api/drain", drains[i]), 400);
	memset(deep, '[', sizeof deep - 1);
	deep[sizeof deep - 1] = 0;
	assert_int_equal(admin_post(bench, "/api/drain", deep), 400);
	(void)snprintf(name, sizeof name, "{\"pool\":\"%0600d\"}", 0);
	assert_int_equal(admin_post(bench, "/api/drain", name), 400);
	assert_int_equal(admin_get(bench, "/ready"), 200); /* nothing was done */
}

static void types_of_bodies(void **state)
{
	static const struct {
		const char *type, *encoding;
		unsigned status;
	} cases[] = {
		{ "application/json", NULL, 200 },
		{ "Application/JSON; charset=UTF-8", NULL, 200 },
		{ "application/json", "identity", 200 },
		{ "application/json; charset=utf-16", NULL, 415 },
		{ "application/json", "gzip", 415 },
		{ "application/jsonp", NULL, 415 },
		{ "text/plain", NULL, 415 },
		{ "application/x-www-form-urlencoded", NULL, 415 },
		{ NULL, NULL, 415 },
	};
	struct admin_bench *bench = *state;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(
			admin_ask(bench, &(struct kolk__request){
					      .method = "POST",
					      .path = "/api/cleanup-connections",
					      .content_type = cases[i].type,
					      .content_encoding = cases[i].encoding,
					      .body = "{}",
					      .body_size = 2 }),
			cases[i].status);
	assert_int_equal(admin_ask(bench, &(struct kolk__request){ .method = "POST",
								   .path = "/api/drain",
								   .too_large = true }),
			 413);
	assert_int_equal(admin_ask(bench, &(struct kolk__request){ .method = "GET",
								   .path = "/health",
								   .body = "{}",
								   .body_size = 2 }),
			 400);
}

static void paths_and_methods(void **state)
{
	static const char *const looks[] = { "/", "/health", "/ready", "/metrics",
					     "/api/pool-status" };
	static const char *const nowhere[] = { "", "/healthz", "/api", "/api/", "/metrics/",
					       "//", "/../etc/passwd", "/API/pool-status" };
	struct admin_bench *bench = *state;

	for (size_t i = 0; i < sizeof looks / sizeof looks[0]; i++) {
		const struct kolk__request head = { .method = "HEAD", .path = looks[i] };

		assert_int_equal(admin_ask(bench, &head), 200);
		assert_int_equal(admin_post(bench, looks[i], "{}"), 405);
		assert_string_equal(bench->response.allow, "GET, HEAD");
	}
	for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
		assert_int_equal(admin_get(bench, actions[i]), 405);
		assert_string_equal(bench->response.allow, "POST");
	}
	assert_int_equal(admin_post(bench, "/api/config", "{}"), 405);
	assert_string_equal(bench->response.allow, "PUT");
	assert_int_equal(admin_send(bench, "OPTIONS", "/api/drain", ""), 405);
	for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++)
		assert_int_equal(admin_get(bench, nowhere[i]), 404);
}

static void only_the_token_opens(void **state)
{
	static const struct {
		const char *shown;
		unsigned status;
	} cases[] = {
		{ NULL, 401 },
		{ "", 401 },
		{ TOKEN, 401 },
		{ "Bearer", 401 },
		{ "Bearer ", 401 },
		{ "Bearer  " TOKEN, 401 },
		{ "Bearer a token of thirty-two character", 401 },
		{ "Bearer " TOKEN " ", 401 },
		{ "Bearer A token of thirty-two characters", 401 },
		{ "Basic " TOKEN, 401 },
		{ "Bearer " TOKEN, 200 },
		{ "bearer " TOKEN, 200 },
	};
	static const char *const paths[] = { "/metrics", "/api/pool-status" };
	struct admin_bench *bench = *state;

	bench->server.has_token = true;
	assert_true(kolk__digest(TOKEN, sizeof TOKEN - 1, bench->server.token_digest));
	for (size_t p = 0; p < 2; p++)
		for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
			assert_int_equal(
				admin_ask(bench, &(struct kolk__request){
						      .method = "GET",
						      .path = paths[p],
						      .authorization = cases[i].shown }),
				cases[i].status);
	for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
		assert_int_equal(admin_post(bench, actions[i], "{}"), 401);
	assert_int_equal(admin_send(bench, "PUT", "/api/config", ""), 401);
	/* What says nothing about anybody is open, so that probes and browsers find it. */
	assert_int_equal(admin_get(bench, "/health"), 200);
	assert_int_equal(admin_get(bench, "/ready"), 200);
	assert_int_equal(admin_get(bench, "/"), 200);
	assert_non_null(strstr(bench->log, "not the right token"));
	assert_true(strlen(bench->log) < 200); /* once per second */
}

static void pages_of_others_may_not_act(void **state)
{
	static char own_name[] = "kolk.example";
	static char *own_names[] = { own_name, NULL };
	static const struct {
		const char *host, *origin, *site;
		unsigned status;
	} cases[] = {
		{ "127.0.0.1:9100", NULL, NULL, 200 },
		{ "[::1]:9100", NULL, NULL, 200 },
		{ "localhost", NULL, NULL, 200 },
		{ "kolk.example:9100", NULL, NULL, 200 },
		{ "KOLK.example:9100", "https://kolk.EXAMPLE:9100", "same-origin", 200 },
		{ "127.0.0.1:9100", "http://127.0.0.1:9100", "same-origin", 200 },
		{ NULL, NULL, NULL, 403 },
		{ "", NULL, NULL, 403 },
		{ ":9100", NULL, NULL, 403 },
		{ "[::1", NULL, NULL, 403 },
		{ "evil.example:9100", NULL, NULL, 403 },
		{ "127.0.0.1.evil.example", NULL, NULL, 403 },
		{ "kolk.example.evil.example", NULL, NULL, 403 },
		{ "evil.example:9100", "http://evil.example:9100", "same-origin", 403 },
		{ "127.0.0.1:9100", "http://evil.example", NULL, 403 },
		{ "127.0.0.1:9100", "http://127.0.0.1:9101", NULL, 403 },
		{ "127.0.0.1:9100", "null", NULL, 403 },
		{ "127.0.0.1:9100", NULL, "cross-site", 403 },
		{ "127.0.0.1:9100", NULL, "same-site", 403 },
	};
	struct admin_bench *bench = *state;
	struct kolk__request request = { .method = "POST", .path = "/api/cleanup-connections" };

	bench->server.tcp = true;
	bench->server.hosts = own_names;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		request.host = cases[i].host;
		request.origin = cases[i].origin;
		request.fetch_site = cases[i].site;
		assert_int_equal(admin_ask(bench, &request), cases[i].status);
	}
}

/* A Unix socket that SSH forwards is reached by browsers too: at 127.0.0.1, whatever name a page
 * gives that address. Over http a browser may send no more than Host when it reads. */
static void a_unix_socket_knows_its_names(void **state)
{
	static char own_name[] = "kolk.example";
	static char *own_names[] = { own_name, NULL };
	static const struct {
		const char *host, *origin;
		bool fetched;
		unsigned status;
	} cases[] = {
		{ NULL, NULL, false, 200 },
		{ "localhost", NULL, false, 200 },
		{ "127.0.0.1:9100", NULL, false, 200 },
		{ "[::1]:9100", NULL, false, 200 },
		{ "kolk.example:9100", NULL, false, 200 },
		{ "kolk", NULL, false, 200 },
		{ "127.0.0.1:9100", "http://127.0.0.1:9100", true, 200 },
		{ "localhost:9100", NULL, true, 200 },
		{ "kolk.example", "https://kolk.example", false, 200 },
		{ "evil.example:9100", NULL, false, 403 },
		{ "evil.example:9100", "http://evil.example:9100", false, 403 },
		{ "evil.example:9100", NULL, true, 403 },
		{ "kolk.evil.example", NULL, false, 403 },
		{ "kolk:9100", NULL, true, 403 },
		{ "kolk:9100", "http://kolk:9100", false, 403 },
		{ "localhost:9100", "http://evil.example", false, 403 },
		{ "", NULL, false, 403 },
		{ NULL, NULL, true, 403 },
	};
	static const char *const questions[][2] = {
		{ "GET", "/api/pool-status" }, { "GET", "/metrics" }, { "HEAD", "/metrics" },
		{ "POST", "/api/cleanup-connections" }, { "PUT", "/api/config" },
	};
	struct admin_bench *bench = *state;

	bench->server.hosts = own_names;
	for (size_t q = 0; q < sizeof questions / sizeof questions[0]; q++)
		for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
			assert_int_equal(admin_ask(bench, &(struct kolk__request){
							       .method = questions[q][0],
							       .path = questions[q][1],
							       .host = cases[i].host,
							       .origin = cases[i].origin,
							       .fetched = cases[i].fetched }),
					 cases[i].status);
	/* What says nothing about anybody is read by any name. */
	assert_int_equal(admin_ask(bench, &(struct kolk__request){ .method = "GET",
								   .path = "/health",
								   .host = "evil.example" }),
			 200);
}

static const struct CMUnitTest tests[] = {
	TEST(bad_bodies),
	TEST(types_of_bodies),
	TEST(paths_and_methods),
	TEST(only_the_token_opens),
	TEST(pages_of_others_may_not_act),
	TEST(a_unix_socket_knows_its_names),
};

CMOCKA_TESTS(admin_guard, tests);
