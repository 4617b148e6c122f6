/* SPDX-License-Identifier: Apache-2.0 */
/* http_server_h2.c - an HTTP/2 connection of a client: bytes in, bytes out, and what the client may
 * not do. */
#include "transport/drivers/http_server_h2.h"

#include <stdlib.h>
#include <string.h>

enum {
	SETTINGS_ENTRIES_MAX = 32,
	CONTINUATIONS_SPARE = 8, /* CVE-2024-27316 and its family */
	FRAME_BYTES = 16384,
	UNIT_BYTES = 1024,       /* a frame that carries nothing costs one, and one for so many */
	FRAMES_UNREAD = 1000,    /* of ours that wait for the wire, beyond two of each stream */
	BURST = 25,              /* of a rate per second, at once */
	OUT_BYTES = 65536,
	BUFFER_KEPT = 4096,      /* of each direction, without streams */
	PREFACE = NGHTTP2_CLIENT_MAGIC_LEN
};

/* ---- opened and freed */

static uint32_t continuations_max(const struct hs_h2 *h2)
{
	return CONTINUATIONS_SPARE + h2->conn->loop->options->head_bytes_max / FRAME_BYTES;
}

static int ng_open(struct hs_h2 *h2)
{
	nghttp2_session_callbacks *callbacks = NULL;
	nghttp2_option *option = NULL;
	int failed = nghttp2_session_callbacks_new(&callbacks) != 0 ||
		     nghttp2_option_new(&option) != 0;

	if (!failed) {
		hs_h2_callbacks_fill(callbacks);
		nghttp2_option_set_no_auto_window_update(option, 1);
		nghttp2_option_set_no_closed_streams(option, 1);
		nghttp2_option_set_max_settings(option, SETTINGS_ENTRIES_MAX);
		nghttp2_option_set_max_continuations(option, continuations_max(h2));
		failed = nghttp2_session_server_new3(&h2->ng, callbacks, h2, option,
						     &h2->conn->loop->h2_memory.ng);
	}
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_option_del(option);
	return failed;
}

static int queue_settings(struct hs_h2 *h2)
{
	const struct kolk_http_server_options *options = h2->conn->loop->options;
	const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options->streams_max },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options->stream_window },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, options->head_bytes_max },
	};

	return nghttp2_submit_settings(h2->ng, NGHTTP2_FLAG_NONE, settings,
				       sizeof settings / sizeof *settings) != 0 ||
	       nghttp2_session_set_local_window_size(h2->ng, NGHTTP2_FLAG_NONE, 0,
						     (int32_t)options->connection_window) != 0;
}

static struct h2_bucket bucket_of(uint32_t per_s, uint64_t now_ns)
{
	uint32_t burst = per_s < UINT32_MAX / BURST ? per_s * BURST : UINT32_MAX;

	return (struct h2_bucket){ .filled_ns = now_ns, .left = burst, .burst = burst,
				   .per_s = per_s };
}

enum kolk_err hs_h2_open(struct hs_conn *conn)
{
	const struct hs_loop *loop = conn->loop;
	struct hs_h2 *h2 = calloc(1, sizeof *h2);

	if (h2 == NULL)
		return KOLK_E_MEMORY;
	h2->conn = conn;
	h2->streams.next = h2->streams.prev = &h2->streams;
	h2->changed.next = h2->changed.prev = &h2->changed;
	h2->frames.left = PREFACE;
	h2->resets = bucket_of(loop->options->resets_max, loop->now_ns);
	h2->empty_frames = (struct h2_bucket){ .filled_ns = loop->now_ns,
					       .left = loop->options->frames_max,
					       .burst = loop->options->frames_max,
					       .per_s = loop->options->frames_max };
	conn->h2 = h2;
	if (ng_open(h2) == 0 && queue_settings(h2) == 0)
		return KOLK_OK;
	hs_h2_free(conn);
	return KOLK_E_MEMORY;
}

void hs_h2_free(struct hs_conn *conn)
{
	struct hs_h2 *h2 = conn->h2;

	conn->h2 = NULL;
	nghttp2_session_del(h2->ng);
	free(h2->out.data);
	free(h2->sending.data);
	free(h2);
}

/* ---- what a client may not do */

