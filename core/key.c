/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key.c - the guest book: keys are made, found, parked when nobody holds them, and recycled.
 */
#include <string.h>

#include "core/dial.h"
#include "core/effects.h"
#include "core/identity.h"
#include "core/options.h"
#include "core/release.h"
#include "core/wait.h"

/* ---- what is made on first use, so that a key that is only known stays small */

struct kolk__counters *kolk__key_counters(struct kolk_key *key)
{
	static struct kolk__counters lost; /* memory is out: counts of this key are lost */
	struct kolk__counters *counters = kolk__load_acquire(&key->counters); /* COUNTS.A1 <- COUNTS.R1 */
	struct kolk__counters *nobody = NULL;

	if (counters != NULL)
		return counters;
	counters = kolk__allocate(key->engine, sizeof *counters);
	if (counters == NULL)
		return &lost;
	if (kolk__cas_acq_rel(&key->counters, &nobody, counters)) /* COUNTS.R1 -> COUNTS.A1 */
		return counters;
	kolk__deallocate(key->engine, counters, sizeof *counters);
	return nobody;
}

struct kolk__hists *kolk__key_hists(struct kolk_key *key)
{
	struct kolk__hists *hists = kolk__load_acquire(&key->hists); /* COUNTS.A1 <- COUNTS.R1 */
	struct kolk__hists *nobody = NULL;

	if (hists != NULL)
		return hists;
	hists = kolk__allocate(key->engine, sizeof *hists);
	if (hists == NULL ||
	    kolk__cas_acq_rel(&key->hists, &nobody, hists)) /* COUNTS.R1 -> COUNTS.A1 */
		return hists;
	kolk__deallocate(key->engine, hists, sizeof *hists);
	return nobody;
}

/* ---- make and recycle */

/* Of the process, not of the engine: what a thread remembers (recent.h) outlives engines. */
static kolk__atomic_u64 last_id; /* relaxed: unique is enough */

static struct kolk_key *key_memory(struct kolk_engine *engine)
{
	struct kolk_key *key;

	kolk__take_lock(engine, &engine->ledger);
	key = engine->free_keys;
	if (key != NULL)
		engine->free_keys = key->list_next;
	kolk__give_lock(engine, &engine->ledger);
	if (key != NULL)
		return key;
	key = kolk__allocate(engine, sizeof *key);
	if (key == NULL)
		return NULL;
	kolk__lock_init(&key->lock, KOLK__RANK_KEY);
	key->engine = engine;
	key->alarm.fire = kolk__retry_fire;
	return key;
}

/* Late readers may still look at the key that it was: what they look at without its lock is
 * stored, not overwritten, and the rest is written under the lock (conn.h, Reclaims). */
static void key_init(struct kolk_key *key, struct kolk_pool *pool, struct kolk__tenant *tenant)
{
	struct kolk_engine *engine = pool->engine;

	KOLK__HELD(&key->lock);
	kolk__store_relaxed(&key->id, kolk__add_relaxed(&last_id, 1) + 1);
	kolk__store_relaxed(&key->low, 0);
	kolk__store_sc(&key->gate, KOLK__GATE_OPEN);
	kolk__store_relaxed(&key->pool, pool);
	kolk__store_relaxed(&key->tenant, tenant);
	key->listens_acquired = kolk__listens(engine, KOLK_EVENT_ACQUIRED);
	/* Who listens to every lease sees no clock, and so takes the long way (acquire.c, hit). */
	key->clock = key->listens_acquired ? &engine->no_clock : &engine->page->clock_ns;
	key->listens_released = kolk__listens(engine, KOLK_EVENT_RELEASED);
	key->signalled = false;
	kolk__store_release(&key->refusal, KOLK_OK);
	key->awake = false;
	key->failures = 0;
	kolk__store_relaxed(&key->doubted, false);
	key->retry_at_ns = key->surplus_at_ns = 0;
	key->dial_avg_us = 0;
	kolk__store_relaxed(&key->lease_avg_us, 0);
	kolk__store_relaxed(&key->back, UINT8_MAX);
	kolk__store_relaxed(&key->handles, 1);
}

