/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk_conn_test.c - walk_conn.c: no walk over many connections of one key keeps its lock for more
 * than a slice, and what comes and goes between two slices is missed by none and counted once.
 */
#include "tests/unit/unit.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "core/conn_table.h"
#include "core/pool.h"

enum { MANY = 100000, FEW = 20, DIALS = 100 };

static struct kolk_lease leases[MANY];

/* The simulator's memory is too small for many. */
static void *allocate(void *context, size_t alignment, size_t size)
{
	size_t bytes = (size + alignment - 1) / alignment * alignment;
	void *memory = aligned_alloc(alignment, bytes);

	(void)context;
	return memory != NULL ? memset(memory, 0, bytes) : NULL;
}

static void deallocate(void *context, void *memory, size_t size)
{
	(void)context;
	(void)size;
	free(memory);
}

/* Another engine in the fixture's world, of a pool whose keys keep so many connections. */
static void open_engine(struct fixture *fix, uint32_t count)
{
	static struct kolk_sys sys;
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);

	e.loops = 1;
	e.loop_owner = KOLK_LOOPS_EMBEDDER;
	e.connections_max = count + 2 * FEW;
	e.dials_max = DIALS;
	e.tenant_connections_max = KOLK_UNLIMITED;
	e.keys_max = 4;
	sys = *kolk__sim_sys(fix->sim);
	sys.allocate = allocate;
	sys.deallocate = deallocate;
	e.sys = &sys;
	p.name = "things";
	p.resource = &unit_things;
	p.connections_max = p.idle_min = count;
	p.pool_connections_max = count + 2 * FEW;
	p.dials_max = DIALS;
	p.idle_timeout_ns = p.lease_overdue_ns = p.lifetime_ns = KOLK_FOREVER;
	/* Threads of this machine create things: in another time. */
	p.connect_timeout_ns = p.ready_timeout_ns = p.ping_timeout_ns = 3600 * KOLK_S_NS;
	p.ping_interval_ns = 3600 * KOLK_S_NS;
	assert_int_equal(kolk_engine_create(&e, &fix->engine), KOLK_OK);
	assert_int_equal(kolk_pool_add(fix->engine, &p, &fix->pool), KOLK_OK);
}

static void with_engine(void **state, uint32_t count, void (*run)(struct fixture *fix))
{
	struct fixture *fix = *state, own = *fix;

	open_engine(fix, count);
	run(fix);
	assert_int_equal(kolk_check(fix->engine, NULL), KOLK_OK);
	assert_int_equal(kolk_engine_destroy(fix->engine), KOLK_OK);
	*fix = own;
}

static struct kolk_stats key_stats(struct kolk_key *key)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	assert_int_equal(kolk_key_stats(key, &stats), KOLK_OK);
	return stats;
}

static uint32_t count_of(struct kolk_key *key)
{
	return kolk__setting(kolk__own(&key->pool), connections_max);
}

/* All that were retired are gone, and the key has as many as it keeps, ready. */
static void fill(struct fixture *fix, struct kolk_key *key)
{
	struct kolk_stats stats = { .size = 0 };

	assert_int_equal(kolk_key_warm(key, 0), KOLK_OK);
	for (int turns = 0; stats.idle + stats.leased != count_of(key); turns++) {
		assert_true(turns < 1000000);
		(void)sched_yield(); /* to the threads that create things */
		for (int i = 0; i < 64; i++) {
			(void)kolk_loop_step(kolk_engine_loop(fix->engine, 0), 0);
			(void)kolk_engine_maintain(fix->engine);
		}
		kolk__sim_pass(fix->sim, KOLK_MS_NS);
		if (kolk__own(&key->open) == count_of(key) && kolk__own(&key->dialing) == 0)
			stats = key_stats(key);
	}
}

static void lease_all(struct kolk_key *key)
{
	for (uint32_t i = 0; i < count_of(key); i++)
		assert_int_equal(kolk_try_acquire(key, &leases[i]), KOLK_OK);
}

static void release_all(struct kolk_key *key)
{
	for (uint32_t i = 0; i < count_of(key); i++)
		if (leases[i].connection != NULL)
			assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
}

