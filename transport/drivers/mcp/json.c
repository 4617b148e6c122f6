/* SPDX-License-Identifier: Apache-2.0 */
/* json.c - states, each of which can be left at any byte. */
#include "transport/drivers/mcp/json_state.h"

/* Of a number: what was read last. */
enum number {
	BEGIN,
	MINUS,
	ZERO,
	DIGITS,
	POINT,
	FRACTION,
	EXPONENT,
	SIGN,
	POWER,
	BAD,
	NUMBER_END
};

/* ---- numbers and literals */

static uint8_t number_after(uint8_t number, uint8_t c)
{
	/* Rows: what was read. Columns: 0, 1-9, minus, plus, point, e, anything else. */
	static const uint8_t table[][7] = {
		[BEGIN] = { ZERO, DIGITS, MINUS, BAD, BAD, BAD, BAD },
		[MINUS] = { ZERO, DIGITS, BAD, BAD, BAD, BAD, BAD },
		[ZERO] = { BAD, BAD, BAD, BAD, POINT, EXPONENT, NUMBER_END },
		[DIGITS] = { DIGITS, DIGITS, BAD, BAD, POINT, EXPONENT, NUMBER_END },
		[POINT] = { FRACTION, FRACTION, BAD, BAD, BAD, BAD, BAD },
		[FRACTION] = { FRACTION, FRACTION, BAD, BAD, BAD, EXPONENT, NUMBER_END },
		[EXPONENT] = { POWER, POWER, SIGN, SIGN, BAD, BAD, BAD },
		[SIGN] = { POWER, POWER, BAD, BAD, BAD, BAD, BAD },
		[POWER] = { POWER, POWER, BAD, BAD, BAD, BAD, NUMBER_END },
	};
	uint8_t column = 6;

	if (c >= '0' && c <= '9')
		column = c != '0';
	else if (c == '-' || c == '+')
		column = c == '-' ? 2 : 3;
	else if (c == '.' || c == 'e' || c == 'E')
		column = c == '.' ? 4 : 5;
	return table[number][column];
}

/* A string or a number. */
static void scalar_begin(struct kolk__json *json, const uint8_t *p)
{
	text_begin(json, p);
	json->is_key = false;
	if (json->next.keep != KEEP_NOTHING) {
		json->text.bytes = json->next.bytes;
		json->text.max = json->next.max;
		json->text.keep = json->next.keep;
		json->next.keep = KEEP_NOTHING;
	}
}

static const uint8_t *number_begin(struct kolk__json *json, const uint8_t *p)
{
	scalar_begin(json, p);
	json->state = NUMBER;
	json->number = BEGIN;
	return p;
}

static const uint8_t *read_number(struct kolk__json *json, const uint8_t *p, const uint8_t *end)
{
	const uint8_t *from = p;
	uint8_t number = json->number, next = number;

	for (; p < end; p++, number = next) {
		if (number == DIGITS && *p >= '0' && *p <= '9')
			continue;
		next = number_after(number, *p);
		if (next >= BAD)
			break;
	}
	json->number = number;
	if (json->text.keep != KEEP_NOTHING)
		keep(&json->text, from, (size_t)(p - from));
	if (next == BAD)
		return fail(json, KOLK_E_PROTOCOL, p);
	if (next == NUMBER_END) {
		value_ended(json);
		report(json, number == ZERO || number == DIGITS ? TOKEN_INTEGER : TOKEN_NUMBER);
	}
	return p;
}

static const uint8_t *literal_begin(struct kolk__json *json, const uint8_t *p)
{
	text_begin(json, p);
	json->next.keep = KEEP_NOTHING;
	json->literal = *p == 't' ? "true" : *p == 'f' ? "false" : "null";
	json->literal_token = *p == 't' ? TOKEN_TRUE : *p == 'f' ? TOKEN_FALSE : TOKEN_NULL;
	json->state = LITERAL;
	return p;
}

static const uint8_t *read_literal(struct kolk__json *json, const uint8_t *p,
				   const uint8_t *end)
{
	for (; p < end && *json->literal != '\0'; p++, json->literal++)
		if (*p != (uint8_t)*json->literal)
			return fail(json, KOLK_E_PROTOCOL, p);
	if (*json->literal == '\0') {
		value_ended(json);
		report(json, json->literal_token);
	}
	return p;
}

/* ---- between them */

static const uint8_t *open_container(struct kolk__json *json, const uint8_t *p)
{
	uint64_t bit = UINT64_C(1) << json->depth % 64;
	bool object = *p == '{';

	text_begin(json, p);
	json->next.keep = KEEP_NOTHING;
	if (json->depth == json->depth_max)
		return fail(json, KOLK_E_LIMIT, p);
	report(json, object ? TOKEN_OBJECT : TOKEN_ARRAY);
	if (object)
		json->objects[json->depth / 64] |= bit;
	else
		json->objects[json->depth / 64] &= ~bit;
	json->depth++;
	json->in_object = object;
	json->state = object ? KEY_OR_END : VALUE_OR_END;
	return p + 1;
}

