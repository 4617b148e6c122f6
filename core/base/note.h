/* SPDX-License-Identifier: Apache-2.0 */
/*
 * note.h - letterboxes: the only way to ask another thread for work.
 *
 * Who:   anyone posts, one thread takes all. ck_stack: push never waits for another
 *        producer (a multi-producer ring does, docs/decisions/0002-inbox.md), and one
 *        consumer that takes everything has no ABA.
 * Order: letters of one producer keep their order (take reverses the stack).
 * A note is in at most one letterbox; its memory is the poster's until run() was called.
 */
#ifndef KOLK_NOTE_H
#define KOLK_NOTE_H

#include <ck_stack.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/base/assert.h"

struct kolk__note {
	ck_stack_entry_t entry;
	struct kolk__note *next; /* plain: the reader's list */
	void (*run)(struct kolk__note *note); /* for assertions: NULL while it is in no letterbox */
};

struct kolk__inbox {
	ck_stack_t stack;
};

static inline void kolk__inbox_put(struct kolk__inbox *inbox, struct kolk__note *note,
				   void (*run)(struct kolk__note *note))
{
	KOLK__ASSERT(note->run == NULL);
	note->run = run;
	ck_stack_push_upmc(&inbox->stack, &note->entry);
}

static inline bool kolk__inbox_is_empty(const struct kolk__inbox *inbox)
{
	return ck_pr_load_ptr(&inbox->stack.head) == NULL;
}

/* It is in no letterbox any more. */
static inline void kolk__note_taken(struct kolk__note *note)
{
#ifdef KOLK__ASSERTIONS
	note->run = NULL;
#else
	(void)note;
#endif
}

/* It may free the note, or post it again. */
static inline void kolk__note_run(struct kolk__note *note)
{
	void (*run)(struct kolk__note *) = note->run;

	kolk__note_taken(note);
	run(note);
}

/* All letters, oldest first, linked by next. The reader's. */
static inline struct kolk__note *kolk__inbox_take(struct kolk__inbox *inbox)
{
	ck_stack_entry_t *entry = ck_stack_batch_pop_upmc(&inbox->stack);
	struct kolk__note *list = NULL;

	while (entry != NULL) { /* newest first: reverse */
		struct kolk__note *note = (struct kolk__note *)(void *)entry;

		entry = entry->next;
		note->next = list;
		list = note;
	}
	return list;
}

#endif
