/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipe_session.c - sessions over a pipe: initialize -> version check -> notifications/initialized
 * (a child that is shared has none of these); pings while they are idle; their end, which is that
 * of what they run over.
 */
#include <stdlib.h>

#include "transport/drivers/mcp/inside.h"

#define PING_NS (5 * KOLK_S_NS)

/* An operation of the pool of sessions. */
struct task {
	struct kolk_resource_op *op;
	struct mcp_loop *loop;
	struct mcp_session *session;
	enum kolk_err err;
	bool answered;
	uint64_t id;             /* of initialize */
	struct kolk_timer timer; /* of a making that receives nothing which could time out */
};

static void resource_failed(struct kolk_resource_op *op, enum kolk_err err)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);

	failure.err = err;
	failure.phase = err == KOLK_E_QUEUE_FULL ? KOLK_PHASE_WAIT : KOLK_PHASE_READY;
	failure.detail = "initialize";
	kolk_resource_failed(op, &failure);
}

static void begin(struct task *task, void (*step)(void *user, enum kolk_err err),
		  void (*message)(void *user, const struct mcp_message *message),
		  uint64_t deadline_ns)
{
	struct mcp_pipe *pipe = task->session->pipe;

	pipe->loop = task->loop;
	pipe->making = task;
	pipe->making_waits = message != NULL;
	pipe->making_message = message;
	pipe->making_step = step;
	pipe->making_ns = deadline_ns;
}

/* ---- made */

static void on_message(void *user, const struct mcp_message *message)
{
	static const char initialized[] =
		"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}";
	struct task *task = user;
	char *text;

	/* Some servers say something before. */
	if (message->method.size > 0)
		kolk__mcp_note_pong(task->loop, task->session->pipe, message);
	if (message->method.size > 0 || task->answered ||
	    !kolk__mcp_is_answer_to(message, task->id))
		return;
	task->answered = true;
	task->session->pipe->making_waits = false;
	task->err = kolk__mcp_session_take(task->session, message);
	text = task->err == KOLK_OK ? strdup(initialized) : NULL;
	if (text != NULL)
		(void)kolk__mcp_pipe_send(task->session->pipe, text);
	else if (task->err == KOLK_OK)
		task->err = KOLK_E_MEMORY;
}

/* Quiet, or broken. */
static void on_made(void *user, enum kolk_err err)
{
	struct task *task = user;

	if (err == KOLK_OK)
		err = task->err;
	task->session->pipe->making = NULL;
	kolk_timer_stop(&task->timer);
	if (err != KOLK_OK) {
		kolk__mcp_session_free(task->session);
		resource_failed(task->op, err);
	} else {
		kolk_resource_created(task->op, task->session);
	}
	free(task);
}

static void on_timer(struct kolk_timer *timer, void *user)
{
	struct task *task = user;

	(void)timer;
	kolk__mcp_pipe_break_soon(task->session->pipe, KOLK_E_TIMEOUT);
}

static void initialize(struct task *task, uint64_t deadline_ns)
{
	struct mcp_pipe *pipe = task->session->pipe;
	enum kolk_err err;
	char *text;

	begin(task, on_made, on_message, deadline_ns);
	if (pipe->wire->move != NULL)
		(void)kolk_timer_start(pipe->loop->loop, &task->timer, deadline_ns, on_timer, task);
	text = kolk__mcp_initialize_text(task->loop, task->session->identity, &task->id);
	err = text != NULL ? kolk__mcp_pipe_send(pipe, text) : KOLK_E_MEMORY;
	if (err == KOLK_PENDING)
		kolk__mcp_pipe_receive(pipe);
	else
		on_made(task, err);
}

void kolk__mcp_pipe_session(struct mcp_pipe *pipe, struct mcp_identity *identity,
			    struct kolk_resource_op *op, uint64_t deadline_ns)
{
	struct task *task = calloc(1, sizeof *task);
	struct mcp_session *session = calloc(1, sizeof *session);

