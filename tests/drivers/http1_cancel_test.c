/* SPDX-License-Identifier: Apache-2.0 */
/* http1_cancel_test.c - exchanges that end before their answer, or stand still: time-outs, cancels,
 * pauses, a client that closes. Each ends once. */
#include "tests/kit/cmocka/run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/drivers/http1_client.h"
#include "tests/kit/control.h"
#include "tests/kit/tap.h"

/* ---- time */

static void mock_trickle(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	(void)user;
	while (http1_head(conn, text, sizeof text)) {
		if (strstr(text, " /silent ") != NULL) {
			kit_mock_drain(conn, 20000);
			return;
		}
		kit_mock_say(conn, OK11 "Content-Length: 40\r\n\r\n");
		for (int i = 0; i < 40; i++) {
			if (!kit_mock_wait(conn, 30000) || !kit_mock_say(conn, "x"))
				return;
		}
	}
}

static enum kolk_err ask_timed(struct http1_fixture *fixture, const char *target,
			       uint64_t deadline_ms, uint64_t idle_ms, uint64_t *took_ms)
{
	uint64_t began = tap_now_ms();
	struct kit_control control;
	struct ask ask;
	enum kolk_err err;

	ask_init(&ask, &fixture->client, "GET", target);
	ask.request.deadline_ns = kolk_in_ms(deadline_ms);
	ask.request.idle_timeout_ns = idle_ms * KOLK_MS_NS;
	kit_control_begin(&control);
	err = ask_run(&ask);
	assert_true(kit_control_end(&control) < (err == KOLK_OK ? 3000 : 400));
	*took_ms = tap_now_ms() - began;
	return err;
}

static void test_time(void **state)
{
	struct http1_fixture fixture;
	uint64_t took;

	(void)state;
	http1_prepare(&fixture);
	http1_open(&fixture, mock_trickle, NULL);
	assert_int_equal(ask_timed(&fixture, "/silent", 100, 0, &took), KOLK_E_TIMEOUT);
	assert_true(took >= 100);
	assert_int_equal(ask_timed(&fixture, "/silent", 10000, 100, &took), KOLK_E_TIMEOUT);
	assert_true(took >= 100);
	assert_int_equal(ask_timed(&fixture, "/", 10000, 1000, &took),
			 KOLK_OK); /* never idle so long */
	assert_true(took > 1000);
	assert_int_equal(ask_timed(&fixture, "/", 100, 150, &took), KOLK_E_TIMEOUT);
	assert_int_equal(ask_timed(&fixture, "/", 10000, 1000, &took), KOLK_OK);
	http1_close(&fixture);
}

static void test_drain(void **state)
{
	struct http1_fixture fixture;
	struct ask ask;

	(void)state;
	http1_prepare(&fixture);
	http1_open(&fixture, http1_mock_sizes, NULL);
	for (int i = 0; i < 5; i++) {
		ask_init(&ask, &fixture.client, "GET", "/small");
		ask.act = i % 2 == 0 ? CANCEL_IN_HEAD : CANCEL_IN_BODY;
		assert_int_equal(ask_run(&ask), KOLK_E_CANCELLED);
		assert_int_equal(kolk__load_acquire(&ask.heads), 1);
		assert_true(WITHIN_MS(5000, http_fixture_stats(&fixture.client).idle == 1));
		http1_expect_get(&fixture.client, "good");
	}
	assert_int_equal(http_fixture_stats(&fixture.client).created, 1); /* read away */
	ask_init(&ask, &fixture.client, "GET", "/large");
	ask.act = CANCEL_IN_HEAD;
	assert_int_equal(ask_run(&ask), KOLK_E_CANCELLED);
	http1_expect_get(&fixture.client, "good");
	assert_int_equal(http_fixture_stats(&fixture.client).created, 2); /* too much for that */
	http1_close(&fixture);
}

/* When a client cancelled, and when its server knew; the second by the clock of control.h, too. */
struct gone {
	struct kit_control control;
	kolk__atomic_u64 at_ms, control_ms;
};

/* A stream of events that has begun; says when its client went. */
static void mock_events(struct kit_mock_conn *conn, void *user)
{
	struct gone *gone = user;
	char text[4096];

	if (!http1_head(conn, text, sizeof text))
		return;
	kit_mock_say(conn, OK11 "Transfer-Encoding: chunked\r\n\r\n4\r\n: a\n\r\n");
	kit_mock_drain(conn, 20000);
	kolk__store_relaxed(&gone->control_ms, kit_control_ms(&gone->control));
	kolk__store_release(&gone->at_ms, tap_now_ms());
}

/* How long the server did not know: at least, on a busy machine; and at most. */
static void cancel_events(uint32_t closes, uint64_t least_ms, uint64_t most_ms)
{
	struct gone gone = { .at_ms = {0} };
	struct http1_fixture fixture;
	uint64_t began_ms, control_ms;
	struct ask ask;

	kit_control_begin(&gone.control);
	http1_prepare(&fixture);
	http1_open(&fixture, mock_events, &gone);
	ask_init(&ask, &fixture.client, "GET", "/");
	ask.request.cancel_closes = closes;
	ask_start(&ask);
	assert_true(WITHIN_MS(5000, kolk__load_acquire(&ask.bodies) == 1));
	began_ms = tap_now_ms();
	control_ms = kit_control_ms(&gone.control);
	ask_on_loop(&ask, ask_cancel);
	assert_int_equal(ask_wait(&ask), KOLK_E_CANCELLED);
	assert_true(WITHIN_MS(5000, kolk__load_acquire(&gone.at_ms) != 0));
	http1_close(&fixture);
	(void)kit_control_end(&gone.control);
	assert_true(kolk__load_acquire(&gone.at_ms) - began_ms >= least_ms);
	assert_true(kolk__load_relaxed(&gone.control_ms) - control_ms <= most_ms);
}

