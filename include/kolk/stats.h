/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/stats.h - statistics: snapshots of an engine, a pool or a key.
 *
 * Counting takes no lock on the hot path: the holder of a connection counts hits in it, and a
 * snapshot adds them up. A snapshot walks what it covers under locks of the slow path, at most 64
 * keys at a time. With more keys it does not show a single instant, but no counter of a pool goes
 * backwards.
 */
#ifndef KOLK_STATS_H
#define KOLK_STATS_H

#include <kolk/error.h>

/* Quantiles of a log-linear histogram (64 steps per doubling: <= 0.8 % error), ns. */
struct kolk_quantiles {
	uint64_t count;
	uint64_t sum;
	uint64_t p50, p90, p99, p999;
	uint64_t max; /* exact */
};

struct kolk_stats {
	uint32_t size;    /* sizeof; set by KOLK_INIT */
	uint32_t pools;   /* engine only */
	uint32_t keys;    /* engine, pool */
	uint32_t connections_max; /* the limit of what the snapshot covers */

	/* Gauges: idle + leased + dialing + pinging + closing == open <= connections_max (of an
	 * engine: with its resources_max). */
	uint32_t idle, leased, dialing, pinging, closing, open;
	uint32_t waiting;
	uint32_t reserved; /* zero */

	/* Counters since the start. */
	uint64_t acquired;         /* leases handed out */
	uint64_t released;         /* leases that ended */
	uint64_t reused;           /* of acquired: on a connection that was leased before */
	uint64_t waited;           /* acquires that had to wait */
	uint64_t created;          /* dials that became connections */
	uint64_t dialled;          /* dials begun */
	uint64_t dial_failed;      /* failed dials, and created connections that the peer ended
	                            * within 1 s, unused or still unproven; not dials that a drain
	                            * or another credential cancelled */
	uint64_t timeouts;         /* waiters whose deadline passed */
	uint64_t rejected;         /* callers refused at once (queue full, circuit, deadline,
	                            * credentials), or while they waited (a failed dial, a drain,
	                            * another credential); also keys that could not be opened
	                            * because of a limit or a drain */
	uint64_t cancelled;
	uint64_t handed_over;      /* releases handed over to a waiter */
	uint64_t overtakes;        /* newcomers served before a waiting caller */
	uint64_t overtaken_max_ns; /* longest time that a caller had waited when it was overtaken */
	uint64_t stale_discarded;  /* idle connections found dead: peer closed, reset, data */
	uint64_t pings_ok, pings_failed; /* failed does not count those whose peer ended the
	                                  * connection */
	uint64_t mends_ok, mends_failed; /* resets after a lease */
	uint64_t overdue;          /* leases reported as overdue */
	uint64_t misuse;           /* calls with stale (not revoked), foreign or busy leases:
	                            * engine only */
	uint64_t unread_bytes;     /* a gauge: bytes that arrived on connections and were not
	                            * received yet; at most 128 KiB and one receive per connection:
	                            * engine only */
	uint64_t destroyed[32];    /* by enum kolk_reason */

	/* Histograms. Hits are not timed: they wait for nothing and are counted in acquired. Lease
	 * times are sampled: every lease that did I/O, and one in 1 024 of the others (the latter
	 * not in a key's own statistics). Quantiles of a key are 0 unless its pool has
	 * key_histograms. */
	struct kolk_quantiles wait; /* acquires that waited */
	struct kolk_quantiles lease;
	struct kolk_quantiles dial; /* dials that succeeded: from resolve to ready */

	/* By enum kolk_refusal; the sum is rejected + timeouts. Does not count callers that do not
	 * wait (kolk_try_acquire, a deadline that has passed) and find nothing idle. */
	uint64_t refused[16];

	/* How long releases took, from the call until the connection was idle again, including its
	 * reset; not releases that closed it. Sampled: one in 16 of the leases that did I/O, one in
	 * 1 024 of the others. Not in a key's own statistics. */
	uint64_t release_count, release_sum_ns, release_max_ns;
};                                  /* since 0.1 */

struct kolk_tenant_stats {
	uint32_t size;              /* sizeof; set by KOLK_INIT */
	uint32_t open, waiting;     /* connections and callers, all pools */
	uint32_t recalls;           /* connections taken back for other tenants, so far */
	uint64_t refused[16];       /* by enum kolk_refusal, since the tenant became known */
};                                  /* since 0.1 */

KOLK_BEGIN

/* Fill a snapshot; stats->size must be set (KOLK_INIT). Any thread. Errors:
 * E_OPTIONS, E_FORKED, E_NOT_FOUND (the pool is gone). */
KOLK_API enum kolk_err kolk_engine_stats(struct kolk_engine *engine, struct kolk_stats *stats);
KOLK_API enum kolk_err kolk_pool_stats(struct kolk_pool *pool, struct kolk_stats *stats);
KOLK_API enum kolk_err kolk_key_stats(struct kolk_key *key, struct kolk_stats *stats);
/* "" = keys without a tenant. E_NOT_FOUND: the tenant has no key and no limits of its own. */
KOLK_API enum kolk_err kolk_tenant_stats(struct kolk_engine *engine, const char *tenant,
					 struct kolk_tenant_stats *stats);

KOLK_END

#endif
