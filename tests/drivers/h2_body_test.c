/* SPDX-License-Identifier: Apache-2.0 */
/* h2_body_test.c - bodies up and down an HTTP/2 connection: windows, answers that end early, data
 * behind the end of a stream. */
#include <stdlib.h>
#include <string.h>

#include "tests/kit/cmocka/run.h"
#include "tests/drivers/h2_peer.h"

/* ---- bodies up and down */

static void back_pressure(void **state)
{
	struct h2_limits limits = h2_usual;
	struct h2_owner owner = { 0 };
	struct h2_pair *pair;

	(void)state;
	limits.window_bytes = 65535;
	pair = pair_open(&limits, true);
	pair_get(pair, &owner);
	pair_take(pair);
	pair_head(pair, 1, 200, false);
	for (int i = 0; i < 3; i++)
		pair_data(pair, 1, 16384, false);
	assert_int_equal(pair_say(pair), KOLK_OK);
	pair_take(pair);
	assert_int_equal(owner.body, 3 * 16384);
	assert_int_equal(pair_count(pair, NGHTTP2_WINDOW_UPDATE, -1), 0);
	h2_stream_consume(owner.stream, 3 * 16384);
	pair_take(pair);
	assert_int_equal(pair_count(pair, NGHTTP2_WINDOW_UPDATE, 1), 1);
	for (int i = 0; i < 5; i++) /* more than it may */
		pair_data(pair, 1, 16384, false);
	pair_say(pair);
	pair_take(pair);
	assert_int_equal(owner.ends, 1);
	assert_int_equal(owner.end.err, KOLK_E_PROTOCOL);
	pair_close(pair);
}

/* Abandoning a stream returns the connection's window, also for bytes that were not consumed. */
static void an_abandoned_slow_reader_costs_no_window(void **state)
{
	struct h2_limits limits = h2_usual;
	struct h2_owner owner = { 0 };
	struct h2_pair *pair;

	(void)state;
	limits.connection_window_bytes = 65535;
	pair = pair_open(&limits, true);
	for (int round = 0; round < 20; round++) {
		int32_t id = 2 * round + 1;

		owner = (struct h2_owner){ 0 };
		assert_int_equal(pair_get(pair, &owner), KOLK_OK);
		pair_take(pair);
		pair_head(pair, id, 200, false);
		for (int i = 0; i < 3; i++)
			pair_data(pair, id, 16384, false);
		assert_int_equal(pair_say(pair), KOLK_OK);
		pair_leave(pair, &owner);
		pair_take(pair);
		assert_in_range(pair_count(pair, NGHTTP2_WINDOW_UPDATE, 0), 1, 2);
		if (pair->session->open > 0) { /* resets are rationed: it ends by itself */
			pair_data(pair, id, 0, true);
			pair_say(pair);
		}
	}
	assert_int_equal(pair->session->open, 0);
	pair_close(pair);
}

/* The default windows: nine streams whose owners do not consume must not stop the tenth. */
static void paused_streams_do_not_stop_the_others(void **state)
{
	enum { PAUSED = 15, PIECE = 16384, EACH = 1 << 20 };
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner paused[PAUSED] = { 0 }, other = { .consumes = true };
	int64_t window = h2_usual.connection_window_bytes;

	(void)state;
	for (int i = 0; i < PAUSED; i++)
		pair_get(pair, &paused[i]);
	pair_get(pair, &other);
	pair_take(pair);
	for (int i = 0; i <= PAUSED; i++)
		pair_head(pair, 2 * i + 1, 200, false);
	for (int i = 0; i < PAUSED * EACH / PIECE; i++) {
		pair_data(pair, 2 * (i / (EACH / PIECE)) + 1, PIECE, false);
		window += pair_turn(pair, 0) - PIECE;
		assert_true(window >= PIECE);
	}
	for (int i = 0; i < 40 * EACH / PIECE; i++) {
		pair_data(pair, 2 * PAUSED + 1, PIECE, false);
		window += pair_turn(pair, 0) - PIECE;
		assert_true(window >= PIECE);
	}
	assert_int_equal(other.body, 40 * EACH);
	assert_int_equal(paused[PAUSED - 1].body, EACH);
	for (int i = 0; i < PAUSED; i++) /* what is paused keeps its own window closed */
		assert_int_equal(pair_granted(pair, 2 * i + 1), 0);
	pair_close(pair);
}

