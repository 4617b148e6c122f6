/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/http.h - requests over pooled connections: HTTP/1.1 (RFC 9112) and HTTP/2 (RFC 9113).
 *
 * A pool whose driver is kolk_driver_http() keeps connections; a struct kolk_http, one per loop,
 * makes requests on them: it acquires, sends, hears the answer, retries where that is safe, and
 * gives the connection back. Which protocol is spoken is the connection's matter; the caller's
 * code is the same.
 *
 * It does not follow redirects, keep cookies, or undo content codings: what comes is handed over.
 *
 * Threads:   kolk_http_open, kolk_http_close and kolk_http_call from any; the rest, and all
 *            handlers, on the thread of the loop. kolk_http_call is for plain threads and blocks.
 * Lifetime:  an exchange lives from kolk_http_start until its `end` handler has returned; the
 *            handle of its key must stay open as long. kolk_http_start_as needs no handle.
 * Handlers:  run from step, never inside kolk_http_start. They may call everything here, also start
 *            and cancel. What they are shown lives until they return.
 */
#ifndef KOLK_HTTP_H
#define KOLK_HTTP_H

#include <kolk/driver.h>
#include <kolk/key.h>
#include <kolk/lease.h>

struct kolk_http;
struct kolk_http_exchange;

/* What a pool's connections speak. A pool whose tls.alpn contradicts it, or offers anything but
 * "h2" and "http/1.1", is refused (E_OPTIONS). */
enum kolk_http_protocols {
	KOLK_HTTP_BY_ALPN = 0, /* h2 if TLS agreed on it (list "h2" and "http/1.1" in the pool's
	                        * tls.alpn), HTTP/1.1 otherwise and on plain connections */
	KOLK_HTTP_1_ONLY,      /* HTTP/1.1; a peer that agreed on h2 fails the dial */
	KOLK_HTTP_2_ONLY       /* HTTP/2 by prior knowledge (RFC 9113, section 3.3); over TLS it
	                        * must have been agreed on */
};

/* The health ping of an idle HTTP/1.1 connection. (HTTP/2 has its own, see below.) */
enum kolk_http_ping {
	KOLK_HTTP_PING_NONE = 0, /* the idle watch is the health check */
	KOLK_HTTP_PING_OPTIONS,  /* OPTIONS ping_target, any final answer */
	KOLK_HTTP_PING_HEAD      /* HEAD ping_target, any final answer below 500 */
};

/* How a pool's connections behave: driver_user of a pool with kolk_driver_http(), which copies it
 * (kolk_driver.options). NULL = all defaults. */
struct kolk_http_driver_options {
	uint32_t size;               /* sizeof; set by KOLK_INIT */
	uint32_t protocols;          /* enum kolk_http_protocols */

	/* Bounds of an answer; more is E_PROTOCOL, and the connection is closed. */
	uint32_t head_bytes_max;     /* status line and fields, of each head and of the trailers;
	                              * 0 = 65536; 256 .. 1 MiB */
	uint32_t fields_max;         /* per head and per trailers; 0 = 128; 1 .. 1024 */
	uint32_t informational_max;  /* 1xx answers before the final one; 0 = 16; KOLK_NONE */

	uint32_t ping;               /* enum kolk_http_ping */
	const char *ping_target;     /* NULL = "*" for OPTIONS, "/" for HEAD */
	const char *ping_authority;  /* its Host; NULL = "localhost" */

	uint64_t drain_bytes_max;    /* HTTP/1.1: what is left of an answer that is not wanted is
	                              * read away, and the connection kept, if it is announced
	                              * as no more than this; 0 = 65536; KOLK_AT_ONCE = never:
	                              * close. What is chunked, and the rest, is bounded by the
	                              * pool's mend_bytes_max and mend_timeout_ns */
	uint64_t continue_timeout_ns; /* a request with expect_continue sends its body after so long
	                              * without an answer; 0 = 1 s */
	uint32_t keep_alive_ignored; /* 1 = do not heed what the peer says in Keep-Alive */

