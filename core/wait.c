/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wait.c - the queue of a key: which waiter is served, and when. See wait.h.
 */
#include "core/wait.h"

#include "core/base/container.h"
#include "core/effects.h"
#include "core/event.h"
#include "core/idle.h"
#include "core/idle_list.h"
#include "core/pool.h"
#include "core/refuse.h"
#include "core/release.h"

/* At most so many waiters are served, and connections given up, while the key's lock is held. */
enum { DISPATCH_MAX = 64 };

/* One more caller waits, in the queue or outside; false = there are as many as may wait. */
static bool count(struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;

	KOLK__HELD(&key->lock);
	if (kolk__waiting(key) >= kolk__setting(kolk__own(&key->pool), waiters_max))
		return false;
	if (kolk__add_acq_rel(&engine->waiting, 1) >= engine->waiters_max) {
		kolk__sub_acq_rel(&engine->waiting, 1);
		return false;
	}
	kolk__add_relaxed(&kolk__tenant_of(key)->waiting, 1);
	return true;
}

static void uncount(struct kolk_key *key)
{
	KOLK__HELD(&key->lock);
	kolk__sub_relaxed(&kolk__tenant_of(key)->waiting, 1);
	kolk__sub_acq_rel(&key->engine->waiting, 1);
}

static void unlink_waiter(struct kolk_key *key, struct kolk__waiter *waiter)
{
	KOLK__HELD(&key->lock);
	*(waiter->prev != NULL ? &waiter->prev->next : &key->first) = waiter->next;
	*(waiter->next != NULL ? &waiter->next->prev : &key->last) = waiter->prev;
	if (key->fail_last == waiter)
		key->fail_last = waiter->prev;
	waiter->next = waiter->prev = NULL;
	kolk__own_sub(&key->waiting, 1);
	uncount(key);
}

bool kolk__waiter_enqueue(struct kolk_key *key, struct kolk__waiter *waiter)
{
	KOLK__HELD(&key->lock);
	KOLK__ASSERT(kolk__own(&waiter->state) == KOLK__UNQUEUED ||
		     kolk__own(&waiter->state) == KOLK__COUNTED);
	if (kolk__own(&waiter->state) == KOLK__COUNTED)
		kolk__own_sub(&key->outside, 1);
	else if (!count(key))
		return false;
	if (key->first == NULL)
		kolk__store_relaxed(&key->queued_at_ns, waiter->enqueued_ns);
	waiter->prev = key->last;
	*(key->last != NULL ? &key->last->next : &key->first) = waiter;
	key->last = waiter;
	KOLK__PROBE(wait, key, waiter);
	kolk__own_add(&key->waiting, 1);
	kolk__store_relaxed(&waiter->state, KOLK__WAITING);
	kolk__add_relaxed(&kolk__key_counters(key)->waited, 1);
	return true;
}

/* The next waiter may be signalled, if this one was. */
static void dequeue(struct kolk_key *key, struct kolk__waiter *waiter)
{
	KOLK__HELD(&key->lock);
	KOLK__ASSERT(kolk__own(&waiter->state) == KOLK__WAITING ||
		     kolk__own(&waiter->state) == KOLK__SIGNALLED);
	if (kolk__own(&waiter->state) == KOLK__SIGNALLED)
		key->signalled = false;
	unlink_waiter(key, waiter);
}

void kolk__waiter_remove(struct kolk_key *key, struct kolk__waiter *waiter,
			 struct kolk__effects *effects)
{
	dequeue(key, waiter);
	effects->todo |= KOLK__DISPATCH | KOLK__UNUSED;
}

void kolk__waiter_expire(struct kolk_key *key, struct kolk__waiter *waiter,
			 struct kolk__effects *effects)
{
	KOLK__HELD(&key->lock);
	KOLK__PROBE(timeout, key, waiter);
	if (kolk__event_wanted(key->engine, KOLK_EVENT_WAITER_TIMED_OUT))
		kolk__key_ref(key); /* the waiter's may have been the last */
	kolk__count_timed_out(key);
	kolk__waiter_remove(key, waiter, effects);
	waiter->err = KOLK_E_TIMEOUT;
}

