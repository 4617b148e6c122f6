/* SPDX-License-Identifier: Apache-2.0 */
/* tools_sql_test.c - pooled tools that are statements of PostgreSQL. */
#include <stdio.h>
#include <string.h>

#include "tests/gateway/program/tools_place.h"

static const char sql_tools[] =
	"- {name: echo, pool: db, parameters: [{name: text, required: true}],\n"
	"   sql: 'select {{text}}::text as t'}\n"
	"- {name: like, pool: db, parameters: [{name: text, required: true}],\n"
	"   sql: \"select 'it''s {' || {{text}} || '}' as t from canary where {{text}} is not null\"}\n"
	"- name: of\n  pool: db\n  parameters: [{name: id, type: integer, required: true},\n"
	"    {name: note}, {name: big, type: boolean, default: false}]\n"
	"  sql: 'select id, price, note, made, good, data, n, f, bytes from shop where id = {{id}} and\n"
	"    ({{note}}::text is null or note = {{note}}) and big = {{big}} order by id'\n"
	"- {name: twice, pool: db, sql: 'select 1 as a, 2 as a, null as b', result: success}\n"
	"- {name: many, pool: db, sql: 'select i from generate_series(1, 1000) i', rows_max: 3}\n"
	"- {name: large, pool: db, sql: \"select repeat('x', 5000) as t\", bytes_max: 1KiB}\n"
	"- {name: slow, pool: db, sql: 'select pg_sleep(1000)', timeout: 200ms}\n"
	"- {name: sneaky, pool: db, sql: 'delete from canary'}\n"
	"- {name: add, pool: db, read_only: false, parameters: [{name: t, required: true}],\n"
	"   sql: 'insert into notes (t) values ({{t}})'}\n"
	"- {name: returning, pool: db, read_only: false, parameters: [{name: t, required: true}],\n"
	"   sql: 'insert into notes (t) values ({{t}}) returning t'}\n"
	"- {name: query, pool: db, parameters: [{name: q, required: true}], sql_from: q, rows_max: 2}\n"
	"- {name: settings, pool: db, sql: \"select current_setting('work_mem') as w,\n"
	"   current_setting('transaction_read_only') as r\"}\n"
	"- {name: canary, pool: db, sql: 'select secret from canary'}\n";
#define SQL_NAMES                                                                                \
	"echo, like, of, twice, many, large, slow, sneaky, add, returning, query, settings, canary"

static const char sql_schema[] =
	"create table canary (secret text); insert into canary values ('alive');"
	"create table notes (t text);"
	"create table shop (id int, price numeric(8,2), note text, made date, good bool, data jsonb,"
	" n bigint, f float8, bytes bytea, big bool default false);"
	"insert into shop values (1, 12.50, 'a \"b\"', '2026-01-02', true, '{\"k\": [1, null]}',"
	" 9007199254740993, 'NaN', '\\x00ff');";

static void check_sql(const struct tools_place *place)
{
	CHECK(comes_to(place, "of", "{\"id\":1}",
		       "{\"rows\":[{\"id\":1,\"price\":12.50,\"note\":\"a \\\"b\\\"\",\"made\":\"2026-01-02\","
		       "\"good\":true,\"data\":{\"k\":[1,null]},\"n\":9007199254740993,\"f\":\"NaN\","
		       "\"bytes\":\"\\\\x00ff\"}],\"row_count\":1,\"truncated\":false}", false));
	CHECK(comes_to(place, "of", "{\"id\":1,\"note\":\"b\"}",
		       "{\"rows\":[],\"row_count\":0,\"truncated\":false}", false));
	CHECK(comes_to(place, "of", "{\"id\":99999999999}", "SQLSTATE 22003", true));
	CHECK(comes_to(place, "twice", "{}",
		       "{\"success\":true,\"data\":{\"rows\":[{\"a\":1,\"a_2\":2,\"b\":null}],"
		       "\"row_count\":1,\"truncated\":false}}", false));
	CHECK(comes_to(place, "query", "{\"q\":\"select 1 as a, 2 as a_2, 3 as a\"}",
		       "columns have one name: name them with AS", true));
	CHECK(comes_to(place, "many", "{}",
		       "{\"rows\":[{\"i\":1},{\"i\":2},{\"i\":3}],\"row_count\":3,\"truncated\":true}",
		       false));
	CHECK(comes_to(place, "large", "{}", "longer than the tool's bytes_max", true));
	CHECK(comes_to(place, "slow", "{}", "the tool's timeout has passed", true));
	CHECK(comes_to(place, "sneaky", "{}", "read-only transaction (SQLSTATE 25006)", true));
	CHECK(comes_to(place, "add", "{\"t\":\"x\"}", "{\"affected\":1}", false));
	CHECK(comes_to(place, "returning", "{\"t\":\"y\"}",
		       "{\"rows\":[{\"t\":\"y\"}],\"row_count\":1,\"truncated\":false}", false));
}

