/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn.h - the card of one connection, and the word that says in whose hand it is.
 *
 * The hand word is <number><hand>. The number grows with each lease, so a lease (which is the
 * word it was taken with) is valid exactly as long as the word is unchanged, and a
 * compare-and-swap on it never mistakes a later lease for its own. It also counts the leases.
 *
 *   hand      who holds it                          who may change the word
 *   FREE      the ledger (engine.h)                 who gets the slot under the ledger's lock
 *   DIALING   the dialler: note, then home loop     the home loop
 *   IDLE      nobody: it lies on the shelf          anyone: the first compare-and-swap wins
 *   LEASED    a caller's lease                      the lease's owner; a revoke at a drain
 *   BUSY      the same, inside an operation         the thread inside the operation
 *   PINGING   maintenance: note, then home loop     the home loop
 *   CLOSING   the closer: note, then home loop      the home loop
 *
 * So the word has one writer at a time, its holder; only out of IDLE (and, at a drain
 * deadline, out of LEASED) several may try, and one wins.
 *
 * May run together      take  give  hang-up  stats      - yes
 *                take     -     -      -       -
 *                give     -     x      -       -        x the same lease twice: one of them
 *                hang-up  -     -      x       -          answers E_LEASE_STALE or _BUSY
 *
 * HAND.R1 (give) -> HAND.A1 (take): all plain fields of the connection and its link.
 * SC1: give, then look at the gate        | enrol as waiter (gate), then look at the shelf
 * SC2: give, then look at hung_up         | store hung_up, then try to take out of IDLE
 * Both are store-load edges: every access of the four is sc. The model of SC1 is
 * tests/model/wait.pml.
 *
 * Progress: take and give are wait-free (one compare-and-swap each, no loop).
 * Reclaims: cards are type-stable: their memory lives as long as the engine.
 * Rejected: idle lists as rings or stacks, docs/decisions/0001-in-place.md.
 */
#ifndef KOLK_CONN_H
#define KOLK_CONN_H

#include "core/base/assert.h"
#include "core/base/atomic.h"
#include "core/maintain.h"
#include "core/base/note.h"
#include "core/base/probe.h"

enum kolk__hand {
	KOLK__FREE,
	KOLK__DIALING,
	KOLK__IDLE,
	KOLK__LEASED,
	KOLK__BUSY,
	KOLK__PINGING,
	KOLK__CLOSING,
	KOLK__HANDS
};

#define KOLK__HAND_BITS 3
#define KOLK__HAND_MASK UINT64_C(7)
_Static_assert(KOLK__HANDS <= 1 << KOLK__HAND_BITS, "hands fit their bits");

/* What makes a release take the long way. */
enum {
	KOLK__TOUCHED = 1, /* I/O was done: must be proved clean */
	KOLK__TIMED = 2,   /* this lease is one of those whose time is recorded */
	KOLK__TAGGED = 4,  /* its owner set a tag, or pinned it */
	KOLK__ALWAYS = 8,  /* uses are limited, a driver resets, or somebody listens */
};

struct kolk__conn {
	/* ---- the hit: written once per acquire and once per release, by the holder */

