/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tenant.c - tenants: found by name, made on first use, given limits.
 */
#include <string.h>

#include "core/option_tables.h"
#include "core/options.h"
#include "core/pool.h"
#include "core/permits.h"

/* ---- the table: under tenants.lock */

static struct kolk__tenant **bucket_of(struct kolk__tenants *tenants, uint64_t hash)
{
	return &tenants->buckets[hash & (tenants->bucket_count - 1)];
}

static struct kolk__tenant *find(struct kolk_engine *engine, const char *name, uint64_t hash)
{
	struct kolk__tenants *tenants = &engine->tenants;
	struct kolk__tenant *tenant =
		tenants->buckets != NULL ? *bucket_of(tenants, hash) : NULL;

	KOLK__HELD(&engine->tenants.lock);
	while (tenant != NULL && (tenant->hash != hash || strcmp(tenant->name, name) != 0))
		tenant = tenant->bucket_next;
	return tenant;
}

static bool buckets_grow(struct kolk_engine *engine)
{
	struct kolk__tenants *tenants = &engine->tenants;
	uint32_t old_count = tenants->bucket_count;
	uint32_t new_count = old_count != 0 ? old_count * 2 : 16;
	struct kolk__tenant **old = tenants->buckets;
	struct kolk__tenant **buckets = kolk__allocate(engine, new_count * sizeof buckets[0]);

	KOLK__HELD(&engine->tenants.lock);
	if (buckets == NULL)
		return old != NULL; /* the chains get longer */
	tenants->buckets = buckets;
	tenants->bucket_count = new_count;
	for (uint32_t i = 0; i < old_count; i++)
		for (struct kolk__tenant *tenant = old[i], *next; tenant != NULL; tenant = next) {
			next = tenant->bucket_next;
			tenant->bucket_next = *bucket_of(tenants, tenant->hash);
			*bucket_of(tenants, tenant->hash) = tenant;
		}
	kolk__deallocate(engine, old, old_count * sizeof old[0]);
	return true;
}

/* Memory of a tenant, fresh or recycled. Late readers may still read a recycled one's share: its
 * permit queues and counts are at rest and stay as they are. */
static struct kolk__tenant *tenant_alloc(struct kolk_engine *engine)
{
	struct kolk__tenant *tenant = engine->tenants.free;

	KOLK__HELD(&engine->tenants.lock);
	if (tenant != NULL) {
		engine->tenants.free = tenant->bucket_next;
		return tenant;
	}
	tenant = engine->sys->allocate(engine->sys->context, 8, sizeof *tenant);
	if (tenant == NULL)
		return NULL;
	kolk__permit_queue_init(&tenant->engine_queue, KOLK__QUEUE_ENGINE);
	kolk__permit_queue_init(&tenant->limit_queue, KOLK__QUEUE_TENANT);
	return tenant;
}

static struct kolk__tenant *create(struct kolk_engine *engine, const char *name, uint64_t hash)
{
	struct kolk__tenants *tenants = &engine->tenants;
	size_t size = strlen(name) + 1;
	char *copy = engine->sys->allocate(engine->sys->context, 8, size);
	struct kolk__tenant *tenant = NULL;

	KOLK__HELD(&engine->tenants.lock);
	if (copy != NULL && (tenants->count < tenants->bucket_count || buckets_grow(engine)))
		tenant = tenant_alloc(engine);
	if (tenant == NULL) {
		kolk__deallocate(engine, copy, size);
		return NULL;
	}
	memcpy(copy, name, size);
	tenant->name = copy;
	tenant->hash = hash;
	kolk__store_relaxed(&tenant->connections_max, 0);
	kolk__store_relaxed(&tenant->weight, 1);
	kolk__store_relaxed(&tenant->reclaimed, 0);
	tenant->keys_max = 0;
	tenant->own_limits = false;
	tenant->bucket_next = *bucket_of(tenants, hash);
	*bucket_of(tenants, hash) = tenant;
	tenants->count++;
	return tenant;
}

