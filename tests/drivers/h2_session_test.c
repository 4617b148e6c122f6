/* SPDX-License-Identifier: Apache-2.0 */
/* h2_session_test.c - one HTTP/2 connection without I/O, against a peer that is right, and one that
 * is not. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/kit/cmocka/run.h"
#include "tests/drivers/h2_peer.h"

/* ---- the connection begins */

static void it_begins_with_settings(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, false);
	struct h2_owner owner = { 0 };

	(void)state;
	assert_int_equal(pair_count(pair, NGHTTP2_SETTINGS, 0), 1);
	assert_int_equal(pair_count(pair, NGHTTP2_WINDOW_UPDATE, 0), 1);
	assert_false(h2_session_can_submit(pair->session));
	assert_int_equal(pair_get(pair, &owner), KOLK_E_LIMIT);
	pair_settings(pair, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 7);
	assert_int_equal(pair_say_slowly(pair), KOLK_OK);
	assert_true(h2_session_can_submit(pair->session));
	assert_int_equal(h2_session_limit(pair->session), 7);
	pair_close(pair);
}

static void the_limit_is_learned_again(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner[4] = { 0 };

	(void)state;
	assert_int_equal(h2_session_limit(pair->session), 100);
	pair_settings(pair, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 2);
	pair_say(pair);
	assert_int_equal(pair_get(pair, &owner[0]), KOLK_OK);
	assert_int_equal(pair_get(pair, &owner[1]), KOLK_OK);
	assert_int_equal(pair_get(pair, &owner[2]), KOLK_E_LIMIT);
	pair_settings(pair, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 3);
	pair_say(pair);
	assert_int_equal(pair_get(pair, &owner[2]), KOLK_OK);
	pair_take(pair);
	assert_int_equal(pair_count(pair, NGHTTP2_HEADERS, -1), 3);
	pair_settings(pair, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1);
	pair_say(pair); /* less than are open: they go on */
	for (int i = 0; i < 3; i++)
		pair_head(pair, 2 * i + 1, 200, true);
	pair_say(pair);
	for (int i = 0; i < 3; i++)
		assert_int_equal(owner[i].end.err, KOLK_OK);
	assert_int_equal(owner[2].ends, 1);
	assert_int_equal(pair_get(pair, &owner[3]), KOLK_OK);
	assert_false(h2_session_can_submit(pair->session));
	pair_close(pair);
}

static void streams_in_all_are_counted(void **state)
{
	struct h2_limits limits = h2_usual;
	struct h2_owner owner[3] = { 0 };
	struct h2_pair *pair;

	(void)state;
	limits.streams_total_max = 2;
	pair = pair_open(&limits, true);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pair_get(pair, &owner[i]), KOLK_OK);
		pair_take(pair);
		pair_head(pair, 2 * i + 1, 204, true);
		pair_say(pair);
		assert_int_equal(owner[i].end.err, KOLK_OK);
	}
	assert_int_equal(pair_get(pair, &owner[2]), KOLK_E_LIMIT);
	assert_false(h2_session_is_clean(pair->session));
	pair_close(pair);
}

/* ---- answers */

static void answer_whole(bool slowly)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner = { .consumes = true };

	assert_int_equal(pair_get(pair, &owner), KOLK_OK);
	pair_take(pair);
	pair_head(pair, 1, 103, false);
	pair_head(pair, 1, 200, false);
	pair_data(pair, 1, 1000, false);
	pair_data(pair, 1, 1, false);
	pair_frame(pair, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1,
		   "\0\1a\1b", 5);
	assert_int_equal(slowly ? pair_say_slowly(pair) : pair_say(pair), KOLK_OK);
	assert_int_equal(owner.status, 200);
	assert_int_equal(owner.informational, 1);
	assert_int_equal(owner.trailers, 1);
	assert_int_equal(owner.body, 1001);
	assert_int_equal(owner.ends, 1);
	assert_int_equal(owner.end.err, KOLK_OK);
	assert_true(h2_session_is_clean(pair->session));
	pair_close(pair);
}

static void an_answer_with_all_there_is(void **state)
{
	(void)state;
	answer_whole(false);
	answer_whole(true);
}

