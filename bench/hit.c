/* SPDX-License-Identifier: Apache-2.0 */
/* hit.c - acquire and release of an idle connection, beside a bare ring in the same run. */
#include <ck_ring.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/kit.h"
#include "core/base/atomic.h"

enum { BATCHES = 9 };

struct hit {
	const struct args *args;
	struct fixture fixture;
	struct mutex_pool *mutex;
	uint64_t cycles;         /* per thread and batch */
	uint64_t cost_ns;        /* of the clock */
	struct hist acquire, release;
	pthread_mutex_t lock;
	int64_t syscalls;
	uint64_t allocations;
};

/* ---- the cycle, with no clock in it */

static void cycles(void *shared, uint32_t index)
{
	struct hit *hit = shared;
	struct kolk_lease lease;

	(void)index;
	for (uint64_t i = 0; i < hit->cycles && hit->mutex == NULL; i++) {
		if (kolk_acquire(hit->fixture.key, KOLK_FOREVER, &lease) != KOLK_OK)
			die("an acquire failed");
		if (kolk_release(&lease) != KOLK_OK)
			die("a release failed");
	}
	for (uint64_t i = 0; i < hit->cycles && hit->mutex != NULL; i++)
		mutex_pool_release(hit->mutex, mutex_pool_acquire(hit->mutex));
}

/* The limit: one entry through a bare ck_ring, any producer, any consumer. Aligned and static: on the
 * stack it took up to 1.2 times as long, by where the stack happened to begin. */
static KOLK_HOT_ENTRY double ring_cycle(uint64_t count)
{
	static _Alignas(64) ck_ring_buffer_t buffer[64];
	static _Alignas(64) ck_ring_t ring;
	static int entry;
	void *taken;
	uint64_t begin;

	ck_ring_init(&ring, 64);
	ck_ring_enqueue_mpmc(&ring, buffer, &entry);
	begin = clock_now();
	for (uint64_t i = 0; i < count; i++) {
		if (!ck_ring_dequeue_mpmc(&ring, buffer, &taken))
			die("the ring lost its entry");
		ck_ring_enqueue_mpmc(&ring, buffer, taken);
	}
	return (double)(clock_now() - begin) / (double)count;
}

/* ---- latencies, sampled; and what the cycle costs besides time */

static void sampled(void *shared, uint32_t index)
{
	struct hit *hit = shared;
	struct hist *acquire = calloc(1, sizeof *acquire), *release = calloc(1, sizeof *release);
	struct kolk_lease lease;

	(void)index;
	for (uint64_t i = 0; i < hit->cycles / 8; i++) {
		uint64_t t0 = clock_now(), t1;
		void *item = NULL;

		if (hit->mutex != NULL)
			item = mutex_pool_acquire(hit->mutex);
		else if (kolk_acquire(hit->fixture.key, KOLK_FOREVER, &lease) != KOLK_OK)
			die("an acquire failed");
		t1 = clock_now();
		hist_add(acquire, t1 - t0);
		t0 = clock_now();
		if (hit->mutex != NULL)
			mutex_pool_release(hit->mutex, item);
		else
			kolk_release(&lease);
		hist_add(release, clock_now() - t0);
	}
	pthread_mutex_lock(&hit->lock);
	hist_merge(&hit->acquire, acquire);
	hist_merge(&hit->release, release);
	pthread_mutex_unlock(&hit->lock);
	free(acquire);
	free(release);
}

static void counted(void *shared, uint32_t index)
{
	struct hit *hit = shared;
	bool watched = syscalls_watch();
	uint64_t before = allocations();

	cycles(shared, index);
	hit->allocations = allocations() - before;
	hit->syscalls = watched ? (int64_t)syscalls() : -1;
}

/* ---- one measurement */

static void open_pool(struct hit *hit, uint32_t connections)
{
	if (strcmp(hit->args->pool, "mutex") == 0)
		hit->mutex = mutex_pool_open(connections);
	else
		fixture_open(&hit->fixture, connections, KOLK_FOREVER, NULL, 0);
}

static void close_pool(struct hit *hit)
{
	if (hit->mutex != NULL)
		mutex_pool_close(hit->mutex);
	else
		fixture_close(&hit->fixture);
}

/* The engine keeps its coarse clock only under load, and notices that within 250 ms. */
static void warm_up(struct hit *hit, uint32_t threads)
{
	uint64_t end = clock_now() + 1200 * KOLK_MS_NS;

	hit->cycles = 200000;
	while (clock_now() < end)
		threads_run(threads, cycles, hit, 0, NULL);
}

static double batch(struct hit *hit, uint32_t threads)
{
	double ns = threads_run(threads, cycles, hit, 0, NULL);

	return ns / (double)(hit->cycles * threads);
}

static void print_human(const struct hit *hit, uint32_t threads, double cycle, double limit)
{
	const struct hist *h[2] = { &hit->acquire, &hit->release };
	const char *names[2] = { "acquire", "release" };

	printf("%s: %u thread%s, idle hit, statistics on\n", hit->args->pool, threads,
	       threads > 1 ? "s" : "");
	printf("  cycle        %9.2f ns   (all threads together; median of %d batches)\n", cycle,
	       BATCHES);
	printf("  bare ck_ring %9.2f ns   (MPMC, one thread, same run)      ratio %.2f\n", limit,
	       cycle / limit);
	printf("  throughput   %9.1f million cycles/s\n", 1e3 / cycle);
	for (int i = 0; i < 2; i++)
		printf("  %s      p50 %llu  p99 %llu  p99.9 %llu  max %llu ns   "
		       "(%llu ns of clock subtracted)\n",
		       names[i],
		       (unsigned long long)(hist_at(h[i], .5) > hit->cost_ns ? hist_at(h[i], .5) - hit->cost_ns : 0),
		       (unsigned long long)(hist_at(h[i], .99) > hit->cost_ns ? hist_at(h[i], .99) - hit->cost_ns : 0),
		       (unsigned long long)(hist_at(h[i], .999) > hit->cost_ns ? hist_at(h[i], .999) - hit->cost_ns : 0),
		       (unsigned long long)h[i]->max, (unsigned long long)hit->cost_ns);
	if (hit->syscalls >= 0)
		printf("  system calls %9lld      in %llu cycles\n", (long long)hit->syscalls,
		       (unsigned long long)hit->cycles);
	else
		printf("  system calls   unknown      (no seccomp filter allowed here)\n");
	printf("  allocations  %9llu      in %llu cycles\n", (unsigned long long)hit->allocations,
	       (unsigned long long)hit->cycles);
}

