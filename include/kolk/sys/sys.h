/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/sys/sys.h - the system interface: time, randomness, memory, threads and I/O as one table of
 * functions. UNSTABLE: may change between minor versions.
 *
 * The engine reaches the outside only through this table, so the same engine runs on io_uring, on
 * epoll and, with a virtual clock and a seeded order of events, in the simulator. kolk_sys_linux()
 * is this machine.
 *
 * Rings. A ring belongs to the thread that first steps it: ring_submit, ring_cancel, ring_step
 * and ring_flush are for that thread only, ring_wake for any. Every back end keeps these laws, and
 * tests/ring runs random programs against them:
 *
 *   1. Calls back only from ring_step, and in a later step than the one that submitted: no chain of
 *      completions can prolong a step. A STREAM delivers a bounded number of bytes per step, an
 *      ACCEPT a bounded number of connections.
 *   2. Each submitted operation ends exactly once, with a done() that has in_flight = 0. Only
 *      STREAM and ACCEPT call done() before that, once per piece or connection, with in_flight = 1.
 *      Until its end, the operation and the memory that it names belong to the ring. From the last
 *      done() on they are the submitter's, who may free them, or submit the operation again, inside
 *      that done().
 *   3. done() may submit and cancel any operation (a STREAM that delivers a piece may cancel
 *      itself) and close descriptors, like all code on the thread.
 *   4. ring_cancel may be called any number of times for an operation in flight, and calls nothing
 *      back. The result is then -ECANCELED, or the real one if the operation had already ended. No
 *      byte is lost: what a STREAM has read from the socket is delivered as a piece first. An
 *      ACCEPT takes each connection out of the queue only when it delivers it: none is delivered
 *      after a cancel or ring_close, and the others stay in the queue.
 *   5. A descriptor has in flight at most one of CONNECT and SEND, one of RECV, POLL and STREAM,
 *      and one of WATCH and STREAM, even over the rings of several threads. On a listening socket
 *      each ring may have one ACCEPT. A descriptor is closed only when nothing is in flight on it,
 *      by sock_close, sock_reset or sock_unlisten. Its number may be reused at once, for another
 *      socket.
 *   6. An operation that cannot be begun ends with an error, like any other. Results are counts or
 *      -errno.
 *   7. ring_close calls nothing back. Operations in flight end silently, and their memory is free.
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
	KOLK_OP_STREAM,  /* fd: receives all that arrives, until the end or a cancel. For each piece
	                  * done() runs with in_flight = 1, result > 0 and data pointing at the
	                  * bytes, which are valid until it returns; at the end it runs once with
	                  * in_flight = 0 and 0 = end of stream or -errno (-EOPNOTSUPP: not
	                  * supported here) */
	KOLK_OP_WATCH,   /* fd: ends when the peer hangs up; 0 = FIN, -errno = error. Data that
	                  * arrives does not end it */
	KOLK_OP_RESOLVE, /* data: struct kolk_lookup; result: addresses, or -errno (-ENOENT: there
	                  * is no such name) */
	KOLK_OP_WORK,    /* work(op) runs on a worker thread, then done; cannot be cancelled */
	KOLK_OP_SPAWN,   /* as WORK, for child_spawn: its thread has the priority of the ring's, and
	                  * lives as long as there are rings, so that children may depend on it */
	KOLK_OP_POLL,    /* fd of any kind (a pipe, a pidfd): ends when a read would not block */
	KOLK_OP_ACCEPT   /* fd: a listening socket; size: its keepalive_ns in seconds, 0 = off, for
	                  * a back end that varies it by socket. Accepts every connection that
	                  * comes, until an error or a cancel. For each one done() runs with
	                  * in_flight = 1, result its descriptor (the submitter's; close-on-exec,
	                  * non-blocking) and data the peer's struct kolk_address, valid until it
	                  * returns; at the end it runs once with in_flight = 0 and -errno (-EMFILE,
	                  * -ENOBUFS ...: try again later) */
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
	uint8_t lazy : 1;                 /* of a SEND in flight: its end alone need not wake
	                                   * ring_step at once; a back end may ignore this */
	uint8_t state;                    /* the back end's */
	uint64_t ring_private[2];         /* the back end's */
};

/* One address of a resolved name: a struct sockaddr of any family. */
struct kolk_address {
	uint32_t size;     /* of the struct sockaddr */
	uint32_t family;   /* AF_INET, AF_INET6, AF_UNIX */
	uint8_t bytes[120]; /* struct sockaddr_un is 110 */
};

