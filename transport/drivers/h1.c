/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h1.c - one exchange of HTTP/1.1 on one lease: the request goes out, the answer is parsed as it
 * comes, both at the same time.
 *
 * The parser lives in the connection's session, not in the exchange: when the caller cancels, the
 * session knows what is outstanding, and it is drained or the connection closed (h1_driver.c).
 */
#include <string.h>

#include "core/base/ascii.h"
#include "transport/drivers/h1_exchange.h"

enum { SLICE_BYTES = 256 * 1024 };

static struct h1_exchange *h1_of(struct pump *pump)
{
	return (struct h1_exchange *)pump;
}

/* ---- what is sent */

/* on_write fails; the phase stays, so the connection is closed. */
static size_t fail_write(struct h1_exchange *h1, enum kolk_err err)
{
	h1->upload_stopped = true;
	pump_abort(&h1->pump, err);
	return 0;
}

static size_t write_head(struct h1_exchange *h1, struct http_session *session, const void **data)
{
	const struct kolk_http_request *request = &h1->exchange->asked->request;
	struct h1_parser *parser = &session->h1.parser;
	const char *base = session->options->base_path;
	size_t head = h1_write_head(request, base, h1->out, h1->out_size);
	bool small = request->body_size > 0 && request->body_size <= H1_OUT_BYTES - 4096 &&
		     request->expect_continue == 0;
	size_t whole = head + (small ? request->body_size : 0);

	h1->secret_size = h1->exchange->asked->has_credentials ? head : 0;
	if (whole > h1->out_size) {
		if (!h1_out_reserve(h1, whole))
			return fail_write(h1, KOLK_E_MEMORY);
		h1_write_head(request, base, h1->out, h1->out_size);
	}
	h1_parser_begin(parser);
	parser->no_body = strcmp(request->method, "HEAD") == 0;
	parser->connect = strcmp(request->method, "CONNECT") == 0;
	parser->upgrade = request->upgrade;
	session->h1.answer_due = session->h1.sending = true;
	h1->continue_ns = session->options->continue_timeout_ns;
	*data = h1->out;
	h1->phase = request->expect_continue != 0 ? AWAIT_CONTINUE : SEND_BODY;
	if (request->pull != NULL ? request->pull_size == 0 : small || request->body_size == 0) {
		if (small)
			memcpy(h1->out + head, request->body, request->body_size);
		head += small ? request->body_size : 0;
		h1->phase = LAST_WRITE;
	}
	return head;
}

static size_t write_memory(struct h1_exchange *h1, const void **data)
{
	const struct kolk_http_request *request = &h1->exchange->asked->request;
	size_t left = request->body_size - (size_t)h1->body_sent;
	size_t size = left < SLICE_BYTES ? left : SLICE_BYTES;

	*data = (const char *)request->body + h1->body_sent;
	h1->body_sent += size;
	if (size == left)
		h1->phase = LAST_WRITE;
	return size;
}

static size_t write_last(struct h1_exchange *h1, const void **data)
{
	const struct kolk_http_request *request = &h1->exchange->asked->request;
	size_t count = http_trailer_count(request->trailers, request->trailer_count), size;

	if (!http_fields_valid(request->trailers, count))
		return fail_write(h1, KOLK_E_OPTIONS);
	size = h1_write_last(request->trailers, count, NULL, 0);
	if (!h1_out_reserve(h1, size))
		return fail_write(h1, KOLK_E_MEMORY);
	h1_write_last(request->trailers, count, h1->out, h1->out_size);
	*data = h1->out;
	h1->phase = LAST_WRITE;
	return size;
}

