/* SPDX-License-Identifier: Apache-2.0 */
/* keys.c - many tenants, large keys, idle connections: bytes and cycles. */
#include <stdlib.h>
#include <string.h>

#include "bench/kit.h"
#include "core/base/atomic.h"
#include "core/conn.h"
#include "tests/kit/origin.h"

/* ---- the table of functions, with a counter of bytes */

static struct kolk_sys counting;
static int64_t bytes;

static void *counted_allocate(void *context, size_t alignment, size_t size)
{
	kolk__add_relaxed(&bytes, (int64_t)size);
	return kolk_sys_linux()->allocate(context, alignment, size);
}

static void counted_deallocate(void *context, void *memory, size_t size)
{
	kolk__add_relaxed(&bytes, -(int64_t)size);
	kolk_sys_linux()->deallocate(context, memory, size);
}

static struct kolk_key *open_key(struct kolk_pool *pool, uint32_t i)
{
	struct kolk_key_options options = KOLK_INIT(kolk_key_options);
	struct kolk_key *key;
	char tenant[32];
	enum kolk_err err;

	snprintf(tenant, sizeof tenant, "user%u", i);
	options.tenant = tenant;
	options.credential = tenant;
	options.credential_size = (uint32_t)strlen(tenant);
	err = kolk_key_open(pool, &options, &key);
	if (err != KOLK_OK)
		die("key %u: %s", i, kolk_err_text(err));
	return key;
}

static void cycle(struct kolk_key *key)
{
	struct kolk_lease lease;

	if (kolk_acquire(key, KOLK_FOREVER, &lease) != KOLK_OK || kolk_release(&lease) != KOLK_OK)
		die("a cycle failed");
}

static double per_cycle(struct kolk_pool *pool, struct kolk_key **keys, uint32_t count,
			uint64_t cycles, bool lookup)
{
	double values[5];
	uint32_t at = 0;

	for (int batch = 0; batch < 5; batch++) {
		uint64_t begin = clock_now();

		for (uint64_t i = 0; i < cycles; i++) {
			at = (uint32_t)((at + 7919ull) % count); /* a stride, so not in order */
			if (lookup) {
				struct kolk_key *key = open_key(pool, at);

				cycle(key);
				kolk_key_close(key);
			} else {
				cycle(keys[at]);
			}
		}
		values[batch] = (double)(clock_now() - begin) / (double)cycles;
	}
	return median(values, 5);
}

static const struct kolk_sys *counted(void)
{
	counting = *kolk_sys_linux();
	counting.allocate = counted_allocate;
	counting.deallocate = counted_deallocate;
	return &counting;
}

/* What an idle plain TCP connection takes beside the kernel's: card, link and all. */
static double idle_bytes(void)
{
	enum { COUNT = 200 };
	struct kolk_engine_options engine_options = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options options = KOLK_INIT(kolk_pool_options);
	struct kit_origin *origin = kit_origin_open(&(struct kit_origin_options){ 0 });
	struct kolk_lease lease[COUNT];
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	int64_t before = 0;
	char address[32];

	engine_options.sys = counted();
	engine_options.connections_max = COUNT;
	snprintf(address, sizeof address, "127.0.0.1:%u", kit_origin_port(origin));
	options.name = "idle";
	options.address = address;
	options.connections_max = COUNT;
	if (kolk_engine_create(&engine_options, &engine) != KOLK_OK ||
	    kolk_pool_add(engine, &options, &pool) != KOLK_OK)
		die("the engine does not open");
	for (uint32_t i = 0; i < COUNT; i++) {
		if (kolk_acquire(kolk_pool_key(pool), kolk_in_ms(5000), &lease[i]) != KOLK_OK)
			die("connection %u does not open", i);
		if (i == COUNT / 2 - 1) /* what the first ones bring belongs to the key */
			before = kolk__load_relaxed(&bytes);
	}
	before = kolk__load_relaxed(&bytes) - before;
	for (uint32_t i = 0; i < COUNT; i++)
		kolk_release(&lease[i]);
	kolk_engine_destroy(engine);
	kit_origin_close(origin);
	return (double)before / (COUNT / 2) + (double)sizeof(struct kolk__conn);
}

