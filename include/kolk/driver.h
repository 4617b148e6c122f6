/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/driver.h - teach a pool a protocol, or let it pool something that is no socket.
 *
 * A driver is a static struct of callbacks and some memory per connection, its session. The
 * callbacks of a protocol driver run on the thread of the connection's loop, except clean, which
 * runs on the releasing thread, too, and heard, which runs also on the thread that uses a lease,
 * inside its send or receive; never two at once for one connection. They must not block
 * and must not call back into kolk except the functions of an exchange below.
 *
 *   dial      upgrade (before TLS) -> TLS -> open -> ready
 *   idle      ping now and then; heard when the peer speaks unasked
 *   release   clean -> idle | mend -> idle | closed
 *   end       close, exactly once if upgrade or open was called
 *
 * Requests of a lease are not the driver's: who holds the lease sends and receives
 * (kolk/io.h), and keeps account in the session (kolk_lease_session), so that clean can judge.
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

	/* Begin an exchange in plain text on a connection that is to speak TLS after it
	 * (PostgreSQL's SSLRequest, STARTTLS); called only where the pool speaks TLS. KOLK_OK = go on
	 * with TLS; KOLK_PENDING = bytes were queued with kolk_exchange_send, an answer
	 * will be fed. Bytes behind the complete answer close the connection: nothing that came in
	 * plain text is trusted after it (CVE-2021-22947). NULL = TLS from the first byte. */
	enum kolk_err (*upgrade)(void *user, void *session, struct kolk_exchange *exchange);
	/* Begin the opening exchange on a fresh connection (after TLS). KOLK_OK = ready;
	 * KOLK_PENDING = an answer will be fed. NULL = ready as soon as it is connected. */
	enum kolk_err (*open)(void *user, void *session, struct kolk_exchange *exchange);
	/* Begin a health ping on an idle connection; as open. NULL = the driver cannot ping. */
	enum kolk_err (*ping)(void *user, void *session, struct kolk_exchange *exchange);
	/* Begin to make a connection neutral again, after clean said KOLK_PENDING; as open. Bounded by
	 * the pool's mend_timeout_ns and mend_bytes_max. NULL = what is not clean is closed. */
	enum kolk_err (*mend)(void *user, void *session, struct kolk_exchange *exchange);
	/* Take received bytes of an exchange that one of the four began. KOLK_OK = it is complete
	 * (surplus bytes make the connection dirty: say E_PROTOCOL); KOLK_PENDING = more;
	 * an error closes the connection. */
	enum kolk_err (*feed)(void *user, void *session, struct kolk_exchange *exchange,
			      const void *data, size_t size);
	/* Bytes came while no lease had the connection (a push message, a SETTINGS frame). KOLK_OK =
	 * it stays, also when the bytes are only part of a message; kolk_exchange_send may
	 * answer. An error closes. NULL = any such byte closes (KOLK_REASON_PEER_DATA). */
	enum kolk_err (*heard)(void *user, void *session, struct kolk_exchange *exchange,
			       const void *data, size_t size);
	/* Prove at release that no answer is owed and the session is neutral. KOLK_OK = clean,
	 * KOLK_PENDING = mend can make it so, anything else closes. NULL = the caller's word
	 * (release or discard) decides. The transport checks by itself that nothing unread or
	 * unsent is left. With clean, a receive that was cancelled or came too late does not condemn
	 * the connection by itself: the driver knows whether an answer is owed. */
	enum kolk_err (*clean)(void *user, void *session);
	/* The connection ends, for whatever reason: free what the session holds. exchange is not
	 * NULL when a goodbye can be queued; it is sent if the socket takes it at once. */
	void (*close)(void *user, void *session, struct kolk_exchange *exchange);

	/* What driver_user is: an options struct that begins with its size, described by this table.
	 * A pool reads it when it is added or updated, fills in defaults, refuses what is out of range
	 * (E_OPTIONS, failure->field), and keeps a copy until the last connection that was opened with
	 * it is closed; then the copy is wiped. Callbacks get the copy as user. Two that say the same
	 * are the same: only another value of a field that is part of the identity opens new
	 * connections. NULL = driver_user is passed as it is, borrowed, and known by its address. */
	const struct kolk_option_table *options;
	/* Judge such options, complete and in range, with those of their pool. KOLK_OK, or an error
	 * and the name of the field. NULL = nothing more is to be looked at. */
	enum kolk_err (*check)(const void *options, const struct kolk_pool_options *pool,
			       const char **field);

	/* 1 = no peer says anything before it has heard from the client (HTTP, not SMTP). Then the
	 * client's acknowledgement of a new connection travels with its first bytes, one packet
	 * less. A connection that no caller has when it is ready is acknowledged then; one that a
	 * caller gives back before it has sent anything, when it is given back. */
	uint32_t speaks_first;
	uint32_t reserved;
};

