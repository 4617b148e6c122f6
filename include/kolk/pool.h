/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/pool.h - one named upstream: address, transport, driver, limits, times.
 *
 * Threads: any, except where said. A pool lives until kolk_pool_close or the engine's end.
 */
#ifndef KOLK_POOL_H
#define KOLK_POOL_H

#include <kolk/child.h>
#include <kolk/driver.h>
#include <kolk/error.h>

/* Which cipher suites and groups TLS offers, best first. */
enum kolk_tls_profile {
	KOLK_TLS_DEFAULT = 0, /* forward secrecy: ECDHE, and DHE of 2048 bits or more; X25519, P-256,
	                       * P-384, P-521 in this order */
	KOLK_TLS_STRICT,      /* RFC 9325, section 4.2: ECDHE with AEAD; X25519, P-256, P-384 */
	KOLK_TLS_COMPATIBLE   /* for old servers, after the default's: also RSA key exchange, DHE of
	                       * 1024 bits, brainpool's curves */
};                            /* since 0.1 */

/* How a pool speaks TLS. All text is copied. */
struct kolk_tls_options {
	uint32_t size;                /* sizeof; set by KOLK_INIT */
	uint32_t verify_off;          /* 1 = trust any peer: explicit, logged, part of the key */
	uint32_t version_min;         /* 0 = TLS 1.2; 0x0303 = 1.2, 0x0304 = 1.3 (mbedTLS >= 3.6) */
	uint32_t resume_off;          /* 1 = always a full handshake */
	uint32_t record_max;          /* bytes; 512, 1024, 2048 or 4096: ask the server for records
	                               * no longer than this (RFC 6066, section 4); saves memory if
	                               * mbedTLS is built with MBEDTLS_SSL_VARIABLE_BUFFER_LENGTH;
	                               * 0 = 16384. Not requested by an mbedTLS with TLS 1.3, nor
	                               * again after a handshake that failed with it
	                               * (docs/tls.md) */
	uint32_t profile;             /* enum kolk_tls_profile; 0 = KOLK_TLS_DEFAULT */
	const char *server_name;      /* SNI and the name to verify; NULL = host of the address */
	const char *ca_file;          /* PEM; NULL and no ca_directory = the system's anchors */
	const char *ca_directory;     /* PEM files; NULL = none */
	const char *certificate_file; /* client certificate, PEM; NULL = none */
	const char *key_file;         /* its private key, PEM; required with certificate_file */
	const char *const *alpn;      /* NULL-terminated list in order of preference, at most 8;
	                               * NULL = none */
	const char *crl_file;         /* revoked certificates, PEM; NULL = none are looked up */
	/* Public keys that the peer's certificate may have, besides being trusted as above (or
	 * instead, with verify_off): NULL-terminated list of "sha256//BASE64" of the DER-encoded
	 * SubjectPublicKeyInfo; at most 8; NULL = any. */
	const char *const *pins;
};                                /* since 0.1 */

/* Who may share a connection. Different credentials never do. */
enum kolk_isolation {
	KOLK_ISOLATION_TENANT = 0, /* callers of one tenant and session */
	KOLK_ISOLATION_SHARED,     /* callers with the same credential, or without one: tenant and
	                            * session are ignored, and nothing counts against a tenant's
	                            * limits */
	KOLK_ISOLATION_SESSION     /* as TENANT, and every key must name its session */
};

struct kolk_pool_options {
	uint32_t size;      /* sizeof; set by KOLK_INIT */
	uint32_t isolation; /* enum kolk_isolation */

	const char *name; /* required; 1 .. 63 bytes, unique in the engine; copied */
	/* Where: "host:port", "1.2.3.4:port", "[::1]:port", "[fe80::1%eth0]:port", "unix:/path",
	 * "unix:@name" (abstract, unix(7)); a prefix "tls://" or "tcp://" is allowed. Names may
	 * be UTF-8 (IDNA 2008). Required unless resource or child is set. Copied. */
	const char *address;
	const struct kolk_tls_options *tls; /* NULL = plain, or defaults with "tls://"; copied */
	const struct kolk_driver *driver;   /* NULL = kolk_driver_raw(); borrowed, static */
	void *driver_user;                  /* passed to every callback of driver or resource; for a
	                                     * driver that has options: these, copied; NULL = all
	                                     * defaults */
	/* Pool anything in-process instead of sockets; excludes address, tls and driver. */
	const struct kolk_resource_driver *resource; /* NULL = sockets; borrowed, static */
	/* Pool child processes instead of sockets; excludes address, tls, resource, bind_* and
	 * name_servers. NULL = sockets; copied. */
	const struct kolk_child_options *child;
	const char *bind_address;  /* local address to dial from; NULL = the system's choice */
	/* Local ports to dial from, both or none; 0 = the system's choice. Linux 6.3 or newer;
	 * inside net.ipv4.ip_local_port_range (the kernel ignores ports outside it; ip(7)). */
	uint32_t bind_port_min, bind_port_max;
	const char *name_servers;  /* "ip:port,..." to resolve address with; NULL = the system's
	                            * (resolv.conf; /etc/hosts is looked at first); copied */

