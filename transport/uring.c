/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uring.c - operations of the kernel: one enter per step submits and waits.
 *
 * A thread that ends at once makes the ring disabled (ring.c), and the thread that first steps it
 * enables it: SINGLE_ISSUER rings belong to that thread, and a fork's child cannot use them. An
 * operation is matched by its address; it lives until its completion was reaped, also when a submit
 * failed (an SQE once queued stays queued).
 *
 * The ring's descriptor is not registered (io_uring_register_ring_fd): the kernel keeps that per
 * thread, and an exit of the ring on another thread unregisters what that thread has there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "transport/linux.h"
#include "transport/ring.h"
#include "transport/uring.h"
#include "transport/uring_buffers.h"

enum { ENTRIES = 256, COMPLETIONS = 2048, BATCH = 128 };

/* user_data of completions that are not an operation's */
enum { IGNORED = 0, WAKEUP = 1, WATCHED = 2 };

struct completion {
	struct kolk_op *op;
	int32_t result;
	uint32_t flags;
};

struct uring {
	struct kolk_ring base;
	struct io_uring ring;
	uint64_t wakeups; /* where the eventfd's read goes */
	bool enabled, wakeup_armed, watch_armed;
	bool eventfd_registered;   /* host_fd is registered: completions make it readable */
	int watched_fd;  /* -1 = none */
	uint32_t in_flight, messages;
	struct kolk__uring_buffers buffers; /* of streams */
	struct completion reaped_list[COMPLETIONS]; /* not delivered yet, in the kernel's order */
	uint32_t reaped;
};

static struct uring *ring_of(struct kolk_ring *ring)
{
	return (struct uring *)(void *)ring;
}

/* A free entry; when the queue is full, submit it first. */
static struct io_uring_sqe *get_sqe(struct uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);

	while (sqe == NULL) {
		int result = io_uring_submit(&ring->ring);

		if (result < 0 && result != -EINTR && result != -EAGAIN && result != -EBUSY)
			return NULL;
		if (result == -EBUSY || result == -EAGAIN)
			io_uring_get_events(&ring->ring); /* completions overflowed: let them in */
		sqe = io_uring_get_sqe(&ring->ring);
	}
	return sqe;
}

/* ---- streams: a multishot receive into buffers that the kernel picks */

