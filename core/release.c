/* SPDX-License-Identifier: Apache-2.0 */
/*
 * release.c - release: idle again, handed to a waiter, or closed. The first function is the hot
 * one.
 */
#include "core/release.h"
#include "core/pool.h"
#include "core/event.h"

#include "core/base/assert.h"
#include "core/effects.h"
#include "core/idle.h"
#include "core/thread_cache.h"
#include "core/wait.h"
#include "core/probation.h"

static KOLK_COLD enum kolk_err release_stale(struct kolk_lease *lease,
					     enum kolk_reason reason);
static KOLK_COLD enum kolk_err release_slow(struct kolk_lease *lease,
					    enum kolk_reason reason);
static KOLK_COLD enum kolk_err release_by_token(struct kolk_lease *lease, uint64_t word);
static KOLK_COLD enum kolk_err after_idle(struct kolk_key *key, struct kolk__conn *conn,
					  uint64_t word);

KOLK_HOT_ENTRY enum kolk_err kolk_release(struct kolk_lease *lease)
{
	struct kolk__conn *conn = lease->connection;
	uint64_t lease_word = lease->ticket;
	uint64_t word = lease_word;
	struct kolk_key *key;
	uint64_t now_ns;

	KOLK__PROBE(release, conn, lease_word);
	if (KOLK_UNLIKELY(conn == NULL))
		return KOLK_E_LEASE_STALE;
	now_ns = kolk__load_relaxed(conn->clock);
	if (KOLK_UNLIKELY(now_ns == 0 || kolk__load_relaxed(&conn->release_flags) != 0 ||
			  now_ns >= kolk__load_relaxed(&conn->retire_at_ns)))
		return release_slow(lease, KOLK_REASON_NONE);
	key = kolk__load_relaxed(&conn->key);
	/* Stored before the lease is known to be valid: a stale one makes the connection seem a
	 * little fresher than it is, but loading the word first would cost 0.9 of 6 ns. */
	kolk__store_relaxed(&conn->idle_since_ns, now_ns);
	if (KOLK_UNLIKELY(!kolk__conn_release(conn, &word))) /* STATE.R1, SC1, SC2 */
		return release_by_token(lease, word);
	/* From here on another thread may have the connection; key is type-stable. */
	kolk__cached_conn_return(key, conn, lease_word);
	if (KOLK_UNLIKELY(kolk__load_sc(&key->gate) != KOLK__GATE_OPEN ||
			  kolk__load_sc(&conn->retire_reason) != 0))
		return after_idle(key, conn, kolk__word_with(lease_word, KOLK__IDLE));
	return KOLK_OK;
}

/* It was acquired by its token, or the token was taken meanwhile: put the token back first. */
static enum kolk_err release_by_token(struct kolk_lease *lease, uint64_t word)
{
	struct kolk__conn *conn = lease->connection;
	uint64_t lease_word = lease->ticket;
	struct kolk_key *key;

	if (word != (lease_word | KOLK__NO_TOKEN) || !kolk__conn_set_busy(conn, &lease_word))
		return release_stale(lease, KOLK_REASON_ABANDONED);
	key = kolk__own(&conn->key);
	kolk__cached_conn_return(key, conn, lease_word);
	kolk__make_idle(conn);
	return KOLK_OK;
}

enum kolk_err kolk__misuse(struct kolk_engine *engine, enum kolk_err err)
{
	kolk__add_relaxed(&engine->misuse, 1);
	return err;
}

/* Until the connection is dialled again, its word is of this lease, or, out of the key's table, of
 * the generation behind it (state.h). Of the leases of connections that had the memory before, it
 * is not known which one was revoked. */
static bool may_be_revoked(const struct kolk__conn *conn, uint64_t lease_word)
{
	uint64_t generation = kolk__generation_of(lease_word);
	uint8_t revoked = kolk__load_relaxed(&conn->revoked);

	if (generation <= kolk__generation_of(kolk__load_relaxed(&conn->born)))
		return revoked != KOLK__NOT_REVOKED;
	return revoked == KOLK__REVOKED &&
	       kolk__generation_of(kolk__conn_word(conn)) - generation <= 1;
}

/* A revoke tells the holder nothing, so what it does next is no broken rule. */
enum kolk_err kolk__lease_stale(const struct kolk_lease *lease)
{
	const struct kolk__conn *conn = lease->connection;

