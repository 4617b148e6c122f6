/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.c - open the best back end that works, and the step that both back ends share.
 */
#include "transport/ring.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "transport/linux.h"

void kolk__ring_init(struct kolk_ring *ring, const struct kolk__ring_calls *calls, int event_fd)
{
	ring->calls = calls;
	ring->event_fd = ring->host_fd = event_fd;
	ring->done_end = &ring->done;
	kolk__work_users(1);
}

static void enqueue(struct kolk_ring *ring, struct kolk_op *op, enum kolk__op_state state)
{
	KOLK__ASSERT(op->in_flight);
	KOLK__ASSERT(op->state == KOLK__WAITING || op->state == KOLK__READING); /* once */
	op->state = (uint8_t)state;
	*kolk__op_next(op) = NULL;
	*ring->done_end = op;
	ring->done_end = kolk__op_next(op);
}

void kolk__ring_done(struct kolk_ring *ring, struct kolk_op *op, int32_t result)
{
	op->result = result;
	enqueue(ring, op, KOLK__DONE);
}

void kolk__ring_readable(struct kolk_ring *ring, struct kolk_op *stream)
{
	enqueue(ring, stream, KOLK__READABLE);
}

/* ---- a ring of the kernel */

struct opening {
	struct kolk_ring **ring;
	const char **why;
	enum kolk_err err;
};

static void *uring_open_there(void *user)
{
	struct opening *opening = user;

	opening->err = kolk__uring_open(opening->ring, opening->why);
	return NULL;
}

/* When a ring ends, the kernel interrupts each thread that has created or entered it, some time
 * later, and calls of that thread fail with EINTR. So the caller's does neither, if there can be
 * another thread for it. */
static enum kolk_err uring_open(struct kolk_ring **ring, const char **why)
{
	struct opening opening = { .ring = ring, .why = why };
	sigset_t all, before;
	pthread_t thread;
	bool started;

	sigfillset(&all); /* signals are for the embedder's threads */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	started = pthread_create(&thread, NULL, uring_open_there, &opening) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!started)
		return kolk__uring_open(ring, why);
	pthread_join(thread, NULL);
	return opening.err;
}

enum kolk_err kolk__linux_ring_open(void *context, uint32_t backend, struct kolk_ring **ring,
				    const char **name, const char **why)
{
	enum kolk_err err = KOLK_E_BACKEND;

	(void)context;
	*why = NULL;
	*name = "io_uring";
	if (backend != KOLK_BACKEND_EPOLL)
		err = uring_open(ring, why);
	if (err == KOLK_OK || backend == KOLK_BACKEND_IO_URING)
		return err == KOLK_OK ? err : KOLK_E_BACKEND;
	*name = "epoll";
	return kolk__epoll_open(ring);
}

void kolk__linux_ring_close(struct kolk_ring *ring)
{
	kolk__work_finish(ring);
	kolk__resolver_close(ring);
	ring->calls->close(ring);
	kolk__work_users(-1);
}

void kolk__linux_ring_submit(struct kolk_ring *ring, struct kolk_op *op)
{
	KOLK__ASSERT(!op->in_flight);
	op->in_flight = 1;
	op->cancelled = 0;
	op->state = KOLK__WAITING;
	if (op->kind == KOLK_OP_WORK || op->kind == KOLK_OP_SPAWN)
		kolk__work_submit(ring, op);
	else if (op->kind == KOLK_OP_RESOLVE)
		kolk__resolver_submit(ring, op);
	else
		ring->calls->submit(ring, op);
}

void kolk__linux_ring_cancel(struct kolk_ring *ring, struct kolk_op *op)
{
	if (!op->in_flight || op->cancelled || op->kind == KOLK_OP_WORK ||
	    op->kind == KOLK_OP_SPAWN)
		return;
	op->cancelled = 1;
	if (op->state != KOLK__WAITING)
		return;
	if (op->kind == KOLK_OP_RESOLVE)
		kolk__resolver_cancel(ring, op);
	else
		ring->calls->cancel(ring, op);
}

void kolk__linux_ring_wake(struct kolk_ring *ring)
{
	uint64_t one = 1;
	bool was_woken = kolk__exchange_sc(&ring->woken, 1) != 0, sleeping;

	if (was_woken && !kolk__load_relaxed(&ring->external))
		return;
	sleeping = kolk__load_sc(&ring->sleeping) != 0;
	if (sleeping || kolk__load_relaxed(&ring->external)) {
		ssize_t written;

		if (ring->calls->message != NULL && ring->calls->message(ring))
			return;
		written = write(sleeping ? ring->event_fd : ring->host_fd, &one, sizeof one);

		(void)written; /* full = it is readable already */
	}
}

void kolk__linux_ring_flush(struct kolk_ring *ring)
{
	if (ring->calls->flush != NULL)
		ring->calls->flush(ring);
}

int kolk__linux_ring_fd(struct kolk_ring *ring)
{
	kolk__store_sc(&ring->external, 1);
	return ring->calls->fd(ring);
}

bool kolk__linux_ring_pending(struct kolk_ring *ring)
{
	return ring->done != NULL || kolk__load_relaxed(&ring->woken) ||
	       (ring->calls->pending != NULL && ring->calls->pending(ring));
}

