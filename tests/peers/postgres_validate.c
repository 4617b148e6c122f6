/* SPDX-License-Identifier: Apache-2.0 */
/* postgres_validate.c - the validation query against PostgreSQL: on borrow and on return. */
#include <stdlib.h>
#include <string.h>

#include "tests/peers/postgres_kit.h"

static struct pg_fixture w;

/* It divides by zero while the table is empty. */
static bool open_with(uint32_t on_borrow, uint32_t on_return)
{
	const struct kit_postgres_options server = { .sql = NULL };
	char text[64];

	if (!pg_fixture_start(&w, &server))
		return false;
	w.options.validation_query = "select 1 / (select count(*) from healthy)";
	w.options.validate_on_borrow = on_borrow;
	w.options.validate_on_return = on_return;
	w.pool_options.ping_interval_ns = KOLK_FOREVER;
	if (!pg_fixture_open(&w))
		return false;
	/* A table must be there before a connection comes back. */
	return CHECK_ERR(pg_ask_key(w.key, "create table healthy as select 1", 0, text,
				    sizeof text), KOLK_OK);
}

static int ask_pid(const char *sql)
{
	char text[64] = "";

	CHECK_ERR(pg_ask_key(w.key, sql, 0, text, sizeof text), KOLK_OK);
	return atoi(text);
}

static void test_on_borrow(void)
{
	int first, again;

	if (!open_with(1, 0))
		return;
	first = ask_pid("select pg_backend_pid()");
	again = ask_pid("with gone as (delete from healthy) select pg_backend_pid()");
	CHECK(first > 0 && first == again);
	CHECK(WITHIN_MS(3000, kolk_key_has_idle(w.key)));
	again = ask_pid("with new as (insert into healthy values (1)) select pg_backend_pid()");
	CHECK(again > 0 && again != first);
	CHECK(WITHIN_MS(3000, kolk_key_has_idle(w.key)));
	CHECK(ask_pid("select pg_backend_pid()") == again);
	pg_fixture_close(&w);
}

static void test_on_return(void)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	int first;

	if (!open_with(0, 1))
		return;
	CHECK(WITHIN_MS(3000, kolk_key_has_idle(w.key)));
	first = ask_pid("select pg_backend_pid()");
	CHECK(WITHIN_MS(3000, kolk_key_has_idle(w.key)));
	CHECK(ask_pid("with gone as (delete from healthy) select pg_backend_pid()") == first);
	CHECK(WITHIN_MS(3000, kolk_pool_stats(w.pool, &stats) == KOLK_OK && stats.open == 0));
	CHECK(stats.mends_failed == 1);
	CHECK(ask_pid("select pg_backend_pid()") != first);
	pg_fixture_close(&w);
}

static const struct tap_test tests[] = {
	{ "validation on borrow: what fails is closed, a new connection serves", test_on_borrow },
	{ "validation on return: what fails is closed, no caller sees it", test_on_return },
};
TAP_TESTS(postgres_validate, tests);