static void forget_refused(struct kolk_engine *engine, struct kolk__tenant *tenant)
{
	kolk__deallocate(engine, kolk__own(&tenant->refused),
			 KOLK_REFUSALS * sizeof(kolk__atomic_u64));
	kolk__store_relaxed(&tenant->refused, NULL);
}

/* It has no connection left to reclaim. */
static void reclaim_forget(struct kolk_engine *engine, struct kolk__tenant *tenant)
{
	KOLK__HELD(&engine->tenants.lock);
	kolk__take_lock(engine, &engine->accounting);
	if (kolk__own(&tenant->reclaim_round) == kolk__own(&engine->reclaim_round) &&
	    tenant->reclaim_limit == KOLK__ENGINE_FULL)
		engine->to_reclaim -= kolk__own(&tenant->to_reclaim);
	kolk__store_relaxed(&tenant->to_reclaim, 0);
	kolk__give_lock(engine, &engine->accounting);
}

static void unref(struct kolk_engine *engine, struct kolk__tenant *tenant)
{
	struct kolk__tenants *tenants = &engine->tenants;
	struct kolk__tenant **link;

	KOLK__HELD(&engine->tenants.lock);
	if (--tenant->refs > 0)
		return;
	link = bucket_of(tenants, tenant->hash);
	while (*link != tenant)
		link = &(*link)->bucket_next;
	*link = tenant->bucket_next;
	tenants->count--;
	reclaim_forget(engine, tenant);
	kolk__deallocate(engine, tenant->name, strlen(tenant->name) + 1);
	forget_refused(engine, tenant);
	tenant->name = NULL;
	tenant->bucket_next = tenants->free;
	tenants->free = tenant;
}

static uint64_t hash_of(struct kolk_engine *engine, const char *name)
{
	return kolk__siphash(&engine->secret, name, strlen(name)).d[0];
}

/* ---- for keys */

static uint32_t keys_limit(const struct kolk_engine *engine, const struct kolk__tenant *tenant)
{
	KOLK__HELD(&engine->tenants.lock);
	return tenant->keys_max != 0 ? tenant->keys_max :
				       kolk__load_relaxed(&engine->tenant_keys_max);
}

struct kolk__tenant *kolk__tenant_key_add(struct kolk_engine *engine, const char *name, bool *full)
{
	uint64_t hash = hash_of(engine, name);
	struct kolk__tenant *tenant;

	*full = false;
	if (*name == 0)
		return &engine->anonymous;
	kolk__take_lock(engine, &engine->tenants.lock);
	tenant = find(engine, name, hash);
	if (tenant == NULL)
		tenant = create(engine, name, hash);
	if (tenant != NULL && tenant->keys >= keys_limit(engine, tenant)) {
		*full = true;
		tenant = NULL;
	}
	if (tenant != NULL) {
		tenant->refs++;
		tenant->keys++;
	}
	kolk__give_lock(engine, &engine->tenants.lock);
	return tenant;
}

void kolk__tenant_key_remove(struct kolk_engine *engine, struct kolk__tenant *tenant)
{
	if (tenant == &engine->anonymous)
		return;
	kolk__take_lock(engine, &engine->tenants.lock);
	tenant->keys--;
	unref(engine, tenant);
	kolk__give_lock(engine, &engine->tenants.lock);
}

bool kolk__tenant_nearly_full(struct kolk_engine *engine, struct kolk__tenant *tenant)
{
	uint32_t limit, keys;

	if (tenant == &engine->anonymous)
		return false;
	kolk__take_lock(engine, &engine->tenants.lock);
	limit = keys_limit(engine, tenant);
	keys = tenant->keys;
	kolk__give_lock(engine, &engine->tenants.lock);
	return keys >= limit - limit / 16;
}

struct kolk__tenant *kolk__tenant_find(struct kolk_engine *engine, const char *name)
{
	uint64_t hash = hash_of(engine, name);
	struct kolk__tenant *tenant;

