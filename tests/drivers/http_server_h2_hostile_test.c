/* SPDX-License-Identifier: Apache-2.0 */
/* http_server_h2_hostile_test.c - clients of the HTTP server that flood, starve or cut HTTP/2,
 * without I/O. */
#include "tests/kit/cmocka/run.h"

#include <string.h>

#include "tests/drivers/server_h2.h"
#include "transport/drivers/http_server_h2.h"

/* ---- hostile clients */

/* The preface, SETTINGS, and then one frame many times: it ends with ENHANCE_YOUR_CALM, or a reset. */
static void flood(struct fixture *fixture, const uint8_t *frame, size_t size)
{
	uint8_t settings[9];
	uint32_t count = 0;

	again(fixture);
	server_wire_say(&fixture->wire, PREFACE);
	put_frame(settings, 0, NGHTTP2_SETTINGS, 0, 0);
	server_wire_feed(&fixture->wire, settings, sizeof settings);
	for (; count < 20000 && !fixture->wire.closed && !fixture->wire.reset; count++) {
		server_wire_feed(&fixture->wire, frame, size);
		if (fixture->wire.out_size > SERVER_WIRE_TEXT / 2)
			fixture->wire.out_size = 0;
	}
	if (count == 20000)
		fail_msg("type %u is not bounded", frame[3]);
}

static void test_floods(void **state)
{
	struct fixture *fixture = *state;
	uint8_t frame[9 + 64] = {0};

	put_frame(frame, 8, NGHTTP2_PING, 0, 0);
	flood(fixture, frame, 17);
	put_frame(frame, 0, NGHTTP2_SETTINGS, 0, 0);
	flood(fixture, frame, 9);
	memset(frame, 0, sizeof frame);
	put_frame(frame, 5, NGHTTP2_PRIORITY, 0, 1);
	flood(fixture, frame, 14);
	put_frame(frame, 4, NGHTTP2_WINDOW_UPDATE, 0, 0);
	frame[12] = 1;
	flood(fixture, frame, 13);
	put_frame(frame, 10, 0xee, 0, 0); /* of a type that nobody knows */
	flood(fixture, frame, 19);
}

