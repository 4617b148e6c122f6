/* SPDX-License-Identifier: Apache-2.0 */
/*
 * option_tables.h - every option of an engine and of a pool, once: what it is, its default, its
 * range, whether it is part of the identity, whether it can change, its key in a file, and what the
 * manual says of it. Rows are in the order of the structs; the compiler compares them
 * (option_tables.c). Everything else is made from these rows (core/base/option.h, tools/ops).
 */
#ifndef KOLK_OPTION_TABLES_H
#define KOLK_OPTION_TABLES_H

#include <kolk/kolk.h>

#include "core/base/option.h"

enum {
	IDENTITY = KOLK_OPTION_IDENTITY, LIFE = KOLK_OPTION_LIFE, NONE = KOLK_OPTION_NONE,
	UNLIMITED = KOLK_OPTION_UNLIMITED, FOREVER = KOLK_OPTION_FOREVER,
	COMPUTED = KOLK_OPTION_COMPUTED, REQUIRED = KOLK_OPTION_REQUIRED,
	NEGATED = KOLK_OPTION_NEGATED, POWER = KOLK_OPTION_POWER, OWN = KOLK_OPTION_OWN,
	AUTO = KOLK_OPTION_AUTO
};

typedef const char *kolk__text;
typedef const char *const *kolk__list;
typedef const struct kolk_tls_options *kolk__tls_pointer;
typedef const struct kolk_driver *kolk__driver_pointer;
typedef const struct kolk_resource_driver *kolk__resource_pointer;
typedef const struct kolk_child_options *kolk__child_pointer;
typedef const struct kolk_sys *kolk__sys_pointer;
typedef struct kolk_failure *kolk__failure_pointer;
typedef kolk_event_fn *kolk__event_pointer;
typedef kolk_log_fn *kolk__log_pointer;
typedef void *kolk__pointer;

/* clang-format off */
#define KOLK__MANY 1000000000u /* more than any real value, less than the spelled values */
#define KOLK__YEAR (365 * 24 * 3600 * KOLK_S_NS)
#define KOLK__PATH 4095

/* type, field, kind, flags, default, min, max, key in a file, words, range and default where the
 * numbers do not say them, text */
