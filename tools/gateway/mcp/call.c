/* SPDX-License-Identifier: Apache-2.0 */
/* call.c - a call between its two loops: handed over, told of, ended, freed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/mcp/adapt.h"
#include "tools/gateway/mcp/age.h"
#include "tools/gateway/mcp/batch.h"
#include "tools/gateway/mcp/federation.h"
#include "tools/gateway/mcp/lock.h"
#include "tools/gateway/mcp/stdio.h"

/* ---- lives */

enum {
	UNUSED_MAX = 64,      /* calls that a loop keeps for the next ones, */
	KEPT_BYTES = 4096,    /* each with what it has received, and its answer, up to that */
	TENANT_KEPT = 32      /* a longer name needs memory of its own */
};

/* A call with a message, as it is kept. */
struct kept {
	struct gw_mcp_call call;
	struct kolk_mcp_envelope message;
	char tenant[TENANT_KEPT];
};

static void keep_pipe(struct gw_pipe *pipe)
{
	if (pipe->capacity > KEPT_BYTES)
		gw_pipe_free(pipe);
	pipe->begin = pipe->size = 0;
}

/* It is kept if it ends on its front, where the next one begins: the list is that thread's alone. */
static void put(struct gw_mcp_call *call)
{
	struct gw_mcp_loop *mcp = call->front->mcp;

	if (!call->kept || kolk_loop_current() != call->front->loop ||
	    mcp->unused_count == UNUSED_MAX) {
		gw_pipe_free(&call->body);
		gw_pipe_free(&call->out);
		free(call);
		return;
	}
	keep_pipe(&call->body);
	keep_pipe(&call->out);
	call->next = mcp->unused;
	mcp->unused = call;
	mcp->unused_count++;
}

static struct gw_mcp_call *get(struct gw_mcp_loop *mcp)
{
	struct gw_mcp_call *call = mcp->unused;
	struct gw_pipe body, out;

	if (call == NULL)
		return calloc(1, sizeof(struct kept));
	mcp->unused = call->next;
	mcp->unused_count--;
	body = call->body;
	out = call->out;
	memset(call, 0, sizeof(struct kept));
	call->body = body;
	call->out = out;
	return call;
}

void gw_mcp_calls_free(struct gw_mcp_loop *mcp)
{
	struct gw_mcp_call *next;

	for (struct gw_mcp_call *call = mcp->unused; call != NULL; call = next) {
		next = call->next;
		gw_pipe_free(&call->body);
		gw_pipe_free(&call->out);
		free(call);
	}
	mcp->unused = NULL;
}

static void free_call(struct gw_mcp_call *call)
{
	struct gw_mcp_ask *next;

	for (struct gw_mcp_ask *ask = call->asks; ask != NULL; ask = next) {
		next = ask->next;
		free(ask);
	}
	gw_pipe_free(&call->params);
	gw_pipe_free(&call->rewritten);
	if (call->token != NULL)
		explicit_bzero(call->token, strlen(call->token));
	gw_pipe_free(&call->field_text);
	free(call->token);
	free(call->last_event_id);
	free(call->challenge);
	free(call->told);
	free(call->tool_denied);
	free(call->session_id);
	gw_tool_rules_unref(call->tools);
	free(call->cached);
	gw_mcp_cache_unref(call->cache);
	pthread_mutex_destroy(&call->lock);
	put(call);
}

void gw_mcp_call_unref(struct gw_mcp_call *call)
{
	if (kolk__sub_acq_rel(&call->refs, 1) == 1) /* all that others did with it comes before */
		free_call(call);
}

static struct gw_mcp_call *make(struct gw_loop *loop, const char *tenant, bool speaks)
{
	static struct kolk_mcp_envelope none = { .size = sizeof none }; /* nothing is read into it */
	size_t message_size = speaks ? sizeof(struct kolk_mcp_envelope) : 0;
	size_t tenant_size = strlen(tenant) + 1;
	const bool kept = speaks && tenant_size <= TENANT_KEPT;
	struct gw_mcp_call *call = kept ? get(loop->mcp) :
					  calloc(1, sizeof *call + message_size + tenant_size);

	if (call == NULL)
		return NULL;
	call->kept = kept;
	pthread_mutex_init(&call->lock, NULL);
	kolk__store_relaxed(&call->refs, 1);
	call->front = call->home = loop;
	call->message = speaks ? (struct kolk_mcp_envelope *)(void *)(call + 1) : &none;
	if (speaks)
		call->message->size = (uint32_t)message_size;
	call->tenant = memcpy((char *)(call + 1) + message_size, tenant, tenant_size);
	return call;
}

