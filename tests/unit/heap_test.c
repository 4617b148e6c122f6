/* SPDX-License-Identifier: Apache-2.0 */
/* heap_test.c - core/base/heap.c: timers come out in the order of their deadlines. */
#include "tests/unit/unit.h"

#include "core/base/heap.h"

enum { TIMERS = 500 };

static void heap_is_in_order(void **state)
{
	static struct kolk__timer timers[TIMERS];
	struct kolk__heap heap = { 0 };
	uint64_t random = 1, last = 0;
	int count = 0;

	(void)state;
	for (int i = 0; i < TIMERS; i++) {
		random = random * 6364136223846793005u + 1;
		kolk__heap_push(&heap, &timers[i], random >> 50);
		assert_true(kolk__timer_is_armed(&timers[i]));
	}
	for (int i = 0; i < TIMERS; i += 3) /* out of the middle */
		kolk__heap_remove(&heap, &timers[i]);
	while (kolk__heap_min(&heap) != NULL) {
		struct kolk__timer *timer = kolk__heap_min(&heap);

		assert_true(timer->due_ns >= last);
		last = timer->due_ns;
		kolk__heap_remove(&heap, timer);
		assert_false(kolk__timer_is_armed(timer));
		count++;
	}
	assert_int_equal(count, TIMERS - (TIMERS + 2) / 3);
}

static const struct CMUnitTest tests[] = { cmocka_unit_test(heap_is_in_order) };

CMOCKA_TESTS(heap, tests);
