/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity.c - many threads are many identities for a moment each, while one thread rotates,
 * updates, replaces and limits what they use.
 *
 * Each connection is a resource that records its first owner, the rotation after which it was made
 * and its configuration: a caller that gets it is the same owner, and asked after no later rotation
 * and no other configuration than had been finished when it asked.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kolk/kolk.h>

#include "core/base/atomic.h"
#include "tests/kit/tap.h"
#include "tests/race/race.h"

enum { WORKERS = 6, POOLS = 2, IDENTITIES = 24, TENANTS = 6, CONFIGS = 4, LEASES_MIN = 100 };

struct cell {
	uint32_t owner;    /* plain: the holder's; 0 = it had no owner yet */
	uint32_t held;     /* plain: the holder's */
	uint64_t born;     /* constant: rotations that had begun */
	uint32_t config;   /* constant */
};

struct config {
	struct identity_race *race;
	uint32_t number, pool;
};

struct identity_race {
	struct kolk_engine *engine;
	struct kolk_pool *pools[POOLS];
	struct config config[CONFIGS + 1]; /* the last is of the second pool */
	kolk__atomic_u64 begun[POOLS]; /* rotations of the pool that have begun */
	kolk__atomic_u64 ended[POOLS]; /* the last of them that is over */
	kolk__atomic_u32 updated; /* the configuration of pool 0 that is in force, or on its
	                         * way: odd = an update is under way */
	kolk__atomic_bool stop;
	kolk__atomic_u64 leases, refused, rotations;
};

static enum kolk_err cell_create(void *user, void **resource)
{
	const struct config *config = user;
	struct cell *cell = calloc(1, sizeof *cell);

	if (cell == NULL)
		return KOLK_E_MEMORY;
	cell->config = config->number;
	cell->born = kolk__load_acquire(&config->race->begun[config->pool]);
	*resource = cell;
	return KOLK_OK;
}

static void cell_destroy(void *user, void *resource)
{
	struct cell *cell = resource;

	(void)user;
	CHECK(cell->held == 0);
	free(cell);
}

static const struct kolk_resource_driver cells = { .size = sizeof cells, .name = "identity",
						   .create = cell_create,
						   .destroy = cell_destroy };

/* ---- callers */

static struct kolk_key_options who_is(uint32_t identity, char name[16])
{
	struct kolk_key_options o = KOLK_INIT(kolk_key_options);

	snprintf(name, 16, "t%u", identity % TENANTS);
	o.tenant = name;
	if (identity >= TENANTS) {
		o.credential = name;
		o.credential_size = identity / TENANTS; /* "t", "t1" ...: a prefix each */
	}
	return o;
}

struct seen {
	uint64_t ended;
	uint32_t updated;
};

static void check_cell(struct identity_race *race, struct kolk_lease *lease, uint32_t pool,
		       uint32_t identity, struct seen before)
{
	struct cell *cell = kolk_lease_resource(lease);

	if (!CHECK(cell != NULL))
		return;
	CHECK(cell->held++ == 0);
	CHECK(cell->owner == 0 || cell->owner == identity + 1 + pool * IDENTITIES);
	cell->owner = identity + 1 + pool * IDENTITIES;
	CHECK(cell->born >= before.ended);
	/* No update while we asked: it is of this configuration. */
	if (pool == 0 && before.updated % 2 == 0 &&
	    kolk__load_acquire(&race->updated) == before.updated)
		CHECK(cell->config == before.updated / 2 % CONFIGS);
	cell->held--;
	kolk__add_relaxed(&race->leases, 1);
}

