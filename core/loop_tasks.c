/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop_tasks.c - which thread runs a loop, and what waits for its turn: tasks that were posted to
 * it, callbacks of waiters that ended.
 */
#include "core/engine.h"
#include "core/wait.h"

static _Thread_local struct kolk_loop *current __attribute__((tls_model("initial-exec")));
static _Thread_local char identity; /* its address tells threads apart */

static uintptr_t self(void)
{
	return (uintptr_t)&identity;
}

bool kolk__is_owner(struct kolk_loop *loop)
{
	uintptr_t expected = 0;

	return kolk__load_relaxed(&loop->owner) == self() ||
	       kolk__cas_acq_rel(&loop->owner, &expected, self());
}

bool kolk_loop_is_mine(struct kolk_loop *loop)
{
	return kolk__is_owner(loop);
}

struct kolk_loop *kolk_loop_current(void)
{
	/* Forked in a callback: the child's thread is in no turn. */
	if (current != NULL && kolk__is_child(current->engine))
		current = NULL;
	return current;
}

bool kolk__on_loop(const struct kolk_engine *engine)
{
	return current != NULL && current->engine == engine;
}

#ifdef KOLK__ASSERTIONS
bool kolk__owns(const struct kolk_loop *loop)
{
	return kolk__load_relaxed(&loop->owner) == self();
}

bool kolk__in_turn(const struct kolk_loop *loop)
{
	return current == loop && kolk__owns(loop);
}
#endif

struct kolk_loop *kolk__loop_enter(struct kolk_loop *loop)
{
	struct kolk_loop *outer = current;

	current = loop;
	return outer;
}

struct kolk_loop *kolk__shard_pick(struct kolk_engine *engine)
{
	if (kolk__on_loop(engine))
		return current;
	return &engine->shards[kolk__add_relaxed(&engine->next_shard, 1) %
			       kolk__load_relaxed(&engine->loops_active)];
}

/* ---- tasks */

void kolk__post(struct kolk_loop *shard, struct kolk__task *task, void (*run)(struct kolk__task *))
{
	kolk__mailbox_post(&shard->mailbox, task, run);
	if (shard != current)
		kolk__io_loop_wake(shard->io_loop);
}

/* Linear in what was posted since the last time: constant for each task. */
static void tasks_take(struct kolk_loop *shard)
{
	struct kolk__task *task = kolk__mailbox_take(&shard->mailbox);

	*shard->tasks_end = task;
	for (; task != NULL; task = task->next) {
		task->link = shard->tasks_end;
		shard->tasks_end = &task->next;
	}
}

static void task_unlink(struct kolk_loop *shard, struct kolk__task *task)
{
	*task->link = task->next;
	if (task->next != NULL)
		task->next->link = task->link;
	else
		shard->tasks_end = task->link;
}

void kolk__task_cancel(struct kolk_loop *shard, struct kolk__task *task)
{
	KOLK__OWNER(shard);
	tasks_take(shard);
	task_unlink(shard, task);
	kolk__task_taken(task);
}

bool kolk__tasks_run(struct kolk_loop *shard)
{
	bool any = false;

	KOLK__IN_TURN(shard);
	tasks_take(shard);
	while (shard->tasks != NULL) {
		struct kolk__task *task = shard->tasks;

		task_unlink(shard, task);
		kolk__task_run(task);
		any = true;
	}
	return any;
}

/* ---- waiters that ended */

void kolk__done_add(struct kolk_loop *shard, struct kolk__waiter *waiter)
{
	KOLK__IN_TURN(shard);
	if (kolk__timer_is_armed(&waiter->deadline))
		kolk__heap_remove(&shard->deadlines, &waiter->deadline);
	kolk__store_relaxed(&waiter->state, KOLK__DELIVERED);
	waiter->next = NULL;
	waiter->prev = shard->done_last;
	*(shard->done_last != NULL ? &shard->done_last->next : &shard->done) = waiter;
	shard->done_last = waiter;
}

void kolk__done_remove(struct kolk_loop *shard, struct kolk__waiter *waiter)
{
	KOLK__OWNER(shard);
	KOLK__ASSERT(kolk__own(&waiter->state) == KOLK__DELIVERED);
	*(waiter->prev != NULL ? &waiter->prev->next : &shard->done) = waiter->next;
	*(waiter->next != NULL ? &waiter->next->prev : &shard->done_last) = waiter->prev;
	waiter->next = waiter->prev = NULL;
}
