/* SPDX-License-Identifier: Apache-2.0 */
/*
 * latency.h - quantiles of the last five minutes: histograms as they were a minute, two, .. ago,
 * and what was added since.
 */
#ifndef KOLK_OPS_LATENCY_H
#define KOLK_OPS_LATENCY_H

#include "tools/ops/view.h"

enum {
	KOLK__METRICS = 3,        /* enum kolk_metric */
	KOLK__BOUNDS = 27 * 8,    /* 1 us to 134 s, eight per doubling: <= 9 % error */
	KOLK__SNAPSHOTS = 6       /* a minute apart */
};

/* Cumulative counts below each bound, all so far, and their sum. */
struct kolk__buckets {
	uint64_t below[KOLK__BOUNDS], count, sum_ns;
};

struct kolk__pool_buckets {
	uint64_t id; /* of the pool */
	struct kolk__buckets metrics[KOLK__METRICS];
};

struct kolk__snapshot {
	uint64_t at_ns;
	size_t count;
	struct kolk__pool_buckets *pools; /* NULL: every pool had counted nothing */
};

struct kolk__latencies {
	struct kolk__snapshot snapshots[KOLK__SNAPSHOTS]; /* newest first; at_ns 0 = none */
};

/* At each request: take a snapshot if the last one is a minute old. */
void kolk__latencies_tick(struct kolk__latencies *latencies, struct kolk_engine *engine);
/* The snapshot to compare with: the one whose age is next to five minutes; the engine's start while
 * that is no older. NULL = there is none. */
const struct kolk__snapshot *kolk__latencies_since(const struct kolk__latencies *latencies,
						   uint64_t now_ns, uint64_t age_ns);
/* What a pool (NULL: all pools of the view) added since. */
struct kolk_quantiles kolk__latencies_quantiles(const struct kolk__snapshot *since,
						const struct kolk__view *view,
						const struct kolk__pool_view *pool,
						enum kolk_metric metric);
void kolk__latencies_free(struct kolk__latencies *latencies);

#endif
