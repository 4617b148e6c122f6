/* SPDX-License-Identifier: Apache-2.0 */
/* reload_test.c - an engine by a configuration, and from one configuration to the next. */
#define _GNU_SOURCE
#include "core/base/atomic.h"
#include "tests/kit/cmocka/run.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kolk/kolk.h>
#include <kolk/ops/config.h>

#include "tests/kit/origin.h"

static const char *const nothing[] = { NULL };

/* Two upstreams, and an engine by the text that it was opened with. */
struct fixture {
	struct kit_origin *a, *b;
	struct kolk_engine *engine;
	struct kolk_config *config; /* in force */
	struct kolk_config_error error;
	char message[600];
};

/* "%A" and "%B" in a text are the addresses of the upstreams. */
static struct kolk_config *parse(struct fixture *fixture, const char *text)
{
	char filled[4000], *to = filled;
	struct kolk_config *config;

	for (; *text != 0; text++) {
		struct kit_origin *origin = text[0] == '%' && text[1] == 'A' ? fixture->a :
					    text[0] == '%' && text[1] == 'B' ? fixture->b : NULL;

		if (origin != NULL)
			to += sprintf(to, "127.0.0.1:%u", kit_origin_port(origin));
		else
			*to++ = *text;
		text += origin != NULL;
	}
	if (kolk_config_parse("test", filled, (size_t)(to - filled), nothing, &config,
			      &fixture->error) != KOLK_OK) {
		kolk_config_error_text(&fixture->error, fixture->message, sizeof fixture->message);
		fail_msg("%s", fixture->message);
	}
	return config;
}

static void open_by(struct fixture *fixture, const char *text)
{
	struct kit_origin_options options = { .behaviour = KIT_ECHO };

	memset(fixture, 0, sizeof *fixture);
	fixture->error = (struct kolk_config_error)KOLK_INIT(kolk_config_error);
	fixture->a = kit_origin_open(&options);
	fixture->b = kit_origin_open(&options);
	assert_true(fixture->a != NULL && fixture->b != NULL);
	fixture->config = parse(fixture, text);
	assert_int_equal(kolk_config_open(fixture->config, NULL, &fixture->engine, &fixture->error),
			 KOLK_OK);
}

static void fixture_close(struct fixture *fixture)
{
	const char *law = "";

	if (kolk_check(fixture->engine, &law) != KOLK_OK)
		fail_msg("%s", law);
	assert_int_equal(kolk_engine_destroy(fixture->engine), KOLK_OK);
	kolk_config_free(fixture->config);
	kit_origin_close(fixture->a);
	kit_origin_close(fixture->b);
}

/* Reload; on success the new text is in force. The message is in fixture->message. */
static enum kolk_err reload(struct fixture *fixture, const char *text)
{
	struct kolk_config *after = parse(fixture, text);
	enum kolk_err err = kolk_config_apply(fixture->engine, fixture->config, after, &fixture->error);

	if (err != KOLK_OK) {
		kolk_config_error_text(&fixture->error, fixture->message, sizeof fixture->message);
		kolk_config_free(after);
		return err;
	}
	kolk_config_free(fixture->config);
	fixture->config = after;
	return KOLK_OK;
}

static void must_reload(struct fixture *fixture, const char *text)
{
	if (reload(fixture, text) != KOLK_OK)
		fail_msg("%s", fixture->message);
}

static void expect_refused(struct fixture *fixture, const char *text, enum kolk_err err,
			   const char *message)
{
	assert_int_equal(reload(fixture, text), err);
	assert_int_equal(fixture->error.err, err);
	assert_string_equal(fixture->message, message);
}

static struct kolk_key *key_of(struct fixture *fixture, const char *pool, const char *tenant)
{
	struct kolk_key_options o = KOLK_INIT(kolk_key_options);
	struct kolk_key *key;

	o.tenant = tenant;
	assert_int_equal(kolk_key_open(kolk_pool_find(fixture->engine, pool), &o, &key), KOLK_OK);
	return key;
}

static enum kolk_err exchange(const struct kolk_lease *lease)
{
	char answer[16];
	size_t size, got = 0;
	enum kolk_err err = kolk_send_all(lease, "hello\n", 6, kolk_in_ms(10000));

	while (err == KOLK_OK && got < 6) {
		err = kolk_recv(lease, answer + got, sizeof answer - got, kolk_in_ms(10000), &size);
		got += err == KOLK_OK ? size : 0;
	}
	return err != KOLK_OK ? err : memcmp(answer, "hello\n", 6) == 0 ? KOLK_OK : KOLK_E_PROTOCOL;
}