static void many(const struct args *args, FILE *json, uint32_t count)
{
	struct kolk_key **keys = calloc(count, sizeof *keys);
	uint32_t warm = count < 1000 ? count : 1000;
	int64_t before, keys_bytes, warm_bytes;
	double handle, lookup, idle = idle_bytes();
	struct bed bed;

	bytes = 0;
	bed_open(&bed, 1, KOLK_FOREVER, counted(), warm + 1);
	before = kolk__load_relaxed(&bytes);
	for (uint32_t i = 0; i < count; i++)
		keys[i] = open_key(bed.pool, i);
	keys_bytes = kolk__load_relaxed(&bytes) - before;
	for (uint32_t i = 0; i < warm; i++)
		cycle(keys[i]);
	warm_bytes = kolk__load_relaxed(&bytes) - before - keys_bytes;
	for (uint64_t end = clock_now() + 600 * KOLK_MS_NS; clock_now() < end;)
		cycle(keys[0]);
	handle = per_cycle(bed.pool, keys, warm, args->cycles ? args->cycles : 300000, false);
	lookup = per_cycle(bed.pool, keys, warm, args->cycles ? args->cycles : 100000, true);
	if (json != NULL)
		fprintf(json,
			"{\"scenario\":\"keys\",\"keys\":%u,\"bytes_keys\":%lld,\"bytes_per_key\":%.1f,"
			"\"bytes_first_use\":%.1f,\"bytes_per_idle_connection\":%.1f,"
			"\"handle_cycle_ns\":%.1f,\"lookup_cycle_ns\":%.1f}\n",
			count, (long long)keys_bytes, (double)keys_bytes / count,
			(double)warm_bytes / warm, idle, handle, lookup);
	else
		printf("%7u keys %10.1f KiB %6.1f B/key, %6.1f B more when used, "
		       "%6.1f B/idle connection %7.1f ns by handle %7.1f ns by look-up\n", count,
		       (double)keys_bytes / 1024, (double)keys_bytes / count,
		       (double)warm_bytes / warm, idle, handle, lookup);
	for (uint32_t i = 0; i < count; i++)
		kolk_key_close(keys[i]);
	free(keys);
	bed_close(&bed);
}

/* One key with many connections, a part of them out, leased and returned at random. */
static void large(FILE *json, uint32_t count, uint32_t out)
{
	struct kolk_lease *held = calloc(out + 1, sizeof *held);
	double values[5];
	uint64_t state = 88172645463325252u;
	struct bed bed;

	bed_open(&bed, count, KOLK_FOREVER, NULL, 0);
	for (uint32_t i = 0; i < out; i++)
		if (kolk_try_acquire(bed.key, &held[i]) != KOLK_OK)
			die("the large key has too few connections");
	for (uint64_t end = clock_now() + 600 * KOLK_MS_NS; clock_now() < end;)
		cycle(bed.key);
	for (int batch = 0; batch < 5; batch++) {
		uint64_t begin = clock_now();

		for (int i = 0; i < 100000; i++) {
			uint32_t at;

			state ^= state << 13;
			state ^= state >> 7;
			state ^= state << 17;
			at = (uint32_t)(state % out);
			/* take one more, then give a random one back: the hint is of no use */
			if (kolk_try_acquire(bed.key, &held[out]) != KOLK_OK)
				die("an acquire failed");
			kolk_release(&held[at]);
			held[at] = held[out];
		}
		values[batch] = (double)(clock_now() - begin) / 100000;
	}
	if (json != NULL)
		fprintf(json, "{\"scenario\":\"large_key\",\"connections\":%u,\"leased\":%u,"
			"\"cycle_ns\":%.1f}\n", count, out, median(values, 5));
	else
		printf("%7u connections in one key, %5u out: %8.1f ns per cycle, random order\n",
		       count, out, median(values, 5));
	for (uint32_t i = 0; i < out; i++)
		kolk_release(&held[i]);
	free(held);
	bed_close(&bed);
}

int scenario_keys(const struct args *args)
{
	static const uint32_t counts[] = { 1, 1000, 100000 };
	FILE *json = json_open(args);

	if (args->keys != 0)
		many(args, json, args->keys);
	for (int i = 0; i < 3 && args->keys == 0; i++)
		many(args, json, counts[i]);
	if (args->keys == 0) {
		large(json, 10, 5);
		large(json, 1000, 500);
		large(json, 10000, 5000);
	}
	json_close(json);
	return 0;
}
