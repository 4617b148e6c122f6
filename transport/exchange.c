/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exchange.c - bytes in both directions on the home loop, without a lease: TLS handshakes, and the
 * driver's exchanges before TLS, at the opening, in a ping and in a reset.
 *
 * One function, kolk__exchange_pump, checks what the phase needs next and starts it: send what is
 * queued, receive, or finish. Completions only store bytes and call it again.
 */
#include <errno.h>

#include "core/base/atomic.h"
#include "transport/exchange.h"
#include "transport/dial.h"
#include "transport/input.h"
#include "transport/tls.h"
#include "transport/upstream.h"

enum kolk_err kolk_exchange_send(struct kolk_exchange *exchange, const void *data, size_t size)
{
	struct kolk__link *link = (struct kolk__link *)(void *)exchange;

	if (link->tls != NULL)
		return kolk__tls_write(link, data, size);
	return kolk__output_add(link, data, size);
}

struct kolk_key *kolk_exchange_key(struct kolk_exchange *exchange)
{
	struct kolk__link *link = (struct kolk__link *)(void *)exchange;

	return link->loop->transport->callbacks.key(link->connection);
}

const char *kolk_exchange_address(struct kolk_exchange *exchange)
{
	return kolk__upstream_address(((struct kolk__link *)(void *)exchange)->upstream);
}

const char *kolk_exchange_alpn(struct kolk_exchange *exchange)
{
	struct kolk__link *link = (struct kolk__link *)(void *)exchange;

	return link->tls != NULL ? kolk__tls_alpn(link) : NULL;
}

bool kolk_exchange_is_tls(struct kolk_exchange *exchange)
{
	return ((struct kolk__link *)(void *)exchange)->tls != NULL;
}

void kolk_exchange_detail(struct kolk_exchange *exchange, const char *text)
{
	struct kolk__link *link = (struct kolk__link *)(void *)exchange;

	if (link->progress != NULL) /* a dial, a ping or a reset is under way */
		link->progress->failure.detail = text;
}

static struct kolk_exchange *exchange_of(struct kolk__link *link)
{
	return (struct kolk_exchange *)(void *)link;
}

enum kolk_err kolk__exchange_call(struct kolk__link *link, kolk__exchange_fn *call)
{
	link->driver_begun = true;
	return call != NULL ? call(link->upstream->driver_user, kolk__link_driver_session(link),
				  exchange_of(link)) :
			     KOLK_OK;
}

/* ---- ends */

static const struct kolk__accepting *accepting_of(const struct kolk__link *link)
{
	return link->upstream->accepting;
}

/* ENDING, and an operation has ended. */
static void end_if_quiescent(struct kolk__link *link)
{
	if (accepting_of(link) != NULL)
		accepting_of(link)->quiescent(link);
	else
		kolk__dial_end_if_quiescent(link);
}

void kolk__exchange_failed(struct kolk__link *link, enum kolk_err err, int64_t os_error,
			   int tls_error)
{
	if (accepting_of(link) != NULL) {
		accepting_of(link)->failed(link, err, os_error, tls_error);
		return;
	}
	if (!kolk__link_is_in_maintenance(link)) {
		kolk__dial_fail(link, err, os_error, tls_error);
		return;
	}
	if (link->progress->failure.err == KOLK_OK || link->progress->failure.err == KOLK_PENDING)
		link->progress->failure.err = err;
	if (err == KOLK_E_MEMORY)
		link->progress->reason = KOLK_REASON_IO_ERROR; /* not the peer's doing */
	kolk__maintenance_done(link);
}

/* ---- sending and receiving */

static void sent(struct kolk_op *op)
{
	struct kolk__link *link = op->owner;

	if (link->phase == KOLK__ENDING) {
		end_if_quiescent(link);
	} else if (op->result <= 0) {
		kolk__exchange_failed(link, kolk__err_of(op->result), op->result, 0);
	} else {
		kolk__output_sent(link, (size_t)op->result);
		kolk__exchange_pump(link);
	}
}

/* Begin to send what is queued; true while a send is in flight. */
static bool sending(struct kolk__link *link)
{
	struct kolk_op *op = &link->progress->send_op;
	const uint8_t *bytes;
	size_t size;

	KOLK__HOME(link);
	if (op->in_flight)
		return true;
	bytes = kolk__output_next(link, &size);
	if (bytes == NULL)
		return false;
	kolk__op_send(op, link->fd, bytes, size);
	kolk__submit(link->loop, op, sent, link);
	return true;
}

