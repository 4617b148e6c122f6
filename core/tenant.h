/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tenant.h - tenants: how many connections they have and may have, and their permit queues.
 *
 * A tenant is created with its first key or with limits of its own, and recycled when it has
 * neither. Keys without a tenant, and all keys of a shared pool, belong to engine.anonymous, which
 * has no limit.
 *
 * Share = open / weight, a number to compare by. The smallest share goes first (permit_queue.c).
 *
 * Reclaims: tenants are type-stable: recycled, freed with the engine. A stale reader of a
 *           recycled key may read another tenant's share: victim searches only choose by it.
 */
#ifndef KOLK_TENANT_INTERNAL_H
#define KOLK_TENANT_INTERNAL_H

#include <kolk/tenant.h>

#include "core/base/container.h"
#include "core/base/hash_table.h"
#include "core/base/heap.h"
#include "core/base/lock.h"
#include "core/members.h"

struct kolk_key;

/* Unreferenced keys, least recently used first. Under accounting. */
struct kolk__lru {
	struct kolk_key *first, *last;
};

/* The limit by which a dial was denied a permit. */
enum kolk__denied {
	KOLK__GRANTED,
	KOLK__TENANT_FULL,
	KOLK__POOL_FULL,
	KOLK__POOL_DIALS,
	KOLK__ENGINE_FULL,
	KOLK__ENGINE_DIALS
};

/* Keys that wait for the same permit, first come, first served. */
enum kolk__permit_queue_kind {
	KOLK__QUEUE_ENGINE, /* of a tenant, for the engine's permits */
	KOLK__QUEUE_TENANT, /* for the tenant's own limit */
	KOLK__QUEUE_POOL    /* for the pool's limit or its dials */
};

struct kolk__permit_queue { /* under accounting */
	struct kolk__heap keys;   /* by sequence; kind: constant, enum kolk__permit_queue_kind */
	/* while there are keys: in engine.engine_queues or .limit_queues */
	struct kolk__timer heap_node;
};

/* A limit of a tenant or pool: the keys that wait for it, and the connections that it counts. Under
 * accounting. */
struct kolk__limit {
	struct kolk__permit_queue queue;
	struct kolk__members members;
};

struct kolk__audit { /* check.c's: what its walks add up */
	union {
		uint32_t open, evictions; /* of two walks, one after the other */
	};
	uint32_t shrinking;
};

/* Classes that are counted separately: connections, and resources of pools that draw from others,
 * so a resource that is being made holds no permit that it waits for (engine.h). */
enum { KOLK__CONNECTIONS, KOLK__DRAWING, KOLK__CLASSES };

struct kolk__total;

/* What a tenant has of one class. Under accounting; relaxed readers: victim searches, stats. */
struct kolk__account {
	struct kolk__tenant *tenant; /* constant, as total */
	struct kolk__total *total;   /* the engine's of this class */
	kolk__atomic_u32 open;     /* connections, all pools; <= limit */
	kolk__atomic_u32 shrinking; /* of open: closing for a lowered limit */
	kolk__atomic_u32 to_reclaim;     /* connections to take back; see permit_queue.c */
	uint32_t reclaim_share; /* the requester's share with one more; 0 = shares do not matter */
	kolk__atomic_u32 reclaim_round; /* the round for which the fields above and below hold; see
	                                 * engine.h */
	kolk__atomic_u32 reclaim_open; /* only keys with more connections than this give one up */
	/* Only connections of this pool; NULL = any. */
	KOLK__ATOMIC(const struct kolk_pool *) reclaim_pool;
	struct kolk__permit_queue engine_queue;
	struct kolk__limit limit;
	uint32_t reclaim_limit;    /* enum kolk__denied: what the requester waits for */
	struct kolk__audit audit;  /* under tenants.lock; evictions and shrinking also accounting */
};

struct kolk__tenant {
	struct kolk__account connections;
	struct kolk__account *drawing; /* under tenants.lock; NULL until a key of it needs it */
	/* ---- under accounting; relaxed readers: victim searches, stats */
	kolk__atomic_u32 connections_max; /* of each class; 0 = the engine's */
	kolk__atomic_u32 reclaimed;  /* statistic */
	kolk__atomic_u16 weight;
	bool own_limits;       /* under tenants.lock */
	uint32_t refs;         /* under tenants.lock: keys, and one for limits of its own */
	struct kolk__lru lru;         /* unreferenced keys of it (key.c) */
	/* ---- under tenants.lock */
	uint32_t keys, keys_max;   /* keys_max 0 = the engine's */
	kolk__atomic_u32 epoch;    /* anyone's, sc: rotations so far */
	kolk__atomic_u32 waiting;  /* W, R: anyone (relaxed): callers in its keys' queues */
	union {
		struct kolk__hash_node node;
		struct kolk__tenant *next_free; /* while it is recycled */
	};
	char *name;                /* "" = anonymous */
	/* KOLK_REFUSALS counts, relaxed; NULL until one was. W: the thread that counts the first.
	 * R: anyone. */
	KOLK__ATOMIC(kolk__atomic_u64 *) refused;
};
_Static_assert(sizeof(struct kolk__tenant) <= 272, "as many as keys, if each has its own");

/* NULL = no key of the tenant has needed it. Under tenants.lock, except for KOLK__CONNECTIONS. */
static inline struct kolk__account *kolk__tenant_account(struct kolk__tenant *tenant, int class)
{
	return class == KOLK__CONNECTIONS ? &tenant->connections : tenant->drawing;
}

enum { KOLK__SHARE_UNIT = 1000 };

/* Connections per weight, if it had this many more. */
static inline uint32_t kolk__share(const struct kolk__account *account, uint32_t more)
{
	return (uint32_t)((uint64_t)(kolk__load_relaxed(&account->open) + more) *
			  KOLK__SHARE_UNIT / kolk__load_relaxed(&account->tenant->weight));
}

/* All tenants by name. */
struct kolk__tenants {
	struct kolk__lock lock;    /* a leaf, like accounting */
	struct kolk__hash_table table;
	struct kolk__tenant *free; /* recycled */
};

static inline struct kolk__tenant *kolk__tenant_of_node(struct kolk__hash_node *node)
{
	return kolk__container_of(node, struct kolk__tenant, node);
}

/* Find or create the tenant of this name and add a key and a reference to it; anonymous for "".
 * NULL = no memory, or *full: it has as many keys as it may have. No lock but pool.lock held. */
struct kolk__tenant *kolk__tenant_key_add(struct kolk_pool *pool, const char *name, bool *full);
void kolk__tenant_key_remove(struct kolk_engine *engine, struct kolk__tenant *tenant);
/* Return whether at most a sixteenth of its keys is left: time to evict unused ones. */
bool kolk__tenant_nearly_full(struct kolk_engine *engine, struct kolk__tenant *tenant);
/* Find a tenant and add a reference; NULL = unknown. */
struct kolk__tenant *kolk__tenant_find(struct kolk_engine *engine, const char *name);
void kolk__tenant_unref(struct kolk_engine *engine, struct kolk__tenant *tenant);
/* Set its limits; NULL = none of its own. Under tenants.lock. */
enum kolk_err kolk__tenant_limits_apply(struct kolk_engine *engine, const char *name,
					const struct kolk_tenant_limits *l);
void kolk__tenants_open(struct kolk_engine *engine);
/* Free all tenants. No key is left. */
void kolk__tenants_close(struct kolk_engine *engine);
void kolk__permit_queue_init(struct kolk__permit_queue *queue, enum kolk__permit_queue_kind kind);

#endif
