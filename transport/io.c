/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io.c - send and receive for the holder of a lease on a plain thread: on the socket itself. Loops
 * do it through their ring (io_async.c). TLS is a layer in both.
 */
#include <errno.h>

#include "core/base/atomic.h"
#include "transport/input.h"
#include "transport/tls.h"
#include "transport/upstream.h"

static enum kolk_err fail(struct kolk__link *link, enum kolk_err err)
{
	link->failed = true;
	return err;
}

/* A receive that failed before any byte arrived read nothing. A driver that checks whether its
 * connections are clean knows whether an answer is still owed. */
enum kolk_err kolk__recv_end(struct kolk__link *link, enum kolk_err err)
{
	if (err == KOLK_OK)
		return err;
	if ((err == KOLK_E_TIMEOUT || err == KOLK_E_CANCELLED) &&
	    link->upstream->driver->clean != NULL)
		return err;
	return fail(link, err);
}

/* ---- blocking */

/* As a deadline: return what is there, or KOLK_PENDING. */
static const uint64_t NO_WAIT = KOLK_FOREVER - 2; /* KOLK_AT_ONCE is the one before it */

/* The limit of TLS records that the peer does not read: a record of the caller's, and answers to
 * records of the peer, which could request them without end. */
enum { QUEUED_MAX = 64 * 1024 };

/* Wait until the socket is ready; -EAGAIN is not an error then. */
static enum kolk_err wait_for(struct kolk__link *link, uint32_t events, uint64_t deadline_ns)
{
	const struct kolk_sys *sys = link->loop->transport->sys;
	int ready;

	if (deadline_ns == NO_WAIT)
		return KOLK_PENDING;
	ready = sys->sock_wait(sys->context, link->fd, events, deadline_ns);
	return ready > 0 ? KOLK_OK : ready == 0 ? KOLK_E_TIMEOUT : kolk__err_of(ready);
}

/* Send as much as the kernel accepts now. KOLK_OK = all of it; KOLK_PENDING = wait until it accepts
 * more. */
static enum kolk_err push_bytes(struct kolk__link *link, const uint8_t **bytes, size_t *size)
{
	const struct kolk_sys *sys = link->loop->transport->sys;

	while (*size > 0) {
		int64_t sent = sys->sock_send(sys->context, link->fd, *bytes, *size);

		if (sent > 0) {
			*bytes += sent;
			*size -= (size_t)sent;
		} else if (sent == -EAGAIN) {
			return KOLK_PENDING;
		} else if (sent != -EINTR) {
			return kolk__err_of(sent);
		}
	}
	return KOLK_OK;
}

/* The same for what TLS has queued. */
static enum kolk_err push_queued(struct kolk__link *link)
{
	enum kolk_err err = KOLK_OK;
	size_t size, left;
	const uint8_t *bytes;

	while (err == KOLK_OK && (bytes = kolk__output_next(link, &size)) != NULL) {
		left = size;
		err = push_bytes(link, &bytes, &left);
		kolk__output_sent(link, size - left);
	}
	return err;
}

/* What became a record counts as sent; KOLK_OK only when all records are out. */
static enum kolk_err push_records(struct kolk__link *link, const uint8_t **bytes, size_t *size)
{
	enum kolk_err err = push_queued(link);

	while (err == KOLK_OK && *size > 0) {
		size_t slice = *size < KOLK__TLS_SLICE ? *size : KOLK__TLS_SLICE;

		err = kolk__tls_write(link, *bytes, slice);
		*bytes += slice;
		*size -= slice;
		if (err == KOLK_OK)
			err = push_queued(link);
	}
	return err;
}

static enum kolk_err push(struct kolk__link *link, const uint8_t **bytes, size_t *size)
{
	return link->tls != NULL ? push_records(link, bytes, size) : push_bytes(link, bytes, size);
}

/* May this lease send? */
static enum kolk_err begin_send(struct kolk__link *link, uint64_t deadline_ns)
{
	enum kolk_err err;

	if (link->upstream->resource != NULL)
		return KOLK_E_UNSUPPORTED;
	err = kolk__link_begin_use(link, false);
	if (err == KOLK_PENDING && !kolk__input_hand_off(link, deadline_ns))
		return fail(link, KOLK_E_TIMEOUT);
	if (err == KOLK_PENDING)
		err = kolk__link_admit(link, false);
	if (err == KOLK_OK)
		link->written = link->awaits_reply = true;
	return err;
}

enum kolk_err kolk__link_send(struct kolk__link *link, const void *data, size_t size,
			      uint64_t deadline_ns)
{
	const uint8_t *bytes = data;
	enum kolk_err err = begin_send(link, deadline_ns);

	KOLK__PHASE(link, KOLK__WHEN_READY);
	if (err != KOLK_OK)
		return err;
	while ((err = push(link, &bytes, &size)) == KOLK_PENDING) {
		err = wait_for(link, KOLK_SOCK_WRITABLE, deadline_ns);
		if (err != KOLK_OK)
			break;
	}
	return err == KOLK_OK ? err : fail(link, err);
}

/* A peer that waits until its answers are read does not read what TLS has queued. */
static enum kolk_err wait_to_recv(struct kolk__link *link, uint64_t deadline_ns)
{
	enum kolk_err err = link->tls != NULL ? push_queued(link) : KOLK_OK;
	bool queued = err == KOLK_PENDING;

