/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/listen.h - the listening side: sockets that accept, and the streams that they bring.
 *
 * A listener accepts on each active loop of its engine (kolk_engine_loops_set), with a TCP socket
 * for each loop where the kernel shares the address out (SO_REUSEPORT, socket(7)); Unix sockets,
 * and those that were given, are one for all loops. A stream belongs to the loop that accepted it:
 * its handlers run there, from step, and every call about it is for that loop's thread. A PROXY
 * header and a TLS handshake come before a stream is shown.
 *
 * A listener that has as many streams as it may have stops to accept and leaves the others in the
 * kernel's queue (but for one that each loop holds back); out of descriptors or memory likewise: it
 * tries again after 10 ms, then more rarely, up to every second, and when a stream of its own ends.
 *
 * Threads:   kolk_listen, and what is said of listeners, from any; streams on their loop.
 * Loops:     of an embedder (KOLK_LOOPS_EMBEDDER) accept when they are stepped: what is dialled
 *            before waits in the kernel's queue. Every loop must be stepped: the kernel gives each
 *            its share.
 * Lifetime:  a listener until kolk_listener_close has called back or returned KOLK_OK; a stream
 *            until its handler's end has returned. kolk_engine_destroy closes what is open: streams
 *            end with E_DRAINING, on their loops or, where those cannot be stepped any more, on the
 *            thread that calls it. A listener must not be used from then on.
 * Fork:      in a child every call answers KOLK_E_FORKED, or does nothing.
 */
#ifndef KOLK_LISTEN_H
#define KOLK_LISTEN_H

#include <kolk/io.h>
#include <kolk/loop.h>

struct kolk_listener;
struct kolk_stream;

/* Whether clients show certificates. */
enum kolk_client_auth {
	KOLK_CLIENT_AUTH_NONE = 0, /* they are not asked to */
	KOLK_CLIENT_AUTH_OPTIONAL, /* who shows one must show a good one */
	KOLK_CLIENT_AUTH_REQUIRED  /* no certificate: no stream */
};

/* One certificate with its key. It serves the DNS names in its subjectAltName; the first one of a
 * list serves whatever no other does, and clients that name nothing. */
struct kolk_certificate {
	const char *certificate_file; /* PEM: the certificate, then its chain */
	const char *key_file;         /* PEM: its private key */
};

/* How a listener speaks TLS. All text is copied, all files are read at once. */
struct kolk_listener_tls {
	uint32_t size;               /* sizeof; set by KOLK_INIT */
	uint32_t version_min;        /* 0 = TLS 1.2; 0x0303, 0x0304, as in kolk_tls_options */
	uint32_t profile;            /* enum kolk_tls_profile */
	uint32_t client_auth;        /* enum kolk_client_auth */
	const struct kolk_certificate *certificates;
	uint32_t certificate_count;  /* 1 .. 64 */
	uint32_t tickets_off;        /* 1 = clients cannot resume sessions */
	const char *ca_file;         /* PEM: who signs clients' certificates; required, or
	                              * ca_directory, unless client_auth is NONE */
	const char *ca_directory;
	const char *crl_file;        /* revoked certificates of clients, PEM; NULL = none */
	const char *const *alpn;     /* NULL-terminated, in order of preference, at most 8; NULL =
	                              * none. Clients that offer none of them are refused */
	uint64_t ticket_lifetime_ns; /* a ticket's key is replaced after so long and still opens for
	                              * as long again; 0 = 12 h; 1 min .. 7 d */
};                                   /* since 0.1 */

/* What a listener tells, on the stream's loop. */
struct kolk_stream_handler {
	uint32_t size;               /* sizeof; set by KOLK_INIT */
	uint32_t reserved;           /* zero */
	/* A stream is there. Return what its other handlers are called with; NULL = refuse it: it
	 * is reset, and no other handler runs. */
	void *(*open)(void *listener_user, struct kolk_stream *stream);
	/* Bytes came; they are gone when it returns. size 0, once: the peer will send no more (a
	 * FIN; of TLS: close_notify); what is sent still reaches it. Not while the stream is
	 * paused. Required, as open. */
	void (*data)(void *user, struct kolk_stream *stream, const void *bytes, size_t size);
	/* The end, exactly once if open returned something, and when no send is in flight any more:
	 * KOLK_OK after kolk_stream_reset, and after kolk_stream_close if all was sent; otherwise what
	 * ended it: E_RESET, E_TIMEOUT (the peer took nothing of a send), E_DRAINING (the listener was
	 * closed, and its deadline passed), E_TLS (an alert, or what is no TLS), E_TLS_TRUNCATED (a FIN
	 * without close_notify), E_UNREACHABLE, E_IO, E_MEMORY. The stream is freed when it returns;
	 * kolk_stream_peer and kolk_stream_bytes may be called until then. May be NULL. */
	void (*end)(void *user, struct kolk_stream *stream, enum kolk_err err);
};                                   /* since 0.1 */

