/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wait.h - waiters: callers that wait for a connection.
 *
 * A waiter is in its key's queue from enqueue until it is removed (lease, time-out, cancel,
 * drain, error): the thread that takes it out of the queue, under key.lock, decides how it ended,
 * so it ends exactly once.
 *
 * The edge that must not be lost (SC1). A release does not lock; it makes the connection idle and
 * then loads the gate. A waiter closes the gate and then takes tokens (idle_list.h). All four
 * accesses are sc, so in their single order one of the two loads comes second:
 *
 *     releaser                         waiter (under key.lock)
 *     word = IDLE          (sc)        gate = STOP          (sc)
 *     gate ?               (sc)        word ?               (sc)
 *
 * either the releaser sees the gate and dispatches the waiters, or the waiter sees the connection.
 * With acquire and release alone both could miss: model tests/model/wait.pml, which deadlocks
 * when either sc is weakened.
 *
 * Overtaking. Waking a sleeper costs 1 to 50 us in which a connection would be unused, and strict
 * order makes threads that are over-committed proceed in convoy (5 500 instead of 60 ns per
 * hand-over). So a blocking waiter is not handed a connection at once: it is signalled, and until
 * it runs newcomers may be served, but only while it has waited less than overtake_max_ns; from
 * then on releases hand over to it directly and newcomers queue behind it. A signalled waiter
 * that was overtaken checks again every 50 us by itself, so releases meanwhile wake no thread.
 * Asynchronous waiters are always handed over to directly.
 */
#ifndef KOLK_WAIT_H
#define KOLK_WAIT_H

#include "core/engine.h"

enum kolk__waiter_state {
	KOLK__UNQUEUED,
	KOLK__COUNTED,   /* not in the queue, but counted: one of key.outside */
	KOLK__WAITING,   /* in the queue */
	KOLK__SIGNALLED, /* in the queue, first, asked to look itself */
	KOLK__FINISHED,  /* out of the queue; its result stands */
	KOLK__DELIVERED  /* asynchronous: in its loop's list of callbacks to run */
};

struct kolk__waiter { /* what struct kolk_acquire holds */
	struct kolk_lease lease;    /* the result: W: the thread that ends it, before FINISHED */
	struct kolk__task task;     /* FINISHED: what its loop is to do */
	struct kolk__timer deadline; /* loop thread: asynchronous only */
	struct kolk__waiter *next, *prev; /* queue (key.lock), then callbacks (loop thread) */
	struct kolk_key *key;
	uint64_t enqueued_ns;
	struct kolk_loop *loop;     /* NULL = a blocking caller */
	kolk_acquired_fn *callback;
	void *user;
	int32_t err;                /* the result */
	/* W: under key.lock. R: its owner. WAIT.R1 (FINISHED) -> WAIT.A1: lease and err. */
	kolk__atomic_u32 state;
};
_Static_assert(sizeof(struct kolk__waiter) <= sizeof(struct kolk_acquire),
	       "kolk_acquire is too small");

/* All under key.lock, except kolk__waiter_expired. */
/* Hand idle connections to waiters until one or the other runs out, then set the gate. The caller's
 * own waiter, effects->self, is handed a connection instead of a signal. */
void kolk__dispatch_waiters(struct kolk_key *key, struct kolk__effects *effects);
/* Append to the queue; false if the key or the engine has as many waiters as it may. A waiter that
 * is COUNTED always fits: it is one of them already. */
bool kolk__waiter_enqueue(struct kolk_key *key, struct kolk__waiter *waiter);
/* Take out of the queue; the caller decides the result. */
void kolk__waiter_remove(struct kolk_key *key, struct kolk__waiter *waiter,
			 struct kolk__effects *effects);
/* Its deadline passed: remove it with E_TIMEOUT. If the event is wanted, this takes a reference to
 * the key, which kolk__waiter_expired, called with no lock held, gives back when it has reported
 * the event. */
void kolk__waiter_expire(struct kolk_key *key, struct kolk__waiter *waiter,
			 struct kolk__effects *effects);
void kolk__waiter_expired(struct kolk_key *key, const struct kolk__waiter *waiter,
			  uint64_t now_ns);
/* End the oldest waiter with an error; false when there is none. */
bool kolk__waiter_fail_first(struct kolk_key *key, enum kolk_err err,
			     struct kolk__effects *effects);

#endif
