/* SPDX-License-Identifier: Apache-2.0 */
/* http_waiters_test.c - requests of a client that has had no connection yet, at a full pool. */
#include "tests/kit/cmocka/run.h"

#include "tests/drivers/http1_client.h"
#include "tests/kit/tap.h"

enum { LATE = 3 };

static void mock_silent(struct kit_mock_conn *conn, void *user)
{
	(void)user;
	kit_mock_drain(conn, 120000);
}

static uint32_t ends(const struct ask asks[LATE])
{
	uint32_t count = 0;

	for (int i = 0; i < LATE; i++)
		count += kolk__load_acquire(&asks[i].ends);
	return count;
}

/* Which protocol the server speaks one of them would learn with its dial; here none dials. */
static void requests_beyond_waiters_max_are_refused(void **state)
{
	struct http1_fixture fixture;
	struct http_fixture other;
	struct ask first, late[LATE];

	(void)state;
	http1_prepare(&fixture);
	fixture.pool.connections_max = 1;
	fixture.pool.waiters_max = 1;
	http1_open(&fixture, mock_silent, NULL);
	ask_init(&first, &fixture.client, "GET", "/");
	first.request.deadline_ns = KOLK_FOREVER;
	ask_start(&first);
	assert_true(WITHIN_MS(5000, kit_mock_counts(fixture.mock).bytes_in > 0));
	other = fixture.client;
	assert_int_equal(kolk_http_open(other.loop, NULL, &other.http), KOLK_OK);
	for (int i = 0; i < LATE; i++) {
		ask_init(&late[i], &other, "GET", "/");
		late[i].request.deadline_ns = KOLK_FOREVER;
		ask_start(&late[i]);
	}
	assert_true(WITHIN_MS(5000, ends(late) == LATE - 1));
	assert_int_equal(kolk__load_acquire(&late[0].ends), 0);
	ask_on_loop(&late[0], ask_cancel);
	assert_int_equal(ask_wait(&late[0]), KOLK_E_CANCELLED);
	for (int i = 1; i < LATE; i++)
		assert_int_equal(ask_wait(&late[i]), KOLK_E_QUEUE_FULL);
	ask_on_loop(&first, ask_cancel);
	assert_int_equal(ask_wait(&first), KOLK_E_CANCELLED);
	assert_int_equal(kolk_http_close(other.http, NULL, NULL), KOLK_OK);
	http1_close(&fixture);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(requests_beyond_waiters_max_are_refused),
};
CMOCKA_TESTS(http_waiters, tests);
