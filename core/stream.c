/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.c - streams as their handlers see them (kolk/listen.h): is it the process and the thread
 * that may, then on to the transport.
 */
#include "core/listener.h"

#include "core/options.h"

static struct kolk_engine *engine_of(const struct kolk_stream *stream)
{
	const struct kolk_listener *listener = kolk__stream_listener(stream);

	return listener->engine;
}

/* A fork's child has its parent's sockets, and leaves them alone. */
static bool is_ours(const struct kolk_stream *stream)
{
	if (kolk__is_child(engine_of(stream)))
		return false;
	KOLK__OWNER(kolk_stream_loop(stream));
	return true;
}

enum kolk_err kolk_stream_send(struct kolk_stream *stream, struct kolk_io *memory, const void *data,
			       size_t size, kolk_io_fn *callback, void *user)
{
	struct kolk__io *io = (struct kolk__io *)(void *)memory;
	enum kolk_err err;

	if (kolk__is_child(engine_of(stream)))
		return KOLK_E_FORKED;
	if (!kolk__is_owner(kolk_stream_loop(stream)))
		return KOLK_E_THREAD;
	err = kolk__stream_may_send(stream);
	if (err != KOLK_OK) /* io may be in flight */
		return err;
	*io = (struct kolk__io){ .callback = callback, .user = user, .data = data, .size = size,
				 .sending = 1 };
	return kolk__stream_send(stream, io);
}

void kolk_stream_pause(struct kolk_stream *stream)
{
	if (is_ours(stream))
		kolk__stream_pause(stream);
}

void kolk_stream_resume(struct kolk_stream *stream)
{
	if (is_ours(stream))
		kolk__stream_resume(stream);
}

void kolk_stream_close(struct kolk_stream *stream)
{
	if (is_ours(stream))
		kolk__stream_close(stream);
}

void kolk_stream_reset(struct kolk_stream *stream)
{
	if (is_ours(stream))
		kolk__stream_reset(stream);
}

void kolk_stream_peer(const struct kolk_stream *stream, struct kolk_stream_peer *out)
{
	struct kolk_stream_peer copy, *peer = kolk__sized_size(out) == sizeof copy ? out : &copy;

	if (!is_ours(stream))
		return;
	*peer = (struct kolk_stream_peer)KOLK_INIT(kolk_stream_peer);
	kolk__stream_peer(stream, peer);
	if (peer == &copy)
		(void)kolk__sized_write(out, peer);
}

struct kolk_loop *kolk_stream_loop(const struct kolk_stream *stream)
{
	return &engine_of(stream)->shards[kolk__stream_loop_index(stream)];
}

struct kolk_listener *kolk_stream_listener(const struct kolk_stream *stream)
{
	return kolk__stream_listener(stream);
}

void kolk_stream_bytes(const struct kolk_stream *stream, uint64_t *received, uint64_t *sent)
{
	kolk__stream_bytes(stream, received, sent);
}
