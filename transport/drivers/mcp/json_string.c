/* SPDX-License-Identifier: Apache-2.0 */
/* json_string.c - strings: plain bytes as json_plain.h has them, UTF-8 and escapes byte by byte. */
#include "transport/drivers/mcp/json_plain.h"
#include "transport/drivers/mcp/json_state.h"

enum part { PLAIN, ESCAPE, HEX, UTF8 };

/* ---- what is kept */

static void keep_decoded(struct kolk__json *json, const void *bytes, size_t size)
{
	if (json->text.keep == KEEP_DECODED)
		keep(&json->text, bytes, size);
}

static void keep_code_point(struct kolk__json *json, uint32_t code)
{
	char bytes[4];
	size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

	if (code == 0)
		json->text.ambiguous = true;
	if (size == 1) {
		bytes[0] = (char)code;
	} else {
		for (size_t i = size - 1; i > 0; i--, code >>= 6)
			bytes[i] = (char)(0x80 | (code & 0x3f));
		bytes[0] = (char)((0xf00 >> size) | code);
	}
	keep_decoded(json, bytes, size);
}

/* The first half of a pair, without a second one. */
static void surrogate_alone(struct kolk__json *json)
{
	json->surrogate = 0;
	json->text.ambiguous = true;
	keep_code_point(json, 0xfffd);
}

/* ---- strings */

static const uint8_t *string_end(struct kolk__json *json, const uint8_t *p)
{
	if (json->is_key) {
		json->state = COLON;
		report(json, TOKEN_KEY);
	} else {
		value_ended(json);
		report(json, TOKEN_STRING);
	}
	return p;
}

/* Characters of two or three bytes, as long as all of them are there and right. */
static const uint8_t *utf8_run(const uint8_t *p, const uint8_t *end)
{
	while (end - p >= 3) {
		bool second = (p[1] & 0xc0) == 0x80;

		if (p[0] >= 0xc2 && p[0] < 0xe0 && second)
			p += 2;
		else if ((p[0] & 0xf0) == 0xe0 && second && (p[2] & 0xc0) == 0x80 &&
			 (p[0] != 0xe0 || p[1] >= 0xa0) && (p[0] != 0xed || p[1] < 0xa0))
			p += 3;
		else
			break;
	}
	return p;
}

/* The first byte of a character of several. */
static const uint8_t *utf8_begin(struct kolk__json *json, const uint8_t *p)
{
	uint8_t c = *p;

	if (c < 0xc2 || c > 0xf4)
		return fail(json, KOLK_E_PROTOCOL, p);
	json->utf8_left = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	json->utf8_low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	json->utf8_high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
	json->part = UTF8;
	keep_decoded(json, p, 1);
	return p + 1;
}

static const uint8_t *utf8_next(struct kolk__json *json, const uint8_t *p, const uint8_t *end)
{
	const uint8_t *from = p;

	for (; p < end && json->utf8_left > 0; p++, json->utf8_left--) {
		if (*p < json->utf8_low || *p > json->utf8_high)
			return fail(json, KOLK_E_PROTOCOL, p);
		json->utf8_low = 0x80;
		json->utf8_high = 0xbf;
	}
	keep_decoded(json, from, (size_t)(p - from));
	if (json->utf8_left == 0)
		json->part = PLAIN;
	return p;
}

static const uint8_t *string_plain(struct kolk__json *json, const uint8_t *p,
				   const uint8_t *end)
{
	const uint8_t *from = p;

	if (json->surrogate != 0 && *p != '\\')
		surrogate_alone(json);
	p = plain_run(p, end);
	if (p < end && *p >= 0x80)
		p = utf8_run(p, end);
	keep_decoded(json, from, (size_t)(p - from));
	if (p == end)
		return p;
	if (*p == '"')
		return string_end(json, p + 1);
	if (*p >= 0x80)
		return utf8_begin(json, p);
	if (*p >= 0x20 && *p != '\\')
		return p; /* behind characters of several bytes */
	if (*p != '\\')
		return fail(json, KOLK_E_PROTOCOL, p);
	json->part = ESCAPE;
	return p + 1;
}

static const uint8_t *escape(struct kolk__json *json, const uint8_t *p)
{
	static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
	const char *letter;

	if (*p == 'u') {
		json->part = HEX;
		json->hex_left = 4;
		json->unit = 0;
		return p + 1;
	}
	letter = *p != 0 ? strchr(letters, *p) : NULL;
	if (letter == NULL)
		return fail(json, KOLK_E_PROTOCOL, p);
	if (json->surrogate != 0)
		surrogate_alone(json);
	keep_code_point(json, (uint8_t)meanings[letter - letters]);
	json->part = PLAIN;
	return p + 1;
}

/* \uXXXX is whole. */
static void unit_ended(struct kolk__json *json)
{
	uint16_t unit = json->unit;

	json->part = PLAIN;
	if (json->surrogate != 0 && unit >= 0xdc00 && unit <= 0xdfff) {
		keep_code_point(json, 0x10000 + (((uint32_t)json->surrogate & 0x3ff) << 10) +
					      (unit & 0x3ff));
		json->surrogate = 0;
		return;
	}
	if (json->surrogate != 0)
		surrogate_alone(json);
	if (unit >= 0xd800 && unit <= 0xdbff)
		json->surrogate = unit;
	else if (unit >= 0xdc00 && unit <= 0xdfff)
		surrogate_alone(json);
	else
		keep_code_point(json, unit);
}

static const uint8_t *hex(struct kolk__json *json, const uint8_t *p)
{
	uint8_t c = *p, digit;

	if (c >= '0' && c <= '9')
		digit = (uint8_t)(c - '0');
	else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		digit = (uint8_t)((c | 0x20) - 'a' + 10);
	else
		return fail(json, KOLK_E_PROTOCOL, p);
	json->unit = (uint16_t)(json->unit << 4 | digit);
	if (--json->hex_left == 0)
		unit_ended(json);
	return p + 1;
}

const uint8_t *kolk__json_read_string(struct kolk__json *json, const uint8_t *p,
				      const uint8_t *end)
{
	const uint8_t *from = p;

	while (p < end && json->state == STRING && json->token == TOKEN_MORE) {
		if (json->part == PLAIN)
			p = string_plain(json, p, end);
		else if (json->part == ESCAPE)
			p = escape(json, p);
		else if (json->part == HEX)
			p = hex(json, p);
		else
			p = utf8_next(json, p, end);
	}
	if (json->text.keep == KEEP_RAW)
		keep(&json->text, from, (size_t)(p - from));
	return p;
}

const uint8_t *kolk__json_string_begin(struct kolk__json *json, const uint8_t *quote,
				       const uint8_t *p)
{
	json->state = STRING;
	json->part = PLAIN;
	keep_decoded(json, quote + 1, (size_t)(p - quote - 1));
	if (json->text.keep == KEEP_RAW)
		keep(&json->text, quote, (size_t)(p - quote));
	return p;
}
