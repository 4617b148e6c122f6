/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http1_answer_test.c - whose answer a byte is: answers that leave a connection in doubt, bytes
 * that no request asked for, answers that are cut.
 */
#include "tests/kit/cmocka/run.h"

#include <string.h>

#include "tests/drivers/http1_corpus.h"
#include "tests/drivers/http1_client.h"
#include "tests/kit/tap.h"

/* ---- the corpus over the wire: none leaves a connection in doubt */

static void mock_row(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	while (http1_head(conn, text, sizeof text)) {
		const struct http1_case *row =
			&http1_cases[kolk__load_acquire((kolk__atomic_u32 *)user)];
		bool bad = strstr(text, " /bad ") != NULL || strstr(text, "bad:1") != NULL;

		if (!bad && !kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\ngood"))
			return;
		if (bad && !kit_mock_send(conn, row->bytes, row->size))
			return;
		if (bad && (row->verdict == UNTIL || row->verdict == CUT))
			return;
	}
}

static void ask_row(struct http1_fixture *fixture, const struct http1_case *row)
{
	static const char *const methods[] = {"GET", "HEAD", "CONNECT", "GET"};
	struct ask ask;
	enum kolk_err err;

	ask_init(&ask, &fixture->client, methods[row->request],
		 row->request == CONNECT ? "bad:1" : "/bad");
	ask.request.upgrade = row->request == UPGRADE ? "websocket" : NULL;
	ask.request.deadline_ns = kolk_in_ms(20000);
	err = ask_run(&ask);
	if ((err == KOLK_OK) != (row->verdict != REFUSE && row->verdict != CUT))
		fail_msg("%s: %s", row->name, kolk_err_name(err));
	if (err == KOLK_OK && row->verdict != SWITCH && row->body != NULL &&
	    (ask.body_size != strlen(row->body) ||
	     memcmp(ask.body, row->body, ask.body_size) != 0))
		fail_msg("%s: body \"%.*s\"", row->name, (int)ask.body_size, ask.body);
	if (row->verdict == SWITCH) {
		assert_int_equal(kolk_release(&ask.lease), KOLK_OK);
	}
	http1_expect_get(&fixture->client, "good");
}

static void test_corpus(void **state)
{
	struct http1_fixture fixture;
	uint64_t kept = 0, refused = 0;
	kolk__atomic_u32 index = { 0 };

	(void)state;
	http1_prepare(&fixture);
	fixture.driver.head_bytes_max = 512;
	fixture.driver.fields_max = 8;
	fixture.driver.informational_max = 4;
	http1_open(&fixture, mock_row, &index);
	for (uint32_t i = 0; i < http1_case_count; i++) {
		const struct http1_case *row = &http1_cases[i];
		uint64_t before = http_fixture_stats(&fixture.client).created;
		bool fresh;

		kolk__store_release(&index, i);
		ask_row(&fixture, row);
		fresh = http_fixture_stats(&fixture.client).created > before;
		if (row->verdict != KEEP && !fresh && i > 0)
			fail_msg("%s: the connection was kept", row->name);
		kept += !fresh;
		refused += row->verdict == REFUSE;
	}
	assert_true(kept > 40); /* and what is beyond doubt is kept */
	assert_int_equal(http_fixture_stats(&fixture.client).destroyed[KOLK_REASON_PROTOCOL], refused);
	assert_true(http_fixture_stats(&fixture.client).destroyed[KOLK_REASON_PEER_CLOSED] > 0);
	http1_close(&fixture);
}

/* ---- unsolicited bytes */

static void mock_idle_junk(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	(void)user;
	if (!http1_head(conn, text, sizeof text))
		return;
	kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\ngood");
	kit_mock_wait(conn, 2000);
	kit_mock_say(conn, OK11 "Content-Length: 6\r\n\r\npoison");
	kit_mock_drain(conn, 20000);
}

static void test_idle_junk(void **state)
{
	struct http1_fixture fixture;

	(void)state;
	http1_prepare(&fixture);
	http1_open(&fixture, mock_idle_junk, NULL);
	for (uint64_t i = 1; i <= 50; i++) {
		bool killed;

		http1_expect_get(&fixture.client, "good");
		killed = WITHIN_MS(5000,
				   http_fixture_stats(&fixture.client).destroyed[KOLK_REASON_PEER_DATA] +
						   http_fixture_stats(&fixture.client).mends_failed >=
					   i);
		assert_true(killed);
	}
	assert_int_equal(http_fixture_stats(&fixture.client).created, 50);
	http1_close(&fixture);
}

static void mock_cut(struct kit_mock_conn *conn, void *user)
{
	char text[4096];

	(void)user;
	while (http1_head(conn, text, sizeof text)) {
		if (strstr(text, " / ") != NULL) {
			kit_mock_say(conn, OK11 "Content-Length: 4\r\n\r\ngood");
			continue;
		}
		kit_mock_say(conn, strstr(text, "length") != NULL ? OK11
					   "Content-Length: 9\r\n\r\nhalf"
								  : OK11 "\r\nhalf");
		kit_mock_wait(conn, 2000);
		if (strstr(text, "reset") != NULL)
			kit_mock_reset(conn);
		else if (strstr(text, "cut") != NULL)
			kit_mock_cut(conn);
		return;
	}
}

static void expect_end(struct http1_fixture *fixture, const char *target, enum kolk_err err)
{
	struct ask ask;

	http1_expect_get(&fixture->client, "good"); /* so that the connection is a used one */
	ask_init(&ask, &fixture->client, "GET", target);
	ask.request.replayable = 1;
	assert_int_equal(ask_run(&ask), err);
	assert_false(ask.retried); /* part of an answer has come */
	assert_int_equal(ask.body_size, 4);
}

static void test_cut_answers(void **state)
{
	static const struct kit_cert_spec spec = {.subject = "localhost", .dns = "localhost"};
	struct kit_cert cert;
	struct http1_fixture fixture;

	(void)state;
	assert_true(kit_cert_make(&spec, NULL, &cert));
	for (int tls = 0; tls < 2; tls++) {
		http1_prepare(&fixture);
		fixture.cert = tls ? &cert : NULL;
		http1_open(&fixture, mock_cut, NULL);
		expect_end(&fixture, "/length", KOLK_E_CLOSED);
		expect_end(&fixture, "/length-reset", KOLK_E_RESET);
		expect_end(&fixture, "/length-cut", tls ? KOLK_E_TLS_TRUNCATED : KOLK_E_CLOSED);
		expect_end(&fixture, "/until-close", KOLK_OK);
		expect_end(&fixture, "/until-close-cut", tls ? KOLK_E_TLS_TRUNCATED : KOLK_OK);
		expect_end(&fixture, "/until-close-reset", KOLK_E_RESET);
		http1_close(&fixture);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_corpus),
	cmocka_unit_test(test_idle_junk),
	cmocka_unit_test(test_cut_answers),
};
CMOCKA_TESTS(http1_answer, tests);
