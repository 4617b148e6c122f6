/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backpressure_test.c - servers that read no request while their answers are unread: more goes both
 * ways than the buffers of two sockets hold, so a caller that sends all before it reads waits for
 * ever.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kolk/kolk.h>
#include <kolk/postgres.h>
#include <kolk/redis.h>

#include "tests/kit/cmocka/run.h"
#include "tests/kit/mock.h"
#include "tests/kit/tap.h"

enum { LARGE = 6 << 20, COMMANDS = 20000, WORD = 1000, PIECE = 32768, PIECES = 512 };
enum { WHOLE_MS = 60000 };

/* clang-format off */
#define WELCOME "R\0\0\0\x8\0\0\0\0" "K\0\0\0\xc\0\0\0\7\0\0\0\7" "Z\0\0\0\5I"
#define READY "Z\0\0\0\5I"
#define HEAD "1\0\0\0\4" "2\0\0\0\4" "T\0\0\0\x1a\0\1" "a\0\0\0\0\0\0\0\0\0\0\x19\377\377\377\377\377\377\0\0"
#define DONE "C\0\0\0\7OK\0"
#define SHORT "1\0\0\0\4" "2\0\0\0\4" "n\0\0\0\4" DONE
#define FATAL "E\0\0\0\x13SFATAL\0C57P01\0\0"
#define COPY_IN "G\0\0\0\7\0\0\0"
/* clang-format on */
#define SEND(conn, text) kit_mock_send(conn, text, sizeof(text) - 1)

struct fixture {
	bool tls, copies, simple, on_loop, on_lease;
	struct kit_mock *mock;
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_redis_options redis;
	struct kolk_postgres_options postgres;
	uint32_t pieces; /* that the source gave */
	enum kolk_err err;
	uint64_t answers, bytes;
	char sqlstate[8];
};

static char *large; /* LARGE bytes of 'x' */

/* ---- the servers */

static void mock_redis(struct kit_mock_conn *conn, void *user)
{
	char text[64], *reply = malloc(WORD + 16);
	int head = snprintf(reply, WORD + 16, "$%d\r\n", WORD);

	(void)user;
	memcpy(reply + head, large, WORD);
	memcpy(reply + head + WORD, "\r\n", 2);
	if (kit_mock_read_until(conn, "PING\r\n", text, sizeof text, 5000) && SEND(conn, "+PONG\r\n"))
		while (kit_mock_read_until(conn, "ECHO\r\n$1000\r\n", text, sizeof text, WHOLE_MS) &&
		       kit_mock_read(conn, NULL, WORD + 2, WHOLE_MS) &&
		       kit_mock_send(conn, reply, (size_t)head + WORD + 2))
			;
	free(reply);
}

