/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_hostile.c - servers that say they are PostgreSQL: what they may not say before TLS, at the
 * log-in and in answer to a statement. Each ends with its error, and its connection is not reused.
 * And the password as md5, where it is allowed.
 */
#include <stdio.h>
#include <string.h>

#include <kolk/kolk.h>
#include <kolk/postgres.h>

#include "tests/kit/cmocka/run.h"
#include "tests/kit/mock.h"

struct bytes {
	const char *at;
	size_t size;
};
#define BYTES(text) { text, sizeof(text) - 1 }

#define LET_IN "R\0\0\0\x8\0\0\0\0"
#define KEY "K\0\0\0\xc\0\0\0\7\0\0\0\7"
#define READY "Z\0\0\0\5I"
#define WELCOME LET_IN "S\0\0\0\xb" "a\0bcde\0" KEY READY
#define PARSED "1\0\0\0\4" "2\0\0\0\4"
#define ONE_COLUMN "T\0\0\0\x1a\0\1" "a\0\0\0\0\0\0\0\0\0\0\x19\377\377\377\377\377\377\0\0"
#define ONE_ROW "D\0\0\0\xb\0\1\0\0\0\1x"
#define DONE "C\0\0\0\xdSELECT 1\0"
#define ANSWER PARSED ONE_COLUMN ONE_ROW DONE READY

struct server_script {
	const char *name;
	struct bytes upgrade; /* to SSLRequest; empty = none is awaited */
	struct bytes opening; /* to the start-up message */
	struct bytes reply;   /* to a batch; empty = none is awaited */
	enum kolk_err err;
};

static bool read_message(struct kit_mock_conn *conn, bool typed)
{
	uint8_t header[5];
	size_t size;

	if (!kit_mock_read(conn, header + !typed, typed ? 5 : 4, 5000))
		return false;
	size = (size_t)header[3] << 8 | header[4];
	return kit_mock_read(conn, NULL, size - 4, 5000);
}

static void mock_run(struct kit_mock_conn *conn, void *user)
{
	const struct server_script *server = user;
	uint8_t some[4096];

	if (server->upgrade.size > 0 &&
	    (!read_message(conn, false) ||
	     !kit_mock_send(conn, server->upgrade.at, server->upgrade.size)))
		return;
	if (server->opening.size > 0 &&
	    (!read_message(conn, false) ||
	     !kit_mock_send(conn, server->opening.at, server->opening.size)))
		return;
	if (server->reply.size > 0 &&
	    (kit_mock_read_some(conn, some, sizeof some, 5000) == 0 ||
	     !kit_mock_send(conn, server->reply.at, server->reply.size)))
		return;
	(void)kit_mock_drain(conn, 3000);
}

struct fixture {
	struct kit_mock *mock;
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_postgres_options options;
};

static struct kolk_postgres_options usual_options(void)
{
	struct kolk_postgres_options options = KOLK_INIT(kolk_postgres_options);

	options.user = "someone";
	options.password = "canary-of-hostile";
	options.message_bytes_max = 1000;
	return options;
}

/* With the fixture's options. */
static void open_mock(struct fixture *fixture, const struct kit_mock_options *m, bool tls)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options p = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options t = KOLK_INIT(kolk_tls_options);

	fixture->mock = kit_mock_open(m);
	assert_non_null(fixture->mock);
	e.loops = 1;
	p.name = "db";
	p.address = kit_mock_address(fixture->mock);
	p.driver = kolk_driver_postgres();
	p.driver_user = &fixture->options;
	p.idle_min = KOLK_NONE;
	p.circuit_failures = KOLK_NONE;
	p.ready_timeout_ns = p.tls_timeout_ns = 2 * KOLK_S_NS;
	p.mend_timeout_ns = 300 * KOLK_MS_NS;
	t.verify_off = 1;
	p.tls = tls ? &t : NULL;
	assert_int_equal(kolk_engine_create(&e, &fixture->engine), KOLK_OK);
	assert_int_equal(kolk_pool_add(fixture->engine, &p, &fixture->pool), KOLK_OK);
}

static void open_fixture(struct fixture *fixture, const struct server_script *server_says, bool tls)
{
	const struct kit_mock_options m = { .play = mock_run, .user = (void *)(uintptr_t)server_says };

	fixture->options = usual_options();
	open_mock(fixture, &m, tls);
}

