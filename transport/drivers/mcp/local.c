/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local.c - sessions of a server in this process. Messages of both directions wait in lists, and
 * one posted call moves them: neither side is called inside a call of its own.
 */
#include <stdlib.h>

#include "transport/drivers/mcp/inside.h"

/* Messages that are moved before others have their turn. */
enum { TURN_MAX = 64 };

struct kolk_mcp_local {
	struct mcp_pipe *pipe;
	struct kolk_mcp_server server;
	const char *tenant;             /* of the session's identity */
	void *user;
	bool open;
	struct mcp_line *first, **last; /* of the server */
	size_t bytes;                   /* in them */
	struct kolk_call call;
};

/* ---- messages are moved */

/* A message of the client. */
static bool move_out(struct kolk_mcp_local *local)
{
	struct kolk_mcp_envelope envelope = KOLK_INIT(kolk_mcp_envelope);
	struct mcp_pipe *pipe = local->pipe;
	struct mcp_line *line = pipe->first;
	struct kolk_mcp_part text;

	if (line == NULL)
		return false;
	text = (struct kolk_mcp_part){ line->text, line->size };
	pipe->first = line->next;
	if (pipe->first == NULL)
		pipe->last = &pipe->first;
	pipe->replies -= line->reply;
	if (kolk_mcp_read(line->text, line->size, &envelope) != KOLK_OK)
		kolk__mcp_pipe_break_soon(pipe, KOLK_E_PROTOCOL);
	else
		local->server.message(local->user, local, &envelope, &text);
	free(line);
	return true;
}

/* One of the server. */
static bool move_in(struct kolk_mcp_local *local)
{
	struct mcp_line *line = local->first;

	if (line == NULL || !kolk__mcp_pipe_is_awaited(local->pipe))
		return false;
	local->first = line->next;
	if (local->first == NULL)
		local->last = &local->first;
	local->bytes -= line->size;
	kolk__mcp_pipe_feed(local->pipe, line->text, line->size);
	free(line);
	return true;
}

static void on_call(struct kolk_call *call, void *user)
{
	struct kolk_mcp_local *local = user;
	struct mcp_pipe *pipe = local->pipe;
	uint32_t moved = 0;

	(void)call;
	pipe->inside++;
	while (moved < TURN_MAX && pipe->broken == KOLK_OK && (move_out(local) || move_in(local)))
		moved++;
	pipe->sending = false;
	if (pipe->broken == KOLK_OK)
		kolk__mcp_pipe_send_next(pipe);
	kolk__mcp_pipe_receive(pipe);
	pipe->inside--;
	kolk__mcp_pipe_settle(pipe);
}

/* `sending`: the call is posted. */
static enum kolk_err move(struct mcp_pipe *pipe)
{
	struct kolk_mcp_local *local = pipe->wire_user;
	enum kolk_err err;

	if (pipe->sending ||
	    (pipe->first == NULL &&
	     (local->first == NULL || !kolk__mcp_pipe_is_awaited(pipe))))
		return KOLK_OK;
	err = kolk_loop_call(pipe->loop->loop, &local->call, on_call, local);
	pipe->sending = err == KOLK_OK;
	return err;
}

static enum kolk_err encode(struct mcp_pipe *pipe, const char *text, size_t size)
{
	struct mcp_line *line = kolk__mcp_line_make(size);

	if (line == NULL)
		return KOLK_E_MEMORY;
	memcpy(line->text, text, size);
	kolk__mcp_pipe_queue(pipe, line);
	return KOLK_OK;
}

static enum kolk_err take(struct mcp_pipe *pipe, const char *data, size_t size)
{
	enum kolk_err err = kolk__mcp_pipe_append(pipe, data, size);

	return err == KOLK_OK ? kolk__mcp_pipe_end_message(pipe) : err;
}

static void local_free(struct kolk_mcp_local *local)
{
	if (local->open && local->server.close != NULL)
		local->server.close(local->user, local);
	while (local->first != NULL) {
		struct mcp_line *line = local->first;

		local->first = line->next;
		free(line);
	}
	free(local);
}

static void close_local(struct mcp_pipe *pipe)
{
	local_free(pipe->wire_user);
}

static const struct mcp_wire wire = { .encode = encode, .take = take, .move = move,
				      .close = close_local };

/* ---- the server speaks */

void *kolk_mcp_local_user(const struct kolk_mcp_local *session)
{
	return session->user;
}

const char *kolk_mcp_local_tenant(const struct kolk_mcp_local *session)
{
	return session->tenant;
}

static enum kolk_err check(const struct kolk_mcp_local *local)
{
	const struct mcp_pipe *pipe = local->pipe;

	if (!kolk_loop_is_mine(pipe->loop->loop))
		return KOLK_E_THREAD;
	return pipe->broken != KOLK_OK || pipe->failing ? KOLK_E_CLOSED : KOLK_OK;
}

/* For what no call waits for. One that is too long on its own is let through: it is what the client
 * is told. */
