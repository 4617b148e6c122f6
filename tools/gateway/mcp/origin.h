/* SPDX-License-Identifier: Apache-2.0 */
/* origin.h - pages of other sites may not send requests to an MCP server, even if a name of theirs
 * resolves to this address (DNS rebinding). */
#ifndef KOLK_GATEWAY_MCP_ORIGIN_H
#define KOLK_GATEWAY_MCP_ORIGIN_H

#include "tools/gateway/proxy.h"

/* Whether the Host is one of the route's `mcp.hosts`. Without these: any host if the route is for one
 * host or the client is on another machine, otherwise only names of this machine. */
bool gw_mcp_is_host_good(const struct gw_exchange *x);
/* Whether the Origin, which browsers send, is one of the route's `cors.origins`; without these, whether
 * it is the host that is asked. */
bool gw_mcp_is_origin_good(const struct gw_exchange *x);

#endif
