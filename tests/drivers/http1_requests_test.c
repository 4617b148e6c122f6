/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http1_requests_test.c - the corpus, each request whole, byte by byte, in two pieces cut everywhere,
 * and ended everywhere: always the same outcome, and nothing in doubt is accepted.
 */
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/drivers/http1_requests.h"
#include "transport/drivers/h1_request.h"

struct outcome {
	int verdict;
	bool ended, failed, keep;
	size_t size;   /* of meaning */
	char meaning[8192];
	size_t behind; /* bytes that were not taken */
};

static void begin(struct h1_request_parser *parser)
{
	parser->limits = (struct h1_request_limits){
		.head_bytes_max = 512, .target_bytes_max = 64, .fields_max = 8, .body_bytes_max = 64
	};
	h1_request_begin(parser);
}

static void add(struct outcome *outcome, const void *text, size_t size)
{
	assert_true(outcome->size + size < sizeof outcome->meaning);
	memcpy(outcome->meaning + outcome->size, text, size);
	outcome->size += size;
	outcome->meaning[outcome->size] = '\0';
}

static size_t head_text(const struct kolk_http_request_head *head, char *text, size_t capacity)
{
	int size = snprintf(text, capacity, "%s %s %s|%s%s%s", head->method, head->target,
			    head->authority, head->upgrade != NULL ? "^" : "",
			    head->upgrade != NULL ? head->upgrade : "",
			    head->trailers_accepted != 0 ? "+" : "");

	assert_true(size > 0 && (size_t)size < capacity);
	return (size_t)size;
}

/* Its strings live as long as the request. */
static void expect_head_kept(const struct h1_request_parser *parser, const struct outcome *outcome)
{
	char text[4096];
	size_t size = head_text(&parser->head, text, sizeof text);

	assert_true(size <= outcome->size);
	assert_memory_equal(text, outcome->meaning, size);
}

static void take(const struct h1_request_parser *parser, enum h1_event event,
		 struct outcome *outcome)
{
	char text[4096];

	if (event == H1_HEAD)
		add(outcome, text, head_text(&parser->head, text, sizeof text));
	if (event == H1_BODY) {
		assert_true(parser->message.body_size > 0);
		add(outcome, parser->message.body, parser->message.body_size);
	}
	if (event == H1_END) {
		expect_head_kept(parser, outcome);
		outcome->ended = true;
		outcome->keep = parser->keep;
		outcome->verdict = parser->keep ? KEEP : LAST;
	}
}

/* Feed a piece, from memory of its own so that a sanitizer sees every byte beyond it. */
static void feed(struct h1_request_parser *parser, const char *bytes, size_t size,
		 struct outcome *outcome)
{
	uint8_t *copy = malloc(size);
	const uint8_t *at = copy;
	enum h1_event event = H1_BODY;
	size_t left = size;

	memcpy(copy, bytes, size);
	while (!outcome->ended && !outcome->failed && event != H1_MORE) {
		enum kolk_err err = h1_request_parse(parser, &at, &left, &event);

		if (err == KOLK_OK) {
			take(parser, event, outcome);
			continue;
		}
		assert_int_equal(err, KOLK_E_PROTOCOL);
		outcome->failed = true;
		outcome->verdict = (int)parser->status;
		assert_true(parser->status >= 400 && parser->status < 600 && !parser->keep);
	}
	if (outcome->failed)
		assert_int_equal(h1_request_parse(parser, &at, &left, &event), KOLK_E_PROTOCOL);
	if (outcome->ended)
		outcome->behind += left;
	free(copy);
}

static void finish(struct outcome *outcome)
{
	if (outcome->ended && outcome->behind > 0)
		outcome->verdict = MORE;
	if (!outcome->ended && !outcome->failed)
		outcome->verdict = CUT;
}

/* In pieces of so many bytes, the first one `first` bytes; only `size` bytes of it. */
static struct outcome run(const struct http1_request_case *row, size_t size, size_t first,
			  size_t piece)
{
	struct h1_request_parser parser = {0};
	struct outcome outcome = {0};
	size_t at = 0;

	begin(&parser);
	while (at < size && !outcome.failed) {
		size_t now = at == 0 && first > 0 ? first : piece;

		if (now > size - at)
			now = size - at;
		feed(&parser, row->bytes + at, now, &outcome);
		at += now;
	}
	finish(&outcome);
	h1_request_free(&parser);
	return outcome;
}

static void expect(const struct http1_request_case *row, const struct outcome *outcome,
		   const char *how)
{
	const char *meaning = row->meaning == NULL ? "" : row->meaning;

	if (outcome->verdict != row->verdict || strcmp(outcome->meaning, meaning) != 0)
		fail_msg("%s, %s: verdict %d, \"%s\"", row->name, how, outcome->verdict,
			 outcome->meaning);
}

