/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/listen.h - listening sockets, and streams: the connections that they accept.
 *
 * A listener accepts on each active loop of its engine (kolk_engine_loops_set). For TCP each loop
 * has a socket of its own, between which the kernel spreads new connections (SO_REUSEPORT,
 * socket(7)); a Unix socket, or a socket that was passed in, is one for all loops. A stream belongs
 * to the loop that accepted it: its handlers run there, from step, and only that loop's thread may
 * call its functions. The open handler runs after the PROXY header and the TLS handshake.
 *
 * A listener that has as many streams as it may have stops accepting and leaves further connections
 * in the kernel's queue (except one that each loop holds back). It does the same without free
 * descriptors or memory, and tries again after 10 ms, then less often, down to once a second, and
 * whenever one of its streams ends.
 *
 * Threads:   kolk_listen and functions of listeners: any. Functions of streams: their loop's.
 * Loops:     an embedder's loops (KOLK_LOOPS_EMBEDDER) accept when they are stepped; until then
 *            connections wait in the kernel's queue. Every loop must be stepped, since the kernel
 *            gives each its share.
 * Lifetime:  a listener until kolk_listener_close has called back or returned KOLK_OK; a stream
 *            until its end handler has returned. kolk_engine_destroy closes what is still open:
 *            streams end with E_DRAINING, on their loops' threads or, where a loop can no longer be
 *            stepped, on the thread that calls it. Listeners must not be used afterwards.
 * Fork:      in a child every call answers KOLK_E_FORKED, or does nothing.
 */
#ifndef KOLK_LISTEN_H
#define KOLK_LISTEN_H

#include <kolk/io.h>
#include <kolk/loop.h>

struct kolk_listener;
struct kolk_stream;

/* Whether clients present certificates. */
enum kolk_client_auth {
	KOLK_CLIENT_AUTH_NONE = 0, /* they are not asked for one */
	KOLK_CLIENT_AUTH_OPTIONAL, /* one that is presented must be valid */
	KOLK_CLIENT_AUTH_REQUIRED  /* a client without one is refused */
};

/* One certificate with its key. It is used for the DNS names in its subjectAltName. The first of a
 * list is also used for names that no other has, and for clients that send no name. */
struct kolk_certificate {
	const char *certificate_file; /* PEM: the certificate, then its chain */
	const char *key_file;         /* PEM: its private key */
};

/* How a listener speaks TLS. All text is copied; all files are read during the call. */
struct kolk_listener_tls {
	uint32_t size;               /* sizeof; set by KOLK_INIT */
	uint32_t version_min;        /* 0 = TLS 1.2; 0x0303, 0x0304, as in kolk_tls_options */
	uint32_t profile;            /* enum kolk_tls_profile */
	uint32_t client_auth;        /* enum kolk_client_auth */
	const struct kolk_certificate *certificates;
	uint32_t certificate_count;  /* 1 .. 64 */
	uint32_t tickets_off;        /* 1 = clients cannot resume sessions */
	const char *ca_file;         /* PEM: the CAs of clients' certificates; this or ca_directory
	                              * is required unless client_auth is NONE */
	const char *ca_directory;
	const char *crl_file;        /* revoked certificates of clients, PEM; NULL = none */
	const char *const *alpn;     /* NULL-terminated, in order of preference, at most 8; NULL =
	                              * none. Clients that offer none of them are refused */
	uint64_t ticket_lifetime_ns; /* the key that encrypts tickets is replaced this often, and
	                              * the old one still decrypts for as long again; 0 = 12 h; 1
	                              * min .. 7 d */
};                                   /* since 0.1 */

/* The callbacks of a listener's streams. They run on the stream's loop. */
struct kolk_stream_handler {
	uint32_t size;               /* sizeof; set by KOLK_INIT */
	uint32_t reserved;           /* zero */
	/* A stream was accepted. Return the user argument of its other handlers; NULL = refuse it:
	 * it is reset, and no other handler runs. */
	void *(*open)(void *listener_user, struct kolk_stream *stream);
	/* Bytes were received; they are valid until this returns. size 0, once: the peer will send
	 * no more (a FIN; for TLS, close_notify), but still receives what is sent. Not called while
	 * the stream is paused. Required, as is open. */
	void (*data)(void *user, struct kolk_stream *stream, const void *bytes, size_t size);
	/* The stream has ended: called exactly once if open did not return NULL, when no send is in
	 * flight: KOLK_OK after kolk_stream_reset, and after kolk_stream_close if all was sent;
	 * otherwise what ended it: E_RESET, E_TIMEOUT (the peer took nothing of a send), E_DRAINING
	 * (the listener was closed, and its deadline passed), E_TLS (an alert, or bytes that are
	 * not TLS), E_TLS_TRUNCATED (a FIN without close_notify), E_UNREACHABLE, E_IO, E_MEMORY.
	 * The stream is freed when it returns; kolk_stream_peer and kolk_stream_bytes may be called
	 * until then. May be NULL. */
	void (*end)(void *user, struct kolk_stream *stream, enum kolk_err err);
};                                   /* since 0.1 */

