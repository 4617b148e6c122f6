/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io_async.c - send and receive for the holder of a lease on a loop: the operations run on the
 * caller's loop. Plain threads: io.c.
 */
#include <errno.h>

#include "core/base/atomic.h"
#include "core/base/container.h"
#include "transport/input.h"
#include "transport/tls.h"
#include "transport/upstream.h"

static void send_pump(struct kolk__io *io);
static void recv_pump(struct kolk__io *io);

static struct kolk__timeout *timeout_of(struct kolk__io *io)
{
	return (struct kolk__timeout *)(void *)io->timer;
}
_Static_assert(sizeof(struct kolk__timeout) <= sizeof((struct kolk__io *)0)->timer,
	       "kolk__io.timer is too small");

static bool is_at_home(const struct kolk__io *io)
{
	return io->loop == io->link->loop;
}

static void io_complete(struct kolk__io *io, enum kolk_err err)
{
	struct kolk__link *link = io->link;

	KOLK__ON_LOOP(io->loop);
	kolk__timeout_stop(io->loop, timeout_of(io));
	if (!io->sending && is_at_home(io))
		link->read_waits = false;
	if (!io->sending)
		(void)kolk__recv_end(link, err);
	else if (err != KOLK_OK)
		link->failed = true;
	kolk__io_finish(io, err);
}

struct kolk__io *kolk__link_io(const struct kolk__link *link, bool sending)
{
	if (link->upstream->resource != NULL)
		return NULL;
	return sending ? link->sending : link->receiving;
}

void kolk__io_over(struct kolk__io *io)
{
	struct kolk__link *link = io->link;

	KOLK__ON_LOOP(io->loop);
	if (io->sending) {
		link->sending = NULL;
		return;
	}
	link->receiving = NULL;
	if (is_at_home(io))
		link->read_ready = false;
}

/* The caller cancels, or the deadline passed: end the operation, then report its result. */
static void interrupt(struct kolk__io *io, enum kolk_err why)
{
	struct kolk__link *link = io->link;

	KOLK__ON_LOOP(io->loop);
	if (io->cancelled || io->queued) /* asked before, or over already */
		return;
	io->cancelled = 1;
	io->state = (uint8_t)(int8_t)why;
	kolk__timeout_stop(io->loop, timeout_of(io));
	if (!io->sending && is_at_home(io) && link->read_waits)
		io_complete(io, why); /* nothing of it is in flight: the stream continues */
	else
		kolk__cancel(io->loop, &io->op); /* its completion, or kolk__io_resume, ends it */
}

static void io_timed_out(struct kolk__timeout *timeout)
{
	interrupt(kolk__container_of(timeout, struct kolk__io, timer),
		  KOLK_E_TIMEOUT);
}

void kolk__io_cancel(struct kolk__io *io)
{
	interrupt(io, KOLK_E_CANCELLED);
}

static enum kolk_err begin(struct kolk__link *link, struct kolk__io_loop *loop,
			   struct kolk__io *io)
{
	KOLK__ON_LOOP(loop);
	KOLK__PHASE(link, KOLK__WHEN_READY);
	if (link->upstream->resource != NULL)
		return KOLK_E_UNSUPPORTED;
	io->loop = loop;
	io->link = link;
	io->moved = 0;
	timeout_of(io)->fire = io_timed_out;
	if (io->deadline_ns != KOLK_FOREVER)
		kolk__timeout_start(loop, timeout_of(io), io->deadline_ns);
	return KOLK_PENDING;
}

static void send_done(struct kolk_op *op)
{
	struct kolk__io *io = op->owner;
	struct kolk__link *link = io->link;

	KOLK__ON_LOOP(io->loop);
	if (op->result > 0 && link->tls != NULL)
		kolk__output_sent(link, (size_t)op->result);
	else if (op->result > 0)
		io->moved += (size_t)op->result;
	if (op->result <= 0 && op->result != -EINTR && op->result != -EAGAIN)
		io_complete(io, io->cancelled ? (enum kolk_err)(int8_t)io->state :
					    kolk__err_of(op->result));
	else
		send_pump(io);
}

enum { LAZY_BYTES_MAX = 32768 };

/* What is in flight, or is going to be, is all that is left, and a kernel that has sent what was
 * before takes it at once. */
static bool is_last(const struct kolk__io *io)
{
	return io->link->tls != NULL ? io->moved == io->size :
				       io->moved == 0 && io->size <= LAZY_BYTES_MAX;
}

void kolk__io_lazy(struct kolk__io *io, bool lazy)
{
	KOLK__ON_LOOP(io->loop);
	KOLK__ASSERT(io->sending);
	io->lazy = lazy;
	if (io->op.in_flight)
		io->op.lazy = lazy && is_last(io);
}

static void send_op(struct kolk__io *io, const uint8_t *bytes, size_t size)
{
	KOLK__ON_LOOP(io->loop);
	if (io->cancelled) {
		io_complete(io, (enum kolk_err)(int8_t)io->state);
		return;
	}
	kolk__op_send(&io->op, io->link->fd, bytes, size);
	io->op.lazy = io->lazy && is_last(io);
	kolk__submit(io->loop, &io->op, send_done, io);
}

/* What is left: of the caller's bytes, or of the records that they became. */
static void send_pump(struct kolk__io *io)
{
	struct kolk__link *link = io->link;
	size_t left = io->size - io->moved;
	size_t slice = left < KOLK__TLS_SLICE ? left : KOLK__TLS_SLICE, size;
	const uint8_t *bytes;
	enum kolk_err err = KOLK_OK;

	KOLK__ON_LOOP(io->loop);
	if (link->tls == NULL) {
		if (left == 0)
			io_complete(io, KOLK_OK);
		else
			send_op(io, io->data + io->moved, left);
		return;
	}
	bytes = kolk__output_next(link, &size);
	if (bytes == NULL && left > 0) {
		err = kolk__tls_write(link, io->data + io->moved, slice);
		io->moved += slice;
		bytes = kolk__output_next(link, &size);
	}
	if (err != KOLK_OK)
		io_complete(io, err);
	else if (bytes != NULL)
		send_op(io, bytes, size);
	else
		io_complete(io, KOLK_OK);
}