/* Whatever becomes of a stream, the connection's window stays open: 64 MiB in all. */
static void no_end_of_a_stream_costs_window(void **state)
{
	enum { PIECE = 16384, PIECES = 32, ROUNDS = 128 };
	struct h2_pair *pair = pair_open(&h2_usual, true);
	int64_t window = h2_usual.connection_window_bytes;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct h2_owner owner = { .leaves = round % 4 == 1, .consumes = round % 4 == 2 };
		int32_t id = 2 * round + 1;

		assert_int_equal(pair_get(pair, &owner), KOLK_OK);
		pair_take(pair);
		pair_head(pair, id, 200, false);
		for (int i = 0; i < PIECES; i++) {
			pair_data(pair, id, PIECE, i == PIECES - 1);
			window += pair_turn(pair, 0) - PIECE;
			assert_true(window >= PIECE);
			if (i == PIECES / 2 && round % 4 == 3)
				pair_leave(pair, &owner);
		}
		pair->now_ns += KOLK_S_NS; /* resets are to be had again */
	}
	assert_int_equal(pair->session->open, 0);
	pair_close(pair);
}

static void a_body_that_comes_later(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner = { 0 };

	(void)state;
	pair_post(pair, &owner);
	pair_take(pair);
	assert_int_equal(pair_count(pair, NGHTTP2_HEADERS, 1), 1);
	assert_int_equal(pair_count(pair, NGHTTP2_DATA, 1), 0);
	owner.upload = "some bytes";
	h2_stream_more(owner.stream);
	pair_take(pair);
	assert_int_equal(pair_content(pair, 1), 10);
	owner.last = true;
	h2_stream_more(owner.stream);
	pair_take(pair);
	assert_int_equal(pair_count(pair, NGHTTP2_DATA, 1), 1);
	pair_head(pair, 1, 200, true);
	pair_say(pair);
	assert_int_equal(owner.end.err, KOLK_OK);
	pair_close(pair);
}

static void a_window_of_nothing_stalls_and_goes_on(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner = { .upload = "some bytes", .last = true };

	(void)state;
	pair_settings(pair, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0);
	pair_say(pair);
	pair_post(pair, &owner);
	pair_take(pair);
	assert_int_equal(pair_content(pair, 1), 0);
	pair_window(pair, 1, 4);
	pair_say(pair);
	pair_take(pair);
	assert_int_equal(pair_content(pair, 1), 4);
	pair_window(pair, 1, 100);
	pair_say(pair);
	pair_take(pair);
	assert_int_equal(pair_content(pair, 1), 6);
	pair_close(pair);
}

static void an_answer_before_the_question_s_end(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner = { .upload = "some bytes" };

	(void)state;
	pair_post(pair, &owner);
	pair_take(pair);
	pair_head(pair, 1, 413, true);
	pair_say(pair);
	pair_take(pair);
	assert_int_equal(pair_code(pair, NGHTTP2_RST_STREAM), NGHTTP2_NO_ERROR);
	assert_int_equal(owner.end.err, KOLK_OK);
	assert_int_equal(owner.status, 413);
	assert_int_equal(pair->session->open, 0);
	pair_close(pair);
}

static void count_end(void *owner, const struct h2_end *end)
{
	*(struct h2_end *)owner = *end;
}

