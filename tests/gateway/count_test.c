/* SPDX-License-Identifier: Apache-2.0 */
/* count_test.c - the numbers of routes: how they are told apart, added up, and written. */
#include "tests/kit/cmocka/run.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/proxy.h"
#include "tools/gateway/status/status.h"

static const char *const get_head[] = { "GET", "HEAD", NULL };

static const struct gw_route api = { .path = "/api/" };
static const struct gw_route precise = { .host = "*.example.com", .path = "/v1",
					 .methods = get_head, .header_name = "x-version",
					 .header_value = "2" };
static const struct gw_route any = { 0 };

/* ---- numbers of one route */

struct wanted {
	const char *route;
	uint32_t found;
	struct gw_numbers numbers;
};

static void keep(void *user, const char *route, const struct gw_numbers *numbers)
{
	struct wanted *wanted = user;

	if (strcmp(route, wanted->route) != 0)
		return;
	wanted->found++;
	wanted->numbers = *numbers;
}

static struct gw_numbers numbers_of(const char *route, uint32_t found)
{
	struct wanted wanted = { .route = route };

	assert_true(gw_count_each(keep, &wanted));
	assert_int_equal(wanted.found, found);
	return wanted.numbers;
}

static void request(struct gw_count *count, uint32_t loop, struct gw_ended ended)
{
	gw_count_begin(count, loop);
	gw_count_end(count, loop, &ended);
}

/* ---- tests */

static void a_route_is_told_by_its_match(void **state)
{
	const struct gw_route other_pool = { .path = "/api", .pool = "b", .index = 7 };
	struct gw_count *counts[] = { gw_count_open(&api), gw_count_open(&precise),
				      gw_count_open(&any), gw_count_open(NULL),
				      gw_count_open(&other_pool) };

	(void)state;
	assert_ptr_equal(counts[4], counts[0]);
	numbers_of("/api", 1);
	numbers_of("GET,HEAD *.example.com/v1 x-version: 2", 1);
	numbers_of("/", 1);
	numbers_of("(none)", 1);
	request(counts[0], 0, (struct gw_ended){ .outcome = GW_OUTCOME_2XX });
	gw_count_close(counts[0]); /* a reload: the new view has it already */
	assert_int_equal(numbers_of("/api", 1).outcomes[GW_OUTCOME_2XX], 1);
	for (int i = 1; i < 5; i++)
		gw_count_close(counts[i]);
	gw_count_close(NULL);
	numbers_of("/api", 0);
	counts[0] = gw_count_open(&api);
	assert_int_equal(numbers_of("/api", 1).outcomes[GW_OUTCOME_2XX], 0);
	gw_count_close(counts[0]);
}

static void loops_are_added_up(void **state)
{
	struct gw_count *count = gw_count_open(&api);
	struct gw_numbers n;

	(void)state;
	gw_count_begin(count, 0);
	gw_count_begin(count, 3);
	gw_count_begin(count, KOLK_LOOPS_MAX - 1);
	assert_int_equal(numbers_of("/api", 1).in_flight, 3);
	gw_count_end(count, 3, NULL); /* it went elsewhere */
	gw_count_end(count, 3, NULL); /* never below 0 */
	n = numbers_of("/api", 1);
	assert_int_equal(n.in_flight, 2);
	gw_count_end(count, 0, &(struct gw_ended){ GW_OUTCOME_4XX, 429, 10, 20, KOLK_MS_NS });
	gw_count_end(count, KOLK_LOOPS_MAX - 1,
		     &(struct gw_ended){ GW_OUTCOME_CLIENT_GONE, 413, 1, 2, KOLK_MS_NS });
	request(count, 1, (struct gw_ended){ GW_OUTCOME_4XX, 401, 0, 0, KOLK_MS_NS });
	request(count, 1, (struct gw_ended){ GW_OUTCOME_4XX, 403, 0, 0, KOLK_MS_NS });
	request(count, 1, (struct gw_ended){ GW_OUTCOME_4XX, 404, 0, 0, KOLK_MS_NS });
	request(count, 1, (struct gw_ended){ GW_OUTCOME_1XX, 0, 100, 200, KOLK_S_NS });
	n = numbers_of("/api", 1);
	assert_int_equal(n.in_flight, 0);
	assert_int_equal(n.outcomes[GW_OUTCOME_4XX], 4);
	assert_int_equal(n.outcomes[GW_OUTCOME_CLIENT_GONE], 1);
	assert_int_equal(n.outcomes[GW_OUTCOME_1XX], 1);
	assert_int_equal(n.refused[GW_REFUSAL_TENANT], 2);
	assert_int_equal(n.refused[GW_REFUSAL_RATE], 1);
	assert_int_equal(n.refused[GW_REFUSAL_BODY], 1);
	assert_int_equal(n.received, 111);
	assert_int_equal(n.sent, 222);
	assert_int_equal(n.timed, 4); /* no tunnel, and none whose client went */
	assert_int_equal(n.sum_ns, 4 * KOLK_MS_NS);
	gw_count_close(count);
}