static const uint8_t *close_container(struct kolk__json *json, const uint8_t *p)
{
	bool object = *p == '}';
	uint32_t around = --json->depth - 1; /* nothing, at depth 0 */

	json->in_object =
		json->depth > 0 && (json->objects[around / 64] >> around % 64 & 1) != 0;
	value_ended(json);
	report(json, object ? TOKEN_OBJECT_END : TOKEN_ARRAY_END);
	return p + 1;
}

static const uint8_t *key_begin(struct kolk__json *json, const uint8_t *p, const uint8_t *end)
{
	if (*p != '"')
		return fail(json, KOLK_E_PROTOCOL, p);
	text_begin(json, p);
	if (json->depth <= json->report_depth) {
		json->text.bytes = json->key;
		json->text.max = sizeof json->key;
		json->text.keep = KEEP_DECODED;
	}
	json->is_key = true;
	return kolk__json_string_begin(json, p, end);
}

static const uint8_t *value_begin(struct kolk__json *json, const uint8_t *p, const uint8_t *end)
{
	switch (*p) {
	case '"':
		scalar_begin(json, p);
		return kolk__json_string_begin(json, p, end);
	case '{':
	case '[':
		return open_container(json, p);
	case 't':
	case 'f':
	case 'n':
		return literal_begin(json, p);
	default:
		return number_begin(json, p); /* refuses what is none */
	}
}

static const uint8_t *after_value(struct kolk__json *json, const uint8_t *p, const uint8_t *end)
{
	if (*p == ',') {
		json->state = json->in_object ? KEY : VALUE;
		p++;
		/* Mostly a key follows at once. */
		return json->in_object && p < end && *p == '"' ? key_begin(json, p, end) : p;
	}
	if (*p == (json->in_object ? '}' : ']'))
		return close_container(json, p);
	return fail(json, KOLK_E_PROTOCOL, p);
}

static const uint8_t *after_key(struct kolk__json *json, const uint8_t *p, const uint8_t *end)
{
	if (*p != ':')
		return fail(json, KOLK_E_PROTOCOL, p);
	json->state = VALUE;
	p++;
	/* Mostly a value follows at once. */
	return p<end && * p> ' ' ? value_begin(json, p, end) : p;
}

static const uint8_t *read_structure(struct kolk__json *json, const uint8_t *p,
				     const uint8_t *end)
{
	uint8_t c = *p;

	if (c <= ' ' && (c == ' ' || c == '\n' || c == '\r' || c == '\t'))
		return p + 1;
	switch (json->state) {
	case COLON:
		return after_key(json, p, end);
	case AFTER:
		return after_value(json, p, end);
	case KEY_OR_END:
		return c == '}' ? close_container(json, p) : key_begin(json, p, end);
	case KEY:
		return key_begin(json, p, end);
	case VALUE_OR_END:
		return c == ']' ? close_container(json, p) : value_begin(json, p, end);
	case VALUE:
		return value_begin(json, p, end);
	default: /* ENDED */
		return fail(json, KOLK_E_PROTOCOL, p);
	}
}

/* ---- the text */

void kolk__json_keep(struct kolk__json *json, enum kolk__json_keep how, char *bytes,
		     uint32_t max)
{
	json->next.bytes = bytes;
	json->next.max = max;
	json->next.keep = (uint8_t)how;
}

void kolk__json_begin(struct kolk__json *json, uint64_t bytes_max, uint32_t depth_max)
{
	memset(json, 0, offsetof(struct kolk__json, key));
	json->bytes_max = bytes_max;
	json->depth_max = depth_max < KOLK__JSON_DEPTH_MAX ? depth_max : KOLK__JSON_DEPTH_MAX;
	json->report_depth = UINT32_MAX;
	json->state = VALUE;
}

enum kolk_err kolk__json_next(struct kolk__json *json, const uint8_t **at, size_t *left,
			      enum kolk__json_token *token)
{
	const uint8_t *p = *at, *end = p + *left;
	uint64_t rest = json->bytes_max - json->at;
	bool over = *left > rest;

	if (over)
		end = p + rest;
	json->piece = p;
	json->token = json->err == KOLK_OK ? TOKEN_MORE : TOKEN_NONE;
	while (p < end && json->token == TOKEN_MORE) {
		if (json->state < STRING)
			p = read_structure(json, p, end);
		else if (json->state == STRING)
			p = kolk__json_read_string(json, p, end);
		else if (json->state == NUMBER)
			p = read_number(json, p, end);
		else
			p = read_literal(json, p, end);
	}
	if (over && json->token == TOKEN_MORE)
		fail(json, KOLK_E_LIMIT, p);
	json->at += (uint64_t)(p - *at);
	*left -= (size_t)(p - *at);
	*at = p;
	*token = json->token;
	return json->err;
}

enum kolk_err kolk__json_end(struct kolk__json *json)
{
	bool number = json->state == NUMBER && json->depth == 0 &&
		      number_after(json->number, ' ') == NUMBER_END;

	if (json->err == KOLK_OK && json->state != ENDED && !number)
		json->err = KOLK_E_PROTOCOL;
	return json->err;
}

bool kolk__json_in_scalar(const struct kolk__json *json)
{
	return (json->state == STRING || json->state == NUMBER) && !json->is_key;
}
