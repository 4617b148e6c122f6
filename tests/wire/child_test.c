/* SPDX-License-Identifier: Apache-2.0 */
/* child_test.c - child processes as connections: good ones, bad ones, and what is left of them. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <kolk/sys/sys.h>

#include "core/base/atomic.h"
#include "tests/wire/wire.h"

static char marker[64]; /* in the environment of every child of this run */

static const char *const cat[] = { "/bin/cat", NULL };

static const char *const *environment(void)
{
	static const char *list[] = { marker, "PATH=/usr/bin:/bin", NULL };

	if (marker[0] == 0)
		snprintf(marker, sizeof marker, "KOLK_WIRE_CHILD=%d.%llu", getpid(),
			 (unsigned long long)tap_now_ms());
	return list;
}

static struct kolk_child_options child_of(const char *const *command)
{
	struct kolk_child_options child = KOLK_INIT(kolk_child_options);

	child.command = command;
	child.environment = environment();
	child.stop_timeout_ns = 50 * KOLK_MS_NS;
	child.term_timeout_ns = 50 * KOLK_MS_NS;
	return child;
}

static bool child_pool(struct wire *w, const struct kolk_child_options *child, const char *name)
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

/* ---- what is left: processes of ours, and any process with the marker */

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

static int survivors(int *pid)
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

static bool no_children(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD;
}

static int open_files(void)
{
	DIR *files = opendir("/proc/self/fd");
	int count = 0;

	while (files != NULL && readdir(files) != NULL)
		count++;
	if (files != NULL)
		closedir(files);
	return count;
}

static int lowest_free(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

static void nothing_left(struct wire *w)
{
	wire_close(w);
	CHECK(no_children());
	CHECK(WITHIN_MS(2000, survivors(NULL) == 0));
}

/* ---- one that behaves */

static void serves(void)
{
	struct wire w = { 0 };
	struct kolk_child_options child = child_of(cat);
	struct kolk_pool_info info = KOLK_INIT(kolk_pool_info);

	MUST(wire_engine(&w, NULL) && child_pool(&w, &child, "cat"));
	for (int i = 0; i < 1000; i++)
		CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	CHECK(wire_stats(w.pool).created == 1);
	CHECK_ERR(kolk_pool_inspect(w.pool, &info), KOLK_OK);
	CHECK(strcmp(info.address, "child:/bin/cat") == 0);
	nothing_left(&w);
}

static bool read_file(int pid, const char *name, char *text, size_t capacity, size_t *size)
{
	char path[64];
	ssize_t got;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	got = read(fd, text, capacity - 1);
	close(fd);
	*size = got > 0 ? (size_t)got : 0;
	text[*size] = 0;
	return got > 0;
}

static void check_files(int pid)
{
	char path[64];
	struct dirent *entry;
	uint32_t seen = 0, others = 0;
	DIR *files;

	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	files = opendir(path);
	MUST(files != NULL);
	while ((entry = readdir(files)) != NULL) {
		if (entry->d_name[0] >= '0' && entry->d_name[0] <= '2' && entry->d_name[1] == 0)
			seen |= 1u << (entry->d_name[0] - '0');
		else
			others += entry->d_name[0] != '.';
	}
	closedir(files);
	CHECK(seen == 7 && others == 0);
}

static void check_environment(int pid)
{
	static const char rest[] = "PATH=/usr/bin:/bin\0KOLK_WIRE_GIVEN=1"; /* and no more */
	char text[8192];
	size_t size, first = strlen(marker) + 1;

	MUST(read_file(pid, "environ", text, sizeof text, &size));
	CHECK(size == first + sizeof rest);
	CHECK(memcmp(text, marker, first) == 0 && memcmp(text + first, rest, sizeof rest) == 0);
}

static void check_process(int pid)
{
	char text[8192], *line;
	size_t size;
	unsigned long long bits = 1;

	CHECK(getsid(pid) == pid && getpgid(pid) == pid);
	CHECK(getpriority(PRIO_PROCESS, (id_t)pid) == getpriority(PRIO_PROCESS, 0));
	MUST(read_file(pid, "status", text, sizeof text, &size));
	CHECK(strstr(text, "NoNewPrivs:\t1\n") != NULL);
	line = strstr(text, "SigIgn:");
	CHECK(line != NULL && sscanf(line, "SigIgn: %llx", &bits) == 1 && bits == 0);
	line = strstr(text, "SigBlk:");
	CHECK(line != NULL && sscanf(line, "SigBlk: %llx", &bits) == 1 && bits == 0);
	MUST(read_file(pid, "limits", text, sizeof text, &size));
	CHECK(strstr(text, "Max open files            32                   32") != NULL);
	snprintf(text, sizeof text, "/proc/%d/cwd", pid);
	size = (size_t)readlink(text, text + 64, 64);
	CHECK(size == 4 && memcmp(text + 64, "/usr", 4) == 0);
}

static void inherits_nothing(void)
{
	static const char *const names[] = { "KOLK_WIRE_GIVEN", "KOLK_WIRE_ABSENT", NULL };
	struct wire w = { 0 };
	struct kolk_child_options child = child_of(cat);
	int pid, leak = open("/dev/null", O_RDONLY); /* not close-on-exec */

	setenv("KOLK_WIRE_GIVEN", "1", 1);
	setenv("KOLK_WIRE_SECRET", "1", 1);
	signal(SIGUSR1, SIG_IGN);
	child.inherit = names;
	child.directory = "/usr";
	child.files_max = 32;
	MUST(wire_engine(&w, NULL) && child_pool(&w, &child, "cat"));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	CHECK(survivors(&pid) == 1);
	check_files(pid);
	check_environment(pid);
	check_process(pid);
	signal(SIGUSR1, SIG_DFL);
	unsetenv("KOLK_WIRE_GIVEN");
	unsetenv("KOLK_WIRE_SECRET");
	close(leak);
	nothing_left(&w);
}

/* ---- failures are reported */

static void not_a_program(void)
{
	static const char *const absent[] = { "/nonexistent/program", NULL };
	static const char *const no_program[] = { "/etc/passwd", NULL };
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct wire w = { 0 };
	struct kolk_child_options child = child_of(absent);
	int before = open_files();

	MUST(wire_engine(&w, NULL) && child_pool(&w, &child, "absent"));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_E_SPAWN);
	CHECK(kolk_key_failure(w.key, &failure) && failure.err == KOLK_E_SPAWN);
	CHECK(failure.os_error == ENOENT && failure.phase == KOLK_PHASE_CONNECT);
	child = child_of(no_program);
	CHECK(child_pool(&w, &child, "no program"));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_E_SPAWN);
	CHECK(kolk_key_failure(w.key, &failure) && failure.os_error == EACCES);
	child = child_of(cat);
	child.directory = "/nonexistent";
	CHECK(child_pool(&w, &child, "no directory"));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_E_SPAWN);
	CHECK(kolk_key_failure(w.key, &failure) && failure.os_error == ENOENT);
	nothing_left(&w);
	CHECK(open_files() == before);
}

