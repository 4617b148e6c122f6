/* SPDX-License-Identifier: Apache-2.0 */
/* reload_load_test.c - a thousand reloads under load lose no request. */
#include "tests/kit/cmocka/run.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "tests/ops/reload.h"

struct load {
	struct kolk_key *key;
	kolk__atomic_bool stop;
	kolk__atomic_u64 requests;
	kolk__atomic_u64 failed;
	kolk__atomic_int first_err;
	kolk__atomic_u64 mixed;
};

static void *work(void *user)
{
	struct load *load = user;

	while (!kolk__load_relaxed(&load->stop)) {
		enum kolk_err err = request(load->key);

		kolk__add_relaxed(&load->requests, 1);
		if (err != KOLK_OK) {
			kolk__add_relaxed(&load->failed, 1);
			kolk__store_relaxed(&load->first_err, (int)err);
		}
	}
	return NULL;
}

/* All that a reload sets is seen at once: waiters_max is 50 more than connections_max. */
static void *inspect(void *user)
{
	struct load *load = user;
	struct kolk_pool *pool = kolk_key_pool(load->key);
	struct kolk_pool_info info = KOLK_INIT(kolk_pool_info);

	while (!kolk__load_relaxed(&load->stop))
		if (kolk_pool_inspect(pool, &info) != KOLK_OK ||
		    info.waiters_max != 50 + info.connections_max)
			kolk__add_relaxed(&load->mixed, 1);
	return NULL;
}

static void a_thousand_reloads_lose_nothing(void **state)
{
	struct fixture fixture;
	struct load load = { .stop = false };
	pthread_t threads[5];
	char text[600];

	(void)state;
	open_by(&fixture, "engine: {connections_max: 16, connections_reserved: 32, drain_grace: 5s}\n"
			"pools:\n- {name: a, address: '%A', limits: {waiters_max: 60}}\n");
	load.key = key_of(&fixture, "a", "alice");
	for (int i = 0; i < 5; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, i < 4 ? work : inspect, &load), 0);
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof text,
			 "engine: {connections_max: %d, connections_reserved: 32, drain_grace: 5s}\n"
			 "tenants: [{name: alice, connections_max: %d, weight: %d}]\n"
			 "pools:\n- name: a\n  address: '%s'\n"
			 "  limits: {connections_max: %d, waiters_max: %d, idle_min: 1}\n"
			 "  warm: [{tenant: w%d}]\n%s",
			 8 + i % 9, 2 + i % 5, 1 + i % 7, i / 10 % 2 ? "%B" : "%A", 1 + i % 6,
			 51 + i % 6, i % 3,
			 i % 4 == 3 ? "- {name: extra, address: '%B'}\n" : "");
		must_reload(&fixture, text);
		EVENTUALLY(kolk__load_relaxed(&load.requests) >= 20 * (uint64_t)i);
		if (i % 4 == 0 && i > 0) {
			struct kolk_pool *extra = kolk_pool_find(fixture.engine, "extra");

			EVENTUALLY(extra == NULL || kolk_pool_is_closed(extra));
			(void)kolk_config_reap(fixture.engine);
		}
	}
	kolk__store_relaxed(&load.stop, true);
	for (int i = 0; i < 5; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(kolk__own(&load.mixed), 0);
	if (kolk__own(&load.failed) != 0)
		fail_msg("%llu of %llu requests failed, one with %s",
			 (unsigned long long)kolk__own(&load.failed),
			 (unsigned long long)kolk__own(&load.requests),
			 kolk_err_name((enum kolk_err)kolk__own(&load.first_err)));
	print_message("# %llu requests during 1000 reloads\n",
		      (unsigned long long)kolk__own(&load.requests));
	kolk_key_close(load.key);
	fixture_close(&fixture);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_thousand_reloads_lose_nothing),
};

CMOCKA_TESTS(reload_load, tests);
