/* SPDX-License-Identifier: Apache-2.0 */
/* sse.c - an event is lines, a line is the name of a field, a colon, perhaps a blank, and a
 * value. */
#include "transport/drivers/mcp/sse.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "transport/drivers/h1_text.h"

enum state { MARK, NAME, BLANK, VALUE };
enum { IDS_MIN = 32 };
enum field { COMMENT, UNKNOWN, DATA, ID, TYPE, RETRY };

static const uint8_t byte_order_mark[] = { 0xef, 0xbb, 0xbf };

static void event_begin(struct kolk__sse_parser *parser)
{
	parser->event_data_size = 0;
	parser->has_data = parser->has_id = parser->has_retry = parser->any = false;
	parser->ended = false;
	parser->type_size = parser->event_id_size = 0;
	parser->event_bytes = 0;
}

void kolk__sse_begin(struct kolk__sse_parser *parser, uint64_t event_max)
{
	memset(parser, 0, sizeof *parser);
	parser->event_max = event_max;
	parser->state = MARK;
	parser->id = "";
}

/* A comment is no part of an event. */
bool kolk__sse_is_silent(const struct kolk__sse_parser *parser)
{
	return parser->err == KOLK_OK && parser->state == NAME && parser->name_size == 0 &&
	       !parser->after_cr &&
	       (parser->ended || (parser->event_bytes == 0 && !parser->any && !parser->has_data));
}

void kolk__sse_end(struct kolk__sse_parser *parser)
{
	free(parser->ids);
	parser->ids = NULL;
	parser->ids_max = 0;
	parser->id = "";
	parser->id_size = parser->event_id_size = 0;
}

static bool is_line_end(uint8_t c)
{
	return c == '\r' || c == '\n';
}

/* Bytes up to the end of the line, or of the piece. */
static size_t line_run(const uint8_t *bytes, size_t size)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	size_t at = 0;

	for (; size - at >= 8; at += 8) {
		uint64_t eight, cr, lf, found;

		memcpy(&eight, bytes + at, 8);
		eight = le64toh(
			eight); /* the first byte is the lowest: what is found first is right */
		cr = eight ^ (ones * '\r');
		lf = eight ^ (ones * '\n');
		found = (((cr - ones) & ~cr) | ((lf - ones) & ~lf)) & (ones * 0x80);
		if (found != 0)
			return at + (size_t)__builtin_ctzll(found) / 8;
	}
	while (at < size && !is_line_end(bytes[at]))
		at++;
	return at;
}

/* ---- lines */

static uint8_t field_of(const struct kolk__sse_parser *parser)
{
	static const struct {
		const char *name;
		uint8_t size, field;
	} names[] = {
		{ "", 0, COMMENT },   { "data", 4, DATA },   { "id", 2, ID },
		{ "event", 5, TYPE }, { "retry", 5, RETRY },
	};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (names[i].size == parser->name_size &&
		    memcmp(names[i].name, parser->name, parser->name_size) == 0)
			return names[i].field;
	return UNKNOWN;
}

/* The name is whole. Data that goes on in another line: the LF between the two is reported. */
static enum kolk__sse_event value_begin(struct kolk__sse_parser *parser)
{
	bool more_data = parser->has_data;

	parser->field = field_of(parser);
	parser->bad = false;
	if (parser->field == TYPE) {
		parser->type_size = 0;
	} else if (parser->field == ID) {
		parser->event_id_size = 0;
		parser->has_id = false;
	} else if (parser->field == RETRY) {
		parser->retry_ms = 0;
		parser->has_retry = false;
		parser->bad = true; /* until there is a digit */
	} else if (parser->field == DATA) {
		parser->has_data = true;
		if (more_data) {
			parser->data = (const uint8_t *)"\n";
			parser->data_size = 1;
			parser->event_data_size++;
			return SSE_DATA;
		}
	}
	return SSE_MORE;
}

static void value_end(struct kolk__sse_parser *parser)
{
	if (parser->field == ID)
		parser->has_id = !parser->bad;
	else if (parser->field == RETRY)
		parser->has_retry = !parser->bad;
	parser->any |= parser->field > UNKNOWN && !parser->bad;
	parser->state = NAME;
	parser->name_size = 0;
}

