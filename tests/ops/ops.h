/* SPDX-License-Identifier: Apache-2.0 */
/* ops.h - what the tests of libkolk-ops share: cmocka, and the list of their groups. */
#ifndef KOLK_TESTS_OPS_H
#define KOLK_TESTS_OPS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

int config_tests(void);
int reload_tests(void);
int admin_tests(void);
int serve_tests(void);
int locale_tests(void);
int walk_tests(void);

#endif
