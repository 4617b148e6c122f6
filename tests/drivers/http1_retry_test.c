/* SPDX-License-Identifier: Apache-2.0 */
/* http1_retry_test.c - what the client sends again when a connection ends under it. */
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/drivers/http1_client.h"

static void mock_stale(struct kit_mock_conn *conn, void *user)
{
	char text[4096];
	const char *reset = user;
	uint32_t served = 0;

	while (http1_head(conn, text, sizeof text)) {
		const char *id = strstr(text, "x-id: ");

		if (id != NULL && served++ == 1 && kit_mock_number(conn) % 2 == 0) {
			kit_mock_execute(conn, strtoull(id + 6, NULL, 10));
			if (reset != NULL)
				kit_mock_reset(conn);
			return; /* it was executed, and no byte of an answer comes */
		}
		if (id != NULL)
			kit_mock_execute(conn, strtoull(id + 6, NULL, 10));
		kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\ngood");
	}
}

static enum kolk_err ask_id(struct http1_fixture *fixture, const char *method, uint32_t id,
			    bool replayable, bool *retried)
{
	struct kolk_http_field field = {"x-id", NULL};
	char text[16];
	struct ask ask;
	enum kolk_err err;

	snprintf(text, sizeof text, "%u", id);
	field.value = text;
	ask_init(&ask, &fixture->client, method, "/");
	ask.request.fields = &field;
	ask.request.field_count = 1;
	ask.request.replayable = replayable;
	err = ask_run(&ask);
	*retried = ask.retried;
	return err;
}

static void run_stale(const char *reset)
{
	struct http1_fixture fixture;
	bool retried;

	http1_prepare(&fixture);
	fixture.pool.connections_max = 1;
	http1_open(&fixture, mock_stale, (void *)(uintptr_t)reset);
	assert_int_equal(ask_id(&fixture, "GET", 1, true, &retried), KOLK_OK);
	assert_int_equal(ask_id(&fixture, "GET", 2, true, &retried),
			 KOLK_OK); /* fails, then again */
	assert_true(retried);
	assert_int_equal(kit_mock_executions(fixture.mock, 2), 2);
	http1_close(&fixture);

	http1_prepare(&fixture);
	fixture.pool.connections_max = 1;
	http1_open(&fixture, mock_stale, (void *)(uintptr_t)reset);
	assert_int_equal(ask_id(&fixture, "POST", 1, false, &retried), KOLK_OK);
	assert_int_equal(ask_id(&fixture, "POST", 2, false, &retried),
			 reset != NULL ? KOLK_E_RESET : KOLK_E_CLOSED);
	assert_false(retried);
	assert_int_equal(kit_mock_executions_max(fixture.mock), 1);
	http1_close(&fixture);
}

static void test_stale(void **state)
{
	(void)state;
	run_stale(NULL);
	run_stale("reset");
}

