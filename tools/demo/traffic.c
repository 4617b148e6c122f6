/* SPDX-License-Identifier: Apache-2.0 */
/*
 * traffic.c - callers as state machines on the engine's loops: acquire, send, receive,
 * release, again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "tools/demo/demo.h"

enum { BUFFER = 64 * 1024, REQUEST = 1024, SLOW_S = 60 };

struct run;

/* Each loop has its own figures: nothing is shared while it runs. */
struct meter {
	kolk__atomic_u64 requests, failed;
	enum kolk_err last_error;
	struct hist request, acquire, release;
};

struct caller {
	struct run *run;
	struct kolk_loop *loop;
	struct meter *meter;
	struct kolk_call call;
	struct kolk_acquire acquire;
	struct kolk_lease lease;
	struct kolk_io io;
	uint64_t began_ns;
	size_t request_size, received;
	char request[REQUEST], buffer[BUFFER];
};

struct run {
	struct kolk_key *key;
	const struct protocol *protocol;
	kolk__atomic_u32 stop; /* W: main. R: callers */
	kolk__atomic_u32 finished; /* W: callers. R: main */
	struct meter *meters;
};

static void again(struct caller *caller);

static void begin(struct kolk_call *call, void *user)
{
	(void)call;
	again(user);
}

/* Not by calling again(): an error at once must not recurse. */
static void failed(struct caller *caller, enum kolk_err err)
{
	kolk__own_add(&caller->meter->failed, 1);
	caller->meter->last_error = err;
	(void)kolk_loop_call(caller->loop, &caller->call, begin, caller);
}

static void finish(struct caller *caller)
{
	uint64_t now = clock_now();

	(void)kolk_release(&caller->lease);
	hist_add(&caller->meter->release, clock_now() - now);
	hist_add(&caller->meter->request, now - caller->began_ns);
	kolk__own_add(&caller->meter->requests, 1);
	again(caller);
}

static void receive(struct caller *caller);

static void on_received(void *user, enum kolk_err err, size_t size)
{
	struct caller *caller = user;
	long whole;

	caller->received += size;
	whole = err == KOLK_OK ? caller->run->protocol->answer(caller->buffer, caller->received,
							       caller->request_size) : -1;
	if (whole == 0 && caller->received < BUFFER) {
		receive(caller);
	} else if (whole > 0 && (size_t)whole == caller->received) {
		finish(caller);
	} else {
		(void)kolk_discard(&caller->lease);
		failed(caller, err != KOLK_OK ? err : KOLK_E_PROTOCOL);
	}
}

static void receive(struct caller *caller)
{
	enum kolk_err err = kolk_recv_async(caller->loop, &caller->lease, &caller->io,
					    caller->buffer + caller->received,
					    BUFFER - caller->received,
					    kolk_in_ms(SLOW_S * 1000), on_received, caller);

	if (err != KOLK_PENDING)
		on_received(caller, err, 0);
}

static void on_sent(void *user, enum kolk_err err, size_t size)
{
	struct caller *caller = user;

	(void)size;
	caller->received = 0;
	if (err == KOLK_OK)
		receive(caller);
	else
		on_received(caller, err, 0);
}

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct caller *caller = user;

	if (err != KOLK_OK) {
		failed(caller, err);
		return;
	}
	hist_add(&caller->meter->acquire, clock_now() - caller->began_ns);
	caller->lease = *lease;
	err = kolk_send_async(caller->loop, &caller->lease, &caller->io, caller->request,
			      caller->request_size, kolk_in_ms(10000), on_sent, caller);
	if (err != KOLK_PENDING)
		on_sent(caller, err, 0);
}

static void again(struct caller *caller)
{
	struct run *run = caller->run;
	enum kolk_err err;

	if (kolk__load_relaxed(&run->stop)) {
		kolk__add_acq_rel(&run->finished, 1);
		return;
	}
	caller->began_ns = clock_now();
	err = kolk_acquire_async(caller->loop, run->key, 0, &caller->acquire, on_lease, caller);
	if (err != KOLK_PENDING)
		on_lease(caller, err, &caller->acquire.lease);
}

/* ---- progress */

