/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_sse_test.c - text/event-stream, read in every cut and written in pieces. */
#include "tests/kit/cmocka/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transport/drivers/mcp/sse.h"

struct reading {
	struct kolk__sse_parser parser;
	char data[4096], out[8192];
	size_t data_size, size;
	enum kolk_err err;
};

static void say(struct reading *reading, const char *before, const char *text, size_t size)
{
	reading->size += (size_t)snprintf(reading->out + reading->size,
					  sizeof reading->out - reading->size, "%s%.*s", before,
					  (int)size, text);
	assert_true(reading->size < sizeof reading->out);
}

/* "[type|id|retry|data]": what is absent is "-"; an id that came with an earlier event is in
 * brackets. */
static void say_event(struct reading *reading)
{
	const struct kolk__sse_parser *parser = &reading->parser;
	char number[32];

	assert_int_equal(parser->event_data_size, reading->data_size);
	say(reading, "[", parser->type, parser->type_size);
	say(reading, parser->has_id ? "|" : "|(", parser->id, parser->id_size);
	say(reading, parser->has_id ? "|" : ")|", "-", !parser->has_retry);
	if (parser->has_retry)
		say(reading, "", number,
		    (size_t)snprintf(number, sizeof number, "%llu",
				     (unsigned long long)parser->retry_ms));
	say(reading, "|", "-", !parser->has_data);
	say(reading, "", reading->data, reading->data_size);
	say(reading, "]", "", 0);
	reading->data_size = 0;
}

static void begin(struct reading *reading, uint64_t event_max)
{
	kolk__sse_end(&reading->parser); /* of the last text: all are static */
	kolk__sse_begin(&reading->parser, event_max);
	reading->data_size = reading->size = 0;
	reading->out[0] = '\0';
	reading->err = KOLK_OK;
}

/* Another parser goes on where the last one was silent: that must not be seen. */
static void replace(struct kolk__sse_parser *parser)
{
	uint64_t event_max = parser->event_max;
	uint32_t id_size = parser->id_size;
	char id[KOLK__SSE_ID_MAX];

	if (!kolk__sse_is_silent(parser))
		return;
	memcpy(id, parser->id, id_size);
	kolk__sse_end(parser);
	memset(parser, 0xff, sizeof *parser);
	assert_int_equal(kolk__sse_go_on(parser, event_max, id, id_size), KOLK_OK);
}

static void feed(struct reading *reading, const char *bytes, size_t size)
{
	uint8_t *copy = malloc(size);
	enum kolk__sse_event event = SSE_DATA;
	const uint8_t *at = copy;

	assert_non_null(copy);
	memcpy(copy, bytes, size);
	while (reading->err == KOLK_OK && event != SSE_MORE) {
		reading->err = kolk__sse_next(&reading->parser, &at, &size, &event);
		if (event == SSE_DATA) {
			assert_true(reading->data_size + reading->parser.data_size < 4096);
			memcpy(reading->data + reading->data_size, reading->parser.data,
			       reading->parser.data_size);
			reading->data_size += reading->parser.data_size;
		} else if (event == SSE_EVENT) {
			say_event(reading);
		}
	}
	free(copy);
	if (reading->err != KOLK_OK)
		say(reading, "!", kolk_err_name(reading->err), SIZE_MAX >> 40);
	else
		replace(&reading->parser);
}

static void read_in_pieces(struct reading *reading, const char *text, size_t size, size_t first,
			   size_t piece)
{
	for (size_t at = 0, part = first; at < size && reading->err == KOLK_OK;
	     at += part, part = piece) {
		part = part < size - at ? part : size - at;
		feed(reading, text + at, part);
	}
}

static void expect_max(const char *text, size_t size, uint64_t event_max, const char *events)
{
	static struct reading reading;

	for (size_t first = 1; first <= size; first++)
		for (size_t piece = 1; piece <= size; piece += piece < 8 ? 1 : size) {
			begin(&reading, event_max);
			read_in_pieces(&reading, text, size, first, piece);
			if (strcmp(reading.out, events) != 0)
				fail_msg("%s, cut at %zu, then every %zu:\n%s\ninstead of\n%s",
					 text, first, piece, reading.out, events);
		}
}
#define EXPECT(text, events) expect_max(text, sizeof(text) - 1, 1000, events)

