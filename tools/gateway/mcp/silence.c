/* SPDX-License-Identifier: Apache-2.0 */
/* silence.c - a comment on streams that are silent. */
#include "tools/gateway/mcp/silence.h"

/* The loop wakes up once for those that are due at about one time. */
static uint64_t due_ns(void)
{
	const uint64_t step_ns = 100 * KOLK_MS_NS, at_ns = kolk_in_ns(GW_MCP_COMMENT_NS);

	return at_ns - at_ns % step_ns + step_ns;
}

static void enlist(struct gw_mcp_loop *mcp, struct gw_mcp_call *call)
{
	if (mcp->silent == NULL)
		mcp->silent_end = &mcp->silent;
	call->comment_ns = due_ns();
	call->silent_next = NULL;
	call->silent_at = mcp->silent_end;
	*mcp->silent_end = call;
	mcp->silent_end = &call->silent_next;
}

static void delist(struct gw_mcp_loop *mcp, struct gw_mcp_call *call)
{
	*call->silent_at = call->silent_next;
	if (call->silent_next != NULL)
		call->silent_next->silent_at = call->silent_at;
	else
		mcp->silent_end = call->silent_at;
	call->silent_at = NULL;
}

static void say(struct gw_mcp_call *call)
{
	bool silent;

	pthread_mutex_lock(&call->lock);
	silent = !call->done && call->out.size == 0 && gw_pipe_push(&call->out, ": \n\n", 4);
	pthread_mutex_unlock(&call->lock);
	if (silent)
		kolk_http_server_more(call->x->front);
}

static void on_due(struct kolk_timer *timer, void *user)
{
	struct gw_loop *loop = user;
	struct gw_mcp_loop *mcp = loop->mcp;
	uint64_t now_ns = kolk_in_ns(0);

	while (mcp->silent->comment_ns <= now_ns) { /* each goes to the end, and is due later */
		struct gw_mcp_call *call = mcp->silent;

		delist(mcp, call);
		enlist(mcp, call);
		say(call);
	}
	(void)kolk_timer_start(loop->loop, timer, mcp->silent->comment_ns, on_due, loop);
}

void gw_mcp_silence_begin(struct gw_mcp_call *call)
{
	struct gw_loop *loop = call->front;
	bool first = loop->mcp->silent == NULL;

	enlist(loop->mcp, call);
	if (first)
		(void)kolk_timer_start(loop->loop, &loop->mcp->comment, call->comment_ns, on_due,
				       loop);
}

void gw_mcp_silence_end(struct gw_mcp_call *call)
{
	struct gw_mcp_loop *mcp = call->front->mcp;

	if (call->silent_at == NULL)
		return;
	delist(mcp, call);
	if (mcp->silent == NULL)
		kolk_timer_stop(&mcp->comment);
}
