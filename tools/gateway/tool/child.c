/* SPDX-License-Identifier: Apache-2.0 */
/* child.c - one child process of a command tool, from its start to its end. */
#define _GNU_SOURCE
#include "tools/gateway/tool/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUT, ERRORS, ENDED, STOP, WATCHED };
enum { PIECE = 16384, ERRORS_MAX = 4096, FIRST_FREE = 3 };

/* ---- start */

/* Above 0, 1 and 2, where the child's own are: the process may have closed these. */
static int avoid_stdio(int fd)
{
	int other = fd;

	if (fd >= 0 && fd < FIRST_FREE) {
		other = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE);
		close(fd);
	}
	return other;
}

static bool pipe_make(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC) != 0) {
		ends[0] = ends[1] = -1;
		return false;
	}
	ends[0] = avoid_stdio(ends[0]);
	ends[1] = avoid_stdio(ends[1]);
	return ends[0] >= 0 && ends[1] >= 0 && fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0;
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

static int actions_make(posix_spawn_file_actions_t *actions, const struct gw_tool *tool, int out,
			int errors)
{
	const char *directory = tool->directory != NULL ? tool->directory : "/";
	int err = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

	err = err != 0 ? err : posix_spawn_file_actions_adddup2(actions, out, STDOUT_FILENO);
	err = err != 0 ? err : posix_spawn_file_actions_adddup2(actions, errors, STDERR_FILENO);
	err = err != 0 ? err : posix_spawn_file_actions_addclosefrom_np(actions, FIRST_FREE);
	return err != 0 ? err : posix_spawn_file_actions_addchdir_np(actions, directory);
}

/* No signal is blocked or ignored in it, whatever the gateway does with them. */
static int attributes_make(posix_spawnattr_t *attributes)
{
	sigset_t set;
	int err = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
						       POSIX_SPAWN_SETSIGDEF);

	sigemptyset(&set);
	err = err != 0 ? err : posix_spawnattr_setsigmask(attributes, &set);
	sigfillset(&set);
	sigdelset(&set, SIGKILL);
	sigdelset(&set, SIGSTOP);
	return err != 0 ? err : posix_spawnattr_setsigdefault(attributes, &set);
}

static int spawn(const struct gw_process *process, int out, int errors, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int err = posix_spawn_file_actions_init(&actions);

	if (err != 0)
		return err;
	err = posix_spawnattr_init(&attributes);
	if (err == 0) {
		err = actions_make(&actions, process->tool, out, errors);
		err = err != 0 ? err : attributes_make(&attributes);
		if (err == 0)
			err = posix_spawn(pid, process->command[0], &actions, &attributes,
					  (char *const *)(uintptr_t)process->command,
					  (char *const *)(uintptr_t)process->environment);
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&actions);
	return err;
}

/* ---- while it runs */

/* Whether there may be more: false = the end, or nothing now. */
static bool take(int fd, char piece[PIECE], ssize_t *got)
{
	do
		*got = read(fd, piece, PIECE);
	while (*got < 0 && errno == EINTR);
	return *got > 0;
}

/* Read what is there: the descriptor is closed at its end. False = it wrote too much, or there is no
 * memory for it: bytes_max does not end the loop then. */
static bool read_out(struct gw_process *process, struct pollfd *watched)
{
	char piece[PIECE];
	ssize_t got;

	while (take(watched->fd, piece, &got)) {
		if (gw_text_size(&process->out) + (size_t)got > process->bytes_max)
			return false;
		gw_text_put(&process->out, piece, (size_t)got);
		if (process->out.failed)
			return false;
	}
	if (got == 0)
		watched->fd = -1;
	return true;
}

/* One piece, which is more than is kept: a program that never stops writing would keep a loop here from
 * what stops it. */
static void read_errors(struct gw_process *process, struct pollfd *watched)
{
	size_t room = ERRORS_MAX - gw_text_size(&process->errors);
	char piece[PIECE];
	ssize_t got;

	if (take(watched->fd, piece, &got))
		gw_text_put(&process->errors, piece, (size_t)got < room ? (size_t)got : room);
	else if (got == 0)
		watched->fd = -1;
}

/* Until it has ended, wrote too much, or is to be stopped. */
static enum kolk_err watch(struct gw_process *process, struct pollfd watched[WATCHED])
{
	for (;;) {
		if (poll(watched, WATCHED, -1) < 0) {
			if (errno == EINTR)
				continue;
			return KOLK_E_RESOURCE;
		}
		if (watched[OUT].fd >= 0 && !read_out(process, &watched[OUT]))
			return KOLK_E_LIMIT;
		if (watched[ERRORS].fd >= 0)
			read_errors(process, &watched[ERRORS]);
		if (watched[STOP].revents != 0)
			return KOLK_E_CANCELLED;
		/* What it wrote before its end is read; what others of its group may write is not. */
		if (watched[ENDED].revents != 0)
			return KOLK_OK;
	}
}

static int reap(pid_t pid)
{
	int status = 0;

	/* While it is not reaped, the number of the group is its own. */
	(void)kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ENDED is not watched yet. */
static void run_child(struct gw_process *process, pid_t pid, struct pollfd watched[WATCHED])
{
	int pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);

	watched[ENDED] = (struct pollfd){ .fd = pid_fd, .events = POLLIN };
	process->os_error = pid_fd < 0 ? errno : 0;
	process->err = pid_fd < 0 ? KOLK_E_RESOURCE : watch(process, watched);
	process->status = reap(pid);
	if (process->out.failed || process->errors.failed)
		process->err = KOLK_E_MEMORY;
	close_if_open(pid_fd);
}

void gw_child_run(struct gw_process *process, int stop_fd)
{
	int out[2] = { -1, -1 }, errors[2] = { -1, -1 };
	pid_t pid = -1;
	int err = pipe_make(out) && pipe_make(errors) ? 0 : errno;

	if (err == 0)
		err = spawn(process, out[1], errors[1], &pid);
	close_if_open(out[1]);
	close_if_open(errors[1]);
	if (err == 0) {
		run_child(process, pid, (struct pollfd[WATCHED]){
			[OUT] = { .fd = out[0], .events = POLLIN },
			[ERRORS] = { .fd = errors[0], .events = POLLIN },
			[STOP] = { .fd = stop_fd, .events = POLLIN } });
	} else {
		process->err = KOLK_E_RESOURCE;
		process->os_error = err;
	}
	close_if_open(out[0]);
	close_if_open(errors[0]);
}
