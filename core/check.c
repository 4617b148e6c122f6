/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.c - the audit: walks everything and proves the sums of engine.h.
 *
 * Under every lock of the slow paths no connection comes or goes, so the sums over "open"
 * are exact at any time; the state of a connection can still change between IDLE,
 * LEASED, BUSY, PINGING, RESETTING and TAKEN while other threads run.
 */
#include "core/draws.h"
#include "core/idle_list.h"
#include "core/listener.h"
#include "core/pool.h"
#include "core/wait.h"

#define LAW(condition, text)   \
	do {                   \
		if (!(condition)) \
			return text; \
	} while (0)

struct audit {
	uint32_t open, dialing, waiting, keys, queued, failing;
	uint32_t pool_open, pool_dialing, pool_idle;
};

/* ---- keys */

/* Of a key under its lock, of a pool under the pool's. */
static bool refusals_add_up(const struct kolk__counters *c)
{
	return c == NULL || kolk__refusals(c) == kolk__rare_count(c, KOLK__REJECTED) +
							 kolk__rare_count(c, KOLK__TIMEOUTS);
}

static const char *check_queue(struct kolk_key *key)
{
	uint32_t length = 0;
	const struct kolk__waiter *previous = NULL;

	KOLK__HELD(&key->lock);
	for (const struct kolk__waiter *w = key->first; w != NULL; w = w->next) {
		uint32_t state = kolk__load_acquire(&w->state);

		LAW(w->prev == previous, "queue: the links of a waiter agree");
		LAW(w->key == key, "queue: a waiter is in its key's queue");
		LAW(state == KOLK__WAITING || state == KOLK__SIGNALLED,
		    "queue: a waiter in it is not finished");
		LAW(state != KOLK__SIGNALLED || w == key->first,
		    "queue: only the first waiter is signalled");
		previous = w;
		length++;
	}
	LAW(refusals_add_up(kolk__load_acquire(&key->counters)), /* COUNTS.A1 <- COUNTS.R1 */
	    "callers refused: the sum by reason == rejected + timed out");
	LAW(key->last == previous, "queue: the last waiter is the last");
	LAW(kolk__own(&key->waiting) == length, "key.waiting == length of its queue");
	LAW(key->first == NULL || kolk__load_relaxed(&key->gate) != KOLK__GATE_OPEN,
	    "the gate is not open while there are waiters");
	LAW(kolk__own(&key->refuse_err) == KOLK_OK || key->first == NULL || key->fail_err != KOLK_OK,
	    "a key that refuses has no waiters, or maintenance ends them");
	return NULL;
}

static bool is_shrunk(const struct kolk__conn *conn)
{
	return kolk__conn_state(conn) == KOLK__CLOSING &&
	       kolk__load_relaxed(&conn->reason) == KOLK_REASON_SHRUNK;
}

/* The first waiter was not woken, and nothing will look for it: no connection is idle then. An
 * alarm may be for something else, which costs the law, not the key. */
static bool waits_for_nothing(struct kolk_key *key)
{
	struct kolk_engine *engine = key->engine;
	bool armed;

	KOLK__HELD(&key->lock);
	if (key->first == NULL || key->signalled || kolk__own(&key->refuse_err) != KOLK_OK)
		return false;
	kolk__take_lock(engine, &engine->maintain.lock);
	armed = kolk__timer_is_armed(&key->alarm.timer);
	kolk__give_lock(engine, &engine->maintain.lock);
	return !armed;
}

/* Idle, or in the library's hand until it is. */
static bool is_kept(enum kolk__state state)
{
	return kolk__is_ready(state) && !kolk__is_leased(state);
}

