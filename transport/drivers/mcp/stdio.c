/* SPDX-License-Identifier: Apache-2.0 */
/* stdio.c - a session of a child process: a child out of the pool. It ends with its child. */
#include <stdlib.h>

#include "transport/drivers/mcp/inside.h"

struct making {
	struct kolk_acquire acquire;
	struct kolk_resource_op *op;
	struct mcp_loop *loop;
	struct mcp_identity *identity;
	uint64_t deadline_ns;
};

static void on_child(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct making *making = user;
	struct mcp_pipe *pipe = NULL;
	struct kolk_lease child;

	if (err == KOLK_OK) {
		child = *lease;
		(void)kolk_lease_pin(&child);
		pipe = kolk__mcp_pipe_open(making->loop, &child);
		if (pipe == NULL)
			(void)kolk_discard(&child);
	}
	if (pipe != NULL)
		kolk__mcp_pipe_session(pipe, making->identity, making->op, making->deadline_ns);
	else
		kolk__mcp_pipe_session_failed(making->identity, making->op,
					      err != KOLK_OK ? kolk__mcp_making_error(err, false) :
							       KOLK_E_MEMORY);
	free(making);
}

void kolk__mcp_stdio_create(struct mcp_loop *loop, struct mcp_identity *identity,
			    struct kolk_resource_op *op, uint64_t deadline_ns)
{
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	struct making *making = calloc(1, sizeof *making);
	enum kolk_err err;

	if (making == NULL) {
		kolk__mcp_pipe_session_failed(identity, op, KOLK_E_MEMORY);
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