/* The home loop has stopped the stream: the bytes that came before can be checked. */
static void send_admitted(struct kolk__io *io)
{
	struct kolk__link *link = io->link;
	enum kolk_err err = io->cancelled ? (enum kolk_err)(int8_t)io->state :
					    kolk__link_admit(link, false);

	KOLK__ON_LOOP(io->loop);
	link->send_waits = false;
	if (err != KOLK_OK) {
		io_complete(io, err);
		return;
	}
	link->written = true;
	send_pump(io);
}

enum kolk_err kolk__link_send_async(struct kolk__link *link, struct kolk__io_loop *loop,
				    struct kolk__io *io)
{
	enum kolk_err err = link->upstream->resource == NULL ?
				    kolk__link_begin_use(link, loop == link->loop) : KOLK_OK;
	bool send_waits = err == KOLK_PENDING;

	if (err == KOLK_OK || send_waits)
		err = begin(link, loop, io);
	if (err != KOLK_PENDING)
		return err;
	link->written = link->written || !send_waits;
	link->sending = io;
	link->send_waits = send_waits;
	if (send_waits)
		kolk__input_hand_off_async(link, loop);
	else
		send_pump(io);
	return KOLK_PENDING;
}

static void recv_done(struct kolk_op *op)
{
	struct kolk__io *io = op->owner;
	struct kolk__link *link = io->link;
	bool at_home = is_at_home(io);

	KOLK__ON_LOOP(io->loop);
	kolk__store_relaxed(&link->receives, false);
	if (op->result == -EINTR || op->result == -EAGAIN) {
		recv_pump(io);
	} else if (op->result < 0) {
		io_complete(io, io->cancelled ? (enum kolk_err)(int8_t)io->state :
					    kolk__err_of(op->result));
	} else if (link->tls == NULL) {
		io->moved = (size_t)op->result;
		io_complete(io, op->result > 0 ? KOLK_OK : KOLK_E_CLOSED);
	} else {
		if (op->result > 0)
			kolk__input_received(link, (size_t)op->result);
		else
			link->ended = true;
		recv_pump(io);
	}
	if (at_home) /* the link stays: the callback runs later */
		kolk__input_resume_stream(link);
}

/* What is there already: KOLK_OK with io->moved > 0, the end, or KOLK_PENDING. */
static enum kolk_err recv_buffered(struct kolk__io *io)
{
	struct kolk__link *link = io->link;

	if (io->moved > 0) /* the stream has put it there itself */
		return KOLK_OK;
	if (link->tls != NULL)
		return link->end_error != 0 ? kolk__link_end(link) :
			       kolk__tls_read(link, io->buffer, io->size, &io->moved);
	io->moved = kolk__input_take(link, io->buffer, io->size);
	return io->moved > 0 ? KOLK_OK : link->ended ? kolk__link_end(link) : KOLK_PENDING;
}

/* A receive of its own, into the caller's memory or, for TLS, into link.in. */
static void recv_op(struct kolk__io *io)
{
	struct kolk__link *link = io->link;
	uint8_t *space = io->buffer;
	size_t size = io->size;

	KOLK__ON_LOOP(io->loop);
	if (link->tls != NULL)
		space = kolk__input_reserve(link, &size);
	if (space == NULL) {
		io_complete(io, KOLK_E_MEMORY);
		return;
	}
	kolk__store_relaxed(&link->receives, true);
	kolk__op_recv(&io->op, link->fd, space, size);
	kolk__submit(io->loop, &io->op, recv_done, io);
}

static void recv_pump(struct kolk__io *io)
{
	struct kolk__link *link = io->link;
	bool owns_input = is_at_home(io) || !kolk__load_acquire(&link->streaming); /* STREAM.A1 */
	enum kolk_err err = link->refused		? KOLK_E_CLOSED :
			    owns_input && !link->send_waits ? recv_buffered(io) : KOLK_PENDING;

	KOLK__ON_LOOP(io->loop);
	if (err == KOLK_PENDING && io->cancelled && !link->send_waits)
		err = (enum kolk_err)(int8_t)io->state;
	if (err != KOLK_PENDING)
		io_complete(io, err);
	else if (link->send_waits)
		return; /* nothing may be read before the send is admitted */
	else if (!owns_input)
		kolk__input_hand_off_async(link, io->loop);
	else if (!(is_at_home(io) && kolk__input_wait(link, io)))
		recv_op(io);
}

void kolk__io_resume(struct kolk__io *io)
{
	recv_pump(io);
}

void kolk__io_handed_off(struct kolk__link *link)
{
	struct kolk__io *io;

	if (link->send_waits)
		send_admitted(link->sending);
	io = link->receiving;
	if (io != NULL && !io->op.in_flight && !io->queued) /* it has waited, too */
		recv_pump(io);
}

enum kolk_err kolk__link_recv_async(struct kolk__link *link, struct kolk__io_loop *loop,
				    struct kolk__io *io)
{
	enum kolk_err err;

	if (io->size == 0)
		return KOLK_E_OPTIONS;
	err = begin(link, loop, io);
	if (err != KOLK_PENDING)
		return err;
	kolk__store_sc(&link->used, true); /* STREAM.SC */
	link->receiving = io;
	recv_pump(io);
	return KOLK_PENDING;
}
