/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answer.c - what an MCP server says to a call, on the call's home: it goes to `out`, as events
 * when something precedes the answer, otherwise as JSON.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/json.h"
#include "tools/gateway/mcp/adapt.h"
#include "tools/gateway/mcp/batch.h"
#include "tools/gateway/mcp/cached.h"
#include "tools/gateway/mcp/child.h"
#include "tools/gateway/mcp/dialog.h"
#include "tools/gateway/mcp/federation.h"
#include "tools/gateway/mcp/legacy.h"
#include "tools/gateway/mcp/lock.h"
#include "tools/gateway/mcp/modern.h"
#include "tools/gateway/mcp/stdio.h"
#include "tools/gateway/mcp/tools.h"

/* ---- what the server says */

static bool is_word(const struct kolk_mcp_message *message)
{
	for (uint32_t i = 0; i < message->method_size; i++)
		if (message->method[i] < ' ' || message->method[i] == '"' ||
		    message->method[i] == '\\')
			return false;
	return true;
}

/* The subscription is called as the client's request is. params of JSON, malloc'd; NULL: no memory. */
static char *rename_subscription(const struct gw_mcp_call *call,
				 const struct kolk_mcp_message *message, size_t *size)
{
	const char *params = message->params;
	size_t before = (size_t)((const char *)message->subscription - params);
	size_t after = message->params_size - before - message->subscription_size;
	char *text = malloc(message->params_size + call->message->id.size);

	if (text == NULL)
		return NULL;
	memcpy(text, params, before);
	memcpy(text + before, call->message->id.data, call->message->id.size);
	memcpy(text + before + call->message->id.size,
	       params + before + message->subscription_size, after);
	*size = before + call->message->id.size + after;
	return text;
}

/* Under the lock: whether its server is to be slowed down now, until its client has read on. */
static bool must_pause(struct gw_mcp_call *call)
{
	bool pause = call->back != NULL && !call->paused && call->out.size >= GW_PIPE_HIGH;

	call->paused |= pause;
	return pause;
}

/* An event. */
void gw_mcp_call_pass(struct gw_mcp_call *call, const struct kolk_mcp_message *message)
{
	const struct gw_mcp_message event = {
		.id = { message->id, message->id_size },
		.method = { message->method, message->method_size },
		.member = "params",
		.value = { message->params, message->params_size },
		.event_id = { message->event_id, message->event_id_size },
		.has_retry = message->has_retry != 0,
		.retry_ms = message->retry_ms,
	};
	bool pause;

	if (!is_word(message))
		return;
	if (gw_mcp_fanout_has(call)) {
		gw_mcp_fanout_pass(call, message);
		return;
	}
	gw_mcp_call_lock(call);
	call->stream = true;
	if (!call->gone)
		(void)!gw_mcp_write(call, &event);
	pause = must_pause(call);
	gw_mcp_call_unlock(call);
	if (pause)
		kolk_mcp_pause(call->back);
	gw_mcp_call_tell(call);
}

static bool is_log(const struct kolk_mcp_message *message)
{
	static const char method[] = "notifications/message";

	return message->method_size == sizeof method - 1 &&
	       memcmp(message->method, method, sizeof method - 1) == 0;
}

/* A request that the client knows by another id. NULL = there is none. */
static struct gw_mcp_ask **find_ask(const struct gw_mcp_session *session, struct kolk_mcp_part id)
{
	struct gw_mcp_ask **at;

	for (struct gw_mcp_call *call = session->calls; call != NULL; call = call->next)
		for (at = &call->asks; *at != NULL; at = &(*at)->next)
			if ((*at)->shown != 0 && (*at)->size == id.size &&
			    memcmp((*at)->id, id.data, id.size) == 0)
				return at;
	return NULL;
}

/* The server takes back what it asked. By its own id the client would know another server's. */
static void pass_cancelled(struct gw_mcp_call *call, const struct kolk_mcp_message *message)
{
	const struct kolk_mcp_part said = { message->params, message->params_size };
	struct gw_mcp_ask **at = find_ask(call->session, gw_json_member_of(said, "requestId"));
	struct kolk_mcp_message shown = *message;
	struct gw_mcp_ask *ask;
	char params[48];

	if (at == NULL)
		return;
	ask = *at;
	shown.params = params;
	shown.params_size = (size_t)snprintf(params, sizeof params, "{\"requestId\":%llu}",
					     (unsigned long long)ask->shown);
	*at = ask->next;
	free(ask);
	gw_mcp_call_pass(call, &shown);
}

