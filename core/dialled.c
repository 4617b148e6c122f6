/* SPDX-License-Identifier: Apache-2.0 */
/* dialled.c - results of dials and pings, and the dial that follows a back-off. */
#include "core/base/container.h"
#include "core/dial.h"

#include "core/effects.h"
#include "core/event.h"
#include "core/idle.h"
#include "core/pool.h"
#include "core/refuse.h"
#include "core/release.h"
#include "core/wait.h"
#include "core/probation.h"

void kolk__retry_fire(struct kolk__alarm *alarm, uint64_t now_ns)
{
	struct kolk_key *key = kolk__container_of(alarm, struct kolk_key, alarm);
	KOLK__EFFECTS(effects);
	bool failed;

	KOLK__NO_LOCK();
	/* The key may have been recycled: then the new key checks whether it wants to dial. */
	kolk__key_lock(key, &effects, now_ns);
	failed = kolk__key_fail_more(key, &effects);
	effects.todo |= KOLK__DIAL;
	if (key->first != NULL || kolk__own(&key->gate) != KOLK__GATE_OPEN)
		effects.todo |= KOLK__DISPATCH;
	kolk__key_unlock(&effects);
	if (failed)
		kolk__key_unref(key);
}

/* Only this thread has the connection yet. */
static void ready_fill(struct kolk__conn *conn, bool probation, uint64_t now_ns)
{
	struct kolk_pool *pool = kolk__pool_of(conn);
	uint64_t lifetime_ns = kolk__setting(pool, lifetime_ns);

	KOLK__STATE(conn, KOLK__IS_DIALING);
	kolk__store_relaxed(&conn->unproven, probation);
	conn->waited_for = false;
	kolk__store_relaxed(&conn->ready_at_ns, now_ns);
	if (lifetime_ns != KOLK_FOREVER)
		kolk__store_relaxed(&conn->retire_at_ns,
				    now_ns + kolk__jitter(pool->engine, lifetime_ns));
	kolk__store_relaxed(&conn->idle_since_ns, now_ns);
	kolk__store_relaxed(&conn->pinged_at_ns, now_ns);
	if (kolk__link_must_acknowledge(conn->link))
		kolk__release_flags_set(conn, KOLK__SILENT);
}

static void ready_record(struct kolk__conn *conn, uint64_t dial_ns)
{
	struct kolk_key *key = kolk__own(&conn->key);
	struct kolk_engine *engine = key->engine;

	KOLK__NO_LOCK();
	kolk__key_record(key, KOLK__DIAL_TIME, dial_ns);
	if (kolk__event_wanted(engine, KOLK_EVENT_CREATED))
		kolk__notify(key, conn, KOLK_EVENT_CREATED, dial_ns);
}

/* The key has one more connection. Return whether its failures are over. Under key.lock. */
static bool ready_add(struct kolk_key *key, struct kolk__conn *conn, bool probation)
{
	bool recovered = !probation && key->failures != 0;

	KOLK__HELD(&key->lock);
	kolk__own_sub(&key->dialing, 1);
	if (probation)
		key->unproven++;
	else
		key->failures = 0;
	if (conn->epoch == kolk__epoch_of(key)) { /* EPOCH: see sweep.c */
		(void)kolk__idle_enter(conn, true); /* or kolk_try_acquire would dial in vain */
		kolk__set_idle(conn);
	} else { /* stale: a rotation began meanwhile */
		kolk__conn_set(conn, KOLK__CLOSING);
		kolk__retire(conn, KOLK_REASON_ROTATED);
	}
	return recovered;
}

/* The connection may be leased meanwhile, and released before this is done: its holder clears the
 * flags. The link stays: only this thread closes it, later. */
static void acknowledge_ahead(struct kolk__conn *conn)
{
	KOLK__IN_TURN(kolk__home(conn));
	if (!(kolk__load_relaxed(&conn->release_flags) & KOLK__SILENT))
		return;
	kolk__release_flags_add(conn, KOLK__ACKNOWLEDGED);
	kolk__link_acknowledge(conn->link);
}

