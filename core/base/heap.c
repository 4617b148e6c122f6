/* SPDX-License-Identifier: Apache-2.0 */
/* heap.c - the binary heap of heap.h. */
#include "core/base/heap.h"

/* The link that holds node n, or will; *parent is above it, NULL = n is the root. At most 31
 * steps. */
static struct kolk__timer **link_of(struct kolk__heap *heap, uint32_t n,
				    struct kolk__timer **parent)
{
	struct kolk__timer **link = &heap->root;

	*parent = NULL;
	for (int bit = 31 - __builtin_clz(n) - 1; bit >= 0; bit--) {
		*parent = *link;
		link = n >> bit & 1 ? &(*parent)->right : &(*parent)->left;
	}
	return link;
}

/* The link to old from above leads to timer. */
static void link_from_above(struct kolk__heap *heap, struct kolk__timer *old,
			    struct kolk__timer *timer)
{
	struct kolk__timer *parent = old->parent;

	timer->parent = parent == old ? timer : parent;
	if (parent == old)
		heap->root = timer;
	else if (parent->left == old)
		parent->left = timer;
	else
		parent->right = timer;
}

static void link_children(struct kolk__timer *timer)
{
	if (timer->left != NULL)
		timer->left->parent = timer;
	if (timer->right != NULL)
		timer->right->parent = timer;
}

/* The child and its parent change places. */
static void lift(struct kolk__heap *heap, struct kolk__timer *child)
{
	struct kolk__timer *parent = child->parent;
	struct kolk__timer *left = child->left, *right = child->right;

	link_from_above(heap, parent, child);
	child->left = parent->left == child ? parent : parent->left;
	child->right = parent->right == child ? parent : parent->right;
	parent->left = left;
	parent->right = right;
	link_children(child);
	link_children(parent);
}

static void rise(struct kolk__heap *heap, struct kolk__timer *timer)
{
	while (timer->parent != timer && timer->due_ns < timer->parent->due_ns)
		lift(heap, timer);
}

static void sink(struct kolk__heap *heap, struct kolk__timer *timer)
{
	for (;;) {
		struct kolk__timer *least = timer;

		if (timer->left != NULL && timer->left->due_ns < least->due_ns)
			least = timer->left;
		if (timer->right != NULL && timer->right->due_ns < least->due_ns)
			least = timer->right;
		if (least == timer)
			return;
		lift(heap, least);
	}
}

void kolk__heap_push(struct kolk__heap *heap, struct kolk__timer *timer, uint64_t due_ns)
{
	struct kolk__timer *parent;
	struct kolk__timer **link = link_of(heap, kolk__own(&heap->count) + 1, &parent);

	kolk__own_add(&heap->count, 1);
	*link = timer;
	*timer = (struct kolk__timer){ .due_ns = due_ns, .parent = parent != NULL ? parent : timer };
	rise(heap, timer);
}

/* The last node takes the place of the one that goes. */
void kolk__heap_remove(struct kolk__heap *heap, struct kolk__timer *timer)
{
	struct kolk__timer *parent;
	struct kolk__timer **link = link_of(heap, kolk__own(&heap->count), &parent);
	struct kolk__timer *last = *link;

	kolk__own_sub(&heap->count, 1);
	*link = NULL;
	if (last != timer) {
		link_from_above(heap, timer, last);
		last->left = timer->left;
		last->right = timer->right;
		link_children(last);
		sink(heap, last);
		rise(heap, last);
	}
	timer->parent = timer->left = timer->right = NULL;
}
