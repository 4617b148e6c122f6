/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h1_message.c - heads, bodies and trailers of HTTP/1.1, parsed strictly: where a message ends (RFC
 * 9112, section 6) is either beyond doubt or an error.
 *
 * Heads and trailers are gathered until they are complete, then split in place (h1_fields.c);
 * bodies are passed through without a copy.
 */
#include "transport/drivers/h1_message.h"

#include <stdlib.h>
#include <string.h>

#include "transport/drivers/h1_fields.h"

enum { CHUNK_LINE_MAX = 256, TEXT_KEPT = 4096, FIELDS_KEPT = 64 };

void h1_memory_swap(struct h1_message *message, struct h1_memory *memory)
{
	struct h1_memory before = { message->text, message->text_capacity, message->fields,
				    message->field_capacity };

	message->text = memory->text;
	message->text_capacity = memory->text_capacity;
	message->fields = memory->fields;
	message->field_capacity = memory->field_capacity;
	*memory = before;
}

void h1_memory_shrink(struct h1_memory *memory)
{
	if (memory->text_capacity > TEXT_KEPT || memory->field_capacity > FIELDS_KEPT)
		h1_memory_free(memory);
}

void h1_memory_free(struct h1_memory *memory)
{
	free(memory->text);
	free(memory->fields);
	*memory = (struct h1_memory){ .text = NULL };
}

void h1_message_begin(struct h1_message *message)
{
	message->state = H1_IN_HEAD;
	message->too_large = false;
	message->field_count = 0;
	message->left = message->extra = 0;
	h1_forget_text(message);
	if (message->text_capacity > TEXT_KEPT || message->field_capacity > FIELDS_KEPT)
		h1_message_free(message);
}

void h1_message_free(struct h1_message *message)
{
	free(message->text);
	free(message->fields);
	message->text = NULL;
	message->fields = NULL;
	message->text_capacity = message->field_capacity = 0;
}

enum kolk_err h1_message_break(struct h1_message *message)
{
	message->state = H1_BROKEN;
	return KOLK_E_PROTOCOL;
}

static enum kolk_err too_large(struct h1_message *message)
{
	message->too_large = true;
	return h1_message_break(message);
}

/* ---- lines */

static enum kolk_err text_add(struct h1_message *message, const uint8_t *data, size_t size,
			      size_t max)
{
	size_t capacity = message->text_capacity, whole;

	if (size > max - message->text_size)
		return too_large(message);
	whole = message->text_size + size + H1_TEXT_SPARE;
	if (whole > capacity) {
		char *text;

		capacity = capacity == 0 ? 256 : capacity * 2;
		if (capacity < whole)
			capacity = whole;
		text = realloc(message->text, capacity);
		if (text == NULL)
			return KOLK_E_MEMORY;
		message->text = text;
		message->text_capacity = capacity;
	}
	memcpy(message->text + message->text_size, data, size);
	message->text_size += size;
	memset(message->text + message->text_size, 0, H1_TEXT_SPARE);
	return KOLK_OK;
}

static bool is_line(const char *line, size_t size)
{
	return size >= 2 && line[size - 2] == '\r' && memchr(line, '\r', size - 2) == NULL;
}

/* A LF without a CR, or a CR without a LF, is no end of a line to some readers and one to
 * others. */
enum kolk_err h1_gather_line(struct h1_message *message, const uint8_t **data, size_t *size,
			     size_t max)
{
	const uint8_t *end = memchr(*data, '\n', *size);
	size_t taken = end == NULL ? *size : (size_t)(end - *data) + 1;
	enum kolk_err err = text_add(message, *data, taken, max);

	if (err != KOLK_OK)
		return err;
	*data += taken;
	*size -= taken;
	if (end == NULL)
		return KOLK_PENDING;
	return is_line(message->text + message->line, message->text_size - message->line) ?
		       KOLK_OK : h1_message_break(message);
}

/* The lines at the beginning of text, up to the empty one. *taken: their bytes; KOLK_PENDING, when
 * the empty one is not there. */
static enum kolk_err whole_lines(const char *text, size_t size, size_t *taken)
{
	const char *end;

	while ((end = memchr(text + *taken, '\n', size - *taken)) != NULL) {
		size_t line = (size_t)(end - text) + 1 - *taken;

		if (!is_line(text + *taken, line))
			return KOLK_E_PROTOCOL;
		*taken += line;
		if (line == 2)
			return KOLK_OK;
	}
	return KOLK_PENDING;
}

bool h1_lines_end_well(const struct h1_message *message, const char *line)
{
	size_t taken = 0;

	return whole_lines(line, (size_t)(message->text + message->text_size - line), &taken) ==
	       KOLK_OK;
}

