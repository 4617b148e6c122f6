/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - kolk-peers: every driver against the servers that people run. */
#include "tests/peers/peers.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

extern const struct peers_suite *const __start_peers_suites[], *const __stop_peers_suites[];

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

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct peers_suite *const *)a)->name,
		      (*(const struct peers_suite *const *)b)->name);
}

/* Whether it has a test that is asked for; *whole = all of them. */
static bool wanted(const struct peers_suite *suite, const char *only, bool *whole)
{
	*whole = only == NULL || strstr(suite->name, only) != NULL;
	for (int i = 0; !*whole && i < suite->count; i++)
		if (strstr(suite->tests[i].name, only) != NULL)
			return true;
	return *whole;
}

static int run(const char *only)
{
	size_t count = (size_t)(__stop_peers_suites - __start_peers_suites);
	const struct peers_suite **suites = calloc(count, sizeof *suites);
	int failed = 0;

	if (suites == NULL)
		return 1;
	memcpy(suites, __start_peers_suites, count * sizeof *suites);
	qsort(suites, count, sizeof *suites, by_name);
	for (size_t i = 0; i < count; i++) {
		bool whole;

		if (wanted(suites[i], only, &whole))
			failed |= tap_run(suites[i]->name, suites[i]->tests, suites[i]->count,
					  whole ? NULL : only);
	}
	free(suites);
	return failed;
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
	return tap_status(run(only));
}
