/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child.c - a child process's life as a link: spawned, watched, asked to leave, reaped.
 *
 * Its end is found by one poll on its pidfd, armed from its birth to its end. Whether it ended
 * by itself or because it was told, what follows is the same: it is reaped, and what is left of
 * its group goes with it.
 */
#include "transport/child.h"

#include <signal.h>

#include "core/base/atomic.h"
#include "transport/connect.h"
#include "transport/input.h"

/* One whose end the kernel does not tell (no memory for the poll) is looked at so often. */
#define LOOK_NS (10 * KOLK_MS_NS)
/* One that lived for less and was of no use is held against those to come: a program that cannot
 * work would be started again and again, as fast as the machine can. */
#define YOUNG_NS KOLK_S_NS

static struct kolk__child *child_of(struct kolk__timeout *timeout)
{
	return (struct kolk__child *)(void *)((char *)timeout -
					      offsetof(struct kolk__child, timeout));
}

static const struct kolk_sys *sys_of(const struct kolk__child *child)
{
	return child->link->tloop->transport->sys;
}

static void timeout_in(struct kolk__child *child, uint64_t ns)
{
	struct kolk__tloop *tloop = child->link->tloop;

	kolk__timeout_start(tloop, &child->timeout, kolk__link_now(tloop->transport) + ns);
}

/* ---- its end */

bool kolk__child_is_over(const struct kolk__link *link)
{
	const struct kolk__child *child = link->child;

	return child == NULL || (child->stage == KOLK__CHILD_GONE && !child->op.in_flight &&
				 !child->words.op.in_flight);
}

/* Nothing of it is in flight any more, as far as child.c knows: the link may wait for that. */
void kolk__child_settle(struct kolk__link *link)
{
	if (!kolk__child_is_over(link))
		return;
	if (link->phase == KOLK__ENDING)
		kolk__dial_end_if_quiet(link);
	else if (link->phase == KOLK__CLOSING_LINK)
		kolk__link_close_if_quiet(link);
}

/* Nobody wanted it to end; or it hung up, or a dial failed because it did, before its end was
 * told. */
static bool ended_unasked(const struct kolk__child *child)
{
	const struct kolk__link *link = child->link;
	enum kolk_err err = link->failure.err;

	if (child->stage != KOLK__CHILD_LEAVING)
		return child->stage == KOLK__CHILD_RUNS;
	return link->hung_up || (link->phase == KOLK__ENDING &&
				 (err == KOLK_E_CLOSED || err == KOLK_E_RESET));
}

void kolk__child_blame(const struct kolk__link *link, struct kolk_failure *failure)
{
	const struct kolk__child *child = link->child;

	if (child == NULL || !child->unasked)
		return;
	failure->exit_status = (uint32_t)child->process.status;
	failure->exit_signal = (uint32_t)child->process.signal;
}

static void tell_end(struct kolk__child *child)
{
	const struct kolk_child *process = &child->process;
	bool wrong = child->unasked && (process->status != 0 || process->signal != 0);
	const struct kolk__child_config *config = child->link->origin->child;
	const char *last = kolk__load_relaxed(&config->last_words) ? child->words.last : "";

	kolk__child_log(child, wrong ? KOLK_LOG_WARN : KOLK_LOG_DEBUG, "ended%s with %s %d%s%s",
			child->unasked ? " by itself" : "",
			process->signal != 0 ? "signal" : "status",
			process->signal != 0 ? process->signal : process->status,
			wrong && last[0] != 0 ? ": " : "", wrong ? last : "");
}

static void hold_back(struct kolk__origin *origin, uint64_t now_ns)
{
	uint32_t deaths = kolk__add_relaxed(&origin->child->deaths, 1);
	uint64_t wait_ns = kolk__load_relaxed(&origin->times.retry_ns);
	uint64_t max_ns = kolk__load_relaxed(&origin->times.retry_max_ns);

	for (; deaths > 0 && wait_ns < max_ns; deaths--)
		wait_ns *= 2;
	if (wait_ns > max_ns)
		wait_ns = max_ns;
	kolk__store_relaxed(&origin->child->again_ns, now_ns + wait_ns);
}

