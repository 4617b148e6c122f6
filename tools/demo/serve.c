/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve.c - a small town to look at: upstreams good and bad, tenants that come and go, and the
 * admin server, until somebody says stop.
 */
#include <errno.h>
#include <kolk/ops/admin.h>
#include <kolk/tenant.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/atomic.h"
#include "tests/kit/origin.h"
#include "tools/demo/demo.h"

#define SERVE_ADDRESS "127.0.0.1:7871"

enum { SHOPS = 4, TENANTS = 5, VISITORS_MAX = 64, TOKEN_BYTES = 24, FORGETFUL = 4711 };

/* What can be seen at each: plain life, a queue, a peer that hangs up, nobody at home. */
static const struct shop {
	const char *name;
	bool tls, is_there;
	enum kit_behaviour behaviour;
	uint32_t after;		    /* answers, then it behaves like that */
	uint32_t connections_max;   /* per key */
	uint32_t visitors;	    /* per tenant */
	uint32_t hold_ms, pause_ms; /* at most */
} shops[SHOPS] = {
	{ "search", true, true, KIT_ECHO, 0, 4, 3, 12, 30 },
	{ "mail", false, true, KIT_ECHO, 0, 2, 4, 90, 60 },
	{ "crm", false, true, KIT_CLOSE, 25, 3, 1, 15, 80 },
	{ "billing", false, false, KIT_ECHO, 0, 2, 1, 5, 400 },
};

static const char *const tenants[TENANTS] = { "alice", "bob", "carol", "dave", "gold" };

struct visitor {
	pthread_t thread;
	struct kolk_key *key;
	const struct shop *shop;
	const uint32_t *stop;
	uint32_t number; /* from 1 */
	uint64_t random;
};

struct town {
	char directory[40], ca[64], socket[64], token_file[64], token[2 * TOKEN_BYTES + 1];
	struct kit_cert authority, server;
	struct kolk_engine *engine;
	struct kolk_admin *on_socket, *on_tcp;
	struct kit_origin *origins[SHOPS];
	struct visitor visitors[VISITORS_MAX];
	uint32_t visitor_count;
	uint32_t stop; /* W: main. R: visitors */
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "kolk-demo: %s: %s\n", what, why);
	exit(1);
}

/* ---- a visitor: borrow, ask, hold a while, give back, rest */

static uint32_t random_below(struct visitor *visitor, uint32_t bound)
{
	visitor->random = visitor->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(visitor->random >> 33) % bound;
}

static void nap_ms(uint32_t ms)
{
	struct timespec time = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&time, NULL);
}

static enum kolk_err echo(const struct kolk_lease *lease)
{
	uint64_t deadline = kolk_in_ms(1000);
	char buffer[64];
	size_t size = 0, got = 0;
	enum kolk_err err = kolk_send_all(lease, "hello\n", 6, deadline);

	while (err == KOLK_OK && size < 6) {
		err = kolk_recv(lease, buffer + size, sizeof buffer - size, deadline, &got);
		size += got;
	}
	return err;
}

static void visit(struct visitor *visitor)
{
	const struct shop *shop = visitor->shop;
	bool forgets = visitor->number == 1 && random_below(visitor, 150) == 0;
	struct kolk_lease lease;

	if (kolk_acquire(visitor->key, kolk_in_ms(150), &lease) != KOLK_OK)
		return;
	(void)kolk_lease_tag(&lease, forgets ? FORGETFUL : visitor->number);
	if (echo(&lease) != KOLK_OK) {
		(void)kolk_discard(&lease);
		return;
	}
	for (int i = 0; forgets && i < 60 && !kolk__load_relaxed(visitor->stop); i++)
		nap_ms(100);
	nap_ms(1 + random_below(visitor, shop->hold_ms));
	(void)kolk_release(&lease);
}

