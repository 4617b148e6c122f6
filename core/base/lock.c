/* SPDX-License-Identifier: Apache-2.0 */
/* lock.c - a lock that another thread holds: spin, then sleep; and the checks of ranks. */
#include "core/base/lock.h"

/* Holders keep it for well under a microsecond, so a short spin often saves two sleeps. */
enum { SPINS = 40 };

void kolk__lock_slow(const struct kolk_sys *sys, struct kolk__lock *lock)
{
	uint32_t free = 0;

	for (int spin = 0; spin < SPINS; spin++) {
		free = 0;
		if (kolk__load_relaxed(&lock->word) == 0 &&
		    kolk__cas_acq_rel(&lock->word, &free, 1)) /* LOCK.A1 <- LOCK.R1 */
			return;
		kolk__pause();
	}
	while (kolk__exchange_acq_rel(&lock->word, 2) != 0) /* LOCK.A1 <- LOCK.R1 */
		sys->wait(sys->context, kolk__futex(&lock->word), 2, KOLK_FOREVER);
}

#ifdef KOLK__ASSERTIONS
static _Thread_local uint32_t held; /* a bit for each rank that this thread holds a lock of */

void kolk__lock_init(struct kolk__lock *lock, enum kolk__rank rank)
{
	lock->rank = (uint32_t)rank;
}

void kolk__lock_wanted(const struct kolk__lock *lock)
{
	KOLK__ASSERT(lock->rank != 0); /* kolk__lock_init was called */
	KOLK__ASSERT(held >> lock->rank == 0);
}

void kolk__lock_taken(struct kolk__lock *lock)
{
	held |= 1u << lock->rank;
	lock->steps = 0;
	kolk__store_relaxed(&lock->holder, kolk__thread_self());
}

void kolk__lock_given(struct kolk__lock *lock)
{
	KOLK__HELD(lock);
	kolk__store_relaxed(&lock->holder, (uintptr_t)0);
	held &= ~(1u << lock->rank);
}

bool kolk__lock_is_mine(const struct kolk__lock *lock)
{
	return kolk__load_relaxed(&lock->holder) == kolk__thread_self();
}

static kolk__atomic_u32 steps_most; /* relaxed: a number to show */

void kolk__lock_step(struct kolk__lock *lock)
{
	uint32_t most = kolk__load_relaxed(&steps_most);

	KOLK__HELD(lock);
	lock->steps++;
	while (lock->steps > most && !kolk__cas_acq_rel(&steps_most, &most, lock->steps))
		;
	KOLK__ASSERT(lock->steps <= KOLK__STEPS_MAX);
}

uint32_t kolk__lock_steps_most(void)
{
	return kolk__load_relaxed(&steps_most);
}

uint32_t kolk__locks_held(void)
{
	return (uint32_t)__builtin_popcount(held);
}
#endif
