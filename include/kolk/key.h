/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/key.h - the identity inside a pool: who may share connections with whom.
 *
 * Two opens with the same tenant, credential and session give the same key. If any of them differs,
 * no connection is shared (the pool's isolation says which of them count). The key is found by a
 * keyed hash and confirmed by a full comparison. Credentials are kept only as a keyed digest.
 * Threads: any. Handles are counted: each open needs one close.
 */
#ifndef KOLK_KEY_H
#define KOLK_KEY_H

#include <kolk/error.h>

struct kolk_key_options {
	uint32_t size;            /* sizeof; set by KOLK_INIT */
	uint32_t credential_size; /* bytes */
	const char *tenant;       /* user or customer; NULL = none; <= 255 bytes; copied */
	const void *credential;   /* token or secret; NULL = none; only its digest is kept */
	const char *session;      /* for connections of one session only; NULL = none; <= 255 bytes;
	                           * copied */
	/* 1 = this credential replaces all others of the tenant and session in this pool: their
	 * keys end waiters and refuse callers with E_ROTATED, and their connections drain. Opening
	 * a replaced key again reactivates it. The pool's default key (kolk_pool_key) is never
	 * replaced. Not with KOLK_ISOLATION_SHARED. */
	uint32_t replaces;
	uint32_t reserved;        /* zero */
	struct kolk_failure *failure; /* NULL, or filled when open fails; borrowed */
};                                /* since 0.1 */

KOLK_BEGIN

/* Open the key; it is created on first use. Takes a lock: keep the handle, do not open it for each
 * request. Errors: E_OPTIONS, E_MEMORY, E_LIMIT (keys_max of engine or tenant is reached, and no
 * key without a handle could be evicted in time: it may succeed a moment later), E_DRAINING,
 * E_FORKED. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_key_open(struct kolk_pool *pool,
						     const struct kolk_key_options *options,
						     struct kolk_key **key);

/* Give the handle back. The key is freed when its last handle, connection and waiter is gone. */
KOLK_API void kolk_key_close(struct kolk_key *key);

/* For requests by identity: look the key up, or create it, and keep it while a request uses it.
 * Unlike a handle, a hold makes kolk_pool_close wait (so give it back soon), and idle_min is not
 * kept for it. A pool that drains or is suspended refuses (E_DRAINING). Otherwise as kolk_key_open;
 * each hold needs one kolk_key_let_go. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_key_hold(struct kolk_pool *pool,
						     const struct kolk_key_options *options,
						     struct kolk_key **key);
/* End a hold. The callback for KOLK_EVENT_CLOSED of the pool may run inside this call. */
KOLK_API void kolk_key_let_go(struct kolk_key *key);

/* Return whether kolk_key_hold with these options would give this key, and change nothing: the
 * identity is the same, and the key does not refuse (because its pool drains or its credential was
 * replaced). The caller holds the key or has it open. Takes no lock; costs one hash over the
 * identity. */
KOLK_API bool kolk_key_is(const struct kolk_key *key, const struct kolk_pool *pool,
			  const struct kolk_key_options *options);

/* Dial up to idle_min and wait, as kolk_pool_warm does for all keys. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_key_warm(struct kolk_key *key,
						     uint64_t deadline_ns);

/* Outdate every connection of the key; see kolk_engine_rotate. */
KOLK_API size_t kolk_key_rotate(struct kolk_key *key);

/* Estimate how long a caller that comes now will wait, from the leases and dials measured so far;
 * 0 = a connection is idle, or nothing is known. E_DEADLINE is decided by this estimate. */
KOLK_API uint64_t kolk_key_wait_ns(struct kolk_key *key);

/* Return whether an acquire would be a hit right now: a hint for a load balancer. */
KOLK_API bool kolk_key_has_idle(struct kolk_key *key);

/* Copy the last failure of a dial of this key. False when there was none, or failure->size is not
 * set (KOLK_INIT). */
KOLK_API bool kolk_key_failure(struct kolk_key *key, struct kolk_failure *failure);

/* Return the key's pool; lives at least as long as the handle. */
KOLK_API struct kolk_pool *kolk_key_pool(const struct kolk_key *key);
/* Return the tenant's name, "" if there is none; lives as long as the handle. */
KOLK_API const char *kolk_key_tenant(const struct kolk_key *key);

KOLK_END

#endif
