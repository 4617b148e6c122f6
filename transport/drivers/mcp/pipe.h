/* SPDX-License-Identifier: Apache-2.0 */
/* pipe.h - messages to a server and from it, over what is its session: the lines of a child, the
 * frames of a WebSocket (ws.c), calls in this process (local.c), a stream of HTTP+SSE. */
#ifndef KOLK_DRIVERS_MCP_PIPE_H
#define KOLK_DRIVERS_MCP_PIPE_H

#include <kolk/io.h>
#include <kolk/lease.h>

#include "transport/drivers/mcp/post.h"
#include "transport/drivers/table.h"

struct kolk_mcp_call;
struct mcp_dropped;
struct mcp_pipe;
struct mcp_stream;

/* What is to be sent, as it is. */
struct mcp_line {
	struct mcp_line *next;
	size_t size;
	size_t reply;               /* bytes of it that count in mcp_pipe.replies */
	char text[];
};

/* How messages travel. NULL members: as with a child. */
struct mcp_wire {
	/* A message becomes lines (kolk__mcp_pipe_queue). */
	enum kolk_err (*encode)(struct mcp_pipe *pipe, const char *text, size_t size);
	/* What has come: kolk__mcp_pipe_append, kolk__mcp_pipe_end_message. */
	enum kolk_err (*take)(struct mcp_pipe *pipe, const char *data, size_t size);
	/* No connection: what is queued, or awaited, may be moved. */
	enum kolk_err (*move)(struct mcp_pipe *pipe);
	/* An idle one is pinged: queue that. making_waits is cleared by the answer. */
	void (*ping)(struct mcp_pipe *pipe);
	/* The session is closed: queue the last words. False: there are none. */
	bool (*farewell)(struct mcp_pipe *pipe);
	void (*close)(struct mcp_pipe *pipe); /* free what is the wire's */
	bool listens; /* receives as long as the session is leased */
};

extern const struct mcp_wire kolk__mcp_lines; /* of a child: pipe_lines.c */

enum { MCP_PIPE_CHUNK = 16384, MCP_PIPE_BATCH_MAX = 1000 };

/* Belongs to the holder of its session's lease, on whose loop it works. It receives only while an
 * answer or a message is awaited: between two leases nothing is in flight. */
struct mcp_pipe {
	struct mcp_loop *loop;
	struct mcp_session *session;
	struct mcp_stream *stream;  /* HTTP+SSE; then the wire and the child are not used */
	const struct mcp_wire *wire;
	void *wire_user;
	struct kolk_lease child;
	struct kolk_io recv, send;
	bool receiving, sending;
	bool leased;                /* the session is */
	bool taking;                /* `chunk` is being read: nothing is received into it */
	uint32_t inside;            /* its callbacks that run: what would end it waits */
	struct kolk_call call;      /* `failing`: it breaks, from step */
	bool failing;
	enum kolk_err why;
	bool returning, again;      /* the lease of the session goes back when it is quiet */
	struct kolk_lease returned;
	enum kolk_err broken;       /* nothing goes any more */
	struct mcp_link calls;      /* struct kolk_mcp_call.link */
	struct kolk__hash_table by_id; /* of them: those that expect an answer */
	uint32_t paused, listening; /* of them: those that are; nothing is read while one is paused */
	struct mcp_line *first, **last; /* to be sent */
	size_t replies;             /* bytes of what answers the server among them */
	bool replying;              /* what is queued is such */
	/* The session is being made: told of messages, of the end, and of quiet. */
	void (*making_message)(void *user, const struct mcp_message *message);
	void (*making_step)(void *user, enum kolk_err err);
	void *making;
	bool making_waits;          /* for a message */
	uint64_t making_ns;         /* until then */
	char *line;                 /* what has come of one */
	size_t size, capacity;
	struct mcp_dropped *dropped; /* it is too long: pipe_long.c; NULL = it is not */
	char chunk[];               /* MCP_PIPE_CHUNK bytes; none of a stream */
};