static void print_json(FILE *json, const struct hit *hit, uint32_t threads, double cycle,
		       double limit)
{
	double million = (double)hit->cycles / 1e6;

	fprintf(json,
		"{\"scenario\":\"hit\",\"pool\":\"%s\",\"threads\":%u,\"connections\":%u,"
		"\"cycle_ns\":%.3f,\"limit_cycle_ns\":%.3f,\"ratio\":%.3f,\"ops_per_s\":%.0f,",
		hit->args->pool, threads, hit->args->connections, cycle, limit, cycle / limit,
		1e9 / cycle);
	json_hist(json, "acquire_ns", &hit->acquire, hit->cost_ns);
	fprintf(json, ",");
	json_hist(json, "release_ns", &hit->release, hit->cost_ns);
	if (hit->syscalls >= 0)
		fprintf(json, ",\"syscalls_per_million\":%.3f", (double)hit->syscalls / million);
	else
		fprintf(json, ",\"syscalls_per_million\":null");
	fprintf(json, ",\"allocations_per_million\":%.3f,\"clock_ns\":%llu}\n",
		(double)hit->allocations / million, (unsigned long long)hit->cost_ns);
}

static int measure(const struct args *args)
{
	struct hit *hit = calloc(1, sizeof *hit);
	uint32_t threads = args->threads != 0 ? args->threads : 1;
	struct args a = *args;
	double cycle[BATCHES], limit[BATCHES];
	FILE *json = json_open(args);

	if (a.connections == 0)
		a.connections = threads;
	hit->args = &a;
	pthread_mutex_init(&hit->lock, NULL);
	hit->cost_ns = clock_cost();
	open_pool(hit, a.connections);
	warm_up(hit, threads);
	hit->cycles = args->cycles != 0 ? args->cycles :
					  (uint64_t)(args->seconds * 1e9 / (double)(BATCHES * 10)) / threads + 1;
	for (int i = 0; i < BATCHES; i++) {
		progress("hit: batch %d of %d", i + 1, BATCHES);
		cycle[i] = batch(hit, threads);
		limit[i] = ring_cycle(hit->cycles * threads);
	}
	threads_run(threads, sampled, hit, 0, NULL);
	threads_run(1, counted, hit, 0, NULL);
	progress("%s", "");
	if (json != NULL)
		print_json(json, hit, threads, median(cycle, BATCHES), median(limit, BATCHES));
	else
		print_human(hit, threads, median(cycle, BATCHES), median(limit, BATCHES));
	json_close(json);
	close_pool(hit);
	free(hit);
	return 0;
}

/* ---- how it scales: interleaved, so that a noisy moment hits all */

static int scaling(const struct args *args)
{
	static const uint32_t counts[] = { 1, 2, 4, 8, 32 };
	enum { COUNTS = sizeof counts / sizeof counts[0] };
	struct hit hits[COUNTS];
	double cycle[COUNTS][BATCHES], result[COUNTS];
	FILE *json = json_open(args);

	for (int c = 0; c < COUNTS; c++) {
		memset(&hits[c], 0, sizeof hits[c]);
		hits[c].args = args;
		open_pool(&hits[c], args->connections != 0 ? args->connections : counts[c]);
		warm_up(&hits[c], counts[c]);
		hits[c].cycles = (uint64_t)(args->seconds * 1e9 / (double)(BATCHES * 10)) / counts[c] + 1;
	}
	for (int i = 0; i < BATCHES; i++)
		for (int c = 0; c < COUNTS; c++) {
			progress("scaling: round %d of %d, %u threads", i + 1, BATCHES, counts[c]);
			if (i == 0)
				warm_up(&hits[c], counts[c]);
			hits[c].cycles = (uint64_t)(args->seconds * 1e9 / (double)(BATCHES * 10)) / counts[c] + 1;
			(void)batch(&hits[c], counts[c]);
			cycle[c][i] = batch(&hits[c], counts[c]);
		}
	progress("%s", "");
	if (json == NULL)
		printf("%s\n  threads   ns/cycle   million/s   x one thread   x two threads\n",
		       args->pool);
	for (int c = 0; c < COUNTS; c++) {
		result[c] = median(cycle[c], BATCHES);
		if (json != NULL)
			fprintf(json, "{\"scenario\":\"scaling\",\"pool\":\"%s\",\"threads\":%u,"
				"\"cycle_ns\":%.3f,\"ops_per_s\":%.0f,\"speedup\":%.3f}\n",
				args->pool, counts[c], result[c], 1e9 / result[c],
				result[0] / result[c]);
		else
			printf("  %7u %10.2f %11.1f %14.2f %15.2f\n", counts[c], result[c],
			       1e3 / result[c], result[0] / result[c],
			       c > 0 ? result[1] / result[c] : 0.0);
		close_pool(&hits[c]);
	}
	json_close(json);
	return 0;
}

int scenario_hit(const struct args *args)
{
	return args->scaling ? scaling(args) : measure(args);
}
