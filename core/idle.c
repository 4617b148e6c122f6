/* SPDX-License-Identifier: Apache-2.0 */
/* idle.c - the idle connections of a key: found, taken, put back. */
#include "core/idle.h"

/* It was outdated or hung up, and the release that put it down is about to look at that (SC2), or
 * a ping is: whoever takes it meanwhile closes it in their stead. relaxed: an acquire that begins
 * when a rotation has returned comes after the mark, one that overlaps it may come before; so
 * the hit may look before it takes. */
KOLK_COLD bool kolk__keep_fit(struct kolk__conn *conn, uint64_t ticket)
{
	uint8_t reason = kolk__load_relaxed(&conn->retire_reason);

	if (reason == 0)
		return true;
	if (!kolk__conn_leave(conn, ticket, KOLK__CLOSING))
		return false;
	kolk__conn_unlease(conn);
	kolk__retire(conn, (enum kolk_reason)reason);
	return false;
}

KOLK_COLD void kolk__lease_timed(struct kolk__conn *conn)
{
	kolk__attend(conn, KOLK__TIMED);
	kolk__store_relaxed(&conn->leased_at_ns, kolk__now(kolk__own(&conn->home)->engine));
}

void kolk__lease_fill(struct kolk__conn *conn, uint64_t ticket, uint64_t now_ns,
		      struct kolk_lease *lease)
{
	KOLK__ASSERT(kolk__state_of(ticket) == KOLK__LEASED);
	kolk__lease_begin(conn, ticket, now_ns, lease);
	if (kolk__is_timed(ticket))
		kolk__lease_timed(conn);
}

/* Taken by mistake: back to where it lay, unless it was revoked since. */
KOLK_COLD void kolk__put_back(struct kolk__conn *conn, uint64_t word)
{
	if (kolk__state_of(word) != KOLK__LEASED || kolk__conn_leave(conn, word, KOLK__TAKEN))
		kolk__park_later(conn);
}

/* Take the first idle connection from `low` on, then those before it. Complete: NULL means
 * that each was seen not idle at some moment of the walk. */
struct kolk__conn *kolk__shelf_take(struct kolk_key *key, enum kolk__state state, uint64_t *word)
{
	struct kolk__table *table = kolk__load_acquire(&key->table); /* KEY.A1 <- KEY.R1 */
	uint32_t low = kolk__load_relaxed(&key->low);
	uint32_t used;

	if (table == NULL)
		return NULL;
	used = kolk__load_acquire(&table->used);
	low = low < used ? low : 0;
	for (uint32_t step = 0; step < used; step++) {
		uint32_t i = low + step < used ? low + step : low + step - used;
		struct kolk__conn *conn = kolk__load_acquire(&table->entry[i]); /* KEY.A2 */

		*word = conn != NULL ? kolk__take_for(key, conn, state) : 0;
		if (*word == 0)
			continue;
		if (!kolk__is_of(conn, key)) {
			kolk__put_back(conn, *word);
		} else if (state != KOLK__LEASED || kolk__keep_fit(conn, *word)) {
			kolk__store_relaxed(&key->low, i + 1);
			return conn;
		}
	}
	return NULL;
}

bool kolk__shelf_has_idle(struct kolk_key *key)
{
	struct kolk__table *table = kolk__load_acquire(&key->table);
	uint32_t used = table != NULL ? kolk__load_acquire(&table->used) : 0;

	for (uint32_t i = 0; i < used; i++) {
		struct kolk__conn *conn = kolk__load_acquire(&table->entry[i]);

		if (conn != NULL && kolk__conn_is_idle(conn) &&
		    kolk__load_relaxed(&conn->key) == key)
			return true;
	}
	return false;
}
