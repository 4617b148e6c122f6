/* SPDX-License-Identifier: Apache-2.0 */
/* http_server_h2_stream.c - a stream of HTTP/2 on the server's side: its head, checked as one of
 * HTTP/1.1 is; its body, as the callee wants it; its end. */
#include <stdlib.h>
#include <string.h>

#include "core/base/ascii.h"
#include "transport/drivers/h1_fields.h"
#include "transport/drivers/http_server_h2.h"

enum { FIELD_SPARE = 32, PSEUDO_FIELDS = 4 }; /* RFC 9113, section 6.5.2; and 8.3.1 */
enum { FIELDS_KEPT = 4096 }; /* for the next request */

static struct kolk_http_server_exchange *exchange_of(nghttp2_session *ng, int32_t id)
{
	return nghttp2_session_get_stream_user_data(ng, id);
}

static const struct kolk_http_server_handler *handler_of(
	const struct kolk_http_server_exchange *exchange)
{
	return exchange->conn->loop->handler;
}

bool hs_h2_wants_body(const struct kolk_http_server_exchange *exchange)
{
	return exchange->running && !exchange->stream->request_ended && !exchange->body_done &&
	       !exchange->paused && exchange->err == KOLK_OK;
}

static void moved(struct kolk_http_server_exchange *exchange)
{
	exchange->stream->moved_ns = exchange->conn->loop->now_ns;
}

/* ---- memory */

/* False = there is none. */
static bool stream_begin(struct kolk_http_server_exchange *exchange, int32_t id)
{
	struct hs_h2_stream *stream = exchange->stream;

	if (stream == NULL)
		stream = exchange->stream = calloc(1, sizeof *stream);
	if (stream == NULL)
		return false;
	stream->exchange = exchange;
	stream->id = id;
	stream->changed.next = stream->changed.prev = &stream->changed;
	stream->refuse_status = 0;
	stream->request_ended = stream->end_sent = stream->deferred = false;
	h2_fields_clear(&stream->fields);
	h2_fields_clear(&stream->trailers);
	return true;
}

void hs_h2_stream_shrink(struct hs_h2_stream *stream)
{
	if (stream == NULL)
		return;
	if (stream->fields.capacity > FIELDS_KEPT)
		h2_fields_free(&stream->fields);
	if (stream->trailers.capacity > FIELDS_KEPT)
		h2_fields_free(&stream->trailers);
}

void hs_h2_stream_free(struct hs_h2_stream *stream)
{
	if (stream == NULL)
		return;
	h2_fields_free(&stream->fields);
	h2_fields_free(&stream->trailers);
	free(stream);
}

/* ---- ends */

void hs_h2_reset(struct kolk_http_server_exchange *exchange, uint32_t code)
{
	(void)nghttp2_submit_rst_stream(exchange->h2->ng, NGHTTP2_FLAG_NONE, exchange->stream->id,
					code);
}

/* Why it ended first is why it ended. */
static void tell_end(struct kolk_http_server_exchange *exchange, enum kolk_err err)
{
	if (exchange->running)
		hs_exchange_end(exchange, exchange->err != KOLK_OK ? exchange->err : err);
}

void hs_h2_stream_end(struct kolk_http_server_exchange *exchange, enum kolk_err err)
{
	struct hs_h2 *h2 = exchange->h2;

	tell_end(exchange, err);
	hs_list_remove(&exchange->stream->in_conn);
	hs_list_remove(&exchange->stream->changed);
	(void)nghttp2_session_set_stream_user_data(h2->ng, exchange->stream->id, NULL);
	hs_exchange_put(h2->conn->loop, exchange);
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *user)
{
	struct kolk_http_server_exchange *exchange = exchange_of(ng, id);

	(void)user;
	if (exchange == NULL)
		return 0;
	hs_h2_stream_end(exchange, exchange->stream->end_sent ? KOLK_OK :
				   code == NGHTTP2_PROTOCOL_ERROR ? KOLK_E_PROTOCOL :
								    KOLK_E_RESET);
	return 0;
}

/* The callee hears of it now; nghttp2 closes the stream when the reset is on its way. */
void hs_h2_fail(struct kolk_http_server_exchange *exchange, enum kolk_err err, uint32_t code)
{
	if (exchange->err != KOLK_OK)
		return;
	exchange->err = err;
	hs_h2_reset(exchange, code);
	tell_end(exchange, err);
}