	if (may_be_revoked(conn, lease->ticket))
		return KOLK_E_LEASE_STALE;
	return kolk__misuse(kolk__load_relaxed(&conn->key)->engine, KOLK_E_LEASE_STALE);
}

/* ---- after the connection is idle */

/* The connection is idle: did the peer close it while it was leased, and is there a waiter?
 * Connection or key may be recycled by now. So the first is decided by a compare-and-swap from the
 * word that this release wrote, the second under the lock. */
static enum kolk_err after_idle(struct kolk_key *key, struct kolk__conn *conn, uint64_t word)
{
	struct kolk_engine *engine = key->engine;
	uint8_t reason = kolk__load_sc(&conn->retire_reason);
	uint64_t gate = kolk__load_sc(&key->gate);
	KOLK__EFFECTS(effects);
	uint64_t now_ns;

	KOLK__NO_LOCK();
	if (reason != 0 && kolk__conn_try_set(conn, word, KOLK__CLOSING))
		kolk__retire(conn, (enum kolk_reason)reason);
	if (gate == KOLK__GATE_OPEN)
		return KOLK_OK;
	now_ns = kolk__now(engine);
	if (now_ns < gate) /* the first waiter was signalled and may still be overtaken */
		return KOLK_OK;
	kolk__key_lock(key, &effects, now_ns);
	effects.todo |= KOLK__DISPATCH;
	kolk__key_unlock(&effects);
	return KOLK_OK;
}

/* It becomes idle before its peer knows of it: acknowledge it. Once only: it is not SILENT
 * afterwards. */
static KOLK_COLD void acknowledge(struct kolk__conn *conn)
{
	uint8_t flags = kolk__own(&conn->release_flags);

	KOLK__STATE(conn, KOLK__IS_BUSY | KOLK__IS_PINGING | KOLK__IS_RESETTING | KOLK__IS_TAKEN);
	if (!(flags & KOLK__ACKNOWLEDGED))
		kolk__link_acknowledge(conn->link);
	kolk__store_relaxed(&conn->release_flags,
			    (uint8_t)(flags & ~(KOLK__SILENT | KOLK__ACKNOWLEDGED)));
}

void kolk__make_idle(struct kolk__conn *conn)
{
	struct kolk_key *key = kolk__own(&conn->key);
	uint64_t word = kolk__word_with(kolk__conn_own_word(conn), KOLK__IDLE);

	KOLK__STATE(conn, KOLK__IS_BUSY | KOLK__IS_PINGING | KOLK__IS_RESETTING | KOLK__IS_TAKEN);
	KOLK__NO_LOCK();
	if (KOLK_UNLIKELY(kolk__own(&conn->release_flags) & KOLK__SILENT))
		acknowledge(conn);
	kolk__set_idle(conn);
	if (KOLK_UNLIKELY(kolk__load_sc(&conn->alarm_put_off))) /* SC4 */
		kolk__maintain_again(conn, key);
	if (kolk__load_sc(&key->gate) != KOLK__GATE_OPEN ||
	    kolk__load_sc(&conn->retire_reason) != 0)
		after_idle(key, conn, word);
}

/* ---- the slow path: prove it clean, or close it */

/* Return why a held connection must not be leased again; NONE = it may, if *needs_reset after its
 * reset. */
static enum kolk_reason unfit_reason(struct kolk__conn *conn, uint64_t now_ns, bool *needs_reset)
{
	const struct kolk_pool *pool = kolk__pool_of(conn);
	enum kolk_reason reason = KOLK_REASON_NONE;
	enum kolk_err err = KOLK_OK;

