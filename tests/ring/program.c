/* SPDX-License-Identifier: Apache-2.0 */
/* program.c - the random program and its model. See ring.h. */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/atomic.h"
#include "tests/kit/measure.h"
#include "tests/kit/tap.h"
#include "tests/ring/ring.h"

enum { CONNS = 24, RINGS = 2, ROUND = 2000, OTHERS_MAX = 8 };
enum { SMALL = 64, LARGE = 200000, PERIOD = 65521, PIECES_MAX = 2100, PATIENCE_S = 20 };

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
	uint8_t bytes[LARGE];
};

/* One submit. */
struct job {
	struct kolk_op op; /* first */
	struct program *program;
	struct ring *ring;
	struct conn *conn;  /* NULL = none */
	struct job **other; /* where it is listed then */
	uint64_t submitted; /* steps of its ring that had begun */
	uint64_t step, pieces; /* pieces in that step */
	bool cancelled, worked;
	size_t size; /* of all of it */
	struct kolk_lookup lookup;
	struct kolk_address addresses[4];
	uint8_t bytes[];
};

/* ---- randomness, findings */

/* splitmix64, as in tests/sim/sim.c */
uint64_t program_random(struct program *p)
{
	uint64_t z = p->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t program_below(struct program *p, uint64_t bound)
{
	return program_random(p) % bound;
}

static bool one_in(struct program *p, uint64_t n)
{
	return program_below(p, n) == 0;
}

void **program_memory(struct program *p)
{
	return &p->world;
}

const struct kolk_sys **program_sys(struct program *p)
{
	return &p->sys;
}

_Noreturn void program_finding(struct program *p, const char *format, ...)
{
	va_list args;

	printf("# seed %" PRIu64 ", round %" PRIu64 ", operation %" PRIu64 ": ",
	       p->options->seed, p->round, p->operations);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\nnot ok 1 - random operations\n1..1\n");
	fflush(stdout);
	_Exit(1);
}

static const char *kind_name(const struct job *job)
{
	static const char *const names[] = { "CONNECT", "SEND", "RECV", "STREAM", "WATCH",
					     "RESOLVE", "WORK", "SPAWN", "POLL" };

	return names[job->op.kind];
}

static void must(struct job *job, bool held, const char *law)
{
	if (!held)
		program_finding(job->program, "%s: %s (result %d, in_flight %d, cancelled %d)",
				kind_name(job), law, job->op.result, job->op.in_flight,
				job->cancelled);
}

/* ---- bytes: each direction of each connection has its own */

/* The bytes from that place on: as many as LARGE, out of a sequence that repeats itself. */
static const uint8_t *bytes_at(const struct conn *conn, uint64_t at, bool from_peer)
{
	static uint8_t sequence[PERIOD + LARGE];

	for (uint64_t i = 0, state = 1; sequence[0] == 0 && i < sizeof sequence; i++) {
		size_t from_end = sizeof sequence - 1 - i; /* the first is made last */

		state = state * 6364136223846793005u + 1442695040888963407u;
		sequence[from_end] = from_end + PERIOD < sizeof sequence ?
					     sequence[from_end + PERIOD] :
					     (uint8_t)(1 + (state >> 40) % 255);
	}
	return sequence + (conn->number * 7919 + from_peer * 104729u + at) % PERIOD;
}

static void fill(const struct conn *conn, uint8_t *bytes, size_t size, uint64_t at,
		 bool from_peer)
{
	memcpy(bytes, bytes_at(conn, at, from_peer), size);
}

static bool fits(const struct conn *conn, const uint8_t *bytes, size_t size, uint64_t at,
		 bool from_peer)
{
	return memcmp(bytes, bytes_at(conn, at, from_peer), size) == 0;
}

static void got(struct job *job, const void *bytes)
{
	struct conn *conn = job->conn;
	size_t size = (size_t)job->op.result;

	must(job, conn->received + size <= conn->said, "more came than the peer said");
	must(job, fits(conn, bytes, size, conn->received, true),
	     "bytes are lost, doubled or changed");
	conn->received += size;
}

void program_received(struct program *p, struct conn *conn, const uint8_t *bytes, size_t size)
{
	/* The bytes of an operation in flight may arrive before its completion is reported. */
	if (!fits(conn, bytes, size, conn->received_bytes, false))
		program_finding(p, "SEND: the peer got other bytes than were sent");
	conn->received_bytes += size;
}

struct conn *program_conn_of(struct program *p, uint64_t peer)
{
	for (struct conn *conn = p->conns; conn < p->conns + CONNS; conn++)
		if (conn->open && conn->peer == peer)
			return conn;
	return NULL;
}

/* ---- operations */

static void act(struct program *p);
static void on_done(struct kolk_op *op);

static void on_work(struct kolk_op *op)
{
	((struct job *)(void *)op)->worked = true;
}

static void submit(struct job *job)
{
	struct program *p = job->program;

	job->cancelled = job->worked = false;
	job->pieces = job->step = 0;
	job->submitted = job->ring->steps;
	p->operations++;
	p->submitted++;
	p->in_flight++;
	p->sys->ring_submit(job->ring->ring, &job->op);
}

static struct job *job_new(struct program *p, enum kolk_op_kind kind, size_t size)
{
	struct job *job = malloc(sizeof *job + size);

	if (job == NULL)
		program_finding(p, "no memory");
	memset(job, 0, sizeof *job);
	job->op.kind = (uint8_t)kind;
	job->op.done = on_done;
	job->op.work = on_work;
	job->op.size = size;
	job->op.data = job->bytes;
	job->program = p;
	job->size = sizeof *job + size;
	job->ring = &p->rings[one_in(p, 4)];
	return job;
}

static void job_free(struct job *job)
{
	if (job == NULL)
		return;
	memset(job, 0xee, job->size);
	free(job);
}

static enum direction direction_of(enum kolk_op_kind kind)
{
	return kind == KOLK_OP_CONNECT || kind == KOLK_OP_SEND ? WRITE_DIRECTION :
	       kind == KOLK_OP_RECV || kind == KOLK_OP_POLL    ? READ_DIRECTION : WATCH_DIRECTION;
}

static void occupy(struct conn *conn, enum kolk_op_kind kind, struct job *job)
{
	conn->job[direction_of(kind)] = job;
	if (kind == KOLK_OP_STREAM)
		conn->job[READ_DIRECTION] = job;
}

static bool is_free(const struct conn *conn, enum kolk_op_kind kind)
{
	return conn->open && !conn->closing && conn->job[direction_of(kind)] == NULL &&
	       (kind != KOLK_OP_STREAM || conn->job[READ_DIRECTION] == NULL);
}

static size_t some(struct program *p)
{
	return 1 + program_below(p, one_in(p, 16) ? LARGE / 10 : SMALL);
}

static void start(struct program *p, struct conn *conn, enum kolk_op_kind kind)
{
	size_t size = kind == KOLK_OP_SEND || kind == KOLK_OP_RECV ? some(p) : 0;
	struct job *job;

	if (!is_free(conn, kind) || (kind == KOLK_OP_CONNECT) == conn->ready)
		return;
	job = job_new(p, kind, size);
	job->conn = conn;
	job->op.fd = conn->fd;
	job->op.address = conn->address.bytes;
	job->op.address_size = conn->address.size;
	if (kind == KOLK_OP_SEND)
		fill(conn, job->bytes, size, conn->sent, false);
	occupy(conn, kind, job);
	submit(job);
}

static void start_one(struct program *p, struct conn *conn)
{
	static const enum kolk_op_kind kinds[] = { KOLK_OP_SEND, KOLK_OP_SEND, KOLK_OP_RECV,
						   KOLK_OP_STREAM, KOLK_OP_STREAM, KOLK_OP_WATCH,
						   KOLK_OP_WATCH, KOLK_OP_POLL };

	start(p, conn, kinds[program_below(p, sizeof kinds / sizeof kinds[0])]);
}

static void start_other(struct program *p, enum kolk_op_kind kind)
{
	static const char *const hosts[] = { "127.0.0.1", "::1", "nobody-answers.example" };
	struct job **place = &p->others[program_below(p, OTHERS_MAX)];
	struct job *job;

	if (*place != NULL)
		return;
	job = *place = job_new(p, kind, 0);
	job->other = place;
	job->lookup = (struct kolk_lookup){ .host = hosts[program_below(p, 3)],
					    .servers = "127.0.0.1:1",
					    .addresses = job->addresses,
					    .capacity = 4, .port = 80 };
	if (kind == KOLK_OP_RESOLVE)
		job->op.data = &job->lookup;
	submit(job);
}

static void cancel(struct program *p, struct job *job)
{
	if (job == NULL)
		return;
	p->operations++;
	for (uint64_t times = 1 + one_in(p, 4); times > 0; times--)
		p->sys->ring_cancel(job->ring->ring, &job->op);
	job->cancelled = job->op.kind != KOLK_OP_WORK;
}

/* ---- connections */

static struct conn *any_conn(struct program *p)
{
	return &p->conns[program_below(p, CONNS)];
}

static void say(struct program *p, struct conn *conn, size_t size)
{
	if (!conn->open || !conn->ready || conn->ended || conn->gone)
		return;
	fill(conn, p->bytes, size, conn->said, true);
	conn->said += p->options->world->say(p, conn, p->bytes, size);
	p->operations++;
}

static void conn_open(struct program *p, struct conn *conn)
{
	int fd;

	if (conn->open)
		return;
	*conn = (struct conn){ .number = ++p->numbers, .peer_fd = -1, .echoes = one_in(p, 48) };
	fd = p->options->world->socket(p, conn);
	if (fd < 0)
		return;
	conn->fd = fd;
	conn->open = true;
	if (!conn->ready)
		start(p, conn, KOLK_OP_CONNECT);
	else if (conn->echoes)
		say(p, conn, LARGE);
	else
		start_one(p, conn);
}

static void close_if_quiet(struct program *p, struct conn *conn)
{
	for (int direction = 0; direction < DIRECTIONS; direction++)
		if (conn->job[direction] != NULL)
			return;
	p->operations++;
	conn->open = false;
	p->options->world->leave(p, conn);
	if (!p->settling && one_in(p, 2))
		conn_open(p, conn); /* with the same number, as a rule */
}

static void conn_close(struct program *p, struct conn *conn)
{
	if (!conn->open || conn->closing)
		return;
	conn->closing = true;
	for (int direction = 0; direction < DIRECTIONS; direction++)
		cancel(p, conn->job[direction]);
	close_if_quiet(p, conn);
}

static void peer_end(struct program *p, struct conn *conn, bool reset)
{
	if (!conn->open || !conn->ready || conn->gone || (conn->ended && !reset))
		return;
	conn->ended = true;
	conn->gone = reset;
	p->operations++;
	p->options->world->end(p, conn, reset);
}

static void shut_down(struct program *p, struct conn *conn)
{
	if (!conn->open || !conn->ready)
		return;
	conn->ended = conn->gone = true; /* to us it looks the same */
	p->operations++;
	p->sys->sock_shutdown(p->sys->context, conn->fd);
}

/* ---- completions */

static bool is_broken(int32_t result)
{
	return result == -ECONNRESET || result == -EPIPE || result == -ENOTCONN;
}

static void stream_piece(struct job *job)
{
	struct program *p = job->program;
	struct conn *conn = job->conn;

	must(job, job->op.kind == KOLK_OP_STREAM && job->op.result > 0, "a piece of nothing");
	got(job, job->op.data);
	if (job->step != job->ring->steps)
		job->pieces = 0;
	job->step = job->ring->steps;
	must(job, ++job->pieces < PIECES_MAX, "holds the step up");
	p->pieces++;
	if (p->settling)
		return;
	if (conn->echoes) { /* each piece brings about the next */
		say(p, conn, LARGE);
		return;
	}
	if (one_in(p, 8))
		cancel(p, job);
	if (one_in(p, 16))
		conn_close(p, conn);
}

static void connect_done(struct job *job)
{
	int32_t result = job->op.result;

	must(job, result == 0 || (job->cancelled && result == -ECANCELED) ||
		     result == -ECONNREFUSED || result == -EADDRNOTAVAIL || result == -EAGAIN,
	     "an error that is none of a connect");
	if (result != 0 || job->conn->closing)
		return;
	job->conn->ready = true;
	job->program->options->world->connected(job->program, job->conn);
}

/* An operation on a connection ended: does the result fit what happened? */
static void check(struct job *job)
{
	struct conn *conn = job->conn;
	const struct kolk_sys *sys = job->program->sys;
	int32_t result = job->op.result;

	if (result == -ECANCELED) {
		must(job, job->cancelled, "cancelled without a cancel");
		return;
	}
	if (job->op.kind == KOLK_OP_CONNECT)
		return;
	if (result < 0) {
		must(job, is_broken(result) && (conn->gone || conn->ended), "an error from nowhere");
		return;
	}
	switch (job->op.kind) {
	case KOLK_OP_SEND:
		must(job, result > 0 && (size_t)result <= job->op.size, "more than it had");
		conn->sent += (uint64_t)result;
		break;
	case KOLK_OP_RECV:
		must(job, result > 0 || conn->ended, "the end, and the peer did not end");
		got(job, job->bytes);
		break;
	case KOLK_OP_POLL:
		must(job, sys->sock_peek(sys->context, conn->fd) != -EAGAIN, "nothing to read");
		break;
	default: /* STREAM, WATCH */
		must(job, result == 0 && conn->ended, "the end, and the peer did not end");
		must(job, job->op.kind != KOLK_OP_STREAM || conn->gone ||
			     conn->received == conn->said, "the end before the last byte");
	}
}

static void other_done(struct job *job)
{
	int32_t result = job->op.result;

	if (job->op.kind == KOLK_OP_WORK)
		must(job, job->worked && result == 0, "did not work");
	else
		must(job, result != -ECANCELED || job->cancelled, "cancelled without a cancel");
}

/* It has ended, in its last completion: submitted again there and then, or freed. */
static void last(struct job *job)
{
	struct program *p = job->program;
	struct conn *conn = job->conn;
	enum kolk_op_kind kind = job->op.kind;

	p->ended++;
	p->in_flight--;
	if (conn == NULL) {
		other_done(job);
		*job->other = NULL;
		job_free(job);
		return;
	}
	check(job);
	occupy(conn, kind, NULL);
	if (kind == KOLK_OP_CONNECT)
		connect_done(job);
	if (!p->settling && (kind == KOLK_OP_STREAM || kind == KOLK_OP_RECV) &&
	    is_free(conn, kind) && one_in(p, 3)) {
		occupy(conn, kind, job);
		job->op.data = job->bytes;
		submit(job);
		return;
	}
	job_free(job);
	if (kind == KOLK_OP_CONNECT && !conn->ready)
		conn->closing = true;
	if (conn->closing)
		close_if_quiet(p, conn);
}

static void on_done(struct kolk_op *op)
{
	struct job *job = (struct job *)(void *)op;
	struct program *p = job->program;
	bool calm;

	must(job, job->ring->stepping, "called back outside of its ring's step");
	job->ring->called = true;
	must(job, job->ring->steps > job->submitted, "called back in the step that submitted");
	calm = p->settling || (op->in_flight && job->conn->echoes);
	if (op->in_flight)
		stream_piece(job);
	else
		last(job);
	if (!calm)
		for (uint64_t i = program_below(p, 4); i > 1; i--)
			act(p);
}

/* ---- the program */

static void cancel_any(struct program *p)
{
	if (one_in(p, 16))
		cancel(p, p->others[program_below(p, OTHERS_MAX)]);
	else
		cancel(p, any_conn(p)->job[program_below(p, DIRECTIONS)]);
}

static void start_any(struct program *p)
{
	struct conn *conn = any_conn(p);

	if (one_in(p, 64))
		start_other(p, one_in(p, 2) ? KOLK_OP_WORK : KOLK_OP_RESOLVE);
	else if (conn->ready)
		start_one(p, conn);
}

static void act(struct program *p)
{
	const struct world *world = p->options->world;
	uint64_t what = program_below(p, 100);
	struct conn *conn = any_conn(p);

	if (what < 8)
		conn_open(p, conn);
	else if (what < 40)
		start_any(p);
	else if (what < 50)
		cancel_any(p);
	else if (what < 54)
		conn_close(p, conn);
	else if (what < 78)
		say(p, conn, one_in(p, 16) ? 1 + program_below(p, LARGE) : some(p));
	else if (what < 90 && conn->open && conn->ready)
		world->receive_bytes(p, conn, one_in(p, 4) ? LARGE : SMALL);
	else if (what < 93)
		peer_end(p, conn, one_in(p, 3));
	else if (what == 93)
		shut_down(p, conn);
	else if (what < 96)
		p->sys->ring_wake(p->rings[program_below(p, RINGS)].ring);
	else
		world->stray(p);
}

static void step(struct program *p, struct ring *ring, uint64_t timeout_ns)
{
	int result;

	ring->steps++;
	ring->stepping = true;
	ring->called = false;
	result = p->sys->ring_step(ring->ring, timeout_ns);
	ring->stepping = false;
	p->sys->ring_flush(ring->ring);
	if (result < 0)
		program_finding(p, "a step failed: %d", result);
	if (ring->called && result == 0)
		program_finding(p, "a step called back and says that it did not");
}

static void describe(const struct conn *conn)
{
	printf("# address family %u, %" PRIu64 " bytes said, %" PRIu64 " received, %s\n",
	       conn->address.family, conn->said, conn->received,
	       conn->gone ? "reset" : conn->ended ? "ended" : "open");
}

static _Noreturn void check_not_completed(struct program *p)
{
	for (struct conn *conn = p->conns; conn < p->conns + CONNS; conn++)
		for (int direction = 0; direction < DIRECTIONS; direction++) {
			if (conn->job[direction] == NULL)
				continue;
			describe(conn);
			must(conn->job[direction], false, "is never completed");
		}
	program_finding(p, "work or a name is never told");
}

/* Both ends take what waits for them: an end does not pass a full buffer. */
static void read_all(struct program *p)
{
	for (struct conn *conn = p->conns; conn < p->conns + CONNS; conn++) {
		if (!conn->open || !conn->ready)
			continue;
		p->options->world->receive_bytes(p, conn, LARGE);
		if (conn->received < conn->said && !conn->gone)
			start(p, conn, KOLK_OP_RECV);
	}
}

/* Steps until nothing is in flight. */
static void run_down(struct program *p)
{
	uint64_t ended_ns = clock_now(), before = p->ended;

	while (p->in_flight > 0) {
		for (int i = 0; i < RINGS; i++)
			step(p, &p->rings[i], KOLK_MS_NS / 10);
		read_all(p);
		p->options->world->advance_time(p);
		if (before != p->ended)
			ended_ns = clock_now();
		before = p->ended;
		if (clock_now() - ended_ns > PATIENCE_S * KOLK_S_NS)
			check_not_completed(p);
	}
}

/* Every peer ends: all that is in flight ends of itself, and what was said is all there. */
static void settle(struct program *p)
{
	p->settling = true;
	for (int i = 0; i < OTHERS_MAX; i++)
		cancel(p, p->others[i]); /* a name would take seconds */
	for (struct conn *conn = p->conns; conn < p->conns + CONNS; conn++) {
		if (conn->open && !conn->ready)
			conn_close(p, conn);
		peer_end(p, conn, false);
	}
	run_down(p);
	for (struct conn *conn = p->conns; conn < p->conns + CONNS; conn++)
		if (!conn->gone)
			start(p, conn, KOLK_OP_STREAM);
	run_down(p);
	for (struct conn *conn = p->conns; conn < p->conns + CONNS; conn++)
		conn_close(p, conn);
}

static void rings_open(struct program *p)
{
	const char *name = NULL, *why = NULL;

	for (int i = 0; i < RINGS; i++) {
		p->rings[i] = (struct ring){ 0 };
		if (p->sys->ring_open(p->sys->context, p->options->backend, &p->rings[i].ring,
				      &name, &why) != KOLK_OK)
			program_finding(p, "no ring: %s", why != NULL ? why : "?");
	}
}

static uint64_t sum_of(const struct job *job)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < job->op.size; i++)
		sum = sum * 31 + job->bytes[i];
	return sum;
}

