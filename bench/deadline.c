/* SPDX-License-Identifier: Apache-2.0 */
/* deadline.c - how late a time-out comes, for threads and for loops. */
#include <stdlib.h>

#include "bench/kit.h"
#include "core/base/atomic.h"

struct late {
	struct fixture fixture;
	uint64_t timeout_ns;
	uint32_t rounds;
	struct hist threads, loops;
	pthread_mutex_t lock;
	kolk__atomic_u32 pending;
};

static void waiter(void *shared, uint32_t index)
{
	struct late *late = shared;
	struct hist *hist = calloc(1, sizeof *hist);

	(void)index;
	for (uint32_t i = 0; i < late->rounds; i++) {
		uint64_t deadline = clock_now() + late->timeout_ns;
		struct kolk_lease lease;

		if (kolk_acquire(late->fixture.key, deadline, &lease) != KOLK_E_TIMEOUT)
			die("the acquire did not time out");
		hist_add(hist, clock_now() - deadline);
	}
	pthread_mutex_lock(&late->lock);
	hist_merge(&late->threads, hist);
	pthread_mutex_unlock(&late->lock);
	free(hist);
}

struct asked {
	struct kolk_call call;
	struct kolk_acquire acquire;
	struct late *late;
	uint64_t deadline;
};

static void timed_out(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct asked *asked = user;

	(void)lease;
	if (err != KOLK_E_TIMEOUT)
		die("the asynchronous acquire did not time out");
	hist_add(&asked->late->loops, clock_now() - asked->deadline);
	kolk__sub_acq_rel(&asked->late->pending, 1);
}

static void ask(struct kolk_call *call, void *user)
{
	struct asked *asked = user;

	(void)call;
	asked->deadline = clock_now() + asked->late->timeout_ns;
	if (kolk_acquire_async(kolk_loop_current(), asked->late->fixture.key, asked->deadline,
			       &asked->acquire, timed_out, asked) != KOLK_PENDING)
		die("the asynchronous acquire did not wait");
}

static void loops(struct late *late)
{
	enum { ASKED = 32 };
	struct asked *asked = calloc(ASKED, sizeof *asked);

	for (uint32_t round = 0; round < late->rounds; round++) {
		kolk__store_release(&late->pending, ASKED);
		for (int i = 0; i < ASKED; i++) {
			asked[i].late = late;
			kolk_loop_call(kolk_engine_loop(late->fixture.engine, 0), &asked[i].call, ask,
				       &asked[i]);
		}
		while (kolk__load_acquire(&late->pending) != 0) {
			struct timespec nap = { 0, 1000000 };

			nanosleep(&nap, NULL);
		}
	}
	free(asked);
}

static void *hog(void *stop)
{
	while (!kolk__load_relaxed((const kolk__atomic_bool *)stop))
		kolk__pause();
	return NULL;
}

static void print(const struct args *args, FILE *json, const char *who, double ms,
		  const struct hist *hist)
{
	if (json != NULL) {
		fprintf(json, "{\"scenario\":\"deadline\",\"who\":\"%s\",\"timeout_ms\":%.0f,"
			"\"hogs\":%u,", who, ms, args->hogs);
		json_hist(json, "lateness_ns", hist, 0);
		fprintf(json, "}\n");
		return;
	}
	printf("%-8s %6.0f ms  late by: p50 %8.3f  p99 %8.3f  p99.9 %8.3f  max %8.3f ms  (%llu)\n",
	       who, ms, (double)hist_at(hist, .5) / 1e6, (double)hist_at(hist, .99) / 1e6,
	       (double)hist_at(hist, .999) / 1e6, (double)hist->max / 1e6,
	       (unsigned long long)hist->count);
}

int scenario_deadline(const struct args *args)
{
	static const double timeouts_ms[] = { 1, 10, 100 };
	FILE *json = json_open(args);
	struct kolk_lease taken;
	pthread_t *hogs = calloc(args->hogs + 1, sizeof *hogs);
	kolk__atomic_bool stop = { false };

	for (uint32_t i = 0; i < args->hogs; i++)
		pthread_create(&hogs[i], NULL, hog, &stop);
	for (int t = 0; t < 3; t++) {
		struct late *late = calloc(1, sizeof *late);

		pthread_mutex_init(&late->lock, NULL);
		fixture_open(&late->fixture, 1, KOLK_FOREVER, NULL, 0);
		if (kolk_acquire(late->fixture.key, KOLK_FOREVER, &taken) != KOLK_OK)
			die("nothing to take");
		late->timeout_ns = (uint64_t)(timeouts_ms[t] * 1e6);
		late->rounds = (uint32_t)(args->seconds * 1000 / timeouts_ms[t]) + 1;
		progress("deadline: %.0f ms", timeouts_ms[t]);
		threads_run(args->threads != 0 ? args->threads : 16, waiter, late, 0, NULL);
		loops(late);
		progress("%s", "");
		print(args, json, "threads", timeouts_ms[t], &late->threads);
		print(args, json, "loop", timeouts_ms[t], &late->loops);
		kolk_release(&taken);
		fixture_close(&late->fixture);
		free(late);
	}
	kolk__store_relaxed(&stop, true);
	for (uint32_t i = 0; i < args->hogs; i++)
		pthread_join(hogs[i], NULL);
	free(hogs);
	json_close(json);
	return 0;
}
