/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen.h - the interface between core and transport, for listeners.
 *
 * words
 *   listening  one per listener: what its acceptors share; core's
 *   acceptor   one per listener and loop: a listening socket, and the streams that came from it
 *   stream     a link (transport.h) that a peer dialled
 *
 * An acceptor belongs to its loop. Other threads give it orders, a bit each; the thread that sets
 * the first bit posts a task. ORDERS.SC: the bits, and the waiting flag below.
 *
 * Each stream has a permit of its listener. An acceptor that gets none holds the connection that it
 * accepted, stores waiting = 1, and asks once more. A thread that gives a permit back looks for an
 * acceptor whose flag is 1 and, where it turns it to 0, orders it to resume. All sc: one of the two
 * finds the other. So there are never more streams than permits, and a connection that was accepted
 * too early waits as it would in the kernel's queue.
 */
#ifndef KOLK_TRANSPORT_LISTEN_H
#define KOLK_TRANSPORT_LISTEN_H

#include <kolk/listen.h>
#include <pthread.h>

#include "transport/transport.h"

struct kolk__acceptor;
struct kolk__tls_server;

/* What the acceptors of a listener have in common: constant, but for tls. The functions are core's,
 * for an acceptor's loop. */
struct kolk__listening {
	void *listener;
	struct kolk__transport *transport;
	struct kolk_stream_handler handler;
	void *user;
	uint64_t handshake_ns, send_ns, linger_ns;
	uint32_t keepalive_s; /* 0 = off */
	bool proxy;
	bool has_tls;
	uint32_t steps_max; /* of handshakes, on workers at once, of each loop */
	pthread_mutex_t tls_lock;
	struct kolk__tls_server *tls; /* under tls_lock: of new streams; NULL = plain */
	/* A permit for a stream, and back. */
	bool (*take)(void *listener);
	void (*give)(void *listener);
	/* One of its address, and back. NULL = addresses have no limit. */
	bool (*take_address)(void *listener, uint64_t address);
	void (*give_address)(void *listener, uint64_t address);
	/* Nothing is in flight on its socket any more, and none will be. */
	void (*stopped)(void *listener, uint32_t index);
	/* It was ordered to close, and its last stream has ended: it may be freed when this returns
	 * true. False: it was given another order meanwhile. */
	bool (*closed)(void *listener, uint32_t index);
};

enum kolk__order {
	KOLK__ORDER_START = 1, /* listen */
	KOLK__ORDER_RESUME = 2, /* there may be a permit */
	KOLK__ORDER_STOP = 4,
	KOLK__ORDER_CLOSE = 8, /* stop; streams are reset at the deadline */
	KOLK__ORDER_LOOPS = 16 /* its loop became active, or is not any more */
};

/* fd listens already; the acceptor only uses it. NULL = no memory. [any] */
struct kolk__acceptor *kolk__acceptor_open(struct kolk__listening *listening,
					   struct kolk__io_loop *loop, uint32_t index, int fd);
/* After closed(), or kolk__acceptor_drop and its loop's end. [any] */
void kolk__acceptor_free(struct kolk__acceptor *acceptor);
/* Its loop will not be stepped again: the end of each stream is told here and now, and their links
 * are left to the loop's end. */
void kolk__acceptor_drop(struct kolk__acceptor *acceptor);
/* [any, while it cannot be freed] */
void kolk__acceptor_order(struct kolk__acceptor *acceptor, enum kolk__order order);
bool kolk__acceptor_has_orders(const struct kolk__acceptor *acceptor);
/* Before ORDER_CLOSE; again: another deadline. [any] */
void kolk__acceptor_deadline(struct kolk__acceptor *acceptor, uint64_t deadline_ns);
/* Accept, or leave it to other loops, which have the same socket: the last call counts. [any, one
 * at a time, while it cannot be freed] */
void kolk__acceptor_set_active(struct kolk__acceptor *acceptor, bool active);
/* A permit was given back: does this one wait for it? Then it is ordered to resume. [any] */
bool kolk__acceptor_wake(struct kolk__acceptor *acceptor);
/* Add its numbers. [any] */
void kolk__acceptor_stats(const struct kolk__acceptor *acceptor,
			  struct kolk_listener_stats *stats);

/* ---- TLS: how new streams speak it, from now on; the first time before the acceptors are opened.
 * Errors: E_OPTIONS, E_TLS, E_MEMORY, with nothing changed. failure is never NULL. [any] */
enum kolk_err kolk__listening_tls_set(struct kolk__listening *listening,
				      const struct kolk_listener_tls *options,
				      struct kolk_failure *failure);
/* Streams keep theirs. [any] */
void kolk__listening_tls_free(struct kolk__listening *listening);

/* ---- addresses */

/* "0.0.0.0:80", "[::]:80", "unix:/path", "unix:@name"; port 0 is one. False = it is none. */
bool kolk__listen_address_read(const char *text, struct kolk_address *address);
enum { KOLK__LISTEN_TEXT = 128 };
void kolk__listen_address_write(const struct kolk_address *address, char text[KOLK__LISTEN_TEXT]);
bool kolk__listen_address_is_unix(const struct kolk_address *address);
/* A socket that listens, and its address; or -1, and failure (never NULL) says why. [any] */
int kolk__listen_socket(struct kolk__transport *transport, const struct kolk_sock_listen *options,
			struct kolk_address *name, struct kolk_failure *failure);

/* ---- streams: kolk/listen.h */

/* [home] all of these */
/* KOLK_OK, E_CLOSED, E_IN_USE. */
enum kolk_err kolk__stream_may_send(const struct kolk_stream *stream);
/* If it may, or to end it well. */
enum kolk_err kolk__stream_send(struct kolk_stream *stream, struct kolk__io *io);
void kolk__stream_pause(struct kolk_stream *stream);
void kolk__stream_resume(struct kolk_stream *stream);
void kolk__stream_close(struct kolk_stream *stream);
void kolk__stream_reset(struct kolk_stream *stream);
void kolk__stream_peer(const struct kolk_stream *stream, struct kolk_stream_peer *peer);
void kolk__stream_bytes(const struct kolk_stream *stream, uint64_t *received, uint64_t *sent);
/* Of its acceptor. */
void *kolk__stream_listener(const struct kolk_stream *stream);
uint32_t kolk__stream_loop_index(const struct kolk_stream *stream);

#endif