	/* HTTP/2. */
	uint32_t streams_max;        /* at once on a connection; what the peer allows may be less;
	                              * 0 = 100; 1 .. 65536 */
	uint32_t stream_window;      /* bytes a stream may have on its way to us; 0 = 1 MiB;
	                              * 65535 .. 2^31 - 1 */
	uint32_t connection_window;  /* all streams together; given back on receipt, whether callers
	                              * pause or not; 0 = 16 MiB; 65535 .. 2^31 - 1 */
	uint32_t requests_max;       /* streams in the life of a connection; 0 = 1 000 000 */
	uint32_t resets_max;         /* RST_STREAM of ours per second, for cancelled requests,
	                              * and 25 times as many at once: peers count them and end the
	                              * connection (CVE-2023-44487). What is cancelled beyond that
	                              * is read away for a second, and counts as a stream
	                              * meanwhile; 0 = 20; 1 .. 1 000 000 */
	uint32_t frames_max;         /* SETTINGS, PING, empty DATA and other frames that carry
	                              * nothing, per second, beyond one for each of our requests
	                              * and two for each of our DATA, and beyond WINDOW_UPDATEs
	                              * for what we sent; more closes the connection (E_FLOOD);
	                              * 0 = 1000; 1 .. 1 000 000 */
	uint64_t ping_interval_ns;   /* PING after so long without a byte from the peer, while
	                              * streams are open; after three PINGs that only their answers
	                              * followed, 60 times as long; 0 = 5 s; at most 24 h;
	                              * KOLK_FOREVER */
	uint64_t ping_timeout_ns;    /* not a byte for so long after it: the connection is dead;
	                              * 0 = 3 s; at most 24 h */
	const char *base_path;       /* in front of the target of each request that begins with '/':
	                              * "/api/v2"; NULL = nothing. It begins with '/', does not
	                              * end with one, and has neither '?' nor '#'. Answers are not
	                              * changed: a Location says what the server said */
};                                   /* since 0.1 */

/* A header field, or one of the trailers. In answers names are lower-case, values have no outer
 * blanks, and both are checked: no CR, LF or NUL. In requests they are checked likewise. */
struct kolk_http_field {
	const char *name;
	const char *value;
};

/* A body of a length that is not known beforehand. */
#define KOLK_HTTP_CHUNKED UINT64_MAX

/* Give the next bytes of a request's body: at most capacity to buffer, *size says how many. KOLK_OK
 * with 0 bytes = that was all; KOLK_PENDING = nothing at the moment, kolk_http_more will be called;
 * an error ends the exchange with it. Its rules:
 * - It runs from step, when the connection can take more: not before there is a connection, never
 *   after `end`, and no more after an answer that ends the sending (a status of 300 or more).
 * - capacity is at least 1, at most 16 KiB or what is left of pull_size. With a pull_size, 0 bytes
 *   are E_OPTIONS, and it is not called again when all has been given. With KOLK_HTTP_CHUNKED it is
 *   called until it gives 0 bytes; then the trailers are read.
 * - After KOLK_PENDING it is not called until kolk_http_more. That time counts as idle: a longer
 *   pause than idle_timeout_ns ends the exchange with E_TIMEOUT.
 * - From its first call on the request is not sent again, whatever it gave.
 * - Of this header it may call kolk_http_cancel alone; what it returns then is dropped. */
typedef enum kolk_err kolk_http_pull_fn(void *user, void *buffer, size_t capacity, size_t *size);

/* One request. Copied by kolk_http_start, except body, trailers and what they point to: these
 * are borrowed until `end`. */
