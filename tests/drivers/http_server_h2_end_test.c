/* SPDX-License-Identifier: Apache-2.0 */
/* http_server_h2_end_test.c - how streams and connections of HTTP/2 end at the HTTP server, without
 * I/O. */
#include "tests/kit/cmocka/run.h"

#include <string.h>

#include "tests/drivers/server_h2.h"

/* ---- ends */

static void test_client_resets(void **state)
{
	struct fixture *fixture = *state;
	int32_t id;

	fixture->wire.on_request = answer_nothing;
	id = ask(fixture, "GET", "/");
	talk(fixture);
	nghttp2_submit_rst_stream(fixture->client, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
	talk(fixture);
	expect_log(&fixture->wire, "request GET /|end|done E_RESET|");
	(void)ask(fixture, "GET", "/2");
	talk(fixture);
	server_wire_feed(&fixture->wire, NULL, 0); /* the client goes */
	assert_true(fixture->wire.reset);
	server_wire_end(&fixture->wire, KOLK_OK);
	assert_non_null(strstr(fixture->wire.log, "request GET /2|end|done E_CLOSED|"));
}

static void test_cancel(void **state)
{
	struct fixture *fixture = *state;

	fixture->wire.on_request = answer_nothing;
	(void)ask(fixture, "GET", "/");
	talk(fixture);
	kolk_http_server_cancel(fixture->wire.exchange);
	expect_log(&fixture->wire, "request GET /|end|"); /* from step */
	talk(fixture);
	assert_int_equal(fixture->seen[0].error, NGHTTP2_CANCEL);
	expect_log(&fixture->wire, "request GET /|end|done E_CANCELLED|");
	assert_false(fixture->wire.closed || fixture->wire.reset);
}

static void cancel_in_body(struct server_wire *wire, const void *data, size_t size)
{
	(void)data;
	(void)size;
	kolk_http_server_cancel(wire->exchange);
}

/* What comes in the same read is not shown any more. */
static void test_cancel_in_body(void **state)
{
	struct fixture *fixture = *state;
	uint8_t frames[512], *at = frames;

	fixture->wire.on_request = answer_nothing;
	fixture->wire.on_body = cancel_in_body;
	raw_begin(fixture, 0, 0);
	put_get(at, NGHTTP2_FLAG_END_HEADERS, 1);
	at += GET_SIZE;
	for (int i = 0; i < 3; i++, at += 12) {
		put_frame(at, 3, NGHTTP2_DATA, i == 2 ? NGHTTP2_FLAG_END_STREAM : 0, 1);
		memcpy(at + 9, "one", 3);
	}
	server_wire_feed(&fixture->wire, frames, (size_t)(at - frames));
	expect_log(&fixture->wire, "request GET /|body one|done E_CANCELLED|");
	assert_false(fixture->wire.closed || fixture->wire.reset);
}

static struct kolk_http_server_exchange *first;
static uint32_t pulls;

/* The first of two streams that pulls cancels both. */
static enum kolk_err pull_and_cancel(void *user, void *buffer, size_t capacity, size_t *size)
{
	struct server_wire *wire = user;

	(void)buffer;
	(void)capacity;
	(void)size;
	pulls++;
	kolk_http_server_cancel(first);
	kolk_http_server_cancel(wire->exchange);
	return KOLK_PENDING;
}

static void answer_and_cancel(struct server_wire *wire)
{
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);

	answer.status = 200;
	answer.pull = pull_and_cancel;
	answer.pull_size = KOLK_HTTP_CHUNKED;
	first = wire->requests == 1 ? wire->exchange : first;
	assert_int_equal(kolk_http_server_answer(wire->exchange, &answer), KOLK_OK);
}

static void test_cancel_in_pull(void **state)
{
	struct fixture *fixture = *state;
	uint8_t frames[2 * GET_SIZE];

	pulls = 0;
	fixture->wire.on_request = answer_and_cancel;
	raw_begin(fixture, 0, 0);
	put_get(frames, GET_WHOLE, 1);
	put_get(frames + GET_SIZE, GET_WHOLE, 3);
	server_wire_feed(&fixture->wire, frames, sizeof frames);
	assert_int_equal(pulls, 1);
	assert_int_equal(fixture->wire.ends, 2);
}

/* end does not wait for a client that does not read, nor takes the connection's error. */
static void test_cancel_blocked(void **state)
{
	struct fixture *fixture = *state;

	fixture->wire.on_request = answer_nothing;
	raw_begin(fixture, 0, 0);
	fixture->wire.hold_sends = true;
	raw_get(fixture, 1);
	server_wire_answer(&fixture->wire, "hello");
	server_wire_turn(&fixture->wire); /* in flight */
	raw_get(fixture, 3);
	kolk_http_server_cancel(fixture->wire.exchange);
	server_wire_turn(&fixture->wire);
	assert_non_null(strstr(fixture->wire.log, "done E_CANCELLED|"));
	server_wire_clear(&fixture->wire);
	raw_get(fixture, 5);
	kolk_http_server_cancel(fixture->wire.exchange);
	server_wire_end(&fixture->wire, KOLK_E_RESET);
	assert_non_null(strstr(fixture->wire.log, "done E_CANCELLED|"));
	fixture->wire.hold_sends = false;
}