/* With its own copy of the bytes that were made for the look-up. */
static void key_begin(struct kolk_key *key, struct kolk_pool *pool, struct kolk__tenant *tenant,
		      const struct kolk__identity *id, uint8_t *bytes)
{
	struct kolk_engine *engine = pool->engine;

	memcpy(bytes, id->bytes, id->size);
	kolk__take_lock(engine, &key->lock);
	key_init(key, pool, tenant);
	key->identity = bytes;
	key->identity_size = (uint16_t)id->size;
	key->scope_size = (uint16_t)id->scope_size;
	key->hash = id->hash;
	kolk__give_lock(engine, &key->lock);
}

/* A key of this identity; NULL = no memory, or *full. Under pool.lock. */
static struct kolk_key *key_make(struct kolk_pool *pool, const struct kolk__identity *id,
				 bool *full)
{
	struct kolk_engine *engine = pool->engine;
	struct kolk__tenant *tenant = NULL;
	struct kolk_key *key = NULL;
	uint8_t *bytes = engine->sys->allocate(engine->sys->context, 8, id->size);

	KOLK__HELD(&pool->lock);
	*full = kolk__add_acq_rel(&engine->key_count, 1) >= engine->keys_max;
	if (!*full && bytes != NULL)
		tenant = kolk__tenant_key_add(engine, (const char *)id->bytes + 1, full);
	if (tenant != NULL)
		key = key_memory(engine);
	if (key != NULL) {
		key_begin(key, pool, tenant, id, bytes);
		return key;
	}
	kolk__deallocate(engine, bytes, id->size);
	if (tenant != NULL)
		kolk__tenant_key_remove(engine, tenant);
	kolk__sub_acq_rel(&engine->key_count, 1);
	return NULL;
}

static void hists_free(struct kolk_engine *engine, struct kolk__hists *hists)
{
	if (hists == NULL)
		return;
	kolk__hist_free(engine->sys, &hists->wait);
	kolk__hist_free(engine->sys, &hists->lease);
	kolk__hist_free(engine->sys, &hists->dial);
	kolk__deallocate(engine, hists, sizeof *hists);
}

static void free_parts(struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;
	struct kolk__counters *counters;

	kolk__alarm_disarm(engine, &key->alarm);
	kolk__tickets_close(engine->transport, &key->tickets);
	kolk__deallocate(engine, key->failed, sizeof *key->failed);
	key->failed = NULL;
	hists_free(engine, kolk__own(&key->hists));
	kolk__store_relaxed(&key->hists, NULL);
	counters = kolk__own(&key->counters);
	if (counters != NULL) {
		kolk__counters_add(&kolk__own(&key->pool)->retired, counters);
		kolk__deallocate(engine, counters, sizeof *counters);
		kolk__store_release(&key->counters, NULL);
	}
}

/* ---- parked: nobody holds them, but they have connections. Oldest first; under ledger */

static void park(struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;

	KOLK__HELD(&engine->ledger);
	if (key->parked_at != NULL)
		return;
	kolk__own(&key->tenant)->parked++;
	key->parked_at = engine->parked_end;
	key->parked_next = NULL;
	*engine->parked_end = key;
	engine->parked_end = &key->parked_next;
}

static void unpark(struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;

	KOLK__HELD(&engine->ledger);
	if (key->parked_at == NULL)
		return;
	kolk__own(&key->tenant)->parked--;
	*key->parked_at = key->parked_next;
	if (key->parked_next != NULL)
		key->parked_next->parked_at = key->parked_at;
	else
		engine->parked_end = key->parked_at;
	key->parked_at = NULL;
}

/* The key that nobody has held for the longest time; of this tenant, or NULL = of any. There are
 * no more of them than connections. */
static struct kolk_key *parked_pop(struct kolk_engine *engine, const struct kolk__tenant *tenant)
{
	struct kolk_key *key;

	kolk__take_lock(engine, &engine->ledger);
	key = tenant == NULL || tenant->parked > 0 ? engine->parked : NULL;
	while (key != NULL && tenant != NULL && kolk__own(&key->tenant) != tenant)
		key = key->parked_next;
	if (key != NULL)
		unpark(key);
	kolk__give_lock(engine, &engine->ledger);
	return key;
}

/* Is one of its connections more than closing? Idle ones count when they were leased a moment ago:
 * by somebody who looks the key up each time (kolk_acquire_as). Under key.lock. */