static const char *check_table(struct kolk_key *key, struct audit *audit)
{
	uint32_t open = 0, dialing = 0, pinging = 0, shrinking = 0, unproven = 0, idle = 0;
	bool none_idle = !key->engine->threads && waits_for_nothing(key);
	const struct kolk__conn *conn;

	KOLK__HELD(&key->lock);
	for (uint32_t at = 0; (conn = kolk__conn_next(key, &at, NULL)) != NULL;) {
		enum kolk__state state = kolk__conn_state(conn);

		LAW(kolk__load_relaxed(&conn->key) == key, "table: a connection is its key's");
		LAW(kolk__conn_table_has(key, conn), "table: a connection is at its position");
		LAW(state != KOLK__FREE, "table: a connection in it is not free");
		LAW(!kolk__conn_idle_without_token(conn), "what is idle has a token");
		LAW(!none_idle || state != KOLK__IDLE, "a waiter does not wait beside an idle connection");
		LAW(state == KOLK__DIALING || state == KOLK__CLOSING || conn->link != NULL,
		    "a connection that can be used has a link");
		LAW(key->engine->threads || state != KOLK__IDLE ||
			    kolk__load_acquire(&conn->retire_reason) == 0,
		    "no connection with a retire reason is idle (SC2)");
		LAW(key->engine->threads || !kolk__counts_idle(kolk__own(&key->pool)) ||
			    (kolk__load_relaxed(&conn->idle_mark) != 0) == is_kept(state),
		    "a connection is counted as idle when it is, or is to be");
		open++;
		idle += kolk__load_relaxed(&conn->idle_mark) != 0;
		dialing += state == KOLK__DIALING;
		pinging += state == KOLK__PINGING;
		unproven += state != KOLK__DIALING && kolk__load_relaxed(&conn->unproven);
		shrinking += is_shrunk(conn);
	}
	LAW(kolk__own(&key->open) == open, "key.open == connections of its table");
	LAW(key->engine->threads || kolk__load_relaxed(&key->idle) == idle,
	    "key.idle == connections of its table that it counts as idle");
	LAW(key->engine->threads || kolk__tokens_count(key) == kolk__conn_table_listed(key),
	    "tokens in the idle list == positions that say that theirs is there");
	LAW(kolk__load_relaxed(&key->shrinking) == shrinking,
	    "key.shrinking == its connections that close for a lowered limit");
	LAW(kolk__load_relaxed(&key->dialing) >= dialing, "key.dialing covers its dials");
	LAW(key->engine->threads || kolk__load_relaxed(&key->pinging) == pinging,
	    "key.pinging == its connections that are PINGING");
	LAW(key->unproven == unproven, "key.unproven == its connections that are unproven");
	LAW(kolk__own(&key->open) - kolk__load_relaxed(&key->shrinking) <=
			    kolk__setting(kolk__own(&key->pool), connections_max) ||
		    kolk__load_relaxed(&key->gate) == KOLK__GATE_STOP ||
		    kolk__own(&key->pool)->walks != NULL,
	    "key.open <= connections_max, or a lowered limit is being met");
	kolk__own(&key->account)->audit.open += open;
	audit->pool_open += open;
	audit->pool_dialing += kolk__own(&key->dialing);
	audit->pool_idle += idle;
	audit->waiting += kolk__waiting(key);
	return NULL;
}

static const char *check_permit_queue(struct kolk_key *key, struct audit *audit)
{
	struct kolk_engine *engine = key->engine;
	bool stands, counted;

	KOLK__HELD(&key->lock);
	kolk__take_lock(engine, &engine->accounting);
	stands = kolk__own(&key->permit_queue) != NULL;
	counted = stands && kolk__own(&kolk__own(&key->permit_queue)->keys.count) > 0;
	kolk__give_lock(engine, &engine->accounting);
	LAW(stands == counted, "a key is in a permit queue that counts it");
	audit->queued += stands;
	return NULL;
}

/* Under pool.lock. */
static const char *check_state(struct kolk_pool *pool, const struct audit *audit)
{
	struct kolk_engine *engine = pool->engine;
	uint32_t state = kolk__load_acquire(&pool->state);
	bool armed;

	KOLK__HELD(&pool->lock);
	kolk__take_lock(engine, &engine->maintain.lock);
	armed = kolk__timer_is_armed(&pool->drain_alarm.timer);
	kolk__give_lock(engine, &engine->maintain.lock);
	LAW(refusals_add_up(&pool->retired),
	    "callers refused: the sum by reason == rejected + timed out, of keys that are gone");
	LAW(engine->threads || kolk__load_relaxed(&pool->idle) == audit->pool_idle,
	    "pool.idle == sum of key.idle");
	LAW(state != KOLK__CLOSED || audit->pool_open == 0, "a closed pool has no connection");
	LAW(!pool->suspended || state != KOLK__OPEN, "an open pool is not suspended");
	LAW(!armed || pool->drain_waits || state == KOLK__DRAINING || state == KOLK__NOTIFYING,
	    "only the alarm of a pool that drains, or is to, is armed");
	LAW(!pool->drain_waits || state == KOLK__OPEN, "only an open pool waits to drain");
	LAW(engine->threads || !pool->drain_waits || kolk__is_drawn_from(pool),
	    "a pool that waits to drain is drawn from");
	return NULL;
}

