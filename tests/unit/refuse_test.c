/* SPDX-License-Identifier: Apache-2.0 */
/* refuse_test.c - refuse.c: each caller that gets no connection is counted once, and why. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "core/engine.h"

struct caller {
	struct kolk_acquire acquire;
	struct kolk_lease lease;
	enum kolk_err err;
};

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct caller *caller = user;

	caller->err = err;
	if (err == KOLK_OK)
		caller->lease = *lease;
}

static enum kolk_err begin(struct fixture *fix, struct kolk_key *key, struct caller *caller,
			   uint64_t wait_ns)
{
	*caller = (struct caller){ .err = KOLK_PENDING };
	return kolk_acquire_async(kolk_engine_loop(fix->engine, 0), key,
				  kolk__sim_now(fix->sim) + wait_ns, &caller->acquire, on_lease,
				  caller);
}

static void fill(struct fixture *fix, struct kolk_key *key, struct caller *callers, int count)
{
	for (int i = 0; i < count; i++)
		(void)begin(fix, key, &callers[i], KOLK_S_NS);
	fixture_run(fix, 20 * KOLK_MS_NS);
	for (int i = 0; i < count; i++)
		assert_int_equal(callers[i].err, KOLK_OK);
}

static void empty(struct caller *callers, int count)
{
	for (int i = 0; i < count; i++)
		assert_int_equal(kolk_release(&callers[i].lease), KOLK_OK);
}

/* One of this reason more, in the statistics of pool and engine, and of its tenant when one is
 * named; and the sums hold. */
static void assert_refused(struct fixture *fix, struct kolk_pool *pool, const char *tenant,
			   enum kolk_refusal why, uint64_t count)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats), all = KOLK_INIT(kolk_stats);
	struct kolk_tenant_stats t = KOLK_INIT(kolk_tenant_stats);
	uint64_t sum = 0;

	assert_int_equal(kolk_pool_stats(pool, &stats), KOLK_OK);
	assert_int_equal(kolk_engine_stats(fix->engine, &all), KOLK_OK);
	assert_int_equal(stats.refused[why], count);
	assert_true(all.refused[why] >= count);
	for (int i = 0; i < KOLK_REFUSALS; i++)
		sum += stats.refused[i];
	assert_int_equal(sum, stats.rejected + stats.timeouts);
	assert_int_equal(kolk_check(fix->engine, NULL), KOLK_OK);
	if (tenant == NULL)
		return;
	assert_int_equal(kolk_tenant_stats(fix->engine, tenant, &t), KOLK_OK);
	assert_int_equal(t.refused[why], count);
}

static void by_the_limit_of_the_key(void **state)
{
	struct fixture *fix = *state;
	struct caller holders[4], caller;

	fill(fix, fix->key, holders, 4);
	assert_int_equal(begin(fix, fix->key, &caller, 5 * KOLK_MS_NS), KOLK_PENDING);
	fixture_run(fix, 10 * KOLK_MS_NS);
	assert_int_equal(caller.err, KOLK_E_TIMEOUT);
	assert_refused(fix, fix->pool, "", KOLK_REFUSAL_KEY_LIMIT, 1);
	empty(holders, 4);
}

static void by_the_limit_of_the_tenant(void **state)
{
	struct fixture *fix = *state;
	struct kolk_tenant_limits limits = KOLK_INIT(kolk_tenant_limits);
	struct kolk_key *key = key_of(fix->pool, "t");
	struct caller holders[2], caller;

	limits.connections_max = 2;
	assert_int_equal(kolk_tenant_limits_set(fix->engine, "t", &limits), KOLK_OK);
	fill(fix, key, holders, 2);
	assert_int_equal(begin(fix, key, &caller, 5 * KOLK_MS_NS), KOLK_PENDING);
	fixture_run(fix, 10 * KOLK_MS_NS);
	assert_int_equal(caller.err, KOLK_E_TIMEOUT);
	assert_refused(fix, fix->pool, "t", KOLK_REFUSAL_TENANT_LIMIT, 1);
	empty(holders, 2);
	kolk_key_close(key);
}

