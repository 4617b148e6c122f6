/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource_async.c - resources whose driver completes later what it began.
 *
 * A link has one operation, in the memory behind it, since at most one is in flight for a resource:
 * nothing is allocated to end one. The driver owns the operation from its begin to its completion,
 * the home loop at all other times. A completion writes its result and posts the task; the home
 * loop goes on from there (mailbox.h has the edge).
 *
 * When the deadline is over first, the link goes on without the result, and is kept until it comes:
 * a dial is abandoned (core counts it as closing), a ping or a reset has failed, and the close that
 * follows waits for the completion. So a resource that is created too late is found here, and
 * destroyed.
 *
 * Destroys: at most closes_max of an upstream hold a place at a time, the others wait in order. A
 * place is given back when the destroy is completed, or when its deadline is over.
 */
#include <string.h>

#include "core/base/container.h"
#include "core/base/sized.h"
#include "transport/dial.h"
#include "transport/exchange.h"
#include "transport/resource.h"

enum op_kind { CREATE, PING, RESET, DESTROY };

/* Behind its link, for as long as that lives: of each resource, so it is small. */
struct kolk_resource_op {
	struct kolk__task task;
	struct kolk__timeout timeout;     /* home's */
	uint64_t deadline_ns;             /* constant while it is in flight */
	uint8_t kind;                     /* enum op_kind; home's, as the next two */
	bool in_flight, late;
	/* W: the completing thread. R: home loop (relaxed: completed is a hint; the task has the
	 * edge for the others). */
	kolk__atomic_bool completed;
	enum kolk_err err;
	struct kolk_failure *failure;     /* more of err; NULL = nothing, or no memory */
	union {
		struct kolk_resource_op *next; /* under closes.lock: waits for a place */
		void *resource;                /* CREATE's */
	};
	uint8_t memory[] __attribute__((aligned(16)));
};
_Static_assert(sizeof(struct kolk_resource_op) <= 96, "of each session that is pooled");

size_t kolk__resource_op_bytes(const struct kolk__upstream *upstream)
{
	if (!kolk__resource_is_async(upstream))
		return 0;
	return sizeof(struct kolk_resource_op) + upstream->resource->op_bytes;
}

static struct kolk_resource_op *op_of(const struct kolk__link *link)
{
	return (struct kolk_resource_op *)(uintptr_t)(link + 1);
}

static struct kolk__link *link_of(struct kolk_resource_op *op)
{
	return (struct kolk__link *)(void *)op - 1;
}

static struct kolk_resource_op *op_of_task(struct kolk__task *task)
{
	return kolk__container_of(task, struct kolk_resource_op, task);
}

bool kolk__resource_is_busy(const struct kolk__link *link)
{
	return kolk__resource_is_async(link->upstream) && op_of(link)->in_flight;
}

static void op_expired(struct kolk__timeout *timeout);

static struct kolk_resource_op *op_begin(struct kolk__link *link, enum op_kind kind,
					 uint64_t deadline_ns)
{
	struct kolk_resource_op *op = op_of(link);

	KOLK__HOME(link);
	KOLK__ASSERT(!op->in_flight);
	memset(op, 0, kolk__resource_op_bytes(link->upstream));
	op->kind = (uint8_t)kind;
	op->in_flight = true;
	op->deadline_ns = deadline_ns;
	op->timeout.fire = op_expired;
	kolk__timeout_start(link->loop, &op->timeout, deadline_ns);
	return op;
}

static uint64_t after(const struct kolk__link *link, const kolk__atomic_u64 *duration_ns)
{
	uint64_t now_ns = kolk__link_now(link->loop->transport);
	uint64_t ns = kolk__load_relaxed(duration_ns);

	return ns < KOLK_FOREVER - now_ns ? now_ns + ns : KOLK_FOREVER;
}

/* ---- create, ping, reset */

void kolk__async_create(struct kolk__link *link, const struct kolk_resource_request *request)
{
	struct kolk_resource_op *op = op_begin(link, CREATE, request->deadline_ns);

	link->upstream->resource->begin_create(link->upstream->driver_user, op, request);
}

