/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_budget.c - limits for frames that carry nothing. Frames are counted where they come in, by
 * their heads: nghttp2 drops DATA of a stream that ended, and other frames, before any callback.
 *
 *   WINDOW_UPDATE                free while bytes that we sent are not returned yet
 *   of a stream that we reset    free: DATA as far as its window went, a head, an end and trailers,
 *                                which the peer sent before it saw the reset
 *   other frames                 from a bucket: what our frames earn, and a rate per second
 */
#include "transport/drivers/h2_session.h"

#include <string.h>

enum {
	CONTINUATIONS_SPARE = 8, /* CVE-2024-27316 and its family */
	FRAME_BYTES = 16384,     /* of a peer that we allow no more */
	UNIT_BYTES = 1024,       /* a frame that carries nothing costs one, and one for so many
	                          * bytes */
	LATE_FRAMES = 3          /* of a stream that we reset: head, end, trailers */
};

/* ---- buckets */

bool h2_bucket_take(struct h2_bucket *bucket, uint32_t count, uint64_t now_ns)
{
	uint64_t passed_ns = now_ns - bucket->filled_ns;
	uint64_t more = passed_ns > 60 * KOLK_S_NS ? UINT32_MAX :
						     passed_ns * bucket->per_s / KOLK_S_NS;

	if (more > 0) {
		bucket->filled_ns = now_ns;
		bucket->left = bucket->left + more < bucket->burst ?
				       bucket->left + (uint32_t)more : bucket->burst;
	}
	if (bucket->left < count)
		return false;
	bucket->left -= count;
	return true;
}

void h2_bucket_fill(struct h2_bucket *bucket, uint32_t count)
{
	bucket->left += count;
	if (bucket->left > bucket->burst)
		bucket->left = bucket->burst;
}

/* ---- what the peer may not do */

enum kolk_err h2_session_refuse(struct h2_session *session, enum kolk_err err, uint32_t code)
{
	if (session->err == KOLK_OK) {
		session->err = err;
		session->goaway_pending = true;
		(void)nghttp2_session_terminate_session(session->ng, code);
	}
	return session->err;
}

static enum kolk_err flood(struct h2_session *session)
{
	return h2_session_refuse(session, KOLK_E_FLOOD, NGHTTP2_ENHANCE_YOUR_CALM);
}

enum kolk_err h2_empty_frame(struct h2_session *session, size_t size)
{
	uint32_t cost = 1 + (uint32_t)size / UNIT_BYTES;

	return h2_bucket_take(&session->empty_frames, cost, session->now_ns) ? KOLK_OK :
									    flood(session);
}

uint32_t h2_continuations_max(const struct h2_session *session)
{
	return CONTINUATIONS_SPARE + session->limits.head_bytes_max / FRAME_BYTES;
}

static void window_return(uint64_t *window_bytes_used, uint64_t size)
{
	*window_bytes_used -= size < *window_bytes_used ? size : *window_bytes_used;
}

static uint64_t *window_used(struct h2_session *session, int32_t id)
{
	return id == 0 ? &session->window_used_connection : &session->window_used_streams;
}

/* The rest is returned when nghttp2 has read how much it is (h2_window_received). */
static enum kolk_err on_window(struct h2_session *session, const nghttp2_frame_hd *hd)
{
	uint64_t *window_bytes_used = window_used(session, hd->stream_id);

	if (*window_bytes_used == 0)
		return h2_empty_frame(session, hd->length);
	window_return(window_bytes_used, 1);
	return KOLK_OK;
}

void h2_window_received(struct h2_session *session, const nghttp2_window_update *frame)
{
	if (frame->window_size_increment > 1)
		window_return(window_used(session, frame->hd.stream_id),
			      (uint64_t)frame->window_size_increment - 1);
}

void h2_late_frames_allow(struct h2_session *session)
{
	session->late_bytes += session->limits.window_bytes;
	session->late_frames += LATE_FRAMES;
}

/* A frame on a stream that ended: the peer did not know yet, or it floods. */
static enum kolk_err late_frame(struct h2_session *session, size_t size)
{
	if (session->late_frames == 0)
		return h2_empty_frame(session, size);
	session->late_frames--;
	return KOLK_OK;
}

/* What is received on it is delivered to no owner. */
static bool is_ended(const struct h2_stream *stream)
{
	return stream == NULL || stream->complete || stream->reset;
}

