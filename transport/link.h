/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.h - the street behind transport.h: what a link, an origin and a tloop are made of.
 *
 * A link in its phases:
 *
 *   RESOLVING -> CONNECTING -> (FOLLOWING) -> HANDSHAKING -> OPENING -> READY <-> PINGING
 *        +------------+-------------+-------------+-----------+-> ENDING    +-> CLOSING
 *
 * An UPGRADING in plain text stands before the handshake where the driver wants one; a link that
 * comes back from a lease and is not neutral, or to whom the peer spoke while it was idle, is
 * MENDING for a while.
 *
 * At most one send, one receive, one watch (or stream, input.h) and one job are in flight
 * for a link; its memory goes when the last of them is done.
 */
#ifndef KOLK_LINK_H
#define KOLK_LINK_H

#include "core/base/assert.h"
#include "core/base/atomic.h"
#include "core/base/heap.h"
#include "core/base/note.h"
#include "transport/endpoint.h"
#include "transport/transport.h"

enum { KOLK__ADDRESSES = 8, KOLK__SPARES = 8 };

struct kolk__transport {
	const struct kolk_sys *sys;
	struct kolk__link_host host;
	uint32_t backend;
	const char *name;      /* the back end in use; NULL until the first tloop */
	kolk__atomic_u64 origins; /* relaxed: opened so far */
};

struct kolk__buffer {
	uint8_t *bytes;
	size_t start, end, capacity;
};

struct desk;
struct kolk__names;
struct kolk__job;

struct kolk__tloop {
	struct kolk__transport *transport;
	struct kolk_ring *ring;
	struct kolk__heap timers;
	uint64_t timers_ran_ns;            /* those due until then had their turn */
	struct kolk__io *done, **done_end; /* operations whose callback is due */
	struct kolk__link *links;          /* all that are at home here */
	struct kolk__inbox inbox;          /* letters of other loops and threads */
	bool no_streams;                   /* this ring cannot */
	struct kolk__buffer spare[KOLK__SPARES]; /* large and empty: input.c */
	uint32_t spares;
	kolk__atomic_u64 unread;           /* relaxed: bytes in link.in of its links */
	struct kolk__job *jobs;            /* all that are in flight */
	struct desk *desks;                /* names.c */
#ifdef KOLK__ASSERTIONS
	kolk__atomic_uptr thread; /* W: who steps or closes it. R: anyone (relaxed: asks about itself) */
#endif
};

/* For assertions: is this the thread that steps it, or may it become that? */
bool kolk__tloop_is_mine(const struct kolk__tloop *tloop);
#define KOLK__ON_TLOOP(tloop) KOLK__ASSERT(kolk__tloop_is_mine(tloop))
#define KOLK__HOME(link) KOLK__ON_TLOOP((link)->tloop)
/* The same, if the caller says that it is at home. */
#define KOLK__AT_HOME(link, at_home) KOLK__ASSERT(!(at_home) || kolk__tloop_is_mine((link)->tloop))

struct kolk__tls_config;
struct kolk__tls;
struct kolk__child_config;
struct kolk__child;

/* Immutable but for streams, refs, and what kolk__origin_tune stores (socket, times, mend_bytes and
 * the times of child; relaxed). Its pool has a reference, and each link from its dial
 * until it is freed: whatever looks at link->origin (loops, workers, holders, sweeps of
 * names.c) does so while the link is there, so it needs none of its own. */
