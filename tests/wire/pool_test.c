/* SPDX-License-Identifier: Apache-2.0 */
/* pool_test.c - a pool on real sockets: reuse, limits, waiters, drain. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "tests/kit/control.h"
#include "tests/kit/measure.h"
#include "tests/wire/wire.h"

static void reuse(void)
{
	struct wire w = { 0 };
	struct kolk_stats s;

	MUST(wire_open(&w));
	for (int i = 0; i < 100; i++)
		CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	s = wire_stats(w.pool);
	tap_note("%llu acquired, %llu created, %llu reused", (unsigned long long)s.acquired,
		 (unsigned long long)s.created, (unsigned long long)s.reused);
	CHECK(s.acquired == 100 && s.created <= 2 && s.reused >= 98);
	CHECK(kit_origin_counts(w.origin).answered == 100);
	wire_close(&w);
}

static void tenants_never_share(void)
{
	struct wire w = { 0 };
	struct kolk_key_options a = KOLK_INIT(kolk_key_options), b = a, c = a;
	struct kolk_key *key[4];

	MUST(wire_open(&w));
	a.tenant = b.tenant = c.tenant = "anna";
	a.credential = b.credential = "secret1";
	c.credential = "secret2";
	a.credential_size = b.credential_size = c.credential_size = 7;
	CHECK_ERR(kolk_key_open(w.pool, &a, &key[0]), KOLK_OK);
	CHECK_ERR(kolk_key_open(w.pool, &b, &key[1]), KOLK_OK);
	CHECK_ERR(kolk_key_open(w.pool, &c, &key[2]), KOLK_OK);
	a.tenant = "bert";
	CHECK_ERR(kolk_key_open(w.pool, &a, &key[3]), KOLK_OK);
	CHECK(key[0] == key[1] && key[0] != key[2] && key[0] != key[3]);
	CHECK_ERR(wire_request(key[0], "1\n"), KOLK_OK);
	CHECK_ERR(wire_request(key[2], "2\n"), KOLK_OK);
	CHECK_ERR(wire_request(key[3], "3\n"), KOLK_OK);
	CHECK(kit_origin_counts(w.origin).accepted >= 3);
	for (int i = 0; i < 4; i++)
		kolk_key_close(key[i]);
	wire_close(&w);
}

static void limit_and_timeout(void)
{
	struct kit_control control;
	struct wire w = { 0 };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_lease lease[2], late;
	uint64_t began;

	o.connections_max = 2;
	MUST(wire_origin(&w, NULL) && wire_engine(&w, NULL) && wire_pool(&w, &o));
	CHECK_ERR(kolk_acquire(w.key, 0, &lease[0]), KOLK_OK);
	CHECK_ERR(kolk_acquire(w.key, 0, &lease[1]), KOLK_OK);
	began = tap_now_ms();
	kit_control_begin(&control);
	CHECK_ERR(kolk_acquire(w.key, kolk_in_ms(50), &late), KOLK_E_TIMEOUT);
	CHECK(kit_control_end(&control) <= 200);
	CHECK(tap_now_ms() - began >= 50);
	CHECK_ERR(kolk_try_acquire(w.key, &late), KOLK_E_EMPTY);
	CHECK(wire_stats(w.pool).timeouts == 1 && wire_stats(w.pool).open == 2);
	CHECK_ERR(kolk_release(&lease[0]), KOLK_OK);
	CHECK_ERR(kolk_try_acquire(w.key, &late), KOLK_OK);
	CHECK_ERR(kolk_release(&late), KOLK_OK);
	CHECK_ERR(kolk_release(&late), KOLK_E_LEASE_STALE);
	CHECK_ERR(kolk_release(&lease[1]), KOLK_OK);
	wire_close(&w);
}

/* ---- a waiter is served by a release */

struct waiter_args {
	struct wire *w;
	enum kolk_err err;
	uint64_t done_ms;
};

static void *waiter(void *arg)
{
	struct waiter_args *args = arg;
	struct kolk_lease lease;

	args->err = kolk_acquire(args->w->key, kolk_in_ms(5000), &lease);
	args->done_ms = tap_now_ms();
	if (args->err == KOLK_OK)
		CHECK_ERR(kolk_release(&lease), KOLK_OK);
	return NULL;
}

