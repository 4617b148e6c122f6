/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.c - a connection's life after the dial: watched, pinged, proved clean, closed.
 */
#include "transport/link.h"

#include <errno.h>

#include "core/base/atomic.h"
#include "transport/child.h"
#include "transport/connect.h"
#include "transport/dial.h"
#include "transport/dns_cache.h"
#include "transport/exchange.h"
#include "transport/input.h"
#include "transport/resource.h"
#include "transport/tls.h"
#include "transport/upstream.h"

/* ---- memory */

/* With the driver's session, or the operation of an asynchronous resource, which lie behind it. */
static size_t link_bytes(const struct kolk__upstream *upstream)
{
	return sizeof(struct kolk__link) + kolk__resource_op_bytes(upstream) +
	       (upstream->driver != NULL ? upstream->driver->session_bytes : 0);
}

void *kolk__link_driver_session(struct kolk__link *link)
{
	const struct kolk_driver *driver = link->upstream->driver;

	return driver != NULL && driver->session_bytes > 0 ? link + 1 : NULL;
}

struct kolk__link *kolk__link_make(struct kolk__io_loop *loop, struct kolk__upstream *upstream,
				   void *connection)
{
	struct kolk__transport *transport = loop->transport;
	struct kolk__link *link = kolk__alloc(transport, link_bytes(upstream));

	KOLK__ON_LOOP(loop);
	if (link == NULL)
		return NULL;
	link->loop = loop;
	if (!kolk__progress_begin(link)) {
		kolk__dealloc(transport, link, link_bytes(upstream));
		return NULL;
	}
	link->upstream = kolk__upstream_ref(upstream);
	link->connection = connection;
	link->fd = -1;
	kolk__dns_cache_count(upstream->dns, 1);
	link->next = loop->links;
	link->prev = &loop->links;
	if (link->next != NULL)
		link->next->prev = &link->next;
	loop->links = link;
	return link;
}

struct kolk__link *kolk__link_accept(struct kolk__io_loop *loop, struct kolk__upstream *upstream,
				     int fd)
{
	struct kolk__link *link = kolk__link_make(loop, upstream, NULL);

	if (link == NULL)
		return NULL;
	link->fd = fd;
	link->phase = KOLK__HANDSHAKING;
	kolk__store_relaxed(&link->used, true); /* whatever comes is expected */
	return link;
}

void kolk__link_accepted(struct kolk__link *link)
{
	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_DIALING);
	kolk__progress_end(link);
	link->phase = KOLK__READY;
}

/* The driver's close, at most once, and only if it was called before. */
static void driver_close(struct kolk__link *link, bool can_send)
{
	const struct kolk_driver *driver = link->upstream->driver;

	if (!link->driver_begun)
		return;
	link->driver_begun = false;
	if (driver->close != NULL)
		driver->close(link->upstream->driver_user, kolk__link_driver_session(link),
			      can_send ? (struct kolk_exchange *)(void *)link : NULL);
}

void kolk__link_free(struct kolk__link *link)
{
	struct kolk__transport *transport = link->loop->transport;
	struct kolk__upstream *upstream = link->upstream;

	KOLK__HOME(link);
	driver_close(link, false);
	*link->prev = link->next;
	if (link->next != NULL)
		link->next->prev = link->prev;
	kolk__tls_close(link);
	kolk__dns_cache_cancel(link);
	kolk__dns_cache_count(upstream->dns, -1);
	if (link->progress != NULL)
		kolk__connect_free(link);
	kolk__progress_end(link);
	kolk__child_free(link);
	kolk__output_free(link);
	kolk__input_free(link);
	kolk__dealloc(transport, link, link_bytes(upstream));
	kolk__upstream_unref(upstream);
}

static bool has_job(const struct kolk__link *link)
{
	return link->upstream->resource != NULL &&
	       (link->job != NULL || kolk__resource_is_busy(link));
}

bool kolk__link_is_quiescent(const struct kolk__link *link)
{
	const struct kolk__progress *progress = link->progress;

	if (progress != NULL && (progress->send_op.in_flight || progress->recv_op.in_flight))
		return false;
	return !link->watch_op.in_flight && kolk__connect_is_done(link) &&
	       kolk__child_is_done(link) && !has_job(link) &&
	       !kolk__load_acquire(&link->task_posted);
}

