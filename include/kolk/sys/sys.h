/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/sys/sys.h - the service entrance: time, randomness, memory, threads and I/O as one
 * table of functions. UNSTABLE: may change between minor versions.
 *
 * Everything that the engine needs from the outside comes in here, so that the same engine
 * runs on io_uring, on epoll and, with a virtual clock and a seeded order of events, in the
 * simulator. kolk_sys_linux() is this machine.
 *
 * Rings. A ring belongs to the thread that first steps it: ring_submit, ring_cancel, ring_step
 * and ring_flush are for that thread only, ring_wake for any. Every back end keeps these laws, and
 * tests/ring runs random programs against them:
 *
 *   1. Calls back from ring_step only, and in a later step than the one that submitted: no chain
 *      of completions can hold a step up. A stream brings a bounded number of bytes per step, an
 *      accept a bounded number of connections.
 *   2. Each submit ends once, by one done() with in_flight = 0. Only a STREAM and an ACCEPT call
 *      done() before, once per piece or connection, with in_flight = 1. Until it ends, the
 *      operation and the memory that it names are the ring's. From that done() on they are the
 *      submitter's: it may free them, or submit the operation again, there and then.
 *   3. done() may submit and cancel any operation (a stream that brings a piece: itself), and
 *      close descriptors, as everybody else on the thread.
 *   4. ring_cancel is for operations in flight, any number of times, and calls nothing. The result
 *      is -ECANCELED, or what it was when the operation had ended already. No byte is lost: what
 *      a stream took out of the socket before comes as a piece first. An ACCEPT takes a connection
 *      out of the queue to deliver it there and then: none comes after a cancel or ring_close, and
 *      what was not delivered is still in the queue.
 *   5. In flight on a descriptor is at most one of CONNECT and SEND, one of RECV, POLL and STREAM,
 *      one of WATCH and STREAM; rings of several threads may share them out. On a listening socket
 *      each ring may have one ACCEPT. A descriptor is closed when nothing is in flight on it, by
 *      sock_close, sock_reset or sock_unlisten. Its number may come back at once, and mean another
 *      socket.
 *   6. What cannot be begun ends with an error, like everything else. Results are counts or
 *      -errno.
 *   7. ring_close calls nothing. What is in flight ends without a word, and its memory is free.
 */
#ifndef KOLK_SYS_H
#define KOLK_SYS_H

#include <kolk/engine.h>

struct kolk_ring;

enum kolk_op_kind {
	KOLK_OP_CONNECT, /* fd; data, size: a struct sockaddr. -EAGAIN: not begun, the queue of a
	                  * Unix listener is full */
	KOLK_OP_SEND,    /* fd, data, size: may be short */
	KOLK_OP_RECV,    /* fd, data, size: 0 = end of stream */
	KOLK_OP_STREAM,  /* fd: all that arrives, until it ends or is cancelled. For each piece
	                  * done() runs with in_flight = 1, result > 0 and data pointing at the
	                  * bytes, which are gone when it returns; in the end once with
	                  * in_flight = 0 and 0 = end of stream or -errno (-EOPNOTSUPP: not here) */
	KOLK_OP_WATCH,   /* fd: ends when the peer hangs up; 0 = FIN, -errno = error. Data that
	                  * arrives does not end it */
	KOLK_OP_RESOLVE, /* data: struct kolk_lookup; result: addresses, or -errno (-ENOENT: there
	                  * is no such name) */
	KOLK_OP_WORK,    /* work(op) runs on a worker thread, then done; cannot be cancelled */
	KOLK_OP_SPAWN,   /* as WORK, for child_spawn: its thread has the priority of the ring's, and
	                  * lives as long as there are rings, so that children may depend on it */
	KOLK_OP_POLL,    /* fd of any kind (a pipe, a pidfd): ends when a read would not block */
	KOLK_OP_ACCEPT   /* fd: a listening socket; size: the seconds of its keepalive_ns, 0 = off, for
	                  * a back end that spreads them. Every connection that comes, until it ends
	                  * or is cancelled. For each one done() runs with in_flight = 1, result its
	                  * descriptor (the submitter's; close-on-exec, non-blocking) and data the
	                  * peer's struct kolk_address, gone when it returns; in the end once with
	                  * in_flight = 0 and -errno (-EMFILE, -ENOBUFS ...: try again later) */
};

