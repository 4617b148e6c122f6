/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver.c - a protocol of one's own: example-driver [ADDRESS]
 *
 * The protocol is lines, each of which the server answers with a line. A connection begins with
 * "login NAME" and is pinged with "ping"; "set ..." changes its session, which "reset" undoes. The
 * driver does all that. A lease of its pool is logged in and as new, whoever had the connection
 * before.
 */
#include <kolk/kolk.h>
#include <stdio.h>
#include <string.h>

#include "upstream/upstream.h"

enum { CALLS = 1000, CONNECTIONS = 2, LINE = 128 };

/* ---- options, as data: a pool checks them by this table, copies them, and wipes the copy */

struct line_options {
	uint32_t size;
	uint32_t reserved; /* zero: no gap between two fields */
	const char *login; /* part of the identity: another one gets other connections */
};

#define LINE_OPTIONS(X)                                                            \
	KOLK_OPTION_FIELD(X, uint32_t, size, SIZE, 0)                              \
	KOLK_OPTION_FIELD(X, uint32_t, reserved, RESERVED, 0)                      \
	X(const char *, login, TEXT, KOLK_OPTION_IDENTITY, 0, 1, 64, NULL, NULL, NULL, \
	  "required", "who logs in")

#define KOLK_OPTION_STRUCT struct line_options
static const struct kolk_option rows[] = { LINE_OPTIONS(KOLK_OPTION_ROW) };
static const struct kolk_option_table option_table = KOLK_OPTION_TABLE("line", rows);

static enum kolk_err options_check(const void *options, const struct kolk_pool_options *pool,
				   const char **field)
{
	const struct line_options *line = options;

	(void)pool;
	*field = "login";
	return line->login != NULL && strchr(line->login, '\n') == NULL ? KOLK_OK : KOLK_E_OPTIONS;
}

/* ---- the driver: its callbacks do not block, and no two run at once for one connection */

struct session { /* all zero at the dial */
	char expected[LINE], answer[LINE];
	uint32_t size;        /* of the answer so far */
	uint32_t outstanding; /* answers to the lines of a lease */
	uint32_t changed;     /* 1 = a lease said "set" */
};

/* Begin an exchange: its answer is fed. */
static enum kolk_err ask(struct session *session, struct kolk_exchange *exchange, const char *line)
{
	enum kolk_err err = kolk_exchange_send(exchange, line, strlen(line));

	snprintf(session->expected, sizeof session->expected, "%s", line);
	session->size = 0;
	return err == KOLK_OK ? KOLK_PENDING : err;
}

static enum kolk_err line_open(void *user, void *session, struct kolk_exchange *exchange)
{
	const struct line_options *options = user; /* the pool's copy */
	char line[LINE];

	snprintf(line, sizeof line, "login %s\n", options->login);
	return ask(session, exchange, line);
}

static enum kolk_err line_ping(void *user, void *session, struct kolk_exchange *exchange)
{
	(void)user;
	return ask(session, exchange, "ping\n");
}

static enum kolk_err line_reset(void *user, void *session, struct kolk_exchange *exchange)
{
	(void)user;
	return ask(session, exchange, "reset\n");
}

/* Bytes come as the network cuts them. More than the answer is not an answer to anything. */
static enum kolk_err line_feed(void *user, void *memory, struct kolk_exchange *exchange,
			       const void *data, size_t size)
{
	struct session *session = memory;

	(void)user;
	if (size >= sizeof session->answer - session->size)
		return KOLK_E_PROTOCOL;
	memcpy(session->answer + session->size, data, size);
	session->size += (uint32_t)size;
	session->answer[session->size] = '\0';
	if (strchr(session->answer, '\n') == NULL)
		return KOLK_PENDING;
	if (strcmp(session->answer, session->expected) != 0) {
		kolk_exchange_detail(exchange, "another answer than the protocol has");
		return strncmp(session->expected, "login", 5) == 0 ? KOLK_E_AUTH : KOLK_E_PROTOCOL;
	}
	session->changed = 0; /* after a login or a reset; a ping is of a clean session anyway */
	return KOLK_OK;
}

/* At a release: idle at once, after a reset, or closed. */
static enum kolk_err line_clean(void *user, void *memory)
{
	const struct session *session = memory;

