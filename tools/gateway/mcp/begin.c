/* SPDX-License-Identifier: Apache-2.0 */
/* begin.c - what a client asks of an MCP server, on the home of its session. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/mcp/adapt.h"
#include "tools/gateway/mcp/batch.h"
#include "tools/gateway/mcp/cached.h"
#include "tools/gateway/mcp/child.h"
#include "tools/gateway/mcp/client.h"
#include "tools/gateway/mcp/dialog.h"
#include "tools/gateway/mcp/federation.h"
#include "tools/gateway/mcp/legacy.h"
#include "tools/gateway/mcp/modern.h"
#include "tools/gateway/mcp/tools.h"
#include "tools/gateway/warm/warm.h"

enum { FIELDS_MAX = 32 };

static uint32_t read_fields(const struct gw_mcp_call *call, struct kolk_http_field fields[FIELDS_MAX])
{
	const char *at = call->field_text.data;
	uint32_t count = call->field_count < FIELDS_MAX ? call->field_count : FIELDS_MAX;

	for (uint32_t i = 0; i < count; i++) {
		fields[i].name = at;
		fields[i].value = at += strlen(at) + 1;
		at += strlen(at) + 1;
	}
	return count;
}

void gw_mcp_call_start(struct gw_mcp_call *call)
{
	struct kolk_mcp_request request = KOLK_INIT(kolk_mcp_request);
	struct kolk_http_field fields[FIELDS_MAX];
	enum kolk_err err;

	request.method = call->discovers ? "initialize" :
			 call->adapts    ? "server/discover" : call->message->method;
	request.notification = call->kind == GW_MCP_NOTIFICATION;
	if (call->params.size > 0) {
		request.params = call->params.data + call->params.begin;
		request.params_size = call->params.size;
	} else if (call->kind != GW_MCP_INITIALIZE && !call->discovers) {
		request.message = call->message;
	}
	request.replayable = gw_mcp_is_replayable(request.method);
	request.field_count = read_fields(call, fields);
	request.fields = fields;
	request.deadline_ns = call->dialog != NULL ? KOLK_FOREVER : call->deadline_ns;
	if (call->dialog != NULL)
		err = kolk_mcp_start(call->own, &request, &gw_mcp_handler_dialog, call->dialog,
				     &call->back);
	else
		err = kolk_mcp_start(call->own != NULL ? call->own : call->session->client, &request,
				     call->own != NULL ? &gw_mcp_handler_alone : &gw_mcp_handler,
				     call, &call->back);
	if (err == KOLK_PENDING)
		return;
	gw_mcp_dialog_drop(call);
	if (call->kind == GW_MCP_INITIALIZE)
		gw_mcp_session_close(call->session);
	gw_mcp_call_refuse(call, err == KOLK_E_OPTIONS ? 400 : kolk_http_status_of(err),
		     kolk_err_text(err));
}

void gw_mcp_call_discover(struct gw_mcp_call *call)
{
	call->discovers = true;
	gw_mcp_call_start(call);
}

static void begin_session(struct gw_mcp_call *call)
{
	struct gw_mcp_session *session;
	enum kolk_err err;

	if (call->home->mcp->draining) {
		gw_mcp_call_refuse(call, 503, kolk_err_text(KOLK_E_DRAINING));
		return;
	}
	session = gw_mcp_session_make(call, &err);
	if (session == NULL) {
		gw_mcp_call_refuse(call, err == KOLK_E_OPTIONS ? 400 : kolk_http_status_of(err),
			     kolk_err_text(err));
		return;
	}
	if (session->adapted == NULL)
		session->warm = gw_warm_session_begin(call);
	gw_mcp_session_add(session, call);
	gw_mcp_call_start(call);
}

static void listen(struct gw_mcp_call *call)
{
	struct gw_mcp_session *session = call->session;
	enum kolk_err err;

	for (struct gw_mcp_call *other = session->calls; other != NULL; other = other->next)
		if (other != call && other->kind == GW_MCP_LISTEN && !gw_mcp_call_is_gone(other)) {
			gw_mcp_call_finish(call, 409);
			return;
		}
	if (call->home->mcp->draining) {
		gw_mcp_call_finish(call, 503);
		return;
	}
	if (session->adapted != NULL) {
		gw_mcp_adapt_listen(call);
		return;
	}
	err = kolk_mcp_listen_after(session->client, call->last_event_id, &gw_mcp_handler, call,
				    &call->back);
	if (err != KOLK_PENDING)
		gw_mcp_call_finish(call, err == KOLK_E_UNSUPPORTED ? 405 : kolk_http_status_of(err));
	else if (call->pool->options.transport == KOLK_MCP_STDIO ||
		 call->pool->options.transport == KOLK_MCP_WEBSOCKET)
		gw_mcp_handler.head(call, call->back, &(struct kolk_http_head){ .status = 200 });
}

void gw_mcp_call_list(struct gw_mcp_call *call)
{
	call->at = &call->home->mcp->alone;
	call->next = *call->at;
	if (call->next != NULL)
		call->next->at = &call->next;
	*call->at = call;
}

/* A client for the call alone: what it shares with others is the upstream's to say. */
static enum kolk_err open_own(struct gw_mcp_call *call)
{
	struct kolk_mcp_client_options options = KOLK_INIT(kolk_mcp_client_options);
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	struct kolk_mcp_part can = call->message->meta_capabilities;
	bool told = gw_mcp_dialog_told(call);
	char *capabilities = told ? strndup(can.data, can.size) : NULL;
	enum kolk_err err;

