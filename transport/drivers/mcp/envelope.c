/* SPDX-License-Identifier: Apache-2.0 */
/* envelope.c - from tokens to fields: which member of which object a value is. */
#include "transport/drivers/mcp/envelope.h"

#include <string.h>

#include "core/base/ascii.h"
#include "transport/drivers/mcp/json_step.h"

enum {
	DEPTH_MAX = 128,
	NO_FIELD = KOLK__MCP_FIELDS,
};

/* Whose members are read. TEXT, BATCH: nobody's yet; DONE: nothing follows. */
enum level { TEXT, BATCH, DONE, ELEMENT, MESSAGE, PARAMS, RESULT, ERROR, META };

struct member {
	const char *name;
	uint8_t size, level, keep;
	uint16_t max;
};

static const struct member members[KOLK__MCP_FIELDS] = {
#define X(field, level, name, keep, max) { name, sizeof name - 1, level, keep, max },
	KOLK__MCP_FIELD_TABLE(X)
#undef X
};

/* The members of a level: the table has them together. */
static const struct {
	uint8_t first, last;
} levels[] = {
	[MESSAGE] = { MCP_JSONRPC, MCP_ERROR },
	[PARAMS] = { MCP_NAME, MCP_PARAMS_META },
	[RESULT] = { MCP_RESULT_VERSION, MCP_RESULT_META },
	[ERROR] = { MCP_CODE, MCP_CODE },
	[META] = { MCP_META_TOKEN, MCP_META_SUBSCRIPTION },
};

_Static_assert(KOLK__MCP_FIELDS <= 32, "one bit each");

static bool one_of(enum kolk__mcp_field_name field, uint32_t bits)
{
	return (bits >> field & 1) != 0;
}

static void set_fault(struct kolk__mcp_envelope *envelope, enum kolk__mcp_fault fault)
{
	if (envelope->message.fault == MCP_FAULT_NONE)
		envelope->message.fault = fault;
}

/* ---- names of members */

/* Lower case as the most generous readers fold it: U+017F is "s", U+212A is "k". */
static uint32_t fold(char *out, const char *name, uint32_t size)
{
	uint32_t to = 0;

	for (uint32_t i = 0; i < size; i++) {
		if (size - i >= 2 && memcmp(name + i, "\xc5\xbf", 2) == 0) {
			out[to++] = 's';
			i += 1;
		} else if (size - i >= 3 && memcmp(name + i, "\xe2\x84\xaa", 3) == 0) {
			out[to++] = 'k';
			i += 2;
		} else {
			out[to++] = name[i];
		}
	}
	return to;
}

static bool looks_like_member(const char *name, uint32_t size, uint8_t level)
{
	char folded[KOLK__JSON_KEY_MAX];

	if (memchr(name, 0xc5, size) != NULL || memchr(name, 0xe2, size) != NULL) {
		size = fold(folded, name, size);
		name = folded;
	}
	for (uint8_t i = levels[level].first; i <= levels[level].last; i++)
		if (members[i].size == size && kolk__word_is(name, size, members[i].name))
			return true;
	return false;
}

static uint8_t member_of(uint8_t level, const char *name, uint32_t size)
{
	for (uint8_t i = levels[level].first; i <= levels[level].last; i++)
		if (members[i].size == size && members[i].name[0] == name[0] &&
		    memcmp(members[i].name, name, size) == 0)
			return i;
	return NO_FIELD;
}

static void keep_value(struct kolk__mcp_envelope *envelope, const struct member *member)
{
	uint32_t left = envelope->limits.text_size - envelope->text_used;

	if (member->keep != KEEP_NOTHING)
		kolk__json_keep(&envelope->json, member->keep,
				envelope->limits.text + envelope->text_used,
				member->max < left ? member->max : left);
}

static void take_key(struct kolk__mcp_envelope *envelope)
{
	struct kolk__json_text *text = &envelope->json.text;
	uint8_t field =
		text->cut ? NO_FIELD : member_of(envelope->level, text->bytes, text->size);

	envelope->open = field;
	if (text->ambiguous)
		set_fault(envelope, MCP_FAULT_AMBIGUOUS);
	if (field == NO_FIELD) {
		if (!text->cut && looks_like_member(text->bytes, text->size, envelope->level))
			set_fault(envelope, MCP_FAULT_LOOKALIKE);
		return;
	}
	if (one_of(field, envelope->seen))
		set_fault(envelope, MCP_FAULT_TWICE);
	envelope->seen |= UINT32_C(1) << field;
	keep_value(envelope, &members[field]);
}

/* ---- values */

static uint8_t type_of(enum kolk__json_token token)
{
	switch (token) {
	case TOKEN_STRING:
		return MCP_STRING;
	case TOKEN_INTEGER:
		return MCP_INTEGER;
	case TOKEN_NUMBER:
		return MCP_NUMBER;
	case TOKEN_NULL:
		return MCP_NULL;
	case TOKEN_OBJECT:
		return MCP_OBJECT;
	case TOKEN_ARRAY:
		return MCP_ARRAY;
	default:
		return MCP_BOOLEAN;
	}
}

