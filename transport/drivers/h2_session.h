/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_session.h - one HTTP/2 connection as a client sees it (RFC 9113), without I/O: bytes of the
 * peer are fed, bytes for the peer are taken, so any byte stream will do.
 *
 *   session   the connection: nghttp2's state, the limits of both sides
 *   stream    one request and its answer; its memory is the session's, its owner the request's
 *   zombie    a stream whose owner abandoned it: it counts until it ends, nothing is delivered
 *
 * One thread at a time. Calls of a stream run inside h2_session_feed, h2_session_output and
 * h2_session_end; there an owner may submit and abandon streams, but not feed or take output.
 */
#ifndef KOLK_H2_SESSION_H
#define KOLK_H2_SESSION_H

#include <kolk/kolk.h>
#include <nghttp2/nghttp2.h>

#include "core/base/atomic.h"

struct h2_limits {
	uint32_t streams_max;       /* of ours, at once */
	uint32_t streams_total_max; /* in the connection's life */
	uint32_t head_bytes_max;    /* of one head, decoded: names, values and 32 for each field */
	uint32_t fields_max;        /* of one head */
	uint32_t informational_max; /* 1xx heads before the answer */
	uint32_t window_bytes;      /* what a peer may send ahead of the consumer, a stream */
	uint32_t connection_window_bytes; /* all streams */
	uint32_t resets_burst, resets_per_s; /* of ours; beyond it zombies end by themselves */
	uint32_t empty_frames_burst, empty_frames_per_s; /* frames that carry nothing, beyond what
	                                                  * ours earn */
};

/* A token bucket. */
struct h2_bucket {
	uint64_t filled_ns;
	uint32_t left, burst, per_s;
};

/* Where frames begin in what comes. */
struct h2_frames {
	uint8_t head[9];
	uint32_t size; /* of the head, as far as it was received */
	size_t left;   /* of the payload */
};

struct h2_session;
struct h2_stream;

/* How a stream ended. */
struct h2_end {
	enum kolk_err err;
	bool unsent;      /* nothing of it was sent */
	bool unprocessed; /* nothing was sent, or the peer said so: any method may be sent again */
	bool reset;       /* by RST_STREAM of the peer */
	uint32_t code;    /* of that (RFC 9113, section 7) */
};

/* Where the next bytes of a request's body go. */
struct h2_body_part {
	uint8_t *buffer;
	size_t capacity;
	size_t size; /* set by pull: bytes that it wrote */
	bool last;   /* likewise: nothing follows them */
};

/* The owner's callbacks. */
struct h2_stream_callbacks {
	/* A field of a head or trailer. An error resets the stream with it. */
	enum kolk_err (*field)(void *owner, const nghttp2_vec *name, const nghttp2_vec *value);
	/* A head is complete: status 100 .. 599, or 0 for trailers. */
	enum kolk_err (*head)(void *owner, unsigned status);
	/* Bytes of the body: h2_stream_consume returns them to the flow-control window. */
	enum kolk_err (*data)(void *owner, const uint8_t *data, size_t size);
	/* The next bytes of the request's body: KOLK_OK with size > 0 or last, KOLK_PENDING =
	 * later (h2_stream_more), an error resets. NULL = no body. */
	enum kolk_err (*pull)(void *owner, struct h2_body_part *part);
	/* The last call, exactly once unless the owner abandoned the stream. */
	void (*end)(void *owner, const struct h2_end *end);
};

/* A request, by its owner. */
struct h2_submission {
	const struct h2_stream_callbacks *callbacks;
	void *owner;
	const nghttp2_nv *fields; /* of its head */
	size_t count;
};

struct h2_stream {
	struct h2_session *session;
	struct h2_stream *next, **prev;
	const struct h2_stream_callbacks *callbacks;
	void *owner;           /* NULL = a zombie */
	int32_t id;
	enum kolk_err err;     /* why we reset it */
	uint32_t unconsumed;   /* bytes delivered that were not consumed yet */
	uint32_t head_bytes, fields;
	uint32_t discarded;    /* bytes received as a zombie */
	uint64_t abandoned_ns; /* when it became a zombie */
	uint16_t status, informational;
	bool sent;             /* its head was output: the peer may have it */
	bool upload;           /* its body is not completely sent */
	bool deferred;         /* waits for h2_stream_more */
	bool any_head;         /* a head was received, of any status */
	bool complete;         /* the answer's end was received */
	bool answered;         /* its final head was received */
	bool trailers_queued;  /* our trailers are queued */
	bool reset;            /* RST_STREAM was queued or received */
	bool peer_reset;       /* it was received */
};

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

/* A request. Its fields are copied. Errors: E_MEMORY, E_LIMIT (no stream free), E_OPTIONS. */
enum kolk_err h2_stream_submit(struct h2_session *session, const struct h2_submission *request,
			       uint64_t now_ns, struct h2_stream **stream);
/* Trailers after the body; from within pull, together with *last. They are copied. */
enum kolk_err h2_stream_trailers(struct h2_stream *stream, const nghttp2_nv *fields, size_t count);
/* pull has bytes now. */
void h2_stream_more(struct h2_stream *stream);
void h2_stream_consume(struct h2_stream *stream, size_t size);
/* The owner abandons it: no callback runs any more. */
void h2_stream_abandon(struct h2_stream *stream, uint64_t now_ns);

/* --- among the three files --- */

/* h2_stream.c */
void h2_callbacks_fill(nghttp2_session_callbacks *callbacks);
void h2_stream_end(struct h2_stream *stream, const struct h2_end *end);
/* NULL = it is none of ours, or has ended. */
struct h2_stream *h2_stream_of(nghttp2_session *ng, int32_t id);
/* It failed on our side: it is reset, and the end callback runs when the reset is sent. */
void h2_stream_fail(struct h2_stream *stream, enum kolk_err err);

/* h2_budget.c */
/* Take count tokens; false = there are fewer. */
bool h2_bucket_take(struct h2_bucket *bucket, uint32_t count, uint64_t now_ns);
/* A frame that carried nothing; an error = too many, the session has failed. */
enum kolk_err h2_empty_frame(struct h2_session *session, size_t size);
/* Fail the session and tell the peer why. Returns its error. */
enum kolk_err h2_session_refuse(struct h2_session *session, enum kolk_err err, uint32_t code);
/* How much of data nghttp2 may be fed: a frame at most, when it was counted. */
size_t h2_frames_next(struct h2_session *session, const uint8_t *data, size_t size);
void h2_window_received(struct h2_session *session, const nghttp2_window_update *frame);
/* A stream is reset that the peer may be answering. */
void h2_late_frames_allow(struct h2_session *session);
void h2_frame_sent(struct h2_session *session, const nghttp2_frame_hd *hd);
uint32_t h2_continuations_max(const struct h2_session *session);

#endif
