/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shard.c - a loop's turn: reap completions, run tasks, end waiters that are late, run callbacks.
 */
#include "core/shard.h"
#include "core/base/container.h"
#include "core/event.h"

#include "core/dial.h"
#include "core/effects.h"
#include "core/wait.h"

static void deliver(struct kolk__waiter *waiter)
{
	struct kolk_key *key = waiter->key;
	struct kolk_lease lease = waiter->lease;
	enum kolk_err err = (enum kolk_err)waiter->err;

	KOLK__IN_TURN(waiter->loop);
	KOLK__NO_LOCK();
	if (err == KOLK_OK) {
		kolk__key_record(key, KOLK__WAIT_TIME,
			 kolk__now(key->engine) - waiter->enqueued_ns);
		if (key->notify_acquired)
			kolk__notify(key, lease.connection, KOLK_EVENT_ACQUIRED, 0);
	}
	waiter->loop = NULL; /* not pending any more: the callback may free or reuse it */
	waiter->callback(waiter->user, err, err == KOLK_OK ? &lease : NULL);
}

/* Run the callbacks of this turn. Those that they cause run in the next one. */
static bool done_run(struct kolk_loop *shard)
{
	struct kolk__waiter *last = shard->done_last;
	struct kolk__waiter *waiter = NULL;

	while (shard->done != NULL && waiter != last) {
		waiter = shard->done;
		kolk__done_remove(shard, waiter);
		deliver(waiter);
	}
	return last != NULL;
}

/* A waiter's deadline has passed: remove it from the queue, unless it has a result already. */
static void expire(struct kolk_loop *shard, struct kolk__waiter *waiter, uint64_t now_ns)
{
	struct kolk_key *key = waiter->key;
	KOLK__EFFECTS(effects);
	bool late;

	KOLK__IN_TURN(shard);
	KOLK__NO_LOCK();
	kolk__key_lock(key, &effects, now_ns);
	late = kolk__own(&waiter->state) == KOLK__WAITING;
	if (late)
		kolk__waiter_expire(key, waiter, &effects);
	kolk__key_unlock(&effects);
	if (!late)
		return;
	kolk__waiter_expired(key, waiter, now_ns);
	kolk__done_add(shard, waiter);
}

/* At most so many waiters end by their deadlines in a turn. If more are late, the next turn begins
 * without a wait, and first handles what has come for others meanwhile. */
enum { LATE_MAX = 64 };

static void deadlines_run(struct kolk_loop *shard)
{
	uint64_t now_ns = kolk__now(shard->engine);
	struct kolk__timer *timer = kolk__heap_min(&shard->deadlines);

	if (timer == NULL || timer->due_ns > now_ns)
		return;
	kolk__io_loop_catch_up(shard->io_loop); /* completions that are there by now come first */
	(void)kolk__tasks_run(shard);
	for (int i = 0; i < LATE_MAX; i++) {
		timer = kolk__heap_min(&shard->deadlines);
		if (timer == NULL || timer->due_ns > now_ns)
			return;
		kolk__heap_remove(&shard->deadlines, timer);
		expire(shard,
		       kolk__container_of(timer, struct kolk__waiter, deadline),
		       now_ns);
	}
}

/* ---- turns */

uint64_t kolk_loop_next_timer(struct kolk_loop *loop)
{
	struct kolk__timer *timer = kolk__heap_min(&loop->deadlines);
	uint64_t transport_ns = kolk__io_loop_next_timer(loop->io_loop);

	if (loop->done != NULL || loop->tasks != NULL || !kolk__mailbox_is_empty(&loop->mailbox))
		return 1;
	return timer != NULL && timer->due_ns < transport_ns ? timer->due_ns : transport_ns;
}

static enum kolk_err turn(struct kolk_loop *loop, uint64_t deadline_ns)
{
	struct kolk__timer *timer = kolk__heap_min(&loop->deadlines);
	struct kolk_loop *outer;
	enum kolk_err err;

	if (timer != NULL && timer->due_ns < deadline_ns)
		deadline_ns = timer->due_ns;
	if (loop->done != NULL || loop->tasks != NULL || !kolk__mailbox_is_empty(&loop->mailbox))
		deadline_ns = 0;
	outer = kolk__loop_enter(loop);
	loop->stepping = true;
	loop->now_ns = 0;
	err = kolk__io_loop_step(loop->io_loop, deadline_ns);
	if (kolk__load_relaxed(&loop->sweep) && kolk__exchange_sc(&loop->sweep, 0))
		kolk__dial_sweep(loop);
	kolk__tasks_run(loop);
	deadlines_run(loop);
	done_run(loop);
	loop->stepping = false;
	(void)kolk__loop_enter(outer);
	return err;
}

static enum kolk_err may_turn(struct kolk_loop *loop)
{
	if (kolk__is_child(loop->engine))
		return KOLK_E_FORKED;
	if (loop->stepping || !kolk__is_owner(loop))
		return KOLK_E_THREAD;
	return KOLK_OK;
}

uint64_t kolk_loop_now(struct kolk_loop *loop)
{
	if (!loop->stepping)
		return kolk__now(loop->engine);
	KOLK__OWNER(loop);
	if (loop->now_ns == 0)
		loop->now_ns = kolk__now(loop->engine);
	return loop->now_ns;
}