/* A field's value has been read whole, up to where the reader is. */
static void value_known(struct kolk__mcp_envelope *envelope, enum kolk__mcp_field_name name)
{
	struct kolk__mcp_field *field = &envelope->message.fields[name];
	enum kolk__mcp_fault fault;

	field->size = envelope->json.at - field->at;
	envelope->message.known |= UINT32_C(1) << name;
	fault = kolk__mcp_check_field(&envelope->message, name);
	if (fault != MCP_FAULT_NONE)
		set_fault(envelope, fault);
}

static void take_text(struct kolk__mcp_envelope *envelope, struct kolk__mcp_field *field)
{
	const struct kolk__json_text *text = &envelope->json.text;

	field->text = text->bytes;
	field->text_size = text->size;
	field->cut = text->cut;
	envelope->text_used += text->size;
	if (text->ambiguous)
		set_fault(envelope, MCP_FAULT_AMBIGUOUS);
}

/* Whether the value of this field is an object whose members are read, and which level it
 * is. */
static uint8_t level_of(enum kolk__mcp_field_name field)
{
	switch (field) {
	case MCP_PARAMS:
		return PARAMS;
	case MCP_RESULT:
		return RESULT;
	case MCP_ERROR:
		return ERROR;
	case MCP_PARAMS_META:
	case MCP_RESULT_META:
		return META;
	default:
		return TEXT;
	}
}

static void enter(struct kolk__mcp_envelope *envelope, uint8_t field, uint8_t level)
{
	envelope->levels[envelope->nested++] = field;
	envelope->level = level;
	envelope->open = NO_FIELD;
	envelope->json.report_depth = envelope->json.depth;
}

/* A value, or the beginning of a container. */
static void take_value(struct kolk__mcp_envelope *envelope, enum kolk__json_token token)
{
	uint8_t name = envelope->open;
	struct kolk__mcp_field *field = &envelope->message.fields[name];

	if (name == NO_FIELD)
		return;
	*field = (struct kolk__mcp_field){ .at = envelope->json.token_at,
					   .type = type_of(token) };
	if (token == TOKEN_OBJECT && level_of(name) != TEXT) {
		enter(envelope, name, level_of(name));
		return;
	}
	if (token == TOKEN_OBJECT || token == TOKEN_ARRAY)
		return; /* until it ends */
	if (envelope->json.text.keep != KEEP_NOTHING)
		take_text(envelope, field);
	value_known(envelope, name);
	envelope->open = NO_FIELD;
}

/* ---- messages */

static void message_begin(struct kolk__mcp_envelope *envelope, uint8_t level)
{
	struct kolk__mcp_message *message = &envelope->message;

	message->kind = MCP_INVALID;
	message->fault = level == MESSAGE ? MCP_FAULT_NONE : MCP_FAULT_NO_MESSAGE;
	message->at = envelope->json.token_at;
	message->size = 0;
	message->known = 0;
	message->code = 0;
	envelope->seen = 0;
	envelope->text_used = 0;
	envelope->open = NO_FIELD;
	envelope->nested = 0;
	envelope->level = level;
	envelope->json.report_depth = (uint32_t)envelope->base + (level == MESSAGE);
}

static bool message_end(struct kolk__mcp_envelope *envelope)
{
	struct kolk__mcp_message *message = &envelope->message;
	enum kolk__mcp_fault fault = MCP_FAULT_NONE;

	message->size = envelope->json.at - message->at;
	if (message->fault == MCP_FAULT_NONE)
		message->kind = kolk__mcp_kind_of(message, &fault);
	if (message->fault == MCP_FAULT_NONE && message->kind == MCP_INVALID)
		message->fault = fault;
	envelope->level = envelope->base == 0 ? DONE : BATCH;
	envelope->json.report_depth = 1;
	return true;
}

/* A container has ended. Whether the message has. */
static bool take_end(struct kolk__mcp_envelope *envelope)
{
	uint32_t depth = envelope->json.depth;

	if (depth == envelope->base)
		return message_end(envelope);
	if (envelope->nested > 0 && depth == envelope->base + envelope->nested) {
		uint8_t field = envelope->levels[--envelope->nested];

		value_known(envelope, field);
		envelope->level = members[field].level;
		envelope->json.report_depth = depth;
	} else if (envelope->open != NO_FIELD) {
		value_known(envelope, envelope->open);
	}
	envelope->open = NO_FIELD;
	return false;
}

/* ---- the text around messages */

static enum kolk_err refuse(struct kolk__mcp_envelope *envelope, enum kolk__mcp_fault fault)
{
	envelope->refused = true;
	envelope->message.kind = MCP_INVALID;
	envelope->message.fault = fault;
	if (envelope->json.err == KOLK_OK)
		envelope->json.err =
			fault == MCP_FAULT_BATCH_LONG ? KOLK_E_LIMIT : KOLK_E_PROTOCOL;
	return envelope->json.err;
}

