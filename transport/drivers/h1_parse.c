/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h1_parse.c - answers of HTTP/1.1, parsed strictly: where their body ends (RFC 9112, section 6) is
 * either beyond doubt or an error.
 *
 * Heads and trailers are gathered until they are complete, then split in place (h1_fields.c);
 * bodies are passed through without a copy.
 */
#include <stdlib.h>
#include <string.h>

#include "transport/drivers/h1.h"
#include "transport/drivers/h1_fields.h"

enum {
	HEAD, FIXED, CHUNK_LINE, CHUNK, CHUNK_CR, CHUNK_LF, TRAILERS, UNTIL_CLOSE, WHOLE, SWITCHING,
	FINISHED, BROKEN
};

enum { CHUNK_LINE_MAX = 256, TEXT_KEPT = 4096, FIELDS_KEPT = 64 };

void h1_parser_begin(struct h1_parser *parser)
{
	parser->state = HEAD;
	parser->no_body = parser->connect = false;
	parser->keep = false;
	parser->upgrade = NULL;
	parser->informational = parser->trailer_count = 0;
	parser->left = parser->idle_s = parser->extra = 0;
	parser->text_size = parser->line = 0;
	parser->head = (struct kolk_http_head){ 0 };
	if (parser->text_capacity > TEXT_KEPT || parser->field_capacity > FIELDS_KEPT)
		h1_parser_free(parser);
}

void h1_parser_free(struct h1_parser *parser)
{
	free(parser->text);
	free(parser->fields);
	parser->text = NULL;
	parser->fields = NULL;
	parser->text_capacity = parser->field_capacity = 0;
}

static enum kolk_err broken(struct h1_parser *parser)
{
	parser->state = BROKEN;
	parser->keep = false;
	return KOLK_E_PROTOCOL;
}

static enum kolk_err text_add(struct h1_parser *parser, const uint8_t *data, size_t size,
			      size_t max)
{
	size_t capacity = parser->text_capacity;

	if (size > max - parser->text_size)
		return broken(parser);
	if (parser->text_size + size > capacity) {
		char *text;

		capacity = capacity == 0 ? 1024 : capacity * 2;
		if (capacity < parser->text_size + size)
			capacity = parser->text_size + size;
		text = realloc(parser->text, capacity);
		if (text == NULL)
			return KOLK_E_MEMORY;
		parser->text = text;
		parser->text_capacity = capacity;
	}
	memcpy(parser->text + parser->text_size, data, size);
	parser->text_size += size;
	return KOLK_OK;
}

/* What does not begin as an answer is refused at its first byte, not when its head is too long. */
static bool begins_as_answer(const struct h1_parser *parser)
{
	static const char version[] = "HTTP/1.";
	size_t size = parser->text_size;

	if (size > sizeof version - 1)
		size = sizeof version - 1;
	return memcmp(parser->text, version, size) == 0;
}

static bool is_line(const char *line, size_t size)
{
	return size >= 2 && line[size - 2] == '\r' && memchr(line, '\r', size - 2) == NULL;
}

/* Gather a line, CR LF included; KOLK_PENDING until it is whole. parser->line is where it begins. A
 * LF without a CR, or a CR without a LF, is no end of a line to some readers and one to others. */
static enum kolk_err gather_line(struct h1_parser *parser, const uint8_t **data, size_t *size,
				 size_t max)
{
	const uint8_t *end = memchr(*data, '\n', *size);
	size_t taken = end == NULL ? *size : (size_t)(end - *data) + 1;
	enum kolk_err err = text_add(parser, *data, taken, max);

	if (err != KOLK_OK)
		return err;
	*data += taken;
	*size -= taken;
	if (end == NULL)
		return KOLK_PENDING;
	return is_line(parser->text + parser->line, parser->text_size - parser->line) ?
		       KOLK_OK : broken(parser);
}

