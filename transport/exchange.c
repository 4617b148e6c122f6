/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exchange.c - bytes to and fro on the home loop: TLS handshakes, and what a driver has to say
 * by itself: before TLS, at the opening, in a ping, to mend.
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

struct kolk_key *kolk_exchange_key(struct kolk_exchange *exchange)
{
	struct kolk__link *link = (struct kolk__link *)(void *)exchange;

	return link->tloop->transport->host.key(link->connection);
}

const char *kolk_exchange_address(struct kolk_exchange *exchange)
{
	return kolk__origin_address(((struct kolk__link *)(void *)exchange)->origin);
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

static struct kolk_exchange *exchange_of(struct kolk__link *link)
{
	return (struct kolk_exchange *)(void *)link;
}

static enum kolk_phase phase_of(const struct kolk__link *link)
{
	return link->phase == KOLK__OPENING ? KOLK_PHASE_READY : KOLK_PHASE_TLS;
}

/* The driver's turn to begin: one of the functions that return as open does. */
static enum kolk_err begin(struct kolk__link *link,
			   enum kolk_err (*say)(void *user, void *session, struct kolk_exchange *))
{
	link->begun = true;
	return say != NULL ? say(link->origin->driver_user, link->session, exchange_of(link)) :
			     KOLK_OK;
}

/* ---- ends */

static bool away_failed(const struct kolk__link *link)
{
	return kolk__link_is_away(link) && link->failure.err != KOLK_OK &&
	       link->failure.err != KOLK_PENDING;
}

/* A ping, or the mending, is over when nothing of it is in flight any more. */
static void away_over(struct kolk__link *link)
{
	struct kolk__transport *transport = link->tloop->transport;
	bool pinging = link->phase == KOLK__PINGING_LINK;
	enum kolk_err err = link->failure.err;

	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_AWAY);
	if (link->send_op.in_flight || link->recv_op.in_flight) {
		kolk__cancel(link->tloop, &link->send_op);
		kolk__cancel(link->tloop, &link->recv_op);
		return; /* their completions come back here */
	}
	kolk__timeout_stop(link->tloop, &link->timeout);
	link->phase = KOLK__READY;
	link->failed = link->failed || err != KOLK_OK;
	kolk__input_read(link); /* a stream that waited for the end of our receive */
	if (pinging)
		transport->host.pinged(link->connection, err, link->reason);
	else
		transport->host.mended(link->connection,
				       err == KOLK_OK ? KOLK_REASON_NONE : link->reason);
}

static void exchange_failed(struct kolk__link *link, enum kolk_err err, int64_t os_error,
			    int tls_error)
{
	if (!kolk__link_is_away(link)) {
		kolk__dial_fail(link, err, phase_of(link), os_error, tls_error);
		return;
	}
	if (link->failure.err == KOLK_OK || link->failure.err == KOLK_PENDING)
		link->failure.err = err;
	if (err == KOLK_E_MEMORY)
		link->reason = KOLK_REASON_IO_ERROR; /* not the peer's doing */
	away_over(link);
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
	KOLK__HOME(link);
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
	} else if (op->result == -ECANCELED && link->phase == KOLK__ACCEPTING) {
		kolk__exchange_go(link);
	} else if (op->result < 0 && !away_failed(link)) {
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

	KOLK__HOME(link);
	if (kolk__load_relaxed(&link->streaming)) {
		if (kolk__input_size(link) > 0 || link->ended)
			kolk__exchange_input(link);
		return;
	}
	if (link->recv_op.in_flight)
		return;
	if (kolk__input_size(link) > 0 || kolk__tls_has_peeked(link)) {
		kolk__exchange_input(link); /* it came with the end of the handshake */
		return;
	}
	room = kolk__input_room(link, &size);
	if (room == NULL)
		exchange_failed(link, KOLK_E_MEMORY, 0, 0); /* the link may be gone now */
	else
		kolk__submit(link->tloop, &link->recv_op, KOLK_OP_RECV, link->fd, room, size,
			     received, link);
}

/* ---- the driver's turn */

/* More came than a connection is worth that is not neutral, or whose peer speaks unasked. */
static bool over_budget(struct kolk__link *link, size_t size)
{
	link->heard += size;
	return link->heard > kolk__load_relaxed(&link->origin->mend_bytes);
}

/* What came, to the driver. False: the exchange failed, the link may be gone. */
static bool feed(struct kolk__link *link, const uint8_t *bytes, size_t size)
{
	const struct kolk__origin *origin = link->origin;
	enum kolk_err err = KOLK_E_PROTOCOL; /* bytes that no driver asked for */

	if (link->phase == KOLK__MENDING_LINK && over_budget(link, size))
		err = KOLK_E_LIMIT;
	else if (origin->driver->feed != NULL)
		err = origin->driver->feed(origin->driver_user, link->session, exchange_of(link),
					   bytes, size);
	if (err != KOLK_OK && err != KOLK_PENDING) {
		exchange_failed(link, err, 0, 0);
		return false;
	}
	link->failure.err = err;
	return true;
}

