/* SPDX-License-Identifier: Apache-2.0 */
/* inspect_test.c - inspect.c: what is shown is what is there. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/atomic.h"

static struct kolk_lease take(struct fixture *fix, struct kolk_key *key)
{
	struct kolk_lease lease;

	assert_int_equal(kolk_acquire(key, kolk__sim_now(fix->sim) + KOLK_S_NS, &lease), KOLK_OK);
	return lease;
}

static struct kolk_key *open_key(struct fixture *fix, const char *tenant, const char *session,
			       const char *credential)
{
	return key_with(fix->pool, (struct kolk_key_options){ .tenant = tenant, .session = session,
							      .credential = credential });
}

static void the_engine_reports_its_limits(void **state)
{
	struct fixture *fix = *state;
	struct kolk_engine_info info = KOLK_INIT(kolk_engine_info);

	fixture_run(fix, KOLK_S_NS);
	assert_int_equal(kolk_engine_inspect(fix->engine, &info), KOLK_OK);
	assert_int_equal(info.loops, 1);
	assert_int_equal(info.connections_max, 8);
	assert_int_equal(info.connections_reserved, 8);
	assert_int_equal(info.waiters_max, 10000);
	assert_int_equal(info.draining, 0);
	assert_true(info.age_ns >= KOLK_S_NS && info.age_ns < 2 * KOLK_S_NS);
	assert_int_equal(kolk_engine_drain(fix->engine, KOLK_FOREVER), KOLK_OK);
	assert_int_equal(kolk_engine_inspect(fix->engine, &info), KOLK_OK);
	assert_int_equal(info.draining, 1);
	info.size--;
	assert_int_equal(kolk_engine_inspect(fix->engine, &info), KOLK_E_OPTIONS);
}

static void pools_keep_their_numbers(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_pool_info info = KOLK_INIT(kolk_pool_info);
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	struct kolk_pool *second;

	o.name = "second";
	o.address = "tcp://[2001:db8::1]:7";
	o.idle_min = KOLK_NONE;
	assert_ptr_equal(kolk_engine_pool(fix->engine, 0), fix->pool);
	assert_null(kolk_engine_pool(fix->engine, 1));
	assert_int_equal(kolk_pool_add(fix->engine, &o, &second), KOLK_OK);
	assert_ptr_equal(kolk_engine_pool(fix->engine, 0), fix->pool);
	assert_ptr_equal(kolk_engine_pool(fix->engine, 1), second);
	assert_null(kolk_engine_pool(fix->engine, 2));
	assert_int_equal(kolk_pool_inspect(second, &info), KOLK_OK);
	assert_string_equal(info.name, "second");
	assert_string_equal(info.address, "[2001:db8::1]:7");
	assert_true(info.tls == 0 && info.resource == 0 && info.draining == 0);
	assert_true(info.connections_max == 10 && info.idle_min == 0 && info.waiters_max == 1000);
	assert_int_equal(info.idle_timeout_ns, 30 * KOLK_S_NS);
	assert_int_equal(info.failure.err, KOLK_OK);
	/* A handle that was closed is told from one that is good. */
	assert_int_equal(kolk_pool_close(second, KOLK_FOREVER), KOLK_OK);
	assert_int_equal(kolk_pool_inspect(second, &info), KOLK_E_NOT_FOUND);
	assert_int_equal(kolk_pool_stats(second, &stats), KOLK_E_NOT_FOUND);
	assert_null(kolk_engine_pool(fix->engine, 1));
}

