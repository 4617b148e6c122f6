/* SPDX-License-Identifier: Apache-2.0 */
/* resource.c - pools of things that are no sockets: blocking callbacks of their driver run as jobs;
 * those of the asynchronous form go to resource_async.c. */
#include "transport/resource.h"

#include "core/base/atomic.h"
#include "core/base/container.h"
#include "transport/dial.h"
#include "transport/exchange.h"
#include "transport/upstream.h"

/* ---- jobs */

/* A callback of a resource driver on a worker thread, on behalf of a link. It cannot be cancelled:
 * the link, its permits and the pool wait for it. */
struct kolk__job {
	struct kolk_op op;
	struct kolk__transport *transport;
	struct kolk__io_loop *loop;
	struct kolk__link *link;
	struct kolk__job *next, **prev; /* loop.jobs */
	void (*done)(struct kolk__job *job); /* on the home loop */
	const struct kolk_resource_driver *driver;
	void *user, *resource;
	struct kolk_resource_request request;
	enum kolk_err err;
};

static void job_free(struct kolk__job *job)
{
	*job->prev = job->next;
	if (job->next != NULL)
		job->next->prev = job->prev;
	kolk__dealloc(job->transport, job, sizeof *job);
}

static void job_done(struct kolk_op *op)
{
	struct kolk__job *job = op->owner;

	KOLK__ON_LOOP(job->loop);
	job->link->job = NULL;
	job->done(job);
	job_free(job);
}

static struct kolk__job *job_make(struct kolk__link *link, void (*done)(struct kolk__job *job))
{
	struct kolk__job *job = kolk__alloc(link->loop->transport, sizeof *job);

	KOLK__HOME(link);
	if (job == NULL)
		return NULL;
	job->transport = link->loop->transport;
	job->loop = link->loop;
	job->link = link;
	job->done = done;
	job->next = job->loop->jobs;
	job->prev = &job->loop->jobs;
	if (job->next != NULL)
		job->next->prev = &job->next;
	job->loop->jobs = job;
	link->job = job;
	return job;
}

static void job_start(struct kolk__job *job, kolk__op_fn *work)
{
	KOLK__ON_LOOP(job->loop);
	kolk__op_work(&job->op, KOLK_OP_WORK, work, job->link->resource);
	kolk__submit(job->loop, &job->op, job_done, job);
}

void kolk__jobs_drop(struct kolk__io_loop *loop)
{
	while (loop->jobs != NULL)
		job_free(loop->jobs);
}

/* ---- resources */

static struct kolk__job *resource_job(struct kolk__link *link, void (*done)(struct kolk__job *))
{
	struct kolk__job *job = job_make(link, done);

	if (job != NULL) {
		job->driver = link->upstream->resource;
		job->user = link->upstream->driver_user;
	}
	return job;
}

/* ---- destroy */

static void destroy_work(struct kolk_op *op)
{
	struct kolk__job *job = op->owner;

	job->driver->destroy(job->user, op->data);
}

void kolk__resource_drop(struct kolk__link *link)
{
	const struct kolk_resource_driver *driver = link->upstream->resource;

	if (driver != NULL && driver->destroy != NULL && link->resource != NULL)
		driver->destroy(link->upstream->driver_user, link->resource);
	link->resource = NULL;
}

/* done runs when the resource is gone; it is given a job of this link. */
static void destroy_begin(struct kolk__link *link, void (*done)(struct kolk__job *))
{
	struct kolk__job nothing = { .link = link };
	struct kolk__job *job = NULL;

	if (link->resource != NULL && link->upstream->resource->destroy != NULL)
		job = resource_job(link, done);
	if (job == NULL) { /* nothing to do, or no memory for a job: do it here */
		kolk__resource_drop(link);
		done(&nothing);
		return;
	}
	job_start(job, destroy_work);
}

/* ---- create */

static void create_work(struct kolk_op *op)
{
	struct kolk__job *job = op->owner;

	if (job->driver->create_for != NULL)
		job->err = job->driver->create_for(job->user, &job->request, &job->resource);
	else
		job->err = job->driver->create(job->user, &job->resource);
}

