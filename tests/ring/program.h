/* SPDX-License-Identifier: Apache-2.0 */
/* program.h - what the files of a random program share: its rings, connections and operations.
 * See ring.h. */
#ifndef KOLK_TESTS_RING_PROGRAM_H
#define KOLK_TESTS_RING_PROGRAM_H

#include "tests/ring/ring.h"

enum { CONNS = 24, RINGS = 2, ROUND = 2000, OTHERS_MAX = 8 };
enum { SMALL = 64, LARGE = 200000, PERIOD = 65521, PIECES_MAX = 2100, PATIENCE_S = 20 };
enum { ACCEPTED_MAX = 64 }; /* in a step */

struct ring {
	struct kolk_ring *ring;
	uint64_t steps; /* begun */
	bool stepping, called;
};

struct program {
	const struct options *options;
	const struct kolk_sys *sys;
	void *world;
	uint64_t random, operations, round, numbers;
	uint64_t submitted, ended, pieces;
	uint64_t in_flight;
	bool settling; /* nothing new is begun, until the rings are closed */
	struct ring rings[RINGS];
	struct conn conns[CONNS];
	struct job *others[OTHERS_MAX]; /* work, names */
	int listeners[LISTENERS];
	struct job *accepts[RINGS][LISTENERS];
	uint64_t accepted;
	uint8_t bytes[LARGE];
};

/* One submit. */
struct job {
	struct kolk_op op; /* first */
	struct program *program;
	struct ring *ring;
	struct conn *conn;  /* NULL = none */
	struct job **other; /* where it is listed then */
	int listener;       /* of an ACCEPT */
	uint64_t submitted; /* steps of its ring that had begun */
	uint64_t step, pieces; /* pieces in that step */
	bool cancelled, worked;
	size_t size; /* of all of it */
	struct kolk_lookup lookup;
	struct kolk_address addresses[4];
	uint8_t bytes[];
};

/* program.c */
bool one_in(struct program *p, uint64_t n);
void must(struct job *job, bool held, const char *law);
void act(struct program *p); /* one random action */

/* bytes.c: each direction of each connection has its own */
void fill(const struct conn *conn, uint8_t *bytes, size_t size, uint64_t at,
	  bool from_peer);
void got(struct job *job, const void *bytes);

/* job.c */
void submit(struct job *job);
struct job *job_new(struct program *p, enum kolk_op_kind kind, size_t size);
void job_free(struct job *job);
void occupy(struct conn *conn, enum kolk_op_kind kind, struct job *job);
bool is_free(const struct conn *conn, enum kolk_op_kind kind);
size_t some(struct program *p);
void start(struct program *p, struct conn *conn, enum kolk_op_kind kind);
void start_one(struct program *p, struct conn *conn);
void start_other(struct program *p, enum kolk_op_kind kind);
void cancel(struct program *p, struct job *job);

/* conn.c */
struct conn *any_conn(struct program *p);
void say(struct program *p, struct conn *conn, size_t size);
void conn_open(struct program *p, struct conn *conn);
void close_if_quiet(struct program *p, struct conn *conn);
void conn_close(struct program *p, struct conn *conn);
void peer_end(struct program *p, struct conn *conn, bool reset);
void shut_down(struct program *p, struct conn *conn);

/* accept.c */
void listeners_open(struct program *p);
void accept_start(struct program *p);
void accept_cancel(struct program *p, bool all);
bool dial_in(struct program *p, struct conn *conn);
void accepted(struct job *job);      /* a connection came */
void accept_ended(struct job *job);
/* The rings are closed, or nothing is in flight: what nobody accepted is in the queues. */
void listeners_close(struct program *p);

/* completion.c */
void on_done(struct kolk_op *op);

#endif
