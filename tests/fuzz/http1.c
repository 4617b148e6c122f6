/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http1.c - fuzz: any bytes as an answer of HTTP/1.1. The first byte says what was asked and
 * how the rest is cut: in pieces it must mean the same as whole, and what is kept must be
 * beyond doubt.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "transport/drivers/h1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct meaning {
	uint64_t body; /* its hash */
	size_t body_size, taken;
	uint32_t heads, status, fields, trailers;
	bool ended, failed, keep, whole; /* whole: the end of the stream is its end */
};

static void must(bool right)
{
	if (!right)
		abort();
}

static void field_check(const struct kolk_http_field *field)
{
	must(field->name[0] != '\0');
	for (const char *c = field->name; *c != '\0'; c++)
		must(*c > ' ' && *c < 0x7f && *c != ':' && (*c < 'A' || *c > 'Z'));
	for (const char *c = field->value; *c != '\0'; c++)
		must(*c == '\t' || (uint8_t)*c >= ' ');
	must(strpbrk(field->value, "\r\n") == NULL);
}

static void head_check(const struct h1_parser *parser, struct meaning *meaning)
{
	const struct kolk_http_head *head = &parser->head;

	must(head->status >= 100 && head->status < 600);
	must(head->field_count <= parser->limits.fields_max);
	for (uint32_t i = 0; i < head->field_count; i++)
		field_check(&head->fields[i]);
	meaning->heads++;
	meaning->status = head->status;
	meaning->fields += head->field_count;
}

static void take(const struct h1_parser *parser, enum h1_event event, struct meaning *meaning)
{
	const uint8_t *body = parser->message.body;

	if (event == H1_INFORMATIONAL || event == H1_HEAD)
		head_check(parser, meaning);
	for (size_t i = 0; event == H1_BODY && i < parser->message.body_size; i++)
		meaning->body = (meaning->body ^ body[i]) * UINT64_C(0x100000001b3);
	meaning->body_size += event == H1_BODY ? parser->message.body_size : 0;
	if (event == H1_END || event == H1_SWITCHED) {
		meaning->ended = true;
		meaning->keep = parser->keep;
		meaning->trailers = parser->trailer_count;
		must(event == H1_END || !parser->keep);
		for (uint32_t i = 0; i < parser->trailer_count; i++)
			field_check(&parser->message.fields[i]);
	}
}

/* Pieces in memory of their own: one byte too far is seen. */
static void feed(struct h1_parser *parser, const uint8_t *data, size_t size,
		 struct meaning *meaning)
{
	uint8_t *copy = malloc(size);
	const uint8_t *at = copy;
	enum h1_event event = H1_BODY;
	size_t left = size;

	must(copy != NULL);
	memcpy(copy, data, size);
	while (!meaning->ended && !meaning->failed && event != H1_MORE) {
		if (h1_parse(parser, &at, &left, &event) == KOLK_OK)
			take(parser, event, meaning);
		else
			meaning->failed = true;
	}
	meaning->taken += size - left;
	must(meaning->ended || meaning->failed || left == 0);
	free(copy);
}

static struct meaning read_as(uint8_t how, const uint8_t *data, size_t size, size_t piece)
{
	struct h1_parser parser = {.limits = {2048, 16, 3, false}};
	struct meaning meaning = {0};

	h1_parser_begin(&parser);
	parser.no_body = (how & 3) == 1;
	parser.connect = (how & 3) == 2;
	parser.upgrade = (how & 3) == 3 ? "websocket" : NULL;
	for (size_t at = 0; at < size && !meaning.ended && !meaning.failed; at += piece)
		feed(&parser, data + at, piece < size - at ? piece : size - at, &meaning);
	if (!meaning.ended && !meaning.failed)
		meaning.whole = h1_parse_end(&parser) == KOLK_OK;
	must(meaning.ended || !parser.keep);
	h1_parser_free(&parser);
	return meaning;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct meaning whole, pieces;

	if (size < 2)
		return 0;
	whole = read_as(data[0], data + 1, size - 1, size);
	pieces = read_as(data[0], data + 1, size - 1, 1 + (size_t)(data[0] >> 2) % 17);
	must(whole.ended == pieces.ended && whole.failed == pieces.failed);
	must(whole.whole == pieces.whole && whole.keep == pieces.keep);
	must(whole.body == pieces.body && whole.body_size == pieces.body_size);
	must(whole.heads == pieces.heads && whole.status == pieces.status);
	must(whole.fields == pieces.fields && whole.trailers == pieces.trailers);
	must(!whole.ended || whole.taken == pieces.taken);
	return 0;
}
