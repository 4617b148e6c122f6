/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mcp_envelope.c - fuzz: any bytes as messages of MCP. The first byte says how they are cut:
 * in pieces they must mean the same as whole. What passes with nothing replaced is the
 * input, and jansson, another reader, must find JSON wherever this one does, and the other
 * way round but for what jansson cannot hold.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "transport/drivers/mcp/rewrite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct meaning {
	uint64_t hash; /* of messages */
	uint32_t messages, good;
	enum kolk_err err;
	enum kolk__mcp_fault fault; /* of the text */
	uint64_t replaced;	    /* hash of what passes with ids and tokens replaced */
};

struct reading {
	struct kolk__mcp_envelope envelope;
	struct kolk__mcp_rewrite as_it_is, replaced;
	struct meaning meaning;
	char kept[KOLK__MCP_TEXT_MAX];
	const uint8_t *data;
	size_t scanned, passed; /* bytes of it; passed: as it is, without a replacement */
};

static void must(bool right)
{
	if (!right)
		abort();
}

static void mix(uint64_t *hash, const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		*hash = (*hash ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
}

static void take_field(struct reading *reading, enum kolk__mcp_field_name name)
{
	const struct kolk__mcp_field *field = &reading->envelope.message.fields[name];
	uint64_t facts[] = { name, field->at, field->size, field->type, field->cut };
	bool kept = kolk__mcp_field_keep(name) != KEEP_NOTHING && field->type <= MCP_NUMBER;

	must(field->size > 0 && field->at + field->size <= reading->scanned);
	mix(&reading->meaning.hash, facts, sizeof facts);
	if (kept)
		mix(&reading->meaning.hash, field->text, field->text_size);
	if (kept && kolk__mcp_field_keep(name) == KEEP_RAW && !field->cut)
		must(memcmp(reading->data + field->at, field->text, field->size) == 0);
}

static void take_message(struct reading *reading)
{
	const struct kolk__mcp_message *message = &reading->envelope.message;
	uint64_t facts[] = { message->kind, message->fault, message->at,
			     message->size, message->known, (uint64_t)message->code };

	must((message->kind == MCP_INVALID) == (message->fault != MCP_FAULT_NONE));
	mix(&reading->meaning.hash, facts, sizeof facts);
	for (enum kolk__mcp_field_name i = 0; i < KOLK__MCP_FIELDS; i++)
		if (kolk__mcp_has(message, i))
			take_field(reading, i);
	reading->meaning.messages++;
	reading->meaning.good += message->kind != MCP_INVALID;
}

/* Passes bytes that were just scanned, twice. */
static void pass(struct reading *reading, const uint8_t *bytes, size_t size)
{
	static const enum kolk__mcp_field_name names[] = { MCP_ID, MCP_META_TOKEN,
							   MCP_REQUEST_ID };
	struct kolk__mcp_bytes in = { bytes, size }, part;

	while (kolk__mcp_rewrite_part(&reading->as_it_is, &reading->envelope, &in, &part)) {
		must(memcmp(reading->data + reading->passed, part.bytes, part.size) == 0);
		reading->passed += part.size;
	}
	for (int i = 0; i < 3; i++) {
		struct kolk__mcp_bytes text = { (const uint8_t *)"\"replaced\"", 10 };

		if (kolk__mcp_has_token(&reading->envelope.message, names[i]))
			kolk__mcp_rewrite_set(&reading->replaced, &reading->envelope, names[i], text);
	}
	in = (struct kolk__mcp_bytes){ bytes, size };
	while (kolk__mcp_rewrite_part(&reading->replaced, &reading->envelope, &in, &part))
		mix(&reading->meaning.replaced, part.bytes, part.size);
}

/* Pieces in memory of their own: one byte too far is seen. */
static void feed(struct reading *reading, size_t size)
{
	uint8_t *copy = malloc(size);
	enum kolk__mcp_event event = MCP_MESSAGE;
	const uint8_t *at = copy;

	must(copy != NULL);
	memcpy(copy, reading->data + reading->scanned, size);
	while (reading->meaning.err == KOLK_OK && event != MCP_MORE) {
		const uint8_t *from = at;

		reading->meaning.err =
			kolk__mcp_envelope_scan(&reading->envelope, &at, &size, &event);
		reading->scanned += (size_t)(at - from);
		if (reading->meaning.err != KOLK_OK)
			break;
		if (event == MCP_MESSAGE)
			take_message(reading);
		pass(reading, from, (size_t)(at - from));
	}
	must(reading->meaning.err != KOLK_OK || size == 0);
	free(copy);
}

static struct meaning read_in(const uint8_t *data, size_t size, size_t piece)
{
	static struct reading reading;
	struct kolk__mcp_limits limits = { .bytes_max = UINT64_MAX,
					   .depth_max = KOLK__JSON_DEPTH_MAX,
					   .batch_max = 5,
					   .text = reading.kept,
					   .text_size = sizeof reading.kept };

	memset(&reading.meaning, 0, sizeof reading.meaning);
	reading.data = data;
	reading.scanned = reading.passed = 0;
	kolk__mcp_envelope_begin(&reading.envelope, &limits);
	kolk__mcp_rewrite_begin(&reading.as_it_is);
	kolk__mcp_rewrite_begin(&reading.replaced);
	for (size_t at = 0; at < size && reading.meaning.err == KOLK_OK; at += piece)
		feed(&reading, piece < size - at ? piece : size - at);
	if (reading.meaning.err == KOLK_OK)
		reading.meaning.err = kolk__mcp_envelope_end(&reading.envelope);
	if (reading.meaning.err != KOLK_OK)
		reading.meaning.fault = reading.envelope.message.fault;
	else if (reading.meaning.good == reading.meaning.messages)
		must(reading.passed == size);
	else
		must(reading.passed < size);
	if (reading.meaning.err != KOLK_OK || reading.meaning.good < reading.meaning.messages)
		reading.meaning.replaced = 0; /* how far it went depends on the cuts */
	return reading.meaning;
}

/* Both read JSON, or neither. */
static void ask_jansson(const uint8_t *data, size_t size, const struct meaning *meaning)
{
	json_error_t error;
	json_t *root =
		json_loadb((const char *)data, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	enum json_error_code code = json_error_code(&error);
	bool cannot_hold = root == NULL && (code == json_error_numeric_overflow ||
					    strstr(error.text, "\\u") != NULL ||
					    code == json_error_stack_overflow);

	must(root == NULL || meaning->fault != MCP_FAULT_JSON);
	must(root != NULL || meaning->err != KOLK_OK || cannot_hold);
	json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct meaning whole, pieces, bytes;

	if (size < 2)
		return 0;
	whole = read_in(data + 1, size - 1, size);
	pieces = read_in(data + 1, size - 1, 2 + (size_t)data[0] % 37);
	bytes = read_in(data + 1, size - 1, 1);
	must(memcmp(&whole, &pieces, sizeof whole) == 0);
	must(memcmp(&whole, &bytes, sizeof whole) == 0);
	if (memchr(data + 1, 0, size - 1) == NULL) /* jansson passes over NUL behind a number */
		ask_jansson(data + 1, size - 1, &whole);
	return 0;
}