struct kolk_http_request {
	uint32_t size;               /* sizeof; set by KOLK_INIT */
	uint32_t field_count;
	const char *method;          /* NULL = "GET"; a token */
	const char *target;          /* NULL = "/"; "/path?query", or "*" with OPTIONS; for CONNECT
	                              * "host:port". Visible ASCII */
	const char *authority;       /* Host, or :authority; NULL = the pool's address */
	const char *scheme;          /* HTTP/2's :scheme; NULL = "https" over TLS, else "http" */
	/* Neither Host, Content-Length, Transfer-Encoding, Connection, Keep-Alive,
	 * Proxy-Connection, Upgrade, TE, Trailer, Expect nor HTTP2-Settings, which are this
	 * library's: E_OPTIONS. */
	const struct kolk_http_field *fields;

	/* The body: in memory, or pulled, or none. */
	const void *body;
	size_t body_size;
	kolk_http_pull_fn *pull;     /* excludes body; user is that of the handlers */
	uint64_t pull_size;          /* how much will be pulled, exactly; or KOLK_HTTP_CHUNKED */
	/* Sent after a body that is pulled and KOLK_HTTP_CHUNKED; read when it has ended: a name
	 * that is NULL ends them early, for a caller that knows no more than how many there can be. */
	const struct kolk_http_field *trailers;
	uint32_t trailer_count;

	uint32_t expect_continue;    /* 1 = let the peer refuse before the body is sent (RFC 9110,
	                              * section 10.1.1) */
	const char *upgrade;         /* ask for another protocol, as "websocket" (RFC 9110, section
	                              * 7.8); HTTP/1.1 only; see `upgraded` */
	/* 1 = it does no harm when it is done twice: it may be sent once more, on another
	 * connection, if one that was used before, or was made ahead and lay idle, failed without a
	 * byte of an answer. Without this a request is repeated only when the peer cannot have
	 * seen it. */
	uint32_t replayable;
	uint32_t trailers_accepted;  /* 1 = say "TE: trailers"; not with upgrade */
	uint64_t deadline_ns;        /* of all of it, the acquire too; absolute; 0 = the pool's
	                              * request_timeout_ns from now;
	                              * KOLK_FOREVER */
	uint64_t idle_timeout_ns;    /* the longest pause in which nothing comes, or a part of at
	                              * most 256 KiB of the request does not get out; 0 = the
	                              * pool's socket_timeout_ns;
	                              * KOLK_FOREVER */
	struct kolk_failure *failure; /* NULL, or filled when the start fails with E_OPTIONS: `field`
	                              * is the member that is wrong; borrowed for the call */
	/* 1 = a cancel, or the end of its time, closes an HTTP/1.1 connection that it is on, at once:
	 * the peer sees that its answer is not wanted. 0 = the rest of the answer is read away where
	 * that keeps the connection (drain_bytes_max), up to the pool's mend_timeout_ns. HTTP/2
	 * resets the stream, whatever this says. */
	uint32_t cancel_closes;
	/* So many of the first fields are known to be good, and not checked: lower-case, no mark
	 * (kolk_http_field_marks), of HTTP/1 heads that this library showed, or made of their values. */
	uint32_t fields_checked;
};                                   /* since 0.1 */

/* The head of an answer, final or informational. */
struct kolk_http_head {
	uint32_t status;             /* 100 .. 599 */
	uint32_t version;            /* 10, 11 or 20: HTTP/1.0, HTTP/1.1, HTTP/2 */
	uint32_t field_count;
	uint32_t reused;             /* 1 = the connection had been used before */
	const struct kolk_http_field *fields;
	uint64_t body_size;          /* as announced; KOLK_HTTP_CHUNKED = not known; 0 also where the
	                              * head is all of the answer (HTTP/2: it ends the stream) */
};