static void received(struct kolk_op *op)
{
	struct kolk__link *link = op->owner;

	kolk__store_relaxed(&link->receives, false);
	if (link->phase == KOLK__ENDING) {
		end_if_quiescent(link);
	} else if (op->result == -ECANCELED && link->phase == KOLK__CONFIRMING) {
		kolk__exchange_pump(link);
	} else if (op->result < 0 && !kolk__maintenance_failed(link)) {
		kolk__exchange_failed(link, kolk__err_of(op->result), op->result, 0);
	} else {
		if (op->result > 0)
			kolk__input_received(link, (size_t)op->result);
		else
			link->ended = true;
		kolk__exchange_on_read(link);
	}
}

/* Get more input: from the stream, which is armed, or by a receive of our own. */
void kolk__exchange_receive(struct kolk__link *link)
{
	struct kolk_op *op = &link->progress->recv_op;
	uint8_t *space;
	size_t size;

	KOLK__HOME(link);
	if (kolk__load_relaxed(&link->streaming)) {
		if (kolk__input_size(link) > 0 || link->ended)
			kolk__exchange_on_read(link);
		return;
	}
	if (op->in_flight)
		return;
	if (kolk__input_size(link) > 0 || kolk__tls_has_peeked(link)) {
		kolk__exchange_on_read(link); /* it came with the end of the handshake */
		return;
	}
	space = kolk__input_reserve(link, &size);
	if (space == NULL) {
		kolk__exchange_failed(link, KOLK_E_MEMORY, 0, 0); /* the link may be gone now */
		return;
	}
	kolk__store_relaxed(&link->receives, true);
	kolk__op_recv(op, link->fd, space, size);
	kolk__submit(link->loop, op, received, link);
}

/* ---- calls into the driver */

/* More bytes than a connection is worth that is not clean, or whose peer sends unsolicited
 * bytes. */
static bool exceeds_budget(struct kolk__link *link, size_t size)
{
	uint32_t left = UINT32_MAX - link->unsolicited_bytes;

	link->unsolicited_bytes += size < left ? (uint32_t)size : left;
	return size > left || link->unsolicited_bytes >
				      kolk__load_relaxed(&link->upstream->reset_bytes_max);
}

/* Pass received bytes to the driver. False: the exchange failed, and the link may be freed. */
static bool feed_driver(struct kolk__link *link, const uint8_t *bytes, size_t size)
{
	const struct kolk__upstream *upstream = link->upstream;
	enum kolk_err err = KOLK_E_PROTOCOL; /* bytes that no driver expects */

	if (link->phase == KOLK__RESETTING_LINK && exceeds_budget(link, size))
		err = KOLK_E_LIMIT;
	else if (upstream->driver->feed != NULL)
		err = upstream->driver->feed(upstream->driver_user, kolk__link_driver_session(link),
					     exchange_of(link), bytes, size);
	if (err != KOLK_OK && err != KOLK_PENDING) {
		/* Behind the answer to a ping: unsolicited. */
		if (link->phase == KOLK__PINGING_LINK && link->progress->failure.err == KOLK_OK)
			link->progress->reason = KOLK_REASON_PEER_DATA;
		kolk__exchange_failed(link, err, 0, 0);
		return false;
	}
	link->progress->failure.err = err;
	return true;
}

static enum kolk_err read_some(struct kolk__link *link, void *bytes, size_t capacity, size_t *size)
{
	if (link->tls != NULL)
		return kolk__tls_read(link, bytes, capacity, size);
	*size = kolk__input_take(link, bytes, capacity);
	return *size > 0 ? KOLK_OK : link->ended ? kolk__link_end(link) : KOLK_PENDING;
}

/* Read what is in the socket of a link that does not stream, as far as there is space. */
static enum kolk_err receive_available(struct kolk__link *link)
{
	const struct kolk_sys *sys = link->loop->transport->sys;
	uint8_t *space;
	size_t size;
	int64_t result;

	if (kolk__load_relaxed(&link->streaming))
		return KOLK_OK;
	space = kolk__input_reserve(link, &size);
	if (space == NULL)
		return KOLK_E_MEMORY;
	result = sys->sock_recv(sys->context, link->fd, space, size);
	if (result > 0)
		kolk__input_received(link, (size_t)result);
	return result == 0 ? KOLK_E_CLOSED :
	       result > 0 || result == -EAGAIN || result == -EINTR ? KOLK_OK : kolk__err_of(result);
}

