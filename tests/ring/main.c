/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - kolk-ring: a back end against the laws of rings. TAP.
 *
 *   kolk-ring io_uring|epoll|simulator [--operations N] [--seed S]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kit/tap.h"
#include "tests/ring/ring.h"

static int usage(void)
{
	printf("kolk-ring io_uring|epoll|simulator [--operations N] [--seed S]\n");
	return 2;
}

static bool back_end(const char *name, struct options *o)
{
	o->world = strcmp(name, "simulator") == 0 ? &world_simulator : &world_linux;
	o->backend = strcmp(name, "epoll") == 0 ? KOLK_BACKEND_EPOLL :
		     strcmp(name, "io_uring") == 0 ? KOLK_BACKEND_IO_URING : KOLK_BACKEND_AUTO;
	return o->backend != KOLK_BACKEND_AUTO || o->world == &world_simulator;
}

int main(int argc, char **argv)
{
	struct options o = { .operations = 200000, .seed = 1 };
	const char *refused;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 2 || argc % 2 != 0 || !back_end(argv[1], &o))
		return usage();
	for (int i = 2; i < argc; i += 2) {
		uint64_t *number = strcmp(argv[i], "--operations") == 0 ? &o.operations :
				   strcmp(argv[i], "--seed") == 0	? &o.seed : NULL;

		if (number == NULL)
			return usage();
		*number = strtoull(argv[i + 1], NULL, 10);
	}
	refused = o.backend == KOLK_BACKEND_IO_URING ? tap_io_uring_refused() : NULL;
	if (refused != NULL)
		return tap_skip_all("ring io_uring", refused);
	program_run(&o);
	printf("ok 1 - ring %s: random operations\n1..1\n", argv[1]);
	return 0;
}
