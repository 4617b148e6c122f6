/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recycle.c - tenants and their keys are added and closed at a full engine, so that the memory of
 * one is another's a moment later: what is done for one must not be counted for the other.
 */
#include <pthread.h>
#include <stdio.h>

#include <kolk/kolk.h>

#include "core/base/atomic.h"
#include "tests/kit/measure.h"
#include "tests/kit/tap.h"
#include "tests/race/race.h"

enum { CALLERS = 8, TENANTS = 12, SECRETS = 3, POOLS = 2, PATIENCE_MS = 5000, LEASES_MIN = 100 };

struct recycle {
	struct kolk_engine *engine;
	struct kolk_pool *pools[POOLS];
	kolk__atomic_u32 stop;
	kolk__atomic_u64 leases, refused;
};

static enum kolk_err create(void *user, void **resource)
{
	*resource = user;
	return KOLK_OK;
}

static const struct kolk_resource_driver driver = { .size = sizeof driver, .name = "recycle",
						    .create = create };

static enum kolk_err lease_as(struct recycle *recycle, uint64_t random, uint64_t patience_ms)
{
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	struct kolk_pool *pool = recycle->pools[random % POOLS];
	struct kolk_lease lease;
	enum kolk_err err;
	char name[16];

	snprintf(name, sizeof name, "t%u", (unsigned)(random >> 4) % TENANTS);
	who.tenant = name;
	who.credential = "secret";
	who.credential_size = 4 + (uint32_t)(random >> 8) % SECRETS;
	err = kolk_acquire_as(pool, &who, kolk_in_ms(patience_ms), &lease);
	if (err == KOLK_OK)
		CHECK_ERR((random >> 12) % 8 == 0 ? kolk_discard(&lease) : kolk_release(&lease),
			  KOLK_OK);
	return err;
}

static void *call(void *arg)
{
	struct recycle *recycle = arg;
	uint64_t random = clock_now() + (uintptr_t)&random;
	enum kolk_err err;

	while (!kolk__load_relaxed(&recycle->stop)) {
		err = lease_as(recycle, race_random(&random), PATIENCE_MS);
		/* Too many keys is an answer; to wait in vain beside callers that end in time is
		 * not. */
		CHECK(err == KOLK_OK || err == KOLK_E_LIMIT || err == KOLK_E_DEADLINE);
		kolk__add_relaxed(err == KOLK_OK ? &recycle->leases : &recycle->refused, 1);
	}
	return NULL;
}

static bool recycle_open(struct recycle *recycle)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);

	e.loops = 2;
	e.connections_max = 4;
	e.keys_max = 24;
	e.tenant_connections_max = 1;
	e.lend_after_ns = KOLK_MS_NS;
	if (!CHECK_ERR(kolk_engine_create(&e, &recycle->engine), KOLK_OK))
		return false;
	for (int i = 0; i < POOLS; i++) {
		p.name = i == 0 ? "first" : "second";
		p.resource = &driver;
		p.driver_user = recycle;
		p.connections_max = 1;
		p.pool_connections_max = 3;
		p.idle_min = KOLK_NONE;
		if (!CHECK_ERR(kolk_pool_add(recycle->engine, &p, &recycle->pools[i]), KOLK_OK))
			return false;
	}
	return true;
}

static void recycles(void)
{
	struct recycle recycle = { 0 };
	uint64_t began_ms = tap_now_ms();
	pthread_t threads[CALLERS];
	const char *law = NULL;

	MUST(recycle_open(&recycle));
	for (int i = 0; i < CALLERS; i++)
		pthread_create(&threads[i], NULL, call, &recycle);
	for (; race_goes_on(began_ms, kolk__load_relaxed(&recycle.leases), LEASES_MIN); tap_nap())
		if (!CHECK_ERR(kolk_check(recycle.engine, &law), KOLK_OK)) {
			tap_note("broken meanwhile: %s", law);
			break;
		}
	kolk__store_relaxed(&recycle.stop, 1);
	for (int i = 0; i < CALLERS; i++)
		pthread_join(threads[i], NULL);
	for (uint64_t i = 0; i < TENANTS * POOLS; i++)
		CHECK_ERR(lease_as(&recycle, (i / POOLS) << 4 | i % POOLS, PATIENCE_MS), KOLK_OK);
	(void)CHECK_ERR(kolk_check(recycle.engine, &law), KOLK_OK);
	if (law != NULL)
		tap_note("broken: %s", law);
	CHECK_ERR(kolk_engine_destroy(recycle.engine), KOLK_OK);
	tap_note("%llu leases, %llu refused", (unsigned long long)kolk__own(&recycle.leases),
		 (unsigned long long)kolk__own(&recycle.refused));
	CHECK(kolk__own(&recycle.leases) >= LEASES_MIN);
}

static const struct tap_test tests[] = { { "keys and tenants are recycled", recycles } };

TAP_TESTS(recycle, tests);
