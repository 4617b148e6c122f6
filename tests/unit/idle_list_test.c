/* SPDX-License-Identifier: Apache-2.0 */
/* idle_list_test.c - tokens: all come back, few are passed over, and in which order they come. */
#include "tests/unit/unit.h"

#include <string.h>

#include "core/effects.h"
#include "core/engine.h"
#include "core/idle.h"
#include "core/idle_list.h"
#include "core/thread_cache.h"

enum { MANY = 1000, STEADY = 10, BEHIND = 400 };
#define IDLE_NS (60 * KOLK_S_NS)

static struct kolk_lease leases[MANY];

/* Another engine in the fixture's world, whose key may have MANY connections. */
static void open_many(struct fixture *fix)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);

	e.loops = 1;
	e.loop_owner = KOLK_LOOPS_EMBEDDER;
	e.connections_max = e.dials_max = e.waiters_max = MANY;
	e.sys = kolk__sim_sys(fix->sim);
	p.name = "many";
	p.resource = &unit_things;
	p.connections_max = p.pool_connections_max = p.dials_max = p.waiters_max = MANY;
	p.idle_min = KOLK_NONE;
	p.idle_timeout_ns = IDLE_NS;
	p.ping_interval_ns = KOLK_FOREVER;
	assert_int_equal(kolk_engine_create(&e, &fix->engine), KOLK_OK);
	assert_int_equal(kolk_pool_add(fix->engine, &p, &fix->pool), KOLK_OK);
	fix->key = kolk_pool_key(fix->pool);
}

static void lease_all(struct fixture *fix, int count)
{
	for (int i = 0; i < count; i++)
		assert_int_equal(kolk_acquire(fix->key, KOLK_FOREVER, &leases[i]), KOLK_OK);
}

static void release_all(int count)
{
	for (int i = 0; i < count; i++)
		assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
}

static uint32_t tokens(struct fixture *fix)
{
	uint32_t count, listed;

	kolk__take_lock(fix->engine, &fix->key->lock);
	count = kolk__tokens_count(fix->key);
	listed = kolk__conn_table_listed(fix->key);
	kolk__give_lock(fix->engine, &fix->key->lock);
	assert_int_equal(count, listed);
	return count;
}

static void with_many(void **state, void (*run)(struct fixture *fix))
{
	struct fixture *fix = *state, own = *fix;

	open_many(fix);
	run(fix);
	assert_int_equal(kolk_engine_destroy(fix->engine), KOLK_OK);
	*fix = own;
}

/* ---- all of them come back: bits, words, rings */

static void all_are_found(struct fixture *fix)
{
	static const int counts[] = { 1, 59, 60, 61, 68, 124, 125, 200, MANY };

	for (size_t n = 0; n < sizeof counts / sizeof counts[0]; n++) {
		int count = counts[n];

		lease_all(fix, count);
		release_all(count);
		assert_true(tokens(fix) >= (uint32_t)count);
		for (int i = 0; i < count; i++)
			assert_int_equal(kolk_try_acquire(fix->key, &leases[i]), KOLK_OK);
		release_all(count);
	}
}

static void every_idle_one_is_found(void **state)
{
	with_many(state, all_are_found);
}

/* ---- tokens of what is leased */

/* As by the caches of as many threads: the tokens stay in the list. */
static void lease_without_tokens(struct fixture *fix, struct kolk__conn **conns, int count)
{
	lease_all(fix, count);
	for (int i = 0; i < count; i++)
		conns[i] = leases[i].connection;
	release_all(count);
	for (int i = 0; i < count; i++) {
		uint64_t word = kolk__conn_lease_of(conns[i], fix->key);

		kolk__lease_fill(conns[i], word, kolk__sim_now(fix->sim), &leases[i]);
	}
}

/* ---- what a thread gave back, it finds by itself */

static void few_at_a_time(struct fixture *fix)
{
	uint32_t before;

	for (int round = 0; round < 3; round++) { /* they are dialled; then found; then known */
		before = tokens(fix);
		lease_all(fix, KOLK__RETURNED);
		if (round == 2)
			assert_int_equal(tokens(fix), before);
		release_all(KOLK__RETURNED);
	}
	assert_int_equal(tokens(fix), before);
}

