/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loops.c - a loop per core: each thread runs its own loop and the callers that live on it.
 *
 * A caller is a little state machine: acquire, send, receive until the line is there,
 * release, again. A hit is served inline; everything else comes back as a callback on the
 * same thread.
 */
#include <kolk/kolk.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "upstream/upstream.h"

enum { LOOPS_MAX = 64, CALLERS = 16, REQUESTS = 500 };

static const char question[] = "hello\n";

struct caller {
	struct kolk_acquire acquire;
	struct kolk_io io;
	struct kolk_lease lease;
	struct worker *worker;
	char answer[sizeof question];
	size_t size;
	int left;
};

struct worker {
	struct kolk_loop *loop;
	struct kolk_key *key;
	struct caller caller[CALLERS];
	struct kolk_call start;
	int busy, failed; /* callers; this thread's alone until `over` */
	pthread_t thread;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_done = PTHREAD_COND_INITIALIZER;
static uint32_t working;

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease);

static void caller_finished(struct caller *caller, enum kolk_err err)
{
	struct worker *worker = caller->worker;

	if (err != KOLK_OK) {
		fprintf(stderr, "%s\n", kolk_err_text(err));
		worker->failed++;
	}
	if (--worker->busy > 0)
		return;
	pthread_mutex_lock(&lock);
	if (--working == 0)
		pthread_cond_signal(&all_done);
	pthread_mutex_unlock(&lock);
}

static void caller_next(struct caller *caller)
{
	enum kolk_err err;

	if (caller->left-- == 0) {
		caller_finished(caller, KOLK_OK);
		return;
	}
	err = kolk_acquire_async(caller->worker->loop, caller->worker->key, kolk_in_ms(2000),
				 &caller->acquire, on_lease, caller);
	if (err == KOLK_OK) /* a hit: the callback will not run */
		on_lease(caller, KOLK_OK, &caller->acquire.lease);
	else if (err != KOLK_PENDING)
		caller_finished(caller, err);
}

static void on_received(void *user, enum kolk_err err, size_t size)
{
	struct caller *caller = user;

	caller->size += size;
	if (err == KOLK_OK && caller->size < strlen(question))
		err = kolk_recv_async(caller->worker->loop, &caller->lease, &caller->io,
				      caller->answer + caller->size,
				      sizeof caller->answer - caller->size, kolk_in_ms(2000),
				      on_received, caller);
	if (err == KOLK_PENDING)
		return;
	kolk_release(&caller->lease); /* after an error it is closed */
	if (err == KOLK_OK)
		caller_next(caller);
	else
		caller_finished(caller, err);
}

static void on_sent(void *user, enum kolk_err err, size_t size)
{
	struct caller *caller = user;

	(void)size;
	caller->size = 0;
	on_received(caller, err, 0);
}

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct caller *caller = user;

	if (err != KOLK_OK) {
		caller_finished(caller, err);
		return;
	}
	caller->lease = *lease;
	err = kolk_send_async(caller->worker->loop, &caller->lease, &caller->io, question,
			      strlen(question), kolk_in_ms(2000), on_sent, caller);
	if (err != KOLK_PENDING)
		on_sent(caller, err, 0);
}

static void start(struct kolk_call *call, void *user)
{
	struct worker *worker = user;

	(void)call;
	for (int i = 0; i < CALLERS; i++)
		caller_next(&worker->caller[i]);
}

static void *run(void *arg)
{
	struct worker *worker = arg;

	kolk_loop_run(worker->loop);
	return NULL;
}

static void worker_open(struct worker *worker, struct kolk_loop *loop, struct kolk_key *key)
{
	*worker = (struct worker){ .loop = loop, .key = key, .busy = CALLERS };
	for (int i = 0; i < CALLERS; i++) {
		worker->caller[i].worker = worker;
		worker->caller[i].left = REQUESTS;
	}
	kolk_loop_call(loop, &worker->start, start, worker);
	pthread_create(&worker->thread, NULL, run, worker);
}

int main(int argc, char **argv)
{
	struct kolk_engine_options engine_options = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options pool_options = KOLK_INIT(kolk_pool_options);
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	static struct worker worker[LOOPS_MAX];
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	uint32_t loops;
	int failed = 0;

	engine_options.loop_owner = KOLK_LOOPS_EMBEDDER; /* as many loops as CPUs */
	pool_options.name = "echo";
	pool_options.address = upstream_address(argc, argv);
	if (kolk_engine_create(&engine_options, &engine) != KOLK_OK ||
	    kolk_pool_add(engine, &pool_options, &pool) != KOLK_OK)
		return 1;

	loops = kolk_engine_loop_count(engine);
	if (loops > LOOPS_MAX)
		return 1;
	working = loops;
	for (uint32_t i = 0; i < loops; i++)
		worker_open(&worker[i], kolk_engine_loop(engine, i), kolk_pool_key(pool));
	pthread_mutex_lock(&lock);
	while (working > 0)
		pthread_cond_wait(&all_done, &lock);
	pthread_mutex_unlock(&lock);
	kolk_pool_stats(pool, &stats);

	/* The loops must run until everything is closed; then they may stop. */
	kolk_engine_drain(engine, kolk_in_ms(1000));
	if (kolk_engine_wait_closed(engine, kolk_in_ms(2000)) != KOLK_OK)
		return 1;
	for (uint32_t i = 0; i < loops; i++) {
		kolk_loop_stop(worker[i].loop);
		pthread_join(worker[i].thread, NULL);
		failed += worker[i].failed;
	}
	printf("%u loops, %u requests, %llu connections opened, %s\n", loops,
	       loops * CALLERS * REQUESTS, (unsigned long long)stats.created,
	       kolk_engine_backend(engine));
	kolk_engine_destroy(engine);
	return failed != 0;
}