static void keys_are_listed_in_pieces(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key *a = open_key(fix, "alice", "s1", "secret"), *b = open_key(fix, "bob", NULL, NULL);
	struct kolk_lease lease = take(fix, a);
	struct kolk_key_info info[2];
	uint64_t cursor = 0;

	assert_int_equal(kolk_pool_keys(fix->pool, &cursor, info, 2), 2);
	assert_string_equal(info[0].tenant, "bob");
	assert_true(info[0].open == 0 && info[0].has_credential == 0 && info[0].handles == 1);
	assert_string_equal(info[1].tenant, "alice");
	assert_string_equal(info[1].session, "s1");
	assert_true(info[1].has_credential == 1 && info[1].leased == 1 && info[1].acquired == 1);
	/* A key that is added between two pieces is not listed, and moves nothing. */
	open_key(fix, "carol", NULL, NULL);
	assert_int_equal(kolk_pool_keys(fix->pool, &cursor, info, 2), 1);
	assert_string_equal(info[0].tenant, "");
	assert_int_equal(kolk_pool_keys(fix->pool, &cursor, info, 2), 0);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	kolk_key_close(a);
	kolk_key_close(b);
}

/* The key that was listed last is closed before the next piece is asked for: the place is found by
 * its number, also when its memory is another key's by then. */
static void the_place_in_a_list_outlives_its_key(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key *keys[3] = { open_key(fix, "a", NULL, NULL), open_key(fix, "b", NULL, NULL),
				     open_key(fix, "c", NULL, NULL) };
	struct kolk_key_info info;
	uint64_t cursor = 0;

	assert_int_equal(kolk_pool_keys(fix->pool, &cursor, &info, 1), 1);
	assert_string_equal(info.tenant, "c");
	assert_int_equal(kolk_pool_keys(fix->pool, &cursor, &info, 1), 1);
	assert_string_equal(info.tenant, "b");
	kolk_key_close(keys[1]);
	keys[1] = open_key(fix, "d", NULL, NULL);
	assert_int_equal(kolk_pool_keys(fix->pool, &cursor, &info, 1), 1);
	assert_string_equal(info.tenant, "a");
	for (int i = 0; i < 3; i++)
		kolk_key_close(keys[i]);
	assert_int_equal(kolk_pool_keys(fix->pool, &cursor, &info, 1), 1);
	assert_string_equal(info.tenant, "");
	assert_int_equal(kolk_pool_keys(fix->pool, &cursor, &info, 1), 0);
}

static void connections_are_listed_with_their_times(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key *key = open_key(fix, "alice", NULL, NULL);
	struct kolk_connection_info info[8], one;
	struct kolk_lease lease = take(fix, key), other = take(fix, key);
	struct kolk_loop_info loop = KOLK_INIT(kolk_loop_info);
	uint64_t cursor = 0;
	size_t count, leased = 0;

	assert_int_equal(kolk_lease_tag(&lease, 77), KOLK_OK);
	assert_int_equal(kolk_release(&other), KOLK_OK);
	fixture_run(fix, 2 * KOLK_S_NS);
	count = kolk_engine_connections(fix->engine, &cursor, info, 8);
	assert_true(count >= 2);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(info[i].pool, "test");
		assert_string_equal(info[i].tenant, "alice");
		assert_true(info[i].age_ns >= 2 * KOLK_S_NS);
		if (info[i].state == KOLK_STATE_IDLE)
			assert_true(info[i].idle_ns >= 2 * KOLK_S_NS && info[i].tag == 0);
		if (info[i].state != KOLK_STATE_LEASED)
			continue;
		leased++;
		assert_true(info[i].leased_ns >= 2 * KOLK_S_NS && info[i].overdue == 0);
		assert_true(info[i].tag == 77 && info[i].uses == 1);
	}
	assert_int_equal(leased, 1);
	assert_int_equal(kolk_engine_connections(fix->engine, &cursor, info, 8), 0);
	cursor = 0;
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(kolk_engine_connections(fix->engine, &cursor, &one, 1), 1);
		assert_int_equal(one.number, info[i].number);
	}
	assert_int_equal(kolk_loop_inspect(kolk_engine_loop(fix->engine, 0), &loop), KOLK_OK);
	assert_true(loop.connections == count && loop.leased == 1);
	fixture_run(fix, 60 * KOLK_S_NS);
	cursor = 0;
	count = kolk_engine_connections(fix->engine, &cursor, info, 8);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(info[i].overdue, info[i].state == KOLK_STATE_LEASED);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	kolk_key_close(key);
}

