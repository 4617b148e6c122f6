/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.h - streams and acceptors, inside the transport.
 *
 * A stream is stored right after its link, where a pool's link has its driver's session. Its
 * states:
 *
 *   OPENING -> OPEN -> CLOSING -> LINGERING -> ENDING
 *      +---------+--------+-----------------------^
 *
 * OPENING: it waits for a PROXY header or a handshake; the handler does not know it yet. OPEN: the
 * handler knows it. CLOSING: the handler has closed it, and a send is in flight. LINGERING: its FIN
 * was sent, and it waits for the peer's. ENDING: it waits for operations in flight; then a task of
 * its own calls the handler's end and frees it.
 */
#ifndef KOLK_STREAM_H
#define KOLK_STREAM_H

#include "transport/link.h"
#include "transport/listen.h"
#include "transport/proxy.h"

enum kolk__stream_state {
	KOLK__STREAM_OPENING,
	KOLK__STREAM_OPEN,
	KOLK__STREAM_CLOSING,
	KOLK__STREAM_LINGERING,
	KOLK__STREAM_ENDING
};

/* How many ticks make up the time of a queue. */
enum { KOLK__TICKS = 8 };

/*
 * Streams that must make progress within a time that is the same for all of them, the oldest first.
 * The timer ticks while there are any. A stream that joins between two ticks gets the number of the
 * last one, so no clock is read; it is late after 8 to 9 ticks.
 */
struct kolk__stream_queue {
	struct kolk__timeout timer; /* first */
	struct kolk__acceptor *acceptor;
	struct kolk_stream *first, *last;
	uint64_t time_ns;     /* KOLK_FOREVER = no stream is ever late */
	uint32_t ticks, lag;  /* ticks so far; ticks after which late is called */
	void (*late)(struct kolk_stream *stream);
};

struct kolk_stream {
	struct kolk__acceptor *acceptor;
	void *user;                     /* what open returned */
	struct kolk_stream *next, **prev; /* acceptor.streams; until ENDING */
	struct kolk_stream *queue_next, *queue_prev;
	struct kolk__stream_queue *queue; /* NULL = none */
	uint64_t received, sent;
	uint32_t tick;                  /* of the queue when it joined */
	uint32_t moved;                 /* bytes of the send when it was last checked */
	uint32_t lingered;              /* bytes received since its FIN was sent */
	uint8_t family;                 /* of the peer's address */
	bool proxied;                   /* addresses and ports are those of a PROXY header */
	uint16_t peer_port, local_port;
	uint8_t peer[16], local[16];    /* IPv4 or IPv6 */
	uint8_t local_family;           /* AF_UNSPEC = local is not known */
	uint8_t state;                  /* enum kolk__stream_state */
	uint8_t idle_ticks;             /* of a send without progress */
	int8_t err;                     /* enum kolk_err: how it ended */
	bool shown;                     /* open did not return NULL */
	bool paused;                    /* by its handler */
	bool resets;                    /* it ends with a TCP reset */
	bool end_shown;                 /* data was called with size 0 */
	bool counted;                   /* against the limit of its address */
	bool handshaking;               /* OPENING: counted in acceptor.handshakes */
	bool notified;                  /* close_notify was queued */
};

_Static_assert(sizeof(struct kolk__link) + sizeof(struct kolk_stream) <= 448,
	       "an idle stream is small");

struct kolk__acceptor {
	struct kolk__listening *listening;
	struct kolk__io_loop *loop;
	struct kolk__upstream *upstream; /* of new streams */
	uint32_t index;
	int fd;                         /* core's, which closes it */
	struct kolk_op op;
	struct kolk__task task;
	/* W, R: any thread. Means: orders that were not carried out yet. The thread that sets the
	 * first one posts the task. ORDERS.SC */
	kolk__atomic_u32 orders;
	/* W: the loop sets it, a thread that gives a permit back clears it. R: both. ORDERS.SC */
	kolk__atomic_u32 waiting;
	kolk__atomic_u64 deadline_ns;   /* W: core, before the order to close. R: the loop */

	/* W: core, before ORDER_LOOPS, whose exchange (ORDERS.SC) publishes it. R: the loop, behind
	 * that exchange. Means: others accept */
	kolk__atomic_u32 inactive;

	struct kolk_stream *streams;    /* not ENDING */
	uint32_t count;                 /* also ENDING */
	int held;                       /* accepted, but without a permit; -1 = none */
	struct kolk_address held_peer;
	bool waits;                     /* for a permit */
	bool rests;                     /* `inactive`, as the loop knows it */
	bool failed;                    /* out of descriptors or memory: no accept before the
	                                 * timer */
	bool started, stopped, stop_told, closing;
	uint64_t retry_ns, failed_ns;   /* the last pause, and when it began */
	uint64_t error_logged_ns;
	struct kolk__timeout retry, deadline;
	struct kolk__stream_queue opening, sends, lingers;

