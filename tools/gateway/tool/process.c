/* SPDX-License-Identifier: Apache-2.0 */
/* process.c - child processes of command tools: the threads, and the queue of those that wait. */
#include "tools/gateway/tool/process.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tools/gateway/tool/child.h"

struct gw_processes {
	pthread_mutex_t lock;
	pthread_cond_t changed;      /* a process waits, or may run now; or all end */
	/* Under it. */
	struct gw_process *first, **last; /* those that wait */
	uint32_t waiting, idle, threads;
	uint32_t running[GW_TOOLS_MAX]; /* by gw_tool.index */
	bool closing;
	pthread_t thread[GW_PROCESSES_MAX];
};

/* ---- the queue; under the lock */

static bool may_run(const struct gw_processes *all, const struct gw_process *process)
{
	const struct gw_tool *tool = process->tool;

	return all->running[tool->index] < (tool->calls_max != 0 ? tool->calls_max : GW_TOOL_CALLS);
}

static void take_out(struct gw_processes *all, struct gw_process **at)
{
	struct gw_process *process = *at;

	*at = process->next;
	if (*at == NULL)
		all->last = at;
	all->waiting--;
}

/* The first whose tool has not as many as it may; NULL = none. */
static struct gw_process *next(struct gw_processes *all)
{
	for (struct gw_process **at = &all->first; *at != NULL; at = &(*at)->next) {
		struct gw_process *process = *at;

		if (!may_run(all, process))
			continue;
		take_out(all, at);
		return process;
	}
	return NULL;
}

/* ---- on a thread */

static void on_call(struct kolk_call *call, void *user)
{
	struct gw_process *process = user;

	(void)call;
	process->done(process->user);
}

static void tell(struct gw_process *process)
{
	(void)kolk_loop_call(process->loop, &process->call, on_call, process);
}

static void run(struct gw_processes *all, struct gw_process *process)
{
	int stop_fd = eventfd(0, EFD_CLOEXEC);

	all->running[process->tool->index]++;
	process->state = GW_PROCESS_RUNS;
	process->stop_fd = stop_fd;
	pthread_mutex_unlock(&all->lock);
	if (stop_fd < 0) {
		process->err = KOLK_E_RESOURCE;
		process->os_error = errno;
	} else {
		gw_child_run(process, stop_fd);
	}
	pthread_mutex_lock(&all->lock);
	all->running[process->tool->index]--;
	process->state = GW_PROCESS_ENDED;
	if (process->why != KOLK_OK)
		process->err = process->why;
	if (stop_fd >= 0)
		close(stop_fd);
	pthread_cond_broadcast(&all->changed); /* another one of its tool may run now */
	tell(process);
}

static void *thread_main(void *user)
{
	struct gw_processes *all = user;
	struct gw_process *process;

	/* Children inherit it: one that gained privileges could not be killed any more. */
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	pthread_mutex_lock(&all->lock);
	while (!all->closing) {
		process = next(all);
		if (process != NULL) {
			run(all, process);
			continue;
		}
		all->idle++;
		pthread_cond_wait(&all->changed, &all->lock);
		all->idle--;
	}
	pthread_mutex_unlock(&all->lock);
	return NULL;
}

/* ---- on loops */

/* Signals are the program's own thread's. */
static bool add_thread(struct gw_processes *all)
{
	sigset_t every, before;
	int err;

	sigfillset(&every);
	pthread_sigmask(SIG_SETMASK, &every, &before);
	err = pthread_create(&all->thread[all->threads], NULL, thread_main, all);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	all->threads += err == 0;
	return err == 0;
}

bool gw_process_start(struct gw_processes *all, struct gw_process *process)
{
	bool started;

	process->next = NULL;
	process->stop_fd = -1;
	pthread_mutex_lock(&all->lock);
	started = all->waiting < GW_PROCESSES_WAITING;
	if (started && all->idle <= all->waiting && all->threads < GW_PROCESSES_MAX)
		started = add_thread(all) || all->threads > 0;
	if (started) {
		*all->last = process;
		all->last = &process->next;
		all->waiting++;
		pthread_cond_signal(&all->changed);
	}
	pthread_mutex_unlock(&all->lock);
	return started;
}

void gw_process_stop(struct gw_processes *all, struct gw_process *process, enum kolk_err why)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&all->lock);
	if (process->state != GW_PROCESS_ENDED && process->why == KOLK_OK) {
		process->why = why; /* err is its thread's while it runs */
		if (process->state == GW_PROCESS_RUNS && process->stop_fd >= 0)
			(void)!write(process->stop_fd, &one, sizeof one);
	}
	for (struct gw_process **at = &all->first;
	     process->state == GW_PROCESS_WAITS && *at != NULL; at = &(*at)->next)
		if (*at == process) {
			take_out(all, at);
			process->state = GW_PROCESS_ENDED;
			process->err = why;
			tell(process);
			break;
		}
	pthread_mutex_unlock(&all->lock);
}

struct gw_processes *gw_processes_open(void)
{
	struct gw_processes *all = calloc(1, sizeof *all);

	if (all == NULL)
		return NULL;
	pthread_mutex_init(&all->lock, NULL);
	pthread_cond_init(&all->changed, NULL);
	all->last = &all->first;
	return all;
}

void gw_processes_close(struct gw_processes *all)
{
	if (all == NULL)
		return;
	pthread_mutex_lock(&all->lock);
	all->closing = true;
	pthread_cond_broadcast(&all->changed);
	pthread_mutex_unlock(&all->lock);
	for (uint32_t i = 0; i < all->threads; i++)
		(void)pthread_join(all->thread[i], NULL);
	pthread_cond_destroy(&all->changed);
	pthread_mutex_destroy(&all->lock);
	free(all);
}
