/* SPDX-License-Identifier: Apache-2.0 */
/*
 * release.c - the return desk: back to the shelf, to a waiter, or to be closed. The first
 * function is the hot one.
 */
#include "core/release.h"

#include "core/base/assert.h"
#include "core/effects.h"
#include "core/recent.h"
#include "core/wait.h"
#include "core/young.h"

static KOLK_COLD enum kolk_err release_odd(struct kolk_lease *lease,
					   enum kolk_reason reason);
static KOLK_COLD enum kolk_err release_long(struct kolk_lease *lease,
					    enum kolk_reason reason);
static KOLK_COLD enum kolk_err look(struct kolk_key *key, struct kolk__conn *conn,
				    uint64_t word);

enum kolk_err kolk_release(struct kolk_lease *lease)
{
	struct kolk__conn *conn = lease->connection;
	uint64_t ticket = lease->ticket;
	uint64_t word = ticket;
	struct kolk_key *key;
	uint64_t now_ns, key_id;
	uint32_t position;

	KOLK__PROBE(release, conn, ticket);
	if (KOLK_UNLIKELY(conn == NULL))
		return KOLK_E_LEASE_STALE;
	now_ns = kolk__load_relaxed(conn->clock);
	if (KOLK_UNLIKELY(now_ns == 0 || kolk__load_relaxed(&conn->attention) != 0 ||
			  now_ns >= kolk__load_relaxed(&conn->retire_at_ns)))
		return release_long(lease, KOLK_REASON_NONE);
	key = kolk__load_relaxed(&conn->key);
	key_id = kolk__load_relaxed(&key->id);
	position = kolk__load_relaxed(&conn->position);
	/* Before we know that the lease is good: a stale one makes the connection look a little
	 * fresher than it is, and a look at the word first would cost 0.9 of 6 ns. */
	kolk__store_relaxed(&conn->idle_since_ns, now_ns);
	if (KOLK_UNLIKELY(!kolk__conn_give(conn, &word))) /* STATE.R1, SC1, SC2 */
		return release_odd(lease, KOLK_REASON_ABANDONED);
	/* From here on the connection is no longer ours; key is type-stable. */
	if (KOLK_UNLIKELY(kolk__recent_set(key, key_id, conn)))
		kolk__low_set(key, position);
	if (KOLK_UNLIKELY(kolk__load_sc(&key->gate) != KOLK__GATE_OPEN ||
			  kolk__load_sc(&conn->retire_reason) != 0))
		return look(key, conn, kolk__word_with(ticket, KOLK__IDLE));
	return KOLK_OK;
}

enum kolk_err kolk__misuse(struct kolk_engine *engine, enum kolk_err err)
{
	kolk__add_relaxed(&engine->misuse, 1);
	return err;
}

/* ---- after the connection lies on the shelf */

/* Did it hang up while it was leased, does somebody wait? Both may be stale looks at a
 * recycled slot or key: the first is settled by a compare-and-swap on the very word that we
 * shelved, the second under the lock. */
static enum kolk_err look(struct kolk_key *key, struct kolk__conn *conn, uint64_t word)
{
	struct kolk_engine *engine = key->engine;
	uint8_t reason = kolk__load_sc(&conn->retire_reason);
	uint64_t gate = kolk__load_sc(&key->gate);
	KOLK__EFFECTS(effects);
	uint64_t now_ns;

	KOLK__NO_LOCK();
	if (reason != 0 && kolk__conn_leave(conn, word, KOLK__CLOSING))
		kolk__retire(conn, (enum kolk_reason)reason);
	if (gate == KOLK__GATE_OPEN)
		return KOLK_OK;
	now_ns = kolk__now(engine);
	if (now_ns < gate) /* who waits was signalled and may still be overtaken */
		return KOLK_OK;
	kolk__key_lock(key, &effects, now_ns);
	effects.todo |= KOLK__SERVE;
	kolk__key_unlock(&effects);
	return KOLK_OK;
}

void kolk__park(struct kolk__conn *conn)
{
	struct kolk_key *key = kolk__own(&conn->key);
	uint64_t word = kolk__word_with(kolk__conn_own_word(conn), KOLK__IDLE);
	uint32_t position = kolk__own(&conn->position);

	KOLK__STATE(conn, KOLK__IS_BUSY | KOLK__IS_PINGING | KOLK__IS_RESETTING | KOLK__IS_TAKEN);
	KOLK__NO_LOCK();
	kolk__conn_set(conn, KOLK__IDLE);
	kolk__low_set(key, position);
	if (kolk__load_sc(&key->gate) != KOLK__GATE_OPEN ||
	    kolk__load_sc(&conn->retire_reason) != 0)
		look(key, conn, word);
}

/* ---- the long way: prove it clean, or close it */

