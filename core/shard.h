/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shard.h - what the pool keeps per loop: its mailbox, its deadlines, its callbacks to run.
 *
 * Threads: anyone posts tasks; everything else is the loop thread's alone.
 */
#ifndef KOLK_SHARD_H
#define KOLK_SHARD_H

#include "core/base/atomic.h"
#include "core/base/heap.h"
#include "core/base/mailbox.h"

struct kolk_engine;
struct kolk__io_loop;
struct kolk__waiter;


struct kolk_loop {
	struct kolk_engine *engine;
	struct kolk__io_loop *io_loop;
	void *thread;             /* the engine's, or NULL */
	uint32_t index;
	/* W: stop. R: run. */
	kolk__atomic_u32 stop;
	/* W: the first thread that steps. R: anyone (relaxed: asks only about itself). */
	kolk__atomic_uptr owner;
	/* ---- the loop thread's */
	struct kolk__heap deadlines; /* of waiters */
	struct kolk__task *tasks;  /* taken from the mailbox, not yet run */
	struct kolk__task **tasks_end;
	struct kolk__waiter *done, *done_last; /* ended waiters, callbacks to run */
	bool stepping;               /* inside a step: a nested one is refused */
	uint64_t now_ns;             /* of the step; 0 = it was not asked for yet */
	/* W: drain. R: loop (acquire). Means: 1 = give up dials of keys that refuse. */
	kolk__atomic_u32 sweep;
	/* ---- anyone's */
	struct kolk__mailbox mailbox __attribute__((aligned(KOLK_CACHE_LINE)));
} __attribute__((aligned(KOLK_CACHE_LINE)));

enum kolk_err kolk__shard_open(struct kolk_engine *engine, uint32_t index);
void kolk__shard_close(struct kolk_loop *shard);
enum kolk_err kolk__shard_start(struct kolk_loop *shard);
void kolk__shard_join(struct kolk_loop *shard);

/* Post a task to the mailbox and wake the loop if it sleeps. Any thread. */
void kolk__post(struct kolk_loop *shard, struct kolk__task *task, void (*run)(struct kolk__task *));
/* The calling thread is inside this loop's turn from now on; returns the loop it was in. */
struct kolk_loop *kolk__loop_enter(struct kolk_loop *loop);
/* Runs the tasks that have come. In the turn; true when there was one. */
bool kolk__tasks_run(struct kolk_loop *loop);
/* Take back a task that was posted and has not run. Loop thread; O(1), once it was taken. */
void kolk__task_cancel(struct kolk_loop *shard, struct kolk__task *task);
/* A waiter of this loop ended: its callback will run. Loop thread. */
void kolk__done_add(struct kolk_loop *shard, struct kolk__waiter *waiter);
void kolk__done_remove(struct kolk_loop *shard, struct kolk__waiter *waiter);
/* The loop for new work of the calling thread: its own, or round robin. */
struct kolk_loop *kolk__shard_pick(struct kolk_engine *engine);
/* True when the calling thread owns this loop (the first to ask becomes the owner). */
bool kolk__is_owner(struct kolk_loop *loop);
/* True when the calling thread runs a loop of this engine. */
bool kolk__on_loop(const struct kolk_engine *engine);

/* For assertions: is this thread the loop's owner; is it inside a turn of the loop? */
bool kolk__owns(const struct kolk_loop *loop);
bool kolk__in_turn(const struct kolk_loop *loop);
#define KOLK__OWNER(loop) KOLK__ASSERT(kolk__owns(loop))
#define KOLK__IN_TURN(loop) KOLK__ASSERT(kolk__in_turn(loop))

#endif
