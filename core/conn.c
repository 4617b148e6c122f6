/* SPDX-License-Identifier: Apache-2.0 */
/* conn.c - changes of a connection's state that are not part of a hit (conn.h). */
#include "core/conn.h"

void kolk__conn_set(struct kolk__conn *conn, enum kolk__state state)
{
	uint64_t word = kolk__conn_own_word(conn);

	KOLK__ASSERT(kolk__may_become(kolk__state_of(word), state));
	KOLK__ASSERT(state == KOLK__DIALING || !conn->dial_permit); /* its dial is over */
	kolk__store_sc(&conn->word, kolk__word_with(word, state)); /* STATE.R1 -> STATE.A1, SC1 */
}

bool kolk__conn_set_busy(struct kolk__conn *conn, uint64_t *word)
{
	return kolk__cas_sc(&conn->word, word, kolk__word_with(*word, KOLK__BUSY));
}

bool kolk__conn_try_set(struct kolk__conn *conn, uint64_t word, enum kolk__state state)
{
	KOLK__ASSERT(kolk__state_of(word) == KOLK__IDLE || kolk__state_of(word) == KOLK__LEASED);
	KOLK__ASSERT(state == KOLK__TAKEN || state == KOLK__CLOSING);
	return kolk__cas_sc(&conn->word, &word, kolk__word_with(word, state)); /* STATE.R1 */
}

void kolk__conn_unlease(struct kolk__conn *conn)
{
	kolk__own_add(&conn->born, UINT64_C(1) << KOLK__STATE_BITS);
}

void kolk__conn_set_retire_reason(struct kolk__conn *conn, enum kolk_reason reason)
{
	kolk__store_sc(&conn->retire_reason, (uint8_t)reason);
}
