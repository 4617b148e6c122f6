/* SPDX-License-Identifier: Apache-2.0 */
/* input.c - streams, watches, and the bytes that were not read yet. See input.h. */
#include "transport/input.h"

#include <errno.h>
#include <string.h>

#include "core/base/atomic.h"
#include "transport/exchange.h"
#include "transport/upstream.h"

static void on_stream(struct kolk_op *op);

static void stream_submit(struct kolk__link *link)
{
	KOLK__HOME(link);
	link->paused = false;
	kolk__op_fd(&link->watch_op, KOLK_OP_STREAM, link->fd);
	kolk__submit(link->loop, &link->watch_op, on_stream, link);
}

/* The buffer has space again. An idle connection, too, must notice what its peer does. */
static void stream_resume(struct kolk__link *link)
{
	if (link->paused && !link->ended && !link->watch_op.in_flight)
		stream_submit(link);
}

/* ---- bytes */

enum { RECEIVE_MIN = 4096, RECEIVE_BULK = 17 * 1024 }; /* the second holds a whole TLS record */
enum { SPARE_MIN = 32 * 1024, SPARE_MAX = 256 * 1024 };

uint8_t *kolk__input_reserve(struct kolk__link *link, size_t *size)
{
	KOLK__AT_HOME(link, kolk__load_relaxed(&link->streaming));
	if (!kolk__buffer_reserve(link->loop->transport, &link->in,
				  link->bulk ? RECEIVE_BULK : RECEIVE_MIN))
		return NULL;
	*size = link->in.capacity - link->in.end;
	return link->in.bytes + link->in.end;
}

void kolk__input_received(struct kolk__link *link, size_t size)
{
	link->in.end += (uint32_t)size;
	kolk__add_relaxed(&link->loop->unread, size);
	link->bulk = link->in.end == link->in.capacity;
}

/* A peer that sends faster than its answers are read fills a large buffer for a moment. Fresh
 * memory of that size costs more than the bytes in it (page faults), so the loop keeps a few such
 * buffers and lends them to its links. Only the home loop uses them. */
bool kolk__input_add(struct kolk__link *link, const uint8_t *bytes, size_t size)
{
	struct kolk__io_loop *loop = link->loop;
	size_t used = kolk__input_size(link);

	KOLK__HOME(link);
	if (used + size > link->in.capacity && used + size > SPARE_MIN && loop->spares > 0 &&
	    loop->spare[loop->spares - 1].capacity >= used + size) {
		struct kolk__buffer large = loop->spare[--loop->spares];

		if (used > 0)
			memcpy(large.bytes, link->in.bytes + link->in.start, used);
		large.end = (uint32_t)used;
		kolk__buffer_free(loop->transport, &link->in);
		link->in = large;
	}
	if (!kolk__buffer_reserve(loop->transport, &link->in, size))
		return false;
	memcpy(link->in.bytes + link->in.end, bytes, size);
	link->in.end += (uint32_t)size;
	kolk__add_relaxed(&loop->unread, size);
	return true;
}

static void keep_spare(struct kolk__link *link)
{
	struct kolk__io_loop *loop = link->loop;

	if (link->in.capacity <= SPARE_MIN || link->in.capacity > SPARE_MAX ||
	    loop->spares == KOLK__SPARES || !kolk__load_relaxed(&link->streaming))
		return;
	loop->spare[loop->spares++] = link->in;
	link->in = (struct kolk__buffer){ 0 };
}

static uint32_t unread_of(const struct kolk__link *link)
{
	return (uint32_t)kolk__input_size(link) | (link->ended ? KOLK__UNREAD_END : 0);
}

size_t kolk__input_take(struct kolk__link *link, void *bytes, size_t size)
{
	size_t available = kolk__input_size(link);

	KOLK__AT_HOME(link, kolk__load_relaxed(&link->streaming));
	if (size > available)
		size = available;
	if (size == 0)
		return 0;
	memcpy(bytes, link->in.bytes + link->in.start, size);
	link->in.start += (uint32_t)size;
	kolk__sub_relaxed(&link->loop->unread, size);
	if (link->in.start == link->in.end) {
		link->in.start = link->in.end = 0;
		keep_spare(link);
	}
	kolk__store_release(&link->unread, unread_of(link));
	if (kolk__input_size(link) == 0 && kolk__load_relaxed(&link->streaming))
		stream_resume(link);
	return size;
}

void kolk__input_free(struct kolk__link *link)
{
	kolk__sub_relaxed(&link->loop->unread, kolk__input_size(link));
	kolk__buffer_free(link->loop->transport, &link->in);
}

uint64_t kolk__io_loop_unread(const struct kolk__io_loop *loop)
{
	return kolk__load_relaxed(&loop->unread);
}

