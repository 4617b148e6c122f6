/* SPDX-License-Identifier: Apache-2.0 */
/* counters_test.c - core/counters.c: a used key takes 1 KiB at most, and counts everything. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/engine.h"
#include "core/pool.h"

#ifdef KOLK__ASSERTIONS /* they make a key's lock larger */
enum { LOCK_MORE = KOLK_CACHE_LINE };
#else
enum { LOCK_MORE = 0 };
#endif
enum { KEYS = 64, KEY_BYTES_MAX = 1024, MALLOC_MAX = 23 };

/* ---- memory of the pool, not of the transport: connections are not in it */

static const struct kolk_sys *real;
static int64_t bytes;

/* As malloc takes it: a word more, in units of 16. */
static int64_t taken(size_t size)
{
	return (int64_t)((size + 8 + 15) / 16 * 16);
}

static void *allocate(void *context, size_t alignment, size_t size)
{
	void *memory = real->allocate(context, alignment, size);

	bytes += memory != NULL ? taken(size) : 0;
	return memory;
}

static void deallocate(void *context, void *memory, size_t size)
{
	bytes -= taken(size);
	real->deallocate(context, memory, size);
}

static void count_memory(struct kolk_engine *engine)
{
	static struct kolk_sys counting;

	real = engine->sys;
	counting = *real;
	counting.allocate = allocate;
	counting.deallocate = deallocate;
	engine->sys = &counting;
	bytes = 0;
}

/* tenant NULL = one of its own. */
static struct kolk_key *open_user(struct kolk_pool *pool, const char *tenant, int user)
{
	char name[16];

	snprintf(name, sizeof name, "user%06d", user);
	return key_with(pool, (struct kolk_key_options){ .tenant = tenant != NULL ? tenant : name,
							 .credential = name });
}

/* A dial, a lease with I/O, and its end. */
static void use(struct fixture *fix, struct kolk_key *key)
{
	uint64_t deadline_ns = kolk__sim_now(fix->sim) + 5 * KOLK_S_NS;
	struct kolk_lease lease;
	char answer[16];
	size_t size;

	assert_int_equal(kolk_acquire(key, deadline_ns, &lease), KOLK_OK);
	assert_int_equal(kolk_send_all(&lease, "x", 1, deadline_ns), KOLK_OK);
	assert_int_equal(kolk_recv(&lease, answer, sizeof answer, deadline_ns, &size), KOLK_OK);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
}

/* The engine has room for eight connections, so most of them were evicted, and counted. */
static void used_keys_take(struct fixture *fix, const char *tenant, int64_t most)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_key *keys[KEYS], *held;
	struct kolk_pool *pool;
	int64_t opened;

	o.name = "many";
	o.address = "192.0.2.1:7";
	o.idle_min = KOLK_NONE;
	pool = pool_of(fix, &o);
	use(fix, kolk_pool_key(pool));
	held = open_user(pool, tenant, KEYS); /* the shared tenant is there */
	count_memory(fix->engine);
	for (int i = 0; i < KEYS; i++)
		keys[i] = open_user(pool, tenant, i);
	opened = bytes;
	for (int i = 0; i < KEYS; i++)
		use(fix, keys[i]);
	print_message("key opened: %lld bytes, used: %lld\n", (long long)opened / KEYS,
		      (long long)bytes / KEYS);
	assert_true(bytes / KEYS <= most);
	for (int i = 0; i < KEYS; i++)
		kolk_key_close(keys[i]);
	kolk_key_close(held);
}

static void a_used_key_takes_a_kib(void **state)
{
	used_keys_take(*state, "t", KEY_BYTES_MAX);
}

/* Its own parts take 1 KiB; what malloc adds to eight pieces comes on top. */
static void a_used_key_and_its_tenant_take_a_kib(void **state)
{
	used_keys_take(*state, NULL, KEY_BYTES_MAX + 8 * MALLOC_MAX + LOCK_MORE);
}

/* ---- histograms */

static struct kolk_stats stats_of_key(struct kolk_key *key)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	assert_int_equal(kolk_key_stats(key, &stats), KOLK_OK);
	return stats;
}