static enum kolk_err request(struct kolk_key *key)
{
	struct kolk_lease lease;
	enum kolk_err err = kolk_acquire(key, kolk_in_ms(10000), &lease);

	if (err != KOLK_OK)
		return err;
	err = exchange(&lease);
	(void)kolk_release(&lease);
	return err;
}

/* Wait for what other threads do; 5 s at most. */
#define EVENTUALLY(condition)                                                    \
	do {                                                                     \
		for (int i_ = 0; i_ < 5000 && !(condition); i_++)                \
			usleep(1000);                                            \
		assert_true(condition);                                          \
	} while (0)

static struct kolk_stats stats_of(struct fixture *fixture, const char *pool)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	assert_int_equal(kolk_pool_stats(kolk_pool_find(fixture->engine, pool), &stats), KOLK_OK);
	return stats;
}

static struct kolk_pool_info info_of(struct fixture *fixture, const char *pool)
{
	struct kolk_pool_info info = KOLK_INIT(kolk_pool_info);

	assert_int_equal(kolk_pool_inspect(kolk_pool_find(fixture->engine, pool), &info), KOLK_OK);
	return info;
}

/* ---- open */

static void opens_what_it_says(void **state)
{
	struct fixture fixture;
	struct kolk_lease lease[2];
	struct kolk_key *gold, *other;

	(void)state;
	open_by(&fixture, "engine: {connections_max: 20, tenant_connections_max: 1}\n"
			"tenants: [{name: gold, connections_max: 2}]\n"
			"pools:\n"
			"- name: a\n  address: '%A'\n  limits: {idle_min: 2, connections_max: 3}\n"
			"  warm: [{tenant: gold}]\n"
			"- {name: b, address: '%B', protocol: redis}\n");
	EVENTUALLY(stats_of(&fixture, "a").idle == 2);
	assert_int_equal(info_of(&fixture, "a").connections_max, 3);
	assert_int_equal(request(kolk_pool_key(kolk_pool_find(fixture.engine, "b"))), KOLK_OK);
	gold = key_of(&fixture, "a", "gold");
	other = key_of(&fixture, "a", "other");
	assert_int_equal(kolk_acquire(gold, kolk_in_ms(1000), &lease[0]), KOLK_OK);
	assert_int_equal(kolk_acquire(gold, kolk_in_ms(1000), &lease[1]), KOLK_OK);
	(void)kolk_release(&lease[1]);
	(void)kolk_release(&lease[0]);
	assert_int_equal(kolk_acquire(other, kolk_in_ms(1000), &lease[0]), KOLK_OK);
	assert_int_not_equal(kolk_acquire(other, kolk_in_ms(30), &lease[1]), KOLK_OK);
	(void)kolk_release(&lease[0]);
	kolk_key_close(gold);
	kolk_key_close(other);
	fixture_close(&fixture);
}

static void open_leaves_nothing_behind(void **state)
{
	static const char text[] = "pools:\n- {name: a, address: 'a:1'}\n"
				   "- name: b\n  address: b:1\n  tls:\n    ca_file: /nowhere/ca.pem\n";
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_engine *engine = (void *)1;
	struct kolk_config *config;

	(void)state;
	assert_int_equal(kolk_config_parse("test", text, strlen(text), nothing, &config, NULL),
			 KOLK_OK);
	assert_int_equal(kolk_config_open(config, NULL, &engine, &error), KOLK_E_TLS);
	assert_null(engine);
	assert_int_equal(error.line, 6);
	assert_int_equal(error.column, 14);
	assert_non_null(strstr(error.message, "'ca_file'"));
	kolk_config_free(config);
}

static void say(void *user, enum kolk_log_level level, const char *subject, const char *text)
{
	(void)level;
	if (strcmp(subject, "engine") == 0)
		snprintf(user, 200, "%s", text);
}

/* The program's hooks and what the file leaves open; what both say, the file decides. */
/* What an engine would say to a text that is right in itself. */
static void expect_try(const char *text, enum kolk_err err, const char *message)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config *config;
	char said[600] = "";

	assert_int_equal(kolk_config_parse("test", text, strlen(text), nothing, &config, NULL),
			 KOLK_OK);
	assert_int_equal(kolk_config_try(config, &error), err);
	if (err != KOLK_OK)
		kolk_config_error_text(&error, said, sizeof said);
	assert_string_equal(said, message);
	kolk_config_free(config);
}

