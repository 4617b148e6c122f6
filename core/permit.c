/* SPDX-License-Identifier: Apache-2.0 */
/*
 * permit.c - permits of tenant, pool and engine.
 *
 * All of them are taken in one step under accounting, before a dial begins, and returned when the
 * socket is closed, so every connection counts in each state it can be in and no limit is exceeded
 * for an instant. A key that is denied one is put into the permit queue in the same step, so no
 * permit is freed between the check and the queue.
 */
#include "core/permits.h"
#include "core/pool.h"

uint32_t kolk__tenant_limit(const struct kolk_engine *engine, const struct kolk__tenant *tenant)
{
	uint32_t own = kolk__load_relaxed(&tenant->connections_max);

	return own != 0 ? own : kolk__load_relaxed(&engine->tenant_connections_max);
}

/* So many more fit below the limit. */
static bool fits(uint32_t count, uint32_t limit, uint32_t more)
{
	return count < limit && more < limit - count;
}

static enum kolk__denied denied_by(const struct kolk_key *key, bool for_caller)
{
	const struct kolk_engine *engine = key->engine;
	const struct kolk_pool *pool = kolk__own(&key->pool);
	const struct kolk__account *account = kolk__own(&key->account);
	const struct kolk__total *total = account->total;
	uint32_t reserve = for_caller ? 0 : kolk__own(&engine->queued_keys);
	/* Keys in engine queues have an older claim to a permit that is free just now. */
	uint32_t before = !for_caller  ? reserve :
			  key->granted ? 0 : kolk__own(&total->engine_queued_keys);

	KOLK__HELD(&engine->accounting);
	if (!fits(kolk__own(&account->open), kolk__tenant_limit(engine, account->tenant),
		  for_caller ? 0 : kolk__own(&account->limit.queue.keys.count)))
		return KOLK__TENANT_FULL;
	if (!fits(kolk__own(&pool->open), kolk__setting(pool, pool_connections_max), reserve))
		return KOLK__POOL_FULL;
	if (!fits(kolk__own(&pool->dialing), kolk__setting(pool, dials_max), reserve))
		return KOLK__POOL_DIALS;
	if (!fits(kolk__own(&total->open), kolk__own(&total->limit), before) ||
	    engine->free == NULL)
		return KOLK__ENGINE_FULL;
	if (!fits(kolk__own(&total->dialing), engine->dials_max, reserve))
		return KOLK__ENGINE_DIALS;
	return KOLK__GRANTED;
}

static struct kolk__permit_queue *queue_for(struct kolk_key *key, enum kolk__denied denied)
{
	switch (denied) {
	case KOLK__TENANT_FULL:
		return &kolk__own(&key->account)->limit.queue;
	case KOLK__POOL_FULL:
	case KOLK__POOL_DIALS:
		return &kolk__own(&key->pool)->limit.queue;
	default:
		return &kolk__own(&key->account)->engine_queue;
	}
}

#define LESS UINT32_MAX /* minus one */

/* The counts of the key's tenant, pool and engine, up or down by one. */
static void count(struct kolk_key *key, uint32_t one)
{
	struct kolk_engine *engine = key->engine;
	struct kolk__account *account = kolk__own(&key->account);

	KOLK__HELD(&engine->accounting);
	kolk__own_add(&account->open, one);
	kolk__own_add(&kolk__own(&key->pool)->open, one);
	kolk__own_add(&account->total->open, one);
	kolk__share_changed(engine, account);
}

static void member_add(struct kolk_key *key, const struct kolk__conn *conn)
{
	struct kolk_engine *engine = key->engine;
	uint32_t index = kolk__conn_index(engine, conn);

	count(key, 1);
	kolk__member_add(engine, &kolk__own(&key->account)->limit, index);
	kolk__member_add(engine, &kolk__own(&key->pool)->limit, index);
}

static void member_remove(struct kolk_key *key, const struct kolk__conn *conn)
{
	struct kolk_engine *engine = key->engine;
	uint32_t index = kolk__conn_index(engine, conn);

	count(key, LESS);
	kolk__member_remove(engine, &kolk__own(&key->account)->limit, index);
	kolk__member_remove(engine, &kolk__own(&key->pool)->limit, index);
}

static void dial_permit_set(struct kolk__conn *conn, const struct kolk_key *key, bool held)
{
	KOLK__HELD(&key->engine->accounting);
	KOLK__ASSERT(conn->dial_permit != held);
	conn->dial_permit = held;
	kolk__own_add(&kolk__own(&key->pool)->dialing, held ? 1 : LESS);
	kolk__own_add(&kolk__own(&key->account)->total->dialing, held ? 1 : LESS);
}

static void count_shrinking(struct kolk_key *key, uint32_t one)
{
	struct kolk__account *account = kolk__own(&key->account);

	KOLK__HELD(&key->engine->accounting);
	kolk__own_add(&key->shrinking, one);
	kolk__own_add(&account->shrinking, one);
	kolk__own_add(&kolk__own(&key->pool)->shrinking, one);
	kolk__own_add(&account->total->shrinking, one);
}