struct kolk_listener_options {
	uint32_t size;               /* sizeof; set by KOLK_INIT */
	uint32_t streams_max;        /* at once, handshakes counted; 0 = 10 000; KOLK_UNLIMITED */
	/* "0.0.0.0:8080", "[::]:8443" (that and IPv4, where net.ipv6.bindv6only is 0), port 0 = any
	 * that is free, "unix:/path", "unix:@name"; a prefix "tls://" or "tcp://" as in pools. No
	 * names. NULL = socket. */
	const char *address;
	/* A listening socket that the process was given (sd_listen_fds(3)), instead of an address:
	 * the listener's from KOLK_OK on, and all loops accept from it; 0 = none. */
	int32_t socket;
	uint32_t backlog;            /* of each socket of address; 0 = 4096; at most
	                              * net.core.somaxconn */
	uint32_t unix_mode;          /* of the socket's file; 0 = 0660 */
	uint32_t proxy_protocol;     /* 1 = each stream begins with a PROXY header, version 2, of at
	                              * most 4 096 bytes, and is reset without. Only where no peer
	                              * but the proxy can connect */
	const char *unix_owner;      /* of the socket's file: "user" or "user:group", by name or
	                              * number; NULL = the process's */
	uint32_t address_streams_max; /* of one IPv4 address or IPv6 /64 at once, that in the PROXY
	                              * header if there is one; more are reset; not of Unix
	                              * sockets; 0 = streams_max */
	uint32_t handshakes_max;     /* TLS handshakes that each loop has on worker threads at once;
	                              * those that have received something and wait for a worker
	                              * are served in order, and those whose peer is silent are
	                              * not counted; 0 = 64; KOLK_UNLIMITED */
	uint64_t handshake_timeout_ns; /* from accept until TLS and PROXY header are done; 0 =
	                              * 10 s; KOLK_FOREVER */
	uint64_t send_timeout_ns;    /* a peer that takes nothing of a send for so long is reset;
	                              * 0 = 30 s; KOLK_FOREVER. These three: and up to an eighth
	                              * more */
	uint64_t linger_timeout_ns;  /* kolk_stream_close waits so long for the peer's end; 0 = 2 s;
	                              * KOLK_AT_ONCE = does not; KOLK_FOREVER */
	uint64_t keepalive_ns;       /* TCP keep-alive, from half of it to all of it by socket,
	                              * and nine probes; 0 = 60 s; KOLK_FOREVER = off */
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
	/* What TLS agreed on; each NULL = nothing. They live as long as the stream. */
	const char *alpn, *server_name, *cipher_suite;
	/* A client's certificate that was verified: DER; NULL = none. */
	const void *certificate;
	size_t certificate_size;
};                                   /* since 0.1 */

struct kolk_listener_stats {
	uint32_t size;               /* sizeof; set by KOLK_INIT */
	uint32_t streams;            /* open now, those in handshakes too */
	uint32_t handshakes;         /* in flight now */
	uint32_t paused;             /* loops that do not accept now, for a limit or an error */
	uint64_t accepted, refused_address, refused_open;
	uint64_t handshake_failed;   /* TLS: for whatever reason but the time-out */
	uint64_t handshake_timeout;
	uint64_t proxy_failed, accept_errors; /* EMFILE, ENFILE, ENOBUFS, ENOMEM */
	uint64_t bytes_received, bytes_sent;
};                                   /* since 0.1 */

KOLK_BEGIN

/* Listen. The sockets are opened by the calling thread, and listen when it returns; it waits for
 * no loop. *listener is set only on KOLK_OK. Errors: E_OPTIONS (failure->field names it: "address"
 * also when it is none of this machine, or in no directory), E_IN_USE (the address is taken),
 * E_FILES, E_IO, E_MEMORY, E_TLS (a file of tls, which failure->field names), E_FORKED; with
 * failure->os_error or tls_error. A Unix socket's file that no process listens at is replaced, and
 * removed at the end; one that another listens at is E_IN_USE; what is no socket is never removed.
 */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_listen(struct kolk_engine *engine, const struct kolk_listener_options *options,
	    struct kolk_listener **listener);