	if (task == NULL || session == NULL) {
		free(task);
		free(session);
		kolk__mcp_pipe_close(pipe);
		kolk__mcp_pipe_session_failed(identity, op, KOLK_E_MEMORY);
		return;
	}
	session->identity = identity;
	session->pipe = pipe;
	pipe->session = session;
	task->op = op;
	task->loop = pipe->loop;
	task->session = session;
	if (mcp_shares_children(pipe->loop->mcp))
		on_made(task, KOLK_OK);
	else
		initialize(task, deadline_ns);
}

void kolk__mcp_pipe_session_failed(struct mcp_identity *identity, struct kolk_resource_op *op,
				   enum kolk_err err)
{
	kolk__mcp_identity_unref(identity);
	resource_failed(op, err);
}

bool kolk__mcp_pipe_session_create(struct mcp_loop *loop, struct mcp_identity *identity,
				   struct kolk_resource_op *op, uint64_t deadline_ns)
{
	if (loop->mcp->server.message != NULL)
		kolk__mcp_local_create(loop, identity, op, deadline_ns);
	else if (loop->mcp->options.transport == KOLK_MCP_STDIO)
		kolk__mcp_stdio_create(loop, identity, op, deadline_ns);
#ifdef KOLK_WEBSOCKET
	else if (loop->mcp->options.transport == KOLK_MCP_WEBSOCKET)
		kolk__mcp_ws_create(loop, identity, op, deadline_ns);
#endif
	else
		return false;
	return true;
}

/* ---- idle */

static void on_other(void *user, const struct mcp_message *message)
{
	const struct task *task = user;

	kolk__mcp_note_pong(task->loop, task->session->pipe, message); /* no call hears it */
}

static void on_pinged(void *user, enum kolk_err err)
{
	struct task *task = user;

	task->session->pipe->making = NULL;
	if (err == KOLK_OK)
		kolk_resource_done(task->op);
	else
		resource_failed(task->op, err);
	free(task);
}

void kolk__mcp_pipe_session_ping(struct mcp_loop *loop, struct mcp_session *session,
				 struct kolk_resource_op *op)
{
	struct mcp_pipe *pipe = session->pipe;
	struct task *task;

	if (pipe == NULL || pipe->wire->ping == NULL) {
		kolk_resource_done(op);
		return;
	}
	task = calloc(1, sizeof *task);
	if (task == NULL || pipe->broken != KOLK_OK) {
		free(task);
		resource_failed(op, task == NULL ? KOLK_E_MEMORY : pipe->broken);
		return;
	}
	task->op = op;
	task->loop = loop;
	task->session = session;
	begin(task, on_pinged, on_other, kolk_in_ns(PING_NS));
	pipe->wire->ping(pipe);
	kolk__mcp_pipe_send_next(pipe);
	kolk__mcp_pipe_receive(pipe);
	kolk__mcp_pipe_settle(pipe);
}

/* ---- ended */

static void on_ended(void *user, enum kolk_err err)
{
	struct task *task = user;

	(void)err;
	kolk__mcp_session_free(task->session);
	kolk_resource_done(task->op);
	free(task);
}

bool kolk__mcp_pipe_session_end(struct mcp_loop *loop, struct mcp_session *session,
				struct kolk_resource_op *op)
{
	struct mcp_pipe *pipe = session->pipe;
	struct task *task = pipe != NULL && pipe->wire->farewell != NULL ?
				    calloc(1, sizeof *task) : NULL;

	if (task == NULL || !pipe->wire->farewell(pipe)) {
		free(task);
		return false;
	}
	task->op = op;
	task->loop = loop;
	task->session = session;
	begin(task, on_ended, NULL, kolk_in_ns(KOLK_S_NS));
	pipe->broken = KOLK_OK; /* for these last words */
	kolk__mcp_pipe_send_next(pipe);
	return true;
}
