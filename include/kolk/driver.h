/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/driver.h - protocol drivers, and resource drivers, which pool anything that is not a socket.
 *
 * A driver is a static struct of callbacks, with some memory per connection, its session. The
 * callbacks of a protocol driver run on the thread of the connection's loop. Two may run elsewhere:
 * clean on the releasing thread, and heard on the thread that uses the lease, inside its send or
 * receive. Two callbacks never run at once for one connection. They must not block, and of kolk
 * they may call only the functions of an exchange below.
 *
 *   dial      upgrade (before TLS) -> TLS -> open -> ready
 *   idle      ping now and then; heard when the peer speaks unasked
 *   release   clean -> idle | mend -> idle | closed
 *   end       close, exactly once if upgrade or open was called
 *
 * Requests on a lease are not the driver's task: the holder of the lease sends and receives
 * (kolk/io.h), and keeps track in the session (kolk_lease_session) so that clean can decide.
 */
#ifndef KOLK_DRIVER_H
#define KOLK_DRIVER_H

#include <kolk/error.h>
#include <kolk/options.h>

struct kolk_exchange;
struct kolk_pool_options;

struct kolk_driver {
	uint32_t size;          /* sizeof; set by KOLK_INIT */
	uint32_t session_bytes; /* memory of the driver per connection, zeroed at the dial */
	const char *name;       /* for log and stats */

	/* Begin an exchange in plain text that precedes TLS (PostgreSQL's SSLRequest, STARTTLS);
	 * called only if the pool uses TLS. KOLK_OK = go on with TLS; KOLK_PENDING = bytes were
	 * queued with kolk_exchange_send, and feed gets the answer. Bytes after the complete answer
	 * close the connection: nothing that came in plain text is trusted afterwards
	 * (CVE-2021-22947). NULL = TLS from the first byte. */
	enum kolk_err (*upgrade)(void *user, void *session, struct kolk_exchange *exchange);
	/* Begin the opening exchange on a fresh connection (after TLS). KOLK_OK = ready;
	 * KOLK_PENDING = feed gets the answer. NULL = ready as soon as it is connected. */
	enum kolk_err (*open)(void *user, void *session, struct kolk_exchange *exchange);
	/* Begin a health ping on an idle connection; as open. NULL = the driver cannot ping. */
	enum kolk_err (*ping)(void *user, void *session, struct kolk_exchange *exchange);
	/* Begin to reset a connection after a lease, for which clean returned KOLK_PENDING; as
	 * open. Bounded by the pool's mend_timeout_ns and mend_bytes_max. NULL = a connection that
	 * is not clean is closed. */
	enum kolk_err (*mend)(void *user, void *session, struct kolk_exchange *exchange);
	/* Take received bytes of an exchange that one of the four began. KOLK_OK = it is complete
	 * (surplus bytes make the connection dirty: return E_PROTOCOL); KOLK_PENDING = more is
	 * needed; an error closes the connection. */
	enum kolk_err (*feed)(void *user, void *session, struct kolk_exchange *exchange,
			      const void *data, size_t size);
	/* Take bytes that came while the connection was not leased (a push message, a SETTINGS
	 * frame). KOLK_OK = it stays open, even if the bytes are only part of a message;
	 * kolk_exchange_send may answer. An error closes it. NULL = any such byte closes it
	 * (KOLK_REASON_PEER_DATA). */
	enum kolk_err (*heard)(void *user, void *session, struct kolk_exchange *exchange,
			       const void *data, size_t size);
	/* Prove at release that no answer is outstanding and the session is neutral.
	 * KOLK_OK = clean, KOLK_PENDING = mend can make it so, anything else closes the connection.
	 * NULL = the caller decides, by release or discard. The transport itself checks that
	 * nothing unread or unsent is left. With this callback, a receive that was cancelled or
	 * timed out does not by itself close the connection: the driver knows whether an answer is
	 * outstanding. */
	enum kolk_err (*clean)(void *user, void *session);
	/* The connection ends, for any reason: free what the session holds. exchange is not NULL if
	 * a closing message can be queued; it is sent if the socket takes it at once. */
	void (*close)(void *user, void *session, struct kolk_exchange *exchange);

	/* Describes driver_user, an options struct that begins with its size. When a pool is added
	 * or updated, it reads the struct, fills in defaults, refuses values out of range
	 * (E_OPTIONS, failure->field), and keeps a copy until the last connection that was opened
	 * with it is closed; then the copy is wiped. Callbacks get the copy as user. Options are
	 * compared by value: only a different value of a field that is part of the identity opens
	 * new connections. NULL = driver_user is passed as it is, borrowed, and compared by its
	 * address. */
	const struct kolk_option_table *options;
	/* Check such options, complete and in range, together with those of their pool. Returns
	 * KOLK_OK, or an error and the name of the field. NULL = no further check. */
	enum kolk_err (*check)(const void *options, const struct kolk_pool_options *pool,
			       const char **field);