static void test_whole(void **state)
{
	(void)state;
	assert_true(http1_request_count >= 250);
	for (size_t i = 0; i < http1_request_count; i++) {
		const struct http1_request_case *row = &http1_requests[i];
		struct outcome outcome = run(row, row->size, 0, row->size);

		expect(row, &outcome, "whole");
	}
}

static void test_bytewise(void **state)
{
	(void)state;
	for (size_t i = 0; i < http1_request_count; i++) {
		const struct http1_request_case *row = &http1_requests[i];
		struct outcome outcome = run(row, row->size, 0, 1);

		expect(row, &outcome, "byte by byte");
	}
}

static void test_two_pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < http1_request_count; i++) {
		const struct http1_request_case *row = &http1_requests[i];

		for (size_t cut = 1; cut < row->size; cut++) {
			struct outcome outcome = run(row, row->size, cut, row->size);

			expect(row, &outcome, "in two pieces");
		}
	}
}

/* It ends anywhere: nothing that is not whole is taken for a request, and what was refused later is
 * not accepted before. */
static void test_cut(void **state)
{
	size_t ends = 0;

	(void)state;
	for (size_t i = 0; i < http1_request_count; i++) {
		const struct http1_request_case *row = &http1_requests[i];

		for (size_t size = 0; size < row->size; size++, ends++) {
			struct outcome outcome = run(row, size, 0, row->size);

			if (outcome.ended && row->verdict != MORE)
				fail_msg("%s: whole after %zu bytes", row->name, size);
			if (row->verdict < 400)
				assert_false(outcome.failed);
		}
	}
	assert_true(ends > 10000);
}

/* Many requests through one parser, its memory used again. */
static void test_again(void **state)
{
	struct h1_request_parser parser = {0};

	(void)state;
	for (size_t i = 0; i < http1_request_count; i++) {
		const struct http1_request_case *row = &http1_requests[i];
		struct outcome outcome = {0};

		begin(&parser);
		feed(&parser, row->bytes, row->size, &outcome);
		finish(&outcome);
		expect(row, &outcome, "on a used parser");
	}
	h1_request_free(&parser);
}

/* ---- what a table cannot say */

static char *repeat(const char *before, const char *piece, size_t count, const char *after)
{
	size_t size = strlen(before) + strlen(piece) * count + strlen(after) + 1;
	char *text = malloc(size), *at = text + sprintf(text, "%s", before);

	for (size_t i = 0; i < count; i++)
		at += sprintf(at, "%s", piece);
	sprintf(at, "%s", after);
	return text;
}

struct repeated {
	const char *before, *piece;
	size_t count;
	const char *after;
	int verdict;
};

static void expect_repeated(const struct repeated *row)
{
	char *text = repeat(row->before, row->piece, row->count, row->after);
	const struct http1_request_case made = {"made", row->verdict, NULL, text, strlen(text)};

	for (size_t piece = 1; piece <= made.size; piece += made.size - 1) {
		struct outcome outcome = run(&made, made.size, 0, piece);

		if (outcome.verdict != row->verdict)
			fail_msg("%s%zu x %s: verdict %d", row->before, row->count, row->piece,
				 outcome.verdict);
	}
	free(text);
}

#define GET "GET / HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

