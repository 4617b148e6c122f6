/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/lease.h - borrow a ready connection, give it back.
 *
 * Threads:   any. A lease may move between threads; one thread uses it at a time.
 * Blocks:    only kolk_acquire and kolk_acquire_as. A hit by handle makes no system call, takes
 *            no lock, allocates nothing and never waits for another thread; neither does a
 *            release to idle.
 * Lifetime:  a lease is a value: copies are the same lease. It ends at the first release,
 *            discard or revoke; every later use answers KOLK_E_LEASE_STALE, changes nothing
 *            and is counted as misuse. After a revoke, which its holder could not know of, it is
 *            not. Where the connection's memory is already another connection's, no stale lease
 *            of an earlier one is counted if any of its leases was ever revoked.
 */
#ifndef KOLK_LEASE_H
#define KOLK_LEASE_H

#include <kolk/error.h>

/* Opaque. All zero is "no lease" and answers KOLK_E_LEASE_STALE. */
struct kolk_lease {
	void *connection;
	uint64_t ticket;
};

struct kolk_key_options;

struct kolk_lease_info {
	uint32_t size;          /* sizeof; set by KOLK_INIT */
	uint32_t reused;        /* 1 = it was leased before, or was ready before its first caller
	                         * waited for it: a failure before the first answer byte may be
	                         * a stale connection */
	uint32_t written;       /* 1 = something was handed to the kernel during this lease */
	uint32_t loop;          /* the index of its home loop */
	uint64_t uses;          /* leases so far, including this one */
	uint64_t age_ns;        /* since it became ready */
	uint64_t idle_ns;       /* how long it was idle before this lease; coarse clock */
	uint64_t connection;    /* its number, unique in the engine */
	struct kolk_key *key;   /* borrowed while the lease lasts */
	uint32_t outdated;      /* 1 = it will be closed when it comes back: rotated, too old,
	                         * closed by the peer, or its key or pool refuses. Begin no further
	                         * requests on a lease that is kept for many */
	uint32_t reserved;
};                          /* since 0.1 */

/* One asynchronous acquire. The memory is the caller's and must stay valid until it has ended. */
struct kolk_acquire {
	struct kolk_lease lease; /* filled on KOLK_OK */
	uint64_t opaque[16];
};

/* Runs on the loop's thread, from step or run, never inside kolk_acquire_async. err KOLK_OK:
 * lease is the caller's now. The kolk_acquire is no longer used and may be freed here. */
typedef void kolk_acquired_fn(void *user, enum kolk_err err, const struct kolk_lease *lease);

KOLK_BEGIN

/* Take an idle connection or return KOLK_E_EMPTY; never waits. A miss starts a dial if a permit is
 * free, so a later try can succeed. The search passes over a bounded number of connections that are
 * in use, so among many of those it may miss an idle one, as it may while another thread examines
 * that one. Errors: E_EMPTY, E_DRAINING, E_ROTATED, E_FORKED. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_try_acquire(struct kolk_key *key,
							struct kolk_lease *lease);

/* Take a connection, or wait for one until the deadline (absolute; 0 = the pool's
 * acquire_timeout_ns from now; KOLK_FOREVER). Blocks the thread; not on a loop's thread. Errors:
 * E_TIMEOUT, E_QUEUE_FULL, E_DRAINING, E_ROTATED (another credential took its place), E_CIRCUIT
 * (the endpoint's circuit is open), E_DEADLINE (the deadline cannot be met), E_FORKED, E_THREAD,
 * and those of a dial that failed on behalf of this caller, or, at once, of the last dial that
 * failed, if none begins before the deadline (kolk_key_failure has the details). */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_acquire(struct kolk_key *key, uint64_t deadline_ns,
						    struct kolk_lease *lease);

