/* SPDX-License-Identifier: Apache-2.0 */
/*
 * growth_test.c - what ends many connections of a key costs for each what it costs for each of few: CPU time of
 * the process, the two measured one after the other.
 */
#include <time.h>

#include "tests/wire/wire.h"

enum { FEW = 2000, MANY = 20000, GROWTH = 7 }; /* a walk of all for each would grow 10 times */

static enum kolk_err make(void *user, void **resource)
{
	*resource = user;
	return KOLK_OK;
}

static bool crowd_open(struct wire *w, uint32_t connections)
{
	static const struct kolk_resource_driver driver = { .size = sizeof driver, .name = "crowd",
							    .create = make };
	struct kolk_engine_options e = KOLK_INIT(kolk_engine_options);
	struct kolk_pool_options o = KOLK_INIT(kolk_pool_options);

	e.loops = 1;
	e.connections_max = e.tenant_connections_max = connections;
	o.resource = &driver;
	o.connections_max = o.pool_connections_max = o.idle_min = connections;
	o.dials_max = 64;
	return wire_engine(w, &e) && wire_pool(w, &o) &&
	       CHECK_ERR(kolk_pool_warm(w->pool, kolk_in_ms(60000)), KOLK_OK);
}

static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * KOLK_S_NS + (uint64_t)now.tv_nsec;
}

static uint64_t ended(struct kolk_pool *pool)
{
	struct kolk_stats stats = wire_stats(pool);
	uint64_t sum = 0;

	for (int i = 1; i < KOLK_REASONS; i++)
		sum += stats.destroyed[i];
	return sum;
}

/* Each ends all connections, or all but one. */
static void suspend(struct wire *w)
{
	CHECK_ERR(kolk_pool_suspend(w->pool, 0), KOLK_OK);
}

static void rotate(struct wire *w)
{
	CHECK(kolk_pool_rotate(w->pool) > 1);
}

static void rotate_tenant(struct wire *w)
{
	CHECK(kolk_tenant_rotate(w->engine, "") > 1);
}

static void lower_limit(struct wire *w)
{
	struct kolk_pool_limits l = KOLK_INIT(kolk_pool_limits);

	l.connections_max = l.pool_connections_max = 1;
	CHECK_ERR(kolk_pool_limits_set(w->pool, &l), KOLK_OK);
}

static void lower_engine(struct wire *w)
{
	CHECK_ERR(kolk_engine_connections_max_set(w->engine, 1), KOLK_OK);
}

static void destroy(struct wire *w)
{
	CHECK_ERR(kolk_engine_destroy(w->engine), KOLK_OK);
	w->engine = NULL;
}

static double ns_each(void (*end)(struct wire *w), uint32_t connections)
{
	struct wire w = { 0 };
	uint64_t began_ns, took_ns;

	if (!crowd_open(&w, connections))
		return 0;
	began_ns = cpu_ns();
	end(&w);
	if (w.engine != NULL)
		CHECK(WITHIN_MS(60000, ended(w.pool) >= connections - 1));
	took_ns = cpu_ns() - began_ns;
	wire_close(&w);
	return (double)took_ns / connections;
}

static void grows_little(const char *what, void (*end)(struct wire *w))
{
	double few, many;
	int tries = 3; /* other load on the machine costs CPU time, too: caches */

	do {
		few = ns_each(end, FEW);
		many = ns_each(end, MANY);
	} while (many >= GROWTH * few && --tries > 0);
	tap_note("%s: %.0f ns for each of %d, %.0f for each of %d", what, few, FEW, many, MANY);
	CHECK(many < GROWTH * few);
}

static void ends_of_a_key(void)
{
#if defined __SANITIZE_THREAD__ || defined __SANITIZE_ADDRESS__
	tap_skip("a sanitizer's own costs grow");
	return;
#endif
	grows_little("destroy", destroy);
	grows_little("suspend", suspend);
	grows_little("rotate", rotate);
	grows_little("rotate a tenant", rotate_tenant);
	grows_little("a lower limit", lower_limit);
	grows_little("a lower limit of the engine", lower_engine);
}

static const struct tap_test tests[] = {
	{ "ending many connections of a key grows with their number alone", ends_of_a_key },
};
TAP_TESTS(growth, tests);
