/* SPDX-License-Identifier: Apache-2.0 */
/* lease_test.c - acquire.c, release.c, lease.c: what a lease is, and what it is no more. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "core/acquire.h"

static struct kolk_lease take(struct bed *bed)
{
	struct kolk_lease lease;

	assert_int_equal(kolk_acquire(bed->key, kolk__sim_now(bed->sim) + KOLK_S_NS, &lease),
			 KOLK_OK);
	return lease;
}

static void a_try_dials_for_the_next(void **state)
{
	struct bed *bed = *state;
	struct kolk_lease lease;

	assert_int_equal(kolk_try_acquire(bed->key, &lease), KOLK_E_EMPTY);
	assert_false(kolk_key_has_idle(bed->key));
	bed_run(bed, 50 * KOLK_MS_NS);
	assert_true(kolk_key_has_idle(bed->key));
	assert_int_equal(kolk_try_acquire(bed->key, &lease), KOLK_OK);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
}

static void the_last_used_comes_first(void **state)
{
	struct bed *bed = *state;
	struct kolk_lease a = take(bed), b = take(bed), again;
	void *last = a.connection;

	assert_ptr_not_equal(a.connection, b.connection);
	assert_int_equal(kolk_release(&b), KOLK_OK);
	assert_int_equal(kolk_release(&a), KOLK_OK);
	again = take(bed);
	assert_ptr_equal(again.connection, last);
	assert_int_equal(kolk_release(&again), KOLK_OK);
}

static void stale_in_every_way(void **state)
{
	struct bed *bed = *state;
	struct kolk_lease lease = take(bed), copy = lease, none = { 0 }, other;
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	size_t size;
	char byte;

	assert_int_equal(kolk_lease_info(&lease, &info), KOLK_OK);
	assert_true(info.uses == 1 && info.reused == 0 && info.written == 0);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	other = take(bed); /* the same connection, another lease */
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
	assert_int_equal(kolk_engine_stats(bed->engine, &stats), KOLK_OK);
	assert_true(stats.misuse >= 6 && stats.acquired == 2 && stats.released == 2);
}

static void another_engine_is_told(void **state)
{
	struct bed *bed = *state;
	void *other_state;
	struct bed *other;
	struct kolk_lease lease = take(bed);

	assert_int_equal(bed_open(&other_state), 0);
	other = other_state;
	assert_int_equal(kolk_engine_release(other->engine, &lease), KOLK_E_LEASE_FOREIGN);
	assert_int_equal(kolk_engine_release(bed->engine, &lease), KOLK_OK);
	assert_int_equal(bed_close(&other_state), 0);
}

/* What a thread remembers of a key must not outlive it: the next engine's key can lie at the
 * same address. */
static void engines_in_a_row(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		void *next;
		struct bed *bed;
		struct kolk_lease lease;

		assert_int_equal(bed_open(&next), 0);
		bed = next;
		lease = take(bed);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
		lease = take(bed);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
		assert_int_equal(bed_close(&next), 0);
	}
}

static void bytes_make_a_release_look(void **state)
{
	struct bed *bed = *state;
	struct kolk_lease lease = take(bed);
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	/* An answer is owed and comes: unread bytes, so the connection must go. */
	assert_int_equal(kolk_send_all(&lease, "x\n", 2, KOLK_FOREVER), KOLK_OK);
	assert_int_equal(kolk_lease_info(&lease, &info), KOLK_OK);
	assert_int_equal(info.written, 1);
	bed_run(bed, 20 * KOLK_MS_NS);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	bed_run(bed, 20 * KOLK_MS_NS);
	assert_int_equal(kolk_pool_stats(bed->pool, &stats), KOLK_OK);
	assert_int_equal(stats.destroyed[KOLK_REASON_PEER_DATA], 1);
}

static void a_discard_says_why(void **state)
{
	struct bed *bed = *state;
	struct kolk_lease lease = take(bed);
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	assert_int_equal(kolk_discard_for(&lease, KOLK_REASON_NONE), KOLK_E_OPTIONS);
	assert_int_equal(kolk_discard_for(&lease, KOLK_REASONS), KOLK_E_OPTIONS);
	assert_int_equal(kolk_discard_for(&lease, KOLK_REASON_PROTOCOL), KOLK_OK);
	assert_int_equal(kolk_discard_for(&lease, KOLK_REASON_PROTOCOL), KOLK_E_LEASE_STALE);
	bed_run(bed, 20 * KOLK_MS_NS);
	assert_int_equal(kolk_pool_stats(bed->pool, &stats), KOLK_OK);
	assert_int_equal(stats.destroyed[KOLK_REASON_PROTOCOL], 1);
	assert_int_equal(stats.destroyed[KOLK_REASON_DISCARDED], 0);
}

