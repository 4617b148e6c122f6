/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.h - the engine, its pools, and which thread writes what under which lock.
 *
 *   engine -+- shards     one per loop: mailbox, timers, callbacks to run
 *           +- conns      every connection there can be (conn.h)
 *           +- accounting which connections are free, which keys wait for a permit
 *           +- tenants    owners of connections (tenant.h)
 *           +- maintain   alarms (maintain.h)
 *           +- pool list: pool -> key table -> key -> connection table, waiters
 *
 * Sums (kolk_check proves them; conns = all there can be):
 *   conns  == free + dialing + idle + leased + busy + pinging + resetting + taken + closing
 *   sum of total.open == sum of pool.open == sum of account.open == sum of key.open
 *                     == conns - free
 *   key.waiting == length of its queue;  engine.waiting == sum of key.waiting + key.outside
 *
 * Locks: their order is that of enum kolk__rank (core/base/lock.h). No callback of the embedder
 * runs under any.
 */
#ifndef KOLK_ENGINE_INTERNAL_H
#define KOLK_ENGINE_INTERNAL_H

#include <kolk/kolk.h>

#include "core/base/siphash.h"
#include "core/conn.h"
#include "core/counters.h"
#include "core/health.h"
#include "core/key.h"
#include "core/shard.h"
#include "core/tenant.h"
#include "transport/transport.h"

/* A page that reads as zero in a child process after fork(2), so the hot path's load of the clock
 * detects the fork, too. */
struct kolk__page {
	/* W: maintenance. R: anyone (relaxed: a time). Means: coarse now, 0 = read the real. */
	kolk__atomic_u64 clock_ns;
	/* W: a hit that found no clock (relaxed: statistic). R: maintenance. */
	kolk__atomic_u64 misses;
	uint32_t alive;  /* plain: 1 since create; 0 = this is a child */
};

/* Functions of higher files that lower files call, so that neither needs the other. Set by
 * engine.c. */
struct kolk__calls {
	void (*make_idle)(struct kolk__task *task);
	void (*dial_failed)(void *connection, const struct kolk_failure *failure);
	void (*retry)(struct kolk__alarm *alarm, uint64_t now_ns);
	void (*drain_waited)(struct kolk_pool *pool, bool now);
};

/*
 * What an engine has of one class (tenant.h). Under accounting.
 *
 * Why a resource that is being made never waits for what another one holds: a resource holds a
 * permit of its own class only, and takes it before its create begins. What its create waits for is
 * of class KOLK__CONNECTIONS, in pools that draw from no other. A connection's dial waits for no
 * resource. So each wait goes from DRAWING to CONNECTIONS, none the other way, and there is no
 * cycle: 100 creates over a pool of 4 connections hold 100 permits that no connection needs, and
 * share the 4 like any other callers. The same holds for memory (connections_reserved and
 * resources_max are added up), for dials in flight, and for evictions and reclaims (search.c looks
 * at one class).
 */
struct kolk__total {
	kolk__atomic_u32 open;    /* <= limit but for a lowered one */
	/* W: limits change. R: permits (relaxed: the next permit sees it). */
	kolk__atomic_u32 limit;   /* connections_max, or resources_max */
	kolk__atomic_u32 dialing; /* <= dials_max */
	kolk__atomic_u32 shrinking; /* of open: closing for a lowered limit */
	struct kolk__heap engine_queues; /* tenants' queues for a permit of the engine, by share */
	kolk__atomic_u32 engine_queued_keys; /* keys in these */
	uint32_t to_reclaim;          /* sum over tenants: for keys in engine queues, this round */
	struct kolk__members members; /* of victim searches for its own limit */
	struct kolk__audit audit;
	uint32_t audit_to_reclaim;
};

struct kolk__pools_walk;

_Static_assert(KOLK_LOOPS_MAX <= UINT8_MAX + 1, "connections know loops by index");

struct kolk_engine {
	const struct kolk_sys *sys;
	struct kolk__page *page;
	kolk__atomic_u64 no_clock; /* constant: 0 */
	struct kolk__transport *transport;
	struct kolk_loop *shards;
	struct kolk__conn *conns;
	struct kolk__links *links; /* under accounting: of each connection (members.h) */
	uint32_t shard_count, conn_count;
	uint32_t event_mask, log_level;
	kolk_event_fn *on_event;
	void *event_user;
	kolk_log_fn *on_log;
	void *log_user;
	uint64_t maintenance_interval_ns;
	uint64_t created_ns;
	struct kolk__secret secret; /* of every keyed hash and digest */
	uint32_t hash_mask;       /* all ones; tests make every hash the same */
	uint32_t fail_slice;      /* KOLK__FAIL_SLICE; tests make it smaller */
	uint32_t walk_slice;      /* KOLK__SLICE (walk.h); tests make it smaller, but > 1 */
	bool threads;
	struct kolk__calls calls; /* constant */
	/* NULL except in tests: called before a lock is taken (+ 1) and after it was released (-
	 * 1), so that a test can do there what another thread might. */
	void (*on_lock)(void *user, int change);
	void *on_lock_user;

