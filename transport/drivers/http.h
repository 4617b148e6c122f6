/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h - what the files of the HTTP driver share.
 *
 *   http_options.c  the driver's options
 *   http_driver.c   the driver's callbacks: a connection's protocol, h1 or h2 (http_driver.h)
 *   http_client.c   a loop's client: exchanges start, end, are retried
 *   http_dispatcher.c  which exchange of a key gets which connection
 *   http_dispatchers.c  the table of them, by key (table.h)
 *   http_recent.c   the dispatchers of the keys that were used last, by identity
 *   http_request.c  a request is checked and copied
 *   http_call.c     the blocking form
 *   http_status.c   errors as statuses, for proxies
 *   h1.c            one exchange on one lease, over pump.h; h1_memory.c, h1_parse.c, h1_write.c,
 *                   h1_driver.c
 *   h2.c, h2_*.c    many exchanges on one lease, over kolk/io.h and nghttp2
 *
 * An exchange belongs to the client while it waits, to h1 or h2 from h1_start or h2_submit until
 * that calls http_attempt_ended, once. Everything here runs on the client's loop; http_driver.h has
 * the driver's half, which does not.
 */
#ifndef KOLK_DRIVERS_HTTP_H
#define KOLK_DRIVERS_HTTP_H

#include "transport/drivers/http_driver.h"

/* --- the exchange --- */

enum http_state {
	HTTP_QUEUED,    /* in its dispatcher's queue: no acquire of its own */
	HTTP_ACQUIRING, /* its acquire is pending */
	HTTP_ON_H1,
	HTTP_ON_H2,
	HTTP_ENDING     /* in the client's list of exchanges whose end is about to run */
};

struct h1_blocks;

/* Where a client's exchanges are, and what they ask. */
struct http_blocks;

struct http_link {
	struct http_link *next, *prev;
};

/* What an exchange needs until it is sent for good: what it asks, how it gets its connection; and
 * its time-outs, if it has any. A stream of events lasts for hours after that. */
struct http_asked {
	struct kolk_http_request request; /* a copy: scheme, target, method are set; authority,
	                                   * when it is on a connection */
	struct kolk_acquire acquire;
	/* Deadline and idle time-out: the client's, for h1 and h2 too. It stays armed when its
	 * exchange ends and its block is kept: to arm it for each exchange costs more than to find
	 * out, when it fires, that there is time left. */
	struct kolk_timer timer;
	uint64_t timer_ns;      /* when it fires; KOLK_FOREVER = it is not armed */
	struct kolk_http_exchange *exchange; /* whose it is; NULL = it fires for none */
	uint8_t block;          /* which of the client's blocks; HTTP_BLOCK_SIZES = none */
	bool has_credentials;   /* among its fields: copies of them are wiped */
	struct kolk_http_field fields[]; /* and their texts */
};

struct kolk_http_exchange {
	struct http_link link; /* in dispatcher->queue, dispatcher->acquiring or http->ending */
	struct http_link all;  /* in http->all */
	struct kolk_http *http;
	struct http_dispatcher *dispatcher;
	struct kolk_http_handler handler;
	void *user;
	struct http_asked *asked; /* NULL = http_asked_free was called */
	enum http_state state;
	enum kolk_err err;      /* ENDING: the error for end; set early by a cancel */
	uint64_t deadline_ns;   /* absolute */
	uint64_t idle_ns;
	uint64_t active_ns;     /* when the last byte moved; see http_record_activity */
	uint64_t carried_ns;    /* when the connection got it; `carried` */
	bool default_authority; /* its authority is the connection's */
	bool paused;            /* the caller wants no body for the moment */
	bool pulled;            /* pull returned bytes: it cannot be sent again */
	bool carried;           /* a connection has it, or had it until its end */
	bool answered;          /* a byte of its answer was received */
	bool reused;            /* the connection had been used before */
	bool may_be_stale;      /* or lay idle: its peer may have ended it without regard to this */
	bool retried;
	bool resent;            /* after a GOAWAY that excluded it */
	uint8_t unsent;         /* how often an attempt was none */
	bool head_shown;        /* the handler has seen the final head */
	bool muted;             /* no handler but end runs: cancelled, timed out */
	bool cancel_closes;     /* as it was asked */
	struct h1_exchange *h1; /* ON_H1: h1.c's */
	struct h2_request *h2;  /* ON_H2: h2.c's */
};

/* --- what h1 and h2 call --- */

/* Run the caller's handler. Not after http_attempt_ended; harmless on a muted exchange. */
void http_informational(struct kolk_http_exchange *exchange, const struct kolk_http_head *head);
void http_head(struct kolk_http_exchange *exchange, struct kolk_http_head *head);
void http_body(struct kolk_http_exchange *exchange, const void *data, size_t size);
/* The connection speaks another protocol from here: the lease is the caller's now.
 * http_attempt_ended follows. */
void http_switched(struct kolk_http_exchange *exchange, const struct kolk_lease *lease,
		   const void *data, size_t size);
/* A byte moved, in either direction: the idle time-out starts anew. */
void http_record_activity(struct kolk_http_exchange *exchange);

