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
 *            not, unless the connection's memory is already another connection's.
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
	uint32_t loop;          /* the loop that it is at home on */
	uint64_t uses;          /* leases so far, this one counted */
	uint64_t age_ns;        /* since it was ready */
	uint64_t idle_ns;       /* how long it lay idle before this lease; coarse clock */
	uint64_t connection;    /* its number, unique in the engine */
	struct kolk_key *key;   /* borrowed while the lease lasts */
	uint32_t outdated;      /* 1 = it will be closed when it comes back: rotated, too old, hung
	                         * up, its key or pool refuses. Who keeps a lease for many
	                         * requests begins no more of them */
	uint32_t reserved;
};                          /* since 0.1 */

/* One asynchronous acquire. Memory is the caller's and must stay until it ended. */
struct kolk_acquire {
	struct kolk_lease lease; /* filled on KOLK_OK */
	uint64_t opaque[16];
};

/* Runs on the loop's thread, from step or run, never inside kolk_acquire_async. err KOLK_OK:
 * lease is the caller's now. The kolk_acquire is no longer used and may be freed here. */
typedef void kolk_acquired_fn(void *user, enum kolk_err err, const struct kolk_lease *lease);

KOLK_BEGIN

/* Take an idle connection or say KOLK_E_EMPTY; never waits. A miss starts a dial if a
 * permit is free, so that a later try can succeed. It passes over a bounded number of connections
 * that are in use: among many of those, or while another thread looks at it, it may miss one that
 * is idle.
 * Errors: E_EMPTY, E_DRAINING, E_ROTATED, E_FORKED. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_try_acquire(struct kolk_key *key,
							struct kolk_lease *lease);

/* Take a connection, wait for one until the deadline (absolute; 0 = the pool's
 * acquire_timeout_ns from now; KOLK_FOREVER). Blocks the thread; not on a loop's thread.
 * Errors: E_TIMEOUT, E_QUEUE_FULL, E_DRAINING, E_ROTATED (another credential took its place),
 * E_CIRCUIT (the endpoint fails), E_DEADLINE (it cannot be met), E_FORKED, E_THREAD, and those
 * of a dial that failed on behalf of this caller (kolk_key_failure has the details). */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_acquire(struct kolk_key *key, uint64_t deadline_ns,
						    struct kolk_lease *lease);

/* The same on a loop, from the loop's own thread. KOLK_OK: acquire->lease is filled and
 * the callback never runs. KOLK_PENDING: the callback runs exactly once, unless cancelled.
 * Any other value: refused, the callback never runs. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_acquire_async(struct kolk_loop *loop, struct kolk_key *key, uint64_t deadline_ns,
		   struct kolk_acquire *acquire, kolk_acquired_fn *callback, void *user);

/* The two for who does not keep handles of keys: the key is looked up by who it is, and made on
 * first use. Three times the cost of a hit by handle, and a lock; the key goes when its
 * connections have aged out, and idle_min is not kept for it. who is not kept. Errors: those of
 * kolk_key_open and of the acquire. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_acquire_as(struct kolk_pool *pool,
						       const struct kolk_key_options *who,
						       uint64_t deadline_ns,
						       struct kolk_lease *lease);
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_acquire_as_async(struct kolk_loop *loop, struct kolk_pool *pool,
		      const struct kolk_key_options *who, uint64_t deadline_ns,
		      struct kolk_acquire *acquire, kolk_acquired_fn *callback, void *user);

/* Cancel a pending acquire, O(1), from the loop's own thread. KOLK_OK: the callback will
 * not run, a connection that was already on its way is given back. KOLK_E_NOT_FOUND: it
 * is not pending. */
KOLK_API enum kolk_err kolk_acquire_cancel(struct kolk_acquire *acquire);

/* Does a pending acquire wait until another's lease ends? Yes: a limit on connections is reached or
 * the circuit is open, and no dial and no ping of its key is under way that could serve it. No:
 * there is one, or soon will be, or its result is there already and the callback is about to run.
 * From the loop's own thread, O(1), a lock. For who serves many callers with one acquire (a
 * protocol with many requests per connection): behind one that waits for a lease they would pass by
 * waiters_max, and wait where others are refused. */
KOLK_API bool kolk_acquire_waits_for_lease(const struct kolk_acquire *acquire);

/* For drivers that serve many callers with one acquire: count a caller that waits for what comes
 * of another's. It is one of its key's waiters, which waiters_max bounds, but in no queue: it is
 * handed no connection, and none is dialled for it. From any thread, O(1), a lock. Errors:
 * E_QUEUE_FULL, E_DRAINING, E_ROTATED, E_FORKED; it is not counted then. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_waiter_add(struct kolk_key *key);

/* It waits no more. Before its key is closed. */
KOLK_API void kolk_waiter_remove(struct kolk_key *key);