/* What a peer is to be shown for one key. A driver that logs in asks its options' callback for
 * it at each dial, on the loop's thread: kolk itself keeps only digests of credentials. What it
 * points to is the embedder's, and must stay until the asking callback of the driver has
 * returned. */
struct kolk_credentials {
	const char *user;   /* NULL = none */
	const void *secret; /* a password or token; NULL = none */
	size_t secret_size;
};
typedef enum kolk_err kolk_credentials_fn(void *user, struct kolk_key *key,
					  struct kolk_credentials *credentials);

/* What a resource is made for. */
struct kolk_resource_request {
	uint32_t size;        /* how much of it the library shows */
	int32_t os_error;     /* to be set with an error: an errno value, told in kolk_failure; not
	                       * of begin_create, see kolk_resource_failed */
	struct kolk_key *key; /* whose it will be, borrowed for the call (of begin_create: until the
	                       * operation is completed); its tenant tells */
	uint64_t deadline_ns; /* absolute: what is made later is destroyed unused (ready_timeout_ns) */
};

/* An operation that an asynchronous resource driver has begun: a create, ping, reset or destroy. */
struct kolk_resource_op;

/*
 * Anything in-process as a pooled resource. One of create, create_for and begin_create is set; the
 * others may be NULL.
 *
 * Blocking form (create or create_for): create, create_for, validate and destroy may block: they
 * run on a worker thread of the engine.
 *
 * Asynchronous form (begin_create): each begin_* starts one operation on the thread of the
 * resource's home loop, with no lock of kolk held, and returns without blocking. It may call what
 * may be called on a loop: take leases of other pools, start timers, I/O. The operation goes on
 * until the driver completes it, exactly once, with kolk_resource_created, kolk_resource_done or
 * kolk_resource_failed: on any thread, also inside begin_* or expired. At most one operation is in
 * flight for one resource. What is completed takes effect in a later step of the home loop.
 *
 *   create   begin_create -> created: idle, or a waiter's | failed: as a failed dial
 *   idle     begin_ping now and then -> done | failed: destroyed
 *   release  reset -> KOLK_OK: idle | KOLK_PENDING: begin_reset -> done: idle | failed: destroyed
 *   end      begin_destroy, exactly once for each resource that was created
 *
 * Each operation has a deadline (kolk_resource_op_deadline). When it is over, the engine takes the
 * operation for failed, calls expired once, and goes on: waiters, circuit and back-off see a failed
 * dial (E_DIAL_TIMEOUT), a ping or a reset has failed (the resource is destroyed when the operation
 * is completed), the place of a destroy among closes_max is another's. The driver still has to
 * complete the operation, soon: until then the resource counts as closing, against every limit, and
 * keeps its pool from being closed. A resource that is created too late is destroyed, never used.
 *
 * A create is not cancelled when the waiter that caused it leaves: what it makes is kept idle. Nor
 * is it when its pool drains: what it makes then is destroyed.
 */
struct kolk_resource_driver {
	uint32_t size;     /* sizeof; set by KOLK_INIT */
	uint32_t op_bytes; /* memory of the driver per operation, zeroed at its begin
	                    * (kolk_resource_op_memory); only with begin_create */
	const char *name;
	/* Make one. KOLK_OK with *resource set, or an error (E_RESOURCE when in doubt). */
	enum kolk_err (*create)(void *user, void **resource);
	/* The same, told for whom and until when; instead of create. */
	enum kolk_err (*create_for)(void *user, struct kolk_resource_request *request,
				    void **resource);
	/* Health ping of an idle one: KOLK_OK = alive. E_CLOSED and E_RESET: its other end closed or
	 * reset it, which is the reason that is counted; any other error is a failed ping
	 * (E_RESOURCE when in doubt). Not with begin_create. */
	enum kolk_err (*validate)(void *user, void *resource);
	/* Make it neutral at release, on the releasing thread: quick. KOLK_OK = clean. KOLK_PENDING:
	 * begin_reset can make it so. Anything else destroys it. NULL = begin_reset after each
	 * lease, if there is one. */
	enum kolk_err (*reset)(void *user, void *resource);
	void (*destroy)(void *user, void *resource); /* not with begin_create */

