/* SPDX-License-Identifier: Apache-2.0 */
/* reclaim.c - counts of connections that tenants give back, and that close for requesters. */
#include "core/permits.h"
#include "core/pool.h"

void kolk__reclaims_forget(struct kolk_engine *engine)
{
	KOLK__HELD(&engine->accounting);
	engine->to_reclaim = 0;
	kolk__own_add(&engine->reclaim_round, 1);
}

void kolk__eviction_begin(struct kolk__conn *conn, enum kolk__denied denied)
{
	struct kolk_key *key = kolk__own(&conn->key);

	KOLK__HELD(&key->engine->accounting);
	KOLK__STATE(conn, KOLK__IS_CLOSING); /* check.c counts those that close */
	conn->evicted_for = (uint8_t)denied;
	if (denied == KOLK__ENGINE_FULL)
		key->engine->evictions++;
	else if (denied == KOLK__TENANT_FULL)
		kolk__own(&key->tenant)->limit_queue.evictions++;
	else
		kolk__own(&key->pool)->permit_queue.evictions++;
}

bool kolk__reclaim_add(const struct kolk__requester *who, struct kolk__tenant *tenant,
		       uint32_t reclaim_share, uint32_t reclaim_open)
{
	struct kolk_engine *engine = who->key->engine;
	const struct kolk_pool *pool = who->denied == KOLK__POOL_FULL ? who->pool : NULL;
	uint32_t to_reclaim = kolk__own(&tenant->reclaim_round) == kolk__own(&engine->reclaim_round) ?
				kolk__own(&tenant->to_reclaim) : 0;

	KOLK__HELD(&engine->accounting);
	if (to_reclaim >= kolk__own(&tenant->open) || to_reclaim >= kolk__own(&engine->queued_keys) ||
	    (to_reclaim > 0 && (tenant->reclaim_limit != who->denied ||
				kolk__own(&tenant->reclaim_pool) != pool ||
				(tenant->reclaim_share == 0) != (reclaim_share == 0))))
		return false;
	kolk__store_relaxed(&tenant->to_reclaim, to_reclaim + 1);
	kolk__store_relaxed(&tenant->reclaim_round, kolk__own(&engine->reclaim_round));
	kolk__store_relaxed(&tenant->reclaim_pool, pool);
	kolk__store_relaxed(&tenant->reclaim_open, reclaim_open);
	tenant->reclaim_share = reclaim_share;
	tenant->reclaim_limit = who->denied;
	engine->to_reclaim += who->denied == KOLK__ENGINE_FULL;
	return true;
}

bool kolk__reclaim_conn(struct kolk__conn *conn)
{
	struct kolk_key *key = kolk__own(&conn->key);
	struct kolk_engine *engine = key->engine;
	struct kolk__tenant *tenant = kolk__own(&key->tenant);
	bool of_engine, due;

	KOLK__HELD(&key->lock);
	KOLK__STATE(conn, KOLK__IS_TAKEN);
	kolk__take_lock(engine, &engine->accounting);
	due = kolk__reclaim_due(key);
	of_engine = tenant->reclaim_limit == KOLK__ENGINE_FULL;
	if (due && tenant->reclaim_share != 0 && kolk__share(tenant, 0) <= tenant->reclaim_share) {
		engine->to_reclaim -= of_engine ? kolk__own(&tenant->to_reclaim) : 0;
		kolk__store_relaxed(&tenant->to_reclaim, 0);
		due = false;
	}
	if (due) {
		kolk__conn_set(conn, KOLK__CLOSING);
		kolk__own_sub(&tenant->to_reclaim, 1);
		kolk__own_add(&tenant->reclaimed, 1);
		engine->to_reclaim -= of_engine;
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
		kolk__own(&key->tenant)->limit_queue.evictions--;
	else if (denied == KOLK__POOL_FULL)
		kolk__own(&key->pool)->permit_queue.evictions--;
	else if (denied == KOLK__ENGINE_FULL)
		key->engine->evictions--;
}