/* kolk_acquire_async for a caller that kolk_waiter_add counts: its place is in the queue now, so it
 * gets no E_QUEUE_FULL. It is not removed afterwards, whatever this returns. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_waiter_acquire_async(struct kolk_loop *loop, struct kolk_key *key, uint64_t deadline_ns,
			  struct kolk_acquire *acquire, kolk_acquired_fn *callback, void *user);

/* Give a connection back. Proved clean it goes to the oldest waiter or to idle, otherwise
 * it is closed with the reason counted; either way the lease has ended with KOLK_OK.
 * *lease stays as it is: stale. Errors: E_LEASE_STALE, E_LEASE_BUSY (another thread is inside a
 * blocking operation or a release of it), E_FORKED; nothing happens then. */
KOLK_API enum kolk_err kolk_release(struct kolk_lease *lease);

/* Give it back to be closed: in doubt, cancelled, broken. Errors as kolk_release. */
KOLK_API enum kolk_err kolk_discard(struct kolk_lease *lease);

/* The same, and say why: a driver knows what its peer did. It is counted and logged; while the
 * endpoint is on probation, a reason that says what the peer did (kolk/error.h, column err) makes
 * the dial of this connection a failed one. Errors: as kolk_release, E_OPTIONS (there is no such
 * reason). */
KOLK_API enum kolk_err kolk_discard_for(struct kolk_lease *lease, enum kolk_reason reason);

/* Release with the check that the lease is of this engine, for programs with several.
 * Errors: E_LEASE_FOREIGN, and those of kolk_release. */
KOLK_API enum kolk_err kolk_engine_release(struct kolk_engine *engine, struct kolk_lease *lease);

/* Mark the lease with its owner, for the leak watch; 0 = no owner. Errors: E_LEASE_STALE. */
KOLK_API enum kolk_err kolk_lease_tag(const struct kolk_lease *lease, uint64_t tag);

/* Keep this lease for a stateful session: until it is released the leak watch does not report it,
 * and inspection tells it apart. It counts against every limit as any other. Errors:
 * E_LEASE_STALE. */
KOLK_API enum kolk_err kolk_lease_pin(const struct kolk_lease *lease);

/* The peer said how long it keeps an idle connection (HTTP's Keep-Alive: timeout=, 1 ms or more):
 * the pool closes idle ones an eighth earlier, for ten minutes from now; what it learns by itself
 * from connections that were closed counts likewise. Errors: E_LEASE_STALE, E_OPTIONS. */
KOLK_API enum kolk_err kolk_lease_peer_idle(const struct kolk_lease *lease, uint64_t idle_ns);

/* The peer answered a request on this lease: its dial was good. A release after I/O says the same;
 * this is for leases that are kept for many requests, and for connections that are closed after an
 * answer. While the endpoint is on probation (a connection to it ended unused), others are dialled
 * from then on, and a later end of this one is no failed dial. Any other time: two loads. Errors:
 * E_LEASE_STALE, E_LEASE_BUSY (another thread is inside an operation on it), E_REVOKED. */
KOLK_API enum kolk_err kolk_lease_served(const struct kolk_lease *lease);

/* Tell what was leased. Errors: E_LEASE_STALE, E_OPTIONS, E_LEASE_BUSY (another thread is
 * inside an operation on it), E_REVOKED. */
KOLK_API enum kolk_err kolk_lease_info(const struct kolk_lease *lease,
				       struct kolk_lease_info *info);

/* How long a request on this lease may pause and last when its caller does not say: what the
 * options of its pool say now (socket_timeout_ns, request_timeout_ns). For drivers. Errors:
 * E_LEASE_STALE. */
KOLK_API enum kolk_err kolk_lease_timeouts(const struct kolk_lease *lease, uint64_t *socket_ns,
					   uint64_t *request_ns);

/* Ask the kernel what TCP knows of the leased connection (TCP_INFO, tcp(7)): its smoothed
 * round-trip time and how many segments were sent again so far. One system call. Errors:
 * E_LEASE_STALE, E_LEASE_BUSY, E_REVOKED, E_UNSUPPORTED (a resource, a Unix socket). */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_lease_tcp(const struct kolk_lease *lease,
						      uint64_t *rtt_ns, uint64_t *resent);

/* Run a function on the driver's memory of the leased connection and return what it returns. The
 * lease is inside an operation meanwhile: the connection is not closed under it. driver says whose
 * memory the caller expects. The function must not call back into kolk. From any thread that may
 * use the lease; while asynchronous operations are in flight, from their loop's. Errors:
 * E_LEASE_STALE, E_LEASE_BUSY, E_REVOKED, E_UNSUPPORTED (another driver's pool). */
struct kolk_driver;
typedef enum kolk_err kolk_session_fn(void *user, void *session);
KOLK_API enum kolk_err kolk_lease_session(const struct kolk_lease *lease,
					  const struct kolk_driver *driver, kolk_session_fn *run,
					  void *user);

/* The resource of a resource pool's lease; NULL when stale or not of a resource pool. */
KOLK_API void *kolk_lease_resource(const struct kolk_lease *lease);

KOLK_END

#endif
