/* SPDX-License-Identifier: Apache-2.0 */
/*
 * note.h - the letterbox of a loop: the only way to ask another thread for work.
 *
 * Who:   anyone posts, the loop's thread takes all. ck_stack: push never waits for another
 *        producer (a multi-producer ring does, docs/decisions/0002-inbox.md), and one
 *        consumer that takes everything has no ABA.
 * Order: letters of one producer keep their order (take reverses the stack).
 * A note is in at most one letterbox; its memory is the poster's until run() was called.
 */
#ifndef KOLK_NOTE_H
#define KOLK_NOTE_H

#include <ck_stack.h>

struct kolk__note {
	ck_stack_entry_t entry;
	struct kolk__note *next; /* plain: the reader's list */
	void (*run)(struct kolk__note *note);
};

#endif
