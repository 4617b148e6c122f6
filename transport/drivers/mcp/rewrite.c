/* SPDX-License-Identifier: Apache-2.0 */
/* rewrite.c - spans of the text that are not passed as they came. */
#include "transport/drivers/mcp/rewrite.h"

/* A value, and what is passed instead of its bytes. */
struct span {
	uint64_t at, end; /* end: UINT64_MAX while it is being read */
	struct kolk__mcp_bytes bytes;
};

/* Fields whose texts the envelope keeps as they are. */
static const uint32_t raw_fields = 0
#define X(field, level, name, keep, max) | ((uint32_t)((keep) == KEEP_RAW) << MCP_##field)
	KOLK__MCP_FIELD_TABLE(X);
#undef X

void kolk__mcp_rewrite_begin(struct kolk__mcp_rewrite *rewrite)
{
	rewrite->at = 0;
	rewrite->skipping = rewrite->stopped = false;
	rewrite->message = 0;
	rewrite->fields = rewrite->count = 0;
}

/* Its bytes come from what the envelope kept. */
static bool is_held(const struct kolk__mcp_message *message, enum kolk__mcp_field_name name)
{
	return kolk__mcp_field_keep(name) == KEEP_RAW &&
	       message->fields[name].type <= MCP_NUMBER;
}

bool kolk__mcp_rewrite_set(struct kolk__mcp_rewrite *rewrite,
			   const struct kolk__mcp_envelope *envelope,
			   enum kolk__mcp_field_name name, struct kolk__mcp_bytes bytes)
{
	const struct kolk__mcp_message *message = &envelope->message;
	const struct kolk__mcp_field *field = &message->fields[name];
	bool passed;

	if (rewrite->message != message->at) { /* the next one of a batch */
		rewrite->message = message->at;
		rewrite->fields = rewrite->count = 0;
	}
	if (!kolk__mcp_has(message, name) || rewrite->count == KOLK__MCP_REPLACED_MAX)
		return false;
	passed = field->at < rewrite->at &&
		 !(rewrite->skipping && field->at + field->size >= rewrite->at);
	if (passed)
		return false;
	rewrite->fields |= UINT32_C(1) << name;
	rewrite->replaced[rewrite->count].field = name;
	rewrite->replaced[rewrite->count++].bytes = bytes;
	return true;
}

/* The span of this field. False: its bytes are passed as they come. */
static bool span_of(const struct kolk__mcp_rewrite *rewrite,
		    const struct kolk__mcp_envelope *envelope, enum kolk__mcp_field_name name,
		    struct span *span)
{
	const struct kolk__mcp_message *message = &envelope->message;
	const struct kolk__mcp_field *field = &message->fields[name];

	if (!kolk__mcp_has(message, name))
		return false;
	span->at = field->at;
	span->end = field->at + field->size;
	for (uint32_t i = 0; i < rewrite->count && rewrite->message == message->at; i++)
		if (rewrite->replaced[i].field == name) {
			span->bytes = rewrite->replaced[i].bytes;
			return true;
		}
	span->bytes.bytes = (const uint8_t *)field->text;
	span->bytes.size = field->text_size;
	return is_held(message, name);
}

/* The first span that has not been passed. */
static struct span next_span(const struct kolk__mcp_rewrite *rewrite,
			     const struct kolk__mcp_envelope *envelope)
{
	struct span first = { .at = UINT64_MAX, .end = UINT64_MAX }, span;
	enum kolk__mcp_field_name open = kolk__mcp_open_scalar(envelope, &span.at);
	uint32_t fields = raw_fields | rewrite->fields;

	if (open != KOLK__MCP_FIELDS && kolk__mcp_field_keep(open) == KEEP_RAW)
		first.at = span.at;
	fields &= envelope->message.known;
	for (; fields != 0; fields &= fields - 1)
		if (span_of(rewrite, envelope, (uint32_t)__builtin_ctz(fields), &span) &&
		    span.at < first.at &&
		    (span.at >= rewrite->at || (rewrite->skipping && span.end >= rewrite->at)))
			first = span;
	return first;
}

/* Takes what lies before this offset off the piece. */
static struct kolk__mcp_bytes cut(struct kolk__mcp_rewrite *rewrite, struct kolk__mcp_bytes *in,
				  uint64_t end)
{
	struct kolk__mcp_bytes front = kolk__mcp_cut(in, end - rewrite->at);

	rewrite->at += front.size;
	return front;
}

bool kolk__mcp_rewrite_part(struct kolk__mcp_rewrite *rewrite,
			    const struct kolk__mcp_envelope *envelope,
			    struct kolk__mcp_bytes *in, struct kolk__mcp_bytes *part)
{
	rewrite->stopped |= envelope->message.fault != MCP_FAULT_NONE;
	while (in->size > 0 && !rewrite->stopped) {
		struct span span = next_span(rewrite, envelope);

		if (!rewrite->skipping && span.at > rewrite->at) {
			*part = cut(rewrite, in, span.at);
			return true;
		}
		cut(rewrite, in, span.end);
		rewrite->skipping = rewrite->at < span.end;
		if (!rewrite->skipping && span.bytes.size > 0) {
			*part = span.bytes;
			return true;
		}
	}
	return false;
}
