/* SPDX-License-Identifier: Apache-2.0 */
/* serve_config.c - the configuration to start with: a file to change and to copy. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "tools/demo/demo.h"
#include "tools/demo/serve.h"

static const char text[] =
	"# What kolk-demo works by. All keys: kolk-config(5), docs/configuration.md.\n"
	"# After a change: kolk-ctl check %1$s && kill -HUP %2$d\n"
	"# It goes when the demonstration ends: copy what you want to keep.\n"
	"\n"
	"engine:\n"
	"  connections_max: 40          # the whole process\n"
	"  connections_reserved: 100    # a reload may raise it up to here\n"
	"  maintenance_interval: 1s\n"
	"  drain_grace: 5s              # for the leases of a pool that is taken out\n"
	"\n"
	"admin:\n"
	"  listen: unix:%3$s\n"
	"\n"
	"tenants:                       # the others: 10 connections, weight 1\n"
	"  - {name: gold, connections_max: 20, weight: 4}\n"
	"\n"
	"pools:\n"
	"  - name: search               # normal traffic\n"
	"    address: 127.0.0.1:%5$u\n"
	"    protocol: redis            # knows PING: idle connections are looked after\n"
	"    tls: {ca_file: %4$s}\n"
	"    limits: {connections_max: 4, pool_connections_max: 16}\n"
	"    timeouts: {idle: 5s}\n"
	"    health: {ping_interval: 2s, lease_overdue: 2s}\n"
	"\n"
	"  - name: mail                 # too few connections: a queue\n"
	"    address: 127.0.0.1:%6$u\n"
	"    protocol: redis\n"
	"    limits: {connections_max: 2, pool_connections_max: 16}\n"
	"    timeouts: {idle: 5s}\n"
	"    health: {ping_interval: 2s, lease_overdue: 2s}\n"
	"\n"
	"  - name: crm                  # the peer closes after 25 answers\n"
	"    address: 127.0.0.1:%7$u\n"
	"    protocol: redis\n"
	"    limits: {connections_max: 3, pool_connections_max: 16}\n"
	"    timeouts: {idle: 5s}\n"
	"    health: {ping_interval: 2s, lease_overdue: 2s}\n"
	"\n"
	"  - name: billing              # no server: the circuit opens\n"
	"    address: 127.0.0.1:%8$u\n"
	"    protocol: redis\n"
	"    limits: {connections_max: 2, pool_connections_max: 16}\n";

static FILE *create(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return fd >= 0 ? fdopen(fd, "w") : NULL;
}

bool config_write(const struct places *places)
{
	FILE *file = create(places->config);

	if (file == NULL)
		return false;
	fprintf(file, text, places->config, (int)getpid(), places->socket, places->ca,
		places->ports[0], places->ports[1], places->ports[2], places->ports[3]);
	return fclose(file) == 0;
}

#ifdef GATEWAY_PROGRAM
bool config_write_gateway(const char *path, const struct options *options,
			  const struct gateway_places *places)
{
	FILE *file = create(path);

	if (file == NULL)
		return false;
	gateway_configure(file, options, true, places);
	return fclose(file) == 0;
}
#endif
