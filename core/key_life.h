/* SPDX-License-Identifier: Apache-2.0 */
/* key_life.h - what the files of keys share: key.c, key_open.c, key_evict.c. */
#ifndef KOLK_KEY_LIFE_H
#define KOLK_KEY_LIFE_H

#include "core/engine.h"

/* key.c */
/* A key of this identity; NULL = no memory, or *full. Under pool.lock. */
struct kolk_key *kolk__key_make(struct kolk_pool *pool, const struct kolk__identity *id,
				bool *full);
/* Into the pool's table; false = no memory. Under pool.lock. */
bool kolk__key_insert(struct kolk_pool *pool, struct kolk_key *key);
/* Nobody holds it any more, or again. Under ledger. */
void kolk__key_park(struct kolk_key *key);
void kolk__key_unpark(struct kolk_key *key);
/* The key that nobody has held for the longest time; of this tenant, or NULL = of any. There are
 * no more of them than connections. */
struct kolk_key *kolk__key_parked_pop(struct kolk_engine *engine,
				      const struct kolk__tenant *tenant);

/* key_evict.c */
/* Keys are few again before they are out: so the next open succeeds. Called when there is one key
 * more, when there is one more that nobody holds, and when it was too late. A tenant that has too
 * many makes room among its own. */
void kolk__keys_keep_few(struct kolk_engine *engine, struct kolk__tenant *tenant);
/* No key was made for it. */
void kolk__keys_keep_few_of(struct kolk_engine *engine, const struct kolk__identity *id);

#endif
