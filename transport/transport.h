/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transport.h - the interface between core and transport.
 *
 * words
 *   transport     one per engine: the table of functions, the log
 *   io_loop       one per loop: a ring, its timers, the operations whose callbacks are due
 *   upstream      one per pool: parsed address, driver, TLS configuration; immutable, counted:
 *                 a pool that is given another address gets another one
 *   tls_sessions  one per key: TLS sessions for resumption; never shared between keys
 *   link          one per connection: socket, TLS state, driver session
 *
 * A link has one user at a time; core ensures that (conn.h). Functions marked [home] are for the
 * thread of the loop that dialled it, [holder] for the thread that holds the connection, [any] for
 * any thread.
 */
#ifndef KOLK_TRANSPORT_H
#define KOLK_TRANSPORT_H

#include "core/base/atomic.h"
#include "core/base/bytes.h"
#include "core/base/heap.h"

#include <kolk/driver.h>
#include <kolk/engine.h>
#include <kolk/io.h>
#include <kolk/pool.h>
#include <kolk/sys/sys.h>

struct kolk__transport;
struct kolk__io_loop;
struct kolk__upstream;
struct kolk__tls_sessions;
struct kolk__link;

/* The TLS sessions of a key. W: the first handshake; close. R: dials, forget. */
typedef KOLK__ATOMIC(struct kolk__tls_sessions *) kolk__tls_sessions_ptr;

/* Calls from the transport to core, always on the thread of the home loop and from its step, so
 * never inside the call that caused them (closed is the exception: it may run inside close). */
struct kolk__link_callbacks {
	/* The dial ended well: link is ready, watched, and nothing of the dial is in flight. */
	void (*ready)(void *connection);
	/* The dial failed or was cancelled; the link was freed before this runs. */
	void (*failed)(void *connection, const struct kolk_failure *failure);
	/* The dial failed or was cancelled, but what it began is still in flight (an asynchronous
	 * resource): it closes, and closed will run. */
	void (*abandoned)(void *connection, const struct kolk_failure *failure);
	/* The end of kolk__link_ping. KOLK_OK = it is well, and reason means nothing; otherwise
	 * reason is why it must be closed. */
	void (*pinged)(void *connection, enum kolk_err err, enum kolk_reason reason);
	/* The end of kolk__link_reset; may run inside it. NONE = it is clean. */
	void (*reset_done)(void *connection, enum kolk_reason reason);
	/* The peer closed, or the connection must be replaced. At most once. The link stays until
	 * it is closed. */
	void (*retire)(void *connection, enum kolk_reason reason);
	/* Unsolicited bytes came, and only TLS or the driver can tell whether they are harmless:
	 * take the connection if it is idle, and call kolk__link_reset. */
	void (*on_unsolicited)(void *connection);
	struct kolk_key *(*key)(void *connection); /* its key */
	/* The socket is closed, and the link was freed. */
	void (*closed)(void *connection);
	void (*log)(void *user, enum kolk_log_level level, const char *subject,
		    const char *text);
	void *log_user;
};

/* ---- the transport and its loops */

enum kolk_err kolk__transport_open(const struct kolk_sys *sys,
				   const struct kolk__link_callbacks *callbacks, uint32_t backend,
				   struct kolk__transport **transport);
/* How long a step looks for events before it sleeps; 0 at first. Before the first loop. */
void kolk__transport_busy_poll_set(struct kolk__transport *transport, uint64_t busy_poll_ns);
void kolk__transport_close(struct kolk__transport *transport);
const char *kolk__transport_backend(const struct kolk__transport *transport);
/* Why a loop could not be opened: static text; NULL = not known. */
const char *kolk__transport_why_not(const struct kolk__transport *transport);

/* The first loop decides the back end of all. */
enum kolk_err kolk__io_loop_open(struct kolk__transport *transport, struct kolk__io_loop **loop);
/* Close the ring. Links that are still open are freed and their sockets closed, without a callback
 * (the engine is destroyed while its loops do not run). */
void kolk__io_loop_close(struct kolk__io_loop *loop);
/* Wait at most until the deadline (or the next timer), run what completed. KOLK_OK or KOLK_E_IO. */
enum kolk_err kolk__io_loop_step(struct kolk__io_loop *loop, uint64_t deadline_ns);
/* In a step, before timers fire: take completions that have arrived since the ring was reaped, so
 * they win over time-outs even if the process was stopped or a callback took long. */
