/* SPDX-License-Identifier: Apache-2.0 */
/* hash_table.c - items found by hash: added, removed, moved bucket by bucket while it grows. */
#include "core/base/hash_table.h"

#include <string.h>

#include "core/base/assert.h"

/* The bits that number buckets last. */
static uint8_t tag_of(uint32_t hash)
{
	return (uint8_t)(hash >> 24);
}

static struct kolk__hash_node *first_chained(const struct kolk__hash_bucket *bucket)
{
	return bucket->chained ? bucket->item[KOLK__HASH_LAST]->next : NULL;
}

/* Where an item of this hash is, or would be: in one place, also while the table grows. */
static struct kolk__hash_bucket *bucket_of(const struct kolk__hash_table *table, uint32_t hash)
{
	uint32_t at = hash & (table->size - 1), old_at = at & ~(table->size / 2);

	if (KOLK_UNLIKELY(table->old != NULL) && old_at >= table->moved)
		return &table->old[old_at];
	return &table->buckets[at];
}

struct kolk__hash_node *kolk__hash_find(const struct kolk__hash_table *table, uint32_t hash,
					kolk__hash_equal_fn *equal, const void *what)
{
	const struct kolk__hash_bucket *bucket;
	struct kolk__hash_node *node;

	if (table->size == 0)
		return NULL;
	bucket = bucket_of(table, hash);
	for (int i = 0; i < KOLK__HASH_WAYS; i++)
		if (bucket->tag[i] == tag_of(hash) && bucket->item[i] != NULL &&
		    equal(bucket->item[i], what))
			return bucket->item[i];
	for (node = first_chained(bucket); node != NULL; node = node->next)
		if (node->hash == hash && equal(node, what))
			return node;
	return NULL;
}

static void put(struct kolk__hash_bucket *bucket, struct kolk__hash_node *node)
{
	int i = 0;

	while (i < KOLK__HASH_WAYS && bucket->item[i] != NULL)
		i++;
	if (i == KOLK__HASH_WAYS) {
		node->next = first_chained(bucket);
		bucket->item[KOLK__HASH_LAST]->next = node;
		bucket->chained = true;
		return;
	}
	bucket->item[i] = node;
	bucket->tag[i] = tag_of(node->hash);
}

/* The first that is chained gets this way, whose item goes. */
static void fill(struct kolk__hash_bucket *bucket, int way)
{
	struct kolk__hash_node *first = first_chained(bucket);

	if (way != KOLK__HASH_LAST)
		bucket->item[KOLK__HASH_LAST]->next = first->next;
	bucket->item[way] = first;
	bucket->tag[way] = tag_of(first->hash);
	bucket->chained = bucket->item[KOLK__HASH_LAST]->next != NULL;
}

static void remove_chained(struct kolk__hash_bucket *bucket, const struct kolk__hash_node *node)
{
	struct kolk__hash_node **link = &bucket->item[KOLK__HASH_LAST]->next;

	while (*link != node)
		link = &(*link)->next;
	*link = node->next;
	bucket->chained = bucket->item[KOLK__HASH_LAST]->next != NULL;
}

void kolk__hash_remove(struct kolk__hash_table *table, struct kolk__hash_node *node)
{
	struct kolk__hash_bucket *bucket = bucket_of(table, node->hash);
	int i = 0;

	table->count--;
	while (i < KOLK__HASH_WAYS && bucket->item[i] != node)
		i++;
	if (i == KOLK__HASH_WAYS)
		remove_chained(bucket, node);
	else if (bucket->chained)
		fill(bucket, i);
	else
		bucket->item[i] = NULL;
}

/* ---- growth */

static size_t bytes_of(uint32_t size)
{
	return size * sizeof(struct kolk__hash_bucket);
}

static void move_bucket(struct kolk__hash_table *table, struct kolk__hash_bucket *from)
{
	struct kolk__hash_node *node = first_chained(from), *next; /* put may change it */

	for (int i = 0; i < KOLK__HASH_WAYS; i++)
		if (from->item[i] != NULL)
			put(&table->buckets[from->item[i]->hash & (table->size - 1)],
			    from->item[i]);
	for (; node != NULL; node = next) {
		next = node->next;
		put(&table->buckets[node->hash & (table->size - 1)], node);
	}
}

