/* SPDX-License-Identifier: Apache-2.0 */
/* dialog.c - what a server asks in a call, and the call while it is suspended. */
#include "tools/gateway/mcp/dialog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/gateway/json.h"
#include "tools/gateway/mcp/child.h"
#include "tools/gateway/mcp/federation.h"

/* ---- small things */

static bool put(struct gw_pipe *out, const char *text)
{
	return gw_pipe_push(out, text, strlen(text));
}

static bool put_part(struct gw_pipe *out, struct kolk_mcp_part part)
{
	return part.size == 0 || gw_pipe_push(out, part.data, part.size);
}

static struct kolk_mcp_part part_of(const struct gw_pipe *pipe)
{
	return (struct kolk_mcp_part){ pipe->size > 0 ? pipe->data + pipe->begin : NULL, pipe->size };
}

void gw_mcp_asked_free(struct gw_mcp_asked *asked)
{
	gw_pipe_free(&asked->id);
	gw_pipe_free(&asked->method);
	gw_pipe_free(&asked->params);
	free(asked);
}

void gw_mcp_dialog_free(struct gw_mcp_dialog *dialog)
{
	struct gw_mcp_asked *next;

	kolk_timer_stop(&dialog->timer);
	kolk_timer_stop(&dialog->soon);
	for (struct gw_mcp_asked *asked = dialog->asked; asked != NULL; asked = next) {
		next = asked->next;
		gw_mcp_asked_free(asked);
	}
	gw_pipe_free(&dialog->name);
	gw_pipe_free(&dialog->ended_result);
	gw_pipe_free(&dialog->ended_error);
	free(dialog->challenge);
	free(dialog);
}

/* ---- begun */

static bool may_be_asked(const char *method)
{
	return strcmp(method, "tools/call") == 0 || strcmp(method, "prompts/get") == 0 ||
	       strcmp(method, "resources/read") == 0;
}

static bool can(const struct gw_mcp_call *call, const char *capability)
{
	return gw_json_member_of(call->message->meta_capabilities, capability).size > 0;
}

static bool is_list(const char *method)
{
	return strcmp(method, "tools/list") == 0 || strcmp(method, "prompts/list") == 0 ||
	       strcmp(method, "resources/list") == 0 || strcmp(method, "resources/templates/list") == 0;
}

/* By a server with sessions, in one that is this client's alone. */
static bool can_be_asked(const struct gw_mcp_call *call)
{
	return kolk_mcp_era(gw_mcp_calls(call->pool)) != KOLK_MCP_MODERN &&
	       call->pool->options.sharing != KOLK_MCP_MULTIPLEXED &&
	       (can(call, "elicitation") || can(call, "sampling") || can(call, "roots"));
}

bool gw_mcp_dialog_wanted(const struct gw_mcp_call *call)
{
	return may_be_asked(call->message->method) && can_be_asked(call);
}

bool gw_mcp_dialog_told(const struct gw_mcp_call *call)
{
	return (may_be_asked(call->message->method) || is_list(call->message->method)) && can_be_asked(call);
}

static void on_request_timer(struct kolk_timer *timer, void *user)
{
	struct gw_mcp_dialog *dialog = user;

	(void)timer;
	dialog->timed_out = true;
	gw_mcp_call_cancel(dialog->call);
}

/* Of each request of the client anew; the server's call has none of its own. */
static void set_deadline(struct gw_mcp_dialog *dialog)
{
	const struct gw_mcp_call *call = dialog->call;
	uint64_t timeout_ns = call->pool->request_timeout_ns;
	uint64_t deadline_ns = call->deadline_ns;

	if (deadline_ns == 0 && timeout_ns != KOLK_FOREVER)
		deadline_ns = kolk_in_ns(timeout_ns);
	kolk_timer_stop(&dialog->timer);
	if (deadline_ns != 0 && deadline_ns != KOLK_FOREVER)
		(void)kolk_timer_start(dialog->loop->loop, &dialog->timer, deadline_ns,
				       on_request_timer, dialog);
}

void gw_mcp_call_cancel(struct gw_mcp_call *call)
{
	if (call->dialog != NULL)
		call->dialog->cancelled = true;
	if (call->back != NULL)
		kolk_mcp_cancel(call->back);
	else if (call->fanout != NULL)
		gw_mcp_fanout_cancel_whole(call->fanout);
}

