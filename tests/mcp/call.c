/* SPDX-License-Identifier: Apache-2.0 */
/* call.c - one JSON-RPC request from its beginning to its answer, or until it is cancelled. */
#include <stdlib.h>
#include <string.h>

#include "tests/mcp/tools.h"

/* ---- messages */

json_t *mcp_message(const char *method, json_t *params)
{
	json_t *message = json_pack("{s:s, s:s}", "jsonrpc", "2.0", "method", method);

	if (params != NULL)
		json_object_set_new(message, "params", params);
	return message;
}

json_t *mcp_error_object(int code, const char *text, json_t *data)
{
	json_t *error = json_pack("{s:i, s:s}", "code", code, "message", text);

	if (data != NULL)
		json_object_set_new(error, "data", data);
	return error;
}

json_t *mcp_error_message(const json_t *id, json_t *error)
{
	json_t *message = json_pack("{s:s, s:o}", "jsonrpc", "2.0", "error", error);

	json_object_set(message, "id", id != NULL ? (json_t *)(uintptr_t)id : json_null());
	return message;
}

/* ---- life */

static struct mcp_call **list(struct mcp_call *call)
{
	return call->session != NULL ? &call->session->calls : &call->fixture->calls;
}

static void check_duplicates(const struct mcp_call *call)
{
	for (const struct mcp_call *at = call->session->calls; at != NULL; at = at->next) {
		if (json_equal(at->id, call->id))
			mcp_count(call->fixture, MCP_N_duplicate_ids, 1);
		if (call->token != NULL && at->token != NULL && json_equal(at->token, call->token))
			mcp_count(call->fixture, MCP_N_duplicate_tokens, 1);
	}
}

/* What a client asks before its first call. */
static bool begins_nothing(const json_t *message)
{
	const char *method = json_string_value(json_object_get(message, "method"));

	return method != NULL &&
	       (strcmp(method, "initialize") == 0 || strcmp(method, "server/discover") == 0);
}

struct mcp_call *mcp_call_new(struct mcp_stream *stream, json_t *message)
{
	struct mcp_call *call = calloc(1, sizeof *call);

	*call = (struct mcp_call){ .fixture = stream->fixture, .session = stream->session,
				   .stream = stream, .message = json_incref(message) };
	call->id = json_object_get(message, "id");
	call->params = json_object_get(message, "params");
	call->meta = json_object_get(call->params, "_meta");
	call->token = json_object_get(call->meta, "progressToken");
	call->began_ns = kolk_in_ns(0);
	call->counts = begins_nothing(message) ? 0 : 1;
	if (stream->kind == MCP_LINES && mcp_is_modern(NULL, message) &&
	    (call->fixture->versions & 1u << MCP_2026_07_28) != 0)
		call->session = NULL; /* stdio serves both eras on one stream */
	if (call->session != NULL)
		check_duplicates(call);
	call->next = *list(call);
	*list(call) = call;
	mcp_count(call->fixture, MCP_N_calls_now, call->counts);
	return call;
}

static void call_free(struct mcp_call *call)
{
	struct mcp_call **at = list(call);

	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	if (call->stream->call == call)
		call->stream->call = NULL;
	if (call->session != NULL)
		mcp_asks_drop(call->session, call);
	if (call->listens)
		mcp_count(call->fixture, MCP_N_listen_streams_now, -1);
	kolk_timer_stop(&call->timer);
	mcp_count(call->fixture, MCP_N_calls_now, -call->counts);
	json_decref(call->inputs);
	json_decref(call->asked);
	json_decref(call->state);
	json_decref(call->headers);
	json_decref(call->message);
	free(call);
}

void mcp_call_drop(struct mcp_call *call)
{
	struct mcp_stream *stream = call->stream;

	call_free(call);
	mcp_unanswered(stream);
}

/* ---- steps */

static void step_again(struct kolk_timer *timer, void *user)
{
	struct mcp_call *call = user;

	(void)timer;
	call->step++;
	call->stepping = false;
	call->run(call);
}

void mcp_later(struct mcp_call *call, uint64_t ms)
{
	call->stepping = true;
	(void)kolk_timer_start(call->fixture->loop, &call->timer, kolk_in_ms(ms), step_again, call);
}

enum { LOOK_MS = 1 };

/* Now, or when it is let go. */
static void begin(struct kolk_timer *timer, void *user)
{
	struct mcp_call *call = user;

	if (kolk__load_relaxed(&call->fixture->held))
		(void)kolk_timer_start(call->fixture->loop, timer, kolk_in_ms(LOOK_MS), begin, call);
	else
		call->run(call);
}

