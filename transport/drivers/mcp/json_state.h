/* SPDX-License-Identifier: Apache-2.0 */
/* json_state.h - what json.c and json_string.c share. */
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
	memcpy(text->bytes + text->size, bytes, size);
	text->size += (uint32_t)size;
}

/* A token begins. What is not reported is not kept either. */
static inline void text_begin(struct kolk__json *json, const uint8_t *p)
{
	json->token_at = json->at + (uint64_t)(p - json->piece);
	json->text.keep = KEEP_NOTHING;
	json->text.size = 0;
	json->text.cut = json->text.ambiguous = false;
}

/* json_string.c: both return how far they have read. */
const uint8_t *kolk__json_string_begin(struct kolk__json *json, const uint8_t *quote,
				       const uint8_t *end);
const uint8_t *kolk__json_read_string(struct kolk__json *json, const uint8_t *p,
				      const uint8_t *end);

#endif
