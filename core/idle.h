/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle.h - a connection is taken out of idle for a key, and a lease of it begins. What the hit
 * needs is inline.
 */
#ifndef KOLK_IDLE_H
#define KOLK_IDLE_H

#include "core/release.h"

/* One lease in TIMED_EVERY is clocked at both ends: two clock reads per lease would cost more
 * than the lease. */
enum { TIMED_EVERY = 1024 };

/* Of leases whose release takes the slow path: whether how long it takes is recorded. The clock is
 * read once more for it. Those that are timed for having no I/O are among them. */
enum { RELEASE_TIMED_EVERY = 16 };
static inline bool kolk__is_release_timed(uint64_t lease_word)
{
	return kolk__generation_of(lease_word) % RELEASE_TIMED_EVERY == 0;
}

static inline bool kolk__is_timed(uint64_t lease_word)
{
	return kolk__generation_of(lease_word) % TIMED_EVERY == 0;
}

/* Every lease begins here. */
static inline void kolk__lease_begin(struct kolk__conn *conn, uint64_t lease_word, uint64_t now_ns,
				struct kolk_lease *lease)
{
	lease->connection = conn;
	lease->ticket = lease_word;
	kolk__store_relaxed(&conn->leased_at_ns, now_ns);
	KOLK__PROBE(acquire, conn, lease_word);
}

/* A lease that is clocked at both ends begins. */
void kolk__lease_timed(struct kolk__conn *conn);
/* False: it may not be used any more, and was closed. */
bool kolk__usable_or_retire(struct kolk__conn *conn, uint64_t lease_word);

/* idle_max.c */
/* The holder's: it is to be idle. False = as many as may be idle are: it is to close. Always: it
 * was not leased yet. */
bool kolk__idle_enter(struct kolk__conn *conn, bool always);
/* Counted as idle, and that is over: it was leased, or it closes. */
KOLK_COLD void kolk__idle_leave(struct kolk__conn *conn);
static inline void kolk__idle_leave_if_counted(struct kolk__conn *conn)
{
	if (KOLK_UNLIKELY(kolk__load_relaxed(&conn->idle_mark) != 0))
		kolk__idle_leave(conn);
}

/* The holder's: its token into the idle list, if it is not there, then idle. The caller then looks
 * at the gate. */
void kolk__set_idle(struct kolk__conn *conn);

/* Lease the connection at the lowest position whose token lies in sight, if it is idle: the token
 * stays, so the release has none to put. NULL = it is not, or there is none. */
struct kolk__conn *kolk__lease_first(struct kolk_key *key, uint64_t *lease_word);
/* One from the idle list, into this state; *word as of kolk__conn_take. NULL = the list was empty
 * at one moment, or KOLK__STALE_MAX tokens were of what is not idle: kolk__may_have_idle, then. */
KOLK_COLD struct kolk__conn *kolk__take_idle(struct kolk_key *key, enum kolk__state state,
					     uint64_t *word);
/* The others look under key.lock, at KOLK__STALE_MAX tokens at most. */
/* An idle connection that was leased since it was dialled: TAKEN, or NULL. */
struct kolk__conn *kolk__take_used(struct kolk_key *key);
/* True also when there may be one behind those. */
bool kolk__has_idle(struct kolk_key *key);
/* Those that are idle, up to a number. */
uint32_t kolk__idle_count(struct kolk_key *key, uint32_t up_to);
void kolk__lease_fill(struct kolk__conn *conn, uint64_t lease_word, uint64_t now_ns,
		      struct kolk_lease *lease);

#endif
