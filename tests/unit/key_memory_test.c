/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_memory_test.c - what a key of a tenant of its own takes once it was used and its connection
 * is gone: with its tenant, and with its part of the tables by which both are found.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/pool.h"
#include "tests/kit/counting.h"

/* DOUBLED: both tables have just begun to grow, so each key pays for three half-empty buckets. */
enum { FEW = 1000, DOUBLED = 2048 * KOLK__HASH_LOAD + 8, MANY = 20000, AT_A_TIME = 32,
       STEPS_MAX = 1000000 };
#ifdef KOLK__ASSERTIONS /* they make its lock larger */
enum { LOCK_MORE = sizeof(struct kolk__lock) };
#else
enum { LOCK_MORE = 0 };
#endif

struct use {
	struct kolk_acquire acquire;
	struct many *many;
};

struct many {
	struct kolk_engine *engine;
	struct kolk_loop *loop;
	struct kolk_pool *pool;
	struct kolk_key *keys[MANY];
	struct use uses[MANY];
	int got;
};

static void many_open(struct many *many)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);

	e.sys = counting_sys();
	e.loops = 1;
	e.loop_owner = KOLK_LOOPS_EMBEDDER;
	e.connections_max = 2 * AT_A_TIME;
	e.keys_max = KOLK_UNLIMITED;
	p.name = "many";
	p.resource = &unit_things;
	p.connections_max = 1;
	p.idle_min = KOLK_NONE;
	p.idle_timeout_ns = p.lifetime_ns = KOLK_FOREVER;
	assert_int_equal(kolk_engine_create(&e, &many->engine), KOLK_OK);
	assert_int_equal(kolk_pool_add(many->engine, &p, &many->pool), KOLK_OK);
	many->loop = kolk_engine_loop(many->engine, 0);
	for (int i = 0; i < KOLK__TIMES; i++) /* they grow with the times that occur */
		assert_true(kolk__hist_reserve(e.sys, &many->pool->hists.of[i]));
}

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct use *use = user;

	assert_int_equal(err, KOLK_OK);
	assert_int_equal(kolk_release((struct kolk_lease *)lease), KOLK_OK);
	use->many->got++;
}

static void step(struct many *many, int *steps)
{
	assert_true(++*steps < STEPS_MAX);
	assert_int_equal(kolk_loop_step(many->loop, 10 * KOLK_MS_NS), KOLK_OK);
}

static void use_begin(struct many *many, struct use *use, struct kolk_key *key)
{
	enum kolk_err err;

	use->many = many;
	err = kolk_acquire_async(many->loop, key, KOLK_FOREVER, &use->acquire, on_lease, use);
	if (err != KOLK_PENDING)
		on_lease(use, err, &use->acquire.lease);
}

/* Each once; then all connections go. */
static void use_all(struct many *many, struct kolk_key **keys, int count)
{
	int begun = 0, steps = 0;

	many->got = 0;
	while (many->got < count) {
		for (; begun < count && begun - many->got < AT_A_TIME; begun++)
			use_begin(many, &many->uses[begun], keys[begun]);
		step(many, &steps);
	}
	(void)kolk_pool_clear(many->pool);
	while (stats_of(many->pool).open > 0)
		step(many, &steps);
}

/* Its tenant has its name; so has its credential. */
static struct kolk_key *user_key(struct kolk_pool *pool, int i)
{
	char name[16];

	snprintf(name, sizeof name, "user%d", i);
	return key_with(pool, (struct kolk_key_options){ .tenant = name, .credential = name });
}

/* The first use of the pool's own key brings what the engine needs once. */
static void used_keys_take(int count, int64_t most)
{
	struct many *many = calloc(1, sizeof *many);
	int64_t before, each;
	struct kolk_key *own;

	assert_non_null(many);
	many_open(many);
	own = kolk_pool_key(many->pool);
	use_all(many, &own, 1);
	before = counting_bytes();
	for (int i = 0; i < count; i++)
		many->keys[i] = user_key(many->pool, i);
	use_all(many, many->keys, count);
	each = (counting_bytes() - before) / count;
	print_message("%d used keys: %lld bytes each\n", count, (long long)each);
	assert_in_range(each, 1, most + LOCK_MORE);
	for (int i = 0; i < count; i++)
		kolk_key_close(many->keys[i]);
	assert_int_equal(kolk_engine_destroy(many->engine), KOLK_OK);
	free(many);
}

static void a_thousand_used_keys_take_a_thousand_bytes_each(void **state)
{
	(void)state;
	used_keys_take(FEW, 1000);
}

static void many_used_keys_take_a_thousand_bytes_each(void **state)
{
	(void)state;
	used_keys_take(MANY, 1000);
}

static void used_keys_take_a_kib_where_the_tables_grow(void **state)
{
	(void)state;
	used_keys_take(DOUBLED, 1024);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_thousand_used_keys_take_a_thousand_bytes_each),
	cmocka_unit_test(many_used_keys_take_a_thousand_bytes_each),
	cmocka_unit_test(used_keys_take_a_kib_where_the_tables_grow),
};

CMOCKA_TESTS(key_memory, tests);
