/* SPDX-License-Identifier: Apache-2.0 */
/*
 * miss.c - an acquire that a hit did not serve: refuse, dial, or wait, blocking or with a callback.
 * It may still get an idle connection: spin() looks for a moment, miss_locked() under the lock, and
 * a waiter is handed one by kolk__dispatch_waiters() (wait.c).
 */
#include "core/acquire.h"
#include "core/dial.h"
#include "core/effects.h"
#include "core/event.h"
#include "core/idle.h"
#include "core/idle_list.h"
#include "core/pool.h"
#include "core/refuse.h"
#include "core/release.h"
#include "core/wait.h"

/* ---- refuse, serve or enqueue */

uint64_t kolk__wait_ns(const struct kolk_key *key)
{
	uint64_t lease_ns = kolk__load_relaxed(&key->lease_ewma_us) * KOLK_US_NS;
	uint64_t dial_ns = key->dial_ewma_us * KOLK_US_NS;
	uint32_t leased = kolk__own(&key->open) - kolk__own(&key->dialing);
	uint64_t back_ns = leased != 0 ? lease_ns * (kolk__own(&key->waiting) + 1) / leased : 0;

	KOLK__HELD(&key->lock);
	if (kolk__own(&key->open) >= kolk__setting(kolk__own(&key->pool), connections_max))
		return back_ns;
	return back_ns != 0 && back_ns < dial_ns ? back_ns : dial_ns;
}

/* The estimate is an average of few values: a caller is refused only if it has less than half of
 * that time. */
static bool is_hopeless(const struct kolk_key *key, uint64_t deadline_ns, uint64_t now_ns)
{
	return !kolk__setting(kolk__own(&key->pool), hopeless_waits) &&
	       kolk__wait_ns(key) / 2 > deadline_ns - now_ns;
}

/* No connection is open or being dialled, and no dial begins before the deadline. */
static bool backs_off_beyond(const struct kolk_key *key, uint64_t deadline_ns, uint64_t now_ns)
{
	KOLK__HELD(&key->lock);
	return kolk__own(&key->open) == 0 && key->failures > 0 && key->failed != NULL &&
	       now_ns < key->retry_at_ns && deadline_ns < key->retry_at_ns &&
	       !kolk__setting(kolk__own(&key->pool), hopeless_waits);
}

/* The error of the last dial. One that says "try again at once" (E_CLOSED) is E_DEADLINE instead,
 * because no dial would begin. */
static enum kolk_err back_off_cause(const struct kolk_key *key)
{
	enum kolk_err err = key->failed->failure.err;

	KOLK__HELD(&key->lock);
	return kolk_err_class(err) != KOLK_CLASS_RETRY ? err : KOLK_E_DEADLINE;
}

/* The error for a caller that would wait in vain; KOLK_OK = it may wait. */
static enum kolk_err refuse(const struct kolk_key *key, const struct kolk__waiter *waiter,
			    uint64_t now_ns)
{
	bool nothing = kolk__own(&key->open) == kolk__own(&key->dialing);

	KOLK__HELD(&key->lock);
	if (nothing && key->failures > 0 && now_ns < key->retry_at_ns && key->failed != NULL &&
	    key->failed->failure.err == KOLK_E_AUTH)
		return KOLK_E_AUTH; /* do not hammer the account */
	if (nothing && kolk__health_refuses(kolk__own(&key->pool), now_ns))
		return KOLK_E_CIRCUIT;
	if (backs_off_beyond(key, waiter->deadline.due_ns, now_ns))
		return back_off_cause(key);
	return is_hopeless(key, waiter->deadline.due_ns, now_ns) ? KOLK_E_DEADLINE : KOLK_OK;
}

/* Refuse, serve an idle connection, or enqueue: the one place that decides, under key.lock.
 * KOLK_PENDING = enqueued. waiter NULL = a try, which is never enqueued. */
static enum kolk_err miss_locked(struct kolk_key *key, struct kolk__waiter *waiter,
				 struct kolk_lease *lease, struct kolk__effects *effects)
{
	uint64_t now_ns = effects->now_ns;
	struct kolk__conn *conn;
	uint64_t lease_word;
	enum kolk_err err;

