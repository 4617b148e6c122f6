/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fanout.c - a request to a federation that becomes one to each of its servers. Each is a call as
 * any other; its answer stays in its `out`, as the home of the whole is its front.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/json.h"
#include "tools/gateway/mcp/federation.h"

/* ---- lives */

struct gw_mcp_fanout *gw_mcp_fanout_open(struct gw_mcp_call *whole)
{
	struct gw_mcp_federation *federation = whole->pool->federation;
	struct gw_mcp_fanout *fanout =
		calloc(1, sizeof *fanout + federation->count * sizeof *fanout->shares);

	if (fanout == NULL) {
		if (whole->kind == GW_MCP_INITIALIZE)
			gw_mcp_session_close(whole->session);
		gw_mcp_call_refuse(whole, 503, kolk_err_text(KOLK_E_MEMORY));
		return NULL;
	}
	fanout->whole = whole;
	fanout->federation = federation;
	fanout->left = 1;
	whole->fanout = fanout;
	return fanout;
}

static void end_cancelled(struct gw_mcp_call *whole)
{
	struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);

	result.err = KOLK_E_CANCELLED;
	gw_mcp_call_end(whole, &result);
}

static void release(struct gw_mcp_fanout *fanout)
{
	if (--fanout->left > 0)
		return;
	kolk_timer_stop(&fanout->timer);
	fanout->whole->fanout = NULL;
	if (fanout->cancelled)
		end_cancelled(fanout->whole);
	else
		fanout->done(fanout);
	for (uint32_t i = 0; i < fanout->federation->count; i++) {
		gw_pipe_free(&fanout->shares[i].got);
		if (fanout->shares[i].call != NULL)
			gw_mcp_call_unref(fanout->shares[i].call);
	}
	free(fanout);
}

void gw_mcp_fanout_begun(struct gw_mcp_fanout *fanout)
{
	release(fanout);
}

/* ---- to a member */

static uint64_t sooner(uint64_t deadline_ns, uint64_t other_ns)
{
	return deadline_ns != 0 && deadline_ns < other_ns ? deadline_ns : other_ns;
}

/* False: no memory. */
static bool set_message(struct gw_mcp_call *call, const struct gw_pipe *text)
{
	const struct kolk_mcp_part said = gw_mcp_text(text);

	if (!gw_mcp_put(&call->rewritten, said) ||
	    kolk_mcp_read(call->rewritten.data, call->rewritten.size, call->message) != KOLK_OK)
		return false;
	call->kind = call->message->id.size == 0 ? GW_MCP_NOTIFICATION :
		     strcmp(call->message->method, "initialize") == 0 ? GW_MCP_INITIALIZE :
								       GW_MCP_REQUEST;
	return true;
}

/* The session that it names is the client's with that member; it may have none. */
static void set_place(struct gw_mcp_call *call, const struct gw_mcp_fanout *fanout, uint32_t member)
{
	struct gw_mcp_session *with;

	call->generation = 0;
	if (fanout->whole->session == NULL || call->kind == GW_MCP_INITIALIZE)
		return;
	with = gw_mcp_federated_with(fanout->whole->session, member);
	call->slot = with != NULL ? with->slot : 0;
	call->generation = with != NULL ? with->generation : 0;
}

/* It is held while it begins: it may end in that moment. */
static void give(struct gw_mcp_call *call)
{
	kolk__add_relaxed(&call->refs, 1);
	gw_mcp_call_give(call);
	gw_mcp_call_unref(call);
}

void gw_mcp_fanout_send(struct gw_mcp_fanout *fanout, uint32_t member, const struct gw_pipe *text)
{
	struct gw_mcp_member *of = &fanout->federation->members[member];
	struct gw_mcp_share *share = &fanout->shares[member];
	struct gw_mcp_call *call = gw_mcp_call_split(fanout->whole);

	if (call != NULL && text != NULL && !set_message(call, text)) {
		gw_mcp_call_unref(call);
		call = NULL;
	}
	if (call == NULL) {
		gw_mcp_member_told(fanout->federation, member, kolk_err_text(KOLK_E_MEMORY), false);
		return;
	}
	if (text == NULL)
		call->kind = GW_MCP_LISTEN;
	gw_tool_rules_unref(call->tools); /* they are for names that the client knows: the whole's */
	call->tools = NULL;
	call->member = member;
	call->pool = of->pool;
	call->fanout = fanout;
	if (share->until_ns == 0)
		share->until_ns = kolk_in_ns(of->timeout_ns);
	call->deadline_ns = fanout->streams ? KOLK_FOREVER :
					      sooner(call->deadline_ns, share->until_ns);
	set_place(call, fanout, member);
	if (share->call != NULL)
		gw_mcp_call_unref(share->call);
	share->call = call;
	fanout->left++;
	give(call);
}

/* ---- from a member */

/* Why it has no result. */
static void print_reason(const struct gw_mcp_call *call, struct kolk_mcp_part error, char text[96])
{
	struct kolk_mcp_part code = gw_json_member_of(error, "code");

	if (call->ended != KOLK_OK && call->ended != KOLK_E_SERVER)
		snprintf(text, 96, "%s", kolk_err_text(call->ended));
	else if (call->status >= 400)
		snprintf(text, 96, "status %u", call->status);
	else
		snprintf(text, 96, "error %.*s", (int)(code.size < 12 ? code.size : 12),
			 code.size > 0 ? code.data : "");
}

