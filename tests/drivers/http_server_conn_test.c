/* SPDX-License-Identifier: Apache-2.0 */
/* http_server_conn_test.c - connections of the HTTP server, without I/O: requests, answers, bodies,
 * time-outs, and each way to end. */
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/drivers/http1_requests.h"
#include "tests/drivers/server_wire.h"

#define HOST "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n" HOST "\r\n"
#define CHUNKED "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
#define POST(length) "POST / HTTP/1.1\r\n" HOST "Content-Length: " length "\r\n\r\n"

static void answer_hello(struct server_wire *wire)
{
	server_wire_answer(wire, "hello");
}

static void answer_nothing(struct server_wire *wire)
{
	(void)wire;
}

static bool sent(const struct server_wire *wire, const char *text)
{
	return strstr(wire->out, text) != NULL;
}

static size_t count_of(const char *text, const char *part)
{
	size_t count = 0;

	for (; (text = strstr(text, part)) != NULL; text += strlen(part))
		count++;
	return count;
}

static void expect_log(const struct server_wire *wire, const char *log)
{
	assert_string_equal(wire->log, log);
}

static int close_wire(void **state)
{
	struct server_wire *wire = *state;

	server_wire_close(wire);
	free(wire);
	return 0;
}

static int open_wire(void **state)
{
	struct server_wire *wire = calloc(1, sizeof *wire);

	server_wire_open(wire);
	wire->on_request = answer_hello;
	*state = wire;
	return 0;
}

/* ---- answers */

static void test_answer(void **state)
{
	struct server_wire *wire = *state;

	server_wire_say(wire, GET);
	assert_memory_equal(wire->out, "HTTP/1.1 200 OK\r\ndate: ", 23);
	assert_string_equal(wire->out + 23 + 29, "\r\ncontent-length: 5\r\n\r\nhello");
	assert_int_equal(wire->sends, 1);
	expect_log(wire, "request GET /|end|done OK|");
	assert_null(wire->conn.exchange);
	assert_false(wire->closed || wire->reset || wire->paused);
}

/* An idle connection keeps its struct alone. */
static void test_idle_memory(void **state)
{
	struct server_wire *wire = *state;
	struct kolk_http_server_exchange *exchange;
	void *out;

	assert_true(sizeof(struct hs_conn) <= 400);
	server_wire_say(wire, GET);
	server_wire_say(wire, GET);
	exchange = wire->loop.idle;
	out = exchange->out.data;
	assert_int_equal(wire->loop.idle_count, 1);
	for (int i = 0; i < 10; i++)
		server_wire_say(wire, GET);
	assert_ptr_equal(wire->loop.idle, exchange);
	assert_true(exchange->out.data == out || exchange->sending.data == out);
	assert_int_equal(wire->loop.idle_count, 1);
}

