/* SPDX-License-Identifier: Apache-2.0 */
/*
 * budget.c - permits of engine and pool, and the keys that go hungry without one.
 *
 * A permit is taken before a dial begins and given back when the socket is closed, so
 * every connection counts in each hand it can be in. The engine's permit is a free slot
 * under the ledger's lock; the pool's and the dials' are counters that are raised by
 * compare-and-swap only while they are below their limit: no limit is exceeded for an
 * instant.
 */
#include "core/engine.h"
#include "core/release.h"

/* Raise a counter if it is below the limit, and so far that the reserve remains. */
static bool counter_take(uint32_t *counter, uint32_t limit, uint32_t reserve)
{
	uint32_t seen = kolk__load_relaxed(counter);

	/* Losing means that somebody else took or gave one. */
	while (seen < limit && reserve < limit - seen)
		if (kolk__cas_acq_rel(counter, &seen, seen + 1))
			return true;
	return false;
}

struct kolk__conn *kolk__permit_take(struct kolk_key *key, bool for_caller)
{
	struct kolk_engine *engine = key->engine;
	struct kolk_pool *pool = key->pool;
	uint32_t reserve = for_caller ? 0 : kolk__load_relaxed(&engine->hungry_count);
	struct kolk__conn *conn = NULL;

	if (!counter_take(&pool->open, kolk__load_relaxed(&pool->pool_connections_max), reserve))
		return NULL;
	kolk__take_lock(engine, &engine->ledger);
	if (engine->open < engine->connections_max &&
	    reserve < engine->connections_max - engine->open && engine->free != NULL) {
		conn = engine->free;
		engine->free = conn->next_free;
		kolk__store_relaxed(&engine->open, engine->open + 1);
		conn->number = ++engine->next_number;
	}
	kolk__give_lock(engine, &engine->ledger);
	if (conn == NULL)
		kolk__sub_acq_rel(&pool->open, 1);
	return conn;
}

void kolk__permit_give(struct kolk__conn *conn)
{
	struct kolk_engine *engine = conn->key->engine;
	struct kolk_pool *pool = conn->key->pool;

	kolk__take_lock(engine, &engine->ledger);
	kolk__conn_pass(conn, KOLK__FREE);
	if (conn->reason == KOLK_REASON_ROOM && engine->rooms > 0)
		engine->rooms--;
	conn->next_free = engine->free;
	engine->free = conn;
	kolk__store_relaxed(&engine->open, engine->open - 1);
	kolk__give_lock(engine, &engine->ledger);
	kolk__sub_acq_rel(&pool->open, 1);
}

bool kolk__dial_permit_take(struct kolk_pool *pool, bool for_caller)
{
	struct kolk_engine *engine = pool->engine;
	uint32_t reserve = for_caller ? 0 : kolk__load_relaxed(&engine->hungry_count);

	if (!counter_take(&pool->dialing, pool->dials_max, reserve))
		return false;
	if (counter_take(&engine->dialing, engine->dials_max, reserve))
		return true;
	kolk__sub_acq_rel(&pool->dialing, 1);
	return false;
}

void kolk__dial_permit_give(struct kolk_pool *pool)
{
	kolk__sub_acq_rel(&pool->dialing, 1);
	kolk__sub_acq_rel(&pool->engine->dialing, 1);
}

/* ---- hungry keys */

void kolk__hungry_add(struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;

	kolk__take_lock(engine, &engine->ledger);
	if (!key->hungry) {
		key->hungry = true;
		key->hungry_next = NULL;
		*engine->hungry_end = key;
		engine->hungry_end = &key->hungry_next;
		kolk__store_relaxed(&engine->hungry_count, engine->hungry_count + 1);
	}
	kolk__give_lock(engine, &engine->ledger);
}

static struct kolk_key *hungry_pop(struct kolk_engine *engine)
{
	struct kolk_key *key;

	kolk__take_lock(engine, &engine->ledger);
	key = engine->hungry;
	if (key != NULL) {
		engine->hungry = key->hungry_next;
		if (engine->hungry == NULL)
			engine->hungry_end = &engine->hungry;
		key->hungry = false;
		kolk__store_relaxed(&engine->hungry_count, engine->hungry_count - 1);
	}
	kolk__give_lock(engine, &engine->ledger);
	return key;
}

