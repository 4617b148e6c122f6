/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - kolk-race: one stress body over topologies, to be run under ThreadSanitizer too.
 *
 * Each connection is a resource with a cell that only its holder may write, plainly: a connection
 * with two holders is a data race that TSan sees, and a wrong sum that every build sees.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kolk/kolk.h>

#include "core/base/atomic.h"
#include "tests/kit/measure.h"
#include "tests/kit/tap.h"
#include "tests/race/race.h"

struct topology {
	const char *name;
	uint32_t threads, keys, connections, engine_max;
	uint64_t overtake_ns;
	bool churn;  /* discards, key open and close, limits, clear, statistics */
	bool drains; /* the pool goes in the middle of it */
	bool async;  /* callers on loops beside the threads */
};

uint64_t race_ms = 1000;

struct cell {
	uint64_t holders, uses; /* plain: the holder's alone */
};

struct race {
	const struct topology *topology;
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_key *keys[8];
	kolk__atomic_bool stop;
	kolk__atomic_u64 leases;
	kolk__atomic_u64 uses; /* of cells that are gone */
	kolk__atomic_u64 errors[64]; /* by -err */
	kolk__atomic_u32 closed;
	kolk__atomic_u32 callers; /* asynchronous ones that still run */
};

static struct race *current; /* the resource driver's */

static enum kolk_err cell_create(void *user, void **resource)
{
	(void)user;
	*resource = calloc(1, sizeof(struct cell));
	return *resource != NULL ? KOLK_OK : KOLK_E_MEMORY;
}

static void cell_destroy(void *user, void *resource)
{
	struct cell *cell = resource;

	(void)user;
	CHECK(cell->holders == 0);
	kolk__add_relaxed(&current->uses, cell->uses);
	free(cell);
}

static enum kolk_err cell_validate(void *user, void *resource)
{
	struct cell *cell = resource;

	(void)user;
	CHECK(cell->holders == 0); /* while maintenance holds it, no caller does */
	return KOLK_OK;
}

static const struct kolk_resource_driver cells = { .size = sizeof cells, .name = "cell",
						   .create = cell_create,
						   .validate = cell_validate,
						   .destroy = cell_destroy };

static void on_event(void *user, const struct kolk_event *event)
{
	struct race *race = user;

	kolk__add_relaxed(&race->closed, event->kind == KOLK_EVENT_CLOSED);
}

/* ---- the body */

uint64_t race_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return *state >> 33;
}

bool race_goes_on(uint64_t began_ms, uint64_t done, uint64_t wanted)
{
	uint64_t took_ms = tap_now_ms() - began_ms;

	return took_ms < race_ms || (done < wanted && took_ms < 10000);
}

static void use(struct race *race, struct kolk_lease *lease, uint64_t random)
{
	struct cell *cell = kolk_lease_resource(lease);

	if (cell == NULL) { /* revoked by a drain already */
		CHECK(race->topology->drains);
		(void)kolk_release(lease);
		return;
	}
	kolk__add_relaxed(&race->leases, 1);
	cell->uses++;
	CHECK(++cell->holders == 1);
	if (random % 8 == 0)
		sched_yield();
	cell->holders--;
	if (race->topology->churn && random % 16 == 0)
		CHECK_ERR(kolk_discard(lease), KOLK_OK);
	else
		CHECK_ERR(kolk_release(lease), KOLK_OK);
	if (random % 64 == 0)
		CHECK_ERR(kolk_release(lease), KOLK_E_LEASE_STALE);
}

static void audit(struct kolk_engine *engine)
{
	const char *law = "";

	if (!CHECK_ERR(kolk_check(engine, &law), KOLK_OK))
		tap_note("broken: %s", law);
}

