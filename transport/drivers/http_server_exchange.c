/* SPDX-License-Identifier: Apache-2.0 */
/* http_server_exchange.c - what callees call (kolk/http_server.h). */
#include "transport/drivers/http_server_h2.h"

enum kolk_err kolk_http_server_answer(struct kolk_http_server_exchange *exchange,
				      const struct kolk_http_answer *answer)
{
	return hs_answer(exchange, answer);
}

enum kolk_err kolk_http_server_inform(struct kolk_http_server_exchange *exchange, uint32_t status,
				      const struct kolk_http_field *fields, size_t field_count)
{
	struct kolk_http_answer answer = KOLK_INIT(kolk_http_answer);

	answer.status = status;
	answer.fields = fields;
	answer.field_count = (uint32_t)field_count;
	return field_count > UINT32_MAX ? KOLK_E_OPTIONS : hs_inform(exchange, &answer);
}

static void changed(struct kolk_http_server_exchange *exchange)
{
	if (exchange->h2 != NULL)
		hs_h2_changed(exchange);
	else
		hs_conn_post(exchange->conn);
}

void kolk_http_server_more(struct kolk_http_server_exchange *exchange)
{
	if (!exchange->pull_pending)
		return;
	exchange->pull_pending = false;
	changed(exchange);
}

bool kolk_http_server_write(struct kolk_http_server_exchange *exchange, const void *data,
			    size_t size)
{
	if (exchange->h2 != NULL || !hs_write(exchange, data, size))
		return false;
	changed(exchange);
	return true;
}

void kolk_http_server_pause(struct kolk_http_server_exchange *exchange)
{
	if (exchange->paused || !exchange->running)
		return;
	exchange->paused = true;
	changed(exchange);
}

void kolk_http_server_resume(struct kolk_http_server_exchange *exchange)
{
	if (!exchange->paused)
		return;
	exchange->paused = false;
	changed(exchange);
}

void kolk_http_server_cancel(struct kolk_http_server_exchange *exchange)
{
	if (exchange->h2 == NULL) {
		hs_conn_fail(exchange->conn, KOLK_E_CANCELLED);
		return;
	}
	if (exchange->err != KOLK_OK)
		return;
	exchange->err = KOLK_E_CANCELLED; /* no handler but end from here on */
	changed(exchange);
}

void kolk_http_server_trim(struct kolk_http_server_exchange *exchange)
{
	const struct h1_request_parser *parser = &exchange->parser;

	if (exchange->h2 != NULL)
		return;
	hs_h2_stream_free(exchange->stream); /* of an exchange before it */
	exchange->stream = NULL;
	if (exchange->running &&
	    (exchange->body_done || (parser->message.state == H1_WHOLE && parser->trailer_count == 0)))
		h1_request_trim(&exchange->parser);
}

const struct kolk_stream *
kolk_http_server_stream(const struct kolk_http_server_exchange *exchange)
{
	return exchange->conn->wire_user;
}
