/* SPDX-License-Identifier: Apache-2.0 */
/* drain_test.c - drain.c: a suspended pool serves no caller until it is resumed, and then as
 * before. */
#include "tests/unit/unit.h"

#include "core/engine.h"

static enum kolk_err take(struct fixture *fix, struct kolk_key *key, struct kolk_lease *lease)
{
	return kolk_acquire(key, kolk__sim_now(fix->sim) + KOLK_S_NS, lease);
}

static void handles_are_good_again(void **state)
{
	struct fixture *fix = *state;
	struct kolk_lease lease;

	assert_int_equal(take(fix, fix->key, &lease), KOLK_OK);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	assert_int_equal(kolk_pool_suspend(fix->pool, KOLK_FOREVER), KOLK_OK);
	fixture_run(fix, 10 * KOLK_MS_NS);
	assert_true(kolk_pool_is_closed(fix->pool) && kolk_engine_is_closed(fix->engine));
	assert_true(info_of(fix->pool).suspended && info_of(fix->pool).draining);
	assert_int_equal(take(fix, fix->key, &lease), KOLK_E_DRAINING);
	assert_int_equal(kolk_pool_resume(fix->pool), KOLK_OK);
	assert_false(info_of(fix->pool).suspended || info_of(fix->pool).draining);
	assert_false(kolk_engine_is_closed(fix->engine));
	assert_int_equal(take(fix, fix->key, &lease), KOLK_OK);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	assert_int_equal(kolk_pool_resume(fix->pool), KOLK_OK);
}

/* A lease that is out meanwhile, and no deadline: it goes on, and its connection is idle again. */
static void before_the_last_lease_ended(void **state)
{
	struct fixture *fix = *state;
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	struct kolk_lease lease, more;

	assert_int_equal(take(fix, fix->key, &lease), KOLK_OK);
	assert_int_equal(kolk_pool_suspend(fix->pool, kolk__sim_now(fix->sim) + 50 * KOLK_MS_NS),
			 KOLK_OK);
	fixture_run(fix, 10 * KOLK_MS_NS);
	assert_false(kolk_pool_is_closed(fix->pool));
	assert_int_equal(kolk_pool_resume(fix->pool), KOLK_OK);
	fixture_run(fix, 100 * KOLK_MS_NS); /* the deadline means nothing any more */
	assert_int_equal(take(fix, fix->key, &more), KOLK_OK);
	assert_int_equal(kolk_release(&more), KOLK_OK);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	assert_int_equal(kolk_pool_stats(fix->pool, &stats), KOLK_OK);
	assert_int_equal(stats.idle, 2);
}

/* Keys can be opened, settings changed meanwhile: a reload need not know. */
static void what_is_done_meanwhile_holds(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_lease lease;
	struct kolk_key *key;

	assert_int_equal(kolk_pool_suspend(fix->pool, 0), KOLK_OK);
	fixture_run(fix, 10 * KOLK_MS_NS);
	who.tenant = "t";
	assert_int_equal(kolk_key_open(fix->pool, &who, &key), KOLK_OK);
	assert_int_equal(take(fix, key, &lease), KOLK_E_DRAINING);
	assert_int_equal(kolk_key_warm(key, 0), KOLK_OK);
	o.name = "test";
	o.address = "192.0.2.7:7";
	o.connections_max = 2;
	assert_int_equal(kolk_pool_update(fix->pool, &o), KOLK_OK);
	assert_true(kolk_pool_is_closed(fix->pool));
	assert_int_equal(kolk_pool_resume(fix->pool), KOLK_OK);
	assert_int_equal(info_of(fix->pool).connections_max, 2);
	assert_int_equal(take(fix, key, &lease), KOLK_OK);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	kolk_key_close(key);
}

static void what_was_replaced_before_stays_so(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	struct kolk_key *old, *new;
	struct kolk_lease lease;

	who.tenant = "t";
	who.credential = "a";
	who.credential_size = 1;
	assert_int_equal(kolk_key_open(fix->pool, &who, &old), KOLK_OK);
	who.credential = "b";
	who.replaces = 1;
	assert_int_equal(kolk_key_open(fix->pool, &who, &new), KOLK_OK);
	assert_int_equal(kolk_pool_suspend(fix->pool, 0), KOLK_OK);
	fixture_run(fix, 10 * KOLK_MS_NS);
	assert_int_equal(kolk_pool_resume(fix->pool), KOLK_OK);
	assert_int_equal(take(fix, old, &lease), KOLK_E_ROTATED);
	kolk_key_close(old);
	kolk_key_close(new);
}

