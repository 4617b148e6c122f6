/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_request.c - an exchange on an HTTP/2 connection: its request becomes a stream, what is
 * received on it is delivered to the caller, or buffered while the caller pauses: never more than
 * the stream's window.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transport/drivers/credential.h"
#include "transport/drivers/h2.h"

/* ---- pending work, for when nghttp2 has returned */

static void add_pending(struct h2_request *request)
{
	struct h2_conn *conn = request->conn;

	if (!request->is_pending) {
		request->is_pending = true;
		request->pending_next = conn->pending;
		conn->pending = request;
	}
	h2_conn_post_update(conn);
}

/* ---- what is received */

static enum kolk_err on_field(void *owner, const nghttp2_vec *name, const nghttp2_vec *value)
{
	struct h2_request *request = owner;

	request->exchange->answered = true;
	return h2_fields_add(&request->fields, name, value);
}

static void stop_awaiting_continue(struct h2_request *request)
{
	if (request->continue_deadline_ns == 0)
		return;
	request->continue_deadline_ns = 0;
	request->conn->awaiting_continue--;
}

/* nghttp2 refuses what is not a number, and two of them. */
static uint64_t content_length_of(const struct h2_fields *fields)
{
	const char *text = kolk_http_field(fields->at, fields->count, "content-length");

	return text != NULL ? strtoull(text, NULL, 10) : KOLK_HTTP_CHUNKED;
}

/* A head that ends the stream says that there is no body; to HEAD and with 304 (RFC 9110, section
 * 8.6) not how long it would have been. */
static uint64_t body_size_of(const struct h2_request *request, unsigned status)
{
	uint64_t size = content_length_of(&request->fields);

	if (size == KOLK_HTTP_CHUNKED && request->stream->complete && status != 304 &&
	    strcmp(request->exchange->asked->request.method, "HEAD") != 0)
		return 0;
	return size;
}

static enum kolk_err on_head(void *owner, unsigned status)
{
	struct h2_request *request = owner;
	struct h2_fields *fields = &request->fields;
	struct kolk_http_exchange *exchange = request->exchange;
	struct kolk_http_head head = { .status = status, .version = 20,
				       .field_count = fields->count,
				       .reused = exchange->reused };

	h2_fields_finish(fields);
	exchange->answered = true;
	http_record_activity(exchange);
	if (status == 0) /* trailers stay for end */
		return KOLK_OK;
	head.fields = fields->at;
	head.body_size = body_size_of(request, status);
	if (status == 100 && request->continue_deadline_ns != 0) {
		stop_awaiting_continue(request);
		h2_stream_more(request->stream);
	}
	if (status < 200) {
		http_informational(exchange, &head);
	} else {
		stop_awaiting_continue(request);
		request->answered = true;
		h2_conn_answered(request->conn);
		http_head(exchange, &head);
	}
	h2_fields_clear(fields);
	return KOLK_OK;
}

/* The caller pauses: a window's worth at most can come. */
static enum kolk_err buffer_data(struct h2_request *request, const uint8_t *data, size_t size)
{
	size_t need = request->buffered_size + size;
	size_t capacity = request->buffered_capacity < 4096 ? 4096 : request->buffered_capacity;
	uint8_t *bigger;

	while (capacity < need)
		capacity *= 2;
	if (capacity > request->buffered_capacity) {
		bigger = realloc(request->buffered, capacity);
		if (bigger == NULL)
			return KOLK_E_MEMORY;
		request->buffered = bigger;
		request->buffered_capacity = capacity;
	}
	memcpy(request->buffered + request->buffered_size, data, size);
	request->buffered_size = need;
	return KOLK_OK;
}

static enum kolk_err on_data(void *owner, const uint8_t *data, size_t size)
{
	struct h2_request *request = owner;

	http_record_activity(request->exchange);
	if (request->exchange->paused || request->buffered_size > 0)
		return buffer_data(request, data, size);
	http_body(request->exchange, data, size);
	if (request->stream != NULL)
		h2_stream_consume(request->stream, size);
	return KOLK_OK;
}

static void on_end(void *owner, const struct h2_end *end)
{
	struct h2_request *request = owner;

	request->stream = NULL;
	if (request->ended)
		return;
	request->ended = true;
	request->end = *end;
	add_pending(request);
}

