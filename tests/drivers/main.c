/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - kolk-drivers-test [--hosted] [io_uring | epoll] [part of a suite's name]: drivers without
 * the servers that people run. --hosted: every loop is driven from a host's poll set, see
 * tests/kit/host.h.
 */
#include "tests/drivers/drivers.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/kit/host.h"
#include "tests/kit/tap.h"

extern const struct drivers_suite *const __start_drivers_suites[], *const __stop_drivers_suites[];

int main(int argc, char **argv)
{
	const char *only = NULL, *refused;
	int failed = 0, run = 0;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--hosted") == 0)
			kit_hosted = true;
		else if (strcmp(argv[i], "io_uring") == 0)
			kit_backend = KOLK_BACKEND_IO_URING;
		else if (strcmp(argv[i], "epoll") == 0)
			kit_backend = KOLK_BACKEND_EPOLL;
		else
			only = argv[i];
	}
	refused = kit_backend == KOLK_BACKEND_IO_URING ? tap_io_uring_refused() : NULL;
	if (refused != NULL)
		return tap_skip_all("drivers io_uring", refused);
	signal(SIGPIPE, SIG_IGN);
	for (const struct drivers_suite *const *entry = __start_drivers_suites;
	     entry < __stop_drivers_suites; entry++) {
		const struct drivers_suite *suite = *entry;

		if (only != NULL && strstr(suite->name, only) == NULL)
			continue;
		failed += _cmocka_run_group_tests(suite->name, suite->tests, suite->count, NULL,
						  NULL);
		run++;
	}
	if (run == 0)
		printf("not ok 1 - no suite has such a name\n");
	return failed != 0 || run == 0;
}