	who.tenant = call->tenant[0] != '\0' ? call->tenant : NULL;
	options.who = &who;
	options.capabilities = capabilities;
	err = gw_mcp_client_open(call, gw_mcp_calls(call->pool), &options, &call->own);
	if (err == KOLK_OK)
		gw_warm_use_call(call, told);
	free(capabilities);
	return err;
}

static void begin_alone(struct gw_mcp_call *call)
{
	enum kolk_err err;
	bool dialog;

	if (call->kind == GW_MCP_NOTIFICATION) { /* this version has none over HTTP */
		gw_mcp_call_finish(call, 202);
		return;
	}
	if (gw_mcp_cached_answers(call))
		return;
	if (gw_mcp_child_ask(call))
		return;
	dialog = gw_mcp_dialog_wanted(call);
	if (strcmp(call->message->method, "subscriptions/listen") == 0)
		call->deadline_ns = KOLK_FOREVER;
	if (gw_mcp_is_subscription_legacy(call)) {
		gw_mcp_subscribe(call);
		return;
	}
	err = open_own(call);
	if (err == KOLK_OK) {
		gw_mcp_call_list(call);
		err = dialog && !gw_mcp_dialog_begin(call) ? KOLK_E_MEMORY : KOLK_OK;
	}
	if (err != KOLK_OK)
		gw_mcp_call_refuse(call, kolk_http_status_of(err), kolk_err_text(err));
	else if (!gw_mcp_level_begin(call))
		gw_mcp_call_start(call);
}

static void begin_session_again(struct gw_mcp_call *call)
{
	call->reopened = true;
	gw_mcp_session_close(call->session);
	gw_mcp_session_remove(call);
	begin_session(call);
}

bool gw_mcp_call_renew(struct gw_mcp_call *call, const struct kolk_mcp_result *result)
{
	if (call->kind != GW_MCP_INITIALIZE || result->lost == 0 || call->reopened ||
	    call->session == NULL || !call->session->ahead)
		return false;
	begin_session_again(call);
	return true;
}

bool gw_mcp_call_reopen(struct gw_mcp_call *call)
{
	struct gw_mcp_session *session = call->session;

	if (call->reopened || call->continues || call->subscription != NULL ||
	    gw_mcp_holder_of(call->pool) == (session != NULL ? session->holder : call->holder))
		return false;
	if (session != NULL && call->kind != GW_MCP_INITIALIZE) {
		gw_mcp_session_retire(session);
		if (session->in_federation) /* the client's own is there */
			gw_mcp_call_refuse(call, 502, "the session with the server has ended");
		else
			gw_mcp_call_refuse(call, 404, "there is no such session");
		return true;
	}
	if (session != NULL) {
		begin_session_again(call);
	} else {
		call->reopened = true;
		gw_mcp_call_close_own(call);
		begin_alone(call);
	}
	return true;
}

void gw_mcp_call_begin(struct gw_mcp_call *call)
{
	struct gw_mcp_session *session;

	if (call->modern && gw_mcp_tools_refuse(call))
		return;
	if (call->pool->federation != NULL && gw_mcp_federation_begin(call))
		return;
	if (call->continues) {
		gw_mcp_dialog_continue(call);
		return;
	}
	if (call->modern) {
		begin_alone(call);
		return;
	}
	if (call->kind == GW_MCP_INITIALIZE) {
		begin_session(call);
		return;
	}
	session = gw_mcp_session_find(call);
	if (session == NULL) {
		gw_mcp_call_refuse(call, 404, "there is no such session");
		return;
	}
	gw_mcp_session_add(session, call);
	if (gw_mcp_tools_refuse(call))
		return;
	if (gw_mcp_client_show(call, session->client) != KOLK_OK) {
		gw_mcp_call_refuse(call, 503, kolk_err_text(KOLK_E_MEMORY));
	} else if (call->kind == GW_MCP_BATCH) {
		gw_mcp_batch_begin(call);
	} else if (call->kind == GW_MCP_LISTEN) {
		listen(call);
	} else if (call->kind == GW_MCP_DELETE) {
		gw_mcp_session_close(session);
		gw_mcp_call_finish(call, 200);
	} else if (call->kind == GW_MCP_REPLY) {
		(void)gw_mcp_session_reply(session, call->message);
		gw_mcp_call_finish(call, 202);
	} else if (strcmp(call->message->method, "notifications/cancelled") == 0) {
		(void)gw_mcp_session_cancel(session, call->message->request_id);
		gw_mcp_call_finish(call, 202);
	} else if (strcmp(call->message->method, "notifications/initialized") == 0) {
		gw_mcp_call_finish(call, 202); /* the server was told when the session was made */
	} else if (session->adapted != NULL) {
		gw_mcp_adapt_request(call);
	} else {
		gw_mcp_call_start(call);
	}
}
