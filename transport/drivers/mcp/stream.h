/* SPDX-License-Identifier: Apache-2.0 */
/* stream.h - the stream of events of a session of HTTP+SSE (2024-11-05): it names the endpoint that
 * messages are posted to, and brings all messages of the server. */
#ifndef KOLK_DRIVERS_MCP_STREAM_H
#define KOLK_DRIVERS_MCP_STREAM_H

#include <kolk/loop.h>
#include <pthread.h>

#include "transport/drivers/mcp/post.h"

struct mcp_pipe;

/* A message that the reader has not read. */
struct mcp_event {
	struct mcp_event *next;
	size_t size;
	char text[];
};

/* Its exchange lives on the loop that made it, home; the holder of its session's lease reads it on
 * a loop of its own. Between two leases messages are dropped, but `ping` is answered. */
struct mcp_stream {
	/* Home's. */
	struct mcp_loop *home;
	struct mcp_pipe *pipe;      /* constant once it is set, as what it points to that is used here */
	struct mcp_post get;
	bool open;                  /* get's end will run */
	bool named;                 /* the endpoint came */
	bool closing;
	void (*on_endpoint)(void *user, struct mcp_text endpoint);
	void (*on_closed)(void *user);
	void *user;

	pthread_mutex_t lock;
	/* Under it. */
	struct mcp_loop *reader;    /* NULL = none */
	struct mcp_event *first, **last;
	size_t queued;              /* bytes of them */
	bool paused;                /* get is */
	bool reader_posted, home_posted;
	enum kolk_err ended;        /* KOLK_OK = it is open */
	struct kolk_call to_reader, to_home;
};

/* Ask for it; home is this loop. on_endpoint(user) runs once, if it comes. NULL = no memory. */
struct mcp_stream *kolk__mcp_stream_make(struct mcp_loop *home, void *user,
					 void (*on_endpoint)(void *user, struct mcp_text endpoint));
enum kolk_err kolk__mcp_stream_begin(struct mcp_stream *stream, struct mcp_identity *identity);
/* On home, without a reader: end it; on_closed(user) runs from step. Then it may be freed. */
void kolk__mcp_stream_close(struct mcp_stream *stream, void (*on_closed)(void *user), void *user);
void kolk__mcp_stream_free(struct mcp_stream *stream);

/* What has come is read on this loop from now on (kolk__mcp_pipe_drain), or not any more. */
void kolk__mcp_stream_take(struct mcp_stream *stream, struct mcp_loop *reader);
void kolk__mcp_stream_leave(struct mcp_stream *stream);
/* No kolk__mcp_pipe_drain is about to run. */
bool kolk__mcp_stream_is_quiet(struct mcp_stream *stream);
/* kolk__mcp_pipe_drain will run. */
void kolk__mcp_stream_wake(struct mcp_stream *stream);
/* The next message, the caller's; NULL = none now. */
struct mcp_event *kolk__mcp_stream_next(struct mcp_stream *stream);
/* Why it ended; KOLK_OK = it did not. */
enum kolk_err kolk__mcp_stream_ended(struct mcp_stream *stream);

#endif
