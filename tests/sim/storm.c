/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storm.c - no dial storm: every peer accepts and closes, there are no callers, and a pool that
 * keeps idle_min dials as seldom as its back-off says. When peers stay open again, it is full
 * again.
 */
#include "core/engine.h"
#include "core/pool.h"
#include "tests/sim/world.h"

enum { WAITS_OF_BACK_OFF = 20, SECONDS_MAX = 10, SPARE = 40 };

/* Dials, but for those that replace a connection whose lifetime was over: resources do not hang
 * up. */
static int64_t dialled(struct kolk_pool *pool)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	return kolk_pool_stats(pool, &stats) == KOLK_OK ?
		       (int64_t)(stats.dialled - stats.destroyed[KOLK_REASON_LIFETIME]) : 0;
}

/* Full jitter: half the back-off on average, so a quarter of it is far from what may be. Until it
 * has grown, and for the first of each connection, there is something to spare. */
static int64_t most(const struct kolk_pool *pool, uint64_t ns)
{
	uint64_t tries = ns / (kolk__setting(pool, retry_max_ns) / 4 + 1);

	return (int64_t)(KEYS * (kolk__setting(pool, connections_max) + SPARE + tries));
}

static void run(struct world *world, uint64_t ns)
{
	uint64_t end_ns = kolk__sim_now(world->sim) + ns;

	while (world->broken == NULL && kolk__sim_now(world->sim) < end_ns)
		world_turn(world);
}

/* How long: some back-offs of the most patient pool. */
static uint64_t storm_ns(const struct world *world)
{
	uint64_t ns = KOLK_S_NS;

	for (int i = 0; i < POOLS; i++) {
		const struct kolk_pool *pool = world->pools[i].pool;
		uint64_t most_ns = pool != NULL ? kolk__setting(pool, retry_max_ns) : 0;

		if (ns < most_ns * WAITS_OF_BACK_OFF)
			ns = most_ns * WAITS_OF_BACK_OFF;
	}
	return ns < SECONDS_MAX * KOLK_S_NS ? ns : SECONDS_MAX * KOLK_S_NS;
}

void storm(struct world *world)
{
	uint64_t began_ns = kolk__sim_now(world->sim);
	int64_t before[POOLS] = { 0 };

	for (int i = 0; i < POOLS; i++)
		if (world->pools[i].pool != NULL)
			before[i] = dialled(world->pools[i].pool);
	kolk__sim_chance(world->sim, KOLK__SIM_HANG_UP, 65536);
	for (int i = 0; i < 64; i++)
		kolk__sim_hurt(world->sim);
	run(world, storm_ns(world));
	for (int i = 0; i < POOLS; i++) {
		struct kolk_pool *pool = world->pools[i].pool;

		if (pool != NULL && dialled(pool) - before[i] >
					    most(pool, kolk__sim_now(world->sim) - began_ns))
			world_break(world, "a pool dials in vain without end");
	}
	kolk__sim_chance(world->sim, KOLK__SIM_HANG_UP, 0);
}
