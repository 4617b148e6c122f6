/* SPDX-License-Identifier: Apache-2.0 */
/* postgres.c - the PostgreSQL driver against PostgreSQL: statements, results, errors, COPY, sessions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kit/control.h"
#include "tests/peers/postgres_kit.h"

static struct pg_fixture w;

static bool open_plain(void)
{
	return pg_fixture_start(&w, &(struct kit_postgres_options){ .sql = NULL }) &&
	       pg_fixture_open(&w);
}

/* ---- statements */

static void values_both_ways(const struct kolk_lease *lease)
{
	static const uint8_t seven[] = { 0, 0, 0, 7 };
	const struct kolk_postgres_value values[] = {
		{ .data = "caf\xc3\xa9", .size = 5 },
		{ .data = seven, .size = 4, .type = 23, .binary = 1 },
		{ .data = NULL },
	};
	const struct kolk_postgres_statement statement = {
		"select $1::text as a, $2 + 1 as b, $3::text as c", values, 3, KOLK_POSTGRES_BINARY
	};
	struct kolk_postgres_request request = KOLK_INIT(kolk_postgres_request);
	struct kolk_postgres_result *result = NULL;
	struct kolk_postgres_value value;

	request.count = 1;
	request.statements = &statement;
	CHECK_ERR(kolk_postgres_run(lease, &request, kolk_in_ms(5000), &result), KOLK_OK);
	MUST(result != NULL);
	CHECK(kolk_postgres_result_rows(result) == 1);
	CHECK(kolk_postgres_result_columns(result) == 3);
	CHECK(strcmp(kolk_postgres_result_name(result, 1), "b") == 0);
	value = kolk_postgres_result_value(result, 0, 0);
	CHECK(value.size == 5 && memcmp(value.data, "caf\xc3\xa9", 6) == 0);
	value = kolk_postgres_result_value(result, 0, 1);
	CHECK(value.binary == 1 && value.type == 23 && value.size == 4 &&
	      memcmp(value.data, "\0\0\0\x8", 4) == 0);
	CHECK(kolk_postgres_result_value(result, 0, 2).data == NULL);
	CHECK(kolk_postgres_result_value(result, 0, 3).data == NULL);
	CHECK(kolk_postgres_result_value(result, 1, 0).data == NULL);
	CHECK(strcmp(kolk_postgres_result_tag(result), "SELECT 1") == 0);
	kolk_postgres_result_free(result);
}

static void errors_are_told(const struct kolk_lease *lease)
{
	const struct kolk_postgres_statement statements[] = { { "select 1", NULL, 0, 0 },
							      { "select 1/0", NULL, 0, 0 },
							      { "select 2", NULL, 0, 0 } };
	struct kolk_postgres_request request = KOLK_INIT(kolk_postgres_request);
	struct kolk_postgres_result *result = NULL;
	const struct kolk_postgres_error *error;
	struct kolk_postgres_info info = KOLK_INIT(kolk_postgres_info);

	request.count = 3;
	request.statements = statements;
	CHECK_ERR(kolk_postgres_run(lease, &request, kolk_in_ms(5000), &result), KOLK_E_SERVER);
	MUST(result != NULL);
	error = kolk_postgres_result_error(result);
	MUST(error != NULL);
	CHECK(strcmp(error->sqlstate, "22012") == 0 && error->statement == 1);
	CHECK(strcmp(error->severity, "ERROR") == 0 && strcmp(error->message, "division by zero") == 0);
	CHECK(kolk_postgres_result_rows(result) == 1);
	CHECK(kolk_postgres_result_next(result) != NULL &&
	      kolk_postgres_result_next(kolk_postgres_result_next(result)) == NULL);
	kolk_postgres_result_free(result);
	CHECK_ERR(kolk_postgres_info(lease, &info), KOLK_OK);
	CHECK(info.owed == 0 && info.status == 'I' && strcmp(info.sqlstate, "22012") == 0);
}

