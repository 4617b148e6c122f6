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
/* The task of kolk__post_idle, on the home loop. */
void kolk__make_idle_task(struct kolk__task *task);
/* Count a call that broke a rule of the interface; returns err. */
enum kolk_err kolk__misuse(struct kolk_engine *engine, enum kolk_err err);
/* E_LEASE_STALE, which is misuse unless a drain revoked the lease. */
enum kolk_err kolk__lease_stale(const struct kolk_lease *lease);
/* End a lease: the connection becomes idle, is reset, or closes. */
void kolk__lease_end(struct kolk__conn *conn, enum kolk_reason reason, uint64_t now_ns);
/* Callback of the transport. */
void kolk__on_reset_done(void *connection, enum kolk_reason reason);

/* lease.c */
/* Return whether the connection is LEASED or BUSY by this lease. A stale lease is not counted as
 * misuse. */
bool kolk__lease_is_held(const struct kolk_lease *lease);

/* retire.c */
/* Make a held connection idle by a task on its home loop, when a lock is held. */
void kolk__post_idle(struct kolk__conn *conn);
/* Close a held connection, which is CLOSING already, by a task on its home loop. */
void kolk__retire(struct kolk__conn *conn, enum kolk_reason reason);
/* Close a connection whose ping or reset has failed; it counts as found dead if its peer had ended
 * it. */
void kolk__retire_checked(struct kolk__conn *conn, enum kolk_reason reason);
/* Remove a connection whose dial has failed, or whose socket is closed, from its key, and return
 * its permits. Under key.lock. */
void kolk__conn_gone(struct kolk__conn *conn, struct kolk__effects *effects);
/* Take it out of idle to ping it, or to read bytes that came; false = it was not idle. */
bool kolk__take_to_ping(struct kolk__conn *conn);
/* Send a connection that is PINGING to its home loop. */
void kolk__ping(struct kolk__conn *conn);
/* Its ping has ended: count one PINGING connection less. */
void kolk__ping_ended(const struct kolk__conn *conn);
/* Take it out of idle and close it; false = it was no longer idle. */
bool kolk__evict(struct kolk__conn *conn, enum kolk_reason reason);
/* Close a connection that was taken out of idle and is CLOSING already, and notify. No lock
 * held. */
void kolk__evict_finish(struct kolk__conn *conn, enum kolk_reason reason);

/* io.c */
/* LEASED to BUSY of the same lease while an operation runs: meanwhile it is not revoked or closed.
 * OK also if this loop already runs an operation on it. */
enum kolk_err kolk__operation_begin(const struct kolk_lease *lease, struct kolk_loop *user);
/* BUSY to LEASED, unless the lease was given up or revoked meanwhile. True = the connection is
 * still the caller's. */
bool kolk__operation_end(struct kolk__conn *conn);

/* Set a flag that makes the release take the slow path. set: while it is BUSY. add: also if the
 * lease may be revoked meanwhile; the connection may then have another lease already, whose DID_IO
 * must not be lost. */
static inline void kolk__release_flags_set(struct kolk__conn *conn, uint8_t what)
{
	kolk__store_relaxed(&conn->release_flags,
			    (uint8_t)(kolk__load_relaxed(&conn->release_flags) | what));
}

static inline void kolk__release_flags_add(struct kolk__conn *conn, uint8_t what)
{
	(void)kolk__or_sc(&conn->release_flags, what);
}

/* Return whether the peer ended it while it was idle or about to be. */
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
