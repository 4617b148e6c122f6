/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dial.c - from a name to a ready link: resolve (dns_cache.c), connect (connect.c), TLS, the
 * driver's opening (exchange.c). Each phase has its own deadline and reports itself when it fails.
 */
#include "transport/dial.h"

#include <errno.h>

#include "core/base/atomic.h"
#include "core/base/container.h"
#include "transport/child.h"
#include "transport/connect.h"
#include "transport/dns_cache.h"
#include "transport/exchange.h"
#include "transport/resource.h"
#include "transport/tls.h"
#include "transport/upstream.h"

/* ---- failing: from inside the transport's step only */

void kolk__dial_end_if_quiescent(struct kolk__link *link)
{
	struct kolk__transport *transport = link->loop->transport;
	struct kolk_failure failure = link->progress->failure;
	void *connection = link->connection;

	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_ENDING);
	if (!kolk__link_is_quiescent(link))
		return;
	if (link->fd >= 0)
		transport->sys->sock_close(transport->sys->context, link->fd);
	kolk__child_explain(link, &failure);
	kolk__link_free(link);
	transport->callbacks.failed(connection, &failure);
}

static enum kolk_phase failure_phase(const struct kolk__link *link)
{
	switch (link->phase) {
	case KOLK__RESOLVING:
		return KOLK_PHASE_RESOLVE;
	case KOLK__CONNECTING:
		return KOLK_PHASE_CONNECT;
	case KOLK__UPGRADING:
	case KOLK__AWAITING_SESSION:
	case KOLK__HANDSHAKING:
	case KOLK__CONFIRMING:
		return KOLK_PHASE_TLS;
	default:
		return KOLK_PHASE_READY;
	}
}

static void failure_set(struct kolk__link *link, enum kolk_err err, int64_t os_error, int tls_error)
{
	struct kolk_failure *failure = &link->progress->failure;
	const char *told = failure->detail; /* by the driver */

	*failure = (struct kolk_failure)KOLK_INIT(kolk_failure);
	failure->err = err;
	failure->err_class = kolk_err_class(err);
	failure->phase = failure_phase(link);
	failure->os_error = os_error < 0 ? (int32_t)-os_error : 0;
	failure->tls_error = tls_error;
	failure->detail = tls_error != 0 ? kolk__tls_detail(link) :
			  told != NULL	 ? told :
					   kolk__os_error_detail(err, os_error);
	failure->elapsed_ns = kolk__link_now(link->loop->transport) - link->progress->began_ns;
}

/* What it began cannot be stopped (an asynchronous resource). */
static void abandon(struct kolk__link *link)
{
	struct kolk_failure failure = link->progress->failure;

	kolk__progress_end(link);
	link->loop->transport->callbacks.abandoned(link->connection, &failure);
}

static void end(struct kolk__link *link, bool closed)
{
	link->phase = KOLK__ENDING;
	kolk__timeout_stop(link->loop, &link->progress->timeout);
	kolk__dns_cache_cancel(link);
	kolk__connect_stop(link);
	/* Before asking whether a task is on its way to the link: after this no other dial posts
	 * one. */
	kolk__tls_sessions_end(link);
	kolk__child_stop(link, closed);
	kolk__cancel(link->loop, &link->progress->send_op);
	kolk__cancel(link->loop, &link->progress->recv_op);
	if (link->upstream->resource != NULL && kolk__resource_is_busy(link))
		abandon(link);
	else
		kolk__dial_end_if_quiescent(link);
}

/* Only the pool gives dials up, and tries again at once: a driver that says so has failed. */
static enum kolk_err failed_err(const struct kolk__link *link, enum kolk_err err)
{
	return err == KOLK_E_CANCELLED && !link->progress->dial_cancelled ? KOLK_E_IO : err;
}

void kolk__dial_fail(struct kolk__link *link, enum kolk_err err, int64_t os_error, int tls_error)
{
	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_DIALING | KOLK__WHEN_ENDING);
	if (link->phase == KOLK__ENDING)
		return;
	failure_set(link, failed_err(link, err), os_error, tls_error);
	end(link, err == KOLK_E_CLOSED || err == KOLK_E_RESET);
}