#define KOLK__ENGINE_OPTIONS(X)                                                                    \
	KOLK_OPTION_FIELD(X, uint32_t, size, SIZE, 0)                                                    \
	X(uint32_t, loops, COUNT, COMPUTED | AUTO, 0, 1, KOLK_LOOPS_MAX, "loops", NULL,            \
	  NULL, "one per CPU", "that accept; up to `loops_reserved`")                              \
	X(uint32_t, loop_owner, WORD, LIFE, 0, 0, 0, NULL, kolk__loop_owners, NULL, NULL, "")      \
	X(uint32_t, backend, WORD, LIFE, 0, 0, 0, "backend", kolk__backends, NULL, NULL, "")       \
	X(uint32_t, connections_max, COUNT, 0, 100, 1, KOLK_CONNECTIONS_MAX, "connections_max",    \
	  NULL, NULL, NULL, "all pools together; up to `connections_reserved`")                    \
	X(uint32_t, connections_reserved, COUNT, LIFE, 0, 1, KOLK_CONNECTIONS_MAX,                 \
	  "connections_reserved", NULL, NULL, NULL, "memory for so many")                          \
	X(uint32_t, waiters_max, COUNT, LIFE | UNLIMITED | NONE, 10000, 1, KOLK__MANY,             \
	  "waiters_max", NULL, NULL, NULL, "callers that wait, all pools")                         \
	X(uint32_t, keys_max, COUNT, LIFE | UNLIMITED, 100000, 1, KOLK__MANY, "keys_max", NULL,    \
	  NULL, NULL, "")                                                                          \
	X(uint32_t, tenant_connections_max, COUNT, UNLIMITED, 10, 1, KOLK__MANY,                   \
	  "tenant_connections_max", NULL, NULL, NULL, "each tenant, all pools")                    \
	X(uint32_t, tenant_keys_max, COUNT, UNLIMITED, 1000, 1, KOLK__MANY, "tenant_keys_max",     \
	  NULL, NULL, NULL, "each tenant, all pools")                                              \
	X(uint32_t, dials_max, COUNT, LIFE, 64, 1, KOLK_CONNECTIONS_MAX, "dials_max", NULL, NULL,  \
	  NULL, "in flight, all pools")                                                            \
	X(uint32_t, event_mask, POINTER, 0, 0, 0, 0, NULL, NULL, NULL, NULL, "")                   \
	X(uint32_t, log_level, WORD, LIFE, 0, 0, 0, "log_level", kolk__log_levels, NULL, NULL, "") \
	X(uint32_t, resources_max, COUNT, LIFE, 0, 1, KOLK_CONNECTIONS_MAX, NULL, NULL, NULL,      \
	  NULL, "")                                                                                \
	X(uint64_t, maintenance_interval_ns, DURATION, LIFE, 10 * KOLK_S_NS, KOLK_MS_NS,           \
	  KOLK__YEAR, "maintenance_interval", NULL, NULL, NULL, "")                                \
	X(uint64_t, lend_after_ns, DURATION, LIFE | NONE | FOREVER, KOLK_S_NS, KOLK_US_NS,         \
	  KOLK__YEAR, "lend_after", NULL, NULL, NULL,                                              \
	  "at a full limit, how long idle connections of a tenant within its fair share are kept "  \
	  "from others; a tenant that has none and waits this long gets the next one returned")    \
	KOLK_OPTION_FIELD(X, uint64_t, seed, POINTER, 0)                                                 \
	KOLK_OPTION_FIELD(X, kolk__event_pointer, on_event, POINTER, 0)                                  \
	KOLK_OPTION_FIELD(X, kolk__pointer, event_user, POINTER, 0)                                      \
	KOLK_OPTION_FIELD(X, kolk__log_pointer, on_log, POINTER, 0)                                      \
	KOLK_OPTION_FIELD(X, kolk__pointer, log_user, POINTER, 0)                                        \
	KOLK_OPTION_FIELD(X, kolk__sys_pointer, sys, POINTER, 0)                                         \
	KOLK_OPTION_FIELD(X, kolk__failure_pointer, failure, POINTER, 0)                                 \
	X(uint32_t, loops_reserved, COUNT, LIFE, 0, 1, KOLK_LOOPS_MAX, "loops_reserved", NULL,     \
	  NULL, NULL, "threads for so many, so that a reload can raise `loops`")                   \
	KOLK_OPTION_FIELD(X, uint32_t, reserved, RESERVED, 0)                                            \
	X(uint64_t, busy_poll_ns, DURATION, LIFE | NONE, 0, KOLK_US_NS, 10 * KOLK_MS_NS,           \
	  "busy_poll", NULL, NULL, "none",                                                         \
	  "how long a loop without work looks for events before it sleeps: "                       \
	  "[busy polling](embedding.md#busy-polling)")

