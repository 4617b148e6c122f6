/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scale_keys.c - 100 to 1 000 000 keys: opened, found among all others, used once; and their bytes.
 *
 * A look-up stands beside a read of a random line of an array as large as the keys: as many reads,
 * each of which must wait for the one before, is what the memory alone would take.
 */
#include <stdlib.h>
#include <string.h>

#include "bench/scale.h"
#include "tests/kit/counting.h"

static const uint32_t sizes[] = { 100, 10000, 100000, 1000000 };
enum { SIZES = 4, USED_MAX = 20000, BATCH = 1000, BATCHES = 40, LINE = 64 };

enum step { OPEN, LONGEST, CLOSE, FIND, READ, ACQUIRE_AS, STEPS };
static const char *const step_name[STEPS] = {
	"open a key", "the longest open of all", "close a key", "open + close a key that is there",
	"read a random line of an array", "acquire_as + release",
};

struct name {
	char text[16];
};

struct many {
	const struct scale *scale;
	struct kolk_engine *engine;
	struct kolk_loop *loop;
	struct kolk_pool *pool;
	struct kolk_key **keys;
	uint32_t opened, got;
	int64_t bytes_open; /* of the keys, opened and not used */
	uint64_t random, longest_ns;
};

struct bytes {
	double open, used, idle; /* of a key, opened; then used; and with an idle connection */
};

static struct kolk_key_options who_is(const struct name *name)
{
	struct kolk_key_options who = KOLK_INIT(kolk_key_options);

	who.tenant = name->text;
	who.credential = name->text;
	who.credential_size = (uint32_t)strlen(name->text);
	return who;
}

static struct name name_of(uint32_t i)
{
	struct name name;

	snprintf(name.text, sizeof name.text, "user%u", i);
	return name;
}

static void step(struct many *many)
{
	scale_check(kolk_loop_step(many->loop, 10 * KOLK_MS_NS), "step");
}

/* ---- keys */

static void open_one(struct many *many, struct costs *costs)
{
	struct name name = name_of(many->opened);
	struct kolk_key_options who = who_is(&name);
	uint64_t begin = cpu_now(), ns;

	scale_check(kolk_key_open(many->pool, &who, &many->keys[many->opened++]), "key");
	ns = cpu_now() - begin;
	many->longest_ns = ns > many->longest_ns ? ns : many->longest_ns;
	if (costs != NULL)
		(void)costs_add(costs, many->scale, begin);
}

static void grow(struct many *many, uint32_t n, struct costs *costs)
{
	uint64_t end_ns = clock_now() + (uint64_t)(many->scale->open_s * 1e9);
	struct costs *longest = &costs[LONGEST];
	int64_t before = counting_bytes();

	while (many->opened < n && (many->opened % 64 != 0 || clock_now() < end_ns)) {
		if (many->opened % 8192 == 0)
			progress("scale: %u of %u keys", many->opened, n);
		open_one(many, n - many->opened <= COSTS_MAX ? &costs[OPEN] : NULL);
	}
	progress("%s", "");
	longest->ns[longest->count++] = (double)(many->longest_ns - many->scale->cpu_ns);
	many->bytes_open += counting_bytes() - before;
}

static void close_some(struct many *many, struct costs *costs)
{
	uint32_t count = many->opened < 2 * COSTS_MAX ? many->opened / 2 : COSTS_MAX;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t begin = cpu_now();

		kolk_key_close(many->keys[--many->opened]);
		(void)costs_add(costs, many->scale, begin);
	}
	for (uint32_t i = 0; i < count; i++)
		open_one(many, NULL);
}

/* ---- look-ups: random names, prepared before */

static void names_choose(struct many *many, struct name *names, uint32_t from)
{
	for (int i = 0; i < BATCH; i++)
		names[i] = name_of(from + (uint32_t)(scale_random(&many->random) %
						      (many->opened - from)));
}

