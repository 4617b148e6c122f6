/* SPDX-License-Identifier: Apache-2.0 */
/* http_server_h2_body_test.c - bodies of requests over HTTP/2 at the HTTP server, without I/O. */
#include "tests/kit/cmocka/run.h"

#include <stdlib.h>
#include <string.h>

#include "tests/drivers/server_h2.h"

/* ---- bodies of requests */

static void test_body(void **state)
{
	struct fixture *fixture = *state;

	fixture->wire.on_request = answer_nothing;
	fixture->wire.on_body_end = answer_at_end;
	fixture->body = "hello";
	fixture->body_size = 5;
	(void)ask(fixture, "POST", "/");
	talk(fixture);
	expect_log(&fixture->wire, "request POST /|body hello|end|done OK|");
	assert_memory_equal(fixture->seen[0].body, "got it", 7);
}

static size_t total;

static void count_body(struct server_wire *wire, const void *data, size_t size)
{
	(void)wire;
	(void)data;
	total += size;
}

/* What is paused holds one window, and the client no more. */
static void test_back_pressure(void **state)
{
	struct fixture *fixture = *state;
	struct server_wire *wire = &fixture->wire;
	size_t size = 900000;
	char *body = malloc(size);

	memset(body, 'x', size);
	total = 0;
	wire->on_request = pause_exchange;
	wire->on_body = count_body;
	wire->on_body_end = answer_at_end;
	fixture->body = body;
	fixture->body_size = size;
	(void)ask(fixture, "POST", "/");
	talk(fixture);
	assert_int_equal(total, 0);
	assert_true(fixture->body_at <= 65536);
	server_wire_wait(wire, 3600 * KOLK_S_NS); /* not the client's time */
	kolk_http_server_resume(wire->exchange);
	talk(fixture);
	assert_int_equal(total, size);
	assert_int_equal(fixture->seen[0].status, 200);
	free(body);
}

static void test_continue(void **state)
{
	static const struct pair fields[] = {{":method", "POST"}, {":scheme", "http"},
					     {":authority", "a"}, {":path", "/"},
					     {"expect", "100-continue"}};
	struct fixture *fixture = *state;

	fixture->wire.on_request = pause_exchange;
	fixture->wire.on_body_end = answer_at_end;
	fixture->body = "";
	fixture->body_size = 0;
	fixture->body_open = true;
	(void)request(fixture, fields, 5);
	talk(fixture);
	assert_int_equal(fixture->seen[0].informational, 0);
	kolk_http_server_resume(fixture->wire.exchange);
	talk(fixture);
	assert_int_equal(fixture->seen[0].informational, 100);
}

/* An answer before the body: the client is told to stop, and the connection goes on. */
static void test_early_answer(void **state)
{
	struct fixture *fixture = *state;

	fixture->body = "x";
	fixture->body_size = 1;
	fixture->body_open = true;
	(void)ask(fixture, "POST", "/");
	talk(fixture);
	assert_int_equal(fixture->seen[0].status, 200);
	assert_int_equal(fixture->seen[0].closed, 1);
	assert_int_equal(fixture->seen[0].error, NGHTTP2_NO_ERROR);
	assert_non_null(strstr(fixture->wire.log, "done OK|"));
	fixture->body = NULL;
	(void)ask(fixture, "GET", "/");
	talk(fixture);
	assert_int_equal(fixture->seen[1].size, 5);
}

static void test_body_limit(void **state)
{
	struct fixture *fixture = *state;
	char body[100];

	memset(body, 'x', sizeof body);
	fixture->wire.options.body_bytes_max = 50;
	fixture->wire.on_request = answer_nothing;
	fixture->body = body;
	fixture->body_size = sizeof body;
	(void)ask(fixture, "POST", "/");
	talk(fixture);
	assert_int_equal(fixture->seen[0].status, 413);
	expect_log(&fixture->wire, "request POST /|done E_LIMIT|");
}

static void test_body_timeout(void **state)
{
	struct fixture *fixture = *state;

	fixture->wire.on_request = answer_nothing;
	fixture->body = "";
	fixture->body_size = 0;
	fixture->body_open = true;
	(void)ask(fixture, "POST", "/");
	talk(fixture);
	server_wire_wait(&fixture->wire, 31 * KOLK_S_NS);
	talk(fixture);
	assert_int_equal(fixture->seen[0].status, 408);
	expect_log(&fixture->wire, "request POST /|done E_TIMEOUT|");
}

/* A trailer is no field of the head, as in HTTP/1.1. */
static void test_refused_trailers(void **state)
{
	static const char *const names[] = {"host", "content-length", "expect"};
	struct fixture *fixture = *state;

	fixture->wire.on_request = answer_nothing;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		uint8_t frame[64] = {0};
		size_t size = strlen(names[i]);

		raw_begin(fixture, 0, 0);
		put_get(frame, NGHTTP2_FLAG_END_HEADERS, 1);
		server_wire_feed(&fixture->wire, frame, GET_SIZE);
		put_frame(frame, size + 4, NGHTTP2_HEADERS, GET_WHOLE, 1);
		frame[9] = 0; /* literal, not indexed, new name */
		frame[10] = (uint8_t)size;
		memcpy(frame + 11, names[i], size);
		frame[11 + size] = 1;
		frame[12 + size] = '0';
		server_wire_feed(&fixture->wire, frame, 13 + size);
		expect_log(&fixture->wire, "request GET /|done E_PROTOCOL|");
	}
}

