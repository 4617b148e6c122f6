/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key.c - the guest book: identities, their canonical bytes, their tables.
 */
#include <string.h>

#include "core/dial.h"

/* ---- the canonical identity: one function writes it, memcmp decides */

struct identity {
	uint8_t *bytes;
	uint32_t size, tenant_offset;
	uint64_t hash;
};

enum { TEXT_MAX = 255, DIGEST_SIZE = sizeof(struct kolk__digest) };

static uint8_t *put_text(uint8_t *at, const char *text, size_t size)
{
	*at++ = (uint8_t)size;
	memcpy(at, text, size);
	at[size] = 0; /* so that the tenant can be shown */
	return at + size + 1;
}

/* tenant: length, bytes, 0; session: likewise; credential: 0, or 1 and its keyed digest.
 * What the pool's configuration adds to the identity is the pool itself: keys of different
 * pools never meet. */
static enum kolk_err identity_make(struct kolk_engine *engine,
				   const struct kolk_key_options *options, struct identity *id)
{
	const char *tenant = options->tenant != NULL ? options->tenant : "";
	const char *session = options->session != NULL ? options->session : "";
	size_t tenant_size = strlen(tenant), session_size = strlen(session);
	struct kolk__digest digest;
	uint8_t *at;

	id->size = (uint32_t)(tenant_size + session_size + 4 + 1 + DIGEST_SIZE);
	id->tenant_offset = 1;
	id->bytes = engine->sys->allocate(engine->sys->context, 8, id->size);
	if (id->bytes == NULL)
		return KOLK_E_MEMORY;
	at = put_text(id->bytes, tenant, tenant_size);
	at = put_text(at, session, session_size);
	*at++ = options->credential != NULL;
	if (options->credential != NULL) {
		digest = kolk__siphash(&engine->credential_secret, options->credential,
				       options->credential_size);
		memcpy(at, &digest, DIGEST_SIZE);
	}
	id->hash = kolk__siphash(&engine->find_secret, id->bytes, id->size).d[0];
	return KOLK_OK;
}

static void identity_free(struct kolk_engine *engine, struct identity *id)
{
	kolk__deallocate(engine, id->bytes, id->size);
}

/* ---- tables */

static struct kolk__table *table_grow(struct kolk_key *key)
{
	struct kolk__table *old = key->table;
	uint32_t capacity = old != NULL ? old->capacity * 2 : 4;
	struct kolk__table *table = kolk__allocate(
		key->engine, sizeof *table + capacity * sizeof table->entry[0]);

	if (table == NULL)
		return NULL;
	table->capacity = capacity;
	table->outgrown = old;
	if (old != NULL) {
		memcpy(table->entry, old->entry, old->used * sizeof table->entry[0]);
		table->used = old->used;
	}
	kolk__store_release(&key->table, table); /* KEY.R1 -> KEY.A1 */
	return table;
}

enum kolk_err kolk__table_add(struct kolk_key *key, struct kolk__conn *conn)
{
	struct kolk__table *table = key->table;
	uint32_t i = 0;

	while (table != NULL && i < table->used && table->entry[i] != NULL)
		i++;
	if (table == NULL || i == table->capacity)
		table = table_grow(key);
	if (table == NULL)
		return KOLK_E_MEMORY;
	kolk__store_relaxed(&conn->position, i);
	kolk__store_release(&table->entry[i], conn); /* KEY.R2 -> KEY.A2 */
	if (i == table->used)
		kolk__store_release(&table->used, i + 1);
	kolk__store_relaxed(&key->open, key->open + 1);
	return KOLK_OK;
}

void kolk__table_remove(struct kolk_key *key, struct kolk__conn *conn)
{
	struct kolk__table *table = key->table;

	kolk__store_release(&table->entry[conn->position], NULL);
	while (table->used > 0 && table->entry[table->used - 1] == NULL)
		kolk__store_release(&table->used, table->used - 1);
	kolk__store_relaxed(&key->open, key->open - 1);
}

uint32_t kolk__idle_count(const struct kolk_key *key)
{
	const struct kolk__table *table = key->table;
	uint32_t count = 0;

	for (uint32_t i = 0; table != NULL && i < table->used; i++)
		count += table->entry[i] != NULL &&
			 kolk__hand_of(kolk__load_acquire(&table->entry[i]->hand)) ==
				 KOLK__IDLE;
	return count;
}

static void tables_free(struct kolk_key *key)
{
	struct kolk__table *table = key->table;

	kolk__store_release(&key->table, NULL);
	while (table != NULL) {
		struct kolk__table *outgrown = table->outgrown;

		kolk__deallocate(key->engine, table,
				 sizeof *table + table->capacity * sizeof table->entry[0]);
		table = outgrown;
	}
}

/* ---- what is made on first use, so that a key that is only known stays small */

struct kolk__counters *kolk__key_counters(struct kolk_key *key)
{
	static struct kolk__counters lost; /* memory is out: counts of this key are lost */
	struct kolk__counters *counters = kolk__load_acquire(&key->counters);
	struct kolk__counters *nobody = NULL;

