/* SPDX-License-Identifier: Apache-2.0 */
/* acquire.h - the slow paths of acquire, which acquire.c and miss.c call in each other. */
#ifndef KOLK_ACQUIRE_H
#define KOLK_ACQUIRE_H

#include "core/wait.h"

/* acquire.c: a hit that hit() did not serve: the coarse clock is off, there are waiters, or this
 * thread's cached connection is not idle or was used by others since. taken: hit() has filled in a
 * lease, which must still be checked or timed. KOLK_E_EMPTY = nothing is idle, or a waiter comes
 * first. */
enum kolk_err kolk__hit_slow(struct kolk_key *key, struct kolk_lease *lease, bool taken);

/* miss.c: from kolk__hit_slow on. */
enum kolk_err kolk__try_slow(struct kolk_key *key, struct kolk_lease *lease, bool taken);
enum kolk_err kolk__acquire_slow(struct kolk_key *key, uint64_t deadline_ns,
				 struct kolk_lease *lease, bool taken);
/* After kolk__hit_slow; key, loop, deadline and callback of the waiter are set. */
enum kolk_err kolk__wait_async(struct kolk__waiter *waiter);

static inline struct kolk__waiter *kolk__waiter_of(struct kolk_acquire *acquire)
{
	return (struct kolk__waiter *)(void *)acquire;
}

/* Estimate how long a caller that is enqueued now will wait, for a lease to end or for a dial;
 * 0 = not known. Under key.lock. */
uint64_t kolk__wait_ns(const struct kolk_key *key);

#endif
