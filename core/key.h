/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key.h - the identity inside a pool, its connection table and its queue of waiters.
 *
 * Connections keep their place in the table; idle is a state of the state word (state.h). A hit
 * goes to the connection that this thread used last for this key (thread_cache.h) and takes it with
 * one compare-and-swap. If that one is not idle, the idle list (idle_list.h) finds another.
 *
 * The gate is the one word that a hit and a release load besides the connection:
 *   0    no waiter, nothing unusual: pass
 *   t    a waiter: pass until the clock says t (until then the oldest waiter may be overtaken);
 *        from t on, stop and take the slow path
 *   1    always stop: a waiter must be served or signalled, a connection given up, or the key
 *        refuses
 *
 * SC1, see conn.h: gate and state word.
 *
 * Reclaims: keys are type-stable: recycled, freed with the engine. A stale reader sees
 *           another key's gate or table; it holds a state word only if conn->key agrees.
 */
#ifndef KOLK_KEY_INTERNAL_H
#define KOLK_KEY_INTERNAL_H

#include "core/base/hash_table.h"
#include "core/conn.h"
#include "core/tenant.h"
#include "transport/transport.h"

#define KOLK__GATE_OPEN UINT64_C(0)
#define KOLK__GATE_STOP UINT64_C(1)

struct kolk__conn_table;
struct kolk__counters;
struct kolk__effects;
struct kolk__hists;
struct kolk__waiter;
struct kolk__walk;
struct kolk__identity;
struct kolk_key_options;

/* The last failed dial of a key. */
struct kolk__dial_failure {
	struct kolk_failure failure;
	uint64_t at_ns;
};

struct kolk_key {
	/* ---- what every hit reads; written when waiters come and go */
	kolk__atomic_u64 gate;     /* W: under lock. R: anyone. Pairs: SC1 */
	kolk__atomic_u64 id;       /* W: open (relaxed: hints compare it). Never used twice */
	KOLK__ATOMIC(struct kolk__conn_table *) table; /* W: under lock. Pairs: KEY.R1/A1 */
	/* Constant between open and recycle (relaxed: maintenance). */
	KOLK__ATOMIC(struct kolk_pool *) pool;
	struct kolk_engine *engine; /* constant */
	const kolk__atomic_u64 *clock; /* constant */
	bool notify_acquired, notify_released; /* constant */
	/* What a look-up compares: it is in the cache line that the hit needs next. W: under
	 * lock */
	uint16_t identity_size;
	uint32_t dial_ewma_us;     /* under lock: see lease_ewma_us */
	uint8_t *identity;         /* canonical bytes (identity.h) */