	(void)user;
	if (session->outstanding > 0)
		return KOLK_E_PROTOCOL;
	return session->changed ? KOLK_PENDING : KOLK_OK;
}

static const struct kolk_driver line_driver = {
	.size = sizeof line_driver, .session_bytes = sizeof(struct session), .name = "line",
	.open = line_open, .ping = line_ping, .mend = line_reset, .feed = line_feed,
	.clean = line_clean, .options = &option_table, .check = options_check,
};

/* ---- a call on a lease, which keeps account in the connection's session */

static enum kolk_err on_asked(void *user, void *memory)
{
	struct session *session = memory;

	session->outstanding++;
	session->changed |= strncmp(user, "set ", 4) == 0;
	return KOLK_OK;
}

static enum kolk_err on_answered(void *user, void *memory)
{
	(void)user;
	((struct session *)memory)->outstanding--;
	return KOLK_OK;
}

static enum kolk_err line_call(const struct kolk_lease *lease, char *line, char answer[LINE])
{
	uint64_t deadline_ns = kolk_in_ms(2000);
	size_t size = 0, got = 0;
	enum kolk_err err = kolk_lease_session(lease, &line_driver, on_asked, line);

	if (err == KOLK_OK) /* from now on an answer is outstanding, also if this fails half-way */
		err = kolk_send_all(lease, line, strlen(line), deadline_ns);
	while (err == KOLK_OK && (size == 0 || answer[size - 1] != '\n')) {
		err = kolk_recv(lease, answer + size, LINE - 1 - size, deadline_ns, &got);
		size += err == KOLK_OK ? got : 0;
		if (size == LINE - 1)
			err = KOLK_E_LIMIT;
	}
	answer[size] = '\0';
	return err == KOLK_OK ? kolk_lease_session(lease, &line_driver, on_answered, NULL) : err;
}

/* Every other one changes its session. */
static enum kolk_err request(struct kolk_key *key, int number)
{
	char line[LINE], answer[LINE];
	struct kolk_lease lease;
	enum kolk_err err = kolk_acquire(key, kolk_in_ms(2000), &lease);

	if (err != KOLK_OK)
		return err;
	snprintf(line, sizeof line, "%s colour %d\n", number % 2 == 0 ? "set" : "get", number);
	err = line_call(&lease, line, answer);
	if (err == KOLK_OK && strcmp(answer, line) != 0)
		err = KOLK_E_PROTOCOL;
	kolk_release(&lease); /* line_clean decides; after an error of send or receive: closed */
	return err;
}

static int report(struct kolk_pool *pool, enum kolk_err err)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	if (err != KOLK_OK)
		fprintf(stderr, "%s\n", kolk_err_text(err));
	if (err != KOLK_OK || kolk_pool_stats(pool, &stats) != KOLK_OK)
		return 1;
	printf("%d calls over %llu connections, %s\n", CALLS, (unsigned long long)stats.created,
	       stats.mends_ok > 0 ? "reset where they changed" : "NEVER RESET");
	return stats.created > CONNECTIONS || stats.mends_ok == 0 || stats.mends_failed > 0;
}

int main(int argc, char **argv)
{
	struct kolk_engine_options engine_options = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options options = KOLK_INIT(kolk_pool_options);
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	struct line_options line = { .size = sizeof line, .login = "alice" };
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	struct kolk_key *key;
	enum kolk_err err;
	int status;

	options.name = "lines";
	options.address = upstream_address(argc, argv);
	options.driver = &line_driver;
	options.driver_user = &line; /* copied, as option_table describes it */
	options.connections_max = CONNECTIONS;
	who.tenant = "alice";
	if (kolk_engine_create(&engine_options, &engine) != KOLK_OK ||
	    kolk_pool_add(engine, &options, &pool) != KOLK_OK ||
	    kolk_key_open(pool, &who, &key) != KOLK_OK)
		return 1;
	err = kolk_key_warm(key, kolk_in_ms(2000)); /* logged in before the first call */
	for (int i = 0; i < CALLS && err == KOLK_OK; i++)
		err = request(key, i);
	status = report(pool, err);
	kolk_key_close(key);
	return kolk_engine_destroy(engine) != KOLK_OK || status != 0;
}
