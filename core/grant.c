/* SPDX-License-Identifier: Apache-2.0 */
/* grant.c - permits that were returned are granted to queued keys, in the order of the queues. */
#include "core/dial.h"
#include "core/effects.h"
#include "core/permits.h"
#include "core/pool.h"

#define RECLAIM_ROUND_NS (20 * KOLK_MS_NS)

static bool engine_is_full(const struct kolk_engine *engine, const struct kolk__total *total)
{
	return kolk__own(&total->open) >= kolk__own(&total->limit) ||
	       kolk__own(&total->dialing) >= engine->dials_max;
}

/* A key that has left its queue tries to dial. granted = it was in an engine queue, and need not
 * queue there again. No lock held. If the key has been recycled since it was queued, the new one
 * was granted nothing. */
static void grant_try(const struct kolk__requester *who, bool granted)
{
	struct kolk_key *key = who->key;
	KOLK__EFFECTS(effects);

	KOLK__NO_LOCK();
	kolk__key_lock(key, &effects, kolk__now(key->engine));
	if (effects.who.id == who->id) {
		key->granted = granted;
		key->keep_sequence = true;
		kolk__dial_more(key, &effects);
		key->granted = key->keep_sequence = false;
		effects.todo |= KOLK__UNUSED; /* only the queue may have kept it */
	}
	kolk__key_unlock(&effects);
}

/* Remove the first key of a queue. A key in a queue cannot be recycled. Under accounting. */
static bool queue_pop_for(struct kolk_engine *engine, struct kolk__permit_queue *queue,
			  struct kolk__requester *who)
{
	struct kolk_key *key = kolk__permit_queue_pop(engine, queue);

	KOLK__HELD(&engine->accounting);
	if (key == NULL)
		return false;
	*who = kolk__requester_of(key, KOLK__GRANTED);
	return true;
}

/* Grant the engine's permits to the tenants with the smallest shares. Each key in an engine queue
 * gets one try: it dials, or enters another queue, or the engine is full again. */
static void grant_engine_permits(struct kolk_engine *engine, struct kolk__total *total)
{
	uint32_t tries = kolk__load_relaxed(&total->engine_queued_keys);
	struct kolk__requester who;
	bool any;

	while (tries-- > 0) {
		kolk__take_lock(engine, &engine->accounting);
		any = total->engine_queues.root != NULL && !engine_is_full(engine, total) &&
		      queue_pop_for(engine,
				    kolk__permit_queue_of(kolk__heap_min(&total->engine_queues)),
				    &who);
		kolk__give_lock(engine, &engine->accounting);
		if (!any)
			return;
		grant_try(&who, true);
	}
}

/* Grant a tenant's or pool's own permits, first come, first served, until a key is denied the same
 * permit again or enters the engine queue: one permit was freed. The queue may be another tenant's
 * or pool's by now; then its keys get a try that they did not need. */
static void grant_permits(struct kolk_engine *engine, struct kolk__permit_queue *queue)
{
	uint32_t tries = kolk__load_relaxed(&queue->keys.count);
	struct kolk__requester who;
	const struct kolk__permit_queue *next;
	bool any, over = false;

	while (tries-- > 0 && !over) {
		kolk__take_lock(engine, &engine->accounting);
		any = queue_pop_for(engine, queue, &who);
		kolk__give_lock(engine, &engine->accounting);
		if (!any)
			return;
		grant_try(&who, false);
		next = kolk__load_relaxed(&who.key->permit_queue); /* relaxed: at worst a try more */
		over = next == queue || next == &who.account->engine_queue;
	}
}

void kolk__permits_freed(const struct kolk__requester *who)
{
	struct kolk_key *key = who->key;
	struct kolk_engine *engine = key->engine;
	KOLK__EFFECTS(effects);

	KOLK__NO_LOCK();
	grant_permits(engine, &who->account->limit.queue);
	grant_permits(engine, &who->pool->limit.queue);
	grant_engine_permits(engine, who->account->total);
	kolk__key_lock(key, &effects, kolk__now(engine));
	if (effects.who.id == who->id)
		effects.todo |= KOLK__DIAL;
	kolk__key_unlock(&effects);
}

void kolk__permits_grant(struct kolk_engine *engine)
{
	KOLK__NO_LOCK();
	for (int i = 0; i < KOLK__CLASSES; i++)
		grant_engine_permits(engine, &engine->totals[i]);
}

