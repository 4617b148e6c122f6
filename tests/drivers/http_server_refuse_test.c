/* SPDX-License-Identifier: Apache-2.0 */
/* http_server_refuse_test.c - requests that the HTTP server refuses, without I/O; the corpus among
 * them. */
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <string.h>

#include "tests/drivers/http1_requests.h"
#include "tests/drivers/server_conn.h"

/* ---- refusals */

static void test_refusals(void **state)
{
	static const struct {
		const char *text;
		uint32_t status;
	} rows[] = {
		{"GET /\r\n\r\n", 400}, {"\x16\x03\x01", 400}, {"PRI * HTTP/2.0\r\n\r\n", 505},
		{"CONNECT a:1 HTTP/1.1\r\n" HOST "\r\n", 501},
		{"GET / HTTP/1.1\r\n" HOST "Expect: x\r\n\r\n", 417},
		{POST("99999999999"), 413},
		{"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
	};
	struct server_wire *wire = *state;
	char status[32];

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		server_wire_again(wire);
		server_wire_say(wire, rows[i].text);
		snprintf(status, sizeof status, "HTTP/1.1 %u ", rows[i].status);
		assert_memory_equal(wire->out, status, strlen(status));
		assert_true(sent(wire, "connection: close"));
		assert_true(sent(wire, h1_reason(rows[i].status)));
		assert_int_equal(wire->refused, rows[i].status);
		assert_int_equal(wire->sends, 1);
		assert_true(wire->closed && !wire->reset);
		expect_log(wire, "");
	}
}

/* The rest of a body that is no body: the callee stops, the client learns why. */
static void test_bad_body(void **state)
{
	struct server_wire *wire = *state;

	wire->on_request = answer_nothing;
	server_wire_say(wire, CHUNKED "1\r\nx\r\nz\r\n");
	expect_log(wire, "request POST /|body x|done E_PROTOCOL|");
	assert_memory_equal(wire->out, "HTTP/1.1 400 ", 13);
	assert_true(wire->closed);

	wire->options.body_bytes_max = 4;
	server_wire_again(wire);
	server_wire_say(wire, CHUNKED "3\r\nabc\r\n2\r\nde\r\n");
	expect_log(wire, "request POST /|body abc|done E_LIMIT|");
	assert_memory_equal(wire->out, "HTTP/1.1 413 ", 13);
	assert_true(wire->closed);

	wire->on_request = server_wire_answer_pulled; /* half an answer is out: not to be taken for whole */
	server_wire_again(wire);
	server_wire_say(wire, CHUNKED "z\r\n");
	assert_true(wire->reset);
	server_wire_end(wire, KOLK_OK);
	expect_log(wire, "request POST /|done E_PROTOCOL|");

	wire->on_request = answer_hello; /* a whole answer: it is sent */
	server_wire_again(wire);
	server_wire_say(wire, CHUNKED "z\r\n");
	assert_true(sent(wire, "hello") && wire->closed);
	expect_log(wire, "request POST /|done OK|");
}

/* ---- the corpus */

static void use_bounds(struct server_wire *wire)
{
	wire->options.head_bytes_max = 512;
	wire->options.target_bytes_max = 64;
	wire->options.fields_max = 8;
	wire->options.body_bytes_max = 64;
}

/* An answer and nothing else, with the status that the table says; and each request ends once. */
static void expect_row(struct server_wire *wire, const struct http1_request_case *row)
{
	uint32_t status = row->verdict >= 400 ? (uint32_t)row->verdict : 200;
	size_t requests = count_of(wire->log, "request "), ends = count_of(wire->log, "done ");
	char text[32];

	snprintf(text, sizeof text, "HTTP/1.1 %u ", status);
	if (requests != ends || (row->verdict == KEEP && wire->closed) ||
	    (row->verdict >= 400 && !wire->closed) ||
	    (row->verdict != CUT && strstr(wire->out, text) == NULL))
		fail_msg("%s: %s %s", row->name, wire->log, wire->out);
}

static void answer_at_body_end(struct server_wire *wire)
{
	server_wire_answer(wire, "");
}

static void test_corpus(void **state)
{
	struct server_wire *wire = *state;

	use_bounds(wire);
	wire->on_request = answer_nothing;
	wire->on_body_end = answer_at_body_end;
	for (size_t i = 0; i < http1_request_count; i++) {
		const struct http1_request_case *row = &http1_requests[i];

		for (size_t cut = 0; cut < row->size; cut++) {
			server_wire_again(wire);
			if (cut > 0)
				server_wire_feed(wire, row->bytes, cut);
			server_wire_feed(wire, row->bytes + cut, row->size - cut);
			if (row->verdict == CUT)
				server_wire_end(wire, KOLK_E_CLOSED);
			expect_row(wire, row);
		}
	}
}

/* The client goes at every byte; time passes at every byte. */
static void test_corpus_ends(void **state)
{
	struct server_wire *wire = *state;

	use_bounds(wire);
	wire->on_request = answer_nothing;
	wire->on_body_end = answer_at_body_end;
	for (size_t i = 0; i < http1_request_count; i++) {
		const struct http1_request_case *row = &http1_requests[i];

		for (size_t cut = 0; cut < row->size; cut++) {
			server_wire_again(wire);
			if (cut > 0)
				server_wire_feed(wire, row->bytes, cut);
			if (cut % 3 == 0)
				server_wire_feed(wire, NULL, 0);
			else if (cut % 3 == 1)
				server_wire_wait(wire, 100 * KOLK_S_NS);
			server_wire_end(wire, KOLK_E_RESET);
			assert_int_equal(count_of(wire->log, "request "),
					 count_of(wire->log, "done "));
		}
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_wire, close_wire)

static const struct CMUnitTest tests[] = {
	TEST(test_refusals),
	TEST(test_bad_body),
	TEST(test_corpus),
	TEST(test_corpus_ends),
};
CMOCKA_TESTS(http_server_refuse, tests);
