/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scale_connections.c - one key with 10 to 50 000 connections.
 *
 * All but 2 x burst x threads are leased; each thread acquires a burst and releases it. The same
 * once more by the threads' CPU clock, which costs more to read and does not count the time of
 * other threads: its maximum is the longest single acquire. Interrupts count, so the longest
 * interval with nothing in it stands beside.
 */
#include <stdlib.h>
#include <string.h>

#include "bench/scale.h"

static const uint32_t sizes[] = { 10, 100, 1000, 10000, 50000 };
static const uint32_t bursts[] = { 1, 4, 64 };
static const uint32_t threads[] = { 1, 2, 8 };
enum { SIZES = 5, BURSTS = 3, THREADS = 3, BURST_MAX = 64, SAMPLES = 64, CHOICES = 4,
       CONNECTION_BYTES = 512 };

/* ---- bursts */

struct burst {
	struct large_key *large;
	uint32_t size;
	bool by_cpu;
	kolk__atomic_bool stop;
	pthread_mutex_t lock;
	struct hist acquire, release, acquire_cpu, nothing_cpu;
};

static void burst_by_clock(struct burst *burst, struct hist *acquire, struct hist *release)
{
	struct kolk_lease lease[BURST_MAX];

	for (uint32_t i = 0; i < burst->size; i++) {
		uint64_t begin = clock_now();

		if (kolk_acquire(burst->large->key, KOLK_FOREVER, &lease[i]) != KOLK_OK)
			die("an acquire failed");
		hist_add(acquire, clock_now() - begin);
	}
	for (uint32_t i = 0; i < burst->size; i++) {
		uint64_t begin = clock_now();

		(void)kolk_release(&lease[i]);
		hist_add(release, clock_now() - begin);
	}
}

static void burst_by_cpu(struct burst *burst, struct hist *acquire, struct hist *nothing)
{
	struct kolk_lease lease[BURST_MAX];

	for (uint32_t i = 0; i < burst->size; i++) {
		uint64_t before = cpu_now(), begin = cpu_now();

		if (kolk_acquire(burst->large->key, KOLK_FOREVER, &lease[i]) != KOLK_OK)
			die("an acquire failed");
		hist_add(acquire, cpu_now() - begin);
		hist_add(nothing, begin - before);
	}
	for (uint32_t i = 0; i < burst->size; i++)
		(void)kolk_release(&lease[i]);
}

static void burst_thread(void *shared, uint32_t index)
{
	struct burst *burst = shared;
	struct hist *acquire = calloc(1, sizeof *acquire), *other = calloc(1, sizeof *other);

	(void)index;
	if (acquire == NULL || other == NULL)
		die("no memory for histograms");
	while (!kolk__load_relaxed(&burst->stop))
		if (burst->by_cpu)
			burst_by_cpu(burst, acquire, other);
		else
			burst_by_clock(burst, acquire, other);
	pthread_mutex_lock(&burst->lock);
	hist_merge(burst->by_cpu ? &burst->acquire_cpu : &burst->acquire, acquire);
	hist_merge(burst->by_cpu ? &burst->nothing_cpu : &burst->release, other);
	pthread_mutex_unlock(&burst->lock);
	free(acquire);
	free(other);
}

static void hist_print(const struct hist *hist, uint64_t minus)
{
	uint64_t at[4] = { hist_at(hist, 0.5), hist_at(hist, 0.99), hist_at(hist, 0.999), hist->max };

	for (int i = 0; i < 4; i++)
		printf(" %8llu", (unsigned long long)(at[i] > minus ? at[i] - minus : 0));
	printf("  ");
}