void hs_h2_break_off(struct kolk_http_server_exchange *exchange, uint32_t status,
		     enum kolk_err err)
{
	if (exchange->err != KOLK_OK || exchange->body_done)
		return;
	if (exchange->phase == HS_NO_ANSWER) {
		tell_end(exchange, err);
		hs_refuse(exchange, status);
	} else if (exchange->phase == HS_PULL) {
		hs_h2_fail(exchange, err, NGHTTP2_CANCEL);
	} else {
		exchange->kept.size = 0;
		exchange->body_done = true;
	}
}

/* ---- heads */

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
	struct hs_h2 *h2 = user;
	struct kolk_http_server_exchange *exchange;
	struct hs_h2_stream *stream;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	exchange = hs_exchange_get(h2->conn);
	if (exchange == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if (!stream_begin(exchange, frame->hd.stream_id)) {
		hs_exchange_put(h2->conn->loop, exchange);
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	exchange->h2 = h2;
	stream = exchange->stream;
	stream->in_conn.next = &h2->streams;
	stream->in_conn.prev = h2->streams.prev;
	h2->streams.prev->next = &stream->in_conn;
	h2->streams.prev = &stream->in_conn;
	return nghttp2_session_set_stream_user_data(ng, frame->hd.stream_id, exchange);
}

/* A head that is too large is read to its end all the same: the coding of all heads is one. */
static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
		     void *user)
{
	struct kolk_http_server_exchange *exchange = exchange_of(ng, frame->hd.stream_id);
	const struct hs_h2 *h2 = user;
	const struct kolk_http_server_options *options = h2->conn->loop->options;
	nghttp2_vec name_vec = { .base = (uint8_t *)(uintptr_t)name, .len = name_size };
	nghttp2_vec value_vec = { .base = (uint8_t *)(uintptr_t)value, .len = value_size };
	struct h2_fields *fields;

	(void)flags;
	if (exchange == NULL || exchange->stream->refuse_status != 0)
		return 0;
	fields = frame->headers.cat == NGHTTP2_HCAT_REQUEST ? &exchange->stream->fields :
							      &exchange->stream->trailers;
	if (fields->count >= options->fields_max + PSEUDO_FIELDS ||
	    fields->size + (fields->count + 1) * FIELD_SPARE + name_size + value_size >
		    options->head_bytes_max) {
		exchange->stream->refuse_status = 431;
		return 0;
	}
	return h2_fields_add(fields, &name_vec, &value_vec) == KOLK_OK ?
		       0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* nghttp2 has checked what RFC 9113, section 8.2 and 8.3 say: names, values, which pseudo fields,
 * each once, and before all others. */
static void split_pseudo(struct kolk_http_server_exchange *exchange)
{
	struct kolk_http_request_head *head = &exchange->parser.head;
	struct kolk_http_field *at = exchange->stream->fields.at;
	uint32_t count = exchange->stream->fields.count;

	for (; count > 0 && at->name[0] == ':'; at++, count--) {
		if (strcmp(at->name, ":method") == 0)
			head->method = at->value;
		else if (strcmp(at->name, ":path") == 0)
			head->target = at->value;
		else if (strcmp(at->name, ":authority") == 0)
			head->authority = at->value;
		else if (strcmp(at->name, ":scheme") == 0)
			head->scheme = at->value;
	}
	head->fields = at;
	head->field_count = count;
}

static uint32_t check_field(struct kolk_http_request_head *head,
			    const struct kolk_http_field *field)
{
	if (strcmp(field->name, "host") == 0) {
		if (head->authority == NULL)
			head->authority = field->value;
		return kolk__word_equal(head->authority, field->value) ? 0 : 400;
	}
	if (strcmp(field->name, "expect") == 0) {
		head->expect_continue = 1;
		return kolk__word_equal(field->value, "100-continue") ? 0 : 417;
	}
	if (strcmp(field->name, "content-length") == 0)
		return h1_length(field->value, &head->body_size) ? 0 : 400;
	if (strcmp(field->name, "te") == 0)
		head->trailers_accepted = kolk__word_equal(field->value, "trailers");
	return 0;
}

/* The same rules as those of HTTP/1.1 (h1_request.c): a proxy may pass it on as that. */
static uint32_t check_head(struct kolk_http_server_exchange *exchange, bool ended)
{
	struct kolk_http_request_head *head = &exchange->parser.head;
	uint32_t status = exchange->stream->refuse_status;

	if (status != 0)
		return status;
	if (head->method == NULL || strcmp(head->method, "CONNECT") == 0)
		return 501;
	head->body_size = ended ? 0 : KOLK_HTTP_CHUNKED;
	for (uint32_t i = 0; i < head->field_count && status == 0; i++)
		status = check_field(head, &head->fields[i]);
	if (status != 0)
		return status;
	if (head->body_size == 0 && !ended) /* it is none when its end says so */
		head->body_size = KOLK_HTTP_CHUNKED;
	head->expect_continue &= !ended;
	if (head->target == NULL || head->scheme == NULL || head->authority == NULL ||
	    !h1_is_authority(head->authority) || !h1_is_target(head->method, head->target))
		return 400;
	if (strlen(head->target) > exchange->parser.limits.target_bytes_max)
		return 414;
	if (!kolk__word_equal(head->scheme, "http") && !kolk__word_equal(head->scheme, "https"))
		return 400;
	if (head->body_size != KOLK_HTTP_CHUNKED &&
	    head->body_size > exchange->parser.limits.body_bytes_max)
		return 413;
	return 0;
}

bool hs_h2_continue(struct kolk_http_server_exchange *exchange)
{
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);

	answer.status = 100;
	exchange->continue_due = false;
	return hs_h2_submit_informational(exchange, &answer) == KOLK_OK;
}

