/* SPDX-License-Identifier: Apache-2.0 */
/*
 * front.c - a client's HTTP request to an MCP server (Streamable HTTP, 2025-03-26 to
 * 2025-11-25): checked, read, handed to its session's home; and answered with what comes from there.
 */
#define _GNU_SOURCE /* strcasestr */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tools/gateway/mcp/batch.h"
#include "tools/gateway/mcp/challenge.h"
#include "tools/gateway/mcp/client.h"
#include "tools/gateway/mcp/dialog.h"
#include "tools/gateway/mcp/lock.h"
#include "tools/gateway/mcp/modern.h"
#include "tools/gateway/mcp/origin.h"
#include "tools/gateway/mcp/silence.h"
#include "tools/gateway/mcp/stdio.h"
#include "tools/gateway/principal.h"
#include "tools/gateway/warm/warm.h"

static const char *field(const struct gw_exchange *x, const char *name)
{
	return kolk_http_field(x->head->fields, x->head->field_count, name);
}

/* ---- answers of the gateway's own: an error of JSON-RPC */

/* Of a 405 (RFC 9110, section 15.5.6): a GET of a version that has it is one that the server has not. */
static const char *allowed(const struct gw_exchange *x)
{
	if (gw_mcp_is_modern(x, NULL))
		return "POST";
	return strcmp(x->head->method, "GET") == 0 ? "POST, DELETE" : "GET, POST, DELETE";
}

static void refuse(struct gw_exchange *x, uint32_t status, int code, const char *why)
{
	snprintf(x->asking->text, sizeof x->asking->text,
		 "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":%d,\"message\":\"%s\"}}", code,
		 why);
	x->refused = status;
	gw_answer_text(x, status, status == 405 ? allowed(x) : NULL);
}

/* ---- what it says */

/* Whether a list of media types has one of these. */
static bool accepts(const char *list, const char *type)
{
	/* Of most clients: they have to say both, and write it as the specification does. */
	static const char usual[] = "application/json, text/event-stream";
	char any[32];

	if (list == NULL || strcmp(list, usual) == 0 || strstr(list, "*/*") != NULL ||
	    strcasestr(list, type) != NULL)
		return true;
	snprintf(any, sizeof any, "%.*s/*", (int)strcspn(type, "/"), type);
	return strcasestr(list, any) != NULL;
}

static bool is_json(const char *type)
{
	static const char json[] = "application/json";

	return type != NULL && strncasecmp(type, json, sizeof json - 1) == 0 &&
	       strchr("; \t", type[sizeof json - 1]) != NULL;
}

/* What is passed on of its fields. */
static bool is_passed(const char *name)
{
	switch (name[0]) {
	case 't':
		return strcmp(name, "traceparent") == 0 || strcmp(name, "tracestate") == 0;
	case 'b':
		return strcmp(name, "baggage") == 0;
	case 'm':
		return strncmp(name, "mcp-param-", 10) == 0;
	default:
		return false;
	}
}

static bool push_text(struct gw_mcp_call *call, const char *text)
{
	return gw_pipe_push(&call->field_text, text, strlen(text) + 1);
}

static bool keep_fields(struct gw_mcp_call *call)
{
	const struct kolk_http_request_head *head = call->x->head;
	bool ok = true;

	if (call->token != NULL) {
		call->field_text.secret = true;
		ok = push_text(call, "authorization") &&
		     gw_pipe_push(&call->field_text, "Bearer ", 7) && push_text(call, call->token);
		call->field_count++;
	}
	for (uint32_t i = 0; ok && i < head->field_count; i++) {
		const struct kolk_http_field *f = &head->fields[i];

		if (!is_passed(f->name))
			continue;
		ok = push_text(call, f->name) && push_text(call, f->value);
		call->field_count++;
	}
	return ok;
}

/* ---- calls */

/* Tokens that this gateway or the server looks at say whose a session is. */
static bool is_token_looked_at(const struct gw_exchange *x)
{
	uint32_t from = x->view->config->tenants_options.from;

	return x->target->route->access.client_token == GW_CLIENT_TOKEN_PASS ||
	       (x->target->route->tenant != GW_TENANT_NONE &&
		(from == GW_TENANTS_BEARER || from == GW_TENANTS_JWT));
}