	uint32_t waiters_max, keys_max, dials_max;
	kolk__atomic_u32 tenant_connections_max, tenant_keys_max; /* relaxed: can be changed */
	uint64_t lend_after_ns;
	kolk__atomic_u32 epoch;   /* sc: rotations so far */
	kolk__atomic_u32 waiting; /* W, R: anyone; <= waiters_max */
	kolk__atomic_u32 key_count; /* W, R: anyone; <= keys_max */
	kolk__atomic_u64 misuse;  /* W: anyone (relaxed: statistic) */
	kolk__atomic_u64 random_state; /* W, R: anyone (relaxed): jitter */
	uint32_t search_slice;   /* KOLK__SEARCH_SLICE; tests make it smaller */
	kolk__atomic_u64 visits; /* W: victim searches (relaxed: statistic) */
	/* W: kolk_engine_loops_set, under listeners. R: anyone (relaxed: a hint where new work goes;
	 * every loop runs, so that a late reader only posts to one that is not active any more). */
	kolk__atomic_u32 loops_active;
	kolk__atomic_u32 next_shard; /* W, R: anyone (relaxed): round robin of plain threads' dials */

	struct kolk__lock accounting; /* all below, and open, dialing of pools and tenants */
	struct kolk__conn *free;
	struct kolk__total totals[KOLK__CLASSES];
	uint64_t next_number;
	uint32_t conns_used;      /* connections from here on were never used */
	struct kolk__heap limit_queues; /* other permit queues, longest unvisited first */
	uint64_t sequence;           /* order of what is equal in these, and in engine_queues */
	kolk__atomic_u32 queued_keys; /* keys in any permit queue */
	/* What was noted in an earlier round is void; relaxed readers: hints. */
	kolk__atomic_u32 reclaim_round;
	uint64_t reclaim_round_at_ns;  /* of this round */
	/* The connections that victim searches found idle for longest, in this order: hints. */
	struct kolk__candidate candidates[KOLK__CANDIDATES];
	uint32_t candidate_count;
	/* Keys for which a caller's slice found nothing: maintenance searches all connections for
	 * them. Hints: only keys that are still in a permit queue count. */
	struct kolk_key *handed_over[KOLK__HANDED_OVER];
	uint32_t handed_over_count;
	struct kolk__lru lru;        /* all unreferenced keys; a tenant has its own, too */
	struct kolk_key *free_keys; /* recycled */

	struct kolk__tenants tenants;
	struct kolk__tenant anonymous;
	struct kolk__account anonymous_drawing; /* its */
	char no_name[1];

	struct kolk__lock registry; /* the pools, recycled pools */
	struct kolk_pool *pools;
	struct kolk_pool *free_pools;
	struct kolk__pools_walk *walks; /* over the pools */
	struct kolk__counters retired;
	struct kolk__many retired_many;
	struct kolk__hists hists; /* of pools that are gone */
	kolk__atomic_u32 pools_open; /* W: under registry. R: waiters (futex word) */

	struct kolk__lock listeners; /* listener.h: the listeners, and how they end */
	struct kolk_listener *listener_list;
	kolk__atomic_u32 listeners_open;  /* W: under listeners. R: destroy */
	kolk__atomic_u32 listeners_ended; /* W: under listeners. R: waiters (futex word): so far */

	struct kolk__maintain maintain;
};

/* The pool's, key's or engine's memory from the table of functions. */
static inline void *kolk__allocate(struct kolk_engine *engine, size_t size)
{
	return engine->sys->allocate(engine->sys->context, KOLK_CACHE_LINE, size);
}

static inline void kolk__deallocate(struct kolk_engine *engine, void *memory, size_t size)
{
	if (memory != NULL)
		engine->sys->deallocate(engine->sys->context, memory, size);
}

/* The place of a connection in engine.conns. */
static inline uint32_t kolk__conn_index(const struct kolk_engine *engine,
					const struct kolk__conn *conn)
{
	return (uint32_t)(conn - engine->conns);
}

/* Its home loop. It was dialled once. */
static inline struct kolk_loop *kolk__home(const struct kolk__conn *conn)
{
	return &kolk__load_relaxed(&conn->key)->engine->shards[kolk__load_relaxed(&conn->home)];
}

/* The loop that runs its operations; NULL = none. */
static inline struct kolk_loop *kolk__user(const struct kolk__conn *conn)
{
	uint16_t user = kolk__load_relaxed(&conn->user);

	return user != 0 ? &kolk__load_relaxed(&conn->key)->engine->shards[user - 1] : NULL;
}

static inline uint64_t kolk__now(struct kolk_engine *engine)
{
	return engine->sys->now_ns(engine->sys->context);
}

static inline void kolk__take_lock(struct kolk_engine *engine, struct kolk__lock *lock)
{
	if (KOLK_UNLIKELY(engine->on_lock != NULL))
		engine->on_lock(engine->on_lock_user, 1);
	kolk__lock(engine->sys, lock);
}

static inline void kolk__give_lock(struct kolk_engine *engine, struct kolk__lock *lock)
{
	kolk__unlock(engine->sys, lock);
	if (KOLK_UNLIKELY(engine->on_lock != NULL))
		engine->on_lock(engine->on_lock_user, -1);
}

static inline bool kolk__is_child(const struct kolk_engine *engine)
{
	return engine->page->alive == 0;
}

/* clock.c */
uint64_t kolk__random(struct kolk_engine *engine);
/* A duration shortened by up to a tenth, so that what began together does not end together. */
uint64_t kolk__jitter(struct kolk_engine *engine, uint64_t ns);
/* The coarse clock for a hit that found none kept: the real one, 0 in a fork's child. */
uint64_t kolk__clock_miss(struct kolk_engine *engine);

#endif