static void remember_death(struct kolk__child *child)
{
	const struct kolk_child *process = &child->process;
	struct kolk__origin *origin = child->link->origin;
	uint64_t now_ns = kolk__link_now(origin->transport);
	bool useful = kolk__load_relaxed(&child->used) && process->status == 0 &&
		      process->signal == 0;

	if (useful || now_ns - child->born_ns >= YOUNG_NS)
		kolk__store_relaxed(&origin->child->deaths, 0);
	else if (child->unasked)
		hold_back(origin, now_ns);
}
/* True when it had ended. */
static bool reap(struct kolk__child *child)
{
	const struct kolk_sys *sys = sys_of(child);
	struct kolk__link *link = child->link;
	bool unasked = ended_unasked(child);

	if (!sys->child_reap(sys->context, &child->process, false))
		return false;
	kolk__timeout_stop(link->tloop, &child->timeout);
	kolk__words_end(child);
	child->stage = KOLK__CHILD_GONE;
	child->unasked = unasked;
	remember_death(child);
	tell_end(child);
	sys->sock_close(sys->context, child->process.pid_fd);
	child->process.pid_fd = -1;
	return true;
}

/* Nobody will tell its end. One that runs is not to blame, and is watched again soon; one that is
 * to leave has had its time. */
static void unwatched(struct kolk__child *child)
{
	const struct kolk_sys *sys = sys_of(child);

	if (child->stage != KOLK__CHILD_RUNS) {
		child->stage = KOLK__CHILD_KILLED;
		sys->child_kill(sys->context, &child->process, SIGKILL, true);
	}
	timeout_in(child, LOOK_NS);
}

static void ended(struct kolk_op *op)
{
	struct kolk__child *child = op->owner;
	struct kolk__link *link = child->link;

	KOLK__HOME(link);
	if (!reap(child)) {
		unwatched(child);
		return;
	}
	if (kolk__link_is_open(link))
		kolk__link_hung_up(link, KOLK_REASON_PEER_CLOSED);
	kolk__child_settle(link);
}

static void watch(struct kolk__child *child)
{
	kolk__submit(child->link->tloop, &child->op, KOLK_OP_POLL, child->process.pid_fd, NULL, 0,
		     ended, child);
}

/* ---- stop: a step further each time that it has not ended in time */

static void step(struct kolk__child *child)
{
	const struct kolk__child_config *config = child->link->origin->child;
	const struct kolk_sys *sys = sys_of(child);

	if (child->stage == KOLK__CHILD_LEAVING) {
		child->stage = KOLK__CHILD_TOLD;
		sys->child_kill(sys->context, &child->process, SIGTERM, false);
		if (kolk__load_relaxed(&config->term_ns) > 0) {
			timeout_in(child, kolk__load_relaxed(&config->term_ns));
			return;
		}
	}
	if (child->stage == KOLK__CHILD_TOLD && kolk__load_relaxed(&config->term_ns) > 0)
		kolk__child_log(child, KOLK_LOG_WARN, "does not end: it is killed");
	child->stage = KOLK__CHILD_KILLED;
	sys->child_kill(sys->context, &child->process, SIGKILL, true);
	if (!child->op.in_flight)
		timeout_in(child, LOOK_NS);
}

static void spawn(struct kolk__child *child);

static void late(struct kolk__timeout *timeout)
{
	struct kolk__child *child = child_of(timeout);

	if (child->stage == KOLK__CHILD_HELD)
		spawn(child);
	else if (child->op.in_flight) /* its end will be told */
		step(child);
	else if (child->stage == KOLK__CHILD_RUNS)
		watch(child);
	else
		ended(&child->op);
}