/* A pipe over a child; NULL = no memory. */
struct mcp_pipe *kolk__mcp_pipe_open(struct mcp_loop *loop, const struct kolk_lease *child);
/* It has another wire; before anything is sent. */
void kolk__mcp_pipe_set_wire(struct mcp_pipe *pipe, const struct mcp_wire *wire, void *user);
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
/* Send a message (malloc'd, taken over), as soon as there is a session, or one is made.
 * KOLK_PENDING, or an error: it is freed. */
enum kolk_err kolk__mcp_pipe_send(struct mcp_pipe *pipe, char *message);
/* Send a call, and expect its answer. */
void kolk__mcp_pipe_send_call(struct mcp_pipe *pipe, struct kolk_mcp_call *call);
/* It expects an answer, or listens (false = no memory; never of one that listens); no more. */
bool kolk__mcp_pipe_add(struct mcp_pipe *pipe, struct kolk_mcp_call *call);
void kolk__mcp_pipe_remove(struct kolk_mcp_call *call);
/* What it is over is lost, with all calls on it. */
void kolk__mcp_pipe_break(struct mcp_pipe *pipe, enum kolk_err err);
/* Nothing is in flight, and no callback of it runs: do what waits for that. */
void kolk__mcp_pipe_settle(struct mcp_pipe *pipe);
/* The call that a number is the id, or the token, of; NULL = none that expects an answer. */
struct kolk_mcp_call *kolk__mcp_pipe_call_of(struct mcp_pipe *pipe, struct mcp_text number);
/* A message has come; user is the pipe. */
void kolk__mcp_pipe_message(void *user, const struct mcp_message *message);
/* Calls want messages again, perhaps: read, unless another one is paused. */
void kolk__mcp_pipe_resume(struct mcp_pipe *pipe);
/* Receive, if something is awaited. */
void kolk__mcp_pipe_receive(struct mcp_pipe *pipe);

/* pipe_long.c: a part of a message that is too long, behind what was kept of it; its end. */
enum kolk_err kolk__mcp_pipe_drop(struct mcp_pipe *pipe, const char *data, size_t size);
enum kolk_err kolk__mcp_pipe_drop_end(struct mcp_pipe *pipe);

/* pipe_stream.c: send a call; read what has come. */
void kolk__mcp_pipe_post(struct mcp_pipe *pipe, struct kolk_mcp_call *call);
void kolk__mcp_pipe_drain(struct mcp_pipe *pipe);

/* ---- for wires */

/* Memory for a line, or NULL; and its place behind the others. */
struct mcp_line *kolk__mcp_line_make(size_t size);
void kolk__mcp_pipe_queue(struct mcp_pipe *pipe, struct mcp_line *line);
/* Send what is queued. */
void kolk__mcp_pipe_send_next(struct mcp_pipe *pipe);
/* A part of a message; beyond message_bytes_max the message is dropped. */
enum kolk_err kolk__mcp_pipe_append(struct mcp_pipe *pipe, const char *data, size_t size);
/* The message is whole: it is shown; of one that was dropped the call that it answers ends with
 * E_LIMIT. E_PROTOCOL: it is none. */
enum kolk_err kolk__mcp_pipe_end_message(struct mcp_pipe *pipe);
/* What came without being asked for: taken as if it had been received. */
void kolk__mcp_pipe_feed(struct mcp_pipe *pipe, const char *data, size_t size);
/* Whether messages are awaited. */
bool kolk__mcp_pipe_is_awaited(const struct mcp_pipe *pipe);
/* It is lost, from step. */
void kolk__mcp_pipe_break_soon(struct mcp_pipe *pipe, enum kolk_err err);
/* The first line was sent (and is dropped). */
void kolk__mcp_pipe_drop_first(struct mcp_pipe *pipe);

#endif
