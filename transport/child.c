/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child.c - the life of a child process as a link: spawn, watch, stop, reap.
 *
 * One poll on its pidfd, armed from the spawn to the end, reports its exit. What follows is the
 * same whether it exited by itself or was stopped: it is reaped, and what is left of its process
 * group is killed.
 */
#include "transport/child.h"

#include <signal.h>

#include "core/base/atomic.h"
#include "core/base/container.h"
#include "transport/connect.h"
#include "transport/dial.h"
#include "transport/input.h"
#include "transport/upstream.h"

/* How often a child is checked whose exit the kernel cannot report (no memory for the poll). */
#define RECHECK_NS (10 * KOLK_MS_NS)
/* A child that exits earlier than this and was not used raises the back-off: a program that cannot
 * work would otherwise be started as fast as the machine can. */
#define EARLY_EXIT_NS KOLK_S_NS

static struct kolk__child *child_of(struct kolk__timeout *timeout)
{
	return kolk__container_of(timeout, struct kolk__child, timeout);
}

static const struct kolk_sys *sys_of(const struct kolk__child *child)
{
	return child->link->loop->transport->sys;
}

static void timeout_in(struct kolk__child *child, uint64_t ns)
{
	struct kolk__io_loop *loop = child->link->loop;

	kolk__timeout_start(loop, &child->timeout, kolk__link_now(loop->transport) + ns);
}

/* ---- its end */

bool kolk__child_is_done(const struct kolk__link *link)
{
	const struct kolk__child *child = link->child;

	return child == NULL || (child->stage == KOLK__CHILD_ENDED && !child->op.in_flight &&
				 !child->stderr_log.op.in_flight);
}

/* Nothing of it is in flight any more, as far as child.c knows: the link may wait for that. */
void kolk__child_check_done(struct kolk__link *link)
{
	if (!kolk__child_is_done(link))
		return;
	if (link->phase == KOLK__ENDING)
		kolk__dial_end_if_quiescent(link);
	else if (link->phase == KOLK__CLOSING_LINK)
		kolk__link_close_if_quiescent(link);
}

/* The child exited although it was not stopped; or the connection ended, or a dial failed, because
 * it exited before the poll reported it. */
static bool ended_unexpectedly(const struct kolk__child *child)
{
	const struct kolk__link *link = child->link;
	enum kolk_err err = link->progress != NULL ? link->progress->failure.err : KOLK_OK;

	if (child->stage != KOLK__CHILD_STDIN_CLOSED)
		return child->stage == KOLK__CHILD_RUNNING;
	return link->retired || (link->phase == KOLK__ENDING &&
				 (err == KOLK_E_CLOSED || err == KOLK_E_RESET));
}

void kolk__child_explain(const struct kolk__link *link, struct kolk_failure *failure)
{
	const struct kolk__child *child = link->child;

	if (child == NULL || !child->unexpected)
		return;
	failure->exit_status = (uint32_t)child->process.status;
	failure->exit_signal = (uint32_t)child->process.signal;
}

static void log_exit(struct kolk__child *child)
{
	const struct kolk_child *process = &child->process;
	bool wrong = child->unexpected && (process->status != 0 || process->signal != 0);
	const struct kolk__child_config *config = child->link->upstream->child;
	const char *last = kolk__load_relaxed(&config->stderr_tail) ? child->stderr_log.last : "";

	kolk__child_log(child, wrong ? KOLK_LOG_WARN : KOLK_LOG_DEBUG, "ended%s with %s %d%s%s",
			child->unexpected ? " by itself" : "",
			process->signal != 0 ? "signal" : "status",
			process->signal != 0 ? process->signal : process->status,
			wrong && last[0] != 0 ? ": " : "", wrong ? last : "");
}

static void raise_backoff(struct kolk__upstream *upstream, uint64_t now_ns)
{
	uint32_t early_exits = kolk__add_relaxed(&upstream->child->early_exits, 1);
	uint64_t wait_ns = kolk__load_relaxed(&upstream->times.retry_ns);
	uint64_t max_ns = kolk__load_relaxed(&upstream->times.retry_max_ns);

	for (; early_exits > 0 && wait_ns < max_ns; early_exits--)
		wait_ns *= 2;
	if (wait_ns > max_ns)
		wait_ns = max_ns;
	kolk__store_relaxed(&upstream->child->spawn_after_ns, now_ns + wait_ns);
}

