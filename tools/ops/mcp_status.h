/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_status.h - the two routes that pools of MCP clients have: /api/mcp/... */
#ifndef KOLK_OPS_MCP_STATUS_H
#define KOLK_OPS_MCP_STATUS_H

#include "tools/ops/reply.h"
#include "tools/ops/status_parts.h"

kolk__route_fn kolk__get_mcp_status, kolk__post_mcp_cleanup;

#endif