	/* ---- the asynchronous form */

	/* Begin to make one. request is borrowed for the call, but its key until the operation is
	 * completed. Deadline: ready_timeout_ns. In flight at a time: dials_max. */
	void (*begin_create)(void *user, struct kolk_resource_op *op,
			     const struct kolk_resource_request *request);
	/* Begin a health ping of an idle one; failures as of validate. Deadline: ping_timeout_ns.
	 * NULL = no pings. */
	void (*begin_ping)(void *user, struct kolk_resource_op *op, void *resource);
	/* Begin to make one neutral after a lease. Deadline: mend_timeout_ns; KOLK_AT_ONCE = it is
	 * destroyed instead. */
	void (*begin_reset)(void *user, struct kolk_resource_op *op, void *resource);
	/* Begin to end one. How it is completed makes no difference. Deadline: close_timeout_ns. In
	 * flight at a time: closes_max. NULL = nothing is to be done. */
	void (*begin_destroy)(void *user, struct kolk_resource_op *op, void *resource);
	/* The deadline of an operation is over and it is not completed: hurry, nothing waits for its
	 * result any more. On the home loop. The operation stays valid for the call even if another
	 * thread completes it meanwhile. NULL = the driver looks after its own time. */
	void (*expired)(void *user, struct kolk_resource_op *op);
};

KOLK_BEGIN

/* Queue bytes; copied. Errors: E_MEMORY. */
KOLK_API enum kolk_err kolk_exchange_send(struct kolk_exchange *exchange, const void *data,
					  size_t size);
/* The key that the connection belongs to, borrowed for the callback; its tenant tells whose
 * credentials to show. */
KOLK_API struct kolk_key *kolk_exchange_key(struct kolk_exchange *exchange);
/* Whom the pool dialled: "host:port" and so on, as in its options (kolk_pool_options.address) but
 * without a prefix; "child:/path". Lives as long as the connection. */
KOLK_API const char *kolk_exchange_address(struct kolk_exchange *exchange);
/* What TLS agreed on (RFC 7301); NULL without TLS or agreement. Lives as long as the callback. */
KOLK_API const char *kolk_exchange_alpn(struct kolk_exchange *exchange);
/* From upgrade, open or feed, which is about to answer with an error: say what exactly is wrong,
 * for kolk_failure.detail of the dial, the log and the status. Static text, or NULL; the last one
 * counts. */
KOLK_API void kolk_exchange_detail(struct kolk_exchange *exchange, const char *text);
/* Whether bytes go out encrypted. */
KOLK_API bool kolk_exchange_is_tls(struct kolk_exchange *exchange);

/* Complete an operation; it is gone, with its memory, when the call returns. Exactly one of the
 * three, once. Any thread, wait-free but for the wake-up of the home loop; no errors. */

/* A create made this one; not NULL. It is the engine's until begin_destroy. */
KOLK_API void kolk_resource_created(struct kolk_resource_op *op, void *resource);
/* A ping, a reset or a destroy ended well. */
KOLK_API void kolk_resource_done(struct kolk_resource_op *op);
/* It failed: err (E_RESOURCE when in doubt), phase, os_error, tls_error and detail are taken from
 * *failure, borrowed for the call; detail is static text, or NULL. A failed create made nothing;
 * its failure is told as that of a dial (E_AUTH: no further one for auth_retry_ns), with phase 0 =
 * ready. A leased connection's failure, of the pool that the resource draws from, can be passed
 * on. */
KOLK_API void kolk_resource_failed(struct kolk_resource_op *op, const struct kolk_failure *failure);

/* The driver's op_bytes, aligned for anything, until the operation is completed. Any thread. */
KOLK_API void *kolk_resource_op_memory(struct kolk_resource_op *op);
/* When the engine takes the operation for failed; absolute, KOLK_FOREVER = never. Any thread. */
KOLK_API uint64_t kolk_resource_op_deadline(const struct kolk_resource_op *op);

/* Bytes, nothing known about them: the caller says whether they are clean. Cannot ping. */
KOLK_API const struct kolk_driver *kolk_driver_raw(void);
/* Redis or Valkey: opens and pings with PING, expects +PONG. */
KOLK_API const struct kolk_driver *kolk_driver_redis_ping(void);
/* HTTP/1.1 with keep-alive: no opening exchange, no ping; the idle watch is the health check. */
KOLK_API const struct kolk_driver *kolk_driver_http_get(void);

KOLK_END

#endif