static bool keep_token(struct gw_mcp_call *call)
{
	const char *token = is_token_looked_at(call->x) ? gw_tenant_token(call->x->head) : NULL;
	struct gw_principal principal;

	if (token == NULL)
		return true;
	if (!gw_principal_of(token, &principal))
		return false;
	memcpy(call->principal, principal.digest, sizeof call->principal);
	call->token = call->passes ? strdup(token) : NULL;
	return !call->passes || call->token != NULL;
}

static bool open_call(struct gw_exchange *x)
{
	const bool speaks = strcmp(x->head->method, "POST") == 0;

	x->mcp = gw_mcp_call_open(x->loop, x->target, x->tenant, speaks);
	if (x->mcp == NULL)
		return false;
	x->mcp->x = x;
	return keep_token(x->mcp) && keep_fields(x->mcp);
}

/* The session that it names is found; false: it was refused. */
static bool find_session(struct gw_exchange *x)
{
	const char *id = field(x, "mcp-session-id"), *version = field(x, "mcp-protocol-version");
	struct gw_mcp_place place = { .route = x->mcp->route, .tenant = x->tenant,
				      .principal = x->mcp->principal };
	struct gateway *gateway = x->loop->gateway;

	if (id == NULL) {
		refuse(x, 400, -32600, "Mcp-Session-Id is missing: a session begins with initialize");
		return false;
	}
	if (version != NULL && strcmp(version, "2025-03-26") != 0 &&
	    strcmp(version, "2025-06-18") != 0 && strcmp(version, "2025-11-25") != 0) {
		refuse(x, 400, -32600, "this MCP-Protocol-Version is not spoken here");
		return false;
	}
	if (!gw_mcp_id_open(&x->loop->mcp->ids, id, &place) || place.loop >= gateway->loop_count) {
		refuse(x, 404, -32001, "there is no such session");
		return false;
	}
	x->mcp->home = &gateway->loops[place.loop];
	x->mcp->slot = place.slot;
	x->mcp->generation = place.generation;
	return true;
}

/* Nothing of it has been given to home. */
static void refuse_call(struct gw_mcp_call *call, uint32_t status, const char *error)
{
	struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);

	result.error = error;
	result.error_size = strlen(error);
	call->x->refused = call->status = status;
	call->done = true;
	if (!gw_mcp_write_error(call, &result))
		call->status = 503;
	gw_mcp_front_turn(call);
}

/* A stateless request. */
static void take_modern(struct gw_exchange *x)
{
	struct gw_mcp_call *call = x->mcp;
	char text[256];
	const char *error;

	if (call->kind == GW_MCP_REPLY) {
		refuse(x, 400, -32600, "this version has no requests of servers");
		return;
	}
	error = call->kind == GW_MCP_NOTIFICATION ? NULL :
						    gw_mcp_modern_flaw(x, call->message, text);
	call->modern = true;
	if (error == NULL)
		gw_mcp_dialog_route(call);
	if (error != NULL)
		refuse_call(call, 400, error);
	else if (gw_mcp_is_removed(call->message->method))
		refuse_call(call, 404, "{\"code\":-32601,\"message\":\"Method not found\"}");
	else
		gw_mcp_call_give(call);
}

enum gw_mcp_kind gw_mcp_kind_of(const struct kolk_mcp_envelope *message)
{
	if (message->method[0] == '\0')
		return GW_MCP_REPLY;
	if (message->id.size == 0)
		return GW_MCP_NOTIFICATION;
	return strcmp(message->method, "initialize") == 0 ? GW_MCP_INITIALIZE : GW_MCP_REQUEST;
}

/* An array of messages: only in a session of 2025-03-26, which its home knows. */
static void take_array(struct gw_exchange *x)
{
	const char *version = field(x, "mcp-protocol-version");

	x->mcp->kind = GW_MCP_BATCH;
	if (gw_mcp_is_modern(x, NULL) ||
	    (version != NULL && strcmp(version, GW_MCP_ARRAYS) != 0))
		refuse(x, 400, -32600, "this version has no arrays of messages");
	else if (find_session(x))
		gw_mcp_call_give(x->mcp);
}

