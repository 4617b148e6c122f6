/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tenant_test.c - tenant.c, and key.c where keys are many: limits of tenants over all that they
 * use, unreferenced keys that are evicted for others. The order of tenants: fair_test.c.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/engine.h"
#include "core/key_life.h"
#include "tests/kit/counting.h"

/* ---- an engine large enough that only the tenants' limits are reached */

enum { CONNECTIONS = 64 };

static int engine_setup_with(void **state, uint32_t keys_max, uint32_t tenant_keys_max)
{
	struct fixture *fix;
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);

	if (fixture_open(state) != 0)
		return -1;
	fix = *state;
	if (kolk_engine_destroy(fix->engine) != KOLK_OK)
		return -1;
	e.loops = 1;
	e.loop_owner = KOLK_LOOPS_EMBEDDER;
	e.connections_max = CONNECTIONS;
	e.keys_max = keys_max;
	e.tenant_keys_max = tenant_keys_max;
	e.sys = kolk__sim_sys(fix->sim);
	p.name = "large";
	p.address = "192.0.2.1:7";
	p.connections_max = CONNECTIONS;
	p.dials_max = CONNECTIONS;
	p.idle_min = KOLK_NONE;
	if (kolk_engine_create(&e, &fix->engine) != KOLK_OK ||
	    kolk_pool_add(fix->engine, &p, &fix->pool) != KOLK_OK)
		return -1;
	fix->key = kolk_pool_key(fix->pool);
	return 0;
}

static int engine_setup(void **state)
{
	return engine_setup_with(state, 0, 0);
}

static int narrow_engine_open(void **state)
{
	return engine_setup_with(state, 24, 6);
}

static struct kolk_pool *pool_add(struct fixture *fix, const char *name, uint32_t isolation)
{
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);
	struct kolk_pool *pool = NULL;

	p.name = name;
	p.address = "192.0.2.2:7";
	p.isolation = isolation;
	p.connections_max = CONNECTIONS;
	p.dials_max = CONNECTIONS;
	p.idle_min = KOLK_NONE;
	assert_int_equal(kolk_pool_add(fix->engine, &p, &pool), KOLK_OK);
	return pool;
}

static enum kolk_err try_open(struct kolk_pool *pool, const char *tenant, uint32_t number,
			      struct kolk_key **key)
{
	struct kolk_key_options o = KOLK_INIT(kolk_key_options);

	o.tenant = tenant;
	o.credential = number != 0 ? &number : NULL;
	o.credential_size = number != 0 ? sizeof number : 0;
	return kolk_key_open(pool, &o, key);
}

static struct kolk_key *open_key(struct kolk_pool *pool, const char *tenant, uint32_t number)
{
	struct kolk_key *key;

	assert_int_equal(try_open(pool, tenant, number, &key), KOLK_OK);
	return key;
}

static void limits_set(struct fixture *fix, const char *tenant, uint32_t connections, uint32_t keys,
		       uint32_t weight)
{
	struct kolk_tenant_limits limits = KOLK_INIT(kolk_tenant_limits);

	limits.connections_max = connections;
	limits.keys_max = keys;
	limits.weight = weight;
	assert_int_equal(kolk_tenant_limits_set(fix->engine, tenant, &limits), KOLK_OK);
}

static struct kolk_tenant_info tenant_info_of(struct fixture *fix, const char *tenant)
{
	static struct kolk_tenant_info infos[64];
	uint64_t cursor = 0;
	size_t count = kolk_engine_tenants(fix->engine, &cursor, infos, 64);

	for (size_t i = 0; i < count; i++)
		if (strcmp(infos[i].name, tenant) == 0)
			return infos[i];
	return (struct kolk_tenant_info){ .weight = 0 };
}

/* Leases until nothing more comes: how many there are. Exact while it goes on. */
static uint32_t lease_all(struct fixture *fix, struct kolk_key *key, const char *tenant,
			  struct kolk_lease *leases, uint32_t limit)
{
	struct kolk_lease lease;
	uint32_t count = 0;