static void test_statements(void)
{
	struct kolk_lease lease;
	char text[64];

	if (open_plain() && pg_acquire(&w, &lease)) {
		PG_ASK(&lease, "select 1", "1");
		PG_ASK(&lease, "select current_user", KIT_POSTGRES_USER);
		PG_ASK(&lease, "show application_name", "kolk");
		values_both_ways(&lease);
		errors_are_told(&lease);
		CHECK_ERR(pg_ask(&lease, "", 0, text, sizeof text), KOLK_OK);
		CHECK_ERR(pg_ask(&lease, "selec 1", 0, text, sizeof text), KOLK_E_SERVER);
		CHECK(strcmp(text, "42601") == 0);
		CHECK_ERR(pg_ask(&lease, "select 1; select 2", KOLK_POSTGRES_SIMPLE, text,
				 sizeof text), KOLK_OK);
		CHECK_ERR(kolk_postgres_parameter(&lease, "server_version", text, sizeof text),
			  KOLK_OK);
		CHECK(atoi(text) >= 13);
		CHECK_ERR(kolk_postgres_parameter(&lease, "client_encoding", text, sizeof text),
			  KOLK_OK);
		CHECK(strcmp(text, "UTF8") == 0);
		CHECK_ERR(kolk_postgres_release(&lease), KOLK_OK);
		CHECK_ERR(pg_ask_key(w.key, "select 3", 0, text, sizeof text), KOLK_OK);
		CHECK(strcmp(text, "3") == 0);
	}
	pg_fixture_close(&w);
}

/* ---- many statements in one batch, more than the socket holds */

static uint64_t rows_seen, bytes_seen;

static enum kolk_err count_row(void *user, uint32_t statement,
			       const struct kolk_postgres_value *values, uint32_t count)
{
	rows_seen++;
	bytes_seen += values[0].size;
	return count == 1 && statement < 400 && user == &w ? KOLK_OK : KOLK_E_PROTOCOL;
}

static enum kolk_err stop_at_ten(void *user, uint32_t statement,
				 const struct kolk_postgres_value *values, uint32_t count)
{
	(void)user, (void)statement, (void)values, (void)count;
	return ++rows_seen == 10 ? KOLK_E_NOT_FOUND : KOLK_OK;
}

static void test_batches(void)
{
	enum { COUNT = 400, BYTES = 10000 };
	static struct kolk_postgres_statement statements[COUNT];
	static char long_text[BYTES];
	struct kolk_postgres_value value = { .data = long_text, .size = BYTES };
	struct kolk_postgres_request request = KOLK_INIT(kolk_postgres_request);
	struct kolk_postgres_info info = KOLK_INIT(kolk_postgres_info);
	struct kolk_lease lease;

	memset(long_text, 'x', sizeof long_text);
	for (int i = 0; i < COUNT; i++)
		statements[i] = (struct kolk_postgres_statement){ "select repeat($1::text, 4)",
								  &value, 1,
								  KOLK_POSTGRES_PREPARE };
	request.count = COUNT;
	request.statements = statements;
	request.row = count_row;
	request.user = &w;
	if (open_plain() && pg_acquire(&w, &lease)) {
		rows_seen = bytes_seen = 0;
		CHECK_ERR(kolk_postgres_run(&lease, &request, kolk_in_ms(20000), NULL), KOLK_OK);
		CHECK(rows_seen == COUNT && bytes_seen == 4ull * BYTES * COUNT);
		CHECK_ERR(kolk_postgres_info(&lease, &info), KOLK_OK);
		CHECK(info.prepared == 1 && info.owed == 0);
		/* The caller has enough of it in the middle. */
		request.row = stop_at_ten;
		rows_seen = 0;
		CHECK_ERR(kolk_postgres_run(&lease, &request, kolk_in_ms(20000), NULL),
			  KOLK_E_NOT_FOUND);
		CHECK(rows_seen == 10);
		CHECK_ERR(kolk_postgres_run(&lease, &request, kolk_in_ms(20000), NULL),
			  KOLK_E_LEASE_BUSY);
		CHECK_ERR(kolk_postgres_release(&lease), KOLK_OK);
		/* More than may be collected: it ends, and is counted to its end. */
		request.count = 1;
		request.row = NULL;
		request.result_bytes_max = 1000;
		CHECK_ERR(kolk_postgres_query(w.key, &request, kolk_in_ms(5000), NULL), KOLK_E_LIMIT);
	}
	pg_fixture_close(&w);
}

/* A large answer and a large parameter in one batch; the rows of a COPY to a trigger that has much to
 * say. Neither side's sockets hold as much. */
enum { LARGE = 6 << 20, COPY_ROWS = 4000 };

static enum kolk_err give_rows(void *user, void *buffer, size_t capacity, size_t *size)
{
	uint32_t *rows = user;

