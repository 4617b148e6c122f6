/* SPDX-License-Identifier: Apache-2.0 */
/* scale_key.c - a key with many connections that cost nothing, on a loop of this thread. */
#include <stdlib.h>

#include "bench/scale.h"

enum { DIALS = 64 };

struct opening {
	struct kolk_acquire acquire;
	struct large_key *large;
	bool pending;
};

static void on_open(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct opening *opening = user;
	struct large_key *large = opening->large;

	scale_check(err, "open");
	large->held[large->leased++] = *lease;
	large->open++;
	opening->pending = false;
}

static void open_one(struct large_key *large, struct opening *opening)
{
	enum kolk_err err;

	opening->large = large;
	opening->pending = true;
	err = kolk_acquire_async(large->loop, large->key, KOLK_FOREVER, &opening->acquire, on_open,
				 opening);
	if (err != KOLK_PENDING)
		on_open(opening, err, &opening->acquire.lease);
}

static void step(struct large_key *large)
{
	scale_check(kolk_loop_step(large->loop, 10 * KOLK_MS_NS), "step");
}

void large_key_open(struct large_key *large, const struct scale *scale, uint32_t most,
		    const char *address)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);

	*large = (struct large_key){ .scale = scale, .sockets = address != NULL,
				     .random = 88172645463325252u };
	engine.loops = 1;
	engine.loop_owner = KOLK_LOOPS_EMBEDDER;
	engine.backend = scale->args->backend;
	engine.connections_max = most;
	engine.dials_max = 2 * DIALS;
	pool.name = "scale";
	pool.resource = address == NULL ? &fixture_resource : NULL;
	pool.address = address;
	pool.connections_max = 1; /* large_key_limit */
	pool.idle_min = KOLK_NONE;
	pool.waiters_max = 10000;
	pool.dials_max = 2 * DIALS;
	pool.eager_dials = pool.hopeless_waits = 1;
	pool.idle_timeout_ns = pool.lifetime_ns = pool.lease_overdue_ns = KOLK_FOREVER;
	scale_check(kolk_engine_create(&engine, &large->engine), "engine");
	scale_check(kolk_pool_add(large->engine, &pool, &large->pool), "pool");
	large->loop = kolk_engine_loop(large->engine, 0);
	large->key = kolk_pool_key(large->pool);
	large->held = calloc(most, sizeof *large->held);
	if (large->held == NULL)
		die("no memory for %u leases", most);
}

void large_key_limit(struct large_key *large, uint32_t n)
{
	struct kolk_pool_limits limits = KOLK_INIT(kolk_pool_limits);

	limits.connections_max = n;
	scale_check(kolk_pool_limits_set(large->pool, &limits), "limit");
}

void large_key_grow(struct large_key *large, uint32_t n)
{
	struct opening *openings = calloc(DIALS, sizeof *openings);
	uint64_t end_ns = clock_now() + (uint64_t)(large->scale->open_s * 1e9);
	uint32_t pending;

	do {
		pending = 0;
		for (int i = 0; i < DIALS; i++)
			pending += openings[i].pending;
		for (int i = 0; i < DIALS && clock_now() < end_ns; i++)
			if (!openings[i].pending && large->open + pending < n) {
				open_one(large, &openings[i]);
				pending += openings[i].pending;
			}
		progress("scale: %u of %u connections of a key", large->open, n);
		if (pending > 0)
			step(large);
	} while (pending > 0);
	progress("%s", "");
	free(openings);
}

void large_key_grow_one(struct large_key *large, struct costs *costs)
{
	struct opening opening;
	uint64_t begin = cpu_now();

	open_one(large, &opening);
	while (opening.pending)
		step(large);
	(void)costs_add(costs, large->scale, begin);
}

void large_key_release(struct large_key *large, uint32_t count)
{
	for (; count > 0; count--) {
		uint32_t at = (uint32_t)(scale_random(&large->random) % large->leased);

		scale_check(kolk_release(&large->held[at]), "release");
		large->held[at] = large->held[--large->leased];
	}
}

void large_key_take(struct large_key *large, uint32_t count)
{
	for (; count > 0; count--)
		scale_check(kolk_acquire(large->key, kolk_in_ms(5000),
					 &large->held[large->leased++]), "take");
}

void large_key_close(struct large_key *large)
{
	large_key_release(large, large->leased);
	scale_check(kolk_engine_drain(large->engine, 1), "drain");
	while (!kolk_engine_is_closed(large->engine))
		step(large);
	scale_check(kolk_engine_destroy(large->engine), "close");
	free(large->held);
}