static void churn(struct race *race, uint64_t random)
{
	struct kolk_key_options k = KOLK_INIT(kolk_key_options);
	struct kolk_pool_limits l = KOLK_INIT(kolk_pool_limits);
	struct kolk_stats s = KOLK_INIT(kolk_stats);
	struct kolk_key *key;
	char tenant[16];

	switch (random % 5) {
	case 0:
		(void)kolk_pool_clear(race->pool);
		break;
	case 1:
		snprintf(tenant, sizeof tenant, "x%u", (unsigned)(random / 5 % 3));
		k.tenant = tenant;
		if (kolk_key_open(race->pool, &k, &key) == KOLK_OK) {
			struct kolk_lease lease;

			if (kolk_try_acquire(key, &lease) == KOLK_OK)
				use(race, &lease, random);
			kolk_key_close(key);
		}
		break;
	case 2:
		l.connections_max = 1 + (uint32_t)(random / 5 % race->topology->connections);
		CHECK_ERR(kolk_pool_limits_set(race->pool, &l), KOLK_OK);
		l.connections_max = race->topology->connections;
		CHECK_ERR(kolk_pool_limits_set(race->pool, &l), KOLK_OK);
		break;
	case 3:
		CHECK_ERR(kolk_engine_stats(race->engine, &s), KOLK_OK);
		break;
	default:
		audit(race->engine);
	}
}

static void *body(void *arg)
{
	struct race *race = arg;
	uint64_t random = (uintptr_t)&random + clock_now();

	while (!kolk__load_relaxed(&race->stop)) {
		uint64_t r = race_random(&random);
		struct kolk_key *key = race->keys[r % race->topology->keys];
		struct kolk_lease lease;
		enum kolk_err err = r % 4 == 0 ? kolk_try_acquire(key, &lease) :
						 kolk_acquire(key, kolk_in_us(r / 4 % 2000), &lease);

		if (err == KOLK_OK)
			use(race, &lease, r >> 8);
		else
			kolk__add_relaxed(&race->errors[-err], 1);
		if (race->topology->churn && r % 256 == 0)
			churn(race, r >> 8);
	}
	return NULL;
}

/* ---- callers on loops */

struct caller {
	struct race *race;
	struct kolk_loop *loop;
	struct kolk_call call;
	struct kolk_acquire acquire;
	uint64_t random;
};

static void caller_next(struct caller *caller);

static void caller_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct caller *caller = user;
	struct kolk_lease mine;

	if (err == KOLK_OK) {
		mine = *lease;
		use(caller->race, &mine, race_random(&caller->random));
	} else {
		kolk__add_relaxed(&caller->race->errors[-err], 1);
	}
	caller_next(caller);
}

static void caller_turn(struct kolk_call *call, void *user)
{
	struct caller *caller = user;
	struct race *race = caller->race;
	uint64_t r = race_random(&caller->random);
	enum kolk_err err;

	(void)call;
	if (kolk__load_relaxed(&race->stop)) {
		kolk__sub_acq_rel(&race->callers, 1);
		return;
	}
	err = kolk_acquire_async(caller->loop, race->keys[r % race->topology->keys],
				 kolk_in_us(r % 3000), &caller->acquire, caller_lease, caller);
	if (err != KOLK_PENDING) {
		caller_lease(caller, err, &caller->acquire.lease);
	} else if (r % 4 == 0) {
		CHECK_ERR(kolk_acquire_cancel(&caller->acquire), KOLK_OK);
		caller_next(caller);
	}
}

static void caller_next(struct caller *caller)
{
	(void)kolk_loop_call(caller->loop, &caller->call, caller_turn, caller);
}

/* ---- one topology */

static bool race_open(struct race *race)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);
	struct kolk_key_options k = KOLK_INIT(kolk_key_options);
	char tenant[16];

	e.loops = 2;
	e.connections_max = race->topology->engine_max;
	e.event_mask = KOLK_EVENT_BIT(KOLK_EVENT_CLOSED);
	e.on_event = on_event;
	e.event_user = race;
	if (!CHECK_ERR(kolk_engine_create(&e, &race->engine), KOLK_OK))
		return false;
	p.name = "race";
	p.resource = &cells;
	p.connections_max = race->topology->connections;
	p.waiters_max = 64;
	p.overtake_max_ns = race->topology->overtake_ns;
	p.idle_timeout_ns = 20 * KOLK_MS_NS;
	p.ping_interval_ns = 5 * KOLK_MS_NS;
	p.lifetime_ns = 50 * KOLK_MS_NS;
	p.retry_interval_ns = KOLK_MS_NS;
	if (!CHECK_ERR(kolk_pool_add(race->engine, &p, &race->pool), KOLK_OK))
		return false;
	for (uint32_t i = 0; i < race->topology->keys; i++) {
		snprintf(tenant, sizeof tenant, "t%u", i);
		k.tenant = tenant;
		if (!CHECK_ERR(kolk_key_open(race->pool, &k, &race->keys[i]), KOLK_OK))
			return false;
	}
	return true;
}

