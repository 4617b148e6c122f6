/* SPDX-License-Identifier: Apache-2.0 */
/*
 * victim_test.c - victim searches among many connections: how many one visits, and how old what it
 * evicts is.
 *
 * Each connection is of another tenant. All are leased, then released one by one, so that each has
 * been idle for a time of its own; then one new tenant after the other asks for a connection while
 * the limit is full. The rank of what is evicted for it: idle ones that have been so for longer.
 *
 * By hand: KOLK_VICTIM_CONNECTIONS=100000 tests/kolk-unit victim
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/engine.h"
#include "core/pool.h"
#include "tests/unit/unit.h"

enum { CONNECTIONS = 20000, EVICTIONS = 1000, MORE = 2 * EVICTIONS };

struct crowd {
	struct kolk_sys sys;
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	uint32_t size, keys;
	struct kolk_key **key;
	struct kolk_lease *lease;
	uint64_t *number;    /* of the connection that was released as the n-th; 0 = evicted */
	uint32_t released;
	uint64_t evicted;    /* what was evicted last */
	uint32_t evictions;
};

/* ---- resources, and a clock that the test moves */

static uint64_t now_ns;

static uint64_t now(void *context)
{
	(void)context;
	return now_ns;
}

static enum kolk_err create(void *user, void **resource)
{
	*resource = user;
	return KOLK_OK;
}

static const struct kolk_resource_driver driver = {
	.size = sizeof driver, .name = "crowd", .create = create,
};

static void on_event(void *user, const struct kolk_event *event)
{
	struct crowd *crowd = user;

	crowd->evicted = event->connection;
	crowd->evictions++;
}

/* ---- an engine whose connections are all leased */

static struct kolk_key *key_open(struct crowd *crowd)
{
	char tenant[16];

	snprintf(tenant, sizeof tenant, "t%u", crowd->keys++);
	return key_of(crowd->pool, tenant);
}

static enum kolk_err on_loop(struct crowd *crowd)
{
	return kolk_loop_step(kolk_engine_loop(crowd->engine, 0), KOLK_MS_NS);
}

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	assert_int_equal(err, KOLK_OK);
	*(struct kolk_lease *)user = *lease;
}

/* Maintenance has its turn when nothing else helps. */
static void take(struct crowd *crowd, struct kolk_key *key, struct kolk_lease *lease)
{
	struct kolk_acquire acquire;
	enum kolk_err err;

	*lease = (struct kolk_lease){ 0 };
	err = kolk_acquire_async(kolk_engine_loop(crowd->engine, 0), key, KOLK_FOREVER, &acquire,
				 on_lease, lease);
	if (err == KOLK_OK)
		*lease = acquire.lease;
	for (int turns = 0; lease->connection == NULL; turns++) {
		assert_true(turns < 10000);
		assert_int_equal(on_loop(crowd), KOLK_OK);
		if (turns % 8 == 7)
			(void)kolk_engine_maintain(crowd->engine);
	}
}

static uint64_t number_of(const struct kolk_lease *lease)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);

	assert_int_equal(kolk_lease_info(lease, &info), KOLK_OK);
	return info.connection;
}

static void crowd_open(struct crowd *crowd, uint32_t size, uint32_t pool_max)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);

	*crowd = (struct crowd){ .sys = *kolk_sys_linux(), .size = size };
	now_ns = KOLK_S_NS;
	crowd->sys.now_ns = now;
	crowd->sys.thread_start = NULL;
	crowd->key = calloc(size + MORE, sizeof crowd->key[0]);
	crowd->lease = calloc(size + MORE, sizeof crowd->lease[0]);
	crowd->number = calloc(size + MORE, sizeof crowd->number[0]);
	e.loops = 1;
	e.loop_owner = KOLK_LOOPS_EMBEDDER;
	e.seed = 1;
	e.connections_reserved = size + MORE;
	e.connections_max = pool_max != 0 ? size + MORE : size;
	e.dials_max = e.keys_max = size + MORE + 1;
	e.event_mask = KOLK_EVENT_BIT(KOLK_EVENT_EVICTED);
	e.on_event = on_event;
	e.event_user = crowd;
	e.sys = &crowd->sys;
	assert_int_equal(kolk_engine_create(&e, &crowd->engine), KOLK_OK);
	p.name = "crowd";
	p.resource = &driver;
	p.driver_user = crowd;
	p.idle_min = KOLK_NONE;
	p.dials_max = size + MORE;
	p.pool_connections_max = pool_max;
	p.idle_timeout_ns = p.lease_overdue_ns = KOLK_FOREVER;
	assert_int_equal(kolk_pool_add(crowd->engine, &p, &crowd->pool), KOLK_OK);
	for (uint32_t i = 0; i < size; i++) {
		crowd->key[i] = key_open(crowd);
		take(crowd, crowd->key[i], &crowd->lease[i]);
	}
	assert_int_equal(crowd->evictions, 0);
}

