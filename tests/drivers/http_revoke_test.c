/* SPDX-License-Identifier: Apache-2.0 */
/* http_revoke_test.c - a drain's deadline passes while a request has a connection. */
#include "tests/kit/cmocka/run.h"

#include "tests/drivers/http1_client.h"
#include "tests/kit/tap.h"

static char half[] = OK11 "content-length: 10\r\n\r\nhalf";
/* The end of the connection is the end of the answer. */
static char without_length[] = OK11 "\r\nhalf";

/* Says its user's text, if there is one, and is silent. */
static void mock_say(struct kit_mock_conn *conn, void *user)
{
	char text[1024];

	if (http1_head(conn, text, sizeof text) && user != NULL)
		kit_mock_say(conn, user);
	kit_mock_drain(conn, 120000);
}

static void revoke(struct http1_fixture *fixture)
{
	assert_int_equal(kolk_pool_suspend(fixture->client.pool, kolk_in_ms(0)), KOLK_OK);
}

static void ends_as_revoked(char *answer)
{
	struct http1_fixture fixture;
	struct ask ask;

	http1_prepare(&fixture);
	http1_open(&fixture, mock_say, answer);
	ask_init(&ask, &fixture.client, "GET", "/");
	ask_start(&ask);
	if (answer != NULL)
		assert_true(WITHIN_MS(5000, kolk__load_acquire(&ask.bodies) == 1));
	else
		assert_true(WITHIN_MS(5000, kit_mock_counts(fixture.mock).bytes_in > 0));
	revoke(&fixture);
	assert_int_equal(ask_wait(&ask), KOLK_E_REVOKED);
	http1_close(&fixture);
}

static void a_request_that_waits_for_its_answer(void **state)
{
	(void)state;
	ends_as_revoked(NULL);
}

static void a_request_with_half_an_answer(void **state)
{
	(void)state;
	ends_as_revoked(half);
	ends_as_revoked(without_length);
}

/* It has no operation in flight that could fail. */
static void a_request_that_is_paused(void **state)
{
	struct http1_fixture fixture;
	struct ask ask;

	(void)state;
	http1_prepare(&fixture);
	http1_open(&fixture, mock_say, half);
	ask_init(&ask, &fixture.client, "GET", "/");
	ask.act = PAUSE_IN_HEAD;
	ask_start(&ask);
	assert_true(WITHIN_MS(5000, kolk__load_acquire(&ask.heads) == 1));
	revoke(&fixture);
	assert_true(WITHIN_MS(5000, http_fixture_stats(&fixture.client)
					    .destroyed[KOLK_REASON_REVOKED] == 1));
	assert_int_equal(kolk__load_acquire(&ask.ends), 0);
	ask_on_loop(&ask, ask_resume);
	assert_int_equal(ask_wait(&ask), KOLK_E_REVOKED);
	http1_close(&fixture);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_request_that_waits_for_its_answer),
	cmocka_unit_test(a_request_with_half_an_answer),
	cmocka_unit_test(a_request_that_is_paused),
};
CMOCKA_TESTS(http_revoke, tests);
