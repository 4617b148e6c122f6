/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_session_test.c - a connection's state after a request that was cancelled, or failed in the
 * middle: which statements are prepared, which answers are outstanding. Against a scripted server.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kolk/kolk.h>
#include <kolk/postgres.h>

#include "tests/kit/cmocka/run.h"
#include "tests/kit/mock.h"
#include "tests/kit/tap.h"

struct line {
	char await;       /* the type of a message; others before it are noted only */
	uint32_t pause_us; /* before it says; UNTIL_LEFT = until the test has set left, 5 s at most */
	const char *say;
	size_t size;
};
#define LINE(type, pause_us, text) { type, pause_us, text, sizeof(text) - 1 }

#define WELCOME "R\0\0\0\x8\0\0\0\0" "K\0\0\0\xc\0\0\0\7\0\0\0\7" "Z\0\0\0\5I"
#define READY "Z\0\0\0\5I"
#define PARSED "1\0\0\0\4"
#define BOUND "2\0\0\0\4"
#define CLOSED "3\0\0\0\4"
#define NO_ROWS "n\0\0\0\4"
#define ONE_COLUMN "T\0\0\0\x1a\0\1" "a\0\0\0\0\0\0\0\0\0\0\x19\377\377\377\377\377\377\0\0"
#define ROW "D\0\0\0\x14\0\1\0\0\0\xa" "0123456789"
#define DONE "C\0\0\0\7OK\0"
#define ERROR "E\0\0\0\x13SERROR\0C57014\0\0"
#define DUPLICATE "E\0\0\0\x13SERROR\0C23505\0\0"
#define OUT_OF_RANGE "E\0\0\0\x13SERROR\0C22003\0\0"
#define COPY_IN "G\0\0\0\7\0\0\0"

enum { SEEN = 512 };
#define UNTIL_LEFT UINT32_MAX

struct fixture {
	const struct line *script;
	size_t lines;
	char seen[SEEN]; /* types of what came, names of what was prepared and closed */
	kolk__atomic_u32 messages; /* in seen */
	kolk__atomic_bool left;    /* the test's: the caller does not wait any more */
	struct kit_mock *mock;
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_postgres_options options;
};

static void record(struct fixture *fixture, char type, const char *name)
{
	size_t size = strlen(fixture->seen);

	snprintf(fixture->seen + size, SEEN - size, "%c%s%s", type, name,
		 type == 'P' || type == 'C' ? " " : "");
	kolk__add_acq_rel(&fixture->messages, 1);
}

static char read_message(struct kit_mock_conn *conn, struct fixture *fixture)
{
	uint8_t header[5];
	static _Thread_local char body[65536];
	size_t size;

	if (!kit_mock_read(conn, header, 5, 5000))
		return 0;
	size = ((size_t)header[2] << 16 | (size_t)header[3] << 8 | header[4]) - 4;
	if (size > sizeof body || !kit_mock_read(conn, body, size, 5000))
		return 0;
	record(fixture, (char)header[0],
	       header[0] == 'P' ? body : header[0] == 'C' ? body + 1 : "");
	return (char)header[0];
}

static bool pause_for(struct kit_mock_conn *conn, const struct fixture *fixture, uint32_t us)
{
	if (us != UNTIL_LEFT)
		return kit_mock_wait(conn, us);
	for (int ms = 0; ms < 5000 && !kolk__load_acquire(&fixture->left); ms++)
		if (!kit_mock_wait(conn, 1000))
			return false;
	return true;
}

static void mock_run(struct kit_mock_conn *conn, void *user)
{
	struct fixture *fixture = user;
	uint8_t length[4];

	if (kit_mock_number(conn) > 0) { /* a cancel request: answered late */
		(void)kit_mock_wait(conn, 200000);
		return;
	}
	if (!kit_mock_read(conn, length, 4, 5000) ||
	    !kit_mock_read(conn, NULL, (size_t)length[3] - 4, 5000) ||
	    !kit_mock_send(conn, WELCOME, sizeof WELCOME - 1))
		return;
	for (size_t i = 0; i < fixture->lines; i++) {
		char type;

		do {
			type = read_message(conn, fixture);
		} while (type != 0 && type != fixture->script[i].await);
		if (type == 0 || !pause_for(conn, fixture, fixture->script[i].pause_us) ||
		    !kit_mock_send(conn, fixture->script[i].say, fixture->script[i].size))
			return;
	}
	while (read_message(conn, fixture) != 0)
		;
}