static bool is_used(const struct kolk_key *key, uint64_t now_ns)
{
	const struct kolk__table *table = kolk__own(&key->table);

	KOLK__HELD(&key->lock);
	for (uint32_t i = 0; table != NULL && i < kolk__own(&table->used); i++) {
		const struct kolk__conn *conn = kolk__own(&table->entry[i]);
		enum kolk__state state = conn == NULL ? KOLK__FREE :
				       kolk__conn_state(conn);

		if (state == KOLK__IDLE ?
			    now_ns - kolk__load_relaxed(&conn->idle_since_ns) < KOLK_S_NS :
			    state != KOLK__FREE && state != KOLK__CLOSING)
			return true;
	}
	return false;
}

/* Close what it has; it goes with its last connection. Somebody may have opened it again
 * meanwhile: then it dials anew. False = it was used lately and gets another chance, or somebody
 * has a lease: it stands behind the others again. */
static bool try_reclaim(struct kolk_key *key, uint64_t now_ns, bool chance)
{
	struct kolk_engine *engine = key->engine;
	KOLK__EFFECTS(effects);
	struct kolk__conn *conn;
	uint64_t word;
	bool stays;

	KOLK__NO_LOCK();
	kolk__key_lock(key, &effects, now_ns);
	stays = chance && is_used(key, now_ns);
	while (!stays && kolk__load_relaxed(&key->handles) == 0 &&
	       (conn = kolk__shelf_take(key, KOLK__CLOSING, &word)) != NULL)
		kolk__retire(conn, KOLK_REASON_RECLAIMED);
	stays = stays || is_used(key, now_ns);
	if (stays && key->identity != NULL && kolk__load_relaxed(&key->handles) == 0) {
		kolk__take_lock(engine, &engine->ledger);
		park(key);
		kolk__give_lock(engine, &engine->ledger);
	}
	effects.todo |= stays ? 0 : KOLK__UNUSED;
	kolk__key_unlock(&effects);
	return !stays;
}

/* The clock algorithm (Corbato, 1968), with so many chances at most. */
enum { CHANCES = 8 };

static void reclaim(struct kolk_engine *engine, const struct kolk__tenant *tenant)
{
	uint64_t now_ns = kolk__now(engine);
	struct kolk_key *key;

	for (int i = CHANCES; i >= 0; i--) {
		key = parked_pop(engine, tenant);
		if (key == NULL || try_reclaim(key, now_ns, i > 0))
			return;
	}
}

void kolk__key_unmake(struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;
	uint8_t *identity;

	KOLK__HELD(&kolk__own(&key->pool)->lock);
	/* Who still wants to dial for it (permits_moved) finds that it refuses, who would still
	 * take something off its shelf (a debt, a reclaim, a late release) finds none. */
	kolk__take_lock(engine, &key->lock);
	kolk__store_release(&key->refusal, KOLK_E_DRAINING);
	kolk__store_relaxed(&key->id, 0);
	kolk__tables_free(key);
	identity = key->identity;
	key->identity = NULL;
	kolk__give_lock(engine, &key->lock);
	kolk__deallocate(engine, identity, key->identity_size);
	free_parts(key);
	kolk__take_lock(engine, &engine->ledger);
	kolk__row_leave(engine, key); /* a pool that is closed does not ask its keys */
	unpark(key);
	kolk__give_lock(engine, &engine->ledger);
	kolk__tenant_key_remove(engine, kolk__own(&key->tenant));
	kolk__sub_acq_rel(&engine->key_count, 1);
	kolk__take_lock(engine, &engine->ledger);
	key->list_next = engine->free_keys;
	engine->free_keys = key;
	kolk__give_lock(engine, &engine->ledger);
}

/* ---- the pool's table of keys: under pool.lock */

static struct kolk_key **bucket_of(struct kolk_pool *pool, uint32_t hash)
{
	return &pool->buckets[hash & (pool->bucket_count - 1)];
}

/* What was found moves to the front of its chain: who is looked up often does not wait for the
 * memory of who is not. */
struct kolk_key *kolk__key_find(struct kolk_pool *pool, const struct kolk__identity *id)
{
	struct kolk_key **bucket = pool->buckets != NULL ? bucket_of(pool, id->hash) : NULL;
	struct kolk_key **link = bucket, *key;

