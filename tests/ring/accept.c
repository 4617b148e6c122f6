/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accept.c - listeners of a random program. A peer dials for a connection of the program, which is
 * open when an accept brings it: once, never after a cancel, and whatever no accept brought waits in
 * the listener's queue.
 */
#include "tests/ring/program.h"

#include <errno.h>

void listeners_open(struct program *p)
{
	for (int i = 0; i < LISTENERS; i++) {
		p->listeners[i] = p->options->world->listen(p, i);
		if (p->listeners[i] < 0)
			program_finding(p, "no listener: %d", p->listeners[i]);
	}
}

int program_listener(struct program *p, int index)
{
	return p->listeners[index];
}

void accept_start(struct program *p)
{
	int ring = one_in(p, 4), listener = (int)program_below(p, LISTENERS);
	struct job **place = &p->accepts[ring][listener];
	struct job *job;

	if (*place != NULL || p->settling)
		return;
	job = *place = job_new(p, KOLK_OP_ACCEPT, 0);
	job->ring = &p->rings[ring];
	job->other = place;
	job->listener = listener;
	job->op.fd = p->listeners[listener];
	submit(job);
}

void accept_cancel(struct program *p, bool all)
{
	for (int ring = 0; ring < RINGS; ring++)
		for (int i = 0; i < LISTENERS; i++)
			if (all || one_in(p, RINGS * LISTENERS))
				cancel(p, p->accepts[ring][i]);
}

bool dial_in(struct program *p, struct conn *conn)
{
	if (!p->options->world->dial(p, conn, (int)program_below(p, LISTENERS)))
		return false;
	conn->dialled = true;
	p->operations++;
	return true;
}

static struct conn *conn_from(struct program *p, int fd, const struct kolk_address *address)
{
	for (struct conn *conn = p->conns; conn < p->conns + CONNS; conn++)
		if (conn->dialled && p->options->world->is_from(p, conn, fd, address))
			return conn;
	return NULL;
}

void accepted(struct job *job)
{
	struct program *p = job->program;
	struct conn *conn = conn_from(p, job->op.result, job->op.data);

	must(job, !job->cancelled, "accepted after a cancel");
	must(job, conn != NULL, "accepted twice, or what nobody dialled, or not as it must be");
	if (job->step != job->ring->steps)
		job->pieces = 0;
	job->step = job->ring->steps;
	must(job, ++job->pieces <= ACCEPTED_MAX, "holds the step up");
	p->accepted++;
	conn->fd = job->op.result;
	conn->dialled = false;
	conn->open = conn->ready = true;
	if (p->settling)
		return;
	if (one_in(p, 4))
		cancel(p, job);
	if (one_in(p, 8))
		conn_close(p, conn);
	else
		start_one(p, conn);
}

/* The simulator's faults. */
static bool is_shortage(int32_t result)
{
	return result == -EMFILE || result == -ENOBUFS;
}

void accept_ended(struct job *job)
{
	int32_t result = job->op.result;

	must(job, result == -ECANCELED ? job->cancelled : is_shortage(result),
	     "ended for no reason");
}

void listeners_close(struct program *p)
{
	uint32_t waiting = 0, queued = 0;

	for (struct conn *conn = p->conns; conn < p->conns + CONNS; conn++)
		waiting += conn->dialled;
	for (int i = 0; i < LISTENERS; i++)
		queued += p->options->world->unlisten(p, i);
	if (queued != waiting)
		program_finding(p, "%u connections were not accepted, and %u are in the queues",
				waiting, queued);
	for (struct conn *conn = p->conns; conn < p->conns + CONNS; conn++)
		if (conn->dialled) {
			conn->dialled = false;
			p->options->world->give_up(p, conn);
		}
}
