/* SPDX-License-Identifier: Apache-2.0 */
/* http_server_conn_test.c - connections of the HTTP server, without I/O: answers, requests that
 * were sent ahead, upgrades, the end of the server. */
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/drivers/server_conn.h"

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_wire, close_wire)

static const struct CMUnitTest tests[] = {
	TEST(test_answer),
	TEST(test_idle_memory),
	TEST(test_keep_alive),
	TEST(test_requests_max),
	TEST(test_empty_answers),
	TEST(test_answers_refused),
	TEST(test_large_memory),
	TEST(test_later),
	TEST(test_date),
	TEST(test_pipelined),
	TEST(test_pipelined_many),
	TEST(test_inform),
	TEST(test_upgrade),
	TEST(test_upgrade_refused),
	TEST(test_server_drain),
};
CMOCKA_TESTS(http_server_conn, tests);