/* A credential that was replaced, before or meanwhile, is not in service again. */
static void a_replaced_key_stays_replaced(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	struct kolk_key *keys[3];
	struct kolk_lease lease;

	who.tenant = "t";
	who.credential_size = 1;
	for (int i = 0; i < 3; i++) {
		if (i == 2) {
			assert_int_equal(kolk_pool_suspend(fix->pool, 0), KOLK_OK);
			fixture_run(fix, 10 * KOLK_MS_NS);
		}
		who.credential = &"abc"[i];
		who.replaces = i != 0;
		assert_int_equal(kolk_key_open(fix->pool, &who, &keys[i]), KOLK_OK);
	}
	assert_int_equal(kolk_pool_resume(fix->pool), KOLK_OK);
	assert_int_equal(take(fix, keys[0], &lease), KOLK_E_ROTATED);
	assert_int_equal(take(fix, keys[1], &lease), KOLK_E_ROTATED);
	assert_int_equal(take(fix, keys[2], &lease), KOLK_OK);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	for (int i = 0; i < 3; i++)
		kolk_key_close(keys[i]);
}

/* One that is replaced, and wanted again while the pool is suspended. */
static void a_revived_key_waits_for_the_resume(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	struct kolk_key *old, *new, *again;
	struct kolk_lease lease;

	who.tenant = "t";
	who.credential = "a";
	who.credential_size = 1;
	assert_int_equal(kolk_key_open(fix->pool, &who, &old), KOLK_OK);
	who.credential = "b";
	who.replaces = 1;
	assert_int_equal(kolk_key_open(fix->pool, &who, &new), KOLK_OK);
	assert_int_equal(kolk_pool_suspend(fix->pool, 0), KOLK_OK);
	who.credential = "a";
	who.replaces = 0;
	assert_int_equal(kolk_key_open(fix->pool, &who, &again), KOLK_OK);
	assert_ptr_equal(old, again);
	assert_int_equal(take(fix, again, &lease), KOLK_E_DRAINING);
	fixture_run(fix, 10 * KOLK_MS_NS);
	assert_int_equal(kolk_pool_resume(fix->pool), KOLK_OK);
	assert_int_equal(take(fix, again, &lease), KOLK_OK);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	kolk_key_close(old);
	kolk_key_close(new);
	kolk_key_close(again);
}

static void a_drain_for_good_is_no_suspension(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	struct kolk_key *key;

	assert_int_equal(kolk_pool_suspend(fix->pool, 0), KOLK_OK);
	assert_int_equal(kolk_pool_drain(fix->pool, 0), KOLK_OK);
	assert_false(info_of(fix->pool).suspended);
	assert_int_equal(kolk_pool_suspend(fix->pool, 0), KOLK_OK);
	assert_false(info_of(fix->pool).suspended);
	fixture_run(fix, 10 * KOLK_MS_NS);
	assert_int_equal(kolk_key_open(fix->pool, &who, &key), KOLK_E_DRAINING);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)
/* ---- the deadline passes while an operation ends: one of the two closes the connection */

static void pass_deadline(void *user)
{
	struct fixture *fix = user;

	assert_int_equal(kolk_pool_suspend(fix->pool, kolk__sim_now(fix->sim)), KOLK_OK);
	(void)kolk_engine_maintain(fix->engine);
}

