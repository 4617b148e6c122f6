/* SPDX-License-Identifier: Apache-2.0 */
/* ops.c - what callers do, at random, and how often; the pools and keys that they choose. */
#include <stdio.h>
#include <string.h>

#include "tests/sim/ops.h"

enum kolk_err ops_traced(struct world *world, const char *what, enum kolk_err err)
{
	world_trace(world, "%s: %s", what, kolk_err_name(err));
	kolk__sim_record(world->sim, (uint64_t)(int64_t)err);
	return err;
}

struct kolk_loop *ops_any_loop(struct world *world)
{
	return kolk_engine_loop(world->engine, (uint32_t)below(world, world->loops));
}

struct pool_slot *ops_any_pool(struct world *world)
{
	return &world->pools[below(world, POOLS)];
}

void ops_tenant_name(uint64_t index, char name[8])
{
	snprintf(name, 8, "t%u", (unsigned)(index % KEYS));
}

struct kolk_key_options ops_who_is(const struct pool_slot *pool, uint64_t index, char tenant[8])
{
	struct kolk_key_options o = KOLK_INIT(kolk_key_options);

	ops_tenant_name(index / 2, tenant);
	o.tenant = tenant;
	o.credential = index % 2 ? "secret" : "older secret";
	o.credential_size = (uint32_t)strlen(o.credential);
	o.session = pool->isolation == KOLK_ISOLATION_SESSION ? "s" : NULL;
	return o;
}

enum kolk_err ops_key_open(struct world *world, struct pool_slot *pool, uint64_t index,
			   bool replaces)
{
	char tenant[8];
	struct kolk_key_options o = ops_who_is(pool, index, tenant);

	o.replaces = replaces;
	return ops_traced(world, "open key", kolk_key_open(pool->pool, &o, &pool->keys[index].key));
}

struct key_slot *ops_any_key(struct world *world, struct pool_slot *pool)
{
	uint64_t index = below(world, KEYS);
	struct key_slot *slot = &pool->keys[index];

	if (pool->pool == NULL)
		return NULL;
	if (slot->key != NULL)
		return slot;
	if (ops_key_open(world, pool, index, false) != KOLK_OK)
		slot->key = NULL;
	slot->replaced = false;
	return slot->key != NULL ? slot : NULL;
}

static void other_loop(struct world *world)
{
	struct kolk_loop *loop = ops_any_loop(world);

	if (loop != world->own_loop) /* refused when it is the one that is inside */
		(void)kolk_loop_step(loop, 0);
}

void ops_beside(struct world *world)
{
	static void (*const runs[])(struct world *world) = {
		ops_try, ops_recycle_beside, ops_recycle_beside, ops_recycle_beside,
		ops_release_beside, other_loop, other_loop, ops_pool_beside, ops_drain,
		ops_limits, ops_tenant_limits, ops_rotate, later_turn };

	runs[below(world, sizeof runs / sizeof runs[0])](world);
}

void ops_random(struct world *world)
{
	static const struct {
		void (*run)(struct world *world);
		uint32_t weight;
	} ops[] = { { ops_try, 40 }, { ops_async, 50 }, { ops_async_as, 12 },
		    { ops_block, 16 }, { ops_cancel, 10 }, { ops_release, 90 },
		    { ops_io, 70 }, { ops_io_blocking, 12 }, { ops_io_cancel, 4 }, { ops_stale, 8 },
		    { ops_foreign, 2 }, { ops_inspect_lease, 6 }, { ops_key_close, 4 },
		    { ops_warm, 2 }, { ops_limits, 2 }, { ops_clear, 1 }, { ops_clear_some, 1 },
		    { ops_tenant_limits, 2 }, { ops_rotate, 2 }, { ops_replace, 2 },
		    { ops_stats, 2 }, { ops_drain, 1 }, { ops_resume, 3 }, { ops_pool_again, 6 },
		    { manage_update, 2 }, { manage_tenant_warm, 1 }, { manage_inspect, 2 },
		    { streams_act, 60 }, { later_turn, 10 } };
	uint32_t sum = 0, at;

	if (below(world, 20000) == 0) {
		ops_drain_by_signal(world);
		return;
	}
	for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
		sum += ops[i].weight;
	at = (uint32_t)below(world, sum);
	for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
		if (at < ops[i].weight) {
			ops[i].run(world);
			return;
		}
		at -= ops[i].weight;
	}
}
