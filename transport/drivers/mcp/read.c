/* SPDX-License-Identifier: Apache-2.0 */
/* read.c - what a proxy has to know of a message of a client (kolk_mcp_envelope). */
#include <kolk/mcp.h>
#include <string.h>

#include "core/base/sized.h"
#include "transport/drivers/mcp/envelope.h"

static struct kolk_mcp_part part(const char *text, const struct kolk__mcp_message *message,
				 enum kolk__mcp_field_name field)
{
	const struct kolk__mcp_field *found = &message->fields[field];

	if (!kolk__mcp_has(message, field))
		return (struct kolk_mcp_part){ NULL, 0 };
	return (struct kolk_mcp_part){ text + found->at, (size_t)found->size };
}

/* The texts that are kept are no longer than their arrays; "" = it is no string. */
static void copy(char *to, const struct kolk__mcp_message *message, enum kolk__mcp_field_name field)
{
	const struct kolk__mcp_field *found = &message->fields[field];

	if (!kolk__mcp_has(message, field) || found->type != MCP_STRING || found->cut)
		return;
	memcpy(to, found->text, found->text_size);
	to[found->text_size] = '\0';
}

static void fill_in(struct kolk_mcp_envelope *to, const char *text,
		    const struct kolk__mcp_message *message)
{
	to->id = part(text, message, MCP_ID);
	to->params = part(text, message, MCP_PARAMS);
	to->result = part(text, message, MCP_RESULT);
	to->error = part(text, message, MCP_ERROR);
	to->request_id = part(text, message, MCP_REQUEST_ID);
	to->capabilities = part(text, message, MCP_INITIALIZE_CAPABILITIES);
	to->client_info = part(text, message, MCP_INITIALIZE_CLIENT);
	to->name = part(text, message, kolk__mcp_has(message, MCP_NAME) ? MCP_NAME : MCP_URI);
	to->meta = part(text, message, MCP_PARAMS_META);
	to->meta_capabilities = part(text, message, MCP_META_CAPABILITIES);
	to->meta_token = part(text, message, MCP_META_TOKEN);
	to->modern = kolk__mcp_has(message, MCP_META_VERSION) ||
		     kolk__mcp_has(message, MCP_META_CAPABILITIES) ||
		     kolk__mcp_has(message, MCP_META_CLIENT);
	copy(to->method, message, MCP_METHOD);
	copy(to->version, message, MCP_INITIALIZE_VERSION);
	copy(to->meta_version, message, MCP_META_VERSION);
}

static bool is_array(const char *text, size_t size)
{
	size_t blanks = 0;

	while (blanks < size && strchr(" \t\r\n", text[blanks]) != NULL && text[blanks] != '\0')
		blanks++;
	return blanks < size && text[blanks] == '[';
}

static enum kolk_err read_one(const char *text, size_t size, struct kolk_mcp_envelope *to)
{
	char kept[KOLK__MCP_TEXT_MAX];
	const struct kolk__mcp_limits limits = { .bytes_max = size, .text = kept,
						 .text_size = sizeof kept };
	const uint8_t *at = (const uint8_t *)text;
	struct kolk__mcp_envelope envelope;
	enum kolk__mcp_event event = MCP_MORE;
	enum kolk_err err;

	kolk__mcp_envelope_begin(&envelope, &limits);
	err = kolk__mcp_envelope_scan(&envelope, &at, &size, &event);
	if (err == KOLK_OK && event == MCP_MESSAGE && envelope.message.kind != MCP_INVALID) {
		fill_in(to, text, &envelope.message);
		err = kolk__mcp_envelope_scan(&envelope, &at, &size, &event); /* blanks alone follow */
	}
	if (err == KOLK_OK)
		err = kolk__mcp_envelope_end(&envelope);
	if (err == KOLK_OK && envelope.message.kind != MCP_INVALID)
		return KOLK_OK;
	to->fault = kolk__mcp_fault_text(envelope.message.fault);
	to->fault_code = kolk__mcp_fault_code(envelope.message.fault);
	return KOLK_E_PROTOCOL;
}

/* What was read of the message that is whole, or its fault. True: it is good. */
static bool show_one(const char *text, const struct kolk__mcp_message *message,
		     kolk_mcp_read_fn *show, void *user)
{
	struct kolk_mcp_envelope own = KOLK_INIT(kolk_mcp_envelope);
	bool good = message->kind != MCP_INVALID;

	if (good) {
		fill_in(&own, text, message);
	} else {
		own.fault = kolk__mcp_fault_text(message->fault);
		own.fault_code = kolk__mcp_fault_code(message->fault);
	}
	show(user, &own);
	return good;
}

enum kolk_err kolk_mcp_read_array(const void *text, size_t size, kolk_mcp_read_fn *show, void *user)
{
	char kept[KOLK__MCP_TEXT_MAX];
	const struct kolk__mcp_limits limits = { .bytes_max = size, .text = kept,
						 .text_size = sizeof kept,
						 .batch_max = KOLK_MCP_ARRAY_MAX };
	struct kolk__mcp_message bad = { .kind = MCP_INVALID, .fault = MCP_FAULT_NO_MESSAGE };
	struct kolk__mcp_envelope envelope;
	enum kolk__mcp_event event = MCP_MESSAGE;
	const uint8_t *at = text;
	enum kolk_err err = is_array(text, size) ? KOLK_OK : KOLK_E_PROTOCOL;

	kolk__mcp_envelope_begin(&envelope, &limits);
	while (err == KOLK_OK && event == MCP_MESSAGE) {
		err = kolk__mcp_envelope_scan(&envelope, &at, &size, &event);
		if (err == KOLK_OK && event == MCP_MESSAGE &&
		    !show_one(text, &envelope.message, show, user))
			return KOLK_E_PROTOCOL;
	}
	if (err == KOLK_OK)
		err = kolk__mcp_envelope_end(&envelope);
	if (err == KOLK_OK)
		return KOLK_OK;
	if (is_array(text, limits.bytes_max))
		bad.fault = envelope.message.fault;
	(void)show_one(text, &bad, show, user);
	return KOLK_E_PROTOCOL;
}

size_t kolk_mcp_decode(struct kolk_mcp_part string, char *text)
{
	return kolk__mcp_decode(text, string.data, string.size);
}

enum kolk_err kolk_mcp_read(const void *text, size_t size, struct kolk_mcp_envelope *envelope)
{
	struct kolk_mcp_envelope own = KOLK_INIT(kolk_mcp_envelope);
	enum kolk_err err = is_array(text, size) ? KOLK_E_UNSUPPORTED : read_one(text, size, &own);

	return kolk__sized_write(envelope, &own) ? err : KOLK_E_OPTIONS;
}
