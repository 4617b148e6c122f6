/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk_test.c - walk.c: no walk over many keys keeps a lock for more than a slice, and what changes
 * between two slices is missed by none and counted twice by none.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/pool.h"

enum { MANY = 10000, SOME = 5 * KOLK__SLICE };

static struct kolk_key **keys_open(struct kolk_pool *pool, int count)
{
	struct kolk_key **keys = calloc((size_t)count, sizeof keys[0]);
	char tenant[16];

	for (int i = 0; i < count; i++) {
		(void)snprintf(tenant, sizeof tenant, "t%d", i);
		keys[i] = key_of(pool, tenant);
	}
	return keys;
}

static void keys_close(struct kolk_key **keys, int count)
{
	for (int i = 0; i < count; i++)
		if (keys[i] != NULL)
			kolk_key_close(keys[i]);
	free(keys);
}

static size_t list_all(struct kolk_pool *pool, size_t capacity)
{
	struct kolk_key_info *infos = calloc(capacity, sizeof infos[0]);
	uint64_t cursor = 0;
	size_t got, all = 0;

	while ((got = kolk_pool_keys(pool, &cursor, infos, capacity)) != 0)
		all += got;
	free(infos);
	return all;
}

static size_t tenants_all(struct kolk_engine *engine, size_t capacity)
{
	struct kolk_tenant_info *infos = calloc(capacity, sizeof infos[0]);
	uint64_t cursor = 0;
	size_t got, all = 0;

	while ((got = kolk_engine_tenants(engine, &cursor, infos, capacity)) != 0)
		all += got;
	free(infos);
	return all;
}

/* ---- slices */

/* How often was the lock of the pool free during a walk? */
struct watch {
	struct kolk_pool *pool;
	uint32_t gaps;
};

static void count_gap(void *user, int change)
{
	struct watch *watch = user;

	if (change < 0 && kolk__load_relaxed(&watch->pool->lock.word) == 0)
		watch->gaps++;
}

#define IN_SLICES(watch, call)                                 \
	do {                                                   \
		(watch)->gaps = 0;                             \
		__auto_type done = (call);                     \
		(void)done;                                    \
		assert_true((watch)->gaps >= MANY / KOLK__STEPS_MAX); \
	} while (0)

static void each_walk_is_in_slices(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key **keys = keys_open(fix->pool, MANY);
	struct kolk_pool_limits limits = KOLK_INIT(kolk_pool_limits);
	struct kolk_pool_info info = KOLK_INIT(kolk_pool_info);
	struct kolk_pool_options options = KOLK_INIT(kolk_pool_options);
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	struct watch watch = { .pool = fix->pool };

	options.name = "test";
	options.address = "192.0.2.1:7";
	options.ping_interval_ns = KOLK_S_NS;
	limits.connections_max = 3;
	fix->engine->on_lock = count_gap;
	fix->engine->on_lock_user = &watch;
	IN_SLICES(&watch, kolk_pool_rotate(fix->pool));
	IN_SLICES(&watch, kolk_engine_rotate(fix->engine));
	IN_SLICES(&watch, kolk_tenant_rotate(fix->engine, "t5"));
	IN_SLICES(&watch, kolk_pool_clear(fix->pool));
	IN_SLICES(&watch, kolk_engine_clear(fix->engine, NULL));
	IN_SLICES(&watch, kolk_pool_update(fix->pool, &options));
	IN_SLICES(&watch, kolk_pool_limits_set(fix->pool, &limits));
	IN_SLICES(&watch, kolk_engine_connections_max_set(fix->engine, 7));
	IN_SLICES(&watch, kolk_pool_stats(fix->pool, &stats));
	IN_SLICES(&watch, kolk_engine_stats(fix->engine, &stats));
	IN_SLICES(&watch, kolk_pool_inspect(fix->pool, &info));
	IN_SLICES(&watch, kolk_tenant_warm(fix->engine, "t5", 0));
	IN_SLICES(&watch, (kolk__health_suspect(fix->pool, kolk__sim_now(fix->sim)), 0));
	IN_SLICES(&watch, (kolk__health_idle_announced(fix->pool, KOLK_S_NS, 1), 0));
	IN_SLICES(&watch, list_all(fix->pool, MANY));
	IN_SLICES(&watch, tenants_all(fix->engine, MANY));
	IN_SLICES(&watch, kolk_pool_suspend(fix->pool, KOLK_FOREVER));
	IN_SLICES(&watch, kolk_pool_resume(fix->pool));
	fix->engine->on_lock = NULL;
	assert_int_equal(stats.keys, MANY + 1);
#ifdef KOLK__ASSERTIONS
	assert_int_equal(kolk__lock_steps_most(), KOLK__STEPS_MAX);
#endif
	keys_close(keys, MANY);
}

