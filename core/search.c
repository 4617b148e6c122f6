/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search.c - victim searches: slices of connections, candidates, and what is known afterwards.
 *
 * Slices, candidates and the remembered victim are hints. Connections, keys and tenants are
 * type-stable, and a value read from one that has been recycled can only lead to a worse choice:
 * kolk__conn_take decides who has the connection, and evict() checks its owner under accounting.
 */
#include "core/search.h"

#include "core/pool.h"

/* ---- visit connections */

static bool is_in_scope(const struct kolk__search *search, struct kolk_key *key)
{
	const struct kolk__account *account = kolk__load_relaxed(&key->account);

	return key != search->who->key && account->total == search->requester->total &&
	       (!search->own || account == search->requester) &&
	       (search->pool == NULL || kolk__load_relaxed(&key->pool) == search->pool);
}

/* Idle connections of a tenant with a smaller share are lent to others only after lend_after. */
bool kolk__search_may_evict(const struct kolk__search *search, struct kolk_key *key,
			    uint64_t since_ns)
{
	const struct kolk__account *owner = kolk__load_relaxed(&key->account);

	return is_in_scope(search, key) &&
	       (owner == search->requester ||
		kolk__share(owner, 0) >= search->requester_share ||
		since_ns <= search->lent_before_ns);
}

static bool is_among_oldest(const struct kolk__search *search, uint64_t since_ns)
{
	return search->found_count < KOLK__CANDIDATES ||
	       since_ns < search->found[KOLK__CANDIDATES - 1].since_ns;
}

static bool is_candidate(const struct kolk__search *search, const struct kolk__conn *conn)
{
	for (uint32_t i = 0; i < search->found_count; i++)
		if (search->found[i].conn == conn)
			return true;
	return false;
}

/* The connection is among those idle for longest; the list stays sorted. */
static void candidate_add(struct kolk__search *search, struct kolk__conn *conn, uint64_t since_ns)
{
	struct kolk__candidate *found = search->found;
	uint32_t at = search->found_count;

	at -= at == KOLK__CANDIDATES;
	for (; at > 0 && found[at - 1].since_ns > since_ns; at--)
		found[at] = found[at - 1];
	found[at] = (struct kolk__candidate){ .conn = conn, .since_ns = since_ns };
	if (search->found_count < KOLK__CANDIDATES)
		search->found_count++;
}

/* The key, and what it leads to, is read only if no connection so far has been idle for longer:
 * reading it costs three cache misses. */
static void visit_idle(struct kolk__search *search, struct kolk__conn *conn, struct kolk_key *key)
{
	uint64_t since_ns = kolk__load_relaxed(&conn->idle_since_ns);

	search->none_idle = search->none_idle && !is_in_scope(search, key);
	if (is_among_oldest(search, since_ns) && !is_candidate(search, conn))
		candidate_add(search, conn, since_ns);
	if ((search->idle == NULL || since_ns < search->idle_since_ns) &&
	    kolk__search_may_evict(search, key, since_ns)) {
		search->idle = conn;
		search->idle_since_ns = since_ns;
	}
}

/* The key of a leased connection: is it a better victim? */
static void visit_leased(struct kolk__search *search, struct kolk_key *key)
{
	struct kolk__account *owner = kolk__load_relaxed(&key->account);
	uint32_t owner_share = kolk__share(owner, 0);

	if (!is_in_scope(search, key))
		return;
	if (owner == search->requester) {
		if (kolk__load_relaxed(&key->open) > search->sibling_open) {
			search->sibling = key;
			search->sibling_open = kolk__load_relaxed(&key->open);
		}
	} else if ((search->starved || owner_share > search->requester_share) &&
		   owner_share > search->victim_share) {
		search->victim = key;
		search->victim_account = owner;
		search->victim_share = owner_share;
	}
}

static void visit(struct kolk__search *search, struct kolk__conn *conn)
{
	enum kolk__state state = kolk__conn_state(conn);
	struct kolk_key *key = kolk__load_relaxed(&conn->key);

	if (state == KOLK__IDLE)
		visit_idle(search, conn, key);
	else if (kolk__is_leased(state) && !search->few)
		visit_leased(search, key);
}

/* ---- which connections are visited, and what a search leaves for the next */

/* A caller visits one slice. Maintenance goes on until it finds an idle connection, but visits at
 * most this many: 10 to 85 ns each, depending on what the processor's caches hold. */