/* Content-Length, and not as many bytes (RFC 9113, section 8.1.1). */
static void a_wrong_length_is_an_error_of_the_stream(void **state)
{
	static const char head[] = "\x08\x03" "200" "\x0f\x0d\x02" "10"; /* content-length: 10 */
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner[2] = { { .consumes = true }, { .consumes = true } };

	(void)state;
	for (int i = 0; i < 2; i++)
		pair_get(pair, &owner[i]);
	pair_take(pair);
	pair_frame(pair, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, head, sizeof head - 1);
	pair_data(pair, 1, 9, true);
	pair_head(pair, 3, 200, true);
	assert_int_equal(pair_say(pair), KOLK_OK);
	pair_take(pair);
	assert_int_equal(owner[0].end.err, KOLK_E_PROTOCOL);
	assert_false(owner[0].end.unprocessed);
	assert_int_equal(owner[1].end.err, KOLK_OK);
	assert_int_equal(pair_count(pair, NGHTTP2_RST_STREAM, 1), 1);
	pair_close(pair);
}

static void a_head_that_is_too_large_costs_the_stream(void **state)
{
	struct h2_limits limits = h2_usual;
	struct h2_owner owner = { 0 };
	struct h2_pair *pair;
	uint8_t head[600] = "\x08\x03" "200";
	size_t size = 5;

	(void)state;
	limits.fields_max = 64;
	pair = pair_open(&limits, true);
	pair_get(pair, &owner);
	pair_take(pair);
	for (int i = 0; i < 65; i++, size += 5)
		memcpy(head + size, "\0\1a\1b", 5);
	pair_frame(pair, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, head, size);
	assert_int_equal(pair_say(pair), KOLK_OK);
	pair_take(pair);
	assert_int_equal(owner.ends, 1);
	assert_int_equal(owner.end.err, KOLK_E_PROTOCOL);
	assert_int_equal(owner.heads, 0);
	assert_true(h2_session_is_clean(pair->session));
	pair_close(pair);
}

static void too_many_informational_answers(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner = { 0 };

	(void)state;
	pair_get(pair, &owner);
	pair_take(pair);
	for (int i = 0; i < 90; i++)
		pair_head(pair, 1, 103, false);
	assert_int_equal(pair_say(pair), KOLK_OK);
	pair_take(pair);
	assert_int_equal(owner.informational, 4);
	assert_int_equal(owner.end.err, KOLK_E_PROTOCOL);
	for (int i = 0; i < 10000; i++)
		pair_head(pair, 1, 103, false);
	assert_int_equal(pair_say(pair), KOLK_E_FLOOD);
	pair_close(pair);
}

/* ---- nothing is delivered twice, late, or to another */

static void nothing_comes_after_a_reset(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner abandoned = { .consumes = true }, other = { .consumes = true };

	(void)state;
	pair_get(pair, &abandoned);
	pair_get(pair, &other);
	pair_take(pair);
	pair_head(pair, 1, 200, false);
	pair_reset(pair, 1, NGHTTP2_CANCEL);
	pair_data(pair, 1, 100, false); /* in the same read: CVE-2026-26311 */
	pair_head(pair, 3, 200, true);
	assert_int_equal(pair_say(pair), KOLK_OK);
	assert_int_equal(abandoned.ends, 1);
	assert_int_equal(abandoned.end.err, KOLK_E_RESET);
	assert_int_equal(abandoned.body, 0);
	assert_int_equal(other.end.err, KOLK_OK);
	assert_int_equal(other.body, 0);
	pair_close(pair);
}

static void nothing_comes_after_a_cancel(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner = { .leaves = true };

	(void)state;
	pair_get(pair, &owner);
	pair_take(pair);
	pair_head(pair, 1, 200, false);
	for (int i = 0; i < 3; i++)
		pair_data(pair, 1, 100, i == 2); /* the owner abandons it at the first */
	pair_say(pair);
	assert_int_equal(owner.body, 100);
	assert_int_equal(owner.ends, 0);
	pair_take(pair);
	assert_true(h2_session_is_clean(pair->session));
	pair_close(pair);
}

static void a_cancel_before_anything_was_sent_sends_nothing(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner[2] = { 0 };

	(void)state;
	pair_get(pair, &owner[0]);
	pair_get(pair, &owner[1]);
	pair_leave(pair, &owner[0]);
	pair_take(pair);
	assert_int_equal(pair_count(pair, NGHTTP2_HEADERS, -1), 1);
	assert_int_equal(pair_count(pair, NGHTTP2_RST_STREAM, -1), 0);
	assert_int_equal(pair->session->open, 1);
	assert_int_equal(owner[0].ends, 0);
	pair_close(pair);
}