/* ---- another thread between two slices: simulated where a lock is taken or was given back */

struct scene {
	struct fixture *fix;
	struct kolk_key **keys;
	int place;  /* so many places to go; it is left with -1 */
	int victim; /* of keys */
	void (*act)(struct scene *scene);
};

static void at_place(void *user, int change)
{
	struct scene *scene = user;

	(void)change;
	/* Between two slices: the walk does not hold its lock. */
	if (kolk__load_relaxed(&scene->fix->pool->lock.word) == 0 &&
	    kolk__load_relaxed(&scene->fix->engine->registry.word) == 0 &&
	    scene->place >= 0 && scene->place-- == 0) {
		scene->fix->engine->on_lock = NULL;
		scene->act(scene);
	}
}

static void scene_begin(struct scene *scene, int place)
{
	scene->place = place;
	scene->fix->engine->on_lock = at_place;
	scene->fix->engine->on_lock_user = scene;
}

/* True = the other thread came. */
static bool scene_end(struct scene *scene)
{
	scene->fix->engine->on_lock = NULL;
	return scene->place < 0;
}

static void close_and_open(struct scene *scene)
{
	char tenant[16];

	(void)snprintf(tenant, sizeof tenant, "t%d", scene->victim);
	kolk_key_close(scene->keys[scene->victim]);
	scene->keys[scene->victim] = key_of(scene->fix->pool, tenant);
}

/* The key that the walk visits next. */
static void close_where_it_stands(struct scene *scene)
{
	const struct kolk__walk *walk = scene->fix->pool->walks;

	for (int i = 0; walk != NULL && i < SOME; i++)
		if (scene->keys[i] == walk->next) {
			scene->victim = i;
			close_and_open(scene);
			return;
		}
}

static uint64_t rejected(struct fixture *fix)
{
	return stats_of(fix->pool).rejected;
}

/* Each key has refused one caller. Whichever key goes, and whenever: its count is neither lost nor
 * twice in the sum. */
static void no_count_is_lost_or_twice(void **state)
{
	struct fixture *fix = *state;
	struct scene scene = { .fix = fix, .act = close_and_open };
	struct kolk_lease lease;
	bool came = true;

	scene.keys = keys_open(fix->pool, SOME);
	assert_int_equal(kolk_pool_suspend(fix->pool, KOLK_FOREVER), KOLK_OK);
	for (int i = 0; i < SOME; i++)
		assert_int_equal(kolk_acquire(scene.keys[i], KOLK_AT_ONCE, &lease),
				 KOLK_E_DRAINING);
	for (int place = 0; came; place++) {
		for (int i = 0; i < SOME; i += 20) {
			scene.victim = i;
			scene.act = i == 0 ? close_where_it_stands : close_and_open;
			scene_begin(&scene, place);
			assert_int_equal(rejected(fix), SOME);
			came = scene_end(&scene);
			assert_null(fix->pool->walks);
		}
		assert_true(place < 100 && (came || place > SOME / KOLK__SLICE));
	}
	keys_close(scene.keys, SOME);
	assert_int_equal(kolk_pool_resume(fix->pool), KOLK_OK);
}

static void resume(struct scene *scene)
{
	enum kolk_err err = kolk_pool_resume(scene->fix->pool);

	/* Not while it is told that the pool is closed. */
	assert_true(err == KOLK_OK || (err == KOLK_E_IN_USE && scene->place < 0));
}

static void suspend(struct scene *scene)
{
	assert_int_equal(kolk_pool_suspend(scene->fix->pool, KOLK_FOREVER), KOLK_OK);
}

static void each_refuses(const struct scene *scene, enum kolk_err err)
{
	for (int i = 0; i < SOME; i++)
		assert_int_equal(kolk__own(&scene->keys[i]->refuse_err), err);
}