static void events(void **state)
{
	(void)state;
	EXPECT("data: a\n\n", "[|()|-|a]");
	EXPECT("data:a\n\n", "[|()|-|a]");
	EXPECT("data:  a \n\n", "[|()|-| a ]");
	EXPECT("event: message\nid: 7\ndata: {\"a\":1}\n\n", "[message|7|-|{\"a\":1}]");
	EXPECT("data: a\ndata: b\ndata\ndata: \n\n", "[|()|-|a\nb\n\n]");
	EXPECT("data: a\nid: x\nevent: late\n\n", "[late|x|-|a]");
	EXPECT("event: a\nevent: b\ndata\n\ndata: c\n\n", "[b|()|-|][|()|-|c]");
	EXPECT("data: a\n\ndata: b", "[|()|-|a]");
	EXPECT("data: a\n\ndata: b\n", "[|()|-|a]");
	EXPECT("data: \xe2\x82\xac\xf0\x9f\x98\x80\n\n",
	       "[|()|-|\xe2\x82\xac\xf0\x9f\x98\x80]");
	EXPECT("\n\n\ndata: a\n\n\n\n", "[|()|-|a]");
	EXPECT("data: a:b: c\n\n", "[|()|-|a:b: c]");
}

static bool is_silent_after(const char *text)
{
	struct kolk__sse_parser parser;
	const uint8_t *at = (const uint8_t *)text;
	size_t left = strlen(text);
	enum kolk__sse_event event;
	bool silent;

	kolk__sse_begin(&parser, 1000);
	do
		assert_int_equal(kolk__sse_next(&parser, &at, &left, &event), KOLK_OK);
	while (event != SSE_MORE);
	silent = kolk__sse_is_silent(&parser);
	kolk__sse_end(&parser);
	return silent;
}

static void silence(void **state)
{
	(void)state;
	assert_true(is_silent_after("data: a\n\n"));
	assert_true(is_silent_after("event: x\ndata: a\n\n: comment\n"));
	assert_true(is_silent_after(": comment\n\n"));
	assert_true(is_silent_after("id: 1\ndata: a\n\n"));
	assert_false(is_silent_after("")); /* a mark of byte order may come */
	assert_false(is_silent_after("data: a\n"));
	assert_false(is_silent_after("data: a\n\nd"));
	assert_false(is_silent_after("data: a\n\n: comm"));
	assert_false(is_silent_after("data: a\n\n\xef"));
	assert_false(is_silent_after("unknown\n"));
	assert_false(is_silent_after("data: a\r\r")); /* an LF may belong to it */
	assert_false(is_silent_after("id: 1\n"));
}

static void line_ends(void **state)
{
	static struct reading reading;

	(void)state;
	EXPECT("data: a\r\ndata: b\r\n\r\n", "[|()|-|a\nb]");
	EXPECT("data: a\rdata: b\r\r", "[|()|-|a\nb]");
	EXPECT("data: a\r\rdata: b\n\rdata: c\r\n\n", "[|()|-|a][|()|-|b][|()|-|c]");
	EXPECT("data: a\n\r\ndata: b\r\n\r", "[|()|-|a][|()|-|b]");
	EXPECT("data\r\n\r\n", "[|()|-|]");
	/* A CR does not wait for an LF. */
	begin(&reading, 1000);
	feed(&reading, "data: a\r\r", 9);
	assert_string_equal(reading.out, "[|()|-|a]");
	feed(&reading, "\ndata: b\n\n", 10);
	assert_string_equal(reading.out, "[|()|-|a][|()|-|b]");
}

static void ids(void **state)
{
	static struct reading reading;

	(void)state;
	EXPECT("id: 1\ndata: a\n\ndata: b\n\n", "[|1|-|a][|(1)|-|b]");
	EXPECT("id: 1\ndata:\n\n", "[|1|-|]"); /* a priming event */
	EXPECT("id: 1\ndata\n\n", "[|1|-|]");
	EXPECT("id: 1\n\n", "[|1|-|-]");
	EXPECT("id: 1\n\nid\ndata: a\n\n", "[|1|-|-][||-|a]"); /* an empty one resets */
	EXPECT("id: 1\ndata\n\nid: 2\0x\ndata: a\n\n", "[|1|-|][|(1)|-|a]");
	EXPECT("id: 1\ndata\n\nid: \0\n\n", "[|1|-|]");
	EXPECT("id: 1\nid: 2\ndata\n\n", "[|2|-|]");
	/* An event that is cut off leaves the id alone. */
	begin(&reading, 1000);
	feed(&reading, "id: 1\ndata\n\nid: 2\ndata: a\n", 25);
	assert_int_equal(reading.parser.id_size, 1);
	assert_int_equal(reading.parser.id[0], '1');
}

static void retry(void **state)
{
	(void)state;
	EXPECT("retry: 1500\n\n", "[|()|1500|-]");
	EXPECT("retry:0\ndata: a\n\n", "[|()|0|a]");
	EXPECT("retry: 15s\ndata: a\n\n", "[|()|-|a]");
	EXPECT("retry: -1\ndata: a\n\nretry\ndata: b\n\n", "[|()|-|a][|()|-|b]");
	EXPECT("retry: \n\n", "");
	EXPECT("retry: 5\nretry: x\ndata\n\n", "[|()|-|]");
}

