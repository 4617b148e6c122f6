/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exchange.c - bytes to and fro on the home loop: TLS handshakes, a driver's opening, pings.
 *
 * One function, go, looks at what the phase wants next and begins it: send what is queued,
 * or receive, or be done. Completions only put bytes where they belong and call go again.
 */
#include <errno.h>

#include "core/base/atomic.h"
#include "transport/input.h"
#include "transport/tls.h"

enum kolk_err kolk_exchange_send(struct kolk_exchange *exchange, const void *data, size_t size)
{
	struct kolk__link *link = (struct kolk__link *)(void *)exchange;

	if (link->tls != NULL)
		return kolk__tls_write(link, data, size);
	return kolk__buffer_add(link->tloop->transport, &link->pending, data, size) ?
		       KOLK_OK : KOLK_E_MEMORY;
}

static enum kolk_phase phase_of(const struct kolk__link *link)
{
	return link->phase == KOLK__HANDSHAKING ? KOLK_PHASE_TLS :
	       link->phase == KOLK__OPENING	? KOLK_PHASE_READY : KOLK_PHASE_PING;
}

/* ---- ends */

static bool ping_failed(const struct kolk__link *link)
{
	return link->phase == KOLK__PINGING_LINK && link->failure.err != KOLK_OK &&
	       link->failure.err != KOLK_PENDING;
}

/* A ping is over when nothing of it is in flight any more. */
static void ping_over(struct kolk__link *link)
{
	struct kolk__transport *transport = link->tloop->transport;
	enum kolk_err err = link->failure.err;

	if (link->send_op.in_flight || link->recv_op.in_flight) {
		kolk__cancel(link->tloop, &link->send_op);
		kolk__cancel(link->tloop, &link->recv_op);
		return; /* their completions come back here */
	}
	kolk__timeout_stop(link->tloop, &link->timeout);
	link->phase = KOLK__READY;
	link->failed = link->failed || err != KOLK_OK;
	transport->host.pinged(link->connection, err, link->reason);
}

static void exchange_failed(struct kolk__link *link, enum kolk_err err, int64_t os_error,
			    int tls_error)
{
	if (link->phase != KOLK__PINGING_LINK) {
		kolk__dial_fail(link, err, phase_of(link), os_error, tls_error);
		return;
	}
	if (link->failure.err == KOLK_OK || link->failure.err == KOLK_PENDING)
		link->failure.err = err;
	ping_over(link);
}

/* ---- sending and receiving */

static void sent(struct kolk_op *op)
{
	struct kolk__link *link = op->owner;

	if (link->phase == KOLK__ENDING) {
		kolk__dial_end_if_quiet(link);
	} else if (op->result <= 0) {
		exchange_failed(link, kolk__err_of(op->result), op->result, 0);
	} else {
		link->out.start += (size_t)op->result;
		kolk__exchange_go(link);
	}
}

/* Begin to send what is queued; true while something is on its way. */
static bool sending(struct kolk__link *link)
{
	if (link->send_op.in_flight)
		return true;
	kolk__buffer_turn(&link->out, &link->pending);
	if (kolk__buffer_size(&link->out) == 0)
		return false;
	kolk__submit(link->tloop, &link->send_op, KOLK_OP_SEND, link->fd,
		     link->out.bytes + link->out.start, kolk__buffer_size(&link->out), sent, link);
	return true;
}

static void received(struct kolk_op *op)
{
	struct kolk__link *link = op->owner;

	if (link->phase == KOLK__ENDING) {
		kolk__dial_end_if_quiet(link);
	} else if (op->result < 0 && !ping_failed(link)) {
		exchange_failed(link, kolk__err_of(op->result), op->result, 0);
	} else {
		if (op->result > 0)
			kolk__input_came(link, (size_t)op->result);
		else
			link->ended = true;
		kolk__exchange_input(link);
	}
}

/* More input, wanted: by the stream, which is armed, or by a receive of our own. */
static void receive(struct kolk__link *link)
{
	uint8_t *room;
	size_t size;

	if (kolk__load_relaxed(&link->streaming)) {
		if (kolk__input_size(link) > 0 || link->ended)
			kolk__exchange_input(link);
		return;
	}
	if (link->recv_op.in_flight)
		return;
	room = kolk__input_room(link, &size);
	if (room == NULL)
		exchange_failed(link, KOLK_E_MEMORY, 0, 0); /* the link may be gone now */
	else
		kolk__submit(link->tloop, &link->recv_op, KOLK_OP_RECV, link->fd, room, size,
			     received, link);
}

/* ---- the driver's turn */

