/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mailbox.h - mailboxes: the only way to give another thread a task.
 *
 * Threads: anyone posts, one thread takes all. ck_stack: push never waits for another
 *          producer (a multi-producer ring does, docs/decisions/0002-inbox.md), and one
 *          consumer that takes everything has no ABA.
 * Order:   tasks of one producer keep their order (take reverses the stack).
 * A task is in at most one mailbox; its memory is the poster's until run() was called, or until the
 * reader took it out of the list of those that it has taken.
 */
#ifndef KOLK_MAILBOX_H
#define KOLK_MAILBOX_H

#include <ck_stack.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/base/assert.h"

struct kolk__task {
	union {
		ck_stack_entry_t entry;   /* in the mailbox */
		struct kolk__task **link; /* plain: in the reader's list, what leads to it */
	};
	struct kolk__task *next; /* plain: the reader's list */
	void (*run)(struct kolk__task *task); /* for assertions: NULL while it is in no mailbox */
};

struct kolk__mailbox {
	ck_stack_t stack;
};

static inline void kolk__mailbox_post(struct kolk__mailbox *mailbox, struct kolk__task *task,
				      void (*run)(struct kolk__task *task))
{
	KOLK__ASSERT(task->run == NULL);
	task->run = run;
	ck_stack_push_upmc(&mailbox->stack, &task->entry);
}

static inline bool kolk__mailbox_is_empty(const struct kolk__mailbox *mailbox)
{
	return ck_pr_load_ptr(&mailbox->stack.head) == NULL;
}

/* It is in no mailbox any more. */
static inline void kolk__task_taken(struct kolk__task *task)
{
#ifdef KOLK__ASSERTIONS
	task->run = NULL;
#else
	(void)task;
#endif
}

/* It may free the task, or post it again. */
static inline void kolk__task_run(struct kolk__task *task)
{
	void (*run)(struct kolk__task *) = task->run;

	kolk__task_taken(task);
	run(task);
}

/* All tasks, oldest first, linked by next alone. The reader's. */
static inline struct kolk__task *kolk__mailbox_take(struct kolk__mailbox *mailbox)
{
	ck_stack_entry_t *entry = ck_stack_batch_pop_upmc(&mailbox->stack);
	struct kolk__task *list = NULL;

	while (entry != NULL) { /* newest first: reverse */
		struct kolk__task *task = (struct kolk__task *)(void *)entry;

		entry = entry->next;
		task->next = list;
		list = task;
	}
	return list;
}

#endif
