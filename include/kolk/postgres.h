/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/postgres.h - PostgreSQL on pooled connections: protocol 3.0 (PostgreSQL 9.6 and newer).
 *
 * A pool whose driver is kolk_driver_postgres() logs in at the dial, pings with an empty query (or
 * its validation_query), and gives a connection to the next borrower only when the server said that
 * it is idle, in no transaction, and its session is as new (see enum kolk_postgres_reset).
 * Statements are the caller's, on a lease or in one call that takes one.
 *
 * Threads: the blocking calls are for plain threads, the asynchronous ones for a loop's thread.
 * Part of libkolk-drivers; needs nothing of libpq.
 */
#ifndef KOLK_POSTGRES_H
#define KOLK_POSTGRES_H

#include <kolk/driver.h>
#include <kolk/lease.h>
#include <kolk/pool.h>

/* When a connection that comes back gets DISCARD ALL, on its loop: no caller waits for it. What a
 * statement does to its session cannot be seen from outside (SELECT may call pg_advisory_lock or
 * set_config), so one that was not declared KOLK_POSTGRES_HARMLESS makes it dirty. In every case
 * an open transaction is rolled back, COPY is ended and what is owed is read, within the pool's
 * mend_timeout_ns and mend_bytes_max; otherwise the connection is closed. */
enum kolk_postgres_reset {
	KOLK_POSTGRES_RESET_DIRTY = 0,
	KOLK_POSTGRES_RESET_ALWAYS, /* after each lease that ran anything */
	KOLK_POSTGRES_RESET_NEVER   /* the next borrower sees what the last one left */
};

/* What the server said: an error, or a notice. Texts are never NULL where it says so; they live as
 * long as the result, or the callback. They may quote what statements contain. */
struct kolk_postgres_error {
	const char *severity; /* "ERROR", "FATAL", "PANIC", "WARNING", "NOTICE", ...; not NULL */
	const char *sqlstate; /* five characters (PostgreSQL's appendix A); not NULL */
	const char *message;  /* not NULL */
	const char *detail, *hint, *where;
	const char *schema, *table, *column, *type, *constraint;
	uint32_t position;  /* in the statement, in characters from 1; 0 = none */
	uint32_t statement; /* which of the request, from 0 */
};

/* What the server says besides: notices while statements run, and why it refuses or ends a
 * connection. On whichever thread reads the connection; must not block nor call kolk. */
typedef void kolk_postgres_notice_fn(void *user, const struct kolk_postgres_error *notice);

/* Who logs in, and how: the pool's driver_user, which it copies (kolk_driver.options). */
struct kolk_postgres_options {
	uint32_t size;  /* sizeof; set by KOLK_INIT */
	uint32_t reset; /* enum kolk_postgres_reset */

	const char *user;             /* required unless credentials gives one */
	const char *password;         /* NULL = none. ASCII, or already in the form that SASLprep
	                               * (RFC 4013) gives: it is used as it is */
	kolk_credentials_fn *credentials; /* asked for user and password of a key, twice at each
	                               * dial; NULL = the two above */
	void *credentials_user;
	const char *database;         /* NULL = as the user is called */
	const char *application_name; /* NULL = "kolk" */
	/* More start-up parameters: name, value, name, value, NULL ("search_path", "app",
	 * "statement_timeout", "5s"); NULL = none. DISCARD ALL comes back to them. */
	const char *const *parameters;
	kolk_postgres_notice_fn *notice; /* NULL = notices are dropped */
	void *notice_user;

	uint32_t tls_direct;     /* 1 = TLS from the first byte (PostgreSQL 17), with the ALPN
	                          * "postgresql", which the pool must offer */
	uint32_t scram_required; /* 1 = refuse a server that asks for no password, or for another
	                          * than by SCRAM-SHA-256 */
	uint32_t md5_allowed;    /* 1 = answer to "md5", which is broken, too */
	uint32_t clear_allowed;  /* 1 = hand the password over, and only inside TLS */
	uint32_t scram_rounds_max;  /* refuse to hash more often (RFC 7677 asks for 4096 and more):
	                             * it takes some 3 ms of the loop for 4096; 0 = 65536 */
	uint32_t message_bytes_max; /* the longest message that is received; <= 1 GiB; 0 = 16 MiB */
	uint32_t prepared_max;      /* statements that a connection keeps prepared; 0 = 32;
	                             * KOLK_NONE; <= 1024 */
	uint32_t notes_max;         /* notifications that wait for a lease's holder; 0 = 64 */
	uint64_t cancel_after_ns;   /* how long what was left running may go on until the server is
	                             * asked to cancel it (kolk_postgres_release); 0 = 20 ms */

