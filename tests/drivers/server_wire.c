/* SPDX-License-Identifier: Apache-2.0 */
/* server_wire.c - see server_wire.h. */
#include "tests/drivers/server_wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct server_wire *wire_of_loop(struct hs_loop *loop)
{
	return (struct server_wire *)(void *)((char *)loop - offsetof(struct server_wire, loop));
}

static struct server_wire *wire_of(struct hs_conn *conn)
{
	return wire_of_loop(conn->loop);
}

/* ---- the clock */

static uint64_t now(struct hs_loop *loop)
{
	return wire_of_loop(loop)->now_ns;
}

static void arm(struct hs_loop *loop, uint64_t due_ns)
{
	wire_of_loop(loop)->armed_ns = due_ns;
}

static void post(struct hs_loop *loop)
{
	wire_of_loop(loop)->posted = true;
}

static const struct hs_clock test_clock = {.now = now, .arm = arm, .post = post};

/* ---- the wire */

static enum kolk_err send_bytes(struct hs_conn *conn, const void *data, size_t size)
{
	struct server_wire *wire = wire_of(conn);

	if (wire->sending || wire->out_size + size > SERVER_WIRE_TEXT)
		abort();
	memcpy(wire->out + wire->out_size, data, size);
	wire->out_size += size;
	wire->out[wire->out_size] = '\0';
	wire->sending = true;
	wire->sends++;
	return KOLK_PENDING;
}

static void pause_wire(struct hs_conn *conn)
{
	wire_of(conn)->paused = true;
}

static void resume_wire(struct hs_conn *conn)
{
	wire_of(conn)->paused = false;
}

static void close_wire(struct hs_conn *conn)
{
	wire_of(conn)->closed = true;
}

static void reset_wire(struct hs_conn *conn)
{
	wire_of(conn)->reset = true;
}

static void hurry_wire(struct hs_conn *conn)
{
	(void)conn;
}

static const struct hs_wire test_wire = {.send = send_bytes, .hurry = hurry_wire, .pause = pause_wire,
					 .resume = resume_wire, .close = close_wire,
					 .reset = reset_wire};

/* ---- the callee */

static void note(struct server_wire *wire, const char *what, const void *text, size_t size)
{
	size_t used = strlen(wire->log);

	if (used + size + 64 < sizeof wire->log)
		snprintf(wire->log + used, sizeof wire->log - used, "%s%.*s|", what, (int)size,
			 (const char *)text);
}

static void *on_request(void *user, struct kolk_http_server_exchange *exchange,
			const struct kolk_http_request_head *head)
{
	struct server_wire *wire = user;

	wire->exchange = exchange;
	wire->requests++;
	note(wire, "request ", head->method, strlen(head->method));
	wire->log[strlen(wire->log) - 1] = ' ';
	note(wire, "", head->target, strlen(head->target));
	if (wire->on_request != NULL)
		wire->on_request(wire);
	return wire;
}

static void on_body(void *user, struct kolk_http_server_exchange *exchange, const void *data,
		    size_t size)
{
	struct server_wire *wire = user;

	(void)exchange;
	note(wire, "body ", data, size);
	if (wire->on_body != NULL)
		wire->on_body(wire, data, size);
}

static void on_body_end(void *user, struct kolk_http_server_exchange *exchange,
			const struct kolk_http_field *trailers, size_t count)
{
	struct server_wire *wire = user;

	(void)exchange;
	note(wire, "end", count > 0 ? trailers[0].name : "",
	     count > 0 ? strlen(trailers[0].name) : 0);
	if (wire->on_body_end != NULL)
		wire->on_body_end(wire);
}

static void on_end(void *user, struct kolk_http_server_exchange *exchange, enum kolk_err err)
{
	struct server_wire *wire = user;

	(void)exchange;
	wire->exchange = NULL;
	wire->ends++;
	note(wire, "done ", kolk_err_name(err) + 5, strlen(kolk_err_name(err) + 5)); /* KOLK_ */
}

static void on_refused(void *user, const struct kolk_stream *stream, uint32_t status)
{
	struct server_wire *wire = user;

	(void)stream;
	wire->refused = status;
}

/* ---- for tests */

static void begin(struct server_wire *wire)
{
	memset(&wire->conn, 0, sizeof wire->conn);
	wire->conn.wire = &test_wire;
	wire->ended = wire->closed = wire->reset = wire->paused = wire->sending = false;
	hs_conn_begin(&wire->conn, &wire->loop);
}

