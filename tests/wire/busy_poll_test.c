/* SPDX-License-Identifier: Apache-2.0 */
/* busy_poll_test.c - busy polling: a step that may look for events does not sleep while it does,
 * and ends when something comes, when another thread wakes it, and at its time-out. */
#define _GNU_SOURCE
#include <kolk/sys/sys.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "tests/wire/wire.h"

enum { LONG_MS = 60000 }; /* longer than a test may take */

static void ring_open(struct kolk_ring **ring)
{
	const struct kolk_sys *sys = kolk_sys_linux();
	const char *name, *why;

	MUST(sys->ring_open(sys->context, wire_backend, ring, &name, &why) == KOLK_OK);
	CHECK(sys->ring_step(*ring, 0, 0) >= 0); /* what the first step prepares is not measured */
}

/* How often this thread has slept. */
static long sleeps(void)
{
	struct rusage usage;

	(void)CHECK(getrusage(RUSAGE_THREAD, &usage) == 0);
	return usage.ru_nvcsw;
}

/* Other load on the machine makes a thread sleep where it seldom does: for memory, for a lock of the
 * kernel. ThreadSanitizer's runtime has locks of its own: there, sleeps tell nothing. */
#ifdef __SANITIZE_THREAD__
#define SLEEPS_TELL false
#else
#define SLEEPS_TELL true
#endif

/* A step that nothing ends before its time-out. Return whether the thread slept. */
static bool sleeps_in_step(uint64_t timeout_ns, uint64_t busy_ns)
{
	const struct kolk_sys *sys = kolk_sys_linux();
	struct kolk_ring *ring;
	uint64_t from_ns;
	long before;
	bool slept;

	ring_open(&ring);
	from_ns = sys->now_ns(sys->context);
	before = sleeps();
	CHECK(sys->ring_step(ring, timeout_ns, busy_ns) == 0);
	slept = sleeps() > before;
	CHECK(sys->now_ns(sys->context) - from_ns >= timeout_ns);
	sys->ring_close(ring);
	return slept;
}

static bool looks(void)
{
	return !sleeps_in_step(5 * KOLK_MS_NS, KOLK_S_NS) || !SLEEPS_TELL;
}

static void looks_until_its_time_out(void)
{
	CHECK(wire_holds_in_three(looks));
}

static void sleeps_when_it_has_looked(void)
{
	CHECK(sleeps_in_step(20 * KOLK_MS_NS, KOLK_MS_NS));
}

/* ---- another thread */

static kolk__atomic_u32 go;

static void *wake_later(void *user)
{
	while (!kolk__load_acquire(&go))
		;
	tap_nap();
	kolk_sys_linux()->ring_wake(user);
	return NULL;
}

static void *write_later(void *user)
{
	while (!kolk__load_acquire(&go))
		;
	tap_nap();
	return write(*(int *)user, "x", 1) == 1 ? user : NULL;
}

static bool is_woken(void)
{
	const struct kolk_sys *sys = kolk_sys_linux();
	struct kolk_ring *ring;
	uint64_t from_ms = tap_now_ms();
	pthread_t other;
	bool awake;
	long before;

	ring_open(&ring);
	kolk__store_release(&go, 0);
	if (!CHECK(pthread_create(&other, NULL, wake_later, ring) == 0))
		return false;
	before = sleeps();
	kolk__store_release(&go, 1);
	CHECK(sys->ring_step(ring, KOLK_FOREVER, LONG_MS * KOLK_MS_NS) == 0);
	awake = sleeps() == before || !SLEEPS_TELL;
	CHECK(tap_now_ms() - from_ms < LONG_MS / 2);
	pthread_join(other, NULL);
	sys->ring_close(ring);
	return awake;
}

static void is_woken_by_another_thread(void)
{
	CHECK(wire_holds_in_three(is_woken));
}

static void received(struct kolk_op *op)
{
	*(bool *)op->owner = true;
}

static bool takes(void)
{
	const struct kolk_sys *sys = kolk_sys_linux();
	struct kolk_ring *ring;
	bool came = false;
	char byte;
	int ends[2];
	struct kolk_op op = { .kind = KOLK_OP_RECV, .data = &byte, .size = 1, .done = received,
			      .owner = &came };
	pthread_t other;
	bool awake;
	long before;

	ring_open(&ring);
	if (!CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0))
		return false;
	op.fd = ends[0];
	kolk__store_release(&go, 0);
	if (!CHECK(pthread_create(&other, NULL, write_later, &ends[1]) == 0))
		return false;
	sys->ring_submit(ring, &op);
	before = sleeps();
	kolk__store_release(&go, 1);
	while (!came)
		CHECK(sys->ring_step(ring, KOLK_FOREVER, LONG_MS * KOLK_MS_NS) >= 0);
	awake = sleeps() == before || !SLEEPS_TELL;
	CHECK(op.result == 1 && byte == 'x');
	pthread_join(other, NULL);
	sys->ring_close(ring);
	close(ends[0]);
	close(ends[1]);
	return awake;
}

static void takes_what_comes(void)
{
	CHECK(wire_holds_in_three(takes));
}

static const struct tap_test tests[] = {
	{ "looks for events until its time-out", looks_until_its_time_out },
	{ "sleeps when it has looked", sleeps_when_it_has_looked },
	{ "is woken by another thread while it looks", is_woken_by_another_thread },
	{ "takes what comes while it looks", takes_what_comes },
};
TAP_TESTS(busy_poll, tests);
