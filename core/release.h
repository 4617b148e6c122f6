/* SPDX-License-Identifier: Apache-2.0 */
/*
 * release.h - what happens to a held connection: idle again, handed over, or closed.
 */
#ifndef KOLK_RELEASE_H
#define KOLK_RELEASE_H

#include "core/engine.h"

/* release.c */
/* Make a held connection idle and check whether a waiter needs it. No lock held. */
void kolk__make_idle(struct kolk__conn *conn);
/* What its home loop does for kolk__post_idle. */
void kolk__make_idle_task(struct kolk__task *task);
/* A broken rule of the interface: counted, answered, nothing else. */
enum kolk_err kolk__misuse(struct kolk_engine *engine, enum kolk_err err);
/* E_LEASE_STALE, which is misuse unless a drain revoked the lease. */
enum kolk_err kolk__lease_stale(const struct kolk_lease *lease);
/* A lease ends: the connection becomes idle, or CLOSING. */
void kolk__lease_end(struct kolk__conn *conn, enum kolk_reason reason, uint64_t now_ns);
/* Callback of the transport. */
void kolk__on_reset_done(void *connection, enum kolk_reason reason);

/* lease.c */
/* LEASED or BUSY by this lease; a stale one is not counted as misuse. */
bool kolk__lease_is_held(const struct kolk_lease *lease);

/* retire.c */
/* Make a held connection idle by a task on its home loop, when a lock is held. */
void kolk__post_idle(struct kolk__conn *conn);
/* Close a held connection (CLOSING already): a task on its home loop. */
void kolk__retire(struct kolk__conn *conn, enum kolk_reason reason);
/* A ping or a reset has failed: it closes, and counts as found dead if its peer had ended it. */
void kolk__retire_checked(struct kolk__conn *conn, enum kolk_reason reason);
/* A dial failed, or the socket is closed: the key has one connection less, and its permits go back.
 * Under key.lock. */
void kolk__conn_gone(struct kolk__conn *conn, struct kolk__effects *effects);
/* Take it out of idle to ping it, or to look at bytes that came; false = it was not idle. */
bool kolk__take_to_ping(struct kolk__conn *conn);
/* Send a connection that is PINGING to its home loop. */
void kolk__ping(struct kolk__conn *conn);
/* It is PINGING, and will be idle or close now. */
void kolk__ping_ended(const struct kolk__conn *conn);
/* Take it out of idle and close it; false when it was not idle any more. */
bool kolk__evict(struct kolk__conn *conn, enum kolk_reason reason);
/* Close what was taken out of idle (CLOSING already), and notify. No lock held. */
void kolk__evict_finish(struct kolk__conn *conn, enum kolk_reason reason);

/* io.c */
/* LEASED to BUSY of the same lease, for as long as an operation runs: it is not revoked or closed
 * meanwhile. OK also when this loop is inside already. */
enum kolk_err kolk__operation_begin(const struct kolk_lease *lease, struct kolk_loop *user);
/* BUSY to LEASED, unless the lease was given up or revoked meanwhile. True when the
 * connection is still the caller's. */
bool kolk__operation_end(struct kolk__conn *conn);

/* Something that makes the release take the long way. set: under BUSY. add: also when the lease may
 * be revoked meanwhile; by then the connection may be another lease's, whose DID_IO must stay. */
static inline void kolk__release_flags_set(struct kolk__conn *conn, uint8_t what)
{
	kolk__store_relaxed(&conn->release_flags,
			    (uint8_t)(kolk__load_relaxed(&conn->release_flags) | what));
}

static inline void kolk__release_flags_add(struct kolk__conn *conn, uint8_t what)
{
	(void)kolk__or_sc(&conn->release_flags, what);
}

/* Did the peer end it while it was idle, or was about to be? */
static inline bool kolk__found_dead(enum kolk_reason reason)
{
	return reason == KOLK_REASON_PEER_CLOSED || reason == KOLK_REASON_PEER_RESET ||
	       reason == KOLK_REASON_PEER_DATA;
}

/* ended.c: callbacks of the transport */
void kolk__on_closed(void *connection);
void kolk__on_peer_closed(void *connection, enum kolk_reason reason);
void kolk__on_unsolicited(void *connection);

#endif