/* What an exchange tells. All may be NULL but `end`. user is kolk_http_start's, which copies it. */
struct kolk_http_handler {
	uint32_t size;               /* sizeof; set by KOLK_INIT */
	uint32_t reserved;           /* zero */
	/* A 1xx answer (not 101): others follow. */
	void (*informational)(void *user, struct kolk_http_exchange *exchange,
			      const struct kolk_http_head *head);
	/* The final answer's head, once. */
	void (*head)(void *user, struct kolk_http_exchange *exchange,
		     const struct kolk_http_head *head);
	/* A piece of its body, size >= 1. */
	void (*body)(void *user, struct kolk_http_exchange *exchange, const void *data,
		     size_t size);
	/* 101 to a request with upgrade, or 2xx to CONNECT (on HTTP/1.1), after `head`: the lease
	 * is the callee's now, whose kolk_release closes it. data is what came behind the head.
	 * `end` follows with KOLK_OK. NULL = such a request is refused by kolk_http_start. */
	void (*upgraded)(void *user, struct kolk_http_exchange *exchange,
			 const struct kolk_lease *lease, const void *data, size_t size);
	/* The end, exactly once, unless kolk_http_start refused. KOLK_OK = the answer is complete,
	 * whatever its status. E_TIMEOUT, E_CANCELLED, E_PROTOCOL, E_FLOOD, E_CLOSED and E_RESET
	 * (the peer may have acted on the request, or not), E_TLS_TRUNCATED, E_MEMORY, E_UNSUPPORTED (the
	 * pool's driver is another), those of pull, and those of kolk_acquire. After an error
	 * what has come is not whole. */
	void (*end)(void *user, struct kolk_http_exchange *exchange, enum kolk_err err,
		    const struct kolk_http_field *trailers, size_t trailer_count);
};                                   /* since 0.1 */

struct kolk_http_options {
	uint32_t size;               /* sizeof; set by KOLK_INIT */
	uint32_t exchanges_max;      /* at once, those that wait for a connection counted;
	                              * 0 = 100 000 */
	uint64_t response_bytes_max; /* body of an answer to kolk_http_call; more is E_LIMIT;
	                              * 0 = 16 MiB */
};                                   /* since 0.1 */

/* A whole answer, in memory. */
struct kolk_http_response {
	uint32_t size;               /* sizeof; set by KOLK_INIT */
	uint32_t status;             /* 0 = none came */
	uint32_t version;            /* as in struct kolk_http_head */
	uint32_t field_count;
	uint32_t trailer_count;
	uint32_t retried;            /* 1 = it was sent once more */
	const struct kolk_http_field *fields;
	const struct kolk_http_field *trailers;
	const void *body;            /* a NUL follows it; NULL = empty */
	size_t body_size;
	void *memory;                /* what kolk_http_response_free frees */
};                                   /* since 0.1 */

KOLK_BEGIN

/* The driver of a pool of HTTP connections; driver_user: struct kolk_http_driver_options. */
KOLK_API const struct kolk_driver *kolk_driver_http(void);

/* Make a client of one loop. options NULL = defaults. Until it is closed it keeps the memory of up
 * to 64 exchanges that have ended, for the next ones: 1.5 MiB of HTTP/1.1. Errors: E_OPTIONS,
 * E_MEMORY. */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_http_open(struct kolk_loop *loop,
						      const struct kolk_http_options *options,
						      struct kolk_http **http);

/* End it: exchanges that are under way end with E_CANCELLED, connections that it holds go back,
 * then it is freed and closed runs on the loop. closed NULL = wait for that; not on the loop's
 * thread then (E_THREAD, nothing happens). Once, and before the engine is drained; nothing is
 * called on it afterwards. A send that is stuck is waited for, up to 30 s. */
typedef void kolk_http_closed_fn(void *user);
KOLK_API enum kolk_err kolk_http_close(struct kolk_http *http, kolk_http_closed_fn *closed,
				       void *user);

/* Make a request. KOLK_PENDING: under way, *exchange (may be NULL) is set, and end will run. Any
 * other value: refused, no handler runs: E_OPTIONS (the request breaks a rule above), E_THREAD,
 * E_MEMORY, E_LIMIT (exchanges_max), E_DRAINING (the client or the pool is being closed). */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_http_start(struct kolk_http *http, struct kolk_key *key,
		const struct kolk_http_request *request, const struct kolk_http_handler *handler,
		void *user, struct kolk_http_exchange **exchange);

