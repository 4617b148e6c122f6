/* SPDX-License-Identifier: Apache-2.0 */
/* effects.c - what follows from changes of keys is done here, and nowhere else (effects.h). */
#include "core/effects.h"
#include "core/drain.h"
#include "core/dial.h"

#include "core/pool.h"
#include "core/wait.h"

static void begin(struct kolk__effects *effects, struct kolk_engine *engine, bool walk)
{
	effects->engine = engine;
	effects->self = NULL;
	effects->now_ns = 0;
	effects->tries = effects->todo = effects->wake_count = 0;
	effects->walk = walk;
	effects->begun = true;
}

void kolk__effects_begin(struct kolk__effects *effects, struct kolk_engine *engine)
{
	begin(effects, engine, true);
}

#ifdef KOLK__ASSERTIONS
static void counts_before(struct kolk__effects *effects)
{
	effects->open = kolk__own(&effects->who.key->open);
	effects->waiting = kolk__own(&effects->who.key->waiting);
}

/* What followed from fewer connections or waiters was not forgotten. */
static void counts_after(const struct kolk__effects *effects)
{
	const uint32_t closed = KOLK__PERMITS | KOLK__CLOSE | KOLK__UNUSED;
	uint32_t open = kolk__own(&effects->who.key->open);
	uint32_t waiting = kolk__own(&effects->who.key->waiting);

	KOLK__HELD(&effects->who.key->lock);
	KOLK__ASSERT(open >= effects->open || (effects->todo & closed) == closed);
	KOLK__ASSERT(open + waiting > 0 || effects->open + effects->waiting == 0 ||
		     effects->todo & KOLK__UNUSED);
}
#else
#define counts_before(effects) ((void)0)
#define counts_after(effects) ((void)0)
#endif

void kolk__effects_key(struct kolk__effects *effects, struct kolk_key *key)
{
	kolk__take_lock(effects->engine, &key->lock);
	effects->who = kolk__requester_of(key, KOLK__GRANTED);
	counts_before(effects);
	if (effects->walk)
		effects->now_ns = kolk__now(effects->engine);
}

static void wake_all(struct kolk__effects *effects)
{
	const struct kolk_sys *sys = effects->engine->sys;

	for (uint32_t i = 0; i < effects->wake_count; i++)
		sys->wake(sys->context, effects->wakes[i].futex, effects->wakes[i].count);
	effects->wake_count = 0;
}

void kolk__effects_settle(struct kolk__effects *effects)
{
	KOLK__HELD(&effects->who.key->lock);
	if (effects->todo & KOLK__DISPATCH)
		kolk__dispatch_waiters(effects->who.key, effects);
	if (effects->todo & KOLK__DIAL)
		kolk__dial_more(effects->who.key, effects);
	counts_after(effects);
	kolk__give_lock(effects->engine, &effects->who.key->lock);
	wake_all(effects);
	if (effects->walk && effects->todo & KOLK__UNUSED) {
		effects->todo &= ~(uint32_t)KOLK__UNUSED;
		kolk__key_free_if_unused_locked(effects->who.pool, effects->who.key);
	}
}

void kolk__effects_run(struct kolk__effects *effects)
{
	uint32_t todo = effects->todo;

	KOLK__NO_LOCK();
	KOLK__ASSERT(effects->begun);
	effects->begun = false;
	KOLK__ASSERT((todo & (KOLK__DISPATCH | KOLK__DIAL)) == 0);
	KOLK__ASSERT(!effects->walk || (todo & ~(uint32_t)KOLK__EVICT) == 0);
	if (todo & KOLK__PERMITS)
		kolk__permits_freed(&effects->who);
	if (todo & KOLK__EVICT && effects->walk)
		kolk__maintain_kick(effects->engine); /* it looks for those that wait */
	else if (todo & KOLK__EVICT)
		kolk__evict_for(&effects->who);
	if (todo & KOLK__RETRY)
		kolk__pool_dispatch(effects->who.pool);
	if (todo & KOLK__CLOSE)
		kolk__drain_check_done(effects->who.pool);
	if (todo & KOLK__UNUSED)
		kolk__key_free_if_unused(effects->who.key);
}

#ifdef KOLK__ASSERTIONS
void kolk__effects_check(struct kolk__effects *effects)
{
	KOLK__ASSERT(!effects->begun);
}
#endif

void kolk__key_lock(struct kolk_key *key, struct kolk__effects *effects, uint64_t now_ns)
{
	begin(effects, key->engine, false);
	effects->now_ns = now_ns;
	kolk__effects_key(effects, key);
}

void kolk__key_unlock(struct kolk__effects *effects)
{
	kolk__effects_settle(effects);
	kolk__effects_run(effects);
}
