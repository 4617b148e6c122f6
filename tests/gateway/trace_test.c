/* SPDX-License-Identifier: Apache-2.0 */
/* trace_test.c - traces: which are continued, which are sampled, and what the upstream sees of them. */
#include "tests/kit/cmocka/run.h"

#include <stdlib.h>
#include <string.h>

#include "tools/gateway/export.h"
#include "tools/gateway/proxy.h"

#define ID "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"

/* ---- traceparent */

static void parents_that_are_none(void **state)
{
	static const char *const bad[] = {
		"", "00", "00-" ID "-" PARENT, "00-" ID "-" PARENT "-",
		"00-" ID "-" PARENT "-0", "00-" ID "-" PARENT "-01-", "00-" ID "-" PARENT "-01-x",
		"00-" ID "-" PARENT "-0g", "00-" ID "-" PARENT "-0A", "00-" ID "-" PARENT "_01",
		"ff-" ID "-" PARENT "-01", "0x-" ID "-" PARENT "-01", "0-0" ID "-" PARENT "-01",
		"00_" ID "-" PARENT "-01", "00-" ID "_" PARENT "-01", " 0-" ID "-" PARENT "-01",
		"00-00000000000000000000000000000000-" PARENT "-01",
		"00-" ID "-0000000000000000-01",
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01",
		"00-4bf92f3577b34da6a3ce929d0e0e473-" PARENT "-001",
		"cc-" ID "-" PARENT "-01.what", "cc-" ID "-" PARENT "-011",
	};
	struct gw_trace trace;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (gw_traceparent_read(bad[i], &trace))
			fail_msg("'%s' is taken", bad[i]);
}

/* As they go on: with the id of the gateway's span, and the flags that it knows. */
static void parents_that_are_some(void **state)
{
	static const struct {
		const char *text, *next;
	} good[] = {
		{ "00-" ID "-" PARENT "-01", "00-" ID "-0102030405060708-01" },
		{ "00-" ID "-" PARENT "-00", "00-" ID "-0102030405060708-00" },
		{ "00-" ID "-" PARENT "-03", "00-" ID "-0102030405060708-03" },
		{ "00-" ID "-" PARENT "-fe", "00-" ID "-0102030405060708-02" },
		{ "cc-" ID "-" PARENT "-01-what", "00-" ID "-0102030405060708-01" },
		{ "01-" ID "-" PARENT "-09", "00-" ID "-0102030405060708-01" },
	};
	struct gw_trace trace = { .client = { 1, 2, 3, 4, 5, 6, 7, 8 } };
	char text[GW_TRACEPARENT_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_true(gw_traceparent_read(good[i].text, &trace));
		gw_traceparent_write(&trace, text);
		assert_string_equal(text, good[i].next);
		gw_trace_hex(trace.parent, sizeof trace.parent, text);
		assert_string_equal(text, PARENT);
	}
}

/* ---- of an exchange */

struct traced {
	struct gateway gateway;
	struct gw_loop loop;
	struct gw_tracer tracer;
	struct gw_collector collector;
	struct gw_config config;
	struct gw_route route;
	struct gw_target target;
	struct gw_view view;
	struct kolk_http_request_head head;
	struct gw_exchange x;
	struct kolk_http_request request;
};

static int make(void **state)
{
	struct traced *t = calloc(1, sizeof *t);

	assert_non_null(t);
	t->loop.gateway = &t->gateway;
	t->loop.tracer = &t->tracer;
	t->tracer.to = &t->collector;
	t->target.route = &t->route;
	t->view.config = &t->config;
	t->head = (struct kolk_http_request_head){ .size = sizeof t->head, .version = 11,
						   .method = "GET", .target = "/",
						   .authority = "a.test", .scheme = "http" };
	t->x = (struct gw_exchange){ .loop = &t->loop, .view = &t->view, .target = &t->target,
				     .head = &t->head, .tenant = "" };
	*state = t;
	return 0;
}

static int unmake(void **state)
{
	struct traced *t = *state;

	gw_fields_free(&t->loop.fields);
	free(t->x.trace);
	free(t);
	return 0;
}

static void begin(struct traced *t, const struct kolk_http_field *fields, uint32_t count)
{
	t->head.fields = fields;
	t->head.field_count = count;
	t->request = (struct kolk_http_request)KOLK_INIT(kolk_http_request);
	gw_trace_begin(&t->x);
	assert_true(gw_forward_request(&t->x, &t->request));
}

/* The only field of this name that the upstream sees; NULL = none. */
static const char *passed(const struct traced *t, const char *name)
{
	const char *value = NULL;

	for (uint32_t i = 0; i < t->request.field_count; i++)
		if (strcmp(t->request.fields[i].name, name) == 0) {
			assert_null(value);
			value = t->request.fields[i].value;
		}
	return value;
}

