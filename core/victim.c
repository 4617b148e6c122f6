/* SPDX-License-Identifier: Apache-2.0 */
/* victim.c - a permit is lacking: which connection is evicted, or which tenant gives one back. */
#include "core/effects.h"
#include "core/permits.h"
#include "core/release.h"

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
	owner_share = kolk__share(owner, 0);
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
		kolk__room_begin(conn, who->lack);
	}
	kolk__give_lock(engine, &engine->ledger);
	if (wanted && fit)
		kolk__evicted(conn, KOLK_REASON_ROOM);
	else
		kolk__park_later(conn);
	return fit;
}

/* Whose key has to be told that it owes; NULL = nobody has more than is fair. Under ledger. */
static struct kolk_key *debtor_of(const struct hunt *hunt)
{
	if (hunt->debtor_share > hunt->creditor_share)
		return kolk__owe(hunt->who, hunt->debtor_tenant, hunt->creditor_share, 0) ? hunt->debtor :
										 NULL;
	if (hunt->sibling_open > hunt->sibling_share)
		return kolk__owe(hunt->who, hunt->creditor, 0, hunt->sibling_share) ? hunt->sibling : NULL;
	return hunt->debtor != NULL && kolk__owe(hunt->who, hunt->debtor_tenant, 0, 0) ?
		       hunt->debtor : NULL;
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
			     .creditor_share = kolk__share(who->tenant, 1),
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
