/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch.h - arrays of messages, which clients of 2025-03-26 may send in one request.
 *
 * Each message is a call of its own in the client's session, as if it had come alone; home of the
 * session is the front of these calls. Their answers are one array, or, as soon as one of them says
 * something before its answer, or they are long, a stream of events.
 */
#ifndef KOLK_GATEWAY_MCP_BATCH_H
#define KOLK_GATEWAY_MCP_BATCH_H

#include "tools/gateway/mcp/mcp.h"

/* The only version with arrays. */
#define GW_MCP_ARRAYS "2025-03-26"
/* mcp.message_bytes_max, if the file says nothing. */
enum { GW_MCP_MESSAGE_BYTES = 16 << 20 };

struct gw_mcp_batch {
	struct gw_mcp_call *whole;   /* the client's request */
	uint32_t count, requests;    /* messages; how many of them get an answer */
	size_t answer_bytes;         /* of its answers so far; at most mcp.message_bytes_max of whole */
	bool begun;                  /* all of its calls have begun */
	bool failed;                 /* there was no memory for the answer */
	bool turning, again;         /* gw_mcp_batch_turn runs; it has to run again */
	struct kolk_mcp_envelope fault; /* why it is no array of messages */
	struct gw_mcp_call *calls[KOLK_MCP_ARRAY_MAX];
};

/* All of these on its home. */

/* Whether the version that initialize agreed on has arrays. */
bool gw_mcp_batch_agreed(const struct kolk_mcp_result *initialized);
/* Begin a call of kind GW_MCP_BATCH in its session. */
void gw_mcp_batch_begin(struct gw_mcp_call *whole);
/* One of its calls has something to say, or its front has room or is gone. May free the batch. */
void gw_mcp_batch_turn(struct gw_mcp_batch *batch);

/* Whether a call is one message of an array. */
static inline bool gw_mcp_batch_has(const struct gw_mcp_call *call)
{
	return call->batch != NULL && call->kind != GW_MCP_BATCH;
}

/* Whether a call may have an answer of so many bytes: one of an array, if it is no more than a message
 * may be with those that the others have had. */
static inline bool gw_mcp_batch_takes(struct gw_mcp_call *call, size_t size)
{
	struct gw_mcp_batch *batch = call->batch;
	uint64_t max;
	size_t bytes_max;

	if (!gw_mcp_batch_has(call))
		return true;
	max = batch->whole->pool->options.message_bytes_max; /* servers of one array may have others */
	bytes_max = max != 0 ? (size_t)max : GW_MCP_MESSAGE_BYTES;
	if (size > bytes_max - batch->answer_bytes)
		return false;
	batch->answer_bytes += size;
	return true;
}

#endif
