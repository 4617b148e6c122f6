/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stdio_session.c - the session of a client at standard input and output. The client cannot make
 * another one, as clients over HTTP do when theirs was lost: its initialize is kept, and said again.
 */
#include <string.h>

#include "tools/gateway/mcp/stdio.h"

static bool is_live(const struct gw_stdio *stdio)
{
	const struct gw_mcp_loop *mcp = stdio->loop->mcp;

	return stdio->generation != 0 && stdio->slot < mcp->capacity &&
	       mcp->slots[stdio->slot] != NULL &&
	       mcp->slots[stdio->slot]->generation == stdio->generation;
}

static void give(struct gw_mcp_call *call)
{
	call->slot = call->line->stdio->slot;
	call->generation = call->line->stdio->generation;
	gw_mcp_call_give(call);
}

/* ---- its stream: what the server says outside of calls */

static void listen(struct gw_stdio *stdio)
{
	struct gw_mcp_call *call;

	if (stdio->listening != NULL || stdio->ending || !stdio->initialized || !is_live(stdio))
		return;
	call = gw_stdio_open(stdio);
	if (call == NULL)
		return;
	call->kind = GW_MCP_LISTEN;
	stdio->listening = call;
	give(call);
}

static void on_relisten(struct kolk_timer *timer, void *user)
{
	(void)timer;
	listen(user);
}

/* A server without such a stream is not asked again. */
static void listened(struct gw_stdio *stdio, const struct gw_mcp_call *call)
{
	stdio->listening = NULL;
	if (call->stream && !stdio->ending)
		(void)kolk_timer_start(stdio->loop->loop, &stdio->relisten,
				       kolk_in_ns(GW_STDIO_LISTEN_NS), on_relisten, stdio);
}

/* ---- made */

void gw_stdio_initialize(struct gw_mcp_call *call)
{
	struct gw_stdio *stdio = call->line->stdio;

	if (is_live(stdio) || stdio->making != NULL) {
		gw_stdio_refuse(call, -32600, "the session has begun");
		return;
	}
	gw_pipe_reset(&stdio->initialize);
	stdio->initialized = false;
	if (!gw_pipe_push(&stdio->initialize, call->body.data + call->body.begin, call->body.size)) {
		gw_stdio_refuse(call, -32603, kolk_err_text(KOLK_E_MEMORY));
		return;
	}
	stdio->making = call;
	gw_mcp_call_give(call);
}

static bool make_again(struct gw_stdio *stdio)
{
	struct gw_mcp_call *call = gw_stdio_open(stdio);
	const struct gw_pipe *said = &stdio->initialize;

	if (call == NULL)
		return false;
	if (!gw_pipe_push(&call->body, said->data + said->begin, said->size)) {
		gw_stdio_drop(call);
		return false;
	}
	if (!gw_stdio_read(call))
		return false;
	call->line->quiet = true;
	stdio->making = call;
	gw_mcp_call_give(call);
	return true;
}

static bool take_session(struct gw_stdio *stdio, const struct gw_mcp_call *call)
{
	struct gw_mcp_place place = { .route = call->route, .tenant = call->tenant,
				      .principal = call->principal };

	if (call->session_id == NULL ||
	    !gw_mcp_id_open(&stdio->loop->mcp->ids, call->session_id, &place))
		return false;
	stdio->slot = place.slot;
	stdio->generation = place.generation;
	return true;
}

static void made(struct gw_stdio *stdio, const struct gw_mcp_call *call)
{
	bool ok = take_session(stdio, call);

	stdio->making = NULL;
	for (struct gw_mcp_line *line = stdio->first; line != NULL; line = line->next) {
		if (!line->waits)
			continue;
		line->waits = false;
		if (ok)
			give(line->call);
		else
			gw_stdio_refuse(line->call, -32001, "the session was lost");
	}
	if (ok)
		listen(stdio);
}

/* ---- used */

void gw_stdio_in_session(struct gw_mcp_call *call)
{
	struct gw_stdio *stdio = call->line->stdio;

	if (strcmp(call->message->method, "notifications/initialized") == 0) {
		stdio->initialized = stdio->initialize.size > 0;
		listen(stdio);
		gw_stdio_drop(call); /* the server was told when the session was made */
	} else if (is_live(stdio) && stdio->making == NULL) {
		give(call);
	} else if (call->kind != GW_MCP_REQUEST) {
		gw_stdio_drop(call); /* what it speaks of is gone */
	} else if (stdio->initialize.size == 0) {
		gw_stdio_refuse(call, -32600, "initialize comes first");
	} else if (stdio->making != NULL || make_again(stdio)) {
		call->line->waits = true;
	} else {
		gw_stdio_refuse(call, -32603, kolk_err_text(KOLK_E_MEMORY));
	}
}

void gw_stdio_ended(struct gw_stdio *stdio, struct gw_mcp_call *call)
{
	if (call == stdio->making)
		made(stdio, call);
	else if (call == stdio->listening)
		listened(stdio, call);
}