	/* Limits, counts. */
	uint32_t connections_max;  /* per key; 0 = 10 */
	uint32_t pool_connections_max; /* all keys of the pool; 0 = KOLK_UNLIMITED */
	uint32_t idle_min;         /* per key, kept ready once the key is warmed or used; 0 = 2, or
	                            * as many as the limits above allow; KOLK_NONE */
	uint32_t waiters_max;      /* per key; 0 = 1000; KOLK_NONE = no caller waits */
	uint32_t dials_max;        /* in flight per pool; 0 = 4 */
	uint32_t uses_max;         /* leases per connection; 0 = KOLK_UNLIMITED */

	/* The circuit of the endpoint. It opens after this many failed dials in a row, or when this
	 * percentage of the last 20 dials failed. While it is open, callers that no connection can
	 * serve are refused with E_CIRCUIT at once; one dial at a time (half-open, after the
	 * back-off) finds out whether it can close. */
	uint32_t circuit_failures; /* 0 = 5; KOLK_NONE = never */
	uint32_t circuit_percent;  /* 0 = 50; 1 .. 100 */

	/* Switches off decisions that are made from measured leases and dials of the key;
	 * 1 = off. */
	uint32_t eager_dials;      /* 1 = dial even when a lease is expected back sooner */
	/* 1 = wait even when the deadline can hardly be met, and when no connection is open and the
	 * back-off after a failed dial ends later than the deadline; 0 = such an acquire fails at
	 * once (see kolk_acquire) */
	uint32_t hopeless_waits;

	uint32_t mend_bytes_max;   /* most bytes received while a connection is reset after a lease;
	                            * 0 = 65536; KOLK_UNLIMITED */
	/* 1 = each key has its own histograms for kolk_key_stats, about 2 KiB more once it is used;
	 * 0 = a key has count, sum and maximum. A change applies to keys first used afterwards. */
	uint32_t key_histograms;

	/* Durations, ns. KOLK_FOREVER switches off where that makes sense. */
	uint64_t acquire_timeout_ns;  /* for calls that give no deadline; 0 = 5 s */
	uint64_t overtake_max_ns;     /* a newcomer may overtake a waiter that waited less than
	                               * this; 0 = 1 ms; KOLK_AT_ONCE = never (strict FIFO) */
	uint64_t idle_timeout_ns;     /* 0 = 30 s; down to idle_min */
	uint64_t lifetime_ns;         /* 0 = 30 min, with up to 10 % jitter downwards */
	uint64_t resolve_timeout_ns;  /* 0 = 5 s */
	uint64_t connect_timeout_ns;  /* 0 = 5 s; TCP or Unix connect, or a child's start */
	uint64_t tls_timeout_ns;      /* 0 = 5 s; handshake */
	uint64_t ready_timeout_ns;    /* 0 = 5 s; the driver's opening exchange */
	uint64_t ping_interval_ns;    /* idle connections; 0 = 15 s if the driver can ping,
	                               * up to 10 % jitter downwards; KOLK_FOREVER = none */
	uint64_t ping_timeout_ns;     /* 0 = 1 s */
	uint64_t mend_timeout_ns;     /* how long a driver may take to reset a connection after a
	                               * lease; 0 = 1 s; KOLK_AT_ONCE = no reset: close it */
	uint64_t retry_interval_ns;   /* first back-off after a failed dial; 0 = 200 ms */
	uint64_t retry_max_ns;        /* longest back-off (doubling, full jitter); 0 = 2 s: on
	                               * average, a dead endpoint costs one attempt per second and
	                               * is noticed one second after its return */
	uint64_t auth_retry_ns;       /* after the peer refused the credentials (E_AUTH), the key is
	                               * not dialled for this long, doubling up to 16 times as long;
	                               * 0 = 60 s */
	uint64_t lease_overdue_ns;    /* report a lease that lasts longer; 0 = 60 s */
	uint64_t keepalive_ns;        /* TCP keep-alive idle time, at most half of unacked_ns so
	                               * that one lost probe ends nothing; each socket gets a value
	                               * between half of it and all of it; 0 = 60 s;
	                               * KOLK_FOREVER = off */
	uint64_t unacked_ns;          /* how long sent bytes may stay unacknowledged before the
	                               * connection counts as broken (TCP_USER_TIMEOUT, RFC 5482);
	                               * 0 = 20 s; KOLK_FOREVER = the system's, about 15 min */

