/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/lock.h"

/* Holders keep it for well under a microsecond, so a short spin often saves two sleeps. */
enum { SPINS = 40 };

void kolk__lock_slowly(const struct kolk_sys *sys, struct kolk__lock *lock)
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
		sys->wait(sys->context, &lock->word, 2, KOLK_FOREVER);
}