struct kolk_op {
	void (*done)(struct kolk_op *op);
	void (*work)(struct kolk_op *op); /* WORK, SPAWN */
	void *owner;                      /* the submitter's */
	void *data;                       /* SEND reads it, RECV fills it, STREAM brings it */
	size_t size;
	int32_t fd;
	int32_t result;                   /* when done: count, or -errno */
	uint8_t kind;                     /* enum kolk_op_kind */
	uint8_t in_flight;                /* the back end's: 1 from submit until done */
	uint8_t cancelled : 1;            /* the back end's */
	uint8_t lazy : 1;                 /* SEND, while it is in flight: its end alone need not
	                                   * end a wait at once; a back end may ignore it */
	uint8_t state;                    /* the back end's */
	uint64_t ring_private[2];         /* the back end's */
};

/* One address of a resolved name: a struct sockaddr of any family. */
struct kolk_address {
	uint32_t size;     /* of the struct sockaddr */
	uint32_t family;   /* AF_INET, AF_INET6, AF_UNIX */
	uint8_t bytes[120]; /* struct sockaddr_un is 110 */
};

/* What a RESOLVE asks and what it brings; the submitter's until it is done. */
struct kolk_lookup {
	const char *host;
	const char *servers; /* "ip:port,..."; "" = the system's */
	struct kolk_address *addresses; /* in the order in which they should be tried */
	uint32_t capacity;
	uint32_t port;
	uint32_t ttl_s;      /* how long the answer may be kept */
	uint32_t partial;    /* 1 = the family that is not in it did not answer in time */
	uint32_t whole;      /* asks: 1 = wait for both families, also when one is late */
	uint32_t reserved;
};

/* How a socket is made. */
struct kolk_sock_options {
	uint64_t keepalive_ns;           /* KOLK_FOREVER = off */
	uint64_t unacked_ns;             /* KOLK_FOREVER = the system's */
	const struct kolk_address *bind; /* NULL = any */
	uint32_t port_min, port_max;     /* 0 = any */
	uint32_t speaks_first;           /* 1 = bytes are sent as soon as it is connected, or
	                                  * sock_acknowledge is called */
	uint32_t reserved;
};

/* How a listening socket is made. */
struct kolk_sock_listen {
	const struct kolk_address *address; /* NULL = fd listens already, and is made fit */
	int32_t fd;
	uint32_t backlog;
	uint32_t share;    /* of several sockets at one address (SO_REUSEPORT): 1 = the first, which
	                    * must have it for itself, 2 = another */
	uint32_t mode;     /* of a Unix socket's file, as the next */
	uint64_t *file;    /* NULL, or two numbers: of that file, for sock_unlink */
	const char *owner; /* "user" or "user:group", names or numbers; NULL = the process's */
	uint64_t keepalive_ns; /* of what it accepts; KOLK_FOREVER = off */
};

/* What is to run as a child process; see struct kolk_child_options. */
struct kolk_child_spec {
	const char *const *command, *const *environment;
	const char *directory;           /* NULL = the process's own */
	uint32_t files_max;              /* 0 = as the process */
	uint32_t reserved;
};

/* A child process that runs, or that ended and was not reaped yet. Descriptors are
 * close-on-exec and do not block. */
