/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passing.c - pools are added and closed while maintenance checks their connections: leases are
 * overdue, idle ones are due, drains end, and the memory of pool, key and connection is reused.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <kolk/kolk.h>

#include "core/base/atomic.h"
#include "tests/kit/measure.h"
#include "tests/kit/tap.h"
#include "tests/race/race.h"

enum { OWNERS = 6, LEASES = 3, POOLS_MIN = 10 };

struct passing {
	struct kolk_engine *engine;
	kolk__atomic_u32 stop;
	kolk__atomic_u64 pools, closed, overdue, leases;
};

struct owner {
	struct passing *passing;
	uint64_t random;
	char name[20];
};

static enum kolk_err create(void *user, void **resource)
{
	*resource = user;
	return KOLK_OK;
}

static enum kolk_err validate(void *user, void *resource)
{
	CHECK(user == resource);
	return KOLK_OK;
}

static const struct kolk_resource_driver driver = { .size = sizeof driver, .name = "passing",
						    .create = create, .validate = validate };

/* What an embedder does with an event: pool and key must still be there. */
static void on_event(void *user, const struct kolk_event *event)
{
	struct passing *passing = user;

	kolk__add_relaxed(&passing->closed, event->kind == KOLK_EVENT_CLOSED);
	if (event->kind != KOLK_EVENT_OVERDUE && event->kind != KOLK_EVENT_WAITER_TIMED_OUT)
		return;
	kolk__add_relaxed(&passing->overdue, 1);
	CHECK(strncmp(kolk_pool_name(event->pool), "owner", 5) == 0);
	CHECK(strcmp(kolk_key_tenant(event->key), kolk_pool_name(event->pool)) == 0);
}

static void on_log(void *user, enum kolk_log_level level, const char *subject, const char *text)
{
	(void)user, (void)level, (void)subject;
	CHECK(text[0] != 0);
}

static struct kolk_pool_options options_of(struct owner *owner)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	o.name = owner->name;
	o.resource = &driver;
	o.driver_user = owner;
	o.connections_max = 2;
	o.idle_min = KOLK_NONE;
	o.idle_timeout_ns = KOLK_MS_NS;
	o.ping_interval_ns = KOLK_MS_NS;
	o.lifetime_ns = 2 * KOLK_MS_NS;
	o.lease_overdue_ns = KOLK_MS_NS;
	return o;
}

static enum kolk_err lease(struct owner *owner, struct kolk_pool *pool, struct kolk_lease *lease)
{
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	enum kolk_err err;

	who.tenant = owner->name;
	who.credential = "secret";
	who.credential_size = 5 + (uint32_t)(race_random(&owner->random) % 2);
	err = kolk_acquire_as(pool, &who, kolk_in_us(race_random(&owner->random) % 3000), lease);
	kolk__add_relaxed(&owner->passing->leases, err == KOLK_OK);
	return err;
}

/* A few leases, kept until they are overdue; now and then while the pool drains already. */
static void pass(struct owner *owner, struct kolk_pool *pool)
{
	struct kolk_lease leases[LEASES] = { 0 };
	uint64_t random = race_random(&owner->random);

	for (int i = 0; i < LEASES; i++)
		(void)lease(owner, pool, &leases[i]);
	if (random % 4 == 0)
		CHECK_ERR(kolk_pool_drain(pool, kolk_in_us(random / 4 % 1000)), KOLK_OK);
	usleep((unsigned)(random / 16 % 2500));
	for (int i = 0; i < LEASES; i++)
		if (leases[i].connection != NULL)
			CHECK_ERR(random & 256 ? kolk_release(&leases[i]) :
						 kolk_discard(&leases[i]), KOLK_OK);
	if (random & 512)
		usleep((unsigned)(random / 1024 % 2000));
}

static void *own(void *arg)
{
	struct owner *owner = arg;
	struct passing *passing = owner->passing;
	struct kolk_pool *pool;

	while (!kolk__load_relaxed(&passing->stop)) {
		struct kolk_pool_options o = options_of(owner);

		if (!CHECK_ERR(kolk_pool_add(passing->engine, &o, &pool), KOLK_OK))
			return NULL;
		kolk__add_relaxed(&passing->pools, 1);
		pass(owner, pool);
		if (race_random(&owner->random) % 64 == 0)
			kolk_engine_drain_from_signal(passing->engine, KOLK_MS_NS);
		CHECK_ERR(kolk_pool_close(pool, kolk_in_us(race_random(&owner->random) % 1000)),
			  KOLK_OK);
	}
	return NULL;
}

static bool passing_open(struct passing *passing)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);

	e.loops = 2;
	e.connections_max = 16;
	e.event_mask = KOLK_EVENT_BIT(KOLK_EVENT_CLOSED) | KOLK_EVENT_BIT(KOLK_EVENT_OVERDUE) |
		       KOLK_EVENT_BIT(KOLK_EVENT_WAITER_TIMED_OUT);
	e.on_event = on_event;
	e.event_user = passing;
	e.log_level = KOLK_LOG_WARN;
	e.on_log = on_log;
	return CHECK_ERR(kolk_engine_create(&e, &passing->engine), KOLK_OK);
}

static void passings(void)
{
	struct passing passing = { 0 };
	struct owner owners[OWNERS];
	uint64_t began_ms = tap_now_ms();
	pthread_t threads[OWNERS];
	const char *law = NULL;

	MUST(passing_open(&passing));
	for (int i = 0; i < OWNERS; i++) {
		owners[i] = (struct owner){ .passing = &passing, .random = (uint64_t)i + 1 };
		snprintf(owners[i].name, sizeof owners[i].name, "owner%d", i);
		pthread_create(&threads[i], NULL, own, &owners[i]);
	}
	for (; race_goes_on(began_ms, kolk__load_relaxed(&passing.pools), POOLS_MIN); tap_nap())
		if (!CHECK_ERR(kolk_check(passing.engine, &law), KOLK_OK))
			tap_note("broken: %s", law);
	kolk__store_relaxed(&passing.stop, 1);
	for (int i = 0; i < OWNERS; i++)
		pthread_join(threads[i], NULL);
	CHECK_ERR(kolk_check(passing.engine, NULL), KOLK_OK);
	CHECK_ERR(kolk_engine_wait_closed(passing.engine, kolk_in_ms(10000)), KOLK_OK);
	CHECK(kolk__load_relaxed(&passing.closed) == kolk__own(&passing.pools));
	CHECK_ERR(kolk_engine_destroy(passing.engine), KOLK_OK);
	tap_note("%llu pools, %llu leases, %llu overdue",
		 (unsigned long long)kolk__own(&passing.pools),
		 (unsigned long long)kolk__own(&passing.leases),
		 (unsigned long long)kolk__own(&passing.overdue));
	CHECK(kolk__own(&passing.pools) >= POOLS_MIN);
}

static const struct tap_test tests[] = { { "pools come and go", passings } };

TAP_TESTS(passing, tests);