struct gw_mcp_call *gw_mcp_call_open(struct gw_loop *loop, const struct gw_target *target,
				     const char *tenant, bool speaks)
{
	const struct gw_route *route = target->route;
	struct gw_mcp_call *call = make(loop, tenant, speaks);

	if (call == NULL)
		return NULL;
	call->pool = target->mcp;
	call->route = route->identity;
	call->cache = gw_mcp_cache_ref(target->cache);
	if (route->request_timeout_ns != 0)
		call->deadline_ns = route->request_timeout_ns == KOLK_FOREVER ?
					    KOLK_FOREVER : kolk_in_ns(route->request_timeout_ns);
	call->age_max_ns = route->mcp_age_ns;
	call->suspend_ns = route->mcp_suspend_ns != 0 ? route->mcp_suspend_ns : 60 * KOLK_S_NS;
	call->suspended_max = route->mcp_suspended_max != 0 ? route->mcp_suspended_max :
							      call->pool->suspended_max;
	call->passes = route->access.client_token == GW_CLIENT_TOKEN_PASS;
	call->tools = gw_tool_rules_ref(route->access.tool_rules);
	return call;
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
	struct gw_mcp_call *call = make(whole->home, whole->tenant, true);

	if (call == NULL)
		return NULL;
	call->modern = whole->modern;
	call->pool = whole->pool;
	call->slot = whole->slot;
	call->generation = whole->generation;
	call->route = whole->route;
	call->deadline_ns = whole->deadline_ns;
	call->suspend_ns = whole->suspend_ns;
	call->suspended_max = whole->suspended_max;
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
	gw_mcp_call_lock(call);
	call->front_posted = false;
	gw_mcp_call_unlock(call);
	gw_mcp_front_turn(call);
	gw_mcp_call_unref(call);
}

bool gw_mcp_call_is_gone(struct gw_mcp_call *call)
{
	bool gone;

	gw_mcp_call_lock(call);
	gone = call->gone;
	gw_mcp_call_unlock(call);
	return gone;
}

/* Under the lock: whether it has to be posted now. */
static bool want_post(struct gw_mcp_call *call, bool *posted)
{
	if (*posted)
		return false;
	*posted = true;
	kolk__add_relaxed(&call->refs, 1);
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
	gw_mcp_call_lock(call);
	post = want_post(call, &call->front_posted);
	gw_mcp_call_unlock(call);
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
	gw_mcp_age_end(call);
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
	gw_mcp_call_lock(call);
	if (!call->stream)
		call->status = status;
	call->done = true;
	gw_mcp_call_unlock(call);
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
	gw_mcp_call_lock(call);
	(void)!gw_mcp_write_error(call, &error);
	gw_mcp_call_unlock(call);
	gw_mcp_call_finish(call, status);
}

/* ---- from front to home */

/* Without its client a stream that only listens has no purpose, and a stateless request is cancelled.
 * The answer to another is lost, as the protocol has it: a client that goes did not cancel. */
static void turn(struct gw_mcp_call *call)
{
	bool gone, resume;

	if (!call->begun) {
		call->begun = true;
		gw_mcp_age_begin(call);
		gw_mcp_call_begin(call);
	}
	gw_mcp_call_lock(call);
	gone = call->gone;
	resume = call->paused && (gone || call->out.size <= GW_PIPE_LOW);
	if (resume)
		call->paused = false;
	gw_mcp_call_unlock(call);
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
	gw_mcp_call_lock(call);
	call->home_posted = false;
	gw_mcp_call_unlock(call);
	turn(call);
	gw_mcp_call_unref(call);
}

void gw_mcp_call_wake(struct gw_mcp_call *call)
{
	bool post;

	gw_mcp_call_lock(call);
	post = want_post(call, &call->home_posted);
	gw_mcp_call_unlock(call);
	if (post)
		(void)!kolk_loop_call(call->home->loop, &call->to_home, at_home, call);
}

void gw_mcp_call_give(struct gw_mcp_call *call)
{
	call->given = true;
	kolk__add_relaxed(&call->refs, 1); /* home's */
	if (call->front == call->home)
		turn(call);
	else
		gw_mcp_call_wake(call);
}
