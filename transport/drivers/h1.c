/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h1.c - one exchange of HTTP/1.1 on one lease: the request goes out, the answer is parsed as it
 * comes, both at the same time.
 *
 * The parser lives in the connection's session, not in the exchange: when the caller goes away,
 * what is owed is known there, and is read away or the connection closed (h1_account.c).
 */
#include <stdlib.h>
#include <string.h>

#include "transport/drivers/http.h"
#include "transport/drivers/talk.h"

enum { IN_BYTES = 16384, OUT_BYTES = 16384, SLICE_BYTES = 256 * 1024 };

enum phase {
	TO_BEGIN,
	TO_AWAIT, /* the head is out; the body waits for 100 (Continue) */
	TO_SEND,  /* the body */
	TO_END,   /* all is given; when give is called again, all is sent */
	SENT
};

struct h1_exchange {
	struct talk talk;
	struct kolk_http_exchange *exchange;
	struct kolk_timer patience; /* for 100 (Continue) */
	struct kolk_timer resume;   /* goes on after a pause, from step */
	enum phase phase;
	bool inside;      /* in take: what handlers ask for is done when they have returned */
	bool shut;        /* an early answer: no more of the body */
	bool starved;     /* pull had nothing */
	bool switched;
	uint64_t given;   /* bytes of the body */
	uint64_t peer_idle_ns;
	uint64_t continue_ns;
	const uint8_t *rest; /* came, and was not looked at: paused, or another protocol's */
	size_t rest_size;
	char *trailer_text;  /* the parser's, taken out of the session */
	struct kolk_http_field *trailers;
	uint32_t trailer_count;
	char *out;
	size_t out_size;
	uint8_t in[IN_BYTES]; /* not zeroed */
};

static struct h1_exchange *of(struct talk *talk)
{
	return (struct h1_exchange *)talk;
}

/* ---- what is said */

static bool out_room(struct h1_exchange *h1, size_t size)
{
	char *out;

	if (size <= h1->out_size)
		return true;
	out = realloc(h1->out, size);
	if (out == NULL)
		return false;
	h1->out = out;
	h1->out_size = size;
	return true;
}

/* The conversation fails from within; the phase stays, so the connection is closed. */
static size_t give_up(struct h1_exchange *h1, enum kolk_err err)
{
	h1->shut = true;
	talk_end(&h1->talk, err);
	return 0;
}

static size_t give_head(struct h1_exchange *h1, struct http_session *session, const void **data)
{
	const struct kolk_http_request *request = &h1->exchange->request;
	struct h1_parser *parser = &session->h1.parser;
	size_t head = h1_write_head(request, NULL, 0);
	bool small = request->body_size > 0 && request->body_size <= OUT_BYTES - 4096 &&
		     request->expect_continue == 0;

	if (!out_room(h1, head + (small ? request->body_size : 0)))
		return give_up(h1, KOLK_E_MEMORY);
	h1_parser_begin(parser);
	parser->no_body = strcmp(request->method, "HEAD") == 0;
	parser->connect = strcmp(request->method, "CONNECT") == 0;
	parser->upgrade = request->upgrade;
	session->h1.owed = session->h1.sending = true;
	h1->continue_ns = session->options->continue_timeout_ns;
	*data = h1->out;
	h1_write_head(request, h1->out, h1->out_size);
	h1->phase = request->expect_continue != 0 ? TO_AWAIT : TO_SEND;
	if (request->pull != NULL ? request->pull_size == 0 : small || request->body_size == 0) {
		if (small)
			memcpy(h1->out + head, request->body, request->body_size);
		head += small ? request->body_size : 0;
		h1->phase = TO_END;
	}
	return head;
}

static size_t give_memory(struct h1_exchange *h1, const void **data)
{
	const struct kolk_http_request *request = &h1->exchange->request;
	size_t left = request->body_size - (size_t)h1->given;
	size_t size = left < SLICE_BYTES ? left : SLICE_BYTES;

	*data = (const char *)request->body + h1->given;
	h1->given += size;
	if (size == left)
		h1->phase = TO_END;
	return size;
}

