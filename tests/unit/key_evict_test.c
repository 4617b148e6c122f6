/* SPDX-License-Identifier: Apache-2.0 */
/* key_evict_test.c - key_evict.c: which of the keys without a reference goes when they are too many,
 * and that one that stays stays where the next search finds it. */
#include "tests/unit/unit.h"

#include "core/pool.h"

enum { KEYS_MAX = 4 };

struct scene {
	struct fixture *fix;
	struct kolk_lease lease;
	struct kolk_key *more[KEYS_MAX];
	int count; /* of more */
};

/* By identity, as often as this thread needs to have it in its cache: so it keeps its token. */
static struct kolk__conn *lease_as(struct scene *scene, const char *tenant)
{
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	struct kolk__conn *conn = NULL;

	who.tenant = tenant;
	for (int i = 0; i < 2; i++) {
		if (conn != NULL)
			assert_int_equal(kolk_release(&scene->lease), KOLK_OK);
		assert_int_equal(kolk_acquire_as(scene->fix->pool, &who,
						 kolk__sim_now(scene->fix->sim) + KOLK_S_NS,
						 &scene->lease), KOLK_OK);
		conn = scene->lease.connection;
	}
	return conn;
}

static void release(void *user)
{
	struct scene *scene = user;

	if (scene->lease.connection != NULL)
		assert_int_equal(kolk_release(&scene->lease), KOLK_OK);
	scene->lease.connection = NULL;
}

/* By a thread that has a later time. */
static void release_later(void *user)
{
	struct scene *scene = user;

	kolk__sim_pass(scene->fix->sim, KOLK_MS_NS);
	kolk__store_relaxed(&scene->fix->engine->page->clock_ns, kolk__sim_now(scene->fix->sim));
	release(scene);
}

static void scene_open(struct scene *scene, struct fixture *fix)
{
	*scene = (struct scene){ .fix = fix };
	fix->engine->keys_max = KEYS_MAX;
	kolk__store_relaxed(&fix->engine->page->clock_ns, kolk__sim_now(fix->sim));
}

/* Until there are so many, the pool's own among them: with the last, one is to go. */
static void open_more(struct scene *scene)
{
	while (kolk__own(&scene->fix->engine->key_count) < KEYS_MAX) {
		char tenant[] = { 'k', (char)('0' + scene->count), 0 };

		scene->more[scene->count++] = key_of(scene->fix->pool, tenant);
	}
}

static void scene_close(struct scene *scene)
{
	release(scene);
	while (scene->count > 0)
		kolk_key_close(scene->more[--scene->count]);
	(void)kolk_engine_clear(scene->fix->engine, NULL);
	fixture_run(scene->fix, 10 * KOLK_MS_NS);
}

/* Of two that were not used for long, one is released just now by a thread that has a later time than
 * the search. */
static void what_was_used_just_now_stays(void **state)
{
	struct fixture *fix = *state;
	struct kolk__conn *used, *unused;
	struct scene scene;

	scene_open(&scene, fix);
	used = lease_as(&scene, "used");
	release(&scene);
	unused = lease_as(&scene, "unused");
	release(&scene);
	kolk__sim_pass(fix->sim, 2 * KOLK_S_NS);
	kolk__store_relaxed(&used->idle_since_ns, kolk__sim_now(fix->sim) + KOLK_MS_NS);
	open_more(&scene);
	assert_int_equal(kolk__conn_state(used), KOLK__IDLE);
	assert_true(kolk__own(&used->key)->in_lru);
	assert_int_equal(kolk__conn_state(unused), KOLK__CLOSING);
	scene_close(&scene);
}

/* The one that is to go has its connection leased, and that is released wherever the search is. */
static void what_stays_is_found_again(void **state)
{
	struct fixture *fix = *state;
	bool came = true;
	int stayed = 0;

	for (int place = 0; came; place++) {
		struct scene scene;
		const struct intruder other = { place, release_later, &scene, true };
		struct kolk__conn *conn;

		scene_open(&scene, fix);
		conn = lease_as(&scene, "t");
		kolk__sim_pass(fix->sim, 2 * KOLK_S_NS);
		(void)intruder_waits(&other);
		open_more(&scene);
		came = intruder_came();
		if (kolk__conn_state(conn) != KOLK__CLOSING) {
			assert_true(kolk__own(&conn->key)->in_lru);
			stayed++;
		}
		scene_close(&scene);
	}
	assert_true(stayed > 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(what_was_used_just_now_stays, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(what_stays_is_found_again, fixture_open, fixture_close),
};

CMOCKA_TESTS(key_evict, tests);
