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

static bool is_named(const struct kolk__hash_node *node, const void *name)
{
	return strcmp(kolk__tenant_of_node((struct kolk__hash_node *)node)->name, name) == 0;
}

static struct kolk__tenant *find(struct kolk_engine *engine, const char *name, uint32_t hash)
{
	struct kolk__hash_node *node;

	KOLK__HELD(&engine->tenants.lock);
	node = kolk__hash_find(&engine->tenants.table, hash, is_named, name);
	return node != NULL ? kolk__tenant_of_node(node) : NULL;
}

/* Memory of a tenant, fresh or recycled. Late readers may still read a recycled one's share: its
 * permit queues and counts are at rest and stay as they are. */
static void account_init(struct kolk__account *account, struct kolk__tenant *tenant,
			 struct kolk__total *total)
{
	account->tenant = tenant;
	account->total = total;
	kolk__permit_queue_init(&account->engine_queue, KOLK__QUEUE_ENGINE);
	kolk__permit_queue_init(&account->limit.queue, KOLK__QUEUE_TENANT);
}

/* It stays with the memory of the tenant. */
static bool has_account(struct kolk_engine *engine, struct kolk__tenant *tenant, int class)
{
	struct kolk__account *account;

	KOLK__HELD(&engine->tenants.lock);
	if (kolk__tenant_account(tenant, class) != NULL)
		return true;
	account = engine->sys->allocate(engine->sys->context, 8, sizeof *account);
	if (account == NULL)
		return false;
	account_init(account, tenant, &engine->totals[class]);
	tenant->drawing = account;
	return true;
}

static struct kolk__tenant *tenant_alloc(struct kolk_engine *engine)
{
	struct kolk__tenant *tenant = engine->tenants.free;

	KOLK__HELD(&engine->tenants.lock);
	if (tenant != NULL) {
		engine->tenants.free = tenant->next_free;
		return tenant;
	}
	tenant = engine->sys->allocate(engine->sys->context, 8, sizeof *tenant);
	if (tenant == NULL)
		return NULL;
	account_init(&tenant->connections, tenant, &engine->totals[KOLK__CONNECTIONS]);
	return tenant;
}

static void tenant_recycle(struct kolk_engine *engine, struct kolk__tenant *tenant)
{
	KOLK__HELD(&engine->tenants.lock);
	tenant->next_free = engine->tenants.free;
	engine->tenants.free = tenant;
}

static struct kolk__tenant *create(struct kolk_engine *engine, const char *name, uint32_t hash)
{
	size_t size = strlen(name) + 1;
	char *copy = engine->sys->allocate(engine->sys->context, 8, size);
	struct kolk__tenant *tenant = NULL;

	KOLK__HELD(&engine->tenants.lock);
	if (copy != NULL)
		tenant = tenant_alloc(engine);
	if (tenant != NULL)
		tenant->node.hash = hash;
	if (tenant == NULL || !kolk__hash_add(&engine->tenants.table, engine->sys, &tenant->node)) {
		if (tenant != NULL)
			tenant_recycle(engine, tenant);
		kolk__deallocate(engine, copy, size);
		return NULL;
	}
	memcpy(copy, name, size);
	tenant->name = copy;
	kolk__store_relaxed(&tenant->connections_max, 0);
	kolk__store_relaxed(&tenant->weight, 1);
	kolk__store_relaxed(&tenant->reclaimed, 0);
	tenant->keys_max = 0;
	tenant->own_limits = false;
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
	for (int i = 0; i < KOLK__CLASSES; i++) {
		struct kolk__account *account = kolk__tenant_account(tenant, i);

		if (account == NULL)
			continue;
		if (kolk__own(&account->reclaim_round) == kolk__own(&engine->reclaim_round) &&
		    account->reclaim_limit == KOLK__ENGINE_FULL)
			account->total->to_reclaim -= kolk__own(&account->to_reclaim);
		kolk__store_relaxed(&account->to_reclaim, 0);
	}
	kolk__give_lock(engine, &engine->accounting);
}