enum { SEARCH_MAX = 32768 };
/* After a complete search without an idle connection, callers may reclaim after one slice for this
 * long. */
#define KNOWN_NS (2 * KOLK_MS_NS)

/* The limit that denied the permit; NULL = the engine's. Under accounting. */
static struct kolk__limit *circle_of(const struct kolk__requester *who)
{
	return who->denied == KOLK__ENGINE_FULL ? NULL :
	       who->denied == KOLK__TENANT_FULL ? &who->account->limit :
						  &who->pool->limit;
}

static struct kolk__members *members_of(const struct kolk__requester *who)
{
	struct kolk__limit *circle = circle_of(who);

	KOLK__HELD(&who->key->engine->accounting);
	return circle != NULL ? &circle->members : &who->account->total->members;
}

/* A slice of all connections of the engine. A caller's are at equal distances, which makes them a
 * sample of all ages; the next caller's are one place further, so each connection is in one of the
 * slices. Maintenance visits neighbours in memory, which costs a third of the time. */
static uint32_t engine_slice(struct kolk__search *search, struct kolk__conn **conns)
{
	struct kolk_engine *engine = search->who->key->engine;
	uint32_t population = search->population, slice = search->slice++, count = 0;
	uint32_t most = population < search->slice_size ? population : search->slice_size;
	uint32_t distance = most > 0 ? (population + most - 1) / most : 0;

	for (uint32_t i = 0; i < most; i++) {
		uint64_t at = search->all ? ((uint64_t)slice * most + i) % population :
					    slice % distance + (uint64_t)i * distance;

		if (at >= population)
			continue;
		conns[count] = &engine->conns[at];
		__builtin_prefetch(conns[count++]);
	}
	return count;
}

/* Prefetch what a visit may read: a connection's key, the key's account, the tenant's weight. Each
 * is found through the one before, and with many connections none is in the caches. */
static void prefetch(struct kolk__conn *const conns[], uint32_t count)
{
	const struct kolk__account *accounts[KOLK__SEARCH_SLICE];
	const struct kolk_key *keys[KOLK__SEARCH_SLICE];

	for (uint32_t i = 0; i < count; i++) {
		keys[i] = kolk__load_relaxed(&conns[i]->key);
		__builtin_prefetch(keys[i] != NULL ? &keys[i]->account : NULL);
	}
	for (uint32_t i = 0; i < count; i++) {
		accounts[i] = keys[i] != NULL ? kolk__load_relaxed(&keys[i]->account) : NULL;
		__builtin_prefetch(accounts[i]);
	}
	for (uint32_t i = 0; i < count; i++)
		if (accounts[i] != NULL)
			__builtin_prefetch(&accounts[i]->tenant->weight);
}

/* Begins at a random place, so that not always the same one of equal victims is chosen. */
static uint32_t visit_slice(struct kolk__search *search)
{
	struct kolk_engine *engine = search->who->key->engine;
	struct kolk__limit *circle = circle_of(search->who);
	struct kolk__conn *conns[KOLK__SEARCH_SLICE];
	uint32_t count, at;

	if (circle == NULL) {
		count = engine_slice(search, conns);
	} else {
		kolk__take_lock(engine, &engine->accounting);
		count = kolk__members_next(engine, circle, conns, search->slice_size);
		kolk__give_lock(engine, &engine->accounting);
	}
	KOLK__ASSERT(count <= engine->search_slice);
	if (!search->few)
		prefetch(conns, count);
	at = count > 0 ? (uint32_t)kolk__random(engine) % count : 0;
	for (uint32_t i = 0; i < count; i++, at = at + 1 < count ? at + 1 : 0)
		visit(search, conns[at]);
	kolk__add_relaxed(&engine->visits, count);
	return count;
}

bool kolk__search_is_complete(const struct kolk__search *search)
{
	return search->visits >= search->population || search->visits >= SEARCH_MAX;
}

/* Candidates belong to no slice. They are sorted by the time since which they were idle when they
 * were found, and that time can only have become later: a candidate that was not idle for longer
 * than what is found already is not visited. */
static void visit_candidates(struct kolk__search *search)
{
	for (uint32_t i = 0; i < search->hint_count; i++) {
		const struct kolk__candidate *hint = &search->hints[i];

		if (search->idle == NULL || hint->since_ns < search->idle_since_ns)
			visit(search, hint->conn);
		else if (is_among_oldest(search, hint->since_ns))
			candidate_add(search, hint->conn, hint->since_ns);
	}
}

