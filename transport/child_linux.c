/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child_linux.c - child processes of this machine: spawn, kill, reap.
 *
 * A child is identified by its pidfd. Its number is used only for its process group, and only
 * while it is not reaped, so neither can belong to another process. The system calls used here
 * (CLONE_PIDFD, P_PIDFD, close_range) exist since Linux 5.9; before, a spawn fails with their
 * error.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "transport/linux.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

/* Sanitizers keep state beside the memory, and that state would be the parent's. */
#define IN_CHILD __attribute__((no_sanitize("address"), no_sanitize("thread")))

/* ThreadSanitizer treats every clone as a fork and marks the thread as a child's, which in shared
 * memory is the parent's. It does not know the C library's other name of clone. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
int __clone(int (*run)(void *), void *stack, int flags, void *arg, ...);
#define clone __clone
#endif

enum { STACK = 64 * 1024, FIRST_FREE = 3, SIGNALS = 64, SIGNAL_SET = 8 };

/* ---- in the child, before exec
 *
 * It shares the parent's memory, and its descriptor table is a copy. The parent's thread is
 * stopped meanwhile, its other threads are not. So the child makes system calls and nothing else:
 * a function of the C library might take a lock or change state of the parent (sanitizers do). */

struct spawn_args {
	const struct kolk_child_spec *spec;
	int fd, error_fd; /* its ends */
	pid_t parent;
	volatile int err; /* why it is not another program */
};

IN_CHILD static bool limit_files(uint64_t count)
{
	struct rlimit64 limit = { count, count };

	return count == 0 || syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, NULL) == 0;
}

/* Handlers are functions of the parent, and ignored signals would stay ignored. */
IN_CHILD static void signals_reset(void)
{
	static const uint64_t none[8]; /* SIG_DFL, no flags, nothing blocked */

	for (int number = 1; number <= SIGNALS; number++)
		(void)syscall(SYS_rt_sigaction, number, none, NULL, SIGNAL_SET);
	(void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, none, NULL, SIGNAL_SET);
}

IN_CHILD static bool child_setup(const struct spawn_args *b)
{
	if (syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL) != 0)
		return false;
	if (syscall(SYS_getppid) != b->parent) { /* the parent ended before the signal was set */
		errno = ESRCH;
		return false;
	}
	return syscall(SYS_setsid) >= 0 &&
	       /* One that gained privileges could not be signalled any more. */
	       syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       syscall(SYS_dup3, b->fd, STDIN_FILENO, 0) >= 0 &&
	       syscall(SYS_dup3, b->fd, STDOUT_FILENO, 0) >= 0 &&
	       syscall(SYS_dup3, b->error_fd, STDERR_FILENO, 0) >= 0 &&
	       syscall(SYS_close_range, FIRST_FREE, ~0u, 0) == 0 &&
	       (b->spec->directory == NULL || syscall(SYS_chdir, b->spec->directory) == 0) &&
	       limit_files(b->spec->files_max);
}

IN_CHILD static int child_main(void *arg)
{
	struct spawn_args *b = arg;

	signals_reset();
	if (child_setup(b))
		(void)syscall(SYS_execve, b->spec->command[0], b->spec->command,
			      b->spec->environment);
	b->err = errno;
	syscall(SYS_exit_group, 127);
	return 127;
}

/* ---- spawn */

