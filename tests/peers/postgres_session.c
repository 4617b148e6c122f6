/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postgres_session.c - state of one lease is not seen by the next; and what a server does to idle
 * and leased connections.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/peers/postgres_kit.h"

static struct pg_fixture w;

/* One connection, so that the next lease gets the last one's. */
static bool open_one(uint32_t reset)
{
	static const char *const settings[] = { "max_prepared_transactions=2", NULL };

	if (!pg_fixture_start(&w, &(struct kit_postgres_options){
					.sql = "create table t (a int); create sequence s; "
					       "create role other",
					.settings = settings }))
		return false;
	w.options.reset = reset;
	w.pool_options.connections_max = 1;
	return pg_fixture_open(&w);
}

/* What a lease does, and what the next one must see. */
static const struct dirt {
	const char *done, *asked, *seen;
} dirt[] = {
	{ "begin; insert into t values (1)", "select count(*) from t", "0" },
	{ "begin; select 1/0", "select 1", "1" },
	{ "begin; declare c cursor for select 1", "select count(*) from pg_cursors where name = 'c'", "0" },
	{ "declare c cursor with hold for select 1", "select count(*) from pg_cursors where name = 'c'", "0" },
	{ "listen news", "select count(*) from pg_listening_channels()", "0" },
	{ "set work_mem = '3MB'", "show work_mem", "4MB" },
	{ "select set_config('work_mem', '3MB', false)", "show work_mem", "4MB" },
	{ "set session my.tenant = 'a'", "select coalesce(current_setting('my.tenant', true), '')", "" },
	{ "create temp table x (a int)", "select count(*) from pg_class where relname = 'x'", "0" },
	{ "select 1 as a into temp x", "select count(*) from pg_class where relname = 'x'", "0" },
	{ "select pg_advisory_lock(7)", "select count(*) from pg_locks where locktype = 'advisory'",
	  "0" },
	{ "do $$ begin perform pg_advisory_lock(8); end $$",
	  "select count(*) from pg_locks where locktype = 'advisory'", "0" },
	{ "prepare p as select 1", "select count(*) from pg_prepared_statements", "0" },
	{ "set role other", "select current_user", KIT_POSTGRES_USER },
	{ "set session authorization other", "select session_user", KIT_POSTGRES_USER },
	{ "set transaction_isolation = serializable", "show transaction_isolation",
	  "read committed" },
	{ "set session characteristics as transaction read only", "show transaction_read_only",
	  "off" },
	{ "set datestyle = german", "show datestyle", "ISO, MDY" },
};

static void run_dirt(const struct dirt *d, uint32_t flags)
{
	struct kolk_lease lease;
	char text[128];
	uint32_t pid;

	MUST(pg_acquire(&w, &lease));
	pid = pg_pid(&lease);
	(void)!pg_ask(&lease, d->done, flags, text, sizeof text);
	CHECK_ERR(kolk_postgres_release(&lease), KOLK_OK);
	MUST(pg_acquire(&w, &lease));
	if (!CHECK(pg_pid(&lease) == pid)) /* made as new, not replaced */
		tap_note("%s", d->done);
	PG_ASK(&lease, d->asked, d->seen);
	CHECK_ERR(kolk_postgres_release(&lease), KOLK_OK);
}

static void test_next_borrower(void)
{
	if (open_one(KOLK_POSTGRES_RESET_DIRTY))
		for (size_t i = 0; i < sizeof dirt / sizeof *dirt; i++) {
			run_dirt(&dirt[i], KOLK_POSTGRES_SIMPLE);
			if (strchr(dirt[i].done, ';') == NULL)
				run_dirt(&dirt[i], KOLK_POSTGRES_PREPARE);
		}
	pg_fixture_close(&w);
}

/* Whatever the policy says, and whatever was declared: no transaction survives. */
static void test_never(void)
{
	if (open_one(KOLK_POSTGRES_RESET_NEVER)) {
		struct kolk_lease lease;

		for (int i = 0; i < 2; i++)
			run_dirt(&dirt[i], KOLK_POSTGRES_SIMPLE | KOLK_POSTGRES_HARMLESS);
		MUST(pg_acquire(&w, &lease));
		PG_ASK(&lease, "set work_mem = '3MB'", "");
		CHECK_ERR(kolk_postgres_release(&lease), KOLK_OK);
		MUST(pg_acquire(&w, &lease));
		PG_ASK(&lease, "show work_mem", "3MB");
		CHECK_ERR(kolk_postgres_release(&lease), KOLK_OK);
	}
	pg_fixture_close(&w);
}