static void by_the_limit_of_the_pool(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_pool *pool;
	struct kolk_key *one, *two;
	struct caller holders[2], caller;

	o.name = "two";
	o.address = "192.0.2.2:7";
	o.pool_connections_max = 2;
	pool = pool_of(fix, &o);
	one = key_of(pool, "one");
	two = key_of(pool, "two");
	fill(fix, one, holders, 2);
	assert_int_equal(begin(fix, two, &caller, 5 * KOLK_MS_NS), KOLK_PENDING);
	fixture_run(fix, 10 * KOLK_MS_NS);
	assert_int_equal(caller.err, KOLK_E_TIMEOUT);
	assert_refused(fix, pool, "two", KOLK_REFUSAL_POOL_LIMIT, 1);
	empty(holders, 2);
	kolk_key_close(one);
	kolk_key_close(two);
}

static void by_the_limit_of_the_engine(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key *one = key_of(fix->pool, "one"), *two = key_of(fix->pool, "two");
	struct kolk_key *late = key_of(fix->pool, "late");
	struct caller holders[8], caller;

	fill(fix, one, holders, 4);
	fill(fix, two, holders + 4, 4);
	assert_int_equal(begin(fix, late, &caller, 5 * KOLK_MS_NS), KOLK_PENDING);
	fixture_run(fix, 10 * KOLK_MS_NS);
	assert_int_equal(caller.err, KOLK_E_TIMEOUT);
	assert_refused(fix, fix->pool, "late", KOLK_REFUSAL_ENGINE_LIMIT, 1);
	empty(holders, 8);
	kolk_key_close(one);
	kolk_key_close(two);
	kolk_key_close(late);
}

static void by_keys_that_are_too_many(void **state)
{
	struct fixture *fix = *state;
	struct kolk_tenant_limits limits = KOLK_INIT(kolk_tenant_limits);
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	struct kolk_key *key = key_of(fix->pool, "t"), *more;

	limits.keys_max = 1;
	assert_int_equal(kolk_tenant_limits_set(fix->engine, "t", &limits), KOLK_OK);
	who.tenant = "t";
	who.session = "another";
	assert_int_equal(kolk_key_open(fix->pool, &who, &more), KOLK_E_LIMIT);
	assert_refused(fix, fix->pool, "t", KOLK_REFUSAL_TENANT_LIMIT, 1);
	kolk_key_close(key);
}

static void by_a_full_queue_and_a_drain(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	struct kolk_pool *pool;
	struct kolk_key *key, *late;
	struct caller holder, waiter, caller;

	o.name = "narrow";
	o.address = "192.0.2.2:7";
	o.connections_max = 1;
	o.waiters_max = 1;
	pool = pool_of(fix, &o);
	key = key_of(pool, "t");
	fill(fix, key, &holder, 1);
	assert_int_equal(begin(fix, key, &waiter, KOLK_S_NS), KOLK_PENDING);
	assert_int_equal(begin(fix, key, &caller, KOLK_S_NS), KOLK_E_QUEUE_FULL);
	assert_refused(fix, pool, "t", KOLK_REFUSAL_QUEUE_FULL, 1);
	assert_int_equal(kolk_pool_drain(pool, KOLK_FOREVER), KOLK_OK);
	assert_int_equal(begin(fix, key, &caller, KOLK_S_NS), KOLK_E_DRAINING);
	who.tenant = "t";
	assert_int_equal(kolk_key_open(pool, &who, &late), KOLK_E_DRAINING);
	assert_refused(fix, pool, "t", KOLK_REFUSAL_DRAINING, 3);
	fixture_run(fix, KOLK_MS_NS);
	assert_int_equal(waiter.err, KOLK_E_DRAINING);
	empty(&holder, 1);
	kolk_key_close(key);
}

