/* SPDX-License-Identifier: Apache-2.0 */
/* base_test.c - core/base: deadlines in order, keyed hash; core/error.c: names and classes. */
#include "tests/unit/unit.h"

#include <string.h>

#include "core/base/heap.h"
#include "core/base/siphash.h"

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

/* The reference's own vector: key 00..0f, message 00..0e, 128 bits (SipHash, Aumasson and
 * Bernstein, test vectors of the reference implementation). */
static void siphash_matches_the_reference(void **state)
{
	static const uint8_t expected[16] = { 0x54, 0x93, 0xe9, 0x99, 0x33, 0xb0, 0xa8, 0x11,
					      0x7e, 0x08, 0xec, 0x0f, 0x97, 0xcf, 0xc3, 0xd9 };
	struct kolk__secret secret;
	struct kolk__digest digest;
	uint8_t key[16], message[15];

	(void)state;
	for (uint8_t i = 0; i < 16; i++)
		key[i] = i;
	for (uint8_t i = 0; i < 15; i++)
		message[i] = i;
	memcpy(&secret, key, sizeof key);
	digest = kolk__siphash(&secret, message, sizeof message);
	assert_memory_equal(&digest, expected, sizeof expected);
}

static void every_error_has_a_name_and_a_class(void **state)
{
	(void)state;
#define CHECK_ERROR(name, value, class, text)                                                \
	assert_string_equal(kolk_err_name((enum kolk_err)(value)), "KOLK_" #name);           \
	assert_int_equal(kolk_err_class((enum kolk_err)(value)), KOLK_CLASS_##class);        \
	assert_true(strlen(kolk_err_text((enum kolk_err)(value))) > 1);
	KOLK_ERROR_TABLE(CHECK_ERROR)
	assert_non_null(kolk_err_name((enum kolk_err)-999));
	assert_non_null(kolk_err_text((enum kolk_err)-999));
	for (int i = 0; i < KOLK_REASONS; i++)
		assert_true(strlen(kolk_reason_text((enum kolk_reason)i)) > 1);
	for (int i = 0; i < KOLK_PHASES; i++)
		assert_true(strlen(kolk_phase_name((enum kolk_phase)i)) > 1);
	for (int i = 0; i < KOLK_EVENTS; i++)
		assert_true(strlen(kolk_event_name((enum kolk_event_kind)i)) > 1);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(heap_is_in_order),
	cmocka_unit_test(siphash_matches_the_reference),
	cmocka_unit_test(every_error_has_a_name_and_a_class),
};

CMOCKA_TESTS(base, tests);