static void burst_print(const struct scale *scale, const struct burst *burst, uint32_t count)
{
	const struct large_key *large = burst->large;

	if (scale->json == NULL) {
		printf("%8u %5u %7u  ", large->open, burst->size, count);
		hist_print(&burst->acquire, scale->clock_ns);
		hist_print(&burst->release, scale->clock_ns);
		printf("%9llu %9llu\n", (unsigned long long)(burst->acquire_cpu.max - scale->cpu_ns),
		       (unsigned long long)(burst->nothing_cpu.max - scale->cpu_ns));
		fflush(stdout);
		return;
	}
	fprintf(scale->json, "{\"scenario\":\"scale\",\"series\":\"%s\","
		"\"connections\":%u,\"burst\":%u,\"threads\":%u,\"leased\":%u,",
		scale->series, large->open, burst->size, count,
		large->leased - 2 * burst->size * count);
	json_hist(scale->json, "acquire_ns", &burst->acquire, scale->clock_ns);
	fputc(',', scale->json);
	json_hist(scale->json, "release_ns", &burst->release, scale->clock_ns);
	fputc(',', scale->json);
	json_hist(scale->json, "acquire_cpu_ns", &burst->acquire_cpu, scale->cpu_ns);
	fputc(',', scale->json);
	json_hist(scale->json, "nothing_cpu_ns", &burst->nothing_cpu, scale->cpu_ns);
	fprintf(scale->json, ",\"acquires\":%llu}\n", (unsigned long long)burst->acquire.count);
	fflush(scale->json);
}

/* One choice of the connections that are idle. */
static void burst_run(struct burst *burst, uint32_t count)
{
	double pass_s = burst->large->scale->pass_s / CHOICES;
	uint32_t idle = 2 * burst->size * count;

	large_key_release(burst->large, idle);
	burst->by_cpu = false;
	threads_run(count, burst_thread, burst, pass_s, &burst->stop);
	burst->by_cpu = true;
	threads_run(count, burst_thread, burst, pass_s / 2, &burst->stop);
	large_key_take(burst->large, idle);
}

static void burst_measure(struct large_key *large, uint32_t size, uint32_t count)
{
	struct burst *burst = calloc(1, sizeof *burst);

	if (burst == NULL)
		die("no memory for histograms");
	pthread_mutex_init(&burst->lock, NULL);
	burst->large = large;
	burst->size = size;
	progress("scale: %u connections, bursts of %u, %u threads", large->open, size, count);
	burst_run(burst, count); /* warm */
	memset(&burst->acquire, 0, sizeof burst->acquire);
	memset(&burst->release, 0, sizeof burst->release);
	memset(&burst->acquire_cpu, 0, sizeof burst->acquire_cpu);
	memset(&burst->nothing_cpu, 0, sizeof burst->nothing_cpu);
	for (int i = 0; i < CHOICES; i++)
		burst_run(burst, count);
	progress("%s", "");
	burst_print(large->scale, burst, count);
	pthread_mutex_destroy(&burst->lock);
	free(burst);
}

static void bursts_measure(struct large_key *large)
{
	uint32_t only = large->scale->args->threads, burst = large->scale->args->burst;

	if (large->scale->json == NULL)
		printf("\n%8s %5s %7s   %8s %8s %8s %8s   %8s %8s %8s %8s   %8s %9s\n",
		       large->sockets ? "sockets" : "of a key", "burst", "threads", "acquire",
		       "p99", "p99.9", "max", "release", "p99", "p99.9", "max", "CPU max", "nothing");
	for (int b = 0; b < BURSTS; b++)
		for (int t = 0; t < THREADS; t++)
			if (2 * bursts[b] * threads[t] <= large->open &&
			    (only == 0 || only == threads[t]) &&
			    (burst == 0 || burst == bursts[b]))
				burst_measure(large, bursts[b], threads[t]);
}

/* ---- the costs of single steps, everything leased */

enum step { OPEN, ENQUEUE, CANCEL, HAND_OVER, TRY_MISS, TIME_OUT, CACHE_MISS, COLD_MISS, CACHE_HIT,
	    STEPS };
static const char *const step_name[STEPS] = {
	"open one more",
	"enqueue a waiter",
	"cancel a waiter",
	"hand over to a waiter",
	"a try that misses",
	"an acquire that times out",
	"the first miss after cached leases",
	"a miss after other memory was written",
	"the one idle after cached leases",
};

struct waiter {
	struct kolk_acquire acquire;
	struct large_key *large;
	bool pending;
};

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct waiter *waiter = user;

	scale_check(err, "hand-over");
	waiter->large->held[waiter->large->leased++] = *lease;
	waiter->pending = false;
}

