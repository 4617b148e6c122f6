/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postgres.c - one-row queries with a parameter to a real PostgreSQL on the other CPU, beside libpq
 * by hand and pgbench; and what a connection for each query would cost, SCRAM and all.
 */
#include <stdlib.h>
#include <string.h>

#include "bench/proto.h"
#include "tests/kit/peers.h"

/* The same query from a script; it must be a file. */
static void script_write(const char *path, uint32_t bytes)
{
	FILE *file = fopen(path, "w");

	if (file == NULL)
		die("cannot write %s", path);
	fprintf(file, "\\set n %u\nSELECT repeat('x', :n::int);\n", bytes);
	fclose(file);
}

static void pgbench(struct load *load)
{
	const struct site *site = load->site;
	char port[16], clients[16], each[16], path[KIT_PEER_PATH + 16];
	char *argv[] = { "pgbench", "-n", "-M", "extended", "-t", each, "-j", "1", "-c", clients,
			 "-h", (char *)site->unix_path, "-p", port, "-U", (char *)site->user,
			 "-f", path, (char *)site->database, NULL };
	char *output;

	snprintf(path, sizeof path, "%s/bench.sql", site->unix_path); /* goes with the server */
	script_write(path, load->bytes);
	snprintf(port, sizeof port, "%u", site->port);
	snprintf(each, sizeof each, "%llu",
		 (unsigned long long)load->count / load->concurrency + 1);
	snprintf(clients, sizeof clients, "%u", load->concurrency);
	setenv("PGPASSWORD", site->password, 1);
	output = proto_tool(argv, &load->cpu_ns);
	unsetenv("PGPASSWORD");
	load->ops = (uint64_t)proto_figure(output, "actually processed:");
	load->wall_ns = (uint64_t)((double)load->ops * 1e9 / proto_figure(output, "tps ="));
	load->connections = load->concurrency;
	free(output);
}

static void measure(const struct args *args, const struct site *site, uint32_t bytes,
		    uint32_t depth)
{
	static const struct rival rivals[] = {
		{ .name = "kolk", .run = postgres_kolk },
		{ .name = "libpq on epoll", .run = postgres_libpq },
		{ .name = "kolk, prepared", .run = postgres_kolk_prepared },
		{ .name = "kolk, DISCARD ALL", .run = postgres_kolk_discarding },
		{ .name = "kolk, blocking", .run = postgres_kolk_blocking,
		  .kind = BLOCKING, .concurrency_max = 1, .depth_max = 1 },
		{ .name = "libpq, blocking", .run = postgres_libpq_blocking,
		  .kind = BLOCKING, .concurrency_max = 1, .depth_max = 1 },
		{ .name = "pgbench", .run = pgbench, .depth_max = 1 },
		{ .name = "kolk, fresh", .run = postgres_kolk, .kind = FRESH },
		{ .name = "libpq, fresh", .run = postgres_libpq, .kind = FRESH },
	};
	uint32_t callers[LIST_MAX];
	int many = proto_list(args->concurrency, "1,8,32", callers);

	for (int i = 0; i < many; i++) {
		struct load plan = { .site = site, .concurrency = callers[i], .depth = depth,
				     .bytes = bytes };

		proto_measure(args, "postgres", "PostgreSQL, SCRAM, Unix socket", rivals,
			      sizeof rivals / sizeof rivals[0], &plan);
	}
}

int scenario_postgres(const struct args *args)
{
	struct site site = { .server = "postgres", .user = KIT_POSTGRES_USER,
			     .password = KIT_POSTGRES_SECRET, .database = "postgres" };
	uint32_t bytes[LIST_MAX], depths[LIST_MAX];
	int sizes = proto_list(args->bytes, "64,16384", bytes);
	int deep = proto_list(args->depth, "1,16", depths);
	struct kit_peer *peer;

	proto_server_side();
	peer = kit_postgres_start(&(struct kit_postgres_options){ 0 });
	if (peer == NULL)
		die("PostgreSQL did not start");
	site.port = peer->port;
	site.address = peer->unix_address;
	site.unix_path = peer->directory;
	for (int i = 0; i < sizes; i++)
		for (int j = 0; j < deep; j++)
			measure(args, &site, bytes[i], depths[j]);
	kit_peer_close(peer);
	return 0;
}
