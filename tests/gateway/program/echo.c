/* SPDX-License-Identifier: Apache-2.0 */
/* echo.c - an upstream that answers with the nonce of the request, and restarts. */
#include "tests/gateway/program/echo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/kit/tap.h"

enum { REPEATED_MAX = 200 };

struct call {
	struct echo *echo;
	struct kolk_http_server_exchange *exchange;
	struct kolk_loop *loop;
	struct kolk_timer timer;
	struct kolk_http_field trailer;
	char nonce[ECHO_NONCE + 1];
	uint64_t random, body_at; /* of the request */
	uint32_t left, sent;      /* bytes of the answer */
	bool chunked, breaks, pausing, mixed;
};

uint64_t echo_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

/* ---- an answer */

static void go_on(struct kolk_timer *timer, void *user)
{
	struct call *call = user;

	(void)timer;
	call->pausing = false;
	kolk_http_server_more(call->exchange);
}

static enum kolk_err pull(void *user, void *buffer, size_t capacity, size_t *size)
{
	struct call *call = user;
	size_t most = capacity < call->left ? capacity : call->left;

	if (call->pausing)
		return KOLK_PENDING;
	if (call->left == 0)
		return KOLK_OK;
	if (call->breaks && call->sent > 0)
		return KOLK_E_CANCELLED;
	if (echo_random(&call->random) % 8 == 0 &&
	    kolk_timer_start(call->loop, &call->timer, kolk_in_us(echo_random(&call->random) % 1000),
			     go_on, call) == KOLK_OK) {
		call->pausing = true;
		return KOLK_PENDING;
	}
	*size = 1 + echo_random(&call->random) % most;
	for (size_t i = 0; i < *size; i++)
		((char *)buffer)[i] = call->nonce[call->sent++ % ECHO_NONCE];
	call->left -= (uint32_t)*size;
	return KOLK_OK;
}

static void answer(struct call *call)
{
	const struct kolk_http_field field = { "x-nonce", call->nonce };
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);

	call->left = ECHO_NONCE * (uint32_t)(1 + echo_random(&call->random) % REPEATED_MAX);
	call->chunked = echo_random(&call->random) % 2 == 0;
	call->breaks = echo_random(&call->random) % 100 == 0;
	answer.status = 200;
	answer.fields = &field;
	answer.field_count = 1;
	answer.close = echo_random(&call->random) % 100 == 0;
	answer.pull = pull;
	answer.pull_size = call->chunked ? KOLK_HTTP_CHUNKED : call->left;
	if (call->chunked) {
		call->trailer = (struct kolk_http_field){ "x-nonce", call->nonce };
		answer.trailers = &call->trailer;
		answer.trailer_count = 1;
	}
	if (kolk_http_server_answer(call->exchange, &answer) != KOLK_OK)
		FAILED("the upstream answers");
}

/* ---- a request */

static void *on_request(void *user, struct kolk_http_server_exchange *exchange,
			const struct kolk_http_request_head *head)
{
	const char *nonce = kolk_http_field(head->fields, head->field_count, "x-nonce");
	struct call *call = calloc(1, sizeof *call);
	struct echo *echo = user;

	*call = (struct call){ .echo = echo, .exchange = exchange };
	call->loop = kolk_stream_loop(kolk_http_server_stream(exchange));
	snprintf(call->nonce, sizeof call->nonce, "%s", nonce != NULL ? nonce : "");
	call->random = strtoull(call->nonce, NULL, 16) * UINT64_C(0x9e3779b97f4a7c15) | 1;
	call->mixed = head->target[0] != '/' || strcmp(head->target + 1, call->nonce) != 0;
	kolk__add_relaxed(&echo->requests, 1);
	if (head->body_size != 0 && echo_random(&call->random) % 4 == 0)
		answer(call); /* before the body is here */
	return call;
}