static void release(struct crowd *crowd, uint32_t at)
{
	now_ns += KOLK_US_NS;
	crowd->number[crowd->released++] = number_of(&crowd->lease[at]);
	assert_int_equal(kolk_release(&crowd->lease[at]), KOLK_OK);
	crowd->lease[at] = (struct kolk_lease){ 0 };
}

static void crowd_close(struct crowd *crowd)
{
	const char *law = NULL;

	if (kolk_check(crowd->engine, &law) != KOLK_OK)
		fail_msg("%s", law);
	for (uint32_t i = 0; i < crowd->size + MORE; i++) {
		if (crowd->lease[i].connection != NULL)
			assert_int_equal(kolk_release(&crowd->lease[i]), KOLK_OK);
		if (crowd->key[i] != NULL)
			kolk_key_close(crowd->key[i]);
	}
	crowd->sys.now_ns = kolk_sys_linux()->now_ns; /* destroy waits by it */
	assert_int_equal(kolk_engine_destroy(crowd->engine), KOLK_OK);
	free(crowd->key);
	free(crowd->lease);
	free(crowd->number);
}

/* ---- the age of what is evicted */

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static uint32_t rank_of(struct crowd *crowd, uint64_t number)
{
	uint32_t rank = 0;

	for (uint32_t i = 0; i < crowd->released; i++) {
		if (crowd->number[i] == number) {
			crowd->number[i] = 0;
			return rank;
		}
		rank += crowd->number[i] != 0;
	}
	fail_msg("connection %llu was not idle", (unsigned long long)number);
	return 0;
}

static void shuffle(uint32_t *order, uint32_t count)
{
	uint64_t random = 88172645463325252;

	for (uint32_t i = count; i > 1; i--) {
		uint32_t other, swap = order[i - 1];

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		other = (uint32_t)(random % i);
		order[i - 1] = order[other];
		order[other] = swap;
	}
}

static void release_all(struct crowd *crowd, bool by_chance)
{
	uint32_t *order = calloc(crowd->size, sizeof order[0]);

	for (uint32_t i = 0; i < crowd->size; i++)
		order[i] = i;
	if (by_chance)
		shuffle(order, crowd->size);
	for (uint32_t i = 0; i < crowd->size; i++)
		release(crowd, order[i]);
	free(order);
	now_ns += 10 * KOLK_S_NS;
}

static void evict_many(uint32_t size, bool pool_full, bool by_chance)
{
	static double rank[EVICTIONS];
	struct crowd crowd;
	uint64_t most = 0, first = 0;

	crowd_open(&crowd, size, pool_full ? size : 0);
	release_all(&crowd, by_chance);
	for (uint32_t i = 0; i < EVICTIONS; i++) {
		uint64_t before = kolk__load_relaxed(&crowd.engine->visits);
		uint32_t at = size + i;

		crowd.key[at] = key_open(&crowd);
		take(&crowd, crowd.key[at], &crowd.lease[at]);
		assert_int_equal(crowd.evictions, i + 1);
		rank[i] = 100.0 * rank_of(&crowd, crowd.evicted) / size;
		before = kolk__load_relaxed(&crowd.engine->visits) - before;
		first = i == 0 ? before : first; /* it knows no candidate */
		most = i > 0 && before > most ? before : most;
		release(&crowd, at);
	}
	qsort(rank, EVICTIONS, sizeof rank[0], by_value);
	print_message("%u idle, %s full, released %s: rank p50 %.2f %%, p99 %.2f %%, most %.2f %%; "
		      "visits %llu, then <= %llu\n", size, pool_full ? "pool" : "engine",
		      by_chance ? "by chance" : "in the order of opening", rank[EVICTIONS / 2],
		      rank[EVICTIONS * 99 / 100], rank[EVICTIONS - 1], (unsigned long long)first,
		      (unsigned long long)most);
	assert_true(first <= KOLK__SEARCH_SLICE && most <= KOLK__SEARCH_FEW);
	assert_true(rank[EVICTIONS / 2] < 2.0 && rank[EVICTIONS * 99 / 100] < 5.0);
	crowd_close(&crowd);
}

