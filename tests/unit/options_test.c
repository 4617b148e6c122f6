/* SPDX-License-Identifier: Apache-2.0 */
/* options_test.c - every impossible value is refused by the name of its field, and nothing
 * is made. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/option.h"

static void expect_engine(struct fixture *fix, struct kolk_engine_options o, const char *field)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_engine *engine = (void *)1;

	o.sys = o.sys != NULL ? o.sys : kolk__sim_sys(fix->sim);
	if (o.loop_owner == KOLK_LOOPS_ENGINE)
		o.loop_owner = KOLK_LOOPS_EMBEDDER;
	o.failure = &failure;
	if (kolk_engine_create(&o, &engine) != KOLK_E_OPTIONS)
		fail_msg("accepted a wrong %s", field);
	assert_non_null(failure.field);
	assert_string_equal(failure.field, field);
	assert_int_equal(failure.err_class, KOLK_CLASS_USAGE);
	assert_null(engine);
}

#define ENGINE(field, ...)                                                           \
	do {                                                                         \
		struct kolk_engine_options o = KOLK_INIT(kolk_engine_options);       \
		__VA_ARGS__;                                                         \
		expect_engine(fix, o, field);                                        \
	} while (0)

static void engine_options(void **state)
{
	struct fixture *fix = *state;
	struct kolk_engine_options wrong_size = { .size = 7 };
	struct kolk_engine *engine;

	ENGINE("loops", o.loops = KOLK_LOOPS_MAX + 1);
	ENGINE("loops", o.loops = KOLK_NONE);
	ENGINE("loop_owner", o.loop_owner = 9);
	ENGINE("backend", o.backend = 9);
	ENGINE("connections_max", o.connections_max = KOLK_NONE);
	ENGINE("connections_max", o.connections_max = KOLK_CONNECTIONS_MAX + 1);
	ENGINE("loops_reserved", o.loops = 3; o.loops_reserved = 2);
	ENGINE("loops_reserved", o.loops_reserved = KOLK_LOOPS_MAX + 1);
	ENGINE("connections_reserved", o.connections_max = 8; o.connections_reserved = 7);
	ENGINE("keys_max", o.keys_max = KOLK_NONE);
	ENGINE("dials_max", o.dials_max = KOLK_NONE);
	ENGINE("event_mask", o.event_mask = KOLK_EVENT_ALL); /* without a callback */
	ENGINE("log_level", o.log_level = 17);
	ENGINE("tenant_connections_max", o.tenant_connections_max = KOLK_NONE);
	ENGINE("tenant_keys_max", o.tenant_keys_max = KOLK_NONE);
	ENGINE("maintenance_interval_ns", o.maintenance_interval_ns = 5);
	ENGINE("busy_poll_ns", o.busy_poll_ns = 10 * KOLK_MS_NS + 1);
	assert_int_equal(kolk_engine_create(&wrong_size, &engine), KOLK_E_OPTIONS);
}

static void expect_pool(struct fixture *fix, struct kolk_pool_options o, const char *field)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_pool *pool = (void *)1;
	uint32_t keys;
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	assert_int_equal(kolk_engine_stats(fix->engine, &stats), KOLK_OK);
	keys = stats.keys;
	o.failure = &failure;
	if (kolk_pool_add(fix->engine, &o, &pool) != KOLK_E_OPTIONS)
		fail_msg("accepted a wrong %s (address %s)", field, o.address);
	assert_non_null(failure.field);
	assert_string_equal(failure.field, field);
	assert_null(pool);
	assert_int_equal(kolk_engine_stats(fix->engine, &stats), KOLK_OK);
	assert_true(stats.keys == keys && stats.pools == 1);
}

#define POOL(field, ...)                                                         \
	do {                                                                     \
		struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);       \
		o.name = "x";                                                    \
		o.address = "192.0.2.1:80";                                      \
		__VA_ARGS__;                                                     \
		expect_pool(fix, o, field);                                      \
	} while (0)

static enum kolk_err make(void *user, void **resource)
{
	(void)user;
	(void)resource;
	return KOLK_E_RESOURCE;
}

static enum kolk_err make_for(void *user, struct kolk_resource_request *request, void **resource)
{
	(void)request;
	return make(user, resource);
}

