/* SPDX-License-Identifier: Apache-2.0 */
/* note.c - messages whose end no caller waits for: cancellations, and answers to the server. */
#include <stdlib.h>

#include "transport/drivers/mcp/inside.h"

/* How long a message may take, with the wait for a connection: perhaps one that the call has which
 * it cancels, for MCP_FINISH_NS, and until the driver has read away what is left of the answer. */
#define NOTE_NS (5 * KOLK_S_NS)
/* Answers to servers, of a loop, that may take longer: a server that asks without end gets no more
 * memory for it. */
enum { REPLIES_MAX = 256 };

struct mcp_note {
	struct mcp_post post;
	struct kolk_mcp_call *call; /* that it cancels; NULL = none, or gone */
	bool reply;                 /* counted in loop.replies */
	char *message;
};

static void note_ended(struct mcp_post *post, enum kolk_err err)
{
	struct mcp_note *note = mcp_container_of(post, struct mcp_note, post);
	struct kolk_mcp_call *call = note->call;

	(void)err;
	post->loop->replies -= note->reply;
	free(note->message);
	free(note);
	if (call == NULL)
		return;
	call->note = NULL;
	kolk__mcp_call_noted(call);
}

/* options: the session, and until when. A note that is under way, or NULL. */
static struct mcp_note *post_note(struct mcp_loop *loop, struct mcp_post_options *options,
				  char *message, enum kolk_err *err)
{
	static const struct mcp_post_handler handler = { .end = note_ended };
	struct mcp_note *note = calloc(1, sizeof *note);

	options->method = "POST";
	options->identity = options->session->identity;
	options->body = message;
	options->body_size = strlen(message);
	*err = KOLK_E_MEMORY;
	if (note != NULL) {
		note->message = message;
		*err = kolk__mcp_post_start(&note->post, loop, &handler, options);
	}
	if (*err == KOLK_PENDING)
		return note;
	free(message);
	free(note);
	return NULL;
}

/* What is sent on it is written to its pipe, without a connection of its own. */
static bool is_piped(const struct mcp_session *session)
{
	return session->pipe != NULL && session->endpoint == NULL;
}

enum kolk_err kolk__mcp_note_send(struct mcp_loop *loop, const struct mcp_session *session,
				  char *message, struct kolk_mcp_call *call)
{
	struct mcp_post_options options = { .session = session,
					    .deadline_ns = kolk_in_ns(NOTE_NS) };
	struct mcp_note *note;
	enum kolk_err err;

	if (is_piped(session))
		return kolk__mcp_pipe_send(session->pipe, message);
	note = post_note(loop, &options, message, &err);
	if (note != NULL && call != NULL) {
		note->call = call;
		call->note = note;
	}
	return err;
}

void kolk__mcp_note_forget(struct kolk_mcp_call *call)
{
	if (call->note != NULL)
		call->note->call = NULL;
	call->note = NULL;
}

/* ---- answers to the server */

/* Without it the call does not go on, so it may wait for a connection as long as the call lasts. */
static uint64_t reply_deadline(const struct kolk_mcp_call *call)
{
	const struct mcp_loop *loop = call->client->loop;
	uint64_t until_ns = kolk_in_ns(loop->mcp->options.request_timeout_ns);

	if (loop->replies >= REPLIES_MAX)
		return kolk_in_ns(NOTE_NS);
	return call->deadline_ns < until_ns ? call->deadline_ns : until_ns;
}

static enum kolk_err send_reply(struct kolk_mcp_call *call, char *message)
{
	const struct mcp_session *session = call->hold->session;
	struct mcp_loop *loop = call->client->loop;
	struct mcp_post_options options = { .session = session,
					    .deadline_ns = reply_deadline(call) };
	struct mcp_note *note;
	enum kolk_err err;

	if (is_piped(session))
		return kolk__mcp_pipe_send(session->pipe, message);
	note = post_note(loop, &options, message, &err);
	if (note != NULL) {
		note->reply = true;
		loop->replies++;
	}
	return err;
}

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
	err = send_reply(call, text);
	return err == KOLK_PENDING ? KOLK_OK : err;
}

void kolk__mcp_note_answer(struct mcp_loop *loop, struct mcp_pipe *pipe, struct mcp_text id,
			   const char *rest)
{
	char *text = malloc(id.size + strlen(rest) + 32);

	if (text == NULL)
		return;
	(void)stpcpy(put(stpcpy(text, "{\"jsonrpc\":\"2.0\",\"id\":"), id.data, id.size), rest);
	if (pipe->session != NULL)
		(void)kolk__mcp_note_send(loop, pipe->session, text, NULL);
	else /* a WebSocket's server did not wait for initialize */
		(void)kolk__mcp_pipe_send(pipe, text);
}

void kolk__mcp_note_pong(struct mcp_loop *loop, struct mcp_pipe *pipe,
			 const struct mcp_message *message)
{
	if (mcp_text_is(message->method, "ping") && message->id.size > 0)
		kolk__mcp_note_answer(loop, pipe, message->id, ",\"result\":{}}");
}