static enum kolk_err on_data(struct h2_session *session, struct h2_stream *stream,
			     const nghttp2_frame_hd *hd)
{
	if (is_ended(stream)) {
		if (hd->length == 0)
			return late_frame(session, 0);
		if (hd->length > session->late_bytes)
			return h2_empty_frame(session, hd->length);
		session->late_bytes -= hd->length;
		return KOLK_OK;
	}
	/* For nghttp2 it is an error of the connection; nghttp2 drops what follows when the stream
	 * is reset. */
	if (!stream->any_head)
		h2_stream_fail(stream, KOLK_E_PROTOCOL);
	if (hd->length == 0 && !(hd->flags & NGHTTP2_FLAG_END_STREAM))
		return h2_empty_frame(session, 0);
	return KOLK_OK;
}

static enum kolk_err on_frame(struct h2_session *session, const nghttp2_frame_hd *hd)
{
	struct h2_stream *stream = h2_stream_of(session->ng, hd->stream_id);

	/* RFC 9113, section 3.4. Text of another protocol is taken for a frame of some MiB. */
	if (!session->ready && (hd->type != NGHTTP2_SETTINGS || hd->flags & NGHTTP2_FLAG_ACK))
		return h2_session_refuse(session, KOLK_E_PROTOCOL, NGHTTP2_PROTOCOL_ERROR);
	switch (hd->type) {
	case NGHTTP2_DATA:
		return on_data(session, stream, hd);
	case NGHTTP2_HEADERS:
		session->continuations = 0;
		return is_ended(stream) ? late_frame(session, hd->length) : KOLK_OK;
	case NGHTTP2_CONTINUATION:
		if (++session->continuations > h2_continuations_max(session))
			return flood(session);
		return is_ended(stream) ? h2_empty_frame(session, hd->length) : KOLK_OK;
	case NGHTTP2_PUSH_PROMISE: /* refused in our SETTINGS, which need not be acknowledged yet */
		return h2_session_refuse(session, KOLK_E_PROTOCOL, NGHTTP2_PROTOCOL_ERROR);
	case NGHTTP2_WINDOW_UPDATE:
		return on_window(session, hd);
	default:
		return h2_empty_frame(session, hd->length);
	}
}

/* ---- frames in what comes */

static nghttp2_frame_hd head_of(const uint8_t *at)
{
	return (nghttp2_frame_hd){
		.length = (size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2],
		.type = at[3],
		.flags = at[4],
		.stream_id = (int32_t)((uint32_t)(at[5] & 0x7f) << 24 | (uint32_t)at[6] << 16 |
				       (uint32_t)at[7] << 8 | at[8]),
	};
}

size_t h2_frames_cut(struct h2_frames *frames, const uint8_t *data, size_t size)
{
	size_t taken = 0;

	frames->begun = false;
	if (frames->left == 0) {
		taken = sizeof frames->head - frames->size;
		taken = taken < size ? taken : size;
		memcpy(frames->head + frames->size, data, taken);
		frames->size += (uint32_t)taken;
		if (frames->size < sizeof frames->head)
			return taken;
		frames->begun = true;
		frames->hd = head_of(frames->head);
		frames->size = 0;
		frames->left = frames->hd.length;
	}
	size = size - taken < frames->left ? size - taken : frames->left;
	frames->left -= size;
	return taken + size;
}

size_t h2_frames_next(struct h2_session *session, const uint8_t *data, size_t size)
{
	struct h2_frames *frames = &session->frames;
	size_t taken = h2_frames_cut(frames, data, size);

	return frames->begun && on_frame(session, &frames->hd) != KOLK_OK ? 0 : taken;
}

/* ---- what our frames earn */

/* How many frames that carry nothing the peer may send for it: a PING and its answer for each DATA
 * (a server that measures bandwidth), one for other frames that need an answer. Our answers earn
 * none: a flood of PING would pay for itself. */
static uint32_t frames_earned(const nghttp2_frame_hd *hd)
{
	if (hd->type == NGHTTP2_DATA)
		return 2;
	if (hd->type == NGHTTP2_HEADERS)
		return 1;
	return (hd->type == NGHTTP2_PING || hd->type == NGHTTP2_SETTINGS) &&
	       !(hd->flags & NGHTTP2_FLAG_ACK);
}

void h2_frame_sent(struct h2_session *session, const nghttp2_frame_hd *hd)
{
	h2_bucket_fill(&session->empty_frames, frames_earned(hd));
	if (hd->type != NGHTTP2_DATA)
		return;
	session->window_used_connection += hd->length;
	session->window_used_streams += hd->length;
}
