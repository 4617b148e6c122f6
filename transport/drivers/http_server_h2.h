/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_server_h2.h - the server's side of HTTP/2 (RFC 9113), over nghttp2.
 *
 *   http_server_h2.c          the connection: fed, its output, its limits, its end
 *   http_server_h2_stream.c   a stream: a request comes, handlers run
 *   http_server_h2_answer.c   its answer
 *
 * A stream is an exchange whose h2 is set. nghttp2's callbacks call handlers while bytes are fed or
 * taken; there a callee may answer, pause and cancel: what would feed or take bytes is put on
 * `changed` and done when nghttp2 has returned.
 */
#ifndef KOLK_DRIVERS_HTTP_SERVER_H2_H
#define KOLK_DRIVERS_HTTP_SERVER_H2_H

#include "transport/drivers/h2_budget.h"
#include "transport/drivers/http_server.h"

struct hs_h2 {
	struct hs_conn *conn;
	nghttp2_session *ng;
	struct hs_link streams;  /* exchanges: their in_conn */
	struct hs_link changed;  /* exchanges: their changed */
	struct hs_buffer out, sending;
	struct kolk_io io;
	struct h2_frames frames;
	struct h2_bucket resets, empty_frames;
	uint32_t continuations;  /* of the head that is being received */
	int32_t last_stream;     /* the last one that the client began */
	bool head_open;          /* a head has begun and not ended */
	uint64_t check_due_ns;   /* streams are looked at then: is their client late? */
	bool in_flight;
	bool flooded;            /* the client sent more frames of a kind than it may */
	bool goaway;             /* one was queued: no new streams */
	bool noticed;            /* one was queued that only asks for no new streams */
};

/* What an exchange has while it is a stream, and keeps for its next one. */
struct hs_h2_stream {
	struct hs_link in_conn, changed;
	struct kolk_http_server_exchange *exchange;
	struct h2_fields fields, trailers;
	uint32_t refuse_status;  /* its head is too large */
	int32_t id;
	uint64_t moved_ns;       /* its client last sent or took something, or began to have to */
	bool request_ended;      /* the client's END_STREAM came */
	bool end_sent;           /* ours went out */
	bool deferred;           /* nghttp2 asks for no more until it is told */
};

static inline struct kolk_http_server_exchange *hs_exchange_of_stream(struct hs_link *link)
{
	struct hs_h2_stream *stream = (struct hs_h2_stream *)(void *)((char *)link -
		offsetof(struct hs_h2_stream, in_conn));

	return stream->exchange;
}

static inline struct kolk_http_server_exchange *hs_exchange_of_changed(struct hs_link *link)
{
	struct hs_h2_stream *stream = (struct hs_h2_stream *)(void *)((char *)link -
		offsetof(struct hs_h2_stream, changed));

	return stream->exchange;
}

/* --- http_server_h2.c --- */

/* The connection speaks HTTP/2 from here on: its first bytes are the preface. */
enum kolk_err hs_h2_open(struct hs_conn *conn);
/* Whether what was refused as a request is the beginning of HTTP/2 on a plain connection. */
bool hs_h2_is_preface(const struct kolk_http_server_exchange *exchange);
/* Go on in HTTP/2 with what is left of the exchange's input. */
void hs_h2_begin(struct hs_conn *conn);
void hs_h2_free(struct hs_conn *conn);
void hs_h2_data(struct hs_conn *conn, const uint8_t *data, size_t size);
/* Streams that have changed, then what is to be sent. */
void hs_h2_turn(struct hs_conn *conn);
/* No new streams; close when the last one has ended. */
void hs_h2_drain(struct hs_conn *conn);
/* Ask the client to open no more streams here; those that it opens all the same are served. */
void hs_h2_part(struct hs_conn *conn);
/* The client will send no more. */
void hs_h2_peer_end(struct hs_conn *conn);
/* Every stream ends with err. */
void hs_h2_end_streams(struct hs_conn *conn, enum kolk_err err);
void hs_h2_expire(struct hs_conn *conn, enum hs_wait wait);
void hs_h2_changed(struct kolk_http_server_exchange *exchange);
bool hs_h2_is_written(const struct hs_h2 *h2);
enum hs_wait hs_h2_wait(const struct hs_conn *conn);
/* A frame of ours went out: what the client may send for it. */
void hs_h2_earn(struct hs_h2 *h2, const nghttp2_frame_hd *hd);
/* RST_STREAM of ours went out. exchange NULL = of a stream that is none. */
void hs_h2_reset_sent(struct hs_h2 *h2, const struct kolk_http_server_exchange *exchange,
		      uint32_t code);

/* --- http_server_h2_stream.c --- */

void hs_h2_callbacks_fill(nghttp2_session_callbacks *callbacks);
/* What a callee asked for since: a body goes on, or the stream is cancelled. */
void hs_h2_stream_update(struct kolk_http_server_exchange *exchange);
/* Reset it, and end it with err: the first one stays. */
void hs_h2_fail(struct kolk_http_server_exchange *exchange, enum kolk_err err, uint32_t code);
/* The client has to send more of its body. */
bool hs_h2_wants_body(const struct kolk_http_server_exchange *exchange);
void hs_h2_stream_end(struct kolk_http_server_exchange *exchange, enum kolk_err err);
/* The client broke a rule, or is late, with its body: the library answers with status, or resets
 * it. An answer that is complete is still sent. */
void hs_h2_break_off(struct kolk_http_server_exchange *exchange, uint32_t status,
		     enum kolk_err err);
/* Send 100 (Continue). False = no memory. */
bool hs_h2_continue(struct kolk_http_server_exchange *exchange);
void hs_h2_reset(struct kolk_http_server_exchange *exchange, uint32_t code);
/* An exchange is kept for the next request; is freed. */
void hs_h2_stream_shrink(struct hs_h2_stream *stream);
void hs_h2_stream_free(struct hs_h2_stream *stream);

/* --- http_server_h2_answer.c --- */

enum kolk_err hs_h2_submit(struct kolk_http_server_exchange *exchange,
			   const struct h1_answer_head *head);
enum kolk_err hs_h2_submit_informational(struct kolk_http_server_exchange *exchange,
					 const struct kolk_http_answer *answer);
void hs_h2_resume_data(struct kolk_http_server_exchange *exchange);

#endif
