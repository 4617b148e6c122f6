/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maintain.h - maintenance: one thread that fires exact alarms and keeps the coarse clock.
 *
 * Threads: any thread arms and disarms (under maintain.lock), maintenance fires.
 * Never:   scans. A connection has one alarm, armed for the earliest thing that could be due
 *          if it is not used; when it fires and the connection was used, it is armed again. So
 *          the hot path never touches a timer. The alarm of a lease that lasts is put off, if
 *          its release will take the slow path, which then arms it.
 */
#ifndef KOLK_MAINTAIN_H
#define KOLK_MAINTAIN_H

#include "core/alarm.h"
#include "core/base/lock.h"

struct kolk_engine;
struct kolk_key;
struct kolk__conn;

/* What maintenance last found about a connection. One value is enough: surplus ends with the next
 * lease, overdue with the current one. */
enum kolk__found {
	KOLK__FOUND_NOTHING,
	KOLK__FOUND_SURPLUS, /* found_detail: when it is evicted as surplus unless it is used
	                      * before */
	KOLK__FOUND_OVERDUE, /* found_detail: the word of the lease that was reported; no later
	                      * lease has it */
};

struct kolk__maintain {
	struct kolk__lock lock;
	struct kolk__heap conns;   /* under lock: the alarms of connections */
	struct kolk__heap alarms;  /* under lock: all others */
	void *thread;              /* NULL: stepped by kolk_engine_maintain */
	/* W: kick. R: maintenance. Means: 1 = another turn before sleeping. */
	kolk__atomic_u32 kicked;
	kolk__atomic_u32 stop;     /* W: destroy. R: maintenance. */
	uint32_t ticks;            /* plain, maintenance's: ticks of the clock since a pause */
	uint64_t misses_seen;      /* plain, maintenance's */
	uint64_t next_ns;          /* under lock: its next turn; 0 = it is in one */
	/* W: any thread, also a signal handler. R: maintenance. Means: grace + 1, 0 = none. */
	kolk__atomic_u64 drain_grace_ns;
};

enum kolk_err kolk__maintain_open(struct kolk_engine *engine);
void kolk__maintain_close(struct kolk_engine *engine);
/* Arm the alarm of a connection that became ready. */
void kolk__maintain_add(struct kolk__conn *conn, uint64_t now_ns);
/* The same for one whose alarm was put off while it was leased, and which is idle or was a moment
 * ago: by now it may be another connection. No lock held. */
void kolk__maintain_again(struct kolk__conn *conn, struct kolk_key *key);

#endif
