/* SPDX-License-Identifier: Apache-2.0 */
/* http_options.c - every option of the HTTP driver, once (kolk/options.h), and their check. */
#include <string.h>

#include "transport/drivers/http_driver.h"

/* clang-format off */

enum { IDENTITY = KOLK_OPTION_IDENTITY, NONE = KOLK_OPTION_NONE, FOREVER = KOLK_OPTION_FOREVER };

#define DAY_NS (24 * 3600 * KOLK_S_NS)
#define MANY 1000000000u
#define WINDOW_MIN 65535

typedef const char *text;

static const struct kolk_option_word protocols[] = {
	{ "auto", KOLK_HTTP_BY_ALPN }, { "1.1", KOLK_HTTP_1_ONLY }, { "2", KOLK_HTTP_2_ONLY },
	{ NULL, 0 }
};
static const struct kolk_option_word pings[] = {
	{ "none", KOLK_HTTP_PING_NONE }, { "options", KOLK_HTTP_PING_OPTIONS },
	{ "head", KOLK_HTTP_PING_HEAD }, { NULL, 0 }
};

#define HTTP_OPTIONS(X)                                                                            \
	KOLK_OPTION_FIELD(X, uint32_t, size, SIZE, 0)                                              \
	X(uint32_t, protocols, WORD, IDENTITY, 0, 0, 0, "http.version", protocols, NULL, NULL,     \
	  "auto: 2 if TLS agrees on it, else 1.1; 2 without TLS: by prior knowledge")              \
	X(uint32_t, head_bytes_max, BYTES, IDENTITY, 65536, 256, 1 << 20, "http.head_bytes_max",   \
	  NULL, NULL, NULL, "of an answer's head, and of its trailers")                            \
	X(uint32_t, fields_max, COUNT, IDENTITY, 128, 1, 1024, "http.fields_max", NULL, NULL,      \
	  NULL, "per head and per trailers")                                                       \
	X(uint32_t, informational_max, COUNT, IDENTITY | NONE, 16, 1, MANY,                        \
	  "http.informational_max", NULL, NULL, NULL, "1xx answers before the final one")          \
	X(uint32_t, ping, WORD, IDENTITY, 0, 0, 0, "http.ping", pings, NULL, NULL,                 \
	  "health ping of an idle HTTP/1.1 connection")                                            \
	X(text, ping_target, TEXT, IDENTITY, 0, 1, 256, "http.ping_target", NULL, NULL,            \
	  "* for options, / for head", "")                                                         \
	X(text, ping_authority, TEXT, IDENTITY, 0, 1, 256, "http.ping_authority", NULL, NULL,      \
	  "localhost", "its Host")                                                                 \
	X(uint64_t, drain_bytes_max, BYTES, IDENTITY | NONE, 65536, 1, 1 << 30,                    \
	  "http.drain_bytes_max", NULL, NULL, NULL,                                                \
	  "read away of an answer that is not wanted any more; more closes the connection")        \
	X(uint64_t, continue_timeout_ns, DURATION, IDENTITY, KOLK_S_NS, KOLK_US_NS,                \
	  DAY_NS, "http.continue_timeout", NULL, NULL, NULL,                                       \
	  "a request with Expect: 100-continue sends its body after so long")                      \
	X(uint32_t, keep_alive_ignored, SWITCH, IDENTITY, 0, 0, 1, "http.keep_alive_ignored",      \
	  NULL, NULL, NULL, "do not heed what the peer says in Keep-Alive")                        \
	X(uint32_t, streams_max, COUNT, IDENTITY, 100, 1, 65536, "http.streams_max", NULL, NULL,   \
	  NULL, "HTTP/2: at once on a connection")                                                 \
	X(uint32_t, stream_window, BYTES, IDENTITY, 1 << 20, WINDOW_MIN, INT32_MAX,                \
	  "http.stream_window", NULL, "65535B to 2GiB - 1B", NULL, "HTTP/2: on its way to us")     \
	X(uint32_t, connection_window, BYTES, IDENTITY, 16 << 20, WINDOW_MIN, INT32_MAX,           \
	  "http.connection_window", NULL, "65535B to 2GiB - 1B", NULL,                             \
	  "HTTP/2: all streams together")                                                          \
	X(uint32_t, requests_max, COUNT, IDENTITY, 1000000, 1, MANY, "http.requests_max", NULL,    \
	  NULL, NULL, "HTTP/2: streams in the life of a connection")                               \
	X(uint32_t, resets_max, COUNT, IDENTITY, 20, 1, 1000000, "http.resets_max", NULL, NULL,    \
	  NULL, "HTTP/2: streams that we reset, per second")                                       \
	X(uint32_t, frames_max, COUNT, IDENTITY, 1000, 1, 1000000, "http.frames_max", NULL, NULL,  \
	  NULL, "HTTP/2: frames that carry nothing, per second; more closes the connection")       \
	X(uint64_t, ping_interval_ns, DURATION, IDENTITY | FOREVER, 5 * KOLK_S_NS, KOLK_US_NS,     \
	  DAY_NS, "http.ping_interval", NULL, NULL, NULL,                                          \
	  "HTTP/2: after so long without a byte, while streams are open")                          \
	X(uint64_t, ping_timeout_ns, DURATION, IDENTITY, 3 * KOLK_S_NS, KOLK_US_NS, DAY_NS,        \
	  "http.ping_timeout", NULL, NULL, NULL, "HTTP/2: not a byte for so long after it: dead")       \
	X(text, base_path, TEXT, IDENTITY, 0, 2, 1024, "http.base_path", NULL, "/path", "none",    \
	  "in front of the target of each request")

