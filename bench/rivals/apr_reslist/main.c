/*
 * main.c — apr_reslist: acquire, hold, release.
 *
 * Settings, and why:
 *   min = smax = hmax = C   every resource is open before the first pass, none is closed, none is added
 *   ttl = 0                 nothing expires (the default of its users; saves a clock read per acquire)
 *   timeout = 0             an acquire waits for as long as it takes (the default)
 *
 * Four passes with the same threads: warm-up without and with clock, then the two that count. Pass
 * "count" has no clock in its loop unless it holds; pass "time" times every acquire. With --burst B all
 * resources but 2 x B x threads are leased, and in both passes each thread acquires B, then releases
 * them, every call timed.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <apr_general.h>
#include <apr_pools.h>
#include <apr_reslist.h>

#include "hist.h"

#ifndef RIVAL_VERSION
#define RIVAL_VERSION "unknown"
#endif

enum { LINE = 128, THREADS_MAX = 1024, CONNECTIONS_MAX = 100000, BURST_MAX = 1000 };

static const double warm_up_s = 0.3;

struct options {
	unsigned threads;
	unsigned connections;
	uint64_t hold_ns;
	double seconds;
	unsigned burst; /* 0 = the cycle */
};

struct pass {
	double seconds;
	bool timed;
};

/* Read by all workers; written by main between two passes, and once to stop one. */
struct bench {
	struct options options;
	struct pass pass;
	apr_reslist_t *pool;
	pthread_barrier_t gate;
	_Alignas(LINE) atomic_bool stop;
};

/* Written by its own thread only. */
struct worker {
	_Alignas(LINE) pthread_t thread;
	struct bench *bench;
	uint64_t ops;
	uint64_t started_ns;
	uint64_t ended_ns;
	struct hist hist, release; /* release: of bursts */
};

struct total {
	double ops_per_s;
	struct hist hist, release;
};

static unsigned opened; /* the constructor runs under the list's lock or before the threads */

