/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_driver.c - an HTTP/2 connection in the pool: opened, pinged, read while it is idle, checked at
 * release, closed with GOAWAY.
 */
#include "transport/drivers/h2_session.h"
#include "transport/drivers/http_driver.h"

static struct h2_limits limits_of(const struct kolk_http_driver_options *options)
{
	return (struct h2_limits){
		.streams_max = options->streams_max,
		.streams_total_max = options->requests_max,
		.head_bytes_max = options->head_bytes_max,
		.fields_max = options->fields_max,
		.informational_max = options->informational_max,
		.window_bytes = options->stream_window,
		.connection_window_bytes = options->connection_window,
		.resets_per_s = options->resets_max,
		.resets_burst = 25 * options->resets_max,
		.empty_frames_per_s = options->frames_max,
		.empty_frames_burst = options->frames_max,
	};
}

/* Queue the session's output. */
static enum kolk_err send_output(struct h2_session *session, struct kolk_exchange *exchange)
{
	enum kolk_err err = KOLK_OK;
	uint8_t buffer[4096];
	size_t size;

	do {
		size = h2_session_output(session, buffer, sizeof buffer, kolk_in_ns(0));
		if (size > 0)
			err = kolk_exchange_send(exchange, buffer, size);
	} while (size == sizeof buffer && err == KOLK_OK);
	return err != KOLK_OK ? err : session->err;
}

/* Ready when the peer's SETTINGS were received: before that the limit of streams is unknown. */
enum kolk_err h2_open(struct http_session *session, struct kolk_exchange *exchange)
{
	struct h2_limits limits = limits_of(session->options);
	enum kolk_err err;

	session->h2 = h2_session_open(&limits, kolk_in_ns(0));
	if (session->h2 == NULL)
		return KOLK_E_MEMORY;
	err = send_output(session->h2, exchange);
	return err == KOLK_OK ? KOLK_PENDING : err;
}

enum kolk_err h2_ping(struct http_session *session, struct kolk_exchange *exchange)
{
	enum kolk_err err = h2_session_ping(session->h2, kolk_in_ns(0));

	if (err == KOLK_OK)
		err = send_output(session->h2, exchange);
	return err == KOLK_OK ? KOLK_PENDING : err;
}

enum kolk_err h2_on_unsolicited(struct http_session *session, struct kolk_exchange *exchange,
				const void *data, size_t size)
{
	struct h2_session *h2 = session->h2;
	enum kolk_err err = h2_session_feed(h2, data, size, kolk_in_ns(0));
	enum kolk_err send_err = send_output(h2, exchange);

	if (err == KOLK_OK)
		err = send_err;
	return err == KOLK_OK && h2->draining ? KOLK_E_CLOSED : err;
}

enum kolk_err h2_feed(struct http_session *session, struct kolk_exchange *exchange,
		      const void *data, size_t size)
{
	enum kolk_err err = h2_on_unsolicited(session, exchange, data, size);

	if (err == KOLK_E_PROTOCOL && !session->h2->ready)
		kolk_exchange_detail(exchange, "what the peer sent first is no SETTINGS: does it "
					       "speak HTTP/2?");
	if (err == KOLK_OK && (!session->h2->ready || session->h2->pinged_ns != 0))
		err = KOLK_PENDING;
	return err;
}

enum kolk_err h2_clean(struct http_session *session)
{
	return h2_session_is_clean(session->h2) ? KOLK_OK : KOLK_E_PROTOCOL;
}

/* A session that failed sends nothing but the GOAWAY that ended it: queued requests may be sent on
 * another connection. Nothing is sent either while a client still owns the session (its lease was
 * revoked). */
void h2_close(struct http_session *session, struct kolk_exchange *exchange)
{
	struct h2_session *h2 = session->h2;

	session->h2 = NULL;
	if (h2 == NULL)
		return;
	if (exchange != NULL && (h2->err == KOLK_OK || h2->goaway_pending) &&
	    !kolk__load_acquire(&h2->client_owned)) {
		h2_session_queue_goaway(h2); /* a GOAWAY that was queued before stays as it is */
		(void)send_output(h2, exchange);
	}
	h2_session_unref(h2);
}
