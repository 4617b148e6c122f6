/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tools.h - tools that a client may not have (tool_rules.h, tool_list.h): a request that names one never
 * reaches the server, and lists are told without them.
 *
 * Both are judged by home, where every message passes: of one request, of an array, of a line.
 */
#ifndef KOLK_GATEWAY_MCP_TOOLS_H
#define KOLK_GATEWAY_MCP_TOOLS_H

#include "tools/gateway/mcp/mcp.h"

/* True = the call names a tool that is denied, and has been answered as if the server had no such tool. */
bool gw_mcp_tools_refuse(struct gw_mcp_call *call);
/* A result of the server: a list of tools becomes its client's, as gw_tool_list_show has it. */
bool gw_mcp_tools_show(const struct gw_mcp_call *call, struct kolk_mcp_part *result,
		       struct gw_pipe *out);

#endif