static void test_always(void)
{
	if (open_one(KOLK_POSTGRES_RESET_ALWAYS))
		run_dirt(&dirt[5], KOLK_POSTGRES_SIMPLE | KOLK_POSTGRES_HARMLESS);
	pg_fixture_close(&w);
}

/* ---- COPY that is left in the middle */

static enum kolk_err endless(void *user, void *buffer, size_t capacity, size_t *size)
{
	memset(buffer, '\n', capacity);
	for (size_t i = 0; i + 2 <= capacity; i += 2)
		((char *)buffer)[i] = '1';
	*size = capacity / 2 * 2;
	return ++*(int *)user > 20 ? KOLK_E_CANCELLED : KOLK_OK;
}

static enum kolk_err few(void *user, const void *data, size_t size)
{
	(void)data, (void)size;
	return ++*(int *)user > 3 ? KOLK_E_CANCELLED : KOLK_OK;
}

static void copy_and_leave(const char *sql, uint32_t flags)
{
	const struct kolk_postgres_statement statement = { sql, NULL, 0, flags };
	struct kolk_postgres_request request = KOLK_INIT(kolk_postgres_request);
	int count = 0;

	request.count = 1;
	request.statements = &statement;
	request.source = endless;
	request.sink = few;
	request.user = &count;
	CHECK_ERR(kolk_postgres_query(w.key, &request, kolk_in_ms(10000), NULL), KOLK_E_CANCELLED);
}

static void test_copy_left(void)
{
	struct kolk_lease lease;

	if (open_one(0)) {
		for (uint32_t simple = 0; simple <= KOLK_POSTGRES_SIMPLE; simple += KOLK_POSTGRES_SIMPLE) {
			copy_and_leave("copy t from stdin", simple);
			copy_and_leave("copy (select * from generate_series(1, 100000)) to stdout",
				       simple);
			copy_and_leave("copy (select 1 from generate_series(1, 2000000)) to stdout",
				       simple);
			MUST(pg_acquire(&w, &lease));
			PG_ASK(&lease, "select count(*) from t", "0");
			CHECK_ERR(kolk_postgres_release(&lease), KOLK_OK);
		}
	}
	pg_fixture_close(&w);
}

/* ---- the server ends connections */

/* The server's process is gone, and its socket closed: what is sent before it is answered with a reset. */
static bool ended(uint32_t pid)
{
	return WITHIN_MS(5000, kill((pid_t)pid, 0) == -1 && errno == ESRCH);
}

static void test_terminated(void)
{
	char sql[128], out[64], text[64];
	struct kolk_lease lease;
	uint32_t pid;

	if (open_one(0) && pg_acquire(&w, &lease)) {
		pid = pg_pid(&lease);
		snprintf(sql, sizeof sql, "select pg_terminate_backend(%u)", pid);
		CHECK_ERR(kolk_release(&lease), KOLK_OK);
		CHECK(kit_postgres_sql(w.peer, sql, out, sizeof out));
		/* It was idle: noticed there, the next lease gets another. */
		CHECK(WITHIN_MS(2000, !kolk_key_has_idle(w.key)));
		MUST(pg_acquire(&w, &lease));
		CHECK(pg_pid(&lease) != pid);
		/* It is leased: what runs ends with what the server says. */
		pid = pg_pid(&lease);
		snprintf(sql, sizeof sql, "select pg_terminate_backend(%u)", pid);
		CHECK(kit_postgres_sql(w.peer, sql, out, sizeof out) && ended(pid));
		CHECK_ERR(pg_ask(&lease, "select 1", 0, text, sizeof text), KOLK_E_CLOSED);
		CHECK_ERR(kolk_postgres_release(&lease), KOLK_OK);
		CHECK_ERR(pg_ask_key(w.key, "select 1", 0, text, sizeof text), KOLK_OK);
		/* By itself. */
		MUST(pg_acquire(&w, &lease));
		CHECK_ERR(pg_ask(&lease, "select pg_terminate_backend(pg_backend_pid())", 0, text,
				 sizeof text), KOLK_E_CLOSED);
		CHECK(strcmp(text, "57P01") == 0);
		CHECK_ERR(kolk_postgres_release(&lease), KOLK_OK);
	}
	pg_fixture_close(&w);
}