static void move_some(struct kolk__hash_table *table)
{
	uint32_t end = table->moved + KOLK__HASH_MOVED;

	if (end > table->size / 2)
		end = table->size / 2;
	for (; table->moved < end; table->moved++)
		move_bucket(table, &table->old[table->moved]);
	if (end < table->size / 2)
		return;
	table->outgrown = table->old;
	table->old = NULL;
}

/* Memory is zeroed when it is first touched, if there is much of it (kolk_sys.allocate). */
static void grow(struct kolk__hash_table *table, const struct kolk_sys *sys)
{
	uint32_t size = table->size != 0 ? table->size * 2 : 1;
	struct kolk__hash_bucket *buckets =
		sys->allocate(sys->context, KOLK_CACHE_LINE, bytes_of(size));

	KOLK__ASSERT(table->old == NULL);
	if (buckets == NULL)
		return;
	if (table->outgrown != NULL) /* it was not taken */
		sys->deallocate(sys->context, table->outgrown, bytes_of(table->size / 2));
	table->outgrown = NULL;
	table->old = table->buckets;
	table->buckets = buckets;
	table->size = size;
	table->moved = 0;
}

bool kolk__hash_add(struct kolk__hash_table *table, const struct kolk_sys *sys,
		    struct kolk__hash_node *node)
{
	if (table->old != NULL)
		move_some(table);
	else if (table->count >= (uint64_t)table->size * KOLK__HASH_LOAD)
		grow(table, sys);
	if (table->size == 0)
		return false;
	put(bucket_of(table, node->hash), node);
	table->count++;
	return true;
}

void *kolk__hash_take_outgrown(struct kolk__hash_table *table, size_t *size)
{
	void *outgrown = table->outgrown;

	*size = bytes_of(table->size / 2);
	table->outgrown = NULL;
	return outgrown;
}

void kolk__hash_free(struct kolk__hash_table *table, const struct kolk_sys *sys)
{
	if (table->old != NULL)
		sys->deallocate(sys->context, table->old, bytes_of(table->size / 2));
	if (table->outgrown != NULL)
		sys->deallocate(sys->context, table->outgrown, bytes_of(table->size / 2));
	if (table->buckets != NULL)
		sys->deallocate(sys->context, table->buckets, bytes_of(table->size));
	memset(table, 0, sizeof *table);
}

/* ---- scan */

static void visit_bucket(const struct kolk__hash_bucket *bucket, kolk__hash_visit_fn *visit,
			 void *user)
{
	struct kolk__hash_node *node, *next;

	for (int i = 0; i < KOLK__HASH_WAYS; i++)
		if (bucket->item[i] != NULL)
			visit(bucket->item[i], user);
	for (node = first_chained(bucket); node != NULL; node = next) {
		next = node->next; /* visit may remove the node, and use its memory for something else */
		visit(node, user);
	}
}

static uint32_t reverse_bits(uint32_t value)
{
	uint32_t reversed = 0;

	for (int i = 0; i < 32; i++)
		reversed |= (value >> i & 1) << (31 - i);
	return reversed;
}

/* The cursor counts with its bits reversed (Redis' SCAN): the buckets into which one bucket grows
 * follow each other, so those behind the cursor stay behind it when the table doubles. */
static uint32_t next_of(uint32_t cursor, uint32_t size)
{
	return reverse_bits(reverse_bits(cursor | ~(size - 1)) + 1);
}

uint32_t kolk__hash_scan(const struct kolk__hash_table *table, uint32_t cursor,
			 kolk__hash_visit_fn *visit, void *user)
{
	uint32_t at = cursor & (table->size - 1);

	if (table->size == 0)
		return 0;
	if (table->old == NULL) {
		visit_bucket(&table->buckets[at], visit, user);
		return next_of(cursor, table->size);
	}
	at &= ~(table->size / 2);
	if (at >= table->moved) {
		visit_bucket(&table->old[at], visit, user);
	} else {
		visit_bucket(&table->buckets[at], visit, user);
		visit_bucket(&table->buckets[at | table->size / 2], visit, user);
	}
	return next_of(cursor, table->size / 2);
}