	/* W: see above. R: anyone. Pairs: HAND.R1/A1, SC1, SC2. Means: number, hand. */
	kolk__atomic_u64 hand;
	/* W: dialler. R: who took it, and hints (checked again). */
	KOLK__ATOMIC(struct kolk_key *) key;
	const kolk__atomic_u64 *clock; /* the engine's coarse clock; 0 there = read the real one */
	kolk__atomic_u64 idle_since_ns; /* W: holder. R: maintenance (relaxed: re-checked by take) */
	kolk__atomic_u64 leased_at_ns; /* W: holder. R: maintenance (relaxed: statistic) */
	kolk__atomic_u64 born;     /* the word when it was dialled: uses count from here */
	/* W: holder or dialler. R: a release, before its compare-and-swap has proved the lease
	 * (relaxed: what a stale lease reads here decides nothing). */
	kolk__atomic_u64 retire_at_ns; /* end of its lifetime */
	kolk__atomic_u32 position; /* where it stands in its key's table */
	kolk__atomic_u8 attention; /* KOLK__TOUCHED ... */
	/* W: home loop; a rotation under key.lock. R: releaser, and who takes it. Pairs: SC2.
	 * Means: 0, or the enum kolk_reason why it must not be used again. */
	kolk__atomic_u8 hung_up;
	/* W: maintenance at a drain deadline. R: holder at the end of an operation. */
	kolk__atomic_u8 revoked;
	/* W: holder; SHRUNK under ledger. R: check.c (relaxed). Means: enum kolk_reason of its end */
	kolk__atomic_u8 reason;
	kolk__atomic_u8 pinned;    /* W: lease's owner. R: maintenance (relaxed: no alarm) */
	/* W: holder, while it is not idle. R: under key.lock (relaxed: how many dials are wanted).
	 * Means: it comes from a lease, and is not neutral. */
	kolk__atomic_bool mending;
	uint8_t room;              /* under ledger: enum kolk__lack that its end is to mend */
	bool probe;                /* plain, dialler's: it is to find out whether the circuit can close */
	/* W: dialler, then under key.lock. R: releaser, maintenance (relaxed: checked again under the
	 * lock). Means: connections to this endpoint died young; this one has to live or to serve
	 * before its dial counts as good (young.c). */
	kolk__atomic_bool unproven;
	uint32_t epoch;            /* plain, dialler's: rotations when its dial began */

	/* ---- the rest: written when it is made, pinged or ended */

	struct kolk__note note;    /* the letter to the home loop; plain: the holder's */
	/* W: dialler. R: also a stale lease (relaxed: its engine). */
	KOLK__ATOMIC(struct kolk_loop *) home;
	struct kolk__link *link;   /* W: home loop under key.lock. R: holder, or under key.lock */
	struct kolk__alarm alarm;  /* under maintain.lock */
	uint64_t number;           /* plain: unique in the engine */
	uint64_t dial_began_ns;    /* plain */
	kolk__atomic_u64 ready_at_ns; /* W: home loop. R: inspect (relaxed: a time to show) */
	kolk__atomic_u64 pinged_at_ns; /* W: home loop. R: maintenance (relaxed: re-checked) */
	/* Plain, maintenance's: the lease that was reported; no later one, of any connection in this
	 * slot, has the same word. */
	uint64_t overdue_ticket;
	kolk__atomic_u64 tag;      /* W: lease's owner. R: maintenance (relaxed: statistic) */
	/* The loop that runs operations, or NULL. W: holder. R: anyone who finds it BUSY
	 * (relaxed: asks only whether it is itself). */
	KOLK__ATOMIC(struct kolk_loop *) user;
	uint32_t operations;       /* plain, holder's: asynchronous ones in flight */
	uint32_t index;            /* constant: which slot of the engine */
	struct kolk__io *io[2];    /* plain, holder's: the send and the receive in flight */
	struct kolk__conn *next_free; /* under ledger */
} __attribute__((aligned(KOLK_CACHE_LINE)));

static inline enum kolk__hand kolk__hand_of(uint64_t word)
{
	return (enum kolk__hand)(word & KOLK__HAND_MASK);
}

static inline uint64_t kolk__word_with(uint64_t word, enum kolk__hand hand)
{
	return (word & ~KOLK__HAND_MASK) | (uint64_t)hand;
}

/* Leases so far, when its word is this one. */
static inline uint64_t kolk__conn_uses(const struct kolk__conn *conn, uint64_t word)
{
	return (word >> KOLK__HAND_BITS) - (kolk__load_relaxed(&conn->born) >> KOLK__HAND_BITS);
}

