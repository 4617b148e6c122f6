/* SPDX-License-Identifier: Apache-2.0 */
/* ring_test.c - core/base/ring.h in one thread: order, capacity, and counters that wrap. Threads
 * meet in tests/race/ring.c. */
#include "tests/unit/unit.h"

#include "core/base/ring.h"

enum { SIZE = 8, HELD = SIZE - 1 };

static void take_expects(struct kolk__ring *ring, uint32_t *buffer, uint32_t expected)
{
	uint32_t token = 0;

	assert_true(kolk__ring_take(ring, buffer, &token));
	assert_int_equal(token, expected);
}

/* Full with one less than its size, empty again, in the order in which they came. */
static void fill_and_empty(struct kolk__ring *ring, uint32_t *buffer, uint32_t first)
{
	uint32_t token = 4711;

	for (uint32_t i = 0; i < HELD; i++)
		assert_true(kolk__ring_put(ring, buffer, first + i));
	assert_false(kolk__ring_put(ring, buffer, first + HELD));
	for (uint32_t i = 0; i < HELD; i++)
		take_expects(ring, buffer, first + i);
	assert_false(kolk__ring_take(ring, buffer, &token));
	assert_int_equal(token, 4711);
}

static void ring_holds_one_less_than_its_size_in_order(void **state)
{
	struct kolk__ring ring;
	uint32_t buffer[SIZE];

	(void)state;
	kolk__ring_init(&ring, SIZE);
	for (uint32_t i = 0; i < 3 * SIZE; i++) /* from each place in the buffer */
		fill_and_empty(&ring, buffer, i * SIZE);
}

/* Every value is a token, and no entry but those of the buffer is written. */
static void ring_keeps_any_value_within_its_buffer(void **state)
{
	static const uint32_t values[] = { 0, UINT32_MAX, 1, UINT32_C(0x80000000) };
	struct kolk__ring ring;
	uint32_t buffer[2 + 2] = { 7, 7, 7, 7 };

	(void)state;
	kolk__ring_init(&ring, 2);
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		assert_true(kolk__ring_put(&ring, buffer + 1, values[i]));
		assert_false(kolk__ring_put(&ring, buffer + 1, 5));
		take_expects(&ring, buffer + 1, values[i]);
	}
	assert_int_equal(buffer[0], 7);
	assert_int_equal(buffer[3], 7);
}

/* As after 2^32 tokens. */
static void ring_counters_wrap(void **state)
{
	struct kolk__ring ring;
	uint32_t buffer[SIZE];

	(void)state;
	kolk__ring_init(&ring, SIZE);
	ring.ck.c_head = ring.ck.p_tail = ring.ck.p_head = UINT32_MAX - SIZE - 2;
	for (uint32_t i = 0; i < 3; i++)
		fill_and_empty(&ring, buffer, i * SIZE);
	assert_true(ring.ck.c_head < SIZE * 3);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(ring_holds_one_less_than_its_size_in_order),
	cmocka_unit_test(ring_keeps_any_value_within_its_buffer),
	cmocka_unit_test(ring_counters_wrap),
};

CMOCKA_TESTS(ring, tests);
