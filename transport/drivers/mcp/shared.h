/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shared.h - texts that many sessions of an upstream have in common are kept once: what clients of
 * one program say of themselves, what one server answers to initialize.
 *
 * A text is looked for among the last ones alone: what that costs does not grow with their number,
 * and of servers or clients that differ each has its own.
 */
#ifndef KOLK_DRIVERS_MCP_SHARED_H
#define KOLK_DRIVERS_MCP_SHARED_H

#include "transport/drivers/mcp/post.h"

struct kolk_mcp;

struct mcp_shared {
	struct mcp_link link; /* mcp.shared, the last one that was wanted first */
	uint32_t refs;        /* under mcp.lock, as its link */
	size_t size;          /* constant, as text; a zero follows it */
	char text[];
};

/* Both under mcp.lock. NULL = no memory. */
struct mcp_shared *kolk__mcp_share(struct kolk_mcp *mcp, const char *text, size_t size);
/* NULL: nothing happens. */
void kolk__mcp_unshare(struct mcp_shared *shared);

#endif