bool gw_mcp_dialog_begin(struct gw_mcp_call *call)
{
	struct gw_mcp_dialog *dialog = calloc(1, sizeof *dialog);

	if (dialog == NULL)
		return false;
	dialog->loop = call->home;
	dialog->call = call;
	dialog->elicits = can(call, "elicitation");
	dialog->samples = can(call, "sampling");
	dialog->lists = can(call, "roots");
	dialog->pool = call->pool;
	dialog->route = call->route;
	memcpy(dialog->tenant, call->tenant, strlen(call->tenant) + 1);
	memcpy(dialog->principal, call->principal, sizeof dialog->principal);
	memcpy(dialog->method, call->message->method, sizeof dialog->method);
	if (!put_part(&dialog->name, call->message->name)) {
		gw_mcp_dialog_free(dialog);
		return false;
	}
	call->dialog = dialog;
	set_deadline(dialog);
	return true;
}

void gw_mcp_dialog_drop(struct gw_mcp_call *call)
{
	if (call->dialog != NULL)
		gw_mcp_dialog_free(call->dialog);
	call->dialog = NULL;
}

/* ---- slots, under the lock: each is written by the loop of its dialog */

static struct {
	pthread_mutex_t lock;
	struct gw_mcp_dialog *slots[GW_MCP_SUSPENDED_MAX];
	uint64_t generation;         /* the last one */
} suspended = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool is_same(const struct gw_mcp_dialog *one, const struct gw_mcp_dialog *other)
{
	return one->pool == other->pool && strcmp(one->tenant, other->tenant) == 0;
}

static bool take_slot(struct gw_mcp_dialog *dialog)
{
	uint32_t slot = GW_MCP_SUSPENDED_MAX, same = 0;
	bool taken;

	pthread_mutex_lock(&suspended.lock);
	for (uint32_t i = 0; i < GW_MCP_SUSPENDED_MAX; i++)
		if (suspended.slots[i] == NULL)
			slot = i < slot ? i : slot;
		else
			same += is_same(suspended.slots[i], dialog);
	taken = slot < GW_MCP_SUSPENDED_MAX && same < dialog->call->suspended_max;
	if (taken) {
		suspended.slots[slot] = dialog;
		dialog->slot = slot;
		dialog->generation = ++suspended.generation;
		kolk__add_relaxed(&dialog->pool->suspended, 1);
	}
	pthread_mutex_unlock(&suspended.lock);
	return taken;
}

static void leave_slot(struct gw_mcp_dialog *dialog)
{
	if (dialog->generation == 0)
		return;
	dialog->generation = 0;
	kolk__sub_relaxed(&dialog->pool->suspended, 1);
	pthread_mutex_lock(&suspended.lock);
	suspended.slots[dialog->slot] = NULL;
	pthread_mutex_unlock(&suspended.lock);
}

/* That of the loop, which no other takes away. */
static struct gw_mcp_dialog *dialog_in(uint32_t slot, const struct gw_loop *loop)
{
	struct gw_mcp_dialog *dialog;

	pthread_mutex_lock(&suspended.lock);
	dialog = slot < GW_MCP_SUSPENDED_MAX ? suspended.slots[slot] : NULL;
	if (dialog != NULL && dialog->loop != loop)
		dialog = NULL;
	pthread_mutex_unlock(&suspended.lock);
	return dialog;
}

struct gw_mcp_dialog *gw_mcp_dialog_find(const struct gw_mcp_call *call)
{
	struct gw_mcp_dialog *dialog = dialog_in(call->slot, call->home);

	return dialog != NULL && call->generation != 0 && dialog->generation == call->generation ?
		       dialog : NULL;
}

/* ---- suspended: nothing of it is the client's request any more */

/* The server is told that nobody waits for it; its end frees the rest. */
static void give_up(struct gw_mcp_dialog *dialog)
{
	leave_slot(dialog);
	dialog->over = true;
	if (dialog->back != NULL)
		kolk_mcp_cancel(dialog->back);
	else
		gw_mcp_dialog_free(dialog);
}

static void on_suspend_timer(struct kolk_timer *timer, void *user)
{
	(void)timer;
	give_up(user);
}

static void unlist(struct gw_mcp_call *call)
{
	*call->at = call->next;
	if (call->next != NULL)
		call->next->at = call->at;
}

