/* SPDX-License-Identifier: Apache-2.0 */
/* drain.h - pools that drain: what ends them, and who keeps them meanwhile. */
#ifndef KOLK_DRAIN_H
#define KOLK_DRAIN_H

#include "core/engine.h"

/* A connection or waiter of a draining pool is gone: is the pool closed now? No lock held. */
void kolk__drain_check_done(struct kolk_pool *pool);
void kolk__pool_unref(struct kolk_pool *pool);
/* Pools that others draw from wait for these until the second deadline. */
void kolk__drain_all(struct kolk_engine *engine, uint64_t deadline_ns, uint64_t drawn_deadline_ns);
/* It waits for the pools that draw from it, and none is open any more (or now = do not wait): it
 * drains. No lock held. */
void kolk__drain_waited(struct kolk_pool *pool, bool now);
void kolk__drain_fire(struct kolk__alarm *alarm, uint64_t now_ns);
/* Revoke a lease: its next use answers E_LEASE_STALE or E_REVOKED. Under key.lock. */
bool kolk__revoke(struct kolk__conn *conn);

#endif