void kolk__on_ready(void *connection)
{
	struct kolk__conn *conn = connection;
	struct kolk_key *key = kolk__own(&conn->key);
	struct kolk_pool *pool = kolk__own(&key->pool);
	struct kolk_engine *engine = key->engine;
	uint64_t now_ns = kolk__now(engine), dial_ns = now_ns - conn->dial_began_ns;
	bool probation = kolk__on_probation(key), recovered, closed;
	KOLK__EFFECTS(effects);

	KOLK__IN_TURN(kolk__home(conn));
	KOLK__STATE(conn, KOLK__IS_DIALING);
	KOLK__NO_LOCK();
	KOLK__PROBE(ready, key, conn);
	ready_fill(conn, probation, now_ns);
	kolk__dial_permit_return(conn);
	ready_record(conn, dial_ns);
	closed = !probation && kolk__health_dialled(pool, KOLK_OK, conn->trial, now_ns);
	kolk__key_lock(key, &effects, now_ns);
	key->dial_ewma_us = kolk__ewma(key->dial_ewma_us, dial_ns);
	recovered = ready_add(key, conn, probation);
	kolk__key_changed(key, &effects);
	/* If the circuit closed, other keys may dial again. */
	effects.todo |= KOLK__DISPATCH | KOLK__PERMITS | (closed ? KOLK__RETRY : 0);
	kolk__effects_settle(&effects);
	kolk__maintain_add(conn, now_ns);
	/* The key stays, because only this loop closes the connection. The event comes before the
	 * rest, which may take long, and before an event about its health from another loop. */
	if (recovered && kolk__event_wanted(engine, KOLK_EVENT_HEALTHY))
		kolk__notify(key, NULL, KOLK_EVENT_HEALTHY, 0);
	/* No caller has it yet, and a signalled waiter may still take another connection. If it is
	 * leased by now, its release does this (release.c). */
	if (kolk__conn_state(conn) == KOLK__IDLE)
		acknowledge_ahead(conn);
	kolk__effects_run(&effects);
}

/* The account was refused: it is not dialled again for a while. */
static void auth_back_off(struct kolk_key *key, uint64_t now_ns)
{
	bool again = key->failed != NULL && key->failed->failure.err == KOLK_E_AUTH;
	uint64_t ns = kolk__setting(kolk__own(&key->pool), auth_retry_ns);

	KOLK__HELD(&key->lock);
	if (!again) /* earlier failures were not of the account */
		key->failures = 0;
	for (uint32_t i = 0; i < key->failures && i < 4 && ns < KOLK_FOREVER / 2; i++)
		ns *= 2;
	key->failures++;
	key->retry_at_ns = ns < KOLK_FOREVER - now_ns ? now_ns + ns : KOLK_FOREVER;
	key->keep_warm = false; /* no refill: only the next caller after the back-off dials */
}

/* What a failed dial means for the key and its waiters: a time before which no other dial begins,
 * and an error for the first waiter, or for all if the account was refused. The permit of this dial
 * is returned (kolk__permits_freed), must_back_off (dial.c) arms an alarm, and the alarm dials. */
static void dial_failure_apply(struct kolk_key *key, enum kolk_err err, bool costs_waiter,
			       struct kolk__effects *effects)
{
	KOLK__HELD(&key->lock);
	if (kolk__own(&key->refuse_err) != KOLK_OK)
		return;
	if (err == KOLK_E_AUTH) {
		auth_back_off(key, effects->now_ns);
		kolk__key_fail_waiters(key, err, effects);
		return;
	}
	if (costs_waiter)
		(void)kolk__waiter_fail_first(key, err, effects);
	key->retry_at_ns = effects->now_ns +
			   kolk__back_off_ns(kolk__own(&key->pool), key->failures++);
}

static void keep_failure(struct kolk_key *key, const struct kolk_failure *failure, uint64_t now_ns)
{
	KOLK__HELD(&key->lock);
	if (key->failed == NULL)
		key->failed = kolk__allocate(key->engine, sizeof *key->failed);
	if (key->failed != NULL)
		*key->failed = (struct kolk__dial_failure){ .failure = *failure, .at_ns = now_ns };
}

bool kolk__dial_back_off(struct kolk_key *key, const struct kolk_failure *failure,
			 bool costs_waiter, struct kolk__effects *effects)
{
	bool first = key->failures == 0;

	KOLK__HELD(&key->lock);
	if (failure->err == KOLK_E_CANCELLED)
		return false;
	kolk__count_rare(key, KOLK__DIAL_FAILED);
	dial_failure_apply(key, failure->err, costs_waiter, effects);
	keep_failure(key, failure, effects->now_ns);
	return first && key->failures != 0;
}

void kolk__dial_unhealthy(struct kolk_key *key, const struct kolk_failure *failure)
{
	struct kolk_engine *engine = key->engine;

	KOLK__NO_LOCK();
	if (kolk__event_wanted(engine, KOLK_EVENT_UNHEALTHY))
		kolk__notify_failure(key, NULL, KOLK_EVENT_UNHEALTHY, failure);
	kolk__log(engine, KOLK_LOG_WARN, "dial", "pool %s: %s in %s%s%s: backing off",
		  kolk__own(&key->pool)->name, kolk_err_text(failure->err),
		  kolk_phase_name(failure->phase),
		  failure->detail != NULL ? ": " : "",
		  failure->detail != NULL ? failure->detail : "");
}

