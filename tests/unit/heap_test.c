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

/* From here up to the root: as many steps as push and remove may take. */
static uint32_t depth_of(const struct kolk__heap *heap, const struct kolk__timer *timer)
{
	uint32_t depth = 0;

	for (; timer->parent != timer; timer = timer->parent, depth++) {
		assert_true(timer->parent->left == timer || timer->parent->right == timer);
		assert_true(timer->parent->due_ns <= timer->due_ns);
	}
	assert_ptr_equal(timer, heap->root);
	return depth;
}

static void assert_levels(const struct kolk__heap *heap, const struct kolk__timer *timers, int n)
{
	uint32_t levels = 0, count = 0;

	while (kolk__own(&heap->count) >> levels > 1)
		levels++;
	for (int i = 0; i < n; i++) {
		if (!kolk__timer_is_armed(&timers[i]))
			continue;
		assert_in_range(depth_of(heap, &timers[i]), 0, levels);
		count++;
	}
	assert_int_equal(count, kolk__own(&heap->count));
}

/* However timers come and go: armed in order, in reverse, at random, moved, disarmed. Then no
 * operation takes more than log2(n) steps up or down. */
static void heap_has_log_n_levels(void **state)
{
	enum { N = 100000 };
	static struct kolk__timer timers[N];
	struct kolk__heap heap = { 0 };
	uint64_t random = 1;

	(void)state;
	for (int i = 0; i < N; i++)
		kolk__heap_push(&heap, &timers[i], i % 2 ? (uint64_t)i : (uint64_t)(N - i));
	assert_levels(&heap, timers, N);
	for (int i = 0; i < N; i++) {
		random = random * 6364136223846793005u + 1;
		kolk__heap_remove(&heap, &timers[random % N]);
		kolk__heap_push(&heap, &timers[random % N], random >> 40);
	}
	assert_levels(&heap, timers, N);
	for (int i = 0; i < N / 2; i++)
		kolk__heap_remove(&heap, &timers[i * 2]);
	assert_levels(&heap, timers, N);
	for (int i = 0; i < N / 2; i++)
		kolk__heap_remove(&heap, kolk__heap_min(&heap));
	assert_null(heap.root);
}

static const struct CMUnitTest tests[] = { cmocka_unit_test(heap_is_in_order),
					   cmocka_unit_test(heap_has_log_n_levels) };

CMOCKA_TESTS(heap, tests);
