/* SPDX-License-Identifier: Apache-2.0 */
/* http_server_end_test.c - how connections of the HTTP server end, without I/O: time-outs, clients
 * that go. */
#include "tests/kit/cmocka/run.h"

#include <string.h>

#include "tests/drivers/server_conn.h"

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_wire, close_wire)

static const struct CMUnitTest tests[] = {
	TEST(test_header_timeout),
	TEST(test_idle_timeout),
	TEST(test_body_timeout),
	TEST(test_client_gone),
	TEST(test_half_close),
	TEST(test_gone_unheard),
	TEST(test_cancel),
	TEST(test_send_fails),
};
CMOCKA_TESTS(http_server_end, tests);
