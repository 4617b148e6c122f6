/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http1_fields_test.c - random lines of fields, split by the library, and by the rules of RFC 9112,
 * section 5, as they are read there: byte by byte, each rule by itself. Both always say the same.
 */
#include "tests/kit/cmocka/run.h"

#include <stdlib.h>
#include <string.h>

#include "transport/drivers/h1_fields.h"

enum { ROUNDS = 200000, LINES_MAX = 5, FIELDS_MAX = 4, TEXT_BYTES = 1024, VALUE_BYTES = 48 };

static uint64_t state = 1;

static uint32_t below(uint32_t count)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(state >> 33) % count;
}

/* ---- lines: mostly good ones, of which a byte is another one now and then */

static size_t add_some(char *at, const char *of, size_t count)
{
	size_t kinds = strlen(of);

	for (size_t i = 0; i < count; i++)
		at[i] = of[below((uint32_t)kinds)];
	return count;
}

static size_t make_line(char *text)
{
	char *at = text;

	at += add_some(at, "abzABZ09-_~!", 1 + below(20));
	*at++ = ':';
	at += add_some(at, " \t", below(4));
	at += add_some(at, "aZ0 \t:,\"\\\x80\xff~!", below(VALUE_BYTES));
	at += add_some(at, " \t", below(3));
	memcpy(at, "\r\n", 2);
	at += 2;
	if (below(4) == 0)
		text[below((uint32_t)(at - text))] = "\r\n\t :\x7f\x1f\0@[`{a"[below(13)];
	return (size_t)(at - text);
}

/* An empty line is behind them, and zeros are behind that. */
static size_t make_lines(char text[TEXT_BYTES])
{
	size_t size = 0;

	memset(text, 0, TEXT_BYTES);
	for (uint32_t lines = below(LINES_MAX + 1); lines > 0; lines--)
		size += make_line(text + size);
	memcpy(text + size, "\r\n", 2);
	return size + 2;
}

/* ---- the rules */

static bool is_token_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_blank_byte(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_value_byte(char c)
{
	return c == '\t' || ((uint8_t)c >= ' ' && c != 0x7f);
}

/* A line without its CR LF. Whether it is a field, which is cut into strings then. */
static bool read_line(char *line, char *end, struct kolk_http_field *field)
{
	char *colon = memchr(line, ':', (size_t)(end - line)), *value;

	if (colon == NULL || colon == line)
		return false;
	for (char *at = line; at < colon; at++) {
		if (!is_token_byte(*at))
			return false;
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at + 'a' - 'A');
	}
	for (value = colon + 1; value < end && is_blank_byte(*value); value++)
		;
	while (end > value && is_blank_byte(end[-1]))
		end--;
	for (const char *at = value; at < end; at++)
		if (!is_value_byte(*at))
			return false;
	*colon = *end = '\0';
	*field = (struct kolk_http_field){ line, value };
	return true;
}

static enum kolk_err read_lines(char *text, struct kolk_http_field *fields, uint32_t *count)
{
	for (*count = 0; memcmp(text, "\r\n", 2) != 0;) {
		char *end = strchr(text, '\n');
		struct kolk_http_field field;

		if (end == NULL || end == text || end[-1] != '\r' ||
		    !read_line(text, end - 1, &field) || *count == FIELDS_MAX)
			return KOLK_E_PROTOCOL;
		fields[(*count)++] = field;
		text = end + 1;
	}
	return KOLK_OK;
}

/* ---- both */

static void expect_same(const char *lines, struct h1_message *message, bool *good)
{
	struct kolk_http_field fields[FIELDS_MAX];
	char text[TEXT_BYTES], other[TEXT_BYTES];
	struct h1_framing framing = { 0 };
	uint32_t count;
	enum kolk_err err;

	memcpy(text, lines, sizeof text);
	memcpy(other, lines, sizeof other);
	message->text = text;
	err = read_lines(other, fields, &count);
	assert_int_equal(h1_split_fields(message, text, &framing), err);
	*good = err == KOLK_OK;
	if (!*good)
		return;
	assert_int_equal(message->field_count, count);
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(message->fields[i].name - text, fields[i].name - other);
		assert_int_equal(message->fields[i].value - text, fields[i].value - other);
		assert_string_equal(message->fields[i].name, fields[i].name);
		assert_string_equal(message->fields[i].value, fields[i].value);
	}
}

static void test_random(void **unused)
{
	struct h1_message message = { .fields_max = FIELDS_MAX };
	uint32_t goods = 0;

	(void)unused;
	for (uint32_t round = 0; round < ROUNDS; round++) {
		char lines[TEXT_BYTES];
		bool good;

		message.text_size = make_lines(lines);
		expect_same(lines, &message, &good);
		goods += good;
	}
	assert_in_range(goods, ROUNDS / 4, ROUNDS * 3 / 4); /* both kinds come often */
	free(message.fields);
}

static const struct CMUnitTest tests[] = { cmocka_unit_test(test_random) };
CMOCKA_TESTS(http1_fields, tests);