/* The reader of JSON has refused the text, or we have before. */
static enum kolk_err refuse_text(struct kolk__mcp_envelope *envelope)
{
	if (envelope->refused)
		return envelope->json.err;
	return refuse(envelope, envelope->json.err == KOLK_E_LIMIT ?
					MCP_FAULT_TOO_DEEP_OR_LONG :
					MCP_FAULT_JSON);
}

static enum kolk_err take_first(struct kolk__mcp_envelope *envelope,
				enum kolk__json_token token)
{
	if (token == TOKEN_ARRAY && envelope->limits.batch_max > 0) {
		envelope->base = 1;
		envelope->level = BATCH;
		envelope->json.report_depth = 1;
		return KOLK_OK;
	}
	if (token != TOKEN_OBJECT)
		return refuse(envelope, MCP_FAULT_NO_MESSAGE);
	message_begin(envelope, MESSAGE);
	return KOLK_OK;
}

/* An element of a batch, or its end. *whole: the element is a message, or bad and whole. */
static enum kolk_err take_element(struct kolk__mcp_envelope *envelope,
				  enum kolk__json_token token, bool *whole)
{
	if (token == TOKEN_ARRAY_END) {
		envelope->level = DONE;
		return envelope->batch_count > 0 ? KOLK_OK :
						   refuse(envelope, MCP_FAULT_BATCH_EMPTY);
	}
	if (envelope->batch_count++ == envelope->limits.batch_max)
		return refuse(envelope, MCP_FAULT_BATCH_LONG);
	message_begin(envelope, token == TOKEN_OBJECT ? MESSAGE : ELEMENT);
	*whole = token != TOKEN_OBJECT && token != TOKEN_ARRAY && message_end(envelope);
	return KOLK_OK;
}

/* Inside of a message, or of an element that is none. */
static void take_inside(struct kolk__mcp_envelope *envelope, enum kolk__json_token token,
			bool *whole)
{
	if (token == TOKEN_KEY)
		take_key(envelope);
	else if (token == TOKEN_OBJECT_END || token == TOKEN_ARRAY_END)
		*whole = take_end(envelope);
	else
		take_value(envelope, token);
}

static enum kolk_err take(struct kolk__mcp_envelope *envelope, enum kolk__json_token token,
			  bool *whole)
{
	if (envelope->level == TEXT)
		return take_first(envelope, token);
	if (envelope->level == BATCH)
		return take_element(envelope, token, whole);
	take_inside(envelope, token, whole);
	return KOLK_OK;
}

void kolk__mcp_envelope_begin(struct kolk__mcp_envelope *envelope,
			      const struct kolk__mcp_limits *limits)
{
	kolk__json_begin(&envelope->json, limits->bytes_max,
			 limits->depth_max > 0 ? limits->depth_max : DEPTH_MAX);
	envelope->limits = *limits;
	envelope->batch_count = 0;
	envelope->base = 0;
	envelope->refused = false;
	message_begin(envelope, TEXT);
	envelope->message.fault = MCP_FAULT_NONE;
}

/* Up to the end of a message, or of the piece. */
static enum kolk_err scan(struct kolk__mcp_envelope *envelope, const uint8_t **at,
			  const uint8_t *end, bool *whole)
{
	struct kolk__json *json = &envelope->json;
	enum kolk_err err = KOLK_OK;
	const uint8_t *p = *at;

	while (err == KOLK_OK && !*whole) {
		p = json_step(json, p, end);
		if (json->token == TOKEN_MORE)
			break;
		err = json->token == TOKEN_NONE ? json->err : take(envelope, json->token, whole);
	}
	*at = p;
	return err;
}

enum kolk_err kolk__mcp_envelope_scan(struct kolk__mcp_envelope *envelope, const uint8_t **at,
				      size_t *left, enum kolk__mcp_event *event)
{
	const uint8_t *p = *at, *end = json_piece(&envelope->json, p, *left), *last = p + *left;
	enum kolk_err err = envelope->json.err;
	bool whole = false;

	*event = MCP_MORE;
	if (err == KOLK_OK)
		err = scan(envelope, &p, end, &whole);
	if (err == KOLK_OK && !whole && end < last)
		err = envelope->json.err = KOLK_E_LIMIT;
	*at = p;
	*left = (size_t)(last - p);
	if (whole)
		*event = MCP_MESSAGE;
	return err == KOLK_OK ? KOLK_OK : refuse_text(envelope);
}

enum kolk_err kolk__mcp_envelope_end(struct kolk__mcp_envelope *envelope)
{
	if (kolk__json_end(&envelope->json) != KOLK_OK)
		return refuse_text(envelope);
	return envelope->level == DONE ? KOLK_OK : refuse(envelope, MCP_FAULT_NO_MESSAGE);
}

enum kolk__json_keep kolk__mcp_field_keep(enum kolk__mcp_field_name field)
{
	return members[field].keep;
}

enum kolk__mcp_field_name kolk__mcp_open_scalar(const struct kolk__mcp_envelope *envelope,
						uint64_t *at)
{
	const struct kolk__json *json = &envelope->json;

	*at = json->token_at;
	return kolk__json_in_scalar(json) && json->depth == json->report_depth ?
		       envelope->open :
		       NO_FIELD;
}