static void quantiles_of_a_key_are_asked_for(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_pool *pool;
	struct kolk_stats stats;

	use(fix, fix->key);
	stats = stats_of_key(fix->key);
	assert_true(stats.lease.count == 1 && stats.dial.count >= 1);
	assert_true(stats.dial.sum >= stats.dial.max && stats.dial.max > 0);
	assert_true(stats.dial.p50 == 0 && stats.dial.p999 == 0);
	assert_true(stats_of(fix->pool).dial.p50 > 0); /* the pool has all */
	o.name = "asked";
	o.address = "192.0.2.1:7";
	o.key_histograms = 1;
	pool = pool_of(fix, &o);
	use(fix, kolk_pool_key(pool));
	stats = stats_of_key(kolk_pool_key(pool));
	assert_true(stats.dial.p50 > 0 && stats.dial.p50 <= stats.dial.p999);
	assert_int_equal(stats.dial.count, stats_of(pool).dial.count);
}

/* ---- counters by reason */

/* More of them than a key has places for: each is counted all the same, and so is their sum. */
static void every_reason_is_counted(void **state)
{
	struct fixture *fix = *state;
	struct kolk__counters *counters = kolk__key_counters(fix->key);
	struct kolk__counters sum;
	struct kolk__many many;

	for (int round = 0; round < 3; round++) {
		for (int reason = KOLK_REASONS - 1; reason >= round; reason--)
			kolk__count_destroyed(fix->key, (uint8_t)reason);
		for (int why = round; why < KOLK_REFUSALS; why++)
			kolk__count_refusal(fix->engine, counters, (enum kolk_refusal)why,
					    round == 0);
		for (int what = round; what < KOLK__OVERTAKEN_MAX; what++)
			if (what != KOLK__TIMEOUTS && what != KOLK__REJECTED)
				kolk__count_rare(fix->key, (enum kolk__rare)what);
	}
	kolk__counters_init(&sum, &many);
	kolk__counters_add(&sum, counters);
	kolk__counters_add(&sum, counters);
	for (int i = 0; i < KOLK_REASONS; i++)
		assert_int_equal(kolk__own(&many.destroyed[i]), 2 * (i < 3 ? i + 1 : 3));
	for (int i = 0; i < KOLK_REFUSALS; i++)
		assert_int_equal(kolk__own(&many.refused[i]), 2 * (i < 3 ? i + 1 : 3));
	for (int i = KOLK__REJECTED + 1; i < KOLK__OVERTAKEN_MAX; i++)
		assert_int_equal(kolk__own(&many.rare[i]), 2 * 3);
	assert_int_equal(kolk__refusals(counters), kolk__rare_count(counters, KOLK__REJECTED) +
							   kolk__rare_count(counters, KOLK__TIMEOUTS));
	assert_int_equal(kolk__own(&many.rare[KOLK__TIMEOUTS]), 2 * KOLK_REFUSALS);
	assert_int_equal(kolk__refusals(&sum), kolk__own(&many.rare[KOLK__REJECTED]) +
						       kolk__own(&many.rare[KOLK__TIMEOUTS]));
}

/* In a place of few, and among many. */
static void the_longest_overtaking_is_kept(void **state)
{
	static const uint64_t longest_ns[] = { 5, 9, 7 };
	struct fixture *fix = *state;
	struct kolk__counters *counters = kolk__key_counters(fix->key);
	struct kolk__counters sum;
	struct kolk__many many;

	for (int full = 0; full < 2; full++) {
		for (int i = 0; i < 3; i++) {
			kolk__count_rare(fix->key, KOLK__OVERTAKES);
			kolk__raise_rare(fix->key, KOLK__OVERTAKEN_MAX, longest_ns[i]);
		}
		assert_true((kolk__own(&counters->many) != NULL) == (full != 0));
		kolk__counters_init(&sum, &many);
		kolk__counters_add(&sum, counters);
		kolk__counters_add(&sum, counters);
		assert_int_equal(kolk__own(&many.rare[KOLK__OVERTAKES]), 6);
		assert_int_equal(kolk__own(&many.rare[KOLK__OVERTAKEN_MAX]), 9);
		for (int at = 0; at < KOLK__FEW; at++) { /* as if others had come first */
			kolk__store_relaxed(&counters->few[at], 0);
			kolk__count_destroyed(fix->key, (uint8_t)(KOLK_REASON_NONE + at));
		}
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(a_used_key_takes_a_kib, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(a_used_key_and_its_tenant_take_a_kib, fixture_open,
					fixture_close),
	cmocka_unit_test_setup_teardown(quantiles_of_a_key_are_asked_for, fixture_open,
					fixture_close),
	cmocka_unit_test_setup_teardown(every_reason_is_counted, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(the_longest_overtaking_is_kept, fixture_open,
					fixture_close),
};

CMOCKA_TESTS(counters, tests);