struct kolk__origin {
	struct kolk__transport *transport;
	uint64_t number;              /* later ones are greater: tickets.c */
	kolk__atomic_u32 refs;        /* W: its pool, links */
	const struct kolk_driver *driver_given; /* whose the sessions are; kolk_lease_session */
	const struct kolk_driver *driver;       /* &driver_read; NULL = a resource */
	const struct kolk_resource_driver *resource; /* &resource_read; NULL = none */
	struct kolk_driver driver_read;              /* both as this library knows them */
	struct kolk_resource_driver resource_read;
	void *driver_user;
	void *driver_options;         /* of a driver that has some: driver_user, to be freed */
	size_t driver_bytes;
	struct kolk__tls_config *tls; /* NULL = plain */
	struct kolk__child_config *child; /* NULL = sockets */
	struct kolk__names *names;    /* to resolve; NULL = the address is given */
	struct kolk__endpoint endpoint;
	struct kolk_address bind;
	char bind_text[KOLK__HOST_MAX]; /* "" = none */
	char bind_zone[KOLK__ZONE_MAX];
	struct kolk_sock_options socket; /* bind: &bind or NULL */
	struct {
		kolk__atomic_u64 resolve_ns, connect_ns, tls_ns, ready_ns, ping_ns, mend_ns;
		kolk__atomic_u64 retry_ns, retry_max_ns;
	} times; /* durations */
	kolk__atomic_u32 mend_bytes;
	/* W, R: home loops (relaxed: a hint): loops read its connections. */
	kolk__atomic_bool streams;
};

struct kolk__race;

enum kolk__link_phase {
	KOLK__RESOLVING,
	KOLK__CONNECTING,
	KOLK__UPGRADING, /* the driver agrees on TLS in plain text */
	KOLK__FOLLOWING, /* waits for the session of another handshake: tickets.c */
	KOLK__HANDSHAKING,
	KOLK__ACCEPTING, /* TLS 1.3: the server may still refuse our certificate */
	KOLK__OPENING,
	KOLK__READY,
	KOLK__PINGING_LINK,
	KOLK__MENDING_LINK,
	KOLK__ENDING,
	KOLK__CLOSING_LINK
};

/* For assertions: sets of phases. */
enum {
	KOLK__WHEN_RESOLVING = 1 << KOLK__RESOLVING,
	KOLK__WHEN_CONNECTING = 1 << KOLK__CONNECTING,
	KOLK__WHEN_UPGRADING = 1 << KOLK__UPGRADING,
	KOLK__WHEN_ACCEPTING = 1 << KOLK__ACCEPTING,
	KOLK__WHEN_DIALING = (1 << KOLK__READY) - 1,
	KOLK__WHEN_READY = 1 << KOLK__READY,
	KOLK__WHEN_AWAY = 1 << KOLK__PINGING_LINK | 1 << KOLK__MENDING_LINK,
	KOLK__WHEN_ENDING = 1 << KOLK__ENDING,
	KOLK__WHEN_CLOSING = 1 << KOLK__CLOSING_LINK
};
#define KOLK__PHASE(link, phases) KOLK__ASSERT((phases) >> (link)->phase & 1)

struct kolk__link {
	struct kolk__tloop *tloop;        /* home */
	struct kolk__origin *origin;
	kolk__tickets_place *tickets;
	void *connection;
	struct kolk__link *next, **prev;  /* tloop.links */
	enum kolk__link_phase phase;
	int fd;                           /* -1 = none */
	struct kolk__timeout timeout;     /* of the phase */
	uint64_t began_ns;
	struct kolk_failure failure;      /* why it is ENDING, or a ping failed */
	enum kolk_reason reason;

	struct kolk_op send_op, recv_op, watch_op; /* recv_op: handshakes, too */
	struct kolk__buffer out;          /* being sent; untouched while send_op is in flight */
	struct kolk__buffer pending;      /* to be sent next */
	struct kolk__buffer in;           /* arrived, not taken: input.h, as what follows */
	kolk__atomic_u32 unread, streaming, note_out;
	int32_t end_error;                /* why the stream ended: 0 = FIN, or -errno */
	struct kolk__io *reader;          /* home's: waits for the stream */
	struct kolk__io *filled;          /* home's: has bytes, and is told of them later in this turn */
	/* Whose operations wait for the stream to stop: input.h. */
	KOLK__ATOMIC(struct kolk__tloop *) stranger;
	struct kolk__note note;
	bool wants_stream, paused, yields, ended, bulk;
	struct kolk__tls *tls;            /* NULL = plain */
	struct kolk__link *follower_next; /* under tickets.lock, as follows */
	uint64_t session_round;           /* tickets.round when the handshake began */
	bool follows;
	void *session;                    /* the driver's */
	bool begun;                       /* the driver was called: it is owed a close */
	bool mended;                      /* MENDING: its driver has tried */
	uint64_t heard;                   /* bytes that came unasked, or while MENDING: bounded */
	void *resource;
	struct kolk__job *job;            /* work in flight */
	struct kolk__io *sending, *receiving; /* a caller's asynchronous operations */