/* Neither a child nor what it takes is left of a spawn that runs out of descriptors half-way. */
static void few_descriptors(void)
{
	struct kolk_child_options child = child_of(cat);
	struct rlimit before, small;
	struct wire w = { 0 };
	int files = open_files();

	MUST(wire_engine(&w, NULL) && child_pool(&w, &child, "cat"));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK); /* all threads are there */
	kolk_pool_clear(w.pool);
	CHECK(WITHIN_MS(2000, wire_stats(w.pool).open == 0));
	getrlimit(RLIMIT_NOFILE, &before);
	for (rlim_t spare_fds = 0; spare_fds < 5; spare_fds++) { /* two sockets, a pipe, a pidfd */
		small = before;
		small.rlim_cur = (rlim_t)lowest_free() + spare_fds;
		setrlimit(RLIMIT_NOFILE, &small);
		CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_E_FILES);
		setrlimit(RLIMIT_NOFILE, &before);
	}
	CHECK(WITHIN_MS(2000, wire_request(w.key, "hello\n") == KOLK_OK));
	nothing_left(&w);
	CHECK(open_files() == files);
}

struct log_lines {
	pthread_mutex_t lock;
	char text[4096];
	int warnings;
};

static void on_log(void *user, enum kolk_log_level level, const char *subject, const char *text)
{
	struct log_lines *log_lines = user;
	size_t size;

	if (strcmp(subject, "child") != 0)
		return;
	pthread_mutex_lock(&log_lines->lock);
	log_lines->warnings += level == KOLK_LOG_WARN;
	size = strlen(log_lines->text);
	snprintf(log_lines->text + size, sizeof log_lines->text - size, "%s\n", text);
	pthread_mutex_unlock(&log_lines->lock);
}

static bool was_logged(struct log_lines *log_lines, const char *text)
{
	bool found;

	pthread_mutex_lock(&log_lines->lock);
	found = strstr(log_lines->text, text) != NULL;
	pthread_mutex_unlock(&log_lines->lock);
	return found;
}