static void a_try_says_what_open_would(void **state)
{
	(void)state;
	expect_try("pools: [{name: a, address: 'nobody.invalid:1', warm: [{tenant: x}]}]", KOLK_OK, "");
	expect_try("pools:\n- name: a\n  address: a:1\n  tls: {ca_file: /nowhere/ca.pem}\n",
		   KOLK_E_TLS, "test:4:18: 'ca_file' names '/nowhere/ca.pem': No such file or "
			       "directory: write the path of a PEM file that this user may read");
	expect_try("pools:\n- name: a\n  address: a:1\n  tls: {ca_directory: /nowhere}\n",
		   KOLK_E_TLS, "test:4:23: 'ca_directory' names '/nowhere': No such file or "
			       "directory: write the path of a directory of PEM files");
	expect_try("engine: {keys_max: 1}\npools:\n- {name: a, address: a:1}\n"
		   "- {name: b, address: b:1}\n",
		   KOLK_E_LIMIT, "test:4:3: the pool is refused: a limit of engine or tenant is reached");
	expect_try("engine: {tenant_keys_max: 1}\npools:\n- name: a\n  address: a:1\n"
		   "  warm: [{tenant: x}, {tenant: x, session: y}]\n",
		   KOLK_E_LIMIT,
		   "test:5:23: this key cannot be opened: a limit of engine or tenant is reached");
}

/* A check dials nothing. */
static void a_try_dials_nothing(void **state)
{
	struct fixture fixture;

	(void)state;
	open_by(&fixture, "pools: []");
	for (int i = 0; i < 3; i++) {
		struct kolk_config *config = parse(
			&fixture, "pools: [{name: a, address: '%A', limits: {idle_min: 2},"
				" warm: [{tenant: x}]}]");

		assert_int_equal(kolk_config_try(config, NULL), KOLK_OK);
		kolk_config_free(config);
	}
	usleep(50000);
	assert_int_equal(kit_origin_counts(fixture.a).accepted, 0);
	fixture_close(&fixture);
}

static void the_program_gives_the_base(void **state)
{
	static const char text[] = "engine: {log_level: info, loops: 1}\npools: []\n";
	struct kolk_engine_options base = KOLK_INIT(kolk_engine_options);
	struct kolk_config *config;
	struct kolk_engine *engine;
	char message[200] = "";

	(void)state;
	base.on_log = say;
	base.log_user = message;
	base.connections_max = 7;
	base.loops = 2;
	assert_int_equal(kolk_config_parse("test", text, strlen(text), nothing, &config, NULL),
			 KOLK_OK);
	assert_int_equal(kolk_config_open(config, &base, &engine, NULL), KOLK_OK);
	kolk_config_free(config); /* the engine does not need it */
	assert_non_null(strstr(message, "1 loops"));
	assert_non_null(strstr(message, "7 connections at most"));
	assert_int_equal(kolk_engine_loop_count(engine), 1);
	assert_int_equal(kolk_engine_destroy(engine), KOLK_OK);
}

/* ---- reload */

static void limits_change_in_place(void **state)
{
	struct fixture fixture;
	struct kolk_key *key;
	struct kolk_lease one, two;

	(void)state;
	open_by(&fixture, "pools:\n- {name: a, address: '%A', limits: {connections_max: 1}}\n");
	key = key_of(&fixture, "a", "alice");
	assert_int_equal(kolk_acquire(key, kolk_in_ms(5000), &one), KOLK_OK);
	assert_int_not_equal(kolk_acquire(key, kolk_in_ms(20), &two), KOLK_OK);
	must_reload(&fixture, "pools:\n- {name: a, address: '%A', limits: {connections_max: 2}, "
			    "timeouts: {idle: 9s}}\n");
	assert_int_equal(kolk_acquire(key, kolk_in_ms(5000), &two), KOLK_OK);
	assert_int_equal(exchange(&one), KOLK_OK);
	(void)kolk_release(&two);
	(void)kolk_release(&one);
	assert_int_equal(request(key), KOLK_OK);
	assert_int_equal(kit_origin_counts(fixture.a).accepted, 2); /* nothing was closed */
	assert_true(info_of(&fixture, "a").idle_timeout_ns == 9 * KOLK_S_NS);
	/* What the file does not say any more is the default again. */
	must_reload(&fixture, "pools:\n- {name: a, address: '%A'}\n");
	assert_true(info_of(&fixture, "a").idle_timeout_ns == 30 * KOLK_S_NS);
	assert_int_equal(info_of(&fixture, "a").connections_max, 10);
	kolk_key_close(key);
	fixture_close(&fixture);
}