	KOLK__HELD(&key->lock);
	/* idle_min is kept for keys with handles, not for those that are looked up each time. */
	key->keep_warm = key->keep_warm || kolk__load_relaxed(&key->handles) > 0;
	if (kolk__own(&key->refuse_err) != KOLK_OK)
		return (enum kolk_err)kolk__own(&key->refuse_err);
	if (key->first == NULL) {
		conn = kolk__take_idle(key, KOLK__LEASED, &lease_word);
		if (conn != NULL) {
			kolk__lease_fill(conn, lease_word, now_ns, lease);
			return KOLK_OK;
		}
	}
	err = waiter != NULL ? refuse(key, waiter, now_ns) : KOLK_E_EMPTY;
	if (err == KOLK_E_EMPTY || err == KOLK_E_DEADLINE) {
		/* A dial takes too long for this caller, but not for later ones. */
		effects->tries = 1;
		effects->todo |= KOLK__DIAL;
	}
	if (err != KOLK_OK)
		return err;
	if (!kolk__waiter_enqueue(key, waiter))
		return KOLK_E_QUEUE_FULL;
	effects->self = waiter;
	kolk__dispatch_waiters(key, effects);
	if (kolk__own(&waiter->state) == KOLK__FINISHED) {
		*lease = waiter->lease;
		return (enum kolk_err)waiter->err;
	}
	effects->todo |= KOLK__DIAL;
	return KOLK_PENDING;
}

uint64_t kolk_key_wait_ns(struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;
	uint64_t ns;

	if (kolk__is_child(engine))
		return 0;
	kolk__take_lock(engine, &key->lock);
	ns = kolk__has_idle(key) ? 0 : kolk__wait_ns(key);
	kolk__give_lock(engine, &key->lock);
	return ns;
}

static enum kolk_err miss(struct kolk_key *key, struct kolk__waiter *waiter,
			  struct kolk_lease *lease, uint64_t now_ns)
{
	struct kolk_engine *engine = key->engine;
	KOLK__EFFECTS(effects);
	enum kolk_err err;

	KOLK__NO_LOCK();
	kolk__key_lock(key, &effects, now_ns);
	err = miss_locked(key, waiter, lease, &effects);
	if (err != KOLK_OK && err != KOLK_PENDING && err != KOLK_E_EMPTY)
		kolk__count_refused(key, err);
	kolk__key_unlock(&effects);
	if (err == KOLK_OK && key->notify_acquired)
		kolk__notify(key, lease->connection, KOLK_EVENT_ACQUIRED, 0);
	if (err == KOLK_PENDING && kolk__event_wanted(engine, KOLK_EVENT_WAITER_QUEUED))
		kolk__notify(key, NULL, KOLK_EVENT_WAITER_QUEUED, 0);
	return err;
}

KOLK_COLD enum kolk_err kolk__try_slow(struct kolk_key *key, struct kolk_lease *lease, bool taken)
{
	enum kolk_err err = kolk__hit_slow(key, lease, taken);

	if (err == KOLK_E_EMPTY)
		err = miss(key, NULL, lease, kolk__now(key->engine));
	if (err != KOLK_OK)
		*lease = (struct kolk_lease){ 0 };
	return err;
}

/* ---- blocking */

/* 1 to 3 us: less than it costs to sleep and to be woken. */
#define SPIN_NS (3 * KOLK_US_NS)
enum { SPINS = 64 };

/* May a caller look once more? Not when its deadline has passed. */
static bool spin_on(struct kolk_key *key, uint32_t spins, uint64_t until_ns)
{
	kolk__pause();
	return spins < SPINS && kolk__now(key->engine) < until_ns;
}

static uint64_t spin_until(struct kolk_key *key, uint64_t deadline_ns)
{
	uint64_t until_ns = kolk__now(key->engine) + SPIN_NS;

	return until_ns < deadline_ns ? until_ns : deadline_ns;
}

/* A signalled waiter that was overtaken checks again after this time until it is due, so releases
 * meanwhile need not wake it, with a system call each. */
#define RECHECK_NS (50 * KOLK_US_NS)