void gw_mcp_body_end(struct gw_exchange *x)
{
	struct gw_mcp_call *call = x->mcp;
	enum kolk_err err;

	if (call->given || x->state != GW_ASKED)
		return;
	err = kolk_mcp_read(call->body.data + call->body.begin, call->body.size, call->message);
	if (err == KOLK_E_UNSUPPORTED) {
		take_array(x);
		return;
	}
	if (err != KOLK_OK) {
		refuse(x, 400, call->message->fault_code, call->message->fault);
		return;
	}
	call->kind = gw_mcp_kind_of(call->message);
	if (gw_mcp_is_modern(x, call->message)) {
		take_modern(x);
		return;
	}
	if (call->kind == GW_MCP_INITIALIZE)
		call->home = gw_warm_home_of(call);
	if (call->kind == GW_MCP_INITIALIZE || find_session(x))
		gw_mcp_call_give(call);
}

void gw_mcp_body(struct gw_exchange *x, const void *data, size_t size)
{
	uint64_t max = x->target->route->body_bytes_max;

	if (x->mcp->given || x->state != GW_ASKED)
		return;
	if (max != 0 && x->received > max)
		gw_answer_refusal(x, 413, 0);
	else if (!gw_pipe_push(&x->mcp->body, data, size))
		gw_answer_refusal(x, 503, 0);
}

/* ---- requests */

static void post(struct gw_exchange *x)
{
	const char *accept = field(x, "accept");

	if (!is_json(field(x, "content-type")))
		refuse(x, 415, -32600, "Content-Type has to be application/json");
	else if (!accepts(accept, "application/json") || !accepts(accept, "text/event-stream"))
		refuse(x, 406, -32600, "Accept has to have application/json and text/event-stream");
	else if (x->head->body_size == 0)
		refuse(x, 400, -32700, "there is no message");
	else
		kolk_http_server_resume(x->front);
}

static void get(struct gw_exchange *x)
{
	const char *last = field(x, "last-event-id");

	x->mcp->kind = GW_MCP_LISTEN;
	x->mcp->last_event_id = last != NULL ? strdup(last) : NULL;
	if (!accepts(field(x, "accept"), "text/event-stream"))
		refuse(x, 406, -32600, "Accept has text/event-stream");
	else if (find_session(x))
		gw_mcp_call_give(x->mcp);
}

void gw_mcp_request(struct gw_exchange *x)
{
	const char *method = x->head->method;

	if (!gw_mcp_is_host_good(x) || !gw_mcp_is_origin_good(x)) {
		refuse(x, 403, -32600, "this Host or Origin may not ask");
	} else if (!gw_mcp_is_for_resource(x)) {
		gw_answer_refusal(x, 401, 0);
	} else if (!open_call(x)) {
		gw_answer_refusal(x, 503, 0);
	} else if (strcmp(method, "POST") == 0) {
		post(x);
	} else if (strcmp(method, "POST") != 0 && gw_mcp_is_modern(x, NULL)) {
		refuse(x, 405, -32600, "this version has POST alone");
	} else if (strcmp(method, "GET") == 0) {
		get(x);
	} else if (strcmp(method, "DELETE") == 0) {
		x->mcp->kind = GW_MCP_DELETE;
		if (find_session(x))
			gw_mcp_call_give(x->mcp);
	} else {
		refuse(x, 405, -32600, "GET, POST or DELETE");
	}
}

/* ---- answers */

static enum kolk_err pull(void *user, void *buffer, size_t capacity, size_t *size)
{
	struct gw_exchange *x = user;
	struct gw_mcp_call *call = x->mcp;
	bool ended, wake;

	gw_mcp_call_lock(call);
	*size = gw_pipe_take(&call->out, buffer, capacity);
	if (call->out.size == 0)
		gw_pipe_free(&call->out); /* the next event may be long in coming */
	ended = call->done && call->out.size == 0;
	wake = call->paused && call->out.size <= GW_PIPE_LOW;
	gw_mcp_call_unlock(call);
	x->sent += *size;
	if (wake)
		gw_mcp_call_wake(call);
	return *size > 0 || ended ? KOLK_OK : KOLK_PENDING;
}