/* The same for callers that keep no handle: the key is found by identity, as by kolk_acquire_as,
 * and held for as long as the exchange lives. An identity that was used on this client within the
 * last 0.1 s is found without a lock and without an allocation (up to 256 of them). idle_min is not
 * kept for the key: its idle connections age out. kolk_pool_close waits for the exchanges, and up
 * to 0.2 s more. who is not kept; its `replaces` and `failure` are as for kolk_key_open. Errors:
 * those of kolk_http_start and of kolk_key_open. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_http_start_as(struct kolk_http *http, struct kolk_pool *pool,
		   const struct kolk_key_options *who, const struct kolk_http_request *request,
		   const struct kolk_http_handler *handler, void *user,
		   struct kolk_http_exchange **exchange);

/* End it early: end runs from step, with E_CANCELLED, no other handler before it. Nothing happens
 * when it has ended for itself already and end is about to run. */
KOLK_API void kolk_http_cancel(struct kolk_http_exchange *exchange);

/* Show no more of the body until kolk_http_resume: the peer is slowed down. At most one more
 * piece comes if this is called outside the handlers. Time that is paused is not idle. */
KOLK_API void kolk_http_pause(struct kolk_http_exchange *exchange);
KOLK_API void kolk_http_resume(struct kolk_http_exchange *exchange);

/* pull said KOLK_PENDING before and has something now. Not from within pull. */
KOLK_API void kolk_http_more(struct kolk_http_exchange *exchange);

/* Whether it was sent a second time. */
KOLK_API bool kolk_http_retried(const struct kolk_http_exchange *exchange);

/* Whether it was sent and will not be sent again: what the request borrowed, its body, may be freed
 * before its end. Only of HTTP/1.1, when the answer is a stream of events, and there is neither a
 * deadline nor an idle time-out. */
KOLK_API bool kolk_http_sent(const struct kolk_http_exchange *exchange);

/* Make a request and wait for the whole answer: from a plain thread, over a client whose loop is
 * run by another. Its pull runs on the loop. response is filled also on an error, as far as it
 * came, and is to be freed; its size must be set. Errors: those of kolk_http_start and of end,
 * E_LIMIT, E_THREAD (on a loop). */
KOLK_API KOLK_MUST_CHECK enum kolk_err kolk_http_call(struct kolk_http *http, struct kolk_key *key,
						      const struct kolk_http_request *request,
						      void *pull_user,
						      struct kolk_http_response *response);
/* Free what the answer holds; harmless on one that is empty or freed. */
KOLK_API void kolk_http_response_free(struct kolk_http_response *response);

/* What a proxy answers its client when its request upstream ended with err, before a byte of the
 * answer was passed on: 499 (the client is gone: nothing is sent), 500, 501, 502, 503 or 504; 0 of
 * KOLK_OK and KOLK_PENDING; 500 of an unknown code. docs/drivers/http.md has the table. Never 429,
 * which is a proxy's own limit. kolk_key_wait_ns says what Retry-After of a 503 may be. Any
 * thread. */
KOLK_API uint32_t kolk_http_status_of(enum kolk_err err);

/* What failed, in one word: "acquire" (there was no connection), "dial", "tls", "request" (not a
 * byte of an answer came) or "response"; "" of KOLK_OK and KOLK_PENDING. Static text. exchange: the
 * one that `end` shows, from within it; NULL = kolk_http_start refused. */
KOLK_API const char *kolk_http_phase_of(enum kolk_err err,
					const struct kolk_http_exchange *exchange);

/* When a connection got it, on the clock of kolk_loop_now; of several attempts, the last one. 0 =
 * none has it. What lies before is the wait for a connection, the dial of a new one included
 * (kolk_http_head.reused). From within its handlers. */
KOLK_API uint64_t kolk_http_carried_ns(const struct kolk_http_exchange *exchange);

/* Find a field by its lower-case name: the first one's value, or NULL. */
KOLK_API const char *kolk_http_field(const struct kolk_http_field *fields, size_t count,
				     const char *name);

KOLK_END

#endif
