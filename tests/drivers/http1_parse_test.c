/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http1_parse_test.c - the corpus, each answer whole, byte by byte, in two pieces cut
 * everywhere, and ended everywhere: always the same outcome, and no connection in doubt is
 * kept.
 */
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/drivers/http1_corpus.h"
#include "transport/drivers/h1.h"

struct outcome {
	enum http1_verdict verdict;
	bool ended; /* H1_END or H1_SWITCHED, or the end of the stream as the end */
	bool failed, keep;
	size_t body_size;
	char body[4096];
	uint32_t informational, trailers;
	size_t behind; /* bytes that were not taken */
};

static void begin(struct h1_parser *parser, enum http1_request request)
{
	parser->limits = (struct h1_limits){512, 8, 4, false};
	h1_parser_begin(parser);
	parser->no_body = request == HEAD;
	parser->connect = request == CONNECT;
	parser->upgrade = request == UPGRADE ? "websocket" : NULL;
}

static void note(const struct h1_parser *parser, enum h1_event event, struct outcome *outcome)
{
	if (event == H1_INFORMATIONAL)
		outcome->informational++;
	if (event == H1_BODY) {
		assert_true(parser->message.body_size > 0);
		assert_true(outcome->body_size + parser->message.body_size < sizeof outcome->body);
		memcpy(outcome->body + outcome->body_size, parser->message.body, parser->message.body_size);
		outcome->body_size += parser->message.body_size;
	}
	if (event == H1_END || event == H1_SWITCHED) {
		outcome->ended = true;
		outcome->keep = parser->keep;
		outcome->trailers = parser->trailer_count;
		outcome->verdict = event == H1_SWITCHED ? SWITCH : parser->keep ? KEEP : LAST;
		assert_false(event == H1_SWITCHED && parser->keep);
	}
}

/* Feed a piece, from memory of its own so that a sanitizer sees every byte beyond it. */
static void feed(struct h1_parser *parser, const char *bytes, size_t size,
		 struct outcome *outcome)
{
	uint8_t *copy = malloc(size);
	const uint8_t *at = copy;
	enum h1_event event = H1_BODY;
	size_t left = size;

	memcpy(copy, bytes, size);
	while (!outcome->ended && !outcome->failed && event != H1_MORE) {
		enum kolk_err err = h1_parse(parser, &at, &left, &event);

		if (err != KOLK_OK) {
			assert_int_equal(err, KOLK_E_PROTOCOL);
			outcome->failed = true;
			outcome->verdict = REFUSE;
		} else {
			note(parser, event, outcome);
		}
	}
	if (outcome->failed)
		assert_int_equal(h1_parse(parser, &at, &left, &event), KOLK_E_PROTOCOL);
	if (outcome->ended)
		outcome->behind += left;
	free(copy);
}

static void finish(struct h1_parser *parser, struct outcome *outcome)
{
	if (outcome->ended || outcome->failed) {
		if (outcome->ended && outcome->verdict != SWITCH && outcome->behind > 0)
			outcome->verdict = MORE;
		return;
	}
	outcome->verdict = h1_parse_end(parser) == KOLK_OK ? UNTIL : CUT;
	assert_false(parser->keep && outcome->verdict == UNTIL);
}

/* In pieces of so many bytes, the first one `first` bytes; only `size` bytes of it. */
static struct outcome run(const struct http1_case *row, size_t size, size_t first, size_t piece)
{
	struct h1_parser parser = {0};
	struct outcome outcome = {0};
	size_t at = 0;

	begin(&parser, row->request);
	while (at < size && !outcome.failed) {
		size_t now = at == 0 && first > 0 ? first : piece;

		if (now > size - at)
			now = size - at;
		feed(&parser, row->bytes + at, now, &outcome);
		at += now;
	}
	finish(&parser, &outcome);
	h1_parser_free(&parser);
	return outcome;
}

static void expect(const struct http1_case *row, const struct outcome *outcome, const char *how)
{
	size_t size = row->body == NULL ? 0 : strlen(row->body);

	if (outcome->verdict != row->verdict || outcome->body_size != size ||
	    memcmp(outcome->body, row->body == NULL ? "" : row->body, size) != 0)
		fail_msg("%s, %s: verdict %d, body \"%.*s\"", row->name, how, outcome->verdict,
			 (int)outcome->body_size, outcome->body);
}

static void test_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < http1_case_count; i++) {
		const struct http1_case *row = &http1_cases[i];
		struct outcome outcome = run(row, row->size, 0, row->size);

		expect(row, &outcome, "whole");
	}
}

static void test_bytewise(void **state)
{
	(void)state;
	for (size_t i = 0; i < http1_case_count; i++) {
		const struct http1_case *row = &http1_cases[i];
		struct outcome outcome = run(row, row->size, 0, 1);

		expect(row, &outcome, "byte by byte");
	}
}

static void test_two_pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < http1_case_count; i++) {
		const struct http1_case *row = &http1_cases[i];

		for (size_t cut = 1; cut < row->size; cut++) {
			struct outcome outcome = run(row, row->size, cut, row->size);

			expect(row, &outcome, "in two pieces");
		}
	}
}

/* The stream ends anywhere: an answer that may be kept is whole, and the same as without the
 * end. */