void mcp_call_start(struct mcp_call *call, const struct mcp_method *method)
{
	const struct mcp_options *options = &call->fixture->options;
	bool first = strcmp(method->name, "initialize") == 0 ||
		     strcmp(method->name, "server/discover") == 0;
	uint32_t ms = first ? options->init_delay : options->delay;

	call->method = method;
	call->run = method->run;
	if (call->stream->session == NULL && call->stream->kind != MCP_LINES)
		call->stream->call = call;
	if (ms == 0)
		begin(&call->timer, call);
	else
		(void)kolk_timer_start(call->fixture->loop, &call->timer, kolk_in_ms(ms), begin, call);
}

/* ---- answers */

static void answer(struct mcp_call *call, const char *name, json_t *value)
{
	json_t *message = json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id", call->id, name, value);
	struct mcp_stream *stream = call->stream;

	call_free(call);
	mcp_answer(stream, message);
}

static void modern_result(const struct mcp_call *call, json_t *result)
{
	json_t *meta = json_object_get(result, "_meta");

	if (json_object_get(result, "resultType") == NULL)
		json_object_set_new(result, "resultType", json_string("complete"));
	if (meta == NULL) {
		meta = json_object();
		json_object_set_new(result, "_meta", meta);
	}
	json_object_set_new(meta, MCP_META("serverInfo"), mcp_server_info());
	if (call->method->cached && json_object_get(result, "requestState") == NULL) {
		json_object_set_new(result, "ttlMs", json_integer(call->fixture->options.ttl));
		json_object_set_new(result, "cacheScope", json_string(
			call->fixture->options.private ? "private" : "public"));
	}
}

void mcp_result(struct mcp_call *call, json_t *result)
{
	if (call->session == NULL)
		modern_result(call, result);
	answer(call, "result", result);
}

void mcp_fail_status(struct mcp_call *call, uint32_t status, json_t *error)
{
	if (call->session == NULL)
		call->stream->status = status;
	answer(call, "error", error);
}

void mcp_fail(struct mcp_call *call, int code, const char *text)
{
	mcp_fail_status(call, 200, mcp_error_object(code, text, NULL));
}

/* ---- what comes before them */

void mcp_progress(struct mcp_call *call, uint64_t progress, uint64_t total)
{
	json_t *params;

	if (call->token == NULL)
		return;
	params = json_pack("{s:O, s:I, s:I, s:s}", "progressToken", call->token, "progress",
			   (json_int_t)progress, "total", (json_int_t)total, "message", "a step");
	mcp_send(call->stream, mcp_message("notifications/progress", params));
}

int mcp_level(const char *name)
{
	static const char *const levels[] = { "debug", "info", "notice", "warning", "error",
					      "critical", "alert", "emergency" };

	for (int i = 0; name != NULL && i < 8; i++)
		if (strcmp(levels[i], name) == 0)
			return i;
	return -1;
}

void mcp_log_message(struct mcp_call *call, const char *level, const char *text)
{
	int wanted = call->session != NULL ? (int)call->session->level :
		mcp_level(json_string_value(json_object_get(call->meta, MCP_META("logLevel"))));

	if (wanted < 0 || mcp_level(level) < wanted)
		return;
	mcp_send(call->stream, mcp_message("notifications/message",
					   json_pack("{s:s, s:s}", "level", level, "data", text)));
}

/* ---- cancelling */

/* From the cancellation to the answer that comes all the same. */
enum { LATE_MS = 20 };

void mcp_call_cancel(struct mcp_call *call, const char *how)
{
	const bool disconnect = strcmp(how, "disconnect") == 0;
	struct mcp_fixture *fixture = call->fixture;
	struct mcp_cancel *cancel = &fixture->cancels[fixture->cancelled++ % MCP_CANCELS];

	*cancel = (struct mcp_cancel){ .how = how, .seen_ns = kolk_in_ns(0) };
	cancel->after_ns = cancel->seen_ns - call->began_ns;
	snprintf(cancel->nonce, sizeof cancel->nonce, "%s", mcp_argument(call, "nonce", ""));
	if (!fixture->options.late || disconnect) {
		mcp_call_drop(call);
	} else {
		call->cancelled = true;
		if (call->stepping) /* however long it would have waited */
			mcp_later(call, LATE_MS);
	}
	/* Last: a test that sees it sees calls_now as well. */
	mcp_count(fixture, disconnect ? MCP_N_cancels_disconnect : MCP_N_cancels_notified, 1);
}

void mcp_cancelled(struct mcp_session *session, struct mcp_fixture *fixture, const json_t *params)
{
	const json_t *id = json_object_get(params, "requestId");
	struct mcp_call *lists[] = { session != NULL ? session->calls : NULL,
				     session != NULL && session->stdio ? fixture->calls : NULL };

	for (size_t i = 0; i < 2; i++)
		for (struct mcp_call *call = lists[i]; call != NULL; call = call->next)
			if (!call->cancelled && json_equal(call->id, id)) {
				mcp_call_cancel(call, "notification");
				return;
			}
	mcp_count(fixture, MCP_N_cancels_unknown, 1);
}
