/* SPDX-License-Identifier: Apache-2.0 */
/* json_state.h - what json.c, json_string.c and json_step.h share. */
#ifndef KOLK_MCP_JSON_STATE_H
#define KOLK_MCP_JSON_STATE_H

#include <string.h>

#include "transport/drivers/mcp/json.h"

enum state {
	VALUE,
	VALUE_OR_END, /* behind "[" */
	KEY,	      /* behind a comma in an object */
	KEY_OR_END,   /* behind "{" */
	COLON,
	AFTER,	/* behind a value in a container */
	ENDED,	/* behind the value */
	STRING, /* inside */
	NUMBER,
	LITERAL,
};

static inline const uint8_t *fail(struct kolk__json *json, enum kolk_err err, const uint8_t *p)
{
	json->err = err;
	json->token = TOKEN_NONE;
	return p;
}

static inline void report(struct kolk__json *json, enum kolk__json_token token)
{
	if (json->depth <= json->report_depth)
		json->token = (uint8_t)token;
}

static inline void value_ended(struct kolk__json *json)
{
	json->state = json->depth > 0 ? AFTER : ENDED;
}

static inline void keep(struct kolk__json_text *text, const void *bytes, size_t size)
{
	size_t room = text->max - text->size;

	if (size > room) {
		text->cut = true;
		size = room;
	}
	memcpy(text->to + text->size, bytes, size);
	text->size += (uint32_t)size;
}

/* In the text, during a call. */
static inline uint64_t offset_of(const struct kolk__json *json, const uint8_t *p)
{
	return (uintptr_t)p - json->origin;
}

/* A token begins. What is not reported is not kept either. */
static inline void text_begin(struct kolk__json *json, const uint8_t *p)
{
	json->token_at = offset_of(json, p);
	json->text.keep = KEEP_NOTHING;
	json->text.size = 0;
	json->text.cut = json->text.ambiguous = false;
}

/* json.c, json_string.c: all return how far they have read. */
/* No string and no container begins: a number or a literal. */
const uint8_t *kolk__json_word_begin(struct kolk__json *json, const uint8_t *p);
const uint8_t *kolk__json_read_rest(struct kolk__json *json, const uint8_t *p, const uint8_t *end);
const uint8_t *kolk__json_read_string(struct kolk__json *json, const uint8_t *p,
				      const uint8_t *end);
/* A string begins that is no plain run of bytes: those between its quote and p are plain. */
const uint8_t *kolk__json_string_begin(struct kolk__json *json, const uint8_t *quote,
				       const uint8_t *p);

#endif
