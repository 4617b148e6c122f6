/* SPDX-License-Identifier: Apache-2.0 */
/* walk_run.c - a step for each key of a pool, or of all, and what follows from it (walk.h). */
#include "core/walk.h"

#include "core/effects.h"
#include "core/pool.h"

static void run_slice(struct kolk__walk *walk, kolk__walk_step *step, void *context,
		      struct kolk__effects *effects)
{
	struct kolk_key *key;

	while ((key = kolk__walk_key(walk)) != NULL) {
		kolk__effects_key(effects, key);
		step(context, walk, key, effects);
		kolk__effects_settle(effects);
	}
}

void kolk__walk_run(struct kolk__walk *walk, kolk__walk_step *step, void *context)
{
	KOLK__EFFECTS(effects);

	while (kolk__walk_lock(walk)) {
		kolk__effects_begin(&effects, walk->pool->engine);
		run_slice(walk, step, context, &effects);
		kolk__walk_unlock(walk);
		kolk__effects_run(&effects);
	}
}

static void update_key(void *what, struct kolk__walk *walk, struct kolk_key *key,
		       struct kolk__effects *effects)
{
	(void)walk;
	(void)key;
	effects->todo |= *(const uint32_t *)what;
}

void kolk__walk_update(struct kolk__walk *walk, uint32_t what)
{
	kolk__walk_run(walk, update_key, &what);
}

void kolk__pool_dispatch(struct kolk_pool *pool)
{
	struct kolk__walk walk;

	KOLK__NO_LOCK();
	kolk__walk_begin(&walk, pool);
	kolk__walk_update(&walk, KOLK__DISPATCH | KOLK__DIAL);
}

void kolk__limits_changed(struct kolk_engine *engine)
{
	struct kolk__pools_walk pools;
	struct kolk__walk walk;
	struct kolk_pool *pool;

	kolk__pools_begin(&pools, engine);
	while ((pool = kolk__pools_next(&pools)) != NULL) {
		kolk__walk_begin(&walk, pool);
		kolk__give_lock(engine, &engine->registry);
		kolk__walk_update(&walk, KOLK__DISPATCH | KOLK__DIAL);
	}
	kolk__permits_grant(engine);
}