/* It listens: its answer ends with the client, the server or the session. */
static bool lasts(const struct gw_mcp_call *call)
{
	return call->kind == GW_MCP_LISTEN || gw_mcp_is_subscription(call);
}

/* What is not needed any more. Its span tells of the head's fields. */
static void trim(struct gw_mcp_call *call)
{
	struct gw_exchange *x = call->x;

	gw_exchange_trim(x, call->tenant);
	if (!x->traced)
		kolk_http_server_trim(x->front);
}

static void answer(struct gw_mcp_call *call, struct kolk_http_answer *with, const char *challenge)
{
	struct gw_exchange *x = call->x;
	struct gw_fields *fields = &x->loop->fields;
	const bool stream = with->pull != NULL;

	challenge = gw_mcp_challenge(&x->target->route->access, challenge, with->status, &call->told);
	call->answered = true;
	if (!gw_fields_begin(fields, 0, 512)) {
		gw_proxy_cancel(x);
		return;
	}
	if (with->pull != NULL || with->body_size > 0)
		gw_fields_add(fields, "content-type",
			      stream ? "text/event-stream" : "application/json");
	gw_fields_add(fields, "cache-control", stream ? "no-cache, no-transform" : "no-store");
	if (stream)
		gw_fields_add(fields, "x-accel-buffering", "no");
	if (challenge != NULL)
		gw_fields_add(fields, "www-authenticate", challenge);
	if (with->status == 405)
		gw_fields_add(fields, "allow", allowed(x));
	if (call->session_id != NULL)
		gw_fields_add(fields, "mcp-session-id", call->session_id);
	gw_answer_add_cors(x, fields);
	with->fields = fields->at;
	with->field_count = (uint32_t)fields->count;
	if (kolk_http_server_answer(x->front, with) != KOLK_OK) {
		gw_proxy_cancel(x);
		return;
	}
	x->state = GW_ANSWERED;
	x->status = with->status;
	x->sent += with->body_size;
	if (stream && lasts(call))
		trim(call);
}

void gw_mcp_front_turn(struct gw_mcp_call *call)
{
	struct kolk_http_answer with = KOLK_INIT(kolk_http_answer);
	const char *challenge;
	bool begin;

	if (call->line != NULL)
		gw_stdio_turn(call->line);
	if (call->x == NULL || call->x->state == GW_CANCELLED)
		return;
	if (call->answered) {
		kolk_http_server_more(call->x->front);
		return;
	}
	gw_mcp_call_lock(call);
	begin = call->stream || call->done;
	challenge = call->challenge; /* set once */
	with.status = call->stream ? 200 : call->status;
	if (call->stream) {
		with.pull = pull;
		with.pull_size = KOLK_HTTP_CHUNKED;
	} else if (call->out.size > 0) { /* it is done: nothing moves it any more */
		with.body = call->out.data + call->out.begin;
		with.body_size = call->out.size;
	}
	gw_mcp_call_unlock(call);
	if (!begin)
		return;
	answer(call, &with, challenge);
	if (with.pull != NULL && call->x != NULL)
		gw_mcp_silence_begin(call);
}

/* Its home is this thread, and done with it: there is nothing that it need be told. Those that consist
 * of others have an end of their own. */
static bool is_over(const struct gw_mcp_call *call)
{
	return call->front == call->home && call->done && call->batch == NULL &&
	       call->fanout == NULL;
}

void gw_mcp_front_end(struct gw_exchange *x)
{
	struct gw_mcp_call *call = x->mcp;

	x->mcp = NULL;
	call->x = NULL;
	gw_mcp_silence_end(call);
	gw_mcp_call_lock(call);
	call->gone = true;
	gw_mcp_call_unlock(call);
	if (call->given && !is_over(call))
		gw_mcp_call_wake(call);
	gw_mcp_call_unref(call);
}