/* A waiter waits for the only connection: its release or discard serves the waiter. */
static void serves_a_waiter(enum kolk_err (*end_lease)(struct kolk_lease *lease), uint64_t discarded)
{
	struct wire w = { 0 };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct waiter_args args = { .w = &w };
	struct kolk_lease lease;
	pthread_t thread;

	o.connections_max = 1;
	MUST(wire_origin(&w, NULL) && wire_engine(&w, NULL) && wire_pool(&w, &o));
	CHECK_ERR(kolk_acquire(w.key, 0, &lease), KOLK_OK);
	pthread_create(&thread, NULL, waiter, &args);
	CHECK(WITHIN_MS(1000, wire_stats(w.pool).waiting == 1));
	CHECK_ERR(end_lease(&lease), KOLK_OK);
	pthread_join(thread, NULL);
	CHECK_ERR(args.err, KOLK_OK);
	CHECK(wire_stats(w.pool).destroyed[KOLK_REASON_DISCARDED] == discarded);
	wire_close(&w);
}

static void handoff(void)
{
	serves_a_waiter(kolk_release, 0);
}

static void discard_wakes(void)
{
	serves_a_waiter(kolk_discard, 1); /* its end lets a dial begin */
}

static void drain(void)
{
	struct wire w = { 0 };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct waiter_args args = { .w = &w };
	struct kolk_lease lease, refused;
	pthread_t thread;

	o.connections_max = 1;
	MUST(wire_origin(&w, NULL) && wire_engine(&w, NULL) && wire_pool(&w, &o));
	CHECK_ERR(kolk_acquire(w.key, 0, &lease), KOLK_OK);
	pthread_create(&thread, NULL, waiter, &args);
	CHECK(WITHIN_MS(1000, wire_stats(w.pool).waiting == 1));
	CHECK_ERR(kolk_pool_drain(w.pool, kolk_in_ms(1000)), KOLK_OK);
	pthread_join(thread, NULL);
	CHECK_ERR(args.err, KOLK_E_DRAINING);
	CHECK_ERR(kolk_acquire(w.key, 0, &refused), KOLK_E_DRAINING);
	CHECK(!kolk_pool_is_closed(w.pool));
	/* The lease is revoked at the deadline. */
	CHECK_ERR(kolk_engine_wait_closed(w.engine, kolk_in_ms(10000)), KOLK_OK);
	CHECK(kolk__load_acquire(&w.closed_events) == 1);
	CHECK_ERR(wire_exchange(&lease, "x\n"), KOLK_E_LEASE_STALE);
	CHECK_ERR(kolk_release(&lease), KOLK_E_LEASE_STALE);
	CHECK_ERR(kolk_pool_close(w.pool, kolk_in_ms(1000)), KOLK_OK);
	CHECK(kolk_pool_find(w.engine, "wire") == NULL);
	wire_close(&w);
}

/* A revoke ends an operation that blocks, too. */
struct reader_args {
	struct kolk_lease lease;
	kolk__atomic_u32 reads; /* in a moment */
};

static void *reader(void *arg)
{
	struct reader_args *args = arg;
	char byte;
	size_t size;

	kolk__store_release(&args->reads, 1);
	CHECK_ERR(kolk_recv(&args->lease, &byte, 1, KOLK_FOREVER, &size), KOLK_E_REVOKED);
	return NULL;
}

static void drain_revokes_a_read(void)
{
	struct wire w = { 0 };
	struct reader_args args = { .reads = 0 };
	pthread_t thread;

	MUST(wire_open(&w));
	CHECK_ERR(kolk_acquire(w.key, 0, &args.lease), KOLK_OK);
	pthread_create(&thread, NULL, reader, &args);
	CHECK(WITHIN_MS(5000, kolk__load_acquire(&args.reads)));
	CHECK_ERR(kolk_pool_drain(w.pool, kolk_in_ms(300)), KOLK_OK);
	pthread_join(thread, NULL);
	CHECK_ERR(kolk_engine_wait_closed(w.engine, kolk_in_ms(10000)), KOLK_OK);
	wire_close(&w);
}