static bool is_cancelled(const struct kolk_mcp_message *message)
{
	static const char method[] = "notifications/cancelled";

	return message->method_size == sizeof method - 1 &&
	       memcmp(message->method, method, sizeof method - 1) == 0;
}

static bool is_acknowledged(const struct kolk_mcp_message *message)
{
	static const char method[] = "notifications/subscriptions/acknowledged";

	return message->method_size == sizeof method - 1 &&
	       memcmp(message->method, method, sizeof method - 1) == 0;
}

static void on_notification(void *user, struct kolk_mcp_call *back,
			    const struct kolk_mcp_message *message)
{
	struct kolk_mcp_message renamed = *message;
	struct gw_mcp_call *call = user;
	char *text = NULL;

	(void)back;
	gw_mcp_cached_note(call->pool, message);
	if (call->kind == GW_MCP_INITIALIZE)
		return; /* an answer that begins now would be without the session's id */
	if (is_log(message) && call->modern && !call->logs &&
	    kolk_mcp_era(gw_mcp_calls(call->pool)) == KOLK_MCP_LEGACY)
		return; /* nobody asked this session for it */
	if (call->kind == GW_MCP_LISTEN && is_acknowledged(message))
		return; /* sessions have no such one */
	if (call->session != NULL && call->session->in_federation && is_cancelled(message)) {
		pass_cancelled(call, message);
		return;
	}
	if (call->modern && message->subscription_size > 0)
		renamed.params = text = rename_subscription(call, message, &renamed.params_size);
	if (renamed.params != NULL || message->params == NULL)
		gw_mcp_call_pass(call, &renamed);
	free(text);
}

/* Its client hears of it, and there are not too many already that it has not answered. */
static bool may_ask(const struct gw_mcp_call *call, const struct kolk_mcp_message *message)
{
	uint32_t count = 0;

	for (const struct gw_mcp_ask *ask = call->asks; ask != NULL; ask = ask->next)
		count++;
	return count < GW_MCP_ASKED_MAX && is_word(message) &&
	       (!gw_mcp_fanout_has(call) || call->fanout->streams);
}

static void on_request(void *user, struct kolk_mcp_call *back,
		       const struct kolk_mcp_message *message)
{
	struct kolk_mcp_message shown = *message;
	struct gw_mcp_call *call = user;
	struct gw_mcp_ask *ask;
	char id[24];

	if (call->kind == GW_MCP_INITIALIZE)
		return; /* the session has not begun: the server waits in vain */
	ask = may_ask(call, message) ? malloc(sizeof *ask + message->id_size) : NULL;
	if (ask == NULL) {
		gw_mcp_ask_refuse(back, message);
		return;
	}
	ask->size = message->id_size;
	memcpy(ask->id, message->id, message->id_size);
	ask->shown = 0;
	ask->next = call->asks;
	call->asks = ask;
	if (call->session != NULL && call->session->in_federation) {
		ask->shown = ++call->home->mcp->asked;
		shown.id = id;
		shown.id_size = (size_t)snprintf(id, sizeof id, "%llu",
						 (unsigned long long)ask->shown);
	}
	gw_mcp_call_pass(call, &shown);
}

/* A stream that only listens is one as soon as the server says so. */
static void on_head(void *user, struct kolk_mcp_call *back, const struct kolk_http_head *head)
{
	struct gw_mcp_call *call = user;

	(void)back;
	if (call->kind != GW_MCP_LISTEN || head->status != 200)
		return;
	gw_mcp_call_lock(call);
	call->stream = true;
	gw_mcp_call_unlock(call);
	gw_mcp_call_tell(call);
}

/* Of a stream that its client has for itself: of several servers each says something else. */
static void on_mark(void *user, struct kolk_mcp_call *back, const struct kolk_mcp_message *event)
{
	struct gw_mcp_call *call = user;
	bool pause;

	if (call->kind != GW_MCP_LISTEN || call->line != NULL || gw_mcp_fanout_has(call))
		return;
	gw_mcp_call_lock(call);
	if (call->stream && !call->gone)
		(void)!gw_mcp_write_mark(call, event);
	pause = must_pause(call);
	gw_mcp_call_unlock(call);
	if (pause)
		kolk_mcp_pause(back);
	gw_mcp_call_tell(call);
}

