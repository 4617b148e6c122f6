/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipe_calls.c - the calls on a pipe. An answer finds its call by the id, a progress notification
 * by its token; other messages are those of the client that listens, or of the oldest call.
 */
#include "transport/drivers/mcp/inside.h"

static struct kolk_mcp_call *call_of_node(const struct kolk__hash_node *node)
{
	return mcp_container_of((struct kolk__hash_node *)(uintptr_t)node, struct kolk_mcp_call,
				by_id);
}

static bool has_id(const struct kolk__hash_node *node, const void *id)
{
	return call_of_node(node)->id == *(const uint64_t *)id;
}

bool kolk__mcp_pipe_add(struct mcp_pipe *pipe, struct kolk_mcp_call *call)
{
	call->by_id.hash = kolk__table_hash(call->id);
	if (!call->listen && !kolk__table_add(&pipe->by_id, &call->by_id))
		return false;
	call->piped = true;
	call->answered = false;
	mcp_list_add(&pipe->calls, &call->link);
	pipe->paused += call->paused;
	pipe->listening += call->listen;
	return true;
}

void kolk__mcp_pipe_remove(struct kolk_mcp_call *call)
{
	struct mcp_pipe *pipe = call->hold->session->pipe;

	mcp_list_del(&call->link);
	if (!call->listen)
		kolk__hash_remove(&pipe->by_id, &call->by_id);
	pipe->listening -= call->listen;
	call->piped = false;
	if (pipe->stream == NULL)
		call->on_wire = false;
	pipe->paused -= call->paused;
	if (call->paused)
		kolk__mcp_pipe_resume(pipe); /* the others waited for it */
}

struct kolk_mcp_call *kolk__mcp_pipe_call_of(struct mcp_pipe *pipe, struct mcp_text number)
{
	const struct kolk__hash_node *node;
	uint64_t id = 0;

	for (size_t i = 0; i < number.size; i++) {
		if (number.data[i] < '0' || number.data[i] > '9' || i == 18)
			return NULL;
		id = id * 10 + (uint64_t)(number.data[i] - '0');
	}
	node = kolk__hash_find(&pipe->by_id, kolk__table_hash(id), has_id, &id);
	return node != NULL ? call_of_node(node) : NULL;
}

static struct kolk_mcp_call *call_that_hears(struct mcp_pipe *pipe)
{
	for (struct mcp_link *at = pipe->calls.next; pipe->listening > 0 && at != &pipe->calls;
	     at = at->next)
		if (mcp_container_of(at, struct kolk_mcp_call, link)->listen)
			return mcp_container_of(at, struct kolk_mcp_call, link);
	return mcp_list_empty(&pipe->calls) ?
		       NULL : mcp_container_of(pipe->calls.next, struct kolk_mcp_call, link);
}

/* Calls of several clients: what does not say whose it is, is of the only one. */
static struct kolk_mcp_call *call_alone(struct mcp_pipe *pipe)
{
	return pipe->calls.next == pipe->calls.prev ? call_that_hears(pipe) : NULL;
}

static struct kolk_mcp_call *call_for(struct mcp_pipe *pipe, const struct mcp_message *message)
{
	if (message->method.size == 0)
		return kolk__mcp_pipe_call_of(pipe, message->id);
	if (mcp_text_is(message->method, "notifications/progress"))
		return kolk__mcp_pipe_call_of(pipe, message->token);
	if (!mcp_shares_children(pipe->loop->mcp))
		return call_that_hears(pipe);
	return message->subscription.size > 0 ? kolk__mcp_pipe_call_of(pipe, message->subscription) :
						call_alone(pipe);
}

void kolk__mcp_pipe_message(void *user, const struct mcp_message *message)
{
	struct mcp_pipe *pipe = user;
	struct kolk_mcp_call *call;

	if (pipe->making != NULL) {
		pipe->making_message(pipe->making, message);
		return;
	}
	call = call_for(pipe, message);
	if (call == NULL) { /* late, or no call hears it */
		kolk__mcp_note_pong(pipe->loop, pipe, message);
		return;
	}
	if (message->method.size == 0)
		kolk__mcp_pipe_remove(call);
	kolk__mcp_call_message(call, message);
}