static void test_cut(void **state)
{
	size_t ends = 0;

	(void)state;
	for (size_t i = 0; i < http1_case_count; i++) {
		const struct http1_case *row = &http1_cases[i];

		for (size_t size = 0; size < row->size; size++) {
			struct outcome outcome = run(row, size, 0, row->size);

			ends++;
			if (!outcome.keep)
				continue;
			assert_true(row->verdict == MORE); /* its first bytes are a whole one */
			assert_int_equal(outcome.behind + outcome.body_size,
					 outcome.behind +
						 (row->body == NULL ? 0 : strlen(row->body)));
		}
	}
	assert_true(http1_case_count >= 150 && ends > 10000);
}

/* ---- what a table cannot say */

static struct outcome run_text(const char *text)
{
	struct http1_case row = {"made", GET, KEEP, NULL, text, strlen(text)};

	return run(&row, row.size, 0, row.size);
}

static char *repeat(const char *before, const char *piece, size_t count, const char *after)
{
	size_t size = strlen(before) + strlen(piece) * count + strlen(after) + 1;
	char *text = malloc(size), *at = text + sprintf(text, "%s", before);

	for (size_t i = 0; i < count; i++)
		at += sprintf(at, "%s", piece);
	sprintf(at, "%s", after);
	return text;
}

static void expect_repeat(const char *before, const char *piece, size_t count,
			  const char *after, enum http1_verdict verdict)
{
	char *text = repeat(before, piece, count, after);
	struct outcome outcome = run_text(text);

	if (outcome.verdict != verdict)
		fail_msg("%s%zu x %s: verdict %d", before, count, piece, outcome.verdict);
	free(text);
}

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

static void test_bounds(void **state)
{
	(void)state;
	expect_repeat(OK "X: ", "a", 400, "\r\n\r\n", KEEP);
	expect_repeat(OK "X: ", "a", 600, "\r\n\r\n", REFUSE);
	expect_repeat(OK, "", 0, "", CUT);
	expect_repeat(OK, "X: a\r\n", 7, "\r\n", KEEP);
	expect_repeat(OK, "X: a\r\n", 8, "\r\n", REFUSE);
	expect_repeat("HTTP/1.1 200 ", "x", 600, "", REFUSE); /* without a line's end */
	expect_repeat(CHUNKED, "1\r\na\r\n", 1000, "0\r\n\r\n", KEEP);
	expect_repeat(CHUNKED "1;", "x", 200, "\r\na\r\n0\r\n\r\n", KEEP);
	expect_repeat(CHUNKED "1;", "x", 300, "\r\na\r\n0\r\n\r\n", REFUSE);
	expect_repeat(CHUNKED, "1;xxxxxxxx\r\na\r\n", 50, "0\r\n\r\n", KEEP);
	expect_repeat(CHUNKED, "1;xxxxxxxx\r\na\r\n", 60, "0\r\n\r\n",
		      REFUSE); /* 512 bytes in all */
	expect_repeat(CHUNKED "0\r\n", "X: a\r\n", 8, "\r\n", KEEP);
	expect_repeat(CHUNKED "0\r\n", "X: a\r\n", 9, "\r\n", REFUSE);
	expect_repeat(CHUNKED "0\r\nX: ", "a", 600, "\r\n\r\n", REFUSE);
	expect_repeat("", "HTTP/1.1 103 E\r\n\r\n", 10000, OK "\r\n", REFUSE);
}

static void test_fields(void **state)
{
	static const char text[] = "HTTP/1.1 404 Not here\r\nX-Ab: \t v w \t\r\nempty:\r\n"
				   "keep-alive: timeout=7\r\ncontent-length: 3\r\n\r\nabc";
	struct h1_parser parser = {0};
	const uint8_t *at = (const uint8_t *)text;
	size_t size = sizeof text - 1;
	enum h1_event event;

	(void)state;
	begin(&parser, GET);
	assert_int_equal(h1_parse(&parser, &at, &size, &event), KOLK_OK);
	assert_int_equal(event, H1_HEAD);
	assert_int_equal(parser.head.status, 404);
	assert_int_equal(parser.head.version, 11);
	assert_int_equal(parser.head.field_count, 4);
	assert_int_equal(parser.head.body_size, 3);
	assert_int_equal(parser.idle_s, 7);
	assert_string_equal(parser.head.fields[0].name, "x-ab");
	assert_string_equal(parser.head.fields[0].value, "v w");
	assert_string_equal(parser.head.fields[1].value, "");
	assert_string_equal(kolk_http_field(parser.head.fields, 4, "keep-alive"), "timeout=7");
	assert_null(kolk_http_field(parser.head.fields, 4, "x"));
	h1_parser_free(&parser);
}

/* Many answers through one parser, its memory used again. */
static void test_again(void **state)
{
	struct h1_parser parser = {0};

	(void)state;
	for (size_t i = 0; i < http1_case_count; i++) {
		const struct http1_case *row = &http1_cases[i];
		struct outcome outcome = {0};

		begin(&parser, row->request);
		feed(&parser, row->bytes, row->size, &outcome);
		finish(&parser, &outcome);
		expect(row, &outcome, "on a used parser");
	}
	h1_parser_free(&parser);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_whole),	   cmocka_unit_test(test_bytewise),
	cmocka_unit_test(test_two_pieces), cmocka_unit_test(test_cut),
	cmocka_unit_test(test_bounds),	   cmocka_unit_test(test_fields),
	cmocka_unit_test(test_again),
};
CMOCKA_TESTS(http1_parse, tests);