static void by_a_dial_that_fails_and_the_circuit(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_pool *pool;
	struct kolk_key *key;
	struct caller caller;

	o.name = "down";
	o.address = "192.0.2.2:7";
	o.circuit_failures = 1;
	o.retry_interval_ns = o.retry_max_ns = 60 * KOLK_S_NS;
	pool = pool_of(fix, &o);
	key = key_of(pool, "t");
	kolk__sim_outage(fix->sim, KOLK_FOREVER);
	assert_int_equal(begin(fix, key, &caller, KOLK_S_NS), KOLK_PENDING);
	fixture_run(fix, 50 * KOLK_MS_NS);
	assert_int_equal(caller.err, KOLK_E_CONN_REFUSED);
	for (int i = 0; i < 7; i++)
		assert_int_equal(begin(fix, key, &caller, KOLK_S_NS), KOLK_E_CIRCUIT);
	assert_refused(fix, pool, "t", KOLK_REFUSAL_CIRCUIT, 7);
	assert_refused(fix, pool, "t", KOLK_REFUSAL_DIAL_FAILED, 1);
	kolk_key_close(key);
}

static void not_those_who_do_not_wait(void **state)
{
	struct fixture *fix = *state;
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	struct kolk_lease lease;

	assert_int_equal(kolk_try_acquire(fix->key, &lease), KOLK_E_EMPTY);
	assert_int_equal(kolk_acquire(fix->key, 1, &lease), KOLK_E_TIMEOUT);
	assert_int_equal(kolk_pool_stats(fix->pool, &stats), KOLK_OK);
	assert_int_equal(stats.rejected + stats.timeouts, 0);
}

/* ---- the log */

struct lines {
	int count;
	char last[256];
};

static void on_log(void *user, enum kolk_log_level level, const char *subject, const char *text)
{
	struct lines *lines = user;

	if (level != KOLK_LOG_WARN || strcmp(subject, "acquire") != 0)
		return;
	lines->count++;
	(void)strncpy(lines->last, text, sizeof lines->last - 1);
}

/* 300 refusals are two lines: the first, and ten seconds later the others. */
static void a_line_in_ten_seconds(void **state)
{
	struct fixture *fix = *state;
	struct lines lines = { 0 };
	struct caller holders[4], caller;

	fix->engine->on_log = on_log;
	fix->engine->log_user = &lines;
	fix->engine->log_level = KOLK_LOG_WARN;
	fill(fix, fix->key, holders, 4);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(begin(fix, fix->key, &caller, 50 * KOLK_US_NS), KOLK_PENDING);
		fixture_run(fix, KOLK_MS_NS);
		assert_int_equal(caller.err, KOLK_E_TIMEOUT);
	}
	assert_int_equal(lines.count, 1);
	assert_string_equal(lines.last, "pool test: callers refused: 1: the key has all its "
					"connections, and none came back in time");
	fixture_run(fix, 10 * KOLK_S_NS);
	assert_int_equal(lines.count, 2);
	assert_non_null(strstr(lines.last, "callers refused: 299: "));
	fixture_run(fix, 20 * KOLK_S_NS);
	assert_int_equal(lines.count, 2);
	empty(holders, 4);
	fix->engine->on_log = NULL;
}

static void every_reason_has_a_name(void **state)
{
	(void)state;
	assert_string_equal(kolk_refusal_name(KOLK_REFUSAL_QUEUE_FULL), "queue_full");
	assert_string_equal(kolk_refusal_name(KOLK_REFUSAL_TIMEOUT), "timeout");
	assert_string_equal(kolk_refusal_name(KOLK_REFUSALS), "unknown");
	for (int i = 0; i < KOLK_REFUSALS; i++)
		assert_true(strlen(kolk_refusal_text((enum kolk_refusal)i)) > 10);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)
static const struct CMUnitTest tests[] = {
	TEST(by_the_limit_of_the_key),
	TEST(by_the_limit_of_the_tenant),
	TEST(by_the_limit_of_the_pool),
	TEST(by_the_limit_of_the_engine),
	TEST(by_keys_that_are_too_many),
	TEST(by_a_full_queue_and_a_drain),
	TEST(by_a_dial_that_fails_and_the_circuit),
	TEST(not_those_who_do_not_wait),
	TEST(a_line_in_ten_seconds),
	cmocka_unit_test(every_reason_has_a_name),
};

CMOCKA_TESTS(refuse, tests);