static struct kolk_key *open_key(struct fixture *fix, const char *tenant, const char *credential,
				 uint32_t replaces)
{
	return key_with(fix->pool, (struct kolk_key_options){ .tenant = tenant, .replaces = replaces,
							      .credential = credential });
}

/* ---- slices */

/* How often was the lock of the key free during a call? */
struct watch {
	struct kolk_key *key;
	uint32_t gaps;
};

static void count_gap(void *user, int change)
{
	struct watch *watch = user;

	if (change < 0 && kolk__load_relaxed(&watch->key->lock.word) == 0 &&
	    kolk__load_relaxed(&kolk__load_relaxed(&watch->key->pool)->lock.word) == 0)
		watch->gaps++;
}

#define IN_SLICES(watch, call)                                                   \
	do {                                                                     \
		(watch)->gaps = 0;                                               \
		__auto_type done_ = (call);                                      \
		(void)done_;                                                     \
		assert_in_range((watch)->gaps, MANY / KOLK__STEPS_MAX, 10 * MANY); \
	} while (0)

static size_t list_all(struct kolk_pool *pool)
{
	struct kolk_key_info infos[8];
	uint64_t cursor = 0;
	size_t count = kolk_pool_keys(pool, &cursor, infos, 8);

	for (size_t i = 0; i < count; i++)
		assert_true(infos[i].open == 0 || infos[i].idle == MANY);
	return count;
}

static void looks(struct fixture *fix, struct watch *watch)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	IN_SLICES(watch, kolk_key_stats(watch->key, &stats));
	assert_int_equal(stats.idle, MANY);
	IN_SLICES(watch, kolk_pool_stats(fix->pool, &stats));
	assert_int_equal(stats.idle, MANY);
	IN_SLICES(watch, kolk_engine_stats(fix->engine, &stats));
	assert_int_equal(stats.idle, MANY);
	IN_SLICES(watch, list_all(fix->pool));
}

static void ends(struct fixture *fix, struct watch *watch)
{
	IN_SLICES(watch, kolk_pool_clear(fix->pool));
	fill(fix, watch->key);
	IN_SLICES(watch, kolk_engine_clear(fix->engine, NULL));
	fill(fix, watch->key);
	IN_SLICES(watch, kolk_key_rotate(watch->key));
	fill(fix, watch->key);
	IN_SLICES(watch, kolk_tenant_rotate(fix->engine, "t"));
	fill(fix, watch->key);
	IN_SLICES(watch, kolk_pool_rotate(fix->pool));
	fill(fix, watch->key);
	IN_SLICES(watch, kolk_engine_rotate(fix->engine));
	fill(fix, watch->key);
}

static void learns(struct fixture *fix, struct watch *watch)
{
	uint64_t now_ns = kolk__sim_now(fix->sim);

	IN_SLICES(watch, (kolk__health_idle_announced(fix->pool, 900 * KOLK_S_NS, now_ns), 0));
	IN_SLICES(watch, (kolk__health_suspect(fix->pool, now_ns), 0));
	fill(fix, watch->key);
}

static void replaces(struct fixture *fix, struct watch *watch)
{
	struct kolk_key *other = open_key(fix, "t", "2", 1);

	IN_SLICES(watch, (kolk_key_close(open_key(fix, "t", "1", 0)), 0));
	kolk_key_close(other);
	fill(fix, watch->key);
}

static void drains(struct fixture *fix, struct watch *watch)
{
	lease_all(watch->key);
	assert_int_equal(kolk_pool_suspend(fix->pool, kolk__sim_now(fix->sim)), KOLK_OK);
	IN_SLICES(watch, kolk_engine_maintain(fix->engine));
	assert_int_equal(kolk_pool_resume(fix->pool), KOLK_OK);
	release_all(watch->key);
}

static void is_evicted(struct fixture *fix, struct watch *watch)
{
	struct kolk_key *more[2];

	kolk_key_close(watch->key);
	kolk__sim_pass(fix->sim, 2 * KOLK_S_NS);
	more[0] = open_key(fix, "u", NULL, 0);
	IN_SLICES(watch, more[1] = open_key(fix, "v", NULL, 0));
	for (uint32_t i = 0; kolk__own(&watch->key->open) != 0 && i < MANY; i++)
		(void)kolk_loop_step(kolk_engine_loop(fix->engine, 0), 0);
	assert_int_equal(kolk__own(&watch->key->id), 0);
	kolk_key_close(more[0]);
	kolk_key_close(more[1]);
}

