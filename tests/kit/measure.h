/* SPDX-License-Identifier: Apache-2.0 */
/* measure.h - clock, median, histogram: what bench, demonstration and tests measure with. */
#ifndef KOLK_KIT_MEASURE_H
#define KOLK_KIT_MEASURE_H

#include <stdint.h>

uint64_t clock_now(void);
uint64_t clock_cost(void); /* ns of one clock_now, median */
double median(double *values, int count);

/* Log-linear, 64 steps per doubling; one writer. */
enum { HIST_SIZE = 64 * 40 };
struct hist {
	uint64_t count, max;
	uint32_t slot[HIST_SIZE];
};
void hist_add(struct hist *hist, uint64_t value);
void hist_merge(struct hist *into, const struct hist *from);
uint64_t hist_at(const struct hist *hist, double part);

#endif