/* ---- ready, and the peer's end */

void kolk__link_retire(struct kolk__link *link, enum kolk_reason reason)
{
	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_READY | KOLK__WHEN_IN_MAINTENANCE | KOLK__WHEN_CLOSING);
	if (link->retired)
		return;
	link->retired = true;
	link->loop->transport->callbacks.retire(link->connection, reason);
}

void kolk__link_trim(struct kolk__link *link)
{
	if (link->in.capacity > 0 && kolk__input_size(link) == 0)
		kolk__input_free(link);
}

void kolk__link_trim_output(struct kolk__link *link)
{
	if (link->tls == NULL && link->output != NULL && kolk__output_size(link) == 0)
		kolk__output_free(link);
}

void kolk__link_become_ready(struct kolk__link *link)
{
	struct kolk__transport *transport = link->loop->transport;

	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_DIALING);
	kolk__progress_end(link); /* cancelled or not: its pool discards it, or wants it again */
	kolk__output_free(link);
	kolk__link_trim(link);
	link->phase = KOLK__READY;
	if (link->fd >= 0)
		kolk__input_watch(link);
	transport->callbacks.ready(link->connection);
}

/* ---- clean, or why not */

static enum kolk_err dirty(enum kolk_reason why, enum kolk_reason *reason)
{
	*reason = why;
	return KOLK_E_PROTOCOL;
}

static enum kolk_err resource_clean(struct kolk__link *link, enum kolk_reason *reason)
{
	const struct kolk_resource_driver *resource = link->upstream->resource;
	enum kolk_err err = resource->begin_reset != NULL ? KOLK_PENDING : KOLK_OK;

	if (resource->reset != NULL)
		err = resource->reset(link->upstream->driver_user, link->resource);
	if (err == KOLK_OK || (err == KOLK_PENDING && resource->begin_reset != NULL &&
			       kolk__load_relaxed(&link->upstream->times.reset_ns) > 0))
		return err;
	return dirty(KOLK_REASON_RESET_FAILED, reason);
}

/* ---- between two leases, and before the first send of one */

enum kolk_reason kolk__link_reason(enum kolk_err err)
{
	switch (err) {
	case KOLK_OK:
		return KOLK_REASON_NONE;
	case KOLK_E_CLOSED:
	case KOLK_E_TLS_TRUNCATED:
		return KOLK_REASON_PEER_CLOSED;
	case KOLK_E_RESET:
	case KOLK_E_UNREACHABLE:
		return KOLK_REASON_PEER_RESET;
	case KOLK_E_PROTOCOL:
	case KOLK_E_TLS:
		return KOLK_REASON_PEER_DATA;
	case KOLK_E_FLOOD:
		return KOLK_REASON_FLOOD;
	default:
		return KOLK_REASON_IO_ERROR;
	}
}

/* link.in. TLS has to decrypt it: a ticket is no data. */
static enum kolk_err check_buffered(struct kolk__link *link)
{
	enum kolk_err err;

	if (link->tls == NULL)
		return kolk__input_size(link) != 0 ? KOLK_E_PROTOCOL : KOLK_OK;
	err = kolk__tls_peek(link);
	return err == KOLK_PENDING ? KOLK_OK : err == KOLK_OK ? KOLK_E_PROTOCOL : err;
}

/* More than any number of tickets: there is no waiting for a peer that sends without end. */
enum { UNSOLICITED_MAX = 1024 * 1024 };

/* Without a stream: check the socket and, for TLS, decrypt what is in it. */
static enum kolk_err check_socket(struct kolk__link *link)
{
	const struct kolk_sys *sys = link->loop->transport->sys;
	int64_t waiting = sys->sock_peek(sys->context, link->fd);
	enum kolk_err err = KOLK_OK;
	size_t received = 0, size;
	uint8_t *space;