static void open_stage_of(struct fixture *fixture, const struct line *script, size_t lines,
			  struct kolk_engine_options *e, uint64_t cancel_after_ns)
{
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);
	const struct kit_mock_options m = { .play = mock_run, .user = fixture };

	*fixture = (struct fixture){ .script = script, .lines = lines };
	fixture->options = (struct kolk_postgres_options)KOLK_INIT(kolk_postgres_options);
	fixture->options.user = "someone";
	fixture->options.cancel_after_ns = cancel_after_ns;
	fixture->mock = kit_mock_open(&m);
	assert_non_null(fixture->mock);
	e->loops = 1;
	p.name = "db";
	p.address = kit_mock_address(fixture->mock);
	p.driver = kolk_driver_postgres();
	p.driver_user = &fixture->options;
	p.idle_min = KOLK_NONE;
	p.connections_max = 1;
	p.circuit_failures = KOLK_NONE;
	p.mend_timeout_ns = 2 * KOLK_S_NS;
	assert_int_equal(kolk_engine_create(e, &fixture->engine), KOLK_OK);
	assert_int_equal(kolk_postgres_pool_add(fixture->engine, &p, &fixture->pool), KOLK_OK);
}

static void open_stage(struct fixture *fixture, const struct line *script, size_t lines)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);

	open_stage_of(fixture, script, lines, &e, KOLK_S_NS);
}

static void close_stage(struct fixture *fixture)
{
	assert_int_equal(kolk_engine_destroy(fixture->engine), KOLK_OK);
	/* The server reads to the end, its Terminate too. */
	(void)WITHIN_MS(5000, kit_mock_counts(fixture->mock).open == 0);
	kit_mock_close(fixture->mock);
}

/* On a lease of its own; which connection that was on. */
static enum kolk_err ask(struct fixture *fixture, struct kolk_postgres_request *request,
			 uint64_t ms, uint64_t *connection)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);
	struct kolk_lease lease;
	enum kolk_err err = kolk_acquire(kolk_pool_key(fixture->pool), kolk_in_ms(3000), &lease);

	if (err != KOLK_OK)
		return err;
	assert_int_equal(kolk_lease_info(&lease, &info), KOLK_OK);
	*connection = info.connection;
	err = kolk_postgres_run(&lease, request, kolk_in_ms(ms), NULL);
	assert_int_equal(kolk_postgres_release(&lease), KOLK_OK);
	kolk__store_release(&fixture->left, true);
	return err;
}

static struct kolk_postgres_request one(const struct kolk_postgres_statement *statement)
{
	struct kolk_postgres_request request = KOLK_INIT(kolk_postgres_request);

	request.count = 1;
	request.statements = statement;
	return request;
}

/* The statement fails, before it was parsed, after its caller cancelled. */
static void test_left_before_parsed(void **state)
{
	static const struct line script[] = {
		LINE('S', UNTIL_LEFT, ERROR READY),
		LINE('S', 0, CLOSED PARSED BOUND NO_ROWS DONE READY),
		LINE('S', 0, BOUND NO_ROWS DONE READY),
	};
	const struct kolk_postgres_statement statement = {
		"select", NULL, 0, KOLK_POSTGRES_PREPARE | KOLK_POSTGRES_HARMLESS };
	struct kolk_postgres_request request = one(&statement);
	uint64_t first, again;
	struct fixture fixture;

	(void)state;
	open_stage(&fixture, script, 3);
	assert_int_equal(ask(&fixture, &request, 250, &first), KOLK_E_TIMEOUT);
	assert_int_equal(ask(&fixture, &request, 3000, &again), KOLK_OK);
	assert_int_equal(ask(&fixture, &request, 3000, &again), KOLK_OK);
	assert_int_equal(first, again);
	close_stage(&fixture);
	assert_string_equal(fixture.seen, "Pkolk1 BDES" "Ckolk1 Pkolk2 BDES" "BDESX");
}