	*size = *rows < COPY_ROWS && capacity >= 5000 ? 5000 : 0;
	memset(buffer, 'r', *size);
	if (*size > 0)
		((char *)buffer)[*size - 1] = '\n';
	*rows += *size > 0;
	return KOLK_OK;
}

static void large_both_ways(void)
{
	char *text = malloc(LARGE);
	const struct kolk_postgres_value value = { .data = text, .size = LARGE };
	const struct kolk_postgres_statement statements[] = {
		{ "select repeat('y', 6 << 20)", NULL, 0, KOLK_POSTGRES_HARMLESS },
		{ "select length($1::text)", &value, 1, KOLK_POSTGRES_HARMLESS },
	};
	struct kolk_postgres_request request = KOLK_INIT(kolk_postgres_request);
	struct kolk_postgres_result *result = NULL;

	MUST(text != NULL);
	memset(text, 'x', LARGE);
	request.count = 2;
	request.statements = statements;
	CHECK_ERR(kolk_postgres_query(w.key, &request, kolk_in_ms(20000), &result), KOLK_OK);
	if (CHECK(result != NULL)) {
		CHECK(kolk_postgres_result_value(result, 0, 0).size == LARGE);
		CHECK(strcmp(kolk_postgres_result_text(kolk_postgres_result_next(result), 0, 0),
			     "6291456") == 0);
	}
	kolk_postgres_result_free(result);
	free(text);
}

static void noisy_copy(const struct kolk_lease *lease)
{
	static const char *const setup =
		"set client_min_messages = notice; create temporary table noisy (a text);"
		"create function pg_temp.say() returns trigger language plpgsql as"
		" $$ begin raise notice '%', new.a; return null; end $$;"
		"create trigger say before insert on noisy for each row execute function pg_temp.say()";
	struct kolk_postgres_statement copy = { "copy noisy from stdin", NULL, 0, 0 };
	struct kolk_postgres_request request = KOLK_INIT(kolk_postgres_request);
	uint32_t rows;

	CHECK_ERR(kolk_postgres_exec(lease, setup, 0), KOLK_OK);
	request.count = 1;
	request.statements = &copy;
	request.source = give_rows;
	request.user = &rows;
	for (int simple = 0; simple < 2; simple++) {
		rows = 0;
		copy.flags = simple ? KOLK_POSTGRES_SIMPLE : 0;
		CHECK_ERR(kolk_postgres_run(lease, &request, kolk_in_ms(20000), NULL), KOLK_OK);
		CHECK(rows == COPY_ROWS);
	}
}

static void test_both_ways(void)
{
	struct kolk_lease lease;

	if (open_plain()) {
		large_both_ways();
		if (pg_acquire(&w, &lease)) {
			noisy_copy(&lease);
			CHECK_ERR(kolk_postgres_release(&lease), KOLK_OK);
		}
	}
	pg_fixture_close(&w);
}

/* ---- prepared statements, errors among them */

static void test_prepared(void)
{
	struct kolk_postgres_info info = KOLK_INIT(kolk_postgres_info);
	const uint32_t flags = KOLK_POSTGRES_PREPARE | KOLK_POSTGRES_HARMLESS;
	struct kolk_lease lease;
	char text[64], sql[64];

	if (!pg_fixture_start(&w, &(struct kit_postgres_options){ .sql = NULL }))
		return;
	w.options.prepared_max = 3;
	w.pool_options.connections_max = 1;
	if (pg_fixture_open(&w) && pg_acquire(&w, &lease)) {
		for (int i = 0; i < 20; i++) {
			snprintf(sql, sizeof sql, "select %d", i % 5);
			CHECK_ERR(pg_ask(&lease, sql, flags, text, sizeof text), KOLK_OK);
			CHECK(atoi(text) == i % 5);
			CHECK_ERR(pg_ask(&lease, "select nothing", flags, text, sizeof text),
				  KOLK_E_SERVER);
		}
		CHECK_ERR(kolk_postgres_info(&lease, &info), KOLK_OK);
		CHECK(info.prepared <= 3 && info.prepared >= 2 && info.dirty == 0);
		CHECK_ERR(pg_ask(&lease, "select count(*) from pg_prepared_statements", 0, text,
				 sizeof text), KOLK_OK);
		CHECK(atoi(text) == info.prepared);
		/* Explicitly, unseen and seen by the driver. */
		CHECK_ERR(kolk_postgres_exec(&lease, "deallocate all", kolk_in_ms(5000)), KOLK_OK);
		CHECK_ERR(pg_ask(&lease, "select 4", flags, text, sizeof text), KOLK_OK);
		CHECK_ERR(kolk_postgres_exec(&lease, "do $$ begin execute 'deallocate all'; end $$",
					     kolk_in_ms(5000)), KOLK_OK);
		CHECK_ERR(pg_ask(&lease, "select 4", flags, text, sizeof text), KOLK_E_SERVER);
		CHECK_ERR(pg_ask(&lease, "select 4", flags, text, sizeof text), KOLK_OK);
		CHECK_ERR(kolk_postgres_release(&lease), KOLK_OK);
		/* Harmless ones survive a release, until something else ran. */
		CHECK_ERR(pg_ask_key(w.key, "select 1", flags, text, sizeof text), KOLK_OK);
		MUST(pg_acquire(&w, &lease));
		CHECK_ERR(kolk_postgres_info(&lease, &info), KOLK_OK);
		CHECK(info.prepared == 1);
		CHECK_ERR(kolk_release(&lease), KOLK_OK);
	}
	pg_fixture_close(&w);
}

