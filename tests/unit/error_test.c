/* SPDX-License-Identifier: Apache-2.0 */
/* error_test.c - core/error.c: every error has a name, a class and a text. */
#include "tests/unit/unit.h"

#include <string.h>

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
	assert_string_equal(kolk_reason_text((enum kolk_reason)-1), "unknown");
	for (int i = 0; i < KOLK_PHASES; i++)
		assert_true(strlen(kolk_phase_name((enum kolk_phase)i)) > 1);
	for (int i = 0; i < KOLK_EVENTS; i++)
		assert_true(strlen(kolk_event_name((enum kolk_event_kind)i)) > 1);
}

/* What pool and caller do is no fault; what a peer did is one, but for a close. */
static void reasons_tell_faults(void **state)
{
	(void)state;
	assert_false(kolk_reason_is_fault(KOLK_REASON_IDLE_TIMEOUT));
	assert_false(kolk_reason_is_fault(KOLK_REASON_DISCARDED));
	assert_false(kolk_reason_is_fault((enum kolk_reason)-1));
	assert_false(kolk_reason_is_fault(KOLK_REASONS));
#define CHECK_REASON(name, fault, err, text)                                                    \
	if (KOLK_##err != KOLK_OK)                                                              \
		assert_int_equal(kolk_reason_is_fault(KOLK_REASON_##name),                      \
				 KOLK_REASON_##name != KOLK_REASON_PEER_CLOSED);
	KOLK_REASON_TABLE(CHECK_REASON)
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(every_error_has_a_name_and_a_class),
	cmocka_unit_test(reasons_tell_faults),
};

CMOCKA_TESTS(error, tests);
