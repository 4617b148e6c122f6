/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_session.c - the connection as a whole: opened, fed, its output, PING, GOAWAY.
 */
#include "transport/drivers/h2_session.h"

#include <stdlib.h>
#include <string.h>

enum {
	SETTINGS_ENTRIES_MAX = 32,
	HEAD_SENT_MAX = 2 << 20, /* http_request.c allows half of it */
};

static struct h2_bucket bucket_of(uint32_t burst, uint32_t per_s, uint64_t now_ns)
{
	return (struct h2_bucket){ .filled_ns = now_ns, .left = burst, .burst = burst,
				   .per_s = per_s };
}

/* ---- opened and freed */

static int ng_open(struct h2_session *session)
{
	nghttp2_session_callbacks *callbacks = NULL;
	nghttp2_option *option = NULL;
	int failed = nghttp2_session_callbacks_new(&callbacks) != 0 ||
		     nghttp2_option_new(&option) != 0;

	if (!failed) {
		h2_callbacks_fill(callbacks);
		nghttp2_option_set_no_auto_window_update(option, 1);
		nghttp2_option_set_no_closed_streams(option, 1);
		nghttp2_option_set_max_settings(option, SETTINGS_ENTRIES_MAX);
		nghttp2_option_set_max_continuations(option, h2_continuations_max(session));
		nghttp2_option_set_max_send_header_block_length(option, HEAD_SENT_MAX);
		failed = nghttp2_session_client_new2(&session->ng, callbacks, session, option);
	}
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_option_del(option);
	return failed;
}

static int queue_settings(struct h2_session *session)
{
	const struct h2_limits *limits = &session->limits;
	const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits->window_bytes },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits->head_bytes_max },
	};

	return nghttp2_submit_settings(session->ng, NGHTTP2_FLAG_NONE, settings,
				       sizeof settings / sizeof *settings) != 0 ||
	       nghttp2_session_set_local_window_size(
		       session->ng, NGHTTP2_FLAG_NONE, 0,
		       (int32_t)limits->connection_window_bytes) != 0;
}

struct h2_session *h2_session_open(const struct h2_limits *limits, uint64_t now_ns)
{
	struct h2_session *session = calloc(1, sizeof *session);

	if (session == NULL)
		return NULL;
	session->limits = *limits;
	kolk__store_relaxed(&session->references, 1);
	session->now_ns = session->received_ns = now_ns;
	session->resets = bucket_of(limits->resets_burst, limits->resets_per_s, now_ns);
	session->empty_frames =
		bucket_of(limits->empty_frames_burst, limits->empty_frames_per_s, now_ns);
	if (ng_open(session) != 0 || queue_settings(session) != 0) {
		h2_session_unref(session);
		return NULL;
	}
	return session;
}

void h2_session_ref(struct h2_session *session)
{
	kolk__add_relaxed(&session->references, 1);
}

void h2_session_unref(struct h2_session *session)
{
	if (session == NULL || kolk__sub_acq_rel(&session->references, 1) > 1)
		return;
	h2_session_end(session, KOLK_E_CLOSED, false);
	nghttp2_session_del(session->ng);
	free(session);
}

/* ---- input and output */

static enum kolk_err err_of(ssize_t code)
{
	return code == NGHTTP2_ERR_NOMEM ? KOLK_E_MEMORY :
	       code == NGHTTP2_ERR_FLOODED ? KOLK_E_FLOOD : KOLK_E_PROTOCOL;
}

enum kolk_err h2_session_feed(struct h2_session *session, const void *data, size_t size,
		      uint64_t now_ns)
{
	const uint8_t *at = data;

	session->now_ns = now_ns;
	if (session->err == KOLK_OK)
		session->received_ns = now_ns;
	while (size > 0 && session->err == KOLK_OK) {
		size_t part = h2_frames_next(session, at, size);
		ssize_t taken = nghttp2_session_mem_recv(session->ng, at, part);

		if (taken < 0 && session->err == KOLK_OK)
			session->err = err_of(taken);
		at += part;
		size -= part;
	}
	return session->err;
}

size_t h2_session_output(struct h2_session *session, uint8_t *buffer, size_t capacity,
			 uint64_t now_ns)
{
	size_t size = 0;

	session->now_ns = now_ns;
	for (;;) {
		size_t part;
		ssize_t more;

		if (session->rest_size == 0) {
			more = nghttp2_session_mem_send(session->ng, &session->rest);
			if (more < 0 && session->err == KOLK_OK)
				session->err = err_of(more);
			if (more <= 0)
				return size;
			session->rest_size = (size_t)more;
		}
		part = session->rest_size < capacity - size ? session->rest_size : capacity - size;
		memcpy(buffer + size, session->rest, part);
		session->rest += part;
		session->rest_size -= part;
		size += part;
		if (session->rest_size > 0)
			return size;
	}
}

bool h2_session_has_output(const struct h2_session *session)
{
	return session->rest_size > 0 || nghttp2_session_want_write(session->ng);
}

void h2_session_end(struct h2_session *session, enum kolk_err err, bool nothing_sent)
{
	if (session->err == KOLK_OK)
		session->err = err;
	session->draining = true;
	while (session->streams != NULL) {
		struct h2_stream *stream = session->streams;
		bool unsent = nothing_sent || !stream->sent;
		struct h2_end end = { .err = unsent ? KOLK_E_CLOSED : err, .unsent = unsent,
				      .unprocessed = unsent };

		if (stream->err != KOLK_OK)
			end = (struct h2_end){ .err = stream->err };
		else if (stream->complete) /* only our RST_STREAM was missing */
			end = (struct h2_end){ .err = KOLK_OK };
		if (stream->id > 0)
			nghttp2_session_set_stream_user_data(session->ng, stream->id, NULL);
		h2_stream_end(stream, &end);
	}
}

/* ---- what it allows */

uint32_t h2_session_limit(const struct h2_session *session)
{
	uint32_t theirs = nghttp2_session_get_remote_settings(
		session->ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);

	return theirs < session->limits.streams_max ? theirs : session->limits.streams_max;
}

bool h2_session_can_submit(const struct h2_session *session)
{
	return session->ready && !session->draining && session->err == KOLK_OK &&
	       session->open < h2_session_limit(session) &&
	       session->total < session->limits.streams_total_max;
}

bool h2_session_is_clean(const struct h2_session *session)
{
	return session->ready && !session->draining && session->err == KOLK_OK &&
	       session->open == 0 && session->pinged_ns == 0 &&
	       session->total < session->limits.streams_total_max &&
	       !h2_session_has_output(session);
}

enum kolk_err h2_session_ping(struct h2_session *session, uint64_t now_ns)
{
	if (session->pinged_ns != 0)
		return KOLK_OK;
	if (nghttp2_submit_ping(session->ng, NGHTTP2_FLAG_NONE, NULL) != 0)
		return KOLK_E_MEMORY;
	session->pinged_ns = now_ns;
	return KOLK_OK;
}

void h2_session_start_drain(struct h2_session *session)
{
	session->draining = true;
}

void h2_session_queue_goaway(struct h2_session *session)
{
	session->draining = true;
	(void)nghttp2_session_terminate_session(session->ng, NGHTTP2_NO_ERROR);
}
