/* SPDX-License-Identifier: Apache-2.0 */
/* hosted.c - engines whose loops this kit runs. See host.h. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/atomic.h"
#include "tests/kit/host.h"

enum { LOOPS_MAX = 64 };

struct hosted {
	struct hosted *next;
	struct kolk_engine *engine;
	uint32_t count;
	kolk__atomic_u32 ready, stop;
	struct host_thread {
		struct hosted *hosted;
		struct kolk_loop *loop;
		pthread_t thread;
	} threads[LOOPS_MAX];
};

bool kit_hosted;
enum kolk_backend kit_backend = KOLK_BACKEND_AUTO;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct hosted *all;

enum kolk_err __real_kolk_engine_create(const struct kolk_engine_options *options,
					struct kolk_engine **engine);
enum kolk_err __real_kolk_engine_destroy(struct kolk_engine *engine);
enum kolk_err __wrap_kolk_engine_create(const struct kolk_engine_options *options,
					struct kolk_engine **engine);
enum kolk_err __wrap_kolk_engine_destroy(struct kolk_engine *engine);

static void *run(void *arg)
{
	struct host_thread *host = arg;

	(void)kolk_loop_step(host->loop, 0); /* the loop is this thread's now */
	kolk__add_acq_rel(&host->hosted->ready, 1);
	while (!kolk__load_acquire(&host->hosted->stop))
		(void)kit_host_step(host->loop, 60000);
	return NULL;
}

static void host(struct kolk_engine *engine)
{
	struct hosted *hosted = calloc(1, sizeof *hosted);

	if (hosted == NULL)
		abort();
	hosted->engine = engine;
	for (uint32_t i = 0; i < LOOPS_MAX; i++) {
		struct host_thread *thread = &hosted->threads[i];

		thread->loop = kolk_engine_loop(engine, i);
		thread->hosted = hosted;
		if (thread->loop == NULL)
			break;
		hosted->count++;
		if (pthread_create(&thread->thread, NULL, run, thread) != 0)
			abort();
	}
	while (kolk__load_acquire(&hosted->ready) < hosted->count)
		sched_yield();
	pthread_mutex_lock(&lock);
	hosted->next = all;
	all = hosted;
	pthread_mutex_unlock(&lock);
}

enum kolk_err __wrap_kolk_engine_create(const struct kolk_engine_options *options,
					struct kolk_engine **engine)
{
	struct kolk_engine_options o = *options;
	bool hosted = kit_hosted && o.loop_owner == KOLK_LOOPS_ENGINE;
	enum kolk_err err;

	if (o.backend == KOLK_BACKEND_AUTO)
		o.backend = kit_backend;
	if (hosted)
		o.loop_owner = KOLK_LOOPS_EMBEDDER;
	err = __real_kolk_engine_create(&o, engine);
	if (err == KOLK_OK && hosted)
		host(*engine);
	return err;
}

static struct hosted *hosted_acquire(struct kolk_engine *engine)
{
	struct hosted **link = &all, *hosted;

	pthread_mutex_lock(&lock);
	while (*link != NULL && (*link)->engine != engine)
		link = &(*link)->next;
	hosted = *link;
	if (hosted != NULL)
		*link = hosted->next;
	pthread_mutex_unlock(&lock);
	return hosted;
}

static void nothing(struct kolk_call *call, void *user)
{
	(void)call;
	(void)user;
}

/* Its loops run until it is closed; then their threads end. */
static void unhost(struct hosted *hosted)
{
	struct kolk_call call[LOOPS_MAX];

	(void)kolk_engine_drain(hosted->engine, 0);
	if (kolk_engine_wait_closed(hosted->engine, kolk_in_ms(10000)) != KOLK_OK)
		fprintf(stderr, "# an engine does not close in its host's poll set\n");
	kolk__store_release(&hosted->stop, 1);
	for (uint32_t i = 0; i < hosted->count; i++)
		(void)kolk_loop_call(hosted->threads[i].loop, &call[i], nothing, NULL);
	for (uint32_t i = 0; i < hosted->count; i++)
		pthread_join(hosted->threads[i].thread, NULL);
	free(hosted);
}

enum kolk_err __wrap_kolk_engine_destroy(struct kolk_engine *engine)
{
	struct hosted *hosted = kolk_loop_current() == NULL ? hosted_acquire(engine) : NULL;

	if (hosted != NULL)
		unhost(hosted);
	return __real_kolk_engine_destroy(engine);
}