/* The holder's: something that makes the release take the long way. */
static inline void kolk__attend(struct kolk__conn *conn, uint8_t what)
{
	kolk__store_relaxed(&conn->attention,
			    (uint8_t)(kolk__load_relaxed(&conn->attention) | what));
}

/* For assertions: sets of hands. */
enum {
	KOLK__IS_FREE = 1 << KOLK__FREE,
	KOLK__IS_DIALING = 1 << KOLK__DIALING,
	KOLK__IS_IDLE = 1 << KOLK__IDLE,
	KOLK__IS_LEASED = 1 << KOLK__LEASED,
	KOLK__IS_BUSY = 1 << KOLK__BUSY,
	KOLK__IS_PINGING = 1 << KOLK__PINGING,
	KOLK__IS_CLOSING = 1 << KOLK__CLOSING,
	KOLK__IS_DIALLED = KOLK__IS_IDLE | KOLK__IS_LEASED | KOLK__IS_BUSY | KOLK__IS_PINGING |
			   KOLK__IS_CLOSING
};

static inline bool kolk__conn_is(const struct kolk__conn *conn, unsigned states)
{
	return states >> kolk__hand_of(kolk__load_acquire(&conn->hand)) & 1;
}
#define KOLK__STATE(conn, states) KOLK__ASSERT(kolk__conn_is(conn, states))

/* The moves of a holder. Out of IDLE there is none, it must be taken; nor out of LEASED, from which
 * a revoke may take it: kolk__conn_leave. */
static inline bool kolk__may_pass(enum kolk__hand from, enum kolk__hand to)
{
	static const uint8_t next[KOLK__HANDS] = {
		[KOLK__FREE] = KOLK__IS_DIALING,
		[KOLK__DIALING] = KOLK__IS_IDLE | KOLK__IS_CLOSING | KOLK__IS_FREE,
		[KOLK__BUSY] = KOLK__IS_LEASED | KOLK__IS_IDLE | KOLK__IS_PINGING | KOLK__IS_CLOSING,
		[KOLK__PINGING] = KOLK__IS_IDLE | KOLK__IS_PINGING | KOLK__IS_CLOSING,
		[KOLK__CLOSING] = KOLK__IS_FREE,
	};

	return next[from] >> to & 1;
}

/* Take an idle connection into this hand; its new word, or 0 when somebody else was first.
 * Linearizes at the compare-and-swap. */
static inline uint64_t kolk__conn_take(struct kolk__conn *conn, enum kolk__hand hand)
{
	uint64_t word = kolk__load_sc(&conn->hand); /* SC1, SC2: this is the look */
	uint64_t taken = kolk__word_with(word, hand);

	if (KOLK_UNLIKELY(kolk__hand_of(word) != KOLK__IDLE))
		return 0;
	if (hand == KOLK__LEASED)
		taken += UINT64_C(1) << KOLK__HAND_BITS;
	return kolk__cas_sc(&conn->hand, &word, taken) ? taken : 0; /* HAND.A1 <- HAND.R1 */
}

/* Move a leased connection on for who has taken it with this word, and holds no lock that keeps a
 * revoke away. False = it was revoked, and the closer has it. */
static inline bool kolk__conn_leave(struct kolk__conn *conn, uint64_t ticket, enum kolk__hand hand)
{
	KOLK__ASSERT(kolk__hand_of(ticket) == KOLK__LEASED);
	return kolk__cas_sc(&conn->hand, &ticket, kolk__word_with(ticket, hand)); /* HAND.R1 */
}

/* Move a held connection on to another hand: the holder's plain move. */
static inline void kolk__conn_pass(struct kolk__conn *conn, enum kolk__hand hand)
{
	uint64_t word = kolk__load_relaxed(&conn->hand); /* relaxed: the holder wrote it */

	KOLK__ASSERT(kolk__may_pass(kolk__hand_of(word), hand));
	kolk__store_sc(&conn->hand, kolk__word_with(word, hand)); /* HAND.R1 -> HAND.A1, SC1 */
}

#endif
