/* SPDX-License-Identifier: Apache-2.0 */
/* child_test.c - child processes as connections: what they inherit, how they fail and end. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <kolk/sys/sys.h>

#include "core/base/atomic.h"
#include "tests/wire/child.h"

/* ---- one that behaves */

static void serves(void)
{
	struct wire w = { 0 };
	struct kolk_child_options child = child_of(child_cat);
	struct kolk_pool_info info = KOLK_INIT(kolk_pool_info);

	MUST(wire_engine(&w, NULL) && child_pool(&w, &child, "cat"));
	for (int i = 0; i < 1000; i++)
		CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	CHECK(wire_stats(w.pool).created == 1);
	CHECK_ERR(kolk_pool_inspect(w.pool, &info), KOLK_OK);
	CHECK(strcmp(info.address, "child:/bin/cat") == 0);
	child_close(&w);
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
	const char *marker = child_environment()[0];
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
	struct kolk_child_options child = child_of(child_cat);
	int pid, leak = open("/dev/null", O_RDONLY); /* not close-on-exec */

	setenv("KOLK_WIRE_GIVEN", "1", 1);
	setenv("KOLK_WIRE_SECRET", "1", 1);
	signal(SIGUSR1, SIG_IGN);
	child.inherit = names;
	child.directory = "/usr";
	child.files_max = 32;
	MUST(wire_engine(&w, NULL) && child_pool(&w, &child, "cat"));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	CHECK(child_survivors(&pid) == 1);
	check_files(pid);
	check_environment(pid);
	check_process(pid);
	signal(SIGUSR1, SIG_DFL);
	unsetenv("KOLK_WIRE_GIVEN");
	unsetenv("KOLK_WIRE_SECRET");
	close(leak);
	child_close(&w);
}

static int lowest_free(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

/* ---- failures are reported */

static void not_a_program(void)
{
	static const char *const absent[] = { "/nonexistent/program", NULL };
	static const char *const no_program[] = { "/etc/passwd", NULL };
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct wire w = { 0 };
	struct kolk_child_options child = child_of(absent);
	int before = child_open_files();

	MUST(wire_engine(&w, NULL) && child_pool(&w, &child, "absent"));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_E_SPAWN);
	CHECK(kolk_key_failure(w.key, &failure) && failure.err == KOLK_E_SPAWN);
	CHECK(failure.os_error == ENOENT && failure.phase == KOLK_PHASE_CONNECT);
	CHECK(strcmp(failure.detail, "No such file or directory") == 0);
	child = child_of(no_program);
	CHECK(child_pool(&w, &child, "no program"));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_E_SPAWN);
	CHECK(kolk_key_failure(w.key, &failure) && failure.os_error == EACCES);
	child = child_of(child_cat);
	child.directory = "/nonexistent";
	CHECK(child_pool(&w, &child, "no directory"));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_E_SPAWN);
	CHECK(kolk_key_failure(w.key, &failure) && failure.os_error == ENOENT);
	child_close(&w);
	CHECK(child_open_files() == before);
}

/* Neither a child nor what it takes is left of a spawn that runs out of descriptors half-way. */
static void few_descriptors(void)
{
	struct kolk_child_options child = child_of(child_cat);
	struct rlimit before, small;
	struct wire w = { 0 };
	int files = child_open_files();

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
	child_close(&w);
	CHECK(child_open_files() == files);
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
	child_close(&w);
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
	CHECK(child_none_left());
	child_close(&w);
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
	CHECK(NEVER_MS(1000, wire_stats(w.pool).created > 40));
	CHECK(wire_stats(w.pool).created > 4);
	child_close(&w);
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
	CHECK(child_none_left());
	child_close(&w);
	close(elsewhere);
}

/* ---- another child is another identity */

static void changes_child(void)
{
	static const char *const other[] = { "/bin/cat", "-", NULL };
	static const char *const names[] = { "KOLK_WIRE_GIVEN", NULL };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_child_options child = child_of(child_cat);
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
	child_close(&w);
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
};
TAP_TESTS(child, tests);
