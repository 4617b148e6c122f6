/* SPDX-License-Identifier: Apache-2.0 */
/* refuse.h - one caller gets no connection: why, counted and logged. */
#ifndef KOLK_REFUSE_H
#define KOLK_REFUSE_H

#include "core/engine.h"

/* Why a key that refuses with this error closes its connections. */
static inline enum kolk_reason kolk__refused_reason(enum kolk_err refuse_err)
{
	return refuse_err == KOLK_E_ROTATED ? KOLK_REASON_ROTATED : KOLK_REASON_DRAINED;
}

enum kolk_refusal kolk__refusal_of(enum kolk_err err);
/* Which limit a key has reached whose waiter gives up. Under key.lock, before the waiter is
 * removed. */
enum kolk_refusal kolk__refusal_of_wait(const struct kolk_key *key);
/* Refused with this error, or by the deadline of a waiter that is still in the queue. Under
 * key.lock. */
void kolk__count_refused(struct kolk_key *key, enum kolk_err err);
void kolk__count_timed_out(struct kolk_key *key);
/* A key of this tenant could not be opened. Under pool.lock. */
void kolk__refused_open(struct kolk_pool *pool, const char *tenant, enum kolk_refusal why);
void kolk__refusals_fire(struct kolk__alarm *alarm, uint64_t now_ns);

#endif