/* A driver that wants an answer to be ready: this child ends before. */
static void exits_before_ready(void)
{
	static const char *const command[] = {
		"/bin/sh", "-c",
		"echo cannot find my head >&2; printf 'a\\033b\\n' >&2; exit 3", NULL
	};
	struct log_lines log_lines = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_child_options child = child_of(command);
	struct wire w = { 0 };

	e.on_log = on_log;
	e.log_user = &log_lines;
	e.log_level = KOLK_LOG_DEBUG;
	o.child = &child;
	o.driver = kolk_driver_redis_ping();
	o.idle_min = KOLK_NONE;
	MUST(wire_engine(&w, &e) && wire_pool(&w, &o));
	CHECK(wire_request(w.key, "hello\n") != KOLK_OK);
	CHECK(kolk_key_failure(w.key, &failure));
	CHECK(failure.phase == KOLK_PHASE_READY);
	CHECK(failure.exit_status == 3 && failure.exit_signal == 0);
	CHECK(was_logged(&log_lines, "cannot find my head\n"));
	CHECK(was_logged(&log_lines, "ended by itself with status 3: a?b\n") && log_lines.warnings > 0);
	nothing_left(&w);
}

static void exits_idle(void)
{
	struct wire w = { 0 };
	static const char *const command[] = { "/bin/sh", "-c", "echo $$; exec cat", NULL };
	struct kolk_child_options child = child_of(command);
	struct kolk_lease lease;
	char text[64] = "";
	size_t size;

	MUST(wire_engine(&w, NULL) && child_pool(&w, &child, "sh"));
	CHECK_ERR(kolk_acquire(w.key, kolk_in_ms(5000), &lease), KOLK_OK);
	CHECK_ERR(kolk_recv(&lease, text, sizeof text - 1, kolk_in_ms(5000), &size), KOLK_OK);
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	CHECK(wire_stats(w.pool).idle == 1);
	kill(atoi(text), SIGKILL);
	CHECK(WITHIN_MS(2000, wire_stats(w.pool).destroyed[KOLK_REASON_PEER_CLOSED] == 1));
	CHECK(no_children());
	nothing_left(&w);
}

/* A program that cannot work is not restarted as fast as it exits. */
static void exits_early(void)
{
	static const char *const command[] = { "/bin/false", NULL };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_child_options child = child_of(command);
	struct kolk_lease lease;
	struct wire w = { 0 };

	o.child = &child;
	o.retry_interval_ns = 10 * KOLK_MS_NS;
	o.retry_max_ns = 200 * KOLK_MS_NS;
	MUST(wire_engine(&w, NULL) && wire_pool(&w, &o));
	if (kolk_acquire(w.key, kolk_in_ms(5000), &lease) == KOLK_OK)
		CHECK_ERR(kolk_release(&lease), KOLK_OK);
	CHECK(!WITHIN_MS(1000, wire_stats(w.pool).created > 40));
	CHECK(wire_stats(w.pool).created > 4);
	nothing_left(&w);
}

/* Polls on its pidfd fail: the child is kept, and watched again. */
enum { FAILED_POLLS = 5 };
static kolk__atomic_u32 polls_failed;
static int elsewhere;
static void (*real_submit)(struct kolk_ring *ring, struct kolk_op *op);

static void fail_polls(struct kolk_ring *ring, struct kolk_op *op)
{
	if (op->kind == KOLK_OP_POLL && kolk__add_relaxed(&polls_failed, 1) < FAILED_POLLS)
		op->fd = elsewhere;
	real_submit(ring, op);
}

static void poll_fails(void)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	static const char *const command[] = { "/bin/sh", "-c", "echo $$; exec cat", NULL };
	struct kolk_child_options child = child_of(command);
	struct kolk_sys sys = *kolk_sys_linux();
	struct kolk_lease lease;
	struct wire w = { 0 };
	char text[64] = "";
	size_t size;

	kolk__store_relaxed(&polls_failed, 0);
	elsewhere = open("/dev/null", O_RDONLY | O_CLOEXEC);
	real_submit = sys.ring_submit;
	sys.ring_submit = fail_polls;
	e.sys = &sys;
	MUST(wire_engine(&w, &e) && child_pool(&w, &child, "sh"));
	CHECK_ERR(kolk_acquire(w.key, kolk_in_ms(5000), &lease), KOLK_OK);
	CHECK_ERR(kolk_recv(&lease, text, sizeof text - 1, kolk_in_ms(5000), &size), KOLK_OK);
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	CHECK(WITHIN_MS(2000, kolk__load_relaxed(&polls_failed) > FAILED_POLLS)); /* watched at last */
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	CHECK(wire_stats(w.pool).created == 1);
	kill(atoi(text), SIGKILL);
	CHECK(WITHIN_MS(2000, wire_stats(w.pool).destroyed[KOLK_REASON_PEER_CLOSED] == 1));
	CHECK(no_children());
	nothing_left(&w);
	close(elsewhere);
}

