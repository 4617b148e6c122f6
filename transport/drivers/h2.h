/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2.h - many exchanges on one leased HTTP/2 connection, on a loop.
 *
 *   h2_conn      h2.c: a lease and its session: received, sent, watched, returned
 *   h2_request   h2_request.c: an exchange on it: what is sent, received, buffered
 *
 * nghttp2's callbacks deliver answers to callers while bytes are fed. There a caller may start and
 * cancel anything: what would end a request is put on the connection's pending list and done when
 * nghttp2 has returned (update).
 */
#ifndef KOLK_DRIVERS_H2_H
#define KOLK_DRIVERS_H2_H

#include "transport/drivers/h2_session.h"
#include "transport/drivers/http.h"

enum { H2_BUFFER = 64 * 1024 };

struct h2_request;

struct h2_conn {
	struct http_conn http;                  /* first: what the client knows */
	struct h2_session *session;
	struct kolk_http_driver_options options;
	struct h2_request *requests;            /* on it */
	struct h2_request *pending;             /* of these: a callback is due */
	uint32_t awaiting_continue;             /* requests that wait for 100 (Continue) */
	struct kolk_io recv, send;
	struct kolk_call call;                  /* see h2_conn_post_update */
	struct kolk_timer timer;
	uint64_t idle_since_ns;                 /* since when nothing is on it; 0 = something is */
	enum kolk_err err;                      /* why the connection cannot be used any more */
	bool receiving, sending, update_posted; /* callbacks that will run */
	bool write_closed;                      /* a send was reset: only the receive goes on */
	bool updating;                          /* update runs, or will before the loop continues */
	bool recv_cancelled;                    /* the receive ends with E_CANCELLED */
	bool returning;                         /* it is to be returned to the pool */
	bool returned;                          /* its lease has ended; in no dispatcher's list */
	bool tls;
	bool limit_learned;                     /* the limit was taken from its GOAWAY */
	bool client_closing;                    /* the client is being closed */
	bool stale;                             /* see h2_conn_is_stale */
	bool goaway_sending;                    /* the send is the last: a GOAWAY for the peer's
	                                         * error */
	bool ping_timed_out;                    /* a PING was not answered in time */
	bool answered;                          /* a request, so its dial was good */
	uint8_t in[H2_BUFFER], out[H2_BUFFER];
};

/* A head or trailers as they come, one block of text. */
struct h2_fields {
	char *text;
	struct kolk_http_field *at;    /* offsets in text until h2_fields_finish */
	uint32_t size, capacity, count, at_capacity;
};

/* Bounded by head_bytes_max and fields_max, which the session counts. */
enum kolk_err h2_fields_add(struct h2_fields *fields, const nghttp2_vec *name,
			    const nghttp2_vec *value);
/* Before h2_fields_finish: one Cookie, as HTTP/1.1 wants it (RFC 9113, section 8.2.3). */
enum kolk_err h2_fields_join_cookies(struct h2_fields *fields);
void h2_fields_finish(struct h2_fields *fields);
void h2_fields_clear(struct h2_fields *fields);
void h2_fields_free(struct h2_fields *fields);

struct h2_request {
	struct h2_request *next, **prev;
	struct h2_request *pending_next; /* in conn->pending, while is_pending */
	struct h2_conn *conn;
	struct kolk_http_exchange *exchange;
	struct h2_stream *stream;        /* NULL = it has ended, or was abandoned */
	struct h2_fields fields;
	uint64_t content_length;         /* Content-Length of the answer */
	uint64_t body_sent;              /* bytes of the body that were sent */
	uint64_t continue_deadline_ns;   /* the body goes out then at the latest; 0 = now */
	uint8_t *buffered;               /* received while the caller paused */
	size_t buffered_size, buffered_capacity;
	bool answered;                   /* the final head was shown */
	bool is_pending;
	bool cancelled;                  /* no callback but end runs */
	bool ended;                      /* only the end callback is left: */
	struct h2_end end;
};

/* h2.c: have update run in the next step, unless it runs already. */
void h2_conn_post_update(struct h2_conn *conn);
/* h2.c: a request was answered: the lease is kept for others, and the pool is to know now. */
void h2_conn_answered(struct h2_conn *conn);
/* h2.c: recount the free streams: before a caller gets an end and starts anew, or a needless
 * connection is dialled for it. */
void h2_conn_update_capacity(struct h2_conn *conn);
/* h2.c: whether no stream may begin on it any more, because credentials were rotated, the pool
 * drains, or it is too old: what an acquire would have checked. */
bool h2_conn_is_stale(struct h2_conn *conn);

/* h2_request.c: run what is pending after a feed. h2_requests_continue sends the body of requests
 * that waited too long for 100 (Continue), and returns when to call again, 0 = not. */
void h2_requests_update(struct h2_conn *conn);
uint64_t h2_requests_continue(struct h2_conn *conn, uint64_t now_ns);

#endif
