/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http1_server.c - fuzz: any bytes as requests of HTTP/1.1. The first byte says how the rest is cut: in
 * pieces it must mean the same as whole, and what is accepted must be beyond doubt.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "transport/drivers/h1_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct meaning {
	uint64_t hash; /* of bodies and heads */
	size_t body_size;
	uint32_t requests, ends, fields, trailers, status;
	bool failed, closed;
};

static void must(bool right)
{
	if (!right)
		abort();
}

static void hash(struct meaning *meaning, const void *data, size_t size)
{
	const uint8_t *at = data;

	for (size_t i = 0; i < size; i++)
		meaning->hash = (meaning->hash ^ at[i]) * UINT64_C(0x100000001b3);
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

static uint32_t count_named(const struct kolk_http_request_head *head, const char *name)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < head->field_count; i++)
		count += strcmp(head->fields[i].name, name) == 0;
	return count;
}

static void head_check(const struct h1_request_parser *parser, struct meaning *meaning)
{
	const struct kolk_http_request_head *head = &parser->head;
	uint32_t lengths = count_named(head, "content-length");
	uint32_t codings = count_named(head, "transfer-encoding");

	must(head->version == 10 || head->version == 11);
	must(head->field_count <= parser->limits.fields_max);
	must(head->target[0] == '/' || strcmp(head->target, "*") == 0);
	must(strlen(head->target) <= parser->limits.target_bytes_max);
	for (const char *c = head->target; *c != '\0'; c++)
		must(*c > ' ' && *c < 0x7f && *c != '#');
	must(strpbrk(head->authority, "@/?#\\ ,") == NULL);
	must(count_named(head, "host") <= 1 && (head->version == 10 || head->authority[0] != '\0'));
	must(lengths + codings <= 1);
	must((codings == 1) == (head->body_size == KOLK_HTTP_CHUNKED));
	must(codings == 0 || head->version == 11);
	for (uint32_t i = 0; i < head->field_count; i++)
		field_check(&head->fields[i]);
	hash(meaning, head->method, strlen(head->method));
	hash(meaning, head->target, strlen(head->target));
	hash(meaning, head->authority, strlen(head->authority));
	meaning->requests++;
	meaning->fields += head->field_count;
}

static void marks_check(const struct h1_request_parser *parser)
{
	uint8_t marks[16];

	kolk_http_field_marks(parser->head.fields, parser->head.field_count, marks);
	for (uint32_t i = 0; i < parser->head.field_count; i++)
		must(marks[i] != 0 || strcmp(parser->head.fields[i].name, "content-length") != 0);
}

static void take(struct h1_request_parser *parser, enum h1_event event, struct meaning *meaning)
{
	if (event == H1_HEAD) {
		head_check(parser, meaning);
		marks_check(parser);
	} else if (event == H1_BODY) {
		hash(meaning, parser->message.body, parser->message.body_size);
		meaning->body_size += parser->message.body_size;
	} else if (event == H1_END) {
		meaning->ends++;
		meaning->trailers += parser->trailer_count;
		for (uint32_t i = 0; i < parser->trailer_count; i++)
			field_check(&parser->message.fields[i]);
		meaning->closed = !parser->keep;
		if (!meaning->closed)
			h1_request_begin(parser);
	}
}

/* Pieces in memory of their own: one byte too far is seen. */
static void feed(struct h1_request_parser *parser, const uint8_t *data, size_t size,
		 struct meaning *meaning)
{
	uint8_t *copy = malloc(size);
	const uint8_t *at = copy;
	enum h1_event event = H1_BODY;
	size_t left = size;

	must(copy != NULL);
	memcpy(copy, data, size);
	while (!meaning->closed && !meaning->failed && event != H1_MORE) {
		if (h1_request_parse(parser, &at, &left, &event) == KOLK_OK) {
			take(parser, event, meaning);
			continue;
		}
		meaning->failed = true;
		meaning->status = parser->status;
		must(parser->status >= 400 && parser->status <= 505 && !parser->keep);
	}
	must(meaning->closed || meaning->failed || left == 0);
	free(copy);
}

static struct meaning read_as(const uint8_t *data, size_t size, size_t piece)
{
	struct h1_request_parser parser = {.limits = {.head_bytes_max = 1024,
						      .target_bytes_max = 128, .fields_max = 16,
						      .body_bytes_max = 4096}};
	struct meaning meaning = {0};

	h1_request_begin(&parser);
	for (size_t at = 0; at < size && !meaning.closed && !meaning.failed; at += piece)
		feed(&parser, data + at, piece < size - at ? piece : size - at, &meaning);
	h1_request_free(&parser);
	return meaning;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct meaning whole, pieces;

	if (size < 2)
		return 0;
	whole = read_as(data + 1, size - 1, size);
	pieces = read_as(data + 1, size - 1, 1 + (size_t)data[0] % 17);
	must(whole.hash == pieces.hash && whole.body_size == pieces.body_size);
	must(whole.requests == pieces.requests && whole.ends == pieces.ends);
	must(whole.failed == pieces.failed && whole.closed == pieces.closed);
	must(whole.status == pieces.status);
	must(whole.fields == pieces.fields && whole.trailers == pieces.trailers);
	return 0;
}
