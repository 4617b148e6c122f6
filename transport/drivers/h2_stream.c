/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_stream.c - a request and its answer: submitted, delivered, reset, ended.
 *
 * Everything is delivered through stream->owner, and a stream that was abandoned or failed has
 * none: frames after a reset, also in the same read, are delivered to no owner (CVE-2026-26311).
 */
#include "transport/drivers/h2_session.h"

#include <stdlib.h>
#include <string.h>

enum { ZOMBIE_BYTES_MAX = 64 * 1024 }; /* what may arrive on a zombie before it is reset */
/* How long a zombie may take to end by itself, when resets are rationed. */
#define ZOMBIE_NS KOLK_S_NS

/* ---- how a stream ends */

static void unlink_stream(struct h2_stream *stream)
{
	*stream->prev = stream->next;
	if (stream->next != NULL)
		stream->next->prev = stream->prev;
	stream->session->open--;
	stream->session->zombies -= stream->owner == NULL;
}

void h2_stream_end(struct h2_stream *stream, const struct h2_end *end)
{
	const struct h2_stream_callbacks *callbacks = stream->callbacks;
	void *owner = stream->owner;

	unlink_stream(stream);
	free(stream);
	if (owner != NULL)
		callbacks->end(owner, end);
}

/* The peer stops no sooner than it sees our reset: until then it may fill the window. */
static void allow_late(const struct h2_stream *stream)
{
	if (stream->sent && !stream->complete)
		h2_late_frames_allow(stream->session);
}

static void send_reset(struct h2_stream *stream, uint32_t code)
{
	if (stream->reset)
		return;
	stream->reset = true;
	allow_late(stream);
	(void)nghttp2_submit_rst_stream(stream->session->ng, NGHTTP2_FLAG_NONE, stream->id, code);
}

/* It failed on our side: the end callback runs when the reset is sent. */
void h2_stream_fail(struct h2_stream *stream, enum kolk_err err)
{
	if (stream->err == KOLK_OK)
		stream->err = err;
	(void)h2_bucket_take(&stream->session->resets, 1, stream->session->now_ns);
	send_reset(stream, err == KOLK_E_PROTOCOL ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_CANCEL);
}

static bool has_owner(const struct h2_stream *stream)
{
	return stream != NULL && stream->owner != NULL && stream->err == KOLK_OK;
}

/* A zombie is reset at once while the budget of resets lasts (since CVE-2023-44487 peers count
 * them); after that only when it does not end by itself, and then the connection drains. */
static void reset_abandoned(struct h2_stream *stream, bool must)
{
	struct h2_session *session = stream->session;

	if (stream->reset)
		return;
	if (!stream->sent || h2_bucket_take(&session->resets, 1, session->now_ns)) {
		send_reset(stream, NGHTTP2_CANCEL);
	} else if (must) {
		h2_session_start_drain(session);
		send_reset(stream, NGHTTP2_CANCEL);
	}
}

/* Its HEADERS wait in nghttp2, as they do while the peer allows no more streams, for ever if it
 * never does: then there is no stream that could end, and nothing of it is sent any more. */
static bool is_queued(const struct h2_stream *stream)
{
	return nghttp2_session_find_stream(stream->session->ng, stream->id) == NULL;
}

static void withdraw(struct h2_stream *stream)
{
	nghttp2_session *ng = stream->session->ng;

	(void)nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL);
	(void)nghttp2_session_set_stream_user_data(ng, stream->id, NULL);
	unlink_stream(stream);
	free(stream);
}

void h2_stream_abandon(struct h2_stream *stream, uint64_t now_ns)
{
	struct h2_session *session = stream->session;
	uint32_t unconsumed = stream->unconsumed;

	session->now_ns = now_ns;
	stream->owner = NULL;
	stream->abandoned_ns = now_ns;
	stream->unconsumed = 0;
	session->zombies++;
	if (is_queued(stream)) {
		withdraw(stream);
		return;
	}
	reset_abandoned(stream, stream->upload);
	if (unconsumed > 0)
		(void)nghttp2_session_consume_stream(session->ng, stream->id, unconsumed);
}

uint64_t h2_session_sweep_zombies(struct h2_session *session, uint64_t now_ns)
{
	uint64_t next_ns = 0;

	session->now_ns = now_ns;
	for (struct h2_stream *at = session->streams; at != NULL && session->zombies > 0;
	     at = at->next) {
		if (at->owner != NULL || at->reset)
			continue;
		if (at->abandoned_ns + ZOMBIE_NS <= now_ns)
			reset_abandoned(at, true);
		else if (next_ns == 0 || at->abandoned_ns + ZOMBIE_NS < next_ns)
			next_ns = at->abandoned_ns + ZOMBIE_NS;
	}
	return next_ns;
}

/* ---- requests */

struct h2_stream *h2_stream_of(nghttp2_session *ng, int32_t id)
{
	return id > 0 ? nghttp2_session_get_stream_user_data(ng, id) : NULL;
}