static enum kolk_err read_some(struct kolk__link *link, void *bytes, size_t capacity, size_t *size)
{
	if (link->tls != NULL)
		return kolk__tls_read(link, bytes, capacity, size);
	*size = kolk__input_take(link, bytes, capacity);
	return *size > 0 ? KOLK_OK : link->ended ? kolk__link_end(link) : KOLK_PENDING;
}

/* What lies in the socket of a link that does not stream, as far as there is room. */
static enum kolk_err take_in(struct kolk__link *link)
{
	const struct kolk_sys *sys = link->tloop->transport->sys;
	uint8_t *room;
	size_t size;
	int64_t result;

	if (kolk__load_relaxed(&link->streaming))
		return KOLK_OK;
	room = kolk__input_room(link, &size);
	if (room == NULL)
		return KOLK_E_MEMORY;
	result = sys->sock_recv(sys->context, link->fd, room, size);
	if (result > 0)
		kolk__input_came(link, (size_t)result);
	return result == 0 ? KOLK_E_CLOSED :
	       result > 0 || result == -EAGAIN || result == -EINTR ? KOLK_OK : kolk__err_of(result);
}

enum kolk_err kolk__link_hear(struct kolk__link *link)
{
	const struct kolk__origin *origin = link->origin;
	enum kolk_err err = origin->driver->heard != NULL ? take_in(link) : KOLK_E_PROTOCOL;
	uint8_t bytes[1024];
	size_t size = 0;

	while (err == KOLK_OK) {
		err = read_some(link, bytes, sizeof bytes, &size);
		if (err == KOLK_OK && over_budget(link, size))
			err = KOLK_E_LIMIT;
		if (err == KOLK_OK)
			err = origin->driver->heard(origin->driver_user, link->session,
						    exchange_of(link), bytes, size);
	}
	return err == KOLK_PENDING ? KOLK_OK : err;
}

enum kolk_err kolk__link_unasked(struct kolk__link *link, const void *bytes, size_t size)
{
	const struct kolk__origin *origin = link->origin;

	if (origin->driver->heard != NULL && !over_budget(link, size) &&
	    origin->driver->heard(origin->driver_user, link->session, exchange_of(link), bytes,
				  size) == KOLK_OK)
		return KOLK_OK;
	link->failed = link->refused = true;
	return KOLK_E_CLOSED;
}

/* All of it: what is surplus to a complete exchange is the driver's to refuse. */
static void feed_all(struct kolk__link *link)
{
	uint8_t bytes[1024];
	size_t size = 0;
	enum kolk_err err;

	do {
		err = read_some(link, bytes, sizeof bytes, &size);
		if (err == KOLK_OK && !feed(link, bytes, size))
			return;
	} while (err == KOLK_OK);
	if (err == KOLK_PENDING)
		kolk__exchange_go(link);
	else
		exchange_failed(link, err, 0, 0);
}

/* What a driver's begin said: go on with it, or fail. */
static void said(struct kolk__link *link, enum kolk_err err)
{
	if (err != KOLK_OK && err != KOLK_PENDING) {
		exchange_failed(link, err, 0, 0);
		return;
	}
	link->failure.err = err;
	kolk__exchange_go(link);
}

void kolk__exchange_upgrade(struct kolk__link *link)
{
	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_UPGRADING);
	said(link, begin(link, link->origin->driver->upgrade));
}

static void begin_opening(struct kolk__link *link)
{
	const struct kolk__origin *origin = link->origin;

	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_DIALING);
	link->phase = KOLK__OPENING;
	kolk__link_deadline(link, kolk__load_relaxed(&origin->times.ready_ns));
	said(link, begin(link, origin->driver->open));
}

/* ---- TLS: the handshake, and what the server says of our certificate after it */

/* What a busy server takes to look at a certificate; one that gives no tickets costs that. */
#define ACCEPT_NS (50 * KOLK_MS_NS)

static void accepting(struct kolk__link *link)
{
	int tls_error;
	enum kolk_err err = kolk__tls_verdict(link, &tls_error);

	if (err == KOLK_OK)
		begin_opening(link);
	else if (err == KOLK_PENDING)
		receive(link);
	else
		exchange_failed(link, err, 0, tls_error);
}

static void begin_accepting(struct kolk__link *link)
{
	uint32_t rtt_us = 0, resent;

	link->phase = KOLK__ACCEPTING;
	if (!kolk__tls_is_judged(link)) {
		(void)kolk__link_tcp(link, &rtt_us, &resent);
		kolk__link_deadline(link, rtt_us * KOLK_US_NS + ACCEPT_NS);
	}
	kolk__exchange_go(link);
}