static void a_failed_dial_is_reported(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_info pool = KOLK_INIT(kolk_pool_info);
	struct kolk_key_info key;
	struct kolk_lease lease;
	uint64_t cursor = 0;

	kolk__sim_chance(fix->sim, KOLK__SIM_REFUSED, 65536);
	assert_int_equal(kolk_acquire(fix->key, kolk__sim_now(fix->sim) + KOLK_S_NS, &lease),
			 KOLK_E_CONN_REFUSED);
	assert_int_equal(kolk_pool_inspect(fix->pool, &pool), KOLK_OK);
	assert_int_equal(pool.failure.err, KOLK_E_CONN_REFUSED);
	assert_int_equal(pool.failure.phase, KOLK_PHASE_CONNECT);
	assert_true(pool.failure_at_ns != 0 && pool.failure_at_ns <= kolk__sim_now(fix->sim));
	assert_true(pool.dial_failures >= 1);
	assert_int_equal(kolk_pool_keys(fix->pool, &cursor, &key, 1), 1);
	assert_true(key.last_err == KOLK_E_CONN_REFUSED && key.failures >= 1);
}

static void counts_are_cumulative(void **state)
{
	struct fixture *fix = *state;
	const uint64_t bounds[] = { 1, KOLK_S_NS, 100 * KOLK_S_NS };
	uint64_t counts[3], total, sum;
	struct kolk_lease lease = take(fix, fix->key);

	kolk_pool_buckets(fix->pool, KOLK_METRIC_DIAL, bounds, 3, counts, &total, &sum);
	assert_true(total >= 1 && counts[0] == 0 && counts[1] == total && counts[2] == total);
	assert_true(sum > 0 && sum < total * KOLK_S_NS);
	kolk_pool_buckets(fix->pool, KOLK_METRIC_LEASE, bounds, 3, counts, &total, &sum);
	assert_true(total == 0 && sum == 0 && counts[2] == 0);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
}

static void every_state_has_a_name(void **state)
{
	(void)state;
	for (int i = 0; i < KOLK_STATES; i++)
		assert_string_not_equal(kolk_state_name((enum kolk_state)i), "unknown");
	assert_string_equal(kolk_state_name(KOLK_STATES), "unknown");
	assert_string_equal(kolk_circuit_name(KOLK_CIRCUIT_HALF_OPEN), "half-open");
	assert_string_equal(kolk_circuit_name((enum kolk_circuit)9), "unknown");
}

struct logged {
	char text[2048];
};

static void on_log(void *user, enum kolk_log_level level, const char *subject, const char *text)
{
	struct logged *logged = user;

	(void)level;
	if (strcmp(subject, "drain") == 0)
		(void)snprintf(logged->text, sizeof logged->text, "%s", text);
}

