/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.h - the transport of an engine and its I/O loops, inside the transport: memory, clock, log,
 * operations and tasks. What core sees of them is in transport.h.
 */
#ifndef KOLK_TRANSPORT_LOOP_H
#define KOLK_TRANSPORT_LOOP_H

#include "core/base/assert.h"
#include "core/base/atomic.h"
#include "core/base/bytes.h"
#include "core/base/heap.h"
#include "core/base/mailbox.h"
#include "transport/buffer.h"
#include "transport/transport.h"

struct kolk__transport {
	const struct kolk_sys *sys;
	struct kolk__link_callbacks callbacks;
	uint32_t backend;
	uint64_t busy_poll_ns; /* how long a step looks for events before it sleeps */
	const char *name;      /* the back end in use; NULL until the first loop */
	const char *why_not;   /* why the required back end cannot be used; static, or NULL */
	kolk__atomic_u64 upstreams; /* relaxed: opened so far */
};

enum { KOLK__SPARES = 8 };

struct kolk__job;
struct kolk__progress;
struct resolution;

struct kolk__io_loop {
	struct kolk__transport *transport;
	struct kolk_ring *ring;
	struct kolk__heap timers;
	uint64_t timers_ran_ns;            /* timers due until then have fired */
	struct kolk__io *done, **done_end; /* operations whose callback is due */
	struct kolk__link *links;          /* all whose home this loop is */
	struct kolk__mailbox mailbox;          /* tasks posted by other loops and threads */
	bool no_streams;                   /* the ring does not support STREAM */
	struct kolk__buffer spare[KOLK__SPARES]; /* large and empty: input.c */
	uint32_t spares;
	struct kolk__progress *spare_progress; /* progress.c */
	uint32_t spare_progress_count;
	kolk__atomic_u64 unread;           /* relaxed: bytes in link.in of all its links */
	struct kolk__job *jobs;            /* all that are in flight */
	/* W: threads inside a completion (resource_async.c). R: the closer, which waits for zero. */
	kolk__atomic_u32 completing;
	struct resolution *resolutions;    /* dns_cache.c */
#ifdef KOLK__ASSERTIONS
	kolk__atomic_uptr thread; /* W: its stepper, its closer. R: anyone (relaxed: its own?) */
#endif
};

/* For assertions: return whether this is the thread that steps it, or may become that thread. */
bool kolk__io_loop_is_mine(const struct kolk__io_loop *loop);
#define KOLK__ON_LOOP(loop) KOLK__ASSERT(kolk__io_loop_is_mine(loop))

/* ---- memory, clock, log */

static inline uint64_t kolk__link_now(const struct kolk__transport *transport)
{
	return transport->sys->now_ns(transport->sys->context);
}

static inline void *kolk__alloc(const struct kolk__transport *transport, size_t size)
{
	return transport->sys->allocate(transport->sys->context, 16, size);
}

static inline void kolk__dealloc(const struct kolk__transport *transport, void *memory, size_t size)
{
	if (memory != NULL)
		transport->sys->deallocate(transport->sys->context, memory, size);
}

void kolk__transport_log(struct kolk__transport *transport, enum kolk_log_level level,
			 const char *format, ...) __attribute__((format(printf, 3, 4)));

/* ---- operations: prepared, then submitted */

typedef void kolk__op_fn(struct kolk_op *op);

static inline void kolk__op_transfer(struct kolk_op *op, enum kolk_op_kind kind, int fd,
				     struct kolk__space space)
{
	op->kind = (uint8_t)kind;
	op->lazy = 0;
	op->fd = fd;
	op->data = space.start;
	op->size = space.size;
}

static inline void kolk__op_send(struct kolk_op *op, int fd, const uint8_t *bytes, size_t size)
{
	void *start = (void *)(uintptr_t)bytes; /* which the ring only reads */

	kolk__op_transfer(op, KOLK_OP_SEND, fd, (struct kolk__space){ start, size });
}

static inline void kolk__op_recv(struct kolk_op *op, int fd, uint8_t *space, size_t size)
{
	kolk__op_transfer(op, KOLK_OP_RECV, fd, (struct kolk__space){ space, size });
}

/* STREAM, WATCH, POLL. */
static inline void kolk__op_fd(struct kolk_op *op, enum kolk_op_kind kind, int fd)
{
	kolk__op_transfer(op, kind, fd, (struct kolk__space){ NULL, 0 });
}

/* WORK and SPAWN, which call work on a worker thread; and RESOLVE, for which work is NULL: it runs
 * on the ring's own thread. */
static inline void kolk__op_work(struct kolk_op *op, enum kolk_op_kind kind, kolk__op_fn *work,
				 void *data)
{
	op->work = work;
	kolk__op_transfer(op, kind, -1, (struct kolk__space){ data, 0 });
}

/* Submit an operation: done runs in a step of this loop, and finds owner in op->owner. */
void kolk__submit(struct kolk__io_loop *loop, struct kolk_op *op, kolk__op_fn *done, void *owner);
void kolk__cancel(struct kolk__io_loop *loop, struct kolk_op *op);
/* A caller's operation has ended: its callback runs in this step or the next. */
void kolk__io_finish(struct kolk__io *io, enum kolk_err err);

/* Run the task on that loop's thread. Any thread. */
void kolk__io_loop_post(struct kolk__io_loop *loop, struct kolk__task *task,
			void (*run)(struct kolk__task *task));

#endif