	for (int i = 0; i < 200 && count < CONNECTIONS; i++) {
		if (kolk_try_acquire(key, &lease) == KOLK_OK)
			leases[count++] = lease;
		fixture_run(fix, KOLK_MS_NS);
		assert_true(tenant_info_of(fix, tenant).open <= limit);
		assert_int_equal(kolk_check(fix->engine, NULL), KOLK_OK);
	}
	return count;
}

static void give_all(struct kolk_lease *leases, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
}

/* ---- connections */

static void ten_by_default(void **state)
{
	struct fixture *fix = *state;
	struct kolk_lease leases[CONNECTIONS], anonymous[CONNECTIONS];
	struct kolk_key *key = open_key(fix->pool, "t", 0);
	uint32_t count = lease_all(fix, key, "t", leases, 10), all;

	assert_int_equal(count, 10);
	all = lease_all(fix, fix->key, "nobody of this name", anonymous, CONNECTIONS);
	assert_int_equal(all, CONNECTIONS - 10); /* the anonymous tenant has the engine's limit */
	give_all(leases, count);
	give_all(anonymous, all);
	kolk_key_close(key);
}

/* Pools and credentials of one tenant together, keys of a shared pool not. */
static void over_pools_and_keys(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool *second = pool_add(fix, "second", KOLK_ISOLATION_TENANT);
	struct kolk_pool *shared = pool_add(fix, "shared", KOLK_ISOLATION_SHARED);
	struct kolk_lease leases[4][CONNECTIONS];
	struct kolk_key *keys[4];
	uint32_t counts[4];

	limits_set(fix, "t", 7, 0, 0);
	keys[0] = open_key(fix->pool, "t", 0);
	keys[1] = open_key(fix->pool, "t", 1);
	keys[2] = open_key(second, "t", 1);
	keys[3] = open_key(shared, "t", 1);
	assert_int_equal(kolk_pool_check(fix->engine, NULL), KOLK_E_OPTIONS);
	counts[0] = lease_all(fix, keys[0], "t", leases[0], 7);
	assert_int_equal(counts[0], 7);
	give_all(leases[0] + 3, 4);
	counts[0] = 3; /* four are idle now: they are evicted for the tenant's other keys */
	for (int i = 1; i < 3; i++) {
		counts[i] = 0;
		for (int n = 0; n < 2; n++)
			assert_int_equal(kolk_acquire(keys[i], kolk__sim_now(fix->sim) + KOLK_S_NS,
						      &leases[i][counts[i]++]), KOLK_OK);
		assert_true(tenant_info_of(fix, "t").open <= 7);
	}
	counts[3] = lease_all(fix, keys[3], "t", leases[3], 7);
	assert_true(counts[3] >= CONNECTIONS - 7);
	for (int i = 0; i < 4; i++) {
		give_all(leases[i], counts[i]);
		kolk_key_close(keys[i]);
	}
}

static void before_the_first_key_and_after_the_last(void **state)
{
	struct fixture *fix = *state;
	struct kolk_lease leases[CONNECTIONS];
	struct kolk_key *key;

	limits_set(fix, "t", 3, 2, 5);
	assert_true(tenant_info_of(fix, "t").own_limits == 1 && tenant_info_of(fix, "t").keys == 0);
	for (int round = 0; round < 3; round++) {
		key = open_key(fix->pool, "t", 0);
		assert_int_equal(lease_all(fix, key, "t", leases, 3), 3);
		give_all(leases, 3);
		kolk_key_close(key);
		fixture_run(fix, 200 * KOLK_S_NS); /* idle connections age, the key goes */
		assert_int_equal(tenant_info_of(fix, "t").keys, 0);
		assert_int_equal(tenant_info_of(fix, "t").connections_max, 3);
		assert_int_equal(tenant_info_of(fix, "t").weight, 5);
	}
	assert_int_equal(kolk_tenant_limits_set(fix->engine, "t", NULL), KOLK_OK);
	assert_int_equal(tenant_info_of(fix, "t").weight, 0); /* it is not known any more */
	key = open_key(fix->pool, "t", 0);
	assert_true(tenant_info_of(fix, "t").connections_max == 10 &&
		    tenant_info_of(fix, "t").weight == 1 &&
		    tenant_info_of(fix, "t").own_limits == 0 && tenant_info_of(fix, "t").keys_max == 1000);
	assert_int_equal(kolk_tenant_limits_set(fix->engine, "t", NULL), KOLK_OK);
	assert_int_equal(kolk_tenant_limits_set(fix->engine, "unheard of", NULL), KOLK_OK);
	assert_int_equal(tenant_info_of(fix, "unheard of").weight, 0);
	kolk_key_close(key);
}

