/* SPDX-License-Identifier: Apache-2.0 */
/* pool_stats.h - what connection pools elsewhere report of themselves: counters and averages. */
#ifndef KOLK_OPS_POOL_STATS_H
#define KOLK_OPS_POOL_STATS_H

#include "tools/ops/view.h"

/* Of a pool, since it was added; idle_ns of the connections that are idle now. Averages are 0 while
 * there is nothing to average. */
struct kolk__pool_stats {
	uint64_t size, available;
	uint64_t created, destroyed, reused, timeouts, errors;
	uint64_t connection_ns; /* a dial that worked */
	uint64_t acquire_ns;    /* acquires that did not wait count as 0 */
	uint64_t lease_ns;      /* from acquire to release */
	uint64_t release_ns;    /* until it was idle again, its reset included */
	uint64_t idle_ns;
};

/* How long the connections of each pool of a view are idle. */
struct kolk__idle_times {
	uint64_t count, sum_ns;
};

/* Add one; `times` has an entry for each pool. */
void kolk__idle_times_add(struct kolk__idle_times *times, const struct kolk__view *view,
			  const struct kolk_connection_info *info);
struct kolk__pool_stats kolk__pool_stats(const struct kolk__pool_view *pool,
					 const struct kolk__idle_times *times);

/* ---- in the log, from time to time */

struct kolk__admin_server;
struct kolk__stats_log {
	uint64_t interval_ns, due_ns; /* interval 0 = never */
};

void kolk__stats_log_open(struct kolk__stats_log *log, uint64_t interval_ns, uint64_t now_ns);
/* How long poll may wait for it, in ms: wait_ms, or less; -1 = for ever. */
int kolk__stats_log_wait(const struct kolk__stats_log *log, uint64_t now_ns, int wait_ms);
/* A line for each pool, when it is due. */
void kolk__stats_log_run(struct kolk__stats_log *log, struct kolk__admin_server *server);

#endif
