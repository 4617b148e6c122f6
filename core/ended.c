/* SPDX-License-Identifier: Apache-2.0 */
/* ended.c - the transport reports: the peer closed, unexpected bytes came, the socket is gone. */
#include "core/effects.h"
#include "core/event.h"
#include "core/pool.h"
#include "core/release.h"
#include "core/probation.h"

static void count_end(struct kolk_key *key, struct kolk__conn *conn)
{
	struct kolk__counters *counters = kolk__key_counters(key);
	uint64_t uses = kolk__conn_uses(conn, kolk__conn_own_word(conn));

	KOLK__HELD(&key->lock);
	KOLK__STATE(conn, KOLK__IS_CLOSING);
	kolk__count_destroyed(key, kolk__own(&conn->reason));
	kolk__add_relaxed(&counters->uses, uses);
	kolk__add_relaxed(&counters->first_uses, uses != 0);
	kolk__walks_pass_conn(key, conn, uses);
	if (kolk__found_dead(kolk__own(&conn->reason)) && kolk__own(&conn->retire_reason) != 0)
		kolk__count_rare(key, KOLK__STALE_DISCARDED);
}

void kolk__on_closed(void *connection)
{
	struct kolk__conn *conn = connection;
	struct kolk_key *key = kolk__own(&conn->key);
	struct kolk_engine *engine = key->engine;
	uint64_t now_ns = kolk__now(engine);
	KOLK__EFFECTS(effects);

	KOLK__IN_TURN(kolk__home(conn));
	KOLK__STATE(conn, KOLK__IS_CLOSING);
	KOLK__NO_LOCK();
	if (!conn->abandoned)
		kolk__probation_ended(conn, now_ns);
	if (!conn->abandoned && kolk__event_wanted(engine, KOLK_EVENT_DESTROYED))
		kolk__notify(key, conn, KOLK_EVENT_DESTROYED,
			     now_ns - kolk__own(&conn->ready_at_ns));
	kolk__key_lock(key, &effects, now_ns);
	count_end(key, conn);
	kolk__conn_gone(conn, &effects);
	if (kolk__own(&key->open) == 0)
		kolk__store_relaxed(&key->queued_at_ns, now_ns);
	kolk__key_unlock(&effects);
}

/* The peer closed it. SC2: store the reason first, then try to take it out of IDLE; a release that
 * overlaps makes it idle first, then loads the reason, so one of the two takes it. */
void kolk__on_peer_closed(void *connection, enum kolk_reason reason)
{
	struct kolk__conn *conn = connection;
	struct kolk_pool *pool = kolk__pool_of(conn);
	uint64_t now_ns = kolk__now(pool->engine);
	uint64_t idle_ns = now_ns - kolk__load_relaxed(&conn->idle_since_ns);
	bool closed_early;

	KOLK__IN_TURN(kolk__home(conn));
	KOLK__STATE(conn, KOLK__IS_DIALLED);
	KOLK__NO_LOCK();
	kolk__conn_set_retire_reason(conn, reason);
	closed_early = kolk__closed_early(conn, reason, now_ns);
	if (kolk__evict(conn, reason) && reason == KOLK_REASON_PEER_CLOSED && !closed_early)
		kolk__health_idle_closed(pool, idle_ns, now_ns);
	if (reason == KOLK_REASON_PEER_RESET)
		kolk__health_suspect(pool, now_ns);
}

/* If it is not idle, its holder checks, before its first send and at the release. */
void kolk__on_unsolicited(void *connection)
{
	struct kolk__conn *conn = connection;

	KOLK__IN_TURN(kolk__home(conn));
	KOLK__STATE(conn, KOLK__IS_DIALLED);
	if (kolk__take_to_ping(conn))
		kolk__link_reset(conn->link);
}
