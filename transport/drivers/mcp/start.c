/* SPDX-License-Identifier: Apache-2.0 */
/* start.c - calls begin; and what may be done to them meanwhile. */
#include <stdlib.h>
#include <string.h>

#include "transport/drivers/mcp/inside.h"

static enum kolk_err cancel_with_scope(void *user, enum kolk_scope_outcome outcome)
{
	(void)outcome;
	kolk_mcp_cancel(user);
	return KOLK_OK;
}

static enum kolk_err begin(struct kolk_mcp_call *call, const struct kolk_mcp_handler *handler,
			   void *user)
{
	struct kolk_mcp_client *client = call->client;

	if (!kolk__sized_read(&call->handler, handler) || call->handler.end == NULL)
		return KOLK_E_OPTIONS;
	call->user = user;
	mcp_list_add(&client->calls, &call->all);
	if (call->scoped != NULL)
		kolk_scope_add_item(call->scoped->scope, call->scoped, cancel_with_scope, call);
	kolk__own_add(&client->loop->counts.calls, 1);
	kolk__mcp_call_due(call, call->deadline_ns);
	kolk__mcp_era_enqueue(call);
	return KOLK_PENDING;
}

enum kolk_err kolk_mcp_start(struct kolk_mcp_client *client, const struct kolk_mcp_request *request,
			     const struct kolk_mcp_handler *handler, void *user,
			     struct kolk_mcp_call **call)
{
	struct kolk_mcp_call *made;
	enum kolk_err err;

	if (!kolk_loop_is_mine(client->loop->loop))
		return KOLK_E_THREAD;
	err = kolk__mcp_call_make(client, request, &made);
	if (err != KOLK_OK)
		return err;
	err = begin(made, handler, user);
	if (err != KOLK_PENDING)
		kolk__mcp_call_free(made);
	else if (call != NULL)
		*call = made;
	return err;
}

static bool is_event_id(const char *text)
{
	size_t size = strlen(text);

	for (size_t i = 0; i < size; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return false;
	return size >= 1 && size <= 1024;
}

enum kolk_err kolk_mcp_listen_after(struct kolk_mcp_client *client, const char *event_id,
				    const struct kolk_mcp_handler *handler, void *user,
				    struct kolk_mcp_call **call)
{
	uint32_t sharing = client->loop->mcp->options.sharing;
	struct kolk_mcp_call *made;
	enum kolk_err err;

	if (!kolk_loop_is_mine(client->loop->loop))
		return KOLK_E_THREAD;
	if (sharing != KOLK_MCP_BOUND && sharing != KOLK_MCP_VIRGIN)
		return KOLK_E_UNSUPPORTED;
	if (event_id != NULL && !is_event_id(event_id))
		return KOLK_E_OPTIONS;
	made = kolk__mcp_call_new(client);
	if (made == NULL)
		return KOLK_E_MEMORY;
	made->listen = made->replayable = true;
	made->deadline_ns = KOLK_FOREVER;
	made->last_event_id = event_id != NULL ? strdup(event_id) : NULL;
	err = event_id != NULL && made->last_event_id == NULL ? KOLK_E_MEMORY :
								begin(made, handler, user);
	if (err != KOLK_PENDING)
		kolk__mcp_call_free(made);
	else if (call != NULL)
		*call = made;
	return err;
}

enum kolk_err kolk_mcp_listen(struct kolk_mcp_client *client,
			      const struct kolk_mcp_handler *handler, void *user,
			      struct kolk_mcp_call **call)
{
	return kolk_mcp_listen_after(client, NULL, handler, user, call);
}

/* ---- during it */

void kolk_mcp_pause(struct kolk_mcp_call *call)
{
	if (call->piped)
		call->hold->session->pipe->paused += !call->paused;
	call->paused = true;
	if (!call->piped && call->on_wire && call->post.exchange != NULL)
		kolk_http_pause(call->post.exchange);
}

void kolk_mcp_resume(struct kolk_mcp_call *call)
{
	if (call->piped)
		call->hold->session->pipe->paused -= call->paused;
	call->paused = false;
	if (call->piped)
		kolk__mcp_pipe_resume(call->hold->session->pipe);
	else if (call->on_wire && call->post.exchange != NULL)
		kolk_http_resume(call->post.exchange);
}
