/* SPDX-License-Identifier: Apache-2.0 */
/* http_server_h2_test.c - the HTTP/2 side of the HTTP server, without I/O: requests, answers, heads
 * that are refused. */
#include "tests/kit/cmocka/run.h"

#include <string.h>

#include "tests/drivers/server_h2.h"

/* ---- requests and answers */

static void test_get(void **state)
{
	struct fixture *fixture = *state;

	(void)ask(fixture, "GET", "/a?b");
	talk(fixture);
	assert_int_equal(fixture->seen[0].status, 200);
	assert_memory_equal(fixture->seen[0].body, "hello", 6);
	assert_int_equal(fixture->seen[0].error, NGHTTP2_NO_ERROR);
	expect_log(&fixture->wire, "request GET /a?b|end|done OK|");
	for (int i = 0; i < 100; i++)
		(void)ask(fixture, "GET", "/");
	talk(fixture);
	for (int i = 1; i <= 100; i++)
		assert_int_equal(fixture->seen[i].size, 5);
	assert_false(fixture->wire.closed || fixture->wire.reset);
}

static void expect_cookie(struct server_wire *wire)
{
	const struct kolk_http_request_head *head = &wire->exchange->parser.head;

	assert_int_equal(head->field_count, 3);
	assert_string_equal(kolk_http_field(head->fields, 3, "cookie"), "a=1; b=2; c=3");
	assert_string_equal(head->fields[2].value, "z");
	server_wire_answer(wire, "hello");
}