	/* Steps of TLS handshakes on workers now; and streams that wait for a worker, in order. */
	uint32_t steps;
	struct kolk__progress *steps_waiting, **steps_end;
	uint64_t failed_logged_ns;      /* when the log was last told of failed handshakes, and how many */
	uint32_t failed_unlogged;       /* failed since */

	/* W: the loop. R: anyone (relaxed: statistics) */
	kolk__atomic_u32 streams_now, handshakes, paused;
	kolk__atomic_u64 accepted, refused_address, refused_open, accept_errors, received, sent;
	kolk__atomic_u64 handshake_failed, handshake_timeout, proxy_failed;
};

static inline struct kolk__link *kolk__link_of_stream(const struct kolk_stream *stream)
{
	return (struct kolk__link *)(uintptr_t)stream - 1;
}

static inline struct kolk_stream *kolk__stream_of(struct kolk__link *link)
{
	return kolk__link_driver_session(link);
}

/* accept.c */
void kolk__acceptor_stream_ended(struct kolk__acceptor *acceptor);

/* stream_open.c */
/* Make a stream of an accepted connection, and own its descriptor. False = no memory, and the
 * descriptor is still the caller's. */
bool kolk__stream_open(struct kolk__acceptor *acceptor, int fd, const struct kolk_address *peer);
/* It is no longer OPENING: stop counting it as such. */
void kolk__stream_opened(struct kolk_stream *stream);
/* Call its handler's open. */
void kolk__stream_show(struct kolk_stream *stream);
void kolk__stream_late_opening(struct kolk_stream *stream);

/* stream.c */
/* Unless it is paused, deliver what it has received, and read on. */
void kolk__stream_go_on(struct kolk_stream *stream);
/* An operation has ended: end the stream if it was the last one. */
void kolk__stream_end_if_quiescent(struct kolk_stream *stream);
/* End it, once: read and send nothing more. */
void kolk__stream_fail(struct kolk_stream *stream, enum kolk_err err, bool resets);
void kolk__stream_late_send(struct kolk_stream *stream);
void kolk__stream_late_linger(struct kolk_stream *stream);
/* Its loop is no longer stepped, whatever is in flight. lost: from now on no call on it does
 * anything. drop: cancel its send and call the handler's end. */
void kolk__stream_lost(struct kolk_stream *stream);
void kolk__stream_drop(struct kolk_stream *stream);
/* Count received bytes that are for the handler. */
void kolk__stream_count(struct kolk_stream *stream, size_t size);
/* For stream_tls.c: deliver bytes, and the end of the peer's direction, to the handler. */
void kolk__stream_data(struct kolk_stream *stream, const void *bytes, size_t size);
void kolk__stream_show_end(struct kolk_stream *stream);
/* All was sent: send a FIN, and wait for the peer's. */
void kolk__stream_linger(struct kolk_stream *stream);

/* stream_tls.c */
extern const struct kolk__accepting kolk__stream_accepting;
void kolk__stream_tls_begin(struct kolk_stream *stream);
/* Its handshake has failed: do not wait for a worker. */
void kolk__stream_tls_stop(struct kolk_stream *stream);
void kolk__stream_tls_arrived(struct kolk_stream *stream, const uint8_t *bytes, size_t size);
/* Deliver what can be decrypted, and the end. */
void kolk__stream_tls_show(struct kolk_stream *stream);
/* Send close_notify; false = it was sent, or cannot be: there is nothing to wait for. */
bool kolk__stream_tls_notify(struct kolk_stream *stream);

/* stream_peer.c */
void kolk__stream_peer_set(struct kolk_stream *stream, const struct kolk_address *peer);
void kolk__stream_peer_proxied(struct kolk_stream *stream, const struct kolk__proxy *proxy);
/* Get the number by which its address is counted: the IPv4 address, or the first half of the IPv6
 * address; false = it has none. */
bool kolk__stream_peer_number(const struct kolk_stream *stream, uint64_t *number);

/* stream_queue.c */
void kolk__stream_queue_init(struct kolk__stream_queue *queue, struct kolk__acceptor *acceptor,
			     uint64_t time_ns, void (*late)(struct kolk_stream *stream));
void kolk__stream_queue_join(struct kolk__stream_queue *queue, struct kolk_stream *stream);
void kolk__stream_queue_leave(struct kolk_stream *stream); /* also if it is in none */

#endif
