/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_child.h - whether a server that is a child process with `era: auto` has sessions. */
#ifndef KOLK_GATEWAY_MCP_CHILD_H
#define KOLK_GATEWAY_MCP_CHILD_H

#include "tools/gateway/mcp.h"

/* Where requests that stand for themselves go: `calls` of the pool, or `modern`. */
struct kolk_mcp *gw_mcp_calls(const struct gw_mcp_pool *pool);
/* Before such a request, on its home. True: the child is asked, and the call begins once more then. */
bool gw_mcp_child_ask(struct gw_mcp_call *call);

#endif
