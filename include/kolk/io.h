/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/io.h - send and receive on a lease, plain and TLS alike.
 *
 * Blocking calls are for plain threads: they work on the socket directly, with no hop
 * through a loop. Asynchronous calls are for the thread of a loop. One send and one receive
 * may be in flight on a lease at a time.
 * An operation that began and ended with an error, including KOLK_E_CANCELLED, makes the connection
 * unusable: release then closes it. A receive that returns KOLK_OK got at least one byte.
 */
#ifndef KOLK_IO_H
#define KOLK_IO_H

#include <kolk/error.h>

struct kolk_io {
	uint64_t opaque[28];
};

/* Both directions of a connection at once. */
struct kolk_transfer {
	const void *data; /* what is left to be sent; advanced by the call */
	size_t size;      /* bytes left; reduced by the call */
	void *buffer;     /* for what is received meanwhile */
	size_t capacity;
	size_t received;  /* bytes in buffer; set by the call */
};

/* Runs exactly once on the loop's thread, from step or run. size = bytes moved. The
 * kolk_io is no longer used and may be freed or reused here. */
typedef void kolk_io_fn(void *user, enum kolk_err err, size_t size);

KOLK_BEGIN

/* Send all bytes. Blocks until the kernel has taken them or the deadline has passed (absolute,
 * required; KOLK_FOREVER). If a peer stops reading until its answers are read, it and the caller
 * wait for each other: use kolk_send_recv where both directions may be large. The first send of a
 * lease checks whether anything arrived while the connection was idle; if so, it returns E_CLOSED
 * with nothing sent: retry on another connection. Errors: E_TIMEOUT, E_CLOSED, E_RESET, E_TLS,
 * E_IO, E_LEASE_STALE, E_LEASE_BUSY, E_REVOKED, E_UNSUPPORTED (a resource), E_THREAD (on a
 * loop). */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_send_all(const struct kolk_lease *lease,
						     const void *data, size_t size,
						     uint64_t deadline_ns);

/* Receive at least one byte and at most capacity. E_CLOSED = a clean end of the stream,
 * E_TLS_TRUNCATED = a TLS stream cut off; otherwise as kolk_send_all. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_recv(const struct kolk_lease *lease, void *buffer,
						 size_t capacity, uint64_t deadline_ns,
						 size_t *received);

/* Send, and receive while the peer takes no more. Blocks until all is sent (transfer->size is 0) or
 * something was received (transfer->received is not 0), whichever comes first; while size is not 0,
 * call again. Nothing is received as long as the kernel takes what is sent. If the peer ends its
 * own direction meanwhile, the result is E_CLOSED, and kolk_send_all may send the rest. capacity 0
 * is E_OPTIONS. Otherwise as kolk_send_all. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_send_recv(const struct kolk_lease *lease,
						      struct kolk_transfer *transfer,
						      uint64_t deadline_ns);

/* Send all bytes, or receive some, from the loop's thread. data, buffer and io stay the caller's
 * and must stay valid until the callback. KOLK_PENDING: the callback will run. Any other value:
 * refused, the callback never runs. */
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

/* Allow the callback of a send that is pending to run up to 0.2 ms late, for instance when the peer
 * will speak next: the loop then does not wake for this callback alone. lazy false withdraws that,
 * for instance when there is more to send. From the loop's thread. */
KOLK_API void kolk_io_lazy(struct kolk_io *io, bool lazy);

/* Ask a pending operation to end early; its callback still runs, with E_CANCELLED or with
 * what it had done by then. From the loop's thread. Errors: E_NOT_FOUND. */
KOLK_API enum kolk_err kolk_io_cancel(struct kolk_io *io);

KOLK_END

#endif
