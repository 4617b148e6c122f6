/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/events.h - the event callback and the log hook.
 *
 * Threads: callbacks run on the thread where the event happened (a caller's, a loop's, the
 *          maintenance thread's), with no lock of kolk held. They may call any non-blocking
 *          function of kolk except kolk_engine_destroy and kolk_pool_close, and must be quick.
 * Cost:    an event that is not in the mask costs one load.
 */
#ifndef KOLK_EVENTS_H
#define KOLK_EVENTS_H

#include <kolk/error.h>

enum kolk_event_kind {
	KOLK_EVENT_CREATED,          /* a dial became a connection */
	KOLK_EVENT_ACQUIRED,         /* a lease was handed out */
	KOLK_EVENT_RELEASED,         /* a lease came back (kept or not) */
	KOLK_EVENT_DESTROYED,        /* a connection is closed; reason */
	KOLK_EVENT_EVICTED,          /* an idle connection began to close: too old, dead, or to make
	                              * room; reason */
	KOLK_EVENT_WAITER_QUEUED,    /* a caller began to wait */
	KOLK_EVENT_WAITER_TIMED_OUT, /* a caller's deadline passed */
	KOLK_EVENT_DIAL_FAILED,      /* failure says why */
	KOLK_EVENT_UNHEALTHY,        /* dials of this key fail: back-off begins */
	KOLK_EVENT_HEALTHY,          /* a dial worked again */
	KOLK_EVENT_OVERDUE,          /* a lease lasts longer than lease_overdue_ns; tag */
	KOLK_EVENT_DRAINING,         /* the pool began to drain */
	KOLK_EVENT_CLOSED,           /* the pool is closed: exactly once, its last event */
	KOLK_EVENTS
};

#define KOLK_EVENT_BIT(kind) (UINT32_C(1) << (kind))
#define KOLK_EVENT_ALL (KOLK_EVENT_BIT(KOLK_EVENTS) - 1)

struct kolk_event {
	enum kolk_event_kind kind;
	enum kolk_reason reason;           /* DESTROYED, EVICTED */
	uint64_t now_ns;                   /* the engine's clock, may be coarse */
	struct kolk_pool *pool;            /* borrowed for the call */
	struct kolk_key *key;              /* borrowed for the call; NULL for pool events */
	uint64_t connection;               /* its number, unique in the engine; 0 = none */
	uint64_t tag;                      /* OVERDUE: as the owner set it with kolk_lease_tag */
	uint64_t elapsed_ns;               /* OVERDUE, WAITER_TIMED_OUT, DESTROYED: how long */
	const struct kolk_failure *failure; /* DIAL_FAILED; otherwise NULL; borrowed; its size is
	                                    * the library's */
};

enum kolk_log_level { KOLK_LOG_ERROR, KOLK_LOG_WARN, KOLK_LOG_INFO, KOLK_LOG_DEBUG };

typedef void kolk_event_fn(void *user, const struct kolk_event *event);
/* subject is the part of the library that logs ("engine", "dial", "maintain", ...). text is one
 * line; bytes that are not printable UTF-8 appear in it as \xNN. */
typedef void kolk_log_fn(void *user, enum kolk_log_level level, const char *subject,
			 const char *text);

KOLK_BEGIN
KOLK_API const char *kolk_event_name(enum kolk_event_kind kind);
KOLK_END

#endif
