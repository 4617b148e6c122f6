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

enum { KOLK__FEW = 4 };

/* What most keys never count. */
enum kolk__rare {
	KOLK__DIAL_FAILED,
	KOLK__TIMEOUTS,
	KOLK__REJECTED,
	KOLK__CANCELLED,
	KOLK__STALE_DISCARDED,
	KOLK__PINGS_OK,
	KOLK__PINGS_FAILED,
	KOLK__RESETS_OK,
	KOLK__RESETS_FAILED,
	KOLK__OVERDUE,
	KOLK__OVERTAKES,
	KOLK__OVERTAKEN_MAX, /* ns: the one that is no sum */
	KOLK__RARE
};

/* Of which there are histograms. */
enum kolk__time { KOLK__WAIT_TIME, KOLK__LEASE_TIME, KOLK__DIAL_TIME, KOLK__TIMES };

/* relaxed: statistics */
struct kolk__many {
	kolk__atomic_u64 destroyed[KOLK_REASONS];
	/* Sum == timeouts + rejected; W: under key.lock, or of a pool under pool.lock. */
	kolk__atomic_u64 refused[KOLK_REFUSALS];
	kolk__atomic_u64 rare[KOLK__RARE];
};

/* relaxed: statistics */
struct kolk__counters {
	kolk__atomic_u64 waited, dialled, handed_over;
	kolk__atomic_u64 uses, first_uses; /* of connections that are gone */
	/* By why, and what is rare. The few that a key meets stand here, more of them in `many`.
	 * W: anyone (relaxed: statistics); many: the thread that allocates first. R: anyone.
	 * Pairs: COUNTS.R1/A1. Means: of few, 0 = free, or which one + 1 in the highest byte, and
	 * its count. */
	kolk__atomic_u64 few[KOLK__FEW];
	KOLK__ATOMIC(struct kolk__many *) many;
	/* Of a key. Each connection that was dialled has a dial time, so these are counted here:
	 * that count alone is added up. */
	struct kolk__summary times[KOLK__TIMES];
};
_Static_assert(sizeof(struct kolk__counters) == 152, "of each key that was used");

struct kolk__hists {
	struct kolk__hist of[KOLK__TIMES];
	struct kolk__summary release; /* of a pool: how long releases took */
};

/* The key's, made on first use, with histograms if the pool says key_histograms by then; a dummy
 * when memory is out (lost counts). */
struct kolk__counters *kolk__key_counters(struct kolk_key *key);
/* Of a key and its pool. */
void kolk__key_record(struct kolk_key *key, enum kolk__time what, uint64_t ns);
/* A connection of the key ended. */
void kolk__count_destroyed(struct kolk_key *key, uint8_t reason);
/* One more of these; lost when memory is out. */
void kolk__count_rare(struct kolk_key *key, enum kolk__rare what);
/* The value of KOLK__OVERTAKEN_MAX, if it is larger. */
void kolk__raise_rare(struct kolk_key *key, enum kolk__rare what, uint64_t value);
/* Count a refusal there, of a caller that waited or not: why, and as timed out or rejected. Both
 * are lost when memory is out. */
void kolk__count_refusal(struct kolk_engine *engine, struct kolk__counters *counters,
			 enum kolk_refusal why, bool waited);
uint64_t kolk__refusals(const struct kolk__counters *counters);
uint64_t kolk__rare_count(const struct kolk__counters *counters, enum kolk__rare what);
/* Zero, with memory for all of them: of what is added up. */
void kolk__counters_init(struct kolk__counters *counters, struct kolk__many *many);
/* What is added goes into the many of into. */
void kolk__counters_add(struct kolk__counters *into, const struct kolk__counters *from);
void kolk__counters_free(struct kolk_engine *engine, struct kolk__counters *counters);
void kolk__hists_add(struct kolk_engine *engine, struct kolk__hists *into,
		     const struct kolk__hists *from);
void kolk__hists_free(struct kolk_engine *engine, struct kolk__hists *hists);

#endif