/* For an id of so many bytes. */
static bool reserve_ids(struct kolk__sse_parser *parser, size_t size)
{
	uint32_t max = parser->ids_max == 0 ? IDS_MIN : parser->ids_max;
	char *ids;

	while (max < size)
		max *= 2;
	if (max == parser->ids_max)
		return true;
	ids = malloc(2 * (size_t)max);
	if (ids == NULL)
		return false;
	if (parser->event_id_size > 0)
		memcpy(ids, parser->ids, parser->event_id_size);
	parser->id = parser->id_size > 0 ? memcpy(ids + max, parser->id, parser->id_size) : "";
	free(parser->ids);
	parser->ids = ids;
	parser->ids_max = max;
	return true;
}

enum kolk_err kolk__sse_go_on(struct kolk__sse_parser *parser, uint64_t event_max, const char *id,
			      uint32_t id_size)
{
	kolk__sse_begin(parser, event_max);
	parser->state = NAME;
	if (id_size == 0)
		return KOLK_OK;
	if (!reserve_ids(parser, id_size))
		return KOLK_E_MEMORY;
	parser->id = memcpy(parser->ids + parser->ids_max, id, id_size);
	parser->id_size = id_size;
	return KOLK_OK;
}

static void add_text(struct kolk__sse_parser *parser, const uint8_t *bytes, size_t size)
{
	bool id = parser->field == ID;
	uint32_t *text_size = id ? &parser->event_id_size : &parser->type_size;
	size_t max = id ? KOLK__SSE_ID_MAX : sizeof parser->type;
	const uint8_t *nul = id ? memchr(bytes, 0, size) : NULL;

	if (parser->bad)
		return;
	if (nul != NULL) {
		parser->bad = true;
		size = (size_t)(nul - bytes);
	}
	if (size > max - *text_size) {
		parser->err = KOLK_E_LIMIT;
		return;
	}
	if (id && !reserve_ids(parser, *text_size + size)) {
		parser->err = KOLK_E_MEMORY;
		return;
	}
	memcpy((id ? parser->ids : parser->type) + *text_size, bytes, size);
	*text_size += (uint32_t)size;
}

static void add_digits(struct kolk__sse_parser *parser, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] < '0' || bytes[i] > '9') {
			parser->field = UNKNOWN; /* ignored as a whole */
			return;
		}
		parser->bad = false;
		if (parser->retry_ms < UINT64_MAX / 10 - 1) /* far too long already */
			parser->retry_ms = parser->retry_ms * 10 + (uint64_t)(bytes[i] - '0');
	}
}

static enum kolk__sse_event value_add(struct kolk__sse_parser *parser, const uint8_t *bytes,
				      size_t size)
{
	if (parser->field == DATA) {
		parser->data = bytes;
		parser->data_size = size;
		parser->event_data_size += size;
		return SSE_DATA;
	}
	if (parser->field == ID || parser->field == TYPE)
		add_text(parser, bytes, size);
	else if (parser->field == RETRY)
		add_digits(parser, bytes, size);
	return SSE_MORE;
}

/* An empty line. */
static enum kolk__sse_event dispatch(struct kolk__sse_parser *parser)
{
	if (!parser->any) {
		event_begin(parser);
		return SSE_MORE;
	}
	if (parser->has_id) {
		if (parser->event_id_size > 0)
			parser->id = memcpy(parser->ids + parser->ids_max, parser->ids,
					    parser->event_id_size);
		parser->id_size = parser->event_id_size;
	}
	parser->ended = true;
	return SSE_EVENT;
}

/* ---- bytes */

/* So many of size bytes may still belong to the event. */
static size_t count(struct kolk__sse_parser *parser, size_t size)
{
	uint64_t rest = parser->event_max - parser->event_bytes;

	if (size > rest)
		size = (size_t)rest;
	if (size == 0)
		parser->err = KOLK_E_LIMIT;
	parser->event_bytes += size;
	return size;
}

