/* SPDX-License-Identifier: Apache-2.0 */
/* config_test.c - files that are right, files that are not, the environment, reloads. */
#include "tests/ops/ops.h"

#include <kolk/ops/config.h>

static void nothing_is_freed(void **state)
{
	(void)state;
	kolk_config_free(NULL);
}

int config_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_freed),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