	if (counters != NULL)
		return counters;
	counters = kolk__allocate(key->engine, sizeof *counters);
	if (counters == NULL)
		return &lost;
	if (kolk__cas_acq_rel(&key->counters, &nobody, counters))
		return counters;
	kolk__deallocate(key->engine, counters, sizeof *counters);
	return nobody;
}

struct kolk__hists *kolk__key_hists(struct kolk_key *key)
{
	struct kolk__hists *hists = kolk__load_acquire(&key->hists);
	struct kolk__hists *nobody = NULL;

	if (hists != NULL)
		return hists;
	hists = kolk__allocate(key->engine, sizeof *hists);
	if (hists == NULL || kolk__cas_acq_rel(&key->hists, &nobody, hists))
		return hists;
	kolk__deallocate(key->engine, hists, sizeof *hists);
	return nobody;
}

/* ---- make and recycle */

/* Of the process, not of the engine: what a thread remembers (recent.h) outlives engines. */
static uint64_t last_id; /* atomic, relaxed: unique is enough */

static struct kolk_key *key_memory(struct kolk_engine *engine)
{
	struct kolk_key *key;

	kolk__take_lock(engine, &engine->ledger);
	key = engine->free_keys;
	if (key != NULL)
		engine->free_keys = key->list_next;
	kolk__give_lock(engine, &engine->ledger);
	return key != NULL ? key : kolk__allocate(engine, sizeof *key);
}

/* Late readers may still look at gate, id, low and table of the key that it was: those are
 * stored, not overwritten (conn.h, Reclaims). */
struct kolk_key *kolk__key_make(struct kolk_pool *pool, uint8_t *identity, uint32_t size,
				uint32_t tenant_offset, uint64_t hash)
{
	struct kolk_engine *engine = pool->engine;
	struct kolk_key *key = NULL;

	if (kolk__add_acq_rel(&engine->key_count, 1) < engine->keys_max)
		key = key_memory(engine);
	if (key == NULL) {
		kolk__sub_acq_rel(&engine->key_count, 1);
		return NULL;
	}
	kolk__store_relaxed(&key->id, kolk__add_relaxed(&last_id, 1) + 1);
	kolk__store_relaxed(&key->low, 0);
	kolk__store_sc(&key->gate, KOLK__GATE_OPEN);
	key->pool = pool;
	key->engine = engine;
	key->clock = &engine->page->clock_ns;
	key->listens_acquired = kolk__listens(engine, KOLK_EVENT_ACQUIRED);
	key->listens_released = kolk__listens(engine, KOLK_EVENT_RELEASED);
	key->signalled = false;
	kolk__store_release(&key->refusing, false);
	key->awake = false;
	key->failures = 0;
	key->retry_at_ns = 0;
	key->alarm.fire = kolk__retry_fire;
	key->handles = 1;
	key->identity = identity;
	key->identity_size = size;
	key->tenant_offset = tenant_offset;
	key->hash = hash;
	return key;
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

	kolk__alarm_disarm(engine, &key->alarm);
	tables_free(key);
	kolk__tickets_close(engine->transport, &key->tickets);
	kolk__deallocate(engine, key->failure, sizeof *key->failure);
	key->failure = NULL;
	hists_free(engine, key->hists);
	key->hists = NULL;
	if (key->counters != NULL) {
		kolk__counters_add(&key->pool->retired, key->counters);
		kolk__deallocate(engine, key->counters, sizeof *key->counters);
		kolk__store_release(&key->counters, NULL);
	}
	kolk__deallocate(engine, key->identity, key->identity_size);
	key->identity = NULL;
}

void kolk__key_unmake(struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;

	/* Who still wants to dial for it (permits_moved) finds that it refuses. */
	kolk__take_lock(engine, &key->lock);
	kolk__store_release(&key->refusing, true);
	kolk__store_relaxed(&key->id, 0);
	kolk__give_lock(engine, &key->lock);
	free_parts(key);
	kolk__sub_acq_rel(&engine->key_count, 1);
	kolk__take_lock(engine, &engine->ledger);
	key->list_next = engine->free_keys;
	engine->free_keys = key;
	kolk__give_lock(engine, &engine->ledger);
}

/* ---- the pool's table of keys: under pool.lock */

static struct kolk_key **bucket_of(struct kolk_pool *pool, uint64_t hash)
{
	return &pool->buckets[hash & (pool->bucket_count - 1)];
}

static struct kolk_key *find(struct kolk_pool *pool, const struct identity *id)
{
	struct kolk_key *key = pool->buckets != NULL ? *bucket_of(pool, id->hash) : NULL;

	for (; key != NULL; key = key->bucket_next)
		if (key->hash == id->hash && key->identity_size == id->size &&
		    memcmp(key->identity, id->bytes, id->size) == 0)
			return key;
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

