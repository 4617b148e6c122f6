/* SPDX-License-Identifier: Apache-2.0 */
/* lease_test.c - acquire.c, release.c, lease.c: what a lease is, and what it is no more. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "core/acquire.h"
#include "core/drain.h"
#include "core/idle.h"

static struct kolk_lease take(struct fixture *fix)
{
	struct kolk_lease lease;

	assert_int_equal(kolk_acquire(fix->key, kolk__sim_now(fix->sim) + KOLK_S_NS, &lease),
			 KOLK_OK);
	return lease;
}

static void a_try_dials_for_the_next(void **state)
{
	struct fixture *fix = *state;
	struct kolk_lease lease;

	assert_int_equal(kolk_try_acquire(fix->key, &lease), KOLK_E_EMPTY);
	assert_false(kolk_key_has_idle(fix->key));
	fixture_run(fix, 50 * KOLK_MS_NS);
	assert_true(kolk_key_has_idle(fix->key));
	assert_int_equal(kolk_try_acquire(fix->key, &lease), KOLK_OK);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
}

static void the_last_used_comes_first(void **state)
{
	struct fixture *fix = *state;
	struct kolk_lease a = take(fix), b = take(fix), again;
	void *last = a.connection;

	assert_ptr_not_equal(a.connection, b.connection);
	assert_int_equal(kolk_release(&b), KOLK_OK);
	assert_int_equal(kolk_release(&a), KOLK_OK);
	again = take(fix);
	assert_ptr_equal(again.connection, last);
	assert_int_equal(kolk_release(&again), KOLK_OK);
}

static void stale_in_every_way(void **state)
{
	struct fixture *fix = *state;
	struct kolk_lease lease = take(fix), copy = lease, none = { 0 }, other;
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	size_t size;
	char byte;

	assert_int_equal(kolk_lease_info(&lease, &info), KOLK_OK);
	assert_true(info.uses == 1 && info.reused == 0 && info.written == 0);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	other = take(fix); /* the same connection, another lease */
	assert_ptr_equal(other.connection, copy.connection);
	assert_int_equal(kolk_release(&copy), KOLK_E_LEASE_STALE);
	assert_int_equal(kolk_discard(&copy), KOLK_E_LEASE_STALE);
	assert_int_equal(kolk_lease_tag(&copy, 1), KOLK_E_LEASE_STALE);
	assert_int_equal(kolk_lease_info(&copy, &info), KOLK_E_LEASE_STALE);
	assert_int_equal(kolk_send_all(&copy, "x", 1, KOLK_FOREVER), KOLK_E_LEASE_STALE);
	assert_int_equal(kolk_recv(&copy, &byte, 1, KOLK_FOREVER, &size), KOLK_E_LEASE_STALE);
	assert_null(kolk_lease_resource(&copy));
	assert_int_equal(kolk_release(&none), KOLK_E_LEASE_STALE);
	assert_int_equal(kolk_discard(&none), KOLK_E_LEASE_STALE);
	assert_int_equal(kolk_lease_info(&other, &info), KOLK_OK);
	assert_true(info.uses == 2 && info.reused == 1);
	assert_int_equal(kolk_release(&other), KOLK_OK);
	assert_int_equal(kolk_engine_stats(fix->engine, &stats), KOLK_OK);
	assert_true(stats.misuse >= 6 && stats.acquired == 2 && stats.released == 2);
}

static void another_engine_is_refused(void **state)
{
	struct fixture *fix = *state;
	void *other_state;
	struct fixture *other;
	struct kolk_lease lease = take(fix);

	assert_int_equal(fixture_open(&other_state), 0);
	other = other_state;
	assert_int_equal(kolk_engine_release(other->engine, &lease), KOLK_E_LEASE_FOREIGN);
	assert_int_equal(kolk_engine_release(fix->engine, &lease), KOLK_OK);
	assert_int_equal(fixture_close(&other_state), 0);
}

/* What a thread remembers of a key must not outlive it: the next engine's key can lie at the
 * same address. */
static void engines_in_a_row(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		void *next;
		struct fixture *fix;
		struct kolk_lease lease;

		assert_int_equal(fixture_open(&next), 0);
		fix = next;
		lease = take(fix);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
		lease = take(fix);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
		assert_int_equal(fixture_close(&next), 0);
	}
}

static void io_makes_a_release_slow(void **state)
{
	struct fixture *fix = *state;
	struct kolk_lease lease = take(fix);
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	/* An answer is expected and comes: unread bytes, so the connection must go. */
	assert_int_equal(kolk_send_all(&lease, "x\n", 2, KOLK_FOREVER), KOLK_OK);
	assert_int_equal(kolk_lease_info(&lease, &info), KOLK_OK);
	assert_int_equal(info.written, 1);
	fixture_run(fix, 20 * KOLK_MS_NS);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	fixture_run(fix, 20 * KOLK_MS_NS);
	assert_int_equal(kolk_pool_stats(fix->pool, &stats), KOLK_OK);
	assert_int_equal(stats.destroyed[KOLK_REASON_PEER_DATA], 1);
}

