/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/inspect.h - list pools, keys, connections, tenants and loops while they work.
 *
 * For status pages and tests, not for a hot path: each call holds locks of the slow paths while it
 * copies at most `capacity` entries. Lists are read in pieces: *cursor starts at 0, and each call
 * advances it; a call that returns 0 has reached the end. Entries that appear or disappear between
 * two calls may be listed or not; none is listed twice. Texts are copied; tenants' names are as the
 * caller gave them (any bytes but 0): escape them for display. Credentials are not kept, so nothing
 * here can show one. auth_hash is part of a credential's digest, keyed with a secret of the engine:
 * it shows whether the credentials of two keys of a tenant differ.
 * Threads: any. In a child process after fork(2) nothing is found.
 */
#ifndef KOLK_INSPECT_H
#define KOLK_INSPECT_H

#include <kolk/pool.h>
#include <kolk/stats.h>

enum kolk_state { /* of a connection */
	KOLK_STATE_DIALING,
	KOLK_STATE_IDLE,
	KOLK_STATE_LEASED,
	KOLK_STATE_PINGING,
	KOLK_STATE_CLOSING,
	KOLK_STATES
};

enum kolk_circuit { KOLK_CIRCUIT_CLOSED, KOLK_CIRCUIT_HALF_OPEN, KOLK_CIRCUIT_OPEN };

struct kolk_engine_info {
	uint32_t size;           /* sizeof; set by KOLK_INIT */
	uint32_t loops;
	uint32_t draining;       /* 1 = it has pools, and each drains or is closed */
	uint32_t connections_max, connections_reserved, waiters_max, keys_max, dials_max;
	uint32_t tenant_connections_max, tenant_keys_max; /* of tenants without own limits */
	uint64_t maintenance_interval_ns;
	uint64_t age_ns;         /* since it was created */
};                               /* since 0.1 */

/* struct kolk_failure as it was in 0.1. That one may grow; a struct inside another must not. */
struct kolk_last_failure {
	uint32_t reserved;
	enum kolk_err err;
	enum kolk_class err_class;
	enum kolk_phase phase;
	int32_t os_error, tls_error;
	uint64_t elapsed_ns;
	const char *field;
	uint32_t exit_status, exit_signal;
};

struct kolk_pool_info {
	uint32_t size;      /* sizeof; set by KOLK_INIT */
	uint32_t isolation; /* enum kolk_isolation */
	uint32_t circuit;   /* enum kolk_circuit */
	uint32_t draining;  /* 1 = it drains or is closed */
	uint32_t resource;  /* 1 = it pools something other than sockets */
	uint32_t tls;       /* 1 = TLS */
	uint32_t connections_max, pool_connections_max, idle_min, waiters_max;
	uint64_t idle_timeout_ns, lifetime_ns;
	uint64_t peer_idle_ns;   /* learned: how long a connection may be idle before the peer
	                          * closes it; 0 = unknown */
	uint64_t dial_failures;  /* in a row, whole pool */
	struct kolk_last_failure failure; /* the last failed dial; err KOLK_OK = none */
	uint64_t failure_at_ns;
	char name[64];
	char address[128];       /* "host:port" as dialled, "child:/path"; "" = a resource */
	const char *failure_detail; /* of failure, as in kolk_failure; static; NULL = not known */
	uint32_t suspended;      /* 1 = draining until kolk_pool_resume */
	uint32_t reserved;       /* zero */
	uint32_t idle_max, pool_idle_max;
	char draws_from[64];     /* the first pool that it draws from; "" = none */
	uint64_t id;             /* unique in the process: a later pool of the name has another */
};                               /* since 0.1 */

struct kolk_key_info {
	uint64_t id;             /* unique in the process */
	uint32_t idle, leased, dialing, pinging, closing, open;
	uint32_t waiting;
	uint32_t handles;        /* opens that were not closed yet */
	uint32_t has_credential; /* 1 = it was opened with one */
	uint32_t rotated;        /* 1 = another credential took its place */
	uint32_t failures;       /* dials that failed since one succeeded */
	enum kolk_err last_err;  /* of the last failed dial; KOLK_OK = none */
	uint64_t oldest_wait_ns; /* how long the first waiter has waited; 0 = none */
	uint64_t wait_ns;        /* see kolk_key_wait_ns */
	uint64_t acquired;       /* leases so far */
	uint32_t auth_hash;      /* 0 unless has_credential */
	uint32_t reserved;       /* zero */
	char tenant[256], session[256];
};                               /* since 0.1 */