/* Its memory is another tenant's next: nothing of it is left there. */
static void a_recycled_tenant_is_new(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key *key;
	struct kolk_tenant_info info;

	for (int i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof name, "t%d", i);
		key = open_key(fix->pool, name, 0);
		limits_set(fix, name, 2, 2, 7);
		assert_int_equal(kolk_tenant_limits_set(fix->engine, name, NULL), KOLK_OK);
		limits_set(fix, name, 3, 0, 9);
		limits_set(fix, name, 0, 0, 8);
		kolk_key_close(key);
		assert_int_equal(tenant_info_of(fix, name).connections_max, 3);
		assert_int_equal(kolk_tenant_limits_set(fix->engine, name, NULL), KOLK_OK);
		assert_int_equal(tenant_info_of(fix, name).weight, 0);
		key = open_key(fix->pool, "next", 0);
		info = tenant_info_of(fix, "next");
		assert_true(info.connections_max == 10 && info.weight == 1 && info.open == 0 &&
			    info.keys_max == 1000 && info.recalls == 0 && info.own_limits == 0);
		kolk_key_close(key);
	}
}

static void a_lowered_limit_drops_no_lease(void **state)
{
	struct fixture *fix = *state;
	struct kolk_lease leases[CONNECTIONS];
	struct kolk_key *key = open_key(fix->pool, "t", 0);
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);
	uint32_t count = lease_all(fix, key, "t", leases, 10);

	assert_int_equal(count, 10);
	give_all(leases + 6, 4);
	limits_set(fix, "t", 3, 0, 0);
	fixture_run(fix, 20 * KOLK_MS_NS);
	assert_int_equal(tenant_info_of(fix, "t").open, 6); /* what was idle is gone */
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(kolk_lease_info(&leases[i], &info), KOLK_OK);
	for (uint32_t i = 0; i < 6; i++) {
		assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
		fixture_run(fix, 20 * KOLK_MS_NS);
		assert_int_equal(tenant_info_of(fix, "t").open, i < 3 ? 5 - i : 3);
	}
	assert_int_equal(lease_all(fix, key, "t", leases, 3), 3);
	limits_set(fix, "t", KOLK_UNLIMITED, 0, 0);
	count = 3 + lease_all(fix, key, "t", leases + 3, CONNECTIONS);
	assert_int_equal(count, CONNECTIONS);
	kolk_engine_tenant_limits_set(fix->engine, 2, 0);
	assert_int_equal(kolk_tenant_limits_set(fix->engine, "t", NULL), KOLK_OK);
	give_all(leases, count);
	fixture_run(fix, 50 * KOLK_MS_NS);
	assert_true(tenant_info_of(fix, "t").open <= 2); /* back to the engine's, which is another */
	kolk_key_close(key);
}