static void put32(uint8_t *at, size_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint8_t read_message(struct kit_mock_conn *conn, bool typed)
{
	uint8_t header[5] = { 0 };
	size_t size = 0;

	if (!kit_mock_read(conn, header + !typed, typed ? 5 : 4, WHOLE_MS))
		return 0;
	for (int i = 1; i < 5; i++)
		size = size << 8 | header[i];
	return kit_mock_read(conn, NULL, size - 4, WHOLE_MS) ? typed ? header[0] : 1 : 0;
}

/* A message whose body is fixed bytes and then so many others. */
static bool send_long(struct kit_mock_conn *conn, char type, const void *fixed, size_t fixed_size,
		      size_t size)
{
	uint8_t header[5] = { (uint8_t)type };

	put32(header + 1, 4 + fixed_size + size);
	return kit_mock_send(conn, header, 5) && kit_mock_send(conn, fixed, fixed_size) &&
	       kit_mock_send(conn, large, size);
}

static bool answer(struct kit_mock_conn *conn, const struct fixture *fixture, uint8_t type)
{
	uint8_t row[6] = { 0, 1 };

	put32(row + 2, LARGE);
	switch (type) {
	case 'Q':
	case 'E':
		if (fixture->copies)
			return SEND(conn, COPY_IN);
		return SEND(conn, HEAD) && send_long(conn, 'D', row, sizeof row, LARGE) &&
		       SEND(conn, DONE);
	case 'd':
		return send_long(conn, 'N', "S\0\0", 3, PIECE);
	case 'c':
		return SEND(conn, DONE) && (!fixture->simple || SEND(conn, READY));
	case 'S':
		return SEND(conn, READY);
	default:
		return type != 0 && type != 'X';
	}
}

static void mock_postgres(struct kit_mock_conn *conn, void *user)
{
	const struct fixture *fixture = user;

	if (fixture->tls && (read_message(conn, false) == 0 || !kit_mock_say(conn, "S") ||
			     !kit_mock_start_tls(conn)))
		return;
	if (read_message(conn, false) == 0 || !SEND(conn, WELCOME))
		return;
	while (answer(conn, fixture, read_message(conn, true)))
		;
}

/* All answers without reading a byte: the caller accepts them, the connection must not be
 * reused. */
static void mock_early_redis(struct kit_mock_conn *conn, void *user)
{
	char text[64];

	(void)user;
	if (kit_mock_read_until(conn, "PING\r\n", text, sizeof text, 5000) && SEND(conn, "+PONG\r\n") &&
	    kit_mock_read_until(conn, "ECHO\r\n", text, sizeof text, 5000) &&
	    SEND(conn, "$1\r\nx\r\n$1\r\nx\r\n"))
		(void)kit_mock_wait(conn, 5000000);
}

static void mock_early_postgres(struct kit_mock_conn *conn, void *user)
{
	(void)user;
	if (read_message(conn, false) != 0 && SEND(conn, WELCOME) && read_message(conn, true) != 0 &&
	    SEND(conn, SHORT READY))
		(void)kit_mock_wait(conn, 5000000);
}

/* The server ends while a statement is on its way to it. */
static void mock_shutdown(struct kit_mock_conn *conn, void *user)
{
	(void)user;
	if (read_message(conn, false) != 0 && SEND(conn, WELCOME) && read_message(conn, true) != 0 &&
	    SEND(conn, FATAL) && kit_mock_wait(conn, 100000))
		kit_mock_reset(conn);
}

/* ---- the fixture */

static void open_fixture(struct fixture *fixture, kit_mock_fn *mock_fn,
			 const struct kolk_driver *driver, const void *options)
{
	static const struct kit_cert_spec spec = { .subject = "localhost", .dns = "localhost" };
	static struct kit_cert cert;
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options t = KOLK_INIT(kolk_tls_options);
	struct kit_mock_options m = { .play = mock_fn, .user = fixture, .receive_bytes = 65536 };

	if (cert.pem[0] == 0)
		assert_true(kit_cert_make(&spec, NULL, &cert));
	m.cert = fixture->tls ? &cert : NULL;
	m.plain_first = driver == kolk_driver_postgres();
	fixture->mock = kit_mock_open(&m);
	assert_non_null(fixture->mock);
	t.verify_off = 1;
	e.loops = 1;
	e.loop_owner = fixture->on_loop ? KOLK_LOOPS_EMBEDDER : KOLK_LOOPS_ENGINE;
	p.name = "peer";
	p.address = kit_mock_address(fixture->mock);
	p.tls = fixture->tls ? &t : NULL;
	p.driver = driver;
	p.driver_user = (void *)(uintptr_t)options;
	p.connections_max = 1;
	p.idle_min = KOLK_NONE;
	p.ready_timeout_ns = p.tls_timeout_ns = 10 * KOLK_S_NS;
	assert_int_equal(kolk_engine_create(&e, &fixture->engine), KOLK_OK);
	assert_int_equal(kolk_pool_add(fixture->engine, &p, &fixture->pool), KOLK_OK);
}

/* All went well, so the connection serves the next. */
static void close_fixture(struct fixture *fixture)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	assert_int_equal(kolk_pool_stats(fixture->pool, &stats), KOLK_OK);
	assert_int_equal(stats.created, 1);
	assert_int_equal(stats.open, 1);
	assert_int_equal(kolk_check(fixture->engine, NULL), KOLK_OK);
	assert_int_equal(kolk_engine_destroy(fixture->engine), KOLK_OK);
	kit_mock_close(fixture->mock);
}

