/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/io.h - send and receive on a lease, plain and TLS alike.
 *
 * Blocking calls are for plain threads: they work on the socket directly, with no hop
 * through a loop. Asynchronous calls are for the thread of a loop. One send and one receive
 * may be in flight on a lease at a time.
 * An operation that began and ended with an error, KOLK_E_CANCELLED too, leaves the connection
 * unfit: release then closes it. A receive that answers KOLK_OK got at least one byte.
 */
#ifndef KOLK_IO_H
#define KOLK_IO_H

#include <kolk/error.h>

struct kolk_io {
	uint64_t opaque[28];
};

/* Both directions of a connection at once. */
struct kolk_transfer {
	const void *data; /* what is to be sent; moves on with what was */
	size_t size;      /* bytes of it that are left */
	void *buffer;     /* what comes meanwhile is received into it */
	size_t capacity;
	size_t received;  /* bytes of it; set by kolk_send_recv */
};

/* Runs exactly once on the loop's thread, from step or run. size = bytes moved. The
 * kolk_io is no longer used and may be freed or reused here. */
typedef void kolk_io_fn(void *user, enum kolk_err err, size_t size);

KOLK_BEGIN

/* Send all bytes. Blocks until the kernel took them or the deadline (absolute, required;
 * KOLK_FOREVER). A peer that stops to read until its answers are read waits for the caller, and the
 * caller for it: what may be large in both directions goes by kolk_send_recv. The first send of a
 * lease looks whether something came while the connection lay idle; then it answers E_CLOSED with
 * nothing sent: retry on another connection.
 * Errors: E_TIMEOUT, E_CLOSED, E_RESET, E_TLS, E_IO, E_LEASE_STALE, E_LEASE_BUSY, E_REVOKED,
 * E_UNSUPPORTED (a resource), E_THREAD (on a loop). */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_send_all(const struct kolk_lease *lease,
						     const void *data, size_t size,
						     uint64_t deadline_ns);

/* Receive at least one byte and at most capacity. E_CLOSED = a clean end of the stream,
 * E_TLS_TRUNCATED = a TLS stream cut off; otherwise as kolk_send_all. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_recv(const struct kolk_lease *lease, void *buffer,
						 size_t capacity, uint64_t deadline_ns,
						 size_t *received);

/* Send, and receive while the peer takes no more. Blocks until all was sent (transfer->size is 0),
 * or something came (transfer->received is not 0), whichever is first: with size left, call again.
 * What comes is not looked for as long as the kernel takes what is sent. A peer that ends its own
 * direction meanwhile: E_CLOSED, and kolk_send_all may go on. capacity 0: E_OPTIONS. Otherwise as
 * kolk_send_all. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_send_recv(const struct kolk_lease *lease,
						      struct kolk_transfer *transfer,
						      uint64_t deadline_ns);

/* Send all bytes / receive some, from the loop's thread; data, buffer and io stay the
 * caller's and must live until the callback. KOLK_PENDING: the callback will run. Any
 * other value: refused, it never runs. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_send_async(struct kolk_loop *loop,
						       const struct kolk_lease *lease,
						       struct kolk_io *io, const void *data,
						       size_t size, uint64_t deadline_ns,
						       kolk_io_fn *callback, void *user);
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_recv_async(struct kolk_loop *loop,
						       const struct kolk_lease *lease,
						       struct kolk_io *io, void *buffer,
						       size_t capacity, uint64_t deadline_ns,
						       kolk_io_fn *callback, void *user);

/* Say of a send that has answered KOLK_PENDING, and whose callback has not run, that this may run
 * up to 0.2 ms late, as when the peer will speak next: the loop then does not wake for that
 * callback alone. lazy false: take it back, as when there is more to send. From the loop's
 * thread. */
KOLK_API void kolk_io_lazy(struct kolk_io *io, bool lazy);

/* Ask a pending operation to end early; its callback still runs, with E_CANCELLED or with
 * what it had done by then. From the loop's thread. Errors: E_NOT_FOUND. */
KOLK_API enum kolk_err kolk_io_cancel(struct kolk_io *io);

KOLK_END

#endif
