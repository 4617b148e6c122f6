/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/kit/measure.h"

#include <stdlib.h>
#include <time.h>

uint64_t clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double median(double *values, int count)
{
	qsort(values, (size_t)count, sizeof values[0], compare);
	return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

uint64_t clock_cost(void)
{
	double costs[9];

	for (int i = 0; i < 9; i++) {
		uint64_t begin = clock_now();

		for (int j = 0; j < 10000; j++)
			(void)clock_now();
		costs[i] = (double)(clock_now() - begin) / 10000;
	}
	return (uint64_t)median(costs, 9);
}

/* ---- histograms */

void hist_add(struct hist *hist, uint64_t value)
{
	uint32_t octave = value < 64 ? 0 : 58 - (uint32_t)__builtin_clzll(value);
	uint64_t step = octave == 0 ? value : (value >> (octave - 1)) - 64;

	if (octave > 39) {
		octave = 39;
		step = 63;
	}
	hist->slot[octave * 64 + step]++;
	hist->count++;
	if (value > hist->max)
		hist->max = value;
}

void hist_merge(struct hist *into, const struct hist *from)
{
	for (int i = 0; i < HIST_SIZE; i++)
		into->slot[i] += from->slot[i];
	into->count += from->count;
	if (from->max > into->max)
		into->max = from->max;
}

uint64_t hist_at(const struct hist *hist, double part)
{
	uint64_t wanted = (uint64_t)(part * (double)hist->count), seen = 0;

	for (uint32_t i = 0; i < HIST_SIZE; i++) {
		seen += hist->slot[i];
		if (seen > wanted)
			return i < 64 ? i : ((64 + (uint64_t)i % 64) << (i / 64 - 1));
	}
	return hist->max;
}
