/* SPDX-License-Identifier: Apache-2.0 */
/* process_test.c - what the process does to a pool: descriptors, fork, signals, seccomp. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "tests/kit/counting.h"
#include "tests/kit/mock.h"
#include "tests/wire/wire.h"

static void few_descriptors(void)
{
	struct wire w = { 0 };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct rlimit before, small;

	o.retry_interval_ns = KOLK_MS_NS;
	o.retry_max_ns = KOLK_MS_NS;
	MUST(wire_origin(&w, NULL) && wire_engine(&w, NULL) && wire_pool(&w, &o));
	getrlimit(RLIMIT_NOFILE, &before);
	small = before;
	small.rlim_cur = 3; /* below what is open: not one more */
	setrlimit(RLIMIT_NOFILE, &small);
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_E_FILES);
	setrlimit(RLIMIT_NOFILE, &before);
	/* The error of an earlier dial may still be reported to one caller. */
	CHECK(WITHIN_MS(2000, wire_request(w.key, "hello\n") == KOLK_OK));
	wire_close(&w);
}

/* The child must not touch the parent's connections, and every call reports an error. */
static int child_checks(struct wire *w, struct kolk_lease *lease)
{
	struct kolk_lease mine;
	struct kolk_key *key;
	struct kolk_key_options k = KOLK_INIT(kolk_key_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_pool *pool;
	size_t size;
	char byte;
	int wrong = 0;

	o.name = "child";
	o.address = "127.0.0.1:1";
	wrong += kolk_try_acquire(w->key, &mine) != KOLK_E_FORKED;
	wrong += kolk_acquire(w->key, KOLK_FOREVER, &mine) != KOLK_E_FORKED;
	wrong += kolk_release(lease) != KOLK_E_FORKED;
	wrong += kolk_discard(lease) != KOLK_E_FORKED;
	wrong += kolk_send_all(lease, "x", 1, KOLK_FOREVER) != KOLK_E_FORKED;
	wrong += kolk_recv(lease, &byte, 1, KOLK_FOREVER, &size) != KOLK_E_FORKED;
	wrong += kolk_key_open(w->pool, &k, &key) != KOLK_E_FORKED;
	wrong += kolk_pool_add(w->engine, &o, &pool) != KOLK_E_FORKED;
	wrong += kolk_pool_drain(w->pool, 0) != KOLK_E_FORKED;
	wrong += kolk_engine_drain(w->engine, 0) != KOLK_E_FORKED;
	wrong += kolk_engine_wait_closed(w->engine, 0) != KOLK_E_FORKED;
	wrong += kolk_check(w->engine, NULL) != KOLK_E_FORKED;
	wrong += kolk_engine_destroy(w->engine) != KOLK_E_FORKED;
	return wrong;
}

static void forked(void)
{
	struct wire w = { 0 };
	struct kolk_lease lease;
	pid_t child;
	int status = 0;

	MUST(wire_open(&w));
	CHECK_ERR(wire_request(w.key, "before\n"), KOLK_OK);
	CHECK_ERR(kolk_acquire(w.key, 0, &lease), KOLK_OK);
	child = fork();
	if (child == 0)
		_exit(child_checks(&w, &lease));
	waitpid(child, &status, 0);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	/* The parent's connection is as it was. */
	CHECK_ERR(wire_exchange(&lease, "after\n"), KOLK_OK);
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	wire_close(&w);
}

/* ---- descriptors that live on in another process */

enum { HELD_ROUNDS = 10 };

/* Holds a copy of our ends, as a child between clone and exec does, until it is killed. */
static pid_t hold_copies(uint16_t peer_port)
{
	pid_t child = fork();

	for (int fd = 3; child == 0 && fd < 1024; fd++) {
		struct sockaddr_in name = { 0 };
		socklen_t size = sizeof name;

		if (getsockname(fd, (struct sockaddr *)&name, &size) == 0 &&
		    name.sin_family == AF_INET && ntohs(name.sin_port) == peer_port)
			close(fd);
	}
	if (child == 0)
		for (;;)
			pause();
	return child;
}

/* Each connection says whether it saw the end within a second, and closes then by itself. */
static void held_play(struct kit_mock_conn *conn, void *user)
{
	kolk__atomic_u32 *saw = user; /* [0] the end, [1] no end */
	char line[16];

	while (kit_mock_read_until(conn, "\n", line, sizeof line, 1000))
		if (!kit_mock_say(conn, line))
			break;
	kolk__add_relaxed(&saw[!kit_mock_drain(conn, 200)], 1);
}

static void held(const struct kit_cert *cert)
{
	kolk__atomic_u32 saw[2] = { 0 };
	struct kit_mock_options m = { .play = held_play, .user = saw, .cert = cert };
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options t = KOLK_INIT(kolk_tls_options);
	struct kit_mock *mock = kit_mock_open(&m);
	pid_t child[HELD_ROUNDS];
	struct wire w = { 0 };

	MUST(mock != NULL);
	snprintf(w.address, sizeof w.address, "%s", kit_mock_address(mock));
	t.ca_file = wire_certs.ca_path;
	t.server_name = "localhost";
	engine.loops = 1;
	o.tls = cert != NULL ? &t : NULL;
	o.connections_max = 1;
	o.idle_min = KOLK_NONE;
	MUST(wire_engine(&w, &engine) && wire_pool(&w, &o));
	for (uint32_t i = 0; i < HELD_ROUNDS; i++) {
		CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
		child[i] = hold_copies(kit_mock_port(mock));
		(void)kolk_pool_clear(w.pool);
		CHECK(WITHIN_MS(2000, wire_stats(w.pool).idle == 0));
	}
	/* The next has the number of the last, whose peer may close only now. */
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	CHECK(WITHIN_MS(3000, kolk__load_relaxed(&saw[0]) + kolk__load_relaxed(&saw[1]) >=
				      HELD_ROUNDS));
	CHECK(kolk__load_relaxed(&saw[1]) == 0);
	CHECK(WITHIN_MS(3000, kit_mock_counts(mock).open <= 1));
	CHECK_ERR(wire_request(w.key, "hello\n"), KOLK_OK);
	CHECK(wire_stats(w.pool).destroyed[KOLK_REASON_PEER_CLOSED] == 0);
	CHECK(wire_stats(w.pool).created == HELD_ROUNDS + 1);
	wire_report(w.pool);
	for (int i = 0; i < HELD_ROUNDS; i++) {
		kill(child[i], SIGKILL);
		waitpid(child[i], NULL, 0);
	}
	wire_close(&w);
	kit_mock_close(mock);
}

static void held_elsewhere(void)
{
	held(NULL);
	held(&wire_certs.good);
}

/* The parent's workers do not exist in the child: their work would not be done. */
static int child_serves(const struct wire *parent, const struct kolk_pool_options *options)
{
	struct wire w = { 0 };
	int wrong = 0;

	alarm(20);
	memcpy(w.address, parent->address, sizeof w.address);
	if (!wire_engine(&w, NULL) || !wire_pool(&w, options))
		return 100;
	for (int i = 0; i < 3; i++) {
		wrong += wire_request(w.key, "child\n") != KOLK_OK;
		(void)kolk_pool_clear(w.pool);
	}
	wrong += kolk_engine_destroy(w.engine) != KOLK_OK;
	return wrong;
}

static void forked_with_an_engine(void)
{
	struct kit_origin_options origin = { .cert = &wire_certs.good };
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct wire w = { 0 };
	int status = 0;
	pid_t child;

	if (!wire_may_fork())
		return;
	tls.ca_file = wire_certs.ca_path;
	o.tls = &tls;
	MUST(wire_origin(&w, &origin) && wire_engine(&w, NULL) && wire_pool(&w, &o));
	CHECK_ERR(wire_request(w.key, "before\n"), KOLK_OK);
	child = fork();
	if (child == 0)
		_exit(child_serves(&w, &o));
	waitpid(child, &status, 0);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	(void)kolk_pool_clear(w.pool);
	CHECK_ERR(wire_request(w.key, "after\n"), KOLK_OK);
	wire_close(&w);
}

/* ---- forked in a callback: the thread is inside a step of a ring that belongs to the parent */

struct inside {
	struct kolk_acquire acquire;
	struct wire *w;
	const struct kolk_pool_options *options;
	int status;
	bool done;
};

static void fork_inside(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct inside *inside = user;
	struct kolk_lease copy = *lease;
	pid_t child;

	CHECK_ERR(err, KOLK_OK);
	/* The origin is at rest: AddressSanitizer's allocator has locks of its own. */
	CHECK(WITHIN_MS(5000, kit_origin_counts(inside->w->origin).open == 1));
	child = fork();
	if (child == 0)
		_exit(child_serves(inside->w, inside->options));
	waitpid(child, &inside->status, 0);
	if (err == KOLK_OK)
		CHECK_ERR(kolk_release(&copy), KOLK_OK);
	inside->done = true;
}

static void forked_in_a_callback(void)
{
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct wire w = { 0 };
	struct inside inside = { .w = &w, .options = &o, .status = -1 };
	struct kolk_loop *loop;

	if (!wire_may_fork())
		return;
	e.loops = 1;
	e.loop_owner = KOLK_LOOPS_EMBEDDER;
	o.idle_min = KOLK_NONE;
	MUST(wire_origin(&w, NULL) && wire_engine(&w, &e) && wire_pool(&w, &o));
	loop = kolk_engine_loop(w.engine, 0);
	for (int round = 0; round < 2; round++) { /* the second: the parent's ring is as it was */
		inside.done = false;
		(void)kolk_pool_clear(w.pool);
		for (int i = 0; i < 500 && kit_origin_counts(w.origin).open > 0; i++)
			(void)kolk_loop_step(loop, 10 * KOLK_MS_NS);
		CHECK_ERR(kolk_acquire_async(loop, w.key, kolk_in_ms(5000), &inside.acquire,
					     fork_inside, &inside), KOLK_PENDING);
		for (int i = 0; i < 500 && !inside.done; i++)
			(void)kolk_loop_step(loop, 10 * KOLK_MS_NS);
		CHECK(inside.done && WIFEXITED(inside.status) && WEXITSTATUS(inside.status) == 0);
	}
	(void)kolk_pool_drain(w.pool, kolk_in_ms(0));
	for (int i = 0; i < 100 && !kolk_pool_is_closed(w.pool); i++)
		(void)kolk_loop_step(loop, 10 * KOLK_MS_NS);
	wire_close(&w);
}

static struct kolk_engine *term_engine;

static void on_term(int signal)
{
	(void)signal;
	kolk_engine_drain_from_signal(term_engine, 5 * KOLK_S_NS);
}

/* Until maintenance has begun it, a connection can be had. */
static bool is_draining(struct kolk_key *key)
{
	struct kolk_lease lease;
	enum kolk_err err = kolk_try_acquire(key, &lease);

	if (err == KOLK_OK)
		CHECK_ERR(kolk_release(&lease), KOLK_OK);
	return err == KOLK_E_DRAINING;
}

static void terminated(void)
{
	struct wire w = { 0 };
	struct sigaction action = { .sa_handler = on_term }, before;
	struct kolk_lease lease;

	MUST(wire_open(&w));
	CHECK_ERR(kolk_acquire(w.key, 0, &lease), KOLK_OK);
	term_engine = w.engine;
	sigaction(SIGTERM, &action, &before);
	kill(getpid(), SIGTERM);
	CHECK(WITHIN_MS(2000, is_draining(w.key)));
	/* The request that runs is finished within the grace. */
	CHECK_ERR(wire_exchange(&lease, "last\n"), KOLK_OK);
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	CHECK_ERR(kolk_engine_wait_closed(w.engine, kolk_in_ms(10000)), KOLK_OK);
	CHECK(kolk__load_acquire(&w.closed_events) == 1);
	CHECK(kolk_engine_is_closed(w.engine));
	sigaction(SIGTERM, &before, NULL);
	wire_close(&w);
}

/* ---- where io_uring is forbidden */

static bool forbid(long call, int error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof filter / sizeof filter[0], filter };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static char warning[256];

static void on_log(void *user, enum kolk_log_level level, const char *subject, const char *text)
{
	(void)user;
	(void)subject;
	if (level == KOLK_LOG_WARN && warning[0] == 0)
		memcpy(warning, text, strlen(text) < sizeof warning ? strlen(text) + 1 : sizeof warning - 1);
}

enum { NO_FILTER = 100, NO_ENGINE, ALL_WELL = 42 };

/* In a child: requests over epoll, and it is said so; required, io_uring is an error. */
static int without_io_uring(long call, int error, const char *address)
{
	struct kolk_engine_options o = KOLK_INIT(kolk_engine_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct wire w = { 0 };
	int wrong = 0;

	if (!forbid(call, error))
		return NO_FILTER;
	o.on_log = on_log;
	o.log_level = KOLK_LOG_WARN;
	o.backend = KOLK_BACKEND_IO_URING;
	o.failure = &failure;
	wrong += kolk_engine_create(&o, &w.engine) != KOLK_E_BACKEND;
	wrong += failure.err != KOLK_E_BACKEND || failure.detail == NULL;
	o.failure = NULL;
	o.backend = KOLK_BACKEND_AUTO;
	if (kolk_engine_create(&o, &w.engine) != KOLK_OK)
		return NO_ENGINE;
	wrong += strcmp(kolk_engine_backend(w.engine), "epoll") != 0;
	wrong += strstr(warning, "epoll") == NULL;
	memcpy(w.address, address, strlen(address) + 1);
	if (wire_pool(&w, NULL))
		for (int i = 0; i < 10; i++)
			wrong += wire_request(w.key, "hello\n") != KOLK_OK;
	wrong += kolk_engine_destroy(w.engine) != KOLK_OK;
	return wrong == 0 ? ALL_WELL : wrong;
}

static int in_a_child(long call, int error, const char *address)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0)
		_exit(without_io_uring(call, error, address));
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void falls_back(void)
{
	static const long calls[] = { SYS_io_uring_setup, SYS_io_uring_enter,
				      SYS_io_uring_register };
	static const int errors[] = { EPERM, ENOSYS, EOPNOTSUPP, EACCES, ENOMEM, EMFILE };
	struct wire w = { 0 };

	if (!wire_may_fork())
		return;
	MUST(wire_origin(&w, NULL));
	for (int c = 0; c < 3; c++) {
		for (int e = 0; e < 6; e++) {
			int status = in_a_child(calls[c], errors[e], w.address);

			if (status == NO_FILTER) {
				tap_skip("no seccomp filter allowed here");
				wire_close(&w);
				return;
			}
			if (!CHECK(status == ALL_WELL))
				tap_note("call %d, %s: status %d", c, strerror(errors[e]), status);
		}
	}
	wire_close(&w);
}

/* ---- nothing is left behind */

static uint32_t descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	uint32_t count = 0;

	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

static void *churn(void *arg)
{
	struct wire *w = arg;
	struct kolk_lease lease;

	for (uint64_t i = 0; i < wire_churn / 4; i++) {
		enum kolk_err err = kolk_acquire(w->key, kolk_in_ms(10000), &lease);

		if (!CHECK_ERR(err, KOLK_OK))
			break;
		if (i % 3 == 0)
			CHECK_ERR(wire_exchange(&lease, "churn\n"), KOLK_OK);
		CHECK_ERR(kolk_discard(&lease), KOLK_OK);
	}
	return NULL;
}

static void connect_and_close(void)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct wire w = { 0 };
	pthread_t threads[4];
	uint32_t files;
	int64_t memory;

	engine.sys = counting_sys();
	o.idle_min = KOLK_NONE;
	MUST(wire_origin(&w, NULL) && wire_engine(&w, &engine) && wire_pool(&w, &o));
	CHECK_ERR(wire_request(w.key, "first\n"), KOLK_OK);
	(void)kolk_pool_clear(w.pool);
	CHECK(WITHIN_MS(1000, wire_stats(w.pool).open == 0 && kit_origin_counts(w.origin).open == 0));
	files = descriptors();
	memory = counting_bytes();
	for (int i = 0; i < 4; i++)
		MUST(pthread_create(&threads[i], NULL, churn, &w) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	(void)kolk_pool_clear(w.pool);
	CHECK(WITHIN_MS(2000, wire_stats(w.pool).open == 0 && kit_origin_counts(w.origin).open == 0));
	/* The origin may still have to accept, and to close, what was abandoned. */
	CHECK(WITHIN_MS(2000, descriptors() == files));
	tap_note("%llu connections made and closed; %d descriptors and %lld bytes more than before",
		 (unsigned long long)wire_stats(w.pool).created, (int)(descriptors() - files),
		 (long long)(counting_bytes() - memory));
	/* Histograms of the key grow with what they see, up to an octave each time. */
	CHECK(counting_bytes() - memory < 64 * 1024);
	wire_close(&w);
	CHECK(counting_bytes() == 0);
}

static const struct tap_test tests[] = {
	{ "no descriptor left", few_descriptors },
	{ "a fork's child touches nothing", forked },
	{ "a close is a close although another process has a copy", held_elsewhere },
	{ "a fork's child has an engine of its own", forked_with_an_engine },
	{ "also one that is forked in a callback", forked_in_a_callback },
	{ "SIGTERM drains", terminated },
	{ "epoll where a call of io_uring is refused: 3 calls, 6 errors", falls_back },
	{ "connections made and closed leave nothing behind", connect_and_close },
};
TAP_TESTS(process, tests);
