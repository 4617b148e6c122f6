/* SPDX-License-Identifier: Apache-2.0 */
/* shard_test.c - shard.c: a turn of a loop is short, however many waiters are late at once. */
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

static const struct CMUnitTest tests[] = { T(late_waiters_end_in_short_turns) };

CMOCKA_TESTS(shard, tests);
