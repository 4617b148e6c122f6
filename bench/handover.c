/* SPDX-License-Identifier: Apache-2.0 */
/* handover.c - more threads than connections: throughput, and how long anybody waits. */
#include <stdlib.h>
#include <string.h>

#include "bench/kit.h"
#include "core/base/atomic.h"

struct handover {
	struct fixture fixture;
	struct mutex_pool *mutex;
	uint64_t hold_ns;
	kolk__atomic_bool stop;
	bool timed;
	pthread_mutex_t lock;
	uint64_t done, timeouts;
	struct hist wait;
};

struct figures {
	double ops_per_s;
	struct hist wait;
	uint64_t overtakes, overtaken_max_ns, timeouts;
};

static void hold(uint64_t ns)
{
	uint64_t end;

	if (ns == 0)
		return;
	end = clock_now() + ns;
	while (clock_now() < end)
		;
}

static bool take(struct handover *h, struct kolk_lease *lease, void **item)
{
	if (h->mutex != NULL) {
		*item = mutex_pool_acquire(h->mutex);
		return true;
	}
	return kolk_acquire(h->fixture.key, KOLK_FOREVER, lease) == KOLK_OK;
}

static void give(struct handover *h, struct kolk_lease *lease, void *item)
{
	if (h->mutex != NULL)
		mutex_pool_release(h->mutex, item);
	else
		kolk_release(lease);
}

static void worker(void *shared, uint32_t index)
{
	struct handover *h = shared;
	struct hist *wait = calloc(1, sizeof *wait);
	struct kolk_lease lease;
	uint64_t done = 0, failed = 0;
	void *item = NULL;

	(void)index;
	while (!kolk__load_relaxed(&h->stop)) {
		uint64_t begin = h->timed ? clock_now() : 0;

		if (!take(h, &lease, &item)) {
			failed++;
			continue;
		}
		if (h->timed)
			hist_add(wait, clock_now() - begin);
		hold(h->hold_ns);
		give(h, &lease, item);
		done++;
	}
	pthread_mutex_lock(&h->lock);
	h->done += done;
	h->timeouts += failed;
	hist_merge(&h->wait, wait);
	pthread_mutex_unlock(&h->lock);
	free(wait);
}

static void measure(const char *pool, uint32_t threads, uint32_t connections, uint64_t hold_ns,
		    uint64_t overtake_ns, double seconds, struct figures *figures)
{
	struct handover *h = calloc(1, sizeof *h);
	struct kolk_stats stats = KOLK_INIT(kolk_stats);
	double ns;

	pthread_mutex_init(&h->lock, NULL);
	h->hold_ns = hold_ns;
	if (strcmp(pool, "mutex") == 0)
		h->mutex = mutex_pool_open(connections);
	else
		fixture_open(&h->fixture, connections, overtake_ns, NULL, 0);
	threads_run(threads, worker, h, 0.5, &h->stop);
	h->done = 0;
	ns = threads_run(threads, worker, h, seconds, &h->stop);
	figures->ops_per_s = (double)h->done * 1e9 / ns;
	h->timed = true;
	threads_run(threads, worker, h, seconds, &h->stop);
	figures->wait = h->wait;
	figures->timeouts = h->timeouts;
	if (h->mutex == NULL && kolk_key_stats(h->fixture.key, &stats) == KOLK_OK) {
		figures->overtakes = stats.overtakes;
		figures->overtaken_max_ns = stats.overtaken_max_ns;
	}
	if (h->mutex != NULL)
		mutex_pool_close(h->mutex);
	else
		fixture_close(&h->fixture);
	free(h);
}

static void print(FILE *json, const char *pool, uint32_t threads, uint32_t connections,
		  uint64_t hold_ns, uint64_t overtake_ns, const struct figures *f)
{
	char bound[32] = "default";

	if (overtake_ns != KOLK_FOREVER)
		snprintf(bound, sizeof bound, overtake_ns == 0 ? "strict" : "%llu us",
			 (unsigned long long)(overtake_ns / 1000));
	if (json == NULL) {
		printf("%-6s %3u/%-3u %6llu  %-8s %11.0f %9.1f %8llu %9llu %9llu %10llu %10llu %9llu\n",
		       pool, threads, connections, (unsigned long long)(hold_ns / 1000), bound,
		       f->ops_per_s, 1e9 / f->ops_per_s,
		       (unsigned long long)hist_at(&f->wait, .5),
		       (unsigned long long)hist_at(&f->wait, .99),
		       (unsigned long long)hist_at(&f->wait, .999), (unsigned long long)f->wait.max,
		       (unsigned long long)f->overtakes,
		       (unsigned long long)(f->overtaken_max_ns / 1000));
		return;
	}
	fprintf(json, "{\"scenario\":\"handover\",\"pool\":\"%s\",\"threads\":%u,\"connections\":%u,"
		"\"hold_us\":%llu,\"overtake\":\"%s\",\"ops_per_s\":%.0f,\"cycle_ns\":%.2f,",
		pool, threads, connections, (unsigned long long)(hold_ns / 1000), bound,
		f->ops_per_s, 1e9 / f->ops_per_s);
	json_hist(json, "wait_ns", &f->wait, 0);
	fprintf(json, ",\"overtakes\":{\"count\":%llu,\"max_ns\":%llu},\"timeouts\":%llu}\n",
		(unsigned long long)f->overtakes, (unsigned long long)f->overtaken_max_ns,
		(unsigned long long)f->timeouts);
}

static void head(const FILE *json)
{
	if (json == NULL)
		printf("pool   T/C     hold us  bound    acquires/s  ns/cycle   wait: p50       p99"
		       "     p99.9        max  overtakes  max us\n");
}

static void matrix(const struct args *args, FILE *json)
{
	static const uint32_t cells[][2] = { { 2, 1 }, { 4, 2 }, { 8, 4 }, { 32, 16 } };
	static const uint64_t holds[] = { 0, 20000, 200000 };
	struct figures *f = calloc(1, sizeof *f);

	for (int h = 0; h < 3; h++)
		for (int c = 0; c < 4; c++)
			for (int s = 0; s < 3; s++) {
				const char *pool = s == 2 ? "mutex" : "kolk";
				uint64_t bound = s == 1 ? 0 : KOLK_FOREVER;

				progress("handover: %u/%u, hold %llu us, %s", cells[c][0], cells[c][1],
					 (unsigned long long)(holds[h] / 1000), pool);
				memset(f, 0, sizeof *f);
				measure(pool, cells[c][0], cells[c][1], holds[h], bound, args->seconds,
					f);
				progress("%s", "");
				print(json, pool, cells[c][0], cells[c][1], holds[h], bound, f);
			}
	free(f);
}

int scenario_handover(const struct args *args)
{
	FILE *json = json_open(args);
	struct figures *f = calloc(1, sizeof *f);
	uint32_t threads = args->threads != 0 ? args->threads : 4;
	uint32_t connections = args->connections != 0 ? args->connections : (threads + 1) / 2;

	head(json);
	if (args->matrix) {
		matrix(args, json);
	} else {
		measure(args->pool, threads, connections, args->hold_ns, args->overtake_ns,
			args->seconds, f);
		print(json, args->pool, threads, connections, args->hold_ns, args->overtake_ns, f);
	}
	json_close(json);
	free(f);
	return 0;
}