struct kolk_child {
	int32_t pid;      /* of its own session and process group, too */
	int32_t pid_fd;   /* readable when it has ended (pidfd_open(2)) */
	int32_t fd;       /* stream socket: its stdin and stdout */
	int32_t error_fd; /* pipe: its stderr */
	int32_t status;   /* when it was reaped: 0 .. 255 */
	int32_t signal;   /* or the signal that ended it; 0 = none */
};

#define KOLK_SOCK_READABLE 1u
#define KOLK_SOCK_WRITABLE 2u

/* Every function is required, except where it may be NULL: a table that is shorter than this
 * library's is refused (E_OPTIONS, "sys"). */
struct kolk_sys {
	uint32_t size;
	uint32_t cpu_count;
	void *context;

	/* Time: monotonic, ns, never 0. */
	uint64_t (*now_ns)(void *context);

	/* Randomness of cryptographic quality (the simulator: seeded). */
	void (*random_bytes)(void *context, void *bytes, size_t size);

	/* Memory: zeroed, aligned (power of two >= 8), NULL when there is none. Large memory should
	 * be zeroed when it is used: a table that grows is allocated under a lock. */
	void *(*allocate)(void *context, size_t alignment, size_t size);
	void (*deallocate)(void *context, void *memory, size_t size);
	/* One zeroed page that reads as zero in a fork's child. */
	void *(*page_open)(void *context);
	void (*page_close)(void *context, void *page);

	/* Waiting: like futex(2), private. wait returns true when woken or *word != expected,
	 * false when the deadline passed; it may also return true for no reason. wake wakes at
	 * most count waiters; async-signal-safe; a word that is gone is no error. */
	bool (*wait)(void *context, uint32_t *word, uint32_t expected, uint64_t deadline_ns);
	void (*wake)(void *context, uint32_t *word, uint32_t count);

	/* Threads. thread_start NULL = the engine starts none: loops are the embedder's and
	 * maintenance is stepped with kolk_engine_maintain. */
	enum kolk_err (*thread_start)(void *context, const char *name, void (*run)(void *arg),
				      void *arg, void **thread);
	void (*thread_join)(void *context, void *thread);

	/* Rings. ring_open picks or enforces the back end (enum kolk_backend), *name says which,
	 * *why (static text, or NULL) says why io_uring is not it. timeout_ns 0 = do not wait,
	 * KOLK_FOREVER. ring_step returns 1 when it called back, 0 when it did not (it was woken, or
	 * interrupted: what has come may be told by the next step), or -errno.
	 * ring_close: any thread, when no other is inside a call. */
	enum kolk_err (*ring_open)(void *context, uint32_t backend, struct kolk_ring **ring,
				   const char **name, const char **why);
	void (*ring_close)(struct kolk_ring *ring);
	void (*ring_submit)(struct kolk_ring *ring, struct kolk_op *op);
	void (*ring_cancel)(struct kolk_ring *ring, struct kolk_op *op);
	int (*ring_step)(struct kolk_ring *ring, uint64_t timeout_ns);
	void (*ring_wake)(struct kolk_ring *ring);
	/* The owner is about to do something else than step: wakes of other rings that it queued,
	 * and, once ring_fd was called, all that it queued, must not wait for the next step. */
	void (*ring_flush)(struct kolk_ring *ring);
	/* A descriptor for poll or epoll of a host: readable when ring_step(ring, 0) has something to
	 * do, but for what ring_pending tells. Any thread; the owner steps once afterwards. */
	int (*ring_fd)(struct kolk_ring *ring);
	/* Whether ring_step(ring, 0) has something to do that its descriptor does not tell: the
	 * owner itself queued it after the last step began. The owner's. */
	bool (*ring_pending)(struct kolk_ring *ring);