/* A waiter for the tenant's limit is served when it is raised. */
static void a_raised_limit_serves_waiters(void **state)
{
	struct fixture *fix = *state;
	struct kolk_lease lease, next;
	struct kolk_key *key = open_key(fix->pool, "t", 0), *other = open_key(fix->pool, "t", 1);

	limits_set(fix, "t", 1, 0, 0);
	assert_int_equal(kolk_acquire(key, kolk__sim_now(fix->sim) + KOLK_S_NS, &lease), KOLK_OK);
	assert_int_equal(kolk_acquire(other, kolk__sim_now(fix->sim) + 50 * KOLK_MS_NS, &next),
			 KOLK_E_TIMEOUT);
	kolk_engine_tenant_limits_set(fix->engine, 50, 0); /* it has its own */
	assert_int_equal(kolk_acquire(other, kolk__sim_now(fix->sim) + 50 * KOLK_MS_NS, &next),
			 KOLK_E_TIMEOUT);
	limits_set(fix, "t", 2, 0, 0);
	assert_int_equal(kolk_acquire(other, kolk__sim_now(fix->sim) + 50 * KOLK_MS_NS, &next),
			 KOLK_OK);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	assert_int_equal(kolk_release(&next), KOLK_OK);
	kolk_key_close(key);
	kolk_key_close(other);
}

static void slips(void **state)
{
	struct fixture *fix = *state;
	struct kolk_tenant_limits limits = KOLK_INIT(kolk_tenant_limits);
	char name[257];

	memset(name, 'x', sizeof name - 1);
	name[256] = 0;
	assert_int_equal(kolk_tenant_limits_set(fix->engine, NULL, &limits), KOLK_E_OPTIONS);
	assert_int_equal(kolk_tenant_limits_set(fix->engine, "", &limits), KOLK_E_OPTIONS);
	assert_int_equal(kolk_tenant_limits_set(fix->engine, name, &limits), KOLK_E_OPTIONS);
	assert_int_equal(kolk_tenant_limits_set(fix->engine, name + 1, NULL), KOLK_OK);
	limits.weight = 1001;
	assert_int_equal(kolk_tenant_limits_set(fix->engine, "t", &limits), KOLK_E_OPTIONS);
	limits.weight = 1000;
	limits.keys_max = KOLK_NONE;
	assert_int_equal(kolk_tenant_limits_set(fix->engine, "t", &limits), KOLK_E_OPTIONS);
	limits.keys_max = 0;
	assert_int_equal(kolk_tenant_limits_set(fix->engine, "t", &limits), KOLK_OK);
	limits.size--;
	assert_int_equal(kolk_tenant_limits_set(fix->engine, "t", &limits), KOLK_E_OPTIONS);
	assert_int_equal(tenant_info_of(fix, "t").weight, 1000);
}

/* ---- keys */

static uint32_t key_count(struct fixture *fix)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	assert_int_equal(kolk_engine_stats(fix->engine, &stats), KOLK_OK);
	return stats.keys;
}

static void use(struct fixture *fix, struct kolk_key *key)
{
	struct kolk_lease lease;

	assert_int_equal(kolk_acquire(key, kolk__sim_now(fix->sim) + KOLK_S_NS, &lease), KOLK_OK);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
}

/* Referenced keys fill the engine: refused. Unreferenced, with a connection each: they are evicted
 * for any tenant, the least recently used first. */
static void the_engines_keys(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key *keys[24], *more;
	char name[16];

	for (int i = 0; i < 23; i++) { /* and the pool's own */
		snprintf(name, sizeof name, "t%d", i);
		keys[i] = open_key(fix->pool, name, 0);
		use(fix, keys[i]);
	}
	assert_int_equal(key_count(fix), 24);
	for (int i = 0; i < 3; i++)
		assert_int_equal(try_open(fix->pool, "more", 0, &more), KOLK_E_LIMIT);
	assert_null(more);
	assert_int_equal(tenant_info_of(fix, "more").weight, 0); /* it left no trace */
	for (int i = 0; i < 23; i++) {
		kolk_key_close(keys[i]);
		fixture_run(fix, 20 * KOLK_MS_NS);
	}
	for (uint32_t i = 1; i < 100; i++) {
		snprintf(name, sizeof name, "n%u", i / 4);
		more = open_key(fix->pool, name, i);
		assert_true(key_count(fix) <= 24);
		use(fix, more);
		kolk_key_close(more);
		fixture_run(fix, 20 * KOLK_MS_NS);
	}
}

