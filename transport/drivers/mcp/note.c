/* SPDX-License-Identifier: Apache-2.0 */
/* note.c - messages whose end no caller waits for: cancellations, and answers to the server. */
#include <stdlib.h>

#include "transport/drivers/mcp/inside.h"

struct mcp_note {
	struct mcp_post post;
	struct kolk_mcp_call *call; /* that it cancels; NULL = none, or gone */
	char *message;
};

static void note_ended(struct mcp_post *post, enum kolk_err err)
{
	struct mcp_note *note = mcp_container_of(post, struct mcp_note, post);
	struct kolk_mcp_call *call = note->call;

	(void)err;
	free(note->message);
	free(note);
	if (call == NULL)
		return;
	call->note = NULL;
	kolk__mcp_call_noted(call);
}

enum kolk_err kolk__mcp_note_send(struct mcp_loop *loop, const struct mcp_session *session,
				  char *message, struct kolk_mcp_call *call)
{
	static const struct mcp_post_handler handler = { .end = note_ended };
	struct mcp_post_options options = { .method = "POST", .identity = session->identity,
					    .session = session, .body = message,
					    .body_size = strlen(message),
					    .deadline_ns = kolk_in_ns(MCP_FINISH_NS) };
	struct mcp_note *note;
	enum kolk_err err = KOLK_E_MEMORY;

	if (session->pipe != NULL && session->endpoint == NULL)
		return kolk__mcp_pipe_send(session->pipe, message);
	note = calloc(1, sizeof *note);
	if (note != NULL) {
		note->message = message;
		err = kolk__mcp_post_start(&note->post, loop, &handler, &options);
	}
	if (err != KOLK_PENDING) {
		free(message);
		free(note);
		return err;
	}
	note->call = call;
	if (call != NULL)
		call->note = note;
	return KOLK_PENDING;
}

void kolk__mcp_note_forget(struct kolk_mcp_call *call)
{
	if (call->note != NULL)
		call->note->call = NULL;
	call->note = NULL;
}

/* ---- answers to the server */

static char *put(char *at, const void *data, size_t size)
{
	return (char *)memcpy(at, data, size) + size;
}

enum kolk_err kolk_mcp_reply(struct kolk_mcp_call *call, const void *id, size_t id_size,
			     const struct kolk_mcp_result *answer)
{
	struct kolk_mcp_result own;
	const void *json;
	size_t size;
	char *text, *at;
	enum kolk_err err;

	if (!kolk__sized_read(&own, answer) || (own.result != NULL) == (own.error != NULL))
		return KOLK_E_OPTIONS;
	json = own.result != NULL ? own.result : own.error;
	size = own.result != NULL ? own.result_size : own.error_size;
	if (!kolk__mcp_is_json(id, id_size) || !kolk__mcp_is_json(json, size))
		return KOLK_E_OPTIONS;
	if (call->hold == NULL)
		return KOLK_E_CLOSED;
	text = malloc(id_size + size + 64);
	if (text == NULL)
		return KOLK_E_MEMORY;
	at = put(stpcpy(text, "{\"jsonrpc\":\"2.0\",\"id\":"), id, id_size);
	at = stpcpy(at, own.result != NULL ? ",\"result\":" : ",\"error\":");
	(void)stpcpy(put(at, json, size), "}");
	err = kolk__mcp_note_send(call->client->loop, call->hold->session, text, NULL);
	return err == KOLK_PENDING ? KOLK_OK : err;
}

void kolk__mcp_note_answer(struct mcp_loop *loop, const struct mcp_session *session,
			   struct mcp_text id, const char *rest)
{
	char *text = malloc(id.size + strlen(rest) + 32);

	if (text == NULL)
		return;
	(void)stpcpy(put(stpcpy(text, "{\"jsonrpc\":\"2.0\",\"id\":"), id.data, id.size), rest);
	(void)kolk__mcp_note_send(loop, session, text, NULL);
}

void kolk__mcp_note_pong(struct mcp_loop *loop, const struct mcp_session *session,
			 const struct mcp_message *message)
{
	if (mcp_text_is(message->method, "ping") && message->id.size > 0)
		kolk__mcp_note_answer(loop, session, message->id, ",\"result\":{}}");
}
