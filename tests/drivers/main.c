/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - kolk-drivers-test [--hosted] [io_uring | epoll] [part of the name of a test, or of its file]:
 * drivers without the servers that people run. --hosted: every loop is driven from a host's poll set, see
 * tests/kit/host.h.
 */
#include "tests/kit/cmocka/run.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/kit/host.h"
#include "tests/kit/tap.h"

int main(int argc, char **argv)
{
	const char *only = NULL, *refused;

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
	return cmocka_suites_run(only);
}