static void wait_for_end(struct fixture *fixture)
{
	struct kolk_loop *loop = kolk_engine_loop(fixture->engine, 0);
	uint64_t until = tap_now_ms() + 2 * WHOLE_MS;

	while (fixture->err == KOLK_PENDING && tap_now_ms() < until)
		(void)kolk_loop_step(loop, 10 * KOLK_MS_NS);
}

static struct kolk_lease lease_of(struct fixture *fixture)
{
	struct kolk_lease lease;

	assert_int_equal(kolk_acquire(kolk_pool_key(fixture->pool), kolk_in_ms(10000), &lease), KOLK_OK);
	return lease;
}

/* ---- Redis */

static void redis_answered(void *user, enum kolk_err err, const struct kolk_redis_reply *reply)
{
	struct fixture *fixture = user;

	fixture->err = err;
	for (size_t i = 0; reply != NULL && i < reply->count; i++) {
		fixture->answers++;
		fixture->bytes += reply->elements[i].size;
	}
	kolk_redis_reply_free(reply);
}

static void redis_ask(struct fixture *fixture, const struct kolk_redis_request *request)
{
	struct kolk_key *key = kolk_pool_key(fixture->pool);
	const struct kolk_redis_reply *reply;
	struct kolk_lease lease;
	enum kolk_err err;

	fixture->err = KOLK_PENDING;
	if (fixture->on_loop) {
		assert_int_equal(kolk_loop_step(kolk_engine_loop(fixture->engine, 0), 0), KOLK_OK);
		assert_int_equal(kolk_redis_call_start(kolk_engine_loop(fixture->engine, 0), key, request,
						       redis_answered, fixture, NULL), KOLK_PENDING);
		wait_for_end(fixture);
		return;
	}
	if (!fixture->on_lease) {
		err = kolk_redis_call(key, request, &reply);
	} else {
		lease = lease_of(fixture);
		err = kolk_redis_pipeline(&lease, request, &reply);
		assert_int_equal(kolk_release(&lease), KOLK_OK);
	}
	redis_answered(fixture, err, reply);
}

static void redis_pipeline(struct fixture *fixture)
{
	const char *const words[2] = { "ECHO", large };
	const size_t sizes[2] = { 4, WORD };
	struct kolk_redis_command *commands = calloc(COMMANDS, sizeof *commands);
	struct kolk_redis_request request = KOLK_INIT(kolk_redis_request);

	for (int i = 0; i < COMMANDS; i++)
		commands[i] = (struct kolk_redis_command){ 2, words, sizes };
	request.count = COMMANDS;
	request.commands = commands;
	request.deadline_ns = kolk_in_ms(WHOLE_MS);
	fixture->redis.size = sizeof fixture->redis;
	open_fixture(fixture, mock_redis, kolk_driver_redis(), &fixture->redis);
	redis_ask(fixture, &request);
	assert_string_equal(kolk_err_name(fixture->err), "KOLK_OK");
	assert_int_equal(fixture->answers, COMMANDS);
	assert_int_equal(fixture->bytes, COMMANDS * WORD);
	close_fixture(fixture);
	free(commands);
}

static void test_redis(void **state)
{
	(void)state;
	for (int tls = 0; tls < 2; tls++) {
		redis_pipeline(&(struct fixture){ .tls = tls, .on_lease = true });
		redis_pipeline(&(struct fixture){ .tls = tls });
		redis_pipeline(&(struct fixture){ .tls = tls, .on_loop = true });
	}
}

/* ---- PostgreSQL */

