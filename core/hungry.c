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
#include "core/effects.h"
#include "core/release.h"

#define DEBT_NS (20 * KOLK_MS_NS)

/* ---- shares */

enum { SHARE_UNIT = 1000 };

/* Connections per weight, if it had so many more. */
static uint32_t share(const struct kolk__tenant *tenant, uint32_t more)
{
	return (uint32_t)((uint64_t)(kolk__load_relaxed(&tenant->open) + more) * SHARE_UNIT /
			  kolk__load_relaxed(&tenant->weight));
}

/* ---- rows: under ledger */

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
				(uint64_t)share(tenant_of(row), 0) << 32 | (uint32_t)turn);
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

/* Under ledger: a debt of another round is none. */
static void debts_forget(struct kolk_engine *engine)
{
	KOLK__HELD(&engine->ledger);
	engine->debts = 0;
	kolk__own_add(&engine->debt_round, 1);
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
		debts_forget(engine);
	return key;
}

static struct kolk_key *row_pop(struct kolk_engine *engine, struct kolk__row *row)
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

static struct kolk__row *row_of(struct kolk__timer *place)
{
	return place == NULL ? NULL :
	       (struct kolk__row *)(void *)((char *)place - offsetof(struct kolk__row, place));
}

/* ---- feeding */

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
	struct kolk_key *key = row_pop(engine, row);

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
		      row_next(engine, row_of(kolk__heap_min(&engine->hungry)), &who);
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

/* ---- room */

struct hunt {
	const struct kolk__requester *who;
	struct kolk__tenant *creditor;
	const struct kolk_pool *pool; /* NULL = any */
	bool own;                     /* only the creditor's own */
	uint32_t creditor_share;      /* with one more */
	uint64_t lent_before_ns;      /* idle since before then: may be lent */
	bool starved;                 /* it has nothing, and that for too long */
	struct kolk__conn *idle;      /* found: idle for the longest time */
	struct kolk_key *debtor;      /* found: a leased connection's key, of the largest share */
	struct kolk__tenant *debtor_tenant;
	uint32_t debtor_share;
	struct kolk_key *sibling;     /* found: the creditor's own key with the most connections */
	uint32_t sibling_open, sibling_share; /* its, and what may not owe any more */
};

static void look_at(struct hunt *hunt, struct kolk__conn *conn)
{
	struct kolk_key *key = kolk__load_relaxed(&conn->key);
	enum kolk__state state = kolk__conn_state(conn);
	uint64_t since_ns = kolk__load_relaxed(&conn->idle_since_ns);
	struct kolk__tenant *owner;
	uint32_t owner_share;

	if ((state != KOLK__IDLE && !kolk__is_leased(state)) ||
	    key == hunt->who->key)
		return;
	owner = kolk__load_relaxed(&key->tenant);
	if ((hunt->own && owner != hunt->creditor) ||
	    (hunt->pool != NULL && kolk__load_relaxed(&key->pool) != hunt->pool))
		return;
	owner_share = share(owner, 0);
	if (state == KOLK__IDLE) {
		if ((owner == hunt->creditor || owner_share >= hunt->creditor_share ||
		     since_ns <= hunt->lent_before_ns) &&
		    (hunt->idle == NULL ||
		     since_ns < kolk__load_relaxed(&hunt->idle->idle_since_ns)))
			hunt->idle = conn;
	} else if (owner == hunt->creditor) {
		if (kolk__load_relaxed(&key->open) > hunt->sibling_open) {
			hunt->sibling = key;
			hunt->sibling_open = kolk__load_relaxed(&key->open);
		}
	} else if ((hunt->starved || owner_share > hunt->creditor_share) &&
		   owner_share > hunt->debtor_share) {
		hunt->debtor = key;
		hunt->debtor_tenant = owner;
		hunt->debtor_share = owner_share;
	}
}

/* A look at a slot costs 2 to 10 ns, so a hunt looks at no more than this: the next one goes on
 * where it ended. */
enum { HUNT_SLOTS = 32768 };

/* Happens only while a limit is full. Begins elsewhere each time, so that of equal debtors' keys
 * not always the same one is asked. */
static void go_hunting(struct hunt *hunt)
{
	struct kolk_engine *engine = hunt->who->key->engine;
	uint32_t used = kolk__load_relaxed(&engine->slots_used);
	uint32_t count = used < HUNT_SLOTS ? used : HUNT_SLOTS, at;

	if (used == 0)
		return;
	at = (count == used ? (uint32_t)kolk__random(engine) :
			      kolk__add_relaxed(&engine->hunted, HUNT_SLOTS)) % used;
	for (; count > 0; count--) {
		look_at(hunt, &engine->slots[at]);
		at = at + 1 < used ? at + 1 : 0;
	}
}

