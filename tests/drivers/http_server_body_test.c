/* SPDX-License-Identifier: Apache-2.0 */
/* http_server_body_test.c - bodies at connections of the HTTP server, without I/O: of requests, and
 * those that are pulled. */
#include "tests/kit/cmocka/run.h"

#include <stdlib.h>
#include <string.h>

#include "tests/drivers/server_conn.h"

/* ---- bodies of requests */

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_wire, close_wire)

/* ---- bodies that are written before they are pulled */

static void test_write(void **state)
{
	struct server_wire *wire = *state;

	wire->on_request = server_wire_answer_pulled;
	server_wire_say(wire, GET); /* its pull is pending */
	server_wire_clear(wire);
	assert_true(kolk_http_server_write(wire->exchange, "abc", 3));
	assert_true(kolk_http_server_write(wire->exchange, "de", 2));
	assert_false(kolk_http_server_write(wire->exchange, "", 0));
	server_wire_turn(wire);
	assert_string_equal(wire->out, "0003\r\nabc\r\n0002\r\nde\r\n");
	assert_int_equal(wire->sends, 1);
	give(wire, "f", true);
	kolk_http_server_more(wire->exchange);
	server_wire_turn(wire);
	assert_non_null(strstr(wire->out, "de\r\n0001\r\nf\r\n0\r\nX-Sum: 1\r\n\r\n"));
	expect_log(wire, "done OK|");
}

static void answer_five(struct server_wire *wire)
{
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);

	assert_false(kolk_http_server_write(wire->exchange, "abc", 3)); /* there is no answer */
	answer.status = 200;
	answer.pull = server_wire_pull;
	answer.pull_size = 5;
	assert_int_equal(kolk_http_server_answer(wire->exchange, &answer), KOLK_OK);
	assert_true(kolk_http_server_write(wire->exchange, "abc", 3));
	assert_false(kolk_http_server_write(wire->exchange, "def", 3)); /* one byte too many */
	assert_true(kolk_http_server_write(wire->exchange, "de", 2));
	assert_false(kolk_http_server_write(wire->exchange, "f", 1)); /* it is whole */
}

/* A body that was written whole goes out with its head, and pull is never called. */
static void test_write_known(void **state)
{
	struct server_wire *wire = *state;

	wire->on_request = answer_five;
	wire->pull_err = KOLK_E_IO;
	server_wire_say(wire, GET);
	assert_string_equal(strstr(wire->out, "\r\n\r\n"), "\r\n\r\nabcde");
	assert_int_equal(wire->sends, 1);
	expect_log(wire, "request GET /|end|done OK|");
}

/* A client that does not read: no more is taken than fits, and what was not is pulled. */
static void test_write_back_pressure(void **state)
{
	struct server_wire *wire = *state;
	char *body = malloc(HS_WRITE_MAX + 1);
	size_t taken = 0;

	memset(body, 'x', HS_WRITE_MAX + 1);
	wire->hold_sends = true;
	wire->on_request = answer_known; /* of 100 000 bytes */
	server_wire_say(wire, GET);
	assert_false(kolk_http_server_write(wire->exchange, body, HS_WRITE_MAX + 1));
	while (kolk_http_server_write(wire->exchange, body, 1000))
		taken += 1000;
	assert_in_range(taken, 1000, HS_OUT_BYTES / 2 + 1000);
	wire->pulled = body;
	wire->pulled_size = HS_WRITE_MAX;
	wire->hold_sends = false;
	kolk_http_server_more(wire->exchange);
	server_wire_sent(wire, KOLK_OK);
	server_wire_turn(wire);
	assert_int_equal(strlen(strstr(wire->out, "\r\n\r\n") + 4), taken + HS_WRITE_MAX);
	free(body);
}

static const struct CMUnitTest tests[] = {
	TEST(test_body),
	TEST(test_pause),
	TEST(test_continue),
	TEST(test_drain),
	TEST(test_pull_chunked),
	TEST(test_pull_pending),
	TEST(test_pull_known),
	TEST(test_pull_fails),
	TEST(test_pull_back_pressure),
	TEST(test_write),
	TEST(test_write_known),
	TEST(test_write_back_pressure),
};
CMOCKA_TESTS(http_server_body, tests);
