/* SPDX-License-Identifier: Apache-2.0 */
/* hist.c - log-linear histograms: recorded by any thread, merged, read as buckets and quantiles. */
#include "core/hist.h"

#include "core/base/atomic.h"

enum { STEP_BITS = 6 };

/* Octave 0 holds 0 .. 63 exactly; octave n holds 64 << (n-1) .. (128 << (n-1)) - 1. */
static uint32_t octave_of(uint64_t value)
{
	uint32_t octave;

	if (value < KOLK__HIST_STEPS)
		return 0;
	octave = (uint32_t)(63 - __builtin_clzll(value)) - STEP_BITS + 1;
	return octave < KOLK__HIST_OCTAVES ? octave : KOLK__HIST_OCTAVES - 1;
}

static uint32_t step_of(uint64_t value, uint32_t octave)
{
	uint64_t step = octave == 0 ? value : (value >> (octave - 1)) - KOLK__HIST_STEPS;

	return step < KOLK__HIST_STEPS ? (uint32_t)step : KOLK__HIST_STEPS - 1;
}

/* The middle of a step: at most half a step (0.8 %) away from every value in it. */
static uint64_t value_of(uint32_t octave, uint32_t step)
{
	if (octave == 0)
		return step;
	return ((uint64_t)(KOLK__HIST_STEPS + step) << (octave - 1)) +
	       (UINT64_C(1) << (octave - 1)) / 2;
}

enum { STEPS_SIZE = KOLK__HIST_STEPS * sizeof(kolk__atomic_u32),
       OCTAVES_SIZE = KOLK__HIST_OCTAVES * sizeof(kolk__hist_octave) };

static kolk__hist_octave *octaves_open(const struct kolk_sys *sys, struct kolk__hist *hist)
{
	kolk__hist_octave *octaves = kolk__load_acquire(&hist->octaves); /* HIST.A1 <- HIST.R1 */
	kolk__hist_octave *expected = NULL;

	if (octaves != NULL)
		return octaves;
	octaves = sys->allocate(sys->context, sizeof octaves[0], OCTAVES_SIZE);
	if (octaves == NULL)
		return NULL;
	if (kolk__cas_acq_rel(&hist->octaves, &expected, octaves)) /* HIST.R1 -> HIST.A1: NULLs */
		return octaves;
	sys->deallocate(sys->context, octaves, OCTAVES_SIZE);
	return expected;
}

static kolk__atomic_u32 *octave_open(const struct kolk_sys *sys, struct kolk__hist *hist,
				     uint32_t octave)
{
	kolk__hist_octave *octaves = octaves_open(sys, hist);
	kolk__atomic_u32 *steps, *expected = NULL;

	if (octaves == NULL)
		return NULL;
	steps = kolk__load_acquire(&octaves[octave]); /* HIST.A1 <- HIST.R1 */
	if (steps != NULL)
		return steps;
	steps = sys->allocate(sys->context, KOLK_CACHE_LINE, STEPS_SIZE);
	if (steps == NULL)
		return NULL;
	if (kolk__cas_acq_rel(&octaves[octave], &expected, steps)) /* HIST.R1 -> HIST.A1: zeros */
		return steps;
	sys->deallocate(sys->context, steps, STEPS_SIZE);
	return expected;
}

/* NULL = no value fell into it. */
static const kolk__atomic_u32 *octave_read(const struct kolk__hist *hist, uint32_t octave)
{
	const kolk__hist_octave *octaves = kolk__load_acquire(&hist->octaves); /* HIST.A1 <- HIST.R1 */

	return octaves != NULL ? kolk__load_acquire(&octaves[octave]) : NULL; /* HIST.A1 <- HIST.R1 */
}

bool kolk__hist_reserve(const struct kolk_sys *sys, struct kolk__hist *hist)
{
	bool all = true;

	for (uint32_t octave = 0; octave < KOLK__HIST_OCTAVES; octave++)
		all = octave_open(sys, hist, octave) != NULL && all;
	return all;
}

void kolk__raise(kolk__atomic_u64 *max, uint64_t value)
{
	uint64_t seen = kolk__load_relaxed(max);

	/* Losing means that another thread raised it: at most as often as it grows. */
	while (seen < value && !kolk__cas_acq_rel(max, &seen, value))
		;
}

void kolk__summary_record(struct kolk__summary *summary, uint64_t value)
{
	kolk__add_relaxed(&summary->count, 1);
	kolk__add_relaxed(&summary->sum, value);
	kolk__raise(&summary->max, value);
}

