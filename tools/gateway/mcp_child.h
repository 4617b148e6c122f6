/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_child.h - whether a server that is a child process with `era: auto` has sessions. */
#ifndef KOLK_GATEWAY_MCP_CHILD_H
#define KOLK_GATEWAY_MCP_CHILD_H

#include "tools/gateway/mcp.h"

/* Of pool->child_era: enum kolk_mcp_era; above 2 bits, until when it is believed, ns. Relaxed: the word
 * stands for itself. */
static inline enum kolk_mcp_era gw_mcp_child_era(const struct gw_mcp_pool *pool)
{
	return (enum kolk_mcp_era)(kolk__load_relaxed(&pool->child_era) & 3);
}

/* Where requests that stand for themselves go. */
static inline struct kolk_mcp *gw_mcp_calls(const struct gw_mcp_pool *pool)
{
	return pool->modern != NULL && gw_mcp_child_era(pool) == KOLK_MCP_MODERN ? pool->modern :
										   pool->calls;
}

/* Before such a request, on its home. True: the child is asked, and the call begins once more then. */
bool gw_mcp_child_ask(struct gw_mcp_call *call);

#endif
