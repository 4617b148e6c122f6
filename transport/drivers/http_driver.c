/* SPDX-License-Identifier: Apache-2.0 */
/* http_driver.c - the pool's side of HTTP: which protocol a connection speaks is decided once, at
 * its opening; from then on its callbacks go to h1.c or h2. */
#include <string.h>

#include "transport/drivers/http.h"

/* ---- options */

enum {
	HEAD_MIN = 256, HEAD_MAX = 1 << 20, FIELDS_MAX = 1024, STREAMS_MAX = 65536,
	WINDOW_MIN = 65535
};

#define DAY_NS (24 * 3600 * KOLK_S_NS)

static void default32(uint32_t *value, uint32_t otherwise)
{
	if (*value == 0)
		*value = otherwise;
}

static void default64(uint64_t *value, uint64_t otherwise)
{
	if (*value == 0)
		*value = otherwise;
}

static void fill_in(struct kolk_http_driver_options *options)
{
	bool asks = options->ping == KOLK_HTTP_PING_OPTIONS;

	default32(&options->head_bytes_max, 65536);
	default32(&options->fields_max, 128);
	default32(&options->informational_max, 16);
	if (options->informational_max == KOLK_NONE)
		options->informational_max = 0;
	if (options->ping_target == NULL)
		options->ping_target = asks ? "*" : "/";
	if (options->ping_authority == NULL)
		options->ping_authority = "localhost";
	default64(&options->drain_bytes_max, 65536);
	if (options->drain_bytes_max == KOLK_AT_ONCE)
		options->drain_bytes_max = 0;
	default64(&options->continue_timeout_ns, KOLK_S_NS);
	default32(&options->streams_max, 100);
	default32(&options->stream_window, 1 << 20);
	default32(&options->connection_window, 16 << 20);
	default32(&options->requests_max, 1000000);
	default32(&options->resets_max, 20);
	default32(&options->frames_max, 1000);
	default64(&options->ping_interval_ns, 5 * KOLK_S_NS);
	default64(&options->ping_timeout_ns, 3 * KOLK_S_NS);
}

/* What goes into a request line and a field unseen. */
static bool plain(const char *text)
{
	for (const char *c = text; *c != '\0'; c++)
		if (*c <= ' ' || *c >= 0x7f)
			return false;
	return *text != '\0' && strlen(text) <= 256;
}

static bool between(uint32_t value, uint32_t min, uint32_t max)
{
	return value >= min && value <= max;
}

/* KOLK_FOREVER where that is allowed, else a day at most: sums of times do not overflow. */
static bool is_time(uint64_t ns, uint64_t also)
{
	return ns <= DAY_NS || ns == also;
}

enum kolk_err http_options(const struct kolk_http_driver_options *given,
			   struct kolk_http_driver_options *options)
{
	*options = (struct kolk_http_driver_options)KOLK_INIT(kolk_http_driver_options);
	if (given != NULL && given->size != sizeof *given)
		return KOLK_E_OPTIONS;
	if (given != NULL)
		*options = *given;
	fill_in(options);
	if (options->protocols > KOLK_HTTP_2_ONLY || options->ping > KOLK_HTTP_PING_HEAD ||
	    options->keep_alive_ignored > 1 || !plain(options->ping_target) ||
	    !plain(options->ping_authority) ||
	    !between(options->head_bytes_max, HEAD_MIN, HEAD_MAX) ||
	    !between(options->fields_max, 1, FIELDS_MAX) ||
	    !between(options->streams_max, 1, STREAMS_MAX) ||
	    !between(options->resets_max, 1, 1000000) ||
	    !between(options->frames_max, 1, 1000000) ||
	    !is_time(options->ping_interval_ns, KOLK_FOREVER) ||
	    !is_time(options->ping_timeout_ns, 0) ||
	    !between(options->stream_window, WINDOW_MIN, INT32_MAX) ||
	    !between(options->connection_window, WINDOW_MIN, INT32_MAX))
		return KOLK_E_OPTIONS;
	return KOLK_OK;
}

/* ---- the driver */

/* RFC 9113, section 3: over TLS it is h2 only if ALPN says so. */
static enum kolk_err choose(struct http_session *http, const char *alpn)
{
	bool h2 = alpn != NULL && strcmp(alpn, "h2") == 0;

	if (alpn != NULL && !h2 && strcmp(alpn, "http/1.1") != 0)
		return KOLK_E_PROTOCOL;
	switch (http->options.protocols) {
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

static enum kolk_err http_open(void *user, void *session, struct kolk_exchange *exchange)
{
	struct http_session *http = session;
	enum kolk_err err = http_options(user, &http->options);

	http->tls = kolk_exchange_is_tls(exchange);
	if (err == KOLK_OK)
		err = choose(http, kolk_exchange_alpn(exchange));
	if (err != KOLK_OK) {
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

static enum kolk_err http_mend(void *user, void *session, struct kolk_exchange *exchange)
{
	struct http_session *http = session;

	(void)user;
	return http->protocol == HTTP_1 ? h1_mend(http, exchange) : KOLK_E_PROTOCOL;
}

static enum kolk_err http_feed(void *user, void *session, struct kolk_exchange *exchange,
			       const void *data, size_t size)
{
	struct http_session *http = session;

	(void)user;
	return http->protocol == HTTP_2 ? h2_feed(http, exchange, data, size) :
					  h1_feed(http, exchange, data, size);
}

/* An answer that nobody asked for is no answer (RFC 9112, section 9.2). */
static enum kolk_err http_heard(void *user, void *session, struct kolk_exchange *exchange,
				const void *data, size_t size)
{
	struct http_session *http = session;

	(void)user;
	return http->protocol == HTTP_2 ? h2_heard(http, exchange, data, size) : KOLK_E_PROTOCOL;
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
	.mend = http_mend,
	.feed = http_feed,
	.heard = http_heard,
	.clean = http_clean,
	.close = http_close,
};

const struct kolk_driver *kolk_driver_http(void)
{
	return &http_driver;
}