/* A cancelled dial was given up by a key that refused; the key may serve again by now. */
static enum kolk_reason failed_reason(const struct kolk_key *key, enum kolk_err err)
{
	if (err == KOLK_E_CANCELLED)
		return kolk__refused_reason((enum kolk_err)kolk__load_acquire(&key->refuse_err));
	return err == KOLK_E_DIAL_TIMEOUT ? KOLK_REASON_DIAL_TIMEOUT : KOLK_REASON_DIAL_FAILED;
}

/* The link is gone, and the connection with it. An abandoned dial is still closing: it is counted
 * when it is closed (ended.c). */
static void failed_end(struct kolk__conn *conn, struct kolk__effects *effects)
{
	struct kolk_key *key = kolk__own(&conn->key);

	KOLK__HELD(&key->lock);
	if (conn->abandoned) {
		kolk__conn_set(conn, KOLK__CLOSING);
		effects->todo |= KOLK__PERMITS; /* that of the dial */
		return;
	}
	kolk__count_destroyed(key, kolk__own(&conn->reason));
	kolk__conn_gone(conn, effects);
}

static void dial_failed(struct kolk__conn *conn, const struct kolk_failure *given)
{
	struct kolk_key *key = kolk__own(&conn->key);
	struct kolk_pool *pool = kolk__own(&key->pool);
	struct kolk_engine *engine = key->engine;
	struct kolk_failure failure = *given;
	uint64_t now_ns = kolk__now(engine);
	KOLK__EFFECTS(effects);
	bool first, closed;

	KOLK__IN_TURN(kolk__home(conn));
	KOLK__STATE(conn, KOLK__IS_DIALING);
	KOLK__NO_LOCK();
	KOLK__PROBE(failed, key, conn, failure.err);
	failure.size = (uint32_t)sizeof failure;
	failure.err_class = kolk_err_class(failure.err);
	kolk__store_relaxed(&conn->reason, (uint8_t)failed_reason(key, failure.err));
	conn->link = NULL;
	if (failure.err != KOLK_E_CANCELLED && kolk__event_wanted(engine, KOLK_EVENT_DIAL_FAILED))
		kolk__notify_failure(key, conn, KOLK_EVENT_DIAL_FAILED, &failure);

	closed = kolk__health_dialled(pool, failure.err, conn->trial, now_ns);
	kolk__key_lock(key, &effects, now_ns);
	kolk__own_sub(&key->dialing, 1);
	first = kolk__dial_back_off(key, &failure, true, &effects);
	if (first)
		kolk__key_ref(key);
	failed_end(conn, &effects);
	kolk__key_changed(key, &effects);
	effects.todo |= closed ? KOLK__RETRY : 0;
	kolk__effects_settle(&effects);
	if (first)
		kolk__dial_unhealthy(key, &failure);
	kolk__effects_run(&effects);
	if (first)
		kolk__key_unref(key);
}

void kolk__on_dial_failed(void *connection, const struct kolk_failure *failure)
{
	dial_failed(connection, failure);
}

void kolk__on_dial_abandoned(void *connection, const struct kolk_failure *failure)
{
	struct kolk__conn *conn = connection;

	KOLK__IN_TURN(kolk__home(conn));
	conn->abandoned = true;
	kolk__dial_permit_return(conn);
	dial_failed(conn, failure);
}

struct kolk_key *kolk__conn_key(void *connection)
{
	return kolk__own(&((struct kolk__conn *)connection)->key);
}

void kolk__on_pinged(void *connection, enum kolk_err err, enum kolk_reason reason)
{
	struct kolk__conn *conn = connection;
	struct kolk_key *key = kolk__own(&conn->key);
	struct kolk_engine *engine = key->engine;

	KOLK__IN_TURN(kolk__home(conn));
	KOLK__STATE(conn, KOLK__IS_PINGING);
	KOLK__NO_LOCK();
	kolk__store_relaxed(&conn->pinged_at_ns, kolk__now(engine));
	kolk__ping_ended(conn);
	if (err == KOLK_OK) {
		kolk__count_rare(key, KOLK__PINGS_OK);
		kolk__make_idle(conn);
		return;
	}
	if (!kolk__found_dead(reason)) /* otherwise the ping is not what failed */
		kolk__count_rare(key, KOLK__PINGS_FAILED);
	kolk__retire_checked(conn, reason);
}