/* ---- what is sent */

static enum kolk_err pull_bytes(struct h2_request *request, struct h2_body_part *part)
{
	struct kolk_http_exchange *exchange = request->exchange;
	const struct kolk_http_request *asked = &exchange->asked->request;
	uint64_t left = asked->pull_size - request->body_sent; /* huge when it is not known */
	enum kolk_err err;

	if (left == 0) { /* as announced: pull is not called again */
		part->last = true;
		return KOLK_OK;
	}
	if (part->capacity > left)
		part->capacity = (size_t)left;
	exchange->pulled = true;
	err = asked->pull(exchange->user, part->buffer, part->capacity, &part->size);
	if (err != KOLK_OK)
		return err;
	if (part->size > part->capacity ||
	    (part->size == 0 && asked->pull_size != KOLK_HTTP_CHUNKED))
		return KOLK_E_OPTIONS;
	request->body_sent += part->size;
	part->last = part->size == 0 || request->body_sent == asked->pull_size;
	return KOLK_OK;
}

static enum kolk_err pull_memory(struct h2_request *request, struct h2_body_part *part)
{
	const struct kolk_http_request *asked = &request->exchange->asked->request;
	uint64_t left = asked->body_size - request->body_sent;

	part->size = left < part->capacity ? (size_t)left : part->capacity;
	memcpy(part->buffer, (const uint8_t *)asked->body + request->body_sent, part->size);
	request->body_sent += part->size;
	part->last = request->body_sent == asked->body_size;
	return KOLK_OK;
}

static nghttp2_nv field_of(const char *name, const char *value, uint8_t flags)
{
	return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
			     strlen(value), flags };
}

static enum kolk_err send_trailers(struct h2_request *request)
{
	const struct kolk_http_request *asked = &request->exchange->asked->request;
	size_t count = http_trailer_count(asked->trailers, asked->trailer_count);
	enum kolk_err err;
	nghttp2_nv *fields;

	if (count == 0)
		return KOLK_OK;
	if (!http_fields_valid(asked->trailers, count))
		return KOLK_E_OPTIONS;
	fields = calloc(count, sizeof *fields);
	if (fields == NULL)
		return KOLK_E_MEMORY;
	for (size_t i = 0; i < count; i++)
		fields[i] = field_of(asked->trailers[i].name, asked->trailers[i].value,
				     NGHTTP2_NV_FLAG_NONE);
	err = h2_stream_trailers(request->stream, fields, count);
	free(fields);
	return err;
}

static enum kolk_err on_pull(void *owner, struct h2_body_part *part)
{
	struct h2_request *request = owner;
	const struct kolk_http_request *asked = &request->exchange->asked->request;
	enum kolk_err err;

	if (request->continue_deadline_ns != 0)
		return KOLK_PENDING;
	err = asked->pull != NULL ? pull_bytes(request, part) : pull_memory(request, part);
	if (request->stream == NULL) /* cancelled from within pull */
		return KOLK_PENDING;
	if (err == KOLK_OK)
		http_record_activity(request->exchange);
	if (err == KOLK_OK && part->last && asked->trailer_count > 0 &&
	    asked->pull_size == KOLK_HTTP_CHUNKED && asked->pull != NULL)
		err = send_trailers(request);
	return err;
}

static const struct h2_stream_callbacks callbacks_with_body = { on_field, on_head, on_data,
							       on_pull, on_end };
static const struct h2_stream_callbacks callbacks_without_body = { on_field, on_head, on_data,
								  NULL, on_end };

/* ---- the request's head */

/* Secrets are kept out of the compression table (RFC 7541, section 7.1.3). */
static uint8_t flags_of(const char *name)
{
	return http_is_credential(name, strlen(name)) ? NGHTTP2_NV_FLAG_NO_INDEX :
							NGHTTP2_NV_FLAG_NONE;
}

static bool has_body(const struct kolk_http_request *asked)
{
	return asked->pull != NULL || asked->body_size > 0;
}

