/* SPDX-License-Identifier: Apache-2.0 */
/* reclaim.c - counts of connections that tenants give back, and that close for requesters. */
#include "core/permits.h"
#include "core/pool.h"

void kolk__reclaims_forget(struct kolk_engine *engine)
{
	KOLK__HELD(&engine->accounting);
	for (int i = 0; i < KOLK__CLASSES; i++)
		engine->totals[i].to_reclaim = 0;
	kolk__own_add(&engine->reclaim_round, 1);
}

void kolk__eviction_begin(struct kolk__conn *conn, enum kolk__denied denied)
{
	struct kolk_key *key = kolk__own(&conn->key);

	KOLK__HELD(&key->engine->accounting);
	KOLK__STATE(conn, KOLK__IS_CLOSING); /* check.c counts those that close */
	conn->evicted_for = (uint8_t)denied;
	if (denied == KOLK__ENGINE_FULL)
		kolk__own(&key->account)->total->members.evictions++;
	else if (denied == KOLK__TENANT_FULL)
		kolk__own(&key->account)->limit.members.evictions++;
	else
		kolk__own(&key->pool)->limit.members.evictions++;
}

bool kolk__reclaim_add(const struct kolk__requester *who, struct kolk__account *account,
		       uint32_t reclaim_share, uint32_t reclaim_open)
{
	struct kolk_engine *engine = who->key->engine;
	const struct kolk_pool *pool = who->denied == KOLK__POOL_FULL ? who->pool : NULL;
	uint32_t to_reclaim = kolk__own(&account->reclaim_round) == kolk__own(&engine->reclaim_round) ?
				kolk__own(&account->to_reclaim) : 0;

	KOLK__HELD(&engine->accounting);
	if (to_reclaim >= kolk__own(&account->open) || to_reclaim >= kolk__own(&engine->queued_keys) ||
	    (to_reclaim > 0 && (account->reclaim_limit != who->denied ||
				kolk__own(&account->reclaim_pool) != pool ||
				(account->reclaim_share == 0) != (reclaim_share == 0))))
		return false;
	kolk__store_relaxed(&account->to_reclaim, to_reclaim + 1);
	kolk__store_relaxed(&account->reclaim_round, kolk__own(&engine->reclaim_round));
	kolk__store_relaxed(&account->reclaim_pool, pool);
	kolk__store_relaxed(&account->reclaim_open, reclaim_open);
	account->reclaim_share = reclaim_share;
	account->reclaim_limit = who->denied;
	account->total->to_reclaim += who->denied == KOLK__ENGINE_FULL;
	return true;
}

bool kolk__reclaim_conn(struct kolk__conn *conn)
{
	struct kolk_key *key = kolk__own(&conn->key);
	struct kolk_engine *engine = key->engine;
	struct kolk__account *account = kolk__own(&key->account);
	bool of_engine, due;

	KOLK__HELD(&key->lock);
	KOLK__STATE(conn, KOLK__IS_TAKEN);
	kolk__take_lock(engine, &engine->accounting);
	due = kolk__reclaim_due(key);
	of_engine = account->reclaim_limit == KOLK__ENGINE_FULL;
	if (due && account->reclaim_share != 0 && kolk__share(account, 0) <= account->reclaim_share) {
		account->total->to_reclaim -= of_engine ? kolk__own(&account->to_reclaim) : 0;
		kolk__store_relaxed(&account->to_reclaim, 0);
		due = false;
	}
	if (due) {
		kolk__conn_set(conn, KOLK__CLOSING);
		kolk__own_sub(&account->to_reclaim, 1);
		kolk__own_add(&account->tenant->reclaimed, 1);
		account->total->to_reclaim -= of_engine;
		if (of_engine)
			kolk__eviction_begin(conn, KOLK__ENGINE_FULL);
	}
	kolk__give_lock(engine, &engine->accounting);
	return due;
}

void kolk__eviction_done(struct kolk_key *key, uint8_t denied)
{
	KOLK__HELD(&key->engine->accounting);
	if (denied == KOLK__TENANT_FULL)
		kolk__own(&key->account)->limit.members.evictions--;
	else if (denied == KOLK__POOL_FULL)
		kolk__own(&key->pool)->limit.members.evictions--;
	else if (denied == KOLK__ENGINE_FULL)
		kolk__own(&key->account)->total->members.evictions--;
}
