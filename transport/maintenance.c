/* SPDX-License-Identifier: Apache-2.0 */
/* maintenance.c - pings and resets: the driver's exchanges on an established connection. */
#include "transport/dial.h"
#include "transport/exchange.h"
#include "transport/input.h"
#include "transport/resource.h"
#include "transport/upstream.h"

bool kolk__maintenance_failed(const struct kolk__link *link)
{
	enum kolk_err err;

	if (!kolk__link_is_in_maintenance(link))
		return false;
	err = link->progress->failure.err;
	return err != KOLK_OK && err != KOLK_PENDING;
}

/* When the peer ends the connection before it answers, or had sent unsolicited bytes, that counts
 * as what the peer did, as for one that is not pinged, and not as a failed ping. */
void kolk__ping_done(struct kolk__link *link, enum kolk_err err)
{
	enum kolk_reason ended = kolk__link_reason(err), reason = link->progress->reason;

	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_READY);
	if (link->refused)
		reason = KOLK_REASON_PEER_DATA;
	else if (ended == KOLK_REASON_PEER_CLOSED || ended == KOLK_REASON_PEER_RESET)
		reason = ended;
	kolk__progress_end(link);
	link->loop->transport->callbacks.pinged(link->connection, err, reason);
}

void kolk__maintenance_done(struct kolk__link *link)
{
	struct kolk__transport *transport = link->loop->transport;
	struct kolk__progress *progress = link->progress;
	bool pinging = link->phase == KOLK__PINGING_LINK;
	enum kolk_err err = progress->failure.err;
	enum kolk_reason reason = err == KOLK_OK ? KOLK_REASON_NONE : progress->reason;

	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_IN_MAINTENANCE);
	if (progress->send_op.in_flight || progress->recv_op.in_flight) {
		kolk__cancel(link->loop, &progress->send_op);
		kolk__cancel(link->loop, &progress->recv_op);
		return; /* their completions come back here */
	}
	kolk__timeout_stop(link->loop, &progress->timeout);
	link->phase = KOLK__READY;
	link->failed = link->failed || err != KOLK_OK;
	kolk__link_trim_output(link);
	kolk__input_resume_stream(link); /* a stream that waited for the end of our receive */
	if (pinging) {
		kolk__ping_done(link, err);
		return;
	}
	kolk__progress_end(link);
	transport->callbacks.reset_done(link->connection, reason);
}

/* False = no memory. */
static bool maintenance_begin(struct kolk__link *link, enum kolk__link_phase phase,
			      enum kolk_reason reason, uint64_t ns)
{
	if (!kolk__progress_begin(link))
		return false;
	link->phase = (uint8_t)phase;
	link->progress->reason = reason;
	kolk__link_deadline(link, ns);
	return true;
}

/* A ping uses the connection: bytes that arrived before it are not its answer. */
static void ping(struct kolk__link *link)
{
	enum kolk_err err = kolk__link_take_unsolicited(link, true);

	if (err == KOLK_OK) {
		kolk__exchange_returned(link, kolk__exchange_call(link, link->upstream->driver->ping));
	} else {
		link->progress->reason = kolk__link_reason(err);
		kolk__exchange_failed(link, err, 0, 0);
	}
}

void kolk__link_ping(struct kolk__link *link)
{
	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_READY);
	if (!maintenance_begin(link, KOLK__PINGING_LINK, KOLK_REASON_PING_FAILED,
			       kolk__load_relaxed(&link->upstream->times.ping_ns)))
		/* No memory to ask it: no reason to close it. */
		link->loop->transport->callbacks.pinged(link->connection, KOLK_OK, KOLK_REASON_NONE);
	else if (link->upstream->resource != NULL)
		kolk__resource_ping(link);
	else
		ping(link);
}

/* Does the driver call the connection clean? If not, the bytes still to come may be answers: the
 * driver resets it once, and is asked again after that. If it does, bytes that are still there are
 * unsolicited. */
void kolk__reset_continue(struct kolk__link *link)
{
	const struct kolk_driver *driver = link->upstream->driver;
	enum kolk_err err = KOLK_OK;

	if (driver->clean != NULL)
		err = driver->clean(link->upstream->driver_user, kolk__link_driver_session(link));
	if (err == KOLK_PENDING && !link->progress->reset_tried && driver->mend != NULL) {
		link->progress->reset_tried = true;
		link->progress->reason = KOLK_REASON_RESET_FAILED;
		kolk__exchange_returned(link, kolk__exchange_call(link, driver->mend));
		return;
	}
	if (err == KOLK_OK) {
		kolk__store_sc(&link->used, false); /* STREAM.SC */
		err = kolk__link_check_input(link, true);
		link->progress->reason = kolk__link_reason(err);
		if (err == KOLK_E_PROTOCOL)
			err = kolk__link_feed_unsolicited(link);
		if (err != KOLK_OK) /* the driver's reason, e.g. an announced close */
			link->progress->reason = kolk__link_reason(err);
	}
	link->progress->failure.err = KOLK_OK;
	if (err != KOLK_OK)
		kolk__exchange_failed(link, err == KOLK_PENDING ? KOLK_E_PROTOCOL : err, 0, 0);
	else if (link->progress->reason == KOLK_REASON_NONE)
		kolk__maintenance_done(link);
	else
		kolk__exchange_pump(link); /* it may have queued an answer; then check again */
}

void kolk__link_reset(struct kolk__link *link)
{
	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_READY);
	if (!maintenance_begin(link, KOLK__RESETTING_LINK, KOLK_REASON_DIRTY,
			       kolk__load_relaxed(&link->upstream->times.reset_ns))) {
		link->failed = true;
		link->loop->transport->callbacks.reset_done(link->connection, KOLK_REASON_IO_ERROR);
		return;
	}
	link->unsolicited_bytes = 0;
	if (link->upstream->resource != NULL)
		kolk__async_reset(link);
	else
		kolk__reset_continue(link);
}
