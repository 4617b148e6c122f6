/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dial.c - how many dials a key wants, and the dials that it may begin. Their results: dialled.c.
 *
 * A dial belongs to the pool, not to the waiter that caused it: it goes on when the waiter
 * leaves, and whatever comes first, an idle connection or the dial, serves the oldest
 * waiter. One failed dial ends at most one waiter.
 */
#include "core/dial.h"

#include "core/effects.h"
#include "core/pool.h"
#include "core/release.h"
#include "core/wait.h"
#include "core/young.h"

/* How many leases are expected back before a dial would be ready. Nothing is known, most end in
 * a close, or callers have queued for as long as that already: none. */
static uint32_t back_soon(struct kolk_key *key, uint64_t now_ns)
{
	uint64_t lease_ns = kolk__load_relaxed(&key->lease_avg_us) * KOLK_US_NS;
	uint64_t dial_ns = key->dial_avg_us * KOLK_US_NS, soon;

	KOLK__HELD(&key->lock);
	if (lease_ns == 0 || dial_ns == 0 || kolk__load_relaxed(&key->back) < UINT8_MAX / 2 ||
	    kolk__setting(kolk__own(&key->pool), eager_dials) || key->first == NULL ||
	    now_ns - kolk__own(&key->queued_at_ns) >= dial_ns)
		return 0;
	soon = (kolk__own(&key->open) - kolk__own(&key->dialing)) * dial_ns / lease_ns;
	if (soon > 0) /* look again when the hope was in vain */
		kolk__alarm_arm(key->engine, &key->alarm, kolk__own(&key->queued_at_ns) + dial_ns);
	return soon < UINT32_MAX ? (uint32_t)soon : UINT32_MAX;
}

/* How many more dials this key wants for callers: one for each that neither a dial nor an
 * idle connection is there for (a waiter that was signalled is on its way to one, and what is
 * pinged comes back in a moment). */
static uint32_t wanted_by_callers(struct kolk_key *key, uint64_t now_ns, uint32_t tries)
{
	uint32_t callers = kolk__own(&key->waiting) + tries;
	uint32_t coming = kolk__own(&key->dialing);

	KOLK__HELD(&key->lock);
	if (callers > coming)
		coming += kolk__idle_count(key);
	if (callers <= coming)
		return 0;
	callers -= coming;
	coming = back_soon(key, now_ns);
	return callers > coming ? callers - coming : 0;
}

/* And in all, with what is missing to idle_min, within the key's limit. */
static uint32_t wanted(const struct kolk_key *key, uint32_t by_callers)
{
	const struct kolk_pool *pool = kolk__own(&key->pool);
	uint32_t limit = kolk__setting(pool, connections_max);
	uint32_t floor = key->awake ? kolk__setting(pool, idle_min) : 0;
	uint32_t want = by_callers;

	KOLK__HELD(&key->lock);
	if (kolk__own(&key->refusal) != KOLK_OK || kolk__own(&key->open) >= limit)
		return 0;
	if (kolk__own(&key->open) < floor && want < floor - kolk__own(&key->open))
		want = floor - kolk__own(&key->open);
	return want < limit - kolk__own(&key->open) ? want : limit - kolk__own(&key->open);
}

/* With a reference: it can be changed at any time (kolk_pool_update). */
static struct kolk__upstream *upstream_of(struct kolk_pool *pool)
{
	struct kolk__upstream *upstream;

	kolk__take_lock(pool->engine, &pool->origin_lock);
	upstream = kolk__upstream_ref(pool->upstream);
	kolk__give_lock(pool->engine, &pool->origin_lock);
	return upstream;
}

static void dial_letter(struct kolk__note *note)
{
	struct kolk__conn *conn = kolk__conn_of_note(note);
	struct kolk_key *key = kolk__own(&conn->key);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk__upstream *upstream;

	KOLK__IN_TURN(kolk__own(&conn->home));
	KOLK__STATE(conn, KOLK__IS_DIALING);
	failure.err = KOLK_E_CANCELLED;
	if (kolk__load_acquire(&key->refusal) == KOLK_OK) {
		upstream = upstream_of(kolk__own(&key->pool));
		failure.err = kolk__link_dial(kolk__own(&conn->home)->io_loop, upstream, &key->tls_sessions,
					      conn, &conn->link);
		kolk__upstream_unref(upstream);
	}
	if (failure.err != KOLK_OK)
		key->engine->calls.dial_failed(conn, &failure);
}