void kolk__shrink(struct kolk__conn *conn)
{
	struct kolk_engine *engine = kolk__own(&conn->key)->engine;

	KOLK__HELD(&kolk__own(&conn->key)->lock);
	KOLK__STATE(conn, KOLK__IS_CLOSING);
	kolk__take_lock(engine, &engine->accounting);
	kolk__store_relaxed(&conn->reason, KOLK_REASON_SHRUNK);
	count_shrinking(kolk__own(&conn->key), 1);
	kolk__give_lock(engine, &engine->accounting);
}

struct kolk__conn *kolk__permit_take(struct kolk_key *key, bool for_caller,
				     enum kolk__denied *denied)
{
	struct kolk_engine *engine = key->engine;
	struct kolk__conn *conn = NULL;

	KOLK__HELD(&key->lock);
	kolk__take_lock(engine, &engine->accounting);
	*denied = denied_by(key, for_caller);
	if (*denied == KOLK__GRANTED) {
		conn = engine->free;
		engine->free = conn->next_free;
		conn->number = ++engine->next_number;
		if (kolk__conn_index(engine, conn) >= engine->conns_used)
			engine->conns_used = kolk__conn_index(engine, conn) + 1;
		conn->evicted_for = KOLK__GRANTED;
		key->granted = key->keep_sequence = false;
		member_add(key, conn);
		dial_permit_set(conn, key, true);
	} else if (kolk__own(&key->waiting) > 0) {
		kolk__permit_queue_push(engine, queue_for(key, *denied), key);
	}
	kolk__give_lock(engine, &engine->accounting);
	return conn;
}

void kolk__dial_permit_return(struct kolk__conn *conn)
{
	struct kolk_engine *engine = kolk__own(&conn->key)->engine;

	KOLK__IN_TURN(kolk__home(conn));
	KOLK__STATE(conn, KOLK__IS_DIALING);
	kolk__take_lock(engine, &engine->accounting);
	dial_permit_set(conn, kolk__own(&conn->key), false);
	kolk__give_lock(engine, &engine->accounting);
}

void kolk__permit_return(struct kolk__conn *conn)
{
	struct kolk_key *key = kolk__own(&conn->key);
	struct kolk_engine *engine = key->engine;

	KOLK__HELD(&key->lock);
	KOLK__STATE(conn, KOLK__IS_DIALING | KOLK__IS_CLOSING);
	kolk__take_lock(engine, &engine->accounting);
	if (conn->dial_permit)
		dial_permit_set(conn, key, false);
	kolk__conn_set(conn, KOLK__FREE);
	kolk__eviction_done(key, conn->evicted_for);
	if (kolk__own(&conn->reason) == KOLK_REASON_SHRUNK)
		count_shrinking(key, LESS);
	conn->next_free = engine->free;
	engine->free = conn;
	member_remove(key, conn);
	kolk__give_lock(engine, &engine->accounting);
}

/* What closes for a lowered limit already is not above it any more. */
static bool is_over(const kolk__atomic_u32 *open, const kolk__atomic_u32 *shrinking,
		    uint32_t limit)
{
	return kolk__load_relaxed(open) > limit &&
	       kolk__load_relaxed(open) - limit > kolk__load_relaxed(shrinking);
}

bool kolk__at_limit(const struct kolk_key *key)
{
	const struct kolk_pool *pool = kolk__own(&key->pool);
	const struct kolk__account *account = kolk__own(&key->account);
	const struct kolk__total *total = account->total;

	KOLK__HELD(&key->lock);
	return kolk__own(&key->open) >= kolk__setting(pool, connections_max) ||
	       kolk__load_relaxed(&account->open) >=
		       kolk__tenant_limit(key->engine, account->tenant) ||
	       kolk__load_relaxed(&pool->open) >= kolk__setting(pool, pool_connections_max) ||
	       kolk__load_relaxed(&total->open) >= kolk__load_relaxed(&total->limit);
}

bool kolk__over_limit(const struct kolk_key *key)
{
	const struct kolk_pool *pool = kolk__own(&key->pool);
	const struct kolk_engine *engine = key->engine;
	const struct kolk__account *account = kolk__own(&key->account);
	const struct kolk__total *total = account->total;

	KOLK__HELD(&key->lock);
	return is_over(&key->open, &key->shrinking, kolk__setting(pool, connections_max)) ||
	       is_over(&account->open, &account->shrinking,
		       kolk__tenant_limit(engine, account->tenant)) ||
	       is_over(&pool->open, &pool->shrinking,
		       kolk__setting(pool, pool_connections_max)) ||
	       is_over(&total->open, &total->shrinking, kolk__load_relaxed(&total->limit));
}
