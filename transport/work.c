/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work.c - worker pools for work that may block or takes long (name resolution, drivers of
 * resources, TLS handshakes).
 *
 * A thread is started when there is more work than idle threads, up to the number of CPUs
 * and two more. All end when the last ring closes. They have a lower priority than the loops:
 * where both need a CPU, requests go first. So a worker that is preempted may get no CPU for
 * milliseconds, and must not hold what a loop waits for: it wakes no thread under the lock (the
 * loop that it wakes preempts it there), and a loop takes finished work without it. Nor does a loop
 * signal a condition: that waits until those who were signalled before are awake. Child processes
 * inherit the priority of the thread that spawns them, and their parent-death signal is bound to
 * it: they have threads of their own, with the priority of the loop that first spawned.
 */
#define _GNU_SOURCE
#include <semaphore.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "transport/linux.h"
#include "transport/ring.h"

enum { WORKERS_MAX = 32, SPAWNERS_MAX = 4, NICE = 10, NICE_MAX = 19,
       SLICE_NS = 100000000 };

struct worker_pool {
	sem_t more; /* posted for threads that are idle; one may find nothing */
	struct kolk_op *first, **end; /* waiting */
	pthread_t threads[WORKERS_MAX];
	int started, idle, queued;
};

struct work {
	pthread_mutex_t lock;
	pthread_cond_t done;
	struct worker_pool workers, spawners;
	int users;
	bool stop;
};

static struct work work = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.done = PTHREAD_COND_INITIALIZER,
};
/* Held while the last user ends the threads. */
static pthread_mutex_t users_lock = PTHREAD_MUTEX_INITIALIZER;

/* Of an operation that is work, the private words are: next, ring. */
static struct kolk_ring **ring_of(struct kolk_op *op)
{
	return (struct kolk_ring **)(void *)&op->ring_private[1];
}

/* The operation is its owner's again once it is pushed; the ring is there until it is not in flight
 * any more. */
static void complete_work(struct kolk_op *op)
{
	struct kolk_ring *ring = *ring_of(op);
	struct kolk_op *newest = kolk__load_relaxed(&ring->work_done);

	do { /* again only if another worker, or the loop, came between */
		*kolk__op_next(op) = newest;
	} while (!kolk__cas_acq_rel(&ring->work_done, &newest, op)); /* WORK */
	kolk__linux_ring_wake(ring);
	pthread_mutex_lock(&work.lock);
	ring->work_in_flight--;
	pthread_cond_broadcast(&work.done);
	pthread_mutex_unlock(&work.lock);
}

/* struct sched_attr: <linux/sched/types.h> cannot be included beside <sched.h> of every glibc. */
struct scheduling {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t slice_ns, deadline_ns, period_ns;
};

/* All of it is a thread's own on Linux (setpriority(2), "C library/kernel differences"), and begins
 * as the loop's that started this one. Nice alone does not let a loop that wakes have the CPU at
 * once: within its slice a thread is preempted only by one with a shorter slice (sched_setattr(2),
 * Linux 6.12). So a worker's is long; and as SCHED_BATCH it preempts no thread when it wakes. */
static void lower_priority(void)
{
	int nice = getpriority(PRIO_PROCESS, 0) + NICE;
	struct scheduling scheduling = { .size = sizeof scheduling, .policy = SCHED_BATCH,
					 .nice = nice < NICE_MAX ? nice : NICE_MAX,
					 .slice_ns = SLICE_NS };

	/* Another policy is the embedder's choice. */
	if (sched_getscheduler(0) != SCHED_OTHER ||
	    syscall(SYS_sched_setattr, 0, &scheduling, 0) != 0)
		(void)setpriority(PRIO_PROCESS, 0, nice);
}

static void *worker(void *arg)
{
	struct worker_pool *worker_pool = arg;

	if (worker_pool == &work.workers)
		lower_priority();
	pthread_mutex_lock(&work.lock);
	while (!work.stop) {
		struct kolk_op *op = worker_pool->first;

		if (op == NULL) {
			worker_pool->idle++;
			pthread_mutex_unlock(&work.lock);
			(void)sem_wait(&worker_pool->more);
			pthread_mutex_lock(&work.lock);
			worker_pool->idle--;
			continue;
		}
		worker_pool->first = *kolk__op_next(op);
		worker_pool->queued--;
		pthread_mutex_unlock(&work.lock);
		op->work(op);
		complete_work(op);
		pthread_mutex_lock(&work.lock);
	}
	pthread_mutex_unlock(&work.lock);
	return NULL;
}