static ssize_t on_pull(nghttp2_session *ng, int32_t id, uint8_t *buffer, size_t capacity,
		       uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct h2_stream *stream = h2_stream_of(ng, id);
	struct h2_body_part part = { .buffer = buffer, .capacity = capacity };
	enum kolk_err err;

	(void)source, (void)user;
	if (!has_owner(stream))
		return NGHTTP2_ERR_DEFERRED; /* its reset is queued */
	err = stream->callbacks->pull(stream->owner, &part);
	stream->deferred = err == KOLK_PENDING;
	if (err == KOLK_PENDING)
		return NGHTTP2_ERR_DEFERRED;
	if (err != KOLK_OK) {
		h2_stream_fail(stream, err);
		return NGHTTP2_ERR_DEFERRED;
	}
	if (part.last) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		stream->upload = false;
	}
	if (part.last && stream->trailers_queued)
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
	return (ssize_t)part.size;
}

enum kolk_err h2_stream_submit(struct h2_session *session, const struct h2_submission *request,
			       uint64_t now_ns, struct h2_stream **made)
{
	bool has_body = request->callbacks->pull != NULL;
	nghttp2_data_provider body = { .read_callback = on_pull };
	struct h2_stream *stream;

	if (!h2_session_can_submit(session))
		return KOLK_E_LIMIT;
	stream = calloc(1, sizeof *stream);
	if (stream == NULL)
		return KOLK_E_MEMORY;
	*stream = (struct h2_stream){ .session = session, .next = session->streams,
				      .prev = &session->streams,
				      .callbacks = request->callbacks, .owner = request->owner,
				      .upload = has_body };
	stream->id = nghttp2_submit_request(session->ng, NULL, request->fields, request->count,
					    has_body ? &body : NULL, stream);
	if (stream->id < 0) {
		int32_t code = stream->id;

		free(stream);
		if (code == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE)
			h2_session_start_drain(session);
		return code == NGHTTP2_ERR_NOMEM ? KOLK_E_MEMORY :
		       code == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE ? KOLK_E_LIMIT : KOLK_E_OPTIONS;
	}
	if (stream->next != NULL)
		stream->next->prev = &stream->next;
	session->streams = stream;
	if (session->open++ == 0)
		session->busy_ns = now_ns;
	session->total++;
	*made = stream;
	return KOLK_OK;
}

enum kolk_err h2_stream_trailers(struct h2_stream *stream, const nghttp2_nv *fields, size_t count)
{
	if (nghttp2_submit_trailer(stream->session->ng, stream->id, fields, count) != 0)
		return KOLK_E_MEMORY;
	stream->trailers_queued = true;
	return KOLK_OK;
}

void h2_stream_more(struct h2_stream *stream)
{
	if (!stream->deferred)
		return;
	stream->deferred = false;
	(void)nghttp2_session_resume_data(stream->session->ng, stream->id);
}

void h2_stream_consume(struct h2_stream *stream, size_t size)
{
	if (size > stream->unconsumed)
		size = stream->unconsumed;
	stream->unconsumed -= (uint32_t)size;
	(void)nghttp2_session_consume_stream(stream->session->ng, stream->id, size);
}

/* ---- answers, from nghttp2's callbacks */

/* nghttp2 has checked that :status is three digits. */
static bool status_of(struct h2_stream *stream, const nghttp2_vec *name, const nghttp2_vec *value)
{
	if (name->len == 0 || name->base[0] != ':')
		return false;
	if (name->len == 7 && memcmp(name->base, ":status", 7) == 0 && value->len == 3)
		stream->status = (uint16_t)((value->base[0] - '0') * 100 +
					    (value->base[1] - '0') * 10 + value->base[2] - '0');
	return true;
}

/* A length is no trailer (RFC 9110, section 6.5.1). */
static bool is_length(const nghttp2_vec *name)
{
	return name->len == 14 && memcmp(name->base, "content-length", 14) == 0;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name_bytes,
		     size_t name_size, const uint8_t *value_bytes, size_t value_size, uint8_t flags,
		     void *user)
{
	struct h2_stream *stream = h2_stream_of(ng, frame->hd.stream_id);
	struct h2_session *session = user;
	nghttp2_vec name = { (uint8_t *)(uintptr_t)name_bytes, name_size };
	nghttp2_vec value = { (uint8_t *)(uintptr_t)value_bytes, value_size };
	enum kolk_err err = KOLK_OK;

	(void)flags;
	if (!has_owner(stream))
		return 0;
	stream->head_bytes += (uint32_t)(name_size + value_size + 32);
	if (stream->head_bytes > session->limits.head_bytes_max ||
	    ++stream->fields > session->limits.fields_max ||
	    (stream->answered && is_length(&name)))
		err = KOLK_E_PROTOCOL;
	else if (!status_of(stream, &name, &value))
		err = stream->callbacks->field(stream->owner, &name, &value);
	if (err != KOLK_OK && has_owner(stream))
		h2_stream_fail(stream, err);
	return 0;
}

