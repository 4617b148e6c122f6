/* SPDX-License-Identifier: Apache-2.0 */
/* mcp_load_stdio.c - one client of a child process: a line to it, a line from it. */
#define _GNU_SOURCE
#include "bench/gateway/mcp_load.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t child_begin(char **command, FILE **to, FILE **from)
{
	int in[2], out[2];
	pid_t pid;

	if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
		load_die("no pipe");
	pid = fork();
	if (pid < 0)
		load_die("no child");
	if (pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && dup2(in[0], STDIN_FILENO) >= 0 &&
		    dup2(out[1], STDOUT_FILENO) >= 0)
			execv(command[0], command);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	*to = fdopen(in[1], "w");
	*from = fdopen(out[0], "r");
	return pid;
}

static void say(FILE *to, enum load_step step)
{
	struct load_text text;

	load_body(LOAD_LEGACY, step, &text);
	if (fprintf(to, "%s\n", text.bytes) < 0 || fflush(to) != 0)
		load_die("the child does not read");
}

/* Notifications are passed over. */
static void hear(FILE *from)
{
	static char line[LOAD_ANSWER];

	do {
		if (fgets(line, sizeof line, from) == NULL)
			load_die("the child does not answer");
	} while (strstr(line, "\"result\"") == NULL);
}

int load_stdio(double seconds, char **command)
{
	static struct load load;
	FILE *to, *from;
	pid_t pid = child_begin(command, &to, &from);
	uint64_t began_ns, end_ns, now_ns;

	say(to, LOAD_INITIALIZE);
	hear(from);
	say(to, LOAD_INITIALIZED);
	began_ns = now_ns = clock_now();
	end_ns = began_ns + (uint64_t)(seconds * 1e9);
	while (now_ns < end_ns) {
		const uint64_t call_ns = now_ns;

		say(to, LOAD_CALL);
		hear(from);
		now_ns = clock_now();
		hist_add(&load.latency, now_ns - call_ns);
		load.calls++;
	}
	load_print(&load, (double)(now_ns - began_ns) / 1e9);
	fclose(to); /* which ends the child */
	fclose(from);
	return waitpid(pid, NULL, 0) == pid ? 0 : 1;
}
