/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drivers.h - what the tests of libkolk-drivers share: cmocka, and how a file offers its tests.
 *
 * DRIVERS_TESTS(redis_reply, tests), where tests is an array of struct CMUnitTest: kolk-drivers-test
 * finds it. Servers that misbehave: tests/kit/mock.h.
 */
#ifndef KOLK_TESTS_DRIVERS_H
#define KOLK_TESTS_DRIVERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct drivers_suite {
	const char *name;
	const struct CMUnitTest *tests;
	size_t count;
};

#define DRIVERS_TESTS(suite, array)                                                         \
	static const struct drivers_suite drivers_##suite = {                               \
		#suite, array, sizeof(array) / sizeof *(array)                              \
	};                                                                                  \
	__attribute__((section("drivers_suites"), used)) static const struct drivers_suite  \
		*const drivers_entry_##suite = &drivers_##suite

#endif