static uint32_t connections(void)
{
	const char *text = getenv("KOLK_VICTIM_CONNECTIONS");

	return text != NULL ? (uint32_t)strtoul(text, NULL, 10) : CONNECTIONS;
}

static void an_eviction_visits_few_and_takes_one_of_the_oldest(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		evict_many(connections(), i & 1, i & 2);
}

/* All that the first search can have remembered is used once more: it is younger than the rest. */
static void a_candidate_is_as_old_as_its_last_use(void **state)
{
	enum { SIZE = 200, USED = 150 };
	struct kolk_lease lease;
	struct crowd crowd;
	bool unused = false;

	(void)state;
	crowd_open(&crowd, SIZE, 0);
	release_all(&crowd, false);
	crowd.key[SIZE] = key_open(&crowd);
	take(&crowd, crowd.key[SIZE], &lease);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	assert_true(crowd.engine->candidate_count > 0);
	for (uint32_t i = 0; i < USED; i++) {
		if (crowd.number[i] == crowd.evicted)
			continue;
		take(&crowd, crowd.key[i], &crowd.lease[i]);
		assert_int_equal(number_of(&crowd.lease[i]), crowd.number[i]);
		release(&crowd, i);
	}
	assert_int_equal(crowd.evictions, 1);
	now_ns += 10 * KOLK_S_NS;
	crowd.key[SIZE + 1] = key_open(&crowd);
	take(&crowd, crowd.key[SIZE + 1], &crowd.lease[SIZE + 1]);
	assert_int_equal(crowd.evictions, 2);
	for (uint32_t i = USED; i < SIZE; i++)
		unused = unused || crowd.number[i] == crowd.evicted;
	assert_true(unused);
	crowd_close(&crowd);
}

/* ---- what is not in a slice */

static struct kolk__account *account_of(const struct kolk_key *key)
{
	return kolk__load_relaxed(&key->account);
}

/* A caller waits for the key that was opened last; returns how many connections its search
 * visited. */
static uint64_t ask_for_last(struct crowd *crowd, struct kolk_acquire *acquire)
{
	uint64_t before = kolk__load_relaxed(&crowd->engine->visits);
	uint32_t at = crowd->keys - 1;

	assert_int_equal(kolk_acquire_async(kolk_engine_loop(crowd->engine, 0), crowd->key[at],
					    KOLK_FOREVER, acquire, on_lease, &crowd->lease[at]),
			 KOLK_PENDING);
	return kolk__load_relaxed(&crowd->engine->visits) - before;
}

/* For a new tenant. */
static uint64_t ask(struct crowd *crowd, struct kolk_acquire *acquire)
{
	uint32_t at = crowd->keys;

	crowd->key[at] = key_open(crowd);
	return ask_for_last(crowd, acquire);
}

/* For another key of this tenant. */
static uint64_t ask_for_sibling(struct crowd *crowd, uint32_t tenant, struct kolk_acquire *acquire)
{
	struct kolk_key_options o = KOLK_INIT(kolk_key_options);
	char name[16];

	snprintf(name, sizeof name, "t%u", tenant);
	o.tenant = name;
	o.credential = "sibling";
	crowd->key[crowd->keys++] = key_with(crowd->pool, o);
	return ask_for_last(crowd, acquire);
}