static void test_bounds(void **state)
{
	static const struct repeated rows[] = {
		{"GET /", "a", 63, " HTTP/1.1\r\nHost: a\r\n\r\n", KEEP},
		{"GET /", "a", 64, " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
		{"GET /", "a", 64, "\r\n\r\n", 414},
		{"GET /", "a", 129, "", 414}, /* without a line's end */
		{"", "A", 129, "", 414},
		{"", "A", 600, "", 414},
		{"GET /", "a", 100000, "", 414},
		{GET "X: ", "a", 400, "\r\n\r\n", KEEP},
		{GET "X: ", "a", 600, "\r\n\r\n", 431},
		{GET "X: ", "a", 600, "", 431},
		{GET, "X: a\r\n", 7, "\r\n", KEEP},
		{GET, "X: a\r\n", 8, "\r\n", 431},
		{GET, "X: a\r\n", 8, "\n\r\n", 400},
		{CHUNKED, "1\r\na\r\n", 64, "0\r\n\r\n", KEEP},
		{CHUNKED, "1\r\na\r\n", 65, "0\r\n\r\n", 413},
		{CHUNKED "1;", "x", 200, "\r\na\r\n0\r\n\r\n", KEEP},
		{CHUNKED "1;", "x", 300, "\r\na\r\n0\r\n\r\n", 400},
		{CHUNKED "1;", "x", 300, "", 400},
		{CHUNKED, "1;xxxxxxxx\r\na\r\n", 50, "0\r\n\r\n", KEEP},
		{CHUNKED, "1;xxxxxxxx\r\na\r\n", 60, "0\r\n\r\n", 400}, /* 512 bytes in all */
		{CHUNKED "0\r\n", "X: a\r\n", 8, "\r\n", KEEP},
		{CHUNKED "0\r\n", "X: a\r\n", 9, "\r\n", 431},
		{CHUNKED "0\r\n", "X: a\r\n", 9, "\n\r\n", 400},
		{CHUNKED "0\r\nX: ", "a", 600, "\r\n\r\n", 431},
		{CHUNKED "0\r\nX: ", "a", 600, "", 431},
		/* a line that ends without a CR, and memory that ends with the head */
		{"GET\nX:", "a", 300, "\r\n\r\n", 400},
		{"GET /\nX:", "a", 300, "\r\n\r\n", 400},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		expect_repeated(&rows[i]);
}

static void test_head(void **state)
{
	static const char text[] = "POST /p?q HTTP/1.1\r\nHost: h:8\r\nX-Ab: \t v w \t\r\nempty:\r\n"
				   "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
				   "3\r\nabc\r\n0\r\nX-T: t\r\n\r\n";
	struct h1_request_parser parser = {0};
	const uint8_t *at = (const uint8_t *)text;
	size_t size = sizeof text - 1;
	enum h1_event event;

	(void)state;
	begin(&parser);
	parser.limits.tls = true;
	assert_int_equal(h1_request_parse(&parser, &at, &size, &event), KOLK_OK);
	assert_int_equal(event, H1_HEAD);
	assert_string_equal(parser.head.method, "POST");
	assert_string_equal(parser.head.target, "/p?q");
	assert_string_equal(parser.head.authority, "h:8");
	assert_string_equal(parser.head.scheme, "https");
	assert_int_equal(parser.head.version, 11);
	assert_int_equal(parser.head.expect_continue, 1);
	assert_true(parser.head.body_size == KOLK_HTTP_CHUNKED);
	assert_int_equal(parser.head.field_count, 5);
	assert_string_equal(parser.head.fields[1].name, "x-ab");
	assert_string_equal(parser.head.fields[1].value, "v w");
	assert_string_equal(parser.head.fields[2].value, "");
	assert_int_equal(h1_request_parse(&parser, &at, &size, &event), KOLK_OK);
	assert_int_equal(event, H1_BODY);
	assert_int_equal(h1_request_parse(&parser, &at, &size, &event), KOLK_OK);
	assert_int_equal(event, H1_END);
	assert_int_equal(parser.trailer_count, 1);
	assert_string_equal(parser.message.fields[0].name, "x-t");
	assert_string_equal(parser.head.fields[1].value, "v w");
	h1_request_free(&parser);
}

/* ---- what a proxy passes on */

static void test_marks(void **state)
{
	static const struct kolk_http_field fields[] = {
		{"host", "a"},		   {"connection", "close, X-One,, x-two"},
		{"x-one", "1"},		   {"X-Two", "2"},
		{"x-three", "3"},	   {"te", "trailers"},
		{"keep-alive", "max=1"},   {"proxy-connection", "close"},
		{"upgrade", "websocket"},  {"transfer-encoding", "chunked"},
		{"http2-settings", ""},	   {"content-length", "1"},
		{"expect", "100-continue"}, {"trailer", "x"},
		{"connectionx", "x-three"}, {"authorization", "b"},
	};
	uint8_t marks[sizeof fields / sizeof fields[0]];
	char expected[] = "2111011111122200"; /* connectionx and what it names are end to end */

	(void)state;
	kolk_http_field_marks(fields, sizeof marks, marks);
	for (size_t i = 0; i < sizeof marks; i++)
		marks[i] = (uint8_t)(marks[i] + '0');
	if (memcmp(marks, expected, sizeof marks) != 0)
		fail_msg("%.*s", (int)sizeof marks, (const char *)marks);
}

/* A list of many names is no work: all is marked. */
static void test_marks_bound(void **state)
{
	char *list = repeat("a", ",a", 10000, "");
	const struct kolk_http_field fields[] = {{"connection", list}, {"x", "y"}};
	enum { MANY = 100 };
	struct kolk_http_field many[MANY];
	uint8_t marks[2], many_marks[MANY];

	(void)state;
	kolk_http_field_marks(fields, 2, marks);
	assert_int_equal(marks[0], KOLK_HTTP_MARK_HOP_BY_HOP);
	assert_int_equal(marks[1], KOLK_HTTP_MARK_HOP_BY_HOP);
	free(list);
	for (size_t i = 0; i < MANY; i++) /* of a message, not of a field */
		many[i] = (struct kolk_http_field){i == 0 ? "x" : "connection", "a"};
	kolk_http_field_marks(many, MANY, many_marks);
	assert_int_equal(many_marks[0], KOLK_HTTP_MARK_HOP_BY_HOP);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_whole),	   cmocka_unit_test(test_bytewise),
	cmocka_unit_test(test_two_pieces), cmocka_unit_test(test_cut),
	cmocka_unit_test(test_again),	   cmocka_unit_test(test_bounds),
	cmocka_unit_test(test_head),	   cmocka_unit_test(test_marks),
	cmocka_unit_test(test_marks_bound),
};
CMOCKA_TESTS(http1_requests, tests);
