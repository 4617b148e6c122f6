/* SPDX-License-Identifier: Apache-2.0 */
/* pipe.h - messages to a child process and from it, a line each; or those of a stream. */
#ifndef KOLK_DRIVERS_MCP_PIPE_H
#define KOLK_DRIVERS_MCP_PIPE_H

#include <kolk/io.h>
#include <kolk/lease.h>

#include "transport/drivers/mcp/post.h"

struct kolk_mcp_call;
struct mcp_line;
struct mcp_stream;

enum { MCP_PIPE_CHUNK = 16384 };

/* Belongs to the holder of its session's lease, on whose loop it works. It receives only while an
 * answer or a message is awaited: between two leases nothing is in flight. */
struct mcp_pipe {
	struct mcp_loop *loop;
	struct mcp_session *session;
	struct mcp_stream *stream;  /* HTTP+SSE; then what follows of the child is not used */
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
	char chunk[];               /* MCP_PIPE_CHUNK bytes; none of a stream */
};

/* A pipe over a child; NULL = no memory. */
struct mcp_pipe *kolk__mcp_pipe_open(struct mcp_loop *loop, const struct kolk_lease *child);
/* One that takes over a stream. */
struct mcp_pipe *kolk__mcp_pipe_open_stream(struct mcp_loop *loop, struct mcp_stream *stream);
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
/* It expects an answer; it expects none any more. */
void kolk__mcp_pipe_add(struct mcp_pipe *pipe, struct kolk_mcp_call *call);
void kolk__mcp_pipe_remove(struct kolk_mcp_call *call);
/* What it is over is lost, with all calls on it. */
void kolk__mcp_pipe_break(struct mcp_pipe *pipe, enum kolk_err err);
/* Nothing is in flight, and no callback of it runs: do what waits for that. */
void kolk__mcp_pipe_settle(struct mcp_pipe *pipe);
/* A message has come; user is the pipe. */
void kolk__mcp_pipe_message(void *user, const struct mcp_message *message);
bool kolk__mcp_pipe_is_paused(const struct mcp_pipe *pipe);
/* A call wants messages again. */
void kolk__mcp_pipe_resume(struct mcp_pipe *pipe);
/* Receive, if something is awaited. */
void kolk__mcp_pipe_receive(struct mcp_pipe *pipe);

/* pipe_stream.c: send a call; read what has come. */
void kolk__mcp_pipe_post(struct mcp_pipe *pipe, struct kolk_mcp_call *call);
void kolk__mcp_pipe_drain(struct mcp_pipe *pipe);

#endif
