/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feast.c - nobody starves: everybody wants something all the time, there is little of it, and
 * everybody gets it again and again.
 */
#include "core/engine.h"
#include "tests/sim/world.h"

enum { GUESTS = POOLS * KEYS, HELPINGS = 3, PATIENCE_S = 60 };

struct guest {
	struct world *world;
	struct kolk_key *key; /* NULL = not invited */
	struct kolk_acquire acquire;
	struct kolk_lease lease;
	uint64_t since_ns, until_ns;
	uint32_t served, refused;
	bool waiting, has;
};

static void serve(struct guest *guest, enum kolk_err err, const struct kolk_lease *lease)
{
	guest->waiting = false;
	guest->has = err == KOLK_OK;
	guest->refused += err != KOLK_OK; /* there is no room to wait in: it asks again */
	if (err != KOLK_OK)
		return;
	guest->lease = *lease;
	guest->served++;
	guest->until_ns = kolk__sim_now(guest->world->sim) + below(guest->world, 10 * KOLK_MS_NS);
}

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	serve(user, err, lease);
}

static void give_back(struct guest *guest)
{
	guest->has = false;
	if (kolk_release(&guest->lease) != KOLK_OK)
		world_break(guest->world, "a good lease cannot be released");
}

static void act(struct guest *guest)
{
	struct world *world = guest->world;
	struct kolk_loop *loop = kolk_engine_loop(world->engine,
						  (uint32_t)below(world, world->loops));
	enum kolk_err err;

	if (guest->has && kolk__sim_now(world->sim) >= guest->until_ns)
		give_back(guest);
	if (guest->has || guest->waiting)
		return;
	guest->since_ns = kolk__sim_now(world->sim);
	err = kolk_acquire_async(loop, guest->key, KOLK_FOREVER, &guest->acquire, on_lease, guest);
	guest->waiting = err == KOLK_PENDING;
	if (err != KOLK_PENDING)
		serve(guest, err, &guest->acquire.lease);
}

static void leave(struct guest *guest)
{
	if (guest->waiting && kolk_acquire_cancel(&guest->acquire) != KOLK_OK)
		world_break(guest->world, "a pending acquire cannot be cancelled");
	if (guest->has)
		give_back(guest);
}

static void invite(struct world *world, struct guest *guests)
{
	for (int i = 0; i < GUESTS; i++) {
		const struct pool_slot *pool = &world->pools[i / KEYS];
		const struct key_slot *key = &pool->keys[i % KEYS];

		guests[i] = (struct guest){ .world = world };
		if (pool->pool != NULL && !pool->draining && !key->replaced)
			guests[i].key = key->key;
	}
}

static bool is_content(const struct guest *guest)
{
	return guest->served >= HELPINGS || (!guest->waiting && guest->refused >= HELPINGS);
}

/* Everybody had his share. Who waits is served in the end; who is refused may come in vain. */
static bool is_over(struct world *world, const struct guest *guests)
{
	bool over = true;

	for (int i = 0; i < GUESTS; i++) {
		if (guests[i].key == NULL)
			continue;
		over = over && is_content(&guests[i]);
		if (guests[i].waiting &&
		    kolk__sim_now(world->sim) - guests[i].since_ns > PATIENCE_S * KOLK_S_NS)
			world_break(world, "nothing fails any more, but somebody starves");
	}
	return over;
}

/* A key that lacks two limits at a time, its pool's own and the engine's, may wait for as long as its
 * tenant has its share elsewhere (docs/limits.md): here the engine's is the only one. */
static void lift_pool_limits(struct world *world)
{
	struct kolk_pool_limits all = KOLK_INIT(kolk_pool_limits);

	all.pool_connections_max = KOLK_UNLIMITED;
	for (int p = 0; p < POOLS; p++)
		if (world->pools[p].pool != NULL &&
		    kolk_pool_limits_set(world->pools[p].pool, &all) != KOLK_OK)
			world_break(world, "a limit cannot be lifted");
}

void feast(struct world *world)
{
	uint32_t places = 1 + (uint32_t)below(world, 4);
	struct guest guests[GUESTS];

	world_trace(world, "a feast with %u places", places);
	if (kolk_engine_connections_max_set(world->engine, places) != KOLK_OK)
		world_break(world, "a limit is refused");
	lift_pool_limits(world);
	invite(world, guests);
	while (!is_over(world, guests) && world->broken == NULL) {
		for (int i = 0; i < GUESTS; i++)
			if (guests[i].key != NULL)
				act(&guests[i]);
		world_turn(world);
	}
	for (int i = 0; i < GUESTS; i++) {
		if (world->broken != NULL && guests[i].key != NULL)
			world_trace(world, "%s/%s was served %u times",
				    kolk_pool_name(kolk_key_pool(guests[i].key)),
				    kolk_key_tenant(guests[i].key), guests[i].served);
		leave(&guests[i]);
	}
	if (kolk_engine_connections_max_set(world->engine, 48) != KOLK_OK)
		world_break(world, "the engine refuses its own reserve");
}
