/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/http_server.h - the server's side of HTTP/1.1 (RFC 9112) and HTTP/2 (RFC 9113): requests of
 * clients to handlers.
 *
 * A server has listeners on all loops of its engine (kolk/listen.h). A request is an exchange: its
 * handlers run on the loop of its connection, and the callee answers there, at once or later.
 * Requests are read strictly: what can be read in two ways is refused with 400, and the connection
 * closed (RFC 9112, section 11). Requests that were sent ahead are answered in order: the next one
 * is read when the answer before it is sent, and the client is slowed down meanwhile.
 *
 * On a loop that is not active any more (kolk_engine_loops_set) the next answer of HTTP/1 says
 * "Connection: close", and the next request of HTTP/2 is followed by a GOAWAY that asks for no more
 * streams. What the client sends before it knows is served, and idle connections have their
 * time-out, so that no request is lost.
 *
 * It does not route, compress or cache: a request is handed over as it came.
 *
 * Threads:   kolk_http_server_open, _listen and _close from any, one call at a time (where they
 *            block, not on a loop); the rest, and all handlers, on the loop of the exchange.
 * Lifetime:  an exchange lives from `request` until `end` has returned. A server is closed before
 *            its engine is destroyed.
 * Handlers:  run from step, never inside a call of this header. They may call everything here that
 *            takes an exchange; `end` none. What they are shown lives until they return, except for
 *            a request's head, which lives as long as its exchange.
 */
#ifndef KOLK_HTTP_SERVER_H
#define KOLK_HTTP_SERVER_H

#include <kolk/http.h>
#include <kolk/listen.h>
#include <kolk/options.h>

struct kolk_http_server;
struct kolk_http_server_exchange;

struct kolk_http_server_options {
	uint32_t size;               /* sizeof; set by KOLK_INIT */

	/* Bounds of a request. One that exceeds them is answered by the library, and the connection
	 * closed. */
	uint32_t head_bytes_max;     /* request line and fields; trailers likewise; more is 431; 0 =
	                              * 32768; 256 .. 1 MiB */
	uint32_t target_bytes_max;   /* of the request line; more is 414; 0 = 8192; 64 .. 1 MiB */
	uint32_t fields_max;         /* per head and per trailers; more is 431; 0 = 128; 1 .. 1024 */
	uint32_t requests_max;       /* on one connection, which is closed after that; 0 = 1 000 000;
	                              * 1 .. 1 000 000 000 */
	uint32_t half_close;         /* 1 = a client that ends its direction (shutdown(2)) gets its
	                              * answer; 0 = it went, as most that do so: E_CLOSED */
	uint64_t body_bytes_max;     /* more is 413; 0 = 16 MiB; KOLK_FOREVER */
	uint64_t drain_bytes_max;    /* what the callee left of a body is read away, and the
	                              * connection kept, if it is no more than this; 0 = 65536;
	                              * KOLK_AT_ONCE = never: close */

	/* Slow clients. */
	uint64_t header_timeout_ns;  /* from a head's first byte, or from the beginning of the
	                              * connection, until the head is whole; then 408; 0 = 10 s */
	uint64_t body_timeout_ns;    /* the longest pause in a body that is wanted; then 408;
	                              * HTTP/2: also of a client whose window is full, in an answer;
	                              * then the stream is reset; one to two times as long;
	                              * 0 = 30 s; KOLK_FOREVER */
	uint64_t idle_timeout_ns;    /* between two requests; then it is closed; 0 = 60 s;
	                              * KOLK_FOREVER */

	/* HTTP/2: if TLS agreed on "h2" (list it in the listener's tls.alpn), and on plain
	 * connections by its preface (RFC 9113, section 3.3). */
	uint32_t protocols;          /* enum kolk_http_protocols; HTTP_2_ONLY is E_OPTIONS */
	uint32_t streams_max;        /* at once on a connection; 0 = 100; 1 .. 65536 */
	uint32_t stream_window;      /* bytes of a body on their way to us; what a paused exchange
	                              * may hold in memory; 0 = 64 KiB; 65535 .. 2^31 - 1 */
	uint32_t connection_window;  /* all streams together; 0 = 1 MiB; 65535 .. 2^31 - 1 */
	uint32_t resets_max;         /* RST_STREAM of a client per second, or of ours to one that
	                              * breaks a rule, and 25 times as many at once (CVE-2023-44487,
	                              * CVE-2025-8671); more closes the connection; 0 = 20;
	                              * 1 .. 1 000 000 */
	uint32_t frames_max;         /* SETTINGS, PING, empty DATA and other frames that carry
	                              * nothing, per second, beyond two for each frame of an answer;
	                              * more closes the connection; 0 = 1000; 1 .. 1 000 000 */
};                                   /* since 0.1 */