/* As much as a request may say (http_request.c) can be said. */
static void a_head_as_large_as_requests_may_be(void **state)
{
	static const struct h2_stream_callbacks calls = { .end = count_end };
	static char value[(1 << 20) - 1000];
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_end end = { .err = KOLK_PENDING };
	struct h2_stream *stream;
	nghttp2_nv fields[] = {
		{ (uint8_t *)":method", (uint8_t *)"GET", 7, 3, 0 },
		{ (uint8_t *)":scheme", (uint8_t *)"http", 7, 4, 0 },
		{ (uint8_t *)":authority", (uint8_t *)"a", 10, 1, 0 },
		{ (uint8_t *)":path", (uint8_t *)"/", 5, 1, 0 },
		{ (uint8_t *)"a", (uint8_t *)value, 1, sizeof value, 0 },
	};
	const struct h2_submission request = { &calls, &end, fields, 5 };

	(void)state;
	memset(value, '~', sizeof value); /* 13 bits each for HPACK's Huffman code */
	assert_int_equal(h2_stream_submit(pair->session, &request, pair->now_ns, &stream),
			 KOLK_OK);
	pair_take(pair);
	assert_int_equal(end.err, KOLK_PENDING);
	assert_int_equal(pair_count(pair, NGHTTP2_HEADERS, 1), 1);
	h2_stream_abandon(stream, pair->now_ns);
	pair_close(pair);
}

/* RFC 9113, section 8.1: an answer that came whole is not lost with the connection. */
static void an_answer_that_is_whole_when_the_connection_dies(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner = { .upload = "some bytes" };

	(void)state;
	pair_post(pair, &owner);
	pair_take(pair);
	pair_head(pair, 1, 413, true);
	pair_say(pair); /* our RST_STREAM has to wait: a send is under way */
	h2_session_end(pair->session, KOLK_E_RESET, false);
	assert_int_equal(owner.ends, 1);
	assert_int_equal(owner.end.err, KOLK_OK);
	pair_close(pair);
}

/* ---- streams that ended */

/* How many bytes of DATA are taken on a stream that is over, before the connection ends. */
static size_t accepted_after_the_end(struct h2_pair *pair, uint8_t flags, bool taken)
{
	static const uint8_t zeros[16384];
	size_t bytes = 0;

	do {
		pair_frame(pair, NGHTTP2_DATA, flags, 1, zeros, sizeof zeros);
		bytes += sizeof zeros;
		if (taken)
			pair_take(pair);
	} while (pair_say(pair) == KOLK_OK && bytes < 1u << 30);
	assert_int_equal(pair->session->err, KOLK_E_FLOOD);
	return bytes;
}

static void data_on_a_stream_that_ended_is_counted(void **state)
{
	(void)state;
	for (int how = 0; how < 8; how++) {
		struct h2_pair *pair = pair_open(&h2_usual, true);
		struct h2_owner owner = { .upload = how & 4 ? "some bytes" : NULL };
		size_t bytes;

		if (how & 4)
			pair_post(pair, &owner); /* the rest of it is not wanted: our reset waits */
		else
			pair_get(pair, &owner);
		pair_take(pair);
		pair_head(pair, 1, 200, true);
		assert_int_equal(pair_say(pair), KOLK_OK);
		bytes = accepted_after_the_end(pair, how & 1 ? NGHTTP2_FLAG_END_STREAM : 0, how & 2);
		if (bytes > 1 << 20)
			fail_msg("%d: %zu bytes were taken", how, bytes);
		pair_close(pair);
	}
}