	while (*link != key)
		link = &(*link)->bucket_next;
	*link = key->bucket_next;
	*key->list_prev = key->list_next;
	if (key->list_next != NULL)
		key->list_next->list_prev = key->list_prev;
	pool->key_count--;
}

void kolk__key_look(struct kolk_key *key)
{
	struct kolk_pool *pool = key->pool;
	struct kolk_engine *engine = key->engine;
	bool gone = false;

	if (kolk__load_relaxed(&key->handles) != 0) /* relaxed: looked at again under lock */
		return;
	kolk__take_lock(engine, &pool->lock);
	kolk__take_lock(engine, &key->lock);
	if (key->pool == pool && key->identity != NULL && key->handles == 0 &&
	    key->open == 0 && key->waiting == 0 && !key->hungry) {
		take_out(pool, key);
		gone = true;
	}
	kolk__give_lock(engine, &key->lock);
	if (gone)
		kolk__key_unmake(key);
	kolk__give_lock(engine, &pool->lock);
}

/* ---- public */

static enum kolk_err refuse(const struct kolk_key_options *options, const char *field)
{
	if (options != NULL && options->failure != NULL)
		*options->failure = (struct kolk_failure){
			.size = (uint32_t)sizeof(struct kolk_failure), .err = KOLK_E_OPTIONS,
			.err_class = KOLK_CLASS_USAGE, .phase = KOLK_PHASE_OPTIONS,
			.field = field };
	return KOLK_E_OPTIONS;
}

static enum kolk_err options_check(const struct kolk_key_options *options)
{
	if (options == NULL || options->size != sizeof *options)
		return refuse(NULL, "size");
	if (options->tenant != NULL && strnlen(options->tenant, TEXT_MAX + 1) > TEXT_MAX)
		return refuse(options, "tenant");
	if (options->session != NULL && strnlen(options->session, TEXT_MAX + 1) > TEXT_MAX)
		return refuse(options, "session");
	if ((options->credential == NULL) != (options->credential_size == 0))
		return refuse(options, "credential_size");
	return KOLK_OK;
}

static enum kolk_err open_locked(struct kolk_pool *pool, struct identity *id,
				 struct kolk_key **key)
{
	struct kolk_engine *engine = pool->engine;

	if (kolk__load_acquire(&pool->state) != KOLK__OPEN)
		return KOLK_E_DRAINING;
	*key = find(pool, id);
	if (*key != NULL) {
		kolk__store_relaxed(&(*key)->handles, (*key)->handles + 1);
		return KOLK_OK;
	}
	*key = kolk__key_make(pool, id->bytes, id->size, id->tenant_offset, id->hash);
	if (*key == NULL)
		return kolk__load_relaxed(&engine->key_count) >= engine->keys_max ?
			       KOLK_E_LIMIT : KOLK_E_MEMORY;
	if (!insert(pool, *key)) {
		(*key)->identity = NULL; /* the caller frees it */
		kolk__key_unmake(*key);
		return KOLK_E_MEMORY;
	}
	id->bytes = NULL; /* the key's now */
	return KOLK_OK;
}

enum kolk_err kolk_key_open(struct kolk_pool *pool, const struct kolk_key_options *options,
			    struct kolk_key **key)
{
	struct kolk_engine *engine = pool->engine;
	enum kolk_err err = options_check(options);
	struct identity id;

	*key = NULL;
	if (err != KOLK_OK)
		return err;
	if (kolk__is_child(engine))
		return KOLK_E_FORKED;
	err = identity_make(engine, options, &id);
	if (err != KOLK_OK)
		return err;
	kolk__take_lock(engine, &pool->lock);
	err = open_locked(pool, &id, key);
	kolk__give_lock(engine, &pool->lock);
	identity_free(engine, &id);
	return err;
}

void kolk_key_close(struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;
	struct kolk_pool *pool = key->pool;
	bool last;

	if (kolk__is_child(engine))
		return;
	kolk__take_lock(engine, &pool->lock);
	kolk__store_relaxed(&key->handles, key->handles - 1);
	last = key->handles == 0;
	kolk__give_lock(engine, &pool->lock);
	if (!last)
		return;
	kolk__take_lock(engine, &key->lock);
	if (kolk__load_relaxed(&key->handles) == 0)
		key->awake = false; /* its connections age out, down to none */
	kolk__give_lock(engine, &key->lock);
	kolk__key_look(key);
}

bool kolk_key_failure(struct kolk_key *key, struct kolk_failure *failure)
{
	struct kolk_engine *engine = key->engine;
	bool any;

	kolk__take_lock(engine, &key->lock);
	any = key->failure != NULL;
	if (any)
		*failure = *key->failure;
	kolk__give_lock(engine, &key->lock);
	return any;
}

struct kolk_pool *kolk_key_pool(const struct kolk_key *key)
{
	return key->pool;
}

const char *kolk_key_tenant(const struct kolk_key *key)
{
	return (const char *)key->identity + key->tenant_offset;
}