static size_t write_pulled(struct h1_exchange *h1, const void **data)
{
	struct kolk_http_exchange *exchange = h1->exchange;
	const struct kolk_http_request *request = &exchange->asked->request;
	bool chunked = request->pull_size == KOLK_HTTP_CHUNKED;
	uint64_t left = chunked ? H1_OUT_BYTES : request->pull_size - h1->body_sent;
	size_t size = 0, capacity = left < H1_OUT_BYTES ? (size_t)left : H1_OUT_BYTES;
	enum kolk_err err;

	if (!h1_out_reserve(h1, H1_CHUNK_HEAD + H1_OUT_BYTES + H1_CHUNK_TAIL))
		return fail_write(h1, KOLK_E_MEMORY);
	exchange->pulled = true;
	err = request->pull(exchange->user, h1->out + H1_CHUNK_HEAD, capacity, &size);
	h1->pull_pending = err == KOLK_PENDING;
	if (h1->pull_pending || h1->pump.done)
		return 0;
	if (err != KOLK_OK)
		return fail_write(h1, err);
	if (size > capacity || (size == 0 && !chunked)) /* not what was promised */
		return fail_write(h1, KOLK_E_OPTIONS);
	if (size == 0)
		return write_last(h1, data);
	h1->body_sent += size;
	if (chunked)
		*data = h1_write_chunk(h1->out, size, &size);
	else
		*data = h1->out + H1_CHUNK_HEAD;
	if (!chunked && h1->body_sent == request->pull_size)
		h1->phase = LAST_WRITE;
	return size;
}

static size_t write_body(struct h1_exchange *h1, const void **data)
{
	const struct kolk_http_request *request = &h1->exchange->asked->request;

	if (h1->upload_stopped || h1->pull_pending)
		return 0;
	if (request->pull == NULL)
		return write_memory(h1, data);
	return write_pulled(h1, data);
}

static void continue_timed_out(struct kolk_timer *timer, void *user)
{
	struct h1_exchange *h1 = user;

	(void)timer;
	if (h1->phase == AWAIT_CONTINUE) {
		h1->phase = SEND_BODY;
		pump_more(&h1->pump);
	}
}

static size_t write_next(struct h1_exchange *h1, struct http_session *session, const void **data)
{
	switch (h1->phase) {
	case SEND_HEAD:
		return write_head(h1, session, data);
	case AWAIT_CONTINUE:
		if (h1->continue_ns > 0 && !h1->upload_stopped)
			(void)kolk_timer_start(h1->pump.loop, &h1->sending->continue_timer,
					       kolk_in_ns(h1->continue_ns), continue_timed_out, h1);
		h1->continue_ns = 0;
		return 0;
	case SEND_BODY:
		return write_body(h1, data);
	case LAST_WRITE:
		session->h1.sending = false;
		h1->phase = SENT;
		h1_out_end(h1);
		return 0;
	default:
		return 0;
	}
}

static size_t on_write(struct pump *pump, void *session, const void **data)
{
	struct h1_exchange *h1 = h1_of(pump);
	size_t size;

	if (h1->phase != SEND_HEAD) /* what it wrote before has left */
		http_record_activity(h1->exchange);
	size = write_next(h1, session, data);
	pump->last_write = h1->phase == LAST_WRITE;
	return size;
}

/* ---- what is received */

static bool is_events(const struct kolk_http_head *head)
{
	const char *type;

	if (head->body_size != KOLK_HTTP_CHUNKED)
		return false;
	type = kolk_http_field(head->fields, head->field_count, "content-type");
	return type != NULL && kolk__word_begins(type, "text/event-stream");
}

/* An answer that may last for hours has begun, and the request is sent. */
static void end_asking(struct h1_exchange *h1)
{
	if (h1->events && h1->phase == SENT)
		http_asked_free(h1->exchange);
}

static void on_head(struct h1_exchange *h1, struct http_session *session)
{
	struct kolk_http_head *head = &session->h1.parser.head;
	bool unsent = h1->phase == AWAIT_CONTINUE || h1->phase == SEND_BODY;

	/* An early answer. A server that refuses wants no more of the body; then, and when the body
	 * was not begun, the connection cannot be used again: the peer may wait for the rest
	 * (CVE-2024-24791). */
	if (unsent && (h1->phase == AWAIT_CONTINUE || head->status >= 300))
		h1->upload_stopped = true;
	h1->events = is_events(head);
	end_asking(h1);
	http_head(h1->exchange, head);
}

static void on_informational(struct h1_exchange *h1, const struct kolk_http_head *head)
{
	if (head->status == 100 && h1->phase == AWAIT_CONTINUE) {
		kolk_timer_stop(&h1->sending->continue_timer);
		h1->phase = SEND_BODY; /* the pump calls on_write next */
	}
	http_informational(h1->exchange, head);
}

