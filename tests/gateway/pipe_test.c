/* SPDX-License-Identifier: Apache-2.0 */
/* pipe_test.c - bytes that are in the gateway, and how many may be. */
#include "tests/kit/cmocka/run.h"

#include <string.h>

#include "tools/gateway/pipe.h"

static void what_comes_goes_in_order(void **state)
{
	struct gw_pipe pipe = { .data = NULL };
	char piece[300], taken[200], first = 0, next = 0;
	size_t size;

	(void)state;
	for (int round = 0; round < 50; round++) {
		for (size_t i = 0; i < sizeof piece; i++)
			piece[i] = first++;
		assert_true(gw_pipe_push(&pipe, piece, sizeof piece));
		size = gw_pipe_take(&pipe, taken, sizeof taken);
		assert_int_equal(size, sizeof taken);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(taken[i], next++);
	}
	assert_int_equal(pipe.size, 50 * (sizeof piece - sizeof taken));
	assert_int_equal(pipe.data[pipe.begin], next);
	gw_pipe_free(&pipe);
	assert_null(pipe.data);
}

static void it_has_a_bound(void **state)
{
	struct gw_pipe pipe = { .data = NULL };

	(void)state;
	assert_null(gw_pipe_reserve(&pipe, (size_t)GW_PIPE_MAX + 1));
	assert_null(gw_pipe_reserve(&pipe, SIZE_MAX));
	assert_true(gw_pipe_put(&pipe, "some"));
	assert_null(gw_pipe_reserve(&pipe, GW_PIPE_MAX - 3));
	assert_null(gw_pipe_reserve(&pipe, SIZE_MAX - 3));
	assert_int_equal(pipe.size, 4);
	assert_memory_equal(pipe.data, "some", 4);
	gw_pipe_free(&pipe);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(what_comes_goes_in_order),
	cmocka_unit_test(it_has_a_bound),
};
CMOCKA_TESTS(pipe, tests);
