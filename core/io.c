/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io.c - operations on a lease: the lease is checked by making it BUSY, so the connection is not
 * revoked or released under a running operation.
 *
 * SC3 (conn.h): a revoke stores revoked and then tries to take the lease; the end of an
 * operation makes it LEASED again and then loads revoked.
 */
#include "core/release.h"
#include "core/wait.h"

enum kolk_err kolk__operation_begin(const struct kolk_lease *lease, struct kolk_loop *user)
{
	struct kolk__conn *conn = lease->connection;
	uint64_t lease_word = lease->ticket, busy = kolk__word_with(lease_word, KOLK__BUSY);
	struct kolk_engine *engine;

	if (conn == NULL)
		return KOLK_E_LEASE_STALE;
	engine = kolk__load_relaxed(&conn->key)->engine;
	if (kolk__is_child(engine))
		return KOLK_E_FORKED;
	if (kolk__state_of(lease_word) != KOLK__LEASED)
		return kolk__misuse(engine, KOLK_E_LEASE_STALE);
	/* One of this loop's is in flight, as mostly when a receive begins: known without a
	 * compare-and-swap. */
	if (user != NULL && kolk__conn_word(conn) == busy && kolk__user(conn) == user)
		return KOLK_OK;
	if (kolk__conn_set_busy(conn, &lease_word)) {
		kolk__store_relaxed(&conn->user, (uint16_t)(user != NULL ? user->index + 1 : 0));
		return KOLK_OK;
	}
	return lease_word != busy ? kolk__lease_stale(lease) : kolk__misuse(engine, KOLK_E_LEASE_BUSY);
}

bool kolk__operation_end(struct kolk__conn *conn)
{
	uint64_t word = kolk__conn_own_word(conn);

	KOLK__STATE(conn, KOLK__IS_BUSY | KOLK__IS_CLOSING);
	if (kolk__state_of(word) == KOLK__CLOSING) { /* released with operations in flight */
		kolk__retire(conn, (enum kolk_reason)kolk__own(&conn->reason));
		return false;
	}
	/* A thread that finds it BUSY next must not take that for what a loop has in flight
	 * here. */
	kolk__store_relaxed(&conn->user, 0);
	kolk__conn_set(conn, KOLK__LEASED);
	if (kolk__load_sc(&conn->revoked) != KOLK__REVOKED) /* SC3 */
		return true;
	if (kolk__conn_try_set(conn, kolk__word_with(word, KOLK__LEASED), KOLK__CLOSING))
		kolk__retire(conn, KOLK_REASON_REVOKED);
	return false;
}

/* ---- blocking: on a plain thread */

static enum kolk_err begin_blocking(const struct kolk_lease *lease)
{
	enum kolk_err err;

	if (kolk_loop_current() != NULL)
		return KOLK_E_THREAD;
	err = kolk__operation_begin(lease, NULL);
	if (err == KOLK_OK)
		kolk__release_flags_set(lease->connection, KOLK__DID_IO);
	return err;
}

enum kolk_err kolk_send_all(const struct kolk_lease *lease, const void *data, size_t size,
			    uint64_t deadline_ns)
{
	struct kolk__conn *conn = lease->connection;
	enum kolk_err err = begin_blocking(lease);

	if (err != KOLK_OK)
		return err;
	err = kolk__link_send(conn->link, data, size, deadline_ns);
	return kolk__operation_end(conn) ? err : KOLK_E_REVOKED;
}

enum kolk_err kolk_recv(const struct kolk_lease *lease, void *buffer, size_t capacity,
			uint64_t deadline_ns, size_t *received)
{
	struct kolk__conn *conn = lease->connection;
	enum kolk_err err = begin_blocking(lease);

	*received = 0;
	if (err != KOLK_OK)
		return err;
	err = kolk__link_recv(conn->link, (struct kolk__space){ buffer, capacity }, deadline_ns,
			      received);
	return kolk__operation_end(conn) ? err : KOLK_E_REVOKED;
}

enum kolk_err kolk_send_recv(const struct kolk_lease *lease, struct kolk_transfer *transfer,
			     uint64_t deadline_ns)
{
	struct kolk__conn *conn = lease->connection;
	enum kolk_err err = begin_blocking(lease);

	transfer->received = 0;
	if (err != KOLK_OK)
		return err;
	err = kolk__link_send_recv(conn->link, transfer, deadline_ns);
	return kolk__operation_end(conn) ? err : KOLK_E_REVOKED;
}