static void test_server_drain(void **state)
{
	struct fixture *fixture = *state;

	fixture->wire.on_request = answer_nothing;
	(void)ask(fixture, "GET", "/");
	talk(fixture);
	hs_loop_drain(&fixture->wire.loop);
	talk(fixture);
	assert_true(fixture->goaway && !fixture->wire.closed);
	server_wire_answer(&fixture->wire, "last");
	talk(fixture);
	assert_memory_equal(fixture->seen[0].body, "last", 5);
	assert_true(fixture->wire.closed);
	fixture->wire.loop.draining = false;
}

static void answer_close(struct server_wire *wire)
{
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);

	answer.status = 200;
	answer.close = 1;
	assert_int_equal(kolk_http_server_answer(wire->exchange, &answer), KOLK_OK);
}

static void test_answer_close(void **state)
{
	struct fixture *fixture = *state;

	fixture->wire.on_request = answer_close;
	(void)ask(fixture, "GET", "/");
	talk(fixture);
	assert_int_equal(fixture->seen[0].status, 200);
	assert_true(fixture->goaway && fixture->wire.closed);
	assert_int_equal(fixture->goaway_code, NGHTTP2_NO_ERROR);
}

/* The client ends its direction: between requests it went; with one that waits for its answer, too,
 * unless half_close lets it. A request that is not whole has no end. */
static void test_client_ends(void **state)
{
	struct fixture *fixture = *state;
	uint8_t frame[GET_SIZE];

	(void)ask(fixture, "GET", "/");
	talk(fixture);
	server_wire_feed(&fixture->wire, NULL, 0);
	assert_true(fixture->wire.closed && !fixture->wire.reset);

	fixture->wire.options.half_close = 1;
	fixture->wire.on_request = answer_nothing;
	raw_begin(fixture, 0, 0);
	raw_get(fixture, 1);
	server_wire_feed(&fixture->wire, NULL, 0);
	assert_false(fixture->wire.closed || fixture->wire.reset);
	server_wire_answer(&fixture->wire, "hello");
	server_wire_turn(&fixture->wire);
	expect_log(&fixture->wire, "request GET /|end|done OK|");
	assert_true(fixture->wire.closed);

	raw_begin(fixture, 0, 0);
	put_get(frame, NGHTTP2_FLAG_END_HEADERS, 1);
	server_wire_feed(&fixture->wire, frame, sizeof frame);
	server_wire_feed(&fixture->wire, NULL, 0);
	expect_log(&fixture->wire, "request GET /|done E_CLOSED|");
	assert_true(fixture->wire.closed);
}

static void test_requests_max(void **state)
{
	struct fixture *fixture = *state;

	fixture->wire.options.requests_max = 2;
	(void)ask(fixture, "GET", "/");
	talk(fixture);
	assert_false(fixture->goaway);
	(void)ask(fixture, "GET", "/");
	talk(fixture);
	assert_int_equal(fixture->seen[1].size, 5);
	assert_true(fixture->goaway && fixture->wire.closed);
}

/* Frames for a stream that has ended, and a head for one that a later stream has skipped, are passed
 * over (RFC 9113, section 5.1): the callee sees none, and their bytes are the connection's again. */
static void test_frames_of_ended_streams(void **state)
{
	enum { PART = 16384, PARTS = 80 }; /* together more than connection_window */
	struct fixture *fixture = *state;
	uint8_t data[9 + PART] = {0};

	raw_begin(fixture, 0, 0);
	raw_get(fixture, 5);
	put_frame(data, PART, NGHTTP2_DATA, 0, 5);
	for (int i = 0; i < PARTS; i++)
		server_wire_feed(&fixture->wire, data, sizeof data);
	raw_get(fixture, 5);
	raw_get(fixture, 3);
	expect_log(&fixture->wire, "request GET /|end|done OK|");
	raw_get(fixture, 7);
	expect_log(&fixture->wire, "request GET /|end|done OK|request GET /|end|done OK|");
	assert_false(fixture->wire.closed || fixture->wire.reset);
}

static void test_idle(void **state)
{
	struct fixture *fixture = *state;

	(void)ask(fixture, "GET", "/");
	talk(fixture);
	server_wire_wait(&fixture->wire, 61 * KOLK_S_NS);
	talk(fixture);
	assert_true(fixture->goaway && fixture->wire.closed);
	assert_int_equal(fixture->goaway_code, NGHTTP2_NO_ERROR);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

static const struct CMUnitTest tests[] = {
	TEST(test_client_resets),
	TEST(test_cancel),
	TEST(test_server_drain),
	TEST(test_requests_max),
	TEST(test_frames_of_ended_streams),
	TEST(test_idle),
	TEST(test_cancel_in_body),
	TEST(test_cancel_in_pull),
	TEST(test_cancel_blocked),
	TEST(test_answer_close),
	TEST(test_client_ends),
};
CMOCKA_TESTS(http_server_h2_end, tests);
