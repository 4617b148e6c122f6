/* SPDX-License-Identifier: Apache-2.0 */
/* pools.c - who looks at pools, and who closes one: never both at once. */
#include <pthread.h>

#include "tools/ops/admin.h"

/* Of the whole process: an engine may have several servers. */
static pthread_rwlock_t looking = PTHREAD_RWLOCK_INITIALIZER;

void kolk__pools_enter(void)
{
	pthread_rwlock_rdlock(&looking);
}

void kolk__pools_leave(void)
{
	pthread_rwlock_unlock(&looking);
}

enum kolk_err kolk_admin_pool_close(struct kolk_pool *pool, uint64_t deadline_ns)
{
	enum kolk_err err = kolk_pool_drain(pool, deadline_ns); /* ends a warm-up at once */

	if (err != KOLK_OK)
		return err;
	pthread_rwlock_wrlock(&looking);
	err = kolk_pool_close(pool, deadline_ns);
	pthread_rwlock_unlock(&looking);
	return err;
}