static void many_of_one_key(struct fixture *fix)
{
	struct watch watch = { .key = open_key(fix, "t", "1", 0) };

	fill(fix, watch.key);
	fix->engine->on_lock_user = &watch;
	fix->engine->on_lock = count_gap;
	looks(fix, &watch);
	learns(fix, &watch);
	ends(fix, &watch);
	replaces(fix, &watch);
	drains(fix, &watch);
	is_evicted(fix, &watch);
	fix->engine->on_lock = NULL;
#ifdef KOLK__ASSERTIONS
	assert_int_equal(kolk__lock_steps_most(), KOLK__STEPS_MAX);
#endif
}

static void each_walk_of_one_key_is_in_slices(void **state)
{
	with_engine(state, MANY, many_of_one_key);
}

/* ---- another thread between two slices, at the n-th place, for every n */

struct scene {
	struct fixture *fix;
	struct kolk_key *key, *other;
	uint64_t number; /* what it is about */
	int place;       /* so many places to go; it is left with -1 */
	void (*act)(struct scene *scene);
};

static void at_place(void *user, int change)
{
	struct scene *scene = user;
	struct kolk_engine *engine = scene->fix->engine;

	if (change < 0 && kolk__load_relaxed(&scene->fix->pool->lock.word) == 0 &&
	    kolk__load_relaxed(&scene->key->lock.word) == 0 &&
	    kolk__load_relaxed(&engine->registry.word) == 0 && scene->place >= 0 &&
	    scene->place-- == 0) {
		engine->on_lock = NULL;
		scene->act(scene);
	}
}

static void scene_begin(struct scene *scene, int place)
{
	scene->place = place;
	scene->fix->engine->walk_slice = 3;
	scene->fix->engine->on_lock_user = scene;
	scene->fix->engine->on_lock = at_place;
}

/* True = the other thread came. */
static bool scene_end(struct scene *scene)
{
	scene->fix->engine->on_lock = NULL;
	return scene->place < 0;
}

static void steps(struct fixture *fix)
{
	for (int i = 0; i < 8; i++) {
		(void)kolk_loop_step(kolk_engine_loop(fix->engine, 0), 0);
		(void)kolk_engine_maintain(fix->engine);
	}
}

static struct kolk_lease *lease_at(uint32_t position)
{
	for (int i = 0; i < FEW; i++)
		if (leases[i].connection != NULL &&
		    kolk__own(&((struct kolk__conn *)leases[i].connection)->position) == position)
			return &leases[i];
	return NULL;
}

static void end_at(uint32_t position)
{
	struct kolk_lease *lease = lease_at(position);

	assert_non_null(lease);
	assert_int_equal(kolk_discard(lease), KOLK_OK);
	*lease = (struct kolk_lease){ 0 };
}

static const uint32_t positions[] = { 0, 1, 9, FEW - 2, FEW - 1 };
enum { POSITIONS = sizeof positions / sizeof positions[0] };

/* ---- no sum of uses goes back, and none is counted twice */

/* It is gone, and another stands in its place. */
static void ends_meanwhile(struct scene *scene)
{
	end_at((uint32_t)scene->number);
	steps(scene->fix);
}

static uint64_t acquired_of_key(struct scene *scene)
{
	return key_stats(scene->key).acquired;
}

static uint64_t acquired_of_pool(struct scene *scene)
{
	struct kolk_stats stats = stats_of(scene->fix->pool);

	assert_int_equal(stats.released, stats.acquired - stats.leased);
	return stats.acquired;
}

static uint64_t acquired_in_list(struct scene *scene)
{
	struct kolk_key_info infos[4];
	uint64_t cursor = 0, acquired = 0;
	size_t count = kolk_pool_keys(scene->fix->pool, &cursor, infos, 4);

	for (size_t i = 0; i < count; i++)
		acquired += infos[i].acquired;
	return acquired;
}

