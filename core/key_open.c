/* SPDX-License-Identifier: Apache-2.0 */
/* key_open.c - keys are opened by identity, take the place of others, and are closed. */
#include <string.h>

#include "core/drain.h"
#include "core/effects.h"
#include "core/identity.h"
#include "core/key_life.h"
#include "core/options.h"
#include "core/pool.h"
#include "core/refuse.h"

static enum kolk_err refuse(const struct kolk_key_options *options, enum kolk_err err,
			    const char *field)
{
	const struct kolk_failure refusal = { .size = (uint32_t)sizeof refusal,
					      .err = err,
					      .err_class = kolk_err_class(err),
					      .phase = KOLK_PHASE_OPTIONS,
					      .field = field };

	(void)kolk__sized_write(options->failure, &refusal);
	return err;
}

static enum kolk_err options_check(const struct kolk_pool *pool,
				   const struct kolk_key_options *options)
{
	if (options->tenant != NULL &&
	    strnlen(options->tenant, KOLK__TEXT_MAX + 1) > KOLK__TEXT_MAX)
		return refuse(options, KOLK_E_OPTIONS, "tenant");
	if (options->session != NULL &&
	    strnlen(options->session, KOLK__TEXT_MAX + 1) > KOLK__TEXT_MAX)
		return refuse(options, KOLK_E_OPTIONS, "session");
	if (pool->isolation == KOLK_ISOLATION_SESSION && !pool->creating &&
	    (options->session == NULL || *options->session == 0))
		return refuse(options, KOLK_E_OPTIONS, "session");
	if ((options->credential == NULL) != (options->credential_size == 0))
		return refuse(options, KOLK_E_OPTIONS, "credential_size");
	/* Shared: no credential is one tenant's, so none can take another's place. */
	if (options->replaces > 1 ||
	    (options->replaces != 0 && pool->isolation == KOLK_ISOLATION_SHARED))
		return refuse(options, KOLK_E_OPTIONS, "replaces");
	if (options->reserved != 0)
		return refuse(options, KOLK_E_OPTIONS, "reserved");
	return KOLK_OK;
}

enum kolk_err kolk__key_options_read(const struct kolk_pool *pool,
				     const struct kolk_key_options **options,
				     struct kolk_key_options *copy)
{
	const struct kolk_key_options *o = kolk__sized_view(copy, *options);

	if (o == NULL)
		return refuse(copy, KOLK_E_OPTIONS, "size");
	if (!kolk__failure_fits(o->failure))
		return KOLK_E_OPTIONS;
	*options = o;
	return options_check(pool, o);
}

/* Another credential takes its place: no caller is served from it any more. */
static void replace_key(struct kolk_key *key, struct kolk__effects *effects)
{
	KOLK__HELD(&kolk__own(&key->pool)->lock);
	kolk__effects_key(effects, key);
	if (kolk__own(&key->refuse_err) != KOLK_E_ROTATED)
		kolk__key_refuse(key, KOLK_E_ROTATED, effects);
	kolk__effects_settle(effects);
}

/* What callers of a key that is good get. Under pool.lock. */
static enum kolk_err refuse_err_now(const struct kolk_pool *pool)
{
	KOLK__HELD(&pool->lock);
	return kolk__load_acquire(&pool->state) == KOLK__OPEN ? KOLK_OK : KOLK_E_DRAINING;
}

/*
 * Credentials change in slices (walk.h), so others may change them meanwhile. Replacements are
 * numbered under pool.lock, and a key knows the last one that it made, or that reached it. So the
 * later one holds: a replacement passes over a key that has made one since, and a key that was
 * reached since stays replaced.
 */
struct change {
	struct kolk_key *key;        /* the one that was opened: it has a reference */
	uint64_t number;
	struct kolk__walk own;       /* it was replaced and is wanted again */
	struct kolk__walk others;    /* it replaces them */
};

static void change_begin(struct change *change, struct kolk_key *key, bool replaces)
{
	struct kolk_pool *pool = kolk__own(&key->pool);

	KOLK__HELD(&pool->lock);
	pool->replacements += replaces;
	change->key = key;
	change->number = pool->replacements;
	if (kolk__load_relaxed(&key->refuse_err) == KOLK_E_ROTATED) {
		kolk__add_sc(&key->epoch, 1);
		kolk__walk_begin_key_locked(&change->own, key);
	}
	if (replaces) {
		key->replacement = change->number;
		kolk__walk_begin_locked(&change->others, pool);
	}
}

/* Its old connections stay stale: callers are served when the last of them is marked. */
static void reactivate(void *context, struct kolk__walk *walk, struct kolk_key *key,
		       struct kolk__effects *effects)
{
	const struct change *change = context;