/* The memory of what was in flight is free: what its peer says now does not arrive there. */
static void check_memory(struct program *p)
{
	uint64_t sums[CONNS] = { 0 };

	for (int i = 0; i < CONNS; i++)
		if (p->conns[i].job[READ_DIRECTION] != NULL) {
			sums[i] = sum_of(p->conns[i].job[READ_DIRECTION]);
			say(p, &p->conns[i], SMALL);
		}
	tap_nap();
	for (int i = 0; i < CONNS; i++)
		if (p->conns[i].job[READ_DIRECTION] != NULL)
			must(p->conns[i].job[READ_DIRECTION],
			     sums[i] == sum_of(p->conns[i].job[READ_DIRECTION]),
			     "its memory is written to after the ring was closed");
}

/* No operation refers to them any more. */
static void jobs_free(struct program *p)
{
	for (struct conn *conn = p->conns; conn < p->conns + CONNS; conn++) {
		if (conn->job[WATCH_DIRECTION] == conn->job[READ_DIRECTION])
			conn->job[WATCH_DIRECTION] = NULL;
		for (int direction = 0; direction < DIRECTIONS; direction++)
			job_free(conn->job[direction]);
		memset(conn->job, 0, sizeof conn->job);
	}
	for (int i = 0; i < OTHERS_MAX; i++) {
		job_free(p->others[i]);
		p->others[i] = NULL;
	}
	p->in_flight = 0;
}

