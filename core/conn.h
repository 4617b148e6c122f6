/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn.h - one connection, and the only functions that change its state (state.h).
 *
 * The state word has one writer at a time, the holder. Only out of IDLE (and, at a drain deadline,
 * out of LEASED) may several try, and one wins. In builds with assertions, kolk__conn_set() stops
 * at a change that kolk__may_become() does not allow.
 *
 * May run together      take  release  retire  stats    - yes
 *                take     -     -        -       -
 *                release  -     x        -       -      x the same lease twice: one of them
 *                retire   -     -        x       -        answers E_LEASE_STALE or _BUSY
 *
 * STATE.R1 (release) -> STATE.A1 (take): all plain fields of the connection and its link.
 * SC1: release, then load the gate          | enqueue a waiter (gate), then take tokens
 * SC2: release, then load retire_reason     | store retire_reason, then try to take out of IDLE
 * SC3: end an operation, then load revoked  | store revoked, then try to take out of LEASED
 * SC4: make idle, then load alarm_put_off   | store alarm_put_off, then load the word: leased
 * Store-load edges: every access of them is sc. The model of SC1 is tests/model/wait.pml.
 *
 * The token (idle_list.h). A thread that has taken the token of a connection that is not idle sets
 * NO_TOKEN in its word. The order of changes of the word decides: if this comes first, the holder's
 * compare-and-swap to IDLE fails; if the holder is first, the thread finds the connection idle and
 * takes it.
 *
 * Progress: take and release are wait-free (one compare-and-swap each, no loop). The others try
 * again when NO_TOKEN was set meanwhile, which happens once.
 * Reclaims: connections are type-stable: their memory lives as long as the engine.
 */
#ifndef KOLK_CONN_H
#define KOLK_CONN_H

#include <stddef.h>

#include "core/base/assert.h"
#include "core/base/atomic.h"
#include "core/base/container.h"
#include "core/maintain.h"
#include "core/base/mailbox.h"
#include "core/base/probe.h"
#include "core/state.h"

/* What makes a release take the slow path. */
enum {
	KOLK__DID_IO = 1, /* I/O was done: must be proved clean */
	KOLK__TIMED = 2,   /* this lease is one of those whose time is recorded */
	KOLK__TAGGED = 4,  /* its owner set a tag */
	KOLK__FORCE_SLOW = 8, /* uses or idle connections are limited; resets; releases are events */
	KOLK__PINNED = 16, /* its owner keeps it: maintenance does not report it as overdue */
	KOLK__SILENT = 32, /* its peer knows of it when it has sent something: it has sent nothing */
	KOLK__ACKNOWLEDGED = 64, /* SILENT, but its home loop has acknowledged it to its peer */
};

struct kolk__conn {
	/* ---- the hit: written once per acquire and once per release, by the holder */

	/* W: see state.h; NO_TOKEN: also the thread that has its token. R: anyone. Pairs: STATE.R1/A1,
	 * SC1, SC2, SC3, SC4. Means: generation, state. */
	kolk__atomic_u64 word;
	/* W: dialler. R: the thread that took it, and hints (checked again). */
	KOLK__ATOMIC(struct kolk_key *) key;
	const kolk__atomic_u64 *clock; /* the engine's coarse clock; 0 there = read the real one */
	kolk__atomic_u64 idle_since_ns; /* W: holder. R: maintenance (relaxed: re-checked by take) */
	kolk__atomic_u64 leased_at_ns; /* W: holder. R: maintenance (relaxed: statistic) */
	kolk__atomic_u64 born;     /* the word when it was dialled: uses count from here */
	/* W: holder or dialler. R: a release, before its compare-and-swap has proved the lease
	 * (relaxed: what a stale lease reads here decides nothing). */
	kolk__atomic_u64 retire_at_ns; /* end of its lifetime */
	/* W: table_add, table_remove (conn_table.c). R: anyone. Means: where it stands in its key's
	 * table, or KOLK__NOWHERE. */
	kolk__atomic_u32 position;
	/* W: holder; home loop (ACKNOWLEDGED). R: maintenance (relaxed). Means: KOLK__DID_IO ... */
	kolk__atomic_u8 release_flags;
	/* W: home loop; a rotation under key.lock. R: releaser, and the thread that takes it.
	 * Pairs: SC2. Means: 0, or the enum kolk_reason why it must not be used again. */
	kolk__atomic_u8 retire_reason;
	/* W: maintenance at a drain deadline; dialler. R: holder at the end of an operation. Pairs:
	 * SC3. Means: enum kolk__revoked. */
	kolk__atomic_u8 revoked;
	/* W: holder; SHRUNK under accounting. R: check.c (relaxed). Means: kolk_reason of its end */
	kolk__atomic_u8 reason;
	/* W: dialler, then under key.lock. R: releaser, maintenance (relaxed: checked again there).
	 * Means: its dial counts as good when it stayed open a while, or served (probation.c). */
	kolk__atomic_bool unproven;
	/* Plain, the dialler's: its dial is to find out whether the circuit can close; it counts as a
	 * dial of its pool and engine; its dial failed, it closes without having been ready. The
	 * holder's (W: under key.lock, too): its first caller waited for it when it was ready. */
	bool trial : 1, dial_permit : 1, abandoned : 1, waited_for : 1;
	uint8_t evicted_for; /* under accounting: enum kolk__denied: what its eviction is for */
	/* W: maintenance; holder. R: holder. Pairs: SC4. Means: its lease's end arms the alarm */
	kolk__atomic_bool alarm_put_off;
	kolk__atomic_u8 found;     /* W: maintenance. R: also home loop. Means: enum kolk__found */
	/* W: dialler. R: anyone (relaxed: a sweep acts on what is its own loop's). Means: the index
	 * of its home loop, kolk__home(). */
	kolk__atomic_u8 home;
	/* W: holder. R: a thread that finds it BUSY (relaxed: asks only whether it is itself).
	 * Means: the loop that runs operations, its index + 1, kolk__user(); 0 = none. */
	kolk__atomic_u16 user;
	uint32_t epoch;            /* plain, dialler's: rotations when its dial began */
	/* W: holder; a CAS clears it. R: check.c. Means: which key counts it idle; 0 = none */
	kolk__atomic_u32 idle_mark;