/* ---- another child is another identity */

static void changes_child(void)
{
	static const char *const other[] = { "/bin/cat", "-", NULL };
	static const char *const names[] = { "KOLK_WIRE_GIVEN", NULL };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_child_options child = child_of(cat);
	struct wire w = { 0 };

	o.name = "cat";
	o.idle_min = KOLK_NONE;
	child.inherit = names;
	o.child = &child;
	setenv("KOLK_WIRE_GIVEN", "1", 1);
	MUST(wire_engine(&w, NULL) && wire_pool(&w, &o));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	child.stop_timeout_ns = KOLK_S_NS;
	CHECK_ERR(kolk_pool_update(w.pool, &o), KOLK_OK);
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	CHECK(wire_stats(w.pool).created == 1); /* the same child */
	setenv("KOLK_WIRE_GIVEN", "2", 1);
	CHECK_ERR(kolk_pool_update(w.pool, &o), KOLK_OK);
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	CHECK(wire_stats(w.pool).created == 2);
	child.command = other;
	CHECK_ERR(kolk_pool_update(w.pool, &o), KOLK_OK);
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	CHECK(wire_stats(w.pool).created == 3);
	unsetenv("KOLK_WIRE_GIVEN");
	nothing_left(&w);
}

/* ---- an engine that goes while they run, and one whose loops never run again */

static void engine_goes(void)
{
	static const char *const stubborn[] = { "/bin/sh", "-c",
						"trap '' TERM; sleep 1000 & sleep 1000; sleep 1000",
						NULL };
	struct kolk_child_options child = child_of(stubborn);
	struct kolk_lease lease[4];
	struct wire w = { 0 };
	int before = open_files();

	MUST(wire_engine(&w, NULL) && child_pool(&w, &child, "stubborn"));
	for (int i = 0; i < 4; i++)
		CHECK_ERR(kolk_acquire(w.key, kolk_in_ms(5000), &lease[i]), KOLK_OK);
	CHECK(survivors(NULL) >= 4);
	for (int i = 0; i < 4; i++)
		CHECK_ERR(kolk_release(&lease[i]), KOLK_OK);
	nothing_left(&w);
	CHECK(open_files() == before);
}

/* An embedder that ignores SIGCHLD: the kernel reaps, and nothing waits for what it took. */
static void reaped_by_others(void)
{
	struct kolk_child_options child = child_of(cat);
	struct wire w = { 0 };

	signal(SIGCHLD, SIG_IGN);
	MUST(wire_engine(&w, NULL) && child_pool(&w, &child, "cat"));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	kolk_pool_clear(w.pool);
	CHECK(WITHIN_MS(2000, wire_stats(w.pool).open == 0));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	nothing_left(&w);
	signal(SIGCHLD, SIG_DFL);
}

static void be_killed(int ready)
{
	struct kolk_child_options child = child_of(cat);
	struct wire w = { 0 };

	if (wire_engine(&w, NULL) && child_pool(&w, &child, "cat") &&
	    wire_request(w.key, "hello\n") == KOLK_OK && write(ready, "k", 1) == 1)
		pause();
	_exit(1);
}

static void process_dies(void)
{
	int ready[2], status;
	char byte = 0;
	pid_t pid;

	(void)environment(); /* the mark of this run, not of the fork's */
	MUST(pipe(ready) == 0);
	pid = fork();
	if (pid == 0)
		be_killed(ready[1]);
	close(ready[1]);
	CHECK(read(ready[0], &byte, 1) == 1 && byte == 'k');
	close(ready[0]);
	CHECK(survivors(NULL) == 1);
	kill(pid, SIGKILL);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WITHIN_MS(2000, survivors(NULL) == 0));
}

static void got_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct kolk_lease *to = user;

	CHECK_ERR(err, KOLK_OK);
	if (err == KOLK_OK)
		*to = *lease;
}

