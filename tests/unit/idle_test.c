/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle_test.c - idle.c, idle_list.c, conn_table.c: another thread comes in before each access of an
 * acquire, a release, a discard or a dial, and does something whole. Then each token is where its
 * position says, what is idle is found, and no waiter sleeps beside it.
 */
#include "tests/unit/unit.h"

#include "core/base/assert.h"

#ifndef KOLK__ASSERTIONS
static const struct CMUnitTest tests[] = { cmocka_unit_test(accesses_are_not_seen) };
#else
#include <pthread.h>
#include <stdlib.h>

#include "core/acquire.h"
#include "core/idle.h"
#include "core/idle_list.h"
#include "core/pool.h"
#include "core/thread_cache.h"

/* So many beside those that make the tokens in question bits, or words and rings. */
enum { FEW = 3, MANY = 11, MOST = KOLK__BIT_TOKENS + MANY + 4, PLACES_MAX = 5000 };

struct scene {
	struct fixture *fix;
	struct kolk_key *other;
	struct kolk__conn *mine[MANY];
	struct kolk_lease lease;        /* of the thread that is interrupted */
	struct kolk_lease held[MOST];   /* all others */
	uint32_t count, below, size;
	struct kolk_acquire wait;
	enum kolk_err waited;
	int place;                      /* so many accesses to go; it is left with -1 */
	bool locked;                    /* the thread that is interrupted holds a lock */
	bool full;                      /* no more connections may be dialled */
	void (*act)(struct scene *scene);
	void (*then)(struct scene *scene); /* NULL, or what comes in `gap` accesses later */
	int gap;
	bool came;
	uint32_t position;              /* of a token that another thread has in its hand */
	uint64_t word;                  /* what it saw there; 0 = it has none */
};

static struct scene *present;

/* The next acquire takes a token: what this thread used last is not idle. */
static void use_tokens(const struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;

	*kolk__cached_conn_of(key) = (struct kolk__cached_conn){
		.key_id = kolk__own(&key->id),
		.conn = &engine->conns[engine->conn_count - 1],
		.idle_word = KOLK__IDLE,
	};
}

/* ---- what the other thread does */

/* True = it is another's by now, or there is none. */
static bool take(struct scene *scene)
{
	struct kolk_lease *lease = &scene->held[scene->count];

	use_tokens(scene->fix->key);
	if (kolk__hit_slow(scene->fix->key, lease, false) != KOLK_OK)
		return false;
	assert_ptr_equal(kolk__own(&((struct kolk__conn *)lease->connection)->key), scene->fix->key);
	scene->count++;
	return true;
}

static void take_one(struct scene *scene)
{
	(void)take(scene);
}

static void take_all(struct scene *scene)
{
	while (take(scene))
		;
}

static void release_down_to(struct scene *scene, uint32_t count)
{
	while (scene->count > count)
		assert_int_equal(kolk_release(&scene->held[--scene->count]), KOLK_OK);
}

static void take_and_release(struct scene *scene)
{
	uint32_t before = scene->count;

	take_all(scene);
	release_down_to(scene, before);
}

static void release_some(struct scene *scene)
{
	release_down_to(scene, scene->count > scene->below + 1 ? scene->count - 2 : scene->below);
}

/* The first of mine that is idle is evicted, and closed. */
static void evict_one(struct scene *scene)
{
	for (uint32_t i = 0; i < scene->size; i++)
		if (kolk__evict(scene->mine[i], KOLK_REASON_ROOM))
			break;
	fixture_run(scene->fix, KOLK_MS_NS);
}

/* Its slot is dialled for another key, and is idle there. */
static void recycle(struct scene *scene)
{
	struct kolk_lease lease;

	evict_one(scene);
	if (kolk_try_acquire(scene->other, &lease) == KOLK_OK)
		assert_int_equal(kolk_release(&lease), KOLK_OK);
	fixture_run(scene->fix, KOLK_MS_NS);
}

