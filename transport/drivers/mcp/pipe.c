/* SPDX-License-Identifier: Apache-2.0 */
/* pipe.c - messages over a wire. */
#include <stdlib.h>

#include "transport/drivers/mcp/inside.h"

/* How long a child may not read. */
#define SEND_NS (30 * KOLK_S_NS)

enum {
	LINE_KEPT_MAX = 65536, /* memory for a message that is kept for the next one */
	/* Replies that wait for a server that does not read: above, nothing is received. */
	REPLIES_MAX = 1 << 20
};

static void on_received(void *user, enum kolk_err err, size_t size);
static void on_sent(void *user, enum kolk_err err, size_t size);

/* ---- quiet */

void kolk__mcp_pipe_drop_first(struct mcp_pipe *pipe)
{
	struct mcp_line *line = pipe->first;

	pipe->first = line->next;
	if (pipe->first == NULL)
		pipe->last = &pipe->first;
	pipe->replies -= line->reply;
	free(line);
}

/* Nothing is in flight, and no callback of it runs: what waits for that. */
void kolk__mcp_pipe_settle(struct mcp_pipe *pipe)
{
	struct kolk_lease lease = pipe->returned;

	if (pipe->inside > 0 || pipe->failing || pipe->sending || pipe->receiving ||
	    (pipe->stream != NULL && !kolk__mcp_stream_is_quiet(pipe->stream)))
		return;
	if (pipe->making != NULL && pipe->making_waits && pipe->broken == KOLK_OK)
		return; /* for a message that nothing in flight brings */
	if (pipe->making != NULL) {
		pipe->making_step(pipe->making, pipe->broken);
	} else if (pipe->returning) {
		pipe->returning = false;
		if (pipe->again && pipe->broken == KOLK_OK)
			(void)kolk_release(&lease);
		else
			(void)kolk_discard(&lease);
	}
}

/* All that is to be sent; but what is in flight is on_sent's. */
static void drop_lines(struct mcp_pipe *pipe)
{
	struct mcp_line **end = &pipe->first, *line;

	if (pipe->sending && pipe->wire->move == NULL && pipe->first != NULL) {
		end = &pipe->first->next;
		(void)kolk_io_cancel(&pipe->send);
	}
	while ((line = *end) != NULL) {
		*end = line->next;
		pipe->replies -= line->reply;
		free(line);
	}
	pipe->last = end;
}

/* The child is lost, with all that is on it. It may have done what it was asked for: its calls do
 * not end with E_MEMORY, which says that it did not get them. */
void kolk__mcp_pipe_break(struct mcp_pipe *pipe, enum kolk_err err)
{
	enum kolk_err call_err = err != KOLK_E_MEMORY ? err : KOLK_E_CLOSED;

	if (pipe->broken != KOLK_OK)
		return;
	pipe->broken = err;
	drop_lines(pipe);
	if (pipe->stream != NULL && pipe->making == NULL && !pipe->session->lost)
		kolk__add_relaxed(&pipe->loop->counts.lost, 1);
	if (pipe->session != NULL)
		pipe->session->lost = true;
	while (!mcp_list_empty(&pipe->calls)) {
		struct kolk_mcp_call *call =
			mcp_container_of(pipe->calls.next, struct kolk_mcp_call, link);

		kolk__mcp_pipe_remove(call);
		call->broken = call_err;
		if (!call->on_wire) /* otherwise its post says whether it was processed */
			kolk__mcp_call_broken(call, call_err);
	}
}

static void on_failing(struct kolk_call *call, void *user)
{
	struct mcp_pipe *pipe = user;

	(void)call;
	pipe->failing = false;
	pipe->inside++;
	kolk__mcp_pipe_break(pipe, pipe->why);
	pipe->inside--;
	kolk__mcp_pipe_settle(pipe);
}