/* The head of a request. */
struct kolk_http_request_head {
	uint32_t size;               /* of this struct */
	uint32_t version;            /* 10, 11 or 20: HTTP/1.0, HTTP/1.1, HTTP/2 */
	const char *method;          /* a token, never CONNECT: that is answered with 501 */
	/* Path and query as they came, no byte of them decoded: "/path?query"; or "*". In the
	 * absolute form of a target ("http://host/path") it is what follows the host, "/" if that
	 * is nothing. */
	const char *target;
	/* "host", "host:port": of Host, with which an absolute form must agree. "" = HTTP/1.0
	 * without Host. */
	const char *authority;
	/* "http" or "https": the client's word, of an absolute form or of HTTP/2; without it, whether
	 * the connection has TLS, of which kolk_stream_peer.tls_version is the proof. */
	const char *scheme;
	const struct kolk_http_field *fields; /* all as they came, names in lower case */
	uint32_t field_count;
	uint32_t expect_continue;    /* 1 = the client waits for 100 (Continue) with its body */
	uint64_t body_size;          /* as announced; 0 = none; KOLK_HTTP_CHUNKED = not known */
	/* What the client asks to switch to, as "websocket": Upgrade, if Connection names it; NULL =
	 * nothing, and when it asks for h2c. */
	const char *upgrade;
	uint32_t trailers_accepted;  /* 1 = it said "TE: trailers" */
	uint32_t reserved;
};

/* What an exchange reports, on its loop. All may be NULL but `request` and `end`. */
struct kolk_http_server_handler {
	uint32_t size;               /* sizeof; set by KOLK_INIT */
	uint32_t reserved;           /* zero */
	/* A request's head is whole. Return what the other handlers, and pull, are called with. The
	 * callee may answer here or at any time until `end`. Its body comes when this has returned,
	 * unless the exchange is paused or answered: only then 100 (Continue) is sent to a client
	 * that waits for it. (Also before an answer below 300 whose body is pulled: it may be made
	 * of the request's.) */
	void *(*request)(void *server_user, struct kolk_http_server_exchange *exchange,
			 const struct kolk_http_request_head *head);
	/* A piece of its body, size >= 1; after 101: bytes of the other protocol. The last byte of a
	 * body whose size was announced comes when nothing can follow it any more (HTTP/2: with
	 * END_STREAM), so that what passes it on passes on no request that is malformed. */
	void (*body)(void *user, struct kolk_http_server_exchange *exchange, const void *data,
		     size_t size);
	/* The body is whole (also one of size 0); not if it breaks off. After 101: the client will
	 * send no more. */
	void (*body_end)(void *user, struct kolk_http_server_exchange *exchange,
			 const struct kolk_http_field *trailers, size_t trailer_count);
	/* The end, exactly once. KOLK_OK = the whole answer was sent (HTTP/2: up to 80 KiB of it
	 * may still wait, in the connection's own memory, for the client to read). E_CLOSED,
	 * E_RESET = the client went: nothing that is still done for it is of use. E_TIMEOUT (a
	 * body, see options; or it took nothing of the answer), E_PROTOCOL (a body that breaks a
	 * rule), E_LIMIT (body_bytes_max), E_DRAINING (the server is closed, and its deadline
	 * passed), E_CANCELLED, E_MEMORY, E_OPTIONS (pull gave another size than it promised, or
	 * trailers that may not be sent), and those of pull and of kolk_stream_handler.end. */
	void (*end)(void *user, struct kolk_http_server_exchange *exchange, enum kolk_err err);
	/* The library answered for itself: a request that was no exchange, for an access log. */
	void (*refused)(void *server_user, const struct kolk_stream *stream, uint32_t status);
};                                   /* since 0.1 */