void kolk__summary_merge(struct kolk__summary *into, const struct kolk__summary *from)
{
	kolk__add_relaxed(&into->count, kolk__load_relaxed(&from->count));
	kolk__add_relaxed(&into->sum, kolk__load_relaxed(&from->sum));
	kolk__raise(&into->max, kolk__load_relaxed(&from->max));
}

void kolk__summary_clear(struct kolk__summary *summary)
{
	kolk__store_relaxed(&summary->count, 0);
	kolk__store_relaxed(&summary->sum, 0);
	kolk__store_relaxed(&summary->max, 0);
}

void kolk__hist_record(const struct kolk_sys *sys, struct kolk__hist *hist, uint64_t value)
{
	uint32_t octave = octave_of(value);
	kolk__atomic_u32 *steps = octave_open(sys, hist, octave);

	if (steps == NULL) {
		kolk__add_relaxed(&hist->lost, 1);
		return;
	}
	kolk__add_relaxed(&steps[step_of(value, octave)], 1);
	kolk__summary_record(&hist->all, value);
}

void kolk__hist_merge(struct kolk__hist *into, const struct kolk_sys *sys,
		      const struct kolk__hist *from)
{
	for (uint32_t octave = 0; octave < KOLK__HIST_OCTAVES; octave++) {
		const kolk__atomic_u32 *source = octave_read(from, octave);
		kolk__atomic_u32 *target;

		if (source == NULL)
			continue;
		target = octave_open(sys, into, octave);
		for (uint32_t i = 0; target != NULL && i < KOLK__HIST_STEPS; i++)
			kolk__add_relaxed(&target[i], kolk__load_relaxed(&source[i]));
	}
	kolk__summary_merge(&into->all, &from->all);
}

static uint64_t quantile(const struct kolk__hist *hist, uint64_t count, double part)
{
	uint64_t wanted = (uint64_t)(part * (double)count);
	uint64_t seen = 0;

	for (uint32_t octave = 0; octave < KOLK__HIST_OCTAVES; octave++) {
		const kolk__atomic_u32 *steps = octave_read(hist, octave);

		for (uint32_t i = 0; steps != NULL && i < KOLK__HIST_STEPS; i++) {
			seen += kolk__load_relaxed(&steps[i]);
			if (seen > wanted)
				return value_of(octave, i);
		}
	}
	return kolk__load_relaxed(&hist->all.max);
}

void kolk__hist_quantiles(const struct kolk__hist *hist, struct kolk_quantiles *quantiles)
{
	uint64_t count = kolk__load_relaxed(&hist->all.count);

	*quantiles = (struct kolk_quantiles){ .count = count };
	if (count == 0)
		return;
	quantiles->sum = kolk__load_relaxed(&hist->all.sum);
	quantiles->max = kolk__load_relaxed(&hist->all.max);
	if (kolk__load_relaxed(&hist->octaves) == NULL) /* a summary, or a sum of such */
		return;
	quantiles->p50 = quantile(hist, count, 0.50);
	quantiles->p90 = quantile(hist, count, 0.90);
	quantiles->p99 = quantile(hist, count, 0.99);
	quantiles->p999 = quantile(hist, count, 0.999);
}

/* The total is the sum of what was seen on the walk, so that it fits the parts although others
 * record meanwhile. */
uint64_t kolk__hist_cumulate(const struct kolk__hist *hist, const uint64_t *bounds, size_t count,
			     uint64_t *cumulative)
{
	uint64_t total = 0;
	size_t bound = 0;

	for (uint32_t octave = 0; octave < KOLK__HIST_OCTAVES; octave++) {
		const kolk__atomic_u32 *steps = octave_read(hist, octave);

		for (uint32_t i = 0; steps != NULL && i < KOLK__HIST_STEPS; i++) {
			while (bound < count && bounds[bound] < value_of(octave, i))
				cumulative[bound++] = total;
			total += kolk__load_relaxed(&steps[i]);
		}
	}
	while (bound < count)
		cumulative[bound++] = total;
	return total;
}

void kolk__hist_free(const struct kolk_sys *sys, struct kolk__hist *hist)
{
	kolk__hist_octave *octaves = kolk__own(&hist->octaves);

	for (uint32_t octave = 0; octaves != NULL && octave < KOLK__HIST_OCTAVES; octave++)
		if (kolk__own(&octaves[octave]) != NULL)
			sys->deallocate(sys->context, kolk__own(&octaves[octave]), STEPS_SIZE);
	if (octaves != NULL)
		sys->deallocate(sys->context, octaves, OCTAVES_SIZE);
	kolk__store_relaxed(&hist->octaves, NULL);
	kolk__summary_clear(&hist->all);
	kolk__store_relaxed(&hist->lost, 0);
}