/* One connection, lease after lease: one in 16 of those that did I/O, of others one in 1 024. */
static void releases_are_timed_by_sample(void **state)
{
	struct fixture *fix = *state;
	struct kolk_stats stats;

	for (int i = 0; i < 1024; i++) {
		struct kolk_lease lease = take(fix);

		assert_int_equal(kolk_release(&lease), KOLK_OK);
	}
	stats = stats_of(fix->pool);
	assert_int_equal(stats.release_count, 1);
	for (int i = 0; i < 160; i++) {
		uint64_t deadline_ns = kolk__sim_now(fix->sim) + KOLK_S_NS;
		struct kolk_lease lease = take(fix);
		char answer[8];
		size_t got;

		assert_int_equal(kolk_send_all(&lease, "x\n", 2, deadline_ns), KOLK_OK);
		assert_int_equal(kolk_recv(&lease, answer, sizeof answer, deadline_ns, &got),
				 KOLK_OK);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
	}
	stats = stats_of(fix->pool);
	assert_in_range(stats.release_count, 10, 13); /* of two connections, at most */
	assert_true(stats.release_max_ns <= stats.release_sum_ns);
	assert_int_equal(kolk_key_stats(fix->key, &stats), KOLK_OK);
	assert_int_equal(stats.release_count, 0);
}

/* The memory of a pool that is freed is the next one's. */
static void a_new_pool_has_no_releases_of_another(void **state)
{
	struct fixture *fix = *state;
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_pool *pool, *next;
	struct kolk_lease lease;

	o.name = "short";
	o.address = "192.0.2.1:7";
	pool = pool_of(fix, &o);
	for (int i = 0; i < 1024; i++) {
		assert_int_equal(kolk_acquire(kolk_pool_key(pool),
					      kolk__sim_now(fix->sim) + KOLK_S_NS, &lease), KOLK_OK);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
	}
	assert_int_equal(stats_of(pool).release_count, 1);
	assert_int_equal(kolk_pool_close(pool, kolk__sim_now(fix->sim) + KOLK_S_NS), KOLK_OK);
	o.name = "next";
	next = pool_of(fix, &o);
	assert_ptr_equal(next, pool);
	assert_int_equal(stats_of(next).release_count, 0);
	assert_int_equal(stats_of(next).release_sum_ns, 0);
	assert_int_equal(stats_of(next).release_max_ns, 0);
	assert_int_equal(kolk_engine_stats(fix->engine, &stats), KOLK_OK);
	assert_int_equal(stats.release_count, 1);
}

static void a_discard_says_why(void **state)
{
	struct fixture *fix = *state;
	struct kolk_lease lease = take(fix);
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	assert_int_equal(kolk_discard_for(&lease, KOLK_REASON_NONE), KOLK_E_OPTIONS);
	assert_int_equal(kolk_discard_for(&lease, KOLK_REASONS), KOLK_E_OPTIONS);
	assert_int_equal(kolk_discard_for(&lease, KOLK_REASON_PROTOCOL), KOLK_OK);
	assert_int_equal(kolk_discard_for(&lease, KOLK_REASON_PROTOCOL), KOLK_E_LEASE_STALE);
	fixture_run(fix, 20 * KOLK_MS_NS);
	assert_int_equal(kolk_pool_stats(fix->pool, &stats), KOLK_OK);
	assert_int_equal(stats.destroyed[KOLK_REASON_PROTOCOL], 1);
	assert_int_equal(stats.destroyed[KOLK_REASON_DISCARDED], 0);
}

static void uses_are_counted(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	struct kolk_pool *pool;
	struct kolk_lease lease;

	o.name = "uses";
	o.address = "192.0.2.1:7";
	o.uses_max = 3;
	o.connections_max = 1;
	o.idle_min = KOLK_NONE;
	assert_int_equal(kolk_pool_add(fix->engine, &o, &pool), KOLK_OK);
	for (int i = 0; i < 9; i++) {
		assert_int_equal(kolk_acquire(kolk_pool_key(pool),
					      kolk__sim_now(fix->sim) + KOLK_S_NS, &lease), KOLK_OK);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
	}
	fixture_run(fix, 20 * KOLK_MS_NS);
	assert_int_equal(kolk_pool_stats(pool, &stats), KOLK_OK);
	assert_int_equal(stats.destroyed[KOLK_REASON_USES], 3);
	assert_int_equal(stats.created, 3);
	assert_int_equal(stats.reused, 6);
}

