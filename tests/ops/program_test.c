/* SPDX-License-Identifier: Apache-2.0 */
/* program_test.c - what a program adds to the status and to the metrics of its admin server. */
#include "tests/kit/cmocka/run.h"

#include <stdlib.h>
#include <string.h>

#include "tests/ops/admin_bench.h"

/* The text of a program; user is a const char *, NULL = no memory. */
static char *text_of(void *user)
{
	return user != NULL ? strdup(user) : NULL;
}

static void add(struct admin_bench *bench, const char *text)
{
	bench->server.program = (struct kolk__program){ text_of, text_of, (void *)(uintptr_t)text };
}

static void a_member_of_the_status(void **state)
{
	struct admin_bench *bench = *state;
	const json_t *program;

	assert_int_equal(admin_get(bench, "/api/pool-status"), 200);
	assert_null(json_object_get(bench->json, "program"));
	add(bench, "{\"name\":\"proxy\",\"routes\":[{\"route\":\"/a\",\"requests\":3}]}");
	assert_int_equal(admin_get(bench, "/api/pool-status"), 200);
	program = json_object_get(bench->json, "program");
	assert_string_equal(admin_text(program, "name"), "proxy");
	program = json_array_get(json_object_get(program, "routes"), 0);
	assert_int_equal(admin_number(program, "requests"), 3);
	assert_non_null(json_object_get(bench->json, "engine"));
	add(bench, "7");
	assert_int_equal(admin_get(bench, "/api/pool-status"), 200);
	assert_int_equal(admin_number(bench->json, "program"), 7);
}

static void what_is_no_json_is_null(void **state)
{
	static const char *const wrong[] = { "", "{", "{\"a\":1}, \"engine\":{}", "{\"a\":\"\xff\"}" };
	struct admin_bench *bench = *state;

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		add(bench, wrong[i]);
		assert_int_equal(admin_get(bench, "/api/pool-status"), 200);
		assert_true(json_is_null(json_object_get(bench->json, "program")));
		assert_int_equal(json_array_size(json_object_get(bench->json, "pools")), 2);
	}
}

static void without_memory_there_is_no_answer(void **state)
{
	struct admin_bench *bench = *state;

	add(bench, NULL);
	assert_int_equal(admin_get(bench, "/api/pool-status"), 500);
	assert_string_equal(admin_code(bench), "KOLK_E_MEMORY");
	assert_int_equal(admin_get(bench, "/metrics"), 500);
}

static void read_stream(struct kolk__metrics_stream *stream, char *text, size_t capacity)
{
	size_t size = 0;
	ssize_t got;

	while ((got = kolk__metrics_read(stream, text + size, capacity - 1 - size)) > 0)
		size += (size_t)got;
	assert_int_equal(got, 0);
	text[size] = 0;
}

/* One text, or in pieces with all tenants: behind the engine's, before the tenants'. */
static void families_of_the_metrics(void **state)
{
	static const char family[] = "# HELP proxy_requests_total Requests.\n"
				     "# TYPE proxy_requests_total counter\n"
				     "proxy_requests_total{route=\"/a\"} 3\n";
	static char text[262144];
	struct kolk__metrics_stream *stream;
	struct admin_bench *bench = *state;
	const char *at;

	add(bench, family);
	assert_int_equal(admin_get(bench, "/metrics"), 200);
	at = strstr(bench->response.body, family);
	assert_non_null(at);
	assert_int_equal(at[-1], '\n');
	assert_null(strstr(at + 1, family));
	assert_non_null(strstr(at, "\nkolk_tenant_connections{"));
	stream = kolk__metrics_open(bench->engine, &bench->server.program);
	assert_non_null(stream);
	read_stream(stream, text, sizeof text);
	kolk__metrics_close(stream);
	at = strstr(text, family);
	assert_non_null(at);
	assert_null(strstr(at + 1, family));
}

static const struct CMUnitTest tests[] = {
	TEST(a_member_of_the_status),
	TEST(what_is_no_json_is_null),
	TEST(without_memory_there_is_no_answer),
	TEST(families_of_the_metrics),
};

CMOCKA_TESTS(program, tests);