/* clang-format on */

#define KOLK_OPTION_STRUCT struct kolk_http_driver_options
#define KOLK_OPTION_SHADOW struct http_shadow
struct http_shadow { HTTP_OPTIONS(KOLK_OPTION_MEMBER) };
KOLK_OPTION_PROVE(HTTP_OPTIONS, 4);
static const struct kolk_option rows[] = { HTTP_OPTIONS(KOLK_OPTION_ROW) };
const struct kolk_option_table http_option_table = KOLK_OPTION_TABLE("http", rows);

/* What goes into a request line or a field without escaping. */
static bool is_plain(const char *word)
{
	for (const char *c = word; c != NULL && *c != '\0'; c++)
		if (*c <= ' ' || *c >= 0x7f)
			return false;
	return word == NULL || *word != '\0';
}

/* RFC 3986, section 3.3; what follows begins with a '/'. */
static bool is_base_path(const char *path)
{
	return path == NULL || (path[0] == '/' && path[strlen(path) - 1] != '/' &&
				strpbrk(path, "?#") == NULL && is_plain(path));
}

static bool is_offered(const char *const *alpn, const char *name)
{
	while (alpn != NULL && *alpn != NULL && strcmp(*alpn, name) != 0)
		alpn++;
	return alpn != NULL && *alpn != NULL;
}

/* What is offered (RFC 7301) can be spoken, and what is to be spoken is offered: over TLS it is h2
 * if ALPN says so, and only then (RFC 9113, section 3). */
static bool may_agree(const struct kolk_http_driver_options *o,
		      const struct kolk_pool_options *pool)
{
	const char *const *alpn = pool->tls != NULL ? pool->tls->alpn : NULL;
	bool tls = pool->tls != NULL ||
		   (pool->address != NULL && strncmp(pool->address, "tls://", 6) == 0);

	for (const char *const *at = alpn; at != NULL && *at != NULL; at++)
		if (strcmp(*at, "h2") != 0 && strcmp(*at, "http/1.1") != 0)
			return false;
	return !tls || (o->protocols == KOLK_HTTP_1_ONLY ? !is_offered(alpn, "h2") :
			o->protocols == KOLK_HTTP_2_ONLY ? is_offered(alpn, "h2") : true);
}

enum kolk_err http_options_check(const void *options, const struct kolk_pool_options *pool,
				 const char **field)
{
	const struct kolk_http_driver_options *o = options;

	*field = !is_plain(o->ping_target)    ? "ping_target" :
		 !is_plain(o->ping_authority) ? "ping_authority" :
		 !is_base_path(o->base_path)  ? "base_path" :
		 !may_agree(o, pool)	      ? "protocols" : NULL;
	return *field == NULL ? KOLK_OK : KOLK_E_OPTIONS;
}

const char *http_ping_target(const struct kolk_http_driver_options *o)
{
	return o->ping_target != NULL		    ? o->ping_target :
	       o->ping == KOLK_HTTP_PING_OPTIONS ? "*" : "/";
}