/* ---- asynchronous: one send and one receive may be in flight; the last one ends the operation */

static struct kolk__io *io_of(struct kolk_io *io)
{
	return (struct kolk__io *)(void *)io;
}

/* No other is in flight. */
static bool is_last(const struct kolk__conn *conn)
{
	return kolk__link_io(conn->link, true) == NULL && kolk__link_io(conn->link, false) == NULL;
}

/* A revoke shuts the socket down, which looks like a close by the peer to operations in flight. One
 * that its holder cancelled, or whose lease was released, keeps its own error. */
static enum kolk_err end_of(struct kolk__conn *conn, enum kolk_err err)
{
	bool released = kolk__state_of(kolk__conn_own_word(conn)) == KOLK__CLOSING;
	bool revoked;

	if (is_last(conn))
		revoked = !kolk__operation_end(conn);
	else
		revoked = err != KOLK_OK && kolk__load_sc(&conn->revoked) == KOLK__REVOKED;
	if (revoked && (err == KOLK_OK || (!released && err != KOLK_E_CANCELLED)))
		return KOLK_E_REVOKED;
	return err;
}

static void io_done(struct kolk__io *io, enum kolk_err err, size_t size)
{
	struct kolk__conn *conn = io->connection;
	kolk_io_fn *callback = io->callback;
	void *user = io->user;

	KOLK__IN_TURN(kolk__user(conn));
	KOLK__NO_LOCK();
	io->connection = NULL;
	callback(user, end_of(conn, err), size);
}

/* KOLK_OK: begun, and start is next. Until then the caller's io may be in flight. */
static enum kolk_err begin(struct kolk_loop *loop, const struct kolk_lease *lease, bool sending)
{
	struct kolk__conn *conn = lease->connection;
	enum kolk_err err;

	if (!kolk__is_owner(loop))
		return KOLK_E_THREAD;
	if (conn != NULL && kolk__load_relaxed(&conn->key)->engine != loop->engine)
		return kolk__misuse(loop->engine, KOLK_E_LEASE_FOREIGN);
	err = kolk__operation_begin(lease, loop);
	if (err != KOLK_OK)
		return err;
	kolk__release_flags_set(conn, KOLK__DID_IO);
	return kolk__link_io(conn->link, sending) == NULL ?
		       KOLK_OK : kolk__misuse(loop->engine, KOLK_E_LEASE_BUSY);
}

static enum kolk_err start(struct kolk_loop *loop, struct kolk__conn *conn, struct kolk__io *io)
{
	enum kolk_err err;

	io->connection = conn;
	io->done = io_done;
	err = io->sending ? kolk__link_send_async(conn->link, loop->io_loop, io) :
			    kolk__link_recv_async(conn->link, loop->io_loop, io);
	if (err == KOLK_PENDING)
		return err;
	io->connection = NULL;
	if (is_last(conn) && !kolk__operation_end(conn))
		err = KOLK_E_REVOKED;
	return err;
}

enum kolk_err kolk_send_async(struct kolk_loop *loop, const struct kolk_lease *lease,
			      struct kolk_io *io, const void *data, size_t size,
			      uint64_t deadline_ns, kolk_io_fn *callback, void *user)
{
	enum kolk_err err = begin(loop, lease, true);

	if (err != KOLK_OK)
		return err;
	*io_of(io) = (struct kolk__io){ .callback = callback, .user = user, .data = data,
					.size = size, .deadline_ns = deadline_ns, .sending = 1 };
	return start(loop, lease->connection, io_of(io));
}

enum kolk_err kolk_recv_async(struct kolk_loop *loop, const struct kolk_lease *lease,
			      struct kolk_io *io, void *buffer, size_t capacity,
			      uint64_t deadline_ns, kolk_io_fn *callback, void *user)
{
	enum kolk_err err = begin(loop, lease, false);

	if (err != KOLK_OK)
		return err;
	*io_of(io) = (struct kolk__io){ .callback = callback, .user = user, .buffer = buffer,
					.size = capacity, .deadline_ns = deadline_ns };
	return start(loop, lease->connection, io_of(io));
}

void kolk_io_lazy(struct kolk_io *io, bool lazy)
{
	kolk__io_lazy(io_of(io), lazy);
}

enum kolk_err kolk_io_cancel(struct kolk_io *io)
{
	if (io_of(io)->connection == NULL)
		return KOLK_E_NOT_FOUND;
	kolk__io_cancel(io_of(io));
	return KOLK_OK;
}
