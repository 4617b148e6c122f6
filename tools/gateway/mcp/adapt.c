/* SPDX-License-Identifier: Apache-2.0 */
/* adapt.c - sessions of clients with a server that has none: they are the gateway's alone. */
#include "tools/gateway/mcp/adapt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/json.h"

static bool put(struct gw_pipe *out, const char *text)
{
	return gw_pipe_push(out, text, strlen(text));
}

static bool put_part(struct gw_pipe *out, struct kolk_mcp_part part)
{
	return gw_pipe_push(out, part.data, part.size);
}

static struct kolk_mcp_part part_of(const struct gw_pipe *pipe)
{
	return (struct kolk_mcp_part){ pipe->data + pipe->begin, pipe->size };
}

/* ---- whether its server has sessions: it is asked as the client asks, and that is remembered */

bool gw_mcp_is_stateless(struct gw_mcp_pool *pool)
{
	/* relaxed: it stands for itself */
	return pool->sessions == NULL ||
	       kolk_in_ns(0) < kolk__load_relaxed(&pool->stateless_until_ns);
}

bool gw_mcp_adapt(struct gw_mcp_session *session)
{
	session->adapted = calloc(1, sizeof *session->adapted);
	return session->adapted != NULL;
}

void gw_mcp_adapted_free(struct gw_mcp_adapted *adapted)
{
	if (adapted == NULL)
		return;
	for (uint32_t i = 0; i < adapted->watched_count; i++)
		gw_pipe_free(&adapted->watched[i]);
	free(adapted->watched);
	gw_pipe_free(&adapted->log_level);
	free(adapted);
}

/* ---- answers of the gateway's own */

static void answer(struct gw_mcp_call *call, const char *text)
{
	struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);

	result.result = text;
	result.result_size = strlen(text);
	gw_mcp_call_end(call, &result);
}

static void answer_error(struct gw_mcp_call *call, const char *error)
{
	struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);

	result.err = KOLK_E_SERVER;
	result.error = error;
	result.error_size = strlen(error);
	gw_mcp_call_end(call, &result);
}

/* ---- the beginning */

/* What the server says of itself in a session's words. */
static bool put_initialize(struct gw_pipe *out, const struct gw_mcp_call *call,
			   struct kolk_mcp_part said)
{
	static const char *const versions[] = { "2024-11-05", "2025-03-26", "2025-06-18" };
	static const struct kolk_mcp_part nothing = { "{}", 2 };
	static const struct kolk_mcp_part nobody = { "{\"name\":\"unknown\",\"version\":\"0\"}", 32 };
	struct kolk_mcp_part capabilities = gw_json_member_of(said, "capabilities");
	struct kolk_mcp_part instructions = gw_json_member_of(said, "instructions");
	struct kolk_mcp_part info = gw_json_member_of(gw_json_member_of(said, "_meta"),
						 "io.modelcontextprotocol/serverInfo");
	const char *version = "2025-11-25";
	bool ok;

	for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++)
		if (strcmp(call->message->version, versions[i]) == 0)
			version = versions[i];
	ok = put(out, "{\"protocolVersion\":\"") && put(out, version) &&
	     put(out, "\",\"capabilities\":") &&
	     put_part(out, capabilities.size > 0 ? capabilities : nothing) &&
	     put(out, ",\"serverInfo\":") && put_part(out, info.size > 0 ? info : nobody);
	if (instructions.size > 0)
		ok = ok && put(out, ",\"instructions\":") && put_part(out, instructions);
	return ok && put(out, "}");
}

static bool discovered(struct gw_mcp_call *call, const struct kolk_mcp_result *result)
{
	const struct kolk_mcp_part said = { result->result, result->result_size };
	struct kolk_mcp_result changed = *result;
	struct gw_pipe text = { .data = NULL };

	if (result->err != KOLK_OK) {
		kolk__store_relaxed(&call->pool->stateless_until_ns, 0);
		return false;
	}
	kolk__store_relaxed(&call->pool->stateless_until_ns, kolk_in_ns(GW_MCP_STATELESS_NS));
	if (!put_initialize(&text, call, said))
		changed.err = KOLK_E_MEMORY;
	changed.result = text.data;
	changed.result_size = text.size;
	gw_mcp_call_end(call, &changed);
	gw_pipe_free(&text);
	return true;
}

