/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_validate_test.c - pg_validate.c: the validation query while idle, on borrow and on return, and
 * what its failure does. Against a server that answers simple queries and notes them.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kolk/kolk.h>
#include <kolk/postgres.h>

#include "tests/kit/cmocka/run.h"
#include "tests/kit/mock.h"
#include "tests/kit/tap.h"

#define WELCOME "R\0\0\0\x8\0\0\0\0" "K\0\0\0\xc\0\0\0\7\0\0\0\7" "Z\0\0\0\5I"
#define EMPTY "I\0\0\0\4" "Z\0\0\0\5I"
#define ROWS "T\0\0\0\x1a\0\1" "a\0\0\0\0\0\0\0\0\0\0\x19\377\377\377\377\377\377\0\0" \
	     "D\0\0\0\x14\0\1\0\0\0\xa" "0123456789" "C\0\0\0\7OK\0" "Z\0\0\0\5I"
#define DONE "C\0\0\0\7OK\0" "Z\0\0\0\5I"
#define ERROR "E\0\0\0\x13SERROR\0C57P01\0\0" "Z\0\0\0\5I"
#define OPEN "C\0\0\0\7OK\0" "Z\0\0\0\5T"

enum { SEEN = 1024 };
static const char checks[] = "select check()";

struct fixture {
	pthread_mutex_t lock;
	char seen[SEEN]; /* under lock: "NUMBER:QUERY|" of each connection */
	kolk__atomic_u32 failing; /* connections below this number fail a check */
	const char *failure;      /* how; NULL = silence */
	size_t failure_size;
	struct kit_mock *mock;
	struct kolk_engine *engine;
	struct kolk_pool *pool;
};

static bool answer(struct kit_mock_conn *conn, struct fixture *fixture, const char *sql)
{
	uint32_t number = kit_mock_number(conn);
	size_t size;

	(void)pthread_mutex_lock(&fixture->lock);
	size = strlen(fixture->seen);
	(void)snprintf(fixture->seen + size, SEEN - size, "%u:%s|", number, sql);
	(void)pthread_mutex_unlock(&fixture->lock);
	if (number < kolk__load_acquire(&fixture->failing) && strcmp(sql, checks) == 0)
		return fixture->failure == NULL ?
			       kit_mock_drain(conn, 5000) && false :
			       kit_mock_send(conn, fixture->failure, fixture->failure_size);
	if (sql[0] == 0)
		return kit_mock_send(conn, EMPTY, sizeof EMPTY - 1);
	if (strcmp(sql, checks) == 0)
		return kit_mock_send(conn, ROWS, sizeof ROWS - 1);
	return kit_mock_send(conn, DONE, sizeof DONE - 1);
}

static void play(struct kit_mock_conn *conn, void *user)
{
	uint8_t head[5];
	char sql[256];
	size_t size;

	if (!kit_mock_read(conn, head, 4, 5000) ||
	    !kit_mock_read(conn, NULL, (size_t)head[3] - 4, 5000) ||
	    !kit_mock_send(conn, WELCOME, sizeof WELCOME - 1))
		return;
	while (kit_mock_read(conn, head, 5, 10000)) {
		size = ((size_t)head[3] << 8 | head[4]) - 4;
		if (size > sizeof sql || !kit_mock_read(conn, sql, size, 5000) || head[0] != 'Q' ||
		    !answer(conn, user, sql))
			return;
	}
}

static void open_stage(struct fixture *fixture, const struct kolk_postgres_options *options,
		       uint64_t ping_interval_ns)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);
	struct kolk_postgres_options o = *options;

	*fixture = (struct fixture){ .lock = PTHREAD_MUTEX_INITIALIZER };
	fixture->mock = kit_mock_open(&(struct kit_mock_options){ .play = play, .user = fixture });
	assert_non_null(fixture->mock);
	o.user = "someone";
	e.loops = 1;
	p.name = "db";
	p.address = kit_mock_address(fixture->mock);
	p.driver = kolk_driver_postgres();
	p.driver_user = &o;
	p.idle_min = KOLK_NONE;
	p.connections_max = 4;
	p.circuit_failures = KOLK_NONE;
	p.ping_interval_ns = ping_interval_ns;
	assert_int_equal(kolk_engine_create(&e, &fixture->engine), KOLK_OK);
	assert_int_equal(kolk_postgres_pool_add(fixture->engine, &p, &fixture->pool), KOLK_OK);
}

