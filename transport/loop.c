/* SPDX-License-Identifier: Apache-2.0 */
/* loop.c - the transport of an engine, its loops and their turns. */
#include <stdarg.h>
#include <stdio.h>

#include "core/base/atomic.h"
#include "transport/child.h"
#include "transport/names.h"

enum kolk_err kolk__transport_open(const struct kolk_sys *sys, const struct kolk__link_host *host,
				   uint32_t backend, struct kolk__transport **out)
{
	struct kolk__transport *transport =
		sys->allocate(sys->context, 16, sizeof(struct kolk__transport));

	if (transport == NULL)
		return KOLK_E_MEMORY;
	transport->sys = sys;
	transport->host = *host;
	transport->backend = backend;
	*out = transport;
	return KOLK_OK;
}

void kolk__transport_close(struct kolk__transport *transport)
{
	kolk__dealloc(transport, transport, sizeof *transport);
}

const char *kolk__transport_backend(const struct kolk__transport *transport)
{
	return transport->name != NULL ? transport->name : "none";
}

void kolk__transport_log(struct kolk__transport *transport, enum kolk_log_level level,
			 const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	transport->host.log(transport->host.log_user, level, "transport", text);
}

/* ---- whose thread, for assertions */

#ifdef KOLK__ASSERTIONS
bool kolk__tloop_is_mine(const struct kolk__tloop *tloop)
{
	uintptr_t thread = kolk__load_relaxed(&tloop->thread);

	return thread == 0 || thread == kolk__thread_self();
}
#endif

static void own(struct kolk__tloop *tloop)
{
#ifdef KOLK__ASSERTIONS
	kolk__store_relaxed(&tloop->thread, kolk__thread_self());
#else
	(void)tloop;
#endif
}

/* ---- open and close */

/* The first ring decides: a later one that cannot have the same back end is an error, not a
 * mixture. */
enum kolk_err kolk__tloop_open(struct kolk__transport *transport, struct kolk__tloop **out)
{
	const struct kolk_sys *sys = transport->sys;
	struct kolk__tloop *tloop = kolk__alloc(transport, sizeof *tloop);
	const char *name = NULL, *why = NULL;
	enum kolk_err err;

	if (tloop == NULL)
		return KOLK_E_MEMORY;
	tloop->transport = transport;
	tloop->done_end = &tloop->done;
	err = sys->ring_open(sys->context, transport->backend, &tloop->ring, &name, &why);
	if (err != KOLK_OK) {
		if (why != NULL)
			kolk__transport_log(transport, KOLK_LOG_ERROR, "%s cannot be used: %s",
					    name, why);
		kolk__dealloc(transport, tloop, sizeof *tloop);
		return err;
	}
	if (transport->name == NULL && why != NULL)
		kolk__transport_log(transport, KOLK_LOG_WARN, "using %s: %s", name, why);
	if (transport->name == NULL && name[0] == 'e')
		transport->backend = KOLK_BACKEND_EPOLL;
	transport->name = name;
	*out = tloop;
	return KOLK_OK;
}

void kolk__tloop_close(struct kolk__tloop *tloop)
{
	struct kolk__transport *transport = tloop->transport;

	own(tloop);
	transport->sys->ring_close(tloop->ring);
	while (tloop->links != NULL) {
		struct kolk__link *link = tloop->links;

		kolk__child_drop(link);
		if (link->fd >= 0)
			transport->sys->sock_close(transport->sys->context, link->fd);
		kolk__resource_drop(link);
		kolk__link_free(link);
	}
	while (tloop->spares > 0)
		kolk__buffer_free(transport, &tloop->spare[--tloop->spares]);
	kolk__jobs_drop(tloop);
	kolk__desks_drop(tloop);
	kolk__dealloc(transport, tloop, sizeof *tloop);
}

/* ---- turns */

static uint64_t next_timer(const struct kolk__tloop *tloop)
{
	struct kolk__timer *timer = kolk__heap_min(&tloop->timers);

	return timer != NULL ? timer->due_ns : KOLK_FOREVER;
}

uint64_t kolk__tloop_next_timer(struct kolk__tloop *tloop)
{
	const struct kolk_sys *sys = tloop->transport->sys;

	return tloop->done != NULL || sys->ring_pending(tloop->ring) ? 1 : next_timer(tloop);
}

void kolk__tloop_post(struct kolk__tloop *tloop, struct kolk__note *note,
		      void (*run)(struct kolk__note *note))
{
	kolk__inbox_put(&tloop->inbox, note, run);
	kolk__tloop_wake(tloop);
}

static void run_letters(struct kolk__tloop *tloop)
{
	struct kolk__note *note = kolk__inbox_take(&tloop->inbox);

	while (note != NULL) {
		struct kolk__note *next = note->next;

		kolk__note_run(note);
		note = next;
	}
}

