/* SPDX-License-Identifier: Apache-2.0 */
/* completion.c - what a completion of a random program must say, and what it sets off. */
#include "tests/ring/program.h"

#include <errno.h>

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

	if (job->op.kind == KOLK_OP_ACCEPT)
		accept_ended(job);
	else if (job->op.kind == KOLK_OP_WORK)
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

void on_done(struct kolk_op *op)
{
	struct job *job = (struct job *)(void *)op;
	struct program *p = job->program;
	bool calm;

	must(job, job->ring->stepping, "called back outside of its ring's step");
	job->ring->called = true;
	must(job, job->ring->steps > job->submitted, "called back in the step that submitted");
	calm = p->settling || (op->in_flight && job->conn != NULL && job->conn->echoes);
	if (op->in_flight && op->kind == KOLK_OP_ACCEPT)
		accepted(job);
	else if (op->in_flight)
		stream_piece(job);
	else
		last(job);
	if (!calm)
		for (uint64_t i = program_below(p, 4); i > 1; i--)
			act(p);
}
