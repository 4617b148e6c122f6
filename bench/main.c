/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - kolk-bench SCENARIO [options]. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/kit.h"

struct scenario {
	const char *name, *pool, *about;
	int (*run)(const struct args *args);
};

static const struct scenario scenarios[] = {
	{ "limits", "kolk", "what single operations cost here; --threads N: shared structures",
	  scenario_limits },
	{ "hit", "kolk", "acquire + release of an idle connection; --scaling: 1 to 32 threads",
	  scenario_hit },
	{ "handover", "kolk", "more threads than connections; --hold-us, --overtake-us, --matrix",
	  scenario_handover },
	{ "mutex", "mutex", "handover on the rival: one mutex and a list", scenario_handover },
	{ "keys", "kolk", "many keys: bytes and cycles; large keys", scenario_keys },
	{ "deadline", "kolk", "lateness of time-outs; --hogs N busy threads beside",
	  scenario_deadline },
};
enum { SCENARIOS = sizeof scenarios / sizeof scenarios[0] };

static int usage(void)
{
	printf("kolk-bench SCENARIO [--threads N] [--connections M] [--keys K] [--cycles N | "
	       "--seconds S]\n           [--hold-us H] [--overtake-us U] [--pool kolk|mutex] "
	       "[--json FILE|-]\n\n");
	for (int i = 0; i < SCENARIOS; i++)
		printf("  %-9s %s\n", scenarios[i].name, scenarios[i].about);
	return 0;
}

static double number(const char *name, const char *text)
{
	char *end;
	double value;

	if (text == NULL)
		die("%s needs a value", name);
	errno = 0;
	value = strtod(text, &end);
	if (errno != 0 || *end != 0 || end == text || value < 0)
		die("%s: '%s' is not a number", name, text);
	return value;
}

static void parse(int count, char **words, struct args *args)
{
	for (int i = 0; i < count; i++) {
		const char *name = words[i], *value = i + 1 < count ? words[i + 1] : NULL;

		if (strcmp(name, "--scaling") == 0) {
			args->scaling = true;
			continue;
		}
		if (strcmp(name, "--matrix") == 0) {
			args->matrix = true;
			continue;
		}
		i++;
		if (strcmp(name, "--json") == 0 && value != NULL)
			args->json = value;
		else if (strcmp(name, "--pool") == 0 && value != NULL)
			args->pool = value;
		else if (strcmp(name, "--threads") == 0)
			args->threads = (uint32_t)number(name, value);
		else if (strcmp(name, "--connections") == 0)
			args->connections = (uint32_t)number(name, value);
		else if (strcmp(name, "--keys") == 0)
			args->keys = (uint32_t)number(name, value);
		else if (strcmp(name, "--hogs") == 0)
			args->hogs = (uint32_t)number(name, value);
		else if (strcmp(name, "--cycles") == 0)
			args->cycles = (uint64_t)number(name, value);
		else if (strcmp(name, "--seconds") == 0)
			args->seconds = number(name, value);
		else if (strcmp(name, "--hold-us") == 0)
			args->hold_ns = (uint64_t)(number(name, value) * 1000);
		else if (strcmp(name, "--overtake-us") == 0)
			args->overtake_ns = (uint64_t)(number(name, value) * 1000);
		else
			die("unknown option %s; kolk-bench help lists them", name);
	}
	if (strcmp(args->pool, "kolk") != 0 && strcmp(args->pool, "mutex") != 0)
		die("--pool is kolk or mutex");
}

int main(int argc, char **argv)
{
	struct args args = { .seconds = 1, .overtake_ns = KOLK_FOREVER };

	if (argc < 2 || strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0)
		return usage();
	for (int i = 0; i < SCENARIOS; i++) {
		if (strcmp(argv[1], scenarios[i].name) != 0)
			continue;
		args.pool = scenarios[i].pool;
		parse(argc - 2, argv + 2, &args);
		return scenarios[i].run(&args);
	}
	die("unknown scenario %s; kolk-bench help lists them", argv[1]);
}