static void sums(struct fixture *fix)
{
	static uint64_t (*const sum[])(struct scene *scene) = { acquired_of_key, acquired_of_pool,
							       acquired_in_list };
	struct scene scene = { .fix = fix, .key = open_key(fix, "t", NULL, 0),
			       .act = ends_meanwhile };
	bool came = true;

	fill(fix, scene.key);
	for (int place = 0; came; place++)
		for (int i = 0; i < 3 * POSITIONS; i++) {
			uint64_t before;

			scene.number = positions[i / 3];
			lease_all(scene.key);
			before = sum[i % 3](&scene);
			scene_begin(&scene, place);
			assert_int_equal(sum[i % 3](&scene), before);
			came = scene_end(&scene);
			assert_int_equal(sum[i % 3](&scene), before);
			release_all(scene.key);
			fill(fix, scene.key);
			assert_true(came || place > FEW / 2);
		}
	kolk_key_close(scene.key);
}

static void no_use_is_lost_or_counted_twice(void **state)
{
	with_engine(state, FEW, sums);
}

/* ---- a key goes while a walk is inside it, and its memory is another key's */

static void end_all(struct scene *scene)
{
	for (uint32_t i = 0; i < FEW; i++)
		end_at(i);
	steps(scene->fix);
}

static void key_goes(struct scene *scene)
{
	struct kolk_key *old = scene->key;

	kolk_key_close(old);
	end_all(scene);
	scene->key = open_key(scene->fix, "u", NULL, 0);
	assert_ptr_equal(scene->key, old);
	fill(scene->fix, scene->key);
}

static void goes(struct fixture *fix)
{
	struct scene scene = { .fix = fix, .act = key_goes };
	bool came = true;

	for (int place = 0; came; place++)
		for (int clear = 0; clear < 2; clear++) {
			uint64_t before;

			scene.key = open_key(fix, "t", NULL, 0);
			fill(fix, scene.key);
			lease_all(scene.key);
			before = acquired_of_pool(&scene);
			scene_begin(&scene, place);
			if (clear)
				(void)kolk_pool_clear(fix->pool);
			else
				assert_int_equal(acquired_of_pool(&scene), before);
			came = scene_end(&scene);
			assert_int_equal(acquired_of_pool(&scene), before);
			if (came) /* the new key came after the walk began */
				assert_int_equal(key_stats(scene.key).idle, FEW);
			else
				end_all(&scene);
			kolk_key_close(scene.key);
			assert_int_equal(kolk_pool_clear(fix->pool), came ? FEW : 0);
			steps(fix);
			assert_true(came || place > FEW / 2);
		}
}

static void the_next_key_in_its_memory_is_not_visited(void **state)
{
	with_engine(state, FEW, goes);
}

/* ---- rotation: no old connection is left to an acquire, and none that is fresh is closed */

/* One is released, one ends and another is dialled in its place. */
static void changes_meanwhile(struct scene *scene)
{
	struct kolk_lease *lease = lease_at((uint32_t)scene->number);

	assert_int_equal(kolk_release(lease), KOLK_OK);
	*lease = (struct kolk_lease){ 0 };
	end_at((uint32_t)scene->number ^ 1);
	steps(scene->fix);
}

static void each_is_newer(struct kolk_key *key, uint64_t number)
{
	lease_all(key);
	for (int i = 0; i < FEW; i++)
		assert_true(((struct kolk__conn *)leases[i].connection)->number > number);
	release_all(key);
}

static void rotations(struct fixture *fix)
{
	struct scene scene = { .fix = fix, .key = open_key(fix, "t", NULL, 0),
			       .act = changes_meanwhile };
	bool came = true;

	fill(fix, scene.key);
	for (int place = 0; came; place++)
		for (int i = 0; i < 2 * POSITIONS; i++) {
			uint64_t newest = fix->engine->next_number, rotated;
			struct kolk_lease lease;

			rotated = key_stats(scene.key).destroyed[KOLK_REASON_ROTATED];
			scene.number = positions[i / 2];
			lease_all(scene.key);
			scene_begin(&scene, place);
			assert_in_range(i % 2 ? kolk_pool_rotate(fix->pool) :
						kolk_key_rotate(scene.key), FEW - 2, FEW);
			came = scene_end(&scene);
			if (kolk_try_acquire(scene.key, &lease) == KOLK_OK) {
				assert_true(((struct kolk__conn *)lease.connection)->number > newest);
				assert_int_equal(kolk_release(&lease), KOLK_OK);
			}
			release_all(scene.key);
			fill(fix, scene.key);
			each_is_newer(scene.key, newest);
			rotated = key_stats(scene.key).destroyed[KOLK_REASON_ROTATED] - rotated;
			assert_in_range(rotated, came ? FEW - 2 : FEW, came ? FEW - 1 : FEW);
			assert_true(came || place > FEW / 2);
		}
	kolk_key_close(scene.key);
}

