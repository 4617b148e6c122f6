/* SPDX-License-Identifier: Apache-2.0 */
/* maintain_test.c - maintain.c: what is surplus while others are pinged. */
#include "tests/unit/learn.h"

#include "core/engine.h"
#include "core/key.h"
#include "core/release.h"

#define IDLE_NS (10 * KOLK_S_NS)

/* Of two that are idle for too long one stays; the other one goes also while that is pinged. */
static void what_is_pinged_counts(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_lease leases[2];
	struct kolk__conn *conns[2];
	struct kolk_pool *pool;
	struct kolk_key *key;

	o.name = "kept";
	o.address = "192.0.2.3:7";
	o.driver = kolk_driver_redis_ping();
	o.idle_min = 1;
	o.idle_timeout_ns = IDLE_NS;
	o.ping_interval_ns = KOLK_FOREVER;
	pool = pool_of(fix, &o);
	key = key_of(pool, "t");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(take(fix, key, &leases[i]), KOLK_OK);
		conns[i] = leases[i].connection;
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
	assert_true(kolk__take_to_ping(conns[0]));
	kolk__sim_pass(fix->sim, IDLE_NS + KOLK_S_NS);
	(void)kolk_engine_maintain(fix->engine);
	assert_int_equal(kolk__conn_state(conns[1]), KOLK__CLOSING);
	kolk__ping(conns[0]);
	fixture_run(fix, 100 * KOLK_MS_NS);
	assert_int_equal(stats_of(pool).destroyed[KOLK_REASON_IDLE_TIMEOUT], 1);
	assert_int_equal(stats_of(pool).idle, 1);
	kolk_key_close(key);
}

static const struct CMUnitTest tests[] = { T(what_is_pinged_counts) };

CMOCKA_TESTS(maintain, tests);
