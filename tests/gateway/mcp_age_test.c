/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_age_test.c - the ages at which streams end: bounded, spread, told by the seed. */
#include "tests/kit/cmocka/run.h"

#include "tools/gateway/mcp/age.h"

enum { STREAMS = 10000, PARTS = 10 };

static void ages_are_spread_over_a_tenth(void **state)
{
	const uint64_t max_ns = 3600 * KOLK_S_NS, part_ns = max_ns / 10 / PARTS;
	uint32_t in_part[PARTS] = { 0 };
	uint64_t random = 7;

	(void)state;
	for (int i = 0; i < STREAMS; i++) {
		uint64_t age_ns = gw_mcp_age_ns(max_ns, &random);

		assert_true(age_ns <= max_ns && age_ns > max_ns - max_ns / 10);
		in_part[(max_ns - age_ns) / part_ns]++;
	}
	/* 1 000 each on average; 5 standard deviations are 150. */
	for (int i = 0; i < PARTS; i++)
		assert_in_range(in_part[i], STREAMS / PARTS - 150, STREAMS / PARTS + 150);
}

static void a_seed_tells_the_ages(void **state)
{
	uint64_t one = 1, same = 1, other = 2;
	uint32_t equal = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		uint64_t age_ns = gw_mcp_age_ns(KOLK_S_NS, &one);

		assert_int_equal(age_ns, gw_mcp_age_ns(KOLK_S_NS, &same));
		equal += age_ns == gw_mcp_age_ns(KOLK_S_NS, &other);
	}
	assert_in_range(equal, 0, 1);
	for (uint64_t ns = 0; ns < 12; ns++)
		assert_true(gw_mcp_age_ns(ns, &one) <= ns);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(ages_are_spread_over_a_tenth),
	cmocka_unit_test(a_seed_tells_the_ages),
};

CMOCKA_TESTS(mcp_age, tests);
