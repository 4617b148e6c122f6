/* SPDX-License-Identifier: Apache-2.0 */
/* idle.c - the idle connections of a key: found, taken, put back. */
#include "core/idle.h"
#include "core/conn_table.h"

/* It is stale or its peer has closed it, and the release that made it idle is about to see that
 * (SC2), or a ping is: the thread that takes it meanwhile closes it instead. relaxed: an acquire
 * that begins when a rotation has returned comes after the mark, one that overlaps it may come
 * before; so the hit may check before it takes. */
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
	kolk__store_relaxed(&conn->leased_at_ns, kolk__now(kolk__own(&conn->home)->engine));
}

void kolk__lease_fill(struct kolk__conn *conn, uint64_t lease_word, uint64_t now_ns,
		      struct kolk_lease *lease)
{
	KOLK__ASSERT(kolk__state_of(lease_word) == KOLK__LEASED);
	kolk__lease_begin(conn, lease_word, now_ns, lease);
	if (kolk__is_timed(lease_word))
		kolk__lease_timed(conn);
}

/* Taken by mistake: idle again, unless it was revoked since. */
KOLK_COLD void kolk__put_back(struct kolk__conn *conn, uint64_t word)
{
	if (kolk__state_of(word) != KOLK__LEASED || kolk__conn_try_set(conn, word, KOLK__TAKEN))
		kolk__post_idle(conn);
}

/* Take the first idle connection from scan_hint on, then those before it. Complete: NULL means that
 * each was seen not idle at some moment of the scan. */
struct kolk__conn *kolk__take_idle(struct kolk_key *key, enum kolk__state state, uint64_t *word)
{
	struct kolk__conn_table *table = kolk__load_acquire(&key->table); /* KEY.A1 <- KEY.R1 */
	uint32_t hint = kolk__load_relaxed(&key->scan_hint);
	uint32_t used;

	if (table == NULL)
		return NULL;
	used = kolk__load_acquire(&table->used);
	hint = hint < used ? hint : 0;
	for (uint32_t step = 0; step < used; step++) {
		uint32_t i = hint + step < used ? hint + step : hint + step - used;
		struct kolk__conn *conn = kolk__load_acquire(&table->entry[i]); /* KEY.A2 */

		*word = conn != NULL ? kolk__take_for(key, conn, state) : 0;
		if (*word == 0)
			continue;
		if (!kolk__is_of(conn, key)) {
			kolk__put_back(conn, *word);
		} else if (state != KOLK__LEASED || kolk__usable_or_retire(conn, *word)) {
			kolk__store_relaxed(&key->scan_hint, i + 1);
			return conn;
		}
	}
	return NULL;
}

bool kolk__has_idle(struct kolk_key *key)
{
	struct kolk__conn_table *table = kolk__load_acquire(&key->table);
	uint32_t used = table != NULL ? kolk__load_acquire(&table->used) : 0;

	for (uint32_t i = 0; i < used; i++) {
		struct kolk__conn *conn = kolk__load_acquire(&table->entry[i]);

		if (conn != NULL && kolk__conn_is_idle(conn) &&
		    kolk__load_relaxed(&conn->key) == key)
			return true;
	}
	return false;
}
