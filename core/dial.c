/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dial.c - how many dials a key wants, and the dials that it may begin. Their results: dialled.c.
 *
 * A dial belongs to the pool, not to the waiter that caused it: it goes on when the waiter
 * leaves, and whatever comes first, an idle connection or the dial, serves the oldest
 * waiter. One failed dial ends at most one waiter, unless the account was refused (E_AUTH: all).
 */
#include "core/dial.h"
#include "core/conn_table.h"

#include "core/effects.h"
#include "core/idle.h"
#include "core/permits.h"
#include "core/pool.h"
#include "core/release.h"
#include "core/wait.h"
#include "core/probation.h"

/* How many leases are expected back before a dial would be ready. None if nothing is known, if most
 * leases end in a close, or if callers have queued for as long as a dial takes. */
static uint32_t returns_expected(struct kolk_key *key, uint64_t now_ns)
{
	uint64_t lease_ns = kolk__load_relaxed(&key->lease_ewma_us) * KOLK_US_NS;
	uint64_t dial_ns = key->dial_ewma_us * KOLK_US_NS, soon;
	uint64_t since_ns = kolk__own(&key->queued_at_ns); /* may be later than now_ns */

	KOLK__HELD(&key->lock);
	if (lease_ns == 0 || dial_ns == 0 || kolk__load_relaxed(&key->reuse_ewma) < UINT8_MAX / 2 ||
	    kolk__setting(kolk__own(&key->pool), eager_dials) || key->first == NULL ||
	    (now_ns > since_ns && now_ns - since_ns >= dial_ns))
		return 0;
	soon = (kolk__own(&key->open) - kolk__own(&key->dialing)) * dial_ns / lease_ns;
	if (soon > 0) /* if none returns by then, dial after all */
		kolk__alarm_arm(key->engine, &key->alarm, since_ns + dial_ns);
	return soon < UINT32_MAX ? (uint32_t)soon : UINT32_MAX;
}

/* How many more dials this key wants for callers: one for each caller for which there is neither a
 * dial nor an idle connection. A signalled waiter is about to take one, and a connection that is
 * pinged is back in a moment. */
static uint32_t wanted_by_callers(struct kolk_key *key, uint64_t now_ns, uint32_t tries)
{
	uint32_t callers = kolk__own(&key->waiting) + tries;
	uint32_t coming = kolk__own(&key->dialing);

	KOLK__HELD(&key->lock);
	coming += kolk__load_relaxed(&key->pinging);
	if (callers > coming)
		coming += kolk__idle_count(key, callers - coming);
	if (callers <= coming)
		return 0;
	callers -= coming;
	coming = returns_expected(key, now_ns);
	return callers > coming ? callers - coming : 0;
}

/* How many in all: for callers and to reach idle_min, within the key's limit. */
static uint32_t wanted(const struct kolk_key *key, uint32_t by_callers)
{
	const struct kolk_pool *pool = kolk__own(&key->pool);
	uint32_t limit = kolk__setting(pool, connections_max);
	uint32_t floor = key->keep_warm ? kolk__setting(pool, idle_min) : 0;
	uint32_t want = by_callers;

	KOLK__HELD(&key->lock);
	if (kolk__own(&key->refuse_err) != KOLK_OK || kolk__own(&key->open) >= limit)
		return 0;
	if (kolk__own(&key->open) < floor && want < floor - kolk__own(&key->open))
		want = floor - kolk__own(&key->open);
	return want < limit - kolk__own(&key->open) ? want : limit - kolk__own(&key->open);
}

bool kolk__waits_for_leases(const struct kolk_key *key)
{
	KOLK__HELD(&key->lock);
	return kolk__own(&key->dialing) == 0 && kolk__load_relaxed(&key->pinging) == 0 &&
	       (kolk__at_limit(key) ||
		kolk__health_refuses(kolk__own(&key->pool), kolk__now(key->engine)));
}

/* With a reference, because kolk_pool_update may replace it at any time. */
static struct kolk__upstream *upstream_of(struct kolk_pool *pool)
{
	struct kolk__upstream *upstream;

	kolk__take_lock(pool->engine, &pool->upstream_lock);
	upstream = kolk__upstream_ref(pool->upstream);
	kolk__give_lock(pool->engine, &pool->upstream_lock);
	return upstream;
}

static void dial_task(struct kolk__task *task)
{
	struct kolk__conn *conn = kolk__conn_of_task(task);
	struct kolk_key *key = kolk__own(&conn->key);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk__destination to = { .tls_sessions = &key->tls_sessions };

	KOLK__IN_TURN(kolk__home(conn));
	KOLK__STATE(conn, KOLK__IS_DIALING);
	failure.err = KOLK_E_CANCELLED;
	if (kolk__load_acquire(&key->refuse_err) == KOLK_OK) {
		to.upstream = upstream_of(kolk__own(&key->pool));
		failure.err = kolk__link_dial(kolk__home(conn)->io_loop, to, conn,
					      &conn->link);
		kolk__upstream_unref(to.upstream);
	}
	if (failure.err != KOLK_OK)
		key->engine->calls.dial_failed(conn, &failure);
}

