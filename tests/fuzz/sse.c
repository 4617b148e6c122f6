/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sse.c - fuzz: any bytes as text/event-stream. The first byte says how they are cut: in
 * pieces they must mean the same as whole. Data that is written again is read as it was.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "transport/drivers/mcp/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct meaning {
	uint64_t hash; /* of events and data */
	uint64_t data_size;
	uint32_t events;
	enum kolk_err err;
};

static void must(bool right)
{
	if (!right)
		abort();
}

static void mix(struct meaning *meaning, const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		meaning->hash =
			(meaning->hash ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
}

static void take(const struct kolk__sse_parser *parser, enum kolk__sse_event event,
		 struct meaning *meaning)
{
	if (event == SSE_DATA) {
		must(parser->data_size > 0 && parser->has_data);
		mix(meaning, parser->data, parser->data_size);
		meaning->data_size += parser->data_size;
	} else if (event == SSE_EVENT) {
		uint64_t facts[] = { parser->event_data_size,
				     parser->retry_ms * parser->has_retry, parser->has_data,
				     parser->has_id, parser->has_retry };

		must(memchr(parser->id, 0, parser->id_size) == NULL);
		mix(meaning, facts, sizeof facts);
		mix(meaning, parser->id, parser->id_size);
		mix(meaning, parser->type, parser->type_size);
		meaning->events++;
	}
}

/* Pieces in memory of their own: one byte too far is seen. */
static void feed(struct kolk__sse_parser *parser, const uint8_t *data, size_t size,
		 struct meaning *meaning)
{
	uint8_t *copy = malloc(size);
	enum kolk__sse_event event = SSE_DATA;
	const uint8_t *at = copy;

	must(copy != NULL);
	memcpy(copy, data, size);
	while (meaning->err == KOLK_OK && event != SSE_MORE) {
		meaning->err = kolk__sse_next(parser, &at, &size, &event);
		take(parser, event, meaning);
	}
	must(meaning->err != KOLK_OK || size == 0);
	free(copy);
}

/* Another one goes on. */
static void replace(struct kolk__sse_parser *parser, uint64_t event_max)
{
	uint32_t id_size = parser->id_size;
	char id[KOLK__SSE_ID_MAX];

	memcpy(id, parser->id, id_size);
	kolk__sse_end(parser);
	must(kolk__sse_go_on(parser, event_max, id, id_size) == KOLK_OK);
}

static struct meaning read_in(const uint8_t *data, size_t size, size_t piece,
			      uint64_t event_max)
{
	struct kolk__sse_parser parser;
	struct meaning meaning = { 0 };

	kolk__sse_begin(&parser, event_max);
	for (size_t at = 0; at < size && meaning.err == KOLK_OK; at += piece) {
		feed(&parser, data + at, piece < size - at ? piece : size - at, &meaning);
		if (kolk__sse_is_silent(&parser))
			replace(&parser, event_max);
	}
	kolk__sse_end(&parser);
	return meaning;
}

/* The bytes as the data of one event: line ends become LF, everything else stays. */
static void write_and_read(const uint8_t *data, size_t size, size_t piece)
{
	struct kolk__sse_writer writer = { 0 };
	struct kolk__sse_parser parser;
	struct meaning written = { 0 }, read = { 0 };
	const char *end;

	kolk__sse_begin(&parser, UINT64_MAX);
	for (size_t at = 0; at < size; at += piece) {
		struct kolk__mcp_bytes in = { data + at,
					      piece < size - at ? piece : size - at },
				       part;

		while (kolk__sse_write_data(&writer, &in, &part))
			feed(&parser, part.bytes, part.size, &read);
	}
	for (size_t i = 0; i < size; i++)
		if (data[i] != '\n' || i == 0 || data[i - 1] != '\r')
			mix(&written, data[i] == '\r' ? (const uint8_t *)"\n" : &data[i], 1);
	must(written.hash == read.hash && read.err == KOLK_OK);
	end = kolk__sse_write_end(&writer);
	feed(&parser, (const uint8_t *)end, strlen(end), &read);
	must(read.events == (size > 0));
	kolk__sse_end(&parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct meaning whole, pieces, bytes;
	uint64_t event_max;
	size_t piece;

	if (size < 2)
		return 0;
	event_max = (data[0] & 1) != 0 ? 20 : 10000;
	piece = 2 + (size_t)(data[0] >> 1) % 19;
	whole = read_in(data + 1, size - 1, size, event_max);
	pieces = read_in(data + 1, size - 1, piece, event_max);
	bytes = read_in(data + 1, size - 1, 1, event_max);
	must(memcmp(&whole, &pieces, sizeof whole) == 0);
	must(memcmp(&whole, &bytes, sizeof whole) == 0);
	write_and_read(data + 1, size - 1, piece);
	return 0;
}