/* An answer. Its fields are copied by kolk_http_server_answer; body, trailers and what they point
 * to are borrowed until `end`. */
struct kolk_http_answer {
	uint32_t size;               /* sizeof; set by KOLK_INIT */
	uint32_t status;             /* 200 .. 599; or 101, see upgrade */
	/* As those of struct kolk_http_request: none that is the library's (see
	 * kolk_http_field_marks). Date is added where it is missing. */
	const struct kolk_http_field *fields;
	uint32_t field_count;
	uint32_t close;              /* 1 = the connection ends after it (HTTP/2: after all that are
	                              * under way; it takes no new request) */

	/* The body: in memory, or pulled, or none. To HEAD, and with 204, 205 and 304, no byte of
	 * it is sent or pulled; to HEAD and with 304 its size is announced, if it is not 0, which
	 * pull_size without pull may say, too. */
	const void *body;
	size_t body_size;
	kolk_http_pull_fn *pull;     /* excludes body; user is that of the exchange's handlers */
	uint64_t pull_size;          /* how much will be pulled, exactly; or KOLK_HTTP_CHUNKED */
	/* Sent after a body that is pulled and KOLK_HTTP_CHUNKED (not to HTTP/1.0); read when it
	 * has ended, as those of struct kolk_http_request. */
	const struct kolk_http_field *trailers;
	uint32_t trailer_count;
	uint32_t fields_checked;     /* as that of struct kolk_http_request */
	/* With status 101: the protocol, as "websocket"; the request asked for an upgrade
	 * (head->upgrade), and its body has ended. What is pulled (KOLK_HTTP_CHUNKED), and what
	 * body shows, are the bytes of that protocol from here on, so both directions have their
	 * back-pressure. body_end = the client sends no more; the end of pull closes the
	 * connection. */
	const char *upgrade;
};                                   /* since 0.1 */

/* Numbers of a server. When nothing runs: requests = answered + gone + timed_out + failed. */
struct kolk_http_server_stats {
	uint32_t size;               /* sizeof; set by KOLK_INIT */
	uint32_t connections;        /* open now */
	uint32_t exchanges;          /* now: `request` was called, and `end` was not */
	uint32_t reserved;
	uint64_t requests;           /* exchanges that began */
	uint64_t requests_http2;     /* of them */
	uint64_t answered;           /* ended with KOLK_OK */
	uint64_t gone;               /* with E_CLOSED or E_RESET: the client went */
	uint64_t timed_out, failed;  /* with E_TIMEOUT; with another error */
	uint64_t refused;            /* calls of `refused`, also where that is NULL */
	uint64_t status[6];          /* answers by the first digit of their status, those of the
	                              * library too; [0] = 0; 100 (Continue) is not counted */
	uint64_t bytes_received, bytes_sent; /* of TLS, those inside its records */
};                                   /* since 0.1 */

/* What a proxy must not pass on. */
enum kolk_http_field_mark {
	/* Of this connection alone: Connection, and what it names; Keep-Alive, Proxy-Connection,
	 * TE, Transfer-Encoding, Upgrade, HTTP2-Settings (RFC 9110, section 7.6.1). */
	KOLK_HTTP_MARK_HOP_BY_HOP = 1,
	/* Written anew from other members of a request or an answer: Host, Content-Length, Expect,
	 * Trailer. */
	KOLK_HTTP_MARK_OWN = 2
};

KOLK_BEGIN

/* The rows of struct kolk_http_server_options (kolk/options.h). */
KOLK_API const struct kolk_option_table *kolk_http_server_option_table(void);

/* Make a server, with no listener yet. options NULL = defaults; handler is copied; server_user is
 * its first argument. *server is set only on KOLK_OK. Errors: E_OPTIONS, E_MEMORY. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_http_server_open(struct kolk_engine *engine, const struct kolk_http_server_options *options,
		      const struct kolk_http_server_handler *handler, void *server_user,
		      struct kolk_http_server **server);

/* Listen; a server may have several listeners. handler and user of options are the server's: NULL.
 * An ALPN of options may offer "h2" and "http/1.1". Blocks as kolk_listen, and has its errors.
 * *listener (may be NULL) is set on KOLK_OK, for statistics, certificates and kolk_listener_stop;
 * it is closed by kolk_http_server_close. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_http_server_listen(struct kolk_http_server *server,
			const struct kolk_listener_options *options,
			struct kolk_listener **listener);

/* Its numbers, added up over its loops. Any thread, until kolk_http_server_close is called. Errors:
 * E_OPTIONS (stats->size), and nothing is written. */