	/* ---- the rest: written when it is made, pinged or ended */

	union {
		/* W: home loop under key.lock. R: holder, or under key.lock */
		struct kolk__link *link;
		struct kolk__conn *next_free; /* while it is FREE; under accounting */
	};
	struct kolk__task task;    /* what its home loop is to do; plain: the holder's */
	struct kolk__timer alarm;  /* under maintain.lock: in maintain.conns */
	uint64_t number;           /* plain: unique in the engine */
	uint64_t dial_began_ns;    /* plain */
	kolk__atomic_u64 ready_at_ns; /* W: home loop. R: inspect (relaxed: a time to show) */
	kolk__atomic_u64 pinged_at_ns; /* W: home loop. R: maintenance (relaxed: re-checked) */
	/* W: maintenance. R: also home loop (relaxed: a time). Means: what `found` says. */
	kolk__atomic_u64 found_detail;
	kolk__atomic_u64 tag;      /* W: lease's owner. R: maintenance (relaxed: statistic) */
} __attribute__((aligned(KOLK_CACHE_LINE)));

/* What a hit reads and writes of a connection is one cache line. */
_Static_assert(offsetof(struct kolk__conn, word) == 0, "the state word begins the line");
_Static_assert(offsetof(struct kolk__conn, reason) < KOLK_CACHE_LINE, "a hit is one line");
_Static_assert(offsetof(struct kolk__conn, unproven) >= KOLK_CACHE_LINE, "nothing else is in it");
/* What an idle connection takes here: docs/limits.md. */
_Static_assert(sizeof(struct kolk__conn) == 3 * KOLK_CACHE_LINE, "a connection is small");

static inline struct kolk__conn *kolk__conn_of_task(struct kolk__task *task)
{
	return kolk__container_of(task, struct kolk__conn, task);
}

/* ---- reading */

/* Return whether it is at this position of the key's table. Its word is read first, and changes
 * when the connection leaves the table, so it stays there for as long as it has that word. */
static inline bool kolk__conn_stands_at(const struct kolk__conn *conn, const struct kolk_key *key,
					uint32_t position, uint64_t *word)
{
	*word = kolk__load_sc(&conn->word); /* SC1, SC2: the load */
	return kolk__load_relaxed(&conn->position) == position &&
	       kolk__load_relaxed(&conn->key) == key;
}

static inline bool kolk__conn_has_token(const struct kolk__conn *conn)
{
	return !(kolk__load_acquire(&conn->word) & KOLK__NO_TOKEN);
}

bool kolk__conn_idle_without_token(const struct kolk__conn *conn); /* for check.c: never */
bool kolk__conn_is_still_leased(const struct kolk__conn *conn, uint64_t word); /* this lease; SC4 */
/* Return its word as leases have it, without NO_TOKEN. */
static inline uint64_t kolk__conn_word(const struct kolk__conn *conn)
{
	return kolk__load_acquire(&conn->word) & ~KOLK__NO_TOKEN;
}

