/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dial.c - the telephone: may we open another one, and what came of it.
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

/* ---- wanting */

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
static struct kolk__origin *origin_of(struct kolk_pool *pool)
{
	struct kolk__origin *origin;

	kolk__take_lock(pool->engine, &pool->origin_lock);
	origin = kolk__origin_ref(pool->origin);
	kolk__give_lock(pool->engine, &pool->origin_lock);
	return origin;
}

static void dial_letter(struct kolk__note *note)
{
	struct kolk__conn *conn = kolk__conn_of_note(note);
	struct kolk_key *key = kolk__own(&conn->key);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk__origin *origin;

	KOLK__IN_TURN(kolk__own(&conn->home));
	KOLK__STATE(conn, KOLK__IS_DIALING);
	failure.err = KOLK_E_CANCELLED;
	if (kolk__load_acquire(&key->refusal) == KOLK_OK) {
		origin = origin_of(kolk__own(&key->pool));
		failure.err = kolk__link_dial(kolk__own(&conn->home)->tloop, origin, &key->tickets,
					      conn, &conn->link);
		kolk__origin_unref(origin);
	}
	if (failure.err != KOLK_OK)
		kolk__failed(conn, &failure);
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
static void denied(struct kolk__effects *effects, enum kolk__lack lack)
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
		denied(effects, lack);
	else if (err != KOLK_OK)
		kolk__alarm_arm(key->engine, &key->alarm, retry_ns);
}

void kolk__retry_fire(struct kolk__alarm *alarm, uint64_t now_ns)
{
	struct kolk_key *key =
		(struct kolk_key *)(void *)((char *)alarm - offsetof(struct kolk_key, alarm));
	KOLK__EFFECTS(effects);

	KOLK__NO_LOCK();
	/* The key may be recycled: then another key looks whether it wants to dial. */
	kolk__key_lock(key, &effects, now_ns);
	effects.todo |= KOLK__DIAL;
	kolk__key_unlock(&effects);
}

/* ---- what came of it: on the home loop */

void kolk__key_changed(struct kolk_key *key, struct kolk__effects *effects)
{
	KOLK__HELD(&key->lock);
	kolk__add_sc(&key->changes, 1);
	kolk__effects_wake(effects, kolk__futex(&key->changes), UINT32_MAX);
}

/* It is still the dialler's. */
static void ready_fill(struct kolk__conn *conn, bool doubted, uint64_t now_ns)
{
	struct kolk_pool *pool = kolk__pool_of(conn);
	uint64_t lifetime_ns = kolk__setting(pool, lifetime_ns);

	KOLK__STATE(conn, KOLK__IS_DIALING);
	kolk__store_relaxed(&conn->unproven, doubted);
	kolk__store_relaxed(&conn->ready_at_ns, now_ns);
	if (lifetime_ns != KOLK_FOREVER)
		kolk__store_relaxed(&conn->retire_at_ns,
				    now_ns + kolk__jitter(pool->engine, lifetime_ns));
	kolk__store_relaxed(&conn->idle_since_ns, now_ns);
	kolk__store_relaxed(&conn->pinged_at_ns, now_ns);
}

static void ready_record(struct kolk__conn *conn, uint64_t dial_ns)
{
	struct kolk_key *key = kolk__own(&conn->key);
	struct kolk_engine *engine = key->engine;
	struct kolk__hists *hists = kolk__key_hists(key);

	KOLK__NO_LOCK();
	kolk__hist_record(engine->sys, &kolk__own(&key->pool)->hists.dial, dial_ns);
	if (hists != NULL)
		kolk__hist_record(engine->sys, &hists->dial, dial_ns);
	if (kolk__listens(engine, KOLK_EVENT_CREATED))
		kolk__tell(engine, KOLK_EVENT_CREATED, key, conn, dial_ns);
}

/* The key has one more connection; true = its failures are over. Under key.lock. */
static bool ready_add(struct kolk_key *key, struct kolk__conn *conn, bool doubted)
{
	bool recovered = !doubted && key->failures != 0;

	KOLK__HELD(&key->lock);
	kolk__own_sub(&key->dialing, 1);
	kolk__add_relaxed(&kolk__key_counters(key)->created, 1);
	if (doubted)
		key->unproven++;
	else
		key->failures = 0;
	if (conn->epoch == kolk__epoch_of(key)) { /* EPOCH: see sweep.c */
		kolk__conn_set(conn, KOLK__IDLE);
	} else { /* somebody rotated meanwhile: it is nobody's */
		kolk__conn_set(conn, KOLK__CLOSING);
		kolk__retire(conn, KOLK_REASON_ROTATED);
	}
	return recovered;
}

