/* SPDX-License-Identifier: Apache-2.0 */
/* http_status_test.c - errors as a proxy's client is told them: status and phase. */
#include "tests/drivers/http1_client.h"

#include <string.h>

#include "tests/kit/cmocka/run.h"

static bool is_a_phase(const char *phase)
{
	static const char *const phases[] = { "acquire", "dial", "tls", "request", "response" };

	for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++)
		if (strcmp(phase, phases[i]) == 0)
			return true;
	return false;
}

static bool is_a_status(uint32_t status)
{
	return status == 499 || (status >= 500 && status <= 504);
}

static void every_error_has_a_status_and_a_phase(void **state)
{
	(void)state;
	assert_int_equal(kolk_http_status_of(KOLK_OK), 0);
	assert_int_equal(kolk_http_status_of(KOLK_PENDING), 0);
	assert_string_equal(kolk_http_phase_of(KOLK_OK, NULL), "");
#define CHECK_STATUS(name, value, class, text)                                                     \
	if (KOLK_##name < 0) {                                                                     \
		assert_true(is_a_status(kolk_http_status_of(KOLK_##name)));                        \
		assert_true(is_a_phase(kolk_http_phase_of(KOLK_##name, NULL)));                    \
		if (KOLK_CLASS_##class == KOLK_CLASS_PEER || KOLK_CLASS_##class == KOLK_CLASS_TRUST) \
			assert_int_equal(kolk_http_status_of(KOLK_##name), 502);                   \
	}
	KOLK_ERROR_TABLE(CHECK_STATUS)
	assert_int_equal(kolk_http_status_of((enum kolk_err)-999), 500);
	assert_string_equal(kolk_http_phase_of((enum kolk_err)-999, NULL), "request");
}

/* ---- of exchanges that failed */

static void closes_early(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	(void)user;
	if (http1_head(conn, text, sizeof text) && strstr(text, " /half ") != NULL)
		(void)kit_mock_say(conn, OK11 "Content-Length: 10\r\n\r\nhalf");
}

static const char *last_phase;
static uint64_t last_carried_ns;

static void note_phase(void *user, struct kolk_http_exchange *exchange, enum kolk_err err,
		       const struct kolk_http_field *trailers, size_t count)
{
	struct ask *ask = user;

	(void)trailers;
	(void)count;
	last_phase = kolk_http_phase_of(err, exchange);
	last_carried_ns = kolk_http_carried_ns(exchange);
	kolk__add_acq_rel(&ask->ends, 1);
	ask->err = err;
	sem_post(&ask->done);
}

static void expect_phase(struct http_fixture *client, const char *target, enum kolk_err err,
			 const char *phase)
{
	const uint64_t before_ns = kolk_in_ns(0);
	struct ask ask;

	ask_init(&ask, client, "GET", target);
	ask.handler.end = note_phase;
	assert_int_equal(ask_run(&ask), err);
	assert_string_equal(last_phase, phase);
	if (phase[0] == 'r')
		assert_in_range(last_carried_ns, before_ns - KOLK_S_NS, kolk_in_ns(0));
	else
		assert_int_equal(last_carried_ns, 0);
}

static void a_request_and_its_answer_are_two_phases(void **state)
{
	struct http1_fixture fixture;

	(void)state;
	http1_prepare(&fixture);
	http1_open(&fixture, closes_early, NULL);
	expect_phase(&fixture.client, "/none", KOLK_E_CLOSED, "request");
	expect_phase(&fixture.client, "/half", KOLK_E_CLOSED, "response");
	http1_close(&fixture);
}

static void a_dial_that_fails_is_the_phase(void **state)
{
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);
	struct http_fixture client;

	(void)state;
	pool.address = "unix:@kolk-nobody-listens-here";
	pool.idle_min = KOLK_NONE;
	assert_true(http_fixture_open(&client, &pool));
	expect_phase(&client, "/", KOLK_E_CONN_REFUSED, "dial");
	assert_true(http_fixture_close(&client));
}

static void a_wait_that_ends_is_the_acquire(void **state)
{
	struct http1_fixture fixture;

	(void)state;
	http1_prepare(&fixture);
	fixture.pool.waiters_max = KOLK_NONE; /* nor for a dial */
	http1_open(&fixture, closes_early, NULL);
	expect_phase(&fixture.client, "/", KOLK_E_QUEUE_FULL, "acquire");
	http1_close(&fixture);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(every_error_has_a_status_and_a_phase),
	cmocka_unit_test(a_request_and_its_answer_are_two_phases),
	cmocka_unit_test(a_dial_that_fails_is_the_phase),
	cmocka_unit_test(a_wait_that_ends_is_the_acquire),
};

CMOCKA_TESTS(http_status, tests);
