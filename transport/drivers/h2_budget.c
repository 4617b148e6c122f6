/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_budget.c - what a peer may send that brings nothing. Frames are counted where they come in, by
 * their heads: nghttp2 drops DATA of a stream that ended, and other frames, before any callback.
 *
 *   WINDOW_UPDATE                free while we sent bytes that none gave back
 *   of a stream that we reset    free: DATA as far as its window went, a head, an end and trailers,
 *                                which the peer sent before it knew
 *   what else brings nothing     from a bucket: what our frames earn, and so much per second
 */
#include "transport/drivers/h2_session.h"

#include <string.h>

enum {
	CONTINUATIONS_SPARE = 8, /* CVE-2024-27316 and its family */
	FRAME_BYTES = 16384,     /* of a peer that we allow no more */
	UNIT_BYTES = 1024,       /* a frame that brings nothing costs one, and one for so many */
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

static void bucket_fill(struct h2_bucket *bucket, uint32_t count)
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
		session->tells = true;
		(void)nghttp2_session_terminate_session(session->ng, code);
	}
	return session->err;
}

static enum kolk_err flood(struct h2_session *session)
{
	return h2_session_refuse(session, KOLK_E_FLOOD, NGHTTP2_ENHANCE_YOUR_CALM);
}

enum kolk_err h2_idle_talk(struct h2_session *session, size_t size)
{
	uint32_t cost = 1 + (uint32_t)size / UNIT_BYTES;

	return h2_bucket_take(&session->idle_talk, cost, session->now_ns) ? KOLK_OK :
									    flood(session);
}

uint32_t h2_continuations_max(const struct h2_session *session)
{
	return CONTINUATIONS_SPARE + session->limits.head_bytes_max / FRAME_BYTES;
}

static void pay(uint64_t *owed, uint64_t size)
{
	*owed -= size < *owed ? size : *owed;
}

static uint64_t *window_owed(struct h2_session *session, int32_t id)
{
	return id == 0 ? &session->owed_connection : &session->owed_streams;
}

/* The rest of it is paid when nghttp2 has read how much it is (h2_window_came). */
static enum kolk_err on_window(struct h2_session *session, const nghttp2_frame_hd *hd)
{
	uint64_t *owed = window_owed(session, hd->stream_id);

	if (*owed == 0)
		return h2_idle_talk(session, hd->length);
	pay(owed, 1);
	return KOLK_OK;
}

void h2_window_came(struct h2_session *session, const nghttp2_window_update *frame)
{
	if (frame->window_size_increment > 1)
		pay(window_owed(session, frame->hd.stream_id),
		    (uint64_t)frame->window_size_increment - 1);
}

void h2_late_allow(struct h2_session *session)
{
	session->late_bytes += session->limits.window_bytes;
	session->late_frames += LATE_FRAMES;
}

/* A frame that tells nobody anything: the peer did not know yet, or it talks. */
static enum kolk_err late_talk(struct h2_session *session, size_t size)
{
	if (session->late_frames == 0)
		return h2_idle_talk(session, size);
	session->late_frames--;
	return KOLK_OK;
}

/* What comes on it comes to nobody. */
static bool is_over(const struct h2_stream *stream)
{
	return stream == NULL || stream->complete || stream->reset;
}

static enum kolk_err on_data(struct h2_session *session, struct h2_stream *stream,
			     const nghttp2_frame_hd *hd)
{
	if (is_over(stream)) {
		if (hd->length == 0)
			return late_talk(session, 0);
		if (hd->length > session->late_bytes)
			return h2_idle_talk(session, hd->length);
		session->late_bytes -= hd->length;
		return KOLK_OK;
	}
	/* To nghttp2 it is the connection's error; what follows it drops when the stream is reset. */
	if (!stream->begun)
		h2_stream_fail(stream, KOLK_E_PROTOCOL);
	if (hd->length == 0 && !(hd->flags & NGHTTP2_FLAG_END_STREAM))
		return h2_idle_talk(session, 0);
	return KOLK_OK;
}

static enum kolk_err on_frame(struct h2_session *session, const nghttp2_frame_hd *hd)
{
	struct h2_stream *stream = h2_stream_of(session->ng, hd->stream_id);

	switch (hd->type) {
	case NGHTTP2_DATA:
		return on_data(session, stream, hd);
	case NGHTTP2_HEADERS:
		session->continuations = 0;
		return is_over(stream) ? late_talk(session, hd->length) : KOLK_OK;
	case NGHTTP2_CONTINUATION:
		if (++session->continuations > h2_continuations_max(session))
			return flood(session);
		return is_over(stream) ? h2_idle_talk(session, hd->length) : KOLK_OK;
	case NGHTTP2_PUSH_PROMISE: /* refused in our SETTINGS, which need not be acknowledged yet */
		return h2_session_refuse(session, KOLK_E_PROTOCOL, NGHTTP2_PROTOCOL_ERROR);
	case NGHTTP2_WINDOW_UPDATE:
		return on_window(session, hd);
	default:
		return h2_idle_talk(session, hd->length);
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

size_t h2_frames_next(struct h2_session *session, const uint8_t *data, size_t size)
{
	struct h2_frames *frames = &session->frames;
	size_t taken = 0;

	if (frames->left == 0) {
		nghttp2_frame_hd hd;

		taken = sizeof frames->head - frames->size;
		taken = taken < size ? taken : size;
		memcpy(frames->head + frames->size, data, taken);
		frames->size += (uint32_t)taken;
		if (frames->size < sizeof frames->head)
			return taken;
		hd = head_of(frames->head);
		if (on_frame(session, &hd) != KOLK_OK)
			return 0;
		frames->size = 0;
		frames->left = hd.length;
	}
	size = size - taken < frames->left ? size - taken : frames->left;
	frames->left -= size;
	return taken + size;
}

/* ---- what ours earn */

/* How many frames that bring nothing a peer may answer it with: a question and its answer for each
 * DATA (a server that measures how much may be on its way), one for what else is a question.
 * Answers of ours earn none: a flood of PING would pay for itself. */
static uint32_t earned(const nghttp2_frame_hd *hd)
{
	if (hd->type == NGHTTP2_DATA)
		return 2;
	if (hd->type == NGHTTP2_HEADERS)
		return 1;
	return (hd->type == NGHTTP2_PING || hd->type == NGHTTP2_SETTINGS) &&
	       !(hd->flags & NGHTTP2_FLAG_ACK);
}

void h2_frame_went(struct h2_session *session, const nghttp2_frame_hd *hd)
{
	bucket_fill(&session->idle_talk, earned(hd));
	if (hd->type != NGHTTP2_DATA)
		return;
	session->owed_connection += hd->length;
	session->owed_streams += hd->length;
}