/* The receive that waits has to end first: what comes after it may be a caller's. */
void kolk__exchange_accept(struct kolk__link *link)
{
	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_ACCEPTING);
	kolk__tls_accept(link);
	kolk__link_deadline(link, kolk__load_relaxed(&link->origin->times.tls_ns));
	if (link->recv_op.in_flight)
		kolk__cancel(link->tloop, &link->recv_op);
	else
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

	KOLK__HOME(link);
	if (link->phase == KOLK__ENDING) {
		kolk__dial_end_if_quiet(link);
	} else if (err == KOLK_OK) {
		kolk__tickets_leave(link);
		begin_accepting(link);
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
	KOLK__HOME(link);
	if (away_failed(link))
		away_over(link);
	else if (link->phase == KOLK__HANDSHAKING || link->phase == KOLK__ACCEPTING)
		kolk__exchange_go(link);
	else if (link->failure.err == KOLK_PENDING)
		feed_all(link);
	else
		kolk__exchange_go(link); /* it still speaks; then it looks */
}

/* ---- away from the shelf for a while: a ping, or mending */

static void away(struct kolk__link *link, enum kolk__link_phase phase, enum kolk_reason reason,
		 uint64_t ns)
{
	link->phase = phase;
	link->failure = (struct kolk_failure)KOLK_INIT(kolk_failure);
	link->reason = reason;
	kolk__link_deadline(link, ns);
}

/* A ping is a use, too: what came before is not its answer. */
static void ping(struct kolk__link *link)
{
	enum kolk_err err = kolk__link_settle(link, true);

	if (err == KOLK_OK) {
		said(link, begin(link, link->origin->driver->ping));
	} else {
		link->reason = kolk__link_reason(err);
		exchange_failed(link, err, 0, 0);
	}
}

void kolk__link_ping(struct kolk__link *link)
{
	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_READY);
	away(link, KOLK__PINGING_LINK, KOLK_REASON_PING_FAILED,
	     kolk__load_relaxed(&link->origin->times.ping_ns));
	if (link->origin->resource != NULL)
		kolk__resource_ping(link);
	else
		ping(link);
}

/* Neutral by the driver's word? If not, what is still to be read may be an answer: the driver
 * mends, once, and says afterwards whether that helped. If it is, what is still there was not
 * asked for. */
static void mend_on(struct kolk__link *link)
{
	const struct kolk_driver *driver = link->origin->driver;
	enum kolk_err err = KOLK_OK;

	if (driver->clean != NULL)
		err = driver->clean(link->origin->driver_user, link->session);
	if (err == KOLK_PENDING && !link->mended && driver->mend != NULL) {
		link->mended = true;
		link->reason = KOLK_REASON_RESET_FAILED;
		said(link, begin(link, driver->mend));
		return;
	}
	if (err == KOLK_OK) {
		kolk__store_sc(&link->used, false); /* STREAM.SC */
		err = kolk__link_look(link, true);
		link->reason = kolk__link_reason(err);
		if (err == KOLK_E_PROTOCOL)
			err = kolk__link_hear(link);
		if (err != KOLK_OK) /* the driver's word: a goodbye is no junk */
			link->reason = kolk__link_reason(err);
	}
	link->failure.err = KOLK_OK;
	if (err != KOLK_OK)
		exchange_failed(link, err == KOLK_PENDING ? KOLK_E_PROTOCOL : err, 0, 0);
	else if (link->reason == KOLK_REASON_NONE)
		away_over(link);
	else
		kolk__exchange_go(link); /* it may have answered; then it looks again */
}

void kolk__link_mend(struct kolk__link *link)
{
	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_READY);
	away(link, KOLK__MENDING_LINK, KOLK_REASON_DIRTY,
	     kolk__load_relaxed(&link->origin->times.mend_ns));
	link->mended = false;
	link->heard = 0;
	mend_on(link);
}

/* ---- what next? */

/* The exchange is complete, and all that it had to say is out. */
static void complete(struct kolk__link *link)
{
	enum kolk_err err = KOLK_OK;

	if (link->phase == KOLK__MENDING_LINK) {
		mend_on(link);
		return;
	}
	link->heard = 0;
	if (kolk__input_size(link) > 0 || (link->tls != NULL && kolk__tls_look(link) != KOLK_PENDING))
		err = link->phase == KOLK__UPGRADING ? KOLK_E_PROTOCOL : kolk__link_hear(link);
	if (err != KOLK_OK)
		exchange_failed(link, err, 0, 0);
	else if (sending(link))
		return; /* an answer to what was heard; then it looks again */
	else if (link->phase == KOLK__UPGRADING)
		kolk__dial_upgraded(link);
	else if (link->phase == KOLK__OPENING)
		kolk__link_become_ready(link);
	else
		away_over(link);
}

/* failure.err is what the driver said last: OK = complete, PENDING = an answer is awaited. */
void kolk__exchange_go(struct kolk__link *link)
{
	KOLK__HOME(link);
	if (link->phase == KOLK__HANDSHAKING) {
		if (!link->recv_op.in_flight && !sending(link))
			handshake(link);
		return;
	}
	if (link->phase == KOLK__ACCEPTING) {
		if (!link->recv_op.in_flight && !sending(link))
			accepting(link);
		return;
	}
	if (away_failed(link))
		away_over(link);
	else if (sending(link))
		return;
	else if (link->failure.err == KOLK_PENDING)
		receive(link);
	else
		complete(link);
}
