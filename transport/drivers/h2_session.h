/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_session.h - one HTTP/2 connection as a client sees it (RFC 9113), without I/O: bytes of the
 * peer are fed, bytes for the peer are taken, so any byte stream will do.
 *
 *   session   the connection: nghttp2's state, the limits of both sides (h2_budget.h)
 *   stream    one request and its answer (h2_stream.h); its memory is the session's, its owner
 *             the request's
 *   zombie    a stream whose owner abandoned it: it counts until it ends, nothing is delivered
 *
 * One thread at a time. Calls of a stream run inside h2_session_feed, h2_session_output and
 * h2_session_end; there an owner may submit and abandon streams, but not feed or take output.
 */
#ifndef KOLK_H2_SESSION_H
#define KOLK_H2_SESSION_H

#include "core/base/atomic.h"
#include "transport/drivers/h2_budget.h"
#include "transport/drivers/h2_stream.h"

struct h2_session {
	nghttp2_session *ng;
	struct h2_limits limits;
	struct h2_stream *streams;
	uint32_t open, total;       /* streams: now (with zombies), ever */
	uint32_t zombies;
	kolk__atomic_u32 references;
	/* A client owns it: the driver sends nothing. W: client. R: driver (acquire). */
	kolk__atomic_bool client_owned;
	const uint8_t *rest;        /* nghttp2's, that did not fit into the last output */
	size_t rest_size;
	uint64_t now_ns;            /* set by the last call */
	uint64_t received_ns;       /* when the last bytes were received */
	uint64_t busy_ns;           /* since when there are streams */
	uint64_t pinged_ns;         /* 0 = no PING is unanswered */
	uint32_t silent_pings;      /* h2.c's; PINGs since the last HEADERS or DATA */
	struct h2_bucket resets, empty_frames;
	uint64_t window_used_streams, window_used_connection; /* bytes sent and not returned by
	                                                       * WINDOW_UPDATE */
	uint64_t late_bytes, late_frames; /* what the peer may still send on streams that we
	                                   * reset */
	struct h2_frames frames;
	uint32_t continuations;     /* of the header block that is being received */
	bool goaway_pending;        /* it failed, and a GOAWAY that says why may still go out */
	uint32_t goaway_code;
	int32_t goaway_last;        /* the last of ours that it will process */
	enum kolk_err err;          /* why it failed */
	bool ready;                 /* the peer's SETTINGS were received */
	bool goaway_received;
	bool draining;              /* GOAWAY was received, or we drain it: no new streams */
	bool calm_asked;            /* the peer sent ENHANCE_YOUR_CALM */
};

/* The preface is queued. One reference. NULL = no memory. */
struct h2_session *h2_session_open(const struct h2_limits *limits, uint64_t now_ns);
void h2_session_ref(struct h2_session *session);
void h2_session_unref(struct h2_session *session);

/* Feed received bytes. An error is final: h2_session_end, then close. */
enum kolk_err h2_session_feed(struct h2_session *session, const void *data, size_t size,
		      uint64_t now_ns);
/* Move what is to be sent into buffer; the size. */
size_t h2_session_output(struct h2_session *session, uint8_t *buffer, size_t capacity,
			 uint64_t now_ns);
/* Whether h2_session_output would return bytes. */
bool h2_session_has_output(const struct h2_session *session);
/* The connection has ended: every stream ends, with err or as unprocessed. nothing_sent: not a byte
 * of theirs reached the kernel. */
void h2_session_end(struct h2_session *session, enum kolk_err err, bool nothing_sent);

/* How many streams the peer and we allow at once; and whether one more may be submitted now. */
uint32_t h2_session_limit(const struct h2_session *session);
bool h2_session_can_submit(const struct h2_session *session);
/* No stream is open, no output queued, and it is not draining: another lease may use it. */
bool h2_session_is_clean(const struct h2_session *session);

/* Send a PING: session->pinged_ns until it is answered. */
enum kolk_err h2_session_ping(struct h2_session *session, uint64_t now_ns);
/* No new streams from now on. */
void h2_session_start_drain(struct h2_session *session);
/* Queue GOAWAY. */
void h2_session_queue_goaway(struct h2_session *session);
/* Reset zombies that do not end by themselves. Returns when to call again, 0 = there are none. */
uint64_t h2_session_sweep_zombies(struct h2_session *session, uint64_t now_ns);

#endif
