/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call.c - a call: waits for a session, is sent, hears messages, ends.
 *
 *   PROBING -> WAITING                  the era of the server is known now
 *   WAITING -> SENT -> ENDED            an answer came, or the exchange ended without one
 *           -> ENDING -> ENDED          cancelled, refused: its end runs from step
 *           SENT -> WAITING             its session was lost before the server processed it
 *
 * The answer ends the call at once; the exchange that brought it may last a little longer, and a
 * cancelled one until the server has been told. Then the memory goes.
 */
#include <stdio.h>
#include <stdlib.h>

#include "transport/drivers/mcp/inside.h"

/* ---- the end */

/* Nothing is left of it: neither a caller nor a byte on the wire. */
static void finish(struct kolk_mcp_call *call)
{
	struct kolk_mcp_client *client = call->client;

	kolk__mcp_note_forget(call);
	kolk__mcp_resume_stop(call);
	kolk__mcp_group_leave(call);
	kolk__mcp_call_due(call, KOLK_FOREVER);
	mcp_list_del(&call->all);
	kolk__mcp_call_free(call);
	kolk__mcp_client_check(client);
}

static void tell_end(struct kolk_mcp_call *call, enum kolk_err err)
{
	const struct mcp_outcome *outcome = &call->outcome;
	struct kolk_mcp_result result = KOLK_INIT(kolk_mcp_result);

	result.err = err;
	if (outcome->is_error) {
		result.error = outcome->answer.data;
		result.error_size = outcome->answer.size;
		result.error_code = outcome->error_code;
	} else {
		result.result = outcome->answer.data;
		result.result_size = outcome->answer.size;
	}
	result.lost = outcome->lost;
	result.reused = call->reused;
	result.remade = call->remade;
	result.status = call->post.status;
	if (err == KOLK_E_AUTH)
		kolk__mcp_refusal(call, &result);
	call->handler.end(call->user, call, &result);
}

static void end_now(struct kolk_mcp_call *call, enum kolk_err err)
{
	struct mcp_counts *counts = &call->client->loop->counts;

	call->state = MCP_ENDED;
	if (call->scoped != NULL)
		kolk_scope_remove_item(call->scoped);
	if (err == KOLK_E_CANCELLED || err == KOLK_E_TIMEOUT)
		kolk__add_relaxed(&counts->cancelled, 1);
	tell_end(call, err);
	if (!call->on_wire)
		finish(call);
	else
		kolk__mcp_call_due(call, kolk__mcp_in_ns(call->client->loop,
							 call->note == NULL && call->cancel_again ?
								 MCP_CANCEL_AGAIN_NS : MCP_FINISH_NS));
}

static void run_ending(struct kolk_call *posted, void *user)
{
	struct mcp_loop *loop = user;
	struct mcp_link batch; /* those that end meanwhile run in the next step */

	(void)posted;
	loop->called = false;
	mcp_list_take(&batch, &loop->ending);
	while (!mcp_list_empty(&batch)) {
		struct kolk_mcp_call *call =
			mcp_container_of(batch.next, struct kolk_mcp_call, link);

		mcp_list_del(&call->link);
		end_now(call, call->outcome.err);
	}
}

void kolk__mcp_call_end_soon(struct kolk_mcp_call *call, enum kolk_err err)
{
	struct mcp_loop *loop = call->client->loop;

	call->state = MCP_ENDING;
	call->outcome.err = err;
	mcp_list_add(&loop->ending, &call->link);
	if (!loop->called)
		loop->called = kolk_loop_call(loop->loop, &loop->call, run_ending, loop) == KOLK_OK;
}

/* ---- cancel */

/* Whatever it waits for is not waited for any more. */
static void withdraw(struct kolk_mcp_call *call)
{
	if (call->state == MCP_PROBING)
		kolk__mcp_era_remove(call);
	else if (call->state == MCP_WAITING)
		kolk__mcp_group_remove(call);
	else if (call->state == MCP_SENT)
		kolk__mcp_cancel_on_wire(call);
}

void kolk_mcp_cancel(struct kolk_mcp_call *call)
{
	if (call->state == MCP_ENDING || call->state == MCP_ENDED)
		return;
	withdraw(call);
	kolk__mcp_call_end_soon(call, KOLK_E_CANCELLED);
}

