/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retire.c - the cloakroom: a connection leaves in two steps, and each is counted.
 *
 * 1. retire: who holds it makes it CLOSING; it still counts as open.
 * 2. closed: its socket is closed; only now its permits go back.
 */
#include "core/effects.h"
#include "core/release.h"
#include "core/young.h"

static void close_letter(struct kolk__note *note)
{
	struct kolk__conn *conn = kolk__conn_of_note(note);
	struct kolk_engine *engine = kolk__own(&conn->home)->engine;
	struct kolk__link *link = conn->link;

	KOLK__IN_TURN(kolk__own(&conn->home));
	KOLK__STATE(conn, KOLK__IS_CLOSING);
	KOLK__NO_LOCK();
	/* Under the lock, so that a revoke (drain.c) never sees a link that is going. */
	kolk__take_lock(engine, &kolk__own(&conn->key)->lock);
	conn->link = NULL;
	kolk__give_lock(engine, &kolk__own(&conn->key)->lock);
	kolk__link_close(link);
}

void kolk__retire(struct kolk__conn *conn, enum kolk_reason reason)
{
	KOLK__STATE(conn, KOLK__IS_CLOSING);
	kolk__store_relaxed(&conn->reason, (uint8_t)reason);
	KOLK__PROBE(close, conn, reason);
	kolk__post(kolk__own(&conn->home), &conn->note, close_letter);
}

void kolk__evicted(struct kolk__conn *conn, enum kolk_reason reason)
{
	struct kolk_key *key = kolk__own(&conn->key);
	struct kolk_engine *engine = key->engine;

	KOLK__STATE(conn, KOLK__IS_CLOSING);
	KOLK__NO_LOCK();
	KOLK__PROBE(evict, conn, reason);
	kolk__store_relaxed(&conn->reason, (uint8_t)reason);
	if (kolk__listens(engine, KOLK_EVENT_EVICTED))
		kolk__tell(engine, KOLK_EVENT_EVICTED, key, conn, 0);
	kolk__retire(conn, reason);
}

bool kolk__evict(struct kolk__conn *conn, enum kolk_reason reason)
{
	if (kolk__conn_take(conn, KOLK__CLOSING) == 0)
		return false;
	kolk__evicted(conn, reason);
	return true;
}

void kolk__conn_gone(struct kolk__conn *conn, struct kolk__effects *effects)
{
	struct kolk_key *key = kolk__own(&conn->key);

	KOLK__HELD(&key->lock);
	kolk__table_remove(key, conn);
	kolk__permit_give(conn);
	effects->todo |= KOLK__PERMITS | KOLK__CLOSE | KOLK__UNUSED;
}

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

void kolk__park_later(struct kolk__conn *conn)
{
	KOLK__STATE(conn, KOLK__IS_TAKEN);
	kolk__post(kolk__own(&conn->home), &conn->note,
		   kolk__own(&conn->home)->engine->calls.make_idle);
}
