/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resume.c - a stream of events that breaks off before the answer: a server may close it and let
 * the client ask again (2025-11-25). If its events had ids, what follows the last one is asked for
 * (GET with Last-Event-ID), not before the server wants it.
 */
#include <stdlib.h>

#include "transport/drivers/mcp/inside.h"

static void on_due(struct kolk_timer *timer, void *user)
{
	struct kolk_mcp_call *call = user;
	struct mcp_post_options options = { .method = "GET",
					    .session = call->hold->session,
					    .last_event_id = call->last_event_id };

	(void)timer;
	call->resuming = false;
	kolk__mcp_call_post(call, &options);
}

static bool may_resume(const struct kolk_mcp_call *call)
{
	const struct mcp_post *post = &call->post;

	return !call->modern && !call->notification && call->hold != NULL &&
	       post->status == 200 && post->body == MCP_BODY_EVENTS &&
	       (post->failed == KOLK_OK || post->failed == KOLK_E_CLOSED) &&
	       post->sse != NULL && post->sse->id_size > 0 && call->resumes < MCP_RESUMES_MAX;
}

bool kolk__mcp_resume(struct kolk_mcp_call *call)
{
	const struct kolk__sse_parser *sse = call->post.sse;
	uint64_t retry_ms = call->post.retry_ms;
	char *id;

	if (call->listen || !may_resume(call))
		return false;
	if (call->resume_timer == NULL)
		call->resume_timer = calloc(1, sizeof *call->resume_timer);
	id = call->resume_timer != NULL ? strndup(sse->id, sse->id_size) : NULL;
	if (id == NULL)
		return false;
	free(call->last_event_id);
	call->last_event_id = id;
	call->resumes++;
	call->resuming = true;
	retry_ms = retry_ms < MCP_RETRY_MAX_MS ? retry_ms : MCP_RETRY_MAX_MS;
	(void)kolk_timer_start(call->client->loop->loop, call->resume_timer,
			       kolk_in_ms(retry_ms), on_due, call);
	return true;
}

void kolk__mcp_resume_stop(struct kolk_mcp_call *call)
{
	if (call->resuming)
		kolk_timer_stop(call->resume_timer);
	call->resuming = false;
}

/* ---- streams that a caller listens to, and resumes itself */

void kolk__mcp_resume_show(const struct kolk_mcp_call *call, struct kolk_mcp_message *shown)
{
	const struct kolk__sse_parser *sse = call->post.sse;

	if (!call->listen || !call->on_wire || sse == NULL)
		return;
	if (sse->id_size > 0) {
		shown->event_id = sse->id;
		shown->event_id_size = sse->id_size;
	}
	shown->has_retry = sse->has_retry;
	shown->retry_ms = sse->has_retry ? sse->retry_ms : 0;
}

void kolk__mcp_resume_mark(struct mcp_post *post)
{
	struct kolk_mcp_call *call = mcp_container_of(post, struct kolk_mcp_call, post);
	struct kolk_mcp_message shown = { .size = (uint32_t)sizeof shown };

	if (call->state != MCP_SENT || !call->listen || call->handler.mark == NULL)
		return;
	kolk__mcp_resume_show(call, &shown);
	if (!post->sse->has_id) { /* it is another event's */
		shown.event_id = NULL;
		shown.event_id_size = 0;
	}
	call->handler.mark(call->user, call, &shown);
}