	while (link->tls != NULL && waiting > 0 && err == KOLK_OK && received < UNSOLICITED_MAX) {
		space = kolk__input_reserve(link, &size);
		if (space == NULL)
			return KOLK_E_MEMORY;
		waiting = sys->sock_recv(sys->context, link->fd, space, size);
		if (waiting <= 0)
			break;
		kolk__input_received(link, (size_t)waiting);
		received += (size_t)waiting;
		err = check_buffered(link);
	}
	if (err != KOLK_OK || waiting == -EAGAIN)
		return err;
	return waiting > 0 ? KOLK_E_PROTOCOL : kolk__err_of(waiting);
}

/* Unsolicited bytes may be harmless. */
static bool may_be_harmless(const struct kolk__link *link)
{
	return link->tls != NULL || link->upstream->driver->heard != NULL;
}

/* A stream has brought it already, so no system call; but link.in is the home loop's then. */
enum kolk_err kolk__link_check_input(struct kolk__link *link, bool at_home)
{
	bool streams = kolk__load_acquire(&link->streaming);
	uint32_t unread = streams ? kolk__load_sc(&link->unread) : 0; /* STREAM.SC */
	enum kolk_err err;

	KOLK__AT_HOME(link, at_home);
	if (streams && unread == 0)
		return KOLK_OK;
	if (streams && !at_home)
		return may_be_harmless(link)	   ? KOLK_PENDING :
		       unread == KOLK__UNREAD_END ? KOLK_E_CLOSED : KOLK_E_PROTOCOL;
	if (link->ended)
		return kolk__link_end(link);
	err = check_buffered(link);
	return err == KOLK_OK && !streams ? check_socket(link) : err;
}

enum kolk_err kolk__link_take_unsolicited(struct kolk__link *link, bool at_home)
{
	enum kolk_err err = kolk__link_check_input(link, at_home);

	KOLK__AT_HOME(link, at_home);
	link->unsolicited_bytes = 0;
	while (err == KOLK_E_PROTOCOL && (err = kolk__link_feed_unsolicited(link)) == KOLK_OK)
		err = kolk__output_flush(link) ? kolk__link_check_input(link, at_home) : KOLK_E_CLOSED;
	if (err == KOLK_OK && link->tls != NULL)
		kolk__tls_mark_early(link);
	return err;
}

/* Whatever the peer did means one thing to the caller: this connection has ended, nothing was
 * sent. */
enum kolk_err kolk__link_admit(struct kolk__link *link, bool at_home)
{
	enum kolk_err err = kolk__link_take_unsolicited(link, at_home);

	if (err == KOLK_OK || err == KOLK_PENDING)
		return err;
	link->failed = link->refused = true;
	return kolk__link_reason(err) == KOLK_REASON_IO_ERROR && err != KOLK_E_LIMIT ? err :
										       KOLK_E_CLOSED;
}

enum kolk_err kolk__link_begin_use(struct kolk__link *link, bool at_home)
{
	KOLK__AT_HOME(link, at_home);
	if (kolk__load_relaxed(&link->used))
		return KOLK_OK;
	kolk__store_sc(&link->used, true); /* STREAM.SC */
	kolk__child_mark_used(link);
	return kolk__link_admit(link, at_home);
}

/* Not clean, and something can be done about it at home. */
static bool can_reset(const struct kolk__link *link, enum kolk_err err)
{
	const struct kolk_driver *driver = link->upstream->driver;

	return kolk__load_relaxed(&link->upstream->times.reset_ns) > 0 &&
	       (err == KOLK_PENDING ? driver->mend != NULL : driver->heard != NULL);
}

/* Ask the driver, and check what is known to be left; only then check the socket. */
static enum kolk_err check_clean(struct kolk__link *link, bool owns_input, enum kolk_reason *reason)
{
	const struct kolk_driver *driver = link->upstream->driver;
	enum kolk_err err = KOLK_OK;

	if (driver->clean != NULL)
		err = driver->clean(link->upstream->driver_user, kolk__link_driver_session(link));
	if (err == KOLK_OK && owns_input)
		err = check_buffered(link);
	if (err == KOLK_OK)
		return err;
	return can_reset(link, err) ? KOLK_PENDING : dirty(KOLK_REASON_DIRTY, reason);
}