/* Where it listens, with the port that it got: "127.0.0.1:41234", "unix:/path". As long as the
 * listener. */
KOLK_API const char *kolk_listener_address(const struct kolk_listener *listener);

/* New streams get these certificates, anchors and tickets from now on; streams that are open, or in
 * their handshake, keep theirs. Blocks while it reads the files. Errors: E_OPTIONS ("tls": it is
 * NULL, or the listener is plain), E_TLS, E_MEMORY, E_FORKED, with nothing changed. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_listener_tls_set(struct kolk_listener *listener, const struct kolk_listener_tls *tls,
		      struct kolk_failure *failure);

/* Accept no more; streams go on, and what a loop has accepted and held back becomes one when others
 * end. The loops do it, soon. What waits in the kernel's queue is served
 * by others that have the same socket, or refused. Again: nothing happens. */
KOLK_API void kolk_listener_stop(struct kolk_listener *listener);

/* Stop, and end: streams that are still open at the deadline (absolute; KOLK_FOREVER) are reset
 * with E_DRAINING. Then the listener is freed, and closed runs on a loop. closed NULL = block until
 * then, at most until a second after the deadline. Errors: E_THREAD (closed is NULL, on a loop),
 * E_FORKED; E_TIMEOUT (a loop is not stepped, or a handler or a TLS handshake's step does not
 * return): the listener is still there and ends all the same; call this again. */
typedef void kolk_listener_closed_fn(void *user);
KOLK_API enum kolk_err kolk_listener_close(struct kolk_listener *listener, uint64_t deadline_ns,
					   kolk_listener_closed_fn *closed, void *user);

/* Its numbers, added up over its loops. */
KOLK_API void kolk_listener_stats(const struct kolk_listener *listener,
				  struct kolk_listener_stats *stats);

/* ---- streams, on their loop */

/* Send all bytes, one send at a time (E_IN_USE). io and data stay the caller's until the callback,
 * which runs once, from step, before end. KOLK_PENDING: it will run; E_CLOSED (the stream was
 * closed, or has ended), E_MEMORY, E_THREAD, E_FORKED: it will not. Its error: what ended the send,
 * or E_CANCELLED when the stream ended otherwise (a reset, the time-out, the end of the listener);
 * size = bytes that the kernel took, or that became records. kolk_io_cancel does not know it: reset
 * the stream. */
KOLK_API KOLK_MUST_CHECK enum kolk_err
kolk_stream_send(struct kolk_stream *stream, struct kolk_io *io, const void *data, size_t size,
		 kolk_io_fn *callback, void *user);

/* Show no more bytes until kolk_stream_resume; the peer is slowed down. What the ring has received
 * already (at most 1 MiB) is kept, and comes first when the stream goes on: in one piece (of TLS:
 * a record at a time), and never from inside kolk_stream_resume. A paused stream does not learn
 * that its peer is gone. */
KOLK_API void kolk_stream_pause(struct kolk_stream *stream);
KOLK_API void kolk_stream_resume(struct kolk_stream *stream);

/* End it well: what is being sent is sent first, then close_notify and a FIN, and what still
 * comes is read away for linger_timeout_ns and at most 1 MiB, so that the peer gets the last
 * answer before it learns of the end (RFC 9112, section 9.6). No handler but end runs from here
 * on. Again: nothing happens. */
KOLK_API void kolk_stream_close(struct kolk_stream *stream);
/* End it at once, with a TCP reset: the peer broke the rules, or must not believe that what it got
 * was all (a Unix socket only ends). A send in flight ends with E_CANCELLED first. */
KOLK_API void kolk_stream_reset(struct kolk_stream *stream);

/* Who is at the other end. */
KOLK_API void kolk_stream_peer(const struct kolk_stream *stream, struct kolk_stream_peer *peer);
KOLK_API struct kolk_loop *kolk_stream_loop(const struct kolk_stream *stream);
KOLK_API struct kolk_listener *kolk_stream_listener(const struct kolk_stream *stream);
/* Bytes received and sent so far; of TLS, those inside its records. */
KOLK_API void kolk_stream_bytes(const struct kolk_stream *stream, uint64_t *received,
				uint64_t *sent);

KOLK_END

#endif
