/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2_driver.c - an HTTP/2 connection in the pool's hand: made ready, pinged, listened to while it
 * is idle, proved clean, told goodbye.
 */
#include "transport/drivers/h2_session.h"
#include "transport/drivers/http.h"

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
		.idle_talk_per_s = options->frames_max,
		.idle_talk_burst = options->frames_max,
	};
}

/* Queue what the session has to say. */
static enum kolk_err say(struct h2_session *session, struct kolk_exchange *exchange)
{
	enum kolk_err err = KOLK_OK;
	uint8_t buffer[4096];
	size_t size;

	do {
		size = h2_session_take(session, buffer, sizeof buffer, kolk_in_ns(0));
		if (size > 0)
			err = kolk_exchange_send(exchange, buffer, size);
	} while (size == sizeof buffer && err == KOLK_OK);
	return err != KOLK_OK ? err : session->err;
}

/* Ready when the peer's SETTINGS came: before that nobody knows how many streams it allows. */
enum kolk_err h2_open(struct http_session *session, struct kolk_exchange *exchange)
{
	struct h2_limits limits = limits_of(session->options);
	enum kolk_err err;

	session->h2 = h2_session_open(&limits, kolk_in_ns(0));
	if (session->h2 == NULL)
		return KOLK_E_MEMORY;
	err = say(session->h2, exchange);
	return err == KOLK_OK ? KOLK_PENDING : err;
}

enum kolk_err h2_ping(struct http_session *session, struct kolk_exchange *exchange)
{
	enum kolk_err err = h2_session_ping(session->h2, kolk_in_ns(0));

	if (err == KOLK_OK)
		err = say(session->h2, exchange);
	return err == KOLK_OK ? KOLK_PENDING : err;
}

enum kolk_err h2_heard(struct http_session *session, struct kolk_exchange *exchange,
		       const void *data, size_t size)
{
	struct h2_session *h2 = session->h2;
	enum kolk_err err = h2_session_feed(h2, data, size, kolk_in_ns(0));
	enum kolk_err said = say(h2, exchange);

	if (err == KOLK_OK)
		err = said;
	return err == KOLK_OK && h2->leaving ? KOLK_E_CLOSED : err;
}

enum kolk_err h2_feed(struct http_session *session, struct kolk_exchange *exchange,
		      const void *data, size_t size)
{
	enum kolk_err err = h2_heard(session, exchange, data, size);

	if (err == KOLK_OK && (!session->h2->ready || session->h2->pinged_ns != 0))
		err = KOLK_PENDING;
	return err;
}

enum kolk_err h2_clean(struct http_session *session)
{
	return h2_session_is_neutral(session->h2) ? KOLK_OK : KOLK_E_PROTOCOL;
}

/* What is over says nothing but the GOAWAY that ended it: requests that wait in it are made
 * elsewhere, perhaps. Nor does a client that still holds the session (its lease was revoked). */
void h2_close(struct http_session *session, struct kolk_exchange *exchange)
{
	struct h2_session *h2 = session->h2;

	session->h2 = NULL;
	if (h2 == NULL)
		return;
	if (exchange != NULL && (h2->err == KOLK_OK || h2->tells) &&
	    !kolk__load_acquire(&h2->held)) {
		h2_session_goodbye(h2); /* one that was said stays as it is */
		(void)say(h2, exchange);
	}
	h2_session_unref(h2);
}