/* Wait a moment for a connection that is released right now. Waiters come first: the gate. */
static bool spin(struct kolk_key *key, uint64_t deadline_ns, struct kolk_lease *lease)
{
	uint64_t until_ns = spin_until(key, deadline_ns);

	for (uint32_t i = 0; spin_on(key, i, until_ns); i++)
		if (kolk__hit_slow(key, lease, false) == KOLK_OK)
			return true;
	return false;
}

/* A signalled waiter checks for itself. Return whether it is finished. */
static bool recheck(struct kolk_key *key, struct kolk__waiter *waiter)
{
	uint64_t until_ns = spin_until(key, waiter->deadline.due_ns);
	KOLK__EFFECTS(effects);
	bool over;

	KOLK__NO_LOCK();
	for (uint32_t i = 0; !kolk__may_have_idle(key) && spin_on(key, i, until_ns); i++)
		;
	kolk__key_lock(key, &effects, kolk__now(key->engine));
	effects.self = waiter;
	if (kolk__own(&waiter->state) == KOLK__SIGNALLED)
		kolk__dispatch_waiters(key, &effects);
	over = kolk__own(&waiter->state) == KOLK__FINISHED;
	kolk__key_unlock(&effects);
	return over;
}

/* The deadline has passed: leave the queue, unless there is a result already. An idle connection is
 * one, if the waiter was signalled and its process was stopped before it could check. */
static void give_up(struct kolk_key *key, struct kolk__waiter *waiter)
{
	struct kolk_engine *engine = key->engine;
	KOLK__EFFECTS(effects);
	bool late;

	KOLK__NO_LOCK();
	kolk__key_lock(key, &effects, kolk__now(engine));
	effects.self = waiter;
	if (kolk__own(&waiter->state) == KOLK__SIGNALLED)
		kolk__dispatch_waiters(key, &effects);
	late = kolk__own(&waiter->state) != KOLK__FINISHED;
	if (late)
		kolk__waiter_expire(key, waiter, &effects);
	kolk__key_unlock(&effects);
	if (late)
		kolk__waiter_expired(key, waiter, effects.now_ns);
}

static enum kolk_err wait_blocking(struct kolk_key *key, uint64_t deadline_ns,
				   struct kolk__waiter *waiter, struct kolk_lease *lease)
{
	const struct kolk_sys *sys = key->engine->sys;
	uint32_t state;

	KOLK__NO_LOCK();
	/* WAIT.A1 <- WAIT.R1 */
	while ((state = kolk__load_acquire(&waiter->state)) != KOLK__FINISHED) {
		uint64_t until_ns = deadline_ns;

		if (state == KOLK__SIGNALLED) {
			if (recheck(key, waiter))
				break;
			until_ns = kolk__now(key->engine) + RECHECK_NS;
			until_ns = until_ns < deadline_ns ? until_ns : deadline_ns;
		}
		if (!sys->wait(sys->context, kolk__futex(&waiter->state), state, until_ns) &&
		    until_ns == deadline_ns) {
			give_up(key, waiter);
			break;
		}
	}
	if (waiter->err != KOLK_OK)
		return (enum kolk_err)waiter->err;
	*lease = waiter->lease;
	kolk__key_record(key, KOLK__WAIT_TIME,
			 kolk__now(key->engine) - waiter->enqueued_ns);
	if (key->notify_acquired)
		kolk__notify(key, lease->connection, KOLK_EVENT_ACQUIRED, 0);
	return KOLK_OK;
}

KOLK_COLD enum kolk_err kolk__acquire_slow(struct kolk_key *key, uint64_t deadline_ns,
					   struct kolk_lease *lease, bool taken)
{
	struct kolk__waiter waiter = { .key = key };
	enum kolk_err err = kolk__hit_slow(key, lease, taken);
	uint64_t now_ns;

