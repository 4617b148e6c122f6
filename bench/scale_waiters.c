/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scale_waiters.c - many callers wait: 100 to 100 000, ten to a key; and many timers of a loop:
 * 100 to 1 000 000.
 */
#include <stdlib.h>
#include <string.h>

#include "bench/scale.h"

enum { SIZES = 3, SAMPLES = 400, PER_KEY = 10, BATCH = 64 };
static const uint32_t waiter_sizes[SIZES] = { 100, 10000, 100000 };
static const uint32_t timer_sizes[SIZES] = { 100, 10000, 1000000 };

enum step { ENQUEUE, CANCEL, EXPIRE, HAND_OVER, STEPS };
static const char *const step_name[STEPS] = {
	"enqueue a waiter", "cancel a waiter", "a waiter times out", "hand over to a waiter",
};

enum timer_step { ARM, MOVE, DISARM, TIMER_STEPS };
static const char *const timer_name[TIMER_STEPS] = { "arm a timer", "move a timer",
						     "disarm a timer" };

static void step(struct kolk_loop *loop)
{
	scale_check(kolk_loop_step(loop, KOLK_MS_NS), "step");
}

/* ---- waiters */

struct waiter {
	struct kolk_acquire acquire;
	struct queues *queues;
	uint32_t key;
	bool pending;
};

struct queues {
	const struct scale *scale;
	struct kolk_engine *engine;
	struct kolk_loop *loop;
	struct kolk_pool *pool;
	struct kolk_key **keys;
	struct kolk_lease *leases;  /* one of each key */
	struct waiter *waiters;     /* SAMPLES more than `count`, for time-outs */
	uint32_t key_count, count, got, expired;
	uint64_t random;
};

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct waiter *waiter = user;
	struct queues *queues = waiter->queues;

	waiter->pending = false;
	if (err == KOLK_E_TIMEOUT) {
		queues->expired++;
		return;
	}
	scale_check(err, "waiter");
	queues->leases[waiter->key] = *lease;
	queues->got++;
}

static void enqueue(struct queues *queues, struct waiter *waiter, uint32_t key,
		    uint64_t deadline_ns)
{
	enum kolk_err err;

	waiter->queues = queues;
	waiter->key = key;
	waiter->pending = true;
	err = kolk_acquire_async(queues->loop, queues->keys[key], deadline_ns, &waiter->acquire,
				 on_lease, waiter);
	if (err != KOLK_PENDING)
		die("a waiter did not wait: %s", kolk_err_text(err));
}

/* One connection of each key, all leased. */
static void queues_open(struct queues *queues, const struct scale *scale, uint32_t count)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);

	*queues = (struct queues){ .scale = scale, .count = count, .key_count = count / PER_KEY,
				   .random = 88172645463325252u };
	queues->keys = calloc(queues->key_count, sizeof(struct kolk_key *));
	queues->leases = calloc(queues->key_count, sizeof *queues->leases);
	queues->waiters = calloc(count + SAMPLES, sizeof *queues->waiters);
	if (queues->keys == NULL || queues->leases == NULL || queues->waiters == NULL)
		die("no memory for %u waiters", count);
	engine.loops = 1;
	engine.loop_owner = KOLK_LOOPS_EMBEDDER;
	engine.connections_max = queues->key_count;
	engine.keys_max = engine.waiters_max = KOLK_UNLIMITED;
	pool.name = "scale";
	pool.resource = &fixture_resource;
	pool.connections_max = 1;
	pool.waiters_max = KOLK_UNLIMITED;
	pool.idle_min = KOLK_NONE;
	pool.dials_max = 64;
	pool.eager_dials = pool.hopeless_waits = 1;
	pool.lease_overdue_ns = KOLK_FOREVER;
	scale_check(kolk_engine_create(&engine, &queues->engine), "engine");
	scale_check(kolk_pool_add(queues->engine, &pool, &queues->pool), "pool");
	queues->loop = kolk_engine_loop(queues->engine, 0);
}

static void keys_open(struct queues *queues)
{
	char name[24];

	for (uint32_t i = 0; i < queues->key_count; i++) {
		struct kolk_key_options who = KOLK_INIT(kolk_key_options);

		snprintf(name, sizeof name, "%u", i);
		who.tenant = name;
		scale_check(kolk_key_open(queues->pool, &who, &queues->keys[i]), "key");
		enqueue(queues, &queues->waiters[i], i, KOLK_FOREVER);
		while (i + 1 - queues->got >= 32)
			step(queues->loop);
	}
	while (queues->got < queues->key_count)
		step(queues->loop);
}

static void queues_close(struct queues *queues)
{
	for (uint32_t i = 0; i < queues->count; i++)
		if (queues->waiters[i].pending)
			scale_check(kolk_acquire_cancel(&queues->waiters[i].acquire), "cancel");
	for (uint32_t i = 0; i < queues->key_count; i++) {
		scale_check(kolk_release(&queues->leases[i]), "release");
		kolk_key_close(queues->keys[i]);
	}
	scale_check(kolk_engine_drain(queues->engine, 1), "drain");
	while (!kolk_engine_is_closed(queues->engine))
		step(queues->loop);
	scale_check(kolk_engine_destroy(queues->engine), "close");
	free(queues->keys);
	free(queues->leases);
	free(queues->waiters);
}

/* Between 100 and 200 s from now, so that what is measured is nowhere special in the order. */
static uint64_t far(struct queues *queues)
{
	return kolk_in_ms(100000 + scale_random(&queues->random) % 100000);
}