	/* ---- the slow paths: under lock; from the second cache line on */
	struct kolk__lock lock;
	kolk__atomic_u32 waiting;  /* length of the queue; relaxed readers: stats */
	struct kolk__waiter *first, *last;
	struct kolk__waiter *fail_last; /* waiters up to this one end with fail_err; NULL = none */
	/* KOLK_OK, or the error that callers get: the pool drains, the credential was replaced, the
	 * key is gone. The gate then stays 1. R: dials (acquire) */
	kolk__atomic_i32 refuse_err;
	kolk__atomic_u32 outside;  /* waiting callers that are not in the queue (kolk_waiter_add) */
	bool signalled : 1;        /* the first waiter was woken and is on its way */
	bool keep_warm : 1;        /* warmed or used: idle_min is kept */
	bool granted : 1; /* the engine's permit was granted to it: it need not queue for it
	                   * again */
	bool keep_sequence : 1; /* it has left a permit queue, and keeps its sequence in the next
	                         * one */
	bool awaited : 1;          /* threads may sleep on `changes` */
	/* W: the thread that ends a lease (relaxed: an estimate). Means: of leases that did I/O or
	 * ended in a close, the share that returned their connection, a moving average;
	 * 255 = all. */
	kolk__atomic_u8 reuse_ewma;
	/* its last failed dial was an early close (relaxed reader: ready) */
	kolk__atomic_bool probation;
	bool in_lru;               /* under accounting */
	/* Maintenance ends the waiters up to fail_last with this error. KOLK_OK = it need not look. */
	int16_t fail_err;
	uint16_t scope_size;       /* of identity: what all credentials of a session share */
	kolk__atomic_u32 open;     /* connections, every state but FREE; <= connections_max */
	kolk__atomic_u32 dialing;
	/* W: holders (relaxed: a count). Of open: those that it counts as idle (idle_max.c). Not
	 * reset when the key is recycled: it is 0, or a lowering is on its way. */
	kolk__atomic_u32 idle;
	kolk__atomic_u32 shrinking; /* W: under accounting. Of open: closing for a lowered limit */
	uint32_t unproven;         /* how many of its connections are unproven */
	uint32_t failures;         /* dials that failed since one succeeded */
	/* W: dials. R: callers that wait for warm (futex word). Means: changes so far. */
	kolk__atomic_u32 changes;
	/* W: up under pool.lock, or under lock and accounting; to 0 under pool.lock */
	kolk__atomic_u32 refs;
	/* Of refs: opens without a close; the others are transient. W: open and close. R: a miss
	 * (relaxed: a hint), warm (under pool.lock), inspect (relaxed: a number to show). */
	kolk__atomic_u32 handles;
	kolk__atomic_u32 epoch;    /* sc: rotations so far */
	/* A moving average, us; 0 = none was measured. Of leases that did I/O. W: the thread that
	 * ends one (relaxed: an estimate). */
	kolk__atomic_u32 lease_ewma_us;
	/* W: the thread that takes one, then its home loop. R: dials (relaxed: it may have changed
	 * by the next moment). Means: how many of its connections are PINGING. Not reset when the
	 * key is recycled. */
	kolk__atomic_u32 pinging;
	uint64_t retry_at_ns;      /* no dial before then: back-off */
	uint64_t surplus_at_ns;    /* when the next surplus connection may be evicted */
	/* Since when there have been waiters without a break, or, if that is later, since when it
	 * has had no connection. Relaxed readers: victim searches. */
	kolk__atomic_u64 queued_at_ns;
	/* fires to dial (after a back-off, when the circuit may close, when an expected lease has
	 * not returned, or when more dials are wanted than may begin under one lock), to dispatch
	 * waiters, and to end them */
	struct kolk__alarm alarm;

	/* ---- made when it is needed, so keys that are rarely used are small */
	/* NULL until something is counted or recorded. W: the first thread that does so, under no
	 * lock. R: anyone. Pairs: COUNTS.R1/A1. */
	KOLK__ATOMIC(struct kolk__counters *) counters;
	KOLK__ATOMIC(struct kolk__hists *) hists;
	struct kolk__dial_failure *failed; /* NULL until a dial failed */
	kolk__tls_sessions_ptr tls_sessions; /* the transport's TLS sessions of this key */

	/* ---- where it stands */
	/* Constant between open and recycle (relaxed: victim searches). */
	KOLK__ATOMIC(struct kolk__account *) account; /* its tenant's, by the pool's class */
	/* The queue in which it waits for a permit, or NULL. W: under accounting. R: hints
	 * (relaxed). */
	KOLK__ATOMIC(struct kolk__permit_queue *) permit_queue;
	/* Under accounting. Its place in the permit queue; due_ns is its sequence, which remains
	 * when it has left the queue. */
	struct kolk__timer queue_node;
	/* Under accounting: neighbours among all unreferenced keys [0], and its tenant's [1]. */
	struct kolk_key *lru_next[2], *lru_previous[2];
	struct kolk_key *list_next, **list_prev; /* under pool.lock */
	uint64_t replacement;                    /* under pool.lock: the last one (key_open.c) */
	struct kolk__hash_node node;             /* under pool.lock */
};
_Static_assert(offsetof(struct kolk_key, lock) == KOLK_CACHE_LINE,
	       "what a hit reads is a cache line");
#ifndef KOLK__ASSERTIONS /* they make its lock larger */
_Static_assert(sizeof(struct kolk_key) <= 6 * KOLK_CACHE_LINE - sizeof(size_t),
	       "six cache lines with the word that an allocator puts before it");
#endif