/* The callee did not answer and is not paused: it wants the body. */
static void continue_if_wanted(struct kolk_http_server_exchange *exchange)
{
	if (exchange->continue_due && exchange->running && !exchange->paused &&
	    exchange->phase == HS_NO_ANSWER && exchange->err == KOLK_OK)
		(void)hs_h2_continue(exchange);
}

static void show_request(struct kolk_http_server_exchange *exchange)
{
	struct hs_conn *conn = exchange->conn;

	exchange->running = true;
	hs_count_request(exchange);
	exchange->continue_due = exchange->parser.head.expect_continue != 0;
	exchange->user = handler_of(exchange)->request(conn->loop->server_user, exchange,
						       &exchange->parser.head);
	continue_if_wanted(exchange);
}

static void on_request(struct kolk_http_server_exchange *exchange, bool ended)
{
	struct hs_conn *conn = exchange->conn;
	uint32_t status;

	conn->requests++;
	if (conn->requests >= conn->loop->options->requests_max)
		hs_h2_drain(conn);
	else if (hs_loop_parts(conn->loop))
		hs_h2_part(conn);
	moved(exchange);
	exchange->stream->request_ended = ended;
	if (h2_fields_join_cookies(&exchange->stream->fields) != KOLK_OK) {
		hs_h2_fail(exchange, KOLK_E_MEMORY, NGHTTP2_INTERNAL_ERROR);
		return;
	}
	h2_fields_finish(&exchange->stream->fields);
	exchange->parser.head.version = 20;
	split_pseudo(exchange);
	status = check_head(exchange, ended);
	if (status == 0) {
		show_request(exchange);
		return;
	}
	hs_count_refused(conn, status);
	hs_refuse(exchange, status);
}

/* ---- bodies */

static void show_body(struct kolk_http_server_exchange *exchange, const void *data, size_t size)
{
	exchange->continue_due = false;
	if (handler_of(exchange)->body != NULL)
		handler_of(exchange)->body(exchange->user, exchange, data, size);
	(void)nghttp2_session_consume_stream(exchange->h2->ng, exchange->stream->id, size);
}

/* The last byte of an announced body waits for the end: a body that goes on is malformed (RFC 9113,
 * section 8.1.1), and a server behind a proxy would have a whole request before that is known. */
static size_t withheld(const struct kolk_http_server_exchange *exchange)
{
	return exchange->parser.body_size == exchange->parser.head.body_size &&
	       !exchange->stream->request_ended;
}

static bool may_show(const struct kolk_http_server_exchange *exchange)
{
	return exchange->running && exchange->err == KOLK_OK && !exchange->paused;
}

static void show_kept(struct kolk_http_server_exchange *exchange)
{
	struct hs_buffer *kept = &exchange->kept;
	size_t held = withheld(exchange), size = kept->size - held;

	if (size == 0 || !may_show(exchange))
		return;
	kept->size = held;
	show_body(exchange, kept->data, size);
	if (held > 0)
		kept->data[0] = kept->data[size];
}

