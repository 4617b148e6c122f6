/* SPDX-License-Identifier: Apache-2.0 */
/* stdio.c - a session of a child process: a child out of the pool, initialize,
 * notifications/initialized; of the modern era the child alone. It ends with its child. */
#include <stdlib.h>

#include "transport/drivers/mcp/inside.h"

struct making {
	struct kolk_acquire acquire;
	struct kolk_resource_op *op;
	struct mcp_loop *loop;
	struct mcp_identity *identity;
	struct mcp_session *session; /* once there is a child */
	uint64_t deadline_ns;
	enum kolk_err err;
	bool answered;
	uint64_t id;                 /* of initialize */
};

static void failed(struct making *making, enum kolk_err err)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);

	failure.err = err;
	failure.phase = err == KOLK_E_QUEUE_FULL ? KOLK_PHASE_WAIT : KOLK_PHASE_READY;
	failure.detail = "initialize";
	if (making->session != NULL)
		kolk__mcp_session_free(making->session);
	else
		kolk__mcp_identity_unref(making->identity);
	kolk_resource_failed(making->op, &failure);
	free(making);
}

static void on_message(void *user, const struct mcp_message *message)
{
	static const char initialized[] =
		"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}";
	struct making *making = user;
	char *text;

	/* Some servers say something before. */
	if (message->method.size > 0 || making->answered ||
	    !kolk__mcp_is_answer_to(message, making->id))
		return;
	making->answered = true;
	making->session->pipe->making_waits = false;
	making->err = kolk__mcp_session_take(making->session, message);
	text = making->err == KOLK_OK ? strdup(initialized) : NULL;
	if (text != NULL)
		(void)kolk__mcp_pipe_send(making->session->pipe, text);
	else if (making->err == KOLK_OK)
		making->err = KOLK_E_MEMORY;
}

/* Quiet, or broken. */
static void on_step(void *user, enum kolk_err err)
{
	struct making *making = user;

	if (err == KOLK_OK)
		err = making->err;
	making->session->pipe->making = NULL;
	if (err != KOLK_OK) {
		failed(making, err);
	} else {
		kolk_resource_created(making->op, making->session);
		free(making);
	}
}

static void begin(struct making *making)
{
	struct mcp_pipe *pipe = making->session->pipe;
	char *text = kolk__mcp_initialize_text(making->loop, making->identity, &making->id);
	enum kolk_err err;

	pipe->making = making;
	pipe->making_waits = true;
	pipe->making_message = on_message;
	pipe->making_step = on_step;
	pipe->making_ns = making->deadline_ns;
	err = text != NULL ? kolk__mcp_pipe_send(pipe, text) : KOLK_E_MEMORY;
	if (err == KOLK_PENDING)
		kolk__mcp_pipe_receive(pipe);
	else
		on_step(making, err);
}

static void on_child(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct making *making = user;
	struct kolk_lease child;

	if (err != KOLK_OK) {
		failed(making, kolk__mcp_making_error(err, false));
		return;
	}
	child = *lease;
	(void)kolk_lease_pin(&child);
	making->session = calloc(1, sizeof *making->session);
	if (making->session != NULL)
		making->session->pipe = kolk__mcp_pipe_open(making->loop, &child);
	if (making->session == NULL || making->session->pipe == NULL) {
		(void)kolk_discard(&child);
		free(making->session);
		making->session = NULL;
		failed(making, KOLK_E_MEMORY);
		return;
	}
	making->session->identity = making->identity;
	making->session->pipe->session = making->session;
	if (mcp_shares_children(making->loop->mcp))
		on_step(making, KOLK_OK);
	else
		begin(making);
}

void kolk__mcp_stdio_create(struct mcp_loop *loop, struct mcp_identity *identity,
			    struct kolk_resource_op *op, uint64_t deadline_ns)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	struct making *making = calloc(1, sizeof *making);
	enum kolk_err err;

	if (making == NULL) {
		failure.err = KOLK_E_MEMORY;
		kolk__mcp_identity_unref(identity);
		kolk_resource_failed(op, &failure);
		return;
	}
	making->op = op;
	making->loop = loop;
	making->identity = identity;
	making->deadline_ns = deadline_ns;
	who.tenant = identity->tenant[0] != '\0' ? identity->tenant : NULL;
	err = kolk_acquire_as_async(loop->loop, loop->mcp->connections, &who,
				    kolk__mcp_making_deadline(deadline_ns), &making->acquire, on_child,
				    making);
	if (err != KOLK_PENDING)
		on_child(making, err, &making->acquire.lease);
}
