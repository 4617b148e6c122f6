/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scale_evict.c - one more connection at a full limit, of engine, tenant or pool.
 *
 * n keys have one idle connection each. A further key acquires: the oldest idle connection makes
 * room. What was evicted instead of the oldest is younger than it: the difference of their ages, as
 * a part of all ages, is the age error. With few keys all ages lie within one tick of the engine's
 * coarse clock, and the error says nothing.
 *
 * The driver completes at once what the loop begins, so one thread does everything and does not
 * sleep. With a worker thread it took 10 to 20 us of the loop's CPU time or 130, with 100
 * connections and with 50 000: waking another CPU and being woken is what the 130 are.
 */
#include <stdlib.h>
#include <string.h>

#include "bench/scale.h"

static const uint32_t sizes[] = { 100, 1000, 10000, 50000 };
enum { SIZES = 4, SAMPLES = 400, DIALS = 32 };

enum limit { ENGINE, TENANT, POOL, LIMITS };
static const char *const limit_name[LIMITS] = { "engine", "tenant", "pool" };

/* One connection, from its creation on. */
struct resource {
	struct full *full;
	uint64_t idle_ns;        /* since when; 0 = leased */
	uint32_t order;          /* its place in the order of releases */
	bool gone;
};

struct full {
	const struct scale *scale;
	enum limit limit;
	struct kolk_engine *engine;
	struct kolk_loop *loop;
	struct kolk_pool *pool;
	struct kolk_key **keys;         /* `opened` of them */
	struct resource *resources, **by_order;
	uint32_t created, opened, released, oldest, most;
	struct resource *leased;        /* what the last acquire got */
	struct resource *evicted;       /* the last one */
	bool pending;
	double errors[SAMPLES];         /* of ages, in percent */
	int error_count;
};

/* ---- the driver: on the thread of the loop, whose CPU time is measured */

static void begin_create(void *user, struct kolk_resource_op *op,
			 const struct kolk_resource_request *request)
{
	struct full *full = user;

	(void)request;
	if (full->created >= full->most)
		die("more than %u connections", full->most);
	full->resources[full->created].full = full;
	kolk_resource_created(op, &full->resources[full->created++]);
}

static void begin_destroy(void *user, struct kolk_resource_op *op, void *resource)
{
	struct full *full = user;
	struct resource *r = resource;

	r->gone = true;
	full->evicted = r;
	kolk_resource_done(op);
}

static const struct kolk_resource_driver driver = { .size = sizeof driver, .name = "scale",
						    .begin_create = begin_create,
						    .begin_destroy = begin_destroy };

/* ---- keys with one idle connection each */

struct opening {
	struct kolk_acquire acquire;
	struct full *full;
	bool pending;
};

/* The acquire ended: the connection is idle from now on. */
static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct opening *opening = user;
	struct full *full = opening->full;
	struct resource *r = kolk_lease_resource(lease);

	scale_check(err, "open");
	r->idle_ns = clock_now();
	r->order = full->released;
	full->by_order[full->released++] = r;
	scale_check(kolk_release((struct kolk_lease *)lease), "release");
	full->leased = r;
	opening->pending = false;
}

static struct kolk_key *key_open(struct full *full)
{
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);
	struct kolk_key *key;
	char name[24];

	snprintf(name, sizeof name, "%u", full->opened);
	who.tenant = full->limit == TENANT ? "tenant" : name;
	who.session = full->limit == TENANT ? name : NULL;
	scale_check(kolk_key_open(full->pool, &who, &key), "key");
	full->keys[full->opened++] = key;
	return key;
}

static void acquire(struct full *full, struct kolk_key *key, struct opening *opening)
{
	enum kolk_err err;

	opening->full = full;
	opening->pending = true;
	err = kolk_acquire_async(full->loop, key, KOLK_FOREVER, &opening->acquire, on_lease,
				 opening);
	if (err != KOLK_PENDING)
		on_lease(opening, err, &opening->acquire.lease);
}

static void step(struct full *full)
{
	scale_check(kolk_loop_step(full->loop, 10 * KOLK_MS_NS), "step");
}

static void limit_set(struct full *full, uint32_t n)
{
	struct kolk_tenant_limits tenant = KOLK_INIT(kolk_tenant_limits);
	struct kolk_pool_limits pool = KOLK_INIT(kolk_pool_limits);

	tenant.connections_max = n;
	pool.pool_connections_max = n;
	if (full->limit == ENGINE)
		scale_check(kolk_engine_connections_max_set(full->engine, n), "limit");
	else if (full->limit == TENANT)
		scale_check(kolk_tenant_limits_set(full->engine, "tenant", &tenant), "limit");
	else
		scale_check(kolk_pool_limits_set(full->pool, &pool), "limit");
}

/* Until n connections are idle, or the time is over. Returns how many are. */
static uint32_t grow(struct full *full, uint32_t n, uint32_t open)
{
	struct opening *openings = calloc(DIALS, sizeof *openings);
	uint64_t end_ns = clock_now() + (uint64_t)(full->scale->open_s * 1e9);
	uint32_t before = full->released, begun = 0;
	bool more = true;

	limit_set(full, n);
	while (more || full->released - before < begun) {
		more = open + begun < n && clock_now() < end_ns;
		for (int i = 0; i < DIALS && more && open + begun < n; i++)
			if (!openings[i].pending) {
				acquire(full, key_open(full), &openings[i]);
				begun++;
			}
		progress("scale: %u keys with an idle connection", open + begun);
		if (full->released - before < begun)
			step(full);
	}
	progress("%s", "");
	free(openings);
	return open + begun;
}