/* For all clients, not for this one alone: its token, its limits. */
static bool is_down(const struct gw_mcp_call *call)
{
	return call->ended != KOLK_E_AUTH && call->ended != KOLK_E_SERVER &&
	       call->ended != KOLK_E_LIMIT && call->ended != KOLK_E_QUEUE_FULL &&
	       call->ended != KOLK_E_MEMORY && call->ended != KOLK_OK;
}

struct kolk_mcp_part gw_mcp_fanout_result(struct gw_mcp_fanout *fanout, uint32_t member,
					  struct gw_mcp_call *call)
{
	const struct kolk_mcp_part out = gw_mcp_text(&call->out), nothing = { NULL, 0 };
	struct kolk_mcp_envelope read = KOLK_INIT(kolk_mcp_envelope);
	struct kolk_mcp_part code;
	char reason[96];

	if (out.size > 0 && kolk_mcp_read(out.data, out.size, &read) != KOLK_OK)
		read.result = read.error = nothing;
	code = gw_json_member_of(read.error, "code");
	fanout->shares[member].answered =
		read.result.size > 0 || (code.size == 6 && memcmp(code.data, "-32601", 6) == 0);
	if (fanout->shares[member].answered) /* also if it has nothing of the kind */
		gw_mcp_member_told(fanout->federation, member, NULL, false);
	else if (call->ended != KOLK_E_CANCELLED) {
		print_reason(call, read.error, reason);
		gw_mcp_member_told(fanout->federation, member, reason, is_down(call));
	}
	return read.result;
}

bool gw_mcp_fanout_refuses(struct gw_mcp_fanout *fanout)
{
	struct gw_mcp_call *whole = fanout->whole, *part = NULL;

	for (uint32_t i = 0; i < fanout->federation->count && part == NULL; i++) {
		part = fanout->shares[i].call;
		if (part != NULL && (!part->passes || (part->status != 401 && part->status != 403)))
			part = NULL;
	}
	if (part == NULL)
		return false;
	pthread_mutex_lock(&whole->lock);
	if (whole->challenge == NULL) {
		whole->challenge = part->challenge;
		part->challenge = NULL;
	}
	pthread_mutex_unlock(&whole->lock);
	gw_mcp_call_refuse(whole, part->status, "the server refused the token");
	return true;
}

void gw_mcp_fanout_turn(struct gw_mcp_call *part)
{
	struct gw_mcp_fanout *fanout = part->fanout;

	if (part->done) {
		fanout->ended(fanout, part->member, part);
		gw_pipe_free(&part->out); /* what is needed of it was taken */
		release(fanout);
	} else if (fanout->streams && part->stream && !fanout->whole->stream && !fanout->whole->modern) {
		pthread_mutex_lock(&fanout->whole->lock);
		fanout->whole->stream = true; /* one server has such a stream */
		pthread_mutex_unlock(&fanout->whole->lock);
		gw_mcp_call_tell(fanout->whole);
	}
}

/* ---- streams */

/* What precedes an answer of a part is for nobody. */
void gw_mcp_fanout_pass(struct gw_mcp_call *part, const struct kolk_mcp_message *message)
{
	struct gw_mcp_fanout *fanout = part->fanout;
	struct gw_mcp_call *whole = fanout->whole;
	bool pause;

	if (!fanout->streams)
		return;
	part->stream = true;
	gw_mcp_stream_pass(fanout, part->member, message);
	pthread_mutex_lock(&whole->lock);
	pause = part->back != NULL && !part->paused && whole->out.size >= GW_PIPE_HIGH;
	whole->paused |= pause;
	pthread_mutex_unlock(&whole->lock);
	if (pause) {
		part->paused = true;
		kolk_mcp_pause(part->back);
	}
}

void gw_mcp_fanout_wake(struct gw_mcp_fanout *fanout, bool gone)
{
	for (uint32_t i = 0; i < fanout->federation->count; i++) {
		struct gw_mcp_call *part = fanout->shares[i].call;

		if (part == NULL)
			continue;
		part->gone = gone; /* another stream may take its place */
		if (!part->paused)
			continue;
		part->paused = false;
		if (part->back != NULL)
			kolk_mcp_resume(part->back);
	}
	if (gone && (fanout->streams || fanout->whole->modern))
		gw_mcp_fanout_cancel(fanout);
}

void gw_mcp_fanout_cancel(struct gw_mcp_fanout *fanout)
{
	for (uint32_t i = 0; i < fanout->federation->count; i++)
		if (fanout->shares[i].call != NULL && fanout->shares[i].call->back != NULL)
			kolk_mcp_cancel(fanout->shares[i].call->back);
}

void gw_mcp_fanout_cancel_whole(struct gw_mcp_fanout *fanout)
{
	fanout->cancelled = true;
	gw_mcp_fanout_cancel(fanout);
}