static void late_create_destroyed(struct kolk__job *job)
{
	job->link->resource = NULL;
	kolk__dial_end_if_quiescent(job->link);
}

static void create_done(struct kolk__job *job)
{
	struct kolk__link *link = job->link;

	if (job->err == KOLK_OK)
		link->resource = job->resource;
	if (link->phase == KOLK__ENDING)
		destroy_begin(link, late_create_destroyed); /* the dial was cancelled meanwhile */
	else if (job->err != KOLK_OK)
		kolk__dial_fail(link, job->err, -job->request.os_error, 0);
	else
		kolk__link_become_ready(link);
}

enum kolk_err kolk__resource_dial(struct kolk__link *link)
{
	uint64_t now_ns = kolk__link_now(link->loop->transport);
	uint64_t ready_ns = kolk__load_relaxed(&link->upstream->times.ready_ns);
	struct kolk_resource_request request = {
		.size = (uint32_t)sizeof request,
		.key = link->loop->transport->callbacks.key(link->connection),
		.deadline_ns = ready_ns < KOLK_FOREVER - now_ns ? now_ns + ready_ns : KOLK_FOREVER,
	};
	struct kolk__job *job;

	KOLK__HOME(link);
	if (kolk__resource_is_async(link->upstream)) {
		link->phase = KOLK__OPENING;
		kolk__async_create(link, &request);
		return KOLK_OK;
	}
	job = resource_job(link, create_done);
	if (job == NULL)
		return KOLK_E_MEMORY;
	job->request = request;
	link->phase = KOLK__OPENING;
	kolk__timeout_start(link->loop, &link->progress->timeout, job->request.deadline_ns);
	job_start(job, create_work);
	return KOLK_OK;
}

/* ---- validate */

static void validate_work(struct kolk_op *op)
{
	struct kolk__job *job = op->owner;

	job->err = job->driver->validate(job->user, op->data);
}

/* A validation cannot be cut short: one that is late counts as failed when it ends. */
static void validate_done(struct kolk__job *job)
{
	struct kolk__link *link = job->link;
	bool late = link->progress->failure.err == KOLK_E_TIMEOUT;

	kolk__timeout_stop(link->loop, &link->progress->timeout);
	link->phase = KOLK__READY;
	kolk__ping_done(link, late ? KOLK_E_TIMEOUT : job->err);
}

static void validate_late(struct kolk__timeout *timeout)
{
	struct kolk__link *link = kolk__container_of(timeout, struct kolk__progress, timeout)->link;

	link->progress->failure.err = KOLK_E_TIMEOUT;
	link->progress->reason = KOLK_REASON_PING_TIMEOUT;
}

void kolk__resource_ping(struct kolk__link *link)
{
	struct kolk__job *job;

	KOLK__HOME(link);
	if (kolk__resource_is_async(link->upstream)) {
		kolk__async_ping(link);
		return;
	}
	link->progress->timeout.fire = validate_late;
	job = link->upstream->resource->validate != NULL ? resource_job(link, validate_done) : NULL;
	if (job == NULL) { /* no validate, or no memory to run it: no reason to close it */
		kolk__timeout_stop(link->loop, &link->progress->timeout);
		link->phase = KOLK__READY;
		kolk__ping_done(link, KOLK_OK);
		return;
	}
	job_start(job, validate_work);
}

/* ---- close */

static void destroyed(struct kolk__job *job)
{
	struct kolk__link *link = job->link;
	struct kolk__transport *transport = link->loop->transport;
	void *connection = link->connection;

	link->resource = NULL;
	kolk__link_free(link);
	transport->callbacks.closed(connection);
}

void kolk__resource_close(struct kolk__link *link)
{
	KOLK__HOME(link);
	if (kolk__resource_is_async(link->upstream))
		kolk__async_close(link);
	else
		destroy_begin(link, destroyed);
}
