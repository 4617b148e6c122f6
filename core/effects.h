/* SPDX-License-Identifier: Apache-2.0 */
/*
 * effects.h - what must follow from a change of a key, once its lock is released.
 *
 * A key changes under its lock; what follows from that needs other locks, system calls or
 * callbacks. So the functions that make the change collect it under the lock, and one function does
 * it when the lock has been released:
 *
 *     KOLK__EFFECTS(effects);
 *
 *     kolk__key_lock(key, &effects, now_ns);
 *     ...                                  functions that change the key add to effects.todo
 *     kolk__key_unlock(&effects);
 *
 * A walk over the keys of a pool (walk.h) holds pool.lock for a slice of them. It collects for all
 * of them, and does what follows at the end of the slice, when it holds no lock:
 *
 *     kolk__effects_begin(&effects, engine);
 *     for each key of the slice:
 *         kolk__effects_key(&effects, key);
 *         ...
 *         kolk__effects_settle(&effects);
 *     kolk__effects_run(&effects);
 */
#ifndef KOLK_EFFECTS_H
#define KOLK_EFFECTS_H

#include "core/permits.h"

enum {
	/* Done by settle, under key.lock. */
	KOLK__DISPATCH = 1, /* idle connections, waiters or limits changed: kolk__dispatch_waiters */
	KOLK__DIAL = 2,     /* the key may want more dials: kolk__dial_more */
	/* Done by run, with no lock held, in this order. */
	KOLK__PERMITS = 4,  /* permits were returned, or the key may dial again: permit queues get
			     * them first, the key itself last */
	KOLK__EVICT = 8,    /* the key was denied a permit that an eviction can free */
	KOLK__RETRY = 16,   /* every key of its pool may dial again */
	KOLK__CLOSE = 32,   /* its pool may have closed its last connection */
	KOLK__UNUSED = 64   /* nothing may need the key any more */
};

enum { KOLK__WAKES = 8 };

struct kolk__effects {
	struct kolk_engine *engine;
	struct kolk__requester who; /* the key, as read under its lock: later its memory may be
				     * another key's. In a walk: the last key */
	struct kolk__waiter *self;  /* the caller's own waiter: it is awake. NULL = none */
	uint64_t now_ns;            /* the time for decisions under the lock */
	uint32_t tries;             /* callers that want a dial without waiting for it */
	uint32_t todo;
	bool walk;
	bool begun;                 /* and not yet run */
#ifdef KOLK__ASSERTIONS
	uint32_t open, waiting;     /* of the key, when it was locked */
#endif
	uint32_t wake_count;
	struct kolk__wake {
		uint32_t *futex;    /* of a waiter whose memory may be gone by then: only the
		                     * address is used */
		uint32_t count;
	} wakes[KOLK__WAKES];
};

/* Declare one. Builds with assertions check that it was run before it goes out of scope. */
#ifdef KOLK__ASSERTIONS
#define KOLK__EFFECTS(name) \
	struct kolk__effects name __attribute__((cleanup(kolk__effects_check))) = { .todo = 0 }
void kolk__effects_check(struct kolk__effects *effects);
#else
#define KOLK__EFFECTS(name) struct kolk__effects name
#endif

/* Lock the key. now_ns: the time for all decisions under the lock. */
void kolk__key_lock(struct kolk_key *key, struct kolk__effects *effects, uint64_t now_ns);
/* Settle, which unlocks the key, and run. No other lock held. */
void kolk__key_unlock(struct kolk__effects *effects);

void kolk__effects_begin(struct kolk__effects *effects, struct kolk_engine *engine);
/* Lock the next key of a walk and read the clock. Under its pool.lock. */
void kolk__effects_key(struct kolk__effects *effects, struct kolk_key *key);
/* Dispatch waiters and dial if todo says so, unlock the key, wake threads. In a walk the key may be
 * gone afterwards: get the next one first. */
void kolk__effects_settle(struct kolk__effects *effects);
/* Do the rest. No lock held. */
void kolk__effects_run(struct kolk__effects *effects);

/* Wake threads that sleep on this futex when the key is unlocked, or at once if too many futexes
 * are collected already. Under key.lock. */
static inline void kolk__effects_wake(struct kolk__effects *effects, uint32_t *futex,
				      uint32_t count)
{
	const struct kolk_sys *sys = effects->engine->sys;

	KOLK__HELD(&effects->who.key->lock);
	if (effects->wake_count < KOLK__WAKES)
		effects->wakes[effects->wake_count++] = (struct kolk__wake){ futex, count };
	else
		sys->wake(sys->context, futex, count);
}

#endif