	KOLK__HELD(&pool->lock);
	for (; link != NULL && (key = *link) != NULL; link = &key->bucket_next) {
		if (key->hash != id->hash || key->identity_size != id->size ||
		    memcmp(key->identity, id->bytes, id->size) != 0)
			continue;
		if (link != bucket) {
			*link = key->bucket_next;
			key->bucket_next = *bucket;
			*bucket = key;
		}
		return key;
	}
	return NULL;
}

/* Twice the buckets when there are as many keys. Without memory the chains get longer. */
static bool buckets_grow(struct kolk_pool *pool)
{
	struct kolk_engine *engine = pool->engine;
	uint32_t count = pool->bucket_count != 0 ? pool->bucket_count * 2 : 8;
	struct kolk_key **old = pool->buckets;
	uint32_t old_count = pool->bucket_count;
	struct kolk_key **buckets = kolk__allocate(engine, count * sizeof buckets[0]);

	KOLK__HELD(&pool->lock);
	if (buckets == NULL)
		return old != NULL;
	pool->buckets = buckets;
	pool->bucket_count = count;
	for (struct kolk_key *key = pool->keys; key != NULL; key = key->list_next) {
		key->bucket_next = *bucket_of(pool, key->hash);
		*bucket_of(pool, key->hash) = key;
	}
	kolk__deallocate(engine, old, old_count * sizeof old[0]);
	return true;
}

static bool insert(struct kolk_pool *pool, struct kolk_key *key)
{
	KOLK__HELD(&pool->lock);
	if (pool->key_count >= pool->bucket_count && !buckets_grow(pool))
		return false;
	key->bucket_next = *bucket_of(pool, key->hash);
	*bucket_of(pool, key->hash) = key;
	key->list_next = pool->keys;
	key->list_prev = &pool->keys;
	if (pool->keys != NULL)
		pool->keys->list_prev = &key->list_next;
	pool->keys = key;
	pool->key_count++;
	return true;
}

static void take_out(struct kolk_pool *pool, struct kolk_key *key)
{
	struct kolk_key **link = bucket_of(pool, key->hash);

	KOLK__HELD(&pool->lock);
	while (*link != key)
		link = &(*link)->bucket_next;
	*link = key->bucket_next;
	*key->list_prev = key->list_next;
	if (key->list_next != NULL)
		key->list_next->list_prev = key->list_prev;
	pool->key_count--;
}

void kolk__key_look_locked(struct kolk_pool *pool, struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;
	bool gone = false;

	KOLK__HELD(&pool->lock);
	kolk__take_lock(engine, &key->lock);
	if (kolk__own(&key->pool) == pool && key->identity != NULL &&
	    kolk__load_relaxed(&key->handles) == 0 &&
	    kolk__own(&key->open) == 0 && kolk__own(&key->waiting) == 0 &&
	    kolk__load_relaxed(&key->row) == NULL) {
		take_out(pool, key);
		gone = true;
	}
	kolk__give_lock(engine, &key->lock);
	if (gone)
		kolk__key_unmake(key);
}

void kolk__key_look(struct kolk_key *key)
{
	struct kolk_pool *pool = kolk__load_relaxed(&key->pool); /* relaxed: as the handles */
	struct kolk_engine *engine = key->engine;

	KOLK__NO_LOCK();
	if (kolk__load_relaxed(&key->handles) != 0) /* relaxed: looked at again under lock */
		return;
	kolk__take_lock(engine, &pool->lock);
	kolk__key_look_locked(pool, key);
	kolk__give_lock(engine, &pool->lock);
}

/* ---- public */

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
	if (pool->isolation == KOLK_ISOLATION_SESSION && !pool->making &&
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
				     struct kolk_key_options *room)
{
	const struct kolk_key_options *o = kolk__sized_view(room, *options);

	if (o == NULL)
		return refuse(room, KOLK_E_OPTIONS, "size");
	if (!kolk__failure_fits(o->failure))
		return KOLK_E_OPTIONS;
	*options = o;
	return options_check(pool, o);
}