static void waiters_enqueue(struct queues *queues, struct costs *costs)
{
	for (uint32_t i = 0; i < queues->count; i++) {
		uint64_t deadline_ns = far(queues), begin = cpu_now();

		enqueue(queues, &queues->waiters[i], i % queues->key_count, deadline_ns);
		if (i + SAMPLES >= queues->count)
			(void)costs_add(costs, queues->scale, begin);
	}
}

/* Each comes back at once, so that as many wait. */
static void waiters_cancel(struct queues *queues, struct costs *costs)
{
	for (int i = 0; i < SAMPLES; i++) {
		uint32_t at = (uint32_t)(scale_random(&queues->random) % queues->count);
		struct waiter *waiter = &queues->waiters[at];
		uint64_t begin = cpu_now();

		scale_check(kolk_acquire_cancel(&waiter->acquire), "cancel");
		(void)costs_add(costs, queues->scale, begin);
		enqueue(queues, waiter, waiter->key, far(queues));
	}
}

static void waiters_expire(struct queues *queues, struct costs *costs)
{
	uint64_t due_ns = kolk_in_ms(20), begin;

	for (uint32_t i = 0; i < SAMPLES; i++)
		enqueue(queues, &queues->waiters[queues->count + i],
			(uint32_t)(scale_random(&queues->random) % queues->key_count), due_ns);
	while (clock_now() <= due_ns)
		;
	begin = cpu_now();
	while (queues->expired < SAMPLES)
		step(queues->loop);
	costs_add_each(costs, queues->scale, begin, SAMPLES);
}

static void waiters_hand_over(struct queues *queues, struct costs *costs)
{
	uint32_t times = queues->count / 2 < SAMPLES ? queues->count / 2 : SAMPLES;

	for (uint32_t i = 0; i < times; i++) {
		uint32_t key = (uint32_t)((i * 7919ull) % queues->key_count), got = queues->got;
		uint64_t begin = cpu_now();

		scale_check(kolk_release(&queues->leases[key]), "release");
		while (queues->got == got)
			step(queues->loop);
		(void)costs_add(costs, queues->scale, begin);
	}
}

static void waiters_measure(const struct scale *scale, uint32_t count, struct costs *costs)
{
	struct queues queues;

	progress("scale: %u waiters of %u keys", count, count / PER_KEY);
	queues_open(&queues, scale, count);
	keys_open(&queues);
	waiters_enqueue(&queues, &costs[ENQUEUE]);
	waiters_cancel(&queues, &costs[CANCEL]);
	waiters_expire(&queues, &costs[EXPIRE]);
	waiters_hand_over(&queues, &costs[HAND_OVER]);
	progress("%s", "");
	queues_close(&queues);
}

/* ---- timers */

static void on_timer(struct kolk_timer *timer, void *user)
{
	(void)timer;
	(void)user;
	die("a timer was early");
}

static void arm(struct queues *queues, struct kolk_timer *timer)
{
	scale_check(kolk_timer_start(queues->loop, timer, far(queues), on_timer, NULL), "timer");
}

static void timers_measure(const struct scale *scale, uint32_t count, struct costs *costs)
{
	struct kolk_timer *timers = calloc(count + BATCH, sizeof *timers);
	struct queues queues;

	if (timers == NULL)
		die("no memory for %u timers", count);
	queues_open(&queues, scale, PER_KEY);
	keys_open(&queues);
	for (uint32_t i = 0; i < count; i++)
		arm(&queues, &timers[i]);
	for (int i = 0; i < SAMPLES; i++) {
		uint64_t begin = cpu_now();

		for (int j = 0; j < BATCH; j++)
			arm(&queues, &timers[count + (uint32_t)j]);
		costs_add_each(&costs[ARM], scale, begin, BATCH);
		begin = cpu_now();
		for (int j = 0; j < BATCH; j++)
			arm(&queues, &timers[scale_random(&queues.random) % count]);
		costs_add_each(&costs[MOVE], scale, begin, BATCH);
		begin = cpu_now();
		for (int j = 0; j < BATCH; j++)
			kolk_timer_stop(&timers[count + (uint32_t)j]);
		costs_add_each(&costs[DISARM], scale, begin, BATCH);
	}
	for (uint32_t i = 0; i < count; i++)
		kolk_timer_stop(&timers[i]);
	queues_close(&queues);
	free(timers);
}

/* ---- both */

struct family {
	void (*measure)(const struct scale *scale, uint32_t count, struct costs *costs);
	const uint32_t *sizes;
	const char *const *names;
	int names_count;
};

static void family_run(const struct scale *scale, const struct family *family)
{
	struct costs *costs = calloc(STEPS, sizeof *costs);
	struct points points[STEPS] = { 0 };

	if (costs == NULL)
		die("no memory for costs");
	for (int i = 0; i < SIZES - scale->args->quick; i++) {
		memset(costs, 0, STEPS * sizeof *costs);
		family->measure(scale, family->sizes[i], costs);
		for (int s = 0; s < family->names_count; s++) {
			points_add(&points[s], family->sizes[i], costs_median(&costs[s]));
			scale_row(scale, family->names[s], family->sizes[i], &costs[s]);
		}
	}
	for (int s = 0; s < family->names_count; s++)
		scale_slope(scale, family->names[s], &points[s]);
	free(costs);
}

void scale_waiters(const struct scale *scale)
{
	const struct family waiters = { waiters_measure, waiter_sizes, step_name, STEPS };
	const struct family timers = { timers_measure, timer_sizes, timer_name, TIMER_STEPS };

	scale_head(scale, "waiters with deadlines, ten to a key", "waiters");
	family_run(scale, &waiters);
	scale_head(scale, "timers of a loop", "timers");
	family_run(scale, &timers);
}