static void clear_and_warm(void)
{
	struct wire w = { 0 };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	size_t cleared;

	o.connections_max = 8;
	o.idle_min = 5;
	MUST(wire_origin(&w, NULL) && wire_engine(&w, NULL) && wire_pool(&w, &o));
	CHECK_ERR(kolk_pool_warm(w.pool, kolk_in_ms(3000)), KOLK_OK);
	CHECK(wire_stats(w.pool).idle == 5);
	CHECK(kolk_key_has_idle(w.key));
	cleared = kolk_pool_clear(w.pool);
	tap_note("%zu cleared", cleared);
	CHECK(cleared == 5);
	CHECK(WITHIN_MS(1000, wire_stats(w.pool).destroyed[KOLK_REASON_CLEARED] == 5));
	CHECK(WITHIN_MS(1000, wire_stats(w.pool).idle == 5)); /* refilled */
	wire_close(&w);
}

static void maintenance(void)
{
	struct wire w = { 0 };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_lease lease[6];

	o.connections_max = 6;
	o.idle_min = 2;
	o.idle_timeout_ns = 60 * KOLK_MS_NS;
	o.ping_interval_ns = 30 * KOLK_MS_NS;
	o.driver = kolk_driver_redis_ping();
	MUST(wire_origin(&w, NULL) && wire_engine(&w, NULL) && wire_pool(&w, &o));
	for (int i = 0; i < 6; i++)
		CHECK_ERR(kolk_acquire(w.key, 0, &lease[i]), KOLK_OK);
	for (int i = 0; i < 6; i++)
		CHECK_ERR(kolk_release(&lease[i]), KOLK_OK);
	CHECK(WITHIN_MS(2000, wire_stats(w.pool).destroyed[KOLK_REASON_IDLE_TIMEOUT] == 4));
	CHECK(WITHIN_MS(2000, wire_stats(w.pool).pings_ok >= 4));
	CHECK(wire_stats(w.pool).open == 2);
	/* A peer that does not answer any more: the ping finds it, the refill fails. */
	kit_origin_behave(w.origin, KIT_SILENT, 0);
	CHECK(WITHIN_MS(5000, wire_stats(w.pool).destroyed[KOLK_REASON_PING_TIMEOUT] >= 2));
	wire_close(&w);
}

static void lifetime_holds_on_release(void)
{
	struct wire w = { 0 };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_lease lease;

	o.lifetime_ns = 50 * KOLK_MS_NS;
	o.idle_min = KOLK_NONE;
	MUST(wire_origin(&w, NULL) && wire_engine(&w, NULL) && wire_pool(&w, &o));
	CHECK_ERR(kolk_acquire(w.key, 0, &lease), KOLK_OK);
	usleep(60000);
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	CHECK(WITHIN_MS(1000, wire_stats(w.pool).destroyed[KOLK_REASON_LIFETIME] == 1));
	wire_report(w.pool);
	wire_close(&w);
}

static void overdue_leases_are_reported(void)
{
	struct wire w = { 0 };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_lease lease;

	o.lease_overdue_ns = 30 * KOLK_MS_NS;
	MUST(wire_origin(&w, NULL) && wire_engine(&w, NULL) && wire_pool(&w, &o));
	CHECK_ERR(kolk_acquire(w.key, 0, &lease), KOLK_OK);
	CHECK_ERR(kolk_lease_tag(&lease, 42), KOLK_OK);
	CHECK(WITHIN_MS(2000, wire_stats(w.pool).overdue == 1));
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	wire_close(&w);
}

/* A lease that is kept for a session is not; the next lease of that connection is. */
static void pinned_leases_are_not(void)
{
	struct wire w = { 0 };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_lease pinned, plain;

	o.lease_overdue_ns = 30 * KOLK_MS_NS;
	MUST(wire_origin(&w, NULL) && wire_engine(&w, NULL) && wire_pool(&w, &o));
	CHECK_ERR(kolk_acquire(w.key, 0, &pinned), KOLK_OK);
	CHECK_ERR(kolk_lease_pin(&pinned), KOLK_OK);
	CHECK_ERR(kolk_acquire(w.key, 0, &plain), KOLK_OK);
	CHECK(WITHIN_MS(2000, wire_stats(w.pool).overdue == 1)); /* the plain one, which is younger */
	CHECK_ERR(kolk_release(&plain), KOLK_OK);
	CHECK_ERR(kolk_release(&pinned), KOLK_OK);
	CHECK_ERR(kolk_lease_pin(&pinned), KOLK_E_LEASE_STALE);
	CHECK_ERR(kolk_acquire(w.key, 0, &pinned), KOLK_OK);
	CHECK_ERR(kolk_acquire(w.key, 0, &plain), KOLK_OK);
	CHECK(WITHIN_MS(2000, wire_stats(w.pool).overdue == 3));
	CHECK_ERR(kolk_release(&plain), KOLK_OK);
	CHECK_ERR(kolk_release(&pinned), KOLK_OK);
	wire_close(&w);
}

