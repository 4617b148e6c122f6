/* SPDX-License-Identifier: Apache-2.0 */
/* pg_wire.c - reads and writes messages of PostgreSQL's protocol 3.0. */
#include "transport/drivers/pg_wire.h"

#include <stdlib.h>
#include <string.h>

enum { HEADER = 5, LENGTH = 4, PREALLOCATED_MAX = 32768 };

static uint32_t u32_at(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* ---- reading */

/* How long the message is whose header this is, header and all. */
static enum kolk_err whole_size(const struct pg_reader *reader, const uint8_t *header,
				size_t *size)
{
	uint32_t length = u32_at(header + 1);

	if (length < LENGTH || length > INT32_MAX)
		return KOLK_E_PROTOCOL;
	if (length - LENGTH > reader->max)
		return KOLK_E_LIMIT;
	*size = (size_t)length + 1;
	return KOLK_OK;
}

/* Memory grows with the bytes received; an announced size is allocated ahead only while it is
 * small. */
static bool collect(struct pg_reader *reader, const uint8_t **data, size_t *size, size_t wanted)
{
	size_t more = wanted - reader->size < *size ? wanted - reader->size : *size;
	size_t needed = reader->size + more;

	if (needed > reader->capacity) {
		size_t ahead = wanted < PREALLOCATED_MAX ? wanted : PREALLOCATED_MAX;
		size_t capacity = needed * 2 > ahead ? needed * 2 : ahead;
		uint8_t *partial;

		partial = realloc(reader->partial, capacity);
		if (partial == NULL)
			return false;
		reader->partial = partial;
		reader->capacity = (uint32_t)capacity;
	}
	memcpy(reader->partial + reader->size, *data, more);
	reader->size = (uint32_t)needed;
	*data += more;
	*size -= more;
	return true;
}

static void set_message(struct pg_message *message, const uint8_t *at, size_t whole)
{
	message->type = at[0];
	message->body = at + HEADER;
	message->size = (uint32_t)(whole - HEADER);
}

static enum kolk_err read_partial(struct pg_reader *reader, const uint8_t **data, size_t *size,
				  struct pg_message *message)
{
	size_t whole;
	enum kolk_err err;

	if (!collect(reader, data, size, reader->size < HEADER ? HEADER : reader->size))
		return KOLK_E_MEMORY;
	if (reader->size < HEADER)
		return KOLK_PENDING;
	err = whole_size(reader, reader->partial, &whole);
	if (err != KOLK_OK)
		return err;
	if (!collect(reader, data, size, whole))
		return KOLK_E_MEMORY;
	if (reader->size < whole)
		return KOLK_PENDING;
	set_message(message, reader->partial, whole);
	reader->consumed = true;
	return KOLK_OK;
}

enum kolk_err pg_read(struct pg_reader *reader, const uint8_t **data, size_t *size,
		      struct pg_message *message)
{
	size_t whole;
	enum kolk_err err;

	if (reader->consumed) {
		reader->consumed = false;
		reader->size = 0;
	}
	if (*size == 0)
		return KOLK_PENDING;
	if (reader->size > 0 || *size < HEADER)
		return read_partial(reader, data, size, message);
	err = whole_size(reader, *data, &whole);
	if (err != KOLK_OK)
		return err;
	if (*size < whole)
		return read_partial(reader, data, size, message);
	set_message(message, *data, whole);
	*data += whole;
	*size -= whole;
	return KOLK_OK;
}

bool pg_reader_at_boundary(const struct pg_reader *reader)
{
	return reader->size == 0 || reader->consumed;
}

void pg_reader_free(struct pg_reader *reader)
{
	free(reader->partial);
	reader->partial = NULL;
	reader->size = reader->capacity = 0;
	reader->consumed = false;
}

struct pg_cursor pg_cursor_of(const struct pg_message *message)
{
	return (struct pg_cursor){ message->body, message->size, false };
}

const uint8_t *pg_get_bytes(struct pg_cursor *cursor, size_t size)
{
	const uint8_t *at = cursor->at;

	if (cursor->bad || size > cursor->left) {
		cursor->bad = true;
		return NULL;
	}
	cursor->at += size;
	cursor->left -= size;
	return at;
}

uint8_t pg_get_u8(struct pg_cursor *cursor)
{
	const uint8_t *at = pg_get_bytes(cursor, 1);

	return at != NULL ? at[0] : 0;
}

uint16_t pg_get_u16(struct pg_cursor *cursor)
{
	const uint8_t *at = pg_get_bytes(cursor, 2);

	return (uint16_t)(at != NULL ? at[0] << 8 | at[1] : 0);
}

uint32_t pg_get_u32(struct pg_cursor *cursor)
{
	const uint8_t *at = pg_get_bytes(cursor, 4);

	return at != NULL ? u32_at(at) : 0;
}

const char *pg_get_text(struct pg_cursor *cursor)
{
	const uint8_t *end = cursor->bad ? NULL : memchr(cursor->at, 0, cursor->left);

	if (end == NULL) {
		cursor->bad = true;
		return "";
	}
	return (const char *)pg_get_bytes(cursor, (size_t)(end - cursor->at) + 1);
}

bool pg_cursor_ended(const struct pg_cursor *cursor)
{
	return !cursor->bad && cursor->left == 0;
}

static const char **field_of(struct kolk_postgres_error *error, uint8_t code)
{
	switch (code) {
	case 'V':
		return &error->severity;
	case 'C':
		return &error->sqlstate;
	case 'M':
		return &error->message;
	case 'D':
		return &error->detail;
	case 'H':
		return &error->hint;
	case 'W':
		return &error->where;
	case 's':
		return &error->schema;
	case 't':
		return &error->table;
	case 'c':
		return &error->column;
	case 'd':
		return &error->type;
	case 'n':
		return &error->constraint;
	default:
		return NULL;
	}
}

bool pg_get_error(const struct pg_message *message, struct kolk_postgres_error *error)
{
	struct pg_cursor cursor = pg_cursor_of(message);
	const char *severity = "";

	*error = (struct kolk_postgres_error){ "", "", "", NULL, NULL, NULL, NULL,
					       NULL, NULL, NULL, NULL, 0, 0 };
	for (uint8_t code = pg_get_u8(&cursor); code != 0; code = pg_get_u8(&cursor)) {
		const char *text = pg_get_text(&cursor), **field = field_of(error, code);

		if (field != NULL)
			*field = text;
		else if (code == 'P')
			error->position = (uint32_t)strtoul(text, NULL, 10);
		else if (code == 'S')
			severity = text; /* of servers before 9.6, which send no V */
	}
	if (error->severity[0] == 0)
		error->severity = severity;
	return pg_cursor_ended(&cursor) && strlen(error->sqlstate) == 5;
}

/* ---- writing */

static bool grow(struct pg_bytes *bytes, size_t size)
{
	size_t capacity = bytes->capacity < 256 ? 256 : bytes->capacity;
	uint8_t *at;

	if (bytes->failed || size > INT32_MAX) {
		bytes->failed = true;
		return false;
	}
	while (capacity - bytes->size < size)
		capacity *= 2;
	at = realloc(bytes->at, capacity);
	if (at == NULL) {
		bytes->failed = true;
		return false;
	}
	bytes->at = at;
	bytes->capacity = capacity;
	return true;
}

void pg_put(struct pg_bytes *bytes, const void *data, size_t size)
{
	if (size == 0 || (bytes->capacity - bytes->size < size && !grow(bytes, size)))
		return;
	memcpy(bytes->at + bytes->size, data, size);
	bytes->size += size;
}

void pg_put_u8(struct pg_bytes *bytes, uint8_t value)
{
	pg_put(bytes, &value, 1);
}

void pg_put_u16(struct pg_bytes *bytes, uint16_t value)
{
	const uint8_t big[] = { (uint8_t)(value >> 8), (uint8_t)value };

	pg_put(bytes, big, sizeof big);
}

void pg_put_u32(struct pg_bytes *bytes, uint32_t value)
{
	const uint8_t big[] = { (uint8_t)(value >> 24), (uint8_t)(value >> 16),
				(uint8_t)(value >> 8), (uint8_t)value };

	pg_put(bytes, big, sizeof big);
}

void pg_put_text(struct pg_bytes *bytes, const char *text)
{
	pg_put(bytes, text, strlen(text) + 1);
}

size_t pg_begin(struct pg_bytes *bytes, char type)
{
	size_t begun;

	if (type != 0)
		pg_put_u8(bytes, (uint8_t)type);
	begun = bytes->size;
	pg_put_u32(bytes, 0);
	return begun;
}

void pg_end(struct pg_bytes *bytes, size_t begun)
{
	size_t size = bytes->size - begun;

	if (bytes->failed || size > INT32_MAX) {
		bytes->failed = true;
		return;
	}
	for (int i = 0; i < LENGTH; i++)
		bytes->at[begun + (size_t)i] = (uint8_t)(size >> (24 - 8 * i));
}

void pg_put_message(struct pg_bytes *bytes, char type, const char *text)
{
	size_t begun = pg_begin(bytes, type);

	pg_put_text(bytes, text);
	pg_end(bytes, begun);
}

void pg_bytes_free(struct pg_bytes *bytes)
{
	free(bytes->at);
	*bytes = (struct pg_bytes){ 0 };
}
