/* SPDX-License-Identifier: Apache-2.0 */
/* victim.c - a key was denied a permit: which connection is evicted, or reclaimed from a tenant. */
#include "core/effects.h"
#include "core/permits.h"
#include "core/pool.h"
#include "core/release.h"

struct victim_search {
	const struct kolk__requester *who;
	struct kolk__tenant *requester;
	const struct kolk_pool *pool; /* NULL = any */
	bool own;                     /* only of the requester itself */
	uint32_t requester_share;      /* with one more */
	uint64_t lent_before_ns;      /* idle since before then: may be lent */
	bool starved;                 /* it has nothing, and that for too long */
	struct kolk__conn *idle;      /* found: idle for the longest time */
	struct kolk_key *victim;      /* found: a leased connection's key, of the largest share */
	struct kolk__tenant *victim_tenant;
	uint32_t victim_share;
	struct kolk_key *sibling;     /* found: the requester's own key with the most connections */
	uint32_t sibling_open, sibling_share; /* its, and up to which a sibling gives none */
};

static void search_visit(struct victim_search *search, struct kolk__conn *conn)
{
	struct kolk_key *key = kolk__load_relaxed(&conn->key);
	enum kolk__state state = kolk__conn_state(conn);
	uint64_t since_ns = kolk__load_relaxed(&conn->idle_since_ns);
	struct kolk__tenant *owner;
	uint32_t owner_share;

	if ((state != KOLK__IDLE && !kolk__is_leased(state)) ||
	    key == search->who->key)
		return;
	owner = kolk__load_relaxed(&key->tenant);
	if ((search->own && owner != search->requester) ||
	    (search->pool != NULL && kolk__load_relaxed(&key->pool) != search->pool))
		return;
	owner_share = kolk__share(owner, 0);
	if (state == KOLK__IDLE) {
		if ((owner == search->requester || owner_share >= search->requester_share ||
		     since_ns <= search->lent_before_ns) &&
		    (search->idle == NULL ||
		     since_ns < kolk__load_relaxed(&search->idle->idle_since_ns)))
			search->idle = conn;
	} else if (owner == search->requester) {
		if (kolk__load_relaxed(&key->open) > search->sibling_open) {
			search->sibling = key;
			search->sibling_open = kolk__load_relaxed(&key->open);
		}
	} else if ((search->starved || owner_share > search->requester_share) &&
		   owner_share > search->victim_share) {
		search->victim = key;
		search->victim_tenant = owner;
		search->victim_share = owner_share;
	}
}

/* A connection costs 2 to 10 ns, so a search visits no more than this: the next one begins where it
 * ended. */
enum { SEARCH_MAX = 32768 };

/* Happens only while a limit is full. Begins elsewhere each time, so that of equal victims' keys
 * not always the same one is chosen. */
static void search_run(struct victim_search *search)
{
	struct kolk_engine *engine = search->who->key->engine;
	uint32_t used = kolk__load_relaxed(&engine->conns_used);
	uint32_t count = used < SEARCH_MAX ? used : SEARCH_MAX, at;

	if (used == 0)
		return;
	at = (count == used ? (uint32_t)kolk__random(engine) :
			      kolk__add_relaxed(&engine->search_next, SEARCH_MAX)) % used;
	for (; count > 0; count--) {
		search_visit(search, &engine->conns[at]);
		at = at + 1 < used ? at + 1 : 0;
	}
}

/* Are more permits wanted than are being freed? Under accounting. */
static bool is_wanted(const struct kolk__requester *who)
{
	const struct kolk_engine *engine = who->key->engine;

	KOLK__HELD(&engine->accounting);
	if (who->denied == KOLK__ENGINE_FULL)
		return engine->evictions + engine->to_reclaim < kolk__own(&engine->engine_queued_keys);
	if (who->denied == KOLK__TENANT_FULL)
		return who->tenant->limit_queue.evictions < kolk__own(&who->tenant->limit_queue.count);
	return who->pool->permit_queue.evictions < kolk__own(&who->pool->permit_queue.count);
}

/* Does a connection of this key, when it closes, free what was denied? Its permits go to its own
 * tenant and pool, whichever they are by now. */
static bool frees(const struct kolk_key *key, const struct kolk__requester *who)
{
	KOLK__HELD(&key->engine->accounting);
	return who->denied == KOLK__ENGINE_FULL ||
	       (who->denied == KOLK__TENANT_FULL ? kolk__own(&key->tenant) == who->tenant :
						 kolk__own(&key->pool) == who->pool);
}