static void close_stage(struct fixture *fixture)
{
	assert_int_equal(kolk_engine_destroy(fixture->engine), KOLK_OK);
	kit_mock_close(fixture->mock);
}

static bool includes(struct fixture *fixture, const char *text)
{
	bool found;

	(void)pthread_mutex_lock(&fixture->lock);
	found = strstr(fixture->seen, text) != NULL;
	(void)pthread_mutex_unlock(&fixture->lock);
	return found;
}

static bool has_seen(struct fixture *fixture, const char *text)
{
	bool found;

	(void)pthread_mutex_lock(&fixture->lock);
	found = strcmp(fixture->seen, text) == 0;
	(void)pthread_mutex_unlock(&fixture->lock);
	return found;
}

/* Whatever comes between is in `seen`, too. */
static void assert_seen(struct fixture *fixture, const char *text)
{
	(void)WITHIN_MS(3000, has_seen(fixture, text));
	(void)pthread_mutex_lock(&fixture->lock);
	assert_string_equal(fixture->seen, text);
	(void)pthread_mutex_unlock(&fixture->lock);
}

static const struct kolk_postgres_statement work = {
	.sql = "work", .flags = KOLK_POSTGRES_SIMPLE | KOLK_POSTGRES_HARMLESS
};

static struct kolk_postgres_request request_of(const struct kolk_postgres_statement *statement)
{
	struct kolk_postgres_request request = KOLK_INIT(kolk_postgres_request);

	request.count = 1;
	request.statements = statement;
	return request;
}

static enum kolk_err query(struct fixture *fixture)
{
	struct kolk_postgres_request request = request_of(&work);

	return kolk_postgres_query(kolk_pool_key(fixture->pool), &request, kolk_in_ms(3000), NULL);
}

static uint32_t idle(struct fixture *fixture)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	assert_int_equal(kolk_pool_stats(fixture->pool, &stats), KOLK_OK);
	return stats.idle;
}

/* Two connections that were used. */
static void use_two(struct fixture *fixture)
{
	struct kolk_lease leases[2];

	for (int i = 0; i < 2; i++)
		assert_int_equal(kolk_acquire(kolk_pool_key(fixture->pool), kolk_in_ms(3000),
					      &leases[i]), KOLK_OK);
	for (int i = 0; i < 2; i++)
		assert_int_equal(kolk_release(&leases[i]), KOLK_OK);
	assert_true(WITHIN_MS(3000, idle(fixture) == 2));
}

/* ---- while idle */

static void idle_connections_get_the_query(void **state)
{
	struct kolk_postgres_options o = KOLK_INIT(kolk_postgres_options);
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	struct fixture fixture;

	(void)state;
	o.validation_query = checks;
	open_stage(&fixture, &o, 50 * KOLK_MS_NS);
	assert_int_equal(query(&fixture), KOLK_OK);
	assert_true(WITHIN_MS(3000, kolk_pool_stats(fixture.pool, &stats) == KOLK_OK &&
					    stats.pings_ok >= 2));
	assert_true(includes(&fixture, "0:work|0:select check()|"));
	fixture.failure = ERROR;
	fixture.failure_size = sizeof ERROR - 1;
	kolk__store_release(&fixture.failing, 1);
	assert_true(WITHIN_MS(3000, kolk_pool_stats(fixture.pool, &stats) == KOLK_OK &&
					    stats.pings_failed == 1 && stats.open == 0));
	close_stage(&fixture);
}

/* ---- on borrow */

static void only_used_connections_are_validated(void **state)
{
	struct kolk_postgres_options o = KOLK_INIT(kolk_postgres_options);
	struct kolk_lease lease;
	struct fixture fixture;

	(void)state;
	o.validate_on_borrow = 1; /* with the empty query */
	open_stage(&fixture, &o, KOLK_FOREVER);
	assert_int_equal(query(&fixture), KOLK_OK);
	assert_int_equal(query(&fixture), KOLK_OK);
	assert_seen(&fixture, "0:work|0:|0:work|");
	assert_int_equal(kolk_postgres_acquire(kolk_pool_key(fixture.pool), kolk_in_ms(3000),
					       &lease), KOLK_OK);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	assert_seen(&fixture, "0:work|0:|0:work|0:|");
	close_stage(&fixture);
}

