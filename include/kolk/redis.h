/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/redis.h - Redis and Valkey: a driver that knows when a connection is clean, and commands.
 *
 * A pool with kolk_driver_redis() as its driver and a struct kolk_redis_options as its driver_user
 * has connections that are logged in, in their database and named before anybody gets them. Each
 * reply that is owed is counted; what a command does to its connection (SELECT, MULTI, WATCH,
 * SUBSCRIBE, CLIENT ...) is noted as it is sent, and undone after the release, or the connection
 * is closed. A command that was cancelled leaves its reply to the driver, not to the next.
 *
 * Replies are read by hiredis: RESP2 with any version of it, RESP3 when this library was built with
 * hiredis 1.0 or newer.
 * Threads: a lease is used by one thread at a time, and carries one call at a time.
 * Guide: docs/drivers/redis.md.
 */
#ifndef KOLK_REDIS_H
#define KOLK_REDIS_H

#include <kolk/driver.h>
#include <kolk/lease.h>

enum kolk_redis_type {
	KOLK_REDIS_NIL = 0,
	KOLK_REDIS_STATUS,   /* text: "OK", "QUEUED" ... */
	KOLK_REDIS_ERROR,    /* text: what the server said, its kind as a word in front */
	KOLK_REDIS_STRING,   /* text, any bytes */
	KOLK_REDIS_INTEGER,  /* integer */
	KOLK_REDIS_ARRAY,    /* elements */
	/* From here only with RESP3. */
	KOLK_REDIS_DOUBLE,   /* number; text as it came */
	KOLK_REDIS_BOOL,     /* integer 0 or 1 */
	KOLK_REDIS_MAP,      /* elements: key, value, key, value ... */
	KOLK_REDIS_SET,      /* elements */
	KOLK_REDIS_PUSH,     /* elements; unsolicited */
	KOLK_REDIS_BIGNUM,   /* text: digits */
	KOLK_REDIS_VERBATIM  /* text: after its format "txt:" or "mkd:" */
};

/* What an error reply is about: the word that it begins with. */
/* clang-format off */
#define KOLK_REDIS_ERROR_TABLE(X) \
	X(ERR) X(NOAUTH) X(WRONGPASS) X(NOPERM) X(NOPROTO) X(LOADING) X(BUSY) X(READONLY) \
	X(MASTERDOWN) X(MISCONF) X(NOREPLICAS) X(OOM) X(MOVED) X(ASK) X(TRYAGAIN) X(CLUSTERDOWN) \
	X(CROSSSLOT) X(EXECABORT) X(NOSCRIPT) X(WRONGTYPE) X(BUSYGROUP) X(NOGROUP) X(UNBLOCKED)
/* clang-format on */

enum kolk_redis_error {
	KOLK_REDIS_NO_ERROR = 0,
	KOLK_REDIS_OTHER, /* a word that is not in the table */
#define KOLK_REDIS_ERROR_ENUM(name) KOLK_REDIS_##name,
	KOLK_REDIS_ERROR_TABLE(KOLK_REDIS_ERROR_ENUM)
#undef KOLK_REDIS_ERROR_ENUM
};

/* One value of a reply. The whole tree is one piece of memory, immutable, and ends with
 * kolk_redis_reply_free on its root. */
struct kolk_redis_reply {
	uint32_t type;    /* enum kolk_redis_type */
	uint32_t error;   /* enum kolk_redis_error; of KOLK_REDIS_ERROR */
	size_t size;      /* bytes of text; a 0 byte follows them */
	const char *text; /* "" where the type has none, never NULL */
	union {
		int64_t integer;
		double number;
		const struct kolk_redis_reply *elements; /* count of them, one behind the other */
	};
	size_t count;     /* of elements */
};

/* Who is told of push messages that came while no command waited for them, or before its
 * reply (RESP3: invalidations of CLIENT TRACKING and the like). On any thread that uses the
 * pool, inside the lease: quick, and no call back into kolk. The reply ends with the call. */
typedef void kolk_redis_push_fn(void *user, const struct kolk_redis_reply *push);

/* driver_user of a pool, which copies it (kolk_driver.options); NULL = all defaults. Text of
 * options and credentials never goes into a log or an error. */
