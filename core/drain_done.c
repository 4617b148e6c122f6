/* SPDX-License-Identifier: Apache-2.0 */
/* drain_done.c - a draining pool is closed when its last connection is. */
#include "core/drain.h"
#include "core/draws.h"
#include "core/event.h"
#include "core/pool.h"

static bool is_empty(struct kolk_pool *pool)
{
	struct kolk_engine *engine = pool->engine;
	bool empty;

	KOLK__HELD(&pool->lock);
	kolk__take_lock(engine, &engine->accounting);
	empty = kolk__own(&pool->open) == 0 && pool->refs == 0;
	kolk__give_lock(engine, &engine->accounting);
	return empty;
}

/* By now the pool may be gone and its memory another pool's: that one drains as well, or nothing
 * happens. */
void kolk__drain_check_done(struct kolk_pool *pool)
{
	struct kolk_engine *engine = pool->engine;
	bool closed = false;

	KOLK__NO_LOCK();
	if (kolk__load_acquire(&pool->state) != KOLK__DRAINING)
		return;
	kolk__take_lock(engine, &pool->lock);
	closed = kolk__load_acquire(&pool->state) == KOLK__DRAINING &&
		 is_empty(pool);
	if (closed) /* one thread notifies, and only then it is closed */
		kolk__store_release(&pool->state, KOLK__NOTIFYING);
	kolk__give_lock(engine, &pool->lock);
	if (!closed)
		return;
	kolk__alarm_disarm(engine, &pool->drain_alarm);
	kolk__log(engine, KOLK_LOG_INFO, "drain", "pool %s is closed", pool->name);
	kolk__notify_pool(pool, KOLK_EVENT_CLOSED);
	kolk__draws_closed(pool); /* before it is closed, and may be freed */
	kolk__store_release(&pool->state, KOLK__CLOSED);
	kolk__sub_acq_rel(&engine->pools_open, 1);
	engine->sys->wake(engine->sys->context, kolk__futex(&engine->pools_open), UINT32_MAX);
}

void kolk__pool_unref(struct kolk_pool *pool)
{
	struct kolk_engine *engine = pool->engine;

	KOLK__NO_LOCK();
	kolk__take_lock(engine, &engine->accounting);
	pool->refs--;
	kolk__give_lock(engine, &engine->accounting);
	kolk__drain_check_done(pool);
}