/* The server refused initialize, or so many of others that it is not asked any more: perhaps it has no
 * sessions. */
static bool says_no_session(const struct gw_mcp_call *call, enum kolk_err err)
{
	return call->pool->may_be_stateless &&
	       (err == KOLK_E_SERVER || err == KOLK_E_UNSUPPORTED || err == KOLK_E_CIRCUIT);
}

static bool tries_discover(struct gw_mcp_call *call, const struct kolk_mcp_result *result)
{
	struct gw_mcp_session *refused = call->session, *session;
	enum kolk_err err;

	if (!says_no_session(call, result->err))
		return false;
	gw_mcp_session_close(refused);
	gw_mcp_session_remove(call);
	call->adapts = true;
	session = gw_mcp_session_make(call, &err);
	if (session == NULL) {
		gw_mcp_call_refuse(call, kolk_http_status_of(err), kolk_err_text(err));
		return true;
	}
	gw_mcp_session_add(session, call);
	gw_mcp_call_start(call);
	return true;
}

/* ---- what only sessions have */

static void set_level(struct gw_mcp_call *call)
{
	static const char *const levels[] = { "debug", "info", "notice", "warning", "error",
					      "critical", "alert", "emergency" };
	struct gw_mcp_adapted *adapted = call->session->adapted;
	struct kolk_mcp_part level = gw_json_member_of(call->message->params, "level");
	bool known = false;

	for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
		known |= gw_json_says(level, levels[i]);
	if (!known) {
		answer_error(call, "{\"code\":-32602,\"message\":\"Unknown level\"}");
		return;
	}
	gw_pipe_reset(&adapted->log_level);
	(void)!put_part(&adapted->log_level, level); /* without memory: none is set */
	answer(call, "{}");
}

/* The stream that listens is asked for again, with what is subscribed to now. */
static void relisten(struct gw_mcp_session *session)
{
	for (struct gw_mcp_call *call = session->calls; call != NULL; call = call->next)
		if (call->kind == GW_MCP_LISTEN && call->back != NULL) {
			call->relistens = true;
			kolk_mcp_cancel(call->back);
		}
}

static uint32_t find_watched(const struct gw_mcp_adapted *adapted, struct kolk_mcp_part uri)
{
	uint32_t i = 0;

	while (i < adapted->watched_count &&
	       (adapted->watched[i].size != uri.size ||
		memcmp(part_of(&adapted->watched[i]).data, uri.data, uri.size) != 0))
		i++;
	return i;
}

static bool watch(struct gw_mcp_adapted *adapted, struct kolk_mcp_part uri)
{
	struct gw_pipe *grown;

	if (adapted->watched_count == GW_MCP_WATCHED_MAX)
		return false;
	grown = realloc(adapted->watched, (adapted->watched_count + 1) * sizeof *grown);
	if (grown == NULL)
		return false;
	adapted->watched = grown;
	memset(&grown[adapted->watched_count], 0, sizeof *grown);
	if (!put_part(&grown[adapted->watched_count], uri))
		return false;
	adapted->watched_count++;
	return true;
}

static void unwatch(struct gw_mcp_adapted *adapted, uint32_t i)
{
	gw_pipe_free(&adapted->watched[i]);
	adapted->watched[i] = adapted->watched[--adapted->watched_count];
}