static void lease_once(struct identity_race *race, uint64_t *random)
{
	uint32_t identity = (uint32_t)(race_random(random) % IDENTITIES);
	uint32_t pool = (uint32_t)(race_random(random) % POOLS);
	bool direct = race_random(random) % 3 == 0;
	char name[16];
	struct kolk_key_options o = who_is(identity, name);
	struct seen before = { .ended = kolk__load_acquire(&race->ended[pool]),
			       .updated = kolk__load_acquire(&race->updated) };
	struct kolk_key *key = NULL;
	struct kolk_lease lease;
	enum kolk_err err;

	if (direct) {
		err = kolk_acquire_as(race->pools[pool], &o, kolk_in_ms(20), &lease);
	} else {
		err = kolk_key_open(race->pools[pool], &o, &key);
		if (err == KOLK_OK)
			err = kolk_acquire(key, kolk_in_ms(20), &lease);
	}
	if (err == KOLK_OK) {
		check_cell(race, &lease, pool, identity, before);
		CHECK_ERR(race_random(random) % 16 == 0 ? kolk_discard(&lease) :
							  kolk_release(&lease), KOLK_OK);
	} else {
		CHECK(err == KOLK_E_TIMEOUT || err == KOLK_E_LIMIT || err == KOLK_E_ROTATED ||
		      err == KOLK_E_DEADLINE || err == KOLK_E_QUEUE_FULL);
		kolk__add_relaxed(&race->refused, 1);
	}
	if (key != NULL)
		kolk_key_close(key);
}

static void *work(void *arg)
{
	struct identity_race *race = arg;
	uint64_t random = (uint64_t)(uintptr_t)&race;

	while (!kolk__load_acquire(&race->stop))
		lease_once(race, &random);
	return NULL;
}

/* ---- the thread that changes things */

static void rotate(struct identity_race *race, uint64_t random)
{
	uint32_t pool = (uint32_t)(random % POOLS);
	bool all = random / POOLS % 3 == 0;

	for (uint32_t i = 0; i < POOLS; i++)
		if (all || i == pool)
			kolk__add_acq_rel(&race->begun[i], 1);
	if (all)
		(void)kolk_engine_rotate(race->engine);
	else
		(void)kolk_pool_rotate(race->pools[pool]);
	for (uint32_t i = 0; i < POOLS; i++) /* no other thread begins one */
		kolk__store_release(&race->ended[i], kolk__load_relaxed(&race->begun[i]));
	kolk__add_relaxed(&race->rotations, 1);
}

static struct kolk_pool_options options_of(struct identity_race *race, uint32_t pool)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	o.name = pool == 0 ? "first" : "second";
	o.resource = &cells;
	o.driver_user = &race->config[kolk__load_relaxed(&race->updated) / 2 % CONFIGS];
	o.connections_max = 3;
	o.idle_min = KOLK_NONE;
	o.retry_interval_ns = KOLK_MS_NS;
	if (pool > 0)
		o.driver_user = &race->config[CONFIGS];
	return o;
}

static void update(struct identity_race *race, uint64_t random)
{
	struct kolk_pool_options o;

	if (random % 2 == 0) { /* bounds only */
		o = options_of(race, 1);
		o.connections_max = 1 + (uint32_t)(random / 2 % 4);
		CHECK_ERR(kolk_pool_update(race->pools[1], &o), KOLK_OK);
		return;
	}
	kolk__add_acq_rel(&race->updated, 1);
	o = options_of(race, 0);
	o.driver_user = &race->config[(kolk__load_relaxed(&race->updated) + 1) / 2 % CONFIGS];
	CHECK_ERR(kolk_pool_update(race->pools[0], &o), KOLK_OK);
	kolk__add_acq_rel(&race->updated, 1);
}

static void replace(struct identity_race *race, uint64_t random)
{
	char name[16];
	struct kolk_key_options o = who_is((uint32_t)(random % IDENTITIES), name);
	struct kolk_key *key;
	enum kolk_err err;

	o.replaces = 1;
	err = kolk_key_open(race->pools[random / IDENTITIES % POOLS], &o, &key);
	CHECK(err == KOLK_OK || err == KOLK_E_LIMIT);
	if (err == KOLK_OK)
		kolk_key_close(key);
}

static void limit(struct identity_race *race, uint64_t random)
{
	struct kolk_tenant_limits limits = KOLK_INIT(kolk_tenant_limits);
	char name[16];

	(void)who_is((uint32_t)(random % IDENTITIES), name);
	limits.connections_max = 1 + (uint32_t)(random / 32 % 3);
	limits.keys_max = 2 + (uint32_t)(random / 128 % 4);
	limits.weight = 1 + (uint32_t)(random / 512 % 4);
	CHECK_ERR(kolk_tenant_limits_set(race->engine, name, random / 2048 % 3 ? &limits : NULL),
		  KOLK_OK);
	kolk_engine_tenant_limits_set(race->engine, 1 + (uint32_t)(random / 8192 % 3), 0);
}

