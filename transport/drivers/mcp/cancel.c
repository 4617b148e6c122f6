/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cancel.c - the server is told that a call is cancelled. Modern: a stream that ends tells it.
 *
 * Over HTTP the notification goes on another connection than the request, and may be read first:
 * a server ignores it then, and serves the request. Nothing shows that a request was read but the
 * head of its answer, which comes at the end where the answer is JSON. So the notification does not
 * wait for that: it goes at once, and once more when the head has come, or after
 * MCP_CANCEL_AGAIN_NS, if the first one may have been too early. A server ignores one for a request
 * that it does not know.
 */
#include <stdio.h>
#include <stdlib.h>

#include "transport/drivers/mcp/inside.h"

/* False: there is no memory, or no connection; or a pipe has it, on which nothing overtakes. */
static bool tell(struct kolk_mcp_call *call)
{
	char *text = malloc(128);

	if (text == NULL)
		return false;
	(void)snprintf(text, 128,
		       "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\","
		       "\"params\":{\"requestId\":%llu}}",
		       (unsigned long long)call->id);
	return kolk__mcp_note_send(call->client->loop, call->hold->session, text, call) ==
	       KOLK_PENDING;
}

/* Then nothing more of it is heard. What the server was not sent it is not told of: it might hear
 * that first, and serve the request then. */
void kolk__mcp_cancel_on_wire(struct kolk_mcp_call *call)
{
	bool resumed = call->last_event_id != NULL;
	bool sent = resumed || !call->on_wire || !kolk__mcp_post_unsent(&call->post);

	if (!call->on_wire && !call->resuming && !call->piped)
		return;
	call->cancel_early = !resumed && call->post.status == 0;
	kolk__mcp_resume_stop(call);
	if (call->piped)
		kolk__mcp_pipe_remove(call);
	if (call->listen || call->notification || call->hold == NULL || !sent || !tell(call))
		kolk__mcp_post_cancel(&call->post, KOLK_E_CANCELLED);
}

/* A client that is closed waits for nothing: its session ends, or others have it. */
void kolk__mcp_call_noted(struct kolk_mcp_call *call)
{
	if (!call->on_wire)
		return;
	call->cancel_again = call->cancel_early && !call->client->closing;
	call->cancel_early = false;
	if (!call->cancel_again)
		kolk__mcp_post_cancel(&call->post, KOLK_E_CANCELLED);
	else if (call->post.status == 0)
		kolk__mcp_call_due(call, kolk_in_ns(MCP_CANCEL_AGAIN_NS));
	else
		(void)kolk__mcp_cancel_again(call);
}

/* The request lasts no longer than MCP_FINISH_NS for it: the second one may wait for the very
 * connection that the request has. */
bool kolk__mcp_cancel_again(struct kolk_mcp_call *call)
{
	if (!call->cancel_again || call->client->closing)
		return false;
	call->cancel_again = false;
	kolk__mcp_call_due(call, KOLK_FOREVER);
	if (tell(call))
		kolk__mcp_call_due(call, kolk_in_ns(MCP_FINISH_NS));
	else
		kolk__mcp_post_cancel(&call->post, KOLK_E_CANCELLED);
	return true;
}
