/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - kolk-peers: every driver against the servers that people run. */
#include "tests/peers/peers.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t requests, most = UINT64_MAX, seed;
static bool long_run;

uint64_t peers_requests(uint64_t usual)
{
	if (requests != 0)
		return requests;
	return long_run ? 10 * usual : usual < most ? usual : most;
}

bool peers_long(void)
{
	return long_run;
}

uint64_t peers_seed(void)
{
	return seed;
}

static int usage(void)
{
	fprintf(stderr,
		"kolk-peers [--requests N | --at-most N | --long] [--seed N] [part of a suite's or "
		"test's name]\n");
	return 2;
}

int main(int argc, char **argv)
{
	const char *only = NULL;

	seed = (uint64_t)time(NULL);
	signal(SIGPIPE, SIG_IGN);
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--long") == 0)
			long_run = true;
		else if (strcmp(argv[i], "--requests") == 0 && i + 1 < argc)
			requests = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--at-most") == 0 && i + 1 < argc)
			most = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
			seed = strtoull(argv[++i], NULL, 10);
		else if (argv[i][0] == '-')
			return usage();
		else
			only = argv[i];
	}
	return tap_suites_run("peers", only);
}
