/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wake.c - how long a hand-over takes: one connection, two callers that want it in turn, each
 * holds it for HOLD so that the other one sleeps by then. From the release to the moment in
 * which the other one has the lease; loops, threads, and one of each.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <unistd.h>

#include "bench/kit.h"
#include "core/base/atomic.h"

#define HOLD_NS (100 * KOLK_US_NS)

struct side;

struct wake {
	struct kolk_engine *engine;
	struct kolk_key *key;
	uint64_t released_ns; /* W: the releasing side. R: the side that gets the lease */
	struct side *last;
	struct side *side;    /* two */
	uint64_t count, wanted;
	kolk__atomic_u32 over; /* sides that have ended */
	struct hist latency;
};

struct side {
	struct wake *wake;
	struct kolk_loop *loop; /* NULL = a thread */
	struct kolk_call call;
	struct kolk_acquire acquire;
	pthread_t thread;
};

/* Leased: record how long it took, hold it, release it. True when it is enough. The lease itself
 * orders the writes here. */
static bool hold(struct side *side, struct kolk_lease lease)
{
	struct wake *wake = side->wake;
	uint64_t now_ns = clock_now();

	if (wake->last != side && wake->last != NULL) {
		hist_add(&wake->latency, now_ns - wake->released_ns);
		wake->count++;
	}
	wake->last = side;
	while (clock_now() - now_ns < HOLD_NS)
		;
	wake->released_ns = clock_now();
	now_ns = wake->count;
	if (kolk_release(&lease) != KOLK_OK)
		die("a release failed");
	return now_ns >= wake->wanted;
}

static void side_next(struct kolk_call *call, void *user);

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct side *side = user;

	if (err != KOLK_OK)
		die("acquire: %s", kolk_err_text(err));
	if (hold(side, *lease))
		kolk__add_acq_rel(&side->wake->over, 1);
	else
		(void)kolk_loop_call(side->loop, &side->call, side_next, side);
}

static void side_next(struct kolk_call *call, void *user)
{
	struct side *side = user;
	enum kolk_err err = kolk_acquire_async(side->loop, side->wake->key, KOLK_FOREVER,
					       &side->acquire, on_lease, side);

	(void)call;
	if (err != KOLK_PENDING)
		on_lease(side, err, &side->acquire.lease);
}

static void *side_thread(void *arg)
{
	struct side *side = arg;
	struct kolk_lease lease;

	do {
		if (kolk_acquire(side->wake->key, KOLK_FOREVER, &lease) != KOLK_OK)
			die("an acquire failed");
	} while (!hold(side, lease));
	kolk__add_acq_rel(&side->wake->over, 1);
	return NULL;
}

static void run(const struct args *args, FILE *json, const char *what, bool first, bool second)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);
	struct wake *wake = calloc(1, sizeof *wake);
	struct side side[2] = { { .wake = wake }, { .wake = wake } };
	bool on_loop[2] = { first, second };
	struct kolk_pool *pool;

	engine.loops = 2;
	engine.backend = args->backend;
	o.name = "wake";
	o.resource = &fixture_resource;
	o.connections_max = o.idle_min = 1;
	o.overtake_max_ns = KOLK_AT_ONCE; /* strict: each release is a hand-over */
	if (kolk_engine_create(&engine, &wake->engine) != KOLK_OK ||
	    kolk_pool_add(wake->engine, &o, &pool) != KOLK_OK ||
	    kolk_pool_warm(pool, kolk_in_ms(5000)) != KOLK_OK)
		die("the pool does not open");
	wake->key = kolk_pool_key(pool);
	wake->wanted = (uint64_t)(args->seconds * 1e9 / 3 / (HOLD_NS + 40000));
	for (uint32_t i = 0; i < 2; i++) {
		if (on_loop[i]) {
			side[i].loop = kolk_engine_loop(wake->engine, i);
			(void)kolk_loop_call(side[i].loop, &side[i].call, side_next, &side[i]);
		} else if (pthread_create(&side[i].thread, NULL, side_thread, &side[i]) != 0) {
			die("no thread to be had");
		}
	}
	while (kolk__load_acquire(&wake->over) < 2)
		usleep(1000);
	for (int i = 0; i < 2; i++)
		if (!on_loop[i])
			pthread_join(side[i].thread, NULL);
	if (json != NULL) {
		fprintf(json, "{\"scenario\":\"wake\",\"between\":\"%s\",\"backend\":\"%s\","
			"\"hand_overs\":%llu,", what, kolk_engine_backend(wake->engine),
			(unsigned long long)wake->count);
		json_hist(json, "latency_ns", &wake->latency, 0);
		fprintf(json, "}\n");
	} else {
		printf("between %-20s p50 %7.1f   p99 %7.1f   p99.9 %7.1f us   (%llu, %s)\n", what,
		       (double)hist_at(&wake->latency, 0.5) / 1e3,
		       (double)hist_at(&wake->latency, 0.99) / 1e3,
		       (double)hist_at(&wake->latency, 0.999) / 1e3,
		       (unsigned long long)wake->count, kolk_engine_backend(wake->engine));
	}
	kolk_engine_destroy(wake->engine);
	free(wake);
}

int scenario_wake(const struct args *args)
{
	FILE *json = json_open(args);

	run(args, json, "two loops", true, true);
	run(args, json, "two threads", false, false);
	run(args, json, "a loop and a thread", true, false);
	json_close(json);
	return 0;
}
