/* SPDX-License-Identifier: Apache-2.0 */
/* pool.h - the named upstreams of an engine. */
#ifndef KOLK_POOL_INTERNAL_H
#define KOLK_POOL_INTERNAL_H

#include "core/engine.h"

/* Take it off the engine's list and free its parts. Nothing of it is in use. */
void kolk__pool_free(struct kolk_pool *pool);
/* What its keys may have changed: each serves and dials. No lock held. */
void kolk__pool_dispatch(struct kolk_pool *pool);
/* The same as a part of a walk: KOLK__DISPATCH, KOLK__DIAL or both. Under pool.lock. */
void kolk__keys_update(struct kolk_pool *pool, uint32_t what, struct kolk__effects *effects);
/* A limit above pools changed. No lock held. */
void kolk__limits_changed(struct kolk_engine *engine);
/* Take the registry if the pool is in it, so that it stays; false with no lock held if it is not:
 * the handle was closed meanwhile. */
bool kolk__registry_lock_for(struct kolk_pool *pool);
void kolk__registry_unlock_for(struct kolk_pool *pool);

#endif