void kolk__ready(void *connection)
{
	struct kolk__conn *conn = connection;
	struct kolk_key *key = kolk__own(&conn->key);
	struct kolk_pool *pool = kolk__own(&key->pool);
	struct kolk_engine *engine = key->engine;
	uint64_t now_ns = kolk__now(engine), dial_ns = now_ns - conn->dial_began_ns;
	bool doubted = kolk__young_doubted(key), recovered, closed;
	KOLK__EFFECTS(effects);

	KOLK__IN_TURN(kolk__own(&conn->home));
	KOLK__STATE(conn, KOLK__IS_DIALING);
	KOLK__NO_LOCK();
	KOLK__PROBE(ready, key, conn);
	ready_fill(conn, doubted, now_ns);
	kolk__dial_permit_give(conn);
	kolk__maintain_watch(conn, now_ns);
	ready_record(conn, dial_ns);
	closed = !doubted && kolk__peer_dialled(pool, KOLK_OK, conn->probe, now_ns);
	kolk__key_lock(key, &effects, now_ns);
	key->dial_avg_us = kolk__average(key->dial_avg_us, dial_ns);
	recovered = ready_add(key, conn, doubted);
	kolk__key_changed(key, &effects);
	/* The circuit closed: the others may dial again. */
	effects.todo |= KOLK__SERVE | KOLK__PERMITS | (closed ? KOLK__RETRY : 0);
	kolk__key_unlock(&effects);
	/* The key stays: this loop has not yet closed the connection. */
	if (recovered && kolk__listens(engine, KOLK_EVENT_HEALTHY))
		kolk__tell(engine, KOLK_EVENT_HEALTHY, key, NULL, 0);
}

uint64_t kolk__back_off(struct kolk_pool *pool, uint32_t failures)
{
	uint64_t bound = kolk__setting(pool, retry_interval_ns);
	uint64_t most = kolk__setting(pool, retry_max_ns);

	for (uint32_t i = 0; i < failures && bound < most; i++)
		bound = bound < most / 2 ? bound * 2 : most;
	return 1 + kolk__random(pool->engine) % bound;
}

/* The account is refused: nobody dials for it for a while, whoever waits is told. */
static void auth_failed(struct kolk_key *key, struct kolk__effects *effects)
{
	uint64_t now_ns = effects->now_ns;
	bool again = key->failed != NULL && key->failed->failure.err == KOLK_E_AUTH;
	uint64_t ns = kolk__setting(kolk__own(&key->pool), auth_retry_ns);

	KOLK__HELD(&key->lock);
	if (!again) /* it did not fail before: it was not reached */
		key->failures = 0;
	for (uint32_t i = 0; i < key->failures && i < 4 && ns < KOLK_FOREVER / 2; i++)
		ns *= 2;
	key->failures++;
	key->retry_at_ns = ns < KOLK_FOREVER - now_ns ? now_ns + ns : KOLK_FOREVER;
	key->awake = false; /* no refill: the next caller after that tries */
	while (kolk__waiter_fail_first(key, KOLK_E_AUTH, effects))
		;
}

/* What a failed dial means to the key, and to who waited for it. One that was given up because the
 * key refused means nothing: by now it may serve again. */
static void hold_back(struct kolk_key *key, enum kolk_err err, bool costs_waiter,
		      struct kolk__effects *effects)
{
	KOLK__HELD(&key->lock);
	if (kolk__own(&key->refusal) != KOLK_OK || err == KOLK_E_CANCELLED)
		return;
	if (costs_waiter)
		(void)kolk__waiter_fail_first(key, err, effects);
	if (err == KOLK_E_AUTH)
		auth_failed(key, effects);
	else
		key->retry_at_ns = effects->now_ns +
				   kolk__back_off(kolk__own(&key->pool), key->failures++);
}

static void remember(struct kolk_key *key, const struct kolk_failure *failure, uint64_t now_ns)
{
	KOLK__HELD(&key->lock);
	if (key->failed == NULL)
		key->failed = kolk__allocate(key->engine, sizeof *key->failed);
	if (key->failed != NULL)
		*key->failed = (struct kolk__failed){ .failure = *failure, .at_ns = now_ns };
}