static void few_leases_at_a_time_take_no_token(void **state)
{
	with_many(state, few_at_a_time);
}

/* A connection of an engine that is gone is memory that is gone. */
static void entries_of_another_key(struct fixture *fix)
{
	struct kolk__cached_conn *cached = kolk__cached_conn_of(fix->key);

	lease_all(fix, 2 * KOLK__RETURNED);
	release_all(2 * KOLK__RETURNED);
	assert_true(cached->count >= KOLK__RETURNED);
	for (int i = 0; i < KOLK__RETURNED; i++)
		cached->returned[i] = (struct kolk__conn *)KOLK_CACHE_LINE;
	cached->key_id = 0;
	lease_all(fix, 2 * KOLK__RETURNED);
	release_all(2 * KOLK__RETURNED);
	lease_all(fix, 2 * KOLK__RETURNED);
	release_all(2 * KOLK__RETURNED);
}

static void what_another_key_had_is_not_followed(void **state)
{
	with_many(state, entries_of_another_key);
}

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	(void)err;
	*(struct kolk_lease *)user = *lease;
}

static void behind_stale_ones(struct fixture *fix)
{
	static struct kolk__conn *conns[MANY];
	struct kolk_lease lease = { 0 };
	struct kolk_acquire acquire;
	uint32_t before;

	lease_without_tokens(fix, conns, MANY);
	before = tokens(fix);
	assert_int_equal(before, MANY);
	assert_int_equal(kolk_try_acquire(fix->key, &lease), KOLK_E_EMPTY);
	/* By the hit, by the miss, and where it is asked how many dials are wanted. */
	assert_in_range(before - tokens(fix), 1, 3 * KOLK__STALE_MAX);
	/* The last one is idle: a waiter gets it, although its token is behind hundreds. */
	for (int i = 0; i < MANY; i++)
		if (kolk__load_relaxed(&conns[i]->position) == MANY - 1)
			assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
	kolk__cached_conn_of(fix->key)->key_id = 0; /* as if another thread had */
	assert_true(kolk_key_has_idle(fix->key));
	assert_int_equal(kolk_acquire_async(kolk_engine_loop(fix->engine, 0), fix->key,
					    kolk__sim_now(fix->sim) + KOLK_S_NS, &acquire,
					    on_lease, &lease), KOLK_PENDING);
	fixture_run(fix, 10 * KOLK_MS_NS);
	assert_non_null(lease.connection);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	for (int i = 0; i < MANY; i++)
		(void)kolk_release(&leases[i]); /* one is stale */
	assert_int_equal(tokens(fix), MANY);
}

static void one_behind_stale_tokens_is_found(void **state)
{
	with_many(state, behind_stale_ones);
}

/* A waiter passes over what a look may; then one of those behind is released, by a thread that has
 * it by its cache. The release serves the waiter: maintenance, which is to go on, has no turn. */
static void released_behind(struct fixture *fix)
{
	static struct kolk__conn *conns[BEHIND];
	struct kolk_pool_limits limits = KOLK_INIT(kolk_pool_limits);
	struct kolk_lease got = { 0 };
	struct kolk_acquire acquire;
	int last = 0;

	limits.connections_max = BEHIND;
	assert_int_equal(kolk_pool_limits_set(fix->pool, &limits), KOLK_OK);
	kolk__store_relaxed(&fix->engine->page->clock_ns, kolk__sim_now(fix->sim));
	lease_without_tokens(fix, conns, BEHIND);
	assert_int_equal(kolk_acquire_async(kolk_engine_loop(fix->engine, 0), fix->key, KOLK_FOREVER,
					    &acquire, on_lease, &got), KOLK_PENDING);
	while (tokens(fix) > KOLK__STALE_MAX)
		assert_true(kolk_key_has_idle(fix->key));
	for (int i = 0; i < BEHIND; i++)
		if (kolk__conn_has_token(conns[i]))
			last = i;
	assert_true(kolk__conn_has_token(conns[last]));
	assert_int_equal(kolk_release(&leases[last]), KOLK_OK);
	assert_int_equal(kolk__own(&fix->key->waiting), 0);
	fixture_run(fix, KOLK_MS_NS);
	assert_ptr_equal(got.connection, conns[last]);
	leases[last] = got;
	release_all(BEHIND);
}

