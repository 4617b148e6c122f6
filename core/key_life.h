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
/* It has no references any more, or has one again. Under the accounting lock. */
void kolk__key_lru_add(struct kolk_key *key);
void kolk__key_lru_remove(struct kolk_key *key);
/* The least recently used key; of this tenant, or NULL = of any. It is in the list no more. */
struct kolk_key *kolk__key_lru_pop(struct kolk_engine *engine,
				   const struct kolk__tenant *tenant);

/* key_evict.c */
/* Evict unreferenced keys before the limit is reached: so the next open succeeds. Called when there
 * is one key more, when there is one more without references, and when the limit was reached. A
 * tenant that has too many loses its own. */
void kolk__keys_trim(struct kolk_engine *engine, struct kolk__tenant *tenant);
/* No key was made for it. */
void kolk__keys_trim_for(struct kolk_engine *engine, const struct kolk__identity *id);

#endif
