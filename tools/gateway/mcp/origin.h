/* SPDX-License-Identifier: Apache-2.0 */
/* origin.h - a page of another site may not ask an MCP server, also where a name of its own leads
 * here (DNS rebinding). */
#ifndef KOLK_GATEWAY_MCP_ORIGIN_H
#define KOLK_GATEWAY_MCP_ORIGIN_H

#include "tools/gateway/proxy.h"

/* One of the route's `mcp.hosts`. Without these any, where the route is a host's, or the client is on
 * another machine; else this machine's names. */
bool gw_mcp_is_host_good(const struct gw_exchange *x);
/* Browsers send it. One of the route's `cors.origins`; without these, the host that is asked. */
bool gw_mcp_is_origin_good(const struct gw_exchange *x);

#endif
