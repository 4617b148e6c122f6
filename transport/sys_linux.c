/* SPDX-License-Identifier: Apache-2.0 */
/* sys_linux.c - the table of functions that the engine needs, for Linux. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "transport/linux.h"

enum { PAGE = 4096 };

static uint64_t now_ns(void *context)
{
	struct timespec now;

	(void)context;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * KOLK_S_NS + (uint64_t)now.tv_nsec;
}

static void random_bytes(void *context, void *bytes, size_t size)
{
	uint8_t *at = bytes;

	(void)context;
	while (size > 0) {
		ssize_t got = getrandom(at, size, 0);

		if (got < 0 && errno != EINTR)
			return; /* no kernel that we run on does this */
		if (got > 0) {
			at += got;
			size -= (size_t)got;
		}
	}
}

/* Memory for large tables comes from calloc, which takes it from the kernel and leaves it as it is:
 * it is zeroed page by page when it is used, not at once under a lock. The address that calloc
 * returned stands before it. */
enum { LARGE = 64 * 1024 };

static void *allocate_large(size_t alignment, size_t size)
{
	size_t room = alignment > sizeof(void *) ? alignment : sizeof(void *);
	char *base = size < SIZE_MAX - 2 * room ? calloc(1, size + 2 * room) : NULL;
	char *memory = base;

	if (base == NULL)
		return NULL;
	memory += room + (room - (uintptr_t)base % room) % room;
	memcpy(memory - sizeof base, &base, sizeof base);
	return memory;
}

static void *allocate(void *context, size_t alignment, size_t size)
{
	void *memory = NULL;

	(void)context;
	if (size >= LARGE)
		return allocate_large(alignment, size);
	if (posix_memalign(&memory, alignment < sizeof(void *) ? sizeof(void *) : alignment,
			   size) != 0)
		return NULL;
	return memset(memory, 0, size);
}

static void deallocate(void *context, void *memory, size_t size)
{
	(void)context;
	if (memory != NULL && size >= LARGE)
		memcpy(&memory, (char *)memory - sizeof memory, sizeof memory);
	free(memory);
}

static void *page_open(void *context)
{
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)context;
	if (page == MAP_FAILED)
		return NULL;
	if (madvise(page, PAGE, MADV_WIPEONFORK) == 0) /* Linux 4.14 */
		return page;
	munmap(page, PAGE);
	return NULL;
}

static void page_close(void *context, void *page)
{
	(void)context;
	munmap(page, PAGE);
}

/* futex(2) with an absolute CLOCK_MONOTONIC deadline: FUTEX_WAIT_BITSET. */
static bool wait_word(void *context, uint32_t *word, uint32_t expected, uint64_t deadline_ns)
{
	struct timespec deadline = { .tv_sec = (time_t)(deadline_ns / KOLK_S_NS),
				     .tv_nsec = (long)(deadline_ns % KOLK_S_NS) };
	long result = syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected,
			      deadline_ns == KOLK_FOREVER ? NULL : &deadline, NULL,
			      FUTEX_BITSET_MATCH_ANY);

	(void)context;
	return result == 0 || errno != ETIMEDOUT;
}

static void wake_word(void *context, uint32_t *word, uint32_t count)
{
	int saved = errno; /* may run in a signal handler */

	(void)context;
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count > INT32_MAX ? INT32_MAX : (int)count);
	errno = saved;
}

struct thread {
	pthread_t id;
	void (*run)(void *arg);
	void *arg;
};

static void *thread_main(void *arg)
{
	struct thread *thread = arg;

	thread->run(thread->arg);
	return NULL;
}

/* All signals are blocked: they are for the embedder's threads. */
static enum kolk_err thread_start(void *context, const char *name, void (*run)(void *arg),
				  void *arg, void **out)
{
	struct thread *thread = calloc(1, sizeof *thread);
	sigset_t all, before;
	int failed;

	(void)context;
	if (thread == NULL)
		return KOLK_E_MEMORY;
	thread->run = run;
	thread->arg = arg;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&thread->id, NULL, thread_main, thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed) {
		free(thread);
		return KOLK_E_MEMORY;
	}
	pthread_setname_np(thread->id, name);
	*out = thread;
	return KOLK_OK;
}

static void thread_join(void *context, void *opaque)
{
	struct thread *thread = opaque;

	(void)context;
	pthread_join(thread->id, NULL);
	free(thread);
}

static uint32_t cpu_count(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set) != 0)
		return 1;
	return (uint32_t)CPU_COUNT(&set);
}

static struct kolk_sys linux_sys = {
	.size = sizeof(struct kolk_sys),
	.now_ns = now_ns,
	.random_bytes = random_bytes,
	.allocate = allocate,
	.deallocate = deallocate,
	.page_open = page_open,
	.page_close = page_close,
	.wait = wait_word,
	.wake = wake_word,
	.thread_start = thread_start,
	.thread_join = thread_join,
	.ring_open = kolk__linux_ring_open,
	.ring_close = kolk__linux_ring_close,
	.ring_submit = kolk__linux_ring_submit,
	.ring_cancel = kolk__linux_ring_cancel,
	.ring_step = kolk__linux_ring_step,
	.ring_wake = kolk__linux_ring_wake,
	.ring_flush = kolk__linux_ring_flush,
	.ring_fd = kolk__linux_ring_fd,
	.ring_pending = kolk__linux_ring_pending,
	.sock_open = kolk__linux_sock_open,
	.sock_send = kolk__linux_sock_send,
	.sock_recv = kolk__linux_sock_recv,
	.sock_peek = kolk__linux_sock_peek,
	.sock_wait = kolk__linux_sock_wait,
	.sock_info = kolk__linux_sock_info,
	.sock_acknowledge = kolk__linux_sock_acknowledge,
	.sock_shutdown = kolk__linux_sock_shutdown,
	.sock_close = kolk__linux_sock_close,
	.sock_listen = kolk__linux_sock_listen,
	.sock_unlink = kolk__linux_sock_unlink,
	.sock_unlisten = kolk__linux_sock_unlisten,
	.sock_share = kolk__linux_sock_share,
	.sock_name = kolk__linux_sock_name,
	.sock_credentials = kolk__linux_sock_credentials,
	.sock_unsent = kolk__linux_sock_unsent,
	.sock_end = kolk__linux_sock_end,
	.sock_reset = kolk__linux_sock_reset,
	.child_spawn = kolk__linux_child_spawn,
	.child_kill = kolk__linux_child_kill,
	.child_reap = kolk__linux_child_reap,
	.child_input_end = kolk__linux_child_input_end,
	.child_read = kolk__linux_child_read,
};

static void count_cpus(void)
{
	linux_sys.cpu_count = cpu_count();
}

const struct kolk_sys *kolk_sys_linux(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, count_cpus);
	return &linux_sys;
}

uint64_t kolk_in_ns(uint64_t ns)
{
	uint64_t now = now_ns(NULL);

	return ns < KOLK_FOREVER - now ? now + ns : KOLK_FOREVER;
}

uint64_t kolk_in_us(uint64_t us)
{
	return kolk_in_ns(us < KOLK_FOREVER / KOLK_US_NS ? us * KOLK_US_NS : KOLK_FOREVER);
}

uint64_t kolk_in_ms(uint64_t ms)
{
	return kolk_in_ns(ms < KOLK_FOREVER / KOLK_MS_NS ? ms * KOLK_MS_NS : KOLK_FOREVER);
}
