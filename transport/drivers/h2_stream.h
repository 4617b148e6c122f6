/* SPDX-License-Identifier: Apache-2.0 */
/* h2_stream.h - a request on an HTTP/2 connection, and its answer; see h2_session.h. */
#ifndef KOLK_H2_STREAM_H
#define KOLK_H2_STREAM_H

#include <kolk/kolk.h>
#include <nghttp2/nghttp2.h>

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

/* A request: the fields of its head, and the owner, who gets its answer. */
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

/* A request. Its fields are copied. Errors: E_MEMORY, E_LIMIT (no stream free), E_OPTIONS. */
enum kolk_err h2_stream_submit(struct h2_session *session, const struct h2_submission *request,
			       uint64_t now_ns, struct h2_stream **stream);
/* Trailers after the body; from within pull, together with last. They are copied. */
enum kolk_err h2_stream_trailers(struct h2_stream *stream, const nghttp2_nv *fields, size_t count);
/* pull has bytes now. */
void h2_stream_more(struct h2_stream *stream);
void h2_stream_consume(struct h2_stream *stream, size_t size);
/* The owner abandons it: no callback runs any more. */
void h2_stream_abandon(struct h2_stream *stream, uint64_t now_ns);

/* --- for h2_session.c --- */

void h2_callbacks_fill(nghttp2_session_callbacks *callbacks);
void h2_stream_end(struct h2_stream *stream, const struct h2_end *end);
/* NULL = it is none of ours, or has ended. */
struct h2_stream *h2_stream_of(nghttp2_session *ng, int32_t id);
/* It failed on our side: it is reset, and the end callback runs when the reset is sent. */
void h2_stream_fail(struct h2_stream *stream, enum kolk_err err);

#endif