/* The child holds out longer than the destroy steps its loop: it is killed then. */
static void loop_stops(void)
{
	static const char *const stubborn[] = { "/bin/sh", "-c",
						"trap '' TERM; sleep 1000 & sleep 1000; sleep 1000",
						NULL };
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_child_options child = child_of(stubborn);
	struct kolk_acquire acquire = { 0 };
	struct kolk_lease lease = { 0 };
	struct wire w = { 0 };
	enum kolk_err err;

	if (!wire_has_time())
		return;
	e.loop_owner = KOLK_LOOPS_EMBEDDER;
	e.loops = 1;
	child.stop_timeout_ns = 60 * KOLK_S_NS;
	MUST(wire_engine(&w, &e) && child_pool(&w, &child, "stubborn"));
	err = kolk_acquire_async(kolk_engine_loop(w.engine, 0), w.key, kolk_in_ms(5000), &acquire,
				 got_lease, &lease);
	CHECK_ERR(err, KOLK_PENDING);
	CHECK(WITHIN_MS(5000, kolk_loop_step(kolk_engine_loop(w.engine, 0), KOLK_MS_NS) ==
				      KOLK_OK && lease.connection != NULL));
	nothing_left(&w);
}

/* ---- many of all kinds */

enum { KINDS = 9, THREADS = 4 };

static const struct kind {
	const char *name;
	const char *const command[4];
	bool answers;
	bool dies; /* exits early: its dial has failed, or is about to */
} kinds[KINDS] = {
	{ "cat", { "/bin/cat" }, true, false },
	{ "ignores the end of its stdin", { "/bin/sleep", "1000" }, false, false },
	{ "ignores SIGTERM", { "/bin/sh", "-c", "trap '' TERM; sleep 1000; sleep 1000" }, false,
	  false },
	{ "with a child of its own", { "/bin/sh", "-c", "sleep 1000 & exec cat" }, true, false },
	{ "writes much to stderr", { "/bin/sh", "-c", "head -c 300000 /dev/zero >&2; exec cat" }, true,
	  false },
	{ "closes its stdout", { "/bin/sh", "-c", "exec >&-; exec sleep 1000" }, false,
	  true },
	{ "exits at once", { "/bin/true" }, false, true },
	{ "exits and leaves a child", { "/bin/sh", "-c", "sleep 1000 & exit 1" }, false, true },
	{ "no program", { "/nonexistent" }, false, false },
};

struct child_load {
	struct kolk_key *keys[KINDS];
	kolk__atomic_u64 next;
};

static void one_cycle(struct kolk_key *key, const struct kind *kind)
{
	struct kolk_lease lease;
	enum kolk_err err = kolk_acquire(key, kolk_in_ms(10000), &lease);
	bool absent = kind->command[0][1] == 'n';

	if (kind->dies && (err == KOLK_E_CLOSED || err == KOLK_E_CIRCUIT))
		return;
	if (absent || err != KOLK_OK) {
		CHECK_ERR(err, absent ? KOLK_E_SPAWN : KOLK_OK);
		return;
	}
	if (kind->answers)
		CHECK_ERR(wire_exchange(&lease, "hello\n"), KOLK_OK);
	CHECK_ERR(kolk_discard(&lease), KOLK_OK);
}

static void *drive(void *arg)
{
	struct child_load *child_load = arg;
	uint64_t i;

	while ((i = kolk__add_relaxed(&child_load->next, 1)) < wire_children)
		one_cycle(child_load->keys[i % KINDS], &kinds[i % KINDS]);
	return NULL;
}

static void many(void)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct child_load child_load = { .next = 0 };
	pthread_t threads[THREADS];
	struct wire w = { 0 };
	uint64_t opened = 0;
	int before = open_files();

	e.tenant_connections_max = KOLK_UNLIMITED;
	MUST(wire_engine(&w, &e));
	for (int i = 0; i < KINDS; i++) {
		struct kolk_child_options child = child_of(kinds[i].command);

		child.stop_timeout_ns = child.term_timeout_ns = 5 * KOLK_MS_NS;
		if (kinds[i].answers) /* a slow machine is no reason to be impolite */
			child.stop_timeout_ns = KOLK_S_NS;
		child.last_words_off = 1;
		MUST(child_pool(&w, &child, kinds[i].name));
		child_load.keys[i] = w.key;
	}
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, drive, &child_load);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < KINDS; i++) {
		struct kolk_stats stats = KOLK_INIT(kolk_stats);

		CHECK_ERR(kolk_key_stats(child_load.keys[i], &stats), KOLK_OK);
		opened += stats.created;
	}
	tap_note("%llu children", (unsigned long long)opened);
	CHECK(opened >= wire_children / KINDS * (KINDS - 4)); /* early exits back off */
	nothing_left(&w);
	CHECK(open_files() == before);
}

/* Numbers of processes come back after 150 others, in a name space with few of them. */
static bool is_at_least(int major, int minor)
{
	struct utsname name;
	int has_major = 0, has_minor = 0;

	return uname(&name) == 0 && sscanf(name.release, "%d.%d", &has_major, &has_minor) == 2 &&
	       (has_major > major || (has_major == major && has_minor >= minor));
}

