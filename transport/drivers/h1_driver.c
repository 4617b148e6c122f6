/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h1_driver.c - HTTP/1.1 while the connection is not leased: whether it is clean, how the rest of
 * an abandoned answer is drained, and the ping.
 */
#include <string.h>

#include "transport/drivers/http_driver.h"

void h1_open(struct http_session *session)
{
	session->h1.parser.limits = (struct h1_limits){
		.head_bytes_max = session->options->head_bytes_max,
		.fields_max = session->options->fields_max,
		.informational_max = session->options->informational_max,
		.keep_alive_ignored = session->options->keep_alive_ignored != 0,
	};
}

void h1_close(struct http_session *session)
{
	h1_parser_free(&session->h1.parser);
}

/* A request that is half sent, or an answer that may be another's: the connection is closed. */
enum kolk_err h1_clean(struct http_session *session)
{
	const struct h1_session *h1 = &session->h1;

	if (h1->unusable || h1->sending)
		return KOLK_E_PROTOCOL;
	if (!h1->answer_due)
		return KOLK_OK;
	return h1_parser_drainable(&h1->parser, session->options->drain_bytes_max) ? KOLK_PENDING :
										    KOLK_E_PROTOCOL;
}

/* Nothing to send: the outstanding answer arrives by itself, if it arrives in time. */
enum kolk_err h1_reset(struct http_session *session, struct kolk_exchange *exchange)
{
	struct h1_session *h1 = &session->h1;

	(void)exchange;
	h1->parser.upgrade = NULL; /* the request that asked for it is cancelled: a 101 is no answer
	                            * any more */
	h1->pinging = false;
	return KOLK_PENDING;
}

enum kolk_err h1_ping(struct http_session *session, struct kolk_exchange *exchange)
{
	const struct kolk_http_driver_options *options = session->options;
	struct kolk_http_request request = KOLK_INIT(kolk_http_request);
	struct h1_session *h1 = &session->h1;
	char text[1024];
	size_t size;

	if (options->ping == KOLK_HTTP_PING_NONE)
		return KOLK_OK;
	request.method = options->ping == KOLK_HTTP_PING_HEAD ? "HEAD" : "OPTIONS";
	request.target = http_ping_target(options);
	request.authority = options->ping_authority != NULL ? options->ping_authority :
							      "localhost";
	size = h1_write_head(&request, NULL, text, sizeof text);
	if (size > sizeof text)
		return KOLK_E_OPTIONS;
	h1_parser_begin(&h1->parser);
	h1->parser.no_body = options->ping == KOLK_HTTP_PING_HEAD;
	h1->answer_due = h1->pinging = true;
	return kolk_exchange_send(exchange, text, size) == KOLK_OK ? KOLK_PENDING : KOLK_E_MEMORY;
}

static bool is_unhealthy(const struct http_session *session)
{
	const struct h1_session *h1 = &session->h1;

	return h1->pinging && session->options->ping == KOLK_HTTP_PING_HEAD &&
	       h1->parser.head.status >= 500;
}

/* An abandoned answer, or that of a ping. */
enum kolk_err h1_feed(struct http_session *session, struct kolk_exchange *exchange,
		      const void *data, size_t size)
{
	struct h1_session *h1 = &session->h1;
	const uint8_t *bytes = data;
	enum h1_event event = H1_BODY;
	enum kolk_err err = KOLK_OK;

	(void)exchange;
	while (err == KOLK_OK && event != H1_MORE && event != H1_END) {
		err = h1_parse(&h1->parser, &bytes, &size, &event);
		if (err == KOLK_OK && (event == H1_SWITCHED || is_unhealthy(session)))
			err = KOLK_E_PROTOCOL;
	}
	if (err == KOLK_OK && event == H1_MORE)
		return h1_parser_drainable(&h1->parser, session->options->drain_bytes_max) ?
			       KOLK_PENDING : KOLK_E_PROTOCOL;
	if (err == KOLK_OK && (size > 0 || !h1->parser.keep))
		err = KOLK_E_PROTOCOL; /* a second answer; or the last one */
	h1->unusable = err != KOLK_OK;
	h1->answer_due = false;
	return err;
}