/* What came, to the driver. False: the exchange failed, the link may be gone. */
static bool feed(struct kolk__link *link, const uint8_t *bytes, size_t size)
{
	const struct kolk__origin *origin = link->origin;
	enum kolk_err err = KOLK_E_PROTOCOL; /* bytes that no driver asked for */

	if (origin->driver->feed != NULL)
		err = origin->driver->feed(origin->driver_user, link->session,
					   (struct kolk_exchange *)(void *)link, bytes, size);
	if (err != KOLK_OK && err != KOLK_PENDING) {
		exchange_failed(link, err, 0, 0);
		return false;
	}
	link->failure.err = err;
	return true;
}

static enum kolk_err read_plain(struct kolk__link *link, void *bytes, size_t capacity, size_t *size)
{
	*size = kolk__input_take(link, bytes, capacity);
	return *size > 0 ? KOLK_OK : link->ended ? KOLK_E_CLOSED : KOLK_PENDING;
}

/* All of it: what is surplus to a complete exchange is the driver's to refuse. */
static void feed_all(struct kolk__link *link)
{
	uint8_t bytes[1024];
	size_t size = 0;
	enum kolk_err err;

	do {
		err = link->tls != NULL ? kolk__tls_read(link, bytes, sizeof bytes, &size) :
					  read_plain(link, bytes, sizeof bytes, &size);
		if (err == KOLK_OK && !feed(link, bytes, size))
			return;
	} while (err == KOLK_OK);
	if (err == KOLK_PENDING)
		kolk__exchange_go(link);
	else
		exchange_failed(link, err, 0, 0);
}

static void begin_opening(struct kolk__link *link)
{
	const struct kolk__origin *origin = link->origin;
	struct kolk__tloop *tloop = link->tloop;
	enum kolk_err err = KOLK_OK;

	link->phase = KOLK__OPENING;
	kolk__timeout_start(tloop, &link->timeout,
			    link->origin->times.ready_ns == KOLK_FOREVER ?
				    KOLK_FOREVER :
				    kolk__link_now(tloop->transport) + link->origin->times.ready_ns);
	if (origin->driver->open != NULL)
		err = origin->driver->open(origin->driver_user, link->session,
					   (struct kolk_exchange *)(void *)link);
	if (err != KOLK_OK && err != KOLK_PENDING) {
		exchange_failed(link, err, 0, 0);
		return;
	}
	link->failure.err = err;
	kolk__exchange_go(link);
}

/* On a worker: a step costs up to 4 ms of CPU, and this loop has requests to serve. The TLS
 * state, link.in and link.pending are the worker's meanwhile. */
static void shake(struct kolk_op *op)
{
	struct kolk__link *link = op->owner;

	kolk__tls_handshake(link);
}

static void shaken(struct kolk_op *op)
{
	struct kolk__link *link = op->owner;
	int tls_error;
	enum kolk_err err = kolk__tls_outcome(link, &tls_error);

	if (link->phase == KOLK__ENDING) {
		kolk__dial_end_if_quiet(link);
	} else if (err == KOLK_OK) {
		kolk__tickets_leave(link);
		begin_opening(link);
	} else if (err == KOLK_PENDING) {
		if (!sending(link))
			receive(link);
	} else {
		(void)sending(link); /* the alert that says why, if it gets out */
		exchange_failed(link, err, 0, tls_error);
	}
}

static void handshake(struct kolk__link *link)
{
	if (link->tls == NULL) {
		begin_opening(link);
		return;
	}
	link->recv_op.work = shake;
	kolk__submit(link->tloop, &link->recv_op, KOLK_OP_WORK, -1, NULL, 0, shaken, link);
}

/* link.in has grown, or ended. */
void kolk__exchange_input(struct kolk__link *link)
{
	if (ping_failed(link))
		ping_over(link);
	else if (link->phase == KOLK__HANDSHAKING)
		kolk__exchange_go(link);
	else
		feed_all(link);
}

/* failure.err is what the driver said last: OK = complete, PENDING = an answer is awaited. */
void kolk__exchange_go(struct kolk__link *link)
{
	if (link->phase == KOLK__HANDSHAKING) {
		if (!link->recv_op.in_flight && !sending(link))
			handshake(link);
		return;
	}
	if (ping_failed(link)) {
		ping_over(link);
		return;
	}
	if (sending(link))
		return;
	if (link->failure.err == KOLK_PENDING)
		receive(link);
	else if (kolk__input_size(link) > 0 || (link->tls != NULL && kolk__tls_has_unread(link)))
		exchange_failed(link, KOLK_E_PROTOCOL, 0, 0);
	else if (link->phase == KOLK__OPENING)
		kolk__link_become_ready(link);
	else
		ping_over(link);
}
