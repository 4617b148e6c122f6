/* SPDX-License-Identifier: Apache-2.0 */
/*
 * share.c - eight tenants and three connections: every tenant is served, again and again, while
 * limits and weights change, and one of the two pools fails often enough to open its circuit.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include <kolk/kolk.h>

#include "core/engine.h"
#include "tests/kit/measure.h"
#include "tests/kit/tap.h"
#include "tests/race/race.h"

enum { TENANTS = 8, PATIENCE_MS = 10000 };

struct share {
	struct kolk_engine *engine;
	struct kolk_pool *sound, *failing;
	kolk__atomic_u32 stop;
	kolk__atomic_u64 dials; /* of the failing one */
	kolk__atomic_u64 served; /* tenants that had a lease */
};

struct tenant {
	struct share *share;
	char name[16];
	uint64_t served, longest_ns;
};

static enum kolk_err sound_create(void *user, void **resource)
{
	*resource = user;
	return KOLK_OK;
}

/* Ten fail, then ten work. */
static enum kolk_err failing_create(void *user, void **resource)
{
	struct share *share = user;

	*resource = user;
	return kolk__add_relaxed(&share->dials, 1) / 10 % 2 == 0 ? KOLK_E_RESOURCE : KOLK_OK;
}

static const struct kolk_resource_driver sound = { .size = sizeof sound, .name = "sound",
						   .create = sound_create };
static const struct kolk_resource_driver failing = { .size = sizeof failing, .name = "failing",
						     .create = failing_create };

static struct kolk_pool_options options_of(struct share *share, bool fails)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	o.name = fails ? "failing" : "sound";
	o.resource = fails ? &failing : &sound;
	o.driver_user = share;
	o.connections_max = 3;
	o.idle_min = KOLK_NONE;
	o.retry_interval_ns = KOLK_MS_NS;
	o.retry_max_ns = 2 * KOLK_MS_NS;
	o.idle_timeout_ns = 50 * KOLK_MS_NS;
	return o;
}

static bool may_fail(enum kolk_err err)
{
	return err == KOLK_OK || err == KOLK_E_RESOURCE || err == KOLK_E_CIRCUIT ||
	       err == KOLK_E_TIMEOUT || err == KOLK_E_DEADLINE;
}

static void lease_once(struct tenant *tenant, struct kolk_key *key, bool fails, uint64_t random)
{
	uint64_t began_ns = clock_now();
	uint64_t patience_ms = fails ? 20 : PATIENCE_MS;
	struct kolk_lease lease;
	enum kolk_err err = kolk_acquire(key, kolk_in_ms(patience_ms), &lease);

	CHECK(fails ? may_fail(err) : err == KOLK_OK);
	if (err != KOLK_OK)
		return;
	if (random % 4 == 0)
		usleep((unsigned)(random % 500));
	if (random % 64 == 0)
		CHECK_ERR(kolk_discard(&lease), KOLK_OK);
	else
		CHECK_ERR(kolk_release(&lease), KOLK_OK);
	if (fails)
		return;
	if (tenant->served++ == 0)
		kolk__add_relaxed(&tenant->share->served, 1);
	if (clock_now() - began_ns > tenant->longest_ns)
		tenant->longest_ns = clock_now() - began_ns;
}

static void *live(void *arg)
{
	struct tenant *tenant = arg;
	struct share *share = tenant->share;
	struct kolk_key_options o = KOLK_INIT(kolk_key_options);
	uint64_t random = clock_now() + (uintptr_t)tenant;
	struct kolk_key *sound_key = NULL, *failing_key = NULL;
	bool open;

	o.tenant = tenant->name;
	open = CHECK_ERR(kolk_key_open(share->sound, &o, &sound_key), KOLK_OK) &&
	       CHECK_ERR(kolk_key_open(share->failing, &o, &failing_key), KOLK_OK);
	while (open && !kolk__load_relaxed(&share->stop)) {
		uint64_t r = race_random(&random);
		bool fails = r % 8 == 0;

		lease_once(tenant, fails ? failing_key : sound_key, fails, r >> 3);
	}
	if (sound_key != NULL)
		kolk_key_close(sound_key);
	if (failing_key != NULL)
		kolk_key_close(failing_key);
	return NULL;
}