static void postgres_answered(void *user, enum kolk_err err, struct kolk_postgres_result *result)
{
	struct fixture *fixture = user;

	fixture->err = err;
	for (const struct kolk_postgres_result *at = result; at != NULL;
	     at = kolk_postgres_result_next(at)) {
		fixture->answers++;
		fixture->bytes += kolk_postgres_result_value(at, 0, 0).size;
	}
	if (result != NULL && kolk_postgres_result_error(result) != NULL)
		snprintf(fixture->sqlstate, sizeof fixture->sqlstate, "%s",
			 kolk_postgres_result_error(result)->sqlstate);
	kolk_postgres_result_free(result);
}

static void postgres_ask(struct fixture *fixture, const struct kolk_postgres_request *request)
{
	struct kolk_key *key = kolk_pool_key(fixture->pool);
	uint64_t deadline_ns = kolk_in_ms(WHOLE_MS);
	struct kolk_postgres_result *result = NULL;
	struct kolk_lease lease;
	enum kolk_err err;

	fixture->err = KOLK_PENDING;
	if (fixture->on_loop) {
		assert_int_equal(kolk_loop_step(kolk_engine_loop(fixture->engine, 0), 0), KOLK_OK);
		assert_int_equal(kolk_postgres_query_async(kolk_engine_loop(fixture->engine, 0), key,
							   request, deadline_ns, postgres_answered,
							   fixture, NULL), KOLK_PENDING);
		wait_for_end(fixture);
		return;
	}
	if (!fixture->on_lease) {
		err = kolk_postgres_query(key, request, deadline_ns, &result);
	} else {
		lease = lease_of(fixture);
		err = kolk_postgres_run(&lease, request, deadline_ns, &result);
		assert_int_equal(kolk_postgres_release(&lease), KOLK_OK);
	}
	postgres_answered(fixture, err, result);
}

static void postgres_open(struct fixture *fixture, kit_mock_fn *mock_fn)
{
	fixture->postgres = (struct kolk_postgres_options)KOLK_INIT(kolk_postgres_options);
	fixture->postgres.user = "someone";
	open_fixture(fixture, mock_fn, kolk_driver_postgres(), &fixture->postgres);
}

/* The second statement is long, and the first one's answer, too. */
static void postgres_batch(struct fixture *fixture)
{
	const struct kolk_postgres_value value = { .data = large, .size = LARGE };
	const struct kolk_postgres_statement statements[] = {
		{ "a", NULL, 0, KOLK_POSTGRES_HARMLESS },
		{ "b", &value, 1, KOLK_POSTGRES_HARMLESS },
	};
	struct kolk_postgres_request request = KOLK_INIT(kolk_postgres_request);

	request.count = 2;
	request.statements = statements;
	postgres_open(fixture, mock_postgres);
	postgres_ask(fixture, &request);
	assert_string_equal(kolk_err_name(fixture->err), "KOLK_OK");
	assert_int_equal(fixture->answers, 2);
	assert_int_equal(fixture->bytes, 2 * LARGE);
	close_fixture(fixture);
}

static void test_postgres_batch(void **state)
{
	(void)state;
	for (int tls = 0; tls < 2; tls++) {
		postgres_batch(&(struct fixture){ .tls = tls, .on_lease = true });
		postgres_batch(&(struct fixture){ .tls = tls });
		postgres_batch(&(struct fixture){ .tls = tls, .on_loop = true });
	}
}

static enum kolk_err source_pieces(void *user, void *buffer, size_t capacity, size_t *size)
{
	struct fixture *fixture = user;

	*size = fixture->pieces++ < PIECES ? capacity : 0;
	memset(buffer, 'a', *size);
	return KOLK_OK;
}

/* A trigger has something to say to each row. */
static void postgres_copy(struct fixture *fixture)
{
	const struct kolk_postgres_statement copy = {
		"copy", NULL, 0, KOLK_POSTGRES_HARMLESS | (fixture->simple ? KOLK_POSTGRES_SIMPLE : 0) };
	struct kolk_postgres_request request = KOLK_INIT(kolk_postgres_request);

	request.count = 1;
	request.statements = &copy;
	request.source = source_pieces;
	request.user = fixture;
	fixture->copies = true;
	postgres_open(fixture, mock_postgres);
	postgres_ask(fixture, &request);
	assert_string_equal(kolk_err_name(fixture->err), "KOLK_OK");
	assert_int_equal(fixture->pieces, PIECES + 1);
	close_fixture(fixture);
}