static void test_keep_alive(void **state)
{
	struct server_wire *wire = *state;

	for (int i = 0; i < 5; i++)
		server_wire_say(wire, GET);
	assert_int_equal(count_of(wire->out, "hello"), 5);
	assert_int_equal(count_of(wire->out, "connection:"), 0);
	server_wire_say(wire, "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
	assert_int_equal(count_of(wire->out, "connection: close"), 1);
	assert_true(wire->closed);
	server_wire_again(wire);
	server_wire_say(wire, "GET / HTTP/1.0\r\n\r\n");
	assert_true(sent(wire, "connection: close") && wire->closed);
	server_wire_again(wire);
	server_wire_say(wire, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	assert_true(sent(wire, "connection: keep-alive") && !wire->closed);
}

static void test_requests_max(void **state)
{
	struct server_wire *wire = *state;

	wire->options.requests_max = 3;
	server_wire_say(wire, GET GET GET GET);
	assert_int_equal(count_of(wire->out, "hello"), 3);
	assert_int_equal(count_of(wire->out, "connection: close"), 1);
	assert_true(wire->closed);
}

static void answer_status(struct server_wire *wire)
{
	static const struct kolk_http_field fields[] = {{"X-A", "b"}, {"Date", "now"}};
	const char *target = strrchr(wire->log, '/') + 1;
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);

	answer.status = *target == '|' ? 200 : (uint32_t)strtoul(target, NULL, 10);
	answer.fields = fields;
	answer.field_count = 2;
	answer.body = "body";
	answer.body_size = 4;
	assert_int_equal(kolk_http_server_answer(wire->exchange, &answer), KOLK_OK);
}

static void expect_status(struct server_wire *wire, const char *method, uint32_t status,
			  const char *expected)
{
	char text[256];

	server_wire_again(wire);
	snprintf(text, sizeof text, "%s /%u HTTP/1.1\r\n" HOST "\r\n", method, status);
	server_wire_say(wire, text);
	assert_string_equal(wire->out, expected);
	server_wire_say(wire, GET);
	assert_false(wire->closed);
}

/* What has no body has none, and what comes behind it is the next answer. */
static void test_empty_answers(void **state)
{
	struct server_wire *wire = *state;

	wire->on_request = answer_status;
	expect_status(wire, "GET", 200, "HTTP/1.1 200 OK\r\nX-A: b\r\nDate: now\r\n"
					"content-length: 4\r\n\r\nbody");
	expect_status(wire, "HEAD", 200, "HTTP/1.1 200 OK\r\nX-A: b\r\nDate: now\r\n"
					 "content-length: 4\r\n\r\n");
	expect_status(wire, "GET", 204, "HTTP/1.1 204 No Content\r\nX-A: b\r\nDate: now\r\n\r\n");
	expect_status(wire, "GET", 205, "HTTP/1.1 205 Reset Content\r\nX-A: b\r\nDate: now\r\n"
					"content-length: 0\r\n\r\n");
	expect_status(wire, "GET", 304, "HTTP/1.1 304 Not Modified\r\nX-A: b\r\nDate: now\r\n"
					"content-length: 4\r\n\r\n");
	expect_status(wire, "GET", 299, "HTTP/1.1 299 \r\nX-A: b\r\nDate: now\r\n"
					"content-length: 4\r\n\r\nbody");
}

static void refuse_answers(struct server_wire *wire)
{
	static const struct kolk_http_field bad[] = {
		{"Content-Length", "1"}, {"transfer-encoding", "chunked"}, {"Connection", "close"},
		{"Upgrade", "x"}, {"a b", "c"}, {"a", "b\r\nc: d"}, {"a", "b\n"}, {"", "b"},
		{NULL, "b"}, {"a", NULL}, {"a", " b"}
	};
	static const uint32_t statuses[] = {0, 99, 100, 101, 103, 199, 600, 1000};
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);

	for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
		answer.status = statuses[i];
		assert_int_equal(kolk_http_server_answer(wire->exchange, &answer),
				 KOLK_E_OPTIONS);
	}
	answer.status = 200;
	answer.field_count = 1;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		answer.fields = &bad[i];
		assert_int_equal(kolk_http_server_answer(wire->exchange, &answer),
				 KOLK_E_OPTIONS);
		assert_int_equal(kolk_http_server_inform(wire->exchange, 103, &bad[i], 1),
				 KOLK_E_OPTIONS);
	}
	answer.field_count = 0;
	answer.body_size = 1; /* without a body */
	assert_int_equal(kolk_http_server_answer(wire->exchange, &answer), KOLK_E_OPTIONS);
	answer.body_size = 0;
	answer.pull_size = 1; /* without pull, and no HEAD */
	assert_int_equal(kolk_http_server_answer(wire->exchange, &answer), KOLK_E_OPTIONS);
	answer.pull_size = 0;
	answer.trailer_count = 1;
	assert_int_equal(kolk_http_server_answer(wire->exchange, &answer), KOLK_E_OPTIONS);
	answer.trailer_count = 0;
	answer.upgrade = "websocket";
	assert_int_equal(kolk_http_server_answer(wire->exchange, &answer), KOLK_E_OPTIONS);
	answer.size = 4;
	assert_int_equal(kolk_http_server_answer(wire->exchange, &answer), KOLK_E_OPTIONS);
	server_wire_answer(wire, "ok");
	answer = (struct kolk_http_answer)KOLK_INIT(kolk_http_answer);
	answer.status = 200;
	assert_int_equal(kolk_http_server_answer(wire->exchange, &answer), KOLK_E_IN_USE);
	assert_int_equal(kolk_http_server_inform(wire->exchange, 103, NULL, 0), KOLK_E_IN_USE);
}

static void test_answers_refused(void **state)
{
	struct server_wire *wire = *state;

	wire->on_request = refuse_answers;
	server_wire_say(wire, GET);
	assert_true(sent(wire, "content-length: 2\r\n\r\nok"));
	assert_int_equal(count_of(wire->out, "HTTP/1.1"), 1);
}

static void answer_large(struct server_wire *wire)
{
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);

	answer.status = 200;
	answer.body = wire->pulled;
	answer.body_size = wire->pulled_size;
	assert_int_equal(kolk_http_server_answer(wire->exchange, &answer), KOLK_OK);
}

static void test_large_memory(void **state)
{
	struct server_wire *wire = *state;
	size_t size = 300000;
	char *body = malloc(size);

	for (size_t i = 0; i < size; i++)
		body[i] = (char)('a' + i % 23);
	wire->pulled = body;
	wire->pulled_size = size;
	wire->on_request = answer_large;
	server_wire_say(wire, GET);
	assert_true(sent(wire, "content-length: 300000\r\n\r\n"));
	assert_memory_equal(strstr(wire->out, "\r\n\r\n") + 4, body, size);
	assert_int_equal(wire->sends, 2);
	expect_log(wire, "request GET /|end|done OK|");
	free(body);
}

static void answer_later(struct server_wire *wire)
{
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);

	answer.status = 200;
	assert_int_equal(kolk_http_server_answer(wire->exchange, &answer), KOLK_OK);
	assert_int_equal(wire->out_size, 0); /* never from within */
}

