/* SPDX-License-Identifier: Apache-2.0 */
/*
 * warm.c - have connections ready before they are asked for, and wait until they are.
 */
#include "core/effects.h"
#include "core/pool.h"

/* The key keeps idle_min from now on; returns its changes so far, to wait for the next. */
static uint32_t begin(struct kolk_key *key)
{
	uint32_t changes = kolk__load_sc(&key->changes);
	KOLK__EFFECTS(effects);

	kolk__key_lock(key, &effects, kolk__now(key->engine));
	key->keep_warm = true;
	effects.todo |= KOLK__DIAL;
	kolk__key_unlock(&effects);
	return changes;
}

/* KOLK_OK = warm, KOLK_PENDING = not yet, and the next change wakes who waits for it, else the
 * failure of a dial since failed_before. */
static enum kolk_err warm_state(struct kolk_key *key, uint64_t failed_before)
{
	struct kolk_engine *engine = key->engine;
	enum kolk_err err = KOLK_PENDING;

	kolk__take_lock(engine, &key->lock);
	if (kolk__own(&key->refuse_err) != KOLK_OK)
		err = (enum kolk_err)kolk__own(&key->refuse_err);
	else if (kolk__own(&key->open) - kolk__own(&key->dialing) >=
		 kolk__setting(kolk__own(&key->pool), idle_min))
		err = KOLK_OK;
	else if (kolk__rare_count(kolk__key_counters(key), KOLK__DIAL_FAILED) != failed_before)
		err = key->failed != NULL ? key->failed->failure.err : KOLK_E_MEMORY;
	key->awaited |= err == KOLK_PENDING;
	kolk__give_lock(engine, &key->lock);
	return err;
}

enum kolk_err kolk_key_warm(struct kolk_key *key, uint64_t deadline_ns)
{
	struct kolk_engine *engine = key->engine;
	const struct kolk_sys *sys = engine->sys;
	uint64_t failed = kolk__rare_count(kolk__key_counters(key), KOLK__DIAL_FAILED);
	uint32_t changes;
	enum kolk_err err;

	if (kolk__is_child(engine))
		return KOLK_E_FORKED;
	changes = begin(key);
	if (deadline_ns == 0)
		return KOLK_OK;
	if (kolk__on_loop(engine))
		return KOLK_E_THREAD;
	for (bool late = false; (err = warm_state(key, failed)) == KOLK_PENDING;) {
		if (late)
			return KOLK_E_TIMEOUT;
		late = !sys->wait(sys->context, kolk__futex(&key->changes), changes, deadline_ns);
		changes = kolk__load_sc(&key->changes);
	}
	return err;
}

/* The next key with a handle, of this tenant or of any (NULL), with a reference: it is warmed
 * without a lock. */
static struct kolk_key *next_key(struct kolk__walk *walk, const struct kolk__tenant *tenant)
{
	struct kolk_key *found = NULL, *key;

	while (found == NULL && kolk__walk_lock(walk)) {
		while (found == NULL && (key = kolk__walk_key(walk)) != NULL)
			if (kolk__load_relaxed(&key->handles) != 0 &&
			    (tenant == NULL || kolk__tenant_of(key) == tenant))
				found = key;
		if (found != NULL)
			kolk__add_acq_rel(&found->refs, 1);
		kolk__walk_unlock(walk);
	}
	return found;
}

static void end(struct kolk__walk *walk)
{
	if (!kolk__walk_lock(walk))
		return;
	kolk__walk_end(walk);
	kolk__walk_unlock(walk);
}

/* Every open key of the pool, of this tenant or of any: begins (deadline_ns 0) or waits. */
static enum kolk_err warm_keys(struct kolk_pool *pool, const struct kolk__tenant *tenant,
			       uint64_t deadline_ns)
{
	enum kolk_err err = KOLK_OK;
	struct kolk__walk walk;
	struct kolk_key *key;

	kolk__walk_begin(&walk, pool);
	while (err == KOLK_OK && (key = next_key(&walk, tenant)) != NULL) {
		err = kolk_key_warm(key, deadline_ns);
		kolk__key_drop(key);
	}
	end(&walk);
	return err;
}

enum kolk_err kolk_pool_warm(struct kolk_pool *pool, uint64_t deadline_ns)
{
	enum kolk_err err;

	if (kolk__is_child(pool->engine))
		return KOLK_E_FORKED;
	err = warm_keys(pool, NULL, 0); /* all begin, then wait */
	return err == KOLK_OK && deadline_ns != 0 ? warm_keys(pool, NULL, deadline_ns) : err;
}

/* Its keys of every pool. */
static enum kolk_err warm_tenant(struct kolk_engine *engine, const struct kolk__tenant *tenant,
				 uint64_t deadline_ns)
{
	enum kolk_err err = KOLK_OK;
	struct kolk_pool *pool;

	for (uint32_t i = 0; err == KOLK_OK && (pool = kolk_engine_pool(engine, i)) != NULL; i++)
		if (!kolk_pool_is_closed(pool))
			err = warm_keys(pool, tenant, deadline_ns);
	return err;
}

enum kolk_err kolk_tenant_warm(struct kolk_engine *engine, const char *name, uint64_t deadline_ns)
{
	struct kolk__tenant *tenant;
	enum kolk_err err;

	if (kolk__is_child(engine))
		return KOLK_E_FORKED;
	tenant = name != NULL ? kolk__tenant_find(engine, name) : NULL;
	if (tenant == NULL)
		return KOLK_E_NOT_FOUND;
	err = warm_tenant(engine, tenant, 0);
	if (err == KOLK_OK && deadline_ns != 0)
		err = warm_tenant(engine, tenant, deadline_ns);
	kolk__tenant_unref(engine, tenant);
	return err;
}
