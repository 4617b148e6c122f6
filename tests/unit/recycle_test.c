/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recycle_test.c - keys are recycled while another thread still works for what they were: at the
 * n-th place without a lock, for every n.
 */
#include "tests/unit/unit.h"

#include <string.h>

#include "core/permits.h"

struct call {
	struct kolk_acquire acquire;
	struct kolk_lease lease;
	bool pending, has;
};

struct scene {
	struct kolk__sim *sim;
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_key *keys[2], *next; /* of one tenant; of another */
	struct call calls[3];            /* of the first key, then of each */
	int locks, place, victim;        /* where which key goes; place < 0 = it is gone */
	int rotation;                    /* where the pool is rotated; < 0 = it was */
	bool maintaining;
};

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct call *call = user;

	call->pending = false;
	call->has = err == KOLK_OK;
	if (err == KOLK_OK)
		call->lease = *lease;
}

/* On the second loop: connections are at home on the first. */
static void call_for(struct scene *scene, struct kolk_key *key, struct call *call)
{
	enum kolk_err err = kolk_acquire_async(kolk_engine_loop(scene->engine, 1), key, KOLK_FOREVER,
					       &call->acquire, on_lease, call);

	call->pending = err == KOLK_PENDING;
	if (!call->pending)
		on_lease(call, err, &call->acquire.lease);
}

static struct kolk_key *open_key(struct scene *scene, const char *tenant, const char *credential)
{
	return key_with(scene->pool, (struct kolk_key_options){ .tenant = tenant,
								.credential = credential });
}

static void maintain(struct scene *scene)
{
	scene->maintaining = true;
	(void)kolk_engine_maintain(scene->engine);
	scene->maintaining = false;
}

static void give_up(struct call *call)
{
	if (call->pending)
		assert_int_equal(kolk_acquire_cancel(&call->acquire), KOLK_OK);
	if (call->has)
		assert_int_equal(kolk_release(&call->lease), KOLK_OK);
	call->pending = call->has = false;
}

/* Its caller gives up, it is closed, maintenance finds it in a permit queue, and its memory is
 * another's. */
static void recycle(struct scene *scene)
{
	scene->place = -1;
	give_up(&scene->calls[1 + scene->victim]);
	kolk_key_close(scene->keys[scene->victim]);
	scene->keys[scene->victim] = NULL;
	if (!scene->maintaining)
		maintain(scene);
	scene->next = open_key(scene, "another", "secret");
}

static void between_locks(void *user, int change)
{
	struct scene *scene = user;

	scene->locks += change;
	if (change < 0 && scene->locks == 0 && scene->place >= 0 && scene->place-- == 0)
		recycle(scene);
}

static void run(struct scene *scene, int turns)
{
	for (; turns > 0; turns--) {
		(void)kolk_loop_step(kolk_engine_loop(scene->engine, 0), 0);
		maintain(scene);
		(void)kolk_loop_step(kolk_engine_loop(scene->engine, 1), 0);
		kolk__sim_pass(scene->sim, KOLK_MS_NS);
	}
}

static void turn(void *user)
{
	run(user, 1);
}

static void scene_open(struct scene *scene, uint32_t pool_max)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);

	scene->sim = kolk__sim_open(1);
	kolk__sim_on_wait(scene->sim, turn, scene);
	e.loops = 2;
	e.loop_owner = KOLK_LOOPS_EMBEDDER;
	e.tenant_connections_max = pool_max != 0 ? 10 : 1;
	e.sys = kolk__sim_sys(scene->sim);
	assert_int_equal(kolk_engine_create(&e, &scene->engine), KOLK_OK);
	p.name = "recycle";
	p.address = "192.0.2.1:7";
	p.connections_max = 1;
	p.pool_connections_max = pool_max;
	assert_int_equal(kolk_pool_add(scene->engine, &p, &scene->pool), KOLK_OK);
	for (int i = 0; i < 2; i++)
		scene->keys[i] = open_key(scene, "tenant", i == 0 ? "one" : "two");
}

/* The one connection that the limit allows is leased, and a caller waits for each key. */
static void fill(struct scene *scene)
{
	call_for(scene, scene->keys[0], &scene->calls[0]);
	for (int i = 0; i < 100 && !scene->calls[0].has; i++)
		run(scene, 1);
	assert_true(scene->calls[0].has);
	for (int i = 0; i < 2; i++)
		call_for(scene, scene->keys[i], &scene->calls[1 + i]);
}

