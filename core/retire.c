/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retire.c - the end of a connection, in two steps.
 *
 * 1. retire: its holder makes it CLOSING; it still counts as open.
 * 2. closed: its socket is closed; only now its permits are returned.
 */
#include "core/conn_table.h"
#include "core/effects.h"
#include "core/event.h"
#include "core/idle.h"
#include "core/release.h"
#include "core/probation.h"

static void close_task(struct kolk__task *task)
{
	struct kolk__conn *conn = kolk__conn_of_task(task);
	struct kolk_engine *engine = kolk__own(&conn->key)->engine;
	struct kolk__link *link = conn->link;

	KOLK__IN_TURN(kolk__home(conn));
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
	kolk__idle_leave_if_counted(conn);
	KOLK__PROBE(close, conn, reason);
	kolk__post(kolk__home(conn), &conn->task, close_task);
}

void kolk__retire_checked(struct kolk__conn *conn, enum kolk_reason reason)
{
	if (kolk__found_dead(reason))
		kolk__conn_set_retire_reason(conn, reason);
	kolk__conn_set(conn, KOLK__CLOSING);
	kolk__retire(conn, reason);
}

void kolk__evict_finish(struct kolk__conn *conn, enum kolk_reason reason)
{
	struct kolk_key *key = kolk__own(&conn->key);
	struct kolk_engine *engine = key->engine;

	KOLK__STATE(conn, KOLK__IS_CLOSING);
	KOLK__NO_LOCK();
	KOLK__PROBE(evict, conn, reason);
	kolk__store_relaxed(&conn->reason, (uint8_t)reason);
	if (kolk__event_wanted(engine, KOLK_EVENT_EVICTED))
		kolk__notify(key, conn, KOLK_EVENT_EVICTED, 0);
	kolk__retire(conn, reason);
}

bool kolk__evict(struct kolk__conn *conn, enum kolk_reason reason)
{
	if (!kolk__conn_take(conn, KOLK__CLOSING))
		return false;
	kolk__evict_finish(conn, reason);
	return true;
}

void kolk__conn_gone(struct kolk__conn *conn, struct kolk__effects *effects)
{
	struct kolk_key *key = kolk__own(&conn->key);

	KOLK__HELD(&key->lock);
	kolk__conn_table_remove(key, conn);
	kolk__permit_return(conn);
	effects->todo |= KOLK__PERMITS | KOLK__CLOSE | KOLK__UNUSED;
}

static void ping_task(struct kolk__task *task)
{
	struct kolk__conn *conn = kolk__conn_of_task(task);

	KOLK__IN_TURN(kolk__home(conn));
	KOLK__STATE(conn, KOLK__IS_PINGING);
	kolk__link_ping(conn->link);
}

bool kolk__take_to_ping(struct kolk__conn *conn)
{
	if (!kolk__conn_take(conn, KOLK__PINGING))
		return false;
	kolk__add_relaxed(&kolk__own(&conn->key)->pinging, 1);
	return true;
}

void kolk__ping_ended(const struct kolk__conn *conn)
{
	KOLK__STATE(conn, KOLK__IS_PINGING);
	kolk__sub_relaxed(&kolk__own(&conn->key)->pinging, 1);
}

void kolk__ping(struct kolk__conn *conn)
{
	KOLK__STATE(conn, KOLK__IS_PINGING);
	kolk__post(kolk__home(conn), &conn->task, ping_task);
}

void kolk__post_idle(struct kolk__conn *conn)
{
	KOLK__STATE(conn, KOLK__IS_TAKEN);
	kolk__post(kolk__home(conn), &conn->task,
		   kolk__own(&conn->key)->engine->calls.make_idle);
}
