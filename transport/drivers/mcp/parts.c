/* SPDX-License-Identifier: Apache-2.0 */
/* parts.c - whole messages in memory, over envelope.h; and texts of JSON. */
#include <string.h>

#include "transport/drivers/mcp/envelope.h"
#include "transport/drivers/mcp/parts.h"

static struct mcp_text span(const char *text, const struct kolk__mcp_message *message,
			    enum kolk__mcp_field_name field)
{
	if (!kolk__mcp_has(message, field))
		return (struct mcp_text){ NULL, 0 };
	return (struct mcp_text){ text + message->fields[field].at,
				  (size_t)message->fields[field].size };
}

static struct mcp_text decoded(const struct kolk__mcp_message *message,
			       enum kolk__mcp_field_name field)
{
	const struct kolk__mcp_field *found = &message->fields[field];

	if (!kolk__mcp_has(message, field) || found->type != MCP_STRING || found->cut)
		return (struct mcp_text){ NULL, 0 };
	return (struct mcp_text){ found->text, found->text_size };
}

static void show(const struct mcp_reading *reading, const struct kolk__mcp_message *from)
{
	struct mcp_message message = { .id = span(reading->text, from, MCP_ID),
				       .method = decoded(from, MCP_METHOD),
				       .params = span(reading->text, from, MCP_PARAMS),
				       .result = span(reading->text, from, MCP_RESULT),
				       .error = span(reading->text, from, MCP_ERROR),
				       .token = span(reading->text, from, MCP_PROGRESS_TOKEN),
				       .version = decoded(from, MCP_RESULT_VERSION),
				       .meta = span(reading->text, from, MCP_PARAMS_META),
				       .subscription = span(reading->text, from,
							    MCP_META_SUBSCRIPTION),
				       .meta_version = decoded(from, MCP_META_VERSION),
				       .modern = { span(reading->text, from, MCP_META_VERSION),
						   span(reading->text, from,
							MCP_META_CAPABILITIES),
						   span(reading->text, from, MCP_META_CLIENT) },
				       .name = decoded(from, MCP_NAME),
				       .error_code = from->code };

	if (message.name.data == NULL)
		message.name = decoded(from, MCP_URI);
	if (from->kind == MCP_REQUEST)
		message.token = span(reading->text, from, MCP_META_TOKEN);
	reading->show(reading->user, &message);
}

enum kolk_err kolk__mcp_messages_read(const struct mcp_reading *reading)
{
	char kept[KOLK__MCP_TEXT_MAX];
	const struct kolk__mcp_limits limits = { .bytes_max = reading->size,
						 .batch_max = reading->batch_max,
						 .text = kept, .text_size = sizeof kept };
	const uint8_t *at = (const uint8_t *)reading->text;
	size_t left = reading->size;
	struct kolk__mcp_envelope envelope;
	enum kolk__mcp_event event;
	enum kolk_err err;

	kolk__mcp_envelope_begin(&envelope, &limits);
	for (;;) {
		err = kolk__mcp_envelope_scan(&envelope, &at, &left, &event);
		if (err != KOLK_OK)
			return err;
		if (event == MCP_MORE)
			return kolk__mcp_envelope_end(&envelope);
		if (envelope.message.kind == MCP_INVALID)
			return KOLK_E_PROTOCOL;
		show(reading, &envelope.message);
	}
}

size_t kolk__mcp_digits(char *at, uint64_t number)
{
	char digits[MCP_DIGITS];
	size_t from = sizeof digits;

	do {
		digits[--from] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	memcpy(at, digits + from, sizeof digits - from);
	return sizeof digits - from;
}

bool kolk__mcp_is_answer_to(const struct mcp_message *message, uint64_t id)
{
	char text[MCP_DIGITS];

	if (message->error.size > 0 &&
	    (message->id.size == 0 || mcp_text_is(message->id, "null")))
		return true;
	return message->id.size == kolk__mcp_digits(text, id) &&
	       memcmp(message->id.data, text, message->id.size) == 0;
}

/* ---- JSON */

static bool is_value(const char *text, size_t size, bool object)
{
	const uint8_t *at = (const uint8_t *)text;
	enum kolk__json_token token = TOKEN_MORE, first = TOKEN_MORE;
	struct kolk__json json;

	kolk__json_begin(&json, size, 128);
	do {
		if (kolk__json_next(&json, &at, &size, &token) != KOLK_OK)
			return false;
		first = first == TOKEN_MORE ? token : first;
	} while (token != TOKEN_MORE);
	return kolk__json_end(&json) == KOLK_OK && (!object || first == TOKEN_OBJECT);
}

bool kolk__mcp_is_object(const char *text, size_t size)
{
	return is_value(text, size, true);
}

bool kolk__mcp_is_json(const char *text, size_t size)
{
	return is_value(text, size, false);
}

char *kolk__mcp_json_string(char *at, struct mcp_text text)
{
	static const char hex[] = "0123456789abcdef";

	*at++ = '"';
	for (size_t i = 0; i < text.size; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (c < ' ') {
			memcpy(at, "\\u00", 4);
			at[4] = hex[c >> 4];
			at[5] = hex[c & 15];
			at += 6;
			continue;
		}
		if (c == '"' || c == '\\')
			*at++ = '\\';
		*at++ = (char)c;
	}
	*at++ = '"';
	return at;
}

bool kolk__mcp_version_known(struct mcp_text version)
{
	static const char *const known[] = { "2024-11-05", "2025-03-26", "2025-06-18",
					     "2025-11-25" };

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (version.size == strlen(known[i]) &&
		    memcmp(version.data, known[i], version.size) == 0)
			return true;
	return false;
}