/* It lay idle as those do that were used, and its server may have ended it likewise. */
static void what_was_made_ahead_is_validated(void **state)
{
	struct kolk_postgres_options o = KOLK_INIT(kolk_postgres_options);
	struct kolk_pool_limits limits = KOLK_INIT(kolk_pool_limits);
	struct fixture fixture;

	(void)state;
	o.validate_on_borrow = 1;
	open_stage(&fixture, &o, KOLK_FOREVER);
	limits.idle_min = 1;
	assert_int_equal(kolk_pool_limits_set(fixture.pool, &limits), KOLK_OK);
	assert_int_equal(kolk_pool_warm(fixture.pool, kolk_in_ms(10000)), KOLK_OK);
	assert_int_equal(query(&fixture), KOLK_OK);
	assert_seen(&fixture, "0:|0:work|");
	close_stage(&fixture);
}

/* Both used ones fail, by an error, an open transaction and by silence: a new one serves. */
static void what_fails_on_borrow_is_closed(void **state)
{
	static const struct {
		const char *say;
		size_t size;
	} failures[] = { { ERROR, sizeof ERROR - 1 }, { NULL, 0 } };
	struct kolk_postgres_options o = KOLK_INIT(kolk_postgres_options);
	struct fixture fixture;

	(void)state;
	o.validate_on_borrow = 1;
	o.validation_query = checks;
	o.validation_timeout_ns = 100 * KOLK_MS_NS;
	for (int i = 0; i < 2; i++) {
		open_stage(&fixture, &o, KOLK_FOREVER);
		use_two(&fixture);
		fixture.failure = failures[i].say;
		fixture.failure_size = failures[i].size;
		kolk__store_release(&fixture.failing, 2);
		assert_int_equal(query(&fixture), KOLK_OK);
		assert_true(includes(&fixture, "0:select check()|"));
		assert_true(includes(&fixture, "1:select check()|"));
		assert_true(includes(&fixture, "|2:work|"));
		assert_int_equal(query(&fixture), KOLK_OK);
		assert_true(includes(&fixture, "|2:work|2:select check()|2:work|"));
		close_stage(&fixture);
	}
}

struct awaited {
	kolk__atomic_u32 done;
	enum kolk_err err;
	struct fixture *fixture;
	struct kolk_postgres_call *call;
	struct kolk_postgres_request request;
	struct kolk_call begin, end;
};

static void on_done(void *user, enum kolk_err err, struct kolk_postgres_result *result)
{
	struct awaited *awaited = user;

	kolk_postgres_result_free(result);
	awaited->err = err;
	kolk__store_release(&awaited->done, 1);
}

static void begin(struct kolk_call *call, void *user)
{
	struct awaited *awaited = user;
	enum kolk_err err;

	(void)call;
	err = kolk_postgres_query_async(kolk_engine_loop(awaited->fixture->engine, 0),
					kolk_pool_key(awaited->fixture->pool), &awaited->request,
					kolk_in_ms(3000), on_done, awaited, &awaited->call);
	assert_int_equal(err, KOLK_PENDING);
}

static void cancel(struct kolk_call *call, void *user)
{
	struct awaited *awaited = user;

	(void)call;
	kolk_postgres_call_cancel(awaited->call);
}

static void ask_on_the_loop(struct fixture *fixture, struct awaited *awaited)
{
	*awaited = (struct awaited){ .fixture = fixture, .request = request_of(&work) };
	assert_int_equal(kolk_loop_call(kolk_engine_loop(fixture->engine, 0), &awaited->begin,
					begin, awaited), KOLK_OK);
}

static void calls_on_a_loop_are_validated(void **state)
{
	struct kolk_postgres_options o = KOLK_INIT(kolk_postgres_options);
	struct fixture fixture;
	struct awaited awaited;

	(void)state;
	o.validate_on_borrow = 1;
	o.validation_query = checks;
	o.validation_timeout_ns = 100 * KOLK_MS_NS;
	open_stage(&fixture, &o, KOLK_FOREVER);
	use_two(&fixture);
	kolk__store_release(&fixture.failing, 2); /* silent */
	ask_on_the_loop(&fixture, &awaited);
	assert_true(WITHIN_MS(3000, kolk__load_acquire(&awaited.done) != 0));
	assert_int_equal(awaited.err, KOLK_OK);
	assert_true(includes(&fixture, "1:select check()|"));
	assert_true(includes(&fixture, "|2:work|"));
	ask_on_the_loop(&fixture, &awaited);
	assert_true(WITHIN_MS(3000, kolk__load_acquire(&awaited.done) != 0));
	assert_int_equal(awaited.err, KOLK_OK);
	assert_true(includes(&fixture, "|2:work|2:select check()|2:work|"));
	close_stage(&fixture);
}

