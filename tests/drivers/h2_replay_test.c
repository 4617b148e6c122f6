/* SPDX-License-Identifier: Apache-2.0 */
/* h2_replay_test.c - which streams of an HTTP/2 connection are safe to send again when it ends. */
#include "tests/kit/cmocka/run.h"
#include "tests/drivers/h2_peer.h"

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

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(goaway_reports_unprocessed_streams),
	cmocka_unit_test(goaway_in_two_phases),
	cmocka_unit_test(a_refused_stream_was_not_seen),
	cmocka_unit_test(death_before_and_after_the_request_was_taken),
};
CMOCKA_TESTS(h2_replay, tests);
