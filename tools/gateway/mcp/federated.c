/* SPDX-License-Identifier: Apache-2.0 */
/* federated.c - a client's session with several servers: made, used, ended. */
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/mcp/batch.h"
#include "tools/gateway/mcp/client.h"
#include "tools/gateway/mcp/federation.h"
#include "tools/gateway/mcp/tools.h"

/* ---- lives */

struct gw_mcp_federated *gw_mcp_federated_make(const struct gw_mcp_call *call)
{
	const struct gw_pipe *said = &call->body;
	struct gw_mcp_federated *made = calloc(1, sizeof *made);

	if (made != NULL && !gw_pipe_push(&made->initialize, said->data + said->begin, said->size)) {
		free(made);
		return NULL;
	}
	return made;
}

void gw_mcp_federated_free(struct gw_mcp_federated *federated)
{
	if (federated == NULL)
		return;
	gw_pipe_free(&federated->initialize);
	free(federated);
}

/* Also one that begins nothing any more. */
static struct gw_mcp_session *find(const struct gw_mcp_session *session, uint32_t member)
{
	const struct gw_mcp_loop *mcp = session->loop->mcp;
	const uint32_t slot = session->federated->members[member].slot;
	const uint64_t generation = session->federated->members[member].generation;
	struct gw_mcp_session *with = slot < mcp->capacity ? mcp->slots[slot] : NULL;

	return generation != 0 && with != NULL && with->generation == generation ? with : NULL;
}

struct gw_mcp_session *gw_mcp_federated_with(struct gw_mcp_session *session, uint32_t member)
{
	struct gw_mcp_session *with = find(session, member);
	const struct gw_mcp_holder *now;

	if (with == NULL)
		return NULL;
	now = gw_mcp_holder_of(with->pool);
	if (now != NULL && now != with->holder) /* its server is shown another principal's token */
		gw_mcp_session_retire(with);
	if (!with->retired)
		return with;
	if (with->calls == NULL) /* otherwise with its last one */
		gw_mcp_session_close(with);
	return NULL;
}

void gw_mcp_federated_close(struct gw_mcp_session *session)
{
	const uint32_t count = session->pool->federation->count;

	session->federated->closed = true;
	for (uint32_t i = 0; i < count && !session->loop->mcp->closing; i++) {
		struct gw_mcp_session *with = find(session, i);

		if (with != NULL)
			gw_mcp_session_close(with);
	}
}

bool gw_mcp_federated_is_busy(const struct gw_mcp_session *session)
{
	for (uint32_t i = 0; i < session->pool->federation->count; i++) {
		const struct gw_mcp_session *with = find(session, i);

		if (with != NULL && with->calls != NULL)
			return true;
	}
	return false;
}

/* ---- sessions with servers are made */

/* Where the session is that a call has made; it may have been made by another one meanwhile. */
static void take_session(struct gw_mcp_fanout *fanout, uint32_t member, struct gw_mcp_call *call)
{
	struct gw_mcp_session *session = fanout->whole->session, *with;
	struct gw_mcp_place place = { .route = call->route, .tenant = call->tenant,
				      .principal = call->principal };
	struct gw_mcp_loop *mcp = call->home->mcp;

	if (call->session_id == NULL ||
	    !gw_mcp_id_open(&mcp->ids, call->session_id, &place))
		return;
	with = mcp->slots[place.slot];
	if (with == NULL || with->generation != place.generation)
		return;
	if (session->federated->closed || gw_mcp_federated_with(session, member) != NULL) {
		gw_mcp_session_close(with);
		return;
	}
	with->in_federation = true;
	session->federated->members[member].slot = place.slot;
	session->federated->members[member].generation = place.generation;
}

static void made(struct gw_mcp_fanout *fanout, uint32_t member, struct gw_mcp_call *call)
{
	struct gw_mcp_share *share = &fanout->shares[member];
	struct kolk_mcp_part result = gw_mcp_fanout_result(fanout, member, call);

	share->answered = result.size > 0 && gw_mcp_put(&share->got, result);
	take_session(fanout, member, call);
}

/* Whether there is a session with one of those that were asked for. */
static bool is_reached(const struct gw_mcp_fanout *fanout)
{
	for (uint32_t i = 0; i < fanout->federation->count; i++)
		if ((!fanout->single || fanout->shares[i].call != NULL) &&
		    gw_mcp_federated_with(fanout->whole->session, i) != NULL)
			return true;
	return false;
}

static void reached(struct gw_mcp_fanout *fanout)
{
	struct gw_mcp_call *whole = fanout->whole;

	if (whole->session->federated->closed)
		gw_mcp_call_refuse(whole, 404, "there is no such session");
	else if (whole->kind == GW_MCP_LISTEN && gw_mcp_call_is_gone(whole))
		gw_mcp_call_finish(whole, 200); /* nothing would end streams that are opened now */
	else if (is_reached(fanout) || !gw_mcp_fanout_refuses(fanout))
		fanout->next(whole);
}

