/* SPDX-License-Identifier: Apache-2.0 */
/* heap.c - the pairing heap of heap.h. */
#include "core/base/heap.h"

/* Join two heaps: the later root becomes the first child of the earlier. */
static struct kolk__timer *meld(struct kolk__timer *a, struct kolk__timer *b)
{
	struct kolk__timer *winner = a->due_ns <= b->due_ns ? a : b;
	struct kolk__timer *loser = winner == a ? b : a;

	loser->next = winner->child;
	if (loser->next != NULL)
		loser->next->prev = loser;
	loser->prev = winner;
	winner->child = loser;
	winner->next = NULL;
	return winner;
}

/* Join a list of siblings pairwise, then all pairs from the last to the first. */
static struct kolk__timer *meld_siblings(struct kolk__timer *list)
{
	struct kolk__timer *pairs = NULL;
	struct kolk__timer *root = NULL;

	while (list != NULL) {
		struct kolk__timer *pair = list;
		struct kolk__timer *second = list->next;

		list = second != NULL ? second->next : NULL;
		pair->next = NULL;
		if (second != NULL)
			pair = meld(pair, second);
		pair->next = pairs;
		pairs = pair;
	}
	while (pairs != NULL) {
		struct kolk__timer *next = pairs->next;

		pairs->next = NULL;
		root = root != NULL ? meld(root, pairs) : pairs;
		pairs = next;
	}
	return root;
}

static void set_root(struct kolk__heap *heap, struct kolk__timer *root)
{
	heap->root = root;
	if (root != NULL) {
		root->prev = root;
		root->next = NULL;
	}
}

void kolk__heap_push(struct kolk__heap *heap, struct kolk__timer *timer, uint64_t due_ns)
{
	timer->due_ns = due_ns;
	timer->child = NULL;
	timer->next = NULL;
	set_root(heap, heap->root != NULL ? meld(heap->root, timer) : timer);
}

void kolk__heap_remove(struct kolk__heap *heap, struct kolk__timer *timer)
{
	struct kolk__timer *orphans = meld_siblings(timer->child);

	if (timer == heap->root) {
		set_root(heap, orphans);
	} else {
		if (timer->prev->child == timer)
			timer->prev->child = timer->next;
		else
			timer->prev->next = timer->next;
		if (timer->next != NULL)
			timer->next->prev = timer->prev;
		if (orphans != NULL)
			set_root(heap, meld(heap->root, orphans));
	}
	timer->prev = NULL;
	timer->child = NULL;
	timer->next = NULL;
}
