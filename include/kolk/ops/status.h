/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/ops/status.h - the engine as text: JSON for dashboards, metrics for Prometheus.
 *
 * Both look through kolk/inspect.h and change nothing. Texts are valid UTF-8 whatever bytes a
 * tenant's name has: a name that is none is shown with \xNN for each byte beyond ASCII and each
 * backslash.
 * Threads: any; they allocate, and take locks of the slow paths: once a second is often enough.
 * Memory: the texts are the caller's, to be given to free().
 */
#ifndef KOLK_OPS_STATUS_H
#define KOLK_OPS_STATUS_H

#include <kolk/inspect.h>

struct kolk_status_options {
	uint32_t size; /* sizeof; set by KOLK_INIT */
	/* How many are listed at most; what was left out is told by "truncated". 0 = 1 000;
	 * KOLK_NONE; tenants: those with the most connections and waiters. */
	uint32_t connections, keys, tenants;
	const char *pool;   /* NULL, or lists only of the pool of this name */
	const char *tenant; /* NULL, or lists only of this tenant */
	/* NULL, or lists only what has this in the name of its tenant or pool (pools are all listed;
	 * ASCII letters of either case). No filter changes totals and alerts. */
	const char *search;
	uint32_t tenants_by_refused; /* 1 = those with the most refused callers first */
	uint32_t reserved;           /* zero */
};                          /* since 0.1 */

KOLK_BEGIN

/* The status as JSON, docs/operations.md. options NULL = defaults. NULL = no memory, or the
 * engine belongs to a parent process. */
KOLK_API char *kolk_status_json(struct kolk_engine *engine,
				const struct kolk_status_options *options);

/* Metrics in the text format of Prometheus, 0.0.4, with rows of the 20 tenants that have the most
 * connections and waiters, and a row "(rest)". NULL as above. */
KOLK_API char *kolk_metrics_text(struct kolk_engine *engine);

KOLK_END

#endif