/* The same from step: calls may not end inside of kolk_mcp_start. */
void kolk__mcp_pipe_break_soon(struct mcp_pipe *pipe, enum kolk_err err)
{
	if (pipe->failing || pipe->broken != KOLK_OK)
		return;
	pipe->why = err;
	pipe->failing = kolk_loop_call(pipe->loop->loop, &pipe->call, on_failing, pipe) == KOLK_OK;
}

/* ---- send */

void kolk__mcp_pipe_send_next(struct mcp_pipe *pipe)
{
	enum kolk_err err;

	if (pipe->sending || pipe->failing || pipe->first == NULL || pipe->broken != KOLK_OK)
		return;
	if (pipe->wire->move != NULL) {
		err = pipe->wire->move(pipe);
		if (err != KOLK_OK)
			kolk__mcp_pipe_break_soon(pipe, err);
		return;
	}
	err = kolk_send_async(pipe->loop->loop, &pipe->child, &pipe->send, pipe->first->text,
			      pipe->first->size,
			      pipe->making != NULL ? pipe->making_ns : kolk_in_ns(SEND_NS), on_sent,
			      pipe);
	pipe->sending = err == KOLK_PENDING;
	if (!pipe->sending)
		kolk__mcp_pipe_break_soon(pipe, err);
}

static void on_sent(void *user, enum kolk_err err, size_t size)
{
	struct mcp_pipe *pipe = user;

	(void)size;
	pipe->sending = false;
	pipe->inside++;
	if (pipe->first != NULL)
		kolk__mcp_pipe_drop_first(pipe);
	if (err != KOLK_OK)
		kolk__mcp_pipe_break(pipe, err);
	kolk__mcp_pipe_send_next(pipe);
	kolk__mcp_pipe_receive(pipe);
	pipe->inside--;
	kolk__mcp_pipe_settle(pipe);
}

struct mcp_line *kolk__mcp_line_make(size_t size)
{
	struct mcp_line *line = malloc(sizeof *line + size);

	if (line == NULL)
		return NULL;
	line->next = NULL;
	line->size = size;
	return line;
}

void kolk__mcp_pipe_queue(struct mcp_pipe *pipe, struct mcp_line *line)
{
	line->reply = pipe->replying ? line->size : 0;
	pipe->replies += line->reply;
	*pipe->last = line;
	pipe->last = &line->next;
}

enum kolk_err kolk__mcp_pipe_send(struct mcp_pipe *pipe, char *message)
{
	enum kolk_err err = pipe->broken;

	pipe->replying = true;
	if (err == KOLK_OK)
		err = pipe->wire->encode(pipe, message, strlen(message));
	pipe->replying = false;
	free(message);
	if (err != KOLK_OK)
		return err;
	if (pipe->session != NULL) /* else it is sent with what makes one */
		kolk__mcp_pipe_send_next(pipe);
	return KOLK_PENDING;
}

static enum kolk_err encode_call(struct mcp_pipe *pipe, const struct kolk_mcp_call *call)
{
	const struct mcp_modern *modern = call->as_modern;

	if (call->listen)
		return KOLK_OK;
	return modern != NULL ? pipe->wire->encode(pipe, modern->body, modern->body_size) :
				pipe->wire->encode(pipe, call->body, call->body_size);
}

/* The line is queued last: from then on it is sent, and E_MEMORY would be wrong. */
static enum kolk_err queue_call(struct mcp_pipe *pipe, struct kolk_mcp_call *call)
{
	enum kolk_err err;

	if (pipe->broken != KOLK_OK)
		return pipe->broken;
	if (call->notification)
		return encode_call(pipe, call);
	if (!kolk__mcp_pipe_add(pipe, call))
		return KOLK_E_MEMORY;
	err = encode_call(pipe, call);
	if (err == KOLK_OK)
		call->on_wire = true;
	else
		kolk__mcp_pipe_remove(call);
	return err;
}