/* The second part of a long batch was never sent. */
static void test_left_before_sent(void **state)
{
	static const struct line script[] = {
		LINE('H', UNTIL_LEFT, PARSED BOUND NO_ROWS DONE),
		LINE('S', 0, READY),
		LINE('S', 0, CLOSED PARSED BOUND NO_ROWS DONE READY),
	};
	static char text[40000];
	const struct kolk_postgres_value value = { .data = text, .size = sizeof text };
	const struct kolk_postgres_statement statements[] = {
		{ "long", &value, 1, KOLK_POSTGRES_HARMLESS },
		{ "short", NULL, 0, KOLK_POSTGRES_HARMLESS | KOLK_POSTGRES_PREPARE },
	};
	struct kolk_postgres_request both = one(statements), second = one(&statements[1]);
	uint64_t first, again;
	struct fixture fixture;

	(void)state;
	both.count = 2;
	open_stage(&fixture, script, 3);
	assert_int_equal(ask(&fixture, &both, 250, &first), KOLK_E_TIMEOUT);
	assert_int_equal(ask(&fixture, &second, 3000, &again), KOLK_OK);
	assert_int_equal(first, again);
	close_stage(&fixture);
	assert_string_equal(fixture.seen, "P BDEHS" "Ckolk1 Pkolk2 BDESX");
}

/* The types of its parameters are a part of what a statement is. */
static void test_types(void **state)
{
	static const struct line script[] = {
		LINE('S', 0, PARSED BOUND NO_ROWS DONE READY),
		LINE('S', 0, PARSED BOUND NO_ROWS DONE READY),
		LINE('S', 0, PARSED BOUND NO_ROWS DONE READY),
		LINE('S', 0, BOUND NO_ROWS DONE BOUND NO_ROWS DONE BOUND NO_ROWS DONE READY),
	};
	static const uint8_t bytes[8] = { [7] = 42 };
	const struct kolk_postgres_value values[] = {
		{ .data = bytes, .size = 8, .type = 701, .binary = 1 },
		{ .data = bytes, .size = 8, .type = 20, .binary = 1 },
	};
	const uint32_t flags = KOLK_POSTGRES_PREPARE | KOLK_POSTGRES_HARMLESS;
	const struct kolk_postgres_statement statements[] = {
		{ "insert", values, 1, flags },
		{ "insert", values + 1, 1, flags },
		{ "insert", values, 2, flags },
	};
	struct kolk_postgres_request request;
	uint64_t connection;
	struct fixture fixture;

	(void)state;
	open_stage(&fixture, script, 4);
	for (int i = 0; i < 3; i++) {
		request = one(&statements[i]);
		assert_int_equal(ask(&fixture, &request, 3000, &connection), KOLK_OK);
	}
	request = one(statements);
	request.count = 3;
	assert_int_equal(ask(&fixture, &request, 3000, &connection), KOLK_OK);
	close_stage(&fixture);
	assert_string_equal(fixture.seen, "Pkolk1 BDES" "Pkolk2 BDES" "Pkolk3 BDES" "BDEBDEBDESX");
}

/* An error that may come of types which the server inferred once: it is asked again. */
static void test_outdated(void **state)
{
	static const struct line script[] = {
		LINE('S', 0, PARSED BOUND NO_ROWS DONE READY),
		LINE('S', 0, DUPLICATE READY),
		LINE('S', 0, OUT_OF_RANGE READY),
		LINE('S', 0, CLOSED PARSED BOUND NO_ROWS DONE READY),
	};
	const struct kolk_postgres_value value = { .data = "5000000000", .size = 10 };
	const struct kolk_postgres_statement statement = {
		"insert", &value, 1, KOLK_POSTGRES_PREPARE | KOLK_POSTGRES_HARMLESS };
	struct kolk_postgres_request request = one(&statement);
	uint64_t connection;
	struct fixture fixture;

	(void)state;
	open_stage(&fixture, script, 4);
	assert_int_equal(ask(&fixture, &request, 3000, &connection), KOLK_OK);
	assert_int_equal(ask(&fixture, &request, 3000, &connection), KOLK_E_SERVER);
	assert_int_equal(ask(&fixture, &request, 3000, &connection), KOLK_E_SERVER);
	assert_int_equal(ask(&fixture, &request, 3000, &connection), KOLK_OK);
	close_stage(&fixture);
	assert_string_equal(fixture.seen, "Pkolk1 BDES" "BDES" "BDES" "Ckolk1 Pkolk2 BDESX");
}

