/*
 * hist.h — waiting times of one thread: 128 buckets for each power of two.
 *
 * A value below 256 ns has a bucket of its own; above, a bucket is at most 1/128 of its value wide
 * and answers its middle, so an answer is off by 0.4 % at most. The other rivals use the same buckets.
 */
#ifndef RIVAL_HIST_H
#define RIVAL_HIST_H

#include <stdint.h>

enum { HIST_BITS = 7, HIST_SUB = 1 << HIST_BITS, HIST_BUCKETS = (65 - HIST_BITS) * HIST_SUB };

struct hist {
	uint64_t count;
	uint64_t max_ns;
	uint64_t buckets[HIST_BUCKETS];
};

static inline unsigned hist_shift(uint64_t ns)
{
	return ns < 2 * HIST_SUB ? 0 : 63u - (unsigned)__builtin_clzll(ns) - HIST_BITS;
}

static inline void hist_add(struct hist *hist, uint64_t ns)
{
	unsigned shift = hist_shift(ns);

	hist->buckets[shift * HIST_SUB + (ns >> shift)]++;
	hist->count++;
	if (ns > hist->max_ns)
		hist->max_ns = ns;
}

static inline void hist_merge(struct hist *sum, const struct hist *part)
{
	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		sum->buckets[i] += part->buckets[i];
	sum->count += part->count;
	if (part->max_ns > sum->max_ns)
		sum->max_ns = part->max_ns;
}

/* The middle of bucket i. */
static inline uint64_t hist_value(unsigned i)
{
	unsigned shift = i < 2 * HIST_SUB ? 0 : i / HIST_SUB - 1;
	uint64_t low = (uint64_t)(i - shift * HIST_SUB) << shift;

	return low + ((UINT64_C(1) << shift) >> 1);
}

/* per_mille 500 is the median. */
static inline uint64_t hist_quantile(const struct hist *hist, unsigned per_mille)
{
	uint64_t rank = (hist->count * per_mille + 999) / 1000;
	uint64_t seen = 0;

	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		seen += hist->buckets[i];
		if (seen >= rank && seen > 0)
			return hist_value(i) < hist->max_ns ? hist_value(i) : hist->max_ns;
	}
	return hist->max_ns;
}

#endif
