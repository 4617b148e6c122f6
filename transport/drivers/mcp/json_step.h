/* SPDX-License-Identifier: Apache-2.0 */
/* json_step.h - from one token to the next (kolk__json_next), inline in a loop that takes each of
 * them: two of each member. */
#ifndef KOLK_MCP_JSON_STEP_H
#define KOLK_MCP_JSON_STEP_H

#include "transport/drivers/mcp/json_plain.h"
#include "transport/drivers/mcp/json_state.h"

/* A string or a number. */
static inline void scalar_begin(struct kolk__json *json, const uint8_t *p)
{
	text_begin(json, p);
	json->is_key = false;
	if (json->next.keep != KEEP_NOTHING) {
		json->text.bytes = json->text.to = json->next.to;
		json->text.max = json->next.max;
		json->text.keep = json->next.keep;
		json->next.keep = KEEP_NOTHING;
	}
}

static inline const uint8_t *string_begin(struct kolk__json *json, const uint8_t *p,
					  const uint8_t *end)
{
	const uint8_t *behind = plain_run(p + 1, end);

	scalar_begin(json, p);
	if (behind == end || *behind != '"')
		return kolk__json_string_begin(json, p, behind);
	if (json->text.keep == KEEP_DECODED)
		keep(&json->text, p + 1, (size_t)(behind - p - 1));
	else if (json->text.keep == KEEP_RAW)
		keep(&json->text, p, (size_t)(behind + 1 - p));
	value_ended(json);
	report(json, TOKEN_STRING);
	return behind + 1;
}

static inline const uint8_t *open_container(struct kolk__json *json, const uint8_t *p)
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

static inline const uint8_t *close_container(struct kolk__json *json, const uint8_t *p)
{
	bool object = *p == '}';
	uint32_t around = --json->depth - 1; /* nothing, at depth 0 */

	json->in_object =
		json->depth > 0 && (json->objects[around / 64] >> around % 64 & 1) != 0;
	value_ended(json);
	report(json, object ? TOKEN_OBJECT_END : TOKEN_ARRAY_END);
	return p + 1;
}

static inline const uint8_t *key_begin(struct kolk__json *json, const uint8_t *p,
				       const uint8_t *end)
{
	const uint8_t *behind;
	size_t size;

	if (*p != '"')
		return fail(json, KOLK_E_PROTOCOL, p);
	text_begin(json, p);
	json->is_key = true;
	behind = plain_run(p + 1, end);
	if (json->depth > json->report_depth) {
		if (behind == end || *behind != '"')
			return kolk__json_string_begin(json, p, behind);
		json->state = COLON;
		return behind + 1;
	}
	json->text.max = sizeof json->key;
	if (behind == end || *behind != '"') {
		json->text.bytes = json->text.to = json->key;
		json->text.keep = KEEP_DECODED;
		return kolk__json_string_begin(json, p, behind);
	}
	/* Most keys are whole and without escapes: they are shown where they are. */
	size = (size_t)(behind - p - 1);
	json->text.bytes = (const char *)p + 1;
	json->text.cut = size > sizeof json->key;
	json->text.size = json->text.cut ? (uint32_t)sizeof json->key : (uint32_t)size;
	json->state = COLON;
	json->token = TOKEN_KEY;
	return behind + 1;
}

static inline const uint8_t *value_begin(struct kolk__json *json, const uint8_t *p,
					 const uint8_t *end)
{
	if (*p == '"')
		return string_begin(json, p, end);
	if (*p == '{' || *p == '[')
		return open_container(json, p);
	return kolk__json_word_begin(json, p);
}

static inline const uint8_t *after_value(struct kolk__json *json, const uint8_t *p,
					 const uint8_t *end)
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

static inline const uint8_t *after_key(struct kolk__json *json, const uint8_t *p,
				       const uint8_t *end)
{
	if (*p != ':')
		return fail(json, KOLK_E_PROTOCOL, p);
	json->state = VALUE;
	p++;
	/* Mostly a value follows at once. */
	return p < end && *p > ' ' ? value_begin(json, p, end) : p;
}

static inline const uint8_t *read_structure(struct kolk__json *json, const uint8_t *p,
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

/* A piece begins: json_step may go as far as what is returned, no further than bytes_max. */
static inline const uint8_t *json_piece(struct kolk__json *json, const uint8_t *p, size_t size)
{
	const uint64_t rest = json->bytes_max - json->at;

	json->origin = (uintptr_t)p - (uintptr_t)json->at;
	return p + (size < rest ? size : rest);
}

/* To the next token, which is json->token: TOKEN_MORE = there is none up to the end. */
static inline const uint8_t *json_step(struct kolk__json *json, const uint8_t *p,
				       const uint8_t *end)
{
	json->token = TOKEN_MORE;
	while (p < end && json->token == TOKEN_MORE)
		p = json->state < STRING ? read_structure(json, p, end) :
					   kolk__json_read_rest(json, p, end);
	json->at = offset_of(json, p);
	return p;
}

#endif