static void find_measure(struct many *many, struct costs *costs)
{
	struct name names[BATCH];
	struct kolk_key *key;

	for (int batch = 0; batch < BATCHES; batch++) {
		uint64_t begin;

		names_choose(many, names, 0);
		begin = cpu_now();
		for (int i = 0; i < BATCH; i++) {
			struct kolk_key_options who = who_is(&names[i]);

			scale_check(kolk_key_open(many->pool, &who, &key), "look-up");
			kolk_key_close(key);
		}
		costs_add_each(costs, many->scale, begin, BATCH);
	}
}

static void acquire_as_measure(struct many *many, uint32_t from, struct costs *costs)
{
	struct name names[BATCH];
	struct kolk_lease lease;

	for (int batch = 0; batch < BATCHES; batch++) {
		uint64_t begin;

		names_choose(many, names, from);
		begin = cpu_now();
		for (int i = 0; i < BATCH; i++) {
			struct kolk_key_options who = who_is(&names[i]);

			scale_check(kolk_acquire_as(many->pool, &who, kolk_in_ms(1000), &lease),
				    "acquire_as");
			scale_check(kolk_release(&lease), "release");
		}
		costs_add_each(costs, many->scale, begin, BATCH);
	}
}

static void read_measure(struct many *many, struct costs *costs)
{
	uint64_t lines = (uint64_t)many->bytes_open / LINE + 1, state = many->random;
	uint64_t *array = malloc(lines * LINE);

	if (array == NULL)
		die("no memory for an array as large as the keys");
	for (uint64_t i = 0; i < lines; i++)
		array[i * (LINE / sizeof *array)] = i;
	for (int batch = 0; batch < BATCHES; batch++) {
		uint64_t begin = cpu_now();

		for (int i = 0; i < BATCH; i++) /* where to read next depends on what was read */
			state ^= array[(scale_random(&state) >> 8) % lines * (LINE / sizeof *array)];
		costs_add_each(costs, many->scale, begin, BATCH);
	}
	many->random = state | 1;
	free(array);
}

/* ---- keys that are used */

struct opening {
	struct kolk_acquire acquire;
	struct many *many;
};

static void on_lease(void *user, enum kolk_err err, const struct kolk_lease *lease)
{
	struct opening *opening = user;

	scale_check(err, "open");
	scale_check(kolk_release((struct kolk_lease *)lease), "release");
	opening->many->got++;
}

/* Those from `from` on were not used before. */
static void use(struct many *many, uint32_t from, struct bytes *bytes)
{
	struct opening *openings = calloc(many->opened - from, sizeof *openings);
	uint32_t count = many->opened - from, begun = 0;
	int64_t before = counting_bytes();

	if (openings == NULL)
		die("no memory for acquires");
	many->got = 0;
	while (many->got < count) {
		for (; begun < count && begun - many->got < 32; begun++) {
			struct opening *opening = &openings[begun];
			enum kolk_err err;

			opening->many = many;
			err = kolk_acquire_async(many->loop, many->keys[from + begun], KOLK_FOREVER,
						 &opening->acquire, on_lease, opening);
			if (err != KOLK_PENDING)
				on_lease(opening, err, &opening->acquire.lease);
		}
		step(many);
	}
	free(openings);
	bytes->idle = bytes->open + (double)(counting_bytes() - before) / count;
}

/* Their connections go, the keys stay. */
static void clear(struct many *many, uint32_t from, int64_t before, struct bytes *bytes)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	(void)kolk_pool_clear(many->pool);
	do {
		step(many);
		scale_check(kolk_pool_stats(many->pool, &stats), "stats");
	} while (stats.open > 0);
	bytes->used = bytes->open +
		      (double)(counting_bytes() - before) / (many->opened - from);
}

/* ---- open, measure, close */

