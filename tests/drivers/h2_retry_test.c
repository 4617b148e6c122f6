/* SPDX-License-Identifier: Apache-2.0 */
/* h2_retry_test.c - which requests are sent again on another HTTP/2 connection, and how often. */
#include "tests/kit/cmocka/run.h"
#include "tests/drivers/h2_wire.h"

/* A POST that the peer did not process is sent again, and executed once. */
static void what_goaway_excludes_is_sent_again(void **state)
{
	struct h2_fixture *fixture = h2_wire_open(NULL, 0);
	struct result result = h2_ask(fixture, &(struct ask){ .target = "/goaway", .method = "POST",
							      .body_size = 10 });

	(void)state;
	assert_int_equal(result.err, KOLK_OK);
	assert_true(result.mine);
	assert_int_equal(result.executions, 1);
	assert_int_equal(result.retried, 1);
	assert_int_equal(h2_accepted(fixture), 2);
	h2_wire_close(fixture);
}

static void a_refused_stream_is_sent_again_once(void **state)
{
	struct h2_fixture *fixture = h2_wire_open(NULL, 0);
	struct result result = h2_ask(fixture, &(struct ask){ .target = "/always-refuse",
							      .method = "POST" });

	(void)state;
	assert_int_equal(result.err, KOLK_E_CLOSED);
	assert_int_equal(result.retried, 1);
	assert_int_equal(result.executions, 0);
	h2_wire_close(fixture);
}

/* Neither a reset nor a death proves anything. */
static void what_may_have_been_done_is_not_sent_again(void **state)
{
	struct h2_fixture *fixture = h2_wire_open(NULL, 0);
	struct result result = h2_ask(fixture, &(struct ask){ .target = "/reset",
							      .method = "POST" });

	(void)state;
	assert_int_equal(result.err, KOLK_E_RESET);
	assert_int_equal(result.executions, 1);
	assert_int_equal(result.retried, 0);
	result = h2_ask(fixture, &(struct ask){ .target = "/die", .method = "POST" });
	assert_true(result.err == KOLK_E_RESET || result.err == KOLK_E_CLOSED);
	assert_int_equal(result.executions, 1);
	assert_int_equal(result.retried, 0);
	assert_int_equal(h2_get(fixture, "/ok").err, KOLK_OK);
	assert_int_equal(h2_accepted(fixture), 2);
	h2_wire_close(fixture);
}

static void what_is_replayable_is_sent_again_once(void **state)
{
	struct h2_fixture *fixture = h2_wire_open(NULL, 0);
	struct result result;

	(void)state;
	assert_int_equal(h2_get(fixture, "/ok").err, KOLK_OK); /* a reused connection */
	result = h2_ask(fixture, &(struct ask){ .target = "/die", .replayable = true });
	assert_int_equal(result.err, KOLK_OK);
	assert_true(result.mine);
	assert_int_equal(result.executions, 2);
	assert_int_equal(result.retried, 1);
	h2_wire_close(fixture);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(what_goaway_excludes_is_sent_again),
	cmocka_unit_test(a_refused_stream_is_sent_again_once),
	cmocka_unit_test(what_may_have_been_done_is_not_sent_again),
	cmocka_unit_test(what_is_replayable_is_sent_again_once),
};
CMOCKA_TESTS(h2_retry, tests);