static void another_address_keeps_handles(void **state)
{
	struct fixture fixture;
	struct kolk_key *key;
	struct kolk_lease lease;

	(void)state;
	open_by(&fixture, "pools:\n- {name: a, address: '%A', limits: {idle_min: none}}\n");
	key = key_of(&fixture, "a", "alice");
	assert_int_equal(request(key), KOLK_OK);
	assert_int_equal(kolk_acquire(key, kolk_in_ms(5000), &lease), KOLK_OK);
	must_reload(&fixture, "pools:\n- {name: a, address: '%B', limits: {idle_min: none}}\n");
	assert_int_equal(exchange(&lease), KOLK_OK); /* a lease is not touched */
	assert_int_equal(kit_origin_counts(fixture.b).answered, 0);
	assert_int_equal(request(key), KOLK_OK);
	assert_int_equal(kit_origin_counts(fixture.b).answered, 1);
	(void)kolk_release(&lease);
	EVENTUALLY(kit_origin_counts(fixture.a).open == 0);
	assert_int_equal(request(key), KOLK_OK);
	assert_int_equal(kit_origin_counts(fixture.b).answered, 2);
	kolk_key_close(key);
	fixture_close(&fixture);
}

/* A pool goes from an address to a child, to another one, and back. */
static void a_child_for_an_address(void **state)
{
	static const char cat[] = "pools:\n- {name: a, child: {command: [/bin/cat]},"
				  " limits: {idle_min: none}}\n";
	static const char other[] = "pools:\n- {name: a, child: {command: [/bin/cat],"
				    " environment: [A=b]}, limits: {idle_min: none}}\n";
	static const char socket[] = "pools:\n- {name: a, address: '%A',"
				     " limits: {idle_min: none}}\n";
	struct fixture fixture;
	struct kolk_key *key;

	(void)state;
	open_by(&fixture, socket);
	key = key_of(&fixture, "a", "alice");
	assert_int_equal(request(key), KOLK_OK);
	must_reload(&fixture, cat);
	assert_int_equal(request(key), KOLK_OK);
	EVENTUALLY(kit_origin_counts(fixture.a).open == 0);
	assert_int_equal(stats_of(&fixture, "a").created, 2);
	must_reload(&fixture, cat);
	assert_int_equal(request(key), KOLK_OK);
	assert_int_equal(stats_of(&fixture, "a").created, 2);
	must_reload(&fixture, other);
	assert_int_equal(request(key), KOLK_OK);
	assert_int_equal(stats_of(&fixture, "a").created, 3);
	must_reload(&fixture, socket);
	assert_int_equal(request(key), KOLK_OK);
	assert_int_equal(kit_origin_counts(fixture.a).answered, 2);
	kolk_key_close(key);
	fixture_close(&fixture);
}

static void pools_come_and_go(void **state)
{
	static const char one[] = "engine: {drain_grace: 5s}\npools:\n- {name: a, address: '%A'}\n";
	static const char two[] = "engine: {drain_grace: 5s}\npools:\n- {name: a, address: '%A'}\n"
				  "- {name: b, address: '%B'}\n";
	struct fixture fixture;
	struct kolk_pool *b;
	struct kolk_key *key;
	struct kolk_lease lease;

	(void)state;
	open_by(&fixture, one);
	must_reload(&fixture, two);
	b = kolk_pool_find(fixture.engine, "b");
	key = key_of(&fixture, "b", "alice");
	assert_int_equal(kolk_acquire(key, kolk_in_ms(5000), &lease), KOLK_OK);
	must_reload(&fixture, one);
	assert_int_equal(request(key), KOLK_E_DRAINING);
	assert_int_equal(exchange(&lease), KOLK_OK); /* within the grace */
	expect_refused(&fixture, two, KOLK_E_NAME_TAKEN,
		       "test:4:3: the pool 'b' was drained and is not gone yet: reload again when "
		       "its leases have ended");
	assert_int_equal(kolk_config_reap(fixture.engine), 0);
	(void)kolk_release(&lease);
	EVENTUALLY(kolk_pool_is_closed(b));
	kolk_key_close(key);
	assert_int_equal(kolk_config_reap(fixture.engine), 1);
	assert_null(kolk_pool_find(fixture.engine, "b"));
	assert_int_equal(request(kolk_pool_key(kolk_pool_find(fixture.engine, "a"))), KOLK_OK);
	must_reload(&fixture, two);
	assert_int_equal(request(kolk_pool_key(kolk_pool_find(fixture.engine, "b"))), KOLK_OK);
	fixture_close(&fixture);
}