static enum kolk_err check_room(const struct kolk_mcp_local *local, size_t size)
{
	const uint64_t max = local->pipe->loop->mcp->options.message_bytes_max;

	return local->bytes > 0 && local->bytes + size > max ? KOLK_E_LIMIT : KOLK_OK;
}

/* An answer that a call waits for finds room: its caller would wait for it in vain. There are as
 * many as calls. *call: which has none yet. */
static enum kolk_err check_answer(const struct kolk_mcp_local *local, struct mcp_text id,
				  size_t size, struct kolk_mcp_call **call)
{
	enum kolk_err err = check(local);

	if (err != KOLK_OK || local->pipe->making != NULL)
		return err;
	*call = kolk__mcp_pipe_call_of(local->pipe, id);
	if (*call != NULL && (*call)->answered)
		*call = NULL;
	return *call != NULL ? KOLK_OK : check_room(local, size);
}

static enum kolk_err enqueue(struct kolk_mcp_local *local, struct mcp_line *line)
{
	*local->last = line;
	local->last = &line->next;
	local->bytes += line->size;
	return move(local->pipe);
}

enum kolk_err kolk_mcp_local_send(struct kolk_mcp_local *session, const void *text, size_t size)
{
	struct kolk_mcp_envelope envelope = KOLK_INIT(kolk_mcp_envelope);
	enum kolk_err err = check(session);
	struct mcp_line *line;

	if (err == KOLK_OK)
		err = check_room(session, size);
	if (err == KOLK_OK)
		err = kolk_mcp_read(text, size, &envelope);
	if (err != KOLK_OK)
		return err == KOLK_E_UNSUPPORTED ? KOLK_E_PROTOCOL : err;
	line = kolk__mcp_line_make(size);
	if (line == NULL)
		return KOLK_E_MEMORY;
	memcpy(line->text, text, size);
	return enqueue(session, line);
}

static char *put(char *at, const void *data, size_t size)
{
	return (char *)memcpy(at, data, size) + size;
}

enum kolk_err kolk_mcp_local_answer(struct kolk_mcp_local *session, const void *id, size_t id_size,
				    const struct kolk_mcp_result *answer)
{
	struct kolk_mcp_result own;
	struct kolk_mcp_call *call = NULL;
	const void *json;
	size_t size;
	struct mcp_line *line;
	char *at;
	enum kolk_err err;

	if (!kolk__sized_read(&own, answer) || (own.result != NULL) == (own.error != NULL))
		return KOLK_E_OPTIONS;
	json = own.result != NULL ? own.result : own.error;
	size = own.result != NULL ? own.result_size : own.error_size;
	if (!kolk__mcp_is_json(id, id_size) || !kolk__mcp_is_json(json, size))
		return KOLK_E_OPTIONS;
	err = check_answer(session, (struct mcp_text){ id, id_size }, size, &call);
	line = err == KOLK_OK ? kolk__mcp_line_make(id_size + size + 64) : NULL;
	if (line == NULL)
		return err != KOLK_OK ? err : KOLK_E_MEMORY;
	at = put(stpcpy(line->text, "{\"jsonrpc\":\"2.0\",\"id\":"), id, id_size);
	at = stpcpy(at, own.result != NULL ? ",\"result\":" : ",\"error\":");
	at = stpcpy(put(at, json, size), "}");
	line->size = (size_t)(at - line->text);
	if (call != NULL)
		call->answered = true;
	return enqueue(session, line);
}

void kolk_mcp_local_end(struct kolk_mcp_local *session)
{
	if (kolk_loop_is_mine(session->pipe->loop->loop))
		kolk__mcp_pipe_break_soon(session->pipe, KOLK_E_CLOSED);
}

/* ---- made */

static struct kolk_mcp_local *local_make(struct mcp_loop *loop)
{
	const struct kolk_lease none = { 0 };
	struct kolk_mcp_local *local = calloc(1, sizeof *local);
	struct mcp_pipe *pipe = local != NULL ? kolk__mcp_pipe_open(loop, &none) : NULL;

	if (pipe == NULL) {
		free(local);
		return NULL;
	}
	kolk__mcp_pipe_set_wire(pipe, &wire, local);
	local->pipe = pipe;
	local->server = loop->mcp->server;
	local->user = local->server.user;
	local->last = &local->first;
	return local;
}

void kolk__mcp_local_create(struct mcp_loop *loop, struct mcp_identity *identity,
			    struct kolk_resource_op *op, uint64_t deadline_ns)
{
	struct kolk_mcp_local *local = local_make(loop);
	enum kolk_err err = local != NULL ? KOLK_OK : KOLK_E_MEMORY;

	if (local != NULL)
		local->tenant = identity->tenant;
	if (err == KOLK_OK && local->server.open != NULL)
		err = local->server.open(local->server.user, local, &local->user);
	if (err != KOLK_OK) {
		if (local != NULL)
			kolk__mcp_pipe_close(local->pipe);
		kolk__mcp_pipe_session_failed(identity, op, err);
		return;
	}
	local->open = true;
	kolk__mcp_pipe_session(local->pipe, identity, op, deadline_ns);
}
