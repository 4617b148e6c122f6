/* SPDX-License-Identifier: Apache-2.0 */
/* address_limit.c - streams per address. See address_limit.h. */
#include "core/address_limit.h"

#include "core/base/container.h"

struct entry {
	struct kolk__hash_node node;
	uint32_t streams;
	uint64_t address;
};

static struct entry *entry_of(const struct kolk__hash_node *node)
{
	return kolk__container_of((uintptr_t)node, struct entry, node);
}

static bool is_of(const struct kolk__hash_node *node, const void *address)
{
	return entry_of(node)->address == *(const uint64_t *)address;
}

static uint32_t hash_of(const struct kolk__secret *secret, uint64_t address)
{
	return (uint32_t)kolk__siphash(secret, &address, sizeof address).d[0];
}

static struct entry *make(struct kolk__address_limit *limit, const struct kolk_sys *sys,
			  uint64_t address, uint32_t hash)
{
	struct entry *entry = sys->allocate(sys->context, 16, sizeof *entry);

	KOLK__HELD(&limit->lock);
	if (entry == NULL)
		return NULL;
	entry->address = address;
	entry->node.hash = hash;
	if (kolk__hash_add(&limit->table, sys, &entry->node))
		return entry;
	sys->deallocate(sys->context, entry, sizeof *entry);
	return NULL;
}

void kolk__address_limit_init(struct kolk__address_limit *limit, uint32_t streams_max)
{
	kolk__lock_init(&limit->lock, KOLK__RANK_LEAF);
	limit->streams_max = streams_max;
}

bool kolk__address_limit_add(struct kolk__address_limit *limit, const struct kolk_sys *sys,
			     const struct kolk__secret *secret, uint64_t address)
{
	uint32_t hash = hash_of(secret, address);
	struct kolk__hash_node *node;
	struct entry *entry;
	size_t outgrown_size;
	void *outgrown;
	bool added;

	kolk__lock(sys, &limit->lock);
	node = kolk__hash_find(&limit->table, hash, is_of, &address);
	entry = node != NULL ? entry_of(node) : make(limit, sys, address, hash);
	added = entry != NULL && entry->streams < limit->streams_max;
	if (added)
		entry->streams++;
	outgrown = kolk__hash_take_outgrown(&limit->table, &outgrown_size);
	kolk__unlock(sys, &limit->lock);
	if (outgrown != NULL)
		sys->deallocate(sys->context, outgrown, outgrown_size);
	return added;
}

void kolk__address_limit_remove(struct kolk__address_limit *limit, const struct kolk_sys *sys,
				const struct kolk__secret *secret, uint64_t address)
{
	struct entry *entry;

	kolk__lock(sys, &limit->lock);
	entry = entry_of(kolk__hash_find(&limit->table, hash_of(secret, address), is_of, &address));
	if (--entry->streams > 0)
		entry = NULL;
	else
		kolk__hash_remove(&limit->table, &entry->node);
	kolk__unlock(sys, &limit->lock);
	if (entry != NULL)
		sys->deallocate(sys->context, entry, sizeof *entry);
}

void kolk__address_limit_free(struct kolk__address_limit *limit, const struct kolk_sys *sys)
{
	KOLK__ASSERT(limit->table.count == 0);
	kolk__hash_free(&limit->table, sys);
}