/* Another credential takes its place: nobody is served from it any more. */
static void supersede(struct kolk_key *key, struct kolk__effects *effects)
{
	KOLK__HELD(&kolk__own(&key->pool)->lock);
	kolk__effects_key(effects, key);
	if (kolk__own(&key->refusal) != KOLK_E_ROTATED)
		kolk__key_refuse(key, KOLK_E_ROTATED, effects);
	kolk__effects_settle(effects);
}

/* What callers of a key that is good are told. Under pool.lock. */
static enum kolk_err refusal_now(const struct kolk_pool *pool)
{
	KOLK__HELD(&pool->lock);
	return kolk__load_acquire(&pool->state) == KOLK__OPEN ? KOLK_OK : KOLK_E_DRAINING;
}

/* It was replaced and is wanted again; its old connections stay outdated. */
static void revive(struct kolk_key *key, struct kolk__effects *effects)
{
	KOLK__HELD(&kolk__own(&key->pool)->lock);
	kolk__effects_key(effects, key);
	if (kolk__own(&key->refusal) == KOLK_E_ROTATED) {
		kolk__add_sc(&key->epoch, 1);
		(void)kolk__key_outdate(key, effects);
		kolk__store_release(&key->refusal, refusal_now(kolk__own(&key->pool)));
		effects->todo |= KOLK__SERVE;
	}
	kolk__effects_settle(effects);
}

/* The other keys of the same tenant and session. Walks all keys of the pool. Who is left with
 * nothing, because only waiters kept it, goes. */
static void replace_others(struct kolk_key *key, struct kolk__effects *effects)
{
	struct kolk_key *next;

	KOLK__HELD(&kolk__own(&key->pool)->lock);
	for (struct kolk_key *other = kolk__own(&key->pool)->keys; other != NULL; other = next) {
		next = other->list_next;
		if (other == key || other == kolk__own(&key->pool)->key ||
		    other->scope_size != key->scope_size ||
		    memcmp(other->identity, key->identity, key->scope_size) != 0)
			continue;
		supersede(other, effects);
		kolk__key_look_locked(kolk__own(&key->pool), other);
	}
}

static void refuse_until_resumed(struct kolk_key *key, struct kolk__effects *effects)
{
	kolk__effects_key(effects, key);
	kolk__key_refuse(key, KOLK_E_DRAINING, effects);
	kolk__effects_settle(effects);
}

static enum kolk_err open_locked(struct kolk_pool *pool, const struct kolk__identity *id,
				 struct kolk_key **out, struct kolk__effects *effects)
{
	struct kolk_engine *engine = pool->engine;
	struct kolk_key *key;
	bool full;

	KOLK__HELD(&pool->lock);
	if (kolk__load_acquire(&pool->state) != KOLK__OPEN && !pool->suspended)
		return KOLK_E_DRAINING;
	key = kolk__key_find(pool, id);
	if (key != NULL) {
		if (kolk__add_acq_rel(&key->handles, 1) == 0) {
			kolk__take_lock(engine, &engine->ledger);
			unpark(key);
			kolk__give_lock(engine, &engine->ledger);
		}
		*out = key;
		return KOLK_OK;
	}
	key = key_make(pool, id, &full);
	if (key == NULL)
		return full ? KOLK_E_LIMIT : KOLK_E_MEMORY;
	if (!insert(pool, key)) {
		kolk__key_unmake(key);
		return KOLK_E_MEMORY;
	}
	if (refusal_now(pool) != KOLK_OK)
		refuse_until_resumed(key, effects);
	*out = key;
	return KOLK_OK;
}

/* Keys are few again before they are out: so the next open succeeds. Called when there is one key
 * more, when there is one more that nobody holds, and when it was too late. A tenant that has too
 * many makes room among its own. */
static void keep_few(struct kolk_engine *engine, struct kolk__tenant *tenant)
{
	uint32_t count = kolk__load_relaxed(&engine->key_count);

	KOLK__NO_LOCK();
	if (count >= engine->keys_max - engine->keys_max / 16)
		reclaim(engine, NULL);
	if (tenant != NULL && kolk__tenant_nearly_full(engine, tenant))
		reclaim(engine, tenant);
}