struct kolk_listener_options {
	uint32_t size;               /* sizeof; set by KOLK_INIT */
	uint32_t streams_max;        /* at once, including handshakes; 0 = 10 000; KOLK_UNLIMITED */
	/* "0.0.0.0:8080", "[::]:8443" (IPv4 as well, if net.ipv6.bindv6only is 0), port 0 = any
	 * free port, "unix:/path", "unix:@name"; a prefix "tls://" or "tcp://" as in pools. No host
	 * names. NULL = use socket. */
	const char *address;
	/* A listening socket that was passed to the process (sd_listen_fds(3)), instead of an
	 * address: it belongs to the listener from KOLK_OK on, and all loops accept from it;
	 * 0 = none. */
	int32_t socket;
	uint32_t backlog;            /* of each socket of address; 0 = 4096; at most
	                              * net.core.somaxconn */
	uint32_t unix_mode;          /* of the socket's file; 0 = 0660 */
	uint32_t proxy_protocol;     /* 1 = each stream begins with a PROXY header, version 2, of at
	                              * most 4 096 bytes; one without is reset. Only where no peer
	                              * but the proxy can connect */
	const char *unix_owner;      /* of the socket's file: "user" or "user:group", by name or
	                              * number; NULL = the process's */
	uint32_t address_streams_max; /* at once from one IPv4 address or IPv6 /64, as in the PROXY
	                              * header if there is one; further streams are reset; not for
	                              * Unix sockets; 0 = streams_max */
	uint32_t handshakes_max;     /* TLS handshakes that each loop has on worker threads at once;
	                              * others that have received something wait for a worker, first
	                              * come, first served; those whose peer is silent are not
	                              * counted; 0 = 64; KOLK_UNLIMITED */
	uint64_t handshake_timeout_ns; /* from accept until TLS and PROXY header are done; 0 =
	                              * 10 s; KOLK_FOREVER */
	uint64_t send_timeout_ns;    /* a peer that takes nothing of a send for this long is reset;
	                              * 0 = 30 s; KOLK_FOREVER. This time-out, the one before and
	                              * the one after may be late by an eighth */
	uint64_t linger_timeout_ns;  /* how long kolk_stream_close waits for the peer's end; 0 = 2
	                              * s; KOLK_AT_ONCE = not at all; KOLK_FOREVER */
	uint64_t keepalive_ns;       /* TCP keep-alive idle time, each socket's between half of it
	                              * and all of it, then nine probes; 0 = 60 s;
	                              * KOLK_FOREVER = off */
	const struct kolk_listener_tls *tls; /* NULL = plain; copied */
	const struct kolk_stream_handler *handler; /* required; copied */
	void *user;                  /* open's first argument */
	struct kolk_failure *failure; /* NULL, or filled when it fails; borrowed */
};                                   /* since 0.1 */

/* Who is at the other end. */
struct kolk_stream_peer {
	uint32_t size;               /* sizeof; set by KOLK_INIT */
	uint32_t port;               /* 0 = none */
	uint32_t local_port;
	uint32_t proxied;            /* 1 = the addresses are those of a PROXY header */
	char address[48];            /* "203.0.113.7", "2001:db8::1", "" = a Unix socket */
	char local_address[48];
	uint32_t tls_version;        /* 0x0303, 0x0304; 0 = plain */
	uint32_t pid, uid, gid;      /* of a Unix socket's peer (SO_PEERCRED, unix(7)) */
	/* What was negotiated in TLS; each NULL = none. They live as long as the stream. */
	const char *alpn, *server_name, *cipher_suite;
	/* The client's certificate, verified: DER; NULL = none. */
	const void *certificate;
	size_t certificate_size;
};                                   /* since 0.1 */

struct kolk_listener_stats {
	uint32_t size;               /* sizeof; set by KOLK_INIT */
	uint32_t streams;            /* open now, including those in handshakes */
	uint32_t handshakes;         /* in flight now */
	uint32_t paused;             /* loops that do not accept now, because of a limit or an
	                              * error */
	uint64_t accepted, refused_address, refused_open;
	uint64_t handshake_failed;   /* TLS: for any reason but the time-out */
	uint64_t handshake_timeout;
	uint64_t proxy_failed, accept_errors; /* EMFILE, ENFILE, ENOBUFS, ENOMEM */
	uint64_t bytes_received, bytes_sent;
};                                   /* since 0.1 */

KOLK_BEGIN

