/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.h - a link, inside the transport: the socket, child or resource of one connection.
 *
 * A link in its phases:
 *
 *   RESOLVING -> CONNECTING -> (AWAITING_SESSION) -> HANDSHAKING -> OPENING -> READY <-> PINGING
 *        +------------+----------------+------------------+-----------+-> ENDING   +-> CLOSING
 *
 * CONNECTING goes back to RESOLVING once, when the addresses of one family all failed and those of
 * the other are still to come.
 *
 * UPGRADING, in plain text, comes before the handshake; it lasts if the driver must agree on TLS. A
 * link that returns from a lease and is not clean, or whose peer sent unsolicited bytes while it
 * was idle, is RESETTING for a while.
 *
 * A link has at most one send, one receive, one watch (or stream, input.h) and one job in flight;
 * it is freed when the last of them has completed. A caller's send and receive are in its struct
 * kolk_io, the transport's own in struct kolk__progress.
 */
#ifndef KOLK_LINK_H
#define KOLK_LINK_H

#include "core/base/container.h"
#include "transport/buffer.h"
#include "transport/loop.h"
#include "transport/os_error.h"
#include "transport/transport.h"

/* For assertions: this is the thread of its home loop. */
#define KOLK__HOME(link) KOLK__ON_LOOP((link)->loop)
/* The same, but only if the caller claims to be on the home loop. */
#define KOLK__AT_HOME(link, at_home) KOLK__ASSERT(!(at_home) || kolk__io_loop_is_mine((link)->loop))

struct kolk__child;
struct kolk__job;
struct kolk__race;
struct kolk__tls;
struct kolk__upstream;
struct resolution;

enum kolk__link_phase {
	KOLK__RESOLVING,
	KOLK__CONNECTING,
	KOLK__UPGRADING, /* the driver agrees on TLS in plain text */
	KOLK__AWAITING_SESSION, /* waits for the session of another handshake: tls_sessions.c */
	KOLK__HANDSHAKING,
	KOLK__CONFIRMING, /* TLS 1.3: the server may still refuse our certificate */
	KOLK__OPENING,
	KOLK__READY,
	KOLK__PINGING_LINK,
	KOLK__RESETTING_LINK,
	KOLK__ENDING,
	KOLK__CLOSING_LINK
};

/* For assertions: sets of phases. */
enum {
	KOLK__WHEN_RESOLVING = 1 << KOLK__RESOLVING,
	KOLK__WHEN_CONNECTING = 1 << KOLK__CONNECTING,
	KOLK__WHEN_UPGRADING = 1 << KOLK__UPGRADING,
	KOLK__WHEN_CONFIRMING = 1 << KOLK__CONFIRMING,
	KOLK__WHEN_DIALING = (1 << KOLK__READY) - 1,
	KOLK__WHEN_READY = 1 << KOLK__READY,
	KOLK__WHEN_IN_MAINTENANCE = 1 << KOLK__PINGING_LINK | 1 << KOLK__RESETTING_LINK,
	KOLK__WHEN_ENDING = 1 << KOLK__ENDING,
	KOLK__WHEN_CLOSING = 1 << KOLK__CLOSING_LINK
};
#define KOLK__PHASE(link, phases) KOLK__ASSERT((phases) >> (link)->phase & 1)

/*
 * The state of a dial, ping or reset, while it lasts. Idle and leased connections have none, except
 * that a dial's stays until its attempts at other addresses have ended. All [home].
 */
struct kolk__progress {
	struct kolk__link *link;
	/* loop.spare_progress; or those of streams that wait for a worker: acceptor.steps_waiting */
	struct kolk__progress *next, **prev;
	struct kolk__timeout timeout;     /* of the phase */
	struct kolk_failure failure;      /* why it is ENDING, or a ping failed */
	enum kolk_reason reason;
	bool reset_tried;                 /* RESETTING: the driver has tried */
	bool dial_cancelled; /* the pool cancelled the dial: its timeout ends it */
	bool asked_whole;                 /* its addresses failed: it waited for both families */
	struct kolk_op send_op, recv_op;  /* recv_op: handshakes, too */

	uint64_t began_ns;                /* the dial, as the next */
	kolk__tls_sessions_ptr *tls_sessions;
	struct kolk__race *race;          /* from the first CONNECTING on: connect.c */
	struct resolution *resolution;    /* while resolving: dns_cache.c, as the next */
	struct kolk__link *resolution_next;
};

/* Bytes that a driver or TLS queued: untouched while they are being sent; and the next. */
struct kolk__output {
	struct kolk__buffer out, pending;
};

/* What an idle connection needs, in 256 bytes. The driver's session follows it in memory. */
struct kolk__link {
	struct kolk__io_loop *loop;       /* home */
	struct kolk__upstream *upstream;
	void *connection;
	struct kolk__link *next, **prev;  /* loop.links */

	struct kolk_op watch_op;
	struct kolk__buffer in;           /* received, not read: input.h, like the next fields */
	kolk__atomic_u32 unread, streaming;
	/* The loop whose operations wait for the hand-off: input.h. */
	KOLK__ATOMIC(struct kolk__io_loop *) remote_reader;
	struct kolk__task task;

	struct kolk__progress *progress;  /* NULL = READY, or CLOSING */
	struct kolk__output *output;      /* NULL = nothing was queued; kept for TLS */
	struct kolk__tls *tls;            /* NULL = plain */
	struct kolk__child *child;        /* the owner of fd (stdin and stdout); NULL = a socket */
	union {
		struct { /* a caller's asynchronous operations, until their callbacks have run */
			struct kolk__io *sending, *receiving;
		};
		struct { /* of a resource, which has no such operations */
			void *resource;
			struct kolk__job *job;    /* work in flight */
		};
	};
	int fd;                           /* -1 = none */
	uint32_t address_hash;            /* hash of its address */
	uint32_t unsolicited_bytes;       /* unsolicited, or while RESETTING: bounded */

