/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle_max.c - threads release beyond idle_max and pool_idle_max while connections are cleared,
 * rotated and time out, and the pool drains. What is counted as idle never falls below zero, is
 * what is idle when they have stopped, and no more than the limits say.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include <kolk/kolk.h>

#include "core/engine.h"
#include "core/pool.h"
#include "tests/kit/measure.h"
#include "tests/kit/tap.h"
#include "tests/race/race.h"

enum { THREADS = 6, KEYS = 3, BURST = 6, IDLE_MAX = 3, POOL_IDLE_MAX = 7 };

static struct {
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_key *keys[KEYS];
	kolk__atomic_bool stop;
	kolk__atomic_u64 leases;
} surplus;

static enum kolk_err thing_create(void *user, void **thing)
{
	*thing = user;
	return KOLK_OK;
}

static const struct kolk_resource_driver things = { .size = sizeof things, .name = "thing",
						    .create = thing_create };

static void *caller(void *arg)
{
	uint64_t random = (uintptr_t)arg + clock_now();
	struct kolk_lease leases[BURST];

	while (!kolk__load_relaxed(&surplus.stop)) {
		uint64_t r = race_random(&random);
		struct kolk_key *key = surplus.keys[r % KEYS];
		uint32_t got = 0;

		for (uint32_t i = 0; i <= (r >> 8) % BURST; i++)
			got += kolk_acquire(key, kolk_in_ms(2), &leases[got]) == KOLK_OK;
		for (uint32_t i = 0; i < got; i++)
			(void)(r >> (16 + i) & 1 ? kolk_release(&leases[i]) :
						   kolk_discard(&leases[i]));
		kolk__add_relaxed(&surplus.leases, got);
	}
	return NULL;
}

/* A count that falls below zero is a large one. */
static void look(void)
{
	for (int i = 0; i < KEYS; i++)
		CHECK(kolk__load_relaxed(&surplus.keys[i]->idle) <= IDLE_MAX + THREADS * BURST);
	CHECK(kolk__load_relaxed(&surplus.pool->idle) <= POOL_IDLE_MAX + THREADS * BURST);
}

/* E_IN_USE: a suspension has just closed it, and its event is being told. */
static enum kolk_err resume(void)
{
	enum kolk_err err;

	while ((err = kolk_pool_resume(surplus.pool)) == KOLK_E_IN_USE)
		sched_yield();
	return err;
}

static void disturb(uint64_t random)
{
	if (random % 8 == 0)
		(void)kolk_pool_clear(surplus.pool);
	else if (random % 8 == 1)
		(void)kolk_key_rotate(surplus.keys[random >> 8 & 1]);
	else if (random % 32 == 2)
		CHECK_ERR(kolk_pool_suspend(surplus.pool, kolk_in_us(1)), KOLK_OK);
	else
		CHECK_ERR(resume(), KOLK_OK);
	look();
}

/* When the threads have stopped, one release of each key corrects what came by dials. */
static void settle(void)
{
	for (int i = 0; i < KEYS; i++) {
		struct kolk_lease leases[2];

		for (int n = 0; n < 2; n++)
			CHECK_ERR(kolk_acquire(surplus.keys[i], kolk_in_ms(5000), &leases[n]), KOLK_OK);
		for (int n = 0; n < 2; n++)
			CHECK_ERR(kolk_release(&leases[n]), KOLK_OK);
	}
}

static uint64_t idle_of_pool(void)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	CHECK_ERR(kolk_pool_stats(surplus.pool, &stats), KOLK_OK);
	return stats.idle;
}

static bool counts_agree(void)
{
	const char *law = NULL;

	return kolk_check(surplus.engine, &law) == KOLK_OK &&
	       kolk__load_relaxed(&surplus.pool->idle) == idle_of_pool() &&
	       idle_of_pool() <= POOL_IDLE_MAX;
}

static void run(void)
{
	pthread_t threads[THREADS];
	uint64_t random = clock_now(), end = kolk_in_ms(race_ms);

	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, caller, (void *)i);
	while (clock_now() < end) {
		disturb(race_random(&random));
		usleep(500);
	}
	kolk__store_relaxed(&surplus.stop, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CHECK_ERR(resume(), KOLK_OK);
	settle();
	CHECK(WITHIN_MS(5000, counts_agree()));
}

static void limits_under_threads(void)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);
	struct kolk_key_options o = KOLK_INIT(kolk_key_options);

	p.name = "surplus";
	p.resource = &things;
	p.driver_user = &surplus;
	p.connections_max = THREADS * BURST / 2;
	p.idle_min = KOLK_NONE;
	p.idle_timeout_ns = 20 * KOLK_MS_NS;
	p.idle_max = IDLE_MAX;
	p.pool_idle_max = POOL_IDLE_MAX;
	e.loops = 2;
	e.tenant_connections_max = KOLK_UNLIMITED;
	MUST(CHECK_ERR(kolk_engine_create(&e, &surplus.engine), KOLK_OK));
	MUST(CHECK_ERR(kolk_pool_add(surplus.engine, &p, &surplus.pool), KOLK_OK));
	for (int i = 0; i < KEYS; i++) {
		o.tenant = (const char *[]){ "one", "two", "three" }[i];
		MUST(CHECK_ERR(kolk_key_open(surplus.pool, &o, &surplus.keys[i]), KOLK_OK));
	}
	run();
	tap_note("%llu leases", (unsigned long long)kolk__own(&surplus.leases));
	for (int i = 0; i < KEYS; i++)
		kolk_key_close(surplus.keys[i]);
	CHECK_ERR(kolk_engine_drain(surplus.engine, kolk_in_ms(100)), KOLK_OK);
	CHECK_ERR(kolk_engine_destroy(surplus.engine), KOLK_OK);
}

static const struct tap_test tests[] = {
	{ "releases beyond idle_max and pool_idle_max", limits_under_threads },
};
TAP_TESTS(idle_max, tests);