	/* Sockets: never block but for sock_wait; counts or -errno; any thread that owns the
	 * connection. sock_open makes a stream socket, close-on-exec, non-blocking,
	 * TCP_NODELAY, and as the options say. */
	int (*sock_open)(void *context, uint32_t family, const struct kolk_sock_options *options);
	int64_t (*sock_send)(void *context, int fd, const void *data, size_t size);
	int64_t (*sock_recv)(void *context, int fd, void *data, size_t size);
	/* Bytes waiting: > 0 something (or count), 0 = end of stream, -EAGAIN = quiet. */
	int64_t (*sock_peek)(void *context, int fd);
	/* 1 = ready, 0 = deadline passed, -errno. events: KOLK_SOCK_*. */
	int (*sock_wait)(void *context, int fd, uint32_t events, uint64_t deadline_ns);
	/* What TCP knows: smoothed round trip, us, and segments sent again. 0 or -errno. */
	int (*sock_info)(void *context, int fd, uint32_t *rtt_us, uint32_t *resent);
	/* A socket that was made to speak first has nothing to say yet: its peer is told that it is
	 * connected (until then a server may not see it, and its end is not heard of). */
	void (*sock_acknowledge)(void *context, int fd);
	void (*sock_shutdown)(void *context, int fd); /* both ways; ends operations of others */
	void (*sock_close)(void *context, int fd); /* closes any descriptor */

	/* Listening. sock_listen: such a socket, or -errno (-ESRCH: no such owner, -EINVAL: fd is no
	 * listening stream socket). A Unix socket's file appears when it listens. It replaces
	 * one that no process listens at; other files stay. sock_unlink removes the file with that
	 * number, before the socket is closed. sock_unlisten closes it here alone.
	 * sock_share: of the sockets that listen at fd's address, the first count in the order of
	 * sock_listen get what is dialled from now on; 0 or -errno. sock_name: of a socket's own end
	 * or its peer's. sock_credentials: process, user, group of a Unix socket's
	 * peer. sock_unsent: bytes that the peer's kernel has not taken yet. sock_end: FIN; what the
	 * peer sends still comes. sock_reset: close with a TCP reset. */
	int (*sock_listen)(void *context, const struct kolk_sock_listen *options);
	void (*sock_unlink)(void *context, const struct kolk_address *address,
			    const uint64_t file[2]);
	void (*sock_unlisten)(void *context, int fd);
	int (*sock_share)(void *context, int fd, uint32_t count);
	int (*sock_name)(void *context, int fd, bool peer, struct kolk_address *name);
	int (*sock_credentials)(void *context, int fd, uint32_t ids[3]);
	int64_t (*sock_unsent)(void *context, int fd);
	void (*sock_end)(void *context, int fd);
	void (*sock_reset)(void *context, int fd);

	/* Child processes; child_spawn NULL = there are none here. child_spawn blocks until the
	 * child runs its program: 0 or -errno, that of exec too. child_kill: whole = the process
	 * group, otherwise the child alone; nothing happens once it was reaped. child_reap: 1 = it
	 * had ended, what was left of its group was killed, status and signal are set; 0 = it runs
	 * (not with wait). child_input_end: it reads the end of its stdin. child_read: from its
	 * stderr; count, 0 = end, -errno. */
	int (*child_spawn)(void *context, const struct kolk_child_spec *spec,
			   struct kolk_child *child);
	void (*child_kill)(void *context, const struct kolk_child *child, int signal, bool whole);
	int (*child_reap)(void *context, struct kolk_child *child, bool wait);
	void (*child_input_end)(void *context, const struct kolk_child *child);
	int64_t (*child_read)(void *context, const struct kolk_child *child, void *data,
			      size_t size);
}; /* since 0.1 */

KOLK_BEGIN
/* This machine's table: constant, never freed; any thread. Copy it to replace a function. */
KOLK_API const struct kolk_sys *kolk_sys_linux(void);

/* One bounded turn of maintenance, for engines without threads. Returns when the next is
 * due (absolute, KOLK_FOREVER = when something happens). One thread at a time. */
KOLK_API uint64_t kolk_engine_maintain(struct kolk_engine *engine);
KOLK_END

#endif
