/* SPDX-License-Identifier: Apache-2.0 */
/* http_server_answer.c - the answer of an exchange: checked, written, its body fetched and sent.
 * One send at a time: what is written meanwhile goes out with the next. */
#include <string.h>

#include "core/base/sized.h"
#include "transport/drivers/h1_fields.h"
#include "transport/drivers/http.h"
#include "transport/drivers/http_server_h2.h"

enum { CHUNK_HEAD = 6, CHUNK_TAIL = 2 }; /* "4000\r\n" and "\r\n" */
_Static_assert(HS_OUT_BYTES <= 0xffff && HS_WRITE_MAX <= 0xffff, "a chunk's size has four digits");

/* ---- is it allowed? */

static bool is_whole(const struct kolk_http_server_exchange *exchange)
{
	return exchange->body_done || exchange->parser.message.state == H1_WHOLE;
}

static bool upgrade_valid(const struct kolk_http_server_exchange *exchange,
			  const struct kolk_http_answer *answer)
{
	if (answer->status != 101)
		return answer->upgrade == NULL;
	return answer->upgrade != NULL && http_upgrade_valid(answer->upgrade) &&
	       exchange->parser.head.upgrade != NULL && is_whole(exchange) &&
	       answer->pull != NULL && answer->pull_size == KOLK_HTTP_CHUNKED;
}

static bool body_valid(const struct h1_answer_head *head)
{
	const struct kolk_http_answer *answer = head->answer;

	if (answer->body_size > 0 && (answer->body == NULL || answer->pull != NULL))
		return false;
	if (answer->pull == NULL && answer->pull_size != 0 && !h1_answer_is_empty(head))
		return false;
	return answer->trailer_count == 0 ||
	       (answer->pull != NULL && answer->pull_size == KOLK_HTTP_CHUNKED &&
		answer->trailers != NULL);
}

static bool answer_valid(const struct kolk_http_server_exchange *exchange,
			 const struct h1_answer_head *head)
{
	const struct kolk_http_answer *answer = head->answer;

	return answer->status <= 599 &&
	       (answer->status >= 200 || answer->status == 101) &&
	       upgrade_valid(exchange, answer) && body_valid(head) &&
	       http_fields_valid_behind(answer->fields, answer->field_count,
					answer->fields_checked);
}

/* ---- what is written */

/* A client that waits for 100 may send its body or not: nothing behind it is a request for sure.
 * One that is refused need not send a large body that would be read away. */
static bool can_keep(const struct kolk_http_server_exchange *exchange,
		     const struct kolk_http_answer *answer)
{
	const struct hs_conn *conn = exchange->conn;
	const struct h1_message *message = &exchange->parser.message;

	if (!exchange->parser.keep || answer->close != 0 || conn->peer_ended ||
	    exchange->continue_due || conn->loop->draining || hs_loop_parts(conn->loop) ||
	    conn->requests >= conn->loop->options->requests_max)
		return false;
	return answer->status < 400 || message->state != H1_FIXED ||
	       message->left <= conn->loop->options->drain_bytes_max;
}

static bool write_head(struct kolk_http_server_exchange *exchange,
		       const struct h1_answer_head *head, size_t body)
{
	struct hs_buffer *out = &exchange->out;
	size_t size = h1_write_answer(head, out->data + out->size, out->capacity - out->size);

	if (size + body > out->capacity - out->size) {
		if (!hs_reserve(out, size + body))
			return false;
		h1_write_answer(head, out->data + out->size, out->capacity - out->size);
	}
	out->size += size;
	return true;
}

static void add_out(struct kolk_http_server_exchange *exchange, const void *data, size_t size)
{
	memcpy(exchange->out.data + exchange->out.size, data, size);
	exchange->out.size += size;
}

static bool add_continue(struct kolk_http_server_exchange *exchange)
{
	static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (exchange->h2 != NULL)
		return hs_h2_continue(exchange);
	if (!hs_reserve(&exchange->out, sizeof line - 1))
		return false;
	add_out(exchange, line, sizeof line - 1);
	exchange->continue_due = false;
	return true;
}

/* An answer that is made while the body comes: 100 has its place before it. */
static bool continue_before(const struct kolk_http_server_exchange *exchange,
			    const struct kolk_http_answer *answer)
{
	return exchange->continue_due && !exchange->paused && answer->pull != NULL &&
	       answer->status < 300;
}

/* The head, and of a body in memory as much as is better copied than sent for itself. */
static enum kolk_err begin_answer(struct kolk_http_server_exchange *exchange,
				  const struct h1_answer_head *head)
{
	const struct kolk_http_answer *answer = head->answer;
	bool empty = h1_answer_is_empty(head);
	size_t copied = empty || answer->pull != NULL ? 0 : answer->body_size;

	copied = copied > HS_OUT_BYTES ? HS_OUT_BYTES : copied;
	if (!write_head(exchange, head, copied))
		return KOLK_E_MEMORY;
	exchange->answer = *answer;
	exchange->answer.fields = NULL;
	exchange->keep = head->keep;
	exchange->chunked = head->body == H1_ANSWER_CHUNKED;
	exchange->tunnel = answer->status == 101;
	if (copied > 0)
		add_out(exchange, answer->body, copied);
	exchange->body_sent = copied;
	if (empty || (answer->pull == NULL ? copied == answer->body_size : answer->pull_size == 0))
		exchange->phase = HS_WRITTEN;
	else
		exchange->phase = answer->pull == NULL ? HS_MEMORY : HS_PULL;
	return KOLK_OK;
}

