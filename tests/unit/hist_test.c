/* SPDX-License-Identifier: Apache-2.0 */
/* hist_test.c - core/hist.c: at most one per cent wrong, exact at the ends. */
#include "tests/unit/unit.h"

#include "core/hist.h"

static void one_value_is_within_a_percent(void **state)
{
	const struct kolk_sys *sys = kolk_sys_linux();
	struct kolk_quantiles q;

	(void)state;
	for (uint64_t value = 1; value < UINT64_C(1) << 38; value = value * 17 / 16 + 1) {
		struct kolk__hist hist = { 0 };
		double error;

		kolk__hist_record(sys, &hist, value);
		kolk__hist_quantiles(&hist, &q);
		error = ((double)q.p50 - (double)value) / (double)value;
		assert_true(error <= 0.01 && error >= -0.01);
		assert_true(q.max == value && q.count == 1 && q.sum == value);
		kolk__hist_free(sys, &hist);
	}
}

static void quantiles_of_a_line(void **state)
{
	const struct kolk_sys *sys = kolk_sys_linux();
	struct kolk__hist hist = { 0 }, sum = { 0 };
	struct kolk_quantiles q;

	(void)state;
	for (uint64_t i = 1; i <= 100000; i++)
		kolk__hist_record(sys, &hist, i);
	kolk__hist_merge(&sum, sys, &hist);
	kolk__hist_quantiles(&sum, &q);
	assert_int_equal(q.count, 100000);
	assert_in_range(q.p50, 49500, 50500);
	assert_in_range(q.p90, 89100, 90900);
	assert_in_range(q.p99, 98010, 99990);
	assert_in_range(q.p999, 98900, 100000);
	assert_int_equal(q.max, 100000);
	kolk__hist_free(sys, &hist);
	kolk__hist_free(sys, &sum);
}

static void nothing_recorded(void **state)
{
	struct kolk__hist hist = { 0 };
	struct kolk_quantiles q;

	(void)state;
	kolk__hist_quantiles(&hist, &q);
	assert_true(q.count == 0 && q.p50 == 0 && q.max == 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(one_value_is_within_a_percent),
	cmocka_unit_test(quantiles_of_a_line),
	cmocka_unit_test(nothing_recorded),
};

CMOCKA_TESTS(hist, tests);