/* A RESOLVE's question and answer; the submitter's memory, valid until it is done. */
struct kolk_lookup {
	const char *host;
	const char *servers; /* "ip:port,..."; "" = the system's */
	struct kolk_address *addresses; /* in the order in which they should be tried */
	uint32_t capacity;
	uint32_t port;
	uint32_t ttl_s;      /* how long the answer may be kept */
	uint32_t partial;    /* 1 = one address family did not answer in time */
	uint32_t whole;      /* in: 1 = wait for both families even if one is late */
	uint32_t reserved;
};

/* How sock_open makes a socket. */
struct kolk_sock_options {
	uint64_t keepalive_ns;           /* KOLK_FOREVER = off */
	uint64_t unacked_ns;             /* KOLK_FOREVER = the system's */
	const struct kolk_address *bind; /* NULL = any */
	uint32_t port_min, port_max;     /* 0 = any */
	uint32_t speaks_first;           /* 1 = as soon as it is connected, bytes are sent or
	                                  * sock_acknowledge is called */
	uint32_t reserved;
};

/* How sock_listen makes a listening socket. */
struct kolk_sock_listen {
	const struct kolk_address *address; /* NULL = fd listens already, and gets its options
	                                     * set */
	int32_t fd;
	uint32_t backlog;
	uint32_t share;    /* of several sockets at one address (SO_REUSEPORT): 1 = the first, which
	                    * fails if the address is taken, 2 = a further one */
	uint32_t mode;     /* of a Unix socket's file, as are the next two */
	uint64_t *file;    /* NULL, or two numbers: of that file, for sock_unlink */
	const char *owner; /* "user" or "user:group", names or numbers; NULL = the process's */
	uint64_t keepalive_ns; /* of what it accepts; KOLK_FOREVER = off */
};

/* What to run as a child process; see struct kolk_child_options. */
struct kolk_child_spec {
	const char *const *command, *const *environment;
	const char *directory;           /* NULL = the process's own */
	uint32_t files_max;              /* 0 = as the process */
	uint32_t reserved;
};

/* A child process that runs, or has ended and was not reaped yet. Descriptors are close-on-exec and
 * non-blocking. */
struct kolk_child {
	int32_t pid;      /* of its own session and process group, too */
	int32_t pid_fd;   /* readable when it has ended (pidfd_open(2)) */
	int32_t fd;       /* stream socket: its stdin and stdout */
	int32_t error_fd; /* pipe: its stderr */
	int32_t status;   /* once it is reaped: 0 .. 255 */
	int32_t signal;   /* or the signal that ended it; 0 = none */
};

#define KOLK_SOCK_READABLE 1u
#define KOLK_SOCK_WRITABLE 2u

/* Every function is required, except where NULL has a meaning. A table that is shorter than this
 * library's is refused (E_OPTIONS, "sys"). */
struct kolk_sys {
	uint32_t size;
	uint32_t cpu_count;
	void *context;

	/* Time: monotonic, ns, never 0. */
	uint64_t (*now_ns)(void *context);

	/* Randomness of cryptographic quality (the simulator: seeded). */
	void (*random_bytes)(void *context, void *bytes, size_t size);

	/* Memory: zeroed, aligned (power of two >= 8); NULL when there is none. Large memory should
	 * be zeroed lazily, on first use: tables that grow are allocated under a lock. */
	void *(*allocate)(void *context, size_t alignment, size_t size);
	void (*deallocate)(void *context, void *memory, size_t size);
	/* One zeroed page, which reads as zero in a child process after fork(2). */
	void *(*page_open)(void *context);
	void (*page_close)(void *context, void *page);

	/* Waiting: like futex(2), private. wait returns true when woken or if *word != expected,
	 * false when the deadline has passed; it may also return true spuriously. wake wakes at
	 * most count waiters; it is async-signal-safe, and the word's memory may be gone. */
	bool (*wait)(void *context, uint32_t *word, uint32_t expected, uint64_t deadline_ns);
	void (*wake)(void *context, uint32_t *word, uint32_t count);

	/* Threads. thread_start NULL = the engine starts none: loops are the embedder's and
	 * maintenance is stepped with kolk_engine_maintain. */
	enum kolk_err (*thread_start)(void *context, const char *name, void (*run)(void *arg),
				      void *arg, void **thread);
	void (*thread_join)(void *context, void *thread);