static const char *check_pool(struct kolk_pool *pool, struct audit *audit)
{
	struct kolk_engine *engine = pool->engine;
	const char *law = NULL;
	uint32_t keys = 0;

	audit->pool_open = audit->pool_dialing = audit->pool_idle = 0;
	kolk__take_lock(engine, &pool->lock);
	for (struct kolk_key *key = pool->keys; law == NULL && key != NULL;
	     key = key->list_next) {
		kolk__take_lock(engine, &key->lock);
		law = check_queue(key);
		if (law == NULL)
			law = check_table(key, audit);
		if (law == NULL)
			law = check_permit_queue(key, audit);
		audit->failing += key->fail_err != KOLK_OK;
		kolk__give_lock(engine, &key->lock);
		keys++;
	}
	if (law == NULL && keys != pool->key_table.count)
		law = "keys in a pool's table == keys in its list";
	if (law == NULL)
		law = check_state(pool, audit);
	kolk__give_lock(engine, &pool->lock);
	audit->keys += keys;
	audit->open += audit->pool_open;
	audit->dialing += audit->pool_dialing;
	return law;
}

/* Connections by state; those in no key's table are free. */
static const char *check_conns(struct kolk_engine *engine, uint32_t open)
{
	uint32_t free = 0, used = 0, all;

	kolk__take_lock(engine, &engine->accounting);
	all = kolk__own(&engine->totals[KOLK__CONNECTIONS].open) +
	      kolk__own(&engine->totals[KOLK__DRAWING].open);
	for (const struct kolk__conn *conn = engine->free; conn != NULL; conn = conn->next_free)
		free++;
	for (uint32_t i = 0; i < engine->conn_count; i++)
		used += kolk__conn_state(&engine->conns[i]) != KOLK__FREE;
	kolk__give_lock(engine, &engine->accounting);
	LAW(free + all == engine->conn_count, "free + open == connections in memory");
	LAW(used <= all, "a connection in use is counted as open");
	LAW(engine->threads || open == all, "sum of total.open == the keys' connections");
	return NULL;
}

/* ---- evictions: exact at any time, because both sides are under accounting */

typedef const char *tenant_fn(struct kolk_engine *engine, struct kolk__tenant *tenant);

struct tenant_walk {
	struct kolk_engine *engine;
	tenant_fn *run;
	const char *law;
};

static void run_node(struct kolk__hash_node *node, void *user)
{
	struct tenant_walk *walk = user;

	if (walk->law == NULL)
		walk->law = walk->run(walk->engine, kolk__tenant_of_node(node));
}

/* All tenants there are, recycled ones too. Under tenants.lock. */
static const char *each_tenant(struct kolk_engine *engine, tenant_fn *run)
{
	struct kolk__tenants *tenants = &engine->tenants;
	struct tenant_walk walk = { engine, run, run(engine, &engine->anonymous) };
	uint32_t cursor = 0;

	KOLK__HELD(&engine->tenants.lock);
	do
		cursor = kolk__hash_scan(&tenants->table, cursor, run_node, &walk);
	while (cursor != 0);
	for (struct kolk__tenant *tenant = tenants->free; walk.law == NULL && tenant != NULL;
	     tenant = tenant->next_free)
		walk.law = run(engine, tenant);
	return walk.law;
}

static const char *tenant_begin(struct kolk_engine *engine, struct kolk__tenant *tenant)
{
	(void)engine;
	tenant->connections.audit = (struct kolk__audit){ 0 };
	if (tenant->drawing != NULL)
		tenant->drawing->audit = (struct kolk__audit){ 0 };
	return NULL;
}