	/* Proves that a connection works: as the ping of idle ones (the pool's ping_interval_ns,
	 * KOLK_FOREVER = not while idle), and where the next two say. It must leave no transaction
	 * open; an error of it closes the connection. NULL = the empty query, which needs no
	 * transaction and no snapshot. */
	const char *validation_query;
	uint32_t validate_on_borrow; /* 1 = before a reused connection (kolk_lease_info) is leased by
	                              * kolk_postgres_acquire, or by a call that takes a key; one that
	                              * fails is closed, and the next is taken */
	uint32_t validate_on_return; /* 1 = after each lease that ran anything, on its loop: no
	                              * caller waits; within mend_timeout_ns */
	uint64_t validation_timeout_ns; /* on borrow; 0 = 1 s */
};                                  /* since 0.1 */

/* A parameter, or what a row has in a column. data NULL = SQL's NULL. Of a result, data is followed
 * by a zero that size does not count. */
struct kolk_postgres_value {
	const void *data;
	uint32_t size;   /* bytes */
	uint32_t type;   /* the type's OID; of a parameter 0 = the server infers it */
	uint32_t binary; /* 1 = in the type's binary form; 0 = as text */
	uint32_t reserved;
};

enum kolk_postgres_flag {
	/* Prepare it once per connection, and use it again by its text and the types of its
	 * parameters. DISCARD ALL forgets it: it pays within a lease, or together with HARMLESS.
	 * After ALTER TABLE ... TYPE each connection may refuse it once (E_SERVER: 22003 of a value
	 * that the new type would hold, 0A000 ...) and prepares it anew then. A value without a type
	 * is read as the old type until then: say the type, or rotate the pool after such a change. */
	KOLK_POSTGRES_PREPARE = 1,
	/* It leaves nothing behind in the session: no setting, lock, LISTEN, temporary table, cursor,
	 * prepared statement or sequence value that the next borrower must not meet. */
	KOLK_POSTGRES_HARMLESS = 2,
	/* Columns come in their types' binary form. */
	KOLK_POSTGRES_BINARY = 4,
	/* By the simple protocol: several commands separated by semicolons, and COPY. No values, the
	 * only statement of its request. */
	KOLK_POSTGRES_SIMPLE = 8
};

struct kolk_postgres_statement {
	const char *sql; /* with $1, $2 ... */
	const struct kolk_postgres_value *values;
	uint32_t value_count; /* <= 65535 */
	uint32_t flags;       /* enum kolk_postgres_flag */
};

/* A row, as it comes: values live as long as the call, and no zero follows them. Anything but
 * KOLK_OK ends the request. */
typedef enum kolk_err kolk_postgres_row_fn(void *user, uint32_t statement,
					   const struct kolk_postgres_value *values,
					   uint32_t count);
/* What is to be copied in: fill the buffer, *size 0 = this was all; an error makes the COPY
 * fail and is what the request ends with. */
typedef enum kolk_err kolk_postgres_source_fn(void *user, void *buffer, size_t capacity,
					      size_t *size);
/* What is copied out, a row at a time. Anything but KOLK_OK ends the request. */
typedef enum kolk_err kolk_postgres_sink_fn(void *user, const void *data, size_t size);

/* Statements that go out together, and come to one end: without a transaction around they are one.
 * After the first that fails none is run. Everything is borrowed until the request has ended; its
 * callbacks must not block nor call kolk. */
struct kolk_postgres_request {
	uint32_t size; /* sizeof; set by KOLK_INIT */
	uint32_t count;
	const struct kolk_postgres_statement *statements; /* required */
	kolk_postgres_row_fn *row;       /* NULL = rows are collected in the result */
	kolk_postgres_source_fn *source; /* of COPY FROM STDIN, which without SIMPLE is the last
	                                  * statement; of several it is asked again for each. NULL =
	                                  * such a COPY fails, and without SIMPLE the connection
	                                  * ends (E_UNSUPPORTED) */
	kolk_postgres_sink_fn *sink;     /* of COPY TO STDOUT; NULL = it is read and dropped */
	void *user;                      /* of these three */
	uint64_t idle_ns;        /* longest silence of the server; 0 = the pool's
	                          * socket_timeout_ns; KOLK_FOREVER */
	uint32_t timeout_ms;     /* statement_timeout of these statements (and, within a transaction,
	                          * of those after them); 0 = the session's; not with SIMPLE */
	uint32_t result_bytes_max; /* of all rows collected, with SIMPLE of results, too: E_LIMIT
	                            * beyond; 0 = 16 MiB; <= 1 GiB */
	uint32_t replayable;     /* 1 = running it twice does no harm: kolk_postgres_query may send it
	                          * again when a reused connection (kolk_lease_info)
	                          * ended before any answer */
	uint32_t reserved;
};                               /* since 0.1 */

