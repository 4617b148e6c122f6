/* SPDX-License-Identifier: Apache-2.0 */
/* counters.h - statistics of the slow paths: of a key while it has any, then of its pool, then of
 * the engine. 1 000 000 keys may have some: what most never count has no memory in each. */
#ifndef KOLK_COUNTERS_H
#define KOLK_COUNTERS_H

#include <kolk/stats.h>

#include "core/base/atomic.h"
#include "core/hist.h"

struct kolk_engine;
struct kolk_key;

enum { KOLK__FEW = 5 };

/* relaxed: statistics */
struct kolk__reasons {
	kolk__atomic_u64 destroyed[KOLK_REASONS];
	/* Sum == timeouts + rejected; W: under key.lock, or of a pool under pool.lock. */
	kolk__atomic_u64 refused[KOLK_REFUSALS];
};

/* relaxed: statistics */
struct kolk__counters {
	kolk__atomic_u64 waited, created, dialled, dial_failed, timeouts, rejected, cancelled;
	kolk__atomic_u64 handed_over, overtakes, overtaken_max_ns, stale_discarded;
	kolk__atomic_u64 pings_ok, pings_failed, resets_ok, resets_failed, overdue;
	kolk__atomic_u64 uses, first_uses; /* of connections that are gone */
	/* By why. The few that a key meets stand here, more of them in `by_reason`.
	 * W: anyone (relaxed: statistics); by_reason: the thread that allocates first. R: anyone.
	 * Pairs: COUNTS.R1/A1. Means: of few, 0 = free, or which one + 1 in the highest byte, and
	 * its count. */
	kolk__atomic_u64 few[KOLK__FEW];
	KOLK__ATOMIC(struct kolk__reasons *) by_reason;
};
_Static_assert(sizeof(struct kolk__counters) == 192, "of each key that was used");

struct kolk__hists {
	struct kolk__hist wait, lease, dial;
};

/* The key's, made on first use; a dummy when memory is out (lost counts). */
struct kolk__counters *kolk__key_counters(struct kolk_key *key);
/* The key's, made on first use: summaries, unless the pool says key_histograms by then. NULL when
 * memory is out. */
struct kolk__hists *kolk__key_hists(struct kolk_key *key);
/* A connection of the key ended. */
void kolk__count_destroyed(struct kolk_key *key, uint8_t reason);
/* Count a refusal there; false when memory is out. */
bool kolk__count_refusal(struct kolk_engine *engine, struct kolk__counters *counters,
			 enum kolk_refusal why);
uint64_t kolk__refusals(const struct kolk__counters *counters);
/* Zero, with memory for all reasons: of what is added up. */
void kolk__counters_init(struct kolk__counters *counters, struct kolk__reasons *reasons);
/* Of into all is counted by reason. */
void kolk__counters_add(struct kolk__counters *into, const struct kolk__counters *from);
void kolk__counters_free(struct kolk_engine *engine, struct kolk__counters *counters);
void kolk__hists_free(struct kolk_engine *engine, struct kolk__hists *hists);

#endif
