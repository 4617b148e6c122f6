/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/error.h - everything that can go wrong: code, class (what the caller should do), text.
 *
 * Values are pinned and never reused. 0 is success, positive values are not errors.
 */
#ifndef KOLK_ERROR_H
#define KOLK_ERROR_H

#include <kolk/base.h>

/* What the caller should do. Each code has one class; a gateway branches on the class. */
enum kolk_class {
	KOLK_CLASS_NONE = 0,    /* not an error */
	KOLK_CLASS_RETRY = 1,   /* try again at once, on another connection */
	KOLK_CLASS_LATER = 2,   /* a limit or the endpoint: back off, then try again */
	KOLK_CLASS_REFUSED = 3, /* will not be served here: go elsewhere */
	KOLK_CLASS_PEER = 4,    /* the peer spoke wrongly */
	KOLK_CLASS_TRUST = 5,   /* the peer is not who it should be: do not retry */
	KOLK_CLASS_USAGE = 6,   /* the caller broke a rule of this interface */
	KOLK_CLASS_BUG = 7      /* kolk broke one of its own */
};

/* clang-format off */
#define KOLK_ERROR_TABLE(X) \
	X(OK,               0, NONE,    "ok") \
	X(PENDING,          1, NONE,    "under way: the callback will run") \
	X(E_OPTIONS,       -1, USAGE,   "an option is missing, impossible or contradicts another") \
	X(E_MEMORY,        -2, LATER,   "out of memory") \
	X(E_TIMEOUT,       -3, LATER,   "the deadline passed") \
	X(E_EMPTY,         -4, LATER,   "no connection is idle now") \
	X(E_QUEUE_FULL,    -5, LATER,   "too many callers wait already") \
	X(E_DRAINING,      -6, REFUSED, "the pool is draining or closed") \
	X(E_CANCELLED,     -7, USAGE,   "the caller cancelled") \
	X(E_LEASE_STALE,   -8, USAGE,   "the lease was already given back") \
	X(E_LEASE_FOREIGN, -9, USAGE,   "the lease belongs to another engine") \
	X(E_LEASE_BUSY,   -10, USAGE,   "an operation on this lease is still in flight") \
	X(E_FORKED,       -11, USAGE,   "the engine belongs to the parent process") \
	X(E_THREAD,       -12, USAGE,   "called from a thread that may not call this") \
	X(E_NAME_TAKEN,   -13, USAGE,   "the name is taken") \
	X(E_NOT_FOUND,    -14, USAGE,   "there is no such thing") \
	X(E_BACKEND,      -15, REFUSED, "the required I/O back end cannot be had here") \
	X(E_FILES,        -16, LATER,   "out of file descriptors") \
	X(E_LIMIT,        -17, LATER,   "a limit of engine or tenant is reached") \
	X(E_IN_USE,       -18, USAGE,   "still in use") \
	X(E_RESOLVE,      -20, LATER,   "the host name cannot be resolved") \
	X(E_CONN_REFUSED, -21, LATER,   "connection refused: nothing listens at the address") \
	X(E_UNREACHABLE,  -22, LATER,   "the host cannot be reached") \
	X(E_PORTS,        -23, LATER,   "out of local ports") \
	X(E_CLOSED,       -24, RETRY,   "the peer closed the connection") \
	X(E_RESET,        -25, RETRY,   "the peer reset the connection") \
	X(E_TLS,          -26, PEER,    "the TLS handshake or record failed") \
	X(E_TLS_VERIFY,   -27, TRUST,   "the certificate of the peer is not to be trusted") \
	X(E_TLS_TRUNCATED,-28, TRUST,   "the TLS stream ended without close_notify") \
	X(E_PROTOCOL,     -29, PEER,    "the peer broke the protocol") \
	X(E_AUTH,         -30, REFUSED, "the peer refused the credentials") \
	X(E_IO,           -31, LATER,   "an error of the operating system") \
	X(E_RESOURCE,     -32, LATER,   "the resource driver could not create one") \
	X(E_REVOKED,      -33, LATER,   "the lease was revoked: the drain deadline passed") \
	X(E_UNSUPPORTED,  -34, USAGE,   "not supported by this pool, driver or build") \
	X(E_DIAL_TIMEOUT, -35, LATER,   "a dial was not finished in time") \
	X(E_ROTATED,      -36, REFUSED, "other credentials took the place of this key's: open it again") \
	X(E_CIRCUIT,      -37, LATER,   "the endpoint fails: its circuit is open") \
	X(E_DEADLINE,     -38, LATER,   "the deadline cannot be met") \
	X(E_SPAWN,        -39, LATER,   "the child process cannot be started") \
	X(E_SERVER,       -40, REFUSED, "the server answered with an error") \
	X(E_FLOOD,        -41, PEER,    "the peer sent more control frames than it may")