static void enqueue(struct large_key *large, struct waiter *waiter, struct costs *costs)
{
	uint64_t begin = cpu_now();

	waiter->large = large;
	waiter->pending = true;
	if (kolk_acquire_async(large->loop, large->key, KOLK_FOREVER, &waiter->acquire, on_lease,
			       waiter) != KOLK_PENDING)
		die("a waiter did not wait");
	(void)costs_add(costs, large->scale, begin);
}

static void waiters_measure(struct large_key *large, struct costs *costs)
{
	struct waiter *waiters = calloc(SAMPLES, sizeof *waiters);
	uint32_t count = large->leased < SAMPLES ? large->leased : SAMPLES;

	for (uint32_t i = 0; i < count; i++)
		enqueue(large, &waiters[i], &costs[ENQUEUE]);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t begin = cpu_now();

		scale_check(kolk_acquire_cancel(&waiters[i].acquire), "cancel");
		(void)costs_add(&costs[CANCEL], large->scale, begin);
	}
	for (uint32_t i = 0; i < count; i++)
		enqueue(large, &waiters[i], &costs[ENQUEUE]);
	for (uint32_t i = 0; i < count; i++) {
		struct kolk_lease lease = large->held[--large->leased];
		uint64_t begin = cpu_now();

		scale_check(kolk_release(&lease), "release");
		while (waiters[i].pending)
			scale_check(kolk_loop_step(large->loop, 0), "step");
		(void)costs_add(&costs[HAND_OVER], large->scale, begin);
	}
	free(waiters);
}

static void try_miss(struct large_key *large, struct costs *costs)
{
	struct kolk_lease lease;
	uint64_t begin = cpu_now();

	if (kolk_try_acquire(large->key, &lease) != KOLK_E_EMPTY)
		die("a try did not miss");
	(void)costs_add(costs, large->scale, begin);
}

/* On a thread of its own, which has nothing in its cache. */
struct fresh {
	struct large_key *large;
	struct costs *costs;
	struct kolk_lease lease;
	uint64_t wait_ns;
	enum kolk_err err;
};

static void fresh_acquire(void *shared, uint32_t index)
{
	struct fresh *fresh = shared;
	uint64_t begin = cpu_now();

	(void)index;
	fresh->err = kolk_acquire(fresh->large->key, kolk_in_ns(fresh->wait_ns), &fresh->lease);
	(void)costs_add(fresh->costs, fresh->large->scale, begin);
}

/* It stays idle: a fault, and no reason to measure nothing more. */
static void not_found(const struct large_key *large, enum kolk_err err)
{
	if (large->scale->json != NULL)
		fprintf(large->scale->json, "{\"scenario\":\"scale\",\"series\":\"%s\","
			"\"what\":\"%s\",\"n\":%u,\"failed\":\"%s\"}\n", large->scale->series,
			step_name[CACHE_HIT], large->open, kolk_err_text(err));
	else
		printf("\n%u connections, one of them idle: an acquire for 100 ms ends with %s\n",
		       large->open, kolk_err_text(err));
}

/* What of the first miss is the processor's caches: a miss that finds nothing out of date, after as
 * much memory was written as the connections take. */
static void cold_miss(struct large_key *large, struct costs *costs)
{
	size_t size = (size_t)large->open * CONNECTION_BYTES;
	struct costs others = { 0 };
	char *memory = malloc(size);

	if (memory == NULL)
		die("no memory to write to");
	for (uint32_t i = 0; i <= large->open / 64; i++) /* each passes over some that are out of date */
		try_miss(large, &others);
	for (size_t i = 0; i < size; i += 64)
		*(volatile char *)&memory[i] = 1;
	try_miss(large, costs);
	free(memory);
}

/* Everything was leased by this thread from its cache: taken, released, taken again. What the idle
 * list says of these is out of date. Then misses; then one is idle somewhere in the middle, and
 * another thread wants it. */
