/* SPDX-License-Identifier: Apache-2.0 */
/* proto_kolk.c - a pool for a load. */
#include "bench/proto_kolk.h"

void side_check(enum kolk_err err, const char *what)
{
	if (err != KOLK_OK && err != KOLK_PENDING)
		die("kolk: %s: %s", what, kolk_err_text(err));
}

static void engine_open(struct side *side, bool blocking)
{
	struct kolk_engine_options options = KOLK_INIT(kolk_engine_options);

	options.loops = 1;
	options.loop_owner = blocking ? KOLK_LOOPS_ENGINE : KOLK_LOOPS_EMBEDDER;
	options.connections_max = side->load->concurrency * 2;
	side_check(kolk_engine_create(&options, &side->engine), "engine");
	if (!blocking)
		side->loop = kolk_engine_loop(side->engine, 0);
}

/* Pooled connections are opened beforehand; those of HTTP/2 by the first requests, as many as they
 * need. */
static bool keeps_ready(const struct load *load)
{
	return !load->fresh && !load->site->http2;
}

static void pool_warm(struct side *side)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	side_check(kolk_pool_warm(side->pool, 0), "warm");
	while (stats.idle < side->load->concurrency) {
		side_check(kolk_loop_step(side->loop, 10 * KOLK_MS_NS), "step");
		side_check(kolk_pool_stats(side->pool, &stats), "statistics");
	}
}

static void pool_open(struct side *side, const struct kolk_driver *driver, void *driver_user,
		      const char *const *alpn)
{
	const struct load *load = side->load;
	struct kolk_pool_options options = KOLK_INIT(kolk_pool_options);
	struct kolk_tls_options tls = KOLK_INIT(kolk_tls_options);

	tls.ca_file = load->site->ca_file;
	tls.alpn = alpn;
	options.name = "bench";
	options.address = load->site->address;
	options.tls = tls.ca_file != NULL ? &tls : NULL;
	options.driver = driver;
	options.driver_user = driver_user;
	options.connections_max = load->concurrency;
	options.idle_min = keeps_ready(load) ? load->concurrency : KOLK_NONE;
	options.waiters_max = load->concurrency;
	options.dials_max = load->concurrency;
	options.uses_max = load->fresh ? 1 : 0;
	side_check(kolk_pool_add(side->engine, &options, &side->pool), "pool");
	side->key = kolk_pool_key(side->pool);
}

void side_open(struct side *side, struct load *load, const struct kolk_driver *driver,
	       void *driver_user, const char *const *alpn)
{
	*side = (struct side){ .load = load };
	engine_open(side, false);
	pool_open(side, driver, driver_user, alpn);
	side_check(kolk_loop_step(side->loop, 0), "step"); /* it is this thread's now */
	if (keeps_ready(load))
		pool_warm(side);
}

void side_open_blocking(struct side *side, struct load *load, const struct kolk_driver *driver,
			void *driver_user)
{
	*side = (struct side){ .load = load };
	engine_open(side, true);
	pool_open(side, driver, driver_user, NULL);
	side_check(kolk_pool_warm(side->pool, kolk_in_ms(10000)), "warm");
}

void side_run(struct side *side)
{
	while (!side->load->over)
		side_check(kolk_loop_step(side->loop, KOLK_S_NS), "step");
}

void side_close(struct side *side)
{
	struct kolk_stats stats = KOLK_INIT(kolk_stats);

	side_check(kolk_pool_stats(side->pool, &stats), "statistics");
	side->load->connections = stats.created;
	kolk_engine_drain(side->engine, kolk_in_ms(1000));
	while (side->loop != NULL && !kolk_engine_is_closed(side->engine))
		side_check(kolk_loop_step(side->loop, KOLK_MS_NS), "step");
	side_check(kolk_engine_destroy(side->engine), "the end");
}