	struct kolk__race *race;          /* while connecting: connect.c */
	struct kolk__child *child;        /* whose stdin and stdout fd is; NULL = a peer's */
	struct desk *waits_at;            /* while resolving: names.c, as the next */
	struct kolk__link *named_next;
	uint32_t peer;                    /* hash of its address */

	kolk__atomic_bool used; /* I/O since it was last proved clean; STREAM.SC in input.h */
	bool written; /* something was handed to the kernel during this lease */
	bool asked;   /* bytes were sent by a thread, and it has not listened since */
	bool failed;  /* an operation did not end well: must be closed */
	bool waits;   /* a send waits for the end of the stream, to be admitted; a receive too, then */
	bool refused; /* by begin_use, or kolk__link_unasked: nothing more is read */
	bool hung_up;
	bool given_up; /* a dial that nobody wants: its timeout ends it */
};

static inline struct kolk__link *kolk__link_of_note(struct kolk__note *note)
{
	return (struct kolk__link *)(void *)((char *)note - offsetof(struct kolk__link, note));
}

static inline uint64_t kolk__link_now(const struct kolk__transport *transport)
{
	return transport->sys->now_ns(transport->sys->context);
}

static inline void *kolk__alloc(const struct kolk__transport *transport, size_t size)
{
	return transport->sys->allocate(transport->sys->context, 16, size);
}

static inline void kolk__dealloc(const struct kolk__transport *transport, void *memory, size_t size)
{
	if (memory != NULL)
		transport->sys->deallocate(transport->sys->context, memory, size);
}

/* loop.c */
void kolk__submit(struct kolk__tloop *tloop, struct kolk_op *op, enum kolk_op_kind kind, int fd,
		  void *data, size_t size, void (*done)(struct kolk_op *op), void *owner);
