/* SPDX-License-Identifier: Apache-2.0 */
/* keys.c - many tenants, large keys, idle connections: bytes and cycles. */
#define _GNU_SOURCE
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/echo.h"
#include "bench/kit.h"
#include "core/conn.h"
#include "tests/kit/counting.h"

struct user {
	char name[16]; /* a gateway has it already */
};

static struct kolk_key_options who_is(const struct user *user)
{
	struct kolk_key_options options = KOLK_INIT(kolk_key_options);

	options.tenant = user->name;
	options.credential = user->name;
	options.credential_size = (uint32_t)strlen(user->name);
	return options;
}

static struct kolk_key *open_key(struct kolk_pool *pool, const struct user *user)
{
	struct kolk_key_options options = who_is(user);
	struct kolk_key *key;
	enum kolk_err err = kolk_key_open(pool, &options, &key);

	if (err != KOLK_OK)
		die("key %s: %s", user->name, kolk_err_text(err));
	return key;
}

static void cycle(struct kolk_key *key)
{
	struct kolk_lease lease;

	if (kolk_acquire(key, KOLK_FOREVER, &lease) != KOLK_OK || kolk_release(&lease) != KOLK_OK)
		die("a cycle failed");
}

/* The same by identity. */
static void cycle_as(struct kolk_pool *pool, const struct user *user)
{
	struct kolk_key_options who = who_is(user);
	struct kolk_lease lease;

	if (kolk_acquire_as(pool, &who, KOLK_FOREVER, &lease) != KOLK_OK ||
	    kolk_release(&lease) != KOLK_OK)
		die("a cycle failed");
}

/* users NULL = by handle. */
static double per_cycle(struct kolk_pool *pool, struct kolk_key **keys, const struct user *users,
			uint32_t count, uint64_t cycles)
{
	double values[5];
	uint32_t at = 0;

	for (int batch = 0; batch < 5; batch++) {
		uint64_t begin = clock_now();

		for (uint64_t i = 0; i < cycles; i++) {
			at = (uint32_t)((at + 7919ull) % count); /* a stride, so not in order */
			if (users != NULL)
				cycle_as(pool, &users[at]);
			else
				cycle(keys[at]);
		}
		values[batch] = (double)(clock_now() - begin) / (double)cycles;
	}
	return median(values, 5);
}

/* Connections of one key, all open at once, then all idle. Bytes of one, beside the kernel's:
 * `used` tells how many are in use; what the first half brings belongs to the key. */
static double idle_bytes(const char *address, const char *ca_path, uint32_t record_max,
			 uint32_t count, int64_t (*used)(void))
{
	struct kolk_engine_options engine_options = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options options = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_lease *lease = calloc(count, sizeof *lease);
	struct kolk_engine *engine;
	struct kolk_pool *pool;
	int64_t half = 0, all;

	engine_options.sys = counting_sys();
	engine_options.connections_max = count;
	options.name = "idle";
	options.address = address;
	options.connections_max = count;
	tls.ca_file = ca_path;
	tls.record_max = record_max;
	options.tls = ca_path != NULL ? &tls : NULL;
	if (kolk_engine_create(&engine_options, &engine) != KOLK_OK ||
	    kolk_pool_add(engine, &options, &pool) != KOLK_OK)
		die("the engine does not open");
	for (uint32_t i = 0; i < count; i++) {
		if (kolk_acquire(kolk_pool_key(pool), kolk_in_ms(5000), &lease[i]) != KOLK_OK)
			die("connection %u does not open", i);
		if (i == count / 2 - 1)
			half = used();
	}
	all = used();
	for (uint32_t i = 0; i < count; i++)
		kolk_release(&lease[i]);
	kolk_engine_destroy(engine);
	free(lease);
	return (double)(all - half) / (count - count / 2) + (double)sizeof(struct kolk__conn);
}

static double plain_idle_bytes(void)
{
	struct echo *echo = echo_open();
	char address[32];
	double idle;

	snprintf(address, sizeof address, "127.0.0.1:%u", echo_port(echo));
	idle = idle_bytes(address, NULL, 0, 200, counting_bytes);
	echo_close(echo);
	return idle;
}

/* mbedTLS takes its memory from malloc; mallinfo2 sees the first arena only, so there is one. */
static int64_t by_malloc(void)
{
	struct mallinfo2 info = mallinfo2();

	return (int64_t)(info.uordblks + info.hblkhd);
}