static void a_trace_is_continued(void **state)
{
	static const struct kolk_http_field fields[] = {
		{ "tracestate", "a=b" }, { "traceparent", "00-" ID "-" PARENT "-01" }, { "x-a", "b" },
	};
	struct traced *t = *state;
	char client[17];

	t->collector.sample_from = GW_TRACE_RANDOM; /* that is not asked */
	begin(t, fields, 3);
	gw_trace_hex(t->x.trace->client, sizeof t->x.trace->client, client);
	assert_memory_equal(passed(t, "traceparent"), "00-" ID "-", 36);
	assert_memory_equal(passed(t, "traceparent") + 36, client, 16);
	assert_string_equal(passed(t, "traceparent") + 52, "-01");
	assert_string_equal(passed(t, "tracestate"), "a=b");
	assert_string_equal(passed(t, "x-a"), "b");
	assert_true(gw_trace_is_continued(t->x.trace));
	assert_memory_not_equal(t->x.trace->client, t->x.trace->server, 8);
}

/* What was in its place is not passed on, tracestate neither. */
static void expect_new(struct traced *t, const struct kolk_http_field *fields, uint32_t count)
{
	begin(t, fields, count);
	assert_memory_not_equal(passed(t, "traceparent"), "00-" ID "-", 36);
	assert_int_equal(strlen(passed(t, "traceparent")), GW_TRACEPARENT_SIZE - 1);
	assert_null(passed(t, "tracestate"));
	assert_false(gw_trace_is_continued(t->x.trace));
}

static void a_trace_is_begun(void **state)
{
	static const struct kolk_http_field none[] = { { "tracestate", "a=b" } };
	static const struct kolk_http_field bad[] = {
		{ "traceparent", "00-" ID "-" PARENT "-zz" }, { "tracestate", "a=b" },
	};
	static const struct kolk_http_field part[] = {
		{ "traceparent", "00-" ID "-00f067aa0ba902bz-01" },
	};
	static const struct kolk_http_field two[] = {
		{ "traceparent", "00-" ID "-" PARENT "-01" }, { "tracestate", "a=b" },
		{ "traceparent", "00-" ID "-" PARENT "-01" },
	};
	struct traced *t = *state;

	expect_new(t, none, 1);
	assert_true(t->x.trace->flags == 1);
	t->collector.sample_from = GW_TRACE_RANDOM;
	expect_new(t, none, 1);
	assert_true(t->x.trace->flags == 0);
	expect_new(t, bad, 2);
	expect_new(t, part, 1);
	expect_new(t, two, 3);
}

static void only_proxies_have_parents(void **state)
{
	static const struct kolk_http_field fields[] = {
		{ "traceparent", "00-" ID "-" PARENT "-01" }, { "tracestate", "a=b" },
	};
	struct traced *t = *state;

	t->collector.trusted_only = true;
	expect_new(t, fields, 2);
	t->x.trusted = true;
	begin(t, fields, 2);
	assert_memory_equal(passed(t, "traceparent"), "00-" ID "-", 36);
}

/* Without tracing all of it passes as it is. */
static void what_is_not_traced_passes(void **state)
{
	static const struct kolk_http_field fields[] = {
		{ "traceparent", "whatever" }, { "tracestate", "a=b" },
	};
	struct traced *t = *state;

	t->head.fields = fields;
	t->head.field_count = 2;
	assert_true(gw_forward_request(&t->x, &t->request));
	assert_string_equal(passed(t, "traceparent"), "whatever");
	assert_string_equal(passed(t, "tracestate"), "a=b");
}

/* 4 000 traces with a share of a quarter: 1 000 +- 27. Ids are random: none is there twice. */
static void a_share_is_sampled(void **state)
{
	enum { COUNT = 4000 };
	static uint8_t ids[COUNT][16];
	struct traced *t = *state;
	uint32_t sampled = 0;

	t->collector.sample_from = GW_TRACE_RANDOM / 4 * 3;
	for (uint32_t i = 0; i < COUNT; i++) {
		gw_trace_begin(&t->x);
		sampled += t->x.trace->flags;
		memcpy(ids[i], t->x.trace->id, sizeof ids[i]);
		for (uint32_t j = i < 64 ? 0 : i - 64; j < i; j++)
			assert_memory_not_equal(ids[i], ids[j], sizeof ids[i]);
	}
	assert_in_range(sampled, 800, 1200);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)
static const struct CMUnitTest tests[] = {
	cmocka_unit_test(parents_that_are_none),
	cmocka_unit_test(parents_that_are_some),
	TEST(a_trace_is_continued),
	TEST(a_trace_is_begun),
	TEST(only_proxies_have_parents),
	TEST(what_is_not_traced_passes),
	TEST(a_share_is_sampled),
};
CMOCKA_TESTS(trace, tests);