static void test_idle_in_transaction(void)
{
	struct kolk_lease lease;
	char text[64];

	if (!pg_fixture_start(&w, &(struct kit_postgres_options){ .sql = NULL }))
		return;
	w.options.parameters = (const char *const[]){ "idle_in_transaction_session_timeout", "100",
						      NULL };
	if (pg_fixture_open(&w) && pg_acquire(&w, &lease)) {
		CHECK_ERR(kolk_postgres_exec(&lease, "begin", kolk_in_ms(1000)), KOLK_OK);
		CHECK(ended(pg_pid(&lease)));
		CHECK_ERR(pg_ask(&lease, "select 1", 0, text, sizeof text), KOLK_E_CLOSED);
		CHECK_ERR(kolk_postgres_release(&lease), KOLK_OK);
		CHECK_ERR(pg_ask_key(w.key, "select 1", 0, text, sizeof text), KOLK_OK);
	}
	pg_fixture_close(&w);
}

static void test_restart(void)
{
	static const int how[] = { SIGINT, SIGQUIT, SIGKILL };
	char text[64];

	if (open_one(0))
		for (int i = 0; i < 3; i++) {
			CHECK_ERR(pg_ask_key(w.key, "select 1", 0, text, sizeof text), KOLK_OK);
			CHECK(kit_peer_restart(w.peer, how[i]));
			CHECK(WITHIN_MS(5000, pg_ask_key(w.key, "select 1", 0, text, sizeof text) ==
						      KOLK_OK));
		}
	pg_fixture_close(&w);
}

/* ---- log-in */

static int notices;
static char notice_sqlstate[8];

static void notice(void *user, const struct kolk_postgres_error *said)
{
	(void)user;
	notices++;
	snprintf(notice_sqlstate, sizeof notice_sqlstate, "%s", said->sqlstate);
}

static enum kolk_err secrets(void *user, struct kolk_key *key, struct kolk_credentials *out)
{
	const char *tenant = kolk_key_tenant(key);

	++*(int *)user;
	out->user = tenant[0] != 0 ? tenant : KIT_POSTGRES_USER;
	out->secret = tenant[0] != 0 ? tenant : KIT_POSTGRES_SECRET;
	out->secret_size = strlen(out->secret);
	return strcmp(tenant, "nobody") == 0 ? KOLK_E_AUTH : KOLK_OK;
}

static void test_log_in(void)
{
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	static const struct {
		const char *tenant;
		enum kolk_err err;
	} cases[] = { { "alice", KOLK_OK },
		      { "b\xc3\xb6rge", KOLK_OK },
		      { "mallory", KOLK_E_AUTH },
		      { "nobody", KOLK_E_AUTH } };
	struct kolk_key *key;
	int asked = 0;
	char text[64];

	if (!pg_fixture_start(&w, &(struct kit_postgres_options){
					.sql = "create role alice login password 'alice'; "
					       "create role \"b\xc3\xb6rge\" login password "
					       "'b\xc3\xb6rge'" }))
		return;
	w.options.user = w.options.password = NULL;
	w.options.credentials = secrets;
	w.options.credentials_user = &asked;
	w.options.notice = notice;
	w.pool_options.address = w.peer->unix_address;
	if (pg_fixture_open(&w))
		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
			who.tenant = cases[i].tenant;
			CHECK_ERR(kolk_key_open(w.pool, &who, &key), KOLK_OK);
			CHECK_ERR(pg_ask_key(key, "select current_user", 0, text, sizeof text),
				  cases[i].err);
			CHECK(cases[i].err != KOLK_OK || strcmp(text, cases[i].tenant) == 0);
			kolk_key_close(key);
		}
	CHECK(asked == 7);
	CHECK(notices >= 1 && strcmp(notice_sqlstate, "28P01") == 0);
	pg_fixture_close(&w);
}

static void no_such(const char *user, const char *secret, const char *database, enum kolk_err err)
{
	char text[64];

	w.options.user = user;
	w.options.password = secret;
	w.options.database = database;
	if (pg_fixture_open(&w))
		CHECK_ERR(pg_ask_key(w.key, "select 1", 0, text, sizeof text), err);
	CHECK_ERR(kolk_engine_destroy(w.engine), KOLK_OK);
	w.engine = NULL;
}