void kolk__mcp_call_expire(struct kolk_mcp_call *call)
{
	if (call->state == MCP_ENDED && !kolk__mcp_cancel_again(call))
		kolk__mcp_post_cancel(&call->post, KOLK_E_TIMEOUT);
	if (call->state == MCP_ENDING || call->state == MCP_ENDED)
		return;
	withdraw(call);
	end_now(call, KOLK_E_TIMEOUT);
}

/* ---- messages */

static void show(struct kolk_mcp_call *call, const struct mcp_message *message,
		 struct mcp_text params)
{
	struct kolk_mcp_message shown = { .size = (uint32_t)sizeof shown,
					  .method_size = (uint32_t)message->method.size,
					  .method = message->method.data,
					  .params = params.data,
					  .params_size = params.size,
					  .id = message->id.data,
					  .id_size = message->id.size };

	if (params.data == message->params.data) {
		shown.subscription = message->subscription.data;
		shown.subscription_size = message->subscription.size;
	}
	kolk__mcp_resume_show(call, &shown);
	if (message->id.size > 0)
		call->handler.request(call->user, call, &shown);
	else
		call->handler.notification(call->user, call, &shown);
}

/* The progress token that the server was given is replaced by the caller's. */
static void show_progress(struct kolk_mcp_call *call, const struct mcp_message *message)
{
	size_t before = (size_t)(message->token.data - message->params.data);
	size_t after = message->params.size - before - message->token.size;
	struct mcp_text params = { NULL, before + call->token.size + after };
	char *text = malloc(params.size);

	if (text == NULL)
		return; /* progress is a courtesy */
	memcpy(text, message->params.data, before);
	memcpy(text + before, call->token.data, call->token.size);
	memcpy(text + before + call->token.size,
	       message->params.data + before + message->token.size, after);
	params.data = text;
	show(call, message, params);
	free(text);
}

static void on_notification(struct kolk_mcp_call *call, const struct mcp_message *message)
{
	char id[24];

	(void)snprintf(id, sizeof id, "%llu", (unsigned long long)call->id);
	if (call->handler.notification == NULL)
		return;
	if (call->token.size > 0 && mcp_text_is(message->method, "notifications/progress") &&
	    mcp_text_is(message->token, id))
		show_progress(call, message);
	else
		show(call, message, message->params);
}

static void on_request(struct kolk_mcp_call *call, const struct mcp_message *message)
{
	static const char no_method[] = "{\"code\":-32601,\"message\":\"Method not found\"}";
	struct kolk_mcp_result answer = KOLK_INIT(kolk_mcp_result);

	if (mcp_text_is(message->method, "ping")) {
		answer.result = "{}";
		answer.result_size = 2;
	} else if (call->handler.request != NULL &&
		   call->client->loop->mcp->options.sharing != KOLK_MCP_MULTIPLEXED) {
		show(call, message, message->params);
		return;
	} else {
		answer.error = no_method;
		answer.error_size = sizeof no_method - 1;
	}
	(void)kolk_mcp_reply(call, message->id.data, message->id.size, &answer);
}

static void on_answer(struct kolk_mcp_call *call, const struct mcp_message *message)
{
	/* Of a status that is an error, the body explains it, whatever its id. */
	if (call->post.status >= 400 ? message->error.size == 0 :
	    call->listen || !kolk__mcp_is_answer_to(message, call->id))
		return;
	call->outcome.is_error = message->error.size > 0;
	call->outcome.answer = call->outcome.is_error ? message->error : message->result;
	call->outcome.error_code = message->error_code;
	if (call->post.status >= 400)
		return; /* on_end judges */
	kolk__mcp_group_leave(call);
	end_now(call, message->too_long       ? KOLK_E_LIMIT :
		      message->result.size > 0 ? KOLK_OK : KOLK_E_SERVER);
}

static void on_message(struct mcp_post *post, const struct mcp_message *message)
{
	struct kolk_mcp_call *call = mcp_container_of(post, struct kolk_mcp_call, post);

	if (!call->piped || post->status >= 400)
		kolk__mcp_call_message(call, message);
}

void kolk__mcp_call_message(struct kolk_mcp_call *call, const struct mcp_message *message)
{
	if (call->state != MCP_SENT)
		return; /* late: cancelled, or after the answer */
	kolk__mcp_first_byte(call);
	call->resumes = 0;
	kolk__mcp_call_forget(call);
	call->heard |= call->post.status < 400; /* else it explains why there is no answer */
	if (message->method.size == 0)
		on_answer(call, message);
	else if (message->id.size > 0)
		on_request(call, message);
	else
		on_notification(call, message);
}