/* With all operations in flight; no callback runs. */
static void rings_close(struct program *p)
{
	p->settling = true;
	for (int i = 0; i < RINGS; i++)
		p->options->world->close_ring(p, p->rings[i].ring);
	check_memory(p);
	jobs_free(p);
	for (struct conn *conn = p->conns; conn < p->conns + CONNS; conn++)
		if (conn->open)
			close_if_quiet(p, conn);
	p->settling = false;
}

static void round_run(struct program *p)
{
	uint64_t until = p->operations + ROUND;

	p->random = p->options->seed + ++p->round * UINT64_C(0xd1342543de82ef95);
	if (!p->options->world->open(p))
		program_finding(p, "no world");
	rings_open(p);
	while (p->operations < until) {
		for (uint64_t i = program_below(p, 8); i > 0; i--)
			act(p);
		step(p, &p->rings[one_in(p, 3)], one_in(p, 32) ? 50 * KOLK_US_NS : 0);
		p->options->world->advance_time(p);
	}
	if (!one_in(p, 4))
		settle(p);
	rings_close(p);
	p->options->world->close(p);
}

void program_run(const struct options *options)
{
	struct program *p = calloc(1, sizeof *p);

	if (p == NULL)
		abort();
	p->options = options;
	while (p->operations < options->operations)
		round_run(p);
	printf("# %" PRIu64 " operations, %" PRIu64 " submitted, %" PRIu64 " pieces, %" PRIu64
	       " connections, %" PRIu64 " rounds\n",
	       p->operations, p->submitted, p->pieces, p->numbers, p->round);
	free(p);
}
