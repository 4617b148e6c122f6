/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread_cache.h - per thread and key, the connection used last: it is warm, and no other thread
 * tries it first.
 *
 * Entries are compared by the key's id, which is never used twice, so an entry of a key or
 * engine that is gone is never followed.
 */
#ifndef KOLK_THREAD_CACHE_H
#define KOLK_THREAD_CACHE_H

#include <stdint.h>

#include "core/base/atomic.h"

struct kolk_key;
struct kolk__conn;

struct kolk__cached_conn {
	uint64_t key_id;
	struct kolk__conn *conn;
};

enum { KOLK__THREAD_CACHE_SIZE = 8 };
extern _Thread_local struct kolk__cached_conn kolk__thread_cache[KOLK__THREAD_CACHE_SIZE]
	__attribute__((tls_model("initial-exec")));

/* By the key's address, not its id: one load less before the compare-and-swap. */
static inline struct kolk__cached_conn *kolk__cached_conn_of(const struct kolk_key *key)
{
	return &kolk__thread_cache[(uintptr_t)key / KOLK_CACHE_LINE / 4 % KOLK__THREAD_CACHE_SIZE];
}

/* True when this thread used another one last. */
static inline bool kolk__cached_conn_set(const struct kolk_key *key, uint64_t key_id,
					 struct kolk__conn *conn)
{
	struct kolk__cached_conn *cached = kolk__cached_conn_of(key);

	if (KOLK_LIKELY(cached->conn == conn && cached->key_id == key_id))
		return false;
	cached->key_id = key_id;
	cached->conn = conn;
	return true;
}

#endif