static void a_release_behind_stale_tokens_serves_the_waiter(void **state)
{
	with_many(state, released_behind);
}

/* ---- order */

static void steady_demand(struct fixture *fix)
{
	uint64_t used[STEADY], until_ns;
	struct kolk_stats stats;

	lease_all(fix, MANY);
	release_all(MANY);
	until_ns = kolk__sim_now(fix->sim) + 2 * IDLE_NS;
	while (kolk__sim_now(fix->sim) < until_ns) {
		lease_all(fix, STEADY);
		fixture_run(fix, KOLK_S_NS);
		for (int i = 0; i < STEADY; i++)
			used[i] = ((struct kolk__conn *)leases[i].connection)->number;
		release_all(STEADY);
	}
	stats = stats_of(fix->pool);
	assert_int_equal(stats.idle, STEADY);
	assert_int_equal(stats.dialled, MANY);
	lease_all(fix, STEADY); /* the survivors are those that were used */
	for (int i = 0; i < STEADY; i++) {
		bool was_used = false;

		for (int n = 0; n < STEADY; n++)
			was_used = was_used ||
				   used[n] == ((struct kolk__conn *)leases[i].connection)->number;
		assert_true(was_used);
	}
	release_all(STEADY);
}

static void the_surplus_of_a_burst_goes(void **state)
{
	with_many(state, steady_demand);
}

static uint32_t take_next(struct fixture *fix, struct kolk_lease *lease)
{
	kolk__cached_conn_of(fix->key)->key_id = 0;
	assert_int_equal(kolk_try_acquire(fix->key, lease), KOLK_OK);
	return kolk__own(&((struct kolk__conn *)lease->connection)->position);
}

enum { WORDS = 8 }; /* of a lane */

/* Of the first positions the lowest, of those beyond what was put last. */
static void order_of_tokens(struct fixture *fix)
{
	static struct kolk_lease sorted[KOLK__BIT_TOKENS + 2 * WORDS];
	enum { COUNT = sizeof sorted / sizeof sorted[0] };

	lease_all(fix, COUNT);
	for (int i = 0; i < COUNT; i++)
		sorted[kolk__own(&((struct kolk__conn *)leases[i].connection)->position)] = leases[i];
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(kolk_release(&sorted[i]), KOLK_OK);
	for (uint32_t i = 0; i < KOLK__BIT_TOKENS; i++)
		assert_int_equal(take_next(fix, &leases[i]), i);
	for (int i = KOLK__BIT_TOKENS; i < COUNT; i++)
		if (i < COUNT - WORDS)
			assert_true(take_next(fix, &leases[i]) >= COUNT - WORDS);
		else
			assert_true(take_next(fix, &leases[i]) < COUNT - WORDS);
	release_all(COUNT);
}

static void which_token_comes_first(void **state)
{
	with_many(state, order_of_tokens);
}

/* ---- many waiters, and many releases that are about to look at the gate */

enum { CROWD = 100 };

static void crowd(struct fixture *fix)
{
	static struct kolk_acquire waits[CROWD];
	static struct kolk_lease got[CROWD];
	struct kolk_pool_limits limits = KOLK_INIT(kolk_pool_limits);
	KOLK__EFFECTS(effects);

	limits.connections_max = CROWD;
	assert_int_equal(kolk_pool_limits_set(fix->pool, &limits), KOLK_OK);
	memset(got, 0, sizeof got);
	lease_all(fix, CROWD);
	for (int i = 0; i < CROWD; i++)
		assert_int_equal(kolk_acquire_async(kolk_engine_loop(fix->engine, 0), fix->key,
						    KOLK_FOREVER, &waits[i], on_lease, &got[i]),
				 KOLK_PENDING);
	for (int i = 0; i < CROWD; i++) {
		struct kolk__conn *conn = leases[i].connection;
		uint64_t word = leases[i].ticket;

		assert_true(kolk__conn_set_busy(conn, &word));
		kolk__set_idle(conn);
	}
	kolk__key_lock(fix->key, &effects, kolk__sim_now(fix->sim));
	effects.todo |= KOLK__DISPATCH;
	kolk__key_unlock(&effects);
	assert_int_equal(kolk__own(&fix->key->waiting), CROWD - KOLK__STEPS_MAX);
	fixture_run(fix, KOLK_MS_NS);
	for (int i = 0; i < CROWD; i++)
		assert_int_equal(kolk_release(&got[i]), KOLK_OK);
}