struct kolk_redis_options {
	uint32_t size;           /* sizeof; set by KOLK_INIT */
	uint32_t resp;           /* 2 or 3; 0 = 2. 3 is never quietly less: a server or a build
	                          * without it fails the dial with E_UNSUPPORTED */
	const char *user;        /* of an ACL; NULL = the default user */
	const char *password;    /* NULL = no AUTH */
	kolk_credentials_fn *credentials; /* NULL, or asked at each dial instead of the two; the
	                          * secret is the password */
	void *credentials_user;
	const char *client_name; /* CLIENT SETNAME; NULL = none; printable, no spaces */
	uint32_t database;       /* SELECT; 0 = the first */
	uint32_t depth_max;      /* of arrays in arrays; 0 = 7; 1 .. 7 (RESP3: .. 64) */
	uint32_t elements_max;   /* of one array; 0 = 1048576 */
	uint32_t commands_max;   /* in one call; 0 = 65536 */
	uint64_t reply_bytes_max; /* all replies of one call, as they lie in memory, and all messages
	                          * of a subscription that wait for a listener; 0 = 64 MiB. Beyond
	                          * one of these: E_LIMIT, and the connection is closed */
	uint64_t request_bytes_max; /* one call, encoded; 0 = 64 MiB; beyond: E_LIMIT, not sent */
	uint64_t request_timeout_ns; /* of a call that gives no deadline; 0 = the pool's;
	                          * KOLK_FOREVER */
	uint64_t silence_timeout_ns; /* the longest pause between two bytes of an answer, and for
	                          * 256 KiB of a request to go out; 0 = the pool's socket_timeout_ns;
	                          * KOLK_FOREVER. Not for
	                          * commands that block, nor for listening */
	kolk_redis_push_fn *on_push; /* NULL = push messages are dropped */
	void *push_user;
};                               /* since 0.1 */

/* One command: its name and arguments, any bytes. */
struct kolk_redis_command {
	size_t count;            /* of arguments, the name among them; 1 .. 1048576 */
	const char *const *arguments;
	const size_t *sizes;     /* bytes of each; NULL = they are strings */
};

/* What is asked in one call. It and what it points to may go when the call has returned,
 * also where it only began. */
struct kolk_redis_request {
	uint32_t size;           /* sizeof; set by KOLK_INIT */
	uint32_t count;          /* commands; sent at once, answered in order */
	const struct kolk_redis_command *commands;
	uint64_t deadline_ns;    /* of everything, the acquire too; absolute; KOLK_FOREVER. 0 = the
	                          * pool's acquire_timeout_ns for the acquire, and request_timeout_ns
	                          * from then on */
	/* 1 = may be sent twice: kolk_redis_call and kolk_redis_call_start then try once more, on
	 * another connection, when a reused one (kolk_lease_info) ended without a byte of answer. A
	 * connection that is found dead before a byte went out was no attempt. */
	uint32_t replayable;
	/* All its replies, as they lie in memory, when that is less than the options'
	 * reply_bytes_max: E_LIMIT beyond, as there; 0 = theirs. */
	uint32_t reply_bytes_max;
};                               /* since 0.1 */

/* A call that is under way on a loop. */
struct kolk_redis_call;

/* Runs exactly once on the loop's thread, from step or run. KOLK_OK: the reply is the
 * receiver's now, to be freed; otherwise it is NULL. The call is gone. */
typedef void kolk_redis_done_fn(void *user, enum kolk_err err,
				const struct kolk_redis_reply *reply);

KOLK_BEGIN

/* The driver, static. open: HELLO or AUTH, CLIENT SETNAME, SELECT, PING, all in one packet; ready
 * when each was answered well. Errors of a dial: E_AUTH (NOAUTH, WRONGPASS, NOPERM),
 * E_RESOURCE (LOADING, BUSY, too many clients: come back later), E_UNSUPPORTED (RESP3),
 * E_OPTIONS (a name or a database that the server refuses), E_PROTOCOL. An option that is
 * impossible is refused by kolk_pool_add. */
