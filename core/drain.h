/* SPDX-License-Identifier: Apache-2.0 */
/* drain.h - pools that drain: when they are closed, and what keeps them open until then. */
#ifndef KOLK_DRAIN_H
#define KOLK_DRAIN_H

#include "core/engine.h"

/* A connection or waiter of a draining pool is gone: is the pool closed now? No lock held. */
void kolk__drain_check_done(struct kolk_pool *pool);
void kolk__pool_unref(struct kolk_pool *pool);
/* Drain all pools. Those that others draw from wait for the others until the second deadline. */
void kolk__drain_all(struct kolk_engine *engine, uint64_t deadline_ns, uint64_t drawn_deadline_ns);
/* Drain a pool that has waited for the pools that draw from it, if none of them is still open, or
 * if now is set. No lock held. */
void kolk__drain_waited(struct kolk_pool *pool, bool now);
void kolk__drain_fire(struct kolk__alarm *alarm, uint64_t now_ns);
/* Revoke a lease: its next use answers E_LEASE_STALE or E_REVOKED. Under key.lock. */
bool kolk__revoke(struct kolk__conn *conn);

#endif