enum kolk_err kolk__link_feed_unsolicited(struct kolk__link *link)
{
	const struct kolk__upstream *upstream = link->upstream;
	enum kolk_err err = upstream->driver->heard != NULL ? receive_available(link) :
							      KOLK_E_PROTOCOL;
	uint8_t bytes[1024];
	size_t size = 0;

	while (err == KOLK_OK) {
		err = read_some(link, bytes, sizeof bytes, &size);
		if (err == KOLK_OK && exceeds_budget(link, size))
			err = KOLK_E_LIMIT;
		if (err == KOLK_OK)
			err = upstream->driver->heard(upstream->driver_user,
						      kolk__link_driver_session(link),
						      exchange_of(link), bytes, size);
	}
	return err == KOLK_PENDING ? KOLK_OK : err;
}

enum kolk_err kolk__link_unsolicited(struct kolk__link *link, const void *bytes, size_t size)
{
	const struct kolk__upstream *upstream = link->upstream;

	if (upstream->driver->heard != NULL && !exceeds_budget(link, size) &&
	    upstream->driver->heard(upstream->driver_user, kolk__link_driver_session(link),
				    exchange_of(link), bytes, size) == KOLK_OK)
		return KOLK_OK;
	link->failed = link->refused = true;
	return KOLK_E_CLOSED;
}

/* Pass everything to the driver: it has to refuse bytes after the end of an exchange. */
static void feed_all(struct kolk__link *link)
{
	uint8_t bytes[1024];
	size_t size = 0;
	enum kolk_err err;

	do {
		err = read_some(link, bytes, sizeof bytes, &size);
		if (err == KOLK_OK && !feed_driver(link, bytes, size))
			return;
	} while (err == KOLK_OK);
	if (err == KOLK_PENDING)
		kolk__exchange_pump(link);
	else
		kolk__exchange_failed(link, err, 0, 0);
}

/* The result of the driver function that started an exchange: continue, or fail. */
void kolk__exchange_returned(struct kolk__link *link, enum kolk_err err)
{
	if (err != KOLK_OK && err != KOLK_PENDING) {
		kolk__exchange_failed(link, err, 0, 0);
		return;
	}
	link->progress->failure.err = err;
	kolk__exchange_pump(link);
}

void kolk__exchange_upgrade(struct kolk__link *link)
{
	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_UPGRADING);
	kolk__exchange_returned(link, kolk__exchange_call(link, link->upstream->driver->upgrade));
}

static void begin_opening(struct kolk__link *link)
{
	const struct kolk__upstream *upstream = link->upstream;

	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_DIALING);
	link->phase = KOLK__OPENING;
	kolk__link_deadline(link, kolk__load_relaxed(&upstream->times.ready_ns));
	kolk__exchange_returned(link, kolk__exchange_call(link, upstream->driver->open));
}

/* ---- TLS: the handshake, and the server's check of our certificate after it */

/* The time that a busy server needs to check a certificate. A server that issues no tickets costs
 * this much. */
#define CONFIRM_NS (50 * KOLK_MS_NS)

static void check_confirmed(struct kolk__link *link)
{
	int tls_error;
	enum kolk_err err = kolk__tls_confirmation(link, &tls_error);

	if (err == KOLK_OK)
		begin_opening(link);
	else if (err == KOLK_PENDING)
		kolk__exchange_receive(link);
	else
		kolk__exchange_failed(link, err, 0, tls_error);
}

static void begin_confirming(struct kolk__link *link)
{
	uint32_t rtt_us = 0, resent;

	link->phase = KOLK__CONFIRMING;
	if (!kolk__tls_is_confirmed(link)) {
		(void)kolk__link_tcp(link, &rtt_us, &resent);
		kolk__link_deadline(link, rtt_us * KOLK_US_NS + CONFIRM_NS);
	}
	kolk__exchange_pump(link);
}

/* The pending receive has to end first: bytes that arrive later may belong to a caller. */
void kolk__exchange_confirm(struct kolk__link *link)
{
	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_CONFIRMING);
	kolk__tls_confirm(link);
	kolk__link_deadline(link, kolk__load_relaxed(&link->upstream->times.tls_ns));
	if (link->progress->recv_op.in_flight)
		kolk__cancel(link->loop, &link->progress->recv_op);
	else
		kolk__exchange_pump(link);
}