static const char *account_end(struct kolk_engine *engine, const struct kolk__account *account)
{
	if (kolk__own(&account->reclaim_round) == kolk__own(&engine->reclaim_round) &&
	    account->reclaim_limit == KOLK__ENGINE_FULL)
		account->total->audit_to_reclaim += kolk__own(&account->to_reclaim);
	LAW(account->limit.members.evictions == account->audit.evictions,
	    "account.limit.members.evictions == connections that are evicted for its limit");
	LAW(kolk__members_count(engine, &account->limit) == kolk__own(&account->open),
	    "account.open == connections in the circle of its limit");
	LAW(kolk__own(&account->shrinking) == account->audit.shrinking,
	    "account.shrinking == its connections that close for a lowered limit");
	return NULL;
}

static const char *tenant_end(struct kolk_engine *engine, struct kolk__tenant *tenant)
{
	const char *law = account_end(engine, &tenant->connections);

	if (law == NULL && tenant->drawing != NULL)
		law = account_end(engine, tenant->drawing);
	return law;
}

static void pools_begin(struct kolk_pool *pool)
{
	for (; pool != NULL; pool = pool->next)
		pool->audit.evictions = pool->audit.shrinking = 0;
}

static const char *pools_end(const struct kolk_pool *pool)
{
	for (; pool != NULL; pool = pool->next) {
		LAW(kolk__members_count(pool->engine, &pool->limit) == kolk__own(&pool->open),
		    "pool.open == connections in the circle of its limit");
		LAW(pool->limit.members.evictions == pool->audit.evictions,
		    "pool.limit.members.evictions == connections that are evicted for its limit");
		LAW(kolk__own(&pool->shrinking) == pool->audit.shrinking,
		    "pool.shrinking == its connections that close for a lowered limit");
	}
	return NULL;
}

/* One more that closes: which eviction was it? Its key stays as long as it is open. */
static void add_closing(const struct kolk__conn *conn)
{
	struct kolk_key *key = kolk__load_relaxed(&conn->key);
	struct kolk__account *account;

	if (kolk__conn_state(conn) != KOLK__CLOSING)
		return;
	account = kolk__own(&key->account);
	account->total->audit.evictions += conn->evicted_for == KOLK__ENGINE_FULL;
	account->audit.evictions += conn->evicted_for == KOLK__TENANT_FULL;
	kolk__own(&key->pool)->audit.evictions += conn->evicted_for == KOLK__POOL_FULL;
	account->total->audit.shrinking += is_shrunk(conn);
	account->audit.shrinking += is_shrunk(conn);
	kolk__own(&key->pool)->audit.shrinking += is_shrunk(conn);
}

static const char *total_end(const struct kolk__total *total)
{
	LAW(total->members.evictions == total->audit.evictions,
	    "total.members.evictions == connections that are evicted for its limit");
	LAW(kolk__own(&total->shrinking) == total->audit.shrinking,
	    "total.shrinking == connections that close for a lowered limit");
	LAW(total->to_reclaim == total->audit_to_reclaim,
	    "total.to_reclaim == sum over tenants, this round");
	return NULL;
}

/* Under registry, tenants.lock and accounting. */
static const char *check_closing_locked(struct kolk_engine *engine)
{
	const char *law;

	KOLK__HELD(&engine->accounting);
	for (int i = 0; i < KOLK__CLASSES; i++) {
		engine->totals[i].audit = (struct kolk__audit){ 0 };
		engine->totals[i].audit_to_reclaim = 0;
	}
	pools_begin(engine->pools);
	pools_begin(engine->free_pools);
	(void)each_tenant(engine, tenant_begin);
	for (uint32_t i = 0; i < engine->conns_used; i++)
		add_closing(&engine->conns[i]);
	law = pools_end(engine->pools);
	if (law == NULL)
		law = pools_end(engine->free_pools);
	if (law == NULL)
		law = each_tenant(engine, tenant_end);
	for (int i = 0; i < KOLK__CLASSES && law == NULL; i++)
		law = total_end(&engine->totals[i]);
	return law;
}

static const char *check_closing(struct kolk_engine *engine)
{
	const char *law;

	kolk__take_lock(engine, &engine->tenants.lock);
	kolk__take_lock(engine, &engine->accounting);
	law = check_closing_locked(engine);
	kolk__give_lock(engine, &engine->accounting);
	kolk__give_lock(engine, &engine->tenants.lock);
	return law;
}

/* ---- tenants: begin = zero what the walk over keys adds up */

