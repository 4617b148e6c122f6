/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h1.h - HTTP/1.1 without I/O: a strict parser of answers, and a writer of requests.
 *
 * The parser is fed in pieces of any size and returns one event at a time. It accepts an answer in
 * the sense of RFC 9112 alone; where two readers could differ it refuses, and the connection is
 * closed (docs/decisions/0014-http1-parser.md).
 */
#ifndef KOLK_DRIVERS_H1_H
#define KOLK_DRIVERS_H1_H

#include "transport/drivers/h1_message.h"

/* The parser's events. */
enum h1_event {
	H1_MORE,          /* all input is consumed */
	H1_INFORMATIONAL, /* parser->head: a 1xx */
	H1_HEAD,          /* parser->head: the final one */
	H1_BODY,          /* message.body, body_size: lies in the input */
	H1_END,           /* the answer is complete; message.fields, trailer_count: trailers */
	H1_SWITCHED       /* the same, and what follows is another protocol */
};

struct h1_limits {
	uint32_t head_bytes_max, fields_max, informational_max;
	bool keep_alive_ignored; /* what Keep-Alive says */
};

struct h1_parser {
	struct h1_limits limits;
	struct h1_message message;
	bool no_body;     /* the request was a HEAD */
	bool connect;     /* the request was a CONNECT */
	bool keep;        /* the connection may serve another request after H1_END */
	uint32_t informational, trailer_count; /* so far */
	const char *upgrade; /* the protocol that the request asked for: a 101 is an answer then;
	                      * NULL */
	uint64_t idle_s;  /* Keep-Alive: timeout; 0 = not announced */
	struct kolk_http_head head;
};

/* Begin an answer; memory of the last one is used again. Then set no_body, connect, upgrade. */
void h1_parser_begin(struct h1_parser *parser);
/* Take input from *data, *size, which move on. Returns KOLK_OK with *event, E_PROTOCOL (for good)
 * or E_MEMORY. Ask again until H1_MORE; after H1_END and H1_SWITCHED what is left in *data is not
 * of this answer. */
enum kolk_err h1_parse(struct h1_parser *parser, const uint8_t **data, size_t *size,
		       enum h1_event *event);
/* The peer ended its stream: KOLK_OK = that was the end of a body without a length; E_CLOSED = the
 * answer is not whole. */
enum kolk_err h1_parse_end(struct h1_parser *parser);
/* Whether the rest of the answer may be drained: it is no more than max as far as that is known,
 * and another request may follow. */
bool h1_parser_drainable(const struct h1_parser *parser, uint64_t max);
void h1_parser_free(struct h1_parser *parser);

/* What the driver keeps of one connection. */
struct h1_session {
	struct h1_parser parser;
	bool answer_due; /* an answer is to come, or the rest of one */
	bool sending;    /* a request is not completely sent */
	bool unusable;   /* no request may follow: refused, switched, surplus bytes, truncated */
	bool pinging;    /* the exchange is a ping, not a reset */
};

/* Write the head of a request, whose fields lie as in a copy (http_request.c), to buffer, with
 * base, if it is not NULL, in front of a path; returns its size, also when it is more than capacity
 * (then nothing useful is written). */
size_t h1_write_head(const struct kolk_http_request *request, const char *base, char *buffer,
		     size_t capacity);

enum { H1_CHUNK_HEAD = 10, H1_CHUNK_TAIL = 2 }; /* "fffffff0\r\n" and "\r\n" */

/* Make a chunk of size bytes that lie at buffer + H1_CHUNK_HEAD; space for H1_CHUNK_TAIL is behind
 * them. Returns where it begins; *whole is its size. */
const void *h1_write_chunk(char *buffer, size_t size, size_t *whole);
/* The last chunk and trailers; as h1_write_head. */
size_t h1_write_last(const struct kolk_http_field *trailers, size_t count, char *buffer,
		     size_t capacity);

#endif