	struct kolk_failure *failure; /* NULL, or filled when add fails; borrowed */

	/* For requests made by a driver of this library whose caller gives no time-out. */
	uint64_t socket_timeout_ns;   /* the longest pause without a byte in either direction;
	                               * 0 = 30 s */
	uint64_t request_timeout_ns;  /* the whole request, from begin to end; 0 = 60 s */

	/* How many connections may be idle. When that many are, a lease that ends closes its
	 * connection (KOLK_REASON_IDLE_MAX) unless a caller waits for it. Constant for the pool's
	 * life. With either limit, acquire and release of the pool take their slow paths. */
	uint32_t idle_max;            /* per key; 0 = KOLK_UNLIMITED; idle_min or more */
	uint32_t pool_idle_max;       /* all keys of the pool; 0 = KOLK_UNLIMITED; idle_min or more;
	                               * each key keeps its idle_min even beyond it */

	/* For asynchronous resource drivers: how many destroys may be in flight at a time, and how
	 * long each may count as one of them. */
	uint32_t closes_max;          /* 0 = 16; KOLK_UNLIMITED */
	uint64_t close_timeout_ns;    /* 0 = 1 s; KOLK_FOREVER */
	/* Names of the pools of this engine whose connections a resource pool makes its resources
	 * from (a session over connections): NULL-terminated, at most 8; NULL = none; copied. Each
	 * must have been added already and draw from no pool itself, so there are no cycles.
	 * Constant for the pool's life.
	 * Such a pool is counted separately, by limits of the same names, so a resource that is
	 * being made never holds what it waits for: connections_max, pool_connections_max and
	 * dials_max are the pool's own; each tenant may have connections_max of such resources
	 * besides as many connections; all such pools together have
	 * kolk_engine_options.resources_max and a dials_max of their own. Neither kind is evicted
	 * to make room for the other. */
	const char *const *draws_from;
};                                    /* since 0.1 */

/* Limits to change while the pool works. 0 = leave as it is. */
struct kolk_pool_limits {
	uint32_t size; /* sizeof; set by KOLK_INIT */
	uint32_t connections_max;
	uint32_t pool_connections_max;
	uint32_t idle_min; /* KOLK_NONE = zero */
	uint32_t waiters_max; /* KOLK_NONE = zero */
	uint32_t reserved; /* zero */
	uint64_t idle_timeout_ns;
	uint64_t lifetime_ns;
	uint64_t overtake_max_ns;
};                         /* since 0.1 */

KOLK_BEGIN

/* Add a pool and register its name. Dials nothing yet (see kolk_pool_warm, kolk_key_warm). Errors:
 * E_OPTIONS (failure->field), E_NAME_TAKEN, E_MEMORY, E_LIMIT (keys_max: a pool has at least one),
 * E_DRAINING (also of a pool that it draws from), E_TLS (a certificate file cannot be read or
 * parsed: field names it), E_UNSUPPORTED (child processes, where kolk_sys has none), E_FORKED. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_pool_add(struct kolk_engine *engine,
						     const struct kolk_pool_options *options,
						     struct kolk_pool **pool);

/* Check options as kolk_pool_add would, including certificate files, and add nothing. Does not
 * check whether the name is taken. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_pool_check(struct kolk_engine *engine,
						       const struct kolk_pool_options *options);

/* Replace a pool's options while it works; name, isolation, resource and draws_from cannot change.
 * New limits and time-outs take effect without closing anything (as with kolk_pool_limits_set). If
 * anything changed that decides which peer it talks to and how (address, TLS, the content of
 * certificates, child, driver, local address), new dials use the new options and existing
 * connections are outdated: idle ones close at once, leased ones when they come back. Handles stay
 * valid and waiters go on waiting. Either everything changes or nothing. Errors: as kolk_pool_add,
 * E_DRAINING. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_pool_update(struct kolk_pool *pool,
							const struct kolk_pool_options *options);

/* Find a pool by its name; NULL when there is none. A closed pool can be found, and its name stays
 * taken, until kolk_pool_close has freed it. */