static int threads_max(const struct worker_pool *worker_pool)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (worker_pool == &work.spawners)
		return SPAWNERS_MAX;
	return cpus < 1 ? 3 : cpus > WORKERS_MAX - 2 ? WORKERS_MAX : (int)cpus + 2;
}

/* Start one more thread, with all signals blocked: they are the embedder's. */
static bool start_thread(struct worker_pool *worker_pool)
{
	sigset_t all, before;
	int failed;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&worker_pool->threads[worker_pool->started], NULL, worker,
				worker_pool);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	worker_pool->started += !failed;
	return !failed;
}

void kolk__work_submit(struct kolk_ring *ring, struct kolk_op *op)
{
	struct worker_pool *worker_pool = op->kind == KOLK_OP_SPAWN ? &work.spawners : &work.workers;
	bool no_thread, wakes;

	*ring_of(op) = ring;
	*kolk__op_next(op) = NULL;
	pthread_mutex_lock(&work.lock);
	/* Idle threads may have been signalled for what is queued, and not be awake yet. */
	no_thread = worker_pool->idle <= worker_pool->queued &&
		    worker_pool->started < threads_max(worker_pool) &&
		    !start_thread(worker_pool) && worker_pool->started == 0;
	ring->work_in_flight++;
	if (no_thread) {
		ring->work_in_flight--;
	} else {
		if (worker_pool->first == NULL)
			worker_pool->end = &worker_pool->first;
		*worker_pool->end = op;
		worker_pool->end = kolk__op_next(op);
		worker_pool->queued++;
	}
	wakes = worker_pool->idle > 0;
	pthread_mutex_unlock(&work.lock);
	if (wakes)
		(void)sem_post(&worker_pool->more);
	if (no_thread) { /* no thread can be started: run it on this one */
		op->work(op);
		kolk__ring_done(ring, op, 0);
	}
}

void kolk__work_reap(struct kolk_ring *ring)
{
	struct kolk_op *list;

	if (kolk__load_relaxed(&ring->work_done) == NULL) /* what comes later wakes the ring */
		return;
	list = kolk__exchange_acq_rel(&ring->work_done, NULL); /* WORK */
	while (list != NULL) {
		struct kolk_op *op = list;

		list = *kolk__op_next(op);
		kolk__ring_done(ring, op, 0);
	}
}

void kolk__work_finish(struct kolk_ring *ring)
{
	pthread_mutex_lock(&work.lock);
	while (ring->work_in_flight > 0)
		pthread_cond_wait(&work.done, &work.lock);
	pthread_mutex_unlock(&work.lock);
}

static void join(struct worker_pool *worker_pool)
{
	for (int i = 0; i < worker_pool->started; i++)
		(void)sem_post(&worker_pool->more);
	while (worker_pool->started > 0)
		pthread_join(worker_pool->threads[--worker_pool->started], NULL);
}

/* ---- fork: the child has none of the threads, and its engines are its own */

static void before_fork(void)
{
	pthread_mutex_lock(&users_lock);
	pthread_mutex_lock(&work.lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&work.lock);
	pthread_mutex_unlock(&users_lock);
}

static void reset_pools(void)
{
	work.workers = work.spawners = (struct worker_pool){ .first = NULL };
	(void)sem_init(&work.workers.more, 0, 0);
	(void)sem_init(&work.spawners.more, 0, 0);
}

/* The child, too, holds the locks in this thread; the threads that waited for the conditions are
 * gone. */
static void in_fork_child(void)
{
	work.done = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	reset_pools();
	work.users = 0;
	work.stop = false;
	after_fork();
}

static void prepare(void)
{
	reset_pools();
	(void)pthread_atfork(before_fork, after_fork, in_fork_child); /* or the child has no workers */
}

/* ---- users */

/* The last user ends the threads. A user that comes meanwhile waits until they have ended. */
void kolk__work_users(int change)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	bool last;

	pthread_once(&once, prepare);
	pthread_mutex_lock(&users_lock);
	pthread_mutex_lock(&work.lock);
	work.users += change;
	last = work.users == 0;
	work.stop = last;
	pthread_mutex_unlock(&work.lock);
	if (last) { /* no thread is started: there is no user */
		join(&work.workers);
		join(&work.spawners);
	}
	pthread_mutex_unlock(&users_lock);
}