/* ---- one more */

static void age_error(struct full *full)
{
	const struct resource *evicted = full->evicted;
	uint64_t newest_ns = full->by_order[full->released - 1]->idle_ns, oldest_ns;

	while (full->by_order[full->oldest]->gone && full->by_order[full->oldest] != evicted)
		full->oldest++;
	oldest_ns = full->by_order[full->oldest]->idle_ns;
	if (evicted != NULL && full->error_count < SAMPLES)
		full->errors[full->error_count++] = 100 * (double)(evicted->idle_ns - oldest_ns) /
						    (double)(newest_ns - oldest_ns);
}

static void evict_one(struct full *full, struct costs *costs)
{
	struct kolk_key *key = key_open(full);
	struct opening opening;
	uint64_t begin;

	full->evicted = NULL;
	begin = cpu_now();
	acquire(full, key, &opening);
	while (opening.pending)
		step(full);
	(void)costs_add(costs, full->scale, begin);
	age_error(full);
}

static void errors_print(struct full *full, uint32_t n)
{
	FILE *json = full->scale->json;
	double most = 0, middle;

	if (full->error_count == 0)
		return;
	middle = median(full->errors, full->error_count);
	most = full->errors[full->error_count - 1];
	if (json != NULL)
		fprintf(json, "{\"scenario\":\"scale\",\"series\":\"evict\",\"limit\":\"%s\","
			"\"n\":%u,\"age_error_median_percent\":%.2f,"
			"\"age_error_max_percent\":%.2f}\n",
			limit_name[full->limit], n, middle, most);
	else
		printf("%12s  %-34s %9.2f%% %9.2f%% %10d\n", "", "  age error", middle, most,
		       full->error_count);
}

/* ---- open and close */

static void full_open(struct full *full, uint32_t most)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);

	full->most = most + SIZES * SAMPLES + DIALS;
	full->keys = calloc(full->most, sizeof(struct kolk_key *));
	full->resources = calloc(full->most, sizeof *full->resources);
	full->by_order = calloc(full->most, sizeof(struct resource *));
	if (full->keys == NULL || full->resources == NULL || full->by_order == NULL)
		die("no memory for %u connections", full->most);
	engine.loops = 1;
	engine.loop_owner = KOLK_LOOPS_EMBEDDER;
	engine.connections_max = full->limit == ENGINE ? most : full->most;
	engine.keys_max = engine.tenant_keys_max = KOLK_UNLIMITED;
	engine.tenant_connections_max = KOLK_UNLIMITED;
	engine.dials_max = 2 * DIALS;
	pool.name = "scale";
	pool.resource = &driver;
	pool.driver_user = full;
	pool.idle_min = KOLK_NONE;
	pool.dials_max = 2 * DIALS;
	pool.eager_dials = pool.hopeless_waits = 1;
	pool.idle_timeout_ns = pool.lifetime_ns = KOLK_FOREVER;
	pool.ping_interval_ns = KOLK_FOREVER;
	scale_check(kolk_engine_create(&engine, &full->engine), "engine");
	scale_check(kolk_pool_add(full->engine, &pool, &full->pool), "pool");
	full->loop = kolk_engine_loop(full->engine, 0);
}

static void full_close(struct full *full)
{
	for (uint32_t i = 0; i < full->opened; i++)
		kolk_key_close(full->keys[i]);
	scale_check(kolk_engine_drain(full->engine, 1), "drain");
	while (!kolk_engine_is_closed(full->engine))
		step(full);
	scale_check(kolk_engine_destroy(full->engine), "close");
	free(full->keys);
	free(full->resources);
	free(full->by_order);
}

static void measure(const struct scale *scale, enum limit limit)
{
	struct full *full = calloc(1, sizeof *full);
	struct costs *costs = calloc(1, sizeof *costs);
	uint32_t most = scale->args->connections != 0 ? scale->args->connections :
			scale->args->quick	      ? 10000 : sizes[SIZES - 1];
	struct points points = { 0 };
	char what[48];
	uint32_t open = 0;

	full->scale = scale;
	full->limit = limit;
	full_open(full, most);
	snprintf(what, sizeof what, "open one more, %s full", limit_name[limit]);
	for (int i = 0; i < SIZES && open < most; i++) {
		uint32_t n = scale->args->connections != 0 || sizes[i] > most ? most : sizes[i];
		uint64_t end_ns;

		open = grow(full, n, open);
		limit_set(full, open);
		costs->count = full->error_count = 0;
		end_ns = clock_now() + (uint64_t)(scale->step_s * 1e9);
		while (costs->count < SAMPLES && clock_now() < end_ns)
			evict_one(full, costs);
		points_add(&points, open, costs_median(costs));
		scale_row(scale, what, open, costs);
		errors_print(full, open);
		if (open < n)
			break;
	}
	scale_slope(scale, what, &points);
	full_close(full);
	free(costs);
	free(full);
}

void scale_evict(const struct scale *scale)
{
	scale_head(scale, "n keys with one idle connection each: a further key acquires", "keys");
	for (int limit = 0; limit < LIMITS; limit++)
		measure(scale, (enum limit)limit);
}