static void uses_are_counted(void **state)
{
	struct bed *bed = *state;
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	struct kolk_pool *pool;
	struct kolk_lease lease;

	o.name = "uses";
	o.address = "192.0.2.1:7";
	o.uses_max = 3;
	o.connections_max = 1;
	o.idle_min = KOLK_NONE;
	assert_int_equal(kolk_pool_add(bed->engine, &o, &pool), KOLK_OK);
	for (int i = 0; i < 9; i++) {
		assert_int_equal(kolk_acquire(kolk_pool_key(pool),
					      kolk__sim_now(bed->sim) + KOLK_S_NS, &lease), KOLK_OK);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
	}
	bed_run(bed, 20 * KOLK_MS_NS);
	assert_int_equal(kolk_pool_stats(pool, &stats), KOLK_OK);
	assert_int_equal(stats.destroyed[KOLK_REASON_USES], 3);
	assert_int_equal(stats.created, 3);
	assert_int_equal(stats.reused, 6);
}

static void revoke(struct bed *bed, struct kolk__conn *conn)
{
	kolk__take_lock(bed->engine, &bed->key->lock);
	assert_true(kolk__revoke(conn));
	kolk__give_lock(bed->engine, &bed->key->lock);
}

/* The moments between a taking and what follows it: the deadline of a drain may revoke the lease
 * right then. The connection is the closer's, and neither leased nor put back. */
static void revoked_before_it_was_filled(void **state)
{
	struct bed *bed = *state;
	struct kolk_lease lease = take(bed);
	struct kolk__conn *conn;
	uint64_t ticket;

	assert_int_equal(kolk_release(&lease), KOLK_OK);
	conn = kolk__shelf_take(bed->key, KOLK__LEASED, &ticket);
	assert_non_null(conn);
	revoke(bed, conn);
	kolk__lease_fill(conn, ticket, kolk__sim_now(bed->sim), &lease);
	assert_int_equal(kolk_release(&lease), KOLK_E_LEASE_STALE);
	assert_int_equal(kolk__state_of(kolk__own(&conn->word)), KOLK__CLOSING);
}

static void revoked_before_it_was_put_back(void **state)
{
	struct bed *bed = *state;
	struct kolk_lease lease = take(bed);
	struct kolk__conn *conn = lease.connection;

	revoke(bed, conn);
	if (kolk__hit_odd(bed->key, &lease, conn) == KOLK_OK)
		assert_int_equal(kolk_release(&lease), KOLK_OK);
	assert_int_equal(kolk__state_of(kolk__own(&conn->word)), KOLK__CLOSING);
}

static void revoked_before_it_was_found_unfit(void **state)
{
	struct bed *bed = *state;
	struct kolk_lease lease = take(bed);
	struct kolk__conn *conn = lease.connection;

	assert_true(kolk_key_rotate(bed->key) > 0);
	revoke(bed, conn);
	assert_false(kolk__conn_leave(conn, lease.ticket, KOLK__CLOSING));
	assert_int_equal(kolk__state_of(kolk__own(&conn->word)), KOLK__CLOSING);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(a_try_dials_for_the_next, bed_open, bed_close),
	cmocka_unit_test_setup_teardown(the_last_used_comes_first, bed_open, bed_close),
	cmocka_unit_test_setup_teardown(stale_in_every_way, bed_open, bed_close),
	cmocka_unit_test_setup_teardown(another_engine_is_told, bed_open, bed_close),
	cmocka_unit_test_setup_teardown(a_discard_says_why, bed_open, bed_close),
	cmocka_unit_test(engines_in_a_row),
	cmocka_unit_test_setup_teardown(bytes_make_a_release_look, bed_open, bed_close),
	cmocka_unit_test_setup_teardown(uses_are_counted, bed_open, bed_close),
	cmocka_unit_test_setup_teardown(revoked_before_it_was_filled, bed_open, bed_close),
	cmocka_unit_test_setup_teardown(revoked_before_it_was_put_back, bed_open, bed_close),
	cmocka_unit_test_setup_teardown(revoked_before_it_was_found_unfit, bed_open,
					bed_close),
};

CMOCKA_TESTS(lease, tests);
