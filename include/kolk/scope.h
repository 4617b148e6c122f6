/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/scope.h - what a request takes is given back when the request ends.
 *
 * For gateways that keep nothing between two requests. A scope is begun with the request, and what
 * is taken in it is the scope's: leases, acquires that are pending, clients and calls of kolk/mcp.h
 * (their options have a field for it), and whatever else the embedder adds. kolk_scope_end gives
 * all of it back, wherever the request stopped. A lease that ended before has left its scope by
 * that: release it as any other.
 *
 * Threads:   one thread at a time uses a scope. One that has pending acquires or calls is used by
 *            their loop's thread alone.
 * Costs:     a scope is the caller's memory and has no lock. The first KOLK_SCOPE_INSIDE leases
 *            that it holds at a time need no allocation; for more, memory is taken, twice as much
 *            each time, and kept until the end.
 * Lifetime:  from kolk_scope_begin until kolk_scope_end has returned KOLK_OK, before its engine is
 *            destroyed. Meanwhile it must not be moved or copied.
 */
#ifndef KOLK_SCOPE_H
#define KOLK_SCOPE_H

#include <kolk/lease.h>

enum { KOLK_SCOPE_INSIDE = 8 };

/* Opaque. */
struct kolk_scope {
	uint64_t opaque[24];
};

/* What becomes of leases at the end. */
enum kolk_scope_outcome {
	KOLK_SCOPE_RELEASE = 0, /* kolk_release: idle again if they are proved clean */
	KOLK_SCOPE_DISCARD      /* kolk_discard: the request stopped at some place, in doubt */
};

/* Ends what was added. Called by kolk_scope_end, on its thread, at most once for each time that it
 * was added; it has left the scope then, so that its memory may be freed here. Any value but
 * KOLK_OK: it could not be ended now, and stays in the scope. It must add nothing to the scope. */
typedef enum kolk_err kolk_scope_end_fn(void *user, enum kolk_scope_outcome outcome);

/* Memory of what is added to a scope, the caller's. All zero = in none. The fields are the
 * scope's. */
struct kolk_scope_item {
	struct kolk_scope *scope;
	struct kolk_scope_item *next, *previous;
	kolk_scope_end_fn *end;
	void *user;
};

/* An acquire that ends with its scope. Memory is the caller's and must stay until the acquire, or
 * the scope, has ended. The fields but acquire.lease are the scope's. */
struct kolk_scope_acquire {
	struct kolk_acquire acquire; /* its lease is filled on KOLK_OK */
	struct kolk_scope_item item;
	kolk_acquired_fn *callback;
	void *user;
};

KOLK_BEGIN

/* Begin: the scope is empty. Memory of any content. */
KOLK_API void kolk_scope_begin(struct kolk_scope *scope);

/* kolk_acquire, and the lease is the scope's. Errors: E_MEMORY (more than KOLK_SCOPE_INSIDE leases,
 * and no memory for another; nothing is acquired then), and those of kolk_acquire. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_scope_acquire(struct kolk_scope *scope,
							  struct kolk_key *key,
							  uint64_t deadline_ns,
							  struct kolk_lease *lease);

/* kolk_acquire_async, and the lease is the scope's, before the callback runs. While it is pending,
 * the end of the scope cancels it. Errors: E_MEMORY, and those of kolk_acquire_async. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_scope_acquire_async(struct kolk_scope *scope, struct kolk_loop *loop, struct kolk_key *key,
			 uint64_t deadline_ns, struct kolk_scope_acquire *acquire,
			 kolk_acquired_fn *callback, void *user);
/* kolk_acquire_cancel of one that is pending; it leaves the scope. */
KOLK_API enum kolk_err kolk_scope_acquire_cancel(struct kolk_scope_acquire *acquire);

/* Add a lease that was acquired otherwise. Errors: E_LEASE_STALE, E_MEMORY; it stays the
 * caller's then. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_scope_add(struct kolk_scope *scope,
						      const struct kolk_lease *lease);
/* Remove a lease without an end: it is kept beyond the scope. Errors: E_NOT_FOUND. */
KOLK_API enum kolk_err kolk_scope_remove(struct kolk_scope *scope, const struct kolk_lease *lease);

/* Add anything else: `end` is called with user. An item is in one scope at most. */
KOLK_API void kolk_scope_add_item(struct kolk_scope *scope, struct kolk_scope_item *item,
				  kolk_scope_end_fn *end, void *user);
/* Remove it from the scope that it is in; nothing happens if it is in none. */
KOLK_API void kolk_scope_remove_item(struct kolk_scope_item *item);

/* End it: items first, the last one added first, then leases. The scope is empty then and may be
 * used again. What cannot be given back now stays in it and all else is given back: the error is
 * that of the first such one, and the scope is to be ended again. Errors: E_LEASE_BUSY (another
 * thread is inside an operation on a lease), E_THREAD (an acquire is pending on another thread's
 * loop), E_FORKED, and those of items. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_scope_end(struct kolk_scope *scope,
						      enum kolk_scope_outcome outcome);

KOLK_END

#endif