/* Whether the peer can have processed a request that failed. */
enum http_processed {
	HTTP_MAYBE_PROCESSED,
	HTTP_REFUSED,     /* REFUSED_STREAM: not processed (RFC 9113, section 8.7) */
	HTTP_UNPROCESSED, /* GOAWAY below it: not processed, and this was no attempt */
	HTTP_UNSENT       /* no byte was given to the kernel: no attempt either */
};
/* How an attempt ended. */
struct http_outcome {
	enum kolk_err err;
	enum http_processed processed;          /* after an error */
	const struct kolk_http_field *trailers; /* as for `end` */
	size_t trailer_count;
};
/* It is no longer on a connection. Sends it again if that is safe, otherwise end runs (at once:
 * call it from step, last). */
void http_attempt_ended(struct kolk_http_exchange *exchange, const struct http_outcome *outcome);

/* --- connections that carry many exchanges --- */

/* A leased HTTP/2 connection, in its dispatcher's list from h2_adopt until http_conn_remove. h2.c
 * embeds it as its first member, and frees it. */
struct http_conn {
	struct http_link link;
	struct http_dispatcher *dispatcher;
	struct kolk_lease lease;
	const char *authority; /* the session's */
	uint32_t streams_free; /* exchanges that it accepts now; 0 = it drains. Set by h2.c */
	uint32_t streams;      /* how many it accepts at once, as far as is known; set by h2.c */
	bool zero_limit;       /* its peer allows none for the moment; set by h2.c */
	bool full;             /* it was found without streams; the dispatcher's */
};

/* It has free streams: it will be found. */
void http_conn_has_streams(struct http_conn *conn);
/* It has more of them: submits waiting exchanges. */
void http_conn_on_capacity(struct http_conn *conn);
/* Whether exchanges wait in its dispatcher: an idle connection is not returned then. */
bool http_conn_has_waiters(const struct http_conn *conn);
/* It has ended: its lease is released, no exchange is on it. */
void http_conn_remove(struct http_conn *conn);

/* Its loop, for kolk_send_async and timers. */
struct kolk_loop *http_loop(const struct kolk_http *http);
/* Blocks for exchanges; and for those of h1.c. */
struct http_blocks *http_blocks(struct kolk_http *http);
struct h1_blocks *http_h1_blocks(struct kolk_http *http);
struct kolk_http *http_dispatcher_client(const struct http_dispatcher *dispatcher);

/* --- h1.c, for the client --- */

/* Take the lease and run the exchange on it. KOLK_PENDING: http_attempt_ended will run, after the
 * lease was released; anything else: refused, lease and exchange are still the caller's. */
enum kolk_err h1_start(struct kolk_http_exchange *exchange, const struct kolk_lease *lease);
void h1_cancel(struct kolk_http_exchange *exchange, enum kolk_err err);
void h1_pause(struct kolk_http_exchange *exchange);
void h1_resume(struct kolk_http_exchange *exchange);
void h1_more(struct kolk_http_exchange *exchange);

/* --- h2.c, for the client --- */

/* Take a lease whose session speaks HTTP/2. NULL = no memory; the lease is the caller's then. */
struct http_conn *h2_adopt(struct http_dispatcher *dispatcher, const struct kolk_lease *lease);
/* Put an exchange on it; conn->streams_free is not 0. KOLK_PENDING: http_attempt_ended will run;
 * anything else: refused, the exchange is still the caller's (E_UNSUPPORTED: upgrade, CONNECT;
 * E_LIMIT: the connection accepts no more, streams_free is 0 now). */
enum kolk_err h2_submit(struct http_conn *conn, struct kolk_http_exchange *exchange);
/* http_attempt_ended runs from step, with err; the stream is reset. */
void h2_cancel(struct kolk_http_exchange *exchange, enum kolk_err err);
/* exchange->paused was cleared (windows are returned as the caller consumes the body); or set. */
void h2_resume(struct kolk_http_exchange *exchange);
/* pull has bytes now. */
void h2_more(struct kolk_http_exchange *exchange);
/* The client is being closed: return the connection as soon as it is idle. */
void h2_drain(struct http_conn *conn);

/* --- http_request.c --- */

/* Check a request and make an exchange with a copy of it, in the smallest of these blocks that
 * fits. Errors: E_OPTIONS, E_MEMORY. */
enum kolk_err http_exchange_make(struct http_blocks *blocks,
				 const struct kolk_http_request *request,
				 const struct kolk_http_handler *handler,
				 struct kolk_http_exchange **exchange);
void http_exchange_free(struct http_blocks *blocks, struct kolk_http_exchange *exchange);
/* Free what is kept. */
void http_blocks_free(struct http_blocks *blocks);
/* It is sent for good, and answered: what it asked is not needed any more, unless it has a deadline
 * or an idle time-out. */
void http_asked_free(struct kolk_http_exchange *exchange);
/* Whether these fields may be sent: tokens, no CR, LF or NUL, none that the library writes
 * itself. */
bool http_fields_valid(const struct kolk_http_field *fields, size_t count);
/* The same of those behind the first `checked`. */
bool http_fields_valid_behind(const struct kolk_http_field *fields, size_t count, size_t checked);
/* What a field of this name is to a proxy: one of KOLK_HTTP_MARK_*, or 0. */
uint8_t http_field_mark(const char *name, size_t size);
/* How many trailers there are: a name that is NULL ends them early. */
size_t http_trailer_count(const struct kolk_http_field *trailers, size_t count);
/* Whether it is a protocol's name, perhaps with a version behind a slash. */
bool http_upgrade_valid(const char *upgrade);

#endif