	KOLK__HELD(&walk->pool->lock);
	(void)kolk__key_mark_stale(walk, key, effects);
	if (walk->inside || key->replacement > change->number ||
	    kolk__own(&key->refuse_err) != KOLK_E_ROTATED)
		return;
	kolk__store_release(&key->refuse_err, refuse_err_now(walk->pool));
	effects->todo |= KOLK__DISPATCH | KOLK__DIAL;
}

/* A key of the same tenant and session. */
static bool is_replaced(const struct change *change, const struct kolk_key *other)
{
	const struct kolk_key *key = change->key;

	KOLK__HELD(&change->others.pool->lock);
	return other->replacement < change->number && other != change->others.pool->key &&
	       other->scope_size == key->scope_size &&
	       memcmp(other->identity, key->identity, key->scope_size) == 0;
}

/* One that has nothing left, because only waiters kept it, goes. */
static void replace_slice(struct change *change, struct kolk__effects *effects)
{
	struct kolk_key *other;

	while ((other = kolk__walk_key(&change->others)) != NULL)
		if (is_replaced(change, other)) {
			other->replacement = change->number;
			replace_key(other, effects);
		}
}

static void change_run(struct change *change, struct kolk_engine *engine)
{
	KOLK__EFFECTS(effects);

	kolk__walk_run(&change->own, reactivate, change);
	while (kolk__walk_lock(&change->others)) {
		kolk__effects_begin(&effects, engine);
		replace_slice(change, &effects);
		kolk__walk_unlock(&change->others);
		kolk__effects_run(&effects);
	}
}

static void refuse_until_resumed(struct kolk_key *key, struct kolk__effects *effects)
{
	kolk__effects_key(effects, key);
	kolk__key_refuse(key, KOLK_E_DRAINING, effects);
	kolk__effects_settle(effects);
}

/* Keys of a suspended pool can be opened. It may be closed already, so it is not held. */
static bool may_open(const struct kolk_pool *pool, enum kolk__key_use use)
{
	KOLK__HELD(&pool->lock);
	return kolk__load_acquire(&pool->state) == KOLK__OPEN ||
	       (pool->suspended && use != KOLK__KEY_HOLD);
}

static enum kolk_err open_locked(struct kolk_pool *pool, const struct kolk__identity *id,
				 struct kolk_key **out, struct kolk__effects *effects)
{
	struct kolk_engine *engine = pool->engine;
	struct kolk_key *key;
	bool full;

	KOLK__HELD(&pool->lock);
	key = kolk__key_find(pool, id);
	if (key != NULL) {
		if (kolk__add_acq_rel(&key->refs, 1) == 0) {
			kolk__take_lock(engine, &engine->accounting);
			kolk__key_lru_remove(key);
			kolk__give_lock(engine, &engine->accounting);
		}
		*out = key;
		return KOLK_OK;
	}
	key = kolk__key_make(pool, id, &full);
	if (key == NULL)
		return full ? KOLK_E_LIMIT : KOLK_E_MEMORY;
	if (!kolk__key_insert(pool, key)) {
		kolk__key_recycle(key);
		return KOLK_E_MEMORY;
	}
	if (refuse_err_now(pool) != KOLK_OK)
		refuse_until_resumed(key, effects);
	*out = key;
	return KOLK_OK;
}

/* Keys of the engine or of the tenant are too many. */
static enum kolk_refusal refusal_of_open(const struct kolk_engine *engine, enum kolk_err err)
{
	if (err == KOLK_E_DRAINING)
		return KOLK_REFUSAL_DRAINING;
	return kolk__load_relaxed(&engine->key_count) >= engine->keys_max ?
		       KOLK_REFUSAL_ENGINE_LIMIT : KOLK_REFUSAL_TENANT_LIMIT;
}

static void use_locked(struct kolk_pool *pool, struct kolk_key *key, enum kolk__key_use use)
{
	struct kolk_engine *engine = pool->engine;

	KOLK__HELD(&pool->lock);
	kolk__add_relaxed(&key->handles, use == KOLK__KEY_HANDLE);
	if (use != KOLK__KEY_HOLD)
		return;
	kolk__take_lock(engine, &engine->accounting);
	pool->refs++;
	pool->holds++;
	kolk__give_lock(engine, &engine->accounting);
}

enum kolk_err kolk__key_open(struct kolk_pool *pool, const struct kolk_key_options *options,
			     enum kolk__key_use use, struct kolk_key **out)
{
	struct kolk_engine *engine = pool->engine;
	struct kolk_key_options copy;
	enum kolk_err err = kolk__key_options_read(pool, &options, &copy);
	KOLK__EFFECTS(effects);
	struct change change = { .own.over = true, .others.over = true };
	struct kolk__identity id;
	struct kolk_key *key = NULL;
	size_t outgrown_size;
	void *outgrown;
	uint32_t before;