static void test_later(void **state)
{
	struct server_wire *wire = *state;

	wire->on_request = answer_nothing;
	server_wire_say(wire, GET);
	assert_int_equal(wire->out_size, 0);
	server_wire_wait(wire, 3600 * KOLK_S_NS); /* the callee has time */
	assert_int_equal(wire->out_size, 0);
	answer_later(wire);
	server_wire_turn(wire);
	assert_true(sent(wire, "200 OK"));
	expect_log(wire, "request GET /|end|done OK|");
}

static void test_date(void **state)
{
	struct server_wire *wire = *state;
	char text[H1_DATE_SIZE];

	h1_write_date(784111777, text);
	assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
	h1_write_date(0, text);
	assert_string_equal(text, "Thu, 01 Jan 1970 00:00:00 GMT");
	server_wire_say(wire, GET);
	memcpy(wire->loop.date, "Xxx", 3);
	server_wire_say(wire, GET); /* the same second: not written again */
	assert_true(sent(wire, "date: Xxx"));
	server_wire_wait(wire, KOLK_S_NS);
	server_wire_clear(wire);
	server_wire_say(wire, GET);
	assert_false(sent(wire, "date: Xxx"));
	wire->on_request = answer_nothing; /* answered when nothing of the client's came */
	server_wire_say(wire, GET);
	server_wire_clear(wire);
	memcpy(wire->loop.date, "Xxx", 3);
	wire->now_ns += KOLK_S_NS;
	server_wire_answer(wire, "hello");
	server_wire_turn(wire);
	assert_false(sent(wire, "date: Xxx"));
}

/* ---- requests that were sent ahead */

static void test_pipelined(void **state)
{
	struct server_wire *wire = *state;

	wire->on_request = answer_nothing;
	server_wire_say(wire, "GET /1 HTTP/1.1\r\n" HOST "\r\nGET /2 HTTP/1.1\r\n" HOST
			      "\r\nGET /3 HTTP/1.1\r\n" HOST "\r\n");
	expect_log(wire, "request GET /1|end|");
	assert_true(wire->paused);
	server_wire_answer(wire, "one");
	server_wire_turn(wire);
	expect_log(wire, "request GET /1|end|done OK|request GET /2|end|");
	assert_true(wire->paused);
	server_wire_answer(wire, "two");
	server_wire_turn(wire);
	assert_false(wire->paused);
	server_wire_answer(wire, "three");
	server_wire_turn(wire);
	assert_int_equal(count_of(wire->out, "HTTP/1.1 200 OK"), 3);
	assert_true(strstr(wire->out, "one") < strstr(wire->out, "two"));
	assert_null(wire->conn.exchange);
}

static void test_pipelined_many(void **state)
{
	struct server_wire *wire = *state;
	char text[sizeof GET * 100] = "";

	for (int i = 0; i < 100; i++)
		strcat(text, GET);
	server_wire_say(wire, text);
	assert_int_equal(count_of(wire->out, "hello"), 100);
	assert_null(wire->conn.exchange);
	assert_false(wire->paused);
}

/* ---- bodies of requests */

static void answer_at_end(struct server_wire *wire)
{
	server_wire_answer(wire, "got it");
}

static void test_body(void **state)
{
	struct server_wire *wire = *state;

	wire->on_request = answer_nothing;
	wire->on_body_end = answer_at_end;
	server_wire_say(wire, POST("5") "he");
	expect_log(wire, "request POST /|body he|");
	server_wire_say(wire, "llo");
	expect_log(wire, "request POST /|body he|body llo|end|done OK|");
	server_wire_clear(wire);
	server_wire_say(wire, CHUNKED "3\r\nabc\r\n0\r\nX-T: y\r\n\r\n");
	expect_log(wire, "request POST /|body abc|endx-t|done OK|");
	assert_true(sent(wire, "got it"));
}

static void pause_exchange(struct server_wire *wire)
{
	kolk_http_server_pause(wire->exchange);
}

static void pause_at_body(struct server_wire *wire, const void *data, size_t size)
{
	(void)data;
	(void)size;
	kolk_http_server_pause(wire->exchange);
}

static void test_pause(void **state)
{
	struct server_wire *wire = *state;

	wire->on_request = pause_exchange;
	wire->on_body = pause_at_body;
	wire->on_body_end = answer_at_end;
	server_wire_say(wire, CHUNKED "3\r\nabc\r\n2\r\nde\r\n");
	expect_log(wire, "request POST /|");
	assert_true(wire->paused);
	server_wire_wait(wire, 3600 * KOLK_S_NS); /* not the client's time */
	kolk_http_server_resume(wire->exchange);
	server_wire_turn(wire);
	expect_log(wire, "request POST /|body abc|");
	assert_true(wire->paused);
	kolk_http_server_resume(wire->exchange);
	server_wire_turn(wire);
	expect_log(wire, "request POST /|body abc|body de|");
	assert_true(wire->paused);
	kolk_http_server_resume(wire->exchange);
	server_wire_turn(wire);
	assert_false(wire->paused);
	server_wire_say(wire, "0\r\n\r\n");
	expect_log(wire, "request POST /|body abc|body de|end|done OK|");
}

