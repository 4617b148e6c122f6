/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scale.c - does the cost grow with connections, tenants, waiters or keys?
 *
 * Resources in process, so that no kernel hides the cost. What a caller sees is timed by the
 * clock; what must not grow is counted in CPU time of the thread that does it, and its slope is
 * that of the least squares over n. Every loop has a time box: where the cost grows, fewer
 * connections than wanted are opened, and the row says how many.
 */
#define _GNU_SOURCE
#include "bench/scale.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t cpu_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * KOLK_S_NS + (uint64_t)now.tv_nsec;
}

static uint64_t cpu_now_cost(void)
{
	double costs[9];

	for (int i = 0; i < 9; i++) {
		uint64_t begin = cpu_now();

		for (int j = 0; j < 1000; j++)
			(void)cpu_now();
		costs[i] = (double)(cpu_now() - begin) / 1000;
	}
	return (uint64_t)median(costs, 9);
}

uint64_t scale_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

void scale_check(enum kolk_err err, const char *what)
{
	if (err != KOLK_OK && err != KOLK_PENDING)
		die("%s: %s", what, kolk_err_text(err));
}

/* ---- costs and slopes */

bool costs_add_each(struct costs *costs, const struct scale *scale, uint64_t begin, uint32_t count)
{
	double ns = ((double)(cpu_now() - begin) - (double)scale->cpu_ns) / count;

	if (costs->count == COSTS_MAX)
		return false;
	costs->ns[costs->count++] = ns > 0 ? ns : 0;
	return true;
}

bool costs_add(struct costs *costs, const struct scale *scale, uint64_t begin)
{
	return costs_add_each(costs, scale, begin, 1);
}

double costs_median(struct costs *costs)
{
	return costs->count > 0 ? median(costs->ns, costs->count) : 0;
}

double costs_max(const struct costs *costs)
{
	double most = 0;

	for (int i = 0; i < costs->count; i++)
		most = costs->ns[i] > most ? costs->ns[i] : most;
	return most;
}

void points_add(struct points *points, double n, double ns)
{
	if (points->count == POINTS_MAX)
		return;
	points->n[points->count] = n;
	points->ns[points->count++] = ns;
}

double points_slope(const struct points *points)
{
	double mean_n = 0, mean_ns = 0, both = 0, squares = 0;

	for (int i = 0; i < points->count; i++) {
		mean_n += points->n[i] / points->count;
		mean_ns += points->ns[i] / points->count;
	}
	for (int i = 0; i < points->count; i++) {
		both += (points->n[i] - mean_n) * (points->ns[i] - mean_ns);
		squares += (points->n[i] - mean_n) * (points->n[i] - mean_n);
	}
	return squares > 0 ? both / squares : 0;
}

/* ---- output */

void scale_head(const struct scale *scale, const char *about, const char *n)
{
	if (scale->json == NULL)
		printf("\n%s\n%12s  %-34s %10s %10s %10s\n", about, n, "thread CPU time, ns",
		       "median", "max", "times");
}

void scale_row(const struct scale *scale, const char *what, uint32_t n, struct costs *costs)
{
	double middle = costs_median(costs), most = costs_max(costs);

	if (scale->json != NULL)
		fprintf(scale->json, "{\"scenario\":\"scale\",\"series\":\"%s\",\"what\":\"%s\","
			"\"n\":%u,\"cpu_ns\":%.0f,\"max_ns\":%.0f,\"count\":%d}\n",
			scale->series, what, n, middle, most, costs->count);
	else
		printf("%12u  %-34s %10.0f %10.0f %10d\n", n, what, middle, most, costs->count);
	fflush(scale->json != NULL ? scale->json : stdout);
}

void scale_slope(const struct scale *scale, const char *what, const struct points *points)
{
	double from, to;

	if (points->count < 2)
		return;
	from = points->n[0];
	to = points->n[points->count - 1];
	if (scale->json != NULL)
		fprintf(scale->json, "{\"scenario\":\"scale\",\"series\":\"%s\",\"what\":\"%s\","
			"\"from\":%.0f,\"to\":%.0f,\"slope_ns\":%.4f}\n", scale->series, what,
			from, to, points_slope(points));
	else
		printf("       slope  %-34s %10.4f ns more per one more, n = %.0f to %.0f\n", what,
		       points_slope(points), from, to);
}

/* ---- the scenario */

static const struct {
	const char *name;
	void (*run)(const struct scale *scale);
} series[] = {
	{ "connections", scale_connections },
	{ "evict", scale_evict },
	{ "waiters", scale_waiters },
	{ "keys", scale_keys },
	{ "sockets", scale_sockets },
};
enum { SERIES = sizeof series / sizeof series[0] };

/* Is it in the list "a,b"? */
static bool is_listed(const char *list, const char *name)
{
	size_t size = strlen(name);

	for (const char *at = list; at != NULL; at = strchr(at, ',')) {
		at += *at == ',';
		if (strncmp(at, name, size) == 0 && (at[size] == 0 || at[size] == ','))
			return true;
	}
	return false;
}

int scenario_scale(const struct args *args)
{
	struct scale scale = { .args = args, .json = json_open(args), .clock_ns = clock_cost(),
			       .cpu_ns = cpu_now_cost() };
	bool any = false;

	scale.pass_s = args->quick ? 0.04 : 0.25 * args->seconds;
	scale.open_s = args->quick ? 1 : 15 * args->seconds;
	scale.step_s = args->quick ? 0.1 : 0.5 * args->seconds;
	for (int i = 0; i < SERIES; i++)
		if (args->series == NULL || is_listed(args->series, series[i].name)) {
			scale.series = series[i].name;
			series[i].run(&scale);
			any = true;
		}
	json_close(scale.json);
	if (!any)
		die("--series is a list of connections, evict, waiters, keys, sockets");
	return 0;
}
