/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle.h - take connections out of idle, begin their leases, and put them back. What the hit needs
 * is inline.
 */
#ifndef KOLK_IDLE_H
#define KOLK_IDLE_H

#include "core/release.h"

/* One lease in TIMED_EVERY is timed with a real clock at both ends: two clock reads per lease would
 * cost more than the lease. */
enum { TIMED_EVERY = 1024 };

/* Of the leases whose release takes the slow path, how many have the duration of the release
 * recorded, which costs one more clock read. All leases of TIMED_EVERY are among them. */
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

/* Begin a lease that is timed at both ends. */
void kolk__lease_timed(struct kolk__conn *conn);
/* False = it must not be used any more: it was closed, here or by a revoke. */
bool kolk__usable_or_retire(struct kolk__conn *conn, uint64_t lease_word);

/* idle_max.c */
/* For the holder: count it before it becomes idle. False = as many are idle as may be, so it must
 * be closed. always: count it in any case, because it was not leased yet. */
bool kolk__idle_enter(struct kolk__conn *conn, bool always);
/* Count one idle connection less: it was leased, or it closes. */
KOLK_COLD void kolk__idle_leave(struct kolk__conn *conn);
static inline void kolk__idle_leave_if_counted(struct kolk__conn *conn)
{
	if (KOLK_UNLIKELY(kolk__load_relaxed(&conn->idle_mark) != 0))
		kolk__idle_leave(conn);
}

/* For the holder: put its token into the idle list unless it is there, then make it idle. The
 * caller must check the gate afterwards. */
void kolk__set_idle(struct kolk__conn *conn);

/* Lease the connection at the lowest position whose token has its bit set, if it is idle. The token
 * stays in the list, so the release need not put it back. NULL = it is not idle, or there is no
 * such position. */
struct kolk__conn *kolk__lease_first(struct kolk_key *key, uint64_t *lease_word);
/* Take a connection from the idle list, into this state; *word is its new word. NULL = the list was
 * empty at one moment, or KOLK__STALE_MAX tokens in a row were of connections that are not idle:
 * kolk__may_have_idle tells which. */
KOLK_COLD struct kolk__conn *kolk__take_idle(struct kolk_key *key, enum kolk__state state,
					     uint64_t *word);
/* The next three need key.lock, and look at KOLK__STALE_MAX tokens at most. */
/* Take an idle connection that was leased since it was dialled, into TAKEN; NULL = none found. */
struct kolk__conn *kolk__take_used(struct kolk_key *key);
/* True also if there may be one behind those tokens. */
bool kolk__has_idle(struct kolk_key *key);
/* Count idle connections, up to a number. */
uint32_t kolk__idle_count(struct kolk_key *key, uint32_t up_to);
void kolk__lease_fill(struct kolk__conn *conn, uint64_t lease_word, uint64_t now_ns,
		      struct kolk_lease *lease);

#endif