/* Returns when the child is another program, or is not. */
static int clone_child(struct spawn_args *b, struct kolk_child *child)
{
	uint8_t *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	sigset_t all, before;
	int pid_fd = -1, err;

	if (stack == MAP_FAILED)
		return -ENOMEM;
	/* No handler of the parent may run in the child: it would run on the parent's memory. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	child->pid = clone(child_main, stack + STACK,
			   CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, b, &pid_fd);
	err = child->pid < 0 ? -errno : -b->err;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	munmap(stack, STACK);
	child->pid_fd = pid_fd;
	return err;
}

/* Move it above 0, 1 and 2, where the child's own will be: the process may have closed these. */
static int avoid_stdio(int fd)
{
	int other = fd;

	if (fd >= 0 && fd < FIRST_FREE) {
		other = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE);
		close(fd);
	}
	return other;
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* A pair of sockets, ours and its, and a pipe. */
static int make_pipes(struct spawn_args *b, struct kolk_child *child)
{
	int pair[2] = { -1, -1 }, ends[2] = { -1, -1 };

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0 ||
	    pipe2(ends, O_CLOEXEC) != 0) {
		int err = errno;

		close_if_open(pair[0]);
		close_if_open(pair[1]);
		return -err;
	}
	child->fd = avoid_stdio(pair[0]);
	b->fd = avoid_stdio(pair[1]);
	child->error_fd = avoid_stdio(ends[0]);
	b->error_fd = avoid_stdio(ends[1]);
	if (child->fd < 0 || b->fd < 0 || child->error_fd < 0 || b->error_fd < 0)
		return -EMFILE;
	/* Ours alone: the flag belongs to the end, and programs expect to block on theirs. */
	(void)fcntl(child->fd, F_SETFL, O_RDWR | O_NONBLOCK);
	(void)fcntl(child->error_fd, F_SETFL, O_RDONLY | O_NONBLOCK);
	return 0;
}

int kolk__linux_child_spawn(void *context, const struct kolk_child_spec *spec,
			    struct kolk_child *child)
{
	const struct kolk_child none = { .pid = -1, .pid_fd = -1, .fd = -1, .error_fd = -1 };
	struct spawn_args b = { .spec = spec, .fd = -1, .error_fd = -1, .parent = getpid() };
	int err;

	*child = none;
	err = make_pipes(&b, child);
	if (err == 0)
		err = clone_child(&b, child);
	close_if_open(b.fd);
	close_if_open(b.error_fd);
	if (err == 0)
		return 0;
	if (child->pid > 0) /* it was cloned, and is exiting */
		(void)kolk__linux_child_reap(context, child, true);
	close_if_open(child->pid_fd);
	close_if_open(child->fd);
	close_if_open(child->error_fd);
	*child = none;
	return err;
}

/* ---- end */

/* True while its number cannot belong to another process. */
static bool is_ours(const struct kolk_child *child)
{
	siginfo_t info;

	return waitid((idtype_t)P_PIDFD, (id_t)child->pid_fd, &info,
		      WEXITED | WNOHANG | WNOWAIT) == 0;
}

void kolk__linux_child_kill(void *context, const struct kolk_child *child, int number, bool whole)
{
	(void)context;
	if (whole && child->pid > 1 && is_ours(child))
		(void)kill(-child->pid, number);
	/* Signal the child through its descriptor too: that is right even if other code reaps
	 * it. */
	(void)syscall(SYS_pidfd_send_signal, child->pid_fd, number, NULL, 0);
}

/* Like waitid(2), but only ever for this child. */
static int wait_for(const struct kolk_child *child, siginfo_t *info, int flags)
{
	int result;

	info->si_pid = 0;
	do
		result = waitid((idtype_t)P_PIDFD, (id_t)child->pid_fd, info, WEXITED | flags);
	while (result != 0 && errno == EINTR);
	return result;
}

/* While it has ended and is not reaped, its number still names its group and nothing else. */
int kolk__linux_child_reap(void *context, struct kolk_child *child, bool wait)
{
	siginfo_t info;

	(void)context;
	if (wait_for(child, &info, WNOWAIT | (wait ? 0 : WNOHANG)) != 0)
		return 1; /* ECHILD: other code has reaped it */
	if (info.si_pid == 0)
		return 0;
	if (child->pid > 1)
		(void)kill(-child->pid, SIGKILL);
	if (wait_for(child, &info, WNOHANG) != 0 || info.si_pid == 0)
		return 1;
	if (info.si_code == CLD_EXITED)
		child->status = info.si_status;
	else
		child->signal = info.si_status;
	return 1;
}

/* ---- its streams */

void kolk__linux_child_input_end(void *context, const struct kolk_child *child)
{
	(void)context;
	(void)shutdown(child->fd, SHUT_WR);
}

int64_t kolk__linux_child_read(void *context, const struct kolk_child *child, void *data,
			       size_t size)
{
	ssize_t got = read(child->error_fd, data, size);

	(void)context;
	return got >= 0 ? got : -errno;
}
