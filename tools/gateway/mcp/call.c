/* SPDX-License-Identifier: Apache-2.0 */
/* call.c - a call between its two loops: handed over, told of, ended, freed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/mcp/adapt.h"
#include "tools/gateway/mcp/batch.h"
#include "tools/gateway/mcp/federation.h"

/* ---- lives */

static void free_call(struct gw_mcp_call *call)
{
	struct gw_mcp_ask *next;

	for (struct gw_mcp_ask *ask = call->asks; ask != NULL; ask = next) {
		next = ask->next;
		free(ask);
	}
	gw_pipe_free(&call->body);
	gw_pipe_free(&call->out);
	gw_pipe_free(&call->params);
	gw_pipe_free(&call->rewritten);
	if (call->token != NULL)
		explicit_bzero(call->token, strlen(call->token));
	gw_pipe_free(&call->field_text);
	free(call->token);
	free(call->last_event_id);
	free(call->challenge);
	free(call->tool_denied);
	gw_tool_rules_unref(call->tools);
	free(call->cached);
	gw_mcp_cache_unref(call->cache);
	pthread_mutex_destroy(&call->lock);
	free(call);
}

void gw_mcp_call_unref(struct gw_mcp_call *call)
{
	bool last;

	pthread_mutex_lock(&call->lock);
	last = --call->refs == 0;
	pthread_mutex_unlock(&call->lock);
	if (last)
		free_call(call);
}

static void copy_fields(struct gw_mcp_call *call, const struct gw_mcp_call *whole)
{
	const struct gw_pipe *fields = &whole->field_text;

	call->field_text.secret = fields->secret;
	if (gw_pipe_push(&call->field_text, fields->data + fields->begin, fields->size))
		call->field_count = whole->field_count;
}

struct gw_mcp_call *gw_mcp_call_split(const struct gw_mcp_call *whole)
{
	size_t tenant_size = strlen(whole->tenant) + 1;
	struct gw_mcp_call *call = calloc(1, sizeof *call + tenant_size);

	if (call == NULL)
		return NULL;
	pthread_mutex_init(&call->lock, NULL);
	call->refs = 1;
	call->message.size = sizeof call->message;
	call->modern = whole->modern;
	call->pool = whole->pool;
	call->front = call->home = whole->home;
	call->slot = whole->slot;
	call->generation = whole->generation;
	call->route = whole->route;
	call->deadline_ns = whole->deadline_ns;
	call->suspend_ns = whole->suspend_ns;
	call->suspended_max = whole->suspended_max;
	memcpy(call->tenant, whole->tenant, tenant_size);
	memcpy(call->principal, whole->principal, sizeof call->principal);
	call->passes = whole->passes;
	call->token = whole->token != NULL ? strdup(whole->token) : NULL;
	if (whole->token != NULL && call->token == NULL) {
		gw_mcp_call_unref(call);
		return NULL;
	}
	copy_fields(call, whole);
	call->cache = gw_mcp_cache_ref(whole->cache);
	call->tools = gw_tool_rules_ref(whole->tools);
	return call;
}

/* ---- from home to front */

static void at_front(struct kolk_call *posted, void *user)
{
	struct gw_mcp_call *call = user;

	(void)posted;
	pthread_mutex_lock(&call->lock);
	call->front_posted = false;
	pthread_mutex_unlock(&call->lock);
	gw_mcp_front_turn(call);
	gw_mcp_call_unref(call);
}

bool gw_mcp_call_is_gone(struct gw_mcp_call *call)
{
	bool gone;

	pthread_mutex_lock(&call->lock);
	gone = call->gone;
	pthread_mutex_unlock(&call->lock);
	return gone;
}

/* Under the lock: whether it has to be posted now. */
static bool want_post(struct gw_mcp_call *call, bool *posted)
{
	if (*posted)
		return false;
	*posted = true;
	call->refs++;
	return true;
}

