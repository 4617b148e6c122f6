/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sse.h - text/event-stream, read and written in pieces cut anywhere (WHATWG HTML, section
 * 9.2).
 *
 * Lines end in LF, CR or CR LF; a CR ends its line at once, so that an event does not wait
 * for the next byte. Data is handed on as it arrives. Whether it is UTF-8 is left to its
 * reader.
 */
#ifndef KOLK_MCP_SSE_H
#define KOLK_MCP_SSE_H

#include <kolk/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport/drivers/mcp/bytes.h"

enum {
	KOLK__SSE_TYPE_MAX = 64, /* bytes of an event's type */
	KOLK__SSE_ID_MAX = 512,	 /* of an event's id */
};

enum kolk__sse_event {
	SSE_MORE,  /* the piece is used up */
	SSE_DATA,  /* a part of the data: data, data_size; lines are joined by LF */
	SSE_EVENT, /* the event is whole */
};

struct kolk__sse_parser {
	const uint8_t *data; /* SSE_DATA: in the piece, or an LF of ours */
	size_t data_size;
	/* Of the event, so far: its lines may come in any order. */
	uint64_t event_data_size;
	/* A line "data", perhaps empty. Without one, browsers take the id and dispatch
	 * nothing. */
	bool has_data;
	bool has_id;	/* a line "id", perhaps empty */
	bool has_retry; /* a line "retry" of digits: retry_ms */
	uint64_t retry_ms;
	uint32_t type_size, event_id_size;
	char type[KOLK__SSE_TYPE_MAX]; /* size 0: "message" */
	/* Of the last whole event that had an id, this one included at SSE_EVENT:
	 * Last-Event-ID. */
	uint32_t id_size;
	const char *id;
	/* the parser's: */
	/* Of the event, and of the last one, ids_max bytes each: grows with them, most are short. */
	char *ids;
	uint32_t ids_max;
	uint64_t event_max, event_bytes;
	enum kolk_err err;
	uint8_t state, field, name_size, mark_size;
	bool after_cr; /* an LF now is the rest of a line end */
	bool any;      /* a field that means something */
	bool ended;    /* the event was reported */
	bool bad;      /* the value of this line is to be ignored */
	char name[8];
};

/* event_max: bytes of the lines of one event, comments and line ends not counted. */
void kolk__sse_begin(struct kolk__sse_parser *parser, uint64_t event_max);
/* Whether it is between two events: of what it knows the id alone matters for what follows. */
bool kolk__sse_is_silent(const struct kolk__sse_parser *parser);
/* Begin instead of a parser of the same stream that was silent, and had this id. E_MEMORY. */
enum kolk_err kolk__sse_go_on(struct kolk__sse_parser *parser, uint64_t event_max, const char *id,
			      uint32_t id_size);
/* Free what it holds; harmless on zeros. */
void kolk__sse_end(struct kolk__sse_parser *parser);
/* The next thing in the piece *at, of which *left bytes are left. KOLK_E_LIMIT: an event,
 * its type or its id is too long; it stays, as KOLK_E_MEMORY does. An event that the end of
 * the stream cuts off is none. Not as browsers do: an id with NUL is ignored, and takes back
 * an id in the same event before it. */
enum kolk_err kolk__sse_next(struct kolk__sse_parser *parser, const uint8_t **at, size_t *left,
			     enum kolk__sse_event *event);

/* A line "name: value" into `out`, its size returned; an empty name makes a comment. 0: it
 * does not fit, or the value has a line end and would be read as more than a value. */
size_t kolk__sse_put_line(char *out, size_t capacity, const char *name, const char *value);

/* The data of one event; zeros at its beginning. */
struct kolk__sse_writer {
	bool open; /* in a line "data" */
	bool after_cr;
};

/* The next part to be sent of a piece of data, which becomes shorter. Parts are bytes of the
 * piece, or constants. A line end in the data becomes an LF. False: the piece is used up. */
bool kolk__sse_write_data(struct kolk__sse_writer *writer, struct kolk__mcp_bytes *in,
			  struct kolk__mcp_bytes *part);
/* What ends the event, and the line that is open: a constant. */
const char *kolk__sse_write_end(struct kolk__sse_writer *writer);

#endif
