/* SPDX-License-Identifier: Apache-2.0 */
/* program.c - the random program: its findings, what it does next, its rounds. See ring.h. */
#include "tests/ring/program.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kit/measure.h"
#include "tests/kit/tap.h"

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

bool one_in(struct program *p, uint64_t n)
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
					     "RESOLVE", "WORK", "SPAWN", "POLL", "ACCEPT" };

	return names[job->op.kind];
}

void must(struct job *job, bool held, const char *law)
{
	if (!held)
		program_finding(job->program, "%s: %s (result %d, in_flight %d, cancelled %d)",
				kind_name(job), law, job->op.result, job->op.in_flight,
				job->cancelled);
}

/* ---- the program */

static void cancel_any(struct program *p)
{
	if (one_in(p, 8))
		accept_cancel(p, false);
	else if (one_in(p, 16))
		cancel(p, p->others[program_below(p, OTHERS_MAX)]);
	else
		cancel(p, any_conn(p)->job[program_below(p, DIRECTIONS)]);
}

static void start_any(struct program *p)
{
	struct conn *conn = any_conn(p);

	if (one_in(p, 8))
		accept_start(p);
	else if (one_in(p, 64))
		start_other(p, one_in(p, 2) ? KOLK_OP_WORK : KOLK_OP_RESOLVE);
	else if (conn->ready)
		start_one(p, conn);
}

void act(struct program *p)
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
	result = p->sys->ring_step(ring->ring, timeout_ns, one_in(p, 2) ? 20 * KOLK_US_NS : 0);
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
	accept_cancel(p, true);
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
	for (int i = 0; i < RINGS * LISTENERS; i++) {
		job_free(p->accepts[i / LISTENERS][i % LISTENERS]);
		p->accepts[i / LISTENERS][i % LISTENERS] = NULL;
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
	listeners_close(p);
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
	listeners_open(p);
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
	       " connections, %" PRIu64 " of them accepted, %" PRIu64 " rounds\n",
	       p->operations, p->submitted, p->pieces, p->numbers, p->accepted, p->round);
	free(p);
}