void kolk__async_ping(struct kolk__link *link)
{
	const struct kolk_resource_driver *driver = link->upstream->resource;

	kolk__timeout_stop(link->loop, &link->progress->timeout); /* the operation has its own */
	if (driver->begin_ping == NULL) {
		link->phase = KOLK__READY;
		kolk__ping_done(link, KOLK_OK);
		return;
	}
	driver->begin_ping(link->upstream->driver_user,
			   op_begin(link, PING, after(link, &link->upstream->times.ping_ns)),
			   link->resource);
}

void kolk__async_reset(struct kolk__link *link)
{
	kolk__timeout_stop(link->loop, &link->progress->timeout);
	link->upstream->resource->begin_reset(
		link->upstream->driver_user,
		op_begin(link, RESET, after(link, &link->upstream->times.reset_ns)), link->resource);
}

static void ping_ended(struct kolk__link *link, enum kolk_err err)
{
	link->phase = KOLK__READY;
	if (err == KOLK_E_TIMEOUT)
		link->progress->reason = KOLK_REASON_PING_TIMEOUT;
	kolk__ping_done(link, err);
}

static void reset_ended(struct kolk__link *link, enum kolk_err err)
{
	link->phase = KOLK__READY;
	kolk__progress_end(link);
	link->loop->transport->callbacks.reset_done(
		link->connection, err == KOLK_OK ? KOLK_REASON_NONE : KOLK_REASON_RESET_FAILED);
}

/* ---- destroy */

static void destroyed(struct kolk__link *link)
{
	struct kolk__transport *transport = link->loop->transport;
	void *connection = link->connection;

	kolk__link_free(link);
	transport->callbacks.closed(connection);
}

static void destroy_task(struct kolk__task *task)
{
	struct kolk__link *link = link_of(op_of_task(task));
	uint64_t deadline_ns = after(link, &link->upstream->closes.ns);
	void *resource = link->resource;

	KOLK__HOME(link);
	link->resource = NULL;
	link->upstream->resource->begin_destroy(link->upstream->driver_user,
						op_begin(link, DESTROY, deadline_ns), resource);
}

/* The next that waits, if there is a place for it, out of the queue. */
static struct kolk_resource_op *place_take(const struct kolk_sys *sys, struct kolk__closes *closes,
					   struct kolk_resource_op *last, uint32_t given_back)
{
	struct kolk_resource_op *op;

	kolk__lock(sys, &closes->lock);
	closes->count -= given_back;
	if (last != NULL) {
		*closes->end = last;
		closes->end = &last->next;
	}
	op = closes->count < kolk__load_relaxed(&closes->max) ? closes->first : NULL;
	if (op != NULL) {
		closes->count++;
		closes->first = op->next;
		if (closes->first == NULL)
			closes->end = &closes->first;
	}
	kolk__unlock(sys, &closes->lock);
	return op;
}

/* More than one if the limit was raised meanwhile. */
static void places_fill(struct kolk__link *link, struct kolk_resource_op *last, uint32_t given_back)
{
	const struct kolk_sys *sys = link->loop->transport->sys;
	struct kolk__upstream *upstream = link->upstream;
	struct kolk_resource_op *op = place_take(sys, &upstream->closes, last, given_back);

	for (; op != NULL; op = place_take(sys, &upstream->closes, NULL, 0))
		kolk__io_loop_post(link_of(op)->loop, &op->task, destroy_task);
}

void kolk__async_close(struct kolk__link *link)
{
	struct kolk_resource_op *op = op_of(link);

	KOLK__HOME(link);
	if (op->in_flight) /* a late one: its completion comes back here */
		return;
	if (link->resource == NULL || link->upstream->resource->begin_destroy == NULL) {
		destroyed(link);
		return;
	}
	op->next = NULL;
	places_fill(link, op, 0);
}

/* ---- the end of an operation */

static void create_ended(struct kolk__link *link, struct kolk_resource_op *op)
{
	const struct kolk_failure unknown = { .err = op->err };

	if (link->phase == KOLK__ENDING) { /* abandoned */
		link->phase = KOLK__CLOSING_LINK;
		kolk__async_close(link);
	} else if (op->err != KOLK_OK) {
		kolk__dial_fail_as(link, op->failure != NULL ? op->failure : &unknown);
	} else {
		kolk__link_become_ready(link);
	}
}

