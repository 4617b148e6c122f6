/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hist.h - log-linear histograms: 64 steps per doubling (<= 0.8 % error), any thread records.
 *
 * Octaves are allocated when a value first falls into them; a value that finds no memory is
 * counted in lost. Never on the hit path. A summary is count, sum and maximum, without quantiles.
 */
#ifndef KOLK_HIST_H
#define KOLK_HIST_H

#include <kolk/stats.h>
#include <kolk/sys/sys.h>

#include "core/base/atomic.h"

enum { KOLK__HIST_STEPS = 64, KOLK__HIST_OCTAVES = 40 };

/* The steps of an octave; NULL until a value fell into it. */
typedef KOLK__ATOMIC(kolk__atomic_u32 *) kolk__hist_octave;

struct kolk__summary {
	kolk__atomic_u64 count, sum, max; /* relaxed: statistics */
};

struct kolk__hist {
	struct kolk__summary all;
	kolk__atomic_u32 lost; /* relaxed: a statistic */
	/* KOLK__HIST_OCTAVES of them; NULL until the first value. W: the thread that allocates
	 * first (HIST.R1 -> A1) */
	KOLK__ATOMIC(kolk__hist_octave *) octaves;
};

/* To this value, unless it is larger. */
void kolk__raise(kolk__atomic_u64 *max, uint64_t value);
void kolk__summary_record(struct kolk__summary *summary, uint64_t value);
void kolk__summary_merge(struct kolk__summary *into, const struct kolk__summary *from);
void kolk__summary_clear(struct kolk__summary *summary);
void kolk__hist_record(const struct kolk_sys *sys, struct kolk__hist *hist, uint64_t value);
/* From now on recording does not allocate (10.3 KiB). False = no memory. */
bool kolk__hist_reserve(const struct kolk_sys *sys, struct kolk__hist *hist);
void kolk__hist_merge(struct kolk__hist *into, const struct kolk_sys *sys,
		      const struct kolk__hist *from);
void kolk__hist_quantiles(const struct kolk__hist *hist, struct kolk_quantiles *quantiles);
/* cumulative[i] = how many are at most bounds[i] (ascending, to half a step). Returns how many
 * there are in all. */
uint64_t kolk__hist_cumulate(const struct kolk__hist *hist, const uint64_t *bounds, size_t count,
			     uint64_t *cumulative);
void kolk__hist_free(const struct kolk_sys *sys, struct kolk__hist *hist);

#endif
