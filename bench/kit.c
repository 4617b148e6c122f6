/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "bench/kit.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/base/atomic.h"

/* ---- threads */

struct runner {
	body_fn *body;
	void *shared;
	uint32_t index;
	pthread_barrier_t *barrier;
};

static void *runner_main(void *arg)
{
	struct runner *runner = arg;

	pthread_barrier_wait(runner->barrier);
	runner->body(runner->shared, runner->index);
	return NULL;
}

double threads_run(uint32_t threads, body_fn *body, void *shared, double seconds,
		   kolk__atomic_bool *stop)
{
	pthread_t *ids = calloc(threads, sizeof *ids);
	struct runner *runners = calloc(threads, sizeof *runners);
	pthread_barrier_t barrier;
	uint64_t begin;

	pthread_barrier_init(&barrier, NULL, threads + 1);
	if (stop != NULL)
		kolk__store_relaxed(stop, false);
	for (uint32_t i = 0; i < threads; i++) {
		runners[i] = (struct runner){ body, shared, i, &barrier };
		if (pthread_create(&ids[i], NULL, runner_main, &runners[i]) != 0)
			die("cannot start thread %u", i);
	}
	pthread_barrier_wait(&barrier);
	begin = clock_now();
	if (stop != NULL) {
		struct timespec nap = { (time_t)seconds,
					(long)((seconds - (double)(time_t)seconds) * 1e9) };

		nanosleep(&nap, NULL);
		kolk__store_relaxed(stop, true);
	}
	for (uint32_t i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	pthread_barrier_destroy(&barrier);
	free(ids);
	free(runners);
	return (double)(clock_now() - begin);
}

/* ---- the fixture */

static enum kolk_err fixture_create(void *user, void **resource)
{
	*resource = user;
	return KOLK_OK;
}

const struct kolk_resource_driver fixture_resource = { .size = sizeof fixture_resource,
						       .name = "bench", .create = fixture_create };

void fixture_open(struct fixture *fixture, uint32_t connections, uint64_t overtake_ns,
		  const struct kolk_sys *sys, uint32_t engine_max)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);
	enum kolk_err err;

	engine.loops = 1;
	engine.sys = sys;
	engine.connections_max = engine_max > connections ? engine_max : connections;
	engine.keys_max = KOLK_UNLIMITED;
	pool.name = "bench";
	pool.resource = &fixture_resource;
	pool.connections_max = connections;
	pool.idle_min = connections;
	pool.waiters_max = 1000000;
	pool.dials_max = 64;
	pool.overtake_max_ns = overtake_ns == KOLK_FOREVER ? 0 :
			       overtake_ns == 0		   ? KOLK_AT_ONCE : overtake_ns;
	err = kolk_engine_create(&engine, &fixture->engine);
	if (err == KOLK_OK)
		err = kolk_pool_add(fixture->engine, &pool, &fixture->pool);
	if (err == KOLK_OK)
		err = kolk_pool_warm(fixture->pool, kolk_in_ms(20000));
	if (err != KOLK_OK)
		die("cannot open the pool: %s", kolk_err_text(err));
	fixture->key = kolk_pool_key(fixture->pool);
}

void fixture_close(struct fixture *fixture)
{
	if (kolk_engine_destroy(fixture->engine) != KOLK_OK)
		die("cannot close the engine");
}

/* ---- output */

FILE *json_open(const struct args *args)
{
	FILE *file;

	if (args->json == NULL)
		return NULL;
	if (strcmp(args->json, "-") == 0)
		return stdout;
	file = fopen(args->json, "a");
	if (file == NULL)
		die("cannot write %s: %s", args->json, strerror(errno));
	return file;
}

void json_close(FILE *file)
{
	if (file != NULL && file != stdout)
		fclose(file);
	else if (file == stdout)
		fflush(file);
}