/* HEADERS and RST_STREAM, again and again (CVE-2023-44487): the callee sees no more than the burst. */
static void test_rapid_reset(void **state)
{
	struct fixture *fixture = *state;
	uint32_t count = 0;

	fixture->wire.on_request = answer_nothing;
	fixture->wire.options.resets_max = 1;
	for (; count < 1000 && !fixture->wire.closed; count++) {
		int32_t id = ask(fixture, "GET", "/");
		const uint8_t *data;
		ssize_t size;

		if (id < 0 || id / 2 >= STREAMS)
			break;
		while ((size = nghttp2_session_mem_send(fixture->client, &data)) > 0)
			server_wire_feed(&fixture->wire, data, (size_t)size);
		nghttp2_submit_rst_stream(fixture->client, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
		talk(fixture);
	}
	assert_true(fixture->goaway && fixture->wire.closed);
	assert_int_equal(fixture->goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
	assert_true(count <= 30);
}

/* CVE-2025-8671: the client makes the server reset its streams, here by a window that overflows. */
static void test_made_reset(void **state)
{
	struct fixture *fixture = *state;
	uint8_t window[13] = {0};
	uint32_t count = 0;

	fixture->wire.on_request = answer_nothing;
	fixture->wire.options.resets_max = 1;
	raw_begin(fixture, 0, 0);
	for (; count < 400 && !fixture->wire.closed; count++) {
		raw_get(fixture, 1 + 2 * count);
		put_frame(window, 4, NGHTTP2_WINDOW_UPDATE, 0, 1 + 2 * count);
		memcpy(window + 9, "\x7f\xff\xff\xff", 4);
		server_wire_feed(&fixture->wire, window, sizeof window);
	}
	assert_true(fixture->wire.closed && count <= 30);
}

/* A callee that cancels is no client that floods. */
static void test_many_cancels(void **state)
{
	struct fixture *fixture = *state;

	fixture->wire.on_request = answer_nothing;
	fixture->wire.options.resets_max = 1;
	raw_begin(fixture, 0, 0);
	for (uint32_t i = 0; i < 100; i++) {
		raw_get(fixture, 1 + 2 * i);
		kolk_http_server_cancel(fixture->wire.exchange);
		server_wire_turn(&fixture->wire);
	}
	assert_false(fixture->wire.closed || fixture->wire.reset);
}

/* Heads on a stream that has ended: nghttp2 drops them. */
static void test_late_heads(void **state)
{
	struct fixture *fixture = *state;
	uint32_t count = 0;

	raw_begin(fixture, 0, 0);
	raw_get(fixture, 1);
	for (; count < 20000 && !fixture->wire.closed && !fixture->wire.reset; count++)
		raw_get(fixture, 1);
	assert_true(count < 2000);
}

/* Streams beyond streams_max, of a client that does not read: what waits for it is bounded. */
static void test_unread(void **state)
{
	struct fixture *fixture = *state;

	fixture->wire.on_request = answer_nothing;
	fixture->wire.options.resets_max = 1000000;
	raw_begin(fixture, 0, 0);
	fixture->wire.hold_sends = true;
	for (uint32_t i = 0; i < 20000; i++)
		raw_get(fixture, 1 + 2 * i);
	assert_true(nghttp2_session_get_outbound_queue_size(fixture->wire.conn.h2->ng) < 2000);
}

/* CVE-2024-27316: a head without an end. */
static void test_continuation_flood(void **state)
{
	struct fixture *fixture = *state;
	uint8_t head[10] = {0}, frame[9 + 4] = {0};
	uint32_t count = 0;

	again(fixture);
	server_wire_say(&fixture->wire, PREFACE);
	put_frame(head, 0, NGHTTP2_SETTINGS, 0, 0);
	server_wire_feed(&fixture->wire, head, 9);
	put_frame(head, 1, NGHTTP2_HEADERS, 0, 1);
	head[9] = 0x82; /* :method GET */
	server_wire_feed(&fixture->wire, head, 10);
	put_frame(frame, 0, NGHTTP2_CONTINUATION, 0, 1);
	for (; count < 1000 && !fixture->wire.closed && !fixture->wire.reset; count++)
		server_wire_feed(&fixture->wire, frame, 9);
	assert_true(count <= 12);
	expect_log(&fixture->wire, "");
}

/* The first head of a connection, or a later one, stops: before its last byte, or before
 * CONTINUATION. PING between is no progress. */
static void expect_slow_head(struct fixture *fixture, uint32_t requests, size_t size, uint8_t flags)
{
	uint8_t frame[GET_SIZE];

	raw_begin(fixture, 0, 0);
	for (uint32_t i = 0; i < requests; i++)
		raw_get(fixture, 1 + 2 * i);
	put_get(frame, flags, 1 + 2 * requests);
	server_wire_feed(&fixture->wire, frame, size);
	server_wire_wait(&fixture->wire, 9 * KOLK_S_NS);
	assert_false(fixture->wire.closed || fixture->wire.reset);
	server_wire_wait(&fixture->wire, 2 * KOLK_S_NS);
	if (!fixture->wire.closed && !fixture->wire.reset)
		fail_msg("%u requests, %zu bytes, flags %u", requests, size, flags);
}

static void test_slow_head(void **state)
{
	struct fixture *fixture = *state;

	for (uint32_t requests = 0; requests < 2; requests++)
		for (size_t size = 10; size <= GET_SIZE; size++)
			expect_slow_head(fixture, requests, size,
					 size == GET_SIZE ? GET_FLAGS : GET_WHOLE);
}

/* A connection on which each read ends in the middle of another head is not slow. */
static void test_heads_cut(void **state)
{
	struct fixture *fixture = *state;
	uint8_t frames[2 * GET_SIZE];

	raw_begin(fixture, 0, 0);
	raw_get(fixture, 1);
	put_get(frames, GET_WHOLE, 3);
	server_wire_feed(&fixture->wire, frames, 12);
	for (uint32_t id = 3; id < 43; id += 2) {
		put_get(frames, GET_WHOLE, id);
		put_get(frames + GET_SIZE, GET_WHOLE, id + 2);
		server_wire_wait(&fixture->wire, 4 * KOLK_S_NS);
		server_wire_feed(&fixture->wire, frames + 12, GET_SIZE);
	}
	assert_false(fixture->wire.closed || fixture->wire.reset);
	assert_int_equal(fixture->wire.ends, 21);
}

/* A window of 0: the answer is not taken. (PING between is no progress.) */
static void expect_stalled(struct fixture *fixture, void (*answer)(struct server_wire *wire))
{
	uint8_t ping[17] = {0};

	fixture->wire.on_request = answer;
	raw_begin(fixture, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
	raw_get(fixture, 1);
	put_frame(ping, 8, NGHTTP2_PING, 0, 0);
	for (int i = 0; i < 7; i++) {
		expect_log(&fixture->wire, "request GET /|end|");
		server_wire_feed(&fixture->wire, ping, sizeof ping);
		server_wire_wait(&fixture->wire, 4 * KOLK_S_NS);
	}
	expect_log(&fixture->wire, "request GET /|end|");
	server_wire_wait(&fixture->wire, 5 * KOLK_S_NS);
	expect_log(&fixture->wire, "request GET /|end|done E_TIMEOUT|");
	assert_false(fixture->wire.closed || fixture->wire.reset);
}

static void test_stalled_answer(void **state)
{
	struct fixture *fixture = *state;

	expect_stalled(fixture, answer_hello);
	fixture->wire.pulled = "abc";
	fixture->wire.pulled_size = 3;
	expect_stalled(fixture, server_wire_answer_pulled);
}

/* Not so what the callee, or the wire, holds up; and a client that takes a byte at a time. */
static void test_slow_answer(void **state)
{
	struct fixture *fixture = *state;
	uint8_t window[13] = {0};

	fixture->wire.on_request = server_wire_answer_pulled;
	raw_begin(fixture, 0, 0);
	raw_get(fixture, 1);
	server_wire_wait(&fixture->wire, 3600 * KOLK_S_NS);
	expect_log(&fixture->wire, "request GET /|end|");
	fixture->wire.on_request = answer_hello;
	raw_begin(fixture, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
	raw_get(fixture, 1);
	put_frame(window, 4, NGHTTP2_WINDOW_UPDATE, 0, 1);
	window[12] = 1;
	for (int i = 0; i < 4; i++) {
		server_wire_wait(&fixture->wire, 25 * KOLK_S_NS);
		expect_log(&fixture->wire, "request GET /|end|");
		server_wire_feed(&fixture->wire, window, sizeof window);
	}
	server_wire_feed(&fixture->wire, window, sizeof window);
	expect_log(&fixture->wire, "request GET /|end|done OK|");
}

/* Another stream, or half heads, do not keep a body waiting that does not come. */
static void test_body_timeout_busy(void **state)
{
	struct fixture *fixture = *state;
	uint8_t frame[GET_SIZE];

	fixture->wire.on_request = answer_nothing;
	raw_begin(fixture, 0, 0);
	put_get(frame, NGHTTP2_FLAG_END_HEADERS, 1);
	server_wire_feed(&fixture->wire, frame, sizeof frame);
	fixture->wire.on_request = answer_hello;
	for (uint32_t id = 3; id < 43; id += 2) {
		put_get(frame, GET_WHOLE, id);
		server_wire_feed(&fixture->wire, frame, 12);
		server_wire_wait(&fixture->wire, 2 * KOLK_S_NS);
		server_wire_feed(&fixture->wire, frame + 12, sizeof frame - 12);
		server_wire_wait(&fixture->wire, 2 * KOLK_S_NS);
	}
	assert_non_null(strstr(fixture->wire.log, "done E_TIMEOUT|"));
}

/* Random bytes behind the preface, and cut frames: nothing but an end. */
static void test_garbage(void **state)
{
	struct fixture *fixture = *state;
	uint8_t bytes[300];
	uint64_t seed = 88172645463325252u;

	for (int round = 0; round < 2000; round++) {
		size_t size;

		for (size_t i = 0; i < sizeof bytes; i++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			bytes[i] = (uint8_t)(seed >> 32);
		}
		size = bytes[0];
		if (round % 2 == 0) /* a frame that looks right */
			put_frame(bytes, bytes[0] % 64, bytes[3] % 11, bytes[4], bytes[8] % 4);
		again(fixture);
		server_wire_say(&fixture->wire, PREFACE);
		if (size > 0)
			server_wire_feed(&fixture->wire, bytes, size);
		server_wire_end(&fixture->wire, KOLK_E_RESET);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

static const struct CMUnitTest tests[] = {
	TEST(test_floods),
	TEST(test_rapid_reset),
	TEST(test_continuation_flood),
	TEST(test_slow_head),
	TEST(test_heads_cut),
	TEST(test_stalled_answer),
	TEST(test_slow_answer),
	TEST(test_body_timeout_busy),
	TEST(test_made_reset),
	TEST(test_many_cancels),
	TEST(test_late_heads),
	TEST(test_unread),
	TEST(test_garbage),
};
CMOCKA_TESTS(http_server_h2_hostile, tests);
