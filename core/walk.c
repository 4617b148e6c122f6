/* SPDX-License-Identifier: Apache-2.0 */
/* walk.c - walks over all keys of a pool, or of all pools, in slices (walk.h). */
#include "core/walk.h"

#include "core/pool.h"

/* How long a walk rests for a thread that sleeps for its lock: a thread is awake after some 50 us,
 * and one that is not gets its turn after the next slice. */
#define REST_NS (50 * KOLK_US_NS)

static void rest(struct kolk_engine *engine)
{
	const struct kolk_sys *sys = engine->sys;
	uint32_t unchanged = 0;

	KOLK__NO_LOCK();
	(void)sys->wait(sys->context, &unchanged, 0, kolk__now(engine) + REST_NS);
}

void kolk__give_lock_and_rest(struct kolk_engine *engine, struct kolk__lock *lock)
{
	bool wanted = kolk__lock_is_wanted(lock);

	kolk__give_lock(engine, lock);
	if (wanted)
		rest(engine);
}

/* ---- the keys of a pool */

void kolk__walk_begin_locked(struct kolk__walk *walk, struct kolk_pool *pool)
{
	KOLK__HELD(&pool->lock);
	*walk = (struct kolk__walk){ .pool = pool, .next = pool->keys, .other = pool->walks };
	pool->walks = walk;
}

void kolk__walk_begin(struct kolk__walk *walk, struct kolk_pool *pool)
{
	kolk__take_lock(pool->engine, &pool->lock);
	kolk__walk_begin_locked(walk, pool);
	kolk__give_lock(pool->engine, &pool->lock);
}

void kolk__walk_begin_key_locked(struct kolk__walk *walk, struct kolk_key *key)
{
	kolk__walk_begin_locked(walk, kolk__own(&key->pool));
	walk->next = key;
	walk->one = true;
}

/* The key may be recycled, before and after this looks which pool it is in: under the lock of that
 * pool it tells by its id, which is never used twice, and 0 while it is free. */
void kolk__walk_begin_key(struct kolk__walk *walk, struct kolk_key *key, uint64_t id)
{
	struct kolk_pool *pool = kolk__load_relaxed(&key->pool);

	kolk__take_lock(pool->engine, &pool->lock);
	if (id != 0 && kolk__load_acquire(&key->id) == id &&
	    kolk__load_relaxed(&key->pool) == pool)
		kolk__walk_begin_key_locked(walk, key);
	else
		*walk = (struct kolk__walk){ .pool = pool, .over = true };
	kolk__give_lock(pool->engine, &pool->lock);
}

/* Walks of one pool at a time are few: one for each thread that rotates, drains, looks. */
static void forget(struct kolk__walk *walk)
{
	struct kolk__walk **link = &walk->pool->walks;

	KOLK__HELD(&walk->pool->lock);
	while (*link != walk)
		link = &(*link)->other;
	*link = walk->other;
	walk->over = true;
}

bool kolk__walk_lock(struct kolk__walk *walk)
{
	struct kolk_pool *pool = walk->pool;

	KOLK__NO_LOCK();
	if (walk->over)
		return false;
	kolk__take_lock(pool->engine, &pool->lock);
	walk->left = pool->engine->walk_slice;
	if (walk->next != NULL)
		return true;
	forget(walk);
	kolk__give_lock(pool->engine, &pool->lock);
	return false;
}

static struct kolk_key *after(const struct kolk__walk *walk, const struct kolk_key *key)
{
	KOLK__HELD(&walk->pool->lock);
	return walk->one ? NULL : key->list_next;
}

struct kolk_key *kolk__walk_key(struct kolk__walk *walk)
{
	struct kolk_key *key = walk->next;

	KOLK__HELD(&walk->pool->lock);
	if (key == NULL || walk->left == 0)
		return NULL;
	KOLK__STEP(&walk->pool->lock);
	walk->left--;
	walk->first = !walk->inside;
	if (walk->first)
		walk->at = 0;
	walk->inside = false;
	walk->next = after(walk, key);
	return key;
}

void kolk__walk_end(struct kolk__walk *walk)
{
	KOLK__HELD(&walk->pool->lock);
	KOLK__ASSERT(!walk->listed);
	walk->next = NULL;
	walk->inside = false;
}

void kolk__walk_unlock(struct kolk__walk *walk)
{
	struct kolk_pool *pool = walk->pool;

	bool wanted = walk->inside && walk->wanted;

	if (walk->next == NULL)
		forget(walk);
	else
		wanted = wanted || kolk__lock_is_wanted(&pool->lock);
	kolk__give_lock(pool->engine, &pool->lock);
	if (wanted)
		rest(pool->engine);
}

/* Keys before the place of a walk are newer: they were visited, or came meanwhile. One that a walk
 * is inside was counted at its first part. */
void kolk__walks_pass(struct kolk_pool *pool, struct kolk_key *key)
{
	const struct kolk__counters *counters = kolk__own(&key->counters);
	uint64_t id = kolk__own(&key->id);

	KOLK__HELD(&pool->lock);
	for (struct kolk__walk *walk = pool->walks; walk != NULL; walk = walk->other) {
		if (walk->next == NULL || id > kolk__own(&walk->next->id))
			continue;
		if (walk->keys_gone != NULL && counters != NULL &&
		    !(walk->next == key && walk->inside))
			kolk__counters_add(walk->keys_gone, counters);
		if (walk->next != key)
			continue;
		walk->next = after(walk, key);
		walk->inside = walk->listed = false; /* the table goes, too */
	}
	for (int i = 0; i < KOLK__PLACES; i++)
		if (pool->places[i].next == key)
			pool->places[i].next = key->list_next;
}

/* ---- all pools */

void kolk__pools_begin(struct kolk__pools_walk *walk, struct kolk_engine *engine)
{
	KOLK__NO_LOCK();
	kolk__take_lock(engine, &engine->registry);
	*walk = (struct kolk__pools_walk){ engine, engine->pools, engine->walks };
	engine->walks = walk;
	kolk__give_lock(engine, &engine->registry);
}

struct kolk_pool *kolk__pools_next(struct kolk__pools_walk *walk)
{
	struct kolk_engine *engine = walk->engine;
	struct kolk_pool *pool;

	KOLK__NO_LOCK();
	kolk__take_lock(engine, &engine->registry);
	pool = walk->next;
	if (pool != NULL) {
		walk->next = pool->next;
		return pool;
	}
	for (struct kolk__pools_walk **link = &engine->walks; *link != NULL;
	     link = &(*link)->other)
		if (*link == walk) {
			*link = walk->other;
			break;
		}
	kolk__give_lock(engine, &engine->registry);
	return NULL;
}

void kolk__pools_pass(struct kolk_engine *engine, struct kolk_pool *pool)
{
	KOLK__HELD(&engine->registry);
	for (struct kolk__pools_walk *walk = engine->walks; walk != NULL; walk = walk->other)
		if (walk->next == pool)
			walk->next = pool->next;
}