/* At a full total the oldest idle connection of another key is evicted. */
static void eviction_at_total(void)
{
	struct wire w = { 0 };
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_key_options k = KOLK_INIT(kolk_key_options);
	struct kolk_key *key[6];
	char name[16];

	e.connections_max = 4;
	o.idle_min = KOLK_NONE;
	MUST(wire_origin(&w, NULL) && wire_engine(&w, &e) && wire_pool(&w, &o));
	for (int i = 0; i < 6; i++) {
		snprintf(name, sizeof name, "t%d", i);
		k.tenant = name;
		CHECK_ERR(kolk_key_open(w.pool, &k, &key[i]), KOLK_OK);
		CHECK_ERR(wire_request(key[i], "hello\n"), KOLK_OK);
	}
	CHECK(wire_stats(w.pool).open <= 4);
	CHECK(wire_stats(w.pool).destroyed[KOLK_REASON_ROOM] >= 2);
	for (int i = 0; i < 6; i++)
		kolk_key_close(key[i]);
	wire_close(&w);
}

/* ---- no waiter beyond its deadline: many threads, one connection that never comes back */

enum { LATE_THREADS = 16 };

struct late {
	pthread_t thread;
	struct wire *wire;
	uint64_t worst_ns;
};

static void *late(void *arg)
{
	struct late *late = arg;
	struct kolk_lease lease;

	for (int i = 0; i < 10; i++) {
		uint64_t deadline = kolk_in_ms(5 + (uint64_t)i * 3), now;

		CHECK_ERR(kolk_acquire(late->wire->key, deadline, &lease), KOLK_E_TIMEOUT);
		now = kolk_in_ms(0);
		CHECK(now >= deadline);
		if (now > deadline + late->worst_ns)
			late->worst_ns = now - deadline;
	}
	return NULL;
}

/* Maintenance wakes, then it wakes the waiter: each may be as late as a thread that only sleeps. */
static bool deadlines_hold(void)
{
	struct wire w = { 0 };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct late lates[LATE_THREADS];
	struct kit_control control;
	struct kolk_lease lease;
	uint64_t worst_ns = 0;

	o.connections_max = 1;
	if (!wire_origin(&w, NULL) || !wire_engine(&w, NULL) || !wire_pool(&w, &o))
		return false;
	CHECK_ERR(kolk_acquire(w.key, 0, &lease), KOLK_OK);
	kit_control_begin(&control);
	for (int i = 0; i < LATE_THREADS; i++) {
		lates[i] = (struct late){ .wire = &w };
		pthread_create(&lates[i].thread, NULL, late, &lates[i]);
	}
	for (int i = 0; i < LATE_THREADS; i++) {
		pthread_join(lates[i].thread, NULL);
		if (lates[i].worst_ns > worst_ns)
			worst_ns = lates[i].worst_ns;
	}
	(void)kit_control_end(&control);
	tap_note("at most %.2f ms late, a thread that only sleeps %.2f ms", (double)worst_ns / 1e6,
		 (double)control.worst_ns / 1e6);
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	wire_close(&w);
	return worst_ns <= 20 * KOLK_MS_NS + 2 * control.worst_ns;
}

static void deadlines(void)
{
	CHECK(wire_holds_in_three(deadlines_hold));
}

/* ---- resources instead of sockets */

static kolk__atomic_u32 made, validated, destroyed;

static enum kolk_err thing_create(void *user, void **resource)
{
	(void)user;
	*resource = (void *)(uintptr_t)(kolk__add_relaxed(&made, 1) + 1);
	return KOLK_OK;
}

static enum kolk_err thing_validate(void *user, void *resource)
{
	(void)user;
	(void)resource;
	kolk__add_relaxed(&validated, 1);
	return KOLK_OK;
}

