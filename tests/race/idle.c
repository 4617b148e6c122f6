/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle.c - bursts on a key with hundreds of connections, so that tokens go through rings, stack and
 * bits while connections are discarded, pinged, evicted and dialled again. In the end, every token
 * is where its position says, once.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include <kolk/kolk.h>

#include "core/engine.h"
#include "core/idle_list.h"
#include "tests/kit/measure.h"
#include "tests/kit/tap.h"
#include "tests/race/race.h"

enum { THREADS = 8, BURST_MAX = 48, CONNECTIONS = 330 };

struct cell {
	uint64_t holders; /* plain: the holder's alone */
};

static struct {
	struct kolk_key *key;
	kolk__atomic_bool stop;
	kolk__atomic_u64 leases, missed;
} idle;

static enum kolk_err cell_create(void *user, void **resource)
{
	(void)user;
	*resource = calloc(1, sizeof(struct cell));
	return *resource != NULL ? KOLK_OK : KOLK_E_MEMORY;
}

static enum kolk_err cell_validate(void *user, void *resource)
{
	struct cell *cell = resource;

	(void)user;
	CHECK(++cell->holders == 1);
	cell->holders--;
	return KOLK_OK;
}

static void cell_destroy(void *user, void *resource)
{
	struct cell *cell = resource;

	(void)user;
	CHECK(cell->holders == 0);
	free(resource);
}

static const struct kolk_resource_driver cells = { .size = sizeof cells, .name = "cell",
						   .create = cell_create,
						   .validate = cell_validate,
						   .destroy = cell_destroy };

static uint32_t burst(struct kolk_lease *leases, uint32_t size, uint64_t random)
{
	uint32_t got = 0;

	for (uint32_t i = 0; i < size; i++) {
		enum kolk_err err = random >> i % 32 & 1 ?
					    kolk_try_acquire(idle.key, &leases[got]) :
					    kolk_acquire(idle.key, kolk_in_ms(2), &leases[got]);
		struct cell *cell;

		if (err != KOLK_OK) {
			kolk__add_relaxed(&idle.missed, 1);
			continue;
		}
		cell = kolk_lease_resource(&leases[got++]);
		CHECK(++cell->holders == 1);
	}
	return got;
}

static void give_back(struct kolk_lease *lease, bool discard)
{
	((struct cell *)kolk_lease_resource(lease))->holders--;
	CHECK_ERR(discard ? kolk_discard(lease) : kolk_release(lease), KOLK_OK);
}

static void *body(void *arg)
{
	struct kolk_lease leases[BURST_MAX];
	uint64_t random = (uintptr_t)arg + clock_now();

	while (!kolk__load_relaxed(&idle.stop)) {
		uint64_t r = race_random(&random);
		uint32_t got = burst(leases, 1 + (uint32_t)r % BURST_MAX, race_random(&random));

		kolk__add_relaxed(&idle.leases, got);
		if (got == 0)
			usleep(200); /* let the dials come */
		for (uint32_t i = 0; i < got; i++)
			give_back(&leases[i], r >> 16 & 1 && i % 8 == 0);
	}
	return NULL;
}

static bool tokens_are_there(struct kolk_engine *engine)
{
	bool there;

	kolk__take_lock(engine, &idle.key->lock);
	there = kolk__tokens_count(idle.key) == kolk__conn_table_listed(idle.key);
	kolk__give_lock(engine, &idle.key->lock);
	return there;
}

/* Nothing lies where no caller finds it: what is idle can be leased, all of it. */
static void lease_all(void)
{
	static struct kolk_lease leases[CONNECTIONS];

	for (int i = 0; i < CONNECTIONS; i++)
		CHECK_ERR(kolk_acquire(idle.key, kolk_in_ms(10000), &leases[i]), KOLK_OK);
	for (int i = 0; i < CONNECTIONS; i++)
		CHECK_ERR(kolk_release(&leases[i]), KOLK_OK);
}

static void bursts(void)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	pthread_t threads[THREADS];

	e.loops = 2;
	e.connections_max = CONNECTIONS;
	p.name = "idle";
	p.resource = &cells;
	p.connections_max = p.pool_connections_max = CONNECTIONS;
	p.idle_timeout_ns = 20 * KOLK_MS_NS;
	p.ping_interval_ns = 5 * KOLK_MS_NS;
	MUST(CHECK_ERR(kolk_engine_create(&e, &engine), KOLK_OK));
	MUST(CHECK_ERR(kolk_pool_add(engine, &p, &pool), KOLK_OK));
	idle.key = kolk_pool_key(pool);
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, body, (void *)i);
	usleep((unsigned)(race_ms * 1000));
	kolk__store_relaxed(&idle.stop, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	lease_all();
	CHECK(WITHIN_MS(5000, tokens_are_there(engine))); /* those that a ping holds come back */
	tap_note("%llu leases, %llu missed", (unsigned long long)kolk__own(&idle.leases),
		 (unsigned long long)kolk__own(&idle.missed));
	CHECK_ERR(kolk_engine_drain(engine, kolk_in_ms(100)), KOLK_OK);
	CHECK_ERR(kolk_engine_destroy(engine), KOLK_OK);
}

static const struct tap_test tests[] = {
	{ "bursts of 8 threads on 330 connections", bursts },
};
TAP_TESTS(idle, tests);
