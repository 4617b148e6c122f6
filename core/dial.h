/* SPDX-License-Identifier: Apache-2.0 */
/* dial.h - dials and pings: what the transport reports of them, and what others ask for. */
#ifndef KOLK_DIAL_H
#define KOLK_DIAL_H

#include "core/engine.h"

/* dialled.c */
/* Callbacks of the transport. */
void kolk__on_ready(void *connection);
void kolk__on_dial_failed(void *connection, const struct kolk_failure *failure);
void kolk__on_dial_abandoned(void *connection, const struct kolk_failure *failure);
struct kolk_key *kolk__conn_key(void *connection);
void kolk__on_pinged(void *connection, enum kolk_err err, enum kolk_reason reason);
/* A dial failed: count it, back off, and fail the first waiter, if it is to cost one; nothing of
 * that when the key has given it up (E_CANCELLED). True when it is the first in a row: then call
 * kolk__dial_unhealthy, with no lock held. Under key.lock. */
bool kolk__dial_back_off(struct kolk_key *key, const struct kolk_failure *failure,
			 bool costs_waiter, struct kolk__effects *effects);
void kolk__dial_unhealthy(struct kolk_key *key, const struct kolk_failure *failure);
void kolk__retry_fire(struct kolk__alarm *alarm, uint64_t now_ns);

/* dial.c */
/* Begin what dials the key wants and may. Under key.lock. */
void kolk__dial_more(struct kolk_key *key, struct kolk__effects *effects);
/* Its waiters wait for leases to end: a limit is reached or the circuit is open, and nothing is
 * dialled or pinged for them. Under key.lock. */
bool kolk__waits_for_leases(const struct kolk_key *key);
/* Give up the dials of refusing keys that are at home on this loop. Loop thread. */
void kolk__dial_sweep(struct kolk_loop *shard);

/* health.c */
/* How long to leave an endpoint alone after so many failures in a row: exponential back-off with
 * full jitter (Brooker, Exponential Backoff And Jitter, 2015). */
uint64_t kolk__back_off_ns(struct kolk_pool *pool, uint32_t failures);

#endif