static void test_continue(void **state)
{
	struct server_wire *wire = *state;
	static const char head[] = "POST / HTTP/1.1\r\n" HOST
				   "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n";

	wire->on_request = answer_nothing; /* it wants the body: at once */
	wire->on_body_end = answer_at_end;
	server_wire_say(wire, head);
	assert_string_equal(wire->out, "HTTP/1.1 100 Continue\r\n\r\n");
	server_wire_say(wire, "abc");
	assert_true(sent(wire, "got it") && !sent(wire, "connection: close"));

	wire->on_request = pause_exchange; /* later */
	server_wire_again(wire);
	server_wire_say(wire, head);
	assert_int_equal(wire->out_size, 0);
	kolk_http_server_resume(wire->exchange);
	server_wire_turn(wire);
	assert_string_equal(wire->out, "HTTP/1.1 100 Continue\r\n\r\n");

	wire->on_request = answer_hello; /* never: and what follows may be the body, or not */
	server_wire_again(wire);
	server_wire_say(wire, head);
	assert_false(sent(wire, "100 Continue"));
	assert_true(sent(wire, "connection: close") && wire->closed);

	wire->on_request = server_wire_answer_pulled; /* an answer that is made of the body */
	server_wire_again(wire);
	server_wire_say(wire, head);
	assert_memory_equal(wire->out, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", 42);
	assert_false(sent(wire, "connection: close"));

	wire->on_request = answer_nothing; /* the client did not wait */
	server_wire_again(wire);
	server_wire_say(wire, "POST / HTTP/1.1\r\n" HOST
			      "Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc");
	assert_false(sent(wire, "100 Continue"));
	assert_false(wire->closed);
}

/* What the callee does not read is read away, or the connection is closed. */
static void test_drain(void **state)
{
	struct server_wire *wire = *state;
	char *large = malloc(70000);

	memset(large, 'x', 70000);
	server_wire_say(wire, POST("5") "he");
	expect_log(wire, "request POST /|body he|done OK|");
	server_wire_say(wire, "llo" GET);
	assert_int_equal(count_of(wire->out, "hello"), 2);
	assert_false(wire->closed);

	server_wire_again(wire);
	server_wire_say(wire, POST("65537"));
	assert_true(sent(wire, "hello") && wire->closed);

	server_wire_again(wire);
	server_wire_say(wire, CHUNKED "11170\r\n");
	assert_false(wire->closed);
	server_wire_feed(wire, large, 70000);
	assert_true(wire->closed);

	server_wire_again(wire);
	server_wire_say(wire, CHUNKED "1\r\nx\r\n0\r\nA: b\r\n\r\n" GET);
	assert_int_equal(count_of(wire->out, "hello"), 2);
	free(large);

	server_wire_again(wire); /* a byte at a time */
	server_wire_say(wire, POST("50") "he");
	for (int i = 0; i < 2; i++) {
		assert_false(wire->closed);
		server_wire_wait(wire, 20 * KOLK_S_NS);
		server_wire_say(wire, "l");
	}
	assert_true(wire->closed);
}

/* ---- bodies that are pulled */

static void give(struct server_wire *wire, const char *text, bool ends)
{
	wire->pulled = text;
	wire->pulled_size = strlen(text);
	wire->pull_ends = ends;
}

static void test_pull_chunked(void **state)
{
	struct server_wire *wire = *state;

	wire->on_request = server_wire_answer_pulled;
	give(wire, "hello", true);
	server_wire_say(wire, GET);
	assert_string_equal(strstr(wire->out, "\r\n\r\n"),
			    "\r\n\r\n0005\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n");
	assert_true(sent(wire, "transfer-encoding: chunked"));
	assert_int_equal(wire->sends, 1); /* head and body together */
	server_wire_clear(wire);
	give(wire, "hello", true);
	server_wire_say(wire, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	assert_string_equal(strstr(wire->out, "\r\n\r\n"), "\r\n\r\nhello");
	assert_true(sent(wire, "connection: close") && wire->closed);
}

static void test_pull_pending(void **state)
{
	struct server_wire *wire = *state;

	wire->on_request = server_wire_answer_pulled;
	server_wire_say(wire, GET);
	assert_true(sent(wire, "transfer-encoding: chunked"));
	server_wire_clear(wire);
	give(wire, "abc", false);
	server_wire_turn(wire);
	assert_int_equal(wire->out_size, 0); /* not before more */
	kolk_http_server_more(wire->exchange);
	server_wire_turn(wire);
	assert_string_equal(wire->out, "0003\r\nabc\r\n");
	kolk_http_server_more(wire->exchange); /* in vain */
	server_wire_turn(wire);
	give(wire, "", true);
	kolk_http_server_more(wire->exchange);
	server_wire_turn(wire);
	assert_string_equal(wire->out, "0003\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n");
	expect_log(wire, "done OK|");
}

static void answer_known(struct server_wire *wire)
{
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);

	answer.status = 200;
	answer.pull = server_wire_pull;
	answer.pull_size = 100000;
	assert_int_equal(kolk_http_server_answer(wire->exchange, &answer), KOLK_OK);
}

static void test_pull_known(void **state)
{
	struct server_wire *wire = *state;
	char *body = malloc(100001);

	memset(body, 'x', 100000);
	body[100000] = '\0';
	wire->on_request = answer_known;
	for (size_t at_once = 0; at_once < 10000; at_once = at_once * 7 + 1) {
		server_wire_clear(wire);
		wire->pull_at_once = at_once;
		give(wire, body, false);
		server_wire_say(wire, GET);
		assert_string_equal(strstr(wire->out, "\r\n\r\n") + 4, body);
		assert_false(wire->closed || wire->reset);
	}
	wire->pull_at_once = 0;
	give(wire, "too short", true); /* half an answer is no answer */
	server_wire_say(wire, GET);
	assert_true(wire->reset);
	server_wire_end(wire, KOLK_OK);
	assert_non_null(strstr(wire->log, "done E_OPTIONS|"));
	free(body);
}

static void test_pull_fails(void **state)
{
	struct server_wire *wire = *state;

	wire->on_request = server_wire_answer_pulled;
	wire->pull_err = KOLK_E_RESET;
	server_wire_say(wire, GET);
	assert_true(wire->reset);
	server_wire_end(wire, KOLK_OK);
	expect_log(wire, "request GET /|end|done E_RESET|");
}

/* A client that does not read: nothing more is pulled than fits. */
static void test_pull_back_pressure(void **state)
{
	struct server_wire *wire = *state;
	size_t size = 900000;
	char *body = malloc(size);

	memset(body, 'x', size);
	wire->hold_sends = true;
	wire->on_request = server_wire_answer_pulled;
	wire->pulled = body;
	wire->pulled_size = size;
	wire->pull_ends = true;
	server_wire_say(wire, GET);
	assert_true(wire->sending);
	assert_true(size - wire->pulled_size <= 2 * HS_OUT_BYTES);
	for (int i = 0; i < 3; i++)
		server_wire_sent(wire, KOLK_OK);
	assert_true(size - wire->pulled_size <= (2 + 3) * HS_OUT_BYTES);
	wire->hold_sends = false;
	server_wire_turn(wire);
	expect_log(wire, "request GET /|end|done OK|");
	free(body);
}

/* ---- informational answers */

static void inform_first(struct server_wire *wire)
{
	static const struct kolk_http_field link[] = {{"Link", "</a>; rel=preload"}};

	assert_int_equal(kolk_http_server_inform(wire->exchange, 103, link, 1), KOLK_OK);
	assert_int_equal(kolk_http_server_inform(wire->exchange, 100, NULL, 0), KOLK_E_OPTIONS);
	assert_int_equal(kolk_http_server_inform(wire->exchange, 101, NULL, 0), KOLK_E_OPTIONS);
	assert_int_equal(kolk_http_server_inform(wire->exchange, 200, NULL, 0), KOLK_E_OPTIONS);
}

static void test_inform(void **state)
{
	struct server_wire *wire = *state;

	wire->on_request = inform_first;
	wire->on_body_end = answer_at_end;
	server_wire_say(wire, GET);
	assert_memory_equal(wire->out, "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"
				       "HTTP/1.1 200 OK\r\n", 70);
	server_wire_clear(wire);
	server_wire_say(wire, "GET / HTTP/1.0\r\n\r\n");
	assert_int_equal(count_of(wire->out, "HTTP/1.1"), 1);
}

/* ---- refusals */

static void test_refusals(void **state)
{
	static const struct {
		const char *text;
		uint32_t status;
	} rows[] = {
		{"GET /\r\n\r\n", 400}, {"\x16\x03\x01", 400}, {"PRI * HTTP/2.0\r\n\r\n", 505},
		{"CONNECT a:1 HTTP/1.1\r\n" HOST "\r\n", 501},
		{"GET / HTTP/1.1\r\n" HOST "Expect: x\r\n\r\n", 417},
		{POST("99999999999"), 413},
		{"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
	};
	struct server_wire *wire = *state;
	char status[32];

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		server_wire_again(wire);
		server_wire_say(wire, rows[i].text);
		snprintf(status, sizeof status, "HTTP/1.1 %u ", rows[i].status);
		assert_memory_equal(wire->out, status, strlen(status));
		assert_true(sent(wire, "connection: close"));
		assert_true(sent(wire, h1_reason(rows[i].status)));
		assert_int_equal(wire->refused, rows[i].status);
		assert_int_equal(wire->sends, 1);
		assert_true(wire->closed && !wire->reset);
		expect_log(wire, "");
	}
}

/* The rest of a body that is no body: the callee stops, the client learns why. */
static void test_bad_body(void **state)
{
	struct server_wire *wire = *state;

	wire->on_request = answer_nothing;
	server_wire_say(wire, CHUNKED "1\r\nx\r\nz\r\n");
	expect_log(wire, "request POST /|body x|done E_PROTOCOL|");
	assert_memory_equal(wire->out, "HTTP/1.1 400 ", 13);
	assert_true(wire->closed);

	wire->options.body_bytes_max = 4;
	server_wire_again(wire);
	server_wire_say(wire, CHUNKED "3\r\nabc\r\n2\r\nde\r\n");
	expect_log(wire, "request POST /|body abc|done E_LIMIT|");
	assert_memory_equal(wire->out, "HTTP/1.1 413 ", 13);
	assert_true(wire->closed);

	wire->on_request = server_wire_answer_pulled; /* half an answer is out: not to be taken for whole */
	server_wire_again(wire);
	server_wire_say(wire, CHUNKED "z\r\n");
	assert_true(wire->reset);
	server_wire_end(wire, KOLK_OK);
	expect_log(wire, "request POST /|done E_PROTOCOL|");

	wire->on_request = answer_hello; /* a whole answer: it is sent */
	server_wire_again(wire);
	server_wire_say(wire, CHUNKED "z\r\n");
	assert_true(sent(wire, "hello") && wire->closed);
	expect_log(wire, "request POST /|done OK|");
}

/* ---- time */

static void test_header_timeout(void **state)
{
	struct server_wire *wire = *state;

	server_wire_wait(wire, 11 * KOLK_S_NS); /* not a byte: no answer */
	assert_true(wire->closed);
	assert_int_equal(wire->out_size, 0);

	server_wire_again(wire);
	server_wire_say(wire, "GET / HT");
	server_wire_wait(wire, 11 * KOLK_S_NS);
	assert_memory_equal(wire->out, "HTTP/1.1 408 ", 13);
	assert_int_equal(wire->refused, 408);
	assert_true(wire->closed);

	server_wire_again(wire);
	for (size_t i = 0; i < sizeof GET - 2 && !wire->closed; i++) { /* a byte every second */
		server_wire_feed(wire, &GET[i], 1);
		server_wire_wait(wire, KOLK_S_NS);
	}
	assert_memory_equal(wire->out, "HTTP/1.1 408 ", 13);

	server_wire_again(wire);
	server_wire_say(wire, GET);
	server_wire_clear(wire);
	server_wire_wait(wire, 50 * KOLK_S_NS);
	server_wire_say(wire, "G"); /* counts from here */
	server_wire_wait(wire, 9 * KOLK_S_NS);
	assert_false(wire->closed);
	server_wire_wait(wire, 2 * KOLK_S_NS);
	assert_memory_equal(wire->out, "HTTP/1.1 408 ", 13);
}

static void test_idle_timeout(void **state)
{
	struct server_wire *wire = *state;

	server_wire_say(wire, GET);
	server_wire_wait(wire, 59 * KOLK_S_NS);
	assert_false(wire->closed);
	server_wire_say(wire, GET);
	server_wire_clear(wire);
	server_wire_wait(wire, 59 * KOLK_S_NS);
	assert_false(wire->closed);
	server_wire_wait(wire, 2 * KOLK_S_NS);
	assert_true(wire->closed);
	assert_int_equal(wire->out_size, 0);
}

static void test_body_timeout(void **state)
{
	struct server_wire *wire = *state;

	wire->on_request = answer_nothing;
	server_wire_say(wire, POST("100"));
	for (int i = 0; i < 10; i++) {
		server_wire_wait(wire, 29 * KOLK_S_NS);
		server_wire_say(wire, "x");
	}
	assert_false(wire->closed);
	server_wire_wait(wire, 31 * KOLK_S_NS);
	assert_non_null(strstr(wire->log, "done E_TIMEOUT|"));
	assert_memory_equal(wire->out, "HTTP/1.1 408 ", 13);
	assert_true(wire->closed);

	wire->on_request = server_wire_answer_pulled;
	server_wire_again(wire);
	server_wire_say(wire, POST("100"));
	server_wire_wait(wire, 31 * KOLK_S_NS);
	assert_true(wire->reset);
	server_wire_end(wire, KOLK_OK);
	assert_non_null(strstr(wire->log, "done E_TIMEOUT|"));

	server_wire_again(wire); /* a rest that is drained */
	wire->on_request = answer_hello;
	server_wire_say(wire, POST("100"));
	server_wire_wait(wire, 31 * KOLK_S_NS);
	assert_true(wire->closed);
}

/* ---- the client goes */

static void test_client_gone(void **state)
{
	struct server_wire *wire = *state;

	wire->on_request = answer_nothing; /* while the callee works */
	server_wire_say(wire, GET);
	server_wire_feed(wire, NULL, 0);
	assert_true(wire->reset);
	server_wire_end(wire, KOLK_OK);
	expect_log(wire, "request GET /|end|done E_CLOSED|");

	server_wire_again(wire); /* reset */
	server_wire_say(wire, GET);
	server_wire_end(wire, KOLK_E_RESET);
	expect_log(wire, "request GET /|end|done E_RESET|");

	server_wire_again(wire); /* in a body */
	server_wire_say(wire, POST("5") "x");
	server_wire_feed(wire, NULL, 0);
	assert_true(wire->reset);
	server_wire_end(wire, KOLK_OK);
	expect_log(wire, "request POST /|body x|done E_CLOSED|");

	server_wire_again(wire); /* between two requests */
	server_wire_feed(wire, NULL, 0);
	assert_true(wire->closed && !wire->reset);

	server_wire_again(wire); /* in a head */
	server_wire_say(wire, "GET / ");
	server_wire_feed(wire, NULL, 0);
	assert_true(wire->closed && wire->out_size == 0);

	wire->on_request = answer_hello; /* while the answer is sent: it gets it */
	server_wire_again(wire);
	wire->hold_sends = true;
	server_wire_say(wire, GET);
	server_wire_feed(wire, NULL, 0);
	assert_false(wire->reset || wire->closed);
	wire->hold_sends = false;
	server_wire_turn(wire);
	assert_true(wire->closed);
	expect_log(wire, "request GET /|end|done OK|");
}

static void test_half_close(void **state)
{
	struct server_wire *wire = *state;

	wire->options.half_close = 1;
	wire->on_request = answer_nothing;
	server_wire_say(wire, GET);
	server_wire_feed(wire, NULL, 0);
	assert_false(wire->reset || wire->closed);
	server_wire_answer(wire, "late");
	server_wire_turn(wire);
	assert_true(sent(wire, "late") && sent(wire, "connection: close"));
	assert_true(wire->closed);
	expect_log(wire, "request GET /|end|done OK|");
}

/* Calls of a callee that did not hear yet that the client went. */
static void test_gone_unheard(void **state)
{
	struct server_wire *wire = *state;

	wire->on_request = answer_nothing;
	server_wire_say(wire, GET);
	server_wire_feed(wire, NULL, 0);
	assert_true(wire->reset);
	server_wire_answer(wire, "too late");
	kolk_http_server_pause(wire->exchange);
	kolk_http_server_resume(wire->exchange);
	kolk_http_server_more(wire->exchange);
	kolk_http_server_cancel(wire->exchange);
	server_wire_turn(wire);
	assert_int_equal(wire->out_size, 0);
	server_wire_end(wire, KOLK_OK);
	expect_log(wire, "request GET /|end|done E_CLOSED|");
}

static void test_cancel(void **state)
{
	struct server_wire *wire = *state;

	wire->on_request = answer_nothing;
	server_wire_say(wire, GET);
	kolk_http_server_cancel(wire->exchange);
	assert_true(wire->reset);
	expect_log(wire, "request GET /|end|"); /* from step */
	server_wire_end(wire, KOLK_OK);
	expect_log(wire, "request GET /|end|done E_CANCELLED|");
}

static void test_send_fails(void **state)
{
	struct server_wire *wire = *state;

	wire->hold_sends = true;
	server_wire_say(wire, GET);
	server_wire_sent(wire, KOLK_E_RESET);
	assert_true(wire->reset);
	server_wire_end(wire, KOLK_E_RESET);
	expect_log(wire, "request GET /|end|done E_RESET|");
}

/* ---- upgrades */

static void answer_upgrade(struct server_wire *wire)
{
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);

	answer.status = 101;
	answer.upgrade = "websocket";
	answer.pull = server_wire_pull;
	answer.pull_size = KOLK_HTTP_CHUNKED;
	assert_int_equal(kolk_http_server_answer(wire->exchange, &answer), KOLK_OK);
}

