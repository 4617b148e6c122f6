/* SPDX-License-Identifier: Apache-2.0 */
/*
 * streams.c - streams of a federation that listen: one to each server, and what comes on them on
 * one. A stream that a server ends ends the whole, so that the client asks for it again.
 */
#include <stdio.h>
#include <string.h>

#include "tools/gateway/json.h"
#include "tools/gateway/mcp/federation.h"

static bool is_method(const struct kolk_mcp_message *message, const char *method)
{
	return message->method_size == strlen(method) &&
	       memcmp(message->method, method, message->method_size) == 0;
}

/* ---- of sessions */

static void stream_ended(struct gw_mcp_fanout *fanout, uint32_t member, struct gw_mcp_call *call)
{
	(void)member;
	if (call->stream)
		gw_mcp_fanout_cancel(fanout);
}

/* That there is no such stream is believed of servers that say so, not of one that did not answer: a
 * client does not ask again then. */
static uint32_t status_without(const struct gw_mcp_fanout *fanout)
{
	uint32_t status = 0;

	for (uint32_t i = 0; i < fanout->federation->count; i++) {
		const struct gw_mcp_call *call = fanout->shares[i].call;

		if (call != NULL && call->status >= 400 && (status == 0 || call->status != 405))
			status = call->status;
	}
	return status != 0 ? status : 502;
}

static void streams_ended(struct gw_mcp_fanout *fanout)
{
	if (fanout->whole->stream)
		gw_mcp_call_finish(fanout->whole, 200);
	else if (!gw_mcp_fanout_refuses(fanout))
		gw_mcp_call_finish(fanout->whole, status_without(fanout));
}

static void open_streams(struct gw_mcp_call *call)
{
	struct gw_mcp_fanout *fanout = gw_mcp_fanout_open(call);

	if (fanout == NULL)
		return;
	fanout->streams = true;
	fanout->ended = stream_ended;
	fanout->done = streams_ended;
	for (uint32_t i = 0; i < fanout->federation->count; i++)
		if (gw_mcp_federated_with(call->session, i) != NULL)
			gw_mcp_fanout_send(fanout, i, NULL);
	gw_mcp_fanout_begun(fanout);
}

static void listen_in_session(struct gw_mcp_call *call)
{
	for (struct gw_mcp_call *other = call->session->calls; other != NULL; other = other->next)
		if (other != call && other->kind == GW_MCP_LISTEN && !gw_mcp_call_is_gone(other)) {
			gw_mcp_call_finish(call, 409);
			return;
		}
	if (call->home->mcp->draining)
		gw_mcp_call_finish(call, 503);
	else
		gw_mcp_federated_reach(call, GW_FEDERATION_MAX, open_streams);
}

/* ---- of stateless requests */

/* The resources that are one member's, as it knows them. */
static bool put_uris(struct gw_pipe *out, const struct gw_mcp_call *whole, uint32_t member,
		     struct kolk_mcp_part uris)
{
	bool ok = gw_pipe_put(out, "["), any = false;
	struct kolk_mcp_part uri;

	while (ok && gw_json_entry_next(&uris, &uri)) {
		struct gw_mcp_owner owner = { .member = 0 };

		if (gw_mcp_name_find(whole, GW_MCP_URI, uri, &owner) && owner.member == member) {
			ok = gw_pipe_put(out, any ? "," : "") && gw_mcp_put(out, gw_mcp_text(&owner.name));
			any = true;
		}
		gw_pipe_free(&owner.name);
	}
	return ok && gw_pipe_put(out, "]");
}

static bool put_listen(struct gw_pipe *out, const struct gw_mcp_call *whole, uint32_t member)
{
	struct kolk_mcp_part wanted = gw_json_member_of(whole->message->params, "notifications");
	struct gw_json_member one;
	bool ok = gw_pipe_put(out, "{\"jsonrpc\":\"2.0\",\"id\":") && gw_mcp_put(out, whole->message->id) &&
		  gw_pipe_put(out, ",\"method\":\"subscriptions/listen\",\"params\":{\"_meta\":") &&
		  gw_mcp_put(out, whole->message->meta) && gw_pipe_put(out, ",\"notifications\":{");
	bool any = false;

	while (ok && gw_json_next(&wanted, &one)) {
		ok = gw_pipe_put(out, any ? "," : "") && gw_mcp_put(out, one.name) && gw_pipe_put(out, ":") &&
		     (gw_json_says(one.name, "resourceSubscriptions") ?
			      put_uris(out, whole, member, one.value) : gw_mcp_put(out, one.value));
		any = true;
	}
	return ok && gw_pipe_put(out, "}}}");
}