static void pool_options(void **state)
{
	struct fixture *fix = *state;
	struct kolk_resource_driver no_create = { .size = sizeof no_create };
	struct kolk_resource_driver two_creates = { .size = sizeof two_creates, .create = make,
						    .create_for = make_for };
	struct kolk_driver odd_driver = { .size = 3 };
	char long_name[80];

	memset(long_name, 'x', sizeof long_name - 1);
	long_name[sizeof long_name - 1] = 0;
	POOL("name", o.name = NULL);
	POOL("name", o.name = "");
	POOL("name", o.name = long_name);
	POOL("address", o.address = NULL);
	POOL("isolation", o.isolation = 3);
	POOL("circuit_percent", o.circuit_percent = 101);
	POOL("eager_dials", o.eager_dials = 2);
	POOL("hopeless_waits", o.hopeless_waits = 2);
	POOL("mend_bytes_max", o.mend_bytes_max = KOLK_NONE);
	POOL("key_histograms", o.key_histograms = 2);
	POOL("auth_retry_ns", o.auth_retry_ns = KOLK_AT_ONCE);
	POOL("resource", o.address = NULL; o.resource = &no_create);
	POOL("resource", o.address = NULL; o.resource = &two_creates);
	POOL("driver", o.driver = &odd_driver);
	POOL("connections_max", o.connections_max = KOLK_NONE);
	POOL("connections_max", o.connections_max = KOLK_CONNECTIONS_MAX + 1);
	POOL("pool_connections_max", o.pool_connections_max = KOLK_NONE);
	POOL("idle_min", o.connections_max = 3; o.idle_min = 4);
	POOL("idle_min", o.pool_connections_max = 3; o.idle_min = 4);
	POOL("dials_max", o.dials_max = KOLK_NONE);
	POOL("uses_max", o.uses_max = KOLK_NONE);
	POOL("acquire_timeout_ns", o.acquire_timeout_ns = KOLK_AT_ONCE);
	POOL("idle_timeout_ns", o.idle_timeout_ns = KOLK_AT_ONCE);
	POOL("lifetime_ns", o.lifetime_ns = KOLK_AT_ONCE);
	POOL("resolve_timeout_ns", o.resolve_timeout_ns = KOLK_AT_ONCE);
	POOL("connect_timeout_ns", o.connect_timeout_ns = KOLK_AT_ONCE);
	POOL("tls_timeout_ns", o.tls_timeout_ns = KOLK_AT_ONCE);
	POOL("ready_timeout_ns", o.ready_timeout_ns = KOLK_AT_ONCE);
	POOL("ping_interval_ns", o.ping_interval_ns = KOLK_AT_ONCE);
	POOL("ping_timeout_ns", o.ping_timeout_ns = KOLK_AT_ONCE);
	POOL("retry_interval_ns", o.retry_interval_ns = KOLK_FOREVER);
	POOL("retry_max_ns", o.retry_interval_ns = 9000; o.retry_max_ns = 5000);
	POOL("lease_overdue_ns", o.lease_overdue_ns = KOLK_AT_ONCE);
	POOL("keepalive_ns", o.keepalive_ns = KOLK_AT_ONCE);
	POOL("unacked_ns", o.unacked_ns = KOLK_AT_ONCE);
	POOL("bind_port_min", o.bind_port_min = 5000);
	POOL("bind_port_min", o.bind_port_min = 5000; o.bind_port_max = 4000);
	POOL("bind_port_max", o.bind_port_min = 5000; o.bind_port_max = 70000);
}

static const struct kolk_option *row_of(const struct kolk_option_table *table, const char *field)
{
	const struct kolk_option *row = table->options;

	while (strcmp(row->field, field) != 0)
		row++;
	return row;
}

/* A default gives way, and what is said otherwise is refused. */
static void expect_bound(const struct kolk_option_table *table,
			 const struct kolk_option_bound *bound)
{
	const struct kolk_option *row = row_of(table, bound->field);
	const struct kolk_option *other = row_of(table, bound->other);
	bool computed = row->fallback + other->fallback == 0; /* what other is by itself */
	uint64_t value = computed ? 2 : bound->at_least ? row->fallback + other->fallback : 1;
	uint64_t wrong = bound->at_least ? value - 1 : value + 1;
	void *options = calloc(1, table->struct_size);

	for (uint32_t i = 0; i < table->count; i++)
		if (table->options[i].flags & KOLK_OPTION_COMPUTED)
			kolk__option_number_set(&table->options[i], options, 1);
	kolk__option_number_set(other, options, value);
	kolk_option_defaults(table, options);
	assert_null(kolk_option_check(table, options));
	if (row->fallback != 0 || bound->at_least)
		assert_true(kolk__option_number(row, options) == value);
	kolk__option_number_set(row, options, wrong);
	kolk_option_defaults(table, options);
	assert_string_equal(kolk_option_check(table, options), bound->field);
	free(options);
}

static void defaults_give_way(void **state)
{
	static const char *const names[] = { "engine", "pool" };
	uint32_t bounds = 0;

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		const struct kolk_option_table *table = kolk_option_table(names[i]);

		for (const struct kolk_option_bound *b = table->bounds; b->field != NULL; b++) {
			expect_bound(table, b);
			bounds++;
		}
	}
	assert_int_equal(bounds, 8);
}

