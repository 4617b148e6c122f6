/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock.h - the lock of the slow paths: three states, sleeping through the table of functions.
 *
 * Waits for another thread; never taken on the hot path. Not recursive.
 * Order of locks: pool list (engine.registry) -> pool.lock -> key.lock -> engine.ledger,
 * maintain.lock (both leaves).
 *
 * Drepper: Futexes Are Tricky (2011), mutex 2.
 */
#ifndef KOLK_LOCK_H
#define KOLK_LOCK_H

#include <kolk/sys/sys.h>

#include "core/base/atomic.h"

struct kolk__lock {
	/* W, R: anyone. Means: 0 free, 1 held, 2 held and somebody may sleep.
	 * LOCK.R1 (unlock) -> LOCK.A1 (lock): everything written under the lock. */
	uint32_t word;
};

/* Taken by somebody else: spin, then sleep. */
void kolk__lock_slowly(const struct kolk_sys *sys, struct kolk__lock *lock);

static inline void kolk__lock(const struct kolk_sys *sys, struct kolk__lock *lock)
{
	uint32_t free = 0;

	if (!kolk__cas_acq_rel(&lock->word, &free, 1)) /* LOCK.A1 <- LOCK.R1 */
		kolk__lock_slowly(sys, lock);
}

static inline void kolk__unlock(const struct kolk_sys *sys, struct kolk__lock *lock)
{
	if (kolk__exchange_acq_rel(&lock->word, 0) == 2) /* LOCK.R1 -> LOCK.A1 */
		sys->wake(sys->context, &lock->word, 1);
}

#endif