#define UPGRADE "GET /ws HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"

static void test_upgrade(void **state)
{
	struct server_wire *wire = *state;

	wire->on_request = answer_upgrade;
	server_wire_say(wire, UPGRADE "GET / raw");
	assert_string_equal(wire->out, "HTTP/1.1 101 Switching Protocols\r\n"
				       "connection: upgrade\r\nupgrade: websocket\r\n\r\n");
	expect_log(wire, "request GET /ws|body GET / raw|");
	server_wire_clear(wire);
	server_wire_say(wire, "more");
	expect_log(wire, "body more|");
	give(wire, "raw back", false);
	kolk_http_server_more(wire->exchange);
	server_wire_turn(wire);
	assert_string_equal(wire->out, "raw back");

	kolk_http_server_pause(wire->exchange); /* back-pressure */
	server_wire_turn(wire);
	assert_true(wire->paused);
	server_wire_wait(wire, 3600 * KOLK_S_NS);
	kolk_http_server_resume(wire->exchange);
	server_wire_turn(wire);
	assert_false(wire->paused);

	server_wire_clear(wire);
	server_wire_feed(wire, NULL, 0); /* its direction ends, ours does not */
	expect_log(wire, "end|");
	assert_false(wire->closed || wire->reset);
	give(wire, "last", true);
	kolk_http_server_more(wire->exchange);
	server_wire_turn(wire);
	assert_string_equal(wire->out, "last");
	expect_log(wire, "end|done OK|");
	assert_true(wire->closed);
}