static void fail(const char *what)
{
	fprintf(stderr, "apr_reslist: %s\n", what);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void hold(uint64_t hold_ns)
{
	uint64_t start = now_ns();

	while (now_ns() - start < hold_ns)
		;
}

static apr_status_t mock_open(void **resource, void *params, apr_pool_t *pool)
{
	static char nothing;

	(void)params;
	(void)pool;
	opened++;
	*resource = &nothing;
	return APR_SUCCESS;
}

static apr_status_t mock_close(void *resource, void *params, apr_pool_t *pool)
{
	(void)resource;
	(void)params;
	(void)pool;
	return APR_SUCCESS;
}

static inline void *acquire(apr_reslist_t *pool)
{
	void *resource;

	if (apr_reslist_acquire(pool, &resource) != APR_SUCCESS)
		fail("acquire failed");
	return resource;
}

static inline void release(apr_reslist_t *pool, void *resource)
{
	if (apr_reslist_release(pool, resource) != APR_SUCCESS)
		fail("release failed");
}

static bool stopped(struct bench *bench)
{
	return atomic_load_explicit(&bench->stop, memory_order_relaxed);
}

static void count_cycles(struct bench *bench, struct worker *self)
{
	uint64_t hold_ns = bench->options.hold_ns;
	uint64_t ops = 0;

	while (!stopped(bench)) {
		void *resource = acquire(bench->pool);

		if (hold_ns)
			hold(hold_ns);
		release(bench->pool, resource);
		ops++;
	}
	self->ops = ops;
}

static void time_acquires(struct bench *bench, struct worker *self)
{
	uint64_t hold_ns = bench->options.hold_ns;

	memset(&self->hist, 0, sizeof self->hist);
	while (!stopped(bench)) {
		uint64_t start = now_ns();
		void *resource = acquire(bench->pool);

		hist_add(&self->hist, now_ns() - start);
		if (hold_ns)
			hold(hold_ns);
		release(bench->pool, resource);
	}
	self->ops = self->hist.count;
}

static void time_bursts(struct bench *bench, struct worker *self)
{
	unsigned burst = bench->options.burst;
	void *resource[BURST_MAX];

	memset(&self->hist, 0, sizeof self->hist);
	memset(&self->release, 0, sizeof self->release);
	while (!stopped(bench)) {
		for (unsigned i = 0; i < burst; i++) {
			uint64_t start = now_ns();

			resource[i] = acquire(bench->pool);
			hist_add(&self->hist, now_ns() - start);
		}
		for (unsigned i = 0; i < burst; i++) {
			uint64_t start = now_ns();

			release(bench->pool, resource[i]);
			hist_add(&self->release, now_ns() - start);
		}
	}
	self->ops = self->hist.count;
}

static void one_pass(struct worker *self)
{
	struct bench *bench = self->bench;

	self->started_ns = now_ns();
	if (bench->options.burst > 0)
		time_bursts(bench, self);
	else if (bench->pass.timed)
		time_acquires(bench, self);
	else
		count_cycles(bench, self);
	self->ended_ns = now_ns();
}

/* Two gates per pass: all start together; main sums up while nobody runs. seconds < 0 ends it. */
static void *work(void *arg)
{
	struct worker *self = arg;

	for (;;) {
		pthread_barrier_wait(&self->bench->gate);
		if (self->bench->pass.seconds < 0)
			return NULL;
		one_pass(self);
		pthread_barrier_wait(&self->bench->gate);
	}
}

static void nap(double seconds)
{
	struct timespec left = { .tv_sec = (time_t)seconds };

	left.tv_nsec = (long)((seconds - (double)left.tv_sec) * 1e9);
	while (nanosleep(&left, &left))
		;
}

/* From the first start to the last end: the cycles that finish after "stop" are in the time too. */
static void sum_up(const struct bench *bench, const struct worker *workers, struct total *total)
{
	uint64_t first = UINT64_MAX, last = 0, ops = 0;

	memset(total, 0, sizeof *total);
	for (unsigned i = 0; i < bench->options.threads; i++) {
		const struct worker *worker = &workers[i];

		first = worker->started_ns < first ? worker->started_ns : first;
		last = worker->ended_ns > last ? worker->ended_ns : last;
		ops += worker->ops;
		hist_merge(&total->hist, &worker->hist);
		hist_merge(&total->release, &worker->release);
	}
	total->ops_per_s = (double)ops * 1e9 / (double)(last - first);
}

static void run_pass(struct bench *bench, struct worker *workers, struct pass pass, struct total *total)
{
	bench->pass = pass;
	atomic_store(&bench->stop, false);
	pthread_barrier_wait(&bench->gate);
	nap(pass.seconds);
	atomic_store(&bench->stop, true);
	pthread_barrier_wait(&bench->gate);
	sum_up(bench, workers, total);
}

static void report(const struct options *options, double ops_per_s, const struct hist *hist)
{
	printf("{\"pool\":\"apr_reslist\",\"version\":\"%s\",\"threads\":%u,\"connections\":%u,"
	       "\"hold_us\":%llu,\"ops_per_s\":%.0f,\"cycle_ns\":%.1f,\"wait_ns\":{\"p50\":%llu,"
	       "\"p99\":%llu,\"p999\":%llu,\"max\":%llu}}\n",
	       RIVAL_VERSION, options->threads, options->connections,
	       (unsigned long long)options->hold_ns / 1000, ops_per_s, 1e9 / ops_per_s,
	       (unsigned long long)hist_quantile(hist, 500),
	       (unsigned long long)hist_quantile(hist, 990),
	       (unsigned long long)hist_quantile(hist, 999), (unsigned long long)hist->max_ns);
}

static void print_quantiles(const char *name, const struct hist *hist)
{
	printf(",\"%s\":{\"p50\":%llu,\"p99\":%llu,\"p999\":%llu,\"max\":%llu}", name,
	       (unsigned long long)hist_quantile(hist, 500),
	       (unsigned long long)hist_quantile(hist, 990),
	       (unsigned long long)hist_quantile(hist, 999), (unsigned long long)hist->max_ns);
}

static void report_bursts(const struct options *options, const struct total *total)
{
	printf("{\"pool\":\"apr_reslist\",\"version\":\"%s\",\"threads\":%u,\"connections\":%u,"
	       "\"burst\":%u", RIVAL_VERSION, options->threads, options->connections, options->burst);
	print_quantiles("acquire_ns", &total->hist);
	print_quantiles("release_ns", &total->release);
	printf("}\n");
}

static apr_reslist_t *open_pool(unsigned connections)
{
	apr_pool_t *memory;
	apr_reslist_t *pool;
	int size = (int)connections;

	if (apr_initialize() != APR_SUCCESS || apr_pool_create(&memory, NULL) != APR_SUCCESS)
		fail("APR does not start");
	if (apr_reslist_create(&pool, size, size, size, 0, mock_open, mock_close, NULL, memory) != APR_SUCCESS)
		fail("apr_reslist_create failed");
	if (opened != connections)
		fail("the pool did not open all connections at the start");
	return pool;
}

/* All but what the bursts need. Which are idle does not matter to a list. */
static void lease_most(const struct bench *bench)
{
	unsigned idle = 2 * bench->options.burst * bench->options.threads;

	for (unsigned i = idle; i < bench->options.connections; i++)
		(void)acquire(bench->pool);
}

static struct worker *start_workers(struct bench *bench)
{
	unsigned threads = bench->options.threads;
	struct worker *workers = aligned_alloc(LINE, threads * sizeof *workers);

	if (!workers)
		fail("out of memory");
	memset(workers, 0, threads * sizeof *workers);
	pthread_barrier_init(&bench->gate, NULL, threads + 1);
	for (unsigned i = 0; i < threads; i++) {
		workers[i].bench = bench;
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			fail("cannot start a thread");
	}
	return workers;
}

static void stop_workers(struct bench *bench, struct worker *workers)
{
	bench->pass.seconds = -1;
	pthread_barrier_wait(&bench->gate);
	for (unsigned i = 0; i < bench->options.threads; i++)
		pthread_join(workers[i].thread, NULL);
	free(workers);
}

static void usage(void)
{
	fprintf(stderr, "usage: apr_reslist --threads T --connections C --hold-us H --seconds S "
			"[--burst B]\n");
	exit(2);
}

static double number(const char *text, double least, double most)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= least && value <= most))
		usage();
	return value;
}

