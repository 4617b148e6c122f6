/* SPDX-License-Identifier: Apache-2.0 */
/* child_end_test.c - what is left of child processes when their engine or process ends, however
 * they behave, and how many there were. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "tests/wire/child.h"

/* ---- an engine that goes while they run, and one whose loops never run again */

static void engine_goes(void)
{
	static const char *const stubborn[] = { "/bin/sh", "-c",
						"trap '' TERM; sleep 1000 & sleep 1000; sleep 1000",
						NULL };
	struct kolk_child_options child = child_of(stubborn);
	struct kolk_lease lease[4];
	struct wire w = { 0 };
	int before = child_open_files();

	MUST(wire_engine(&w, NULL) && child_pool(&w, &child, "stubborn"));
	for (int i = 0; i < 4; i++)
		CHECK_ERR(kolk_acquire(w.key, kolk_in_ms(5000), &lease[i]), KOLK_OK);
	CHECK(child_survivors(NULL) >= 4);
	for (int i = 0; i < 4; i++)
		CHECK_ERR(kolk_release(&lease[i]), KOLK_OK);
	child_close(&w);
	CHECK(child_open_files() == before);
}

/* An embedder that ignores SIGCHLD: the kernel reaps, and nothing waits for what it took. */
static void reaped_by_others(void)
{
	struct kolk_child_options child = child_of(child_cat);
	struct wire w = { 0 };

	signal(SIGCHLD, SIG_IGN);
	MUST(wire_engine(&w, NULL) && child_pool(&w, &child, "cat"));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	kolk_pool_clear(w.pool);
	CHECK(WITHIN_MS(2000, wire_stats(w.pool).open == 0));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	child_close(&w);
	signal(SIGCHLD, SIG_DFL);
}

static void be_killed(int ready)
{
	struct kolk_child_options child = child_of(child_cat);
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

	(void)child_environment(); /* the mark of this run, not of the fork's */
	MUST(pipe(ready) == 0);
	pid = fork();
	if (pid == 0)
		be_killed(ready[1]);
	close(ready[1]);
	CHECK(read(ready[0], &byte, 1) == 1 && byte == 'k');
	close(ready[0]);
	CHECK(child_survivors(NULL) == 1);
	kill(pid, SIGKILL);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WITHIN_MS(2000, child_survivors(NULL) == 0));
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
	child_close(&w);
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
	int before = child_open_files();

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
	child_close(&w);
	CHECK(child_open_files() == before);
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

static const struct tap_test tests[] = {
	{ "children end with their engine", engine_goes },
	{ "children end with an engine whose loop stopped", loop_stops },
	{ "children that others reap", reaped_by_others },
	{ "children end with their process", process_dies },
	{ "children of all kinds are started and end", many },
	{ "children whose numbers come back", numbers_come_back },
};
TAP_TESTS(child_end, tests);