	/* Rings. ring_open picks or enforces the back end (enum kolk_backend); *name says which one
	 * it is, *why (static text, or NULL) why it is not io_uring. timeout_ns 0 = do not wait,
	 * KOLK_FOREVER. A step that waits looks for events without sleeping for the first busy_ns
	 * of its wait. ring_step returns 1 if it called back, 0 if it did not (it was woken or
	 * interrupted; completions may then be delivered by the next step), or -errno. ring_close:
	 * any thread, when no other is inside a call. */
	enum kolk_err (*ring_open)(void *context, uint32_t backend, struct kolk_ring **ring,
				   const char **name, const char **why);
	void (*ring_close)(struct kolk_ring *ring);
	void (*ring_submit)(struct kolk_ring *ring, struct kolk_op *op);
	void (*ring_cancel)(struct kolk_ring *ring, struct kolk_op *op);
	int (*ring_step)(struct kolk_ring *ring, uint64_t timeout_ns, uint64_t busy_ns);
	void (*ring_wake)(struct kolk_ring *ring);
	/* The owner is about to do something other than step: submit the wakes of other rings that
	 * it has queued and, once ring_fd was called, everything that it has queued. */
	void (*ring_flush)(struct kolk_ring *ring);
	/* Return a descriptor for an embedder's poll or epoll, readable when ring_step(ring, 0) has
	 * something to do, except for what ring_pending reports. Any thread; the owner steps once
	 * afterwards. */
	int (*ring_fd)(struct kolk_ring *ring);
	/* Return whether ring_step(ring, 0) has something to do that its descriptor does not show,
	 * because the owner itself queued it after the last step began. Owner only. */
	bool (*ring_pending)(struct kolk_ring *ring);

	/* Sockets: only sock_wait blocks; results are counts or -errno; any thread that owns the
	 * connection. sock_open makes a stream socket, close-on-exec, non-blocking, TCP_NODELAY,
	 * and as the options say. */
	int (*sock_open)(void *context, uint32_t family, const struct kolk_sock_options *options);
	int64_t (*sock_send)(void *context, int fd, const void *data, size_t size);
	int64_t (*sock_recv)(void *context, int fd, void *data, size_t size);
	/* Is anything to be read? > 0 = yes, 0 = end of stream, -EAGAIN = no. */
	int64_t (*sock_peek)(void *context, int fd);
	/* 1 = ready, 0 = deadline passed, -errno. events: KOLK_SOCK_*. */
	int (*sock_wait)(void *context, int fd, uint32_t events, uint64_t deadline_ns);
	/* What TCP knows: smoothed round-trip time, us, and segments retransmitted. 0 or -errno. */
	int (*sock_info)(void *context, int fd, uint32_t *rtt_us, uint32_t *resent);
	/* For a socket made with speaks_first that has nothing to send yet: let its peer know that
	 * it is connected (until then a server may not see the connection, and its end may go
	 * unnoticed). */
	void (*sock_acknowledge)(void *context, int fd);
	void (*sock_shutdown)(void *context, int fd); /* both ways; ends operations of others */
	void (*sock_close)(void *context, int fd); /* closes any descriptor */

	/* Listening. sock_listen returns a listening socket, or -errno (-ESRCH: no such owner,
	 * -EINVAL: fd is not a listening stream socket). A Unix socket's file appears when it
	 * listens. It replaces one that no process listens at; other files stay. sock_unlink
	 * removes the file with those numbers, before the socket is closed. sock_unlisten closes
	 * the socket in this process only. sock_share: of the sockets that listen at fd's address,
	 * the first count, in the order of sock_listen, get all new connections; 0 or -errno.
	 * sock_name: the address of the socket's own end, or the peer's. sock_credentials: process,
	 * user and group of a Unix socket's peer. sock_unsent: bytes that the peer's kernel has not
	 * taken yet. sock_end: send a FIN; the peer's bytes still arrive. sock_reset: close with a
	 * TCP reset. */
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

	/* Child processes; child_spawn NULL = not supported. child_spawn blocks until the child
	 * runs its program: 0 or -errno, including that of exec. child_kill: whole = the process
	 * group, otherwise the child alone; does nothing once the child is reaped. child_reap:
	 * 1 = the child had ended, what was left of its group was killed, status and signal are
	 * set; 0 = it still runs (not with wait). child_input_end: end its stdin. child_read: read
	 * from its stderr; count, 0 = end, -errno. */
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

/* Run one bounded turn of maintenance, for engines without threads. Returns when the next is due
 * (absolute; KOLK_FOREVER = when something happens). One thread at a time. */
KOLK_API uint64_t kolk_engine_maintain(struct kolk_engine *engine);
KOLK_END

#endif