/* What a name is made of neither begins a line of the log nor moves a terminal's cursor. */
static void names_forge_no_lines_of_the_log(void **state)
{
	static const char *const names[][2] = {
		{ "plain", "plain" },
		{ "a\nadmin: POST /api/evict: 200", "a\\x0aadmin: POST /api/evict: 200" },
		{ "\r\t\v", "\\x0d\\x09\\x0b" },
		{ "\x1b[31mred\x7f", "\\x1b[31mred\\x7f" },
		{ "K\xc3\xb6ln \xe6\x97\xa5 \xf0\x9f\x90\xa6", "K\xc3\xb6ln \xe6\x97\xa5 \xf0\x9f\x90\xa6" },
		{ "\xc2\x9b" "31m", "\\xc2\\x9b31m" },
		{ "\xe2\x80\xa8\xe2\x80\xa9", "\\xe2\\x80\\xa8\\xe2\\x80\\xa9" },
		{ "\xe2\x80\xae\xd8\x9c", "\\xe2\\x80\\xae\\xd8\\x9c" },
		{ "\xff\xc3", "\\xff\\xc3" },
		{ "\xc0\x8a\xe0\x80\x8a", "\\xc0\\x8a\\xe0\\x80\\x8a" },
		{ "\xed\xa0\x80\xf4\x90\x80\x80", "\\xed\\xa0\\x80\\xf4\\x90\\x80\\x80" },
	};
	struct fixture *fix = *state;
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);
	struct logged logged = { .text = "" };
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	char expected[2048];

	e.loops = 1;
	e.loop_owner = KOLK_LOOPS_EMBEDDER;
	e.sys = kolk__sim_sys(fix->sim);
	e.log_level = KOLK_LOG_INFO;
	e.on_log = on_log;
	e.log_user = &logged;
	assert_int_equal(kolk_engine_create(&e, &engine), KOLK_OK);
	p.address = "192.0.2.1:7";
	p.idle_min = KOLK_NONE;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		p.name = names[i][0];
		assert_int_equal(kolk_pool_add(engine, &p, &pool), KOLK_OK);
		assert_int_equal(kolk_pool_drain(pool, KOLK_FOREVER), KOLK_OK);
		(void)snprintf(expected, sizeof expected, "pool %s is closed", names[i][1]);
		assert_string_equal(logged.text, expected);
	}
	assert_int_equal(kolk_engine_destroy(engine), KOLK_OK);
}

/* ---- handles */

struct seen {
	struct kolk_pool *pool;
	uint32_t handles; /* of tenant "a", when a failed dial was logged */
	kolk__atomic_u32 told; /* times that what it listens for was told */
};

static enum kolk_err create_nothing(void *user, void **resource)
{
	(void)user, (void)resource;
	return KOLK_E_RESOURCE;
}

/* An engine with a pool of such resources: what happens there is told to seen. */
static struct kolk_engine *seen_open(struct seen *seen, struct kolk_engine_options *e,
				     const struct kolk_resource_driver *resource,
				     struct kolk_pool_options *p)
{
	struct kolk_engine *engine;

	e->log_user = e->event_user = seen;
	p->name = resource->name;
	p->resource = resource;
	assert_int_equal(kolk_engine_create(e, &engine), KOLK_OK);
	assert_int_equal(kolk_pool_add(engine, p, &seen->pool), KOLK_OK);
	return engine;
}

/* It is told on a thread of the library, at any time after what it tells of. */
static void await_told(struct seen *seen)
{
	for (int ms = 0; ms < 10000 && kolk__load_acquire(&seen->told) == 0; ms++)
		usleep(1000);
	assert_int_not_equal(kolk__load_acquire(&seen->told), 0);
}

static struct kolk_key_info key_of_tenant(struct kolk_pool *pool, const char *tenant)
{
	struct kolk_key_info info[4];
	uint64_t cursor = 0;
	size_t count = kolk_pool_keys(pool, &cursor, info, 4), i = 0;

	while (i < count && strcmp(info[i].tenant, tenant) != 0)
		i++;
	assert_true(i < count);
	return info[i];
}

static uint32_t handles_of(struct kolk_pool *pool, const char *tenant)
{
	return key_of_tenant(pool, tenant).handles;
}

static void look_when_logged(void *user, enum kolk_log_level level, const char *subject,
			     const char *text)
{
	struct seen *seen = user;

	(void)level, (void)text;
	if (strcmp(subject, "dial") != 0)
		return;
	seen->handles = handles_of(seen->pool, "a");
	kolk__add_acq_rel(&seen->told, 1);
}