KOLK_API enum kolk_err kolk_http_server_stats(const struct kolk_http_server *server,
					      struct kolk_http_server_stats *stats);

/* End gracefully: listeners stop, connections between two requests are closed, answers under way
 * are finished and say "Connection: close" (HTTP/2: GOAWAY). At the deadline (absolute) what is
 * left ends with E_DRAINING. Then the server is freed, and closed runs on a loop. closed NULL =
 * block until then: E_THREAD on a loop, and nothing happens. E_FORKED: nothing happens. Once; no
 * kolk_http_server_listen after it. */
typedef void kolk_http_server_closed_fn(void *user);
KOLK_API enum kolk_err kolk_http_server_close(struct kolk_http_server *server,
					      uint64_t deadline_ns,
					      kolk_http_server_closed_fn *closed, void *user);

/* ---- exchanges, on their loop */

/* Answer, once. KOLK_OK: it will be sent, from step. E_OPTIONS (the answer breaks a rule above),
 * E_IN_USE (there is an answer already), E_MEMORY: nothing happens, and another answer may be
 * given. Of a client that went already: KOLK_OK. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_http_server_answer(struct kolk_http_server_exchange *exchange,
			const struct kolk_http_answer *answer);

/* Send an informational answer before the answer, as 103 (Early Hints): status 102 .. 199. HTTP/1.0
 * knows none: KOLK_OK, and it is not sent. Errors as kolk_http_server_answer. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_http_server_inform(struct kolk_http_server_exchange *exchange, uint32_t status,
			const struct kolk_http_field *fields, size_t field_count);

/* pull said KOLK_PENDING before and has something now. Not from within pull. */
KOLK_API void kolk_http_server_more(struct kolk_http_server_exchange *exchange);

/* Bytes of the body that pull would bring next are here now: true = they are copied to what is sent
 * next, and count as pulled, which saves pull and the copy that waits for it. False = there is no
 * room (what was written before is not sent yet, more than 32 KiB, HTTP/2), or they are none of the
 * body: nothing happens, and pull brings them. Not from within pull. */
KOLK_API KOLK_MUST_CHECK bool
kolk_http_server_write(struct kolk_http_server_exchange *exchange, const void *data, size_t size);

/* Show no more of the body until kolk_http_server_resume: the client is slowed down. Time that is
 * paused is not the client's. */
KOLK_API void kolk_http_server_pause(struct kolk_http_server_exchange *exchange);
KOLK_API void kolk_http_server_resume(struct kolk_http_server_exchange *exchange);

/* End it early: end runs from step, with E_CANCELLED and no other handler before it; the connection
 * (of HTTP/2: the stream) is reset, so that the client does not take half an answer for a whole
 * one. Nothing happens when it ends already. */
KOLK_API void kolk_http_server_cancel(struct kolk_http_server_exchange *exchange);

/* Its answer will last long and be silent for most of the time, as a stream of events: memory of
 * the request is given back. From here on its head has no fields, and no upgrade. HTTP/2, and while
 * the request is not whole: nothing happens. */
KOLK_API void kolk_http_server_trim(struct kolk_http_server_exchange *exchange);

/* Who asks (kolk_stream_peer, kolk_stream_loop, kolk_stream_listener). As long as the exchange. */
KOLK_API const struct kolk_stream *
kolk_http_server_stream(const struct kolk_http_server_exchange *exchange);

/* Mark count fields of a request or an answer: marks[i] = enum kolk_http_field_mark | ..., 0 = end
 * to end: may be passed on as it is. Any thread. */
KOLK_API void kolk_http_field_marks(const struct kolk_http_field *fields, size_t count,
				    uint8_t *marks);

KOLK_END

#endif