/* The reason why a held connection must not be leased again; NONE = it is fine, or will be when
 * it is mended. */
static enum kolk_reason unfit(struct kolk__conn *conn, uint64_t now_ns, bool *mend)
{
	const struct kolk_pool *pool = kolk__pool_of(conn);
	enum kolk_reason reason = KOLK_REASON_NONE;
	enum kolk_err err = KOLK_OK;

	KOLK__STATE(conn, KOLK__IS_BUSY);
	if (kolk__own(&conn->attention) & KOLK__TOUCHED || kolk__load_relaxed(&pool->must_reset))
		err = kolk__link_clean(conn->link, kolk__is_owner(kolk__own(&conn->home)), &reason);
	*mend = err == KOLK_PENDING;
	if (err != KOLK_OK && err != KOLK_PENDING)
		return reason;
	reason = (enum kolk_reason)kolk__load_acquire(&conn->retire_reason);
	if (reason != KOLK_REASON_NONE)
		return reason;
	if (now_ns >= kolk__own(&conn->retire_at_ns))
		return KOLK_REASON_LIFETIME;
	if (kolk__conn_uses(conn, kolk__conn_own_word(conn)) >= kolk__setting(pool, uses_max))
		return KOLK_REASON_USES;
	return KOLK_REASON_NONE;
}

/* The time of a lease that was clocked at both ends. The key's histogram allocates as it grows:
 * it gets only leases that did I/O. */
static void record_lease(struct kolk__conn *conn, uint64_t now_ns)
{
	struct kolk_key *key = kolk__own(&conn->key);
	bool touched = (kolk__own(&conn->attention) & KOLK__TOUCHED) != 0;
	struct kolk__hists *hists = touched ? kolk__key_hists(key) : NULL;
	uint64_t ns = now_ns - kolk__own(&conn->leased_at_ns);

	if (now_ns < kolk__own(&conn->leased_at_ns))
		return;
	kolk__hist_record(key->engine->sys, &kolk__own(&key->pool)->hists.lease, ns);
	if (hists != NULL)
		kolk__hist_record(key->engine->sys, &hists->lease, ns);
	kolk__store_relaxed(&key->lease_avg_us,
			    kolk__average(kolk__load_relaxed(&key->lease_avg_us), ns));
}

/* A moving average over some eight: did it come back, or was it closed? */
static void record_return(struct kolk_key *key, bool came_back)
{
	uint8_t back = kolk__load_relaxed(&key->back);

	kolk__store_relaxed(&key->back, (uint8_t)(came_back ? back + (UINT8_MAX - back + 7) / 8 :
							      back - (back + 7) / 8));
}

/* ---- mending: at home, with nobody waiting for it but the next caller */

static void mend_letter(struct kolk__note *note)
{
	struct kolk__conn *conn = kolk__conn_of_note(note);

	KOLK__IN_TURN(kolk__own(&conn->home));
	KOLK__STATE(conn, KOLK__IS_RESETTING);
	kolk__link_reset(conn->link);
}

void kolk__mended(void *connection, enum kolk_reason reason)
{
	struct kolk__conn *conn = connection;
	struct kolk__counters *counters = kolk__key_counters(kolk__own(&conn->key));

	KOLK__IN_TURN(kolk__own(&conn->home));
	KOLK__STATE(conn, KOLK__IS_PINGING | KOLK__IS_RESETTING);
	KOLK__NO_LOCK();
	if (kolk__state_of(kolk__conn_own_word(conn)) == KOLK__RESETTING)
		kolk__add_relaxed(reason == KOLK_REASON_NONE ? &counters->mends_ok :
							       &counters->mends_failed, 1);
	if (reason == KOLK_REASON_NONE) {
		kolk__park(conn);
		return;
	}
	if (reason == KOLK_REASON_PEER_DATA || reason == KOLK_REASON_PEER_CLOSED ||
	    reason == KOLK_REASON_PEER_RESET)
		kolk__conn_condemn(conn, reason); /* counts it as found dead */
	kolk__conn_set(conn, KOLK__CLOSING);
	kolk__retire(conn, reason);
}

