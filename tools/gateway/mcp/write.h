/* SPDX-License-Identifier: Apache-2.0 */
/* write.h - messages as events, and as JSON, to call->out, under the lock. False = no memory. */
#ifndef KOLK_GATEWAY_MCP_WRITE_H
#define KOLK_GATEWAY_MCP_WRITE_H

#include <kolk/mcp.h>

struct gw_mcp_call;

/* A message of JSON-RPC in parts. */
struct gw_mcp_message {
	struct kolk_mcp_part id;     /* size 0 = none */
	struct kolk_mcp_part method; /* a word without quotes */
	const char *member;          /* "params", "result", "error"; NULL = none */
	const char *first;           /* members of value, an object, in front of its own; NULL = none */
	struct kolk_mcp_part value;
	struct kolk_mcp_part event_id; /* of an event; size 0 = none */
	bool has_retry;              /* likewise: retry_ms */
	uint64_t retry_ms;
};
bool gw_mcp_write(struct gw_mcp_call *call, const struct gw_mcp_message *message);
/* An event without one, of a server's stream. */
bool gw_mcp_write_mark(struct gw_mcp_call *call, const struct kolk_mcp_message *event);
/* An error of the gateway's own, to its message's id, or to null. */
bool gw_mcp_write_error(struct gw_mcp_call *call, const struct kolk_mcp_result *error);

#endif