/* ---- the stream */

static void stream_begin(struct kolk__link *link)
{
	KOLK__HOME(link);
	link->wants_stream = false;
	kolk__store_release(&link->streaming, 1);
	stream_submit(link);
}

static void stream_pause(struct kolk__link *link)
{
	KOLK__HOME(link);
	link->paused = true;
	kolk__cancel(link->loop, &link->watch_op);
}

/* Repeat the read that waits for the stream; it may have to wait again. */
static void resume_pending_read(struct kolk__link *link)
{
	struct kolk__io *io = link->read_waits ? link->receiving : NULL;

	link->read_waits = false;
	if (kolk__link_is_in_maintenance(link))
		kolk__exchange_on_read(link);
	else if (io != NULL)
		kolk__io_resume(io);
}

static void stream_failed(struct kolk__link *link, int32_t result)
{
	KOLK__HOME(link);
	link->ended = true;
	link->end_error = (int16_t)result; /* -errno: above -4096 */
	kolk__store_sc(&link->unread, unread_of(link)); /* STREAM.SC */
	kolk__link_retire(link, kolk__link_reason(kolk__err_of(result)));
	resume_pending_read(link);
}

static void report_unsolicited(struct kolk__link *link)
{
	if (link->tls != NULL || link->upstream->driver->heard != NULL)
		link->loop->transport->callbacks.on_unsolicited(link->connection);
	else
		kolk__link_retire(link, KOLK_REASON_PEER_DATA);
}

/* Directly into the pending read, or into one that was completed in this iteration and whose
 * callback has not run yet: an answer that arrives in pieces is copied once and reported once. */
static size_t fill_pending_read(struct kolk__link *link, const uint8_t *bytes, size_t size)
{
	struct kolk__io *io = link->read_waits || link->read_ready ? link->receiving : NULL;

	if (io == NULL || link->tls != NULL || kolk__input_size(link) != 0)
		return 0;
	if (size > io->size - io->moved)
		size = io->size - io->moved;
	memcpy(io->buffer + io->moved, bytes, size);
	io->moved += size;
	return size;
}

static void on_stream_data(struct kolk__link *link, const uint8_t *bytes, size_t size)
{
	bool waits = link->read_waits;
	size_t copied;

	KOLK__HOME(link);
	if (link->ended)
		return;
	copied = fill_pending_read(link, bytes, size);
	bytes += copied;
	size -= copied;
	if (size > 0 && !kolk__input_add(link, bytes, size)) {
		stream_pause(link);
		stream_failed(link, -ENOMEM);
		return;
	}
	if (size > 0)
		kolk__store_sc(&link->unread, (uint32_t)kolk__input_size(link)); /* STREAM.SC */
	if (kolk__input_size(link) > KOLK__UNREAD_MAX && !link->paused)
		stream_pause(link);
	link->read_ready = link->read_ready || (waits && copied > 0);
	if (waits || kolk__link_is_in_maintenance(link))
		resume_pending_read(link);
	else if (!kolk__load_sc(&link->used)) /* STREAM.SC: unsolicited */
		report_unsolicited(link);
}

void kolk__input_no_streams(struct kolk__io_loop *loop)
{
	if (!loop->no_streams)
		kolk__transport_log(loop->transport, KOLK_LOG_WARN,
				    "no multishot receive here: one operation per receive");
	loop->no_streams = true;
}

/* The last completion of the stream: it failed, it was paused, or it stops for another reader. */
static void stream_ended(struct kolk__link *link, int32_t result)
{
	KOLK__HOME(link);
	if (result == -EOPNOTSUPP)
		kolk__input_no_streams(link->loop);
	if (result == -EOPNOTSUPP || (result == -ECANCELED && link->handing_off)) {
		kolk__store_release(&link->streaming, 0); /* STREAM.R1 -> STREAM.A1 */
		kolk__input_watch(link);
		resume_pending_read(link);
	} else if (result != -ECANCELED) {
		stream_failed(link, result);
	} else if (link->read_waits || kolk__input_size(link) == 0) {
		stream_resume(link);
	}
}

static void handed_off(struct kolk__link *link);

static void on_stream(struct kolk_op *op)
{
	struct kolk__link *link = op->owner;

	if (link->phase == KOLK__CLOSING_LINK) {
		if (!op->in_flight)
			kolk__link_close_if_quiescent(link);
	} else if (op->in_flight) {
		on_stream_data(link, op->data, (size_t)op->result);
	} else {
		stream_ended(link, op->result);
		if (link->handing_off)
			handed_off(link);
	}
}

/* ---- watch, or stream */