/* A burst of resets, then only what does not end by itself, and no new streams after that. */
static void our_resets_are_rationed(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner[20] = { 0 };

	(void)state;
	for (int i = 0; i < 20; i++)
		pair_get(pair, &owner[i]);
	pair_take(pair);
	for (int i = 0; i < 20; i++)
		pair_leave(pair, &owner[i]);
	pair_take(pair);
	assert_int_equal(pair_count(pair, NGHTTP2_RST_STREAM, -1), 10);
	assert_int_equal(pair->session->open, 10); /* they count until they end */
	pair_head(pair, 39, 200, false);
	pair_data(pair, 39, 5000, true);
	pair_say(pair);
	assert_int_equal(pair->session->open, 9);
	assert_true(h2_session_can_submit(pair->session));
	assert_int_equal(h2_session_sweep_zombies(pair->session, pair->now_ns),
			 pair->now_ns + KOLK_S_NS);
	pair->now_ns += KOLK_S_NS;
	assert_int_equal(h2_session_sweep_zombies(pair->session, pair->now_ns), 0);
	pair_take(pair);
	assert_int_equal(pair_count(pair, NGHTTP2_RST_STREAM, -1), 9);
	assert_int_equal(pair->session->open, 0);
	assert_false(h2_session_can_submit(pair->session));
	pair_close(pair);
}

/* ---- what is safe to send again */

static void goaway_reports_unprocessed_streams(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner[4] = { 0 };

	(void)state;
	for (int i = 0; i < 3; i++)
		pair_post(pair, &owner[i]);
	pair_take(pair);
	pair_get(pair, &owner[3]); /* not sent yet */
	pair_goaway(pair, 3, NGHTTP2_NO_ERROR);
	pair_say(pair);
	pair_take(pair);
	assert_int_equal(pair_count(pair, NGHTTP2_HEADERS, -1), 0);
	assert_int_equal(owner[0].ends, 0);
	assert_int_equal(owner[1].ends, 0); /* 3 is not greater than 3 */
	assert_int_equal(owner[2].ends, 1);
	assert_true(owner[2].end.unprocessed);
	assert_int_equal(owner[3].ends, 1);
	assert_true(owner[3].end.unprocessed);
	assert_int_equal(pair_get(pair, &owner[3]), KOLK_E_LIMIT);
	pair_head(pair, 1, 200, true);
	pair_head(pair, 3, 200, true);
	assert_int_equal(pair_say(pair), KOLK_OK);
	assert_int_equal(owner[0].end.err, KOLK_OK);
	assert_int_equal(owner[1].end.err, KOLK_OK);
	pair_close(pair);
}

static void goaway_in_two_phases(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner[2] = { 0 };

	(void)state;
	pair_get(pair, &owner[0]);
	pair_get(pair, &owner[1]);
	pair_take(pair);
	pair_goaway(pair, INT32_MAX, NGHTTP2_NO_ERROR);
	assert_int_equal(pair_say(pair), KOLK_OK);
	assert_false(h2_session_can_submit(pair->session));
	assert_int_equal(owner[0].ends + owner[1].ends, 0);
	pair_goaway(pair, 1, NGHTTP2_NO_ERROR);
	assert_int_equal(pair_say(pair), KOLK_OK);
	assert_int_equal(owner[0].ends, 0);
	assert_true(owner[1].end.unprocessed);
	pair_head(pair, 1, 200, true);
	pair_say(pair);
	assert_int_equal(owner[0].end.err, KOLK_OK);
	pair_close(pair);
}

static void a_refused_stream_was_not_seen(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner[3] = { 0 };
	static const uint32_t code[3] = { NGHTTP2_REFUSED_STREAM, NGHTTP2_INTERNAL_ERROR,
					  NGHTTP2_NO_ERROR };

	(void)state;
	for (int i = 0; i < 3; i++)
		pair_get(pair, &owner[i]);
	pair_take(pair);
	for (int i = 0; i < 3; i++)
		pair_reset(pair, 2 * i + 1, code[i]);
	pair_say(pair);
	assert_true(owner[0].end.unprocessed);
	assert_false(owner[1].end.unprocessed);
	assert_int_equal(owner[1].end.err, KOLK_E_RESET);
	assert_false(owner[2].end.unprocessed);
	assert_int_equal(owner[2].end.err, KOLK_E_RESET);
	pair_close(pair);
}