static bool is_granted(const struct gw_mcp_fanout *fanout, const char *flag)
{
	for (uint32_t i = 0; i < fanout->federation->count; i++) {
		struct kolk_mcp_part value =
			gw_json_member_of(gw_mcp_text(&fanout->shares[i].got), flag);

		if (value.size == 4 && memcmp(value.data, "true", 4) == 0)
			return true;
	}
	return false;
}

static bool put_granted_uris(struct gw_pipe *out, const struct gw_mcp_fanout *fanout)
{
	bool ok = true, any = false;

	for (uint32_t i = 0; i < fanout->federation->count; i++) {
		struct kolk_mcp_part uri, uris = gw_json_member_of(gw_mcp_text(&fanout->shares[i].got),
								   "resourceSubscriptions");

		while (ok && gw_json_entry_next(&uris, &uri)) {
			if (uri.size < 2 || uri.data[0] != '"')
				continue;
			ok = gw_pipe_put(out, any ? "," : "") &&
			     gw_mcp_name_put(out, &fanout->federation->members[i], GW_MCP_URI, uri);
			any = true;
		}
	}
	return ok;
}

/* What all have granted, once. */
static void acknowledge(struct gw_mcp_fanout *fanout)
{
	static const char *const flags[] = { "toolsListChanged", "promptsListChanged",
					     "resourcesListChanged" };
	static const char method[] = "notifications/subscriptions/acknowledged";
	struct kolk_mcp_message message = { .size = sizeof message, .method = method,
					    .method_size = sizeof method - 1 };
	struct gw_pipe out = { .data = NULL };
	bool ok = gw_pipe_put(&out, "{\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":") &&
		  gw_mcp_put(&out, fanout->whole->message->id) &&
		  gw_pipe_put(&out, "},\"notifications\":{");

	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
		if (is_granted(fanout, flags[i]))
			ok = ok && gw_pipe_put(&out, "\"") && gw_pipe_put(&out, flags[i]) &&
			     gw_pipe_put(&out, "\":true,");
	ok = ok && gw_pipe_put(&out, "\"resourceSubscriptions\":[") && put_granted_uris(&out, fanout) &&
	     gw_pipe_put(&out, "]}}");
	message.params = out.data;
	message.params_size = out.size;
	if (ok)
		gw_mcp_call_pass(fanout->whole, &message);
	gw_pipe_free(&out);
}

static bool have_begun(const struct gw_mcp_fanout *fanout)
{
	for (uint32_t i = 0; i < fanout->federation->count; i++)
		if (fanout->shares[i].call != NULL && !fanout->shares[i].acknowledged &&
		    !fanout->shares[i].call->done)
			return false;
	return true;
}

static void acknowledge_if_all(struct gw_mcp_fanout *fanout)
{
	bool any = false;

	for (uint32_t i = 0; i < fanout->federation->count; i++)
		any |= fanout->shares[i].acknowledged;
	if (!any || fanout->acknowledged || fanout->beginning || !have_begun(fanout))
		return;
	fanout->acknowledged = true;
	acknowledge(fanout);
}

/* A server that refuses is left out. */
static void subscription_ended(struct gw_mcp_fanout *fanout, uint32_t member, struct gw_mcp_call *call)
{
	if (fanout->shares[member].acknowledged) {
		gw_mcp_fanout_cancel(fanout);
		return;
	}
	(void)gw_mcp_fanout_result(fanout, member, call);
	acknowledge_if_all(fanout);
}

static void subscriptions_ended(struct gw_mcp_fanout *fanout)
{
	struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);

	if (fanout->acknowledged)
		gw_mcp_call_end(fanout->whole, &result);
	else if (!gw_mcp_fanout_refuses(fanout))
		gw_mcp_call_error(fanout->whole, -32601, "Method not found");
}