void json_hist(FILE *file, const char *name, const struct hist *hist, uint64_t minus)
{
	uint64_t at[4] = { hist_at(hist, 0.5), hist_at(hist, 0.99), hist_at(hist, 0.999),
			   hist->max };

	for (int i = 0; i < 4; i++)
		at[i] = at[i] > minus ? at[i] - minus : 0;
	fprintf(file, "\"%s\":{\"p50\":%llu,\"p99\":%llu,\"p999\":%llu,\"max\":%llu}", name,
		(unsigned long long)at[0], (unsigned long long)at[1], (unsigned long long)at[2],
		(unsigned long long)at[3]);
}

void progress(const char *format, ...)
{
	va_list args;

	if (!isatty(STDERR_FILENO))
		return;
	va_start(args, format);
	fprintf(stderr, "\r\033[K");
	vfprintf(stderr, format, args);
	va_end(args);
}

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "kolk-bench: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	exit(2);
}

/* ---- counters of this thread */

static _Thread_local uint64_t allocated;

uint64_t allocations(void)
{
	return allocated;
}

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *memory, size_t size);
int posix_memalign(void **memory, size_t alignment, size_t size);

__attribute__((visibility("default"))) void *malloc(size_t size)
{
	allocated++;
	return __libc_malloc(size);
}

__attribute__((visibility("default"))) void *calloc(size_t count, size_t size)
{
	allocated++;
	return __libc_calloc(count, size);
}

__attribute__((visibility("default"))) void *realloc(void *memory, size_t size)
{
	allocated++;
	return __libc_realloc(memory, size);
}

__attribute__((visibility("default"))) int posix_memalign(void **memory, size_t alignment, size_t size)
{
	allocated++;
	*memory = __libc_memalign(alignment, size);
	return *memory != NULL ? 0 : ENOMEM;
}

/* ---- system calls: a filter of this thread turns each into a signal that counts */

static volatile sig_atomic_t syscalls_seen;

static void syscall_seen(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	(void)context;
	syscalls_seen++;
}

bool syscalls_watch(void)
{
	/* What a thread needs to come back from the handler and to end is let through. */
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof filter / sizeof filter[0], filter };
	struct sigaction action = { .sa_sigaction = syscall_seen, .sa_flags = SA_SIGINFO };

	syscalls_seen = 0;
	return sigaction(SIGSYS, &action, NULL) == 0 &&
	       prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

uint64_t syscalls(void)
{
	return (uint64_t)syscalls_seen;
}

/* ---- system calls that must work: another thread counts each and lets it go on */

struct counting {
	void (*body)(void *user);
	void *user;
	kolk__atomic_int listener; /* W: the thread that is counted. -2 = not yet, -1 = cannot be had */
};

static void *counted_main(void *arg)
{
	struct counting *counting = arg;
	struct sock_filter all[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF) };
	struct sock_fprog program = { 1, all };
	int fd = -1;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
				  SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	kolk__store_release(&counting->listener, fd);
	if (fd < 0)
		return NULL;
	counting->body(counting->user);
	return NULL;
}

uint64_t syscalls_of(void (*body)(void *user), void *user)
{
	struct counting counting = {
		.body = body, .user = user, .listener = KOLK__ATOMIC_INIT(-2) };
	struct seccomp_notif notice;
	struct seccomp_notif_resp go_on = { 0 };
	uint64_t count = 0;
	pthread_t thread;
	int fd;

	if (pthread_create(&thread, NULL, counted_main, &counting) != 0)
		return 0;
	while ((fd = kolk__load_acquire(&counting.listener)) == -2)
		sched_yield();
	while (fd >= 0) {
		struct pollfd waiting = { .fd = fd, .events = POLLIN };

		if (poll(&waiting, 1, -1) <= 0)
			continue;
		if (!(waiting.revents & POLLIN))
			break; /* it and the threads that it started have ended */
		memset(&notice, 0, sizeof notice);
		if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &notice) != 0)
			continue; /* the call was interrupted meanwhile */
		count++;
		go_on.id = notice.id;
		go_on.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		(void)ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &go_on); /* it may be gone */
	}
	pthread_join(thread, NULL);
	if (fd >= 0)
		close(fd);
	return count;
}