static void death_before_and_after_the_request_was_taken(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner sent = { 0 }, queued = { 0 };

	(void)state;
	pair_get(pair, &sent);
	pair_take(pair);
	pair_get(pair, &queued);
	h2_session_end(pair->session, KOLK_E_CLOSED, false);
	assert_false(sent.end.unprocessed);
	assert_true(queued.end.unprocessed);
	assert_int_equal(sent.ends + queued.ends, 2);
	pair_close(pair);
}

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

/* ---- floods: each is cut, with little said in return */

static void continuations(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner = { 0 };
	int count = 0;

	(void)state;
	pair_get(pair, &owner);
	pair_take(pair);
	pair_frame(pair, NGHTTP2_HEADERS, 0, 1, "\x08\x03" "200", 5);
	assert_int_equal(pair_say(pair), KOLK_OK);
	do
		pair_frame(pair, NGHTTP2_CONTINUATION, 0, 1, "\0\1a\1b", 5);
	while (pair_say(pair) == KOLK_OK && ++count < 100000);
	assert_int_equal(count, 9);
	pair_close(pair);
}

/* As many as the largest head that is allowed needs, at 16 KiB each. */
static void a_head_of_many_frames(void **state)
{
	enum { FIELDS = 60 };
	struct h2_limits limits = h2_usual;
	struct h2_owner owner = { 0 };
	static uint8_t field[16384];
	struct h2_pair *pair;

	(void)state;
	limits.head_bytes_max = 1 << 20;
	pair = pair_open(&limits, true);
	memset(field, 'v', sizeof field);
	memcpy(field, "\0\1a\x7f\xf9\x7e", 6); /* 127 + 0x79 + (0x7e << 7) = 16376 of a value */
	pair_get(pair, &owner);
	pair_take(pair);
	pair_frame(pair, NGHTTP2_HEADERS, 0, 1, "\x08\x03" "200", 5);
	for (int i = 0; i < FIELDS; i++) {
		pair_frame(pair, NGHTTP2_CONTINUATION, i == FIELDS - 1 ? NGHTTP2_FLAG_END_HEADERS : 0,
			   1, field, 6 + 16376);
		assert_int_equal(pair_say(pair), KOLK_OK);
	}
	assert_int_equal(owner.status, 200);
	assert_int_equal(owner.fields, FIELDS);
	pair_close(pair);
}

struct flood {
	const char *what;
	uint8_t type, flags;
	int32_t id;
	const char *payload;
	size_t size;
};

static const struct flood floods[] = {
	{ "PING", NGHTTP2_PING, 0, 0, "12345678", 8 },
	{ "answers to no PING", NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, "12345678", 8 },
	{ "SETTINGS", NGHTTP2_SETTINGS, 0, 0, "", 0 },
	{ "DATA without data", NGHTTP2_DATA, 0, 1, "", 0 },
	{ "DATA of padding", NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, "\x03\0\0\0", 4 },
	{ "windows of a byte", NGHTTP2_WINDOW_UPDATE, 0, 1, "\0\0\0\1", 4 },
	{ "windows of the connection", NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\0\0\1", 4 },
	{ "PRIORITY", NGHTTP2_PRIORITY, 0, 1, "\0\0\0\0\20", 5 },
	{ "frames of no known kind", 0xbe, 0, 0, "x", 1 },
	{ "RST_STREAM of one that ended", NGHTTP2_RST_STREAM, 0, 1, "\0\0\0\x08", 4 },
};

/* answered: what it makes us say goes out at once, so that each frame meets one of ours. */
static void one_flood(const struct flood *flood, bool answered)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner = { .consumes = true };
	size_t said = 0;
	int count = 0;

	pair_get(pair, &owner);
	pair_take(pair);
	pair_head(pair, 1, 200, false);
	do {
		pair_frame(pair, flood->type, flood->flags, flood->id, flood->payload,
			   flood->size);
		if (answered)
			pair_take(pair);
	} while (pair_say(pair) == KOLK_OK && ++count < 100000);
	if (count > 200)
		fail_msg("%s: %d frames were taken", flood->what, count);
	assert_int_equal(pair->session->err, KOLK_E_FLOOD);
	pair_take(pair);
	if (pair_code(pair, NGHTTP2_GOAWAY) != NGHTTP2_ENHANCE_YOUR_CALM)
		fail_msg("%s: the peer was not told why", flood->what);
	said = pair->in_size;
	if (said > 4096 && !answered)
		fail_msg("%s: %zu bytes were said in return", flood->what, said);
	pair_close(pair);
}

