/* SPDX-License-Identifier: Apache-2.0 */
/* loop.c - the transport of an engine, its I/O loops and their steps. */
#include <stdarg.h>
#include <stdio.h>

#include "core/base/atomic.h"
#include "transport/child.h"
#include "transport/dns_cache.h"
#include "transport/input.h"
#include "transport/resource.h"

enum kolk_err kolk__transport_open(const struct kolk_sys *sys,
				   const struct kolk__link_callbacks *callbacks, uint32_t backend,
				   struct kolk__transport **out)
{
	struct kolk__transport *transport =
		sys->allocate(sys->context, 16, sizeof(struct kolk__transport));

	if (transport == NULL)
		return KOLK_E_MEMORY;
	transport->sys = sys;
	transport->callbacks = *callbacks;
	transport->backend = backend;
	*out = transport;
	return KOLK_OK;
}

void kolk__transport_busy_poll_set(struct kolk__transport *transport, uint64_t busy_poll_ns)
{
	transport->busy_poll_ns = busy_poll_ns;
}

void kolk__transport_close(struct kolk__transport *transport)
{
	kolk__dealloc(transport, transport, sizeof *transport);
}

const char *kolk__transport_backend(const struct kolk__transport *transport)
{
	return transport->name != NULL ? transport->name : "none";
}

const char *kolk__transport_why_not(const struct kolk__transport *transport)
{
	return transport->why_not;
}

void kolk__transport_log(struct kolk__transport *transport, enum kolk_log_level level,
			 const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	transport->callbacks.log(transport->callbacks.log_user, level, "transport", text);
}

/* ---- the thread of a loop, for assertions */

#ifdef KOLK__ASSERTIONS
bool kolk__io_loop_is_mine(const struct kolk__io_loop *loop)
{
	uintptr_t thread = kolk__load_relaxed(&loop->thread);

	return thread == 0 || thread == kolk__thread_self();
}
#endif

static void claim_thread(struct kolk__io_loop *loop)
{
#ifdef KOLK__ASSERTIONS
	kolk__store_relaxed(&loop->thread, kolk__thread_self());
#else
	(void)loop;
#endif
}

/* ---- open and close */

/* The first ring decides: a later one that cannot have the same back end is an error, not a
 * mixture. */
enum kolk_err kolk__io_loop_open(struct kolk__transport *transport, struct kolk__io_loop **out)
{
	const struct kolk_sys *sys = transport->sys;
	struct kolk__io_loop *loop = kolk__alloc(transport, sizeof *loop);
	const char *name = NULL, *why = NULL;
	enum kolk_err err;

	if (loop == NULL)
		return KOLK_E_MEMORY;
	loop->transport = transport;
	loop->done_end = &loop->done;
	err = sys->ring_open(sys->context, transport->backend, &loop->ring, &name, &why);
	if (err != KOLK_OK) {
		transport->why_not = why;
		if (why != NULL)
			kolk__transport_log(transport, KOLK_LOG_ERROR, "%s cannot be used: %s",
					    name, why);
		kolk__dealloc(transport, loop, sizeof *loop);
		return err;
	}
	if (transport->name == NULL && why != NULL)
		kolk__transport_log(transport, KOLK_LOG_WARN, "using %s: %s", name, why);
	if (transport->name == NULL && name[0] == 'e')
		transport->backend = KOLK_BACKEND_EPOLL;
	transport->name = name;
	*out = loop;
	return KOLK_OK;
}

void kolk__io_loop_close(struct kolk__io_loop *loop)
{
	struct kolk__transport *transport = loop->transport;

	claim_thread(loop);
	kolk__completions_wait(loop);
	transport->sys->ring_close(loop->ring);
	while (loop->links != NULL) {
		struct kolk__link *link = loop->links;

		kolk__child_kill_now(link);
		if (link->fd >= 0)
			transport->sys->sock_close(transport->sys->context, link->fd);
		kolk__resource_drop(link);
		kolk__link_free(link);
	}
	while (loop->spares > 0)
		kolk__buffer_free(transport, &loop->spare[--loop->spares]);
	kolk__progress_drop(loop);
	kolk__jobs_drop(loop);
	kolk__resolutions_drop(loop);
	kolk__dealloc(transport, loop, sizeof *loop);
}

/* ---- a step */

static uint64_t next_timer(const struct kolk__io_loop *loop)
{
	struct kolk__timer *timer = kolk__heap_min(&loop->timers);

	return timer != NULL ? timer->due_ns : KOLK_FOREVER;
}

uint64_t kolk__io_loop_next_timer(struct kolk__io_loop *loop)
{
	const struct kolk_sys *sys = loop->transport->sys;

	return loop->done != NULL || sys->ring_pending(loop->ring) ? 1 : next_timer(loop);
}

void kolk__io_loop_post(struct kolk__io_loop *loop, struct kolk__task *task,
			void (*run)(struct kolk__task *task))
{
	kolk__mailbox_post(&loop->mailbox, task, run);
	kolk__io_loop_wake(loop);
}