static void quantiles_are_near(void **state)
{
	static const uint64_t times[] = { 0, 1000, 1024, 1600, 12345, 999999, KOLK_MS_NS, 77777777,
					  KOLK_S_NS, 60 * KOLK_S_NS, 137 * KOLK_S_NS };
	struct gw_numbers n;

	(void)state;
	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
		struct gw_count *count = gw_count_open(&api);
		uint64_t p99;

		request(count, 0, (struct gw_ended){ .outcome = GW_OUTCOME_2XX, .took_ns = times[i] });
		n = numbers_of("/api", 1);
		p99 = gw_numbers_quantile(&n, 990);
		if (p99 <= times[i] || (double)p99 > (times[i] < 1024 ? 1024 : 1.063 * (double)times[i]))
			fail_msg("%llu: %llu", (unsigned long long)times[i], (unsigned long long)p99);
		assert_int_equal(gw_numbers_below(&n, p99), 1);
		assert_int_equal(gw_numbers_below(&n, p99 - 1), 0);
		gw_count_close(count);
	}
}

static void quantiles_of_many(void **state)
{
	struct gw_count *count = gw_count_open(&api);
	struct gw_numbers n = numbers_of("/api", 1);

	(void)state;
	assert_int_equal(gw_numbers_quantile(&n, 500), 0);
	for (uint64_t i = 1; i <= 1000; i++)
		request(count, 0, (struct gw_ended){ .outcome = GW_OUTCOME_2XX,
						     .took_ns = i * KOLK_MS_NS });
	n = numbers_of("/api", 1);
	assert_in_range(gw_numbers_quantile(&n, 500), 500 * KOLK_MS_NS, 532 * KOLK_MS_NS);
	assert_in_range(gw_numbers_quantile(&n, 990), 990 * KOLK_MS_NS, 1053 * KOLK_MS_NS);
	assert_in_range(gw_numbers_quantile(&n, 999), 999 * KOLK_MS_NS, 1063 * KOLK_MS_NS);
	assert_in_range(gw_numbers_below(&n, 100 * KOLK_MS_NS), 93, 100);
	request(count, 0, (struct gw_ended){ .outcome = GW_OUTCOME_2XX, .took_ns = UINT64_MAX / 2 });
	n = numbers_of("/api", 1);
	assert_in_range(gw_numbers_quantile(&n, 1000), 137 * KOLK_S_NS, 138 * KOLK_S_NS);
	assert_int_equal(gw_numbers_below(&n, 1000 * KOLK_S_NS), 1000);
	gw_count_close(count);
}

/* ---- while loops count and views come and go */

enum { EACH_LOOP = 200000, LOOPS = 3 };

struct counting {
	struct gw_count *count;
	uint32_t loop;
};

static void *count_on(void *user)
{
	struct counting *counting = user;

	for (int i = 0; i < EACH_LOOP; i++)
		request(counting->count, counting->loop,
			(struct gw_ended){ .outcome = GW_OUTCOME_2XX, .received = 1,
					   .took_ns = (uint64_t)i });
	return NULL;
}