/* What became of a statement. Freed by kolk_postgres_result_free, all of a request at once. */
struct kolk_postgres_result;
/* A request under way on a loop; valid until its callback began. */
struct kolk_postgres_call;

/* The end, from the loop's step, exactly once. result is the callback's to free; it may be NULL
 * when err is not KOLK_OK. */
typedef void kolk_postgres_done_fn(void *user, enum kolk_err err,
				   struct kolk_postgres_result *result);

/* How a connection stands. */
struct kolk_postgres_info {
	uint32_t size; /* sizeof; set by KOLK_INIT */
	uint32_t pid;  /* of the server's process; 0 = it did not say */
	uint32_t owed; /* answers that are to come */
	char status;   /* 'I' idle, 'T' in a transaction, 'E' in one that failed */
	uint8_t dirty; /* 1 = the session may have changed */
	uint16_t prepared; /* statements kept prepared */
	char sqlstate[8];  /* of the last error of this lease; "" = none */
};                         /* since 0.1 */

/* A message of NOTIFY. */
struct kolk_postgres_note {
	uint32_t pid;
	char channel[64];
	char *payload; /* freed with free() */
};

KOLK_BEGIN

/* The driver, static. Errors of a dial: E_AUTH (28xxx, 3D000, 42501, or a way to log in that is not
 * allowed), E_CONN_REFUSED (57xxx, 53xxx: it starts, stops or is full), E_SERVER (any other: a
 * start-up parameter that is unknown, 42704, or has an impossible value, 22023; notice is told what
 * the server said, and the pool backs off), E_TLS, E_PROTOCOL, E_LIMIT, and those of the socket. */
KOLK_API const struct kolk_driver *kolk_driver_postgres(void);

/* kolk_pool_add for this driver, and besides "NAME.cancel": a pool of the same address and TLS
 * that carries cancel requests, each on a connection of its own as the protocol wants it, one
 * key's connections_max at most. kolk_postgres_release and the calls by key find it by its
 * name; without it what still runs is waited for (mend_timeout_ns), and the connection closed.
 * To close such a pool, close both. driver_user must be the options. Errors: as
 * kolk_pool_add, E_OPTIONS. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_postgres_pool_add(struct kolk_engine *engine, const struct kolk_pool_options *options,
		       struct kolk_pool **pool);

/* kolk_pool_update of both; "NAME.cancel" is added when there is none, because the pool was another
 * protocol's. An error of the other pool leaves this one updated. Errors: as kolk_pool_update and
 * kolk_postgres_pool_add. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_postgres_pool_update(struct kolk_pool *pool, const struct kolk_pool_options *options);

/* The pool that carries the cancel requests of this one; NULL = there is none. */
KOLK_API struct kolk_pool *kolk_postgres_pool_cancel(struct kolk_pool *pool);

/* ---- on a lease: in a transaction, or whenever several requests want the same session */

/* Run the statements, from a plain thread, until the deadline (absolute; 0 = from now on as long as
 * the pool's request_timeout_ns says).
 * KOLK_OK: *result is the caller's, one for each statement. E_SERVER: the server refused one, and
 * *result has those before it and its error. *result may be set with other errors too, when
 * something had come; NULL result = not wanted. After any error but E_SERVER and E_OPTIONS the
 * lease is good for nothing but its release. Errors: E_OPTIONS, E_MEMORY, E_LIMIT, E_PROTOCOL,
 * E_LEASE_BUSY (an answer to an earlier request is owed), what a callback answered, and those of
 * kolk_recv. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_postgres_run(const struct kolk_lease *lease, const struct kolk_postgres_request *request,
		  uint64_t deadline_ns, struct kolk_postgres_result **result);
/* The same on a loop, from its thread. KOLK_PENDING: the callback will run. Anything else: it never
 * does. call may be NULL. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_postgres_run_async(struct kolk_loop *loop, const struct kolk_lease *lease,
			const struct kolk_postgres_request *request, uint64_t deadline_ns,
			kolk_postgres_done_fn *done, void *user, struct kolk_postgres_call **call);
/* End it early, from the loop's thread: the callback runs with E_CANCELLED, unless it had ended
 * otherwise already. It is not sent again. */
KOLK_API void kolk_postgres_call_cancel(struct kolk_postgres_call *call);

/* A command or several without values or rows wanted, by the simple protocol: "begin",
 * "savepoint a". Errors: as kolk_postgres_run. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_postgres_exec(const struct kolk_lease *lease,
							  const char *sql, uint64_t deadline_ns);

/* The next notification that this session LISTENs to; waits for it on a plain thread. Between two
 * requests only. A deadline that passes leaves the lease as it is. Errors: E_TIMEOUT,
 * E_LIMIT (some were dropped, told once), E_LEASE_BUSY, and those of kolk_recv. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_postgres_notification(const struct kolk_lease *lease, uint64_t deadline_ns,
			   struct kolk_postgres_note *note);

/* How the leased connection stands. Errors: as kolk_lease_session. */
KOLK_API enum kolk_err kolk_postgres_info(const struct kolk_lease *lease,
					  struct kolk_postgres_info *info);
