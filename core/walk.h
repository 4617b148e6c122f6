/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk.h - walks over all keys of a pool, and over all pools, in slices.
 *
 * A walk over keys holds pool.lock for at most KOLK__SLICE keys and then gives it back, so a
 * request that needs the lock waits for one slice and not for all keys:
 *
 *     kolk__walk_begin(&walk, pool);
 *     while (kolk__walk_lock(&walk)) {
 *         while ((key = kolk__walk_key(&walk)) != NULL)
 *             ...                              under pool.lock
 *         kolk__walk_unlock(&walk);
 *     }
 *
 * The list is ordered by id, newest first, and changes between two slices. The place of a walk is
 * the key that comes next; a key that goes moves the walks that stand at it on (walks_pass). So a
 * key that is there from begin to end is visited exactly once, and one that comes meanwhile is
 * not. What must hold for that one, too, holds before the walk begins: the epoch of a rotation is
 * raised, the state of a pool that drains is set. A pool that is freed meanwhile ends its walks;
 * its memory is type-stable, so a walk may outlive it.
 */
#ifndef KOLK_WALK_H
#define KOLK_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/lock.h"

struct kolk_engine;
struct kolk_key;
struct kolk_pool;
struct kolk__counters;
struct kolk__effects;

enum { KOLK__SLICE = KOLK__STEPS_MAX };

struct kolk__walk { /* under pool.lock, but for over */
	struct kolk_pool *pool;
	struct kolk_key *next;       /* NULL = no key is left */
	struct kolk__walk *other;    /* the next in pool.walks */
	struct kolk__counters *gone; /* NULL, or where keys that go before their turn are counted */
	uint32_t left;               /* of this slice */
	bool over;                   /* the walker's: it is not in pool.walks any more */
};

/* Before its first slice. The first takes pool.lock; the second is called under it. */
void kolk__walk_begin(struct kolk__walk *walk, struct kolk_pool *pool);
void kolk__walk_begin_locked(struct kolk__walk *walk, struct kolk_pool *pool);
/* Takes pool.lock for the next slice; false, with no lock held, when no key is left. */
bool kolk__walk_lock(struct kolk__walk *walk);
/* The next key; NULL = the slice is over. The key may be freed before the next call. */
struct kolk_key *kolk__walk_key(struct kolk__walk *walk);
/* No more slices: call unlock. */
void kolk__walk_end(struct kolk__walk *walk);
void kolk__walk_unlock(struct kolk__walk *walk);

/* A whole walk: step under each key's lock, then what follows from it. No lock held. */
typedef void kolk__walk_step(const void *context, struct kolk_key *key,
			     struct kolk__effects *effects);
void kolk__walk_run(struct kolk__walk *walk, kolk__walk_step *step, const void *context);
/* The same with a step that adds what, KOLK__DISPATCH or KOLK__DIAL or both, to each key. */
void kolk__walk_update(struct kolk__walk *walk, uint32_t what);

/* This key leaves the list of its pool, or has left it just now. Under pool.lock. */
void kolk__walks_pass(struct kolk_pool *pool, struct kolk_key *key);

/* Gives a lock back that a loop takes again at once. When a thread sleeps for it, rest for a
 * moment: otherwise it would find the lock taken whenever it wakes. Waits; no other lock held. */
void kolk__give_lock_and_rest(struct kolk_engine *engine, struct kolk__lock *lock);

/* ---- all pools: the same under the registry, one by one */

struct kolk__pools_walk {
	struct kolk_engine *engine;
	struct kolk_pool *next;         /* under registry */
	struct kolk__pools_walk *other; /* under registry: the next in engine.walks */
};

void kolk__pools_begin(struct kolk__pools_walk *walk, struct kolk_engine *engine);
/* The next pool, with the registry held, so that it stays: give it back. NULL = that was all, no
 * lock held. */
struct kolk_pool *kolk__pools_next(struct kolk__pools_walk *walk);
/* This pool leaves the list. Under registry. */
void kolk__pools_pass(struct kolk_engine *engine, struct kolk_pool *pool);

#endif