	if (*name == 0)
		return &engine->anonymous;
	kolk__take_lock(engine, &engine->tenants.lock);
	tenant = find(engine, name, hash);
	if (tenant != NULL)
		tenant->refs++;
	kolk__give_lock(engine, &engine->tenants.lock);
	return tenant;
}

void kolk__tenant_unref(struct kolk_engine *engine, struct kolk__tenant *tenant)
{
	if (tenant == &engine->anonymous)
		return;
	kolk__take_lock(engine, &engine->tenants.lock);
	unref(engine, tenant);
	kolk__give_lock(engine, &engine->tenants.lock);
}

/* ---- open and close */

void kolk__tenants_open(struct kolk_engine *engine)
{
	struct kolk__tenant *anonymous = &engine->anonymous;

	kolk__permit_queue_init(&anonymous->engine_queue, KOLK__QUEUE_ENGINE);
	kolk__permit_queue_init(&anonymous->limit_queue, KOLK__QUEUE_TENANT);
	kolk__store_relaxed(&anonymous->connections_max, KOLK_UNLIMITED);
	anonymous->keys_max = KOLK_UNLIMITED;
	kolk__store_relaxed(&anonymous->weight, 1);
	anonymous->refs = 1;
	anonymous->name = engine->no_name;
}

void kolk__tenants_close(struct kolk_engine *engine)
{
	struct kolk__tenants *tenants = &engine->tenants;

	/* What is left has limits of its own, and nothing else. */
	kolk__take_lock(engine, &tenants->lock);
	for (uint32_t i = 0; i < tenants->bucket_count; i++)
		while (tenants->buckets[i] != NULL)
			unref(engine, tenants->buckets[i]);
	kolk__give_lock(engine, &tenants->lock);
	forget_refused(engine, &engine->anonymous);
	while (tenants->free != NULL) {
		struct kolk__tenant *tenant = tenants->free;

		tenants->free = tenant->bucket_next;
		kolk__deallocate(engine, tenant, sizeof *tenant);
	}
	kolk__deallocate(engine, tenants->buckets,
			 tenants->bucket_count * sizeof tenants->buckets[0]);
}

/* ---- limits */

/* Under tenants.lock; the counts that permits compare also under accounting. */
static void limits_apply(struct kolk_engine *engine, struct kolk__tenant *tenant,
			 const struct kolk_tenant_limits *l)
{
	KOLK__HELD(&engine->tenants.lock);
	kolk__take_lock(engine, &engine->accounting);
	if (l == NULL || l->connections_max != 0)
		kolk__store_relaxed(&tenant->connections_max, l != NULL ? l->connections_max : 0);
	if (l == NULL || l->weight != 0)
		kolk__store_relaxed(&tenant->weight, l != NULL ? l->weight : 1);
	kolk__tenant_share_changed(engine, tenant);
	kolk__give_lock(engine, &engine->accounting);
	if (l == NULL || l->keys_max != 0)
		tenant->keys_max = l != NULL ? l->keys_max : 0;
}

enum kolk_err kolk__tenant_limits_apply(struct kolk_engine *engine, const char *name,
					const struct kolk_tenant_limits *l)
{
	uint64_t hash = hash_of(engine, name);
	struct kolk__tenant *tenant = find(engine, name, hash);
	bool had;

	KOLK__HELD(&engine->tenants.lock);
	if (tenant == NULL && l != NULL)
		tenant = create(engine, name, hash);
	if (tenant == NULL)
		return l != NULL ? KOLK_E_MEMORY : KOLK_OK;
	if (l != NULL && !tenant->own_limits)
		tenant->refs++;
	limits_apply(engine, tenant, l);
	had = tenant->own_limits;
	tenant->own_limits = l != NULL;
	if (l == NULL && had)
		unref(engine, tenant);
	return KOLK_OK;
}