/* Pools that the program drained or added: a file does not take them over. */
static void pools_that_the_file_did_not_leave(void **state)
{
	static const char text[] = "pools:\n- {name: a, address: '%A'}\n";
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct fixture fixture;
	struct kolk_pool *pool;

	(void)state;
	open_by(&fixture, text);
	o.name = "own";
	o.address = "192.0.2.1:1";
	assert_int_equal(kolk_pool_add(fixture.engine, &o, &pool), KOLK_OK);
	expect_refused(&fixture, "pools:\n- {name: own, address: '%A'}\n", KOLK_E_NAME_TAKEN,
		       "test:2:3: the program has a pool 'own' of its own: take another name");
	pool = kolk_pool_find(fixture.engine, "a");
	assert_int_equal(kolk_pool_drain(pool, 0), KOLK_OK);
	EVENTUALLY(kolk_pool_is_closed(pool));
	expect_refused(&fixture, text, KOLK_E_NAME_TAKEN,
		       "test:2:3: the pool 'a' was drained and is not gone yet: reload again when "
		       "its leases have ended");
	assert_int_equal(kolk_config_reap(fixture.engine), 1);
	must_reload(&fixture, text);
	assert_int_equal(request(kolk_pool_key(kolk_pool_find(fixture.engine, "a"))), KOLK_OK);
	assert_non_null(kolk_pool_find(fixture.engine, "own"));
	fixture_close(&fixture);
}

/* Drained by an operator: reloads change its settings, but do not open it; nor is it freed. */
static void what_is_suspended_stays_so(void **state)
{
	static const char text[] = "pools:\n- {name: a, address: '%A'}\n";
	static const char more[] = "pools:\n- {name: a, address: '%A', warm: [{tenant: t}], "
				   "limits: {connections_max: 3, idle_min: 1}}\n";
	static const char without[] = "pools: []\n";
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	struct kolk_pool *pool;
	struct fixture fixture;

	(void)state;
	open_by(&fixture, text);
	pool = kolk_pool_find(fixture.engine, "a");
	assert_int_equal(request(kolk_pool_key(pool)), KOLK_OK);
	assert_int_equal(kolk_pool_suspend(pool, 0), KOLK_OK);
	EVENTUALLY(kolk_pool_is_closed(pool));
	assert_int_equal(kolk_config_reap(fixture.engine), 0);
	must_reload(&fixture, more);
	assert_int_equal(request(kolk_pool_key(pool)), KOLK_E_DRAINING);
	assert_int_equal(kolk_pool_resume(pool), KOLK_OK);
	assert_int_equal(request(kolk_pool_key(pool)), KOLK_OK);
	EVENTUALLY(kolk_pool_stats(pool, &stats) == KOLK_OK && stats.idle >= 2); /* t is warm */
	/* One that is taken out while it is suspended goes. */
	assert_int_equal(kolk_pool_suspend(pool, 0), KOLK_OK);
	must_reload(&fixture, without);
	EVENTUALLY(kolk_pool_is_closed(pool));
	assert_int_equal(kolk_config_reap(fixture.engine), 1);
	fixture_close(&fixture);
}

#define POSTGRES "protocol: postgres, postgres: {user: u}"

/* PostgreSQL's pools have a cancel pool: it is added and closed with the protocol. */
static void a_pool_becomes_postgres(void **state)
{
	static const char raw[] = "pools:\n- {name: a, address: '%A'}\n";
	static const char postgres[] = "pools:\n- {name: a, address: '%A', " POSTGRES "}\n";
	struct fixture fixture;
	struct kolk_pool *cancel_pool;

	(void)state;
	open_by(&fixture, raw);
	assert_null(kolk_pool_find(fixture.engine, "a.cancel"));
	must_reload(&fixture, postgres);
	cancel_pool = kolk_pool_find(fixture.engine, "a.cancel");
	assert_non_null(cancel_pool);
	must_reload(&fixture, postgres);
	assert_ptr_equal(kolk_pool_find(fixture.engine, "a.cancel"), cancel_pool);
	must_reload(&fixture, raw);
	EVENTUALLY(kolk_pool_is_closed(cancel_pool));
	expect_refused(&fixture, postgres, KOLK_E_NAME_TAKEN,
		       "test:2:3: the pool 'a.cancel' was drained and is not gone yet: reload again "
		       "when its leases have ended");
	assert_int_equal(request(kolk_pool_key(kolk_pool_find(fixture.engine, "a"))), KOLK_OK);
	assert_int_equal(kolk_config_reap(fixture.engine), 1);
	must_reload(&fixture, postgres);
	assert_non_null(kolk_pool_find(fixture.engine, "a.cancel"));
	must_reload(&fixture, "pools: []\n");
	EVENTUALLY(((void)kolk_config_reap(fixture.engine),
		    kolk_pool_find(fixture.engine, "a.cancel") == NULL));
	fixture_close(&fixture);
}

