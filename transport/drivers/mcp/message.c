/* SPDX-License-Identifier: Apache-2.0 */
/* message.c - what the fields of a message must be, and what kind of message they make. */
#include "transport/drivers/mcp/message.h"

#include <string.h>

#define BIT(field) (UINT32_C(1) << MCP_##field)

#define TYPE(type) (UINT32_C(1) << MCP_##type)

/* What values may be, and the fault of another one. A field that is not here may be
 * anything, or the method decides (kind_of). */
static const struct rule {
	uint32_t types;
	enum kolk__mcp_fault fault;
} rules[KOLK__MCP_FIELDS] = {
	[MCP_JSONRPC] = { TYPE(STRING), MCP_FAULT_JSONRPC },
	[MCP_ID] = { TYPE(STRING) | TYPE(INTEGER) | TYPE(NULL), MCP_FAULT_ID },
	[MCP_METHOD] = { TYPE(STRING), MCP_FAULT_METHOD },
	[MCP_PARAMS] = { TYPE(OBJECT) | TYPE(NULL), MCP_FAULT_PARAMS },
	[MCP_PARAMS_META] = { TYPE(OBJECT) | TYPE(NULL), MCP_FAULT_PARAMS },
	[MCP_RESULT_META] = { TYPE(OBJECT) | TYPE(NULL), MCP_FAULT_PARAMS },
	[MCP_ERROR] = { TYPE(OBJECT), MCP_FAULT_ERROR },
	[MCP_CODE] = { TYPE(INTEGER), MCP_FAULT_ERROR },
	[MCP_META_TOKEN] = { TYPE(STRING) | TYPE(INTEGER) | TYPE(NULL), MCP_FAULT_TOKEN },
	[MCP_META_SUBSCRIPTION] = { TYPE(STRING) | TYPE(INTEGER) | TYPE(NULL),
				    MCP_FAULT_TOKEN },
	[MCP_META_VERSION] = { TYPE(STRING), MCP_FAULT_VERSION },
};

/* Texts that must be whole. */
static const uint32_t uncut = BIT(ID) | BIT(METHOD) | BIT(PROGRESS_TOKEN) | BIT(REQUEST_ID) |
			      BIT(META_TOKEN) | BIT(META_SUBSCRIPTION) | BIT(META_VERSION) |
			      BIT(CODE);

static enum kolk__mcp_fault set_code(struct kolk__mcp_message *message)
{
	const struct kolk__mcp_field *field = &message->fields[MCP_CODE];
	bool negative = field->text_size > 0 && field->text[0] == '-';
	int64_t code = 0;

	for (uint32_t i = negative; i < field->text_size && code <= INT32_MAX; i++)
		code = code * 10 + (field->text[i] - '0');
	if (code > INT32_MAX)
		return MCP_FAULT_ERROR;
	message->code = (int32_t)(negative ? -code : code);
	return MCP_FAULT_NONE;
}

enum kolk__mcp_fault kolk__mcp_check_field(struct kolk__mcp_message *message,
					   enum kolk__mcp_field_name name)
{
	const struct kolk__mcp_field *field = &message->fields[name];
	const struct rule *rule = &rules[name];

	if (rule->types != 0 && (rule->types >> field->type & 1) == 0)
		return rule->fault;
	if (field->cut && (uncut >> name & 1) != 0)
		return MCP_FAULT_TEXT_LONG;
	if (name == MCP_JSONRPC && !kolk__mcp_is(message, name, "2.0"))
		return MCP_FAULT_JSONRPC;
	return name == MCP_CODE ? set_code(message) : MCP_FAULT_NONE;
}

enum kolk__mcp_kind kolk__mcp_kind_of(const struct kolk__mcp_message *message,
				      enum kolk__mcp_fault *fault)
{
	uint32_t shape = message->known & (BIT(METHOD) | BIT(RESULT) | BIT(ERROR));
	bool id = kolk__mcp_has(message, MCP_ID);
	bool usable = kolk__mcp_has_token(message, MCP_ID);

	*fault = MCP_FAULT_JSONRPC;
	if (!kolk__mcp_has(message, MCP_JSONRPC))
		return MCP_INVALID;
	*fault = MCP_FAULT_ID;
	if ((id && !usable && shape != BIT(ERROR)) || (!id && shape == BIT(RESULT)))
		return MCP_INVALID;
	*fault = MCP_FAULT_ERROR;
	if (shape == BIT(ERROR) && !kolk__mcp_has(message, MCP_CODE))
		return MCP_INVALID;
	*fault = MCP_FAULT_SHAPE;
	if (shape != BIT(METHOD))
		return shape == BIT(RESULT) ? MCP_RESULT_ANSWER :
		       shape == BIT(ERROR)  ? MCP_ERROR_ANSWER :
					      MCP_INVALID;
	/* What these two name has to be found again. */
	*fault = MCP_FAULT_TOKEN;
	if (kolk__mcp_is(message, MCP_METHOD, "notifications/progress") &&
	    !kolk__mcp_has_token(message, MCP_PROGRESS_TOKEN))
		return MCP_INVALID;
	*fault = MCP_FAULT_ID;
	if (kolk__mcp_is(message, MCP_METHOD, "notifications/cancelled") &&
	    kolk__mcp_has(message, MCP_REQUEST_ID) &&
	    !kolk__mcp_has_token(message, MCP_REQUEST_ID))
		return MCP_INVALID;
	return id ? MCP_REQUEST : MCP_NOTIFICATION;
}

bool kolk__mcp_has_token(const struct kolk__mcp_message *message,
			 enum kolk__mcp_field_name field)
{
	return kolk__mcp_has(message, field) && !message->fields[field].cut &&
	       message->fields[field].type <= MCP_INTEGER;
}

bool kolk__mcp_is(const struct kolk__mcp_message *message, enum kolk__mcp_field_name name,
		  const char *text)
{
	const struct kolk__mcp_field *field = &message->fields[name];

	return kolk__mcp_has(message, name) && field->type == MCP_STRING && !field->cut &&
	       field->text_size == strlen(text) &&
	       memcmp(field->text, text, field->text_size) == 0;
}

size_t kolk__mcp_decode(char *out, const char *raw, size_t size)
{
	const uint8_t *at = (const uint8_t *)raw;
	enum kolk__json_token token;
	struct kolk__json json;
	size_t left = size;

	if (size == 0 || raw[0] != '"') {
		memcpy(out, raw, size);
		return size;
	}
	kolk__json_begin(&json, UINT64_MAX, 1);
	kolk__json_keep(&json, KEEP_DECODED, out, (uint32_t)size);
	kolk__json_next(&json, &at, &left, &token);
	return json.text.size;
}

int32_t kolk__mcp_fault_code(enum kolk__mcp_fault fault)
{
	static const int32_t codes[] = {
#define X(fault, code, text) code,
		KOLK__MCP_FAULT_TABLE(X)
#undef X
	};

	return codes[fault];
}

const char *kolk__mcp_fault_text(enum kolk__mcp_fault fault)
{
	static const char *const texts[] = {
#define X(fault, code, text) text,
		KOLK__MCP_FAULT_TABLE(X)
#undef X
	};

	return texts[fault];
}