	KOLK__STATE(conn, KOLK__IS_BUSY);
	if (kolk__own(&conn->release_flags) & KOLK__DID_IO || kolk__load_relaxed(&pool->must_reset))
		err = kolk__link_clean(conn->link, kolk__is_owner(kolk__home(conn)), &reason);
	*needs_reset = err == KOLK_PENDING;
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

/* Record the time of a lease that was timed at both ends. A key's histogram allocates as it grows,
 * so it gets only leases that did I/O. */
static void record_lease(struct kolk__conn *conn, uint64_t now_ns)
{
	struct kolk_key *key = kolk__own(&conn->key);
	bool did_io = (kolk__own(&conn->release_flags) & KOLK__DID_IO) != 0;
	uint64_t ns = now_ns - kolk__own(&conn->leased_at_ns);

	if (now_ns < kolk__own(&conn->leased_at_ns))
		return;
	if (did_io)
		kolk__key_record(key, KOLK__LEASE_TIME, ns);
	else
		kolk__hist_record(key->engine->sys,
				  &kolk__own(&key->pool)->hists.of[KOLK__LEASE_TIME], ns);
	kolk__store_relaxed(&key->lease_ewma_us,
			    kolk__ewma(kolk__load_relaxed(&key->lease_ewma_us), ns));
}

/* Record how long a release took, just before the connection becomes idle. began_ns: when it was
 * released. */
static void record_release(struct kolk__conn *conn, uint64_t began_ns)
{
	struct kolk_pool *pool = kolk__pool_of(conn);
	uint64_t now_ns;

	if (KOLK_LIKELY(!kolk__is_release_timed(kolk__conn_own_word(conn))))
		return;
	now_ns = kolk__now(pool->engine);
	if (now_ns >= began_ns)
		kolk__summary_record(&pool->hists.release, now_ns - began_ns);
}

/* Update the moving average, over about eight leases, of whether they returned or closed. */
static void record_return(struct kolk_key *key, bool returned)
{
	uint8_t ewma = kolk__load_relaxed(&key->reuse_ewma);

	kolk__store_relaxed(&key->reuse_ewma, (uint8_t)(returned ? ewma + (UINT8_MAX - ewma + 7) / 8 :
							      ewma - (ewma + 7) / 8));
}

/* ---- resets: on the home loop, before the next lease */

static void reset_task(struct kolk__task *task)
{
	struct kolk__conn *conn = kolk__conn_of_task(task);

	KOLK__IN_TURN(kolk__home(conn));
	KOLK__STATE(conn, KOLK__IS_RESETTING);
	kolk__link_reset(conn->link);
}

void kolk__on_reset_done(void *connection, enum kolk_reason reason)
{
	struct kolk__conn *conn = connection;
	struct kolk_key *key = kolk__own(&conn->key);

	KOLK__IN_TURN(kolk__home(conn));
	KOLK__STATE(conn, KOLK__IS_PINGING | KOLK__IS_RESETTING);
	KOLK__NO_LOCK();
	if (kolk__state_of(kolk__conn_own_word(conn)) == KOLK__PINGING) {
		kolk__ping_ended(conn);
	} else if (reason == KOLK_REASON_NONE) {
		kolk__count_rare(key, KOLK__RESETS_OK);
		record_release(conn, kolk__load_relaxed(&conn->idle_since_ns));
	} else {
		kolk__count_rare(key, KOLK__RESETS_FAILED);
	}
	if (reason == KOLK_REASON_NONE) {
		kolk__make_idle(conn);
		return;
	}
	kolk__retire_checked(conn, reason);
}

/* Return the flags that outlive the lease. A connection that has sent something is not SILENT any
 * more: its first bytes carried the acknowledgement. */
static uint8_t flags_to_keep(const struct kolk__conn *conn, uint8_t flags)
{
	if (!(flags & KOLK__SILENT) ||
	    (flags & KOLK__DID_IO && kolk__link_written(conn->link, false)))
		return flags & KOLK__FORCE_SLOW;
	return flags & (KOLK__FORCE_SLOW | KOLK__SILENT | KOLK__ACKNOWLEDGED);
}

void kolk__lease_end(struct kolk__conn *conn, enum kolk_reason reason, uint64_t now_ns)
{
	struct kolk_key *key = kolk__own(&conn->key);
	uint8_t flags = kolk__own(&conn->release_flags), keep = flags_to_keep(conn, flags);
	bool is_clocked = (flags & (KOLK__TIMED | KOLK__DID_IO)) != 0;
	bool needs_reset = false;

	KOLK__STATE(conn, KOLK__IS_BUSY);
	KOLK__NO_LOCK();
	if (is_clocked)
		record_lease(conn, now_ns);
	if (flags & KOLK__TAGGED)
		kolk__store_relaxed(&conn->tag, 0);
	if (reason == KOLK_REASON_NONE)
		reason = unfit_reason(conn, now_ns, &needs_reset);
	if (KOLK_UNLIKELY(kolk__load_relaxed(&conn->unproven)) && reason == KOLK_REASON_NONE &&
	    kolk__own(&conn->release_flags) & KOLK__DID_IO)
		kolk__probation_passed(conn, now_ns);
	kolk__store_relaxed(&conn->release_flags, keep);
	if (key->notify_released)
		kolk__notify(key, conn, KOLK_EVENT_RELEASED, 0);
	record_return(key, reason == KOLK_REASON_NONE);
	if (reason == KOLK_REASON_NONE && !kolk__idle_enter(conn, false))
		reason = KOLK_REASON_IDLE_MAX;
	if (reason != KOLK_REASON_NONE) {
		kolk__conn_set(conn, KOLK__CLOSING);
		kolk__retire(conn, reason);
		return;
	}
	kolk__store_relaxed(&conn->idle_since_ns, now_ns);
	if (needs_reset) {
		kolk__conn_set(conn, KOLK__RESETTING);
		kolk__post(kolk__home(conn), &conn->task, reset_task);
		return;
	}
	if (is_clocked)
		record_release(conn, now_ns);
	kolk__cached_conn_return(key, conn, kolk__conn_own_word(conn));
	kolk__make_idle(conn);
}

/* All but the plain case: make the lease BUSY first, so a second release of it at the same time
 * finds it stale. */
static enum kolk_err release_slow(struct kolk_lease *lease, enum kolk_reason reason)
{
	struct kolk__conn *conn = lease->connection;
	struct kolk_engine *engine = kolk__load_relaxed(&conn->key)->engine;
	uint64_t lease_word = lease->ticket;

