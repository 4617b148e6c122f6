/* SPDX-License-Identifier: Apache-2.0 */
/* destroy_test.c - the end of an engine that is in use: it says so, and takes nothing away. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <kolk/sys/sys.h>

#include "core/base/atomic.h"
#include "tests/wire/wire.h"

/* A clock that runs 40 times as fast: 10 s are a quarter of one. */
enum { FAST = 40 };

static uint64_t slowed(uint64_t ns)
{
	return ns == KOLK_FOREVER ? ns : ns / FAST;
}

static uint64_t fast_now(void *context)
{
	return kolk_sys_linux()->now_ns(context) * FAST;
}

static bool fast_wait(void *context, uint32_t *word, uint32_t expected, uint64_t deadline_ns)
{
	return kolk_sys_linux()->wait(context, word, expected, slowed(deadline_ns));
}

static int fast_step(struct kolk_ring *ring, uint64_t timeout_ns, uint64_t busy_ns)
{
	return kolk_sys_linux()->ring_step(ring, slowed(timeout_ns), slowed(busy_ns));
}

static struct kolk_engine *fast_engine(bool embedder)
{
	static struct kolk_sys sys; /* of all: an engine that a failed test leaves goes on with it */
	struct kolk_engine_options o = KOLK_INIT(kolk_engine_options);
	struct kolk_engine *engine;

	if (sys.now_ns == NULL) {
		sys = *kolk_sys_linux();
		sys.now_ns = fast_now;
		sys.wait = fast_wait;
		sys.ring_step = fast_step;
	}
	o.loops = 1;
	o.loop_owner = embedder ? KOLK_LOOPS_EMBEDDER : KOLK_LOOPS_ENGINE;
	o.backend = wire_backend;
	o.sys = &sys;
	return CHECK_ERR(kolk_engine_create(&o, &engine), KOLK_OK) ? engine : NULL;
}

static kolk__atomic_u32 made, destroyed;
static sem_t making, resume;

static enum kolk_err slow_create(void *user, void **resource)
{
	sem_post(&making);
	while (sem_wait(&resume) != 0)
		;
	(void)user;
	*resource = &made;
	kolk__add_relaxed(&made, 1);
	return KOLK_OK;
}

static void thing_destroy(void *user, void *resource)
{
	(void)user;
	(void)resource;
	kolk__add_relaxed(&destroyed, 1);
}

static const struct kolk_resource_driver slow_driver = { .size = sizeof slow_driver,
							 .name = "slow",
							 .create = slow_create,
							 .destroy = thing_destroy };

static struct kolk_pool *things_of(struct kolk_engine *engine)
{
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct kolk_pool *pool;

	kolk__store_relaxed(&made, 0);
	kolk__store_relaxed(&destroyed, 0);
	o.name = "things";
	o.resource = &slow_driver;
	o.connections_max = 1;
	o.idle_min = KOLK_NONE;
	o.idle_timeout_ns = FAST * 60 * 1000 * KOLK_MS_NS; /* a minute: this thread may be stopped */
	return CHECK_ERR(kolk_pool_add(engine, &o, &pool), KOLK_OK) ? pool : NULL;
}

static enum kolk_err acquire_lease(struct kolk_engine *engine, struct kolk_pool *pool,
				   bool embedder, struct kolk_lease *lease)
{
	enum kolk_err err = KOLK_E_EMPTY;

	sem_post(&resume);
	for (uint64_t end = tap_now_ms() + 5000; err == KOLK_E_EMPTY && tap_now_ms() < end;) {
		err = kolk_try_acquire(kolk_pool_key(pool), lease);
		if (embedder)
			(void)kolk_loop_step(kolk_engine_loop(engine, 0), KOLK_MS_NS);
		else
			tap_nap();
	}
	return err;
}

/* Its holder keeps it, gives it back, and then the engine goes. */
static void leased(bool embedder)
{
	struct kolk_engine *engine = fast_engine(embedder);
	struct kolk_pool *pool = engine != NULL ? things_of(engine) : NULL;
	struct kolk_lease lease, other;

	MUST(pool != NULL);
	MUST(CHECK_ERR(acquire_lease(engine, pool, embedder, &lease), KOLK_OK));
	for (int i = 0; i < 2; i++) {
		CHECK_ERR(kolk_engine_destroy(engine), KOLK_E_TIMEOUT);
		CHECK(kolk_lease_resource(&lease) != NULL && kolk__own(&destroyed) == 0);
	}
	CHECK_ERR(kolk_try_acquire(kolk_pool_key(pool), &other), KOLK_E_DRAINING);
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	CHECK(WITHIN_MS(10000, kolk_engine_destroy(engine) == KOLK_OK));
	CHECK(kolk__own(&made) == 1 && kolk__own(&destroyed) == 1);
}

