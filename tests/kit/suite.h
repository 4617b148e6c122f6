/* SPDX-License-Identifier: Apache-2.0 */
/*
 * suite.h - how a file of tests registers itself: TAP_TESTS (tap.h) or CMOCKA_TESTS (cmocka/run.h) below
 * its array of tests. No list elsewhere names it.
 */
#ifndef KOLK_KIT_SUITE_H
#define KOLK_KIT_SUITE_H

#include <stdbool.h>
#include <stddef.h>

struct CMUnitTest;
struct tap_test;

struct kit_suite {
	const char *file, *name;
	const struct tap_test *tap;       /* one of these three */
	const struct CMUnitTest *cmocka;
	const struct CMUnitTest *(*cmocka_made)(size_t *count); /* known only when it runs */
	size_t count;
};

/* Pointers, not the structs: AddressSanitizer puts red zones around structs in a section. */
#define KIT_SUITE(suite, ...)                                                              \
	static const struct kit_suite kit_suite_##suite = { .file = __FILE__,              \
							    .name = #suite, __VA_ARGS__ }; \
	__attribute__((section("kit_suites"), used)) static const struct kit_suite         \
		*const kit_entry_##suite = &kit_suite_##suite

/* All suites of this program, by file, then by name; to be freed. */
const struct kit_suite **kit_suites(size_t *count);
/* Whether all of its tests are asked for: its own name or its file's contains `only`, or that is
 * NULL. */
bool kit_suite_named(const struct kit_suite *suite, const char *only);

#endif