static void every_flood_is_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof floods / sizeof *floods; i++)
		one_flood(&floods[i], false), one_flood(&floods[i], true);
}

/* What a peer may do: one such frame for each of ours, for as long as it likes. */
static void a_peer_that_only_answers_is_no_flood(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner = { 0 };

	(void)state;
	for (int i = 0; i < 5000; i++) {
		owner = (struct h2_owner){ 0 };
		assert_int_equal(pair_get(pair, &owner), KOLK_OK);
		pair_take(pair);
		pair_window(pair, 0, 1);
		pair_head(pair, 2 * i + 1, 204, true);
		assert_int_equal(pair_say(pair), KOLK_OK);
	}
	pair_close(pair);
}

/* Some give both windows back for each DATA, however fast they come. */
static void windows_that_are_given_back_are_no_flood(void **state)
{
	static char bytes[1000];
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner = { 0 };

	(void)state;
	memset(bytes, 'x', sizeof bytes - 1);
	pair_post(pair, &owner);
	pair_take(pair);
	for (int i = 0; i < 1000; i++) {
		owner.upload = bytes;
		owner.uploaded = 0;
		h2_stream_more(owner.stream);
		pair_take(pair);
		assert_int_equal(pair_content(pair, 1), sizeof bytes - 1);
		pair_window(pair, 0, sizeof bytes - 1);
		pair_window(pair, 1, sizeof bytes - 1);
		assert_int_equal(pair_say(pair), KOLK_OK);
	}
	pair_close(pair);
}

/* As some servers do (Go's), for each read of whoever handles the request; and a PING now and then,
 * to measure the way. */
static void windows_in_small_pieces_are_no_flood(void **state)
{
	enum { PIECE = 100, ROUNDS = 100, SENT = 30000 };
	static char bytes[SENT + 1];
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner = { 0 };

	(void)state;
	memset(bytes, 'x', SENT);
	pair_post(pair, &owner);
	pair_take(pair);
	for (int i = 0; i < ROUNDS; i++) {
		owner.upload = bytes;
		owner.uploaded = 0;
		h2_stream_more(owner.stream);
		pair_take(pair);
		assert_int_equal(pair_content(pair, 1), SENT);
		for (int at = 0; at < SENT; at += PIECE) {
			pair_window(pair, 0, PIECE);
			pair_window(pair, 1, PIECE);
		}
		pair_frame(pair, NGHTTP2_PING, 0, 0, "12345678", 8);
		assert_int_equal(pair_say(pair), KOLK_OK);
	}
	pair_close(pair);
}

/* More than we sent is not given back: bytes sent long ago pay for no flood twice. */
static void windows_of_what_was_never_sent_are_a_flood(void **state)
{
	static char bytes[1001];
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner = { .upload = bytes, .last = true };
	int count = 0;

	(void)state;
	memset(bytes, 'x', 1000);
	pair_post(pair, &owner);
	pair_take(pair);
	pair_head(pair, 1, 200, true);
	assert_int_equal(pair_say(pair), KOLK_OK);
	assert_int_equal(owner.ends, 1);
	do
		pair_window(pair, 1, 1); /* of a stream that ended, too */
	while (pair_say(pair) == KOLK_OK && ++count < 100000);
	assert_in_range(count, 1000, 1200);
	pair_close(pair);
}

/* A table entry of 3 KiB, referred to by one byte each. */
static void a_bomb_of_compression(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);
	struct h2_owner owner = { 0 };
	static uint8_t head[16000] = "\x08\x03" "200" "\x40\1a\x7f\x81\x16";
	size_t size = 11;

	(void)state;
	memset(head + size, 'b', 127 + 0x81 - 0x80 + (0x16 << 7));
	size += 127 + 1 + (0x16 << 7);
	memset(head + size, 0xbe, 10000); /* the newest entry, again and again */
	size += 10000;
	pair_get(pair, &owner);
	pair_take(pair);
	pair_frame(pair, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, head, size);
	assert_int_equal(pair_say(pair), KOLK_OK);
	pair_take(pair);
	assert_int_equal(owner.end.err, KOLK_E_PROTOCOL);
	assert_true(owner.fields <= 8);
	pair_close(pair);
}

