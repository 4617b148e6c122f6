/* SPDX-License-Identifier: Apache-2.0 */
/* buckets.h - buckets of times, in which a loop counts for itself: below 1.024 us, then 16 for each
 * doubling up to 137 s (<= 6.3 % error), and what took longer. */
#ifndef KOLK_BUCKETS_H
#define KOLK_BUCKETS_H

#include <stdint.h>

enum { KOLK__BUCKETS_PER_DOUBLING = 16, KOLK__BUCKET_DOUBLINGS = 27,
       KOLK__BUCKETS = 1 + KOLK__BUCKET_DOUBLINGS * KOLK__BUCKETS_PER_DOUBLING + 1 };

static inline uint32_t kolk__bucket_of(uint64_t ns)
{
	uint64_t units = ns >> 6; /* 16 of them are the first bucket */
	uint32_t doubling;

	if (units < KOLK__BUCKETS_PER_DOUBLING)
		return 0;
	doubling = 63 - 4 - (uint32_t)__builtin_clzll(units);
	if (doubling >= KOLK__BUCKET_DOUBLINGS)
		return KOLK__BUCKETS - 1;
	return 1 + doubling * KOLK__BUCKETS_PER_DOUBLING +
	       (uint32_t)(units >> doubling) - KOLK__BUCKETS_PER_DOUBLING;
}

/* What is in it took less; not of the last. */
static inline uint64_t kolk__bucket_bound_ns(uint32_t bucket)
{
	uint32_t doubling, step;

	if (bucket == 0)
		return 1024;
	doubling = (bucket - 1) / KOLK__BUCKETS_PER_DOUBLING;
	step = (bucket - 1) % KOLK__BUCKETS_PER_DOUBLING;
	return (uint64_t)(KOLK__BUCKETS_PER_DOUBLING + step + 1) << (doubling + 6);
}

#endif