static bool is_full(const struct kolk_engine *engine)
{
	return kolk__load_relaxed(&engine->open) >= kolk__load_relaxed(&engine->connections_max);
}

void kolk__hungry_feed(struct kolk_engine *engine)
{
	uint32_t tries = kolk__load_relaxed(&engine->hungry_count);

	/* Each key that was there gets one try; who stays hungry goes to the end of the row. */
	while (tries-- > 0 && !is_full(engine) &&
	       kolk__load_relaxed(&engine->dialing) < engine->dials_max) {
		struct kolk_key *key = hungry_pop(engine);
		bool room;

		if (key == NULL)
			break;
		kolk__take_lock(engine, &key->lock);
		room = kolk__dial_more(key, kolk__now(engine), 0);
		kolk__give_lock(engine, &key->lock);
		if (room)
			kolk__make_room(key);
		kolk__key_look(key);
	}
}

void kolk__permits_moved(struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;
	bool room;

	kolk__hungry_feed(engine);
	kolk__take_lock(engine, &key->lock);
	room = kolk__dial_more(key, kolk__now(engine), 0);
	kolk__give_lock(engine, &key->lock);
	if (room)
		kolk__make_room(key);
}

/* ---- room at a full limit */

static bool pool_is_full(const struct kolk_pool *pool)
{
	return kolk__load_relaxed(&pool->open) >= kolk__load_relaxed(&pool->pool_connections_max);
}

/* The idle connection of another key that is idle for the longest time; NULL = none. */
static struct kolk__conn *oldest_idle(struct kolk_key *key, bool same_pool)
{
	struct kolk_engine *engine = key->engine;
	struct kolk__conn *oldest = NULL;

	for (uint32_t i = 0; i < engine->slot_count; i++) {
		struct kolk__conn *conn = &engine->slots[i];
		const struct kolk_key *other = kolk__load_relaxed(&conn->key);

		if (kolk__hand_of(kolk__load_acquire(&conn->hand)) != KOLK__IDLE ||
		    other == key || (same_pool && other->pool != key->pool))
			continue;
		if (oldest == NULL || kolk__load_relaxed(&conn->idle_since_ns) <
					      kolk__load_relaxed(&oldest->idle_since_ns))
			oldest = conn;
	}
	return oldest;
}

void kolk__make_room(struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;
	struct kolk__conn *conn;
	bool wanted;

	kolk__take_lock(engine, &engine->ledger);
	wanted = engine->rooms < engine->hungry_count;
	engine->rooms += wanted;
	kolk__give_lock(engine, &engine->ledger);
	if (!wanted)
		return; /* enough are closing already */
	conn = oldest_idle(key, pool_is_full(key->pool));
	if (conn != NULL && kolk__evict(conn, KOLK_REASON_ROOM))
		return;
	kolk__take_lock(engine, &engine->ledger);
	engine->rooms -= engine->rooms > 0;
	kolk__give_lock(engine, &engine->ledger);
	if (kolk__load_relaxed(&engine->maintain.next_ns) > kolk__now(engine) + 5 * KOLK_MS_NS)
		kolk__maintain_kick(engine); /* it looks again while somebody is hungry */
}

/* The key that is hungry for the longest time. Type-stable: it may be recycled meanwhile. */
static struct kolk_key *hungriest(struct kolk_engine *engine)
{
	struct kolk_key *key;

	kolk__take_lock(engine, &engine->ledger);
	key = engine->hungry;
	kolk__give_lock(engine, &engine->ledger);
	return key;
}

void kolk__hungry_room(struct kolk_engine *engine)
{
	struct kolk_key *key = hungriest(engine);

	/* Who left the queue meanwhile is hungry no more. */
	while (key != NULL && kolk__load_relaxed(&key->waiting) == 0) {
		key = hungry_pop(engine);
		if (key != NULL)
			kolk__key_look(key);
		key = hungriest(engine);
	}
	if (key != NULL && (is_full(engine) || pool_is_full(key->pool)))
		kolk__make_room(key);
}
