/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - kolk-gateway-program [OPTION ...] [part of the name of a test, or of its file]: the
 * gateway as it is run.
 *
 *   --every-cut    the corpus cut at every byte, not at every seventh
 *   --nonces N     requests of each of the eight runs of nonces_test.c
 *   --sessions N   sessions of each of the runs of mcp_soak_test.c
 *   --calls N      calls of each of its runs
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gateway/program/program.h"

struct program_options program_options = { .nonces = 2000, .sessions = 64, .calls = 320 };

int main(int argc, char **argv)
{
	const char *only = NULL;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--every-cut") == 0)
			program_options.every_cut = true;
		else if (strcmp(argv[i], "--nonces") == 0 && i + 1 < argc)
			program_options.nonces = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--sessions") == 0 && i + 1 < argc)
			program_options.sessions = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--calls") == 0 && i + 1 < argc)
			program_options.calls = strtoull(argv[++i], NULL, 10);
		else
			only = argv[i];
	}
	signal(SIGPIPE, SIG_IGN);
	return tap_suites_run("gateway", only);
}