static void record_exit(struct kolk__child *child)
{
	const struct kolk_child *process = &child->process;
	struct kolk__upstream *upstream = child->link->upstream;
	uint64_t now_ns = kolk__link_now(upstream->transport);
	bool useful = kolk__load_relaxed(&child->used) && process->status == 0 &&
		      process->signal == 0;

	if (useful || now_ns - child->spawned_ns >= EARLY_EXIT_NS)
		kolk__store_relaxed(&upstream->child->early_exits, 0);
	else if (child->unexpected)
		raise_backoff(upstream, now_ns);
}
/* True when it had ended. */
static bool reap(struct kolk__child *child)
{
	const struct kolk_sys *sys = sys_of(child);
	struct kolk__link *link = child->link;
	bool unexpected = ended_unexpectedly(child);

	if (!sys->child_reap(sys->context, &child->process, false))
		return false;
	kolk__timeout_stop(link->loop, &child->timeout);
	kolk__child_stderr_end(child);
	child->stage = KOLK__CHILD_ENDED;
	child->unexpected = unexpected;
	record_exit(child);
	log_exit(child);
	sys->sock_close(sys->context, child->process.pid_fd);
	child->process.pid_fd = -1;
	return true;
}

/* No poll will report its exit. A running child is kept, and is watched again soon; one that should
 * have ended is killed. */
static void poll_failed(struct kolk__child *child)
{
	const struct kolk_sys *sys = sys_of(child);

	if (child->stage != KOLK__CHILD_RUNNING) {
		child->stage = KOLK__CHILD_KILLED;
		sys->child_kill(sys->context, &child->process, SIGKILL, true);
	}
	timeout_in(child, RECHECK_NS);
}

static void ended(struct kolk_op *op)
{
	struct kolk__child *child = op->owner;
	struct kolk__link *link = child->link;

	KOLK__HOME(link);
	if (!reap(child)) {
		poll_failed(child);
		return;
	}
	if (kolk__link_is_open(link))
		kolk__link_retire(link, KOLK_REASON_PEER_CLOSED);
	kolk__child_check_done(link);
}

static void watch(struct kolk__child *child)
{
	kolk__op_fd(&child->op, KOLK_OP_POLL, child->process.pid_fd);
	kolk__submit(child->link->loop, &child->op, ended, child);
}

/* ---- stop: a step further each time that it has not ended in time */

static void stop_step(struct kolk__child *child)
{
	const struct kolk__child_config *config = child->link->upstream->child;
	const struct kolk_sys *sys = sys_of(child);

	if (child->stage == KOLK__CHILD_STDIN_CLOSED) {
		child->stage = KOLK__CHILD_TERMINATING;
		sys->child_kill(sys->context, &child->process, SIGTERM, false);
		if (kolk__load_relaxed(&config->term_ns) > 0) {
			timeout_in(child, kolk__load_relaxed(&config->term_ns));
			return;
		}
	}
	if (child->stage == KOLK__CHILD_TERMINATING && kolk__load_relaxed(&config->term_ns) > 0)
		kolk__child_log(child, KOLK_LOG_WARN, "does not end: it is killed");
	child->stage = KOLK__CHILD_KILLED;
	sys->child_kill(sys->context, &child->process, SIGKILL, true);
	if (!child->op.in_flight)
		timeout_in(child, RECHECK_NS);
}

static void spawn(struct kolk__child *child);

static void timed_out(struct kolk__timeout *timeout)
{
	struct kolk__child *child = child_of(timeout);

	if (child->stage == KOLK__CHILD_BACKOFF)
		spawn(child);
	else if (child->op.in_flight) /* the poll will report its exit */
		stop_step(child);
	else if (child->stage == KOLK__CHILD_RUNNING)
		watch(child);
	else
		ended(&child->op);
}

void kolk__child_stop(struct kolk__link *link, bool gracefully)
{
	struct kolk__child *child = link->child;
	const struct kolk_sys *sys;

	KOLK__HOME(link);
	if (child != NULL && child->stage == KOLK__CHILD_BACKOFF) {
		kolk__timeout_stop(link->loop, &child->timeout);
		child->stage = KOLK__CHILD_ENDED;
	}
	if (child == NULL || child->stage != KOLK__CHILD_RUNNING)
		return; /* not spawned yet: spawned() comes back here */
	sys = sys_of(child);
	if (!child->op.in_flight)
		watch(child);
	child->stage = KOLK__CHILD_STDIN_CLOSED;
	sys->child_input_end(sys->context, &child->process);
	if (gracefully && kolk__load_relaxed(&link->upstream->child->stop_ns) > 0)
		timeout_in(child, kolk__load_relaxed(&link->upstream->child->stop_ns));
	else
		stop_step(child);
}

