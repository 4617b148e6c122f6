/* SPDX-License-Identifier: Apache-2.0 */
/* child.c - pools of child processes that carry a marker, and a search for what is left of them. */
#define _GNU_SOURCE
#include "tests/wire/child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char marker[64]; /* in the environment of every child of this run */

const char *const child_cat[] = { "/bin/cat", NULL };

const char *const *child_environment(void)
{
	static const char *list[] = { marker, "PATH=/usr/bin:/bin", NULL };

	if (marker[0] == 0)
		snprintf(marker, sizeof marker, "KOLK_WIRE_CHILD=%d.%llu", getpid(),
			 (unsigned long long)tap_now_ms());
	return list;
}

struct kolk_child_options child_of(const char *const *command)
{
	struct kolk_child_options child = KOLK_INIT(kolk_child_options);

	child.command = command;
	child.environment = child_environment();
	child.stop_timeout_ns = 50 * KOLK_MS_NS;
	child.term_timeout_ns = 50 * KOLK_MS_NS;
	return child;
}

bool child_pool(struct wire *w, const struct kolk_child_options *child, const char *name)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	o.name = name;
	o.child = child;
	o.idle_min = KOLK_NONE;
	o.retry_interval_ns = KOLK_MS_NS;
	o.retry_max_ns = KOLK_MS_NS;
	o.circuit_failures = KOLK_NONE;
	return wire_pool(w, &o);
}

/* ---- what is left */

static bool has_marker(const char *pid)
{
	char path[300], bytes[8192];
	ssize_t size;
	int fd;

	snprintf(path, sizeof path, "/proc/%s/environ", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	size = read(fd, bytes, sizeof bytes);
	close(fd);
	return size > 0 && memmem(bytes, (size_t)size, marker, strlen(marker)) != NULL;
}

int child_survivors(int *pid)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	int count = 0;

	while (proc != NULL && (entry = readdir(proc)) != NULL) {
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || !has_marker(entry->d_name))
			continue;
		count++;
		if (pid != NULL)
			*pid = atoi(entry->d_name);
	}
	if (proc != NULL)
		closedir(proc);
	return count;
}

bool child_none_left(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD;
}

int child_open_files(void)
{
	DIR *files = opendir("/proc/self/fd");
	int count = 0;

	while (files != NULL && readdir(files) != NULL)
		count++;
	if (files != NULL)
		closedir(files);
	return count;
}

void child_close(struct wire *w)
{
	wire_close(w);
	CHECK(child_none_left());
	CHECK(WITHIN_MS(2000, child_survivors(NULL) == 0));
}