static void revoke(struct fixture *fix, struct kolk__conn *conn)
{
	kolk__take_lock(fix->engine, &fix->key->lock);
	assert_true(kolk__revoke(conn));
	kolk__give_lock(fix->engine, &fix->key->lock);
}

/* The moments between a taking and what follows it: the deadline of a drain may revoke the lease
 * right then. The connection is the closer's, and not leased. */
static void revoked_before_it_was_filled(void **state)
{
	struct fixture *fix = *state;
	struct kolk_lease lease = take(fix);
	struct kolk__conn *conn;
	uint64_t lease_word;

	assert_int_equal(kolk_release(&lease), KOLK_OK);
	conn = kolk__take_idle(fix->key, KOLK__LEASED, &lease_word);
	assert_non_null(conn);
	revoke(fix, conn);
	kolk__lease_fill(conn, lease_word, kolk__sim_now(fix->sim), &lease);
	assert_int_equal(kolk_release(&lease), KOLK_E_LEASE_STALE);
	assert_int_equal(kolk__state_of(kolk__own(&conn->word)), KOLK__CLOSING);
}

static void revoked_before_it_was_found_unfit(void **state)
{
	struct fixture *fix = *state;
	struct kolk_lease lease = take(fix);
	struct kolk__conn *conn = lease.connection;

	assert_true(kolk_key_rotate(fix->key) > 0);
	revoke(fix, conn);
	assert_false(kolk__conn_try_set(conn, lease.ticket, KOLK__CLOSING));
	assert_int_equal(kolk__state_of(kolk__own(&conn->word)), KOLK__CLOSING);
}

static void on_io(void *user, enum kolk_err err, size_t size)
{
	assert_int_equal(size, 0);
	*(enum kolk_err *)user = err;
}

/* Its result stands, and its callback is about to tell it. */
static void an_operation_that_is_over_is_not_cancelled(void **state)
{
	struct fixture *fix = *state;
	struct kolk_loop *loop = kolk_engine_loop(fix->engine, 0);
	enum kolk_err told = KOLK_PENDING;
	struct kolk_lease lease;
	struct kolk_io io;

	assert_int_equal(kolk_acquire(fix->key, kolk__sim_now(fix->sim) + KOLK_S_NS, &lease), KOLK_OK);
	assert_int_equal(kolk_send_async(loop, &lease, &io, "", 0, KOLK_FOREVER, on_io, &told),
			 KOLK_PENDING);
	assert_int_equal(kolk_io_cancel(&io), KOLK_OK);
	fixture_run(fix, KOLK_MS_NS);
	assert_int_equal(told, KOLK_OK);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
}

/* ---- another thread beside a plain release: the edge SC2 (conn.h) */

static void rotate(void *user)
{
	struct fixture *fix = user;

	(void)kolk_key_rotate(fix->key);
}

/* All are leased, with a clock that is kept, and this one by the thread's cache. */
static void lease_all(struct fixture *fix, struct kolk_lease leases[4])
{
	kolk__store_relaxed(&fix->engine->page->clock_ns, kolk__sim_now(fix->sim));
	for (int i = 0; i < 4; i++)
		leases[i] = take(fix);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(kolk_release(&leases[0]), KOLK_OK);
		leases[0] = take(fix);
	}
}

static void a_release_sees_that_it_is_stale(void **state)
{
	struct fixture *fix = *state;
	bool came = true;

	for (int place = 0; came; place++) {
		const struct intruder other = { place, rotate, fix, false };
		struct kolk_lease leases[4];

		lease_all(fix, leases);
		(void)intruder_waits(&other);
		assert_int_equal(kolk_release(&leases[0]), KOLK_OK);
		came = intruder_came();
		assert_int_equal(kolk_check(fix->engine, NULL), KOLK_OK);
		for (int i = 1; i < 4; i++)
			assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
		fixture_run(fix, 10 * KOLK_MS_NS);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(a_try_dials_for_the_next, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(the_last_used_comes_first, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(stale_in_every_way, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(another_engine_is_refused, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(a_discard_says_why, fixture_open, fixture_close),
	cmocka_unit_test(engines_in_a_row),
	cmocka_unit_test_setup_teardown(io_makes_a_release_slow, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(releases_are_timed_by_sample, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(a_new_pool_has_no_releases_of_another, fixture_open,
					fixture_close),
	cmocka_unit_test_setup_teardown(a_release_sees_that_it_is_stale, fixture_open,
					fixture_close),
	cmocka_unit_test_setup_teardown(an_operation_that_is_over_is_not_cancelled, fixture_open,
					fixture_close),
	cmocka_unit_test_setup_teardown(uses_are_counted, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(revoked_before_it_was_filled, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(revoked_before_it_was_found_unfit, fixture_open,
					fixture_close),
};

CMOCKA_TESTS(lease, tests);
