/* SPDX-License-Identifier: Apache-2.0 */
/* inspect_tenants.c - the list of an engine's tenants, in slices. */
#include <string.h>

#include "core/identity.h"
#include "core/permits.h"
#include "core/pool.h"

_Static_assert(sizeof((struct kolk_tenant_info *)0)->name > KOLK__TEXT_MAX, "a name fits");

static void tenant_inspect(struct kolk_engine *engine, const struct kolk__tenant *tenant,
			   struct kolk_tenant_info *info)
{
	*info = (struct kolk_tenant_info){
		.open = kolk__load_relaxed(&tenant->open),
		.waiting = kolk__load_relaxed(&tenant->waiting),
		.keys = tenant->keys,
		.connections_max = kolk__tenant_limit(engine, tenant),
		.keys_max = tenant->keys_max != 0 ? tenant->keys_max :
						    kolk__load_relaxed(&engine->tenant_keys_max),
		.weight = kolk__load_relaxed(&tenant->weight),
		.own_limits = tenant->own_limits,
		.recalls = kolk__load_relaxed(&tenant->reclaimed),
	};
	strcpy(info->name, tenant->name); /* at most KOLK__TEXT_MAX bytes */
}

static uint64_t reversed(uint64_t bits)
{
	uint64_t back = 0;

	for (int i = 0; i < 64; i++, bits >>= 1)
		back = back << 1 | (bits & 1);
	return back;
}

/* The cursor counts up from its highest bit down (reversed), as Redis' SCAN does: when the table
 * grows in between, the two halves of a bucket that was listed count as listed, and none is twice.
 * UINT64_MAX = all were. */
static uint64_t bucket_after(uint64_t bucket, uint32_t bucket_count)
{
	uint64_t next = reversed(reversed(bucket | ~(uint64_t)(bucket_count - 1)) + 1);

	return next != 0 ? next : UINT64_MAX;
}

/* The array of a caller, and what it holds so far. */
struct list {
	struct kolk_tenant_info *tenants;
	size_t capacity, count;
	bool full; /* the next bucket does not fit */
};

enum { BUCKETS_SLICE = KOLK__STEPS_MAX / 2 }; /* their chains are short: the rest is for them */

/* A bucket is listed whole, or not at all unless it is the first. Returns its steps. */
static uint32_t bucket_list(struct kolk_engine *engine, const struct kolk__tenant *tenant,
			    struct list *list)
{
	size_t here = 0;

	KOLK__STEP(&engine->tenants.lock);
	for (; tenant != NULL && list->count + here < list->capacity; here++) {
		KOLK__STEP(&engine->tenants.lock);
		tenant_inspect(engine, tenant, &list->tenants[list->count + here]);
		tenant = tenant->bucket_next;
	}
	list->full = tenant != NULL;
	if (tenant == NULL || list->count == 0)
		list->count += here;
	return 1 + (uint32_t)here;
}

/* One hold of the lock. */
static void tenants_slice(struct kolk_engine *engine, uint64_t *cursor, struct list *list)
{
	struct kolk__tenants *table = &engine->tenants;
	uint32_t steps = 0;

	KOLK__HELD(&table->lock);
	if (table->bucket_count == 0)
		*cursor = UINT64_MAX;
	while (*cursor != UINT64_MAX && !list->full && steps < BUCKETS_SLICE) {
		bool first = list->count == 0;

		steps += bucket_list(engine, table->buckets[*cursor], list);
		if (!list->full || first)
			*cursor = bucket_after(*cursor, table->bucket_count);
	}
}

/* A bucket is listed whole or not at all, so no tenant is listed twice. The anonymous tenant is not
 * listed. */
size_t kolk_engine_tenants(struct kolk_engine *engine, uint64_t *cursor,
			   struct kolk_tenant_info *tenants, size_t capacity)
{
	struct list list = { .tenants = tenants, .capacity = capacity, .full = capacity == 0 };

	if (kolk__is_child(engine))
		return 0;
	while (!list.full && *cursor != UINT64_MAX) {
		kolk__take_lock(engine, &engine->tenants.lock);
		tenants_slice(engine, cursor, &list);
		kolk__give_lock_and_rest(engine, &engine->tenants.lock);
	}
	return list.count;
}