/* ---- the types of parameters */

enum { INT8 = 20, TEXT = 25, FLOAT8 = 701 }; /* OIDs */

static enum kolk_err put_value(const struct kolk_lease *lease, const char *sql,
			       struct kolk_postgres_value value)
{
	const struct kolk_postgres_statement statement = {
		sql, &value, 1, KOLK_POSTGRES_PREPARE | KOLK_POSTGRES_HARMLESS
	};
	struct kolk_postgres_request request = KOLK_INIT(kolk_postgres_request);

	request.count = 1;
	request.statements = &statement;
	return kolk_postgres_run(lease, &request, kolk_in_ms(5000), NULL);
}

static struct kolk_postgres_value text_value(const char *text, uint32_t type)
{
	return (struct kolk_postgres_value){ .data = text, .size = (uint32_t)strlen(text),
					     .type = type };
}

static void must_run(const struct kolk_lease *lease, const char *sql)
{
	CHECK_ERR(kolk_postgres_exec(lease, sql, kolk_in_ms(5000)), KOLK_OK);
}

static void types_of_callers(const struct kolk_lease *lease)
{
	static const uint8_t half[8] = { 0x3f, 0xe0 }, number[8] = { [7] = 42 };
	const struct kolk_postgres_value as_float = { half, 8, FLOAT8, 1, 0 },
					 as_int = { number, 8, INT8, 1, 0 };

	must_run(lease, "create temporary table t (v float8)");
	CHECK_ERR(put_value(lease, "insert into t values ($1)", as_float), KOLK_OK);
	CHECK_ERR(put_value(lease, "insert into t values ($1)", as_int), KOLK_OK);
	CHECK_ERR(put_value(lease, "insert into t values ($1)", text_value("7", 0)), KOLK_OK);
	PG_ASK(lease, "select string_agg(v::text, ' ') from t", "0.5 42 7");
	CHECK_ERR(put_value(lease, "select $1", as_int), KOLK_OK);
	CHECK_ERR(put_value(lease, "select $1", text_value("no number", TEXT)), KOLK_OK);
	CHECK_ERR(put_value(lease, "select $1", text_value("x", INT8)), KOLK_E_SERVER);
	CHECK_ERR(put_value(lease, "select $1", as_int), KOLK_OK);
}

/* What the server inferred for a parameter without a type stays with the statement, when the table
 * has another one long since: the error is reported once. */
static void types_of_tables(const struct kolk_lease *lease)
{
	static const char insert[] = "insert into u values ($1)";

	must_run(lease, "create temporary table u (v int4)");
	CHECK_ERR(put_value(lease, insert, text_value("1", 0)), KOLK_OK);
	must_run(lease, "alter table u alter v type int8");
	CHECK_ERR(put_value(lease, insert, text_value("5000000000", 0)), KOLK_E_SERVER);
	CHECK_ERR(put_value(lease, insert, text_value("5000000000", 0)), KOLK_OK);
	must_run(lease, "alter table u alter v type text");
	CHECK_ERR(put_value(lease, insert, text_value("words", 0)), KOLK_E_SERVER);
	CHECK_ERR(put_value(lease, insert, text_value("words", 0)), KOLK_OK);
	must_run(lease, "drop table u; create type pg_temp.e as enum ('a');"
			"create temporary table u (v pg_temp.e)");
	CHECK_ERR(put_value(lease, insert, text_value("a", 0)), KOLK_E_SERVER);
	CHECK_ERR(put_value(lease, insert, text_value("a", 0)), KOLK_OK);
	must_run(lease, "drop table u; drop type pg_temp.e; create type pg_temp.e as enum ('b');"
			"create temporary table u (v pg_temp.e)");
	CHECK_ERR(put_value(lease, insert, text_value("b", 0)), KOLK_E_SERVER);
	CHECK_ERR(put_value(lease, insert, text_value("b", 0)), KOLK_OK);
}

