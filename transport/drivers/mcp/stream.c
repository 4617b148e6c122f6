/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.c - the stream of a session of HTTP+SSE: received on its home, read on the loop of the
 * session's holder.
 *
 *   get -- events --> home -- queue --> to_reader --> kolk__mcp_pipe_drain
 *                       ^                               |
 *                       +----------- to_home <----------+ there is room again
 */
#include <stdlib.h>

#include "transport/drivers/mcp/inside.h"

/* Above the one the server is slowed down, until the reader is below the other. */
enum { QUEUE_HIGH = 1 << 20, QUEUE_LOW = 1 << 18 };

static void at_reader(struct kolk_call *call, void *user);
static void at_home(struct kolk_call *call, void *user);

/* ---- under the lock */

static void post_reader(struct mcp_stream *stream)
{
	if (stream->reader_posted || stream->reader == NULL)
		return;
	stream->reader_posted = kolk_loop_call(stream->reader->loop, &stream->to_reader, at_reader,
					       stream) == KOLK_OK;
}

static void post_home(struct mcp_stream *stream)
{
	if (!stream->home_posted)
		stream->home_posted = kolk_loop_call(stream->home->loop, &stream->to_home, at_home,
						     stream) == KOLK_OK;
}

static void drop_all(struct mcp_stream *stream)
{
	struct mcp_event *next;

	for (struct mcp_event *event = stream->first; event != NULL; event = next) {
		next = event->next;
		free(event);
	}
	stream->first = NULL;
	stream->last = &stream->first;
	stream->queued = 0;
}

/* ---- what comes, on home */

static void answer_ping(void *user, const struct mcp_message *message)
{
	const struct mcp_stream *stream = user;

	kolk__mcp_note_pong(stream->home, stream->pipe, message);
}

static bool enqueue(struct mcp_stream *stream, struct mcp_event *event)
{
	bool is_read, pause;

	(void)pthread_mutex_lock(&stream->lock);
	is_read = stream->reader != NULL;
	if (is_read) {
		*stream->last = event;
		stream->last = &event->next;
		stream->queued += event->size;
		post_reader(stream);
	}
	pause = is_read && !stream->paused && stream->queued > QUEUE_HIGH;
	stream->paused |= pause;
	(void)pthread_mutex_unlock(&stream->lock);
	if (pause)
		kolk_http_pause(stream->get.exchange);
	return is_read;
}

static enum kolk_err take_message(struct mcp_stream *stream, const char *text, size_t size)
{
	const struct mcp_reading reading = { .text = text, .size = size, .show = answer_ping,
					     .user = stream };
	struct mcp_event *event = malloc(sizeof *event + size);

	if (event == NULL)
		return KOLK_E_MEMORY;
	event->next = NULL;
	event->size = size;
	memcpy(event->text, text, size);
	if (enqueue(stream, event))
		return KOLK_OK;
	free(event);
	(void)kolk__mcp_messages_read(&reading);
	return KOLK_OK;
}

static bool is_type(const struct mcp_post *post, const char *type)
{
	return mcp_text_is((struct mcp_text){ post->sse->type, post->sse->type_size }, type);
}

static enum kolk_err on_event(struct mcp_post *post)
{
	struct mcp_stream *stream = mcp_container_of(post, struct mcp_stream, get);

	if (stream->closing || post->size == 0)
		return KOLK_OK;
	if (stream->named && (post->sse->type_size == 0 || is_type(post, "message")))
		return take_message(stream, post->text, post->size);
	if (!stream->named && is_type(post, "endpoint")) {
		stream->named = true;
		stream->on_endpoint(stream->user, (struct mcp_text){ post->text, post->size });
	}
	return KOLK_OK;
}

/* ---- the end */

/* It is told to close, and nothing of it runs any more. */
static void check_closed(struct mcp_stream *stream)
{
	bool busy;

	if (!stream->closing || stream->open)
		return;
	(void)pthread_mutex_lock(&stream->lock);
	busy = stream->home_posted || stream->reader_posted;
	(void)pthread_mutex_unlock(&stream->lock);
	if (!busy)
		stream->on_closed(stream->user);
}

static enum kolk_err judge(const struct mcp_post *post, enum kolk_err err)
{
	if (err != KOLK_OK)
		return err;
	if (post->status == 401 || post->status == 403)
		return KOLK_E_AUTH;
	if (post->status != 200)
		return KOLK_E_SERVER;
	return post->body == MCP_BODY_EVENTS ? KOLK_E_CLOSED : KOLK_E_PROTOCOL;
}

static void on_end(struct mcp_post *post, enum kolk_err err)
{
	struct mcp_stream *stream = mcp_container_of(post, struct mcp_stream, get);

	stream->open = false;
	err = judge(post, err);
	if (err == KOLK_E_AUTH)
		kolk__mcp_refused(stream->pipe->session->identity, post);
	(void)pthread_mutex_lock(&stream->lock);
	stream->ended = err;
	post_reader(stream);
	(void)pthread_mutex_unlock(&stream->lock);
	check_closed(stream);
}

