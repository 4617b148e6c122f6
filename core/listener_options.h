/* SPDX-License-Identifier: Apache-2.0 */
/* listener_options.h - every option of a listener, once, as option_tables.h has those of a pool. */
#ifndef KOLK_LISTENER_OPTIONS_H
#define KOLK_LISTENER_OPTIONS_H

#include <kolk/listen.h>

#include "core/option_tables.h"

typedef const struct kolk_listener_tls *kolk__listener_tls_pointer;
typedef const struct kolk_stream_handler *kolk__handler_pointer;

/* clang-format off */
#define KOLK__LISTENER_OPTIONS(X)                                                                  \
	KOLK_OPTION_FIELD(X, uint32_t, size, SIZE, 0)                                              \
	X(uint32_t, streams_max, COUNT, LIFE | UNLIMITED, 10000, 1, KOLK__MANY,                    \
	  "listen.streams_max", NULL, NULL, NULL, "at once, all loops")                            \
	X(kolk__text, address, TEXT, LIFE, 0, 1, KOLK__PATH, "listen.address", NULL,               \
	  "ip:port, [v6]:port, unix:/path, unix:@name", "", "where it listens")                    \
	KOLK_OPTION_FIELD(X, int32_t, socket, POINTER, LIFE)                                       \
	X(uint32_t, backlog, COUNT, LIFE, 4096, 1, INT32_MAX, "listen.backlog", NULL, NULL, NULL,  \
	  "of each socket")                                                                        \
	X(uint32_t, unix_mode, COUNT, LIFE, 0660, 1, 0777, NULL, NULL, NULL, "0660",               \
	  "of a Unix socket's file")                                                               \
	X(uint32_t, proxy_protocol, SWITCH, LIFE, 0, 0, 1, "listen.proxy_protocol", NULL, NULL,    \
	  NULL, "streams begin with a PROXY header, version 2")                                    \
	X(kolk__text, unix_owner, TEXT, LIFE, 0, 1, 255, "listen.unix_owner", NULL,                \
	  "user or user:group", "the process's", "of a Unix socket's file")                        \
	X(uint32_t, address_streams_max, COUNT, LIFE | UNLIMITED, KOLK_UNLIMITED, 1, KOLK__MANY,   \
	  "listen.address_streams_max", NULL, NULL, NULL,                                          \
	  "of one IPv4 address or IPv6 /64; more are reset")                                       \
	X(uint32_t, handshakes_max, COUNT, LIFE | UNLIMITED, 64, 1, KOLK__MANY,                    \
	  "listen.handshakes_max", NULL, NULL, NULL, "TLS handshakes of each loop on workers")     \
	X(uint64_t, handshake_timeout_ns, DURATION, LIFE | FOREVER, 10 * KOLK_S_NS, KOLK_US_NS,    \
	  KOLK__YEAR, "listen.handshake_timeout", NULL, NULL, NULL,                                \
	  "until TLS and PROXY header are done")                                                   \
	X(uint64_t, send_timeout_ns, DURATION, LIFE | FOREVER, 30 * KOLK_S_NS, KOLK_US_NS,         \
	  KOLK__YEAR, "listen.send_timeout", NULL, NULL, NULL,                                     \
	  "a peer that takes nothing for so long is reset")                                        \
	X(uint64_t, linger_timeout_ns, DURATION, LIFE | NONE | FOREVER, 2 * KOLK_S_NS, KOLK_US_NS, \
	  KOLK__YEAR, "listen.linger_timeout", NULL, NULL, NULL,                                   \
	  "a close waits so long for the peer's end")                                              \
	X(uint64_t, keepalive_ns, DURATION, LIFE | FOREVER, 60 * KOLK_S_NS, KOLK_US_NS,            \
	  KOLK__YEAR, "listen.keepalive", NULL, NULL, NULL, "TCP")                                 \
	KOLK_OPTION_FIELD(X, kolk__listener_tls_pointer, tls, POINTER, 0)                          \
	KOLK_OPTION_FIELD(X, kolk__handler_pointer, handler, POINTER, 0)                           \
	KOLK_OPTION_FIELD(X, kolk__pointer, user, POINTER, 0)                                      \
	KOLK_OPTION_FIELD(X, kolk__failure_pointer, failure, POINTER, 0)
/* clang-format on */

extern const struct kolk_option_table kolk__listener_table;

#endif