static void push_is_refused_at_once(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, false); /* our SETTINGS are not acknowledged */
	struct h2_owner owner = { 0 };

	(void)state;
	pair_frame(pair, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
	assert_int_equal(pair_say(pair), KOLK_OK);
	pair_get(pair, &owner);
	pair_take(pair);
	pair_frame(pair, NGHTTP2_PUSH_PROMISE, NGHTTP2_FLAG_END_HEADERS, 1, "\0\0\0\2\x82", 5);
	assert_int_equal(pair_say(pair), KOLK_E_PROTOCOL);
	pair_take(pair);
	assert_int_equal(pair_code(pair, NGHTTP2_GOAWAY), NGHTTP2_PROTOCOL_ERROR);
	pair_close(pair);
}

static void a_stream_of_its_own_is_an_error(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);

	(void)state;
	pair_head(pair, 2, 200, true);
	(void)pair_say(pair);
	pair_take(pair);
	assert_int_equal(pair_say(pair), KOLK_E_PROTOCOL);
	pair_close(pair);
}

/* ---- life */

static void a_ping_and_its_answer(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);

	(void)state;
	assert_int_equal(h2_session_ping(pair->session, pair->now_ns), KOLK_OK);
	pair_take(pair);
	assert_int_equal(pair_count(pair, NGHTTP2_PING, 0), 1);
	assert_false(h2_session_is_clean(pair->session));
	pair_frame(pair, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, "\0\0\0\0\0\0\0\0", 8);
	pair_say(pair);
	assert_int_equal(pair->session->pinged_ns, 0);
	assert_true(h2_session_is_clean(pair->session));
	pair_close(pair);
}

static void goaway_is_sent(void **state)
{
	struct h2_pair *pair = pair_open(&h2_usual, true);

	(void)state;
	h2_session_queue_goaway(pair->session);
	pair_take(pair);
	assert_int_equal(pair_code(pair, NGHTTP2_GOAWAY), NGHTTP2_NO_ERROR);
	pair_close(pair);
}

/* ---- nghttp2 as a server, over a pair of sockets: any byte stream will do */

struct server {
	nghttp2_session *ng;
	int fd;
	size_t echoed;
};

static ssize_t server_body(nghttp2_session *ng, int32_t id, uint8_t *buffer, size_t capacity,
			   uint32_t *flags, nghttp2_data_source *source, void *user)
{
	(void)ng, (void)id, (void)user;
	memset(buffer, 'x', capacity);
	if (*(size_t *)source->ptr <= capacity) {
		capacity = *(size_t *)source->ptr;
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	}
	*(size_t *)source->ptr -= capacity;
	return (ssize_t)capacity;
}

static int server_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
	const nghttp2_nv status = { (uint8_t *)(uintptr_t) ":status", (uint8_t *)(uintptr_t) "200",
				    7, 3, 0 };
	nghttp2_data_provider body = { .read_callback = server_body };
	struct server *server = user;

	if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
	    !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	body.source.ptr = &server->echoed;
	return nghttp2_submit_response(ng, frame->hd.stream_id, &status, 1, &body);
}

static void server_open(struct server *server, int fd)
{
	nghttp2_session_callbacks *callbacks;

	nghttp2_session_callbacks_new(&callbacks);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, server_frame);
	*server = (struct server){ .fd = fd, .echoed = 100000 };
	nghttp2_session_server_new(&server->ng, callbacks, server);
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_submit_settings(server->ng, 0, NULL, 0);
}

static bool server_turn(struct server *server)
{
	uint8_t buffer[5000];
	const uint8_t *out;
	ssize_t size = recv(server->fd, buffer, sizeof buffer, MSG_DONTWAIT);
	bool moved = size > 0;

	if (size > 0)
		assert_int_equal(nghttp2_session_mem_recv(server->ng, buffer, (size_t)size), size);
	while ((size = nghttp2_session_mem_send(server->ng, &out)) > 0) {
		assert_int_equal(send(server->fd, out, (size_t)size, 0), size);
		moved = true;
	}
	return moved;
}