/* Is more room wanted than is being made? Under ledger. */
static bool is_wanted(const struct kolk__requester *who)
{
	const struct kolk_engine *engine = who->key->engine;

	KOLK__HELD(&engine->ledger);
	if (who->lack == KOLK__ENGINE_FULL)
		return engine->rooms + engine->debts < kolk__own(&engine->line_count);
	if (who->lack == KOLK__TENANT_FULL)
		return who->tenant->own.rooms < kolk__own(&who->tenant->own.count);
	return who->pool->row.rooms < kolk__own(&who->pool->row.count);
}

/* Does a connection of this key, when it closes, free what is lacking? Its permits go to its own
 * tenant and pool, whoever they are by now. */
static bool frees(const struct kolk_key *key, const struct kolk__requester *who)
{
	KOLK__HELD(&key->engine->ledger);
	return who->lack == KOLK__ENGINE_FULL ||
	       (who->lack == KOLK__TENANT_FULL ? kolk__own(&key->tenant) == who->tenant :
						 kolk__own(&key->pool) == who->pool);
}

/* A connection that the caller holds closes for who lacks this, until its permits are given back.
 * Under ledger. */
static void make_room_with(struct kolk__conn *conn, enum kolk__lack lack)
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

/* Evict what a hunt found, when it is still there, still of the kind and still wanted: others
 * were hunting, too, and its slot may be another's. What closes never comes back, and a rotation
 * counts on that (sweep.c): it is TAKEN until that is known. False = the requester got
 * nothing. */
static bool evict(struct kolk__conn *conn, const struct kolk__requester *who)
{
	struct kolk_engine *engine = who->key->engine;
	bool wanted, fit;

	KOLK__NO_LOCK();
	if (kolk__conn_take(conn, KOLK__TAKEN) == 0)
		return false;
	kolk__take_lock(engine, &engine->ledger);
	wanted = is_wanted(who);
	fit = frees(kolk__own(&conn->key), who);
	if (wanted && fit) {
		kolk__conn_set(conn, KOLK__CLOSING);
		make_room_with(conn, who->lack);
	}
	kolk__give_lock(engine, &engine->ledger);
	if (wanted && fit)
		kolk__evicted(conn, KOLK_REASON_ROOM);
	else
		kolk__park_later(conn);
	return fit;
}

/* One connection more is owed, unless the tenant owes something else already, or as many as there
 * are keys that wait. Under ledger. */
static bool owe(const struct hunt *hunt, struct kolk__tenant *tenant, uint32_t debt_share,
		uint32_t debt_open)
{
	struct kolk_engine *engine = hunt->who->key->engine;
	uint32_t debt = kolk__own(&tenant->debt_round) == kolk__own(&engine->debt_round) ?
				kolk__own(&tenant->debt) : 0;

	KOLK__HELD(&engine->ledger);
	if (debt >= kolk__own(&tenant->open) || debt >= kolk__own(&engine->hungry_count) ||
	    (debt > 0 && (tenant->debt_lack != hunt->who->lack ||
			  kolk__own(&tenant->debt_pool) != hunt->pool ||
			  (tenant->debt_share == 0) != (debt_share == 0))))
		return false;
	kolk__store_relaxed(&tenant->debt, debt + 1);
	kolk__store_relaxed(&tenant->debt_round, kolk__own(&engine->debt_round));
	kolk__store_relaxed(&tenant->debt_pool, hunt->pool);
	kolk__store_relaxed(&tenant->debt_open, debt_open);
	tenant->debt_share = debt_share;
	tenant->debt_lack = hunt->who->lack;
	engine->debts += hunt->who->lack == KOLK__ENGINE_FULL;
	return true;
}

/* Whose key has to be told that it owes; NULL = nobody has more than is fair. Under ledger. */
static struct kolk_key *debtor_of(const struct hunt *hunt)
{
	if (hunt->debtor_share > hunt->creditor_share)
		return owe(hunt, hunt->debtor_tenant, hunt->creditor_share, 0) ? hunt->debtor :
										 NULL;
	if (hunt->sibling_open > hunt->sibling_share)
		return owe(hunt, hunt->creditor, 0, hunt->sibling_share) ? hunt->sibling : NULL;
	return hunt->debtor != NULL && owe(hunt, hunt->debtor_tenant, 0, 0) ? hunt->debtor : NULL;
}

