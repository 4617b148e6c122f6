/* SPDX-License-Identifier: Apache-2.0 */
/* pools.c - the lock between requests that read pools and a pool's closing. */
#include <pthread.h>

#include "tools/ops/admin.h"

/* Of the whole process: an engine may have several servers. */
static pthread_rwlock_t pools_lock = PTHREAD_RWLOCK_INITIALIZER;

void kolk__pools_read_lock(void)
{
	pthread_rwlock_rdlock(&pools_lock);
}

void kolk__pools_read_unlock(void)
{
	pthread_rwlock_unlock(&pools_lock);
}

enum kolk_err kolk_admin_pool_close(struct kolk_pool *pool, uint64_t deadline_ns)
{
	enum kolk_err err = kolk_pool_drain(pool, deadline_ns); /* ends a warm-up at once */

	if (err != KOLK_OK)
		return err;
	pthread_rwlock_wrlock(&pools_lock);
	err = kolk_pool_close(pool, deadline_ns);
	pthread_rwlock_unlock(&pools_lock);
	return err;
}
