/* SPDX-License-Identifier: Apache-2.0 */
/* client.h - clients of kolk/mcp.h for calls, and whose token their server is shown. On the home
 * of the call. */
#ifndef KOLK_GATEWAY_MCP_CLIENT_H
#define KOLK_GATEWAY_MCP_CLIENT_H

#include "tools/gateway/mcp/mcp.h"

/* Whose token its server is shown now: NULL = nobody's. Sessions of another one before end when no
 * call needs them. On a loop, where no call of the library is under way. */
struct gw_mcp_holder *gw_mcp_holder_of(struct gw_mcp_pool *pool);
/* Open a client for a call; options->who is given, without a credential. Sets call->holder. */
enum kolk_err gw_mcp_client_open(struct gw_mcp_call *call, struct kolk_mcp *mcp,
				 struct kolk_mcp_client_options *options,
				 struct kolk_mcp_client **client);
/* What is sent for its client from here on has the token of the call, if tokens are passed. */
enum kolk_err gw_mcp_client_show(const struct gw_mcp_call *call, struct kolk_mcp_client *client);
/* Whether the token of a request is for its resource, where that is the route's to say. */
bool gw_mcp_is_for_resource(const struct gw_exchange *x);

#endif
