/* SPDX-License-Identifier: Apache-2.0 */
/*
 * silence.h - a comment on streams that were silent for GW_MCP_COMMENT_NS: proxies on the way end them
 * otherwise. All streams of a loop wait equally long, so a list has them in order, and one timer.
 */
#ifndef KOLK_GATEWAY_MCP_SILENCE_H
#define KOLK_GATEWAY_MCP_SILENCE_H

#include "tools/gateway/mcp/mcp.h"

/* The call's answer has begun, and is a stream of events. On its front. */
void gw_mcp_silence_begin(struct gw_mcp_call *call);
/* The call's exchange has ended. Does nothing if its answer was no stream of events. */
void gw_mcp_silence_end(struct gw_mcp_call *call);

#endif
