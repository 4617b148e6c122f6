/* SPDX-License-Identifier: Apache-2.0 */
/* json.c - states, each of which can be left at any byte. */
#include "transport/drivers/mcp/json_step.h"

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

const uint8_t *kolk__json_word_begin(struct kolk__json *json, const uint8_t *p)
{
	if (*p == 't' || *p == 'f' || *p == 'n')
		return literal_begin(json, p);
	return number_begin(json, p); /* refuses what is none */
}

const uint8_t *kolk__json_read_rest(struct kolk__json *json, const uint8_t *p, const uint8_t *end)
{
	if (json->state == STRING)
		return kolk__json_read_string(json, p, end);
	return json->state == NUMBER ? read_number(json, p, end) : read_literal(json, p, end);
}

/* ---- the text */

void kolk__json_keep(struct kolk__json *json, enum kolk__json_keep how, char *bytes,
		     uint32_t max)
{
	json->next.to = bytes;
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
	const uint8_t *p = *at, *end = json_piece(json, p, *left);

	if (json->err == KOLK_OK)
		p = json_step(json, p, end);
	if (json->err == KOLK_OK && json->token == TOKEN_MORE && (size_t)(end - *at) < *left)
		fail(json, KOLK_E_LIMIT, p);
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