static void cached_measure(struct large_key *large, struct costs *costs)
{
	struct fresh fresh = { .large = large, .costs = &costs[CACHE_HIT],
			       .wait_ns = 100 * KOLK_MS_NS };

	for (int round = 0; round < 5; round++) {
		large_key_release(large, large->leased);
		while (large->leased < large->open) {
			large_key_take(large, 1);
			scale_check(kolk_release(&large->held[--large->leased]), "release");
			large_key_take(large, 1);
		}
		try_miss(large, &costs[CACHE_MISS]);
		cold_miss(large, &costs[COLD_MISS]);
		large_key_release(large, 1);
		threads_run(1, fresh_acquire, &fresh, 0, NULL);
		if (fresh.err != KOLK_OK) {
			not_found(large, fresh.err);
			return;
		}
		large->held[large->leased++] = fresh.lease;
	}
}

static void steps_measure(struct large_key *large, struct costs *costs)
{
	struct fresh fresh = { .large = large, .costs = &costs[TIME_OUT],
			       .wait_ns = 20 * KOLK_US_NS };

	progress("scale: %u connections, single steps", large->open);
	waiters_measure(large, costs);
	for (uint32_t i = 0; i < SAMPLES; i++)
		try_miss(large, &costs[TRY_MISS]);
	for (uint32_t i = 0; i < SAMPLES / 4; i++)
		threads_run(1, fresh_acquire, &fresh, 0, NULL);
	cached_measure(large, costs);
	progress("%s", "");
}

/* The last of them by themselves, in so long at most. */
static void grow(struct large_key *large, uint32_t n, struct costs *costs)
{
	uint32_t alone = n / 2 < SAMPLES ? n / 2 : SAMPLES;
	uint64_t end_ns;

	large_key_limit(large, n);
	large_key_grow(large, n - alone);
	end_ns = clock_now() + (uint64_t)(large->scale->step_s * 1e9);
	while (large->open < n && clock_now() < end_ns)
		large_key_grow_one(large, &costs[OPEN]);
	large_key_limit(large, large->open); /* from now on an acquire that misses waits */
	if (large->open < n && large->scale->json == NULL)
		printf("\n%u connections of a key, not %u: opening them was too slow\n",
		       large->open, n);
}

/* The engine keeps its coarse clock only under load, and notices that within 250 ms. */
static void warm_up(struct large_key *large)
{
	for (uint64_t end_ns = clock_now() + 600 * KOLK_MS_NS; clock_now() < end_ns;) {
		large_key_release(large, 1);
		large_key_take(large, 1);
	}
}

static void large_key_measure(struct large_key *large, uint32_t n, struct costs *costs)
{
	bool first = large->open == 0;

	memset(costs, 0, STEPS * sizeof *costs);
	grow(large, n, costs);
	if (first)
		warm_up(large);
	bursts_measure(large);
	if (large->scale->args->burst != 0)
		return;
	steps_measure(large, costs);
	scale_head(large->scale, "single steps, all connections of the key leased",
		   large->sockets ? "sockets" : "of a key");
	for (int s = 0; s < STEPS; s++)
		scale_row(large->scale, step_name[s], large->open, &costs[s]);
}

void scale_large_key(struct large_key *large, uint32_t n)
{
	struct costs *costs = calloc(STEPS, sizeof *costs);

	if (costs == NULL)
		die("no memory for costs");
	large_key_measure(large, n, costs);
	free(costs);
}

void scale_connections(const struct scale *scale)
{
	struct points points[STEPS] = { 0 };
	struct costs *costs = calloc(STEPS, sizeof *costs);
	uint32_t most = scale->args->connections != 0 ? scale->args->connections :
			scale->args->quick	      ? 10000 : sizes[SIZES - 1];
	struct large_key large;

	if (costs == NULL)
		die("no memory for costs");
	large_key_open(&large, scale, most, NULL);
	for (int i = 0; i < SIZES && large.open < most; i++) {
		uint32_t n = scale->args->connections != 0 || sizes[i] > most ? most : sizes[i];

		large_key_measure(&large, n, costs);
		for (int s = 0; s < STEPS && large.open >= 100 && costs[s].count > 0; s++)
			points_add(&points[s], large.open, costs_median(&costs[s]));
		if (large.open < n)
			break;
	}
	for (int s = 0; s < STEPS; s++)
		scale_slope(scale, step_name[s], &points[s]);
	large_key_close(&large);
	free(costs);
}