/* It is dialled again for the same key. */
static void redial(struct scene *scene)
{
	uint32_t before = scene->count;

	evict_one(scene);
	take_all(scene);
	if (kolk_try_acquire(scene->fix->key, &scene->held[scene->count]) == KOLK_OK)
		scene->count++;
	fixture_run(scene->fix, KOLK_MS_NS);
	release_down_to(scene, before);
}

/* By a thread that has it by its cache: it takes no lock. */
static void release_cached(struct scene *scene)
{
	if (scene->count > scene->below &&
	    kolk__conn_has_token(scene->held[scene->count - 1].connection))
		release_down_to(scene, scene->count - 1);
}

static void *release_it(void *lease)
{
	return kolk_release(lease) == KOLK_OK ? lease : NULL;
}

/* While the gate is open a release takes no lock, whether its token is in the list or not. By a
 * thread of its own, which holds none. */
static void release_last(struct scene *scene)
{
	pthread_t thread;
	void *released;

	if (scene->count == scene->below)
		return;
	scene->count--;
	assert_int_equal(pthread_create(&thread, NULL, release_it, &scene->held[scene->count]), 0);
	assert_int_equal(pthread_join(thread, &released), 0);
	assert_ptr_equal(released, &scene->held[scene->count]);
}

/* It took a token and saw what stands there (kolk__conn_stands_at); now it goes on. What it finds
 * changed, it looks at again: as if it took the token then. */
static void go_on(struct scene *scene)
{
	struct kolk__conn *conn = scene->mine[0];
	uint64_t taken;

	if (scene->word != 0 && !kolk__conn_take_by_token(conn, scene->word, KOLK__LEASED, &taken))
		kolk__token_put(scene->fix->key, scene->position);
	scene->word = 0;
}

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct scene *scene = user;

	scene->waited = err;
	if (err == KOLK_OK)
		scene->held[scene->count++] = *lease;
}

static void wait_for_one(struct scene *scene)
{
	use_tokens(scene->fix->key);
	scene->waited = kolk_acquire_async(kolk_engine_loop(scene->fix->engine, 0), scene->fix->key,
					   KOLK_FOREVER, &scene->wait, on_lease, scene);
	if (scene->waited == KOLK_OK)
		scene->held[scene->count++] = scene->wait.lease;
}

/* ---- what is interrupted */

static void before_access(void);

static void try_one(struct scene *scene)
{
	use_tokens(scene->fix->key);
	if (kolk__hit_slow(scene->fix->key, &scene->held[MOST - 1], false) != KOLK_OK)
		return;
	assert_ptr_equal(kolk__own(&((struct kolk__conn *)scene->held[MOST - 1].connection)->key),
			 scene->fix->key);
	scene->held[scene->count++] = scene->held[MOST - 1];
}

static void release_one(struct scene *scene)
{
	assert_int_equal(kolk_release(&scene->lease), KOLK_OK);
	scene->lease.connection = NULL;
}

static void discard_one(struct scene *scene)
{
	assert_int_equal(kolk_discard(&scene->lease), KOLK_OK);
	scene->lease.connection = NULL;
}

/* The loop closes it, and dials the next. */
static void discard_and_dial(struct scene *scene)
{
	struct kolk_lease lease;

	discard_one(scene);
	fixture_run(scene->fix, KOLK_MS_NS);
	if (kolk_try_acquire(scene->fix->key, &lease) == KOLK_OK)
		scene->held[scene->count++] = lease;
	fixture_run(scene->fix, KOLK_MS_NS);
}

/* The same without looking for an idle one: the hole's token may be in the list. */
static void discard_and_warm(struct scene *scene)
{
	struct kolk_pool_limits limits = KOLK_INIT(kolk_pool_limits);

	discard_one(scene);
	fixture_run(scene->fix, KOLK_MS_NS);
	limits.idle_min = scene->below + scene->size;
	assert_int_equal(kolk_pool_limits_set(scene->fix->pool, &limits), KOLK_OK);
	assert_int_equal(kolk_key_warm(scene->fix->key, 0), KOLK_OK);
	limits.idle_min = KOLK_NONE;
	assert_int_equal(kolk_pool_limits_set(scene->fix->pool, &limits), KOLK_OK);
	fixture_run(scene->fix, KOLK_MS_NS);
}