void kolk__mcp_pipe_send_call(struct mcp_pipe *pipe, struct kolk_mcp_call *call)
{
	enum kolk_err err;

	if (pipe->broken == KOLK_OK && pipe->stream != NULL) {
		kolk__mcp_pipe_post(pipe, call);
		return;
	}
	err = queue_call(pipe, call);
	if (err != KOLK_OK || call->notification)
		kolk__mcp_call_end_soon(call, err);
	kolk__mcp_pipe_receive(pipe);
	kolk__mcp_pipe_send_next(pipe);
}

/* ---- receive */

bool kolk__mcp_pipe_is_awaited(const struct mcp_pipe *pipe)
{
	if (pipe->paused > 0)
		return false;
	return pipe->broken == KOLK_OK && (pipe->making_waits || !mcp_list_empty(&pipe->calls) ||
					   (pipe->wire->listens && pipe->leased));
}

void kolk__mcp_pipe_receive(struct mcp_pipe *pipe)
{
	enum kolk_err err;

	if (pipe->receiving || pipe->taking || pipe->failing || pipe->stream != NULL ||
	    !kolk__mcp_pipe_is_awaited(pipe))
		return;
	if (pipe->wire->move != NULL) {
		err = pipe->wire->move(pipe);
		if (err != KOLK_OK)
			kolk__mcp_pipe_break_soon(pipe, err);
		return;
	}
	if (pipe->replies > REPLIES_MAX)
		return; /* on_sent goes on */
	err = kolk_recv_async(pipe->loop->loop, &pipe->child, &pipe->recv, pipe->chunk,
			      MCP_PIPE_CHUNK,
			      pipe->making != NULL ? pipe->making_ns : KOLK_FOREVER, on_received,
			      pipe);
	pipe->receiving = err == KOLK_PENDING;
	if (!pipe->receiving)
		kolk__mcp_pipe_break_soon(pipe, err);
}

void kolk__mcp_pipe_resume(struct mcp_pipe *pipe)
{
	if (pipe->stream != NULL)
		kolk__mcp_stream_wake(pipe->stream);
	else
		kolk__mcp_pipe_receive(pipe);
}

enum kolk_err kolk__mcp_pipe_end_message(struct mcp_pipe *pipe)
{
	const struct mcp_reading reading = { .text = pipe->line, .size = pipe->size,
					     .batch_max = MCP_PIPE_BATCH_MAX,
					     .show = kolk__mcp_pipe_message, .user = pipe };
	enum kolk_err err = KOLK_OK;

	if (pipe->dropped != NULL)
		err = kolk__mcp_pipe_drop_end(pipe);
	else if (pipe->size > 0)
		err = kolk__mcp_messages_read(&reading);
	pipe->size = 0;
	if (pipe->capacity > LINE_KEPT_MAX) {
		free(pipe->line);
		pipe->line = NULL;
		pipe->capacity = 0;
	}
	return err;
}

enum kolk_err kolk__mcp_pipe_append(struct mcp_pipe *pipe, const char *data, size_t size)
{
	size_t capacity = pipe->capacity == 0 ? 4096 : pipe->capacity;
	char *line;

	if (pipe->dropped != NULL ||
	    pipe->size + size > pipe->loop->mcp->options.message_bytes_max)
		return kolk__mcp_pipe_drop(pipe, data, size);
	while (capacity < pipe->size + size)
		capacity *= 2;
	if (capacity != pipe->capacity) {
		line = realloc(pipe->line, capacity);
		if (line == NULL)
			return KOLK_E_MEMORY;
		pipe->line = line;
		pipe->capacity = capacity;
	}
	memcpy(pipe->line + pipe->size, data, size);
	pipe->size += size;
	return KOLK_OK;
}

static enum kolk_err take(struct mcp_pipe *pipe, const char *data, size_t size)
{
	enum kolk_err err;

	pipe->taking = true;
	err = pipe->wire->take(pipe, data, size);
	pipe->taking = false;
	return err;
}