/* Each returns how many of the bytes it has used. */
static size_t read_mark(struct kolk__sse_parser *parser, const uint8_t *bytes)
{
	if (*bytes == byte_order_mark[parser->mark_size]) {
		if (++parser->mark_size == sizeof byte_order_mark)
			parser->state = NAME;
		return 1;
	}
	/* What looked like a mark begins a name that means nothing. */
	parser->name_size = parser->mark_size > 0 ? sizeof parser->name : 0;
	parser->state = NAME;
	return 0;
}

static size_t read_name(struct kolk__sse_parser *parser, const uint8_t *bytes,
			enum kolk__sse_event *event)
{
	uint8_t c = *bytes;

	if (is_line_end(c) && parser->name_size == 0) {
		parser->after_cr = c == '\r';
		*event = dispatch(parser);
		return 1;
	}
	if (is_line_end(c) || c == ':') {
		*event = value_begin(parser);
		parser->state = c == ':' ? BLANK : VALUE;
		return c == ':';
	}
	if (count(parser, 1) > 0 && parser->name_size < sizeof parser->name)
		parser->name[parser->name_size++] = (char)c;
	return 1;
}

static size_t read_value(struct kolk__sse_parser *parser, const uint8_t *bytes, size_t size,
			 enum kolk__sse_event *event)
{
	size_t run = line_run(bytes, size);

	if (run == 0) {
		parser->after_cr = *bytes == '\r';
		value_end(parser);
		return 1;
	}
	if (parser->field != COMMENT)
		run = count(parser, run);
	if (run > 0)
		*event = value_add(parser, bytes, run);
	return run;
}

static size_t read_bytes(struct kolk__sse_parser *parser, const uint8_t *bytes, size_t size,
			 enum kolk__sse_event *event)
{
	bool after_cr = parser->after_cr;

	parser->after_cr = false;
	if (after_cr && *bytes == '\n')
		return 1;
	switch (parser->state) {
	case MARK:
		return read_mark(parser, bytes);
	case NAME:
		return read_name(parser, bytes, event);
	case BLANK:
		parser->state = VALUE;
		return *bytes == ' ';
	default:
		return read_value(parser, bytes, size, event);
	}
}

enum kolk_err kolk__sse_next(struct kolk__sse_parser *parser, const uint8_t **at, size_t *left,
			     enum kolk__sse_event *event)
{
	*event = SSE_MORE;
	while (*left > 0 && *event == SSE_MORE && parser->err == KOLK_OK) {
		size_t used;

		if (parser->ended)
			event_begin(parser);
		used = read_bytes(parser, *at, *left, event);
		*at += used;
		*left -= used;
	}
	return parser->err;
}

/* ---- writing */

size_t kolk__sse_put_line(char *out, size_t capacity, const char *name, const char *value)
{
	struct h1_text text = { .buffer = out, .capacity = capacity };

	if (strpbrk(value, "\r\n") != NULL)
		return 0;
	h1_add(&text, name);
	h1_add(&text, ": ");
	h1_add(&text, value);
	h1_add(&text, "\n");
	return text.size <= capacity ? text.size : 0;
}

bool kolk__sse_write_data(struct kolk__sse_writer *writer, struct kolk__mcp_bytes *in,
			  struct kolk__mcp_bytes *part)
{
	static const uint8_t line_end[] = "\ndata: ";
	size_t run;

	if (writer->after_cr && in->size > 0) {
		kolk__mcp_cut(in, *in->bytes == '\n');
		writer->after_cr = false;
	}
	if (in->size == 0)
		return false;
	run = writer->open ? line_run(in->bytes, in->size) : 0;
	if (run > 0) {
		*part = kolk__mcp_cut(in, run);
		return true;
	}
	part->bytes = line_end + !writer->open;
	part->size = sizeof line_end - 1 - !writer->open;
	if (writer->open)
		writer->after_cr = *kolk__mcp_cut(in, 1).bytes == '\r';
	writer->open = true;
	return true;
}

const char *kolk__sse_write_end(struct kolk__sse_writer *writer)
{
	const char *end = writer->open ? "\n\n" : "\n";

	*writer = (struct kolk__sse_writer){ 0 };
	return end;
}