/* The list as it is now. What callbacks add from here on is for the next step. */
static struct kolk_op *take_done_list(struct kolk_ring *ring)
{
	struct kolk_op *list = ring->done;

	ring->done = NULL;
	ring->done_end = &ring->done;
	return list;
}

static void deliver_list(struct kolk_ring *ring, struct kolk_op *list)
{
	while (list != NULL) {
		struct kolk_op *op = list;

		list = *kolk__op_next(op);
		if (op->state == KOLK__READABLE)
			ring->calls->read(ring, op);
		else
			kolk__op_end(op, op->result);
	}
}

/*
 * Lazy operations
 *
 * A send mostly ends when it is submitted, and its completion would end a wait in which nothing
 * else has come yet: one entry into the kernel to send, a second one to wait. What waits for no
 * callback (the answer, or the request, is written, and the peer will speak next) is lazy: the wait
 * goes on until something else comes, at most for LAZY_NS, after which the callback runs. Nothing
 * but that callback is later for it; if a lazy send has to wait for its peer instead, what comes
 * meanwhile waits, too, for LAZY_NS at most. Where nothing comes so soon, waits in between are not
 * lazy, ever more of them: then such a wait costs a wake-up and saves nothing.
 */
enum { LAZY_NS = 100000, HURRIES_MAX = 64 };

static uint32_t lazy_count(struct kolk_ring *ring)
{
	uint32_t lazy = ring->calls->lazy(ring);

	if (lazy == 0 || ring->hurries_left == 0)
		return lazy;
	ring->hurries_left--;
	return 0;
}

static void lazy_waited(struct kolk_ring *ring, bool came)
{
	if (came)
		ring->hurries = 0;
	else
		ring->hurries = (uint8_t)(ring->hurries < HURRIES_MAX ? 2 * ring->hurries + 1 :
								   HURRIES_MAX);
	ring->hurries_left = ring->hurries;
}

/*
 * Busy polling
 *
 * A thread that sleeps is woken through an interrupt and the scheduler, on virtual machines after
 * tens of microseconds. For busy_ns a wait looks again and again instead. It is not sleeping
 * then: a wake of another thread makes no system call, and is seen here.
 */
static int poll_busily(struct kolk_ring *ring, uint64_t busy_ns, uint32_t lazy)
{
	const struct kolk_sys *sys = kolk_sys_linux();
	uint64_t end_ns = sys->now_ns(sys->context) + busy_ns;
	int result;

	do {
		result = ring->calls->wait(ring, 0, lazy);
		lazy = 0; /* they have ended, and do not count twice */
	} while (result == 0 && !kolk__load_relaxed(&ring->woken) &&
		 sys->now_ns(sys->context) < end_ns);
	return result;
}

static int sleep_for(struct kolk_ring *ring, uint64_t timeout_ns, uint32_t lazy)
{
	int result;

	kolk__store_sc(&ring->sleeping, 1);   /* RING.SC1 */
	if (kolk__load_sc(&ring->woken) != 0) /* RING.SC1 */
		timeout_ns = lazy = 0;
	result = ring->calls->wait(ring, timeout_ns, lazy);
	kolk__store_sc(&ring->sleeping, 0);
	return result;
}

static int wait_some(struct kolk_ring *ring, uint64_t timeout_ns, uint64_t busy_ns)
{
	uint32_t lazy = timeout_ns != 0 ? lazy_count(ring) : 0, still_lazy = lazy;
	int result = 0;

	if (timeout_ns == 0 || (ring->done != NULL && lazy == 0))
		return ring->calls->wait(ring, 0, 0);
	if (lazy > 0 && timeout_ns > LAZY_NS)
		timeout_ns = LAZY_NS;
	if (busy_ns > timeout_ns)
		busy_ns = timeout_ns;
	if (busy_ns > 0) {
		result = poll_busily(ring, busy_ns, lazy);
		still_lazy = 0;
		timeout_ns -= timeout_ns != KOLK_FOREVER ? busy_ns : 0;
	}
	if (result == 0)
		result = sleep_for(ring, timeout_ns, still_lazy);
	if (lazy > 0)
		lazy_waited(ring, result > 0 || kolk__load_relaxed(&ring->woken));
	return result;
}

/* Reap everything first, run callbacks later: so no callback sees a half-reaped step. */
int kolk__linux_ring_step(struct kolk_ring *ring, uint64_t timeout_ns, uint64_t busy_ns)
{
	struct kolk_op *list;
	bool any;
	int result;

	kolk__work_reap(ring);
	result = wait_some(ring, timeout_ns, busy_ns);
	kolk__exchange_sc(&ring->woken, 0);
	kolk__work_reap(ring);
	if (ring->watched_ready) {
		ring->watched_ready = false;
		kolk__resolver_step(ring);
	}
	list = take_done_list(ring);
	any = list != NULL;
	if (ring->calls->deliver != NULL)
		any |= ring->calls->deliver(ring);
	deliver_list(ring, list);
	return result < 0 && result != -EINTR ? result : any;
}