	/* 1 = in this protocol the client speaks first (HTTP, not SMTP). The client's
	 * acknowledgement of a new connection then travels with its first bytes, which saves a
	 * packet. A connection that becomes ready without a caller is acknowledged at once; one
	 * that a caller gives back without having sent anything is acknowledged then. */
	uint32_t speaks_first;
	uint32_t reserved;
};

/* The credentials to present to a peer for one key. A driver that logs in gets them from a callback
 * in its options at each dial, on the loop's thread: kolk itself keeps only digests of credentials.
 * The memory is the embedder's and must stay valid until the driver's callback that asked for it
 * has returned. */
struct kolk_credentials {
	const char *user;   /* NULL = none */
	const void *secret; /* a password or token; NULL = none */
	size_t secret_size;
};
typedef enum kolk_err kolk_credentials_fn(void *user, struct kolk_key *key,
					  struct kolk_credentials *credentials);

/* For whom a resource is made, and until when. */
struct kolk_resource_request {
	uint32_t size;        /* how much of it the library provides */
	int32_t os_error;     /* out, with an error: an errno value for kolk_failure; not with
	                       * begin_create, see kolk_resource_failed */
	struct kolk_key *key; /* its key, borrowed for the call (with begin_create: until the
	                       * operation is completed) */
	uint64_t deadline_ns; /* absolute; a resource made later is destroyed unused
	                       * (ready_timeout_ns) */
};

/* An operation that an asynchronous resource driver has begun: a create, ping, reset or destroy. */
struct kolk_resource_op;

/*
 * A driver for pooled objects in the process. Exactly one of create, create_for and begin_create is
 * set; all other callbacks may be NULL.
 *
 * Blocking form (create or create_for): create, create_for, validate and destroy may block: they
 * run on a worker thread of the engine.
 *
 * Asynchronous form (begin_create): each begin_* starts one operation on the thread of the
 * resource's home loop, with no lock of kolk held, and returns without blocking. It may call
 * whatever is allowed on a loop: acquire leases of other pools, start timers and I/O. The driver
 * completes the operation, exactly once, with kolk_resource_created, kolk_resource_done or
 * kolk_resource_failed, on any thread, even inside begin_* or expired. A resource has at most one
 * operation in flight. The completion takes effect in a later step of the home loop.
 *
 *   create   begin_create -> created: idle, or a waiter's | failed: as a failed dial
 *   idle     begin_ping now and then -> done | failed: destroyed
 *   release  reset -> KOLK_OK: idle | KOLK_PENDING: begin_reset -> done: idle | failed: destroyed
 *   end      begin_destroy, exactly once for each resource that was created
 *
 * Each operation has a deadline (kolk_resource_op_deadline). When it has passed, the engine treats
 * the operation as failed, calls expired once, and goes on: a create counts as a failed dial for
 * waiters, circuit and back-off (E_DIAL_TIMEOUT); after a ping or reset, the resource is destroyed
 * once the operation is completed; a destroy no longer counts against closes_max. The driver must
 * still complete the operation, soon: until then the resource counts as closing, against every
 * limit, and keeps its pool from being closed. A resource that is created too late is destroyed
 * unused.
 *
 * A create is not cancelled when the waiter that caused it leaves: the resource becomes idle. Nor
 * is it cancelled when its pool drains: the resource is then destroyed.
 */
struct kolk_resource_driver {
	uint32_t size;     /* sizeof; set by KOLK_INIT */
	uint32_t op_bytes; /* memory of the driver per operation, zeroed when it begins
	                    * (kolk_resource_op_memory); only with begin_create */
	const char *name;
	/* Make a resource. Returns KOLK_OK with *resource set, or an error (E_RESOURCE when in
	 * doubt). */
	enum kolk_err (*create)(void *user, void **resource);
	/* The same with the request, instead of create. */
	enum kolk_err (*create_for)(void *user, struct kolk_resource_request *request,
				    void **resource);
	/* Ping an idle resource. KOLK_OK = alive. E_CLOSED and E_RESET = its other end closed or
	 * reset it, which is then the reason that is counted; any other error is a failed ping
	 * (E_RESOURCE when in doubt). Not with begin_create. */
	enum kolk_err (*validate)(void *user, void *resource);
	/* Reset it at release, on the releasing thread; must be quick. KOLK_OK = clean.
	 * KOLK_PENDING = begin_reset can make it so. Anything else destroys it. NULL = begin_reset
	 * after each lease, if that is set. */
	enum kolk_err (*reset)(void *user, void *resource);
	void (*destroy)(void *user, void *resource); /* not with begin_create */

