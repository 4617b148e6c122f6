/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cached.h - calls that are answered from their route's cache (cache.h): requests of 2026-07-28
 * for what servers of this version say may be kept. On the home of the call.
 */
#ifndef KOLK_GATEWAY_MCP_CACHED_H
#define KOLK_GATEWAY_MCP_CACHED_H

#include "tools/gateway/mcp/mcp.h"

/* Answer it: true, and it has ended. False: the server is to be asked. */
bool gw_mcp_cached_answers(struct gw_mcp_call *call);
/* What the server said to one that was not answered so. */
void gw_mcp_cached_keep(struct gw_mcp_call *call, const struct kolk_mcp_result *result);
/* The server says something to anybody: what it says has changed is not answered with any more. */
void gw_mcp_cached_note(struct gw_mcp_pool *pool, const struct kolk_mcp_message *message);

#endif