/* Gather lines up to the empty one. */
static enum kolk_err gather(struct h1_parser *parser, const uint8_t **data, size_t *size)
{
	while (*size > 0) {
		enum kolk_err err = gather_line(parser, data, size, parser->limits.head_bytes_max);

		if (parser->state == HEAD && err != KOLK_E_MEMORY && !begins_as_answer(parser))
			return broken(parser);
		if (err != KOLK_OK)
			return err;
		if (parser->text_size - parser->line == 2)
			return KOLK_OK;
		parser->line = parser->text_size;
	}
	return KOLK_PENDING;
}

static void clear_text(struct h1_parser *parser)
{
	parser->text_size = parser->line = 0;
}

/* ---- heads */

static enum kolk_err informational(struct h1_parser *parser, const struct h1_framing *framing,
				   enum h1_event *event)
{
	const struct kolk_http_head *head = &parser->head;

	if (head->version != 11 || framing->chunked || framing->length > 0)
		return broken(parser);
	if (head->status == 101) {
		if (parser->upgrade == NULL || !h1_upgrade_is(framing->upgrade, parser->upgrade))
			return broken(parser);
		parser->state = SWITCHING;
		*event = H1_HEAD;
		return KOLK_OK;
	}
	if (++parser->informational > parser->limits.informational_max)
		return broken(parser);
	*event = H1_INFORMATIONAL;
	return KOLK_OK;
}

/* RFC 9112, section 6.3. */
static enum kolk_err final(struct h1_parser *parser, const struct h1_framing *framing)
{
	struct kolk_http_head *head = &parser->head;

	parser->keep = head->version == 11 ? !framing->close :
					     framing->keep_alive && !framing->close;
	if (!parser->limits.keep_alive_ignored) {
		parser->idle_s = framing->idle_s;
		parser->keep &= !framing->last;
	}
	if (framing->tunnel) {
		parser->state = SWITCHING;
		parser->keep = false;
		return KOLK_OK;
	}
	head->body_size = framing->has_length ? framing->length : KOLK_HTTP_CHUNKED;
	if (head->status == 204 && (framing->chunked || framing->length > 0))
		return broken(parser);
	if (parser->no_body || head->status == 204 || head->status == 304) {
		if (!framing->has_length)
			head->body_size = framing->chunked ? KOLK_HTTP_CHUNKED : 0;
		parser->state = WHOLE;
	} else if (framing->chunked) {
		parser->state = CHUNK_LINE;
	} else if (framing->has_length) {
		parser->left = framing->length;
		parser->state = framing->length > 0 ? FIXED : WHOLE;
	} else {
		parser->state = UNTIL_CLOSE;
		parser->keep = false;
	}
	return KOLK_OK;
}

static enum kolk_err on_head_complete(struct h1_parser *parser, enum h1_event *event)
{
	struct h1_framing framing = { 0 };
	enum kolk_err err = h1_split_head(parser, &framing);

	if (err == KOLK_E_PROTOCOL)
		return broken(parser);
	if (err != KOLK_OK)
		return err;
	clear_text(parser);
	*event = H1_HEAD;
	if (parser->head.status < 200)
		return informational(parser, &framing, event);
	return final(parser, &framing);
}

static enum kolk_err on_trailers_complete(struct h1_parser *parser)
{
	struct h1_framing framing = { 0 };
	enum kolk_err err = h1_split_fields(parser, parser->text, &framing);

	if (err == KOLK_E_PROTOCOL || framing.has_length || framing.chunked)
		return broken(parser);
	parser->keep &= !framing.close;
	parser->trailer_count = parser->head.field_count;
	clear_text(parser);
	if (err == KOLK_OK)
		parser->state = WHOLE;
	return err;
}

/* ---- chunks */

/* Extensions are of no use here, but what they cost is bounded for the whole answer. */
static enum kolk_err on_chunk_line(struct h1_parser *parser)
{
	const char *line = parser->text;
	size_t size = parser->text_size - 2, digits;

