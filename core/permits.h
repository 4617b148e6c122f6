/* SPDX-License-Identifier: Apache-2.0 */
/*
 * permits.h - permits of tenant, pool and engine: taken and returned (budget.c), queued for
 * (hungry.c), granted (grant.c), and what makes one free (victim.c, reclaim.c).
 */
#ifndef KOLK_PERMITS_H
#define KOLK_PERMITS_H

#include "core/engine.h"

/* budget.c: permits */

/* A slot with every permit (tenant, pool, engine, dial), or NULL and what is lacking. The key's
 * own limit is its lock's. Who lacks something and has waiters stands in the row for it from
 * that moment on. A dial that no caller waits for leaves a permit to each key that is
 * hungry. Under key.lock. */
struct kolk__conn *kolk__permit_take(struct kolk_key *key, bool for_caller,
				     enum kolk__lack *lack);
/* The dial is over, the connection goes on. */
void kolk__dial_permit_give(struct kolk__conn *conn);
/* The connection is closed. Under key.lock. */
void kolk__permit_give(struct kolk__conn *conn);
/* A connection that the caller holds closes for a lowered limit, until its permit is given back.
 * Under key.lock. */
void kolk__shrink(struct kolk__conn *conn);
uint32_t kolk__tenant_limit(const struct kolk_engine *engine, const struct kolk__tenant *tenant);
/* More connections than the limits of key, tenant, pool or engine allow (a limit was lowered). */
bool kolk__over_limit(const struct kolk_key *key);

/* hungry.c: whose turn it is */

/* Who lacks a permit, and which. Read once, while the key cannot be recycled (key.lock and
 * something that keeps it, or ledger and it stands in a row), and carried along: afterwards the
 * key may be another's, and its tenant and pool, too. So what is done for a requester is decided
 * under the ledger by what the counts of tenant and pool say then. */
struct kolk__requester {
	struct kolk_key *key;
	uint64_t id; /* of the key; another = it was recycled */
	struct kolk__tenant *tenant;
	struct kolk_pool *pool;
	enum kolk__lack lack;
};

static inline struct kolk__requester kolk__requester_of(struct kolk_key *key,
							 enum kolk__lack lack)
{
	return (struct kolk__requester){ .key = key, .id = kolk__load_relaxed(&key->id),
					 .tenant = kolk__own(&key->tenant),
					 .pool = kolk__own(&key->pool), .lack = lack };
}

/* Under ledger: the key stands in this row from now on, unless it stands in one already. */
void kolk__row_push(struct kolk_engine *engine, struct kolk__row *row, struct kolk_key *key);
/* Under ledger: it is going; walks the row. */
void kolk__row_leave(struct kolk_engine *engine, struct kolk_key *key);
/* Under ledger: a tenant's share changed. */
void kolk__line_move(struct kolk_engine *engine, struct kolk__tenant *tenant);
/* The first of the row, out of it; NULL when it is empty. Under ledger. */
struct kolk_key *kolk__row_pop(struct kolk_engine *engine, struct kolk__row *row);
/* Whose place in a heap this is; NULL = no row's. */
struct kolk__row *kolk__row_of(struct kolk__timer *place);
/* Behind the others of its heap again. Under ledger. */
void kolk__row_again(struct kolk_engine *engine, struct kolk__row *row);

/* grant.c */

/* A dial or a connection of this key ended: who waits for its permits first, then its own
 * wishes. No lock held. */
void kolk__permits_moved(const struct kolk__requester *who);
/* A limit was raised, or maintenance looks: whoever waits tries. No lock held. */
void kolk__hungry_feed(struct kolk_engine *engine);
/* Room for who is first in a row: maintenance, while there is one. */
void kolk__hungry_room(struct kolk_engine *engine, uint64_t now_ns);

/* victim.c */

/* Free a permit of the lacking kind: evict an idle connection that may be taken, or recall one
 * from a tenant with more than its share. No lock held. */
void kolk__make_room(const struct kolk__requester *who);

/* reclaim.c */

/* Does its tenant owe a connection that this key could pay? A hint: what is really due is settled
 * when one is in hand. */
static inline bool kolk__owes(const struct kolk_key *key)
{
	const struct kolk__tenant *tenant = kolk__own(&key->tenant);
	const struct kolk_pool *pool;

	if (KOLK_LIKELY(kolk__load_relaxed(&tenant->debt) == 0) ||
	    kolk__load_relaxed(&tenant->debt_round) != kolk__load_relaxed(&key->engine->debt_round))
		return false;
	pool = kolk__load_relaxed(&tenant->debt_pool);
	return (pool == NULL || pool == kolk__own(&key->pool)) &&
	       kolk__own(&key->open) > kolk__load_relaxed(&tenant->debt_open);
}
/* May this connection, which the caller holds, be closed for what its tenant owes? Then one is
 * paid. Under key.lock. */
bool kolk__debt_pay(struct kolk__conn *conn);
/* One connection more is owed, unless the tenant owes something else already, or as many as there
 * are keys that wait. Under ledger. */
bool kolk__owe(const struct kolk__requester *who, struct kolk__tenant *tenant,
	       uint32_t debt_share, uint32_t debt_open);
/* A debt of another round is none. Under ledger. */
void kolk__debts_forget(struct kolk_engine *engine);
/* A connection that the caller holds closes for who lacks this, until its permits are given back.
 * Under ledger. */
void kolk__room_begin(struct kolk__conn *conn, enum kolk__lack lack);
/* They are given back. Under ledger. */
void kolk__room_made(struct kolk_key *key, uint8_t lack);

#endif