static void thing_destroy(void *user, void *resource)
{
	(void)user;
	(void)resource;
	kolk__add_relaxed(&destroyed, 1);
}

static void resources(void)
{
	static const struct kolk_resource_driver driver = {
		.size = sizeof driver, .name = "thing", .create = thing_create,
		.validate = thing_validate, .destroy = thing_destroy
	};
	struct wire w = { 0 };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_lease lease;

	kolk__store_relaxed(&made, 0);
	kolk__store_relaxed(&validated, 0);
	kolk__store_relaxed(&destroyed, 0);
	o.resource = &driver;
	o.ping_interval_ns = 20 * KOLK_MS_NS;
	MUST(wire_engine(&w, NULL) && wire_pool(&w, &o));
	CHECK_ERR(kolk_acquire(w.key, 0, &lease), KOLK_OK);
	CHECK(kolk_lease_resource(&lease) != NULL);
	CHECK_ERR(wire_exchange(&lease, "x\n"), KOLK_E_UNSUPPORTED);
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	CHECK(kolk_lease_resource(&lease) == NULL);
	CHECK(WITHIN_MS(2000, kolk__load_relaxed(&validated) >= 2));
	wire_close(&w);
	CHECK(kolk__own(&made) > 0 && kolk__own(&made) == kolk__own(&destroyed));
}

/* What is made for a tenant knows whose it is, and says what went wrong. */
static enum kolk_err make_for(void *user, struct kolk_resource_request *request, void **resource)
{
	CHECK(request->size == sizeof *request);
	CHECK(request->deadline_ns > kolk_in_ms(0) && request->deadline_ns < kolk_in_ms(5001));
	if (strcmp(kolk_key_tenant(request->key), "nobody") == 0) {
		request->os_error = EACCES;
		return KOLK_E_RESOURCE;
	}
	(void)user;
	*resource = strdup(kolk_key_tenant(request->key));
	return *resource != NULL ? KOLK_OK : KOLK_E_MEMORY;
}

static void free_for(void *user, void *resource)
{
	(void)user;
	free(resource);
}

static void resources_of_tenants(void)
{
	static const struct kolk_resource_driver driver = {
		.size = sizeof driver, .name = "of a tenant", .create_for = make_for,
		.destroy = free_for
	};
	static const char *const tenants[] = { "alice", "bob", "nobody" };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_lease lease;
	struct wire w = { 0 };

	o.resource = &driver;
	MUST(wire_engine(&w, NULL) && wire_pool(&w, &o));
	for (int i = 0; i < 3; i++) {
		struct kolk_key_options k = KOLK_INIT(kolk_key_options);
		struct kolk_key *key;

		k.tenant = tenants[i];
		CHECK_ERR(kolk_key_open(w.pool, &k, &key), KOLK_OK);
		if (i == 2) {
			CHECK_ERR(kolk_acquire(key, 0, &lease), KOLK_E_RESOURCE);
			CHECK(kolk_key_failure(key, &failure) && failure.os_error == EACCES);
		} else {
			CHECK_ERR(kolk_acquire(key, 0, &lease), KOLK_OK);
			CHECK(strcmp(kolk_lease_resource(&lease), tenants[i]) == 0);
			CHECK_ERR(kolk_release(&lease), KOLK_OK);
		}
		kolk_key_close(key);
	}
	wire_close(&w);
}

static const struct tap_test tests[] = {
	{ "connections are reused", reuse },
	{ "tenants and credentials never share", tenants_never_share },
	{ "the limit holds, a waiter times out", limit_and_timeout },
	{ "a release serves a waiter", handoff },
	{ "a discard lets a waiter's dial begin", discard_wakes },
	{ "drain: refuse, end waiters, revoke, close once", drain },
	{ "drain ends a read that blocks", drain_revokes_a_read },
	{ "clear and warm", clear_and_warm },
	{ "idle eviction, pings, refill", maintenance },
	{ "a lifetime holds on release", lifetime_holds_on_release },
	{ "overdue leases are reported", overdue_leases_are_reported },
	{ "pinned leases are not overdue", pinned_leases_are_not },
	{ "an eviction at a full total", eviction_at_total },
	{ "no waiter beyond its deadline by 20 ms", deadlines },
	{ "resources that are no sockets", resources },
	{ "resources of tenants", resources_of_tenants },
};
TAP_TESTS(pool, tests);