static void run_tasks(struct kolk__io_loop *loop)
{
	struct kolk__task *task = kolk__mailbox_take(&loop->mailbox);

	while (task != NULL) {
		struct kolk__task *next = task->next;

		kolk__task_run(task);
		task = next;
	}
}

/* Callbacks of operations that ended before now; what they begin ends in a later step. */
static void run_done(struct kolk__io_loop *loop)
{
	struct kolk__io *list = loop->done;

	loop->done = NULL;
	loop->done_end = &loop->done;
	while (list != NULL) {
		struct kolk__io *io = list;

		list = io->next;
		kolk__io_over(io);
		io->done(io, (enum kolk_err)(int8_t)io->state, io->moved);
	}
}

/* Reap the ring once, and run the callbacks. Positive = there was something; or -errno. */
static int reap(struct kolk__io_loop *loop, uint64_t timeout_ns)
{
	struct kolk__transport *transport = loop->transport;
	int result = transport->sys->ring_step(loop->ring, timeout_ns, transport->busy_poll_ns);

	run_tasks(loop);
	if (loop->done != NULL && result == 0)
		result = 1;
	run_done(loop);
	return result;
}

/* An answer is read in pieces, and reaping once does not bring all that has arrived. */
enum { REAPS_MAX = 16 };

void kolk__io_loop_catch_up(struct kolk__io_loop *loop)
{
	for (int left = REAPS_MAX; left > 0 && reap(loop, 0) > 0; left--)
		;
}

static void run_timers(struct kolk__io_loop *loop)
{
	uint64_t now_ns = kolk__link_now(loop->transport);
	struct kolk__timer *timer;

	loop->timers_ran_ns = now_ns;
	if (next_timer(loop) <= now_ns)
		kolk__io_loop_catch_up(loop);
	while ((timer = kolk__heap_min(&loop->timers)) != NULL && timer->due_ns <= now_ns) {
		struct kolk__timeout *timeout = (struct kolk__timeout *)(void *)timer;

		kolk__heap_remove(&loop->timers, timer);
		timeout->fire(timeout);
	}
}

enum kolk_err kolk__io_loop_step(struct kolk__io_loop *loop, uint64_t deadline_ns)
{
	uint64_t now_ns, timeout_ns = 0;
	int result;

	claim_thread(loop);
	if (next_timer(loop) < deadline_ns)
		deadline_ns = next_timer(loop);
	if (loop->done == NULL && deadline_ns == KOLK_FOREVER) {
		timeout_ns = KOLK_FOREVER;
	} else if (loop->done == NULL && deadline_ns != 0) {
		now_ns = kolk__link_now(loop->transport);
		timeout_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
	}
	result = reap(loop, timeout_ns);
	run_timers(loop);
	return result >= 0 ? KOLK_OK : KOLK_E_IO;
}

void kolk__io_loop_wake(struct kolk__io_loop *loop)
{
	loop->transport->sys->ring_wake(loop->ring);
}

void kolk__io_loop_flush(struct kolk__io_loop *loop)
{
	KOLK__ON_LOOP(loop);
	loop->transport->sys->ring_flush(loop->ring);
}

int kolk__io_loop_fd(struct kolk__io_loop *loop)
{
	return loop->transport->sys->ring_fd(loop->ring);
}

/* ---- timers, operations */

void kolk__timeout_start(struct kolk__io_loop *loop, struct kolk__timeout *timeout, uint64_t due_ns)
{
	KOLK__ON_LOOP(loop);
	kolk__timeout_stop(loop, timeout);
	if (due_ns <= loop->timers_ran_ns)
		due_ns = loop->timers_ran_ns + 1;
	if (due_ns != KOLK_FOREVER)
		kolk__heap_push(&loop->timers, &timeout->timer, due_ns);
}

void kolk__timeout_stop(struct kolk__io_loop *loop, struct kolk__timeout *timeout)
{
	KOLK__ON_LOOP(loop);
	if (kolk__timer_is_armed(&timeout->timer))
		kolk__heap_remove(&loop->timers, &timeout->timer);
}

void kolk__submit(struct kolk__io_loop *loop, struct kolk_op *op, kolk__op_fn *done, void *owner)
{
	KOLK__ON_LOOP(loop);
	op->done = done;
	op->owner = owner;
	loop->transport->sys->ring_submit(loop->ring, op);
}

void kolk__cancel(struct kolk__io_loop *loop, struct kolk_op *op)
{
	KOLK__ON_LOOP(loop);
	if (op->in_flight)
		loop->transport->sys->ring_cancel(loop->ring, op);
}

/* Its callback is due later in this step, or in the next step, which does not wait. */
void kolk__io_finish(struct kolk__io *io, enum kolk_err err)
{
	struct kolk__io_loop *loop = io->loop;

	KOLK__ON_LOOP(loop);
	KOLK__ASSERT(!io->queued);
	io->state = (uint8_t)(int8_t)err;
	io->queued = 1;
	io->next = NULL;
	*loop->done_end = io;
	loop->done_end = &io->next;
}
