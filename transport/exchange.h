/* SPDX-License-Identifier: Apache-2.0 */
/* exchange.h - exchanges of a link with its peer, and what exchange.c and maintenance.c share. */
#ifndef KOLK_EXCHANGE_H
#define KOLK_EXCHANGE_H

#include <kolk/driver.h>

#include "transport/link.h"

typedef enum kolk_err kolk__exchange_fn(void *user, void *session, struct kolk_exchange *exchange);

/* What exchange.c tells of the handshake of a link that a peer dialled, to its stream; of other
 * links it tells dial.c. All [home]. */
struct kolk__accepting {
	/* It has bytes for the next step: may a worker have it? False = it waits, and
	 * kolk__exchange_pump is called when it may; or it has failed. stepped: it was there. */
	bool (*may_step)(struct kolk__link *link);
	void (*stepped)(struct kolk__link *link);
	/* The handshake is over, and all was sent. The link may be gone when it returns, as with
	 * failed. */
	void (*established)(struct kolk__link *link);
	void (*failed)(struct kolk__link *link, enum kolk_err err, int64_t os_error, int tls_error);
	void (*quiescent)(struct kolk__link *link); /* ENDING, and an operation has ended */
};

/* exchange.c: bytes in both directions on the home loop: handshakes, openings, pings, resets */
void kolk__exchange_pump(struct kolk__link *link);
void kolk__exchange_receive(struct kolk__link *link);
void kolk__exchange_upgrade(struct kolk__link *link);
void kolk__exchange_on_read(struct kolk__link *link); /* link.in changed, or ended */
void kolk__exchange_confirm(struct kolk__link *link); /* KOLK__CONFIRMING has lasted long enough */
/* Calls a driver function that starts an exchange: upgrade, open, ping or mend. They return as open
 * does. */
enum kolk_err kolk__exchange_call(struct kolk__link *link, kolk__exchange_fn *call);
/* Such a function returned this. */
void kolk__exchange_returned(struct kolk__link *link, enum kolk_err err);
/* It ends with this error: the dial has failed, or the connection must be closed. */
void kolk__exchange_failed(struct kolk__link *link, enum kolk_err err, int64_t os_error,
			   int tls_error);

/* maintenance.c */
bool kolk__maintenance_failed(const struct kolk__link *link);
/* It ends when none of its operations is in flight any more. */
void kolk__maintenance_done(struct kolk__link *link);
/* A ping or a validation has ended: tells the pool, with the reason if the connection has to go. */
void kolk__ping_done(struct kolk__link *link, enum kolk_err err);
/* Is the connection clean? If not, the driver resets it once. */
void kolk__reset_continue(struct kolk__link *link);

#endif