static size_t give_last(struct h1_exchange *h1, const void **data)
{
	const struct kolk_http_request *request = &h1->exchange->request;
	size_t size;

	if (!http_fields_valid(request->trailers, request->trailer_count))
		return give_up(h1, KOLK_E_OPTIONS);
	size = h1_write_last(request->trailers, request->trailer_count, NULL, 0);
	if (!out_room(h1, size))
		return give_up(h1, KOLK_E_MEMORY);
	h1_write_last(request->trailers, request->trailer_count, h1->out, h1->out_size);
	*data = h1->out;
	h1->phase = TO_END;
	return size;
}

static size_t give_pulled(struct h1_exchange *h1, const void **data)
{
	struct kolk_http_exchange *exchange = h1->exchange;
	const struct kolk_http_request *request = &exchange->request;
	bool chunked = request->pull_size == KOLK_HTTP_CHUNKED;
	uint64_t left = chunked ? OUT_BYTES : request->pull_size - h1->given;
	size_t size = 0, capacity = left < OUT_BYTES ? (size_t)left : OUT_BYTES;
	enum kolk_err err;

	if (!out_room(h1, H1_CHUNK_HEAD + OUT_BYTES + H1_CHUNK_TAIL))
		return give_up(h1, KOLK_E_MEMORY);
	exchange->pulled = true;
	err = request->pull(exchange->user, h1->out + H1_CHUNK_HEAD, capacity, &size);
	h1->starved = err == KOLK_PENDING;
	if (h1->starved || h1->talk.done)
		return 0;
	if (err != KOLK_OK)
		return give_up(h1, err);
	if (size > capacity || (size == 0 && !chunked)) /* not what was promised */
		return give_up(h1, KOLK_E_OPTIONS);
	if (size == 0)
		return give_last(h1, data);
	h1->given += size;
	if (chunked)
		*data = h1_write_chunk(h1->out, size, &size);
	else
		*data = h1->out + H1_CHUNK_HEAD;
	if (!chunked && h1->given == request->pull_size)
		h1->phase = TO_END;
	return size;
}

static size_t give_body(struct h1_exchange *h1, const void **data)
{
	const struct kolk_http_request *request = &h1->exchange->request;

	if (h1->shut || h1->starved)
		return 0;
	if (request->pull == NULL)
		return give_memory(h1, data);
	return give_pulled(h1, data);
}

static void patience_over(struct kolk_timer *timer, void *user)
{
	struct h1_exchange *h1 = user;

	(void)timer;
	if (h1->phase == TO_AWAIT) {
		h1->phase = TO_SEND;
		talk_more(&h1->talk);
	}
}

static size_t give(struct talk *talk, void *user, const void **data)
{
	struct h1_exchange *h1 = of(talk);
	struct http_session *session = user;

	http_alive(h1->exchange);
	switch (h1->phase) {
	case TO_BEGIN:
		return give_head(h1, session, data);
	case TO_AWAIT:
		if (h1->continue_ns > 0 && !h1->shut)
			(void)kolk_timer_start(talk->loop, &h1->patience,
					       kolk_in_ns(h1->continue_ns), patience_over, h1);
		h1->continue_ns = 0;
		return 0;
	case TO_SEND:
		return give_body(h1, data);
	case TO_END:
		session->h1.sending = false;
		h1->phase = SENT;
		return 0;
	default:
		return 0;
	}
}

/* ---- what is heard */

static void heard_head(struct h1_exchange *h1, struct http_session *session)
{
	struct kolk_http_head *head = &session->h1.parser.head;
	bool unsent = h1->phase == TO_AWAIT || h1->phase == TO_SEND;

	/* An early answer. Who refuses wants no more of the body; then, and when it was not begun,
	 * the connection cannot be used again: the peer may wait for the rest (CVE-2024-24791). */
	if (unsent && (h1->phase == TO_AWAIT || head->status >= 300))
		h1->shut = true;
	http_head(h1->exchange, head);
}