#define TLS(field, ...)                                                          \
	do {                                                                     \
		struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);       \
		struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);       \
		o.name = "x";                                                    \
		o.address = "192.0.2.1:80";                                      \
		o.tls = &tls;                                                    \
		__VA_ARGS__;                                                     \
		expect_pool(fix, o, field);                                      \
	} while (0)

static void tls_options(void **state)
{
	static const char *const pins[][2] = { { "sha1//AAAA" }, { "sha256//AAAA" },
					       { "sha256//not base64" } };
	static const char *many[10];
	char servers[300] = { 0 };
	struct fixture *fix = *state;

	TLS("tls", tls.size = 3);
	TLS("version_min", tls.version_min = 0x0301);
	TLS("key_file", tls.certificate_file = "/nowhere");
	TLS("verify_off", tls.verify_off = 2);
	TLS("crl_file", tls.verify_off = 1; tls.crl_file = "/nowhere");
	TLS("record_max", tls.record_max = 1000);
	TLS("profile", tls.profile = KOLK_TLS_COMPATIBLE + 1);
	for (int i = 0; i < 3; i++)
		TLS("pins", tls.pins = pins[i]);
	for (int i = 0; i < 9; i++)
		many[i] = "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
	TLS("pins", tls.pins = many);
	TLS("server_name", o.address = "unix:/tmp/nobody");
	TLS("tls", o.address = "tcp://192.0.2.1:80");
	memset(servers, '1', sizeof servers - 1);
	TLS("name_servers", o.address = "host:80"; o.name_servers = servers);
}

#define CHILD(field, ...)                                                        \
	do {                                                                     \
		struct kolk_child_options child = KOLK_INIT(kolk_child_options); \
		struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);       \
		o.name = "x";                                                    \
		o.child = &child;                                                \
		child.command = command;                                         \
		__VA_ARGS__;                                                     \
		expect_pool(fix, o, field);                                      \
	} while (0)

static void child_options(void **state)
{
	static const char *const command[] = { "/bin/cat", NULL }, *const none[] = { NULL };
	static const char *const relative[] = { "cat", NULL }, *const pair[] = { "A=b", NULL };
	static const char *const name[] = { "A", NULL }, *const nameless[] = { "=b", NULL };
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_resource_driver resource = { .size = sizeof resource };
	const char *many[300];
	struct fixture *fix = *state;

	for (int i = 0; i < 299; i++)
		many[i] = "/A=b";
	many[299] = NULL;
	CHILD("child", child.size = 3);
	CHILD("address", o.address = "host:80");
	CHILD("address", o.resource = &resource);
	CHILD("tls", o.tls = &tls);
	CHILD("bind_address", o.bind_address = "127.0.0.1");
	CHILD("bind_port_min", o.bind_port_min = o.bind_port_max = 1);
	CHILD("name_servers", o.name_servers = "127.0.0.1:53");
	CHILD("command", child.command = NULL);
	CHILD("command", child.command = none);
	CHILD("command", child.command = relative);
	CHILD("command", child.command = many);
	CHILD("environment", child.environment = name);
	CHILD("environment", child.environment = nameless);
	CHILD("environment", child.environment = many);
	CHILD("inherit", child.inherit = pair);
	CHILD("inherit", child.inherit = many);
	CHILD("directory", child.directory = "tmp");
	CHILD("files_max", child.files_max = 2);
	CHILD("stop_timeout_ns", child.stop_timeout_ns = KOLK_FOREVER);
	CHILD("term_timeout_ns", child.term_timeout_ns = KOLK_FOREVER);
	CHILD("last_words_off", child.last_words_off = 2);
}

/* The simulated world has no processes. */
static void no_children(void **state)
{
	static const char *const command[] = { "/bin/cat", NULL };
	struct kolk_child_options child = KOLK_INIT(kolk_child_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_sys sys = *kolk_sys_linux();
	struct kolk_engine *engine;
	struct kolk_pool *pool;

	(void)state;
	sys.child_spawn = NULL;
	e.sys = &sys;
	o.name = "x";
	o.child = &child;
	child.command = command;
	assert_int_equal(kolk_engine_create(&e, &engine), KOLK_OK);
	assert_int_equal(kolk_pool_add(engine, &o, &pool), KOLK_E_UNSUPPORTED);
	assert_int_equal(kolk_engine_destroy(engine), KOLK_OK);
}

static void addresses(void **state)
{
	static const char *const bad[] = { "", "host", "host:", ":80", "host:0", "host:65536",
					   "host:8o", "[::1]", "[::1:80", "::1:80", "unix:",
					   "ftp://host:21", "ho st:80", "host:-1" };
	static const char *const good[] = { "host:1", "tcp://host:65535", "127.0.0.1:80",
					    "[::1]:443", "unix:/tmp/x", "tcp://[fe80::1]:80" };
	struct fixture *fix = *state;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		POOL("address", o.address = bad[i]);
	POOL("bind_address", o.bind_address = "not an address");
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
		struct kolk_pool *pool;

		o.name = "good";
		o.address = good[i];
		assert_int_equal(kolk_pool_add(fix->engine, &o, &pool), KOLK_OK);
		assert_int_equal(kolk_pool_close(pool, KOLK_FOREVER), KOLK_OK);
	}
}

