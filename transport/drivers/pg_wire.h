/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_wire.h - messages of PostgreSQL's protocol 3.0: read from pieces of any size, written into a
 * growing buffer. No I/O, and no length is used before it was checked.
 */
#ifndef KOLK_PG_WIRE_H
#define KOLK_PG_WIRE_H

#include <kolk/postgres.h>

/* ---- reading */

struct pg_message {
	uint8_t type;
	const uint8_t *body; /* valid until the next pg_read */
	uint32_t size;
};

/* The part of a message that is not complete yet; all zero but max at the start. */
struct pg_reader {
	uint8_t *partial;
	uint32_t size, capacity;
	uint32_t max;  /* bytes of a body */
	bool consumed; /* the buffered message was returned */
};

/* Read the next message from *data. KOLK_OK: there was a complete one. KOLK_PENDING: all of *data
 * is buffered, more is needed. Errors: E_PROTOCOL (a length that cannot be), E_LIMIT, E_MEMORY. */
enum kolk_err pg_read(struct pg_reader *reader, const uint8_t **data, size_t *size,
		      struct pg_message *message);
/* Whether the stream is between two messages. */
bool pg_reader_at_boundary(const struct pg_reader *reader);
void pg_reader_free(struct pg_reader *reader);

/* The inside of a message. After the first read beyond its end it is bad, and reads give zero. */
struct pg_cursor {
	const uint8_t *at;
	size_t left;
	bool bad;
};
struct pg_cursor pg_cursor_of(const struct pg_message *message);
uint8_t pg_get_u8(struct pg_cursor *cursor);
uint16_t pg_get_u16(struct pg_cursor *cursor);
uint32_t pg_get_u32(struct pg_cursor *cursor);
/* The next bytes, or NULL; a text with its zero, or "". */
const uint8_t *pg_get_bytes(struct pg_cursor *cursor, size_t size);
const char *pg_get_text(struct pg_cursor *cursor);
/* Whether it was read to its end, and no further. */
bool pg_cursor_ended(const struct pg_cursor *cursor);

/* The fields of ErrorResponse and NoticeResponse; they point into the message. False: malformed. */
bool pg_get_error(const struct pg_message *message, struct kolk_postgres_error *error);

/* ---- writing */

/* Once an allocation failed, or a message became too long, what is added is dropped. */
struct pg_bytes {
	uint8_t *at;
	size_t size, capacity;
	bool failed;
};

void pg_put(struct pg_bytes *bytes, const void *data, size_t size);
void pg_put_u8(struct pg_bytes *bytes, uint8_t value);
void pg_put_u16(struct pg_bytes *bytes, uint16_t value);
void pg_put_u32(struct pg_bytes *bytes, uint32_t value);
void pg_put_text(struct pg_bytes *bytes, const char *text);
/* A message is begun by its type (0: the start-up's, which have none), and ended with what begin
 * returned: its length is known then. */
size_t pg_begin(struct pg_bytes *bytes, char type);
void pg_end(struct pg_bytes *bytes, size_t begun);
/* A message of no more than a text: Query, CopyFail. */
void pg_put_message(struct pg_bytes *bytes, char type, const char *text);
void pg_bytes_free(struct pg_bytes *bytes);

#endif
