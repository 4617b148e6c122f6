/* SPDX-License-Identifier: Apache-2.0 */
/* job.c - the operations that a random program submits and cancels. */
#include "tests/ring/program.h"

#include <stdlib.h>
#include <string.h>

static void on_work(struct kolk_op *op)
{
	((struct job *)(void *)op)->worked = true;
}

void submit(struct job *job)
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

struct job *job_new(struct program *p, enum kolk_op_kind kind, size_t size)
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

void job_free(struct job *job)
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

void occupy(struct conn *conn, enum kolk_op_kind kind, struct job *job)
{
	conn->job[direction_of(kind)] = job;
	if (kind == KOLK_OP_STREAM)
		conn->job[READ_DIRECTION] = job;
}

bool is_free(const struct conn *conn, enum kolk_op_kind kind)
{
	return conn->open && !conn->closing && conn->job[direction_of(kind)] == NULL &&
	       (kind != KOLK_OP_STREAM || conn->job[READ_DIRECTION] == NULL);
}

size_t some(struct program *p)
{
	return 1 + program_below(p, one_in(p, 16) ? LARGE / 10 : SMALL);
}

void start(struct program *p, struct conn *conn, enum kolk_op_kind kind)
{
	size_t size = kind == KOLK_OP_SEND || kind == KOLK_OP_RECV ? some(p) : 0;
	struct job *job;

	if (!is_free(conn, kind) || (kind == KOLK_OP_CONNECT) == conn->ready)
		return;
	job = job_new(p, kind, size);
	job->conn = conn;
	job->op.fd = conn->fd;
	if (kind == KOLK_OP_CONNECT) {
		job->op.data = conn->address.bytes;
		job->op.size = conn->address.size;
	}
	if (kind == KOLK_OP_SEND) {
		fill(conn, job->bytes, size, conn->sent, false);
		job->op.lazy = one_in(p, 2);
	}
	occupy(conn, kind, job);
	submit(job);
}

void start_one(struct program *p, struct conn *conn)
{
	static const enum kolk_op_kind kinds[] = { KOLK_OP_SEND, KOLK_OP_SEND, KOLK_OP_RECV,
						   KOLK_OP_STREAM, KOLK_OP_STREAM, KOLK_OP_WATCH,
						   KOLK_OP_WATCH, KOLK_OP_POLL };

	start(p, conn, kinds[program_below(p, sizeof kinds / sizeof kinds[0])]);
}

void start_other(struct program *p, enum kolk_op_kind kind)
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

void cancel(struct program *p, struct job *job)
{
	if (job == NULL)
		return;
	p->operations++;
	for (uint64_t times = 1 + one_in(p, 4); times > 0; times--)
		p->sys->ring_cancel(job->ring->ring, &job->op);
	job->cancelled = job->op.kind != KOLK_OP_WORK;
}
