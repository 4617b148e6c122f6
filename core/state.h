/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - the state word of a connection: what its values mean, and which may follow which.
 *
 * The state word is <generation><NO_TOKEN><state>. The generation grows with each lease, so a lease
 * (which holds the word that it was taken with, the lease word) is valid exactly as long as the
 * word is unchanged, and a compare-and-swap on it never mistakes a later lease for its own. The
 * generation also counts the leases. It grows once more when the connection leaves its key's table,
 * so two keys never see the same word.
 *
 * NO_TOKEN: the token of its position is not in the idle list (idle_list.h). The thread that makes
 * it idle puts the token there first, so no idle connection has this bit. Lease words are without
 * it.
 *
 *   state      what it means, and its holder           which thread may change the word
 *   FREE       in the engine's list of free ones       the one that takes it from that list
 *   DIALING    task, then its home loop                the home loop
 *   IDLE       ready; it has no holder                 anyone: the first compare-and-swap wins
 *   LEASED     a caller's lease                        the lease's owner; a revoke at a drain
 *   BUSY       the same, inside an operation           the thread inside the operation
 *   PINGING    home loop: ping, or unexpected bytes    the home loop
 *   RESETTING  home loop: reset after a lease          the home loop
 *   TAKEN      the library: it is decided whether it   the thread that took it, then the home loop
 *              is evicted, or it returns to IDLE
 *   CLOSING    task, then its home loop; never back    the home loop
 */
#ifndef KOLK_STATE_H
#define KOLK_STATE_H

#include <stdbool.h>
#include <stdint.h>

enum kolk__state {
	KOLK__FREE,
	KOLK__DIALING,
	KOLK__IDLE,
	KOLK__LEASED,
	KOLK__BUSY,
	KOLK__PINGING,
	KOLK__RESETTING,
	KOLK__TAKEN,
	KOLK__CLOSING,
	KOLK__STATES
};

/* Whether a lease was revoked. */
enum kolk__revoked {
	KOLK__NOT_REVOKED,
	KOLK__REVOKED,        /* of this connection */
	KOLK__REVOKED_EARLIER /* of a connection that had this memory before */
};

#define KOLK__STATE_MASK UINT64_C(15)
#define KOLK__NO_TOKEN UINT64_C(16)
#define KOLK__GENERATION UINT64_C(32) /* one more */
_Static_assert(KOLK__STATES <= KOLK__STATE_MASK + 1, "states fit their bits");

static inline enum kolk__state kolk__state_of(uint64_t word)
{
	return (enum kolk__state)(word & KOLK__STATE_MASK);
}

static inline uint64_t kolk__word_with(uint64_t word, enum kolk__state state)
{
	return (word & ~KOLK__STATE_MASK) | (uint64_t)state;
}

static inline uint64_t kolk__generation_of(uint64_t word)
{
	return word / KOLK__GENERATION;
}

/* A caller's lease has it. */
static inline bool kolk__is_leased(enum kolk__state state)
{
	return state == KOLK__LEASED || state == KOLK__BUSY;
}

/* It has been ready and is not closing, so it may become idle again. */
static inline bool kolk__is_ready(enum kolk__state state)
{
	return state != KOLK__FREE && state != KOLK__DIALING && state != KOLK__CLOSING;
}

/* For assertions: sets of states. */
enum {
	KOLK__IS_FREE = 1 << KOLK__FREE,
	KOLK__IS_DIALING = 1 << KOLK__DIALING,
	KOLK__IS_IDLE = 1 << KOLK__IDLE,
	KOLK__IS_LEASED = 1 << KOLK__LEASED,
	KOLK__IS_BUSY = 1 << KOLK__BUSY,
	KOLK__IS_PINGING = 1 << KOLK__PINGING,
	KOLK__IS_RESETTING = 1 << KOLK__RESETTING,
	KOLK__IS_TAKEN = 1 << KOLK__TAKEN,
	KOLK__IS_CLOSING = 1 << KOLK__CLOSING,
	KOLK__IS_DIALLED = (1 << KOLK__STATES) - 1 - KOLK__IS_FREE - KOLK__IS_DIALING
};

/* The changes that a holder may make. None out of IDLE and LEASED: for those see
 * kolk__conn_try_set. */
static inline bool kolk__may_become(enum kolk__state from, enum kolk__state to)
{
	static const uint16_t changes[KOLK__STATES] = {
		[KOLK__FREE] = KOLK__IS_DIALING,
		[KOLK__DIALING] = KOLK__IS_IDLE | KOLK__IS_CLOSING | KOLK__IS_FREE, /* failed */
		[KOLK__BUSY] = KOLK__IS_LEASED | KOLK__IS_IDLE | KOLK__IS_RESETTING |
			       KOLK__IS_CLOSING,
		[KOLK__PINGING] = KOLK__IS_IDLE | KOLK__IS_CLOSING,
		[KOLK__RESETTING] = KOLK__IS_IDLE | KOLK__IS_CLOSING,
		[KOLK__TAKEN] = KOLK__IS_IDLE | KOLK__IS_CLOSING,
		[KOLK__CLOSING] = KOLK__IS_FREE,
	};

	return changes[from] >> to & 1;
}

#endif
