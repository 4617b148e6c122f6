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

/* ---- a server that is not there */

struct three {
	struct ask first, second, late;
};

static void start_now(struct ask *ask)
{
	ask->started = kolk_http_start(ask->client->http, ask->client->key, &ask->request,
				       &ask->handler, ask, &ask->exchange);
	assert_int_equal(ask->started, KOLK_PENDING);
}

static void start_first(struct kolk_call *post, void *user)
{
	struct three *three = user;

	(void)post;
	start_now(&three->first);
	start_now(&three->second);
}

/* The only dial fails, and the circuit opens while another client's request waits: what comes
 * behind that one is refused as all others are, and does not wait for the end of the back-off. */
static void requests_behind_one_that_waits_meet_the_circuit(void **state)
{
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);
	struct http_fixture client, other;
	struct three three;

	(void)state;
	pool.address = "127.0.0.1:1";
	pool.idle_min = KOLK_NONE;
	pool.connections_max = 1;
	pool.circuit_failures = 1;
	pool.retry_interval_ns = pool.retry_max_ns = 3600 * KOLK_S_NS;
	pool.hopeless_waits = 1;
	assert_true(http_fixture_open(&client, &pool));
	other = client;
	assert_int_equal(kolk_http_open(other.loop, NULL, &other.http), KOLK_OK);
	ask_init(&three.first, &client, "GET", "/");
	ask_init(&three.second, &other, "GET", "/");
	ask_init(&three.late, &other, "GET", "/");
	ask_on_loop(&three.first, start_first);
	assert_int_equal(ask_wait(&three.first), KOLK_E_CONN_REFUSED);
	ask_start(&three.late);
	assert_true(WITHIN_MS(10000, kolk__load_acquire(&three.late.ends) == 1));
	assert_int_equal(kolk__load_acquire(&three.second.ends), 0);
	assert_int_equal(ask_wait(&three.late), KOLK_E_CIRCUIT);
	ask_on_loop(&three.second, ask_cancel);
	assert_int_equal(ask_wait(&three.second), KOLK_E_CANCELLED);
	assert_int_equal(kolk_http_close(other.http, NULL, NULL), KOLK_OK);
	assert_true(http_fixture_close(&client));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(requests_beyond_waiters_max_are_refused),
	cmocka_unit_test(requests_behind_one_that_waits_meet_the_circuit),
};
CMOCKA_TESTS(http_waiters, tests);