/* What follows may free the link. */
static void op_result(struct kolk__link *link, struct kolk_resource_op *op)
{
	if (op->kind == CREATE) {
		link->resource = op->resource;
		create_ended(link, op);
	} else if (op->kind == DESTROY) {
		if (!op->late)
			places_fill(link, NULL, 1);
		destroyed(link);
	} else if (!op->late) {
		(op->kind == PING ? ping_ended : reset_ended)(link, op->err);
	} else if (link->phase == KOLK__CLOSING_LINK) {
		kolk__async_close(link);
	}
}

static void op_ended(struct kolk__task *task)
{
	struct kolk_resource_op *op = op_of_task(task);
	struct kolk__link *link = link_of(op);
	struct kolk__transport *transport = link->loop->transport;
	struct kolk_failure *failure = op->failure;

	KOLK__HOME(link);
	KOLK__ASSERT(op->in_flight);
	kolk__timeout_stop(link->loop, &op->timeout);
	op->in_flight = false;
	op_result(link, op);
	if (failure != NULL)
		kolk__dealloc(transport, failure, sizeof *failure);
}

/* The driver is told first: what follows may begin the close, which waits for it. */
static void op_expired(struct kolk__timeout *timeout)
{
	struct kolk_resource_op *op = kolk__container_of(timeout, struct kolk_resource_op, timeout);
	struct kolk__link *link = link_of(op);

	KOLK__HOME(link);
	if (kolk__load_relaxed(&op->completed)) /* its task is on the way */
		return;
	op->late = true;
	if (link->upstream->resource->expired != NULL)
		link->upstream->resource->expired(link->upstream->driver_user, op);
	if (op->kind == DESTROY)
		places_fill(link, NULL, 1);
	else if (op->kind == PING)
		ping_ended(link, KOLK_E_TIMEOUT);
	else if (op->kind == RESET)
		reset_ended(link, KOLK_E_TIMEOUT);
	else if (link->phase != KOLK__ENDING) /* it is, if its pool drains */
		kolk__dial_fail(link, KOLK_E_DIAL_TIMEOUT, 0, 0);
}

/* ---- the driver's calls */

/* The task is the last that is touched of the operation. The loop stays until it is left: another
 * thread may destroy the engine as soon as the task has run. */
static void complete(struct kolk_resource_op *op)
{
	struct kolk__io_loop *loop = link_of(op)->loop;

	kolk__store_relaxed(&op->completed, true);
	kolk__add_acq_rel(&loop->completing, 1);
	kolk__io_loop_post(loop, &op->task, op_ended);
	kolk__sub_acq_rel(&loop->completing, 1); /* COMPLETION.R1 -> COMPLETION.A1: out of the loop */
}

void kolk__completions_wait(struct kolk__io_loop *loop)
{
	const struct kolk_sys *sys = loop->transport->sys;

	while (kolk__load_acquire(&loop->completing) != 0) /* COMPLETION.A1 <- COMPLETION.R1 */
		(void)sys->wait(sys->context, kolk__futex(&loop->completing), 1,
				sys->now_ns(sys->context) + KOLK_MS_NS);
}

void kolk_resource_created(struct kolk_resource_op *op, void *resource)
{
	KOLK__ASSERT(op->kind == CREATE && resource != NULL);
	op->resource = resource;
	complete(op);
}

void kolk_resource_done(struct kolk_resource_op *op)
{
	KOLK__ASSERT(op->kind != CREATE);
	complete(op);
}

void kolk_resource_failed(struct kolk_resource_op *op, const struct kolk_failure *failure)
{
	struct kolk__transport *transport = link_of(op)->loop->transport;
	struct kolk_failure read;

	if (!kolk__sized_read(&read, failure) || read.err >= KOLK_OK)
		read = (struct kolk_failure){ .err = KOLK_E_RESOURCE };
	op->err = read.err;
	op->failure = op->kind == CREATE ? kolk__alloc(transport, sizeof read) : NULL;
	if (op->failure != NULL)
		*op->failure = read;
	complete(op);
}

void *kolk_resource_op_memory(struct kolk_resource_op *op)
{
	return op->memory;
}

uint64_t kolk_resource_op_deadline(const struct kolk_resource_op *op)
{
	return op->deadline_ns;
}