/* All that a fresh tenure of a slot starts from. The slot is ours: it was FREE. */
static void conn_init(struct kolk_key *key, struct kolk__conn *conn, uint64_t now_ns)
{
	const struct kolk_pool *pool = kolk__own(&key->pool);
	bool always = kolk__setting(pool, uses_max) != KOLK_UNLIMITED ||
		      kolk__load_relaxed(&pool->must_reset) ||
		      key->listens_released;

	KOLK__HELD(&key->lock);
	KOLK__STATE(conn, KOLK__IS_FREE);
	kolk__store_relaxed(&conn->key, key);
	kolk__store_relaxed(&conn->born, kolk__conn_own_word(conn));
	kolk__store_relaxed(&conn->tag, 0);
	kolk__store_relaxed(&conn->pinned, 0);
	kolk__store_relaxed(&conn->retire_reason, 0);
	kolk__store_relaxed(&conn->revoked, 0);
	kolk__store_relaxed(&conn->unproven, false);
	kolk__store_relaxed(&conn->attention, always ? KOLK__ALWAYS : 0);
	kolk__store_relaxed(&conn->reason, KOLK_REASON_NONE);
	kolk__store_relaxed(&conn->home, kolk__shard_pick(key->engine));
	conn->link = NULL;
	kolk__store_relaxed(&conn->user, NULL);
	conn->operations = 0;
	conn->io[0] = conn->io[1] = NULL;
	conn->epoch = kolk__epoch_of(key);
	conn->dial_began_ns = now_ns;
	kolk__store_relaxed(&conn->ready_at_ns, now_ns);
	kolk__store_relaxed(&conn->retire_at_ns, KOLK_FOREVER);
	kolk__conn_set(conn, KOLK__DIALING);
}

/* Begin one dial. E_LIMIT = a permit above the key is lacking; E_CIRCUIT = not before *retry_ns;
 * E_MEMORY. */
static enum kolk_err dial_one(struct kolk_key *key, uint64_t now_ns, bool for_caller,
			      enum kolk__lack *lack, uint64_t *retry_ns)
{
	struct kolk__conn *conn;
	bool probe;

	KOLK__HELD(&key->lock);
	if (!kolk__peer_dial(kolk__own(&key->pool), now_ns, &probe, retry_ns))
		return KOLK_E_CIRCUIT;
	conn = kolk__permit_take(key, for_caller, lack);
	if (conn == NULL) {
		kolk__peer_not_dialled(kolk__own(&key->pool), probe);
		return KOLK_E_LIMIT;
	}
	conn_init(key, conn, now_ns);
	conn->probe = probe;
	if (kolk__table_add(key, conn) != KOLK_OK) {
		kolk__peer_not_dialled(kolk__own(&key->pool), probe);
		kolk__permit_give(conn);
		return KOLK_E_MEMORY;
	}
	kolk__own_add(&key->dialing, 1);
	kolk__add_relaxed(&kolk__key_counters(key)->dialled, 1);
	KOLK__PROBE(dial, key, conn);
	kolk__post(kolk__own(&conn->home), &conn->note, dial_letter);
	return KOLK_OK;
}

/* While the endpoint fails, one dial at a time and not before the back-off is over; the next when
 * what the last one made has proved itself. */
static bool must_hold_back(struct kolk_key *key, uint64_t now_ns)
{
	KOLK__HELD(&key->lock);
	if (key->failures == 0)
		return false;
	if (now_ns < key->retry_at_ns) {
		kolk__alarm_arm(key->engine, &key->alarm, key->retry_at_ns);
		return true;
	}
	return kolk__own(&key->dialing) + key->unproven > 0;
}

/* Who waits and lacks something stands in the row for it by now. */
static void permit_denied(struct kolk__effects *effects, enum kolk__lack lack)
{
	effects->who.lack = lack;
	if (lack == KOLK__TENANT_FULL || lack == KOLK__POOL_FULL || lack == KOLK__ENGINE_FULL)
		effects->todo |= KOLK__ROOM; /* of dials one will end */
}

void kolk__dial_more(struct kolk_key *key, struct kolk__effects *effects)
{
	uint64_t now_ns = effects->now_ns;
	uint32_t by_callers = wanted_by_callers(key, now_ns, effects->tries);
	uint32_t want = wanted(key, by_callers);
	uint64_t retry_ns = now_ns + kolk__setting(kolk__own(&key->pool), retry_interval_ns);
	enum kolk__lack lack = KOLK__ENOUGH;
	enum kolk_err err = KOLK_OK;

	KOLK__HELD(&key->lock);
	effects->todo &= ~(uint32_t)KOLK__DIAL;
	for (uint32_t i = 0; i < want && err == KOLK_OK; i++) {
		if (must_hold_back(key, now_ns))
			return;
		err = dial_one(key, now_ns, i < by_callers, &lack, &retry_ns);
	}
	if (err == KOLK_E_LIMIT && kolk__own(&key->waiting) > 0)
		permit_denied(effects, lack);
	else if (err != KOLK_OK)
		kolk__alarm_arm(key->engine, &key->alarm, retry_ns);
}

void kolk__dial_sweep(struct kolk_loop *shard)
{
	struct kolk_engine *engine = shard->engine;

	KOLK__IN_TURN(shard);
	for (uint32_t i = 0; i < engine->slot_count; i++) {
		struct kolk__conn *conn = &engine->slots[i];

		/* Only this thread moves a dialling connection that is at home here. Home first:
		 * who sees it and then DIALING sees this tenure's link. */
		if (kolk__load_relaxed(&conn->home) == shard &&
		    kolk__conn_state(conn) == KOLK__DIALING &&
		    conn->link != NULL &&
		    kolk__load_acquire(&kolk__own(&conn->key)->refusal) != KOLK_OK)
			kolk__link_dial_cancel(conn->link);
	}
}