static void a_crowd_is_served_in_slices(void **state)
{
	with_many(state, crowd);
}

/* ---- tokens alone: puts and takes that are interrupted by others, which are interrupted, too */

#ifdef KOLK__ASSERTIONS
enum { TOKENS = 12, DEEP = 4, ROUNDS = 5000 };

static struct {
	struct kolk_key *key;
	bool held[TOKENS];
	int count, depth; /* that are held; of interruptions */
	uint64_t random;
} hand;

static uint32_t below(uint32_t bound)
{
	hand.random = hand.random * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)(hand.random >> 33) % bound;
}

/* Six of each of two words of a lane. */
static uint32_t position_of(uint32_t i)
{
	return KOLK__BIT_TOKENS + i % 6 * WORDS + i / 6;
}

static void put_any(void)
{
	uint32_t i = below(TOKENS);

	if (hand.count == 0)
		return;
	while (!hand.held[i])
		i = (i + 1) % TOKENS;
	hand.held[i] = false;
	hand.count--;
	kolk__token_put(hand.key, position_of(i));
}

static bool take_any(void)
{
	uint32_t position, i = 0;

	if (!kolk__token_take(hand.key, &position))
		return false;
	while (i < TOKENS && position_of(i) != position)
		i++;
	assert_true(i < TOKENS && !hand.held[i]); /* there is one, and it was put */
	hand.held[i] = true;
	hand.count++;
	return true;
}

static void any(void)
{
	if (below(2))
		put_any();
	else
		(void)take_any();
}

static void others(void)
{
	if (hand.depth == DEEP || below(8) != 0)
		return;
	hand.depth++;
	for (uint32_t n = below(7); n > 0; n--)
		any();
	hand.depth--;
}

static void tokens_alone(struct fixture *fix)
{
	lease_all(fix, (int)position_of(TOKENS - 1) + 1); /* without tokens */
	hand.key = fix->key;
	hand.random = 1;
	hand.count = TOKENS;
	memset(hand.held, true, sizeof hand.held);
	for (int round = 0; round < ROUNDS; round++) {
		kolk__on_access = others;
		for (int n = 0; n < 8; n++)
			any();
		kolk__on_access = NULL;
		while (take_any())
			;
		assert_int_equal(hand.count, TOKENS); /* none is lost */
	}
	release_all((int)position_of(TOKENS - 1) + 1);
}

static void each_token_is_there_once(void **state)
{
	with_many(state, tokens_alone);
}
#endif

static const struct CMUnitTest tests[] = {
#ifdef KOLK__ASSERTIONS
	cmocka_unit_test_setup_teardown(each_token_is_there_once, fixture_open, fixture_close),
#endif
	cmocka_unit_test_setup_teardown(which_token_comes_first, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(a_crowd_is_served_in_slices, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(every_idle_one_is_found, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(few_leases_at_a_time_take_no_token, fixture_open,
					fixture_close),
	cmocka_unit_test_setup_teardown(what_another_key_had_is_not_followed, fixture_open,
					fixture_close),
	cmocka_unit_test_setup_teardown(one_behind_stale_tokens_is_found, fixture_open,
					fixture_close),
	cmocka_unit_test_setup_teardown(a_release_behind_stale_tokens_serves_the_waiter,
					fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(the_surplus_of_a_burst_goes, fixture_open, fixture_close),
};

CMOCKA_TESTS(idle_list, tests);