static enum kolk_err source_one(void *user, void *buffer, size_t capacity, size_t *size)
{
	uint32_t *asked = user;

	(void)capacity;
	*size = (*asked)++ % 2 == 0 ? 1 : 0;
	memcpy(buffer, "a", 1);
	return KOLK_OK;
}

/* A trigger may fail when COPY has begun, before the server read a byte of it: a Sync behind the statement
 * would be answered then, and one behind the data as well. So there is only one. */
static void test_copy_ready_once(void **state)
{
	static const struct line script[] = {
		LINE('H', 0, PARSED BOUND NO_ROWS COPY_IN),
		LINE('c', 0, ERROR),
		LINE('S', 50000, READY),
		LINE('Q', 50000, "C\0\0\0\x10" "DISCARD ALL\0" READY),
		LINE('H', 0, PARSED BOUND NO_ROWS DONE),
		LINE('S', 0, READY),
	};
	const struct kolk_postgres_statement copy = { "copy", NULL, 0, 0 };
	struct kolk_postgres_request request = one(&copy);
	uint32_t asked = 0;
	uint64_t first, again;
	struct fixture fixture;

	(void)state;
	request.source = source_one;
	request.user = &asked;
	open_stage(&fixture, script, 6);
	assert_int_equal(ask(&fixture, &request, 1000, &first), KOLK_E_SERVER);
	assert_int_equal(ask(&fixture, &request, 1000, &again), KOLK_OK);
	assert_int_equal(first, again);
	close_stage(&fixture);
	assert_memory_equal(fixture.seen, "P BDEHdcHS" "Q" "P BDEHS", 18); /* and its reset, perhaps */
}

/* Without a source: the Sync was sent, and whether it is dropped is unknown. */
static void test_copy_without_source(void **state)
{
	static const struct line script[] = { LINE('S', 0, PARSED BOUND NO_ROWS COPY_IN) };
	const struct kolk_postgres_statement copy = { "copy", NULL, 0, 0 };
	struct kolk_postgres_request request = one(&copy);
	uint64_t connection;
	struct fixture fixture;

	(void)state;
	open_stage(&fixture, script, 1);
	assert_int_equal(ask(&fixture, &request, 1000, &connection), KOLK_E_UNSUPPORTED);
	close_stage(&fixture);
	assert_string_equal(fixture.seen, "P BDES");
}

/* On a loop the error comes while the batch is not completely sent. */
static enum kolk_err source_more(void *user, void *buffer, size_t capacity, size_t *size)
{
	(void)user;
	*size = capacity;
	memset(buffer, 'a', capacity);
	return KOLK_OK;
}

static void copied(void *user, enum kolk_err err, struct kolk_postgres_result *result)
{
	*(enum kolk_err *)user = err;
	kolk_postgres_result_free(result);
}

static void test_copy_fails_while_sent(void **state)
{
	static const struct line script[] = {
		LINE('H', 0, PARSED BOUND NO_ROWS COPY_IN),
		LINE('d', 0, ERROR),
		LINE('S', 0, READY),
	};
	const struct kolk_postgres_statement copy = { "copy", NULL, 0, 0 };
	struct kolk_postgres_request request = one(&copy);
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	enum kolk_err err = KOLK_PENDING;
	struct kolk_loop *loop;
	struct fixture fixture;

	(void)state;
	request.source = source_more;
	e.loop_owner = KOLK_LOOPS_EMBEDDER;
	open_stage_of(&fixture, script, 3, &e, KOLK_S_NS);
	loop = kolk_engine_loop(fixture.engine, 0);
	assert_int_equal(kolk_loop_step(loop, 0), KOLK_OK);
	assert_int_equal(kolk_postgres_query_async(loop, kolk_pool_key(fixture.pool), &request,
						   kolk_in_ms(2000), copied, &err, NULL),
			 KOLK_PENDING);
	for (int i = 0; i < 1000 && err == KOLK_PENDING; i++)
		(void)kolk_loop_step(loop, 10 * KOLK_MS_NS);
	assert_int_equal(err, KOLK_E_SERVER);
	close_stage(&fixture);
}