/* A tenant at its own limit evicts its own. */
static void a_tenants_keys(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool *second = pool_add(fix, "second", KOLK_ISOLATION_TENANT);
	struct kolk_key *keys[6], *more, *other = open_key(fix->pool, "other", 0);

	use(fix, other);
	kolk_key_close(other); /* unreferenced, and older than all of them: not evicted */
	for (uint32_t i = 0; i < 6; i++) {
		keys[i] = open_key(i % 2 ? second : fix->pool, "t", i + 1);
		use(fix, keys[i]);
	}
	assert_int_equal(try_open(second, "t", 7, &more), KOLK_E_LIMIT);
	assert_ptr_equal(open_key(second, "t", 2), keys[1]); /* an existing key is found */
	kolk_key_close(keys[1]);
	kolk_key_close(keys[3]);
	fixture_run(fix, 2 * KOLK_S_NS);
	more = open_key(second, "t", 7);
	assert_int_equal(tenant_info_of(fix, "t").keys, 6);
	assert_int_equal(tenant_info_of(fix, "other").keys, 1);
	limits_set(fix, "t", 0, 2, 0); /* lowered: those that are there stay */
	assert_int_equal(tenant_info_of(fix, "t").keys, 6);
	assert_int_equal(try_open(second, "t", 8, &keys[3]), KOLK_E_LIMIT);
	limits_set(fix, "t", 0, KOLK_UNLIMITED, 0);
	keys[3] = open_key(second, "t", 8);
	for (int i = 0; i < 6; i++)
		kolk_key_close(keys[i]);
	kolk_key_close(more);
}

/* Closed while its connection was leased, again and again: it is kept until it is gone. */
static void unreferenced_with_a_lease(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key *keys[23], *more;
	struct kolk_lease leases[23];

	for (uint32_t i = 0; i < 23; i++) {
		char name[16];

		snprintf(name, sizeof name, "t%u", i);
		keys[i] = open_key(fix->pool, name, 0);
		assert_int_equal(kolk_acquire(keys[i], kolk__sim_now(fix->sim) + KOLK_S_NS,
					      &leases[i]), KOLK_OK);
		kolk_key_close(keys[i]);
	}
	for (int i = 0; i < 100; i++)
		assert_int_equal(try_open(fix->pool, "more", 0, &more), KOLK_E_LIMIT);
	give_all(leases, 23);
	fixture_run(fix, 20 * KOLK_MS_NS);
	for (int i = 0; i < 40; i++) { /* each attempt evicts one */
		char name[16];

		snprintf(name, sizeof name, "n%d", i);
		if (try_open(fix->pool, name, 0, &more) != KOLK_OK) {
			fixture_run(fix, 20 * KOLK_MS_NS);
			more = open_key(fix->pool, name, 0);
		}
		use(fix, more);
		kolk_key_close(more);
	}
}

/* ---- memory */

static enum kolk_err thing_create(void *user, void **thing)
{
	(void)user;
	*thing = malloc(1);
	return *thing != NULL ? KOLK_OK : KOLK_E_MEMORY;
}

static void thing_destroy(void *user, void *thing)
{
	(void)user;
	free(thing);
}

static const struct kolk_resource_driver things = { .size = sizeof things, .name = "thing",
						    .create = thing_create,
						    .destroy = thing_destroy };

/* A round of many keys, used and closed. */
static void many_keys(struct kolk_engine *engine, struct kolk_pool *pool, int round)
{
	struct kolk_loop *loop = kolk_engine_loop(engine, 0);
	struct kolk_key *key;
	struct kolk_lease lease;
	char name[32];

	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof name, "tenant %d of round %d", i, round);
		assert_int_equal(try_open(pool, name, 1, &key), KOLK_OK);
		for (int n = 0; n < 50000 && kolk_try_acquire(key, &lease) != KOLK_OK; n++)
			assert_int_equal(kolk_loop_step(loop, 100 * KOLK_US_NS), KOLK_OK);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
		kolk_key_close(key);
		(void)kolk_pool_clear(pool);
	}
	for (int n = 0; n < 50; n++)
		assert_int_equal(kolk_loop_step(loop, KOLK_MS_NS), KOLK_OK);
}