/* The same on a loop, from the loop's own thread. KOLK_OK: acquire->lease is filled and
 * the callback never runs. KOLK_PENDING: the callback runs exactly once, unless cancelled.
 * Any other value: refused, the callback never runs. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_acquire_async(struct kolk_loop *loop, struct kolk_key *key, uint64_t deadline_ns,
		   struct kolk_acquire *acquire, kolk_acquired_fn *callback, void *user);

/* Variants of the two for callers that keep no key handle: the key is looked up by identity, and
 * created on first use. This costs three times as much as a hit by handle, and takes a lock. The
 * key is freed when its connections have aged out, and idle_min is not kept for it. who is borrowed
 * for the call. Errors: those of kolk_key_open and of the acquire. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_acquire_as(struct kolk_pool *pool,
						       const struct kolk_key_options *who,
						       uint64_t deadline_ns,
						       struct kolk_lease *lease);
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_acquire_as_async(struct kolk_loop *loop, struct kolk_pool *pool,
		      const struct kolk_key_options *who, uint64_t deadline_ns,
		      struct kolk_acquire *acquire, kolk_acquired_fn *callback, void *user);

/* Cancel a pending acquire, O(1), from the loop's own thread. KOLK_OK: the callback will not run,
 * and a connection that was already on its way is given back. KOLK_E_NOT_FOUND: the acquire is not
 * pending. */
KOLK_API enum kolk_err kolk_acquire_cancel(struct kolk_acquire *acquire);

/* Return whether a pending acquire can be served only when another caller's lease ends. True: a
 * limit on connections is reached or the circuit is open, and its key has no dial or ping under way
 * that could serve it. False: it has one or soon will, or the result is there and the callback is
 * about to run. From the loop's own thread; O(1); takes a lock. For drivers that serve many callers
 * with one acquire (a protocol with many requests per connection): callers behind an acquire that
 * waits for a lease would bypass waiters_max, and wait where others are refused. */
KOLK_API bool kolk_acquire_waits_for_lease(const struct kolk_acquire *acquire);

/* For drivers that serve many callers with one acquire: count a caller that waits for the result of
 * another caller's acquire. It counts as a waiter of the key, within waiters_max, but is in no
 * queue: it is handed no connection, and none is dialled for it. Any thread; O(1); takes a lock.
 * Errors, with nothing counted: E_QUEUE_FULL, E_DRAINING, E_ROTATED, E_FORKED. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_waiter_add(struct kolk_key *key);

/* Stop counting such a caller. Required before its key is closed. */
KOLK_API void kolk_waiter_remove(struct kolk_key *key);

/* kolk_acquire_async for a caller that kolk_waiter_add has counted. Its count moves to the queue,
 * so E_QUEUE_FULL cannot occur. Whatever this returns, do not call kolk_waiter_remove for the
 * caller afterwards. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_waiter_acquire_async(struct kolk_loop *loop, struct kolk_key *key, uint64_t deadline_ns,
			  struct kolk_acquire *acquire, kolk_acquired_fn *callback, void *user);

/* Give a connection back. If it is proved clean, it goes to the oldest waiter or becomes idle;
 * otherwise it is closed and the reason counted. KOLK_OK means in either case that the lease has
 * ended. *lease is not changed: it is stale. Errors, with nothing changed: E_LEASE_STALE,
 * E_LEASE_BUSY (another thread is inside a blocking operation or a release of it), E_FORKED. */
KOLK_API enum kolk_err kolk_release(struct kolk_lease *lease);

/* Give it back to be closed: it is broken, its request was cancelled, or its state is in doubt.
 * Errors as kolk_release. */
KOLK_API enum kolk_err kolk_discard(struct kolk_lease *lease);

/* The same with a reason, which is counted and logged: a driver knows what its peer did. While the
 * endpoint is on probation, a reason that says what the peer did (kolk/error.h, column err) makes
 * the dial of this connection a failed one. Errors: as kolk_release, E_OPTIONS (there is no such
 * reason). */
KOLK_API enum kolk_err kolk_discard_for(struct kolk_lease *lease, enum kolk_reason reason);