static void on_body(void *user, struct kolk_http_server_exchange *exchange, const void *data,
		    size_t size)
{
	struct call *call = user;

	(void)exchange;
	for (size_t i = 0; i < size; i++)
		call->mixed |= ((const char *)data)[i] != call->nonce[call->body_at++ % ECHO_NONCE];
}

static void on_body_end(void *user, struct kolk_http_server_exchange *exchange,
			const struct kolk_http_field *trailers, size_t count)
{
	struct call *call = user;

	(void)exchange, (void)trailers, (void)count;
	call->mixed |= call->body_at % ECHO_NONCE != 0;
	if (call->left == 0 && call->sent == 0)
		answer(call);
}

static void on_end(void *user, struct kolk_http_server_exchange *exchange, enum kolk_err err)
{
	struct call *call = user;

	(void)exchange, (void)err;
	kolk_timer_stop(&call->timer);
	if (call->mixed)
		kolk__add_relaxed(&call->echo->mixed, 1);
	kolk__add_relaxed(&call->echo->ends, 1);
	free(call);
}

/* ---- the server */

static bool begin(struct echo *echo, const char *address)
{
	static const struct kolk_http_server_handler handler = { .size = sizeof handler,
								 .request = on_request,
								 .body = on_body,
								 .body_end = on_body_end,
								 .end = on_end };
	struct kolk_http_server_options options = KOLK_INIT(kolk_http_server_options);
	struct kolk_listener_options listen = KOLK_INIT(kolk_listener_options);
	struct kolk_listener *listener;

	options.resets_max = 1000000; /* of clients that went */
	listen.address = address;
	if (kolk_http_server_open(echo->engine, &options, &handler, echo, &echo->server) != KOLK_OK)
		return false;
	if (kolk_http_server_listen(echo->server, &listen, &listener) != KOLK_OK) {
		kolk_http_server_close(echo->server, kolk_in_ns(0), NULL, NULL);
		return false;
	}
	snprintf(echo->address, sizeof echo->address, "%s", kolk_listener_address(listener));
	return true;
}

bool echo_open(struct echo *echo)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);

	*echo = (struct echo){ .server = NULL };
	engine.loops = 1;
	return CHECK_ERR(kolk_engine_create(&engine, &echo->engine), KOLK_OK) &&
	       CHECK(begin(echo, "127.0.0.1:0"));
}

static void *restart(void *user)
{
	uint64_t random = UINT64_C(0x853c49e6748fea9b), pause_ms;
	struct echo *echo = user;
	char address[32];

	while (kolk__load_acquire(&echo->stop) == 0) {
		pause_ms = 100 + echo_random(&random) % 400;
		(void)!WITHIN_MS(pause_ms, kolk__load_acquire(&echo->stop) != 0);
		memcpy(address, echo->address, sizeof address);
		kolk_http_server_close(echo->server,
				       kolk_in_ms(echo_random(&random) % 2 == 0 ? 0 : 30), NULL,
				       NULL);
		CHECK(WITHIN_MS(5000, begin(echo, address)));
		kolk__add_relaxed(&echo->restarts, 1);
	}
	return NULL;
}

void echo_restart_often(struct echo *echo)
{
	kolk__store_release(&echo->stop, 0);
	CHECK(pthread_create(&echo->restarter, NULL, restart, echo) == 0);
}

void echo_restart_no_more(struct echo *echo)
{
	kolk__store_release(&echo->stop, 1);
	pthread_join(echo->restarter, NULL);
}

void echo_close(struct echo *echo)
{
	CHECK_ERR(kolk_http_server_close(echo->server, kolk_in_ms(2000), NULL, NULL), KOLK_OK);
	CHECK(kolk__load_relaxed(&echo->requests) == kolk__load_relaxed(&echo->ends));
	CHECK(kolk__load_relaxed(&echo->mixed) == 0);
	CHECK_ERR(kolk_engine_destroy(echo->engine), KOLK_OK);
}