/* On a worker: a step costs up to 4 ms of CPU, and this loop has requests to serve. Meanwhile the
 * TLS state, link.in and link.output belong to the worker. */
static void handshake_work(struct kolk_op *op)
{
	struct kolk__link *link = op->owner;

	kolk__tls_handshake(link);
}

static void handshake_done(struct kolk_op *op)
{
	struct kolk__link *link = op->owner;
	int tls_error;
	enum kolk_err err = kolk__tls_outcome(link, &tls_error);

	KOLK__HOME(link);
	if (accepting_of(link) != NULL)
		accepting_of(link)->stepped(link);
	if (link->phase == KOLK__ENDING) {
		end_if_quiescent(link);
	} else if (err == KOLK_OK && accepting_of(link) != NULL) {
		link->phase = KOLK__OPENING;
		kolk__exchange_pump(link);
	} else if (err == KOLK_OK) {
		kolk__tls_sessions_end(link);
		begin_confirming(link);
	} else if (err == KOLK_PENDING) {
		if (!sending(link))
			kolk__exchange_receive(link);
	} else {
		if (accepting_of(link) == NULL)
			(void)sending(link); /* the alert, if the socket takes it */
		kolk__exchange_failed(link, err, 0, tls_error);
	}
}

static void handshake(struct kolk__link *link)
{
	const struct kolk__accepting *accepting = accepting_of(link);

	if (accepting != NULL && !accepting->may_step(link))
		return;
	if (link->tls == NULL) {
		begin_opening(link);
		return;
	}
	kolk__op_work(&link->progress->recv_op, KOLK_OP_WORK, handshake_work, NULL);
	kolk__submit(link->loop, &link->progress->recv_op, handshake_done, link);
}

/* link.in has grown, or ended. */
void kolk__exchange_on_read(struct kolk__link *link)
{
	KOLK__HOME(link);
	if (kolk__maintenance_failed(link))
		kolk__maintenance_done(link);
	else if (link->phase == KOLK__HANDSHAKING || link->phase == KOLK__CONFIRMING)
		kolk__exchange_pump(link);
	else if (link->progress->failure.err == KOLK_PENDING)
		feed_all(link);
	else
		kolk__exchange_pump(link); /* it still sends; it receives after that */
}

/* ---- what next? */

/* The exchange is complete, and everything that the driver queued was sent. */
static void complete(struct kolk__link *link)
{
	enum kolk_err err = KOLK_OK;

	if (link->phase == KOLK__RESETTING_LINK) {
		kolk__reset_continue(link);
		return;
	}
	link->unsolicited_bytes = 0;
	if (kolk__input_size(link) > 0 ||
	    (link->tls != NULL && kolk__tls_peek(link) != KOLK_PENDING))
		err = link->phase == KOLK__UPGRADING ? KOLK_E_PROTOCOL :
						       kolk__link_feed_unsolicited(link);
	if (err != KOLK_OK)
		kolk__exchange_failed(link, err, 0, 0);
	else if (sending(link))
		return; /* an answer to an unsolicited message; then check again */
	else if (link->phase == KOLK__UPGRADING)
		kolk__dial_upgraded(link);
	else if (link->phase == KOLK__OPENING)
		kolk__link_become_ready(link);
	else
		kolk__maintenance_done(link);
}

/* failure.err is what the driver returned last: OK = complete, PENDING = it expects more bytes. */
void kolk__exchange_pump(struct kolk__link *link)
{
	KOLK__HOME(link);
	if (link->phase == KOLK__HANDSHAKING) {
		if (!link->progress->recv_op.in_flight && !sending(link))
			handshake(link);
		return;
	}
	if (link->phase == KOLK__CONFIRMING) {
		if (!link->progress->recv_op.in_flight && !sending(link))
			check_confirmed(link);
		return;
	}
	if (accepting_of(link) != NULL) {
		if (!sending(link))
			accepting_of(link)->established(link);
		return;
	}
	if (kolk__maintenance_failed(link))
		kolk__maintenance_done(link);
	else if (sending(link))
		return;
	else if (link->progress->failure.err == KOLK_PENDING)
		kolk__exchange_receive(link);
	else
		complete(link);
}