static void what_became_postgres_is_undone(void **state)
{
	static const char raw[] = "engine: {keys_max: 4}\npools:\n- {name: a, address: '%A'}\n";
	struct fixture fixture;

	(void)state;
	open_by(&fixture, raw);
	assert_int_equal(reload(&fixture, "engine: {keys_max: 4}\npools:\n- {name: a, address: '%A', "
				POSTGRES ", warm: [{tenant: t1}, {tenant: t2}, {tenant: t3},"
				" {tenant: t4}]}\n"), KOLK_E_LIMIT);
	assert_null(kolk_pool_find(fixture.engine, "a.cancel"));
	assert_int_equal(request(kolk_pool_key(kolk_pool_find(fixture.engine, "a"))), KOLK_OK);
	fixture_close(&fixture);
}

/* A name that ends so is as good as others where there is no PostgreSQL. */
static void a_pool_with_the_name_of_a_cancel_pool(void **state)
{
	struct fixture fixture;

	(void)state;
	open_by(&fixture, "pools:\n- {name: a, address: '%A'}\n- {name: a.cancel, address: '%B'}\n");
	must_reload(&fixture, "pools:\n- {name: a.cancel, address: '%B'}\n");
	assert_int_equal(request(kolk_pool_key(kolk_pool_find(fixture.engine, "a.cancel"))), KOLK_OK);
	assert_int_equal(request(kolk_pool_key(kolk_pool_find(fixture.engine, "a.cancel"))), KOLK_OK);
	fixture_close(&fixture);
}

static void what_is_refused_changes_nothing(void **state)
{
	static const char good[] = "engine: {connections_max: 10, connections_reserved: 20}\n"
				   "admin: {listen: unix:/run/b.sock, token: 0123456789abcdef, "
				   "hosts: [h]}\n"
				   "pools:\n- {name: a, address: '%A', limits: {idle_min: 1}}\n";
	struct fixture fixture;

	(void)state;
	open_by(&fixture, good);
	must_reload(&fixture, good); /* the same again is fine */
	/* A file that is not understood never gets as far as apply; this one is understood. */
	assert_int_equal(reload(&fixture, "engine: {connections_max: 15, connections_reserved: 20}\n"
					"admin: {listen: unix:/run/b.sock, hosts: [h], token: 0123456789abcdef}\n"
					"tenants: [{name: gold, connections_max: 1}]\n"
					"pools:\n- {name: a, address: '%B', limits: {idle_min: 3}}\n"
					"- {name: b, address: '%B'}\n"
					"- {name: c, address: 'c:1', tls: {ca_file: /nowhere}}\n"),
			 KOLK_E_TLS);
	assert_int_equal(fixture.error.line, 7);
	assert_int_equal(fixture.error.column, 44);
	assert_null(kolk_pool_find(fixture.engine, "b"));
	assert_int_equal(info_of(&fixture, "a").idle_min, 1);
	expect_refused(&fixture, "engine: {connections_max: 10, connections_reserved: 20, loops: 3}\n"
			       "pools: []\n", KOLK_E_OPTIONS,
		       "test:1:64: 'loops' cannot change while the engine works: restart, or leave "
		       "it as it was");
	expect_refused(&fixture, "engine: {connections_max: 10, connections_reserved: 20}\n"
			       "admin: {listen: unix:/run/b.sock, token: 0123456789abcdef, hosts: [h]}\n"
			       "pools:\n"
			       "- {name: a, isolation: shared, address: '%A'}\n", KOLK_E_OPTIONS,
		       "test:4:24: the isolation of 'a' cannot change while it works: give the pool "
		       "another name");
	expect_refused(&fixture, "engine: {connections_max: 10, connections_reserved: 20}\n"
			       "admin: {listen: unix:/run/b.sock, token: another-token-0123}\n"
			       "pools: []\n", KOLK_E_OPTIONS,
		       "test:2:42: 'token' cannot change while the admin works: restart, or leave it "
		       "as it was");
	assert_int_equal(request(kolk_pool_key(kolk_pool_find(fixture.engine, "a"))), KOLK_OK);
	assert_true(kit_origin_counts(fixture.b).accepted == 0);
	fixture_close(&fixture);
}

