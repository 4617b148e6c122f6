/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rewrite.h - a message passed on while it arrives, byte for byte but for values that are
 * replaced.
 *
 * The caller scans a piece (envelope.h), says what replaces the fields that have become
 * known, and passes the piece. Nothing is buffered here: the parts to be sent are the
 * caller's bytes, the replacements, and texts that the envelope has kept. The bytes of an id
 * or a token are never taken from the pieces: while one of them is being read nothing of it
 * is passed, and when it is known, its replacement is passed, or the text that was kept,
 * which is the same bytes. So an id may be cut between two pieces.
 *
 * Pieces may be held and passed later, in their order, as long as the message is the one that was
 * scanned last: in a batch, pass what was scanned after each MCP_MESSAGE. Once a message has a
 * fault nothing of its text passes any more, the rest of a batch included: what was sent is no
 * JSON, and no reader behind takes it for a message.
 */
#ifndef KOLK_MCP_REWRITE_H
#define KOLK_MCP_REWRITE_H

#include "transport/drivers/mcp/bytes.h"
#include "transport/drivers/mcp/envelope.h"

enum { KOLK__MCP_REPLACED_MAX = 8 };

struct kolk__mcp_rewrite {
	uint64_t at;   /* offset of the next byte to be passed */
	bool skipping; /* inside of an id or token, or right behind it, and it was not passed */
	bool stopped;	  /* a message had a fault */
	uint64_t message; /* offset of the message that these are of */
	uint32_t fields;  /* bits of what is replaced */
	uint32_t count;
	struct {
		enum kolk__mcp_field_name field;
		struct kolk__mcp_bytes bytes;
	} replaced[KOLK__MCP_REPLACED_MAX];
};

/* A new text begins. */
void kolk__mcp_rewrite_begin(struct kolk__mcp_rewrite *rewrite);
/* Replace the value of a field that is known by these bytes, which are JSON and must stay until
 * the message is passed. False: it is not known, or was passed already, or there are too many. An
 * id or a token (kolk__mcp_has_token) is never passed before it is known, in whatever pieces it
 * came; other values are, unless their pieces were held. */
bool kolk__mcp_rewrite_set(struct kolk__mcp_rewrite *rewrite,
			   const struct kolk__mcp_envelope *envelope,
			   enum kolk__mcp_field_name field, struct kolk__mcp_bytes bytes);
/* The next part to be sent of the piece `in`, which becomes shorter. False: there is none;
 * more of the piece is left only if the message has a fault. */
bool kolk__mcp_rewrite_part(struct kolk__mcp_rewrite *rewrite,
			    const struct kolk__mcp_envelope *envelope,
			    struct kolk__mcp_bytes *in, struct kolk__mcp_bytes *part);

#endif
