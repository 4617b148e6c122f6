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

struct kolk__lock {
	/* W, R: anyone. Means: 0 free, 1 held, 2 held and somebody may sleep.
	 * LOCK.R1 (unlock) -> LOCK.A1 (lock): everything written under the lock. */
	uint32_t word;
};

void kolk__lock(const struct kolk_sys *sys, struct kolk__lock *lock);
void kolk__unlock(const struct kolk_sys *sys, struct kolk__lock *lock);

#endif
