/* SPDX-License-Identifier: Apache-2.0 */
/* idle.c - the idle connections of a key: found, taken, put back. */
#include "core/idle.h"
#include "core/idle_list.h"

/* If it has a retire_reason, the release that made it idle, or a ping, is about to see that (SC2)
 * and close it; the thread that takes it in between closes it instead. relaxed: an acquire that
 * begins after a rotation has returned sees the mark; one that overlaps it may come before. */
KOLK_COLD bool kolk__usable_or_retire(struct kolk__conn *conn, uint64_t lease_word)
{
	uint8_t reason = kolk__load_relaxed(&conn->retire_reason);

	if (reason == 0)
		return true;
	if (!kolk__conn_try_set(conn, lease_word, KOLK__CLOSING))
		return false;
	kolk__conn_unlease(conn);
	kolk__retire(conn, (enum kolk_reason)reason);
	return false;
}

KOLK_COLD void kolk__lease_timed(struct kolk__conn *conn)
{
	kolk__release_flags_add(conn, KOLK__TIMED);
	kolk__store_relaxed(&conn->leased_at_ns, kolk__now(kolk__own(&conn->key)->engine));
}

void kolk__lease_fill(struct kolk__conn *conn, uint64_t lease_word, uint64_t now_ns,
		      struct kolk_lease *lease)
{
	KOLK__ASSERT(kolk__state_of(lease_word) == KOLK__LEASED);
	kolk__idle_leave_if_counted(conn);
	kolk__lease_begin(conn, lease_word, now_ns, lease);
	if (kolk__is_timed(lease_word))
		kolk__lease_timed(conn);
}

void kolk__set_idle(struct kolk__conn *conn)
{
	struct kolk_key *key = kolk__own(&conn->key);
	uint32_t position = kolk__own(&conn->position);

	while (!kolk__conn_try_idle(conn))
		kolk__token_put(key, position);
}

/* The caller has taken the token of this position. Take the connection there into this state, if it
 * is idle. NULL = it is not, or there is none; the token is dropped. */
static struct kolk__conn *take_by_token(struct kolk_key *key, uint32_t position,
					enum kolk__state state, uint64_t *taken)
{
	struct kolk__conn_table *table = kolk__load_acquire(&key->table); /* KEY.A1 <- KEY.R1 */
	kolk__atomic_u64 *entry = kolk__conn_entry(table, position);
	uint64_t seen, word;

	for (;;) {
		struct kolk__conn *conn;

		seen = kolk__load_acquire(entry); /* KEY.A2 <- KEY.R2 */
		conn = kolk__conn_of_entry(seen);
		if (conn == NULL && kolk__cas_acq_rel(entry, &seen, seen & ~KOLK__LISTED))
			return NULL;
		if (conn == NULL)
			continue; /* a new connection is there */
		if (!kolk__conn_stands_at(conn, key, position, &word)) {
			kolk__token_put(key, position); /* it is just leaving */
			return NULL;
		}
		if (kolk__conn_take_by_token(conn, word, state, taken))
			return *taken != 0 ? conn : NULL;
	}
}

struct kolk__conn *kolk__lease_first(struct kolk_key *key, uint64_t *lease_word)
{
	struct kolk__conn *conn = NULL;
	uint32_t position;

	if (kolk__token_peek(key, &position))
		conn = kolk__conn_of_entry(kolk__load_acquire(/* KEY.A2 <- KEY.R2 */
			kolk__conn_entry(kolk__load_acquire(&key->table), position)));
	*lease_word = conn != NULL ? kolk__conn_lease_of(conn, key) : 0;
	return *lease_word != 0 && kolk__usable_or_retire(conn, *lease_word) ? conn : NULL;
}

struct kolk__conn *kolk__take_idle(struct kolk_key *key, enum kolk__state state, uint64_t *word)
{
	struct kolk__conn *conn;
	uint32_t position;

	for (uint32_t i = 0; i < KOLK__STALE_MAX && kolk__token_take(key, &position); i++) {
		conn = take_by_token(key, position, state, word);
		if (conn != NULL &&
		    (state != KOLK__LEASED || kolk__usable_or_retire(conn, *word)))
			return conn;
	}
	return NULL;
}

/* ---- looking, without taking: under key.lock */

/* The idle connection at a position whose token the caller has taken, and keeps. NULL = there is
 * none, and the token is dropped. */
static struct kolk__conn *idle_at(struct kolk_key *key, uint32_t position)
{
	struct kolk__conn *conn = kolk__conn_of_entry(
		kolk__own(kolk__conn_entry(kolk__own(&key->table), position)));
	uint64_t taken;

	KOLK__HELD(&key->lock);
	if (conn != NULL && kolk__conn_is(conn, KOLK__IS_IDLE))
		return conn;
	conn = take_by_token(key, position, KOLK__TAKEN, &taken);
	if (conn != NULL) /* it is idle since */
		kolk__post_idle(conn);
	return NULL;
}

uint32_t kolk__idle_count(struct kolk_key *key, uint32_t up_to)
{
	uint32_t at[KOLK__STALE_MAX], count = 0;

	KOLK__HELD(&key->lock);
	for (uint32_t i = 0; i < KOLK__STALE_MAX && count < up_to; i++) {
		if (!kolk__token_take(key, &at[count]))
			break;
		count += idle_at(key, at[count]) != NULL;
	}
	for (uint32_t i = 0; i < count; i++)
		kolk__token_put(key, at[i]);
	return count;
}

bool kolk__has_idle(struct kolk_key *key)
{
	uint32_t position;

	KOLK__HELD(&key->lock);
	for (uint32_t i = 0; i < KOLK__STALE_MAX; i++) {
		if (!kolk__token_take(key, &position))
			return false;
		if (idle_at(key, position) != NULL) {
			kolk__token_put(key, position);
			return true;
		}
	}
	return true;
}

struct kolk__conn *kolk__take_used(struct kolk_key *key)
{
	uint32_t at[KOLK__STALE_MAX], count = 0;
	struct kolk__conn *conn = NULL;
	uint64_t word;

	KOLK__HELD(&key->lock);
	for (uint32_t i = 0; i < KOLK__STALE_MAX && conn == NULL; i++) {
		if (!kolk__token_take(key, &at[count]))
			break;
		conn = idle_at(key, at[count]);
		if (conn == NULL)
			continue;
		if (kolk__conn_uses(conn, kolk__conn_word(conn)) == 0) {
			count++;
			conn = NULL;
		} else {
			conn = take_by_token(key, at[count], KOLK__TAKEN, &word);
		}
	}
	for (uint32_t i = 0; i < count; i++)
		kolk__token_put(key, at[i]);
	return conn;
}
