/* SPDX-License-Identifier: Apache-2.0 */
/* walk.c - after a change of limits: the keys of a pool, or of all pools, dispatch and dial. */
#include "core/effects.h"
#include "core/pool.h"

void kolk__keys_update(struct kolk_pool *pool, uint32_t what, struct kolk__effects *effects)
{
	struct kolk_key *next;

	KOLK__HELD(&pool->lock);
	for (struct kolk_key *key = pool->keys; key != NULL; key = next) {
		next = key->list_next;
		kolk__effects_key(effects, key);
		effects->todo |= what;
		kolk__effects_settle(effects);
	}
}

static void update_locked(struct kolk_pool *pool, struct kolk__effects *effects)
{
	kolk__take_lock(pool->engine, &pool->lock);
	kolk__keys_update(pool, KOLK__DISPATCH | KOLK__DIAL, effects);
	kolk__give_lock(pool->engine, &pool->lock);
}

void kolk__pool_dispatch(struct kolk_pool *pool)
{
	KOLK__EFFECTS(effects);

	KOLK__NO_LOCK();
	kolk__effects_begin(&effects, pool->engine);
	update_locked(pool, &effects);
	kolk__effects_run(&effects);
}

void kolk__limits_changed(struct kolk_engine *engine)
{
	KOLK__EFFECTS(effects);

	KOLK__NO_LOCK();
	kolk__effects_begin(&effects, engine);
	kolk__take_lock(engine, &engine->registry);
	for (struct kolk_pool *pool = engine->pools; pool != NULL; pool = pool->next)
		update_locked(pool, &effects);
	kolk__give_lock(engine, &engine->registry);
	kolk__effects_run(&effects);
	kolk__permits_grant(engine);
}