	if (!h1_chunk_size(line, size, &parser->left, &digits))
		return broken(parser);
	if (!h1_chunk_extensions(line + digits, size - digits))
		return broken(parser);
	parser->extra += size - digits;
	if (parser->extra > parser->limits.head_bytes_max)
		return broken(parser);
	clear_text(parser);
	parser->state = parser->left > 0 ? CHUNK : TRAILERS;
	return KOLK_OK;
}

static void on_body_bytes(struct h1_parser *parser, const uint8_t **data, size_t *size)
{
	uint64_t taken = *size;

	if (parser->state != UNTIL_CLOSE) {
		if (taken > parser->left)
			taken = parser->left;
		parser->left -= taken;
		if (parser->left == 0)
			parser->state = parser->state == FIXED ? WHOLE : CHUNK_CR;
	}
	parser->body = *data;
	parser->body_size = (size_t)taken;
	*data += taken;
	*size -= (size_t)taken;
}

static enum kolk_err on_chunk_end(struct h1_parser *parser, const uint8_t **data, size_t *size)
{
	if (**data != (parser->state == CHUNK_CR ? '\r' : '\n'))
		return broken(parser);
	++*data;
	--*size;
	parser->state = parser->state == CHUNK_CR ? CHUNK_LF : CHUNK_LINE;
	return KOLK_OK;
}

/* ---- the machine */

/* One step with at least a byte of input; KOLK_PENDING = no event yet. */
static enum kolk_err step(struct h1_parser *parser, const uint8_t **data, size_t *size,
			  enum h1_event *event)
{
	enum kolk_err err;

	switch (parser->state) {
	case HEAD:
		err = gather(parser, data, size);
		return err == KOLK_OK ? on_head_complete(parser, event) : err;
	case TRAILERS:
		err = gather(parser, data, size);
		if (err == KOLK_OK)
			err = on_trailers_complete(parser);
		return err == KOLK_OK ? KOLK_PENDING : err;
	case CHUNK_LINE:
		err = gather_line(parser, data, size, CHUNK_LINE_MAX);
		if (err == KOLK_OK)
			err = on_chunk_line(parser);
		return err == KOLK_OK ? KOLK_PENDING : err;
	case CHUNK_CR:
	case CHUNK_LF:
		err = on_chunk_end(parser, data, size);
		return err == KOLK_OK ? KOLK_PENDING : err;
	case FIXED:
	case CHUNK:
	case UNTIL_CLOSE:
		on_body_bytes(parser, data, size);
		*event = H1_BODY;
		return KOLK_OK;
	default:
		return broken(parser);
	}
}

enum kolk_err h1_parse(struct h1_parser *parser, const uint8_t **data, size_t *size,
		       enum h1_event *event)
{
	enum kolk_err err = KOLK_PENDING;

	while (err == KOLK_PENDING) {
		if (parser->state == WHOLE || parser->state == SWITCHING) {
			*event = parser->state == WHOLE ? H1_END : H1_SWITCHED;
			parser->state = FINISHED;
			return KOLK_OK;
		}
		if (*size == 0 && parser->state < FINISHED) {
			*event = H1_MORE;
			return KOLK_OK;
		}
		err = step(parser, data, size, event);
	}
	return err;
}

enum kolk_err h1_parse_end(struct h1_parser *parser)
{
	if (parser->state == UNTIL_CLOSE) {
		parser->state = FINISHED;
		return KOLK_OK;
	}
	(void)broken(parser);
	return KOLK_E_CLOSED;
}

bool h1_parser_drainable(const struct h1_parser *parser, uint64_t max)
{
	if (max == 0 || parser->state == UNTIL_CLOSE || parser->state >= SWITCHING)
		return false;
	if (parser->state == HEAD)
		return true;
	return parser->keep && (parser->state != FIXED || parser->left <= max);
}
