/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.h - the transport's own view of transport.h: the structs link, upstream and io_loop.
 *
 * A link in its phases:
 *
 *   RESOLVING -> CONNECTING -> (AWAITING_SESSION) -> HANDSHAKING -> OPENING -> READY <-> PINGING
 *        +------------+----------------+------------------+-----------+-> ENDING   +-> CLOSING
 *
 * UPGRADING, in plain text, comes before the handshake if the driver needs it. A link that returns
 * from a lease and is not clean, or whose peer sent unsolicited bytes while it was idle, is
 * RESETTING for a while.
 *
 * At most one send, one receive, one watch (or stream, input.h) and one job are in flight
 * for a link; it is freed when the last of them has completed.
 */
#ifndef KOLK_LINK_H
#define KOLK_LINK_H

#include "core/base/assert.h"
#include "core/base/atomic.h"
#include "core/base/bytes.h"
#include "core/base/heap.h"
#include "core/base/mailbox.h"
#include "transport/endpoint.h"
#include "transport/transport.h"

enum { KOLK__ADDRESSES = 8, KOLK__SPARES = 8 };

struct kolk__transport {
	const struct kolk_sys *sys;
	struct kolk__link_callbacks callbacks;
	uint32_t backend;
	const char *name;      /* the back end in use; NULL until the first loop */
	kolk__atomic_u64 upstreams; /* relaxed: opened so far */
};

struct kolk__buffer {
	uint8_t *bytes;
	size_t start, end, capacity;
};

struct resolution;
struct kolk__dns_cache;
struct kolk__job;

struct kolk__io_loop {
	struct kolk__transport *transport;
	struct kolk_ring *ring;
	struct kolk__heap timers;
	uint64_t timers_ran_ns;            /* timers due until then have fired */
	struct kolk__io *done, **done_end; /* operations whose callback is due */
	struct kolk__link *links;          /* all that are at home here */
	struct kolk__mailbox mailbox;          /* tasks posted by other loops and threads */
	bool no_streams;                   /* this ring cannot */
	struct kolk__buffer spare[KOLK__SPARES]; /* large and empty: input.c */
	uint32_t spares;
	kolk__atomic_u64 unread;           /* relaxed: bytes in link.in of its links */
	struct kolk__job *jobs;            /* all that are in flight */
	struct resolution *resolutions;    /* dns_cache.c */
#ifdef KOLK__ASSERTIONS
	kolk__atomic_uptr thread; /* W: its stepper, its closer. R: anyone (relaxed: its own?) */
#endif
};

/* For assertions: is this the thread that steps it, or may it become that? */
bool kolk__io_loop_is_mine(const struct kolk__io_loop *loop);
#define KOLK__ON_LOOP(loop) KOLK__ASSERT(kolk__io_loop_is_mine(loop))
#define KOLK__HOME(link) KOLK__ON_LOOP((link)->loop)
/* The same, if the caller says that it is at home. */
#define KOLK__AT_HOME(link, at_home) KOLK__ASSERT(!(at_home) || kolk__io_loop_is_mine((link)->loop))

struct kolk__tls_config;
struct kolk__tls;
struct kolk__child_config;
struct kolk__child;

/* Immutable except streams, refs, and what kolk__upstream_tune stores (socket, times,
 * reset_bytes_max and the times of child; relaxed). Its pool has a reference, and each link from
 * its dial until it is freed. Loops, workers, holders and dns_cache.c use link->upstream only while
 * the link exists, so they need no reference of their own. */
struct kolk__upstream {
	struct kolk__transport *transport;
	uint64_t number;              /* later ones are greater: tls_sessions.c */
	kolk__atomic_u32 refs;        /* W: its pool, links */
	const struct kolk_driver *driver_given; /* the owner of the sessions; kolk_lease_session */
	const struct kolk_driver *driver;       /* &driver_read; NULL = a resource */
	const struct kolk_resource_driver *resource; /* &resource_read; NULL = none */
	struct kolk_driver driver_read;              /* both as this library knows them */
	struct kolk_resource_driver resource_read;
	void *driver_user;
	void *driver_options;         /* of a driver that has some: driver_user, to be freed */
	size_t driver_bytes;
	struct kolk__tls_config *tls; /* NULL = plain */
	struct kolk__child_config *child; /* NULL = sockets */
	struct kolk__dns_cache *dns;                 /* to resolve; NULL = the address is given */
	struct kolk__endpoint endpoint;
	struct kolk_address bind;
	char bind_text[KOLK__HOST_MAX]; /* "" = none */
	char bind_zone[KOLK__ZONE_MAX];
	struct kolk_sock_options socket; /* bind: &bind or NULL */
	struct {
		kolk__atomic_u64 resolve_ns, connect_ns, tls_ns, ready_ns, ping_ns, reset_ns;
		kolk__atomic_u64 retry_ns, retry_max_ns;
	} times; /* durations */
	kolk__atomic_u32 reset_bytes_max;
	/* W, R: home loops (relaxed: a hint): loops read its connections. */
	kolk__atomic_bool streams;
};