/* The peer is a process of its own: its memory is not ours. */
static double tls_idle_bytes(uint32_t record_max)
{
	struct {
		uint16_t port;
		char ca_path[40];
	} where;
	struct bench_origin origin;
	char address[40], end;
	int out[2], back[2];
	double idle;
	pid_t child;

	(void)mallopt(M_ARENA_MAX, 1);
	if (pipe(out) != 0 || pipe(back) != 0 || (child = fork()) < 0)
		die("no process for the peer");
	if (child == 0) {
		close(back[1]);
		bench_origin_open(&origin);
		where.port = kit_origin_port(origin.origin);
		memcpy(where.ca_path, origin.ca_path, sizeof where.ca_path);
		if (write(out[1], &where, sizeof where) == sizeof where)
			(void)!read(back[0], &end, 1); /* until the parent closes it */
		bench_origin_close(&origin);
		_exit(0);
	}
	close(back[0]);
	if (read(out[0], &where, sizeof where) != sizeof where)
		die("no TLS peer");
	snprintf(address, sizeof address, "127.0.0.1:%u", where.port);
	idle = idle_bytes(address, where.ca_path, record_max, 40, by_malloc);
	close(back[1]);
	close(out[0]);
	close(out[1]);
	waitpid(child, NULL, 0);
	return idle;
}

static void many(const struct args *args, FILE *json, uint32_t count)
{
	struct kolk_key **keys = calloc(count, sizeof *keys);
	struct user *users = calloc(count, sizeof *users);
	uint32_t warm = count < 1000 ? count : 1000;
	int64_t before, keys_bytes, warm_bytes;
	double handle, lookup, tls = tls_idle_bytes(args->size), idle = plain_idle_bytes();
	struct fixture fixture;

	fixture_open(&fixture, 1, KOLK_FOREVER, counting_sys(), warm + 1);
	before = counting_bytes();
	for (uint32_t i = 0; i < count; i++)
		snprintf(users[i].name, sizeof users[i].name, "user%u", i);
	for (uint32_t i = 0; i < count; i++)
		keys[i] = open_key(fixture.pool, &users[i]);
	keys_bytes = counting_bytes() - before;
	for (uint32_t i = 0; i < warm; i++)
		cycle(keys[i]);
	warm_bytes = counting_bytes() - before - keys_bytes;
	for (uint64_t end = clock_now() + 600 * KOLK_MS_NS; clock_now() < end;)
		cycle(keys[0]);
	handle = per_cycle(fixture.pool, keys, NULL, warm, args->cycles ? args->cycles : 300000);
	lookup = per_cycle(fixture.pool, keys, users, warm, args->cycles ? args->cycles : 100000);
	if (json != NULL)
		fprintf(json,
			"{\"scenario\":\"keys\",\"keys\":%u,\"bytes_keys\":%lld,\"bytes_per_key\":%.1f,"
			"\"bytes_first_use\":%.1f,\"bytes_per_idle_connection\":%.1f,"
			"\"bytes_per_idle_tls_connection\":%.1f,"
			"\"handle_cycle_ns\":%.1f,\"lookup_cycle_ns\":%.1f}\n",
			count, (long long)keys_bytes, (double)keys_bytes / count,
			(double)warm_bytes / warm, idle, tls, handle, lookup);
	else
		printf("%7u keys %10.1f KiB %6.1f B/key, %6.1f B more when used, "
		       "%6.1f B/idle connection (TLS %.1f KiB) %7.1f ns by handle %7.1f ns by look-up\n",
		       count,
		       (double)keys_bytes / 1024, (double)keys_bytes / count,
		       (double)warm_bytes / warm, idle, tls / 1024, handle, lookup);
	for (uint32_t i = 0; i < count; i++)
		kolk_key_close(keys[i]);
	free(keys);
	free(users);
	fixture_close(&fixture);
}

/* One key with many connections, a part of them out, leased and returned at random. */
static void large(FILE *json, uint32_t count, uint32_t out)
{
	struct kolk_lease *held = calloc(out + 1, sizeof *held);
	double values[5];
	uint64_t state = 88172645463325252u;
	struct fixture fixture;

	fixture_open(&fixture, count, KOLK_FOREVER, NULL, 0);
	for (uint32_t i = 0; i < out; i++)
		if (kolk_try_acquire(fixture.key, &held[i]) != KOLK_OK)
			die("the large key has too few connections");
	for (uint64_t end = clock_now() + 600 * KOLK_MS_NS; clock_now() < end;)
		cycle(fixture.key);
	for (int batch = 0; batch < 5; batch++) {
		uint64_t begin = clock_now();

		for (int i = 0; i < 100000; i++) {
			uint32_t at;

			state ^= state << 13;
			state ^= state >> 7;
			state ^= state << 17;
			at = (uint32_t)(state % out);
			/* take one more, then give a random one back: the hint is of no use */
			if (kolk_try_acquire(fixture.key, &held[out]) != KOLK_OK)
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
	fixture_close(&fixture);
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