static uint64_t requests_of(const struct run *run, uint32_t loops)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < loops; i++)
		sum += kolk__load_relaxed(&run->meters[i].requests);
	return sum;
}

static void nap(uint64_t ns)
{
	struct timespec time = { (time_t)(ns / KOLK_S_NS), (long)(ns % KOLK_S_NS) };

	nanosleep(&time, NULL);
}

/* A progress bar, on a terminal. */
static void progress(const char *what, double part, uint64_t requests, double seconds)
{
	char bar[21];

	if (!isatty(2))
		return;
	memset(bar, '.', 20);
	memset(bar, '#', (size_t)(part * 20 > 20 ? 20 : part * 20));
	bar[20] = 0;
	fprintf(stderr, "\r  %-24s [%s] %4.1f s  %9.0f requests/s ", what, bar, seconds,
		seconds > 0 ? (double)requests / seconds : 0.0);
}

static uint64_t ended(const struct run *run, uint32_t loops)
{
	uint64_t sum = requests_of(run, loops);

	for (uint32_t i = 0; i < loops; i++)
		sum += kolk__load_relaxed(&run->meters[i].failed);
	return sum;
}

/* On a slow machine longer than asked: until as many requests have ended as there are callers. */
static void watch(struct run *run, uint32_t loops, const char *what, const struct options *options)
{
	double gone = 0, seconds = options->seconds;
	uint64_t began = clock_now();

	while (gone < seconds ||
	       (gone < seconds + (double)SLOW_S && ended(run, loops) < options->callers)) {
		nap(50 * KOLK_MS_NS);
		gone = (double)(clock_now() - began) / 1e9;
		progress(what, gone / seconds, requests_of(run, loops), gone);
	}
	if (isatty(2))
		fprintf(stderr, "\r\033[K");
}

void traffic_rest(double seconds)
{
	uint64_t began = clock_now();
	double gone = 0;

	while (gone < seconds) {
		nap(50 * KOLK_MS_NS);
		gone = (double)(clock_now() - began) / 1e9;
		progress("idle: pings, eviction", gone / seconds, 0, gone);
	}
	if (isatty(2))
		fprintf(stderr, "\r\033[K");
}

/* ---- one run */

static void collect(const struct run *run, uint32_t loops, struct outcome *outcome)
{
	for (uint32_t i = 0; i < loops; i++) {
		const struct meter *meter = &run->meters[i];

		outcome->requests += kolk__own(&meter->requests);
		outcome->failed += kolk__own(&meter->failed);
		if (meter->last_error != KOLK_OK)
			outcome->last_error = meter->last_error;
		hist_merge(&outcome->request, &meter->request);
		hist_merge(&outcome->acquire, &meter->acquire);
		hist_merge(&outcome->release, &meter->release);
	}
}

void traffic_run(struct kolk_pool *pool, const struct options *options, const char *what,
		 struct outcome *outcome)
{
	struct kolk_engine *engine = kolk_pool_engine(pool);
	uint32_t loops = kolk_engine_loop_count(engine);
	struct run run = { .key = kolk_pool_key(pool), .protocol = options->protocol };
	struct caller *callers = calloc(options->callers, sizeof *callers);
	uint64_t began;

	run.meters = calloc(loops, sizeof *run.meters);
	if (callers == NULL || run.meters == NULL) {
		fprintf(stderr, "kolk-demo: out of memory\n");
		exit(1);
	}
	began = clock_now();
	for (uint32_t i = 0; i < options->callers; i++) {
		struct caller *caller = &callers[i];

		caller->run = &run;
		caller->loop = kolk_engine_loop(engine, i % loops);
		caller->meter = &run.meters[i % loops];
		caller->request_size = options->protocol->request(
			caller->request, REQUEST,
			options->target != NULL ? options->target : "localhost", i);
		(void)kolk_loop_call(caller->loop, &caller->call, begin, caller);
	}
	watch(&run, loops, what, options);
	outcome->requests_per_s = (double)requests_of(&run, loops) * 1e9 /
				  (double)(clock_now() - began);
	kolk__store_relaxed(&run.stop, 1);
	while (kolk__load_acquire(&run.finished) < options->callers)
		nap(KOLK_MS_NS);
	collect(&run, loops, outcome);
	free(run.meters);
	free(callers);
}