/* A caller that has found a connection to evict among the candidates visits only a few others,
 * which may be idle for longer and are candidates for later searches. If there are no more than
 * KOLK__SEARCH_SLICE connections, it visits all. */
static void slice_size_set(struct kolk__search *search)
{
	uint32_t slice = search->who->key->engine->search_slice;

	search->few = !search->all && search->idle != NULL && search->population > slice;
	search->slice_size = search->few && slice > KOLK__SEARCH_FEW ? KOLK__SEARCH_FEW : slice;
}

void kolk__search_run(struct kolk__search *search)
{
	uint32_t count;

	KOLK__NO_LOCK();
	visit_candidates(search);
	slice_size_set(search);
	do {
		count = visit_slice(search);
		search->visits = count > 0 ? search->visits + count : search->population;
	} while (search->all && !search->known && search->idle == NULL &&
		 !kolk__search_is_complete(search));
}

static bool is_starved(const struct kolk_key *key, uint64_t now_ns)
{
	uint64_t since_ns = kolk__load_relaxed(&key->queued_at_ns);

	return kolk__load_relaxed(&key->open) == 0 && kolk__load_relaxed(&key->waiting) > 0 &&
	       now_ns > since_ns && now_ns - since_ns >= key->engine->lend_after_ns;
}

/* ---- begin and end */

void kolk__search_fill(struct kolk__search *search, const struct kolk__requester *who, bool all)
{
	const struct kolk_key *key = who->key;
	struct kolk_engine *engine = key->engine;
	uint64_t now_ns = kolk__now(engine);

	*search = (struct kolk__search){ .who = who, .requester = who->account, .now_ns = now_ns,
					  .all = all,
					  .own = who->denied == KOLK__TENANT_FULL,
					  .pool = who->denied == KOLK__POOL_FULL ? who->pool : NULL,
					  .requester_share = kolk__share(who->account, 1),
					  .starved = is_starved(key, now_ns), .none_idle = true };
	search->sibling_share = search->starved ? 0 : kolk__load_relaxed(&key->open) + 1;
	search->lent_before_ns = now_ns > engine->lend_after_ns ? now_ns - engine->lend_after_ns : 0;
}

void kolk__search_begin(struct kolk__search *search)
{
	const struct kolk__requester *who = search->who;
	struct kolk_engine *engine = who->key->engine;
	struct kolk__members *members = members_of(who);

	KOLK__HELD(&engine->accounting);
	search->population = who->denied == KOLK__ENGINE_FULL ? engine->conns_used :
			     search->own ? kolk__own(&who->account->open) :
					   kolk__own(&who->pool->open);
	search->slice = members->hand;
	if (who->denied == KOLK__ENGINE_FULL)
		members->hand++; /* a concurrent search takes the next slice */
	search->known_until_ns = members->none_idle_at_ns + KNOWN_NS;
	search->known = members->none_idle_at_ns != 0 && search->now_ns < search->known_until_ns;
	if (search->known && members->victim != NULL)
		visit_leased(search, members->victim);
	search->hint_count = engine->candidate_count;
	for (uint32_t i = 0; i < engine->candidate_count; i++)
		search->hints[i] = engine->candidates[i];
}

/* Leave the candidates to later searches, without the connection that is about to be evicted. */
void kolk__search_end(const struct kolk__search *search, uint64_t now_ns)
{
	struct kolk_engine *engine = search->who->key->engine;
	struct kolk__members *members = members_of(search->who);

	KOLK__HELD(&engine->accounting);
	engine->candidate_count = 0;
	for (uint32_t i = 0; i < search->found_count; i++)
		if (search->found[i].conn != search->idle)
			engine->candidates[engine->candidate_count++] = search->found[i];
	if (search->who->denied == KOLK__ENGINE_FULL && search->visits > engine->search_slice)
		members->hand = search->slice;
	if (!search->none_idle)
		members->none_idle_at_ns = 0;
	if (search->idle != NULL || !kolk__search_is_complete(search))
		return;
	members->none_idle_at_ns = search->none_idle ? now_ns : 0;
	members->victim = search->victim != NULL ? search->victim : search->sibling;
}