static void at_home(struct kolk_call *call, void *user)
{
	struct mcp_stream *stream = user;
	bool resume;

	(void)call;
	(void)pthread_mutex_lock(&stream->lock);
	stream->home_posted = false;
	resume = stream->paused && stream->queued <= QUEUE_LOW;
	if (resume)
		stream->paused = false;
	(void)pthread_mutex_unlock(&stream->lock);
	if (resume && stream->open && !stream->closing)
		kolk_http_resume(stream->get.exchange);
	check_closed(stream);
}

void kolk__mcp_stream_close(struct mcp_stream *stream, void (*on_closed)(void *user), void *user)
{
	stream->closing = true;
	stream->on_closed = on_closed;
	stream->user = user;
	if (stream->open)
		kolk__mcp_post_cancel(&stream->get, KOLK_E_CANCELLED);
	(void)pthread_mutex_lock(&stream->lock);
	post_home(stream);
	(void)pthread_mutex_unlock(&stream->lock);
}

/* ---- the beginning */

struct mcp_stream *kolk__mcp_stream_make(struct mcp_loop *home, void *user,
					 void (*on_endpoint)(void *user, struct mcp_text endpoint))
{
	struct mcp_stream *stream = calloc(1, sizeof *stream);

	if (stream == NULL)
		return NULL;
	(void)pthread_mutex_init(&stream->lock, NULL);
	stream->home = home;
	stream->user = user;
	stream->on_endpoint = on_endpoint;
	stream->last = &stream->first;
	return stream;
}

enum kolk_err kolk__mcp_stream_begin(struct mcp_stream *stream, struct mcp_identity *identity)
{
	static const struct mcp_post_handler handler = { .event = on_event, .end = on_end };
	const struct mcp_post_options options = { .method = "GET", .identity = identity,
						  .deadline_ns = KOLK_FOREVER };
	enum kolk_err err = kolk__mcp_post_start(&stream->get, stream->home, &handler, &options);

	stream->open = err == KOLK_PENDING;
	return err;
}

void kolk__mcp_stream_free(struct mcp_stream *stream)
{
	drop_all(stream);
	(void)pthread_mutex_destroy(&stream->lock);
	free(stream);
}

/* ---- the reader */

static void at_reader(struct kolk_call *call, void *user)
{
	struct mcp_stream *stream = user;
	bool is_read;

	(void)call;
	(void)pthread_mutex_lock(&stream->lock);
	stream->reader_posted = false;
	is_read = stream->reader != NULL;
	(void)pthread_mutex_unlock(&stream->lock);
	if (!is_read && stream->pipe->making == NULL && !stream->pipe->returning)
		check_closed(stream); /* its making failed: this is home */
	else
		kolk__mcp_pipe_drain(stream->pipe);
}

void kolk__mcp_stream_take(struct mcp_stream *stream, struct mcp_loop *reader)
{
	(void)pthread_mutex_lock(&stream->lock);
	stream->reader = reader;
	if (stream->ended != KOLK_OK)
		post_reader(stream);
	(void)pthread_mutex_unlock(&stream->lock);
}

void kolk__mcp_stream_leave(struct mcp_stream *stream)
{
	(void)pthread_mutex_lock(&stream->lock);
	stream->reader = NULL;
	drop_all(stream);
	if (stream->paused)
		post_home(stream);
	(void)pthread_mutex_unlock(&stream->lock);
}

bool kolk__mcp_stream_is_quiet(struct mcp_stream *stream)
{
	bool quiet;

	(void)pthread_mutex_lock(&stream->lock);
	quiet = !stream->reader_posted;
	(void)pthread_mutex_unlock(&stream->lock);
	return quiet;
}

void kolk__mcp_stream_wake(struct mcp_stream *stream)
{
	(void)pthread_mutex_lock(&stream->lock);
	post_reader(stream);
	(void)pthread_mutex_unlock(&stream->lock);
}

struct mcp_event *kolk__mcp_stream_next(struct mcp_stream *stream)
{
	struct mcp_event *event;

	(void)pthread_mutex_lock(&stream->lock);
	event = stream->first;
	if (event != NULL) {
		stream->first = event->next;
		if (stream->first == NULL)
			stream->last = &stream->first;
		stream->queued -= event->size;
		if (stream->paused && stream->queued <= QUEUE_LOW)
			post_home(stream);
	}
	(void)pthread_mutex_unlock(&stream->lock);
	return event;
}

enum kolk_err kolk__mcp_stream_ended(struct mcp_stream *stream)
{
	enum kolk_err ended;

	(void)pthread_mutex_lock(&stream->lock);
	ended = stream->first == NULL ? stream->ended : KOLK_OK;
	(void)pthread_mutex_unlock(&stream->lock);
	return ended;
}