static struct h1_answer_head head_of(struct kolk_http_server_exchange *exchange,
				     const struct kolk_http_answer *answer)
{
	const char *method = exchange->parser.head.method;

	return (struct h1_answer_head){
		.answer = answer,
		.date = answer->status == 101 ? NULL : hs_loop_date(exchange->conn->loop),
		.version = exchange->parser.head.version,
		.to_head = method != NULL && strcmp(method, "HEAD") == 0,
	};
}

enum kolk_err hs_answer(struct kolk_http_server_exchange *exchange,
			const struct kolk_http_answer *answer)
{
	struct hs_loop *loop = exchange->conn->loop;
	struct kolk_http_answer copy;
	const struct kolk_http_answer *seen = kolk__sized_view(&copy, answer);
	struct h1_answer_head head;
	enum kolk_err err;

	if (seen == NULL)
		return KOLK_E_OPTIONS;
	if (exchange->phase != HS_NO_ANSWER)
		return KOLK_E_IN_USE;
	if (!exchange->conn->running) /* the callee's own time: nothing has read the clock */
		loop->now_ns = loop->clock->now(loop);
	head = head_of(exchange, seen);
	if (!answer_valid(exchange, &head))
		return KOLK_E_OPTIONS;
	if (exchange->conn->ending || exchange->err != KOLK_OK)
		return KOLK_OK;
	if (continue_before(exchange, seen) && !add_continue(exchange))
		return KOLK_E_MEMORY;
	head.keep = can_keep(exchange, seen);
	h1_answer_frame(&head);
	err = exchange->h2 != NULL ? hs_h2_submit(exchange, &head) : begin_answer(exchange, &head);
	if (err != KOLK_OK)
		return err;
	hs_count_answer(loop, seen->status);
	hs_conn_post(exchange->conn);
	return KOLK_OK;
}

enum kolk_err hs_inform(struct kolk_http_server_exchange *exchange,
			const struct kolk_http_answer *answer)
{
	struct hs_buffer *out = &exchange->out;
	size_t size;

	if (answer->status < 102 || answer->status > 199 ||
	    !http_fields_valid(answer->fields, answer->field_count))
		return KOLK_E_OPTIONS;
	if (exchange->phase != HS_NO_ANSWER)
		return KOLK_E_IN_USE;
	if (exchange->conn->ending || exchange->err != KOLK_OK ||
	    exchange->parser.head.version == 10)
		return KOLK_OK;
	hs_count_answer(exchange->conn->loop, answer->status);
	hs_conn_post(exchange->conn);
	if (exchange->h2 != NULL)
		return hs_h2_submit_informational(exchange, answer);
	size = h1_write_informational(answer, NULL, 0);
	if (!hs_reserve(out, size))
		return KOLK_E_MEMORY;
	h1_write_informational(answer, out->data + out->size, size);
	out->size += size;
	return KOLK_OK;
}

void hs_refuse(struct kolk_http_server_exchange *exchange, uint32_t status)
{
	static const struct kolk_http_field fields[] = {
		{ "content-type", "text/plain; charset=utf-8" }
	};
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);
	struct h1_answer_head head;

	answer.status = status;
	answer.fields = fields;
	answer.field_count = 1;
	answer.body = h1_reason(status);
	answer.body_size = strlen(answer.body);
	head = head_of(exchange, &answer);
	h1_answer_frame(&head);
	exchange->refusing = true;
	hs_count_answer(exchange->conn->loop, status);
	exchange->conn->again = true;
	if ((exchange->h2 != NULL ? hs_h2_submit(exchange, &head) :
				    begin_answer(exchange, &head)) != KOLK_OK)
		hs_conn_fail(exchange->conn, KOLK_E_MEMORY);
}

/* ---- bodies that are pulled */

static enum kolk_err end_chunks(struct kolk_http_server_exchange *exchange)
{
	const struct kolk_http_answer *answer = &exchange->answer;
	struct hs_buffer *out = &exchange->out;
	size_t count = http_trailer_count(answer->trailers, answer->trailer_count), size;

	if (!http_fields_valid(answer->trailers, count))
		return KOLK_E_OPTIONS;
	size = h1_write_last(answer->trailers, count, NULL, 0);
	if (!hs_reserve(out, size))
		return KOLK_E_MEMORY;
	h1_write_last(answer->trailers, count, out->data + out->size, size);
	out->size += size;
	return KOLK_OK;
}

/* Digits of its size; leading zeros are none of its value (RFC 9112, section 7.1). */
static void write_chunk_head(char *at, size_t size)
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 3; i >= 0; i--, size >>= 4)
		at[i] = digits[size & 15];
	at[4] = '\r';
	at[5] = '\n';
}

