/* SPDX-License-Identifier: Apache-2.0 */
/*
 * envelope.h - what a proxy has to know of a JSON-RPC message of MCP, read while the message
 * passes.
 *
 * The text is fed in pieces cut anywhere (json.h checks it). No tree is built: of the
 * members below, the place in the text and, if they are strings or numbers, the text is
 * kept; everything else is only checked. Memory is the struct and the buffer that the caller
 * gives.
 *
 * A message must mean the same to every reader behind us. So a message has a fault when
 * - a member of the table below occurs twice,
 * - a name differs from one of them only in case, or in the two letters that Unicode folds
 *   to ASCII (U+017F, U+212A): some readers take it for the same name,
 * - a name beside them, or a text that is kept, has U+0000 or half a surrogate pair.
 * Half a surrogate pair in any other text is accepted: the RFC allows it, and servers that
 * cut a string inside an emoji write it.
 *
 * Forwarding while a message arrives: scan a piece, then look at `fault` and at the fields,
 * then pass the piece on (rewrite.h). What depends on a field that is not known yet has to
 * be held by the caller, up to a bound of its own. Members may come in any order: some
 * servers write the id behind the result, however large. Where the id decides who gets an
 * answer (several callers on one stream), a message whose id does not come within the bound
 * cannot be forwarded; where it only has to be replaced, nothing is held. A fault may be
 * found after a part was sent: leave the message incomplete then, and close.
 */
#ifndef KOLK_MCP_ENVELOPE_H
#define KOLK_MCP_ENVELOPE_H

#include "transport/drivers/mcp/message.h"

struct kolk__mcp_limits {
	uint64_t bytes_max; /* of the whole text */
	uint32_t depth_max; /* 0 = 128; at most KOLK__JSON_DEPTH_MAX */
	uint32_t batch_max; /* messages of an array; 0 = no arrays (only 2025-03-26 has them) */
	char *text; /* where texts are kept; used by fields until the message after it begins */
	uint32_t text_size; /* KOLK__MCP_TEXT_MAX is enough; with less, long texts are cut */
};

struct kolk__mcp_envelope {
	struct kolk__json json;
	struct kolk__mcp_limits limits;
	struct kolk__mcp_message message; /* the one that is being read, or was read last */
	uint32_t seen;			  /* bits of fields whose names have been read */
	uint32_t text_used;
	uint32_t batch_count;
	uint8_t open;	   /* field whose value is being read, or KOLK__MCP_FIELDS */
	uint8_t level;	   /* whose members are being read */
	uint8_t base;	   /* containers around a message: 0, in a batch 1 */
	uint8_t levels[4]; /* fields whose values are the levels inside of the message */
	uint8_t nested;	   /* how many of them */
	bool refused;	   /* the text, and message.fault says why */
};

enum kolk__mcp_event {
	MCP_MORE,    /* the piece is used up */
	MCP_MESSAGE, /* message is whole, good or bad; in a batch others may follow */
};

/* Begin a text: a body, a line, the data of an event. */
void kolk__mcp_envelope_begin(struct kolk__mcp_envelope *envelope,
			      const struct kolk__mcp_limits *limits);
/* Read on in the piece *at, of which *left bytes are left. E_PROTOCOL, E_LIMIT: the text
 * ends here, for message.fault; no message of it that was not reported will be. */
enum kolk_err kolk__mcp_envelope_scan(struct kolk__mcp_envelope *envelope, const uint8_t **at,
				      size_t *left, enum kolk__mcp_event *event);
/* The text ends here. KOLK_OK: it was whole. */
enum kolk_err kolk__mcp_envelope_end(struct kolk__mcp_envelope *envelope);

/* For rewrite.h: how a field is kept; the value that is being read, if it is a string or
 * number of a field (then *at is its offset), or KOLK__MCP_FIELDS. */
enum kolk__json_keep kolk__mcp_field_keep(enum kolk__mcp_field_name field);
enum kolk__mcp_field_name kolk__mcp_open_scalar(const struct kolk__mcp_envelope *envelope,
						uint64_t *at);

#endif
