/* SPDX-License-Identifier: Apache-2.0 */
/* http1_request_test.c - requests: those that would be two are refused, whole calls, much in
 * both directions. */
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/drivers/http1_client.h"

/* ---- requests that would be two */

struct bad_request {
	const char *method, *target, *authority, *name, *value;
};

static const struct bad_request bad_requests[] = {
	{"GET /x HTTP/1.1\r\n", "/", NULL, NULL, NULL},
	{"G ET", "/", NULL, NULL, NULL},
	{"", "/", NULL, NULL, NULL},
	{"GET", "", NULL, NULL, NULL},
	{"GET", "x", NULL, NULL, NULL},
	{"GET", "*", NULL, NULL, NULL},
	{"GET", "/ HTTP/1.1\r\nX: y", NULL, NULL, NULL},
	{"GET", "/a b", NULL, NULL, NULL},
	{"GET", "/a\nb", NULL, NULL, NULL},
	{"GET", "/a\x7f", NULL, NULL, NULL},
	{"GET", "/\xc3\xa4", NULL, NULL, NULL},
	{"GET", "/a#b", NULL, NULL, NULL},
	{"GET", "http://a/", NULL, NULL, NULL},
	{"CONNECT", "/", NULL, NULL, NULL},
	{"CONNECT", "host", NULL, NULL, NULL},
	{"GET", "/", "", NULL, NULL},
	{"GET", "/", "a b", NULL, NULL},
	{"GET", "/", "a\r\nX: y", NULL, NULL},
	{"GET", "/", "a,b", NULL, NULL},
	{"GET", "/", "u@a", NULL, NULL},
	{"GET", "/", "a/b", NULL, NULL},
	{"GET", "/", NULL, "", "x"},
	{"GET", "/", NULL, "X Y", "x"},
	{"GET", "/", NULL, "X:", "x"},
	{"GET", "/", NULL, "X\r\nY", "x"},
	{"GET", "/", NULL, "X", "a\r\nY: b"},
	{"GET", "/", NULL, "X", "a\nY: b"},
	{"GET", "/", NULL, "X", "a\rb"},
	{"GET", "/", NULL, "X", " a"},
	{"GET", "/", NULL, "X", "a\t"},
	{"GET", "/", NULL, "X", "\x01"},
	{"GET", "/", NULL, "X", "\x7f"},
	{"GET", "/", NULL, "Host", "a"},
	{"GET", "/", NULL, "Content-Length", "0"},
	{"GET", "/", NULL, "content-LENGTH", "0"},
	{"GET", "/", NULL, "Transfer-Encoding", "chunked"},
	{"GET", "/", NULL, "Connection", "close"},
	{"GET", "/", NULL, "Keep-Alive", "x"},
	{"GET", "/", NULL, "Proxy-Connection", "x"},
	{"GET", "/", NULL, "Upgrade", "h2c"},
	{"GET", "/", NULL, "TE", "trailers"},
	{"GET", "/", NULL, "Trailer", "x"},
	{"GET", "/", NULL, "Expect", "100-continue"},
	{"GET", "/", NULL, "HTTP2-Settings", "x"},
};

static void test_bad_requests(void **state)
{
	struct http1_fixture fixture;

	(void)state;
	http1_prepare(&fixture);
	http1_open(&fixture, http1_mock_sizes, NULL);
	for (size_t i = 0; i < sizeof bad_requests / sizeof *bad_requests; i++) {
		const struct bad_request *bad = &bad_requests[i];
		struct kolk_http_field field = {bad->name, bad->value};
		struct ask ask;

		ask_init(&ask, &fixture.client, bad->method, bad->target);
		ask.request.authority = bad->authority;
		ask.request.fields = &field;
		ask.request.field_count = bad->name != NULL;
		if (ask_run(&ask) != KOLK_E_OPTIONS || kolk__load_acquire(&ask.ends) != 0)
			fail_msg("row %zu was not refused", i);
	}
	assert_int_equal(http_fixture_stats(&fixture.client).created, 0);
	http1_expect_get(&fixture.client, "good");
	http1_close(&fixture);
}

/* Those behind the ones that were checked are checked. */
static void test_checked_fields(void **state)
{
	static const struct kolk_http_field fields[] = { { "x-one", "1" }, { "x-two", "a\nb" } };
	struct http1_fixture fixture;
	struct ask ask;

	(void)state;
	http1_prepare(&fixture);
	http1_open(&fixture, http1_mock_sizes, NULL);
	for (uint32_t checked = 0; checked <= 3; checked++) {
		ask_init(&ask, &fixture.client, "GET", "/small");
		ask.request.fields = fields;
		ask.request.field_count = checked == 2 ? 1 : 2;
		ask.request.fields_checked = checked;
		assert_int_equal(ask_run(&ask), KOLK_E_OPTIONS);
	}
	ask_init(&ask, &fixture.client, "GET", "/small");
	ask.request.fields = fields;
	ask.request.field_count = ask.request.fields_checked = 1;
	assert_int_equal(ask_run(&ask), KOLK_OK);
	http1_close(&fixture);
}