	/* ---- the asynchronous form */

	/* Begin to make a resource. request is borrowed for the call, its key until the operation
	 * is completed. Deadline: ready_timeout_ns. In flight at a time: dials_max. */
	void (*begin_create)(void *user, struct kolk_resource_op *op,
			     const struct kolk_resource_request *request);
	/* Begin to ping an idle resource; errors as of validate. Deadline: ping_timeout_ns.
	 * NULL = no pings. */
	void (*begin_ping)(void *user, struct kolk_resource_op *op, void *resource);
	/* Begin to reset a resource after a lease. Deadline: mend_timeout_ns; KOLK_AT_ONCE = it is
	 * destroyed instead. */
	void (*begin_reset)(void *user, struct kolk_resource_op *op, void *resource);
	/* Begin to destroy a resource; done and failed mean the same here. Deadline:
	 * close_timeout_ns. In flight at a time: closes_max. NULL = nothing needs to be done. */
	void (*begin_destroy)(void *user, struct kolk_resource_op *op, void *resource);
	/* The deadline of an operation has passed: complete it soon, nothing waits for its result
	 * any more. Called on the home loop. The operation stays valid during the call even if
	 * another thread completes it meanwhile. NULL = the driver watches the deadline itself. */
	void (*expired)(void *user, struct kolk_resource_op *op);
};

KOLK_BEGIN

/* Queue bytes to be sent; copied. Errors: E_MEMORY. */
KOLK_API enum kolk_err kolk_exchange_send(struct kolk_exchange *exchange, const void *data,
					  size_t size);
/* Return the key of the connection, borrowed for the callback; its tenant says whose credentials to
 * present. */
KOLK_API struct kolk_key *kolk_exchange_key(struct kolk_exchange *exchange);
/* Return the address that was dialled: "host:port" and so on, as in kolk_pool_options.address but
 * without a prefix; "child:/path". Lives as long as the connection. */
KOLK_API const char *kolk_exchange_address(struct kolk_exchange *exchange);
/* Return the protocol negotiated in TLS (RFC 7301), or NULL. Lives as long as the callback. */
KOLK_API const char *kolk_exchange_alpn(struct kolk_exchange *exchange);
/* Say what exactly is wrong, for kolk_failure.detail of the dial, for log and status. Called by
 * upgrade, open or feed before it returns an error. Static text, or NULL; the last one counts. */
KOLK_API void kolk_exchange_detail(struct kolk_exchange *exchange, const char *text);
/* Return whether bytes are encrypted. */
KOLK_API bool kolk_exchange_is_tls(struct kolk_exchange *exchange);

/* Complete an operation, with exactly one of the three, once; it is freed, with its memory, when
 * the call returns. Any thread; wait-free except to wake the home loop; no errors. */

/* A create has made this resource; not NULL. It belongs to the engine until begin_destroy. */
KOLK_API void kolk_resource_created(struct kolk_resource_op *op, void *resource);
/* A ping, a reset or a destroy succeeded. */
KOLK_API void kolk_resource_done(struct kolk_resource_op *op);
/* The operation failed: err (E_RESOURCE when in doubt), phase, os_error, tls_error and detail are
 * taken from *failure, borrowed for the call; detail is static text, or NULL. A failed create has
 * made nothing; it is reported as a failed dial (E_AUTH: no further one for auth_retry_ns), with
 * phase READY if *failure has none. The failure of a pool that the resource draws from can be
 * passed on as it is. */
KOLK_API void kolk_resource_failed(struct kolk_resource_op *op, const struct kolk_failure *failure);

/* Return the driver's op_bytes of memory, aligned for any type; valid until the operation is
 * completed. Any thread. */
KOLK_API void *kolk_resource_op_memory(struct kolk_resource_op *op);
/* Return when the engine treats the operation as failed; absolute, KOLK_FOREVER = never. Any
 * thread. */
KOLK_API uint64_t kolk_resource_op_deadline(const struct kolk_resource_op *op);

/* Plain bytes of no known protocol: the caller decides whether a connection is clean. Cannot
 * ping. */
KOLK_API const struct kolk_driver *kolk_driver_raw(void);
/* Redis or Valkey: opens and pings with PING, expects +PONG. */
KOLK_API const struct kolk_driver *kolk_driver_redis_ping(void);
/* HTTP/1.1 with keep-alive: no opening exchange, no ping; the idle watch is the health check. */
KOLK_API const struct kolk_driver *kolk_driver_http_get(void);

KOLK_END

#endif
