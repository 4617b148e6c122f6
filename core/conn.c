/* SPDX-License-Identifier: Apache-2.0 */
/* conn.c - changes of a connection's state that are not part of a hit (conn.h). */
#include "core/conn.h"

void kolk__conn_set(struct kolk__conn *conn, enum kolk__state state)
{
	uint64_t word = kolk__load_relaxed(&conn->word);

	KOLK__ASSERT(kolk__may_become(kolk__state_of(word), state) && state != KOLK__IDLE);
	KOLK__ASSERT(state == KOLK__DIALING || !conn->dial_permit); /* its dial is over */
	/* Losing means that NO_TOKEN was set. STATE.R1 -> STATE.A1 */
	while (!kolk__cas_sc(&conn->word, &word, kolk__word_with(word, state)))
		;
}

bool kolk__conn_try_idle(struct kolk__conn *conn)
{
	uint64_t word = kolk__load_relaxed(&conn->word);

	KOLK__ASSERT(kolk__may_become(kolk__state_of(word), KOLK__IDLE));
	KOLK__ASSERT(!conn->dial_permit);
	if (!(word & KOLK__NO_TOKEN) && /* STATE.R1 -> STATE.A1, SC1, SC2 */
	    kolk__cas_sc(&conn->word, &word, kolk__word_with(word, KOLK__IDLE)))
		return true;
	/* No other thread writes a word with NO_TOKEN. */
	kolk__store_sc(&conn->word, word & ~KOLK__NO_TOKEN);
	return false;
}

/* From this word, with or without NO_TOKEN, to a state. False, and *word is what it is now. */
static bool change(struct kolk__conn *conn, uint64_t *word, enum kolk__state state)
{
	uint64_t from = *word, seen = from;
	bool changed;

	do
		changed = kolk__cas_sc(&conn->word, &seen, kolk__word_with(seen, state));
	while (!changed && seen == (from | KOLK__NO_TOKEN)); /* it is set once */
	*word = seen & ~KOLK__NO_TOKEN;
	return changed;
}

bool kolk__conn_set_busy(struct kolk__conn *conn, uint64_t *word)
{
	return change(conn, word, KOLK__BUSY);
}

bool kolk__conn_try_set(struct kolk__conn *conn, uint64_t word, enum kolk__state state)
{
	KOLK__ASSERT(kolk__state_of(word) == KOLK__IDLE || kolk__state_of(word) == KOLK__LEASED);
	KOLK__ASSERT(state == KOLK__TAKEN || state == KOLK__CLOSING);
	return change(conn, &word, state); /* STATE.R1 */
}

/* Its word is read before its key: as long as that is its word, that is its key. */
uint64_t kolk__conn_lease_of(struct kolk__conn *conn, const struct kolk_key *key)
{
	uint64_t word = kolk__load_sc(&conn->word); /* SC1, SC2: the load */

	if (kolk__state_of(word) != KOLK__IDLE || kolk__load_relaxed(&conn->key) != key)
		return 0;
	return kolk__conn_lease(conn, word) ? kolk__lease_word_after(word) : 0;
}

bool kolk__conn_take_by_token(struct kolk__conn *conn, uint64_t word, enum kolk__state state,
			      uint64_t *taken)
{
	bool idle = kolk__state_of(word) == KOLK__IDLE;

	KOLK__ASSERT(!(word & KOLK__NO_TOKEN)); /* its position has one token: ours */
	*taken = !idle ? 0 :
		 state == KOLK__LEASED ? kolk__lease_word_after(word) : kolk__word_with(word, state);
	return kolk__cas_sc(&conn->word, &word, /* STATE.A1 <- STATE.R1 */
			    (idle ? *taken : word) | KOLK__NO_TOKEN);
}

void kolk__conn_unlease(struct kolk__conn *conn)
{
	kolk__own_add(&conn->born, KOLK__GENERATION);
}

bool kolk__conn_leave(struct kolk__conn *conn)
{
	uint64_t word = kolk__load_relaxed(&conn->word);

	KOLK__STATE(conn, KOLK__IS_DIALING | KOLK__IS_CLOSING);
	/* Losing means that NO_TOKEN was set. */
	while (!kolk__cas_sc(&conn->word, &word,
			     (word & ~KOLK__NO_TOKEN) + KOLK__GENERATION))
		;
	return !(word & KOLK__NO_TOKEN);
}

void kolk__conn_no_token(struct kolk__conn *conn)
{
	KOLK__STATE(conn, KOLK__IS_DIALING);
	kolk__store_relaxed(&conn->word, kolk__load_relaxed(&conn->word) | KOLK__NO_TOKEN);
}

void kolk__conn_set_retire_reason(struct kolk__conn *conn, enum kolk_reason reason)
{
	kolk__store_sc(&conn->retire_reason, (uint8_t)reason);
}

bool kolk__conn_idle_without_token(const struct kolk__conn *conn)
{
	uint64_t word = kolk__load_acquire(&conn->word);

	return kolk__state_of(word) == KOLK__IDLE && (word & KOLK__NO_TOKEN);
}

bool kolk__conn_is_still_leased(const struct kolk__conn *conn, uint64_t word)
{
	uint64_t now = kolk__load_sc(&conn->word); /* SC4: the load */

	return kolk__is_leased(kolk__state_of(now)) &&
	       kolk__generation_of(now) == kolk__generation_of(word);
}