/* No key was made for it. */
static void keep_few_of(struct kolk_engine *engine, const struct kolk__identity *id)
{
	struct kolk__tenant *tenant =
		kolk__tenant_find(engine, (const char *)id->bytes + 1);

	keep_few(engine, tenant);
	if (tenant != NULL)
		kolk__tenant_unref(engine, tenant);
}

/* Keys of the engine or of the tenant are too many. */
static enum kolk_refusal refusal_of_open(const struct kolk_engine *engine, enum kolk_err err)
{
	if (err == KOLK_E_DRAINING)
		return KOLK_REFUSAL_DRAINING;
	return kolk__load_relaxed(&engine->key_count) >= engine->keys_max ?
		       KOLK_REFUSAL_ENGINE_LIMIT : KOLK_REFUSAL_TENANT_LIMIT;
}

enum kolk_err kolk_key_open(struct kolk_pool *pool, const struct kolk_key_options *options,
			    struct kolk_key **out)
{
	struct kolk_engine *engine = pool->engine;
	struct kolk_key_options room;
	enum kolk_err err = kolk__key_options_read(pool, &options, &room);
	KOLK__EFFECTS(effects);
	struct kolk__identity id;
	struct kolk_key *key = NULL;
	uint32_t before;

	*out = NULL;
	if (err != KOLK_OK)
		return err;
	if (kolk__is_child(engine))
		return refuse(options, KOLK_E_FORKED, NULL);
	kolk__identity_make(engine, pool->isolation, options, &id);
	kolk__effects_begin(&effects, engine, kolk__now(engine));
	kolk__take_lock(engine, &pool->lock);
	before = pool->key_count;
	err = open_locked(pool, &id, &key, &effects);
	if (err == KOLK_E_LIMIT || err == KOLK_E_DRAINING)
		kolk__refused_open(pool, (const char *)id.bytes + 1, refusal_of_open(engine, err));
	if (err == KOLK_OK && kolk__load_relaxed(&key->refusal) == KOLK_E_ROTATED)
		revive(key, &effects);
	if (err == KOLK_OK && options->replaces)
		replace_others(key, &effects);
	before = pool->key_count - before;
	kolk__give_lock(engine, &pool->lock);
	kolk__effects_run(&effects);
	if (err == KOLK_E_LIMIT)
		keep_few_of(engine, &id);
	else if (before != 0)
		keep_few(engine, kolk__own(&key->tenant));
	*out = key;
	return err == KOLK_OK ? err : refuse(options, err, NULL);
}

void kolk_key_close(struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;
	struct kolk_pool *pool = kolk__own(&key->pool);
	struct kolk__tenant *tenant = kolk__own(&key->tenant);
	uint32_t handles = kolk__load_relaxed(&key->handles);
	bool let_go;

	if (kolk__is_child(engine))
		return;
	/* Losing means that somebody else opened or closed it. */
	while (handles > 1)
		if (kolk__cas_acq_rel(&key->handles, &handles, handles - 1))
			return;
	kolk__take_lock(engine, &pool->lock);
	let_go = kolk__sub_acq_rel(&key->handles, 1) == 1;
	if (let_go) {
		kolk__take_lock(engine, &key->lock);
		key->awake = false; /* its connections age out, down to none */
		kolk__give_lock(engine, &key->lock);
		kolk__take_lock(engine, &engine->ledger);
		park(key);
		kolk__give_lock(engine, &engine->ledger);
	}
	kolk__give_lock(engine, &pool->lock);
	kolk__key_look(key);
	if (let_go) /* tenants are type-stable: this one may be gone, then some other has room */
		keep_few(engine, tenant);
}

/* A handle, as one that looks it up each time has. */
void kolk__key_hold(struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;

	KOLK__HELD(&key->lock);
	kolk__add_relaxed(&key->guests, 1);
	kolk__take_lock(engine, &engine->ledger);
	kolk__own(&key->pool)->held++;
	if (kolk__add_acq_rel(&key->handles, 1) == 0)
		unpark(key);
	kolk__give_lock(engine, &engine->ledger);
}

void kolk__key_unhold(struct kolk_key *key)
{
	struct kolk_pool *pool = kolk__own(&key->pool);

	KOLK__NO_LOCK();
	kolk__sub_relaxed(&key->guests, 1);
	kolk_key_close(key);
	kolk__pool_unhold(pool);
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