/* Nothing was idle. */
static struct kolk_key *lend(const struct hunt *hunt)
{
	struct kolk_engine *engine = hunt->who->key->engine;
	struct kolk_key *debtor;

	kolk__take_lock(engine, &engine->ledger);
	debtor = is_wanted(hunt->who) ? debtor_of(hunt) : NULL;
	kolk__give_lock(engine, &engine->ledger);
	return debtor;
}

/* Close the gate of the debtor's key, so that what comes back is looked at. */
static void demand(struct kolk_key *key)
{
	KOLK__EFFECTS(effects);

	KOLK__NO_LOCK();
	kolk__key_lock(key, &effects, kolk__now(key->engine));
	effects.todo |= KOLK__SERVE;
	kolk__key_unlock(&effects);
}

static bool is_starved(const struct kolk_key *key, uint64_t now_ns)
{
	uint64_t since_ns = kolk__load_relaxed(&key->queued_at_ns);

	return kolk__load_relaxed(&key->open) == 0 && kolk__load_relaxed(&key->waiting) > 0 &&
	       now_ns > since_ns && now_ns - since_ns >= key->engine->lend_after_ns;
}

/* The key may be recycled: what is read of it only chooses. */
static void hunt_for(const struct kolk__requester *who)
{
	const struct kolk_key *key = who->key;
	struct kolk_engine *engine = key->engine;
	uint64_t now_ns = kolk__now(engine);
	struct hunt hunt = { .who = who, .creditor = who->tenant,
			     .own = who->lack == KOLK__TENANT_FULL,
			     .pool = who->lack == KOLK__POOL_FULL ? who->pool : NULL,
			     .creditor_share = share(who->tenant, 1),
			     .starved = is_starved(key, now_ns) };
	struct kolk_key *debtor;

	KOLK__NO_LOCK();
	hunt.sibling_share = hunt.starved ? 0 : kolk__load_relaxed(&key->open) + 1;
	hunt.lent_before_ns = now_ns > engine->lend_after_ns ? now_ns - engine->lend_after_ns : 0;
	go_hunting(&hunt);
	if (hunt.idle != NULL && evict(hunt.idle, who))
		return;
	debtor = lend(&hunt);
	if (debtor != NULL)
		demand(debtor);
	kolk__maintain_by(engine, now_ns + 5 * KOLK_MS_NS); /* and while somebody is hungry */
}

void kolk__make_room(const struct kolk__requester *who)
{
	struct kolk_engine *engine = who->key->engine;
	enum kolk__lack lack = who->lack;
	bool wanted;

	KOLK__NO_LOCK();
	if (lack != KOLK__TENANT_FULL && lack != KOLK__POOL_FULL && lack != KOLK__ENGINE_FULL)
		return; /* a dial will end: no room is needed */
	kolk__take_lock(engine, &engine->ledger);
	wanted = is_wanted(who);
	kolk__give_lock(engine, &engine->ledger);
	if (wanted)
		hunt_for(who);
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
	if (due && tenant->debt_share != 0 && share(tenant, 0) <= tenant->debt_share) {
		engine->debts -= of_engine ? kolk__own(&tenant->debt) : 0;
		kolk__store_relaxed(&tenant->debt, 0);
		due = false;
	}
	if (due) {
		kolk__own_sub(&tenant->debt, 1);
		kolk__own_add(&tenant->recalls, 1);
		engine->debts -= of_engine;
		if (of_engine)
			make_room_with(conn, KOLK__ENGINE_FULL);
	}
	kolk__give_lock(engine, &engine->ledger);
	return due;
}

/* ---- maintenance */

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
		row_of(kolk__heap_min(limited ? &engine->limited : &engine->hungry));

	KOLK__HELD(&engine->ledger);
	if (row == NULL)
		return false;
	*who = kolk__requester_of(row->first, what_lacks(engine, row));
	if (limited) { /* the line has an order: it stays */
		row_displace(engine, row);
		row_place(engine, row);
	}
	if (kolk__load_relaxed(&who->key->waiting) == 0 || who->lack == KOLK__ENOUGH) {
		(void)row_pop(engine, row);
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
		debts_forget(engine);
	}
	kolk__give_lock(engine, &engine->ledger);
	room_for_first(engine, false);
	room_for_first(engine, true);
}
