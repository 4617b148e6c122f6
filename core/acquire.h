/* SPDX-License-Identifier: Apache-2.0 */
/* acquire.h - acquire.c and miss.c: the slow paths of acquire, for each other. */
#ifndef KOLK_ACQUIRE_H
#define KOLK_ACQUIRE_H

#include "core/wait.h"

/* acquire.c: the hit that is not plain: the clock is not kept, there are waiters, or this thread's
 * cached connection is not idle, or was used since. taken: there is a lease, to be looked at.
 * KOLK_E_EMPTY = nothing idle, or not now. */
enum kolk_err kolk__hit_slow(struct kolk_key *key, struct kolk_lease *lease, bool taken);

/* miss.c: from kolk__hit_slow on. */
enum kolk_err kolk__try_slow(struct kolk_key *key, struct kolk_lease *lease, bool taken);
enum kolk_err kolk__acquire_slow(struct kolk_key *key, uint64_t deadline_ns,
				 struct kolk_lease *lease, bool taken);
/* After kolk__hit_slow: key, loop, deadline and callback are filled in. */
enum kolk_err kolk__wait_async(struct kolk__waiter *waiter);

static inline struct kolk__waiter *kolk__waiter_of(struct kolk_acquire *acquire)
{
	return (struct kolk__waiter *)(void *)acquire;
}

/* How long a caller that is enqueued now will wait: for the leases before it to return, or for a
 * dial. 0 = not known. Under key.lock. */
uint64_t kolk__wait_ns(const struct kolk_key *key);

#endif