static void test_bad_bodies(void **state)
{
	static const struct kolk_http_field host = {"Host", "a"};
	struct http1_fixture fixture;
	struct ask ask;

	(void)state;
	http1_prepare(&fixture);
	http1_open(&fixture, http1_mock_sizes, NULL);
	ask_init(&ask, &fixture.client, "POST", "/");
	ask.request.body = "x";
	ask.request.body_size = 1;
	ask.request.pull = ask_pull;
	assert_int_equal(ask_run(&ask), KOLK_E_OPTIONS);
	ask_init(&ask, &fixture.client, "POST", "/");
	ask.request.expect_continue = 1;
	assert_int_equal(ask_run(&ask), KOLK_E_OPTIONS);
	ask_init(&ask, &fixture.client, "POST", "/"); /* less than promised */
	ask.request.pull = ask_pull;
	ask.request.pull_size = 1000;
	ask.pull_left = 500;
	assert_int_equal(ask_run(&ask), KOLK_E_OPTIONS);
	ask_init(&ask, &fixture.client, "POST", "/"); /* trailers are checked when they are sent */
	ask.request.pull = ask_pull;
	ask.request.pull_size = KOLK_HTTP_CHUNKED;
	ask.request.trailers = &host;
	ask.request.trailer_count = 1;
	assert_int_equal(ask_run(&ask), KOLK_E_OPTIONS);
	http1_expect_get(&fixture.client, "good");
	http1_close(&fixture);
}

static void test_call(void **state)
{
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	struct kolk_http_response response = KOLK_INIT(kolk_http_response);
	struct kolk_http_options options = KOLK_INIT(kolk_http_options);
	struct http1_fixture fixture;

	(void)state;
	http1_prepare(&fixture);
	http1_open(&fixture, http1_mock_sizes, NULL);
	assert_int_equal(kolk_http_close(fixture.client.http, NULL, NULL), KOLK_OK);
	options.response_bytes_max = 40000;
	assert_int_equal(kolk_http_open(fixture.client.loop, &options, &fixture.client.http), KOLK_OK);
	assert_int_equal(http_fixture_call(&fixture.client, "GET", "/small", &response), KOLK_OK);
	assert_int_equal(response.body_size, 30000);
	kolk_http_response_free(&response);
	assert_int_equal(http_fixture_call(&fixture.client, "GET", "/large", &response), KOLK_E_LIMIT);
	assert_int_equal(response.status, 200);
	kolk_http_response_free(&response);
	kolk_http_response_free(&response);
	request.target = "no";
	assert_int_equal(
		kolk_http_call(fixture.client.http, fixture.client.key, &request, NULL, &response),
		KOLK_E_OPTIONS);
	kolk_http_response_free(&response);
	http1_close(&fixture);
}

/* ---- much in both directions: a client that sends all before it reads waits for ever */

enum { MUCH = 12 << 20 };

/* /echo: what comes goes back at once, and nothing is read while that is stuck. /first: all of the
 * answer before a byte of the request is read. */
static void mock_much(struct kit_mock_conn *conn, void *user)
{
	static char bytes[65536];
	char text[4096];
	size_t left, size;

	(void)user;
	while (http1_head(conn, text, sizeof text)) {
		bool first = strstr(text, " /first ") != NULL;

		snprintf(text, sizeof text, OK11 "Content-Length: %d\r\n\r\n", MUCH);
		if (!kit_mock_say(conn, text))
			return;
		for (left = MUCH; first && left > 0; left -= size) {
			size = left < sizeof bytes ? left : sizeof bytes;
			if (!kit_mock_send(conn, bytes, size))
				return;
		}
		for (left = MUCH; left > 0; left -= size) {
			char received[65536];

			size = left < sizeof received ? left : sizeof received;
			size = kit_mock_read_some(conn, received, size, 20000);
			if (size == 0 || (!first && !kit_mock_send(conn, received, size)))
				return;
		}
	}
}

static enum kolk_err pull_much(void *user, void *buffer, size_t capacity, size_t *size)
{
	size_t *left = user;

	*size = *left < capacity ? *left : capacity;
	memset(buffer, 'm', *size);
	*left -= *size;
	return KOLK_OK;
}

static void much(const struct kit_cert *cert, const char *target, bool pulled)
{
	struct kolk_http_response response = KOLK_INIT(kolk_http_response);
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	char *body = calloc(1, MUCH);
	size_t left = MUCH;
	struct http1_fixture fixture;

	http1_prepare(&fixture);
	fixture.cert = cert;
	fixture.receive_bytes = 4096;
	http1_open(&fixture, mock_much, NULL);
	request.method = "PUT";
	request.target = target;
	request.deadline_ns = kolk_in_ms(60000);
	request.body = pulled ? NULL : body;
	request.body_size = pulled ? 0 : MUCH;
	request.pull = pulled ? pull_much : NULL;
	request.pull_size = pulled ? MUCH : 0;
	assert_int_equal(kolk_http_call(fixture.client.http, fixture.client.key, &request,
					&left, &response),
			 KOLK_OK);
	assert_int_equal(response.body_size, MUCH);
	kolk_http_response_free(&response);
	free(body);
	http1_close(&fixture);
}

static void test_much(void **state)
{
	static const struct kit_cert_spec spec = {.subject = "localhost", .dns = "localhost"};
	struct kit_cert cert;

	(void)state;
	assert_true(kit_cert_make(&spec, NULL, &cert));
	for (int how = 0; how < 8; how++)
		much(how & 1 ? &cert : NULL, how & 2 ? "/echo" : "/first", how & 4);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_bad_requests),
	cmocka_unit_test(test_checked_fields),
	cmocka_unit_test(test_bad_bodies),
	cmocka_unit_test(test_call),
	cmocka_unit_test(test_much),
};
CMOCKA_TESTS(http1_request, tests);