/* ---- spawn */

static void spawn_work(struct kolk_op *op)
{
	struct kolk__child *child = op->owner;
	const struct kolk_sys *sys = sys_of(child);

	child->result = sys->child_spawn(sys->context, &child->link->upstream->child->spec,
					 &child->process);
}

static enum kolk_err spawn_err(int32_t result)
{
	enum kolk_err err = kolk__err_of(result);

	return err == KOLK_E_FILES || err == KOLK_E_MEMORY ? err : KOLK_E_SPAWN;
}

static void spawned(struct kolk_op *op)
{
	struct kolk__child *child = op->owner;
	struct kolk__link *link = child->link;

	KOLK__HOME(link);
	if (child->result < 0) {
		child->stage = KOLK__CHILD_ENDED;
		if (link->phase == KOLK__ENDING)
			kolk__dial_end_if_quiescent(link);
		else
			kolk__dial_fail(link, spawn_err(child->result), child->result, 0);
		return;
	}
	child->stage = KOLK__CHILD_RUNNING;
	child->spawned_ns = kolk__link_now(link->loop->transport);
	link->fd = child->process.fd;
	watch(child);
	kolk__child_stderr_begin(child);
	if (link->phase == KOLK__ENDING)
		kolk__child_stop(link, false); /* the dial was cancelled meanwhile */
	else
		kolk__connected(link, 0);
}

static void spawn(struct kolk__child *child)
{
	child->stage = KOLK__CHILD_SPAWNING;
	kolk__op_work(&child->op, KOLK_OP_SPAWN, spawn_work, NULL);
	kolk__submit(child->link->loop, &child->op, spawned, child);
}

void kolk__child_mark_used(struct kolk__link *link)
{
	if (link->child != NULL)
		kolk__store_relaxed(&link->child->used, true);
}

enum kolk_err kolk__child_dial(struct kolk__link *link)
{
	struct kolk__io_loop *loop = link->loop;
	struct kolk__child *child = kolk__alloc(loop->transport, sizeof *child);
	uint64_t now_ns = kolk__link_now(loop->transport);
	uint64_t spawn_after_ns = kolk__load_relaxed(&link->upstream->child->spawn_after_ns);

	KOLK__HOME(link);
	if (child == NULL)
		return KOLK_E_MEMORY;
	child->link = link;
	child->timeout.fire = timed_out;
	child->process.fd = child->process.pid_fd = child->process.error_fd = -1;
	link->child = child;
	link->phase = KOLK__CONNECTING;
	kolk__link_deadline(link, kolk__load_relaxed(&link->upstream->times.connect_ns));
	if (spawn_after_ns > now_ns)
		timeout_in(child, spawn_after_ns - now_ns);
	else
		spawn(child);
	return KOLK_OK;
}

/* ---- memory */

static void close_if_open(const struct kolk_sys *sys, int fd)
{
	if (fd >= 0)
		sys->sock_close(sys->context, fd);
}

void kolk__child_free(struct kolk__link *link)
{
	struct kolk__child *child = link->child;
	struct kolk__io_loop *loop = link->loop;

	if (child == NULL)
		return;
	kolk__timeout_stop(loop, &child->timeout);
	kolk__timeout_stop(loop, &child->stderr_log.pause);
	close_if_open(loop->transport->sys, child->process.error_fd);
	kolk__dealloc(loop->transport, child, sizeof *child);
	link->child = NULL;
}

/* spawned() may not have run: then the link does not have the descriptors that the worker made. */
void kolk__child_kill_now(struct kolk__link *link)
{
	struct kolk__child *child = link->child;
	const struct kolk_sys *sys = link->loop->transport->sys;

	if (child == NULL || child->process.pid_fd < 0)
		return;
	if (link->fd < 0)
		close_if_open(sys, child->process.fd);
	sys->child_kill(sys->context, &child->process, SIGKILL, true);
	(void)sys->child_reap(sys->context, &child->process, true);
	sys->sock_close(sys->context, child->process.pid_fd);
}