	if (kolk__is_child(engine))
		return KOLK_E_FORKED;
	if (!kolk__conn_set_busy(conn, &lease_word))
		return release_stale(lease, reason);
	if (kolk__load_relaxed(conn->clock) == 0)
		(void)kolk__clock_miss(engine);
	kolk__lease_end(conn, reason, kolk__now(engine));
	return KOLK_OK;
}

/* The lease is stale, or has operations in flight. Operations of the calling loop are cancelled,
 * and the connection closes when the last has ended; for those of another thread the release
 * fails. */
static enum kolk_err release_stale(struct kolk_lease *lease, enum kolk_reason reason)
{
	struct kolk__conn *conn = lease->connection;
	uint64_t busy = kolk__word_with(lease->ticket, KOLK__BUSY);
	struct kolk_engine *engine;
	struct kolk_loop *user;

	if (conn == NULL)
		return KOLK_E_LEASE_STALE;
	engine = kolk__load_relaxed(&conn->key)->engine;
	if (kolk__is_child(engine))
		return KOLK_E_FORKED;
	if (kolk__state_of(lease->ticket) != KOLK__LEASED ||
	    kolk__conn_word(conn) != busy)
		return kolk__lease_stale(lease);
	user = kolk__user(conn);
	if (user == NULL || !kolk__is_owner(user))
		return kolk__misuse(engine, KOLK_E_LEASE_BUSY);
	kolk__store_relaxed(&conn->reason, (uint8_t)reason);
	kolk__conn_set(conn, KOLK__CLOSING); /* the last operation retires it: io.c */
	for (int sending = 0; sending < 2; sending++) {
		struct kolk__io *io = kolk__link_io(conn->link, sending != 0);

		if (io != NULL)
			kolk__io_cancel(io);
	}
	return KOLK_OK;
}

enum kolk_err kolk_discard_for(struct kolk_lease *lease, enum kolk_reason reason)
{
	struct kolk__conn *conn = lease->connection;

	if (reason <= KOLK_REASON_NONE || reason >= KOLK_REASONS)
		return KOLK_E_OPTIONS;
	KOLK__PROBE(release, conn, lease->ticket);
	if (conn == NULL || kolk__conn_own_word(conn) != lease->ticket)
		return release_stale(lease, reason);
	return release_slow(lease, reason);
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
	if (conn < engine->conns || conn >= engine->conns + engine->conn_count)
		return kolk__misuse(engine, KOLK_E_LEASE_FOREIGN);
	return kolk_release(lease);
}

void kolk__make_idle_task(struct kolk__task *task)
{
	struct kolk__conn *conn = kolk__conn_of_task(task);

	KOLK__IN_TURN(kolk__home(conn));
	KOLK__STATE(conn, KOLK__IS_TAKEN);
	kolk__make_idle(conn);
}
