/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probation_test.c - a peer that accepts and closes puts its pool on probation; then it answers.
 * An answer is proof, also when its connection is kept for the next requests, or closed after it: of
 * HTTP/2, HTTP/1.1, and what else is a pump's (Redis, PostgreSQL).
 */
#include "tests/drivers/http1_client.h"

#include <string.h>

#include "tests/drivers/h2_server.h"
#include "tests/drivers/redis_mock.h"
#include "tests/kit/cmocka/run.h"
#include "tests/kit/tap.h"

/* Its SETTINGS, or nothing, and the end. */
static void close_early(struct kit_mock_conn *conn, bool http2)
{
	if (http2)
		kit_mock_send(conn, "\0\0\0\4\0\0\0\0\0", 9);
	kit_mock_wait(conn, 20000);
}

static void serves_http2(struct kit_mock_conn *conn, void *user)
{
	if (kit_mock_number(conn) == 0)
		close_early(conn, true);
	else
		h2_server_run(conn, user);
}

static void serves_once_each(struct kit_mock_conn *conn, void *user)
{
	static const char answer[] = OK11 "Connection: close\r\nContent-Length: 2\r\n\r\nok";

	if (kit_mock_number(conn) == 0)
		close_early(conn, false);
	else
		kit_mock_answer(conn, &(struct kit_mock_answer){ .until = "\r\n\r\n",
								  .data = answer,
								  .size = sizeof answer - 1,
								  .times = 1 });
	(void)user;
}

static uint64_t failures_of(struct kolk_pool *pool)
{
	struct kolk_pool_info info = KOLK_INIT(kolk_pool_info);

	assert_int_equal(kolk_pool_inspect(pool, &info), KOLK_OK);
	return info.dial_failures;
}

/* The first connection was closed before it was of use. */
static void open_on_probation(struct http1_fixture *fixture, kit_mock_fn *play, void *user)
{
	fixture->pool.idle_min = 1;
	fixture->pool.retry_interval_ns = 10 * KOLK_MS_NS;
	http1_open(fixture, play, user);
	assert_int_equal(kolk_key_warm(fixture->client.key, 0), KOLK_OK);
	assert_true(WITHIN_MS(5000, failures_of(fixture->client.pool) > 0));
}

static void an_answer_on_a_kept_connection_is_proof(void **state)
{
	struct h2_server server = { .window = 0 };
	struct http1_fixture fixture;
	struct ask held, ask;

	(void)state;
	http1_prepare(&fixture);
	fixture.driver.protocols = KOLK_HTTP_2_ONLY;
	open_on_probation(&fixture, serves_http2, &server);
	ask_init(&held, &fixture.client, "GET", "/hold");
	ask_start(&held);
	ask_init(&ask, &fixture.client, "GET", "/ok");
	assert_int_equal(ask_run(&ask), KOLK_OK);
	assert_int_equal(failures_of(fixture.client.pool), 0);
	ask_on_loop(&held, ask_cancel);
	assert_int_equal(ask_wait(&held), KOLK_E_CANCELLED);
	http1_close(&fixture);
}

static void an_answer_before_the_end_is_proof(void **state)
{
	struct http1_fixture fixture;
	struct ask ask;

	(void)state;
	http1_prepare(&fixture);
	fixture.pool.mend_timeout_ns = KOLK_AT_ONCE;
	open_on_probation(&fixture, serves_once_each, NULL);
	ask_init(&ask, &fixture.client, "GET", "/");
	assert_int_equal(ask_run(&ask), KOLK_OK);
	assert_int_equal(failures_of(fixture.client.pool), 0);
	http1_close(&fixture);
}

static void serves_redis(struct kit_mock_conn *conn, void *user)
{
	(void)user;
	if (!mock_open_well(conn))
		return;
	if (kit_mock_number(conn) == 0)
		kit_mock_wait(conn, 20000);
	else
		mock_serve(conn);
}

static void an_answer_within_a_lease_is_proof(void **state)
{
	struct redis_fixture fixture = { .step = 0 };
	struct kolk_lease lease;

	(void)state;
	redis_mock_open(&fixture, serves_redis);
	assert_int_equal(kolk_try_acquire(fixture.key, &lease), KOLK_E_EMPTY);
	assert_true(WITHIN_MS(5000, failures_of(fixture.pool) > 0));
	lease = redis_lease(&fixture);
	assert_true(failures_of(fixture.pool) > 0);
	assert_int_equal(redis_echo(&lease, "served", 5000), KOLK_OK);
	assert_int_equal(failures_of(fixture.pool), 0);
	assert_int_equal(kolk_release(&lease), KOLK_OK);
	redis_mock_close(&fixture);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(an_answer_on_a_kept_connection_is_proof),
	cmocka_unit_test(an_answer_before_the_end_is_proof),
	cmocka_unit_test(an_answer_within_a_lease_is_proof),
};

CMOCKA_TESTS(probation, tests);