static void close_fixture(struct fixture *fixture)
{
	assert_int_equal(kolk_engine_destroy(fixture->engine), KOLK_OK);
	kit_mock_close(fixture->mock);
}

/* ---- before the log-in ends */

#define SASL "R\0\0\0\x17\0\0\0\xaSCRAM-SHA-256\0\0"
#define REFUSED(sqlstate) "E\0\0\0\x1dSFATAL\0VFATAL\0C" sqlstate "\0Mx\0\0"
#define FATAL REFUSED("57P03")

static const struct server_script openings[] = {
	{ "no TLS", BYTES("N"), BYTES(""), BYTES(""), KOLK_E_TLS },
	{ "an error in place of a byte", BYTES(FATAL), BYTES(""), BYTES(""), KOLK_E_TLS },
	{ "bytes injected before TLS", BYTES("S" WELCOME), BYTES(""), BYTES(""), KOLK_E_PROTOCOL },
	{ "ready before authentication", BYTES(""), BYTES(READY), BYTES(""), KOLK_E_PROTOCOL },
	{ "a parameter before it", BYTES(""), BYTES("S\0\0\0\x8" "a\0b\0" WELCOME), BYTES(""),
	  KOLK_E_PROTOCOL },
	{ "a key before it", BYTES(""), BYTES(KEY), BYTES(""), KOLK_E_PROTOCOL },
	{ "let in twice", BYTES(""), BYTES(LET_IN LET_IN), BYTES(""), KOLK_E_PROTOCOL },
	{ "a password in clear", BYTES(""), BYTES("R\0\0\0\x8\0\0\0\3"), BYTES(""), KOLK_E_AUTH },
	{ "a password as md5", BYTES(""), BYTES("R\0\0\0\xc\0\0\0\5abcd"), BYTES(""), KOLK_E_AUTH },
	{ "GSSAPI", BYTES(""), BYTES("R\0\0\0\x8\0\0\0\7"), BYTES(""), KOLK_E_AUTH },
	{ "an unknown way", BYTES(""), BYTES("R\0\0\0\x8\0\0\3\7"), BYTES(""), KOLK_E_AUTH },
	{ "no way at all", BYTES(""), BYTES("R\0\0\0\x6\0\0"), BYTES(""), KOLK_E_PROTOCOL },
	{ "SASL without SCRAM", BYTES(""), BYTES("R\0\0\0\xf\0\0\0\xaPLAIN\0\0"), BYTES(""),
	  KOLK_E_AUTH },
	{ "a list that does not end", BYTES(""), BYTES("R\0\0\0\x15\0\0\0\xaSCRAM-SHA-256"),
	  BYTES(""), KOLK_E_AUTH },
	{ "SCRAM and let in without proof", BYTES(""), BYTES(SASL LET_IN), BYTES(""), KOLK_E_AUTH },
	{ "SCRAM's end before its begin", BYTES(""), BYTES("R\0\0\0\xc\0\0\0\xcv=ab"), BYTES(""),
	  KOLK_E_PROTOCOL },
	{ "SCRAM twice", BYTES(""), BYTES(SASL SASL), BYTES(""), KOLK_E_PROTOCOL },
	{ "another's nonce", BYTES(""), BYTES(SASL "R\0\0\0\x1b\0\0\0\xbr=abc,s=YWJj,i=4096"),
	  BYTES(""), KOLK_E_AUTH },
	{ "a message of 4 GiB", BYTES(""), BYTES("R\377\377\377\377"), BYTES(""), KOLK_E_PROTOCOL },
	{ "a message of 2 GiB", BYTES(""), BYTES("R\177\377\377\377"), BYTES(""), KOLK_E_LIMIT },
	{ "a message of 3 bytes", BYTES(""), BYTES("R\0\0\0\3"), BYTES(""), KOLK_E_PROTOCOL },
	{ "in a transaction from the start", BYTES(""), BYTES(LET_IN KEY "Z\0\0\0\5T"), BYTES(""),
	  KOLK_E_PROTOCOL },
	{ "a key of another length", BYTES(""), BYTES(LET_IN "K\0\0\0\xa\0\0\0\7\0\7"), BYTES(""),
	  KOLK_E_PROTOCOL },
	{ "a row before any question", BYTES(""), BYTES(LET_IN ONE_ROW), BYTES(""), KOLK_E_PROTOCOL },
	{ "a row behind ready", BYTES(""), BYTES(WELCOME ONE_ROW), BYTES(""), KOLK_E_PROTOCOL },
	{ "starting up", BYTES(""), BYTES(FATAL), BYTES(""), KOLK_E_CONN_REFUSED },
	{ "an error cut short", BYTES(""), BYTES("E\0\0\0\x8" "C28P"), BYTES(""), KOLK_E_PROTOCOL },
	{ "HTTP", BYTES(""), BYTES("HTTP/1.1 400 Bad Request\r\n\r\n"), BYTES(""), KOLK_E_LIMIT },
};