static void subscribe(struct gw_mcp_call *call, bool wanted)
{
	struct gw_mcp_adapted *adapted = call->session->adapted;
	struct kolk_mcp_part uri = gw_json_member_of(call->message->params, "uri");
	uint32_t at = find_watched(adapted, uri);
	bool is_watched = at < adapted->watched_count;

	if (uri.size == 0 || uri.data[0] != '"') {
		answer_error(call, "{\"code\":-32602,\"message\":\"No uri\"}");
		return;
	}
	if (wanted && !is_watched && !watch(adapted, uri)) {
		answer_error(call, "{\"code\":-32603,\"message\":\"Too many subscriptions\"}");
		return;
	}
	if (!wanted && is_watched)
		unwatch(adapted, at);
	if (wanted != is_watched)
		relisten(call->session);
	answer(call, "{}");
}

void gw_mcp_adapt_request(struct gw_mcp_call *call)
{
	const char *method = call->message->method;

	if (call->kind == GW_MCP_NOTIFICATION)
		gw_mcp_call_finish(call, 202); /* that version has none over HTTP */
	else if (strcmp(method, "ping") == 0)
		answer(call, "{}");
	else if (strcmp(method, "logging/setLevel") == 0)
		set_level(call);
	else if (strcmp(method, "resources/subscribe") == 0)
		subscribe(call, true);
	else if (strcmp(method, "resources/unsubscribe") == 0)
		subscribe(call, false);
	else if (strcmp(method, "subscriptions/listen") == 0)
		answer_error(call, "{\"code\":-32601,\"message\":\"Method not found\"}");
	else if (!gw_mcp_input_params(call))
		gw_mcp_call_refuse(call, 503, kolk_err_text(KOLK_E_MEMORY));
	else
		gw_mcp_call_start(call);
}

/* ---- the stream that listens */

static bool put_listen(struct gw_pipe *out, const struct gw_mcp_adapted *adapted)
{
	bool ok = put(out, "{\"notifications\":{\"toolsListChanged\":true,\"promptsListChanged\":true,"
			   "\"resourcesListChanged\":true,\"resourceSubscriptions\":[");

	for (uint32_t i = 0; i < adapted->watched_count; i++)
		ok = ok && put(out, i > 0 ? "," : "") && put_part(out, part_of(&adapted->watched[i]));
	return ok && put(out, "]}}");
}

void gw_mcp_adapt_listen(struct gw_mcp_call *call)
{
	struct kolk_mcp_request request = KOLK_INIT(kolk_mcp_request);
	enum kolk_err err = KOLK_E_MEMORY;

	gw_pipe_reset(&call->params);
	if (put_listen(&call->params, call->session->adapted)) {
		request.method = "subscriptions/listen";
		request.params = call->params.data;
		request.params_size = call->params.size;
		request.deadline_ns = KOLK_FOREVER;
		err = kolk_mcp_start(call->session->client, &request, &gw_mcp_handler, call,
				     &call->back);
	}
	if (err != KOLK_PENDING)
		gw_mcp_call_finish(call, kolk_http_status_of(err));
	else if (call->pool->options.transport == KOLK_MCP_STDIO)
		gw_mcp_handler.head(call, call->back, &(struct kolk_http_head){ .status = 200 });
}

static bool listen_ended(struct gw_mcp_call *call, const struct kolk_mcp_result *result)
{
	bool again = call->relistens && call->session->client != NULL &&
		     !call->home->mcp->draining && !gw_mcp_call_is_gone(call);

	call->relistens = false;
	if (again)
		gw_mcp_adapt_listen(call);
	else if (result->err == KOLK_E_SERVER)
		gw_mcp_call_finish(call, 405); /* there is no such stream */
	return again || result->err == KOLK_E_SERVER;
}

/* ---- the end */

bool gw_mcp_adapt_end(struct gw_mcp_call *call, const struct kolk_mcp_result *result)
{
	if (call->kind == GW_MCP_INITIALIZE)
		return call->adapts ? discovered(call, result) : tries_discover(call, result);
	if (call->session == NULL || call->session->adapted == NULL)
		return false;
	if (call->kind == GW_MCP_LISTEN)
		return listen_ended(call, result);
	return gw_mcp_input_required(call, result);
}