/* Neither is a reference that the library holds while it logs, nor that of a caller by name. */
static void handles_are_opens_without_a_close(void **state)
{
	static const struct kolk_resource_driver nothing = {
		.size = sizeof nothing, .name = "nothing", .create = create_nothing,
	};
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);
	struct kolk_key_options a = KOLK_INIT(kolk_key_options);
	struct seen seen = { 0 };
	struct kolk_engine *engine;
	struct kolk_lease lease;
	struct kolk_key *key[2];

	(void)state;
	e.on_log = look_when_logged;
	e.log_level = KOLK_LOG_WARN;
	p.idle_min = KOLK_NONE;
	p.retry_interval_ns = p.retry_max_ns = KOLK_S_NS;
	engine = seen_open(&seen, &e, &nothing, &p);
	a.tenant = "a";
	assert_int_equal(kolk_key_open(seen.pool, &a, &key[0]), KOLK_OK);
	assert_int_equal(kolk_acquire_as(seen.pool, &a, kolk_in_ms(5000), &lease), KOLK_E_RESOURCE);
	await_told(&seen);
	assert_int_equal(seen.handles, 1);
	assert_int_equal(kolk_key_open(seen.pool, &a, &key[1]), KOLK_OK);
	assert_int_equal(handles_of(seen.pool, "a"), 2);
	kolk_key_close(key[0]);
	assert_int_equal(handles_of(seen.pool, "a"), 1);
	assert_int_equal(handles_of(seen.pool, ""), 1); /* the pool's own */
	kolk_key_close(key[1]);
	assert_int_equal(kolk_engine_destroy(engine), KOLK_OK);
	assert_int_equal(kolk__own(&seen.told), 1);
}

static enum kolk_err create_something(void *user, void **resource)
{
	(void)user;
	*resource = resource;
	return KOLK_OK;
}

/* On the thread that tells it, which holds a reference to the key. */
static void warm_when_overdue(void *user, const struct kolk_event *event)
{
	struct seen *seen = user;

	assert_int_equal(kolk_pool_warm(event->pool, 0), KOLK_OK);
	kolk__add_acq_rel(&seen->told, 1);
}

/* A key that callers look up each time keeps no idle_min. */
static void keys_with_handles_are_warmed(void **state)
{
	static const struct kolk_resource_driver something = {
		.size = sizeof something, .name = "something", .create = create_something,
	};
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);
	struct kolk_key_options a = KOLK_INIT(kolk_key_options);
	struct seen seen = { 0 };
	struct kolk_engine *engine;
	struct kolk_lease lease;

	(void)state;
	e.on_event = warm_when_overdue;
	e.event_mask = KOLK_EVENT_BIT(KOLK_EVENT_OVERDUE);
	p.idle_min = 2;
	p.lease_overdue_ns = 10 * KOLK_MS_NS;
	engine = seen_open(&seen, &e, &something, &p);
	a.tenant = "a";
	assert_int_equal(kolk_acquire_as(seen.pool, &a, kolk_in_ms(5000), &lease), KOLK_OK);
	await_told(&seen);
	assert_int_equal(key_of_tenant(seen.pool, "").open, 2); /* dialling, at least */
	assert_int_equal(key_of_tenant(seen.pool, "a").open, 1);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	assert_int_equal(kolk_engine_destroy(engine), KOLK_OK);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(the_engine_reports_its_limits, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(pools_keep_their_numbers, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(keys_are_listed_in_pieces, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(the_place_in_a_list_outlives_its_key, fixture_open,
					fixture_close),
	cmocka_unit_test_setup_teardown(connections_are_listed_with_their_times, fixture_open,
					fixture_close),
	cmocka_unit_test_setup_teardown(a_failed_dial_is_reported, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(counts_are_cumulative, fixture_open, fixture_close),
	cmocka_unit_test(every_state_has_a_name),
	cmocka_unit_test(handles_are_opens_without_a_close),
	cmocka_unit_test(keys_with_handles_are_warmed),
	cmocka_unit_test_setup_teardown(names_forge_no_lines_of_the_log, fixture_open, fixture_close),
};

CMOCKA_TESTS(inspect, tests);