static void on_head(struct mcp_post *post, const struct kolk_http_head *head)
{
	struct kolk_mcp_call *call = mcp_container_of(post, struct kolk_mcp_call, post);

	if (call->state == MCP_SENT && !call->piped)
		kolk__mcp_first_byte(call);
	if (call->state == MCP_SENT && call->handler.head != NULL)
		call->handler.head(call->user, call, head);
	if (call->state == MCP_ENDED)
		(void)kolk__mcp_cancel_again(call); /* now it has been read */
}

/* ---- the exchange ends */

/* Nothing of an answer was heard, and it was not processed, or may be twice. A server that let its
 * stream be resumed took it. */
static bool may_send_again(const struct kolk_mcp_call *call)
{
	return !call->heard && (call->replayable || call->last_event_id == NULL);
}

/* Its session was lost: true = it waits for another one. A session that was made for it alone
 * counts once. */
static bool send_again(struct kolk_mcp_call *call)
{
	bool fresh = !call->reused;

	kolk__mcp_group_lost(call);
	if (call->group->single || !may_send_again(call) || call->losses == MCP_LOST_MAX ||
	    (fresh && call->remade)) {
		call->outcome.lost = call->group->single;
		return false;
	}
	kolk__mcp_group_leave(call);
	free(call->last_event_id);
	call->last_event_id = NULL;
	call->resumes = 0;
	kolk__add_relaxed(&call->client->loop->counts.remade, 1);
	call->losses++;
	call->remade = true;
	call->outcome = (struct mcp_outcome){ .err = KOLK_OK };
	kolk__mcp_group_enqueue(call);
	return true;
}

/* What no modern server says of a modern request: it was not processed, and the server is asked
 * anew what it is. True = the call waits for that. */
static bool is_refuted(struct kolk_mcp_call *call)
{
	uint32_t status = call->post.status;
	struct kolk_mcp *mcp = call->client->loop->mcp;
	int32_t code = call->outcome.error_code;

	if (!call->modern || (code != 0 && code != -32000 && code != -32001) || call->remade ||
	    mcp->options.era != KOLK_MCP_ERA_AUTO ||
	    (status != 400 && status != 404 && status != 405 && status != 406))
		return false;
	kolk__mcp_era_forget(mcp);
	call->remade = true;
	kolk__mcp_modern_free(call->as_modern);
	call->as_modern = NULL;
	call->outcome = (struct mcp_outcome){ .err = KOLK_OK };
	kolk__mcp_era_enqueue(call);
	return true;
}

/* The server refused the token, and processed nothing: true = it is sent with another one. */
static bool is_renewed(struct kolk_mcp_call *call)
{
	if (call->renewed || (call->last_event_id != NULL && !call->listen) ||
	    !kolk__mcp_token_renewed(&call->post, call->client->identity))
		return false;
	call->renewed = true;
	call->outcome = (struct mcp_outcome){ .err = KOLK_OK };
	kolk__mcp_modern_free(call->as_modern);
	call->as_modern = NULL;
	if (call->modern)
		kolk__mcp_call_go(call, KOLK_MCP_MODERN);
	else
		kolk__mcp_call_send(call);
	return true;
}

static enum kolk_err judge(const struct kolk_mcp_call *call, enum kolk_err err)
{
	uint32_t status = call->post.status;

	if (err != KOLK_OK)
		return err;
	if (call->outcome.lost || (call->last_event_id != NULL && kolk__mcp_post_lost(&call->post)))
		return KOLK_E_CLOSED;
	if (status == 401 || status == 403)
		return KOLK_E_AUTH;
	if (status < 200 || status > 299)
		return KOLK_E_SERVER;
	return call->notification || call->listen ? KOLK_OK : KOLK_E_PROTOCOL;
}