	int16_t end_error;                /* why the stream ended: 0 = FIN, or -errno */
	uint8_t phase;                    /* enum kolk__link_phase */
	kolk__atomic_u8 task_posted;      /* input.h */
	bool wants_stream, paused, handing_off, ended, bulk;
	bool read_waits;     /* home loop's: `receiving` waits for the stream */
	bool read_ready;     /* home loop's: `receiving` has bytes, and its callback runs in this
	                      * step */
	bool driver_begun;   /* the driver was called: close must be, too */
	kolk__atomic_bool used; /* I/O since it was last proved clean; STREAM.SC in input.h */
	bool written; /* something was handed to the kernel during this lease */
	bool awaits_reply;   /* a plain thread has sent bytes and received nothing since */
	bool failed;  /* an operation did not end well: must be closed */
	bool send_waits; /* `sending` waits for the hand-off, to be admitted; a receive then waits,
	                  * too */
	bool refused; /* by kolk__link_begin_use or kolk__link_unsolicited: read nothing more */
	bool retired;
	/* W: the holder. R: home loop. A receive of its own is in flight, a caller's or not. */
	kolk__atomic_bool receives;
} __attribute__((aligned(16)));
_Static_assert(sizeof(struct kolk__link) <= 256, "an idle connection is small");

static inline struct kolk__link *kolk__link_of_task(struct kolk__task *task)
{
	return kolk__container_of(task, struct kolk__link, task);
}

/* How the stream ended, when link.ended. */
static inline enum kolk_err kolk__link_end(const struct kolk__link *link)
{
	return kolk__err_of(link->end_error);
}

/* progress.c: begin it, false = no memory; and end it, unless attempts are in flight. [home] */
bool kolk__progress_begin(struct kolk__link *link);
void kolk__progress_end(struct kolk__link *link);
void kolk__progress_drop(struct kolk__io_loop *loop); /* what it keeps */

/* output.c: bytes to be sent. Add some; get the next, NULL = none; count some of these as sent; get
 * the size of all that is left; free them. [holder] */
enum kolk_err kolk__output_add(struct kolk__link *link, const void *bytes, size_t size);
const uint8_t *kolk__output_next(struct kolk__link *link, size_t *size);
void kolk__output_sent(struct kolk__link *link, size_t size);
size_t kolk__output_size(const struct kolk__link *link);
/* Send what the socket takes at once; true = nothing is left. No send is in flight. */
bool kolk__output_flush(struct kolk__link *link);
void kolk__output_free(struct kolk__link *link);

/* link.c */
/* Make a link with a progress, for a dial. NULL = no memory. */
struct kolk__link *kolk__link_make(struct kolk__io_loop *loop, struct kolk__upstream *upstream,
				   void *connection);
/* Make a link of an accepted socket, HANDSHAKING until kolk__link_accepted. Its stream (stream.h)
 * takes the place of a driver's session, and core does not know the link. NULL = no memory, and the
 * socket is still the caller's. */
struct kolk__link *kolk__link_accept(struct kolk__io_loop *loop, struct kolk__upstream *upstream,
				     int fd);
void kolk__link_accepted(struct kolk__link *link);
void kolk__link_free(struct kolk__link *link);
void *kolk__link_driver_session(struct kolk__link *link); /* NULL = it has none */
bool kolk__link_is_quiescent(const struct kolk__link *link); /* nothing in flight */
/* Before the first bytes of a lease are sent: bytes that arrived before must not be taken for
 * their answer. E_CLOSED = nothing was sent, try another connection. KOLK_PENDING = bytes came,
 * and link.in belongs to the home loop: stop the stream (input.h), then call kolk__link_admit.
 * [holder] */
enum kolk_err kolk__link_begin_use(struct kolk__link *link, bool at_home);
enum kolk_err kolk__link_admit(struct kolk__link *link, bool at_home);
void kolk__link_become_ready(struct kolk__link *link);

/* Are there unsolicited bytes? KOLK_OK = none, but perhaps a part of a TLS record; E_PROTOCOL =
 * data; E_CLOSED, E_RESET and others = the end; KOLK_PENDING = only the home loop can tell.
 * kolk__link_take_unsolicited: the same after the driver got them, and its answers were sent.
 * [home, holder] */
enum kolk_err kolk__link_check_input(struct kolk__link *link, bool at_home);
enum kolk_err kolk__link_take_unsolicited(struct kolk__link *link, bool at_home);
/* Return why a connection on which this error was found is closed. */
enum kolk_reason kolk__link_reason(enum kolk_err err);
/* Pass unsolicited bytes to the driver. feed_unsolicited: all that have arrived. unsolicited: these
 * bytes, which came after the first send of a lease, in a TLS record that began before it
 * (E_CLOSED: the rest of the record is not read). */
enum kolk_err kolk__link_feed_unsolicited(struct kolk__link *link);
enum kolk_err kolk__link_unsolicited(struct kolk__link *link, const void *bytes, size_t size);
/* Free what is empty: the buffer for input; those for output, unless TLS needs them. */
void kolk__link_trim(struct kolk__link *link);
void kolk__link_trim_output(struct kolk__link *link);
/* It has left the idle state for a ping or a reset. */
static inline bool kolk__link_is_in_maintenance(const struct kolk__link *link)
{
	return link->phase == KOLK__PINGING_LINK || link->phase == KOLK__RESETTING_LINK;
}

/* Its dial succeeded, and it is not being closed. */
static inline bool kolk__link_is_open(const struct kolk__link *link)
{
	return link->phase == KOLK__READY || kolk__link_is_in_maintenance(link);
}

#endif
