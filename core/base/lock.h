/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock.h - the lock of the slow paths: three states, sleeping through the table of functions.
 *
 * Waits for another thread; never taken on the hot path. Not recursive. Taken and given back by
 * the same thread, in the order of their ranks: assertions check both.
 *
 * Drepper: Futexes Are Tricky (2011), mutex 2.
 */
#ifndef KOLK_LOCK_H
#define KOLK_LOCK_H

#include <kolk/sys/sys.h>

#include "core/base/assert.h"
#include "core/base/atomic.h"

/* The order of locks: a thread that holds one takes only locks of higher rank. So it holds at most
 * one of each rank: no two pools, no two keys, no two of the leaves. */
enum kolk__rank {
	KOLK__RANK_REGISTRY = 1, /* engine.registry: the list of pools */
	KOLK__RANK_POOL,         /* pool.lock: its keys, settings, changes of its state */
	KOLK__RANK_KEY,          /* key.lock: its connections, waiters, dials */
	KOLK__RANK_TENANTS,      /* engine.tenants: the list of tenants */
	KOLK__RANK_LEAF          /* engine.accounting, engine.maintain, engine.listeners,
				  * pool.upstream_lock, pool.health, and the transport's: the answers to a name
				  * (dns_cache.c), the places of destroys (resource_async.c) */
};

struct kolk__lock {
	/* W, R: anyone. Means: 0 free, 1 held, 2 held and a thread may sleep. LOCK.R1 (unlock) ->
	 * LOCK.A1 (lock): everything written under the lock. */
	kolk__atomic_u32 word;
#ifdef KOLK__ASSERTIONS
	uint32_t rank;            /* constant: enum kolk__rank */
	uint32_t steps;           /* W, R: the holder: of loops, since it took the lock */
	/* W: the holder. R: anyone (relaxed: asks only whether it is itself). */
	kolk__atomic_uptr holder;
#endif
};

#ifdef KOLK__ASSERTIONS
void kolk__lock_init(struct kolk__lock *lock, enum kolk__rank rank);
void kolk__lock_wanted(const struct kolk__lock *lock);
void kolk__lock_taken(struct kolk__lock *lock);
void kolk__lock_given(struct kolk__lock *lock);
#else
#define kolk__lock_init(lock, rank) ((void)(lock), (void)(rank))
#define kolk__lock_wanted(lock) ((void)(lock))
#define kolk__lock_taken(lock) ((void)(lock))
#define kolk__lock_given(lock) ((void)(lock))
#endif

/* For assertions: does this thread hold the lock; how many does it hold? */
bool kolk__lock_is_mine(const struct kolk__lock *lock);
uint32_t kolk__locks_held(void);
#define KOLK__HELD(lock) KOLK__ASSERT(kolk__lock_is_mine(lock))
#define KOLK__NOT_HELD(lock) KOLK__ASSERT(!kolk__lock_is_mine(lock))
#define KOLK__NO_LOCK() KOLK__ASSERT(kolk__locks_held() == 0)

/*
 * A loop that runs while a lock is held that a request may take calls KOLK__STEP(lock) for each
 * iteration: it asserts that the lock is held, and that there are at most KOLK__STEPS_MAX steps
 * before it is given back. What has more to do gives the lock back in between (core/walk.h).
 */
enum { KOLK__STEPS_MAX = 64 };
#ifdef KOLK__ASSERTIONS
void kolk__lock_step(struct kolk__lock *lock);
/* The most steps of one hold of any lock, since the process began. */
uint32_t kolk__lock_steps_most(void);
#define KOLK__STEP(lock) kolk__lock_step(lock)
#else
#define KOLK__STEP(lock) ((void)(lock))
#endif

/* Does a thread sleep for it? By its holder; also true when none does any more. */
static inline bool kolk__lock_is_wanted(const struct kolk__lock *lock)
{
	return kolk__load_relaxed(&lock->word) == 2; /* relaxed: a hint */
}

/* Taken by another thread: spin, then sleep. */
void kolk__lock_slow(const struct kolk_sys *sys, struct kolk__lock *lock);

static inline void kolk__lock(const struct kolk_sys *sys, struct kolk__lock *lock)
{
	uint32_t free = 0;

	kolk__lock_wanted(lock);
	if (!kolk__cas_acq_rel(&lock->word, &free, 1)) /* LOCK.A1 <- LOCK.R1 */
		kolk__lock_slow(sys, lock);
	kolk__lock_taken(lock);
}

static inline void kolk__unlock(const struct kolk_sys *sys, struct kolk__lock *lock)
{
	kolk__lock_given(lock);
	if (kolk__exchange_given(&lock->word, 0) == 2) /* LOCK.R1 -> LOCK.A1 */
		sys->wake(sys->context, kolk__futex(&lock->word), 1);
}

#endif