static void what_means_nothing(void **state)
{
	(void)state;
	EXPECT(": hello\n\n", "");
	EXPECT(":\n\n:data: a\n\n", "");
	EXPECT("data: a\n: comment\ndata: b\n\n", "[|()|-|a\nb]");
	EXPECT("Data: a\ndat: b\ndatas: c\n data: d\ndata : e\n\n", "");
	EXPECT("a very long name of a field: x\ndata: a\n\n", "[|()|-|a]");
	EXPECT("event: x\n\ndata: a\n\n", "[x|()|-|-][|()|-|a]");
	EXPECT("\xef\xbb\xbf"
	       "data: a\n\n\xef\xbb\xbf"
	       "data: b\n\n",
	       "[|()|-|a]"); /* one mark, at the start */
	EXPECT("\xef\xbb"
	       "data: a\n\ndata: b\n\n",
	       "[|()|-|b]");
	EXPECT("\xef\n\ndata: b\n\n", "[|()|-|b]");
}

static void sizes_are_bounded(void **state)
{
	static const char text[] =
		"data: 0123456789\n\n: a comment is as long as it likes to be\n"
		"data: 01234\ndata: 56789\n\ndata: 0123456789abcde\n\n";
	static struct reading reading;
	static char line[600];

	(void)state;
	expect_max(text, sizeof text - 1, 18,
		   "[|()|-|0123456789][|()|-|01234\n56789]!KOLK_E_LIMIT");
	expect_max(text, sizeof text - 1, 13, "!KOLK_E_LIMIT");
	for (size_t size = KOLK__SSE_ID_MAX; size <= KOLK__SSE_ID_MAX + 1; size++) {
		memset(line, 'i', sizeof line);
		memcpy(line, "id:", 3);
		memcpy(line + 3 + size, "\n\n", 2);
		begin(&reading, 1000);
		read_in_pieces(&reading, line, size + 5, 1, 7);
		assert_int_equal(reading.err, size > KOLK__SSE_ID_MAX ? KOLK_E_LIMIT : KOLK_OK);
	}
}

static void lines_are_written(void **state)
{
	char out[16];

	(void)state;
	assert_int_equal(kolk__sse_put_line(out, sizeof out, "id", "a 1"), 8);
	assert_memory_equal(out, "id: a 1\n", 8);
	assert_int_equal(kolk__sse_put_line(out, sizeof out, "", "on"), 5);
	assert_memory_equal(out, ": on\n", 5);
	assert_int_equal(kolk__sse_put_line(out, 7, "id", "a 1"), 0);
	assert_int_equal(kolk__sse_put_line(out, sizeof out, "id", "a\ndata: b"), 0);
	assert_int_equal(kolk__sse_put_line(out, sizeof out, "id", "a\r"), 0);
}

/* Data in pieces of this size, as it is written and read again. */
static void write_and_read(const char *data, size_t piece, const char *written,
			   const char *read)
{
	struct kolk__sse_writer writer = { 0 };
	static struct reading reading;
	char out[256];
	size_t size = 0;

	for (size_t at = 0; at < strlen(data); at += piece) {
		size_t left = strlen(data) - at;
		struct kolk__mcp_bytes in = { (const uint8_t *)data + at,
					      left < piece ? left : piece };
		struct kolk__mcp_bytes part;

		while (kolk__sse_write_data(&writer, &in, &part)) {
			assert_true(part.size > 0);
			memcpy(out + size, part.bytes, part.size);
			size += part.size;
		}
		assert_int_equal(in.size, 0);
	}
	size += (size_t)sprintf(out + size, "%s", kolk__sse_write_end(&writer));
	assert_string_equal(out, written);
	begin(&reading, 1000);
	feed(&reading, out, size);
	assert_string_equal(reading.out, read);
}

static void data_is_written(void **state)
{
	static const char *const list[][3] = {
		{ "abc", "data: abc\n\n", "[|()|-|abc]" },
		{ " a", "data:  a\n\n", "[|()|-| a]" },
		{ "a\nb\r\nc\rd", "data: a\ndata: b\ndata: c\ndata: d\n\n",
		  "[|()|-|a\nb\nc\nd]" },
		{ "\n", "data: \ndata: \n\n", "[|()|-|\n]" },
		{ "a\r\n", "data: a\ndata: \n\n", "[|()|-|a\n]" },
		{ "\r\r\n\n", "data: \ndata: \ndata: \ndata: \n\n", "[|()|-|\n\n\n]" },
		{ "", "\n", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
		for (size_t piece = 1; piece < 12; piece++)
			write_and_read(list[i][0], piece, list[i][1], list[i][2]);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(events),
	cmocka_unit_test(silence),
	cmocka_unit_test(line_ends),
	cmocka_unit_test(ids),
	cmocka_unit_test(retry),
	cmocka_unit_test(what_means_nothing),
	cmocka_unit_test(sizes_are_bounded),
	cmocka_unit_test(lines_are_written),
	cmocka_unit_test(data_is_written),
};
CMOCKA_TESTS(mcp_sse, tests);