static int wait_for(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* The first process of its name space: it reaps orphans. */
static void be_init(void)
{
	static const char few[] = "450\n"; /* the first 300 are not used again */
	int status = 0, fd;
	pid_t worker, ended;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("proc", "/proc", "proc", 0, NULL) != 0)
		_exit(77);
	fd = open("/proc/sys/kernel/pid_max", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, few, strlen(few)) < 0)
		_exit(77);
	close(fd);
	worker = fork();
	if (worker == 0) {
		many();
		fflush(stdout);
		_exit(tap_is_failing());
	}
	do
		ended = wait(&status);
	while (ended != worker && ended > 0);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static void numbers_come_back(void)
{
	pid_t helper, first;
	int status;

	if (!wire_may_fork())
		return;
	if (geteuid() != 0 || !is_at_least(6, 14)) {
		tap_skip("a name space's own pid_max needs root and Linux 6.14");
		return;
	}
	fflush(stdout);
	helper = fork();
	if (helper == 0) {
		if (unshare(CLONE_NEWPID | CLONE_NEWNS) != 0)
			_exit(77);
		first = fork();
		if (first == 0)
			be_init();
		_exit(wait_for(first));
	}
	status = wait_for(helper);
	if (status == 77)
		tap_skip("no name spaces here");
	else
		CHECK(status == 0);
}

/* ---- whose answer is it? A child that echoes lines, callers that leave at any instant */

struct echo { /* a session: bytes that are still to come back */
	uint64_t owed;
};

static enum kolk_err echo_reset(void *user, void *session, struct kolk_exchange *exchange)
{
	(void)user;
	(void)session;
	(void)exchange;
	return KOLK_PENDING;
}

static enum kolk_err echo_feed(void *user, void *session, struct kolk_exchange *exchange,
			       const void *data, size_t size)
{
	struct echo *echo = session;

	(void)user;
	(void)exchange;
	(void)data;
	if (size > echo->owed)
		return KOLK_E_PROTOCOL;
	echo->owed -= size;
	return echo->owed == 0 ? KOLK_OK : KOLK_PENDING;
}

static enum kolk_err echo_clean(void *user, void *session)
{
	const struct echo *echo = session;

	(void)user;
	return echo->owed == 0 ? KOLK_OK : KOLK_PENDING;
}

static const struct kolk_driver echo_driver = {
	.size = sizeof echo_driver, .session_bytes = sizeof(struct echo), .name = "echo",
	.mend = echo_reset, .feed = echo_feed, .clean = echo_clean
};

static enum kolk_err owe(void *user, void *session)
{
	((struct echo *)session)->owed += (uint64_t)*(int64_t *)user;
	return KOLK_OK;
}

static void account(const struct kolk_lease *lease, int64_t bytes)
{
	CHECK_ERR(kolk_lease_session(lease, &echo_driver, owe, &bytes), KOLK_OK);
}

struct caller {
	pthread_t thread;
	struct kolk_key *key;
	uint64_t requests, id;
	uint64_t answered, left, misrouted, failed;
	uint64_t random;
};

static uint64_t draw(struct caller *caller, uint64_t below)
{
	caller->random = caller->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (caller->random >> 33) % below;
}

/* Some of the answer, all of it, or nothing: the caller leaves when its time is up. */
static void await(struct caller *caller, const struct kolk_lease *lease, const char *line,
		  uint64_t deadline_ns, bool leaves)
{
	size_t size = strlen(line), all = 0, got;
	enum kolk_err err = KOLK_OK;
	char answer[128];

	while (err == KOLK_OK && all < size) {
		err = kolk_recv(lease, answer + all, sizeof answer - all, deadline_ns, &got);
		if (err == KOLK_OK) {
			account(lease, -(int64_t)got);
			all += got;
		}
	}
	if (memcmp(answer, line, all < size ? all : size) != 0 || all > size)
		caller->misrouted++;
	else if (all == size)
		caller->answered++;
	else if (leaves && err == KOLK_E_TIMEOUT)
		caller->left++;
	else
		caller->failed++;
}

