/* SPDX-License-Identifier: Apache-2.0 */
/* reclaim.c - connections that a tenant must give back, and those that close for a requester. */
#include "core/permits.h"

void kolk__debts_forget(struct kolk_engine *engine)
{
	KOLK__HELD(&engine->ledger);
	engine->debts = 0;
	kolk__own_add(&engine->debt_round, 1);
}

/* A connection that the caller holds closes for who lacks this, until its permits are given back.
 * Under ledger. */
void kolk__room_begin(struct kolk__conn *conn, enum kolk__lack lack)
{
	struct kolk_key *key = kolk__own(&conn->key);

	KOLK__HELD(&key->engine->ledger);
	KOLK__STATE(conn, KOLK__IS_TAKEN | KOLK__IS_CLOSING);
	conn->room = (uint8_t)lack;
	if (lack == KOLK__ENGINE_FULL)
		key->engine->rooms++;
	else if (lack == KOLK__TENANT_FULL)
		kolk__own(&key->tenant)->own.rooms++;
	else
		kolk__own(&key->pool)->row.rooms++;
}

/* One connection more is owed, unless the tenant owes something else already, or as many as there
 * are keys that wait. Under ledger. */
bool kolk__owe(const struct kolk__requester *who, struct kolk__tenant *tenant,
	       uint32_t debt_share, uint32_t debt_open)
{
	struct kolk_engine *engine = who->key->engine;
	const struct kolk_pool *pool = who->lack == KOLK__POOL_FULL ? who->pool : NULL;
	uint32_t debt = kolk__own(&tenant->debt_round) == kolk__own(&engine->debt_round) ?
				kolk__own(&tenant->debt) : 0;

	KOLK__HELD(&engine->ledger);
	if (debt >= kolk__own(&tenant->open) || debt >= kolk__own(&engine->hungry_count) ||
	    (debt > 0 && (tenant->debt_lack != who->lack ||
			  kolk__own(&tenant->debt_pool) != pool ||
			  (tenant->debt_share == 0) != (debt_share == 0))))
		return false;
	kolk__store_relaxed(&tenant->debt, debt + 1);
	kolk__store_relaxed(&tenant->debt_round, kolk__own(&engine->debt_round));
	kolk__store_relaxed(&tenant->debt_pool, pool);
	kolk__store_relaxed(&tenant->debt_open, debt_open);
	tenant->debt_share = debt_share;
	tenant->debt_lack = who->lack;
	engine->debts += who->lack == KOLK__ENGINE_FULL;
	return true;
}

bool kolk__debt_pay(struct kolk__conn *conn)
{
	struct kolk_key *key = kolk__own(&conn->key);
	struct kolk_engine *engine = key->engine;
	struct kolk__tenant *tenant = kolk__own(&key->tenant);
	bool of_engine, due;

	KOLK__HELD(&key->lock);
	KOLK__STATE(conn, KOLK__IS_TAKEN);
	kolk__take_lock(engine, &engine->ledger);
	due = kolk__owes(key);
	of_engine = tenant->debt_lack == KOLK__ENGINE_FULL;
	if (due && tenant->debt_share != 0 && kolk__share(tenant, 0) <= tenant->debt_share) {
		engine->debts -= of_engine ? kolk__own(&tenant->debt) : 0;
		kolk__store_relaxed(&tenant->debt, 0);
		due = false;
	}
	if (due) {
		kolk__own_sub(&tenant->debt, 1);
		kolk__own_add(&tenant->recalls, 1);
		engine->debts -= of_engine;
		if (of_engine)
			kolk__room_begin(conn, KOLK__ENGINE_FULL);
	}
	kolk__give_lock(engine, &engine->ledger);
	return due;
}

/* It was closed so that somebody who lacks a permit gets one. */
void kolk__room_made(struct kolk_key *key, uint8_t lack)
{
	KOLK__HELD(&key->engine->ledger);
	if (lack == KOLK__TENANT_FULL)
		kolk__own(&key->tenant)->own.rooms--;
	else if (lack == KOLK__POOL_FULL)
		kolk__own(&key->pool)->row.rooms--;
	else if (lack == KOLK__ENGINE_FULL)
		key->engine->rooms--;
}