static void test_openings(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof openings / sizeof *openings; i++) {
		struct fixture fixture;
		struct kolk_lease lease;
		enum kolk_err err;

		open_fixture(&fixture, &openings[i], openings[i].upgrade.size > 0);
		err = kolk_acquire(kolk_pool_key(fixture.pool), kolk_in_ms(5000), &lease);
		if (err != openings[i].err)
			print_message("%s: %s\n", openings[i].name, kolk_err_name(err));
		assert_int_equal(err, openings[i].err);
		close_fixture(&fixture);
	}
}

/* Several refusals are one error; its detail tells which. */
static const struct {
	const char *detail; /* NULL = there is none */
	struct server_script script;
} refusals[] = {
	{ "the server does not speak TLS",
	  { "no TLS", BYTES("N"), BYTES(""), BYTES(""), KOLK_E_TLS } },
	{ "the server asks for the password in clear: see clear_allowed",
	  { "clear", BYTES(""), BYTES("R\0\0\0\x8\0\0\0\3"), BYTES(""), KOLK_E_AUTH } },
	{ "the server asks for md5: see md5_allowed",
	  { "md5", BYTES(""), BYTES("R\0\0\0\xc\0\0\0\5abcd"), BYTES(""), KOLK_E_AUTH } },
	{ "the server asks for a log-in other than by password",
	  { "GSSAPI", BYTES(""), BYTES("R\0\0\0\x8\0\0\0\7"), BYTES(""), KOLK_E_AUTH } },
	{ "user or password, or pg_hba.conf",
	  { "28P01", BYTES(""), BYTES(REFUSED("28P01")), BYTES(""), KOLK_E_AUTH } },
	{ "there is no such database",
	  { "3D000", BYTES(""), BYTES(REFUSED("3D000")), BYTES(""), KOLK_E_AUTH } },
	{ "the user may not connect to the database",
	  { "42501", BYTES(""), BYTES(REFUSED("42501")), BYTES(""), KOLK_E_AUTH } },
	{ "the server takes no more connections",
	  { "53300", BYTES(""), BYTES(REFUSED("53300")), BYTES(""), KOLK_E_CONN_REFUSED } },
	{ "the server starts or stops",
	  { "57P03", BYTES(""), BYTES(FATAL), BYTES(""), KOLK_E_CONN_REFUSED } },
	{ "a start-up parameter",
	  { "42704", BYTES(""), BYTES(REFUSED("42704")), BYTES(""), KOLK_E_SERVER } },
	{ NULL, { "XX000", BYTES(""), BYTES(REFUSED("XX000")), BYTES(""), KOLK_E_SERVER } },
};

static void test_details(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		struct kolk_failure failure = KOLK_INIT(kolk_failure);
		struct kolk_lease lease;
		struct fixture fixture;

		open_fixture(&fixture, &refusals[i].script, refusals[i].script.upgrade.size > 0);
		assert_int_equal(kolk_acquire(kolk_pool_key(fixture.pool), kolk_in_ms(5000), &lease),
				 refusals[i].script.err);
		assert_true(kolk_key_failure(kolk_pool_key(fixture.pool), &failure));
		if (refusals[i].detail != NULL)
			assert_string_equal(failure.detail, refusals[i].detail);
		else
			assert_null(failure.detail);
		close_fixture(&fixture);
	}
}

/* ---- in answer to a statement */