/* The first connection ends with its first request. */
static void mock_idles_out(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	(void)user;
	while (http1_head(conn, text, sizeof text)) {
		kit_mock_execute(conn, strstr(text, "x-id: ") != NULL);
		if (kit_mock_number(conn) == 0 ||
		    !kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\ngood"))
			return;
	}
}

static enum kolk_err ask_first(const char *method, bool ahead, bool *retried)
{
	struct http1_fixture fixture;
	enum kolk_err err;

	http1_prepare(&fixture);
	fixture.pool.connections_max = 1;
	fixture.pool.idle_min = ahead;
	http1_open(&fixture, mock_idles_out, NULL);
	if (ahead)
		assert_int_equal(kolk_pool_warm(fixture.client.pool, kolk_in_ms(10000)), KOLK_OK);
	err = ask_id(&fixture, method, 1, strcmp(method, "GET") == 0, retried);
	http1_close(&fixture);
	return err;
}

/* A connection that was made ahead lay idle: it may be stale, as one that was used. */
static void test_made_ahead(void **state)
{
	bool retried;

	(void)state;
	assert_int_equal(ask_first("GET", true, &retried), KOLK_OK);
	assert_true(retried);
	assert_int_equal(ask_first("POST", true, &retried), KOLK_E_CLOSED);
	assert_false(retried);
	assert_int_equal(ask_first("GET", false, &retried), KOLK_E_CLOSED);
	assert_false(retried);
}

/* Two used connections, both about to end: the second chance is not spent on the other one. */
static void mock_doomed(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	(void)user;
	for (uint32_t served = 0; http1_head(conn, text, sizeof text); served++) {
		if (kit_mock_number(conn) < 2 && served == 1)
			return;
		kit_mock_execute(conn, strstr(text, "x-id: ") != NULL);
		while (kit_mock_counts(kit_mock_of(conn)).accepted < 2)
			if (!kit_mock_wait(conn, 1000))
				return;
		if (!kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\ngood"))
			return;
	}
}

static void test_second_chance(void **state)
{
	struct http1_fixture fixture;
	struct ask ask[2];
	bool retried;

	(void)state;
	http1_prepare(&fixture);
	http1_open(&fixture, mock_doomed, NULL);
	for (int i = 0; i < 2; i++) {
		ask_init(&ask[i], &fixture.client, "GET", "/");
		ask_start(&ask[i]);
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(ask_wait(&ask[i]), KOLK_OK);
	assert_int_equal(http_fixture_stats(&fixture.client).created, 2);
	assert_int_equal(ask_id(&fixture, "GET", 1, true, &retried), KOLK_OK);
	assert_true(retried);
	assert_int_equal(kit_mock_executions(fixture.mock, 1), 1);
	http1_close(&fixture);
}

/* /once is answered by a connection that was not used before. */
static void mock_once(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	(void)user;
	for (uint32_t served = 0; http1_head(conn, text, sizeof text); served++) {
		if (served > 0 && strstr(text, " /once ") != NULL)
			return;
		usleep(2000);
		if (!kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\ngood"))
			return;
	}
}

/* A retry among callers that take turns on one connection: the first new connection is its own, and
 * no other is closed for it. */
static void test_retry_among_many(void **state)
{
	enum { OTHERS = 4 };
	struct http1_fixture fixture;
	struct ask ask, other[OTHERS];

	(void)state;
	http1_prepare(&fixture);
	fixture.pool.connections_max = 1;
	http1_open(&fixture, mock_once, NULL);
	http1_expect_get(&fixture.client, "good");
	ask_init(&ask, &fixture.client, "GET", "/once");
	ask.request.replayable = 1;
	ask_start(&ask);
	for (int i = 0; i < OTHERS; i++) {
		ask_init(&other[i], &fixture.client, "GET", "/");
		ask_start(&other[i]);
	}
	for (int i = 0; kolk__load_acquire(&ask.ends) == 0; i = (i + 1) % OTHERS) {
		assert_int_equal(ask_wait(&other[i]), KOLK_OK);
		ask_init(&other[i], &fixture.client, "GET", "/");
		ask_start(&other[i]);
	}
	assert_int_equal(ask_wait(&ask), KOLK_OK);
	assert_true(ask.retried);
	for (int i = 0; i < OTHERS; i++)
		assert_int_equal(ask_wait(&other[i]), KOLK_OK);
	assert_int_equal(http_fixture_stats(&fixture.client).created, 2);
	http1_close(&fixture);
}

/* The server gives up idle connections just when they are used again. */
static void mock_impatient(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	(void)user;
	/* A connection is not idle before its first request. */
	for (int ms = 20000; kit_mock_read_until(conn, "\r\n\r\n", text, sizeof text, ms); ms = 2) {
		const char *id = strstr(text, "x-id: ");

		kit_mock_execute(conn, strtoull(id + 6, NULL, 10));
		if (!kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\ngood"))
			return;
	}
	if (kit_mock_number(conn) % 2 == 0)
		kit_mock_reset(conn);
}

static void test_idle_race(void **state)
{
	uint32_t ok = 0, failed = 0;
	struct http1_fixture fixture;
	bool retried;

	(void)state;
	http1_prepare(&fixture);
	fixture.pool.connections_max = 1;
	http1_open(&fixture, mock_impatient, NULL);
	for (uint32_t i = 0; i < 1500; i++) {
		enum kolk_err err = ask_id(&fixture, "POST", i, false, &retried);

		assert_false(retried);
		assert_true(err == KOLK_OK || err == KOLK_E_CLOSED || err == KOLK_E_RESET);
		ok += err == KOLK_OK;
		failed += err != KOLK_OK;
		usleep(1500 + i % 1000);
	}
	print_message("%u answered, %u failed\n", ok, failed);
	assert_true(ok > 300); /* the first request of most connections */
	assert_int_equal(kit_mock_executions_max(fixture.mock), 1);
	http1_close(&fixture);
}

static void mock_plain(struct kit_mock_conn *conn, void *user)
{
	(void)user;
	kit_mock_say(conn, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
	kit_mock_wait(conn, 20000);
}

/* A server without TLS is without it the next time, too: the request is not kept until the circuit
 * of the endpoint opens, and its error says what is wrong. */
static void test_no_tls(void **state)
{
	struct http1_fixture fixture;
	char address[64];
	bool retried;

	(void)state;
	http1_prepare(&fixture);
	fixture.pool.retry_interval_ns = KOLK_MS_NS;
	http1_open(&fixture, mock_plain, NULL);
	snprintf(address, sizeof address, "tls://%s", kit_mock_address(fixture.mock));
	fixture.pool.address = address;
	assert_int_equal(kolk_pool_update(fixture.client.pool, &fixture.pool), KOLK_OK);
	assert_int_equal(ask_id(&fixture, "GET", 1, true, &retried), KOLK_E_TLS);
	assert_false(retried);
	http1_close(&fixture);
}

/* Where HTTP/2 is spoken without TLS, the first answer alone can tell. */
static void test_no_http2(void **state)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct http1_fixture fixture;
	bool retried;

	(void)state;
	http1_prepare(&fixture);
	fixture.driver.protocols = KOLK_HTTP_2_ONLY;
	http1_open(&fixture, mock_plain, NULL);
	assert_int_equal(ask_id(&fixture, "GET", 1, true, &retried), KOLK_E_PROTOCOL);
	assert_true(kolk_key_failure(fixture.client.key, &failure));
	assert_string_equal(failure.detail,
			    "what the peer sent first is no SETTINGS: does it speak HTTP/2?");
	http1_close(&fixture);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_no_http2),
	cmocka_unit_test(test_no_tls),
	cmocka_unit_test(test_stale),
	cmocka_unit_test(test_made_ahead),
	cmocka_unit_test(test_second_chance),
	cmocka_unit_test(test_retry_among_many),
	cmocka_unit_test(test_idle_race),
};
CMOCKA_TESTS(http1_retry, tests);