static void on_received(void *user, enum kolk_err err, size_t size)
{
	struct mcp_pipe *pipe = user;

	pipe->receiving = false;
	pipe->inside++;
	if (err == KOLK_OK)
		err = take(pipe, pipe->chunk, size);
	if (err != KOLK_OK && err != KOLK_E_CANCELLED)
		kolk__mcp_pipe_break(pipe, err);
	kolk__mcp_pipe_receive(pipe);
	pipe->inside--;
	kolk__mcp_pipe_settle(pipe);
}

void kolk__mcp_pipe_feed(struct mcp_pipe *pipe, const char *data, size_t size)
{
	enum kolk_err err;

	pipe->inside++;
	err = take(pipe, data, size);
	if (err != KOLK_OK)
		kolk__mcp_pipe_break(pipe, err);
	kolk__mcp_pipe_receive(pipe);
	pipe->inside--;
	kolk__mcp_pipe_settle(pipe);
}

/* ---- life */

void kolk__mcp_pipe_set_wire(struct mcp_pipe *pipe, const struct mcp_wire *wire, void *user)
{
	pipe->wire = wire;
	pipe->wire_user = user;
}

static struct mcp_pipe *make(struct mcp_loop *loop, size_t chunk)
{
	struct mcp_pipe *pipe = calloc(1, sizeof *pipe + chunk);

	if (pipe == NULL)
		return NULL;
	pipe->loop = loop;
	pipe->wire = &kolk__mcp_lines;
	pipe->last = &pipe->first;
	mcp_list_init(&pipe->calls);
	return pipe;
}

struct mcp_pipe *kolk__mcp_pipe_open(struct mcp_loop *loop, const struct kolk_lease *child)
{
	struct mcp_pipe *pipe = make(loop, MCP_PIPE_CHUNK);

	if (pipe != NULL)
		pipe->child = *child;
	return pipe;
}

struct mcp_pipe *kolk__mcp_pipe_open_stream(struct mcp_loop *loop, struct mcp_stream *stream)
{
	struct mcp_pipe *pipe = make(loop, 0);

	if (pipe == NULL)
		return NULL;
	pipe->stream = stream;
	stream->pipe = pipe;
	return pipe;
}

void kolk__mcp_pipe_close(struct mcp_pipe *pipe)
{
	if (pipe->wire->close != NULL)
		pipe->wire->close(pipe);
	if (pipe->stream != NULL)
		kolk__mcp_stream_free(pipe->stream);
	else if (pipe->wire->move == NULL)
		(void)kolk_discard(&pipe->child);
	while (pipe->first != NULL)
		kolk__mcp_pipe_drop_first(pipe);
	kolk__table_free(&pipe->by_id);
	free(pipe->line);
	free(pipe->dropped);
	free(pipe);
}

void kolk__mcp_pipe_take(struct mcp_pipe *pipe, struct mcp_loop *loop)
{
	pipe->loop = loop;
	pipe->leased = true;
	if (pipe->stream != NULL)
		kolk__mcp_stream_take(pipe->stream, loop);
	kolk__mcp_pipe_receive(pipe);
}

bool kolk__mcp_pipe_is_dead(const struct mcp_pipe *pipe)
{
	struct kolk_lease_info info = KOLK_INIT(kolk_lease_info);

	if (pipe->stream != NULL)
		return pipe->broken != KOLK_OK ||
		       kolk__mcp_stream_ended(pipe->stream) != KOLK_OK;
	if (pipe->wire->move != NULL)
		return pipe->broken != KOLK_OK;
	return pipe->broken != KOLK_OK || kolk_lease_info(&pipe->child, &info) != KOLK_OK ||
	       info.outdated != 0;
}

void kolk__mcp_pipe_return(struct mcp_pipe *pipe, const struct kolk_lease *lease, bool again)
{
	pipe->returned = *lease;
	pipe->again = again;
	pipe->returning = true;
	pipe->leased = false;
	if (pipe->stream != NULL)
		kolk__mcp_stream_leave(pipe->stream);
	if (pipe->receiving)
		(void)kolk_io_cancel(&pipe->recv);
	kolk__mcp_pipe_settle(pipe);
}
