/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - kolk-demo: what tools/run shows. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/kit/origin.h"
#include "tools/demo/demo.h"

struct stage {
	struct kit_origin *origin; /* NULL = a real server */
	struct kit_cert authority, server;
	char ca_path[64];
	char address[160], where[200];
	struct kolk_engine *engine;
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "kolk-demo: %s: %s\n", what, why);
	exit(1);
}

/* Without the admin server there is nothing to serve. */
#ifdef KOLK_OPS
enum { CAN_SERVE = true };
#else
enum { CAN_SERVE = false };
#define serve_run(backend) ((void)(backend))
#define serve_hint() ((void)0)
#endif

static int usage(int status)
{
	printf("kolk-demo [--target HOST:PORT] [--tls] [--ca FILE] [--protocol raw|redis-ping|http-get]\n"
	       "          [--seconds N] [--callers N] [--backend auto|io_uring|epoll] [--json FILE|-]\n"
	       "          [--serve]\n\n"
	       "Without a target it starts a TLS echo server of its own on loopback.\n"
	       "--serve then keeps several tenants busy, with a live page, until Ctrl-C.\n");
	return status;
}

/* ---- arguments */

static double number(const char *name, const char *text, double max)
{
	char *end;
	double value = strtod(text, &end);

	if (*end != 0 || end == text || !(value > 0) || value > max) {
		fprintf(stderr, "kolk-demo: %s: '%s' is not a number above 0 and up to %.0f\n", name,
			text, max);
		exit(2);
	}
	return value;
}

static uint32_t backend(const char *name)
{
	static const char *const names[] = { "auto", "io_uring", "epoll" };

	for (uint32_t i = 0; i < 3; i++)
		if (strcmp(name, names[i]) == 0)
			return i;
	fprintf(stderr, "kolk-demo: --backend is auto, io_uring or epoll\n");
	exit(2);
}

static void parse(int argc, char **argv, struct options *o)
{
	for (int i = 1; i < argc; i++) {
		const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (strcmp(name, "--help") == 0)
			exit(usage(0));
		if (strcmp(name, "--tls") == 0 || (CAN_SERVE && strcmp(name, "--serve") == 0)) {
			*(name[2] == 't' ? &o->tls : &o->serve) = true;
			continue;
		}
		if (value == NULL)
			exit(usage(2));
		i++;
		if (strcmp(name, "--target") == 0)
			o->target = value;
		else if (strcmp(name, "--ca") == 0)
			o->ca = value;
		else if (strcmp(name, "--json") == 0)
			o->json = value;
		else if (strcmp(name, "--seconds") == 0)
			o->seconds = number(name, value, 86400);
		else if (strcmp(name, "--callers") == 0)
			o->callers = (uint32_t)number(name, value, 4096);
		else if (strcmp(name, "--backend") == 0)
			o->backend = backend(value);
		else if (strcmp(name, "--protocol") == 0)
			o->protocol = protocol_find(value);
		else
			exit(usage(2));
		if (o->protocol == NULL) {
			fprintf(stderr, "kolk-demo: --protocol is raw, redis-ping or http-get\n");
			exit(2);
		}
	}
	if (o->ca != NULL && !o->tls) {
		fprintf(stderr, "kolk-demo: --ca goes with --tls\n");
		exit(2);
	}
}

/* ---- the stage: an origin with a certificate of its own, an engine */

static void origin_open(struct stage *stage, struct options *o)
{
	const struct kit_cert_spec authority = { .subject = "kolk demo authority", .authority = true };
	const struct kit_cert_spec server = { .subject = "localhost", .dns = "localhost",
					      .ip = "127.0.0.1" };
	struct kit_origin_options options = { .cert = &stage->server };
	int fd;

	if (!kit_cert_make(&authority, NULL, &stage->authority) ||
	    !kit_cert_make(&server, &stage->authority, &stage->server))
		die("certificate", "mbedTLS refuses");
	snprintf(stage->ca_path, sizeof stage->ca_path, "/tmp/kolk-demo-XXXXXX");
	fd = mkstemp(stage->ca_path);
	if (fd < 0 || !kit_file_write(stage->ca_path, stage->authority.pem))
		die(stage->ca_path, strerror(errno));
	close(fd);
	stage->origin = kit_origin_open(&options);
	if (stage->origin == NULL)
		die("origin server", "cannot listen on loopback");
	o->tls = true;
	o->ca = stage->ca_path;
	snprintf(stage->address, sizeof stage->address, "127.0.0.1:%u",
		 kit_origin_port(stage->origin));
	snprintf(stage->where, sizeof stage->where, "an origin of its own on %s", stage->address);
}