static void flood(struct hs_h2 *h2)
{
	if (h2->flooded)
		return;
	h2->flooded = h2->goaway = true;
	(void)nghttp2_session_terminate_session(h2->ng, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void take(struct hs_h2 *h2, struct h2_bucket *bucket, size_t size)
{
	if (!h2_bucket_take(bucket, 1 + (uint32_t)(size / UNIT_BYTES), h2->conn->loop->now_ns))
		flood(h2);
}

/* Each head has header_timeout; the first one shares that of the connection. */
static void head_begins(struct hs_h2 *h2)
{
	h2->head_open = true;
	if (h2->conn->wait == HS_WAIT_HEAD && h2->conn->requests > 0)
		hs_conn_wait(h2->conn, HS_WAIT_NOTHING);
}

/* A part of a frame was read: perhaps the last one of a head. */
static void on_part(struct hs_h2 *h2)
{
	const struct h2_frames *frames = &h2->frames;

	if (h2->head_open && frames->left == 0 && frames->size == 0 &&
	    (frames->hd.type == NGHTTP2_HEADERS || frames->hd.type == NGHTTP2_CONTINUATION) &&
	    (frames->hd.flags & NGHTTP2_FLAG_END_HEADERS) != 0)
		h2->head_open = false;
}

/* Counted by their heads: nghttp2 drops some before any callback. What comes on a stream that has
 * ended costs as frames that carry nothing do. */
static void on_frame(struct hs_h2 *h2, const nghttp2_frame_hd *hd)
{
	bool ended = hd->stream_id != 0 &&
		     nghttp2_session_get_stream_user_data(h2->ng, hd->stream_id) == NULL;

	switch (hd->type) {
	case NGHTTP2_DATA:
		if (ended || (hd->length == 0 && !(hd->flags & NGHTTP2_FLAG_END_STREAM)))
			take(h2, &h2->empty_frames, 0);
		break;
	case NGHTTP2_HEADERS:
		h2->continuations = 0;
		head_begins(h2);
		if (hd->stream_id > h2->last_stream)
			h2->last_stream = hd->stream_id;
		else if (ended)
			take(h2, &h2->empty_frames, hd->length);
		break;
	case NGHTTP2_CONTINUATION:
		if (++h2->continuations > continuations_max(h2))
			flood(h2);
		if (ended)
			take(h2, &h2->empty_frames, hd->length);
		break;
	case NGHTTP2_RST_STREAM:
		take(h2, &h2->resets, 0);
		break;
	default:
		take(h2, &h2->empty_frames, hd->length);
		break;
	}
}

/* Two frames that carry nothing for each of ours that carries something. */
void hs_h2_earn(struct hs_h2 *h2, const nghttp2_frame_hd *hd)
{
	if (hd->type == NGHTTP2_DATA || hd->type == NGHTTP2_HEADERS)
		h2_bucket_fill(&h2->empty_frames, 2);
}

/* A client that breaks rules makes us reset its streams (CVE-2025-8671): they count as its own. */
void hs_h2_reset_sent(struct hs_h2 *h2, const struct kolk_http_server_exchange *exchange,
		      uint32_t code)
{
	if (code != NGHTTP2_NO_ERROR && code != NGHTTP2_INTERNAL_ERROR &&
	    (exchange == NULL || exchange->err != KOLK_E_CANCELLED))
		take(h2, &h2->resets, 0);
}

/* It makes us answer more than it reads. */
static bool is_unread(const struct hs_h2 *h2)
{
	size_t max = 2 * (size_t)h2->conn->loop->options->streams_max + FRAMES_UNREAD;

	return nghttp2_session_get_outbound_queue_size(h2->ng) > max;
}

/* ---- bytes */

void hs_h2_data(struct hs_conn *conn, const uint8_t *data, size_t size)
{
	struct hs_h2 *h2 = conn->h2;

	while (size > 0 && !conn->ending && !h2->flooded) {
		size_t part = h2_frames_cut(&h2->frames, data, size);
		ssize_t taken;

		if (h2->frames.begun)
			on_frame(h2, &h2->frames.hd);
		taken = nghttp2_session_mem_recv(h2->ng, data, part);
		if (taken < 0) {
			hs_conn_fail(conn, taken == NGHTTP2_ERR_NOMEM ? KOLK_E_MEMORY :
								       KOLK_E_PROTOCOL);
			return;
		}
		on_part(h2);
		if (is_unread(h2))
			flood(h2);
		data += part;
		size -= part;
	}
}

/* ---- by its preface (RFC 9113, section 3.4): a head that no request of HTTP/1 has */

static const uint8_t preface[] = "PRI * HTTP/2.0\r\n\r\n";

bool hs_h2_is_preface(const struct kolk_http_server_exchange *exchange)
{
	static const char preface_line[] = "PRI\0*"; /* as it was split */
	const char *text = exchange->parser.message.text;
	const struct kolk_http_request_head *head = &exchange->parser.head;
	const struct hs_conn *conn = exchange->conn;

	return exchange->parser.status == 505 && head->version == 20 &&
	       !conn->tls && memcmp(text, preface_line, sizeof preface_line) == 0 &&
	       conn->requests == 0 && !exchange->parser.blank &&
	       exchange->parser.message.text_size == sizeof preface - 1 &&
	       conn->loop->options->protocols != KOLK_HTTP_1_ONLY;
}

void hs_h2_begin(struct hs_conn *conn)
{
	struct kolk_http_server_exchange *exchange = conn->exchange;
	const uint8_t *data = exchange->in;
	size_t size = exchange->in_size;

	exchange->in_size = 0;
	if (hs_h2_open(conn) != KOLK_OK) {
		hs_conn_fail(conn, KOLK_E_MEMORY);
		return;
	}
	hs_h2_data(conn, preface, sizeof preface - 1);
	hs_h2_data(conn, data, size);
}

/* ---- what is sent */

static bool fill_out(struct hs_h2 *h2)
{
	while (h2->out.size < OUT_BYTES) {
		const uint8_t *data;
		ssize_t size = nghttp2_session_mem_send(h2->ng, &data);

		if (size < 0 || (size > 0 && !hs_reserve(&h2->out, (size_t)size)))
			return false;
		if (size == 0)
			return true;
		memcpy(h2->out.data + h2->out.size, data, (size_t)size);
		h2->out.size += (size_t)size;
	}
	return true;
}

static void send_out(struct hs_h2 *h2)
{
	struct hs_buffer out;
	enum kolk_err err;

	if (h2->in_flight && !h2->conn->ending && nghttp2_session_want_write(h2->ng))
		h2->conn->wire->hurry(h2->conn);
	if (h2->in_flight || h2->conn->ending)
		return;
	if (!fill_out(h2)) {
		hs_conn_fail(h2->conn, KOLK_E_MEMORY);
		return;
	}
	if (h2->out.size == 0 || h2->conn->ending)
		return;
	out = h2->out;
	h2->out = h2->sending;
	h2->sending = out;
	h2->in_flight = true;
	err = h2->conn->wire->send(h2->conn, out.data, out.size);
	if (err == KOLK_PENDING)
		return;
	h2->in_flight = false;
	hs_conn_fail(h2->conn, err);
}

bool hs_h2_is_written(const struct hs_h2 *h2)
{
	return !h2->goaway && !nghttp2_session_want_write(h2->ng);
}

static void update_streams(struct hs_h2 *h2)
{
	while (h2->changed.next != &h2->changed)
		hs_h2_stream_update(hs_exchange_of_changed(h2->changed.next));
}

/* Nothing more will be sent or is read: nghttp2's own GOAWAY, or ours. */
static bool is_over(const struct hs_h2 *h2)
{
	if (h2->in_flight || nghttp2_session_want_write(h2->ng))
		return false;
	return h2->flooded || !nghttp2_session_want_read(h2->ng) ||
	       (h2->goaway && h2->streams.next == &h2->streams);
}

/* A connection without streams keeps no large buffers. */
static void shrink(struct hs_h2 *h2)
{
	if (h2->in_flight || h2->streams.next != &h2->streams)
		return;
	free(h2->out.data);
	free(h2->sending.data);
	h2->out = h2->sending = (struct hs_buffer){ 0 };
}

/* The client's window holds its answer up. What the wire holds up is the wire's to end. */
static bool is_stalled(const struct hs_h2 *h2, const struct kolk_http_server_exchange *exchange)
{
	return !h2->in_flight && !exchange->pull_pending &&
	       (exchange->phase == HS_MEMORY || exchange->phase == HS_PULL) &&
	       (nghttp2_session_get_remote_window_size(h2->ng) <= 0 ||
		nghttp2_session_get_stream_remote_window_size(h2->ng, exchange->stream->id) <= 0);
}

/* Streams whose client is late: it does not send a body that is wanted, or takes nothing of an
 * answer. All are looked at once in a time-out, so each ends after one to two of them. */
static void check_streams(struct hs_h2 *h2)
{
	const struct hs_loop *loop = h2->conn->loop;
	uint64_t timeout_ns = loop->options->body_timeout_ns;
	struct hs_link *next;

	if (timeout_ns == KOLK_FOREVER || loop->now_ns < h2->check_due_ns)
		return;
	h2->check_due_ns = loop->now_ns + timeout_ns;
	for (struct hs_link *link = h2->streams.next; link != &h2->streams; link = next) {
		struct kolk_http_server_exchange *exchange = hs_exchange_of_stream(link);

		next = link->next;
		if (loop->now_ns - exchange->stream->moved_ns < timeout_ns)
			continue;
		if (is_stalled(h2, exchange))
			hs_h2_fail(exchange, KOLK_E_TIMEOUT, NGHTTP2_CANCEL);
		else if (hs_h2_wants_body(exchange))
			hs_h2_break_off(exchange, 408, KOLK_E_TIMEOUT);
	}
}

void hs_h2_turn(struct hs_conn *conn)
{
	struct hs_h2 *h2 = conn->h2;

	update_streams(h2);
	check_streams(h2);
	send_out(h2);
	if (h2->out.capacity > BUFFER_KEPT || h2->sending.capacity > BUFFER_KEPT)
		shrink(h2);
	if (!conn->ending && is_over(h2))
		hs_conn_close(conn);
}

void hs_h2_drain(struct hs_conn *conn)
{
	struct hs_h2 *h2 = conn->h2;

	if (h2->goaway)
		return;
	h2->goaway = true;
	(void)nghttp2_submit_goaway(h2->ng, NGHTTP2_FLAG_NONE,
				    nghttp2_session_get_last_proc_stream_id(h2->ng),
				    NGHTTP2_NO_ERROR, NULL, 0);
	hs_conn_post(conn);
}

/* The first of two GOAWAYs (RFC 9113, section 6.8): it names no last stream. The second follows
 * when the connection is idle for idle_timeout, if the client does not close it before. */
void hs_h2_part(struct hs_conn *conn)
{
	struct hs_h2 *h2 = conn->h2;

	if (h2->goaway || h2->noticed)
		return;
	h2->noticed = true;
	(void)nghttp2_submit_shutdown_notice(h2->ng);
	hs_conn_post(conn);
}

/* Without a request it went. Others have an answer only if half_close lets them. */
void hs_h2_peer_end(struct hs_conn *conn)
{
	struct hs_h2 *h2 = conn->h2;

	if (h2->streams.next == &h2->streams) {
		hs_conn_close(conn);
		return;
	}
	if (conn->loop->options->half_close == 0) {
		hs_conn_fail(conn, KOLK_E_CLOSED);
		return;
	}
	for (struct hs_link *link = h2->streams.next; link != &h2->streams; link = link->next) {
		struct kolk_http_server_exchange *exchange = hs_exchange_of_stream(link);

		if (!exchange->stream->request_ended)
			hs_h2_fail(exchange, KOLK_E_CLOSED, NGHTTP2_CANCEL);
	}
	hs_h2_drain(conn);
}

void hs_h2_end_streams(struct hs_conn *conn, enum kolk_err err)
{
	struct hs_h2 *h2 = conn->h2;

	while (h2->streams.next != &h2->streams)
		hs_h2_stream_end(hs_exchange_of_stream(h2->streams.next), err);
}

void hs_h2_changed(struct kolk_http_server_exchange *exchange)
{
	struct hs_h2 *h2 = exchange->h2;

	if (exchange->stream->changed.next == &exchange->stream->changed) {
		exchange->stream->changed.next = &h2->changed;
		exchange->stream->changed.prev = h2->changed.prev;
		h2->changed.prev->next = &exchange->stream->changed;
		h2->changed.prev = &exchange->stream->changed;
	}
	hs_conn_post(h2->conn);
}

enum hs_wait hs_h2_wait(const struct hs_conn *conn)
{
	const struct hs_h2 *h2 = conn->h2;

	if (conn->requests == 0 || h2->head_open)
		return HS_WAIT_HEAD;
	return h2->streams.next == &h2->streams ? HS_WAIT_IDLE : HS_WAIT_BODY;
}

/* Nothing came, or half a head, behind which nothing can be read any more. (Bodies: hs_h2_turn.) */
void hs_h2_expire(struct hs_conn *conn, enum hs_wait wait)
{
	if (wait == HS_WAIT_HEAD && conn->h2->head_open)
		hs_conn_fail(conn, KOLK_E_TIMEOUT);
	else if (wait != HS_WAIT_BODY)
		hs_h2_drain(conn);
}
