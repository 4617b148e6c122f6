/* SPDX-License-Identifier: Apache-2.0 */
/* rate_test.c - token buckets: what passes in a second, of each tenant and route; several threads. */
#include "tests/kit/cmocka/run.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/gateway/rate.h"

#define START (5 * KOLK_S_NS)

static struct gw_route routes[] = {
	{ .index = 0, .path = "/a", .requests_per_second = 10, .burst = 5 },
	{ .index = 1, .path = "/b", .requests_per_second = 10, .burst = 5 },
	{ .index = 2, .path = "/c" },
	{ .index = 3, .path = "/d", .requests_per_second = 1000 },
};

static struct gw_rates *rates_make(void)
{
	struct gw_rates *rates = gw_rates_make();

	assert_non_null(rates);
	for (uint32_t i = 0; i < 4; i++)
		routes[i].identity = gw_rate_identity(&routes[i]);
	return rates;
}

static void burst_then_rate(void **state)
{
	struct gw_rates *rates = rates_make();
	uint32_t passed = 0;

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_int_equal(gw_rate_take(rates, &routes[0], "a", START), 0);
	assert_int_equal(gw_rate_take(rates, &routes[0], "a", START), 100 * KOLK_MS_NS);
	assert_int_equal(gw_rate_take(rates, &routes[0], "a", START + 60 * KOLK_MS_NS),
			 40 * KOLK_MS_NS);
	assert_int_equal(gw_rate_take(rates, &routes[0], "a", START + 100 * KOLK_MS_NS), 0);
	for (uint64_t t = START + KOLK_S_NS; t < START + 11 * KOLK_S_NS; t += KOLK_MS_NS)
		passed += gw_rate_take(rates, &routes[0], "a", t) == 0;
	assert_int_equal(passed, 104); /* 5 at once, then 10 per second */
	gw_rates_free(rates);
}

static void tenants_and_routes_are_apart(void **state)
{
	struct gw_rates *rates = rates_make();
	char name[32];

	(void)state;
	for (int i = 0; i < 6; i++)
		(void)!gw_rate_take(rates, &routes[0], "a", START);
	assert_int_not_equal(gw_rate_take(rates, &routes[0], "a", START), 0);
	assert_int_equal(gw_rate_take(rates, &routes[1], "a", START), 0);
	assert_int_equal(gw_rate_take(rates, &routes[2], "a", START), 0); /* has no limit */
	assert_int_equal(gw_rate_take(rates, &routes[0], "", START), 0);
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof name, "tenant-number-%d", i);
		assert_int_equal(gw_rate_take(rates, &routes[0], name, START), 0);
	}
	assert_int_not_equal(gw_rate_take(rates, &routes[0], "a", START), 0); /* is not forgotten */
	gw_rates_free(rates);
}

/* The route of another configuration. */
static uint64_t take_from(struct gw_rates *rates, struct gw_route route)
{
	route.identity = gw_rate_identity(&route);
	return gw_rate_take(rates, &route, "a", START);
}

static void a_bucket_is_its_routes_wherever_it_stands(void **state)
{
	static const char *const get[] = { "GET", NULL }, *const both[] = { "GET", "HEAD", NULL };
	struct gw_rates *rates = rates_make();
	struct gw_route route = { .index = 7, .path = "/a", .requests_per_second = 10, .burst = 5 };

	(void)state;
	while (gw_rate_take(rates, &routes[0], "a", START) == 0)
		;
	assert_int_not_equal(take_from(rates, route), 0);
	route.methods = get;
	while (take_from(rates, route) == 0)
		;
	route.methods = both;
	assert_int_equal(take_from(rates, route), 0);
	route.methods = NULL;
	route.host = "/a"; /* texts do not run into each other */
	route.path = NULL;
	assert_int_equal(take_from(rates, route), 0);
	route = (struct gw_route){ .path = "/a", .requests_per_second = 10, .burst = 6 };
	assert_int_equal(take_from(rates, route), 0); /* another limit */
	gw_rates_free(rates);
	gw_rates_free(NULL);
}

/* Four threads, one bucket, one instant: no more than the burst passes. */
struct shared {
	struct gw_rates *rates;
	uint32_t passed[4];
};
struct taker {
	struct shared *shared;
	uint32_t number;
};

static void *take_all(void *user)
{
	const struct taker *taker = user;

	for (int i = 0; i < 5000; i++)
		taker->shared->passed[taker->number] +=
			gw_rate_take(taker->shared->rates, &routes[3], "a", START) == 0;
	return NULL;
}

static void threads_share_a_bucket(void **state)
{
	struct shared shared = { .rates = rates_make() };
	struct taker takers[4];
	pthread_t threads[4];
	uint32_t passed = 0;

	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		takers[i] = (struct taker){ &shared, i };
		assert_int_equal(pthread_create(&threads[i], NULL, take_all, &takers[i]), 0);
	}
	for (uint32_t i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		passed += shared.passed[i];
	}
	/* The first look at a bucket may meet another thread's. */
	assert_in_range(passed, 1000, 1003);
	gw_rates_free(shared.rates);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(burst_then_rate),
	cmocka_unit_test(tenants_and_routes_are_apart),
	cmocka_unit_test(a_bucket_is_its_routes_wherever_it_stands),
	cmocka_unit_test(threads_share_a_bucket),
};
CMOCKA_TESTS(rate, tests);