KOLK_API struct kolk_pool *kolk_pool_find(struct kolk_engine *engine, const char *name);
KOLK_API const char *kolk_pool_name(const struct kolk_pool *pool);
KOLK_API struct kolk_engine *kolk_pool_engine(const struct kolk_pool *pool);

/* The current socket_timeout_ns and request_timeout_ns of the pool's options: how long a request
 * may pause, and last, if its caller gives no time-out. For drivers. */
KOLK_API uint64_t kolk_pool_socket_timeout_ns(const struct kolk_pool *pool);
KOLK_API uint64_t kolk_pool_request_timeout_ns(const struct kolk_pool *pool);

/* The key without tenant, session and credentials, whatever the isolation; a single-tenant program
 * leases from it. It lives as long as the pool; do not close it. */
KOLK_API struct kolk_key *kolk_pool_key(struct kolk_pool *pool);

/* Dial every open key up to idle_min and wait until all are warm. deadline_ns 0 = do not
 * wait. Fails fast: the first failed dial ends the wait with its error. Blocks; not on a
 * loop. Errors: E_TIMEOUT, E_THREAD, E_DRAINING, E_ROTATED, E_FORKED, and those of a dial. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_pool_warm(struct kolk_pool *pool,
						      uint64_t deadline_ns);

/* Outdate every connection of the pool; see kolk_engine_rotate. */
KOLK_API size_t kolk_pool_rotate(struct kolk_pool *pool);

/* Evict every idle connection; returns how many began to close. Leases go on. */
KOLK_API size_t kolk_pool_clear(struct kolk_pool *pool);

/* Change limits; see struct kolk_pool_limits. Errors: E_OPTIONS, E_FORKED, and nothing is
 * changed. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_pool_limits_set(struct kolk_pool *pool, const struct kolk_pool_limits *limits);

/* Refuse new acquires, end every waiter with E_DRAINING, close idle connections, close leased ones
 * as they come back; at the deadline revoke the rest (their next operation answers E_REVOKED or
 * E_LEASE_STALE). A resource is never taken from its holder: a resource pool stays open until the
 * last lease is released and its driver has ended the last resource. When the pool is closed,
 * exactly one KOLK_EVENT_CLOSED is sent. Returns at once; a second call can only bring the deadline
 * forward.
 * Pools that draw from this one (draws_from) drain first, with the same deadline: this one goes on
 * serving, and begins to drain when the last of them is closed, or at the deadline. The same holds
 * for kolk_pool_suspend. Each pool is resumed by a call of its own. */
KOLK_API enum kolk_err kolk_pool_drain(struct kolk_pool *pool, uint64_t deadline_ns);
KOLK_API bool kolk_pool_is_closed(struct kolk_pool *pool);
/* Return whether no new connection is dialled now: the pool drains or is closed, or its circuit is
 * open and the next trial is not due yet or is under way. For callers that choose between pools. A
 * few loads, no lock. */
KOLK_API bool kolk_pool_refuses(const struct kolk_pool *pool);

/* Drain until kolk_pool_resume; no effect on a pool that kolk_pool_drain drains. Key handles stay
 * valid; keys can be opened and settings changed meanwhile. A later kolk_pool_drain makes it
 * final. */
KOLK_API enum kolk_err kolk_pool_suspend(struct kolk_pool *pool, uint64_t deadline_ns);
/* Let a pool that was drained or suspended serve again; leases that its deadline revoked stay
 * revoked. Errors: E_FORKED, E_IN_USE (KOLK_EVENT_CLOSED is being delivered: call again). */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_pool_resume(struct kolk_pool *pool);

/* Drain, wait until closed, free the pool and its keys: on KOLK_OK the handle is invalid. Blocks;
 * not on a loop or in a callback. Errors: E_THREAD, E_FORKED, E_TIMEOUT (an embedder's loop does
 * not run; the pool remains, draining). */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_pool_close(struct kolk_pool *pool,
						       uint64_t deadline_ns);

KOLK_END

#endif