	if (err != KOLK_OK && !queued)
		return fail(link, err); /* part of a record may be out */
	return wait_for(link, KOLK_SOCK_READABLE | (queued ? KOLK_SOCK_WRITABLE : 0), deadline_ns);
}

/* At least one byte from the socket; 0 in *size = end of stream. */
static enum kolk_err recv_bytes(struct kolk__link *link, struct kolk__space space,
				uint64_t deadline_ns, size_t *size)
{
	const struct kolk_sys *sys = link->loop->transport->sys;
	/* The answer to what was just sent has not arrived yet: trying to read it costs a system
	 * call. */
	enum kolk_err err = link->awaits_reply ? wait_to_recv(link, deadline_ns) : KOLK_OK;

	link->awaits_reply = false;
	while (err == KOLK_OK) {
		int64_t received = sys->sock_recv(sys->context, link->fd, space.start, space.size);

		if (received >= 0) {
			*size = (size_t)received;
			return KOLK_OK;
		}
		if (received == -EAGAIN)
			err = wait_to_recv(link, deadline_ns);
		else if (received != -EINTR)
			err = kolk__err_of(received);
	}
	return err;
}

static enum kolk_err plain_recv(struct kolk__link *link, struct kolk__space space,
				uint64_t deadline_ns, size_t *size)
{
	enum kolk_err err = KOLK_OK;

	*size = kolk__input_take(link, space.start, space.size);
	if (*size == 0 && link->ended)
		return kolk__link_end(link);
	if (*size == 0)
		err = recv_bytes(link, space, deadline_ns, size);
	return err == KOLK_OK && *size == 0 ? KOLK_E_CLOSED : err;
}

static enum kolk_err tls_recv(struct kolk__link *link, struct kolk__space space,
			      uint64_t deadline_ns, size_t *size)
{
	for (;;) {
		enum kolk_err err = kolk__tls_read(link, space.start, space.size, size);
		struct kolk__space in;
		size_t got = 0;

		if (err != KOLK_PENDING)
			return err;
		err = push_queued(link); /* reading can make TLS answer */
		if (err != KOLK_OK && err != KOLK_PENDING)
			return fail(link, err);
		if (err == KOLK_PENDING && kolk__output_size(link) > QUEUED_MAX)
			return KOLK_E_TLS;
		in.start = kolk__input_reserve(link, &in.size);
		if (in.start == NULL)
			return KOLK_E_MEMORY;
		err = recv_bytes(link, in, deadline_ns, &got);
		if (err != KOLK_OK)
			return err;
		if (got > 0)
			kolk__input_received(link, got);
		else
			link->ended = true;
	}
}

/* The socket is the caller's to read. */
static enum kolk_err begin_recv(struct kolk__link *link, uint64_t deadline_ns)
{
	kolk__store_sc(&link->used, true); /* STREAM.SC */
	return kolk__load_acquire(&link->streaming) && !kolk__input_hand_off(link, deadline_ns) ?
		       KOLK_E_TIMEOUT : KOLK_OK;
}

static enum kolk_err recv_some(struct kolk__link *link, struct kolk__space space,
			       uint64_t deadline_ns, size_t *size)
{
	return link->tls != NULL ? tls_recv(link, space, deadline_ns, size) :
				   plain_recv(link, space, deadline_ns, size);
}

enum kolk_err kolk__link_recv(struct kolk__link *link, struct kolk__space space,
			      uint64_t deadline_ns, size_t *size)
{
	enum kolk_err err;

	KOLK__PHASE(link, KOLK__WHEN_READY);
	*size = 0;
	if (link->upstream->resource != NULL)
		return KOLK_E_UNSUPPORTED;
	if (space.size == 0)
		return KOLK_E_OPTIONS;
	if (link->refused)
		return KOLK_E_CLOSED;
	err = begin_recv(link, deadline_ns);
	if (err == KOLK_OK)
		err = recv_some(link, space, deadline_ns, size);
	return kolk__recv_end(link, err);
}

/* The peer accepts no more: read what it sends meanwhile, then try again. */
static enum kolk_err recv_while_blocked(struct kolk__link *link, struct kolk_transfer *transfer,
					uint64_t deadline_ns)
{
	struct kolk__space space = { transfer->buffer, transfer->capacity };
	enum kolk_err err = begin_recv(link, deadline_ns);

	if (err == KOLK_OK)
		err = recv_some(link, space, NO_WAIT, &transfer->received);
	if (err == KOLK_PENDING)
		err = wait_for(link, KOLK_SOCK_READABLE | KOLK_SOCK_WRITABLE, deadline_ns);
	return err;
}

enum kolk_err kolk__link_send_recv(struct kolk__link *link, struct kolk_transfer *transfer,
				   uint64_t deadline_ns)
{
	const uint8_t *bytes = transfer->data;
	enum kolk_err err;

	KOLK__PHASE(link, KOLK__WHEN_READY);
	transfer->received = 0;
	if (transfer->capacity == 0)
		return KOLK_E_OPTIONS;
	err = begin_send(link, deadline_ns);
	if (err != KOLK_OK)
		return err;
	while (transfer->received == 0 &&
	       (err = push(link, &bytes, &transfer->size)) == KOLK_PENDING) {
		err = recv_while_blocked(link, transfer, deadline_ns);
		if (err != KOLK_OK)
			break;
	}
	transfer->data = bytes;
	return err == KOLK_OK ? err : fail(link, err);
}
