/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hungry.c - whose turn it is when a limit is full: rows of keys, shares, room, debts.
 *
 * Rows. A key that has waiters and lacks a permit stands in one row: of its tenant (the tenant's
 * own limit), of its pool (the pool's limit or dials), or in its tenant's line for the engine's.
 * Tenants' lines stand in a heap by share, so the next permit of the engine goes to the tenant
 * with the fewest connections per weight: max-min fair by progressive filling (Bertsekas,
 * Gallager: Data Networks, section 6.5.2). Within a row: first come, first served.
 *
 * Room. When a limit is full, the connection that is idle for the longest time makes room: any
 * of who has at least what the creditor will have, and after lend_after_ns also of who has
 * less: idle capacity is lent, but not the moment it is put down.
 *
 * Debts. When nothing is idle and somebody has more than the creditor will have, that tenant owes
 * a connection: its next one that comes back is closed instead of leased again (wait.c,
 * shed). Among the keys of one tenant it is the same: who has more than the hungry one will
 * have, owes. And who has nothing at all and has waited for lend_after_ns is owed one by whoever
 * has some, siblings first: so more tenants than connections take turns.
 *
 * A debt is forgotten when it is not due any more because the shares moved, and
 * all are when nobody waits, and every DEBT_NS: who still lacks something then looks again,
 * so a debtor that is slow or gone is in nobody's way.
 */
#include "core/permits.h"

void kolk__row_init(struct kolk__row *row, enum kolk__row_kind kind)
{
	*row = (struct kolk__row){ .kind = kind };
	row->end = &row->first;
}

static struct kolk__tenant *tenant_of(struct kolk__row *line)
{
	return (struct kolk__tenant *)(void *)((char *)line - offsetof(struct kolk__tenant, line));
}

/* Lines by share, the others by turn; equals by turn. */
static void row_place(struct kolk_engine *engine, struct kolk__row *row)
{
	uint64_t turn = ++engine->turns;

	KOLK__HELD(&engine->ledger);
	if (row->kind == KOLK__ROW_ENGINE)
		kolk__heap_push(&engine->hungry, &row->place,
				(uint64_t)kolk__share(tenant_of(row), 0) << 32 | (uint32_t)turn);
	else
		kolk__heap_push(&engine->limited, &row->place, turn);
}

static void row_displace(struct kolk_engine *engine, struct kolk__row *row)
{
	KOLK__HELD(&engine->ledger);
	kolk__heap_remove(row->kind == KOLK__ROW_ENGINE ? &engine->hungry : &engine->limited,
			  &row->place);
}

void kolk__line_move(struct kolk_engine *engine, struct kolk__tenant *tenant)
{
	KOLK__HELD(&engine->ledger);
	if (kolk__own(&tenant->line.count) == 0)
		return;
	row_displace(engine, &tenant->line);
	row_place(engine, &tenant->line);
}

/* Those who feed look at the counts first, without the lock. */
static void row_count(struct kolk_engine *engine, struct kolk__row *row, uint32_t one)
{
	KOLK__HELD(&engine->ledger);
	kolk__own_add(&row->count, one);
	kolk__own_add(&engine->hungry_count, one);
	if (row->kind == KOLK__ROW_ENGINE)
		kolk__own_add(&engine->line_count, one);
}

/* At the end; who had its turn elsewhere and lacks something else now keeps its place. */
void kolk__row_push(struct kolk_engine *engine, struct kolk__row *row, struct kolk_key *key)
{
	struct kolk_key **at;

	KOLK__HELD(&engine->ledger);
	if (kolk__own(&key->row) != NULL)
		return;
	kolk__store_relaxed(&key->row, row);
	if (!key->turn)
		key->hungry_at = ++engine->turns;
	at = key->turn ? &row->first : row->end;
	while (*at != NULL && (*at)->hungry_at < key->hungry_at)
		at = &(*at)->row_next;
	key->row_next = *at;
	*at = key;
	if (key->row_next == NULL)
		row->end = &key->row_next;
	if (kolk__own(&row->count) == 0)
		row_place(engine, row);
	row_count(engine, row, 1);
}

static struct kolk_key *row_take(struct kolk_engine *engine, struct kolk__row *row,
				 struct kolk_key **at)
{
	struct kolk_key *key = *at;

	KOLK__HELD(&engine->ledger);
	if (key == NULL)
		return NULL;
	*at = key->row_next;
	if (key->row_next == NULL)
		row->end = at;
	row_count(engine, row, UINT32_MAX); /* minus one */
	if (kolk__own(&row->count) == 0)
		row_displace(engine, row);
	kolk__store_relaxed(&key->row, NULL);
	if (kolk__own(&engine->hungry_count) == 0)
		kolk__debts_forget(engine);
	return key;
}

struct kolk_key *kolk__row_pop(struct kolk_engine *engine, struct kolk__row *row)
{
	return row_take(engine, row, &row->first);
}

void kolk__row_leave(struct kolk_engine *engine, struct kolk_key *key)
{
	struct kolk_key **at = kolk__own(&key->row) != NULL ? &kolk__own(&key->row)->first : NULL;

	KOLK__HELD(&engine->ledger);
	if (at == NULL)
		return;
	while (*at != key)
		at = &(*at)->row_next;
	(void)row_take(engine, kolk__own(&key->row), at);
}

struct kolk__row *kolk__row_of(struct kolk__timer *place)
{
	return place == NULL ? NULL :
	       (struct kolk__row *)(void *)((char *)place - offsetof(struct kolk__row, place));
}

void kolk__row_again(struct kolk_engine *engine, struct kolk__row *row)
{
	row_displace(engine, row);
	row_place(engine, row);
}
