/* SPDX-License-Identifier: Apache-2.0 */
/* grant.c - permits that came free go to the keys that wait for them, in order. */
#include "core/effects.h"
#include "core/permits.h"

#define DEBT_NS (20 * KOLK_MS_NS)

static bool engine_is_full(const struct kolk_engine *engine)
{
	return kolk__own(&engine->open) >= kolk__own(&engine->connections_max) ||
	       kolk__own(&engine->dialing) >= engine->dials_max;
}

/* Its turn has come: fed = in the engine's line, so it need not ask there again. No lock held.
 * The key may have been recycled since it stood in the row: then it is another's, which has no
 * turn. */
static void try(const struct kolk__requester *who, bool fed)
{
	struct kolk_key *key = who->key;
	KOLK__EFFECTS(effects);

	KOLK__NO_LOCK();
	kolk__key_lock(key, &effects, kolk__now(key->engine));
	if (effects.who.id == who->id) {
		key->fed = fed;
		key->turn = true;
		kolk__dial_more(key, &effects);
		key->fed = key->turn = false;
		effects.todo |= KOLK__UNUSED; /* it stood in a row: that kept it */
	}
	kolk__key_unlock(&effects);
}

/* The first of a row, out of it. A key that stands in one is nobody else's yet. Under ledger. */
static bool row_next(struct kolk_engine *engine, struct kolk__row *row,
		     struct kolk__requester *who)
{
	struct kolk_key *key = kolk__row_pop(engine, row);

	KOLK__HELD(&engine->ledger);
	if (key == NULL)
		return false;
	*who = kolk__requester_of(key, KOLK__ENOUGH);
	return true;
}

/* The engine's permits, to the smallest shares. Each key that was in a line gets one try:
 * it dials, or stands in another row, or the engine is full again. */
static void feed_lines(struct kolk_engine *engine)
{
	uint32_t tries = kolk__load_relaxed(&engine->line_count);
	struct kolk__requester who;
	bool any;

	while (tries-- > 0) {
		kolk__take_lock(engine, &engine->ledger);
		any = engine->hungry.root != NULL && !engine_is_full(engine) &&
		      row_next(engine, kolk__row_of(kolk__heap_min(&engine->hungry)), &who);
		kolk__give_lock(engine, &engine->ledger);
		if (!any)
			return;
		try(&who, true);
	}
}

/* A tenant's or pool's own permits: first come, first served, until one lacks the same again or
 * goes on to the engine's line: the permit that came free is for one. The row may be another
 * owner's by now: its keys get a try that they did not need. */
static void feed_row(struct kolk_engine *engine, struct kolk__row *row)
{
	uint32_t tries = kolk__load_relaxed(&row->count);
	struct kolk__requester who;
	const struct kolk__row *next;
	bool any, over = false;

	while (tries-- > 0 && !over) {
		kolk__take_lock(engine, &engine->ledger);
		any = row_next(engine, row, &who);
		kolk__give_lock(engine, &engine->ledger);
		if (!any)
			return;
		try(&who, false);
		next = kolk__load_relaxed(&who.key->row); /* relaxed: costs a try more */
		over = next == row || next == &who.tenant->line;
	}
}

void kolk__permits_moved(const struct kolk__requester *who)
{
	struct kolk_key *key = who->key;
	struct kolk_engine *engine = key->engine;
	KOLK__EFFECTS(effects);

	KOLK__NO_LOCK();
	feed_row(engine, &who->tenant->own);
	feed_row(engine, &who->pool->row);
	feed_lines(engine);
	kolk__key_lock(key, &effects, kolk__now(engine));
	if (effects.who.id == who->id)
		effects.todo |= KOLK__DIAL;
	kolk__key_unlock(&effects);
}

void kolk__hungry_feed(struct kolk_engine *engine)
{
	KOLK__NO_LOCK();
	feed_lines(engine);
}

static enum kolk__lack what_lacks(const struct kolk_engine *engine, const struct kolk__row *row)
{
	const struct kolk__tenant *tenant = kolk__own(&row->first->tenant);
	const struct kolk_pool *pool = kolk__own(&row->first->pool);

	KOLK__HELD(&engine->ledger);
	switch (row->kind) {
	case KOLK__ROW_TENANT:
		return kolk__own(&tenant->open) >= kolk__tenant_limit(engine, tenant) ?
			       KOLK__TENANT_FULL : KOLK__ENOUGH;
	case KOLK__ROW_POOL:
		return kolk__own(&pool->open) >= kolk__setting(pool, pool_connections_max) ?
			       KOLK__POOL_FULL :
		       kolk__own(&pool->dialing) >= kolk__setting(pool, dials_max) ?
			       KOLK__POOL_DIALS : KOLK__ENOUGH;
	default:
		return kolk__own(&engine->open) >= kolk__own(&engine->connections_max) ?
			       KOLK__ENGINE_FULL : KOLK__ENGINE_DIALS;
	}
}

/* Who is first in the line, or in the row that was not looked at for the longest time. Who lost
 * its waiters, or lacks nothing any more, leaves the row. Under ledger. */
static bool first_hungry(struct kolk_engine *engine, bool limited, struct kolk__requester *who)
{
	struct kolk__row *row =
		kolk__row_of(kolk__heap_min(limited ? &engine->limited : &engine->hungry));

	KOLK__HELD(&engine->ledger);
	if (row == NULL)
		return false;
	*who = kolk__requester_of(row->first, what_lacks(engine, row));
	if (limited) { /* the line has an order: it stays */
		kolk__row_again(engine, row);
	}
	if (kolk__load_relaxed(&who->key->waiting) == 0 || who->lack == KOLK__ENOUGH) {
		(void)kolk__row_pop(engine, row);
		who->lack = KOLK__ENOUGH;
	}
	return true;
}

static void room_for_first(struct kolk_engine *engine, bool limited)
{
	struct kolk__requester who;
	bool any;

	kolk__take_lock(engine, &engine->ledger);
	any = first_hungry(engine, limited, &who);
	kolk__give_lock(engine, &engine->ledger);
	if (any && who.lack == KOLK__ENOUGH)
		try(&who, false);
	else if (any)
		kolk__make_room(&who);
}

void kolk__hungry_room(struct kolk_engine *engine, uint64_t now_ns)
{
	KOLK__NO_LOCK();
	kolk__take_lock(engine, &engine->ledger);
	if (now_ns - engine->debts_since_ns >= DEBT_NS) {
		engine->debts_since_ns = now_ns;
		kolk__debts_forget(engine);
	}
	kolk__give_lock(engine, &engine->ledger);
	room_for_first(engine, false);
	room_for_first(engine, true);
}