/* Whole lines are looked at where they lie, and copied at once. Where the last one is there, what
 * is in a line is looked at when it is split. */
static enum kolk_err gather_lines(struct h1_message *message, const uint8_t **data, size_t *size)
{
	const char *text = (const char *)*data;
	size_t left = message->head_bytes_max - message->text_size, taken;
	size_t may_be = *size < left ? *size : left, lines = h1_lines_size(text, may_be);
	enum kolk_err err = lines > 0 ? KOLK_OK : whole_lines(text, may_be, &lines);
	enum kolk_err added;

	if (err == KOLK_E_PROTOCOL)
		return h1_message_break(message);
	taken = err == KOLK_OK ? lines : *size;
	added = text_add(message, *data, taken, message->head_bytes_max);
	if (added != KOLK_OK)
		return added;
	message->line += lines;
	*data += taken;
	*size -= taken;
	return err;
}

enum kolk_err h1_gather(struct h1_message *message, const uint8_t **data, size_t *size)
{
	enum kolk_err err;

	if (message->text_size > message->line) { /* a line that has begun */
		err = h1_gather_line(message, data, size, message->head_bytes_max);
		if (err != KOLK_OK || message->text_size - message->line == 2)
			return err;
		message->line = message->text_size;
	}
	return *size > 0 ? gather_lines(message, data, size) : KOLK_PENDING;
}

void h1_forget_text(struct h1_message *message)
{
	message->text_size = message->line = 0;
}

/* ---- bodies */

/* Extensions are of no use here, but what they cost is bounded for the whole message. */
static enum kolk_err on_chunk_line(struct h1_message *message)
{
	const char *line = message->text;
	size_t size = message->text_size - 2, digits;

	if (!h1_chunk_size(line, size, &message->left, &digits))
		return h1_message_break(message);
	if (!h1_chunk_extensions(line + digits, size - digits))
		return h1_message_break(message);
	message->extra += size - digits;
	if (message->extra > message->head_bytes_max)
		return too_large(message);
	h1_forget_text(message);
	message->state = message->left > 0 ? H1_CHUNK : H1_IN_TRAILERS;
	return KOLK_OK;
}

static void on_body_bytes(struct h1_message *message, const uint8_t **data, size_t *size)
{
	uint64_t taken = *size;

	if (message->state != H1_UNTIL_CLOSE) {
		if (taken > message->left)
			taken = message->left;
		message->left -= taken;
		if (message->left == 0)
			message->state = message->state == H1_FIXED ? H1_WHOLE : H1_CHUNK_CR;
	}
	message->body = *data;
	message->body_size = (size_t)taken;
	*data += taken;
	*size -= (size_t)taken;
}

static enum kolk_err on_chunk_end(struct h1_message *message, const uint8_t **data, size_t *size)
{
	if (**data != (message->state == H1_CHUNK_CR ? '\r' : '\n'))
		return h1_message_break(message);
	++*data;
	--*size;
	message->state = message->state == H1_CHUNK_CR ? H1_CHUNK_LF : H1_CHUNK_LINE;
	return KOLK_OK;
}

static enum kolk_err on_trailers(struct h1_message *message, bool *close)
{
	struct h1_framing framing = { 0 };
	enum kolk_err err = h1_split_fields(message, message->text, &framing);

	for (uint32_t i = 0; i < message->field_count && err == KOLK_OK; i++)
		if (!h1_is_trailer(message->fields[i].name))
			err = h1_message_break(message);
	if (err != KOLK_OK)
		return err;
	*close |= framing.close;
	h1_forget_text(message);
	message->state = H1_WHOLE;
	return KOLK_OK;
}

enum kolk_err h1_body_step(struct h1_message *message, const uint8_t **data, size_t *size,
			   bool *close)
{
	enum kolk_err err;

	switch (message->state) {
	case H1_IN_TRAILERS:
		err = h1_gather(message, data, size);
		if (err == KOLK_OK)
			err = on_trailers(message, close);
		return err == KOLK_OK ? KOLK_PENDING : err;
	case H1_CHUNK_LINE:
		err = h1_gather_line(message, data, size, CHUNK_LINE_MAX);
		if (err == KOLK_OK)
			err = on_chunk_line(message);
		return err == KOLK_OK ? KOLK_PENDING : err;
	case H1_CHUNK_CR:
	case H1_CHUNK_LF:
		err = on_chunk_end(message, data, size);
		return err == KOLK_OK ? KOLK_PENDING : err;
	case H1_FIXED:
	case H1_CHUNK:
	case H1_UNTIL_CLOSE:
		on_body_bytes(message, data, size);
		return KOLK_OK;
	default:
		return h1_message_break(message);
	}
}