void kolk__dial_fail_as(struct kolk__link *link, const struct kolk_failure *failure)
{
	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_DIALING);
	failure_set(link, failed_err(link, failure->err), -(int64_t)failure->os_error, 0);
	link->progress->failure.tls_error = failure->tls_error;
	if (failure->detail != NULL)
		link->progress->failure.detail = failure->detail;
	if (failure->phase != 0)
		link->progress->failure.phase = failure->phase;
	end(link, false);
}

void kolk__link_deadline(struct kolk__link *link, uint64_t ns)
{
	uint64_t now_ns = kolk__link_now(link->loop->transport);

	KOLK__HOME(link);
	if (link->progress->dial_cancelled) /* the timeout ends the dial: no phase moves it */
		return;
	kolk__timeout_start(link->loop, &link->progress->timeout,
			    ns < KOLK_FOREVER - now_ns ? now_ns + ns : KOLK_FOREVER);
}

/* ---- TLS */

/* Longer than a handshake takes, and the longest that a dial waits for the handshake of another. */
#define SESSION_WAIT_NS (200 * KOLK_MS_NS)
/* Between two checks whether a worker has finished the step that the deadline waits for. */
#define WORKER_RECHECK_NS (5 * KOLK_MS_NS)

static void handshake_begin(struct kolk__link *link)
{
	link->phase = KOLK__HANDSHAKING;
	kolk__link_deadline(link, kolk__load_relaxed(&link->upstream->times.tls_ns));
	kolk__exchange_pump(link);
}

static void tls_begin(struct kolk__link *link)
{
	uint64_t tls_ns = kolk__load_relaxed(&link->upstream->times.tls_ns);
	enum kolk_err err = kolk__tls_sessions_begin(link);

	if (err == KOLK_OK) {
		handshake_begin(link);
	} else if (err == KOLK_PENDING) {
		link->phase = KOLK__AWAITING_SESSION;
		kolk__link_deadline(link, tls_ns < SESSION_WAIT_NS ? tls_ns : SESSION_WAIT_NS);
	} else {
		kolk__dial_fail(link, err, 0, 0);
	}
}

/* The TLS state is created after the driver's plain-text part: until then the link sends plain
 * text. */
void kolk__dial_upgraded(struct kolk__link *link)
{
	enum kolk_err err = kolk__tls_open(link);

	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_UPGRADING);
	if (err == KOLK_OK)
		tls_begin(link);
	else
		kolk__dial_fail(link, err, 0, 0);
}

static void upgrade_begin(struct kolk__link *link)
{
	link->phase = KOLK__UPGRADING;
	if (link->upstream->driver->upgrade == NULL) { /* there is nothing to agree on */
		kolk__dial_upgraded(link);
		return;
	}
	kolk__link_deadline(link, kolk__load_relaxed(&link->upstream->times.tls_ns));
	kolk__exchange_upgrade(link);
}

void kolk__dial_resume(struct kolk__link *link)
{
	KOLK__HOME(link);
	kolk__store_release(&link->task_posted, 0);
	if (link->phase == KOLK__ENDING)
		kolk__dial_end_if_quiescent(link);
	else if (link->phase == KOLK__AWAITING_SESSION)
		tls_begin(link);
}

/* What the peer answered in time, or while this process was stopped, is on a worker. */
static bool is_on_worker(const struct kolk__link *link)
{
	return link->phase == KOLK__HANDSHAKING && link->progress->recv_op.in_flight &&
	       link->progress->recv_op.kind == KOLK_OP_WORK;
}

/* Perhaps it waited for the other family meanwhile. */
static void connect_failed(struct kolk__link *link, int32_t result)
{
	link->phase = KOLK__CONNECTING;
	kolk__dial_fail(link, kolk__err_of(result), result, 0);
}

/* The deadline of a phase or of a ping; or the dial was cancelled. */
void kolk__link_timed_out(struct kolk__timeout *timeout)
{
	struct kolk__link *link = kolk__container_of(timeout, struct kolk__progress, timeout)->link;

	if (link->progress->dial_cancelled) {
		kolk__dial_fail(link, KOLK_E_CANCELLED, 0, 0);
	} else if (link->phase == KOLK__AWAITING_SESSION) {
		kolk__tls_sessions_end(link);
		handshake_begin(link);
	} else if (link->phase == KOLK__CONFIRMING && !kolk__tls_is_confirmed(link)) {
		kolk__exchange_confirm(link);
	} else if (link->phase == KOLK__RESOLVING && link->progress->asked_whole) {
		connect_failed(link, kolk__connect_result(link));
	} else if (is_on_worker(link)) {
		kolk__link_deadline(link, WORKER_RECHECK_NS);
	} else if (kolk__link_is_in_maintenance(link)) {
		link->progress->failure.err = KOLK_E_TIMEOUT;
		if (link->phase == KOLK__PINGING_LINK)
			link->progress->reason = KOLK_REASON_PING_TIMEOUT;
		kolk__exchange_pump(link);
	} else {
		kolk__dial_fail(link, KOLK_E_DIAL_TIMEOUT, 0, 0);
	}
}

