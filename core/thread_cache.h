/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread_cache.h - per thread and key, the connection that the thread used last, and a few that it
 * gave back before that one: they are warm in its caches, and no other thread tries them first. A
 * thread that holds a few leases at a time finds the connections that it had, and touches nothing
 * that threads share.
 *
 * Entries are compared by the key's id, which is never used twice, so an entry of a key or engine
 * that is gone is never followed. An entry also has the state word that the connection has once
 * this thread's last lease of it has ended (state.h). While the connection still has that word, no
 * other thread has leased it, and it has not left the table of its key. So a compare-and-swap on
 * that word needs no load before it, and cannot take a connection of another key.
 */
#ifndef KOLK_THREAD_CACHE_H
#define KOLK_THREAD_CACHE_H

#include "core/conn.h"
#include "core/key.h"

enum { KOLK__THREAD_CACHE_SIZE = 8, KOLK__RETURNED = 4 };

struct kolk__cached_conn {
	uint64_t key_id;
	struct kolk__conn *conn;
	uint64_t idle_word; /* its word when it is idle again */
	/* What this thread gave back before, as a stack: returned[(top - 1) % KOLK__RETURNED] is
	 * its top. Hints: by now they may be leased, or of another key. count may exceed the size
	 * of the stack. */
	uint32_t top, count;
	struct kolk__conn *returned[KOLK__RETURNED];
} __attribute__((aligned(KOLK_CACHE_LINE)));

extern _Thread_local struct kolk__cached_conn kolk__thread_cache[KOLK__THREAD_CACHE_SIZE]
	__attribute__((tls_model("initial-exec")));

/* Chosen by the key's address, not its id, which saves a load before the compare-and-swap. */
static inline struct kolk__cached_conn *kolk__cached_conn_of(const struct kolk_key *key)
{
	return &kolk__thread_cache[(uintptr_t)key / KOLK_CACHE_LINE / 4 % KOLK__THREAD_CACHE_SIZE];
}

/* This thread has taken this lease. */
static inline void kolk__cached_conn_set(const struct kolk_key *key, struct kolk__conn *conn,
					 uint64_t lease_word)
{
	struct kolk__cached_conn *cached = kolk__cached_conn_of(key);
	/* If the key was recycled meanwhile, this is the new id; then the word has changed, too. */
	uint64_t id = kolk__load_relaxed(&key->id);

	if (cached->key_id != id)
		cached->count = 0;
	cached->key_id = id;
	cached->conn = conn;
	cached->idle_word = kolk__word_with(lease_word, KOLK__IDLE);
}

/* This thread has ended this lease: remember its connection above those that it gave back
 * before. */
static inline void kolk__cached_conn_return(const struct kolk_key *key, struct kolk__conn *conn,
					    uint64_t lease_word)
{
	struct kolk__cached_conn *cached = kolk__cached_conn_of(key);

	if (KOLK_LIKELY(cached->conn == conn &&
			cached->idle_word == kolk__word_with(lease_word, KOLK__IDLE)))
		return;
	if (cached->conn != conn) {
		cached->returned[cached->top++ % KOLK__RETURNED] = cached->conn;
		cached->count++;
	}
	kolk__cached_conn_set(key, conn, lease_word);
}

/* Pop the one that was given back last; NULL = none is left. */
static inline struct kolk__conn *kolk__returned_pop(struct kolk__cached_conn *cached)
{
	if (cached->count > KOLK__RETURNED)
		cached->count = KOLK__RETURNED;
	if (cached->count == 0)
		return NULL;
	cached->count--;
	return cached->returned[--cached->top % KOLK__RETURNED];
}

#endif
