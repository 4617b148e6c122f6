/* SPDX-License-Identifier: Apache-2.0 */
/* proto_tool.c - load generators of others as child processes: what they say, what they take. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/proto.h"

enum { OUTPUT_MAX = 65536 };

static uint64_t taken_ns(const struct rusage *usage)
{
	return (uint64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * KOLK_S_NS +
	       (uint64_t)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) * 1000;
}

static pid_t start(char *const *argv, int output)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	execvp(argv[0], argv);
	_exit(127);
}

static char *collect(int fd)
{
	char *output = calloc(1, OUTPUT_MAX + 1), waste[4096];
	size_t size = 0;

	for (;;) {
		ssize_t got = size < OUTPUT_MAX ? read(fd, output + size, OUTPUT_MAX - size) :
						  read(fd, waste, sizeof waste);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return output;
		size += size < OUTPUT_MAX ? (size_t)got : 0;
	}
}

char *proto_tool(char *const *argv, uint64_t *cpu_ns)
{
	struct rusage usage;
	int pipe_fds[2], status;
	char *output;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) != 0 || (pid = start(argv, pipe_fds[1])) < 0)
		die("cannot run %s: %s", argv[0], strerror(errno));
	close(pipe_fds[1]);
	output = collect(pipe_fds[0]);
	close(pipe_fds[0]);
	while (wait4(pid, &status, 0, &usage) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		die("%s failed:\n%s", argv[0], output);
	*cpu_ns = taken_ns(&usage);
	return output;
}

double proto_figure(const char *output, const char *word)
{
	const char *at = strstr(output, word);
	double value = 0;

	if (at == NULL || sscanf(at + strlen(word), " %lf", &value) != 1)
		die("no '%s' in:\n%s", word, output);
	return value;
}