/* Trailers are shown when the lease is released: they leave the session. */
static void move_trailers(struct h1_exchange *h1, struct h1_parser *parser)
{
	struct h1_message *message = &parser->message;

	if (parser->trailer_count == 0)
		return;
	h1->trailer_text = message->text;
	h1->trailers = message->fields;
	h1->trailer_count = parser->trailer_count;
	message->text = NULL;
	message->fields = NULL;
	message->text_capacity = message->field_capacity = 0;
}

static enum kolk_err on_answer_end(struct h1_exchange *h1, struct http_session *session)
{
	struct h1_parser *parser = &session->h1.parser;

	session->h1.answer_due = false;
	session->h1.unusable = session->h1.unusable || !parser->keep || h1->unparsed_size > 0;
	h1->peer_idle_ns = parser->idle_s * KOLK_S_NS;
	move_trailers(h1, parser);
	return KOLK_OK;
}

/* A body that is half sent would be the other protocol's first bytes. */
static enum kolk_err on_switched(struct h1_exchange *h1, struct http_session *session)
{
	session->h1.answer_due = false;
	session->h1.unusable = true;
	h1->switched = h1->phase >= LAST_WRITE;
	return h1->switched ? KOLK_OK : KOLK_E_PROTOCOL;
}

/* Parses what was received, up to a pause or the end. */
static enum kolk_err parse_input(struct h1_exchange *h1, struct http_session *session)
{
	struct h1_parser *parser = &session->h1.parser;
	enum h1_event event = H1_BODY;
	enum kolk_err err;

	while (event != H1_MORE && !h1->exchange->paused) {
		err = h1_parse(parser, &h1->unparsed, &h1->unparsed_size, &event);
		if (err != KOLK_OK) {
			session->h1.unusable = true;
			return err;
		}
		if (event == H1_INFORMATIONAL)
			on_informational(h1, &parser->head);
		else if (event == H1_HEAD)
			on_head(h1, session);
		else if (event == H1_BODY)
			http_body(h1->exchange, parser->message.body, parser->message.body_size);
		else if (event == H1_END)
			return on_answer_end(h1, session);
		else if (event == H1_SWITCHED)
			return on_switched(h1, session);
	}
	return KOLK_PENDING;
}

static enum kolk_err on_peer_closed(struct h1_exchange *h1, struct http_session *session)
{
	enum kolk_err err = h1_parse_end(&session->h1.parser);

	session->h1.unusable = true;
	return err == KOLK_OK ? on_answer_end(h1, session) : err;
}

static enum kolk_err on_read(struct pump *pump, void *user, const uint8_t *data, size_t size)
{
	struct h1_exchange *h1 = h1_of(pump);
	struct http_session *session = user;
	enum kolk_err err;

	if (size == 0)
		return on_peer_closed(h1, session);
	http_record_activity(h1->exchange);
	h1->exchange->answered = true;
	h1->unparsed = data;
	h1->unparsed_size = size;
	h1->in_callback = true;
	err = parse_input(h1, session);
	h1->in_callback = false;
	if (err == KOLK_PENDING && h1->exchange->paused && !pump->done)
		pump_pause(pump);
	if (err == KOLK_PENDING && h1->events && h1->unparsed_size == 0) {
		end_asking(h1);
		h1_choose_input(h1, &session->h1.parser.message, size);
	}
	return err;
}

/* ---- pauses */

static enum kolk_err parse_again(void *user, void *session)
{
	struct h1_exchange *h1 = user;
	enum kolk_err err;

	h1->in_callback = true;
	err = parse_input(h1, session);
	h1->in_callback = false;
	return err;
}

static void on_resume(struct kolk_timer *timer, void *user)
{
	struct h1_exchange *h1 = user;
	enum kolk_err err;

	(void)timer;
	err = kolk_lease_session(&h1->pump.lease, &http_driver, parse_again, h1);
	if (err != KOLK_PENDING)
		pump_abort(&h1->pump, err);
	else if (!h1->exchange->paused)
		pump_resume(&h1->pump);
	else if (!h1->pump.done)
		pump_pause(&h1->pump); /* again: the timer has its deadline */
	if (!h1->pump.done)
		pump_more(&h1->pump); /* a 100 (Continue) that waited, or kolk_http_more from a handler */
}

void h1_pause(struct kolk_http_exchange *exchange)
{
	struct h1_exchange *h1 = exchange->h1;

	if (!h1->in_callback && !h1->pump.done)
		pump_pause(&h1->pump);
}