enum kolk_err kolk_loop_step(struct kolk_loop *loop, uint64_t timeout_ns)
{
	enum kolk_err err = may_turn(loop);
	uint64_t deadline_ns = 0;

	if (err != KOLK_OK)
		return err;
	if (timeout_ns != 0 && timeout_ns < KOLK_FOREVER / 2)
		deadline_ns = kolk__now(loop->engine) + timeout_ns;
	else if (timeout_ns != 0)
		deadline_ns = KOLK_FOREVER;
	err = turn(loop, deadline_ns);
	kolk__io_loop_flush(loop->io_loop);
	return err;
}

enum kolk_err kolk_loop_run(struct kolk_loop *loop)
{
	enum kolk_err err = may_turn(loop);

	while (err == KOLK_OK && !kolk__exchange_acq_rel(&loop->stop, 0))
		err = turn(loop, KOLK_FOREVER);
	kolk__io_loop_flush(loop->io_loop);
	return err;
}

void kolk_loop_stop(struct kolk_loop *loop)
{
	kolk__store_release(&loop->stop, 1);
	kolk__io_loop_wake(loop->io_loop);
}

int kolk_loop_fd(struct kolk_loop *loop)
{
	return kolk__io_loop_fd(loop->io_loop);
}

uint32_t kolk_loop_index(const struct kolk_loop *loop)
{
	return loop->index;
}

struct kolk_engine *kolk_loop_engine(const struct kolk_loop *loop)
{
	return loop->engine;
}

/* ---- posted calls */

struct posted { /* what struct kolk_call holds */
	struct kolk__task task;
	kolk_call_fn *callback;
	void *user;
};
_Static_assert(sizeof(struct posted) <= sizeof(struct kolk_call), "kolk_call is too small");

static void posted_task(struct kolk__task *task)
{
	struct posted *posted = (struct posted *)(void *)task;

	posted->callback((struct kolk_call *)(void *)posted, posted->user);
}

enum kolk_err kolk_loop_call(struct kolk_loop *loop, struct kolk_call *call,
			     kolk_call_fn *callback, void *user)
{
	struct posted *posted = (struct posted *)(void *)call;

	if (kolk__is_child(loop->engine))
		return KOLK_E_FORKED;
	posted->callback = callback;
	posted->user = user;
	kolk__task_taken(&posted->task); /* the caller's memory: it may be anything */
	kolk__post(loop, &posted->task, posted_task);
	return KOLK_OK;
}

/* ---- timers of the embedder */

struct timer {
	struct kolk__timeout timeout; /* first */
	struct kolk_loop *loop;
	kolk_timer_fn *callback;
	void *user;
};
_Static_assert(sizeof(struct timer) <= sizeof(struct kolk_timer), "kolk_timer is too small");

static void timer_fire(struct kolk__timeout *timeout)
{
	struct timer *timer = (struct timer *)(void *)timeout;

	timer->loop->now_ns = 0; /* to it, the step's time is after what it waited for */
	timer->callback((struct kolk_timer *)(void *)timer, timer->user);
}

enum kolk_err kolk_timer_start(struct kolk_loop *loop, struct kolk_timer *memory, uint64_t due_ns,
			       kolk_timer_fn *callback, void *user)
{
	struct timer *timer = (struct timer *)(void *)memory;

	if (!kolk__is_owner(loop))
		return KOLK_E_THREAD;
	timer->timeout.fire = timer_fire;
	timer->loop = loop;
	timer->callback = callback;
	timer->user = user;
	kolk__timeout_start(loop->io_loop, &timer->timeout, due_ns);
	return KOLK_OK;
}

void kolk_timer_stop(struct kolk_timer *memory)
{
	struct timer *timer = (struct timer *)(void *)memory;

	if (timer->loop != NULL && kolk__is_owner(timer->loop))
		kolk__timeout_stop(timer->loop->io_loop, &timer->timeout);
}

/* ---- open and close */

enum kolk_err kolk__shard_open(struct kolk_engine *engine, uint32_t index)
{
	struct kolk_loop *shard = &engine->shards[index];

	shard->engine = engine;
	shard->index = index;
	shard->tasks_end = &shard->tasks;
	ck_stack_init(&shard->mailbox.stack);
	return kolk__io_loop_open(engine->transport, &shard->io_loop);
}

void kolk__shard_close(struct kolk_loop *shard)
{
	if (shard->io_loop != NULL)
		kolk__io_loop_close(shard->io_loop);
	shard->io_loop = NULL;
}

static void run(void *arg)
{
	struct kolk_loop *shard = arg;
	enum kolk_err err = kolk_loop_run(shard);

	if (err != KOLK_OK)
		kolk__log(shard->engine, KOLK_LOG_ERROR, "loop", "loop %u stopped: %s",
			  shard->index, kolk_err_text(err));
}

enum kolk_err kolk__shard_start(struct kolk_loop *shard)
{
	const struct kolk_sys *sys = shard->engine->sys;

	return sys->thread_start(sys->context, "kolk-loop", run, shard, &shard->thread);
}

void kolk__shard_join(struct kolk_loop *shard)
{
	const struct kolk_sys *sys;

	if (shard->thread == NULL) /* an embedder's loop, or never opened */
		return;
	sys = shard->engine->sys;
	kolk_loop_stop(shard);
	sys->thread_join(sys->context, shard->thread);
	shard->thread = NULL;
}