/* A stream that we reset: what was on its way is not held against the peer, more is. */
static void data_on_its_way_is_no_flood(void **state)
{
	enum { STREAMS = 10, PIECE = 1000, EACH = 1 << 20 };
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner[STREAMS] = { 0 };

	(void)state;
	for (int i = 0; i < STREAMS; i++)
		pair_get(pair, &owner[i]);
	pair_take(pair);
	for (int i = 0; i < STREAMS; i++)
		pair_leave(pair, &owner[i]);
	pair_take(pair);
	assert_int_equal(pair_count(pair, NGHTTP2_RST_STREAM, -1), STREAMS);
	for (int i = 0; i < STREAMS; i++) {
		int32_t id = 2 * i + 1;

		pair_head(pair, id, 200, false);
		for (size_t at = 0; at + PIECE <= EACH; at += PIECE) {
			pair_data(pair, id, PIECE, false);
			assert_int_equal(pair_say(pair), KOLK_OK);
		}
		pair_frame(pair, NGHTTP2_HEADERS,
			   NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, id, "\0\1a\1b", 5);
		assert_int_equal(pair_say(pair), KOLK_OK);
	}
	assert_in_range(accepted_after_the_end(pair, 0, true), 1, 1 << 20);
	pair_close(pair);
}

static void data_before_a_head_costs_the_stream(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner = { .consumes = true }, other = { .consumes = true };

	(void)state;
	pair_get(pair, &owner);
	pair_get(pair, &other);
	pair_take(pair);
	pair_data(pair, 1, 100, false);
	pair_data(pair, 1, 100, true);
	pair_head(pair, 3, 200, false);
	pair_data(pair, 3, 100, true);
	assert_int_equal(pair_say(pair), KOLK_OK);
	pair_take(pair);
	assert_int_equal(pair_count(pair, NGHTTP2_GOAWAY, 0), 0);
	assert_int_equal(pair_count(pair, NGHTTP2_RST_STREAM, 1), 1);
	assert_int_equal(owner.ends, 1);
	assert_int_equal(owner.end.err, KOLK_E_PROTOCOL);
	assert_int_equal(owner.body, 0);
	assert_int_equal(other.end.err, KOLK_OK);
	assert_int_equal(other.body, 100);
	assert_true(h2_session_can_submit(pair->session));
	pair_close(pair);
}

/* A length is no trailer (RFC 9110, section 6.5.1), as over HTTP/1.1; nor is a status. */
static void fields_that_are_no_trailers_cost_the_stream(void **state)
{
	static const char *const trailers[] = { "\0\x0e" "content-length\1" "4", "\x08\3" "200" };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct h2_pair *pair = pair_open(&h2_usual, true);
		struct h2_owner owner = { .consumes = true }, other = { .consumes = true };

		pair_get(pair, &owner);
		pair_get(pair, &other);
		pair_take(pair);
		pair_head(pair, 1, 200, false);
		pair_data(pair, 1, 4, false);
		pair_frame(pair, NGHTTP2_HEADERS,
			   NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1, trailers[i],
			   i == 0 ? 18 : 5);
		pair_head(pair, 3, 200, true);
		assert_int_equal(pair_say(pair), KOLK_OK);
		pair_take(pair);
		assert_int_equal(owner.ends, 1);
		assert_int_equal(owner.end.err, KOLK_E_PROTOCOL);
		assert_int_equal(other.end.err, KOLK_OK);
		pair_close(pair);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(back_pressure),
	cmocka_unit_test(an_abandoned_slow_reader_costs_no_window),
	cmocka_unit_test(a_body_that_comes_later),
	cmocka_unit_test(a_window_of_nothing_stalls_and_goes_on),
	cmocka_unit_test(an_answer_before_the_question_s_end),
	cmocka_unit_test(an_answer_that_is_whole_when_the_connection_dies),
	cmocka_unit_test(a_head_as_large_as_requests_may_be),
	cmocka_unit_test(paused_streams_do_not_stop_the_others),
	cmocka_unit_test(no_end_of_a_stream_costs_window),
	cmocka_unit_test(data_on_a_stream_that_ended_is_counted),
	cmocka_unit_test(data_on_its_way_is_no_flood),
	cmocka_unit_test(data_before_a_head_costs_the_stream),
	cmocka_unit_test(fields_that_are_no_trailers_cost_the_stream),
};
CMOCKA_TESTS(h2_body, tests);