#define KOLK__TLS_OPTIONS(X)                                                                       \
	KOLK_OPTION_FIELD(X, uint32_t, size, SIZE, 0)                                                    \
	X(uint32_t, verify_off, SWITCH, IDENTITY | NEGATED, 0, 0, 1, "tls.verify", NULL, NULL,     \
	  NULL, "false trusts any peer, and is logged")                                            \
	X(uint32_t, version_min, WORD, IDENTITY, 0, 0, 0, "tls.version_min", kolk__tls_versions,   \
	  NULL, "1.2", "")                                                                         \
	X(uint32_t, resume_off, SWITCH, IDENTITY | NEGATED, 0, 0, 1, "tls.resume", NULL, NULL,     \
	  NULL, "")                                                                                \
	X(uint32_t, record_max, BYTES, IDENTITY | POWER, 0, 512, 4096, "tls.record_max", NULL,     \
	  "512B, 1KiB, 2KiB, 4KiB", "16 KiB records", "nothing with TLS 1.3: [TLS](tls.md)")       \
	X(uint32_t, profile, WORD, IDENTITY, 0, 0, 0, "tls.profile", kolk__tls_profiles, NULL,     \
	  NULL, "suites and groups: [TLS](tls.md)")                                                \
	X(kolk__text, server_name, TEXT, IDENTITY, 0, 1, 255, "tls.server_name", NULL, "text",     \
	  "host of the address", "required with unix:/path")                                       \
	X(kolk__text, ca_file, TEXT, IDENTITY, 0, 1, KOLK__PATH, "tls.ca_file", NULL, "path",      \
	  "the system's anchors", "PEM")                                                           \
	X(kolk__text, ca_directory, TEXT, IDENTITY, 0, 1, KOLK__PATH, "tls.ca_directory", NULL,    \
	  "path", "none", "")                                                                      \
	X(kolk__text, certificate_file, TEXT, IDENTITY, 0, 1, KOLK__PATH, "tls.certificate_file",  \
	  NULL, "path", "none", "with `key_file`")                                                 \
	X(kolk__text, key_file, TEXT, IDENTITY, 0, 1, KOLK__PATH, "tls.key_file", NULL, "path",    \
	  "none", "with `certificate_file`")                                                       \
	X(kolk__list, alpn, LIST, IDENTITY, 0, 1, 255, "tls.alpn", NULL, "list",                   \
	  "what the protocol needs", "in order of preference")                                     \
	X(kolk__text, crl_file, TEXT, IDENTITY, 0, 1, KOLK__PATH, "tls.crl_file", NULL, "path",    \
	  "none", "not with `verify: false`")                                                      \
	X(kolk__list, pins, LIST, IDENTITY, 0, 1, 255, "tls.pins", NULL,                           \
	  "list of sha256//BASE64, 8 at most", "none", "")

/* Times and the log bound a child, they do not say which it is. */
#define KOLK__CHILD_OPTIONS(X)                                                                     \
	KOLK_OPTION_FIELD(X, uint32_t, size, SIZE, 0)                                                    \
	X(uint32_t, files_max, COUNT, IDENTITY, 0, 3, KOLK__MANY, "child.files_max", NULL,         \
	  "3 or more", "the process's", "descriptors (RLIMIT_NOFILE)")                             \
	X(kolk__list, command, LIST, IDENTITY | REQUIRED, 0, 1, KOLK__PATH, "child.command", NULL, \
	  "list, 256 at most", NULL, "absolute path and arguments; no search, no shell")           \
	X(kolk__list, environment, LIST, OWN, 0, 1, 65536, "child.environment", NULL,              \
	  "list of NAME=value, 256 at most", "none", "all that the child has, with `inherit`")     \
	X(kolk__list, inherit, LIST, OWN, 0, 1, 255, "child.inherit", NULL,                        \
	  "list of names, 64 at most", "none",                                                     \
	  "taken from the process's environment, read at each load")                               \
	X(kolk__text, directory, TEXT, IDENTITY, 0, 1, KOLK__PATH, "child.directory", NULL,        \
	  "path", "the process's", "where it runs")                                                \
	X(uint64_t, stop_timeout_ns, DURATION, NONE, KOLK_S_NS, KOLK_US_NS, KOLK__YEAR,            \
	  "child.stop_timeout", NULL, NULL, NULL, "from the end of its stdin to SIGTERM")          \
	X(uint64_t, term_timeout_ns, DURATION, NONE, KOLK_S_NS, KOLK_US_NS, KOLK__YEAR,            \
	  "child.term_timeout", NULL, NULL, NULL, "from SIGTERM to SIGKILL for its group")         \
	X(uint32_t, lines_max, COUNT, NONE | UNLIMITED, 20, 1, KOLK__MANY, "child.lines_max",      \
	  NULL, NULL, NULL, "lines of its stderr in the log, per second")                          \
	X(uint32_t, last_words_off, SWITCH, NEGATED, 0, 0, 1, "child.last_words", NULL, NULL,      \
	  NULL, "false: the last line is not in the warning when it fails")

