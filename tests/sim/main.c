/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - kolk-sim: many seeds, each a simulated engine; the same seed, the same history. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/world.h"

struct totals {
	uint64_t seeds, steps, events, streams, resets_begun, resets_done, unsolicited, broken, hash;
	uint64_t later, expired;
	uint64_t fired[KOLK__SIM_FAULT_COUNT];
};

static volatile uint64_t current_seed, current_step;

/* A crash is a finding, too: say which seed. */
static void crashed(int signal)
{
	char text[128];
	int size = snprintf(text, sizeof text,
			    "\ncrashed: signal %d, seed %llu, step %llu; replay: kolk-sim --seed %llu "
			    "--trace\n", signal, (unsigned long long)current_seed,
			    (unsigned long long)current_step, (unsigned long long)current_seed);

	if (write(2, text, (size_t)size) < 0)
		_exit(3);
	_exit(2);
}

static void live(uint64_t seed, uint64_t steps, bool trace, struct totals *totals)
{
	struct world *world = world_open(seed, trace);

	if (world == NULL) {
		fprintf(stderr, "kolk-sim: no memory for a world\n");
		exit(3);
	}
	current_seed = seed;
	for (uint64_t i = 0; i < steps && world->broken == NULL; i++) {
		current_step = i;
		world_step(world);
	}
	world_end(world);
	totals->seeds++;
	totals->steps += world->steps;
	totals->events += world->events;
	totals->streams += streams_opened(world);
	totals->resets_begun += world->resets_begun;
	totals->resets_done += world->resets_done;
	totals->unsolicited += world->unsolicited;
	totals->later += world->later_begun;
	totals->expired += world->later_expired;
	totals->hash = (totals->hash ^ kolk__sim_hash(world->sim)) * UINT64_C(0x100000001b3);
	for (int i = 0; i < KOLK__SIM_FAULT_COUNT; i++)
		totals->fired[i] += kolk__sim_fired(world->sim, (enum kolk__sim_fault)i);
	if (world->broken != NULL) {
		totals->broken++;
		printf("%sBROKEN: %s\n  seed %llu, step %llu; replay: kolk-sim --seed %llu --steps %llu "
		       "--trace\n", isatty(1) ? "\r\033[K" : "", world->broken,
		       (unsigned long long)seed, (unsigned long long)world->steps,
		       (unsigned long long)seed, (unsigned long long)steps);
	}
	world_close(world);
}

static void report(const struct totals *totals)
{
	printf("seeds:  %llu\nsteps:  %llu, each followed by kolk_check\nevents: %llu\n"
	       "streams: %llu\nresets: %llu of %llu; unsolicited: %llu\n"
	       "operations of resources: %llu, late: %llu\nfaults that fired:\n",
	       (unsigned long long)totals->seeds, (unsigned long long)totals->steps,
	       (unsigned long long)totals->events, (unsigned long long)totals->streams,
	       (unsigned long long)totals->resets_done,
	       (unsigned long long)totals->resets_begun, (unsigned long long)totals->unsolicited,
	       (unsigned long long)totals->later, (unsigned long long)totals->expired);
	for (int i = 0; i < KOLK__SIM_FAULT_COUNT; i++)
		printf("  %-15s %12llu%s", kolk__sim_fault_name((enum kolk__sim_fault)i),
		       (unsigned long long)totals->fired[i], i % 3 == 2 ? "\n" : "");
	printf("%sbroken: %llu\nhash: %016llx\n", KOLK__SIM_FAULT_COUNT % 3 != 0 ? "\n" : "",
	       (unsigned long long)totals->broken, (unsigned long long)totals->hash);
}

static uint64_t number(const char *text, char end)
{
	char *stop;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &stop, 10);
	if (errno != 0 || stop == text || (*stop != 0 && *stop != end)) {
		fprintf(stderr, "kolk-sim: '%s' is not a number\n", text);
		exit(3);
	}
	return value;
}

static int usage(void)
{
	printf("kolk-sim --seeds A-B [--steps N]     many lives; the same arguments, the same hash\n"
	       "kolk-sim --seed S [--steps N] --trace   one seed, shown step by step\n");
	return 3;
}

int main(int argc, char **argv)
{
	uint64_t first = 1, last = 100, steps = 10000;
	static const int deadly[] = { SIGSEGV, SIGABRT, SIGFPE, SIGILL, SIGTRAP };
	struct totals totals = { 0 };
	bool trace = false;
#ifdef __SANITIZE_ADDRESS__
	const bool tells_more = true;
#else
	const bool tells_more = false;
#endif

	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (strcmp(argv[i], "--trace") == 0) {
			trace = true;
			continue;
		}
		if (value == NULL)
			return usage();
		if (strcmp(argv[i], "--seeds") == 0) {
			first = number(value, '-');
			last = strchr(value, '-') != NULL ? number(strchr(value, '-') + 1, 0) : first;
		} else if (strcmp(argv[i], "--seed") == 0) {
			first = last = number(value, 0);
		} else if (strcmp(argv[i], "--steps") == 0) {
			steps = number(value, 0);
		} else {
			return usage();
		}
		i++;
	}
	for (size_t i = 0; i < sizeof deadly / sizeof deadly[0] && !tells_more; i++)
		signal(deadly[i], crashed);
	for (uint64_t seed = first; seed <= last; seed++) {
		if (isatty(1) && !trace) {
			printf("\rseed %llu of %llu, broken %llu ", (unsigned long long)seed,
			       (unsigned long long)last, (unsigned long long)totals.broken);
			fflush(stdout);
		}
		live(seed, steps, trace, &totals);
	}
	if (isatty(1) && !trace)
		printf("\r\033[K");
	report(&totals);
	return totals.broken != 0;
}
