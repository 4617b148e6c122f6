/* SPDX-License-Identifier: Apache-2.0 */
/* status_parts.h - what status.c and status_lists.c share. */
#ifndef KOLK_OPS_STATUS_PARTS_H
#define KOLK_OPS_STATUS_PARTS_H

#include "tools/ops/pool_stats.h"
#include "tools/ops/status.h"

enum { STATUS_LISTED = 1000 }; /* entries of a list, unless the caller says otherwise */

struct status {
	struct kolk_engine *engine;
	const struct kolk__program *program; /* NULL = none */
	struct kolk_status_options options;
	struct kolk__view view;
	uint64_t now_ms;              /* of the wall clock */
	json_t *root;
	json_t *keys, *waiters;
	json_t *connections, *overdue;
	size_t overdue_count;
	bool truncated;
	struct kolk__idle_times *idle_times; /* of view.pools */
	const struct kolk__snapshot *since; /* NULL = latencies of late are not known */
	uint64_t since_seconds;
};

static inline void kolk__put_ms(json_t *object, const char *key, uint64_t ns)
{
	json_object_set_new_nocheck(object, key,
				    ns == KOLK_FOREVER ?
					    json_null() :
					    json_integer((json_int_t)(ns / KOLK_MS_NS)));
}

/* status_lists.c: false = no memory */
bool kolk__status_keys(struct status *status);
bool kolk__status_connections(struct status *status);

#endif