static void many_open(struct many *many, const struct scale *scale, uint32_t most)
{
	struct kolk_engine_options engine = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options pool = KOLK_INIT(kolk_pool_options);

	*many = (struct many){ .scale = scale, .random = 88172645463325252u };
	many->keys = calloc(most, sizeof(struct kolk_key *));
	if (many->keys == NULL)
		die("no memory for %u handles", most);
	engine.sys = counting_sys();
	engine.loops = 1;
	engine.loop_owner = KOLK_LOOPS_EMBEDDER;
	engine.connections_max = USED_MAX;
	engine.keys_max = KOLK_UNLIMITED;
	pool.name = "scale";
	pool.resource = &fixture_resource;
	pool.connections_max = 1;
	pool.idle_min = KOLK_NONE;
	pool.dials_max = 64;
	pool.eager_dials = pool.hopeless_waits = 1;
	pool.idle_timeout_ns = pool.lifetime_ns = KOLK_FOREVER;
	scale_check(kolk_engine_create(&engine, &many->engine), "engine");
	scale_check(kolk_pool_add(many->engine, &pool, &many->pool), "pool");
	many->loop = kolk_engine_loop(many->engine, 0);
}

static void many_close(struct many *many)
{
	while (many->opened > 0)
		kolk_key_close(many->keys[--many->opened]);
	scale_check(kolk_engine_drain(many->engine, 1), "drain");
	while (!kolk_engine_is_closed(many->engine))
		step(many);
	scale_check(kolk_engine_destroy(many->engine), "close");
	free(many->keys);
}

static void bytes_print(const struct many *many, const struct bytes *bytes, double misses)
{
	FILE *json = many->scale->json;

	if (json != NULL)
		fprintf(json, "{\"scenario\":\"scale\",\"series\":\"keys\",\"keys\":%u,"
			"\"bytes_open\":%.1f,\"bytes_used\":%.1f,\"bytes_with_idle\":%.1f,"
			"\"lookup_in_reads\":%.2f}\n", many->opened, bytes->open, bytes->used,
			bytes->idle, misses);
	else
		printf("%12u  %.0f B opened, %.0f B used, %.0f B with an idle connection; "
		       "a look-up is %.1f random reads\n", many->opened, bytes->open, bytes->used,
		       bytes->idle, misses);
}

static void row(struct many *many, struct costs *costs, struct points *points)
{
	uint32_t used = many->opened / 2 < USED_MAX ? many->opened / 2 : USED_MAX;
	uint32_t from = many->opened - used;
	struct bytes bytes = { .open = (double)many->bytes_open / many->opened };
	int64_t before;

	progress("scale: %u keys", many->opened);
	close_some(many, &costs[CLOSE]);
	find_measure(many, &costs[FIND]);
	read_measure(many, &costs[READ]);
	before = counting_bytes();
	use(many, from, &bytes);
	acquire_as_measure(many, from, &costs[ACQUIRE_AS]);
	clear(many, from, before, &bytes);
	progress("%s", "");
	for (int s = 0; s < STEPS; s++) {
		points_add(&points[s], many->opened, costs_median(&costs[s]));
		scale_row(many->scale, step_name[s], many->opened, &costs[s]);
	}
	bytes_print(many, &bytes, costs_median(&costs[FIND]) / costs_median(&costs[READ]));
}

void scale_keys(const struct scale *scale)
{
	uint32_t most = scale->args->keys != 0 ? scale->args->keys :
			scale->args->quick     ? 100000 : sizes[SIZES - 1];
	struct costs *costs = calloc(STEPS, sizeof *costs);
	struct points points[STEPS] = { 0 };
	struct many many;

	if (costs == NULL)
		die("no memory for costs");
	scale_head(scale, "keys of a pool, each of a tenant of its own", "keys");
	many_open(&many, scale, most);
	for (int i = 0; i < SIZES && many.opened < most; i++) {
		uint32_t n = scale->args->keys != 0 || sizes[i] > most ? most : sizes[i];

		memset(costs, 0, STEPS * sizeof *costs);
		grow(&many, n, costs);
		row(&many, costs, points);
		if (many.opened < n)
			break;
	}
	for (int s = 0; s < STEPS; s++)
		scale_slope(scale, step_name[s], &points[s]);
	many_close(&many);
	free(costs);
}
