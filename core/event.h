/* SPDX-License-Identifier: Apache-2.0 */
/* event.h - events and log lines to the embedder. No lock held. */
#ifndef KOLK_EVENT_INTERNAL_H
#define KOLK_EVENT_INTERNAL_H

#include "core/engine.h"

static inline bool kolk__event_wanted(const struct kolk_engine *engine, enum kolk_event_kind kind)
{
	return (engine->event_mask & KOLK_EVENT_BIT(kind)) != 0;
}

void kolk__notify(struct kolk_key *key, const struct kolk__conn *conn, enum kolk_event_kind kind,
		  uint64_t elapsed_ns);
void kolk__notify_pool(struct kolk_pool *pool, enum kolk_event_kind kind);
void kolk__notify_failure(struct kolk_key *key, const struct kolk__conn *conn,
			  enum kolk_event_kind kind, const struct kolk_failure *failure);
void kolk__log(struct kolk_engine *engine, enum kolk_log_level level, const char *subject,
	       const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