/* By which limit a key in this queue is denied now. */
static enum kolk__denied denied_now(const struct kolk_key *key,
				    const struct kolk__permit_queue *queue)
{
	const struct kolk_engine *engine = key->engine;
	const struct kolk__account *account = kolk__own(&key->account);
	const struct kolk_pool *pool = kolk__own(&key->pool);

	KOLK__HELD(&engine->accounting);
	switch (queue->keys.kind) {
	case KOLK__QUEUE_TENANT:
		return kolk__own(&account->open) >= kolk__tenant_limit(engine, account->tenant) ?
			       KOLK__TENANT_FULL : KOLK__GRANTED;
	case KOLK__QUEUE_POOL:
		return kolk__own(&pool->open) >= kolk__setting(pool, pool_connections_max) ?
			       KOLK__POOL_FULL :
		       kolk__own(&pool->dialing) >= kolk__setting(pool, dials_max) ?
			       KOLK__POOL_DIALS : KOLK__GRANTED;
	default:
		return kolk__own(&account->total->open) >= kolk__own(&account->total->limit) ?
			       KOLK__ENGINE_FULL : KOLK__ENGINE_DIALS;
	}
}

/* The first key of an engine queue, or of the one of the other queues that has not been visited for
 * longest. A key without waiters, or one that is no longer denied, leaves its queue. Under
 * accounting. */
static bool queue_first(struct kolk_engine *engine, const struct kolk__heap *queues,
			struct kolk__requester *who)
{
	struct kolk__permit_queue *queue = kolk__permit_queue_of(kolk__heap_min(queues));
	struct kolk_key *key = queue != NULL ? kolk__permit_queue_first(queue) : NULL;

	KOLK__HELD(&engine->accounting);
	if (key == NULL)
		return false;
	*who = kolk__requester_of(key, denied_now(key, queue));
	if (queues == &engine->limit_queues) /* engine queues keep their order, by share */
		kolk__permit_queue_requeue(engine, queue);
	if (kolk__load_relaxed(&who->key->waiting) == 0 || who->denied == KOLK__GRANTED) {
		(void)kolk__permit_queue_pop(engine, queue);
		who->denied = KOLK__GRANTED;
	}
	return true;
}

static void evict_for_first(struct kolk_engine *engine, const struct kolk__heap *queues)
{
	struct kolk__requester who;
	bool any;

	kolk__take_lock(engine, &engine->accounting);
	any = queue_first(engine, queues, &who);
	kolk__give_lock(engine, &engine->accounting);
	if (any && who.denied == KOLK__GRANTED)
		grant_try(&who, false);
	else if (any)
		kolk__evict_by_maintenance(&who);
}

/* At most so many visits before alarms and the clock have their turn. */
enum { TURN_VISITS = 4096 };

/* Search for the keys for which a caller's search found nothing. A key that has left its queue
 * needs no search. */
static void evict_for_handed_over(struct kolk_engine *engine)
{
	uint64_t until = kolk__load_relaxed(&engine->visits) + TURN_VISITS;
	const struct kolk__permit_queue *queue;
	struct kolk__requester who;
	struct kolk_key *key;

	do {
		kolk__take_lock(engine, &engine->accounting);
		key = kolk__handed_over_pop(engine);
		queue = key != NULL ? kolk__own(&key->permit_queue) : NULL;
		if (queue != NULL)
			who = kolk__requester_of(key, denied_now(key, queue));
		kolk__give_lock(engine, &engine->accounting);
		if (queue != NULL)
			kolk__evict_by_maintenance(&who);
	} while (key != NULL && kolk__load_relaxed(&engine->visits) < until);
	if (key != NULL)
		kolk__maintain_kick(engine);
}

void kolk__evict_for_queued(struct kolk_engine *engine, uint64_t now_ns)
{
	KOLK__NO_LOCK();
	kolk__take_lock(engine, &engine->accounting);
	if (now_ns - engine->reclaim_round_at_ns >= RECLAIM_ROUND_NS) {
		engine->reclaim_round_at_ns = now_ns;
		kolk__reclaims_forget(engine);
	}
	kolk__give_lock(engine, &engine->accounting);
	evict_for_handed_over(engine);
	for (int i = 0; i < KOLK__CLASSES; i++)
		evict_for_first(engine, &engine->totals[i].engine_queues);
	evict_for_first(engine, &engine->limit_queues);
}
