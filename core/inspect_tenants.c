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
		.open = kolk__load_relaxed(&tenant->connections.open),
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

/* The array of a caller that is being filled: `skip` of the bucket were listed before. */
struct list {
	struct kolk_engine *engine;
	struct kolk_tenant_info *tenants;
	size_t capacity, count;
	uint32_t skip, here;
};

static void list_tenant(struct kolk__hash_node *node, void *user)
{
	struct list *list = user;

	KOLK__STEP(&list->engine->tenants.lock);
	if (list->here++ < list->skip)
		return;
	if (list->count < list->capacity)
		tenant_inspect(list->engine, kolk__tenant_of_node(node),
			       &list->tenants[list->count]);
	list->count++;
}

/* The next bucket goes on the list, whole or not at all; in parts only where a whole one is longer
 * than the list. False = it is the last, or the list is full. */
static bool list_bucket(struct list *list, uint64_t *cursor)
{
	size_t before = list->count;
	uint32_t next;

	list->skip = (uint32_t)(*cursor >> 32);
	list->here = 0;
	next = kolk__hash_scan(&list->engine->tenants.table, (uint32_t)*cursor, list_tenant, list);
	if (list->count <= list->capacity) {
		*cursor = next != 0 ? next : UINT64_MAX;
		return next != 0;
	}
	list->count = before != 0 ? before : list->capacity;
	if (before == 0)
		*cursor += (uint64_t)list->capacity << 32;
	return false;
}

enum { BUCKETS_SLICE = KOLK__STEPS_MAX / 20 }; /* some 20 tenants each at most */

/* The cursor is the next bucket and, above it, how many of it were listed; UINT64_MAX = all were.
 * No tenant is listed twice, however the table grows (kolk__hash_scan), unless a bucket is listed
 * in parts. The anonymous tenant is not listed. */
size_t kolk_engine_tenants(struct kolk_engine *engine, uint64_t *cursor,
			   struct kolk_tenant_info *tenants, size_t capacity)
{
	struct list list = { .engine = engine, .tenants = tenants, .capacity = capacity };
	bool more = !kolk__is_child(engine) && *cursor != UINT64_MAX;

	while (more) {
		kolk__take_lock(engine, &engine->tenants.lock);
		for (uint32_t i = 0; more && i < BUCKETS_SLICE; i++)
			more = list_bucket(&list, cursor);
		kolk__give_lock_and_rest(engine, &engine->tenants.lock);
	}
	return list.count;
}
