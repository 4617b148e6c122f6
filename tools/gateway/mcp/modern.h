/* SPDX-License-Identifier: Apache-2.0 */
/* modern.h - stateless requests (2026-07-28): what says that a request is one, and what is wrong
 * with it. */
#ifndef KOLK_GATEWAY_MCP_MODERN_H
#define KOLK_GATEWAY_MCP_MODERN_H

#include "tools/gateway/mcp/mcp.h"

/* message NULL = a request without a body; x NULL = a message without a header. */
bool gw_mcp_is_modern(const struct gw_exchange *x, const struct kolk_mcp_envelope *message);
/* What is wrong with the request, with an error of JSON-RPC in error; NULL = nothing. */
const char *gw_mcp_modern_flaw(const struct gw_exchange *x, const struct kolk_mcp_envelope *message,
			       char error[256]);
/* Members that a result of a server with sessions gets, in front of its own. */
const char *gw_mcp_modern_members(const struct gw_mcp_call *call);
bool gw_mcp_is_subscription(const struct gw_mcp_call *call); /* it listens */
bool gw_mcp_is_replayable(const char *method);
bool gw_mcp_is_removed(const char *method);

#endif