static const struct server_script replies[] = {
	{ "as it should be", BYTES(""), BYTES(WELCOME), BYTES(ANSWER), KOLK_OK },
	{ "two rows and a notice", BYTES(""), BYTES(WELCOME),
	  BYTES("N\0\0\0\x14SNOTICE\0C00000\0\0" PARSED ONE_COLUMN ONE_ROW ONE_ROW DONE READY),
	  KOLK_OK },
	{ "nothing but ready", BYTES(""), BYTES(WELCOME), BYTES(READY), KOLK_E_PROTOCOL },
	{ "ready before the end", BYTES(""), BYTES(WELCOME), BYTES(PARSED ONE_COLUMN READY),
	  KOLK_E_PROTOCOL },
	{ "two answers", BYTES(""), BYTES(WELCOME), BYTES(ANSWER ANSWER), KOLK_E_PROTOCOL },
	{ "ready twice", BYTES(""), BYTES(WELCOME), BYTES(ANSWER READY), KOLK_E_PROTOCOL },
	{ "done twice", BYTES(""), BYTES(WELCOME), BYTES(PARSED ONE_COLUMN DONE DONE READY),
	  KOLK_E_PROTOCOL },
	{ "a row before its columns", BYTES(""), BYTES(WELCOME), BYTES(PARSED ONE_ROW),
	  KOLK_E_PROTOCOL },
	{ "columns twice", BYTES(""), BYTES(WELCOME), BYTES(PARSED ONE_COLUMN ONE_COLUMN),
	  KOLK_E_PROTOCOL },
	{ "a row of too many", BYTES(""), BYTES(WELCOME),
	  BYTES(PARSED ONE_COLUMN "D\0\0\0\xb\0\2\0\0\0\1x"), KOLK_E_PROTOCOL },
	{ "a value of -2 bytes", BYTES(""), BYTES(WELCOME),
	  BYTES(PARSED ONE_COLUMN "D\0\0\0\xa\0\1\377\377\377\376"), KOLK_E_PROTOCOL },
	{ "a value beyond its message", BYTES(""), BYTES(WELCOME),
	  BYTES(PARSED ONE_COLUMN "D\0\0\0\xb\0\1\0\0\0\2x"), KOLK_E_PROTOCOL },
	{ "more columns than bytes", BYTES(""), BYTES(WELCOME), BYTES(PARSED "T\0\0\0\6\177\377"),
	  KOLK_E_PROTOCOL },
	{ "a status of its own", BYTES(""), BYTES(WELCOME),
	  BYTES(PARSED ONE_COLUMN DONE "Z\0\0\0\5X"), KOLK_E_PROTOCOL },
	{ "a status of two bytes", BYTES(""), BYTES(WELCOME),
	  BYTES(PARSED ONE_COLUMN DONE "Z\0\0\0\6II"), KOLK_E_PROTOCOL },
	{ "a message above the limit", BYTES(""), BYTES(WELCOME), BYTES(PARSED "D\0\0\4\0"),
	  KOLK_E_LIMIT },
	{ "a tag without an end", BYTES(""), BYTES(WELCOME),
	  BYTES(PARSED ONE_COLUMN "C\0\0\0\xcSELECT 1"), KOLK_E_PROTOCOL },
	{ "an authentication", BYTES(""), BYTES(WELCOME), BYTES("R\0\0\0\x8\0\0\0\3"),
	  KOLK_E_PROTOCOL },
	{ "a function's result", BYTES(""), BYTES(WELCOME), BYTES("V\0\0\0\x8\0\0\0\0"),
	  KOLK_E_PROTOCOL },
	{ "a type of zero", BYTES(""), BYTES(WELCOME), BYTES("\0\0\0\0\4"), KOLK_E_PROTOCOL },
	{ "COPY data from nowhere", BYTES(""), BYTES(WELCOME), BYTES("d\0\0\0\5x"),
	  KOLK_E_PROTOCOL },
	{ "COPY in both directions", BYTES(""), BYTES(WELCOME), BYTES("W\0\0\0\7\0\0\0"),
	  KOLK_E_PROTOCOL },
	{ "a notification without an end", BYTES(""), BYTES(WELCOME), BYTES("A\0\0\0\x9\0\0\0\1a"),
	  KOLK_E_PROTOCOL },
	{ "an error without a code", BYTES(""), BYTES(WELCOME), BYTES("E\0\0\0\7Mx\0" READY),
	  KOLK_E_PROTOCOL },
	{ "rows after an error", BYTES(""), BYTES(WELCOME),
	  BYTES("E\0\0\0\x13SERROR\0C22012\0\0" ONE_COLUMN), KOLK_E_PROTOCOL },
	{ "an error as it should be", BYTES(""), BYTES(WELCOME),
	  BYTES("E\0\0\0\x13SERROR\0C22012\0\0" READY), KOLK_E_SERVER },
};