/* Statements of the client's: what they may not do. */
static void check_queries(const struct tools_place *place)
{
	static const char *const refused[] = {
		"select 1; select 2", "select 1; drop table canary", "commit; drop table canary",
		"delete from canary", "insert into canary values (1)", "drop table canary",
		"with d as (delete from canary returning *) select * from d", "commit", "rollback",
		"begin", "set transaction read write", "copy canary to stdout", "copy canary from stdin",
		"do $$ begin delete from canary; end $$", "call nothing()", "truncate canary",
		"create temporary table x (i int)", "select * into x from canary",
		"select set_config('transaction_read_only', 'off', false)",
		"select set_config('transaction_read_only', 'off', true)",
		"select nextval('s')", "select * from canary for update", "listen x",
		"prepare x as select 1", "explain select 1", "", ";", "--", "/*", "select 1 /*",
		"declare", "select 1) --", "nonsense"
	};

	CHECK(comes_to(place, "query", "{\"q\":\"select i from generate_series(1, 2) i\"}",
		       "{\"rows\":[{\"i\":1},{\"i\":2}],\"row_count\":2,\"truncated\":false}", false));
	CHECK(comes_to(place, "query", "{\"q\":\"select generate_series(1, 1000000000) as i;\"}",
		       "{\"rows\":[{\"i\":1},{\"i\":2}],\"row_count\":2,\"truncated\":true}", false));
	CHECK(comes_to(place, "query", "{\"q\":\"values (1, 'a') -- all\"}",
		       "{\"rows\":[{\"column1\":1,\"column2\":\"a\"}],\"row_count\":1,\"truncated\":false}",
		       false));
	CHECK(comes_to(place, "query", "{\"q\":\"select $1\"}", "SQLSTATE", true));
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		json_t *answer = call(place, "query", json_pack("{s:s}", "q", refused[i]));

		if (!is_error(answer)) {
			tap_note("%s: %s", refused[i], strstr(text, "\r\n\r\n"));
			FAILED("it is refused");
		}
		json_decref(answer);
	}
	/* What a statement has set is not there for the next one. */
	json_decref(call(place, "query", json_pack("{s:s}", "q",
						   "select set_config('work_mem', '77MB', false)")));
	json_decref(call(place, "query", json_pack("{s:s}", "q",
		"select set_config('default_transaction_read_only', 'off', false)")));
	for (int i = 0; i < 5; i++)
		CHECK(comes_to(place, "settings", "{}",
			       "{\"rows\":[{\"w\":\"4MB\",\"r\":\"on\"}],\"row_count\":1,"
			       "\"truncated\":false}", false));
}

static json_t *inside_braces(json_t *result)
{
	static json_t *kept;
	json_t *whole = text_of_row(result);
	size_t size = json_string_length(whole);
	const char *bytes = json_string_value(whole);

	json_decref(kept);
	kept = size >= 8 && memcmp(bytes, "it's {", 6) == 0 && bytes[size - 1] == '}' ?
		       json_stringn_nocheck(bytes + 6, size - 7) : json_null();
	return kept;
}

static void test_sql(void)
{
	struct tools_place place;

	if (!tools_open_sql(&place, sql_schema, SQL_NAMES, sql_tools))
		return;
	check_sql(&place);
	check_queries(&place);
	attempts_come_back(&place, "echo", text_of_row, false);
	attempts_come_back(&place, "like", inside_braces, false);
	CHECK(comes_to(&place, "canary", "{}",
		       "{\"rows\":[{\"secret\":\"alive\"}],\"row_count\":1,\"truncated\":false}", false));
	tools_close(&place);
}

static const struct tap_test tests[] = {
	{ "statements of PostgreSQL", test_sql },
};

TAP_TESTS(tools_sql, tests);
