/* SPDX-License-Identifier: Apache-2.0 */
/* child.h - whether a server that is a child process with `era: auto` has sessions. */
#ifndef KOLK_GATEWAY_MCP_CHILD_H
#define KOLK_GATEWAY_MCP_CHILD_H

#include "tools/gateway/mcp/mcp.h"

/* Of pool->child_era: enum kolk_mcp_era; above 2 bits, until when it is believed, ns. Relaxed: the word
 * stands for itself. */
static inline enum kolk_mcp_era gw_mcp_child_era(const struct gw_mcp_pool *pool)
{
	return (enum kolk_mcp_era)(kolk__load_relaxed(&pool->child_era) & 3);
}

/* Where stateless requests go. */
static inline struct kolk_mcp *gw_mcp_calls(const struct gw_mcp_pool *pool)
{
	return pool->modern != NULL && gw_mcp_child_era(pool) == KOLK_MCP_MODERN ? pool->modern :
										   pool->calls;
}

/* What the end of the question says; AUTO = nothing. was: what was known before. A child that served
 * such requests and is silent is busy, not another one. */
static inline enum kolk_mcp_era gw_mcp_child_said(enum kolk_mcp_era was,
						  const struct kolk_mcp_result *result)
{
	const int32_t code = result->error_code;

	if (result->err == KOLK_OK || code == -32020 || code == -32021 || code == -32022)
		return KOLK_MCP_MODERN;
	if (result->err == KOLK_E_TIMEOUT && was == KOLK_MCP_MODERN)
		return KOLK_MCP_MODERN;
	return result->err == KOLK_E_SERVER || result->err == KOLK_E_CLOSED ||
	       result->err == KOLK_E_RESET || result->err == KOLK_E_TIMEOUT ?
		       KOLK_MCP_LEGACY : KOLK_MCP_ERA_AUTO;
}

/* Before such a request, on its home. True: the child is asked, and the call begins once more then. */
bool gw_mcp_child_ask(struct gw_mcp_call *call);

#endif