static const char *open_begin(struct kolk_engine *engine, struct kolk__tenant *tenant)
{
	(void)engine;
	tenant->connections.audit.open = 0;
	if (tenant->drawing != NULL)
		tenant->drawing->audit.open = 0;
	return NULL;
}

static const char *open_end(struct kolk_engine *engine, struct kolk__tenant *tenant)
{
	const struct kolk__account *drawing = tenant->drawing;

	(void)engine;
	LAW(tenant->connections.audit.open == kolk__own(&tenant->connections.open),
	    "tenant.connections.open == sum of its keys' connections");
	LAW(drawing == NULL || drawing->audit.open == kolk__own(&drawing->open),
	    "tenant.drawing.open == sum of its keys' resources");
	return NULL;
}

static const char *check_tenants(struct kolk_engine *engine, tenant_fn *run)
{
	const char *law;

	kolk__take_lock(engine, &engine->tenants.lock);
	law = each_tenant(engine, run);
	kolk__give_lock(engine, &engine->tenants.lock);
	return law;
}

/* Sums that are exact only while no other thread is inside a call. */
static const char *check_still(struct kolk_engine *engine, const struct audit *audit)
{
	uint32_t open[KOLK__CLASSES] = { 0 }, dialing[KOLK__CLASSES] = { 0 }, refs = 0;

	KOLK__HELD(&engine->registry);
	for (const struct kolk_pool *pool = engine->pools; pool != NULL; pool = pool->next) {
		LAW(pool->walks == NULL, "between two calls no walk is in a pool");
		open[pool->account_class] += kolk__own(&pool->open);
		dialing[pool->account_class] += kolk__own(&pool->dialing);
		refs += pool->refs - pool->holds;
	}
	for (struct kolk_pool *pool = engine->pools; pool != NULL; pool = pool->next)
		LAW(kolk__draws_dependants(pool) == pool->dependants,
		    "pool.dependants == pools that draw from it and are not closed");
	LAW(refs == audit->failing, "between two calls a pool is referenced by keys whose waiters "
				    "end, by keys that are held, and by no other");
	for (int i = 0; i < KOLK__CLASSES; i++) {
		LAW(kolk__own(&engine->totals[i].open) == open[i], "total.open == sum of pool.open");
		LAW(kolk__own(&engine->totals[i].dialing) == dialing[i],
		    "total.dialing == sum of pool.dialing");
	}
	LAW(open[0] + open[1] == audit->open, "sum of pool.open == sum of key.open");
	LAW(kolk__own(&engine->waiting) == audit->waiting,
	    "engine.waiting == sum of key.waiting + key.outside");
	LAW(kolk__own(&engine->key_count) == audit->keys, "engine.key_count == sum of keys");
	LAW(dialing[0] + dialing[1] == audit->dialing, "sum of pool.dialing == sum of key.dialing");
	LAW(kolk__own(&engine->queued_keys) == audit->queued,
	    "engine.queued_keys == keys in permit queues");
	for (const struct kolk_key *key = engine->lru.first; key != NULL; key = key->lru_next[0])
		LAW(key->in_lru && key->identity != NULL && kolk__own(&key->refs) == 0,
		    "a key of the LRU list is there and unreferenced");
	return check_tenants(engine, open_end);
}

enum kolk_err kolk_check(struct kolk_engine *engine, const char **law)
{
	struct audit audit = { 0 };
	const char *broken = NULL;

	if (kolk__is_child(engine))
		return KOLK_E_FORKED;
	kolk__take_lock(engine, &engine->registry);
	(void)check_tenants(engine, open_begin);
	for (struct kolk_pool *pool = engine->pools; broken == NULL && pool != NULL;
	     pool = pool->next)
		broken = check_pool(pool, &audit);
	if (broken == NULL)
		broken = check_conns(engine, audit.open);
	if (broken == NULL && !engine->threads) /* one thread: no other is inside */
		broken = check_still(engine, &audit);
	if (broken == NULL)
		broken = check_closing(engine);
	kolk__give_lock(engine, &engine->registry);
	if (broken == NULL)
		broken = kolk__listeners_check(engine);
	if (law != NULL)
		*law = broken;
	return broken == NULL ? KOLK_OK : KOLK_E_IN_USE;
}