static void refuse_upgrade(struct server_wire *wire)
{
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);

	answer.status = 101;
	answer.upgrade = "websocket";
	answer.pull = server_wire_pull;
	answer.pull_size = KOLK_HTTP_CHUNKED;
	assert_int_equal(kolk_http_server_answer(wire->exchange, &answer), KOLK_E_OPTIONS);
	server_wire_answer(wire, "no");
}

static void test_upgrade_refused(void **state)
{
	struct server_wire *wire = *state;

	wire->on_request = refuse_upgrade; /* one that was not asked for */
	server_wire_say(wire, GET);
	server_wire_say(wire, "GET / HTTP/1.1\r\n" HOST "Upgrade: websocket\r\n\r\n");
	server_wire_say(wire, "POST / HTTP/1.1\r\n" HOST "Connection: upgrade\r\n"
			      "Upgrade: websocket\r\nContent-Length: 1\r\n\r\n");
	assert_int_equal(count_of(wire->out, "200 OK"), 3);
}

/* ---- the server is closed */

static void test_server_drain(void **state)
{
	struct server_wire *wire = *state;

	wire->on_request = answer_nothing;
	server_wire_say(wire, GET);
	hs_loop_drain(&wire->loop);
	assert_false(wire->closed);
	server_wire_answer(wire, "last");
	server_wire_turn(wire);
	assert_true(sent(wire, "last") && sent(wire, "connection: close") && wire->closed);
	server_wire_end(wire, KOLK_OK);
	wire->loop.draining = false;
	server_wire_again(wire); /* between two requests */
	hs_loop_drain(&wire->loop);
	assert_true(wire->closed);
}