/* Pools are added and closed, so that their memory and that of their keys is reused for others. */
static void come_and_go(struct identity_race *race, uint64_t random)
{
	struct kolk_pool_options o = options_of(race, 1);
	struct kolk_key *key;
	struct kolk_pool *pool;
	struct kolk_lease lease;
	char name[16];
	struct kolk_key_options who = who_is((uint32_t)(random % IDENTITIES), name);
	enum kolk_err err;

	o.name = "passing";
	err = kolk_pool_add(race->engine, &o, &pool);
	if (err != KOLK_OK) {
		CHECK_ERR(err, KOLK_E_LIMIT);
		return;
	}
	if (kolk_key_open(pool, &who, &key) == KOLK_OK) {
		if (kolk_acquire(key, kolk_in_ms(2), &lease) == KOLK_OK)
			CHECK_ERR(kolk_release(&lease), KOLK_OK);
		kolk_key_close(key);
	}
	CHECK_ERR(kolk_pool_close(pool, kolk_in_ms(0)), KOLK_OK);
}

static void look(struct identity_race *race)
{
	struct kolk_key_info keys[4];
	struct kolk_tenant_info tenants[4];
	uint64_t cursor = 0;
	const char *law = NULL;

	while (kolk_pool_keys(race->pools[0], &cursor, keys, 4) > 0)
		;
	cursor = 0;
	while (kolk_engine_tenants(race->engine, &cursor, tenants, 4) > 0)
		;
	if (!CHECK_ERR(kolk_check(race->engine, &law), KOLK_OK))
		tap_note("%s", law);
}

static void move_the_ground(struct identity_race *race)
{
	uint64_t began_ms = tap_now_ms(), random = 7;

	while (race_goes_on(began_ms, kolk__load_relaxed(&race->leases), LEASES_MIN)) {
		uint64_t what = race_random(&random) % 8, how = race_random(&random);

		if (what < 3)
			rotate(race, how);
		else if (what == 3)
			update(race, how);
		else if (what == 4)
			replace(race, how);
		else if (what == 5)
			limit(race, how);
		else if (what == 6)
			come_and_go(race, how);
		else
			look(race);
		tap_nap();
	}
}

static bool identity_open(struct identity_race *race)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);

	e.loops = 2;
	e.connections_max = 8;
	e.keys_max = 20;
	e.tenant_connections_max = 3;
	e.tenant_keys_max = 4;
	if (!CHECK_ERR(kolk_engine_create(&e, &race->engine), KOLK_OK))
		return false;
	for (uint32_t i = 0; i <= CONFIGS; i++)
		race->config[i] = (struct config){ .race = race, .number = i,
						   .pool = i == CONFIGS };
	for (uint32_t i = 0; i < POOLS; i++) {
		struct kolk_pool_options o = options_of(race, i);

		if (!CHECK_ERR(kolk_pool_add(race->engine, &o, &race->pools[i]), KOLK_OK))
			return false;
	}
	return true;
}

static void identities(void)
{
	struct identity_race race = { 0 };
	pthread_t threads[WORKERS];

	MUST(identity_open(&race));
	for (int i = 0; i < WORKERS; i++)
		pthread_create(&threads[i], NULL, work, &race);
	move_the_ground(&race);
	kolk__store_release(&race.stop, true);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	look(&race);
	CHECK_ERR(kolk_engine_destroy(race.engine), KOLK_OK);
	tap_note("%llu leases, %llu refused, %llu rotations",
		 (unsigned long long)kolk__own(&race.leases),
		 (unsigned long long)kolk__own(&race.refused),
		 (unsigned long long)kolk__own(&race.rotations));
	CHECK(kolk__own(&race.leases) >= LEASES_MIN);
}

static const struct tap_test tests[] = { { "identities come and go, and rotate", identities } };

TAP_TESTS(identity, tests);