/* Callbacks of operations that ended before now; what they begin ends in a later turn. */
static void run_done(struct kolk__tloop *tloop)
{
	struct kolk__io *list = tloop->done;

	tloop->done = NULL;
	tloop->done_end = &tloop->done;
	while (list != NULL) {
		struct kolk__io *io = list;

		list = io->next;
		if (io->link->filled == io)
			io->link->filled = NULL;
		io->done(io, (enum kolk_err)(int8_t)io->state, io->moved);
	}
}

/* One look at the ring, and the callbacks of what has come. Positive = something had; or -errno. */
static int reap(struct kolk__tloop *tloop, uint64_t timeout_ns)
{
	int result = tloop->transport->sys->ring_step(tloop->ring, timeout_ns);

	run_letters(tloop);
	if (tloop->done != NULL && result == 0)
		result = 1;
	run_done(tloop);
	return result;
}

/* An answer is taken in pieces, and one look does not bring all that has come. */
enum { LOOKS = 16 };

void kolk__tloop_catch_up(struct kolk__tloop *tloop)
{
	for (int looks = LOOKS; looks > 0 && reap(tloop, 0) > 0; looks--)
		;
}

static void run_timers(struct kolk__tloop *tloop)
{
	uint64_t now_ns = kolk__link_now(tloop->transport);
	struct kolk__timer *timer;

	tloop->timers_ran_ns = now_ns;
	if (next_timer(tloop) <= now_ns)
		kolk__tloop_catch_up(tloop);
	while ((timer = kolk__heap_min(&tloop->timers)) != NULL && timer->due_ns <= now_ns) {
		struct kolk__timeout *timeout = (struct kolk__timeout *)(void *)timer;

		kolk__heap_remove(&tloop->timers, timer);
		timeout->fire(timeout);
	}
}

enum kolk_err kolk__tloop_step(struct kolk__tloop *tloop, uint64_t deadline_ns)
{
	uint64_t now_ns, timeout_ns = 0;
	int result;

	own(tloop);
	if (next_timer(tloop) < deadline_ns)
		deadline_ns = next_timer(tloop);
	if (tloop->done == NULL && deadline_ns == KOLK_FOREVER) {
		timeout_ns = KOLK_FOREVER;
	} else if (tloop->done == NULL && deadline_ns != 0) {
		now_ns = kolk__link_now(tloop->transport);
		timeout_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
	}
	result = reap(tloop, timeout_ns);
	run_timers(tloop);
	return result >= 0 ? KOLK_OK : KOLK_E_IO;
}

void kolk__tloop_wake(struct kolk__tloop *tloop)
{
	tloop->transport->sys->ring_wake(tloop->ring);
}

void kolk__tloop_flush(struct kolk__tloop *tloop)
{
	KOLK__ON_TLOOP(tloop);
	tloop->transport->sys->ring_flush(tloop->ring);
}

int kolk__tloop_fd(struct kolk__tloop *tloop)
{
	return tloop->transport->sys->ring_fd(tloop->ring);
}

/* ---- timers, operations */

void kolk__timeout_start(struct kolk__tloop *tloop, struct kolk__timeout *timeout, uint64_t due_ns)
{
	KOLK__ON_TLOOP(tloop);
	kolk__timeout_stop(tloop, timeout);
	if (due_ns <= tloop->timers_ran_ns)
		due_ns = tloop->timers_ran_ns + 1;
	if (due_ns != KOLK_FOREVER)
		kolk__heap_push(&tloop->timers, &timeout->timer, due_ns);
}

void kolk__timeout_stop(struct kolk__tloop *tloop, struct kolk__timeout *timeout)
{
	KOLK__ON_TLOOP(tloop);
	if (kolk__timer_is_armed(&timeout->timer))
		kolk__heap_remove(&tloop->timers, &timeout->timer);
}

void kolk__submit(struct kolk__tloop *tloop, struct kolk_op *op, enum kolk_op_kind kind, int fd,
		  void *data, size_t size, void (*done)(struct kolk_op *op), void *owner)
{
	KOLK__ON_TLOOP(tloop);
	op->kind = (uint8_t)kind;
	op->fd = fd;
	op->data = data;
	op->size = size;
	op->done = done;
	op->owner = owner;
	tloop->transport->sys->ring_submit(tloop->ring, op);
}

void kolk__cancel(struct kolk__tloop *tloop, struct kolk_op *op)
{
	KOLK__ON_TLOOP(tloop);
	if (op->in_flight)
		tloop->transport->sys->ring_cancel(tloop->ring, op);
}

/* Its callback is due later in this turn, or in the next turn, which does not wait. */
void kolk__io_finish(struct kolk__io *io, enum kolk_err err)
{
	struct kolk__tloop *tloop = io->tloop;

	KOLK__ON_TLOOP(tloop);
	KOLK__ASSERT(!io->queued);
	io->state = (uint8_t)(int8_t)err;
	io->queued = 1;
	io->next = NULL;
	*tloop->done_end = io;
	tloop->done_end = &io->next;
}