/* clang-format on */

enum kolk_err {
#define KOLK_ERROR_ENUM(name, value, class, text) KOLK_##name = value,
	KOLK_ERROR_TABLE(KOLK_ERROR_ENUM)
#undef KOLK_ERROR_ENUM
};

/* Where it went wrong. The log uses the same words as subjects. */
/* clang-format off */
#define KOLK_PHASE_TABLE(X) \
	X(NONE) X(OPTIONS) X(ACQUIRE) X(WAIT) X(BUDGET) X(RESOLVE) X(CONNECT) X(TLS) X(READY) \
	X(PING) X(SEND) X(RECV) X(RELEASE) X(CLOSE)

/* X(name, fault, err, text): why a connection ended. Every close has exactly one reason. fault:
 * 1 = a sign that something is wrong, 0 = a normal end. err: what the peer did, as an error code;
 * an unproven connection that ends for such a reason is a failed dial, and each of these but
 * PEER_CLOSED is a fault. OK = not the peer's doing (IO_ERROR may be a lack of memory on this
 * side). Append only: the order is public, and kolk_stats.destroyed has 32 places. To add a reason,
 * write a row here, and where a connection ends for it call kolk__retire or kolk__evict
 * (core/retire.c), kolk__conn_set_retire_reason (core/conn.h) where it may be leased,
 * kolk__link_retire (transport/link.c) or, in a driver, kolk_discard_for. If an error code maps to
 * it, add it to kolk__link_reason (transport/link.c) and http_reason
 * (transport/drivers/http_driver.c). If it means that an idle connection was found dead, add it to
 * kolk__found_dead (core/release.h). ENGINE_CLOSED is no longer used: DRAINED is. */
#define KOLK_REASON_TABLE(X) \
	X(NONE,          0, OK,         "open") \
	X(IDLE_TIMEOUT,  0, OK,         "idle longer than idle_timeout_ns") \
	X(LIFETIME,      0, OK,         "older than lifetime_ns") \
	X(USES,          0, OK,         "leased uses_max times") \
	X(CLEARED,       0, OK,         "the pool was cleared") \
	X(DRAINED,       0, OK,         "the pool is draining") \
	X(REVOKED,       1, OK,         "still leased at the drain deadline") \
	X(ROOM,          0, OK,         "made room for another key at a full limit") \
	X(SHRUNK,        0, OK,         "a limit was lowered") \
	X(DISCARDED,     0, OK,         "the caller discarded it") \
	X(DIRTY,         1, OK,         "not proved clean at release") \
	X(ABANDONED,     1, OK,         "released with an operation in flight") \
	X(PEER_CLOSED,   0, E_CLOSED,   "the peer closed it") \
	X(PEER_RESET,    1, E_RESET,    "the peer reset it") \
	X(PEER_DATA,     1, E_PROTOCOL, "the peer sent unsolicited bytes") \
	X(PING_FAILED,   1, E_CLOSED,   "the health ping failed") \
	X(PING_TIMEOUT,  1, E_TIMEOUT,  "the health ping was not answered in time") \
	X(DIAL_FAILED,   1, OK,         "the dial failed") \
	X(DIAL_TIMEOUT,  1, OK,         "the dial was not finished in time") \
	X(RESET_FAILED,  1, OK,         "the driver could not reset it") \
	X(IO_ERROR,      1, OK,         "an operation on it failed") \
	X(ENGINE_CLOSED, 0, OK,         "the engine was destroyed") \
	X(NAME_CHANGED,  0, OK,         "the host name does not lead to its address any more") \
	X(ROTATED,       0, OK,         "credentials or settings were replaced") \
	X(SHARE,         0, OK,         "taken back for a tenant with less than its fair share") \
	X(RECLAIMED,     0, OK,         "its key made room for another key") \
	X(PEER_IDLE,     0, OK,         "the peer closes connections that are idle for so long") \
	X(PROTOCOL,      1, E_PROTOCOL, "the peer broke the protocol") \
	X(FLOOD,         1, E_FLOOD,    "the peer sent more control frames than it may") \
	X(IDLE_MAX,      0, OK,         "as many were idle as idle_max or pool_idle_max say")
