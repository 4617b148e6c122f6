/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recent.h - per thread and key, the connection used last: it is warm, and no other thread
 * tries it first.
 *
 * Entries are compared by the key's id, which is never used twice, so an entry of a key or
 * engine that is gone is never followed.
 */
#ifndef KOLK_RECENT_H
#define KOLK_RECENT_H

#include <stdint.h>

#include "core/base/atomic.h"

struct kolk_key;
struct kolk__conn;

struct kolk__recent {
	uint64_t key_id;
	struct kolk__conn *conn;
};

enum { KOLK__RECENTS = 8 };
extern _Thread_local struct kolk__recent kolk__recents[KOLK__RECENTS]
	__attribute__((tls_model("initial-exec")));

/* By the key's address, not its id: one load less before the compare-and-swap. */
static inline struct kolk__recent *kolk__recent_of(const struct kolk_key *key)
{
	return &kolk__recents[(uintptr_t)key / KOLK_CACHE_LINE / 4 % KOLK__RECENTS];
}

/* True when this thread used another one last. */
static inline bool kolk__recent_set(const struct kolk_key *key, uint64_t key_id,
				    struct kolk__conn *conn)
{
	struct kolk__recent *recent = kolk__recent_of(key);

	if (KOLK_LIKELY(recent->conn == conn && recent->key_id == key_id))
		return false;
	recent->key_id = key_id;
	recent->conn = conn;
	return true;
}

#endif
