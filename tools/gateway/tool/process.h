/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.h - child processes of command tools, one for each call, on threads: a thread waits for
 * its child, so that no loop does.
 *
 * A child runs in a session and process group of its own, with nothing of the gateway's but what its
 * tool names: no descriptors besides 0, 1 and 2, no environment, default signals, no new privileges.
 * Its standard input is empty. What is left of its group when it has ended, or has to, is killed.
 */
#ifndef KOLK_GATEWAY_TOOL_PROCESS_H
#define KOLK_GATEWAY_TOOL_PROCESS_H

#include <kolk/kolk.h>

#include "tools/gateway/tool/tool.h"
#include "tools/gateway/tool/json.h"

/* Children at a time, of all tools; those that wait. */
enum { GW_PROCESSES_MAX = 64, GW_PROCESSES_WAITING = 1024 };

struct gw_process {
	/* Given; all but done and user lives until done runs. */
	const struct gw_tool *tool;
	const char *const *command, *const *environment;
	size_t bytes_max;            /* of what it writes to its standard output; more is E_LIMIT */
	struct kolk_loop *loop;
	void (*done)(void *user);    /* on the loop, from step, exactly once */
	void *user;

	/* What it came to. */
	enum kolk_err err;           /* KOLK_OK = it has ended by itself */
	int os_error;                /* of E_RESOURCE: why there is no child */
	int status;                  /* exit status; -1 = a signal ended it */
	struct gw_text out, errors;  /* of its standard error the first 4 KiB */

	/* The file's own, under its lock. */
	struct gw_process *next;
	enum { GW_PROCESS_WAITS = 0, GW_PROCESS_RUNS, GW_PROCESS_ENDED } state;
	enum kolk_err why;           /* it has to end */
	int stop_fd;                 /* an eventfd of its thread; while it runs */
	struct kolk_call call;
};

struct gw_processes;

/* NULL = no memory. Threads begin with the first child. */
struct gw_processes *gw_processes_open(void);
/* On the process's loop. False = too many wait, or there is no thread: done never runs. */
bool gw_process_start(struct gw_processes *processes, struct gw_process *process);
/* It ends with this error, unless it has ended: done runs. On its loop. */
void gw_process_stop(struct gw_processes *processes, struct gw_process *process, enum kolk_err why);
/* No process is left. Threads end. Not on a loop. NULL is allowed. */
void gw_processes_close(struct gw_processes *processes);

#endif
