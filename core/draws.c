/* SPDX-License-Identifier: Apache-2.0 */
/*
 * draws.c - pools that make their resources out of the connections of others.
 *
 * A pool that is drawn from was there before, and draws from nothing: so there are two levels and
 * no cycle. A dependant is counted from its add, or resume, to its close, and a pool with
 * dependants begins to drain when the last of them is closed (drain.c).
 */
#include "core/draws.h"

#include <string.h>

#include "core/options.h"
#include "core/refuse.h"

enum kolk_err kolk__draws_check(const struct kolk_pool_options *o)
{
	uint32_t count = 0;

	if (o->draws_from == NULL)
		return KOLK_OK;
	while (count <= KOLK__DRAWS_MAX && o->draws_from[count] != NULL)
		count++;
	if (o->resource == NULL || count == 0 || count > KOLK__DRAWS_MAX)
		return kolk__refuse(o->failure, "draws_from");
	return KOLK_OK;
}

static struct kolk_pool *find(struct kolk_engine *engine, const char *name)
{
	struct kolk_pool *pool = engine->pools;

	KOLK__HELD(&engine->registry);
	while (pool != NULL && strcmp(pool->name, name) != 0)
		pool = pool->next;
	return pool;
}

bool kolk__draws_has(const struct kolk_pool *pool, const struct kolk_pool *from)
{
	KOLK__HELD(&pool->engine->registry);
	for (int i = 0; i < KOLK__DRAWS_MAX; i++)
		if (pool->draws_from[i] == from)
			return true;
	return false;
}

uint32_t kolk__draws_dependants(const struct kolk_pool *pool)
{
	uint32_t count = 0;

	for (struct kolk_pool *other = pool->engine->pools; other != NULL; other = other->next)
		count += kolk__load_acquire(&other->state) != KOLK__CLOSED &&
			 kolk__draws_has(other, pool);
	return count;
}

bool kolk__draws_are(struct kolk_pool *pool, const char *const *names)
{
	struct kolk_engine *engine = pool->engine;
	uint32_t count = 0;
	bool same = true;

	if (names == NULL)
		return pool->account_class == KOLK__CONNECTIONS;
	kolk__take_lock(engine, &engine->registry);
	for (; same && names[count] != NULL; count++) {
		struct kolk_pool *from = find(engine, names[count]);

		same = count < KOLK__DRAWS_MAX && from != NULL && pool->draws_from[count] == from;
	}
	same = same && (count == KOLK__DRAWS_MAX || pool->draws_from[count] == NULL);
	kolk__give_lock(engine, &engine->registry);
	return same && pool->account_class == KOLK__DRAWING;
}

static void count_dependant(struct kolk_pool *from, uint32_t one)
{
	struct kolk_engine *engine = from->engine;

	kolk__take_lock(engine, &engine->accounting);
	from->dependants += one;
	kolk__give_lock(engine, &engine->accounting);
}

bool kolk__is_drawn_from(struct kolk_pool *pool)
{
	struct kolk_engine *engine = pool->engine;
	bool drawn;

	KOLK__HELD(&pool->lock);
	kolk__take_lock(engine, &engine->accounting);
	drawn = pool->dependants > 0;
	kolk__give_lock(engine, &engine->accounting);
	return drawn;
}

/* One that is about to drain finds the dependant (drain_begin), or is found by it. */
static bool link_one(struct kolk_pool *from)
{
	struct kolk_engine *engine = from->engine;
	bool open;

	kolk__take_lock(engine, &from->lock);
	open = kolk__load_acquire(&from->state) == KOLK__OPEN && !from->drain_waits;
	if (open)
		count_dependant(from, 1);
	kolk__give_lock(engine, &from->lock);
	return open;
}

static void unlink_all(struct kolk_pool *pool)
{
	KOLK__HELD(&pool->engine->registry);
	for (int i = 0; i < KOLK__DRAWS_MAX; i++)
		if (pool->draws_from[i] != NULL)
			count_dependant(pool->draws_from[i], UINT32_MAX); /* minus one */
	memset(pool->draws_from, 0, sizeof pool->draws_from);
}

enum kolk_err kolk__draws_link(struct kolk_pool *pool, const struct kolk_pool_options *o)
{
	struct kolk_engine *engine = pool->engine;
	enum kolk_err err = KOLK_OK;

	KOLK__HELD(&engine->registry);
	if (o->draws_from == NULL)
		return KOLK_OK;
	if (kolk__load_relaxed(&engine->totals[KOLK__DRAWING].limit) == 0)
		return kolk__refuse(o->failure, "draws_from");
	for (int i = 0; err == KOLK_OK && o->draws_from[i] != NULL; i++) {
		struct kolk_pool *from = find(engine, o->draws_from[i]);

		if (from == NULL || from->account_class == KOLK__DRAWING ||
		    kolk__draws_has(pool, from))
			err = kolk__refuse(o->failure, "draws_from");
		else if (!link_one(from))
			err = KOLK_E_DRAINING;
		else
			pool->draws_from[i] = from;
	}
	if (err != KOLK_OK)
		unlink_all(pool);
	return err;
}

void kolk__draws_closed(struct kolk_pool *pool)
{
	struct kolk_engine *engine = pool->engine;
	struct kolk_pool *from[KOLK__DRAWS_MAX];

	KOLK__NO_LOCK();
	if (pool->account_class == KOLK__CONNECTIONS)
		return;
	kolk__take_lock(engine, &engine->registry);
	memcpy(from, pool->draws_from, sizeof from);
	for (int i = 0; i < KOLK__DRAWS_MAX; i++)
		if (from[i] != NULL)
			count_dependant(from[i], UINT32_MAX); /* minus one */
	kolk__give_lock(engine, &engine->registry);
	/* One of them may be another pool by now: it drains if it waits for nothing. */
	for (int i = 0; i < KOLK__DRAWS_MAX; i++)
		if (from[i] != NULL)
			engine->calls.drain_waited(from[i], false);
}

void kolk__draws_resumed(struct kolk_pool *pool)
{
	KOLK__HELD(&pool->engine->registry);
	for (int i = 0; i < KOLK__DRAWS_MAX; i++)
		if (pool->draws_from[i] != NULL)
			count_dependant(pool->draws_from[i], 1);
}

void kolk__draws_forget(struct kolk_pool *pool)
{
	KOLK__HELD(&pool->engine->registry);
	memset(pool->draws_from, 0, sizeof pool->draws_from);
	pool->dependants = 0;
	for (struct kolk_pool *other = pool->engine->pools; other != NULL; other = other->next)
		for (int i = 0; i < KOLK__DRAWS_MAX; i++)
			if (other->draws_from[i] == pool)
				other->draws_from[i] = NULL;
}