static void names_are_unique(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_pool *pool;

	o.name = "test";
	o.address = "192.0.2.1:80";
	o.failure = &failure;
	assert_int_equal(kolk_pool_add(fix->engine, &o, &pool), KOLK_E_NAME_TAKEN);
	assert_int_equal(failure.err, KOLK_E_NAME_TAKEN);
	assert_int_equal(failure.err_class, kolk_err_class(KOLK_E_NAME_TAKEN));
	assert_null(failure.field);
	assert_ptr_equal(kolk_pool_find(fix->engine, "test"), fix->pool);
	assert_null(kolk_pool_find(fix->engine, "other"));
	assert_string_equal(kolk_pool_name(fix->pool), "test");
}

/* An older caller's shorter struct gets defaults; a newer one's tail must be zero. */
static void sizes(void **state)
{
	struct fixture *fix = *state;
	struct {
		struct kolk_pool_limits limits;
		uint64_t future;
	} newer = { .limits.size = sizeof newer };
	struct kolk_pool_limits older = { .size = offsetof(struct kolk_pool_limits, idle_min),
					  .connections_max = 3, .idle_min = 77 };

	assert_int_equal(kolk_pool_limits_set(fix->pool, &newer.limits), KOLK_OK);
	newer.future = 1;
	assert_int_equal(kolk_pool_limits_set(fix->pool, &newer.limits), KOLK_E_OPTIONS);
	assert_int_equal(kolk_pool_limits_set(fix->pool, &older), KOLK_OK);
}

static void limits_change_together_or_not_at_all(void **state)
{
	struct fixture *fix = *state;
	struct kolk_pool_limits l = KOLK_INIT(kolk_pool_limits);
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	l.connections_max = 2;
	l.idle_min = 3;
	assert_int_equal(kolk_pool_limits_set(fix->pool, &l), KOLK_E_OPTIONS);
	l.idle_min = KOLK_NONE;
	assert_int_equal(kolk_pool_limits_set(fix->pool, &l), KOLK_OK);
	assert_int_equal(kolk_pool_warm(fix->pool, kolk__sim_now(fix->sim) + KOLK_S_NS), KOLK_OK);
	assert_int_equal(kolk_pool_stats(fix->pool, &stats), KOLK_OK);
	assert_int_equal(stats.open, 0); /* an idle_min of really none */
	l = (struct kolk_pool_limits)KOLK_INIT(kolk_pool_limits);
	l.lifetime_ns = KOLK_S_NS; /* one only: the others stay */
	assert_int_equal(kolk_pool_limits_set(fix->pool, &l), KOLK_OK);
	assert_int_equal(kolk_engine_connections_max_set(fix->engine, 0), KOLK_E_OPTIONS);
	assert_int_equal(kolk_engine_connections_max_set(fix->engine, 9), KOLK_E_OPTIONS);
	assert_int_equal(kolk_engine_connections_max_set(fix->engine, 8), KOLK_OK);
}

static void key_options(void **state)
{
	struct fixture *fix = *state;
	struct kolk_key_options o = KOLK_INIT(kolk_key_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_key *key;
	char long_text[300];

	memset(long_text, 'x', sizeof long_text - 1);
	long_text[sizeof long_text - 1] = 0;
	o.failure = &failure;
	o.tenant = long_text;
	assert_int_equal(kolk_key_open(fix->pool, &o, &key), KOLK_E_OPTIONS);
	assert_string_equal(failure.field, "tenant");
	o.tenant = NULL;
	o.session = long_text;
	assert_int_equal(kolk_key_open(fix->pool, &o, &key), KOLK_E_OPTIONS);
	assert_string_equal(failure.field, "session");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(engine_options, fixture_open, fixture_close),
	cmocka_unit_test(defaults_give_way),
	cmocka_unit_test_setup_teardown(pool_options, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(tls_options, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(child_options, fixture_open, fixture_close),
	cmocka_unit_test(no_children),
	cmocka_unit_test_setup_teardown(addresses, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(names_are_unique, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(sizes, fixture_open, fixture_close),
	cmocka_unit_test_setup_teardown(limits_change_together_or_not_at_all, fixture_open,
					fixture_close),
	cmocka_unit_test_setup_teardown(key_options, fixture_open, fixture_close),
};

CMOCKA_TESTS(options, tests);