static void waiter_task(struct kolk__task *task)
{
	struct kolk__waiter *waiter = kolk__container_of(task, struct kolk__waiter, task);

	KOLK__IN_TURN(waiter->loop);
	KOLK__ASSERT(kolk__own(&waiter->state) == KOLK__FINISHED);
	kolk__done_add(waiter->loop, waiter);
}

/* The waiter has its result: let it know. The store is the last access to a blocking waiter: its
 * stack may be gone afterwards, and to wake a futex that is gone does no harm. */
static void finish(struct kolk__waiter *waiter, enum kolk_err err,
		   struct kolk__effects *effects)
{
	struct kolk_loop *loop = waiter->loop;

	KOLK__HELD(&waiter->key->lock);
	KOLK__ASSERT(kolk__own(&waiter->state) == KOLK__WAITING ||
		     kolk__own(&waiter->state) == KOLK__SIGNALLED);
	waiter->err = err;
	kolk__store_release(&waiter->state, KOLK__FINISHED); /* WAIT.R1 -> WAIT.A1 */
	if (loop != NULL)
		kolk__post(loop, &waiter->task, waiter_task);
	else
		kolk__effects_wake(effects, kolk__futex(&waiter->state), 1);
}

bool kolk__waiter_fail_first(struct kolk_key *key, enum kolk_err err,
			     struct kolk__effects *effects)
{
	struct kolk__waiter *waiter = key->first;

	KOLK__HELD(&key->lock);
	if (waiter == NULL)
		return false;
	kolk__count_refused(key, err);
	kolk__waiter_remove(key, waiter, effects);
	finish(waiter, err, effects);
	return true;
}

static void hand_over(struct kolk_key *key, struct kolk__waiter *waiter,
		      struct kolk__conn *conn, struct kolk__effects *effects)
{
	uint64_t lease_word = kolk__conn_own_word(conn); /* under the lock it is not revoked */

	KOLK__HELD(&key->lock);
	KOLK__STATE(conn, KOLK__IS_LEASED);
	KOLK__PROBE(handover, key, waiter, conn);
	dequeue(key, waiter);
	/* This waiter may have queued later: another connection may have served the one that waited
	 * when this connection became ready. */
	conn->waited_for = waiter->enqueued_ns <= kolk__own(&conn->ready_at_ns);
	kolk__lease_fill(conn, lease_word, effects->now_ns, &waiter->lease);
	kolk__add_relaxed(&kolk__key_counters(key)->handed_over, 1);
	if (waiter == effects->self) { /* the calling thread: no task, no wake */
		waiter->err = KOLK_OK;
		kolk__store_relaxed(&waiter->state, KOLK__FINISHED);
	} else {
		finish(waiter, KOLK_OK, effects);
	}
}

static void signal_first(struct kolk_key *key, struct kolk__effects *effects)
{
	struct kolk__waiter *waiter = key->first;

	KOLK__HELD(&key->lock);
	KOLK__ASSERT(kolk__own(&waiter->state) == KOLK__WAITING);
	key->signalled = true;
	kolk__store_release(&waiter->state, KOLK__SIGNALLED); /* the waiter then takes the lock */
	kolk__effects_wake(effects, kolk__futex(&waiter->state), 1);
}

/* Why this key must give up a connection: it refuses, a limit was lowered, or one is to be
 * reclaimed. */
static enum kolk_reason excess_reason(const struct kolk_key *key)
{
	KOLK__HELD(&key->lock);
	if (kolk__own(&key->refuse_err) != KOLK_OK)
		return kolk__refused_reason((enum kolk_err)kolk__own(&key->refuse_err));
	if (kolk__over_limit(key))
		return KOLK_REASON_SHRUNK;
	return kolk__reclaim_due(key) ? KOLK_REASON_SHARE : KOLK_REASON_NONE;
}

/* A key with waiters gives up only a connection that has been leased since it was dialled, so that
 * each granted permit serves a caller. False = there may be more to give up. */