static void heard_informational(struct h1_exchange *h1, const struct kolk_http_head *head)
{
	if (head->status == 100 && h1->phase == TO_AWAIT) {
		kolk_timer_stop(&h1->patience);
		h1->phase = TO_SEND; /* talk asks for it next */
	}
	http_informational(h1->exchange, head);
}

/* Trailers are shown when the lease is released: they leave the session. */
static void take_trailers(struct h1_exchange *h1, struct h1_parser *parser)
{
	if (parser->trailer_count == 0)
		return;
	h1->trailer_text = parser->text;
	h1->trailers = parser->fields;
	h1->trailer_count = parser->trailer_count;
	parser->text = NULL;
	parser->fields = NULL;
	parser->text_capacity = parser->field_capacity = 0;
}

static enum kolk_err heard_end(struct h1_exchange *h1, struct http_session *session)
{
	struct h1_parser *parser = &session->h1.parser;

	session->h1.owed = false;
	session->h1.spoilt = session->h1.spoilt || !parser->keep || h1->rest_size > 0;
	h1->peer_idle_ns = parser->idle_s * KOLK_S_NS;
	take_trailers(h1, parser);
	return KOLK_OK;
}

/* A body that is half sent would be the other protocol's first bytes. */
static enum kolk_err heard_switch(struct h1_exchange *h1, struct http_session *session)
{
	session->h1.owed = false;
	session->h1.spoilt = true;
	h1->switched = h1->phase >= TO_END;
	return h1->switched ? KOLK_OK : KOLK_E_PROTOCOL;
}

/* Look at what came, up to a pause or the end. */
static enum kolk_err look(struct h1_exchange *h1, struct http_session *session)
{
	struct h1_parser *parser = &session->h1.parser;
	enum h1_event event = H1_BODY;
	enum kolk_err err;

	while (event != H1_MORE && !h1->exchange->paused) {
		err = h1_parse(parser, &h1->rest, &h1->rest_size, &event);
		if (err != KOLK_OK) {
			session->h1.spoilt = true;
			return err;
		}
		if (event == H1_INFORMATIONAL)
			heard_informational(h1, &parser->head);
		else if (event == H1_HEAD)
			heard_head(h1, session);
		else if (event == H1_BODY)
			http_body(h1->exchange, parser->body, parser->body_size);
		else if (event == H1_END)
			return heard_end(h1, session);
		else if (event == H1_SWITCHED)
			return heard_switch(h1, session);
	}
	return KOLK_PENDING;
}

static enum kolk_err heard_close(struct h1_exchange *h1, struct http_session *session)
{
	enum kolk_err err = h1_parse_end(&session->h1.parser);

	session->h1.spoilt = true;
	return err == KOLK_OK ? heard_end(h1, session) : err;
}

static enum kolk_err take(struct talk *talk, void *user, const uint8_t *data, size_t size)
{
	struct h1_exchange *h1 = of(talk);
	struct http_session *session = user;
	enum kolk_err err;

	if (size == 0)
		return heard_close(h1, session);
	http_alive(h1->exchange);
	h1->exchange->answered = true;
	h1->rest = data;
	h1->rest_size = size;
	h1->inside = true;
	err = look(h1, session);
	h1->inside = false;
	if (err == KOLK_PENDING && h1->exchange->paused && !talk->done)
		talk_pause(talk);
	return err;
}

/* ---- pauses */

static enum kolk_err look_again(void *user, void *session)
{
	struct h1_exchange *h1 = user;
	enum kolk_err err;

	h1->inside = true;
	err = look(h1, session);
	h1->inside = false;
	return err;
}

static void resumed(struct kolk_timer *timer, void *user)
{
	struct h1_exchange *h1 = user;
	enum kolk_err err;

	(void)timer;
	err = kolk_lease_session(&h1->talk.lease, &http_driver, look_again, h1);
	if (err != KOLK_PENDING)
		talk_end(&h1->talk, err);
	else if (!h1->exchange->paused)
		talk_go(&h1->talk);
	if (!h1->talk.done)
		talk_more(&h1->talk); /* a 100 (Continue) that waited, or kolk_http_more from a handler */
}