bool kolk__dial_hold_back(struct kolk_key *key, const struct kolk_failure *failure,
			  bool costs_waiter, struct kolk__effects *effects)
{
	bool first = key->failures == 0;

	KOLK__HELD(&key->lock);
	kolk__add_relaxed(&kolk__key_counters(key)->dial_failed, 1);
	hold_back(key, failure->err, costs_waiter, effects);
	remember(key, failure, effects->now_ns);
	return first && key->failures != 0;
}

void kolk__dial_unhealthy(struct kolk_key *key, const struct kolk_failure *failure)
{
	struct kolk_engine *engine = key->engine;

	KOLK__NO_LOCK();
	if (kolk__listens(engine, KOLK_EVENT_UNHEALTHY))
		kolk__tell_failure(key, NULL, KOLK_EVENT_UNHEALTHY, failure);
	kolk__log(engine, KOLK_LOG_WARN, "dial", "pool %s: %s in %s%s%s: backing off",
		  kolk__own(&key->pool)->name, kolk_err_text(failure->err),
		  kolk_phase_name(failure->phase),
		  failure->detail != NULL ? ": " : "",
		  failure->detail != NULL ? failure->detail : "");
}

void kolk__failed(void *connection, const struct kolk_failure *given)
{
	struct kolk__conn *conn = connection;
	struct kolk_key *key = kolk__own(&conn->key);
	struct kolk_pool *pool = kolk__own(&key->pool);
	struct kolk_engine *engine = key->engine;
	struct kolk_failure failure = *given;
	uint64_t now_ns = kolk__now(engine);
	KOLK__EFFECTS(effects);
	bool first, closed;

	KOLK__IN_TURN(kolk__own(&conn->home));
	KOLK__STATE(conn, KOLK__IS_DIALING);
	KOLK__NO_LOCK();
	KOLK__PROBE(failed, key, conn, failure.err);
	failure.size = (uint32_t)sizeof failure;
	failure.err_class = kolk_err_class(failure.err);
	kolk__store_relaxed(&conn->reason, failure.err == KOLK_E_DIAL_TIMEOUT ?
						   KOLK_REASON_DIAL_TIMEOUT :
						   KOLK_REASON_DIAL_FAILED);
	conn->link = NULL;
	if (kolk__listens(engine, KOLK_EVENT_DIAL_FAILED))
		kolk__tell_failure(key, conn, KOLK_EVENT_DIAL_FAILED, &failure);

	closed = kolk__peer_dialled(pool, failure.err, conn->probe, now_ns);
	kolk__key_lock(key, &effects, now_ns);
	kolk__own_sub(&key->dialing, 1);
	kolk__add_relaxed(&kolk__key_counters(key)->destroyed[kolk__own(&conn->reason)], 1);
	first = kolk__dial_hold_back(key, &failure, true, &effects);
	if (first)
		kolk__key_hold(key);
	kolk__conn_gone(conn, &effects);
	kolk__key_changed(key, &effects);
	effects.todo |= closed ? KOLK__RETRY : 0;
	kolk__key_unlock(&effects);
	if (first) {
		kolk__dial_unhealthy(key, &failure);
		kolk__key_unhold(key);
	}
}

struct kolk_key *kolk__conn_key(void *connection)
{
	return kolk__own(&((struct kolk__conn *)connection)->key);
}

/* ---- pings */

static void ping_letter(struct kolk__note *note)
{
	struct kolk__conn *conn = kolk__conn_of_note(note);

	KOLK__IN_TURN(kolk__own(&conn->home));
	KOLK__STATE(conn, KOLK__IS_PINGING);
	kolk__link_ping(conn->link);
}

void kolk__ping(struct kolk__conn *conn)
{
	KOLK__STATE(conn, KOLK__IS_PINGING);
	kolk__post(kolk__own(&conn->home), &conn->note, ping_letter);
}

void kolk__pinged(void *connection, enum kolk_err err, enum kolk_reason reason)
{
	struct kolk__conn *conn = connection;
	struct kolk_key *key = kolk__own(&conn->key);
	struct kolk_engine *engine = key->engine;
	struct kolk__counters *counters = kolk__key_counters(key);

	KOLK__IN_TURN(kolk__own(&conn->home));
	KOLK__STATE(conn, KOLK__IS_PINGING);
	KOLK__NO_LOCK();
	kolk__store_relaxed(&conn->pinged_at_ns, kolk__now(engine));
	if (err == KOLK_OK) {
		kolk__add_relaxed(&counters->pings_ok, 1);
		kolk__park(conn);
		return;
	}
	kolk__add_relaxed(&counters->pings_failed, 1);
	kolk__conn_set(conn, KOLK__CLOSING);
	kolk__retire(conn, reason);
}

/* ---- giving up */

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