static bool trim_excess(struct kolk_key *key)
{
	enum kolk_reason reason;
	struct kolk__conn *conn;
	uint64_t word;

	KOLK__HELD(&key->lock);
	for (uint32_t i = 0; i < DISPATCH_MAX; i++) {
		reason = excess_reason(key);
		if (reason == KOLK_REASON_NONE)
			return true;
		if (reason == KOLK_REASON_SHARE && key->first != NULL)
			conn = kolk__take_used(key);
		else if ((conn = kolk__take_idle(key, KOLK__TAKEN, &word)) == NULL)
			return !kolk__may_have_idle(key);
		if (conn == NULL)
			return true;
		if (reason != KOLK_REASON_SHARE) {
			kolk__conn_set(conn, KOLK__CLOSING);
		} else if (!kolk__reclaim_conn(conn)) {
			kolk__post_idle(conn);
			return true;
		}
		if (reason == KOLK_REASON_SHRUNK)
			kolk__shrink(conn);
		kolk__retire(conn, reason);
	}
	return false;
}

static bool is_due(const struct kolk_key *key, const struct kolk__waiter *waiter,
		   uint64_t now_ns)
{
	uint64_t waited_ns = now_ns > waiter->enqueued_ns ? now_ns - waiter->enqueued_ns : 0;

	return waiter->loop != NULL ||
	       waited_ns >= kolk__setting(kolk__own(&key->pool), overtake_max_ns);
}

/* The gate's value for the present queue and idle connections. */
static uint64_t gate_of(const struct kolk_key *key, uint64_t now_ns)
{
	KOLK__HELD(&key->lock);
	if (excess_reason(key) != KOLK_REASON_NONE)
		return KOLK__GATE_STOP;
	if (key->first == NULL)
		return KOLK__GATE_OPEN;
	if (!key->signalled || is_due(key, key->first, now_ns))
		return KOLK__GATE_STOP;
	return key->first->enqueued_ns + kolk__setting(kolk__own(&key->pool), overtake_max_ns);
}

void kolk__dispatch_waiters(struct kolk_key *key, struct kolk__effects *effects)
{
	uint64_t now_ns = effects->now_ns;
	struct kolk__waiter *waiter;
	struct kolk__conn *conn;
	uint64_t lease_word;
	uint32_t left = DISPATCH_MAX;
	bool all;

	KOLK__HELD(&key->lock);
	effects->todo &= ~(uint32_t)KOLK__DISPATCH;
	/* SC1: close the gate, then take tokens: a release whose token is missed sees the gate. */
	kolk__store_sc(&key->gate, KOLK__GATE_STOP);
	kolk__fence_sc();
	all = trim_excess(key);
	while (kolk__own(&key->refuse_err) == KOLK_OK && (waiter = key->first) != NULL &&
	       left-- > 0) {
		if (waiter == effects->self || is_due(key, waiter, now_ns)) {
			conn = kolk__take_idle(key, KOLK__LEASED, &lease_word);
			all = all && (conn != NULL || !kolk__may_have_idle(key));
			if (conn == NULL)
				break;
			hand_over(key, waiter, conn, effects);
			continue;
		}
		if (!key->signalled && kolk__has_idle(key))
			signal_first(key, effects);
		break;
	}
	/* A signalled waiter is the first until it leaves or is served. */
	KOLK__ASSERT(!key->signalled || (key->first != NULL &&
					 kolk__own(&key->first->state) == KOLK__SIGNALLED));
	kolk__store_sc(&key->gate, gate_of(key, now_ns));
	if (!all || left == UINT32_MAX) /* go on soon */
		kolk__alarm_arm(key->engine, &key->alarm, now_ns);
}

/* ---- waiters outside of the queue, for what a driver does with another caller's connection */

enum kolk_err kolk_waiter_add(struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;
	enum kolk_err err;

	if (kolk__is_child(engine))
		return KOLK_E_FORKED;
	KOLK__NO_LOCK();
	kolk__take_lock(engine, &key->lock);
	err = (enum kolk_err)kolk__own(&key->refuse_err);
	if (err == KOLK_OK && !count(key))
		err = KOLK_E_QUEUE_FULL;
	if (err == KOLK_OK)
		kolk__own_add(&key->outside, 1);
	else
		kolk__count_refused(key, err);
	kolk__give_lock(engine, &key->lock);
	return err;
}

void kolk_waiter_remove(struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;

	if (kolk__is_child(engine))
		return;
	KOLK__NO_LOCK();
	kolk__take_lock(engine, &key->lock);
	kolk__own_sub(&key->outside, 1);
	uncount(key);
	kolk__give_lock(engine, &key->lock);
	kolk__key_free_if_unused(key);
}