static void unref(struct kolk_engine *engine, struct kolk__tenant *tenant)
{
	KOLK__HELD(&engine->tenants.lock);
	if (--tenant->refs > 0)
		return;
	kolk__hash_remove(&engine->tenants.table, &tenant->node);
	reclaim_forget(engine, tenant);
	kolk__deallocate(engine, tenant->name, strlen(tenant->name) + 1);
	forget_refused(engine, tenant);
	tenant->name = NULL;
	tenant_recycle(engine, tenant);
}

static uint32_t hash_of(struct kolk_engine *engine, const char *name)
{
	return (uint32_t)kolk__siphash(&engine->secret, name, strlen(name)).d[0];
}

/* ---- for keys */

static uint32_t keys_limit(const struct kolk_engine *engine, const struct kolk__tenant *tenant)
{
	KOLK__HELD(&engine->tenants.lock);
	return tenant->keys_max != 0 ? tenant->keys_max :
				       kolk__load_relaxed(&engine->tenant_keys_max);
}

struct kolk__tenant *kolk__tenant_key_add(struct kolk_pool *pool, const char *name, bool *full)
{
	struct kolk_engine *engine = pool->engine;
	uint32_t hash = hash_of(engine, name);
	struct kolk__tenant *tenant;
	size_t outgrown_size;
	void *outgrown;

	*full = false;
	if (*name == 0)
		return &engine->anonymous;
	kolk__take_lock(engine, &engine->tenants.lock);
	tenant = find(engine, name, hash);
	if (tenant == NULL)
		tenant = create(engine, name, hash);
	if (tenant != NULL) {
		tenant->refs++;
		*full = tenant->keys >= keys_limit(engine, tenant);
		if (*full || !has_account(engine, tenant, pool->account_class)) {
			unref(engine, tenant);
			tenant = NULL;
		} else {
			tenant->keys++;
		}
	}
	outgrown = kolk__hash_take_outgrown(&engine->tenants.table, &outgrown_size);
	kolk__give_lock(engine, &engine->tenants.lock);
	kolk__deallocate(engine, outgrown, outgrown_size);
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
	uint32_t hash = hash_of(engine, name);
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

	account_init(&anonymous->connections, anonymous, &engine->totals[KOLK__CONNECTIONS]);
	account_init(&engine->anonymous_drawing, anonymous, &engine->totals[KOLK__DRAWING]);
	anonymous->drawing = &engine->anonymous_drawing;
	kolk__store_relaxed(&anonymous->connections_max, KOLK_UNLIMITED);
	anonymous->keys_max = KOLK_UNLIMITED;
	kolk__store_relaxed(&anonymous->weight, 1);
	anonymous->refs = 1;
	anonymous->name = engine->no_name;
}

static void unref_node(struct kolk__hash_node *node, void *engine)
{
	unref(engine, kolk__tenant_of_node(node));
}

void kolk__tenants_close(struct kolk_engine *engine)
{
	struct kolk__tenants *tenants = &engine->tenants;
	uint32_t cursor = 0;

	/* What is left has limits of its own, and nothing else. */
	kolk__take_lock(engine, &tenants->lock);
	while (tenants->table.count > 0)
		cursor = kolk__hash_scan(&tenants->table, cursor, unref_node, engine);
	kolk__give_lock(engine, &tenants->lock);
	forget_refused(engine, &engine->anonymous);
	while (tenants->free != NULL) {
		struct kolk__tenant *tenant = tenants->free;

		tenants->free = tenant->next_free;
		kolk__deallocate(engine, tenant->drawing, sizeof *tenant->drawing);
		kolk__deallocate(engine, tenant, sizeof *tenant);
	}
	kolk__hash_free(&tenants->table, engine->sys);
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
		kolk__store_relaxed(&tenant->weight, l != NULL ? (uint16_t)l->weight : 1);
	for (int i = 0; i < KOLK__CLASSES; i++) {
		struct kolk__account *account = kolk__tenant_account(tenant, i);

		if (account != NULL)
			kolk__share_changed(engine, account);
	}
	kolk__give_lock(engine, &engine->accounting);
	if (l == NULL || l->keys_max != 0)
		tenant->keys_max = l != NULL ? l->keys_max : 0;
}

enum kolk_err kolk__tenant_limits_apply(struct kolk_engine *engine, const char *name,
					const struct kolk_tenant_limits *l)
{
	uint32_t hash = hash_of(engine, name);
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