static void ask(struct scene *scene)
{
	(void)kolk_key_has_idle(scene->fix->key);
}

/* It is closed while another thread has its token in the hand. */
static void close_seen(struct scene *scene)
{
	discard_one(scene);
	kolk__on_access = NULL;
	assert_true(kolk__token_take(scene->fix->key, &scene->position));
	assert_true(kolk__conn_stands_at(scene->mine[0], scene->fix->key, scene->position,
					 &scene->word));
	kolk__on_access = before_access;
	fixture_run(scene->fix, KOLK_MS_NS);
	kolk__on_access = NULL;
	go_on(scene);
}

static void wait_and_cancel(struct scene *scene)
{
	wait_for_one(scene);
	if (scene->waited == KOLK_PENDING && kolk_acquire_cancel(&scene->wait) == KOLK_OK)
		scene->waited = KOLK_E_CANCELLED;
}

/* ---- one scene */

/* Another thread has a cache of its own. */
static void before_access(void)
{
	struct scene *scene = present;
	struct kolk__cached_conn cached = *kolk__cached_conn_of(scene->fix->key);
	bool locked = kolk__locks_held() != 0;

	if (scene->place < 0 || scene->place-- != 0)
		return;
	kolk__on_access = NULL;
	if (!locked || (kolk__lock_is_mine(&scene->fix->key->lock) && scene->locked &&
			kolk__own(&scene->fix->key->gate) == KOLK__GATE_OPEN))
		scene->act(scene);
	if (scene->then != NULL && !scene->came) {
		scene->act = scene->then;
		scene->place = scene->gap;
		kolk__on_access = before_access;
	}
	scene->came = true;
	*kolk__cached_conn_of(scene->fix->key) = cached;
}

static uint32_t position_of(const struct kolk_lease *lease)
{
	return kolk__own(&((const struct kolk__conn *)lease->connection)->position);
}

static int by_position(const void *a, const void *b)
{
	return position_of(a) < position_of(b) ? -1 : 1;
}

/* All leased once; then these are idle, with their tokens in the list. */
static void begin(struct scene *scene)
{
	struct kolk_key *key = scene->fix->key;

	while (scene->count < scene->below + scene->size)
		assert_int_equal(kolk_acquire(key, KOLK_FOREVER, &scene->held[scene->count++]), KOLK_OK);
	qsort(&scene->held[scene->below], scene->count - scene->below, sizeof(struct kolk_lease),
	      by_position);
	for (uint32_t i = 0; i < scene->size; i++)
		scene->mine[i] = scene->held[scene->below + i].connection;
	release_down_to(scene, scene->below);
	scene->lease = (struct kolk_lease){ 0 };
	scene->waited = KOLK_OK;
}

/* Leased as by their threads' caches: the tokens stay. */
static void lease_cached(struct scene *scene, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint64_t word = kolk__conn_lease_of(scene->mine[i], scene->fix->key);
		struct kolk_lease lease;

		kolk__lease_fill(scene->mine[i], word, kolk__sim_now(scene->fix->sim), &lease);
		if (i == 0)
			scene->lease = lease;
		else
			scene->held[scene->count++] = lease;
	}
}

/* Nothing is idle that no caller finds. */
static void must_find_all(struct scene *scene)
{
	struct kolk_key *key = scene->fix->key;

	if (kolk__own(&key->gate) != KOLK__GATE_OPEN)
		return;
	take_all(scene);
	for (uint32_t i = 0; i < scene->size; i++)
		assert_false(kolk__own(&scene->mine[i]->key) == key &&
			     kolk__conn_is(scene->mine[i], KOLK__IS_IDLE));
}

