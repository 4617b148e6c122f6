/* SPDX-License-Identifier: Apache-2.0 */
/*
 * permits.h - permits of tenant, pool and engine: taken and returned (permit.c), queued for
 * (permit_queue.c), granted (grant.c), and what makes one free (victim.c, search.c, reclaim.c).
 */
#ifndef KOLK_PERMITS_H
#define KOLK_PERMITS_H

#include "core/engine.h"

/* permit.c */

/* Take every permit (tenant, pool, engine, dial) and return a free connection; or NULL, and which
 * limit denied it. The caller checks the key's own limit. A key that was denied and has waiters is
 * in a permit queue from then on. A dial that no caller waits for leaves a permit to each queued
 * key. Under key.lock. */
struct kolk__conn *kolk__permit_take(struct kolk_key *key, bool for_caller,
				     enum kolk__denied *denied);
/* Return the dial's permit: the dial has ended, the connection lives on. */
void kolk__dial_permit_return(struct kolk__conn *conn);
/* Return all permits of a connection that is closed. Under key.lock. */
void kolk__permit_return(struct kolk__conn *conn);
/* Count a connection that the caller holds as closing for a lowered limit, until its permits are
 * returned. Under key.lock. */
void kolk__shrink(struct kolk__conn *conn);
uint32_t kolk__tenant_limit(const struct kolk_engine *engine, const struct kolk__tenant *tenant);
/* Return whether a limit on connections (of key, tenant, pool or engine; not on dials) is reached.
 * For limits above the key this may change at any moment. Under key.lock. */
bool kolk__at_limit(const struct kolk_key *key);
/* Return whether a limit on connections is exceeded, because it was lowered. */
bool kolk__over_limit(const struct kolk_key *key);

/* permit_queue.c: keys that were denied */

/* A key that was denied a permit, and by which limit. Read once, while the key cannot be recycled
 * (under key.lock and something keeps it, or under accounting and it is in a permit queue), and
 * passed on: afterwards the memory of the key, its tenant and its pool may belong to others. So
 * what is done for a requester is decided under accounting, by the counts that tenant and pool have
 * then. */
struct kolk__requester {
	struct kolk_key *key;
	uint64_t id; /* of the key; another = it was recycled */
	struct kolk__account *account;
	struct kolk_pool *pool;
	enum kolk__denied denied;
};

static inline struct kolk__requester kolk__requester_of(struct kolk_key *key,
							 enum kolk__denied denied)
{
	return (struct kolk__requester){ .key = key, .id = kolk__load_relaxed(&key->id),
					 .account = kolk__own(&key->account),
					 .pool = kolk__own(&key->pool), .denied = denied };
}

/* Put the key into this queue, unless it is in one already. Under accounting. */
void kolk__permit_queue_push(struct kolk_engine *engine, struct kolk__permit_queue *queue,
			     struct kolk_key *key);
/* Remove the key from the queue that it is in, if any. Under accounting. */
void kolk__permit_queue_remove(struct kolk_engine *engine, struct kolk_key *key);
/* A tenant's share has changed: reorder its queue. Under accounting. */
void kolk__share_changed(struct kolk_engine *engine, struct kolk__account *account);
/* Return the first key; NULL = the queue is empty. Under accounting. */
struct kolk_key *kolk__permit_queue_first(const struct kolk__permit_queue *queue);
/* Remove the first key; NULL = the queue is empty. Under accounting. */
struct kolk_key *kolk__permit_queue_pop(struct kolk_engine *engine,
					struct kolk__permit_queue *queue);
/* Return the queue of this node of a heap; NULL for NULL. */
struct kolk__permit_queue *kolk__permit_queue_of(struct kolk__timer *heap_node);
/* Move the queue behind the others of its heap. Under accounting. */
void kolk__permit_queue_requeue(struct kolk_engine *engine, struct kolk__permit_queue *queue);

/* grant.c */

/* A dial or a connection of this key has ended: grant its permits to queued keys first, then to its
 * own waiters. No lock held. */
void kolk__permits_freed(const struct kolk__requester *who);
/* Let every queued key try: a limit was raised, or maintenance runs. No lock held. */
void kolk__permits_grant(struct kolk_engine *engine);
/* Free a permit for a key that is first in a permit queue: maintenance, while there is one. */
void kolk__evict_for_queued(struct kolk_engine *engine, uint64_t now_ns);

/* victim.c */

/* Return whether an eviction helps against this limit. A limit on dials needs none: a dial ends by
 * itself. */
static inline bool kolk__eviction_helps(enum kolk__denied denied)
{
	return denied == KOLK__TENANT_FULL || denied == KOLK__POOL_FULL ||
	       denied == KOLK__ENGINE_FULL;
}
/* Free a permit of the denied kind: evict an idle connection, or reclaim one from a tenant above
 * its share. A caller's search visits one slice of the connections; what is not found there, that
 * of maintenance finds. No lock held. */
void kolk__evict_for(const struct kolk__requester *who);
/* The same for a key in a permit queue. Maintenance only. */
void kolk__evict_by_maintenance(const struct kolk__requester *who);
/* Pop the next key for which a caller's search found nothing, or NULL. Under accounting. */
struct kolk_key *kolk__handed_over_pop(struct kolk_engine *engine);

/* reclaim.c */

/* Return whether a connection is to be reclaimed from the key's tenant, and could be one of this
 * key. A hint: kolk__reclaim_conn decides. */
static inline bool kolk__reclaim_due(const struct kolk_key *key)
{
	const struct kolk__account *account = kolk__own(&key->account);
	const struct kolk_pool *pool;

	if (KOLK_LIKELY(kolk__load_relaxed(&account->to_reclaim) == 0) ||
	    kolk__load_relaxed(&account->reclaim_round) !=
		    kolk__load_relaxed(&key->engine->reclaim_round))
		return false;
	pool = kolk__load_relaxed(&account->reclaim_pool);
	return (pool == NULL || pool == kolk__own(&key->pool)) &&
	       kolk__own(&key->open) > kolk__load_relaxed(&account->reclaim_open);
}
/* Reclaim this connection, which the caller holds, if one is to be reclaimed from its tenant.
 * True = it is CLOSING, and counted as reclaimed. Under key.lock. */
bool kolk__reclaim_conn(struct kolk__conn *conn);
/* Have one more connection of the tenant reclaimed, unless another kind is being reclaimed already,
 * or as many as there are keys that wait. Under accounting. */
bool kolk__reclaim_add(const struct kolk__requester *who, struct kolk__account *account,
		       uint32_t reclaim_share, uint32_t reclaim_open);
/* Begin a new round, in which nothing is to be reclaimed yet. Under accounting. */
void kolk__reclaims_forget(struct kolk_engine *engine);
/* Count a connection that the caller holds as evicted for a key that this limit denied, until its
 * permits are returned. Under accounting. */
void kolk__eviction_begin(struct kolk__conn *conn, enum kolk__denied denied);
/* The permits of a connection that was evicted for this limit are returned. Under accounting. */
void kolk__eviction_done(struct kolk_key *key, uint8_t denied);

#endif