static bool client_turn(struct h2_session *session, int fd)
{
	uint8_t buffer[7000];
	size_t out = h2_session_output(session, buffer, 333, 1);
	ssize_t size;

	if (out > 0)
		assert_int_equal(send(fd, buffer, out, 0), out);
	size = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
	if (size > 0)
		assert_int_equal(h2_session_feed(session, buffer, (size_t)size, 1), KOLK_OK);
	return out > 0 || size > 0;
}

/* Both, and whether one of them got on. */
static bool turn(struct h2_session *session, int fd, struct server *server)
{
	bool client = client_turn(session, fd);

	return server_turn(server) || client;
}

static void over_a_pair_of_sockets(void **state)
{
	struct h2_pair pair = { .now_ns = 1 };
	struct h2_owner owner = { .consumes = true, .last = true };
	static char upload[50001];
	struct server server;
	int fd[2];

	(void)state;
	memset(upload, 'u', sizeof upload - 1);
	owner.upload = upload;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	server_open(&server, fd[1]);
	pair.session = h2_session_open(&h2_usual, 1);
	while (!pair.session->ready)
		assert_true(turn(pair.session, fd[0], &server));
	assert_int_equal(pair_post(&pair, &owner), KOLK_OK);
	while (owner.ends == 0)
		assert_true(turn(pair.session, fd[0], &server));
	assert_int_equal(owner.end.err, KOLK_OK);
	assert_int_equal(owner.uploaded, 50000);
	assert_int_equal(owner.body, 100000);
	assert_int_equal(owner.sum, 100000 * 'x');
	h2_session_unref(pair.session);
	nghttp2_session_del(server.ng);
	close(fd[0]);
	close(fd[1]);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(it_begins_with_settings),
	cmocka_unit_test(the_limit_is_learned_again),
	cmocka_unit_test(streams_in_all_are_counted),
	cmocka_unit_test(an_answer_with_all_there_is),
	cmocka_unit_test(a_wrong_length_is_an_error_of_the_stream),
	cmocka_unit_test(a_head_that_is_too_large_costs_the_stream),
	cmocka_unit_test(too_many_informational_answers),
	cmocka_unit_test(nothing_comes_after_a_reset),
	cmocka_unit_test(nothing_comes_after_a_cancel),
	cmocka_unit_test(a_cancel_before_anything_was_sent_sends_nothing),
	cmocka_unit_test(our_resets_are_rationed),
	cmocka_unit_test(goaway_reports_unprocessed_streams),
	cmocka_unit_test(goaway_in_two_phases),
	cmocka_unit_test(a_refused_stream_was_not_seen),
	cmocka_unit_test(death_before_and_after_the_request_was_taken),
	cmocka_unit_test(back_pressure),
	cmocka_unit_test(an_abandoned_slow_reader_costs_no_window),
	cmocka_unit_test(a_body_that_comes_later),
	cmocka_unit_test(a_window_of_nothing_stalls_and_goes_on),
	cmocka_unit_test(an_answer_before_the_question_s_end),
	cmocka_unit_test(an_answer_that_is_whole_when_the_connection_dies),
	cmocka_unit_test(a_head_as_large_as_requests_may_be),
	cmocka_unit_test(continuations),
	cmocka_unit_test(every_flood_is_cut),
	cmocka_unit_test(a_peer_that_only_answers_is_no_flood),
	cmocka_unit_test(windows_that_are_given_back_are_no_flood),
	cmocka_unit_test(windows_in_small_pieces_are_no_flood),
	cmocka_unit_test(windows_of_what_was_never_sent_are_a_flood),
	cmocka_unit_test(paused_streams_do_not_stop_the_others),
	cmocka_unit_test(no_end_of_a_stream_costs_window),
	cmocka_unit_test(data_on_a_stream_that_ended_is_counted),
	cmocka_unit_test(data_on_its_way_is_no_flood),
	cmocka_unit_test(data_before_a_head_costs_the_stream),
	cmocka_unit_test(fields_that_are_no_trailers_cost_the_stream),
	cmocka_unit_test(a_head_of_many_frames),
	cmocka_unit_test(a_bomb_of_compression),
	cmocka_unit_test(push_is_refused_at_once),
	cmocka_unit_test(a_stream_of_its_own_is_an_error),
	cmocka_unit_test(a_ping_and_its_answer),
	cmocka_unit_test(goaway_is_sent),
	cmocka_unit_test(over_a_pair_of_sockets),
};
CMOCKA_TESTS(h2_session, tests);
