/* SPDX-License-Identifier: Apache-2.0 */
/*
 * permits.h - permits of tenant, pool and engine: taken and returned (permit.c), queued for
 * (permit_queue.c), granted (grant.c), and what makes one free (victim.c, search.c, reclaim.c).
 */
#ifndef KOLK_PERMITS_H
#define KOLK_PERMITS_H

#include "core/engine.h"

/* permit.c */

/* A connection with every permit (tenant, pool, engine, dial), or NULL and by what it was denied.
 * The key's own limit is its lock's. A key that was denied and has waiters is in a permit queue
 * from that moment on. A dial that no caller waits for leaves a permit to each queued key. Under
 * key.lock. */
struct kolk__conn *kolk__permit_take(struct kolk_key *key, bool for_caller,
				     enum kolk__denied *denied);
/* The dial has ended, the connection goes on. */
void kolk__dial_permit_return(struct kolk__conn *conn);
/* The connection is closed. Under key.lock. */
void kolk__permit_return(struct kolk__conn *conn);
/* A connection that the caller holds closes for a lowered limit, until its permit is given back.
 * Under key.lock. */
void kolk__shrink(struct kolk__conn *conn);
uint32_t kolk__tenant_limit(const struct kolk_engine *engine, const struct kolk__tenant *tenant);
/* As many connections as the limits of key, tenant, pool or engine allow; limits of dials are not
 * among them. Of those above the key a moment's truth. Under key.lock. */
bool kolk__at_limit(const struct kolk_key *key);
/* More connections than the limits of key, tenant, pool or engine allow (a limit was lowered). */
bool kolk__over_limit(const struct kolk_key *key);

/* permit_queue.c: keys that were denied */

/* A key that was denied a permit, and by what. Read once, while the key cannot be recycled
 * (key.lock and something that keeps it, or accounting and it is in a permit queue), and carried
 * along: afterwards the key, its tenant and its pool may be others. So what is done for a requester
 * is decided under accounting by what the counts of tenant and pool say then. */
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

/* Under accounting: the key is in this queue from now on, unless it is in one already. */
void kolk__permit_queue_push(struct kolk_engine *engine, struct kolk__permit_queue *queue,
			     struct kolk_key *key);
/* Under accounting: it leaves the queue that it is in, if any. */
void kolk__permit_queue_remove(struct kolk_engine *engine, struct kolk_key *key);
/* Under accounting: a tenant's share changed. */
void kolk__share_changed(struct kolk_engine *engine, struct kolk__account *account);
/* NULL when the queue is empty. Under the accounting lock. */
struct kolk_key *kolk__permit_queue_first(const struct kolk__permit_queue *queue);
/* Removes the first key; NULL when the queue is empty. Under the accounting lock. */
struct kolk_key *kolk__permit_queue_pop(struct kolk_engine *engine,
					struct kolk__permit_queue *queue);
/* The queue of this node of a heap; NULL = NULL. */
struct kolk__permit_queue *kolk__permit_queue_of(struct kolk__timer *heap_node);
/* Moves the queue behind the others of its heap. Under the accounting lock. */
void kolk__permit_queue_requeue(struct kolk_engine *engine, struct kolk__permit_queue *queue);

/* grant.c */

/* A dial or a connection of this key ended: grants its permits to queued keys first, then to its
 * own waiters. No lock held. */
void kolk__permits_freed(const struct kolk__requester *who);
/* A limit was raised, or maintenance runs: every queued key tries. No lock held. */
void kolk__permits_grant(struct kolk_engine *engine);
/* Make a permit free for the first key of a queue: maintenance, while there is one. */
void kolk__evict_for_queued(struct kolk_engine *engine, uint64_t now_ns);

/* victim.c */

/* Does an eviction free what this limit denies? Of dials one will end by itself. */
static inline bool kolk__eviction_helps(enum kolk__denied denied)
{
	return denied == KOLK__TENANT_FULL || denied == KOLK__POOL_FULL ||
	       denied == KOLK__ENGINE_FULL;
}
/* Free a permit of the denied kind: evict an idle connection, or reclaim one from a tenant above
 * its share. A caller's search visits one slice of the connections; what is not found there, that
 * of maintenance finds. No lock held. */
void kolk__evict_for(const struct kolk__requester *who);
/* The same for a key in a permit queue: maintenance's. */
void kolk__evict_by_maintenance(const struct kolk__requester *who);
/* The next key for which a caller's search had nothing, or NULL. Under accounting. */
struct kolk_key *kolk__handed_over_pop(struct kolk_engine *engine);

/* reclaim.c */

/* Is a connection to be reclaimed from its tenant, and could it be one of this key? A hint:
 * kolk__reclaim_conn decides. */
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
/* May this connection, which the caller holds, be closed for what is to be reclaimed from its
 * tenant? Then it is CLOSING, and counted as reclaimed. Under key.lock. */
bool kolk__reclaim_conn(struct kolk__conn *conn);
/* One connection more of the tenant is to be reclaimed, unless another kind is already, or as many
 * as there are keys that wait. Under the accounting lock. */
bool kolk__reclaim_add(const struct kolk__requester *who, struct kolk__account *account,
		       uint32_t reclaim_share, uint32_t reclaim_open);
/* A new round: nothing is to be reclaimed yet. Under the accounting lock. */
void kolk__reclaims_forget(struct kolk_engine *engine);
/* A connection that the caller holds closes for a key that was denied by this limit, until its
 * permits are returned. Under accounting. */
void kolk__eviction_begin(struct kolk__conn *conn, enum kolk__denied denied);
/* The permits of a connection that was evicted for this limit are returned. Under the accounting
 * lock. */
void kolk__eviction_done(struct kolk_key *key, uint8_t denied);

#endif