static void a_call_is_cancelled_while_it_validates(void **state)
{
	struct kolk_postgres_options o = KOLK_INIT(kolk_postgres_options);
	struct fixture fixture;
	struct awaited awaited;

	(void)state;
	o.validate_on_borrow = 1;
	o.validation_query = checks;
	open_stage(&fixture, &o, KOLK_FOREVER);
	assert_int_equal(query(&fixture), KOLK_OK);
	kolk__store_release(&fixture.failing, 1); /* silent */
	ask_on_the_loop(&fixture, &awaited);
	assert_seen(&fixture, "0:work|0:select check()|");
	assert_int_equal(kolk_loop_call(kolk_engine_loop(fixture.engine, 0), &awaited.end, cancel,
					&awaited), KOLK_OK);
	assert_true(WITHIN_MS(3000, kolk__load_acquire(&awaited.done) != 0));
	assert_int_equal(awaited.err, KOLK_E_CANCELLED);
	close_stage(&fixture);
}

/* ---- on return */

static void connections_that_come_back_are_validated(void **state)
{
	static const struct {
		const char *say;
		size_t size;
	} failures[] = { { ERROR, sizeof ERROR - 1 }, { OPEN, sizeof OPEN - 1 } };
	struct kolk_postgres_options o = KOLK_INIT(kolk_postgres_options);
	struct kolk_lease lease;
	struct fixture fixture;

	(void)state;
	o.validate_on_return = 1;
	o.validation_query = checks;
	for (int i = 0; i < 2; i++) {
		open_stage(&fixture, &o, KOLK_FOREVER);
		assert_int_equal(query(&fixture), KOLK_OK);
		assert_seen(&fixture, "0:work|0:select check()|");
		assert_true(WITHIN_MS(3000, idle(&fixture) == 1));
		/* A lease that ran nothing needs none. */
		assert_int_equal(kolk_acquire(kolk_pool_key(fixture.pool), kolk_in_ms(3000),
					      &lease), KOLK_OK);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
		fixture.failure = failures[i].say;
		fixture.failure_size = failures[i].size;
		kolk__store_release(&fixture.failing, 1);
		assert_int_equal(query(&fixture), KOLK_OK);
		assert_seen(&fixture, "0:work|0:select check()|0:work|0:select check()|");
		assert_true(WITHIN_MS(3000, kit_mock_counts(fixture.mock).open == 0));
		close_stage(&fixture);
	}
}

static void a_statement_that_may_leave_state_is_reset_first(void **state)
{
	const struct kolk_postgres_statement set = { .sql = "set", .flags = KOLK_POSTGRES_SIMPLE };
	struct kolk_postgres_request request = request_of(&set);
	struct kolk_postgres_options o = KOLK_INIT(kolk_postgres_options);
	struct fixture fixture;

	(void)state;
	o.validate_on_return = 1;
	open_stage(&fixture, &o, KOLK_FOREVER);
	assert_int_equal(kolk_postgres_query(kolk_pool_key(fixture.pool), &request,
					     kolk_in_ms(3000), NULL), KOLK_OK);
	assert_seen(&fixture, "0:set|0:DISCARD ALL|0:|");
	assert_true(WITHIN_MS(3000, idle(&fixture) == 1));
	close_stage(&fixture);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(idle_connections_get_the_query),
	cmocka_unit_test(only_used_connections_are_validated),
	cmocka_unit_test(what_was_made_ahead_is_validated),
	cmocka_unit_test(what_fails_on_borrow_is_closed),
	cmocka_unit_test(calls_on_a_loop_are_validated),
	cmocka_unit_test(a_call_is_cancelled_while_it_validates),
	cmocka_unit_test(connections_that_come_back_are_validated),
	cmocka_unit_test(a_statement_that_may_leave_state_is_reset_first),
};

CMOCKA_TESTS(pg_validate, tests);
