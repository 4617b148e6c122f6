/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - kolk-demo: what tools/run shows. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tools/demo/demo.h"

struct setup {
	struct kit_origin *origin; /* NULL = a real server */
	struct kit_cert authority, server;
	char ca_path[64];
	char address[160], where[200];
	char warning[256]; /* by the engine, of its back end */
	struct kolk_engine *engine;
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "kolk-demo: %s: %s\n", what, why);
	exit(1);
}

#ifndef KOLK_OPS
#define serve_run(options) ((void)(options))
#define serve_hint() ((void)0)
#endif
#ifndef GATEWAY_PROGRAM
#define gateway_traffic(front, outcome) ((void)(front), (void)(outcome), NULL)
#define gateway_mcp_traffic(front, outcome) ((void)(front), (void)(outcome), NULL)
#endif

/* ---- setup: an origin with a certificate of its own, an engine */

static void origin_open(struct setup *setup, struct options *o)
{
	const struct kit_cert_spec authority = { .subject = "kolk demo authority", .authority = true };
	const struct kit_cert_spec server = { .subject = "localhost", .dns = "localhost",
					      .ip = "127.0.0.1" };
	struct kit_origin_options options = { .cert = &setup->server };
	int fd;

	if (!kit_cert_make(&authority, NULL, &setup->authority) ||
	    !kit_cert_make(&server, &setup->authority, &setup->server))
		die("certificate", "mbedTLS refuses");
	/* Nothing is left of it however this program ends. */
	fd = memfd_create("ca.pem", 0); /* kolk-gateway inherits it */
	snprintf(setup->ca_path, sizeof setup->ca_path, "/proc/self/fd/%d", fd);
	if (fd < 0 || !kit_file_write(setup->ca_path, setup->authority.pem))
		die(setup->ca_path, strerror(errno));
	setup->origin = kit_origin_open(&options);
	if (setup->origin == NULL)
		die("origin server", "cannot listen on loopback");
	o->tls = true;
	o->ca = setup->ca_path;
	snprintf(setup->address, sizeof setup->address, "127.0.0.1:%u",
		 kit_origin_port(setup->origin));
	snprintf(setup->where, sizeof setup->where, "an origin of its own on %s", setup->address);
}

/* The first word of an engine is about its back end, when that is not io_uring. */
static void on_log(void *user, enum kolk_log_level level, const char *subject, const char *text)
{
	struct setup *setup = user;

	(void)level;
	if (setup->warning[0] == 0 && strcmp(subject, "transport") == 0)
		snprintf(setup->warning, sizeof setup->warning, "%s", text);
}

static void engine_open(struct setup *setup, const struct options *o)
{
	struct kolk_engine_options options = KOLK_INIT(kolk_engine_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	enum kolk_err err;

	options.connections_max = o->callers;
	options.backend = o->backend;
	options.failure = &failure;
	options.log_level = KOLK_LOG_WARN;
	options.on_log = on_log;
	options.log_user = setup;
	err = kolk_engine_create(&options, &setup->engine);
	if (err != KOLK_OK)
		die(setup->warning[0] != 0 ? setup->warning : "engine",
		    failure.field != NULL ? failure.field : kolk_err_text(err));
}

static void setup_open(struct setup *setup, struct options *o)
{
	engine_open(setup, o);
	if (o->target == NULL) {
		origin_open(setup, o);
	} else {
		snprintf(setup->address, sizeof setup->address, "%s", o->target);
		snprintf(setup->where, sizeof setup->where, "%s", o->target);
	}
}

static void setup_close(struct setup *setup)
{
	(void)kolk_engine_destroy(setup->engine);
	kit_origin_close(setup->origin);
}

static struct kolk_pool *pool_open(struct setup *setup, const struct options *o, bool pooled)
{
	struct kolk_pool_options options = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_pool *pool = NULL;
	enum kolk_err err;

	tls.ca_file = o->ca;
	tls.resume_off = !pooled; /* a client that opens one per request keeps no session either */
	options.name = pooled ? "pooled" : "unpooled";
	options.address = setup->address;
	options.tls = o->tls ? &tls : NULL;
	/* The embedded origin answers PING, so its idle connections can be pinged. */
	options.driver = setup->origin != NULL ? kolk_driver_redis_ping() : o->protocol->driver();
	options.connections_max = o->callers;
	options.idle_min = pooled ? 2 : KOLK_NONE;
	options.uses_max = pooled ? 0 : 1;
	options.dials_max = o->callers;
	options.waiters_max = o->callers;
	/* That a machine is slow is shown, not refused: handshakes of all callers at once. */
	options.acquire_timeout_ns = options.tls_timeout_ns = 60000 * KOLK_MS_NS;
	options.ping_interval_ns = 300 * KOLK_MS_NS;
	options.idle_timeout_ns = 600 * KOLK_MS_NS;
	options.failure = &failure;
	if (!pooled && setup->origin != NULL)
		options.driver = kolk_driver_raw();
	err = kolk_pool_add(setup->engine, &options, &pool);
	if (err != KOLK_OK)
		die(failure.field != NULL ? failure.field : "pool", kolk_err_text(err));
	return pool;
}

/* Say at once what is wrong with a target, instead of a table of failures. */
static void try_once(struct setup *setup, struct kolk_pool *pool)
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
	setup_close(setup);
	die(setup->where, text);
}

