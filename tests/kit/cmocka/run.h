/* SPDX-License-Identifier: Apache-2.0 */
/* run.h - cmocka, and the suites of a program whose tests are cmocka's. */
#ifndef KOLK_KIT_CMOCKA_RUN_H
#define KOLK_KIT_CMOCKA_RUN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/kit/suite.h"

/* Below the array of its tests: CMOCKA_TESTS(hist, tests). */
#define CMOCKA_TESTS(suite, array) \
	KIT_SUITE(suite, .cmocka = (array), .count = sizeof(array) / sizeof *(array))

/* Every test whose name, or whose suite's or file's, contains `only` (NULL: all). The exit status: a name
 * that none contains is an error. */
int cmocka_suites_run(const char *only);

#endif
