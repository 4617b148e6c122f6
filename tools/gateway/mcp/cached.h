/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cached.h - calls that are answered from their route's cache (cache.h): requests of 2026-07-28
 * for what servers of this version say may be kept. On the home of the call.
 */
#ifndef KOLK_GATEWAY_MCP_CACHED_H
#define KOLK_GATEWAY_MCP_CACHED_H

#include "tools/gateway/mcp/mcp.h"

/* Answer the call from the cache. True = it has ended; false = the server is to be asked. */
bool gw_mcp_cached_answers(struct gw_mcp_call *call);
/* Keep the server's result of a call that was not answered from the cache. */
void gw_mcp_cached_keep(struct gw_mcp_call *call, const struct kolk_mcp_result *result);
/* A notification of the server: drop the results that it says have changed. */
void gw_mcp_cached_note(struct gw_mcp_pool *pool, const struct kolk_mcp_message *message);

#endif
