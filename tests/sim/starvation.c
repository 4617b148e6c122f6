/* SPDX-License-Identifier: Apache-2.0 */
/*
 * starvation.c - no key starves: every caller wants a connection all the time, there are few, and
 * every caller is served again and again.
 */
#include "core/engine.h"
#include "core/pool.h"
#include "tests/sim/world.h"

enum { CALLERS = POOLS * KEYS, SERVED_MIN = 3, PATIENCE_S = 60 };

struct caller {
	struct world *world;
	struct kolk_key *key; /* NULL = not invited */
	struct kolk_acquire acquire;
	struct kolk_lease lease;
	uint64_t since_ns, until_ns;
	uint32_t served, refused;
	bool waiting, has;
};

static void on_result(struct caller *caller, enum kolk_err err, const struct kolk_lease *lease)
{
	caller->waiting = false;
	caller->has = err == KOLK_OK;
	caller->refused += err != KOLK_OK; /* the queue is full: it asks again */
	if (err != KOLK_OK)
		return;
	caller->lease = *lease;
	caller->served++;
	caller->until_ns = kolk__sim_now(caller->world->sim) + below(caller->world, 10 * KOLK_MS_NS);
}

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	on_result(user, err, lease);
}

static void give_back(struct caller *caller)
{
	caller->has = false;
	if (kolk_release(&caller->lease) != KOLK_OK)
		world_break(caller->world, "a good lease cannot be released");
}

static void act(struct caller *caller)
{
	struct world *world = caller->world;
	struct kolk_loop *loop = kolk_engine_loop(world->engine,
						  (uint32_t)below(world, world->loops));
	enum kolk_err err;

	if (caller->has && kolk__sim_now(world->sim) >= caller->until_ns)
		give_back(caller);
	if (caller->has || caller->waiting)
		return;
	caller->since_ns = kolk__sim_now(world->sim);
	err = kolk_acquire_async(loop, caller->key, KOLK_FOREVER, &caller->acquire, on_lease, caller);
	caller->waiting = err == KOLK_PENDING;
	if (err != KOLK_PENDING)
		on_result(caller, err, &caller->acquire.lease);
}

static void quit(struct caller *caller)
{
	if (caller->waiting && kolk_acquire_cancel(&caller->acquire) != KOLK_OK)
		world_break(caller->world, "a pending acquire cannot be cancelled");
	if (caller->has)
		give_back(caller);
}

static void pick_callers(struct world *world, struct caller *callers)
{
	for (int i = 0; i < CALLERS; i++) {
		const struct pool_slot *pool = &world->pools[i / KEYS];
		const struct key_slot *key = &pool->keys[i % KEYS];

		callers[i] = (struct caller){ .world = world };
		if (pool->pool != NULL && !pool->draining && !key->replaced)
			callers[i].key = key->key;
	}
}

static bool is_served(const struct caller *caller)
{
	return caller->served >= SERVED_MIN || (!caller->waiting && caller->refused >= SERVED_MIN);
}

/* Every caller was served often enough. A waiter is served in the end; a refused caller need not
 * be. */
static bool is_over(struct world *world, const struct caller *callers)
{
	bool over = true;

	for (int i = 0; i < CALLERS; i++) {
		if (callers[i].key == NULL)
			continue;
		over = over && is_served(&callers[i]);
		if (callers[i].waiting &&
		    kolk__sim_now(world->sim) - callers[i].since_ns > PATIENCE_S * KOLK_S_NS)
			world_break(world, "nothing fails any more, but a caller starves");
	}
	return over;
}

/* A key that is denied by two limits at a time, its pool's own and the engine's, may wait for as
 * long as its tenant has its share elsewhere (docs/limits.md): here the engine's is the only
 * one. */
static void lift_pool_limits(struct world *world)
{
	struct kolk_pool_limits all = KOLK_INIT(kolk_pool_limits);

	all.pool_connections_max = KOLK_UNLIMITED;
	for (int p = 0; p < POOLS; p++)
		if (world->pools[p].pool != NULL &&
		    kolk_pool_limits_set(world->pools[p].pool, &all) != KOLK_OK)
			world_break(world, "a limit cannot be lifted");
}

void starvation(struct world *world)
{
	uint32_t places = 1 + (uint32_t)below(world, 4);
	struct caller callers[CALLERS];

	world_trace(world, "starvation: %u connections", places);
	if (kolk_engine_connections_max_set(world->engine, places) != KOLK_OK)
		world_break(world, "a limit is refused");
	lift_pool_limits(world);
	pick_callers(world, callers);
	while (!is_over(world, callers) && world->broken == NULL) {
		for (int i = 0; i < CALLERS; i++)
			if (callers[i].key != NULL)
				act(&callers[i]);
		world_turn(world);
	}
	for (int i = 0; i < CALLERS; i++) {
		if (world->broken != NULL && callers[i].key != NULL)
			world_trace(world, "%s/%s was served %u times",
				    kolk_pool_name(kolk_key_pool(callers[i].key)),
				    kolk_key_tenant(callers[i].key), callers[i].served);
		quit(&callers[i]);
	}
	if (kolk_engine_connections_max_set(world->engine, 48) != KOLK_OK)
		world_break(world, "the engine refuses its own reserve");
}