static void *visitor_run(void *user)
{
	struct visitor *visitor = user;

	while (!kolk__load_relaxed(visitor->stop)) {
		visit(visitor);
		nap_ms(1 + random_below(visitor, visitor->shop->pause_ms));
	}
	return NULL;
}

/* ---- building the town */

static void keep_secret(struct town *town)
{
	unsigned char bytes[TOKEN_BYTES];

	if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
		die("token", strerror(errno));
	for (int i = 0; i < TOKEN_BYTES; i++)
		snprintf(town->token + 2 * i, 3, "%02x", bytes[i]);
}

/* Where it can be told beforehand; another one when somebody else's is there. */
static void directory_make(struct town *town)
{
	serve_directory(town->directory, sizeof town->directory);
	if (mkdir(town->directory, 0700) == 0)
		return;
	snprintf(town->directory, sizeof town->directory, "/tmp/kolk-demo-XXXXXX");
	if (mkdtemp(town->directory) == NULL)
		die(town->directory, strerror(errno));
}

static void files_make(struct town *town)
{
	const struct kit_cert_spec authority = { .subject = "kolk demo authority",
						.authority = true };
	const struct kit_cert_spec server = {
		.subject = "localhost", .dns = "localhost", .ip = "127.0.0.1" };

	directory_make(town);
	snprintf(town->ca, sizeof town->ca, "%s/ca.pem", town->directory);
	snprintf(town->socket, sizeof town->socket, "%s/admin.sock", town->directory);
	snprintf(town->token_file, sizeof town->token_file, "%s/token", town->directory);
	keep_secret(town);
	if (!kit_cert_make(&authority, NULL, &town->authority) ||
	    !kit_cert_make(&server, &town->authority, &town->server))
		die("certificate", "mbedTLS refuses");
	if (!kit_file_write(town->ca, town->authority.pem) ||
	    !kit_file_write(town->token_file, town->token))
		die(town->directory, strerror(errno));
}

static void engine_make(struct town *town, uint32_t backend)
{
	struct kolk_engine_options options = KOLK_INIT(kolk_engine_options);
	struct kolk_tenant_limits gold = KOLK_INIT(kolk_tenant_limits);

	options.backend = backend;
	options.connections_max = 40;
	options.maintenance_interval_ns = KOLK_S_NS;
	if (kolk_engine_create(&options, &town->engine) != KOLK_OK)
		die("engine", "cannot be opened");
	gold.connections_max = 20;
	gold.weight = 4;
	if (kolk_tenant_limits_set(town->engine, "gold", &gold) != KOLK_OK)
		die("tenant", "gold");
}

static struct kolk_pool *shop_open(struct town *town, int number)
{
	const struct shop *shop = &shops[number];
	struct kit_origin_options origin = { .cert = shop->tls ? &town->server : NULL,
					    .behaviour = shop->behaviour,
					    .after = shop->after };
	struct kolk_pool_options options = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_pool *pool = NULL;
	char address[32] = "127.0.0.1:1"; /* nobody lives there */

	if (shop->is_there) {
		town->origins[number] = kit_origin_open(&origin);
		if (town->origins[number] == NULL)
			die("origin server", "cannot listen on loopback");
		snprintf(address, sizeof address, "127.0.0.1:%u",
			 kit_origin_port(town->origins[number]));
	}
	tls.ca_file = town->ca;
	options.name = shop->name;
	options.address = address;
	options.tls = shop->tls ? &tls : NULL;
	options.driver = kolk_driver_redis_ping();
	options.connections_max = shop->connections_max;
	options.pool_connections_max = 16;
	options.idle_timeout_ns = 5 * KOLK_S_NS;
	options.ping_interval_ns = 2 * KOLK_S_NS;
	options.lease_overdue_ns = 2 * KOLK_S_NS;
	if (kolk_pool_add(town->engine, &options, &pool) != KOLK_OK)
		die("pool", shop->name);
	return pool;
}

