/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2.h - many exchanges on one leased HTTP/2 connection, on a loop.
 *
 *   h2_conn      h2.c: a lease and its session: received, sent, watched, given back
 *   h2_request   h2_request.c: an exchange on it: what is sent, what comes, what waits
 *
 * nghttp2's callbacks show answers to callers while bytes are fed. There a caller may start and
 * cancel anything: what would end a request is put on the connection's list and done when nghttp2
 * has returned (settle).
 */
#ifndef KOLK_DRIVERS_H2_H
#define KOLK_DRIVERS_H2_H

#include "transport/drivers/h2_session.h"
#include "transport/drivers/http.h"

enum { H2_BUFFER = 64 * 1024 };

struct h2_request;

struct h2_conn {
	struct http_conn http;         /* first: what the client knows */
	struct h2_session *session;
	struct kolk_http_driver_options options;
	struct h2_request *requests;   /* on it */
	struct h2_request *todo;       /* of these: something is to be told */
	uint32_t holding;              /* requests that wait for 100 (Continue) */
	struct kolk_io recv, send;
	struct kolk_call call;         /* the next turn, see conn_soon */
	struct kolk_timer timer;
	uint64_t empty_ns;             /* since when nothing is on it; 0 = something is */
	enum kolk_err err;             /* the connection is of no use any more */
	bool receiving, sending, soon; /* callbacks that will run */
	bool cut;                      /* a send was reset: only the receive goes on */
	bool settling;                 /* settle runs, or will before the loop goes on */
	bool withdrawn;                /* the receive was: it ends with E_CANCELLED */
	bool parting;                  /* it is to be given back */
	bool parted;                   /* its lease has ended; it is in no site's list any more */
	bool tls;
	bool learned;                  /* what its GOAWAY teaches */
	bool quits;                    /* the client is being closed */
	bool outdated;                 /* see h2_conn_is_outdated */
	bool goodbye;                  /* the send is the last: a GOAWAY for what the peer did */
	bool silent;                   /* a PING was not answered in time */
	uint8_t in[H2_BUFFER], out[H2_BUFFER];
};

/* A head or trailers as they come, one block of text. */
struct h2_fields {
	char *text;
	struct kolk_http_field *at;    /* offsets in text until h2_fields_finish */
	uint32_t size, capacity, count, room;
};

struct h2_request {
	struct h2_request *next, **prev;
	struct h2_request *todo_next;  /* in conn->todo, while listed */
	struct h2_conn *conn;
	struct kolk_http_exchange *exchange;
	struct h2_stream *stream;      /* NULL = it has ended, or was left */
	struct h2_fields fields;
	uint64_t announced;            /* Content-Length of the answer */
	uint64_t pulled;               /* bytes of the body that were sent */
	uint64_t hold_ns;              /* the body goes out then, whatever comes; 0 = now */
	uint8_t *kept;                 /* what came while the caller paused */
	size_t kept_size, kept_capacity;
	bool answered;                 /* the final head was shown */
	bool listed;
	bool cancelled;                /* nothing but end is shown */
	bool over;                     /* only end is left to be told: */
	struct h2_end end;
};

/* h2.c: have settle run in the next turn, unless one is under way. */
void h2_conn_soon(struct h2_conn *conn);
/* h2.c: tell the client how much room there is: before a caller hears of an end and starts anew,
 * or a connection too many is dialled for him. */
void h2_conn_measure(struct h2_conn *conn);
/* h2.c: whether no stream may begin on it any more, because credentials were rotated, the pool
 * drains, or it is too old: what an acquire would have looked at. */
bool h2_conn_is_outdated(struct h2_conn *conn);

/* h2_request.c: what was left to do after a feed; requests that wait for 100 too long go on,
 * returns when to come again, 0 = not. */
void h2_requests_settle(struct h2_conn *conn);
uint64_t h2_requests_release(struct h2_conn *conn, uint64_t now_ns);

#endif
