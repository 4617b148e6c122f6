/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.h - the MCP servers of routes with tools: in the program itself (kolk/mcp_local.h), so that
 * both eras, sessions and limits are those of every other server.
 */
#ifndef KOLK_GATEWAY_TOOL_SERVER_H
#define KOLK_GATEWAY_TOOL_SERVER_H

#include "tools/gateway/mcp/mcp.h"

struct gw_tools;

/* How many routes have tools. */
uint32_t gw_tool_routes(const struct gw_config *config);
/* The servers of the configuration in force; NULL = no memory. The engine and the loops are there. */
struct gw_tools *gw_tools_open(struct gateway *gateway);
/* Open what clients of the server of this number go through, as gw_mcp_open does. */
enum kolk_err gw_tools_upstream(struct gw_tools *tools, uint32_t number, struct gw_mcp_pool *pool);
/* The number of a route's server; UINT32_MAX = it has none. */
uint32_t gw_tools_of_route(const struct gw_config *config, const struct gw_route *route);
/* Whether both have the same tools, on the same routes. */
bool gw_tools_same(const struct gw_config *before, const struct gw_config *after);
/* All sessions have ended: wait for what they began, and free all. Not on a loop. False = not by then.
 * NULL is allowed. */
bool gw_tools_close(struct gw_tools *tools, uint64_t deadline_ns);

#endif