static inline enum kolk__state kolk__conn_state(const struct kolk__conn *conn)
{
	return kolk__state_of(kolk__conn_word(conn));
}

/* The holder's: no other thread writes it. */
static inline uint64_t kolk__conn_own_word(const struct kolk__conn *conn)
{
	return kolk__load_relaxed(&conn->word) & ~KOLK__NO_TOKEN;
}

/* Count its leases up to this word; born may be ahead of the word by now (conn_unlease). */
static inline uint64_t kolk__conn_uses(const struct kolk__conn *conn, uint64_t word)
{
	uint64_t born = kolk__load_relaxed(&conn->born);

	return word > born ? kolk__generation_of(word) - kolk__generation_of(born) : 0;
}

static inline bool kolk__conn_is(const struct kolk__conn *conn, unsigned states)
{
	return states >> kolk__conn_state(conn) & 1;
}
#define KOLK__STATE(conn, states) KOLK__ASSERT(kolk__conn_is(conn, states))

/* ---- changing */

/* Take it out of IDLE for the library, into this state. False = it is not idle, or another thread
 * was first. Linearizes at the compare-and-swap. */
static inline bool kolk__conn_take(struct kolk__conn *conn, enum kolk__state state)
{
	uint64_t word = kolk__load_sc(&conn->word); /* SC1, SC2: the load */

	return kolk__state_of(word) == KOLK__IDLE && /* STATE.A1 <- STATE.R1 */
	       kolk__cas_sc(&conn->word, &word, kolk__word_with(word, state));
}

/* Return the lease word that an idle connection with this word gets next. */
static inline uint64_t kolk__lease_word_after(uint64_t word)
{
	return word + KOLK__GENERATION + (KOLK__LEASED - KOLK__IDLE);
}

/* Lease it, if this is still its word. */
static inline bool kolk__conn_lease(struct kolk__conn *conn, uint64_t word)
{
	KOLK__ASSERT(kolk__state_of(word) == KOLK__IDLE);
	return kolk__cas_sc(&conn->word, &word, /* STATE.A1 <- STATE.R1, SC1, SC2 */
			    kolk__lease_word_after(word));
}

/* Lease it if it is idle and of this key. Returns the lease word, or 0. */
uint64_t kolk__conn_lease_of(struct kolk__conn *conn, const struct kolk_key *key);

/* Take or lease it by its token, which the caller has taken and which stays out of the idle list.
 * If it is not idle, *taken is 0 and NO_TOKEN is set: its holder puts the token back. False = the
 * word has changed. */
bool kolk__conn_take_by_token(struct kolk__conn *conn, uint64_t word, enum kolk__state state,
			      uint64_t *taken);

/* End a lease that did no I/O: LEASED to IDLE. False = the lease was over, or the word has
 * NO_TOKEN; *word is then what it is now. */
static inline bool kolk__conn_release(struct kolk__conn *conn, uint64_t *word)
{
	return kolk__cas_sc(&conn->word, word, /* STATE.R1 -> STATE.A1, SC1, SC2 */
			    kolk__word_with(*word, KOLK__IDLE));
}

/* Change the state, for the holder alone: not out of IDLE, which has no holder, nor out of LEASED,
 * which a revoke may end; nor to IDLE. */
void kolk__conn_set(struct kolk__conn *conn, enum kolk__state state);
/* Change the state to IDLE, for the holder. False = not yet: its token was dropped and is now the
 * caller's, who must put it into the idle list and try again (kolk__set_idle does both). */
bool kolk__conn_try_idle(struct kolk__conn *conn);
/* Begin an operation or a slow release: LEASED to BUSY of the same lease. False = the lease is over
 * or BUSY; *word is then what it is now. */
bool kolk__conn_set_busy(struct kolk__conn *conn, uint64_t *word);
/* Change the state out of IDLE or LEASED, if this is still its word: another thread may have taken
 * it or revoked the lease. */
bool kolk__conn_try_set(struct kolk__conn *conn, uint64_t word, enum kolk__state state);
/* The lease that was just taken does not count as a use. For the holder. */
void kolk__conn_unlease(struct kolk__conn *conn);
/* It leaves its key's table: from now on no thread that saw it there can change its word.
 * True = the token of its position is in the idle list, or taken by a thread that will put it
 * back. */
bool kolk__conn_leave(struct kolk__conn *conn);
/* It enters a table at a position whose token is not in the idle list. No other thread can see it
 * yet. */
void kolk__conn_no_token(struct kolk__conn *conn);
/* It must not be used again. SC2: the caller then tries to take it out of IDLE. */
void kolk__conn_set_retire_reason(struct kolk__conn *conn, enum kolk_reason reason);

#endif