void kolk__io_loop_catch_up(struct kolk__io_loop *loop);
void kolk__io_loop_wake(struct kolk__io_loop *loop);          /* [any] */
void kolk__io_loop_flush(struct kolk__io_loop *loop); /* the owner will not step at once */
int kolk__io_loop_fd(struct kolk__io_loop *loop);             /* [any] */
uint64_t kolk__io_loop_next_timer(struct kolk__io_loop *loop); /* absolute; KOLK_FOREVER */
uint64_t kolk__io_loop_unread(const struct kolk__io_loop *loop); /* [any] in bytes */

/* A timer of a loop. Starting one that is armed moves it; KOLK_FOREVER only stops it. [the loop's
 * thread] */
struct kolk__timeout {
	struct kolk__timer timer; /* first */
	void (*fire)(struct kolk__timeout *timeout);
};
void kolk__timeout_start(struct kolk__io_loop *loop, struct kolk__timeout *timeout,
			 uint64_t due_ns);
void kolk__timeout_stop(struct kolk__io_loop *loop, struct kolk__timeout *timeout);

/* ---- where to */

/* Check address, bind_address, tls, driver or resource, and read certificates. Copies what it
 * keeps, except driver, resource and driver_user (see kolk__upstream_own_options). On error,
 * failure (never NULL) gets err, field, os_error and tls_error. */
enum kolk_err kolk__upstream_open(struct kolk__transport *transport,
				const struct kolk_pool_options *options,
				struct kolk_failure *failure, struct kolk__upstream **upstream);
/* open returns the first reference. Links have their own from their dial to their end, so the
 * pool's can be given back while links are open. ref: the caller has a reference, or holds a lock
 * under which the last one is not given back. [any] */
struct kolk__upstream *kolk__upstream_ref(struct kolk__upstream *upstream);
void kolk__upstream_unref(struct kolk__upstream *upstream);
/* The driver as this library knows it, read once; NULL = a resource. */
const struct kolk_driver *kolk__upstream_driver(const struct kolk__upstream *upstream);
/* Replace the driver's options that it was opened with by a copy that it owns, and wipes and frees
 * at its end. */
void kolk__upstream_own_options(struct kolk__upstream *upstream, void *driver_options, size_t size);
/* Set how its sockets are made and how long each step may take, from options with all defaults
 * filled in. Called before any dial, and again when nothing else has changed. One caller at a
 * time. */
void kolk__upstream_tune(struct kolk__upstream *upstream, const struct kolk_pool_options *options);
bool kolk__upstream_can_ping(const struct kolk__upstream *upstream);
/* Whether its resource driver has to reset each one at release. */
bool kolk__upstream_must_reset(const struct kolk__upstream *upstream);

/* Its identity, normalised: equal when the same peer would be dialled in the same way. Texts live
 * as long as the upstream. [any] */

/* "host:port", "[v6%zone]:port", "unix:/path", "unix:@name", "child:/path"; "" = a resource. */
const char *kolk__upstream_address(const struct kolk__upstream *upstream);
/* The local address; "" = the system's choice. */
const char *kolk__upstream_bind(const struct kolk__upstream *upstream);
bool kolk__upstream_is_tls(const struct kolk__upstream *upstream);
/* SNI and the name to verify; "" without TLS, or with neither. */
const char *kolk__upstream_server_name(const struct kolk__upstream *upstream);
/* SHA-256 over the content of every TLS file (anchors, revoked certificates, certificate and
 * key) as it was parsed, or over a child's environment; zeros with neither. */
void kolk__upstream_digest(const struct kolk__upstream *upstream, uint8_t digest[32]);

/* NULL in *tls_sessions until the first handshake. Internally locked. A session is offered only by
 * dials of the upstream that it was made with. */
void kolk__tls_sessions_close(struct kolk__transport *transport,
			      kolk__tls_sessions_ptr *tls_sessions);
/* Drop all sessions: secrets or certificates were replaced. Handshakes in flight end, but their
 * sessions are not kept, and dials that wait for one make their own. The owner of *tls_sessions
 * must not close them meanwhile. [any] */
void kolk__tls_sessions_forget(struct kolk__transport *transport,
			       kolk__tls_sessions_ptr *tls_sessions);

/* ---- a connection's link */

/* Where a dial goes, and the TLS sessions that its key has there. */
struct kolk__destination {
	struct kolk__upstream *upstream;
	kolk__tls_sessions_ptr *tls_sessions;
};

/* Begin a dial. The caller has a reference to upstream during the call; the link takes its own.
 * tls_sessions stay until ready or failed. Errors: E_MEMORY, E_DRAINING; then no callback runs.
 * [home = this loop] */
