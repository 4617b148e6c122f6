/* SPDX-License-Identifier: Apache-2.0 */
/* ops_key.c - random operations on keys: closed, warmed, rotated, replaced, recycled. */
#include "core/acquire.h"
#include "tests/sim/ops.h"

void ops_key_close(struct world *world)
{
	struct pool_slot *pool = ops_any_pool(world);
	struct key_slot *slot = &pool->keys[below(world, KEYS)];

	if (pool->pool == NULL || slot->key == NULL || slot->busy)
		return;
	world_trace(world, "close key");
	kolk_key_close(slot->key);
	slot->key = NULL;
}

void ops_warm(struct world *world)
{
	struct pool_slot *pool = ops_any_pool(world);
	struct key_slot *key;

	if (world->depth >= 2 || pool->pool == NULL || (key = ops_any_key(world, pool)) == NULL)
		return;
	key->busy++;
	ops_traced(world, "warm", below(world, 2) ? kolk_key_warm(key->key, ops_soon(world)) :
					      kolk_pool_warm(pool->pool, ops_soon(world)));
	key->busy--;
}

/* floor: next_number when the rotation began. What it dialled itself is current. */
static void raise_floor(struct world *world, struct key_slot *slot, uint64_t floor)
{
	slot->floor = floor;
	slot->rotated_at_ns = kolk__sim_now(world->sim);
}

/* What was dialled until then is stale for these keys: of one pool or all, one tenant or all. */
static void raise_floors(struct world *world, const struct pool_slot *pool, int tenant,
			 uint64_t floor)
{
	for (int p = 0; p < POOLS; p++)
		for (int k = 0; k < KEYS; k++)
			if ((pool == NULL || pool == &world->pools[p]) &&
			    (tenant < 0 || tenant == k / 2))
				raise_floor(world, &world->pools[p].keys[k], floor);
}

void ops_rotate(struct world *world)
{
	struct pool_slot *pool = ops_any_pool(world);
	int tenant = (int)below(world, KEYS / 2);
	uint64_t floor = world->engine->next_number;
	struct key_slot *key;
	char name[8];

	world_trace(world, "rotate");
	switch (below(world, 4)) {
	case 0:
		kolk__sim_record(world->sim, kolk_engine_rotate(world->engine));
		raise_floors(world, NULL, -1, floor);
		return;
	case 1:
		if (pool->pool == NULL)
			return;
		kolk__sim_record(world->sim, kolk_pool_rotate(pool->pool));
		raise_floors(world, pool, -1, floor);
		return;
	case 2:
		ops_tenant_name((uint64_t)tenant, name);
		kolk__sim_record(world->sim, kolk_tenant_rotate(world->engine, name));
		for (int p = 0; p < POOLS; p++)
			if (world->pools[p].isolation != KOLK_ISOLATION_SHARED)
				raise_floors(world, &world->pools[p], tenant, floor);
		return;
	default:
		if ((key = ops_any_key(world, pool)) == NULL)
			return;
		kolk__sim_record(world->sim, kolk_key_rotate(key->key));
		raise_floor(world, key, floor);
	}
}

void ops_replace(struct world *world)
{
	struct pool_slot *pool = ops_any_pool(world);
	uint64_t index = below(world, KEYS), floor = world->engine->next_number;
	struct key_slot *old = &pool->keys[index ^ 1];

	if (pool->pool == NULL || pool->keys[index].key != NULL ||
	    pool->isolation == KOLK_ISOLATION_SHARED)
		return;
	if (ops_key_open(world, pool, index, true) != KOLK_OK) {
		pool->keys[index].key = NULL;
		return;
	}
	pool->keys[index].replaced = false;
	old->replaced = pool->any_replaced = true;
	raise_floor(world, old, floor);
}

/* A key that only its callers keep, or NULL. */
static struct key_slot *starved_key(struct world *world)
{
	uint64_t start = below(world, POOLS * KEYS);

	for (uint64_t i = start; i < start + POOLS * KEYS; i++) {
		struct pool_slot *pool = &world->pools[i / KEYS % POOLS];
		struct key_slot *slot = &pool->keys[i % KEYS];

		if (pool->pool != NULL && slot->key != NULL && !slot->busy &&
		    kolk__own(&slot->key->open) == 0 && kolk__own(&slot->key->waiting) > 0)
			return slot;
	}
	return NULL;
}

/* One that is not open becomes open. */
static void open_any(struct world *world)
{
	uint64_t start = below(world, POOLS * KEYS);

	for (uint64_t i = start; i < start + POOLS * KEYS; i++) {
		struct pool_slot *pool = &world->pools[i / KEYS % POOLS];

		if (pool->pool == NULL || pool->keys[i % KEYS].key != NULL)
			continue;
		if (ops_key_open(world, pool, i % KEYS, false) != KOLK_OK)
			pool->keys[i % KEYS].key = NULL;
		pool->keys[i % KEYS].replaced = false;
		return;
	}
}

void ops_recycle_beside(struct world *world)
{
	struct key_slot *slot = starved_key(world);

	if (slot == NULL)
		return;
	for (int i = 0; i < WAITS; i++)
		if (world->waits[i].pending && !world->waits[i].loop->stepping &&
		    kolk__waiter_of(&world->waits[i].acquire)->key == slot->key)
			ops_cancel_one(world, &world->waits[i]);
	world_trace(world, "close key");
	kolk_key_close(slot->key);
	slot->key = NULL;
	world_maintain(world);
	open_any(world);
}