static void test_cookies(void **state)
{
	static const struct pair fields[] = {
		{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"},
		{"x", "y"}, {"cookie", "a=1"}, {"cookie", "b=2"}, {"y", "z"}, {"cookie", "c=3"}
	};
	struct fixture *fixture = *state;

	fixture->wire.on_request = expect_cookie;
	(void)request(fixture, fields, 9);
	talk(fixture);
	assert_int_equal(fixture->seen[0].status, 200);
}

/* The preface in pieces. */
static void test_preface_cut(void **state)
{
	struct fixture *fixture = *state;

	for (size_t cut = 1; cut < 60; cut++) {
		const uint8_t *data;
		ssize_t size;

		again(fixture);
		(void)ask(fixture, "GET", "/");
		size = nghttp2_session_mem_send(fixture->client, &data);
		while (size > 0) {
			size_t first = (size_t)size < cut ? (size_t)size : cut;

			server_wire_feed(&fixture->wire, data, first);
			if ((size_t)size > first)
				server_wire_feed(&fixture->wire, data + first, (size_t)size - first);
			size = nghttp2_session_mem_send(fixture->client, &data);
		}
		talk(fixture);
		assert_int_equal(fixture->seen[0].status, 200);
	}
}

static void test_head_and_empty(void **state)
{
	struct fixture *fixture = *state;

	(void)ask(fixture, "HEAD", "/");
	talk(fixture);
	assert_int_equal(fixture->seen[0].status, 200);
	assert_int_equal(fixture->seen[0].size, 0);
	assert_int_equal(fixture->seen[0].closed, 1);
}

static void test_pulled(void **state)
{
	struct fixture *fixture = *state;
	struct server_wire *wire = &fixture->wire;

	wire->on_request = server_wire_answer_pulled;
	(void)ask(fixture, "GET", "/");
	talk(fixture);
	assert_int_equal(fixture->seen[0].heads, 1);
	wire->pulled = "abc";
	wire->pulled_size = 3;
	talk(fixture);
	assert_int_equal(fixture->seen[0].size, 0); /* not before more */
	kolk_http_server_more(wire->exchange);
	talk(fixture);
	assert_memory_equal(fixture->seen[0].body, "abc", 4);
	wire->pull_ends = true;
	kolk_http_server_more(wire->exchange);
	talk(fixture);
	assert_string_equal(fixture->seen[0].trailer, "1");
	assert_int_equal(fixture->seen[0].closed, 1);
	expect_log(&fixture->wire, "request GET /|end|done OK|");
}

static void test_pull_fails(void **state)
{
	struct fixture *fixture = *state;

	fixture->wire.on_request = server_wire_answer_pulled;
	fixture->wire.pull_err = KOLK_E_RESET;
	(void)ask(fixture, "GET", "/");
	talk(fixture);
	assert_int_equal(fixture->seen[0].error, NGHTTP2_INTERNAL_ERROR);
	expect_log(&fixture->wire, "request GET /|end|done E_RESET|");
	fixture->wire.on_request = answer_hello; /* the connection goes on */
	(void)ask(fixture, "GET", "/");
	talk(fixture);
	assert_int_equal(fixture->seen[1].size, 5);
}

static void inform_first(struct server_wire *wire)
{
	static const struct kolk_http_field link[] = {{"Link", "</a>; rel=preload"}};

	assert_int_equal(kolk_http_server_inform(wire->exchange, 103, link, 1), KOLK_OK);
	server_wire_answer(wire, "hello");
}

static void test_inform(void **state)
{
	struct fixture *fixture = *state;

	fixture->wire.on_request = inform_first;
	(void)ask(fixture, "GET", "/");
	talk(fixture);
	assert_int_equal(fixture->seen[0].informational, 103);
	assert_int_equal(fixture->seen[0].status, 200);
}

/* Over TLS it is ALPN that says so. And nothing but the preface is the preface. */
static void test_preface_else(void **state)
{
	struct fixture *fixture = *state;

	server_wire_say(&fixture->wire, "PRI # HTTP/2.0\r\n\r\n");
	assert_null(fixture->wire.conn.h2);
	server_wire_again(&fixture->wire);
	fixture->wire.conn.tls = true;
	server_wire_say(&fixture->wire, "PRI * HTTP/2.0\r\n\r\n");
	assert_null(fixture->wire.conn.h2);
	assert_int_equal(fixture->wire.refused, 505);
}

/* ---- heads that are refused */

static void expect_refused(struct fixture *fixture, const struct pair *fields, size_t count,
			   uint32_t status)
{
	again(fixture);
	(void)request(fixture, fields, count);
	talk(fixture);
	if (fixture->seen[0].error == NGHTTP2_PROTOCOL_ERROR) /* nghttp2 refused it before us */
		fixture->seen[0].status = fixture->wire.refused = status;
	if (fixture->seen[0].status != status || fixture->wire.refused != status)
		fail_msg("%s: %s: %u", fields[count - 1].name, fields[count - 1].value,
			 fixture->seen[0].status);
	expect_log(&fixture->wire, "");
	fixture->wire.on_request = answer_hello;
	(void)ask(fixture, "GET", "/"); /* the connection goes on */
	talk(fixture);
	assert_int_equal(fixture->seen[1].size, 5);
}

#define METHOD(method) {":method", method}, {":scheme", "http"}

static void test_refused_heads(void **state)
{
	static const struct {
		struct pair fields[6];
		size_t count;
		uint32_t status;
	} rows[] = {
		{{METHOD("GET"), {":authority", "a/b"}, {":path", "/"}}, 4, 400},
		{{METHOD("GET"), {":authority", "u@a"}, {":path", "/"}}, 4, 400},
		{{METHOD("GET"), {":authority", "a,b"}, {":path", "/"}}, 4, 400},
		{{METHOD("GET"), {":authority", "a"}, {":path", "/"}, {"host", "b"}}, 5, 400},
		{{METHOD("GET"), {":path", "/"}, {"host", "a b"}}, 4, 400},
		{{METHOD("GET"), {":authority", "a"}, {":path", "/a#b"}}, 4, 400},
		{{METHOD("OPTIONS"), {":authority", "a"}, {":path", "*"}, {"expect", "x"}}, 5, 417},
		{{{":method", "GET"}, {":scheme", "ftp"}, {":authority", "a"}, {":path", "/"}}, 4, 400},
		{{{":method", "CONNECT"}, {":authority", "a:1"}}, 2, 501},
		{{METHOD("POST"), {":authority", "a"}, {":path", "/"}, {"expect", "200-ok"}}, 5, 417},
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		expect_refused(fixture, rows[i].fields, rows[i].count, rows[i].status);
}

/* What nghttp2 refuses for us: the callee does not see it. */
static void test_malformed_heads(void **state)
{
	static const struct pair rows[][5] = {
		{METHOD("GET"), {":authority", "a"}, {":path", "/"}, {"x", "a\r\nb: c"}},
		{METHOD("GET"), {":authority", "a"}, {":path", "/"}, {"x", "a\nb"}},
		{METHOD("GET"), {":authority", "a"}, {":path", "/a\r\n"}, {"x", "y"}},
		{METHOD("GET"), {":authority", "a"}, {":path", "/"}, {"x y", "z"}},
		{METHOD("GET"), {":authority", "a"}, {":path", "/"}, {"connection", "close"}},
		{METHOD("GET"), {":authority", "a"}, {":path", "/"}, {"transfer-encoding", "chunked"}},
		{METHOD("GET"), {":authority", "a"}, {":path", "/"}, {"te", "gzip"}},
		{METHOD("GET"), {":authority", "a"}, {":path", "/"}, {":path", "/b"}},
		{METHOD("GET"), {":authority", "a"}, {":path", "/"}, {":status", "200"}},
		{METHOD("GET"), {":authority", "a"}, {":path", "/"}, {"content-length", "-1"}},
		{METHOD("GET"), {":authority", "a"}, {":path", ""}, {"x", "y"}},
		{METHOD("GET"), {":authority", "a"}, {":path", "a"}, {"x", "y"}},
		{METHOD("G T"), {":authority", "a"}, {":path", "/"}, {"x", "y"}},
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		again(fixture);
		(void)request(fixture, rows[i], 5);
		talk(fixture);
		if (fixture->wire.log[0] != '\0' ||
		    (fixture->seen[0].status != 0 && fixture->seen[0].status < 400))
			fail_msg("row %zu: %s %u", i, fixture->wire.log, fixture->seen[0].status);
	}
}

static void test_large_head(void **state)
{
	struct fixture *fixture = *state;
	char value[3000];
	struct pair fields[16] = {METHOD("GET"), {":authority", "a"}, {":path", "/"}};

	memset(value, 'x', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	for (size_t i = 4; i < 16; i++)
		fields[i] = (struct pair){"x", value};
	expect_refused(fixture, fields, 16, 431);
	fixture->wire.options.fields_max = 8;
	value[10] = '\0';
	expect_refused(fixture, fields, 16, 431);
	fixture->wire.options.target_bytes_max = 64;
	memset(value, '/', 100);
	value[100] = '\0';
	fields[3].value = value;
	expect_refused(fixture, fields, 4, 414);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)

static const struct CMUnitTest tests[] = {
	TEST(test_get),
	TEST(test_cookies),
	TEST(test_preface_cut),
	TEST(test_head_and_empty),
	TEST(test_pulled),
	TEST(test_pull_fails),
	TEST(test_inform),
	TEST(test_refused_heads),
	TEST(test_malformed_heads),
	TEST(test_large_head),
	TEST(test_preface_else),
};
CMOCKA_TESTS(http_server_h2, tests);