	KOLK__NO_LOCK();
	if (err == KOLK_OK)
		return KOLK_OK;
	*lease = (struct kolk_lease){ 0 };
	if (err != KOLK_E_EMPTY)
		return err;
	if (kolk__on_loop(key->engine))
		return KOLK_E_THREAD; /* it would wait for itself */
	now_ns = kolk__now(key->engine);
	if (deadline_ns == 0)
		deadline_ns = now_ns + kolk__setting(kolk__own(&key->pool), acquire_timeout_ns);
	if (deadline_ns <= now_ns)
		return KOLK_E_TIMEOUT;
	if (spin(key, deadline_ns, lease))
		return KOLK_OK;
	now_ns = kolk__now(key->engine);
	waiter.enqueued_ns = now_ns;
	waiter.deadline.due_ns = deadline_ns;
	err = deadline_ns > now_ns ? miss(key, &waiter, lease, now_ns) : KOLK_E_TIMEOUT;
	return err == KOLK_PENDING ? wait_blocking(key, deadline_ns, &waiter, lease) : err;
}

/* ---- asynchronous */

enum kolk_err kolk__wait_async(struct kolk__waiter *waiter)
{
	struct kolk_key *key = waiter->key;
	struct kolk_loop *loop = waiter->loop;
	uint64_t now_ns = kolk__now(key->engine), deadline_ns = waiter->deadline.due_ns;
	enum kolk_err err = KOLK_E_TIMEOUT;

	KOLK__OWNER(loop);
	KOLK__NO_LOCK();
	if (deadline_ns == 0)
		deadline_ns = now_ns + kolk__setting(kolk__own(&key->pool), acquire_timeout_ns);
	waiter->enqueued_ns = now_ns;
	waiter->deadline.due_ns = deadline_ns;
	if (deadline_ns > now_ns)
		err = miss(key, waiter, &waiter->lease, now_ns);
	if (err != KOLK_PENDING)
		waiter->loop = NULL;
	else if (deadline_ns != KOLK_FOREVER)
		kolk__heap_push(&loop->deadlines, &waiter->deadline, deadline_ns);
	return err;
}

enum kolk_err kolk_acquire_cancel(struct kolk_acquire *acquire)
{
	struct kolk__waiter *waiter = kolk__waiter_of(acquire);
	struct kolk_loop *loop = waiter->loop;
	struct kolk_key *key = waiter->key;
	KOLK__EFFECTS(effects);
	bool queued;

	if (loop == NULL)
		return KOLK_E_NOT_FOUND;
	if (!kolk__is_owner(loop))
		return KOLK_E_THREAD;
	kolk__key_lock(key, &effects, kolk__now(key->engine));
	queued = kolk__own(&waiter->state) == KOLK__WAITING;
	if (queued)
		kolk__waiter_remove(key, waiter, &effects);
	/* A waiter that has an error already is counted under that error, and its key may be gone. */
	if (queued || waiter->err == KOLK_OK)
		kolk__count_rare(key, KOLK__CANCELLED);
	kolk__key_unlock(&effects);
	if (kolk__timer_is_armed(&waiter->deadline))
		kolk__heap_remove(&loop->deadlines, &waiter->deadline);
	if (!queued) {
		if (kolk__own(&waiter->state) == KOLK__DELIVERED)
			kolk__done_remove(loop, waiter);
		else
			kolk__task_cancel(loop, &waiter->task);
		if (waiter->err == KOLK_OK)
			(void)kolk_release(&waiter->lease);
	}
	waiter->loop = NULL;
	return KOLK_OK;
}

bool kolk_acquire_waits_for_lease(const struct kolk_acquire *acquire)
{
	const struct kolk__waiter *waiter = (const struct kolk__waiter *)(const void *)acquire;
	struct kolk_key *key = waiter->key;
	bool waits;

	if (waiter->loop == NULL || !kolk__is_owner(waiter->loop))
		return false;
	kolk__take_lock(key->engine, &key->lock);
	waits = kolk__own(&waiter->state) == KOLK__WAITING && kolk__waits_for_leases(key);
	kolk__give_lock(key->engine, &key->lock);
	return waits;
}

void kolk__waiter_expired(struct kolk_key *key, const struct kolk__waiter *waiter,
			  uint64_t now_ns)
{
	struct kolk_engine *engine = key->engine;

	KOLK__NO_LOCK();
	if (!kolk__event_wanted(engine, KOLK_EVENT_WAITER_TIMED_OUT))
		return;
	kolk__notify(key, NULL, KOLK_EVENT_WAITER_TIMED_OUT, now_ns - waiter->enqueued_ns);
	kolk__key_unref(key);
}