static void a_lease_is_revoked_once(void **state)
{
	struct fixture *fix = *state;
	bool came = true;

	for (int place = 0; came; place++) {
		const struct intruder other = { place, pass_deadline, fix, false };
		uint64_t revoked = stats_of(fix->pool).destroyed[KOLK_REASON_REVOKED];
		struct kolk_lease lease;
		enum kolk_err err;

		assert_int_equal(take(fix, fix->key, &lease), KOLK_OK);
		(void)intruder_waits(&other);
		err = kolk_send_all(&lease, "x", 1, kolk__sim_now(fix->sim) + KOLK_S_NS);
		came = intruder_came();
		if (!came)
			assert_int_equal(err, KOLK_OK);
		(void)kolk_discard(&lease); /* stale, when it was revoked */
		fixture_run(fix, 20 * KOLK_MS_NS);
		assert_int_equal(kolk_check(fix->engine, NULL), KOLK_OK);
		revoked = stats_of(fix->pool).destroyed[KOLK_REASON_REVOKED] - revoked;
		assert_in_range(revoked, 0, came);
		assert_int_equal(kolk_pool_resume(fix->pool), KOLK_OK);
	}
}

static uint64_t misuse(const struct fixture *fix)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	assert_int_equal(kolk_engine_stats(fix->engine, &stats), KOLK_OK);
	return stats.misuse;
}

/* What a holder does next that has not been told: no bug of the program. */
static void uses_go_on(struct kolk_lease lease)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);

	assert_int_equal(kolk_lease_info(&lease, &info), KOLK_E_LEASE_STALE);
	assert_int_equal(kolk_lease_pin(&lease), KOLK_E_LEASE_STALE);
	assert_int_equal(kolk_release(&lease), KOLK_E_LEASE_STALE);
}

static void a_revoke_is_no_misuse(void **state)
{
	struct fixture *fix = *state;
	struct kolk_lease lease;

	assert_int_equal(take(fix, fix->key, &lease), KOLK_OK);
	pass_deadline(fix);
	uses_go_on(lease); /* its connection is closing */
	fixture_run(fix, 20 * KOLK_MS_NS);
	assert_int_equal(stats_of(fix->pool).destroyed[KOLK_REASON_REVOKED], 1);
	uses_go_on(lease); /* it is closed */
	assert_int_equal(misuse(fix), 0);
	assert_int_equal(kolk_pool_resume(fix->pool), KOLK_OK);
	assert_int_equal(take(fix, fix->key, &lease), KOLK_OK);
	assert_int_equal(kolk_discard(&(struct kolk_lease){ lease.connection, lease.ticket }), KOLK_OK);
	uses_go_on(lease); /* a bug */
	assert_int_equal(misuse(fix), 3);
}

/* Revoke the lease, and lease another connection in the same memory. */
static void revoke_and_take(struct fixture *fix, const struct kolk_lease *lease,
			    struct kolk_lease *next)
{
	pass_deadline(fix);
	fixture_run(fix, 20 * KOLK_MS_NS);
	assert_int_equal(kolk_pool_resume(fix->pool), KOLK_OK);
	assert_int_equal(take(fix, fix->key, next), KOLK_OK);
	assert_ptr_equal(lease->connection, next->connection);
}

/* A holder that waits for its own client may notice only after its connection's memory has been
 * dialled, leased and revoked again. */
static void a_revoke_is_no_misuse_later(void **state)
{
	struct fixture *fix = *state;
	struct kolk_lease first, second, third;

	assert_int_equal(take(fix, fix->key, &first), KOLK_OK);
	revoke_and_take(fix, &first, &second);
	uses_go_on(first);
	assert_int_equal(misuse(fix), 0);
	revoke_and_take(fix, &second, &third);
	uses_go_on(first);
	uses_go_on(second);
	assert_int_equal(misuse(fix), 0);
	assert_int_equal(kolk_release(&third), KOLK_OK);
	uses_go_on(third); /* a bug */
	assert_int_equal(misuse(fix), 3);
}

static const struct CMUnitTest tests[] = {
	TEST(handles_are_good_again),
	TEST(before_the_last_lease_ended),
	TEST(what_is_done_meanwhile_holds),
	TEST(what_was_replaced_before_stays_so),
	TEST(a_replaced_key_stays_replaced),
	TEST(a_revived_key_waits_for_the_resume),
	TEST(a_drain_for_good_is_no_suspension),
	TEST(a_lease_is_revoked_once),
	TEST(a_revoke_is_no_misuse),
	TEST(a_revoke_is_no_misuse_later),
};

CMOCKA_TESTS(drain, tests);
