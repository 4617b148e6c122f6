/* SPDX-License-Identifier: Apache-2.0 */
/* reload_test.c */
#include "tests/ops/ops.h"
int reload_tests(void) { return 0; }