static void visitors_send(struct town *town, struct kolk_pool *pool, const struct shop *shop,
			  const char *tenant)
{
	for (uint32_t i = 0; i < shop->visitors && town->visitor_count < VISITORS_MAX; i++) {
		struct visitor *visitor = &town->visitors[town->visitor_count];
		struct kolk_key_options options = KOLK_INIT(kolk_key_options);

		options.tenant = tenant;
		if (kolk_key_open(pool, &options, &visitor->key) != KOLK_OK)
			die("key", tenant);
		visitor->shop = shop;
		visitor->stop = &town->stop;
		visitor->number = ++town->visitor_count;
		visitor->random = visitor->number;
		if (pthread_create(&visitor->thread, NULL, visitor_run, visitor) != 0)
			die("thread", tenant);
	}
}

static void admin_make(struct town *town)
{
	struct kolk_admin_options options = KOLK_INIT(kolk_admin_options);
	char listen[80];

	snprintf(listen, sizeof listen, "unix:%s", town->socket);
	options.listen = listen;
	if (kolk_admin_open(town->engine, &options, &town->on_socket) != KOLK_OK)
		die("admin server", listen);
	options.listen = SERVE_ADDRESS;
	options.token = town->token;
	options.token_size = (uint32_t)strlen(town->token);
	if (kolk_admin_open(town->engine, &options, &town->on_tcp) == KOLK_OK)
		return;
	options.listen = "127.0.0.1:0"; /* that port is taken */
	if (kolk_admin_open(town->engine, &options, &town->on_tcp) != KOLK_OK)
		die("admin server", options.listen);
}

static void town_close(struct town *town)
{
	kolk__store_relaxed(&town->stop, 1);
	kolk_admin_close(town->on_tcp);
	kolk_admin_close(town->on_socket);
	/* Whoever waits for a connection is told that there will be none. */
	(void)kolk_engine_drain(town->engine, kolk_in_ms(200));
	for (uint32_t i = 0; i < town->visitor_count; i++) {
		pthread_join(town->visitors[i].thread, NULL);
		kolk_key_close(town->visitors[i].key);
	}
	(void)kolk_engine_destroy(town->engine);
	for (int i = 0; i < SHOPS; i++)
		kit_origin_close(town->origins[i]);
	unlink(town->ca);
	unlink(town->token_file);
	rmdir(town->directory);
}

static void invite(const struct town *town)
{
	printf("\n%d tenants at %d upstreams, one of which is down, one hangs up, one has a "
	       "queue.\n\n"
	       "  live page  http://%s/  (token in %s)\n"
	       "  terminal   kolk-top --socket %s\n"
	       "  commands   kolk-ctl --socket %s status\n\n"
	       "Ctrl-C ends it.\n",
	       TENANTS, SHOPS, kolk_admin_address(town->on_tcp), town->token_file, town->socket,
	       town->socket);
	fflush(stdout);
}

void serve_directory(char *path, size_t capacity)
{
	snprintf(path, capacity, "/tmp/kolk-demo-%u", (unsigned)getuid());
}

void serve_hint(void)
{
	char directory[40];

	serve_directory(directory, sizeof directory);
	printf("\n  to look inside while it works: tools/run --serve\n"
	       "    live page  http://" SERVE_ADDRESS "/\n"
	       "    terminal   kolk-top --socket %s/admin.sock\n", directory);
}

void serve_run(uint32_t backend)
{
	static struct town town;
	sigset_t signals;
	int signal;

	/* Before the first thread: all of them leave these to us. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	files_make(&town);
	engine_make(&town, backend);
	for (int i = 0; i < SHOPS; i++) {
		struct kolk_pool *pool = shop_open(&town, i);

		for (int j = 0; j < TENANTS; j++)
			visitors_send(&town, pool, &shops[i], tenants[j]);
	}
	admin_make(&town);
	invite(&town);
	sigwait(&signals, &signal);
	town_close(&town);
}
