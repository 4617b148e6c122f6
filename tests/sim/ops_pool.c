/* SPDX-License-Identifier: Apache-2.0 */
/* ops_pool.c - random operations on pools, tenants and the engine: limits, drains, statistics. */
#include "tests/sim/ops.h"

static bool is_busy(const struct pool_slot *pool)
{
	for (int k = 0; k < KEYS; k++)
		if (pool->keys[k].busy)
			return true;
	return pool->busy > 0;
}

void ops_tenant_limits(struct world *world)
{
	struct kolk_tenant_limits l = KOLK_INIT(kolk_tenant_limits);
	char name[8];

	ops_tenant_name(below(world, KEYS / 2), name);
	l.connections_max = (uint32_t)below(world, 24);
	l.keys_max = (uint32_t)below(world, 6);
	l.weight = (uint32_t)below(world, 5);
	if (below(world, 4) == 0) {
		kolk_engine_tenant_limits_set(world->engine, (uint32_t)below(world, 20),
					      (uint32_t)below(world, 6));
		return;
	}
	ops_traced(world, "tenant limits",
		   kolk_tenant_limits_set(world->engine, name, below(world, 3) ? &l : NULL));
}

void ops_limits(struct world *world)
{
	struct kolk_pool_limits l = KOLK_INIT(kolk_pool_limits);
	struct pool_slot *pool = ops_any_pool(world);
	enum kolk_err err;
	bool open;

	if (below(world, 4) == 0) {
		ops_traced(world, "connections_max",
			   kolk_engine_connections_max_set(world->engine,
							   1 + (uint32_t)below(world, 48)));
		return;
	}
	if (pool->pool == NULL)
		return;
	l.connections_max = 1 + (uint32_t)below(world, 10);
	l.idle_min = below(world, 2) ? KOLK_NONE : 1;
	l.pool_connections_max = below(world, 2) ? 1 + (uint32_t)below(world, 20) : 0;
	l.overtake_max_ns = below(world, 2) ? KOLK_AT_ONCE : below(world, 10 * KOLK_MS_NS);
	open = world_open_to_others(world, true);
	err = kolk_pool_limits_set(pool->pool, &l);
	(void)world_open_to_others(world, open);
	ops_traced(world, "limits", err);
}

void ops_drain(struct world *world)
{
	struct pool_slot *pool = ops_any_pool(world);
	uint64_t at_ns = kolk__sim_now(world->sim) + below(world, 100 * KOLK_MS_NS);

	if (pool->pool == NULL)
		return;
	if (!pool->draining || at_ns < pool->drain_at_ns)
		pool->drain_at_ns = at_ns;
	pool->draining = true;
	if (below(world, 2))
		ops_traced(world, "suspend", kolk_pool_suspend(pool->pool, at_ns));
	else
		ops_traced(world, "drain", kolk_pool_drain(pool->pool, at_ns));
}

void ops_resume(struct world *world)
{
	struct pool_slot *pool = ops_any_pool(world);

	if (pool->pool == NULL || !pool->draining)
		return;
	if (ops_traced(world, "resume", kolk_pool_resume(pool->pool)) != KOLK_OK)
		return; /* its closed event is being delivered */
	pool->draining = false;
	pool->any_resumed = true;
	pool->closed_events = 0;
}

void ops_pool_again(struct world *world)
{
	struct pool_slot *pool = ops_any_pool(world);
	uint64_t deadline_ns;

	if (world->depth > 0 || is_busy(pool))
		return;
	if (world->maintaining) /* close waits for that thread, which goes on when we return */
		return;
	if (pool->pool == NULL) {
		world_pool_add(world, pool);
		return;
	}
	if (!pool->draining)
		return;
	for (int i = 0; i < LEASES; i++) /* handles of it end with it */
		if (world->leases[i].used && world->leases[i].pool == pool)
			return;
	for (int i = 0; i < WAITS; i++)
		if (world->waits[i].pending && world->waits[i].pool == pool)
			return;
	deadline_ns = kolk__sim_now(world->sim) + 3600 * KOLK_S_NS; /* time jumps, too */
	world->calm = true; /* no other may use it meanwhile */
	if (ops_traced(world, "close pool", kolk_pool_close(pool->pool, deadline_ns)) != KOLK_OK)
		world_break(world, "a drained pool does not close");
	else if (pool->closed_events != 1)
		world_break(world, "a closed pool did not say so exactly once");
	world->calm = false;
	pool->pool = NULL;
}

void ops_drain_by_signal(struct world *world)
{
	kolk_engine_drain_from_signal(world->engine, 50 * KOLK_MS_NS);
	for (int i = 0; i < POOLS; i++) {
		world->pools[i].draining = true;
		world->pools[i].drain_at_ns = 0; /* when maintenance sees it */
	}
	world_trace(world, "SIGTERM");
	(void)kolk_engine_maintain(world->engine); /* so that no later pool is meant */
}

void ops_stats(struct world *world)
{
	struct kolk_stats s = KOLK_INIT(kolk_stats);
	uint64_t refused = 0;

	if (kolk_engine_stats(world->engine, &s) != KOLK_OK)
		world_break(world, "no statistics");
	if (s.idle + s.leased + s.dialing + s.pinging + s.closing != s.open)
		world_break(world, "the gauges do not add up");
	for (int i = 0; i < KOLK_REFUSALS; i++)
		refused += s.refused[i];
	if (refused != s.rejected + s.timeouts)
		world_break(world, "callers refused do not add up by reason");
	kolk__sim_record(world->sim, s.acquired);
	kolk__sim_record(world->sim, s.created);
}

void ops_clear(struct world *world)
{
	struct pool_slot *pool = ops_any_pool(world);

	if (pool->pool != NULL)
		kolk__sim_record(world->sim, kolk_pool_clear(pool->pool));
}

void ops_clear_some(struct world *world)
{
	struct kolk_filter filter = KOLK_INIT(kolk_filter);
	char name[8];

	ops_tenant_name(below(world, KEYS / 2), name);
	filter.tenant = below(world, 2) ? name : NULL;
	filter.pool = below(world, 2) ? "raw" : NULL;
	filter.idle_ns = below(world, 500 * KOLK_MS_NS);
	kolk__sim_record(world->sim, kolk_engine_clear(world->engine, &filter));
}

void ops_pool_beside(struct world *world)
{
	int depth = world->depth;

	if (!world->maintaining)
		return; /* a loop cannot wait for itself */
	world->depth = 0;
	ops_pool_again(world);
	world->depth = depth;
}