void gw_mcp_federated_reach(struct gw_mcp_call *call, uint32_t member,
			    void (*next)(struct gw_mcp_call *call))
{
	struct gw_mcp_session *session = call->session;
	struct gw_mcp_fanout *fanout;
	const uint32_t count = session->pool->federation->count;
	uint32_t first = member < count ? member : 0, behind = member < count ? member + 1 : count;

	while (first < behind && gw_mcp_federated_with(session, first) != NULL)
		first++;
	if (first == behind) {
		next(call);
		return;
	}
	fanout = gw_mcp_fanout_open(call);
	if (fanout == NULL)
		return;
	fanout->ended = made;
	fanout->done = reached;
	fanout->next = next;
	fanout->single = member < count;
	for (uint32_t i = first; i < behind; i++)
		if (gw_mcp_federated_with(session, i) == NULL)
			gw_mcp_fanout_send(fanout, i, &session->federated->initialize);
	gw_mcp_fanout_begun(fanout);
}

/* ---- initialize */

static void initialized(struct gw_mcp_fanout *fanout)
{
	struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);
	struct gw_mcp_call *whole = fanout->whole;
	struct gw_pipe text = { .data = NULL };
	bool any = false;

	for (uint32_t i = 0; i < fanout->federation->count; i++)
		any |= fanout->shares[i].answered;
	if (!any || whole->session->federated->closed) {
		gw_mcp_session_close(whole->session);
		if (!gw_mcp_fanout_refuses(fanout))
			gw_mcp_call_refuse(whole, 502, "no server of the federation answers");
		return;
	}
	result.err = gw_mcp_merge_initialize(fanout, &text) ? KOLK_OK : KOLK_E_MEMORY;
	result.result = text.data;
	result.result_size = text.size;
	gw_mcp_call_end(whole, &result);
	gw_pipe_free(&text);
}

void gw_mcp_federated_initialize(struct gw_mcp_call *call)
{
	struct gw_mcp_session *session = call->home->mcp->draining ?
						 NULL : gw_mcp_session_make_federated(call);
	struct gw_mcp_fanout *fanout;

	if (session == NULL) {
		gw_mcp_call_refuse(call, 503, kolk_err_text(call->home->mcp->draining ?
								    KOLK_E_DRAINING : KOLK_E_MEMORY));
		return;
	}
	gw_mcp_session_add(session, call);
	fanout = gw_mcp_fanout_open(call);
	if (fanout == NULL)
		return;
	fanout->ended = made;
	fanout->done = initialized;
	for (uint32_t i = 0; i < fanout->federation->count; i++)
		gw_mcp_fanout_send(fanout, i, &session->federated->initialize);
	gw_mcp_fanout_begun(fanout);
}

/* ---- what else comes in it */

static void reply(struct gw_mcp_call *call)
{
	struct gw_mcp_session *session = call->session, *with;
	bool found = false;

	for (uint32_t i = 0; i < session->pool->federation->count && !found; i++) {
		with = find(session, i);
		found = with != NULL && gw_mcp_session_reply(with, call->message);
	}
	gw_mcp_call_finish(call, 202);
}

static void cancel(struct gw_mcp_call *call)
{
	struct gw_mcp_session *session = call->session, *with;
	bool found = gw_mcp_session_cancel(session, call->message->request_id);

	for (uint32_t i = 0; i < session->pool->federation->count && !found; i++) {
		with = find(session, i);
		found = with != NULL && gw_mcp_session_cancel(with, call->message->request_id);
	}
	gw_mcp_call_finish(call, 202);
}

static void take_notification(struct gw_mcp_call *call)
{
	if (strcmp(call->message->method, "notifications/cancelled") == 0)
		cancel(call);
	else if (strcmp(call->message->method, "notifications/roots/list_changed") == 0)
		gw_mcp_tell_all(call);
	else /* servers were told when their sessions were made; of others it is not known whose they are */
		gw_mcp_call_finish(call, 202);
}

static void take_request(struct gw_mcp_call *call)
{
	bool refused;

	if (strcmp(call->message->method, "ping") == 0)
		gw_mcp_call_answer(call, "{}");
	else if (strcmp(call->message->method, "logging/setLevel") == 0)
		gw_mcp_federated_reach(call, GW_FEDERATION_MAX, gw_mcp_tell_all);
	else if (!gw_mcp_member_route(call, &refused) && !gw_mcp_list_begin(call))
		gw_mcp_call_error(call, -32601, "Method not found");
}

void gw_mcp_federated_begin(struct gw_mcp_call *call)
{
	struct gw_mcp_session *session = gw_mcp_session_find(call);

	if (session == NULL) {
		gw_mcp_call_refuse(call, 404, "there is no such session");
		return;
	}
	gw_mcp_session_add(session, call);
	if (gw_mcp_tools_refuse(call))
		return;
	if (call->kind == GW_MCP_BATCH) {
		gw_mcp_batch_begin(call);
	} else if (call->kind == GW_MCP_LISTEN) {
		gw_mcp_listen_all(call);
	} else if (call->kind == GW_MCP_DELETE) {
		gw_mcp_session_close(session);
		gw_mcp_call_finish(call, 200);
	} else if (call->kind == GW_MCP_REPLY) {
		reply(call);
	} else if (call->kind == GW_MCP_NOTIFICATION) {
		take_notification(call);
	} else {
		take_request(call);
	}
}