static void ask(struct caller *caller, uint64_t number)
{
	bool leaves = draw(caller, 100) < 30;
	struct kolk_lease lease;
	char line[100];
	enum kolk_err err = kolk_acquire(caller->key, kolk_in_ms(20000), &lease);

	snprintf(line, sizeof line, "%llu.%llu.%llx%.*s\n", (unsigned long long)caller->id,
		 (unsigned long long)number, (unsigned long long)caller->random,
		 (int)draw(caller, 40), "----------------------------------------");
	if (err == KOLK_OK)
		err = kolk_send_all(&lease, line, strlen(line), kolk_in_ms(20000));
	if (err != KOLK_OK) {
		caller->failed += err != KOLK_E_CLOSED; /* that one went while it was idle */
		(void)kolk_release(&lease);
		return;
	}
	account(&lease, (int64_t)strlen(line));
	if (!leaves || draw(caller, 2) != 0)
		await(caller, &lease, line,
		      leaves ? kolk_in_us(draw(caller, 10)) : kolk_in_ms(20000), leaves);
	else
		caller->left++;
	if (leaves && draw(caller, 100) == 0)
		CHECK_ERR(kolk_discard(&lease), KOLK_OK);
	else
		CHECK_ERR(kolk_release(&lease), KOLK_OK);
}

static void *call(void *arg)
{
	struct caller *caller = arg;

	for (uint64_t i = 0; i < caller->requests; i++)
		ask(caller, i);
	return NULL;
}

static void nonces(void)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_child_options child = child_of(cat);
	struct caller callers[8] = { { .requests = 0 } };
	struct caller sum = { .requests = 0 };
	struct wire w = { 0 };

	o.child = &child;
	o.driver = &echo_driver;
	o.connections_max = 3;
	MUST(wire_engine(&w, NULL) && wire_pool(&w, &o));
	for (uint64_t i = 0; i < 8; i++) {
		callers[i] = (struct caller){ .key = w.key, .id = i, .random = i * 7919 + 1,
					      .requests = wire_nonces / 8 };
		pthread_create(&callers[i].thread, NULL, call, &callers[i]);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(callers[i].thread, NULL);
		sum.answered += callers[i].answered;
		sum.left += callers[i].left;
		sum.misrouted += callers[i].misrouted;
		sum.failed += callers[i].failed;
	}
	tap_note("%llu requests: %llu answered, %llu left, %llu failed, %llu foreign answers; "
		 "%llu children", (unsigned long long)wire_nonces, (unsigned long long)sum.answered,
		 (unsigned long long)sum.left, (unsigned long long)sum.failed,
		 (unsigned long long)sum.misrouted, (unsigned long long)wire_stats(w.pool).created);
	CHECK(sum.misrouted == 0 && sum.failed == 0);
	nothing_left(&w);
}

/* The same from the loops, where a receive is cancelled at any instant. */
struct loop_caller {
	struct caller c;
	struct kolk_loop *loop;
	struct kolk_call start;
	struct kolk_acquire acquire;
	struct kolk_lease lease;
	struct kolk_io io;
	struct kolk_timer timer;
	char line[100], answer[128];
	size_t all;
	bool leaves;
	kolk__atomic_u32 done;
};

static void loop_caller_acquire(struct loop_caller *r);

static void loop_caller_next(struct loop_caller *r, bool discard)
{
	kolk_timer_stop(&r->timer);
	CHECK_ERR(discard ? kolk_discard(&r->lease) : kolk_release(&r->lease), KOLK_OK);
	r->c.requests--;
	loop_caller_acquire(r);
}

static void loop_caller_timed_out(struct kolk_timer *timer, void *user)
{
	struct loop_caller *r = user;

	(void)timer;
	CHECK_ERR(kolk_io_cancel(&r->io), KOLK_OK);
}

static void loop_caller_receive(struct loop_caller *r);

static void loop_caller_got(void *user, enum kolk_err err, size_t size)
{
	struct loop_caller *r = user;
	size_t length = strlen(r->line);

	if (err == KOLK_OK) {
		account(&r->lease, -(int64_t)size);
		r->all += size;
	}
	if (memcmp(r->answer, r->line, r->all < length ? r->all : length) != 0 || r->all > length)
		r->c.misrouted++;
	if (err == KOLK_OK && r->all < length) {
		loop_caller_receive(r);
		return;
	}
	r->c.answered += r->all == length;
	r->c.left += r->all < length && r->leaves && err == KOLK_E_CANCELLED;
	r->c.failed += r->all < length && !(r->leaves && err == KOLK_E_CANCELLED);
	loop_caller_next(r, r->leaves && draw(&r->c, 100) == 0);
}

static void loop_caller_receive(struct loop_caller *r)
{
	enum kolk_err err = kolk_recv_async(r->loop, &r->lease, &r->io, r->answer + r->all,
					    sizeof r->answer - r->all, kolk_in_ms(20000),
					    loop_caller_got, r);

	CHECK_ERR(err, KOLK_PENDING);
}

