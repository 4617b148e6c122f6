/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - kolk-ops-test: configuration, status and the admin server. */
#include "tests/ops/ops.h"

int main(void)
{
	return config_tests() + reload_tests() + admin_tests() + serve_tests() +
	       locale_tests() + walk_tests();
}