/* The client is told when all have begun: it waits for none longer than for its list. */
static void on_late(struct kolk_timer *timer, void *user)
{
	struct gw_mcp_fanout *fanout = user;
	uint64_t now_ns = kolk_in_ns(0), next_ns = KOLK_FOREVER;

	for (uint32_t i = 0; i < fanout->federation->count; i++) {
		const struct gw_mcp_share *share = &fanout->shares[i];

		if (share->call == NULL || share->call->back == NULL || share->acknowledged)
			continue;
		if (share->until_ns > now_ns) {
			next_ns = share->until_ns < next_ns ? share->until_ns : next_ns;
			continue;
		}
		gw_mcp_member_told(fanout->federation, i, kolk_err_text(KOLK_E_TIMEOUT), true);
		kolk_mcp_cancel(share->call->back);
	}
	if (next_ns != KOLK_FOREVER)
		(void)kolk_timer_start(fanout->whole->home->loop, timer, next_ns, on_late, fanout);
}

static void subscribe_all(struct gw_mcp_call *call)
{
	struct gw_mcp_fanout *fanout = gw_mcp_fanout_open(call);

	if (fanout == NULL)
		return;
	call->deadline_ns = KOLK_FOREVER;
	fanout->streams = true;
	fanout->beginning = true;
	fanout->ended = subscription_ended;
	fanout->done = subscriptions_ended;
	for (uint32_t i = 0; i < fanout->federation->count; i++) {
		struct gw_pipe text = { .data = NULL };

		if (put_listen(&text, call, i))
			gw_mcp_fanout_send(fanout, i, &text);
		gw_pipe_free(&text);
	}
	fanout->beginning = false;
	acknowledge_if_all(fanout);
	on_late(&fanout->timer, fanout);
	gw_mcp_fanout_begun(fanout);
}

void gw_mcp_listen_all(struct gw_mcp_call *call)
{
	if (call->modern)
		subscribe_all(call);
	else
		listen_in_session(call);
}

/* ---- what a member says */

static void take_grant(struct gw_mcp_fanout *fanout, uint32_t member,
		       const struct kolk_mcp_message *message)
{
	const struct kolk_mcp_part params = { message->params, message->params_size };

	if (fanout->shares[member].acknowledged)
		return; /* it is said once: what a server says again is not kept */
	fanout->shares[member].acknowledged = true;
	(void)!gw_mcp_put(&fanout->shares[member].got, gw_json_member_of(params, "notifications"));
	acknowledge_if_all(fanout);
}

void gw_mcp_stream_pass(struct gw_mcp_fanout *fanout, uint32_t member,
			const struct kolk_mcp_message *message)
{
	const struct kolk_mcp_part params = { message->params, message->params_size };
	struct kolk_mcp_part uri = gw_json_member_of(params, "uri");
	struct gw_pipe shown = { .data = NULL }, changed = { .data = NULL };
	struct kolk_mcp_message passed = *message;
	bool ok = true;

	/* An id is one server's, and two may use the same one: no place in the whole is behind it. Each
	 * wants to be asked again at another time. */
	passed.event_id = NULL;
	passed.event_id_size = 0;
	passed.has_retry = 0;
	if (is_method(message, "notifications/subscriptions/acknowledged")) {
		take_grant(fanout, member, message);
		return;
	}
	if (fanout->whole->modern && !fanout->acknowledged)
		return; /* it has not begun for the client */
	if (is_method(message, "notifications/resources/updated") && uri.size >= 2 && uri.data[0] == '"') {
		ok = gw_mcp_name_put(&shown, &fanout->federation->members[member], GW_MCP_URI, uri) &&
		     gw_mcp_replace(&changed, params, uri, gw_mcp_text(&shown));
		passed.params = changed.data;
		passed.params_size = changed.size;
	}
	if (ok)
		gw_mcp_call_pass(fanout->whole, &passed);
	gw_pipe_free(&shown);
	gw_pipe_free(&changed);
}