void kolk__cancel(struct kolk__tloop *tloop, struct kolk_op *op);
void kolk__io_finish(struct kolk__io *io, enum kolk_err err);
void kolk__transport_log(struct kolk__transport *transport, enum kolk_log_level level,
			 const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Have note run on that loop's thread. Any thread. */
void kolk__tloop_post(struct kolk__tloop *tloop, struct kolk__note *note,
		      void (*run)(struct kolk__note *note));

/* buffer.c */
bool kolk__buffer_reserve(const struct kolk__transport *transport, struct kolk__buffer *buffer,
			  size_t size);
bool kolk__buffer_add(const struct kolk__transport *transport, struct kolk__buffer *buffer,
		      const void *bytes, size_t size);
void kolk__buffer_free(const struct kolk__transport *transport, struct kolk__buffer *buffer);
/* The same, and nothing of it stays readable: for what was to be sent. */
void kolk__buffer_forget(const struct kolk__transport *transport, struct kolk__buffer *buffer);
static inline size_t kolk__buffer_size(const struct kolk__buffer *buffer)
{
	return buffer->end - buffer->start;
}
/* Make what is pending the next to be sent, when everything before is gone. */
static inline void kolk__buffer_turn(struct kolk__buffer *out, struct kolk__buffer *pending)
{
	struct kolk__buffer empty = *out;

	if (kolk__buffer_size(out) != 0 || kolk__buffer_size(pending) == 0)
		return;
	*out = *pending;
	empty.start = empty.end = 0;
	*pending = empty;
}

/* what an operating-system error means to a caller */
enum kolk_err kolk__err_of(int64_t result);
/* How the stream ended, when link.ended. */
static inline enum kolk_err kolk__link_end(const struct kolk__link *link)
{
	return kolk__err_of(link->end_error);
}

/* link.c */
struct kolk__link *kolk__link_make(struct kolk__tloop *tloop, struct kolk__origin *origin,
				   void *connection);
void kolk__link_free(struct kolk__link *link);
bool kolk__link_is_quiet(const struct kolk__link *link); /* nothing in flight */
/* Before the first bytes of a lease are sent: what came before must not be taken for their answer.
 * E_CLOSED = nothing was sent, try another connection. KOLK_PENDING = something came, and link.in
 * is the home loop's: stop the stream (input.h), then ask kolk__link_admit. [holder] */
enum kolk_err kolk__link_begin_use(struct kolk__link *link, bool at_home);
enum kolk_err kolk__link_admit(struct kolk__link *link, bool at_home);
void kolk__link_become_ready(struct kolk__link *link);

/* Is there anything that nobody asked for? KOLK_OK = no, but perhaps for part of a TLS record;
 * E_PROTOCOL = data; E_CLOSED, E_RESET and others = the end; KOLK_PENDING = only home can tell.
 * settle: the same when the driver has heard it, and its answers are out. [home, holder] */
enum kolk_err kolk__link_look(struct kolk__link *link, bool at_home);
enum kolk_err kolk__link_settle(struct kolk__link *link, bool at_home);
/* Why a connection is closed on which that was found. */
enum kolk_reason kolk__link_reason(enum kolk_err err);
/* To the driver of a peer that may speak unasked: all that is there; or these bytes, which came
 * after the first send of a lease, in a record that had begun before it (E_CLOSED: no more of it
 * is read). */
enum kolk_err kolk__link_hear(struct kolk__link *link);
enum kolk_err kolk__link_unasked(struct kolk__link *link, const void *bytes, size_t size);
void kolk__link_trim(struct kolk__link *link); /* an idle connection keeps no buffer */
/* It is on its way out of the idle state for a while: a ping, or mending. */
static inline bool kolk__link_is_away(const struct kolk__link *link)
{
	return link->phase == KOLK__PINGING_LINK || link->phase == KOLK__MENDING_LINK;
}

/* Its dial succeeded, and nobody closes it. */
static inline bool kolk__link_is_open(const struct kolk__link *link)
{
	return link->phase == KOLK__READY || kolk__link_is_away(link);
}

/* dial.c */
void kolk__dial_upgraded(struct kolk__link *link); /* now TLS */
void kolk__link_deadline(struct kolk__link *link, uint64_t ns); /* of a phase, from now */
void kolk__dial_fail(struct kolk__link *link, enum kolk_err err, enum kolk_phase phase,
		     int64_t os_error, int tls_error);
void kolk__dial_end_if_quiet(struct kolk__link *link);
void kolk__dial_follow(struct kolk__link *link); /* it need not wait for a session any more */

/* exchange.c: bytes to and fro on the home loop, for handshakes, openings, pings and mending */
void kolk__exchange_go(struct kolk__link *link);
void kolk__exchange_upgrade(struct kolk__link *link);
void kolk__exchange_input(struct kolk__link *link); /* link.in changed, or ended */
void kolk__exchange_accept(struct kolk__link *link); /* KOLK__ACCEPTING has lasted long enough */

/* origin.c */
int kolk__origin_socket(const struct kolk__origin *origin, uint32_t family);

/* resource.c */
enum kolk_err kolk__resource_dial(struct kolk__link *link);
void kolk__resource_ping(struct kolk__link *link);
void kolk__resource_close(struct kolk__link *link);
/* After the ring is closed: what a link or a job still has is given back. */
void kolk__resource_drop(struct kolk__link *link);
void kolk__jobs_drop(struct kolk__tloop *tloop);

#endif