/* ---- the corpus */

static void use_bounds(struct server_wire *wire)
{
	wire->options.head_bytes_max = 512;
	wire->options.target_bytes_max = 64;
	wire->options.fields_max = 8;
	wire->options.body_bytes_max = 64;
}

/* An answer and nothing else, with the status that the table says; and each request ends once. */
static void expect_row(struct server_wire *wire, const struct http1_request_case *row)
{
	uint32_t status = row->verdict >= 400 ? (uint32_t)row->verdict : 200;
	size_t requests = count_of(wire->log, "request "), ends = count_of(wire->log, "done ");
	char text[32];

	snprintf(text, sizeof text, "HTTP/1.1 %u ", status);
	if (requests != ends || (row->verdict == KEEP && wire->closed) ||
	    (row->verdict >= 400 && !wire->closed) ||
	    (row->verdict != CUT && strstr(wire->out, text) == NULL))
		fail_msg("%s: %s %s", row->name, wire->log, wire->out);
}

static void answer_at_body_end(struct server_wire *wire)
{
	server_wire_answer(wire, "");
}

static void test_corpus(void **state)
{
	struct server_wire *wire = *state;

	use_bounds(wire);
	wire->on_request = answer_nothing;
	wire->on_body_end = answer_at_body_end;
	for (size_t i = 0; i < http1_request_count; i++) {
		const struct http1_request_case *row = &http1_requests[i];

		for (size_t cut = 0; cut < row->size; cut++) {
			server_wire_again(wire);
			if (cut > 0)
				server_wire_feed(wire, row->bytes, cut);
			server_wire_feed(wire, row->bytes + cut, row->size - cut);
			if (row->verdict == CUT)
				server_wire_end(wire, KOLK_E_CLOSED);
			expect_row(wire, row);
		}
	}
}

