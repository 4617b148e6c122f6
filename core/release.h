/* SPDX-License-Identifier: Apache-2.0 */
/*
 * release.h - the return desk and the cloakroom: what happens to a connection that somebody holds.
 */
#ifndef KOLK_RELEASE_H
#define KOLK_RELEASE_H

#include "core/engine.h"

/* Put a held connection on the shelf and see whether somebody waits for it. No lock held. */
void kolk__park(struct kolk__conn *conn);
/* The same by letter to its home loop, for who holds a lock: out of PINGING. */
void kolk__park_later(struct kolk__conn *conn);
/* What its home loop does then. */
void kolk__park_letter(struct kolk__note *note);
/* Close a held connection (CLOSING already): sends it to its home loop. */
void kolk__retire(struct kolk__conn *conn, enum kolk_reason reason);
/* A dial failed, or the socket is closed: the key has one connection less, and its permits go back.
 * Under key.lock. */
void kolk__conn_gone(struct kolk__conn *conn, struct kolk__effects *effects);
/* Send a connection that is PINGING to its home loop. */
void kolk__ping(struct kolk__conn *conn);
/* Take it out of idle and close it; false when it was not idle any more. */
bool kolk__evict(struct kolk__conn *conn, enum kolk_reason reason);
/* Close what was taken out of idle (CLOSING already), and tell. No lock held. */
void kolk__evicted(struct kolk__conn *conn, enum kolk_reason reason);
/* A broken rule of the interface: counted, answered, nothing else. */
enum kolk_err kolk__misuse(struct kolk_engine *engine, enum kolk_err err);
/* io.c: LEASED to BUSY of the same tenure, for as long as something is done with it: nobody
 * revokes or closes it meanwhile. OK also when this loop is inside already. */
enum kolk_err kolk__lease_enter(const struct kolk_lease *lease, struct kolk_loop *user);
/* BUSY to LEASED, unless the lease was given up or revoked meanwhile. True when the
 * connection is still the caller's. */
bool kolk__lease_leave(struct kolk__conn *conn);
/* A connection that a caller had came to rest: on the shelf, or CLOSING. */
void kolk__lease_over(struct kolk__conn *conn, enum kolk_reason reason, uint64_t now_ns);

/* release.c, retire.c, for the transport's words */
void kolk__mended(void *connection, enum kolk_reason reason);
void kolk__closed(void *connection);
void kolk__hung_up(void *connection, enum kolk_reason reason);
void kolk__came(void *connection);

#endif