/* Evict what a search found, if it is still idle, still of the right owner and still wanted: others
 * were searching, too, and it may be another key's connection. CLOSING never goes back to IDLE, and
 * a rotation counts on that (sweep.c): it is TAKEN until that is known. False = the requester got
 * nothing. */
static bool evict(struct kolk__conn *conn, const struct kolk__requester *who)
{
	struct kolk_engine *engine = who->key->engine;
	bool wanted, fit;

	KOLK__NO_LOCK();
	if (kolk__conn_take(conn, KOLK__TAKEN) == 0)
		return false;
	kolk__take_lock(engine, &engine->accounting);
	wanted = is_wanted(who);
	fit = frees(kolk__own(&conn->key), who);
	if (wanted && fit) {
		kolk__conn_set(conn, KOLK__CLOSING);
		kolk__eviction_begin(conn, who->denied);
	}
	kolk__give_lock(engine, &engine->accounting);
	if (wanted && fit)
		kolk__evict_finish(conn, KOLK_REASON_ROOM);
	else
		kolk__post_idle(conn);
	return fit;
}

/* The key whose gate must close, so that it gives a connection; NULL = no tenant and no key is
 * above its share. Under accounting. */
static struct kolk_key *victim_of(const struct victim_search *search)
{
	const struct kolk__requester *who = search->who;
	uint32_t share = 0, open = 0;
	struct kolk_key *key = search->victim;

	if (search->victim_share > search->requester_share) {
		share = search->requester_share;
	} else if (search->sibling_open > search->sibling_share) {
		key = search->sibling;
		open = search->sibling_share;
	}
	if (key == NULL)
		return NULL;
	return kolk__reclaim_add(who, key == search->victim ? search->victim_tenant : search->requester,
				 share, open) ? key : NULL;
}

/* Nothing was idle. */
static struct kolk_key *reclaim_from_victim(const struct victim_search *search)
{
	struct kolk_engine *engine = search->who->key->engine;
	struct kolk_key *victim;

	kolk__take_lock(engine, &engine->accounting);
	victim = is_wanted(search->who) ? victim_of(search) : NULL;
	kolk__give_lock(engine, &engine->accounting);
	return victim;
}

/* Close the gate of the victim's key, so that releases take the slow path. */
static void reclaim_start(struct kolk_key *key)
{
	KOLK__EFFECTS(effects);

	KOLK__NO_LOCK();
	kolk__key_lock(key, &effects, kolk__now(key->engine));
	effects.todo |= KOLK__DISPATCH;
	kolk__key_unlock(&effects);
}

static bool is_starved(const struct kolk_key *key, uint64_t now_ns)
{
	uint64_t since_ns = kolk__load_relaxed(&key->queued_at_ns);

	return kolk__load_relaxed(&key->open) == 0 && kolk__load_relaxed(&key->waiting) > 0 &&
	       now_ns > since_ns && now_ns - since_ns >= key->engine->lend_after_ns;
}

/* The key may be recycled: what is read of it only chooses. */
static void victim_find(const struct kolk__requester *who)
{
	const struct kolk_key *key = who->key;
	struct kolk_engine *engine = key->engine;
	uint64_t now_ns = kolk__now(engine);
	struct victim_search search = { .who = who, .requester = who->tenant,
					.own = who->denied == KOLK__TENANT_FULL,
					.pool = who->denied == KOLK__POOL_FULL ? who->pool : NULL,
					.requester_share = kolk__share(who->tenant, 1),
					.starved = is_starved(key, now_ns) };
	struct kolk_key *victim;

	KOLK__NO_LOCK();
	search.sibling_share = search.starved ? 0 : kolk__load_relaxed(&key->open) + 1;
	search.lent_before_ns = now_ns > engine->lend_after_ns ? now_ns - engine->lend_after_ns : 0;
	search_run(&search);
	if (search.idle != NULL && evict(search.idle, who))
		return;
	victim = reclaim_from_victim(&search);
	if (victim != NULL)
		reclaim_start(victim);
	kolk__maintain_by(engine, now_ns + 5 * KOLK_MS_NS); /* again while a key is queued */
}

void kolk__evict_for(const struct kolk__requester *who)
{
	struct kolk_engine *engine = who->key->engine;
	bool wanted;

	KOLK__NO_LOCK();
	if (!kolk__eviction_helps(who->denied))
		return;
	kolk__take_lock(engine, &engine->accounting);
	wanted = is_wanted(who);
	kolk__give_lock(engine, &engine->accounting);
	if (wanted)
		victim_find(who);
}