void h1_pause(struct kolk_http_exchange *exchange)
{
	struct h1_exchange *h1 = exchange->h1;

	if (!h1->inside && !h1->talk.done)
		talk_pause(&h1->talk);
}

void h1_resume(struct kolk_http_exchange *exchange)
{
	struct h1_exchange *h1 = exchange->h1;

	if (!h1->inside && !h1->talk.done)
		(void)kolk_timer_start(h1->talk.loop, &h1->resume, 1, resumed, h1);
}

void h1_more(struct kolk_http_exchange *exchange)
{
	struct h1_exchange *h1 = exchange->h1;

	if (!h1->starved)
		return;
	h1->starved = false;
	if (!h1->inside && !h1->talk.done)
		talk_more(&h1->talk);
}

/* ---- the end */

void h1_cancel(struct kolk_http_exchange *exchange, enum kolk_err err)
{
	talk_end(&exchange->h1->talk, err);
}

static void free_all(struct h1_exchange *h1)
{
	kolk_timer_stop(&h1->patience);
	kolk_timer_stop(&h1->resume);
	free(h1->trailer_text);
	free(h1->trailers);
	free(h1->out);
	free(h1);
}

static enum http_proof proof(const struct kolk_lease *lease)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);

	return kolk_lease_info(lease, &info) == KOLK_OK && info.written == 0 ? HTTP_UNSENT :
									       HTTP_NO_PROOF;
}

/* What the peer did is named; the rest, the account says (an error of pull is none of the
 * peer's). */
static void give_back(struct h1_exchange *h1, enum kolk_err err)
{
	bool peers = err == KOLK_E_PROTOCOL || err == KOLK_E_CLOSED || err == KOLK_E_RESET ||
		     err == KOLK_E_TLS || err == KOLK_E_TLS_TRUNCATED;

	if (peers && !h1->shut)
		(void)kolk_discard_for(&h1->talk.lease, http_reason(err));
	else
		(void)kolk_release(&h1->talk.lease);
}

static void over(struct talk *talk, enum kolk_err err)
{
	struct h1_exchange *h1 = of(talk);
	struct kolk_http_exchange *exchange = h1->exchange;
	enum http_proof unseen = err == KOLK_OK ? HTTP_NO_PROOF : proof(&talk->lease);

	exchange->paused = false;
	if (err == KOLK_OK && h1->switched) {
		http_switched(exchange, &talk->lease, h1->rest, h1->rest_size);
	} else {
		exchange->muted = exchange->muted || h1->rest_size > 0;
		if (err != KOLK_OK && h1->rest_size > 0) /* ended in a pause: the account goes on */
			(void)kolk_lease_session(&talk->lease, &http_driver, look_again, h1);
		if (h1->peer_idle_ns > 0)
			(void)kolk_lease_peer_idle(&talk->lease, h1->peer_idle_ns);
		give_back(h1, err);
	}
	exchange->h1 = NULL;
	http_over(exchange, err, unseen, h1->trailers, h1->trailer_count);
	free_all(h1);
}

enum kolk_err h1_start(struct kolk_http_exchange *exchange, const struct kolk_lease *lease)
{
	static const struct talk_side side = {
		.driver = &http_driver, .give = give, .take = take, .over = over
	};
	struct h1_exchange *h1 = malloc(sizeof *h1);
	enum kolk_err err;

	if (h1 == NULL)
		return KOLK_E_MEMORY;
	memset(h1, 0, offsetof(struct h1_exchange, in));
	h1->talk.side = &side;
	h1->talk.lease = *lease;
	h1->talk.buffer = h1->in;
	h1->talk.capacity = IN_BYTES;
	h1->talk.deadline_ns = h1->talk.idle_ns = KOLK_FOREVER; /* the exchange has its own timer */
	h1->exchange = exchange;
	exchange->h1 = h1;
	err = talk_start(&h1->talk, http_loop(exchange->http));
	if (err != KOLK_PENDING) {
		exchange->h1 = NULL;
		free_all(h1);
	}
	return err;
}
