/* SPDX-License-Identifier: Apache-2.0 */
/* redis.c - GET of one value from a real Redis on the other CPU, beside hiredis by hand and
 * redis-benchmark; and what a connection for each command would cost. */
#include <stdlib.h>
#include <string.h>

#include "bench/proto.h"
#include "tests/kit/peers.h"

#define SECRET "canary-of-the-bench"

static void redis_benchmark(struct load *load)
{
	char count[16], clients[16], depth[16];
	char *argv[] = { "redis-benchmark", "-s", (char *)load->site->unix_path, "-a", SECRET,
			 "-c", clients, "-P", depth, "-n", count, "--csv", "GET", "value", NULL };
	char *output;

	load->ops = load->count;
	snprintf(count, sizeof count, "%llu", (unsigned long long)load->ops);
	snprintf(clients, sizeof clients, "%u", load->concurrency);
	snprintf(depth, sizeof depth, "%u", load->depth);
	output = proto_tool(argv, &load->cpu_ns);
	load->wall_ns = (uint64_t)((double)load->ops * 1e9 /
				   proto_figure(output, "\"GET value\",\""));
	load->connections = load->concurrency;
	free(output);
}

/* The value that is asked for. */
static void value_set(const struct site *site, uint32_t bytes)
{
	char line[64], path[96];
	char *argv[] = { "redis-cli", "-s", path, "-a", SECRET, "--no-auth-warning",
			 "SETRANGE", "value", line, "x", NULL };
	char *del[] = { "redis-cli", "-s", path, "-a", SECRET, "--no-auth-warning", "DEL",
			"value", NULL };
	uint64_t cpu_ns;

	snprintf(path, sizeof path, "%s", site->unix_path);
	snprintf(line, sizeof line, "%u", bytes - 1);
	free(proto_tool(del, &cpu_ns));
	free(proto_tool(argv, &cpu_ns));
}

static void measure(const struct args *args, const struct site *site, uint32_t bytes,
		    uint32_t depth)
{
	static const struct rival rivals[] = {
		{ .name = "kolk", .run = redis_kolk },
		{ .name = "hiredis on epoll", .run = redis_hiredis },
		{ .name = "kolk, blocking", .run = redis_kolk_blocking,
		  .kind = BLOCKING, .concurrency_max = 1 },
		{ .name = "hiredis, blocking", .run = redis_hiredis_blocking,
		  .kind = BLOCKING, .concurrency_max = 1 },
		{ .name = "redis-benchmark", .run = redis_benchmark },
		{ .name = "kolk, fresh", .run = redis_kolk, .kind = FRESH },
		{ .name = "hiredis, fresh", .run = redis_hiredis, .kind = FRESH },
	};
	uint32_t callers[LIST_MAX];
	int many = proto_list(args->concurrency, "1,8,64", callers);

	for (int i = 0; i < many; i++) {
		struct load plan = { .site = site, .concurrency = callers[i], .depth = depth,
				     .bytes = bytes };

		proto_measure(args, "redis", "Redis, AUTH, Unix socket", rivals,
			      sizeof rivals / sizeof rivals[0], &plan);
	}
}

int scenario_redis(const struct args *args)
{
	struct site site = { .server = "redis", .password = SECRET };
	uint32_t bytes[LIST_MAX], depths[LIST_MAX];
	int sizes = proto_list(args->bytes, "64,16384", bytes);
	int deep = proto_list(args->depth, "1,16", depths);
	struct kit_peer *peer;

	proto_server_side();
	peer = kit_redis_start(&(struct kit_redis_options){ .password = SECRET });
	if (peer == NULL)
		die("Redis did not start");
	site.address = peer->unix_address;
	site.unix_path = peer->unix_address + strlen("unix:");
	for (int i = 0; i < sizes; i++) {
		value_set(&site, bytes[i]);
		for (int j = 0; j < deep; j++)
			measure(args, &site, bytes[i], depths[j]);
	}
	kit_peer_close(peer);
	return 0;
}
