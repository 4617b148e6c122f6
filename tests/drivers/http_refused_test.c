/* SPDX-License-Identifier: Apache-2.0 */
/* http_refused_test.c - a request that breaks a rule: which member it was. */
#include "tests/drivers/http1_client.h"

#include "tests/kit/cmocka/run.h"

static void is_silent(struct kit_mock_conn *conn, void *user)
{
	(void)conn;
	(void)user;
}

static const struct kolk_http_field bad_name = { "Host", "x" }, bad_value = { "x", "a\r\nb" },
				    good = { "x", "y" };

/* clang-format off */
static const struct {
	struct kolk_http_request request;
	const char *field;
	bool no_upgraded;
} cases[] = {
	{ { .method = "GE T" }, "method", false },
	{ { .target = "a" }, "target", false },
	{ { .target = "/ b" }, "target", false },
	{ { .method = "CONNECT", .target = "/" }, "target", false },
	{ { .authority = "a/b" }, "authority", false },
	{ { .authority = "" }, "authority", false },
	{ { .scheme = "ftp" }, "scheme", false },
	{ { .fields = &bad_name, .field_count = 1 }, "fields", false },
	{ { .fields = &bad_value, .field_count = 1 }, "fields", false },
	{ { .field_count = 1 }, "fields", false },
	{ { .body_size = 1 }, "body", false },
	{ { .body = "b", .body_size = 1, .pull = ask_pull }, "pull", false },
	{ { .pull_size = 1 }, "pull_size", false },
	{ { .method = "TRACE", .body = "b", .body_size = 1 }, "body_size", false },
	{ { .method = "TRACE", .pull = ask_pull, .pull_size = 1 }, "pull", false },
	{ { .trailers = &good, .trailer_count = 1 }, "trailer_count", false },
	{ { .expect_continue = 1 }, "expect_continue", false },
	{ { .upgrade = "a b" }, "upgrade", false },
	{ { .upgrade = "websocket" }, "upgraded", true },
	{ { .method = "CONNECT", .target = "a:1" }, "upgraded", true },
	{ { .trailers_accepted = 2 }, "trailers_accepted", false },
	{ { .cancel_closes = 2 }, "cancel_closes", false },
};
/* clang-format on */

static void each_member_is_named(void **state)
{
	struct http1_fixture fixture;
	struct ask ask;

	(void)state;
	http1_prepare(&fixture);
	http1_open(&fixture, is_silent, NULL);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct kolk_failure failure = KOLK_INIT(kolk_failure);

		ask_init(&ask, &fixture.client, NULL, NULL);
		ask.request = cases[i].request;
		ask.request.size = sizeof ask.request;
		ask.request.failure = &failure;
		if (cases[i].no_upgraded)
			ask.handler.upgraded = NULL;
		assert_int_equal(ask_run(&ask), KOLK_E_OPTIONS);
		assert_int_equal(failure.err, KOLK_E_OPTIONS);
		assert_int_equal(failure.phase, KOLK_PHASE_OPTIONS);
		assert_string_equal(failure.field, cases[i].field);
	}
	http1_close(&fixture);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(each_member_is_named),
};

CMOCKA_TESTS(http_refused, tests);