void server_wire_open(struct server_wire *wire)
{
	wire->out = calloc(1, SERVER_WIRE_TEXT + 1);
	wire->options.size = sizeof wire->options;
	wire->options.protocols = wire->http2 ? KOLK_HTTP_BY_ALPN : KOLK_HTTP_1_ONLY;
	kolk_option_defaults(&hs_option_table, &wire->options);
	wire->handler = (struct kolk_http_server_handler){
		.size = sizeof wire->handler, .request = on_request, .body = on_body,
		.body_end = on_body_end, .end = on_end, .refused = on_refused};
	wire->now_ns = 1000 * KOLK_S_NS;
	wire->loop.options = &wire->options;
	wire->loop.handler = &wire->handler;
	wire->loop.server_user = wire;
	wire->loop.clock = &test_clock;
	hs_loop_init(&wire->loop);
	begin(wire);
}

void server_wire_end(struct server_wire *wire, enum kolk_err err)
{
	if (wire->ended)
		return;
	wire->ended = true;
	if (wire->sending)
		server_wire_sent(wire, KOLK_E_CANCELLED);
	hs_conn_end(&wire->conn, err);
}

void server_wire_close(struct server_wire *wire)
{
	server_wire_end(wire, KOLK_E_RESET);
	if (kolk__own(&wire->loop.counters.connections) != 0 || wire->exchange != NULL)
		abort();
	hs_loop_free(&wire->loop);
	free(wire->out);
}

void server_wire_again(struct server_wire *wire)
{
	server_wire_end(wire, KOLK_E_RESET);
	server_wire_clear(wire);
	begin(wire);
}

void server_wire_turn(struct server_wire *wire)
{
	for (uint32_t turns = 0; wire->posted || (wire->sending && !wire->hold_sends); turns++) {
		if (turns > 100000)
			abort(); /* it does not come to rest */
		wire->posted = false;
		hs_loop_run(&wire->loop);
		if (wire->sending && !wire->hold_sends)
			server_wire_sent(wire, KOLK_OK);
	}
}

/* In memory of its own: a sanitizer sees what is read beyond it, or later. */
void server_wire_feed(struct server_wire *wire, const void *data, size_t size)
{
	void *copy = malloc(size + 1);

	if (wire->closed || wire->reset || wire->ended) {
		free(copy);
		return;
	}
	if (size > 0)
		memcpy(copy, data, size);
	hs_conn_data(&wire->conn, copy, size);
	free(copy);
	server_wire_turn(wire);
}

void server_wire_say(struct server_wire *wire, const char *text)
{
	server_wire_feed(wire, text, strlen(text));
}

void server_wire_sent(struct server_wire *wire, enum kolk_err err)
{
	wire->sending = false;
	hs_conn_sent(&wire->conn, err);
}

void server_wire_wait(struct server_wire *wire, uint64_t ns)
{
	wire->now_ns += ns;
	if (wire->armed_ns != 0 && wire->now_ns >= wire->armed_ns) {
		wire->armed_ns = 0;
		hs_loop_expire(&wire->loop);
	}
	server_wire_turn(wire);
}

void server_wire_clear(struct server_wire *wire)
{
	wire->out_size = 0;
	wire->out[0] = wire->log[0] = '\0';
	wire->sends = wire->refused = 0;
}

void server_wire_answer(struct server_wire *wire, const char *text)
{
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);

	answer.status = 200;
	answer.body = text;
	answer.body_size = strlen(text);
	if (kolk_http_server_answer(wire->exchange, &answer) != KOLK_OK)
		abort();
}

enum kolk_err server_wire_pull(void *user, void *buffer, size_t capacity, size_t *size)
{
	struct server_wire *wire = user;

	if (wire->pull_err != KOLK_OK)
		return wire->pull_err;
	if (wire->pulled_size == 0 && !wire->pull_ends)
		return KOLK_PENDING;
	*size = wire->pulled_size < capacity ? wire->pulled_size : capacity;
	if (wire->pull_at_once > 0 && *size > wire->pull_at_once)
		*size = wire->pull_at_once;
	memcpy(buffer, wire->pulled, *size);
	wire->pulled += *size;
	wire->pulled_size -= *size;
	return KOLK_OK;
}

void server_wire_answer_pulled(struct server_wire *wire)
{
	static const struct kolk_http_field trailers[] = { { "X-Sum", "1" } };
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);

	answer.status = 200;
	answer.pull = server_wire_pull;
	answer.pull_size = KOLK_HTTP_CHUNKED;
	answer.trailers = trailers;
	answer.trailer_count = 1;
	if (kolk_http_server_answer(wire->exchange, &answer) != KOLK_OK)
		abort();
}