static void on_watch(struct kolk_op *op)
{
	struct kolk__link *link = op->owner;

	if (link->phase == KOLK__CLOSING_LINK)
		kolk__link_close_if_quiescent(link);
	else if (op->result != -ECANCELED)
		kolk__link_retire(link, kolk__link_reason(kolk__err_of(op->result)));
	else
		kolk__input_resume_stream(link);
}

static bool may_stream(const struct kolk__link *link)
{
	return !link->handing_off && !link->loop->no_streams && !link->retired;
}

void kolk__input_watch(struct kolk__link *link)
{
	KOLK__HOME(link);
	if (may_stream(link) && kolk__load_relaxed(&link->upstream->streams)) {
		stream_begin(link);
		return;
	}
	kolk__op_fd(&link->watch_op, KOLK_OP_WATCH, link->fd);
	kolk__submit(link->loop, &link->watch_op, on_watch, link);
}

bool kolk__input_wait(struct kolk__link *link, struct kolk__io *io)
{
	KOLK__HOME(link);
	KOLK__ON_LOOP(io->loop);
	if (!kolk__load_relaxed(&link->streaming)) {
		if (!may_stream(link))
			return false;
		kolk__store_relaxed(&link->upstream->streams, true);
		link->wants_stream = true;
		if (link->watch_op.in_flight) {
			kolk__cancel(link->loop, &link->watch_op);
			return false; /* this once: the stream begins when both have ended */
		}
		stream_begin(link);
	}
	KOLK__ASSERT(link->receiving == io);
	link->read_waits = true;
	stream_resume(link);
	return true;
}

void kolk__input_resume_stream(struct kolk__link *link)
{
	KOLK__HOME(link);
	if (link->wants_stream && !link->watch_op.in_flight &&
	    !kolk__load_relaxed(&link->receives))
		stream_begin(link);
}

/* ---- another reader */

static void on_handed_off(struct kolk__task *task)
{
	struct kolk__link *link = kolk__link_of_task(task);

	KOLK__ON_LOOP(kolk__load_relaxed(&link->remote_reader));
	kolk__store_relaxed(&link->remote_reader, NULL);
	kolk__store_release(&link->task_posted, 0);
	kolk__io_handed_off(link);
}

/* The socket belongs to the holder now: notify it where it waits. A task that is already on its way
 * here is another request, and is answered when it arrives. */
static void handed_off(struct kolk__link *link)
{
	const struct kolk_sys *sys = link->loop->transport->sys;
	struct kolk__io_loop *remote_reader = kolk__load_sc(&link->remote_reader); /* HANDOFF.SC */

	KOLK__HOME(link);
	kolk__store_release(&link->streaming, 0); /* STREAM.R1 -> STREAM.A1 */
	if (remote_reader == NULL)
		sys->wake(sys->context, kolk__futex(&link->streaming), UINT32_MAX);
	else if (!kolk__exchange_sc(&link->task_posted, 1))
		kolk__io_loop_post(remote_reader, &link->task, on_handed_off);
}

static void on_hand_off_requested(struct kolk__task *task)
{
	struct kolk__link *link = kolk__link_of_task(task);

	KOLK__HOME(link);
	(void)kolk__exchange_sc(&link->task_posted, 0); /* HANDOFF.SC */
	if (link->phase == KOLK__CLOSING_LINK) {
		kolk__link_close_if_quiescent(link);
		return;
	}
	link->handing_off = true;
	if (link->watch_op.in_flight && kolk__load_relaxed(&link->streaming)) {
		kolk__cancel(link->loop, &link->watch_op); /* on_stream continues */
		return;
	}
	if (!link->watch_op.in_flight && !link->retired) /* it was paused */
		kolk__input_watch(link);
	handed_off(link);
}

bool kolk__input_hand_off(struct kolk__link *link, uint64_t deadline_ns)
{
	const struct kolk_sys *sys = link->loop->transport->sys;

	if (!kolk__exchange_sc(&link->task_posted, 1))
		kolk__io_loop_post(link->loop, &link->task, on_hand_off_requested);
	while (kolk__load_acquire(&link->streaming)) /* STREAM.A1 <- STREAM.R1 */
		if (!sys->wait(sys->context, kolk__futex(&link->streaming), 1, deadline_ns))
			return !kolk__load_acquire(&link->streaming);
	return true;
}

void kolk__input_hand_off_async(struct kolk__link *link, struct kolk__io_loop *loop)
{
	KOLK__ON_LOOP(loop);
	kolk__store_sc(&link->remote_reader, loop);
	if (!kolk__exchange_sc(&link->task_posted, 1)) /* HANDOFF.SC */
		kolk__io_loop_post(link->loop, &link->task, on_hand_off_requested);
}