static void detach(struct gw_mcp_dialog *dialog)
{
	struct gw_mcp_call *call = dialog->call;
	bool paused;

	pthread_mutex_lock(&call->lock);
	paused = call->paused;
	call->paused = false;
	pthread_mutex_unlock(&call->lock);
	if (paused)
		kolk_mcp_resume(call->back);
	unlist(call);
	dialog->own = call->own;
	dialog->back = call->back;
	dialog->call = NULL;
	call->own = NULL;
	call->back = NULL;
	call->dialog = NULL;
	kolk_timer_stop(&dialog->timer);
	(void)kolk_timer_start(dialog->loop->loop, &dialog->timer, kolk_in_ns(call->suspend_ns),
			       on_suspend_timer, dialog);
}

static bool put_asked(struct gw_pipe *out, const struct gw_mcp_asked *asked)
{
	char key[32];

	snprintf(key, sizeof key, "\"%u\":{\"method\":\"", asked->key);
	return put(out, key) && put_part(out, part_of(&asked->method)) && put(out, "\"") &&
	       (asked->params.size == 0 ||
		(put(out, ",\"params\":") && put_part(out, part_of(&asked->params)))) &&
	       put(out, "}");
}

/* The result that requires input. */
static bool put_required(struct gw_pipe *out, const struct gw_mcp_dialog *dialog)
{
	const struct gw_mcp_place place = { .use = GW_MCP_USE_STATE, .loop = dialog->loop->index,
					    .slot = dialog->slot, .generation = dialog->generation,
					    .route = dialog->route, .tenant = dialog->tenant,
					    .principal = dialog->principal };
	char id[GW_MCP_ID_SIZE];
	bool ok = gw_mcp_id_seal(&dialog->loop->mcp->ids, &place, id) &&
		  put(out, "{\"resultType\":\"input_required\",\"inputRequests\":{");

	for (const struct gw_mcp_asked *asked = dialog->asked; ok && asked != NULL; asked = asked->next)
		ok = put(out, asked == dialog->asked ? "" : ",") && put_asked(out, asked);
	return ok && put(out, "},\"requestState\":\"") && put(out, GW_MCP_STATE_PREFIX) && put(out, id) &&
	       put(out, "\"}");
}

/* The client's request is answered with what its server asks, unless it was cancelled in the same
 * turn, or its client is gone and it is about to be. */
static void suspend(struct kolk_timer *timer, void *user)
{
	struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);
	struct gw_pipe text = { .data = NULL };
	struct gw_mcp_dialog *dialog = user;
	struct gw_mcp_call *call = dialog->call;

	(void)timer;
	if (call == NULL || dialog->asked == NULL || dialog->cancelled ||
	    gw_mcp_call_is_gone(call))
		return;
	if (!take_slot(dialog) || !put_required(&text, dialog)) {
		leave_slot(dialog);
		gw_pipe_free(&text);
		dialog->crowded = true;
		gw_mcp_call_cancel(call);
		return;
	}
	detach(dialog);
	result.result = text.data;
	result.result_size = text.size;
	call->suspends = true;
	gw_mcp_call_end(call, &result);
	gw_pipe_free(&text);
}

void gw_mcp_dialog_ask_soon(struct gw_mcp_dialog *dialog)
{
	(void)kolk_timer_start(dialog->loop->loop, &dialog->soon, kolk_in_ns(0), suspend, dialog);
}

/* ---- what the server says */

static bool is_method(const struct kolk_mcp_message *message, const char *method)
{
	return message->method_size == strlen(method) &&
	       memcmp(message->method, method, message->method_size) == 0;
}

static bool is_for_client(const struct gw_mcp_dialog *dialog, const struct kolk_mcp_message *message)
{
	return dialog->asked_count < GW_MCP_ASKED_MAX &&
	       ((dialog->elicits && is_method(message, "elicitation/create")) ||
		(dialog->samples && is_method(message, "sampling/createMessage")) ||
		(dialog->lists && is_method(message, "roots/list")));
}

