/* SPDX-License-Identifier: Apache-2.0 */
/* maintenance.c - pings and resets: the driver's exchanges on an established connection. */
#include "transport/dial.h"
#include "transport/exchange.h"
#include "transport/input.h"
#include "transport/resource.h"
#include "transport/upstream.h"

bool kolk__maintenance_failed(const struct kolk__link *link)
{
	return kolk__link_is_in_maintenance(link) && link->failure.err != KOLK_OK &&
	       link->failure.err != KOLK_PENDING;
}

/* When the peer ends the connection before it answers, or had sent unsolicited bytes, that counts
 * as what the peer did, as for one that is not pinged, and not as a failed ping. */
void kolk__ping_done(struct kolk__link *link, enum kolk_err err)
{
	enum kolk_reason ended = kolk__link_reason(err), reason = link->reason;

	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_READY);
	if (link->refused)
		reason = KOLK_REASON_PEER_DATA;
	else if (ended == KOLK_REASON_PEER_CLOSED || ended == KOLK_REASON_PEER_RESET)
		reason = ended;
	link->loop->transport->callbacks.pinged(link->connection, err, reason);
}

void kolk__maintenance_done(struct kolk__link *link)
{
	struct kolk__transport *transport = link->loop->transport;
	bool pinging = link->phase == KOLK__PINGING_LINK;
	enum kolk_err err = link->failure.err;

	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_IN_MAINTENANCE);
	if (link->send_op.in_flight || link->recv_op.in_flight) {
		kolk__cancel(link->loop, &link->send_op);
		kolk__cancel(link->loop, &link->recv_op);
		return; /* their completions come back here */
	}
	kolk__timeout_stop(link->loop, &link->timeout);
	link->phase = KOLK__READY;
	link->failed = link->failed || err != KOLK_OK;
	kolk__input_resume_stream(link); /* a stream that waited for the end of our receive */
	if (pinging)
		kolk__ping_done(link, err);
	else
		transport->callbacks.reset_done(link->connection,
						err == KOLK_OK ? KOLK_REASON_NONE : link->reason);
}

static void maintenance_begin(struct kolk__link *link, enum kolk__link_phase phase,
			      enum kolk_reason reason, uint64_t ns)
{
	link->phase = phase;
	link->failure = (struct kolk_failure)KOLK_INIT(kolk_failure);
	link->reason = reason;
	kolk__link_deadline(link, ns);
}

/* A ping uses the connection: bytes that arrived before it are not its answer. */
static void ping(struct kolk__link *link)
{
	enum kolk_err err = kolk__link_take_unsolicited(link, true);

	if (err == KOLK_OK) {
		kolk__exchange_returned(link, kolk__exchange_call(link, link->upstream->driver->ping));
	} else {
		link->reason = kolk__link_reason(err);
		kolk__exchange_failed(link, err, 0, 0);
	}
}

void kolk__link_ping(struct kolk__link *link)
{
	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_READY);
	maintenance_begin(link, KOLK__PINGING_LINK, KOLK_REASON_PING_FAILED,
			  kolk__load_relaxed(&link->upstream->times.ping_ns));
	if (link->upstream->resource != NULL)
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
		err = driver->clean(link->upstream->driver_user, link->session);
	if (err == KOLK_PENDING && !link->reset_tried && driver->mend != NULL) {
		link->reset_tried = true;
		link->reason = KOLK_REASON_RESET_FAILED;
		kolk__exchange_returned(link, kolk__exchange_call(link, driver->mend));
		return;
	}
	if (err == KOLK_OK) {
		kolk__store_sc(&link->used, false); /* STREAM.SC */
		err = kolk__link_check_input(link, true);
		link->reason = kolk__link_reason(err);
		if (err == KOLK_E_PROTOCOL)
			err = kolk__link_feed_unsolicited(link);
		if (err != KOLK_OK) /* the driver's reason, e.g. an announced close */
			link->reason = kolk__link_reason(err);
	}
	link->failure.err = KOLK_OK;
	if (err != KOLK_OK)
		kolk__exchange_failed(link, err == KOLK_PENDING ? KOLK_E_PROTOCOL : err, 0, 0);
	else if (link->reason == KOLK_REASON_NONE)
		kolk__maintenance_done(link);
	else
		kolk__exchange_pump(link); /* it may have queued an answer; then check again */
}

void kolk__link_reset(struct kolk__link *link)
{
	KOLK__HOME(link);
	KOLK__PHASE(link, KOLK__WHEN_READY);
	maintenance_begin(link, KOLK__RESETTING_LINK, KOLK_REASON_DIRTY,
			  kolk__load_relaxed(&link->upstream->times.reset_ns));
	link->reset_tried = false;
	link->unsolicited_bytes = 0;
	kolk__reset_continue(link);
}