/* A drain that is resumed half way, and a resume that is drained half way: the later one is what
 * holds for every key. */
static void the_later_of_drain_and_resume_holds(void **state)
{
	struct fixture *fix = *state;
	struct scene scene = { .fix = fix };
	bool came = true;

	scene.keys = keys_open(fix->pool, SOME);
	for (int place = 0; came; place++) {
		scene.act = resume;
		scene_begin(&scene, place);
		suspend(&scene);
		came = scene_end(&scene);
		if (came && kolk__own(&fix->pool->state) == KOLK__OPEN)
			each_refuses(&scene, KOLK_OK);
		resume(&scene);
		suspend(&scene);
		each_refuses(&scene, KOLK_E_DRAINING);
		scene.act = suspend;
		scene_begin(&scene, place);
		resume(&scene);
		if (scene_end(&scene) && kolk__own(&fix->pool->state) != KOLK__OPEN)
			each_refuses(&scene, KOLK_E_DRAINING);
		resume(&scene);
		each_refuses(&scene, KOLK_OK);
		assert_true(came || place > SOME / KOLK__SLICE);
	}
	keys_close(scene.keys, SOME);
}

static uint64_t use(struct fixture *fix, struct kolk_key *key)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);
	struct kolk_lease lease;

	assert_int_equal(kolk_acquire(key, kolk__sim_now(fix->sim) + KOLK_S_NS, &lease), KOLK_OK);
	assert_int_equal(kolk_lease_info(&lease, &info), KOLK_OK);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	return info.connection;
}

/* Three keys of many have a connection; another key, also one that has a connection, goes and comes
 * during the walk. */
static void a_rotation_misses_no_key(void **state)
{
	struct fixture *fix = *state;
	struct scene scene = { .fix = fix, .act = close_and_open };
	static const int used[] = { 0, SOME / 2, SOME - 1 };
	static const int victims[] = { 0, 1, SOME / 2, SOME - 2 };
	bool came = true;

	scene.keys = keys_open(fix->pool, SOME);
	for (int place = 0; came; place++)
		for (int v = 0; v < 4; v++) {
			uint64_t newest = 0, number[3];

			for (int i = 0; i < 3; i++) {
				number[i] = use(fix, scene.keys[used[i]]);
				newest = number[i] > newest ? number[i] : newest;
			}
			scene.victim = victims[v];
			scene_begin(&scene, place);
			(void)kolk_pool_rotate(fix->pool);
			came = scene_end(&scene);
			for (int i = 0; i < 3; i++)
				assert_true(use(fix, scene.keys[used[i]]) > newest);
		}
	keys_close(scene.keys, SOME);
}

/* ---- a walk over one key, which is recycled */

static int visits(struct kolk_key *key, uint64_t id)
{
	struct kolk__walk walk;
	int count = 0;

	kolk__walk_begin_key(&walk, key, id);
	while (kolk__walk_lock(&walk)) {
		count += kolk__walk_key(&walk) == key;
		kolk__walk_unlock(&walk);
	}
	return count;
}

struct move {
	struct kolk_key *key;
	struct kolk_pool *pools[2]; /* it is in the first, and moves to the second */
};

static void move_key(void *user)
{
	struct move *move = user;
	struct kolk_key *old = move->key;
	struct kolk_pool *from = move->pools[0];

	kolk_key_close(old);
	move->key = key_of(move->pools[1], "t");
	assert_ptr_equal(move->key, old);
	move->pools[0] = move->pools[1];
	move->pools[1] = from;
}

static void a_walk_of_a_key_that_is_gone_visits_nothing(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct move move = { key_of(fix->pool, "t"), { fix->pool } };
	uint64_t id = kolk__own(&move.key->id);
	bool came = true;

	o.name = "other";
	o.address = "192.0.2.2:7";
	move.pools[1] = pool_of(fix, &o);
	assert_int_equal(visits(move.key, id), 1);
	kolk_key_close(move.key);
	assert_int_equal(visits(move.key, id), 0);
	assert_int_equal(visits(move.key, kolk__own(&move.key->id)), 0); /* it is free */
	move.key = key_of(fix->pool, "t");
	for (int place = 0; came; place++) {
		const struct intruder other = { place, move_key, &move, false };
		int count;

		id = kolk__own(&move.key->id);
		(void)intruder_waits(&other);
		count = visits(move.key, id);
		came = intruder_came();
		assert_true(place > 1 || count == !came);
		assert_int_equal(visits(move.key, id), came ? 0 : 1);
		assert_int_equal(visits(move.key, kolk__own(&move.key->id)), 1);
	}
	kolk_key_close(move.key);
}