static void prepare_stream(struct io_uring_sqe *sqe, const struct kolk_op *op)
{
	io_uring_prep_recv_multishot(sqe, op->fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = KOLK__URING_GROUP;
}

/* It never waits; and while the listener's queue is full, the kernel would try it 128 times in a
 * row before it reports that. */
static bool is_unix_connect(const struct kolk_op *op)
{
	const struct sockaddr *address = op->data;

	return op->kind == KOLK_OP_CONNECT && address->sa_family == AF_UNIX;
}

static void submit(struct kolk_ring *base, struct kolk_op *op)
{
	struct uring *ring = ring_of(base);
	int result = op->kind == KOLK_OP_STREAM ?
			     kolk__uring_buffers_open(&ring->buffers, &ring->ring) : 0;
	struct io_uring_sqe *sqe;

	if (result != 0) {
		kolk__ring_done(base, op, result);
		return;
	}
	if (is_unix_connect(op)) {
		kolk__ring_done(base, op, kolk__sock_connect(op));
		return;
	}
	sqe = get_sqe(ring);
	if (sqe == NULL) {
		kolk__ring_done(base, op, -EBADF);
		return;
	}
	switch (op->kind) {
	case KOLK_OP_CONNECT:
		io_uring_prep_connect(sqe, op->fd, op->data, (socklen_t)op->size);
		break;
	case KOLK_OP_SEND:
		io_uring_prep_send(sqe, op->fd, op->data, op->size, MSG_NOSIGNAL);
		break;
	case KOLK_OP_RECV:
		io_uring_prep_recv(sqe, op->fd, op->data, op->size, 0);
		break;
	case KOLK_OP_STREAM:
		prepare_stream(sqe, op);
		break;
	case KOLK_OP_POLL:
	case KOLK_OP_ACCEPT: /* deliver_accept */
		io_uring_prep_poll_add(sqe, op->fd, POLLIN);
		break;
	default: /* WATCH: no POLLIN, so data that arrives does not wake this loop */
		io_uring_prep_poll_add(sqe, op->fd, POLLRDHUP);
		break;
	}
	io_uring_sqe_set_data(sqe, op);
	ring->in_flight++;
}

static void cancel(struct kolk_ring *base, struct kolk_op *op)
{
	struct uring *ring = ring_of(base);
	struct io_uring_sqe *sqe = get_sqe(ring);

	if (sqe == NULL)
		return; /* the ring is broken: every wait reports it */
	io_uring_prep_cancel(sqe, op, 0);
	io_uring_sqe_set_data64(sqe, IGNORED);
}

static int32_t result_of(const struct kolk_op *op, int32_t result)
{
	switch (op->kind) {
	case KOLK_OP_WATCH:
		return kolk__sock_watched(op, result);
	case KOLK_OP_CONNECT:
		return kolk__sock_connected(op, result);
	default:
		return result;
	}
}

/* Reap all completions: one entry into the kernel runs at most about 20 of the deferred ones, and
 * the rest would be taken for the answer of a request that is sent in this step. With TASKRUN_FLAG
 * io_uring_peek_batch_cqe knows that, and runs the rest. Returns how many there were. */
static unsigned reap(struct uring *ring)
{
	struct io_uring_cqe *cqes[BATCH];
	unsigned count, all = 0;

	while (ring->reaped <= COMPLETIONS - BATCH &&
	       (count = io_uring_peek_batch_cqe(&ring->ring, cqes, BATCH)) > 0) {
		for (unsigned i = 0; i < count; i++) {
			uint64_t data = cqes[i]->user_data;

			if (data == WAKEUP)
				ring->wakeup_armed = false;
			if (data == WATCHED) {
				ring->watch_armed = false;
				ring->base.watched_ready = true;
			}
			if (data <= WATCHED)
				continue;
			ring->reaped_list[ring->reaped++] = (struct completion){
				(struct kolk_op *)(uintptr_t)data, cqes[i]->res, cqes[i]->flags
			};
		}
		io_uring_cq_advance(&ring->ring, count);
		all += count;
	}
	return all;
}

/* A piece, or the end. The kernel also ends a stream for reasons of its own (no buffer was free,
 * completions overflowed): then it is armed again silently. */
static void deliver_stream(struct uring *ring, const struct completion *completion)
{
	struct kolk_op *op = completion->op;
	bool more = completion->flags & IORING_CQE_F_MORE;
	int32_t result = completion->result;
	uint32_t id;

	if (result > 0) {
		id = completion->flags >> IORING_CQE_BUFFER_SHIFT;
		op->data = kolk__uring_buffer(&ring->buffers, id);
		op->result = result;
		op->done(op);
		kolk__uring_buffer_return(&ring->buffers, id);
	}
	if (more)
		return;
	ring->in_flight--;
	/* An error is told by the socket once: a stream that goes on later would see a clean end. */
	if (op->cancelled && (result >= 0 || result == -ENOBUFS))
		result = -ECANCELED;
	if ((result > 0 || result == -ENOBUFS) && !op->cancelled) {
		submit(&ring->base, op);
		return;
	}
	kolk__op_end(op, result);
}

/* A connection is there. A multishot accept would take the whole queue out, and a listener that has
 * as many as it may have leaves the others there. */
static void deliver_accept(struct uring *ring, struct kolk_op *op, int32_t result)
{
	ring->in_flight--;
	op->state = KOLK__READING;
	if (result >= 0)
		result = kolk__ring_accept(op);
	op->state = KOLK__WAITING;
	if (result == 0 || result == -EAGAIN)
		submit(&ring->base, op);
	else
		kolk__op_end(op, result);
}

static bool deliver(struct kolk_ring *base)
{
	struct uring *ring = ring_of(base);
	bool any = ring->reaped > 0;

	for (uint32_t i = 0; i < ring->reaped; i++) {
		struct completion *completion = &ring->reaped_list[i];
		struct kolk_op *op = completion->op;

		if (op->kind == KOLK_OP_STREAM) {
			deliver_stream(ring, completion);
			continue;
		}
		if (op->kind == KOLK_OP_ACCEPT) {
			deliver_accept(ring, op, completion->result);
			continue;
		}
		ring->in_flight--;
		kolk__op_end(op, result_of(op, completion->result));
	}
	ring->reaped = 0;
	return any;
}

static int enable(struct uring *ring)
{
	if (!kolk__uring_enable(&ring->ring))
		return -errno;
	ring->enabled = true;
	return 0;
}

static int arm_wakeup(struct uring *ring)
{
	struct io_uring_sqe *sqe = get_sqe(ring);

	if (sqe == NULL)
		return -EBADF;
	io_uring_prep_read(sqe, ring->base.event_fd, &ring->wakeups, sizeof ring->wakeups, 0);
	io_uring_sqe_set_data64(sqe, WAKEUP);
	ring->wakeup_armed = true;
	return 0;
}

/* ---- wake another ring: a message that is submitted with this thread's own step */

/* The ring in whose step the thread is: from its wait to its flush or its next wait. */
static _Thread_local struct uring *current_ring;

/* Forked in a callback: the child is in no step, and shares the ring's memory with its parent. */
static void in_fork_child(void)
{
	current_ring = NULL;
}

static void register_fork_handlers(void)
{
	(void)pthread_atfork(NULL, NULL, in_fork_child);
}

static bool message(struct kolk_ring *base)
{
	struct uring *ring = current_ring;
	struct io_uring_sqe *sqe = ring != NULL && &ring->base != base ? get_sqe(ring) : NULL;

	if (sqe == NULL)
		return false;
	io_uring_prep_msg_ring(sqe, ring_of(base)->ring.ring_fd, 0, IGNORED, 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	io_uring_sqe_set_data64(sqe, IGNORED);
	ring->messages++;
	return true;
}

static bool watch_fd(struct kolk_ring *base, int fd)
{
	ring_of(base)->watched_fd = fd;
	return true;
}

/* One poll at a time: it is armed again when its event was processed. */
static int arm_watched_fd(struct uring *ring)
{
	struct io_uring_sqe *sqe = get_sqe(ring);

	if (sqe == NULL)
		return -EBADF;
	io_uring_prep_poll_add(sqe, ring->watched_fd, POLLIN);
	io_uring_sqe_set_data64(sqe, WATCHED);
	ring->watch_armed = true;
	return 0;
}

/* ---- in a host's poll set
 *
 * The ring's own descriptor does not wake a poller while completions are deferred
 * (DEFER_TASKRUN), a registered eventfd does. Each step empties it after it has reaped: a
 * completion before that is either reaped or seen by pending, a later one makes it readable. */

static bool is_external(const struct uring *ring)
{
	return kolk__load_relaxed(&ring->base.external);
}

static int register_eventfd(struct uring *ring)
{
	int result = io_uring_register_eventfd(&ring->ring, ring->base.host_fd);

	ring->eventfd_registered = result == 0;
	return result;
}

static void signal_clear(struct uring *ring)
{
	uint64_t value;

	if (ring->eventfd_registered && read(ring->base.host_fd, &value, sizeof value) < 0)
		return; /* it is empty */
}

static bool pending(struct kolk_ring *base)
{
	struct uring *ring = ring_of(base);

	return !ring->enabled || (is_external(ring) && !ring->eventfd_registered) || ring->reaped > 0 ||
	       io_uring_sq_ready(&ring->ring) > 0 || io_uring_cq_ready(&ring->ring) > 0 ||
	       (kolk__load_relaxed(kolk__as_atomic(ring->ring.sq.kflags)) & IORING_SQ_TASKRUN) != 0;
}

/* What the kernel must have while this thread sleeps, here or in a poll. */
static int prepare(struct uring *ring)
{
	int result = ring->enabled ? 0 : enable(ring);

	if (result == 0 && is_external(ring) && !ring->eventfd_registered)
		result = register_eventfd(ring);
	if (result == 0 && !ring->wakeup_armed)
		result = arm_wakeup(ring);
	if (result == 0 && ring->watched_fd >= 0 && !ring->watch_armed)
		result = arm_watched_fd(ring);
	return result;
}

/* Those that the next wait submits. */
static uint32_t lazy_queued(struct kolk_ring *base)
{
	const struct io_uring_sq *sq = &ring_of(base)->ring.sq;
	uint32_t count = 0;

	if (base->done != NULL)
		return 0;
	for (unsigned at = sq->sqe_head; at != sq->sqe_tail; at++) {
		uint64_t data = sq->sqes[at & sq->ring_mask].user_data;

		if (data > WATCHED)
			count += ((struct kolk_op *)(uintptr_t)data)->lazy;
	}
	return count;
}

static int wait_completions(struct kolk_ring *base, uint64_t timeout_ns, uint32_t lazy)
{
	struct uring *ring = ring_of(base);
	struct __kernel_timespec timeout = { .tv_sec = (int64_t)(timeout_ns / KOLK_S_NS),
					     .tv_nsec = (long long)(timeout_ns % KOLK_S_NS) };
	struct io_uring_cqe *cqe;
	int result = prepare(ring);
	bool came;

	if (result != 0)
		return result;
	if (timeout_ns == 0)
		result = io_uring_submit_and_get_events(&ring->ring);
	else if (timeout_ns == KOLK_FOREVER)
		result = io_uring_submit_and_wait(&ring->ring, lazy + 1);
	else
		result = io_uring_submit_and_wait_timeout(&ring->ring, &cqe, lazy + 1, &timeout,
							  NULL);
	ring->messages = 0;
	current_ring = ring;
	came = reap(ring) > lazy;
	signal_clear(ring);
	if (result == -ETIME || result == -EINTR || result == -EAGAIN || result == -EBUSY)
		return came; /* what was not submitted stays queued for the next step */
	return result < 0 ? result : came;
}

static void flush(struct kolk_ring *base)
{
	struct uring *ring = ring_of(base);

	if (ring->messages > 0 || (ring->eventfd_registered && prepare(ring) == 0))
		(void)io_uring_submit(&ring->ring); /* what fails stays queued for the next wait */
	ring->messages = 0;
	current_ring = NULL;
}

static int fd_of(struct kolk_ring *base)
{
	return base->host_fd;
}

/* End what is in flight before its memory can be freed. A ring's exit alone is asynchronous: its
 * owner cancels first. The kernel refuses that to another thread (SINGLE_ISSUER), but then nothing
 * writes any more: with DEFER_TASKRUN a ring works only inside an enter of its owner. */
static void close_ring(struct kolk_ring *base)
{
	struct uring *ring = ring_of(base);
	struct io_uring_sync_cancel_reg all = { .fd = -1, .flags = IORING_ASYNC_CANCEL_ANY |
								   IORING_ASYNC_CANCEL_ALL,
						.timeout = { .tv_sec = 1 } };

	if (ring->enabled && ring->in_flight > 0)
		(void)io_uring_register_sync_cancel(&ring->ring, &all);
	if (current_ring == ring)
		current_ring = NULL;
	io_uring_queue_exit(&ring->ring);
	close(base->event_fd);
	close(ring->base.host_fd);
	kolk__uring_buffers_free(&ring->buffers);
	free(ring);
}

enum kolk_err kolk__uring_open(struct kolk_ring **out, const char **why)
{
	static const struct kolk__ring_calls calls = {
		.close = close_ring, .submit = submit, .cancel = cancel,
		.wait = wait_completions, .lazy = lazy_queued, .deliver = deliver, .fd = fd_of,
		.pending = pending, .watch_fd = watch_fd, .message = message, .flush = flush,
	};
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL |
			 IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED,
		.cq_entries = COMPLETIONS,
	};
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct uring *ring;
	int event_fd, host_fd;

	if (!kolk__uring_works(why))
		return KOLK_E_BACKEND;
	pthread_once(&once, register_fork_handlers);
	ring = calloc(1, sizeof *ring);
	event_fd = eventfd(0, EFD_CLOEXEC);
	host_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	*why = "the ring cannot be set up (memory or descriptor limit)";
	if (ring != NULL && event_fd >= 0 && host_fd >= 0 &&
	    io_uring_queue_init_params(ENTRIES, &ring->ring, &params) == 0) {
		kolk__ring_init(&ring->base, &calls, event_fd);
		ring->base.host_fd = host_fd;
		ring->watched_fd = -1;
		*out = &ring->base;
		*why = NULL;
		return KOLK_OK;
	}
	if (event_fd >= 0)
		close(event_fd);
	if (host_fd >= 0)
		close(host_fd);
	free(ring);
	return KOLK_E_BACKEND;
}