/* The caller's search does not find it, and the next turn of maintenance, which is at once, does. */
static void the_only_idle_one_is_found_by_maintenance(void **state)
{
	struct kolk_acquire acquire;
	struct crowd crowd;
	uint64_t before;

	(void)state;
	crowd_open(&crowd, CONNECTIONS, 0);
	release(&crowd, CONNECTIONS / 2);
	assert_true(ask(&crowd, &acquire) <= KOLK__SEARCH_SLICE);
	assert_int_equal(crowd.evictions, 0);
	assert_int_equal(kolk__load_relaxed(&crowd.engine->maintain.kicked), 1);
	before = kolk__load_relaxed(&crowd.engine->visits);
	(void)kolk_engine_maintain(crowd.engine);
	assert_int_equal(crowd.evictions, 1);
	assert_true(kolk__load_relaxed(&crowd.engine->visits) - before <= CONNECTIONS);
	while (crowd.lease[CONNECTIONS].connection == NULL)
		assert_int_equal(on_loop(&crowd), KOLK_OK);
	crowd_close(&crowd);
}

/* What is idle may be evicted for its own tenant, but not for the first key of the queue, whose
 * tenant has as many: maintenance searches for the key that was handed over, too. */
static void maintenance_searches_for_each_key(void **state)
{
	struct kolk_acquire acquire[2];
	struct crowd crowd;

	(void)state;
	crowd_open(&crowd, CONNECTIONS, 0);
	release(&crowd, CONNECTIONS / 2);
	assert_true(ask_for_sibling(&crowd, 1, &acquire[0]) <= KOLK__SEARCH_SLICE);
	assert_true(ask_for_sibling(&crowd, CONNECTIONS / 2, &acquire[1]) <= KOLK__SEARCH_SLICE);
	assert_int_equal(crowd.evictions, 0);
	assert_true(kolk_engine_maintain(crowd.engine) <= now_ns); /* another turn for the second */
	(void)kolk_engine_maintain(crowd.engine);
	assert_int_equal(crowd.evictions, 1);
	for (int i = 0; i < 2; i++)
		assert_int_equal(kolk_acquire_cancel(&acquire[i]), KOLK_OK);
	crowd_close(&crowd);
}

/* Nothing is idle, and one tenant has twice as many as the others, which maintenance finds. Callers
 * after that reclaim from it, and visit no more than a slice each. */
static void a_rare_victim_is_known_to_callers(void **state)
{
	enum { CALLERS = 4 };
	struct kolk_acquire acquire[1 + CALLERS];
	const struct kolk__account *rich;
	struct kolk_lease second;
	struct crowd crowd;

	(void)state;
	crowd_open(&crowd, CONNECTIONS, 0);
	assert_int_equal(kolk_release(&crowd.lease[0]), KOLK_OK); /* evicted for the second */
	crowd.lease[0].connection = NULL;
	now_ns += 2 * KOLK_S_NS; /* lent */
	take(&crowd, crowd.key[CONNECTIONS / 2], &second);
	assert_int_equal(crowd.evictions, 1);
	rich = account_of(crowd.key[CONNECTIONS / 2]);
	assert_true(ask(&crowd, &acquire[0]) <= KOLK__SEARCH_SLICE);
	(void)kolk_engine_maintain(crowd.engine);
	assert_int_equal(kolk__own(&rich->to_reclaim), 1);
	for (uint32_t i = 1; i <= CALLERS; i++)
		assert_true(ask(&crowd, &acquire[i]) <= KOLK__SEARCH_SLICE);
	assert_int_equal(kolk__own(&rich->to_reclaim), 2); /* as many as it has */
	assert_int_equal(kolk_release(&second), KOLK_OK);
	while (crowd.lease[CONNECTIONS].connection == NULL)
		assert_int_equal(on_loop(&crowd), KOLK_OK);
	for (uint32_t i = 1; i <= CALLERS; i++)
		assert_int_equal(kolk_acquire_cancel(&acquire[i]), KOLK_OK);
	crowd_close(&crowd);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(the_only_idle_one_is_found_by_maintenance),
	cmocka_unit_test(maintenance_searches_for_each_key),
	cmocka_unit_test(a_rare_victim_is_known_to_callers),
	cmocka_unit_test(a_candidate_is_as_old_as_its_last_use),
	cmocka_unit_test(an_eviction_visits_few_and_takes_one_of_the_oldest),
};

CMOCKA_TESTS(victim, tests);
