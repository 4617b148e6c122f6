/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/key.h - the identity inside a pool: who may share connections with whom.
 *
 * Two opens with the same tenant, credential and session give the same key; a difference
 * in any of them never shares a connection (what is looked at depends on the pool's isolation).
 * A keyed hash finds, a full compare decides.
 * Credentials are kept only as a keyed digest.
 * Threads: any. A handle is counted: each open needs one close.
 */
#ifndef KOLK_KEY_H
#define KOLK_KEY_H

#include <kolk/error.h>

struct kolk_key_options {
	uint32_t size;            /* sizeof; set by KOLK_INIT */
	uint32_t credential_size; /* bytes */
	const char *tenant;       /* user or customer; NULL = none; <= 255 bytes; copied */
	const void *credential;   /* token or secret; NULL = none; only its digest is kept */
	const char *session;      /* for connections of one session only; NULL = none; <= 255 */
	/* 1 = this credential replaces all others of the tenant and session in this pool: their
	 * keys end waiters and refuse callers with E_ROTATED, and their connections drain. A
	 * key that was replaced serves again when it is opened again. The pool's own key has no
	 * tenant, and stays. Not with KOLK_ISOLATION_SHARED. */
	uint32_t replaces;
	uint32_t reserved;        /* zero */
	struct kolk_failure *failure; /* NULL, or filled when open fails; borrowed */
};                                /* since 0.1 */

KOLK_BEGIN

/* Open the key, made on first use. Takes a lock: keep the handle, do not open per request.
 * Errors: E_OPTIONS, E_MEMORY, E_LIMIT (keys_max of engine or tenant, and no key without a
 * handle made room in time: it may succeed a moment later), E_DRAINING, E_FORKED. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_key_open(struct kolk_pool *pool,
						     const struct kolk_key_options *options,
						     struct kolk_key **key);

/* Give the handle back. The key goes when the last handle, connection and waiter has. */
KOLK_API void kolk_key_close(struct kolk_key *key);

/* For requests by identity: the same key, for as long as a request of it is under way. Unlike a
 * handle, a hold makes kolk_pool_close wait for it (a pool is not closed while one of its keys is
 * held, so give it back soon), and idle_min is not kept for it. A pool that drains or is suspended
 * refuses (E_DRAINING). Otherwise as kolk_key_open; each hold needs one kolk_key_let_go. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_key_hold(struct kolk_pool *pool,
						     const struct kolk_key_options *options,
						     struct kolk_key **key);
/* Give it back. KOLK_EVENT_CLOSED of its pool may be told from within. */
KOLK_API void kolk_key_let_go(struct kolk_key *key);

/* Whether a kolk_key_hold of these options would give this key, which the caller holds or has open,
 * and change nothing: the identity is the same, and the key does not refuse (its pool drains, or
 * its credential was replaced). No lock: one hash over the identity. */
KOLK_API bool kolk_key_is(const struct kolk_key *key, const struct kolk_pool *pool,
			  const struct kolk_key_options *options);

/* Dial up to idle_min and wait, as kolk_pool_warm does for all keys. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_key_warm(struct kolk_key *key,
						     uint64_t deadline_ns);

/* Outdate every connection of the key; see kolk_engine_rotate. */
KOLK_API size_t kolk_key_rotate(struct kolk_key *key);

/* How long a caller that comes now will wait, from the leases and dials measured so far:
 * 0 = something is idle or nothing is known. What E_DEADLINE was decided by. */
KOLK_API uint64_t kolk_key_wait_ns(struct kolk_key *key);

/* True when a lease would be a hit right now: a hint for a load balancer. */
KOLK_API bool kolk_key_has_idle(struct kolk_key *key);

/* Copy the last failure of a dial of this key. False when there was none, or failure->size is not
 * set (KOLK_INIT). */
KOLK_API bool kolk_key_failure(struct kolk_key *key, struct kolk_failure *failure);

/* The pool that it is in; lives at least as long as the handle. */
KOLK_API struct kolk_pool *kolk_key_pool(const struct kolk_key *key);
/* The tenant's name, "" when it has none; lives as long as the handle. */
KOLK_API const char *kolk_key_tenant(const struct kolk_key *key);

KOLK_END

#endif