static void on_head(struct h2_stream *stream)
{
	bool trailers = stream->answered;
	enum kolk_err err = KOLK_OK;
	bool invalid = stream->status < 100 || stream->status > 599;

	stream->head_bytes = stream->fields = 0;
	stream->answered = stream->status >= 200;
	if (invalid || (!trailers && stream->status < 200 &&
			++stream->informational > stream->session->limits.informational_max))
		err = KOLK_E_PROTOCOL;
	else
		err = stream->callbacks->head(stream->owner, trailers ? 0 : stream->status);
	if (err != KOLK_OK && has_owner(stream))
		h2_stream_fail(stream, err);
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data,
		   size_t size, void *user)
{
	struct h2_stream *stream = h2_stream_of(ng, id);
	enum kolk_err err;

	(void)flags, (void)user;
	/* The connection's window belongs to all streams: none of them keeps it closed. */
	(void)nghttp2_session_consume_connection(ng, size);
	if (!has_owner(stream)) {
		(void)nghttp2_session_consume_stream(ng, id, size);
		if (stream == NULL || stream->reset)
			return 0;
		stream->discarded += (uint32_t)size;
		if (stream->discarded > ZOMBIE_BYTES_MAX)
			reset_abandoned(stream, true);
		return 0;
	}
	stream->unconsumed += (uint32_t)size;
	err = stream->callbacks->data(stream->owner, data, size);
	if (err != KOLK_OK && has_owner(stream))
		h2_stream_fail(stream, err);
	return 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *user)
{
	struct h2_stream *stream = h2_stream_of(ng, id);
	struct h2_end end = { .code = code };

	(void)user;
	if (stream == NULL)
		return 0;
	if (!stream->reset) /* by nghttp2 */
		allow_late(stream);
	end.reset = stream->peer_reset;
	if (stream->err != KOLK_OK)
		end.err = stream->err;
	else if (stream->complete)
		end.err = KOLK_OK;
	else if (!stream->sent || code == NGHTTP2_REFUSED_STREAM)
		end.err = KOLK_E_CLOSED, end.unsent = !stream->sent, end.unprocessed = true;
	else
		end.err = stream->peer_reset ? KOLK_E_RESET : KOLK_E_PROTOCOL;
	h2_stream_end(stream, &end);
	return 0;
}

static void on_goaway(struct h2_session *session, const nghttp2_goaway *goaway)
{
	session->draining = session->goaway_received = true;
	session->goaway_code = goaway->error_code;
	session->goaway_last = goaway->last_stream_id;
	session->calm_asked = goaway->error_code == NGHTTP2_ENHANCE_YOUR_CALM;
}

static int on_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
	struct h2_session *session = user;
	struct h2_stream *stream = h2_stream_of(ng, frame->hd.stream_id);
	bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

	switch (frame->hd.type) {
	case NGHTTP2_SETTINGS:
		session->ready |= !(frame->hd.flags & NGHTTP2_FLAG_ACK);
		return 0;
	case NGHTTP2_PING:
		if (frame->hd.flags & NGHTTP2_FLAG_ACK)
			session->pinged_ns = 0;
		return 0;
	case NGHTTP2_GOAWAY:
		on_goaway(session, &frame->goaway);
		return 0;
	case NGHTTP2_RST_STREAM:
		if (stream != NULL)
			stream->peer_reset = stream->reset = true;
		return 0;
	case NGHTTP2_DATA:
		session->silent_pings = 0;
		if (frame->data.padlen > 0 && frame->data.padlen == frame->hd.length && !end &&
		    h2_empty_frame(session, frame->hd.length) != KOLK_OK)
			return NGHTTP2_ERR_CALLBACK_FAILURE;
		break;
	case NGHTTP2_HEADERS:
		if (stream != NULL) {
			stream->any_head = true;
			stream->complete = end;
		}
		session->silent_pings = 0;
		if (has_owner(stream))
			on_head(stream);
		break;
	case NGHTTP2_WINDOW_UPDATE:
		h2_window_received(session, &frame->window_update);
		return 0;
	default:
		return 0;
	}
	if (stream != NULL && end) {
		stream->complete = true;
		if (stream->upload) /* an early answer: the rest is not wanted */
			send_reset(stream, NGHTTP2_NO_ERROR);
	}
	return 0;
}

static int on_frame_send(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
	struct h2_session *session = user;
	struct h2_stream *stream = h2_stream_of(ng, frame->hd.stream_id);

	h2_frame_sent(session, &frame->hd);
	if (stream != NULL && frame->hd.type == NGHTTP2_HEADERS)
		stream->sent = true;
	/* nghttp2 reports that the peer broke the protocol. */
	if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR &&
	    session->err == KOLK_OK)
		session->err = KOLK_E_PROTOCOL;
	return 0;
}

void h2_callbacks_fill(nghttp2_session_callbacks *callbacks)
{
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}
