/* SPDX-License-Identifier: Apache-2.0 */
/* key_state_test.c - key_state.c: many waiters end a slice at a time, each of them once. */
#include "tests/unit/learn.h"

#include <stdlib.h>

#include "core/engine.h"

enum { MANY = 1000 };

static struct kolk_pool_options many_of(struct maker *maker)
{
	struct kolk_pool_options o = options_of(maker);

	o.connections_max = 1;
	o.waiters_max = MANY;
	o.hopeless_waits = 1;
	return o;
}

static struct caller *begin_many(struct fixture *fix, struct kolk_key *key)
{
	struct caller *callers = calloc(MANY, sizeof *callers);

	assert_non_null(callers);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(begin(fix, &callers[i], key, 10 * KOLK_S_NS), KOLK_PENDING);
	return callers;
}

static void assert_ended(struct fixture *fix, struct caller *callers, enum kolk_err err)
{
	fix->engine->on_lock = NULL;
	assert_int_equal(kolk_check(fix->engine, NULL), KOLK_OK);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(callers[i].err, err);
	free(callers);
}

/* One is leased meanwhile; only waiters keep the key. One of them is cancelled in between. */
static void of_a_drain(void **state)
{
	struct fixture *fix = *state;
	struct maker maker = { .sim = fix->sim };
	struct kolk_pool_options o = many_of(&maker);
	struct kolk_pool *pool = pool_of(fix, &o);
	struct kolk_key *key = key_of(pool, "t");
	struct kolk_lease lease;
	struct caller *callers;
	struct watch watch;

	assert_int_equal(take(fix, key, &lease), KOLK_OK);
	callers = begin_many(fix, key);
	kolk_key_close(key);
	watch_begin(fix, &watch, &key->waiting);
	assert_int_equal(kolk_pool_drain(pool, kolk__sim_now(fix->sim) + KOLK_S_NS), KOLK_OK);
	assert_int_equal(kolk_check(fix->engine, NULL), KOLK_OK);
	assert_int_equal(kolk_acquire_cancel(&callers[MANY - 1].acquire), KOLK_OK);
	callers[MANY - 1].err = KOLK_E_DRAINING;
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	fixture_run(fix, 10 * KOLK_MS_NS);
	assert_in_range(watch.most, 1, KOLK__FAIL_SLICE);
	assert_ended(fix, callers, KOLK_E_DRAINING);
	assert_int_equal(info_of(pool).draining, 1);
}

/* The pool is resumed before all have ended: who comes then is served. */
static void of_a_drain_that_was_resumed(void **state)
{
	struct fixture *fix = *state;
	struct maker maker = { .sim = fix->sim };
	struct kolk_pool_options o = many_of(&maker);
	struct kolk_pool *pool = pool_of(fix, &o);
	struct kolk_key *key = key_of(pool, "t");
	struct caller *callers, late = { 0 };
	struct kolk_lease lease;

	assert_int_equal(take(fix, key, &lease), KOLK_OK);
	callers = begin_many(fix, key);
	assert_int_equal(kolk_pool_suspend(pool, KOLK_FOREVER), KOLK_OK);
	assert_int_equal(kolk_pool_resume(pool), KOLK_OK);
	assert_int_equal(begin(fix, &late, key, 10 * KOLK_S_NS), KOLK_PENDING);
	fixture_run(fix, 10 * KOLK_MS_NS);
	assert_ended(fix, callers, KOLK_E_DRAINING);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	fixture_run(fix, 10 * KOLK_MS_NS);
	assert_int_equal(late.err, KOLK_OK);
	assert_int_equal(kolk_release(&late.lease), KOLK_OK);
	kolk_key_close(key);
}

/* The account is refused. */
static void of_a_refused_account(void **state)
{
	struct fixture *fix = *state;
	struct maker maker = { .sim = fix->sim, .err = KOLK_E_AUTH };
	struct kolk_pool_options o = many_of(&maker);
	struct kolk_pool *pool = pool_of(fix, &o);
	struct kolk_key *key = key_of(pool, "t");
	struct caller *callers = begin_many(fix, key);
	struct watch watch;

	watch_begin(fix, &watch, &key->waiting);
	fixture_run(fix, 10 * KOLK_MS_NS);
	assert_in_range(watch.most, 1, KOLK__FAIL_SLICE);
	assert_ended(fix, callers, KOLK_E_AUTH);
	assert_int_equal(maker.made, 1);
	kolk_key_close(key);
}

static const struct CMUnitTest tests[] = {
	T(of_a_drain),
	T(of_a_drain_that_was_resumed),
	T(of_a_refused_account),
};

CMOCKA_TESTS(key_state, tests);
