/* SPDX-License-Identifier: Apache-2.0 */
/*
 * victim.c - a key was denied a permit: which connection is evicted, or reclaimed from a tenant.
 *
 * A caller's search begins with the candidates, the connections that earlier searches found idle
 * for the longest time (as Redis' eviction pool). Then it visits one slice of the connections that
 * the limit counts, without a lock: KOLK__SEARCH_FEW if a candidate may be evicted, otherwise
 * KOLK__SEARCH_SLICE, or all if there are no more. It evicts the connection that has been idle for
 * longest of all that it knows.
 *
 * A leased connection may be reclaimed only if no connection is idle, and a slice without an idle
 * connection does not prove that. So the caller hands its key over to maintenance, which visits
 * slice after slice until it finds an idle one. If there is none, this is remembered for KNOWN_NS,
 * with the victim, and callers reclaim at once. A connection that becomes idle meanwhile is found
 * by its own key's waiters, in a slice, or when KNOWN_NS is over.
 */
#include "core/effects.h"
#include "core/permits.h"
#include "core/pool.h"
#include "core/release.h"
#include "core/search.h"

/* Are more permits wanted than are being freed? Under accounting. */
static bool is_wanted(const struct kolk__requester *who)
{
	const struct kolk__total *total = who->account->total;

	KOLK__HELD(&who->key->engine->accounting);
	if (who->denied == KOLK__ENGINE_FULL)
		return total->members.evictions + total->to_reclaim < kolk__own(&total->engine_queued_keys);
	if (who->denied == KOLK__TENANT_FULL)
		return who->account->limit.members.evictions <
		       kolk__own(&who->account->limit.queue.keys.count);
	return who->pool->limit.members.evictions < kolk__own(&who->pool->limit.queue.keys.count);
}

/* Does a connection of this key free the permit that was denied when it closes? Its permits return
 * to the tenant and pool that the key has now. */
static bool frees(const struct kolk_key *key, const struct kolk__requester *who)
{
	KOLK__HELD(&key->engine->accounting);
	return who->denied == KOLK__ENGINE_FULL ?
		       kolk__own(&key->account)->total == who->account->total :
	       who->denied == KOLK__TENANT_FULL ? kolk__own(&key->account) == who->account :
						  kolk__own(&key->pool) == who->pool;
}

/* Evict the connection that a search found if it is still idle, belongs to an owner whose permits
 * help, and is still wanted: other threads search too, and it may be another key's by now. Until
 * that is known it is TAKEN, since CLOSING never goes back to IDLE, on which a rotation relies
 * (sweep.c). False = the requester got nothing. */
static bool evict(struct kolk__conn *conn, const struct kolk__requester *who)
{
	struct kolk_engine *engine = who->key->engine;
	bool wanted, fit;

	KOLK__NO_LOCK();
	if (!kolk__conn_take(conn, KOLK__TAKEN))
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

/* The key whose gate must close so that it gives up a connection; NULL = no tenant and no key is
 * above its share. Under accounting. */
static struct kolk_key *victim_of(const struct kolk__search *search)
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
	return kolk__reclaim_add(who, key == search->victim ? search->victim_account : search->requester,
				 share, open) ? key : NULL;
}

/* No connection was idle, or others took those that were. */
static struct kolk_key *reclaim_from_victim(const struct kolk__search *search)
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

/* Evict the best connection found that no other thread has taken first. */
static bool evict_found(const struct kolk__search *search)
{
	if (search->idle != NULL && evict(search->idle, search->who))
		return true;
	for (uint32_t i = 0; i < search->found_count; i++) {
		const struct kolk__candidate *found = &search->found[i];

		if (found->conn != search->idle &&
		    kolk__search_may_evict(search, kolk__load_relaxed(&found->conn->key),
					   kolk__load_relaxed(&found->conn->idle_since_ns)) &&
		    evict(found->conn, search->who))
			return true;
	}
	return false;
}

/* Let maintenance visit all connections for this key, at once. */
static void hand_over(struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;
	bool there = false;

	kolk__take_lock(engine, &engine->accounting);
	for (uint32_t i = 0; i < engine->handed_over_count; i++)
		there = there || engine->handed_over[i] == key;
	if (!there && engine->handed_over_count < KOLK__HANDED_OVER)
		engine->handed_over[engine->handed_over_count++] = key;
	kolk__give_lock(engine, &engine->accounting);
	kolk__maintain_kick(engine); /* if it runs, it runs once more */
}

struct kolk_key *kolk__handed_over_pop(struct kolk_engine *engine)
{
	struct kolk_key *key = NULL;

	KOLK__HELD(&engine->accounting);
	if (engine->handed_over_count > 0)
		key = engine->handed_over[0];
	for (uint32_t i = 1; i < engine->handed_over_count; i++)
		engine->handed_over[i - 1] = engine->handed_over[i];
	engine->handed_over_count -= key != NULL;
	return key;
}

/* No connection could be evicted, of one slice or of all. */
static void search_on(const struct kolk__search *search)
{
	struct kolk_key *key = search->who->key, *victim;
	bool all = kolk__search_is_complete(search);

	if (!all && !search->known) {
		hand_over(key);
		return;
	}
	victim = reclaim_from_victim(search);
	if (victim != NULL)
		reclaim_start(victim);
	/* Again while a key is queued. */
	kolk__maintain_by(key->engine, all || victim != NULL ? search->now_ns + 5 * KOLK_MS_NS :
							       search->known_until_ns);
}

static void evict_for(const struct kolk__requester *who, bool all)
{
	struct kolk_engine *engine = who->key->engine;
	struct kolk__search search;
	uint64_t now_ns;
	bool wanted;

	KOLK__NO_LOCK();
	if (!kolk__eviction_helps(who->denied))
		return;
	kolk__search_fill(&search, who, all);
	kolk__take_lock(engine, &engine->accounting);
	wanted = is_wanted(who);
	if (wanted)
		kolk__search_begin(&search);
	kolk__give_lock(engine, &engine->accounting);
	if (!wanted)
		return;
	kolk__search_run(&search);
	now_ns = kolk__now(engine);
	kolk__take_lock(engine, &engine->accounting);
	kolk__search_end(&search, now_ns);
	kolk__give_lock(engine, &engine->accounting);
	if (!evict_found(&search))
		search_on(&search);
}

void kolk__evict_for(const struct kolk__requester *who)
{
	evict_for(who, false);
}

void kolk__evict_by_maintenance(const struct kolk__requester *who)
{
	evict_for(who, true);
}