static void test_postgres_copy(void **state)
{
	(void)state;
	for (int tls = 0; tls < 2; tls++)
		for (int simple = 0; simple < 2; simple++) {
			postgres_copy(&(struct fixture){ .tls = tls, .simple = simple, .on_lease = true });
			postgres_copy(&(struct fixture){ .tls = tls, .simple = simple });
			postgres_copy(&(struct fixture){ .tls = tls, .simple = simple, .on_loop = true });
		}
}

/* ---- servers that do not wait for all of it */

/* A connection with a partly sent request is not reused. */
static void close_unused(struct fixture *fixture)
{
	struct kolk_loop *loop = kolk_engine_loop(fixture->engine, 0);
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	assert_true(WITHIN_MS(3000, (!fixture->on_loop || kolk_loop_step(loop, 0) == KOLK_OK) &&
					    kolk_pool_stats(fixture->pool, &stats) == KOLK_OK &&
					    stats.open == 0));
	assert_int_equal(kolk_engine_destroy(fixture->engine), KOLK_OK);
	kit_mock_close(fixture->mock);
}

static void redis_early(struct fixture *fixture)
{
	const char *const words[2] = { "ECHO", large };
	const size_t sizes[2] = { 4, LARGE };
	const struct kolk_redis_command commands[2] = { { 2, words, sizes }, { 2, words, sizes } };
	struct kolk_redis_request request = KOLK_INIT(kolk_redis_request);

	request.count = 2;
	request.commands = commands;
	request.deadline_ns = kolk_in_ms(WHOLE_MS);
	fixture->redis.size = sizeof fixture->redis;
	open_fixture(fixture, mock_early_redis, kolk_driver_redis(), &fixture->redis);
	redis_ask(fixture, &request);
	assert_string_equal(kolk_err_name(fixture->err), "KOLK_OK");
	assert_int_equal(fixture->bytes, 2);
	close_unused(fixture);
}

static void postgres_cut(struct fixture *fixture, kit_mock_fn *mock_fn)
{
	const struct kolk_postgres_value value = { .data = large, .size = LARGE };
	const struct kolk_postgres_statement statement = { "a", &value, 1, KOLK_POSTGRES_HARMLESS };
	struct kolk_postgres_request request = KOLK_INIT(kolk_postgres_request);

	request.count = 1;
	request.statements = &statement;
	postgres_open(fixture, mock_fn);
	postgres_ask(fixture, &request);
}

static void test_answered_early(void **state)
{
	(void)state;
	for (int on_loop = 0; on_loop < 2; on_loop++) {
		struct fixture fixture = { .on_loop = on_loop };

		redis_early(&(struct fixture){ .on_loop = on_loop });
		postgres_cut(&fixture, mock_early_postgres);
		assert_string_equal(kolk_err_name(fixture.err), "KOLK_OK");
		close_unused(&fixture);
	}
}

static void test_shut_down(void **state)
{
	(void)state;
	for (int on_loop = 0; on_loop < 2; on_loop++) {
		struct fixture fixture = { .on_loop = on_loop };

		postgres_cut(&fixture, mock_shutdown);
		assert_string_equal(fixture.sqlstate, "57P01");
		close_unused(&fixture);
	}
}

/* ---- */

static int fill(void **state)
{
	(void)state;
	large = malloc(LARGE);
	if (large != NULL)
		memset(large, 'x', LARGE);
	return large == NULL;
}

static int empty(void **state)
{
	(void)state;
	free(large);
	return 0;
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_redis, fill, empty),
	cmocka_unit_test_setup_teardown(test_postgres_batch, fill, empty),
	cmocka_unit_test_setup_teardown(test_postgres_copy, fill, empty),
	cmocka_unit_test_setup_teardown(test_answered_early, fill, empty),
	cmocka_unit_test_setup_teardown(test_shut_down, fill, empty),
};
CMOCKA_TESTS(backpressure, tests);