/* Callers that wait, in the queue or outside. Under key.lock. */
static inline uint32_t kolk__waiting(const struct kolk_key *key)
{
	KOLK__HELD(&key->lock);
	return kolk__own(&key->waiting) + kolk__own(&key->outside);
}

/* Add a value to a moving average over about eight values; us. */
static inline uint32_t kolk__ewma(uint32_t ewma_us, uint64_t ns)
{
	uint32_t us = ns / KOLK_US_NS < UINT32_MAX / 2 ? (uint32_t)(ns / KOLK_US_NS) + 1 :
							 UINT32_MAX / 2;

	return ewma_us == 0 ? us : ewma_us - ewma_us / 8 + us / 8;
}

static inline struct kolk__tenant *kolk__tenant_of(const struct kolk_key *key)
{
	return kolk__own(&key->account)->tenant;
}

/* For a connection that the caller holds, or whose key's lock it holds. */
static inline struct kolk_pool *kolk__pool_of(const struct kolk__conn *conn)
{
	return kolk__own(&kolk__own(&conn->key)->pool);
}

/* key_open.c */
enum kolk__key_use {
	KOLK__KEY_TRANSIENT, /* during one call: kolk__key_drop gives it back */
	KOLK__KEY_HANDLE,    /* kolk_key_open */
	KOLK__KEY_HOLD       /* kolk_key_hold: keeps the pool, too */
};
enum kolk_err kolk__key_open(struct kolk_pool *pool, const struct kolk_key_options *options,
			     enum kolk__key_use use, struct kolk_key **out);
/* Give a reference back. No lock held. */
void kolk__key_drop(struct kolk_key *key);
/* Check a caller's key options; errors go to the caller's failure. If the caller's struct has
 * another size than this library's, it is converted into *copy, and *options points to that. */
enum kolk_err kolk__key_options_read(const struct kolk_pool *pool,
				     const struct kolk_key_options **options,
				     struct kolk_key_options *copy);
/* Give the references of kolk__key_ref back. No lock held. */
void kolk__key_unref(struct kolk_key *key);

/* key.c */
/* NULL = there is none. Under pool.lock. */
struct kolk_key *kolk__key_find(struct kolk_pool *pool, const struct kolk__identity *identity);
/* Free its parts and recycle its memory. It can no longer be found, and has no connection or
 * waiter. */
void kolk__key_recycle(struct kolk_key *key);
/* Recycle it if its last reference, connection and waiter are gone. No lock held. */
void kolk__key_free_if_unused(struct kolk_key *key);
/* The same under pool.lock; by now the key may be gone, or belong to another pool. */
void kolk__key_free_if_unused_locked(struct kolk_pool *pool, struct kolk_key *key);
/* Keep key and pool until kolk__key_unref, for a thread that will notify about them when nothing
 * else may keep them. Under key.lock, while something does. */
void kolk__key_ref(struct kolk_key *key);

/* key_state.c: under key.lock */
/* How many waiters end while the lock is held once: a request may wait for it. */
enum { KOLK__FAIL_SLICE = 64 };
/* End all waiters with err: a slice of them now, the others by maintenance. */
void kolk__key_fail_waiters(struct kolk_key *key, enum kolk_err err, struct kolk__effects *effects);
/* End the next slice of those others; true = it was the last one: call kolk__key_unref. */
bool kolk__key_fail_more(struct kolk_key *key, struct kolk__effects *effects);
/* Serve no caller from now on: end waiters with err, close idle connections. */
void kolk__key_refuse(struct kolk_key *key, enum kolk_err err, struct kolk__effects *effects);
/* Mark the connections of this part of a walk stale; returns how many. Those dialled since the
 * epoch was raised are not stale. */
size_t kolk__key_mark_stale(struct kolk__walk *walk, struct kolk_key *key,
			    struct kolk__effects *effects);
/* Its connections or its refuse_err changed: wake callers that wait until it is warm. */
void kolk__key_changed(struct kolk_key *key, struct kolk__effects *effects);
/* Return the epoch of a dial that begins now. */
uint32_t kolk__epoch_of(const struct kolk_key *key);

#endif