void kolk__lease_over(struct kolk__conn *conn, enum kolk_reason reason, uint64_t now_ns)
{
	struct kolk_key *key = kolk__own(&conn->key);
	uint8_t always = kolk__own(&conn->attention) & KOLK__ALWAYS;
	bool mend = false;

	KOLK__STATE(conn, KOLK__IS_BUSY);
	KOLK__NO_LOCK();
	if (kolk__own(&conn->attention) & (KOLK__TIMED | KOLK__TOUCHED))
		record_lease(conn, now_ns);
	if (kolk__own(&conn->attention) & KOLK__TAGGED) {
		kolk__store_relaxed(&conn->tag, 0);
		kolk__store_relaxed(&conn->pinned, 0);
	}
	if (reason == KOLK_REASON_NONE)
		reason = unfit(conn, now_ns, &mend);
	if (KOLK_UNLIKELY(kolk__load_relaxed(&conn->unproven)) && reason == KOLK_REASON_NONE &&
	    kolk__own(&conn->attention) & KOLK__TOUCHED)
		kolk__young_served(conn, now_ns);
	kolk__store_relaxed(&conn->attention, always);
	if (key->listens_released)
		kolk__tell(key->engine, KOLK_EVENT_RELEASED, key, conn, 0);
	record_return(key, reason == KOLK_REASON_NONE);
	if (reason != KOLK_REASON_NONE) {
		kolk__conn_set(conn, KOLK__CLOSING);
		kolk__retire(conn, reason);
		return;
	}
	kolk__store_relaxed(&conn->idle_since_ns, now_ns);
	if (mend) {
		kolk__conn_set(conn, KOLK__RESETTING);
		kolk__post(kolk__own(&conn->home), &conn->note, mend_letter);
		return;
	}
	(void)kolk__recent_set(key, kolk__own(&key->id), conn);
	kolk__park(conn);
}

/* Anything but the plain case: make the lease BUSY first, so that a second
 * release of it at the same moment finds it stale. */
static enum kolk_err release_long(struct kolk_lease *lease, enum kolk_reason reason)
{
	struct kolk__conn *conn = lease->connection;
	struct kolk_engine *engine = kolk__load_relaxed(&conn->key)->engine;
	uint64_t ticket = lease->ticket;

	if (kolk__is_child(engine))
		return KOLK_E_FORKED;
	if (!kolk__conn_enter(conn, &ticket))
		return release_odd(lease, reason);
	if (kolk__load_relaxed(conn->clock) == 0)
		(void)kolk__clock_miss(engine);
	kolk__lease_over(conn, reason, kolk__now(engine));
	return KOLK_OK;
}

/* Stale, or with operations in flight: those of the calling loop are cancelled and the
 * connection closes when the last has ended; those of another thread are its business. */
static enum kolk_err release_odd(struct kolk_lease *lease, enum kolk_reason reason)
{
	struct kolk__conn *conn = lease->connection;
	uint64_t busy = kolk__word_with(lease->ticket, KOLK__BUSY);
	struct kolk_engine *engine;
	struct kolk_loop *user;

	if (conn == NULL)
		return KOLK_E_LEASE_STALE;
	engine = kolk__load_relaxed(&conn->home)->engine;
	if (kolk__is_child(engine))
		return KOLK_E_FORKED;
	if (kolk__state_of(lease->ticket) != KOLK__LEASED ||
	    kolk__conn_word(conn) != busy)
		return kolk__misuse(engine, KOLK_E_LEASE_STALE);
	user = kolk__load_relaxed(&conn->user);
	if (user == NULL || !kolk__is_owner(user))
		return kolk__misuse(engine, KOLK_E_LEASE_BUSY);
	kolk__store_relaxed(&conn->reason, (uint8_t)reason);
	kolk__conn_set(conn, KOLK__CLOSING); /* the last operation retires it: io.c */
	for (int i = 0; i < 2; i++)
		if (conn->io[i] != NULL)
			kolk__io_cancel(conn->io[i]);
	return KOLK_OK;
}

enum kolk_err kolk_discard_for(struct kolk_lease *lease, enum kolk_reason reason)
{
	struct kolk__conn *conn = lease->connection;

	if (reason <= KOLK_REASON_NONE || reason >= KOLK_REASONS)
		return KOLK_E_OPTIONS;
	KOLK__PROBE(release, conn, lease->ticket);
	if (conn == NULL || kolk__conn_own_word(conn) != lease->ticket)
		return release_odd(lease, reason);
	return release_long(lease, reason);
}

enum kolk_err kolk_discard(struct kolk_lease *lease)
{
	return kolk_discard_for(lease, KOLK_REASON_DISCARDED);
}

enum kolk_err kolk_engine_release(struct kolk_engine *engine, struct kolk_lease *lease)
{
	struct kolk__conn *conn = lease->connection;

	if (conn == NULL)
		return KOLK_E_LEASE_STALE;
	if (conn < engine->slots || conn >= engine->slots + engine->slot_count)
		return kolk__misuse(engine, KOLK_E_LEASE_FOREIGN);
	return kolk_release(lease);
}

void kolk__park_letter(struct kolk__note *note)
{
	struct kolk__conn *conn = kolk__conn_of_note(note);

	KOLK__IN_TURN(kolk__own(&conn->home));
	KOLK__STATE(conn, KOLK__IS_TAKEN);
	kolk__park(conn);
}
