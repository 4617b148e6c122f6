/* SPDX-License-Identifier: Apache-2.0 */
/* stream_queue.c - time-outs of streams without a timer for each one. See stream.h. */
#include "transport/stream.h"

#include "core/base/atomic.h"

static void arm(struct kolk__stream_queue *queue)
{
	struct kolk__io_loop *loop = queue->acceptor->loop;
	uint64_t tick_ns = queue->time_ns / KOLK__TICKS + 1;

	kolk__timeout_start(loop, &queue->timer, kolk__link_now(loop->transport) + tick_ns);
}

/* Those that were there when it fired: who joins again from within late has this tick. */
static void on_tick(struct kolk__timeout *timeout)
{
	struct kolk__stream_queue *queue = (struct kolk__stream_queue *)(void *)timeout;
	struct kolk_stream *stream;

	queue->ticks++;
	while ((stream = queue->first) != NULL && queue->ticks - stream->tick > queue->lag) {
		kolk__stream_queue_leave(stream);
		queue->late(stream);
	}
	if (queue->first != NULL)
		arm(queue);
}

void kolk__stream_queue_init(struct kolk__stream_queue *queue, struct kolk__acceptor *acceptor,
			     uint64_t time_ns, void (*late)(struct kolk_stream *stream))
{
	*queue = (struct kolk__stream_queue){ .timer.fire = on_tick, .acceptor = acceptor,
					      .time_ns = time_ns, .lag = KOLK__TICKS,
					      .late = late };
}

void kolk__stream_queue_join(struct kolk__stream_queue *queue, struct kolk_stream *stream)
{
	KOLK__ON_LOOP(queue->acceptor->loop);
	KOLK__ASSERT(stream->queue == NULL);
	if (queue->time_ns == KOLK_FOREVER)
		return;
	stream->queue = queue;
	stream->tick = queue->ticks;
	stream->queue_next = NULL;
	stream->queue_prev = queue->last;
	*(queue->last != NULL ? &queue->last->queue_next : &queue->first) = stream;
	queue->last = stream;
	if (!kolk__timer_is_armed(&queue->timer.timer))
		arm(queue);
}

void kolk__stream_queue_leave(struct kolk_stream *stream)
{
	struct kolk__stream_queue *queue = stream->queue;

	if (queue == NULL)
		return;
	*(stream->queue_prev != NULL ? &stream->queue_prev->queue_next : &queue->first) =
		stream->queue_next;
	*(stream->queue_next != NULL ? &stream->queue_next->queue_prev : &queue->last) =
		stream->queue_prev;
	stream->queue = NULL;
}
