/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h1_request.h - the server's side of HTTP/1.1 without I/O: a strict parser of requests, and a
 * writer of answers.
 *
 * The parser is fed in pieces of any size and returns one event at a time. What two readers could
 * read in two ways is refused, with the status that the client gets (RFC 9112, section 11).
 */
#ifndef KOLK_DRIVERS_H1_REQUEST_H
#define KOLK_DRIVERS_H1_REQUEST_H

#include <kolk/http_server.h>

#include "transport/drivers/h1.h"

struct h1_request_limits {
	uint32_t head_bytes_max, target_bytes_max, fields_max;
	uint64_t body_bytes_max;
	bool tls; /* "https" is the scheme of requests that name none */
};

struct h1_request_parser {
	struct h1_request_limits limits;
	struct h1_message message;
	/* The head's memory while a body in chunks and its trailers use the message's. */
	struct h1_memory head_memory;
	struct kolk_http_request_head head; /* lives until the next request begins */
	uint32_t status;        /* of a refusal: 400, 408, 413, ... */
	uint32_t trailer_count; /* in message.fields */
	uint64_t body_size;     /* so far */
	bool keep;              /* the client lets the connection be used again */
	bool blank;             /* an empty line came before it */
};

/* Begin a request; memory of the last one is used again. */
void h1_request_begin(struct h1_request_parser *parser);
/* Take input from *data, *size, which move on. KOLK_OK with *event: H1_MORE; H1_HEAD, in
 * parser->head; H1_BODY, in message.body and body_size; H1_END: the request is whole. E_PROTOCOL:
 * refused, with parser->status; E_MEMORY. */
enum kolk_err h1_request_parse(struct h1_request_parser *parser, const uint8_t **data, size_t *size,
			       enum h1_event *event);
/* Whether a byte of the request came. */
bool h1_request_begun(const struct h1_request_parser *parser);
void h1_request_free(struct h1_request_parser *parser);
/* Of a head that was split: give back what its fields take; they are gone. Without memory nothing
 * happens. No part of the request is to come. */
void h1_request_trim(struct h1_request_parser *parser);

/* "host" or "host:port" in the spelling that all readers agree on: no user, no escapes, no list. */
bool h1_is_authority(const char *text);
/* Whether it is "/path?query" of visible ASCII without "#", or "*" with OPTIONS. */
bool h1_is_target(const char *method, const char *target);

/* How an answer's body goes out. */
enum h1_answer_body {
	H1_ANSWER_NONE,    /* there is none, and nothing says how long it would be */
	H1_ANSWER_LENGTH,  /* Content-Length */
	H1_ANSWER_CHUNKED,
	H1_ANSWER_CLOSE    /* the end of the connection is its end; or of 101, the other protocol */
};

struct h1_answer_head {
	const struct kolk_http_answer *answer;
	const char *date;  /* "Sun, 06 Nov 1994 08:49:37 GMT" */
	uint32_t version;  /* of the request */
	bool to_head;      /* the request was a HEAD */
	bool keep;         /* the connection can be used again */
	enum h1_answer_body body;
	uint64_t length;   /* of H1_ANSWER_LENGTH */
};

enum { H1_DATE_SIZE = 30 };

/* Decide body, length, and whether keep is possible. */
void h1_answer_frame(struct h1_answer_head *head);
/* Whether not a byte of its body is sent. */
bool h1_answer_is_empty(const struct h1_answer_head *head);
bool h1_has_date(const struct kolk_http_answer *answer);
/* Write it to buffer; returns its size, also when it is more than capacity (then nothing useful is
 * written). */
size_t h1_write_answer(const struct h1_answer_head *head, char *buffer, size_t capacity);
/* The same for 1xx (but 101): status line and fields. */
size_t h1_write_informational(const struct kolk_http_answer *answer, char *buffer, size_t capacity);
/* Write text of H1_DATE_SIZE bytes: seconds since 1970. */
void h1_write_date(uint64_t seconds, char *text);
/* What a status is called; "" = it has no name here. */
const char *h1_reason(uint32_t status);

#endif