/* One request by the simple protocol, on a connection of its own. */
static enum kolk_err ask_simply(const struct line *script, size_t lines,
				const struct kolk_postgres_request *how)
{
	const struct kolk_postgres_statement simple = {
		"a; b", NULL, 0, KOLK_POSTGRES_SIMPLE | KOLK_POSTGRES_HARMLESS };
	struct kolk_postgres_request request = *how;
	uint64_t connection;
	struct fixture fixture;
	enum kolk_err err;

	request.count = 1;
	request.statements = &simple;
	open_stage(&fixture, script, lines);
	err = ask(&fixture, &request, 1000, &connection);
	close_stage(&fixture);
	return err;
}

static void test_simple(void **state)
{
	static const struct line two_copies[] = {
		LINE('Q', 0, COPY_IN), LINE('c', 0, DONE COPY_IN), LINE('c', 0, DONE READY),
	};
	static const struct line nothing[] = { LINE('Q', 0, READY) };
	static const struct line flood[] = { LINE('Q', 0, DONE DONE DONE DONE DONE DONE DONE DONE) };
	struct kolk_postgres_request how = KOLK_INIT(kolk_postgres_request);
	uint32_t asked = 0;

	(void)state;
	assert_int_equal(ask_simply(nothing, 1, &how), KOLK_E_PROTOCOL);
	how.result_bytes_max = 2000;
	assert_int_equal(ask_simply(flood, 1, &how), KOLK_E_LIMIT);
	how.source = source_one;
	how.user = &asked;
	assert_int_equal(ask_simply(two_copies, 3, &how), KOLK_OK);
	assert_int_equal(asked, 4);
}

/* The bound is that of all rows of a request. */
static void test_collected(void **state)
{
	static const struct line script[] = {
		LINE('S', 0, PARSED BOUND ONE_COLUMN ROW DONE PARSED BOUND ONE_COLUMN ROW DONE READY),
	};
	const struct kolk_postgres_statement statements[] = {
		{ "a", NULL, 0, KOLK_POSTGRES_HARMLESS }, { "b", NULL, 0, KOLK_POSTGRES_HARMLESS }
	};
	struct kolk_postgres_request request = one(statements);
	uint64_t connection;
	struct fixture fixture;

	(void)state;
	request.count = 2;
	request.result_bytes_max = 30;
	open_stage(&fixture, script, 1);
	assert_int_equal(ask(&fixture, &request, 1000, &connection), KOLK_E_LIMIT);
	close_stage(&fixture);
}

static enum kolk_err enough(void *user, const void *data, size_t size)
{
	(void)user;
	(void)data;
	(void)size;
	return KOLK_E_CANCELLED;
}

/* The caller had enough of the first COPY, and the second waits for data that never comes. */
static void test_copy_behind_the_end(void **state)
{
	static const struct line script[] = {
		LINE('Q', 0, "H\0\0\0\7\0\0\0" "d\0\0\0\5x" "c\0\0\0\4" DONE COPY_IN),
		LINE('f', 0, ERROR READY),
		LINE('Q', 0, DONE READY),
	};
	const struct kolk_postgres_statement simple = {
		"copy out; copy in", NULL, 0, KOLK_POSTGRES_SIMPLE | KOLK_POSTGRES_HARMLESS };
	struct kolk_postgres_request request = one(&simple);
	uint64_t first, again;
	struct fixture fixture;

	(void)state;
	request.sink = enough;
	open_stage(&fixture, script, 3);
	assert_int_equal(ask(&fixture, &request, 1000, &first), KOLK_E_CANCELLED);
	assert_int_equal(ask(&fixture, &request, 1000, &again), KOLK_OK);
	assert_int_equal(first, again);
	close_stage(&fixture);
}