/* Readers of POST and PUT expect a length even when it is 0 (RFC 9110, section 8.6). */
static bool sends_content_length(const struct kolk_http_request *asked)
{
	if (asked->pull != NULL)
		return asked->pull_size != KOLK_HTTP_CHUNKED;
	return asked->body_size > 0 || strcmp(asked->method, "POST") == 0 ||
	       strcmp(asked->method, "PUT") == 0 || strcmp(asked->method, "PATCH") == 0;
}

static size_t head_fill(const struct h2_request *request, const char *path, nghttp2_nv *fields,
			char size_text[24])
{
	const struct kolk_http_request *asked = &request->exchange->asked->request;
	const char *scheme = asked->scheme != NULL ? asked->scheme :
			     request->conn->tls    ? "https" : "http";
	size_t count = 0;
	uint64_t size = asked->pull != NULL ? asked->pull_size : asked->body_size;

	fields[count++] = field_of(":method", asked->method, 0);
	fields[count++] = field_of(":scheme", scheme, 0);
	fields[count++] = field_of(":authority", asked->authority, 0);
	fields[count++] = field_of(":path", path, 0);
	for (uint32_t i = 0; i < asked->field_count; i++)
		fields[count++] = field_of(asked->fields[i].name, asked->fields[i].value,
					   flags_of(asked->fields[i].name));
	if (sends_content_length(asked)) {
		(void)snprintf(size_text, 24, "%llu", (unsigned long long)size);
		fields[count++] = field_of("content-length", size_text, 0);
	}
	if (asked->expect_continue && has_body(asked))
		fields[count++] = field_of("expect", "100-continue", 0);
	if (asked->trailers_accepted)
		fields[count++] = field_of("te", "trailers", 0);
	return count;
}

/* The base path of the pool and the target; NULL = no memory. *joined: freed by the caller. */
static const char *path_of(const struct h2_request *request, char **joined)
{
	const char *base = request->conn->options.base_path;
	const char *target = request->exchange->asked->request.target;

	*joined = NULL;
	if (base == NULL || target[0] != '/')
		return target;
	*joined = malloc(strlen(base) + strlen(target) + 1);
	if (*joined != NULL)
		(void)stpcpy(stpcpy(*joined, base), target);
	return *joined;
}

static enum kolk_err submit(struct h2_request *request)
{
	enum { FEW = 32, OWN = 7 };
	const struct kolk_http_request *asked = &request->exchange->asked->request;
	struct h2_submission submission = {
		.callbacks = has_body(asked) ? &callbacks_with_body : &callbacks_without_body,
		.owner = request
	};
	nghttp2_nv few[FEW + OWN], *fields = few;
	char size_text[24], *joined;
	const char *path = path_of(request, &joined);
	enum kolk_err err = KOLK_E_MEMORY;

	if (asked->field_count > FEW)
		fields = malloc((asked->field_count + OWN) * sizeof *fields);
	if (fields != NULL && path != NULL) {
		submission.fields = fields;
		submission.count = head_fill(request, path, fields, size_text);
		err = h2_stream_submit(request->conn->session, &submission, kolk_in_ns(0),
				       &request->stream);
	}
	if (fields != few)
		free(fields);
	free(joined);
	return err;
}

enum kolk_err h2_submit(struct http_conn *http, struct kolk_http_exchange *exchange)
{
	struct h2_conn *conn = (struct h2_conn *)(void *)http;
	const struct kolk_http_request *asked = &exchange->asked->request;
	struct h2_request *request;
	enum kolk_err err;

	if (asked->upgrade != NULL || strcmp(asked->method, "CONNECT") == 0)
		return KOLK_E_UNSUPPORTED;
	if (h2_conn_is_stale(conn))
		return KOLK_E_LIMIT;
	request = calloc(1, sizeof *request);
	if (request == NULL)
		return KOLK_E_MEMORY;
	request->conn = conn;
	request->exchange = exchange;
	if (asked->expect_continue && has_body(asked))
		request->continue_deadline_ns = kolk_in_ns(conn->options.continue_timeout_ns);
	err = submit(request);
	if (err != KOLK_OK) {
		http->streams_free = err == KOLK_E_LIMIT ? 0 : http->streams_free;
		free(request);
		return err;
	}
	conn->awaiting_continue += request->continue_deadline_ns != 0;
	request->next = conn->requests;
	request->prev = &conn->requests;
	if (request->next != NULL)
		request->next->prev = &request->next;
	conn->requests = request;
	exchange->h2 = request;
	exchange->reused = conn->session->total > 1;
	exchange->may_be_stale |= exchange->reused;
	http->streams_free--;
	h2_conn_post_update(conn);
	return KOLK_PENDING;
}