static void end(struct scene *scene)
{
	struct kolk_key *key = scene->fix->key;
	const char *law = NULL;
	struct kolk_lease lease;
	uint32_t idle;

	if (scene->waited == KOLK_PENDING)
		fixture_run(scene->fix, KOLK_MS_NS);
	for (uint32_t i = 0; i < scene->size && scene->waited == KOLK_PENDING; i++)
		assert_false(kolk__own(&scene->mine[i]->key) == key &&
			     kolk__conn_is(scene->mine[i], KOLK__IS_IDLE)); /* it sleeps beside one */
	must_find_all(scene);
	if (scene->lease.connection != NULL)
		release_one(scene);
	release_down_to(scene, scene->below);
	fixture_run(scene->fix, 2 * KOLK_MS_NS);
	assert_int_not_equal(scene->waited, KOLK_PENDING);
	release_down_to(scene, scene->below);
	while (kolk__hit_slow(scene->other, &lease, false) == KOLK_OK)
		assert_int_equal(kolk_discard(&lease), KOLK_OK);
	fixture_run(scene->fix, KOLK_MS_NS);
	assert_int_equal(kolk_check(scene->fix->engine, &law), KOLK_OK);
	idle = kolk__own(&key->open) - scene->below;
	for (uint32_t i = 0; i < idle; i++)
		assert_true(take(scene));
	assert_false(take(scene));
}

enum { BY_TOKEN = 1 << 8 }; /* it has no token, as after a take by it */

/* False = there was no such place. */
static bool run_scene(struct scene *scene, void (*run)(struct scene *scene), int leased)
{
	begin(scene);
	lease_cached(scene, (uint32_t)(leased & ~BY_TOKEN));
	if (leased & BY_TOKEN) {
		take_all(scene); /* drops the stale one */
		release_down_to(scene, scene->below);
	}
	present = scene;
	kolk__on_access = before_access;
	run(scene);
	kolk__on_access = NULL;
	end(scene);
	return scene->came;
}

static void open_scene(struct scene *scene, struct fixture *fix)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);

	e.loops = 1;
	e.loop_owner = KOLK_LOOPS_EMBEDDER;
	e.connections_max = e.tenant_connections_max = e.dials_max = MOST;
	e.sys = kolk__sim_sys(fix->sim);
	p.name = "things";
	p.resource = &unit_things;
	p.connections_max = scene->full ? scene->below + scene->size : MOST;
	p.pool_connections_max = p.dials_max = MOST;
	p.idle_min = KOLK_NONE;
	p.idle_timeout_ns = p.ping_interval_ns = p.lifetime_ns = KOLK_FOREVER;
	assert_int_equal(kolk_engine_create(&e, &fix->engine), KOLK_OK);
	assert_int_equal(kolk_pool_add(fix->engine, &p, &fix->pool), KOLK_OK);
	fix->key = key_of(fix->pool, "one");
	scene->other = key_of(fix->pool, "other");
	kolk__store_relaxed(&fix->engine->page->clock_ns, kolk__sim_now(fix->sim));
	scene->fix = fix;
}

typedef void step_fn(struct scene *scene);

struct interrupted {
	step_fn *run;
	int leased;
};

/* Wherever it is interrupted. */
static void each_place(struct scene *scene, const struct interrupted *what)
{
	step_fn *act = scene->act;
	bool came = true;

	for (int place = 0; came; place++) {
		assert_true(place < PLACES_MAX);
		scene->place = place;
		scene->act = act;
		scene->came = false;
		came = run_scene(scene, what->run, what->leased);
	}
}

static void each_scene(struct fixture *fix, struct scene *scene, const struct interrupted *runs,
		       step_fn *const *acts)
{
	struct fixture own = *fix;

	open_scene(scene, fix);
	for (; runs->run != NULL; runs++)
		for (size_t a = 0; acts[a] != NULL; a++) {
			scene->act = acts[a];
			scene->locked = scene->act == take_one || scene->act == take_all ||
					scene->act == release_cached || scene->act == release_last ||
					scene->act == go_on;
			if (runs->run != wait_and_cancel || scene->act != wait_for_one)
				each_place(scene, runs); /* there is one wait */
		}
	release_down_to(scene, 0);
	kolk_key_close(fix->key);
	kolk_key_close(scene->other);
	assert_int_equal(kolk_engine_destroy(fix->engine), KOLK_OK);
	*fix = own;
}

static const struct interrupted tries[] = { { try_one, MANY }, { NULL, 0 } };

