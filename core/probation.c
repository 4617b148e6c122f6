/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probation.c - connections that the peer closes early.
 *
 * With a peer that accepts and closes, every dial succeeds. So a connection that the peer ends
 * unused within KOLK__PROBATION_NS counts as a failed dial: back-off of its key, circuit of its
 * pool, statistics, event, log. From then on the key and the pool are on probation: a connection
 * that becomes ready is unproven, and its dial counts as neither good nor bad until
 *
 *   it serves a lease that does I/O, or is KOLK__PROBATION_NS old   the dial was good
 *   its holder says that it was answered (kolk_lease_served)        the dial was good
 *   its lifetime or its number of uses ends before that             the dial was good
 *   the peer ends it before that                                    the dial failed
 *   the pool ends it for another reason before that                 nothing is known
 *
 * A peer that restarts ends many connections at once, which is one event: an end counts only if the
 * dial began after the key's last failure, and for the pool only if it began after the last end
 * that counted. Otherwise each idle connection of a server that restarts in an instant would be a
 * failure, and the circuit would open. The first such end of a key costs none of its waiters an
 * error: they wait for the next dial.
 *
 * While a connection is unproven, its key dials no other (dial.c). unproven is written by the home
 * loop before the connection is idle and after it is closed, and under key.lock in between.
 */
#include "core/probation.h"
#include "core/event.h"
#include "core/conn_table.h"

#include "core/dial.h"
#include "core/effects.h"
#include "core/pool.h"

/* The error that stands for what the peer did if a connection ended for this reason; KOLK_OK = the
 * peer did nothing. */
static enum kolk_err err_of(enum kolk_reason reason)
{
	static const enum kolk_err errs[] = {
#define ERR(name, fault, err, text) KOLK_##err,
		KOLK_REASON_TABLE(ERR)
#undef ERR
	};

	return errs[reason];
}

static bool within_probation(const struct kolk__conn *conn, uint64_t now_ns)
{
	return now_ns - kolk__load_relaxed(&conn->ready_at_ns) < KOLK__PROBATION_NS;
}

bool kolk__closed_early(const struct kolk__conn *conn, enum kolk_reason reason, uint64_t now_ns)
{
	KOLK__IN_TURN(kolk__home(conn));
	return within_probation(conn, now_ns) && err_of(reason) != KOLK_OK &&
	       (kolk__load_relaxed(&conn->unproven) ||
		kolk__conn_uses(conn, kolk__conn_own_word(conn)) == 0);
}

/* The connection is no longer unproven; false = it was not, or another thread was first. Under
 * key.lock. */
static bool decide(struct kolk_key *key, struct kolk__conn *conn)
{
	KOLK__HELD(&key->lock);
	if (!kolk__load_relaxed(&conn->unproven))
		return false;
	kolk__store_relaxed(&conn->unproven, false);
	key->unproven--;
	return true;
}

/* ---- bad */

/* Is it a new event, and not part of the key's last failure? Under key.lock. */
static bool is_another(const struct kolk_key *key, const struct kolk__conn *conn)
{
	KOLK__HELD(&key->lock);
	return key->failed == NULL || conn->dial_began_ns >= key->failed->at_ns;
}

static void dial_failed(struct kolk__conn *conn, enum kolk_err err, uint64_t now_ns)
{
	struct kolk_key *key = kolk__own(&conn->key);
	struct kolk_engine *engine = key->engine;
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	KOLK__EFFECTS(effects);
	bool counts, again, first, trial;

	KOLK__NO_LOCK();
	failure.err = err;
	failure.err_class = kolk_err_class(err);
	failure.phase = KOLK_PHASE_READY;
	failure.elapsed_ns = now_ns - conn->dial_began_ns;
	kolk__key_lock(key, &effects, now_ns);
	trial = decide(key, conn) && conn->trial;
	counts = is_another(key, conn);
	again = kolk__load_relaxed(&key->probation);
	kolk__store_relaxed(&key->probation, true);
	first = counts && kolk__dial_back_off(key, &failure, again, &effects);
	kolk__key_unlock(&effects);
	if (counts && kolk__event_wanted(engine, KOLK_EVENT_DIAL_FAILED))
		kolk__notify_failure(key, conn, KOLK_EVENT_DIAL_FAILED, &failure);
	if (kolk__health_closed_early(kolk__own(&key->pool), conn->dial_began_ns, now_ns))
		(void)kolk__health_dialled(kolk__own(&key->pool), err, trial, now_ns);
	else
		kolk__health_not_dialled(kolk__own(&key->pool), trial);
	if (first)
		kolk__dial_unhealthy(key, &failure);
}

