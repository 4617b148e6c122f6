/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_session.h - what the driver remembers of a connection: its account of answers owed, the
 * state of its transaction, and what may have changed in its session.
 */
#ifndef KOLK_PG_SESSION_H
#define KOLK_PG_SESSION_H

#include "core/base/sized.h"
#include "transport/drivers/pg_scram.h"
#include "transport/drivers/pg_wire.h"

/* What the driver's exchange is about. */
enum pg_stage {
	PG_RESTING = 0,
	PG_ASKING_TLS,   /* SSLRequest was sent: one byte is to come */
	PG_LOGGING_IN,   /* start-up sent, not yet ready for queries */
	PG_PINGING,
	PG_DRAINING,     /* mend: what is owed is read */
	PG_NEUTRALIZING  /* mend: ROLLBACK and DISCARD ALL are under way */
};

enum pg_copy { PG_COPY_NONE = 0, PG_COPY_IN, PG_COPY_OUT };

/* Memory of the log-in alone. */
struct pg_login {
	struct pg_scram scram;
	enum { PG_LOGIN_STARTED = 0, PG_LOGIN_SASL_FIRST, PG_LOGIN_SASL_FINAL, PG_LOGIN_SASL_DONE,
	       PG_LOGIN_PASSWORD, PG_LOGIN_IN } step;
};

struct pg_note {
	struct pg_note *next;
	struct kolk_postgres_note note;
};

/* A statement that the server keeps prepared under the name "kolk" and its number. */
struct pg_prepared {
	uint32_t *types;  /* of its parameters, as Parse said; sql stands in the same block */
	const char *sql;
	uint32_t type_count;
	uint64_t hash;
	uint64_t used; /* the session's clock when it was used last */
	uint32_t number;
	bool parsed;   /* the server said so */
};

struct pg_session {
	const struct kolk_postgres_options *options;
	struct pg_reader reader;
	struct pg_login *login;
	char *parameters;   /* name, zero, value, zero; again and again */
	uint32_t parameters_size;
	uint32_t pid;
	uint32_t secret;
	uint32_t owed;      /* ReadyForQuery that are to come */
	char status;        /* of the last one: 'I', 'T' or 'E' */
	uint8_t stage;      /* enum pg_stage */
	uint8_t copy;       /* enum pg_copy */
	bool used;          /* something ran since the session was new */
	bool dirty;         /* something that was not declared harmless */
	bool broken;        /* it is of no further use */
	bool simple;        /* what is owed was asked by the simple protocol */
	bool unsynced;      /* its Sync was not sent yet */
	bool answered;      /* a command was answered since ReadyForQuery */
	bool leaving;       /* given back by kolk_postgres_release, which still reads it */
	bool barrier;       /* a cancel request went out: one more round trip has to follow it */
	bool notes_lost;
	char sqlstate[6];   /* of the last error of this lease */
	uint32_t notes_count;
	struct pg_note *notes, **notes_end;
	struct pg_prepared *prepared;
	uint32_t prepared_count, prepared_last, prepared_unsure; /* unsure: not parsed yet */
	uint64_t prepared_clock;
};

/* A server may say it at any time: ParameterStatus, NoticeResponse, NotificationResponse.
 * KOLK_OK: it was that. KOLK_PENDING: it is something else. note: whether somebody holds the
 * lease and may want notifications. Errors: E_PROTOCOL, E_MEMORY, E_LIMIT. */
enum kolk_err pg_session_aside(struct pg_session *session, const struct pg_message *message,
			       bool note);
/* ReadyForQuery, which follows an answer. */
enum kolk_err pg_session_ready(struct pg_session *session, const struct pg_message *message);
/* Whether a COPY FROM STDIN that begins now can come to an end: a Sync that went out before may be
 * dropped by it or not, so nobody knows how often the server will be ready. */
bool pg_session_may_copy_in(const struct pg_session *session);
/* A part of an answer that nobody wants any more: only what the account has to know. KOLK_PENDING.
 * Errors: E_PROTOCOL. */
enum kolk_err pg_session_unheard(struct pg_session *session, const struct pg_message *message);
/* ErrorResponse or NoticeResponse, to the options' callback. */
void pg_session_tell(const struct pg_session *session, const struct pg_message *message);
/* What the server reported of a setting; NULL = nothing. */
const char *pg_session_parameter(const struct pg_session *session, const char *name);
/* Whether DISCARD ALL is due by the pool's policy. */
bool pg_session_needs_reset(const struct pg_session *session);
/* KOLK_OK: as new. KOLK_PENDING: can be made so. */
enum kolk_err pg_session_clean(struct pg_session *session);
struct pg_note *pg_session_note(struct pg_session *session);
void pg_session_forget_notes(struct pg_session *session);
void pg_session_free(struct pg_session *session);

/* ---- the two drivers (pg_driver.c) */

extern const struct kolk_driver pg_driver, pg_cancel_driver;

/* ---- their options (pg_options.c) */

extern const struct kolk_option_table pg_option_table;
enum kolk_err pg_options_check(const void *options, const struct kolk_pool_options *pool,
			       const char **field);

/* ---- log-in (pg_login.c) */

enum kolk_err pg_login_begin(struct pg_session *session, struct kolk_exchange *exchange);
/* The next message of the opening exchange. KOLK_OK: ready for queries. */
enum kolk_err pg_login_take(struct pg_session *session, struct kolk_exchange *exchange,
			    const struct pg_message *message);
void pg_login_free(struct pg_session *session);

/* ---- statements that are kept prepared (pg_prepared.c) */

/* The one with this text and these types of parameters, or NULL. */
struct pg_prepared *pg_prepared_find(struct pg_session *session,
				     const struct kolk_postgres_statement *statement);
/* A place for a new one: *evict is the number of the one that has to go, 0 = none. NULL = no place
 * or memory: it is not kept. */
struct pg_prepared *pg_prepared_add(struct pg_session *session,
				    const struct kolk_postgres_statement *statement,
				    uint32_t *evict);
/* ParseComplete; or an error that says that it is not there, or outdated. */
void pg_prepared_is(struct pg_session *session, uint32_t number, bool parsed);
/* Take out one of which it is not known whether the server has it: its number; 0 = there is
 * none. */
uint32_t pg_prepared_unsure(struct pg_session *session);
/* The server has none of them any more. */
void pg_prepared_forget(struct pg_session *session);

#endif