/* ---- how it ended */

static uint32_t status_of(const struct gw_mcp_call *call, const struct kolk_mcp_result *result)
{
	if (call->passes && (result->status == 401 || result->status == 403))
		return result->status; /* the client was refused, not the gateway */
	if (result->lost)
		return call->session != NULL && call->session->in_federation ? 502 : 404;
	if (call->session != NULL && call->session->adapted != NULL && result->error != NULL)
		return 200; /* to such clients 404 says that the session is lost */
	if (call->modern && result->error_code == -32601)
		return 404;
	if (result->err == KOLK_E_SERVER)
		return result->status >= 400 && result->status < 500 && result->error != NULL ?
			       result->status : result->error != NULL ? 200 : 502;
	return result->err == KOLK_E_AUTH        ? 502 :
	       result->err == KOLK_E_UNSUPPORTED ? 400 : kolk_http_status_of(result->err);
}

/* False: no memory. */
static bool write_answer(struct gw_mcp_call *call, const char *member, struct kolk_mcp_part value)
{
	const bool adapted = call->modern && !call->suspends && !gw_mcp_is_subscription(call) &&
			     strcmp(member, "result") == 0 && call->pool->federation == NULL &&
			     kolk_mcp_era(gw_mcp_calls(call->pool)) == KOLK_MCP_LEGACY;
	const struct gw_mcp_message answer = { .id = call->message->id, .member = member,
					       .first = adapted ? gw_mcp_modern_members(call) : NULL,
					       .value = value };
	bool ok;

	gw_mcp_call_lock(call);
	ok = call->gone || gw_mcp_write(call, &answer);
	gw_mcp_call_unlock(call);
	return ok;
}

static void finish_with(struct gw_mcp_call *call, const char *member, struct kolk_mcp_part value,
			uint32_t status)
{
	if (!gw_mcp_batch_takes(call, value.size))
		gw_mcp_call_refuse(call, 200, "the answers to this array are too long together");
	else if (write_answer(call, member, value))
		gw_mcp_call_finish(call, status);
	else
		gw_mcp_call_refuse(call, 503, kolk_err_text(KOLK_E_MEMORY));
}

static void finish_result(struct gw_mcp_call *call, struct kolk_mcp_part value)
{
	struct gw_pipe shown = { .data = NULL };

	if (gw_mcp_tools_show(call, &value, &shown))
		finish_with(call, "result", value, 200);
	else
		gw_mcp_call_refuse(call, 503, kolk_err_text(KOLK_E_MEMORY));
	gw_pipe_free(&shown);
}

/* A session that was made has an id from here on, unless it goes again. False: it cannot have one. */
static bool take_session(struct gw_mcp_call *call, const struct kolk_mcp_result *result)
{
	struct gw_mcp_session *session = call->session;
	struct gw_mcp_place place = { .loop = call->home->index, .tenant = call->tenant,
				      .principal = call->principal, .route = call->route };
	bool wanted = result->err == KOLK_OK && !gw_mcp_call_is_gone(call);
	char id[GW_MCP_ID_SIZE];
	bool ok = wanted && gw_mcp_session_enter(session);

	if (ok) {
		session->arrays = gw_mcp_batch_agreed(result);
		place.slot = session->slot;
		place.generation = session->generation;
		ok = gw_mcp_id_seal(&call->home->mcp->ids, &place, id);
		call->session_id = ok ? strdup(id) : NULL;
		ok = call->session_id != NULL;
	}
	if (!ok)
		gw_mcp_session_close(session);
	return ok || !wanted;
}

static void end_silent(struct gw_mcp_call *call, const struct kolk_mcp_result *result)
{
	const bool listens = call->kind == GW_MCP_LISTEN;

	if (result->err == KOLK_OK || result->err == KOLK_E_CANCELLED)
		gw_mcp_call_finish(call, listens ? 200 : 202);
	else if (result->err == KOLK_E_SERVER && result->status == 405)
		gw_mcp_call_finish(call, 405);
	else
		gw_mcp_call_finish(call, status_of(call, result));
}