/* What the server reported of a setting (server_version, client_encoding, in_hot_standby ...), as
 * text cut to capacity. Errors: E_NOT_FOUND, as kolk_lease_session. */
KOLK_API enum kolk_err kolk_postgres_parameter(const struct kolk_lease *lease, const char *name,
					       char *text, size_t capacity);

/* kolk_release, and where answers are owed the server is asked first to cancel what it runs: on
 * a loop, no caller waits. The connection is not leased again until the server closed the
 * connection that carried the request, which is its proof that no later statement can be hit,
 * and answered once more after that. Errors: as kolk_release. */
KOLK_API enum kolk_err kolk_postgres_release(struct kolk_lease *lease);

/* ---- on a key: acquire, run, release */

/* As kolk_acquire; with validate_on_borrow only a connection that is new or was validated just now.
 * From a plain thread. A deadline that has passed bounds the wait for a connection, not the
 * validation. Errors: as kolk_acquire. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_postgres_acquire(struct kolk_key *key, uint64_t deadline_ns, struct kolk_lease *lease);

/* As kolk_acquire and kolk_postgres_run. Sent again at most once, on another connection, when
 * nothing was handed to the kernel; or when the request is replayable, the connection was a
 * reused one (kolk_lease_info) and no byte came. After the deadline the server is asked to
 * cancel. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_postgres_query(struct kolk_key *key, const struct kolk_postgres_request *request,
		    uint64_t deadline_ns, struct kolk_postgres_result **result);
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_postgres_query_async(struct kolk_loop *loop, struct kolk_key *key,
			  const struct kolk_postgres_request *request, uint64_t deadline_ns,
			  kolk_postgres_done_fn *done, void *user,
			  struct kolk_postgres_call **call);

/* What is done in a transaction: KOLK_OK = commit; anything else rolls back, and is returned. */
typedef enum kolk_err kolk_postgres_body_fn(void *user, const struct kolk_lease *lease,
					    uint64_t deadline_ns);
struct kolk_postgres_transaction {
	uint32_t size; /* sizeof; set by KOLK_INIT */
	/* Begin again after serialization failures and deadlocks (SQLSTATE 40001, 40P01), so often
	 * at most: only for a body that may run more than once; 0 = never. */
	uint32_t retries;
	/* NULL = "begin"; "begin isolation level serializable" ... A single command is taken for
	 * harmless, several are not. */
	const char *begin;
};                         /* since 0.1 */

/* Lease, begin, body, commit or roll back, release; from a plain thread. options NULL = defaults.
 * E_SERVER from the commit: it was not made. Any other error from the commit: unknown, as the
 * answer did not come. Errors: as kolk_acquire and kolk_postgres_run, and what body answered. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_postgres_transact(struct kolk_key *key, const struct kolk_postgres_transaction *options,
		       uint64_t deadline_ns, kolk_postgres_body_fn *body, void *user);

/* ---- results */

/* That of the next statement, or NULL. */
KOLK_API const struct kolk_postgres_result *
kolk_postgres_result_next(const struct kolk_postgres_result *result);
KOLK_API uint32_t kolk_postgres_result_rows(const struct kolk_postgres_result *result);
KOLK_API uint32_t kolk_postgres_result_columns(const struct kolk_postgres_result *result);
/* A column's name; "" beyond the last. */
KOLK_API const char *kolk_postgres_result_name(const struct kolk_postgres_result *result,
					       uint32_t column);
/* data NULL beyond the last row or column. */
KOLK_API struct kolk_postgres_value
kolk_postgres_result_value(const struct kolk_postgres_result *result, uint32_t row,
			   uint32_t column);
/* The value as text of a text column; "" for NULL. */
KOLK_API const char *kolk_postgres_result_text(const struct kolk_postgres_result *result,
					       uint32_t row, uint32_t column);
/* What the server called it when it was done ("INSERT 0 3"); "" when it was not. */
KOLK_API const char *kolk_postgres_result_tag(const struct kolk_postgres_result *result);
/* Rows that it says were touched. */
KOLK_API uint64_t kolk_postgres_result_affected(const struct kolk_postgres_result *result);
/* Why it failed; NULL = it did not. Of the first result it is that of the whole request. */
KOLK_API const struct kolk_postgres_error *
kolk_postgres_result_error(const struct kolk_postgres_result *result);
KOLK_API void kolk_postgres_result_free(struct kolk_postgres_result *result);

KOLK_END

#endif