static bool keep(struct gw_mcp_dialog *dialog, const struct kolk_mcp_message *message)
{
	struct gw_mcp_asked *asked = calloc(1, sizeof *asked), **at = &dialog->asked;

	if (asked == NULL)
		return false;
	if (!gw_pipe_push(&asked->id, message->id, message->id_size) ||
	    !gw_pipe_push(&asked->method, message->method, message->method_size) ||
	    !put_part(&asked->params,
		      (struct kolk_mcp_part){ message->params, message->params_size })) {
		gw_mcp_asked_free(asked);
		return false;
	}
	asked->key = ++dialog->next_key;
	while (*at != NULL)
		at = &(*at)->next;
	*at = asked;
	dialog->asked_count++;
	return true;
}

void gw_mcp_ask_refuse(struct kolk_mcp_call *back, const struct kolk_mcp_message *message)
{
	static const char no_method[] = "{\"code\":-32601,\"message\":\"Method not found\"}";
	struct kolk_mcp_result answer = KOLK_INIT(kolk_mcp_result);

	answer.error = no_method;
	answer.error_size = sizeof no_method - 1;
	(void)kolk_mcp_reply(back, message->id, message->id_size, &answer);
}

static void on_request(void *user, struct kolk_mcp_call *back,
		       const struct kolk_mcp_message *message)
{
	struct gw_mcp_dialog *dialog = user;

	if (is_for_client(dialog, message) && keep(dialog, message))
		gw_mcp_dialog_ask_soon(dialog);
	else
		gw_mcp_ask_refuse(back, message);
}

/* Progress is told to the request whose token it has: the first one. */
static void on_notification(void *user, struct kolk_mcp_call *back,
			    const struct kolk_mcp_message *message)
{
	struct gw_mcp_dialog *dialog = user;

	if (dialog->call != NULL &&
	    !(dialog->call->continues && is_method(message, "notifications/progress")))
		gw_mcp_handler_alone.notification(dialog->call, back, message);
}

/* It waits for the client's next request. */
static void keep_end(struct gw_mcp_dialog *dialog, const struct kolk_mcp_result *result)
{
	kolk_mcp_client_close(dialog->own);
	dialog->own = NULL;
	dialog->back = NULL;
	dialog->ended = *result;
	dialog->challenge = result->challenge != NULL ? strdup(result->challenge) : NULL;
	dialog->ended.challenge = dialog->challenge; /* the server's is gone after this */
	if (!put_part(&dialog->ended_result,
		      (struct kolk_mcp_part){ result->result, result->result_size }) ||
	    !put_part(&dialog->ended_error,
		      (struct kolk_mcp_part){ result->error, result->error_size }))
		dialog->ended.err = KOLK_E_MEMORY;
}

static void on_end(void *user, struct kolk_mcp_call *back, const struct kolk_mcp_result *result)
{
	struct gw_mcp_dialog *dialog = user;
	struct gw_mcp_call *call = dialog->call;
	struct kolk_mcp_result ended = *result;
	bool crowded = dialog->crowded;

	if (call == NULL) {
		keep_end(dialog, result);
		if (dialog->over)
			gw_mcp_dialog_free(dialog);
		return;
	}
	if (dialog->timed_out && result->err == KOLK_E_CANCELLED)
		ended.err = KOLK_E_TIMEOUT;
	gw_mcp_dialog_drop(call);
	if (crowded && result->err == KOLK_E_CANCELLED)
		gw_mcp_call_refuse(call, 503, "too many calls wait for their clients");
	else
		gw_mcp_handler_alone.end(call, back, &ended);
}

const struct kolk_mcp_handler gw_mcp_handler_dialog = {
	.size = sizeof gw_mcp_handler_dialog, .notification = on_notification,
	.request = on_request, .end = on_end
};

/* The client goes on: this is its request. */
void gw_mcp_dialog_attach(struct gw_mcp_dialog *dialog, struct gw_mcp_call *call)
{
	kolk_timer_stop(&dialog->timer);
	leave_slot(dialog);
	call->own = dialog->own;
	call->back = dialog->back;
	call->dialog = dialog;
	dialog->call = call;
	dialog->own = NULL;
	dialog->back = NULL;
	if (call->own != NULL)
		gw_mcp_call_list(call);
	if (call->back != NULL)
		set_deadline(dialog);
}

void gw_mcp_dialogs_end(struct gw_loop *loop)
{
	for (uint32_t i = 0; i < GW_MCP_SUSPENDED_MAX; i++) {
		struct gw_mcp_dialog *dialog = dialog_in(i, loop);

		if (dialog != NULL)
			give_up(dialog);
	}
}