/* The result of a subscription names it, as all its messages do. */
static void write_subscription_end(struct gw_mcp_call *call)
{
	static const char begins[] = "{\"resultType\":\"complete\",\"_meta\":{"
				     "\"io.modelcontextprotocol/subscriptionId\":";
	char *text = malloc(sizeof begins + call->message->id.size + 2), *at = text;

	if (text == NULL)
		return;
	at = stpcpy(at, begins);
	at = (char *)memcpy(at, call->message->id.data, call->message->id.size) + call->message->id.size;
	memcpy(at, "}}", 2);
	(void)!write_answer(call, "result", (struct kolk_mcp_part){ text, (size_t)(at + 2 - text) });
	free(text);
}

/* No answer follows: a stream without an event. */
static void end_cancelled(struct gw_mcp_call *call)
{
	gw_mcp_call_lock(call);
	call->stream = true;
	gw_mcp_call_unlock(call);
	if (gw_mcp_is_subscription(call))
		write_subscription_end(call);
	gw_mcp_call_finish(call, 200);
}

static bool is_discovery_refused(const struct gw_mcp_call *call,
				 const struct kolk_mcp_result *result)
{
	return call->modern && !call->discovers && result->error != NULL &&
	       strcmp(call->message->method, "server/discover") == 0 &&
	       kolk_mcp_era(gw_mcp_calls(call->pool)) == KOLK_MCP_LEGACY;
}

static void keep_challenge(struct gw_mcp_call *call, const struct kolk_mcp_result *result)
{
	if (!call->passes || result->challenge == NULL || call->challenge != NULL)
		return;
	gw_mcp_call_lock(call);
	call->challenge = strdup(result->challenge);
	gw_mcp_call_unlock(call);
}

void gw_mcp_call_end(struct gw_mcp_call *call, const struct kolk_mcp_result *result)
{
	const struct kolk_mcp_part value = { result->result, result->result_size };
	const struct kolk_mcp_part error = { result->error, result->error_size };

	call->ended = result->err;
	keep_challenge(call, result);
	if (call->kind == GW_MCP_INITIALIZE && !take_session(call, result)) {
		gw_mcp_call_refuse(call, 503, "there are too many sessions");
		return;
	}
	if (result->lost && call->session != NULL)
		gw_mcp_session_close(call->session);
	if (gw_mcp_member_repeats(call, result))
		return;
	if (gw_stdio_repeats(call, result)) {
		gw_mcp_call_finish(call, 404);
		return;
	}
	if (call->kind == GW_MCP_NOTIFICATION || call->kind == GW_MCP_LISTEN) {
		end_silent(call, result);
	} else if (result->err == KOLK_OK && gw_mcp_is_subscription(call)) {
		write_subscription_end(call);
		gw_mcp_call_finish(call, 200);
	} else if (result->err == KOLK_OK) {
		finish_result(call, value);
	} else if (result->err == KOLK_E_CANCELLED) {
		end_cancelled(call);
	} else if (error.size > 0) {
		finish_with(call, "error", error, status_of(call, result));
	} else {
		gw_mcp_call_refuse(call, status_of(call, result), kolk_err_text(result->err));
	}
}

static void on_end(void *user, struct kolk_mcp_call *back, const struct kolk_mcp_result *result)
{
	struct gw_mcp_call *call = user;

	(void)back;
	call->back = NULL;
	gw_mcp_cached_keep(call, result);
	if (result->err == KOLK_E_AUTH && call->pool->tokens != NULL && gw_mcp_call_reopen(call))
		return;
	if (gw_mcp_call_renew(call, result))
		return;
	if (is_discovery_refused(call, result))
		gw_mcp_call_discover(call);
	else if (result->err == KOLK_E_SERVER && gw_mcp_is_subscription_legacy(call))
		gw_mcp_subscribe(call); /* now it is known to have sessions */
	else if (!gw_mcp_adapt_end(call, result))
		gw_mcp_call_end(call, result);
}

/* It does not ask its client: a server that asks is told that there is no such method. */
const struct kolk_mcp_handler gw_mcp_handler_alone = {
	.size = sizeof gw_mcp_handler_alone, .notification = on_notification, .end = on_end
};

const struct kolk_mcp_handler gw_mcp_handler = {
	.size = sizeof gw_mcp_handler, .head = on_head, .notification = on_notification,
	.request = on_request, .end = on_end, .mark = on_mark
};
