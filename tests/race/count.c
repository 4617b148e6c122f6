/* SPDX-License-Identifier: Apache-2.0 */
/*
 * count.c - keys count for the first time while another thread adds up: the memory of the counts
 * appears beside its readers.
 */
#define _GNU_SOURCE
#include <pthread.h>

#include <kolk/kolk.h>

#include "core/base/atomic.h"
#include "tests/kit/tap.h"
#include "tests/race/race.h"

struct count {
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	kolk__atomic_u32 stop;
	kolk__atomic_u64 sums;
};

static enum kolk_err thing_create(void *user, void **resource)
{
	*resource = user;
	return KOLK_OK;
}

static const struct kolk_resource_driver thing = { .size = sizeof thing, .name = "thing",
						   .create = thing_create };

static void *add_up(void *arg)
{
	struct count *count = arg;

	while (!kolk__load_relaxed(&count->stop)) {
		struct kolk_stats stats = KOLK_INIT(kolk_stats);
		struct kolk_key_info infos[4];
		uint64_t cursor = 0;

		CHECK_ERR(kolk_pool_stats(count->pool, &stats), KOLK_OK);
		while (kolk_pool_keys(count->pool, &cursor, infos, 4) > 0)
			;
		kolk__add_relaxed(&count->sums, 1);
	}
	return NULL;
}

/* A new key each time: it is recycled when it is closed. To warm it is what counts first. */
static void first_count(struct count *count)
{
	struct kolk_key_options o = KOLK_INIT(kolk_key_options);
	struct kolk_key *key;

	o.tenant = "one";
	if (!CHECK_ERR(kolk_key_open(count->pool, &o, &key), KOLK_OK))
		return;
	CHECK_ERR(kolk_key_warm(key, kolk_in_ms(10000)), KOLK_OK);
	kolk_key_close(key);
}

static bool count_open(struct count *count)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	o.name = "things";
	o.resource = &thing;
	o.driver_user = count;
	o.idle_min = KOLK_NONE;
	return CHECK_ERR(kolk_engine_create(&e, &count->engine), KOLK_OK) &&
	       CHECK_ERR(kolk_pool_add(count->engine, &o, &count->pool), KOLK_OK);
}

static void counts(void)
{
	uint64_t began_ms = tap_now_ms(), keys = 0;
	struct count count = { 0 };
	pthread_t thread;

	MUST(count_open(&count));
	MUST(pthread_create(&thread, NULL, add_up, &count) == 0);
	for (; race_goes_on(began_ms, keys > 0 ? kolk__load_relaxed(&count.sums) : 0, 1); keys++)
		first_count(&count);
	kolk__store_relaxed(&count.stop, 1);
	pthread_join(thread, NULL);
	CHECK_ERR(kolk_check(count.engine, NULL), KOLK_OK);
	CHECK_ERR(kolk_engine_destroy(count.engine), KOLK_OK);
	CHECK(keys > 0 && kolk__own(&count.sums) > 0);
	tap_note("%llu keys, added up %llu times", (unsigned long long)keys,
		 (unsigned long long)kolk__own(&count.sums));
}

static const struct tap_test tests[] = { { "first counts of keys are added up", counts } };

TAP_TESTS(count, tests);