struct kolk_connection_info {
	uint64_t number;         /* unique in the engine */
	uint64_t key;            /* kolk_key_info.id */
	uint32_t state;          /* enum kolk_state */
	uint32_t loop;           /* index of its home loop */
	uint64_t uses;           /* leases so far */
	uint64_t age_ns;         /* since it became ready; DIALING: since the dial began */
	uint64_t idle_ns;        /* IDLE: since when; coarse clock */
	uint64_t leased_ns;      /* LEASED: since when; coarse clock */
	uint64_t tag;            /* LEASED: its owner, see kolk_lease_tag */
	uint32_t overdue;        /* LEASED: 1 = longer than lease_overdue_ns, and not pinned */
	uint32_t pinned;         /* LEASED: 1 = kept for a session, see kolk_lease_pin */
	uint32_t has_credential; /* of its key, as is auth_hash */
	uint32_t auth_hash;
	char pool[64], tenant[256];
};                               /* since 0.1 */

struct kolk_tenant_info {
	uint32_t open;           /* connections, all pools */
	uint32_t waiting;        /* callers */
	uint32_t keys;
	uint32_t connections_max, keys_max, weight; /* in force */
	uint32_t own_limits;     /* 1 = set by kolk_tenant_limits_set */
	uint32_t recalls;        /* connections taken back for other tenants, so far */
	char name[256];
};                               /* since 0.1 */

struct kolk_loop_info {
	uint32_t size;           /* sizeof; set by KOLK_INIT */
	uint32_t connections;    /* whose home it is, in any state */
	uint32_t leased;         /* of them */
	uint32_t active;         /* 1 = listeners accept there (kolk_engine_loops_set) */
	uint64_t unread_bytes;
};                               /* since 0.1 */

enum kolk_metric { KOLK_METRIC_WAIT, KOLK_METRIC_LEASE, KOLK_METRIC_DIAL };

KOLK_BEGIN

/* Errors: E_OPTIONS (size), E_FORKED. */
KOLK_API enum kolk_err kolk_engine_inspect(struct kolk_engine *engine,
					   struct kolk_engine_info *info);

/* Return a pool by number, from 0, oldest first; NULL beyond. Includes closed pools that are not
 * freed yet. The handle is valid until kolk_pool_close. */
KOLK_API struct kolk_pool *kolk_engine_pool(struct kolk_engine *engine, uint32_t index);

/* Errors: E_OPTIONS (size), E_NOT_FOUND (the pool is gone), E_FORKED. */
KOLK_API enum kolk_err kolk_pool_inspect(struct kolk_pool *pool, struct kolk_pool_info *info);
KOLK_API enum kolk_err kolk_loop_inspect(struct kolk_loop *loop, struct kolk_loop_info *info);

/* List keys, newest first. Returns how many entries were filled in. */
KOLK_API size_t kolk_pool_keys(struct kolk_pool *pool, uint64_t *cursor,
			       struct kolk_key_info *keys, size_t capacity);
/* List every connection of the engine, in no particular order. */
KOLK_API size_t kolk_engine_connections(struct kolk_engine *engine, uint64_t *cursor,
					struct kolk_connection_info *connections,
					size_t capacity);
/* List the tenants that have a name. Fewer entries than capacity do not mean the end: 0 does. With
 * a capacity of at least 32, none is listed twice. */
KOLK_API size_t kolk_engine_tenants(struct kolk_engine *engine, uint64_t *cursor,
				    struct kolk_tenant_info *tenants, size_t capacity);

/* Fill in cumulative counts of a pool's histogram: cumulative[i] = how many took at most
 * bounds_ns[i] (ascending). *total and *sum_ns are the count and the sum of all. */
KOLK_API void kolk_pool_buckets(struct kolk_pool *pool, enum kolk_metric metric,
				const uint64_t *bounds_ns, size_t bounds, uint64_t *cumulative,
				uint64_t *total, uint64_t *sum_ns);

KOLK_API const char *kolk_state_name(enum kolk_state state);
KOLK_API const char *kolk_circuit_name(enum kolk_circuit circuit);

KOLK_END

#endif