static void test_types(void)
{
	struct kolk_lease lease;

	if (open_plain() && pg_acquire(&w, &lease)) {
		types_of_callers(&lease);
		types_of_tables(&lease);
		CHECK_ERR(kolk_postgres_release(&lease), KOLK_OK);
	}
	pg_fixture_close(&w);
}

/* ---- COPY */

static int copy_left;

static enum kolk_err copy_source(void *user, void *buffer, size_t capacity, size_t *size)
{
	int written;

	if (copy_left == -1)
		return KOLK_E_NOT_FOUND;
	if (copy_left == 0) {
		*size = 0;
		return KOLK_OK;
	}
	written = snprintf(buffer, capacity, "%d\tx\n", copy_left--);
	*size = (size_t)written;
	if (user != NULL && copy_left == 10)
		copy_left = -1;
	return KOLK_OK;
}

static enum kolk_err copy_sink(void *user, const void *data, size_t size)
{
	(void)user, (void)data;
	bytes_seen += size;
	return ++rows_seen == 50000 ? KOLK_E_NOT_FOUND : KOLK_OK;
}

static enum kolk_err copy(const struct kolk_lease *lease, const char *sql, uint32_t flags,
			  void *user)
{
	const struct kolk_postgres_statement statement = { sql, NULL, 0, flags };
	struct kolk_postgres_request request = KOLK_INIT(kolk_postgres_request);

	request.count = 1;
	request.statements = &statement;
	request.source = copy_source;
	request.sink = copy_sink;
	request.user = user;
	return kolk_postgres_run(lease, &request, kolk_in_ms(60000), NULL);
}

static void test_copy(void)
{
	static const uint32_t ways[] = { KOLK_POSTGRES_SIMPLE, 0 };
	struct kolk_lease lease;

	if (open_plain() && pg_acquire(&w, &lease)) {
		PG_ASK(&lease, "create table c (a int, b text)", "");
		for (int i = 0; i < 2; i++) {
			copy_left = 20000;
			CHECK_ERR(copy(&lease, "copy c from stdin", ways[i], NULL), KOLK_OK);
			PG_ASK(&lease, "select count(*) from c", "20000");
			copy_left = 100;
			CHECK_ERR(copy(&lease, "copy c from stdin", ways[i], &copy_left),
				  KOLK_E_NOT_FOUND);
			copy_left = 100;
			CHECK_ERR(copy(&lease, "copy c (b, a) from stdin", ways[i], NULL),
				  KOLK_E_SERVER);
			rows_seen = bytes_seen = 0;
			CHECK_ERR(copy(&lease, "copy c to stdout", ways[i], NULL), KOLK_OK);
			CHECK(rows_seen == 20000);
			PG_ASK(&lease, "delete from c", "");
		}
		copy_left = 60000;
		CHECK_ERR(copy(&lease, "copy c from stdin", 0, NULL), KOLK_OK);
		rows_seen = 0;
		CHECK_ERR(copy(&lease, "copy c to stdout", 0, NULL), KOLK_E_NOT_FOUND);
		CHECK_ERR(kolk_postgres_release(&lease), KOLK_OK);
	}
	pg_fixture_close(&w);
}

/* ---- notifications */

static void test_notifications(void)
{
	struct kolk_postgres_note note;
	struct kolk_lease lease;
	char out[64];

	if (open_plain() && pg_acquire(&w, &lease)) {
		PG_ASK(&lease, "listen news", "");
		CHECK_ERR(kolk_postgres_notification(&lease, kolk_in_ms(50), &note), KOLK_E_TIMEOUT);
		CHECK(kit_postgres_sql(w.peer, "notify news, 'hello'", out, sizeof out));
		CHECK_ERR(kolk_postgres_notification(&lease, kolk_in_ms(5000), &note), KOLK_OK);
		CHECK(strcmp(note.channel, "news") == 0 && strcmp(note.payload, "hello") == 0);
		free(note.payload);
		PG_ASK(&lease, "select 1 from pg_notify('news', 'again')", "1");
		CHECK_ERR(kolk_postgres_notification(&lease, kolk_in_ms(5000), &note), KOLK_OK);
		CHECK(strcmp(note.payload, "again") == 0 && note.pid == pg_pid(&lease));
		free(note.payload);
		CHECK_ERR(kolk_postgres_release(&lease), KOLK_OK);
	}
	pg_fixture_close(&w);
}