static void loop_caller_sent(void *user, enum kolk_err err, size_t size)
{
	struct loop_caller *r = user;

	CHECK(err == KOLK_OK && size == strlen(r->line));
	account(&r->lease, (int64_t)size);
	r->all = 0;
	if (r->leaves && draw(&r->c, 2) == 0) {
		r->c.left++;
		loop_caller_next(r, false);
		return;
	}
	loop_caller_receive(r);
	if (r->leaves)
		CHECK_ERR(kolk_timer_start(r->loop, &r->timer, kolk_in_us(draw(&r->c, 50)),
					   loop_caller_timed_out, r), KOLK_OK);
}

static void loop_caller_acquired(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct loop_caller *r = user;

	if (!CHECK_ERR(err, KOLK_OK)) {
		kolk__store_release(&r->done, 1);
		return;
	}
	r->lease = *lease;
	r->leaves = draw(&r->c, 100) < 30;
	snprintf(r->line, sizeof r->line, "%llu.%llx.%.*s\n", (unsigned long long)r->c.id,
		 (unsigned long long)r->c.random, (int)draw(&r->c, 40),
		 "----------------------------------------");
	err = kolk_send_async(r->loop, &r->lease, &r->io, r->line, strlen(r->line),
			      kolk_in_ms(20000), loop_caller_sent, r);
	if (err != KOLK_PENDING) { /* it went while it was idle: nothing was sent */
		r->c.failed += err != KOLK_E_CLOSED;
		loop_caller_next(r, false);
	}
}

static void loop_caller_acquire(struct loop_caller *r)
{
	enum kolk_err err;

	if (r->c.requests == 0) {
		kolk__store_release(&r->done, 1);
		return;
	}
	err = kolk_acquire_async(r->loop, r->c.key, kolk_in_ms(20000), &r->acquire,
				 loop_caller_acquired, r);
	if (err != KOLK_PENDING)
		loop_caller_acquired(r, err, &r->acquire.lease);
}

static void loop_caller_start(struct kolk_call *call_, void *user)
{
	(void)call_;
	loop_caller_acquire(user);
}

static void nonces_on_loops(void)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_child_options child = child_of(cat);
	static struct loop_caller loop_callers[8];
	struct caller sum = { .requests = 0 };
	struct wire w = { 0 };

	e.loops = 2;
	o.child = &child;
	o.driver = &echo_driver;
	o.connections_max = 3;
	MUST(wire_engine(&w, &e) && wire_pool(&w, &o));
	memset(loop_callers, 0, sizeof loop_callers);
	for (uint32_t i = 0; i < 8; i++) {
		loop_callers[i].c = (struct caller){ .key = w.key, .id = i, .random = i * 104729 + 1,
						     .requests = wire_nonces / 8 };
		loop_callers[i].loop = kolk_engine_loop(w.engine, i % 2);
		CHECK_ERR(kolk_loop_call(loop_callers[i].loop, &loop_callers[i].start,
					 loop_caller_start, &loop_callers[i]),
			  KOLK_OK);
	}
	for (int i = 0; i < 8; i++) {
		CHECK(WITHIN_MS(240000, kolk__load_acquire(&loop_callers[i].done)));
		sum.answered += loop_callers[i].c.answered;
		sum.left += loop_callers[i].c.left;
		sum.misrouted += loop_callers[i].c.misrouted;
		sum.failed += loop_callers[i].c.failed;
	}
	tap_note("%llu requests: %llu answered, %llu left, %llu failed, %llu foreign answers; "
		 "%llu children", (unsigned long long)wire_nonces, (unsigned long long)sum.answered,
		 (unsigned long long)sum.left, (unsigned long long)sum.failed,
		 (unsigned long long)sum.misrouted, (unsigned long long)wire_stats(w.pool).created);
	CHECK(sum.misrouted == 0 && sum.failed == 0);
	nothing_left(&w);
}

static const struct tap_test tests[] = {
	{ "a child serves", serves },
	{ "a child inherits nothing but what it is given", inherits_nothing },
	{ "a child that cannot be started", not_a_program },
	{ "a child for which descriptors are lacking", few_descriptors },
	{ "a child that ends before it is ready", exits_before_ready },
	{ "a child that ends while it is idle", exits_idle },
	{ "children that exit early are restarted with back-off", exits_early },
	{ "a child survives a failed poll of its pidfd", poll_fails },
	{ "another child is another identity", changes_child },
	{ "children end with their engine", engine_goes },
	{ "children end with an engine whose loop stopped", loop_stops },
	{ "children that others reap", reaped_by_others },
	{ "children end with their process", process_dies },
	{ "children of all kinds are started and end", many },
	{ "children whose numbers come back", numbers_come_back },
	{ "children: no answer reaches another caller", nonces },
	{ "children: nor from the loops", nonces_on_loops },
};
TAP_TESTS(child, tests);