/* size bytes were pulled to their place. */
static void add_pulled(struct kolk_http_server_exchange *exchange, size_t size)
{
	struct hs_buffer *out = &exchange->out;

	exchange->body_sent += size;
	if (!exchange->chunked) {
		out->size += size;
		return;
	}
	write_chunk_head(out->data + out->size, size);
	out->size += CHUNK_HEAD + size;
	add_out(exchange, "\r\n", CHUNK_TAIL);
}

/* Where so many bytes are pulled to; NULL = no memory. */
static char *place_for(struct kolk_http_server_exchange *exchange, size_t size)
{
	struct hs_buffer *out = &exchange->out;

	hs_block_get(exchange->conn->loop, out);
	if (!hs_reserve(out, CHUNK_HEAD + size + CHUNK_TAIL))
		return NULL;
	return out->data + out->size + (exchange->chunked ? CHUNK_HEAD : 0);
}

static bool is_endless(const struct kolk_http_server_exchange *exchange)
{
	return exchange->answer.pull_size == KOLK_HTTP_CHUNKED;
}

/* What the body has at most, from here on. */
static uint64_t left_of(const struct kolk_http_server_exchange *exchange)
{
	return is_endless(exchange) ? UINT64_MAX : exchange->answer.pull_size - exchange->body_sent;
}

/* What goes out next takes more. */
static bool has_room(const struct kolk_http_server_exchange *exchange)
{
	return exchange->phase == HS_PULL && exchange->out.size < HS_OUT_BYTES / 2 &&
	       !exchange->conn->ending;
}

bool hs_write(struct kolk_http_server_exchange *exchange, const void *data, size_t size)
{
	char *place;

	if (!has_room(exchange) || size == 0 || size > HS_WRITE_MAX || size > left_of(exchange))
		return false;
	place = place_for(exchange, size);
	if (place == NULL)
		return false;
	memcpy(place, data, size);
	add_pulled(exchange, size);
	if (left_of(exchange) == 0)
		exchange->phase = HS_WRITTEN;
	return true;
}

static enum kolk_err pull_once(struct kolk_http_server_exchange *exchange)
{
	const struct kolk_http_answer *answer = &exchange->answer;
	uint64_t left = left_of(exchange);
	size_t size = 0, capacity = left < HS_OUT_BYTES ? (size_t)left : HS_OUT_BYTES;
	char *place = place_for(exchange, capacity);
	enum kolk_err err;

	if (place == NULL)
		return KOLK_E_MEMORY;
	err = answer->pull(exchange->user, place, capacity, &size);
	exchange->pull_pending = err == KOLK_PENDING;
	if (err != KOLK_OK)
		return exchange->pull_pending ? KOLK_OK : err;
	if (size > capacity || (size == 0 && !is_endless(exchange)))
		return KOLK_E_OPTIONS; /* not what was promised */
	if (size > 0)
		add_pulled(exchange, size);
	else if (exchange->chunked)
		err = end_chunks(exchange);
	if (size == 0 || left_of(exchange) == 0)
		exchange->phase = HS_WRITTEN;
	return err;
}

static void pull(struct kolk_http_server_exchange *exchange)
{
	while (has_room(exchange) && !exchange->pull_pending) {
		enum kolk_err err = pull_once(exchange);

		if (err != KOLK_OK)
			hs_conn_fail(exchange->conn, err);
	}
}

/* ---- sends */

/* The callee did not answer and is not paused: it wants the body. */
static void continue_if_wanted(struct kolk_http_server_exchange *exchange)
{
	if (exchange->continue_due && exchange->running && !exchange->paused &&
	    exchange->phase == HS_NO_ANSWER && !add_continue(exchange))
		hs_conn_fail(exchange->conn, KOLK_E_MEMORY);
}

static void send_bytes(struct kolk_http_server_exchange *exchange, const void *data, size_t size)
{
	struct hs_conn *conn = exchange->conn;
	enum kolk_err err;

	exchange->in_flight = true;
	err = conn->wire->send(conn, data, size);
	if (err == KOLK_PENDING)
		return;
	exchange->in_flight = false;
	hs_conn_fail(conn, err);
}

void hs_flush(struct kolk_http_server_exchange *exchange)
{
	struct hs_buffer out = exchange->out;

	if (exchange->in_flight || exchange->conn->ending)
		return;
	continue_if_wanted(exchange);
	pull(exchange);
	out = exchange->out;
	if (exchange->conn->ending)
		return;
	if (out.size > 0) {
		exchange->out = exchange->sending;
		exchange->sending = out;
		send_bytes(exchange, out.data, out.size);
	} else if (exchange->phase == HS_MEMORY) {
		exchange->phase = HS_WRITTEN;
		send_bytes(exchange, (const char *)exchange->answer.body + exchange->body_sent,
			   exchange->answer.body_size - (size_t)exchange->body_sent);
	} else if (exchange->phase == HS_WRITTEN) {
		hs_conn_answered(exchange->conn);
	} else if (exchange->pull_pending) {
		hs_exchange_silent(exchange);
	}
}