/* Two tokens come while a mark is being cleared, and a waiter before it is set again. */
static void a_waiter_beside_a_mark_that_is_clear(void **state)
{
	static step_fn *const acts[] = { release_some, NULL };

	for (int gap = 0; gap < 8; gap++) {
		static struct scene scene;

		scene = (struct scene){ .below = KOLK__BIT_TOKENS, .size = MANY, .full = true,
					.gap = gap, .then = wait_for_one };
		each_scene(*state, &scene, tries, acts);
	}
}

/* It becomes idle while the waiter looks for one: before it looks, or the gate is closed. */
static void a_waiter_beside_what_becomes_idle(void **state)
{
	static const struct interrupted runs[] = { { wait_for_one, 2 }, { wait_for_one, FEW },
						   { wait_for_one, FEW | BY_TOKEN }, { NULL, 0 } };
	static step_fn *const acts[] = { release_last, NULL };
	static struct scene scene = { .size = FEW, .full = true };

	each_scene(*state, &scene, runs, acts);
}

/* Nothing is idle, and nothing else can be had: it comes before the connection is idle, or after. */
static void a_waiter_beside_a_release(void **state)
{
	static const struct interrupted runs[] = { { release_one, FEW },
						   { release_one, FEW | BY_TOKEN }, { NULL, 0 } };
	static step_fn *const acts[] = { wait_for_one, wait_and_cancel, NULL };
	static struct scene scene = { .size = FEW, .full = true };

	each_scene(*state, &scene, runs, acts);
}

static void of_tokens_that_are_bits(void **state)
{
	static const struct interrupted runs[] = {
		{ try_one, 0 }, { try_one, 1 }, { try_one, FEW }, { release_one, 1 },
		{ release_one, FEW }, { release_one, 1 | BY_TOKEN }, { release_one, FEW | BY_TOKEN },
		{ discard_one, 1 }, { discard_one, 2 | BY_TOKEN }, { discard_and_dial, 1 },
		{ discard_and_warm, 1 }, { discard_and_warm, 2 | BY_TOKEN },
		{ wait_and_cancel, 1 }, { wait_and_cancel, FEW }, { NULL, 0 },
	};
	static step_fn *const acts[] = { take_one, take_all, take_and_release, release_some, recycle,
					 redial, wait_for_one, NULL };
	static struct scene scene = { .size = FEW };

	each_scene(*state, &scene, runs, acts);
}

/* It becomes idle under the eyes of a thread that only looks. */
static void what_is_looked_at_stays_idle(void **state)
{
	static const struct interrupted runs[] = { { ask, 2 }, { ask, FEW }, { NULL, 0 } };
	static step_fn *const acts[] = { release_cached, NULL };
	static struct scene scene = { .size = FEW };

	each_scene(*state, &scene, runs, acts);
}

static void a_token_that_is_dropped_as_its_connection_leaves(void **state)
{
	static const struct interrupted runs[] = { { close_seen, 1 }, { NULL, 0 } };
	static step_fn *const acts[] = { go_on, NULL };
	static struct scene scene = { .size = 1 };

	each_scene(*state, &scene, runs, acts);
}

static void of_tokens_in_words_and_rings(void **state)
{
	static const struct interrupted runs[] = { { try_one, 0 }, { try_one, MANY },
						   { release_one, MANY | BY_TOKEN },
						   { discard_and_warm, 1 }, { NULL, 0 } };
	static step_fn *const acts[] = { take_all, take_and_release, release_some, NULL };
	static struct scene scene = { .below = KOLK__BIT_TOKENS, .size = MANY };

	each_scene(*state, &scene, runs, acts);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(of_tokens_that_are_bits, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(a_waiter_beside_what_becomes_idle, fixture_open,
					fixture_close),
	cmocka_unit_test_setup_teardown(a_waiter_beside_a_release, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(what_is_looked_at_stays_idle, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(a_token_that_is_dropped_as_its_connection_leaves,
					fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(of_tokens_in_words_and_rings, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(a_waiter_beside_a_mark_that_is_clear, fixture_open,
					fixture_close),
};
#endif

CMOCKA_TESTS(idle, tests);