enum kolk_err kolk__link_dial(struct kolk__io_loop *loop, struct kolk__destination to,
			      void *connection, struct kolk__link **link);
/* Cancel a dial: failed(E_CANCELLED) will run. [home] */
void kolk__link_dial_cancel(struct kolk__link *link);
/* Ping the peer; pinged() will run, at the latest after ping_ns. [home, holder] */
void kolk__link_ping(struct kolk__link *link);
/* Read what the peer sent unsolicited, and let the driver reset the connection if it is not clean;
 * reset_done() will run, at the latest after reset_ns. [home, holder] */
void kolk__link_reset(struct kolk__link *link);
/* Close gracefully where that needs no waiting (the driver's close message, TLS close_notify), at
 * once otherwise; with a TCP reset when the connection is dirty. closed() will run. [home,
 * holder] */
void kolk__link_close(struct kolk__link *link);

/* KOLK_OK when nothing unread, unsent or owed is left and the driver agrees; KOLK_PENDING when
 * kolk__link_reset may make it clean; otherwise the reason why it must be closed. at_home: called
 * on the home loop's thread. [holder] */
enum kolk_err kolk__link_clean(struct kolk__link *link, bool at_home, enum kolk_reason *reason);
/* Return whether a link that is ready leaves the connection unacknowledged until it sends.
 * [home] */
bool kolk__link_must_acknowledge(const struct kolk__link *link);
/* Acknowledge such a connection to its peer, because nothing is sent yet. [holder; home, not
 * closed] */
void kolk__link_acknowledge(struct kolk__link *link);
/* See kolk_lease_tcp. [holder] */
enum kolk_err kolk__link_tcp(struct kolk__link *link, uint32_t *rtt_us, uint32_t *resent);
/* The driver's memory; NULL when the link is another driver's. [holder] */
void *kolk__link_session(struct kolk__link *link, const struct kolk_driver *driver);
/* Make every operation on it end soon. [any, while the link cannot be closed] */
void kolk__link_revoke(struct kolk__link *link);
/* What a resource pool's driver made, NULL for sockets. [holder] */
void *kolk__link_resource(struct kolk__link *link);
/* The link handed something to the kernel since the last call with reset = true. [holder] */
bool kolk__link_written(struct kolk__link *link, bool reset);

/* ---- I/O on a lease */

enum kolk_err kolk__link_send(struct kolk__link *link, const void *data, size_t size,
			      uint64_t deadline_ns); /* [holder, blocks] */
enum kolk_err kolk__link_recv(struct kolk__link *link, struct kolk__space space,
			      uint64_t deadline_ns, size_t *received); /* [holder, blocks] */
enum kolk_err kolk__link_send_recv(struct kolk__link *link, struct kolk_transfer *transfer,
				   uint64_t deadline_ns); /* [holder, blocks] */

/* What struct kolk_io holds. The first block is core's, the second the transport's. */
struct kolk__io {
	void *connection; /* core's */
	kolk_io_fn *callback;
	void *user;
	void (*done)(struct kolk__io *io, enum kolk_err err, size_t size); /* set by core; run
	                                                                    * once from step */
	struct kolk__io_loop *loop; /* transport's from here */
	struct kolk__link *link;
	const uint8_t *data;
	uint8_t *buffer;
	size_t size, moved;
	uint64_t deadline_ns;
	struct kolk__io *next;
	struct kolk_op op;
	uint64_t timer[5];
	uint8_t sending, cancelled, queued, state, lazy;
};
_Static_assert(sizeof(struct kolk__io) <= sizeof(struct kolk_io), "kolk_io is too small");

/* Begin; the operation runs on this loop, which need not be the home loop. io->done, data or
 * buffer, size and deadline_ns are set by the caller. KOLK_PENDING, or an error and done will not
 * run. [holder on the loop's thread] */
enum kolk_err kolk__link_send_async(struct kolk__link *link, struct kolk__io_loop *loop,
				    struct kolk__io *io);
enum kolk_err kolk__link_recv_async(struct kolk__link *link, struct kolk__io_loop *loop,
				    struct kolk__io *io);
/* The caller's send, or its receive, until done runs; NULL = none. [as the two above] */
struct kolk__io *kolk__link_io(const struct kolk__link *link, bool sending);
/* Of a send: done may run a little later. */
void kolk__io_lazy(struct kolk__io *io, bool lazy);
/* Cancel: done will run with E_CANCELLED, or with the result that the operation had by then. */
void kolk__io_cancel(struct kolk__io *io);

#endif
