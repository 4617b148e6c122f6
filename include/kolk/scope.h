/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/scope.h - give back everything that a request took when the request ends.
 *
 * For gateways that keep nothing between two requests. A scope begins with the request and owns
 * what is taken in it: leases, pending acquires, clients and calls of kolk/mcp.h (their options
 * have a field for it), and whatever else the embedder adds. kolk_scope_end gives all of it back,
 * wherever the request stopped. A lease may be released before, like any other, and leaves its
 * scope by that.
 *
 * Threads:   one thread at a time uses a scope; only their loop's thread while it has pending
 *            acquires or calls.
 * Costs:     a scope is memory of the caller and has no lock. Up to KOLK_SCOPE_INSIDE leases at a
 *            time need no allocation. For more, memory is allocated, twice as much each time, and
 *            kept until the end.
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

/* What happens to leases at the end. */
enum kolk_scope_outcome {
	KOLK_SCOPE_RELEASE = 0, /* kolk_release: idle again if they are proved clean */
	KOLK_SCOPE_DISCARD      /* kolk_discard: the request stopped somewhere: their state is in
	                         * doubt */
};

/* Ends an item. kolk_scope_end calls it, on its thread. The item has left the scope by then, so its
 * memory may be freed here. Any value but KOLK_OK means that it could not be ended now: it stays in
 * the scope, and its memory must stay valid. Must add nothing to the scope. */
typedef enum kolk_err kolk_scope_end_fn(void *user, enum kolk_scope_outcome outcome);

/* An item of a scope, in the caller's memory. All zero = in no scope. The fields are the
 * scope's. */
struct kolk_scope_item {
	struct kolk_scope *scope;
	struct kolk_scope_item *next, *previous;
	kolk_scope_end_fn *end;
	void *user;
};

/* An acquire that ends with its scope. The memory is the caller's and must stay valid until the
 * acquire, or the scope, has ended. All fields but acquire.lease are the scope's. */
struct kolk_scope_acquire {
	struct kolk_acquire acquire; /* its lease is filled on KOLK_OK */
	struct kolk_scope_item item;
	kolk_acquired_fn *callback;
	void *user;
};

KOLK_BEGIN

/* Begin a scope, empty, in memory with any content. */
KOLK_API void kolk_scope_begin(struct kolk_scope *scope);

/* kolk_acquire, with the scope as owner of the lease. Errors: E_MEMORY (more than KOLK_SCOPE_INSIDE
 * leases, and no memory for another; nothing is acquired), and those of kolk_acquire. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_scope_acquire(struct kolk_scope *scope,
							  struct kolk_key *key,
							  uint64_t deadline_ns,
							  struct kolk_lease *lease);

/* kolk_acquire_async, with the scope as owner of the lease, from before the callback runs. While it
 * is pending, the end of the scope cancels it. Errors: E_MEMORY, and those of
 * kolk_acquire_async. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_scope_acquire_async(struct kolk_scope *scope, struct kolk_loop *loop, struct kolk_key *key,
			 uint64_t deadline_ns, struct kolk_scope_acquire *acquire,
			 kolk_acquired_fn *callback, void *user);
/* kolk_acquire_cancel of a pending one; it leaves the scope. */
KOLK_API enum kolk_err kolk_scope_acquire_cancel(struct kolk_scope_acquire *acquire);

/* Add a lease that was acquired without a scope. Errors: E_LEASE_STALE, E_MEMORY; the lease then
 * stays the caller's. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_scope_add(struct kolk_scope *scope,
						      const struct kolk_lease *lease);
/* Remove a lease without ending it, to keep it beyond the scope. Errors: E_NOT_FOUND. */
KOLK_API enum kolk_err kolk_scope_remove(struct kolk_scope *scope, const struct kolk_lease *lease);

/* Add anything else: `end` is called with user. An item is in one scope at most. */
KOLK_API void kolk_scope_add_item(struct kolk_scope *scope, struct kolk_scope_item *item,
				  kolk_scope_end_fn *end, void *user);
/* Remove an item from its scope; does nothing if it is in none. */
KOLK_API void kolk_scope_remove_item(struct kolk_scope_item *item);

/* End the scope: items first, the last one added first, then leases. Afterwards it is empty and may
 * be used again. Anything that cannot be given back now stays in it, and everything else is given
 * back: the result is the error of the first that failed, and the scope must be ended again.
 * Errors: E_LEASE_BUSY (another thread is inside an operation on a lease), E_THREAD (an acquire is
 * pending on another thread's loop), E_FORKED, and those of items. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_scope_end(struct kolk_scope *scope,
						      enum kolk_scope_outcome outcome);

KOLK_END

#endif
