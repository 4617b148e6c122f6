/* SPDX-License-Identifier: Apache-2.0 */
/* http_server_options.c - every option of an HTTP server, once (kolk/options.h). */
#include "transport/drivers/http_server.h"

/* clang-format off */

enum { LIFE = KOLK_OPTION_LIFE, NONE = KOLK_OPTION_NONE, FOREVER = KOLK_OPTION_FOREVER };

#define DAY_NS (24 * 3600 * KOLK_S_NS)
#define MANY 1000000000u
#define BODY_MAX INT64_MAX
#define WINDOW_MIN 65535

static const struct kolk_option_word protocols[] = {
	{ "auto", KOLK_HTTP_BY_ALPN }, { "1.1", KOLK_HTTP_1_ONLY }, { NULL, 0 }
};

#define HTTP_SERVER_OPTIONS(X)                                                                     \
	KOLK_OPTION_FIELD(X, uint32_t, size, SIZE, 0)                                              \
	X(uint32_t, head_bytes_max, BYTES, LIFE, 32768, 256, 1 << 20, "http.head_bytes_max",       \
	  NULL, NULL, NULL, "request line and fields; trailers likewise")                          \
	X(uint32_t, target_bytes_max, BYTES, LIFE, 8192, 64, 1 << 20, "http.target_bytes_max",     \
	  NULL, NULL, NULL, "path and query")                                                      \
	X(uint32_t, fields_max, COUNT, LIFE, 128, 1, 1024, "http.fields_max", NULL, NULL, NULL,    \
	  "per head and per trailers")                                                             \
	X(uint32_t, requests_max, COUNT, LIFE, 1000000, 1, MANY, "http.requests_max", NULL, NULL,  \
	  NULL, "on one connection")                                                               \
	X(uint32_t, half_close, SWITCH, LIFE, 0, 0, 1, "http.half_close", NULL, NULL, NULL,        \
	  "answer clients that have ended their direction")                                        \
	X(uint64_t, body_bytes_max, BYTES, LIFE | FOREVER, 16 << 20, 1, BODY_MAX,                  \
	  "http.body_bytes_max", NULL, NULL, NULL, "of a request")                                 \
	X(uint64_t, drain_bytes_max, BYTES, LIFE | NONE, 65536, 1, 1 << 30,                        \
	  "http.drain_bytes_max", NULL, NULL, NULL,                                                \
	  "read away of a body that is not wanted any more; more closes the connection")           \
	X(uint64_t, header_timeout_ns, DURATION, LIFE, 10 * KOLK_S_NS, KOLK_MS_NS, DAY_NS,         \
	  "http.header_timeout", NULL, NULL, NULL, "for a whole head")                             \
	X(uint64_t, body_timeout_ns, DURATION, LIFE | FOREVER, 30 * KOLK_S_NS, KOLK_MS_NS, DAY_NS, \
	  "http.body_timeout", NULL, NULL, NULL, "the longest pause in a body")                    \
	X(uint64_t, idle_timeout_ns, DURATION, LIFE | FOREVER, 60 * KOLK_S_NS, KOLK_MS_NS, DAY_NS, \
	  "http.idle_timeout", NULL, NULL, NULL, "between two requests")                           \
	X(uint32_t, protocols, WORD, LIFE, 0, 0, 0, "http.version", protocols, NULL, NULL,         \
	  "auto: 2 if TLS agrees on it or a client begins with it, else 1.1")                      \
	X(uint32_t, streams_max, COUNT, LIFE, 100, 1, 65536, "http.streams_max", NULL, NULL,       \
	  NULL, "HTTP/2: at once on a connection")                                                 \
	X(uint32_t, stream_window, BYTES, LIFE, 65536, WINDOW_MIN, INT32_MAX,                      \
	  "http.stream_window", NULL, "65535B to 2GiB - 1B", NULL, "HTTP/2: on its way to us")     \
	X(uint32_t, connection_window, BYTES, LIFE, 1 << 20, WINDOW_MIN, INT32_MAX,                \
	  "http.connection_window", NULL, "65535B to 2GiB - 1B", NULL,                             \
	  "HTTP/2: all streams together")                                                          \
	X(uint32_t, resets_max, COUNT, LIFE, 20, 1, 1000000, "http.resets_max", NULL, NULL,        \
	  NULL, "HTTP/2: streams that a client resets, per second; more closes the connection")    \
	X(uint32_t, frames_max, COUNT, LIFE, 1000, 1, 1000000, "http.frames_max", NULL, NULL,      \
	  NULL, "HTTP/2: frames that carry nothing, per second; more closes the connection")

/* clang-format on */

#define KOLK_OPTION_STRUCT struct kolk_http_server_options
#define KOLK_OPTION_SHADOW struct http_server_shadow
struct http_server_shadow { HTTP_SERVER_OPTIONS(KOLK_OPTION_MEMBER) };
KOLK_OPTION_PROVE(HTTP_SERVER_OPTIONS, 0);
static const struct kolk_option rows[] = { HTTP_SERVER_OPTIONS(KOLK_OPTION_ROW) };
const struct kolk_option_table hs_option_table = KOLK_OPTION_TABLE("http_server", rows);

const struct kolk_option_table *kolk_http_server_option_table(void)
{
	return &hs_option_table;
}