/* Without connections_reserved an engine has memory for what it began with. */
static void the_total_stays_within_the_reserve(void **state)
{
	struct fixture fixture;

	(void)state;
	open_by(&fixture, "engine: {connections_max: 10}\npools: [{name: a, address: '%A'}]\n");
	must_reload(&fixture, "engine: {connections_max: 3}\npools: [{name: a, address: '%A'}]\n");
	must_reload(&fixture, "engine: {connections_max: 10}\npools: [{name: a, address: '%A'}]\n");
	expect_refused(&fixture, "engine: {connections_max: 11}\npools: []\n", KOLK_E_OPTIONS,
		       "test:1:27: 'connections_max' is above what the engine reserved: restart "
		       "with a higher 'connections_reserved'");
	assert_int_equal(request(kolk_pool_key(kolk_pool_find(fixture.engine, "a"))), KOLK_OK);
	fixture_close(&fixture);
}

/* What the program said by itself stays as long as no file says anything of it. */
static void a_total_of_the_program_stays(void **state)
{
	struct kolk_engine_options base = KOLK_INIT(kolk_engine_options);
	struct kolk_engine_info info = KOLK_INIT(kolk_engine_info);
	struct fixture fixture = { .error = KOLK_INIT(kolk_config_error) };

	(void)state;
	base.connections_max = 500;
	fixture.config = parse(&fixture, "pools: []\n");
	assert_int_equal(kolk_config_open(fixture.config, &base, &fixture.engine, &fixture.error),
			 KOLK_OK);
	must_reload(&fixture, "engine: {tenant_connections_max: 5}\npools: []\n");
	assert_int_equal(kolk_engine_inspect(fixture.engine, &info), KOLK_OK);
	assert_int_equal(info.connections_max, 500);
	must_reload(&fixture, "engine: {connections_max: 20}\npools: []\n");
	assert_int_equal(kolk_engine_inspect(fixture.engine, &info), KOLK_OK);
	assert_int_equal(info.connections_max, 20);
	fixture_close(&fixture);
}

/* keys_max is full at the last of the keys to warm: everything before it is undone. */
static void a_step_that_fails_is_undone(void **state)
{
	static const char good[] =
		"engine: {keys_max: 6, connections_max: 10, connections_reserved: 20}\n"
		"tenants: [{name: gold, connections_max: 7}]\n"
		"pools:\n- {name: a, address: '%A', limits: {idle_min: 1}}\n";
	struct fixture fixture;
	struct kolk_key *key;
	struct kolk_tenant_info tenant[4];
	uint64_t cursor = 0;

	(void)state;
	open_by(&fixture, good);
	key = key_of(&fixture, "a", "gold");
	assert_int_equal(request(key), KOLK_OK);
	assert_int_equal(reload(&fixture,
				"engine: {keys_max: 6, connections_max: 20, connections_reserved: 20}\n"
				"tenants: [{name: gold, connections_max: 3}]\n"
				"pools:\n- {name: a, address: '%B', limits: {idle_min: 3}}\n"
				"- name: b\n  address: '%B'\n  warm:\n  - {tenant: t1}\n"
				"  - {tenant: t2}\n  - {tenant: t3}\n  - {tenant: t4}\n"
				"  - {tenant: t5}\n"), KOLK_E_LIMIT);
	assert_string_equal(fixture.message, "test:11:5: this key cannot be opened: a limit of engine "
					"or tenant is reached");
	assert_null(kolk_pool_find(fixture.engine, "b"));
	assert_int_equal(info_of(&fixture, "a").idle_min, 1);
	assert_int_equal(request(key), KOLK_OK);
	assert_int_equal(kolk_engine_tenants(fixture.engine, &cursor, tenant, 4), 1);
	assert_int_equal(tenant[0].connections_max, 7);
	kolk_key_close(key);
	fixture_close(&fixture);
}

static void tenants_change(void **state)
{
	static const char *const texts[] = {
		("engine: {tenant_connections_max: 5}\n"
		 "tenants: [{name: gold, connections_max: 7, weight: 3}]\n"),
		"engine: {tenant_connections_max: 5}\ntenants: [{name: gold, keys_max: 9}]\n",
		"engine: {tenant_connections_max: 6}\n", ""
	};
	static const uint32_t limits[] = { 7, 5, 6, 10 }, weights[] = { 3, 1, 1, 1 };
	struct fixture fixture;
	struct kolk_key *key = NULL;

	(void)state;
	for (int i = 0; i < 4; i++) {
		char text[300];
		struct kolk_tenant_info tenant[4];
		uint64_t cursor = 0;

		snprintf(text, sizeof text, "%spools: [{name: a, address: '%%A'}]\n", texts[i]);
		if (i == 0) {
			open_by(&fixture, text);
			key = key_of(&fixture, "a", "gold");
		} else {
			must_reload(&fixture, text);
		}
		assert_int_equal(kolk_engine_tenants(fixture.engine, &cursor, tenant, 4), 1);
		assert_string_equal(tenant[0].name, "gold");
		assert_int_equal(tenant[0].connections_max, limits[i]);
		assert_int_equal(tenant[0].weight, weights[i]);
	}
	kolk_key_close(key);
	fixture_close(&fixture);
}