static enum kolk_err ask(struct kolk_pool *pool, uint64_t *connection)
{
	const struct kolk_postgres_statement statement = { "select 1", NULL, 0,
							   KOLK_POSTGRES_HARMLESS };
	struct kolk_postgres_request request = KOLK_INIT(kolk_postgres_request);
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);
	struct kolk_lease lease;
	enum kolk_err err;

	request.count = 1;
	request.statements = &statement;
	assert_int_equal(kolk_acquire(kolk_pool_key(pool), kolk_in_ms(5000), &lease), KOLK_OK);
	assert_int_equal(kolk_lease_info(&lease, &info), KOLK_OK);
	*connection = info.connection;
	err = kolk_postgres_run(&lease, &request, kolk_in_ms(1500), NULL);
	assert_int_equal(kolk_postgres_release(&lease), KOLK_OK);
	return err;
}

static void test_replies(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
		bool fine = replies[i].err == KOLK_OK || replies[i].err == KOLK_E_SERVER;
		struct fixture fixture;
		struct kolk_lease lease;
		struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);
		uint64_t connection;
		enum kolk_err err;

		open_fixture(&fixture, &replies[i], false);
		err = ask(fixture.pool, &connection);
		if (err != replies[i].err)
			print_message("%s: %s\n", replies[i].name, kolk_err_name(err));
		assert_int_equal(err, replies[i].err);
		assert_int_equal(kolk_acquire(kolk_pool_key(fixture.pool), kolk_in_ms(5000), &lease),
				 KOLK_OK);
		assert_int_equal(kolk_lease_info(&lease, &info), KOLK_OK);
		assert_int_equal(info.connection == connection, fine);
		assert_int_equal(kolk_discard(&lease), KOLK_OK);
		close_fixture(&fixture);
	}
}

/* The proof must come where it is asked for, and the password leaves in no other way. */
static void test_scram_required(void **state)
{
	static const struct server_script trust = { "let in at once", BYTES(""), BYTES(WELCOME), BYTES(""),
						    KOLK_OK };
	const struct kit_mock_options m = { .play = mock_run, .user = (void *)(uintptr_t)&trust };
	struct fixture fixture = { .options = usual_options() };
	struct kolk_lease lease;

	(void)state;
	fixture.options.scram_required = 1;
	open_mock(&fixture, &m, false);
	assert_int_equal(kolk_acquire(kolk_pool_key(fixture.pool), kolk_in_ms(5000), &lease),
			 KOLK_E_AUTH);
	close_fixture(&fixture);
}

struct password_message {
	uint8_t header[5];
	char text[3 + 32 + 1];
};

static void ask_for_md5(struct kit_mock_conn *conn, void *user)
{
	static const char with_salt[] = "R\0\0\0\xc\0\0\0\5ab\0d";
	struct password_message *message = user;

	if (read_message(conn, false) &&
	    kit_mock_send(conn, with_salt, sizeof with_salt - 1) &&
	    kit_mock_read(conn, message, sizeof *message, 5000) &&
	    kit_mock_send(conn, WELCOME, sizeof WELCOME - 1))
		(void)kit_mock_drain(conn, 3000);
}

/* "md5" and the hash of the hash of "canary-of-hostilesomeone" and the salt, as md5sum says. */
static void test_md5_allowed(void **state)
{
	struct password_message message = { .text = "" };
	const struct kit_mock_options m = { .play = ask_for_md5, .user = &message };
	struct fixture fixture = { .options = usual_options() };
	struct kolk_lease lease;

	(void)state;
	fixture.options.md5_allowed = 1;
	open_mock(&fixture, &m, false);
	assert_int_equal(kolk_acquire(kolk_pool_key(fixture.pool), kolk_in_ms(5000), &lease),
			 KOLK_OK);
	assert_int_equal(kolk_discard(&lease), KOLK_OK);
	close_fixture(&fixture);
	assert_memory_equal(message.header, "p\0\0\0\x28", 5);
	assert_string_equal(message.text, "md535c355dae3007b3dba6862de31637fa8");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_openings),
	cmocka_unit_test(test_details),
	cmocka_unit_test(test_replies),
	cmocka_unit_test(test_scram_required),
	cmocka_unit_test(test_md5_allowed),
};
CMOCKA_TESTS(pg_hostile, tests);
