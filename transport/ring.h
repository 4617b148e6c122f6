/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.h - what io_uring and epoll have in common: the wake-up, and work on other threads.
 *
 * RING.SC1: wake stores woken, then looks at sleeping; step stores sleeping, then looks at
 * woken. All four sc: either the loop does not sleep, or the eventfd wakes it. So a wake of a
 * loop that is awake costs no system call.
 */
#ifndef KOLK_RING_H
#define KOLK_RING_H

#include <pthread.h>

#include <kolk/sys/sys.h>

#include "core/base/assert.h"
#include "core/base/atomic.h"

struct kolk__ring_calls {
	void (*close)(struct kolk_ring *ring);
	void (*submit)(struct kolk_ring *ring, struct kolk_op *op);
	void (*cancel)(struct kolk_ring *ring, struct kolk_op *op);
	/* Reaps, runs no callback. lazy: so many completions alone do not end it. Positive = there
	 * was something else. */
	int (*wait)(struct kolk_ring *ring, uint64_t timeout_ns, uint32_t lazy);
	uint32_t (*lazy)(struct kolk_ring *ring); /* lazy operations that its wait will find done */
	bool (*deliver)(struct kolk_ring *ring); /* done() of what was reaped outside the list */
	void (*read)(struct kolk_ring *ring, struct kolk_op *op); /* READABLE: read or accept now */
	int (*fd)(struct kolk_ring *ring);
	bool (*pending)(struct kolk_ring *ring); /* NULL = nothing is queued outside the list */
	/* Wake this ring with what the calling thread's own step will submit; false = it cannot.
	 * And submit it now. NULL = not this back end. */
	bool (*message)(struct kolk_ring *ring);
	void (*flush)(struct kolk_ring *ring);
	bool (*watch_fd)(struct kolk_ring *ring, int fd); /* set ring.watched_ready when it is readable */
};

struct kolk_ring {
	const struct kolk__ring_calls *calls;
	int event_fd; /* a write to it ends the wait of step */
	int host_fd;  /* and to this one a host's poll */
	kolk__atomic_u32 woken; /* W: wake, step. R: both. RING.SC1 */
	kolk__atomic_u32 sleeping; /* W: step. R: wake. RING.SC1 */
	/* W: ring_fd. R: wake, step: a host's poll set has the ring's fd. */
	kolk__atomic_u32 external;
	struct kolk_op *done, **done_end; /* the owner's: completions that wait for step */
	struct kolk__resolver *resolver;  /* the owner's; NULL until the first name */
	uint8_t hurries, hurries_left;    /* the owner's: waits that are not lazy, see ring.c */
	bool watched_ready; /* the owner's: the resolver has something to do */
	/* W: workers push what they finished, step takes all. R: both. Pairs: WORK */
	KOLK__ATOMIC(struct kolk_op *) work_done;
	uint32_t work_in_flight;          /* under work lock: submitted, not completed */
};

/*
 * The state of an operation in flight (op.state):
 *
 *   submit -> WAITING ----------------------> DONE -> done()
 *             |     ^                                  ^
 *             v     |                                  |
 *           READABLE <-> READING (done() per piece) ---+      a stream or an accept that the ring
 *                                                             reads itself
 *
 * READABLE and DONE operations are in the list that step runs. A cancel removes an operation that
 * is WAITING and no other: the others are run by this step or the next, and check op.cancelled.
 */
enum kolk__op_state { KOLK__WAITING, KOLK__READABLE, KOLK__READING, KOLK__DONE };

void kolk__ring_init(struct kolk_ring *ring, const struct kolk__ring_calls *calls, int event_fd);
/* It has ended, or has something to read: add it to the list that step runs. Owner. */
void kolk__ring_done(struct kolk_ring *ring, struct kolk_op *op, int32_t result);
void kolk__ring_readable(struct kolk_ring *ring, struct kolk_op *stream);

enum kolk_err kolk__uring_open(struct kolk_ring **ring, const char **why);
enum kolk_err kolk__epoll_open(struct kolk_ring **ring);

/* work.c */
void kolk__work_users(int change); /* rings that may submit work: the last one stops the threads */
void kolk__work_submit(struct kolk_ring *ring, struct kolk_op *op);
void kolk__work_reap(struct kolk_ring *ring);  /* move finished work to the done list */
void kolk__work_finish(struct kolk_ring *ring); /* wait until none is out. Blocks. */

/* resolver.c */
void kolk__resolver_submit(struct kolk_ring *ring, struct kolk_op *op);
void kolk__resolver_cancel(struct kolk_ring *ring, struct kolk_op *op);
void kolk__resolver_step(struct kolk_ring *ring);
void kolk__resolver_close(struct kolk_ring *ring);

/* address_order.c */
/* The first address decides which family goes first (dns_cache.c). */
void kolk__addresses_order(const struct kolk_lookup *lookup, uint32_t count);

/* sock_linux.c */
/* The result of a connect that has ended: a TCP connection to oneself is none. */
int32_t kolk__sock_connected(const struct kolk_op *op, int32_t result);
/* Why a watch ended, 0 or -errno: poll reports that something happened, the socket what. */
int32_t kolk__sock_watched(const struct kolk_op *op, int32_t result);
int32_t kolk__sock_connect(const struct kolk_op *op); /* 0 or -errno; does not block */
uint32_t kolk__fd_generation(int fd); /* changes when a number is closed */
/* How TCP sockets of ours are; what a listening one accepts is like it. */
void kolk__sock_tune(int fd, uint64_t keepalive_ns, uint64_t unacked_ns);
/* The keep-alive time of what it accepts changes now and then, up to so long; 0 = it has none. */
void kolk__sock_vary(int listening, int accepted, uint32_t seconds);

/* listen_linux.c */
/* Of an ACCEPT in step: accept what is there, done() for each one. 0 = there may be more,
 * -EAGAIN = not now; otherwise it has to end with this. */
int32_t kolk__ring_accept(struct kolk_op *op);

/* The link of a list of operations: one of the back end's private words. */
static inline struct kolk_op **kolk__op_next(struct kolk_op *op)
{
	return (struct kolk_op **)(void *)&op->ring_private[0];
}

/* End it: the last access of the ring, for done() may free it. In step alone. */
static inline void kolk__op_end(struct kolk_op *op, int32_t result)
{
	op->in_flight = 0;
	op->result = result;
	op->done(op);
}

#endif