/* What an operator does, in any order. */
static void operate(struct share *share, uint64_t r)
{
	struct kolk_tenant_limits l = KOLK_INIT(kolk_tenant_limits);
	struct kolk_filter filter = KOLK_INIT(kolk_filter);
	struct kolk_pool_options o = options_of(share, r % 2);
	struct kolk_tenant_info infos[4];
	uint64_t cursor = 0;
	char name[16];

	snprintf(name, sizeof name, "t%u", (unsigned)(r >> 4) % TENANTS);
	switch (r >> 8 & 7) {
	case 0:
		l.weight = 1 + (uint32_t)(r >> 12) % 4;
		l.connections_max = 1 + (uint32_t)(r >> 14) % 4;
		CHECK_ERR(kolk_tenant_limits_set(share->engine, name, &l), KOLK_OK);
		break;
	case 1:
		CHECK_ERR(kolk_tenant_limits_set(share->engine, name, NULL), KOLK_OK);
		break;
	case 2:
		CHECK_ERR(kolk_engine_connections_max_set(share->engine,
							  2 + (uint32_t)(r >> 12) % 3), KOLK_OK);
		break;
	case 3:
		o.eager_dials = r >> 12 & 1;
		o.pool_connections_max = 1 + (uint32_t)(r >> 13) % 3;
		CHECK_ERR(kolk_pool_update(r % 2 ? share->failing : share->sound, &o), KOLK_OK);
		break;
	case 4:
		filter.tenant = name;
		(void)kolk_engine_clear(share->engine, &filter);
		break;
	case 5:
		(void)kolk_tenant_rotate(share->engine, name);
		break;
	case 6:
		while (kolk_engine_tenants(share->engine, &cursor, infos, 4) > 0)
			;
		break;
	default:
		CHECK_ERR(kolk_check(share->engine, NULL), KOLK_OK);
	}
}

static bool share_open(struct share *share)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options o;

	e.loops = 2;
	e.connections_max = 3;
	e.connections_reserved = 8;
	e.lend_after_ns = 5 * KOLK_MS_NS;
	if (!CHECK_ERR(kolk_engine_create(&e, &share->engine), KOLK_OK))
		return false;
	share->engine->search_slice = 1; /* callers hand over to maintenance */
	o = options_of(share, false);
	if (!CHECK_ERR(kolk_pool_add(share->engine, &o, &share->sound), KOLK_OK))
		return false;
	o = options_of(share, true);
	return CHECK_ERR(kolk_pool_add(share->engine, &o, &share->failing), KOLK_OK);
}

static void shares(void)
{
	struct share share = { 0 };
	struct tenant tenants[TENANTS] = { 0 };
	pthread_t threads[TENANTS];
	uint64_t random = clock_now(), longest_ns = 0, served = 0, fewest = UINT64_MAX;
	uint64_t began_ms = tap_now_ms();

	MUST(share_open(&share));
	for (int i = 0; i < TENANTS; i++) {
		tenants[i].share = &share;
		snprintf(tenants[i].name, sizeof tenants[i].name, "t%d", i);
		pthread_create(&threads[i], NULL, live, &tenants[i]);
	}
	while (race_goes_on(began_ms, kolk__load_relaxed(&share.served), TENANTS)) {
		operate(&share, race_random(&random));
		usleep(500);
	}
	kolk__store_relaxed(&share.stop, 1);
	for (int i = 0; i < TENANTS; i++) {
		pthread_join(threads[i], NULL);
		served += tenants[i].served;
		fewest = tenants[i].served < fewest ? tenants[i].served : fewest;
		longest_ns = tenants[i].longest_ns > longest_ns ? tenants[i].longest_ns : longest_ns;
	}
	CHECK(fewest > 0);
	CHECK_ERR(kolk_check(share.engine, NULL), KOLK_OK);
	CHECK_ERR(kolk_engine_destroy(share.engine), KOLK_OK);
	tap_note("%llu leases, the fewest of a tenant %llu, the longest wait %llu ms",
		 (unsigned long long)served, (unsigned long long)fewest,
		 (unsigned long long)(longest_ns / KOLK_MS_NS));
}

static const struct tap_test tests[] = { { "8 tenants share 3 connections", shares } };

TAP_TESTS(share, tests);
