/* SPDX-License-Identifier: Apache-2.0 */
/* http1_early_test.c - what a server says before a request is sent whole: Expect: 100-continue, and
 * answers that come early. */
#include "tests/kit/cmocka/run.h"

#include <string.h>
#include <unistd.h>

#include "tests/drivers/http1_client.h"

static void pause_now(struct kolk_call *post, void *user)
{
	(void)post;
	kolk_http_pause(((struct ask *)user)->exchange);
}

/* ---- Expect: 100-continue */

struct expect_mock {
	const char *answer; /* instead of 100; NULL = 100 comes */
	uint32_t silence_us;
	kolk__atomic_u32 bodies;
};

static void mock_expect(struct kit_mock_conn *conn, void *user)
{
	struct expect_mock *expect = user;
	char text[4096];

	while (http1_head(conn, text, sizeof text)) {
		if (strstr(text, "expect: 100-continue") == NULL) {
			kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\ngood");
			continue;
		}
		if (expect->answer != NULL) {
			kit_mock_say(conn, expect->answer);
			if (kit_mock_read(conn, NULL, 1, 300))
				kolk__add_acq_rel(&expect->bodies, 1);
			continue;
		}
		if (expect->silence_us == 0)
			kit_mock_say(conn, "HTTP/1.1 100 Continue\r\n\r\n");
		if (!kit_mock_read(conn, NULL, 1000, 5000))
			return;
		kolk__add_acq_rel(&expect->bodies, 1);
		kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\nsent");
	}
}

static void run_expect(struct expect_mock *expect, uint32_t status, const char *body,
		       uint64_t created)
{
	struct http1_fixture fixture;
	struct ask ask;

	http1_prepare(&fixture);
	fixture.driver.continue_timeout_ns = (expect->silence_us != 0 ? 50 : 5000) * KOLK_MS_NS;
	http1_open(&fixture, mock_expect, expect);
	ask_init(&ask, &fixture.client, "POST", "/");
	ask.request.pull = ask_pull;
	ask.request.pull_size = ask.pull_left = 1000;
	ask.request.expect_continue = 1;
	assert_int_equal(ask_run(&ask), KOLK_OK);
	assert_int_equal(ask.status, status);
	assert_memory_equal(ask.body, body, strlen(body));
	http1_expect_get(&fixture.client, "good");
	assert_int_equal(http_fixture_stats(&fixture.client).created, created);
	http1_close(&fixture);
}

static void test_expect(void **state)
{
	struct expect_mock refused = {.answer =
					      "HTTP/1.1 417 No\r\nContent-Length: 2\r\n\r\nno"};
	struct expect_mock early = {.answer = OK11 "Content-Length: 2\r\n\r\nok"};
	struct expect_mock invited = {0}, silent = {.silence_us = 1};

	(void)state;
	run_expect(&invited, 200, "sent", 1);
	run_expect(&silent, 200, "sent", 1);
	run_expect(&refused, 417, "no", 2); /* CVE-2024-24791: nothing of it is used again */
	run_expect(&early, 200, "ok", 2);
	assert_int_equal(
		kolk__load_acquire(&invited.bodies) + kolk__load_acquire(&silent.bodies), 2);
	assert_int_equal(
		kolk__load_acquire(&refused.bodies) + kolk__load_acquire(&early.bodies), 0);
}

/* The 100 arrives while the caller pauses: the body is sent when the caller resumes. */
static void mock_late_continue(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	(void)user;
	if (!http1_head(conn, text, sizeof text))
		return;
	usleep(100000);
	kit_mock_say(conn, "HTTP/1.1 100 Continue\r\n\r\n");
	if (kit_mock_read(conn, NULL, 1000, 20000))
		kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\nsent");
}

static void test_expect_paused(void **state)
{
	struct http1_fixture fixture;
	struct ask ask;

	(void)state;
	http1_prepare(&fixture);
	fixture.driver.continue_timeout_ns = 3600 * KOLK_S_NS;
	http1_open(&fixture, mock_late_continue, NULL);
	ask_init(&ask, &fixture.client, "POST", "/");
	ask.request.pull = ask_pull;
	ask.request.pull_size = ask.pull_left = 1000;
	ask.request.expect_continue = 1;
	ask_start(&ask);
	ask_on_loop(&ask, pause_now);
	usleep(300000);
	assert_int_equal(kolk_loop_call(fixture.client.loop, &ask.last, ask_resume, &ask), KOLK_OK);
	assert_int_equal(ask_wait(&ask), KOLK_OK);
	assert_int_equal(ask.status, 200);
	http1_close(&fixture);
}

/* ---- an answer before the request is sent */

static void mock_early(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	(void)user;
	while (http1_head(conn, text, sizeof text)) {
		if (strstr(text, "POST") == NULL) {
			kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\ngood");
			continue;
		}
		kit_mock_say(conn, "HTTP/1.1 413 Too much\r\nContent-Length: 2\r\n\r\nno");
		kit_mock_wait(conn, 300000); /* reads nothing of the body */
		return;
	}
}

static void test_early_answer(void **state)
{
	struct http1_fixture fixture;
	struct ask ask;

	(void)state;
	http1_prepare(&fixture);
	http1_open(&fixture, mock_early, NULL);
	for (int chunked = 0; chunked < 2; chunked++) {
		ask_init(&ask, &fixture.client, "POST", "/");
		ask.request.pull = ask_pull;
		ask.pull_left = 100 << 20;
		ask.request.pull_size = chunked ? KOLK_HTTP_CHUNKED : ask.pull_left;
		assert_int_equal(ask_run(&ask), KOLK_OK);
		assert_int_equal(ask.status, 413);
		assert_true(ask.pull_left > 0);
		http1_expect_get(&fixture.client, "good");
	}
	assert_int_equal(http_fixture_stats(&fixture.client).created, 3);
	http1_close(&fixture);
}

/* The same from a server that closes at once, with the body unread: TCP resets, and bytes sent
 * before are received all the same. */
static void mock_early_end(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	(void)user;
	if (!http1_head(conn, text, sizeof text))
		return;
	kit_mock_say(conn, "HTTP/1.1 413 Too much\r\nContent-Length: 2\r\n\r\nno");
}

static void test_early_end(void **state)
{
	struct http1_fixture fixture;
	struct ask ask;

	(void)state;
	http1_prepare(&fixture);
	http1_open(&fixture, mock_early_end, NULL);
	for (int i = 0; i < 100; i++) {
		ask_init(&ask, &fixture.client, "POST", "/");
		ask.request.pull = ask_pull;
		ask.pull_left = 100 << 20;
		ask.request.pull_size = ask.pull_left;
		assert_int_equal(ask_run(&ask), KOLK_OK);
		assert_int_equal(ask.status, 413);
	}
	http1_close(&fixture);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_expect),
	cmocka_unit_test(test_early_answer),
	cmocka_unit_test(test_expect_paused),
	cmocka_unit_test(test_early_end),
};
CMOCKA_TESTS(http1_early, tests);