static void print_sqlstate(void *user, const struct kolk_postgres_error *notice)
{
	memcpy(user, notice->sqlstate, 6);
}

/* A start-up parameter that the server does not take: its error goes to the notice callback. */
static void no_such_parameter(const char *name, const char *value, const char *sqlstate)
{
	const char *const parameters[] = { name, value, NULL };
	char said[6] = "", text[64];

	w.options.parameters = parameters;
	w.options.notice = print_sqlstate;
	w.options.notice_user = said;
	if (pg_fixture_open(&w))
		CHECK_ERR(pg_ask_key(w.key, "select 1", 0, text, sizeof text), KOLK_E_SERVER);
	CHECK_ERR(kolk_engine_destroy(w.engine), KOLK_OK);
	CHECK(strcmp(said, sqlstate) == 0);
	w.engine = NULL;
	w.options.parameters = NULL;
	w.options.notice = NULL;
}

static void test_refused(void)
{
	if (!pg_fixture_start(&w, &(struct kit_postgres_options){ .sql = NULL }))
		return;
	no_such(KIT_POSTGRES_USER, "wrong", "postgres", KOLK_E_AUTH);
	no_such("unknown", KIT_POSTGRES_SECRET, "postgres", KOLK_E_AUTH);
	no_such(KIT_POSTGRES_USER, NULL, "postgres", KOLK_E_AUTH);
	no_such(KIT_POSTGRES_USER, KIT_POSTGRES_SECRET, "nowhere", KOLK_E_AUTH);
	no_such(KIT_POSTGRES_USER, KIT_POSTGRES_SECRET, "postgres", KOLK_OK);
	no_such_parameter("no_such_setting", "1", "42704");
	no_such_parameter("statement_timeout", "soon", "22023");
	pg_fixture_close(&w);
}

static void tls_case(const struct kit_postgres_options *server, const char *ca_file,
		     const char *name, enum kolk_err err)
{
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	char text[64];

	if (!pg_fixture_start(&w, server))
		return;
	tls.ca_file = ca_file != NULL ? ca_file : w.peer->ca_file;
	tls.server_name = name;
	w.pool_options.tls = &tls;
	if (pg_fixture_open(&w))
		CHECK_ERR(pg_ask_key(w.key,
				     "select ssl from pg_stat_ssl where pid = pg_backend_pid()", 0,
				     text, sizeof text), err);
	if (err == KOLK_OK) {
		const struct kolk_postgres_statement sleep = { "select pg_sleep(5)", NULL, 0, 0 };
		struct kolk_postgres_request request = KOLK_INIT(kolk_postgres_request);

		CHECK(strcmp(text, "t") == 0);
		request.count = 1;
		request.statements = &sleep;
		CHECK_ERR(kolk_postgres_query(w.key, &request, kolk_in_ms(200), NULL),
			  KOLK_E_TIMEOUT);
		CHECK(WITHIN_MS(3000, kolk_key_has_idle(w.key)));
	}
	pg_fixture_close(&w);
}

static void test_tls(void)
{
	const struct kit_postgres_options offered = { .tls = true }, only = { .tls_only = true };
	const struct kit_postgres_options plain = { .sql = NULL };

	tls_case(&offered, NULL, "localhost", KOLK_OK);
	tls_case(&only, NULL, "localhost", KOLK_OK);
	tls_case(&offered, NULL, "elsewhere.example", KOLK_E_TLS_VERIFY);
	tls_case(&plain, "/etc/ssl/certs/ca-certificates.crt", "localhost", KOLK_E_TLS);
}

static const struct tap_test tests[] = {
	{ "the next borrower sees nothing of the last", test_next_borrower },
	{ "policy never: settings stay, transactions do not", test_never },
	{ "policy always: also what was declared harmless", test_always },
	{ "COPY left in the middle", test_copy_left },
	{ "connections that the server terminates", test_terminated },
	{ "idle in a transaction for too long", test_idle_in_transaction },
	{ "restarts: fast, immediate, killed", test_restart },
	{ "log-in: a user for each tenant, SCRAM, Unix socket", test_log_in },
	{ "log-in: what is refused", test_refused },
	{ "TLS: verified or nothing; cancels over it, too", test_tls },
};
TAP_TESTS(postgres_session, tests);