enum kolk_err kolk__link_clean(struct kolk__link *link, bool at_home, enum kolk_reason *reason)
{
	bool owns_input = at_home || !kolk__load_acquire(&link->streaming); /* link.in */
	enum kolk_err err;

	KOLK__AT_HOME(link, at_home);
	KOLK__PHASE(link, KOLK__WHEN_READY);
	if (link->upstream->resource != NULL)
		return resource_clean(link, reason);
	if (!kolk__load_relaxed(&link->used))
		return KOLK_OK;
	link->written = link->awaits_reply = false;
	if (link->failed)
		return dirty(KOLK_REASON_IO_ERROR, reason);
	if (!kolk__output_flush(link))
		return dirty(KOLK_REASON_DIRTY, reason);
	err = check_clean(link, owns_input, reason);
	if (err != KOLK_OK)
		return err;
	if (owns_input)
		kolk__link_trim(link);
	kolk__link_trim_output(link);
	kolk__store_sc(&link->used, false); /* STREAM.SC */
	err = kolk__link_check_input(link, at_home);
	if (err == KOLK_OK)
		return err;
	if (err == KOLK_PENDING || (err == KOLK_E_PROTOCOL && can_reset(link, err)))
		return KOLK_PENDING;
	return dirty(kolk__link_reason(err), reason);
}

bool kolk__link_written(struct kolk__link *link, bool reset)
{
	bool written = link->written;

	if (reset)
		link->written = false;
	return written;
}

enum kolk_err kolk__link_tcp(struct kolk__link *link, uint32_t *rtt_us, uint32_t *resent)
{
	const struct kolk_sys *sys = link->loop->transport->sys;

	if (link->fd < 0 || sys->sock_info(sys->context, link->fd, rtt_us, resent) != 0)
		return KOLK_E_UNSUPPORTED;
	return KOLK_OK;
}

bool kolk__link_must_acknowledge(const struct kolk__link *link)
{
	return link->fd >= 0 && link->tls == NULL && link->upstream->driver->speaks_first != 0;
}

void kolk__link_acknowledge(struct kolk__link *link)
{
	const struct kolk_sys *sys = link->loop->transport->sys;

	sys->sock_acknowledge(sys->context, link->fd);
}

void *kolk__link_session(struct kolk__link *link, const struct kolk_driver *driver)
{
	return link->upstream->driver_given == driver ? kolk__link_driver_session(link) : NULL;
}

void *kolk__link_resource(struct kolk__link *link)
{
	return link->upstream->resource != NULL ? link->resource : NULL;
}

/* ---- close */

void kolk__link_close_if_quiescent(struct kolk__link *link)
{
	struct kolk__transport *transport = link->loop->transport;
	void *connection = link->connection;

	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_CLOSING);
	if (!kolk__link_is_quiescent(link))
		return;
	if (link->fd >= 0)
		transport->sys->sock_close(transport->sys->context, link->fd);
	kolk__link_free(link);
	transport->callbacks.closed(connection);
}

/* Send the driver's close message and close_notify, if the socket takes them at once: there is no
 * waiting for a peer that does not read. */
static void close_gracefully(struct kolk__link *link)
{
	bool can_send = !link->failed && !link->retired &&
			(link->output == NULL || kolk__buffer_size(&link->output->out) == 0);

	driver_close(link, can_send);
	if (!can_send)
		return;
	if (link->tls != NULL)
		kolk__tls_notify(link);
	(void)kolk__output_flush(link);
}

void kolk__link_close(struct kolk__link *link)
{
	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_READY);
	link->phase = KOLK__CLOSING_LINK;
	if (link->upstream->resource != NULL) {
		kolk__resource_close(link);
		return;
	}
	close_gracefully(link);
	kolk__child_stop(link, true);
	kolk__cancel(link->loop, &link->watch_op);
	kolk__link_close_if_quiescent(link);
}

void kolk__link_revoke(struct kolk__link *link)
{
	const struct kolk_sys *sys = link->loop->transport->sys;

	if (link->fd >= 0)
		sys->sock_shutdown(sys->context, link->fd);
}