KOLK_API const struct kolk_driver *kolk_driver_redis(void);

/* Whether this build reads RESP3. */
KOLK_API bool kolk_redis_has_resp3(void);

/* ---- on a lease of one's own: transactions, subscriptions, several calls in a row
 *
 * KOLK_OK: *reply is the caller's, also when the server's answer is an error (KOLK_REDIS_ERROR).
 * One command: its reply. Several: an array of the replies.
 * Errors, nothing was sent: E_OPTIONS (no command, or an argument count of 0), E_LIMIT,
 * E_UNSUPPORTED (another driver's pool; CLIENT REPLY OFF and SKIP, HELLO, SYNC, PSYNC, REPLCONF;
 * a SUBSCRIBE, MONITOR or SCRIPT DEBUG together with other commands or inside MULTI; anything on a
 * lease after one of the last two; UNSUBSCRIBE without names; with RESP2 several commands in one
 * call on a lease that is subscribed, or was to a shard channel),
 * E_LEASE_BUSY (a reply of an earlier call is still owed: release the lease), E_MEMORY.
 * Errors afterwards: those of kolk/io.h, E_CANCELLED, E_TIMEOUT, E_LIMIT, E_PROTOCOL; release the
 * lease, and the driver sees to what is owed. A thread blocks; not on a loop. */

/* One command. argvlen NULL = strings. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_redis_command(const struct kolk_lease *lease, uint64_t deadline_ns, size_t argc,
		   const char *const *argv, const size_t *argvlen,
		   const struct kolk_redis_reply **reply);

/* All commands of a request in one packet. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_redis_pipeline(const struct kolk_lease *lease,
							   const struct kolk_redis_request *request,
							   const struct kolk_redis_reply **reply);

/* Wait for the next message of a lease that subscribed (SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE), for the
 * unasked end of a subscription (sunsubscribe: the slot moved to another server), or for the next
 * push message of RESP3. A deadline that passes while nothing came (E_TIMEOUT) costs
 * nothing: listen again. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_redis_listen(const struct kolk_lease *lease,
							 uint64_t deadline_ns,
							 const struct kolk_redis_reply **reply);

/* The same on a loop, from its thread. A request without commands listens. KOLK_PENDING: the
 * callback will run, and *call (NULL = not wanted) can be cancelled until then; anything else:
 * refused, it never runs. The lease must not be released before the callback. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_redis_start(struct kolk_loop *loop, const struct kolk_lease *lease,
		 const struct kolk_redis_request *request, kolk_redis_done_fn *callback, void *user,
		 struct kolk_redis_call **call);

/* ---- a call for itself: acquire, ask, release
 *
 * Errors as above, and those of kolk_acquire. What the commands change ends with the call:
 * READONLY for a replica of a cluster, SELECT or AUTH go in front of the commands that need them,
 * in the same call. */

/* On a plain thread, which blocks. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_redis_call(struct kolk_key *key,
						       const struct kolk_redis_request *request,
						       const struct kolk_redis_reply **reply);
/* On a loop, from its thread; as kolk_redis_start. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_redis_call_start(struct kolk_loop *loop, struct kolk_key *key,
		      const struct kolk_redis_request *request, kolk_redis_done_fn *callback,
		      void *user, struct kolk_redis_call **call);

/* End it early, from the loop's thread and not after its callback: the callback runs, with
 * E_CANCELLED or with what it had by then. Works for both kinds. */
KOLK_API void kolk_redis_cancel(struct kolk_redis_call *call);

/* ---- replies */

/* Free a tree by its root. NULL is allowed. */
KOLK_API void kolk_redis_reply_free(const struct kolk_redis_reply *reply);

/* The word of an error reply, "MOVED"; static. */
KOLK_API const char *kolk_redis_error_name(enum kolk_redis_error error);

/* Where a MOVED or ASK error sends the caller: the slot, and "host:port" (copied, 0-ended; it
 * begins with ":" when the server means its own host). False: the reply is none of these, or
 * address has no room for it. */
KOLK_API bool kolk_redis_redirect(const struct kolk_redis_reply *reply, uint32_t *slot,
				  char *address, size_t capacity);

KOLK_END

#endif
