/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash_table.h - a hash table that grows a few buckets at a time.
 *
 * Growth is that of Redis' dict: a second array of twice the size, and each add moves some buckets
 * over. A bucket is one cache line with up to seven items and 8 bits of the hash of each, so a
 * look-up loads the bucket and then the item that is meant, and in one of a hundred another one
 * before. What finds a bucket full is chained to its last item: one in 20 when there are five per
 * bucket on average, at which the table grows. So an item takes 13 to 26 bytes of buckets, and up
 * to 38 while the table grows.
 *
 * Not thread-safe: its owner has a lock for it. Hashes must be good, and a peer that chooses keys
 * must not be able to predict them.
 */
#ifndef KOLK_HASH_TABLE_H
#define KOLK_HASH_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include <kolk/sys/sys.h>

#include "core/base/atomic.h"

enum {
	KOLK__HASH_WAYS = 7,
	KOLK__HASH_LAST = KOLK__HASH_WAYS - 1,
	KOLK__HASH_LOAD = 5, /* items per bucket on average when the table grows */
	/* Buckets that an add moves: one would do to be done before the next growth. About ten
	 * items, and as many cache misses that do not depend on each other. */
	KOLK__HASH_MOVED = 2
};

/* In an item. */
struct kolk__hash_node {
	/* The next one that is chained. Of an item that has a way: the first of them, if it is the
	 * last way and the bucket says so. */
	struct kolk__hash_node *next;
	uint32_t hash;
};

struct kolk__hash_bucket {
	struct kolk__hash_node *item[KOLK__HASH_WAYS]; /* NULL = free */
	uint8_t tag[KOLK__HASH_WAYS];
	bool chained; /* all ways are taken, and the last item's next is not NULL */
};
_Static_assert(sizeof(struct kolk__hash_bucket) == KOLK_CACHE_LINE, "a bucket is a cache line");

struct kolk__hash_table {
	struct kolk__hash_bucket *buckets;
	/* While it grows: half as many, of which those below moved are empty. */
	struct kolk__hash_bucket *old;
	struct kolk__hash_bucket *outgrown; /* moved whole, not freed yet; half as many */
	uint32_t size, moved;               /* size: of buckets, a power of two */
	uint32_t count;                     /* items */
};

typedef bool kolk__hash_equal_fn(const struct kolk__hash_node *node, const void *what);
typedef void kolk__hash_visit_fn(struct kolk__hash_node *node, void *user);

/* The item with this hash that equals what; NULL = there is none. */
struct kolk__hash_node *kolk__hash_find(const struct kolk__hash_table *table, uint32_t hash,
					kolk__hash_equal_fn *equal, const void *what);
/* node->hash is set. False = no memory. Without memory to grow chains get longer. */
bool kolk__hash_add(struct kolk__hash_table *table, const struct kolk_sys *sys,
		    struct kolk__hash_node *node);
void kolk__hash_remove(struct kolk__hash_table *table, struct kolk__hash_node *node);
/* An array that is of no use any more, and its bytes: for the caller to free without a lock, as
 * that takes long for a large one. NULL = there is none. */
void *kolk__hash_take_outgrown(struct kolk__hash_table *table, size_t *size);
/* Visit the items that share the next bucket of the smaller array. Begin with cursor 0; 0 comes
 * back at the end. What is in the table all the time is visited once, however the table grows
 * between two calls. A visit may remove what it visits; what shares its bucket is then visited in
 * this round or in the next. */
uint32_t kolk__hash_scan(const struct kolk__hash_table *table, uint32_t cursor,
			 kolk__hash_visit_fn *visit, void *user);
/* No item is of use any more. */
void kolk__hash_free(struct kolk__hash_table *table, const struct kolk_sys *sys);

#endif
