/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.h - random programs of ring operations, checked against the rules of <kolk/sys/sys.h>.
 *
 * A program has two rings of one thread and some connections. It submits, cancels, closes, and
 * lets the peers send, end and reset, both between two steps and from within completions. What
 * it knows of every operation and of every byte is its model: the first completion that does not
 * fit is the finding. The memory of an operation is freed in its last completion.
 */
#ifndef KOLK_TESTS_RING_H
#define KOLK_TESTS_RING_H

#include <kolk/sys/sys.h>

#include "tests/sim/sim.h"

enum direction { WRITE_DIRECTION, READ_DIRECTION, WATCH_DIRECTION, DIRECTIONS };

struct program;
struct world;
struct job;

struct conn {
	bool open, ready, closing, ended, gone, echoes; /* gone: what the peer said may be lost */
	bool dialled;             /* by the peer, and not accepted yet */
	int fd;
	uint64_t number;          /* never used twice */
	uint64_t said, received;  /* by the peer, and of it by us */
	uint64_t sent, received_bytes;     /* by us, and of it by the peer */
	struct job *job[DIRECTIONS];   /* in flight; a stream has two directions */
	struct kolk_address address;
	int peer_fd;              /* this machine; -1 = none yet */
	uint64_t peer;            /* the simulator's */
};

enum { LISTENERS = 2 };

/* Where the rings run, and what is at the other ends. */
struct world {
	/* Sets the program's table of functions. Once per round. */
	bool (*open)(struct program *program);
	void (*close)(struct program *program);
	/* A new socket: its number, or -errno. ready is set when it needs no CONNECT. */
	int (*socket)(struct program *program, struct conn *conn);
	void (*connected)(struct program *program, struct conn *conn);
	/* A peer dials a listener of listen: false = it cannot now. Is it the one at this address, with
	 * this socket of ours, which is as it must be? And: end it, accepted by nobody. */
	int (*listen)(struct program *program, int index); /* its socket */
	bool (*dial)(struct program *program, struct conn *conn, int index);
	bool (*is_from)(struct program *program, const struct conn *conn, int fd,
			const struct kolk_address *address);
	void (*give_up)(struct program *program, struct conn *conn);
	/* How many wait in the listener's queue; and close it. */
	uint32_t (*unlisten)(struct program *program, int index);
	size_t (*say)(struct program *program, struct conn *conn, uint8_t *bytes, size_t size);
	void (*receive_bytes)(struct program *program, struct conn *conn, size_t size);
	void (*end)(struct program *program, struct conn *conn, bool reset);
	/* Close our socket, and the peer's. stray: an event for what was closed before. */
	void (*leave)(struct program *program, struct conn *conn);
	void (*stray)(struct program *program);
	void (*advance_time)(struct program *program); /* some time */
	void (*close_ring)(struct program *program, struct kolk_ring *ring); /* by any thread */
};
extern const struct world world_linux, world_simulator;

struct options {
	const struct world *world;
	uint32_t backend; /* enum kolk_backend */
	uint64_t operations, seed;
};

uint64_t program_random(struct program *program);
uint64_t program_below(struct program *program, uint64_t bound);
/* The world's own data. */
void **program_memory(struct program *program);
const struct kolk_sys **program_sys(struct program *program);
/* The peer got these; the program looks whether they are what was sent. */
void program_received(struct program *program, struct conn *conn, const uint8_t *bytes,
		      size_t size);
int program_listener(struct program *program, int index);
struct conn *program_conn_of(struct program *program, uint64_t peer);
/* Never returns: reports what does not hold, where, and ends the process. */
_Noreturn void program_finding(struct program *program, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* So many operations; returns when all laws held. */
void program_run(const struct options *options);

#endif