void kolk__child_stop(struct kolk__link *link, bool politely)
{
	struct kolk__child *child = link->child;
	const struct kolk_sys *sys;

	KOLK__HOME(link);
	if (child != NULL && child->stage == KOLK__CHILD_HELD) {
		kolk__timeout_stop(link->tloop, &child->timeout);
		child->stage = KOLK__CHILD_GONE;
	}
	if (child == NULL || child->stage != KOLK__CHILD_RUNS)
		return; /* not yet born: spawned() comes back here */
	sys = sys_of(child);
	if (!child->op.in_flight)
		watch(child);
	child->stage = KOLK__CHILD_LEAVING;
	sys->child_input_end(sys->context, &child->process);
	if (politely && kolk__load_relaxed(&link->origin->child->stop_ns) > 0)
		timeout_in(child, kolk__load_relaxed(&link->origin->child->stop_ns));
	else
		step(child);
}

/* ---- spawn */

static void spawn_work(struct kolk_op *op)
{
	struct kolk__child *child = op->owner;
	const struct kolk_sys *sys = sys_of(child);

	child->result = sys->child_spawn(sys->context, &child->link->origin->child->spec,
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
		child->stage = KOLK__CHILD_GONE;
		if (link->phase == KOLK__ENDING)
			kolk__dial_end_if_quiet(link);
		else
			kolk__dial_fail(link, spawn_err(child->result), KOLK_PHASE_CONNECT,
					child->result, 0);
		return;
	}
	child->stage = KOLK__CHILD_RUNS;
	child->born_ns = kolk__link_now(link->tloop->transport);
	link->fd = child->process.fd;
	watch(child);
	kolk__words_begin(child);
	if (link->phase == KOLK__ENDING)
		kolk__child_stop(link, false); /* it came too late */
	else
		kolk__connected(link, 0);
}

static void spawn(struct kolk__child *child)
{
	child->stage = KOLK__CHILD_SPAWNING;
	child->op.work = spawn_work;
	kolk__submit(child->link->tloop, &child->op, KOLK_OP_SPAWN, -1, NULL, 0, spawned, child);
}

void kolk__child_use(struct kolk__link *link)
{
	if (link->child != NULL)
		kolk__store_relaxed(&link->child->used, true);
}

enum kolk_err kolk__child_dial(struct kolk__link *link)
{
	struct kolk__tloop *tloop = link->tloop;
	struct kolk__child *child = kolk__alloc(tloop->transport, sizeof *child);
	uint64_t now_ns = kolk__link_now(tloop->transport);
	uint64_t again_ns = kolk__load_relaxed(&link->origin->child->again_ns);

	KOLK__HOME(link);
	if (child == NULL)
		return KOLK_E_MEMORY;
	child->link = link;
	child->timeout.fire = late;
	child->process.fd = child->process.pid_fd = child->process.error_fd = -1;
	link->child = child;
	link->phase = KOLK__CONNECTING;
	kolk__link_deadline(link, kolk__load_relaxed(&link->origin->times.connect_ns));
	if (again_ns > now_ns)
		timeout_in(child, again_ns - now_ns);
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
	struct kolk__tloop *tloop = link->tloop;

	if (child == NULL)
		return;
	kolk__timeout_stop(tloop, &child->timeout);
	kolk__timeout_stop(tloop, &child->words.pause);
	close_if_open(tloop->transport->sys, child->process.error_fd);
	kolk__dealloc(tloop->transport, child, sizeof *child);
	link->child = NULL;
}

/* spawned() may not have run: then the link does not know of what the worker made. */
void kolk__child_drop(struct kolk__link *link)
{
	struct kolk__child *child = link->child;
	const struct kolk_sys *sys = link->tloop->transport->sys;

	if (child == NULL || child->process.pid_fd < 0)
		return;
	if (link->fd < 0)
		close_if_open(sys, child->process.fd);
	sys->child_kill(sys->context, &child->process, SIGKILL, true);
	(void)sys->child_reap(sys->context, &child->process, true);
	sys->sock_close(sys->context, child->process.pid_fd);
}
