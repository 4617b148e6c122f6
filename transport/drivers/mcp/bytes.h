/* SPDX-License-Identifier: Apache-2.0 */
/* bytes.h - a part of a text: a piece that has come, a part to be sent. */
#ifndef KOLK_MCP_BYTES_H
#define KOLK_MCP_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* Not owned. */
struct kolk__mcp_bytes {
	const uint8_t *bytes;
	size_t size;
};

/* Takes at most size bytes off the front, and returns them. */
static inline struct kolk__mcp_bytes kolk__mcp_cut(struct kolk__mcp_bytes *from, uint64_t size)
{
	struct kolk__mcp_bytes front = *from;

	if (size < front.size)
		front.size = (size_t)size;
	from->bytes += front.size;
	from->size -= front.size;
	return front;
}

#endif