struct kolk__race;

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

struct kolk__link {
	struct kolk__io_loop *loop;       /* home */
	struct kolk__upstream *upstream;
	kolk__tls_sessions_ptr *tls_sessions;
	void *connection;
	struct kolk__link *next, **prev;  /* loop.links */
	enum kolk__link_phase phase;
	int fd;                           /* -1 = none */
	struct kolk__timeout timeout;     /* of the phase */
	uint64_t began_ns;
	struct kolk_failure failure;      /* why it is ENDING, or a ping failed */
	enum kolk_reason reason;

	struct kolk_op send_op, recv_op, watch_op; /* recv_op: handshakes, too */
	struct kolk__buffer out;          /* being sent; untouched while send_op is in flight */
	struct kolk__buffer pending;      /* to be sent next */
	struct kolk__buffer in;           /* received, not read: input.h, like the next fields */
	kolk__atomic_u32 unread, streaming, task_posted;
	int32_t end_error;                /* why the stream ended: 0 = FIN, or -errno */
	struct kolk__io *pending_read;    /* home's: waits for the stream */
	struct kolk__io *ready_read;      /* home's: has bytes, its callback is due in this step */
	/* The loop whose operations wait for the hand-off: input.h. */
	KOLK__ATOMIC(struct kolk__io_loop *) remote_reader;
	struct kolk__task task;
	bool wants_stream, paused, handing_off, ended, bulk;
	struct kolk__tls *tls;            /* NULL = plain */
	struct kolk__link *waiting_next;  /* under tls_sessions.lock, as is awaits_session */
	uint64_t session_epoch;           /* tls_sessions.epoch when the handshake began */
	bool awaits_session;
	void *session;                    /* the driver's */
	bool driver_begun;                /* the driver was called: close must be, too */
	bool reset_tried;                 /* RESETTING: the driver has tried */
	uint64_t unsolicited_bytes;       /* unsolicited, or while RESETTING: bounded */
	void *resource;
	struct kolk__job *job;            /* work in flight */
	struct kolk__io *sending, *receiving; /* a caller's asynchronous operations */

	struct kolk__race *race;          /* while connecting: connect.c */
	struct kolk__child *child;        /* the owner of fd (stdin and stdout); NULL = a socket */
	struct resolution *resolution;    /* while resolving: dns_cache.c, as the next */
	struct kolk__link *resolution_next;
	uint32_t address_hash;            /* hash of its address */

	kolk__atomic_bool used; /* I/O since it was last proved clean; STREAM.SC in input.h */
	bool written; /* something was handed to the kernel during this lease */
	bool awaits_reply;   /* bytes were sent by a thread, and it has not listened since */
	bool failed;  /* an operation did not end well: must be closed */
	bool send_waits; /* for the hand-off, to be admitted; a receive waits, too, then */
	bool refused; /* by begin_use, or kolk__link_unsolicited: nothing more is read */
	bool retired;
	bool dial_cancelled; /* the pool cancelled the dial: its timeout ends it */
};