static void say_data(struct fixture *fixture, const char *data, uint8_t flags)
{
	uint8_t frame[64];
	size_t size = strlen(data);

	put_frame(frame, size, NGHTTP2_DATA, flags, 1);
	memcpy(frame + 9, data, size);
	server_wire_feed(&fixture->wire, frame, 9 + size);
}

/* A head that announces a body of so many bytes, less than ten. */
static void announce(struct fixture *fixture, char digit)
{
	uint8_t frame[GET_SIZE + 18] = {0};

	raw_begin(fixture, 0, 0);
	put_get(frame, NGHTTP2_FLAG_END_HEADERS, 1);
	put_frame(frame, sizeof frame - 9, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1);
	frame[GET_SIZE + 1] = 14; /* literal, not indexed, new name */
	memcpy(frame + GET_SIZE + 2, "content-length", 14);
	frame[GET_SIZE + 16] = 1;
	frame[GET_SIZE + 17] = (uint8_t)digit;
	server_wire_feed(&fixture->wire, frame, sizeof frame);
}

/* A body whose end does not come where it was announced is malformed (RFC 9113, section 8.1.1): its
 * last byte would make a whole request of it for a server behind a proxy. */
static void test_announced_body(void **state)
{
	struct fixture *fixture = *state;

	fixture->wire.on_request = answer_nothing;
	announce(fixture, '4');
	say_data(fixture, "he", 0);
	say_data(fixture, "ll", 0);
	expect_log(&fixture->wire, "request GET /|body he|body l|");
	say_data(fixture, "", NGHTTP2_FLAG_END_STREAM);
	expect_log(&fixture->wire, "request GET /|body he|body l|body l|end|");
	announce(fixture, '4');
	say_data(fixture, "hell", 0);
	say_data(fixture, "o", 0);
	expect_log(&fixture->wire, "request GET /|body hel|done E_PROTOCOL|");
	announce(fixture, '4');
	say_data(fixture, "hell", NGHTTP2_FLAG_END_STREAM);
	expect_log(&fixture->wire, "request GET /|body hell|end|");
	fixture->wire.on_request = pause_exchange;
	announce(fixture, '4');
	say_data(fixture, "hell", 0);
	kolk_http_server_resume(fixture->wire.exchange);
	server_wire_turn(&fixture->wire);
	expect_log(&fixture->wire, "request GET /|body hel|");
	say_data(fixture, "", NGHTTP2_FLAG_END_STREAM);
	expect_log(&fixture->wire, "request GET /|body hel|body l|end|");
}

static void expect_unknown_size(struct server_wire *wire)
{
	assert_true(wire->exchange->parser.head.body_size == KOLK_HTTP_CHUNKED);
}

static void test_announced_nothing(void **state)
{
	struct fixture *fixture = *state;

	fixture->wire.on_request = expect_unknown_size;
	announce(fixture, '0');
	say_data(fixture, "h", 0);
	expect_log(&fixture->wire, "request GET /|done E_PROTOCOL|");
	announce(fixture, '0');
	say_data(fixture, "", NGHTTP2_FLAG_END_STREAM);
	expect_log(&fixture->wire, "request GET /|end|");
}

/* An answer in memory is sent, whatever the body does. */
static void test_answer_then_limit(void **state)
{
	struct fixture *fixture = *state;
	uint8_t frames[GET_SIZE + 9 + 40] = {0};

	fixture->wire.options.body_bytes_max = 20;
	raw_begin(fixture, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 2);
	put_get(frames, NGHTTP2_FLAG_END_HEADERS, 1);
	put_frame(frames + GET_SIZE, 40, NGHTTP2_DATA, 0, 1);
	server_wire_feed(&fixture->wire, frames, sizeof frames);
	expect_log(&fixture->wire, "request GET /|");
	memset(frames, 0, 13);
	put_frame(frames, 4, NGHTTP2_WINDOW_UPDATE, 0, 1);
	frames[12] = 3;
	server_wire_feed(&fixture->wire, frames, 13);
	expect_log(&fixture->wire, "request GET /|done OK|");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

static const struct CMUnitTest tests[] = {
	TEST(test_announced_body),
	TEST(test_announced_nothing),
	TEST(test_body),
	TEST(test_back_pressure),
	TEST(test_continue),
	TEST(test_early_answer),
	TEST(test_body_limit),
	TEST(test_body_timeout),
	TEST(test_refused_trailers),
	TEST(test_answer_then_limit),
};
CMOCKA_TESTS(http_server_h2_body, tests);
