/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_session.h - what the driver keeps of a connection: outstanding replies, the state of its
 * transaction, and what may have changed in its session.
 */
#ifndef KOLK_PG_SESSION_H
#define KOLK_PG_SESSION_H

#include "core/base/sized.h"
#include "transport/drivers/pg_scram.h"
#include "transport/drivers/pg_wire.h"

/* What the driver's own exchange does. */
enum pg_stage {
	PG_IDLE = 0,
	PG_TLS_REQUESTED, /* SSLRequest was sent: one byte is expected */
	PG_LOGGING_IN,    /* start-up sent, not yet ready for queries */
	PG_PINGING,
	PG_DRAINING,      /* reset: outstanding replies are read */
	PG_RESETTING      /* reset: ROLLBACK and DISCARD ALL are under way */
};

enum pg_copy { PG_COPY_NONE = 0, PG_COPY_IN, PG_COPY_OUT };

/* Memory of the log-in alone. */
struct pg_login {
	struct pg_scram scram;
	enum { PG_LOGIN_STARTED = 0, PG_LOGIN_SASL_FIRST, PG_LOGIN_SASL_FINAL, PG_LOGIN_SASL_DONE,
	       PG_LOGIN_PASSWORD, PG_LOGIN_IN } step;
};

struct pg_notification {
	struct pg_notification *next;
	struct kolk_postgres_note value;
};

/* A statement that the server keeps prepared under the name "kolk" and its number. */
struct pg_prepared {
	uint32_t *types;  /* of its parameters, as Parse said; sql stands in the same block */
	const char *sql;
	uint32_t type_count;
	uint64_t hash;
	uint64_t used; /* the session's clock when it was used last */
	uint32_t number;
	bool parsed;   /* ParseComplete was received */
};

struct pg_session {
	const struct kolk_postgres_options *options;
	struct pg_reader reader;
	struct pg_login *login;
	char *parameters;     /* name, zero, value, zero; again and again */
	uint32_t parameters_size;
	uint32_t pid;
	uint32_t secret;
	uint32_t outstanding; /* ReadyForQuery messages not received yet */
	char status;          /* of the last one: 'I', 'T' or 'E' */
	uint8_t stage;        /* enum pg_stage */
	uint8_t copy;         /* enum pg_copy */
	bool used;            /* a statement ran since the session was new */
	bool dirty;           /* a statement that was not declared harmless */
	bool broken;          /* it cannot be used any more */
	bool simple;          /* the outstanding request uses the simple protocol */
	bool unsynced;        /* its Sync was not sent yet */
	bool answered;        /* a command was answered since ReadyForQuery */
	bool cancelling;      /* released by kolk_postgres_release, which still reads it */
	bool barrier;         /* a cancel request was sent: one more round trip must follow */
	bool notifications_lost;
	char sqlstate[6];     /* of the last error of this lease */
	uint32_t notifications_count;
	struct pg_notification *notifications, **notifications_end;
	struct pg_prepared *prepared;
	uint32_t prepared_count, prepared_last, prepared_unconfirmed; /* unconfirmed: not parsed
	                                                               * yet */
	uint64_t prepared_clock;
};

/* Handle an asynchronous message, which a server may send at any time: ParameterStatus,
 * NoticeResponse, NotificationResponse. KOLK_OK: it was one. KOLK_PENDING: it is another message.
 * keep: whether a lease is held, whose caller may want notifications. Errors: E_PROTOCOL, E_MEMORY,
 * E_LIMIT. */
enum kolk_err pg_session_async(struct pg_session *session, const struct pg_message *message,
			       bool keep);
/* ReadyForQuery, which follows an answer. */
enum kolk_err pg_session_ready(struct pg_session *session, const struct pg_message *message);
/* Whether a COPY FROM STDIN that begins now can come to an end: a Sync that was sent before may be
 * dropped by it or not, so the number of ReadyForQuery is unknown. */
bool pg_session_may_copy_in(const struct pg_session *session);
/* Drop a part of an abandoned answer: only the session's state follows it. KOLK_PENDING. Errors:
 * E_PROTOCOL. */
enum kolk_err pg_session_discard(struct pg_session *session, const struct pg_message *message);
/* ErrorResponse or NoticeResponse, to the options' callback. */
void pg_session_notice(const struct pg_session *session, const struct pg_message *message);
/* The server's report of a setting; NULL = none. */
const char *pg_session_parameter(const struct pg_session *session, const char *name);
/* Whether DISCARD ALL is due by the pool's policy. */
bool pg_session_needs_reset(const struct pg_session *session);
/* Whether the validation query is due, of a connection that comes back. */
bool pg_session_needs_validation(const struct pg_session *session);
/* KOLK_OK: clean. KOLK_PENDING: needs a reset. */
enum kolk_err pg_session_clean(struct pg_session *session);
struct pg_notification *pg_session_notification(struct pg_session *session);
void pg_session_drop_notifications(struct pg_session *session);
void pg_session_free(struct pg_session *session);

/* ---- the two drivers (pg_driver.c) */

extern const struct kolk_driver pg_driver, pg_cancel_driver;

/* ---- their options (pg_options.c) */

extern const struct kolk_option_table pg_option_table;
enum kolk_err pg_options_check(const void *options, const struct kolk_pool_options *pool,
			       const char **field);

/* ---- validation (pg_validate.c) */

/* "" = the empty query. */
const char *pg_validation_query(const struct pg_session *session);
/* A message before ReadyForQuery, of it or of a reset: KOLK_PENDING. E_PROTOCOL: an error, or what
 * a query without COPY is not answered with. */
enum kolk_err pg_validation_reply(struct pg_session *session, const struct pg_message *message);

/* ---- log-in (pg_login.c) */

enum kolk_err pg_login_begin(struct pg_session *session, struct kolk_exchange *exchange);
/* The next message of the opening exchange. KOLK_OK: ready for queries. */
enum kolk_err pg_login_on_message(struct pg_session *session, struct kolk_exchange *exchange,
				  const struct pg_message *message);
void pg_login_free(struct pg_session *session);

/* ---- prepared statements (pg_prepared.c) */

/* The one with this text and these types of parameters, or NULL. */
struct pg_prepared *pg_prepared_find(struct pg_session *session,
				     const struct kolk_postgres_statement *statement);
/* Add one: *evict is the number of the one to close for it, 0 = none. NULL = no place or memory: it
 * is not kept prepared. */
struct pg_prepared *pg_prepared_add(struct pg_session *session,
				    const struct kolk_postgres_statement *statement,
				    uint32_t *evict);
/* ParseComplete; or an error that says that it does not exist, or is stale. */
void pg_prepared_set_parsed(struct pg_session *session, uint32_t number, bool parsed);
/* Remove an unconfirmed one, of which it is not known whether the server has it: its number; 0 =
 * there is none. */
uint32_t pg_prepared_unconfirmed(struct pg_session *session);
/* The server dropped all of them. */
void pg_prepared_clear(struct pg_session *session);

#endif