static inline struct kolk__link *kolk__link_of_task(struct kolk__task *task)
{
	return (struct kolk__link *)(void *)((char *)task - offsetof(struct kolk__link, task));
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

/* ---- operations: prepared, then submitted */

typedef void kolk__op_fn(struct kolk_op *op);

static inline void kolk__op_transfer(struct kolk_op *op, enum kolk_op_kind kind, int fd,
				     struct kolk__space space)
{
	op->kind = (uint8_t)kind;
	op->fd = fd;
	op->data = space.start;
	op->size = space.size;
}

static inline void kolk__op_send(struct kolk_op *op, int fd, const uint8_t *bytes, size_t size)
{
	void *start = (void *)(uintptr_t)bytes; /* which the ring only reads */

	kolk__op_transfer(op, KOLK_OP_SEND, fd, (struct kolk__space){ start, size });
}

static inline void kolk__op_recv(struct kolk_op *op, int fd, uint8_t *space, size_t size)
{
	kolk__op_transfer(op, KOLK_OP_RECV, fd, (struct kolk__space){ space, size });
}

/* STREAM, WATCH, POLL; and CONNECT, to the address that is in it. */
static inline void kolk__op_fd(struct kolk_op *op, enum kolk_op_kind kind, int fd)
{
	kolk__op_transfer(op, kind, fd, (struct kolk__space){ NULL, 0 });
}

/* On a worker thread: RESOLVE (work is NULL), or WORK and SPAWN, which call it. */
static inline void kolk__op_work(struct kolk_op *op, enum kolk_op_kind kind, kolk__op_fn *work,
				 void *data)
{
	op->work = work;
	kolk__op_transfer(op, kind, -1, (struct kolk__space){ data, 0 });
}

/* loop.c */
/* done will run in a step of this loop, and finds owner in the operation. */
void kolk__submit(struct kolk__io_loop *loop, struct kolk_op *op, kolk__op_fn *done, void *owner);
void kolk__cancel(struct kolk__io_loop *loop, struct kolk_op *op);
void kolk__io_finish(struct kolk__io *io, enum kolk_err err);
void kolk__transport_log(struct kolk__transport *transport, enum kolk_log_level level,
			 const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Run the task on that loop's thread. Any thread. */
void kolk__io_loop_post(struct kolk__io_loop *loop, struct kolk__task *task,
			void (*run)(struct kolk__task *task));

/* buffer.c */
bool kolk__buffer_reserve(const struct kolk__transport *transport, struct kolk__buffer *buffer,
			  size_t size);
bool kolk__buffer_add(const struct kolk__transport *transport, struct kolk__buffer *buffer,
		      const void *bytes, size_t size);
void kolk__buffer_free(const struct kolk__transport *transport, struct kolk__buffer *buffer);
/* The same, and wipe it: for bytes that were to be sent. */
void kolk__buffer_wipe(const struct kolk__transport *transport, struct kolk__buffer *buffer);
static inline size_t kolk__buffer_size(const struct kolk__buffer *buffer)
{
	return buffer->end - buffer->start;
}
/* When everything before was sent, make the pending bytes the next to be sent. */
static inline void kolk__buffer_promote(struct kolk__buffer *out, struct kolk__buffer *pending)
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
struct kolk__link *kolk__link_make(struct kolk__io_loop *loop, struct kolk__upstream *upstream,
				   void *connection);
void kolk__link_free(struct kolk__link *link);
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
/* Why a connection is closed on which that was found. */
enum kolk_reason kolk__link_reason(enum kolk_err err);
/* Pass unsolicited bytes to the driver: everything that is there; or these bytes, which came after
 * the first send of a lease in a record that had begun before it (E_CLOSED: the rest of it is not
 * read). */
enum kolk_err kolk__link_feed_unsolicited(struct kolk__link *link);
enum kolk_err kolk__link_unsolicited(struct kolk__link *link, const void *bytes, size_t size);
void kolk__link_trim(struct kolk__link *link); /* an idle connection keeps no buffer */
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

/* dial.c */
void kolk__dial_upgraded(struct kolk__link *link); /* now TLS */
void kolk__link_deadline(struct kolk__link *link, uint64_t ns); /* of a phase, from now */
/* Fail in the phase that it is in. os_error: -errno; 0 and more are none. */
void kolk__dial_fail(struct kolk__link *link, enum kolk_err err, int64_t os_error, int tls_error);
void kolk__dial_end_if_quiescent(struct kolk__link *link);
void kolk__dial_resume(struct kolk__link *link); /* it need not wait for a session any more */

/* exchange.c: bytes in both directions on the home loop: handshakes, openings, pings, resets */
void kolk__exchange_pump(struct kolk__link *link);
void kolk__exchange_upgrade(struct kolk__link *link);
void kolk__exchange_on_read(struct kolk__link *link); /* link.in changed, or ended */
void kolk__exchange_confirm(struct kolk__link *link); /* KOLK__CONFIRMING has lasted long enough */

/* upstream.c */
int kolk__upstream_socket(const struct kolk__upstream *upstream, uint32_t family);

/* resource.c */
enum kolk_err kolk__resource_dial(struct kolk__link *link);
void kolk__resource_ping(struct kolk__link *link);
void kolk__resource_close(struct kolk__link *link);
/* After the ring is closed: free what a link or a job still has. */
void kolk__resource_drop(struct kolk__link *link);
void kolk__jobs_drop(struct kolk__io_loop *loop);

#endif