static void on_end(struct mcp_post *post, enum kolk_err err)
{
	struct kolk_mcp_call *call = mcp_container_of(post, struct kolk_mcp_call, post);

	call->on_wire = false;
	if (call->state == MCP_ENDED) {
		finish(call);
		return;
	}
	if (call->state != MCP_SENT)
		return; /* its end is about to run */
	if (call->broken != KOLK_OK) {
		if (err != KOLK_OK || !kolk__mcp_post_lost(post) || !send_again(call))
			kolk__mcp_call_broken(call, call->broken);
		return;
	}
	if (call->piped && err == KOLK_OK && post->status >= 200 && post->status <= 299)
		return; /* its answer comes on the stream */
	if (call->piped)
		kolk__mcp_pipe_remove(call);
	if (err == KOLK_OK && is_renewed(call))
		return;
	if (err == KOLK_OK && (kolk__mcp_post_lost(post) ? send_again(call) : is_refuted(call)))
		return;
	if (kolk__mcp_resume(call))
		return;
	if (post->challenge != NULL && call->challenge == NULL)
		call->challenge = strdup(post->challenge);
	kolk__mcp_group_leave(call);
	end_now(call, judge(call, err));
}

void kolk__mcp_call_broken(struct kolk_mcp_call *call, enum kolk_err err)
{
	if (err != KOLK_E_LIMIT && call->replayable && send_again(call))
		return;
	call->outcome.lost = call->group->single && call->hold != NULL && call->hold->session->lost;
	if (call->outcome.lost)
		kolk__mcp_group_lost(call);
	kolk__mcp_group_leave(call);
	end_now(call, err);
}

/* ---- send */

static const struct mcp_post_handler post_handler = { .head = on_head, .message = on_message,
						      .mark = kolk__mcp_resume_mark, .end = on_end };

void kolk__mcp_call_post(struct kolk_mcp_call *call, struct mcp_post_options *options)
{
	enum kolk_err err;

	options->identity = call->client->identity;
	options->fields = call->fields;
	options->field_count = call->field_count;
	options->replayable = call->replayable;
	options->deadline_ns = KOLK_FOREVER;
	call->state = MCP_SENT;
	call->sent_ns = call->last_event_id == NULL ? kolk_loop_now(call->client->loop->loop) : 0;
	call->broken = KOLK_OK;
	err = kolk__mcp_post_start(&call->post, call->client->loop, &post_handler, options);
	call->on_wire = err == KOLK_PENDING;
	if (!call->on_wire)
		kolk__mcp_call_end_soon(call, err);
	else if (call->paused)
		kolk_http_pause(call->post.exchange);
}

void kolk__mcp_call_send(struct kolk_mcp_call *call)
{
	struct mcp_session *session = call->hold->session;
	struct mcp_post_options options = { .method = call->listen ? "GET" : "POST",
					    .session = session,
					    .body = call->body,
					    .body_size = call->body_size,
					    .last_event_id = call->last_event_id,
					    .lasts = call->listen };

	session->told |= !call->initialize;
	if (!call->initialize && session->pipe != NULL) {
		call->state = MCP_SENT;
		call->sent_ns = kolk_loop_now(call->client->loop->loop);
		kolk__mcp_pipe_send_call(session->pipe, call);
		return;
	}
	if (!call->initialize) {
		kolk__mcp_call_post(call, &options);
		return;
	}
	if (!call->notification) {
		call->outcome.answer.data = session->initialize->text;
		call->outcome.answer.size = session->initialize->size;
	}
	kolk__mcp_call_end_soon(call, KOLK_OK);
}

static void send_modern(struct kolk_mcp_call *call)
{
	struct mcp_post_options options = { .method = "POST", .cancel_closes = true };
	struct mcp_modern *modern;

	if (call->initialize || call->listen) {
		kolk__mcp_call_end_soon(call, KOLK_E_UNSUPPORTED);
		return;
	}
	modern = kolk__mcp_modern_make(call->client->identity, call->body, call->body_size);
	call->as_modern = modern;
	if (modern == NULL) {
		kolk__mcp_call_end_soon(call, KOLK_E_MEMORY);
		return;
	}
	if (mcp_shares_children(call->client->loop->mcp)) {
		kolk__mcp_group_enqueue(call);
		return;
	}
	options.body = modern->body;
	options.body_size = modern->body_size;
	options.version = modern->version;
	options.rpc_method = modern->method;
	options.rpc_name = modern->name;
	kolk__mcp_call_post(call, &options);
}

void kolk__mcp_call_go(struct kolk_mcp_call *call, enum kolk_mcp_era era)
{
	call->modern = era == KOLK_MCP_MODERN;
	if (call->modern) {
		send_modern(call);
		return;
	}
	kolk__mcp_legacy_strip(call);
	kolk__mcp_group_enqueue(call);
}
