/* SPDX-License-Identifier: Apache-2.0 */
/* pipe.h - the lines of a child process: messages to it and from it, one each. */
#ifndef KOLK_DRIVERS_MCP_PIPE_H
#define KOLK_DRIVERS_MCP_PIPE_H

#include <kolk/io.h>
#include <kolk/lease.h>

#include "transport/drivers/mcp/post.h"

struct kolk_mcp_call;
struct mcp_line;

enum { MCP_PIPE_CHUNK = 16384 };

/* Belongs to the holder of its session's lease, on whose loop it works. It receives only while an
 * answer or a message is awaited: between two leases nothing is in flight. */
struct mcp_pipe {
	struct mcp_loop *loop;
	struct mcp_session *session;
	struct kolk_lease child;
	struct kolk_io recv, send;
	bool receiving, sending;
	uint32_t inside;            /* its callbacks that run: what would end it waits */
	struct kolk_call call;      /* `failing`: it breaks, from step */
	bool failing;
	enum kolk_err why;
	bool returning, again;      /* the lease of the session goes back when it is quiet */
	struct kolk_lease returned;
	enum kolk_err broken;       /* nothing goes any more */
	struct mcp_link calls;      /* struct kolk_mcp_call.link */
	struct mcp_line *first, **last; /* to be sent */
	/* The session is being made: told of messages, of the end, and of quiet. */
	void (*making_message)(void *user, const struct mcp_message *message);
	void (*making_step)(void *user, enum kolk_err err);
	void *making;
	bool making_waits;          /* for a message */
	uint64_t making_ns;         /* until then */
	char *line;                 /* what has come of one */
	size_t size, capacity;
	bool too_long;              /* and it is dropped */
	char chunk[MCP_PIPE_CHUNK];
};

/* A pipe over a child; NULL = no memory. */
struct mcp_pipe *kolk__mcp_pipe_open(struct mcp_loop *loop, const struct kolk_lease *child);
/* Quiet: give the child back to be ended, and free all. */
void kolk__mcp_pipe_close(struct mcp_pipe *pipe);
/* A lease of its session begins on this loop. */
void kolk__mcp_pipe_take(struct mcp_pipe *pipe, struct mcp_loop *loop);
/* Its child has ended, or is to end. */
bool kolk__mcp_pipe_is_dead(const struct mcp_pipe *pipe);
/* No call is on it: the session's lease is released, or discarded, when it is quiet. */
void kolk__mcp_pipe_return(struct mcp_pipe *pipe, const struct kolk_lease *lease, bool again);
/* Send a message (malloc'd, taken over). KOLK_PENDING, or an error: it is freed. */
enum kolk_err kolk__mcp_pipe_send(struct mcp_pipe *pipe, char *message);
/* Send a call, and expect its answer. */
void kolk__mcp_pipe_send_call(struct mcp_pipe *pipe, struct kolk_mcp_call *call);
/* A call wants messages again. */
void kolk__mcp_pipe_resume(struct mcp_pipe *pipe);
/* Receive, if something is awaited. */
void kolk__mcp_pipe_receive(struct mcp_pipe *pipe);

#endif