void h1_resume(struct kolk_http_exchange *exchange)
{
	struct h1_exchange *h1 = exchange->h1;

	if (!h1->in_callback && !h1->pump.done)
		(void)kolk_timer_start(h1->pump.loop, &h1->pump.timer, 1, on_resume, h1);
}

void h1_more(struct kolk_http_exchange *exchange)
{
	struct h1_exchange *h1 = exchange->h1;

	if (!h1->pull_pending)
		return;
	h1->pull_pending = false;
	if (!h1->in_callback && !h1->pump.done)
		pump_more(&h1->pump);
}

/* ---- the end */

void h1_cancel(struct kolk_http_exchange *exchange, enum kolk_err err)
{
	pump_abort(&exchange->h1->pump, err);
}

static enum http_processed processed_of(const struct kolk_lease *lease)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);

	return kolk_lease_info(lease, &info) == KOLK_OK && info.written == 0 ? HTTP_UNSENT :
									       HTTP_MAYBE_PROCESSED;
}

/* The peer's errors get their close reason; otherwise the session decides (an error of pull is none
 * of the peer's), unless the caller wants that its cancel is seen. */
static void return_lease(struct h1_exchange *h1, enum kolk_err err)
{
	bool by_peer = err == KOLK_E_PROTOCOL || err == KOLK_E_CLOSED || err == KOLK_E_RESET ||
		     err == KOLK_E_TLS || err == KOLK_E_TLS_TRUNCATED;
	bool ended = err == KOLK_E_CANCELLED || err == KOLK_E_TIMEOUT;

	if (by_peer && !h1->upload_stopped)
		(void)kolk_discard_for(&h1->pump.lease, http_reason(err));
	else if (ended && h1->exchange->cancel_closes != 0)
		(void)kolk_discard(&h1->pump.lease);
	else
		(void)kolk_release(&h1->pump.lease);
}

static void on_done(struct pump *pump, enum kolk_err err)
{
	struct h1_exchange *h1 = h1_of(pump);
	struct kolk_http_exchange *exchange = h1->exchange;
	struct h1_blocks *blocks = http_h1_blocks(exchange->http);
	struct http_outcome outcome = { .err = err };

	if (err != KOLK_OK)
		outcome.processed = processed_of(&pump->lease);
	exchange->paused = false;
	if (err == KOLK_OK && h1->switched) {
		http_switched(exchange, &pump->lease, h1->unparsed, h1->unparsed_size);
	} else {
		exchange->muted = exchange->muted || h1->unparsed_size > 0;
		if (err != KOLK_OK && h1->unparsed_size > 0) /* ended in a pause: the session must
	                                                      * still count it */
			(void)kolk_lease_session(&pump->lease, &http_driver, parse_again, h1);
		if (h1->peer_idle_ns > 0)
			(void)kolk_lease_peer_idle(&pump->lease, h1->peer_idle_ns);
		return_lease(h1, err);
	}
	exchange->h1 = NULL;
	outcome.trailers = h1->trailers;
	outcome.trailer_count = h1->trailer_count;
	http_attempt_ended(exchange, &outcome);
	h1_exchange_free(blocks, h1);
}

enum kolk_err h1_start(struct kolk_http_exchange *exchange, const struct kolk_lease *lease)
{
	static const struct pump_callbacks callbacks = {
		.driver = &http_driver, .on_write = on_write, .on_read = on_read, .on_done = on_done
	};
	struct h1_blocks *blocks = http_h1_blocks(exchange->http);
	struct h1_exchange *h1 = h1_exchange_make(blocks);
	enum kolk_err err;

	if (h1 == NULL)
		return KOLK_E_MEMORY;
	h1->pump.callbacks = &callbacks;
	h1->pump.lease = *lease;
	h1->pump.deadline_ns = h1->pump.idle_ns = KOLK_FOREVER; /* the exchange has its own timer */
	h1->exchange = exchange;
	exchange->h1 = h1;
	err = pump_start(&h1->pump, http_loop(exchange->http), &h1->sending->io);
	if (err != KOLK_PENDING) {
		exchange->h1 = NULL;
		h1_exchange_free(blocks, h1);
	}
	return err;
}
