/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread_cache.h - per thread and key, the connection used last: it is warm, and no other thread
 * tries it first.
 *
 * Entries are compared by the key's id, which is never used twice, so an entry of a key or
 * engine that is gone is never followed. An entry has also the word that the connection has when
 * its last lease of this thread is over (state.h). As long as that is its word, no other thread has
 * leased it, and it has not left the table of its key: so a compare-and-swap on that word needs no
 * load before it, and takes no connection of another key.
 */
#ifndef KOLK_THREAD_CACHE_H
#define KOLK_THREAD_CACHE_H

#include "core/conn.h"
#include "core/key.h"

struct kolk__cached_conn {
	uint64_t key_id;
	struct kolk__conn *conn;
	uint64_t idle_word; /* its word when it is idle again */
} __attribute__((aligned(32)));

enum { KOLK__THREAD_CACHE_SIZE = 8 };
extern _Thread_local struct kolk__cached_conn kolk__thread_cache[KOLK__THREAD_CACHE_SIZE]
	__attribute__((tls_model("initial-exec")));

/* By the key's address, not its id: one load less before the compare-and-swap. */
static inline struct kolk__cached_conn *kolk__cached_conn_of(const struct kolk_key *key)
{
	return &kolk__thread_cache[(uintptr_t)key / KOLK_CACHE_LINE / 4 % KOLK__THREAD_CACHE_SIZE];
}

/* This thread has or had this lease. */
static inline void kolk__cached_conn_set(const struct kolk_key *key, struct kolk__conn *conn,
					 uint64_t lease_word)
{
	struct kolk__cached_conn *cached = kolk__cached_conn_of(key);
	uint64_t idle_word = kolk__word_with(lease_word, KOLK__IDLE);

	if (KOLK_LIKELY(cached->conn == conn && cached->idle_word == idle_word))
		return;
	/* The id of a key that was recycled meanwhile: then the word is another one, too. */
	*cached = (struct kolk__cached_conn){ kolk__load_relaxed(&key->id), conn, idle_word };
}


#endif