/* What a key needed is given back, or is there for the next: rounds do not add up. */
static void memory_is_given_back(void **state)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);
	int64_t at_first = counting_bytes(), after_one, after_all;
	struct kolk_engine *engine;
	struct kolk_pool *pool;

	(void)state;
	e.loops = 1;
	e.loop_owner = KOLK_LOOPS_EMBEDDER;
	e.connections_max = 8;
	e.sys = counting_sys();
	p.name = "things";
	p.resource = &things;
	p.idle_min = KOLK_NONE;
	assert_int_equal(kolk_engine_create(&e, &engine), KOLK_OK);
	assert_int_equal(kolk_pool_add(engine, &p, &pool), KOLK_OK);
	many_keys(engine, pool, 0);
	after_one = counting_bytes();
	for (int round = 1; round < 4; round++)
		many_keys(engine, pool, round);
	after_all = counting_bytes();
	assert_in_range(after_all, 1, after_one + 4096);
	assert_int_equal(kolk_engine_destroy(engine), KOLK_OK);
	assert_int_equal(counting_bytes(), at_first);
}

#define IN_ENGINE(test) cmocka_unit_test_setup_teardown(test, engine_setup, fixture_close)
#define IN_NARROW_ENGINE(test) \
	cmocka_unit_test_setup_teardown(test, narrow_engine_open, fixture_close)

/* Three tenants in turn: each has its own order, and all have one. */
static void the_least_recently_used_key_of_a_tenant(void **state)
{
	enum { KEYS = 99 };
	struct fixture *fix = *state;
	struct kolk_engine *engine = fix->engine;
	struct kolk_key *keys = calloc(KEYS, sizeof keys[0]);
	struct kolk__tenant tenants[3] = { 0 };

	assert_non_null(keys);
	for (int i = 0; i < 3; i++)
		tenants[i].connections.tenant = &tenants[i];
	kolk__take_lock(engine, &engine->accounting);
	for (int i = 0; i < KEYS; i++) {
		keys[i].engine = engine;
		kolk__store_relaxed(&keys[i].account, &tenants[i % 3].connections);
		kolk__key_lru_add(&keys[i]);
	}
	kolk__key_lru_remove(&keys[4]);
	kolk__give_lock(engine, &engine->accounting);
	assert_ptr_equal(kolk__key_lru_pop(engine, &tenants[1]), &keys[1]);
	assert_ptr_equal(kolk__key_lru_pop(engine, &tenants[1]), &keys[7]);
	for (int i = 2; i < KEYS; i += 3)
		assert_ptr_equal(kolk__key_lru_pop(engine, &tenants[2]), &keys[i]);
	assert_null(kolk__key_lru_pop(engine, &tenants[2]));
	for (int i = 0; i < KEYS; i++)
		if (i % 3 == 0 || (i % 3 == 1 && i > 7))
			assert_ptr_equal(kolk__key_lru_pop(engine, NULL), &keys[i]);
	assert_null(kolk__key_lru_pop(engine, NULL));
	assert_true(tenants[0].lru.first == NULL && tenants[1].lru.last == NULL);
	free(keys);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(the_least_recently_used_key_of_a_tenant, fixture_open,
					fixture_close),
	IN_ENGINE(ten_by_default),
	IN_ENGINE(over_pools_and_keys),
	IN_ENGINE(before_the_first_key_and_after_the_last),
	IN_ENGINE(a_recycled_tenant_is_new),
	IN_ENGINE(a_lowered_limit_drops_no_lease),
	IN_ENGINE(a_raised_limit_serves_waiters),
	IN_ENGINE(slips),
	IN_NARROW_ENGINE(the_engines_keys),
	IN_NARROW_ENGINE(a_tenants_keys),
	IN_NARROW_ENGINE(unreferenced_with_a_lease),
	cmocka_unit_test(memory_is_given_back),
};

CMOCKA_TESTS(tenant, tests);
