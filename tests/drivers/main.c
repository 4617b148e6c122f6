/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - kolk-drivers-test [part of a suite's name]: drivers without the servers that people run. */
#include "tests/drivers/drivers.h"

#include <signal.h>
#include <string.h>

extern const struct drivers_suite *const __start_drivers_suites[], *const __stop_drivers_suites[];

int main(int argc, char **argv)
{
	int failed = 0;

	signal(SIGPIPE, SIG_IGN);
	for (const struct drivers_suite *const *entry = __start_drivers_suites;
	     entry < __stop_drivers_suites; entry++) {
		const struct drivers_suite *suite = *entry;

		if (argc < 2 || strstr(suite->name, argv[1]) != NULL)
			failed += _cmocka_run_group_tests(suite->name, suite->tests, suite->count,
							  NULL, NULL);
	}
	return failed != 0;
}