static void warmed_keys_change(void **state)
{
	struct fixture fixture;
	struct kolk_pool *pool;
	struct kolk_key_info keys[8];
	uint64_t cursor = 0;
	size_t count, held = 0;

	(void)state;
	open_by(&fixture, "pools:\n- {name: a, address: '%A', warm: [{tenant: x}, {tenant: y}]}\n");
	EVENTUALLY(stats_of(&fixture, "a").idle == 4);
	must_reload(&fixture, "pools:\n- {name: a, address: '%A', warm: [{tenant: z}, {tenant: y}]}\n");
	EVENTUALLY(stats_of(&fixture, "a").idle == 6); /* x ages out, nothing is cut */
	pool = kolk_pool_find(fixture.engine, "a");
	count = kolk_pool_keys(pool, &cursor, keys, 8);
	for (size_t i = 0; i < count; i++)
		if (keys[i].tenant[0] != 0) {
			assert_int_equal(keys[i].handles, keys[i].tenant[0] != 'x');
			held += keys[i].handles;
		}
	assert_int_equal(held, 2);
	fixture_close(&fixture);
}

static void file_write(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* As the admin server and a signal do it. */
static void a_file_is_read_again(void **state)
{
	char path[] = "/tmp/kolk-ops-XXXXXX", message[600], expected[600];
	struct kolk_config_source source = { .path = path };
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	file_write(path, "pools: [{name: a, address: '192.0.2.1:1'}]\n");
	assert_int_equal(kolk_config_load(path, NULL, &source.config, NULL), KOLK_OK);
	assert_int_equal(kolk_config_open(source.config, NULL, &source.engine, NULL), KOLK_OK);
	file_write(path, "pools: [{name: b, address: '192.0.2.1:1'}]\n");
	assert_int_equal(kolk_config_reload(&source, message, sizeof message), KOLK_OK);
	snprintf(expected, sizeof expected,
		 "%s is in force: 1 pool, 0 tenants with own limits", path);
	assert_string_equal(message, expected);
	assert_non_null(kolk_pool_find(source.engine, "b"));
	file_write(path, "pools: [{name: c, adress: '192.0.2.1:1'}]\n");
	assert_int_equal(kolk_config_reload(&source, message, sizeof message), KOLK_E_OPTIONS);
	snprintf(expected, sizeof expected,
		 "%s:1:19: unknown key 'adress' in 'pools': did you mean 'address'?", path);
	assert_string_equal(message, expected);
	assert_null(kolk_pool_find(source.engine, "c"));
	unlink(path);
	assert_int_equal(kolk_config_reload(&source, message, 20), KOLK_E_NOT_FOUND);
	assert_int_equal(strlen(message), 19);
	assert_string_equal(kolk_config_pool(source.config, 0)->name, "b");
	assert_int_equal(kolk_engine_destroy(source.engine), KOLK_OK);
	kolk_config_free(source.config);
}

/* ---- a thousand reloads under load */

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
	cmocka_unit_test(opens_what_it_says),
	cmocka_unit_test(open_leaves_nothing_behind),
	cmocka_unit_test(a_try_says_what_open_would),
	cmocka_unit_test(a_try_dials_nothing),
	cmocka_unit_test(the_program_gives_the_base),
	cmocka_unit_test(limits_change_in_place),
	cmocka_unit_test(another_address_keeps_handles),
	cmocka_unit_test(a_child_for_an_address),
	cmocka_unit_test(pools_come_and_go),
	cmocka_unit_test(pools_that_the_file_did_not_leave),
	cmocka_unit_test(what_is_suspended_stays_so),
	cmocka_unit_test(a_pool_becomes_postgres),
	cmocka_unit_test(what_became_postgres_is_undone),
	cmocka_unit_test(a_pool_with_the_name_of_a_cancel_pool),
	cmocka_unit_test(what_is_refused_changes_nothing),
	cmocka_unit_test(the_total_stays_within_the_reserve),
	cmocka_unit_test(a_total_of_the_program_stays),
	cmocka_unit_test(a_step_that_fails_is_undone),
	cmocka_unit_test(tenants_change),
	cmocka_unit_test(warmed_keys_change),
	cmocka_unit_test(a_file_is_read_again),
	cmocka_unit_test(a_thousand_reloads_lose_nothing),
};

CMOCKA_TESTS(reload, tests);
