/* SPDX-License-Identifier: Apache-2.0 */
/*
 * legacy.h - what stateless requests (2026-07-28) want of a server with sessions besides their
 * answer: log messages (level.c), and subscriptions (subscribe.c). Both need a
 * session that the request has alone. On its home.
 */
#ifndef KOLK_GATEWAY_MCP_LEGACY_H
#define KOLK_GATEWAY_MCP_LEGACY_H

#include "tools/gateway/mcp/mcp.h"

/* Resources of a subscription. */
enum { GW_MCP_SUBSCRIBED_MAX = 1024 };

/* True: the session is told the level of log messages first; then the call goes on by itself. */
bool gw_mcp_level_begin(struct gw_mcp_call *call);

/* Whether it is a subscription, and its server is known to have sessions that can carry it. */
bool gw_mcp_is_subscription_legacy(const struct gw_mcp_call *call);
/* The stream of a session (GET) instead. */
void gw_mcp_subscribe(struct gw_mcp_call *call);

#endif