static void scene_close(struct scene *scene)
{
	for (int i = 1; i < 3; i++)
		give_up(&scene->calls[i]);
	assert_int_equal(kolk_engine_destroy(scene->engine), KOLK_OK);
	assert_null(kolk__sim_broken(scene->sim));
	assert_null(kolk__sim_leaks(scene->sim));
	kolk__sim_close(scene->sim);
}

/* False when there is no n-th place. */
static bool recycled_at(int place, int victim, uint32_t pool_max)
{
	struct scene scene = { .place = place, .victim = victim };
	const char *law = NULL;
	bool there;

	scene_open(&scene, pool_max);
	fill(&scene);
	scene.engine->on_lock = between_locks;
	scene.engine->on_lock_user = &scene;
	assert_int_equal(kolk_discard(&scene.calls[0].lease), KOLK_OK);
	run(&scene, 20);
	scene.engine->on_lock = NULL;
	there = scene.place < 0;
	run(&scene, 50);
	if (kolk_check(scene.engine, &law) != KOLK_OK)
		fail_msg("place %d, key %d: %s", place, victim, law);
	if (there && !scene.calls[2 - victim].has)
		fail_msg("place %d, key %d: the one that is left is not served", place, victim);
	scene_close(&scene);
	return there;
}

static void keys_are_recycled(uint32_t pool_max)
{
	for (int victim = 0; victim < 2; victim++) {
		int place = 0;

		while (recycled_at(place, victim, pool_max))
			place++;
		assert_in_range(place, 50, 5000);
	}
}

static void at_the_tenants_limit(void **state)
{
	(void)state;
	keys_are_recycled(0);
}

static void at_the_pools_limit(void **state)
{
	(void)state;
	keys_are_recycled(1);
}

/* ---- a rotation meets an eviction whose requester has gone */

/* Before a lock and after it: places where no lock is held. */
static void around_locks(void *user, int change)
{
	struct scene *scene = user;
	bool outside = scene->locks == 0 || scene->locks + change == 0;

	scene->locks += change > 0 ? 0 : change;
	if (outside && scene->place >= 0 && scene->place-- == 0)
		recycle(scene);
	if (outside && scene->rotation >= 0 && scene->rotation-- == 0)
		(void)kolk_pool_rotate(scene->pool);
	scene->locks += change > 0 ? change : 0;
}

static uint64_t connection_of(const struct call *call)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);

	assert_true(call->has);
	assert_int_equal(kolk_lease_info(&call->lease, &info), KOLK_OK);
	return info.connection;
}

static void evict_for_key(struct kolk_key *key)
{
	struct kolk__requester who;

	kolk__take_lock(key->engine, &key->lock);
	who = kolk__requester_of(key, KOLK__TENANT_FULL);
	kolk__give_lock(key->engine, &key->lock);
	kolk__evict_for(&who);
}

/* The connection of one key is idle, and wanted for the other's caller, who leaves at one place;
 * the rotation comes at another. */
static void rotated_at(int place, int rotation)
{
	struct scene scene = { .place = place, .victim = 1, .rotation = rotation };
	uint64_t before;
	bool rotated;

	scene_open(&scene, 0);
	fill(&scene);
	give_up(&scene.calls[1]);
	before = connection_of(&scene.calls[0]);
	give_up(&scene.calls[0]);
	scene.engine->on_lock = around_locks;
	scene.engine->on_lock_user = &scene;
	evict_for_key(scene.keys[1]);
	scene.engine->on_lock = NULL;
	rotated = scene.rotation < 0;
	run(&scene, 5);
	give_up(&scene.calls[2]);
	call_for(&scene, scene.keys[0], &scene.calls[0]);
	for (int i = 0; i < 100 && !scene.calls[0].has; i++)
		run(&scene, 1);
	if (rotated && connection_of(&scene.calls[0]) == before)
		fail_msg("place %d, rotation %d: dialled before it", place, rotation);
	give_up(&scene.calls[0]);
	scene_close(&scene);
}

static void rotated_while_evicted(void **state)
{
	(void)state;
	for (int place = 0; place < 30; place++)
		for (int rotation = 0; rotation < 60; rotation++)
			rotated_at(place, rotation);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(at_the_tenants_limit),
	cmocka_unit_test(at_the_pools_limit),
	cmocka_unit_test(rotated_while_evicted),
};

CMOCKA_TESTS(recycle, tests);