static void a_rotation_leaves_no_old_connection(void **state)
{
	with_engine(state, FEW, rotations);
}

/* ---- credentials that are replaced at the same time: the later one holds */

static bool serves(struct kolk_key *key)
{
	return kolk__own(&key->refuse_err) == KOLK_OK;
}

/* The other one replaces, or is wanted again. */
static void other_opens(struct scene *scene)
{
	kolk_key_close(open_key(scene->fix, "t", "2", scene->number == 0));
}

static void replacements(struct fixture *fix)
{
	struct scene scene = { .fix = fix, .act = other_opens, .key = open_key(fix, "t", "1", 0),
			       .other = open_key(fix, "t", "2", 0) };
	bool came = true;

	for (int place = 0; came; place++)
		for (scene.number = 0; scene.number < 2; scene.number++) {
			kolk_key_close(open_key(fix, "t", "2", 0)); /* both serve */
			kolk_key_close(open_key(fix, "t", "1", 0));
			fill(fix, scene.key);
			kolk_key_close(open_key(fix, "t", "2", 1)); /* the other one does */
			assert_true(!serves(scene.key) && serves(scene.other));
			scene_begin(&scene, place);
			kolk_key_close(open_key(fix, "t", "1", 1));
			came = scene_end(&scene);
			if (!came)
				assert_true(serves(scene.key) && !serves(scene.other));
			else if (scene.number == 0) /* it was the later one */
				assert_true(!serves(scene.key) && serves(scene.other));
			else /* opened before it was replaced, or after that */
				assert_true(serves(scene.key));
			assert_true(came || place > FEW / 2);
		}
	kolk_key_close(scene.key);
	kolk_key_close(scene.other);
}

static void of_two_replacements_the_later_holds(void **state)
{
	with_engine(state, FEW, replacements);
}

/* ---- a key's eviction */

/* All are idle for long, or the one at the last position is leased. */
static void evictions(struct fixture *fix)
{
	struct kolk_key *key, *more[2];
	struct kolk_lease last;
	uint64_t id;

	for (int leased = 0; leased < 2; leased++) {
		key = open_key(fix, "t", NULL, 0);
		id = kolk__own(&key->id);
		fill(fix, key);
		lease_all(key);
		last = *lease_at(FEW - 1);
		*lease_at(FEW - 1) = (struct kolk_lease){ 0 };
		release_all(key);
		if (!leased)
			assert_int_equal(kolk_release(&last), KOLK_OK);
		kolk__sim_pass(fix->sim, 2 * KOLK_S_NS);
		kolk_key_close(key);
		more[0] = open_key(fix, "u", NULL, 0);
		more[1] = open_key(fix, "v", NULL, 0);
		steps(fix);
		assert_int_equal(kolk__own(&key->id), leased ? id : 0);
		if (leased)
			assert_int_equal(kolk_release(&last), KOLK_OK);
		kolk_key_close(more[0]);
		kolk_key_close(more[1]);
		assert_int_equal(kolk_pool_clear(fix->pool), leased);
		steps(fix);
	}
}

static void a_key_with_a_lease_stays(void **state)
{
	with_engine(state, FEW, evictions);
}

#define IN_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)

static const struct CMUnitTest tests[] = {
	IN_FIXTURE(each_walk_of_one_key_is_in_slices),
	IN_FIXTURE(no_use_is_lost_or_counted_twice),
	IN_FIXTURE(the_next_key_in_its_memory_is_not_visited),
	IN_FIXTURE(a_rotation_leaves_no_old_connection),
	IN_FIXTURE(of_two_replacements_the_later_holds),
	IN_FIXTURE(a_key_with_a_lease_stays),
};

CMOCKA_TESTS(walk_conn, tests);