void gw_mcp_call_tell(struct gw_mcp_call *call)
{
	bool post;

	if (gw_mcp_fanout_has(call)) {
		gw_mcp_fanout_turn(call);
		return;
	}
	if (gw_mcp_batch_has(call)) {
		gw_mcp_batch_turn(call->batch);
		return;
	}
	if (call->front == call->home) {
		gw_mcp_front_turn(call);
		return;
	}
	pthread_mutex_lock(&call->lock);
	post = want_post(call, &call->front_posted);
	pthread_mutex_unlock(&call->lock);
	if (post)
		(void)!kolk_loop_call(call->front->loop, &call->to_front, at_front, call);
}

void gw_mcp_call_close_own(struct gw_mcp_call *call)
{
	*call->at = call->next;
	if (call->next != NULL)
		call->next->at = call->at;
	kolk_mcp_client_close(call->own);
	call->own = NULL;
}

/* The end, for home. */
static void leave(struct gw_mcp_call *call)
{
	call->back = NULL;
	gw_mcp_input_end(call);
	if (call->session != NULL)
		gw_mcp_session_remove(call);
	if (call->own != NULL)
		gw_mcp_call_close_own(call);
	gw_mcp_call_tell(call);
	gw_mcp_call_unref(call);
}

/* It ends with this status and no body, if its answer has not begun. */
void gw_mcp_call_finish(struct gw_mcp_call *call, uint32_t status)
{
	pthread_mutex_lock(&call->lock);
	if (!call->stream)
		call->status = status;
	call->done = true;
	pthread_mutex_unlock(&call->lock);
	leave(call);
}

/* It ends with an error of the gateway's own; "text" is without quotes. */
void gw_mcp_call_refuse(struct gw_mcp_call *call, uint32_t status, const char *text)
{
	struct kolk_mcp_result error = KOLK_INIT(kolk_mcp_result);
	char json[256];

	error.error = json;
	error.error_size = (size_t)snprintf(json, sizeof json, "{\"code\":%d,\"message\":\"%s\"}",
					    status == 404 ? -32001 : -32603, text);
	pthread_mutex_lock(&call->lock);
	(void)!gw_mcp_write_error(call, &error);
	pthread_mutex_unlock(&call->lock);
	gw_mcp_call_finish(call, status);
}

/* ---- from front to home */

/* Without its client a stream that only listens has no purpose, and a request that stands for itself
 * is cancelled. The answer to another is lost, as the protocol has it: a client that goes did not
 * cancel. */
static void turn(struct gw_mcp_call *call)
{
	bool gone, resume;

	if (!call->begun) {
		call->begun = true;
		gw_mcp_call_begin(call);
	}
	pthread_mutex_lock(&call->lock);
	gone = call->gone;
	resume = call->paused && (gone || call->out.size <= GW_PIPE_LOW);
	if (resume)
		call->paused = false;
	pthread_mutex_unlock(&call->lock);
	if (call->batch != NULL && call->kind == GW_MCP_BATCH)
		gw_mcp_batch_turn(call->batch);
	if (call->fanout != NULL && !gw_mcp_fanout_has(call)) {
		gw_mcp_fanout_wake(call->fanout, gone);
		return;
	}
	if (call->back == NULL)
		return;
	if (resume)
		kolk_mcp_resume(call->back);
	if (gone && (call->kind == GW_MCP_LISTEN || call->modern))
		gw_mcp_call_cancel(call);
}

static void at_home(struct kolk_call *posted, void *user)
{
	struct gw_mcp_call *call = user;

	(void)posted;
	pthread_mutex_lock(&call->lock);
	call->home_posted = false;
	pthread_mutex_unlock(&call->lock);
	turn(call);
	gw_mcp_call_unref(call);
}

void gw_mcp_call_wake(struct gw_mcp_call *call)
{
	bool post;

	pthread_mutex_lock(&call->lock);
	post = want_post(call, &call->home_posted);
	pthread_mutex_unlock(&call->lock);
	if (post)
		(void)!kolk_loop_call(call->home->loop, &call->to_home, at_home, call);
}

void gw_mcp_call_give(struct gw_mcp_call *call)
{
	call->given = true;
	pthread_mutex_lock(&call->lock);
	call->refs++; /* home's */
	pthread_mutex_unlock(&call->lock);
	if (call->front == call->home)
		turn(call);
	else
		gw_mcp_call_wake(call);
}