/* A released lease is stale, also while the cancel is still in flight. */
static void test_released_twice(void **state)
{
	static const struct line script[] = { LINE('S', UNTIL_LEFT, PARSED BOUND NO_ROWS DONE READY) };
	const struct kolk_postgres_statement statement = { "a", NULL, 0, KOLK_POSTGRES_HARMLESS };
	struct kolk_postgres_request request = one(&statement);
	struct kolk_lease lease;
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct fixture fixture;

	(void)state;
	open_stage_of(&fixture, script, 1, &e, KOLK_MS_NS);
	assert_int_equal(kolk_acquire(kolk_pool_key(fixture.pool), kolk_in_ms(3000), &lease), KOLK_OK);
	assert_int_equal(kolk_postgres_run(&lease, &request, kolk_in_ms(20), NULL), KOLK_E_TIMEOUT);
	assert_int_equal(kolk_postgres_release(&lease), KOLK_OK);
	assert_int_equal(poll(NULL, 0, 100), 0);
	assert_int_equal(kolk_postgres_release(&lease), KOLK_E_LEASE_STALE);
	assert_int_equal(kolk_postgres_run(&lease, &request, kolk_in_ms(20), NULL),
			 KOLK_E_LEASE_STALE);
	kolk__store_release(&fixture.left, true);
	close_stage(&fixture);
}

/* Refused on this thread: nothing was sent, so nothing is outstanding. */
static void test_other_thread(void **state)
{
	static const struct line script[] = { LINE('S', 0, PARSED BOUND NO_ROWS DONE READY) };
	const struct kolk_postgres_statement statement = { "a", NULL, 0, KOLK_POSTGRES_HARMLESS };
	struct kolk_postgres_request request = one(&statement);
	struct kolk_postgres_info info = KOLK_INIT(kolk_postgres_info);
	enum kolk_err ended = KOLK_PENDING;
	struct kolk_lease lease;
	struct fixture fixture;

	(void)state;
	open_stage(&fixture, script, 1);
	assert_int_equal(kolk_acquire(kolk_pool_key(fixture.pool), kolk_in_ms(3000), &lease), KOLK_OK);
	assert_int_equal(kolk_postgres_run_async(kolk_engine_loop(fixture.engine, 0), &lease, &request,
						 0, copied, &ended, NULL), KOLK_E_THREAD);
	assert_int_equal(kolk_postgres_info(&lease, &info), KOLK_OK);
	assert_int_equal(info.owed, 0);
	assert_int_equal(kolk_postgres_run(&lease, &request, kolk_in_ms(1000), NULL), KOLK_OK);
	assert_int_equal(kolk_postgres_release(&lease), KOLK_OK);
	close_stage(&fixture);
}

static enum kolk_err no_body(void *user, const struct kolk_lease *lease, uint64_t deadline_ns)
{
	(void)user;
	(void)lease;
	(void)deadline_ns;
	return KOLK_OK;
}

/* What comes before BEGIN is not harmless. */
static void test_begin_of_many(void **state)
{
	static const struct line script[] = { LINE('Q', 0, DONE DONE ERROR READY), LINE('Q', 0, "") };
	struct kolk_postgres_transaction options = KOLK_INIT(kolk_postgres_transaction);
	struct fixture fixture;

	(void)state;
	options.begin = "set role other; begin";
	open_stage(&fixture, script, 2);
	assert_int_equal(kolk_postgres_transact(kolk_pool_key(fixture.pool), &options,
						kolk_in_ms(1000), no_body, NULL), KOLK_E_SERVER);
	assert_true(WITHIN_MS(5000, kolk__load_acquire(&fixture.messages) == 2));
	close_stage(&fixture);
	assert_string_equal(fixture.seen, "QQ"); /* DISCARD ALL */
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_left_before_parsed),
	cmocka_unit_test(test_left_before_sent),
	cmocka_unit_test(test_types),
	cmocka_unit_test(test_outdated),
	cmocka_unit_test(test_copy_ready_once),
	cmocka_unit_test(test_copy_without_source),
	cmocka_unit_test(test_copy_fails_while_sent),
	cmocka_unit_test(test_copy_behind_the_end),
	cmocka_unit_test(test_simple),
	cmocka_unit_test(test_collected),
	cmocka_unit_test(test_released_twice),
	cmocka_unit_test(test_other_thread),
	cmocka_unit_test(test_begin_of_many),
};
CMOCKA_TESTS(pg_session, tests);
