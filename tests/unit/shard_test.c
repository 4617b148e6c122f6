/* SPDX-License-Identifier: Apache-2.0 */
/* shard_test.c - shard.c: a turn of a loop is short, however many waiters are late at once,
 * and has one time. */
#include "tests/unit/learn.h"

#include <stdlib.h>

enum { MANY = 1000, AT_ONCE = 64 };

static int ended(const struct caller *callers)
{
	int count = 0;

	for (int i = 0; i < MANY; i++)
		count += callers[i].err == KOLK_E_TIMEOUT;
	return count;
}

static void late_waiters_end_in_short_turns(void **state)
{
	struct fixture *fix = *state;
	struct kolk_loop *loop = kolk_engine_loop(fix->engine, 0);
	struct maker maker = { .sim = fix->sim };
	struct kolk_pool_options o = options_of(&maker);
	struct caller *callers = calloc(MANY, sizeof *callers);
	struct kolk_lease lease;
	struct kolk_key *key;
	int before = 0;

	assert_non_null(callers);
	o.connections_max = 1;
	o.waiters_max = MANY;
	o.hopeless_waits = 1;
	key = key_of(pool_of(fix, &o), "t");
	assert_int_equal(take(fix, key, &lease), KOLK_OK);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(begin(fix, &callers[i], key, KOLK_MS_NS), KOLK_PENDING);
	kolk__sim_pass(fix->sim, 2 * KOLK_MS_NS);
	for (int turns = 0; turns * AT_ONCE < MANY; turns++) {
		assert_true(kolk_loop_next_timer(loop) <= kolk__sim_now(fix->sim));
		assert_int_equal(kolk_loop_step(loop, KOLK_FOREVER), KOLK_OK);
		assert_in_range(ended(callers) - before, 1, AT_ONCE);
		before = ended(callers);
	}
	assert_int_equal(before, MANY);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	kolk_key_close(key);
	free(callers);
}

/* ---- the time of a step */

struct asker {
	struct fixture *fix;
	struct kolk_loop *loop;
	struct kolk_call call;
	uint64_t told_ns;
};

/* What it does takes a second. */
static void ask(struct kolk_call *call, void *user)
{
	struct asker *asker = user;

	(void)call;
	asker->told_ns = kolk_loop_now(asker->loop);
	kolk__sim_pass(asker->fix->sim, KOLK_S_NS);
}

static void ask_late(struct kolk_timer *timer, void *user)
{
	(void)timer;
	ask(NULL, user);
}

static void a_step_has_one_time(void **state)
{
	struct fixture *fix = *state;
	struct kolk_loop *loop = kolk_engine_loop(fix->engine, 0);
	struct asker first = { fix, loop, { { 0 } }, 0 }, second = first;
	uint64_t now_ns = kolk__sim_now(fix->sim);

	assert_int_equal(kolk_loop_call(loop, &first.call, ask, &first), KOLK_OK);
	assert_int_equal(kolk_loop_call(loop, &second.call, ask, &second), KOLK_OK);
	assert_int_equal(kolk_loop_step(loop, 0), KOLK_OK);
	assert_in_range(first.told_ns, now_ns, now_ns + KOLK_S_NS - 1);
	assert_int_equal(second.told_ns, first.told_ns);
	assert_true(kolk_loop_now(loop) >= first.told_ns + 2 * KOLK_S_NS); /* between two */
}

/* To each timer, that it waited for has come. */
static void timers_see_their_time(void **state)
{
	struct fixture *fix = *state;
	struct kolk_loop *loop = kolk_engine_loop(fix->engine, 0);
	struct asker first = { fix, loop, { { 0 } }, 0 }, second = first;
	struct kolk_timer one = { { 0 } }, other = { { 0 } };
	uint64_t due_ns = kolk_loop_now(loop) + KOLK_MS_NS;

	assert_int_equal(kolk_timer_start(loop, &one, due_ns, ask_late, &first), KOLK_OK);
	assert_int_equal(kolk_timer_start(loop, &other, due_ns, ask_late, &second), KOLK_OK);
	kolk__sim_pass(fix->sim, 2 * KOLK_MS_NS);
	assert_int_equal(kolk_loop_step(loop, 0), KOLK_OK);
	assert_true(first.told_ns >= due_ns);
	assert_true(second.told_ns >= first.told_ns + KOLK_S_NS);
}

static const struct CMUnitTest tests[] = { T(late_waiters_end_in_short_turns),
					   T(a_step_has_one_time), T(timers_see_their_time) };

CMOCKA_TESTS(shard, tests);