/* ---- lists */

/* More lists than places are remembered, one piece of each after the other. */
static void lists_beside_each_other(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key **keys = keys_open(fix->pool, SOME);
	struct kolk_key_info infos[7];
	uint64_t cursors[KOLK__PLACES + 2] = { 0 };
	size_t got[KOLK__PLACES + 2] = { 0 };

	for (int i = 0; i <= SOME / 7; i++)
		for (int list = 0; list < KOLK__PLACES + 2; list++) {
			size_t more = kolk_pool_keys(fix->pool, &cursors[list], infos, 7);

			got[list] += more;
			if (i == 3 && list == 1) { /* those that come next */
				for (int gone = SOME - 60; gone < SOME - 30; gone++) {
					kolk_key_close(keys[gone]);
					keys[gone] = NULL;
				}
			}
		}
	for (int list = 0; list < KOLK__PLACES + 2; list++)
		assert_in_range(got[list], SOME + 1 - 30, SOME + 1);
	assert_int_equal(list_all(fix->pool, 7), SOME + 1 - 30);
	keys_close(keys, SOME);
}

/* The key that comes next goes between two pieces. */
static void a_list_goes_on_behind_a_key_that_goes(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key **keys = keys_open(fix->pool, SOME);
	struct kolk_key_info infos[7];
	size_t listed = 0, gone = 0, more;
	uint64_t cursor = 0;

	while ((more = kolk_pool_keys(fix->pool, &cursor, infos, 7)) != 0) {
		const struct kolk_key *next = fix->pool->places[fix->pool->place_last].next;

		listed += more;
		for (int i = 0; next != NULL && i < SOME; i++)
			if (keys[i] == next) {
				kolk_key_close(keys[i]);
				keys[i] = NULL;
				gone++;
				break;
			}
	}
	assert_in_range(gone, SOME / 8 - 1, SOME / 7);
	assert_int_equal(listed, SOME + 1 - gone);
	keys_close(keys, SOME);
}

/* The table of tenants grows between two pieces: each that was there is listed once, if a
 * piece holds those of a bucket. */
static void tenants_while_their_table_grows(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key **keys = keys_open(fix->pool, SOME), *more[3 * SOME];
	struct kolk_tenant_info infos[32];
	uint8_t seen[SOME] = { 0 };
	uint64_t cursor = 0;
	int opened = 0;
	size_t got;

	while ((got = kolk_engine_tenants(fix->engine, &cursor, infos, 32)) != 0) {
		for (size_t i = 0; i < got; i++)
			if (infos[i].name[0] == 't')
				seen[atoi(infos[i].name + 1)]++;
		for (int i = 0; i < 200 && opened < 3 * SOME; i++) {
			char tenant[16];

			(void)snprintf(tenant, sizeof tenant, "new%d", opened);
			more[opened++] = key_of(fix->pool, tenant);
		}
	}
	for (int i = 0; i < SOME; i++)
		assert_int_equal(seen[i], 1);
	for (int i = 0; i < opened; i++)
		kolk_key_close(more[i]);
	keys_close(keys, SOME);
}

#define IN_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)

static const struct CMUnitTest tests[] = {
	IN_FIXTURE(each_walk_is_in_slices),
	IN_FIXTURE(no_count_is_lost_or_twice),
	IN_FIXTURE(the_later_of_drain_and_resume_holds),
	IN_FIXTURE(a_rotation_misses_no_key),
	IN_FIXTURE(a_walk_of_a_key_that_is_gone_visits_nothing),
	IN_FIXTURE(lists_beside_each_other),
	IN_FIXTURE(a_list_goes_on_behind_a_key_that_goes),
	IN_FIXTURE(tenants_while_their_table_grows),
};

CMOCKA_TESTS(walk, tests);
