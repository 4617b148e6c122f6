/* SPDX-License-Identifier: Apache-2.0 */
/* acquire_test.c - acquire.c, miss.c: for how long a caller spins; what a refused one gets. */
#include "tests/unit/unit.h"

#include "core/engine.h"
#include "core/key.h"
#include "core/release.h"

#ifndef KOLK__ASSERTIONS
static const struct CMUnitTest tests[] = { cmocka_unit_test(accesses_are_not_seen) };
#else

/* ---- spinning: each access takes so long */

enum { ACCESS_NS = 50, LOOK_NS = 20 * ACCESS_NS, SPIN_NS = 3000, MAX = 4 };

static struct fixture *present;
static uint64_t locked_at_ns; /* when a lock was taken first */

static void time_passes(void)
{
	kolk__sim_pass(present->sim, ACCESS_NS);
}

static void on_lock(void *user, int change)
{
	(void)user;
	if (change > 0 && locked_at_ns == 0)
		locked_at_ns = kolk__sim_now(present->sim);
}

static void lease_all(struct fixture *fix, struct kolk_lease leases[MAX])
{
	for (int i = 0; i < MAX; i++)
		assert_int_equal(kolk_acquire(fix->key, kolk__sim_now(fix->sim) + KOLK_S_NS, &leases[i]),
				 KOLK_OK);
}

/* How long it spins, until it gives up or takes the key's lock. */
static uint64_t spins_for(struct fixture *fix, uint64_t wait_ns)
{
	uint64_t began_ns = kolk__sim_now(fix->sim);
	struct kolk_lease lease;

	present = fix;
	locked_at_ns = 0;
	fix->engine->on_lock = on_lock;
	kolk__on_access = time_passes;
	assert_int_equal(kolk_acquire(fix->key, began_ns + wait_ns, &lease), KOLK_E_TIMEOUT);
	kolk__on_access = NULL;
	fix->engine->on_lock = NULL;
	return (locked_at_ns != 0 ? locked_at_ns : kolk__sim_now(fix->sim)) - began_ns;
}

static void a_caller_spins_for_a_moment(void **state)
{
	struct fixture *fix = *state;
	struct kolk_lease leases[MAX];

	lease_all(fix, leases);
	assert_in_range(spins_for(fix, KOLK_MS_NS), SPIN_NS, SPIN_NS + 2 * LOOK_NS);
	assert_in_range(spins_for(fix, SPIN_NS / 4), SPIN_NS / 4, SPIN_NS / 4 + LOOK_NS);
	for (int i = 0; i < MAX; i++)
		assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
}

/* ---- refused: no lease */

static void drain(void *user)
{
	struct fixture *fix = user;

	assert_int_equal(kolk_pool_drain(fix->pool, KOLK_FOREVER), KOLK_OK);
}

/* The connection that its hit found has ended, and the pool drains before it is served by another. */
static void a_refused_caller_has_no_lease(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	int refused = 0;
	bool came = true;

	who.tenant = "t";
	kolk__store_relaxed(&fix->engine->page->clock_ns, kolk__sim_now(fix->sim));
	for (int place = 0; came; place++) {
		const struct intruder other = { place, drain, fix, false };
		uint64_t until_ns = kolk__sim_now(fix->sim) + KOLK_S_NS;
		struct kolk_lease lease;
		struct kolk__conn *conn = NULL;
		enum kolk_err err;

		for (int i = 0; i < 2; i++) { /* so that its cache has it */
			assert_int_equal(kolk_acquire_as(fix->pool, &who, until_ns, &lease), KOLK_OK);
			conn = lease.connection;
			assert_int_equal(kolk_release(&lease), KOLK_OK);
		}
		/* Its loop has seen the end, and is about to take it. */
		kolk__conn_set_retire_reason(conn, KOLK_REASON_PEER_CLOSED);
		(void)intruder_waits(&other);
		err = kolk_acquire_as(fix->pool, &who, until_ns, &lease);
		came = intruder_came();
		if (err == KOLK_OK) {
			assert_int_equal(kolk_release(&lease), KOLK_OK);
		} else {
			assert_int_equal(err, KOLK_E_DRAINING);
			assert_null(lease.connection);
			refused++;
		}
		if (kolk__conn_take(conn, KOLK__CLOSING))
			kolk__retire(conn, KOLK_REASON_PEER_CLOSED);
		fixture_run(fix, 10 * KOLK_MS_NS);
		assert_int_equal(kolk_pool_resume(fix->pool), KOLK_OK);
	}
	assert_true(refused > 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(a_caller_spins_for_a_moment, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(a_refused_caller_has_no_lease, fixture_open, fixture_close),
};
#endif

CMOCKA_TESTS(acquire, tests);
