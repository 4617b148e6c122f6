/* SPDX-License-Identifier: Apache-2.0 */
/* pipe_stream.c - a pipe over a stream of HTTP+SSE: calls are posted, and one message is read in
 * each turn of the loop. */
#include <stdlib.h>

#include "transport/drivers/mcp/inside.h"

/* It is posted, and its answer comes on the stream. */
void kolk__mcp_pipe_post(struct mcp_pipe *pipe, struct kolk_mcp_call *call)
{
	struct mcp_post_options options = { .method = "POST", .session = pipe->session,
					    .body = call->body, .body_size = call->body_size };

	if (call->listen) {
		(void)kolk__mcp_pipe_add(pipe, call); /* takes no memory */
		kolk__mcp_stream_wake(pipe->stream);
		return;
	}
	kolk__mcp_call_post(call, &options);
	if (!call->on_wire || call->notification)
		return;
	if (!kolk__mcp_pipe_add(pipe, call))
		return; /* the end of its POST is its end */
	if (call->paused)
		kolk_http_resume(call->post.exchange); /* the stream is what waits */
}

/* Those that listen are told that they do, from step. */
static void tell_heads(struct mcp_pipe *pipe)
{
	static const struct kolk_http_head head = { .status = 200 };
	struct mcp_link *at = pipe->calls.next;

	while (at != &pipe->calls) {
		struct kolk_mcp_call *call = mcp_container_of(at, struct kolk_mcp_call, link);

		at = at->next;
		if (!call->listen || call->head_told)
			continue;
		call->head_told = true;
		if (call->handler.head != NULL)
			call->handler.head(call->user, call, &head);
		at = pipe->calls.next; /* it may have cancelled any */
	}
}

static void read_next(struct mcp_pipe *pipe)
{
	struct mcp_event *event = kolk__mcp_stream_next(pipe->stream);
	struct mcp_reading reading = { .batch_max = MCP_PIPE_BATCH_MAX,
				       .show = kolk__mcp_pipe_message, .user = pipe };
	enum kolk_err err = kolk__mcp_stream_ended(pipe->stream);

	if (event == NULL) {
		if (err != KOLK_OK)
			kolk__mcp_pipe_break(pipe, err);
		return;
	}
	reading.text = event->text;
	reading.size = event->size;
	if (kolk__mcp_messages_read(&reading) != KOLK_OK)
		kolk__mcp_pipe_break(pipe, KOLK_E_PROTOCOL);
	free(event);
	kolk__mcp_stream_wake(pipe->stream);
}

void kolk__mcp_pipe_drain(struct mcp_pipe *pipe)
{
	pipe->inside++;
	tell_heads(pipe);
	if (!pipe->returning && pipe->broken == KOLK_OK && pipe->paused == 0)
		read_next(pipe);
	pipe->inside--;
	kolk__mcp_pipe_settle(pipe);
}