/* ---- good */

struct proof {
	bool proven, recovered, trial;
};

/* The key may dial others now. Under key.lock. */
static struct proof prove(struct kolk_key *key, struct kolk__conn *conn,
			  struct kolk__effects *effects)
{
	struct proof proof = { .proven = decide(key, conn) };

	KOLK__HELD(&key->lock);
	if (!proof.proven)
		return proof;
	proof.recovered = key->failures != 0;
	proof.trial = conn->trial;
	key->failures = 0;
	kolk__store_relaxed(&key->probation, false);
	effects->todo |= KOLK__PERMITS;
	return proof;
}

/* The effects are settled, but have not run. The caller keeps the key. */
static void finish(const struct proof *proof, struct kolk__effects *effects)
{
	struct kolk_key *key = effects->who.key;

	KOLK__NO_LOCK();
	if (proof->proven && kolk__health_dialled(effects->who.pool, KOLK_OK, proof->trial,
						  effects->now_ns))
		effects->todo |= KOLK__RETRY;
	if (proof->recovered && kolk__event_wanted(key->engine, KOLK_EVENT_HEALTHY))
		kolk__notify(key, NULL, KOLK_EVENT_HEALTHY, 0);
	kolk__effects_run(effects);
}

void kolk__probation_passed(struct kolk__conn *conn, uint64_t now_ns)
{
	struct kolk_key *key = kolk__own(&conn->key);
	KOLK__EFFECTS(effects);
	struct proof proof;

	KOLK__STATE(conn, KOLK__IS_BUSY | KOLK__IS_CLOSING);
	KOLK__NO_LOCK();
	kolk__key_lock(key, &effects, now_ns);
	proof = prove(key, conn, &effects);
	kolk__effects_settle(&effects);
	finish(&proof, &effects);
}

/* Is the connection open? Only its home loop judges one that is dialling or closing. */
static bool lives(const struct kolk__conn *conn)
{
	return kolk__is_ready(kolk__conn_state(conn));
}

void kolk__probation_check(struct kolk__conn *conn, struct kolk_key *key, uint64_t now_ns)
{
	KOLK__EFFECTS(effects);
	struct proof proof = { .proven = false };

	KOLK__NO_LOCK();
	kolk__key_lock(key, &effects, now_ns);
	if (kolk__conn_table_has(key, conn) && lives(conn) && !within_probation(conn, now_ns))
		proof = prove(key, conn, &effects);
	if (proof.proven)
		kolk__key_ref(key);
	kolk__effects_settle(&effects);
	finish(&proof, &effects);
	if (proof.proven)
		kolk__key_unref(key);
}

/* ---- a connection ended */

/* It lived as long as its pool lets any connection live. Unless this proves it, a circuit of such a
 * pool would stay open. */
static bool lived_its_life(const struct kolk__conn *conn)
{
	enum kolk_reason reason = (enum kolk_reason)kolk__own(&conn->reason);

	return reason == KOLK_REASON_LIFETIME || reason == KOLK_REASON_USES;
}

void kolk__probation_ended(struct kolk__conn *conn, uint64_t now_ns)
{
	struct kolk_key *key = kolk__own(&conn->key);
	bool unknown;

	KOLK__IN_TURN(kolk__home(conn));
	KOLK__STATE(conn, KOLK__IS_CLOSING);
	KOLK__NO_LOCK();
	if (kolk__closed_early(conn, kolk__own(&conn->reason), now_ns)) {
		dial_failed(conn, err_of(kolk__own(&conn->reason)), now_ns);
	} else if (!within_probation(conn, now_ns) || lived_its_life(conn)) {
		if (kolk__load_relaxed(&conn->unproven))
			kolk__probation_passed(conn, now_ns);
	} else if (kolk__load_relaxed(&conn->unproven)) {
		kolk__take_lock(key->engine, &key->lock);
		unknown = decide(key, conn);
		kolk__give_lock(key->engine, &key->lock);
		if (unknown)
			kolk__health_not_dialled(kolk__own(&key->pool), conn->trial);
	}
}
