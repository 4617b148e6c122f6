/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h1_message.h - what requests and answers of HTTP/1.1 have in common (RFC 9112, sections 5 to 7):
 * a head that is gathered until it is whole, a body of a length or in chunks, trailers.
 *
 * h1_parse.c makes answers of it, h1_request.c requests.
 */
#ifndef KOLK_DRIVERS_H1_MESSAGE_H
#define KOLK_DRIVERS_H1_MESSAGE_H

#include <kolk/http.h>

enum h1_state {
	H1_IN_HEAD, H1_FIXED, H1_CHUNK_LINE, H1_CHUNK, H1_CHUNK_CR, H1_CHUNK_LF, H1_IN_TRAILERS,
	H1_UNTIL_CLOSE, H1_WHOLE, H1_SWITCHING, H1_FINISHED, H1_BROKEN
};

enum { H1_TEXT_SPARE = 16 };    /* zeros behind a text: it is looked at so many bytes at a time */

struct h1_message {
	uint8_t state;          /* enum h1_state */
	bool too_large;         /* it is broken because a bound is exceeded */
	uint32_t head_bytes_max, fields_max;
	uint32_t field_count, field_capacity;
	uint64_t left;          /* bytes of the body or of the chunk that are to come */
	uint64_t extra;         /* bytes of chunk extensions so far */
	char *text;             /* a head or trailers, as they come */
	size_t text_size, text_capacity;
	size_t line;            /* where the last line of text begins */
	struct kolk_http_field *fields; /* of the head, or the trailers, when they are whole */
	const void *body;       /* a piece: lies in the input */
	size_t body_size;
};

/* Memory for a head that is kept beside a message. */
struct h1_memory {
	char *text;
	size_t text_capacity;
	struct kolk_http_field *fields;
	uint32_t field_capacity;
};

/* Each takes the other's. */
void h1_memory_swap(struct h1_message *message, struct h1_memory *memory);
/* It is kept for the next message, unless it is large. */
void h1_memory_shrink(struct h1_memory *memory);
void h1_memory_free(struct h1_memory *memory);

/* Begin a message; memory of the last one is used again. */
void h1_message_begin(struct h1_message *message);
void h1_message_free(struct h1_message *message);
/* It breaks a rule, for good: E_PROTOCOL. */
enum kolk_err h1_message_break(struct h1_message *message);

/* Gather a line, CR LF included: KOLK_OK, KOLK_PENDING until it is whole. */
enum kolk_err h1_gather_line(struct h1_message *message, const uint8_t **data, size_t *size,
			     size_t max);
/* Add the next lines up to the empty one to text: KOLK_OK, KOLK_PENDING until it is there. */
enum kolk_err h1_gather(struct h1_message *message, const uint8_t **data, size_t *size);
/* Whether the lines from here to the empty one end as they should. Of a head that came whole it is
 * not known before it is split; what it is refused for does not depend on how it came. */
bool h1_lines_end_well(const struct h1_message *message, const char *line);
/* What was gathered is split, or of no use: the next line is the first again. */
void h1_forget_text(struct h1_message *message);

/* A step in the body, with at least a byte of input: KOLK_OK = body is a piece of it, KOLK_PENDING
 * = state may have changed. Trailers are gathered and split, and end as H1_WHOLE; *close is set
 * when they ask for it. */
enum kolk_err h1_body_step(struct h1_message *message, const uint8_t **data, size_t *size,
			   bool *close);

#endif