/* Limits and times bound a connection, they do not say whose it is. */
#define KOLK__POOL_OPTIONS(X)                                                                      \
	KOLK_OPTION_FIELD(X, uint32_t, size, SIZE, 0)                                                    \
	X(uint32_t, isolation, WORD, IDENTITY | LIFE, 0, 0, 0, "isolation", kolk__isolations,      \
	  NULL, NULL, "who may share a connection")                                                \
	X(kolk__text, name, TEXT, REQUIRED, 0, 1, 63, "name", NULL, NULL, NULL,                    \
	  "another name is another pool")                                                          \
	X(kolk__text, address, TEXT, OWN, 0, 1, 300, "address", NULL,                              \
	  "host:port, [v6]:port, unix:/path", "required, or `child`",                              \
	  "tls:// or tcp:// in front is allowed")                                                  \
	KOLK_OPTION_FIELD(X, kolk__tls_pointer, tls, POINTER, OWN)                                       \
	KOLK_OPTION_FIELD(X, kolk__driver_pointer, driver, POINTER, OWN)                                 \
	KOLK_OPTION_FIELD(X, kolk__pointer, driver_user, POINTER, OWN)                                   \
	KOLK_OPTION_FIELD(X, kolk__resource_pointer, resource, POINTER, OWN)                             \
	KOLK_OPTION_FIELD(X, kolk__child_pointer, child, POINTER, OWN)                                   \
	X(kolk__text, bind_address, TEXT, IDENTITY, 0, 1, 255, "bind_address", NULL,               \
	  "IP address", "the system's", "local address")                                           \
	X(uint32_t, bind_port_min, COUNT, IDENTITY, 0, 1, 65535, "bind_port_min", NULL, NULL,      \
	  "the system's", "local ports; both or none")                                             \
	X(uint32_t, bind_port_max, COUNT, IDENTITY, 0, 1, 65535, "bind_port_max", NULL, NULL,      \
	  "the system's", "")                                                                      \
	X(kolk__text, name_servers, TEXT, IDENTITY, 0, 1, 255, "name_servers", NULL,               \
	  "ip:port,...", "the system's", "")                                                       \
	X(uint32_t, connections_max, COUNT, 0, 10, 1, KOLK_CONNECTIONS_MAX,                        \
	  "limits.connections_max", NULL, NULL, NULL, "per key")                                   \
	X(uint32_t, pool_connections_max, COUNT, UNLIMITED, KOLK_UNLIMITED, 1, KOLK_CONNECTIONS_MAX, \
	  "limits.pool_connections_max", NULL, NULL, NULL, "all keys")                             \
	X(uint32_t, idle_min, COUNT, NONE, 2, 1, KOLK_CONNECTIONS_MAX,                             \
	  "limits.idle_min", NULL, NULL, NULL, "per key, kept ready")                              \
	X(uint32_t, waiters_max, COUNT, NONE | UNLIMITED, 1000, 1, KOLK__MANY, "limits.waiters_max", \
	  NULL, NULL, NULL, "per key")                                                             \
	X(uint32_t, dials_max, COUNT, UNLIMITED, 4, 1, KOLK_CONNECTIONS_MAX, "limits.dials_max",   \
	  NULL, NULL, NULL, "in flight")                                                           \
	X(uint32_t, uses_max, COUNT, UNLIMITED, KOLK_UNLIMITED, 1, KOLK__MANY, "limits.uses_max",  \
	  NULL, NULL, NULL, "leases per connection")                                               \
	X(uint32_t, circuit_failures, COUNT, NONE, 5, 1, KOLK__MANY, "health.circuit_failures",    \
	  NULL, NULL, NULL, "failed dials in a row that open the circuit")                         \
	X(uint32_t, circuit_percent, COUNT, 0, 50, 1, 100, "health.circuit_percent", NULL, NULL,   \
	  NULL, "or so many of the last 20")                                                       \
	X(uint32_t, eager_dials, SWITCH, 0, 0, 0, 1, "eager_dials", NULL, NULL, NULL,              \
	  "dial also when a lease is expected back sooner")                                        \
	X(uint32_t, hopeless_waits, SWITCH, 0, 0, 0, 1, "hopeless_waits", NULL, NULL, NULL,        \
	  "wait also when the deadline will hardly be met")                                        \
	X(uint32_t, mend_bytes_max, BYTES, UNLIMITED, 64 * 1024, 1, 1 << 30, "health.mend_bytes_max", \
	  NULL, NULL, NULL, "received at most while a driver resets a connection")                 \
	X(uint32_t, key_histograms, SWITCH, 0, 0, 0, 1, "key_histograms", NULL, NULL, NULL,        \
	  "each key has histograms of its own (`kolk_key_stats`)")                                 \
	X(uint64_t, acquire_timeout_ns, DURATION, FOREVER, 5 * KOLK_S_NS, KOLK_US_NS, KOLK__YEAR,  \
	  "timeouts.acquire", NULL, NULL, NULL, "when a call gives no deadline")                   \
	X(uint64_t, overtake_max_ns, DURATION, NONE | FOREVER, KOLK_MS_NS, 1, KOLK__YEAR,          \
	  "timeouts.overtake", NULL, NULL, NULL,                                                   \
	  "a new caller may overtake one that has waited less than this; none: strict order")       \
	X(uint64_t, idle_timeout_ns, DURATION, FOREVER, 30 * KOLK_S_NS, KOLK_US_NS, KOLK__YEAR,    \
	  "timeouts.idle", NULL, NULL, NULL, "down to `idle_min`")                                 \
	X(uint64_t, lifetime_ns, DURATION, FOREVER, 30 * 60 * KOLK_S_NS, KOLK_US_NS, KOLK__YEAR,   \
	  "timeouts.lifetime", NULL, NULL, NULL, "up to 10 % less")                                \
	X(uint64_t, resolve_timeout_ns, DURATION, FOREVER, 5 * KOLK_S_NS, KOLK_US_NS, KOLK__YEAR,  \
	  "timeouts.lookup", NULL, NULL, NULL, "of the address's name")                            \
	X(uint64_t, connect_timeout_ns, DURATION, FOREVER, 5 * KOLK_S_NS, KOLK_US_NS, KOLK__YEAR,  \
	  "timeouts.connect", NULL, NULL, NULL, "TCP or Unix connect, or a child's start")         \
	X(uint64_t, tls_timeout_ns, DURATION, FOREVER, 5 * KOLK_S_NS, KOLK_US_NS, KOLK__YEAR,      \
	  "timeouts.tls", NULL, NULL, NULL, "handshake")                                           \
	X(uint64_t, ready_timeout_ns, DURATION, FOREVER, 5 * KOLK_S_NS, KOLK_US_NS, KOLK__YEAR,    \
	  "timeouts.ready", NULL, NULL, NULL, "the protocol's opening")                            \
	X(uint64_t, ping_interval_ns, DURATION, FOREVER, 15 * KOLK_S_NS, KOLK_US_NS, KOLK__YEAR,   \
	  "health.ping_interval", NULL, NULL, NULL, "where the protocol can ping")                 \
	X(uint64_t, ping_timeout_ns, DURATION, FOREVER, KOLK_S_NS, KOLK_US_NS, KOLK__YEAR,         \
	  "health.ping_timeout", NULL, NULL, NULL, "")                                             \
	X(uint64_t, mend_timeout_ns, DURATION, NONE | FOREVER, KOLK_S_NS, KOLK_US_NS, KOLK__YEAR,  \
	  "health.mend_timeout", NULL, NULL, NULL, "how long a driver may take to reset a "        \
	  "connection after a lease; none: such connections close")                                \
	X(uint64_t, retry_interval_ns, DURATION, 0, 200 * KOLK_MS_NS, KOLK_US_NS, KOLK__YEAR,      \
	  "health.retry_interval", NULL, NULL, NULL, "first back-off after a failed dial")         \
	X(uint64_t, retry_max_ns, DURATION, 0, 2 * KOLK_S_NS, KOLK_US_NS, KOLK__YEAR,              \
	  "health.retry_max", NULL, NULL, NULL, "last back-off")                                   \
	X(uint64_t, auth_retry_ns, DURATION, FOREVER, 60 * KOLK_S_NS, KOLK_US_NS, KOLK__YEAR,      \
	  "health.auth_retry", NULL, NULL, NULL, "after the peer refused the credentials")         \
	X(uint64_t, lease_overdue_ns, DURATION, FOREVER, 60 * KOLK_S_NS, KOLK_US_NS, KOLK__YEAR,   \
	  "health.lease_overdue", NULL, NULL, NULL, "leases out for longer are told")              \
	X(uint64_t, keepalive_ns, DURATION, FOREVER, 60 * KOLK_S_NS, KOLK_US_NS, KOLK__YEAR,       \
	  "timeouts.keepalive", NULL, NULL, NULL,                                                  \
	  "TCP, at most half of `unacked`; of connections that are dialled from then on")          \
	X(uint64_t, unacked_ns, DURATION, FOREVER, 20 * KOLK_S_NS, KOLK_US_NS, KOLK__YEAR,         \
	  "timeouts.unacked", NULL, NULL, NULL,                                                    \
	  "sent bytes without acknowledgement: broken; of connections that are dialled from then on") \
	KOLK_OPTION_FIELD(X, kolk__failure_pointer, failure, POINTER, 0)                                 \
	X(uint64_t, socket_timeout_ns, DURATION, FOREVER, 30 * KOLK_S_NS, KOLK_US_NS, KOLK__YEAR,  \
	  "timeouts.socket", NULL, NULL, NULL,                                                     \
	  "the longest pause in a request in which no byte moves")                                 \
	X(uint64_t, request_timeout_ns, DURATION, FOREVER, 60 * KOLK_S_NS, KOLK_US_NS, KOLK__YEAR, \
	  "timeouts.request", NULL, NULL, NULL, "of a request whose caller gives no deadline")      \
	X(uint32_t, idle_max, COUNT, LIFE | UNLIMITED, KOLK_UNLIMITED, 1, KOLK_CONNECTIONS_MAX,    \
	  "limits.idle_max", NULL, NULL, NULL, "per key; more idle ones close at their release")   \
	X(uint32_t, pool_idle_max, COUNT, LIFE | UNLIMITED, KOLK_UNLIMITED, 1, KOLK_CONNECTIONS_MAX, \
	  "limits.pool_idle_max", NULL, NULL, NULL, "all keys; `idle_min` of each stay beyond it") \
	X(uint32_t, closes_max, COUNT, UNLIMITED, 16, 1, KOLK__MANY, NULL, NULL, NULL, NULL, "")   \
	X(uint64_t, close_timeout_ns, DURATION, FOREVER, KOLK_S_NS, KOLK_US_NS, KOLK__YEAR, NULL,  \
	  NULL, NULL, NULL, "")                                                                    \
	KOLK_OPTION_FIELD(X, kolk__list, draws_from, POINTER, LIFE)

/* clang-format on */

extern const struct kolk_option_table kolk__engine_table, kolk__pool_table, kolk__tls_table,
	kolk__child_table, kolk__tenant_table;

#endif
