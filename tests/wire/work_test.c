/* SPDX-License-Identifier: Apache-2.0 */
/* work_test.c - work.c: what blocks does not hold up other work while there may be one more
 * thread; and workers, which have a lower priority than loops, do not hold up a loop. */
#define _GNU_SOURCE
#include <kolk/sys/sys.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#include "core/base/atomic.h"
#include "tests/wire/wire.h"

enum { TOGETHER = 2, MEET_MS = 2000 };

struct meeting {
	struct kolk_op op[TOGETHER];
	kolk__atomic_u32 inside, met;
	uint32_t ended;
};

static void meet(struct kolk_op *op)
{
	struct meeting *meeting = op->owner;

	kolk__add_acq_rel(&meeting->inside, 1);
	if (WITHIN_MS(MEET_MS, kolk__load_acquire(&meeting->inside) == TOGETHER))
		kolk__add_acq_rel(&meeting->met, 1);
}

static void nothing(struct kolk_op *op)
{
	(void)op;
}

static void ended(struct kolk_op *op)
{
	((struct meeting *)op->owner)->ended++;
}

static void submit(const struct kolk_sys *sys, struct kolk_ring *ring, struct meeting *meeting,
		   uint32_t which, void (*work)(struct kolk_op *op))
{
	meeting->op[which] = (struct kolk_op){ .kind = KOLK_OP_WORK, .fd = -1, .work = work,
					       .done = ended, .owner = meeting };
	sys->ring_submit(ring, &meeting->op[which]);
}

static bool run_until(const struct kolk_sys *sys, struct kolk_ring *ring,
		      const struct meeting *meeting, uint32_t count)
{
	return WITHIN_MS(10000, sys->ring_step(ring, KOLK_MS_NS, 0) >= 0 && meeting->ended == count);
}

/* One thread is idle, and was signalled for the first; it is not awake when the second comes. */
static void idle_thread_has_work(void)
{
	const struct kolk_sys *sys = kolk_sys_linux();
	struct meeting meeting = { .ended = 0 };
	const char *name, *why;
	struct kolk_ring *ring;

	MUST(sys->ring_open(sys->context, wire_backend, &ring, &name, &why) == KOLK_OK);
	for (int i = 0; i < 10; i++) {
		meeting = (struct meeting){ .ended = 0 };
		submit(sys, ring, &meeting, 0, nothing);
		CHECK(run_until(sys, ring, &meeting, 1));
		tap_nap(); /* it goes to sleep again */
		for (uint32_t k = 0; k < TOGETHER; k++)
			submit(sys, ring, &meeting, k, meet);
		CHECK(run_until(sys, ring, &meeting, 1 + TOGETHER));
		CHECK(kolk__load_acquire(&meeting.met) == TOGETHER);
	}
	sys->ring_close(ring);
}

/* ---- a worker that is preempted: at one of its accesses that have an order, it stands still */

#ifndef NDEBUG /* or there is no hook */

enum { STOPS = 3, STOPPED_MS = 2000 };

static struct {
	pthread_t loop;
	kolk__atomic_u32 left, stopped, resumed; /* accesses before it stops */
} preemption;

static void preempt_worker(void)
{
	if (pthread_equal(pthread_self(), preemption.loop) ||
	    kolk__load_relaxed(&preemption.stopped) ||
	    kolk__sub_relaxed(&preemption.left, 1) != 0)
		return;
	kolk__store_relaxed(&preemption.stopped, 1);
	(void)WITHIN_MS(STOPPED_MS, kolk__load_relaxed(&preemption.resumed));
}

/* While it stands still this thread submits, and steps. */
static void loop_goes_on(const struct kolk_sys *sys, struct kolk_ring *ring)
{
	struct meeting meeting = { .ended = 0 };
	uint64_t from_ms;

	submit(sys, ring, &meeting, 0, nothing);
	CHECK(WITHIN_MS(10000, kolk__load_relaxed(&preemption.stopped)));
	from_ms = tap_now_ms();
	submit(sys, ring, &meeting, 1, nothing);
	CHECK(sys->ring_step(ring, 0, 0) >= 0);
	CHECK(tap_now_ms() - from_ms < STOPPED_MS / 2);
	kolk__store_relaxed(&preemption.resumed, 1);
	CHECK(run_until(sys, ring, &meeting, 2));
}

static void preempted_worker(void)
{
	const struct kolk_sys *sys = kolk_sys_linux();
	const char *name, *why;
	struct kolk_ring *ring;

	for (uint32_t stop = 0; stop < STOPS; stop++) {
		preemption.loop = pthread_self();
		kolk__store_relaxed(&preemption.left, stop);
		kolk__store_relaxed(&preemption.stopped, 0);
		kolk__store_relaxed(&preemption.resumed, 0);
		kolk__on_access = preempt_worker; /* there are no workers without a ring */
		MUST(sys->ring_open(sys->context, wire_backend, &ring, &name, &why) == KOLK_OK);
		loop_goes_on(sys, ring);
		sys->ring_close(ring);
		kolk__on_access = NULL;
	}
}

#endif

/* ---- priority */

static void tell_priority(struct kolk_op *op)
{
	struct meeting *meeting = op->owner;

	kolk__store_release(&meeting->met, (uint32_t)(sched_getscheduler(0) << 8) |
						   (uint32_t)(getpriority(PRIO_PROCESS, 0) + 20));
}

struct priority {
	int policy, nice;
};

/* Of this thread, as a loop's; becomes that of its worker. */
static void priority_of_worker(struct priority *priority)
{
	const struct kolk_sys *sys = kolk_sys_linux();
	const struct sched_param parameter = { 0 };
	struct meeting meeting = { .ended = 0 };
	const char *name, *why;
	struct kolk_ring *ring;
	int met;

	(void)setpriority(PRIO_PROCESS, 0, priority->nice);
	MUST(sched_setscheduler(0, priority->policy, &parameter) == 0);
	MUST(sys->ring_open(sys->context, wire_backend, &ring, &name, &why) == KOLK_OK);
	submit(sys, ring, &meeting, 0, tell_priority);
	CHECK(run_until(sys, ring, &meeting, 1));
	sys->ring_close(ring);
	met = (int)kolk__load_acquire(&meeting.met);
	*priority = (struct priority){ met >> 8, (met & 0xff) - 20 };
}

static void *loop_thread(void *priority)
{
	priority_of_worker(priority);
	return NULL;
}

static void is_worker_of(int policy, int nice, int of_worker, int nice_of_worker)
{
	struct priority priority = { policy, nice };
	pthread_t thread;

	MUST(pthread_create(&thread, NULL, loop_thread, &priority) == 0);
	pthread_join(thread, NULL);
	CHECK(priority.policy == of_worker && priority.nice == nice_of_worker);
}

static void workers_are_below_loops(void)
{
	is_worker_of(SCHED_OTHER, 15, SCHED_BATCH, 19); /* the lowest */
	is_worker_of(SCHED_IDLE, 0, SCHED_IDLE, 10);
}

static const struct tap_test tests[] = {
#ifndef NDEBUG
	{ "a preempted worker does not hold up the loop", preempted_worker },
#endif
	{ "workers have a lower priority than the loop that they serve", workers_are_below_loops },
	{ "work that blocks does not hold up other work", idle_thread_has_work },
};
TAP_TESTS(work, tests);
