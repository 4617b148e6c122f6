/* SPDX-License-Identifier: Apache-2.0 */
/* ended.c - what the transport tells of a connection that ended, or of which it heard. */
#include "core/effects.h"
#include "core/release.h"
#include "core/young.h"

static void count_end(struct kolk_key *key, struct kolk__conn *conn)
{
	struct kolk__counters *counters = kolk__key_counters(key);
	uint64_t uses = kolk__conn_uses(conn, kolk__conn_own_word(conn));

	KOLK__HELD(&key->lock);
	KOLK__STATE(conn, KOLK__IS_CLOSING);
	kolk__add_relaxed(&counters->destroyed[kolk__own(&conn->reason)], 1);
	kolk__add_relaxed(&counters->uses, uses);
	kolk__add_relaxed(&counters->first_uses, uses != 0);
	if (kolk__own(&conn->reason) == KOLK_REASON_PEER_CLOSED ||
	    kolk__own(&conn->reason) == KOLK_REASON_PEER_RESET ||
	    kolk__own(&conn->reason) == KOLK_REASON_PEER_DATA)
		kolk__add_relaxed(&counters->stale_discarded, kolk__own(&conn->retire_reason) != 0);
}

void kolk__closed(void *connection)
{
	struct kolk__conn *conn = connection;
	struct kolk_key *key = kolk__own(&conn->key);
	struct kolk_engine *engine = key->engine;
	uint64_t now_ns = kolk__now(engine);
	KOLK__EFFECTS(effects);

	KOLK__IN_TURN(kolk__own(&conn->home));
	KOLK__STATE(conn, KOLK__IS_CLOSING);
	KOLK__NO_LOCK();
	kolk__alarm_disarm(engine, &conn->alarm);
	kolk__young_ended(conn, now_ns);
	if (kolk__listens(engine, KOLK_EVENT_DESTROYED))
		kolk__tell(engine, KOLK_EVENT_DESTROYED, key, conn,
			   now_ns - kolk__own(&conn->ready_at_ns));
	kolk__key_lock(key, &effects, now_ns);
	count_end(key, conn);
	kolk__conn_gone(conn, &effects);
	if (kolk__own(&key->open) == 0)
		kolk__store_relaxed(&key->queued_at_ns, now_ns);
	kolk__key_unlock(&effects);
}

/* The idle watch. SC2: say it first, then try to take it off the shelf; a release that is
 * on its way does the two the other way round, so one of us takes it. */
void kolk__hung_up(void *connection, enum kolk_reason reason)
{
	struct kolk__conn *conn = connection;
	struct kolk_pool *pool = kolk__pool_of(conn);
	uint64_t now_ns = kolk__now(pool->engine);
	uint64_t idle_ns = now_ns - kolk__load_relaxed(&conn->idle_since_ns);
	bool died_young;

	KOLK__IN_TURN(kolk__own(&conn->home));
	KOLK__STATE(conn, KOLK__IS_DIALLED);
	KOLK__NO_LOCK();
	kolk__conn_condemn(conn, reason);
	died_young = kolk__young_died(conn, reason, now_ns);
	if (kolk__evict(conn, reason) && reason == KOLK_REASON_PEER_CLOSED && !died_young)
		kolk__peer_idled(pool, idle_ns, now_ns);
	if (reason == KOLK_REASON_PEER_RESET)
		kolk__peer_suspect(pool, now_ns);
}

/* Who holds it looks itself, before its first send and at the release. */
void kolk__came(void *connection)
{
	struct kolk__conn *conn = connection;

	KOLK__IN_TURN(kolk__own(&conn->home));
	KOLK__STATE(conn, KOLK__IS_DIALLED);
	if (kolk__conn_take(conn, KOLK__PINGING) != 0)
		kolk__link_reset(conn->link);
}