/* The end, when all of the body was shown. */
static void show_end(struct kolk_http_server_exchange *exchange)
{
	if (!exchange->stream->request_ended || exchange->body_done || exchange->kept.size > 0 ||
	    !may_show(exchange))
		return;
	exchange->body_done = true;
	exchange->continue_due = false;
	if (handler_of(exchange)->body_end != NULL)
		handler_of(exchange)->body_end(exchange->user, exchange, exchange->stream->trailers.at,
					       exchange->stream->trailers.count);
}

static int keep_body(struct kolk_http_server_exchange *exchange, const uint8_t *data, size_t size)
{
	struct hs_buffer *kept = &exchange->kept;

	if (!hs_reserve(kept, size)) {
		hs_h2_fail(exchange, KOLK_E_MEMORY, NGHTTP2_INTERNAL_ERROR);
		return 0;
	}
	memcpy(kept->data + kept->size, data, size);
	kept->size += size;
	return 0;
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data,
		   size_t size, void *user)
{
	struct kolk_http_server_exchange *exchange = exchange_of(ng, id);
	size_t held;

	(void)user;
	(void)nghttp2_session_consume_connection(ng, size);
	if (exchange == NULL || !exchange->running || exchange->err != KOLK_OK ||
	    exchange->body_done)
		return 0;
	moved(exchange);
	exchange->parser.body_size += size;
	if (exchange->parser.body_size > exchange->parser.limits.body_bytes_max) {
		hs_h2_break_off(exchange, 413, KOLK_E_LIMIT);
		return 0;
	}
	held = withheld(exchange);
	if (held > 0 && (flags & NGHTTP2_FLAG_END_STREAM) != 0)
		held = size; /* its end is near: all is shown at once */
	if (exchange->paused || exchange->kept.size > 0 || size == held)
		return keep_body(exchange, data, size);
	show_body(exchange, data, size - held);
	return held > 0 ? keep_body(exchange, data + size - held, held) : 0;
}

/* 0 = they may be shown. */
static uint32_t trailers_status(const struct kolk_http_server_exchange *exchange)
{
	for (uint32_t i = 0; i < exchange->stream->trailers.count; i++)
		if (!h1_is_trailer(exchange->stream->trailers.at[i].name))
			return 400;
	return exchange->stream->refuse_status;
}

static int on_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
	struct kolk_http_server_exchange *exchange = exchange_of(ng, frame->hd.stream_id);
	bool ended = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

	(void)user;
	if (exchange == NULL ||
	    (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
		on_request(exchange, ended);
	} else if (ended) {
		exchange->stream->request_ended = true;
		h2_fields_finish(&exchange->stream->trailers);
	}
	if (exchange->stream->request_ended && exchange->running && trailers_status(exchange) != 0)
		hs_h2_break_off(exchange, trailers_status(exchange), KOLK_E_PROTOCOL);
	if (exchange->stream->request_ended)
		show_kept(exchange);
	show_end(exchange);
	return 0;
}

static int on_frame_send(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
	struct kolk_http_server_exchange *exchange = exchange_of(ng, frame->hd.stream_id);

	hs_h2_earn(user, &frame->hd);
	if (frame->hd.type == NGHTTP2_RST_STREAM)
		hs_h2_reset_sent(user, exchange, frame->rst_stream.error_code);
	if (exchange != NULL)
		moved(exchange);
	if (exchange == NULL || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) ||
	    (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
		return 0;
	exchange->stream->end_sent = true;
	if (!exchange->stream->request_ended) /* RFC 9113, section 8.1: no more of it is wanted */
		hs_h2_reset(exchange, NGHTTP2_NO_ERROR);
	return 0;
}

void hs_h2_callbacks_fill(nghttp2_session_callbacks *callbacks)
{
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}

/* ---- what a callee asked for */

void hs_h2_stream_update(struct kolk_http_server_exchange *exchange)
{
	hs_list_remove(&exchange->stream->changed);
	moved(exchange);
	if (exchange->err != KOLK_OK) {
		if (exchange->running) /* cancelled */
			hs_h2_reset(exchange, NGHTTP2_CANCEL);
		tell_end(exchange, exchange->err);
		return;
	}
	continue_if_wanted(exchange);
	show_kept(exchange);
	show_end(exchange);
	if (exchange->phase == HS_PULL && !exchange->pull_pending && exchange->stream->deferred)
		hs_h2_resume_data(exchange);
}
