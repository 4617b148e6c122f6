/* SPDX-License-Identifier: Apache-2.0 */
/* manage.c - what operators and curious callers do, at random. */
#include "core/engine.h"
#include "tests/sim/world.h"

/* Any of it may be refused for want of memory, nothing else. */
static void must_work(struct world *world, const struct pool_slot *slot, enum kolk_err err)
{
	if (err != KOLK_OK && err != KOLK_E_MEMORY && !(err == KOLK_E_DRAINING && slot->draining))
		world_break(world, "a pool with sound options is not updated");
}

/* Other options, and now and then another host, or the same one spelled otherwise. Connections to
 * the previous host are stale. */
void manage_update(struct world *world)
{
	struct pool_slot *slot = &world->pools[below(world, POOLS)];
	uint32_t host = (uint32_t)below(world, 2);
	uint64_t floor = world->engine->next_number;
	struct kolk_pool_options o;
	enum kolk_err err;

	if (slot->pool == NULL)
		return;
	world_pool_options(world, slot, host, &o);
	err = kolk_pool_update(slot->pool, &o);
	world_trace(world, "update pool %s to %s: %s", o.name,
		    o.address != NULL ? o.address : "other limits", kolk_err_name(err));
	kolk__sim_record(world->sim, (uint64_t)(int64_t)err);
	must_work(world, slot, err);
	if (err != KOLK_OK)
		return;
	for (int k = 0; k < KEYS && host != slot->host && !slot->resource; k++) {
		slot->keys[k].floor = floor;
		slot->keys[k].rotated_at_ns = kolk__sim_now(world->sim);
	}
	slot->host = host;
}

void manage_tenant_warm(struct world *world)
{
	uint64_t now_ns = kolk__sim_now(world->sim);
	char name[8];

	if (world->depth >= 2)
		return;
	ops_tenant_name(below(world, KEYS / 2 + 1), name);
	for (int p = 0; p < POOLS; p++) /* none may be closed meanwhile */
		world->pools[p].busy++;
	world_trace(world, "warm tenant %s ...", name);
	kolk__sim_record(world->sim, (uint64_t)(int64_t)kolk_tenant_warm(
			world->engine, name,
			below(world, 2) ? now_ns + below(world, 50 * KOLK_MS_NS) : 0));
	for (int p = 0; p < POOLS; p++)
		world->pools[p].busy--;
}

static void inspect_keys(struct world *world, struct kolk_pool *pool)
{
	struct kolk_key_info keys[3];
	uint64_t cursor = 0;
	size_t count;

	while ((count = kolk_pool_keys(pool, &cursor, keys, 3)) > 0)
		for (size_t i = 0; i < count; i++)
			if (keys[i].idle + keys[i].leased + keys[i].dialing + keys[i].pinging +
				    keys[i].closing != keys[i].open)
				world_break(world, "the states of a key's connections do not add up");
}

/* Everything that inspection shows adds up to the same. */
void manage_inspect(struct world *world)
{
	struct kolk_connection_info connections[5];
	struct kolk_tenant_info tenants[2];
	uint32_t open = 0, of_tenants = 0;
	uint64_t cursor = 0;
	size_t count;

	for (int p = 0; p < POOLS; p++)
		if (world->pools[p].pool != NULL)
			inspect_keys(world, world->pools[p].pool);
	while ((count = kolk_engine_connections(world->engine, &cursor, connections, 5)) > 0)
		open += (uint32_t)count;
	cursor = 0;
	while ((count = kolk_engine_tenants(world->engine, &cursor, tenants, 2)) > 0)
		for (size_t i = 0; i < count; i++)
			of_tenants += tenants[i].open;
	if (open != kolk__own(&world->engine->totals[0].open) || of_tenants > open)
		world_break(world, "inspection does not show what is there");
	kolk__sim_record(world->sim, open);
}
