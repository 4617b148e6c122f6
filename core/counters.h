/* SPDX-License-Identifier: Apache-2.0 */
/* counters.h - statistics of the slow paths: of a key while it has any, then of its pool, then of
 * the engine. */
#ifndef KOLK_COUNTERS_H
#define KOLK_COUNTERS_H

#include <kolk/stats.h>

#include "core/base/atomic.h"
#include "core/hist.h"

struct kolk_engine;
struct kolk_key;

/* relaxed: statistics */
struct kolk__counters {
	kolk__atomic_u64 waited, created, dialled, dial_failed, timeouts, rejected, cancelled;
	kolk__atomic_u64 handed_over, overtakes, overtaken_max_ns, stale_discarded;
	kolk__atomic_u64 pings_ok, pings_failed, resets_ok, resets_failed, overdue;
	kolk__atomic_u64 destroyed[KOLK_REASONS];
	/* Sum == timeouts + rejected; W: under key.lock, or of a pool under pool.lock. */
	kolk__atomic_u64 refused[KOLK_REFUSALS];
	kolk__atomic_u64 uses, first_uses; /* of connections that are gone */
};

struct kolk__hists {
	struct kolk__hist wait, lease, dial;
};

/* The key's, made on first use; a dummy when memory is out (lost counts). */
struct kolk__counters *kolk__key_counters(struct kolk_key *key);
/* The key's, made on first use; NULL when memory is out. */
struct kolk__hists *kolk__key_hists(struct kolk_key *key);
void kolk__counters_add(struct kolk__counters *into, const struct kolk__counters *from);
void kolk__hists_free(struct kolk_engine *engine, struct kolk__hists *hists);

#endif