static struct options parse(int argc, char **argv)
{
	struct options options = { .threads = 1, .connections = 1, .seconds = 1 };

	if (argc % 2 == 0)
		usage();
	for (int i = 1; i < argc; i += 2) {
		if (!strcmp(argv[i], "--threads"))
			options.threads = (unsigned)number(argv[i + 1], 1, THREADS_MAX);
		else if (!strcmp(argv[i], "--connections"))
			options.connections = (unsigned)number(argv[i + 1], 1, CONNECTIONS_MAX);
		else if (!strcmp(argv[i], "--hold-us"))
			options.hold_ns = (uint64_t)number(argv[i + 1], 0, 1e6) * 1000;
		else if (!strcmp(argv[i], "--seconds"))
			options.seconds = number(argv[i + 1], 0.01, 3600);
		else if (!strcmp(argv[i], "--burst"))
			options.burst = (unsigned)number(argv[i + 1], 1, BURST_MAX);
		else
			usage();
	}
	if (2 * options.burst * options.threads > options.connections)
		usage();
	return options;
}

int main(int argc, char **argv)
{
	static struct bench bench;
	static struct total count, timed;
	struct worker *workers;

	bench.options = parse(argc, argv);
	bench.pool = open_pool(bench.options.connections);
	if (bench.options.burst > 0)
		lease_most(&bench);
	workers = start_workers(&bench);
	run_pass(&bench, workers, (struct pass){ warm_up_s / 2, false }, &count);
	run_pass(&bench, workers, (struct pass){ warm_up_s / 2, true }, &timed);
	run_pass(&bench, workers, (struct pass){ bench.options.seconds, false }, &count);
	run_pass(&bench, workers, (struct pass){ bench.options.seconds, true }, &timed);
	stop_workers(&bench, workers);
	if (opened != bench.options.connections)
		fail("the pool opened more connections than it may");
	if (bench.options.burst > 0)
		report_bursts(&bench.options, &timed);
	else
		report(&bench.options, count.ops_per_s, &timed.hist);
	return 0;
}
