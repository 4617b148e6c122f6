/* SPDX-License-Identifier: Apache-2.0 */
/*
 * adapt.h - clients with sessions (up to 2025-11-25) of a server that has none (2026-07-28).
 *
 *   adapt.c        the session, which is the gateway's alone: its beginning is answered from
 *                  server/discover, and what only sessions have is kept or answered here
 *   input.c        results that require input become requests to the client, its answers the
 *                  repeated request
 *
 *   client                    gateway                        server
 *   initialize ──────────────► server/discover ─────────────►
 *   tools/call ──────────────► the same, with _meta ────────►
 *              ◄── elicitation/create ◄── input_required ◄───
 *   its answer ──────────────► tools/call, inputResponses ──►
 *              ◄────────────── result ◄──────────────────────
 *   GET ─────────────────────► subscriptions/listen ────────►
 *
 * All of it is the session's home's.
 */
#ifndef KOLK_GATEWAY_MCP_ADAPT_H
#define KOLK_GATEWAY_MCP_ADAPT_H

#include "tools/gateway/mcp/mcp.h"

/* How often a call may need input from its client. */
enum { GW_MCP_ROUNDS_MAX = 16 };
/* Resources that a session may subscribe to. */
enum { GW_MCP_WATCHED_MAX = 1024 };
/* How long a server is known to have no sessions before it is asked again. */
#define GW_MCP_STATELESS_NS (3600 * KOLK_S_NS)

/* What a session keeps that such a server does not. */
struct gw_mcp_adapted {
	struct gw_pipe log_level;    /* a string of JSON; empty = none was set */
	struct gw_pipe *watched;     /* the URIs that it subscribed to: strings of JSON */
	uint32_t watched_count;
};

/* ---- adapt.c */

/* Whether the server is known to have no sessions, so that initialize need not be tried. */
bool gw_mcp_is_stateless(struct gw_mcp_pool *pool);
/* Make the session one with such a server. False = no memory. */
bool gw_mcp_adapt(struct gw_mcp_session *session);
void gw_mcp_adapted_free(struct gw_mcp_adapted *adapted);
/* Handle a request, a notification; a stream that listens. */
void gw_mcp_adapt_request(struct gw_mcp_call *call);
void gw_mcp_adapt_listen(struct gw_mcp_call *call);
/* A call has ended at the server. True = it goes on, or has been answered here. */
bool gw_mcp_adapt_end(struct gw_mcp_call *call, const struct kolk_mcp_result *result);

/* ---- input.c */

/* True = the result requires input, and the client is asked for it, or cannot be asked. */
bool gw_mcp_input_required(struct gw_mcp_call *call, const struct kolk_mcp_result *result);
/* The client answers. False = it was not asked by this session. */
bool gw_mcp_input_reply(struct gw_mcp_session *session, const struct kolk_mcp_envelope *answer);
/* The client cancels a call that waits for input. */
void gw_mcp_input_cancel(struct gw_mcp_call *call);
/* Cancel the calls of a session that wait for input. */
void gw_mcp_input_close(struct gw_mcp_session *session);
/* The call ends. */
void gw_mcp_input_end(struct gw_mcp_call *call);
/* Write the call's params, with what the session and its client add, to call->params. False = no
 * memory. */
bool gw_mcp_input_params(struct gw_mcp_call *call);

#endif
