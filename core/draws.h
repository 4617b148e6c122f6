/* SPDX-License-Identifier: Apache-2.0 */
/* draws.h - pools that make their resources from the connections of other pools (draws_from). */
#ifndef KOLK_DRAWS_H
#define KOLK_DRAWS_H

#include "core/pool.h"

/* Check a pool's list of names: KOLK_OK or E_OPTIONS. */
enum kolk_err kolk__draws_check(const struct kolk_pool_options *o);
/* Return whether it is the list that the pool was added with. No lock held. */
bool kolk__draws_are(struct kolk_pool *pool, const char *const *names);
/* Find the pools of these names, and count this one as their dependant. E_OPTIONS, E_DRAINING:
 * nothing is counted. Under registry. */
enum kolk_err kolk__draws_link(struct kolk_pool *pool, const struct kolk_pool_options *o);
/* The pool is closed: drain those that waited for it. No lock held. */
void kolk__draws_closed(struct kolk_pool *pool);
/* It is open again. Under registry. */
void kolk__draws_resumed(struct kolk_pool *pool);
/* It is freed: remove it from the pools that drew from it. Under registry. */
void kolk__draws_forget(struct kolk_pool *pool);
/* Return whether it draws from this one. Under registry. */
bool kolk__draws_has(const struct kolk_pool *pool, const struct kolk_pool *from);
/* For check.c: count the pools that draw from it and are not closed, by a walk of all. Under
 * registry. */
uint32_t kolk__draws_dependants(const struct kolk_pool *pool);
/* Return whether open pools draw from it. Under pool.lock. */
bool kolk__is_drawn_from(struct kolk_pool *pool);

#endif
