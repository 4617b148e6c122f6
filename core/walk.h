/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk.h - walks in slices: over the keys of a pool, their connections, and all pools.
 *
 * A walk holds pool.lock for at most KOLK__SLICE keys and positions of their connection tables and
 * then gives it back, so a request that needs the lock, or a key's, waits for one slice:
 *
 *     kolk__walk_begin(&walk, pool);
 *     while (kolk__walk_lock(&walk)) {
 *         while ((key = kolk__walk_key(&walk)) != NULL) {
 *             ...                              under pool.lock
 *             take key.lock
 *             while ((conn = kolk__walk_conn(&walk, key)) != NULL)
 *                 ...                          under both
 *             give it back
 *         }
 *         kolk__walk_unlock(&walk);
 *     }
 *
 * Keys. The list is ordered by id, newest first, and changes between two slices. A walk remembers
 * the key that comes next; a key that is removed moves the walks that are at it on (walks_pass). So
 * a key that exists from begin to end is visited exactly once, and one that is added meanwhile is
 * not. What must hold for new keys, too, is made true before the walk begins: the epoch of a
 * rotation is raised, the state of a draining pool is set. Freeing the pool ends its walks; its
 * memory is type-stable, so a walk may outlive it.
 *
 * Connections. When a slice ends inside a key, that key comes again in the next one, and its
 * connections from there on (walk.first, walk.inside). A connection keeps its position until it
 * leaves the table. So one that is in the table from the key's first part to its last is visited
 * exactly once. One that is added meanwhile is visited if its position is still to come. Why either
 * is right:
 *   rotate, reactivate  its dial is stamped with the new epoch: it is fresh, and skipped
 *   clear               only what was idle when it began must be evicted
 *   revoke (drain.c)    the walk is repeated until none is left
 *   alarms, pings       it is armed, or was dialled, with what was learned before
 *   statistics          it is counted as it is then, or next time. One that leaves was counted when
 *                       it was visited, or is counted by walks_pass_conn before its turn, so no sum
 *                       of uses ever goes back
 *   a key's eviction    it has a reference then: the key is not evicted
 */
#ifndef KOLK_WALK_H
#define KOLK_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/lock.h"

struct kolk_engine;
struct kolk_key;
struct kolk__conn;
struct kolk_pool;
struct kolk__counters;
struct kolk__effects;

enum { KOLK__SLICE = KOLK__STEPS_MAX };

struct kolk__walk { /* under pool.lock, but for over */
	struct kolk_pool *pool;
	struct kolk_key *next;       /* NULL = no key is left */
	struct kolk__walk *other;    /* the next in pool.walks */
	/* NULL, or the counters for what leaves before its turn: keys; uses of connections. */
	struct kolk__counters *keys_gone, *conns_gone;
	struct kolk__walk *beside;   /* under key.lock: the next in table.walks */
	uint32_t at;                 /* under key.lock: the position where the key's turn
	                              * continues */
	uint32_t left;               /* of this slice */
	bool first;                  /* this is the first part of the key's turn */
	bool inside;                 /* and there is another: next is the same key */
	bool listed;                 /* in table.walks of next */
	bool one;                    /* over one key */
	bool wanted;                 /* a thread was waiting for the lock of the key that the walk
	                              * is inside */
	bool over;                   /* the walker's: it is not in pool.walks any more */
};

/* Begin a walk. The first takes pool.lock; the second is called under it. */
void kolk__walk_begin(struct kolk__walk *walk, struct kolk_pool *pool);
void kolk__walk_begin_locked(struct kolk__walk *walk, struct kolk_pool *pool);
/* The same over the connections of one key. The first takes the lock of the key's pool; if the key
 * with this id is gone by then, there is nothing to visit. */
void kolk__walk_begin_key(struct kolk__walk *walk, struct kolk_key *key, uint64_t id);
void kolk__walk_begin_key_locked(struct kolk__walk *walk, struct kolk_key *key);
/* Take pool.lock for the next slice; false, with no lock held, when no key is left. */
bool kolk__walk_lock(struct kolk__walk *walk);
/* Get the next key; NULL = the slice is over. The key may be freed before the next call. */
struct kolk_key *kolk__walk_key(struct kolk__walk *walk);
/* Get the next connection of that key. NULL = that was all, or the slice is over: then walk.inside
 * is set, and walk_key returns the same key again in the next slice. Under key.lock. */
struct kolk__conn *kolk__walk_conn(struct kolk__walk *walk, struct kolk_key *key);
/* No more slices: call unlock. */
void kolk__walk_end(struct kolk__walk *walk);
void kolk__walk_unlock(struct kolk__walk *walk);

/* Run a whole walk: step under each key's lock, then its effects (effects.h). No lock held. */
typedef void kolk__walk_step(void *context, struct kolk__walk *walk, struct kolk_key *key,
			     struct kolk__effects *effects);
void kolk__walk_run(struct kolk__walk *walk, kolk__walk_step *step, void *context);
/* The same with a step that adds what, KOLK__DISPATCH or KOLK__DIAL or both, to each key. */
void kolk__walk_update(struct kolk__walk *walk, uint32_t what);

/* This key leaves the list of its pool, or has just left it. Under pool.lock. */
void kolk__walks_pass(struct kolk_pool *pool, struct kolk_key *key);
/* This connection leaves its key, with this many uses. Under key.lock. */
void kolk__walks_pass_conn(const struct kolk_key *key, const struct kolk__conn *conn,
			   uint64_t uses);

/* Release a lock that the calling code is about to take again. If a thread sleeps on it, pause for
 * a moment: otherwise that thread would find the lock taken whenever it wakes. Waits; no other lock
 * held. */
void kolk__give_lock_and_rest(struct kolk_engine *engine, struct kolk__lock *lock);

/* ---- all pools: the same under the registry, one by one */

struct kolk__pools_walk {
	struct kolk_engine *engine;
	struct kolk_pool *next;         /* under registry */
	struct kolk__pools_walk *other; /* under registry: the next in engine.walks */
};

void kolk__pools_begin(struct kolk__pools_walk *walk, struct kolk_engine *engine);
/* Get the next pool, with the registry lock held, which keeps it: the caller releases the lock.
 * NULL = that was all; no lock held. */
struct kolk_pool *kolk__pools_next(struct kolk__pools_walk *walk);
/* This pool leaves the list. Under registry. */
void kolk__pools_pass(struct kolk_engine *engine, struct kolk_pool *pool);

#endif
