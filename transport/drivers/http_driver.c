/* SPDX-License-Identifier: Apache-2.0 */
/* http_driver.c - the driver's callbacks for HTTP: which protocol a connection speaks is decided
 * once, when it opens; then the calls go to h1 or h2. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transport/drivers/http_driver.h"

/* ---- the driver */

/* RFC 9113, section 3: over TLS it is h2 only if ALPN says so. */
static enum kolk_err choose(struct http_session *http, const char *alpn)
{
	bool h2 = alpn != NULL && strcmp(alpn, "h2") == 0;

	if (alpn != NULL && !h2 && strcmp(alpn, "http/1.1") != 0)
		return KOLK_E_PROTOCOL;
	switch (http->options->protocols) {
	case KOLK_HTTP_1_ONLY:
		http->protocol = HTTP_1;
		return h2 ? KOLK_E_PROTOCOL : KOLK_OK;
	case KOLK_HTTP_2_ONLY:
		http->protocol = HTTP_2;
		return http->tls && !h2 ? KOLK_E_PROTOCOL : KOLK_OK;
	default:
		http->protocol = h2 ? HTTP_2 : HTTP_1;
		return KOLK_OK;
	}
}

/* "host:port" without a zone, which is this machine's alone, and without a port that the scheme
 * implies (RFC 9110, section 4.2.3). malloc'd; NULL = no memory. */
static char *authority_of(const char *address, bool tls)
{
	const char *port = strrchr(address, ':'), *implied = tls ? ":443" : ":80";
	size_t zone = strcspn(address, "%"), size = strlen(address);
	const char *rest = address[zone] == '%' ? strchr(address + zone, ']') : NULL;
	char *text;

	if (strncmp(address, "unix:", 5) == 0 || strncmp(address, "child:", 6) == 0)
		address = "localhost", size = strlen(address), rest = NULL;
	else if (port != NULL && strcmp(port, implied) == 0)
		size -= strlen(implied);
	if (rest == NULL)
		zone = size, rest = address + size;
	text = malloc(size + 1);
	if (text != NULL)
		snprintf(text, size + 1, "%.*s%.*s", (int)zone, address,
			 (int)(size - (size_t)(rest - address)), rest);
	return text;
}

static enum kolk_err http_open(void *user, void *session, struct kolk_exchange *exchange)
{
	struct http_session *http = session;
	enum kolk_err err;

	http->options = user;
	http->tls = kolk_exchange_is_tls(exchange);
	http->authority = authority_of(kolk_exchange_address(exchange), http->tls);
	if (http->authority == NULL)
		return KOLK_E_MEMORY;
	err = choose(http, kolk_exchange_alpn(exchange));
	if (err != KOLK_OK) {
		kolk_exchange_detail(exchange, "TLS did not agree on what the pool speaks (ALPN)");
		http->protocol = HTTP_UNKNOWN;
		return err;
	}
	if (http->protocol == HTTP_2)
		return h2_open(http, exchange);
	h1_open(http);
	return KOLK_OK;
}

static enum kolk_err http_ping(void *user, void *session, struct kolk_exchange *exchange)
{
	struct http_session *http = session;

	(void)user;
	return http->protocol == HTTP_2 ? h2_ping(http, exchange) : h1_ping(http, exchange);
}

static enum kolk_err http_reset(void *user, void *session, struct kolk_exchange *exchange)
{
	struct http_session *http = session;

	(void)user;
	return http->protocol == HTTP_1 ? h1_reset(http, exchange) : KOLK_E_PROTOCOL;
}

static enum kolk_err http_feed(void *user, void *session, struct kolk_exchange *exchange,
			       const void *data, size_t size)
{
	struct http_session *http = session;

	(void)user;
	return http->protocol == HTTP_2 ? h2_feed(http, exchange, data, size) :
					  h1_feed(http, exchange, data, size);
}

/* Bytes without a request are no answer (RFC 9112, section 9.2). */
static enum kolk_err http_on_unsolicited(void *user, void *session, struct kolk_exchange *exchange,
					 const void *data, size_t size)
{
	struct http_session *http = session;

	(void)user;
	return http->protocol == HTTP_2 ? h2_on_unsolicited(http, exchange, data, size) :
					  KOLK_E_PROTOCOL;
}

static enum kolk_err http_clean(void *user, void *session)
{
	struct http_session *http = session;

	(void)user;
	return http->protocol == HTTP_2 ? h2_clean(http) : h1_clean(http);
}

static void http_close(void *user, void *session, struct kolk_exchange *exchange)
{
	struct http_session *http = session;

	(void)user;
	if (http->protocol == HTTP_2)
		h2_close(http, exchange);
	else if (http->protocol == HTTP_1)
		h1_close(http);
	free(http->authority);
}

enum kolk_reason http_reason(enum kolk_err err)
{
	switch (err) {
	case KOLK_E_CLOSED:
	case KOLK_E_TLS_TRUNCATED:
		return KOLK_REASON_PEER_CLOSED;
	case KOLK_E_RESET:
		return KOLK_REASON_PEER_RESET;
	case KOLK_E_PROTOCOL:
	case KOLK_E_TLS:
		return KOLK_REASON_PROTOCOL;
	case KOLK_E_FLOOD:
		return KOLK_REASON_FLOOD;
	default:
		return KOLK_REASON_IO_ERROR;
	}
}

const struct kolk_driver http_driver = {
	.size = (uint32_t)sizeof(struct kolk_driver),
	.session_bytes = (uint32_t)sizeof(struct http_session),
	.name = "http",
	.open = http_open,
	.ping = http_ping,
	.mend = http_reset,
	.feed = http_feed,
	.heard = http_on_unsolicited,
	.clean = http_clean,
	.close = http_close,
	.options = &http_option_table,
	.check = http_options_check,
	.speaks_first = 1,
};

const struct kolk_driver *kolk_driver_http(void)
{
	return &http_driver;
}
