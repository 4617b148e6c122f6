/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h - what the rooms of the HTTP driver share.
 *
 *   http_options.c  the driver's options
 *   http_driver.c   the pool's side: a connection's protocol, h1 or h2, and its account
 *   http_client.c   a loop's client: sites (one per key), who waits, who is served by what
 *   http_request.c  a request is checked and copied
 *   http_call.c     the blocking form
 *   h1.c            one exchange on one lease, over talk.h; h1_parse.c, h1_write.c, h1_account.c
 *   h2.c, h2_*.c    many exchanges on one lease, over kolk/io.h and nghttp2
 *
 * An exchange belongs to the client while it waits, to h1 or h2 from h1_start or h2_submit until
 * that calls http_over, once. Everything here runs on the client's loop, except the
 * functions of the driver.
 */
#ifndef KOLK_DRIVERS_HTTP_H
#define KOLK_DRIVERS_HTTP_H

#include <kolk/http.h>
#include <kolk/kolk.h>

#include "core/base/sized.h"
#include "transport/drivers/h1.h"

enum http_protocol { HTTP_UNKNOWN, HTTP_1, HTTP_2 };

struct h2_session;

/* The driver's memory per connection. */
struct http_session {
	enum http_protocol protocol;
	bool tls;
	bool used; /* leased before, to a client */
	char authority[288]; /* what a request says that names none */
	const struct kolk_http_driver_options *options; /* the pool's copy, complete */
	struct h1_session h1;
	struct h2_session *h2; /* made by h2_open, freed by h2_close */
};

/* --- the exchange --- */

enum http_state {
	HTTP_QUEUED,    /* in its site's queue: no acquire of its own */
	HTTP_ACQUIRING, /* its acquire is pending */
	HTTP_ON_H1,
	HTTP_ON_H2,
	HTTP_ENDING     /* in the client's list of those whose end is about to run */
};

struct http_link {
	struct http_link *next, *prev;
};

struct kolk_http_exchange {
	struct http_link link; /* in site->queue, site->acquiring or http->ending */
	struct http_link all;  /* in http->all */
	struct kolk_http *http;
	struct http_site *site;
	struct kolk_http_handler handler;
	void *user;
	struct kolk_http_request request; /* a copy: scheme, target, method are set; authority,
	                                   * when it is on a connection */
	enum http_state state;
	enum kolk_err err;      /* ENDING: what end will be told; set early by a cancel */
	uint64_t deadline_ns;   /* absolute */
	uint64_t idle_ns;
	uint64_t alive_ns;      /* when the last byte moved; see http_alive */
	struct kolk_timer timer; /* deadline and idle time-out: the client's, for h1 and h2 too */
	struct kolk_acquire acquire;
	bool unnamed;           /* its authority is the connection's */
	bool paused;            /* the caller wants no body for the moment */
	bool pulled;            /* something was taken from pull: it cannot be sent again */
	bool answered;          /* a byte of an answer to it came */
	bool reused;            /* the connection had been used before */
	bool retried;
	bool resent;            /* after a GOAWAY that excluded it */
	uint8_t unsent;         /* how often an attempt was none */
	bool head_shown;        /* the handler has seen the final head */
	bool muted;             /* no handler but end: cancelled, too late */
	struct h1_exchange *h1; /* ON_H1: h1.c's */
	struct h2_request *h2;  /* ON_H2: h2.c's */
};

/* --- what h1 and h2 call --- */

/* Show it to the caller. Not after http_over; harmless on a muted exchange. */
void http_informational(struct kolk_http_exchange *exchange, const struct kolk_http_head *head);
void http_head(struct kolk_http_exchange *exchange, struct kolk_http_head *head);
void http_body(struct kolk_http_exchange *exchange, const void *data, size_t size);
/* The connection speaks another protocol from here: the lease is the caller's now. http_over
 * follows. */
void http_switched(struct kolk_http_exchange *exchange, const struct kolk_lease *lease,
		   const void *data, size_t size);
/* A byte moved for it, in either direction: the idle time-out starts anew. */
void http_alive(struct kolk_http_exchange *exchange);

/* Whether the peer can have acted on a request that failed. */
enum http_proof {
	HTTP_NO_PROOF,
	HTTP_REFUSED, /* REFUSED_STREAM: nothing was done for it (RFC 9113, section 8.7) */
	HTTP_UNSEEN,  /* GOAWAY below it: it was not looked at, and this was no attempt */
	HTTP_UNSENT   /* nothing was handed to the kernel: no attempt either */
};
/* It is no longer on a connection. Sends it again if that is safe, otherwise end runs (at once:
 * call it from step, last). trailers as for `end`. */
void http_over(struct kolk_http_exchange *exchange, enum kolk_err err, enum http_proof proof,
	       const struct kolk_http_field *trailers, size_t trailer_count);