	*out = NULL;
	if (err != KOLK_OK)
		return err;
	if (kolk__is_child(engine))
		return refuse(options, KOLK_E_FORKED, NULL);
	kolk__identity_make(engine, pool->isolation, options, &id);
	kolk__effects_begin(&effects, engine);
	kolk__take_lock(engine, &pool->lock);
	before = pool->key_table.count;
	err = may_open(pool, use) ? open_locked(pool, &id, &key, &effects) : KOLK_E_DRAINING;
	if (err == KOLK_OK)
		use_locked(pool, key, use);
	if (err == KOLK_E_LIMIT || err == KOLK_E_DRAINING)
		kolk__refused_open(pool, (const char *)id.bytes + 1, refusal_of_open(engine, err));
	if (err == KOLK_OK)
		change_begin(&change, key, options->replaces != 0);
	before = pool->key_table.count - before;
	outgrown = kolk__hash_take_outgrown(&pool->key_table, &outgrown_size);
	kolk__give_lock(engine, &pool->lock);
	kolk__deallocate(engine, outgrown, outgrown_size);
	kolk__effects_run(&effects);
	change_run(&change, engine);
	if (err == KOLK_E_LIMIT)
		kolk__keys_trim_for(engine, &id);
	else if (before != 0)
		kolk__keys_trim(engine, kolk__tenant_of(key));
	*out = key;
	return err == KOLK_OK ? err : refuse(options, err, NULL);
}

enum kolk_err kolk_key_open(struct kolk_pool *pool, const struct kolk_key_options *options,
			    struct kolk_key **out)
{
	return kolk__key_open(pool, options, KOLK__KEY_HANDLE, out);
}

enum kolk_err kolk_key_hold(struct kolk_pool *pool, const struct kolk_key_options *options,
			    struct kolk_key **out)
{
	return kolk__key_open(pool, options, KOLK__KEY_HOLD, out);
}

/* The caller has it, so what is compared stays as it is. */
bool kolk_key_is(const struct kolk_key *key, const struct kolk_pool *pool,
		 const struct kolk_key_options *options)
{
	struct kolk_key_options copy;

	if (kolk__own(&key->pool) != pool || kolk__load_acquire(&key->refuse_err) != KOLK_OK ||
	    kolk__key_options_read(pool, &options, &copy) != KOLK_OK || options->replaces != 0)
		return false;
	return kolk__identity_is(key->engine, pool->isolation, options,
				 (struct kolk__bytes){ key->identity, key->identity_size });
}

void kolk__key_drop(struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;
	struct kolk_pool *pool = kolk__own(&key->pool);
	uint32_t refs = kolk__load_relaxed(&key->refs);
	struct kolk__tenant *tenant;
	bool let_go;

	if (kolk__is_child(engine))
		return;
	/* Losing means that another thread opened or closed it. */
	while (refs > 1)
		if (kolk__cas_acq_rel(&key->refs, &refs, refs - 1))
			return;
	kolk__take_lock(engine, &pool->lock);
	tenant = kolk__tenant_of(key);
	let_go = kolk__sub_acq_rel(&key->refs, 1) == 1;
	if (let_go) {
		kolk__take_lock(engine, &key->lock);
		key->keep_warm = false; /* its connections age out, down to none */
		kolk__give_lock(engine, &key->lock);
		kolk__take_lock(engine, &engine->accounting);
		kolk__key_lru_add(key);
		kolk__give_lock(engine, &engine->accounting);
	}
	kolk__give_lock(engine, &pool->lock);
	kolk__key_free_if_unused(key);
	if (let_go) /* tenants are type-stable: this one may be gone, then another is trimmed */
		kolk__keys_trim(engine, tenant);
}

void kolk_key_close(struct kolk_key *key)
{
	kolk__sub_relaxed(&key->handles, 1);
	kolk__key_drop(key);
}

void kolk_key_let_go(struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;

	if (kolk__is_child(engine))
		return;
	kolk__take_lock(engine, &engine->accounting);
	kolk__own(&key->pool)->holds--;
	kolk__give_lock(engine, &engine->accounting);
	kolk__key_unref(key);
}

void kolk__key_unref(struct kolk_key *key)
{
	struct kolk_pool *pool = kolk__own(&key->pool);

	KOLK__NO_LOCK();
	kolk__key_drop(key);
	kolk__pool_unref(pool);
}

bool kolk_key_failure(struct kolk_key *key, struct kolk_failure *failure)
{
	struct kolk_engine *engine = key->engine;
	bool any;

	kolk__take_lock(engine, &key->lock);
	any = key->failed != NULL && kolk__sized_write(failure, &key->failed->failure);
	kolk__give_lock(engine, &key->lock);
	return any;
}

struct kolk_pool *kolk_key_pool(const struct kolk_key *key)
{
	return kolk__own(&key->pool);
}

const char *kolk_key_tenant(const struct kolk_key *key)
{
	return (const char *)key->identity + 1; /* identity.c: behind its length */
}
