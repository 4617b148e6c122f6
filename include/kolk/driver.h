/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/driver.h - teach a pool a protocol, or let it pool something that is no socket.
 *
 * A driver is a static struct of callbacks. Those of a protocol driver run on the thread
 * of the connection's loop, except clean, which runs on the releasing thread; never two at
 * once for one connection. They must not block and must not call back into kolk except
 * kolk_exchange_send.
 */
#ifndef KOLK_DRIVER_H
#define KOLK_DRIVER_H

#include <kolk/error.h>

struct kolk_exchange;

struct kolk_driver {
	uint32_t size;          /* sizeof; set by KOLK_INIT */
	uint32_t session_bytes; /* memory of the driver per connection, zeroed at the dial */
	const char *name;       /* for log and stats */

	/* Begin the opening exchange on a fresh connection (after TLS). KOLK_OK = ready;
	 * KOLK_PENDING = bytes were queued with kolk_exchange_send, an answer will be fed.
	 * NULL = ready as soon as it is connected. */
	enum kolk_err (*open)(void *user, void *session, struct kolk_exchange *exchange);
	/* Begin a health ping on an idle connection; as open. NULL = the driver cannot ping. */
	enum kolk_err (*ping)(void *user, void *session, struct kolk_exchange *exchange);
	/* Take received bytes of an open or ping exchange. KOLK_OK = the exchange is complete
	 * (surplus bytes make the connection dirty: say E_PROTOCOL); KOLK_PENDING = more;
	 * an error closes the connection. */
	enum kolk_err (*feed)(void *user, void *session, struct kolk_exchange *exchange,
			      const void *data, size_t size);
	/* Prove at release that no answer is owed and the session is neutral. KOLK_OK = clean,
	 * anything else closes. NULL = the caller's word (release or discard) decides. The
	 * transport checks by itself that nothing unread or unsent is left. */
	enum kolk_err (*clean)(void *user, void *session);
};

/* Anything in-process as a pooled resource. Callbacks may be NULL except create. create,
 * validate and destroy may block: they run on a worker thread of the engine. */
struct kolk_resource_driver {
	uint32_t size; /* sizeof; set by KOLK_INIT */
	uint32_t reserved;
	const char *name;
	/* Make one. KOLK_OK with *resource set, or an error (E_RESOURCE when in doubt). */
	enum kolk_err (*create)(void *user, void **resource);
	/* Health ping of an idle one: KOLK_OK = alive. */
	enum kolk_err (*validate)(void *user, void *resource);
	/* Make it neutral at release, on the releasing thread: quick. KOLK_OK = clean. */
	enum kolk_err (*reset)(void *user, void *resource);
	void (*destroy)(void *user, void *resource);
};

KOLK_BEGIN

/* Queue bytes of an open or ping exchange; copied. Errors: E_MEMORY. */
KOLK_API enum kolk_err kolk_exchange_send(struct kolk_exchange *exchange, const void *data,
					  size_t size);

/* Bytes, nothing known about them: the caller says whether they are clean. Cannot ping. */
KOLK_API const struct kolk_driver *kolk_driver_raw(void);
/* Redis or Valkey: opens and pings with PING, expects +PONG. */
KOLK_API const struct kolk_driver *kolk_driver_redis_ping(void);
/* HTTP/1.1 with keep-alive: no opening exchange, no ping; the idle watch is the health check. */
KOLK_API const struct kolk_driver *kolk_driver_http_get(void);

KOLK_END

#endif