/* --- connections that carry many exchanges --- */

/* A leased HTTP/2 connection, in its site's list from h2_adopt until http_conn_gone. h2.c embeds it
 * as its first member, and frees it. */
struct http_conn {
	struct http_link link;
	struct http_site *site;
	struct kolk_lease lease;
	const char *authority; /* the session's */
	uint32_t room;    /* how many more exchanges it takes now; 0 = it drains. h2.c's to set */
	uint32_t streams; /* how many it takes at once, as far as is known; h2.c's to set */
	bool stopped;     /* its peer allows none for the moment; h2.c's to set */
};

/* Its room has grown: submits those who wait. */
void http_conn_room(struct http_conn *conn);
/* Whether somebody waits in its site: an idle connection is not given back then. */
bool http_conn_wanted(const struct http_conn *conn);
/* It has ended, or was given back: its lease is released, no exchange is on it. */
void http_conn_gone(struct http_conn *conn);

/* Its loop, for kolk_send_async and timers. */
struct kolk_loop *http_loop(const struct kolk_http *http);
struct kolk_http *http_site_client(const struct http_site *site);

/* --- h1.c, for the client --- */

/* Take the lease and run the exchange on it. KOLK_PENDING: http_over will run, and has released the
 * lease before; anything else: refused, lease and exchange are still the caller's. */
enum kolk_err h1_start(struct kolk_http_exchange *exchange, const struct kolk_lease *lease);
void h1_cancel(struct kolk_http_exchange *exchange, enum kolk_err err);
void h1_pause(struct kolk_http_exchange *exchange);
void h1_resume(struct kolk_http_exchange *exchange);
void h1_more(struct kolk_http_exchange *exchange);

/* --- h2.c, for the client --- */

/* Take a lease whose session speaks HTTP/2. NULL = no memory; the lease is the caller's then. */
struct http_conn *h2_adopt(struct http_site *site, const struct kolk_lease *lease);
/* Put an exchange on it; conn->room is not 0. KOLK_PENDING: http_over will run; anything else:
 * refused, the exchange is still the caller's (E_UNSUPPORTED: upgrade, CONNECT; E_LIMIT: the
 * connection takes no more, its room is 0 now). */
enum kolk_err h2_submit(struct http_conn *conn, struct kolk_http_exchange *exchange);
/* http_over runs from step, with err; the stream is reset. */
void h2_cancel(struct kolk_http_exchange *exchange, enum kolk_err err);
/* exchange->paused was cleared (windows are given back as the caller takes the body); or set. */
void h2_resume(struct kolk_http_exchange *exchange);
/* pull has something now. */
void h2_more(struct kolk_http_exchange *exchange);
/* The client is being closed: give the connection back as soon as nothing is on it. */
void h2_quit(struct http_conn *conn);

/* --- h1.c and h2.c, for the driver: as the callbacks of the same name --- */

void h1_open(struct http_session *session);
enum kolk_err h1_ping(struct http_session *session, struct kolk_exchange *exchange);
enum kolk_err h1_mend(struct http_session *session, struct kolk_exchange *exchange);
enum kolk_err h1_feed(struct http_session *session, struct kolk_exchange *exchange,
		      const void *data, size_t size);
enum kolk_err h1_clean(struct http_session *session);
void h1_close(struct http_session *session);

enum kolk_err h2_open(struct http_session *session, struct kolk_exchange *exchange);
enum kolk_err h2_ping(struct http_session *session, struct kolk_exchange *exchange);
enum kolk_err h2_feed(struct http_session *session, struct kolk_exchange *exchange,
		      const void *data, size_t size);
enum kolk_err h2_heard(struct http_session *session, struct kolk_exchange *exchange,
		       const void *data, size_t size);
enum kolk_err h2_clean(struct http_session *session);
/* exchange NULL = no goodbye (GOAWAY) can be sent. */
void h2_close(struct http_session *session, struct kolk_exchange *exchange);

/* --- http_options.c, http_driver.c, http_request.c --- */

extern const struct kolk_driver http_driver;

extern const struct kolk_option_table http_option_table;
enum kolk_err http_options_check(const void *options, const struct kolk_pool_options *pool,
				 const char **field);
const char *http_ping_target(const struct kolk_http_driver_options *options);

/* What a connection that ended with this error is counted as. */
enum kolk_reason http_reason(enum kolk_err err);

/* Check a request and make an exchange with a copy of it. Freed with free. Errors: E_OPTIONS,
 * E_MEMORY. */
enum kolk_err http_exchange_make(const struct kolk_http_request *request,
				 const struct kolk_http_handler *handler,
				 struct kolk_http_exchange **exchange);
/* Whether these fields may be sent: tokens, no CR, LF or NUL, none that is the library's. */
bool http_fields_valid(const struct kolk_http_field *fields, size_t count);

#endif
