/* SPDX-License-Identifier: Apache-2.0 */
/* search_test.c - search.c: what a search found may be another's when it is evicted (victim.c). */
#include "tests/unit/learn.h"

#include "core/engine.h"
#include "core/key.h"
#include "core/release.h"

struct moves {
	struct fixture *fix;
	struct kolk__conn *conn;    /* that the search finds */
	struct kolk_key *from, *to; /* it is of this key's pool; then of that one's */
};

/* The slot is free: another pool's key dials first. */
static void dial_first(void *user, int change)
{
	struct moves *moves = user;
	struct kolk_engine *engine = moves->fix->engine;
	struct kolk_lease lease;

	if (change > 0 || kolk__conn_state(moves->conn) != KOLK__FREE ||
	    kolk__load_relaxed(&moves->from->lock.word) != 0 ||
	    kolk__load_relaxed(&engine->accounting.word) != 0)
		return;
	engine->on_lock = NULL;
	assert_int_equal(kolk_try_acquire(moves->to, &lease), KOLK_E_EMPTY);
}

static void move_conn(void *user)
{
	struct moves *moves = user;
	struct kolk_engine *engine = moves->fix->engine;

	if (!kolk__evict(moves->conn, KOLK_REASON_LIFETIME))
		return;
	engine->on_lock_user = moves;
	engine->on_lock = dial_first;
	for (int i = 0; i < 100; i++) {
		(void)kolk_loop_step(kolk_engine_loop(engine, 0), 0);
		kolk__sim_pass(moves->fix->sim, 100 * KOLK_US_NS);
	}
	assert_ptr_equal(kolk__own(&moves->conn->key), moves->to);
	assert_int_equal(kolk__conn_state(moves->conn), KOLK__IDLE);
}

static struct kolk_pool *pool_with(struct fixture *fix, const char *name, uint32_t most)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	o.name = name;
	o.address = "192.0.2.9:7";
	o.idle_min = KOLK_NONE;
	o.pool_connections_max = most;
	return pool_of(fix, &o);
}

static void what_moved_is_not_evicted(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool *full = pool_with(fix, "full", 1), *other = pool_with(fix, "other", 4);
	struct moves moves = { fix, NULL, key_of(full, "a"), key_of(other, "x") };
	struct kolk_key *const keys[] = { key_of(full, "b"), key_of(full, "c") };
	bool came = true;

	for (int place = 0; came; place++) {
		const struct intruder intruder = { place, move_conn, &moves, false };
		struct caller callers[2];
		struct kolk_lease lease;

		assert_int_equal(take(fix, moves.from, &lease), KOLK_OK);
		moves.conn = lease.connection;
		for (int i = 0; i < 2; i++)
			assert_int_equal(begin(fix, &callers[i], keys[i], KOLK_S_NS), KOLK_PENDING);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
		(void)intruder_waits(&intruder);
		(void)kolk_engine_maintain(fix->engine);
		came = intruder_came();
		fix->engine->on_lock = NULL;
		fixture_run(fix, 10 * KOLK_MS_NS);
		assert_int_equal(stats_of(other).destroyed[KOLK_REASON_ROOM], 0);
		for (int i = 0; i < 2; i++)
			if (callers[i].err == KOLK_PENDING)
				assert_int_equal(kolk_acquire_cancel(&callers[i].acquire), KOLK_OK);
			else
				assert_int_equal(kolk_discard(&callers[i].lease), KOLK_OK);
		(void)kolk_engine_clear(fix->engine, NULL);
		fixture_run(fix, 10 * KOLK_MS_NS);
	}
	kolk_key_close(moves.from);
	kolk_key_close(moves.to);
	kolk_key_close(keys[0]);
	kolk_key_close(keys[1]);
}

static const struct CMUnitTest tests[] = { T(what_moved_is_not_evicted) };

CMOCKA_TESTS(search, tests);
