/* SPDX-License-Identifier: Apache-2.0 */
/* peer.c - a server's life: directory, process, readiness, end. */
#define _GNU_SOURCE
#include "tests/kit/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/kit/tap.h"

/* On a machine that has no time for them, too: PostgreSQL writes a checkpoint at its end. */
enum { ATTEMPTS = 4, START_MS = 120000, RUN_MS = 120000, END_MS = 60000 };

/* ---- processes */

/* In a process group of its own, with a small environment and no descriptors but these. */
static pid_t spawn(const struct kit_peer *peer, char *const *args, int in, int out)
{
	char home[KIT_PEER_PATH + 8];
	char *const environment[] = { home, (char *)(uintptr_t) "LC_ALL=C",
				      (char *)(uintptr_t) "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
				      NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	pid_t pid = 0;

	snprintf(home, sizeof home, "HOME=%s", peer->directory);
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addchdir_np(&actions, peer->directory);
	posix_spawn_file_actions_adddup2(&actions, in, 0);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	posix_spawn_file_actions_adddup2(&actions, out, 2);
	posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
						      POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	if (posix_spawnp(&pid, args[0], &actions, &attributes, args, environment) != 0)
		pid = 0;
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

static pid_t spawn_to_file(const struct kit_peer *peer, char *const *args, const char *output,
			   int flags)
{
	char path[KIT_PEER_PATH];
	int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int out = open(peer_path(peer, output, path), O_WRONLY | O_CREAT | O_CLOEXEC | flags,
		       0600);
	pid_t pid = in >= 0 && out >= 0 ? spawn(peer, args, in, out) : 0;

	close(in);
	close(out);
	return pid;
}

static int pidfd_of(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static bool ended_within(int pidfd, int ms)
{
	struct pollfd poll_fd = { .fd = pidfd, .events = POLLIN };
	uint64_t until = tap_now_ms() + (uint64_t)ms;
	int left = ms;

	while (poll(&poll_fd, 1, left) < 0 && errno == EINTR)
		left = until > tap_now_ms() ? (int)(until - tap_now_ms()) : 0;
	return (poll_fd.revents & POLLIN) != 0;
}

bool peer_run(const struct kit_peer *peer, char *const *args, const char *output)
{
	pid_t pid = spawn_to_file(peer, args, output, O_TRUNC);
	int pidfd, status = -1;

	if (pid == 0)
		return false;
	pidfd = pidfd_of(pid);
	if (!ended_within(pidfd, RUN_MS))
		killpg(pid, SIGKILL);
	waitpid(pid, &status, 0);
	close(pidfd);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- the directory and its keeper */

/* It reads the process group of the server; when its input ends, the test has ended or crashed. */
static const char keeper[] =
	"while read -r line; do group=$line; done\n"
	"[ -z \"$group\" ] || kill -s KILL -- \"-$group\" 2>/dev/null\n"
	"for i in 1 2 3 4 5; do rm -rf -- \"$1\" 2>/dev/null && exit; sleep 0.1; done\n";

static bool keep(struct kit_peer *peer)
{
	char *const args[] = { (char *)(uintptr_t) "/bin/sh",
			       (char *)(uintptr_t) "-c",
			       (char *)(uintptr_t)keeper,
			       (char *)(uintptr_t) "keeper",
			       peer->directory,
			       NULL };
	int ends[2], out = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct kit_peer above = { .directory = "/" }; /* it does not sit on what it removes */

	if (out < 0 || pipe2(ends, O_CLOEXEC) != 0)
		return false;
	peer->private->keeper_pid = spawn(&above, args, ends[0], out);
	peer->private->keeper = ends[1];
	close(ends[0]);
	close(out);
	return peer->private->keeper_pid != 0;
}

struct kit_peer *peer_new(const char *name, const void *options, size_t options_size)
{
	struct kit_peer *peer = calloc(1, sizeof *peer);
	struct kit_peer_private *private = calloc(1, sizeof *private);

	if (peer == NULL || private == NULL)
		abort();
	peer->private = private;
	private->name = name;
	private->options = malloc(options_size);
	if (private->options == NULL)
		abort();
	memcpy(private->options, options, options_size);
	private->pidfd = private->keeper = -1;
	private->polite = SIGTERM;
	snprintf(peer->directory, sizeof peer->directory, "/tmp/kolk-%s-XXXXXX", name);
	if (CHECK(mkdtemp(peer->directory) != NULL) && CHECK(keep(peer)))
		return peer;
	kit_peer_close(peer);
	return NULL;
}

const char *peer_path(const struct kit_peer *peer, const char *name, char path[KIT_PEER_PATH])
{
	if (snprintf(path, KIT_PEER_PATH, "%s/%s", peer->directory, name) >= KIT_PEER_PATH)
		path[0] = '\0';
	return path;
}

void peer_arg(struct kit_peer *peer, const char *format, ...)
{
	struct kit_peer_private *private = peer->private;
	va_list list;

	va_start(list, format);
	if (private->count < PEER_ARGS &&
	    vasprintf(&private->args[private->count], format, list) > 0)
	private->args[++private->count] = NULL;
	va_end(list);
}

void kit_peer_show(const struct kit_peer *peer)
{
	char path[KIT_PEER_PATH], text[PEER_TEXT + 1], *line, *rest = text;
	int fd = open(peer_path(peer, "output", path), O_RDONLY | O_CLOEXEC);
	ssize_t got = 0;

	if (fd >= 0) {
		off_t size = lseek(fd, 0, SEEK_END);

		got = pread(fd, text, PEER_TEXT, size > PEER_TEXT ? size - PEER_TEXT : 0);
		close(fd);
	}
	text[got > 0 ? got : 0] = '\0';
	tap_note("%s said:", peer->private->name);
	while ((line = strsep(&rest, "\n")) != NULL)
		tap_note("    %s", line);
}

/* ---- start and end */

static bool launch(struct kit_peer *peer)
{
	struct kit_peer_private *private = peer->private;
	char line[16], path[KIT_PEER_PATH];
	int size;

	/* nginx that was killed finds its own Unix sockets and takes them for another's. */
	unlink(peer_path(peer, "socket", path));
	unlink(peer_path(peer, "inner", path));
	peer->pid = spawn_to_file(peer, private->args, "output", O_APPEND);
	if (peer->pid == 0)
		return false;
	private->pidfd = pidfd_of(peer->pid);
	size = snprintf(line, sizeof line, "%d\n", (int)peer->pid);
	return write(private->keeper, line, (size_t)size) == size;
}

static void reap(struct kit_peer *peer)
{
	killpg(peer->pid,
	       SIGKILL); /* it is not reaped: its number is its own */
	waitpid(peer->pid, NULL, 0);
	close(peer->private->pidfd);
	peer->private->pidfd = -1;
	peer->pid = 0;
}

static bool came_up(struct kit_peer *peer)
{
	uint64_t until = tap_now_ms() + START_MS;

	while (tap_now_ms() < until && !ended_within(peer->private->pidfd, 5)) {
		if (peer->private->ready(peer))
			return true;
	}
	return false;
}

bool kit_peer_again(struct kit_peer *peer)
{
	/* PostgreSQL waits for the children of one that was killed: it says so and ends. */
	for (uint64_t until = tap_now_ms() + END_MS; tap_now_ms() < until; usleep(50000)) {
		if (CHECK(launch(peer)) && came_up(peer))
			return true;
		if (peer->pid != 0)
			reap(peer);
	}
	kit_peer_show(peer);
	return FAILED("the server comes up again");
}

struct kit_peer *peer_start(struct kit_peer *peer)
{
	struct kit_peer_private *private = peer->private;

	for (int i = 0; i < ATTEMPTS; i++) {
		while (private->count > 0)
			free(private->args[--private->count]);
		if (!private->configure(peer))
			break;
		if (launch(peer) && came_up(peer))
			return peer;
		if (peer->pid != 0)
			reap(peer);
	}
	kit_peer_show(peer);
	FAILED("the server comes up");
	kit_peer_close(peer);
	return NULL;
}

bool kit_peer_end(struct kit_peer *peer, int how)
{
	bool ended;

	if (peer->pid == 0)
		return true;
	if (!CHECK(!ended_within(peer->private->pidfd, 0))) /* it exited by itself */
		kit_peer_show(peer);
	if (how == SIGKILL)
		killpg(peer->pid, SIGKILL);
	else
		kill(peer->pid, how);
	ended = ended_within(peer->private->pidfd, END_MS);
	if (!ended) {
		tap_note("%s does not end by signal %d", peer->private->name, how);
		kit_peer_show(peer);
	}
	reap(peer);
	return CHECK(ended);
}

bool kit_peer_restart(struct kit_peer *peer, int how)
{
	return kit_peer_end(peer, how) && kit_peer_again(peer);
}

void kit_peer_close(struct kit_peer *peer)
{
	struct kit_peer_private *private;

	if (peer == NULL)
		return;
	private = peer->private;
	kit_peer_end(peer, private->polite);
	if (private->keeper >= 0)
		close(private->keeper);
	if (private->keeper_pid > 0)
		waitpid(private->keeper_pid, NULL, 0);
	while (private->count > 0)
		free(private->args[--private->count]);
	free(private->options);
	free(private);
	free(peer);
}

/* ---- black holes */

/* The server and its children, also those that left its process group. */
static void signal_all(const struct kit_peer *peer, int signal)
{
	char path[64];
	FILE *children;
	int child;

	killpg(peer->pid, signal);
	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)peer->pid,
		 (int)peer->pid);
	children = fopen(path, "re");
	if (children == NULL)
		return;
	while (fscanf(children, "%d", &child) == 1)
		kill(child, signal);
	fclose(children);
}

void kit_peer_freeze(struct kit_peer *peer)
{
	signal_all(peer, SIGSTOP);
}

void kit_peer_thaw(struct kit_peer *peer)
{
	signal_all(peer, SIGCONT);
}