/* ---- the end */

static void request_free(struct h2_request *request)
{
	if (request->is_pending) { /* the caller made it pending again from its callback */
		struct h2_request **at = &request->conn->pending;

		while (*at != request)
			at = &(*at)->pending_next;
		*at = request->pending_next;
	}
	stop_awaiting_continue(request);
	*request->prev = request->next;
	if (request->next != NULL)
		request->next->prev = request->prev;
	free(request->fields.text);
	free(request->fields.at);
	free(request->buffered);
	free(request);
}

static enum http_processed processed_of(const struct h2_end *end)
{
	if (end->unsent)
		return HTTP_UNSENT;
	if (end->unprocessed)
		return end->reset ? HTTP_REFUSED : HTTP_UNPROCESSED;
	return HTTP_MAYBE_PROCESSED;
}

static void finish(struct h2_request *request)
{
	struct kolk_http_exchange *exchange = request->exchange;
	struct h2_fields trailers = request->fields;
	struct http_outcome outcome = { .err = request->end.err,
					.processed = processed_of(&request->end),
					.trailers = trailers.at,
					.trailer_count = trailers.count };

	if (!request->answered || outcome.err != KOLK_OK)
		outcome.trailer_count = 0;
	request->fields = (struct h2_fields){ 0 };
	exchange->h2 = NULL;
	h2_conn_update_capacity(request->conn);
	request_free(request);
	http_attempt_ended(exchange, &outcome);
	free(trailers.text);
	free(trailers.at);
}

/* Delivers all that was buffered: the caller may pause again for what follows. */
static void deliver_buffered(struct h2_request *request)
{
	uint8_t *buffered = request->buffered;
	size_t size = request->buffered_size;

	request->buffered = NULL;
	request->buffered_size = request->buffered_capacity = 0;
	http_body(request->exchange, buffered, size);
	if (request->stream != NULL)
		h2_stream_consume(request->stream, size);
	free(buffered);
}

void h2_requests_update(struct h2_conn *conn)
{
	while (conn->pending != NULL) {
		struct h2_request *request = conn->pending;

		conn->pending = request->pending_next;
		request->is_pending = false;
		if (request->buffered_size > 0 && !request->exchange->paused && !request->cancelled)
			deliver_buffered(request);
		if (request->ended && (request->buffered_size == 0 || request->end.err != KOLK_OK))
			finish(request);
	}
}

uint64_t h2_requests_continue(struct h2_conn *conn, uint64_t now_ns)
{
	uint64_t next_ns = 0;

	for (struct h2_request *at = conn->requests; at != NULL && conn->awaiting_continue > 0;
	     at = at->next) {
		if (at->continue_deadline_ns == 0)
			continue;
		if (at->continue_deadline_ns > now_ns) {
			next_ns = next_ns == 0 || at->continue_deadline_ns < next_ns ?
					  at->continue_deadline_ns : next_ns;
			continue;
		}
		stop_awaiting_continue(at);
		if (at->stream != NULL)
			h2_stream_more(at->stream);
		h2_conn_post_update(conn);
	}
	return next_ns;
}

void h2_cancel(struct kolk_http_exchange *exchange, enum kolk_err err)
{
	struct h2_request *request = exchange->h2;

	if (request->cancelled)
		return;
	if (request->stream != NULL)
		h2_stream_abandon(request->stream, kolk_in_ns(0));
	request->stream = NULL;
	request->cancelled = request->ended = true;
	request->end = (struct h2_end){ .err = err };
	add_pending(request);
}

void h2_resume(struct kolk_http_exchange *exchange)
{
	add_pending(exchange->h2);
}

void h2_more(struct kolk_http_exchange *exchange)
{
	struct h2_request *request = exchange->h2;

	if (request->stream != NULL)
		h2_stream_more(request->stream);
	h2_conn_post_update(request->conn);
}