/* ---- statement_timeout, of a request */

static void test_timeouts(void)
{
	const struct kolk_postgres_statement statement = { "select pg_sleep(5)", NULL, 0, 0 };
	struct kolk_postgres_request request = KOLK_INIT(kolk_postgres_request);
	struct kolk_postgres_result *result = NULL;
	struct kolk_lease lease;
	struct kit_control control;

	request.count = 1;
	request.statements = &statement;
	request.timeout_ms = 50;
	if (open_plain() && pg_acquire(&w, &lease)) {
		CHECK_ERR(kolk_postgres_run(&lease, &request, kolk_in_ms(4000), &result),
			  KOLK_E_SERVER);
		CHECK(strcmp(kolk_postgres_result_error(result)->sqlstate, "57014") == 0);
		kolk_postgres_result_free(result);
		PG_ASK(&lease, "show statement_timeout", "0");
		CHECK_ERR(kolk_postgres_release(&lease), KOLK_OK);
		/* The deadline is the caller's: it returns at once, and the server is asked to
		 * cancel. */
		request.timeout_ms = 0;
		kit_control_begin(&control);
		CHECK_ERR(kolk_postgres_query(w.key, &request, kolk_in_ms(100), NULL), KOLK_E_TIMEOUT);
		CHECK(kit_control_end(&control) < 1000);
		CHECK(WITHIN_MS(2000, kolk_key_has_idle(w.key)));
	}
	pg_fixture_close(&w);
}

/* ---- transactions */

static int body_runs;

static enum kolk_err body(void *user, const struct kolk_lease *lease, uint64_t deadline_ns)
{
	enum kolk_err err = kolk_postgres_exec(lease, "insert into t values (1)", deadline_ns);

	body_runs++;
	if (err == KOLK_OK && user != NULL)
		err = kolk_postgres_exec(lease, user, deadline_ns);
	return err;
}

static enum kolk_err swallow(void *user, const struct kolk_lease *lease, uint64_t deadline_ns)
{
	(void)user;
	(void)!kolk_postgres_exec(lease, "select 1/0", deadline_ns);
	return KOLK_OK;
}

static void test_transactions(void)
{
	struct kolk_postgres_transaction often = KOLK_INIT(kolk_postgres_transaction);
	char text[64];

	often.retries = 2;
	often.begin = "begin isolation level serializable";
	if (open_plain()) {
		CHECK_ERR(pg_ask_key(w.key, "create table t (a int)", 0, text, sizeof text), KOLK_OK);
		CHECK_ERR(kolk_postgres_transact(w.key, NULL, 0, body, NULL), KOLK_OK);
		CHECK_ERR(kolk_postgres_transact(w.key, NULL, 0, body, (void *)(uintptr_t)"selec"),
			  KOLK_E_SERVER);
		CHECK_ERR(kolk_postgres_transact(w.key, NULL, 0, swallow, NULL), KOLK_E_SERVER);
		body_runs = 0;
		CHECK_ERR(kolk_postgres_transact(
				  w.key, &often, 0, body,
				  (void *)(uintptr_t)"do $$ begin raise sqlstate '40001'; end $$"),
			  KOLK_E_SERVER);
		CHECK(body_runs == 3);
		CHECK_ERR(pg_ask_key(w.key, "select count(*) from t", 0, text, sizeof text), KOLK_OK);
		CHECK(strcmp(text, "1") == 0);
	}
	pg_fixture_close(&w);
}

static const struct tap_test tests[] = {
	{ "statements, values, errors", test_statements },
	{ "batches longer than the socket holds", test_batches },
	{ "large both ways at once, COPY too", test_both_ways },
	{ "prepared statements are kept, evicted, forgotten", test_prepared },
	{ "prepared statements and the types of their parameters", test_types },
	{ "COPY in and out, ended early", test_copy },
	{ "notifications", test_notifications },
	{ "time-outs of the server and of the caller", test_timeouts },
	{ "transactions commit, roll back, run again", test_transactions },
};
TAP_TESTS(postgres, tests);