/* Listen. The calling thread opens the sockets, and they listen when this returns; it waits for no
 * loop. *listener is set only on KOLK_OK. Errors: E_OPTIONS (failure->field names it: "address"
 * also if this machine does not have it, or if the directory of a Unix socket does not exist),
 * E_IN_USE (the address is taken), E_FILES, E_IO, E_MEMORY, E_TLS (a file of tls, which
 * failure->field names), E_FORKED; with failure->os_error or tls_error. A file of a Unix socket
 * that no process listens at is replaced; the listener's own is removed when it ends. If a process
 * listens at it, the result is E_IN_USE. A file that is not a socket is never removed.
 */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_listen(struct kolk_engine *engine, const struct kolk_listener_options *options,
	    struct kolk_listener **listener);

/* Return where it listens, with the actual port: "127.0.0.1:41234", "unix:/path". Lives as long as
 * the listener. */
KOLK_API const char *kolk_listener_address(const struct kolk_listener *listener);

/* Use these certificates, trust anchors and tickets for new streams; streams that are open or in
 * their handshake keep theirs. Blocks while it reads the files. Errors, with nothing changed:
 * E_OPTIONS ("tls": it is NULL, or the listener is plain), E_TLS, E_MEMORY, E_FORKED. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_listener_tls_set(struct kolk_listener *listener, const struct kolk_listener_tls *tls,
		      struct kolk_failure *failure);

/* Stop accepting. Open streams go on, and a connection that a loop has accepted and held back
 * becomes a stream when another one ends. The loops stop soon after this returns. Connections in
 * the kernel's queue are served by other processes with the same socket, or refused. A second call
 * does nothing. */
KOLK_API void kolk_listener_stop(struct kolk_listener *listener);

/* Stop accepting and close: streams that are still open at the deadline (absolute; KOLK_FOREVER)
 * are reset with E_DRAINING. Then the listener is freed, and closed runs on a loop. closed
 * NULL = block until then, at most until a second after the deadline. Errors: E_THREAD (closed is
 * NULL, on a loop), E_FORKED; E_TIMEOUT (a loop is not stepped, or a handler or a TLS handshake's
 * step does not return): the listener still exists and goes on closing; call this again. */
typedef void kolk_listener_closed_fn(void *user);
KOLK_API enum kolk_err kolk_listener_close(struct kolk_listener *listener, uint64_t deadline_ns,
					   kolk_listener_closed_fn *closed, void *user);

/* Fill in its statistics, the sums over its loops. */
KOLK_API void kolk_listener_stats(const struct kolk_listener *listener,
				  struct kolk_listener_stats *stats);

/* ---- streams, on their loop */

/* Send all bytes. io and data stay the caller's and must stay valid until the callback, which runs
 * exactly once, from step, before end. KOLK_PENDING: the callback will run. It will not with
 * E_IN_USE (a send is in flight), E_CLOSED (the stream was closed, or has ended), E_MEMORY,
 * E_THREAD, E_FORKED. The callback's err is what ended the send, or E_CANCELLED if the stream ended
 * for another reason (a reset, the time-out, the end of the listener); its size is how many bytes
 * the kernel took or, with TLS, became records. kolk_io_cancel does not apply: reset the stream
 * instead. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_stream_send(struct kolk_stream *stream, struct kolk_io *io, const void *data, size_t size,
		 kolk_io_fn *callback, void *user);

/* Deliver no more bytes until kolk_stream_resume; this slows the peer down. What was received
 * already (at most 1 MiB) is kept and delivered first when the stream goes on: in one piece (with
 * TLS, a record at a time), and never from inside kolk_stream_resume. A paused stream does not
 * notice that its peer is gone. */
KOLK_API void kolk_stream_pause(struct kolk_stream *stream);
KOLK_API void kolk_stream_resume(struct kolk_stream *stream);

/* Close gracefully: finish the send in flight, then send close_notify and a FIN, and discard what
 * still comes, for linger_timeout_ns and at most 1 MiB, so the peer gets the last answer before it
 * learns of the end (RFC 9112, section 9.6). From now on no handler but end runs. A second call
 * does nothing. */
KOLK_API void kolk_stream_close(struct kolk_stream *stream);
/* Close at once with a TCP reset: the peer broke the rules, or must not take what it got for the
 * whole (a Unix socket is only closed). A send in flight ends with E_CANCELLED first. */
KOLK_API void kolk_stream_reset(struct kolk_stream *stream);

/* Describe the other end. */
KOLK_API void kolk_stream_peer(const struct kolk_stream *stream, struct kolk_stream_peer *peer);
KOLK_API struct kolk_loop *kolk_stream_loop(const struct kolk_stream *stream);
KOLK_API struct kolk_listener *kolk_stream_listener(const struct kolk_stream *stream);
/* Get the bytes received and sent so far; with TLS, those inside its records. */
KOLK_API void kolk_stream_bytes(const struct kolk_stream *stream, uint64_t *received,
				uint64_t *sent);

KOLK_END

#endif