static void half_run(struct setup *setup, const struct options *o, bool pooled,
		     struct outcome *outcome)
{
	struct kolk_pool *pool = pool_open(setup, o, pooled);
	const char *what = pooled ? "pooled" : "a connection per request";

	if (pooled)
		try_once(setup, pool);
	traffic_run(pool, o, what, outcome);
	if (pooled)
		traffic_rest(1.3);
	outcome->stats = (struct kolk_stats)KOLK_INIT(kolk_stats);
	(void)kolk_pool_stats(pool, &outcome->stats);
	if (kolk_pool_close(pool, kolk_in_ms(5000)) != KOLK_OK)
		die("pool", "does not close");
}

static void fronted_run(struct setup *setup, const struct options *o, struct outcome fronted[2],
			struct outcome mcp[2])
{
	kit_origin_behave(setup->origin, KIT_HTTP, 0);
	for (int i = 0; i < 4; i++) {
		const struct front front = { setup->engine, setup->origin, o, i % 2 == 0,
					     &setup->server };
		const char *why = i < 2 ? gateway_traffic(&front, &fronted[i]) :
					  gateway_mcp_traffic(&front, &mcp[i - 2]);

		if (why != NULL)
			die("the gateway cannot be tried", why);
	}
}

/* A program that checks the exit status must see it. */
static bool report_failed(const char *half, const struct outcome *outcome)
{
	if (outcome->failed == 0)
		return false;
	fprintf(stderr, "kolk-demo: %llu requests failed, %llu were answered (%s): %s\n",
		(unsigned long long)outcome->failed, (unsigned long long)outcome->requests, half,
		kolk_err_text(outcome->last_error));
	return true;
}

static bool report_write(const struct report *report)
{
	const char *json = report->options->json;
	bool failed;

	if (json == NULL || strcmp(json, "-") != 0)
		report_table(report);
	if (json != NULL && !report_json(report)) {
		fprintf(stderr, "kolk-demo: %s: %s\n", json, strerror(errno));
		return false;
	}
	failed = report_failed("pooled", report->pooled);
	failed |= report_failed("a new connection each", report->unpooled);
	if (report->fronted != NULL) {
		failed |= report_failed("kolk-gateway, pooled", &report->fronted[0]);
		failed |= report_failed("kolk-gateway, a new connection each", &report->fronted[1]);
		failed |= report_failed("MCP, pooled", &report->mcp[0]);
		failed |= report_failed("MCP, a new session each", &report->mcp[1]);
	}
	return !failed;
}

int main(int argc, char **argv)
{
	static struct outcome pooled, unpooled, fronted[2], mcp[2];
	struct options o = { .protocol = protocol_find("raw"), .seconds = 3, .callers = 32 };
	struct setup setup = { 0 };
	struct report report = { .options = &o, .warning = setup.warning, .where = setup.where,
				 .pooled = &pooled, .unpooled = &unpooled };
	bool good;

	options_read(argc, argv, &o);
	setup_open(&setup, &o);
	half_run(&setup, &o, true, &pooled);
	half_run(&setup, &o, false, &unpooled);
	if (HAS_GATEWAY && setup.origin != NULL) {
		fronted_run(&setup, &o, fronted, mcp);
		report.fronted = fronted;
		report.mcp = mcp;
	}
	report.engine = setup.engine;
	good = report_write(&report);
	setup_close(&setup);
	if (o.serve)
		serve_run(&o);
	else if (CAN_SERVE && o.json == NULL)
		serve_hint();
	return good ? 0 : 1;
}
