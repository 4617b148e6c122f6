/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heap.h - deadlines in order: an intrusive binary heap, no allocation, no lock.
 *
 * min O(1); push and remove O(log n) each time, not on average: with 1 000 000 timers at most 20
 * levels up or down. So both may be done under a lock that a request waits for. (A pairing heap
 * is faster on average, 0.4 instead of 1.3 us to disarm one of 1 000 000, but a single removal may
 * take as many steps as there are timers: 0.4 to 0.6 s were measured.)
 *
 * The tree is complete: its nodes, numbered level by level from 1, have no gap, and the path to
 * node n is the bits of n below the highest one (0 = left). A node is in at most one heap; due_ns
 * must not change while it is in. Single thread, or under the owner's lock.
 */
#ifndef KOLK_HEAP_H
#define KOLK_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/atomic.h"

struct kolk__timer {
	uint64_t due_ns;
	struct kolk__timer *left, *right; /* due no earlier */
	struct kolk__timer *parent;       /* self = the root; NULL = in no heap */
};

struct kolk__heap {
	struct kolk__timer *root;
	kolk__atomic_u32 count; /* W: as above. R: anyone (relaxed: a hint) */
	uint32_t kind;          /* the owner's: what is in it */
};

static inline bool kolk__timer_is_armed(const struct kolk__timer *timer)
{
	return timer->parent != NULL;
}

void kolk__heap_push(struct kolk__heap *heap, struct kolk__timer *timer, uint64_t due_ns);
void kolk__heap_remove(struct kolk__heap *heap, struct kolk__timer *timer);

static inline struct kolk__timer *kolk__heap_min(const struct kolk__heap *heap)
{
	return heap->root;
}

#endif