/* A callback that does not return: the wait for it is bounded, and it is not forgotten. */
static void being_made(bool embedder)
{
	struct kolk_engine *engine = fast_engine(embedder);
	struct kolk_pool *pool = engine != NULL ? things_of(engine) : NULL;
	struct kolk_lease lease;

	MUST(pool != NULL);
	CHECK_ERR(kolk_try_acquire(kolk_pool_key(pool), &lease), KOLK_E_EMPTY);
	if (embedder)
		(void)kolk_loop_step(kolk_engine_loop(engine, 0), 0);
	while (sem_wait(&making) != 0)
		;
	CHECK_ERR(kolk_engine_destroy(engine), KOLK_E_TIMEOUT);
	sem_post(&resume);
	CHECK(WITHIN_MS(10000, kolk_engine_destroy(engine) == KOLK_OK));
	CHECK(kolk__own(&made) == 1 && kolk__own(&destroyed) == 1);
}

static void in_use_is_refused(void)
{
	for (int embedder = 0; embedder < 2; embedder++) {
		sem_init(&making, 0, 0);
		sem_init(&resume, 0, 0);
		leased(embedder);
		sem_init(&making, 0, 0);
		being_made(embedder);
	}
}

/* A loop of a thread that has ended: its connections end with its ring, and at once. */
static void *run_loop(void *loop)
{
	(void)kolk_loop_run(loop);
	return NULL;
}

static void a_loop_whose_thread_ended(void)
{
	struct kolk_engine_options o = KOLK_INIT(kolk_engine_options);
	struct wire w = { 0 };
	struct kolk_lease lease;
	pthread_t thread;
	uint64_t began_ms;

	o.loop_owner = KOLK_LOOPS_EMBEDDER;
	o.loops = 1;
	MUST(wire_engine(&w, &o) && wire_origin(&w, NULL) && wire_pool(&w, NULL));
	MUST(pthread_create(&thread, NULL, run_loop, kolk_engine_loop(w.engine, 0)) == 0);
	CHECK_ERR(kolk_acquire(w.key, 0, &lease), KOLK_OK);
	CHECK_ERR(kolk_release(&lease), KOLK_OK);
	kolk_loop_stop(kolk_engine_loop(w.engine, 0));
	pthread_join(thread, NULL);
	began_ms = tap_now_ms();
	CHECK_ERR(kolk_engine_destroy(w.engine), KOLK_OK);
	CHECK(tap_now_ms() - began_ms < 5000); /* not until its 10 s are over */
	w.engine = NULL;
	wire_close(&w);
}

/* Until its time-out has passed nothing comes. */
static bool is_interrupted(int fd)
{
	char byte;

	return recv(fd, &byte, 1, 0) < 0 && errno == EINTR;
}

static void *use_engines(void *user)
{
	const struct timeval timeout = { .tv_usec = 100000 };
	struct kolk_engine_options o = KOLK_INIT(kolk_engine_options);
	struct kolk_engine *engine;
	int pair[2];

	o.loops = 1;
	o.backend = wire_backend;
	if (!CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0))
		return user;
	CHECK(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) == 0);
	for (int i = 0; i < 3; i++) {
		if (!CHECK_ERR(kolk_engine_create(&o, &engine), KOLK_OK))
			break;
		CHECK(!is_interrupted(pair[0]));
		CHECK_ERR(kolk_engine_destroy(engine), KOLK_OK);
		CHECK(!is_interrupted(pair[0]));
	}
	close(pair[0]);
	close(pair[1]);
	return user;
}

/* As a ring's end interrupts each thread that has created or entered it. A thread that had to do
 * with no ring before. */
static void an_engine_interrupts_no_caller(void)
{
	pthread_t thread;

	MUST(pthread_create(&thread, NULL, use_engines, NULL) == 0);
	pthread_join(thread, NULL);
}

static const struct tap_test tests[] = {
	{ "who creates and destroys an engine is not interrupted", an_engine_interrupts_no_caller },
	{ "an engine in use is not destroyed, and says so", in_use_is_refused },
	{ "a loop whose thread ended is closed at once", a_loop_whose_thread_ended },
};
TAP_TESTS(destroy, tests);