/* clang-format on */

/* X(name, text): why a caller got no connection. For a time-out, this is the limit that was reached
 * when the deadline passed. */
/* clang-format off */
#define KOLK_REFUSAL_TABLE(X) \
	X(CIRCUIT,      "the circuit of the endpoint is open") \
	X(ACCOUNT,      "the peer refused the credentials") \
	X(DIAL_FAILED,  "the dial that the caller waited for failed") \
	X(QUEUE_FULL,   "as many callers wait as may") \
	X(DRAINING,     "the pool drains or is closed") \
	X(ROTATED,      "another credential took the place of this one") \
	X(DEADLINE,     "no connection would be ready before the deadline") \
	X(KEY_LIMIT,    "the key has all its connections, and none came back in time") \
	X(TENANT_LIMIT, "the tenant has all its connections or keys") \
	X(POOL_LIMIT,   "the pool has all its connections or dials") \
	X(ENGINE_LIMIT, "the engine has all its connections, dials or keys") \
	X(TIMEOUT,      "no limit was reached, but no dial was finished in time")
/* clang-format on */

enum kolk_refusal {
#define KOLK_REFUSAL_ENUM(name, text) KOLK_REFUSAL_##name,
	KOLK_REFUSAL_TABLE(KOLK_REFUSAL_ENUM)
#undef KOLK_REFUSAL_ENUM
	KOLK_REFUSALS
};

enum kolk_phase {
#define KOLK_PHASE_ENUM(name) KOLK_PHASE_##name,
	KOLK_PHASE_TABLE(KOLK_PHASE_ENUM)
#undef KOLK_PHASE_ENUM
	KOLK_PHASES
};

enum kolk_reason {
#define KOLK_REASON_ENUM(name, fault, err, text) KOLK_REASON_##name,
	KOLK_REASON_TABLE(KOLK_REASON_ENUM)
#undef KOLK_REASON_ENUM
	KOLK_REASONS
};

/* The details of one failure. Filled in where an options struct or a call asks for it; its size
 * must be set then (kolk/base.h). */
struct kolk_failure {
	uint32_t size;              /* sizeof; set by KOLK_INIT */
	enum kolk_err err;          /* the code */
	enum kolk_class err_class;  /* what to do */
	enum kolk_phase phase;      /* where */
	int32_t os_error;           /* errno value, 0 = none */
	int32_t tls_error;          /* mbedTLS code (negative), 0 = none */
	uint64_t elapsed_ns;        /* how long the attempt took, 0 = not timed */
	const char *field;          /* E_OPTIONS: the field's name; static; otherwise NULL */
	uint32_t exit_status;       /* of a child process that ended by itself: 0 .. 255 */
	uint32_t exit_signal;       /* or the signal that ended it; 0 = none */
	const char *detail;         /* the exact cause where it is known ("extended key usage",
	                             * "alert: unknown_ca"); static; NULL = not known */
};

KOLK_BEGIN
/* Each returns a static text or a value, for unknown codes too; any thread. */
KOLK_API const char *kolk_err_name(enum kolk_err err);
KOLK_API const char *kolk_err_text(enum kolk_err err);
KOLK_API enum kolk_class kolk_err_class(enum kolk_err err);
KOLK_API const char *kolk_class_name(enum kolk_class err_class);
KOLK_API const char *kolk_phase_name(enum kolk_phase phase);
KOLK_API const char *kolk_reason_name(enum kolk_reason reason);
KOLK_API const char *kolk_reason_text(enum kolk_reason reason);
/* Return whether the reason is a sign that something is wrong; false for an unknown one. */
KOLK_API bool kolk_reason_is_fault(enum kolk_reason reason);
KOLK_API const char *kolk_refusal_name(enum kolk_refusal refusal); /* as "queue_full" */
KOLK_API const char *kolk_refusal_text(enum kolk_refusal refusal);
KOLK_END

#endif