static void stage_open(struct stage *stage, struct options *o)
{
	struct kolk_engine_options options = KOLK_INIT(kolk_engine_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);

	if (o->target == NULL) {
		origin_open(stage, o);
	} else {
		snprintf(stage->address, sizeof stage->address, "%s", o->target);
		snprintf(stage->where, sizeof stage->where, "%s", o->target);
	}
	options.connections_max = o->callers;
	options.backend = o->backend;
	options.failure = &failure;
	if (kolk_engine_create(&options, &stage->engine) != KOLK_OK)
		die("engine", failure.field != NULL ? failure.field : kolk_err_text(failure.err));
}

static void stage_close(struct stage *stage)
{
	(void)kolk_engine_destroy(stage->engine);
	kit_origin_close(stage->origin);
	if (stage->ca_path[0] != 0)
		unlink(stage->ca_path);
}

static struct kolk_pool *pool_open(struct stage *stage, const struct options *o, bool pooled)
{
	struct kolk_pool_options options = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_pool *pool = NULL;
	enum kolk_err err;

	tls.ca_file = o->ca;
	tls.resume_off = !pooled; /* who opens one per request keeps no session either */
	options.name = pooled ? "pooled" : "unpooled";
	options.address = stage->address;
	options.tls = o->tls ? &tls : NULL;
	/* The embedded origin answers PING, so its idle connections can be pinged. */
	options.driver = stage->origin != NULL ? kolk_driver_redis_ping() : o->protocol->driver();
	options.connections_max = o->callers;
	options.idle_min = pooled ? 2 : KOLK_NONE;
	options.uses_max = pooled ? 0 : 1;
	options.dials_max = o->callers;
	options.waiters_max = o->callers;
	options.ping_interval_ns = 300 * KOLK_MS_NS;
	options.idle_timeout_ns = 600 * KOLK_MS_NS;
	options.failure = &failure;
	if (!pooled && stage->origin != NULL)
		options.driver = kolk_driver_raw();
	err = kolk_pool_add(stage->engine, &options, &pool);
	if (err != KOLK_OK)
		die(failure.field != NULL ? failure.field : "pool", kolk_err_text(err));
	return pool;
}

/* Say at once what is wrong with a target, instead of a table of failures. */
static void try_once(struct stage *stage, struct kolk_pool *pool)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_lease lease;
	char text[256];
	enum kolk_err err = kolk_acquire(kolk_pool_key(pool), kolk_in_ms(10000), &lease);

	if (err == KOLK_OK) {
		(void)kolk_release(&lease);
		return;
	}
	(void)kolk_key_failure(kolk_pool_key(pool), &failure);
	snprintf(text, sizeof text, "%s (in %s%s%s)", kolk_err_text(err),
		 kolk_phase_name(failure.phase), failure.os_error != 0 ? ": " : "",
		 failure.os_error != 0 ? strerror(failure.os_error) : "");
	stage_close(stage);
	die(stage->where, text);
}

static void half_run(struct stage *stage, const struct options *o, bool pooled,
		     struct outcome *outcome)
{
	struct kolk_pool *pool = pool_open(stage, o, pooled);
	const char *what = pooled ? "pooled" : "a connection per request";

	if (pooled)
		try_once(stage, pool);
	traffic_run(stage->engine, pool, o, what, outcome);
	if (pooled)
		traffic_rest(1.3);
	outcome->stats = (struct kolk_stats)KOLK_INIT(kolk_stats);
	(void)kolk_pool_stats(pool, &outcome->stats);
	if (kolk_pool_close(pool, kolk_in_ms(5000)) != KOLK_OK)
		die("pool", "does not close");
}

int main(int argc, char **argv)
{
	static struct outcome pooled, unpooled;
	struct options o = { .protocol = protocol_find("raw"), .seconds = 3, .callers = 32 };
	struct stage stage = { 0 };
	int status = 0;

	parse(argc, argv, &o);
	stage_open(&stage, &o);
	half_run(&stage, &o, true, &pooled);
	half_run(&stage, &o, false, &unpooled);
	if (o.json == NULL || strcmp(o.json, "-") != 0)
		report_table(&o, stage.engine, stage.where, &pooled, &unpooled);
	if (o.json != NULL && !report_json(&o, stage.engine, stage.where, &pooled, &unpooled)) {
		fprintf(stderr, "kolk-demo: %s: %s\n", o.json, strerror(errno));
		status = 1;
	}
	if (pooled.requests == 0) {
		fprintf(stderr, "kolk-demo: no request was answered: %s\n",
			kolk_err_text(pooled.last_error));
		status = 1;
	}
	stage_close(&stage);
	if (o.serve && status == 0)
		serve_run(o.backend);
	else if (CAN_SERVE && o.json == NULL)
		serve_hint();
	return status;
}
