/* SPDX-License-Identifier: Apache-2.0 */
/* status.h - what status.c, alerts.c and the admin server share. */
#ifndef KOLK_OPS_STATUS_INTERNAL_H
#define KOLK_OPS_STATUS_INTERNAL_H

#include <jansson.h>

#include "tools/ops/latency.h"
#include "tools/ops/view.h"

/* Counters of a while ago, for rates. */
enum { KOLK__TREND_POOLS = 64 };
struct kolk__counts {
	uint64_t at_ns;
	size_t count;
	struct kolk__pool_counts {
		char name[64];
		uint64_t acquired, dial_failed, evicted; /* evicted: for other keys */
		uint64_t refused[KOLK_REFUSALS];
	} pools[KOLK__TREND_POOLS];
};
struct kolk__trend {
	struct kolk__counts before, since;
	struct kolk__latencies latencies;
};

/* As kolk_status_json; trend NULL = no alerts about growth; program NULL = none. */
char *kolk__status_json(struct kolk_engine *engine, const struct kolk_status_options *options,
			struct kolk__trend *trend, const struct kolk__program *program);

/* Of the wall clock. */
uint64_t kolk__wall_ms(void);

/* alerts.c: what an operator should check; overdue = number of overdue leases. */
json_t *kolk__alerts(struct kolk_engine *engine, const struct kolk__view *view, size_t overdue,
		     struct kolk__trend *trend);

/* Small steps towards an object; a value that found no memory is left out. */
static inline void kolk__put_count(json_t *object, const char *key, uint64_t value)
{
	json_object_set_new_nocheck(object, key, json_integer((json_int_t)value));
}

static inline void kolk__put_bool(json_t *object, const char *key, bool value)
{
	json_object_set_new_nocheck(object, key, json_boolean(value));
}

static inline void kolk__put_text(json_t *object, const char *key, const char *bytes)
{
	char text[KOLK__SHOWN_MAX];

	json_object_set_new_nocheck(object, key, json_string(kolk__shown(bytes, text)));
}

#endif