static void test_cancel_closes(void **state)
{
	(void)state;
	cancel_events(0, 900, 5000); /* mend_timeout_ns */
	cancel_events(1, 0, 500);
}

/* ---- back-pressure */

static void test_pause(void **state)
{
	struct http1_fixture fixture;
	struct ask ask;
	uint64_t sent;
	bool shown;

	(void)state;
	http1_prepare(&fixture);
	http1_open(&fixture, http1_mock_sizes, NULL);
	http1_expect_get(&fixture.client, "good"); /* the server has its bytes ready then */
	ask_init(&ask, &fixture.client, "GET", "/huge");
	ask.act = PAUSE_IN_HEAD;
	ask.request.idle_timeout_ns = 2 * KOLK_S_NS; /* a pause is not idleness */
	ask_start(&ask);
	shown = WITHIN_MS(10000, kolk__load_acquire(&ask.heads) == 1);
	assert_true(shown);
	usleep(2200000);
	assert_int_equal(kolk__load_acquire(&ask.bodies), 0);
	assert_int_equal(kolk__load_acquire(&ask.ends), 0);
	sent = kit_mock_counts(fixture.mock).bytes_out;
	ask_on_loop(&ask, ask_resume);
	assert_int_equal(ask_wait(&ask), KOLK_OK);
	assert_int_equal(ask.body_size, 48 << 20);
	assert_true(sent < 32 << 20); /* what socket buffers hold */
	http1_expect_get(&fixture.client, "good");
	assert_int_equal(http_fixture_stats(&fixture.client).created, 1);

	ask_init(&ask, &fixture.client, "GET", "/small"); /* cancelled in a pause */
	ask.act = PAUSE_IN_HEAD;
	ask_start(&ask);
	assert_true(WITHIN_MS(5000, kolk__load_acquire(&ask.heads) == 1));
	ask_on_loop(&ask, ask_cancel);
	assert_int_equal(ask_wait(&ask), KOLK_E_CANCELLED);
	assert_int_equal(kolk__load_acquire(&ask.bodies), 0);
	http1_expect_get(&fixture.client, "good");
	http1_close(&fixture);
}

/* ---- connections that end at the wrong moment */

static void mock_window(struct kit_mock_conn *conn, void *user)
{
	kolk__atomic_bool *asked = user;
	char text[4096];

	while (http1_head(conn, text, sizeof text)) {
		if (strncmp(text, "POST", 4) == 0) {
			kolk__store_release(asked, true);
			kit_mock_wait(conn, 5000000); /* reads no more: the window fills */
			return;
		}
		kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\ngood");
	}
}

static void test_cancel_while_sending(void **state)
{
	char *body = calloc(1, 8 << 20);
	kolk__atomic_bool asked = {0};
	struct http1_fixture fixture;
	struct ask ask;

	(void)state;
	http1_prepare(&fixture);
	fixture.receive_bytes = 4096;
	http1_open(&fixture, mock_window, &asked);
	http1_expect_get(&fixture.client, "good");
	ask_init(&ask, &fixture.client, "POST", "/");
	ask.request.body = body;
	ask.request.body_size = 8 << 20;
	ask_start(&ask);
	assert_true(WITHIN_MS(5000, kolk__load_acquire(&asked)));
	ask_on_loop(&ask, ask_cancel);
	assert_int_equal(ask_wait(&ask), KOLK_E_CANCELLED);
	http1_expect_get(&fixture.client, "good");
	assert_int_equal(http_fixture_stats(&fixture.client).created, 2);
	http1_close(&fixture);
	free(body);
}

/* ---- ends */

static void mock_silent(struct kit_mock_conn *conn, void *user)
{
	(void)user;
	kit_mock_drain(conn, 20000);
}

static void test_close(void **state)
{
	struct http1_fixture fixture;
	struct ask ask[20];

	(void)state;
	http1_prepare(&fixture); /* 4 connections: the others wait */
	http1_open(&fixture, mock_silent, NULL);
	for (int i = 0; i < 20; i++) {
		ask_init(&ask[i], &fixture.client, "GET", "/");
		ask_start(&ask[i]);
	}
	assert_true(WITHIN_MS(5000, http_fixture_stats(&fixture.client).leased == 4 &&
					    http_fixture_stats(&fixture.client).waiting == 16));
	assert_int_equal(kolk_http_close(fixture.client.http, NULL, NULL), KOLK_OK);
	fixture.client.http = NULL;
	for (int i = 0; i < 20; i++)
		assert_int_equal(ask_wait(&ask[i]), KOLK_E_CANCELLED);
	http1_close(&fixture);
}

static void test_refused_dial(void **state)
{
	struct http1_fixture fixture;
	struct ask ask;

	(void)state;
	http1_prepare(&fixture);
	http1_open(&fixture, mock_silent, NULL);
	kit_mock_close(fixture.mock);
	fixture.mock = NULL;
	ask_init(&ask, &fixture.client, "GET", "/");
	ask.request.replayable = 1;
	assert_int_equal(ask_run(&ask), KOLK_E_CONN_REFUSED);
	http1_close(&fixture);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_time),
	cmocka_unit_test(test_drain),
	cmocka_unit_test(test_cancel_closes),
	cmocka_unit_test(test_pause),
	cmocka_unit_test(test_cancel_while_sending),
	cmocka_unit_test(test_close),
	cmocka_unit_test(test_refused_dial),
};
CMOCKA_TESTS(http1_cancel, tests);