/* Release, and check that the lease is of this engine; for programs with several. Errors:
 * E_LEASE_FOREIGN, and those of kolk_release. */
KOLK_API enum kolk_err kolk_engine_release(struct kolk_engine *engine, struct kolk_lease *lease);

/* Mark the lease with its owner, for leak reports; 0 = no owner. Errors: E_LEASE_STALE. */
KOLK_API enum kolk_err kolk_lease_tag(const struct kolk_lease *lease, uint64_t tag);

/* Keep this lease for a stateful session: until it is released it is not reported as overdue, and
 * inspection shows it as pinned. It counts against every limit as any other. Errors:
 * E_LEASE_STALE. */
KOLK_API enum kolk_err kolk_lease_pin(const struct kolk_lease *lease);

/* Tell the pool how long the peer said it keeps an idle connection (HTTP's Keep-Alive: timeout=; 1
 * ms or more): for ten minutes from now, the pool closes idle connections an eighth earlier than
 * that. A time-out that it learns by itself from connections that the peer closed has the same
 * effect. Errors: E_LEASE_STALE, E_OPTIONS. */
KOLK_API enum kolk_err kolk_lease_peer_idle(const struct kolk_lease *lease, uint64_t idle_ns);

/* Tell the pool that the peer answered a request on this lease, which proves that its dial was
 * good. A release after I/O says the same; this is for leases that are kept for many requests, and
 * for connections that are closed after an answer. While the endpoint is on probation (a connection
 * to it ended unused), the proof lets further connections be dialled, and a later end of this one
 * is not a failed dial. At other times it costs two loads. Errors: E_LEASE_STALE, E_LEASE_BUSY
 * (another thread is inside an operation on it), E_REVOKED. */
KOLK_API enum kolk_err kolk_lease_served(const struct kolk_lease *lease);

/* Describe what was leased: fill *info, whose size is set by KOLK_INIT. Errors: E_LEASE_STALE,
 * E_OPTIONS, E_LEASE_BUSY (another thread is inside an operation on it), E_REVOKED. */
KOLK_API enum kolk_err kolk_lease_info(const struct kolk_lease *lease,
				       struct kolk_lease_info *info);

/* Get the current socket_timeout_ns and request_timeout_ns of the pool's options: how long a
 * request on this lease may pause and last if its caller gives no time-out. For drivers. Errors:
 * E_LEASE_STALE. */
KOLK_API enum kolk_err kolk_lease_timeouts(const struct kolk_lease *lease, uint64_t *socket_ns,
					   uint64_t *request_ns);

/* Ask the kernel what TCP knows of the leased connection (TCP_INFO, tcp(7)): its smoothed
 * round-trip time, and how many segments it has retransmitted so far. One system call. Errors:
 * E_LEASE_STALE, E_LEASE_BUSY, E_REVOKED, E_UNSUPPORTED (a resource, a Unix socket). */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_lease_tcp(const struct kolk_lease *lease,
						      uint64_t *rtt_ns, uint64_t *resent);

/* Run a function on the driver's memory of the leased connection and return its result. This counts
 * as an operation on the lease, so the connection is not closed meanwhile. driver is the driver
 * whose memory the caller expects. The function must not call back into kolk. From any thread that
 * may use the lease; while asynchronous operations are in flight, only from their loop's thread.
 * Errors: E_LEASE_STALE, E_LEASE_BUSY, E_REVOKED, E_UNSUPPORTED (another driver's pool). */
struct kolk_driver;
typedef enum kolk_err kolk_session_fn(void *user, void *session);
KOLK_API enum kolk_err kolk_lease_session(const struct kolk_lease *lease,
					  const struct kolk_driver *driver, kolk_session_fn *run,
					  void *user);

/* Return the resource of a resource pool's lease; NULL if the lease is stale or of another pool. */
KOLK_API void *kolk_lease_resource(const struct kolk_lease *lease);

KOLK_END

#endif