/* The state in which a connection begins. No other thread has it: it was FREE. */
static void conn_init(struct kolk_key *key, struct kolk__conn *conn, uint64_t now_ns)
{
	const struct kolk_pool *pool = kolk__own(&key->pool);
	bool force_slow = kolk__setting(pool, uses_max) != KOLK_UNLIMITED ||
		      kolk__load_relaxed(&pool->must_reset) ||
		      key->notify_released || kolk__counts_idle(pool);

	KOLK__HELD(&key->lock);
	KOLK__STATE(conn, KOLK__IS_FREE);
	kolk__store_relaxed(&conn->key, key);
	kolk__store_relaxed(&conn->born, kolk__conn_own_word(conn));
	kolk__store_relaxed(&conn->tag, 0);
	kolk__store_relaxed(&conn->retire_reason, 0);
	if (kolk__load_relaxed(&conn->revoked) != KOLK__NOT_REVOKED)
		kolk__store_relaxed(&conn->revoked, KOLK__REVOKED_EARLIER);
	kolk__store_relaxed(&conn->unproven, false);
	kolk__store_relaxed(&conn->alarm_put_off, false);
	kolk__store_relaxed(&conn->release_flags, force_slow ? KOLK__FORCE_SLOW : 0);
	kolk__store_relaxed(&conn->reason, KOLK_REASON_NONE);
	kolk__store_relaxed(&conn->home, (uint8_t)kolk__shard_pick(key->engine)->index);
	conn->link = NULL;
	kolk__store_relaxed(&conn->user, 0);
	conn->epoch = kolk__epoch_of(key);
	conn->dial_began_ns = now_ns;
	kolk__store_relaxed(&conn->ready_at_ns, now_ns);
	kolk__store_relaxed(&conn->retire_at_ns, KOLK_FOREVER);
	kolk__conn_set(conn, KOLK__DIALING); /* after the key is stored: kolk__conn_stands_at */
}

/* Why a dial did not begin. */
struct dial_denied {
	enum kolk__denied by; /* E_LIMIT: which limit */
	uint64_t retry_ns;    /* the time to try again */
};

/* Begin one dial. E_LIMIT = a limit above the key denied the permit; E_CIRCUIT = not before
 * retry_ns; E_MEMORY. */
static enum kolk_err dial_one(struct kolk_key *key, uint64_t now_ns, bool for_caller,
			      struct dial_denied *denied)
{
	struct kolk__conn *conn;
	bool trial;

	KOLK__HELD(&key->lock);
	if (!kolk__health_may_dial(kolk__own(&key->pool), now_ns, &trial,
				  &denied->retry_ns))
		return KOLK_E_CIRCUIT;
	conn = kolk__permit_take(key, for_caller, &denied->by);
	if (conn == NULL) {
		kolk__health_not_dialled(kolk__own(&key->pool), trial);
		return KOLK_E_LIMIT;
	}
	conn_init(key, conn, now_ns);
	conn->trial = trial;
	conn->abandoned = false;
	if (kolk__conn_table_add(key, conn) != KOLK_OK) {
		kolk__health_not_dialled(kolk__own(&key->pool), trial);
		kolk__permit_return(conn);
		return KOLK_E_MEMORY;
	}
	kolk__own_add(&key->dialing, 1);
	kolk__add_relaxed(&kolk__key_counters(key)->dialled, 1);
	KOLK__PROBE(dial, key, conn);
	kolk__post(kolk__home(conn), &conn->task, dial_task);
	return KOLK_OK;
}

/* While the endpoint fails, the key dials one connection at a time, not before the back-off is
 * over, and not before the last one has proved itself (probation.c). */
static bool must_back_off(struct kolk_key *key, uint64_t now_ns)
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

/* The key has waiters, so the denial has put it into the permit queue. */
static void permit_denied(struct kolk__effects *effects, enum kolk__denied denied)
{
	effects->who.denied = denied;
	if (kolk__eviction_helps(denied))
		effects->todo |= KOLK__EVICT;
}

/* At most so many dials begin while the lock is held, for which a request may wait. */
enum { DIAL_SLICE = 64 };

void kolk__dial_more(struct kolk_key *key, struct kolk__effects *effects)
{
	uint64_t now_ns = effects->now_ns;
	uint32_t by_callers = wanted_by_callers(key, now_ns, effects->tries);
	uint32_t want = wanted(key, by_callers);
	struct dial_denied denied = {
		.by = KOLK__GRANTED,
		.retry_ns = now_ns + kolk__setting(kolk__own(&key->pool), retry_interval_ns),
	};
	enum kolk_err err = KOLK_OK;

	KOLK__HELD(&key->lock);
	effects->todo &= ~(uint32_t)KOLK__DIAL;
	for (uint32_t i = 0; i < want && err == KOLK_OK; i++) {
		if (must_back_off(key, now_ns))
			return;
		if (i == DIAL_SLICE) { /* maintenance begins the rest */
			kolk__alarm_arm(key->engine, &key->alarm, now_ns);
			return;
		}
		err = dial_one(key, now_ns, i < by_callers, &denied);
	}
	if (err == KOLK_E_LIMIT && kolk__own(&key->waiting) > 0)
		permit_denied(effects, denied.by);
	else if (err != KOLK_OK)
		kolk__alarm_arm(key->engine, &key->alarm, denied.retry_ns);
}

void kolk__dial_sweep(struct kolk_loop *shard)
{
	struct kolk_engine *engine = shard->engine;

	KOLK__IN_TURN(shard);
	for (uint32_t i = 0; i < engine->conn_count; i++) {
		struct kolk__conn *conn = &engine->conns[i];
		uint64_t word = kolk__conn_word(conn);

		/* home is read between two reads of the word: if that is the same, so is the dial.
		 * Then only this thread changes the connection and its link. */
		if (kolk__state_of(word) == KOLK__DIALING &&
		    kolk__load_acquire(&conn->home) == shard->index &&
		    kolk__conn_word(conn) == word && conn->link != NULL &&
		    kolk__load_acquire(&kolk__own(&conn->key)->refuse_err) != KOLK_OK)
			kolk__link_dial_cancel(conn->link);
	}
}