static void race_close(struct race *race)
{
	const char *law = NULL;

	CHECK_ERR(kolk_check(race->engine, &law), KOLK_OK);
	if (law != NULL)
		tap_note("broken: %s", law);
	CHECK_ERR(kolk_engine_drain(race->engine, kolk_in_ms(100)), KOLK_OK);
	CHECK_ERR(kolk_engine_wait_closed(race->engine, kolk_in_ms(5000)), KOLK_OK);
	CHECK(kolk__load_acquire(&race->closed) == 1);
	CHECK_ERR(kolk_engine_destroy(race->engine), KOLK_OK);
	CHECK(kolk__own(&race->uses) == kolk__own(&race->leases));
}

static void run(const struct topology *topology)
{
	struct race race = { .topology = topology };
	struct caller callers[8] = { 0 };
	pthread_t threads[32];

	current = &race;
	MUST(race_open(&race));
	for (uint32_t i = 0; i < topology->threads; i++)
		pthread_create(&threads[i], NULL, body, &race);
	kolk__store_relaxed(&race.callers, topology->async ? 8 : 0);
	for (uint32_t i = 0; i < 8 && topology->async; i++) {
		callers[i].race = &race;
		callers[i].random = i + 1;
		callers[i].loop = kolk_engine_loop(race.engine, i % 2);
		caller_next(&callers[i]);
	}
	usleep((unsigned)(race_ms * (topology->drains ? 500 : 1000)));
	if (topology->drains) {
		CHECK_ERR(kolk_pool_drain(race.pool, kolk_in_ms(20)), KOLK_OK);
		usleep(100000);
	}
	kolk__store_relaxed(&race.stop, true);
	for (uint32_t i = 0; i < topology->threads; i++)
		pthread_join(threads[i], NULL);
	CHECK(WITHIN_MS(5000, kolk__load_acquire(&race.callers) == 0));
	race_close(&race);
	tap_note("%llu leases, %llu time-outs, %llu refused",
		 (unsigned long long)kolk__own(&race.leases),
		 (unsigned long long)kolk__own(&race.errors[-KOLK_E_TIMEOUT]),
		 (unsigned long long)(kolk__own(&race.errors[-KOLK_E_QUEUE_FULL]) +
				      kolk__own(&race.errors[-KOLK_E_DRAINING])));
	CHECK(kolk__own(&race.leases) > 0);
}

/* A number of its own, then the members of struct topology. */
#define TOPOLOGIES(X) \
	X(0, "1 thread, 1 connection", 1, 1, 1, 8, 0, false, false, false) \
	X(1, "2 threads, 1 connection", 2, 1, 1, 8, 0, false, false, false) \
	X(2, "2 threads, 1 connection, strict", 2, 1, 1, 8, KOLK_AT_ONCE, false, false, false) \
	X(3, "4 threads, 2 connections", 4, 1, 2, 8, 0, false, false, false) \
	X(4, "8 threads, 8 connections", 8, 1, 8, 8, 0, false, false, false) \
	X(5, "32 threads, 16 connections", 32, 1, 16, 32, 0, false, false, false) \
	X(6, "8 threads, 4 keys, a total that is too small", 8, 4, 4, 6, 0, false, false, false) \
	X(7, "8 threads, churn", 8, 3, 3, 8, 0, true, false, false) \
	X(8, "4 threads and loops, churn", 4, 2, 3, 6, 0, true, false, true) \
	X(9, "8 threads, drain in the middle", 8, 2, 4, 8, 0, false, true, false) \
	X(10, "4 threads and loops, churn, drain", 4, 2, 3, 6, KOLK_AT_ONCE, true, true, true)

#define BODY(number, ...)                                             \
	static void run_##number(void)                                \
	{                                                             \
		static const struct topology topology = { __VA_ARGS__ }; \
		run(&topology);                                       \
	}
TOPOLOGIES(BODY)

#define TEST(number, name, ...) { name, run_##number },
static const struct tap_test tests[] = { TOPOLOGIES(TEST) };

TAP_TESTS(topologies, tests);

int main(int argc, char **argv)
{
	const char *only = NULL;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--ms") == 0 && i + 1 < argc)
			race_ms = strtoull(argv[++i], NULL, 10);
		else
			only = argv[i];
	}
	return tap_suites_run("race", only);
}
