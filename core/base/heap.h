/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heap.h - deadlines in order: an intrusive pairing heap, no allocation, no lock.
 *
 * push O(1), min O(1), remove O(log n) amortized. A node is in at most one heap; due_ns
 * must not change while it is in. Single thread, or under the owner's lock.
 * Fredman, Sedgewick, Sleator, Tarjan: The pairing heap (1986).
 */
#ifndef KOLK_HEAP_H
#define KOLK_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kolk__timer {
	uint64_t due_ns;
	struct kolk__timer *child; /* first of the children */
	struct kolk__timer *next;  /* next sibling */
	struct kolk__timer *prev;  /* previous sibling, or the parent of a first child; self =
	                            * the root; NULL = in no heap */
};

struct kolk__heap {
	struct kolk__timer *root;
};

static inline bool kolk__timer_is_armed(const struct kolk__timer *timer)
{
	return timer->prev != NULL;
}

void kolk__heap_push(struct kolk__heap *heap, struct kolk__timer *timer, uint64_t due_ns);
void kolk__heap_remove(struct kolk__heap *heap, struct kolk__timer *timer);

static inline struct kolk__timer *kolk__heap_min(const struct kolk__heap *heap)
{
	return heap->root;
}

#endif