static void looked_at_while_loops_count(void **state)
{
	struct counting loops[LOOPS];
	pthread_t threads[LOOPS];
	uint64_t last = 0;

	(void)state;
	for (uint32_t i = 0; i < LOOPS; i++) {
		loops[i] = (struct counting){ gw_count_open(&api), i };
		assert_int_equal(pthread_create(&threads[i], NULL, count_on, &loops[i]), 0);
	}
	while (last < LOOPS * EACH_LOOP) {
		struct gw_numbers n = numbers_of("/api", 1);
		struct gw_count *other = gw_count_open(&precise);

		assert_true(n.outcomes[GW_OUTCOME_2XX] >= last && n.in_flight <= LOOPS);
		last = n.outcomes[GW_OUTCOME_2XX];
		gw_count_close(other);
	}
	for (uint32_t i = 0; i < LOOPS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(numbers_of("/api", 1).timed, LOOPS * EACH_LOOP);
	assert_int_equal(numbers_of("/api", 1).received, LOOPS * EACH_LOOP);
	for (uint32_t i = 0; i < LOOPS; i++)
		gw_count_close(loops[i].count);
	numbers_of("/api", 0);
}

/* ---- how an exchange ended */

struct ending {
	uint32_t status; /* 0 = none was answered */
	enum kolk_err failed, err;
	enum gw_outcome outcome;
};

static void how_an_exchange_ended(void **state)
{
	static const struct ending endings[] = {
		{ 200, KOLK_OK, KOLK_OK, GW_OUTCOME_2XX },
		{ 304, KOLK_OK, KOLK_OK, GW_OUTCOME_3XX },
		{ 404, KOLK_OK, KOLK_OK, GW_OUTCOME_4XX },
		{ 502, KOLK_E_CONN_REFUSED, KOLK_OK, GW_OUTCOME_5XX },
		{ 101, KOLK_OK, KOLK_E_RESET, GW_OUTCOME_1XX },
		{ 200, KOLK_OK, KOLK_E_RESET, GW_OUTCOME_CLIENT_GONE },
		{ 0, KOLK_OK, KOLK_E_CLOSED, GW_OUTCOME_CLIENT_GONE },
		{ 0, KOLK_OK, KOLK_E_TIMEOUT, GW_OUTCOME_CLIENT_GONE },
		{ 200, KOLK_E_CLOSED, KOLK_E_CANCELLED, GW_OUTCOME_BROKEN },
		{ 0, KOLK_OK, KOLK_E_DRAINING, GW_OUTCOME_BROKEN },
	};
	struct gw_count *count = gw_count_open(&api);
	struct gw_target target = { .route = &api, .count = count };
	struct gw_loop loop = { .index = 5 };

	(void)state;
	for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
		const struct ending *one = &endings[i];
		struct gw_exchange x = { .loop = &loop, .target = &target,
					 .tenant = "", .begin_ns = kolk_in_ns(0) };
		uint64_t before = numbers_of("/api", 1).outcomes[one->outcome];

		gw_status_begin(&x);
		assert_int_equal(numbers_of("/api", 1).in_flight, 1);
		x.status = one->status;
		x.failed = one->failed;
		gw_status_end(&x, one->err);
		assert_int_equal(numbers_of("/api", 1).outcomes[one->outcome], before + 1);
		assert_int_equal(numbers_of("/api", 1).in_flight, 0);
	}
	gw_count_close(count);
}

/* ---- as text */

static void as_json_and_as_metrics(void **state)
{
	static const struct gw_route odd = { .path = "/a", .header_name = "x",
					     .header_value = "\"\\" };
	struct gw_count *count = gw_count_open(&odd);
	char *json = NULL, *metrics = NULL;
	json_t *root, *route;

	(void)state;
	request(count, 0, (struct gw_ended){ GW_OUTCOME_2XX, 0, 5, 7, 3 * KOLK_MS_NS });
	request(count, 0, (struct gw_ended){ GW_OUTCOME_4XX, 429, 0, 30, 2 * KOLK_S_NS });
	json = gw_status_json(NULL);
	assert_non_null(json);
	root = json_loads(json, 0, NULL);
	route = json_array_get(json_object_get(root, "routes"), 0);
	assert_string_equal(json_string_value(json_object_get(route, "name")), "/a x: \"\\");
	assert_int_equal(json_integer_value(json_object_get(route, "requests")), 2);
	assert_int_equal(json_integer_value(json_object_get(route, "bytesOut")), 37);
	route = json_object_get(route, "latency");
	assert_int_equal(json_integer_value(json_object_get(route, "meanNs")), 1001500000);
	json_decref(root);
	metrics = gw_status_metrics(NULL);
	assert_non_null(metrics);
#define ROUTE "{route=\"/a x: \\\"\\\\\""
	assert_non_null(strstr(metrics, "\nkolk_gateway_requests_total" ROUTE ",outcome=\"2xx\"} 1\n"));
	assert_non_null(strstr(metrics, "\nkolk_gateway_refused_total" ROUTE ",reason=\"rate\"} 1\n"));
	assert_non_null(strstr(metrics, "\nkolk_gateway_in_flight" ROUTE "} 0\n"));
	assert_non_null(strstr(metrics, "\nkolk_gateway_received_bytes_total" ROUTE "} 5\n"));
	assert_non_null(strstr(metrics, "\nkolk_gateway_request_seconds_bucket" ROUTE
				       ",le=\"0.005\"} 1\n"));
	assert_non_null(strstr(metrics, "\nkolk_gateway_request_seconds_bucket" ROUTE
				       ",le=\"+Inf\"} 2\n"));
	assert_non_null(strstr(metrics, "\nkolk_gateway_request_seconds_sum" ROUTE
				       "} 2.003000000\n"));
	free(json);
	free(metrics);
	gw_count_close(count);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_route_is_told_by_its_match),
	cmocka_unit_test(loops_are_added_up),
	cmocka_unit_test(quantiles_are_near),
	cmocka_unit_test(quantiles_of_many),
	cmocka_unit_test(looked_at_while_loops_count),
	cmocka_unit_test(how_an_exchange_ended),
	cmocka_unit_test(as_json_and_as_metrics),
};

CMOCKA_TESTS(count, tests);