/* ---- resolve, connect */

/* How long a dial whose addresses failed waits for those of the other family. */
#define LATE_FAMILY_NS KOLK_S_NS

/* The other family may be the one that can be reached. */
static bool resolve_again(struct kolk__link *link)
{
	uint64_t resolve_ns = kolk__load_relaxed(&link->upstream->times.resolve_ns);

	if (!kolk__dns_cache_get_whole(link))
		return false;
	link->phase = KOLK__RESOLVING;
	kolk__link_deadline(link, resolve_ns < LATE_FAMILY_NS ? resolve_ns : LATE_FAMILY_NS);
	return true;
}

void kolk__connected(struct kolk__link *link, int32_t result)
{
	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_CONNECTING);
	if (result < 0 && resolve_again(link))
		return;
	if (result < 0)
		connect_failed(link, result);
	else if (link->upstream->tls == NULL)
		handshake_begin(link); /* over at once */
	else
		upgrade_begin(link);
}

static void connect_begin(struct kolk__link *link, uint32_t count)
{
	link->phase = KOLK__CONNECTING;
	kolk__link_deadline(link, kolk__load_relaxed(&link->upstream->times.connect_ns));
	kolk__connect(link, count);
}

void kolk__dial_resolved(struct kolk__link *link, int32_t result)
{
	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_RESOLVING);
	if (result > 0)
		result = kolk__dns_cache_get(link, kolk__connect_addresses(link));
	if (result > 0)
		connect_begin(link, (uint32_t)result);
	else if (result < 0 && link->progress->asked_whole)
		connect_failed(link, kolk__connect_result(link));
	else if (result < 0)
		kolk__dial_fail(link, result == -ENOMEM ? KOLK_E_MEMORY : KOLK_E_RESOLVE, result,
				0);
}

static enum kolk_err socket_dial(struct kolk__link *link)
{
	struct kolk_address *addresses = kolk__connect_addresses(link);
	int32_t count;

	if (addresses == NULL)
		return KOLK_E_MEMORY;
	if (link->upstream->dns == NULL) {
		addresses[0] = link->upstream->endpoint.address;
		connect_begin(link, kolk__zone_update(link->upstream->endpoint.zone, addresses));
		return KOLK_OK;
	}
	count = kolk__dns_cache_get(link, addresses);
	if (count > 0)
		connect_begin(link, (uint32_t)count);
	else if (count == 0)
		kolk__link_deadline(link, kolk__load_relaxed(&link->upstream->times.resolve_ns));
	return count < 0 ? KOLK_E_MEMORY : KOLK_OK;
}

/* ---- begin, and cancel */

enum kolk_err kolk__link_dial(struct kolk__io_loop *loop, struct kolk__destination to,
			      void *connection, struct kolk__link **out)
{
	struct kolk__link *link = kolk__link_make(loop, to.upstream, connection);
	enum kolk_err err;

	KOLK__ON_LOOP(loop);
	if (link == NULL)
		return KOLK_E_MEMORY;
	link->progress->began_ns = kolk__link_now(loop->transport);
	link->progress->tls_sessions = to.tls_sessions;
	err = to.upstream->resource != NULL ? kolk__resource_dial(link) :
	      to.upstream->child != NULL    ? kolk__child_dial(link) : socket_dial(link);
	if (err != KOLK_OK) {
		kolk__link_free(link);
		return err;
	}
	*out = link;
	return KOLK_OK;
}

void kolk__link_dial_cancel(struct kolk__link *link)
{
	KOLK__HOME(link);
	if (link->phase >= KOLK__READY)
		return;
	link->progress->dial_cancelled = true;
	/* In a step: it may be freed then. */
	kolk__timeout_start(link->loop, &link->progress->timeout, 1);
}
