/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head.c - the request line and the header lines as RFC 9112 writes them, and no other way.
 *
 * The HTTP library forgives a lot, each version something else: blanks before a colon, lines that
 * go on in the next one, a bare CR, NUL. A proxy in front may have read the same bytes as another
 * request. So the library sees only heads that have one meaning.
 */
#include "tools/ops/head.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/base/ascii.h"

enum { DIGITS_MAX = 18 };

/* What is left to read; line_take moves it on. */
struct text {
	const char *at, *end;
};

static bool is_visible(char c)
{
	return c > ' ' && c < 0x7f;
}

/* RFC 9110, 5.6.2. */
static bool is_token_char(char c)
{
	return is_visible(c) && strchr("\"(),/:;<=>?@[\\]{}", c) == NULL;
}

/* RFC 9110, 5.5: a value has no control characters but HTAB. */
static bool may_stand(char c)
{
	return c == '\t' || ((unsigned char)c >= ' ' && c != 0x7f);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static size_t span(struct text text, bool (*is_in)(char))
{
	const char *at = text.at;

	while (at < text.end && is_in(*at))
		at++;
	return (size_t)(at - text.at);
}

/* The next line, without its CRLF; nothing else ends one. */
static enum kolk__head line_take(struct text *rest, struct text *line)
{
	const char *end = rest->at + span(*rest, may_stand);

	if (end == rest->end || (end + 1 == rest->end && *end == '\r'))
		return KOLK__HEAD_MORE;
	if (end[0] != '\r' || end[1] != '\n')
		return KOLK__HEAD_DOUBTFUL;
	*line = (struct text){ rest->at, end };
	rest->at = end + 2;
	return KOLK__HEAD_GOOD;
}

/* One space stands behind it. */
static bool word_skip(struct text *line, bool (*is_in)(char))
{
	size_t size = span(*line, is_in);

	line->at += size;
	return size != 0 && line->at < line->end && *line->at++ == ' ';
}

/* "METHOD target HTTP/1.1" */
static bool is_request_line(struct text line)
{
	return word_skip(&line, is_token_char) && word_skip(&line, is_visible) &&
	       line.end - line.at == 8 && memcmp(line.at, "HTTP/", 5) == 0 &&
	       is_digit(line.at[5]) && line.at[6] == '.' && is_digit(line.at[7]);
}

/* "1*DIGIT" between blanks, as a number that fits. */
static bool read_length(struct text value, uint64_t *length)
{
	while (value.at < value.end && is_blank(*value.at))
		value.at++;
	while (value.at < value.end && is_blank(value.end[-1]))
		value.end--;
	if (value.at == value.end || value.end - value.at > DIGITS_MAX ||
	    value.at + span(value, is_digit) != value.end)
		return false;
	for (*length = 0; value.at < value.end; value.at++)
		*length = *length * 10 + (uint64_t)(*value.at - '0');
	return true;
}

struct frame {
	uint64_t length;
	bool chunked;
};

/* "name: value"; the name is a token right before the colon. */
static bool header_read(struct text line, struct frame *frame)
{
	size_t size = span(line, is_token_char);
	const char *name = line.at;

	line.at += size;
	if (size == 0 || line.at == line.end || *line.at++ != ':')
		return false;
	frame->chunked |= kolk__word_is(name, size, "Transfer-Encoding");
	return !kolk__word_is(name, size, "Content-Length") || read_length(line, &frame->length);
}

/* More than one request is not read from a connection: what is there beyond its body is a body of
 * another length, or a smuggled request. */
static enum kolk__head body_check(struct text rest, const struct frame *frame)
{
	return frame->chunked || (uint64_t)(rest.end - rest.at) <= frame->length ?
		       KOLK__HEAD_GOOD : KOLK__HEAD_DOUBTFUL;
}

enum kolk__head kolk__head_check(const char *bytes, size_t size)
{
	struct text rest = { bytes, bytes + size }, line;
	struct frame frame = { .length = 0 };
	enum kolk__head found = line_take(&rest, &line);

	if (found == KOLK__HEAD_GOOD && !is_request_line(line))
		return KOLK__HEAD_DOUBTFUL;
	while (found == KOLK__HEAD_GOOD) {
		found = line_take(&rest, &line);
		if (found == KOLK__HEAD_GOOD && line.at == line.end)
			return body_check(rest, &frame);
		if (found == KOLK__HEAD_GOOD && !header_read(line, &frame))
			return KOLK__HEAD_DOUBTFUL;
	}
	return size < KOLK__HEAD_MAX ? found : KOLK__HEAD_DOUBTFUL;
}