/* The client goes at every byte; time passes at every byte. */
static void test_corpus_ends(void **state)
{
	struct server_wire *wire = *state;

	use_bounds(wire);
	wire->on_request = answer_nothing;
	wire->on_body_end = answer_at_body_end;
	for (size_t i = 0; i < http1_request_count; i++) {
		const struct http1_request_case *row = &http1_requests[i];

		for (size_t cut = 0; cut < row->size; cut++) {
			server_wire_again(wire);
			if (cut > 0)
				server_wire_feed(wire, row->bytes, cut);
			if (cut % 3 == 0)
				server_wire_feed(wire, NULL, 0);
			else if (cut % 3 == 1)
				server_wire_wait(wire, 100 * KOLK_S_NS);
			server_wire_end(wire, KOLK_E_RESET);
			assert_int_equal(count_of(wire->log, "request "),
					 count_of(wire->log, "done "));
		}
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_wire, close_wire)

static const struct CMUnitTest tests[] = {
	TEST(test_answer),	    TEST(test_idle_memory),   TEST(test_keep_alive),
	TEST(test_requests_max),    TEST(test_empty_answers), TEST(test_answers_refused),
	TEST(test_large_memory),    TEST(test_later),	      TEST(test_date),
	TEST(test_pipelined),	    TEST(test_pipelined_many), TEST(test_body),
	TEST(test_pause),	    TEST(test_continue),      TEST(test_drain),
	TEST(test_pull_chunked),    TEST(test_pull_pending),  TEST(test_pull_known),
	TEST(test_pull_fails),	    TEST(test_pull_back_pressure), TEST(test_inform),
	TEST(test_refusals),	    TEST(test_bad_body),      TEST(test_header_timeout),
	TEST(test_idle_timeout),    TEST(test_body_timeout),  TEST(test_client_gone),
	TEST(test_half_close),	    TEST(test_gone_unheard),  TEST(test_cancel),
	TEST(test_send_fails),	    TEST(test_upgrade),	      TEST(test_upgrade_refused),
	TEST(test_server_drain),    TEST(test_corpus),	      TEST(test_corpus_ends),
};
CMOCKA_TESTS(http_server_conn, tests);
